//! The command: what to run, and how confined.

use crate::capi::child::sandbox_child;
use crate::capi::error::sandbox_error;
use crate::capi::guard::{PANICKED, code_of, guarded, reported, text_for};
use crate::cmd::{Cmd, Hook, PreExecFn, ReadyFn};
use crate::confine::namespace::Map;
use crate::error::{Error, Result};
use crate::launch;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// A command: a program with its arguments, environment, streams and confinement. Not changed by spawning: one can be
/// spawned many times, from many threads at once. Changing one while another thread uses it is not allowed.
///
/// Setters are sticky: the first that fails is remembered, and sandbox_spawn then refuses with its error.
#[allow(non_camel_case_types)]
pub struct sandbox_cmd(pub(crate) Cmd);

/// A setter: returns the failure that it latches. What it sets is fixed once a pool's child is set up.
pub(crate) fn change<F: FnOnce(&mut Cmd) -> Result<()>>(cmd: *mut sandbox_cmd, change: F) -> c_int {
    change_run(cmd, |cmd| {
        // A closure's type has the name of the function that it stands in.
        let setter = || std::any::type_name::<F>().rsplit("::").find(|name| !name.starts_with('{'));
        cmd.confining = cmd.confining.or_else(setter);
        change(cmd)
    })
}

/// A setter of what each run in a pool can have of its own.
pub(crate) fn change_run(cmd: *mut sandbox_cmd, change: impl FnOnce(&mut Cmd) -> Result<()>) -> c_int {
    guarded(PANICKED, || {
        // SAFETY: NULL, or a handle of sandbox_cmd_new's that no other thread uses now.
        match unsafe { cmd.as_mut() } {
            Some(cmd) => code_of(cmd.0.set(change)),
            None => -libc::EFAULT,
        }
    })
}

/// A new command that runs `program`.
///
/// @param program  A path; or, without a '/', a name to be looked for in the child's PATH, inside the child's root.
///                 Copied. The child looks it up, so a path below /proc/self is about the child (to run the host's own
///                 program again, give what readlink says of /proc/self/exe, or sandbox_cmd_exec_fd).
/// @return A handle to free with sandbox_cmd_free; NULL where `program` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_new(program: *const c_char) -> *mut sandbox_cmd {
    guarded(ptr::null_mut(), || {
        // SAFETY: the caller's string.
        unsafe { text_for(program, "program") }.map_or(ptr::null_mut(), |program| Box::into_raw(Box::new(sandbox_cmd(Cmd::new(program)))))
    })
}

/// A copy of `cmd` as it is now, its latched error included.
///
/// @return A handle to free with sandbox_cmd_free; NULL where `cmd` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_clone(cmd: *const sandbox_cmd) -> *mut sandbox_cmd {
    guarded(ptr::null_mut(), || {
        // SAFETY: NULL, or a handle of sandbox_cmd_new's.
        unsafe { cmd.as_ref() }.map_or(ptr::null_mut(), |cmd| Box::into_raw(Box::new(sandbox_cmd(cmd.0.clone()))))
    })
}

/// Frees a command; NULL does nothing. Its children live on.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_free(cmd: *mut sandbox_cmd) {
    guarded((), || {
        if !cmd.is_null() {
            // SAFETY: a handle of sandbox_cmd_new's, given back once.
            drop(unsafe { Box::from_raw(cmd) });
        }
    });
}

/// The first failure of a setter on this command.
///
/// @param error  Filled with it, or zeroed; NULL allowed.
/// @return Its code; 0 where every setter succeeded; -EFAULT where `cmd` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_error(cmd: *const sandbox_cmd, error: *mut sandbox_error) -> c_int {
    reported(error, || {
        // SAFETY: NULL, or a handle of sandbox_cmd_new's.
        let cmd = unsafe { cmd.as_ref() }.ok_or_else(|| Error::setup(libc::EFAULT, "the command is NULL"))?;
        cmd.0.latched().map_or(Ok(0), |latched| Err(latched.clone()))
    })
}

/// Appends one argument, copied.
///
/// @return 0; -EFAULT: NULL; -E2BIG: longer than execve takes (128 KiB), or too many.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_arg(cmd: *mut sandbox_cmd, arg: *const c_char) -> c_int {
    // SAFETY: the caller's string.
    change_run(cmd, |cmd| cmd.arg(unsafe { text_for(arg, "argument") }?))
}

