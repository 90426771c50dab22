//! Closing fds, or having exec close them: by one call, or one by one where a kernel before Linux 5.11 or a container's
//! filter has none. The root may be the program's by now: nothing that lies in it is believed but the kernel's own /proc.

use crate::arch::nr;
use crate::run::{Done, decimal, done};
use crate::sys::{self, AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_PATH};

pub const LAST: usize = u32::MAX as usize;

/// `flags` 0, or CLOSE_RANGE_CLOEXEC.
pub fn range(first: usize, last: usize, flags: usize) -> Done {
    if sys::close_range(first, last, flags) == 0 {
        return Ok(0);
    }
    let one = |fd: usize| match flags {
        0 => sys::close(fd as i32),
        _ => _ = sys::fcntl(fd as i32, sys::F_SETFD, sys::FD_CLOEXEC),
    };
    if let Ok(list) = own_list() {
        let done = listed(list, |fd| if fd >= first && fd <= last && fd != list { one(fd) });
        sys::close(list as i32);
        if done.is_ok() {
            return done;
        }
    }
    (first..=last.min(most()?)).for_each(one);
    Ok(0)
}

/// All but those that `least` tells: the lowest from a number up, or i32::MAX.
pub fn all_but(least: impl Fn(i32) -> i32) -> Done {
    let mut next = 0;
    loop {
        let kept = least(next);
        if kept == i32::MAX {
            return range(next as usize, LAST, 0);
        }
        if kept > next {
            range(next as usize, kept as usize - 1, 0)?;
        }
        next = kept + 1;
    }
}

/// Of `fds` the lowest from a number up.
pub fn lowest(fds: &[i32], from: i32) -> i32 {
    fds.iter().fold(i32::MAX, |least, &fd| if fd >= from && fd < least { fd } else { least })
}

/// The list of this process's fds. A directory of that name in an image would hide them, a FIFO never open, a link lead
/// to another process's: what is not a mount of /proc itself is none.
fn own_list() -> Result<usize, i32> {
    const PROC_SUPER_MAGIC: usize = 0x9fa0;
    let open = |from: usize, path: &core::ffi::CStr, flags| done(sys::call(nr::OPENAT, [from, path.as_ptr() as usize, flags | O_CLOEXEC, 0, 0, 0]));
    let proc = open(AT_FDCWD, c"/proc", O_PATH | O_NOFOLLOW)? as usize;
    let mut about = [0usize; 15]; // struct statfs: its type first
    sys::call(nr::FSTATFS, [proc, about.as_mut_ptr() as usize, 0, 0, 0, 0]);
    let [kind, ..] = about;
    let list = if kind == PROC_SUPER_MAGIC { open(proc, c"self/fd", 0) } else { Err(sys::ENOENT) };
    sys::close(proc as i32);
    list.map(|list| list as usize)
}

fn listed(list: usize, one: impl Fn(usize)) -> Done {
    let mut buffer = sys::Buffer::<1024>::new();
    loop {
        let mut entries = buffer.filled(|at, size| sys::call(nr::GETDENTS64, [list, at, size, 0, 0, 0]))?;
        if entries.is_empty() {
            return Ok(0);
        }
        // struct linux_dirent64: inode 8, offset 8, length 2, type 1, name
        while let Some(&[low, high]) = entries.get(16..18) {
            let size = usize::from(u16::from_le_bytes([low, high]));
            if let Some(fd) = entries.get(19..).and_then(decimal) {
                one(fd);
            }
            match entries.get(size..) {
                Some(rest) if size > 0 => entries = rest,
                _ => break,
            }
        }
    }
}

/// No fd is above it: one may have been opened before the limit was lowered, but not above fs.nr_open, whose usual value
/// this is at least. What would take minutes to try is refused.
fn most() -> Result<usize, i32> {
    const RLIMIT_NOFILE: usize = 7;
    const USUAL_NR_OPEN: usize = 1 << 20;
    const MOST: usize = 1 << 22;
    let mut limit = [0usize; 2];
    done(sys::call(nr::PRLIMIT64, [0, RLIMIT_NOFILE, 0, limit.as_mut_ptr() as usize, 0, 0]))?;
    let [_, hard] = limit;
    if hard > MOST { Err(sys::ENOSYS) } else { Ok(hard.max(USUAL_NR_OPEN)) }
}
