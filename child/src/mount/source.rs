//! What is to be mounted, as mounts without a place: what the host's tree has, and new filesystems.

use super::calls::*;
use super::{set_cell, tree};
use crate::arch::nr;
use crate::plan::{Block, NONE, Op, Tree, kind};
use crate::run::{Done, done};
use crate::sys;
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering::Relaxed;

pub fn open(block: &Block, op: &Op) -> Done {
    let [source, cell, flags, set, clear, left_out] = op.args;
    let flags = flags as usize;
    let opened = if op.kinds[0] == kind::SLOT {
        let fd = block.slot(source);
        // Done with: a symlink to it in the new root (/proc/self/fd) must not lead to what lies around the source.
        block.set_slot(source, -1);
        closed(fd, found_again(fd, flags))
    } else {
        open_tree(AT_FDCWD, block.address(source), flags)
    };
    let fd = match opened {
        Err(sys::ENOENT | sys::ENOTDIR) if left_out != u64::from(NONE) => {
            block.left_out.fetch_or(1 << (left_out & 63), Relaxed);
            set_cell(block, cell, -1);
            return Ok(0);
        }
        other => other? as i32,
    };
    set_cell(block, cell, fd);
    set_attributes(fd, set, clear, flags & AT_RECURSIVE)
}

/// The host's fd belongs to a mount of the host's namespace, which the kernel will not copy from here; and a path can
/// be swapped (CVE-2024-42472). So what is at the fd's path in this namespace is opened, and must be the same object.
#[inline(never)] // as content's `make`
fn found_again(fd: i32, flags: usize) -> Done {
    match open_tree(fd as usize, empty(), flags | sys::AT_EMPTY_PATH) {
        Err(sys::EINVAL) => {}
        other => return other,
    }
    let wanted = stat(fd)?;
    let mut patience = 1000;
    loop {
        match open_same(fd, &wanted, flags) {
            Err(sys::ESTALE | sys::ENOENT | sys::ENOTDIR | sys::ELOOP) if patience > 0 => patience -= 1,
            Err(sys::ENOENT | sys::ENOTDIR | sys::ELOOP) => return Err(sys::ESTALE),
            other => return other,
        }
    }
}

fn open_same(fd: i32, wanted: &Stat, flags: usize) -> Done {
    const PREFIX: &[u8] = b"/proc/self/fd/";
    let mut link = [0u8; 32];
    let digits = run_digits(fd);
    for (place, byte) in link.iter_mut().zip(PREFIX.iter().chain(digits.iter().skip_while(|byte| **byte == b'0'))) {
        *place = *byte;
    }
    let mut path = MaybeUninit::<[u8; 4097]>::uninit();
    let at = path.as_mut_ptr() as usize;
    let length = done(sys::call(nr::READLINKAT, [AT_FDCWD, link.as_ptr() as usize, at, 4096, 0, 0]))?;
    // SAFETY: the kernel wrote no more than 4096 bytes.
    unsafe { *((at + length as usize) as *mut u8) = 0 };
    let found = openat(AT_FDCWD as i32, at, O_PATH | O_NOFOLLOW, 0)? as i32;
    let same = stat(found).and_then(|seen| if (seen.inode, seen.device) == (wanted.inode, wanted.device) { Ok(0) } else { Err(sys::ESTALE) });
    closed(found, same.and_then(|_: isize| open_tree(found as usize, empty(), flags | sys::AT_EMPTY_PATH)))
}

/// Ten digits, with leading zeros; an fd here is never 0.
fn run_digits(fd: i32) -> [u8; 10] {
    let mut digits = [b'0'; 10];
    let mut rest = fd as u32;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

pub fn new(block: &Block, op: &Op) -> Done {
    const FSCONFIG_SET_STRING: usize = 1;
    const FSCONFIG_CMD_CREATE: usize = 6;
    const CLOEXEC: usize = 1; // of fsopen and fsmount
    let [_, config, cell, attributes, is_memory, _] = op.args;
    let name = block.address(config);
    let context = done(sys::call(nr::FSOPEN, [name, CLOEXEC, 0, 0, 0, 0]))? as i32;
    let configure = |command, key, value| done(sys::call(nr::FSCONFIG, [context as usize, command, key, value, 0, 0]));
    let mut key = after(name);
    // SAFETY: the host ended the pairs with an empty key.
    while unsafe { *(key as *const u8) } != 0 {
        configure(FSCONFIG_SET_STRING, key, after(key))?;
        key = after(after(key));
    }
    configure(FSCONFIG_CMD_CREATE, 0, 0)?;
    let mount = done(sys::call(nr::FSMOUNT, [context as usize, CLOEXEC, attributes as usize, 0, 0, 0]))? as i32;
    sys::close(context);
    set_cell(block, cell, mount);
    if is_memory != 0 { remember(tree(block, op), mount) } else { Ok(0) }
}

/// Notes that what is on `mount` is memory of the child's own.
pub(super) fn remember(tree: *mut Tree, mount: i32) -> Done {
    let device = stat(mount)?.device;
    // SAFETY: the host left room for one device number a filesystem that is remembered.
    unsafe {
        let count = (*tree).memories;
        *tree.add(1).cast::<u64>().add(count as usize) = device;
        (*tree).memories = count + 1;
    }
    Ok(0)
}

pub(super) fn is_memory(tree: *const Tree, fd: i32) -> Result<bool, i32> {
    let device = stat(fd)?.device;
    // SAFETY: as above; all of them were written.
    let known = unsafe { core::slice::from_raw_parts(tree.add(1).cast::<u64>(), (*tree).memories as usize) };
    Ok(known.contains(&device))
}
