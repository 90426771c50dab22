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

use crate::fd;
use crate::notify::Notify;
use crate::notify::caller::{PROC_ROOT, is_procfs, link_at, name, open_at, status_at};
use nix::errno::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

const LONGEST: usize = libc::PATH_MAX as usize;
const MOST_LINKS: usize = 40; // MAXSYMLINKS
const MAY_SEARCH: u32 = 1;
const MAY_WRITE: u32 = 2;
const MAY_READ: u32 = 4;

/// What tells one place of the tree from another: device, inode, mount.
#[derive(Clone, Copy, PartialEq, Eq)]
struct About {
    device: (u32, u32),
    inode: u64,
    mount: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    is_procfs: bool,
}

impl About {
    fn is(&self, kind: libc::mode_t) -> bool {
        self.mode & libc::S_IFMT == kind
    }

    fn is_same_place(&self, other: &About) -> bool {
        (self.device, self.inode, self.mount) == (other.device, other.inode, other.mount)
    }
}

struct Node {
    fd: OwnedFd,
    about: About,
}

impl Node {
    fn of(fd: OwnedFd) -> Result<Node, Errno> {
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
            is_procfs: is_procfs(fd.as_fd())?,
        };
        Ok(Node { fd, about })
    }

    fn copy(&self) -> Result<Node, Errno> {
        Ok(Node { fd: fd::duplicate(self.fd.as_raw_fd(), 3)?, about: self.about })
    }
}

/// Where a path led to.
enum End {
    /// Where the walk stands: the path ended in "/", "." or "..".
    Here,
    /// An entry of where the walk stands.
    Entry(Vec<u8>, Node),
    /// No entry, but the place for one.
    Missing(Vec<u8>),
}

struct Walk<'a> {
    notify: &'a Notify,
    root: Node,
    here: Node,
    /// The names from the root to `here`, a '/' between them; `None` where the caller's root does not lead there.
    names: Option<Vec<u8>>,
    /// Our rights exceed the caller's.
    is_judge: bool,
    /// The path ended in '/': only a directory will do.
    wants_directory: bool,
}

impl<'a> Walk<'a> {
    fn new(notify: &'a Notify, dirfd: RawFd, path: &[u8]) -> Result<Self, Errno> {
        let root = Node::of(notify.caller_file("root", libc::O_PATH)?)?;
        if root.about.is_procfs && root.about.inode != PROC_ROOT {
            return Err(Errno::EACCES);
        }
        let here = root.copy()?;
        let is_judge = notify.is_above_the_caller()?;
        let mut walk = Walk { notify, root, here, names: Some(Vec::new()), is_judge, wants_directory: false };
        if path.first() != Some(&b'/') {
            walk.start(dirfd, path.is_empty())?;
        }
        Ok(walk)
    }

    /// Relative paths begin at the working directory, or at an fd.
    fn start(&mut self, dirfd: RawFd, may_be_file: bool) -> Result<(), Errno> {
        let start = match dirfd {
            libc::AT_FDCWD => self.notify.caller_file("cwd", libc::O_PATH),
            0.. => self.notify.caller_file(&format!("fd/{dirfd}"), libc::O_PATH).map_err(|errno| if errno == Errno::ENOENT { Errno::EBADF } else { errno }),
            _ => Err(Errno::EBADF),
        };
        let start = Node::of(start?)?;
        if !start.about.is(libc::S_IFDIR) && !may_be_file {
            return Err(Errno::ENOTDIR);
        }
        let names = self.names_of(&start)?;
        if start.about.is_procfs && start.about.inode != PROC_ROOT {
            // Another process's, perhaps: found again by name, under the rules for names.
            return self.again(&names.ok_or(Errno::EACCES)?);
        }
        (self.here, self.names) = (start, names);
        Ok(())
    }

