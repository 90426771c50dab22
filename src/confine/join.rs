//! Namespaces that exist already, entered by fd. Others live in them, hostile ones perhaps: the child enters from memory
//! that holds nothing of the host's and is not dumpable, so that none of them can attach to it before its exec
//! (CVE-2016-9962, CVE-2020-5291).

use crate::cmd::Cmd;
use crate::confine::init;
use crate::confine::namespace::{self, Ns};
use crate::error::{Error, Result, Stage};
use crate::options::Opt;
use crate::plan::{Arg, Builder, Source};
use nix::errno::Errno;
use sandbox_child::plan::{Code, gate};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

const STAGE: Stage = Stage::SANDBOX_STAGE_CLONE;

/// What the caller asked for: each with its kind, CLONE_NEW*, and its place in the caller's order.
#[derive(Clone, Debug, Default)]
pub struct Joined(Vec<(u64, Arc<OwnedFd>)>);

/// The user namespace first: the others are its own, and entering them needs the capabilities in it. The mount
/// namespace last: what came with the host's root is gone with it.
const IN_TURN: [Ns; 8] = [
    Ns::SANDBOX_NS_USER,
    Ns::SANDBOX_NS_CGROUP,
    Ns::SANDBOX_NS_IPC,
    Ns::SANDBOX_NS_UTS,
    Ns::SANDBOX_NS_NET,
    Ns::SANDBOX_NS_TIME,
    Ns::SANDBOX_NS_PID,
    Ns::SANDBOX_NS_MOUNT,
];

impl Joined {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has(&self, kind: Ns) -> bool {
        self.kinds() & kind as u64 != 0
    }

    pub fn kinds(&self) -> u64 {
        self.0.iter().fold(0, |kinds, (kind, _)| kinds | kind)
    }
}

fn refused(index: usize, what: impl std::fmt::Display) -> Error {
    Error::new(STAGE, index, libc::EINVAL, what)
}

impl Cmd {
    pub fn join(&mut self, fd: RawFd) -> Result<()> {
        const NS_GET_NSTYPE: u64 = 0xb703;
        let index = self.joined.0.len();
        // SAFETY: a request without an argument.
        let kind = unsafe { libc::ioctl(fd, NS_GET_NSTYPE as _) };
        if kind < 0 && Errno::last() == Errno::EBADF {
            return Err(Error::new(STAGE, index, libc::EBADF, format_args!("fd {fd} to join")));
        }
        let Some(kind) = u64::try_from(kind).ok().filter(|kind| IN_TURN.iter().any(|known| *known as u64 == *kind)) else {
            return Err(refused(index, format_args!("fd {fd} to join is not a namespace")));
        };
        if self.joined.0.iter().any(|(other, _)| *other == kind) {
            return Err(refused(index, format_args!("a second {} namespace to join", namespace::names(kind))));
        }
        let fd = crate::fd::duplicate(fd, 3).map_err(|errno| Error::new(STAGE, index, errno as i32, format_args!("fd {fd} to join")))?;
        self.joined.0.push((kind, Arc::new(fd)));
        Ok(())
    }
}

/// The program's alone: what is set up belongs to the caller's.
fn is_last(cmd: &Cmd, kind: u64) -> bool {
    kind == Ns::SANDBOX_NS_USER as u64 && cmd.options.is_on(Opt::SANDBOX_OPT_JOIN_USER_LAST)
}

/// What can't go together.
pub fn check(cmd: &Cmd) -> Result<()> {
    let is_last = cmd.options.is_on(Opt::SANDBOX_OPT_JOIN_USER_LAST);
    if is_last && !cmd.joined.has(Ns::SANDBOX_NS_USER) {
        return Err(refused(0, "JOIN_USER_LAST without a user namespace to join"));
    }
    if cmd.joined.is_empty() {
        return Ok(());
    }
    let is_first = cmd.joined.has(Ns::SANDBOX_NS_USER) && !is_last;
    if cmd.mounts.is_asked() && (is_first || cmd.joined.has(Ns::SANDBOX_NS_MOUNT)) {
        return Err(refused(0, "mounts with a user or mount namespace to join, in which they would not be made"));
    }
    if let Some((index, (kind, _))) = cmd.joined.0.iter().enumerate().find(|(_, (kind, _))| cmd.namespaces & kind != 0) {
        return Err(refused(index, format_args!("both a new {} namespace and one to join", namespace::names(*kind))));
    }
    if is_first && cmd.namespaces != 0 {
        return Err(refused(0, "new namespaces beside a user namespace to join, whose they would not be"));
    }
    if cmd.pre_exec.is_some() && !init::is_asked(cmd) {
        return Err(refused(0, "pre_exec with a namespace to join: a copy of the host's memory would enter it").hint("INIT allows it"));
    }
    Ok(())
}

pub fn enter(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if cmd.joined.is_empty() {
        return Ok(());
    }
    let args = [libc::PR_SET_DUMPABLE as u64, 0].map(Arg::Value);
    plan.call(STAGE, 0, libc::SYS_prctl, &args, "closed to tracers until exec");
    for kind in IN_TURN {
        if !is_last(cmd, kind as u64) {
            one(cmd, plan, kind as u64)?;
        }
    }
    if cmd.joined.has(Ns::SANDBOX_NS_PID) {
        plan.slot(Source::Host)?;
        plan.op(STAGE, 0, Code::Init, [1, 0, 0], "the program gets a process in the joined pid namespace");
        plan.op(STAGE, 0, Code::Gate, [gate::JOINED.into(), 0, 0], "held at the gate while the host takes it for its child");
    }
    Ok(())
}

/// It is below the caller's, whose capabilities count in it.
pub fn enter_last(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if is_last(cmd, Ns::SANDBOX_NS_USER as u64) { one(cmd, plan, Ns::SANDBOX_NS_USER as u64) } else { Ok(()) }
}

fn one(cmd: &Cmd, plan: &mut Builder, kind: u64) -> Result<()> {
    if let Some((index, (_, fd))) = cmd.joined.0.iter().enumerate().find(|(_, (joined, _))| *joined == kind) {
        let slot = plan.slot(Source::Command(fd.as_raw_fd()))?;
        plan.call(STAGE, index, libc::SYS_setns, &[Arg::Slot(slot), Arg::Value(kind)], format_args!("join the {} namespace", namespace::names(kind)));
    }
    Ok(())
}
