//! Landlock rules of a command.

use crate::capi::cmd::{change, sandbox_cmd};
use crate::capi::guard::text_for;
use std::ffi::{c_char, c_int};

/// Grants `access` to the file at `path`, or to the directory and all that is below it (Landlock). From the first such
/// call on every access to files that this library knows of is denied but where a rule grants it: also to run the
/// program, its interpreter and its libraries (SANDBOX_LANDLOCK_READ_EXECUTE). Files open already stay usable.
///
/// What the kernel can't deny yet (SANDBOX_LANDLOCK_IOCTL_DEV needs Linux 6.10) refuses the spawn with -EOPNOTSUPP, unless
/// SANDBOX_OPT_ALLOW_LESS_LANDLOCK is set. Needs no_new_privs or CAP_SYS_ADMIN. An error's index counts rules for paths
/// and ports together, in the order of the calls; behind the last one stands the ruleset itself.
///
/// @param path    Looked up by the child as the program's user, inside its root; symlinks are followed. Copied. Not
///                found: the spawn fails with -ENOENT.
/// @param access  A sum of SANDBOX_LANDLOCK_*. Rights that only directories have are passed over for another file, unless
///                they are all there is (-ENOTDIR). 0 grants nothing: `path` is not looked at, and what no other rule
///                grants is denied.
/// @return 0; -EFAULT: NULL; -EINVAL: an unknown right; -ENAMETOOLONG.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_landlock_path(cmd: *mut sandbox_cmd, path: *const c_char, access: u64) -> c_int {
    // SAFETY: the caller's string.
    change(cmd, |cmd| cmd.landlock_path(unsafe { text_for(path, "Landlock path") }?, access))
}

/// Grants `access` to one TCP port (Landlock ABI 4, Linux 6.7). From the first such call on no other port can be bound
/// or connected to by TCP. Other protocols are not restricted: that takes a network namespace.
///
/// @param port    In the host's byte order; 0: to bind to a port that the kernel chooses.
/// @param access  A sum of SANDBOX_LANDLOCK_BIND_TCP and _CONNECT_TCP; 0 grants nothing.
/// @return 0; -EFAULT: NULL; -EINVAL: an unknown right.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_landlock_port(cmd: *mut sandbox_cmd, port: u16, access: u64) -> c_int {
    change(cmd, |cmd| cmd.landlock_port(port, access))
}

/// Keeps the program from reaching out of its sandbox (Landlock ABI 6, Linux 6.12): from connecting to abstract unix
/// sockets made outside of it, which a mount namespace does not hide, or from signalling processes outside.
///
/// @param scopes  A sum of SANDBOX_LANDLOCK_ABSTRACT_UNIX_SOCKET and _SIGNAL; several calls add up.
/// @return 0; -EFAULT: NULL; -EINVAL: an unknown scope.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_landlock_scope(cmd: *mut sandbox_cmd, scopes: u64) -> c_int {
    change(cmd, |cmd| cmd.landlock_scope(scopes))
}
