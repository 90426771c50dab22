//! File descriptors of the host's side: close-on-exec, never below 3.

use nix::errno::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// The call that gave `fd` failed, or it did not and the fd is ours. One that landed on 0–2, because the host has those
/// closed, is moved up.
pub fn owned(fd: RawFd) -> Result<OwnedFd, Errno> {
    if fd < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the caller just made it, and hands it over.
    above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub fn above_stdio(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() > 2 { Ok(fd) } else { duplicate(fd.as_raw_fd(), 3) }
}

/// A close-on-exec copy, at `least` or above.
pub fn duplicate(fd: RawFd, least: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: fcntl on a number; what is no fd gives EBADF.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, least) };
    if copy < 0 {
        return Err(Errno::last());
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Of an fd that is closed the errno is EBADF.
pub fn is_terminal(fd: RawFd) -> bool {
    // SAFETY: isatty on a number.
    unsafe { libc::isatty(fd) == 1 }
}

/// The same file at a random number, where the table allows; the one given is closed.
pub fn scattered(fd: OwnedFd) -> OwnedFd {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a struct of ours to fill.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let highest = i32::try_from(limit.rlim_cur.min(1 << 16)).unwrap_or(1 << 16);
    for _ in 0..8 {
        let mut random = 0u32;
        // SAFETY: four bytes of ours to fill.
        if unsafe { libc::getrandom((&raw mut random).cast(), 4, 0) } != 4 {
            break;
        }
        let span = u32::try_from(highest - 64).unwrap_or(0);
        let Some(offset) = random.checked_rem(span) else { break };
        if let Ok(copy) = duplicate(fd.as_raw_fd(), 64 + offset.cast_signed()) {
            return copy;
        }
    }
    fd
}

/// True once `pidfd`'s process has ended.
pub fn has_ended(pidfd: RawFd) -> bool {
    wait_readable(pidfd, 0) == Ok(true)
}

/// Waits for at most `milliseconds` (-1: for ever) in one go; EINTR is the caller's to handle.
pub fn wait_readable(fd: RawFd, milliseconds: i32) -> Result<bool, Errno> {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd of ours.
    match unsafe { libc::poll(&raw mut poll, 1, milliseconds) } {
        ready if ready < 0 => Err(Errno::last()),
        ready => Ok(ready > 0),
    }
}
