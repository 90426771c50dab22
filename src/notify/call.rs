//! One notification: what was called, by whom, and its one answer. Whatever is learned about the caller by its number
//! is used only once the notification was found to be still waiting: until then the number may be another's.

use crate::fd;
use crate::notify::Shared;
use crate::notify::caller::Status;
use crate::seccomp::bpf::Call;
use libc::{seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp};
use nix::errno::Errno;
use std::ffi::c_int;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::{Arc, OnceLock};

pub struct Notify {
    pub(super) shared: Arc<Shared>,
    id: u64,
    tid: libc::pid_t,
    call: Call,
    is_answered: AtomicBool,
    /// Its answer found nobody.
    was_gone: AtomicBool,
    /// Its answer may come after its handler.
    is_kept: AtomicBool,
    pub(super) status: OnceLock<Status>,
    pidfd: OnceLock<OwnedFd>,
}

/// How an answer fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Delivered,
    /// The caller no longer waits: what was done for it is to be undone.
    Gone,
}

/// Never for programs to see: the kernel would restart the call, or pass the number on.
fn is_kernel_internal(errnum: i64) -> bool {
    (512..=531).contains(&errnum)
}

impl Notify {
    pub(super) fn new(shared: Arc<Shared>, request: &seccomp_notif) -> Self {
        let data = &request.data;
        Notify {
            shared,
            id: request.id,
            tid: request.pid.cast_signed(),
            call: Call { arch: data.arch, nr: data.nr, ip: data.instruction_pointer, args: data.args },
            is_answered: AtomicBool::new(false),
            was_gone: AtomicBool::new(false),
            is_kept: AtomicBool::new(false),
            status: OnceLock::new(),
            pidfd: OnceLock::new(),
        }
    }

    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The calling thread; ESRCH where our pid namespace does not have it.
    pub fn tid(&self) -> Result<libc::pid_t, Errno> {
        if self.tid > 0 { Ok(self.tid) } else { Err(Errno::ESRCH) }
    }

    /// Its process.
    pub fn pid(&self) -> Result<libc::pid_t, Errno> {
        if self.is_answered.load(Acquire) {
            return Err(Errno::EALREADY);
        }
        Ok(self.status()?.tgid)
    }

    /// A pidfd of its process, the notification's own.
    pub fn pidfd(&self) -> Result<RawFd, Errno> {
        if let Some(pidfd) = self.pidfd.get() {
            return Ok(pidfd.as_raw_fd());
        }
        let pidfd = self.checked(open_pidfd(self.pid()?, 0))?;
        Ok(self.pidfd.get_or_init(|| pidfd).as_raw_fd())
    }

