//! libseccomp's filters, simulated, do what its rules say.

use super::*;
use libseccomp::{ScmpAction, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};

const SYSCALLS: [&str; 14] = [
    "read", "write", "openat", "close", "ioctl", "fcntl", "prctl", "kill", "personality", "dup", "getpid", "mprotect", "unlinkat",
    "tgkill",
];

/// AUDIT_ARCH_*, and whether its arguments have 32 bits.
pub fn audit_arch(arch: ScmpArch) -> (u32, bool) {
    match arch {
        ScmpArch::X8664 => (0xc000_003e, false),
        // Has 64-bit arguments, but libseccomp looks at the lower half.
        ScmpArch::X32 => (0xc000_003e, true),
        ScmpArch::X86 => (0x4000_0003, true),
        ScmpArch::Aarch64 => (0xc000_00b7, false),
        ScmpArch::Arm => (0x4000_0028, true),
        _ => (0xc000_00f3, false), // riscv64
    }
}

fn number(name: &str, arch: ScmpArch) -> i32 {
    ScmpSyscall::from_name_by_arch(name, arch).unwrap().into()
}

#[derive(Debug)]
struct Compare {
    arg: u32,
    op: ScmpCompareOp,
    value: u64,
}

impl Compare {
    fn holds(&self, args: &[u64; 6]) -> bool {
        let arg = args[self.arg as usize];
        match self.op {
            ScmpCompareOp::NotEqual => arg != self.value,
            ScmpCompareOp::Less => arg < self.value,
            ScmpCompareOp::LessOrEqual => arg <= self.value,
            ScmpCompareOp::Equal => arg == self.value,
            ScmpCompareOp::GreaterEqual => arg >= self.value,
            ScmpCompareOp::Greater => arg > self.value,
            ScmpCompareOp::MaskedEqual(mask) => arg & mask == self.value,
            _ => unreachable!(),
        }
    }
}

/// One rule a system call: a second one libseccomp merges with the first, and of some such trees it loses branches. Of
/// 2.5.4's `arg < 0x689a5968_00000020 or arg < 0x6168e4d1_68a6e9c2` neither applies to 0x6168e4d1_68a6e9c2.
#[derive(Debug)]
struct Policy {
    default: ScmpAction,
    bad_arch: ScmpAction,
    arches: Vec<ScmpArch>,
    rules: Vec<(&'static str, ScmpAction, Vec<Compare>)>,
    as_tree: bool,
}

fn value(chance: &mut Chance, is_short: bool) -> u64 {
    let low = u64::from(chance.telling());
    if is_short { low } else { low | u64::from(chance.telling()) << 32 }
}

fn policy(chance: &mut Chance) -> Policy {
    const DEFAULTS: [ScmpAction; 5] =
        [ScmpAction::Allow, ScmpAction::KillProcess, ScmpAction::Errno(1), ScmpAction::Trap, ScmpAction::Log];
    const OTHERS: [ScmpAction; 4] = [ScmpAction::Errno(2), ScmpAction::Errno(4094), ScmpAction::KillThread, ScmpAction::Trace(9)];
    const FOREIGN: [ScmpArch; 6] =
        [ScmpArch::X8664, ScmpArch::X32, ScmpArch::X86, ScmpArch::Aarch64, ScmpArch::Arm, ScmpArch::Riscv64];
    let mut arches = vec![ScmpArch::native()];
    if chance.hits(50) {
        arches.extend(FOREIGN.into_iter().filter(|arch| *arch != ScmpArch::native() && chance.hits(40)));
    }
    let is_short = arches.iter().any(|arch| audit_arch(*arch).1);
    let compare = |chance: &mut Chance, arg| {
        let mask = value(chance, is_short);
        let op = chance.of(&[
            ScmpCompareOp::NotEqual, ScmpCompareOp::Less, ScmpCompareOp::LessOrEqual, ScmpCompareOp::Equal,
            ScmpCompareOp::GreaterEqual, ScmpCompareOp::Greater, ScmpCompareOp::MaskedEqual(mask),
        ]);
        let value = value(chance, is_short);
        // Bits outside the mask libseccomp passes over.
        Compare { arg, op, value: if matches!(op, ScmpCompareOp::MaskedEqual(_)) { value & mask } else { value } }
    };
    let mut rules = Vec::new();
    for name in SYSCALLS {
        if chance.hits(60) {
            let compares = (0..6).filter_map(|arg| chance.hits(30).then(|| compare(chance, arg))).collect();
            rules.push((name, chance.of(&OTHERS), compares));
        }
    }
    Policy { default: chance.of(&DEFAULTS), bad_arch: chance.of(&OTHERS), arches, rules, as_tree: chance.hits(30) }
}

impl Policy {
    fn compile(&self) -> Result<Vec<Instruction>, libseccomp::error::SeccompError> {
        let mut filter = ScmpFilterContext::new(self.default)?;
        filter.set_act_badarch(self.bad_arch)?;
        if self.as_tree {
            filter.set_ctl_optimize(2)?;
        }
        for arch in &self.arches {
            filter.add_arch(*arch)?;
        }
        for (name, action, compares) in &self.rules {
            let compares: Vec<_> = compares.iter().map(|c| ScmpArgCompare::new(c.arg, c.op, c.value)).collect();
            filter.add_rule_conditional(*action, number(name, ScmpArch::native()), &compares)?;
        }
        let bytes = exported(&filter)?;
        Ok(bytes.chunks_exact(8).map(|b| Instruction {
            code: u16::from_ne_bytes([b[0], b[1]]),
            jt: b[2],
            jf: b[3],
            k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
        }).collect())
    }

