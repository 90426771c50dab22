//! The keeper: a thread that lives for the length of one clone.
//!
//! PR_SET_PDEATHSIG fires when the *thread* that made the child ends. A child cloned by a pool's worker would die with
//! the worker. So where the caller is not the process's first thread, a short-lived thread makes the clone and ends
//! at once; the kernel then gives the child to the first thread, and only afterwards does the child arm its signal.
//! The keeper is a copy of the calling thread: the child inherits that thread's credentials, namespaces, filters and
//! Landlock domain, as it would from fork. A keeper of another thread's making could not give it those.
//! It runs on a stack of its own in the host's memory: the child's rules hold for it too.

use crate::arch::{self, nr};
use crate::plan::Block;
use crate::run;
use crate::sys;
use core::sync::atomic::Ordering::{Acquire, Release};

/// The kernel's `struct clone_args`.
#[repr(C, align(8))]
#[derive(Clone, Copy, Default)]
pub struct CloneArgs {
    pub flags: u64,
    pub pidfd: u64,
    pub child_tid: u64,
    pub parent_tid: u64,
    pub exit_signal: u64,
    pub stack: u64,
    pub stack_size: u64,
    pub tls: u64,
    pub set_tid: u64,
    pub set_tid_size: u64,
    pub cgroup: u64,
}

const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// A signal that nobody else sends to a process this young.
pub const SIGNAL_OF_KEEPERS_END: u64 = 63;

/// `clone3`, or `clone` where a container's filter says that there is none. A child that can't be cloned into its
/// cgroup is cloned outside of it, and told so.
///
/// # Safety
/// `args` names a stack of the new task's own; `entry` never returns; with CLONE_INTO_CGROUP `arg` is a block.
pub unsafe fn clone(args: &CloneArgs, entry: extern "C" fn(*mut u8) -> !, arg: *mut u8) -> isize {
    // SAFETY: the caller's.
    let result = unsafe { arch::clone3((&raw const *args).cast(), size_of::<CloneArgs>(), entry, arg) };
    // Refused for the cgroup's sake (EACCES, EBUSY, EOPNOTSUPP) or the flag's (EINVAL, E2BIG before Linux 5.7): the
    // host's write then says what is wrong, if anything is. Not so where there is no room for a process.
    const NO_ROOM: [isize; 3] = [-(sys::EAGAIN as isize), -(sys::ENOMEM as isize), -(sys::ENOSPC as isize)];
    if result < 0 && args.flags & CLONE_INTO_CGROUP != 0 && !NO_ROOM.contains(&result) {
        // SAFETY: the caller's.
        unsafe { &*arg.cast::<Block>() }.outside_cgroup.store(1, Release);
        let args = CloneArgs { flags: args.flags & !CLONE_INTO_CGROUP, cgroup: 0, ..*args };
        // SAFETY: the caller's.
        return unsafe { clone(&args, entry, arg) };
    }
    if result != -(sys::ENOSYS as isize) {
        return result;
    }
    // All signals are blocked, and of every plan the first op takes the handlers away: CLEAR_SIGHAND is not missed.
    let flags = (args.flags & !CLONE_CLEAR_SIGHAND) | args.exit_signal;
    let stack = (args.stack + args.stack_size) as *mut u8;
    // SAFETY: the caller's; clone returns the pidfd through the parent_tid argument.
    unsafe { arch::clone(flags as usize, stack, args.pidfd as *mut i32, args.child_tid as *mut u32, entry, arg) }
}

/// What the keeper is told: it lies beside the block, in memory that lives until the keeper is gone.
#[repr(C)]
pub struct Order {
    pub block: *const Block,
    pub args: CloneArgs,
    pub entry: extern "C" fn(*mut u8) -> !,
    /// Not 0: the first thread has ended, so stay for as long as the child lives, then unmap this stack. 2: another
    /// process takes the child's place, which is the keeper's child too.
    pub stay: usize,
    pub stack: usize,
    pub stack_size: usize,
}

/// The keeper's whole life.
pub extern "C" fn keep(order: *mut u8) -> ! {
    // SAFETY: the host hands its `Order` and keeps it and the block until the `keeper` word is 0.
    let order = unsafe { &*order.cast::<Order>() };
    // SAFETY: as above.
    let block = unsafe { &*order.block };
    // SAFETY: the host gave the child a stack of its own.
    let pid = unsafe { clone(&order.args, order.entry, order.block.cast_mut().cast()) };
    let (stay, stack, stack_size) = (order.stay, order.stack, order.stack_size);
    block.clone_result.store(pid as u32, Release);
    sys::futex_wake(&block.clone_result);
    if pid > 0 && stay == 0 {
        while block.armed.load(Acquire) == 0 {
            sys::futex_wait(&block.armed, 0, None);
        }
    }
    if stay == 0 {
        sys::exit_thread();
    }
    // The block may be gone from here on.
    block.keeper.store(0, Release);
    sys::futex_wake(&block.keeper);
    if pid > 0 {
        let mut info = sys::SigInfo::EMPTY;
        while sys::waitid(1, pid as i32, &mut info, sys::WEXITED | sys::WNOWAIT | sys::WALL) == -(sys::EINTR as isize) {}
        if stay == 2 {
            wait_for_the_other(pid as i32);
        }
    }
    // SAFETY: the stack is the keeper's alone, and nothing of it is used after the unmap.
    unsafe { arch::unmap_and_exit(stack as *mut u8, stack_size) }
}

/// Its death signal fires with this thread: until it has ended, once the host has reaped the one that made it.
fn wait_for_the_other(maker: i32) {
    const WNOTHREAD: usize = 0x2000_0000;
    loop {
        let mut info = sys::SigInfo::EMPTY;
        let result = sys::waitid(sys::P_ALL, 0, &mut info, sys::WEXITED | sys::WNOWAIT | sys::WALL | WNOTHREAD);
        if result == 0 && info.pid == maker {
            sys::sleep_ms(1);
        } else if result != -(sys::EINTR as isize) {
            return;
        }
    }
}

/// Called by a keeper's child: wait until the keeper has ended and the first thread is the parent.
/// The keeper's end is what PR_SET_PDEATHSIG reports, so that is how it is awaited.
pub fn wait_for_its_end(block: &Block) {
    sys::prctl(sys::PR_SET_PDEATHSIG, SIGNAL_OF_KEEPERS_END as usize, 0);
    block.armed.store(1, Release);
    sys::futex_wake(&block.armed);
    let set: u64 = 1 << (SIGNAL_OF_KEEPERS_END - 1);
    let time = sys::Timespec { seconds: 0, nanoseconds: 20_000_000 };
    loop {
        let result = sys::call(nr::RT_SIGTIMEDWAIT, [&raw const set as usize, 0, &raw const time as usize, 8, 0, 0]);
        // The host's own death ends the keeper too; what then is missing is seen by the check that follows.
        if result == SIGNAL_OF_KEEPERS_END as isize || run::parent_is_gone(block) {
            return;
        }
    }
}
