//! The new root: what is to be mounted is opened in the host's tree first, as mounts without a place; then the root
//! goes over the host's, everything onto its target below it, and the old root away.
//! A target is resolved in the new root alone (RESOLVE_IN_ROOT), and what is made on the way to it is made by fd: no
//! symlink of a hostile tree leads out (CVE-2021-30465). All of it happens in a mount namespace of the child's own.

use crate::arch::nr;
use crate::plan::{Block, NONE, Op, Tree, data, kind};
use crate::run::{Done, done};
use crate::sys;
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering::Relaxed;

const AT_FDCWD: usize = -100isize as usize;
const AT_RECURSIVE: usize = 0x8000;
const OPEN_TREE_CLONE: usize = 1;
const O_CLOEXEC: usize = 0o2_000_000;
const O_PATH: usize = 0o10_000_000;
const O_CREAT_EXCL: usize = 0o300;
const O_CREAT_TRUNC: usize = 0o1100;
const O_WRONLY: usize = 1;
const O_NONBLOCK: usize = 0o4000;
#[cfg(target_arch = "x86_64")]
const O_DIRECTORY: usize = 0o200_000;
#[cfg(target_arch = "x86_64")]
const O_NOFOLLOW: usize = 0o400_000;
#[cfg(target_arch = "aarch64")]
const O_DIRECTORY: usize = 0o40_000;
#[cfg(target_arch = "aarch64")]
const O_NOFOLLOW: usize = 0o100_000;
const S_IFMT: u16 = 0o170_000;
const S_IFDIR: u16 = 0o040_000;
/// RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS.
const IN_ROOT_NO_MAGICLINKS: u64 = 0x10 | 0x02;
/// Read-only, no set-user-ID, no devices, no programs.
const NOTHING: usize = 1 | 2 | 4 | 8;

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

fn closed<T>(fd: i32, result: T) -> T {
    sys::close(fd);
    result
}

fn empty() -> usize {
    c"".as_ptr() as usize
}

fn open_tree(from: usize, path: usize, flags: usize) -> Done {
    done(sys::call(nr::OPEN_TREE, [from, path, flags, 0, 0, 0]))
}

fn openat(from: i32, path: usize, flags: usize, mode: usize) -> Done {
    done(sys::call(nr::OPENAT, [from as usize, path, flags | O_CLOEXEC, mode, 0, 0]))
}

fn mkdirat(from: i32, path: usize, mode: usize) -> Done {
    done(sys::call(nr::MKDIRAT, [from as usize, path, mode, 0, 0, 0]))
}

fn set_attributes(fd: i32, set: u64, clear: u64, recursive: usize) -> Done {
    if set | clear == 0 {
        return Ok(0);
    }
    let attributes = [set, clear, 0, 0]; // struct mount_attr: set, clear, propagation, user namespace
    done(sys::call(nr::MOUNT_SETATTR, [fd as usize, empty(), sys::AT_EMPTY_PATH | recursive, attributes.as_ptr() as usize, 32, 0]))
}

/// The mount at `fd` onto what is open at `place`.
fn move_onto(fd: i32, place: i32) -> Done {
    const BOTH_EMPTY: usize = 0x4 | 0x40; // MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH
    done(sys::call(nr::MOVE_MOUNT, [fd as usize, empty(), place as usize, empty(), BOTH_EMPTY, 0]))
}

/// The mount at `fd` onto a path, of which the last component is followed nowhere.
fn move_to(fd: i32, from: usize, path: usize) -> Done {
    done(sys::call(nr::MOVE_MOUNT, [fd as usize, empty(), from, path, 0x4, 0]))
}

struct Stat {
    mode: u16,
    inode: u64,
    device: u64,
    mount: u64,
}

fn stat(fd: i32) -> Result<Stat, i32> {
    const STATX_TYPE_MODE_INO_MNT_ID: usize = 1 | 2 | 0x100 | 0x1000;
    let mut buffer = sys::Buffer::<256>::new();
    let filled = buffer.filled(|at, _| match sys::call(nr::STATX, [fd as usize, empty(), sys::AT_EMPTY_PATH, STATX_TYPE_MODE_INO_MNT_ID, at, 0]) {
        0 => 256,
        failed => failed,
    })?;
    // struct statx: mode at 28, inode at 32, device major and minor at 136, mount id at 144.
    let number = |at: usize| filled.get(at..at + 8).and_then(|bytes| bytes.first_chunk()).map(|bytes| u64::from_ne_bytes(*bytes));
    match (filled.get(28..30), number(32), number(136), number(144)) {
        (Some(&[low, high]), Some(inode), Some(device), Some(mount)) => Ok(Stat { mode: u16::from_ne_bytes([low, high]), inode, device, mount }),
        _ => Err(sys::EIO),
    }
}

impl Stat {
    fn is_directory(&self) -> bool {
        self.mode & S_IFMT == S_IFDIR
    }
}

