//! Namespaces that exist already, entered by fd. Others live in them, hostile ones perhaps: the child enters from memory
//! that holds nothing of the host's and is not dumpable, so that none of them can attach to it before its exec
//! (CVE-2016-9962, CVE-2020-5291).

use crate::cmd::Cmd;
use crate::confine::init;
use crate::confine::namespace::{self, Ns};
use crate::error::{Error, Result, Stage};
use crate::fd;
use crate::options::Opt;
use crate::plan::{Arg, Builder, Source};
use nix::errno::Errno;
use nix::sys::stat::fstat;
use sandbox_child::plan::{Code, gate};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

const STAGE: Stage = Stage::SANDBOX_STAGE_CLONE;

/// What the caller asked for: each with its kind, CLONE_NEW*, and its place in the caller's order.
#[derive(Clone, Debug, Default)]
pub struct Joined(Vec<(u64, Arc<OwnedFd>)>);

/// The user namespace comes first: what is its own can be entered with the capabilities in it, and only with these. What
/// is not its own can be entered only before. The mount namespace last: what came with the host's root is gone with it.
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

    fn fd(&self, kind: Ns) -> Option<&OwnedFd> {
        self.0.iter().find(|(joined, _)| *joined == kind as u64).map(|(_, fd)| fd.as_ref())
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
        let fd = fd::duplicate(fd, 3).map_err(|errno| Error::new(STAGE, index, errno as i32, format_args!("fd {fd} to join")))?;
        self.joined.0.push((kind, Arc::new(fd)));
        Ok(())
    }
}

/// The program's alone: what is set up belongs to the caller's.
fn is_last(cmd: &Cmd, kind: Ns) -> bool {
    kind == Ns::SANDBOX_NS_USER && cmd.options.is_on(Opt::SANDBOX_OPT_JOIN_USER_LAST)
}

/// A user namespace, entered before new ones are made and anything is mounted.
pub fn joins_user_first(cmd: &Cmd) -> bool {
    cmd.joined.has(Ns::SANDBOX_NS_USER) && !cmd.options.is_on(Opt::SANDBOX_OPT_JOIN_USER_LAST)
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
    if cmd.mounts.is_asked() && cmd.joined.has(Ns::SANDBOX_NS_MOUNT) {
        return Err(refused(0, "mounts with a mount namespace to join, in which they would not be made"));
    }
    if let Some((index, (kind, _))) = cmd.joined.0.iter().enumerate().find(|(_, (kind, _))| cmd.namespaces & kind != 0) {
        return Err(refused(index, format_args!("both a new {} namespace and one to join", namespace::names(*kind))));
    }
    if cmd.pre_exec.is_some() && !init::is_asked(cmd) {
        return Err(refused(0, "pre_exec with a namespace to join: a copy of the host's memory would enter it").hint("INIT allows it"));
    }
    Ok(())
}

pub fn enter(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if cmd.joined.is_empty() && plan.plan().late == 0 {
        return Ok(());
    }
    let makes_user = cmd.has(Ns::SANDBOX_NS_USER);
    if !makes_user {
        close_to_tracers(plan);
    }
    let joins_first = joins_user_first(cmd);
    let (inside, outside): (Vec<Ns>, Vec<Ns>) = IN_TURN.into_iter().partition(|kind| joins_first && is_below_joined(cmd, *kind));
    for kind in outside.into_iter().filter(|kind| !is_last(cmd, *kind)) {
        one(cmd, plan, kind)?;
    }
    for kind in inside {
        one(cmd, plan, kind)?;
        if kind == Ns::SANDBOX_NS_USER {
            make(plan); // before the host's mounts are left: their copy is what a new mount namespace begins with
        }
    }
    if makes_user {
        make(plan);
    }
    Ok(())
}

/// All but the time namespace, which has a step of its own.
fn make(plan: &mut Builder) {
    let late = plan.plan().late & !(Ns::SANDBOX_NS_TIME as u64);
    if late != 0 {
        plan.plan().made |= late;
        plan.call(STAGE, 0, libc::SYS_unshare, &[Arg::Value(late)], format_args!("new namespaces: {}", namespace::names(late)));
    }
}

fn close_to_tracers(plan: &mut Builder) {
    let args = [libc::PR_SET_DUMPABLE as u64, 0].map(Arg::Value);
    plan.call(STAGE, 0, libc::SYS_prctl, &args, "closed to tracers until exec");
}

/// A pid namespace, joined or made by unshare, is its children's alone.
pub fn replace(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if cmd.joined.is_empty() && plan.plan().late == 0 {
        return Ok(());
    }
    namespace::close_late(cmd, plan);
    if cmd.has(Ns::SANDBOX_NS_USER) {
        close_to_tracers(plan); // not before its ids are mapped: an ordinary host could not write to its files in /proc
    }
    if plan.plan().is_replaced() {
        plan.slot(Source::Host)?;
        plan.op(STAGE, 0, Code::Init, [1, 0, 0], "the program gets a process in the pid namespace");
        plan.op(STAGE, 0, Code::Gate, [gate::JOINED.into(), 0, 0], "held at the gate while the host takes it for its child");
    }
    Ok(())
}

/// It is below the caller's, whose capabilities count in it.
pub fn enter_last(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if is_last(cmd, Ns::SANDBOX_NS_USER) { one(cmd, plan, Ns::SANDBOX_NS_USER) } else { Ok(()) }
}

/// Whether a namespace is the joined user namespace, or that one's, or a deeper one's. The kernel tells no owner that is
/// not below the caller's.
fn is_below_joined(cmd: &Cmd, kind: Ns) -> bool {
    const NS_GET_USERNS: u64 = 0xb701;
    const NS_GET_PARENT: u64 = 0xb702;
    let above = |fd: &OwnedFd, request: u64| {
        // SAFETY: a request without an argument; it gives a new fd.
        fd::owned(unsafe { libc::ioctl(fd.as_raw_fd(), request as _) }).ok()
    };
    let (Some(user), Some(own)) = (cmd.joined.fd(Ns::SANDBOX_NS_USER), cmd.joined.fd(kind)) else { return true };
    let identity = |fd: &OwnedFd| fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    let mut owner = if kind == Ns::SANDBOX_NS_USER { return true } else { above(own, NS_GET_USERNS) };
    while let Some(fd) = owner {
        if identity(&fd) == identity(user) {
            return true;
        }
        owner = above(&fd, NS_GET_PARENT);
    }
    false
}

fn one(cmd: &Cmd, plan: &mut Builder, kind: Ns) -> Result<()> {
    let kind = kind as u64;
    if let Some((index, (_, fd))) = cmd.joined.0.iter().enumerate().find(|(_, (joined, _))| *joined == kind) {
        let slot = plan.slot(Source::Command(fd.as_raw_fd()))?;
        plan.call(STAGE, index, libc::SYS_setns, &[Arg::Given(slot), Arg::Value(kind)], format_args!("join the {} namespace", namespace::names(kind)));
    }
    Ok(())
}
