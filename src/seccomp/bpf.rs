//! Classic BPF as seccomp takes it: the verifier and the simulator. The kernel's rules, without the kernel.
//! Verifier, simulator and `returns` read instructions through one decoder, so that they agree on what exists.
//! Nothing here may panic, whatever the program.

use crate::seccomp::act;

/// The kernel's `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// One system call, as a filter sees it: the kernel's `struct seccomp_data`.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct sandbox_syscall {
    /// AUDIT_ARCH_*.
    pub arch: u32,
    pub nr: i32,
    /// The instruction pointer.
    pub ip: u64,
    pub args: [u64; 6],
}

pub use sandbox_syscall as Call;

/// BPF_MAXINSNS.
pub const LONGEST: usize = 4096;
/// BPF_MEMWORDS.
const CELLS: usize = 16;
/// sizeof(struct seccomp_data): what BPF_LEN loads, and where loads end.
const DATA_SIZE: u32 = 64;
/// MAX_ERRNO: the kernel cuts an ERRNO's data to it.
const MAX_ERRNO: u32 = 4095;

#[derive(Clone, Copy)]
pub(super) enum Register {
    A,
    X,
}

#[derive(Clone, Copy)]
pub(super) enum Source {
    Constant(u32),
    /// Offset into the call's data.
    Data(u32),
    Cell(usize),
}

#[derive(Clone, Copy)]
pub(super) enum Operand {
    K(u32),
    X,
}

#[derive(Clone, Copy)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Or,
    And,
    Lsh,
    Rsh,
    Xor,
}

#[derive(Clone, Copy)]
pub(super) enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
    AnyBit,
}

#[derive(Clone, Copy)]
pub(super) enum Op {
    Load(Register, Source),
    Store(Register, usize),
    Compute(Arithmetic, Operand),
    Negate,
    CopyToX,
    CopyToA,
    Jump(u32),
    Branch(Test, Operand, u8, u8),
    Return(u32),
    ReturnA,
}

impl Op {
    /// How far a jump may go beyond the next instruction.
    fn offsets(self) -> Option<[u32; 2]> {
        match self {
            Op::Jump(offset) => Some([offset; 2]),
            Op::Branch(_, _, jt, jf) => Some([jt.into(), jf.into()]),
            _ => None,
        }
    }
}

/// Reads one instruction, by the numbers of linux/bpf_common.h. Whatever is wrong with it by itself is found here.
pub(super) fn decode(instruction: Instruction) -> Result<Op, &'static str> {
    let Instruction { code, jt, jf, k } = instruction;
    // Bit 3 of an ALU or JMP code: the operand is X.
    let operand = if code & 0x08 == 0 { Operand::K(k) } else { Operand::X };
    let op = match code {
        0x00 => Op::Load(Register::A, Source::Constant(k)),
        0x01 => Op::Load(Register::X, Source::Constant(k)),
        0x20 => Op::Load(Register::A, Source::Data(data_offset(k)?)),
        0x60 => Op::Load(Register::A, Source::Cell(cell(k)?)),
        0x61 => Op::Load(Register::X, Source::Cell(cell(k)?)),
        0x80 => Op::Load(Register::A, Source::Constant(DATA_SIZE)),
        0x81 => Op::Load(Register::X, Source::Constant(DATA_SIZE)),
        0x02 => Op::Store(Register::A, cell(k)?),
        0x03 => Op::Store(Register::X, cell(k)?),
        0x04 | 0x0c => Op::Compute(Arithmetic::Add, operand),
        0x14 | 0x1c => Op::Compute(Arithmetic::Sub, operand),
        0x24 | 0x2c => Op::Compute(Arithmetic::Mul, operand),
        0x34 if k == 0 => return Err("divides by the constant 0"),
        0x34 | 0x3c => Op::Compute(Arithmetic::Div, operand),
        0x44 | 0x4c => Op::Compute(Arithmetic::Or, operand),
        0x54 | 0x5c => Op::Compute(Arithmetic::And, operand),
        0x64 | 0x74 if k >= 32 => return Err("shifts by 32 bits or more"),
        0x64 | 0x6c => Op::Compute(Arithmetic::Lsh, operand),
        0x74 | 0x7c => Op::Compute(Arithmetic::Rsh, operand),
        0x84 => Op::Negate,
        0xa4 | 0xac => Op::Compute(Arithmetic::Xor, operand),
        0x05 => Op::Jump(k),
        0x15 | 0x1d => Op::Branch(Test::Equal, operand, jt, jf),
        0x25 | 0x2d => Op::Branch(Test::Greater, operand, jt, jf),
        0x35 | 0x3d => Op::Branch(Test::GreaterOrEqual, operand, jt, jf),
        0x45 | 0x4d => Op::Branch(Test::AnyBit, operand, jt, jf),
        0x06 => Op::Return(k),
        0x16 => Op::ReturnA,
        0x07 => Op::CopyToX,
        0x87 => Op::CopyToA,
        _ => return Err("is none that seccomp takes"),
    };
    Ok(op)
}

