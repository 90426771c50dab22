//! The running child: its fds, its end, its status. Every signal goes by pidfd.

use crate::cgroup::Leaf;
use crate::confine::landlock;
use crate::confine::namespace::Ns;
use crate::error::{Error, Stage};
use crate::fd;
use crate::launch::{self, Launch, see_through};
use crate::streams::Streams;
use nix::errno::Errno;
use sandbox_child::init;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicI32};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    /// A seccomp filter ended it.
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
    /// With SANDBOX_CAUSE_FILTER the refused system call's number where known, else -1.
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

/// The fds of a child's handle, still the handle's; -1: none.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct sandbox_fds {
    pub pidfd: i32,
    /// The seccomp notification listener.
    pub seccomp_fd: i32,
    /// The writing end of the child's standard input.
    pub stdin_fd: i32,
    /// The reading end of its standard output.
    pub stdout_fd: i32,
    /// The reading end of its standard error.
    pub stderr_fd: i32,
    /// The master of its pseudoterminal.
    pub pty_fd: i32,
    /// The directory of its cgroup: a leaf that is removed when the handle is freed.
    pub cgroup_fd: i32,
}

/// One of a child's fds, for sandbox_child_take_fd.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_fd {
    /// The pidfd.
    SANDBOX_FD_PIDFD = 0,
    /// The seccomp notification listener.
    SANDBOX_FD_SECCOMP = 1,
    /// The writing end of the child's standard input.
    SANDBOX_FD_STDIN = 2,
    /// The reading end of its standard output.
    SANDBOX_FD_STDOUT = 3,
    /// The reading end of its standard error.
    SANDBOX_FD_STDERR = 4,
    /// The master of its pseudoterminal.
    SANDBOX_FD_PTY = 5,
    /// The directory of its cgroup.
    SANDBOX_FD_CGROUP = 6,
}

const FDS: usize = 7;

/// How long freezing may take.
const FREEZE_PATIENCE: Duration = Duration::from_secs(5);

pub struct Child {
    pid: libc::pid_t,
    pidfd: OwnedFd,
    /// By `sandbox_fd`; the pidfd's place says only whether it was taken.
    fds: Mutex<[Option<RawFd>; FDS]>,
    end: Mutex<Option<Result<sandbox_status, Errno>>>,
    started: Instant,
    /// The last signal sent through the handle.
    sent: AtomicI32,
    detached: AtomicBool,
    /// Where an init reports its program's own end, and an exec under way how it went.
    launch: Option<Launch>,
    /// How the exec went; `None` while it is under way.
    exec: Mutex<Option<Result<(), Error>>>,
    left_out: u64,
    landlock_left_out: landlock::Rights,
    is_traced: bool,
    /// Its pid namespace or its init ends with it, and takes its descendants along.
    holds_descendants: bool,
    leaf: Option<Leaf>,
    /// Of a child with filters: the system call that a death by SIGSYS means, -1 where there may be several.
    fatal: Option<i64>,
}

