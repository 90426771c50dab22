//! The simulator over ranges: what a filter may answer to every call of a kind, whatever the arguments in their ranges.
//! It errs on one side alone: where it can't tell, the answer is that the filter may refuse.

use crate::seccomp::bpf::{self, Arithmetic, Call, Instruction, LONGEST, Op, Operand, Register, Source, Test};
use crate::seccomp::{act, generate};

/// The least and the greatest value.
type Range = (u32, u32);

const ANY: Range = (0, u32::MAX);
/// The greatest argument that a step of ours has: an address of its own, or a number.
const GREATEST: u64 = (1 << 48) - 1;

/// A system call of the child's: its number, and the arguments that are always the same.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub number: i64,
    pub fixed: &'static [(usize, u64)],
}

impl Kind {
    pub const fn any(number: i64) -> Kind {
        Kind { number, fixed: &[] }
    }

    pub const fn with(number: i64, fixed: &'static [(usize, u64)]) -> Kind {
        Kind { number, fixed }
    }

    /// Whether every call of this kind passes `instructions`.
    pub fn passes(&self, instructions: &[Instruction]) -> bool {
        let mut least = Call { arch: generate::native_audit_arch(), nr: i32::try_from(self.number).unwrap_or(-1), ..Call::default() };
        let mut greatest = Call { ip: GREATEST, args: [GREATEST; 6], ..least };
        for &(index, value) in self.fixed {
            for args in [&mut least.args, &mut greatest.args] {
                if let Some(arg) = args.get_mut(index) {
                    *arg = value;
                }
            }
        }
        passes(instructions, &least, &greatest)
    }
}

/// One pass: no jump goes backwards, so that all ways to an instruction are known when it is reached.
fn passes(instructions: &[Instruction], least: &Call, greatest: &Call) -> bool {
    let mut reached: Vec<Option<Range>> = vec![None; instructions.len().min(LONGEST)];
    if let Some(first) = reached.first_mut() {
        *first = Some((0, 0));
    }
    for (pc, instruction) in instructions.iter().enumerate() {
        let Some(a) = reached.get(pc).copied().flatten() else { continue };
        let Ok(op) = bpf::decode(*instruction) else { return false };
        let mut go = |offset: u32, a: Range| match reached.get_mut(bpf::target(pc, offset)) {
            Some(there) => {
                *there = Some(there.map_or(a, |b| (a.0.min(b.0), a.1.max(b.1))));
                true
            }
            None => false,
        };
        let goes_on = match op {
            Op::Load(Register::A, Source::Constant(k)) => go(0, (k, k)),
            Op::Load(Register::A, Source::Data(offset)) => go(0, loaded(bpf::word(least, offset), bpf::word(greatest, offset))),
            Op::Load(Register::A, Source::Cell(_)) | Op::CopyToA | Op::Negate => go(0, ANY),
            Op::Load(Register::X, _) | Op::Store(..) | Op::CopyToX => go(0, a),
            // A division by an X that is 0 ends the filter.
            Op::Compute(Arithmetic::Div, Operand::X) => false,
            Op::Compute(how, Operand::K(k)) => go(0, computed(how, a, k)),
            Op::Compute(_, Operand::X) => go(0, ANY),
            Op::Jump(offset) => go(offset, a),
            Op::Branch(test, operand, jt, jf) => {
                let answer = match operand {
                    Operand::K(k) => answer(test, a, k),
                    Operand::X => None,
                };
                (answer == Some(false) || go(jt.into(), a)) && (answer == Some(true) || go(jf.into(), a))
            }
            Op::Return(k) => matches!(k & act::MASK, act::ALLOW | act::LOG),
            Op::ReturnA => false,
        };
        if !goes_on {
            return false;
        }
    }
    true
}

/// Half of a number that runs from one value to another: all that such a half can be.
fn loaded(least: u32, greatest: u32) -> Range {
    if least <= greatest { (least, greatest) } else { ANY }
}

fn computed(how: Arithmetic, (least, greatest): Range, k: u32) -> Range {
    if least == greatest {
        return bpf::compute(how, least, k).map_or(ANY, |value| (value, value));
    }
    match how {
        Arithmetic::And => (0, greatest.min(k)),
        _ => ANY,
    }
}

/// `None`: it hangs on the value.
fn answer(test: Test, (least, greatest): Range, k: u32) -> Option<bool> {
    let always = match test {
        Test::Equal => least == k && greatest == k,
        Test::Greater => least > k,
        Test::GreaterOrEqual => least >= k,
        Test::AnyBit => least == greatest && least & k != 0,
    };
    let never = match test {
        Test::Equal => k < least || k > greatest,
        Test::Greater => greatest <= k,
        Test::GreaterOrEqual => greatest < k,
        Test::AnyBit => k == 0 || greatest < 1 << k.trailing_zeros(),
    };
    match (always, never) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}
