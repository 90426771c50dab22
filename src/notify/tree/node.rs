//! One place of the tree: an fd that only names it, and what it was seen to be.

use crate::fd;
use crate::notify::caller::is_procfs;
use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// What tells one place of the tree from another: device, inode, mount.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct About {
    device: (u32, u32),
    pub inode: u64,
    mount: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Of a device: major and minor number.
    pub rdev: (u32, u32),
    pub is_procfs: bool,
}

impl About {
    pub fn is(&self, kind: libc::mode_t) -> bool {
        self.mode & libc::S_IFMT == kind
    }

    pub fn is_same_place(&self, other: &About) -> bool {
        (self.device, self.inode, self.mount) == (other.device, other.inode, other.mount)
    }
}

pub struct Node {
    pub fd: OwnedFd,
    pub about: About,
}

impl Node {
    pub fn of(fd: OwnedFd) -> Result<Node, Errno> {
        // SAFETY: all-zero is a valid value; statx fills it.
        let (told, about) = unsafe {
            let mut about = std::mem::zeroed::<libc::statx>();
            let wanted = libc::STATX_BASIC_STATS | libc::STATX_MNT_ID;
            // The raw call: older musl has no wrapper.
            (libc::syscall(libc::SYS_statx, fd.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, wanted, &raw mut about), about)
        };
        if told < 0 {
            return Err(Errno::last());
        }
        let about = About {
            device: (about.stx_dev_major, about.stx_dev_minor),
            inode: about.stx_ino,
            mount: about.stx_mnt_id,
            mode: about.stx_mode.into(),
            uid: about.stx_uid,
            gid: about.stx_gid,
            rdev: (about.stx_rdev_major, about.stx_rdev_minor),
            is_procfs: is_procfs(fd.as_fd())?,
        };
        Ok(Node { fd, about })
    }

    pub fn copy(&self) -> Result<Node, Errno> {
        Ok(Node { fd: fd::duplicate(self.fd.as_raw_fd(), 3)?, about: self.about })
    }
}
