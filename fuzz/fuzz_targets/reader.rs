//! What the fuzz targets on the readers share: a text goes through the C function, and whatever it says, the outcome is a
//! filter that compiles, or an error with its words. Without libFuzzer, samples are mangled from seeds.

use sandbox_spawn::capi::error::sandbox_error;
use sandbox_spawn::capi::filter::*;
use sandbox_spawn::capi::sandbox_syscall;
use std::ffi::{CStr, c_char, c_int};
use std::ptr::null_mut;

pub type Read = extern "C" fn(*mut sandbox_filter, *const c_char, usize, *mut sandbox_error) -> c_int;

/// Whether the text was taken.
pub fn one(read: Read, text: &[u8]) -> bool {
    let filter = sandbox_filter_new(0x8000_0000);
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/policies\0");
    assert_eq!(sandbox_filter_policy_directory(filter, directory.as_ptr().cast()), 0);
    let mut error = sandbox_error { code: 0, stage: 0, index: 0, message: [0; 244] };
    let code = read(filter, text.as_ptr().cast(), text.len(), &raw mut error);
    assert_eq!(code, error.code);
    let (mut action, call) = (0, sandbox_syscall::default());
    let simulated = sandbox_filter_simulate(filter, &raw const call, &raw mut action);
    if code == 0 {
        // Well-formed rules can still be too many for a filter, or more than its architectures allow to say.
        assert!(matches!(-simulated, 0 | libc::E2BIG | libc::EOPNOTSUPP), "it compiles to {simulated}");
    } else {
        // A panic that was caught has this code.
        assert_ne!(code, -libc::ENOTRECOVERABLE);
        assert_eq!(simulated, code, "the filter is refused ever after");
        // SAFETY: the library ends the message with a NUL.
        assert!(!unsafe { CStr::from_ptr(error.message.as_ptr()) }.is_empty());
    }
    sandbox_filter_free(filter);
    assert_eq!(sandbox_filter_policy_directory(null_mut(), directory.as_ptr().cast()), -libc::EFAULT);
    code == 0
}

/// `NAME COUNT [SEED]`: as many mangled samples, the same for the same seed.
#[cfg(not(feature = "libfuzzer"))]
pub fn main(read: Read, samples: &[&[u8]], words: &[&str]) {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().expect("COUNT [SEED]"));
    let (count, first) = (args.next().unwrap_or(10_000), args.next().unwrap_or(1));
    let mut taken = 0;
    for seed in first..first + count {
        let text = mangled(seed, samples, words);
        match std::panic::catch_unwind(|| one(read, &text)) {
            Ok(is_taken) => taken += u64::from(is_taken),
            Err(_) => {
                eprintln!("the input of seed {seed} fails:\n{}", text.escape_ascii());
                std::process::exit(1);
            }
        }
    }
    println!("{count} inputs from seed {first}, {taken} of them taken");
}

/// A sample with a few pieces cut out, doubled, moved, or replaced by words of the language or by any byte.
#[cfg(not(feature = "libfuzzer"))]
fn mangled(seed: u64, samples: &[&[u8]], words: &[&str]) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as usize % limit.max(1)
    };
    let mut text = samples[below(samples.len())].to_vec();
    for _ in 0..below(6) {
        let (from, longest) = (below(text.len()), if below(4) == 0 { 200 } else { 8 });
        let to = (from + below(longest)).min(text.len());
        let piece = match below(5) {
            0 => Vec::new(),
            1 => text[from..to].repeat(1 + below(3)),
            2 => vec![below(256) as u8],
            3 => {
                let other = below(text.len());
                text[other..(other + below(40)).min(text.len())].to_vec()
            }
            _ => words[below(words.len())].as_bytes().to_vec(),
        };
        text.splice(from..to, piece);
    }
    text
}
