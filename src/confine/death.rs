//! The death signal: the child ends with its host.

use crate::cmd::Cmd;
use crate::confine::init;
use crate::error::{Result, Stage};
use crate::options::Opt;
use crate::plan::Builder;
use sandbox_child::plan::Code;

/// 0 where there is none, or where an init watches the host instead.
pub fn signal(cmd: &Cmd) -> i32 {
    if init::is_asked(cmd) {
        return 0;
    }
    cmd.options.get(Opt::SANDBOX_OPT_DEATH_SIGNAL).and_then(|signal| i32::try_from(signal).ok()).unwrap_or(0)
}

pub fn arm(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    op(cmd, plan, 2, "when the host dies")
}

/// The kernel clears it at a change of identity, which never happens in the host's memory. An init's program dies with
/// its init, which looks for the host itself.
pub fn rearm(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if init::is_asked(cmd) && cmd.identity.ids.is_some() {
        let args = [libc::SIGKILL as u64, 0, 0];
        plan.op(Stage::SANDBOX_STAGE_SIGNAL, 3, Code::DeathSignal, args, "SIGKILL when the init dies (once more: a change of identity clears it)");
    }
    let is_in_hosts_memory = plan.is_before_border() && !plan.plan().copies_memory;
    if is_in_hosts_memory { Ok(()) } else { op(cmd, plan, 3, "when the host dies (once more: a change of identity clears it)") }
}

fn op(cmd: &Cmd, plan: &mut Builder, index: usize, when: &str) -> Result<()> {
    let signal = signal(cmd);
    if signal != 0 {
        plan.op(Stage::SANDBOX_STAGE_SIGNAL, index, Code::DeathSignal, [signal as u64, 0, 0], format_args!("signal {signal} {when}"));
    }
    Ok(())
}
