//! The interpreter: `for op in plan { op.run()? }`, ending in execve.
//! Called in a fresh child on a stack of its own, and by the trampoline's `main`. It must not return to anyone.

use crate::arch::nr;
use crate::plan::{Block, Code, NONE, Op, flag, gate, kind, state};
use crate::{close, credentials, init, keeper, meet, mount, path, pool, sys};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The exit code of a child that failed: never seen by anyone but the library, which reports the op instead.
pub const DIED: i32 = 127;

pub type Done = Result<isize, i32>;

pub fn done(result: isize) -> Done {
    if result < 0 { Err(-result as i32) } else { Ok(result) }
}

/// Where the clone enters: a new process, in shared memory or (with OWN_MEMORY) in a copy of it.
pub extern "C" fn child(block: *mut u8) -> ! {
    // SAFETY: the host hands its block and keeps it until the kernel says that this process has left.
    let block = unsafe { &*block.cast::<Block>() };
    if block.flags & flag::OWN_MEMORY != 0 {
        meet::register(block);
    }
    if block.flags & flag::KEEPER != 0 {
        keeper::wait_for_its_end(block);
    }
    from(block, 0)
}

/// Runs the plan from op `first` to its end.
pub fn from(block: &Block, first: u32) -> ! {
    let mut position = first;
    while position < block.ops_count {
        block.progress.store(position, Release);
        let op = block.op(position);
        match run(block, position, op) {
            Ok(result) if op.out != NONE => block.set_slot(u64::from(op.out), result as i32),
            Ok(_) => {}
            Err(errno) if op.optional != NONE && is_missing(errno) => {
                block.left_out.fetch_or(1 << (op.optional & 63), Relaxed);
            }
            Err(errno) => fail(block, position, errno),
        }
        position += 1;
    }
    fail(block, position, sys::EINVAL)
}

/// What a kernel or a container answers where it lacks a feature.
fn is_missing(errno: i32) -> bool {
    matches!(errno, sys::ENOSYS | sys::EINVAL | sys::ENODEV | sys::ENXIO | sys::EOPNOTSUPP | sys::EPERM)
}

pub fn fail(block: &Block, position: u32, errno: i32) -> ! {
    block.progress.store(position, Relaxed);
    block.errno.store(errno, Relaxed);
    block.state.store(state::FAILED, Release);
    // A filter may stand in the way of exit itself: the host is told first, and kills.
    meet::leave(block);
    sys::exit_group(DIED)
}

fn run(block: &Block, position: u32, op: &Op) -> Done {
    let [first, second, third, ..] = op.args;
    match op.code {
        Code::Call => done(sys::call(op.number as usize, arguments(block, op))),
        Code::ResetSignals => reset_signals(first != 0),
        Code::DeathSignal => arm_death_signal(block, first),
        Code::Gate if first as u32 == gate::MAPS => {
            meet::await_maps(block);
            Ok(0)
        }
        Code::Gate => {
            meet::arrive(block, first as u32);
            Ok(0)
        }
        Code::MoveOff => move_off(block, first, second, third),
        Code::CloseFrom => close::range(first as usize, close::LAST, sys::CLOSE_RANGE_CLOEXEC),
        Code::AddPersonality => add_personality(first as usize),
        Code::Speculation => force_off(first as usize),
        Code::Enter => enter(block, position, first, second),
        Code::Callback => callback(first, second),
        Code::Init if first != 0 => init::replace(block),
        Code::Init => init::split(block, block.slot(second), third),
        Code::ChangeDirectory => path::change_directory(block, first, second, third),
        Code::Links => path::refuse_magic_links(block),
        Code::Hold => pool::hold(block, first, second, third),
        Code::Receive => pool::receive(block, first),
        Code::Exec => Err(exec(block, first)),
        Code::Place => place(block.slot(first), second),
        Code::Session if first == 0 && block.flags & flag::TERMINAL == 0 => Ok(0),
        Code::Session => done(sys::call(nr::SETSID, [0; 6])),
        Code::Handoff => {
            if block.flags & flag::SEND_LISTENER != 0 {
                send_fd(block.slot(u64::from(block.socket_slot)), block.slot(first))?;
            }
            meet::arrive(block, gate::LISTENER);
            // A copy here would keep an execve waiting whose supervisor has gone.
            if block.flags & flag::CLOSES_LISTENER != 0 {
                sys::close(block.slot(first));
            }
            Ok(0)
        }
        Code::LandlockPath => landlock_path(block.address(first), second, block.slot(third)),
        Code::Forget => {
            block.set_slot(first, -1);
            Ok(0)
        }
        Code::Bound => credentials::bound(first, second != 0),
        Code::KeepCapabilities => credentials::keep(first, second, third != 0),
        Code::Ambient if second != 0 => credentials::carry(),
        Code::Ambient => credentials::ambient(first),
        Code::HoldCapability => credentials::holds(first),
        Code::Identity => keeping_death_signal(block, || credentials::change(block, first, second, third)),
        Code::MountBegin => mount::begin(block, op),
        Code::MountOpen => mount::open(block, op),
        Code::MountNew => mount::new(block, op),
        Code::MountAttach => mount::attach(block, op),
        Code::MountMake => mount::make(block, op),
        Code::MountMask => mount::mask(block, op),
        Code::MountHold => mount::hold(block, op),
        Code::MountOverlay => mount::overlay(block, op),
        Code::MountSeal => mount::seal(block, op),
        Code::MountPivot => mount::pivot(block, op),
        Code::MountRemount => mount::remount(block, op),
        Code::EnterCgroup => {
            if block.outside_cgroup.load(Acquire) != 0 {
                meet::arrive(block, gate::CGROUP);
            }
            Ok(0)
        }
        Code::Fail => Err(first as i32),
    }
}

