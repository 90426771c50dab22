//! Presets of a command.

use crate::capi::cmd::{change, sandbox_cmd};
use std::ffi::c_int;

/// Confines the command for a common purpose, in one call. Its program has:
///
/// - namespaces of its own: user (the caller's ids mapped to themselves), pid, mount, uts, ipc, cgroup, and but for
///   SANDBOX_PRESET_NETWORK net; SANDBOX_OPT_INIT; the host name "sandbox";
/// - a new, read-only root: of the host only /usr with /bin, /sbin, /lib* as they are there, and of /etc what the loader
///   and the preset's purpose need; proc; dev; a tmpfs on /tmp, which is HOME and the working directory;
/// - an environment of PATH, HOME, TMPDIR, LANG and what sandbox_cmd_env sets; no capabilities; a session and a keyring of
///   its own (where a container forbids a keyring, none); no core dumps; a limit of processes (RLIMIT_NPROC, which the
///   kernel does not hold its root to: for a caller who is that, set pids.max by sandbox_cmd_cgroup_set);
/// - a filter: other architectures' system calls (x32, int 0x80) end the program; io_uring and seccomp are ENOSYS; new
///   user namespaces, ptrace and its like, keys, bpf, perf events, input pushed into a terminal EPERM; clone3 ENOSYS, so
///   that libc falls back; sockets of other families than unix, IPv4, IPv6 and netlink EAFNOSUPPORT.
///
/// What can't be had fails the spawn. sandbox_cmd_explain shows it all. Every other setter can be called too, before or
/// after: what it sets holds in place of the preset's, its mounts come after the preset's (whose number an error's index
/// then counts), its filters and Landlock rules apply besides. With a directory given to sandbox_cmd_root none of
/// the host's own is bound.
///
/// @param preset  SANDBOX_PRESET_*.
/// @return 0; -EINVAL: another number, or a second preset; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_preset(cmd: *mut sandbox_cmd, preset: u32) -> c_int {
    change(cmd, |cmd| cmd.preset(preset))
}
