//! The child's image, embedded here once: code that children run in this memory, and that is the trampoline's program,
//! run from a sealed memfd, made anew for each spawn that needs it.

use crate::diagnose::{Refused, diagnose};
use crate::error::{Error, Result, Stage};
use crate::fd;
use nix::errno::Errno;
use sandbox_child::plan::image as at;
use std::arch::naked_asm;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

const LENGTH: usize = include_bytes!(concat!(env!("OUT_DIR"), "/image")).len();

/// Where the image lies: among this library's own instructions, so that it can be entered. It runs at any address, but
/// aarch64 counts an address from the page that an instruction is in.
#[unsafe(naked)]
extern "C" fn image() -> *const u8 {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("lea rax, [rip + 2f]", "ret", ".balign 64", "2:", concat!(".incbin \"", env!("OUT_DIR"), "/image\""), options(raw));
    #[cfg(target_arch = "aarch64")]
    naked_asm!("adrp x0, 2f", "ret", ".balign 4096", "2:", concat!(".incbin \"", env!("OUT_DIR"), "/image\""), options(raw));
}

/// A function of the image.
pub type Entry = extern "C" fn(*mut u8) -> !;

fn entry(offset: usize) -> Entry {
    // SAFETY: the image has such a function there: its link makes sure of that.
    unsafe { std::mem::transmute::<*const u8, Entry>(image().wrapping_add(offset)) }
}

/// Where a clone enters: given its block.
pub fn child() -> Entry {
    entry(at::CHILD)
}

/// Where a keeper enters: given its order.
pub fn keep() -> Entry {
    entry(at::KEEP)
}

// memfd_create's flags of Linux 6.3: say whether the file may be executed, or a sysctl decides it.
const MFD_NOEXEC_SEAL: u32 = 8;
const MFD_EXEC: u32 = 16;

fn failed(errno: Errno, what: &str) -> Error {
    let hint = if errno == Errno::EFBIG { "the host's RLIMIT_FSIZE is below its size" } else { "" };
    Error::new(Stage::SANDBOX_STAGE_TRAMPOLINE, 0, errno as i32, what).hint(hint)
}

/// What goes beyond the limit is SIGXFSZ to the host, in memory too.
fn fits(length: usize) -> nix::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a struct of ours to fill.
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    if u64::try_from(length).unwrap_or(u64::MAX) > limit.rlim_cur { Err(Errno::EFBIG) } else { Ok(()) }
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
    // SAFETY: the image is that long.
    let program = unsafe { std::slice::from_raw_parts(image(), LENGTH) };
    sealed(c"sandbox-spawn", program, MFD_EXEC).map_err(|errno| {
        failed(errno, "memfd for the trampoline").hint(diagnose(&Refused::Memfd, errno as i32))
    })
}

/// A file of these bytes, for a program to read: no change gets into it, and none of it is executed.
pub fn input(bytes: &[u8]) -> nix::Result<OwnedFd> {
    sealed(c"sandbox-input", bytes, MFD_NOEXEC_SEAL)
}

fn sealed(name: &CStr, bytes: &[u8], newer: u32) -> nix::Result<OwnedFd> {
    fits(bytes.len())?;
    let file = create(name, libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING, newer)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: the bytes are ours. By position: the reader begins at 0.
        let at = libc::off_t::try_from(bytes.len() - rest.len()).unwrap_or(libc::off_t::MAX);
        let written = unsafe { libc::pwrite(file.as_raw_fd(), rest.as_ptr().cast(), rest.len(), at) };
        match usize::try_from(written) {
            Ok(0) => return Err(Errno::EIO),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(_) if Errno::last() == Errno::EINTR => {}
            Err(_) => return Err(Errno::last()),
        }
    }
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: fcntl takes a number.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
        return Err(Errno::last());
    }
    Ok(file)
}

/// `length` bytes of memory that host and trampoline share.
pub fn memory(length: usize) -> Result<OwnedFd> {
    let file = create(c"sandbox-plan", libc::MFD_CLOEXEC, MFD_NOEXEC_SEAL).map_err(|errno| failed(errno, "memfd for the plan"))?;
    resize(file.as_raw_fd(), length)?;
    Ok(file)
}

pub fn resize(fd: RawFd, length: usize) -> Result<()> {
    fits(length).map_err(|errno| failed(errno, "size the plan's memfd"))?;
    let length = libc::off_t::try_from(length).unwrap_or(libc::off_t::MAX);
    // SAFETY: no pointers.
    if unsafe { libc::ftruncate(fd, length) } < 0 {
        return Err(failed(Errno::last(), "size the plan's memfd"));
    }
    Ok(())
}
