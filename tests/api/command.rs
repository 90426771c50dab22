//! The command: its strings, numbers and fds, and how it is explained and spawned.

use super::*;

pub fn strings_and_null(t: &mut Table) {
    name!(t, row, sandbox_cmd_new, "NULL", 0, || sandbox_cmd_new(null()) as i64);
    name!(t, row, sandbox_cmd_clone, "NULL", 0, || sandbox_cmd_clone(null()) as i64);
    name!(t, row, sandbox_cmd_free, "NULL", 0, || { sandbox_cmd_free(null_mut()); 0 });
    name!(t, row, sandbox_cmd_error, "NULL", EFAULT, || sandbox_cmd_error(null(), null_mut()).into());
    name!(t, row, sandbox_cmd_error, "NULL, with an error", EFAULT, || {
        let mut error = none();
        let code = sandbox_cmd_error(null(), &raw mut error);
        assert_eq!((error.code, error.stage), (code, 1));
        code.into()
    });
    type One = extern "C" fn(*mut sandbox_cmd, *const c_char) -> c_int;
    for (function, setter) in [
        ("sandbox_cmd_arg", sandbox_cmd_arg as One), ("sandbox_cmd_arg0", sandbox_cmd_arg0), ("sandbox_cmd_cwd", sandbox_cmd_cwd),
    ] {
        t.row(function, "NULL, NULL", EFAULT, &|| setter(null_mut(), null()).into());
        t.row(function, "no command", EFAULT, &|| setter(null_mut(), c"a".as_ptr()).into());
        t.setter(function, "NULL", EFAULT, &|cmd| setter(cmd, null()));
        for (case, text) in strings() {
            let longest = if function == "sandbox_cmd_cwd" { 4095 } else { 131_071 };
            let too_long = if function == "sandbox_cmd_cwd" { ENAMETOOLONG } else { E2BIG };
            t.setter(function, case, if text.count_bytes() > longest { too_long } else { 0 }, &|cmd| setter(cmd, text.as_ptr()));
        }
    }
    for (case, text) in strings() {
        let is_long = text.count_bytes() > 4095;
        name!(t, row, sandbox_cmd_new, case, if is_long { ENAMETOOLONG } else { 0 }, || {
            let cmd = sandbox_cmd_new(text.as_ptr());
            let code = sandbox_cmd_error(cmd, null_mut());
            let mut child = null_mut();
            assert!(sandbox_spawn(cmd, &raw mut child, null_mut()) < 0 && child.is_null());
            sandbox_cmd_free(cmd);
            code.into()
        });
        let long = if text.count_bytes() > 131_000 { E2BIG } else { 0 };
        let name = if text.is_empty() { EINVAL } else { long };
        name!(t, setter, sandbox_cmd_env, case, name, |cmd| sandbox_cmd_env(cmd, text.as_ptr(), c"value".as_ptr()));
        name!(t, setter, sandbox_cmd_env, case, name, |cmd| sandbox_cmd_env(cmd, text.as_ptr(), null()));
        name!(t, setter, sandbox_cmd_env, case, long, |cmd| sandbox_cmd_env(cmd, c"NAME".as_ptr(), text.as_ptr()));
        let two = [text.as_ptr(), text.as_ptr(), null()];
        let long = if text.count_bytes() > 131_071 { E2BIG } else { 0 };
        name!(t, setter, sandbox_cmd_args, case, long, |cmd| sandbox_cmd_args(cmd, two.as_ptr()));
    }
    name!(t, row, sandbox_cmd_env, "no command", EFAULT, || sandbox_cmd_env(null_mut(), c"A".as_ptr(), c"b".as_ptr()).into());
    name!(t, setter, sandbox_cmd_env, "NULL", EFAULT, |cmd| sandbox_cmd_env(cmd, null(), c"b".as_ptr()));
    name!(t, setter, sandbox_cmd_env, "NULL, NULL", EFAULT, |cmd| sandbox_cmd_env(cmd, null(), null()));
    name!(t, setter, sandbox_cmd_env, "an equals sign", EINVAL, |cmd| sandbox_cmd_env(cmd, c"A=B".as_ptr(), c"c".as_ptr()));
    name!(t, setter, sandbox_cmd_env, "an equals sign alone", EINVAL, |cmd| sandbox_cmd_env(cmd, c"=".as_ptr(), null()));
    name!(t, setter, sandbox_cmd_env, "unset", 0, |cmd| sandbox_cmd_env(cmd, c"A".as_ptr(), null()));
    name!(t, row, sandbox_cmd_env_clear, "no command", EFAULT, || sandbox_cmd_env_clear(null_mut()).into());
    name!(t, setter, sandbox_cmd_env_clear, "twice", 0, |cmd| sandbox_cmd_env_clear(cmd) + sandbox_cmd_env_clear(cmd));
    name!(t, row, sandbox_cmd_args, "no command", EFAULT, || sandbox_cmd_args(null_mut(), [null()].as_ptr()).into());
    name!(t, row, sandbox_cmd_args, "NULL, NULL", EFAULT, || sandbox_cmd_args(null_mut(), null()).into());
    name!(t, setter, sandbox_cmd_args, "NULL", EFAULT, |cmd| sandbox_cmd_args(cmd, null()));
    name!(t, setter, sandbox_cmd_args, "none", 0, |cmd| sandbox_cmd_args(cmd, [null()].as_ptr()));
    let many: Vec<*const c_char> = std::iter::repeat_n(c"a".as_ptr(), (1 << 20) + 1).chain([null()]).collect();
    name!(t, setter, sandbox_cmd_args, "a million and more", E2BIG, |cmd| sandbox_cmd_args(cmd, many.as_ptr()));
}

