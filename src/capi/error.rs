//! Errors and versions.

use crate::capi::guard::{code, give, may_give};
use crate::error::{Error, stage_name};
use crate::probe::{self, sandbox_features};
use std::ffi::{c_char, c_int};

/// The version of this header. The library's own: sandbox_version().
pub const SANDBOX_VERSION_MAJOR: i32 = 0;
pub const SANDBOX_VERSION_MINOR: i32 = 1;
pub const SANDBOX_VERSION_PATCH: i32 = 0;

/// What failed, and where: 256 bytes of the caller's own, always a function's last argument, NULL allowed there.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub struct sandbox_error {
    /// The negative errno that the function returned; 0: none.
    pub code: i32,
    /// SANDBOX_STAGE_*: in which step.
    pub stage: u32,
    /// Which item of that step, in the order in which the caller added them, from 0.
    pub index: u32,
    /// English, NUL-terminated: names the path, the limit, the option; may end in a hint.
    pub message: [c_char; 244],
}

impl sandbox_error {
    const NONE: sandbox_error = sandbox_error { code: 0, stage: 0, index: 0, message: [0; 244] };

    pub(crate) fn clear(error: *mut sandbox_error) {
        if !error.is_null() {
            // SAFETY: the caller's 256 bytes.
            unsafe { error.write(sandbox_error::NONE) };
        }
    }

    /// A message that is too long is cut at a character's end.
    pub(crate) fn fill(error: *mut sandbox_error, failure: &Error) {
        if error.is_null() {
            return;
        }
        let mut filled = sandbox_error { code: failure.code(), stage: failure.stage, index: failure.index, ..sandbox_error::NONE };
        let cut = failure.message.floor_char_boundary(filled.message.len() - 1);
        for (place, byte) in filled.message.iter_mut().zip(failure.message.as_bytes().iter().take(cut)) {
            *place = byte.cast_signed() as c_char;
        }
        // SAFETY: the caller's 256 bytes.
        unsafe { error.write(filled) };
    }
}

/// The name of a stage, "exec" or "mount".
///
/// @param stage  SANDBOX_STAGE_*.
/// @return A static string, never to be freed: "none" for 0, "unknown" for a number that is no stage's.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_stage_name(stage: u32) -> *const c_char {
    stage_name(stage).as_ptr()
}

/// The version of the library that is loaded.
///
/// @return A static string, never to be freed: "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Finds out what this kernel allows this process, here and now, by trying: some thirty spawns of a program that ends
/// at once, about a millisecond each. Nothing is left behind.
///
/// @param out   Filled up to `size` bytes.
/// @param size  sizeof(sandbox_features) as the caller knows it.
/// @return 0; -EFAULT: NULL, with a size; -EINVAL: a size above 4096.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_probe(out: *mut sandbox_features, size: usize) -> c_int {
    code(|| {
        may_give(out, size)?;
        let found = probe::probe();
        // SAFETY: the caller's struct of `size` bytes.
        unsafe { give(&found, out, size) }.map(|()| 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Stage;
    use std::ffi::CStr;

    #[test]
    fn an_error_is_256_bytes_and_its_message_is_cut_at_a_character() {
        assert_eq!(size_of::<sandbox_error>(), 256);
        let mut error = sandbox_error::NONE;
        let failure = Error::new(Stage::SANDBOX_STAGE_CWD, 3, libc::ENOENT, "é".repeat(200));
        sandbox_error::fill(&raw mut error, &failure);
        // SAFETY: filled and terminated just now.
        let message = unsafe { CStr::from_ptr(error.message.as_ptr()) };
        assert_eq!(message.to_str().unwrap(), "é".repeat(121));
        assert_eq!((error.code, error.stage, error.index), (-libc::ENOENT, 21, 3));
    }

    #[test]
    fn the_headers_version_is_the_packages() {
        let numbers = format!("{SANDBOX_VERSION_MAJOR}.{SANDBOX_VERSION_MINOR}.{SANDBOX_VERSION_PATCH}");
        assert_eq!(numbers, env!("CARGO_PKG_VERSION"));
    }
}
