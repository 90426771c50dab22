//! For this crate's own tests: faults injected into a plan. Nothing of it is in the C interface.

use crate::capi::child;
use crate::capi::cmd::sandbox_cmd;
use crate::error::Error;
use crate::launch::{self, Held};
use crate::plan::Plan;
use crate::process::Child;
use crate::streams::Streams;
use sandbox_child::plan::{Code, NONE, Op, gate};
use std::os::fd::RawFd;
use std::sync::Arc;

/// A compiled plan to break; of a pool's child, both halves of it.
pub struct Broken<'a> {
    cmd: &'a sandbox_cmd,
    plans: Vec<Plan>,
}

/// What a test sees of an error: errno, stage, index, message.
pub type Seen = (i32, u32, u32, String);

fn seen(error: Error) -> Seen {
    (error.errno, error.stage, error.index, error.message.clone())
}

impl<'a> Broken<'a> {
    pub fn new(cmd: &'a sandbox_cmd) -> Result<Self, Seen> {
        Ok(Broken { cmd, plans: vec![Plan::compile(&cmd.0).map_err(seen)?] })
    }

    /// What a pool makes of the command.
    pub fn pooled(cmd: &'a sandbox_cmd) -> Result<Self, Seen> {
        let held = Plan::compile_held(&cmd.0).map_err(seen)?;
        let run = Plan::compile_run(&cmd.0, &held).map_err(seen)?;
        Ok(Broken { cmd, plans: vec![held, run] })
    }

    pub fn len(&self) -> usize {
        self.plans.iter().map(|plan| plan.ops.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The plan that op `position` is in, and where.
    fn find(&self, mut position: usize) -> Option<(usize, usize)> {
        for (which, plan) in self.plans.iter().enumerate() {
            if position < plan.ops.len() {
                return Some((which, position));
            }
            position -= plan.ops.len();
        }
        None
    }

    fn at(&self, position: usize) -> Option<(&Op, &String)> {
        let (which, position) = self.find(position)?;
        let plan = self.plans.get(which)?;
        Some((plan.ops.get(position)?, plan.texts.get(position)?))
    }

    /// Stage, index and text of op `position`.
    pub fn op(&self, position: usize) -> Option<(u32, u32, &str)> {
        self.at(position).map(|(op, text)| (op.stage, op.index, text.as_str()))
    }

    pub fn code(&self, position: usize) -> Option<Code> {
        self.at(position).map(|(op, _)| op.code)
    }

    /// Whether op `position` may be left out where the kernel lacks it.
    pub fn is_optional(&self, position: usize) -> bool {
        self.at(position).is_some_and(|(op, _)| op.optional != NONE)
    }

    /// Op `position` fails with `errno` instead of running.
    pub fn fail(&mut self, position: usize, errno: i32) {
        let Some((which, position)) = self.find(position) else { return };
        if let Some(op) = self.plans.get_mut(which).and_then(|plan| plan.ops.get_mut(position)) {
            op.code = Code::Fail;
            op.args = [errno.unsigned_abs().into(), 0, 0, 0, 0, 0];
        }
    }

    /// The child stops before op `position`: an op of the same stage and index is put before it.
    pub fn pause(&mut self, position: usize) {
        let Some((op, text)) = self.at(position) else { return };
        let (mut stop, text) = (*op, text.clone());
        stop.code = Code::Gate;
        (stop.out, stop.optional) = (NONE, NONE);
        stop.args = [gate::PAUSED.into(), 0, 0, 0, 0, 0];
        let Some((which, position)) = self.find(position) else { return };
        if let Some(plan) = self.plans.get_mut(which) {
            plan.ops.insert(position, stop);
            plan.texts.insert(position, text);
        }
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
        let plan = |which: usize| Arc::new(self.plans[which].clone());
        if self.plans.len() == 1 {
            return launch::spawn_with(&self.cmd.0, plan(0), &mut at_gate).map(Spawned).map_err(seen);
        }
        let held = Held::new(plan(0), [ROOM; 2], &mut at_gate).map_err(seen)?;
        let streams = Streams::prepare(&self.cmd.0).map_err(seen)?;
        held.run(&self.cmd.0, plan(1), streams, &mut at_gate).map(Spawned).map_err(|lost| seen(lost.error))
    }
}

/// Less than a run takes: it must grow.
const ROOM: usize = 4096;

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
    pub use crate::seccomp::range::Kind;
}
