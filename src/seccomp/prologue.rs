//! The few steps that the library itself makes under a filter, before exec: the hand-off's futex, the load of the next
//! filter. Where a filter would not let them pass, a prologue does: exactly these operations, on exactly these addresses
//! of the child's own memory, which exec discards. Where it would, nothing is added.

use crate::seccomp::bpf::{self, Call, Instruction};
use crate::seccomp::{act, generate};

const LOAD: u16 = 0x20;
const JEQ: u16 = 0x15;
const RETURN: u16 = 0x06;
const SET_MODE_FILTER: u64 = 1;

/// A call that the child makes: number and the leading arguments, all of which are compared.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    number: i64,
    args: [u64; 3],
    compared: u32,
}

impl Step {
    pub fn futex(word: u64, operation: i32) -> Step {
        Step { number: libc::SYS_futex, args: [word, operation.unsigned_abs().into(), 0], compared: 2 }
    }

    pub fn load(flags: u64, program: u64) -> Step {
        Step { number: libc::SYS_seccomp, args: [SET_MODE_FILTER, flags, program], compared: 3 }
    }

    pub fn other(number: i64, args: [u64; 3]) -> Step {
        Step { number, args, compared: 3 }
    }

    /// What `instructions` answer.
    pub fn action(&self, instructions: &[Instruction]) -> u32 {
        let [a, b, c] = self.args;
        let nr = i32::try_from(self.number).unwrap_or(-1);
        bpf::run(instructions, &Call { arch: generate::native_audit_arch(), nr, ip: 0, args: [a, b, c, 0, 0, 0] })
    }

    pub fn passes(&self, instructions: &[Instruction]) -> bool {
        matches!(self.action(instructions) & act::MASK, act::ALLOW | act::LOG)
    }

    /// `action` for exactly this call; every other one goes on behind.
    fn emit(&self, out: &mut Vec<Instruction>, action: u32) {
        let mut tests = vec![(4, generate::native_audit_arch()), (0, self.number as u32)];
        for (index, value) in (0..self.compared).zip(self.args) {
            tests.push((16 + index * 8, value as u32));
            tests.push((20 + index * 8, (value >> 32) as u32));
        }
        let count = tests.len();
        for (position, (at, value)) in tests.into_iter().enumerate() {
            out.push(Instruction { code: LOAD, jt: 0, jf: 0, k: at });
            // To the end of this step: the remaining tests, two instructions each, and the return.
            let jf = u8::try_from((count - position - 1) * 2 + 1).unwrap_or(u8::MAX);
            out.push(Instruction { code: JEQ, jt: 0, jf, k: value });
        }
        out.push(Instruction { code: RETURN, jt: 0, jf: 0, k: action });
    }
}

/// The most instructions that a prologue of `steps` steps has.
pub const fn longest(steps: usize) -> usize {
    steps * (2 * 8 + 1)
}

/// `instructions` so that `needed` pass and `closed`, which an earlier filter let through for the library alone, don't.
/// `None` where nothing need change.
pub fn prepend(instructions: &[Instruction], needed: &[Step], closed: &[Step]) -> Option<Vec<Instruction>> {
    let mut out = Vec::new();
    for step in needed.iter().filter(|step| !step.passes(instructions)) {
        step.emit(&mut out, act::ALLOW);
    }
    for step in closed {
        step.emit(&mut out, act::ERRNO | libc::EPERM.unsigned_abs());
    }
    if out.is_empty() {
        return None;
    }
    out.extend_from_slice(instructions);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILL_ALL: [Instruction; 1] = [Instruction { code: RETURN, jt: 0, jf: 0, k: act::KILL_PROCESS }];
    const ALLOW_ALL: [Instruction; 1] = [Instruction { code: RETURN, jt: 0, jf: 0, k: act::ALLOW }];

    #[test]
    fn a_prologue_lets_exactly_the_needed_calls_pass() {
        let needed = [Step::futex(0x7fff_1234_5678, 1), Step::load(8, 0x5555_0000_0010)];
        let with = prepend(&KILL_ALL, &needed, &[]).unwrap();
        bpf::verify(&with).unwrap();
        assert!(needed.iter().all(|step| step.passes(&with)));
        for near in [Step::futex(0x7fff_1234_5679, 1), Step::futex(0x1234_5678, 1), Step::futex(0x7fff_1234_5678, 2),
                     Step::load(0, 0x5555_0000_0010), Step::load(8, 0x5555_0000_0018), Step::other(libc::SYS_read, [0; 3])] {
            assert_eq!(near.action(&with), act::KILL_PROCESS, "{near:?}");
        }
        assert!(with.len() - 1 <= longest(2));
    }

    #[test]
    fn nothing_is_added_where_the_calls_pass_anyway() {
        assert!(prepend(&ALLOW_ALL, &[Step::futex(64, 0)], &[]).is_none());
    }

    #[test]
    fn the_last_filter_closes_what_an_earlier_one_opened() {
        let hole = Step::load(0, 4096);
        let with = prepend(&ALLOW_ALL, &[], &[hole]).unwrap();
        assert_eq!(hole.action(&with), act::ERRNO | 1);
        assert_eq!(Step::load(0, 4104).action(&with), act::ALLOW);
    }
}
