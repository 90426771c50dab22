//! The supervisor, through the C functions. The programs that it answers are forks of this one: each loads a small filter
//! by itself, gives its listener away and runs a body of raw system calls.

mod common;

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

// ---- answers

#[test]
fn each_answer_reaches_the_call_and_none_is_enosys() {
    let page = Page::new();
    let mut target = Target::new(&[ASK, libc::SYS_getpid, libc::SYS_getuid], || {
        for n in 0..6 {
            page[n].store(ask(n as i64), SeqCst);
        }
        page[6].store(call(libc::SYS_getpid, [0; 6]), SeqCst);
        page[7].store(call(libc::SYS_getuid, [0; 6]), SeqCst);
    });
    let sup = target.supervisor();
    sup.on("getppid", |n| match n.args()[0] {
        0 => n.errno(libc::EPERM),
        1 => n.give(42),
        2 => n.give(i64::MIN),
        3 => sandbox_notify_continue_unsafe(n.0),
        4 => 0,
        _ => n.give(-libc::ENOENT as i64),
    });
    let number = libc::SYS_getpid.to_string();
    sup.on(&number, |n| n.give(7));
    assert_eq!(sup.run(), 0);
    assert_eq!(sandbox_supervisor_ended(sup.0), 1);
    assert_eq!(sup.dispatch(0), 0);
    assert_eq!(sup.dispatch(-1), 0, "nobody is left to wait for");
    let seen: Vec<i64> = (0..8).map(|n| page[n].load(SeqCst)).collect();
    assert_eq!(seen, [-EPERM, 42, i64::MIN, std::process::id() as i64, -ENOSYS, -i64::from(libc::ENOENT), 7, -ENOSYS]);
    assert_eq!(target.end(), 0);
}

#[test]
fn the_handler_for_all_others_has_what_no_other_has_and_handlers_can_be_taken_away() {
    let page = Page::new();
    let mut target = Target::new(&[ASK, libc::SYS_getuid], || {
        page[0].store(ask(0), SeqCst);
        page[1].store(call(libc::SYS_getuid, [0; 6]), SeqCst);
        page[2].store(ask(0), SeqCst);
    });
    let sup = target.supervisor();
    assert_eq!(sandbox_supervisor_on(sup.0, ptr::null(), Some(trampoline), kept(|n| n.give(2))), 0);
    let others = Supervisor(sup.0);
    sup.on("getppid", move |n| {
        assert_eq!(sandbox_supervisor_on(same(&others), c"getppid".as_ptr(), None, ptr::null_mut()), 0);
        n.give(1)
    });
    assert_eq!(sup.run(), 0);
    assert_eq!([0, 1, 2].map(|n| page[n].load(SeqCst)), [1, 2, 2]);
    assert_eq!(sandbox_supervisor_on(sup.0, c"no_such_call".as_ptr(), Some(trampoline), ptr::null_mut()), -libc::EINVAL);
    assert_eq!(target.end(), 0);
}

#[test]
fn an_answer_out_of_range_is_refused_and_a_second_one_too() {
    let page = Page::new();
    let mut target = Target::new(&[ASK], || page[0].store(ask(0), SeqCst));
    let sup = target.supervisor();
    sup.on("getppid", |n| {
        for errnum in [0, -1, -libc::EPERM, 4096, 512, 520, 531, i32::MIN, i32::MAX] {
            assert_eq!(n.errno(errnum), -libc::EINVAL, "{errnum}");
        }
        for value in [-512, -531] {
            assert_eq!(n.give(value), -libc::EINVAL, "{value}");
        }
        assert_eq!(sandbox_notify_fd(n.0, -1, 0), -libc::EBADF);
        assert_eq!(sandbox_notify_fd(n.0, 1 << 20, 0), -libc::EBADF);
        assert_eq!(sandbox_notify_check(n.0), 0);
        assert_eq!(n.errno(532), 0);
        let again = [n.errno(1), n.give(1), sandbox_notify_continue_unsafe(n.0), sandbox_notify_fd(n.0, 0, 0), sandbox_notify_check(n.0)];
        assert_eq!(again, [-libc::EALREADY; 5]);
        assert_eq!(n.read(0, 1).0, -libc::EALREADY);
        0
    });
    assert_eq!(sup.run(), 0);
    assert_eq!(page[0].load(SeqCst), -532);
    assert_eq!(target.end(), 0);
}

#[test]
fn a_handlers_failure_is_returned_and_its_call_denied() {
    let page = Page::new();
    let mut target = Target::new(&[ASK], || (0..3).for_each(|n| page[n].store(ask(n as i64), SeqCst)));
    let sup = target.supervisor();
    sup.on("getppid", |n| match n.args()[0] {
        0 => -libc::ECANCELED,
        1 => {
            n.give(5);
            -12345
        }
        _ => -libc::ESRCH, // although the caller waits
    });
    assert_eq!([sup.run(), sup.dispatch(-1), sup.run(), sup.run()], [-libc::ECANCELED, -12345, -libc::ESRCH, 0]);
    assert_eq!([0, 1, 2].map(|n| page[n].load(SeqCst)), [-ENOSYS, 5, -ENOSYS]);
    assert_eq!(target.end(), 0);
}

#[test]
fn freeing_the_supervisor_denies_what_waits_and_what_comes() {
    let page = Page::new();
    let mut target = Target::new(&[ASK], || (0..2).for_each(|n| page[n].store(ask(0), SeqCst)));
    let sup = target.supervisor();
    let mut poll = libc::pollfd { fd: sandbox_supervisor_fd(sup.0), events: libc::POLLIN, revents: 0 };
    assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 60_000) }, 1);
    assert_eq!(poll.revents, libc::POLLIN);
    drop(sup);
    assert_eq!(target.end(), 0);
    assert_eq!([0, 1].map(|n| page[n].load(SeqCst)), [-ENOSYS; 2]);
}

// ---- the caller goes

#[test]
fn a_caller_that_dies_while_its_handler_runs_is_no_error() {
    for way in 0..8 {
        let mut target = Target::new(&[ASK], || drop(ask(0)));
        let sup = target.supervisor();
        let seen: &'static Mutex<Vec<c_int>> = Box::leak(Box::default());
        let pidfd = target.pidfd.as_raw_fd();
        let fd = File::open("/dev/null").unwrap();
        let given = fd.as_raw_fd();
        sup.on("getppid", move |n| {
            assert!(sandbox_notify_pidfd(n.0) > 2);
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, libc::SIGKILL, 0, 0) };
            let mut poll = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
            assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 60_000) }, 1);
            let mut buffer = [0u8; 8];
            let result = match way {
                0 => n.errno(libc::EPERM),
                1 => n.give(1),
                2 => sandbox_notify_continue_unsafe(n.0),
                3 => sandbox_notify_fd(n.0, given, 1),
                4 => sandbox_notify_read(n.0, seen as *const _ as u64, buffer.as_mut_ptr().cast(), 8),
                5 => n.write(seen as *const _ as u64, b"12345678"),
                6 => sandbox_notify_open(n.0, libc::AT_FDCWD, c"/etc/passwd".as_ptr() as u64, 0, 0),
                _ => sandbox_notify_add_fd(n.0, given, -1, 0),
            };
            assert_eq!(buffer, [0; 8]);
            seen.lock().unwrap().push(result);
            result
        });
        assert_eq!(sup.run(), 0, "way {way}");
        assert_eq!(*seen.lock().unwrap(), [if way < 4 { 1 } else { -libc::ESRCH }], "way {way}");
        assert_eq!(target.end(), -libc::SIGKILL);
    }
}

