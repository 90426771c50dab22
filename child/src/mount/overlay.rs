//! Overlays. Whatever bytes the caller's paths hold, the options hold names of ours alone: the layers lie beside one
//! another on the scratch, and upper and work are symlinks there.

use super::calls::*;
use super::source::remember;
use super::{cell, scratch_of, set_cell, tree};
use crate::arch::nr;
use crate::credentials::Sets;
use crate::plan::{Block, LAYER_NAME, Op, PATH_ROOM, overlay};
use crate::run::{Done, done};
use crate::sys;

/// Where a path lies in its room: the address of what the symlink says comes first, and "h/" needs room before the path.
const PATH: usize = 16;

/// An overlay takes an upper and a work of one mount alone: what is cloned is the nearest directory above both, however
/// the caller wrote them. The working directory is lost by that: nothing of the host's is looked for behind this.
pub fn hold(block: &Block, op: &Op) -> Done {
    let [upper, work, holder, room, ..] = op.args;
    let (upper, work, room) = (cell(block, upper), cell(block, work), block.address(room));
    let (first, second) = (stat(upper)?, stat(work)?);
    if first.mount != second.mount {
        return Err(sys::EXDEV);
    }
    let rooms = [room, room + PATH_ROOM as usize];
    closed(upper, path_of(upper, rooms[0] + PATH).and_then(|_| path_of(work, rooms[1] + PATH)))?;
    let rest = common(rooms[0] + PATH, rooms[1] + PATH);
    let above = closed(work, climb(work, rooms[1] + PATH + rest))?;
    let mount = closed(above, open_tree(above as usize, empty(), OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC | sys::AT_EMPTY_PATH))? as i32;
    set_cell(block, holder, mount);
    for (room, wanted) in rooms.iter().zip([first, second]) {
        let path = room + PATH + rest;
        let found = openat(mount, path, O_PATH | O_NOFOLLOW, 0)? as i32;
        let seen = closed(found, stat(found))?;
        if (seen.inode, seen.device) != (wanted.inode, wanted.device) {
            return Err(sys::ESTALE); // moved meanwhile
        }
        // SAFETY: the host left `PATH` bytes before the path, which has one of its own before its rest.
        unsafe {
            *((path - 2) as *mut [u8; 2]) = *b"h/";
            *(*room as *mut usize) = path - 2;
        }
    }
    Ok(0)
}

/// The path of the directory `fd`, which needs no /proc.
fn path_of(fd: i32, to: usize) -> Done {
    done(sys::call(nr::FCHDIR, [fd as usize, 0, 0, 0, 0, 0]))?;
    done(sys::call(nr::GETCWD, [to, PATH_ROOM as usize - PATH, 0, 0, 0, 0]))?;
    // SAFETY: the kernel wrote a string there; one out of reach begins with another character.
    if unsafe { *(to as *const u8) } == b'/' { Ok(0) } else { Err(sys::ESTALE) }
}

/// How much of two paths is the directory that both go through, with its slash.
fn common(one: usize, other: usize) -> usize {
    let (mut at, mut end) = (0, 0);
    loop {
        // SAFETY: the kernel ended both with a NUL.
        let (a, b) = unsafe { (*((one + at) as *const u8), *((other + at) as *const u8)) };
        if a != b || a == 0 {
            return end;
        }
        at += 1;
        if a == b'/' {
            end = at;
        }
    }
}

/// As far above the directory `from` as `rest` has components.
fn climb(from: i32, rest: usize) -> Result<i32, i32> {
    let up = |from| openat(from, c"..".as_ptr() as usize, O_PATH | O_DIRECTORY, 0).map(|fd| fd as i32);
    let (mut here, mut at) = (up(from)?, rest);
    loop {
        // SAFETY: the kernel ended it with a NUL.
        match unsafe { *(at as *const u8) } {
            0 => return Ok(here),
            b'/' => here = closed(here, up(here))?,
            _ => {}
        }
        at += 1;
    }
}

/// The kernel looks into the layers with the rights of who mounts; where files are made as another user, setfsuid took
/// those over files out of effect.
pub fn overlay(block: &Block, op: &Op) -> Done {
    let held = Sets::get()?;
    (Sets { effective: held.permitted, ..held }).set()?;
    assemble(block, op)?;
    held.set()
}

fn assemble(block: &Block, op: &Op) -> Done {
    const MS_NOSUID_NODEV: usize = 2 | 4;
    let [_, name, layers, what, options, out] = op.args;
    let (count, rooms) = (what & overlay::COUNT, what >> 32);
    let scratch = scratch_of(block, op);
    let here = block.address(name);
    mkdirat(scratch, here, 0o700)?;
    let directory = openat(scratch, here, O_PATH | O_DIRECTORY, 0)? as i32;
    done(sys::call(nr::FCHDIR, [directory as usize, 0, 0, 0, 0, 0]))?;
    sys::close(directory);
    // Behind its name: the directory's own entries, each a name of as many bytes; "u", "w" and "m" are always there.
    let top = here + LAYER_NAME as usize;
    let mut entry = top;
    for position in 0..count + 3 {
        if rooms != 0 && (position == count || position == count + 1) {
            let room = block.address(rooms + (position - count) * PATH_ROOM);
            // SAFETY: `hold` left the address of a string there.
            done(sys::call(nr::SYMLINKAT, [unsafe { *(room as *const usize) }, AT_FDCWD, entry, 0, 0, 0]))?;
        } else {
            mkdirat(AT_FDCWD as i32, entry, 0o700)?;
        }
        if position < count {
            let layer = cell(block, layers + position * 8);
            move_to(layer, AT_FDCWD, entry)?;
            sys::close(layer);
        }
        if position == count && what & overlay::IN_MEMORY != 0 {
            imitate(top, entry)?;
        }
        entry += LAYER_NAME as usize;
    }
    let (kind, place) = (c"overlay".as_ptr() as usize, entry - LAYER_NAME as usize);
    done(sys::call(nr::MOUNT, [kind, place, kind, MS_NOSUID_NODEV, block.address(options), 0]))?;
    let mount = open_tree(AT_FDCWD, place, OPEN_TREE_CLONE | O_CLOEXEC)? as i32;
    set_cell(block, out, mount);
    if what & overlay::IN_MEMORY != 0 { remember(tree(block, op), mount) } else { Ok(0) }
}

/// An overlay's root is closed to whom its upper is: so one in memory is as open as the topmost lower, no more. Ids that
/// the user namespace lacks can't be given to it. Then it is ours, who still get no further than before: the kernel looks
/// into a lower with the rights of who mounted it, and no capability holds over such an owner; and its group is ours, to
/// whom the mode promises what it does to everybody. An ACL can't always be had there: its owner alone gets in.
fn imitate(lower: usize, upper: usize) -> Done {
    let top = openat(AT_FDCWD as i32, lower, O_PATH | O_DIRECTORY, 0)? as i32;
    let seen = closed(top, stat(top))?;
    let mut mode = usize::from(seen.mode) & 0o7777;
    match done(sys::call(nr::FCHOWNAT, [AT_FDCWD, upper, seen.owners as u32 as usize, (seen.owners >> 32) as usize, 0, 0])) {
        Err(sys::EINVAL) => mode &= !0o070 | (mode & 7) << 3,
        given => _ = given?,
    }
    if sys::call(nr::GETXATTR, [lower, c"system.posix_acl_access".as_ptr() as usize, 0, 0, 0, 0]) > 0 {
        mode &= 0o7700;
    }
    done(sys::call(nr::FCHMODAT, [AT_FDCWD, upper, mode, 0, 0, 0]))
}
