//! i386 has calls that stand for many: socketcall and ipc. What a rule for one of those many means there.

use crate::error::Result;
use crate::seccomp::filter::{Compare, Filter, Rule};
use crate::seccomp::{act, bad};
use libseccomp::{ScmpArch, ScmpSyscall};

/// A call's way through another: a selector in the first argument, the call's own arguments behind it, or in memory.
pub struct Way {
    pub through: &'static str,
    pub number: u32,
    pub selector: u32,
    /// What of the first argument the kernel looks at.
    pub mask: u64,
}

/// libseccomp has negative numbers for such calls, in which the selector stands; also where there is no such way.
pub fn way_through(name: &str, arch: ScmpArch) -> Option<Way> {
    if matches!(arch, ScmpArch::X8664 | ScmpArch::X32 | ScmpArch::Aarch64 | ScmpArch::Arm | ScmpArch::Riscv64) {
        return None;
    }
    let pseudo = i32::from(ScmpSyscall::from_name_by_arch(name, arch).ok()?);
    match pseudo {
        -120..=-101 => Some(Way { through: "socketcall", number: 102, selector: pseudo.unsigned_abs() - 100, mask: 0xffff_ffff }),
        -299..=-201 => Some(Way { through: "ipc", number: 117, selector: pseudo.unsigned_abs() - 200, mask: 0xffff }),
        _ => None,
    }
}

impl Way {
    /// The number that the call has besides, since Linux 4.3 and 5.1: only i386's are known here.
    pub fn direct(&self, name: &str, arch: ScmpArch) -> Result<Option<u32>> {
        const SOCKET: [u16; 21] =
            [0, 359, 361, 362, 363, 0, 367, 368, 360, 0, 0, 369, 371, 373, 366, 365, 370, 372, 364, 337, 345];
        const IPC: [u16; 25] = [0, 0, 393, 394, 0, 0, 0, 0, 0, 0, 0, 400, 401, 399, 402, 0, 0, 0, 0, 0, 0, 397, 398, 395, 396];
        if arch != ScmpArch::X86 {
            let arch = if arch == ScmpArch::S390X { "s390x" } else { "ppc64le" };
            return Err(bad(libc::EOPNOTSUPP, format_args!("rules of different actions, or several comparisons of one argument, for {name} on {arch}")));
        }
        let direct = if self.number == 102 { SOCKET.get(self.selector as usize) } else { IPC.get(self.selector as usize) };
        Ok(direct.filter(|number| **number != 0).map(|number| (*number).into()))
    }

    /// For the rule at `position` the comparison that stands for it on the way. There no filter sees what it compares, so
    /// it may apply or not: it always does where nothing that may decide in its place is stricter, else never, and the
    /// stricter one does. So nothing is allowed that the rules forbid.
    pub fn selects(&self, filter: &Filter, position: usize) -> Result<Option<Compare>> {
        let Some((rule, behind)) = filter.rules.get(position..).and_then(<[Rule]>::split_first) else { return Ok(None) };
        let always = Some(Compare::masked(0, self.mask, self.selector.into()));
        if rule.compares.is_empty() {
            return Ok(always);
        }
        let strictness = act::precedence(rule.action);
        for other in behind {
            if other.syscall == self.through && !other.compares.is_empty() {
                return Err(bad(libc::EOPNOTSUPP, format_args!("comparisons both of {} and of {}", self.through, rule.syscall)));
            }
            if other.syscall != rule.syscall && other.syscall != self.through {
                continue;
            }
            if act::precedence(other.action) < strictness {
                return Ok(None);
            }
            if other.compares.is_empty() {
                return Ok(always);
            }
        }
        Ok(if act::precedence(filter.default) >= strictness { always } else { None })
    }
}
