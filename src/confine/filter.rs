//! Seccomp filters: loaded last, the one that notifies last of all, its listener handed to the host.

use crate::cmd::Cmd;
use crate::error::{Result, Stage};
use crate::plan::{Arg, Builder, Source};
use crate::seccomp::filter::Program;
use crate::seccomp::preset;
use sandbox_child::plan::Code;
use std::sync::Arc;

const SECCOMP_SET_MODE_FILTER: u64 = 1;
const SECCOMP_FILTER_FLAG_NEW_LISTENER: u64 = 8;

/// A filter in the order of loading. Where its instructions will lie is known only at the spawn.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub program: Arc<Program>,
    pub flags: u64,
    /// The offset of its `struct sock_fprog`.
    pub fprog: u32,
    /// Which of the caller's it is.
    pub index: usize,
}

pub fn load(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let is_ahead = plan.ahead().has_filters;
    let is_due = |plan: &Builder, notifies: bool| plan.is_due(is_ahead && !notifies);
    let (notifying, others): (Vec<_>, Vec<_>) = cmd.filters.iter().enumerate().filter(|(_, filter)| is_due(plan, filter.program.notifies)).partition(|(_, filter)| filter.program.notifies);
    for (index, filter) in others {
        one(plan, index, &filter.program, filter.flags, text(&filter.program))?;
    }
    for (index, filter) in notifying {
        let text = format!("{}, with a listener", text(&filter.program));
        let listener = one(plan, index, &filter.program, filter.flags | SECCOMP_FILTER_FLAG_NEW_LISTENER, text)?;
        plan.slot(Source::Handoff)?;
        plan.op(Stage::SANDBOX_STAGE_HANDOFF, 0, Code::Handoff, [listener.into(), 0, 0], "the host takes the listener");
    }
    Ok(())
}

fn text(program: &Program) -> String {
    let denied = preset::names(program.denied);
    let instructions = program.instructions.len();
    if denied.is_empty() { format!("seccomp filter of {instructions} instructions") } else { format!("seccomp filter of {instructions} instructions, which refuses {denied}") }
}

fn one(plan: &mut Builder, index: usize, program: &Arc<Program>, flags: u64, text: String) -> Result<u8> {
    let fprog = plan.data(&[0; 16]);
    plan.plan().filters.push(Loaded { program: program.clone(), flags, fprog, index });
    let slot = plan.op_slot()?;
    let args = [Arg::Value(SECCOMP_SET_MODE_FILTER), Arg::Value(flags), Arg::Data(fprog)];
    plan.call(Stage::SANDBOX_STAGE_SECCOMP, index, libc::SYS_seccomp, &args, text).out = slot;
    Ok(slot)
}

/// What a refused load's message adds.
pub fn hint(errno: i32) -> &'static str {
    match errno {
        libc::EACCES => "a filter needs no_new_privs or CAP_SYS_ADMIN",
        libc::EBUSY => "a listener above this process is in force: the kernel allows one",
        libc::EINVAL => "this kernel lacks one of the filter's flags or actions, or seccomp altogether",
        _ => "",
    }
}