extern "C" fn nothing(_: c_int) {}

#[test]
fn an_interrupted_call_is_asked_about_anew_and_its_old_answer_goes_nowhere() {
    let page = leaked_page();
    let mut target = Target::new(&[ASK], || {
        unsafe {
            let mut action = zeroed::<libc::sigaction>();
            action.sa_sigaction = nothing as extern "C" fn(c_int) as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut());
        }
        page[0].store(ask(0), SeqCst);
    });
    let sup = target.supervisor();
    let pidfd = target.pidfd.as_raw_fd();
    sup.on("getppid", move |n| {
        if page[1].fetch_add(1, SeqCst) > 0 {
            return n.give(7);
        }
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, libc::SIGUSR1, 0, 0) };
        let until = Instant::now() + Duration::from_secs(60);
        while sandbox_notify_check(n.0) == 0 {
            assert!(Instant::now() < until, "the signal interrupts nothing");
            thread::yield_now();
        }
        page[2].store(n.give(6).into(), SeqCst);
        0
    });
    assert_eq!(sup.run(), 0);
    assert_eq!([0, 1, 2].map(|n| page[n].load(SeqCst)), [7, 2, 1]);
    assert_eq!(target.end(), 0);
}

/// What poll saw may be cancelled, or taken by another thread, before RECV: none may stay in there, where no timeout
/// reaches it. After each few calls the program waits until every dispatch has come back.
fn no_dispatch_stays_behind(has_runner: bool) {
    const THREADS: usize = 4;
    let page = leaked_page();
    let storm = |microseconds| unsafe {
        let every = libc::timeval { tv_sec: 0, tv_usec: microseconds };
        libc::setitimer(libc::ITIMER_REAL, &libc::itimerval { it_interval: every, it_value: every }, ptr::null_mut());
    };
    let mut target = Target::new(&[ASK], || {
        unsafe {
            let mut action = zeroed::<libc::sigaction>();
            action.sa_sigaction = nothing as extern "C" fn(c_int) as usize;
            libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut());
        }
        for round in 0..1500 {
            let before: [i64; THREADS] = std::array::from_fn(|n| page[n].load(SeqCst));
            storm(if round % 2 == 0 { 0 } else { 15 });
            (0..5).for_each(|_| drop(ask(0)));
            storm(0);
            // Twice: the first may have begun before the calls.
            while (0..THREADS).any(|n| page[n].load(SeqCst) < before[n] + 2) {
                thread::sleep(Duration::from_micros(100));
            }
            page[10].fetch_add(1, SeqCst);
        }
        page[11].store(1, SeqCst);
    });
    let sup = target.supervisor();
    sup.on("getppid", |n| n.give(1).min(0));
    thread::scope(|scope| {
        if has_runner {
            scope.spawn(|| assert_eq!(sup.run(), 0));
        }
        for n in 0..THREADS {
            let sup = &sup;
            scope.spawn(move || {
                while page[11].load(SeqCst) == 0 {
                    // Some look all the time: those that sleep are woken one after the other.
                    assert!(sup.dispatch(i64::from(n > 1)) >= 0);
                    page[n].fetch_add(1, SeqCst);
                }
            });
        }
        let (mut seen, mut since) = (0, Instant::now());
        while page[11].load(SeqCst) == 0 {
            let now = page[10].load(SeqCst);
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
            if since.elapsed() > Duration::from_secs(20) {
                page[11].store(1, SeqCst);
                target.kill();
                panic!("a dispatch does not come back, in round {now}");
            }
            thread::sleep(Duration::from_millis(1));
        }
    });
    assert_eq!(target.end(), 0);
}

#[test]
fn calls_that_others_take_or_that_are_cancelled_leave_no_dispatch_behind() {
    no_dispatch_stays_behind(false);
}

#[test]
fn a_thread_that_runs_leaves_no_dispatch_behind() {
    no_dispatch_stays_behind(true);
}

#[test]
fn the_run_goes_on_until_the_last_descendant_has_ended() {
    let page = Page::new();
    let mut target = Target::new(&[ASK], || {
        if unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } == 0 {
            while page[2].load(SeqCst) == 0 {
                thread::yield_now();
            }
            page[0].store(ask(0), SeqCst);
        }
    });
    let sup = target.supervisor();
    sup.on("getppid", |n| n.give(9));
    // The child waits for nobody; it is reaped here, the grandchild lives on.
    assert_eq!(unsafe { libc::waitpid(target.pid, ptr::null_mut(), 0) }, target.pid);
    target.is_reaped = true;
    assert_eq!((sup.dispatch(50), sandbox_supervisor_ended(sup.0)), (0, 0));
    page[2].store(1, SeqCst);
    assert_eq!(sup.run(), 0);
    assert_eq!((page[0].load(SeqCst), sandbox_supervisor_ended(sup.0)), (9, 1));
    let mut poll = libc::pollfd { fd: sandbox_supervisor_fd(sup.0), events: libc::POLLIN, revents: 0 };
    assert_eq!((unsafe { libc::poll(&raw mut poll, 1, 0) }, poll.revents), (1, libc::POLLHUP));
}

#[test]
fn a_dispatch_ends_with_its_time() {
    let mut target = Target::new(&[ASK], || unsafe {
        libc::pause();
    });
    let sup = target.supervisor();
    let started = Instant::now();
    assert_eq!(sup.dispatch(30), 0);
    assert!(started.elapsed() >= Duration::from_millis(30));
    assert_eq!((sup.dispatch(0), sup.dispatch(-2)), (0, -libc::EINVAL));
    target.kill();
}

// ---- several threads

fn threads(count: usize, body: impl Fn(usize) + Sync) {
    thread::scope(|scope| (0..count).for_each(|n| drop(scope.spawn({ let body = &body; move || body(n) }))));
}

#[test]
fn a_slow_handler_stops_no_other_thread() {
    const QUICK: usize = 500;
    let page = leaked_page();
    let mut target = Target::new(&[ASK, libc::SYS_getuid], || {
        threads(4, |n| match n {
            0 => page[0].store(call(libc::SYS_getuid, [0; 6]), SeqCst),
            _ => (0..QUICK).for_each(|_| assert_eq!(ask(1), 2)),
        });
    });
    let sup = target.supervisor();
    static DONE: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());
    sup.on("getuid", |n| {
        // Answers only once all the others have been.
        let (done, changed) = &DONE;
        let (done, timeout) = changed.wait_timeout_while(done.lock().unwrap(), Duration::from_secs(60), |done| *done < 3 * QUICK).unwrap();
        n.give(if timeout.timed_out() { -1 } else { *done as i64 })
    });
    sup.on("getppid", |n| {
        *DONE.0.lock().unwrap() += 1;
        DONE.1.notify_all();
        n.give(2)
    });
    threads(4, |_| assert_eq!(sup.run(), 0));
    assert_eq!(page[0].load(SeqCst), 3 * QUICK as i64);
    assert_eq!(target.end(), 0);
}

