//! Signal dispositions and the mask.

use crate::cmd::Cmd;
use crate::error::{Result, Stage};
use crate::options::Opt;
use crate::plan::{Arg, Builder};
use sandbox_child::plan::Code;

/// First: no handler of the host's runs in the child (all signals are blocked anyway), no ignored one stays ignored; or
/// those alone do. Where clone3 is missing the clone leaves the handlers, which are in memory that is shared.
pub fn reset(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let keeps_ignored = !cmd.options.is_on(Opt::SANDBOX_OPT_RESET_SIGNALS);
    let text = if keeps_ignored { "every signal with a handler to its default disposition" } else { "every signal to its default disposition" };
    plan.op(Stage::SANDBOX_STAGE_SIGNAL, 0, Code::ResetSignals, [keeps_ignored.into(), 0, 0], text);
    Ok(())
}

/// Last: what is pending is delivered here.
pub fn unblock(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let text;
    let mask = if cmd.options.is_on(Opt::SANDBOX_OPT_RESET_SIGNALS) {
        text = "no signal blocked";
        let empty = plan.data(&0u64.to_ne_bytes());
        Arg::Data(empty)
    } else {
        text = "the calling thread's signal mask";
        Arg::Data(sandbox_child::plan::MASK_OFFSET)
    };
    plan.call(Stage::SANDBOX_STAGE_SIGNAL, 1, libc::SYS_rt_sigprocmask,
        &[Arg::Value(libc::SIG_SETMASK as u64), mask, Arg::Value(0), Arg::Value(8)], text);
    Ok(())
}
