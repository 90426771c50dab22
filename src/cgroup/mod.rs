//! The host's side of cgroup v2: a fresh leaf for each spawn, held by a lock as long as its handle lives, its files,
//! its end. `find` looks for the parent, `sweep` removes what hosts that died left there.
//!
//! All goes by directory fds: nothing depends on where the hierarchy is mounted, nor on its path staying what it was.

mod find;
mod sweep;

pub use find::{Parent, found};

use crate::error::{Error, Result, Stage};
use crate::fd;
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::fmt::{self, Display, Formatter};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// One file of a leaf and what is written into it.
#[derive(Clone, Debug)]
pub struct Setting {
    pub file: CString,
    pub value: CString,
    /// Which of the caller's.
    pub index: usize,
}

impl Display for Setting {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        // The setter let no other bytes in.
        write!(to, "{} {}", self.file.to_str().unwrap_or("?"), crate::error::quoted(&self.value))
    }
}

/// What a plan knows of its children's cgroups.
#[derive(Clone, Debug)]
pub struct Home {
    pub parent: Arc<Parent>,
    /// Written before there is a child.
    pub early: Vec<Setting>,
    /// Written once it has left its host's memory: an out-of-memory kill takes everything that shares that.
    pub late: Vec<Setting>,
    /// What outlives a host that died is to be killed.
    pub dies_with_host: bool,
    /// Its parent, or what is above that, can run out of memory, by others' doing: the child comes in once it has left
    /// its host's.
    pub is_entered_late: bool,
}

/// A leaf of ours. Dropped, it is killed and removed.
pub struct Leaf {
    parent: Arc<Parent>,
    name: CString,
    /// Open, and locked (flock) as long as somebody answers for the leaf.
    dir: OwnedFd,
    end: End,
}

/// What dropping a leaf does.
#[derive(PartialEq)]
enum End {
    Remove,
    Leave,
    Nothing,
}

/// What its end tells.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    pub user_us: u64,
    pub system_us: u64,
    pub peak_memory: u64,
    pub pids_peak: u64,
    pub oom_kills: u64,
}

/// How long a killed group may take to become empty before its leaf is left to the next sweep.
const PATIENCE: Duration = Duration::from_secs(5);

/// On a leaf whose processes are to be killed when nobody holds its lock any more.
const MARK: &CStr = c"user.sandbox-spawn";

pub fn failed(index: usize, errno: Errno, what: impl std::fmt::Display) -> Error {
    Error::new(Stage::SANDBOX_STAGE_CGROUP, index, errno as i32, what)
}

impl Home {
    /// A fresh leaf with the settings that can't kill.
    pub fn leaf(&self) -> Result<Leaf> {
        self.parent.prepare();
        let leaf = Leaf::make(&self.parent, self.dies_with_host)?;
        self.early.iter().try_for_each(|setting| leaf.set(setting))?;
        Ok(leaf)
    }
}

fn open(at: RawFd, name: &CStr, flags: i32) -> nix::Result<OwnedFd> {
    // SAFETY: a string of ours.
    fd::owned(unsafe { libc::openat(at, name.as_ptr(), flags | libc::O_CLOEXEC) })
}

pub fn open_dir(at: RawFd, name: &CStr) -> nix::Result<OwnedFd> {
    open(at, name, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW)
}

/// With the effective ids, as the kernel will look.
fn access(at: RawFd, name: &CStr, mode: i32) -> nix::Result<()> {
    // SAFETY: a string of ours.
    Errno::result(unsafe { libc::faccessat(at, name.as_ptr(), mode, libc::AT_EACCESS) }).map(|_| ())
}

/// At most a page, as every file of a cgroup is written: in one go.
fn write(at: RawFd, name: &CStr, bytes: &[u8]) -> nix::Result<()> {
    let file = open(at, name, libc::O_WRONLY)?;
    // SAFETY: bytes of ours.
    Errno::result(unsafe { libc::write(file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) }).map(|_| ())
}

fn read(at: RawFd, name: &CStr) -> nix::Result<String> {
    let file = open(at, name, libc::O_RDONLY)?;
    read_again(file.as_raw_fd())
}