pub fn numbers(t: &mut Table) {
    name!(t, row, sandbox_cmd_set, "no command", EFAULT, || sandbox_cmd_set(null_mut(), 1, 1).into());
    for option in [0, 26, 27, 100, 0x7fff_ffff, 0x8000_0001, u32::MAX] {
        name!(t, setter, sandbox_cmd_set, &format!("option {option}"), EINVAL, |cmd| sandbox_cmd_set(cmd, option, 1));
    }
    for option in (1..=25).chain([40]) {
        for value in [0, 1, 2, 64, 65, 0o777, 1 << 31, 1 << 32, 1 << 63, u64::MAX, u64::MAX - 1000] {
            // Which values it takes stands in tests/header.rs: here it must answer one or the other, and latch.
            let fresh = sandbox_cmd_new(c"/bin/true".as_ptr());
            let expected = sandbox_cmd_set(fresh, option, value);
            sandbox_cmd_free(fresh);
            assert!(expected == 0 || i64::from(expected) == EINVAL);
            name!(t, setter, sandbox_cmd_set, &format!("option {option}, value {value:#x}"), expected.into(), |cmd| sandbox_cmd_set(cmd, option, value));
        }
    }
    name!(t, row, sandbox_cmd_rlimit, "no command", EFAULT, || sandbox_cmd_rlimit(null_mut(), 0, 1, 1).into());
    for resource in [16, 17, 255, 0x8000_0000, u32::MAX] {
        name!(t, setter, sandbox_cmd_rlimit, &format!("resource {resource}"), EINVAL, |cmd| sandbox_cmd_rlimit(cmd, resource, 1, 1));
    }
    for resource in 0..16 {
        name!(t, setter, sandbox_cmd_rlimit, "soft above hard", EINVAL, |cmd| sandbox_cmd_rlimit(cmd, resource, 2, 1));
        name!(t, setter, sandbox_cmd_rlimit, "unlimited above hard", EINVAL, |cmd| sandbox_cmd_rlimit(cmd, resource, u64::MAX, u64::MAX - 1));
        name!(t, setter, sandbox_cmd_rlimit, "the ends", 0, |cmd| sandbox_cmd_rlimit(cmd, resource, 0, u64::MAX));
    }
    name!(t, row, sandbox_cmd_cpus, "no command", EFAULT, || sandbox_cmd_cpus(null_mut(), [1].as_ptr(), 1).into());
    let words = [1u64; 129];
    for (count, expected) in [(0, EINVAL), (1, 0), (128, 0), (129, EINVAL), (usize::MAX, EINVAL), (usize::MAX / 8, EINVAL)] {
        name!(t, setter, sandbox_cmd_cpus, &format!("{count} words"), expected, |cmd| sandbox_cmd_cpus(cmd, words.as_ptr(), count));
        name!(t, setter, sandbox_cmd_cpus, &format!("NULL, {count} words"), EFAULT, |cmd| sandbox_cmd_cpus(cmd, null(), count));
    }
    name!(t, setter, sandbox_cmd_cpus, "no bit", EINVAL, |cmd| sandbox_cmd_cpus(cmd, [0u64; 4].as_ptr(), 4));
}

