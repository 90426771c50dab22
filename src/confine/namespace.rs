//! Namespaces of the child's own: made by the clone itself, but for time's. A user namespace's ids are mapped by the
//! host while the child stands at a gate (`idmap`).

use crate::cmd::Cmd;
use crate::confine::join;
use crate::error::{Error, Result, Stage, list, quoted};
use crate::memory::page_size;
use crate::options::Opt;
use crate::plan::{Arg, Builder, Source};
use sandbox_child::plan::{Code, gate};
use std::ffi::CStr;
use std::fmt::Write;

/// Namespaces, the kernel's values (CLONE_NEW*).
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_ns {
    /// Clocks: sandbox_cmd_time_offset.
    SANDBOX_NS_TIME = 0x80,
    /// Mounts; any that is asked for brings it along.
    SANDBOX_NS_MOUNT = 0x0002_0000,
    /// The cgroup that is seen as the root.
    SANDBOX_NS_CGROUP = 0x0200_0000,
    /// Host and domain name.
    SANDBOX_NS_UTS = 0x0400_0000,
    /// System V IPC and POSIX message queues.
    SANDBOX_NS_IPC = 0x0800_0000,
    /// Users, groups and what capabilities count for.
    SANDBOX_NS_USER = 0x1000_0000,
    /// Process ids: the program, or the init of SANDBOX_OPT_INIT, is number 1, and all ends with it.
    SANDBOX_NS_PID = 0x2000_0000,
    /// Network interfaces, ports and abstract unix sockets; its loopback is down but for SANDBOX_OPT_LOOPBACK.
    SANDBOX_NS_NET = 0x4000_0000,
}

pub use sandbox_ns as Ns;

pub const ALL: [Ns; 8] = [
    Ns::SANDBOX_NS_USER,
    Ns::SANDBOX_NS_PID,
    Ns::SANDBOX_NS_MOUNT,
    Ns::SANDBOX_NS_NET,
    Ns::SANDBOX_NS_UTS,
    Ns::SANDBOX_NS_IPC,
    Ns::SANDBOX_NS_CGROUP,
    Ns::SANDBOX_NS_TIME,
];

const NAMES: &str = "user pid mount net uts ipc cgroup time";

/// One line of a uid_map or gid_map.
#[derive(Clone, Copy, Debug)]
pub struct Map {
    pub inside: u32,
    pub outside: u32,
    pub count: u32,
}

const TIME: Stage = Stage::SANDBOX_STAGE_CLONE;

impl Cmd {
    pub fn time_offset(&mut self, clock: u32, seconds: i64, nanoseconds: u32) -> Result<()> {
        if !matches!(clock, 1 | 7) || nanoseconds > 999_999_999 {
            return Err(Error::new(TIME, 1, libc::EINVAL, format_args!("offset of {seconds} s, {nanoseconds} ns of clock {clock}"))
                .hint("CLOCK_MONOTONIC and CLOCK_BOOTTIME have one"));
        }
        self.time_offsets.retain(|(other, ..)| *other != clock);
        self.time_offsets.push((clock, seconds, nanoseconds));
        Ok(())
    }

    pub fn has(&self, namespace: Ns) -> bool {
        self.namespaces & namespace as u64 != 0
    }
}

/// Those that clone makes. Not cgroup's where the child has one of its own: it must be in there first.
pub fn clone_flags(cmd: &Cmd, late: u64) -> u64 {
    let cgroup = if cmd.cgroup.is_asked { Ns::SANDBOX_NS_CGROUP as u64 } else { 0 };
    cmd.namespaces & !(Ns::SANDBOX_NS_TIME as u64 | cgroup | late)
}

/// Those that come once the child has left the host's memory: after others are joined, because they are to be a joined
/// user namespace's, or a new user namespace is among them, from within which nothing outside could be joined; or because
/// the host could not map ids in memory of its own.
pub fn late(cmd: &Cmd, is_shut_out: bool) -> u64 {
    let is_late = join::joins_user_first(cmd) || (cmd.has(Ns::SANDBOX_NS_USER) && (!cmd.joined.is_empty() || is_shut_out));
    if is_late { cmd.namespaces } else { 0 }
}

