//! The fds of a child's handle: looked at, taken, and closed with it.

use crate::fd;
use crate::process::{Child, lock};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

/// The fds of a child's handle, still the handle's; -1: none.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct sandbox_fds {
    pub pidfd: i32,
    /// The seccomp notification listener.
    pub seccomp_fd: i32,
    /// The writing end of the child's standard input.
    pub stdin_fd: i32,
    /// The reading end of its standard output.
    pub stdout_fd: i32,
    /// The reading end of its standard error.
    pub stderr_fd: i32,
    /// The master of its pseudoterminal.
    pub pty_fd: i32,
    /// The directory of its cgroup: a leaf that is removed when the handle is freed.
    pub cgroup_fd: i32,
}

/// One of a child's fds, for sandbox_child_take_fd.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_fd {
    /// The pidfd.
    SANDBOX_FD_PIDFD = 0,
    /// The seccomp notification listener.
    SANDBOX_FD_SECCOMP = 1,
    /// The writing end of the child's standard input.
    SANDBOX_FD_STDIN = 2,
    /// The reading end of its standard output.
    SANDBOX_FD_STDOUT = 3,
    /// The reading end of its standard error.
    SANDBOX_FD_STDERR = 4,
    /// The master of its pseudoterminal.
    SANDBOX_FD_PTY = 5,
    /// The directory of its cgroup.
    SANDBOX_FD_CGROUP = 6,
}

pub(super) const FDS: usize = 7;

impl Child {
    pub fn fds(&self) -> sandbox_fds {
        let [pidfd, seccomp_fd, stdin_fd, stdout_fd, stderr_fd, pty_fd, cgroup_fd] = lock(&self.fds).map(|fd| fd.unwrap_or(-1));
        sandbox_fds { pidfd, seccomp_fd, stdin_fd, stdout_fd, stderr_fd, pty_fd, cgroup_fd }
    }

    /// Pidfd and cgroup are given as copies: the handle goes on needing its own.
    pub fn take_fd(&self, which: u32) -> Result<RawFd, Errno> {
        let which = usize::try_from(which).map_err(|_| Errno::EINVAL)?;
        let mut fds = lock(&self.fds);
        let place = fds.get_mut(which).ok_or(Errno::EINVAL)?;
        let fd = place.ok_or(Errno::EBADF)?;
        let given = match &self.leaf {
            _ if which == sandbox_fd::SANDBOX_FD_PIDFD as usize => fd::duplicate(fd, 3)?.into_raw_fd(),
            Some(leaf) if which == sandbox_fd::SANDBOX_FD_CGROUP as usize => leaf.reopen()?.into_raw_fd(),
            _ => fd,
        };
        *place = None;
        Ok(given)
    }

    /// A copy of the pidfd, whether or not one was taken.
    pub fn copy_pidfd(&self) -> Result<OwnedFd, Errno> {
        fd::duplicate(self.pidfd.as_raw_fd(), 3)
    }

    /// Pidfd and cgroup have owners of their own.
    pub(super) fn close_fds(&self) {
        let others = [sandbox_fd::SANDBOX_FD_PIDFD as usize, sandbox_fd::SANDBOX_FD_CGROUP as usize];
        for (which, fd) in lock(&self.fds).iter().enumerate() {
            if let Some(fd) = fd.filter(|_| !others.contains(&which)) {
                // SAFETY: the handle's own, not taken.
                unsafe { libc::close(fd) };
            }
        }
    }
}