    /// From the root to `start`, if it is there by the name that the kernel has for it.
    fn names_of(&self, start: &Node) -> Result<Option<Vec<u8>>, Errno> {
        let mut path = self.notify.path_of(start.fd.as_raw_fd())?;
        let root = self.notify.path_of(self.root.fd.as_raw_fd())?;
        let length = if root == b"/" { 0 } else { root.len() };
        if path.get(..length) != root.get(..length) || !matches!(path.get(length), None | Some(b'/')) {
            return Ok(None);
        }
        path.drain(..path.len().min(length + 1));
        let found = self.by_names(&path).is_ok_and(|found| found.about.is_same_place(&start.about));
        Ok(found.then_some(path))
    }

    /// The place that `names` lead to from the root: no links, nowhere above.
    fn by_names(&self, names: &[u8]) -> Result<Node, Errno> {
        if names.is_empty() {
            return self.root.copy();
        }
        let path = CString::new(names).map_err(|_| Errno::ENOENT)?;
        // SAFETY: all-zero is a valid value.
        let mut how = unsafe { std::mem::zeroed::<libc::open_how>() };
        how.flags = (libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC) as u64;
        how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_SYMLINKS;
        let root = self.root.fd.as_raw_fd();
        // SAFETY: a string and a struct of ours.
        Node::of(fd::owned(unsafe { libc::syscall(libc::SYS_openat2, root, path.as_ptr(), &raw const how, size_of_val(&how)) } as RawFd)?)
    }

    /// Walks `names` anew, judging each step. There is no ".." in them.
    fn again(&mut self, names: &[u8]) -> Result<(), Errno> {
        self.to_root()?;
        let mut at = 0;
        while let Some((from, to)) = next_name(names, at) {
            let name = names.get(from..to).unwrap_or_default();
            let node = self.entry(name)?;
            self.enter(name, node);
            at = to;
        }
        Ok(())
    }

    fn to_root(&mut self) -> Result<(), Errno> {
        self.here = self.root.copy()?;
        self.names = Some(Vec::new());
        Ok(())
    }

    fn enter(&mut self, name: &[u8], node: Node) {
        self.here = node;
        if let Some(names) = &mut self.names {
            add_name(names, name);
        }
    }