fn data_offset(k: u32) -> Result<u32, &'static str> {
    match k {
        _ if !k.is_multiple_of(4) => Err("loads from an offset that is no multiple of 4"),
        DATA_SIZE.. => Err("loads from beyond the 64 bytes of the system call's data"),
        _ => Ok(k),
    }
}

fn cell(k: u32) -> Result<usize, &'static str> {
    usize::try_from(k).ok().filter(|cell| *cell < CELLS).ok_or("uses a memory cell above M[15]")
}

/// Where a jump at `pc` arrives. Saturated is out of every program.
pub(super) fn target(pc: usize, offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX).saturating_add(pc + 1)
}

/// What is wrong with `instructions`, with the position of the first that is; what the kernel would refuse.
pub fn verify(instructions: &[Instruction]) -> Result<(), String> {
    let length = instructions.len();
    if length == 0 || length > LONGEST {
        return Err(format!("a program of {length} instructions: the kernel takes 1 to {LONGEST}"));
    }
    // Cells stored on every path, a bit each, in the kernel's one pass: it takes a RET for an instruction that falls
    // through, and we must not know better.
    let mut stored_at = vec![u16::MAX; length];
    let mut stored = 0u16;
    for (pc, instruction) in instructions.iter().enumerate() {
        let Instruction { code, k, .. } = *instruction;
        let wrong = |what: &str| format!("instruction {pc} (code {code:#04x}, k {k:#x}) {what}");
        let op = decode(*instruction).map_err(wrong)?;
        stored &= stored_at[pc];
        match op {
            Op::Store(_, cell) => stored |= 1 << cell,
            Op::Load(_, Source::Cell(cell)) if stored & (1 << cell) == 0 => {
                return Err(wrong("loads a memory cell that not every path to it stores"));
            }
            _ => {}
        }
        if let Some(offsets) = op.offsets() {
            for offset in offsets {
                *stored_at.get_mut(target(pc, offset)).ok_or_else(|| wrong("jumps beyond the end"))? &= stored;
            }
            stored = u16::MAX;
        }
    }
    match decode(instructions[length - 1]) {
        Ok(Op::Return(_) | Op::ReturnA) => Ok(()),
        _ => Err(format!("instruction {} is the last and no RET", length - 1)),
    }
}

/// What `instructions` return for `call`, as the kernel computes it: in 32 bits that wrap around. See `strictest` for
/// what the kernel makes of that. Where it comes to something that `verify` refuses, the answer is KILL_PROCESS.
pub fn run(instructions: &[Instruction], call: &Call) -> u32 {
    let (mut a, mut x) = (0u32, 0u32);
    let mut cells = [None; CELLS];
    let mut pc = 0;
    // Ends: there is no jump backwards.
    while let Some(op) = instructions.get(pc).and_then(|instruction| decode(*instruction).ok()) {
        let value = |operand| match operand {
            Operand::K(k) => k,
            Operand::X => x,
        };
        let mut next = pc + 1;
        match op {
            Op::Load(register, source) => {
                let loaded = match source {
                    Source::Constant(k) => Some(k),
                    Source::Data(offset) => Some(word(call, offset)),
                    Source::Cell(cell) => cells[cell],
                };
                let Some(loaded) = loaded else { return act::KILL_PROCESS };
                match register {
                    Register::A => a = loaded,
                    Register::X => x = loaded,
                }
            }
            Op::Store(Register::A, cell) => cells[cell] = Some(a),
            Op::Store(Register::X, cell) => cells[cell] = Some(x),
            Op::Compute(how, operand) => match compute(how, a, value(operand)) {
                Some(result) => a = result,
                // The kernel's answer to a division by an X that is 0: the filter ends with 0.
                None => return 0,
            },
            Op::Negate => a = a.wrapping_neg(),
            Op::CopyToX => x = a,
            Op::CopyToA => a = x,
            Op::Jump(offset) => next = target(pc, offset),
            Op::Branch(test, operand, jt, jf) => {
                next = target(pc, if holds(test, a, value(operand)) { jt } else { jf }.into());
            }
            Op::Return(k) => return k,
            Op::ReturnA => return a,
        }
        pc = next;
    }
    act::KILL_PROCESS
}