/// What late ones need of the host's /proc, which a joined mount namespace may lack, and which a process that is closed to
/// tracers may not write to. The kernel asks who opened the offsets whether that is allowed, and the caller may.
pub fn open_late(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let has_time = cmd.has(Ns::SANDBOX_NS_TIME);
    if plan.plan().late == 0 || !(has_time || cmd.options.is_on(Opt::SANDBOX_OPT_DISABLE_USERNS)) {
        return Ok(());
    }
    plan.proc = Some(open_proc(plan, if has_time { TIME } else { STAGE })?);
    if has_time && !cmd.time_offsets.is_empty() {
        plan.offsets = Some(open(plan, TIME, 1, ((libc::AT_FDCWD as i64).into(), OFFSETS), libc::O_WRONLY)?);
    }
    Ok(())
}

/// What is of no more use, unless another is to be made.
pub fn close_late(cmd: &Cmd, plan: &mut Builder) {
    if !nests(cmd) && let Some(proc) = plan.proc.take() {
        closed(plan, STAGE, 1, proc);
    }
}

pub fn check(namespaces: u64) -> Result<u64> {
    let known = ALL.iter().fold(0, |all, ns| all | *ns as u64);
    if namespaces & !known != 0 {
        return Err(Error::setup(libc::EINVAL, format_args!("namespaces {namespaces:#x}")));
    }
    Ok(namespaces)
}

/// "user, pid, net"
pub fn names(namespaces: u64) -> String {
    let mut text = String::new();
    for (ns, name) in ALL.iter().zip(NAMES.split(' ')) {
        if namespaces & *ns as u64 != 0 {
            list(&mut text, &name);
        }
    }
    text
}

/// In a pid namespace of its own the child can't see its parent: it watches a pidfd of the host.
pub fn watch(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if cmd.has(Ns::SANDBOX_NS_PID) {
        plan.slot(Source::Host)?;
    }
    Ok(())
}

pub fn map(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if cmd.has(Ns::SANDBOX_NS_USER) {
        apart("uid_map", &uids(cmd))?;
        apart("gid_map", &gids(cmd))?;
        let is_late = plan.plan().late != 0;
        if !is_late {
            plan.maps_ids();
        }
        plan.op(Stage::SANDBOX_STAGE_USERNS, 0, Code::Gate, [if is_late { gate::LATE_MAPS } else { gate::MAPS }.into(), 0, 0],
            format_args!("waits until the host has mapped uids {} and gids {}", shown(&uids(cmd)), shown(&gids(cmd))));
    } else if !cmd.uid_maps.is_empty() || !cmd.gid_maps.is_empty() {
        return Err(Error::new(Stage::SANDBOX_STAGE_USERNS, 0, libc::EINVAL, "an id map without a user namespace of its own"));
    }
    Ok(())
}

/// The kernel says of ids that are there twice, inside or outside, that a line is wrong; here it is said which.
fn apart(file: &str, maps: &[Map]) -> Result<()> {
    let overlap = |a: u32, b: u32, one: &Map, other: &Map| u64::from(a) < u64::from(b) + u64::from(other.count) && u64::from(b) < u64::from(a) + u64::from(one.count);
    for (index, one) in maps.iter().enumerate() {
        if maps.iter().take(index).any(|other| overlap(one.inside, other.inside, one, other) || overlap(one.outside, other.outside, one, other)) {
            let what = format_args!("{file} \"{} {} {}\": ids that overlap an earlier line's", one.inside, one.outside, one.count);
            return Err(Error::new(STAGE, index, libc::EINVAL, what));
        }
    }
    let length: usize = maps.iter().map(|map| format!("{} {} {}\n", map.inside, map.outside, map.count).len()).sum();
    if length >= page_size() {
        return Err(Error::new(STAGE, maps.len() - 1, libc::EINVAL, format_args!("{file} of {length} bytes: the kernel takes less than a page")));
    }
    Ok(())
}

