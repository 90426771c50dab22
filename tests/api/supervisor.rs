//! The supervisor, and what its handlers may ask of a notification.

use super::*;

pub fn rows(t: &mut Table) {
    name!(t, row, sandbox_supervisor_new, "NULL", 0, || sandbox_supervisor_new(null_mut()) as i64);
    name!(t, child, sandbox_supervisor_new, "a child without a listener", 0, |child| sandbox_supervisor_new(child) as i64);
    for fd in NUMBERS {
        name!(t, row, sandbox_supervisor_from_fd, &format!("fd {fd}"), 0, || sandbox_supervisor_from_fd(fd, -1) as i64);
    }
    name!(t, row, sandbox_supervisor_free, "NULL", 0, || { sandbox_supervisor_free(null_mut()); 0 });
    name!(t, row, sandbox_supervisor_on, "no supervisor", EFAULT, || sandbox_supervisor_on(null_mut(), c"read".as_ptr(), Some(answer), null_mut()).into());
    name!(t, row, sandbox_supervisor_fd, "NULL", EFAULT, || sandbox_supervisor_fd(null()).into());
    name!(t, row, sandbox_supervisor_dispatch, "NULL", EFAULT, || sandbox_supervisor_dispatch(null_mut(), 0).into());
    name!(t, row, sandbox_supervisor_run, "NULL", EFAULT, || sandbox_supervisor_run(null_mut()).into());
    name!(t, row, sandbox_supervisor_ended, "NULL", EFAULT, || sandbox_supervisor_ended(null()).into());
    name!(t, row, sandbox_notify_call, "NULL", EFAULT, || sandbox_notify_call(null(), null_mut(), 0).into());
    name!(t, row, sandbox_notify_pid, "NULL", EFAULT, || sandbox_notify_pid(null_mut()).into());
    name!(t, row, sandbox_notify_tid, "NULL", EFAULT, || sandbox_notify_tid(null()).into());
    name!(t, row, sandbox_notify_pidfd, "NULL", EFAULT, || sandbox_notify_pidfd(null_mut()).into());
    name!(t, row, sandbox_notify_check, "NULL", EFAULT, || sandbox_notify_check(null()).into());
    name!(t, row, sandbox_notify_keep, "NULL", EFAULT, || sandbox_notify_keep(null_mut()).into());
    name!(t, row, sandbox_notify_free, "NULL", 0, || { sandbox_notify_free(null_mut()); 0 });
    name!(t, row, sandbox_notify_errno, "NULL", EFAULT, || sandbox_notify_errno(null_mut(), 1).into());
    name!(t, row, sandbox_notify_return, "NULL", EFAULT, || sandbox_notify_return(null_mut(), 0).into());
    name!(t, row, sandbox_notify_continue_unsafe, "NULL", EFAULT, || sandbox_notify_continue_unsafe(null_mut()).into());
    name!(t, row, sandbox_notify_fd, "NULL", EFAULT, || sandbox_notify_fd(null_mut(), 0, 0).into());
    name!(t, row, sandbox_notify_add_fd, "NULL", EFAULT, || sandbox_notify_add_fd(null_mut(), 0, -1, 0).into());
    name!(t, row, sandbox_notify_get_fd, "NULL", EFAULT, || sandbox_notify_get_fd(null_mut(), 0).into());
    name!(t, row, sandbox_notify_read, "NULL", EFAULT, || sandbox_notify_read(null_mut(), 0, null_mut(), 0).into());
    name!(t, row, sandbox_notify_write, "NULL", EFAULT, || sandbox_notify_write(null_mut(), 0, null(), 0).into());
    name!(t, row, sandbox_notify_string, "NULL", EFAULT, || sandbox_notify_string(null_mut(), 0, null_mut(), 0).into());
    name!(t, row, sandbox_notify_sockaddr, "NULL", EFAULT, || sandbox_notify_sockaddr(null_mut(), 0, 0, null_mut(), 0).into());
    name!(t, row, sandbox_notify_path, "NULL", EFAULT, || sandbox_notify_path(null_mut(), 0, 0, 0, null_mut(), 0).into());
    name!(t, row, sandbox_notify_open, "NULL", EFAULT, || sandbox_notify_open(null_mut(), 0, 0, 0, 0).into());
    name!(t, row, sandbox_notify_parent, "NULL", EFAULT, || sandbox_notify_parent(null_mut(), 0, 0, null_mut(), 0).into());
    supervised(t, "calls of no name", &|sup| {
        for text in [c"", c"no_such_call", c"-1", c"\xff\xfe"] {
            assert_eq!(sandbox_supervisor_on(sup, text.as_ptr(), Some(answer), null_mut()), -libc::EINVAL, "{text:?}");
        }
        assert_eq!(sandbox_supervisor_on(sup, null(), Some(answer), null_mut()), 0);
        assert_eq!(i64::from(sandbox_supervisor_dispatch(sup, i64::MIN)), EINVAL);
        assert_eq!(sandbox_supervisor_ended(sup), 0);
        assert_eq!(sandbox_supervisor_run(sup), 0);
        assert_eq!((sandbox_supervisor_ended(sup), sandbox_supervisor_dispatch(sup, i64::MAX)), (1, 0));
    });
    supervised(t, "a call's handler that asks for nonsense", &|sup| {
        let mut asked = 0u32;
        assert_eq!(sandbox_supervisor_on(sup, c"openat".as_ptr(), Some(nonsense), (&raw mut asked).cast()), 0);
        assert_eq!(sandbox_supervisor_run(sup), 0);
        assert!(asked > 0);
    });
}

