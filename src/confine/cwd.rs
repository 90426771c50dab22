//! The working directory.

use crate::cmd::Cmd;
use crate::error::{Result, Stage, quoted};
use crate::plan::{Arg, Builder};

pub fn change(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if let Some(directory) = &cmd.cwd {
        let path = plan.string(directory);
        plan.call(Stage::SANDBOX_STAGE_CWD, 0, libc::SYS_chdir, &[Arg::Data(path)], format_args!("working directory {}", quoted(directory)));
    }
    Ok(())
}
