//! Memory-deny-write-execute. It is a property of the address space, inherited by exec: set in the child's own.

use crate::cmd::Cmd;
use crate::error::{Result, Stage};
use crate::options::{Opt, sandbox_left_out};
use crate::plan::{Arg, Builder};

const PR_SET_MDWE: u64 = 65;
const PR_MDWE_REFUSE_EXEC_GAIN: u64 = 1;

pub fn is_asked(cmd: &Cmd) -> bool {
    cmd.options.is_on(Opt::SANDBOX_OPT_MDWE)
}

pub fn deny_write_execute(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if is_asked(cmd) {
        let args = [PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0].map(Arg::Value);
        let op = plan.call(Stage::SANDBOX_STAGE_PROCESS, 2, libc::SYS_prctl, &args, "memory-deny-write-execute");
        if cmd.options.is_on(Opt::SANDBOX_OPT_ALLOW_NO_MDWE) {
            op.optional = sandbox_left_out::SANDBOX_LEFT_OUT_MDWE.bit();
        }
    }
    Ok(())
}
