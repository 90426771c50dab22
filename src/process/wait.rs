//! Waiting for a child: how its exec went, and its status, which is taken once and told as often as it is asked.
//! Where another has taken it, newer kernels and an init's report still tell.

use crate::error::{Error, Stage};
use crate::fd;
use crate::launch;
use crate::process::{Child, lock, sandbox_status};
use nix::errno::Errno;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

impl Child {
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
    pub(super) fn report(&self) -> Option<(i32, i32)> {
        let block = self.launch.as_ref().filter(|launch| launch.plan().has_init)?.inits_block();
        let code = block.final_code.load(Acquire);
        (code != 0).then(|| (code, block.final_status.load(Relaxed)))
    }

    pub(super) fn lingers(&self) -> bool {
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
    pub(super) fn reap(&self) -> Option<Result<sandbox_status, Errno>> {
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
}

/// `timeout_ms` -1: none.
fn deadline(timeout_ms: i64) -> Result<Option<Instant>, Errno> {
    match timeout_ms {
        -1 => Ok(None),
        0.. => Ok(Instant::now().checked_add(Duration::from_millis(timeout_ms.unsigned_abs()))),
        _ => Err(Errno::EINVAL),
    }
}
