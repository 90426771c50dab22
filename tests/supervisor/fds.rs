//! File descriptors: given to the caller, and those that a notification holds.

use super::*;
use super::leaving::nothing;

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