/// Its processes are those to come, and since Linux 6.3 what an exec makes of this one. The offsets are closed to change
/// once a process lives by them. By the host's /proc, which the child's root may lack.
pub fn time(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if cmd.has(Ns::SANDBOX_NS_TIME) {
        plan.plan().made |= Ns::SANDBOX_NS_TIME as u64;
        plan.call(TIME, 1, libc::SYS_unshare, &[Arg::Value(Ns::SANDBOX_NS_TIME as u64)], "a time namespace");
        let mut lines = String::new();
        for (clock, seconds, nanoseconds) in &cmd.time_offsets {
            let _ = writeln!(lines, "{clock} {seconds} {nanoseconds}");
        }
        if !lines.is_empty() {
            let slot = match plan.offsets.take() {
                Some(slot) => slot,
                None => open(plan, TIME, 1, ((libc::AT_FDCWD as i64).into(), OFFSETS), libc::O_WRONLY)?,
            };
            write(plan, TIME, 1, slot, &lines, OFFSETS);
        }
        plan.time = Some(open(plan, TIME, 1, in_proc(plan, c"/proc/self/ns/time_for_children"), libc::O_RDONLY)?);
    } else if !cmd.time_offsets.is_empty() {
        return Err(Error::new(TIME, 1, libc::EINVAL, "clock offsets without a time namespace of its own"));
    }
    Ok(())
}

/// An older kernel's exec leaves the program where it was: it enters like one that joins, which no memory may share.
pub fn enter_time(_: &Cmd, plan: &mut Builder) -> Result<()> {
    if let Some(slot) = plan.time.take() {
        plan.call(TIME, 1, libc::SYS_setns, &[Arg::Slot(slot), Arg::Value(Ns::SANDBOX_NS_TIME as u64)], "into the time namespace");
        closed(plan, TIME, 1, slot);
    }
    Ok(())
}

/// No user namespace in this one, for whoever lacks CAP_SYS_RESOURCE in it to raise the limit again.
pub fn close(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if !cmd.options.is_on(Opt::SANDBOX_OPT_DISABLE_USERNS) {
        return Ok(());
    }
    if !cmd.has(Ns::SANDBOX_NS_USER) {
        return Err(Error::new(Stage::SANDBOX_STAGE_USERNS, 1, libc::EINVAL, "DISABLE_USERNS without a user namespace of its own"));
    }
    if !nests(cmd) {
        return limit(plan, "0\n");
    }
    if cmd.identity.ids.is_some() {
        return Err(Error::new(STAGE, 1, libc::EINVAL, "DISABLE_USERNS 2 with a user to change to"));
    }
    limit(plan, "1\n")?;
    if plan.proc.is_none() {
        plan.proc = Some(open_proc(plan, STAGE)?);
    }
    Ok(())
}

fn limit(plan: &mut Builder, text: &str) -> Result<()> {
    let slot = open(plan, STAGE, 1, in_proc(plan, LIMIT), libc::O_WRONLY)?;
    write(plan, STAGE, 1, slot, text, LIMIT);
    Ok(())
}

const STAGE: Stage = Stage::SANDBOX_STAGE_USERNS;
const OFFSETS: &CStr = c"/proc/self/timens_offsets";
const LIMIT: &CStr = c"/proc/sys/user/max_user_namespaces";

/// A second user namespace in the first, which owns all else.
pub fn nests(cmd: &Cmd) -> bool {
    cmd.options.get(Opt::SANDBOX_OPT_DISABLE_USERNS) == Some(2)
}

/// Its only ids are those that the child has: who makes it may map no others.
pub fn nest(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let Some(proc) = plan.proc.take() else { return Ok(()) };
    let [_, uid, _, _, gid, _] = crate::confine::identity::of_host();
    let own = |maps: Vec<Map>, id| inside(&maps, id).ok_or_else(|| Error::new(STAGE, 2, libc::EINVAL, "DISABLE_USERNS 2 without the caller's own ids"));
    let (uid, gid) = (own(uids(cmd), uid)?, own(gids(cmd), gid)?);
    plan.call(STAGE, 2, libc::SYS_unshare, &[Arg::Value(Ns::SANDBOX_NS_USER as u64)], "a user namespace below it");
    for (file, text) in [(c"self/uid_map", format!("{uid} {uid} 1\n")), (c"self/setgroups", "deny\n".to_owned()), (c"self/gid_map", format!("{gid} {gid} 1\n"))] {
        let slot = open(plan, STAGE, 2, (Arg::Slot(proc), file), libc::O_WRONLY)?;
        write(plan, STAGE, 2, slot, &text, file);
    }
    closed(plan, STAGE, 2, proc);
    Ok(())
}

