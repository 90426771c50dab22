//! The caller goes: dies, is interrupted, or has ended.

use super::*;

#[test]
fn a_caller_that_dies_while_its_handler_runs_is_no_error() {
    for way in 0..8 {
        let mut target = Target::new(&[ASK], || { ask(0); });
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

pub extern "C" fn nothing(_: c_int) {}

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
            (0..5).for_each(|_| { ask(0); });
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
