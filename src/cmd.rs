//! What the caller asked for. Setters check what can be checked at once and latch the first failure; nothing here
//! starts anything. `plan` turns it into ops.

mod check;
mod confinement;
mod fds;
mod hook;
mod program;

pub use check::{path, room};
pub use confinement::{FilterUse, Rlimit};
pub use fds::{Stdio, duplicate, sandbox_stdio};
pub use hook::{Hook, PreExecFn, ReadyFn};

use crate::closed;
use crate::confine::cgroup::Group;
use crate::confine::hostname::Names;
use crate::confine::identity::{self, Identity};
use crate::confine::join::Joined;
use crate::confine::landlock::Ruleset;
use crate::confine::mount::Mounts;
use crate::confine::namespace::Map;
use crate::confine::privilege::Capabilities;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::plan::Plan;
use crate::preset::Preset;
use crate::sticky::Sticky;
use std::ffi::{CStr, CString};
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;

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
    sticky: Sticky<Plan>,
}

/// Field by field into a new one: what clones all and then builds has each field's failure drop all fields before it,
/// which makes twice the code.
impl Clone for Cmd {
    fn clone(&self) -> Self {
        let Cmd {
            program, args, arg0, env_clear, env, cwd, cwds, init_fds, init_locks, on_maps, exec_fd, stdio, passed, rlimits, cpus, options, on_ready, pre_exec, filters, ptrace,
            namespaces, uid_maps, gid_maps, joined, hostname, time_offsets, identity, capabilities, mounts, landlock, preset, cgroup,
            stdio_given, confining, sticky,
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
        copy.sticky = sticky.clone();
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
            sticky: Sticky::new(),
        };
        // A failure is latched: the spawn will tell.
        let _ = cmd.set(|_| path(program, "program").map(|_| ()));
        cmd
    }

    /// A setter's frame: runs `change`, latches its failure, drops the compiled plan.
    pub fn set(&mut self, change: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let result = change(self);
        self.sticky.changed(result)
    }

    pub fn latched(&self) -> Option<&Error> {
        self.sticky.latched()
    }

    /// The compiled plan, made once and kept until the next change; for other ids of the host's it is made anew.
    pub fn plan(&self) -> Result<Arc<Plan>> {
        match self.sticky.kept()? {
            Some(plan) if plan.host_ids.is_none_or(|ids| ids == identity::of_host())
                && plan.is_shut_out.is_none_or(|is_shut_out| is_shut_out == closed::is_shut_out()) => Ok(plan),
            _ => Ok(self.sticky.keep(Plan::compile(self)?)),
        }
    }
}
