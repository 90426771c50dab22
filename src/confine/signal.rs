//! Signal dispositions and the mask.

use crate::cmd::Cmd;
use crate::error::{Result, Stage};
use crate::options::Opt;
use crate::plan::{Arg, Builder};
use sandbox_child::plan::Code;

/// First: no handler of the host's runs in the child (all signals are blocked anyway), no ignored one stays ignored.
pub fn reset(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if cmd.options.is_on(Opt::SANDBOX_OPT_RESET_SIGNALS) {
        plan.op(Stage::SANDBOX_STAGE_SIGNAL, 0, Code::ResetSignals, [0; 3], "every signal to its default disposition");
    }
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
