//! oom_score_adj. The kernel gives it to every process that shares the memory: so it is written once the child has
//! left its host's.

use crate::cmd::Cmd;
use crate::error::{Result, Stage};
use crate::options::Opt;
use crate::plan::{Arg, Builder};

pub fn is_asked(cmd: &Cmd) -> bool {
    cmd.options.get(Opt::SANDBOX_OPT_OOM_SCORE_ADJ).is_some()
}

/// By the host's /proc, which the child's root may lack; the file stays the child's across the trampoline's exec.
pub fn open(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if plan.plan().shut_out { Ok(()) } else { open_here(cmd, plan) }
}

/// While the memory is the host's, the file is root's then; and there is no new root yet.
pub fn open_late(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if plan.plan().shut_out { open_here(cmd, plan) } else { Ok(()) }
}

fn open_here(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if is_asked(cmd) {
        let path = plan.string(c"/proc/self/oom_score_adj");
        let slot = plan.op_slot()?;
        plan.open_file = Some(slot);
        plan.call(Stage::SANDBOX_STAGE_PROCESS, 0, libc::SYS_openat,
            &[(libc::AT_FDCWD as i64).into(), Arg::Data(path), Arg::Value((libc::O_WRONLY | libc::O_CLOEXEC) as u64)],
            "open /proc/self/oom_score_adj").out = slot;
    }
    Ok(())
}

pub fn write(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if let (Some(score), Some(slot)) = (cmd.options.get(Opt::SANDBOX_OPT_OOM_SCORE_ADJ), plan.open_file.take()) {
        let score = score.cast_signed().to_string();
        let text = plan.data(score.as_bytes());
        plan.call(Stage::SANDBOX_STAGE_PROCESS, 0, libc::SYS_write, &[Arg::Slot(slot), Arg::Data(text), Arg::Value(score.len() as u64)],
            format_args!("oom_score_adj {score}"));
        plan.call(Stage::SANDBOX_STAGE_PROCESS, 0, libc::SYS_close, &[Arg::Slot(slot)], "close it");
        plan.op(Stage::SANDBOX_STAGE_PROCESS, 0, sandbox_child::plan::Code::Forget, [slot.into(), 0, 0], "forget it");
    }
    Ok(())
}