    /// A copy of the caller's fd number `number`.
    pub fn take_fd(&self, number: c_int) -> Result<OwnedFd, Errno> {
        let thread;
        let from = match self.checked(open_pidfd(self.tid()?, libc::PIDFD_THREAD)) {
            Ok(pidfd) => {
                thread = pidfd;
                thread.as_raw_fd()
            }
            // Before Linux 6.9 there are only those of processes: good where all threads share the table.
            Err(Errno::EINVAL) if self.shares_its_fds()? => self.pidfd()?,
            Err(Errno::EINVAL) => return Err(Errno::EOPNOTSUPP),
            Err(errno) => return Err(errno),
        };
        // SAFETY: numbers alone.
        self.checked(fd::owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, from, number, 0) } as RawFd))
    }

    fn shares_its_fds(&self) -> Result<bool, Errno> {
        const KCMP_FILES: c_int = 2;
        let (tid, pid) = (self.tid()?, self.pid()?);
        // SAFETY: numbers alone.
        Ok(tid == pid || unsafe { libc::syscall(libc::SYS_kcmp, tid, pid, KCMP_FILES, 0usize, 0usize) } == 0)
    }

    /// ESRCH once the caller no longer waits; EALREADY once it was answered.
    pub fn check(&self) -> Result<(), Errno> {
        if self.is_answered.load(Acquire) {
            return Err(Errno::EALREADY);
        }
        self.shared.listener.check(self.id).map_err(|errno| if errno == Errno::ENOENT { Errno::ESRCH } else { errno })
    }

    pub(super) fn has_gone(&self) -> bool {
        self.was_gone.load(Acquire) || self.check() == Err(Errno::ESRCH)
    }

    /// `result`, if the caller still waits: only then was it the caller that it is of.
    pub(super) fn checked<T>(&self, result: Result<T, Errno>) -> Result<T, Errno> {
        self.check()?;
        result
    }

    pub fn fail(&self, errnum: c_int) -> Result<Answer, Errno> {
        if !(1..=4095).contains(&errnum) || is_kernel_internal(errnum.into()) {
            return Err(Errno::EINVAL);
        }
        self.send(0, -errnum, 0)
    }

    pub fn give(&self, value: i64) -> Result<Answer, Errno> {
        if is_kernel_internal(value.saturating_neg()) {
            return Err(Errno::EINVAL);
        }
        self.send(value, 0, 0)
    }

    pub fn go_on(&self) -> Result<Answer, Errno> {
        self.send(0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32)
    }

    /// Installs `fd` in the caller and lets its call return the number.
    pub fn give_fd(&self, fd: RawFd, cloexec: bool) -> Result<Answer, Errno> {
        self.answer(|| self.install(fd, libc::SECCOMP_ADDFD_FLAG_SEND as u32, 0, cloexec).map(|_| ()))
    }

    /// Installs `fd` in the caller, at `target` where that is not -1, and gives its number there.
    pub fn add_fd(&self, fd: RawFd, target: c_int, cloexec: bool) -> Result<c_int, Errno> {
        let (flags, number) = match u32::try_from(target) {
            Ok(number) => (libc::SECCOMP_ADDFD_FLAG_SETFD as u32, number),
            Err(_) if target == -1 => (0, 0),
            Err(_) => return Err(Errno::EINVAL),
        };
        let number = self.install(fd, flags, number, cloexec);
        self.check()?;
        number
    }

    fn install(&self, fd: RawFd, flags: u32, newfd: u32, cloexec: bool) -> Result<c_int, Errno> {
        let srcfd = u32::try_from(fd).map_err(|_| Errno::EBADF)?;
        let newfd_flags = if cloexec { libc::O_CLOEXEC.cast_unsigned() } else { 0 };
        self.shared.listener.add_fd(seccomp_notif_addfd { id: self.id, flags, srcfd, newfd, newfd_flags })
    }

    fn send(&self, val: i64, error: i32, flags: u32) -> Result<Answer, Errno> {
        self.answer(|| self.shared.listener.send(seccomp_notif_resp { id: self.id, val, error, flags }))
    }

    /// The one answer. One that fails, an fd that the caller has no room for, leaves the call to be answered.
    fn answer(&self, send: impl FnOnce() -> Result<(), Errno>) -> Result<Answer, Errno> {
        if self.is_answered.swap(true, AcqRel) {
            return Err(Errno::EALREADY);
        }
        match send() {
            Ok(()) => Ok(Answer::Delivered),
            Err(Errno::ENOENT | Errno::ESRCH) => {
                self.was_gone.store(true, Release);
                Ok(Answer::Gone)
            }
            Err(Errno::EINPROGRESS) => Err(Errno::EALREADY),
            Err(errno) => {
                self.is_answered.store(false, Release);
                Err(errno)
            }
        }
    }

    pub fn keep(&self) -> Result<(), Errno> {
        if self.is_kept.swap(true, AcqRel) { Err(Errno::EALREADY) } else { Ok(()) }
    }

    pub(super) fn is_kept(&self) -> bool {
        self.is_kept.load(Acquire)
    }

    /// What was not answered is denied.
    pub fn finish(&self) {
        if !self.is_answered.load(Acquire) {
            let _ = self.fail(libc::ENOSYS); // gone, or the listener is: either way nobody waits for it
        }
    }
}

fn open_pidfd(pid: libc::pid_t, flags: u32) -> Result<OwnedFd, Errno> {
    // SAFETY: numbers alone.
    fd::owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) } as RawFd)
}
