//! Session, process group, controlling terminal.

use crate::cmd::{Cmd, Stdio};
use crate::error::{Error, Result, Stage};
use crate::options::Opt;
use crate::plan::{Arg, Builder};
use sandbox_child::plan::Code;

const STAGE: Stage = Stage::SANDBOX_STAGE_SESSION;

fn pty(cmd: &Cmd) -> Option<usize> {
    cmd.stdio.iter().position(|stream| matches!(stream, Stdio::Pty))
}

fn terminal_at(cmd: &Cmd) -> Option<usize> {
    pty(cmd).or(cmd.options.is_on(Opt::SANDBOX_OPT_CONTROLLING_TTY).then_some(0))
}

pub fn start(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let group = cmd.options.get(Opt::SANDBOX_OPT_PROCESS_GROUP);
    let asked = cmd.options.get(Opt::SANDBOX_OPT_NEW_SESSION);
    let needs = terminal_at(cmd).is_some();
    if needs && asked == Some(0) {
        return Err(Error::new(STAGE, 0, libc::EINVAL, "a controlling terminal without NEW_SESSION"));
    }
    if group.is_some() && (needs || asked == Some(1)) {
        return Err(Error::new(STAGE, 1, libc::EINVAL, "PROCESS_GROUP in a session of its own, whose leader can't change it"));
    }
    match (needs || asked == Some(1), group) {
        (true, _) => {
            plan.op(STAGE, 0, Code::Session, [1, 0, 0], "a new session");
        }
        (false, Some(group)) => {
            let text = if group == 0 { "a new process group".to_owned() } else { format!("process group {group}") };
            plan.call(STAGE, 1, libc::SYS_setpgid, &[Arg::Value(0), Arg::Value(group)], text);
        }
        (false, None) if asked.is_none() => {
            plan.op(STAGE, 0, Code::Session, [0; 3], "a new session, where a terminal is passed in or the host has one");
        }
        _ => {}
    }
    Ok(())
}

pub fn terminal(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if let Some(fd) = terminal_at(cmd) {
        plan.call(STAGE, 2, libc::SYS_ioctl, &[Arg::Value(fd as u64), Arg::Value(libc::TIOCSCTTY as u64), Arg::Value(0)],
            format_args!("fd {fd} becomes the controlling terminal"));
    }
    Ok(())
}
