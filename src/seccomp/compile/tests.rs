use super::*;
use crate::seccomp::bpf::{self, Call};
use crate::seccomp::filter::{Rule, is_known, number};
use crate::seccomp::generate::native_audit_arch;

/// Deterministic: the seed is the test's, printed where it fails.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = self.0 ^ (self.0 >> 29);
        mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (mixed >> 32)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Values that comparisons stumble over.
    fn value(&mut self) -> u64 {
        let edges = [0, 1, 5, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0005, u64::MAX - 1, u64::MAX];
        edges[self.below(edges.len() as u64) as usize]
    }
}

const CALLS: [&str; 12] = ["read", "write", "openat", "close", "ioctl", "clone", "socket", "connect", "execve", "mmap", "prctl", "futex"];
const ACTIONS: [u32; 5] = [act::ALLOW, act::KILL_PROCESS, act::ERRNO | 1, act::ERRNO | 38, act::TRAP];

fn random_filter(random: &mut Random, is_simple: bool) -> Filter {
    let mut filter = Filter::new(ACTIONS[random.below(2) as usize]);
    let action = act::ERRNO | 13;
    for _ in 0..random.below(20) {
        let call = CALLS[random.below(12) as usize];
        if is_simple && filter.rules.iter().any(|rule| rule.syscall == call) {
            continue;
        }
        let mut compares = Vec::new();
        for index in 0..6 {
            if random.below(4) == 0 {
                let op = [Cmp::SANDBOX_CMP_EQ, Cmp::SANDBOX_CMP_NE, Cmp::SANDBOX_CMP_LT, Cmp::SANDBOX_CMP_LE, Cmp::SANDBOX_CMP_GE,
                    Cmp::SANDBOX_CMP_GT, Cmp::SANDBOX_CMP_MASKED_EQ][random.below(7) as usize];
                let mask = if op == Cmp::SANDBOX_CMP_MASKED_EQ { random.value() } else { u64::MAX };
                compares.push(Compare { index, op, value: random.value() & mask, mask });
                if !is_simple && random.below(3) == 0 {
                    compares.push(Compare::new(index, Cmp::SANDBOX_CMP_LE, random.value()));
                }
            }
        }
        let action = if is_simple { action } else { ACTIONS[random.below(5) as usize] };
        filter.rule(action, call, &compares).unwrap();
    }
    filter
}

fn random_call(random: &mut Random) -> Call {
    let name = CALLS[random.below(12) as usize];
    let nr = number(name, ScmpArch::native()).unwrap();
    Call { arch: native_audit_arch(), nr, ip: random.next(), args: std::array::from_fn(|_| random.value()) }
}

/// What the rules say, read as a person would.
fn meant(filter: &Filter, call: &Call) -> u32 {
    let holds = |compare: &Compare| {
        let (argument, value) = (call.args[compare.index as usize], compare.value);
        match compare.op {
            Cmp::SANDBOX_CMP_EQ => argument == value,
            Cmp::SANDBOX_CMP_NE => argument != value,
            Cmp::SANDBOX_CMP_LT => argument < value,
            Cmp::SANDBOX_CMP_LE => argument <= value,
            Cmp::SANDBOX_CMP_GE => argument >= value,
            Cmp::SANDBOX_CMP_GT => argument > value,
            Cmp::SANDBOX_CMP_MASKED_EQ => argument & compare.mask == value,
        }
    };
    let applies = |rule: &&Rule| number(&rule.syscall, ScmpArch::native()) == Some(call.nr) && rule.compares.iter().all(holds);
    filter.rules.iter().find(applies).map_or(filter.default, |rule| rule.action)
}

#[test]
fn the_generator_says_what_the_rules_say() {
    for seed in 0..400 {
        let mut random = Random(seed);
        let filter = random_filter(&mut random, false);
        let instructions = generate(&filter).unwrap();
        bpf::verify(&instructions).unwrap();
        for _ in 0..100 {
            let call = random_call(&mut random);
            assert_eq!(bpf::run(&instructions, &call), meant(&filter, &call), "seed {seed}, {call:?}");
        }
    }
}

#[test]
fn libseccomp_and_the_generator_agree_where_both_can() {
    let mut compared = 0;
    for seed in 1000..1400 {
        let mut random = Random(seed);
        let filter = random_filter(&mut random, true);
        let Some(theirs) = with_libseccomp(&filter) else { continue };
        let ours = generate(&filter).unwrap();
        for _ in 0..100 {
            let call = random_call(&mut random);
            assert_eq!(bpf::run(&theirs, &call), bpf::run(&ours, &call), "seed {seed}, {call:?}");
            compared += 1;
        }
    }
    assert!(compared > 10_000, "{compared}");
}

