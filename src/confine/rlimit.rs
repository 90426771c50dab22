//! Resource limits.

use crate::cmd::{Cmd, Rlimit};
use crate::confine::identity;
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

/// Those that a run could meet before its program does: for its fds and its block, on its stack.
pub fn is_late(limit: &Rlimit) -> bool {
    // musl's numbers have another type.
    [libc::RLIMIT_NOFILE as u32, libc::RLIMIT_AS as u32, libc::RLIMIT_STACK as u32].contains(&limit.resource)
}

/// Whether one of these is above what the host has, which only a privilege allows.
pub fn late_ones_need_privilege(cmd: &Cmd) -> bool {
    cmd.rlimits.iter().filter(|limit| is_late(limit)).any(|limit| {
        let mut host = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a struct of ours to fill.
        unsafe { libc::getrlimit(limit.resource as _, &raw mut host) };
        limit.hard > host.rlim_max
    })
}

/// The kernel's own root may have as many processes as it likes, in whatever user namespace.
fn is_exempt(cmd: &Cmd, limit: &Rlimit) -> bool {
    limit.resource == libc::RLIMIT_NPROC as u32 && limit.soft != libc::RLIM_INFINITY && identity::uid_outside(cmd) == Some(0)
}

pub fn set(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let is_most = plan.ahead().is_most;
    for (index, limit) in cmd.rlimits.iter().enumerate() {
        if !plan.is_due(is_most && !is_late(limit)) {
            continue;
        }
        let pair = plan.numbers(&[limit.soft, limit.hard]);
        let args = [Arg::Value(0), Arg::Value(limit.resource.into()), Arg::Data(pair), Arg::Value(0)];
        plan.call(Stage::SANDBOX_STAGE_RLIMIT, index, libc::SYS_prlimit64, &args,
            format_args!("{} soft {}, hard {}{}", name(limit.resource), amount(limit.soft), amount(limit.hard), if is_exempt(cmd, limit) { ", to which the kernel does not hold root" } else { "" }));
    }
    Ok(())
}
