//! The host's side of a spawn: clone3, the gate, the outcome. What comes back is a running program's handle, or an
//! error and nothing left behind.

mod held;

use crate::block::{Image, Place};
use crate::cgroup::{Home, Leaf};
use crate::cmd::{Cmd, Hook, ReadyFn};
use crate::confine::namespace::Ns;
use crate::confine::{cgroup, filter, identity, landlock, mount, privilege, trace};
use crate::diagnose::{Refused, diagnose};
use crate::error::{Error, Result, Stage};
use crate::fd;
use crate::handoff;
use crate::idmap;
use crate::memory::{Mapping, USUAL_STACK};
use crate::options::Opt;
use crate::plan::{Plan, Role, Source};
use crate::process::{Child, request_end};
use crate::seccomp::act;
use crate::streams::Streams;
use crate::trampoline;
use nix::errno::Errno;
use sandbox_child::keeper::{CLONE_INTO_CGROUP, CloneArgs, Order, clone};
use sandbox_child::plan::{Block, Code, TRAMPOLINE_ADDRESS, flag, gate, maps, state};
use sandbox_child::meet;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::time::{Duration, Instant};

pub use held::Held;

/// What the host does while the child stands at a gate; an error kills the child and is the spawn's.
pub type AtGate<'a> = &'a mut dyn FnMut(u32, libc::pid_t, RawFd) -> Result<()>;

/// Starts `cmd` by `plan`.
pub fn spawn(cmd: &Cmd, plan: Arc<Plan>) -> Result<Child> {
    spawn_with(cmd, plan, &mut |gate, pid, pidfd| at_gate(cmd, gate, pid, pidfd))
}

pub fn at_gate(cmd: &Cmd, gate: u32, pid: libc::pid_t, pidfd: RawFd) -> Result<()> {
    match (gate, cmd.on_ready, cmd.ptrace) {
        (gate::READY, Some(hook), _) => ask(hook, pid, pidfd, "the caller's on_ready refused"),
        (gate::MAPS, ..) => cmd.on_maps.map_or_else(|| idmap::write(cmd, pid), |hook| ask(hook, pid, pidfd, "the caller's on_maps refused")),
        (gate::TRACE, _, Some(options)) => seize(pid, options),
        _ => Ok(()),
    }
}

fn ask(hook: Hook<ReadyFn>, pid: libc::pid_t, pidfd: RawFd, refused: &str) -> Result<()> {
    let answer = (hook.function)(pid, pidfd, hook.userdata);
    if answer < 0 {
        let errno = answer.checked_neg().unwrap_or(libc::ECANCELED);
        return Err(Error::new(Stage::SANDBOX_STAGE_CALLBACK, 0, errno, refused));
    }
    Ok(())
}

/// PTRACE_SEIZE stops nothing: the first stop is the exec's.
fn seize(pid: libc::pid_t, options: u64) -> Result<()> {
    let options = options | libc::PTRACE_O_TRACEEXEC as u64;
    // SAFETY: no pointers; the child is ours and not yet reaped, so its number is its own.
    if unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0usize, options as usize) } < 0 {
        let error = Error::last(Stage::SANDBOX_STAGE_PTRACE, 0, "PTRACE_SEIZE");
        let hint = trace::hint(error.errno);
        return Err(error.hint(hint));
    }
    Ok(())
}

/// The same, with another hand at the gate.
pub fn spawn_with(cmd: &Cmd, plan: Arc<Plan>, at_gate: AtGate) -> Result<Child> {
    refuse_privileged_host(cmd)?;
    let mut streams = Streams::prepare(cmd)?;
    let mut launch = Launch::prepare(plan, &mut streams, [0; 2])?;
    let started = Instant::now();
    let (pid, pidfd) = launch.clone()?;
    launch.see_through_exec(cmd, streams, (pid, pidfd), started, at_gate).map_err(|lost| lost.error)
}

/// A start that failed.
pub struct Lost {
    pub error: Error,
    /// The child was killed by others, before anyone had looked at it: another can take its place unseen.
    pub is_replaceable: bool,
}

