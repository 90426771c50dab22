//! With a child of the library's, and what is refused.

use super::*;

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
