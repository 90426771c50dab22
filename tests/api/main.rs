//! The whole C interface with input that no caller should give: NULL in every place, numbers out of range, sizes that
//! lie, strings that are empty, endless or no text. Nothing ends the host, prints from it, leaks, or weakens a command.
//! `table` runs the rows, each file beside it holds those of one noun.

#[path = "../common/mod.rs"]
mod common;
#[macro_use]
mod table;
mod command;
mod confinement;
mod mounts;
mod child;
mod filters;
mod supervisor;
mod runs;
mod pool;

use common::*;
use libc::{c_char, c_int, c_void};
use sandbox_spawn::capi::cgroup::*;
use sandbox_spawn::capi::child::*;
use sandbox_spawn::capi::cmd::*;
use sandbox_spawn::capi::error::*;
use sandbox_spawn::capi::filter::*;
use sandbox_spawn::capi::landlock::*;
use sandbox_spawn::capi::preset::*;
use sandbox_spawn::capi::run::*;
use sandbox_spawn::capi::identity::*;
use sandbox_spawn::capi::mount::*;
use sandbox_spawn::capi::pool::*;
use sandbox_spawn::capi::init::*;
use sandbox_spawn::capi::supervisor::*;
use sandbox_spawn::capi::tree::*;
use sandbox_spawn::capi::{sandbox_arg, sandbox_syscall};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::ptr::{null, null_mut};
use table::Table;

const EFAULT: i64 = -(libc::EFAULT as i64);
const EINVAL: i64 = -(libc::EINVAL as i64);
const EBADF: i64 = -(libc::EBADF as i64);
const E2BIG: i64 = -(libc::E2BIG as i64);
const ENAMETOOLONG: i64 = -(libc::ENAMETOOLONG as i64);
const ETIMEDOUT: i64 = -(libc::ETIMEDOUT as i64);
const ESRCH: i64 = -(libc::ESRCH as i64);

const ALLOW: u32 = 0x7fff_0000;
const NOTIFY: u32 = 0x7fc0_0000;

/// Bytes that are no text, and no string of a size that anyone takes.
fn strings() -> Vec<(&'static str, std::ffi::CString)> {
    vec![
        ("an empty string", c("")),
        ("no UTF-8", c(b"\xff\xfe\xc3\x28\xf0\x80".to_vec())),
        ("control characters", c("\x01\x1b[31m\n%s%n\\\"'")),
        ("128 KiB less one", c(vec![b'a'; 131_071])),
        ("128 KiB", c(vec![b'a'; 131_072])),
        ("8 MiB", c(vec![b'\xe9'; 8 << 20])),
    ]
}

const NUMBERS: [c_int; 10] = [i32::MIN, -1000, -2, -1, 3, 5, 100, 65_536, i32::MAX - 1, i32::MAX];

extern "C" fn ready(_: libc::pid_t, _: c_int, _: *mut c_void) -> c_int {
    0
}
extern "C" fn pre_exec(_: *mut c_void) -> c_int {
    0
}

/// The functions that the header declares: `sandbox_x(` outside comments, not `(*sandbox_x_fn)(`.
fn declared() -> BTreeSet<&'static str> {
    let header = include_str!("../../include/sandbox_spawn.h");
    let outside = header.split("/*").flat_map(|part| part.split_once("*/").map_or(Some(part), |(_, code)| Some(code)));
    outside.flat_map(|code| code.split_inclusive('(')).filter_map(|piece| {
        let name = piece.strip_suffix('(')?;
        let start = name.rfind(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').map_or(0, |at| at + 1);
        name[start..].starts_with("sandbox_").then(|| &name[start..])
    }).collect()
}

#[test]
fn no_input_ends_prints_from_or_leaks_in_the_host() {
    alone(|| {
        let mut table = Table::new();
        let (said, err) = (table.said.try_clone().unwrap(), table.err.try_clone().unwrap());
        std::panic::set_hook(Box::new(move |info| {
            let mut text = [0; 4096];
            let length = said.read_at(&mut text, 0).unwrap_or(0);
            let _ = writeln!(&err, "{info}\n{}", String::from_utf8_lossy(&text[..length]));
        }));
        let t = &mut table;
        command::strings_and_null(t);
        command::numbers(t);
        command::fds(t);
        command::spawns(t);
        child::rows(t);
        filters::rows(t);
        confinement::namespaces(t);
        confinement::landlock(t);
        confinement::preset(t);
        confinement::identity(t);
        mounts::rows(t);
        confinement::cgroups(t);
        supervisor::rows(t);
        runs::rows(t);
        pool::rows(t);
        let declared = declared();
        assert!(declared.len() >= 29, "{declared:?}");
        let missing: Vec<_> = declared.iter().filter(|name| !table.called.contains(*name)).collect();
        if !missing.is_empty() {
            table.wrong.push(format!("declared in the header and not in this table: {missing:?}"));
        }
        if !table.wrong.is_empty() {
            writeln!(table.err, "\n{} rows are wrong:\n{}", table.wrong.len(), table.wrong.join("\n")).unwrap();
            // SAFETY: this process is the test's own.
            unsafe { libc::_exit(1) };
        }
    });
}
