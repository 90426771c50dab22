//! The file system: a new root, and what is mounted and made in it, in the caller's order. Here stands what a caller
//! may ask; `mount_plan` compiles it, and the child's `mount` says how a target is resolved.

use crate::cmd::Cmd;
use crate::confine::namespace::Ns;
use crate::diagnose::{Refused, diagnose};
use crate::error::{Error, Result, Stage, quoted};
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// How a mount differs from the default: read-only, no set-user-ID programs, no devices; bits to add up.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_mount {
    /// Writable, as far as the host's own mount of it is.
    SANDBOX_MOUNT_RW = 1,
    /// No program on it can be executed (noexec).
    SANDBOX_MOUNT_EXEC_OFF = 2,
    /// Where the source is not there, the mount is left out, and sandbox_status.left_out says so.
    SANDBOX_MOUNT_OPTIONAL = 4,
    /// Device files work.
    SANDBOX_MOUNT_DEV = 8,
    /// The set-user-ID bit and file capabilities count.
    SANDBOX_MOUNT_SUID = 16,
    /// Without what is mounted below the source. In a user namespace the kernel allows that only where nothing is.
    SANDBOX_MOUNT_NON_RECURSIVE = 32,
    /// No symlink on it is followed (Linux 5.14).
    SANDBOX_MOUNT_NOSYMFOLLOW = 64,
    /// Reading leaves the access times alone. In a user namespace the kernel allows no change of that.
    SANDBOX_MOUNT_NOATIME = 128,
}

/// What a mount of proc shows; bits to add up, at most one of the first three.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_proc {
    /// What is in other users' /proc/PID can't be read (hidepid=noaccess).
    SANDBOX_PROC_NOACCESS = 1,
    /// Other users' /proc/PID can't be seen (hidepid=invisible).
    SANDBOX_PROC_INVISIBLE = 2,
    /// Nor can any that the reader may not trace (hidepid=ptraceable, Linux 5.8).
    SANDBOX_PROC_PTRACEABLE = 4,
    /// Nothing but the processes (subset=pid, Linux 5.8).
    SANDBOX_PROC_SUBSET_PID = 8,
    /// Writable: what a process may set about itself it can.
    SANDBOX_PROC_RW = 16,
    /// With RW: sys, sysrq-trigger, irq and bus are read-only all the same, where they are there: the sysctls of the
    /// child's own namespaces too. A user namespace inside can then mount no proc of its own (EPERM).
    SANDBOX_PROC_COVERED = 32,
}

/// How sandbox_cmd_data puts its file there; bits to add up. Without any it does as sandbox_cmd_file.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_data {
    /// Lain over the target by a mount, read-only, whether or not something is there.
    SANDBOX_DATA_MOUNT = 1,
    /// With MOUNT: writable.
    SANDBOX_DATA_RW = 2,
    /// Written into what is there, or made where nothing is, wherever that lies: on the host too, where that is bound
    /// with SANDBOX_MOUNT_RW.
    SANDBOX_DATA_IN_PLACE = 4,
}

pub use sandbox_mount as MountFlag;
pub use sandbox_proc as ProcFlag;

const ALL_MOUNT: u64 = 255;
/// What a remount may be given: it only takes away.
const RESTRICTING: u64 = 2 | 8 | 16;
const ALL_PROC: u64 = 63;
const MOST_MOUNTS: usize = 10_000;
const LONGEST_PATH: usize = 4095;
/// The kernel's OVL_MAX_STACK.
const MOST_LAYERS: usize = 500;
pub const LONGEST_FILE: usize = 256 << 20;

#[derive(Clone, Debug)]
pub enum Source {
    Path(CString),
    Fd(Arc<OwnedFd>),
}

#[derive(Clone, Debug)]
pub enum Kind {
    Bind { source: Source, flags: u64 },
    Tmpfs { bytes: u64, mode: u32 },
    Proc { flags: u64 },
    Mqueue,
    Dev,
    Devpts,
    /// The topmost lower first; upper and work.
    Overlay { lowers: Vec<CString>, upper: Option<(CString, CString)>, is_read_only: bool },
    File { data: Arc<[u8]>, mode: u32, flags: u64 },
    Chmod { mode: u32 },
    Remount { flags: u64 },
    Dir { mode: u32 },
    Symlink { text: CString },
    Mask,
}