#[test]
fn of_100000_calls_each_gets_its_own_answer() {
    const EACH: i64 = 25_000;
    let page = Page::new();
    let mut target = Target::new(&[ASK], || {
        threads(4, |n| {
            let right = (0..EACH).filter(|round| ask(round * 4 + n as i64) == round * 4 + n as i64 + 1).count();
            page[n].store(right as i64, SeqCst);
        });
    });
    let sup = target.supervisor();
    let answered = AtomicUsize::new(0);
    sup.on("getppid", |n| n.give(n.args()[0] as i64 + 1));
    threads(3, |_| {
        while sandbox_supervisor_ended(sup.0) == 0 {
            answered.fetch_add(usize::try_from(sup.dispatch(1000)).unwrap(), SeqCst);
        }
    });
    assert_eq!([0, 1, 2, 3].map(|n| page[n].load(SeqCst)), [EACH; 4]);
    assert_eq!(answered.load(SeqCst), 4 * EACH as usize);
    assert_eq!(target.end(), 0);
}

#[test]
fn one_dispatch_answers_all_that_wait_and_a_handler_may_dispatch_itself() {
    let page = leaked_page();
    let mut target = Target::new(&[ASK], || threads(8, |n| page[n].store(ask(n as i64), SeqCst)));
    let sup = target.supervisor();
    let inner = Supervisor(sup.0);
    sup.on("getppid", move |n| {
        let n_th = page[10].fetch_add(1, SeqCst);
        if n_th == 0 {
            page[11].store(sandbox_supervisor_dispatch(same(&inner), 60_000).into(), SeqCst);
        }
        n.give(n.args()[0] as i64)
    });
    let mut answered = 0;
    while sandbox_supervisor_ended(sup.0) == 0 {
        answered += sup.dispatch(1000);
    }
    assert!(page[11].load(SeqCst) >= 1);
    assert_eq!(i64::from(answered) + page[11].load(SeqCst), 8);
    assert_eq!([0, 3, 7].map(|n| page[n].load(SeqCst)), [0, 3, 7]);
    assert_eq!(target.end(), 0);
}

// ---- fds

#[test]
fn an_fd_is_installed_and_returned_close_on_exec_or_not() {
    let page = Page::new();
    let mut target = Target::new(&[ASK], || {
        for n in 0..2 {
            let fd = ask(n) as c_int;
            let mut byte = 0u8;
            page[n as usize].store(unsafe { libc::fcntl(fd, libc::F_GETFD) }.into(), SeqCst);
            page[2 + n as usize].store(unsafe { libc::read(fd, (&raw mut byte).cast(), 1) } as i64 * i64::from(byte), SeqCst);
        }
        // No room: the next free number is at the limit.
        let free = unsafe { libc::dup(0) } as u64;
        unsafe {
            libc::close(free as c_int);
            libc::setrlimit(libc::RLIMIT_NOFILE, &libc::rlimit { rlim_cur: free, rlim_max: free });
        }
        page[4].store(ask(4), SeqCst);
        page[5].store(ask(5), SeqCst);
        page[6].store(unsafe { libc::fcntl(0, libc::F_GETFD) }.into(), SeqCst);
    });
    let sup = target.supervisor();
    let (reader, writer) = pipe();
    assert_eq!(unsafe { libc::write(writer.as_raw_fd(), c"ab".as_ptr().cast(), 2) }, 2);
    sup.on("getppid", move |n| match n.args()[0] {
        4 => {
            assert_eq!(sandbox_notify_fd(n.0, reader.as_raw_fd(), 0), -libc::EMFILE);
            assert_eq!(sandbox_notify_add_fd(n.0, reader.as_raw_fd(), -2, 0), -libc::EINVAL);
            n.errno(libc::EMFILE)
        }
        5 => n.result(sandbox_notify_add_fd(n.0, reader.as_raw_fd(), 0, 1)),
        way => sandbox_notify_fd(n.0, reader.as_raw_fd(), way as c_int),
    });
    assert_eq!(sup.run(), 0);
    let seen: Vec<i64> = (0..7).map(|n| page[n].load(SeqCst)).collect();
    assert_eq!(seen, [0, libc::FD_CLOEXEC.into(), b'a'.into(), b'b'.into(), -i64::from(libc::EMFILE), 0, libc::FD_CLOEXEC.into()]);
    assert_eq!(target.end(), 0);
}

/// The kernel answers with 0 where a signal comes between an fd's installation and its answer.
#[test]
fn a_storm_of_signals_loses_no_fd_and_no_answer() {
    const ROUNDS: i64 = 20_000;
    alone(|| {
        let page = Page::new();
        let mut target = Target::new(&[ASK], || {
            let wrong = (0..ROUNDS).filter(|_| {
                let fd = ask(0);
                fd < 3 || unsafe { libc::close(fd as c_int) } != 0
            });
            page[0].store(wrong.count() as i64, SeqCst);
            page[1].store(unsafe { libc::dup(0) }.into(), SeqCst);
        });
        let sup = target.supervisor();
        let fd = File::open("/dev/null").unwrap();
        sup.on("getppid", move |n| sandbox_notify_fd(n.0, fd.as_raw_fd(), 1));
        unsafe {
            let mut action = zeroed::<libc::sigaction>();
            action.sa_sigaction = nothing as extern "C" fn(c_int) as usize;
            libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut());
            let every = libc::timeval { tv_sec: 0, tv_usec: 30 };
            libc::setitimer(libc::ITIMER_REAL, &libc::itimerval { it_interval: every, it_value: every }, ptr::null_mut());
        }
        let result = sup.run();
        unsafe { libc::setitimer(libc::ITIMER_REAL, &zeroed(), ptr::null_mut()) };
        assert_eq!(result, 0);
        assert_eq!([0, 1].map(|n| page[n].load(SeqCst)), [0, 3]);
        drop(sup);
        assert_eq!(target.end(), 0);
    });
}

