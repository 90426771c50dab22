//! What confines: namespaces, identity, presets, Landlock, cgroups.

use super::*;

pub fn namespaces(t: &mut Table) {
    name!(t, row, sandbox_cmd_unshare, "no command", EFAULT, || sandbox_cmd_unshare(null_mut(), 0).into());
    for (bits, expected) in [(0, 0), (0x7e02_0080, 0), (1, EINVAL), (0x100, EINVAL), (1 << 32, EINVAL), (u64::MAX, EINVAL)] {
        name!(t, setter, sandbox_cmd_unshare, &format!("{bits:#x}"), expected, |cmd| sandbox_cmd_unshare(cmd, bits));
    }
    name!(t, row, sandbox_cmd_map_uid, "no command", EFAULT, || sandbox_cmd_map_uid(null_mut(), 0, 0, 1).into());
    name!(t, row, sandbox_cmd_map_gid, "no command", EFAULT, || sandbox_cmd_map_gid(null_mut(), 0, 0, 1).into());
    for (inside, outside, count, expected) in [(0, 0, 1, 0), (0, 0, 0, EINVAL), (u32::MAX, 0, 1, EINVAL), (0, u32::MAX, 2, EINVAL), (1, 1, u32::MAX, EINVAL)] {
        let case = format!("{inside} {outside} {count}");
        name!(t, setter, sandbox_cmd_map_uid, &case, expected, |cmd| sandbox_cmd_map_uid(cmd, inside, outside, count));
        name!(t, setter, sandbox_cmd_map_gid, &case, expected, |cmd| sandbox_cmd_map_gid(cmd, inside, outside, count));
    }
    let many = |map: extern "C" fn(*mut sandbox_cmd, u32, u32, u32) -> c_int, cmd| (0..1000).map(|id| map(cmd, id, id, 1)).find(|code| *code < 0).unwrap_or(0);
    name!(t, setter, sandbox_cmd_map_uid, "a thousand", EINVAL, |cmd| many(sandbox_cmd_map_uid, cmd));
    name!(t, setter, sandbox_cmd_map_gid, "a thousand", EINVAL, |cmd| many(sandbox_cmd_map_gid, cmd));
}