/// A set-user-ID program's environment is its caller's: the library will not start processes for it unasked.
pub fn refuse_privileged_host(cmd: &Cmd) -> Result<()> {
    // SAFETY: reads the auxiliary vector.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 && !cmd.options.is_on(Opt::SANDBOX_OPT_ALLOW_PRIVILEGED_HOST) {
        let what = "the host runs with privileges that its caller has not (AT_SECURE)";
        return Err(Error::setup(libc::EPERM, what).hint("SANDBOX_OPT_ALLOW_PRIVILEGED_HOST allows it"));
    }
    Ok(())
}

/// What one spawn holds on the host's side until the child has left the host's memory.
pub struct Launch {
    plan: Arc<Plan>,
    place: Place,
    /// Set where the block is not in the stack's mapping.
    _stack: Option<Mapping>,
    stack_base: *mut u8,
    stack_size: usize,
    /// Its stack, until it no longer stands there.
    keeper: Option<Keeper>,
    /// The host's end of the listener's socket, where it needs one.
    socket: Option<OwnedFd>,
    listener: Option<OwnedFd>,
    /// Killed and removed with this value; a child that comes to life takes it along.
    pub leaf: Option<Leaf>,
    is_adopted: bool,
    /// The filters have execve notified: it happens when the caller has answered.
    exec_is_notified: bool,
    /// Where the child sees the block, once it has memory of its own.
    base: usize,
    /// The memory that host and trampoline share, where a run is to be laid into it.
    memory: Option<OwnedFd>,
    /// Of a child from a pool: the block it was held with, where its init goes on reporting.
    held: Option<Place>,
    /// The host has answered at a gate, or taken the listener.
    has_met: bool,
}

// SAFETY: the mappings are this value's alone; the block's atomics are made for sharing.
unsafe impl Send for Launch {}
// SAFETY: as above.
unsafe impl Sync for Launch {}

fn has_pid_namespace(plan: &Plan) -> bool {
    plan.namespaces & Ns::SANDBOX_NS_PID as u64 != 0
}

fn flags(plan: &Plan, streams: &Streams, sends_listener: bool) -> u32 {
    let has = |is_on, flag| if is_on { flag } else { 0 };
    has(plan.copies_memory, flag::OWN_MEMORY)
        | has(streams.has_terminal, flag::TERMINAL)
        | has(plan.has_init && !plan.lingers && !has_pid_namespace(plan), flag::SUBREAPER)
        | has(plan.lingers, flag::LINGERS)
        | has(plan.outlives_host, flag::OUTLIVES_HOST)
        | has(sends_listener, flag::SEND_LISTENER)
}

struct Keeper {
    stack: Mapping,
    top: usize,
    /// The host's first thread has ended: the keeper lives as long as the child.
    stays: bool,
    /// As long as the process that takes the child's place.
    outlives_child: bool,
}

const KEEPER_STACK: usize = USUAL_STACK;

