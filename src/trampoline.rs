//! The trampoline's program: embedded here, run from a sealed memfd, made anew for each spawn that needs it.

use crate::error::{Error, Result, Stage};
use crate::fd;
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/trampoline"));

// memfd_create's flags of Linux 6.3: say whether the file may be executed, or a sysctl decides it.
const MFD_NOEXEC_SEAL: u32 = 8;
const MFD_EXEC: u32 = 16;

fn failed(errno: Errno, what: &str) -> Error {
    Error::new(Stage::SANDBOX_STAGE_TRAMPOLINE, 0, errno as i32, what)
}

fn create(name: &CStr, flags: u32, newer: u32) -> nix::Result<OwnedFd> {
    // SAFETY: a constant name.
    let create = |flags| fd::owned(unsafe { libc::memfd_create(name.as_ptr(), flags) });
    match create(flags | newer) {
        Err(Errno::EINVAL) => create(flags),
        other => other,
    }
}

/// The program, closed to every change: what runs is what was built, whoever gets hold of it.
pub fn program() -> Result<OwnedFd> {
    let file = create(c"sandbox-spawn", libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING, MFD_EXEC).map_err(|errno| {
        let hint = if errno == Errno::EACCES { "the sysctl vm.memfd_noexec forbids executable memfds" } else { "" };
        failed(errno, "memfd for the trampoline").hint(hint)
    })?;
    // SAFETY: the bytes are ours; fcntl takes a number.
    let written = unsafe { libc::write(file.as_raw_fd(), PROGRAM.as_ptr().cast(), PROGRAM.len()) };
    if usize::try_from(written) != Ok(PROGRAM.len()) {
        return Err(failed(Errno::last(), "write the trampoline to its memfd"));
    }
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: as above.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
        return Err(failed(Errno::last(), "seal the trampoline's memfd"));
    }
    Ok(file)
}

/// `length` bytes of memory that host and trampoline share.
pub fn memory(length: usize) -> Result<OwnedFd> {
    let file = create(c"sandbox-plan", libc::MFD_CLOEXEC, MFD_NOEXEC_SEAL).map_err(|errno| failed(errno, "memfd for the plan"))?;
    resize(file.as_raw_fd(), length)?;
    Ok(file)
}

fn resize(fd: RawFd, length: usize) -> Result<()> {
    let length = libc::off_t::try_from(length).unwrap_or(libc::off_t::MAX);
    // SAFETY: no pointers.
    if unsafe { libc::ftruncate(fd, length) } < 0 {
        return Err(failed(Errno::last(), "size the plan's memfd"));
    }
    Ok(())
}
