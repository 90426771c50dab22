//! The fuzz target, for libFuzzer: `cargo fuzz run --features libfuzzer builder`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sandbox_spawn_fuzz::one(bytes));
