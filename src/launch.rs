//! The host's side of a spawn: clone3, the gate, the outcome. What comes back is a running program's handle, or an
//! error and nothing left behind.

mod end;
mod held;
mod keeper;
mod meeting;

use crate::block::{Image, Place};
use crate::cgroup::{Home, Leaf};
use crate::closed::Closed;
use crate::cmd::{Cmd, Hook, ReadyFn};
use crate::confine::namespace::Ns;
use crate::confine::{cgroup, cwd, exec, filter, identity, landlock, mount, privilege, trace};
use crate::diagnose::{Refused, diagnose};
use crate::error::{Error, Result, Stage};
use crate::fd;
use crate::handoff;
use crate::idmap;
use crate::memory::{Mapping, USUAL_STACK};
use crate::options::Opt;
use crate::plan::{Plan, Role, Source};
use crate::process::Child;
use crate::seccomp::act;
use crate::streams::Streams;
use crate::trampoline;
use nix::errno::Errno;
use sandbox_child::keeper::{CLONE_INTO_CGROUP, CloneArgs, Order, clone};
use sandbox_child::plan::{Block, Code, TRAMPOLINE_ADDRESS, flag, gate, maps, state};
use sandbox_child::meet;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::sync::atomic::{AtomicI32, AtomicU32};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::time::{Duration, Instant};

pub use end::{see_through, sleep_on};
pub use held::Held;
use end::*;
use keeper::*;

/// What the host does while the child stands at a gate; an error kills the child and is the spawn's.
pub type AtGate<'a> = &'a mut dyn FnMut(u32, libc::pid_t, RawFd) -> Result<()>;

/// Starts `cmd` by `plan`.
pub fn spawn(cmd: &Cmd, plan: Arc<Plan>) -> Result<Child> {
    spawn_with(cmd, plan, &mut |gate, pid, pidfd| at_gate(cmd, gate, pid, pidfd))
}

pub fn at_gate(cmd: &Cmd, gate: u32, pid: libc::pid_t, pidfd: RawFd) -> Result<()> {
    match (gate, cmd.on_ready, cmd.ptrace) {
        (gate::READY, Some(hook), _) => ask(hook, pid, pidfd, "the caller's on_ready refused"),
        (gate::MAPS | gate::LATE_MAPS, ..) => cmd.on_maps.map_or_else(|| idmap::write(cmd, pid), |hook| ask(hook, pid, pidfd, "the caller's on_maps refused")),
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
    /// Until the child has left the host's memory.
    closed: Mutex<Option<Closed>>,
}

// SAFETY: the mappings are this value's alone; the block's atomics are made for sharing.
unsafe impl Send for Launch {}
// SAFETY: as above.
unsafe impl Sync for Launch {}

fn flags(plan: &Plan, streams: &Streams, sends_listener: bool) -> u32 {
    let has = |is_on, flag| if is_on { flag } else { 0 };
    has(plan.copies_memory, flag::OWN_MEMORY)
        | has(streams.has_terminal, flag::TERMINAL)
        | has(plan.has_init && !plan.lingers && !plan.has_pid_namespace(), flag::SUBREAPER)
        | has(plan.lingers, flag::LINGERS)
        | has(plan.outlives_host, flag::OUTLIVES_HOST)
        | has(sends_listener, flag::SEND_LISTENER)
}

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
        unsafe { image.place(&plan, place.address(), flags, if plan.has_pid_namespace() || plan.is_replaced() { 0 } else { libc::getpid() })? };
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
            closed: Mutex::default(),
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
        let all = || self.plan.loaded.iter().chain(&self.plan.filters);
        if self.plan.has_listener() && all().all(|filter| filter.program.may_close()) {
            self.place.add_flag(flag::CLOSES_LISTENER);
        }
        Ok(())
    }

    /// Clones with all signals blocked: no handler of the host's runs in the child, and none in the keeper.
    fn clone(&mut self) -> Result<(libc::pid_t, OwnedFd)> {
        self.closed = Mutex::new(Closed::where_needed(&self.plan));
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
        if self.plan.cgroup.as_ref().is_some_and(|home| home.is_entered_late) {
            block.outside_cgroup.store(1, Release);
        } else if self.leaf.is_some() {
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
                if !is_under_way {
                    self.reopen_host();
                }
                let listener = self.listener.take().map(scatter);
                if let Some(leaf) = &mut self.leaf {
                    leaf.place(scatter);
                }
                Ok(Child::new(pid, pidfd, listener, streams, started, self, is_under_way))
            }
            Err(error) => {
                if self.held.is_some() {
                    self.let_init_reap(pidfd.as_raw_fd());
                }
                end(pid, pidfd.as_raw_fd());
                drop(pidfd); // the next one takes its number, where there is no other
                self.end_unadopted();
                let is_replaceable = !self.has_met && self.block().state.load(Acquire) == state::RUNNING;
                Err(Lost { error, is_replaceable })
            }
        }
    }

    /// The child has left the host's memory. False where that was open.
    pub fn reopen_host(&self) -> bool {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
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
}
