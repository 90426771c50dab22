//! What the caller might do itself, where our rights are more than its own.

use crate::notify::caller::name;
use crate::notify::tree::node::{About, Node};
use crate::notify::tree::walk::Walk;
use nix::errno::Errno;
use std::os::fd::AsRawFd;

pub(super) const MAY_SEARCH: u32 = 1;
pub(super) const MAY_WRITE: u32 = 2;
pub(super) const MAY_READ: u32 = 4;

impl Walk<'_> {
    /// Whether the caller itself might do so: mode, owner and groups, capabilities where they hold for us too. An
    /// access list is left to its owner: EACCES else.
    pub fn judge(&self, node: &Node, wanted: u32) -> Result<(), Errno> {
        if !self.is_judge {
            return Ok(());
        }
        let (caller, about) = (self.notify.status()?, &node.about);
        let group = caller.fsgid == about.gid || caller.groups.contains(&about.gid);
        let granted = match (caller.fsuid == about.uid, group) {
            (true, _) => about.mode >> 6,
            (false, true) => about.mode >> 3,
            (false, false) => about.mode,
        };
        let by_mode = granted & wanted == wanted && (caller.fsuid == about.uid || !has_access_list(node));
        if by_mode || self.is_overridden(about, wanted)? { Ok(()) } else { Err(Errno::EACCES) }
    }

    fn is_overridden(&self, about: &About, wanted: u32) -> Result<bool, Errno> {
        const DAC_OVERRIDE: u64 = 1 << 1;
        const DAC_READ_SEARCH: u64 = 1 << 2;
        let caps = self.notify.status()?.caps;
        let is_read_only = wanted & MAY_WRITE == 0 && (about.is(libc::S_IFDIR) || wanted == MAY_READ);
        let is_covered = caps & DAC_OVERRIDE != 0 || caps & DAC_READ_SEARCH != 0 && is_read_only;
        Ok(is_covered && self.notify.is_in_our_user_namespace()?)
    }
}

fn has_access_list(node: &Node) -> bool {
    let Ok(path) = name(format!("/proc/thread-self/fd/{}", node.fd.as_raw_fd())) else { return true };
    // SAFETY: strings; no buffer of 0 bytes.
    let size = unsafe { libc::getxattr(path.as_ptr(), c"system.posix_acl_access".as_ptr(), std::ptr::null_mut(), 0) };
    size >= 0 || !matches!(Errno::last(), Errno::ENODATA | Errno::EOPNOTSUPP)
}