/// `None`: a division by 0.
pub(super) fn compute(how: Arithmetic, a: u32, operand: u32) -> Option<u32> {
    match how {
        Arithmetic::Add => Some(a.wrapping_add(operand)),
        Arithmetic::Sub => Some(a.wrapping_sub(operand)),
        Arithmetic::Mul => Some(a.wrapping_mul(operand)),
        Arithmetic::Div => a.checked_div(operand),
        Arithmetic::Or => Some(a | operand),
        Arithmetic::And => Some(a & operand),
        // The kernel turns the program into eBPF, whose 32-bit shifts use the low five bits of X.
        Arithmetic::Lsh => Some(a.wrapping_shl(operand)),
        Arithmetic::Rsh => Some(a.wrapping_shr(operand)),
        Arithmetic::Xor => Some(a ^ operand),
    }
}

fn holds(test: Test, a: u32, operand: u32) -> bool {
    match test {
        Test::Equal => a == operand,
        Test::Greater => a > operand,
        Test::GreaterOrEqual => a >= operand,
        Test::AnyBit => a & operand != 0,
    }
}

/// The 32 bits at `offset` of the kernel's `struct seccomp_data`: nr, arch, ip, args. Of a 64-bit field the half that
/// lies first in memory comes first.
pub(super) fn word(call: &Call, offset: u32) -> u32 {
    let field = match offset {
        0 => return call.nr.cast_unsigned(),
        4 => return call.arch,
        8 | 12 => call.ip,
        _ => usize::try_from((offset - 16) / 8).ok().and_then(|index| call.args.get(index)).copied().unwrap_or(0),
    };
    let [b0, b1, b2, b3, b4, b5, b6, b7] = field.to_ne_bytes();
    u32::from_ne_bytes(if offset.is_multiple_of(8) { [b0, b1, b2, b3] } else { [b4, b5, b6, b7] })
}

/// Whether some RET that can be reached gives a value that satisfies `which`; a RET of the accumulator may give
/// anything. Conditions count as open: of a verified program it never says no to what `run` can return.
pub fn returns(instructions: &[Instruction], which: impl Fn(u32) -> bool) -> bool {
    let mut reached = vec![false; instructions.len()];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for (pc, instruction) in instructions.iter().enumerate() {
        if !reached[pc] {
            continue;
        }
        let found = match decode(*instruction) {
            Ok(Op::ReturnA) => true,
            Ok(Op::Return(k)) => which(k),
            Ok(op) => {
                for offset in op.offsets().unwrap_or([0; 2]) {
                    if let Some(reached) = reached.get_mut(target(pc, offset)) {
                        *reached = true;
                    }
                }
                // A division by an X that is 0 ends the filter with 0.
                matches!(op, Op::Compute(Arithmetic::Div, Operand::X)) && which(0)
            }
            Err(_) => which(act::KILL_PROCESS),
        };
        if found {
            return true;
        }
    }
    false
}

