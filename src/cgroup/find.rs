//! The parent of the leaves: the caller's, the environment's, or the nearest to this process's own cgroup that is this
//! user's to make a leaf in.

use super::{access, Errno, Error, Result, failed, open, open_dir, read, sweep, write};
use std::io;
use std::ffi::{CStr, CString, OsString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
const HINT: &str = "set SANDBOX_CGROUP to a delegated cgroup, or start the host by systemd-run --user --scope -p Delegate=yes";

/// Where leaves are made.
#[derive(Debug)]
pub struct Parent {
    dir: OwnedFd,
    path: String,
    /// Of the names of this process's leaves.
    prefix: String,
    /// When it is to be swept again, in nanoseconds since the boot; 0: it was not yet.
    sweep_due: AtomicU64,
    /// Memory is limited here or above, for others than this process.
    is_limited: bool,
}

fn clock() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a struct of ours to fill.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// No longer than this is a sweep put off.
const SELDOM: Duration = Duration::from_secs(10);

/// Process id and time of start: no other process of this pid namespace has both.
fn own_prefix() -> String {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let start = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19)).unwrap_or("0");
    format!("{}{}-{start}-", sweep::PREFIX, std::process::id())
}

impl Parent {
    pub fn open(path: &CStr) -> Result<Parent> {
        let shown = || format!("the cgroup {}", crate::error::quoted(path));
        let dir = open(libc::AT_FDCWD, path, libc::O_RDONLY | libc::O_DIRECTORY).map_err(|errno| failed(0, errno, shown()))?;
        // SAFETY: a struct of ours to fill.
        if !is_cgroup2(|info| unsafe { libc::fstatfs(dir.as_raw_fd(), info) }) {
            return Err(failed(0, Errno::EINVAL, shown()).hint("no directory of a cgroup2 file system"));
        }
        let is_limited = limits_others(&dir);
        Ok(Parent { dir, path: path.to_string_lossy().into_owned(), prefix: own_prefix(), sweep_due: AtomicU64::new(0), is_limited })
    }

    pub fn is_limited(&self) -> bool {
        self.is_limited
    }

