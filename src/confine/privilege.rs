//! Securebits and no_new_privs: credentials of the child alone, also in shared memory.

use crate::cmd::Cmd;
use crate::error::{Result, Stage};
use crate::options::Opt;
use crate::plan::{Arg, Builder};

const STAGE: Stage = Stage::SANDBOX_STAGE_CAPABILITY;

pub fn drop(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if let Some(bits) = cmd.options.get(Opt::SANDBOX_OPT_SECUREBITS) {
        plan.call(STAGE, 0, libc::SYS_prctl, &[Arg::Value(libc::PR_SET_SECUREBITS as u64), Arg::Value(bits)], format!("securebits {bits:#x}"));
    }
    if cmd.options.is_on(Opt::SANDBOX_OPT_NO_NEW_PRIVS) {
        let args = [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0].map(Arg::Value);
        plan.call(STAGE, 1, libc::SYS_prctl, &args, "no new privileges");
    }
    Ok(())
}
