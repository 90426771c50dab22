//! The child's fds: its streams, what it is passed, and what its init holds.

use crate::cmd::check::{path, room};
use crate::cmd::Cmd;
use crate::error::{Error, Result, Stage};
use std::ffi::{CStr, c_int};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// Where a standard stream of the child goes.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_stdio {
    /// The host's (default); /dev/null where the host's is closed.
    SANDBOX_STDIO_INHERIT = 0,
    /// /dev/null.
    SANDBOX_STDIO_NULL = 1,
    /// A pipe, whose other end is the handle's.
    SANDBOX_STDIO_PIPE = 2,
    /// The fd given.
    SANDBOX_STDIO_FD = 3,
    /// A pseudoterminal, one for all the streams that ask; it becomes the controlling terminal of a new session.
    SANDBOX_STDIO_PTY = 4,
}

#[derive(Clone, Debug)]
pub enum Stdio {
    Inherit,
    Null,
    Pipe,
    Fd(Arc<OwnedFd>),
    Pty,
}

fn asked_twice(index: usize, target: RawFd) -> Error {
    Error::new(Stage::SANDBOX_STAGE_FD, index, libc::EINVAL, format_args!("fd {target} is asked for twice"))
}

impl Cmd {
    pub fn stdio(&mut self, target: c_int, mode: u32, fd: RawFd) -> Result<()> {
        let stage = Stage::SANDBOX_STAGE_STDIO;
        let index = usize::try_from(target).unwrap_or(usize::MAX);
        if index > 2 {
            return Err(Error::setup(libc::EINVAL, format_args!("stdio target {target}: not 0, 1 or 2")));
        }
        if let Some(index) = self.passed_as(target) {
            return Err(asked_twice(index, target));
        }
        let stream = match mode {
            0 => Stdio::Inherit,
            1 => Stdio::Null,
            2 => Stdio::Pipe,
            3 => Stdio::Fd(duplicate(fd, stage, index, &format!("fd {fd} for stdio {target}"))?),
            4 => Stdio::Pty,
            _ => return Err(Error::new(stage, index, libc::EINVAL, format_args!("stdio mode {mode} for {target}"))),
        };
        if let Some(place) = self.stdio.get_mut(index) {
            *place = stream;
        }
        if let Some(given) = self.stdio_given.get_mut(index) {
            *given = true;
        }
        Ok(())
    }

    pub fn pass_fd(&mut self, fd: RawFd, target: RawFd) -> Result<()> {
        let (stage, index) = (Stage::SANDBOX_STAGE_FD, self.passed.len());
        if target < 0 {
            return Err(Error::new(stage, index, libc::EINVAL, format_args!("pass fd {fd} as {target}")));
        }
        if self.passed_as(target).is_some() {
            return Err(asked_twice(index, target));
        }
        if usize::try_from(target).ok().and_then(|target| self.stdio.get(target)).is_some_and(|stream| !matches!(stream, Stdio::Inherit)) {
            return Err(Error::new(stage, index, libc::EINVAL, format_args!("fd {target} is asked for by stdio already")));
        }
        let fd = duplicate(fd, stage, index, &format!("fd {fd} to pass as {target}"))?;
        room(&mut self.passed, "passed fds")?;
        self.passed.push((fd, target));
        Ok(())
    }

    fn passed_as(&self, target: RawFd) -> Option<usize> {
        self.passed.iter().position(|(_, taken)| *taken == target)
    }

    pub fn init_fd(&mut self, fd: RawFd) -> Result<()> {
        let index = self.init_fds.len();
        let fd = duplicate(fd, Stage::SANDBOX_STAGE_INIT, index, &format!("fd {fd} for the init to hold"))?;
        room(&mut self.init_fds, "fds for the init to hold")?;
        self.init_fds.push(fd);
        Ok(())
    }

    pub fn init_lock(&mut self, file: &CStr) -> Result<()> {
        let file = path(file, "file to lock")?;
        room(&mut self.init_locks, "files to lock")?;
        self.init_locks.push(file);
        Ok(())
    }
}

/// The caller's fd stays the caller's: the command keeps a duplicate, close-on-exec and above 2.
pub fn duplicate(fd: RawFd, stage: Stage, index: usize, what: &str) -> Result<Arc<OwnedFd>> {
    // SAFETY: fcntl on a number; a number that is no fd gives EBADF.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(Error::last(stage, index, what));
    }
    // SAFETY: just made, and nobody else's.
    Ok(Arc::new(unsafe { OwnedFd::from_raw_fd(copy) }))
}
