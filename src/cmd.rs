//! What the caller asked for. Setters check what can be checked at once and latch the first failure; nothing here
//! starts anything. `plan` turns it into ops.

use crate::confine::cgroup::Group;
use crate::confine::hostname::Names;
use crate::confine::identity::{self, Identity};
use crate::confine::join::Joined;
use crate::confine::landlock::Ruleset;
use crate::confine::mount::Mounts;
use crate::confine::namespace::{self, Map};
use crate::confine::privilege::Capabilities;
use crate::error::{Error, Result, Stage, quoted};
use crate::options::{Options, Opt};
use crate::plan::Plan;
use crate::preset::Preset;
use crate::seccomp::filter::{Filter, Program};
use std::ffi::{CStr, CString, c_int, c_void};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, OnceLock};

/// Where a standard stream of the child goes.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_stdio {
    /// The host's (default); /dev/null where the host's is closed.
    SANDBOX_STDIO_INHERIT = 0,
    /// /dev/null.
    SANDBOX_STDIO_NULL = 1,
    /// A pipe, whose other end is the handle's.
    SANDBOX_STDIO_PIPE = 2,
    /// The fd given.
    SANDBOX_STDIO_FD = 3,
    /// A pseudoterminal, one for all the streams that ask; it becomes the controlling terminal of a new session.
    SANDBOX_STDIO_PTY = 4,
}

#[derive(Clone, Debug)]
pub enum Stdio {
    Inherit,
    Null,
    Pipe,
    Fd(Arc<OwnedFd>),
    Pty,
}

pub type ReadyFn = extern "C" fn(pid: libc::pid_t, pidfd: c_int, userdata: *mut c_void) -> c_int;
pub type PreExecFn = extern "C" fn(userdata: *mut c_void) -> c_int;

/// A caller's function with its argument.
#[derive(Debug)]
pub struct Hook<F> {
    pub function: F,
    pub userdata: *mut c_void,
}

impl<F: Copy> Clone for Hook<F> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<F: Copy> Copy for Hook<F> {}

// SAFETY: the library only passes the pointer on, and its documentation tells the caller in which thread.
unsafe impl<F: Send> Send for Hook<F> {}
// SAFETY: as above.
unsafe impl<F: Sync> Sync for Hook<F> {}

