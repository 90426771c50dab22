//! The session keyring.

use crate::cmd::Cmd;
use crate::error::{Result, Stage};
use crate::options::{Opt, sandbox_left_out};
use crate::plan::{Arg, Builder};

const KEYCTL_JOIN_SESSION_KEYRING: u64 = 1;

pub fn join(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if cmd.options.is_on(Opt::SANDBOX_OPT_NEW_KEYRING) {
        let op = plan.call(Stage::SANDBOX_STAGE_PROCESS, 1, libc::SYS_keyctl, &[Arg::Value(KEYCTL_JOIN_SESSION_KEYRING), Arg::Value(0)],
            "a new session keyring");
        if cmd.options.is_on(Opt::SANDBOX_OPT_ALLOW_NO_KEYRING) {
            op.optional = sandbox_left_out::SANDBOX_LEFT_OUT_KEYRING.bit();
        }
    }
    Ok(())
}
