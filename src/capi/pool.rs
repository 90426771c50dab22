//! The warm pool.

use crate::capi::child::sandbox_child;
use crate::capi::cmd::sandbox_cmd;
use crate::capi::error::sandbox_error;
use crate::capi::guard::{guarded, reported};
use crate::error::{Error, Result};
use crate::pool::Pool;
use std::ffi::c_int;
use std::ptr;

/// Children set up ahead. Any number of threads may use one pool at once.
///
/// A held child has all that its command asks for but what makes up a run: namespaces, mounts, a cgroup of its own, its
/// identity, its limits, Landlock, the filters that its run's own steps pass. Landlock's rules are for what lay at their
/// paths then. With on_ready or ptrace, what follows the gate follows the run.
///
/// What it takes over from its host (credentials, limits, working directory, the set-up thread's own filters) it has as
/// of the moment it was set up. It keeps none of the host's fds open, no program that runs already can trace it, and it
/// dies with the host. Each is used for one run: nothing of that reaches the next.
#[allow(non_camel_case_types)]
pub struct sandbox_pool(Pool);

/// No more can be meant: each takes a process and three fds of the host's.
const MOST: usize = 4096;

fn borrow<'a>(pool: *const sandbox_pool) -> Result<&'a Pool> {
    // SAFETY: NULL, or a handle of sandbox_pool_new's that outlives the call.
    unsafe { pool.as_ref() }.map(|pool| &pool.0).ok_or_else(|| Error::setup(libc::EFAULT, "the pool is NULL"))
}

/// A new pool for `cmd`, and `size` children for it, set up in the calling thread. Where one can't be set up, the next
/// refill or spawn tries again and tells why.
///
/// @param cmd   Copied as it is now.
/// @param size  How many children to hold, 1 to 4096. Each takes three of the host's fds.
/// @return A handle to free with sandbox_pool_free; NULL where `cmd` is NULL, or `size` out of range.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_pool_new(cmd: *const sandbox_cmd, size: usize) -> *mut sandbox_pool {
    guarded(ptr::null_mut(), || {
        // SAFETY: NULL, or a handle of sandbox_cmd_new's.
        match unsafe { cmd.as_ref() } {
            Some(cmd) if (1..=MOST).contains(&size) => Box::into_raw(Box::new(sandbox_pool(Pool::new(&cmd.0, size)))),
            _ => ptr::null_mut(),
        }
    })
}

/// Runs a held child; or, where there is none, one set up for it now. One that has died while it was held is replaced
/// unseen; so is one that was set up when the host, or its thread, had other ids, groups or capabilities. The pool is not refilled by it: call sandbox_pool_refill when there is time.
///
/// The pool's on_ready is called at the run, and ptrace seizes then. Wall time counts from here.
///
/// @param override  What to run in place of the pool's command, or NULL. Program and arguments are its own; environment
///                  changes come on top of the pool's (sandbox_cmd_env_clear drops those); streams, passed fds and
///                  working directory are the pool's where it sets none. All else is fixed when a child is set up:
///                  a setter for it on `override` refuses the spawn.
/// @param child     Set to a handle, as sandbox_spawn gives it; to NULL on failure.
/// @param error     Filled on failure, zeroed on success; NULL allowed.
/// @return As sandbox_spawn. -EINVAL: `override` sets what is fixed (stage SETUP), or the command has what a
///         pool can't hold (its stage): a pre_exec, or CLOSE_FDS or RESET_SIGNALS off. -ECHILD: in a fork of the
///         pool's process.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_pool_spawn(pool: *mut sandbox_pool, r#override: *const sandbox_cmd, child: *mut *mut sandbox_child, error: *mut sandbox_error) -> c_int {
    reported(error, || {
        // SAFETY: NULL, or the caller's pointer.
        let out = unsafe { child.as_mut() }.ok_or_else(|| Error::setup(libc::EFAULT, "the place for the child is NULL"))?;
        *out = ptr::null_mut();
        // SAFETY: NULL, or a handle of sandbox_cmd_new's.
        let run = unsafe { r#override.as_ref() }.map(|cmd| &cmd.0);
        let spawned = borrow(pool)?.spawn(run)?;
        *out = Box::into_raw(Box::new(sandbox_child(spawned)));
        Ok(0)
    })
}

/// Sets up what is missing, in the calling thread, and replaces held children that have died.
///
/// @param error  Filled on failure, zeroed on success; NULL allowed. Those set up before the failure are kept.
/// @return How many were set up; else as sandbox_spawn.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_pool_refill(pool: *mut sandbox_pool, error: *mut sandbox_error) -> c_int {
    reported(error, || borrow(pool)?.refill().map(|made| c_int::try_from(made).unwrap_or(c_int::MAX)))
}

/// Frees the pool and ends the children that it holds; NULL does nothing. Those that run live on, each with its handle.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_pool_free(pool: *mut sandbox_pool) {
    guarded((), || {
        if !pool.is_null() {
            // SAFETY: a handle of sandbox_pool_new's, given back once.
            drop(unsafe { Box::from_raw(pool) });
        }
    });
}