#[derive(Clone, Debug)]
pub struct Rlimit {
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// A filter as it was when it was added: later changes of the caller's do not reach it.
#[derive(Clone, Debug)]
pub struct FilterUse {
    pub program: Arc<Program>,
    pub flags: u64,
}

#[derive(Debug)]
pub struct Cmd {
    pub program: CString,
    pub args: Vec<CString>,
    pub arg0: Option<CString>,
    pub env_clear: bool,
    pub env: Vec<(CString, Option<CString>)>,
    pub cwd: Option<CString>,
    /// Instead: the first of these that can be entered.
    pub cwds: Vec<CString>,
    pub exec_fd: Option<Arc<OwnedFd>>,
    pub stdio: [Stdio; 3],
    pub passed: Vec<(Arc<OwnedFd>, RawFd)>,
    pub rlimits: Vec<Rlimit>,
    pub cpus: Option<Vec<u64>>,
    pub options: Options,
    pub on_ready: Option<Hook<ReadyFn>>,
    /// Maps the ids of the child's user namespace in the library's place.
    pub on_maps: Option<Hook<ReadyFn>>,
    /// What the init holds open, and locks, as long as it lives.
    pub init_fds: Vec<Arc<OwnedFd>>,
    pub init_locks: Vec<CString>,
    pub pre_exec: Option<Hook<PreExecFn>>,
    pub filters: Vec<FilterUse>,
    pub ptrace: Option<u64>,
    /// SANDBOX_NS_*.
    pub namespaces: u64,
    pub uid_maps: Vec<Map>,
    pub gid_maps: Vec<Map>,
    pub joined: Joined,
    pub hostname: Names,
    /// Clock, seconds, nanoseconds.
    pub time_offsets: Vec<(u32, i64, u32)>,
    pub identity: Identity,
    pub capabilities: Capabilities,
    pub mounts: Mounts,
    pub landlock: Ruleset,
    pub preset: Option<Preset>,
    pub cgroup: Group,
    /// Which streams the caller has named.
    pub stdio_given: [bool; 3],
    /// The first setter called of those that a run in a pool can't have any more.
    pub confining: Option<&'static str>,
    latched: Option<Error>,
    plan: OnceLock<Arc<Plan>>,
}

/// The longest single string that execve takes (MAX_ARG_STRLEN, 32 pages of 4 KiB).
const LONGEST_STRING: usize = 32 * 4096;
const LONGEST_PATH: usize = 4095;
const MOST_FILTERS: usize = 32;
/// PTRACE_O_*: the events, EXITKILL and SUSPEND_SECCOMP.
const PTRACE_OPTIONS: u64 = 0x3000ff;
const MOST_STRINGS: usize = 1 << 20;

/// Field by field into a new one: what clones all and then builds has each field's failure drop all fields before it,
/// which makes twice the code.
impl Clone for Cmd {
    fn clone(&self) -> Self {
        let Cmd {
            program, args, arg0, env_clear, env, cwd, cwds, init_fds, init_locks, on_maps, exec_fd, stdio, passed, rlimits, cpus, options, on_ready, pre_exec, filters, ptrace,
            namespaces, uid_maps, gid_maps, joined, hostname, time_offsets, identity, capabilities, mounts, landlock, preset, cgroup,
            stdio_given, confining, latched, plan,
        } = self;
        let mut copy = Cmd::new(c"");
        copy.program = program.clone();
        copy.args = args.clone();
        copy.arg0 = arg0.clone();
        copy.env_clear = *env_clear;
        copy.env = env.clone();
        copy.cwd = cwd.clone();
        copy.cwds = cwds.clone();
        copy.init_fds = init_fds.clone();
        copy.init_locks = init_locks.clone();
        copy.on_maps = *on_maps;
        copy.exec_fd = exec_fd.clone();
        copy.stdio = stdio.clone();
        copy.passed = passed.clone();
        copy.rlimits = rlimits.clone();
        copy.cpus = cpus.clone();
        copy.options = options.clone();
        copy.on_ready = *on_ready;
        copy.pre_exec = *pre_exec;
        copy.filters = filters.clone();
        copy.ptrace = *ptrace;
        copy.namespaces = *namespaces;
        copy.uid_maps = uid_maps.clone();
        copy.gid_maps = gid_maps.clone();
        copy.joined = joined.clone();
        copy.hostname = hostname.clone();
        copy.time_offsets = time_offsets.clone();
        copy.identity = identity.clone();
        copy.capabilities = *capabilities;
        copy.mounts = mounts.clone();
        copy.landlock = landlock.clone();
        copy.preset = *preset;
        copy.cgroup = cgroup.clone();
        copy.stdio_given = *stdio_given;
        copy.confining = *confining;
        copy.latched = latched.clone();
        copy.plan = plan.clone();
        copy
    }
}

impl Cmd {
    pub fn new(program: &CStr) -> Self {
        let mut cmd = Cmd {
            program: program.to_owned(),
            args: Vec::new(),
            arg0: None,
            env_clear: false,
            env: Vec::new(),
            cwd: None,
            cwds: Vec::new(),
            init_fds: Vec::new(),
            init_locks: Vec::new(),
            on_maps: None,
            exec_fd: None,
            stdio: [Stdio::Inherit, Stdio::Inherit, Stdio::Inherit],
            passed: Vec::new(),
            rlimits: Vec::new(),
            cpus: None,
            options: Options::default(),
            on_ready: None,
            pre_exec: None,
            filters: Vec::new(),
            ptrace: None,
            namespaces: 0,
            uid_maps: Vec::new(),
            gid_maps: Vec::new(),
            joined: Joined::default(),
            hostname: Names::default(),
            time_offsets: Vec::new(),
            identity: Identity::default(),
            capabilities: Capabilities::default(),
            mounts: Mounts::default(),
            landlock: Ruleset::default(),
            preset: None,
            cgroup: Group::default(),
            stdio_given: [false; 3],
            confining: None,
            latched: None,
            plan: OnceLock::new(),
        };
        // A failure is latched: the spawn will tell.
        let _ = cmd.set(|_| path(program, "program").map(|_| ()));
        cmd
    }

