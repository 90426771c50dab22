//! One run from start to end: input in, output collected, limits held, nothing left. The caller's thread does it all,
//! in one poll loop, or its own event loop step by step. Input goes in as a sealed memfd: there is nothing to feed, so
//! no deadlock and no SIGPIPE.

use crate::cgroup::{dirs, open_dir};
use crate::cmd::{Cmd, Stdio};
use crate::confine::namespace::Ns;
use crate::error::{Error, Result, Stage};
use crate::fd;
use crate::launch;
use crate::options::Opt;
use crate::process::{Child, sandbox_cause, sandbox_status, sandbox_status_kind};
use crate::trampoline;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bits of sandbox_run_options.flags.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_run_flag {
    /// Standard error goes where standard output goes, in the order in which it was written.
    SANDBOX_RUN_MERGE_STDERR = 1,
    /// More output than its limit ends the run. Not set: the rest is read, counted and thrown away.
    SANDBOX_RUN_KILL_AT_LIMIT = 2,
    /// sandbox_run_options.cancel_fd holds.
    SANDBOX_RUN_CANCEL_FD = 4,
}

/// Bits of what sandbox_result_limits returns: which limits of the run were exceeded.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_run_limit {
    /// sandbox_run_options.wall_time_ms.
    SANDBOX_LIMIT_WALL_TIME = 1,
    /// sandbox_run_options.cpu_time_ms.
    SANDBOX_LIMIT_CPU_TIME = 2,
    /// sandbox_run_options.stdout_limit.
    SANDBOX_LIMIT_STDOUT = 4,
    /// sandbox_run_options.stderr_limit.
    SANDBOX_LIMIT_STDERR = 8,
    /// sandbox_run_options.cancel_fd became readable.
    SANDBOX_LIMIT_CANCELED = 16,
}

use sandbox_run_limit as Limit;

pub struct Request {
    /// The most bytes to keep of standard output and error.
    pub most: [usize; 2],
    pub wall_time: Option<Duration>,
    pub cpu_time: Option<Duration>,
    /// Readable, it ends the run.
    pub cancel: Option<RawFd>,
    pub merges: bool,
    pub kills_at_limit: bool,
}

pub struct Outcome {
    pub status: sandbox_status,
    pub outputs: [Output; 2],
    /// Of `Limit`'s bits.
    pub limits: i32,
}

/// What came out of one stream.
#[derive(Default)]
pub struct Output {
    pub data: Vec<u8>,
    most: usize,
    /// Bytes beyond `most`.
    pub cut: u64,
    fd: Option<OwnedFd>,
}

/// As much as a pipe usually holds.
const CHUNK: usize = 65536;
/// The CPU time is looked at no more often.
const SHORTEST_LOOK: Duration = Duration::from_millis(5);

pub fn run(cmd: &Cmd, input: Option<&[u8]>, request: Request) -> Result<Outcome> {
    let mut run = Run::start(cmd, input, request)?;
    while !run.step(true)? {}
    run.finish()
}

fn uncollected(errno: Errno) -> Error {
    Error::new(Stage::SANDBOX_STAGE_STDIO, 1, errno as i32, "collect the output")
}

/// A run under way. Dropped, it is ended with all that it started.
pub struct Run {
    request: Request,
    outputs: [Output; 2],
    limits: i32,
    child: Child,
    wall: Option<Instant>,
    /// When the CPU time is to be looked at.
    look: Option<Instant>,
    /// Killed: only its end is waited for.
    is_ending: bool,
}

/// What a run waits for: its end, its outputs, a moment.
pub struct Awaited {
    pub pidfd: RawFd,
    pub outputs: [Option<RawFd>; 2],
    pub left: Option<Duration>,
}

/// The streams of a run, before there is a child.
struct Streams<'a> {
    request: &'a Request,
    outputs: [Output; 2],
}

