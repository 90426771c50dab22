//! ptrace: the child stands at a gate while the calling thread seizes it. Late, so that an exec of the library's own
//! (the trampoline's) is no stop of the tracer's; the first is PTRACE_EVENT_EXEC.

use crate::cmd::Cmd;
use crate::confine::init;
use crate::diagnose::{Refused, diagnose};
use crate::error::{Error, Result, Stage};
use crate::plan::Builder;
use sandbox_child::plan::{Code, gate};

pub fn gate(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if cmd.ptrace.is_none() {
        return Ok(());
    }
    let stage = Stage::SANDBOX_STAGE_PTRACE;
    if init::is_asked(cmd) {
        return Err(Error::new(stage, 0, libc::EINVAL, "ptrace with INIT: the program would not be the process that the handle names"));
    }
    plan.op(stage, 0, Code::Gate, [gate::TRACE.into(), 0, 0], "held at the gate for the host's PTRACE_SEIZE");
    Ok(())
}

/// What a refused seize's message adds.
pub fn hint(errno: i32) -> &'static str {
    match errno {
        libc::EPERM => diagnose(&Refused::Trace, errno),
        libc::EIO | libc::EINVAL => "this kernel lacks one of the options",
        _ => "",
    }
}
