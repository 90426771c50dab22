//! The caller's paths: resolved below its root, name by name, as the kernel would for it, and opened.
//!
//! What could fool a supervisor, and what is done against it:
//! - links: each is read and followed here, from the caller's root; the kernel is never asked to follow one;
//! - "..": goes back by name from the root (openat2, RESOLVE_IN_ROOT): a directory moved meanwhile leads nowhere else;
//! - /proc/self, which would be ours: the caller's own is meant. Of any procfs only what belongs to the caller is
//!   reached, or to no process if our rights are no more than its, for reading alone; links that the kernel jumps by
//!   (fd, exe, root) are refused with ELOOP;
//! - our rights: where they are more than the caller's, owner, group and mode are judged here;
//! - FIFOs and leases, which would hold the supervisor up: nothing is opened so that it blocks.
//!
//! What a supervisor asks for is here; `walk` finds the place of a path, `judge` weighs rights, `open` opens or makes.

mod judge;
mod node;
mod open;
mod walk;

use crate::notify::Notify;
use judge::{MAY_SEARCH, MAY_WRITE};
use nix::errno::Errno;
use std::os::fd::{OwnedFd, RawFd};
use walk::{End, MOST_LINKS, Walk, add_name};

const LONGEST: usize = libc::PATH_MAX as usize;

/// What a supervisor may ask of a path: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH.
fn is_known(flags: i32) -> bool {
    flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) == 0
}

/// What openat looks at, and a supervisor can act on.
const OPEN_FLAGS: i32 = libc::O_ACCMODE | libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC | libc::O_APPEND | libc::O_NONBLOCK
    | libc::O_SYNC | libc::O_DIRECT | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_NOATIME | libc::O_PATH | libc::O_TMPFILE;

impl Notify {
    fn path_at(&self, address: u64) -> Result<Vec<u8>, Errno> {
        let mut path = vec![0; LONGEST];
        let length = self.string(address, &mut path)?;
        path.truncate(length);
        Ok(path)
    }

    fn walked(&self, dirfd: RawFd, path: &[u8], follow: bool, may_be_empty: bool) -> Result<(Walk<'_>, End), Errno> {
        if path.is_empty() && !may_be_empty {
            return Err(Errno::ENOENT);
        }
        let mut walk = Walk::new(self, dirfd, path)?;
        let end = walk.walk(path, follow)?;
        self.check()?;
        Ok((walk, end))
    }

    /// The path from the caller's root, without links, "." or "..": of what is there, or of the place for it.
    pub fn path(&self, dirfd: RawFd, address: u64, flags: i32) -> Result<Vec<u8>, Errno> {
        if !is_known(flags) {
            return Err(Errno::EINVAL);
        }
        let path = self.path_at(address)?;
        let (walk, end) = self.walked(dirfd, &path, flags & libc::AT_SYMLINK_NOFOLLOW == 0, flags & libc::AT_EMPTY_PATH != 0)?;
        let mut names = walk.names.ok_or(Errno::EXDEV)?;
        if let End::Entry(name, _) | End::Missing(name) = end {
            add_name(&mut names, &name);
        }
        names.insert(0, b'/');
        Ok(names)
    }

    /// The directory that holds what the path names, and the name there, never followed.
    pub fn parent(&self, dirfd: RawFd, address: u64) -> Result<(OwnedFd, Vec<u8>), Errno> {
        let path = self.path_at(address)?;
        // The last '/' only says that a directory is meant: it must not make the kernel's mkdir follow a link.
        let kept = path.iter().rposition(|byte| *byte != b'/').map_or(path.len(), |last| last + 1);
        let path = path.get(..kept).unwrap_or_default();
        if matches!(path.rsplit(|byte| *byte == b'/').next(), Some(b"." | b"..")) {
            return Err(Errno::EINVAL);
        }
        let (walk, end) = self.walked(dirfd, path, false, false)?;
        walk.judge(&walk.here, MAY_WRITE | MAY_SEARCH)?;
        match end {
            End::Here => Err(Errno::EINVAL),
            End::Entry(..) | End::Missing(_) if walk.here.about.is_procfs => Err(Errno::EACCES),
            End::Entry(name, _) | End::Missing(name) => Ok((walk.here.fd, name)),
        }
    }

    /// What openat with these arguments would open for the caller.
    pub fn open(&self, dirfd: RawFd, address: u64, flags: i32, mode: u32) -> Result<OwnedFd, Errno> {
        let path = self.path_at(address)?;
        let mut flags = flags & OPEN_FLAGS;
        if flags & libc::O_PATH != 0 {
            flags &= libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
        }
        for _ in 0..MOST_LINKS {
            match self.open_once(dirfd, &path, flags, mode) {
                // Made or removed by another in between: seen anew.
                Err(Errno::EEXIST) if flags & libc::O_EXCL == 0 => {}
                opened => return opened,
            }
        }
        Err(Errno::EAGAIN)
    }

    fn open_once(&self, dirfd: RawFd, path: &[u8], flags: i32, mode: u32) -> Result<OwnedFd, Errno> {
        let creates = flags & libc::O_CREAT != 0;
        let is_exclusive = creates && flags & libc::O_EXCL != 0;
        let follow = flags & libc::O_NOFOLLOW == 0 && !is_exclusive;
        let (walk, end) = self.walked(dirfd, path, follow, false)?;
        match &end {
            End::Missing(_) if creates && walk.wants_directory => Err(Errno::EISDIR),
            End::Missing(name) if creates => walk.create(name, flags, mode),
            End::Missing(_) => Err(Errno::ENOENT),
            End::Here | End::Entry(..) if is_exclusive => Err(Errno::EEXIST),
            End::Here if creates => Err(Errno::EISDIR),
            End::Here => walk.reopen(&walk.here, flags, mode),
            End::Entry(_, node) => walk.reopen(node, flags, mode),
        }
    }
}