impl Streams<'_> {
    /// Gives the run's own copy of the command its streams, and what holds its descendants.
    fn connect(&mut self, cmd: &mut Cmd, input: Option<&[u8]>) -> Result<()> {
        if cmd.ptrace.is_some() {
            return Err(Error::new(Stage::SANDBOX_STAGE_PTRACE, 0, libc::EINVAL, "a run to completion has no tracer"));
        }
        if let Some(index) = cmd.filters.iter().position(|filter| filter.program.notifies) {
            return Err(Error::new(Stage::SANDBOX_STAGE_SECCOMP, index, libc::EINVAL, "a run to completion answers no notifications"));
        }
        if cmd.namespaces & Ns::SANDBOX_NS_PID as u64 == 0 && !cmd.cgroup.is_asked {
            cmd.options.set(Opt::SANDBOX_OPT_INIT, 1);
        }
        let is_free = |cmd: &Cmd, target: usize| {
            let is_passed = cmd.passed.iter().any(|(_, taken)| usize::try_from(*taken) == Ok(target));
            !is_passed && matches!(cmd.stdio.get(target), Some(Stdio::Inherit | Stdio::Pipe))
        };
        let refused = |target, what| Error::new(Stage::SANDBOX_STAGE_STDIO, target, libc::EINVAL, what);
        if let Some(target) = cmd.stdio.iter().position(|stream| matches!(stream, Stdio::Pty)) {
            return Err(refused(target, "a run to completion has no terminal"));
        }
        let is_merged = self.request.merges;
        let free = [is_free(cmd, 0), is_free(cmd, 1), is_free(cmd, 2)];
        let stdin = match (input, free[0]) {
            (None, true) => Some(Stdio::Null),
            (None, false) => None,
            (Some(_), false) => return Err(refused(0, "input for a program whose standard input goes elsewhere")),
            (Some(input), true) => {
                let failed = |errno: Errno| Error::new(Stage::SANDBOX_STAGE_STDIO, 0, errno as i32, "memfd for the input");
                Some(Stdio::Fd(Arc::new(trampoline::input(input).map_err(failed)?)))
            }
        };
        if is_merged && !(free[1] && free[2]) {
            return Err(refused(2, "standard error merged into output, and one of them goes elsewhere"));
        }
        let stdout = self.pipe(0, free[1])?;
        let stderr = if is_merged { stdout.clone() } else { self.pipe(1, free[2])? };
        for (place, stream) in cmd.stdio.iter_mut().zip([stdin, stdout, stderr]) {
            if let Some(stream) = stream {
                *place = stream;
            }
        }
        Ok(())
    }

    fn pipe(&mut self, which: usize, is_free: bool) -> Result<Option<Stdio>> {
        let (Some(output), Some(most)) = (self.outputs.get_mut(which), self.request.most.get(which)) else { return Ok(None) };
        if !is_free {
            return Ok(None);
        }
        let made = nix::unistd::pipe2(OFlag::O_CLOEXEC).and_then(|(read, write)| Ok((fd::above_stdio(read)?, fd::above_stdio(write)?)));
        let (read, write) = made.map_err(|errno| Error::new(Stage::SANDBOX_STAGE_STDIO, which + 1, errno as i32, "make a pipe"))?;
        output.fd = Some(read);
        output.most = *most;
        Ok(Some(Stdio::Fd(Arc::new(write))))
    }
}

impl Run {
    pub fn start(cmd: &Cmd, input: Option<&[u8]>, request: Request) -> Result<Run> {
        if let Some(latched) = cmd.latched() {
            return Err(latched.clone());
        }
        // SAFETY: fcntl on a number.
        if request.cancel.is_some_and(|fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0) {
            return Err(Error::setup(libc::EBADF, "sandbox_run_options.cancel_fd"));
        }
        let mut cmd = cmd.clone();
        let mut streams = Streams { request: &request, outputs: Default::default() };
        cmd.set(|cmd| streams.connect(cmd, input))?;
        let outputs = streams.outputs;
        let child = launch::spawn(&cmd, cmd.plan()?)?; // with `cmd` the child's ends of the pipes go: they are the child's alone
        let started = Instant::now();
        let wall = request.wall_time.and_then(|time| started.checked_add(time));
        let look = request.cpu_time.map(|_| started);
        Ok(Run { request, outputs, limits: 0, child, wall, look, is_ending: false })
    }

