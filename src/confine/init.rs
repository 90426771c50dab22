//! The init that stays behind: the trampoline's program as the parent of what the caller asked for.

use crate::cmd::Cmd;
use crate::confine::namespace::Ns;
use crate::error::{Error, Result, Stage};
use crate::options::Opt;
use crate::plan::{Arg, Builder, Source};
use sandbox_child::plan::{Code, NONE};

pub fn is_asked(cmd: &Cmd) -> bool {
    cmd.options.is_on(Opt::SANDBOX_OPT_INIT)
}

pub fn check(cmd: &Cmd) -> Result<()> {
    let death = Opt::SANDBOX_OPT_DEATH_SIGNAL;
    if is_asked(cmd) && cmd.options.is_given(death) && cmd.options.get(death) != Some(libc::SIGKILL as u64) {
        return Err(Error::setup(libc::EINVAL, "an init always ends with its host: DEATH_SIGNAL is SIGKILL with INIT"));
    }
    Ok(())
}

/// By the host's /proc, which the child's root may lack. The kernel ends a pid namespace's processes; without one the
/// init does, by this list. In one that was joined the list's numbers would be another's: there it looks for itself.
pub fn open_children(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if is_asked(cmd) && !cmd.has(Ns::SANDBOX_NS_PID) && !cmd.joined.has(Ns::SANDBOX_NS_PID) {
        let path = plan.string(c"/proc/thread-self/children");
        let slot = plan.slot(Source::Op)?;
        plan.children = Some(slot);
        plan.call(Stage::SANDBOX_STAGE_INIT, 0, libc::SYS_openat,
            &[(libc::AT_FDCWD as i64).into(), Arg::Data(path), Arg::Value(libc::O_CLOEXEC as u64)],
            "open the list of the init's children (/proc/thread-self/children), for want of a pid namespace").out = slot;
    }
    Ok(())
}

pub fn split(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if is_asked(cmd) {
        plan.slot(Source::Host)?;
        let children = plan.children.unwrap_or(NONE).into();
        plan.op(Stage::SANDBOX_STAGE_INIT, 0, Code::Init, [0, children, 0], "the init stays behind; the program gets a process of its own");
    }
    Ok(())
}
