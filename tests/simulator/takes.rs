//! What the kernel takes is what the verifier takes.

use super::*;

/// Whether the kernel takes each program, by asking for a listener where no fd may be had: what is right fails with
/// EMFILE only after the checks, and nothing is loaded.
fn kernel_takes(programs: &[Vec<Instruction>]) -> Vec<bool> {
    let answers = Shared::<i32>::new(programs.len());
    let status = in_child(|| {
        let none = [0u64; 2];
        call(libc::SYS_prlimit64, &[0, libc::RLIMIT_NOFILE as u64, none.as_ptr().addr() as u64]);
        for (i, program) in programs.iter().enumerate() {
            let answer = load(program, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u64);
            // SAFETY: as many as programs are mapped.
            unsafe { *answers.0.add(i) = answer as i32 };
        }
        0
    });
    assert_eq!(status, 0);
    let answers = answers.take().into_iter().enumerate();
    answers
        .map(|(i, answer)| match -answer {
            libc::EMFILE => true,
            libc::EINVAL => false,
            other => panic!("errno {other} for {:x?}", programs[i]),
        })
        .collect()
}

fn compare_verdicts(programs: &[Vec<Instruction>], name: impl Fn(usize) -> String) -> usize {
    let taken = kernel_takes(programs);
    for (i, (program, is_taken)) in programs.iter().zip(&taken).enumerate() {
        let verdict = verify(program);
        assert_eq!(verdict.is_ok(), *is_taken, "{}: verified {verdict:?}, kernel {is_taken}\n{program:x?}", name(i));
    }
    taken.iter().filter(|is_taken| **is_taken).count()
}

#[test]
fn the_kernel_takes_exactly_the_codes_and_lengths_that_are_verified() {
    if is_skipped("the_kernel_takes_exactly_the_codes_and_lengths_that_are_verified") {
        return;
    }
    let with = |code| {
        let rest = [op(0x06, 0); 5];
        [&[op(0x02, 1), op(0x02, 4), Instruction { code, jt: 0, jf: 0, k: 4 }][..], &rest].concat()
    };
    let codes: Vec<_> = (0..=u16::MAX).map(with).collect();
    assert_eq!(compare_verdicts(&codes, |code| format!("code {code:#x}")), CODES.len());
    let lengths: Vec<_> = [0, 1, 2, 4095, 4096, 4097, 5000, 65535].map(|length| vec![op(0x06, 0); length]).into();
    assert_eq!(compare_verdicts(&lengths, |i| format!("length {}", lengths[i].len())), 4);
}

#[test]
fn the_kernel_takes_exactly_the_operands_that_are_verified() {
    if is_skipped("the_kernel_takes_exactly_the_operands_that_are_verified") {
        return;
    }
    let mut programs = Vec::new();
    for code in CODES {
        for k in (0..80).chain([255, 256, 0x7fff_ffff, 0x8000_0000, 0xffff_f000, 0xffff_f024, u32::MAX - 3, u32::MAX]) {
            let mut program: Vec<_> = (0..16).map(|cell| op(0x02, cell)).collect();
            program.push(Instruction { code, jt: k as u8, jf: (k >> 2) as u8, k });
            program.resize(60, op(0x06, 0));
            programs.push(program);
        }
    }
    let taken = compare_verdicts(&programs, |i| format!("{:x?}", programs[i][16]));
    assert!(taken > programs.len() / 4 && taken < programs.len(), "{taken} of {}", programs.len());
}

#[test]
fn the_kernel_takes_exactly_the_programs_that_are_verified() {
    const CASES: u64 = 40_000;
    if is_skipped("the_kernel_takes_exactly_the_programs_that_are_verified") {
        return;
    }
    let seeds: Vec<_> = seeds(2, CASES).collect();
    let spoilt = |seed: &u64| {
        let chance = &mut Chance(*seed);
        let length = chance.below(40);
        let mut program = program(chance, &[], length);
        spoil(chance, &mut program);
        program
    };
    let programs: Vec<_> = seeds.iter().map(spoilt).collect();
    let taken = compare_verdicts(&programs, |i| format!("seed {}", seeds[i]));
    assert!(taken > programs.len() / 4 && taken < programs.len() * 3 / 4, "{taken} of {}", programs.len());
    // Each kind of refusal was met.
    let errors: Vec<_> = programs.iter().filter_map(|program| verify(program).err()).collect();
    for why in ["none that seccomp takes", "multiple of 4", "beyond the 64", "constant 0", "32 bits or more", "above M[15]", "not every path", "beyond the end", "no RET"] {
        assert!(errors.iter().filter(|error| error.contains(why)).count() > 20, "{why:?} hardly ever came up");
    }
}