/// What the kernel does where several filters are loaded, from what each returned, in the order of loading: the most
/// restrictive, of equal ones the newest. A value that is none of the kernel's actions takes its place in that order
/// by its number, and then kills.
pub fn strictest(actions: impl Iterator<Item = u32>) -> u32 {
    let stricter = |strictest, action| if act::precedence(action) <= act::precedence(strictest) { action } else { strictest };
    let strictest = actions.fold(act::ALLOW, stricter);
    match strictest & act::MASK {
        act::ERRNO => act::ERRNO | (strictest & !act::MASK).min(MAX_ERRNO),
        act::ALLOW => act::ALLOW,
        act::KILL_PROCESS | act::KILL_THREAD | act::TRAP | act::NOTIFY | act::TRACE | act::LOG => strictest,
        _ => act::KILL_PROCESS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn op(code: u16, k: u32) -> Instruction {
        Instruction { code, jt: 0, jf: 0, k }
    }

    fn branch(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
        Instruction { code, jt, jf, k }
    }

    const RET_A: Instruction = Instruction { code: 0x16, jt: 0, jf: 0, k: 0 };

    fn ret(k: u32) -> Instruction {
        op(0x06, k)
    }

    fn ld(k: u32) -> Instruction {
        op(0x00, k)
    }

    fn ldx(k: u32) -> Instruction {
        op(0x01, k)
    }

    /// What the program returns, which has to be one that the kernel takes.
    fn result(program: &[Instruction]) -> u32 {
        assert_eq!(verify(program), Ok(()), "{program:x?}");
        run(program, &Call::default())
    }

    #[track_caller]
    fn refused(program: &[Instruction], why: &str) {
        let error = verify(program).expect_err("accepted");
        assert!(error.contains(why), "{error}");
    }

    /// The program `A = a; X = x; A = A code X`, and where it is allowed the same with the operand in the instruction.
    #[track_caller]
    fn computes(code: u16, a: u32, operand: u32, expected: u32) {
        assert_eq!(result(&[ld(a), ldx(operand), op(code | 0x08, 0), RET_A]), expected, "by X");
        let constant = [ld(a), op(code, operand), RET_A];
        if verify(&constant).is_ok() {
            assert_eq!(result(&constant), expected, "by K");
        }
    }

    #[test]
    fn arithmetic_wraps_around_in_32_bits() {
        computes(0x04, u32::MAX, 2, 1);
        computes(0x14, 1, 2, u32::MAX);
        computes(0x24, 0x8000_0001, 2, 2);
        computes(0x24, u32::MAX, u32::MAX, 1);
        computes(0x34, u32::MAX, 2, 0x7fff_ffff);
        computes(0x34, 0x8000_0000, u32::MAX, 0);
        computes(0x44, 0xf0f0_0000, 0xff, 0xf0f0_00ff);
        computes(0x54, 0xf0f0_ffff, 0xff0f, 0xff0f);
        computes(0xa4, u32::MAX, 0xff, 0xffff_ff00);
        assert_eq!(result(&[ld(1), op(0x84, 0), RET_A]), u32::MAX);
        assert_eq!(result(&[ld(0x8000_0000), op(0x84, 0), RET_A]), 0x8000_0000);
    }

    #[test]
    fn shifts_by_x_use_its_low_five_bits() {
        computes(0x64, 3, 31, 0x8000_0000);
        computes(0x74, 0x8000_0000, 31, 1);
        computes(0x64, 3, 0, 3);
        computes(0x64, 3, 32, 3);
        computes(0x64, 3, 33, 6);
        computes(0x74, 8, 0xffff_ffe1, 4);
    }

    #[test]
    fn division_by_an_x_of_0_returns_0() {
        assert_eq!(result(&[ld(5), ldx(0), op(0x3c, 0), ret(act::ALLOW)]), 0);
        assert!(returns(&[op(0x3c, 0), ret(act::ALLOW)], |action| action == act::KILL_THREAD));
        assert!(!returns(&[op(0x34, 3), ret(act::ALLOW)], |action| action == act::KILL_THREAD));
    }

    #[test]
    fn registers_start_at_0_and_are_copied() {
        assert_eq!(result(&[RET_A]), 0);
        assert_eq!(result(&[op(0x87, 0), RET_A]), 0);
        assert_eq!(result(&[ld(7), op(0x07, 0), ld(1), op(0x87, 0), RET_A]), 7);
        assert_eq!(result(&[ld(7), ldx(8), op(0x07, 0), op(0x04, 0), op(0x0c, 0), RET_A]), 14);
    }

    #[test]
    fn cells_keep_what_is_stored() {
        assert_eq!(result(&[ld(7), op(0x02, 15), ld(0), op(0x60, 15), RET_A]), 7);
        assert_eq!(result(&[ldx(7), op(0x03, 0), ldx(0), op(0x61, 0), op(0x87, 0), RET_A]), 7);
    }

    #[test]
    fn len_is_the_size_of_the_calls_data() {
        assert_eq!(result(&[op(0x80, 0), RET_A]), 64);
        assert_eq!(result(&[op(0x81, 0), op(0x87, 0), RET_A]), 64);
        assert_eq!(std::mem::size_of::<Call>(), 64);
    }

    #[test]
    fn every_word_of_the_call_can_be_loaded() {
        let call = Call { arch: 2, nr: -1, ip: 0x4_0000_0003, args: std::array::from_fn(|i| (2 * i as u64 + 5) | (2 * i as u64 + 6) << 32) };
        let words: Vec<u32> = (0..DATA_SIZE).step_by(4).map(|offset| run(&[op(0x20, offset), RET_A], &call)).collect();
        let mut expected: Vec<u32> = (3..17).collect();
        if cfg!(target_endian = "big") {
            expected.chunks_mut(2).for_each(<[u32]>::reverse);
        }
        assert_eq!(words[..2], [u32::MAX, 2]);
        assert_eq!(words[2..], expected);
    }

    #[test]
    fn comparisons_are_unsigned() {
        let cases = [
            (0x15, 5, 5, true), (0x15, 5, 6, false),
            (0x25, u32::MAX, 1, true), (0x25, 1, u32::MAX, false), (0x25, 5, 5, false),
            (0x35, 5, 5, true), (0x35, 0x7fff_ffff, 0x8000_0000, false), (0x35, 0x8000_0000, 0x7fff_ffff, true),
            (0x45, 0x8000_0001, 0x8000_0000, true), (0x45, 6, 9, false), (0x45, 6, 0, false),
        ];
        for (code, a, operand, holds) in cases {
            let expected = if holds { 1 } else { 2 };
            let by_k = [ld(a), branch(code, operand, 0, 1), ret(1), ret(2)];
            let by_x = [ld(a), ldx(operand), branch(code | 0x08, 0, 0, 1), ret(1), ret(2)];
            assert_eq!((result(&by_k), result(&by_x)), (expected, expected), "code {code:#x} {a:#x} {operand:#x}");
        }
    }

    #[test]
    fn the_longest_jumps_arrive() {
        let mut far = vec![op(0x05, 4094)];
        far.resize(4095, ret(1));
        far.push(ret(2));
        assert_eq!(result(&far), 2);
        let mut conditional = vec![branch(0x15, 0, 255, 0)];
        conditional.resize(256, ret(1));
        conditional.push(ret(2));
        assert_eq!(result(&conditional), 2);
    }

    #[test]
    fn exactly_the_codes_of_seccomp_are_taken() {
        let taken = (0..=u16::MAX).filter(|code| verify(&[op(0x02, 1), op(0x02, 4), branch(*code, 4, 0, 0), ret(0), ret(0), ret(0), ret(0), ret(0)]).is_ok());
        let known = [
            0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24, 0x25, 0x2c, 0x2d,
            0x34, 0x35, 0x3c, 0x3d, 0x44, 0x45, 0x4c, 0x4d, 0x54, 0x5c, 0x60, 0x61, 0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84,
            0x87, 0xa4, 0xac,
        ];
        assert_eq!(taken.collect::<BTreeSet<u16>>(), BTreeSet::from(known));
    }

    #[test]
    fn what_the_kernel_refuses_is_refused_with_its_position() {
        refused(&[], "0 instructions");
        refused(&vec![ret(0); 4097], "4097 instructions");
        assert_eq!(verify(&vec![ret(0); 4096]), Ok(()));
        refused(&[ld(0)], "instruction 0 is the last and no RET");
        refused(&[ret(0), op(0x05, 0)], "instruction 1 (code 0x05, k 0x0) jumps beyond the end");
        refused(&[ret(0), op(0x94, 1), ret(0)], "instruction 1 (code 0x94, k 0x1) is none that seccomp takes");
        refused(&[op(0x20, 2), ret(0)], "no multiple of 4");
        refused(&[op(0x20, 64), ret(0)], "beyond the 64 bytes");
        refused(&[op(0x20, 0xffff_fffc), ret(0)], "beyond the 64 bytes");
        refused(&[op(0x34, 0), ret(0)], "divides by the constant 0");
        refused(&[op(0x64, 32), ret(0)], "shifts");
        refused(&[op(0x74, u32::MAX), ret(0)], "shifts");
        refused(&[op(0x02, 16), ret(0)], "above M[15]");
        refused(&[op(0x03, u32::MAX), ret(0)], "above M[15]");
        refused(&[op(0x60, 16), ret(0)], "above M[15]");
        refused(&[op(0x05, 1), ret(0)], "jumps beyond");
        refused(&[op(0x05, u32::MAX), ret(0)], "jumps beyond");
        refused(&[branch(0x15, 0, 1, 0), ret(0)], "jumps beyond");
        refused(&[branch(0x15, 0, 0, 1), ret(0)], "jumps beyond");
    }

    #[test]
    fn a_cell_may_be_loaded_only_where_every_path_stored_it() {
        let why = "not every path to it stores";
        refused(&[op(0x60, 0), ret(0)], why);
        refused(&[op(0x02, 1), op(0x61, 0), ret(0)], why);
        refused(&[branch(0x15, 0, 0, 1), op(0x02, 0), op(0x60, 0), ret(0)], why);
        let both = [branch(0x15, 0, 0, 2), op(0x02, 0), op(0x05, 1), op(0x03, 0), op(0x60, 0), ret(0)];
        assert_eq!(verify(&both), Ok(()));
        // Code that nothing reaches counts as having everything stored after a jump, but not after a RET.
        assert_eq!(verify(&[op(0x05, 1), op(0x60, 0), ret(0)]), Ok(()));
        refused(&[ret(0), op(0x60, 0), ret(0)], why);
    }

    #[test]
    fn a_program_that_the_kernel_refuses_kills_where_it_is_wrong() {
        for program in [&[][..], &[ld(0)], &[op(0x05, u32::MAX), ret(0)], &[op(0x60, 3), RET_A], &[op(0x20, 64), RET_A], &[op(0xffff, 0), ret(0)]] {
            assert_eq!(run(program, &Call::default()), act::KILL_PROCESS, "{program:x?}");
        }
    }

    #[test]
    fn returns_sees_what_can_be_reached() {
        let notify = |action| action == act::NOTIFY;
        assert!(returns(&[branch(0x15, 0, 1, 0), ret(act::ALLOW), ret(act::NOTIFY)], notify));
        assert!(!returns(&[ret(act::ALLOW), ret(act::NOTIFY)], notify));
        assert!(!returns(&[op(0x05, 1), ret(act::NOTIFY), ret(act::ALLOW)], notify));
        assert!(returns(&[ld(0), RET_A], notify));
        assert!(!returns(&[], notify));
        assert!(!returns(&[op(0x05, u32::MAX), ret(act::ALLOW)], notify));
    }

    #[test]
    fn of_stacked_filters_the_strictest_and_then_the_newest_decides() {
        let of = |actions: &[u32]| strictest(actions.iter().copied());
        let order = [act::KILL_PROCESS, act::KILL_THREAD, act::TRAP, act::ERRNO, act::NOTIFY, act::TRACE, act::LOG, act::ALLOW];
        for pair in order.windows(2) {
            assert_eq!((of(pair), of(&[pair[1], pair[0]])), (pair[0], pair[0]));
        }
        assert_eq!(of(&[]), act::ALLOW);
        assert_eq!(of(&[act::ERRNO | 1, act::ALLOW, act::ERRNO | 2, act::LOG]), act::ERRNO | 2);
        assert_eq!(of(&[act::ERRNO | 0xffff]), act::ERRNO | 4095);
        assert_eq!(of(&[act::ALLOW | 7]), act::ALLOW);
        assert_eq!(of(&[act::TRAP | 7]), act::TRAP | 7);
        // Unknown values: ordered by number, then they kill.
        assert_eq!(of(&[0x0001_0000, act::TRAP]), act::KILL_PROCESS);
        assert_eq!(of(&[0x0004_0000, act::TRAP]), act::TRAP);
        assert_eq!(of(&[0xffff_0000, act::KILL_THREAD]), act::KILL_PROCESS);
        assert_eq!(of(&[0x7ffe_0000]), act::KILL_PROCESS);
    }
}
