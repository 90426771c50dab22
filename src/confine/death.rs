//! The death signal: the child ends with its host.

use crate::cmd::Cmd;
use crate::confine::{identity, init};
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

/// SIGKILL is the kernel's to deliver at once. Any other would stay pending, and is not to be taken for one that was
/// sent to a pool's child while it was held: it is armed when the run is there, and the host looked for.
pub fn is_rearmed_late(cmd: &Cmd) -> bool {
    ![0, libc::SIGKILL].contains(&signal(cmd))
}

/// The kernel clears it at a change of identity, which never happens in the host's memory. An init's program dies with
/// its init, which looks for the host itself.
pub fn rearm(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let is_ahead = plan.ahead().is_most && !is_rearmed_late(cmd);
    let is_in_hosts_memory = plan.is_before_border() && !plan.plan().copies_memory;
    if !plan.is_due(is_ahead) {
        return Ok(());
    }
    if init::is_asked(cmd) && identity::ids(cmd).is_some() {
        let args = [libc::SIGKILL as u64, 0, 0];
        plan.op(Stage::SANDBOX_STAGE_SIGNAL, 3, Code::DeathSignal, args, "SIGKILL when the init dies (once more: a change of identity clears it)");
    }
    if is_in_hosts_memory { Ok(()) } else { op(cmd, plan, 3, "when the host dies (once more: a change of identity clears it)") }
}

fn op(cmd: &Cmd, plan: &mut Builder, index: usize, when: &str) -> Result<()> {
    let signal = signal(cmd);
    if signal != 0 {
        plan.op(Stage::SANDBOX_STAGE_SIGNAL, index, Code::DeathSignal, [signal as u64, 0, 0], format_args!("signal {signal} {when}"));
    }
    Ok(())
}
