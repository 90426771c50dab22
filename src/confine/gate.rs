//! The gate: where the child stands while its host looks at it.

use crate::cmd::Cmd;
use crate::confine::namespace::Ns;
use crate::error::{Result, Stage};
use crate::plan::{Builder, Role};
use sandbox_child::plan::{Code, gate};

/// Of a pool's child the host looks when it is to run.
pub fn ready(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let is_early = plan.role() == Role::Run || (plan.role() == Role::Whole && !is_late(cmd, plan));
    hold(cmd, plan, is_early)
}

pub fn ready_late(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let is_here = plan.role() == Role::Whole && is_late(cmd, plan);
    hold(cmd, plan, is_here)
}

fn is_late(cmd: &Cmd, plan: &mut Builder) -> bool {
    cmd.joined.has(Ns::SANDBOX_NS_PID) || plan.plan().late != 0
}

fn hold(cmd: &Cmd, plan: &mut Builder, is_here: bool) -> Result<()> {
    if is_here && cmd.on_ready.is_some() {
        plan.op(Stage::SANDBOX_STAGE_GATE, 0, Code::Gate, [gate::READY.into(), 0, 0], "held at the gate for the caller's on_ready");
    }
    Ok(())
}
