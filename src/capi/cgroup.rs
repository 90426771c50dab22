//! The child's cgroup.

use crate::capi::child::{borrow, sandbox_child};
use crate::capi::cmd::{change, sandbox_cmd};
use crate::capi::guard::{code, text_for};
use std::ffi::{c_char, c_int};

/// Gives each child a fresh cgroup of its own (version 2): a leaf below `parent`, which the child enters as it is made
/// (CLONE_INTO_CGROUP; where the memory above it is limited for others than the caller, once it has left the caller's
/// memory), and which is removed, with all that still runs in it, when the child's handle is freed. Its
/// status then tells of all of the group: CPU times, and with the memory and pids controllers peak_memory_bytes,
/// oom_kills and pids_peak (they are enabled in the parent's cgroup.subtree_control where that is allowed). With
/// SANDBOX_NS_CGROUP the leaf is the root that the child sees.
///
/// A leaf whose host died is removed by the next spawn below the same parent, of any process: what still runs in it is
/// killed first, unless SANDBOX_OPT_DEATH_SIGNAL is 0 or the child was detached. (Where there is much to look at not each
/// spawn does so, but within ten seconds one does.)
///
/// @param parent  A directory of a cgroup2 file system, the caller's to write in. Copied; opened at the first spawn.
///                NULL: SANDBOX_CGROUP in the environment; else this process's own cgroup, or the nearest above it, that
///                is the user's to write in and can give the controllers that sandbox_cmd_cgroup_set asks for. A cgroup
///                that holds processes itself can give none: start the host by
///                "systemd-run --user --scope -p Delegate=yes", or in a container move its processes one level down.
/// @return 0; -EFAULT: `cmd` is NULL; -ENOENT: an empty path; -ENAMETOOLONG. sandbox_spawn fails at SANDBOX_STAGE_CGROUP:
///         -ENOENT, -ENOTDIR, -EINVAL: no such cgroup; -EACCES, -EROFS: not to be written; -EAGAIN: the parent's
///         cgroup.max.descendants or cgroup.max.depth.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_cgroup(cmd: *mut sandbox_cmd, parent: *const c_char) -> c_int {
    change(cmd, |cmd| match parent.is_null() {
        true => cmd.cgroup(None),
        // SAFETY: the caller's string.
        false => cmd.cgroup(Some(unsafe { text_for(parent, "cgroup") }?)),
    })
}

/// Writes a file of the child's cgroup, in the order of the calls: "pids.max" "64", "memory.max" "67108864",
/// "cpu.max" "50000 100000", "io.max" "8:0 wbps=1048576" (again for another device). Alone it asks for a cgroup as
/// sandbox_cmd_cgroup with NULL does. A controller that is not enabled in the parent is enabled there.
///
/// The files of the memory controller are written once the child has left the host's memory, the others before there is
/// a child. pids.max counts the init of SANDBOX_OPT_INIT.
///
/// @param file   A name without '/'; of the files cgroup.*, which are the library's, only cgroup.max.depth,
///               cgroup.max.descendants and cgroup.pressure.
/// @param value  Up to 4094 bytes, written with a newline.
/// @return 0; -EFAULT: a NULL; -EINVAL: no such name; -E2BIG: a longer value, or a 1025th. sandbox_spawn fails at
///         SANDBOX_STAGE_CGROUP with this call's index: -ENOENT: the controller is not available, or the kernel has no
///         such file; -EBUSY: the parent holds processes; -EINVAL, -ERANGE: the kernel refused the value; -ENOMEM: the
///         memory limit is below what the set-up needs.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_cgroup_set(cmd: *mut sandbox_cmd, file: *const c_char, value: *const c_char) -> c_int {
    // SAFETY: the caller's strings.
    change(cmd, |cmd| unsafe { cmd.cgroup_set(text_for(file, "the cgroup's file")?, text_for(value, "its value")?) })
}

/// Stops everything in the child's cgroup (cgroup.freeze), or lets it go on, and waits until that is so. What is stopped
/// can be killed.
///
/// @param on  1: stop; 0: go on.
/// @return 0; -ENOTSUP: the child has no cgroup of its own; -ETIMEDOUT: not all has stopped within five seconds, and it
///         goes on stopping; -EINVAL: another `on`; -EFAULT: NULL; -ENOENT: before Linux 5.2.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_child_freeze(child: *mut sandbox_child, on: c_int) -> c_int {
    code(|| match on {
        0 | 1 => borrow(child)?.freeze(on == 1).map(|()| 0),
        _ => borrow(child).and(Err(nix::errno::Errno::EINVAL)),
    })
}

/// SIGKILL to the child and all its descendants, also when it has ended itself: by its cgroup (cgroup.kill; before Linux
/// 5.14 one by one while frozen), else by its pid namespace or SANDBOX_OPT_INIT.
///
/// @return 0, also where none is left; -ENOTSUP: nothing holds them together; -EFAULT: NULL; -ETIMEDOUT: before Linux
///         5.14, where not all has ended within five seconds.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_child_kill_all(child: *mut sandbox_child) -> c_int {
    code(|| borrow(child)?.kill_all().map(|()| 0))
}