#[test]
fn the_caller_is_known_by_process_thread_pidfd_and_its_fds() {
    let page = leaked_page();
    let mut target = Target::new(&[ASK], || {
        let mut ends = [0; 2];
        unsafe { libc::pipe(ends.as_mut_ptr()) };
        thread::scope(|scope| {
            scope.spawn(|| {
                page[0].store(unsafe { libc::syscall(libc::SYS_gettid) }, SeqCst);
                page[1].store(ask(ends[1].into()), SeqCst);
            });
        });
        let mut byte = 0u8;
        unsafe { libc::read(ends[0], (&raw mut byte).cast(), 1) };
        page[2].store(byte.into(), SeqCst);
    });
    let (sup, pid) = (target.supervisor(), target.pid);
    sup.on("getppid", move |n| {
        assert_eq!(sandbox_notify_pid(n.0), pid);
        assert_eq!(i64::from(sandbox_notify_tid(n.0)), page[0].load(SeqCst));
        assert_ne!(sandbox_notify_tid(n.0), pid);
        let pidfd = sandbox_notify_pidfd(n.0);
        assert_eq!(pidfd, sandbox_notify_pidfd(n.0));
        let about = fs::read_to_string(format!("/proc/self/fdinfo/{pidfd}")).unwrap();
        assert!(about.contains(&format!("Pid:\t{pid}\n")), "{about}");
        assert_eq!(unsafe { libc::fcntl(pidfd, libc::F_GETFD) }, libc::FD_CLOEXEC);
        let writer = sandbox_notify_get_fd(n.0, n.args()[0] as c_int);
        assert_eq!(unsafe { libc::write(writer, c"x".as_ptr().cast(), 1) }, 1);
        unsafe { libc::close(writer) };
        assert_eq!(sandbox_notify_get_fd(n.0, 999), -libc::EBADF);
        page[3].store(pidfd.into(), SeqCst);
        n.give(1)
    });
    assert_eq!(sup.run(), 0);
    assert_eq!([1, 2].map(|n| page[n].load(SeqCst)), [1, b'x'.into()]);
    assert_eq!(target.end(), 0);
}

#[test]
fn a_notification_leaves_no_fd_behind() {
    alone(|| {
        let open = || fs::read_dir("/proc/self/fd").unwrap().count();
        let before = open();
        let path = c"/etc/../etc/./passwd";
        let mut target = Target::new(&[ASK], || (0..50).for_each(|_| assert_eq!(ask(path.as_ptr() as i64), 0)));
        let sup = target.supervisor();
        sup.on("getppid", |n| {
            assert!(sandbox_notify_pidfd(n.0) > 2 && sandbox_notify_write(n.0, 8, c"x".as_ptr().cast(), 1) == -libc::EFAULT);
            let fd = sandbox_notify_open(n.0, libc::AT_FDCWD, n.args()[0], 0, 0);
            assert!(fd > 2 && unsafe { libc::close(fd) } == 0);
            n.give(0)
        });
        assert_eq!(sup.run(), 0);
        drop(sup);
        assert_eq!(target.end(), 0);
        assert_eq!(open(), before);
    });
}

// ---- memory