    /// A setter's frame: drops the compiled plan, runs `change`, latches its failure.
    pub fn set(&mut self, change: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.forget();
        let result = change(self);
        self.latch(result)
    }

    // Apart, because the frame is compiled anew for each setter.
    #[inline(never)]
    fn forget(&mut self) {
        self.plan = OnceLock::new();
    }

    #[inline(never)]
    fn latch(&mut self, result: Result<()>) -> Result<()> {
        if let Err(error) = &result {
            self.latched.get_or_insert_with(|| error.clone());
        }
        result
    }

    pub fn latched(&self) -> Option<&Error> {
        self.latched.as_ref()
    }

    /// The compiled plan, made once and kept until the next change.
    pub fn plan(&self) -> Result<Arc<Plan>> {
        if let Some(error) = &self.latched {
            return Err(error.clone());
        }
        if let Some(plan) = self.plan.get().filter(|plan| plan.host_ids.is_none_or(|ids| ids == identity::of_host())) {
            return Ok(plan.clone());
        }
        let plan = Arc::new(Plan::compile(self)?);
        if self.plan.get().is_some() {
            return Ok(plan); // the kept one was made for other ids of the host's
        }
        Ok(self.plan.get_or_init(|| plan).clone())
    }

    pub fn arg(&mut self, arg: &CStr) -> Result<()> {
        let what = format!("argument {}", self.args.len() + 1);
        let arg = string(arg, &what)?;
        room(&mut self.args, &what)?;
        self.args.push(arg);
        Ok(())
    }

    pub fn arg0(&mut self, arg0: &CStr) -> Result<()> {
        self.arg0 = Some(string(arg0, "argument 0")?);
        Ok(())
    }

    pub fn env(&mut self, name: &CStr, value: Option<&CStr>) -> Result<()> {
        if name.is_empty() || name.to_bytes().contains(&b'=') {
            return Err(Error::setup(libc::EINVAL, format_args!("environment name {}", quoted(name))));
        }
        let what = format!("environment variable {}", quoted(name));
        let value = value.map(|value| string(value, &what)).transpose()?;
        if name.count_bytes() + value.as_ref().map_or(0, |value| value.count_bytes()) + 2 > LONGEST_STRING {
            return Err(Error::setup(libc::E2BIG, what));
        }
        let name = string(name, &what)?;
        self.env.retain(|(other, _)| *other != name);
        room(&mut self.env, &what)?;
        self.env.push((name, value));
        Ok(())
    }

    pub fn env_clear(&mut self) -> Result<()> {
        self.env_clear = true;
        self.env.clear();
        Ok(())
    }

    pub fn cwd(&mut self, directory: &CStr) -> Result<()> {
        self.cwd = Some(path(directory, "working directory")?);
        self.cwds.clear();
        Ok(())
    }

    pub fn cwd_first(&mut self, directories: &[&CStr]) -> Result<()> {
        if directories.is_empty() {
            return Err(Error::setup(libc::EINVAL, "no working directory"));
        }
        self.cwds = directories.iter().map(|directory| path(directory, "working directory")).collect::<Result<_>>()?;
        self.cwd = None;
        Ok(())
    }

    pub fn init_fd(&mut self, fd: RawFd) -> Result<()> {
        let index = self.init_fds.len();
        let fd = duplicate(fd, Stage::SANDBOX_STAGE_INIT, index, &format!("fd {fd} for the init to hold"))?;
        room(&mut self.init_fds, "fds for the init to hold")?;
        self.init_fds.push(fd);
        Ok(())
    }

    pub fn init_lock(&mut self, file: &CStr) -> Result<()> {
        let file = path(file, "file to lock")?;
        room(&mut self.init_locks, "files to lock")?;
        self.init_locks.push(file);
        Ok(())
    }