    pub fn fd(&self) -> RawFd {
        self.dir.as_raw_fd()
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The clock makes it a new one; mkdir says if it is not.
    pub fn fresh_name(&self) -> CString {
        CString::new(format!("{}{:x}", self.prefix, clock().as_nanos())).unwrap_or_default()
    }

    /// Before a leaf is made, what dead hosts left is removed; where there is much to look at not every time, so that it
    /// takes a small part of the spawns' time. First of all, the controllers that the status reads are enabled where they
    /// can be.
    pub fn prepare(self: &Arc<Self>) {
        let (start, due) = (clock(), self.sweep_due.load(Relaxed));
        if nanos(start) < due || self.sweep_due.compare_exchange(due, nanos(start + SELDOM), Relaxed, Relaxed).is_err() {
            return;
        }
        if due == 0 {
            let _ = (self.enable("memory"), self.enable("pids"));
        }
        sweep::sweep(self, &self.prefix);
        let end = clock();
        self.sweep_due.store(nanos(end + (end.saturating_sub(start) * 32).min(SELDOM)), Relaxed);
    }

    /// Only the hierarchy's own root, which alone has no type, may hold processes and give controllers. The kernel
    /// refuses some of them to another; by cpu, cpuset and pids it would become a threaded one, in which no process but
    /// those of its own can live.
    fn may_give(&self) -> nix::Result<()> {
        let is_root = access(self.fd(), c"cgroup.type", libc::F_OK).is_err();
        if is_root || read(self.fd(), c"cgroup.procs")?.is_empty() { Ok(()) } else { Err(Errno::EBUSY) }
    }

    /// Gives the leaves a controller; else the errno and a hint.
    pub fn enable(&self, controller: &str) -> std::result::Result<(), (Errno, String)> {
        let given = self.may_give().and_then(|()| write(self.fd(), c"cgroup.subtree_control", format!("+{controller}").as_bytes()));
        // EINVAL: one that this kernel does not know.
        let Err(errno) = given.map_err(|errno| if errno == Errno::EINVAL { Errno::ENOENT } else { errno }) else { return Ok(()) };
        Err((errno, match errno {
            Errno::EBUSY => format!("{} holds processes itself, so its children can't have the {controller} controller: give a cgroup without processes", self.path),
            Errno::ENOENT => format!("the {controller} controller is not available in {}: see its cgroup.controllers", self.path),
            Errno::EACCES | Errno::EPERM => format!("the {controller} controller is not enabled in {}, and not this user's to enable", self.path),
            _ => format!("enabling the {controller} controller in {}", self.path),
        }))
    }

    /// Whether a leaf can be made here for this process, with all of `controllers`.
    fn serves(&self, controllers: &[&str]) -> std::result::Result<(), Errno> {
        access(self.fd(), c".", libc::W_OK)?;
        access(self.fd(), c"cgroup.procs", libc::W_OK)?;
        let holds = |list: String| controllers.iter().all(|wanted| list.split_ascii_whitespace().any(|word| word == *wanted));
        if holds(read(self.fd(), c"cgroup.subtree_control")?) {
            return Ok(());
        }
        if !holds(read(self.fd(), c"cgroup.controllers")?) {
            return Err(Errno::ENOENT);
        }
        self.may_give()
    }
}

type Identity = (u64, u64);

fn identity(dir: &OwnedFd) -> Option<Identity> {
    nix::sys::stat::fstat(dir).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

/// `dir` and what is above it, as far as this mount of the hierarchy shows it.
fn upward(dir: OwnedFd) -> impl Iterator<Item = OwnedFd> {
    let above = |dir: &OwnedFd| {
        let parent = open_dir(dir.as_raw_fd(), c"..").ok()?;
        let same = identity(dir)?.0 == identity(&parent)?.0 && identity(dir) != identity(&parent);
        same.then_some(parent)
    };
    std::iter::successors(Some(dir), above)
}

/// Whether a limit of memory holds `dir`, or what is above it, but not this process.
fn limits_others(dir: &OwnedFd) -> bool {
    let own = own_path().and_then(|own| mounted(&own)).ok().and_then(|(_, own)| {
        let path = CString::new(own.as_os_str().as_bytes()).ok()?;
        open(libc::AT_FDCWD, &path, libc::O_RDONLY | libc::O_DIRECTORY).ok()
    });
    let shared: Vec<Identity> = own.into_iter().flat_map(upward).filter_map(|dir| identity(&dir)).collect();
    let is_limit = |dir: &OwnedFd| read(dir.as_raw_fd(), c"memory.max").is_ok_and(|limit| limit.trim() != "max");
    open_dir(dir.as_raw_fd(), c".").ok().into_iter().flat_map(upward)
        .take_while(|dir| identity(dir).is_none_or(|dir| !shared.contains(&dir)))
        .any(|dir| is_limit(&dir))
}

fn is_cgroup2(stat: impl FnOnce(*mut libc::statfs) -> libc::c_int) -> bool {
    // SAFETY: all-zero is a valid value of the struct.
    let mut info = unsafe { std::mem::zeroed::<libc::statfs>() };
    stat(&raw mut info) == 0 && info.f_type as u64 == CGROUP2_SUPER_MAGIC
}

/// The parent where the caller named none, for leaves that need `controllers`.
pub fn found(controllers: &[&str]) -> Result<Parent> {
    if let Some(path) = from_environment() {
        return Parent::open(&path).map_err(|error| error.hint("from the environment's SANDBOX_CGROUP"));
    }
    let (mount, own) = own_path().and_then(|own| mounted(&own)).map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::ENOENT));
        failed(0, errno, "this process's cgroup of version 2, by /proc/self/cgroup and mountinfo").hint(HINT)
    })?;
    let mut first: Option<Error> = None;
    for directory in own.ancestors().take_while(|directory| directory.starts_with(&mount)) {
        let path = CString::new(directory.as_os_str().as_bytes()).unwrap_or_default();
        let parent = Parent::open(&path)?;
        match parent.serves(controllers) {
            Ok(()) => return Ok(parent),
            Err(errno) => {
                let what = || format!("a leaf in this process's cgroup {} or above it", parent.path);
                let why = match errno {
                    Errno::EBUSY => format!("it holds processes, so no child of it can have {}; {HINT}", controllers.join(", ")),
                    Errno::ENOENT => format!("not all of {} are available; {HINT}", controllers.join(", ")),
                    _ => HINT.to_owned(),
                };
                first.get_or_insert_with(|| failed(0, errno, what()).hint(&why));
            }
        }
    }
    Err(first.unwrap_or_else(|| failed(0, Errno::ENOENT, "no cgroup to make a leaf in").hint(HINT)))
}

/// Not a set-user-ID host's: its environment is its caller's.
fn from_environment() -> Option<CString> {
    // SAFETY: reads the auxiliary vector.
    let is_privileged = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    let value = std::env::var_os("SANDBOX_CGROUP").filter(|path| !is_privileged && !path.is_empty())?;
    CString::new(value.into_vec()).ok()
}

/// By this thread: where the first one has ended, /proc/self tells nothing of it.
fn own_path() -> io::Result<PathBuf> {
    let text = std::fs::read("/proc/thread-self/cgroup")?;
    let path = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::")).ok_or(io::ErrorKind::NotFound)?;
    Ok(PathBuf::from(OsString::from_vec(path.to_vec())))
}

/// A mount of the hierarchy that shows the cgroup `own`: its mount point, and where that is.
fn mounted(own: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let table = std::fs::read("/proc/thread-self/mountinfo")?;
    let found = table.split(|byte| *byte == b'\n').find_map(|line| {
        // id, parent, device, root, mount point, options, tags..., "-", type
        let mut fields = line.split(|byte| *byte == b' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        let (root, point) = (unescaped(root), unescaped(point));
        let inside = own.strip_prefix(&root).ok().filter(|_| kind == b"cgroup2")?;
        let place = if inside.as_os_str().is_empty() { point.clone() } else { point.join(inside) };
        let path = CString::new(place.as_os_str().as_bytes()).ok()?;
        // Not where another mount covers it. SAFETY: a string and a struct of ours.
        is_cgroup2(|info| unsafe { libc::statfs(path.as_ptr(), info) }).then_some((point, place))
    });
    found.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Blanks, tabs, newlines and backslashes stand there as octal numbers.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        match (byte, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}
