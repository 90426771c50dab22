//! The thread that clones in place of one that is not the host's first: the child's death signal would fire with that one.

use super::*;

pub(super) struct Keeper {
    pub(super) stack: Mapping,
    pub(super) top: usize,
    /// The host's first thread has ended: the keeper lives as long as the child.
    pub(super) stays: bool,
    /// As long as the process that takes the child's place.
    pub(super) outlives_child: bool,
}

const KEEPER_STACK: usize = USUAL_STACK;

impl Keeper {
    /// Where the child would be another thread's than the host's first, and its death signal fire with that thread.
    pub(super) fn where_needed(plan: &Plan) -> Result<Option<Keeper>> {
        // SAFETY: no pointers.
        if plan.death_signal == 0 || unsafe { libc::gettid() == libc::getpid() } {
            return Ok(None);
        }
        let (stack, top) = Mapping::stack(KEEPER_STACK, 0)?;
        Ok(Some(Keeper { stack, top, stays: first_thread_has_ended(), outlives_child: plan.is_replaced() }))
    }

    /// Runs `keep` on a thread that is a copy of this one and waits for the pid it got.
    pub(super) fn clone(&self, block: &Block, args: CloneArgs) -> i32 {
        block.keeper.store(1, Release);
        let order = Order {
            block,
            args,
            entry: trampoline::child(),
            stay: if self.stays { 1 + usize::from(self.outlives_child) } else { 0 },
            stack: self.stack.at(0) as usize,
            stack_size: self.stack.length(),
        };
        // The order lies on top of the keeper's own stack.
        let room = size_of::<Order>().next_multiple_of(64);
        let place = self.stack.at(self.top - room).cast::<Order>();
        // SAFETY: inside our mapping, above where the stack begins.
        unsafe { place.write(order) };
        let base = self.stack.at(self.top - KEEPER_STACK);
        let mut flags = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD | libc::CLONE_SYSVSEM;
        if !self.stays {
            flags |= libc::CLONE_CHILD_CLEARTID;
        }
        let args = CloneArgs {
            flags: flags as u64,
            child_tid: block.keeper.as_ptr() as u64,
            stack: base as u64,
            stack_size: (KEEPER_STACK - room) as u64,
            ..CloneArgs::default()
        };
        // SAFETY: `keep` stays on its own stack, makes raw calls only and touches the block no more once `keeper` is 0.
        let thread = unsafe { clone(&args, trampoline::keep(), place.cast()) };
        if thread < 0 {
            block.keeper.store(0, Release);
            return i32::try_from(thread).unwrap_or(-libc::EIO);
        }
        loop {
            match block.clone_result.load(Acquire) {
                0 => futex_wait(&block.clone_result, 0, None),
                result => return result.cast_signed(),
            }
        }
    }
}

impl Launch {
    /// Once the child has armed its signal, or never will: one that was killed before would leave its keeper waiting.
    pub(super) fn wait_for_keeper(&self) {
        let Block { keeper: word, armed, .. } = self.place.block();
        if word.load(Acquire) == 0 {
            return; // the usual case: there was none
        }
        armed.store(1, Release);
        futex_wake(armed);
        loop {
            match word.load(Acquire) {
                0 => return,
                value => futex_wait(word, value, None),
            }
        }
    }
}

/// The address space of a thread that has ended is gone, though its number is not.
pub(super) fn first_thread_has_ended() -> bool {
    let mut byte = 0u8;
    let here = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let same = here;
    // SAFETY: one byte of ours, read into itself.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &raw const here, 1, &raw const same, 1, 0) };
    read < 0 && Errno::last() == Errno::ESRCH
}
