//! Why something was refused, in words, from what can be seen here: sysctls, security modules, mounts, this process's own
//! status. Looked at only once a spawn has failed.

use crate::confine::namespace::Ns;
use crate::host;
use std::fs;
use std::path::Path;

pub enum Refused {
    /// The clone, with these namespaces.
    Namespaces(u64),
    /// A line of uid_map or gid_map.
    Map,
    /// A new proc.
    Proc,
    /// To trace a child, or what takes the right to.
    Trace,
    /// A memfd that can be executed.
    Memfd,
}

const PROFILE: &str = "a seccomp filter holds this process, a container's profile perhaps: it may refuse this";
const APPARMOR: &str = "AppArmor keeps ordinary programs from user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns): give the host's program a profile with \"userns,\"";

pub fn diagnose(refused: &Refused, errno: i32) -> &'static str {
    match (refused, errno) {
        (Refused::Namespaces(asked), _) => namespaces(*asked, errno),
        (Refused::Map, libc::EPERM | libc::EACCES) if is_restricted_by_apparmor() => APPARMOR,
        (Refused::Map, libc::EACCES) if !host::is_dumpable() => "this process is not dumpable, as one that changed its user: the files in /proc of a child in its memory are root's",
        (Refused::Map, libc::EPERM | libc::EACCES) => "an ordinary user maps its own id alone; a container's profile or AppArmor may forbid even that",
        (Refused::Map, libc::EINVAL) => "ids that overlap, or do not exist outside",
        (Refused::Proc, libc::EPERM) => proc(),
        (Refused::Trace, libc::EPERM) => trace(),
        (Refused::Map, libc::ENOENT) => "no /proc is mounted here: a child's ids are mapped by its files",
        (Refused::Memfd, libc::EPERM | libc::ENOSYS) if is_filtered() => PROFILE,
        (Refused::Memfd, libc::EACCES) => "the sysctl vm.memfd_noexec forbids executable memfds",
        _ => "",
    }
}

fn namespaces(asked: u64, errno: i32) -> &'static str {
    let has_user = asked & Ns::SANDBOX_NS_USER as u64 != 0;
    match errno {
        libc::ENOSPC if has_user && is("/proc/sys/user/max_user_namespaces", "0") => "the sysctl user.max_user_namespaces is 0: no user namespaces here",
        libc::ENOSPC => "the limit of nested or of all namespaces is reached (sysctl user.max_*_namespaces)",
        libc::EAGAIN => "the limit of processes is reached (RLIMIT_NPROC, pids.max)",
        libc::EPERM | libc::EACCES if has_user => users(),
        libc::EPERM if asked != 0 && is_filtered() => PROFILE,
        libc::EPERM if asked != 0 => "without a user namespace of its own this needs CAP_SYS_ADMIN",
        libc::EPERM | libc::ENOSYS if is_filtered() => PROFILE,
        libc::EINVAL if asked != 0 => "this kernel lacks one of these namespaces",
        _ => "",
    }
}

/// Why a user namespace is refused. What decides it for every ordinary program comes before what may.
fn users() -> &'static str {
    if !is_mapped() {
        "this process's own user or group has no place in its user namespace: the kernel lets such a one make no other"
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "the sysctl kernel.unprivileged_userns_clone is 0: user namespaces are root's alone here"
    } else if is_restricted_by_apparmor() {
        APPARMOR
    } else if is_filtered() {
        "a seccomp filter holds this process, a container's profile perhaps: it refuses user namespaces"
    } else if !mounts().lines().any(|mount| place(mount) == "/") {
        "this process is in a chroot: the kernel allows it no user namespaces"
    } else {
        "user namespaces are not allowed here: a sysctl, AppArmor, or a container's profile"
    }
}

/// The kernel mounts no proc that shows more than those that are there.
fn proc() -> &'static str {
    let mounts = mounts();
    if mounts.lines().any(|mount| place(mount).starts_with("/proc/")) {
        "too revealing: parts of the /proc here are covered (a container's masks), and the kernel gives a user namespace no proc that shows them"
    } else if !mounts.lines().any(|mount| mount.contains(" - proc ")) {
        "too revealing: no proc is mounted here, and the kernel gives a user namespace none that shows more"
    } else {
        "without a pid namespace of its own a proc is the host's"
    }
}

fn trace() -> &'static str {
    match read("/proc/sys/kernel/yama/ptrace_scope").trim() {
        "3" => "Yama's ptrace_scope is 3: nobody may trace, until the next boot",
        "2" => "Yama's ptrace_scope is 2: only CAP_SYS_PTRACE may trace",
        _ => "it is traced already (strace, a debugger), not dumpable, or Yama or another security module forbids it",
    }
}

/// Who makes a user namespace must have ids in the one that it is made in.
fn is_mapped() -> bool {
    // SAFETY: no pointers.
    let own = unsafe { [("/proc/self/uid_map", libc::geteuid()), ("/proc/self/gid_map", libc::getegid())] };
    own.iter().all(|(file, id)| {
        let map = read(file);
        let mut lines = map.lines().map(|line| line.split_ascii_whitespace().filter_map(|number| number.parse::<u64>().ok()).collect::<Vec<_>>());
        map.is_empty() && !Path::new(file).exists() || lines.any(|line| matches!(line[..], [first, _, count] if (first..first + count).contains(&u64::from(*id))))
    })
}

fn is_restricted_by_apparmor() -> bool {
    is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1")
}

/// A seccomp filter is loaded on this very thread.
pub fn is_filtered() -> bool {
    read("/proc/thread-self/status").lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
}

fn mounts() -> String {
    read("/proc/self/mountinfo")
}

/// Where a line of mountinfo says that it is mounted.
fn place(mount: &str) -> &str {
    mount.split(' ').nth(4).unwrap_or("")
}

fn is(file: &str, text: &str) -> bool {
    read(file).trim() == text
}

fn read(file: &str) -> String {
    fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