    pub fn exec_fd(&mut self, fd: RawFd) -> Result<()> {
        self.exec_fd = Some(duplicate(fd, Stage::SANDBOX_STAGE_EXEC, 0, &format!("fd {fd} to execute"))?);
        Ok(())
    }

    pub fn stdio(&mut self, target: c_int, mode: u32, fd: RawFd) -> Result<()> {
        let stage = Stage::SANDBOX_STAGE_STDIO;
        let index = usize::try_from(target).unwrap_or(usize::MAX);
        if index > 2 {
            return Err(Error::setup(libc::EINVAL, format_args!("stdio target {target}: not 0, 1 or 2")));
        }
        self.is_free(target)?;
        let stream = match mode {
            0 => Stdio::Inherit,
            1 => Stdio::Null,
            2 => Stdio::Pipe,
            3 => Stdio::Fd(duplicate(fd, stage, index, &format!("fd {fd} for stdio {target}"))?),
            4 => Stdio::Pty,
            _ => return Err(Error::new(stage, index, libc::EINVAL, format_args!("stdio mode {mode} for {target}"))),
        };
        if let Some(place) = self.stdio.get_mut(index) {
            *place = stream;
        }
        if let Some(given) = self.stdio_given.get_mut(index) {
            *given = true;
        }
        Ok(())
    }

    pub fn pass_fd(&mut self, fd: RawFd, target: RawFd) -> Result<()> {
        let (stage, index) = (Stage::SANDBOX_STAGE_FD, self.passed.len());
        if target < 0 {
            return Err(Error::new(stage, index, libc::EINVAL, format_args!("pass fd {fd} as {target}")));
        }
        self.is_free(target)?;
        if usize::try_from(target).ok().and_then(|target| self.stdio.get(target)).is_some_and(|stream| !matches!(stream, Stdio::Inherit)) {
            return Err(Error::new(stage, index, libc::EINVAL, format_args!("fd {target} is asked for by stdio already")));
        }
        let fd = duplicate(fd, stage, index, &format!("fd {fd} to pass as {target}"))?;
        room(&mut self.passed, "passed fds")?;
        self.passed.push((fd, target));
        Ok(())
    }

    fn is_free(&self, target: RawFd) -> Result<()> {
        match self.passed.iter().position(|(_, taken)| *taken == target) {
            Some(index) => Err(Error::new(Stage::SANDBOX_STAGE_FD, index, libc::EINVAL, format_args!("fd {target} is asked for twice"))),
            None => Ok(()),
        }
    }

    /// A resource set again is overridden, in its first place.
    pub fn rlimit(&mut self, resource: u32, soft: u64, hard: u64) -> Result<()> {
        let found = self.rlimits.iter().position(|limit| limit.resource == resource);
        let index = found.unwrap_or(self.rlimits.len());
        if resource >= crate::confine::rlimit::NAMES.len() as u32 {
            return Err(Error::new(Stage::SANDBOX_STAGE_RLIMIT, index, libc::EINVAL, format_args!("resource {resource}")));
        }
        if soft > hard {
            let name = crate::confine::rlimit::name(resource);
            return Err(Error::new(Stage::SANDBOX_STAGE_RLIMIT, index, libc::EINVAL, format_args!("{name}: soft limit {soft} above hard limit {hard}")));
        }
        let limit = Rlimit { resource, soft, hard };
        match found.and_then(|found| self.rlimits.get_mut(found)) {
            Some(place) => *place = limit,
            None => self.rlimits.push(limit),
        }
        Ok(())
    }

    pub fn cpus(&mut self, mask: &[u64]) -> Result<()> {
        if mask.iter().all(|word| *word == 0) {
            return Err(Error::new(Stage::SANDBOX_STAGE_PROCESS, 0, libc::EINVAL, "an empty set of CPUs"));
        }
        self.cpus = Some(mask.to_vec());
        Ok(())
    }

