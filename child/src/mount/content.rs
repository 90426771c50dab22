//! What is made in the new root: directories, symlinks, files from data; and masks over what is there.

use super::calls::*;
use super::source::is_memory;
use super::target::{Parent, open_in, place_for, resolve};
use super::{root_of, scratch_of, tree};
use crate::arch::nr;
use crate::plan::{Block, Op, data};
use crate::run::{Done, done};
use crate::sys;
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering::Relaxed;

#[inline(never)] // its buffer in the interpreter's frame would make every access to that one longer
pub fn make(block: &Block, op: &Op) -> Done {
    let [_, what, target, data, length, rest] = op.args;
    let (root, path, mode) = (root_of(block, op), block.address(target), rest as usize & 0o7777);
    if what == 0 {
        return file(block, op, block.address(data), length as usize, mode, block.address(rest >> 32));
    }
    if what == 3 {
        let place = open_in(root, path, 0, IN_ROOT_NO_MAGICLINKS)?;
        return closed(place, change_mode(root, path, place, mode));
    }
    if what == 1 && let Ok(there) = resolve(root, path, O_DIRECTORY) {
        return closed(there, Ok(0)); // as it is
    }
    let parent = Parent::of(root, path)?;
    let entry = match what {
        1 => mkdirat(parent.fd, parent.name, mode),
        _ => match made(sys::call(nr::SYMLINKAT, [block.address(data), parent.fd as usize, parent.name, 0, 0, 0])) {
            Err(sys::EEXIST) if says(parent.fd, parent.name, block.address(data)) => Ok(0),
            other => other,
        },
    };
    parent.close();
    entry
}

/// Whether the symlink `name` says `text` already.
fn says(directory: i32, name: usize, text: usize) -> bool {
    let mut path = MaybeUninit::<[u8; 4096]>::uninit();
    let length = sys::call(nr::READLINKAT, [directory as usize, name, path.as_mut_ptr() as usize, 4096, 0, 0]);
    if length != after(text) as isize - text as isize - 1 {
        return false;
    }
    // SAFETY: the kernel wrote `length` bytes, and the text has as many before its NUL.
    let (there, wanted) = unsafe {
        (core::slice::from_raw_parts(path.as_ptr().cast::<u8>(), length as usize), core::slice::from_raw_parts(text as *const u8, length as usize))
    };
    there.iter().zip(wanted).all(|(a, b)| a == b)
}

/// By fd: fchmodat2 from Linux 6.6; before it, a directory by its ".", anything else opened for reading.
fn change_mode(root: i32, path: usize, place: i32, mode: usize) -> Done {
    match done(sys::call(nr::FCHMODAT2, [place as usize, empty(), mode, sys::AT_EMPTY_PATH, 0, 0])) {
        Err(sys::ENOSYS) => {}
        changed => return changed,
    }
    let how = [(O_NONBLOCK | O_CLOEXEC) as u64, 0, IN_ROOT_NO_MAGICLINKS];
    if stat(place)?.is_directory() {
        return done(sys::call(nr::FCHMODAT, [place as usize, c".".as_ptr() as usize, mode, 0, 0, 0]));
    }
    let fd = done(sys::call(nr::OPENAT2, [root as usize, path, how.as_ptr() as usize, 24, 0, 0]))? as i32;
    closed(fd, done(sys::call(nr::FCHMOD, [fd as usize, mode, 0, 0, 0, 0])))
}

