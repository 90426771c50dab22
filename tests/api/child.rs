//! A running child, and what can be asked without one: stages, features, the version.

use super::*;

pub fn rows(t: &mut Table) {
    let mut room = [0xaau8; 512];
    name!(t, row, sandbox_child_pid, "NULL", EFAULT, || sandbox_child_pid(null()).into());
    name!(t, row, sandbox_child_fds, "NULL", EFAULT, || sandbox_child_fds(null(), null_mut(), 0).into());
    name!(t, row, sandbox_child_take_fd, "NULL", EFAULT, || sandbox_child_take_fd(null_mut(), 0).into());
    name!(t, row, sandbox_child_wait, "NULL", EFAULT, || sandbox_child_wait(null_mut(), 0, null_mut(), 0).into());
    name!(t, row, sandbox_child_wait_exec, "NULL", EFAULT, || sandbox_child_wait_exec(null_mut(), 0, null_mut()).into());
    name!(t, row, sandbox_child_kill, "NULL", EFAULT, || sandbox_child_kill(null_mut(), 9).into());
    name!(t, row, sandbox_child_detach, "NULL", EFAULT, || sandbox_child_detach(null_mut()).into());
    name!(t, row, sandbox_child_free, "NULL", 0, || { sandbox_child_free(null_mut()); 0 });
    name!(t, child, sandbox_child_pid, "a child", 1, |child| (sandbox_child_pid(child) > 1).into());
    name!(t, child, sandbox_child_fds, "NULL with a size", EFAULT, |child| sandbox_child_fds(child, null_mut(), 4).into());
    name!(t, child, sandbox_child_fds, "NULL with an endless size", EFAULT, |child| sandbox_child_fds(child, null_mut(), usize::MAX).into());
    name!(t, child, sandbox_child_wait, "NULL with a size", EFAULT, |child| sandbox_child_wait(child, 0, null_mut(), 4).into());
    let at = room.as_mut_ptr();
    for size in [4097, 1 << 32, usize::MAX / 2, usize::MAX] {
        name!(t, child, sandbox_child_fds, &format!("{size} bytes"), EINVAL, |child| sandbox_child_fds(child, at.cast(), size).into());
        name!(t, child, sandbox_child_wait, &format!("{size} bytes"), EINVAL, |child| {
            sandbox_child_kill(child, 9);
            sandbox_child_wait(child, -1, at.cast(), size).into()
        });
    }
    for size in [0, 1, 3, 4, 27, 28, 29, 72, 73, 80, 88, 200, 511] {
        let filled = |call: &dyn Fn(*mut u8) -> c_int, own: usize| {
            let mut room = [0xaau8; 512];
            let code = call(room.as_mut_ptr());
            assert!(room[size..].iter().all(|byte| *byte == 0xaa), "wrote behind {size} bytes");
            assert!(size <= own || room[own..size].iter().all(|byte| *byte == 0), "did not zero up to {size} bytes");
            i64::from(code)
        };
        name!(t, child, sandbox_child_fds, &format!("{size} bytes"), 0, |child| filled(&|to| sandbox_child_fds(child, to.cast(), size), 28));
        name!(t, child, sandbox_child_wait, &format!("{size} bytes"), 0, |child| {
            sandbox_child_kill(child, 9);
            filled(&|to| sandbox_child_wait(child, -1, to.cast(), size), 72)
        });
    }
    for (timeout, expected) in [(i64::MIN, EINVAL), (-2, EINVAL), (0, ETIMEDOUT), (1, ETIMEDOUT)] {
        name!(t, child, sandbox_child_wait, &format!("timeout {timeout}"), expected, |child| sandbox_child_wait(child, timeout, null_mut(), 0).into());
    }
    for timeout in [-1, 0, i64::MAX] {
        name!(t, child, sandbox_child_wait, &format!("ended, timeout {timeout}"), 0, |child| {
            sandbox_child_kill(child, 9);
            assert_eq!(sandbox_child_wait(child, i64::MAX, null_mut(), 0), 0);
            sandbox_child_wait(child, timeout, null_mut(), 0).into()
        });
    }
    for (timeout, expected) in [(i64::MIN, EINVAL), (-2, EINVAL), (-1, 0), (0, 0), (i64::MAX, 0)] {
        name!(t, child, sandbox_child_wait_exec, &format!("timeout {timeout}"), expected, |child| sandbox_child_wait_exec(child, timeout, null_mut()).into());
    }
    for signal in [i32::MIN, -1, 65, 1000, i32::MAX] {
        name!(t, child, sandbox_child_kill, &format!("signal {signal}"), EINVAL, |child| sandbox_child_kill(child, signal).into());
    }
    for signal in [0, 1, 9, 19, 64] {
        name!(t, child, sandbox_child_kill, &format!("signal {signal}"), 0, |child| sandbox_child_kill(child, signal).into());
    }
    name!(t, child, sandbox_child_kill, "ended", ESRCH, |child| {
        sandbox_child_kill(child, 9);
        sandbox_child_wait(child, -1, null_mut(), 0);
        sandbox_child_kill(child, 9).into()
    });
    for (which, expected) in [(1, EBADF), (2, EBADF), (4, EBADF), (5, EBADF), (6, EBADF), (7, EINVAL), (8, EINVAL), (1 << 31, EINVAL), (u32::MAX, EINVAL)] {
        name!(t, child, sandbox_child_take_fd, &format!("fd {which}"), expected, |child| sandbox_child_take_fd(child, which).into());
    }
    for which in [0, 3] {
        name!(t, child, sandbox_child_take_fd, &format!("fd {which}, twice"), EBADF, |child| {
            let taken = sandbox_child_take_fd(child, which);
            assert!(taken > 2);
            // SAFETY: ours now.
            unsafe { libc::close(taken) };
            sandbox_child_take_fd(child, which).into()
        });
    }
    name!(t, child, sandbox_child_detach, "twice", 0, |child| {
        let code = sandbox_child_detach(child) + sandbox_child_detach(child);
        sandbox_child_kill(child, 9);
        sandbox_child_wait(child, -1, null_mut(), 0);
        code.into()
    });
    for stage in [0, 26, 27, 1000, 1 << 31, u32::MAX] {
        name!(t, row, sandbox_stage_name, &format!("stage {stage}"), 1, || (!text_of(sandbox_stage_name(stage)).is_empty()).into());
    }
    let at: *mut u8 = room.as_mut_ptr();
    for (size, expected) in [(1, EFAULT), (usize::MAX, EFAULT)] {
        name!(t, row, sandbox_probe, &format!("NULL, {size} bytes"), expected, || sandbox_probe(null_mut(), size).into());
    }
    for (size, expected) in [(0, 0), (1, 0), (500, 0), (4097, EINVAL), (usize::MAX, EINVAL)] {
        name!(t, row, sandbox_probe, &format!("{size} bytes"), expected, || sandbox_probe(at.cast(), size).into());
    }
    name!(t, row, sandbox_version, "the version", 1, || (!text_of(sandbox_version()).is_empty()).into());
}