#[test]
fn memory_is_read_and_written_up_to_the_end_of_a_mapping_and_no_further() {
    const PAGE: u64 = 4096;
    let page = leaked_page();
    // Two pages that the program may write, one that it may read, one that it has not; the same in this process.
    let base = unsafe { libc::mmap(ptr::null_mut(), 4 * PAGE as usize, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    let at = base as u64;
    let mut target = Target::start(0, &[ASK], || unsafe {
        libc::memset(base, b'a'.into(), 3 * PAGE as usize);
        ((at + PAGE + 10) as *mut u8).write(0);
        ((at + 3 * PAGE - 1) as *mut u8).write(0);
        libc::mprotect((at + 2 * PAGE) as *mut c_void, PAGE as usize, libc::PROT_READ);
        libc::munmap((at + 3 * PAGE) as *mut c_void, PAGE as usize);
    }, || {
        page[0].store(ask(0), SeqCst);
        let bytes = unsafe { std::slice::from_raw_parts(base.cast::<u8>(), 3 * PAGE as usize) };
        page[1].store(bytes.iter().filter(|byte| **byte == b'b').count() as i64, SeqCst);
        page[2].store(bytes[2 * PAGE as usize - 1].into(), SeqCst);
    });
    let sup = target.supervisor();
    sup.on("getppid", move |n| {
        let (fault, too_long) = (-libc::EFAULT, -libc::ENAMETOOLONG);
        let end = at + 3 * PAGE;
        // Across a page's end, up to the mapping's end, across it, outside it.
        assert_eq!(n.read(at + PAGE - 2, 4), (0, vec![b'a'; 4]));
        assert_eq!(n.read(end - 3, 3), (0, b"aa\0".to_vec()));
        assert_eq!(n.read(at, 3 * PAGE as usize).0, 0);
        assert_eq!(n.read(end - 3, 4), (fault, vec![0; 4]), "what could be read is not to be used");
        for address in [end, 0, 8, u64::MAX - 2, 1 << 63] {
            assert_eq!(n.read(address, 4), (fault, vec![0; 4]), "{address:#x}");
            assert_eq!(n.write(address, b"bbbb"), fault, "{address:#x}");
            assert_eq!(n.string(address, 4), (fault, vec![0; 4]), "{address:#x}");
        }
        assert_eq!((n.read(0, 0).0, n.write(0, b"")), (0, 0));
        // Strings: within a page, over its end, with the NUL as the mapping's last byte, cut, without one.
        assert_eq!(n.string(at + PAGE + 7, 4), (3, b"aaa\0".to_vec()));
        assert_eq!(n.string(at + PAGE + 10, 1), (0, vec![0]));
        let (length, bytes) = n.string(at, 2 * PAGE as usize);
        assert_eq!((length as u64, bytes[length as usize - 1]), (PAGE + 10, b'a'));
        assert_eq!(n.string(end - 4, 100).0, 3);
        assert_eq!(n.string(at + PAGE + 7, 3), (too_long, vec![0; 3]));
        assert_eq!(n.string(at, 0).0, too_long);
        // Written where the program may write, and only there.
        assert_eq!(n.write(at + PAGE - 2, b"bbbb"), 0);
        assert_eq!(n.write(at + 2 * PAGE - 1, b"c"), 0);
        assert_eq!(n.write(at + 2 * PAGE, b"b"), fault, "read-only");
        assert_eq!(n.write(at + 2 * PAGE - 1, b"bb"), fault);
        assert_eq!(n.write(trampoline as *const () as u64, b"b"), fault, "code");
        n.give(0)
    });
    assert_eq!(sup.run(), 0);
    assert_eq!([0, 1, 2].map(|n| page[n].load(SeqCst)), [0, 4, b'c'.into()]);
    assert_eq!(target.end(), 0);
    unsafe { libc::munmap(base, 4 * PAGE as usize) };
}

#[test]
fn a_string_that_ends_with_its_mapping_is_read_without_the_next_page() {
    let base = unsafe { libc::mmap(ptr::null_mut(), 8192, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    let at = base as u64;
    let mut target = Target::start(0, &[ASK], || unsafe {
        libc::memset(base, b'a'.into(), 4096);
        libc::munmap((at + 4096) as *mut c_void, 4096);
    }, || assert_eq!(ask(0), 1));
    let sup = target.supervisor();
    sup.on("getppid", move |n| {
        assert_eq!(n.string(at + 4090, 100).0, -libc::EFAULT, "no NUL before the end");
        assert_eq!(n.string(at + 4090, 6).0, -libc::ENAMETOOLONG, "the end was not looked at");
        assert_eq!(n.write(at + 4095, b"\0"), 0);
        assert_eq!(n.string(at + 4090, 100).0, 5);
        n.give(1)
    });
    assert_eq!(sup.run(), 0);
    assert_eq!(target.end(), 0);
    unsafe { libc::munmap(base, 8192) };
}

#[test]
fn a_socket_address_is_copied_as_the_kernel_takes_it() {
    let page = leaked_page();
    let mut address = [0u8; 256];
    address[..4].copy_from_slice(&[libc::AF_INET as u8, 0, 1, 187]);
    let lengths = [16i64, 0, 128, 129, -1, 16 | 1 << 32];
    let mut target = Target::new(&[libc::SYS_connect], || {
        for (n, length) in lengths.into_iter().enumerate() {
            page[n].store(call(libc::SYS_connect, [-1, address.as_ptr() as i64, length, 0, 0, 0]), SeqCst);
        }
    });
    let sup = target.supervisor();
    sup.on("connect", move |n| {
        let [_, at, length, ..] = n.args();
        let mut buffer = [0x55u8; 128];
        let got = sandbox_notify_sockaddr(n.0, at, length, buffer.as_mut_ptr().cast(), 128);
        if got == 16 {
            assert_eq!((&buffer[..4], &buffer[16..]), (&[2, 0, 1, 187][..], &[0u8; 112][..]));
            assert_eq!(sandbox_notify_sockaddr(n.0, at, length, buffer.as_mut_ptr().cast(), 15), -libc::ENOBUFS);
        }
        n.result(got)
    });
    assert_eq!(sup.run(), 0);
    let invalid = -i64::from(libc::EINVAL);
    assert_eq!([0, 1, 2, 3, 4, 5].map(|n| page[n].load(SeqCst)), [16, 0, 128, invalid, invalid, 16]);
    assert_eq!(target.end(), 0);
}

// ---- paths

struct Tree(PathBuf);
impl Tree {
    fn new() -> Tree {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let path = std::env::temp_dir().join(format!("supervisor-{}-{}", std::process::id(), COUNT.fetch_add(1, SeqCst)));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Tree(fs::canonicalize(path).unwrap())
    }
    fn dir(&self, path: &str) -> &Self {
        fs::create_dir_all(self.0.join(path)).unwrap();
        self
    }
    fn file(&self, path: &str, text: &str) -> &Self {
        fs::write(self.0.join(path), text).unwrap();
        self
    }
    fn link(&self, path: &str, to: &str) -> &Self {
        symlink(to, self.0.join(path)).unwrap();
        self
    }
    fn fifo(&self, path: &str) -> &Self {
        let path = CString::new(self.0.join(path).into_os_string().into_encoded_bytes()).unwrap();
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o666) }, 0);
        self
    }
    fn mode(&self, path: &str, mode: u32) -> &Self {
        fs::set_permissions(self.0.join(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }
    fn c(&self) -> CString {
        CString::new(self.0.clone().into_os_string().into_encoded_bytes()).unwrap()
    }
}
impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One question about a path, and what came of it: the path, or the contents, or "errno N".
#[derive(Clone, Copy)]
enum Ask<'a> {
    Path(&'a CStr),
    Itself(&'a CStr),
    Read(&'a CStr),
    Open(&'a CStr, c_int, u32),
    Parent(&'a CStr),
}
use Ask::*;

/// The questions are asked by a program that `prepare`d itself, relative ones from `dirfd` there.
fn ask_all(flags: c_int, dirfd: c_int, prepare: impl FnOnce(), questions: &[Ask]) -> Vec<String> {
    let answers: &'static Mutex<Vec<String>> = Box::leak(Box::default());
    let mut target = Target::start(flags, &[ASK], prepare, || {
        for question in questions {
            let (kind, path, flags, mode) = match *question {
                Path(path) => (0, path, 0, 0),
                Itself(path) => (0, path, libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH, 0),
                Read(path) => (1, path, 0, 0),
                Open(path, flags, mode) => (1, path, flags, mode),
                Parent(path) => (2, path, 0, 0),
            };
            call(ASK, [kind, dirfd.into(), path.as_ptr() as i64, flags.into(), mode.into(), 0]);
        }
    });
    let sup = target.supervisor();
    sup.on("getppid", |n| {
        let [kind, dirfd, path, flags, mode, _] = n.args();
        let mut buffer = vec![0u8; 4096];
        let text = buffer.as_mut_ptr().cast();
        let got = match kind {
            0 => sandbox_notify_path(n.0, dirfd as c_int, path, flags, text, 4096),
            1 => sandbox_notify_open(n.0, dirfd as c_int, path, flags, mode),
            _ => sandbox_notify_parent(n.0, dirfd as c_int, path, text, 4096),
        };
        let text = CStr::from_bytes_until_nul(&buffer).unwrap().to_string_lossy().into_owned();
        let answer = match (kind, got) {
            (_, errno) if errno < 0 => format!("errno {}", -errno),
            (0, _) => text,
            (1, fd) => {
                let mut file = unsafe { File::from_raw_fd(fd) };
                let blocks = unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_NONBLOCK == 0;
                let mut text = Vec::new();
                let read = if flags as c_int & libc::O_ACCMODE == 0 && blocks { file.read_to_end(&mut text).map(|_| ()) } else { Ok(()) };
                read.map_or_else(|error| format!("read: {}", error.raw_os_error().unwrap()), |()| String::from_utf8_lossy(&text).into_owned())
            }
            (_, fd) => {
                drop(unsafe { OwnedFd::from_raw_fd(fd) });
                format!("in {text}")
            }
        };
        answers.lock().unwrap().push(answer);
        n.give(0)
    });
    assert_eq!(sup.run(), 0);
    assert_eq!(target.end(), 0);
    std::mem::take(&mut answers.lock().unwrap())
}

fn errno(number: c_int) -> String {
    format!("errno {number}")
}

fn check_all(flags: c_int, dirfd: c_int, prepare: impl FnOnce(), wanted: &[(Ask, &str)]) {
    let questions: Vec<Ask> = wanted.iter().map(|(question, _)| *question).collect();
    let answers = ask_all(flags, dirfd, prepare, &questions);
    for ((question, wanted), answer) in wanted.iter().zip(&answers) {
        let (Path(path) | Itself(path) | Read(path) | Open(path, ..) | Parent(path)) = question;
        let wanted = match *wanted {
            "ENOENT" => errno(libc::ENOENT),
            "ENOTDIR" => errno(libc::ENOTDIR),
            "ELOOP" => errno(libc::ELOOP),
            "EACCES" => errno(libc::EACCES),
            "EEXIST" => errno(libc::EEXIST),
            "EISDIR" => errno(libc::EISDIR),
            "EINVAL" => errno(libc::EINVAL),
            "EXDEV" => errno(libc::EXDEV),
            "ENXIO" => errno(libc::ENXIO),
            other => other.to_owned(),
        };
        assert_eq!(*answer, wanted, "{path:?}");
    }
    assert_eq!(answers.len(), wanted.len());
}

fn enter(root: &CStr) {
    unsafe {
        assert_eq!((libc::chroot(root.as_ptr()), libc::chdir(c"/dir".as_ptr())), (0, 0));
    }
}

fn needs_root(name: &str) -> bool {
    if !is_root() {
        skip(name, "chroot needs root");
    }
    !is_root()
}

#[test]
fn no_link_leads_out_of_the_callers_root() {
    if needs_root("no_link_leads_out_of_the_callers_root") {
        return;
    }
    let (outside, tree) = (Tree::new(), Tree::new());
    outside.file("secret", "outside");
    tree.dir("etc").dir("dir/sub").dir("tmp").file("etc/passwd", "inside").file("dir/sub/here", "here");
    // The host's own name of the secret: inside, it must lead nowhere.
    let secret = format!("{}/secret", outside.0.display());
    tree.link("absolute", "/etc/passwd").link("up", "../../../../../../etc/passwd").link("out", &secret).link("dir/rel", "../etc/passwd");
    tree.link("chain", "absolute").link("loop", "loop").link("loop2", "loop3").link("loop3", "/loop2").link("dangling", "dir/new");
    tree.link("todir", "dir/").link("rooted", "/").link("empty-dirs", "dir//./sub/.").link("slash", "etc/passwd/");
    let secret = c(secret.as_str());
    let above = c(format!("../../../../../../../../..{}", secret.to_str().unwrap()));
    let long = c(format!("/{}", "x".repeat(256)));
    let root = tree.c();
    check_all(0, libc::AT_FDCWD, || enter(&root), &[
        (Path(c"/etc/passwd"), "/etc/passwd"),
        (Path(c"absolute"), "/dir/absolute"), // where it would be
        (Read(c"absolute"), "ENOENT"),
        (Path(c"../absolute"), "/etc/passwd"),
        (Read(c"../absolute"), "inside"),
        (Read(c"/up"), "inside"),
        (Read(c"rel"), "inside"),
        (Read(c"/chain"), "inside"),
        (Path(c"/chain"), "/etc/passwd"),
        (Itself(c"/chain"), "/chain"),
        (Path(&secret), "ENOENT"),
        (Read(&secret), "ENOENT"),
        (Read(&above), "ENOENT"),
        (Read(c"/out"), "ENOENT"),
        (Open(c"/out", libc::O_WRONLY | libc::O_CREAT, 0o600), "ENOENT"),
        (Read(c"/loop"), "ELOOP"),
        (Read(c"/loop2"), "ELOOP"),
        (Path(c"/dangling"), "/dir/new"),
        (Path(c"/todir"), "/dir"),
        (Path(c"/todir/sub/../../todir/sub"), "/dir/sub"),
        (Path(c"/rooted/rooted/.."), "/"),
        (Path(c".."), "/"),
        (Path(c"../.."), "/"),
        (Path(c"."), "/dir"),
        (Path(c"./sub/./../sub/"), "/dir/sub"),
        (Path(c"/empty-dirs/here"), "/dir/sub/here"),
        (Path(c"/etc/passwd/"), "ENOTDIR"),
        (Path(c"/slash"), "ENOTDIR"),
        (Path(c"/etc/passwd/x"), "ENOTDIR"),
        (Path(c"/etc/passwd/.."), "ENOTDIR"),
        (Path(c"/none/x"), "ENOENT"),
        (Path(c""), "ENOENT"),
        (Itself(c""), "/dir"),
        (Path(&long), "errno 36"), // ENAMETOOLONG
        (Open(c"/absolute", libc::O_NOFOLLOW, 0), "ELOOP"),
        (Open(c"/etc", libc::O_RDWR, 0), "EISDIR"),
        (Open(c"/etc/passwd", libc::O_DIRECTORY, 0), "ENOTDIR"),
        (Open(c"/etc/passwd", libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, 0), "EEXIST"),
        (Open(c"/dangling", libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, 0), "EEXIST"),
        (Open(c"/tmp/new/", libc::O_CREAT | libc::O_WRONLY, 0), "EISDIR"),
        (Open(c"/dangling", libc::O_CREAT | libc::O_WRONLY, 0o640), ""),
        (Open(c"/dir/new", libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, 0o777), ""),
        (Parent(c"/dir/made/"), "in made"),
        (Parent(c"sub"), "in sub"),
        (Parent(c"/chain"), "in chain"),
        (Parent(c"/"), "EINVAL"),
        (Parent(c"/dir/."), "EINVAL"),
        (Parent(c"sub/../"), "EINVAL"),
    ]);
    assert_eq!(fs::metadata(tree.0.join("dir/new")).unwrap().mode() & 0o7777, 0o640 & !umask());
    assert_eq!(fs::read_to_string(outside.0.join("secret")).unwrap(), "outside");
}

fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let text = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    u32::from_str_radix(text.trim(), 8).unwrap()
}

#[test]
fn paths_begin_at_the_callers_own_fds_and_directory() {
    let tree = Tree::new();
    tree.dir("a/b").file("a/file", "text").dir("gone");
    let (at, root) = (tree.c(), tree.0.display().to_string());
    let open_directory = |path: &CStr| unsafe { assert_eq!(libc::open(path.as_ptr(), libc::O_PATH), 3) };
    let (a, file) = (c(format!("{root}/a")), c(format!("{root}/a/file")));
    let inside = format!("{root}/a/b");
    check_all(0, 3, || open_directory(&a), &[
        (Path(c"b"), &inside), (Read(c"b/../file"), "text"), (Path(c"../a/b"), &inside), (Itself(c""), &format!("{root}/a")),
        (Path(c"/"), "/"),
    ]);
    check_all(0, 3, || open_directory(&file), &[(Path(c"b"), "ENOTDIR"), (Itself(c""), &format!("{root}/a/file"))]);
    check_all(0, 99, || (), &[(Path(c"b"), "errno 9"), (Path(c"/"), "/")]); // EBADF
    check_all(0, -5, || (), &[(Path(c"b"), "errno 9")]);
    // A directory that was removed has no name, and no way up; what it holds is nothing.
    let gone = c(format!("{root}/gone"));
    let leave = || unsafe { assert_eq!((libc::chdir(gone.as_ptr()), libc::rmdir(gone.as_ptr())), (0, 0)) };
    check_all(0, libc::AT_FDCWD, leave, &[(Path(c".."), "EXDEV"), (Read(c"x"), "ENOENT"), (Path(c"."), "EXDEV")]);
    if is_root() {
        // The root is moved into, the directory stays outside.
        let stay = || unsafe { assert_eq!((libc::chdir(at.as_ptr()), libc::chroot(a.as_ptr())), (0, 0)) };
        check_all(0, libc::AT_FDCWD, stay, &[(Read(c"a/file"), "text"), (Read(c"../x"), "EXDEV"), (Path(c"a"), "EXDEV"), (Read(c"/file"), "text")]);
    }
}

/// What another thread does to the tree meanwhile must not lead outside either.
#[test]
fn a_tree_that_changes_while_it_is_walked_leads_nowhere_else() {
    if needs_root("a_tree_that_changes_while_it_is_walked_leads_nowhere_else") {
        return;
    }
    let (outside, tree) = (Tree::new(), Tree::new());
    outside.file("secret", "outside").dir("x/y");
    tree.dir("dir/x/y").dir("other").file("secret", "inside").file("dir/secret", "inside").file("other/secret", "inside");
    tree.link("dir/link", &outside.0.display().to_string());
    let stop = AtomicBool::new(false);
    let root = tree.c();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (here, there) = (tree.0.join("dir/x"), tree.0.join("other/x"));
            while !stop.load(SeqCst) {
                let _ = fs::rename(&here, &there);
                let _ = symlink(&outside.0, &here);
                let _ = fs::remove_file(&here);
                let _ = fs::rename(&there, &here);
            }
        });
        let questions = vec![Read(c"/dir/x/y/../../secret"); 3000];
        let answers = ask_all(0, libc::AT_FDCWD, || enter(&root), &questions);
        stop.store(true, SeqCst);
        let seen: HashSet<&str> = answers.iter().map(String::as_str).collect();
        let allowed = [errno(libc::ENOENT), errno(libc::ENOTDIR), "inside".to_owned(), errno(libc::EAGAIN)];
        assert!(seen.iter().all(|answer| allowed.iter().any(|allowed| allowed == answer)), "{seen:?}");
        assert!(seen.contains("inside"), "{seen:?}");
    });
}

#[test]
fn of_proc_the_caller_gets_itself_and_never_its_supervisor() {
    if needs_root("of_proc_the_caller_gets_itself_and_never_its_supervisor") {
        return;
    }
    let tree = Tree::new();
    tree.dir("dir").dir("proc").dir("piece").link("dir/me", "/proc/self/status").file("dir/f", "");
    let root = tree.c();
    let (proc, piece) = (c(format!("{}/proc", tree.0.display())), c(format!("{}/piece", tree.0.display())));
    let own = std::process::id();
    let (environ, task, own_dir) = (c(format!("/proc/{own}/environ")), c(format!("/proc/{own}/task/{own}/status")), c(format!("/proc/{own}")));
    for flags in [libc::CLONE_NEWNS, libc::CLONE_NEWNS | libc::CLONE_NEWPID] {
        let has_pids = flags & libc::CLONE_NEWPID != 0;
        let other = if has_pids { "ENOENT" } else { "EACCES" };
        let prepare = |is_inside: bool| {
            let (root, proc, piece, own_dir) = (root.clone(), proc.clone(), piece.clone(), own_dir.clone());
            move || unsafe {
                assert_eq!(libc::mount(ptr::null(), c"/".as_ptr(), ptr::null(), libc::MS_REC | libc::MS_PRIVATE, ptr::null()), 0);
                assert_eq!(libc::mount(c"proc".as_ptr(), proc.as_ptr(), c"proc".as_ptr(), 0, ptr::null()), 0);
                // Still the host's /proc.
                assert_eq!(libc::mount(own_dir.as_ptr(), piece.as_ptr(), ptr::null(), libc::MS_BIND, ptr::null()), 0);
                enter(&root);
                if is_inside {
                    assert_eq!(libc::chdir(c"/piece".as_ptr()), 0);
                }
            }
        };
        let questions = [
            Read(c"/proc/self/status"), Read(c"/dir/me"), Read(c"/proc/thread-self/status"), Path(c"/proc/self"), Path(c"/proc/mounts"),
        ];
        let answers = ask_all(flags, libc::AT_FDCWD, prepare(false), &questions);
        let pid = |status: &str| status.lines().find_map(|line| line.strip_prefix("Pid:\t")).map(str::to_owned);
        let me = answers[3].strip_prefix("/proc/").unwrap_or_else(|| panic!("{answers:?}")).to_owned();
        assert_ne!(me, own.to_string());
        assert_eq!(me == "1", has_pids);
        assert!(answers[..3].iter().all(|status| pid(status).as_deref() == Some(&me)), "{answers:?}");
        assert_eq!(answers[4], format!("/proc/{me}/mounts"));
        check_all(flags, libc::AT_FDCWD, prepare(false), &[
            (Read(&environ), other),
            (Read(&task), other),
            (Read(c"/proc/self/fd/0"), "ELOOP"),
            (Read(c"/proc/self/root/etc/passwd"), "ELOOP"),
            (Read(c"/proc/self/cwd/f"), "ELOOP"),
            (Read(c"/proc/self/exe"), "ELOOP"),
            (Read(c"/piece/environ"), "EACCES"),
            (Path(c"/piece"), "EACCES"),
            (Open(c"/proc/self/oom_score_adj", libc::O_WRONLY, 0), "EACCES"),
            (Open(c"/proc/self/oom_score_adj", libc::O_TRUNC, 0), "EACCES"),
            (Open(c"/proc/sys/kernel/hostname", libc::O_RDWR, 0), "EACCES"),
            (Parent(c"/proc/self/x"), "EACCES"),
        ]);
        check_all(flags, libc::AT_FDCWD, prepare(true), &[(Read(c"environ"), "EACCES"), (Read(c"../dir/f"), "EACCES"), (Read(c"/dir/f"), "")]);
    }
}

fn become_nobody() {
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_setgroups, 0, 0), 0);
        assert_eq!(libc::syscall(libc::SYS_setresgid, 65534, 65534, 65534), 0);
        assert_eq!(libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534), 0);
        libc::umask(0o027);
    }
}

