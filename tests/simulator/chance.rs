//! Chance: everything that the tests draw comes from one seed.

/// SplitMix64: the same everywhere, from any seed.
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub fn word(&mut self) -> u32 {
        self.next() as u32
    }

    /// True `percent` times in a hundred.
    pub fn hits(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A number at whose sides something changes, or any.
    pub fn telling(&mut self) -> u32 {
        const EDGES: [u32; 16] =
            [0, 1, 2, 3, 31, 32, 33, 63, 64, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_fffe, u32::MAX];
        if self.hits(60) { self.of(&EDGES) } else { self.word() }
    }
}

/// A seed for each case, and for each test others. The seed of a failed case, given as SANDBOX_TEST_SEED, makes it the
/// first one.
pub fn seeds(test: u64, cases: u64) -> impl Iterator<Item = u64> {
    let given = std::env::var("SANDBOX_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let first = given.unwrap_or(20_260_101 + (test << 48));
    (0..cases).map(move |case| first.wrapping_add(case << 16))
}
