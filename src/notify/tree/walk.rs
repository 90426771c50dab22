//! The walk: from the caller's root or one of its directories, name by name. Each step is judged, each link read and
//! followed here, and ".." goes back by name.

use crate::fd;
use crate::notify::Notify;
use crate::notify::caller::{PROC_ROOT, Status, link_at, name, open_at, status_at};
use crate::notify::tree::judge::MAY_SEARCH;
use crate::notify::tree::node::Node;
use nix::errno::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, RawFd};

pub(super) const MOST_LINKS: usize = 40; // MAXSYMLINKS

/// Where a path led to.
pub enum End {
    /// Where the walk stands: the path ended in "/", "." or "..".
    Here,
    /// An entry of where the walk stands.
    Entry(Vec<u8>, Node),
    /// No entry, but the place for one.
    Missing(Vec<u8>),
}

pub struct Walk<'a> {
    pub notify: &'a Notify,
    root: Node,
    pub here: Node,
    /// The names from the root to `here`, a '/' between them; `None` where the caller's root does not lead there.
    pub names: Option<Vec<u8>>,
    /// Our rights exceed the caller's.
    pub is_judge: bool,
    /// The path ended in '/': only a directory will do.
    pub wants_directory: bool,
}

impl<'a> Walk<'a> {
    pub fn new(notify: &'a Notify, dirfd: RawFd, path: &[u8]) -> Result<Self, Errno> {
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
    fn number_here(&self, which: fn(&Status) -> &Vec<u32>) -> Result<u32, Errno> {
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

    pub fn walk(&mut self, path: &[u8], follow_last: bool) -> Result<End, Errno> {
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

pub fn add_name(names: &mut Vec<u8>, name: &[u8]) {
    if !names.is_empty() {
        names.push(b'/');
    }
    names.extend_from_slice(name);
}

/// Whether only a directory can be what `path` names.
fn is_directory(path: &[u8]) -> bool {
    matches!(path.rsplit(|byte| *byte == b'/').next(), Some(b"" | b"." | b".."))
}
