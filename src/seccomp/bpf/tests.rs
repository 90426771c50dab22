//! What each instruction computes, what the kernel refuses, and what may be returned: by programs written by hand.
//! tests/simulator asks the kernel itself, with drawn ones.

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
