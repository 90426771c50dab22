//! What /proc tells of the caller: its process, its ids, its root and fds. Opened by number, and then checked: an open
//! file of /proc stays with the task that it was opened for.

use crate::fd;
use crate::notify::Notify;
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, BorrowedFd, AsFd, OwnedFd, RawFd};

pub const PROC_ROOT: u64 = 1; // PROC_ROOT_INO

/// Of /proc/PID/status, as seen from here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub tgid: libc::pid_t,
    pub umask: u32,
    pub fsuid: u32,
    pub fsgid: u32,
    pub groups: Vec<u32>,
    pub caps: u64,
    /// The process's number in each pid namespace, from ours inwards; and the thread's.
    pub pids: Vec<u32>,
    pub tids: Vec<u32>,
}

/// Those of a line.
fn numbers(rest: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for number in rest.split([' ', '\t']) {
        if let Ok(number) = number.parse() {
            numbers.push(number);
        }
    }
    numbers
}

impl Status {
    fn parse(text: &str) -> Option<Status> {
        let mut status = Status::default();
        for line in text.split('\n') {
            let Some((name, rest)) = line.split_once(':') else { continue };
            match name {
                "Tgid" => status.tgid = numbers(rest).first()?.cast_signed(),
                "Umask" => status.umask = u32::from_str_radix(rest.trim_ascii(), 8).ok()?,
                "Uid" => status.fsuid = *numbers(rest).get(3)?,
                "Gid" => status.fsgid = *numbers(rest).get(3)?,
                "Groups" => status.groups = numbers(rest),
                "CapEff" => status.caps = u64::from_str_radix(rest.trim_ascii(), 16).ok()?,
                "NStgid" => status.pids = numbers(rest),
                "NSpid" => status.tids = numbers(rest),
                _ => {}
            }
        }
        (status.tgid > 0).then_some(status)
    }

    /// Whether who has these ids may do no more than `other` by them; `caps` of both hold in one user namespace.
    fn is_within(&self, other: &Status, one_namespace: bool) -> bool {
        let caps = if one_namespace { other.caps } else { 0 };
        let has_same_ids = self.fsuid == other.fsuid && self.fsgid == other.fsgid && self.groups == other.groups;
        has_same_ids && self.caps & !caps == 0
    }
}

pub fn open_at(directory: BorrowedFd, path: &CStr, flags: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: a string; no mode is needed.
    fd::owned(unsafe { libc::openat(directory.as_raw_fd(), path.as_ptr(), flags | libc::O_CLOEXEC, 0) })
}

pub fn link_at(directory: BorrowedFd, path: &CStr) -> Result<Vec<u8>, Errno> {
    let mut text = vec![0u8; libc::PATH_MAX as usize];
    // SAFETY: a buffer of that length.
    let length = unsafe { libc::readlinkat(directory.as_raw_fd(), path.as_ptr(), text.as_mut_ptr().cast(), text.len()) };
    let length = usize::try_from(length).map_err(|_| Errno::last())?;
    if length >= text.len() {
        return Err(Errno::ENAMETOOLONG);
    }
    text.truncate(length);
    Ok(text)
}

pub fn is_procfs(file: BorrowedFd) -> Result<bool, Errno> {
    // SAFETY: all-zero is a valid value; fstatfs fills it.
    unsafe {
        let mut about = std::mem::zeroed::<libc::statfs>();
        if libc::fstatfs(file.as_raw_fd(), &raw mut about) < 0 {
            return Err(Errno::last());
        }
        Ok(about.f_type as u64 == libc::PROC_SUPER_MAGIC as u64)
    }
}

pub fn name(text: String) -> Result<CString, Errno> {
    CString::new(text).map_err(|_| Errno::EINVAL)
}

pub fn status_at(directory: BorrowedFd, path: &CStr) -> Result<Status, Errno> {
    let mut text = Vec::new();
    let read = File::from(open_at(directory, path, libc::O_RDONLY)?).read_to_end(&mut text);
    read.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    Status::parse(&String::from_utf8_lossy(&text)).ok_or(Errno::ESRCH)
}

