//! The BPF verifier and simulator under arbitrary programs: they must not panic, must end, and of what the kernel would
//! take the result must be among those that `returns` foresaw.
//! For libFuzzer: `cargo fuzz run --features libfuzzer simulator`. Without it a program: `simulator COUNT [SEED]` runs as
//! many inputs, the same for the same seed; a failure names the seed of its input, `simulator 1 SEED` runs that alone.
#![cfg_attr(feature = "libfuzzer", no_main)]

use sandbox_spawn::testing::bpf::{Call, Instruction, act, returns, run, strictest, verify};

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    one(bytes);
});

/// Eight bytes an instruction, as the kernel has it but for the code: most are some that seccomp takes, or hardly any
/// program would be taken. The call is made of the same bytes. Whether the kernel would take it.
fn one(bytes: &[u8]) -> bool {
    const CODES: [u16; 41] = [
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24, 0x25, 0x2c, 0x2d, 0x34,
        0x35, 0x3c, 0x3d, 0x44, 0x45, 0x4c, 0x4d, 0x54, 0x5c, 0x60, 0x61, 0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0xa4,
        0xac,
    ];
    let Some((&head, bytes)) = bytes.split_first() else { return false };
    let (rows, _) = bytes.as_chunks::<8>();
    let length = rows.len();
    let instruction = |(at, row): (usize, &[u8; 8])| {
        let k = u32::from_le_bytes([row[4], row[5], row[6], row[7]]);
        let near = u8::try_from(length - at).unwrap_or(u8::MAX);
        match row[1] {
            // Anything.
            0 => Instruction { code: u16::from_le_bytes([row[0], row[2]]), jt: row[2], jf: row[3], k },
            kind => Instruction {
                code: CODES[usize::from(row[0]) % CODES.len()],
                jt: row[2] % near,
                jf: row[3] % near,
                k: match kind % 4 {
                    0 => k,
                    1 => k % 64,
                    2 => k % 16,
                    _ => k % 16 * 4,
                },
            },
        }
    };
    let mut program: Vec<Instruction> = rows.iter().enumerate().map(instruction).collect();
    if head % 16 != 0 {
        program.push(Instruction { code: 0x16, jt: 0, jf: 0, k: 0 });
    }
    if head == 255 {
        program = program.repeat(5000 / (length + 1) + 1); // longer than the kernel takes
    }
    let word = |at: usize| rows.get(at).map_or(0, |row| u64::from_le_bytes(*row));
    let call = Call {
        arch: word(0) as u32,
        nr: word(1) as i32,
        ip: word(2),
        args: std::array::from_fn(|at| word(at + 3)),
    };
    let (verdict, result) = (verify(&program), run(&program, &call));
    assert_eq!(run(&program, &call), result, "the same call comes to something else");
    let foreseen = returns(&program, |value| value == result);
    match &verdict {
        Ok(()) => assert!(foreseen, "{result:#x} was not foreseen"),
        Err(error) => assert!(!error.is_empty()),
    }
    let decided = strictest([act::ALLOW, result].into_iter());
    assert_eq!(strictest([decided].into_iter()), decided);
    verdict.is_ok()
}

#[cfg(not(feature = "libfuzzer"))]
fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().expect("a number"));
    let (count, first) = (args.next().unwrap_or(1000), args.next().unwrap_or(1));
    let mut taken = 0;
    for seed in first..first + count {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let length = next() % 400;
        let bytes: Vec<u8> = (0..length).map(|_| next().to_le_bytes()[3]).collect();
        match std::panic::catch_unwind(|| one(&bytes)) {
            Ok(is_taken) => taken += u64::from(is_taken),
            Err(_) => {
                eprintln!("the input of seed {seed} fails");
                std::process::exit(1);
            }
        }
    }
    println!("{count} inputs from seed {first}, {taken} of them programs that the kernel would take");
}