/// Appends each of `args`, an array ended by NULL.
///
/// @return 0, or the error of the first that failed, as sandbox_cmd_arg.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_args(cmd: *mut sandbox_cmd, args: *const *const c_char) -> c_int {
    change_run(cmd, |cmd| {
        if args.is_null() {
            return Err(Error::setup(libc::EFAULT, "the array of arguments is NULL"));
        }
        let mut next = args;
        // SAFETY: the caller's array of strings, ended by NULL.
        unsafe {
            while !(*next).is_null() {
                cmd.arg(text_for(*next, "argument")?)?;
                next = next.add(1);
            }
        }
        Ok(())
    })
}

/// What the program sees as its own name, argv[0]; not called: `program`.
///
/// @return 0; -EFAULT: NULL; -E2BIG.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_arg0(cmd: *mut sandbox_cmd, arg0: *const c_char) -> c_int {
    // SAFETY: the caller's string.
    change_run(cmd, |cmd| cmd.arg0(unsafe { text_for(arg0, "argument 0") }?))
}

/// Sets an environment variable of the child, on top of the host's environment at the moment of the spawn.
///
/// @param value  NULL: the variable is unset.
/// @return 0; -EFAULT: `name` is NULL; -EINVAL: it is empty or holds '='; -E2BIG.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_env(cmd: *mut sandbox_cmd, name: *const c_char, value: *const c_char) -> c_int {
    change_run(cmd, |cmd| {
        // SAFETY: the caller's strings.
        let name = unsafe { text_for(name, "environment name") }?;
        let value = if value.is_null() { None } else { Some(unsafe { text_for(value, "environment value") }?) };
        cmd.env(name, value)
    })
}

/// Empties the child's environment: nothing of the host's, nothing set on this command so far.
///
/// @return 0; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_env_clear(cmd: *mut sandbox_cmd) -> c_int {
    change_run(cmd, Cmd::env_clear)
}

/// The directory that the program starts in, inside the child's root.
///
/// @return 0; -EFAULT: NULL; -ENAMETOOLONG.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_cwd(cmd: *mut sandbox_cmd, path: *const c_char) -> c_int {
    // SAFETY: the caller's string.
    change_run(cmd, |cmd| cmd.cwd(unsafe { text_for(path, "working directory") }?))
}

/// Executes the file open at `fd` instead of looking for `program`, which then only names it (execveat, AT_EMPTY_PATH).
/// A script can't be executed so: its interpreter would find the fd closed.
///
/// @param fd  Borrowed: the command keeps a duplicate. O_PATH is enough.
/// @return 0; -EBADF; -EMFILE.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_exec_fd(cmd: *mut sandbox_cmd, fd: c_int) -> c_int {
    change_run(cmd, |cmd| cmd.exec_fd(fd))
}

/// Where a standard stream of the child goes. Called again for the same target, the last call holds.
///
/// @param target  0, 1 or 2.
/// @param mode    SANDBOX_STDIO_*.
/// @param fd      With SANDBOX_STDIO_FD the fd to use, borrowed; else not looked at.
/// @return 0; -EINVAL: another target or mode, or one that sandbox_cmd_pass_fd has; -EBADF; -EMFILE.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_stdio(cmd: *mut sandbox_cmd, target: c_int, mode: u32, fd: c_int) -> c_int {
    change_run(cmd, |cmd| cmd.stdio(target, mode, fd))
}

/// Gives the child `fd` as its number `target`. Any overlap, swap or fan-out of numbers works.
///
/// @param fd      Borrowed: the command keeps a duplicate.
/// @param target  The number in the child, from 0, below its host's RLIMIT_NOFILE.
/// @return 0; -EINVAL: a target asked for twice, or below 0; -EBADF; -EMFILE.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_pass_fd(cmd: *mut sandbox_cmd, fd: c_int, target: c_int) -> c_int {
    change_run(cmd, |cmd| cmd.pass_fd(fd, target))
}

