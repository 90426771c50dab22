//! What belongs to the process alone and needs no address space of its own: umask, nice value, CPUs, personality,
//! time stamp counter, speculation.

use crate::cmd::Cmd;
use crate::error::{Result, Stage};
use crate::options::{Opt, sandbox_left_out, sandbox_speculation};
use crate::plan::{Arg, Builder};
use sandbox_child::plan::Code;
use std::fmt::Write;

const STAGE: Stage = Stage::SANDBOX_STAGE_PROCESS;
const PR_SET_TSC: u64 = 26;
const PR_TSC_SIGSEGV: u64 = 2;
const ADDR_NO_RANDOMIZE: u64 = 0x004_0000;

pub fn set(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let options = &cmd.options;
    if let Some(mask) = options.get(Opt::SANDBOX_OPT_UMASK) {
        plan.call(STAGE, 3, libc::SYS_umask, &[Arg::Value(mask)], format_args!("umask {mask:03o}"));
    }
    if let Some(nice) = options.get(Opt::SANDBOX_OPT_NICE) {
        let args = [Arg::Value(libc::PRIO_PROCESS as u64), Arg::Value(0), Arg::Value(nice)];
        plan.call(STAGE, 4, libc::SYS_setpriority, &args, format_args!("nice value {}", nice.cast_signed()));
    }
    if let Some(cpus) = &cmd.cpus {
        let mask = plan.numbers(cpus);
        let args = [Arg::Value(0), Arg::Value(cpus.len() as u64 * 8), Arg::Data(mask)];
        plan.call(STAGE, 5, libc::SYS_sched_setaffinity, &args, format_args!("CPUs {}", numbers_of(cpus)));
    }
    if options.is_on(Opt::SANDBOX_OPT_NO_RANDOMIZE) {
        plan.op(STAGE, 6, Code::AddPersonality, [ADDR_NO_RANDOMIZE, 0, 0], "no address space randomisation");
    }
    if options.is_on(Opt::SANDBOX_OPT_DENY_TSC) {
        let op = plan.call(STAGE, 7, libc::SYS_prctl, &[Arg::Value(PR_SET_TSC), Arg::Value(PR_TSC_SIGSEGV)], "no reading of the time stamp counter");
        if options.is_on(Opt::SANDBOX_OPT_ALLOW_NO_DENY_TSC) {
            op.optional = sandbox_left_out::SANDBOX_LEFT_OUT_DENY_TSC.bit();
        }
    }
    let asked = options.get(Opt::SANDBOX_OPT_SPECULATION).unwrap_or(0);
    let kinds = [
        (sandbox_speculation::SANDBOX_SPECULATION_STORE_BYPASS, 0, "no speculative store bypass"),
        (sandbox_speculation::SANDBOX_SPECULATION_INDIRECT_BRANCH, 1, "no indirect branch speculation"),
    ];
    for (bit, misfeature, text) in kinds {
        if asked & bit as u64 != 0 {
            let op = plan.op(STAGE, 8 + misfeature, Code::Speculation, [misfeature as u64, 0, 0], text);
            if options.is_on(Opt::SANDBOX_OPT_ALLOW_NO_SPECULATION) {
                op.optional = sandbox_left_out::SANDBOX_LEFT_OUT_SPECULATION.bit();
            }
        }
    }
    Ok(())
}

fn numbers_of(mask: &[u64]) -> String {
    let mut text = String::new();
    for cpu in (0..mask.len() * 64).filter(|cpu| mask.get(cpu / 64).is_some_and(|word| word >> (cpu % 64) & 1 == 1)) {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{cpu}");
    }
    text
}
