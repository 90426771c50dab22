//! Runs to the end: what they are given, each step, and their results.

use super::*;

pub fn rows(t: &mut Table) {
    let cmd = sandbox_cmd_new(c"/bin/cat".as_ptr());
    let run = |input: *const sandbox_bytes, options: *const sandbox_run_options| {
        let (mut result, mut error) = (8 as *mut _, none());
        let code = sandbox_run(cmd, input, options, &raw mut result, &raw mut error);
        assert_eq!((error.code, result.is_null(), message(&error).is_empty()), (code.min(0), code < 0, code == 0));
        sandbox_result_free(result);
        i64::from(code)
    };
    name!(t, row, sandbox_run, "NULL", EFAULT, || sandbox_run(null(), null(), null(), null_mut(), null_mut()).into());
    name!(t, row, sandbox_run, "no place for the result", EFAULT, || sandbox_run(cmd, null(), null(), null_mut(), null_mut()).into());
    name!(t, row, sandbox_run, "no command", EFAULT, || {
        let mut result = 8 as *mut _;
        let code = sandbox_run(null(), null(), null(), &raw mut result, null_mut());
        assert!(result.is_null());
        code.into()
    });
    name!(t, row, sandbox_run, "nothing but the command", 0, || run(null(), null()));
    for (case, data, length, expected) in [
        ("input", c"abc".as_ptr(), 3, 0), ("no input", c"abc".as_ptr(), 0, 0), ("NULL of no length", null(), 0, 0),
        ("NULL of a length", null(), 1, EFAULT), ("more input than there is memory", c"a".as_ptr(), usize::MAX, -(libc::EFBIG as i64)),
    ] {
        name!(t, row, sandbox_run, case, expected, || run(&sandbox_bytes { data: data.cast(), length }, null()));
    }
    let size = size_of::<sandbox_run_options>();
    let usual = sandbox_run_options { size, ..Default::default() };
    for (case, options, expected) in [
        ("options", usual, 0),
        ("size 0", sandbox_run_options { size: 0, ..usual }, EINVAL),
        ("size 7", sandbox_run_options { size: 7, ..usual }, EINVAL),
        ("a size of 4097", sandbox_run_options { size: 4097, ..usual }, EINVAL),
        ("the largest size", sandbox_run_options { size: usize::MAX, ..usual }, EINVAL),
        ("an unknown flag", sandbox_run_options { flags: 8, ..usual }, EINVAL),
        ("a closed cancel_fd", sandbox_run_options { flags: 4, cancel_fd: 987_654, ..usual }, EBADF),
        ("a negative cancel_fd that is not looked at", sandbox_run_options { cancel_fd: -7, ..usual }, 0),
        ("the largest cancel_fd", sandbox_run_options { flags: 4, cancel_fd: i64::MAX, ..usual }, EBADF),
        ("all flags", sandbox_run_options { flags: u64::MAX, ..usual }, EINVAL),
        ("the largest numbers", sandbox_run_options { flags: 3, stdout_limit: u64::MAX, stderr_limit: u64::MAX, wall_time_ms: u64::MAX, cpu_time_ms: u64::MAX, ..usual }, 0),
        ("the smallest numbers", sandbox_run_options { stdout_limit: 1, stderr_limit: 1, ..usual }, 0),
    ] {
        name!(t, row, sandbox_run, case, expected, || run(null(), &options));
    }
    let start = |cmd: *const sandbox_cmd, input: *const sandbox_bytes| {
        let (mut running, mut error) = (8 as *mut _, none());
        let code = sandbox_run_start(cmd, input, null(), &raw mut running, &raw mut error);
        assert_eq!((error.code, running.is_null()), (code.min(0), code < 0));
        (code, running)
    };
    name!(t, row, sandbox_run_start, "NULL", EFAULT, || sandbox_run_start(null(), null(), null(), null_mut(), null_mut()).into());
    name!(t, row, sandbox_run_start, "no command", EFAULT, || start(null(), null()).0.into());
    name!(t, row, sandbox_run_start, "NULL of a length", EFAULT, || start(cmd, &sandbox_bytes { data: null(), length: 1 }).0.into());
    name!(t, row, sandbox_running_free, "NULL", 0, || { sandbox_running_free(null_mut()); 0 });
    name!(t, row, sandbox_running_free, "one under way", 0, || {
        let (code, running) = start(cmd, null());
        sandbox_running_free(running);
        code.into()
    });
    let step = |running, size, until_over: bool| {
        let (mut result, mut error, mut wait) = (8 as *mut _, none(), [0u64; 600]);
        let code = loop {
            match sandbox_run_step(running, wait.as_mut_ptr().cast(), size, &raw mut result, &raw mut error) {
                0 if until_over => {}
                code => break code,
            }
        };
        assert_eq!((error.code, result.is_null()), (code.min(0), code != 1));
        sandbox_result_free(result);
        i64::from(code)
    };
    name!(t, row, sandbox_run_step, "NULL", EFAULT, || sandbox_run_step(null_mut(), null_mut(), 0, null_mut(), null_mut()).into());
    name!(t, row, sandbox_run_step, "no run", EFAULT, || step(null_mut(), 16, false));
    name!(t, row, sandbox_run_step, "to its end, and once more", -i64::from(libc::EALREADY), || {
        let (_, running) = start(cmd, null());
        assert_eq!(sandbox_run_step(running, null_mut(), 0, null_mut(), null_mut()), -libc::EFAULT);
        assert_eq!(step(running, 0, true), 1);
        let again = step(running, usize::MAX, false);
        sandbox_running_free(running);
        again
    });
    let sleeping = sandbox_cmd_new(c"/bin/sleep".as_ptr());
    sandbox_cmd_arg(sleeping, c"1000".as_ptr());
    for (case, size, expected) in [("no size", 0, 0), ("1", 1, 0), ("4096", 4096, 0), ("4097", 4097, EINVAL), ("the largest", usize::MAX, EINVAL)] {
        name!(t, row, sandbox_run_step, case, expected, || {
            let (_, running) = start(sleeping, null());
            let code = step(running, size, false);
            sandbox_running_free(running);
            code
        });
    }
    name!(t, row, sandbox_run_step, "nowhere to say what to wait for", EFAULT, || {
        let (_, running) = start(sleeping, null());
        let mut result = 8 as *mut _;
        let code = sandbox_run_step(running, null_mut(), 16, &raw mut result, null_mut());
        sandbox_running_free(running);
        code.into()
    });
    sandbox_cmd_free(sleeping);
    let mut result = null_mut();
    assert_eq!(sandbox_run(cmd, null(), null(), &raw mut result, null_mut()), 0);
    name!(t, row, sandbox_result_free, "NULL", 0, || { sandbox_result_free(null_mut()); 0 });
    name!(t, row, sandbox_result_limits, "NULL", EFAULT, || sandbox_result_limits(null()).into());
    name!(t, row, sandbox_result_limits, "none", 0, || sandbox_result_limits(result).into());
    let mut room = [0u64; 600];
    let at = room.as_mut_ptr();
    for (case, size, expected) in [("no size", 0, 0), ("1", 1, 0), ("4096", 4096, 0), ("4097", 4097, EINVAL), ("the largest", usize::MAX, EINVAL)] {
        name!(t, row, sandbox_result_status, case, expected, || sandbox_result_status(result, at.cast(), size).into());
        name!(t, row, sandbox_result_status, case, EFAULT, || sandbox_result_status(null(), at.cast(), size).into());
        name!(t, row, sandbox_result_output, case, expected, || sandbox_result_output(result, 1, at.cast(), size).into());
        name!(t, row, sandbox_result_output, case, EFAULT, || sandbox_result_output(null(), 1, at.cast(), size).into());
        let missing = if size == 0 { 0 } else { EFAULT };
        name!(t, row, sandbox_result_status, case, missing, || sandbox_result_status(result, null_mut(), size).into());
        name!(t, row, sandbox_result_output, case, missing, || sandbox_result_output(result, 2, null_mut(), size).into());
    }
    for target in [0, 3, -1, c_int::MAX, c_int::MIN] {
        name!(t, row, sandbox_result_output, &format!("target {target}"), EINVAL, || sandbox_result_output(result, target, at.cast(), 24).into());
    }
    sandbox_result_free(result);
    sandbox_cmd_free(cmd);
}
