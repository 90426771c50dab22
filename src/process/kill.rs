//! Signals for a child, by its pidfd; to all of it by its cgroup, or by an init that is asked.

use crate::fd;
use crate::process::{Child, lock};
use nix::errno::Errno;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How long freezing may take.
const FREEZE_PATIENCE: Duration = Duration::from_secs(5);

impl Child {
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
        if let Some(launch) = self.launch.as_ref().filter(|_| signal == libc::SIGKILL && self.ends_by_request()) {
            return launch.request_end(self.pidfd.as_raw_fd());
        }
        let pauses = [libc::SIGSTOP, libc::SIGCONT].contains(&signal);
        if let Some(launch) = self.launch.as_ref().filter(|launch| pauses && launch.plan().has_init && !launch.plan().lingers) {
            return launch.request_stop(signal == libc::SIGSTOP, self.pidfd.as_raw_fd());
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
            None => self.kill(libc::SIGKILL).or_else(|errno| match errno {
                Errno::ESRCH if self.lost_its_init() => Err(Errno::ENOTSUP),
                Errno::ESRCH => Ok(()),
                errno => Err(errno),
            }),
        }
    }

    pub fn freeze(&self, is_on: bool) -> Result<(), Errno> {
        let leaf = self.leaf.as_ref().ok_or(Errno::ENOTSUP)?;
        leaf.freeze(is_on, Instant::now() + FREEZE_PATIENCE)
    }

    /// Kills it with all that its init can reach.
    pub fn end(&self) {
        let _ = self.kill(libc::SIGKILL); // ESRCH: it has ended
        if !self.ends_by_request() {
            return;
        }
        for _ in 0..20 {
            if self.wait(100) != Err(Errno::ETIMEDOUT) {
                return;
            }
            let _ = self.kill(libc::SIGKILL); // its program has stopped it again
        }
        let _ = self.send(libc::SIGKILL); // overwhelmed
    }

    /// Whether an init is to kill the program: the one without a pid namespace ends the rest too, and the one with it has
    /// counted what the program used. Killed itself, it would take all along uncounted. A cgroup does both by itself.
    fn ends_by_request(&self) -> bool {
        self.launch.as_ref().is_some_and(|launch| launch.ends_by_request() || (launch.plan().has_init && self.leaf.is_none()))
    }

    /// Its init ended before its program did, and could not end what is left: without a pid namespace a program of the same
    /// user can do that.
    fn lost_its_init(&self) -> bool {
        let block = self.launch.as_ref().filter(|launch| launch.ends_by_request()).map(|launch| launch.inits_block());
        block.is_some_and(|block| block.final_code.load(Relaxed) == 0)
    }

    pub(super) fn send(&self, signal: i32) -> Result<(), Errno> {
        // SAFETY: no pointers but NULL.
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), signal, std::ptr::null::<u8>(), 0) };
        if sent < 0 { Err(Errno::last()) } else { Ok(()) }
    }
}
