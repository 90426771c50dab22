//! The calls that the mounts are made of.

use crate::arch::nr;
use crate::run::{Done, done};
use crate::sys;

pub(super) use crate::sys::{AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_PATH};

pub(super) const AT_RECURSIVE: usize = 0x8000;
pub(super) const OPEN_TREE_CLONE: usize = 1;
pub(super) const O_CREAT_EXCL: usize = 0o300;
pub(super) const O_CREAT_TRUNC: usize = 0o1100;
pub(super) const O_WRONLY: usize = 1;
pub(super) const S_IFMT: u16 = 0o170_000;
pub(super) const S_IFDIR: u16 = 0o040_000;
/// RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS.
pub(super) const IN_ROOT_NO_MAGICLINKS: u64 = 0x10 | 0x02;
/// Read-only, no set-user-ID, no devices, no programs.
pub(super) const NOTHING: usize = 1 | 2 | 4 | 8;

pub(super) fn closed<T>(fd: i32, result: T) -> T {
    sys::close(fd);
    result
}

pub(super) fn empty() -> usize {
    c"".as_ptr() as usize
}

/// Where the string behind the one at `text` begins.
pub(super) fn after(text: usize) -> usize {
    let mut at = text;
    // SAFETY: the host ended every string with a NUL.
    while unsafe { *(at as *const u8) } != 0 {
        at += 1;
    }
    at + 1
}

pub(super) fn open_tree(from: usize, path: usize, flags: usize) -> Done {
    done(sys::call(nr::OPEN_TREE, [from, path, flags, 0, 0, 0]))
}

pub(super) fn openat(from: i32, path: usize, flags: usize, mode: usize) -> Done {
    done(sys::call(nr::OPENAT, [from as usize, path, flags | O_CLOEXEC, mode, 0, 0]))
}

pub(super) fn mkdirat(from: i32, path: usize, mode: usize) -> Done {
    made(sys::call(nr::MKDIRAT, [from as usize, path, mode, 0, 0, 0]))
}

/// In a directory that is there: of one that takes no entries (proc's) the kernel says that the entry is not there.
pub(super) fn made(result: isize) -> Done {
    done(if result == -(sys::ENOENT as isize) { -(sys::EROFS as isize) } else { result })
}

pub(super) fn set_attributes(fd: i32, set: u64, clear: u64, recursive: usize) -> Done {
    if set | clear == 0 {
        return Ok(0);
    }
    let attributes = [set, clear, 0, 0]; // struct mount_attr: set, clear, propagation, user namespace
    done(sys::call(nr::MOUNT_SETATTR, [fd as usize, empty(), sys::AT_EMPTY_PATH | recursive, attributes.as_ptr() as usize, 32, 0]))
}

/// The mount at `fd` onto what is open at `place`.
pub(super) fn move_onto(fd: i32, place: i32) -> Done {
    const BOTH_EMPTY: usize = 0x4 | 0x40; // MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH
    done(sys::call(nr::MOVE_MOUNT, [fd as usize, empty(), place as usize, empty(), BOTH_EMPTY, 0]))
}

/// The mount at `fd` onto a path, of which the last component is followed nowhere.
pub(super) fn move_to(fd: i32, from: usize, path: usize) -> Done {
    done(sys::call(nr::MOVE_MOUNT, [fd as usize, empty(), from, path, 0x4, 0]))
}

pub(super) struct Stat {
    pub(super) mode: u16,
    /// The uid, and above it the gid.
    pub(super) owners: u64,
    pub(super) inode: u64,
    pub(super) device: u64,
    pub(super) mount: u64,
}

pub(super) fn stat(fd: i32) -> Result<Stat, i32> {
    const WANTED: usize = 1 | 2 | 8 | 0x10 | 0x100 | 0x1000; // type, mode, uid, gid, inode, mount id
    let mut buffer = sys::Buffer::<256>::new();
    let filled = buffer.filled(|at, _| match sys::call(nr::STATX, [fd as usize, empty(), sys::AT_EMPTY_PATH, WANTED, at, 0]) {
        0 => 256,
        failed => failed,
    })?;
    // struct statx: uid at 20, gid at 24, mode at 28, inode at 32, device major and minor at 136, mount id at 144.
    let number = |at: usize| filled.get(at..at + 8).and_then(|bytes| bytes.first_chunk()).map(|bytes| u64::from_ne_bytes(*bytes));
    match (filled.get(28..30), number(20), number(32), number(136), number(144)) {
        (Some(&[low, high]), Some(owners), Some(inode), Some(device), Some(mount)) => Ok(Stat { mode: u16::from_ne_bytes([low, high]), owners, inode, device, mount }),
        _ => Err(sys::EIO),
    }
}

impl Stat {
    pub(super) fn is_directory(&self) -> bool {
        self.mode & S_IFMT == S_IFDIR
    }
}
