//! The running child, and what its handle holds. `wait` takes its status, `status` says what that was, `kill` signals
//! it, `fds` hands out its fds. Every signal goes by pidfd.

mod fds;
mod kill;
mod status;
mod wait;

pub use fds::{sandbox_fd, sandbox_fds};
pub use status::{sandbox_cause, sandbox_status, sandbox_status_kind};

use crate::cgroup::Leaf;
use crate::confine::landlock;
use crate::error::Error;
use crate::launch::{Launch, see_through};
use crate::streams::Streams;
use fds::FDS;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI32};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

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
        let holds_descendants = plan.has_init || plan.has_pid_namespace();
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

    pub fn pid(&self) -> libc::pid_t {
        self.pid
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
        self.close_fds();
    }
}
