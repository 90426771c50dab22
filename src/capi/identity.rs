//! Who the program is, where, and what it may: ids, groups, capabilities, names, clocks, namespaces to join.

use crate::capi::cmd::{change, sandbox_cmd};
use crate::capi::guard::text_for;
use crate::error::{Error, Result};
use std::ffi::{c_char, c_int};

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
/// none to be set (an ordinary user's child with its own id alone, or in a user namespace where setgroups is denied) do
/// the caller's own stay.
///
/// In a user namespace with no map given, these are what the caller's own ids are mapped to. Without one a change needs
/// CAP_SETUID and CAP_SETGID. Until exec nobody without the host's rights can trace the child, whatever its user.
///
/// @return 0; -EINVAL: the last number, which is no id; -EFAULT: NULL. A failed change fails the spawn, stage
///         SANDBOX_STAGE_IDENTITY: -EPERM: the right to it is missing; -EINVAL: an id that is not mapped.
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
        (_, 65537..) => Err(Error::setup(libc::EINVAL, format_args!("{count} groups"))),
        // SAFETY: the caller's array, copied before this call returns.
        _ => Ok(unsafe { std::slice::from_raw_parts(gids, count) }),
    }
}

/// The host name in the child's uts namespace, its own or a joined one (sethostname).
///
/// @param name  At most 64 bytes. Copied.
/// @return 0; -ENAMETOOLONG; -EFAULT: NULL. Without such a namespace the spawn fails with -EINVAL, stage
///         SANDBOX_STAGE_HOSTNAME.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_hostname(cmd: *mut sandbox_cmd, name: *const c_char) -> c_int {
    // SAFETY: the caller's string.
    change(cmd, |cmd| cmd.uts_name(0, unsafe { text_for(name, "the host name") }?))
}

/// The NIS domain name in the child's uts namespace, its own or a joined one (setdomainname).
///
/// @param name  At most 64 bytes. Copied.
/// @return As sandbox_cmd_hostname.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_domainname(cmd: *mut sandbox_cmd, name: *const c_char) -> c_int {
    // SAFETY: the caller's string.
    change(cmd, |cmd| cmd.uts_name(1, unsafe { text_for(name, "the domain name") }?))
}

/// Sets how far a clock of the child's own time namespace (SANDBOX_NS_TIME) is ahead of the host's; set again, the last
/// counts.
///
/// @param clock        CLOCK_MONOTONIC (1) or CLOCK_BOOTTIME (7).
/// @param seconds      May be negative, as long as the clock stays above 0 (else the spawn fails with -ERANGE).
/// @param nanoseconds  0 to 999999999, added to that.
/// @return 0; -EINVAL: another clock, or too many nanoseconds; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_time_offset(cmd: *mut sandbox_cmd, clock: u32, seconds: i64, nanoseconds: u32) -> c_int {
    change(cmd, |cmd| cmd.time_offset(clock, seconds, nanoseconds))
}

/// Has the child enter a namespace that exists (setns), one of each kind at most, in the order that works, whatever that
/// of the calls. Its processes can't trace the child before exec; after it they can do what the kernel lets them. With a
/// user namespace the child keeps the caller's ids, which it may not map: see sandbox_cmd_user. A joined pid
/// namespace's child is still the caller's own: handle, pid, pidfd and status are the program's.
///
/// Any other kinds can be new (sandbox_cmd_unshare): they, and what is mounted, are then the joined user namespace's, if
/// there is one; a new user namespace is made once all others are joined.
///
/// Without a user namespace to join this needs CAP_SYS_ADMIN. A failed entry is stage SANDBOX_STAGE_CLONE, with
/// this call's index.
///
/// @param namespace_fd  As opened from /proc/PID/ns. Duplicated.
/// @return 0; -EINVAL: no namespace, or the second of its kind; -EBADF; -EFAULT: NULL. The spawn fails with -EINVAL
///         where the same kind is unshared; with mounts beside a mount namespace to join; with pre_exec but without
///         SANDBOX_OPT_INIT.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_join(cmd: *mut sandbox_cmd, namespace_fd: c_int) -> c_int {
    change(cmd, |cmd| cmd.join(namespace_fd))
}
