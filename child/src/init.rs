//! The init that stays behind: PID 1 of the program's pid namespace, or a subreaper where it has none.
//! Entered by the trampoline's op `Init`, in memory of its own. It reaps, forwards signals, ends when the host does,
//! and reports the program's own end in the block, exactly; its own exit code merely follows that.

use crate::arch::nr;
use crate::plan::{Block, flag, state, wish};
use crate::sys::{self, PollFd, SigInfo};
use crate::{close, meet, run};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const SFD_CLOEXEC: usize = 0o2_000_000;
const CLONE_PIDFD: usize = 0x1000;
const CLONE_PARENT: usize = 0x8000;
const CLONE_PARENT_SETTID: usize = 0x10_0000;

/// Returns in a new process of the pid namespace that was joined (which setns gives to children alone), the host's own
/// child like this one. The host then ends this process, which keeps nothing but its place.
pub fn replace(block: &Block) -> Result<isize, i32> {
    meet::unregister();
    // The kernel writes the number before there is a process that could fail.
    let flags = CLONE_PARENT | CLONE_PARENT_SETTID | sys::SIGCHLD as usize;
    let pid = sys::call(nr::CLONE, [flags, 0, block.joined_pid.as_ptr() as usize, 0, 0, 0]);
    if pid <= 0 {
        meet::register(block);
        return if pid < 0 { Err(-pid as i32) } else { Ok(0) };
    }
    let host = block.slot(u64::from(block.host_pidfd_slot));
    sys::poll(&mut [PollFd { fd: host, events: sys::POLLIN, revents: 0 }], None);
    sys::exit_group(run::DIED)
}

/// Returns in the program's process; the init itself never does.
/// `children`: the open list of this process's children, where it has no pid namespace to end them all. `held`: where
/// the list of slots to hold open lies, or 0.
pub fn split(block: &Block, children: i32, held: u64) -> Result<isize, i32> {
    if block.flags & flag::SUBREAPER != 0 && sys::prctl(sys::PR_SET_CHILD_SUBREAPER, 1, 0) < 0 {
        return Err(sys::EINVAL);
    }
    let all = u64::MAX;
    let signals = sys::call(nr::SIGNALFD4, [usize::MAX, &raw const all as usize, 8, SFD_CLOEXEC, 0, 0]);
    if signals < 0 {
        return Err(-signals as i32);
    }
    meet::unregister();
    // Nothing of the program's can read or trace its init, nor open what that still holds: from before there is one.
    let dumpable = sys::prctl(sys::PR_GET_DUMPABLE, 0, 0);
    sys::prctl(sys::PR_SET_DUMPABLE, 0, 0);
    let mut pidfd: i32 = -1;
    let position = block.progress.load(Relaxed);
    let me = sys::call(nr::GETPID, [0; 6]);
    // A plain fork of this small program; the kernel returns twice, each time in memory of its own.
    let pid = sys::call(nr::CLONE, [CLONE_PIDFD | sys::SIGCHLD as usize, 0, &raw mut pidfd as usize, 0, 0, 0]);
    if pid < 0 {
        sys::prctl(sys::PR_SET_DUMPABLE, (dumpable == 1).into(), 0);
        meet::register(block);
        return Err(-pid as i32);
    }
    if pid == 0 {
        sys::prctl(sys::PR_SET_DUMPABLE, (dumpable == 1).into(), 0);
        meet::register(block);
        // The init is one thread: here the signal means its process.
        sys::prctl(sys::PR_SET_PDEATHSIG, sys::SIGKILL as usize, 0);
        block.parent_pid.store(me as i32, Relaxed);
        if run::parent_is_gone(block) {
            sys::exit_group(run::DIED);
        }
        sys::close(signals as i32);
        return Ok(0);
    }
    // The host knows the init's pidfd alone; the listener is to be taken out of the program.
    let socket = block.slot(u64::from(block.socket_slot));
    let sent = if socket >= 0 { run::send_fd(socket, pidfd) } else { Ok(0) };
    let host = block.slot(u64::from(block.host_pidfd_slot));
    if let Err(errno) = sent.and_then(|_| close_all_but_held(block, [host, pidfd, signals as i32, children], held)) {
        // With too many fds on their way, say (ETOOMANYREFS). The program, which may wait for ever, goes first: no
        // word of its own may follow this one.
        kill(pidfd);
        sys::waitid(P_PID, pid as i32, &mut { SigInfo::EMPTY }, sys::WEXITED | sys::WALL);
        block.final_status.store(sys::SIGKILL, Relaxed);
        block.final_code.store(CLD_KILLED, Release); // where it was past its exec already
        run::fail(block, position, errno);
    }
    stay(block, pid as i32, [pidfd, signals as i32, children], host)
}