impl Launch {
    /// `room` is what a held child's memory has for its run: so many bytes, of which so many will likely be touched.
    fn prepare(plan: Arc<Plan>, streams: &mut Streams, [room, likely]: [usize; 2]) -> Result<Self> {
        let mut image = Image::new(&plan);
        let length = image.length(&plan);
        let is_held = plan.role == Role::Held;
        let (mut memory, mut socket) = (None::<OwnedFd>, None);
        // What joins others' namespaces is not dumpable, so that nobody there can take anything out of it.
        let sends_listener = plan.has_listener() && (plan.joins != 0 || !handoff::may_take_fds());
        for (slot, source) in plan.slots.iter().enumerate() {
            let number = match *source {
                Source::Command(fd) => fd,
                Source::Stdio(target) => streams.child.get(target).copied().flatten().unwrap_or(-1),
                Source::Host => streams.host_pidfd()?,
                Source::Trampoline => streams.keep(trampoline::program()?),
                Source::Memory => memory.insert(trampoline::memory(if is_held { plan.run_offset + room } else { length })?).as_raw_fd(),
                Source::Control | Source::Handoff if is_held || plan.has_init || sends_listener => {
                    let (host, child) = handoff::socket()?;
                    socket = Some(host);
                    streams.keep(child)
                }
                Source::Control | Source::Handoff | Source::Op => -1,
            };
            image.set_slot(slot, number);
        }
        let keeper = Keeper::where_needed(&plan)?;
        let mut flags = flags(&plan, streams, sends_listener);
        if keeper.as_ref().is_some_and(|keeper| !keeper.stays) {
            flags |= flag::KEEPER;
        }
        let (place, stack, stack_base) = if plan.enters || plan.copies_memory {
            let shared = Mapping::shared(length, memory.as_ref().map(AsRawFd::as_raw_fd))?;
            let (stack, top) = Mapping::stack(plan.stack_size, 0)?;
            let base = stack.at(top - plan.stack_size);
            (Place::new(shared, 0), Some(stack), base)
        } else {
            let (mapping, top) = Mapping::stack(plan.stack_size, length)?;
            let base = mapping.at(top - plan.stack_size);
            (Place::new(mapping, top), None, base)
        };
        if let Some(memory) = memory.take_if(|_| !is_held) {
            streams.keep(memory);
        }
        // SAFETY: the place has room for the image and no child knows of it yet.
        unsafe { image.place(&plan, place.address(), flags, if has_pid_namespace(&plan) || plan.joins_pid() { 0 } else { libc::getpid() })? };
        let mut launch = Launch {
            _stack: stack,
            stack_base,
            stack_size: plan.stack_size,
            base: if plan.enters { TRAMPOLINE_ADDRESS } else { place.address() as usize },
            plan,
            place,
            keeper,
            socket,
            listener: None,
            leaf: None,
            is_adopted: false,
            exec_is_notified: false,
            memory,
            held: None,
            has_met: false,
        };
        launch.place.set_likely(u32::try_from(likely).unwrap_or(0));
        launch.place_filters(&image)?;
        launch.leaf = launch.plan.cgroup.as_ref().map(Home::leaf).transpose()?;
        Ok(launch)
    }

    /// Lays the filters down and refuses those that the child could not get past.
    fn place_filters(&mut self, image: &Image) -> Result<()> {
        if self.plan.filters.is_empty() {
            return Ok(());
        }
        // SAFETY: placed just now; no child knows of it yet.
        let exec = unsafe { image.place_filters(&self.plan, self.place.address(), self.base as u64)? };
        match exec.action & act::MASK {
            act::KILL_PROCESS | act::KILL_THREAD | act::TRAP => {
                let what = "the filter would end the child at its own execve";
                return Err(Error::new(Stage::SANDBOX_STAGE_SECCOMP, exec.culprit, libc::EINVAL, what));
            }
            act::NOTIFY => self.exec_is_notified = true,
            _ => {}
        }
        if self.block().flags & flag::SEND_LISTENER != 0 && !exec.may_send {
            let what = "the listener: the host may not take it (not dumpable, or Yama), and the filter forbids sendmsg";
            return Err(Error::new(Stage::SANDBOX_STAGE_HANDOFF, 0, libc::EPERM, what));
        }
        if !exec.may_sleep {
            self.place.add_flag(flag::NO_SLEEP);
        }
        Ok(())
    }

