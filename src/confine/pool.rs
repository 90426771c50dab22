//! A pool's children: the plan in two halves, what is done ahead and what belongs to one run.

use crate::block::Image;
use crate::cmd::Cmd;
use crate::error::{Error, Result, Stage};
use crate::options::Opt;
use crate::plan::{Builder, Source};
use sandbox_child::plan::Code;

const STAGE: Stage = Stage::SANDBOX_STAGE_GATE;

/// Whole pages of any size: so a run's block lies behind that of the held child.
pub fn whole_pages(length: usize) -> usize {
    length.next_multiple_of(64 << 10)
}

/// What a child set up ahead can't be given any more, or not from its host as that is at the run.
pub fn check(cmd: &Cmd) -> Result<()> {
    let refused = |stage, what| Err(Error::new(stage, 0, libc::EINVAL, what));
    if cmd.pre_exec.is_some() {
        return refused(Stage::SANDBOX_STAGE_CALLBACK, "pre_exec in a pool, whose children have left the host's memory");
    }
    if !cmd.options.is_on(Opt::SANDBOX_OPT_CLOSE_FDS) {
        return refused(Stage::SANDBOX_STAGE_FD, "CLOSE_FDS off in a pool, whose children hold no fd of the host's");
    }
    if !cmd.options.is_on(Opt::SANDBOX_OPT_RESET_SIGNALS) {
        return refused(Stage::SANDBOX_STAGE_SIGNAL, "RESET_SIGNALS off in a pool, whose children are no copy of the calling thread");
    }
    Ok(())
}

/// The end of what is done ahead.
pub fn hold(plan: &mut Builder) -> Result<()> {
    let (control, memory) = (plan.slot(Source::Control)?, plan.slot(Source::Memory)?);
    plan.slot(Source::Host)?;
    plan.op(STAGE, 0, Code::Hold, [control.into(), memory.into(), 0], "held for its run");
    // There is no environment here, nor any other thing that changes from one child to the next.
    plan.plan().exec.env_clear = true;
    let length = whole_pages(Image::new(plan.plan()).length(plan.plan()));
    plan.plan().run_offset = length;
    if let Some(hold) = plan.plan().ops.last_mut() {
        hold.args[2] = length as u64;
    }
    Ok(())
}

/// The beginning of a run.
pub fn receive(plan: &mut Builder) -> Result<()> {
    let control = plan.slot(Source::Control)?;
    plan.slot(Source::Host)?;
    plan.op(STAGE, 0, Code::Receive, [control.into(), 0, 0], "the run's fds, through the pool's socket");
    Ok(())
}