#[test]
fn a_supervisor_with_more_rights_does_not_lend_them() {
    if needs_root("a_supervisor_with_more_rights_does_not_lend_them") {
        return;
    }
    let tree = Tree::new();
    tree.file("shadow", "secret").mode("shadow", 0o600).file("public", "public").mode("public", 0o644).file("group", "group").mode("group", 0o640);
    tree.dir("closed").file("closed/public", "public").mode("closed", 0o700).dir("open").mode("open", 0o777).link("open/link", "../shadow");
    tree.dir("sticky").mode("sticky", 0o1777).dir("listed").mode("listed", 0o744).file("listed/f", "x").file("locked", "mine").mode("locked", 0o077);
    std::os::unix::fs::chown(tree.0.join("group"), None, Some(65534)).unwrap();
    std::os::unix::fs::chown(tree.0.join("locked"), Some(65534), None).unwrap();
    let at = |path: &str| c(format!("{}/{path}", tree.0.display()));
    let [shadow, public, group, closed, link, new, closed_new, listed, locked] =
        ["shadow", "public", "group", "closed/public", "open/link", "open/new", "closed/new", "listed/f", "locked"].map(at);
    let made = format!("{}/open/new", tree.0.display());
    let write = libc::O_WRONLY | libc::O_CREAT;
    check_all(0, libc::AT_FDCWD, become_nobody, &[
        (Read(&shadow), "EACCES"),
        (Read(&link), "EACCES"),
        (Read(&public), "public"),
        (Open(&public, libc::O_WRONLY, 0), "EACCES"),
        (Open(&public, libc::O_TRUNC, 0), "EACCES"),
        (Read(&group), "group"),
        (Read(&closed), "EACCES"),
        (Path(&closed), "EACCES"),
        (Read(&listed), "EACCES"),
        (Read(&locked), "EACCES"), // the owner's bits count, not the others'
        (Open(&shadow, libc::O_PATH, 0), "read: 9"), // EBADF: only a place
        (Open(&closed_new, write, 0o666), "EACCES"),
        (Parent(&closed_new), "EACCES"),
        (Open(&new, write, 0o4666), ""),
        (Path(&new), &made),
        (Read(c"/proc/kallsyms"), "EACCES"),
    ]);
    let new = fs::metadata(made).unwrap();
    assert_eq!((new.uid(), new.gid(), new.mode() & 0o7777), (65534, 65534, 0o4640));
    assert_eq!(fs::read_to_string(tree.0.join("public")).unwrap(), "public");
}

