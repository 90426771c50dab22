//! The standard streams, child side. What they are made of is prepared by `streams` for each spawn.

use crate::cmd::{Cmd, Stdio};
use crate::error::{Result, Stage};
use crate::plan::{Builder, Source};
use sandbox_child::plan::Code;
use std::os::fd::AsRawFd;

/// The slot of stream `target`.
pub fn source(target: usize, stream: &Stdio) -> Source {
    match stream {
        Stdio::Fd(fd) => Source::Command(fd.as_raw_fd()),
        _ => Source::Stdio(target),
    }
}

pub fn place(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    for (target, stream) in cmd.stdio.iter().enumerate() {
        if super::fds::is_passed(cmd, target) {
            continue;
        }
        let slot = plan.slot(source(target, stream))?;
        let from = match stream {
            Stdio::Inherit => "inherited",
            Stdio::Null => "/dev/null",
            Stdio::Pipe => "a pipe",
            Stdio::Fd(_) => "the caller's fd",
            Stdio::Pty => "a pseudoterminal",
        };
        plan.op(Stage::SANDBOX_STAGE_STDIO, target, Code::Place, [slot.into(), target as u64, 0], format_args!("fd {target}: {from}"));
    }
    Ok(())
}