fn kill(pidfd: i32) {
    send(pidfd, sys::SIGKILL);
}

fn send(pidfd: i32, signal: i32) {
    sys::call(nr::PIDFD_SEND_SIGNAL, [pidfd as usize, signal as usize, 0, 0, 0, 0]);
}

fn stay(block: &Block, program: i32, [pidfd, signals, children]: [i32; 3], mut host: i32) -> ! {
    sys::prctl(sys::PR_SET_NAME, c"sandbox-init".as_ptr() as usize, 0);
    loop {
        let mut fds = [PollFd { fd: signals, events: sys::POLLIN, revents: 0 }, PollFd { fd: host, events: sys::POLLIN, revents: 0 }];
        sys::poll(&mut fds, None);
        let [signal, death] = fds;
        if death.revents != 0 && block.flags & flag::OUTLIVES_HOST != 0 && block.phase.load(Acquire) & meet::LEFT != 0 {
            host = -1; // its program runs: what a host that dies before leaves is nobody's
        } else if death.revents != 0 {
            // First what may do most harm, however long the search for the rest takes.
            kill(pidfd);
            end_the_rest(block, children);
            sys::exit_group(run::DIED);
        }
        if signal.revents != 0 {
            take_signal(block, program, [pidfd, signals, children]);
        }
    }
}

/// And all but what the slots at `held` are open on: the init holds nothing of the program's open.
fn close_all_but_held(block: &Block, own: [i32; 4], held: u64) -> Result<isize, i32> {
    let list = block.address(held) as *const u32;
    // SAFETY: where `held` is not 0 the host laid a number there, and that many slots behind it.
    let slots = if held == 0 { &[] } else { unsafe { core::slice::from_raw_parts(list.add(1), *list as usize) } };
    close::all_but(|from| {
        let own = close::lowest(&own, from);
        slots.iter().fold(own, |least, &slot| least.min(close::lowest(&[block.slot(slot.into())], from)))
    })
}

fn number(info: &[u8], at: usize) -> Option<i32> {
    match info.get(at..at + 4) {
        Some(&[first, second, third, fourth]) => Some(i32::from_ne_bytes([first, second, third, fourth])),
        _ => None,
    }
}

fn take_signal(block: &Block, program: i32, [pidfd, signals, children]: [i32; 3]) {
    let mut info = sys::Buffer::<128>::new(); // struct signalfd_siginfo: the number first
    let info = info.filled(|at, size| sys::call(nr::READ, [signals as usize, at, size, 0, 0, 0]));
    let Ok(info) = info else { return };
    let Some(signal) = number(info, 0) else { return };
    // Whichever signal woke it: the host's own is one of many, where a program floods its init with others.
    let wishes = block.wishes.fetch_and(wish::END, AcqRel);
    let is_to_end = wishes & wish::END != 0;
    // struct signalfd_siginfo: code at 8, value at 44
    let is_wake = signal == sys::SIGCONT && number(info, 8) == Some(SI_QUEUE) && number(info, 44) == Some(wish::WAKE);
    if is_to_end {
        kill(pidfd);
    }
    let lingers = block.flags & flag::LINGERS != 0;
    if signal != sys::SIGCHLD && (lingers || is_to_end) {
        return;
    }
    if signal != sys::SIGCHLD && !is_wake {
        send(pidfd, signal);
    }
    match wishes & (wish::STOP | wish::CONTINUE) {
        0 => {}
        wish::STOP => send(pidfd, sys::SIGSTOP),
        _ => send(pidfd, sys::SIGCONT),
    }
    if signal != sys::SIGCHLD {
        return;
    }
    // Signals of one kind merge: take every one that has ended.
    loop {
        let mut ended = SigInfo::EMPTY;
        let waited = sys::waitid(sys::P_ALL, 0, &mut ended, sys::WEXITED | sys::WSTOPPED | sys::WNOHANG | sys::WALL);
        if lingers && waited < 0 {
            sys::exit_group(block.final_status.load(Relaxed) & 0xff); // none is left
        }
        if waited < 0 || ended.pid == 0 {
            return;
        }
        if ended.code > CLD_DUMPED {
            // The host makes something of it where others can stop a program that has not yet run.
            if ended.pid == program {
                block.stopped.store(1, Release);
            }
        } else if ended.pid == program {
            report(block, &ended);
            if !lingers {
                finish(block, &ended, children);
            }
        }
    }
}