/// A child whose every openat is notified, with its supervisor.
fn supervised(t: &mut Table, case: &str, run: &dyn Fn(*mut sandbox_supervisor)) {
    name!(t, row, sandbox_supervisor_new, case, 0, || {
        let (filter, cmd, mut child) = (sandbox_filter_new(ALLOW), sandbox_cmd_new(c"/bin/true".as_ptr()), null_mut());
        assert_eq!(sandbox_filter_rule(filter, NOTIFY, c"openat".as_ptr(), null(), 0), 0);
        assert_eq!(sandbox_cmd_filter(cmd, filter), 0);
        assert_eq!(sandbox_spawn(cmd, &raw mut child, null_mut()), 0);
        let sup = sandbox_supervisor_new(child);
        assert!(!sup.is_null() && sandbox_supervisor_fd(sup) > 2);
        run(sup);
        assert_eq!(end_of(child), 0);
        sandbox_supervisor_free(sup);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
        sandbox_filter_free(filter);
        0
    });
}

extern "C" fn answer(n: *mut sandbox_notify, _: *mut c_void) -> c_int {
    sandbox_notify_continue_unsafe(n)
}

/// No answer of these is one: the call still waits for its own afterwards.
extern "C" fn nonsense(n: *mut sandbox_notify, asked: *mut c_void) -> c_int {
    const NOWHERE: u64 = 0xffff_8000_0000_0000;
    let mut room = [0xaau8; 64];
    let at: *mut c_void = room.as_mut_ptr().cast();
    let refused = [
        sandbox_notify_call(n, null_mut(), 8),
        sandbox_notify_call(n, at.cast(), 4097),
        sandbox_notify_call(n, at.cast(), usize::MAX),
        sandbox_notify_errno(n, 0),
        sandbox_notify_errno(n, -1),
        sandbox_notify_errno(n, 512),
        sandbox_notify_errno(n, 531),
        sandbox_notify_errno(n, 4096),
        sandbox_notify_errno(n, c_int::MIN),
        sandbox_notify_errno(n, c_int::MAX),
        sandbox_notify_return(n, -512),
        sandbox_notify_return(n, -531),
        sandbox_notify_add_fd(n, -1, -1, 0),
        sandbox_notify_add_fd(n, c_int::MAX, -1, 0),
        sandbox_notify_add_fd(n, 0, -2, 0),
        sandbox_notify_add_fd(n, 0, c_int::MIN, 0),
        sandbox_notify_get_fd(n, -1),
        sandbox_notify_get_fd(n, c_int::MAX),
        sandbox_notify_read(n, 0, at, 8),
        sandbox_notify_read(n, NOWHERE, at, 64),
        sandbox_notify_read(n, u64::MAX, at, 64),
        sandbox_notify_read(n, 0, null_mut(), 8),
        sandbox_notify_write(n, 0, at, 8),
        sandbox_notify_write(n, u64::MAX - 3, at, 8),
        sandbox_notify_write(n, NOWHERE, null(), 8),
        sandbox_notify_string(n, 0, at.cast(), 64),
        sandbox_notify_string(n, u64::MAX, at.cast(), 64),
        sandbox_notify_string(n, 0, null_mut(), 64),
        sandbox_notify_string(n, 0, at.cast(), 0),
        sandbox_notify_sockaddr(n, 0, 16, at, 64),
        sandbox_notify_sockaddr(n, 0, u64::MAX, at, 64),
        sandbox_notify_sockaddr(n, 0, 16, null_mut(), 64),
        sandbox_notify_path(n, libc::AT_FDCWD, 0, 0, at.cast(), 64),
        sandbox_notify_path(n, libc::AT_FDCWD, 0, u64::MAX, at.cast(), 64),
        sandbox_notify_path(n, c_int::MAX, NOWHERE, 0, null_mut(), 64),
        sandbox_notify_open(n, libc::AT_FDCWD, 0, 0, 0),
        sandbox_notify_open(n, c_int::MIN, u64::MAX, u64::MAX, u64::MAX),
        sandbox_notify_parent(n, libc::AT_FDCWD, 0, at.cast(), 64),
        sandbox_notify_parent(n, libc::AT_FDCWD, NOWHERE, null_mut(), 64),
    ];
    // A panic must not leave a function that C calls: what is wrong ends the dispatch instead.
    if let Some(position) = refused.iter().position(|code| *code >= 0) {
        return -1000 - c_int::try_from(position).unwrap_or(0);
    }
    // SAFETY: the number that the caller's own closure lent.
    unsafe { *asked.cast::<u32>() += 1 };
    if sandbox_notify_check(n) != 0 || sandbox_notify_pid(n) <= 0 || sandbox_notify_tid(n) <= 0 || sandbox_notify_pidfd(n) < 0 {
        return -2000;
    }
    let answered = sandbox_notify_continue_unsafe(n);
    if sandbox_notify_errno(n, 1) != -libc::EALREADY || sandbox_notify_continue_unsafe(n) != -libc::EALREADY {
        return -3000;
    }
    answered
}