#[test]
fn opening_a_fifo_holds_no_supervisor_up() {
    let tree = Tree::new();
    tree.fifo("fifo").file("file", "");
    let [fifo, file] = ["fifo", "file"].map(|path| c(format!("{}/{path}", tree.0.display())));
    check_all(0, libc::AT_FDCWD, || (), &[
        (Read(&fifo), ""),
        (Open(&fifo, libc::O_WRONLY, 0), "ENXIO"),
        (Open(&file, libc::O_WRONLY | libc::O_NONBLOCK, 0), ""),
    ]);
}

// ---- with a child of the library's

#[test]
fn a_spawned_program_sees_what_its_supervisor_writes() {
    let filter = sandbox_filter_new(libc::SECCOMP_RET_ALLOW);
    assert_eq!(sandbox_filter_rule(filter, libc::SECCOMP_RET_USER_NOTIF, c"uname".as_ptr(), ptr::null(), 0), 0);
    let cmd = sandbox_cmd_new(c"/bin/uname".as_ptr());
    assert_eq!((sandbox_cmd_arg(cmd, c"-n".as_ptr()), sandbox_cmd_stdio(cmd, 1, 2, -1), sandbox_cmd_filter(cmd, filter)), (0, 0, 0));
    sandbox_filter_free(filter);
    let (mut child, mut error) = (ptr::null_mut(), none());
    assert_eq!(sandbox_spawn(cmd, &raw mut child, &raw mut error), 0, "{}", message(&error));
    let out = sandbox_child_take_fd(child, 3);
    let sup = Supervisor(sandbox_supervisor_new(child));
    assert!(!sup.0.is_null());
    assert!(sandbox_supervisor_new(child).is_null(), "its listener was taken");
    sup.on("uname", |n| {
        let mut names = unsafe { zeroed::<libc::utsname>() };
        unsafe { libc::uname(&raw mut names) };
        names.nodename[..8].copy_from_slice(&b"sandbox\0".map(|byte| byte as _));
        let bytes = unsafe { std::slice::from_raw_parts((&raw const names).cast::<u8>(), size_of_val(&names)) };
        n.result(n.write(n.args()[0], bytes))
    });
    // The child is not reaped yet: its end must be seen all the same.
    assert_eq!(sup.run(), 0);
    let mut text = String::new();
    unsafe { File::from_raw_fd(out) }.read_to_string(&mut text).unwrap();
    assert_eq!(text, "sandbox\n");
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

#[test]
fn a_null_or_an_fd_of_another_kind_is_refused() {
    let null = ptr::null_mut();
    assert!(sandbox_supervisor_new(null).is_null());
    for fd in [-1, 0, 1 << 20] {
        assert!(sandbox_supervisor_from_fd(fd, -1).is_null(), "{fd}");
    }
    sandbox_supervisor_free(ptr::null_mut());
    let (sup, n) = (ptr::null_mut::<sandbox_supervisor>(), ptr::null_mut::<sandbox_notify>());
    let codes = [
        sandbox_supervisor_on(sup, c"getpid".as_ptr(), None, ptr::null_mut()), sandbox_supervisor_fd(sup), sandbox_supervisor_dispatch(sup, 0),
        sandbox_supervisor_run(sup), sandbox_supervisor_ended(sup), sandbox_notify_call(n, ptr::null_mut(), 0), sandbox_notify_pid(n),
        sandbox_notify_tid(n), sandbox_notify_pidfd(n), sandbox_notify_check(n), sandbox_notify_errno(n, 1), sandbox_notify_return(n, 0),
        sandbox_notify_continue_unsafe(n), sandbox_notify_fd(n, 0, 0), sandbox_notify_add_fd(n, 0, -1, 0), sandbox_notify_get_fd(n, 0),
        sandbox_notify_read(n, 0, ptr::null_mut(), 0), sandbox_notify_write(n, 0, ptr::null(), 0),
        sandbox_notify_string(n, 0, ptr::null_mut(), 0), sandbox_notify_sockaddr(n, 0, 0, ptr::null_mut(), 0),
        sandbox_notify_path(n, 0, 0, 0, ptr::null_mut(), 0), sandbox_notify_open(n, 0, 0, 0, 0),
        sandbox_notify_parent(n, 0, 0, ptr::null_mut(), 0),
    ];
    assert_eq!(codes, [-libc::EFAULT; 23]);
    let mut target = Target::new(&[ASK], || assert_eq!(ask(0), 3));
    let sup = target.supervisor();
    sup.on("getppid", |n| {
        assert_eq!(sandbox_notify_call(n.0, ptr::null_mut(), 8), -libc::EFAULT);
        assert_eq!(sandbox_notify_read(n.0, 0, ptr::null_mut(), 1), -libc::EFAULT);
        assert_eq!(sandbox_notify_write(n.0, 0, ptr::null(), 1), -libc::EFAULT);
        assert_eq!(sandbox_notify_string(n.0, 0, ptr::null_mut(), 1), -libc::EFAULT);
        assert_eq!(sandbox_notify_path(n.0, 0, 0, 0x8000, ptr::null_mut(), 0), -libc::EINVAL);
        let mut short = [0x55u8; 2 * size_of::<sandbox_syscall>()];
        assert_eq!(sandbox_notify_call(n.0, short.as_mut_ptr().cast(), 4), 0);
        assert!(short[4..].iter().all(|byte| *byte == 0x55));
        assert_eq!(sandbox_notify_call(n.0, short.as_mut_ptr().cast(), short.len()), 0);
        assert!(short[size_of::<sandbox_syscall>()..].iter().all(|byte| *byte == 0));
        n.give(3)
    });
    assert_eq!(sup.run(), 0);
    assert_eq!(target.end(), 0);
}
