//! A listener's ioctls, and the wait for the next notification. Several threads may wait at once.

use crate::fd;
use libc::{Ioctl, seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp, seccomp_notif_sizes};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Words of a request that lies on the stack.
const SHORT: usize = 64;
const SYNC_WAKE_UP: u64 = 1; // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP

pub struct Listener {
    fd: OwnedFd,
    /// The child's pidfd, where the kernel lets an unreaped child hold on to its filter.
    child: Option<OwnedFd>,
    /// The request's buffer, of the size that the kernel names; its lock is held around RECV alone.
    request: Mutex<Vec<u64>>,
    request_words: usize,
    releases_at_exit: bool,
    /// In words.
    response: usize,
    /// Threads asleep in RECV; it grows under the request's lock.
    asleep: AtomicUsize,
    /// Grows with each RECV that took something: what a poll has seen before that may be gone.
    received: AtomicU64,
}

pub enum Next {
    Call(seccomp_notif),
    /// The time is over, or no program under the filter is left.
    None,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ready {
    Pending,
    Ended,
    Nothing,
}

/// A buffer of words for `size` bytes.
fn words(size: u16, least: usize) -> usize {
    usize::from(size).max(least).div_ceil(8)
}

impl Listener {
    /// EINVAL where `fd` is no listener.
    pub fn new(fd: OwnedFd, child: Option<OwnedFd>) -> Result<Self, Errno> {
        let mut sizes = seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
        // SAFETY: a struct of ours to fill.
        if unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes) } < 0 {
            return Err(Errno::last());
        }
        let releases_at_exit = releases_at_exit();
        let request_words = words(sizes.seccomp_notif, size_of::<seccomp_notif>());
        let listener = Listener {
            fd,
            child: if releases_at_exit { None } else { child },
            releases_at_exit,
            request: Mutex::new(vec![0; request_words]),
            request_words,
            response: words(sizes.seccomp_notif_resp, size_of::<seccomp_notif_resp>()),
            asleep: AtomicUsize::new(0),
            received: AtomicU64::new(0),
        };
        if !matches!(listener.check(0), Ok(()) | Err(Errno::ENOENT)) {
            return Err(Errno::EINVAL);
        }
        // Linux 6.6: the waiting program is woken on our own processor, a fifth of the time. Elsewhere it is refused.
        // SAFETY: the argument is the flags themselves.
        let _ = unsafe { libc::ioctl(listener.fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
        Ok(listener)
    }

    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The next notification. RECV blocks even where the fd does not, and one that was seen may be taken by another
    /// thread: so RECV is called by one thread at a time, and only while what its poll saw must still be there, or have
    /// been cancelled (ENOENT). Threads that have no deadline may sleep in RECV itself: then what comes is theirs.
    pub fn next(&self, deadline: Option<Instant>) -> Result<Next, Errno> {
        if deadline.is_none() && self.receive_ends() {
            return self.sleep_in_receive();
        }
        loop {
            let seen = self.received.load(Acquire);
            if self.wait(deadline)? != Ready::Pending {
                return Ok(Next::None);
            }
            let mut request = self.request.lock().unwrap_or_else(PoisonError::into_inner);
            if self.asleep.load(Acquire) > 0 {
                drop(request);
                std::thread::yield_now();
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Ok(Next::None);
                }
                continue;
            }
            if self.received.load(Acquire) != seen && self.look(0)? != Ready::Pending {
                continue;
            }
            request.fill(0);
            let result = self.ioctl(libc::SECCOMP_IOCTL_NOTIF_RECV, request.as_mut_ptr().cast());
            match result {
                Ok(_) | Err(Errno::ENOENT) => self.received.fetch_add(1, Release),
                Err(errno) => return Err(errno),
            };
            if result.is_ok() {
                // SAFETY: at least as long as the struct, aligned as it, and filled by the kernel.
                return Ok(Next::Call(unsafe { request.as_ptr().cast::<seccomp_notif>().read() }));
            }
        }
    }