/// Written where memory of the child's own is; over what is there already, and on the host's trees, it is mounted.
fn file(block: &Block, op: &Op, content: usize, length: usize, mode: usize, name: usize) -> Done {
    let root = root_of(block, op);
    let path = block.address(op.args[2]);
    let flags = op.args[5] >> 16 & 0xff;
    if flags & data::MOUNT != 0 {
        let scratch = scratch_of(block, op);
        write_new(scratch, name, content, length, mode)?;
        let place = place_for(root, path, false)?;
        let writable = if flags & data::RW != 0 { 1 } else { 0 };
        return closed(place, cover(scratch, name, place, NOTHING & !8 & !writable));
    }
    if flags & data::IN_PLACE != 0 {
        Parent::of(root, path)?.close();
        // A pipe that a stranger left there must not keep it waiting for a reader.
        let open = |flags: usize, mode: usize| {
            let how = [(O_WRONLY | O_NONBLOCK | O_CLOEXEC | flags) as u64, mode as u64, IN_ROOT_NO_MAGICLINKS];
            done(sys::call(nr::OPENAT2, [root as usize, path, how.as_ptr() as usize, 24, 0, 0]))
        };
        return match open(O_CREAT_TRUNC & !0o100, 0) {
            Ok(fd) => closed(fd as i32, write_all(fd as i32, content, length)),
            Err(sys::ENOENT) => {
                let fd = open(O_CREAT_TRUNC, mode)? as i32;
                closed(fd, fill(fd, content, length, mode))
            }
            failed => failed,
        };
    }
    match resolve(root, path, 0) {
        Err(sys::ENOENT) => {}
        place => {
            let place = place?;
            let scratch = scratch_of(block, op);
            write_new(scratch, name, content, length, mode)?;
            let covered = cover(scratch, name, place, NOTHING & !8);
            return closed(place, covered);
        }
    }
    let parent = Parent::of(root, path)?;
    let written = match is_memory(tree(block, op), parent.fd) {
        Ok(true) => write_new(parent.fd, parent.name, content, length, mode),
        // Not on the host's disk.
        Ok(false) => Err(sys::EROFS),
        Err(errno) => Err(errno),
    };
    parent.close();
    written
}

fn write_new(directory: i32, name: usize, data: usize, length: usize, mode: usize) -> Done {
    let fd = openat(directory, name, O_CREAT_EXCL | O_NOFOLLOW | O_WRONLY, mode)? as i32;
    closed(fd, fill(fd, data, length, mode))
}

/// To write takes the set-user-ID and set-group-ID bits away.
fn fill(fd: i32, data: usize, length: usize, mode: usize) -> Done {
    write_all(fd, data, length)?;
    if mode & 0o6000 != 0 { done(sys::call(nr::FCHMOD, [fd as usize, mode, 0, 0, 0, 0])) } else { Ok(0) }
}

fn write_all(fd: i32, data: usize, length: usize) -> Done {
    let mut written = 0;
    while written < length {
        match done(sys::call(nr::WRITE, [fd as usize, data + written, length - written, 0, 0, 0])) {
            Ok(0) => return Err(sys::EIO),
            Ok(more) => written += more as usize,
            Err(errno) => return Err(errno),
        }
    }
    Ok(0)
}

/// What the scratch holds as `name` onto `place`.
fn cover(scratch: i32, name: usize, place: i32, attributes: usize) -> Done {
    let mount = open_tree(scratch as usize, name, OPEN_TREE_CLONE | O_CLOEXEC)? as i32;
    set_attributes(mount, attributes as u64, 0, 0)?;
    closed(mount, move_onto(mount, place))
}

pub fn mask(block: &Block, op: &Op) -> Done {
    let [_, target, left_out, ..] = op.args;
    let place = match resolve(root_of(block, op), block.address(target), 0) {
        Err(sys::ENOENT | sys::ENOTDIR) => {
            block.left_out.fetch_or(1 << (left_out & 63), Relaxed);
            return Ok(0);
        }
        place => place?,
    };
    let scratch = scratch_of(block, op);
    let is_directory = stat(place)?.is_directory();
    let (name, made) = if is_directory {
        let name = c"empty-directory".as_ptr() as usize;
        (name, mkdirat(scratch, name, 0o555))
    } else {
        let name = c"empty-file".as_ptr() as usize;
        (name, openat(scratch, name, O_CREAT_EXCL, 0o444).map(|fd| closed(fd as i32, 0)))
    };
    match made {
        Ok(_) | Err(sys::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    closed(place, cover(scratch, name, place, NOTHING))
}
