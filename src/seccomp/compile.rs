//! From rules to instructions. libseccomp compiles what it can express exactly: one rule a system call, one comparison
//! an argument. What it can't (several rules in order, ranges) is generated here, with the same meaning: the first rule
//! that applies decides, none of them the default.

use crate::error::Result;
use crate::seccomp::bpf::{Instruction, LONGEST};
use crate::seccomp::filter::{Cmp, Compare, Filter};
use crate::seccomp::generate::{add, generate, key};
use crate::seccomp::ways::way_through;
use crate::seccomp::{act, bad};
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;

pub fn compile(filter: &Filter) -> Result<Vec<Instruction>> {
    let instructions = match with_libseccomp(filter) {
        Some(instructions) => instructions,
        None => generate(filter)?,
    };
    if instructions.len() > LONGEST {
        return Err(bad(libc::E2BIG, format_args!("a filter of {} instructions, the most is {LONGEST}", instructions.len())));
    }
    Ok(instructions)
}

// libseccomp

/// `None` where libseccomp can't express the rules exactly, or refuses them (as where it can't probe the kernel).
pub fn with_libseccomp(filter: &Filter) -> Option<Vec<Instruction>> {
    if !is_expressible(filter) {
        return None;
    }
    let mut context = ScmpFilterContext::new(scmp_action(filter.default)?).ok()?;
    context.set_act_badarch(ScmpAction::KillProcess).ok()?;
    context.set_ctl_optimize(2).ok()?; // a tree, where the library is new enough to have it
    for arch in &filter.arches {
        context.add_arch(*arch).ok()?;
    }
    for rule in &filter.rules {
        let Ok(call) = ScmpSyscall::from_name(&rule.syscall) else { return None };
        let compares: Vec<ScmpArgCompare> = rule.compares.iter().map(scmp_compare).collect();
        context.add_rule_conditional(scmp_action(rule.action)?, call, &compares).ok()?;
    }
    export(&context)
}

fn is_expressible(filter: &Filter) -> bool {
    if filter.refuses_kernel_pointers {
        return false;
    }
    // It looks at the lower halves only where the architecture has 32 bits, of the value too, and for x32, whose
    // arguments have 64; and at no bit of a value outside its mask.
    let is_short = filter.arches.iter().any(|arch| matches!(arch, ScmpArch::X86 | ScmpArch::X32 | ScmpArch::Arm));
    let has_i386 = filter.arches.contains(&ScmpArch::X86);
    let mut calls = Vec::new();
    for rule in &filter.rules {
        let mut seen = 0;
        for compare in &rule.compares {
            let bit = 1u32.checked_shl(compare.index).unwrap_or(0);
            let is_distinct = compare.index < 6 && seen & bit == 0;
            if !is_distinct || is_short || compare.value & !compare.mask != 0 {
                return false;
            }
            seen |= bit;
        }
        // Of a call that has a way through socketcall or ipc it drops or misplaces the comparisons on that way, and looks at
        // more of ipc's selector than the kernel does.
        let is_direct = !(has_i386 && way_through(&rule.syscall, ScmpArch::X86).is_some());
        // A number names a call of the native architecture alone.
        if !is_direct || rule.action == filter.default || rule.syscall.parse::<i32>().is_ok() {
            return false;
        }
        // A second rule is merged into one tree with the first, and of some such trees libseccomp 2.5 loses branches:
        // only where nothing is compared is it left to do that.
        let Ok(call) = ScmpSyscall::from_name(&rule.syscall) else { return false };
        if !add(&mut calls, key(i32::from(call).cast_unsigned(), 0)) {
            return false;
        }
    }
    true
}

fn scmp_action(action: u32) -> Option<ScmpAction> {
    let data = action & !act::MASK;
    Some(match action & act::MASK {
        act::KILL_PROCESS => ScmpAction::KillProcess,
        act::KILL_THREAD => ScmpAction::KillThread,
        act::TRAP => ScmpAction::Trap,
        act::NOTIFY => ScmpAction::Notify,
        act::LOG => ScmpAction::Log,
        act::ALLOW => ScmpAction::Allow,
        act::ERRNO => ScmpAction::Errno(data.cast_signed()),
        act::TRACE => ScmpAction::Trace(u16::try_from(data).ok()?),
        _ => return None,
    })
}

fn scmp_compare(compare: &Compare) -> ScmpArgCompare {
    let op = match compare.op {
        Cmp::SANDBOX_CMP_EQ => ScmpCompareOp::Equal,
        Cmp::SANDBOX_CMP_NE => ScmpCompareOp::NotEqual,
        Cmp::SANDBOX_CMP_LT => ScmpCompareOp::Less,
        Cmp::SANDBOX_CMP_LE => ScmpCompareOp::LessOrEqual,
        Cmp::SANDBOX_CMP_GE => ScmpCompareOp::GreaterEqual,
        Cmp::SANDBOX_CMP_GT => ScmpCompareOp::Greater,
        Cmp::SANDBOX_CMP_MASKED_EQ => ScmpCompareOp::MaskedEqual(compare.mask),
    };
    ScmpArgCompare::new(compare.index, op, compare.value)
}

fn export(context: &ScmpFilterContext) -> Option<Vec<Instruction>> {
    let memory = crate::trampoline::memory(0).ok()?;
    context.export_bpf(memory.as_fd()).ok()?;
    let mut file = File::from(memory);
    let mut bytes = Vec::new();
    file.rewind().ok()?;
    file.read_to_end(&mut bytes).ok()?;
    Some(instructions(&bytes))
}

/// From the kernel's own form, 8 bytes each; a rest of fewer is dropped.
pub fn instructions(bytes: &[u8]) -> Vec<Instruction> {
    let (whole, _) = bytes.as_chunks::<8>();
    whole.iter().map(|&[c0, c1, jt, jf, k0, k1, k2, k3]| Instruction {
        code: u16::from_ne_bytes([c0, c1]),
        jt,
        jf,
        k: u32::from_ne_bytes([k0, k1, k2, k3]),
    }).collect()
}

// The own generator

#[cfg(test)]
mod tests;
