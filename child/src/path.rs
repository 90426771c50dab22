//! Paths that lead somewhere in the program's root, and must stay there. Of the links that a hostile tree can hold, the
//! magic ones of /proc lead out of it: what the host has open is still open here (CVE-2024-21626), and until the exec
//! the host's own program is /proc/self/exe (CVE-2019-5736).

use crate::arch::nr;
use crate::plan::{Block, directory};
use crate::run::{Done, done};
use crate::sys::{self, AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NONBLOCK, O_PATH};

/// As open, but through no magic link (Linux 5.6).
fn open(path: usize, flags: usize) -> isize {
    const RESOLVE_NO_MAGICLINKS: u64 = 2;
    let how = [(flags | O_CLOEXEC) as u64, 0, RESOLVE_NO_MAGICLINKS]; // struct open_how: flags, mode, resolve
    sys::call(nr::OPENAT2, [AT_FDCWD, path, how.as_ptr() as usize, size_of_val(&how), 0, 0])
}

/// Into the first that can be entered of `count` directories, from offset `list`.
pub fn change_directory(block: &Block, list: u64, count: u64, how: u64) -> Done {
    let mut entry = list;
    let mut result = Err(sys::ENOENT);
    for _ in 0..count {
        let path = block.address(entry) + 4;
        result = if how & directory::STRICT != 0 { enter(path) } else { chdir(path) };
        if result.is_ok() {
            if how & directory::SAYS != 0 {
                say_directory(block, entry);
            }
            break;
        }
        // SAFETY: the host ended every string with a NUL.
        while unsafe { *(block.address(entry) as *const u8) } != 0 {
            entry += 1;
        }
        entry += 1;
    }
    result
}

fn enter(path: usize) -> Done {
    let directory = open(path, O_PATH | O_DIRECTORY);
    if directory == -(sys::ENOSYS as isize) || directory == -(sys::EPERM as isize) {
        return enter_by_name(path);
    }
    done(directory)?;
    let result = sys::call(nr::FCHDIR, [directory as usize, 0, 0, 0, 0, 0]);
    sys::close(directory as i32);
    done(result)
}

fn chdir(path: usize) -> Done {
    done(sys::call(nr::CHDIR, [path, 0, 0, 0, 0, 0]))
}

/// Where there is no openat2, or a container hides it: what lies outside of the root has no path from it.
fn enter_by_name(path: usize) -> Done {
    chdir(path)?;
    let mut name = sys::Buffer::<4096>::new();
    match name.filled(|at, size| sys::call(nr::GETCWD, [at, size, 0, 0, 0, 0]))?.first() {
        Some(b'/') => Ok(0),
        _ => Err(sys::ELOOP),
    }
}

/// Puts the string at `entry` in the place of the environment's PWD.
fn say_directory(block: &Block, entry: u64) {
    let mut place = block.address(block.envp.into()) as *mut u64;
    // SAFETY: the host ended the array of offsets with a zero, and each string with a NUL; exec resolves it later.
    unsafe {
        while *place != 0 {
            let name = block.address(*place) as *const u8;
            if *name == b'P' && *name.add(1) == b'W' && *name.add(2) == b'D' && *name.add(3) == b'=' {
                *place = entry;
            }
            place = place.add(1);
        }
    }
}

/// Of every path that exec may try. What can't be opened for another reason exec finds out by itself.
pub fn refuse_magic_links(block: &Block) -> Done {
    let mut path = block.address(block.paths.into()) as *const u64;
    // SAFETY: the host laid that many offsets of strings there; exec resolves them later.
    for _ in 0..block.paths_count {
        refuse_chain(block.address(unsafe { *path }))?;
        path = unsafe { path.add(1) };
    }
    Ok(0)
}

/// The kernel follows no longer chain of interpreters.
const LONGEST_CHAIN: usize = 6;
const O_NOCTTY: usize = 0o400;

fn refuse_chain(program: usize) -> Done {
    let mut line = sys::Buffer::<256>::new(); // as much as the kernel looks at
    let mut path = program;
    for _ in 0..LONGEST_CHAIN {
        let file = open(path, O_NONBLOCK | O_NOCTTY);
        match -file as i32 {
            sys::ELOOP => return Err(sys::ELOOP),
            sys::EACCES if can_be_executed(path) => return Err(sys::EACCES), // what can't be read could be a script
            errno if errno > 0 => return Ok(0),
            _ => {}
        }
        let text = line.filled(|at, size| sys::call(nr::READ, [file as usize, at, size, 0, 0, 0]));
        sys::close(file as i32);
        let Some(rest) = text.ok().and_then(|text| text.strip_prefix(b"#!")) else { return Ok(0) };
        let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
        let length = rest.iter().skip(blanks).take_while(|byte| !is_blank(**byte) && **byte != b'\n' && **byte != 0).count();
        let begin = 2 + blanks;
        path = line.ended(begin, begin + length);
    }
    Ok(0)
}

/// By its mode, and no directory.
fn can_be_executed(path: usize) -> bool {
    const X_OK: usize = 1;
    let directory = open(path, O_PATH | O_DIRECTORY);
    if directory >= 0 {
        sys::close(directory as i32);
    }
    directory < 0 && sys::call(nr::FACCESSAT2, [AT_FDCWD, path, X_OK, 0, 0, 0]) == 0
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}