fn read_again(file: RawFd) -> nix::Result<String> {
    let mut bytes = vec![0u8; 8192];
    // SAFETY: a buffer of ours.
    let length = unsafe { libc::pread(file, bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    bytes.truncate(usize::try_from(length).map_err(|_| Errno::last())?);
    String::from_utf8(bytes).map_err(|_| Errno::EILSEQ)
}

/// The number behind `key` in lines of "key number".
fn number(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

fn rmdir(at: RawFd, name: &CStr) -> nix::Result<()> {
    // SAFETY: a string of ours.
    Errno::result(unsafe { libc::unlinkat(at, name.as_ptr(), libc::AT_REMOVEDIR) }).map(|_| ())
}

fn lock(dir: RawFd) -> bool {
    // SAFETY: no pointers.
    unsafe { libc::flock(dir, libc::LOCK_EX | libc::LOCK_NB) == 0 }
}

/// The directories in `dir`.
pub fn dirs(dir: RawFd) -> Vec<CString> {
    let Ok(copy) = open_dir(dir, c".") else { return Vec::new() };
    let mut found = Vec::new();
    // SAFETY: fdopendir takes the fd; each entry is looked at before the next is asked for.
    unsafe {
        let number = std::os::fd::IntoRawFd::into_raw_fd(copy);
        let list = libc::fdopendir(number);
        if list.is_null() {
            libc::close(number);
            return found;
        }
        while let Some(entry) = libc::readdir(list).as_ref() {
            let name = CStr::from_ptr(entry.d_name.as_ptr());
            if entry.d_type == libc::DT_DIR && name != c"." && name != c".." {
                found.push(name.to_owned());
            }
        }
        libc::closedir(list);
    }
    found
}

/// A directory below `dir`; a hostile program that sees its own cgroup may make some.
fn child_of(dir: RawFd) -> Option<CString> {
    dirs(dir).into_iter().next()
}

impl Leaf {
    fn make(parent: &Arc<Parent>, dies_with_host: bool) -> Result<Leaf> {
        let mut last = Errno::EAGAIN;
        // A name that is taken, or whose directory a sweep had before we did, is not tried again.
        for _ in 0..16 {
            let name = parent.fresh_name();
            // SAFETY: a string of ours.
            if unsafe { libc::mkdirat(parent.fd(), name.as_ptr(), 0o755) } < 0 {
                last = Errno::last();
                if last == Errno::EEXIST {
                    continue;
                }
                return Err(failed(0, last, format_args!("a leaf below {}", parent.path())).hint(match last {
                    Errno::EACCES | Errno::EPERM => "it must be this user's to write in: delegated",
                    Errno::EROFS => "the hierarchy is mounted read-only, as containers have it",
                    Errno::EAGAIN => "cgroup.max.descendants or cgroup.max.depth is reached",
                    Errno::ENOENT | Errno::ENODEV => "it has been removed",
                    _ => "",
                }));
            }
            match open_dir(parent.fd(), &name) {
                // Between mkdir and lock a sweep may have come: it removes only what it could lock.
                Ok(dir) if lock(dir.as_raw_fd()) && access(dir.as_raw_fd(), c"cgroup.procs", libc::F_OK).is_ok() => {
                    let leaf = Leaf { parent: parent.clone(), name, dir, end: End::Remove };
                    if dies_with_host {
                        leaf.mark();
                    }
                    return Ok(leaf);
                }
                Ok(_) | Err(Errno::ENOENT) => {}
                Err(errno) => {
                    let _ = rmdir(parent.fd(), &name);
                    return Err(failed(0, errno, format_args!("the leaf {}/{}", parent.path(), name.to_string_lossy())));
                }
            }
        }
        Err(failed(0, last, format_args!("a leaf below {}", parent.path())))
    }

    pub fn fd(&self) -> RawFd {
        self.dir.as_raw_fd()
    }

    /// At another number, chosen by `place`.
    pub fn place(&mut self, place: impl FnOnce(OwnedFd) -> OwnedFd) {
        if let Ok(copy) = fd::duplicate(self.fd(), 3) {
            self.dir = place(copy);
        }
    }

    /// Another opening of the directory: the lock stays ours alone.
    pub fn reopen(&self) -> nix::Result<OwnedFd> {
        open_dir(self.fd(), c".")
    }

    /// Before Linux 5.7 there are no such marks: there a sweep removes what is empty, and kills nothing.
    fn mark(&self) {
        // SAFETY: strings of ours.
        unsafe { libc::fsetxattr(self.fd(), MARK.as_ptr(), c"1".as_ptr().cast(), 1, 0) };
    }

    fn is_marked(&self) -> bool {
        // SAFETY: a size of 0 asks for the length alone.
        unsafe { libc::fgetxattr(self.fd(), MARK.as_ptr(), std::ptr::null_mut(), 0) >= 0 }
    }

    /// Writes one file; where it is missing, for want of its controller, that is enabled first.
    pub fn set(&self, setting: &Setting) -> Result<()> {
        let mut bytes = setting.value.to_bytes().to_vec();
        bytes.push(b'\n');
        match write(self.fd(), &setting.file, &bytes) {
            Ok(()) => return Ok(()),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(failed(setting.index, errno, setting)),
        }
        self.parent.enable(controller(&setting.file)).map_err(|(errno, hint)| failed(setting.index, errno, setting).hint(&hint))?;
        write(self.fd(), &setting.file, &bytes).map_err(|errno| {
            let hint = if errno == Errno::ENOENT { "this kernel has no such file" } else { "" };
            failed(setting.index, errno, setting).hint(hint)
        })
    }

    /// Moves a child in that is not yet reaped, so that its number is its own.
    pub fn enter(&self, pid: libc::pid_t) -> Result<()> {
        write(self.fd(), c"cgroup.procs", pid.to_string().as_bytes()).map_err(|errno| {
            failed(0, errno, format_args!("the child's move into a leaf below {}", self.parent.path())).hint(match errno {
                Errno::EACCES | Errno::EPERM => "cgroup.procs of what is above both this process and the leaf must be this user's to write",
                Errno::EBUSY | Errno::EOPNOTSUPP => "the parent is threaded, or not a domain",
                _ => "",
            })
        })
    }

    pub fn usage(&self) -> Usage {
        let read = |name| read(self.fd(), name).unwrap_or_default();
        let single = |name| read(name).trim().parse().unwrap_or(0);
        let times = read(c"cpu.stat");
        Usage {
            user_us: number(&times, "user_usec"),
            system_us: number(&times, "system_usec"),
            peak_memory: single(c"memory.peak"),
            pids_peak: single(c"pids.peak"),
            oom_kills: self.oom_kills(),
        }
    }

    pub fn oom_kills(&self) -> u64 {
        number(&read(self.fd(), c"memory.events").unwrap_or_default(), "oom_kill")
    }

    /// Stops or resumes everything in it, and waits until that is so.
    pub fn freeze(&self, is_on: bool, deadline: Instant) -> nix::Result<()> {
        let state = if is_on { 1 } else { 0 };
        write(self.fd(), c"cgroup.freeze", if is_on { b"1" } else { b"0" })?;
        if self.wait_for("frozen", state, deadline)? { Ok(()) } else { Err(Errno::ETIMEDOUT) }
    }

    /// Waits for "key state" in cgroup.events; false at the deadline.
    fn wait_for(&self, key: &str, state: u64, deadline: Instant) -> nix::Result<bool> {
        let events = open(self.fd(), c"cgroup.events", libc::O_RDONLY)?;
        loop {
            if number(&read_again(events.as_raw_fd())?, key) == state {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            // The kernel tells of changes up to 10 ms late: looked for in between too.
            let slice = left.as_millis().clamp(1, 5);
            let mut poll = libc::pollfd { fd: events.as_raw_fd(), events: libc::POLLPRI, revents: 0 };
            // SAFETY: one pollfd of ours.
            unsafe { libc::poll(&raw mut poll, 1, i32::try_from(slice).unwrap_or(5)) };
        }
    }

    /// SIGKILL to everything in it, whatever forks meanwhile.
    pub fn kill(&self) -> nix::Result<()> {
        match write(self.fd(), c"cgroup.kill", b"1") {
            Err(Errno::ENOENT) => self.kill_each(),
            result => result,
        }
    }

    /// Before Linux 5.14: frozen, nothing forks or ends while each is signalled; until none is left.
    fn kill_each(&self) -> nix::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let _ = write(self.fd(), c"cgroup.freeze", b"1");
        while number(&read(self.fd(), c"cgroup.events")?, "populated") != 0 {
            signal_members(self.reopen()?);
            if self.wait_for("populated", 0, (Instant::now() + Duration::from_millis(20)).min(deadline))? {
                break;
            }
            if Instant::now() >= deadline {
                return Err(Errno::ETIMEDOUT);
            }
        }
        let _ = write(self.fd(), c"cgroup.freeze", b"0");
        Ok(())
    }

    /// Kills what is left in it and removes it; false where that took too long.
    fn remove(&self, deadline: Instant) -> bool {
        loop {
            match rmdir(self.parent.fd(), &self.name) {
                Err(Errno::EBUSY) => {}
                Ok(()) | Err(Errno::ENOENT) => return true,
                Err(_) => return false,
            }
            let _ = self.kill();
            if self.wait_for("populated", 0, deadline).is_ok_and(|is_empty| !is_empty) || Instant::now() >= deadline {
                return false;
            }
            if !remove_deepest(self.reopen()) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Lets it be: what is in it lives on. A sweep removes it once it is empty.
    pub fn leave(mut self) {
        self.end = End::Leave;
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        if self.end == End::Remove {
            if !self.remove(Instant::now() + PATIENCE) {
                sweep::HAS_LEFT.store(true, Relaxed);
            }
        } else if self.end == End::Leave && rmdir(self.parent.fd(), &self.name).is_err() {
            sweep::HAS_LEFT.store(true, Relaxed);
            // SAFETY: a string of ours.
            let gone = unsafe { libc::fremovexattr(self.fd(), MARK.as_ptr()) };
            if gone < 0 && self.is_marked() {
                std::mem::forget(fd::duplicate(self.fd(), 3)); // nobody may take it for a dead host's
            }
        }
    }
}

/// "memory" of "memory.max"; none where the file is of every cgroup.
pub fn controller(file: &CStr) -> &str {
    let name = file.to_str().unwrap_or("");
    name.split_once('.').map_or(name, |(controller, _)| controller)
}

/// Removes a cgroup below `dir` that has none below it; false where there is none.
fn remove_deepest(dir: nix::Result<OwnedFd>) -> bool {
    let Ok(mut dir) = dir else { return false };
    let Some(mut name) = child_of(dir.as_raw_fd()) else { return false };
    while let Ok(inner) = open_dir(dir.as_raw_fd(), &name)
        && let Some(next) = child_of(inner.as_raw_fd())
    {
        (dir, name) = (inner, next);
    }
    rmdir(dir.as_raw_fd(), &name).is_ok()
}

/// SIGKILL by pidfd to each process of `dir` and of what is below. A number is read, opened, and read again: what then
/// still stands there is what was opened.
fn signal_members(dir: OwnedFd) {
    let mut todo = vec![dir];
    while let Some(dir) = todo.pop() {
        let listed = || read(dir.as_raw_fd(), c"cgroup.procs").unwrap_or_default();
        // SAFETY: no pointers.
        let opened = |pid: libc::pid_t| fd::owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as RawFd).ok();
        let pids = listed();
        let pidfds: Vec<_> = pids.lines().filter_map(|pid| Some((pid, opened(pid.parse().ok()?)?))).collect();
        let pids = listed();
        for (_, pidfd) in pidfds.iter().filter(|(pid, _)| pids.lines().any(|line| line == *pid)) {
            // SAFETY: no pointers but NULL.
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, std::ptr::null::<u8>(), 0) };
        }
        todo.extend(dirs(dir.as_raw_fd()).iter().filter_map(|name| open_dir(dir.as_raw_fd(), name).ok()));
    }
}
