//! What the tests of this directory share: a process of its own for each test that counts fds, processes or memory;
//! the commands that together hold every op; a picture of the host to compare with a later one.
#![allow(dead_code, unused_imports)] // each test program uses a part

use libc::{c_char, c_int, c_void};
use sandbox_spawn::capi::child::{sandbox_child as Child, *};
use sandbox_spawn::capi::cgroup::{sandbox_cmd_cgroup, sandbox_cmd_cgroup_set};
use sandbox_spawn::capi::cmd::*;
use sandbox_spawn::capi::error::sandbox_error;
use sandbox_spawn::capi::identity::*;
use sandbox_spawn::capi::init::*;
use sandbox_spawn::capi::mount::*;
use sandbox_spawn::capi::tree::*;
use sandbox_spawn::capi::filter::{sandbox_cmd_filter, sandbox_cmd_ptrace, sandbox_filter_free, sandbox_filter_new, sandbox_filter_rule};
use sandbox_spawn::capi::landlock::*;
use sandbox_spawn::capi::sandbox_option::{self, *};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, fs, ptr};

mod alone;
mod commands;
mod host;
mod wish;

pub use alone::*;
pub use commands::*;
pub use host::*;
pub use wish::*;

/// Where this test's files go: gone with the value.
pub struct Directory(pub std::path::PathBuf);

impl Directory {
    pub fn new() -> Self {
        // SAFETY: no pointers.
        let path = env::temp_dir().join(format!("sandbox-spawn-test-{}", unsafe { libc::getpid() }));
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn c(text: impl Into<Vec<u8>>) -> CString {
    CString::new(text).unwrap()
}

pub fn none() -> sandbox_error {
    sandbox_error { code: 0, stage: 0, index: 0, message: [0; 244] }
}

pub fn message(error: &sandbox_error) -> String {
    // SAFETY: the library terminates it.
    unsafe { CStr::from_ptr(error.message.as_ptr()) }.to_string_lossy().into_owned()
}

/// Says that a test could not be had on this machine. Written past the harness, which shows no output of what passes.
pub fn skip(name: &str, reason: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stdout(), format!("\nskip - {name}: {reason}\n").as_bytes());
}

// ---- the commands

const SANDBOX_ACT_ALLOW: u32 = 0x7fff_0000;
const SANDBOX_ACT_NOTIFY: u32 = 0x7fc0_0000;

pub fn is_root() -> bool {
    // SAFETY: no pointers.
    unsafe { libc::geteuid() == 0 }
}

pub fn rlimit(resource: u32) -> (u64, u64) {
    let mut limit = [0u64; 2];
    // SAFETY: two numbers of ours to fill.
    assert_eq!(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, ptr::null::<u64>(), limit.as_mut_ptr()) }, 0);
    (limit[0], limit[1])
}

pub fn set_rlimit(resource: u32, soft: u64) {
    let limit = [soft, rlimit(resource).1];
    // SAFETY: two numbers of ours to read.
    assert_eq!(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, limit.as_ptr(), ptr::null::<u64>()) }, 0);
}

pub fn pipe() -> (OwnedFd, OwnedFd) {
    let mut fds = [0; 2];
    // SAFETY: two fds to fill, then ours.
    unsafe {
        assert_eq!(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))
    }
}

fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (0, 0);
    // SAFETY: two fds to fill, then ours.
    unsafe {
        assert_eq!(libc::openpty(&raw mut master, &raw mut slave, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()), 0);
        for fd in [master, slave] {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    }
}
