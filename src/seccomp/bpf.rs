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
mod tests;
