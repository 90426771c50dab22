//! The supervisor, through the C functions. The programs that it answers are forks of this one: each loads a small filter
//! by itself, gives its listener away and runs a body of raw system calls.

#[path = "../common/mod.rs"]
mod common;
mod answers;
mod leaving;
mod threads;
mod fds;
mod memory;
mod paths;
mod child;

use common::*;
use libc::{c_int, c_long, c_void, pid_t};
use sandbox_spawn::capi::child::*;
use sandbox_spawn::capi::cmd::*;
use sandbox_spawn::capi::filter::*;
use sandbox_spawn::capi::sandbox_syscall;
use sandbox_spawn::capi::supervisor::*;
use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::Read;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};
use std::{ptr, thread};

const EPERM: i64 = libc::EPERM as i64;
const ENOSYS: i64 = libc::ENOSYS as i64;
/// The call that most tests ask by: it takes no arguments, so those passed are for the handler.
const ASK: c_long = libc::SYS_getppid;

// ---- the program that is answered

/// What a program and its supervisor share: results and whatever else a test likes.
struct Page(*mut [AtomicI64; 512]);
unsafe impl Send for Page {}
unsafe impl Sync for Page {}
impl Page {
    fn new() -> Page {
        let page = unsafe { libc::mmap(ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        Page(page.cast())
    }
}
impl Drop for Page {
    fn drop(&mut self) {
        unsafe { libc::munmap(self.0.cast(), 4096) };
    }
}
impl std::ops::Index<usize> for Page {
    type Output = AtomicI64;
    fn index(&self, at: usize) -> &AtomicI64 {
        unsafe { &(&(*self.0))[at] }
    }
}

/// The result as the kernel gave it.
fn call(nr: c_long, args: [i64; 6]) -> i64 {
    let [a, b, c, d, e, f] = args;
    match unsafe { libc::syscall(nr, a, b, c, d, e, f) } {
        -1 => -i64::from(unsafe { *libc::__errno_location() }),
        value => value,
    }
}

fn ask(argument: i64) -> i64 {
    call(ASK, [argument, 0, 0, 0, 0, 0])
}

struct Target {
    pid: pid_t,
    pidfd: OwnedFd,
    listener: Option<OwnedFd>,
    is_reaped: bool,
}

fn notify_about(calls: &[c_long]) -> RawFd {
    let mut code = vec![libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 }];
    for nr in calls {
        code.push(libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: *nr as u32 });
        code.push(libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_USER_NOTIF });
    }
    code.push(libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW });
    let program = libc::sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER, &raw const program) as RawFd
    }
}

impl Target {
    /// `flags`: CLONE_NEW*. `before` runs without a filter; `body` is asked about `calls`.
    fn start(flags: c_int, calls: &[c_long], before: impl FnOnce(), body: impl FnOnce()) -> Target {
        let page = Page::new();
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) } as pid_t;
        assert!(pid >= 0, "clone: {}", std::io::Error::last_os_error());
        if pid == 0 {
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            // What other tests hold open is not to live on here.
            unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
            before();
            let listener = notify_about(calls);
            page[0].store(i64::from(listener), SeqCst);
            while listener >= 0 && page[1].load(SeqCst) == 0 {
                thread::yield_now();
            }
            unsafe { libc::close(listener) };
            body();
            unsafe { libc::_exit(0) };
        }
        let pidfd = unsafe { OwnedFd::from_raw_fd(libc::syscall(libc::SYS_pidfd_open, pid, 0) as RawFd) };
        let mut target = Target { pid, pidfd, listener: None, is_reaped: false };
        while page[0].load(SeqCst) == 0 {
            assert!(!target.has_ended(), "the program ended in its preparation");
            thread::yield_now();
        }
        assert!(page[0].load(SeqCst) > 0, "the filter was refused");
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, target.pidfd.as_raw_fd(), page[0].load(SeqCst), 0) } as RawFd;
        assert!(fd >= 0, "pidfd_getfd: {}", std::io::Error::last_os_error());
        target.listener = Some(unsafe { OwnedFd::from_raw_fd(fd) });
        page[1].store(1, SeqCst);
        target
    }

    fn new(calls: &[c_long], body: impl FnOnce()) -> Target {
        Target::start(0, calls, || (), body)
    }

    /// The listener is handed over: no other copy stays open.
    fn supervisor(&mut self) -> Supervisor {
        let listener = self.listener.take().unwrap();
        let sup = sandbox_supervisor_from_fd(listener.as_raw_fd(), self.pidfd.as_raw_fd());
        assert!(!sup.is_null());
        Supervisor(sup)
    }

    fn has_ended(&self) -> bool {
        let mut poll = libc::pollfd { fd: self.pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        unsafe { libc::poll(&raw mut poll, 1, 0) > 0 }
    }

    fn kill(&self) {
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), libc::SIGKILL, 0, 0) };
        while !self.has_ended() {
            thread::yield_now();
        }
    }

    /// The exit code, or minus the signal.
    fn end(mut self) -> i32 {
        self.is_reaped = true;
        let mut status = 0;
        assert_eq!(unsafe { libc::waitpid(self.pid, &raw mut status, 0) }, self.pid);
        if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill();
            unsafe { libc::waitpid(self.pid, ptr::null_mut(), 0) };
        }
    }
}