#[test]
fn foreign_architectures_and_x32_end_the_program_unless_added() {
    let mut filter = Filter::new(act::ALLOW);
    filter.rule(act::ERRNO | 1, "read", &[Compare::new(0, Cmp::SANDBOX_CMP_GE, 3), Compare::new(0, Cmp::SANDBOX_CMP_LE, 9)]).unwrap();
    for instructions in [generate(&filter).unwrap(), with_libseccomp(&Filter::new(act::ALLOW)).unwrap()] {
        let call = |arch, nr| bpf::run(&instructions, &Call { arch, nr, ..Call::default() });
        assert_eq!(call(0x4000_0003, 3), act::KILL_PROCESS);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(call(0xc000_003e, 0x4000_0000), act::KILL_PROCESS);
            assert_eq!(call(0xc000_003e, -1), act::ALLOW);
        }
    }
    if cfg!(target_arch = "x86_64") {
        filter.set(|filter| filter.arch("x86")).unwrap();
        let instructions = generate(&filter).unwrap();
        let read = Call { arch: 0x4000_0003, nr: 3, args: [4, 0, 0, 0, 0, 0], ..Call::default() };
        assert_eq!(bpf::run(&instructions, &read), act::ERRNO | 1);
    }
}

#[test]
fn no_half_of_a_comparison_is_dropped() {
    let mut cases = vec![
        (None, native_audit_arch(), Compare::masked(0, 1, 5), 1),
        (None, native_audit_arch(), Compare::new(0, Cmp::SANDBOX_CMP_EQ, 5), 0x1_0000_0005),
    ];
    if cfg!(target_arch = "x86_64") {
        cases.extend([
            (Some("x32"), 0xc000_003e, Compare::new(0, Cmp::SANDBOX_CMP_EQ, 5), 0x1_0000_0005),
            (Some("x32"), 0xc000_003e, Compare::new(0, Cmp::SANDBOX_CMP_GE, 0x1_0000_0005), 6),
            (Some("x86"), 0x4000_0003, Compare::new(0, Cmp::SANDBOX_CMP_EQ, 0x1_0000_0005), 5),
        ]);
    }
    for (name, audit, compare, argument) in cases {
        let mut filter = Filter::new(act::KILL_PROCESS);
        if let Some(name) = name {
            filter.arch(name).unwrap();
        }
        filter.rule(act::ALLOW, "personality", &[compare]).unwrap();
        let nr = number("personality", name.map_or(ScmpArch::native(), |name| crate::seccomp::filter::arch(name).unwrap())).unwrap();
        let call = Call { arch: audit, nr, ip: 0, args: [argument, 0, 0, 0, 0, 0] };
        let instructions = compile(&filter).unwrap();
        assert_eq!(bpf::run(&instructions, &call), act::KILL_PROCESS, "{name:?} {compare:?} {argument:#x}");
    }
}

#[test]
fn i386s_ways_through_socketcall_and_ipc_allow_nothing_that_the_rules_forbid() {
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let eperm = act::ERRNO | 1;
    let compiled = |default, rules: &[(u32, &str, &[Compare])]| {
        let mut filter = Filter::new(default);
        filter.set(|filter| filter.arch("x86")).unwrap();
        for (action, call, compares) in rules {
            filter.set(|filter| filter.rule(*action, call, compares)).unwrap();
        }
        let program = filter.program().unwrap();
        move |nr, args: [u64; 2]| {
            bpf::run(&program.instructions, &Call { arch: 0x4000_0003, nr, ip: 0, args: [args[0], args[1], 0, 0, 0, 0] })
        }
    };
    let unix = [Compare::new(0, Cmp::SANDBOX_CMP_EQ, 1)];
    // One rule, which libseccomp would compile to "any socket" on this way.
    let allows = compiled(eperm, &[(act::ALLOW, "socket", &unix), (act::ALLOW, "bind", &[])]);
    assert_eq!((allows(359, [1, 0]), allows(359, [2, 0])), (act::ALLOW, eperm));
    assert_eq!((allows(102, [1, 0]), allows(102, [2, 0]), allows(361, [9, 9])), (eperm, act::ALLOW, act::ALLOW));
    let denies = compiled(act::ALLOW, &[(eperm, "socket", &unix), (eperm, "shmget", &[])]);
    assert_eq!((denies(359, [1, 0]), denies(359, [2, 0]), denies(102, [1, 0])), (eperm, act::ALLOW, eperm));
    assert_eq!((denies(395, [0, 0]), denies(117, [23, 0]), denies(117, [0x1_0017, 0])), (eperm, eperm, eperm));
    assert_eq!(denies(117, [22, 0]), act::ALLOW);
    // The strictest of what may decide, up to the first that always does.
    let mixed = compiled(act::KILL_PROCESS, &[
        (act::ALLOW, "socket", &unix),
        (eperm, "socket", &[Compare::new(0, Cmp::SANDBOX_CMP_EQ, 2)]),
        (act::LOG, "socket", &[]),
    ]);
    assert_eq!(mixed(102, [1, 0]), eperm);
    let open = compiled(eperm, &[(act::ALLOW, "socketcall", &[]), (act::ALLOW, "socket", &unix)]);
    assert_eq!((open(102, [1, 0]), open(102, [2, 0]), open(359, [2, 0])), (act::ALLOW, act::ALLOW, eperm));
}

