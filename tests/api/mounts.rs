//! The root and all that is mounted, made or covered in it.

use super::*;

pub fn rows(t: &mut Table) {
    const ENOENT: i64 = -(libc::ENOENT as i64);
    type At = extern "C" fn(*mut sandbox_cmd, *const c_char) -> c_int;
    extern "C" fn root(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_root(cmd, at, 1)
    }
    extern "C" fn bind(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_bind(cmd, c"/".as_ptr(), at, 255)
    }
    extern "C" fn source(cmd: *mut sandbox_cmd, from: *const c_char) -> c_int {
        sandbox_cmd_bind(cmd, from, c"a".as_ptr(), 0)
    }
    extern "C" fn bind_fd(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_bind_fd(cmd, 0, at, 0)
    }
    extern "C" fn tmpfs(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_tmpfs(cmd, at, u64::MAX << 20, 0o1777)
    }
    extern "C" fn proc(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_proc(cmd, at, 0x1c)
    }
    extern "C" fn overlay(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_overlay(cmd, [c"/".as_ptr(), null()].as_ptr(), null(), null(), at)
    }
    extern "C" fn lower(cmd: *mut sandbox_cmd, lower: *const c_char) -> c_int {
        sandbox_cmd_overlay(cmd, [lower, null()].as_ptr(), c"u".as_ptr(), c"w".as_ptr(), c"a".as_ptr())
    }
    extern "C" fn file(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_file(cmd, at, null(), 0, 0o777)
    }
    extern "C" fn dir(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_dir(cmd, at, 0)
    }
    extern "C" fn symlink(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_symlink(cmd, c"..".as_ptr(), at)
    }
    extern "C" fn symlink_to(cmd: *mut sandbox_cmd, text: *const c_char) -> c_int {
        sandbox_cmd_symlink(cmd, text, c"a".as_ptr())
    }
    // Whether NULL is allowed, and "/".
    for (function, set, null_code, slash) in [
        ("sandbox_cmd_root", root as At, 0, 0), ("sandbox_cmd_bind", bind, EFAULT, EINVAL), ("sandbox_cmd_bind", source, EFAULT, 0),
        ("sandbox_cmd_bind_fd", bind_fd, EFAULT, EINVAL), ("sandbox_cmd_tmpfs", tmpfs, EFAULT, EINVAL),
        ("sandbox_cmd_proc", proc, EFAULT, EINVAL), ("sandbox_cmd_mqueue", sandbox_cmd_mqueue, EFAULT, EINVAL),
        ("sandbox_cmd_dev", sandbox_cmd_dev, EFAULT, EINVAL), ("sandbox_cmd_overlay", overlay, EFAULT, EINVAL),
        ("sandbox_cmd_overlay", lower, EINVAL, 0), ("sandbox_cmd_file", file, EFAULT, EINVAL), ("sandbox_cmd_dir", dir, EFAULT, EINVAL),
        ("sandbox_cmd_symlink", symlink, EFAULT, EINVAL), ("sandbox_cmd_symlink", symlink_to, EFAULT, 0),
        ("sandbox_cmd_mask", sandbox_cmd_mask, EFAULT, EINVAL),
    ] {
        t.row(function, "no command", EFAULT, &|| set(null_mut(), c"/a".as_ptr()).into());
        t.setter(function, "NULL", null_code, &|cmd| set(cmd, null()));
        let may_be_root = ["sandbox_cmd_bind", "sandbox_cmd_bind_fd", "sandbox_cmd_tmpfs", "sandbox_cmd_overlay"].contains(&function);
        let root = if may_be_root && slash == EINVAL { 0 } else { slash };
        t.setter(function, "a slash", root, &|cmd| set(cmd, c"/".as_ptr()));
        t.setter(function, "slashes and dots", root, &|cmd| set(cmd, c"//./".as_ptr()));
        t.setter(function, "out of it", slash, &|cmd| set(cmd, c"/a/../b".as_ptr()));
        t.setter(function, "three dots", 0, &|cmd| set(cmd, c".../..a/b..".as_ptr()));
        for (case, text) in strings() {
            let expected = match text.count_bytes() {
                0 => ENOENT,
                1..=4095 => 0,
                _ => ENAMETOOLONG,
            };
            t.setter(function, case, expected, &|cmd| set(cmd, text.as_ptr()));
        }
    }
    let at = c"/a".as_ptr();
    for flags in [256, 0x8000_0000, 1 << 32, u64::MAX] {
        name!(t, setter, sandbox_cmd_root, &format!("flags {flags:#x}"), EINVAL, |cmd| sandbox_cmd_root(cmd, null(), flags));
        name!(t, setter, sandbox_cmd_bind, &format!("flags {flags:#x}"), EINVAL, |cmd| sandbox_cmd_bind(cmd, at, at, flags));
        name!(t, setter, sandbox_cmd_bind_fd, &format!("flags {flags:#x}"), EINVAL, |cmd| sandbox_cmd_bind_fd(cmd, 0, at, flags));
        name!(t, setter, sandbox_cmd_proc, &format!("flags {flags:#x}"), EINVAL, |cmd| sandbox_cmd_proc(cmd, at, flags));
    }
    name!(t, setter, sandbox_cmd_root, "optional", EINVAL, |cmd| sandbox_cmd_root(cmd, at, 4));
    name!(t, setter, sandbox_cmd_tmpfs, "more than can be rounded up", EINVAL, |cmd| sandbox_cmd_tmpfs(cmd, at, u64::MAX, 0));
    for flags in [3, 5, 6, 7, 64] {
        name!(t, setter, sandbox_cmd_proc, "two ways to hide", EINVAL, |cmd| sandbox_cmd_proc(cmd, at, flags));
    }
    for mode in [0o2000, 0o10000, u32::MAX] {
        name!(t, setter, sandbox_cmd_tmpfs, "a mode", EINVAL, |cmd| sandbox_cmd_tmpfs(cmd, at, 0, mode));
        name!(t, setter, sandbox_cmd_dir, "a mode", EINVAL, |cmd| sandbox_cmd_dir(cmd, at, mode));
        name!(t, setter, sandbox_cmd_file, "a mode", EINVAL, |cmd| sandbox_cmd_file(cmd, at, null(), 0, mode));
    }
    name!(t, setter, sandbox_cmd_file, "a sticky file", EINVAL, |cmd| sandbox_cmd_file(cmd, at, null(), 0, 0o1000));
    name!(t, setter, sandbox_cmd_file, "NULL with a length", EFAULT, |cmd| sandbox_cmd_file(cmd, at, null(), 1, 0));
    name!(t, setter, sandbox_cmd_file, "an endless one", E2BIG, |cmd| sandbox_cmd_file(cmd, at, c"".as_ptr().cast(), usize::MAX, 0));
    name!(t, row, sandbox_cmd_data, "no command", EFAULT, || sandbox_cmd_data(null_mut(), at, null(), 0, 0, 0).into());
    for flags in [2, 5, 6, 7, 8, u64::MAX] {
        name!(t, setter, sandbox_cmd_data, "flags", EINVAL, |cmd| sandbox_cmd_data(cmd, at, null(), 0, 0, flags));
    }
    name!(t, setter, sandbox_cmd_data, "a mode", EINVAL, |cmd| sandbox_cmd_data(cmd, at, null(), 0, 0o10000, 1));
    name!(t, setter, sandbox_cmd_data, "one mounted", 0, |cmd| sandbox_cmd_data(cmd, at, null(), 0, 0o4755, 3));
    name!(t, row, sandbox_cmd_devpts, "no command", EFAULT, || sandbox_cmd_devpts(null_mut(), at).into());
    name!(t, setter, sandbox_cmd_devpts, "NULL", EFAULT, |cmd| sandbox_cmd_devpts(cmd, null()));
    name!(t, setter, sandbox_cmd_devpts, "the root", EINVAL, |cmd| sandbox_cmd_devpts(cmd, c"/".as_ptr()));
    name!(t, row, sandbox_cmd_chmod, "no command", EFAULT, || sandbox_cmd_chmod(null_mut(), at, 0).into());
    name!(t, setter, sandbox_cmd_chmod, "a mode", EINVAL, |cmd| sandbox_cmd_chmod(cmd, at, 0o10000));
    name!(t, setter, sandbox_cmd_chmod, "the root", 0, |cmd| sandbox_cmd_chmod(cmd, c"/".as_ptr(), 0));
    name!(t, row, sandbox_cmd_remount, "no command", EFAULT, || sandbox_cmd_remount(null_mut(), at, 0).into());
    for flags in [1, 4, 32, 64, 256] {
        name!(t, setter, sandbox_cmd_remount, "flags", EINVAL, |cmd| sandbox_cmd_remount(cmd, at, flags));
    }
    name!(t, setter, sandbox_cmd_remount, "the root", 0, |cmd| sandbox_cmd_remount(cmd, c"/".as_ptr(), 2 | 8 | 16));
    name!(t, row, sandbox_cmd_overlay_ro, "no command", EFAULT, || sandbox_cmd_overlay_ro(null_mut(), [at, at, null()].as_ptr(), at).into());
    name!(t, setter, sandbox_cmd_overlay_ro, "NULL for lowers", EFAULT, |cmd| sandbox_cmd_overlay_ro(cmd, null(), at));
    name!(t, setter, sandbox_cmd_overlay_ro, "one lower", EINVAL, |cmd| sandbox_cmd_overlay_ro(cmd, [at, null()].as_ptr(), at));
    name!(t, setter, sandbox_cmd_overlay_ro, "two", 0, |cmd| sandbox_cmd_overlay_ro(cmd, [at, at, null()].as_ptr(), at));
    name!(t, setter, sandbox_cmd_overlay, "no lowers", EINVAL, |cmd| sandbox_cmd_overlay(cmd, [null()].as_ptr(), null(), null(), at));
    name!(t, setter, sandbox_cmd_overlay, "NULL for lowers", EFAULT, |cmd| sandbox_cmd_overlay(cmd, null(), null(), null(), at));
    let many: Vec<*const c_char> = std::iter::repeat_n(at, 5000).chain([null()]).collect();
    name!(t, setter, sandbox_cmd_overlay, "too many lowers", EINVAL, |cmd| sandbox_cmd_overlay(cmd, many.as_ptr(), null(), null(), at));
    name!(t, setter, sandbox_cmd_overlay, "no work", EINVAL, |cmd| sandbox_cmd_overlay(cmd, [at, null()].as_ptr(), at, null(), at));
    name!(t, setter, sandbox_cmd_overlay, "no upper", EINVAL, |cmd| sandbox_cmd_overlay(cmd, [at, null()].as_ptr(), null(), at, at));
    name!(t, setter, sandbox_cmd_dir, "ten thousand and one", E2BIG, |cmd| (0..=10_000).map(|_| sandbox_cmd_dir(cmd, at, 0)).find(|code| *code < 0).unwrap_or(0));
    for number in NUMBERS {
        let expected = if unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 } { 0 } else { EBADF }; // SAFETY: a number
        name!(t, setter, sandbox_cmd_bind_fd, &format!("fd {number}"), expected, |cmd| sandbox_cmd_bind_fd(cmd, number, at, 0));
    }
}
