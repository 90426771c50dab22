//! aarch64: the system call stub, the clone entries, the trampoline's first instruction, and the numbers that differ.
//! Nothing outside this file and its sibling knows the architecture.

use core::arch::{asm, naked_asm};

/// # Safety
/// The arguments must be what the system call `number` expects.
#[inline(always)]
pub unsafe fn syscall(number: usize, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel clobbers x0 alone; the caller vouches for the arguments.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") args[0] => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3], in("x4") args[4], in("x5") args[5],
            options(nostack));
    }
    result
}

/// `clone3`; the new task calls `entry(arg)` on the stack that `args` names and must not return.
///
/// # Safety
/// `args` must be a filled `clone_args` of `size` bytes with a stack of its own.
#[unsafe(naked)]
pub unsafe extern "C" fn clone3(args: *const u8, size: usize, entry: extern "C" fn(*mut u8) -> !, arg: *mut u8) -> isize {
    naked_asm!(
        "mov x8, 435",
        "svc 0",
        "cbz x0, 2f",
        "ret",
        "2:",
        "mov x29, xzr",
        "mov x30, xzr",
        "mov x0, x3",
        "blr x2",
        "brk 1",
    )
}

/// The older `clone`, for where a container's filter hides clone3.
///
/// # Safety
/// `stack` must be the top of a stack of the new task's own; the id pointers must be writable where `flags` uses them.
#[unsafe(naked)]
pub unsafe extern "C" fn clone(flags: usize, stack: *mut u8, parent_tid: *mut i32, child_tid: *mut u32,
                               entry: extern "C" fn(*mut u8) -> !, arg: *mut u8) -> isize {
    naked_asm!(
        "mov x6, x4",
        "mov x4, x3",
        "mov x3, xzr",
        "mov x8, 220",
        "svc 0",
        "cbz x0, 2f",
        "ret",
        "2:",
        "mov x29, xzr",
        "mov x30, xzr",
        "mov x0, x5",
        "blr x6",
        "brk 1",
    )
}

/// Unmaps the stack it stands on and ends the thread: no memory of it may be touched after the first call.
///
/// # Safety
/// `address` and `length` must be the mapping that holds the calling thread's stack, used by nobody else.
#[unsafe(naked)]
pub unsafe extern "C" fn unmap_and_exit(address: *mut u8, length: usize) -> ! {
    naked_asm!("mov x8, 215", "svc 0", "mov x0, 0", "mov x8, 93", "svc 0", "brk 1")
}

/// Defines the image's entries, each where `plan::image` has it: `_start` hands the initial stack pointer to `$main`.
#[macro_export]
macro_rules! define_entries {
    ($main:path, $child:path, $keep:path) => {
        core::arch::global_asm!(
            ".section .text.start, \"ax\", %progbits", ".balign 16", ".globl _start",
            "_start:", "mov x29, xzr", "mov x30, xzr", "mov x0, sp", "bl {main}", "brk 1",
            ".org _start + {to_child}", "b {child}",
            ".org _start + {to_keep}", "b {keep}",
            ".text",
            main = sym $main, child = sym $child, keep = sym $keep,
            to_child = const $crate::plan::image::CHILD - $crate::plan::image::START,
            to_keep = const $crate::plan::image::KEEP - $crate::plan::image::START,
        );
    };
}

pub mod nr {
    pub const DUP3: usize = 24;
    pub const FCNTL: usize = 25;
    pub const IOCTL: usize = 29;
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const GETDENTS64: usize = 61;
    pub const LSEEK: usize = 62;
    pub const READ: usize = 63;
    pub const PPOLL: usize = 73;
    pub const SIGNALFD4: usize = 74;
    pub const CAPGET: usize = 90;
    pub const CAPSET: usize = 91;
    pub const SENDMSG: usize = 211;
    pub const RECVMSG: usize = 212;
    pub const MADVISE: usize = 233;
    pub const RT_SIGPENDING: usize = 136;
    pub const SETSID: usize = 157;
    pub const PERSONALITY: usize = 92;
    pub const EXIT: usize = 93;
    pub const EXIT_GROUP: usize = 94;
    pub const WAITID: usize = 95;
    pub const FUTEX: usize = 98;
    pub const SET_ROBUST_LIST: usize = 99;
    pub const NANOSLEEP: usize = 101;
    pub const RT_SIGACTION: usize = 134;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const RT_SIGTIMEDWAIT: usize = 137;
    pub const SETRESUID: usize = 147;
    pub const GETRESUID: usize = 148;
    pub const SETRESGID: usize = 149;
    pub const GETRESGID: usize = 150;
    pub const GETGROUPS: usize = 158;
    pub const SETGROUPS: usize = 159;
    pub const FSTATFS: usize = 44;
    pub const PRCTL: usize = 167;
    pub const PRLIMIT64: usize = 261;
    pub const GETPID: usize = 172;
    pub const GETPPID: usize = 173;
    pub const GETTID: usize = 178;
    pub const CLONE: usize = 220;
    pub const EXECVE: usize = 221;
    pub const MMAP: usize = 222;
    pub const EXECVEAT: usize = 281;
    pub const PIDFD_SEND_SIGNAL: usize = 424;
    pub const PIDFD_OPEN: usize = 434;
    pub const CLOSE_RANGE: usize = 436;
    pub const LANDLOCK_ADD_RULE: usize = 445;
    pub const WRITE: usize = 64;
    pub const FCHDIR: usize = 50;
    pub const UMASK: usize = 166;
    pub const PIVOT_ROOT: usize = 41;
    pub const MOUNT: usize = 40;
    pub const UMOUNT2: usize = 39;
    pub const MKDIRAT: usize = 34;
    pub const SYMLINKAT: usize = 36;
    pub const READLINKAT: usize = 78;
    pub const STATX: usize = 291;
    pub const OPEN_TREE: usize = 428;
    pub const MOVE_MOUNT: usize = 429;
    pub const FSOPEN: usize = 430;
    pub const FSCONFIG: usize = 431;
    pub const FSMOUNT: usize = 432;
    pub const OPENAT2: usize = 437;
    pub const CHDIR: usize = 49;
    pub const FCHMOD: usize = 52;
    pub const FCHMODAT: usize = 53;
    pub const FCHMODAT2: usize = 452;
    pub const FCHOWNAT: usize = 54;
    pub const FACCESSAT2: usize = 439;
    pub const GETCWD: usize = 17;
    pub const GETXATTR: usize = 8;
    pub const MOUNT_SETATTR: usize = 442;
}