    /// What the rules say, straight.
    fn decides(&self, call: &Call) -> ScmpAction {
        let is_x32 = call.arch == 0xc000_003e && call.nr.cast_unsigned() >= 0x4000_0000;
        let is_meant = |arch: &&ScmpArch| audit_arch(**arch).0 == call.arch && (**arch == ScmpArch::X32) == is_x32;
        let Some(arch) = self.arches.iter().find(is_meant) else { return self.bad_arch };
        let rule = self.rules.iter().find(|(name, ..)| number(name, *arch) == call.nr);
        let applies = |compares: &Vec<Compare>| compares.iter().all(|compare| compare.holds(&call.args));
        rule.filter(|(.., compares)| applies(compares)).map_or(self.default, |(_, action, _)| *action)
    }

    /// A call near some rule's edge.
    fn call(&self, chance: &mut Chance) -> Call {
        let arch = chance.of(&[ScmpArch::native(), ScmpArch::X8664, ScmpArch::X32, ScmpArch::X86, ScmpArch::Aarch64, ScmpArch::Arm]);
        let arch = if chance.hits(50) { chance.of(&self.arches) } else { arch };
        let (audit, is_short) = audit_arch(arch);
        let name = if self.rules.is_empty() { SYSCALLS[0] } else { self.rules[chance.below(self.rules.len())].0 };
        let compares: Vec<_> = self.rules.iter().filter(|rule| rule.0 == name).flat_map(|rule| &rule.2).collect();
        let args = std::array::from_fn(|arg| {
            let near: Vec<_> = compares.iter().filter(|compare| compare.arg as usize == arg).collect();
            let arg = if near.is_empty() || chance.hits(20) {
                value(chance, is_short)
            } else {
                let spread = chance.of(&[0, 0, 1, u64::MAX, 1 << 32, u64::MAX << 32]);
                near[chance.below(near.len())].value.wrapping_add(spread)
            };
            if is_short { arg & 0xffff_ffff } else { arg }
        });
        let nr = if chance.hits(90) { number(name, arch) } else { (chance.word() % 500).cast_signed() };
        Call { arch: audit, nr, ip: chance.next(), args }
    }
}

/// By way of a memfd: an export into memory is there only from libseccomp 2.6 on.
fn exported(filter: &ScmpFilterContext) -> Result<Vec<u8>, libseccomp::error::SeccompError> {
    use std::io::{Read, Seek};
    use std::os::fd::FromRawFd;
    // SAFETY: a new fd, owned by the file.
    let mut file = unsafe { std::fs::File::from_raw_fd(libc::memfd_create(c"filter".as_ptr(), libc::MFD_CLOEXEC)) };
    filter.export_bpf(&file)?;
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).unwrap();
    Ok(bytes)
}

fn kernel_value(action: ScmpAction) -> u32 {
    match action {
        ScmpAction::KillProcess => act::KILL_PROCESS,
        ScmpAction::KillThread => act::KILL_THREAD,
        ScmpAction::Trap => act::TRAP,
        ScmpAction::Errno(data) => act::ERRNO | data.cast_unsigned(),
        ScmpAction::Trace(data) => act::TRACE | u32::from(data),
        ScmpAction::Log => act::LOG,
        ScmpAction::Allow => act::ALLOW,
        _ => unreachable!(),
    }
}

#[test]
fn libseccomps_filters_do_what_its_rules_say() {
    let (mut applied, mut made) = (0, 0);
    for seed in seeds(4, 1000) {
        let chance = &mut Chance(seed);
        let policy = policy(chance);
        let program = policy.compile().unwrap_or_else(|error| panic!("seed {seed}: {error}\n{policy:x?}"));
        assert_eq!(verify(&program), Ok(()), "seed {seed}");
        for call in (0..200).map(|_| policy.call(chance)) {
            let (expected, result) = (kernel_value(policy.decides(&call)), run(&program, &call));
            assert_eq!(result, expected, "seed {seed}: simulated {result:#x}, by the rules {expected:#x}\n{call:x?}\n{policy:x?}");
            made += 1;
            applied += usize::from(![policy.default, policy.bad_arch].map(kernel_value).contains(&result));
        }
    }
    assert!(applied > made / 10, "a rule applied to only {applied} of {made} calls");
}
