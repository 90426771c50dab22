//! User, group and supplementary groups: changed together, and read back. A change of the kernel's ids makes the memory
//! non-dumpable: it happens in memory of the child's own, unless the ids are certain to be what they are.

use crate::cmd::Cmd;
use crate::confine::namespace::{self, Ns};
use crate::error::{Error, Result, Stage};
use crate::plan::Builder;
use sandbox_child::plan::{Code, identity};

const STAGE: Stage = Stage::SANDBOX_STAGE_IDENTITY;
/// NGROUPS_MAX.
const MOST_GROUPS: usize = 65536;

/// What the caller asked for, as seen inside.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// User and group.
    pub ids: Option<[u32; 2]>,
    pub groups: Option<Vec<u32>>,
}

impl Cmd {
    pub fn user(&mut self, uid: u32, gid: u32) -> Result<()> {
        if uid == u32::MAX || gid == u32::MAX {
            return Err(Error::new(STAGE, 0, libc::EINVAL, format_args!("user {uid}, group {gid}: the last number is no id")));
        }
        self.identity.ids = Some([uid, gid]);
        Ok(())
    }

    pub fn groups(&mut self, groups: &[u32]) -> Result<()> {
        if groups.len() > MOST_GROUPS || groups.contains(&u32::MAX) {
            return Err(Error::new(STAGE, 0, libc::EINVAL, format_args!("{} groups: the most is {MOST_GROUPS}, and the last number is no id", groups.len())));
        }
        self.identity.groups = Some(groups.to_vec());
        Ok(())
    }
}

/// Real, effective and saved, user and group: of the calling thread, now.
pub fn of_host() -> [u32; 6] {
    let mut ids = [0; 6];
    let [r, e, s, rg, eg, sg] = &mut ids;
    // SAFETY: six numbers of ours to fill.
    unsafe {
        libc::getresuid(r, e, s);
        libc::getresgid(rg, eg, sg);
    }
    ids
}

/// The user and group that the program is to be. A user namespace whose maps are given without the caller's own ids has no
/// place for it: the program is the first that they name then, and not outside what it was never mapped to.
pub fn ids(cmd: &Cmd) -> Option<[u32; 2]> {
    if cmd.identity.ids.is_some() || !cmd.has(Ns::SANDBOX_NS_USER) || cmd.on_maps.is_some() || namespace::nests(cmd) {
        return cmd.identity.ids;
    }
    let [_, uid, _, _, gid, _] = of_host();
    let (uids, gids) = (namespace::uids(cmd), namespace::gids(cmd));
    let own = [namespace::inside(&uids, uid), namespace::inside(&gids, gid)];
    if own.iter().all(Option::is_some) {
        return None;
    }
    let first = |maps: &[namespace::Map]| maps.first().map_or(0, |map| map.inside);
    let [uid, gid] = own;
    Some([uid.unwrap_or_else(|| first(&uids)), gid.unwrap_or_else(|| first(&gids))])
}

/// Who the program's user is outside of its user namespace, where that can be known.
pub fn uid_outside(cmd: &Cmd) -> Option<u32> {
    match ids(cmd) {
        None => Some(of_host()[0]),
        Some([uid, _]) if cmd.has(Ns::SANDBOX_NS_USER) => namespace::outside(&namespace::uids(cmd), uid),
        Some([uid, _]) => Some(uid),
    }
}

/// Whether who the host is decides what the child does.
pub fn depends_on_host(cmd: &Cmd) -> bool {
    cmd.identity.ids.is_some() || cmd.has(Ns::SANDBOX_NS_USER) && !(cmd.uid_maps.is_empty() && cmd.gid_maps.is_empty())
}

/// Whether the kernel's ids must change. Decided for the host's ids as they are now: a host of others compiles anew.
pub fn changes(cmd: &Cmd) -> bool {
    let Some([uid, gid]) = ids(cmd) else { return false };
    let [ruid, euid, suid, rgid, egid, sgid] = of_host();
    let (outside_uid, outside_gid) = match cmd.has(Ns::SANDBOX_NS_USER) {
        true => (namespace::outside(&namespace::uids(cmd), uid), namespace::outside(&namespace::gids(cmd), gid)),
        false => (Some(uid), Some(gid)),
    };
    [ruid, euid, suid].iter().any(|id| outside_uid != Some(*id)) || [rgid, egid, sgid].iter().any(|id| outside_gid != Some(*id))
        || !cmd.joined.is_empty()
}

pub fn change(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let (ids, groups) = (ids(cmd), &cmd.identity.groups);
    if ids.is_none() && groups.is_none() {
        return Ok(());
    }
    let changes = changes(cmd);
    let [uid, gid] = ids.unwrap_or_default();
    let mut flags = identity::GROUPS;
    if ids.is_some() {
        flags |= identity::IDS;
    }
    if !changes {
        flags |= identity::VERIFY_ONLY;
    }
    // None were asked for, and none may be set: those of a host that keeps its own ids, or in a user namespace.
    if groups.is_none() && (!changes || cmd.has(Ns::SANDBOX_NS_USER) || cmd.joined.has(Ns::SANDBOX_NS_USER)) {
        flags |= identity::GROUPS_MAY_STAY;
    }
    let list = groups.as_deref().unwrap_or_default();
    let numbers: Vec<u32> = [uid, gid].iter().chain(list).copied().chain(list.iter().map(|_| 0)).collect();
    let at = plan.numbers(&numbers);
    let mut text = format!("{} supplementary groups", list.len());
    if ids.is_some() {
        text = format!("user {uid}, group {gid}, {text}{}", if changes { "" } else { "; the ids are these already" });
    }
    plan.op(STAGE, 0, Code::Identity, [at.into(), list.len() as u64, flags], text);
    Ok(())
}

/// What a refused change's message adds.
pub fn hint(errno: i32) -> &'static str {
    match errno {
        libc::EPERM => "it needs CAP_SETUID and CAP_SETGID; in a user namespace that an ordinary user maps, setgroups is denied",
        libc::EINVAL => "an id that the user namespace does not map",
        _ => "",
    }
}
