//! Functions of the caller's that a spawn calls.

use std::ffi::{c_int, c_void};

pub type ReadyFn = extern "C" fn(pid: libc::pid_t, pidfd: c_int, userdata: *mut c_void) -> c_int;
pub type PreExecFn = extern "C" fn(userdata: *mut c_void) -> c_int;

/// A caller's function with its argument.
#[derive(Debug)]
pub struct Hook<F> {
    pub function: F,
    pub userdata: *mut c_void,
}

impl<F: Copy> Clone for Hook<F> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<F: Copy> Copy for Hook<F> {}

// SAFETY: the library only passes the pointer on, and its documentation tells the caller in which thread.
unsafe impl<F: Send> Send for Hook<F> {}
// SAFETY: as above.
unsafe impl<F: Sync> Sync for Hook<F> {}
