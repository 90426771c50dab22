//! The gate: where the child stands while its host looks at it.

use crate::cmd::Cmd;
use crate::error::{Result, Stage};
use crate::plan::{Builder, Role};
use sandbox_child::plan::{Code, gate};

/// Of a pool's child the host looks when it is to run.
pub fn ready(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if cmd.on_ready.is_some() && plan.role() != Role::Held {
        plan.op(Stage::SANDBOX_STAGE_GATE, 0, Code::Gate, [gate::READY.into(), 0, 0], "held at the gate for the caller's on_ready");
    }
    Ok(())
}
