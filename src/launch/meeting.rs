//! Between clone and exec: the host answers at the child's gates, and finds out what became of it.

use super::*;

/// What became of a child that was waited for.
pub(super) enum Seen {
    /// Its word.
    AtGate(u32),
    /// By exec, by death, or for a tracer to decide; or the time is up.
    Gone,
    /// By another than the host, who would never let it go on.
    Stopped,
}

impl Launch {
    /// Answers at gates until the child has left this memory, by exec or by death; or, which is true, until its exec
    /// waits for the caller's answer.
    pub(super) fn meet(&mut self, pid: &mut libc::pid_t, pidfd: &mut OwnedFd, at_gate: AtGate) -> Result<bool> {
        let mut tracee = None;
        self.map_ids(*pid, pidfd, at_gate)?;
        loop {
            let word = match self.await_word(pidfd.as_raw_fd(), None, tracee) {
                Seen::AtGate(word) => word,
                Seen::Gone => return Ok(tracee.is_some() && !self.has_left() && !fd::has_ended(pidfd.as_raw_fd())),
                Seen::Stopped => return Err(self.stopped()),
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
                    let listener = self.take_listener(pidfd.as_raw_fd())
                        .or_else(|error| if self.opens_for(&error) { self.take_listener(pidfd.as_raw_fd()) } else { Err(error) })
                        .map_err(|error| if self.is_stopped(pidfd.as_raw_fd()) { self.stopped() } else { self.reason(error, pidfd) })?;
                    self.listener = Some(listener);
                    self.socket = None; // of no more use, and a launch may be given up with the child still in it
                }
                (gate::CGROUP, Some(leaf)) => leaf.enter(*pid)?,
                (gate::LIMITS, Some(leaf)) => self.plan.cgroup.iter().flat_map(|home| &home.late).try_for_each(|setting| leaf.set(setting))?,
                (gate::JOINED, _) => self.adopt(pid, pidfd)?,
                (gate::TRACE, _) => at_gate(gate, *pid, pidfd.as_raw_fd())
                    .or_else(|error| if self.opens_for(&error) { at_gate(gate, *pid, pidfd.as_raw_fd()) } else { Err(error) })?,
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

    /// Whether that refusal was this process's own doing, which is undone: its capabilities may be those of a user namespace
    /// of its own, and its memory another's.
    fn opens_for(&self, error: &Error) -> bool {
        error.errno == libc::EPERM && self.reopen_host()
    }

    /// While the child is still on its way to where it needs them.
    pub(super) fn map_ids(&mut self, pid: libc::pid_t, pidfd: &OwnedFd, at_gate: AtGate) -> Result<()> {
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
    pub(super) fn reason(&self, error: Error, pidfd: &OwnedFd) -> Error {
        let is_over = self.block().state.load(Acquire) == state::FAILED || fd::has_ended(pidfd.as_raw_fd());
        is_over.then(|| self.outcome(pidfd).err()).flatten().unwrap_or(error)
    }

    /// Sleeps until the child stands at a gate, has left, or `tracee` has stopped for its tracer to decide.
    pub(super) fn await_word(&self, pidfd: RawFd, deadline: Option<Instant>, tracee: Option<libc::pid_t>) -> Seen {
        let block = self.place.block();
        // A word that the kernel clears by itself needs no second look; a robust futex has a moment before it is one,
        // and the stop of a tracee wakes no futex.
        let needs_a_look = self.plan.enters || self.plan.copies_memory || tracee.is_some();
        let mut patience = needs_a_look.then_some(Duration::from_millis(10));
        loop {
            let word = block.phase.load(Acquire);
            if has_left(block, word) {
                return Seen::Gone;
            }
            if word != 0 && word & meet::RUNNING == 0 {
                return Seen::AtGate(word);
            }
            if let Some(deadline) = deadline {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Seen::Gone;
                }
                // Only one sleeper is woken, and there may be several here.
                patience = Some(left.min(Duration::from_millis(10)));
            }
            futex_wait(&block.phase, word, patience);
            if patience.is_some() && block.phase.load(Acquire) == word && (fd::has_ended(pidfd) || self.has_lost_unadopted()) {
                return Seen::Gone;
            }
            if tracee.is_some_and(|pid| awaits_its_tracer(pid, pidfd)) {
                return Seen::Gone;
            }
            if tracee.is_none() && self.is_stopped(pidfd) {
                return Seen::Stopped;
            }
        }
    }

    /// The process that is to take the child's place, before the host has taken it for its own.
    fn unadopted(&self) -> Option<libc::pid_t> {
        let joined = self.block().joined_pid.load(Acquire).cast_signed();
        (joined != 0 && !self.is_adopted).then_some(joined)
    }

    /// Killed in the joined pid namespace, maybe before it could register its word. The one that made it waits on.
    fn has_lost_unadopted(&self) -> bool {
        self.unadopted().is_some_and(|pid| match look_at(libc::P_PID, pid.cast_unsigned(), libc::WEXITED) {
            Ok(code) => code != 0,
            Err(errno) => errno == Errno::ECHILD, // a host that ignores SIGCHLD has it reaped
        })
    }

    /// Looked at only where others than the host live beside the child; whom the host itself stops in a namespace of its
    /// own it also continues.
    fn is_stopped(&self, pidfd: RawFd) -> bool {
        if self.plan.joins & (Ns::SANDBOX_NS_PID as u64 | Ns::SANDBOX_NS_USER as u64) == 0 {
            return false;
        }
        is_stopped(libc::P_PIDFD, pidfd.cast_unsigned())
            || self.unadopted().is_some_and(|pid| is_stopped(libc::P_PID, pid.cast_unsigned()))
            || self.inits_block().stopped.load(Acquire) != 0
    }

    fn stopped(&self) -> Error {
        let op = self.block().progress.load(Acquire) as usize;
        self.plan.failure(op, libc::ECANCELED).hint("it was stopped, by a process of the joined namespace perhaps")
    }

    /// Whether the child has left the host's memory.
    pub fn has_left(&self) -> bool {
        let block = self.place.block();
        has_left(block, block.phase.load(Acquire))
    }

    /// Waits for an exec under way, and tells how it went; `None` at the deadline.
    pub fn wait_exec(&self, pidfd: &OwnedFd, deadline: Instant) -> Option<Result<()>> {
        let _ = self.await_word(pidfd.as_raw_fd(), Some(deadline), None);
        if !(self.has_left() || fd::has_ended(pidfd.as_raw_fd())) {
            return None;
        }
        self.reopen_host();
        Some(self.outcome(pidfd))
    }

    /// The process in the joined pid namespace takes the place of the one that entered it, which has done its part. It
    /// stands at the gate and is this process's child: its number is its own.
    pub(super) fn adopt(&mut self, pid: &mut libc::pid_t, pidfd: &mut OwnedFd) -> Result<()> {
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

    /// After a failure: such a process may be there, and is a child of the host's like the one that made it. It may be
    /// stopped: told that it is given up, it is killed too.
    pub(super) fn end_unadopted(&self) {
        let Some(joined) = self.unadopted() else { return };
        self.block().state.store(state::GIVEN_UP, Release);
        futex_wake(&self.block().phase);
        // SAFETY: no pointers.
        let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, joined, 0) };
        if let Ok(pidfd) = fd::owned(RawFd::try_from(pidfd).unwrap_or(-1)) {
            return end(joined, pidfd.as_raw_fd());
        }
        // SAFETY: waitid may be given no siginfo.
        while unsafe { libc::waitid(libc::P_PID, joined.cast_unsigned(), ptr::null_mut(), libc::WEXITED | libc::__WALL) } < 0 && Errno::last() == Errno::EINTR {}
    }

    pub(super) fn take_listener(&self, pidfd: RawFd) -> Result<OwnedFd> {
        let block = self.place.block();
        let handoff = self.plan.ops.iter().find(|op| op.code == Code::Handoff);
        let number = handoff.map_or(-1, |op| block.slot(op.args.first().copied().unwrap_or(u64::MAX)));
        let Some(socket) = &self.socket else { return handoff::take(pidfd, number) };
        // An init sends its program's pidfd; the two messages may come in either order.
        let sent = [self.plan.has_init, block.flags & flag::SEND_LISTENER != 0].into_iter().filter(|is_sent| *is_sent);
        let sent: Vec<OwnedFd> = sent.map(|_| handoff::receive(socket, || fd::has_ended(pidfd) || self.is_stopped(pidfd))).collect::<Result<_>>()?;
        let (program, listener): (Vec<OwnedFd>, Vec<OwnedFd>) = sent.into_iter().partition(|fd| handoff::is_pidfd(fd));
        match (listener.into_iter().next(), program.first()) {
            (Some(listener), _) => Ok(listener),
            (None, Some(program)) => handoff::take(program.as_raw_fd(), number),
            (None, None) => handoff::take(pidfd, number),
        }
    }

    /// What became of the child: at the exec op, or behind it, is success.
    pub(super) fn outcome(&self, pidfd: &OwnedFd) -> Result<()> {
        let block = self.place.block();
        let op = block.progress.load(Acquire) as usize;
        match block.state.load(Acquire) {
            state::FAILED => {
                self.let_init_end(pidfd);
                let errno = block.errno.load(Acquire);
                let error = self.plan.failure(op, errno);
                Err(match self.plan.ops.get(op) {
                    Some(at) if errno == libc::ENOSYS && [Code::CloseFrom, Code::Init, Code::Hold].contains(&at.code) => error.hint(
                        "close_range is missing, no /proc lists the open fds here, and RLIMIT_NOFILE allows too many to try each"),
                    _ if errno == libc::ETOOMANYREFS => error.hint("more fds are on their way in this user's messages than RLIMIT_NOFILE allows"),
                    Some(at) if at.code == Code::Call && i64::from(at.number) == libc::SYS_unshare => {
                        let [namespaces, ..] = at.args;
                        error.hint(diagnose(&Refused::Namespaces(namespaces), errno))
                    }
                    Some(at) if at.code == Code::Init && errno == libc::EAGAIN => error.hint(diagnose(&Refused::Namespaces(0), errno)),
                    Some(at) if at.code == Code::ChangeDirectory => error.hint(cwd::hint(errno)),
                    Some(at) if at.code == Code::Links => error.hint(exec::hint_of_links(errno)),
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
            state::RUNNING if self.plan.ops.get(op).is_some_and(|op| op.code == Code::Exec) => {
                if self.died_at_exec(pidfd) { Err(self.killed(op, pidfd)) } else { Ok(()) }
            }
            _ => {
                // An init that fails ends its program first, and then says why.
                self.let_init_end(pidfd);
                if block.state.load(Acquire) == state::FAILED { self.outcome(pidfd) } else { Err(self.killed(op, pidfd)) }
            }
        }
    }

    /// Both leave the memory, but exec makes the exit signal SIGCHLD, and of one that has another __WCLONE still knows. The
    /// trampoline's exec did so too. A process that traces its child is told of either kind: then the list says more.
    fn died_at_exec(&self, pidfd: &OwnedFd) -> bool {
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WCLONE;
        // SAFETY: waitid may be given no siginfo.
        let is_seen = !self.plan.enters && unsafe { libc::waitid(libc::P_PIDFD, pidfd.as_raw_fd().cast_unsigned(), ptr::null_mut(), options) == 0 };
        is_seen && exit_signal(pidfd).is_some_and(|signal| signal != libc::SIGCHLD)
    }

    pub(super) fn killed(&self, op: usize, pidfd: &OwnedFd) -> Error {
        self.let_init_end(pidfd);
        let oom_kills = self.leaf.as_ref().map_or(0, Leaf::oom_kills);
        self.plan.failure(op, if oom_kills > 0 { libc::ENOMEM } else { libc::ECANCELED }).hint(cgroup::hint(oom_kills))
    }

    /// An init reaps its program and ends by itself. Killed before that, it would leave a zombie to whoever adopts
    /// orphans: the host, where it is the PID 1 of a container. The maker of one that was not adopted is no init.
    pub(super) fn let_init_end(&self, pidfd: &OwnedFd) {
        while self.plan.has_init && self.unadopted().is_none() && fd::wait_readable(pidfd.as_raw_fd(), 1000) == Err(Errno::EINTR) {}
    }
}

/// A 0 says so too, but not between the host's memory and the trampoline's; nor where the trampoline has come to life
/// since the word was looked at.
pub(super) fn has_left(block: &Block, word: u32) -> bool {
    word & meet::LEFT != 0 || (word == 0 && block.state.load(Acquire) != state::ENTERING && block.phase.load(Acquire) == 0)
}

/// The 38th field of its stat file, which counts from behind its name.
fn exit_signal(pidfd: &OwnedFd) -> Option<i32> {
    let about = std::fs::read_to_string(format!("/proc/thread-self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let pid = about.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim();
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(35)?.parse().ok()
}

pub(super) fn is_stopped(which: libc::idtype_t, id: libc::id_t) -> bool {
    look_at(which, id, libc::WSTOPPED).is_ok_and(|code| code == libc::CLD_STOPPED)
}

/// The si_code of a child's change of state, which is left to be told again; 0: none.
fn look_at(which: libc::idtype_t, id: libc::id_t, change: i32) -> std::result::Result<i32, Errno> {
    // SAFETY: an all-zero siginfo, ours to fill.
    let mut info = unsafe { std::mem::zeroed::<libc::siginfo_t>() };
    // SAFETY: as above.
    let waited = unsafe { libc::waitid(which, id, &raw mut info, change | libc::WNOHANG | libc::WNOWAIT | libc::__WALL) };
    if waited < 0 { Err(Errno::last()) } else { Ok(info.si_code) }
}

/// Whether a seized child stands at an execve that a filter has its tracer decide. Every other stop before the exec's,
/// which a signal from anywhere can cause, is passed on: the tracer is this thread, and it waits for the exec.
pub(super) fn awaits_its_tracer(pid: libc::pid_t, pidfd: RawFd) -> bool {
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
