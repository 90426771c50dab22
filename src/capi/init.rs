//! What a program that is a sandbox's own host needs of the start: who maps ids, where it begins, what its init holds.

use crate::capi::cmd::{change, change_run, sandbox_cmd, sandbox_ready_fn};
use crate::capi::guard::text_for;
use crate::capi::mount::texts;
use crate::cmd::{Hook, ReadyFn};
use std::ffi::{c_char, c_int, c_void};

/// The program starts in the first of these directories that it can enter, inside its root, and PWD in its environment
/// says which. Takes the place of sandbox_cmd_cwd, as that of this.
///
/// @param paths  Ended by NULL; at least one. Copied.
/// @return 0; -EFAULT: NULL; -EINVAL: none; -ENAMETOOLONG. The spawn fails with the last one's errno, stage
///         SANDBOX_STAGE_CWD, where none can be entered.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_cwd_first(cmd: *mut sandbox_cmd, paths: *const *const c_char) -> c_int {
    change_run(cmd, |cmd| {
        // SAFETY: the caller's array of strings, ended by NULL.
        let paths = unsafe { texts(paths, "the array of working directories") }?;
        cmd.cwd_first(&paths)
    })
}

/// The init of SANDBOX_OPT_INIT holds `fd` open as long as it lives; the program does not get it.
///
/// @param fd  Borrowed: the command keeps a duplicate.
/// @return 0; -EBADF; -EMFILE; -EFAULT: `cmd` is NULL. Without an init the spawn fails (-EINVAL).
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_init_fd(cmd: *mut sandbox_cmd, fd: c_int) -> c_int {
    change(cmd, |cmd| cmd.init_fd(fd))
}

/// The init of SANDBOX_OPT_INIT holds a shared lock (fcntl F_OFD_SETLK, F_RDLCK) of all of a file as long as it lives.
///
/// @param path  Inside the child's root, opened for reading once that is complete.
/// @return 0; -EFAULT: a NULL; -ENAMETOOLONG. The spawn fails, stage SANDBOX_STAGE_INIT: -ENOENT and the like; -EAGAIN:
///         another has an exclusive lock; -EINVAL: there is no init.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_init_lock(cmd: *mut sandbox_cmd, path: *const c_char) -> c_int {
    change(cmd, |cmd| {
        // SAFETY: the caller's string.
        cmd.init_lock(unsafe { text_for(path, "the file to lock") }?)
    })
}

/// Has `fn` map the ids of the child's user namespace, in the library's place: it is called in the thread that spawns,
/// before the child does anything that needs them. uid_map and gid_map must be written, by whomever, when it returns.
///
/// @param fn        NULL: none. To return less than 0 kills the child, as with sandbox_cmd_on_ready.
/// @param userdata  Passed on as it is.
/// @return 0; -EFAULT: `cmd` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_on_maps(cmd: *mut sandbox_cmd, r#fn: sandbox_ready_fn, userdata: *mut c_void) -> c_int {
    change(cmd, |cmd| {
        cmd.on_maps = r#fn.map(|function: ReadyFn| Hook { function, userdata });
        Ok(())
    })
}
