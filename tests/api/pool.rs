//! Pools of children that are set up ahead.

use super::*;

pub fn rows(t: &mut Table) {
    let cmd = sandbox_cmd_new(c"/bin/true".as_ptr());
    name!(t, row, sandbox_pool_new, "no command", 0, || sandbox_pool_new(null(), 1) as i64);
    for size in [0, 4097, usize::MAX] {
        name!(t, row, sandbox_pool_new, &format!("{size} children"), 0, || sandbox_pool_new(cmd, size) as i64);
    }
    name!(t, row, sandbox_pool_free, "NULL", 0, || { sandbox_pool_free(null_mut()); 0 });
    name!(t, row, sandbox_pool_free, "one that holds children", 0, || { sandbox_pool_free(sandbox_pool_new(cmd, 2)); 0 });
    name!(t, row, sandbox_pool_refill, "NULL", EFAULT, || sandbox_pool_refill(null_mut(), null_mut()).into());
    let mut child = 8 as *mut sandbox_child;
    let place = &raw mut child;
    name!(t, row, sandbox_pool_spawn, "NULL, NULL, NULL", EFAULT, || sandbox_pool_spawn(null_mut(), null(), null_mut(), null_mut()).into());
    name!(t, row, sandbox_pool_spawn, "no pool", EFAULT, || sandbox_pool_spawn(null_mut(), cmd, place, null_mut()).into());
    assert!(child.is_null());
    let mut of_a_pool = |case: &str, expected: i64, run: &dyn Fn(*mut sandbox_pool, &mut sandbox_error) -> c_int| {
        name!(t, row, sandbox_pool_spawn, case, expected, || {
            let (pool, mut error) = (sandbox_pool_new(cmd, 1), none());
            let code = run(pool, &mut error);
            assert!(code == error.code || (code >= 0 && error.code == 0), "{case}: {code}, {}", error.code);
            sandbox_pool_free(pool);
            code.into()
        });
    };
    let spawn = |pool, run: *const sandbox_cmd, error: *mut sandbox_error| {
        let mut child = 8 as *mut sandbox_child;
        let code = sandbox_pool_spawn(pool, run, &raw mut child, error);
        assert_eq!(code < 0, child.is_null());
        sandbox_child_free(child);
        code
    };
    of_a_pool("no place for the child", EFAULT, &|pool, error| sandbox_pool_spawn(pool, cmd, null_mut(), error));
    of_a_pool("as it is, more than it holds", 0, &|pool, error| spawn(pool, null(), error) + spawn(pool, null(), error));
    of_a_pool("its own command again", 0, &|pool, error| spawn(pool, cmd, error));
    of_a_pool("nothing to refill", 0, &|pool, error| sandbox_pool_refill(pool, error));
    of_a_pool("one to refill", 1, &|pool, error| spawn(pool, null(), error) + sandbox_pool_refill(pool, error));
    of_a_pool("a run with a latched error", EBADF, &|pool, error| {
        let run = sandbox_cmd_new(c"/bin/true".as_ptr());
        sandbox_cmd_exec_fd(run, -1);
        let code = spawn(pool, run, error);
        sandbox_cmd_free(run);
        code
    });
    of_a_pool("a run with an option", EINVAL, &|pool, error| {
        let run = sandbox_cmd_new(c"/bin/true".as_ptr());
        sandbox_cmd_set(run, 8, 0o22);
        let code = spawn(pool, run, error);
        assert!(message(error).contains("sandbox_cmd_set"), "{}", message(error));
        sandbox_cmd_free(run);
        code
    });
    sandbox_cmd_free(cmd);
}