fn open_proc(plan: &mut Builder, stage: Stage) -> Result<u8> {
    open(plan, stage, 2, ((libc::AT_FDCWD as i64).into(), c"/proc"), libc::O_PATH | libc::O_DIRECTORY)
}

/// A file of the host's /proc, which the child's root may lack: through what is open of it, if anything is.
fn in_proc<'a>(plan: &Builder, path: &'a CStr) -> (Arg, &'a CStr) {
    match (plan.proc, path.to_bytes_with_nul().strip_prefix(b"/proc/").map(CStr::from_bytes_with_nul)) {
        (Some(proc), Some(Ok(below))) => (Arg::Slot(proc), below),
        _ => ((libc::AT_FDCWD as i64).into(), path),
    }
}

fn open(plan: &mut Builder, stage: Stage, index: usize, (from, path): (Arg, &CStr), flags: i32) -> Result<u8> {
    let at = plan.string(path);
    let slot = plan.op_slot()?;
    let args = [from, Arg::Data(at), Arg::Value((flags | libc::O_CLOEXEC) as u64)];
    plan.call(stage, index, libc::SYS_openat, &args, format_args!("open {}", quoted(path))).out = slot;
    Ok(slot)
}

fn write(plan: &mut Builder, stage: Stage, index: usize, slot: u8, text: &str, path: &CStr) {
    let data = plan.data(text.as_bytes());
    let args = [Arg::Slot(slot), Arg::Data(data), Arg::Value(text.len() as u64)];
    plan.call(stage, index, libc::SYS_write, &args, format_args!("write {:?} to {}", text.trim_end(), quoted(path)));
    closed(plan, stage, index, slot);
}

fn closed(plan: &mut Builder, stage: Stage, index: usize, slot: u8) {
    plan.call(stage, index, libc::SYS_close, &[Arg::Slot(slot)], "close it");
    plan.op(stage, index, Code::Forget, [slot.into(), 0, 0], "forget it");
}

/// With no map given: the caller's own id, as the one the child is to be, or else as itself.
fn maps(given: &[Map], own: u32, wanted: Option<u32>) -> Vec<Map> {
    if given.is_empty() { vec![Map { inside: wanted.unwrap_or(own), outside: own, count: 1 }] } else { given.to_vec() }
}

pub fn uids(cmd: &Cmd) -> Vec<Map> {
    // SAFETY: no pointers.
    maps(&cmd.uid_maps, unsafe { libc::geteuid() }, cmd.identity.ids.map(|[uid, _]| uid))
}

pub fn gids(cmd: &Cmd) -> Vec<Map> {
    // SAFETY: no pointers.
    maps(&cmd.gid_maps, unsafe { libc::getegid() }, cmd.identity.ids.map(|[_, gid]| gid))
}

/// The id that `outside` is inside.
pub fn inside(maps: &[Map], outside: u32) -> Option<u32> {
    maps.iter().find_map(|map| outside.checked_sub(map.outside).filter(|rest| *rest < map.count).map(|rest| map.inside + rest))
}

/// The id that `inside` is outside.
pub fn outside(maps: &[Map], inside: u32) -> Option<u32> {
    maps.iter().find_map(|map| inside.checked_sub(map.inside).filter(|offset| *offset < map.count).map(|offset| map.outside + offset))
}

fn shown(maps: &[Map]) -> String {
    let mut text = String::new();
    for map in maps {
        list(&mut text, &format_args!("{} to {}", map.outside, map.inside));
        if map.count != 1 {
            let _ = write!(text, " ({})", map.count);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_constants() {
        for (ns, name) in ALL.iter().zip(NAMES.split(' ')) {
            assert_eq!(format!("{ns:?}").replace("SANDBOX_NS_", "").to_ascii_lowercase(), name);
            assert_eq!(names(*ns as u64), name);
        }
        assert_eq!(names(Ns::SANDBOX_NS_PID as u64 | Ns::SANDBOX_NS_USER as u64), "user, pid");
    }
}
