//! How a child ended and what it used, as its caller is told.

use crate::cgroup::Leaf;
use crate::process::Child;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How a program ended.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_status_kind {
    /// By exit: `code` is the exit code, 0 to 255.
    SANDBOX_EXITED = 1,
    /// By a signal: `code` is its number.
    SANDBOX_SIGNALED = 2,
}

/// Why a program ended, where that is known.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_cause {
    /// Of its own accord, or not known.
    SANDBOX_CAUSE_NONE = 0,
    /// SIGSYS ended it, under a filter that can do so. (Any process may send that signal too.)
    SANDBOX_CAUSE_FILTER = 1,
    /// It was killed (SIGKILL, not by its handle) and the kernel killed for memory in its cgroup (memory.events). Where
    /// only its descendants were, `oom_kills` alone tells.
    SANDBOX_CAUSE_MEMORY = 2,
    /// A time limit ended it.
    SANDBOX_CAUSE_TIMEOUT = 3,
    /// A signal sent through its handle ended it.
    SANDBOX_CAUSE_KILLED = 4,
}

/// How a child ended and what it used.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct sandbox_status {
    /// SANDBOX_EXITED or SANDBOX_SIGNALED.
    pub kind: u32,
    /// The exit code, 0 to 255, or the signal's number.
    pub code: i32,
    /// 1 where the kernel wrote a core.
    pub core_dumped: u32,
    /// SANDBOX_CAUSE_*: why it ended, where known.
    pub cause: u32,
    /// With SANDBOX_CAUSE_FILTER the system call's number, where the filters end a program for one call alone (on its own
    /// architecture: a call of another's is not told apart), else -1.
    pub syscall: i64,
    /// CPU time in user mode, in microseconds: of all of its cgroup, where it has one of its own (cpu.stat); else with
    /// that of its reaped children, and 0 where another reaped it.
    pub user_time_us: u64,
    /// CPU time in the kernel, in microseconds, likewise.
    pub system_time_us: u64,
    /// From the spawn until its end was noticed by a wait, in microseconds.
    pub wall_time_us: u64,
    /// The most memory its cgroup held, in bytes (memory.peak, Linux 5.19); 0 where it has none of its own, or that has
    /// no memory controller.
    pub peak_memory_bytes: u64,
    /// SANDBOX_LEFT_OUT_*: what was asked for, allowed to be missing, and is.
    pub left_out: u64,
    /// With SANDBOX_LEFT_OUT_LANDLOCK: the rights, of files and of TCP ports, that could neither be denied nor granted.
    pub landlock_fs_left_out: u64,
    pub landlock_net_left_out: u64,
    /// The scopes likewise, and what was not taken of SANDBOX_OPT_LANDLOCK_LOG.
    pub landlock_scope_left_out: u64,
    pub landlock_log_left_out: u64,
    /// The most processes and threads at once in its cgroup (pids.peak, Linux 6.1); 0 where unknown, likewise.
    pub pids_peak: u64,
    /// How many processes of its cgroup the kernel has killed for memory (memory.events), until its end was noticed.
    pub oom_kills: u64,
}

impl Child {
    /// `code` and `status` as waitid has them, or an init of its program.
    pub(super) fn status(&self, code: i32, status: i32, usage: Option<&libc::rusage>) -> sandbox_status {
        let (code, status) = self.report().unwrap_or((code, status));
        let microseconds = |time: libc::timeval| (time.tv_sec * 1_000_000 + time.tv_usec).unsigned_abs();
        let kind = if code == libc::CLD_EXITED { sandbox_status_kind::SANDBOX_EXITED } else { sandbox_status_kind::SANDBOX_SIGNALED };
        let signal = if kind == sandbox_status_kind::SANDBOX_SIGNALED { status } else { 0 };
        let group = self.leaf.as_ref().map(Leaf::usage);
        let of_group = group.unwrap_or_default();
        let cause = match signal {
            0 => sandbox_cause::SANDBOX_CAUSE_NONE,
            signal if signal == self.sent.load(Relaxed) => sandbox_cause::SANDBOX_CAUSE_KILLED,
            libc::SIGKILL if of_group.oom_kills > 0 => sandbox_cause::SANDBOX_CAUSE_MEMORY,
            libc::SIGSYS if self.fatal.is_some() => sandbox_cause::SANDBOX_CAUSE_FILTER,
            _ => sandbox_cause::SANDBOX_CAUSE_NONE,
        };
        let [fs, net, scope, log] = self.landlock_left_out;
        let is_filters = cause == sandbox_cause::SANDBOX_CAUSE_FILTER;
        sandbox_status {
            kind: kind as u32,
            code: status,
            core_dumped: (code == libc::CLD_DUMPED).into(),
            cause: cause as u32,
            syscall: self.fatal.filter(|_| is_filters).unwrap_or(-1),
            user_time_us: group.map_or_else(|| usage.map_or(0, |usage| microseconds(usage.ru_utime)), |group| group.user_us),
            system_time_us: group.map_or_else(|| usage.map_or(0, |usage| microseconds(usage.ru_stime)), |group| group.system_us),
            wall_time_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            peak_memory_bytes: of_group.peak_memory,
            left_out: self.left_out,
            landlock_fs_left_out: fs,
            landlock_net_left_out: net,
            landlock_scope_left_out: scope,
            landlock_log_left_out: log,
            pids_peak: of_group.pids_peak,
            oom_kills: of_group.oom_kills,
        }
    }

    /// Of all of its cgroup; `None` where it has none of its own.
    pub fn group_cpu_time(&self) -> Option<Duration> {
        let usage = self.leaf.as_ref()?.usage();
        Some(Duration::from_micros(usage.user_us + usage.system_us))
    }
}