    /// "..": EXDEV where the caller's root does not lead here.
    fn up(&mut self) -> Result<(), Errno> {
        let mut names = self.names.take().ok_or(Errno::EXDEV)?;
        names.truncate(names.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
        let above = self.by_names(&names)?;
        if above.about.is_procfs && above.about.inode != PROC_ROOT {
            return self.again(&names);
        }
        (self.here, self.names) = (above, Some(names));
        Ok(())
    }

    /// One step down, no link followed.
    fn entry(&self, entry: &[u8]) -> Result<Node, Errno> {
        self.judge(&self.here, MAY_SEARCH)?;
        if entry.len() > 255 {
            return Err(Errno::ENAMETOOLONG);
        }
        let path = CString::new(entry).map_err(|_| Errno::ENOENT)?;
        let node = Node::of(open_at(self.here.fd.as_fd(), &path, libc::O_PATH | libc::O_NOFOLLOW)?)?;
        let is_in_root_of_proc = self.here.about.is_procfs && self.here.about.inode == PROC_ROOT;
        let is_process = entry.first().is_some_and(u8::is_ascii_digit);
        if is_in_root_of_proc && is_process && self.number_here(|status| &status.pids)?.to_string().as_bytes() != entry {
            return Err(Errno::EACCES);
        }
        // What the kernel shows there may depend on the rights of who opens it, not on mode bits (kcore, kallsyms).
        if is_in_root_of_proc && !is_process && self.is_judge && !node.about.is(libc::S_IFLNK) {
            return Err(Errno::EACCES);
        }
        // A piece of a procfs that is mounted elsewhere says nothing of whose it is.
        if node.about.is_procfs && !self.here.about.is_procfs && node.about.inode != PROC_ROOT {
            return Err(Errno::EACCES);
        }
        Ok(node)
    }

    /// The caller's number as the procfs whose root we stand in has it: the one under which that shows the same
    /// numbers further inwards.
    fn number_here(&self, which: fn(&super::caller::Status) -> &Vec<u32>) -> Result<u32, Errno> {
        let caller = self.notify.status()?;
        for (depth, pid) in caller.pids.iter().enumerate() {
            let seen = status_at(self.here.fd.as_fd(), &name(format!("{pid}/status"))?);
            if seen.is_ok_and(|seen| Some(seen.pids.as_slice()) == caller.pids.get(depth..)) {
                return which(caller).get(depth).copied().ok_or(Errno::ENOENT);
            }
        }
        Err(Errno::ENOENT)
    }

    fn link_text(&self, entry: &[u8], link: &Node) -> Result<Vec<u8>, Errno> {
        if !self.here.about.is_procfs {
            return link_at(link.fd.as_fd(), c"");
        }
        if self.here.about.inode != PROC_ROOT {
            return Err(Errno::ELOOP);
        }
        match entry {
            b"self" => Ok(self.number_here(|status| &status.pids)?.to_string().into_bytes()),
            b"thread-self" => {
                let (pid, tid) = (self.number_here(|status| &status.pids)?, self.number_here(|status| &status.tids)?);
                Ok(format!("{pid}/task/{tid}").into_bytes())
            }
            _ => link_at(link.fd.as_fd(), c""),
        }
    }

    fn walk(&mut self, path: &[u8], follow_last: bool) -> Result<End, Errno> {
        // What is still to be walked, from `at` on.
        let (mut todo, mut at) = (path.to_vec(), 0);
        let mut links = 0;
        self.wants_directory = is_directory(path);
        while let Some((from, to)) = next_name(&todo, at) {
            at = to;
            let entry = todo.get(from..to).unwrap_or_default();
            if !self.here.about.is(libc::S_IFDIR) {
                return Err(Errno::ENOTDIR);
            }
            if entry == b".." {
                self.judge(&self.here, MAY_SEARCH)?;
                self.up()?;
                continue;
            }
            let is_last = next_name(&todo, at).is_none();
            let node = match self.entry(entry) {
                Err(Errno::ENOENT) if is_last => return Ok(End::Missing(entry.to_vec())),
                node => node?,
            };
            if node.about.is(libc::S_IFLNK) && (!is_last || follow_last || self.wants_directory) {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::ELOOP);
                }
                let mut text = self.link_text(entry, &node)?;
                match text.first() {
                    None => return Err(Errno::ENOENT),
                    Some(b'/') => self.to_root()?,
                    Some(_) => {}
                }
                self.wants_directory |= is_last && is_directory(&text);
                text.push(b'/');
                text.extend_from_slice(todo.get(at..).unwrap_or_default());
                (todo, at) = (text, 0);
            } else if is_last {
                let is_fit = !self.wants_directory || node.about.is(libc::S_IFDIR);
                return if is_fit { Ok(End::Entry(entry.to_vec(), node)) } else { Err(Errno::ENOTDIR) };
            } else {
                self.enter(entry, node);
            }
        }
        Ok(End::Here)
    }

    /// Whether the caller itself might do so: mode, owner and groups, capabilities where they hold for us too. An
    /// access list is left to its owner: EACCES else.
    fn judge(&self, node: &Node, wanted: u32) -> Result<(), Errno> {
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

/// Where the next name of `path` lies, from `at` on. "." stays where it is, and is passed over.
fn next_name(path: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut from = at;
    while from < path.len() {
        let rest = path.get(from..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        if !matches!(rest.get(..length), Some(b"" | b".")) {
            return Some((from, from + length));
        }
        from += length + 1;
    }
    None
}

fn add_name(names: &mut Vec<u8>, name: &[u8]) {
    if !names.is_empty() {
        names.push(b'/');
    }
    names.extend_from_slice(name);
}

/// Whether only a directory can be what `path` names.
fn is_directory(path: &[u8]) -> bool {
    matches!(path.rsplit(|byte| *byte == b'/').next(), Some(b"" | b"." | b".."))
}

fn has_access_list(node: &Node) -> bool {
    let Ok(path) = name(format!("/proc/thread-self/fd/{}", node.fd.as_raw_fd())) else { return true };
    // SAFETY: strings; no buffer of 0 bytes.
    let size = unsafe { libc::getxattr(path.as_ptr(), c"system.posix_acl_access".as_ptr(), std::ptr::null_mut(), 0) };
    size >= 0 || !matches!(Errno::last(), Errno::ENODATA | Errno::EOPNOTSUPP)
}

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

impl Walk<'_> {
    fn reopen(&self, node: &Node, flags: i32, mode: u32) -> Result<OwnedFd, Errno> {
        let is_directory = node.about.is(libc::S_IFDIR);
        if flags & libc::O_DIRECTORY != 0 && !is_directory {
            return Err(Errno::ENOTDIR);
        }
        if flags & libc::O_PATH != 0 {
            return Ok(node.copy()?.fd);
        }
        if node.about.is(libc::S_IFLNK) {
            return Err(Errno::ELOOP);
        }
        if is_directory && flags & libc::O_CREAT != 0 {
            return Err(Errno::EISDIR);
        }
        let makes_file = flags & libc::O_TMPFILE == libc::O_TMPFILE;
        let reads = matches!(flags & libc::O_ACCMODE, libc::O_RDONLY | libc::O_RDWR) && !makes_file;
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || flags & libc::O_TRUNC != 0;
        if writes && node.about.is_procfs {
            return Err(Errno::EACCES);
        }
        let wanted = if reads { MAY_READ } else { 0 } | if writes { MAY_WRITE } else { 0 } | if makes_file { MAY_SEARCH } else { 0 };
        self.judge(node, wanted)?;
        if flags & libc::O_NOATIME != 0 && self.is_judge && self.notify.status()?.fsuid != node.about.uid {
            return Err(Errno::EPERM);
        }
        let opened = self.notify.reopen(node.fd.as_raw_fd(), flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW) | libc::O_NONBLOCK | libc::O_NOCTTY)?;
        if makes_file {
            self.own(&opened, node, mode)?;
        }
        as_asked(opened, flags)
    }

    /// The mode is set afterwards: the host's umask is not the caller's.
    fn create(&self, name: &[u8], flags: i32, mode: u32) -> Result<OwnedFd, Errno> {
        if self.here.about.is_procfs {
            return Err(Errno::EACCES);
        }
        self.judge(&self.here, MAY_WRITE | MAY_SEARCH)?;
        let name = CString::new(name).map_err(|_| Errno::ENOENT)?;
        let flags_now = flags & !libc::O_TRUNC | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
        let made = open_at(self.here.fd.as_fd(), &name, flags_now)?;
        self.own(&made, &self.here, mode).and_then(|()| as_asked(made, flags)).inspect_err(|_| {
            // SAFETY: a string.
            unsafe { libc::unlinkat(self.here.fd.as_raw_fd(), name.as_ptr(), 0) };
        })
    }

    /// Gives a new file to the caller.
    fn own(&self, made: &OwnedFd, directory: &Node, mode: u32) -> Result<(), Errno> {
        let caller = self.notify.status()?;
        let hands_group_down = directory.about.mode & libc::S_ISGID != 0;
        let gid = if hands_group_down { u32::MAX } else { caller.fsgid };
        let made = made.as_raw_fd();
        let mut mode = mode & 0o7777 & !caller.umask;
        if hands_group_down && self.is_judge && directory.about.gid != caller.fsgid && !caller.groups.contains(&directory.about.gid) {
            mode &= !libc::S_ISGID;
        }
        // SAFETY: an fd and numbers. The owner first: a change of owner takes set-id bits away.
        let failed = unsafe { self.is_judge && libc::fchown(made, caller.fsuid, gid) < 0 || libc::fchmod(made, mode) < 0 };
        if failed { Err(Errno::last()) } else { Ok(()) }
    }
}

/// It was opened so that it would not block; from here on that is the caller's choice.
fn as_asked(opened: OwnedFd, flags: i32) -> Result<OwnedFd, Errno> {
    if flags & libc::O_NONBLOCK != 0 {
        return Ok(opened);
    }
    // SAFETY: an fd and numbers.
    let failed = unsafe {
        let now = libc::fcntl(opened.as_raw_fd(), libc::F_GETFL);
        now < 0 || libc::fcntl(opened.as_raw_fd(), libc::F_SETFL, now & !libc::O_NONBLOCK) < 0
    };
    if failed { Err(Errno::last()) } else { Ok(opened) }
}