fn arguments(block: &Block, op: &Op) -> [usize; 6] {
    let mut args = [0; 6];
    for ((arg, kind), value) in args.iter_mut().zip(op.kinds).zip(op.args) {
        *arg = match kind {
            kind::OFFSET => block.address(value),
            kind::SLOT => block.slot(value) as usize,
            _ => value as usize,
        };
    }
    args
}

/// CLONE_CLEAR_SIGHAND and exec leave ignored signals ignored: all 64 are set. The two that can't be say EINVAL.
fn reset_signals(keeps_ignored: bool) -> Done {
    for signal in 1..=64 {
        if !(keeps_ignored && sys::is_ignored(signal)) {
            sys::sigaction_default(signal);
        }
    }
    Ok(0)
}

/// True once the process that spawned is no more. In a pid namespace of its own the child sees no parent: a pidfd
/// tells it there.
pub fn parent_is_gone(block: &Block) -> bool {
    let parent = block.parent_pid.load(Relaxed);
    if parent != 0 {
        sys::getppid() != parent
    } else {
        let pidfd = block.slot(u64::from(block.host_pidfd_slot));
        pidfd >= 0 && sys::readable(pidfd)
    }
}

/// Armed first, looked after second: a host that died in between is noticed either way.
fn arm_death_signal(block: &Block, signal: u64) -> Done {
    done(sys::prctl(sys::PR_SET_PDEATHSIG, signal as usize, 0))?;
    if signal != 0 && parent_is_gone(block) {
        sys::exit_group(DIED);
    }
    Ok(0)
}

/// A change of identity clears it: a parent that ends before it is armed once more must not be missed.
fn keeping_death_signal(block: &Block, change: impl FnOnce() -> Done) -> Done {
    const PR_GET_PDEATHSIG: usize = 2;
    let mut signal = 0i32;
    sys::prctl(PR_GET_PDEATHSIG, &raw mut signal as usize, 0);
    change()?;
    arm_death_signal(block, signal as u64)
}

fn move_off(block: &Block, slot: u64, list: u64, count: u64) -> Done {
    // SAFETY: the host laid `count` fd numbers at the offset.
    let taken = unsafe { core::slice::from_raw_parts(block.address(list) as *const i32, count as usize) };
    let mut fd = block.slot(slot);
    while taken.contains(&fd) {
        fd = done(sys::fcntl(fd, sys::F_DUPFD_CLOEXEC, fd as usize + 1))? as i32;
    }
    block.set_slot(slot, fd);
    Ok(0)
}