    pub fn awaited(&self) -> Awaited {
        Awaited {
            pidfd: self.child.fds().pidfd,
            outputs: self.outputs.each_ref().map(|output| output.fd.as_ref().map(AsRawFd::as_raw_fd)),
            left: self.next().map(|next| next.saturating_duration_since(Instant::now())),
        }
    }

    fn next(&self) -> Option<Instant> {
        [self.wall, self.look].into_iter().flatten().min().filter(|_| !self.is_ending)
    }

    /// Reads what is there and looks at the clocks, once; with `waits` when there is something to do. True once the
    /// child, and with it all that its init holds, has ended.
    pub fn step(&mut self, waits: bool) -> Result<bool> {
        let until = if waits { self.next() } else { Some(Instant::now()) };
        if self.poll(until).map_err(uncollected)? {
            return Ok(true);
        }
        if !self.is_ending && self.is_over()? {
            self.child.end();
            self.is_ending = true;
        }
        Ok(false)
    }

    fn is_over(&mut self) -> Result<bool> {
        let now = Instant::now();
        let mut is_over = self.limits & Limit::SANDBOX_LIMIT_CANCELED as i32 != 0;
        is_over |= self.request.kills_at_limit && self.outputs.iter().any(|output| output.cut > 0);
        if self.wall.is_some_and(|wall| now >= wall) {
            self.limits |= Limit::SANDBOX_LIMIT_WALL_TIME as i32;
            is_over = true;
        }
        if let (Some(limit), true) = (self.request.cpu_time, self.look.is_some_and(|look| now >= look)) {
            let Some(used) = self.child.group_cpu_time().or_else(|| cpu_time(self.child.pid())) else {
                if self.child.has_ended() {
                    return Ok(is_over);
                }
                let what = "the CPU time of the child, in /proc";
                return Err(Error::new(Stage::SANDBOX_STAGE_PROCESS, 0, libc::ENODATA, what).hint("is /proc mounted?"));
            };
            match limit.checked_sub(used) {
                Some(left) => self.look = Some(now + (left / processors()).max(SHORTEST_LOOK)),
                None => {
                    self.limits |= Limit::SANDBOX_LIMIT_CPU_TIME as i32;
                    is_over = true;
                }
            }
        }
        Ok(is_over)
    }

    /// What came of it, once it has ended.
    pub fn finish(mut self) -> Result<Outcome> {
        let mut status = self.child.wait(-1).map_err(|errno| Error::setup(errno as i32, "the program's status"))?;
        let _ = self.child.kill_all(); // what a cgroup holds; else it has happened, by the init or the namespace
        self.drain().map_err(uncollected)?;
        if self.request.cpu_time.is_some_and(|limit| Duration::from_micros(status.user_time_us + status.system_time_us) > limit) {
            self.limits |= Limit::SANDBOX_LIMIT_CPU_TIME as i32;
        }
        self.tell_cause(&mut status);
        Ok(Outcome { status, outputs: self.outputs, limits: self.limits })
    }

    /// One round; true once the child has ended.
    fn poll(&mut self, until: Option<Instant>) -> std::result::Result<bool, Errno> {
        let [out, err] = self.outputs.each_ref().map(|output| output.fd.as_ref().map_or(-1, AsRawFd::as_raw_fd));
        let cancel = self.request.cancel.filter(|_| !self.is_ending).unwrap_or(-1);
        let mut polled = [self.child.fds().pidfd, cancel, out, err].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
        let timeout = until.map_or(-1, |until| {
            let left = until.saturating_duration_since(Instant::now());
            i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        // SAFETY: four pollfds of ours.
        if unsafe { libc::poll(polled.as_mut_ptr(), 4, timeout) } < 0 {
            let errno = Errno::last();
            return if errno == Errno::EINTR { Ok(false) } else { Err(errno) };
        }
        let [end, cancel, streams @ ..] = polled;
        if cancel.revents != 0 && end.revents == 0 {
            self.limits |= Limit::SANDBOX_LIMIT_CANCELED as i32;
        }
        for (output, stream) in self.outputs.iter_mut().zip(streams) {
            if stream.revents != 0 {
                output.take(CHUNK)?;
            }
        }
        Ok(end.revents != 0)
    }

    /// What the pipes hold now that all have ended. One who is out of reach and still writes is not waited for.
    fn drain(&mut self) -> std::result::Result<(), Errno> {
        for (output, bit) in self.outputs.iter_mut().zip([Limit::SANDBOX_LIMIT_STDOUT, Limit::SANDBOX_LIMIT_STDERR]) {
            let mut held: libc::c_int = 0;
            if let Some(fd) = &output.fd {
                // SAFETY: an int of ours to fill.
                unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut held) };
            }
            let mut held = usize::try_from(held).unwrap_or(0);
            while held > 0 && output.fd.is_some() {
                held = held.saturating_sub(output.take(held.min(CHUNK))?);
            }
            output.fd = None;
            if output.cut > 0 {
                self.limits |= bit as i32;
            }
        }
        Ok(())
    }

