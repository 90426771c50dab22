//! The mappings of one spawn: the child's stack below a guard page, and the block that host and child share.

use crate::error::{Error, Result};
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{Acquire, Release};

/// A few stacks of the usual size, kept for the next spawns. To unmap one would cost more than all else that the host
/// does for a spawn: the processor that the child ran on must be interrupted to forget it.
static SPARE: [AtomicPtr<u8>; 16] = [const { AtomicPtr::new(ptr::null_mut()) }; 16];
const USUAL: usize = 64 << 10;

/// A mapping, gone when dropped.
#[derive(Debug)]
pub struct Mapping {
    base: *mut u8,
    length: usize,
    /// Of the usual size and kind: spare once it is dropped.
    is_usual: bool,
}

// SAFETY: plain memory; what is read and written in it is the users' to order.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// The stack of a child or a keeper in shared memory: raw calls need little.
pub const USUAL_STACK: usize = 16 << 10;

pub fn page_size() -> usize {
    // SAFETY: no pointers.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

impl Mapping {
    fn new(length: usize, flags: libc::c_int, fd: RawFd) -> Result<Mapping> {
        Self::at_offset(length, flags, fd, 0)
    }

    fn at_offset(length: usize, flags: libc::c_int, fd: RawFd, offset: libc::off_t) -> Result<Mapping> {
        let length = length.next_multiple_of(page_size());
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, fd, offset) };
        if base == libc::MAP_FAILED {
            return Err(Error::setup(libc::ENOMEM, format_args!("{length} bytes for a child's start")));
        }
        Ok(Mapping { base: base.cast(), length, is_usual: false })
    }

    /// `size` bytes of stack above a guard page, and `above` bytes on top of it. An overflow is a SIGSEGV, no corruption.
    pub fn stack(size: usize, above: usize) -> Result<(Mapping, usize)> {
        let page = page_size();
        let top = page + size.next_multiple_of(page);
        let is_usual = size == USUAL_STACK && top + above <= USUAL;
        if is_usual && let Some(base) = SPARE.iter().map(|spare| spare.swap(ptr::null_mut(), Acquire)).find(|base| !base.is_null()) {
            return Ok((Mapping { base, length: USUAL, is_usual }, top));
        }
        let length = if is_usual { USUAL } else { top + above };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        let mut mapping = Mapping::new(length, flags, -1)?;
        // SAFETY: the first page of our own mapping, which nothing uses.
        if unsafe { libc::mprotect(mapping.base.cast(), page, libc::PROT_NONE) } < 0 {
            return Err(Error::setup(libc::ENOMEM, "the guard page of a child's stack"));
        }
        mapping.is_usual = is_usual;
        Ok((mapping, top))
    }

    /// Memory that a child with a copy of ours still shares with us; of `fd` where another program is to map it too.
    pub fn shared(length: usize, fd: Option<RawFd>) -> Result<Mapping> {
        match fd {
            Some(fd) => Mapping::new(length, libc::MAP_SHARED, fd),
            None => Mapping::new(length, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1),
        }
    }

    /// A later part of the same, of which the first `likely` bytes will be touched (from Linux 5.14 on they are here).
    pub fn shared_at(length: usize, fd: RawFd, offset: usize, likely: usize) -> Result<Mapping> {
        const MADV_POPULATE_WRITE: libc::c_int = 23;
        let mapping = Self::at_offset(length, libc::MAP_SHARED, fd, libc::off_t::try_from(offset).unwrap_or(-1))?;
        // SAFETY: our own mapping, which is not shorter.
        unsafe { libc::madvise(mapping.base.cast(), likely.min(length), MADV_POPULATE_WRITE) };
        Ok(mapping)
    }

    pub fn at(&self, offset: usize) -> *mut u8 {
        self.base.wrapping_add(offset)
    }

    pub fn length(&self) -> usize {
        self.length
    }

    /// Hands the mapping to the one who will unmap it.
    pub fn leak(self) {
        std::mem::forget(self);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let is_free = |spare: &AtomicPtr<u8>| spare.compare_exchange(ptr::null_mut(), self.base, Release, Acquire).is_ok();
        if self.is_usual && SPARE.iter().any(is_free) {
            return;
        }
        // SAFETY: our own mapping, whose last user is gone.
        unsafe { libc::munmap(self.base.cast(), self.length) };
    }
}
