//! The working directory.

use crate::cmd::Cmd;
use crate::confine::namespace::Ns;
use crate::error::{Result, Stage, quoted};
use crate::plan::Builder;
use sandbox_child::plan::{Code, directory};

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
    // In the host's own tree /proc/self/fd/N is a way like any other.
    let is_strict = cmd.mounts.is_asked() || cmd.joined.has(Ns::SANDBOX_NS_MOUNT);
    let how = if cmd.cwd.is_none() { directory::SAYS } else { 0 } | if is_strict { directory::STRICT } else { 0 };
    plan.op(Stage::SANDBOX_STAGE_CWD, 0, Code::ChangeDirectory, [at, count, how], format_args!("working directory {}{rest}", quoted(first)));
    Ok(())
}

/// What a failed step's message adds.
pub fn hint(errno: i32) -> &'static str {
    if errno == libc::ELOOP { "a magic link of /proc, which could lead out of the root, or symlinks without end" } else { "" }
}