    /// Clones with all signals blocked: no handler of the host's runs in the child, and none in the keeper.
    fn clone(&mut self) -> Result<(libc::pid_t, OwnedFd)> {
        let all = u64::MAX;
        let mut before = 0u64;
        // SAFETY: both sets are ours and 8 bytes long. The wrapper of libc would leave its own signals unblocked.
        let block = |set: *const u64, old: *mut u64| unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, set, old, 8) };
        block(&raw const all, &raw mut before);
        self.place.set_mask(before);
        let result = self.clone_blocked();
        block(&raw const before, ptr::null_mut());
        let namespaces = self.plan.namespaces;
        let failed = |errno: i32| Error::new(Stage::SANDBOX_STAGE_CLONE, 0, errno, "clone3").hint(diagnose(&Refused::Namespaces(namespaces), errno));
        let pid = result.map_err(|errno| {
            self.wait_for_keeper();
            failed(errno)
        })?;
        // SAFETY: the kernel made it for us.
        let pidfd = unsafe { OwnedFd::from_raw_fd(self.place.block().clone_pidfd.load(Acquire)) };
        if pidfd.as_raw_fd() > 2 {
            return Ok((pid, pidfd));
        }
        fd::duplicate(pidfd.as_raw_fd(), 3).map(|pidfd| (pid, pidfd)).map_err(|errno| {
            end(pid, pidfd.as_raw_fd());
            self.wait_for_keeper();
            failed(errno as i32)
        })
    }

    fn clone_blocked(&mut self) -> std::result::Result<libc::pid_t, i32> {
        let block = self.place.block();
        let mut flags = (libc::CLONE_PIDFD as u64) | 0x1_0000_0000 | self.plan.namespaces; // CLONE_CLEAR_SIGHAND
        if !self.plan.copies_memory {
            flags |= (libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID) as u64;
        }
        if self.leaf.is_some() {
            flags |= CLONE_INTO_CGROUP;
        }
        let args = CloneArgs {
            flags,
            pidfd: block.clone_pidfd.as_ptr() as u64,
            child_tid: block.phase.as_ptr() as u64,
            // exec makes it SIGCHLD: until then no waitpid of the host's sees the child.
            exit_signal: 0,
            stack: self.stack_base as u64,
            stack_size: self.stack_size as u64,
            cgroup: self.leaf.as_ref().map_or(0, |leaf| u64::try_from(leaf.fd()).unwrap_or(0)),
            ..CloneArgs::default()
        };
        let result = match self.keeper.take() {
            // SAFETY: the stack is the child's own, the block lives until the child has left.
            None => i32::try_from(unsafe { clone(&args, trampoline::child(), self.place.address()) }).unwrap_or(-libc::EIO),
            Some(keeper) => {
                let result = keeper.clone(self.place.block(), args);
                if keeper.stays && self.place.block().clone_result.load(Acquire) != 0 {
                    keeper.stack.leak(); // it unmaps that itself
                } else {
                    self.keeper = Some(keeper);
                }
                result
            }
        };
        if result < 0 { Err(-result) } else { Ok(result) }
    }

    /// Answers at gates until the child has left this memory, by exec or by death; or, which is true, until its exec
    /// waits for the caller's answer.
    fn meet(&mut self, pid: &mut libc::pid_t, pidfd: &mut OwnedFd, at_gate: AtGate) -> Result<bool> {
        let mut tracee = None;
        self.map_ids(*pid, pidfd, at_gate)?;
        loop {
            let Some(word) = self.await_word(pidfd.as_raw_fd(), None, tracee) else {
                return Ok(tracee.is_some() && !self.has_left() && !fd::has_ended(pidfd.as_raw_fd()));
            };
            let gate = self.place.block().gate.load(Acquire);
            if gate == gate::POOL {
                return Ok(true);
            }
            self.has_met = true;
            if gate == gate::TRACE {
                tracee = Some(*pid);
            }
            match (gate, &self.leaf) {
                (gate::LISTENER, _) => {
                    let listener = self.take_listener(pidfd.as_raw_fd()).map_err(|error| self.reason(error, pidfd))?;
                    self.listener = Some(listener);
                    self.socket = None; // of no more use, and a launch may be given up with the child still in it
                }
                (gate::CGROUP, Some(leaf)) => leaf.enter(*pid)?,
                (gate::LIMITS, Some(leaf)) => self.plan.cgroup.iter().flat_map(|home| &home.late).try_for_each(|setting| leaf.set(setting))?,
                (gate::JOINED, _) => self.adopt(pid, pidfd)?,
                _ => at_gate(gate, *pid, pidfd.as_raw_fd())?,
            }
            let phase = &self.place.block().phase;
            // Fails where the child died meanwhile: the kernel's word stands.
            if phase.compare_exchange(word, word | meet::RUNNING, Release, Acquire).is_ok() {
                futex_wake(phase);
            }
            if gate == gate::LISTENER && self.exec_is_notified {
                return Ok(true);
            }
        }
    }

    /// While the child is still on its way to where it needs them.
    fn map_ids(&mut self, pid: libc::pid_t, pidfd: &OwnedFd, at_gate: AtGate) -> Result<()> {
        if !self.plan.maps_ids {
            return Ok(());
        }
        at_gate(gate::MAPS, pid, pidfd.as_raw_fd()).map_err(|error| self.reason(error, pidfd))?;
        let word = &self.block().maps;
        if word.swap(maps::WRITTEN, AcqRel) == maps::AWAITED {
            futex_wake(word);
        }
        Ok(())
    }

    /// Of a failure on this side: a child that had failed, or ended, says more of it.
    fn reason(&self, error: Error, pidfd: &OwnedFd) -> Error {
        let is_over = self.block().state.load(Acquire) == state::FAILED || fd::has_ended(pidfd.as_raw_fd());
        is_over.then(|| self.outcome(pidfd).err()).flatten().unwrap_or(error)
    }

    /// From the clone, or from a held child's message, to the running program's handle.
    fn see_through_exec(mut self, cmd: &Cmd, streams: Streams, (mut pid, pidfd): (libc::pid_t, OwnedFd), started: Instant, at_gate: AtGate)
        -> std::result::Result<Child, Lost> {
        let scatter = |fd: OwnedFd| if cmd.options.is_on(Opt::SANDBOX_OPT_RANDOM_FDS) { fd::scattered(fd) } else { fd };
        let mut pidfd = scatter(pidfd);
        let met = self.meet(&mut pid, &mut pidfd, at_gate);
        self.wait_for_keeper();
        let outcome = met.and_then(|is_under_way| if is_under_way { Ok(true) } else { self.outcome(&pidfd).map(|()| false) });
        match outcome {
            Ok(is_under_way) => {
                let listener = self.listener.take().map(scatter);
                if let Some(leaf) = &mut self.leaf {
                    leaf.place(scatter);
                }
                Ok(Child::new(pid, pidfd, listener, streams, started, self, is_under_way))
            }
            Err(error) => {
                if self.held.is_some() && self.ends_by_request() {
                    end_by_request(pidfd.as_raw_fd());
                }
                end(pid, pidfd.as_raw_fd());
                self.end_unadopted();
                let is_replaceable = !self.has_met && self.block().state.load(Acquire) == state::RUNNING;
                Err(Lost { error, is_replaceable })
            }
        }
    }

    /// Sleeps until the child stands at a gate, and gives its word; `None` once it has left, or at the deadline, or where
    /// `tracee` has stopped for its tracer to decide.
    fn await_word(&self, pidfd: RawFd, deadline: Option<Instant>, tracee: Option<libc::pid_t>) -> Option<u32> {
        let block = self.place.block();
        // A word that the kernel clears by itself needs no second look; a robust futex has a moment before it is one,
        // and the stop of a tracee wakes no futex.
        let needs_a_look = self.plan.enters || self.plan.copies_memory || tracee.is_some();
        let mut patience = needs_a_look.then_some(Duration::from_millis(10));
        loop {
            let word = block.phase.load(Acquire);
            if has_left(block, word) {
                return None;
            }
            if word != 0 && word & meet::RUNNING == 0 {
                return Some(word);
            }
            if let Some(deadline) = deadline {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                // Only one sleeper is woken, and there may be several here.
                patience = Some(left.min(Duration::from_millis(10)));
            }
            futex_wait(&block.phase, word, patience);
            if patience.is_some() && block.phase.load(Acquire) == word && fd::has_ended(pidfd) {
                return None;
            }
            if tracee.is_some_and(|pid| awaits_its_tracer(pid, pidfd)) {
                return None;
            }
        }
    }

    /// Whether the child has left the host's memory.
    pub fn has_left(&self) -> bool {
        let block = self.place.block();
        has_left(block, block.phase.load(Acquire))
    }

    /// Waits for an exec under way, and tells how it went; `None` at the deadline.
    pub fn wait_exec(&self, pidfd: &OwnedFd, deadline: Instant) -> Option<Result<()>> {
        let _ = self.await_word(pidfd.as_raw_fd(), Some(deadline), None);
        (self.has_left() || fd::has_ended(pidfd.as_raw_fd())).then(|| self.outcome(pidfd))
    }

    /// The process in the joined pid namespace takes the place of the one that entered it, which has done its part. It
    /// stands at the gate and is this process's child: its number is its own.
    fn adopt(&mut self, pid: &mut libc::pid_t, pidfd: &mut OwnedFd) -> Result<()> {
        let joined = self.block().joined_pid.load(Acquire).cast_signed();
        // SAFETY: no pointers.
        let program = unsafe { libc::syscall(libc::SYS_pidfd_open, joined, 0) };
        let program = fd::owned(RawFd::try_from(program).unwrap_or(-1))
            .map_err(|errno| Error::new(Stage::SANDBOX_STAGE_CLONE, 2, errno as i32, "pidfd_open of the process in the joined pid namespace"))?;
        end(*pid, pidfd.as_raw_fd());
        (*pid, *pidfd) = (joined, program);
        self.is_adopted = true;
        Ok(())
    }

    /// After a failure: such a process may be there, and is a child of the host's like the one that made it.
    fn end_unadopted(&self) {
        let joined = self.block().joined_pid.load(Acquire);
        if joined == 0 || self.is_adopted {
            return;
        }
        self.block().state.store(state::GIVEN_UP, Release);
        futex_wake(&self.block().phase);
        loop {
            // SAFETY: waitid may be given no siginfo.
            let reaped = unsafe { libc::waitid(libc::P_PID, joined, ptr::null_mut(), libc::WEXITED | libc::__WALL) };
            if reaped == 0 || Errno::last() != Errno::EINTR {
                return;
            }
        }
    }

    fn take_listener(&self, pidfd: RawFd) -> Result<OwnedFd> {
        let block = self.place.block();
        let handoff = self.plan.ops.iter().find(|op| op.code == Code::Handoff);
        let number = handoff.map_or(-1, |op| block.slot(op.args.first().copied().unwrap_or(u64::MAX)));
        let Some(socket) = &self.socket else { return handoff::take(pidfd, number) };
        // An init sends its program's pidfd; the two messages may come in either order.
        let sent = [self.plan.has_init, block.flags & flag::SEND_LISTENER != 0].into_iter().filter(|is_sent| *is_sent);
        let sent: Vec<OwnedFd> = sent.map(|_| handoff::receive(socket, pidfd)).collect::<Result<_>>()?;
        let (program, listener): (Vec<OwnedFd>, Vec<OwnedFd>) = sent.into_iter().partition(|fd| handoff::is_pidfd(fd));
        match (listener.into_iter().next(), program.first()) {
            (Some(listener), _) => Ok(listener),
            (None, Some(program)) => handoff::take(program.as_raw_fd(), number),
            (None, None) => handoff::take(pidfd, number),
        }
    }

    /// Whether the child is an init that ends its program's descendants itself, and must not be killed before it has.
    pub fn ends_by_request(&self) -> bool {
        self.block().flags & flag::SUBREAPER != 0
    }

    pub fn block(&self) -> &Block {
        self.place.block()
    }

    /// Where an init reports: the block that it was started with.
    pub fn inits_block(&self) -> &Block {
        self.held.as_ref().unwrap_or(&self.place).block()
    }

    pub fn left_out(&self) -> u64 {
        self.block().left_out.load(Acquire) | self.inits_block().left_out.load(Acquire)
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The child may still stand in this memory: it is given up, not unmapped.
    pub fn leak(self) {
        let Launch { place, _stack, held, .. } = self;
        std::mem::forget((place, _stack, held));
    }

    fn wait_for_keeper(&self) {
        let word = &self.place.block().keeper;
        loop {
            match word.load(Acquire) {
                0 => return,
                value => futex_wait(word, value, None),
            }
        }
    }

    /// What became of the child: at the exec op, or behind it, is success.
    fn outcome(&self, pidfd: &OwnedFd) -> Result<()> {
        let block = self.place.block();
        let op = block.progress.load(Acquire) as usize;
        match block.state.load(Acquire) {
            state::FAILED => {
                self.let_init_end(pidfd);
                let errno = block.errno.load(Acquire);
                let error = self.plan.failure(op, errno);
                Err(match self.plan.ops.get(op) {
                    _ if errno == libc::ETOOMANYREFS => error.hint("more fds are on their way in this user's messages than RLIMIT_NOFILE allows"),
                    Some(at) if at.code == Code::Exec => error.hint(&self.plan.exec.hint(errno)),
                    Some(at) if at.stage == Stage::SANDBOX_STAGE_SECCOMP as u32 => error.hint(filter::hint(errno)),
                    Some(at) if at.stage == Stage::SANDBOX_STAGE_LANDLOCK as u32 => error.hint(landlock::hint(errno)),
                    Some(at) if at.stage == Stage::SANDBOX_STAGE_IDENTITY as u32 => error.hint(identity::hint(errno)),
                    Some(at) if at.stage == Stage::SANDBOX_STAGE_CAPABILITY as u32 => error.hint(privilege::hint(errno)),
                    Some(at) if [Stage::SANDBOX_STAGE_MOUNT as u32, Stage::SANDBOX_STAGE_ROOT as u32].contains(&at.stage) => {
                        let hint = mount::hint(self.plan.texts.get(op).map_or("", String::as_str), errno);
                        error.hint(hint)
                    }
                    _ => error,
                })
            }
            state::RUNNING if self.plan.ops.get(op).is_some_and(|op| op.code == Code::Exec) => Ok(()),
            _ => Err(self.killed(op, pidfd)),
        }
    }

    fn killed(&self, op: usize, pidfd: &OwnedFd) -> Error {
        self.let_init_end(pidfd);
        let oom_kills = self.leaf.as_ref().map_or(0, Leaf::oom_kills);
        self.plan.failure(op, if oom_kills > 0 { libc::ENOMEM } else { libc::ECANCELED }).hint(cgroup::hint(oom_kills))
    }

    /// An init reaps its program and ends by itself. Killed before that, it would leave a zombie to whoever adopts
    /// orphans: the host, where it is the PID 1 of a container.
    fn let_init_end(&self, pidfd: &OwnedFd) {
        while self.plan.has_init && fd::wait_readable(pidfd.as_raw_fd(), 1000) == Err(Errno::EINTR) {}
    }
}

