//! The running child.

use crate::capi::error::sandbox_error;
use crate::capi::guard::{code, give, guarded, may_give, reported};
use crate::error::Error;
use crate::process::{Child, sandbox_fds, sandbox_status};
use nix::errno::Errno;
use std::ffi::c_int;

/// A child that sandbox_spawn started. One thread may kill it while another waits for it.
#[allow(non_camel_case_types)]
pub struct sandbox_child(pub(crate) Child);

pub(crate) fn borrow<'a>(child: *const sandbox_child) -> Result<&'a Child, Errno> {
    // SAFETY: NULL, or a handle of sandbox_spawn's that outlives the call.
    unsafe { child.as_ref() }.map(|child| &child.0).ok_or(Errno::EFAULT)
}

/// The child's process id as the host sees it. To signal it use sandbox_child_kill: the number may be another's once the
/// child has been waited for.
///
/// @return The id; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_child_pid(child: *const sandbox_child) -> libc::pid_t {
    code(|| Ok(borrow(child)?.pid()))
}

/// The fds of the handle: close-on-exec, above 2, closed by sandbox_child_free. -1 where there is none, or none any more.
///
/// @param fds   Filled up to `size` bytes.
/// @param size  sizeof(sandbox_fds) as the caller knows it.
/// @return 0; -EFAULT: a NULL; -EINVAL: a size above 4096, which no caller can mean.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_child_fds(child: *const sandbox_child, fds: *mut sandbox_fds, size: usize) -> c_int {
    // SAFETY: the caller's struct of `size` bytes.
    code(|| unsafe { give(&borrow(child)?.fds(), fds, size) }.map(|()| 0))
}

/// Takes one of the fds out of the handle: it is now the caller's to close.
///
/// @param which  SANDBOX_FD_*. A taken pidfd is a duplicate, a taken cgroup another opening: the handle goes on working,
///               and removes the cgroup when it is freed.
/// @return The fd; -EBADF: there is none, or it was taken; -EINVAL: no such `which`; -EFAULT: NULL; -EMFILE.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_child_take_fd(child: *mut sandbox_child, which: u32) -> c_int {
    code(|| borrow(child)?.take_fd(which))
}

/// Waits for the child's end. Repeating it gives the same status again.
///
/// @param timeout_ms  In milliseconds; -1: for ever; 0: only look.
/// @param status      Filled up to `size` bytes; NULL where `size` is 0.
/// @param size        sizeof(sandbox_status) as the caller knows it.
/// @return 0; -ETIMEDOUT: it still runs; -ECHILD: it has ended, but the host ignores SIGCHLD or another waitpid took the
///         status, and this kernel (before Linux 6.15) can't tell it again; the errno that sandbox_child_wait_exec tells,
///         where a notified exec failed; -EINVAL: a timeout below -1, or a size above 4096; -EFAULT.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_child_wait(child: *mut sandbox_child, timeout_ms: i64, status: *mut sandbox_status, size: usize) -> c_int {
    code(|| {
        let child = borrow(child)?;
        may_give(status, size)?;
        let ended = child.wait(timeout_ms)?;
        // SAFETY: the caller's struct of `size` bytes.
        unsafe { give(&ended, status, size) }.map(|()| 0)
    })
}

/// Waits until exec has happened, and tells how it went. sandbox_spawn has waited for it already, so this returns at
/// once; unless a filter has execve notified: then the supervisor must answer first.
///
/// @param timeout_ms  In milliseconds; -1: for ever; 0: only look.
/// @return 0; -ETIMEDOUT: not yet; else the errno of the exec that failed, as sandbox_spawn would have returned it:
///         sandbox_child_wait then returns the same; -ECANCELED: the child was killed while its exec waited for an
///         answer; -EFAULT: NULL; -EINVAL: a timeout below -1.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_child_wait_exec(child: *mut sandbox_child, timeout_ms: i64, error: *mut sandbox_error) -> c_int {
    reported(error, || {
        let child = borrow(child).map_err(|errno| Error::setup(errno as i32, "the child is NULL"))?;
        child.wait_exec(timeout_ms).map(|()| 0)
    })
}

/// Sends a signal to the child, by its pidfd: never to a stranger. SIGKILL ends its descendants too where a pid
/// namespace, an init or a cgroup of its own holds them.
///
/// @param signal  1 to 64; 0: only look whether it could be sent.
/// @return 0; -ESRCH: it has ended; -EINVAL: no such signal; -EPERM: it changed its user and the host is not root; -EFAULT.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_child_kill(child: *mut sandbox_child, signal: c_int) -> c_int {
    code(|| borrow(child)?.kill(signal).map(|()| 0))
}

/// Frees the handle and closes its fds; NULL does nothing. A child that still runs is killed (SIGKILL) and reaped first,
/// unless sandbox_child_detach was called. With it end all its descendants where something holds them: a pid namespace
/// of its own, SANDBOX_OPT_INIT, or a cgroup of its own (sandbox_cmd_cgroup), also when it has ended before them. Where
/// it has none of these, descendants may live on. Its cgroup is removed.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_child_free(child: *mut sandbox_child) {
    guarded((), || {
        if !child.is_null() {
            // SAFETY: a handle of sandbox_spawn's, given back once.
            drop(unsafe { Box::from_raw(child) });
        }
    });
}

/// Lets sandbox_child_free leave the child running. It still dies with the host unless SANDBOX_OPT_DEATH_SIGNAL is 0,
/// and is the host's to wait for (SIGCHLD, waitpid) once the handle is gone. One whose exec still waits for an answer is
/// left only where the listener was taken out of the handle: else nobody could answer any more. A cgroup of its own
/// stays too: once it is empty, the next spawn below the same parent removes it.
///
/// @return 0; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_child_detach(child: *mut sandbox_child) -> c_int {
    code(|| {
        borrow(child)?.detach();
        Ok(0)
    })
}
