//! Opening what a walk led to, or making it, so that neither blocks; and a new file is made the caller's.

use crate::notify::caller::open_at;
use crate::notify::tree::judge::{MAY_READ, MAY_SEARCH, MAY_WRITE};
use crate::notify::tree::node::Node;
use crate::notify::tree::walk::Walk;
use nix::errno::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

impl Walk<'_> {
    pub fn reopen(&self, node: &Node, flags: i32, mode: u32) -> Result<OwnedFd, Errno> {
        let is_directory = node.about.is(libc::S_IFDIR);
        if flags & libc::O_DIRECTORY != 0 && !is_directory {
            return Err(Errno::ENOTDIR);
        }
        if flags & libc::O_PATH != 0 {
            return Ok(node.copy()?.fd);
        }
        if node.about.is(libc::S_IFLNK) {
            return Err(Errno::ELOOP);
        }
        if is_directory && flags & libc::O_CREAT != 0 {
            return Err(Errno::EISDIR);
        }
        let makes_file = flags & libc::O_TMPFILE == libc::O_TMPFILE;
        let reads = matches!(flags & libc::O_ACCMODE, libc::O_RDONLY | libc::O_RDWR) && !makes_file;
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || flags & libc::O_TRUNC != 0;
        if writes && node.about.is_procfs {
            return Err(Errno::EACCES);
        }
        let wanted = if reads { MAY_READ } else { 0 } | if writes { MAY_WRITE } else { 0 } | if makes_file { MAY_SEARCH } else { 0 };
        self.judge(node, wanted)?;
        if flags & libc::O_NOATIME != 0 && self.is_judge && self.notify.status()?.fsuid != node.about.uid {
            return Err(Errno::EPERM);
        }
        // /dev/tty is whatever terminal the opener's session has: here the host's.
        if node.about.is(libc::S_IFCHR) && node.about.rdev == (5, 0) {
            return Err(Errno::ENXIO);
        }
        let opened = self.notify.reopen(node.fd.as_raw_fd(), flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW) | libc::O_NONBLOCK | libc::O_NOCTTY)?;
        if makes_file {
            self.own(&opened, node, mode)?;
        }
        as_asked(opened, flags)
    }

    /// The mode is set afterwards: the host's umask is not the caller's.
    pub fn create(&self, name: &[u8], flags: i32, mode: u32) -> Result<OwnedFd, Errno> {
        if self.here.about.is_procfs {
            return Err(Errno::EACCES);
        }
        self.judge(&self.here, MAY_WRITE | MAY_SEARCH)?;
        let name = CString::new(name).map_err(|_| Errno::ENOENT)?;
        let flags_now = flags & !libc::O_TRUNC | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
        let made = open_at(self.here.fd.as_fd(), &name, flags_now)?;
        self.own(&made, &self.here, mode).and_then(|()| as_asked(made, flags)).inspect_err(|_| {
            // SAFETY: a string.
            unsafe { libc::unlinkat(self.here.fd.as_raw_fd(), name.as_ptr(), 0) };
        })
    }

    /// Gives a new file to the caller.
    fn own(&self, made: &OwnedFd, directory: &Node, mode: u32) -> Result<(), Errno> {
        let caller = self.notify.status()?;
        let hands_group_down = directory.about.mode & libc::S_ISGID != 0;
        let gid = if hands_group_down { u32::MAX } else { caller.fsgid };
        let made = made.as_raw_fd();
        let mut mode = mode & 0o7777 & !caller.umask;
        if hands_group_down && self.is_judge && directory.about.gid != caller.fsgid && !caller.groups.contains(&directory.about.gid) {
            mode &= !libc::S_ISGID;
        }
        // SAFETY: an fd and numbers. The owner first: a change of owner takes set-id bits away.
        let failed = unsafe { self.is_judge && libc::fchown(made, caller.fsuid, gid) < 0 || libc::fchmod(made, mode) < 0 };
        if failed { Err(Errno::last()) } else { Ok(()) }
    }
}

/// It was opened so that it would not block; from here on that is the caller's choice.
fn as_asked(opened: OwnedFd, flags: i32) -> Result<OwnedFd, Errno> {
    if flags & libc::O_NONBLOCK != 0 {
        return Ok(opened);
    }
    // SAFETY: an fd and numbers.
    let failed = unsafe {
        let now = libc::fcntl(opened.as_raw_fd(), libc::F_GETFL);
        now < 0 || libc::fcntl(opened.as_raw_fd(), libc::F_SETFL, now & !libc::O_NONBLOCK) < 0
    };
    if failed { Err(Errno::last()) } else { Ok(opened) }
}
