//! For this crate's own tests: faults injected into a plan. Nothing of it is in the C interface.

use crate::capi::child;
use crate::capi::cmd::sandbox_cmd;
use crate::error::Error;
use crate::launch;
use crate::plan::Plan;
use crate::process::Child;
use sandbox_child::plan::{Code, NONE, gate};
use std::os::fd::RawFd;

/// A compiled plan to break.
pub struct Broken<'a> {
    cmd: &'a sandbox_cmd,
    plan: Plan,
}

/// What a test sees of an error: errno, stage, index, message.
pub type Seen = (i32, u32, u32, String);

fn seen(error: Error) -> Seen {
    (error.errno, error.stage, error.index, error.message)
}

impl<'a> Broken<'a> {
    pub fn new(cmd: &'a sandbox_cmd) -> Result<Self, Seen> {
        Ok(Broken { cmd, plan: Plan::compile(&cmd.0).map_err(seen)? })
    }

    pub fn len(&self) -> usize {
        self.plan.ops.len()
    }

    pub fn is_empty(&self) -> bool {
        self.plan.ops.is_empty()
    }

    /// Stage, index and text of op `position`.
    pub fn op(&self, position: usize) -> Option<(u32, u32, &str)> {
        let op = self.plan.ops.get(position)?;
        Some((op.stage, op.index, self.plan.texts.get(position)?))
    }

    pub fn code(&self, position: usize) -> Option<Code> {
        self.plan.ops.get(position).map(|op| op.code)
    }

    /// Whether op `position` may be left out where the kernel lacks it.
    pub fn is_optional(&self, position: usize) -> bool {
        self.plan.ops.get(position).is_some_and(|op| op.optional != NONE)
    }

    /// Op `position` fails with `errno` instead of running.
    pub fn fail(&mut self, position: usize, errno: i32) {
        if let Some(op) = self.plan.ops.get_mut(position) {
            op.code = Code::Fail;
            op.args = [errno.unsigned_abs().into(), 0, 0, 0, 0, 0];
        }
    }

    /// The child stops before op `position`: an op of the same stage and index is put before it.
    pub fn pause(&mut self, position: usize) {
        let (Some(op), Some(text)) = (self.plan.ops.get(position), self.plan.texts.get(position)) else { return };
        let mut stop = *op;
        let text = text.clone();
        stop.code = Code::Gate;
        (stop.out, stop.optional) = (NONE, NONE);
        stop.args = [gate::PAUSED.into(), 0, 0, 0, 0, 0];
        self.plan.ops.insert(position, stop);
        self.plan.texts.insert(position, text);
    }

    /// Spawns; `paused` is called with pid and pidfd where the child stops.
    pub fn spawn(&self, paused: &mut dyn FnMut(libc::pid_t, RawFd)) -> Result<Spawned, Seen> {
        let mut at_gate = |gate, pid, pidfd| {
            if gate != gate::PAUSED {
                return launch::at_gate(&self.cmd.0, gate, pid, pidfd);
            }
            paused(pid, pidfd);
            Ok(())
        };
        launch::spawn_with(&self.cmd.0, self.plan.clone().into(), &mut at_gate).map(Spawned).map_err(seen)
    }
}

pub struct Spawned(Child);

impl Spawned {
    /// A handle as sandbox_spawn gives it, for sandbox_child_free.
    pub fn into_handle(self) -> *mut child::sandbox_child {
        Box::into_raw(Box::new(child::sandbox_child(self.0)))
    }
}

/// The BPF verifier and simulator, to be compared with the kernel's and libseccomp's.
pub mod bpf {
    pub use crate::seccomp::act;
    pub use crate::seccomp::bpf::{Call, Instruction, returns, run, strictest, verify};
}