impl Notify {
    /// /proc, if it is of our own pid namespace: in another one's the caller's number would be a stranger's. ENOSYS else.
    pub(super) fn proc(&self) -> Result<BorrowedFd<'_>, Errno> {
        if let Some(proc) = self.shared.proc.get() {
            return Ok(proc.as_fd());
        }
        // SAFETY: a string.
        let proc = fd::owned(unsafe { libc::open(c"/proc".as_ptr(), libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) })?;
        let own = link_at(proc.as_fd(), c"self").unwrap_or_default();
        if !is_procfs(proc.as_fd())? || own != std::process::id().to_string().as_bytes() {
            return Err(Errno::ENOSYS);
        }
        Ok(self.shared.proc.get_or_init(|| proc).as_fd())
    }

    /// A file of /proc/TID that was found to be the caller's.
    pub(super) fn caller_file(&self, path: &str, flags: i32) -> Result<OwnedFd, Errno> {
        let path = name(format!("{}/{path}", self.tid()?))?;
        self.checked(open_at(self.proc()?, &path, flags))
    }

    pub(super) fn status(&self) -> Result<&Status, Errno> {
        if let Some(status) = self.status.get() {
            return Ok(status);
        }
        let path = name(format!("{}/status", self.tid()?))?;
        let status = self.checked(status_at(self.proc()?, &path))?;
        Ok(self.status.get_or_init(|| status))
    }

    /// Whether this thread may open what the caller may not.
    pub(super) fn is_above_the_caller(&self) -> Result<bool, Errno> {
        let own = status_at(self.proc()?, c"thread-self/status")?;
        Ok(!own.is_within(self.status()?, self.is_in_our_user_namespace()?))
    }

    pub(super) fn is_in_our_user_namespace(&self) -> Result<bool, Errno> {
        let theirs = self.checked(link_at(self.proc()?, &name(format!("{}/ns/user", self.tid()?))?))?;
        Ok(theirs == link_at(self.proc()?, c"thread-self/ns/user")?)
    }

    /// The file that `fd` of ours stands for, opened anew.
    pub(super) fn reopen(&self, fd: RawFd, flags: i32) -> Result<OwnedFd, Errno> {
        open_at(self.proc()?, &own_fd(fd)?, flags)
    }

    /// What the kernel calls the file that `fd` of ours stands for.
    pub(super) fn path_of(&self, fd: RawFd) -> Result<Vec<u8>, Errno> {
        link_at(self.proc()?, &own_fd(fd)?)
    }
}

fn own_fd(fd: RawFd) -> Result<CString, Errno> {
    name(format!("thread-self/fd/{fd}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Name:\tx\nUmask:\t0027\nTgid:\t7\nPid:\t9\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t10 11 \nNStgid:\t7\t1\nNSpid:\t9\t3\nCapEff:\t0000000000000002\n";

    #[test]
    fn a_status_is_read_as_the_kernel_writes_it() {
        let status = Status::parse(TEXT).unwrap();
        let wanted =
            Status { tgid: 7, umask: 0o27, fsuid: 4, fsgid: 8, groups: vec![10, 11], caps: 2, pids: vec![7, 1], tids: vec![9, 3] };
        assert_eq!(status, wanted);
        assert_eq!(Status::parse("Name:\tx\n"), None);
    }

    #[test]
    fn who_has_other_ids_or_more_capabilities_is_above() {
        let caller = Status::parse(TEXT).unwrap();
        assert!(caller.is_within(&caller, true));
        assert!(!caller.is_within(&caller, false), "a capability of another user namespace counts for nothing");
        let none = Status { caps: 0, ..caller.clone() };
        assert!(none.is_within(&caller, false) && !caller.is_within(&none, true));
        assert!(!Status { fsuid: 0, ..none.clone() }.is_within(&caller, true));
        assert!(!Status { groups: vec![0], ..none }.is_within(&caller, true));
    }
}