const SI_QUEUE: i32 = -1;
const CLD_EXITED: i32 = 1;
const CLD_KILLED: i32 = 2;
const CLD_DUMPED: i32 = 3;

/// The host sleeps on the word that says it, where the init's own end would not.
fn report(block: &Block, ended: &SigInfo) {
    if block.state.load(Acquire) == state::RUNNING {
        block.final_status.store(ended.status, Relaxed);
        block.final_code.store(ended.code, Release);
    }
    if block.phase.load(Acquire) & meet::LEFT == 0 {
        meet::leave(block);
    }
    sys::call(nr::FUTEX, [block.final_code.as_ptr() as usize, 1, i32::MAX as usize, 0, 0, 0]); // FUTEX_WAKE
}

fn finish(block: &Block, ended: &SigInfo, children: i32) -> ! {
    end_the_rest(block, children);
    sys::exit_group(if ended.code == CLD_EXITED { ended.status & 0xff } else { 128 + ended.status })
}

/// In a pid namespace the kernel does this. A subreaper ends its own children until no more come to it; none of them
/// can be mistaken, because nobody else can reap one.
fn end_the_rest(block: &Block, children: i32) {
    if block.flags & flag::SUBREAPER == 0 {
        return;
    }
    while reap_ended() && kill_children(children) {}
}

/// False where no child is left.
fn reap_ended() -> bool {
    loop {
        let mut next = SigInfo::EMPTY;
        if sys::waitid(sys::P_ALL, 0, &mut next, sys::WEXITED | sys::WNOHANG | sys::WALL) < 0 {
            return false;
        }
        if next.pid == 0 {
            return true;
        }
    }
}

/// One round over the list of children; false where it can't be read, or holds none of ours: its numbers would then be
/// another pid namespace's.
fn kill_children(list: i32) -> bool {
    if list < 0 {
        return kill_by_trying();
    }
    let mut text = sys::Buffer::<1024>::new();
    sys::call(nr::LSEEK, [list as usize, 0, 0, 0, 0, 0]);
    let Ok(text) = text.filled(|at, size| sys::call(nr::READ, [list as usize, at, size, 0, 0, 0])) else { return false };
    let (mut seen, mut ours) = (false, false);
    for word in text.split(|&byte| byte == b' ') {
        let Some(pid) = run::decimal(word) else { continue };
        let pidfd = sys::call(nr::PIDFD_OPEN, [pid, 0, 0, 0, 0, 0]);
        seen = true;
        if pidfd >= 0 {
            if is_child(P_PIDFD, pidfd as i32) {
                ours = true;
                kill(pidfd as i32);
            }
            sys::close(pidfd as i32);
        }
    }
    sys::sleep_ms(1);
    ours || !seen
}

const P_PID: usize = 1;
const P_PIDFD: usize = 3;

fn is_child(which: usize, id: i32) -> bool {
    sys::waitid(which, id, &mut { SigInfo::EMPTY }, sys::WEXITED | sys::WNOHANG | sys::WNOWAIT | sys::WALL) >= 0
}

/// Without a list: numbers are tried, until no child is left. What is not our child says so. All that there can be take
/// half a second and more: the ones behind our own come first, where our children's most likely are.
fn kill_by_trying() -> bool {
    const MOST_PIDS: usize = 4 << 20;
    let me = sys::call(nr::GETPID, [0; 6]) as usize;
    for step in 1..MOST_PIDS {
        let pid = (me + step) % MOST_PIDS;
        if is_child(P_PID, pid as i32) {
            let pidfd = sys::call(nr::PIDFD_OPEN, [pid, 0, 0, 0, 0, 0]);
            if pidfd >= 0 {
                kill(pidfd as i32);
                sys::close(pidfd as i32);
            }
        }
        if step % 1024 == 0 && !reap_ended() {
            return false;
        }
    }
    sys::sleep_ms(1);
    true
}
