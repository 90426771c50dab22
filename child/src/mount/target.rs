//! Where something is to be mounted or made: found in the new root, and made there where it is missing.

use super::calls::*;
use crate::arch::nr;
use crate::run::{Done, done};
use crate::sys;

/// Opens in the new root. Through symlinks a path may lead to the root itself: what is mounted there nobody would see.
pub(super) fn resolve(root: i32, path: usize, flags: usize) -> Result<i32, i32> {
    const NO_SYMLINKS: u64 = 0x04;
    match open_in(root, path, flags, IN_ROOT_NO_MAGICLINKS | NO_SYMLINKS) {
        Err(sys::ELOOP) => {}
        other => return other,
    }
    let fd = open_in(root, path, flags, IN_ROOT_NO_MAGICLINKS)?;
    let (seen, whole) = (stat(fd)?, stat(root)?);
    if (seen.inode, seen.device, seen.mount) == (whole.inode, whole.device, whole.mount) { closed(fd, Err(sys::EBUSY)) } else { Ok(fd) }
}

/// A rename or mount meanwhile can make the kernel ask for another try.
pub(super) fn open_in(root: i32, path: usize, flags: usize, how: u64) -> Result<i32, i32> {
    let how = [(O_PATH | O_CLOEXEC | flags) as u64, 0, how];
    let mut patience = 10_000;
    loop {
        match done(sys::call(nr::OPENAT2, [root as usize, path, how.as_ptr() as usize, 24, 0, 0])) {
            Err(sys::EAGAIN) if patience > 0 => patience -= 1,
            Err(errno) => return Err(errno),
            Ok(fd) => return Ok(fd as i32),
        }
    }
}

const NOT_OPEN: i32 = -1;

/// The directory that the target's last component is in, made with what leads to it, and that component.
pub(super) struct Parent {
    pub(super) fd: i32,
    is_root: bool,
    pub(super) name: usize,
}

impl Parent {
    pub(super) fn of(root: i32, path: usize) -> Result<Parent, i32> {
        let mut here = Parent { fd: root, is_root: true, name: path };
        let mut at = path;
        loop {
            // SAFETY: the host laid a NUL-terminated path without doubled slashes there, this spawn's own copy.
            let byte = unsafe { *(at as *const u8) };
            if byte == 0 {
                return Ok(here);
            }
            if byte == b'/' {
                // SAFETY: as above; the path is whole again right after.
                let next = unsafe {
                    *(at as *mut u8) = 0;
                    let next = here.step(root, path);
                    *(at as *mut u8) = b'/';
                    next
                };
                here.close();
                here = Parent { fd: next?, is_root: false, name: at + 1 };
            }
            at += 1;
        }
    }

    /// `path` ends with our `name` now. What can't be made because a dangling symlink is there stays absent; where
    /// nothing can be made there may be something all the same, on a read-only filesystem say.
    fn step(&self, root: i32, path: usize) -> Result<i32, i32> {
        match mkdirat(self.fd, self.name, 0o755) {
            Ok(_) | Err(sys::EEXIST) => open_in(root, path, O_DIRECTORY, IN_ROOT_NO_MAGICLINKS),
            Err(errno) => match open_in(root, path, O_DIRECTORY, IN_ROOT_NO_MAGICLINKS) {
                Err(sys::ENOENT) => Err(errno),
                other => other,
            },
        }
    }

    /// Its last component: the file is open then.
    fn make(&self, is_directory: bool) -> Result<i32, i32> {
        if is_directory {
            return mkdirat(self.fd, self.name, 0o755).map(|_| NOT_OPEN);
        }
        made(sys::call(nr::OPENAT, [self.fd as usize, self.name, O_CREAT_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0o444, 0, 0])).map(|fd| fd as i32)
    }

    pub(super) fn close(&self) {
        if !self.is_root {
            sys::close(self.fd);
        }
    }
}

/// Opens the target; where it is not there, makes it first: a directory or an empty file.
pub(super) fn place_for(root: i32, path: usize, is_directory: bool) -> Result<i32, i32> {
    match resolve(root, path, 0) {
        Err(sys::ENOENT) => {}
        other => return other,
    }
    let parent = Parent::of(root, path)?;
    let made = parent.make(is_directory);
    parent.close();
    match made {
        // A dangling symlink is there: it is not made to lead somewhere.
        Ok(NOT_OPEN) | Err(sys::EEXIST) => resolve(root, path, 0),
        made => made,
    }
}

/// The mount at `fd` onto its target. One directly below the root is mostly not there yet: it is made unasked.
pub(super) fn lay(fd: i32, root: i32, path: usize) -> Done {
    let is_directory = stat(fd)?.is_directory();
    if is_directory && is_one_name(path) && mkdirat(root, path, 0o755).is_ok() {
        return move_to(fd, root as usize, path); // follows no symlink that a stranger puts there meanwhile
    }
    let place = place_for(root, path, is_directory)?;
    closed(place, move_onto(fd, place))
}

fn is_one_name(path: usize) -> bool {
    // SAFETY: the host ended the path with a NUL.
    (0..after(path) - path).all(|at| unsafe { *((path + at) as *const u8) } != b'/')
}
