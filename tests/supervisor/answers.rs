//! Answers: each reaches its call, and none is given twice.

use super::*;

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
