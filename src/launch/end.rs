//! A child's end, and sleeping on its words.

use super::*;
use sandbox_child::plan::wish;

/// Kills and reaps a child that is not to be.
pub(super) fn end(pid: libc::pid_t, pidfd: RawFd) {
    // SAFETY: no pointers but NULL; a child that has ended already says ESRCH.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, libc::SIGKILL, ptr::null::<u8>(), 0) };
    see_through(pid, pidfd);
    loop {
        // SAFETY: waitid may be given no siginfo.
        let reaped = unsafe { libc::waitid(libc::P_PIDFD, pidfd.cast_unsigned(), ptr::null_mut(), libc::WEXITED | libc::__WALL) };
        if reaped == 0 || Errno::last() != Errno::EINTR {
            return;
        }
    }
}

impl Launch {
    /// Asks an init to end its program, and then all the rest: killed itself, one without a pid namespace could not. What
    /// its program may have done to it is undone by SIGCONT, which no full queue of that user's refuses.
    pub fn request_end(&self, pidfd: RawFd) -> std::result::Result<(), Errno> {
        self.request(wish::END, pidfd)
    }

    /// Asks an init to stop its program, where SIGSTOP would stop the init, which no signal handler keeps it from; or to let
    /// it go on. The later of the two holds, however often the init is woken.
    pub fn request_stop(&self, is_on: bool, pidfd: RawFd) -> std::result::Result<(), Errno> {
        let (wish, other) = if is_on { (wish::STOP, wish::CONTINUE) } else { (wish::CONTINUE, wish::STOP) };
        self.inits_block().wishes.fetch_and(!other, AcqRel);
        self.request(wish, pidfd)
    }

    fn request(&self, wish: u32, pidfd: RawFd) -> std::result::Result<(), Errno> {
        self.inits_block().wishes.fetch_or(wish, Release);
        // struct siginfo: signal, errno, code; pid and uid at 16 and 20, the value at 24
        let mut info = [0i32; 32];
        (info[0], info[2], info[6]) = (libc::SIGCONT, libc::SI_QUEUE, wish::WAKE);
        // SAFETY: a siginfo of 128 bytes, ours.
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, libc::SIGCONT, info.as_ptr(), 0) };
        if sent < 0 { Err(Errno::last()) } else { Ok(()) }
    }

    /// Lets an init without a pid namespace, which has its program already, reap that first: killed itself, it would leave
    /// it to a host which adopts orphans.
    pub(super) fn let_init_reap(&self, pidfd: RawFd) {
        if self.ends_by_request() && self.request_end(pidfd).is_ok() {
            let _ = fd::wait_readable(pidfd, 2000);
        }
    }
}

/// Waits until a killed child has ended, without taking its status. A tracer's child stops once more on the way
/// (PTRACE_EVENT_EXIT, even after SIGKILL) and must be let go on: only its tracer's thread can.
pub fn see_through(pid: libc::pid_t, pidfd: RawFd) {
    let wait = |options| {
        // SAFETY: an all-zero siginfo, ours to fill.
        let mut info = unsafe { std::mem::zeroed::<libc::siginfo_t>() };
        // SAFETY: as above.
        let waited = unsafe { libc::waitid(libc::P_PIDFD, pidfd.cast_unsigned(), &raw mut info, options | libc::WSTOPPED | libc::__WALL) };
        if waited < 0 { Err(Errno::last()) } else { Ok(info.si_code) }
    };
    loop {
        match wait(libc::WEXITED | libc::WNOWAIT) {
            Err(Errno::EINTR) => continue,
            Err(_) | Ok(libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED) => return,
            Ok(_) => {}
        }
        let _ = wait(libc::WNOHANG);
        // SAFETY: no pointers.
        if unsafe { libc::ptrace(libc::PTRACE_CONT, pid, 0usize, 0usize) } < 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

pub(super) fn futex_wait(word: &AtomicU32, value: u32, timeout: Option<Duration>) {
    let time = timeout.map(|timeout| libc::timespec { tv_sec: 0, tv_nsec: timeout.subsec_nanos().into() });
    let time = time.as_ref().map_or(ptr::null(), |time| &raw const *time);
    // SAFETY: a word of ours and a time or NULL. Not a private futex: the kernel's wake at exec and death is not one.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, time) };
}

/// Until the word is no longer 0, or the time is over.
pub fn sleep_on(word: &AtomicI32, time: Duration) {
    let time = libc::timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
    // SAFETY: as in `futex_wait`.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, 0, &raw const time) };
}

pub(super) fn futex_wake(word: &AtomicU32) {
    // SAFETY: a word of ours.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}
