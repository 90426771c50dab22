//! What every entry point passes through: no panic gets out, and none prints.

use crate::capi::error::sandbox_error;
use crate::error::{Error, Result};
use nix::errno::Errno;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body`. A panic, which would be a bug of the library's, becomes `otherwise`: silently, because the host's
/// standard error is not ours.
///
/// Here and below the generic function is a thin one around what is compiled once for all entry points. A plain
/// function and its argument, not a `dyn`: a table for each entry point would cost more than it saves.
pub fn guarded<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    let mut call = (Some(body), otherwise);
    // SAFETY: of the type that the function is made for, and outlives the call.
    unsafe { caught(run_once_of(&call), (&raw mut call).cast()) };
    call.1
}

fn run_once_of<T, F: FnOnce() -> T>(_: &(Option<F>, T)) -> unsafe fn(*mut c_void) {
    run_once::<T, F>
}

/// # Safety
/// `call` must be what its type says.
unsafe fn run_once<T, F: FnOnce() -> T>(call: *mut c_void) {
    // SAFETY: the caller's.
    let (body, result) = unsafe { &mut *call.cast::<(Option<F>, T)>() };
    if let Some(body) = body.take() {
        *result = body();
    }
}

/// # Safety
/// `run` must be sound to call with `call`.
#[inline(never)]
unsafe fn caught(run: unsafe fn(*mut c_void), call: *mut c_void) {
    // No Once: a fork of the host's in the middle of one would leave its copy waiting for ever.
    static HOOKED: AtomicBool = AtomicBool::new(false);
    if !HOOKED.load(Relaxed) && !HOOKED.swap(true, Relaxed) {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !INSIDE.get() {
                previous(info);
            }
        }));
    }
    let outer = INSIDE.replace(true);
    // SAFETY: the caller's.
    let _ = panic::catch_unwind(AssertUnwindSafe(|| unsafe { run(call) }));
    INSIDE.set(outer);
}

/// The code of a caught panic: the library's state is not to be trusted further.
pub const PANICKED: c_int = -libc::ENOTRECOVERABLE;

/// An entry point that answers with a code alone.
pub fn code(body: impl FnOnce() -> std::result::Result<c_int, Errno>) -> c_int {
    guarded(PANICKED, || body().unwrap_or_else(|errno| -(errno as c_int)))
}

/// An entry point that answers with a code and fills the caller's error.
pub fn reported(error: *mut sandbox_error, body: impl FnOnce() -> Result<c_int>) -> c_int {
    guarded(PANICKED, || report(error, body()))
}

#[inline(never)]
fn report(error: *mut sandbox_error, result: Result<c_int>) -> c_int {
    match result {
        Ok(value) => {
            sandbox_error::clear(error);
            value
        }
        Err(failure) => {
            sandbox_error::fill(error, &failure);
            failure.code()
        }
    }
}

/// The code of a setter's result.
#[inline(never)]
pub fn code_of(result: Result<()>) -> c_int {
    result.map_or_else(|failure| failure.code(), |()| 0)
}

/// # Safety
/// `text` must be NULL or a NUL-terminated string that outlives the result.
pub unsafe fn text<'a>(text: *const c_char) -> std::result::Result<&'a CStr, Errno> {
    if text.is_null() {
        return Err(Errno::EFAULT);
    }
    // SAFETY: the caller's.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// The same where the failure is to be latched.
///
/// # Safety
/// As for `text`.
pub unsafe fn text_for<'a>(pointer: *const c_char, what: &str) -> Result<&'a CStr> {
    // SAFETY: the caller's.
    unsafe { text(pointer) }.map_err(|errno| Error::setup(errno as i32, format_args!("{what} is NULL")))
}

/// No struct of a caller's is larger, however much later its version: a number beyond is a mistake, and zeroing that
/// much would end the host.
const LARGEST: usize = 4096;

/// For what takes its time before it has something to give.
pub fn may_give<T>(out: *mut T, size: usize) -> std::result::Result<(), Errno> {
    match size {
        0 => Ok(()),
        _ if out.is_null() => Err(Errno::EFAULT),
        1..=LARGEST => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// Copies `value` to a caller that knows `size` bytes of it: what it lacks is left out, what it has more is zeroed.
///
/// # Safety
/// `out` must be writable for `size` bytes, or NULL.
pub unsafe fn give<T: Copy>(value: &T, out: *mut T, size: usize) -> std::result::Result<(), Errno> {
    may_give(out, size)?;
    if size == 0 {
        return Ok(());
    }
    let known = size.min(size_of::<T>());
    // SAFETY: the caller's; `T` is a C struct without padding that matters.
    unsafe {
        std::ptr::copy_nonoverlapping((&raw const *value).cast::<u8>(), out.cast::<u8>(), known);
        std::ptr::write_bytes(out.cast::<u8>().add(known), 0, size - known);
    }
    Ok(())
}
