//! Who the program is, and what it may: ids, groups, capabilities.

use crate::capi::cmd::{change, sandbox_cmd};
use crate::error::{Error, Result};
use std::ffi::c_int;

/// Decides which capabilities the program has. Where this is not called it has none: effective, permitted, inheritable,
/// bounding and ambient set are empty, for root too.
///
/// A host without CAP_SETPCAP (an ordinary user's, with no user namespace for the child) can't empty a bounding set: it
/// then stays, and gives nothing, because SANDBOX_OPT_NO_NEW_PRIVS is on. With that off such a spawn fails with -EPERM:
/// keep SANDBOX_CAPS_ALL to run set-user-ID programs with what they are entitled to. A program of another uid than 0
/// loses at exec what is not ambient too (capabilities(7)).
///
/// @param keep     The bounding, permitted, effective and inheritable sets: bit n for capability n of
///                 linux/capability.h. One that the child does not have fails the spawn with -EPERM, stage
///                 SANDBOX_STAGE_CAPABILITY, naming it. SANDBOX_CAPS_ALL: what it has, the bounding set as it is.
/// @param ambient  The ambient set, within `keep`; SANDBOX_CAPS_ALL: all that are kept.
/// @return 0; -EINVAL: an ambient capability that is not kept; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_caps(cmd: *mut sandbox_cmd, keep: u64, ambient: u64) -> c_int {
    change(cmd, |cmd| cmd.caps(keep, ambient))
}

/// Sets the program's user and group, as seen inside: real, effective and saved ids, changed together and read back.
/// Supplementary groups go with them: unless sandbox_cmd_groups names some, there are none. Only where the kernel allows
/// none to be set (an ordinary user's child without an id map of several lines) do the caller's own stay.
///
/// In a user namespace with no map given, these are what the caller's own ids are mapped to. Without one a change needs
/// CAP_SETUID and CAP_SETGID. Until exec nobody without the host's rights can trace the child, whatever its user.
///
/// @return 0; -EINVAL: the last number, which is no id; -EFAULT: NULL. A failed change fails the spawn, stage
///         SANDBOX_STAGE_IDENTITY: -EPERM, or -EINVAL for an id that is not mapped.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_user(cmd: *mut sandbox_cmd, uid: u32, gid: u32) -> c_int {
    change(cmd, |cmd| cmd.user(uid, gid))
}

/// Sets the program's supplementary groups, as seen inside (setgroups). Not called: those of the caller; with
/// sandbox_cmd_user, none.
///
/// @param gids   Copied; NULL where `count` is 0.
/// @param count  At most 65536.
/// @return 0; -EINVAL: too many, or the last number, which is no id; -EFAULT: NULL. Where setgroups is not allowed the
///         spawn fails with -EPERM, stage SANDBOX_STAGE_IDENTITY.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_groups(cmd: *mut sandbox_cmd, gids: *const u32, count: usize) -> c_int {
    change(cmd, |cmd| cmd.groups(numbers(gids, count)?))
}

fn numbers<'a>(gids: *const u32, count: usize) -> Result<&'a [u32]> {
    match (gids.is_null(), count) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Error::setup(libc::EFAULT, "the groups are NULL")),
        (_, 65537..) => Err(Error::setup(libc::EINVAL, format!("{count} groups"))),
        // SAFETY: the caller's array, copied before this call returns.
        _ => Ok(unsafe { std::slice::from_raw_parts(gids, count) }),
    }
}