impl Keeper {
    /// Where the child would be another thread's than the host's first, and its death signal fire with that thread.
    fn where_needed(plan: &Plan) -> Result<Option<Keeper>> {
        // SAFETY: no pointers.
        if plan.death_signal == 0 || unsafe { libc::gettid() == libc::getpid() } {
            return Ok(None);
        }
        let (stack, top) = Mapping::stack(KEEPER_STACK, 0)?;
        Ok(Some(Keeper { stack, top, stays: first_thread_has_ended(), outlives_child: plan.joins_pid() }))
    }

    /// Runs `keep` on a thread that is a copy of this one and waits for the pid it got.
    fn clone(&self, block: &Block, args: CloneArgs) -> i32 {
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

/// The address space of a thread that has ended is gone, though its number is not.
fn first_thread_has_ended() -> bool {
    let mut byte = 0u8;
    let here = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let same = here;
    // SAFETY: one byte of ours, read into itself.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &raw const here, 1, &raw const same, 1, 0) };
    read < 0 && Errno::last() == Errno::ESRCH
}

/// A 0 says so too, but not between the host's memory and the trampoline's; nor where the trampoline has come to life
/// since the word was looked at.
fn has_left(block: &Block, word: u32) -> bool {
    word & meet::LEFT != 0 || (word == 0 && block.state.load(Acquire) != state::ENTERING && block.phase.load(Acquire) == 0)
}

/// Kills and reaps a child that is not to be.
fn end(pid: libc::pid_t, pidfd: RawFd) {
    // SAFETY: no pointers but NULL; a child that has ended already says ESRCH.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, libc::SIGKILL, ptr::null::<u8>(), 0) };
    see_through(pid, pidfd);
    loop {
        // SAFETY: waitid may be given no siginfo.
        let reaped = unsafe { libc::waitid(libc::P_PIDFD, pidfd.cast_unsigned(), ptr::null_mut(), libc::WEXITED | libc::__WALL) };
        if reaped == 0 || Errno::last() != Errno::EINTR {
            return;
        }
    }
}

/// Lets an init without a pid namespace reap its program first: killed itself, it would leave that to a host which
/// adopts orphans.
fn end_by_request(pidfd: RawFd) {
    if request_end(pidfd).is_ok() {
        let _ = fd::wait_readable(pidfd, 2000);
    }
}

/// Whether a seized child stands at an execve that a filter has its tracer decide. Every other stop before the exec's,
/// which a signal from anywhere can cause, is passed on: the tracer is this thread, and it waits for the exec.
fn awaits_its_tracer(pid: libc::pid_t, pidfd: RawFd) -> bool {
    let look = |options| {
        // SAFETY: an all-zero siginfo, ours to fill.
        let mut info = unsafe { std::mem::zeroed::<libc::siginfo_t>() };
        let options = options | libc::WSTOPPED | libc::WNOHANG | libc::__WALL;
        // SAFETY: as above; waitid filled the fields of a SIGCHLD's siginfo, or zeros.
        unsafe { (libc::waitid(libc::P_PIDFD, pidfd.cast_unsigned(), &raw mut info, options) == 0 && info.si_pid() != 0).then(|| info.si_status()) }
    };
    let Some(stop) = look(libc::WNOWAIT) else { return false };
    let (event, signal) = (stop >> 8, stop & 0x7f);
    match event {
        libc::PTRACE_EVENT_EXEC => return false, // the caller's to see
        libc::PTRACE_EVENT_SECCOMP => return true,
        _ => {}
    }
    let _ = look(0);
    let signal = if event == 0 { signal } else { 0 };
    // SAFETY: no pointers; a child that was killed meanwhile says ESRCH.
    unsafe { libc::ptrace(libc::PTRACE_CONT, pid, 0usize, usize::try_from(signal).unwrap_or(0)) };
    false
}

/// Waits until a killed child has ended, without taking its status. A tracer's child stops once more on the way
/// (PTRACE_EVENT_EXIT, even after SIGKILL) and must be let go on: only its tracer's thread can.
pub fn see_through(pid: libc::pid_t, pidfd: RawFd) {
    let wait = |options| {
        // SAFETY: an all-zero siginfo, ours to fill.
        let mut info = unsafe { std::mem::zeroed::<libc::siginfo_t>() };
        // SAFETY: as above.
        let waited = unsafe { libc::waitid(libc::P_PIDFD, pidfd.cast_unsigned(), &raw mut info, options | libc::WSTOPPED | libc::__WALL) };
        if waited < 0 { Err(Errno::last()) } else { Ok(info.si_code) }
    };
    loop {
        match wait(libc::WEXITED | libc::WNOWAIT) {
            Err(Errno::EINTR) => continue,
            Err(_) | Ok(libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED) => return,
            Ok(_) => {}
        }
        let _ = wait(libc::WNOHANG);
        // SAFETY: no pointers.
        if unsafe { libc::ptrace(libc::PTRACE_CONT, pid, 0usize, 0usize) } < 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn futex_wait(word: &AtomicU32, value: u32, timeout: Option<Duration>) {
    let time = timeout.map(|timeout| libc::timespec { tv_sec: 0, tv_nsec: timeout.subsec_nanos().into() });
    let time = time.as_ref().map_or(ptr::null(), |time| &raw const *time);
    // SAFETY: a word of ours and a time or NULL. Not a private futex: the kernel's wake at exec and death is not one.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, time) };
}

/// Until the word is no longer 0, or the time is over.
pub fn sleep_on(word: &AtomicI32, time: Duration) {
    let time = libc::timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
    // SAFETY: as in `futex_wait`.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, 0, &raw const time) };
}

fn futex_wake(word: &AtomicU32) {
    // SAFETY: a word of ours.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}