// ---- the supervisor

struct Supervisor(*mut sandbox_supervisor);
unsafe impl Send for Supervisor {}
unsafe impl Sync for Supervisor {}

#[derive(Clone, Copy)]
struct Notify(*mut sandbox_notify);

type Handler = Box<dyn Fn(Notify) -> c_int + Sync>;

extern "C" fn trampoline(n: *mut sandbox_notify, userdata: *mut c_void) -> c_int {
    let handler = unsafe { &*userdata.cast::<Handler>() };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| handler(Notify(n)))).unwrap_or(-libc::EBADMSG)
}

/// For handlers that use their own supervisor: never dropped, as they are not.
fn same(sup: &Supervisor) -> *mut sandbox_supervisor {
    sup.0
}

/// A handler as userdata.
fn kept(handler: impl Fn(Notify) -> c_int + Sync + 'static) -> *mut c_void {
    let handler: Handler = Box::new(handler);
    Box::into_raw(Box::new(handler)).cast()
}

impl Supervisor {
    /// The handler lives as long as the test's process.
    fn on(&self, name: &str, handler: impl Fn(Notify) -> c_int + Sync + 'static) -> &Self {
        let handler = kept(handler);
        let name = c(name);
        assert_eq!(sandbox_supervisor_on(self.0, name.as_ptr(), Some(trampoline), handler), 0);
        self
    }
    fn run(&self) -> c_int {
        sandbox_supervisor_run(self.0)
    }
    fn dispatch(&self, timeout_ms: i64) -> c_int {
        sandbox_supervisor_dispatch(self.0, timeout_ms)
    }
}
impl Drop for Supervisor {
    fn drop(&mut self) {
        sandbox_supervisor_free(self.0);
    }
}

impl Notify {
    fn args(self) -> [u64; 6] {
        let mut call = sandbox_syscall::default();
        assert_eq!(sandbox_notify_call(self.0, &raw mut call, size_of::<sandbox_syscall>()), 0);
        call.args
    }
    fn errno(self, errnum: c_int) -> c_int {
        sandbox_notify_errno(self.0, errnum)
    }
    fn give(self, value: i64) -> c_int {
        sandbox_notify_return(self.0, value)
    }
    /// The outcome of a helper as the answer: a value, or an errno.
    fn result(self, result: c_int) -> c_int {
        if result < 0 { self.errno(-result) } else { self.give(result.into()) }
    }
    fn string(self, address: u64, size: usize) -> (c_int, Vec<u8>) {
        let mut buffer = vec![0x55u8; size];
        let length = sandbox_notify_string(self.0, address, buffer.as_mut_ptr().cast(), size);
        (length, buffer)
    }
    fn read(self, address: u64, size: usize) -> (c_int, Vec<u8>) {
        let mut buffer = vec![0x55u8; size];
        (sandbox_notify_read(self.0, address, buffer.as_mut_ptr().cast(), size), buffer)
    }
    fn write(self, address: u64, bytes: &[u8]) -> c_int {
        sandbox_notify_write(self.0, address, bytes.as_ptr().cast(), bytes.len())
    }
}

fn leaked_page() -> &'static Page {
    Box::leak(Box::new(Page::new()))
}