pub fn identity(t: &mut Table) {
    name!(t, row, sandbox_cmd_caps, "no command", EFAULT, || sandbox_cmd_caps(null_mut(), 0, 0).into());
    for (keep, ambient, expected) in [(0, 0, 0), (u64::MAX, u64::MAX, 0), (6, 2, 0), (2, 6, EINVAL), (0, 1, EINVAL), (1 << 63, u64::MAX, 0), (1 << 63, u64::MAX - 1, EINVAL)] {
        name!(t, setter, sandbox_cmd_caps, &format!("{keep:#x} {ambient:#x}"), expected, |cmd| sandbox_cmd_caps(cmd, keep, ambient));
    }
    name!(t, row, sandbox_cmd_user, "no command", EFAULT, || sandbox_cmd_user(null_mut(), 0, 0).into());
    for (uid, gid, expected) in [(0, 0, 0), (u32::MAX - 1, u32::MAX - 1, 0), (u32::MAX, 0, EINVAL), (0, u32::MAX, EINVAL)] {
        name!(t, setter, sandbox_cmd_user, &format!("{uid} {gid}"), expected, |cmd| sandbox_cmd_user(cmd, uid, gid));
    }
    name!(t, row, sandbox_cmd_groups, "no command", EFAULT, || sandbox_cmd_groups(null_mut(), null(), 0).into());
    let groups = vec![3u32; 65_537];
    for (count, null_gives, expected) in [(0, 0, 0), (1, EFAULT, 0), (65_536, EFAULT, 0), (65_537, EFAULT, EINVAL), (usize::MAX, EFAULT, EINVAL)] {
        name!(t, setter, sandbox_cmd_groups, &format!("{count} groups"), expected, |cmd| sandbox_cmd_groups(cmd, groups.as_ptr(), count));
        name!(t, setter, sandbox_cmd_groups, &format!("NULL, {count} groups"), null_gives, |cmd| sandbox_cmd_groups(cmd, null(), count));
    }
    name!(t, row, sandbox_cmd_join, "no command", EFAULT, || sandbox_cmd_join(null_mut(), 0).into());
    for number in [-1000, -1, 0, 1, 65_536, i32::MAX] {
        let is_open = unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }; // SAFETY: a number
        name!(t, setter, sandbox_cmd_join, &format!("fd {number}"), if is_open { EINVAL } else { EBADF }, |cmd| sandbox_cmd_join(cmd, number));
    }
    let uts = File::open("/proc/self/ns/uts").unwrap();
    name!(t, setter, sandbox_cmd_join, "once", 0, |cmd| sandbox_cmd_join(cmd, uts.as_raw_fd()));
    name!(t, setter, sandbox_cmd_join, "twice", EINVAL, |cmd| sandbox_cmd_join(cmd, uts.as_raw_fd()) + sandbox_cmd_join(cmd, uts.as_raw_fd()));
    name!(t, row, sandbox_cmd_time_offset, "no command", EFAULT, || sandbox_cmd_time_offset(null_mut(), 1, 0, 0).into());
    for (clock, seconds, nanoseconds, expected) in [(1, i64::MIN, 0, 0), (7, i64::MAX, 999_999_999, 0), (7, 0, 1_000_000_000, EINVAL), (0, 0, 0, EINVAL), (u32::MAX, 0, 0, EINVAL)] {
        name!(t, setter, sandbox_cmd_time_offset, &format!("{clock} {seconds} {nanoseconds}"), expected, |cmd| sandbox_cmd_time_offset(cmd, clock, seconds, nanoseconds));
    }
    type Name = extern "C" fn(*mut sandbox_cmd, *const c_char) -> c_int;
    for (function, setter) in [("sandbox_cmd_hostname", sandbox_cmd_hostname as Name), ("sandbox_cmd_domainname", sandbox_cmd_domainname)] {
        t.row(function, "no command", EFAULT, &|| setter(null_mut(), c"a".as_ptr()).into());
        t.setter(function, "NULL", EFAULT, &|cmd| setter(cmd, null()));
        for (case, text) in strings() {
            t.setter(function, case, if text.count_bytes() > 64 { ENAMETOOLONG } else { 0 }, &|cmd| setter(cmd, text.as_ptr()));
        }
    }
    name!(t, setter, sandbox_cmd_groups, "no id", EINVAL, |cmd| sandbox_cmd_groups(cmd, [1, u32::MAX].as_ptr(), 2));
}

pub fn preset(t: &mut Table) {
    name!(t, row, sandbox_cmd_preset, "no command", EFAULT, || sandbox_cmd_preset(null_mut(), 1).into());
    for (number, expected) in [(0, EINVAL), (1, 0), (2, 0), (3, 0), (4, EINVAL), (u32::MAX, EINVAL)] {
        name!(t, setter, sandbox_cmd_preset, &number.to_string(), expected, |cmd| sandbox_cmd_preset(cmd, number));
    }
    name!(t, setter, sandbox_cmd_preset, "twice", EINVAL, |cmd| sandbox_cmd_preset(cmd, 1) + sandbox_cmd_preset(cmd, 1));
}

