//! The kernel, asked: a forked child loads a program and makes raw system calls; memory that it shares with the test
//! keeps what it saw.

use super::*;

/// A bare system call, its result, and the instruction pointer that a filter sees: the same at each call.
#[inline(never)]
pub fn raw(nr: i32, args: &[u64; 6]) -> (i64, u64) {
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

pub fn call(number: libc::c_long, args: &[u64]) -> i64 {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    raw(i32::try_from(number).unwrap(), &all).0
}

#[cfg(target_arch = "x86_64")]
pub const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
pub const ARCH: u32 = 0xc000_00b7;
pub const GETPPID: i32 = libc::SYS_getppid as i32;
pub const FIRST_UNKNOWN: u32 = 1000;

/// What came of one call, written by the child, or by its handler of SIGSYS.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    pub is_done: bool,
    pub result: i64,
    /// si_errno, si_syscall, si_arch
    pub trap: Option<(i32, i32, u32)>,
}

/// Memory that children share with the test.
pub struct Shared<T>(pub *mut T, usize);

impl<T: Copy + Default> Shared<T> {
    pub fn new(count: usize) -> Self {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh mapping, and the zeroes in it are valid for what the tests keep there.
        let at = unsafe { libc::mmap(ptr::null_mut(), count * size_of::<T>(), protection, flags, -1, 0) };
        assert_ne!(at, libc::MAP_FAILED);
        Shared(at.cast(), count)
    }

    /// All of it, the children being gone.
    pub fn take(&self) -> Vec<T> {
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
pub fn in_child(body: impl FnOnce() -> i32) -> i32 {
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

pub fn load(program: &[Instruction], flags: u64) -> i64 {
    // The two structs are the same to the last bit.
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut().cast() };
    call(libc::SYS_seccomp, &[libc::SECCOMP_SET_MODE_FILTER as u64, flags, (&raw const program).addr() as u64])
}

/// Why this machine can't be asked; that is then said past libtest, which hides what passing tests print.
pub fn is_skipped(test: &str) -> bool {
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
