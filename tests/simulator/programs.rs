//! Drawn programs, and what spoils them.

use super::*;

pub fn op(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

const ALU: [u16; 9] = [0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0xa4];
const JUMPS: [u16; 4] = [0x15, 0x25, 0x35, 0x45];
pub const CODES: [u16; 41] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24, 0x25, 0x2c, 0x2d, 0x34, 0x35,
    0x3c, 0x3d, 0x44, 0x45, 0x4c, 0x4d, 0x54, 0x5c, 0x60, 0x61, 0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0xa4, 0xac,
];

/// An action of every kind, most of them an ERRNO: that tells its data without ending the process.
pub fn action(chance: &mut Chance) -> u32 {
    let data = chance.word() & 0xffff;
    match chance.below(100) {
        0..60 => act::ERRNO | data & 0xfff,
        60..65 => act::ERRNO | data,
        65..76 => act::ALLOW | data,
        76..84 => act::TRAP | data,
        84..88 => act::TRACE | data,
        88..91 => act::NOTIFY | data,
        91 => act::LOG,
        92..94 => act::KILL_PROCESS | data,
        94..96 => act::KILL_THREAD | data,
        96..98 => chance.of(&[0x0001_0000, 0x0004_0000, 0x7fe0_0000, 0x7ffe_0000, 0xffff_0000]) | data,
        _ => chance.word(),
    }
}

/// One instruction with at least `left` after it. Cells that are loaded come from `stored`.
fn instruction(chance: &mut Chance, left: usize, stored: &[u32]) -> Instruction {
    let by_x = u16::from(chance.hits(40)) * 0x08;
    match chance.below(100) {
        0..25 => op(0x20, u32::try_from(chance.below(16) * 4).unwrap()),
        25..31 => op(0x00, chance.telling()),
        31..40 => op(0x01, chance.telling()),
        40..43 => op(chance.of(&[0x80, 0x81]), 0),
        43..49 => op(chance.of(&[0x02, 0x03]), u32::try_from(chance.below(16)).unwrap()),
        49..56 if !stored.is_empty() => op(chance.of(&[0x60, 0x61]), chance.of(stored)),
        56..61 => op(chance.of(&[0x07, 0x87]), chance.word()),
        61..63 => op(0x84, chance.word()),
        63..66 => op(0x05, u32::try_from(chance.below(left.min(20))).unwrap()),
        66..82 => {
            let code = chance.of(&JUMPS) | by_x;
            let near = left.min(if chance.hits(80) { 8 } else { 256 });
            let [jt, jf] = [chance.below(near), chance.below(near)].map(|offset| u8::try_from(offset).unwrap());
            Instruction { code, jt, jf, k: chance.telling() }
        }
        82..84 => op(0x06, action(chance)),
        _ => {
            let code = chance.of(&ALU);
            let k = match code {
                0x34 => chance.telling().max(1),
                0x64 | 0x74 => chance.word() % 32,
                _ => chance.telling(),
            };
            op(code | by_x, k)
        }
    }
}

/// A program that the kernel takes: `prologue`, some stores, anything, and a way to tell what became of A.
pub fn program(chance: &mut Chance, prologue: &[Instruction], length: usize) -> Vec<Instruction> {
    let mut program = prologue.to_vec();
    let stored: Vec<u32> = (0..16).filter(|_| chance.hits(30)).collect();
    for cell in &stored {
        program.push(op(chance.of(&[0x02, 0x03]), *cell));
    }
    let ending = match chance.below(10) {
        0 => vec![op(0x06, action(chance))],
        1 => vec![op(0x16, 0)],
        _ => vec![op(0x74, chance.word() % 21), op(0x54, 0xfff), op(0x44, act::ERRNO), op(0x16, 0)],
    };
    for rest in (0..length).rev() {
        program.push(instruction(chance, rest + ending.len(), &stored));
    }
    program.extend(ending);
    program
}

/// A few things changed in a program, most of them so that the kernel must look twice.
pub fn spoil(chance: &mut Chance, program: &mut Vec<Instruction>) {
    for _ in 0..chance.below(4) {
        let at = chance.below(program.len());
        match chance.below(9) {
            0 => program[at].code = chance.word() as u16 & chance.of(&[0xff, 0xffff, 0x1f]),
            1 => program[at].code = chance.of(&CODES),
            2 => program[at].k = chance.telling(),
            3 => program[at].k = u32::try_from(program.len() - at).unwrap().wrapping_sub(chance.word() % 4),
            4 => program[at].jt = chance.word() as u8,
            5 => program[at].jf = chance.word() as u8,
            6 => program[at] = op(chance.of(&[0x60, 0x61]), chance.word() % 17),
            7 => program[at] = op(chance.of(&[0x02, 0x20, 0x34, 0x64, 0x74]), chance.telling()),
            _ => program.truncate(at + 1),
        }
    }
}

/// A call that does nothing, with arguments that the programs ask for.
pub fn random_call(chance: &mut Chance, programs: &[Vec<Instruction>], ip: u64) -> Call {
    let nr = match chance.below(20) {
        0..8 => GETPPID,
        8..17 => (FIRST_UNKNOWN + chance.word() % 3000).cast_signed(),
        17..19 => (0x5000_0000 + chance.word() % 0x2000_0000).cast_signed(),
        _ => -2 - (chance.word() % 1000).cast_signed(),
    };
    let mut half = || {
        let program = &programs[chance.below(programs.len())];
        if chance.hits(50) { program[chance.below(program.len())].k } else { chance.telling() }
    };
    Call { arch: ARCH, nr, ip, args: std::array::from_fn(|_| u64::from(half()) << 32 | u64::from(half())) }
}