/// An inherited fd keeps its number; that the host had it close-on-exec is not what "inherit" asks for.
fn place(fd: i32, target: u64) -> Done {
    if fd < 0 {
        return done(sys::fcntl(target as i32, sys::F_SETFD, 0));
    }
    done(sys::call(nr::DUP3, [fd as usize, target as usize, 0, 0, 0, 0]))
}

/// The number at the start of `text`, if there is one.
pub fn decimal(text: &[u8]) -> Option<usize> {
    let mut value = None;
    for &byte in text {
        if !byte.is_ascii_digit() {
            break;
        }
        value = Some(value.unwrap_or(0usize).wrapping_mul(10).wrapping_add(usize::from(byte - b'0')));
    }
    value
}

fn add_personality(flag: usize) -> Done {
    let now = done(sys::call(nr::PERSONALITY, [0xffff_ffff, 0, 0, 0, 0, 0]))?;
    done(sys::call(nr::PERSONALITY, [now as usize | flag, 0, 0, 0, 0, 0]))
}

/// 0 says that the processor is not affected: there is nothing to force.
fn force_off(misfeature: usize) -> Done {
    const PR_SPEC_DISABLE: isize = 4;
    const PR_SPEC_FORCE_DISABLE: usize = 8;
    if done(sys::prctl(sys::PR_GET_SPECULATION_CTRL, misfeature, 0))? == 0 {
        return Ok(0);
    }
    done(sys::prctl(sys::PR_SET_SPECULATION_CTRL, misfeature, PR_SPEC_FORCE_DISABLE))?;
    // An arm64 that is affected and can do nothing about it takes the wish, and stays as it was.
    match done(sys::prctl(sys::PR_GET_SPECULATION_CTRL, misfeature, 0))? {
        now if now & (PR_SPEC_DISABLE | PR_SPEC_FORCE_DISABLE as isize) != 0 => Ok(0),
        _ => Err(sys::ENXIO),
    }
}

