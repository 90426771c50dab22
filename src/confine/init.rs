//! The init that stays behind: the trampoline's program as the parent of what the caller asked for.

use crate::cmd::Cmd;
use crate::error::{Error, Result, Stage};
use crate::options::Opt;
use crate::plan::{Builder, Source};
use sandbox_child::plan::Code;

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

pub fn split(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if is_asked(cmd) {
        plan.slot(Source::Host)?;
        plan.op(Stage::SANDBOX_STAGE_INIT, 0, Code::Init, [0; 3], "the init stays behind; the program gets a process of its own");
    }
    Ok(())
}
