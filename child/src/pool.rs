//! A child of a pool: set up ahead, it waits in memory of its own for the run it is given, and is used for that one.
//! The run is a block like any other, which the host lays behind this one; its fds come through a socket.

use crate::arch::nr;
use crate::plan::{AWAITED, Block, MAGIC, TRAMPOLINE_ADDRESS, gate};
use crate::sys::{self, PollFd};
use crate::{close, meet, run as interpreter};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

pub const PROT_READ_WRITE: u64 = 3;
pub const MAP_SHARED_FIXED: u64 = 0x11;
pub const POPULATE_WRITE: u64 = 23;
/// In the place of a run's length: there will be none. A host that has dropped its privileges can't kill.
pub const NO_RUN: u32 = 2;

/// Returns only what keeps it from being held; what goes wrong with the run is reported in the run's own block.
pub fn hold(block: &Block, control: u64, memory: u64, offset: u64) -> Result<isize, i32> {
    let (control, memory, host) = (block.slot(control), block.slot(memory), block.slot(u64::from(block.host_pidfd_slot)));
    // What the host had open when this process was made, others' pipes among it, must not stay open for as long as
    // this one waits. 0 to 2 stay taken, so that no fd of the run's lands there; the run replaces them.
    close::all_but(|from| close::lowest(&[control, memory, host], from))?;
    for fd in 0..3 {
        let result = sys::call(nr::DUP3, [control as usize, fd, sys::O_CLOEXEC, 0, 0, 0]);
        if result < 0 {
            return Err(-result as i32);
        }
    }
    // It may wait beside programs of the same user that are confined already: none may trace it, and so get out.
    let dumpable = sys::prctl(sys::PR_GET_DUMPABLE, 0, 0);
    sys::prctl(sys::PR_SET_DUMPABLE, 0, 0);
    let mapped = populate(block, memory, offset as usize);

    meet::stand(block, gate::POOL);
    await_message(control, host);
    sys::prctl(sys::PR_SET_DUMPABLE, dumpable as usize, 0);
    forget_signals();
    let length = await_run(block, host);
    let address = TRAMPOLINE_ADDRESS + offset as usize;
    if length > mapped {
        let result = sys::call(nr::MMAP, [address, length, PROT_READ_WRITE as usize, MAP_SHARED_FIXED as usize, memory as usize, offset as usize]);
        if result < 0 {
            return Err(-result as i32);
        }
    }
    // SAFETY: the host laid a block of `length` bytes there before it told that length, and changes it no more.
    let run = unsafe { &*(address as *const Block) };
    if run.magic != MAGIC {
        return Err(sys::EINVAL);
    }
    run.parent_pid.store(block.parent_pid.load(Relaxed), Relaxed);
    meet::follow(block, run);
    interpreter::from(run, 0)
}

/// The pages that the run will touch, while there is time: of its block and of the stack; gives how many bytes of the
/// block are mapped. Before Linux 5.14 each comes when it is touched.
fn populate(block: &Block, memory: i32, offset: usize) -> usize {
    const PAGES: usize = 8 << 10;
    let populate = |at: usize, length: usize| sys::call(nr::MADVISE, [at, length, POPULATE_WRITE as usize, 0, 0, 0]);
    let here = 0u8;
    populate(((&raw const here as usize) - PAGES) & !0xfff, PAGES);
    populate(TRAMPOLINE_ADDRESS + offset, block.run_likely as usize);
    let length = sys::call(nr::LSEEK, [memory as usize, 0, 2, 0, 0, 0]);
    (length as usize).saturating_sub(offset)
}