pub fn fds(t: &mut Table) {
    let is_open = |fd: RawFd| unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }; // SAFETY: a number
    name!(t, row, sandbox_cmd_exec_fd, "no command", EFAULT, || sandbox_cmd_exec_fd(null_mut(), 0).into());
    name!(t, row, sandbox_cmd_pass_fd, "no command", EFAULT, || sandbox_cmd_pass_fd(null_mut(), 0, 5).into());
    name!(t, row, sandbox_cmd_stdio, "no command", EFAULT, || sandbox_cmd_stdio(null_mut(), 0, 0, 0).into());
    for number in NUMBERS {
        let expected = if is_open(number) { 0 } else { EBADF };
        name!(t, setter, sandbox_cmd_exec_fd, &format!("fd {number}"), expected, |cmd| sandbox_cmd_exec_fd(cmd, number));
        name!(t, setter, sandbox_cmd_pass_fd, &format!("fd {number}"), expected, |cmd| sandbox_cmd_pass_fd(cmd, number, 7));
        let target = if number < 0 { EINVAL } else { 0 };
        name!(t, setter, sandbox_cmd_pass_fd, &format!("target {number}"), target, |cmd| sandbox_cmd_pass_fd(cmd, 0, number));
        name!(t, setter, sandbox_cmd_stdio, &format!("target {number}"), EINVAL, |cmd| sandbox_cmd_stdio(cmd, number, 1, 0));
        name!(t, setter, sandbox_cmd_stdio, &format!("fd {number}"), expected, |cmd| sandbox_cmd_stdio(cmd, 1, 3, number));
        name!(t, setter, sandbox_cmd_stdio, &format!("fd {number} that is not looked at"), 0, |cmd| sandbox_cmd_stdio(cmd, 1, 1, number));
    }
    for mode in [5, 6, 100, 0x8000_0000, u32::MAX] {
        name!(t, setter, sandbox_cmd_stdio, &format!("mode {mode}"), EINVAL, |cmd| sandbox_cmd_stdio(cmd, 0, mode, 0));
    }
    name!(t, setter, sandbox_cmd_pass_fd, "a target twice", EINVAL, |cmd| sandbox_cmd_pass_fd(cmd, 0, 9) + sandbox_cmd_pass_fd(cmd, 1, 9));
    name!(t, setter, sandbox_cmd_pass_fd, "a target of stdio's", EINVAL, |cmd| sandbox_cmd_stdio(cmd, 1, 2, -1) + sandbox_cmd_pass_fd(cmd, 0, 1));
    name!(t, setter, sandbox_cmd_stdio, "a passed target", EINVAL, |cmd| sandbox_cmd_pass_fd(cmd, 0, 1) + sandbox_cmd_stdio(cmd, 1, 2, -1));
    name!(t, row, sandbox_cmd_on_maps, "no command", EFAULT, || sandbox_cmd_on_maps(null_mut(), Some(ready), null_mut()).into());
    name!(t, setter, sandbox_cmd_on_maps, "a function", 0, |cmd| sandbox_cmd_on_maps(cmd, Some(ready), null_mut()));
    name!(t, row, sandbox_cmd_init_fd, "no command", EFAULT, || sandbox_cmd_init_fd(null_mut(), 0).into());
    name!(t, setter, sandbox_cmd_init_fd, "no fd", EBADF, |cmd| sandbox_cmd_init_fd(cmd, -1));
    name!(t, setter, sandbox_cmd_init_fd, "an fd", 0, |cmd| sandbox_cmd_init_fd(cmd, 0));
    name!(t, row, sandbox_cmd_init_lock, "no command", EFAULT, || sandbox_cmd_init_lock(null_mut(), c"/".as_ptr()).into());
    name!(t, setter, sandbox_cmd_init_lock, "NULL", EFAULT, |cmd| sandbox_cmd_init_lock(cmd, null()));
    name!(t, setter, sandbox_cmd_init_lock, "a file", 0, |cmd| sandbox_cmd_init_lock(cmd, c"/x".as_ptr()));
    name!(t, row, sandbox_cmd_cwd_first, "no command", EFAULT, || sandbox_cmd_cwd_first(null_mut(), [c"/".as_ptr(), null()].as_ptr()).into());
    name!(t, setter, sandbox_cmd_cwd_first, "NULL", EFAULT, |cmd| sandbox_cmd_cwd_first(cmd, null()));
    name!(t, setter, sandbox_cmd_cwd_first, "none", EINVAL, |cmd| sandbox_cmd_cwd_first(cmd, [null()].as_ptr()));
    name!(t, setter, sandbox_cmd_cwd_first, "one", 0, |cmd| sandbox_cmd_cwd_first(cmd, [c"/".as_ptr(), null()].as_ptr()));
    name!(t, row, sandbox_cmd_on_ready, "no command", EFAULT, || sandbox_cmd_on_ready(null_mut(), Some(ready), null_mut()).into());
    name!(t, setter, sandbox_cmd_on_ready, "NULL", 0, |cmd| sandbox_cmd_on_ready(cmd, None, 1 as *mut _));
    name!(t, setter, sandbox_cmd_on_ready, "a function", 0, |cmd| sandbox_cmd_on_ready(cmd, Some(ready), null_mut()));
    name!(t, row, sandbox_cmd_pre_exec, "no command", EFAULT, || sandbox_cmd_pre_exec(null_mut(), Some(pre_exec), null_mut()).into());
    name!(t, setter, sandbox_cmd_pre_exec, "NULL", 0, |cmd| sandbox_cmd_pre_exec(cmd, None, 1 as *mut _));
    name!(t, setter, sandbox_cmd_pre_exec, "a function", 0, |cmd| sandbox_cmd_pre_exec(cmd, Some(pre_exec), null_mut()));
}