#[test]
fn a_filter_of_every_call_needs_long_jumps_and_is_right() {
    let mut filter = Filter::new(act::KILL_PROCESS);
    let names: Vec<String> = (0..450).map(|nr| nr.to_string()).collect();
    for name in &names {
        assert!(is_known(name));
        filter.rule(act::ALLOW, name, &[Compare::new(5, Cmp::SANDBOX_CMP_NE, 7)]).unwrap();
    }
    let instructions = generate(&filter).unwrap();
    bpf::verify(&instructions).unwrap();
    for nr in 0..450 {
        let call = |last| bpf::run(&instructions, &Call { arch: native_audit_arch(), nr, ip: 0, args: [0, 0, 0, 0, 0, last] });
        assert_eq!((call(7), call(8)), (act::KILL_PROCESS, act::ALLOW), "{nr}");
    }
}

#[test]
fn denials_come_before_rules_and_see_32_bits() {
    let mut filter = Filter::new(act::ALLOW);
    filter.rule(act::ALLOW, "ioctl", &[]).unwrap();
    filter.deny(511).unwrap();
    filter.deny_ioctl(0x1234).unwrap();
    filter.deny_setsockopt(1, 26).unwrap();
    let program = filter.program().unwrap();
    bpf::verify(&program.instructions).unwrap();
    let call = |name: &str, args: [u64; 6]| {
        bpf::run(&program.instructions, &Call { arch: native_audit_arch(), nr: number(name, ScmpArch::native()).unwrap(), ip: 0, args })
    };
    let (eperm, enosys, efault) = (act::ERRNO | 1, act::ERRNO | 38, act::ERRNO | 14);
    assert_eq!(call("ioctl", [0, 0x5412, 0, 0, 0, 0]), eperm);
    assert_eq!(call("ioctl", [0, 0x1_0000_5412, 0, 0, 0, 0]), eperm, "a high half is the program's to fill");
    assert_eq!(call("ioctl", [0, 0x1234, 0, 0, 0, 0]), eperm);
    assert_eq!(call("ioctl", [0, 0x5401, 0, 0, 0, 0]), act::ALLOW);
    assert_eq!(call("setsockopt", [0, 1, 26, 0, 0, 0]), eperm);
    assert_eq!(call("setsockopt", [0, 1, 27, 0, 0, 0]), act::ALLOW);
    assert_eq!(call("clone", [0x1000_0000, 0, 0, 0, 0, 0]), eperm);
    assert_eq!(call("clone", [0x0001_0000, 0, 0, 0, 0, 0]), act::ALLOW);
    assert_eq!((call("clone3", [0; 6]), call("io_uring_setup", [0; 6]), call("seccomp", [0; 6])), (enosys, enosys, enosys));
    assert_eq!((call("ptrace", [0; 6]), call("bpf", [0; 6]), call("keyctl", [0; 6])), (eperm, eperm, eperm));
    for index in 0..6 {
        let with = |name: &str, value| call(name, std::array::from_fn(|at| if at == index { value } else { 0 }));
        assert_eq!(with("recvfrom", 0xffff_8880_0000_1000), efault);
        let takes = usize::from(index < 2);
        assert_eq!(with("write", 0xffff_8880_0000_1000), [act::ALLOW, efault][takes], "{index}");
        for name in ["getppid", "close", "lseek", "fcntl"] {
            assert_eq!(with(name, 0xffff_8880_0000_1000), act::ALLOW, "{name} takes no address");
        }
        for small in [-1i64, -100, -4096, 0, 0x7fff_ffff_ffff, -(1 << 39)] {
            assert_eq!(with("recvfrom", small.cast_unsigned()), act::ALLOW, "{small}");
        }
    }
    if cfg!(target_arch = "x86_64") {
        assert_eq!(call("write", [0, 0xffff_ffff_8100_0000, 0, 0, 0, 0]), efault);
    }
}