/// The message comes first, so that this process wakes up while the host lays its run down: which is mostly there by
/// now, or in a moment too short to sleep for. Gives its length.
fn await_run(block: &Block, host: i32) -> usize {
    for _ in 0..100 {
        match block.run_length.load(Acquire) {
            0 => core::hint::spin_loop(),
            NO_RUN => sys::exit_group(interpreter::DIED),
            length => return length as usize,
        }
    }
    let moment = sys::Timespec { seconds: 0, nanoseconds: 100_000_000 };
    loop {
        match block.run_length.compare_exchange(0, 1, AcqRel, Acquire) {
            Err(NO_RUN) => sys::exit_group(interpreter::DIED),
            Ok(_) | Err(1) => sys::futex_wait(&block.run_length, 1, Some(&moment)),
            Err(length) => return length as usize,
        }
        if sys::readable(host) {
            sys::exit_group(interpreter::DIED);
        }
    }
}

/// Until something comes through the socket; or the host ends, of which a message would never tell.
fn await_message(control: i32, host: i32) {
    loop {
        let mut fds = [PollFd { fd: control, events: sys::POLLIN, revents: 0 }, PollFd { fd: host, events: sys::POLLIN, revents: 0 }];
        sys::poll(&mut fds, None);
        let [message, death] = fds;
        if death.revents != 0 {
            sys::exit_group(interpreter::DIED);
        }
        if message.revents != 0 {
            return;
        }
    }
}

/// What was sent while it waited, a ^C at the host's terminal say, is not the run's. All signals are blocked here.
fn forget_signals() {
    let all = u64::MAX;
    let now = sys::Timespec { seconds: 0, nanoseconds: 0 };
    let mut pending = 0u64;
    while sys::call(nr::RT_SIGPENDING, [&raw mut pending as usize, 8, 0, 0, 0, 0]) == 0 && pending != 0 {
        if sys::call(nr::RT_SIGTIMEDWAIT, [&raw const all as usize, 0, &raw const now as usize, 8, 0, 0]) < 0 {
            return;
        }
    }
}

/// The most fds of one message (SCM_MAX_FD), and the head of the control message that holds them.
const MOST_FDS: usize = 253;
const HEAD: usize = 16;
const CONTROL: usize = HEAD + (MOST_FDS + 1) * 4;

/// The run's fds, in the order of the slots that await them.
pub fn receive(block: &Block, socket: u64) -> Result<isize, i32> {
    let (socket, host) = (block.slot(socket), block.slot(u64::from(block.host_pidfd_slot)));
    let mut buffer = sys::Buffer::<CONTROL>::new();
    let mut fds: &[u8] = &[];
    let mut is_first = true;
    for slot in 0..u64::from(block.slots_count) {
        if block.slot(slot) != AWAITED {
            continue;
        }
        if fds.is_empty() {
            if !is_first {
                await_message(socket, host);
            }
            is_first = false;
            fds = buffer.filled(|at, size| take_message(socket, at, size))?.get(HEAD..).unwrap_or(&[]);
        }
        // The kernel gives as many as it finds room for in this process's table.
        let Some((&[a, b, c, d], rest)) = fds.split_first_chunk() else { return Err(sys::EMFILE) };
        block.set_slot(slot, i32::from_ne_bytes([a, b, c, d]));
        fds = rest;
    }
    Ok(0)
}

/// Fills `control` with the control message, and gives that one's own length.
fn take_message(socket: i32, control: usize, size: usize) -> isize {
    const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
    const MSG_CTRUNC: usize = 8;
    let mut byte = 0u8;
    let vector = [&raw mut byte as usize, 1];
    // struct msghdr: name, its length, iov, its count, control, its length, flags
    let message = [0, 0, vector.as_ptr() as usize, 1, control, size, 0];
    let result = sys::call(nr::RECVMSG, [socket as usize, message.as_ptr() as usize, MSG_CMSG_CLOEXEC, 0, 0, 0]);
    if result < 0 {
        return result;
    }
    // SAFETY: the kernel wrote the array's sixth and seventh number, and where the former is not 0 a length at `control`.
    unsafe {
        let written = (&raw const message).cast::<usize>().add(5).read_volatile();
        // What found no room in this process's table will not come again.
        if (&raw const message).cast::<usize>().add(6).read_volatile() & MSG_CTRUNC != 0 {
            return -(sys::EMFILE as isize);
        }
        if written >= HEAD { (control as *const usize).read_volatile() as isize } else { 0 }
    }
}