/// Nothing in here can panic while it holds a lock; were it so, the data would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Child {
    pub fn new(pid: libc::pid_t, pidfd: OwnedFd, listener: Option<OwnedFd>, streams: Streams, started: Instant, mut launch: Launch, is_under_way: bool) -> Child {
        let Streams { host: [stdin, stdout, stderr], pty, .. } = streams;
        let raw = |fd: Option<OwnedFd>| fd.map(IntoRawFd::into_raw_fd);
        let fds = [Some(pidfd.as_raw_fd()), raw(listener), raw(stdin), raw(stdout), raw(stderr), raw(pty), launch.leaf.as_ref().map(Leaf::fd)];
        let leaf = launch.leaf.take();
        let plan = launch.plan();
        let fatal = match (plan.loaded.as_slice(), plan.filters.as_slice()) {
            ([], []) => None,
            ([filter], []) | ([], [filter]) => Some(filter.program.only_fatal.unwrap_or(-1)),
            _ => Some(-1),
        };
        let is_kept = plan.has_init || is_under_way;
        let is_traced = plan.is_traced();
        let holds_descendants = plan.has_init || plan.namespaces & Ns::SANDBOX_NS_PID as u64 != 0;
        Child {
            pid,
            pidfd,
            fds: Mutex::new(fds),
            end: Mutex::new(None),
            started,
            sent: AtomicI32::new(0),
            detached: AtomicBool::new(false),
            left_out: launch.left_out() | plan.left_out,
            landlock_left_out: plan.landlock_left_out,
            exec: Mutex::new((!is_under_way).then_some(Ok(()))),
            launch: is_kept.then_some(launch),
            is_traced,
            holds_descendants,
            leaf,
            fatal,
        }
    }

    /// How exec went, once it has; ETIMEDOUT while it is under way.
    pub fn wait_exec(&self, timeout_ms: i64) -> Result<(), Error> {
        let failed = |errno| Error::new(Stage::SANDBOX_STAGE_EXEC, 0, errno as i32, "the exec that waits for the supervisor");
        let deadline = deadline(timeout_ms).map_err(failed)?;
        loop {
            if let Some(exec) = &*lock(&self.exec) {
                return exec.clone();
            }
            let slice = Instant::now() + Duration::from_millis(100);
            let until = deadline.map_or(slice, |deadline| deadline.min(slice));
            let exec = self.launch.as_ref().map_or(Some(Ok(())), |launch| launch.wait_exec(&self.pidfd, until));
            if let Some(exec) = exec {
                if exec.is_err() {
                    let _ = self.kill(libc::SIGKILL); // a filter may keep it from its own exit
                }
                return lock(&self.exec).get_or_insert(exec).clone();
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(failed(Errno::ETIMEDOUT));
            }
        }
    }

    /// What the init wrote of its program: code and status as waitid's.
    fn report(&self) -> Option<(i32, i32)> {
        let block = self.launch.as_ref().filter(|launch| launch.plan().has_init)?.inits_block();
        let code = block.final_code.load(Acquire);
        (code != 0).then(|| (code, block.final_status.load(Relaxed)))
    }

    fn lingers(&self) -> bool {
        self.launch.as_ref().is_some_and(|launch| launch.plan().lingers)
    }

    /// Waits for an init's report of its program, for a slice of time; false where the init has ended.
    fn await_report(&self, left: Option<Duration>) -> bool {
        const SLICE: Duration = Duration::from_millis(100);
        let Some(launch) = &self.launch else { return false };
        let slice = left.map_or(SLICE, |left| left.min(SLICE));
        launch::sleep_on(&launch.inits_block().final_code, slice);
        self.report().is_some() || !self.has_ended()
    }

    pub fn pid(&self) -> libc::pid_t {
        self.pid
    }

    pub fn fds(&self) -> sandbox_fds {
        let [pidfd, seccomp_fd, stdin_fd, stdout_fd, stderr_fd, pty_fd, cgroup_fd] = lock(&self.fds).map(|fd| fd.unwrap_or(-1));
        sandbox_fds { pidfd, seccomp_fd, stdin_fd, stdout_fd, stderr_fd, pty_fd, cgroup_fd }
    }

    /// Pidfd and cgroup are given as copies: the handle goes on needing its own.
    pub fn take_fd(&self, which: u32) -> Result<RawFd, Errno> {
        let which = usize::try_from(which).map_err(|_| Errno::EINVAL)?;
        let mut fds = lock(&self.fds);
        let place = fds.get_mut(which).ok_or(Errno::EINVAL)?;
        let fd = place.ok_or(Errno::EBADF)?;
        let given = match &self.leaf {
            _ if which == sandbox_fd::SANDBOX_FD_PIDFD as usize => fd::duplicate(fd, 3)?.into_raw_fd(),
            Some(leaf) if which == sandbox_fd::SANDBOX_FD_CGROUP as usize => leaf.reopen()?.into_raw_fd(),
            _ => fd,
        };
        *place = None;
        Ok(given)
    }

    /// A copy of the pidfd, whether or not one was taken.
    pub fn copy_pidfd(&self) -> Result<OwnedFd, Errno> {
        fd::duplicate(self.pidfd.as_raw_fd(), 3)
    }

    /// `timeout` -1: for ever. The same answer again, however often it is asked.
    pub fn wait(&self, timeout_ms: i64) -> Result<sandbox_status, Errno> {
        let deadline = deadline(timeout_ms)?;
        if lock(&self.exec).is_none() {
            // One whose exec fails is killed there: the filter may keep it from its own exit.
            let _ = self.wait_exec(timeout_ms);
        }
        loop {
            if let Some(end) = *lock(&self.end) {
                return end;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if self.lingers() && self.await_report(left) {
                if let Some(end) = self.report().map(|(code, status)| Ok(self.status(code, status, None))) {
                    return *lock(&self.end).get_or_insert(end);
                }
                if left.is_some_and(|left| left.is_zero()) {
                    return Err(Errno::ETIMEDOUT);
                }
                continue;
            }
            // Rounded up: a wait must not end before its time.
            let slice = left.map_or(-1, |left| i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
            match fd::wait_readable(self.pidfd.as_raw_fd(), slice) {
                Ok(true) => {
                    if let Some(end) = self.reap() {
                        return end;
                    }
                    // It has ended, but a tracer has not yet let go of it.
                    if left.is_some_and(|left| left.is_zero()) {
                        return Err(Errno::ETIMEDOUT);
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(false) if left.is_some_and(|left| left.is_zero()) => return Err(Errno::ETIMEDOUT),
                Ok(false) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Takes the status of a child that has ended, once; `None` where a tracer still holds it.
    fn reap(&self) -> Option<Result<sandbox_status, Errno>> {
        let mut end = lock(&self.end);
        if end.is_some() {
            return *end;
        }
        // SAFETY: all-zero is a valid value of both.
        let (mut info, mut usage) = unsafe { (std::mem::zeroed::<libc::siginfo_t>(), std::mem::zeroed::<libc::rusage>()) };
        let options = libc::WEXITED | libc::WNOHANG | libc::__WALL;
        // SAFETY: both structs are ours to fill. The raw call: the wrapper of libc gives no rusage.
        let waited = unsafe {
            libc::syscall(libc::SYS_waitid, libc::P_PIDFD, self.pidfd.as_raw_fd(), &raw mut info, options, &raw mut usage)
        };
        // One whose exec failed after the spawn had returned was never the program.
        let exec = self.launch.as_ref().filter(|_| lock(&self.exec).is_none()).and_then(|launch| launch.wait_exec(&self.pidfd, Instant::now()));
        if let Some(exec) = exec {
            lock(&self.exec).get_or_insert(exec);
        }
        let failed_exec = lock(&self.exec).as_ref().and_then(|exec| exec.as_ref().err().map(|error| Errno::from_raw(error.errno)));
        *end = if let Some(errno) = failed_exec {
            Some(Err(errno))
        } else if waited == 0 {
            // SAFETY: waitid filled the fields of a SIGCHLD's siginfo, or zeros.
            let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
            if pid == 0 {
                return None;
            }
            Some(Ok(self.status(info.si_code, status, Some(&usage))))
        } else {
            Some(self.status_of_reaped())
        };
        *end
    }

    /// The host ignores SIGCHLD, or another of its threads took the status: newer kernels still tell it (Linux 6.15).
    fn status_of_reaped(&self) -> Result<sandbox_status, Errno> {
        let Some(code) = self.exit_code_of_reaped() else {
            // An init's report of its program is as good.
            return self.report().map(|(code, status)| self.status(code, status, None)).ok_or(Errno::ECHILD);
        };
        Ok(match code & 0x7f {
            0 => self.status(libc::CLD_EXITED, code >> 8 & 0xff, None),
            signal if code & 0x80 != 0 => self.status(libc::CLD_DUMPED, signal, None),
            signal => self.status(libc::CLD_KILLED, signal, None),
        })
    }

    /// As wait(2) encodes it; `None` where the kernel can't tell. Who took the status may still be on its way through
    /// the kernel: then the exit is not told yet, or the task went just between the kernel's look for its exit and
    /// the look for itself (ESRCH, once).
    fn exit_code_of_reaped(&self) -> Option<i32> {
        const PIDFD_GET_INFO: libc::c_ulong = 0xc040_ff0b;
        const PIDFD_INFO_EXIT: u64 = 8;
        const PATIENCE: u32 = 1000;
        #[repr(C)]
        struct PidfdInfo {
            mask: u64,
            cgroup: u64,
            ids: [u32; 11],
            exit_code: i32,
        }
        let mut was_gone = false;
        for _ in 0..PATIENCE {
            let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, cgroup: 0, ids: [0; 11], exit_code: 0 };
            // SAFETY: a struct of the size that the request's number names.
            let told = unsafe { libc::ioctl(self.pidfd.as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) };
            if told == 0 && info.mask & PIDFD_INFO_EXIT != 0 {
                return Some(info.exit_code);
            }
            if told == 0 {
                std::thread::sleep(Duration::from_millis(1));
            } else if Errno::last() != Errno::ESRCH || was_gone {
                return None;
            } else {
                was_gone = true;
            }
        }
        None
    }

    fn status(&self, code: i32, status: i32, usage: Option<&libc::rusage>) -> sandbox_status {
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

    pub fn kill(&self, signal: i32) -> Result<(), Errno> {
        if !(0..=64).contains(&signal) {
            return Err(Errno::EINVAL);
        }
        if (lock(&self.end).is_some() && !self.lingers()) || fd::has_ended(self.pidfd.as_raw_fd()) {
            return Err(Errno::ESRCH);
        }
        if signal != 0 {
            self.sent.store(signal, Relaxed);
        }
        if signal == libc::SIGKILL && self.ends_by_request() {
            return request_end(self.pidfd.as_raw_fd());
        }
        match &self.leaf {
            Some(leaf) if signal == libc::SIGKILL && leaf.kill().is_ok() => Ok(()),
            _ => self.send(signal),
        }
    }

    /// SIGKILL to it and to all its descendants; ENOTSUP where nothing holds them together.
    pub fn kill_all(&self) -> Result<(), Errno> {
        match &self.leaf {
            Some(leaf) => {
                if lock(&self.end).is_none() && !self.has_ended() {
                    self.sent.store(libc::SIGKILL, Relaxed);
                }
                leaf.kill()
            }
            None if !self.holds_descendants => Err(Errno::ENOTSUP),
            None => self.kill(libc::SIGKILL).or_else(|errno| if errno == Errno::ESRCH { Ok(()) } else { Err(errno) }),
        }
    }

    /// Of all of its cgroup; `None` where it has none of its own.
    pub fn group_cpu_time(&self) -> Option<Duration> {
        let usage = self.leaf.as_ref()?.usage();
        Some(Duration::from_micros(usage.user_us + usage.system_us))
    }

    pub fn freeze(&self, is_on: bool) -> Result<(), Errno> {
        let leaf = self.leaf.as_ref().ok_or(Errno::ENOTSUP)?;
        leaf.freeze(is_on, Instant::now() + FREEZE_PATIENCE)
    }

    /// Kills it with all that its init can reach.
    pub fn end(&self) {
        let _ = self.kill(libc::SIGKILL); // ESRCH: it has ended
        if self.ends_by_request() && self.wait(2000) == Err(Errno::ETIMEDOUT) {
            let _ = self.send(libc::SIGKILL); // stopped, or overwhelmed
        }
    }

    /// Whether an init is to kill the program: the one without a pid namespace ends the rest too, and the one with it has
    /// counted what the program used. Killed itself, it would take all along uncounted. A cgroup does both by itself.
    fn ends_by_request(&self) -> bool {
        self.launch.as_ref().is_some_and(|launch| launch.ends_by_request() || (launch.plan().has_init && self.leaf.is_none()))
    }

    fn send(&self, signal: i32) -> Result<(), Errno> {
        // SAFETY: no pointers but NULL.
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), signal, std::ptr::null::<u8>(), 0) };
        if sent < 0 { Err(Errno::last()) } else { Ok(()) }
    }

    pub fn has_ended(&self) -> bool {
        fd::has_ended(self.pidfd.as_raw_fd())
    }

    /// Has the child's status taken as a stranger's waitpid would, and looks whether it can still be told.
    pub fn is_told_after_reaping(&self) -> bool {
        let id = self.pidfd.as_raw_fd().cast_unsigned();
        // SAFETY: waitid may be given no siginfo.
        unsafe { libc::waitid(libc::P_PIDFD, id, std::ptr::null_mut(), libc::WEXITED | libc::__WALL) };
        self.wait(-1).is_ok()
    }

    pub fn detach(&self) {
        self.detached.store(true, Relaxed);
    }

    /// Its exec waits for an answer, and the listener goes with this handle. The kernel would not tell it so: until
    /// exec the child holds a copy itself.
    fn waits_in_vain(&self) -> bool {
        let is_pending = self.launch.as_ref().is_some_and(|launch| !launch.has_left());
        is_pending && lock(&self.fds).get(sandbox_fd::SANDBOX_FD_SECCOMP as usize).is_some_and(Option::is_some)
    }
}

/// Asks an init to end its program, and then all the rest: killed itself, one without a pid namespace could not.
pub fn request_end(pidfd: RawFd) -> Result<(), Errno> {
    let (signal, code, value) = init::END;
    // The head of a queued signal's siginfo: signo, errno, code, a gap, pid, uid, value.
    let mut info = [0i32; 32];
    for (place, number) in info.iter_mut().zip([signal, 0, code, 0, 0, 0, value]) {
        *place = number;
    }
    // SAFETY: 128 bytes, the size of the kernel's siginfo.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, info.as_ptr(), 0) };
    if sent < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// `timeout_ms` -1: none.
fn deadline(timeout_ms: i64) -> Result<Option<Instant>, Errno> {
    match timeout_ms {
        -1 => Ok(None),
        0.. => Ok(Instant::now().checked_add(Duration::from_millis(timeout_ms.unsigned_abs()))),
        _ => Err(Errno::EINVAL),
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.detached.load(Relaxed) && !self.waits_in_vain() {
            let _ = self.wait(0); // one that has ended leaves no zombie
            if let Some(leaf) = self.leaf.take() {
                leaf.leave();
            }
        } else if self.lingers() && lock(&self.end).is_some() {
            // The program's end is told; its init may still be there.
            let _ = self.send(libc::SIGKILL);
            see_through(self.pid, self.pidfd.as_raw_fd());
            *lock(&self.end) = None;
            let _ = self.reap();
        } else if lock(&self.end).is_none() {
            self.end();
            if self.is_traced {
                see_through(self.pid, self.pidfd.as_raw_fd());
            }
            let _ = self.wait(-1);
        }
        if let Some(launch) = self.launch.take_if(|launch| !launch.has_left() && lock(&self.end).is_none()) {
            launch.leak();
        }
        let others = [sandbox_fd::SANDBOX_FD_PIDFD as usize, sandbox_fd::SANDBOX_FD_CGROUP as usize];
        for (which, fd) in lock(&self.fds).iter().enumerate() {
            if let Some(fd) = fd.filter(|_| !others.contains(&which)) {
                // SAFETY: the handle's own, not taken.
                unsafe { libc::close(fd) };
            }
        }
    }
}
