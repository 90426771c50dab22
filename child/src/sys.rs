//! The raw system calls the child makes, a line or three each. Every result is the kernel's: a value, or -errno.
//! SAFETY of the module: pointers handed in point to live memory of the size that the call expects, which the
//! signatures force where they can; a stub passes numbers on and touches no memory itself.

use crate::arch::{nr, syscall};
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU32;

pub const EPERM: i32 = 1;
pub const ENOENT: i32 = 2;
pub const ESRCH: i32 = 3;
pub const EINTR: i32 = 4;
pub const EIO: i32 = 5;
pub const ENXIO: i32 = 6;
pub const EBADF: i32 = 9;
pub const EAGAIN: i32 = 11;
pub const ENOMEM: i32 = 12;
pub const EACCES: i32 = 13;
pub const EBUSY: i32 = 16;
pub const EEXIST: i32 = 17;
pub const EXDEV: i32 = 18;
pub const ENODEV: i32 = 19;
pub const ENOTDIR: i32 = 20;
pub const EINVAL: i32 = 22;
pub const EROFS: i32 = 30;
pub const EMFILE: i32 = 24;
pub const ETXTBSY: i32 = 26;
pub const ENOSPC: i32 = 28;
pub const ENAMETOOLONG: i32 = 36;
pub const ELOOP: i32 = 40;
pub const ENOSYS: i32 = 38;
pub const EOPNOTSUPP: i32 = 95;
pub const ESTALE: i32 = 116;
pub const ETIMEDOUT: i32 = 110;
pub const ECANCELED: i32 = 125;

const FUTEX_WAIT: usize = 0;
const FUTEX_WAKE: usize = 1;
pub const SIG_SETMASK: usize = 2;
pub const SIGKILL: i32 = 9;
pub const SIGCHLD: i32 = 17;
pub const SIGCONT: i32 = 18;
pub const SIGSTOP: i32 = 19;
pub const F_SETFD: usize = 2;
pub const F_DUPFD_CLOEXEC: usize = 1030;
pub const FD_CLOEXEC: usize = 1;
pub const AT_EMPTY_PATH: usize = 0x1000;
pub const AT_FDCWD: usize = -100isize as usize;
pub const O_NONBLOCK: usize = 0o4000;
pub const O_CLOEXEC: usize = 0o2_000_000;
pub const O_PATH: usize = 0o10_000_000;
#[cfg(target_arch = "x86_64")]
pub const O_DIRECTORY: usize = 0o200_000;
#[cfg(target_arch = "x86_64")]
pub const O_NOFOLLOW: usize = 0o400_000;
#[cfg(target_arch = "aarch64")]
pub const O_DIRECTORY: usize = 0o40_000;
#[cfg(target_arch = "aarch64")]
pub const O_NOFOLLOW: usize = 0o100_000;
pub const CLOSE_RANGE_CLOEXEC: usize = 4;
pub const PR_SET_PDEATHSIG: usize = 1;
pub const PR_GET_DUMPABLE: usize = 3;
pub const PR_SET_DUMPABLE: usize = 4;
pub const PR_SET_NAME: usize = 15;
pub const PR_SET_CHILD_SUBREAPER: usize = 36;
pub const PR_GET_SPECULATION_CTRL: usize = 52;
pub const PR_SET_SPECULATION_CTRL: usize = 53;
pub const P_ALL: usize = 0;
pub const WNOHANG: usize = 1;
pub const WSTOPPED: usize = 2;
pub const WEXITED: usize = 4;
pub const WNOWAIT: usize = 0x0100_0000;
pub const WALL: usize = 0x4000_0000;

#[repr(C)]
pub struct Timespec {
    pub seconds: i64,
    pub nanoseconds: i64,
}

/// The kernel's siginfo_t, as far as waitid fills it.
#[repr(C)]
pub struct SigInfo {
    pub signo: i32,
    pub errno: i32,
    pub code: i32,
    _pad: i32,
    pub pid: i32,
    pub uid: u32,
    pub status: i32,
    _pad2: i32,
    _rest: [MaybeUninit<u64>; 12],
}

impl SigInfo {
    pub const EMPTY: SigInfo = SigInfo { signo: 0, errno: 0, code: 0, _pad: 0, pid: 0, uid: 0, status: 0, _pad2: 0, _rest: [MaybeUninit::uninit(); 12] };
}

#[repr(C)]
pub struct PollFd {
    pub fd: i32,
    pub events: i16,
    pub revents: i16,
}
pub const POLLIN: i16 = 1;

#[inline(always)]
pub fn call(number: usize, args: [usize; 6]) -> isize {
    // SAFETY: see the module's head.
    unsafe { syscall(number, args) }
}

