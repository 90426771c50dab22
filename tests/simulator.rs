//! The BPF verifier and simulator against those who decide: the kernel, which is asked to take programs and to run them
//! on calls that do nothing, and libseccomp, whose filters must do what its rules say.
//! Everything is drawn from one seed, SANDBOX_TEST_SEED or a fixed one; a failure names the seed of its case.

use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use sandbox_spawn::testing::bpf::{Call, Instruction, Kind, act, returns, run, strictest, verify};
use std::io::Write;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

// ---- Chance

/// SplitMix64: the same everywhere, from any seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn word(&mut self) -> u32 {
        self.next() as u32
    }

    /// True `percent` times in a hundred.
    fn hits(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A number at whose sides something changes, or any.
    fn telling(&mut self) -> u32 {
        const EDGES: [u32; 16] =
            [0, 1, 2, 3, 31, 32, 33, 63, 64, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_fffe, u32::MAX];
        if self.hits(60) { self.of(&EDGES) } else { self.word() }
    }
}

/// A seed for each case, and for each test others. The seed of a failed case, given as SANDBOX_TEST_SEED, makes it the
/// first one.
fn seeds(test: u64, cases: u64) -> impl Iterator<Item = u64> {
    let given = std::env::var("SANDBOX_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let first = given.unwrap_or(20_260_101 + (test << 48));
    (0..cases).map(move |case| first.wrapping_add(case << 16))
}

// ---- Random programs

fn op(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

const ALU: [u16; 9] = [0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0xa4];
const JUMPS: [u16; 4] = [0x15, 0x25, 0x35, 0x45];
const CODES: [u16; 41] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24, 0x25, 0x2c, 0x2d, 0x34, 0x35,
    0x3c, 0x3d, 0x44, 0x45, 0x4c, 0x4d, 0x54, 0x5c, 0x60, 0x61, 0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0xa4, 0xac,
];

/// An action of every kind, most of them an ERRNO: that tells its data without ending the process.
fn action(chance: &mut Chance) -> u32 {
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
fn program(chance: &mut Chance, prologue: &[Instruction], length: usize) -> Vec<Instruction> {
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
fn spoil(chance: &mut Chance, program: &mut Vec<Instruction>) {
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

// ---- The kernel

/// A bare system call, its result, and the instruction pointer that a filter sees: the same at each call.
#[inline(never)]
fn raw(nr: i32, args: &[u64; 6]) -> (i64, u64) {
    let (result, ip): (i64, u64);
    // SAFETY: the callers pass what the call takes: valid pointers, or numbers that no kernel knows.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!(
            "lea {ip}, [rip + 2f]", "syscall", "2:", ip = out(reg) ip, inlateout("rax") i64::from(nr) => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2], in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!(
            "adr {ip}, 2f", "svc 0", "2:", ip = out(reg) ip, in("x8") i64::from(nr), inlateout("x0") args[0] => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3], in("x4") args[4], in("x5") args[5],
        );
    }
    (result, ip)
}

fn call(number: libc::c_long, args: &[u64]) -> i64 {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    raw(i32::try_from(number).unwrap(), &all).0
}

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;
const GETPPID: i32 = libc::SYS_getppid as i32;
const FIRST_UNKNOWN: u32 = 1000;

/// What came of one call, written by the child, or by its handler of SIGSYS.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    is_done: bool,
    result: i64,
    /// si_errno, si_syscall, si_arch
    trap: Option<(i32, i32, u32)>,
}

/// Memory that children share with the test.
struct Shared<T>(*mut T, usize);

impl<T: Copy + Default> Shared<T> {
    fn new(count: usize) -> Self {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh mapping, and the zeroes in it are valid for what the tests keep there.
        let at = unsafe { libc::mmap(ptr::null_mut(), count * size_of::<T>(), protection, flags, -1, 0) };
        assert_ne!(at, libc::MAP_FAILED);
        Shared(at.cast(), count)
    }

