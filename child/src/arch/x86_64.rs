//! x86_64: the system call stub, the clone entries, the trampoline's first instruction, and the numbers that differ.
//! Nothing outside this file and its sibling knows the architecture.

use core::arch::{asm, naked_asm};

/// # Safety
/// The arguments must be what the system call `number` expects.
#[inline(always)]
pub unsafe fn syscall(number: usize, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel clobbers rcx and r11 and nothing else; the caller vouches for the arguments.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
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
        "mov r8, rcx",
        "mov eax, 435",
        "syscall",
        "test rax, rax",
        "jz 2f",
        "ret",
        "2:",
        "xor ebp, ebp",
        "mov rdi, r8",
        "call rdx",
        "ud2",
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
        "mov r10, rcx",
        "mov eax, 56",
        "syscall",
        "test rax, rax",
        "jz 2f",
        "ret",
        "2:",
        "xor ebp, ebp",
        "mov rdi, r9",
        "call r8",
        "ud2",
    )
}

/// Unmaps the stack it stands on and ends the thread: no memory of it may be touched after the first call.
///
/// # Safety
/// `address` and `length` must be the mapping that holds the calling thread's stack, used by nobody else.
#[unsafe(naked)]
pub unsafe extern "C" fn unmap_and_exit(address: *mut u8, length: usize) -> ! {
    naked_asm!("mov eax, 11", "syscall", "xor edi, edi", "mov eax, 60", "syscall", "ud2")
}

/// Defines the image's entries, each where `plan::image` has it: `_start` hands the initial stack pointer to `$main`.
#[macro_export]
macro_rules! define_entries {
    ($main:path, $child:path, $keep:path) => {
        core::arch::global_asm!(
            ".section .text.start, \"ax\", %progbits", ".balign 16", ".globl _start",
            "_start:", "xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {main}", "ud2",
            ".org _start + {to_child}", "jmp {child}",
            ".org _start + {to_keep}", "jmp {keep}",
            ".text",
            main = sym $main, child = sym $child, keep = sym $keep,
            to_child = const $crate::plan::image::CHILD - $crate::plan::image::START,
            to_keep = const $crate::plan::image::KEEP - $crate::plan::image::START,
        );
    };
}

pub mod nr {
    pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const IOCTL: usize = 16;
    pub const DUP3: usize = 292;
    pub const GETPID: usize = 39;
    pub const CLONE: usize = 56;
    pub const EXECVE: usize = 59;
    pub const EXIT: usize = 60;
    pub const FCNTL: usize = 72;
    pub const CLOSE: usize = 3;
    pub const READ: usize = 0;
    pub const LSEEK: usize = 8;
    pub const MMAP: usize = 9;
    pub const NANOSLEEP: usize = 35;
    pub const GETPPID: usize = 110;
    pub const GETGROUPS: usize = 115;
    pub const SETGROUPS: usize = 116;
    pub const SETRESUID: usize = 117;
    pub const GETRESUID: usize = 118;
    pub const SETRESGID: usize = 119;
    pub const GETRESGID: usize = 120;
    pub const CAPGET: usize = 125;
    pub const CAPSET: usize = 126;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const MADVISE: usize = 28;
    pub const SENDMSG: usize = 46;
    pub const RECVMSG: usize = 47;
    pub const RT_SIGPENDING: usize = 127;
    pub const SETSID: usize = 112;
    pub const PERSONALITY: usize = 135;
    pub const FSTATFS: usize = 138;
    pub const PRCTL: usize = 157;
    pub const PRLIMIT64: usize = 302;
    pub const GETTID: usize = 186;
    pub const FUTEX: usize = 202;
    pub const GETDENTS64: usize = 217;
    pub const EXIT_GROUP: usize = 231;
    pub const WAITID: usize = 247;
    pub const OPENAT: usize = 257;
    pub const PPOLL: usize = 271;
    pub const SET_ROBUST_LIST: usize = 273;
    pub const SIGNALFD4: usize = 289;
    pub const EXECVEAT: usize = 322;
    pub const PIDFD_SEND_SIGNAL: usize = 424;
    pub const PIDFD_OPEN: usize = 434;
    pub const CLOSE_RANGE: usize = 436;
    pub const LANDLOCK_ADD_RULE: usize = 445;
    pub const WRITE: usize = 1;
    pub const FCHDIR: usize = 81;
    pub const UMASK: usize = 95;
    pub const PIVOT_ROOT: usize = 155;
    pub const MOUNT: usize = 165;
    pub const UMOUNT2: usize = 166;
    pub const MKDIRAT: usize = 258;
    pub const SYMLINKAT: usize = 266;
    pub const READLINKAT: usize = 267;
    pub const STATX: usize = 332;
    pub const OPEN_TREE: usize = 428;
    pub const MOVE_MOUNT: usize = 429;
    pub const FSOPEN: usize = 430;
    pub const FSCONFIG: usize = 431;
    pub const FSMOUNT: usize = 432;
    pub const OPENAT2: usize = 437;
    pub const CHDIR: usize = 80;
    pub const FCHMOD: usize = 91;
    pub const FCHMODAT: usize = 268;
    pub const FCHMODAT2: usize = 452;
    pub const FCHOWNAT: usize = 260;
    pub const FACCESSAT2: usize = 439;
    pub const GETCWD: usize = 79;
    pub const GETXATTR: usize = 191;
    pub const MOUNT_SETATTR: usize = 442;
}
