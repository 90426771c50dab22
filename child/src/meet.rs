//! Where host and child meet: one futex word, `Block::phase`.
//!
//! RUNNING set: the child runs, the host may sleep on the word. RUNNING clear: the child stands at the gate and
//! sleeps until the host sets it again. 0 or LEFT: the child is in this memory no more, by exec or by death; the
//! kernel itself wrote that and woke the sleeper: 0 as the CLONE_CHILD_CLEARTID word of a child in shared memory,
//! LEFT as the robust futex of one with memory of its own (there CLEARTID is not written). That is why RUNNING and
//! LEFT have the values of FUTEX_WAITERS and FUTEX_OWNER_DIED, and the low bits hold the child's thread id.
//! An answer is a compare-and-exchange, so it can't undo what the kernel wrote.

use crate::arch::nr;
use crate::plan::{Block, Robust, gate, maps, state};
use crate::run;
use crate::sys;
use core::mem::offset_of;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

pub const RUNNING: u32 = 0x8000_0000;
pub const LEFT: u32 = 0x4000_0000;
/// The low bits of a child whose word is not a robust futex.
pub const SHARED: u32 = 1;
/// A child with memory of its own that has not yet registered its word.
pub const UNBORN: u32 = RUNNING;

/// Called by the child: stand at the gate until the host answers. A host that died will not: looked for now and then,
/// but not under a caller's filter, where the death signal alone must do.
pub fn arrive(block: &Block, gate: u32) {
    let waiting = stand(block, gate);
    sleep(block, &block.phase, waiting, gate != gate::LISTENER);
}

/// The host writes the id maps as soon as there is a child: mostly before that comes here, and neither sleeps.
pub fn await_maps(block: &Block) {
    if block.maps.compare_exchange(0, maps::AWAITED, Acquire, Acquire).is_ok() {
        sleep(block, &block.maps, maps::AWAITED, true);
    }
}

fn sleep(block: &Block, word: &AtomicU32, waiting: u32, looks: bool) {
    let moment = sys::Timespec { seconds: 0, nanoseconds: 100_000_000 };
    let patience = looks.then_some(&moment);
    while word.load(Acquire) == waiting {
        sys::futex_wait(word, waiting, patience);
        if looks && word.load(Acquire) == waiting && (run::parent_is_gone(block) || block.state.load(Acquire) == state::GIVEN_UP) {
            sys::exit_group(run::DIED);
        }
    }
}

/// The arrival alone; gives the word that the host is to change.
pub fn stand(block: &Block, gate: u32) -> u32 {
    block.gate.store(gate, Relaxed);
    let waiting = block.phase.load(Relaxed) & !RUNNING;
    block.phase.store(waiting, Release);
    sys::futex_wake(&block.phase);
    waiting
}

/// Makes the word a robust futex of the calling thread: the kernel will write LEFT and wake the host.
pub fn register(block: &Block) {
    let robust = &block.robust;
    let head = &raw const *robust as usize;
    let entry = head + offset_of!(Robust, entry_next);
    robust.list_next.store(entry as u64, Relaxed);
    robust.futex_offset.store((block.phase.as_ptr() as usize).wrapping_sub(entry) as u64, Relaxed);
    robust.pending.store(0, Relaxed);
    robust.entry_next.store(head as u64, Relaxed);
    block.phase.store(RUNNING | sys::gettid(), Release);
    sys::call(nr::SET_ROBUST_LIST, [head, 3 * size_of::<usize>(), 0, 0, 0, 0]);
}

/// The word that is registered for the calling thread becomes `next`'s: the kernel reads where it lies at the end alone.
pub fn follow(block: &Block, next: &Block) {
    let entry = &raw const block.robust as usize + offset_of!(Robust, entry_next);
    next.phase.store(RUNNING | (block.phase.load(Relaxed) & !LEFT), Release);
    block.robust.futex_offset.store((next.phase.as_ptr() as usize).wrapping_sub(entry) as u64, Release);
}

/// Takes the word off the calling thread again, for a child of it to register.
pub fn unregister() {
    sys::call(nr::SET_ROBUST_LIST, [0, 3 * size_of::<usize>(), 0, 0, 0, 0]);
}

/// Says itself what the kernel might say late, or not at all: that no more is to be expected of the child.
pub fn leave(block: &Block) {
    block.phase.store(LEFT, Release);
    sys::futex_wake(&block.phase);
}
