//! The new root: what is to be mounted is opened in the host's tree first, as mounts without a place; then the root
//! goes over the host's, everything onto its target below it, and the old root away.
//! A target is resolved in the new root alone (RESOLVE_IN_ROOT), and what is made on the way to it is made by fd: no
//! symlink of a hostile tree leads out (CVE-2021-30465). All of it happens in a mount namespace of the child's own.

mod calls;
mod content;
mod overlay;
mod source;
mod target;

use crate::arch::nr;
use crate::plan::{Block, Op, Tree};
use crate::run::{Done, done};
use crate::sys;
use calls::*;
use target::{lay, open_in};

pub use content::{make, mask};
pub use overlay::{hold, overlay};
pub use source::{new, open};

fn tree(block: &Block, op: &Op) -> *mut Tree {
    block.address(op.args[0]) as *mut Tree
}

/// The root's fd, or the scratch's.
fn root_of(block: &Block, op: &Op) -> i32 {
    // SAFETY: the host laid a Tree at the first argument's offset; only this process touches it.
    unsafe { (*tree(block, op)).root }
}

fn scratch_of(block: &Block, op: &Op) -> i32 {
    // SAFETY: as above.
    unsafe { (*tree(block, op)).scratch }
}

fn cell(block: &Block, offset: u64) -> i32 {
    // SAFETY: the host laid a cell at the offset.
    unsafe { *(block.address(offset) as *const i32) }
}

fn set_cell(block: &Block, offset: u64, fd: i32) {
    // SAFETY: as above; only this process touches it.
    unsafe { *(block.address(offset) as *mut i32) = fd }
}

pub fn begin(block: &Block, op: &Op) -> Done {
    const MS_REC_PRIVATE: usize = 0x4000 | 0x4_0000;
    done(sys::call(nr::MOUNT, [0, c"/".as_ptr() as usize, 0, MS_REC_PRIVATE, 0, 0]))?;
    if op.args[0] != 0 {
        let umask = sys::call(nr::UMASK, [0; 6]);
        // SAFETY: as in `root_of`.
        unsafe { (*tree(block, op)).umask = umask as i32 };
    }
    Ok(0)
}

#[inline(never)] // the image is smaller so
pub fn attach(block: &Block, op: &Op) -> Done {
    let [_, from, target, keeps, is_root, _] = op.args;
    let mount = cell(block, from);
    if mount < 0 {
        return Ok(0); // an absent source that may be
    }
    if target == 0 {
        // Mounts of one place lie on one another: this lands on top of them.
        move_to(mount, AT_FDCWD, c"/".as_ptr() as usize)?;
        // SAFETY: as in `root_of`.
        let tree = unsafe { &mut *tree(block, op) };
        tree.over += 1;
        if is_root != 0 {
            sys::close(tree.root);
            tree.root = mount;
        }
    } else {
        lay(mount, root_of(block, op), block.address(target))?;
    }
    if keeps == 0 {
        sys::close(mount);
    }
    Ok(0)
}

pub fn remount(block: &Block, op: &Op) -> Done {
    let [_, target, set, covers, ..] = op.args;
    let place = match open_in(root_of(block, op), block.address(target), 0, IN_ROOT_NO_MAGICLINKS) {
        Err(sys::ENOENT) if covers != 0 => return Ok(0),
        place => place?,
    };
    if covers == 0 {
        return closed(place, set_attributes(place, set, 0, 0));
    }
    let mount = open_tree(place as usize, empty(), OPEN_TREE_CLONE | O_CLOEXEC | AT_RECURSIVE | sys::AT_EMPTY_PATH)? as i32;
    set_attributes(mount, set, 0, AT_RECURSIVE)?;
    let moved = closed(mount, move_onto(mount, place));
    closed(place, moved)
}

pub fn seal(block: &Block, op: &Op) -> Done {
    let mount = cell(block, op.args[0]);
    set_attributes(mount, op.args[1], 0, 0)?;
    if op.args[2] != 0 {
        sys::close(mount);
    }
    Ok(0)
}

/// pivot_root(".", ".") puts the old root over the new one, from where it is taken away: no directory is needed for it.
pub fn pivot(block: &Block, op: &Op) -> Done {
    const MNT_DETACH: usize = 2;
    let here = c".".as_ptr() as usize;
    let root = root_of(block, op);
    done(sys::call(nr::FCHDIR, [root as usize, 0, 0, 0, 0, 0]))?;
    done(sys::call(nr::PIVOT_ROOT, [here, here, 0, 0, 0, 0]))?;
    let unmount = || done(sys::call(nr::UMOUNT2, [here, MNT_DETACH, 0, 0, 0, 0]));
    if scratch_of(block, op) >= 0 {
        sys::close(scratch_of(block, op));
    }
    // Over the old root lies what else was laid there: each call takes off what is on top.
    // SAFETY: as in `root_of`.
    for _ in 0..unsafe { (*tree(block, op)).over } {
        unmount()?;
    }
    sys::close(root);
    // SAFETY: as in `root_of`.
    sys::call(nr::UMASK, [unsafe { (*tree(block, op)).umask } as usize, 0, 0, 0, 0, 0]);
    Ok(0)
}