    pub fn filter(&mut self, filter: &Filter) -> Result<()> {
        let index = self.filters.len();
        let program = filter.program().map_err(|error| error.at_index(index))?;
        if program.notifies && self.filters.iter().any(|other| other.program.notifies) {
            return Err(Error::new(Stage::SANDBOX_STAGE_SECCOMP, index, libc::EINVAL, "a second filter that notifies"));
        }
        if index >= MOST_FILTERS {
            return Err(Error::new(Stage::SANDBOX_STAGE_SECCOMP, index, libc::E2BIG, "another filter"));
        }
        self.filters.push(FilterUse { program, flags: filter.flags });
        Ok(())
    }

    pub fn ptrace(&mut self, options: u64) -> Result<()> {
        if options & !PTRACE_OPTIONS != 0 {
            return Err(Error::new(Stage::SANDBOX_STAGE_PTRACE, 0, libc::EINVAL, format_args!("ptrace options {options:#x}")));
        }
        self.ptrace = Some(options);
        Ok(())
    }

    pub fn unshare(&mut self, namespaces: u64) -> Result<()> {
        self.namespaces |= namespace::check(namespaces)?;
        Ok(())
    }

    pub fn map_uid(&mut self, map: Map) -> Result<()> {
        self.uid_maps.push(checked(map, self.uid_maps.len(), "uid")?);
        Ok(())
    }

    pub fn map_gid(&mut self, map: Map) -> Result<()> {
        self.gid_maps.push(checked(map, self.gid_maps.len(), "gid")?);
        Ok(())
    }

    pub fn option(&mut self, option: u32, value: u64) -> Result<()> {
        let Some(info) = Options::find(option) else {
            return Err(Error::setup(libc::EINVAL, format_args!("option {option}: there is none of that number")));
        };
        if let Some(wrong) = info.refuses(value) {
            return Err(Error::setup(libc::EINVAL, wrong));
        }
        if info.option == Opt::SANDBOX_OPT_CPU_AFFINITY {
            return self.cpus(&[value]);
        }
        self.options.set(info.option, value);
        Ok(())
    }
}

/// The kernel takes 340 lines, and no range that runs over.
fn checked(map: Map, index: usize, kind: &str) -> Result<Map> {
    let is_whole = |first: u32| first.checked_add(map.count).is_some();
    if map.count == 0 || !is_whole(map.inside) || !is_whole(map.outside) || index >= 340 {
        let what = format!("{kind} map of {} ids from {} to {}", map.count, map.outside, map.inside);
        return Err(Error::new(Stage::SANDBOX_STAGE_USERNS, index, libc::EINVAL, what));
    }
    Ok(map)
}

fn string(text: &CStr, what: &str) -> Result<CString> {
    if text.count_bytes() >= LONGEST_STRING {
        return Err(Error::setup(libc::E2BIG, format_args!("{what}: {} bytes, the most is {}", text.count_bytes(), LONGEST_STRING - 1)));
    }
    Ok(text.to_owned())
}

pub fn path(text: &CStr, what: &str) -> Result<CString> {
    if text.count_bytes() > LONGEST_PATH {
        return Err(Error::setup(libc::ENAMETOOLONG, format_args!("{what}: {} bytes", text.count_bytes())));
    }
    Ok(text.to_owned())
}

pub fn room<T>(list: &mut Vec<T>, what: &str) -> Result<()> {
    if list.len() >= MOST_STRINGS {
        return Err(Error::setup(libc::E2BIG, what));
    }
    list.try_reserve(1).map_err(|_| Error::setup(libc::ENOMEM, what))
}

/// The caller's fd stays the caller's: the command keeps a duplicate, close-on-exec and above 2.
pub fn duplicate(fd: RawFd, stage: Stage, index: usize, what: &str) -> Result<Arc<OwnedFd>> {
    // SAFETY: fcntl on a number; a number that is no fd gives EBADF.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(Error::last(stage, index, what));
    }
    // SAFETY: just made, and nobody else's.
    Ok(Arc::new(unsafe { OwnedFd::from_raw_fd(copy) }))
}
