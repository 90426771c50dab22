//! Passed fds, and the closing of all others. Any overlap of numbers works: every source first moves off every target.

use crate::cmd::Cmd;
use crate::confine::stdio;
use crate::error::{Result, Stage};
use crate::options::Opt;
use crate::plan::{Builder, Role, Source};
use sandbox_child::plan::Code;
use std::fmt::Display;
use std::os::fd::AsRawFd;

const STAGE: Stage = Stage::SANDBOX_STAGE_FD;

pub fn is_passed(cmd: &Cmd, target: usize) -> bool {
    cmd.passed.iter().any(|(_, taken)| usize::try_from(*taken) == Ok(target))
}

pub fn move_off(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let mut targets = vec![0, 1, 2];
    targets.extend(cmd.passed.iter().map(|(_, target)| *target));
    let list = plan.numbers(&targets);
    let host = plan.plan().slots.contains(&Source::Host).then_some(Source::Host);
    let mut move_off = |source, index, text: &dyn Display| -> Result<()> {
        let slot = plan.slot(source)?;
        plan.op(STAGE, index, Code::MoveOff, [slot.into(), list.into(), targets.len() as u64], text);
        Ok(())
    };
    if cmd.passed.is_empty() {
        return Ok(()); // sources are above 2
    }
    // The child goes on using these behind this step.
    let handoff = cmd.filters.iter().any(|filter| filter.program.notifies).then_some(Source::Handoff);
    for source in handoff.into_iter().chain(host) {
        move_off(source, 0, &"the library's own fd, off the passed numbers")?;
    }
    for (target, stream) in cmd.stdio.iter().enumerate() {
        if !is_passed(cmd, target) {
            move_off(stdio::source(target, stream), 0, &format_args!("what fd {target} is made of, off the passed numbers"))?;
        }
    }
    if let Some(fd) = &cmd.exec_fd {
        move_off(Source::Command(fd.as_raw_fd()), 0, &"the program's fd, off the passed numbers")?;
    }
    for (index, (fd, target)) in cmd.passed.iter().enumerate() {
        move_off(Source::Command(fd.as_raw_fd()), index, &format_args!("what fd {target} is made of, off the passed numbers"))?;
    }
    Ok(())
}

pub fn close(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    // A run's child has closed all it had when it was held; what has come since is close-on-exec.
    if cmd.options.is_on(Opt::SANDBOX_OPT_CLOSE_FDS) && plan.role() != Role::Run {
        close_from(plan, cmd.passed.len());
    }
    Ok(())
}

/// Of a child that is held: the trampoline's exec closes what the plan has no slot for.
pub fn close_all(plan: &mut Builder) {
    close_from(plan, 0);
}

fn close_from(plan: &mut Builder, index: usize) {
    plan.op(STAGE, index, Code::CloseFrom, [3, 0, 0], "every other fd closes at exec");
}

pub fn place(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    for (index, (fd, target)) in cmd.passed.iter().enumerate() {
        let slot = plan.slot(Source::Command(fd.as_raw_fd()))?;
        plan.op(STAGE, index, Code::Place, [slot.into(), target.cast_unsigned().into(), 0], format_args!("fd {target}: passed in"));
    }
    Ok(())
}