    /// Since Linux 6.11 RECV ends with the last program under the filter: no poll need come before it, which saves a
    /// tenth of an answer's time.
    fn receive_ends(&self) -> bool {
        self.releases_at_exit && self.request_words <= SHORT
    }

    fn sleep_in_receive(&self) -> Result<Next, Errno> {
        loop {
            {
                // What another thread has seen under this lock, it takes under it.
                let _seen = self.request.lock().unwrap_or_else(PoisonError::into_inner);
                self.asleep.fetch_add(1, AcqRel);
            }
            let mut request = [0u64; SHORT];
            let result = self.ioctl(libc::SECCOMP_IOCTL_NOTIF_RECV, request.as_mut_ptr().cast());
            // In this order, and also for one that was cancelled: who sees nobody asleep must see that something was taken.
            self.received.fetch_add(1, Release);
            self.asleep.fetch_sub(1, AcqRel);
            match result {
                Ok(_) => {
                    // SAFETY: at least as long as the struct, aligned as it, and filled by the kernel.
                    return Ok(Next::Call(unsafe { request.as_ptr().cast::<seccomp_notif>().read() }));
                }
                Err(Errno::ENOENT) if self.has_ended()? => return Ok(Next::None),
                Err(Errno::ENOENT | Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    fn wait(&self, deadline: Option<Instant>) -> Result<Ready, Errno> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // Rounded up: a wait must not end before its time.
            let slice = left.map_or(-1, |left| i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
            match self.look(slice) {
                Ok(Ready::Nothing) if left.is_some_and(|left| left.is_zero()) => return Ok(Ready::Nothing),
                Ok(Ready::Nothing) | Err(Errno::EINTR) => {}
                ready => return ready,
            }
        }
    }

    /// One poll, of `milliseconds` at most. It may see nothing although there is something; then it is to be repeated.
    fn look(&self, milliseconds: i32) -> Result<Ready, Errno> {
        let watched = self.child.as_ref().filter(|child| !is_reaped(child)).map_or(-1, AsRawFd::as_raw_fd);
        // A child that a tracer holds, or that another thread has yet to reap, says nothing new: looked at again later.
        let slice = if self.child.is_some() { milliseconds.cast_unsigned().min(100).cast_signed() } else { milliseconds };
        let poll = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut polled = [poll(self.fd()), poll(watched)];
        // SAFETY: two pollfds of ours; one with a negative fd is passed over.
        if unsafe { libc::poll(polled.as_mut_ptr(), 2, slice) } < 0 {
            return Err(Errno::last());
        }
        let [listener, child] = polled.map(|polled| polled.revents);
        if listener & libc::POLLNVAL != 0 {
            return Err(Errno::EBADF);
        }
        if listener & libc::POLLIN != 0 {
            return Ok(Ready::Pending);
        }
        let has_ended = listener & libc::POLLHUP != 0 || child != 0;
        Ok(if has_ended { Ready::Ended } else { Ready::Nothing })
    }

    pub fn has_ended(&self) -> Result<bool, Errno> {
        loop {
            match self.look(0) {
                Err(Errno::EINTR) => {}
                ready => return Ok(ready? == Ready::Ended),
            }
        }
    }

    /// ENOENT where `id` no longer waits: its program has ended, was interrupted, or has been answered.
    pub fn check(&self, mut id: u64) -> Result<(), Errno> {
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_ID_VALID, (&raw mut id).cast()).map(|_| ())
    }

    pub fn send(&self, answer: seccomp_notif_resp) -> Result<(), Errno> {
        let mut buffer = vec![0u64; self.response];
        // SAFETY: at least as long as the struct, and aligned as it.
        unsafe { buffer.as_mut_ptr().cast::<seccomp_notif_resp>().write(answer) };
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_SEND, buffer.as_mut_ptr().cast()).map(|_| ())
    }

    /// Gives the fd's number in the program. A signal during the call would take the fd back, but with SEND leave the
    /// call answered, by 0: so all are blocked.
    pub fn add_fd(&self, mut added: seccomp_notif_addfd) -> Result<i32, Errno> {
        // SAFETY: two sets of ours; all-zero is one.
        let (mut all, mut before) = unsafe { (std::mem::zeroed::<libc::sigset_t>(), std::mem::zeroed::<libc::sigset_t>()) };
        // SAFETY: as above.
        unsafe {
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        }
        let result = self.ioctl(libc::SECCOMP_IOCTL_NOTIF_ADDFD, (&raw mut added).cast());
        // SAFETY: the mask that was.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
        result
    }

    fn ioctl(&self, request: Ioctl, argument: *mut libc::c_void) -> Result<i32, Errno> {
        loop {
            // SAFETY: `argument` points to what `request` reads or fills.
            match unsafe { libc::ioctl(self.fd(), request, argument) } {
                value @ 0.. => return Ok(value),
                _ if Errno::last() == Errno::EINTR => {}
                _ => return Err(Errno::last()),
            }
        }
    }
}

/// Since Linux 6.11 a program lets go of its filter as it ends; before, only once it is reaped, and who answers its
/// calls is often the one to reap it.
fn releases_at_exit() -> bool {
    // SAFETY: all-zero is a valid value, and uname fills it.
    let name = unsafe {
        let mut name = std::mem::zeroed::<libc::utsname>();
        libc::uname(&raw mut name);
        name
    };
    let mut numbers = name.release.split(|byte| !(*byte as u8).is_ascii_digit()).map(|digits| {
        digits.iter().fold(0u32, |number, digit| number.saturating_mul(10).saturating_add((*digit as u8 - b'0').into()))
    });
    (numbers.next(), numbers.next()) >= (Some(6), Some(11))
}

/// Reaped, or nobody's child here: then its filter is let go of, and the listener tells all.
fn is_reaped(child: &OwnedFd) -> bool {
    if !fd::has_ended(child.as_raw_fd()) {
        return false;
    }
    // SAFETY: all-zero is a valid value.
    let mut info = unsafe { std::mem::zeroed::<libc::siginfo_t>() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: the struct is ours to fill.
    let waited = unsafe { libc::waitid(libc::P_PIDFD, child.as_raw_fd().cast_unsigned(), &raw mut info, options) };
    // SAFETY: filled, or zeros.
    waited < 0 || unsafe { info.si_pid() } == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::FromRawFd;

    /// A child that has ended and is not reaped, as before Linux 6.11: the wait ends by the pidfd, or by the listener
    /// alone once it is reaped.
    #[test]
    fn the_wait_ends_with_an_unreaped_child_that_keeps_the_listener_alive() {
        let mut ends = [0; 2];
        // SAFETY: plain calls; the child only ends. A pipe whose writing end is open stands for the listener.
        let (listener, pid, pidfd, _writer) = unsafe {
            assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
            let pid = libc::fork();
            if pid == 0 {
                libc::_exit(0);
            }
            let pidfd = libc::syscall(libc::SYS_pidfd_open, pid, 0) as RawFd;
            (OwnedFd::from_raw_fd(ends[0]), pid, OwnedFd::from_raw_fd(pidfd), OwnedFd::from_raw_fd(ends[1]))
        };
        let listener =
            Listener { fd: listener, child: Some(pidfd), request: Mutex::new(vec![0; 16]), request_words: 16, releases_at_exit: false,
                response: 4, asleep: AtomicUsize::new(0), received: AtomicU64::new(0) };
        assert!(matches!(listener.next(None), Ok(Next::None)));
        assert_eq!(listener.has_ended(), Ok(true));
        // SAFETY: our child.
        assert_eq!(unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) }, pid);
        assert_eq!(listener.has_ended(), Ok(false));
        assert!(matches!(listener.next(Some(Instant::now())), Ok(Next::None)));
    }
}
