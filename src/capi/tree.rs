//! What completes a child's file system beyond the usual: for callers who build it step by step.

use crate::capi::cmd::sandbox_cmd;
use crate::capi::mount::{mount, texts};
use crate::confine::mount::{Kind, LONGEST_FILE, path};
use crate::error::{Error, Result, Stage};
use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;

/// A file with this content, where and as `flags` say. Parents that are missing are made first.
///
/// @param data    `length` bytes, copied; NULL where there are none. At most 256 MiB.
/// @param mode    0 to 07777; without flags 0 to 0777. A file that is written in place and was there keeps its own.
/// @param flags   SANDBOX_DATA_MOUNT, with or without SANDBOX_DATA_RW; or SANDBOX_DATA_IN_PLACE; or 0: as
///                sandbox_cmd_file.
/// @return As sandbox_cmd_bind; -EINVAL: another mode, other flags; -E2BIG.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_data(cmd: *mut sandbox_cmd, target: *const c_char, data: *const c_void, length: usize, mode: u32, flags: u64) -> c_int {
    mount(cmd, target, |index| {
        if length == 0 {
            return Ok(Kind::File { data: Arc::from([].as_slice()), mode, flags });
        }
        if data.is_null() {
            return Err(Error::new(Stage::SANDBOX_STAGE_MOUNT, index, libc::EFAULT, "the file's content is NULL"));
        }
        if length > LONGEST_FILE {
            return Err(Error::new(Stage::SANDBOX_STAGE_MOUNT, index, libc::E2BIG, format_args!("file of {length} bytes, the most is {LONGEST_FILE}")));
        }
        // SAFETY: the caller's bytes.
        let data = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) };
        Ok(Kind::File { data: data.into(), mode, flags })
    })
}

/// Mounts a new devpts: terminals of the child's own, none of the host's.
///
/// @return As sandbox_cmd_bind.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_devpts(cmd: *mut sandbox_cmd, target: *const c_char) -> c_int {
    mount(cmd, target, |_| Ok(Kind::Devpts))
}

/// Mounts an overlay that nobody can write to: directories lain over one another.
///
/// @param lowers  Directories of the host's, topmost first, ended by NULL; 2 to 499.
/// @return As sandbox_cmd_overlay.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_overlay_ro(cmd: *mut sandbox_cmd, lowers: *const *const c_char, target: *const c_char) -> c_int {
    mount(cmd, target, |index| {
        // SAFETY: the caller's array of strings, ended by NULL.
        let lowers = unsafe { texts(lowers, "the array of lower directories") }?;
        let lowers = lowers.into_iter().map(|lower| path(lower, index, "lower directory")).collect::<Result<_>>()?;
        Ok(Kind::Overlay { lowers, upper: None, is_read_only: true })
    })
}

/// Changes the mode of what is at `target` by then: on the host too, where that is bound with SANDBOX_MOUNT_RW.
///
/// @param mode  0 to 07777.
/// @return As sandbox_cmd_bind; -EINVAL: another mode. The spawn fails with -ENOENT where nothing is there.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_chmod(cmd: *mut sandbox_cmd, target: *const c_char, mode: u32) -> c_int {
    mount(cmd, target, |_| Ok(Kind::Chmod { mode }))
}

/// Makes the mount at `target` read-only, without set-user-ID and devices, from there on: that one alone, not those
/// below it. It only takes away: a flag leaves the mount what it has of that.
///
/// @param target  What is mounted there by then, "/" included.
/// @param flags   SANDBOX_MOUNT_DEV, _SUID: devices, set-user-ID programs stay as they are; SANDBOX_MOUNT_EXEC_OFF.
/// @return As sandbox_cmd_bind; -EINVAL: another flag. The spawn fails with -EINVAL where nothing is mounted there.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_remount(cmd: *mut sandbox_cmd, target: *const c_char, flags: u64) -> c_int {
    mount(cmd, target, |_| Ok(Kind::Remount { flags }))
}
