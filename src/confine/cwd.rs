//! The working directory.

use crate::cmd::Cmd;
use crate::error::{Result, Stage, quoted};
use crate::plan::Builder;
use sandbox_child::plan::Code;

pub fn change(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    // Behind "PWD=" each: what the environment then says.
    let mut list = Vec::new();
    for directory in cmd.cwd.iter().chain(&cmd.cwds) {
        list.extend_from_slice(b"PWD=");
        list.extend_from_slice(directory.to_bytes_with_nul());
    }
    let at = plan.data(&list).into();
    let (first, count, rest) = match (&cmd.cwd, cmd.cwds.as_slice()) {
        (Some(directory), _) => (directory, 1, String::new()),
        (None, [first, ..]) => (first, cmd.cwds.len() as u64, format!(", or the next of {}", cmd.cwds.len())),
        (None, []) => return Ok(()),
    };
    let says = u64::from(cmd.cwd.is_none());
    plan.op(Stage::SANDBOX_STAGE_CWD, 0, Code::ChangeDirectory, [at, count, says], format_args!("working directory {}{rest}", quoted(first)));
    Ok(())
}

/// What a failed step's message adds.
pub fn hint(errno: i32) -> &'static str {
    if errno == libc::ELOOP { "a magic link of /proc, which could lead out of the root, or symlinks without end" } else { "" }
}