pub fn landlock(t: &mut Table) {
    name!(t, row, sandbox_cmd_landlock_path, "no command", EFAULT, || sandbox_cmd_landlock_path(null_mut(), c"/".as_ptr(), 4).into());
    name!(t, row, sandbox_cmd_landlock_port, "no command", EFAULT, || sandbox_cmd_landlock_port(null_mut(), 80, 1).into());
    name!(t, row, sandbox_cmd_landlock_scope, "no command", EFAULT, || sandbox_cmd_landlock_scope(null_mut(), 1).into());
    name!(t, setter, sandbox_cmd_landlock_path, "NULL", EFAULT, |cmd| sandbox_cmd_landlock_path(cmd, null(), 4));
    for (case, text) in strings() {
        let expected = if text.count_bytes() > 4095 { ENAMETOOLONG } else { 0 };
        name!(t, setter, sandbox_cmd_landlock_path, case, expected, |cmd| sandbox_cmd_landlock_path(cmd, text.as_ptr(), 4));
    }
    for (access, expected) in [(0, 0), (0xffff, 0), (0x10000, EINVAL), (1 << 32, EINVAL), (u64::MAX, EINVAL)] {
        name!(t, setter, sandbox_cmd_landlock_path, &format!("{access:#x}"), expected, |cmd| sandbox_cmd_landlock_path(cmd, c"/".as_ptr(), access));
    }
    for (bits, expected) in [(0, 0), (3, 0), (4, EINVAL), (1 << 63, EINVAL), (u64::MAX, EINVAL)] {
        name!(t, setter, sandbox_cmd_landlock_port, &format!("{bits:#x}"), expected, |cmd| sandbox_cmd_landlock_port(cmd, 65_535, bits));
        name!(t, setter, sandbox_cmd_landlock_scope, &format!("{bits:#x}"), expected, |cmd| sandbox_cmd_landlock_scope(cmd, bits));
    }
}

pub fn cgroups(t: &mut Table) {
    let (file, value) = (c"pids.max".as_ptr(), c"5".as_ptr());
    name!(t, row, sandbox_cmd_cgroup, "NULL", EFAULT, || sandbox_cmd_cgroup(null_mut(), null()).into());
    name!(t, row, sandbox_cmd_cgroup_set, "NULL", EFAULT, || sandbox_cmd_cgroup_set(null_mut(), file, value).into());
    name!(t, setter, sandbox_cmd_cgroup, "found by itself", 0, |cmd| sandbox_cmd_cgroup(cmd, null()));
    name!(t, setter, sandbox_cmd_cgroup_set, "no file", EFAULT, |cmd| sandbox_cmd_cgroup_set(cmd, null(), value));
    name!(t, setter, sandbox_cmd_cgroup_set, "no value", EFAULT, |cmd| sandbox_cmd_cgroup_set(cmd, file, null()));
    name!(t, setter, sandbox_cmd_cgroup_set, "too many", E2BIG, |cmd| (0..100_000).map(|_| sandbox_cmd_cgroup_set(cmd, file, value)).find(|code| *code < 0).unwrap_or(0));
    for (case, text) in strings() {
        let path = if text.is_empty() { -i64::from(libc::ENOENT) } else if text.count_bytes() > 4095 { ENAMETOOLONG } else { 0 };
        name!(t, setter, sandbox_cmd_cgroup, case, path, |cmd| sandbox_cmd_cgroup(cmd, text.as_ptr()));
        name!(t, setter, sandbox_cmd_cgroup_set, &format!("file: {case}"), EINVAL, |cmd| sandbox_cmd_cgroup_set(cmd, text.as_ptr(), value));
        let size = if text.count_bytes() > 4094 { E2BIG } else { 0 };
        name!(t, setter, sandbox_cmd_cgroup_set, &format!("value: {case}"), size, |cmd| sandbox_cmd_cgroup_set(cmd, file, text.as_ptr()));
    }
    const ENOTSUP: i64 = -(libc::ENOTSUP as i64);
    name!(t, row, sandbox_child_freeze, "NULL", EFAULT, || sandbox_child_freeze(null_mut(), 1).into());
    name!(t, row, sandbox_child_kill_all, "NULL", EFAULT, || sandbox_child_kill_all(null_mut()).into());
    name!(t, child, sandbox_child_kill_all, "a child without a cgroup", ENOTSUP, |child| sandbox_child_kill_all(child).into());
    for (on, expected) in [(0, ENOTSUP), (1, ENOTSUP), (2, EINVAL), (-1, EINVAL), (c_int::MAX, EINVAL), (c_int::MIN, EINVAL)] {
        name!(t, child, sandbox_child_freeze, &format!("{on}, without a cgroup"), expected, |child| sandbox_child_freeze(child, on).into());
    }
}