#[derive(Clone, Debug)]
pub struct Mount {
    /// Below the root, without a leading slash, ".", ".." or doubled slashes; "." is the root itself.
    pub target: CString,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub struct Root {
    /// `None`: a new tmpfs.
    pub directory: Option<CString>,
    pub flags: u64,
}

/// What the caller asked for.
#[derive(Clone, Debug, Default)]
pub struct Mounts {
    pub root: Option<Root>,
    pub list: Vec<Mount>,
    /// How many of the list, from the first, are a preset's that stand for the host's system.
    pub system: usize,
}

impl Mounts {
    pub fn is_asked(&self) -> bool {
        self.root.is_some() || !self.list.is_empty()
    }
}

fn refused(index: usize, errno: i32, what: impl std::fmt::Display) -> Error {
    Error::new(Stage::SANDBOX_STAGE_MOUNT, index, errno, what)
}

/// A path as a caller gives it.
pub fn path(text: &CStr, index: usize, what: &str) -> Result<CString> {
    if text.is_empty() {
        return Err(refused(index, libc::ENOENT, format_args!("{what}: an empty path")));
    }
    if text.count_bytes() > LONGEST_PATH {
        return Err(refused(index, libc::ENAMETOOLONG, format_args!("{what}: {} bytes", text.count_bytes())));
    }
    Ok(text.to_owned())
}

/// A target without what means nothing. ".." is refused: what it means hangs on symlinks that others may change.
fn target(text: &CStr, index: usize, kind: &Kind) -> Result<CString> {
    let text = path(text, index, "target")?;
    let parts: Vec<&[u8]> = text.to_bytes().split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&b"..".as_slice()) {
        return Err(refused(index, libc::EINVAL, format_args!("target {}: \"..\" in it", quoted(&text))));
    }
    if parts.is_empty() && matches!(kind, Kind::Bind { .. } | Kind::Tmpfs { .. } | Kind::Overlay { .. } | Kind::Remount { .. } | Kind::Chmod { .. }) {
        return Ok(c".".to_owned());
    }
    if parts.is_empty() {
        return Err(refused(index, libc::EINVAL, "target \"/\"").hint("sandbox_cmd_root says what the root is"));
    }
    CString::new(parts.join(&b'/')).map_err(|_| refused(index, libc::EINVAL, "target"))
}

fn check(index: usize, what: &str, value: u64, allowed: u64) -> Result<()> {
    if value & !allowed == 0 {
        return Ok(());
    }
    Err(refused(index, libc::EINVAL, format_args!("{what} {value:#x}")))
}

fn check_mode(index: usize, mode: u32, allowed: u32) -> Result<()> {
    if mode & !allowed == 0 {
        return Ok(());
    }
    Err(refused(index, libc::EINVAL, format_args!("mode 0{mode:o}")))
}

/// The kernel counts a tmpfs in whole pages, rounded up: what is more than it can round becomes 0, which is no limit.
fn check_size(index: usize, bytes: u64) -> Result<()> {
    let page = crate::memory::page_size() as u64;
    if bytes.checked_next_multiple_of(page).is_some() {
        return Ok(());
    }
    Err(refused(index, libc::EINVAL, format_args!("tmpfs of {bytes} bytes")).hint("0 is the kernel's default"))
}

impl Cmd {
    /// The index of the next mount, for messages.
    pub fn next_mount(&self) -> usize {
        self.mounts.list.len()
    }

    pub fn root(&mut self, directory: Option<&CStr>, flags: u64) -> Result<()> {
        let stage = |error: Error| error.in_stage(Stage::SANDBOX_STAGE_ROOT);
        check(0, "root's flags", flags, ALL_MOUNT & !(MountFlag::SANDBOX_MOUNT_OPTIONAL as u64)).map_err(stage)?;
        let directory = directory.map(|directory| path(directory, 0, "root")).transpose().map_err(stage)?;
        if directory.is_some() {
            self.mounts.list.drain(..std::mem::take(&mut self.mounts.system));
        }
        self.mounts.root = Some(Root { directory, flags });
        self.namespaces |= Ns::SANDBOX_NS_MOUNT as u64;
        Ok(())
    }

