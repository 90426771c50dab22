//! Resource limits.

use crate::cmd::Cmd;
use crate::error::{Result, Stage};
use crate::plan::{Arg, Builder};

/// In the order of the kernel's numbers.
pub const NAMES: [&str; 16] = [
    "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE",
    "RTPRIO", "RTTIME",
];

pub fn name(resource: u32) -> String {
    let name = usize::try_from(resource).ok().and_then(|resource| NAMES.get(resource)).unwrap_or(&"?");
    format!("RLIMIT_{name}")
}

fn amount(limit: u64) -> String {
    if limit == libc::RLIM_INFINITY { "unlimited".to_owned() } else { limit.to_string() }
}

pub fn set(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    for (index, limit) in cmd.rlimits.iter().enumerate() {
        let pair = plan.numbers(&[limit.soft, limit.hard]);
        let args = [Arg::Value(0), Arg::Value(limit.resource.into()), Arg::Data(pair), Arg::Value(0)];
        plan.call(Stage::SANDBOX_STAGE_RLIMIT, index, libc::SYS_prlimit64, &args,
            format_args!("{} soft {}, hard {}", name(limit.resource), amount(limit.soft), amount(limit.hard)));
    }
    Ok(())
}