    /// All of it, the children being gone.
    fn take(&self) -> Vec<T> {
        // SAFETY: within the mapping, and no child lives.
        (0..self.1).map(|i| unsafe { self.0.add(i).replace(T::default()) }).collect()
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`.
        unsafe { libc::munmap(self.0.cast(), self.1 * size_of::<T>()) };
    }
}

/// `body` in a forked child: it may make raw system calls and write to shared memory, nothing else. Its wait status.
fn in_child(body: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs `body` alone and ends.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // No core: the tests kill on purpose.
        call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as u64, 0]);
        call(libc::SYS_prctl, &[libc::PR_SET_NO_NEW_PRIVS as u64, 1]);
        let code = body();
        loop {
            call(libc::SYS_exit_group, &[code as u64]);
        }
    }
    let mut status = 0;
    // SAFETY: our own child.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    status
}

fn load(program: &[Instruction], flags: u64) -> i64 {
    // The two structs are the same to the last bit.
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut().cast() };
    call(libc::SYS_seccomp, &[libc::SECCOMP_SET_MODE_FILTER as u64, flags, (&raw const program).addr() as u64])
}

/// Why this machine can't be asked; that is then said past libtest, which hides what passing tests print.
fn is_skipped(test: &str) -> bool {
    let status = in_child(|| i32::from(load(&[op(0x06, act::ALLOW)], 0) != 0));
    let reason = if status != 0 {
        "seccomp can't be used here"
    } else if call(libc::c_long::from(FIRST_UNKNOWN), &[]) != -i64::from(libc::ENOSYS) {
        "a filter above us answers for unknown system calls"
    } else {
        return false;
    };
    let _ = writeln!(std::io::stdout(), "skip - {test}: {reason}");
    true
}

static CURRENT: AtomicPtr<Seen> = AtomicPtr::new(ptr::null_mut());

extern "C" fn on_trap(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel's siginfo_t: of SIGSYS, address at 16, number at 24, architecture at 28.
    unsafe {
        let bytes = info.cast::<u8>();
        let trap = ((*info).si_errno, bytes.add(24).cast::<i32>().read(), bytes.add(28).cast::<u32>().read());
        (*CURRENT.load(Ordering::Relaxed)).trap = Some(trap);
    }
}

fn catch_traps() {
    // SAFETY: a plain handler; only children ever get the signal.
    unsafe {
        let mut handler: libc::sigaction = std::mem::zeroed();
        handler.sa_sigaction = on_trap as extern "C" fn(_, _, _) as usize;
        handler.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGSYS, &handler, ptr::null_mut());
    }
}

/// What a call must lead to where `action` is decided; `None`: the end.
fn expected(action: u32, call: &Call, parent: i64) -> Option<Seen> {
    let passed = if call.nr == GETPPID { parent } else { -i64::from(libc::ENOSYS) };
    let data = (action & 0xffff).cast_signed();
    let seen = |result, trap| Some(Seen { is_done: true, result, trap });
    match action & act::MASK {
        act::ERRNO => seen(-i64::from(data), None),
        act::ALLOW | act::LOG => seen(passed, None),
        // Nobody traces and nobody listens.
        act::TRACE | act::NOTIFY => seen(-i64::from(libc::ENOSYS), None),
        // The registers are put back to what they were at the call; no result is promised, so none is compared.
        act::TRAP => seen(0, Some((data, call.nr, call.arch))),
        _ => None,
    }
}

/// A call that does nothing, with arguments that the programs ask for.
fn random_call(chance: &mut Chance, programs: &[Vec<Instruction>], ip: u64) -> Call {
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

/// Loads `programs` in a child that makes `calls`, and compares with what they should lead to. The last call may kill.
fn compare(programs: &[Vec<Instruction>], calls: &[Call], shared: &Shared<Seen>, parent: i64) -> Result<(), String> {
    let status = in_child(|| {
        if programs.iter().any(|program| load(program, 0) != 0) {
            return 1;
        }
        for (i, call) in calls.iter().enumerate() {
            // SAFETY: as many as calls are mapped.
            let seen = unsafe { &mut *shared.0.add(i) };
            CURRENT.store(seen, Ordering::Relaxed);
            let result = raw(call.nr, &call.args).0;
            seen.result = if seen.trap.is_some() { 0 } else { result };
            seen.is_done = true;
        }
        0
    });
    if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 1 {
        return Err("the kernel refuses the program".to_owned());
    }
    let actions = calls.iter().map(|call| strictest(programs.iter().map(|program| run(program, call))));
    let mut is_killed = false;
    for ((seen, call), action) in shared.take().into_iter().zip(calls).zip(actions) {
        let expected = expected(action, call, parent);
        is_killed = expected.is_none();
        if seen != expected.unwrap_or_default() {
            return Err(format!("{call:x?}: simulated {action:#x}, so {expected:?}; the kernel: {seen:?}"));
        }
    }
    let is_right = if is_killed { libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSYS } else { status == 0 };
    if is_right { Ok(()) } else { Err(format!("killed: {is_killed}, status {status:#x}")) }
}

#[test]
fn the_kernel_decides_what_the_simulator_says() {
    const CASES: u64 = 6000;
    const CALLS: usize = 50;
    if is_skipped("the_kernel_decides_what_the_simulator_says") {
        return;
    }
    catch_traps();
    let shared = Shared::<Seen>::new(CALLS);
    let parent = i64::from(std::process::id());
    let (_, ip) = raw(GETPPID, &[0; 6]);
    // The child's own calls pass: only getppid and numbers that no kernel knows come to the random part.
    let prologue = [
        op(0x20, 0),
        Instruction { code: 0x15, jt: 2, jf: 0, k: GETPPID.cast_unsigned() },
        Instruction { code: 0x35, jt: 1, jf: 0, k: FIRST_UNKNOWN },
        op(0x06, act::ALLOW),
    ];
    let mut decided = std::collections::BTreeMap::<u32, usize>::new();
    for seed in seeds(1, CASES) {
        let chance = &mut Chance(seed);
        let count = if chance.hits(25) { 2 + chance.below(3) } else { 1 };
        let programs: Vec<_> = (0..count)
            .map(|_| {
                let length = if chance.hits(1) { 4000 } else { chance.below(80) };
                program(chance, &prologue, length)
            })
            .collect();
        for program in &programs {
            assert_eq!(verify(program), Ok(()), "seed {seed}");
        }
        // The one that kills comes last.
        let (mut calls, mut killing) = (Vec::new(), Vec::new());
        for call in (0..CALLS).map(|_| random_call(chance, &programs, ip)) {
            let action = strictest(programs.iter().map(|program| run(program, &call)));
            *decided.entry(action & act::MASK).or_default() += 1;
            if expected(action, &call, parent).is_some() { calls.push(call) } else { killing = vec![call] }
        }
        calls.append(&mut killing);
        if let Err(difference) = compare(&programs, &calls, &shared, parent) {
            panic!("seed {seed}: {difference}\n{programs:x?}");
        }
    }
    for action in [act::KILL_PROCESS, act::KILL_THREAD, act::TRAP, act::ERRNO, act::NOTIFY, act::TRACE, act::LOG, act::ALLOW] {
        assert!(decided.get(&action).is_some_and(|times| *times > 100), "{action:#x} was hardly tried: {decided:x?}");
    }
}

#[test]
fn the_kernel_kills_thread_or_process_as_the_simulator_says() {
    const SURVIVED: i32 = 7;
    if is_skipped("the_kernel_kills_thread_or_process_as_the_simulator_says") {
        return;
    }
    extern "C" fn refused(_: *mut libc::c_void) -> libc::c_int {
        call(libc::c_long::from(FIRST_UNKNOWN), &[]);
        call(libc::SYS_exit_group, &[1]);
        0
    }
    let returned = [
        act::KILL_THREAD, act::KILL_THREAD | 5, act::KILL_PROCESS, act::KILL_PROCESS | 5, 0x0001_0000, 0x0002_0000, 0x0004_0000,
        0x4000_0000, 0x7fd0_0000, 0x7ffd_0001, 0x7ffe_ffff, 0x9000_0000, 0xffff_0000,
    ];
    for value in returned {
        let program =
            [op(0x20, 0), Instruction { code: 0x15, jt: 0, jf: 1, k: FIRST_UNKNOWN }, op(0x06, value), op(0x06, act::ALLOW)];
        let call_made = Call { arch: ARCH, nr: FIRST_UNKNOWN.cast_signed(), ..Call::default() };
        let action = strictest([run(&program, &call_made)].into_iter());
        let mut stack = vec![0u128; 4096];
        let top = stack.as_mut_ptr_range().end;
        let word = &std::sync::atomic::AtomicU32::new(1);
        let status = in_child(|| {
            if load(&program, 0) != 0 {
                return 1;
            }
            let flags = libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::CLONE_CHILD_CLEARTID;
            let nowhere = ptr::null_mut::<libc::c_void>();
            // SAFETY: the thread has a stack of its own and makes raw system calls only.
            if unsafe { libc::clone(refused, top.cast(), flags, nowhere, nowhere, nowhere, word.as_ptr()) } < 0 {
                return 2;
            }
            let patience = libc::timespec { tv_sec: 20, tv_nsec: 0 };
            while word.load(Ordering::SeqCst) != 0 {
                let timeout = (&raw const patience).addr() as u64;
                let waited = call(libc::SYS_futex, &[word.as_ptr().addr() as u64, libc::FUTEX_WAIT as u64, 1, timeout]);
                if waited == -i64::from(libc::ETIMEDOUT) {
                    return 3;
                }
            }
            SURVIVED
        });
        match action & act::MASK {
            act::KILL_THREAD => assert_eq!(status, SURVIVED << 8, "{value:#x}: not the thread alone was killed"),
            act::KILL_PROCESS => assert_eq!(status & 0x7f, libc::SIGSYS, "{value:#x}: not the process was killed"),
            _ => panic!("{value:#x} is simulated as {action:#x}"),
        }
    }
}

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

#[test]
fn what_is_said_to_pass_passes_whatever_its_arguments() {
    const KINDS: [Kind; 3] = [Kind::any(1), Kind::with(39, &[(0, 0)]), Kind::with(157, &[(0, 4), (1, 0xffff_ffff)])];
    let (mut passing, mut refused) = (0, 0);
    for seed in seeds(7, 30_000) {
        let mut chance = Chance(seed);
        let length = 1 + chance.below(30);
        let mut program = program(&mut chance, &[], length);
        // Mostly what lets pass, or hardly anything would be said to.
        for instruction in program.iter_mut().filter(|instruction| matches!(instruction.code, 0x06 | 0x16)) {
            *instruction = op(0x06, if chance.hits(90) { act::ALLOW } else { action(&mut chance) });
        }
        for kind in KINDS.into_iter().filter(|kind| kind.passes(&program)) {
            passing += 1;
            for _ in 0..20 {
                let mut call = Call { arch: audit_arch(ScmpArch::native()).0, nr: i32::try_from(kind.number).unwrap(), ip: chance.next() >> 16, args: [0; 6] };
                call.args = call.args.map(|_| if chance.hits(50) { chance.telling().into() } else { chance.next() >> 16 });
                kind.fixed.iter().for_each(|(index, value)| call.args[*index] = *value);
                let answer = run(&program, &call);
                assert!(matches!(answer & act::MASK, act::ALLOW | act::LOG), "seed {seed}: {call:x?} gives {answer:#x} in {program:x?}");
            }
        }
        refused += KINDS.into_iter().filter(|kind| !kind.passes(&program)).count();
    }
    assert!(passing > 10_000 && refused > 10_000, "{passing} passed, {refused} did not");
}

#[test]
fn what_is_returned_was_foreseen() {
    let mut precise = 0;
    for seed in seeds(3, 20_000) {
        let chance = &mut Chance(seed);
        let length = chance.below(60);
        let mut program = program(chance, &[], length);
        if chance.hits(30) {
            spoil(chance, &mut program);
        }
        let call = Call { ip: chance.next(), ..random_call(chance, std::slice::from_ref(&program), 0) };
        let result = run(&program, &call); // of a spoilt one: any result, and no panic
        if verify(&program).is_ok() {
            assert!(returns(&program, |value| value == result), "seed {seed}: {result:#x} of {program:x?}");
            precise += usize::from(!returns(&program, |_| false));
        }
    }
    assert!(precise > 100, "nearly every program returns the accumulator");
}

// ---- libseccomp

const SYSCALLS: [&str; 14] = [
    "read", "write", "openat", "close", "ioctl", "fcntl", "prctl", "kill", "personality", "dup", "getpid", "mprotect", "unlinkat",
    "tgkill",
];

/// AUDIT_ARCH_*, and whether its arguments have 32 bits.
fn audit_arch(arch: ScmpArch) -> (u32, bool) {
    match arch {
        ScmpArch::X8664 => (0xc000_003e, false),
        // Has 64-bit arguments, but libseccomp looks at the lower half.
        ScmpArch::X32 => (0xc000_003e, true),
        ScmpArch::X86 => (0x4000_0003, true),
        ScmpArch::Aarch64 => (0xc000_00b7, false),
        ScmpArch::Arm => (0x4000_0028, true),
        _ => (0xc000_00f3, false), // riscv64
    }
}

fn number(name: &str, arch: ScmpArch) -> i32 {
    ScmpSyscall::from_name_by_arch(name, arch).unwrap().into()
}

#[derive(Debug)]
struct Compare {
    arg: u32,
    op: ScmpCompareOp,
    value: u64,
}

impl Compare {
    fn holds(&self, args: &[u64; 6]) -> bool {
        let arg = args[self.arg as usize];
        match self.op {
            ScmpCompareOp::NotEqual => arg != self.value,
            ScmpCompareOp::Less => arg < self.value,
            ScmpCompareOp::LessOrEqual => arg <= self.value,
            ScmpCompareOp::Equal => arg == self.value,
            ScmpCompareOp::GreaterEqual => arg >= self.value,
            ScmpCompareOp::Greater => arg > self.value,
            ScmpCompareOp::MaskedEqual(mask) => arg & mask == self.value,
            _ => unreachable!(),
        }
    }
}

/// One rule a system call: a second one libseccomp merges with the first, and of some such trees it loses branches. Of
/// 2.5.4's `arg < 0x689a5968_00000020 or arg < 0x6168e4d1_68a6e9c2` neither applies to 0x6168e4d1_68a6e9c2.
#[derive(Debug)]
struct Policy {
    default: ScmpAction,
    bad_arch: ScmpAction,
    arches: Vec<ScmpArch>,
    rules: Vec<(&'static str, ScmpAction, Vec<Compare>)>,
    as_tree: bool,
}

fn value(chance: &mut Chance, is_short: bool) -> u64 {
    let low = u64::from(chance.telling());
    if is_short { low } else { low | u64::from(chance.telling()) << 32 }
}

fn policy(chance: &mut Chance) -> Policy {
    const DEFAULTS: [ScmpAction; 5] =
        [ScmpAction::Allow, ScmpAction::KillProcess, ScmpAction::Errno(1), ScmpAction::Trap, ScmpAction::Log];
    const OTHERS: [ScmpAction; 4] = [ScmpAction::Errno(2), ScmpAction::Errno(4094), ScmpAction::KillThread, ScmpAction::Trace(9)];
    const FOREIGN: [ScmpArch; 6] =
        [ScmpArch::X8664, ScmpArch::X32, ScmpArch::X86, ScmpArch::Aarch64, ScmpArch::Arm, ScmpArch::Riscv64];
    let mut arches = vec![ScmpArch::native()];
    if chance.hits(50) {
        arches.extend(FOREIGN.into_iter().filter(|arch| *arch != ScmpArch::native() && chance.hits(40)));
    }
    let is_short = arches.iter().any(|arch| audit_arch(*arch).1);
    let compare = |chance: &mut Chance, arg| {
        let mask = value(chance, is_short);
        let op = chance.of(&[
            ScmpCompareOp::NotEqual, ScmpCompareOp::Less, ScmpCompareOp::LessOrEqual, ScmpCompareOp::Equal,
            ScmpCompareOp::GreaterEqual, ScmpCompareOp::Greater, ScmpCompareOp::MaskedEqual(mask),
        ]);
        let value = value(chance, is_short);
        // Bits outside the mask libseccomp passes over.
        Compare { arg, op, value: if matches!(op, ScmpCompareOp::MaskedEqual(_)) { value & mask } else { value } }
    };
    let mut rules = Vec::new();
    for name in SYSCALLS {
        if chance.hits(60) {
            let compares = (0..6).filter_map(|arg| chance.hits(30).then(|| compare(chance, arg))).collect();
            rules.push((name, chance.of(&OTHERS), compares));
        }
    }
    Policy { default: chance.of(&DEFAULTS), bad_arch: chance.of(&OTHERS), arches, rules, as_tree: chance.hits(30) }
}

impl Policy {
    fn compile(&self) -> Result<Vec<Instruction>, libseccomp::error::SeccompError> {
        let mut filter = ScmpFilterContext::new(self.default)?;
        filter.set_act_badarch(self.bad_arch)?;
        if self.as_tree {
            filter.set_ctl_optimize(2)?;
        }
        for arch in &self.arches {
            filter.add_arch(*arch)?;
        }
        for (name, action, compares) in &self.rules {
            let compares: Vec<_> = compares.iter().map(|c| ScmpArgCompare::new(c.arg, c.op, c.value)).collect();
            filter.add_rule_conditional(*action, number(name, ScmpArch::native()), &compares)?;
        }
        let bytes = exported(&filter)?;
        Ok(bytes.chunks_exact(8).map(|b| Instruction {
            code: u16::from_ne_bytes([b[0], b[1]]),
            jt: b[2],
            jf: b[3],
            k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
        }).collect())
    }

    /// What the rules say, straight.
    fn decides(&self, call: &Call) -> ScmpAction {
        let is_x32 = call.arch == 0xc000_003e && call.nr.cast_unsigned() >= 0x4000_0000;
        let is_meant = |arch: &&ScmpArch| audit_arch(**arch).0 == call.arch && (**arch == ScmpArch::X32) == is_x32;
        let Some(arch) = self.arches.iter().find(is_meant) else { return self.bad_arch };
        let rule = self.rules.iter().find(|(name, ..)| number(name, *arch) == call.nr);
        let applies = |compares: &Vec<Compare>| compares.iter().all(|compare| compare.holds(&call.args));
        rule.filter(|(.., compares)| applies(compares)).map_or(self.default, |(_, action, _)| *action)
    }

    /// A call near some rule's edge.
    fn call(&self, chance: &mut Chance) -> Call {
        let arch = chance.of(&[ScmpArch::native(), ScmpArch::X8664, ScmpArch::X32, ScmpArch::X86, ScmpArch::Aarch64, ScmpArch::Arm]);
        let arch = if chance.hits(50) { chance.of(&self.arches) } else { arch };
        let (audit, is_short) = audit_arch(arch);
        let name = if self.rules.is_empty() { SYSCALLS[0] } else { self.rules[chance.below(self.rules.len())].0 };
        let compares: Vec<_> = self.rules.iter().filter(|rule| rule.0 == name).flat_map(|rule| &rule.2).collect();
        let args = std::array::from_fn(|arg| {
            let near: Vec<_> = compares.iter().filter(|compare| compare.arg as usize == arg).collect();
            let arg = if near.is_empty() || chance.hits(20) {
                value(chance, is_short)
            } else {
                let spread = chance.of(&[0, 0, 1, u64::MAX, 1 << 32, u64::MAX << 32]);
                near[chance.below(near.len())].value.wrapping_add(spread)
            };
            if is_short { arg & 0xffff_ffff } else { arg }
        });
        let nr = if chance.hits(90) { number(name, arch) } else { (chance.word() % 500).cast_signed() };
        Call { arch: audit, nr, ip: chance.next(), args }
    }
}

/// By way of a memfd: an export into memory is there only from libseccomp 2.6 on.
fn exported(filter: &ScmpFilterContext) -> Result<Vec<u8>, libseccomp::error::SeccompError> {
    use std::io::{Read, Seek};
    use std::os::fd::FromRawFd;
    // SAFETY: a new fd, owned by the file.
    let mut file = unsafe { std::fs::File::from_raw_fd(libc::memfd_create(c"filter".as_ptr(), libc::MFD_CLOEXEC)) };
    filter.export_bpf(&file)?;
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).unwrap();
    Ok(bytes)
}

fn kernel_value(action: ScmpAction) -> u32 {
    match action {
        ScmpAction::KillProcess => act::KILL_PROCESS,
        ScmpAction::KillThread => act::KILL_THREAD,
        ScmpAction::Trap => act::TRAP,
        ScmpAction::Errno(data) => act::ERRNO | data.cast_unsigned(),
        ScmpAction::Trace(data) => act::TRACE | u32::from(data),
        ScmpAction::Log => act::LOG,
        ScmpAction::Allow => act::ALLOW,
        _ => unreachable!(),
    }
}

#[test]
fn libseccomps_filters_do_what_its_rules_say() {
    let (mut applied, mut made) = (0, 0);
    for seed in seeds(4, 1000) {
        let chance = &mut Chance(seed);
        let policy = policy(chance);
        let program = policy.compile().unwrap_or_else(|error| panic!("seed {seed}: {error}\n{policy:x?}"));
        assert_eq!(verify(&program), Ok(()), "seed {seed}");
        for call in (0..200).map(|_| policy.call(chance)) {
            let (expected, result) = (kernel_value(policy.decides(&call)), run(&program, &call));
            assert_eq!(result, expected, "seed {seed}: simulated {result:#x}, by the rules {expected:#x}\n{call:x?}\n{policy:x?}");
            made += 1;
            applied += usize::from(![policy.default, policy.bad_arch].map(kernel_value).contains(&result));
        }
    }
    assert!(applied > made / 10, "a rule applied to only {applied} of {made} calls");
}
