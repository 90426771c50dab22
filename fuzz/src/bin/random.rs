//! The fuzz target without a fuzzer: `random COUNT [SEED]` runs as many inputs, the same for the same seed.
//! A failure names the seed of its input: `random 1 SEED` runs that one alone.

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().expect("a number"));
    let (count, first) = (args.next().unwrap_or(1000), args.next().unwrap_or(1));
    std::panic::set_hook(Box::new(|info| eprintln!("{info}")));
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
        if std::panic::catch_unwind(|| sandbox_spawn_fuzz::one(&bytes)).is_err() {
            eprintln!("the input of seed {seed} fails");
            std::process::exit(1);
        }
    }
    let spawned = sandbox_spawn_fuzz::SPAWNED.load(std::sync::atomic::Ordering::Relaxed);
    println!("{count} inputs from seed {first}, {spawned} programs ran");
}
