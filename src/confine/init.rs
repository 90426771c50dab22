//! The init that stays behind: the trampoline's program as the parent of what the caller asked for.

use crate::cmd::Cmd;
use crate::confine::namespace::Ns;
use crate::error::{Error, Result, Stage, quoted};
use crate::options::Opt;
use crate::plan::{Arg, Builder, Role, Source};
use sandbox_child::plan::{Code, NONE};
use std::os::fd::AsRawFd;

pub fn is_asked(cmd: &Cmd) -> bool {
    cmd.options.is_on(Opt::SANDBOX_OPT_INIT)
}

/// It goes on until all that the program leaves running has ended.
pub fn lingers(cmd: &Cmd) -> bool {
    cmd.options.get(Opt::SANDBOX_OPT_INIT) == Some(2)
}

pub fn outlives_host(cmd: &Cmd) -> bool {
    lingers(cmd) && cmd.options.get(Opt::SANDBOX_OPT_DEATH_SIGNAL) == Some(0)
}

pub fn check(cmd: &Cmd) -> Result<()> {
    let death = Opt::SANDBOX_OPT_DEATH_SIGNAL;
    let signal = cmd.options.get(death);
    if is_asked(cmd) && cmd.options.is_given(death) && signal != Some(libc::SIGKILL as u64) && !(lingers(cmd) && signal == Some(0)) {
        return Err(Error::setup(libc::EINVAL, "an init ends with its host: with INIT 1 DEATH_SIGNAL is SIGKILL, with 2 it may be 0"));
    }
    if !is_asked(cmd) && !(cmd.init_fds.is_empty() && cmd.init_locks.is_empty()) {
        return Err(Error::new(Stage::SANDBOX_STAGE_INIT, 1, libc::EINVAL, "something for an init to hold, without INIT"));
    }
    Ok(())
}

/// By the host's /proc, which the child's root may lack. The kernel ends a pid namespace's processes; without one the
/// init does, by this list. In one that was joined the list's numbers would be another's: there it looks for itself.
pub fn open_children(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if is_asked(cmd) && !lingers(cmd) && !cmd.has(Ns::SANDBOX_NS_PID) && !cmd.joined.has(Ns::SANDBOX_NS_PID) {
        let path = plan.string(c"/proc/thread-self/children");
        let slot = plan.op_slot()?;
        plan.children = Some(slot);
        plan.call(Stage::SANDBOX_STAGE_INIT, 0, libc::SYS_openat,
            &[(libc::AT_FDCWD as i64).into(), Arg::Data(path), Arg::Value(libc::O_CLOEXEC as u64)],
            "open the list of the init's children (/proc/thread-self/children), for want of a pid namespace").out = slot;
    }
    Ok(())
}

pub fn split(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if is_asked(cmd) {
        if outlives_host(cmd) && plan.role() != Role::Whole {
            return Err(Error::setup(libc::EINVAL, "INIT 2 with a DEATH_SIGNAL of 0, which outlives its host, in a pool, which does not"));
        }
        plan.slot(Source::Host)?;
        let children = plan.children.unwrap_or(NONE).into();
        let held = held(cmd, plan)?;
        plan.op(Stage::SANDBOX_STAGE_INIT, 0, Code::Init, [0, children, held], "the init stays behind; the program gets a process of its own");
    }
    Ok(())
}

/// Opens and locks what the init holds; gives where the list of the slots lies. The lock is the open file's: a process's
/// own would go with any other fd of that file, an inherited one say, when the init closes that.
fn held(cmd: &Cmd, plan: &mut Builder) -> Result<u64> {
    const STAGE: Stage = Stage::SANDBOX_STAGE_INIT;
    let mut slots = vec![(cmd.init_fds.len() + cmd.init_locks.len()) as u32];
    for fd in &cmd.init_fds {
        slots.push(plan.slot(Source::Command(fd.as_raw_fd()))?.into());
    }
    for (index, path) in cmd.init_locks.iter().enumerate() {
        // struct flock: type and whence, 16 bits each; then start, length, pid: a shared lock of all of it
        let lock = plan.numbers(&[libc::F_RDLCK as u64, 0, 0, 0]);
        let at = plan.string(path);
        let slot = plan.op_slot()?;
        let args = [(libc::AT_FDCWD as i64).into(), Arg::Data(at), Arg::Value((libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC) as u64)];
        plan.call(STAGE, index + 1, libc::SYS_openat, &args, format_args!("open {} to lock it", quoted(path))).out = slot;
        let args = [Arg::Slot(slot), Arg::Value(libc::F_OFD_SETLK as u64), Arg::Data(lock)];
        plan.call(STAGE, index + 1, libc::SYS_fcntl, &args, format_args!("lock {}", quoted(path)));
        slots.push(slot.into());
    }
    Ok(if slots.len() > 1 { plan.numbers(&slots).into() } else { 0 })
}