    /// Mounts go into a namespace of the child's own, asked for or not.
    pub fn mount(&mut self, at: &CStr, kind: Kind) -> Result<()> {
        let index = self.next_mount();
        let target = target(at, index, &kind)?;
        match &kind {
            Kind::Bind { flags, .. } => check(index, "mount flags", *flags, ALL_MOUNT)?,
            Kind::Proc { flags } => {
                check(index, "proc flags", *flags, ALL_PROC)?;
                if (flags & 7).count_ones() > 1 {
                    return Err(refused(index, libc::EINVAL, "proc flags: more than one way to hide processes"));
                }
            }
            Kind::Tmpfs { bytes, mode } => {
                check_mode(index, *mode, 0o1777)?;
                check_size(index, *bytes)?;
            }
            Kind::Dir { mode } => check_mode(index, *mode, 0o1777)?,
            Kind::File { mode, flags: 0, .. } => check_mode(index, *mode, 0o777)?,
            Kind::File { mode, flags, .. } => {
                check_mode(index, *mode, 0o7777)?;
                if !matches!(flags, 1 | 3 | 4) {
                    return Err(refused(index, libc::EINVAL, format_args!("data flags {flags:#x}")));
                }
            }
            Kind::Chmod { mode } => check_mode(index, *mode, 0o7777)?,
            Kind::Remount { flags } => check(index, "remount flags", *flags, RESTRICTING)?,
            Kind::Overlay { lowers, is_read_only, .. } if lowers.len() <= usize::from(*is_read_only) || lowers.len() >= MOST_LAYERS => {
                return Err(refused(index, libc::EINVAL, format_args!("overlay of {} lower directories", lowers.len())));
            }
            _ => {}
        }
        if index >= MOST_MOUNTS {
            return Err(refused(index, libc::E2BIG, "another mount"));
        }
        self.mounts.list.push(Mount { target, kind });
        self.namespaces |= Ns::SANDBOX_NS_MOUNT as u64;
        Ok(())
    }
}

/// What a failed step's message adds.
pub fn hint(text: &str, errno: i32) -> &'static str {
    let is = |what: &str| text.starts_with(what);
    let is_source = is("what to bind") || is("layer") || is("root:");
    let is_there = is("mode ") || is("remount");
    match errno {
        libc::EPERM if is("proc") => diagnose(&Refused::Proc, errno),
        libc::EPERM if is("mqueue") => "it needs SANDBOX_NS_IPC",
        libc::EPERM if text.contains("noatime") => "no NOATIME in a user namespace",
        libc::EPERM if is("mode ") => "it is another user's, or its owner has no id in the child's user namespace",
        libc::EPERM if is("overlay") => "it needs CAP_SYS_ADMIN or SANDBOX_NS_USER, and CAP_CHOWN where a lower is another's",
        libc::EPERM => "it needs CAP_SYS_ADMIN or SANDBOX_NS_USER; a container may forbid it",
        libc::EACCES if text.contains("the caller's fd") => "it is opened by its path anew, which this user may not search",
        libc::EOVERFLOW => "the spawning user has no id in the child's user namespace",
        libc::ENOSYS => "Linux 5.12 is needed, or a container hides its calls",
        libc::EROFS if is("file") => "a file is kept in memory alone: SANDBOX_DATA_IN_PLACE makes one on the host, where RW was bound",
        libc::EROFS => "new entries go into memory of the sandbox's own, or where RW was bound",
        libc::EMFILE => "each source takes an fd until it is mounted (RLIMIT_NOFILE)",
        libc::ESTALE => "its path leads elsewhere: deleted, moved, covered, or of another mount namespace",
        libc::EXDEV if is("layer") => "an overlay's upper and work must be of one mount",
        libc::EINVAL if is("layer") => "unbindable, of another mount namespace, or in a user namespace with mounts below it",
        libc::EINVAL if is_source => "unbindable, of another mount namespace, or NON_RECURSIVE in a user namespace",
        libc::EINVAL if is("overlay") => "its filesystem can't be upper and work, work lies in upper or upper in work, or something is mounted below upper",
        libc::EINVAL if is("into the new root") => "the host's root is a chroot or the initramfs: neither can be pivoted",
        libc::EINVAL if is("the host's mounts") => "the host's root is no mount point (chroot)",
        libc::EINVAL if is("remount") => "nothing is mounted there",
        libc::EINVAL if is("bind on") || is("mount ") => "a file goes on a file, a directory on a directory",
        libc::ENOENT if is("what to bind") => "SANDBOX_MOUNT_OPTIONAL lets it be left out",
        libc::ENOENT if is_source => "",
        libc::ENOENT if is_there => "nothing is there in the new root",
        libc::ENOENT => "a symlink on the way leads nowhere inside the new root",
        libc::ENOTDIR if is("layer") => "a layer is a directory",
        libc::ENOTDIR => "something on the way is no directory",
        libc::EBUSY if is("overlay") => "its upper or its work is another overlay's by now",
        libc::EBUSY => "a symlink on the way leads to the root itself",
        libc::ELOOP if is("overlay") => "one of its directories is another of them, or lies in it",
        libc::ELOOP => "a magic link of /proc, or symlinks without end",
        _ => "",
    }
}