pub fn exit_thread() -> ! {
    loop {
        call(nr::EXIT, [0; 6]);
    }
}

pub fn exit_group(code: i32) -> ! {
    loop {
        call(nr::EXIT_GROUP, [code as usize, 0, 0, 0, 0, 0]);
    }
}

/// The wait is not a private one: the kernel's own wake at exec and death is not either.
pub fn futex_wait(word: &AtomicU32, value: u32, timeout: Option<&Timespec>) {
    let time = timeout.map_or(0, |t| &raw const *t as usize);
    call(nr::FUTEX, [word.as_ptr() as usize, FUTEX_WAIT, value as usize, time, 0, 0]);
}

pub fn futex_wake(word: &AtomicU32) {
    call(nr::FUTEX, [word.as_ptr() as usize, FUTEX_WAKE, 1, 0, 0, 0]);
}

pub fn prctl(option: usize, a: usize, b: usize) -> isize {
    call(nr::PRCTL, [option, a, b, 0, 0, 0])
}

pub fn getppid() -> i32 {
    call(nr::GETPPID, [0; 6]) as i32
}

pub fn gettid() -> u32 {
    call(nr::GETTID, [0; 6]) as u32
}

pub fn fcntl(fd: i32, command: usize, value: usize) -> isize {
    call(nr::FCNTL, [fd as usize, command, value, 0, 0, 0])
}

pub fn close(fd: i32) {
    call(nr::CLOSE, [fd as usize, 0, 0, 0, 0, 0]);
}

pub fn close_range(first: usize, last: usize, flags: usize) -> isize {
    call(nr::CLOSE_RANGE, [first, last, flags, 0, 0, 0])
}

/// `handler` 0 is the default disposition.
pub fn sigaction_default(signal: usize) -> isize {
    let action = [0usize; 4]; // handler, flags, restorer, mask: the kernel's struct on both architectures
    call(nr::RT_SIGACTION, [signal, action.as_ptr() as usize, 0, 8, 0, 0])
}

pub fn is_ignored(signal: usize) -> bool {
    const SIG_IGN: usize = 1;
    let mut action = [0usize; 4];
    call(nr::RT_SIGACTION, [signal, 0, action.as_mut_ptr() as usize, 8, 0, 0]);
    let [handler, ..] = action;
    handler == SIG_IGN
}

pub fn sleep_ms(milliseconds: i64) {
    let time = Timespec { seconds: 0, nanoseconds: milliseconds * 1_000_000 };
    call(nr::NANOSLEEP, [&raw const time as usize, 0, 0, 0, 0, 0]);
}

pub fn poll(fds: &mut [PollFd], timeout: Option<&Timespec>) -> isize {
    let time = timeout.map_or(0, |t| &raw const *t as usize);
    call(nr::PPOLL, [fds.as_mut_ptr() as usize, fds.len(), time, 0, 0, 0])
}

/// A buffer that the kernel fills: clearing it first would be a call of libc's memset.
#[repr(C, align(8))]
pub struct Buffer<const SIZE: usize>(MaybeUninit<[u8; SIZE]>);

impl<const SIZE: usize> Buffer<SIZE> {
    pub const fn new() -> Self {
        Buffer(MaybeUninit::uninit())
    }

    /// What `fill(address, size)` wrote, by its own count; or its error.
    pub fn filled(&mut self, fill: impl FnOnce(usize, usize) -> isize) -> Result<&[u8], i32> {
        let length = fill(self.0.as_mut_ptr() as usize, SIZE);
        if length < 0 {
            return Err(-length as i32);
        }
        // SAFETY: the kernel wrote `length` bytes, and no more than it was told there is room for.
        Ok(unsafe { core::slice::from_raw_parts(self.0.as_ptr().cast(), (length as usize).min(SIZE)) })
    }
}

impl<const SIZE: usize> Buffer<SIZE> {
    /// The address of the bytes from `begin`, as a string that ends before `end`, or before the last byte of all.
    pub fn ended(&mut self, begin: usize, end: usize) -> usize {
        let at = self.0.as_mut_ptr().cast::<u8>();
        // SAFETY: inside the buffer, whatever the numbers.
        unsafe {
            at.add(end.min(SIZE - 1)).write(0);
            at.add(begin.min(SIZE - 1)) as usize
        }
    }
}

pub fn readable(fd: i32) -> bool {
    let mut fds = [PollFd { fd, events: POLLIN, revents: 0 }];
    poll(&mut fds, Some(&Timespec { seconds: 0, nanoseconds: 0 })) > 0
}

pub fn waitid(which: usize, id: i32, info: &mut SigInfo, options: usize) -> isize {
    call(nr::WAITID, [which, id as usize, &raw mut *info as usize, options, 0, 0])
}