/// A resource limit of the child (prlimit64). Set again, the last call holds.
///
/// @param resource  RLIMIT_* of sys/resource.h.
/// @param soft      What is enforced, in the resource's own unit; RLIM_INFINITY: none.
/// @param hard      How far the program may raise it itself. Above the host's own it needs CAP_SYS_RESOURCE.
/// @return 0; -EINVAL: no such resource, or `soft` above `hard`.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_rlimit(cmd: *mut sandbox_cmd, resource: u32, soft: u64, hard: u64) -> c_int {
    change(cmd, |cmd| cmd.rlimit(resource, soft, hard))
}

/// Sets a scalar option.
///
/// @param option  SANDBOX_OPT_*.
/// @param value   In the range that the option's comment names; a negative number is cast to uint64_t.
/// @return 0; -EINVAL: no such option, or a value out of its range.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_set(cmd: *mut sandbox_cmd, option: u32, value: u64) -> c_int {
    change(cmd, |cmd| cmd.option(option, value))
}

/// The CPUs that the child may run on, where SANDBOX_OPT_CPU_AFFINITY's 64 bits do not reach (sched_setaffinity).
///
/// @param mask   `words` words of 64 bits: bit n of word w is CPU 64 w + n. Copied.
/// @param words  1 to 128.
/// @return 0; -EFAULT: NULL; -EINVAL: no bit set, or another number of words.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_cpus(cmd: *mut sandbox_cmd, mask: *const u64, words: usize) -> c_int {
    change(cmd, |cmd| {
        if mask.is_null() {
            return Err(Error::setup(libc::EFAULT, "the CPU mask is NULL"));
        }
        if !(1..=128).contains(&words) {
            return Err(Error::setup(libc::EINVAL, format_args!("a CPU mask of {words} words")));
        }
        // SAFETY: the caller's array.
        cmd.cpus(unsafe { std::slice::from_raw_parts(mask, words) })
    })
}

/// Gives the child namespaces of its own. Without a user namespace this needs CAP_SYS_ADMIN.
///
/// @param namespaces  A sum of SANDBOX_NS_*; several calls add up. In a user namespace with no map given the caller's own
///                    ids are mapped to themselves.
/// @return 0; -EINVAL: an unknown bit; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_unshare(cmd: *mut sandbox_cmd, namespaces: u64) -> c_int {
    change(cmd, |cmd| cmd.unshare(namespaces))
}

/// Maps `count` user ids of the child's user namespace, from `inside`, to those of the host from `outside`. An ordinary
/// user may map its own id alone, and what /etc/subuid grants it: for that newuidmap is run, where it is installed.
///
/// Where sandbox_cmd_user is not called, the program is what the caller's own id is mapped to; where that is not mapped,
/// the first `inside` given, and no longer the caller outside either.
///
/// @return 0; -EINVAL: no id, or a range that runs over; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_map_uid(cmd: *mut sandbox_cmd, inside: u32, outside: u32, count: u32) -> c_int {
    change(cmd, |cmd| cmd.map_uid(Map { inside, outside, count }))
}

/// Maps `count` group ids of the child's user namespace, likewise (/etc/subgid, newgidmap). An ordinary user's child with
/// its own group alone may not call setgroups.
///
/// @return As sandbox_cmd_map_uid.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_map_gid(cmd: *mut sandbox_cmd, inside: u32, outside: u32, count: u32) -> c_int {
    change(cmd, |cmd| cmd.map_gid(Map { inside, outside, count }))
}

/// What a spawn would do, in order, before anything runs: printed from the same list that the child then follows.
///
/// @param buffer  Filled with text, NUL-terminated and cut to `size`; NULL where `size` is 0.
/// @param size    In bytes.
/// @return The full length without the NUL, as snprintf; -EFAULT; or what sandbox_spawn would refuse the command with.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_explain(cmd: *const sandbox_cmd, buffer: *mut c_char, size: usize, error: *mut sandbox_error) -> c_int {
    reported(error, || {
        // SAFETY: NULL, or a handle of sandbox_cmd_new's.
        let cmd = unsafe { cmd.as_ref() }.ok_or_else(|| Error::setup(libc::EFAULT, "the command is NULL"))?;
        if buffer.is_null() && size > 0 {
            return Err(Error::setup(libc::EFAULT, "the buffer is NULL"));
        }
        let text = cmd.0.plan()?.explain(&cmd.0);
        if size > 0 {
            let length = text.len().min(size - 1);
            // SAFETY: the caller's buffer of `size` bytes.
            unsafe {
                ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, length);
                buffer.add(length).write(0);
            }
        }
        c_int::try_from(text.len()).map_err(|_| Error::setup(libc::EOVERFLOW, "the explanation"))
    })
}