pub fn spawns(t: &mut Table) {
    let cmd = sandbox_cmd_new(c"/bin/true".as_ptr());
    name!(t, row, sandbox_cmd_explain, "no command", EFAULT, || sandbox_cmd_explain(null(), null_mut(), 0, null_mut()).into());
    name!(t, row, sandbox_cmd_explain, "NULL with a size", EFAULT, || sandbox_cmd_explain(cmd, null_mut(), 1, null_mut()).into());
    let length = sandbox_cmd_explain(cmd, null_mut(), 0, null_mut());
    assert!(length > 100);
    for size in [1, 2, 10, length.unsigned_abs() as usize, 4000, usize::MAX] {
        name!(t, row, sandbox_cmd_explain, &format!("{size} bytes"), length.into(), || {
            let mut buffer = [0xaau8; 4096];
            let told = sandbox_cmd_explain(cmd, buffer.as_mut_ptr().cast(), size, null_mut());
            let end = buffer.iter().position(|byte| *byte == 0).unwrap();
            assert_eq!(end, (size - 1).min(length.unsigned_abs() as usize));
            assert!(buffer[end + 1..].iter().all(|byte| *byte == 0xaa));
            told.into()
        });
    }
    let mut error = none();
    error.code = 7;
    assert_eq!(sandbox_cmd_explain(cmd, null_mut(), 0, &raw mut error), length);
    assert_eq!((error.code, message(&error).as_str()), (0, ""));
    name!(t, row, sandbox_spawn, "NULL, NULL, NULL", EFAULT, || sandbox_spawn(null(), null_mut(), null_mut()).into());
    name!(t, row, sandbox_spawn, "no place for the child", EFAULT, || sandbox_spawn(cmd, null_mut(), null_mut()).into());
    name!(t, row, sandbox_spawn, "no command", EFAULT, || {
        let (mut child, mut error) = (8 as *mut _, none());
        let code = sandbox_spawn(null(), &raw mut child, &raw mut error);
        assert!(child.is_null() && error.code == code && error.stage == 1);
        code.into()
    });
    name!(t, row, sandbox_spawn, "a child", 0, || {
        let (mut child, mut error) = (null_mut(), none());
        error.code = 7;
        let code = sandbox_spawn(cmd, &raw mut child, &raw mut error);
        assert_eq!((error.code, end_of(child)), (0, 0));
        sandbox_child_free(child);
        code.into()
    });
    for (case, program, errno) in [
        ("no such program", c"/nowhere/at/all", libc::ENOENT), ("a directory", c"/", libc::EACCES), ("no program", c"/etc/passwd", libc::EACCES),
        ("an empty name", c"", libc::ENOENT), ("no such name", c"no-such-name-anywhere", libc::ENOENT), ("no directory", c"/etc/passwd/x", libc::ENOTDIR),
    ] {
        name!(t, row, sandbox_spawn, case, -i64::from(errno), || {
            let cmd = sandbox_cmd_new(program.as_ptr());
            sandbox_cmd_env(cmd, c"PATH".as_ptr(), c"/usr/bin:/bin".as_ptr()); // the caller's may be closed to this user
            let (mut child, mut error) = (null_mut(), none());
            let code = sandbox_spawn(cmd, &raw mut child, &raw mut error);
            assert!(child.is_null());
            assert_eq!((error.code, error.stage), (code, 23));
            sandbox_cmd_free(cmd);
            code.into()
        });
    }
    sandbox_cmd_free(cmd);
}