    /// A kill of the run's own, for the time that was up, is no kill of the caller's.
    fn tell_cause(&self, status: &mut sandbox_status) {
        let timed_out = self.limits & (Limit::SANDBOX_LIMIT_WALL_TIME as i32 | Limit::SANDBOX_LIMIT_CPU_TIME as i32) != 0;
        let is_killed = status.kind == sandbox_status_kind::SANDBOX_SIGNALED as u32 && status.cause == sandbox_cause::SANDBOX_CAUSE_KILLED as u32;
        if timed_out && is_killed {
            status.cause = sandbox_cause::SANDBOX_CAUSE_TIMEOUT as u32;
        }
    }
}

impl Output {
    /// Reads once, where something is there to be read; what is beyond the limit is counted and dropped.
    fn take(&mut self, size: usize) -> std::result::Result<usize, Errno> {
        let Some(fd) = &self.fd else { return Ok(0) };
        self.data.try_reserve(size).map_err(|_| Errno::ENOMEM)?;
        let length = self.data.len();
        // SAFETY: `size` bytes of room behind the data.
        let got = unsafe { libc::read(fd.as_raw_fd(), self.data.as_mut_ptr().add(length).cast(), size) };
        let Ok(got) = usize::try_from(got) else {
            let errno = Errno::last();
            // An event loop that watches the fd has made it one that never blocks.
            return if matches!(errno, Errno::EINTR | Errno::EAGAIN) { Ok(0) } else { Err(errno) };
        };
        if got == 0 {
            self.fd = None;
        }
        // SAFETY: the kernel filled them.
        unsafe { self.data.set_len(length + got) };
        self.cut += u64::try_from((length + got).saturating_sub(self.most)).unwrap_or(0);
        self.data.truncate(self.most);
        Ok(got)
    }
}

/// All that are there: the program may use more of them than its host.
fn processors() -> u32 {
    // SAFETY: no pointers.
    u32::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }).unwrap_or(1).max(1)
}

/// More processes than any system has: a tree that changes while it is walked must not become endless.
const MOST_PROCESSES: usize = 1 << 22;

/// The CPU time of a process, of its descendants, and of those that they reaped. `None` where the first can't be read.
fn cpu_time(pid: libc::pid_t) -> Option<Duration> {
    let mut ticks = own_ticks(pid)?;
    let mut next = vec![pid];
    for _ in 0..MOST_PROCESSES {
        let Some(parent) = next.pop() else { break };
        let Ok(tasks) = CString::new(format!("/proc/{parent}/task")).map_err(|_| Errno::EINVAL).and_then(|path| open_dir(libc::AT_FDCWD, &path)) else { continue };
        for task in dirs(tasks.as_raw_fd()) {
            let path = format!("/proc/{parent}/task/{}/children", task.to_string_lossy());
            let children = fs::read_to_string(path).unwrap_or_default();
            for child in children.split_ascii_whitespace().filter_map(|word| word.parse().ok()) {
                ticks += own_ticks(child).unwrap_or(0);
                next.push(child);
            }
        }
    }
    // SAFETY: no pointers.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1);
    Some(Duration::from_millis(ticks * 1000 / per_second))
}

/// Fields 14 to 17 of /proc/PID/stat: utime, stime, cutime, cstime. A name in field 2 may hold anything but its last ')'.
fn own_ticks(pid: libc::pid_t) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(stat.get(name_ends + 1..)?).ok()?;
    Some(fields.split_ascii_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum())
}