/// Called in the thread that spawns, while the child is held: confined by its namespaces, nothing of the program run.
/// `pid` and `pidfd` name it; the pidfd is borrowed. To return less than 0 kills and reaps the child: sandbox_spawn then
/// returns that number, stage SANDBOX_STAGE_CALLBACK.
#[allow(non_camel_case_types)]
pub type sandbox_ready_fn = Option<extern "C" fn(pid: libc::pid_t, pidfd: c_int, userdata: *mut c_void) -> c_int>;

/// Has `fn` called while the child is held at the gate.
///
/// @param fn        NULL: none.
/// @param userdata  Passed on as it is.
/// @return 0; -EFAULT: `cmd` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_on_ready(cmd: *mut sandbox_cmd, r#fn: sandbox_ready_fn, userdata: *mut c_void) -> c_int {
    change(cmd, |cmd| {
        cmd.on_ready = r#fn.map(|function: ReadyFn| Hook { function, userdata });
        Ok(())
    })
}

/// Called in the child, last before exec. To return less than 0 ends the child: sandbox_spawn then returns that number,
/// stage SANDBOX_STAGE_CALLBACK.
#[allow(non_camel_case_types)]
pub type sandbox_pre_exec_fn = Option<extern "C" fn(userdata: *mut c_void) -> c_int>;

/// Has `fn` called in the child, last before exec, with a copy of the host's memory, as after fork: such a spawn takes time
/// that grows with that memory. With SANDBOX_OPT_INIT, and so with a preset, that copy is gone by then: there it is called
/// as soon as the namespaces and mounts are made, in what becomes the init, with the caller's user, rights, streams and
/// directory, and without the command's filters. Other threads' locks are copied as they are, so only async-signal-safe functions may be
/// called (signal-safety(7)); malloc and printf may deadlock.
///
/// @param fn        NULL: none.
/// @param userdata  Passed on as it is; what it points to is the child's copy.
/// @return 0; -EFAULT: `cmd` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_pre_exec(cmd: *mut sandbox_cmd, r#fn: sandbox_pre_exec_fn, userdata: *mut c_void) -> c_int {
    change(cmd, |cmd| {
        cmd.pre_exec = r#fn.map(|function: PreExecFn| Hook { function, userdata });
        Ok(())
    })
}

/// Starts the command, confined. Returns once exec has happened: what fails before is this function's error, never an
/// exit code, and leaves no process, fd or memory behind.
///
/// Takes the same time whatever the host's memory (clone3 with CLONE_VM), from any thread. The child is a copy of the
/// calling thread as to credentials, namespaces and filters; it dies with the process, see SANDBOX_OPT_DEATH_SIGNAL.
/// While a child is in its memory a host with CAP_SYS_PTRACE and CAP_DAC_OVERRIDE is not dumpable (PR_SET_DUMPABLE), so that
/// no process with fewer capabilities gets at it through the child.
///
/// @param child  Set to a handle, to free with sandbox_child_free; to NULL on failure.
/// @param error  Filled on failure, zeroed on success; NULL allowed.
/// @return 0; -EFAULT: a NULL; a setter's latched error; else the errno of the step that `error` names. -ECANCELED: the
///         child was killed before exec. -EPERM with stage SETUP: the host is set-user-ID.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_spawn(cmd: *const sandbox_cmd, child: *mut *mut sandbox_child, error: *mut sandbox_error) -> c_int {
    reported(error, || {
        // SAFETY: NULL, or the caller's pointer.
        let out = unsafe { child.as_mut() }.ok_or_else(|| Error::setup(libc::EFAULT, "the place for the child is NULL"))?;
        *out = ptr::null_mut();
        // SAFETY: NULL, or a handle of sandbox_cmd_new's.
        let cmd = unsafe { cmd.as_ref() }.ok_or_else(|| Error::setup(libc::EFAULT, "the command is NULL"))?;
        let plan = cmd.0.plan()?;
        let spawned = launch::spawn(&cmd.0, plan)?;
        *out = Box::into_raw(Box::new(sandbox_child(spawned)));
        Ok(0)
    })
}

