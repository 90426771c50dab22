//! What this process is, as far as it decides how a child is made.

use crate::confine::identity;
use std::ptr;

/// Who the calling thread is. What another has set up is not its own to use.
#[derive(PartialEq, Eq)]
pub struct Host {
    ids: [u32; 6],
    capabilities: [u64; 2],
    groups: Vec<u32>,
}

impl Host {
    pub fn now() -> Host {
        Host { ids: identity::of_host(), capabilities: capabilities(), groups: groups() }
    }
}

fn groups() -> Vec<u32> {
    // SAFETY: asks for their number alone.
    let count = unsafe { libc::getgroups(0, ptr::null_mut()) };
    let mut groups = vec![0; usize::try_from(count).unwrap_or(0)];
    // SAFETY: room for as many; where there have come to be more, it fails and fills in none.
    unsafe { libc::getgroups(count, groups.as_mut_ptr()) };
    groups
}

/// Effective and permitted, of the calling thread. A sandbox around the host may refuse to tell: then there are none to
/// count on.
pub fn capabilities() -> [u64; 2] {
    // _LINUX_CAPABILITY_VERSION_3, and this thread.
    let header = [0x2008_0522u32, 0];
    // Effective, permitted, inheritable: the lower halves, then the upper ones.
    let mut sets = [0u32; 6];
    // SAFETY: the header and two structs of three numbers, ours.
    unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) };
    let [low, low_permitted, _, high, high_permitted, _] = sets.map(u64::from);
    [low | high << 32, low_permitted | high_permitted << 32]
}

pub fn is_dumpable() -> bool {
    // SAFETY: no pointers.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == 1 }
}

/// Whether /proc has its files as this user's own. Not dumpable, they are the root's of the user namespace that this program
/// was started in, which it may have left since for one of its own making.
pub fn owns_its_files() -> bool {
    // SAFETY: no pointers.
    nix::sys::stat::stat(c"/proc/self/uid_map").is_ok_and(|stat| stat.st_uid == unsafe { libc::geteuid() })
}

pub fn set_dumpable(is_on: bool) {
    // SAFETY: no pointers.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(is_on), 0, 0, 0) };
}
