//! What every setter that takes a string, a path or one more of something looks at.

use crate::error::{Error, Result};
use std::ffi::{CStr, CString};

/// The longest single string that execve takes (MAX_ARG_STRLEN, 32 pages of 4 KiB).
pub(super) const LONGEST_STRING: usize = 32 * 4096;
const LONGEST_PATH: usize = 4095;
const MOST_STRINGS: usize = 1 << 20;

pub(super) fn string(text: &CStr, what: &str) -> Result<CString> {
    if text.count_bytes() >= LONGEST_STRING {
        return Err(Error::setup(libc::E2BIG, format_args!("{what}: {} bytes, the most is {}", text.count_bytes(), LONGEST_STRING - 1)));
    }
    Ok(text.to_owned())
}

pub fn path(text: &CStr, what: &str) -> Result<CString> {
    if text.count_bytes() > LONGEST_PATH {
        return Err(Error::setup(libc::ENAMETOOLONG, format_args!("{what}: {} bytes", text.count_bytes())));
    }
    Ok(text.to_owned())
}

pub fn room<T>(list: &mut Vec<T>, what: &str) -> Result<()> {
    if list.len() >= MOST_STRINGS {
        return Err(Error::setup(libc::E2BIG, what));
    }
    list.try_reserve(1).map_err(|_| Error::setup(libc::ENOMEM, what))
}
