//! The working directory.

use crate::cmd::Cmd;
use crate::error::{Result, Stage, quoted};
use crate::plan::{Arg, Builder};
use sandbox_child::plan::Code;

pub fn change(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if let Some(directory) = &cmd.cwd {
        let path = plan.string(directory);
        plan.call(Stage::SANDBOX_STAGE_CWD, 0, libc::SYS_chdir, &[Arg::Data(path)], format_args!("working directory {}", quoted(directory)));
    }
    // Behind "PWD=" each: what the environment then says.
    let mut list = Vec::new();
    for directory in &cmd.cwds {
        list.extend_from_slice(b"PWD=");
        list.extend_from_slice(directory.to_bytes_with_nul());
    }
    if let Some(first) = cmd.cwds.first() {
        let at = plan.data(&list).into();
        plan.op(Stage::SANDBOX_STAGE_CWD, 0, Code::ChangeDirectory, [at, cmd.cwds.len() as u64, 0],
            format_args!("working directory {}, or the next of {}", quoted(first), cmd.cwds.len()));
    }
    Ok(())
}