/// The trampoline's exec: the fds it needs cross it, the block's number goes along as its one argument.
fn enter(block: &Block, position: u32, program: u64, memory: u64) -> Done {
    for slot in 0..block.slots_count {
        let fd = block.slot(u64::from(slot));
        if fd >= 0 && u64::from(slot) != program {
            done(sys::fcntl(fd, sys::F_SETFD, 0))?;
        }
    }
    let mut digits = [0u8; 12];
    let mut at = digits.len() - 1;
    let mut rest = block.slot(memory) as u32;
    while at > 0 {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let argv = [c"sandbox-spawn".as_ptr() as usize, digits.as_ptr() as usize + at, 0];
    let envp = [0usize];
    block.progress.store(position, Relaxed);
    block.state.store(state::ENTERING, Release);
    let has_own_memory = block.flags & flag::OWN_MEMORY != 0;
    if has_own_memory {
        meet::unregister(); // the kernel would take this exec for the program's
    }
    let result = sys::call(nr::EXECVEAT, [
        block.slot(program) as usize, c"".as_ptr() as usize, argv.as_ptr() as usize, envp.as_ptr() as usize,
        sys::AT_EMPTY_PATH, 0,
    ]);
    if has_own_memory {
        meet::register(block);
    }
    block.state.store(state::RUNNING, Release);
    done(result)
}

/// What the trampoline does first, in its own memory: register its word, make its fds close-on-exec, go on.
pub fn entered(block: &Block) -> ! {
    meet::register(block);
    block.state.store(state::RUNNING, Release);
    for slot in 0..block.slots_count {
        let fd = block.slot(u64::from(slot));
        if fd >= 0 {
            sys::fcntl(fd, sys::F_SETFD, sys::FD_CLOEXEC);
        }
    }
    from(block, block.progress.load(Acquire) + 1)
}

/// SCM_RIGHTS with one byte: for where the host may not take the fd itself.
pub fn send_fd(socket: i32, fd: i32) -> Result<isize, i32> {
    #[repr(C)]
    struct Control {
        length: usize,
        level: i32,
        kind: i32,
        fd: i32,
        _pad: i32,
    }
    const SOL_SOCKET: i32 = 1;
    const SCM_RIGHTS: i32 = 1;
    const MSG_NOSIGNAL: usize = 0x4000;
    let byte = 0u8;
    let vector = [&raw const byte as usize, 1];
    let control = Control { length: 20, level: SOL_SOCKET, kind: SCM_RIGHTS, fd, _pad: 0 };
    // struct msghdr: name, its length, iov, its count, control, its length, flags
    let message = [0, 0, vector.as_ptr() as usize, 1, &raw const control as usize, 24, 0];
    done(sys::call(nr::SENDMSG, [socket as usize, message.as_ptr() as usize, MSG_NOSIGNAL, 0, 0, 0]))
}

/// Of a file that is no directory the kernel takes no directory's rights.
fn landlock_path(path: usize, access: u64, ruleset: i32) -> Done {
    const FILES: u64 = 0xc007; // EXECUTE, WRITE_FILE, READ_FILE, TRUNCATE, IOCTL_DEV
    const LANDLOCK_RULE_PATH_BENEATH: usize = 1;
    let fd = done(sys::call(nr::OPENAT, [sys::AT_FDCWD, path, sys::O_PATH | sys::O_CLOEXEC, 0, 0, 0]))?;
    let add = |access: u64| {
        // struct landlock_path_beneath_attr, which is packed: the rights, the fd
        let attr = [access as u32, (access >> 32) as u32, fd as u32];
        sys::call(nr::LANDLOCK_ADD_RULE, [ruleset as usize, LANDLOCK_RULE_PATH_BENEATH, attr.as_ptr() as usize, 0, 0, 0])
    };
    let mut result = add(access);
    if result == -(sys::EINVAL as isize) {
        result = if access & FILES == 0 { -(sys::ENOTDIR as isize) } else { add(access & FILES) };
    }
    sys::close(fd as i32);
    done(result)
}

fn callback(function: u64, userdata: u64) -> Done {
    // SAFETY: the host stored a pointer to a function of this type, and this process has a copy of its memory.
    let function: extern "C" fn(usize) -> i32 = unsafe { core::mem::transmute(function as usize) };
    let result = function(userdata as usize);
    if result < 0 { Err(result.checked_neg().unwrap_or(sys::ECANCELED)) } else { Ok(0) }
}

/// Tries each path as execvp would, but gives no script without an interpreter line to a shell.
fn exec(block: &Block, slot: u64) -> i32 {
    // SAFETY: the host laid three NULL-terminated arrays of offsets; each is resolved here, once, before exec.
    let (argv, envp, paths) = unsafe { (block.resolve(block.argv), block.resolve(block.envp), block.resolve(block.paths)) };
    if slot != u64::from(NONE) {
        let fd = block.slot(slot) as usize;
        return patiently(block, || sys::call(nr::EXECVEAT, [fd, c"".as_ptr() as usize, argv as usize, envp as usize, sys::AT_EMPTY_PATH, 0]));
    }
    let count = block.paths_count as usize;
    let mut worst = sys::ENOENT;
    for position in 0..count {
        // SAFETY: `count` pointers lie there.
        let path = unsafe { *paths.add(position) };
        match patiently(block, || sys::call(nr::EXECVE, [path, argv as usize, envp as usize, 0, 0, 0])) {
            // One that exists and may not be run is what the caller wants to hear of, if no other is found.
            sys::EACCES => worst = sys::EACCES,
            sys::ENOENT | sys::ENOTDIR | sys::ESTALE | sys::ENODEV | sys::ETIMEDOUT if count > 1 => {}
            errno => return errno,
        }
    }
    worst
}

/// Another thread of the host may hold the file open for writing across a fork of its own: that passes.
fn patiently(block: &Block, exec: impl Fn() -> isize) -> i32 {
    let mut pause = 1;
    loop {
        // A filter can answer 0 without an exec: that is its refusal.
        let errno = match exec() {
            0.. => sys::EPERM,
            result => -result as i32,
        };
        if errno != sys::ETXTBSY || pause > 64 || block.flags & flag::NO_SLEEP != 0 {
            return errno;
        }
        sys::sleep_ms(pause);
        pause *= 2;
    }
}