/// Opens in the new root. Through symlinks a path may lead to the root itself: what is mounted there nobody would see.
fn resolve(root: i32, path: usize, flags: usize) -> Result<i32, i32> {
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
fn open_in(root: i32, path: usize, flags: usize, how: u64) -> Result<i32, i32> {
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
struct Parent {
    fd: i32,
    is_root: bool,
    name: usize,
}

impl Parent {
    fn of(root: i32, path: usize) -> Result<Parent, i32> {
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
        openat(self.fd, self.name, O_CREAT_EXCL | O_NOFOLLOW | O_WRONLY, 0o444).map(|fd| fd as i32)
    }

    fn close(&self) {
        if !self.is_root {
            sys::close(self.fd);
        }
    }
}

/// Opens the target; where it is not there, makes it first: a directory or an empty file.
fn place_for(root: i32, path: usize, is_directory: bool) -> Result<i32, i32> {
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
fn lay(fd: i32, root: i32, path: usize) -> Done {
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

pub fn open(block: &Block, op: &Op) -> Done {
    let [source, cell, flags, set, clear, left_out] = op.args;
    let flags = flags as usize;
    let opened = if op.kinds[0] == kind::SLOT {
        found_again(block.slot(source), flags)
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

/// Where the string behind the one at `text` begins.
fn after(text: usize) -> usize {
    let mut at = text;
    // SAFETY: the host ended every string with a NUL.
    while unsafe { *(at as *const u8) } != 0 {
        at += 1;
    }
    at + 1
}

/// Notes that what is on `mount` is memory of the child's own.
fn remember(tree: *mut Tree, mount: i32) -> Done {
    let device = stat(mount)?.device;
    // SAFETY: the host left room for one device number a filesystem that is remembered.
    unsafe {
        let count = (*tree).memories;
        *tree.add(1).cast::<u64>().add(count as usize) = device;
        (*tree).memories = count + 1;
    }
    Ok(0)
}

fn is_memory(tree: *const Tree, fd: i32) -> Result<bool, i32> {
    let device = stat(fd)?.device;
    // SAFETY: as above; all of them were written.
    let known = unsafe { core::slice::from_raw_parts(tree.add(1).cast::<u64>(), (*tree).memories as usize) };
    Ok(known.contains(&device))
}

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
    let made = match what {
        1 => mkdirat(parent.fd, parent.name, mode),
        _ => match done(sys::call(nr::SYMLINKAT, [block.address(data), parent.fd as usize, parent.name, 0, 0, 0])) {
            Err(sys::EEXIST) if says(parent.fd, parent.name, block.address(data)) => Ok(0),
            made => made,
        },
    };
    parent.close();
    made
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

pub fn remount(block: &Block, op: &Op) -> Done {
    const W_OK: usize = 2;
    const AT_EACCESS: usize = 0x200;
    let [_, target, set, what, ..] = op.args;
    let place = match open_in(root_of(block, op), block.address(target), 0, IN_ROOT_NO_MAGICLINKS) {
        Err(sys::ENOENT) if what != 0 => return Ok(0),
        place => place?,
    };
    if what == 0 {
        return closed(place, set_attributes(place, set, 0, 0));
    }
    let Ok(sample) = open_in(root_of(block, op), block.address(op.args[4]), 0, IN_ROOT_NO_MAGICLINKS) else {
        return closed(place, Ok(0));
    };
    if closed(sample, sys::call(nr::FACCESSAT2, [sample as usize, empty(), W_OK, AT_EACCESS | sys::AT_EMPTY_PATH, 0, 0])) < 0 {
        return closed(place, Ok(0));
    }
    let mount = open_tree(place as usize, empty(), OPEN_TREE_CLONE | O_CLOEXEC | AT_RECURSIVE | sys::AT_EMPTY_PATH)? as i32;
    set_attributes(mount, set, 0, AT_RECURSIVE)?;
    let moved = closed(mount, move_onto(mount, place));
    closed(place, moved)
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

/// The layers get names of ours, beside one another on the scratch: whatever bytes their own paths hold, the options
/// need no escapes.
pub fn overlay(block: &Block, op: &Op) -> Done {
    const MS_NOSUID_NODEV: usize = 2 | 4;
    let [_, name, layers, count, options, out] = op.args;
    let scratch = scratch_of(block, op);
    let here = block.address(name);
    mkdirat(scratch, here, 0o700)?;
    let directory = openat(scratch, here, O_PATH | O_DIRECTORY, 0)? as i32;
    done(sys::call(nr::FCHDIR, [directory as usize, 0, 0, 0, 0, 0]))?;
    sys::close(directory);
    // Behind its name: the directory's own entries, each a name of eight bytes; "u", "w" and "m" are always there.
    let mut entry = here + crate::plan::LAYER_NAME as usize;
    for position in 0..count + 3 {
        mkdirat(AT_FDCWD as i32, entry, 0o755)?;
        if position < count {
            let layer = cell(block, layers + position * 8);
            move_to(layer, AT_FDCWD, entry)?;
            sys::close(layer);
        }
        entry += crate::plan::LAYER_NAME as usize;
    }
    let (kind, place) = (c"overlay".as_ptr() as usize, c"m".as_ptr() as usize);
    done(sys::call(nr::MOUNT, [kind, place, kind, MS_NOSUID_NODEV, block.address(options), 0]))?;
    let mount = open_tree(AT_FDCWD, place, OPEN_TREE_CLONE | O_CLOEXEC)? as i32;
    set_cell(block, out, mount);
    Ok(0)
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
