//! What the kernel decides of a call is what the simulator says, of one filter and of several.

use super::*;

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
