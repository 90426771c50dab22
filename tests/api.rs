//! The whole C interface with input that no caller should give: NULL in every place, numbers out of range, sizes that
//! lie, strings that are empty, endless or no text. Nothing ends the host, prints from it, leaks, or weakens a command.

mod common;

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
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::ptr::{null, null_mut};
use std::sync::atomic::AtomicIsize;
use std::sync::atomic::Ordering::Relaxed;

/// Bytes allocated and not yet freed.
static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counted;

// SAFETY: the system's allocator.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size().cast_signed(), Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size().cast_signed(), Relaxed);
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

const EFAULT: i64 = -(libc::EFAULT as i64);
const EINVAL: i64 = -(libc::EINVAL as i64);
const EBADF: i64 = -(libc::EBADF as i64);
const E2BIG: i64 = -(libc::E2BIG as i64);
const ENAMETOOLONG: i64 = -(libc::ENAMETOOLONG as i64);
const ETIMEDOUT: i64 = -(libc::ETIMEDOUT as i64);
const ESRCH: i64 = -(libc::ESRCH as i64);

/// Runs rows and keeps what went wrong. Standard output and error are files meanwhile: they must stay empty.
struct Table {
    called: BTreeSet<&'static str>,
    wrong: Vec<String>,
    said: File,
    /// The real standard error: names the row that ended the host.
    err: File,
}

fn open_fds() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

impl Table {
    fn new() -> Table {
        // SAFETY: a constant name; fds just made.
        unsafe {
            let said = File::from_raw_fd(libc::memfd_create(c"said".as_ptr(), libc::MFD_CLOEXEC));
            let err = File::from_raw_fd(libc::fcntl(2, libc::F_DUPFD_CLOEXEC, 3));
            libc::dup2(said.as_raw_fd(), 1);
            libc::dup2(said.as_raw_fd(), 2);
            Table { called: BTreeSet::new(), wrong: Vec::new(), said, err }
        }
    }

    fn row(&mut self, function: &'static str, case: &str, expected: i64, run: &dyn Fn() -> i64) {
        self.called.insert(function);
        writeln!(self.err, "{function}: {case}").unwrap();
        run(); // whatever is made once is made now
        let (fds, live) = (open_fds(), LIVE.load(Relaxed));
        let got = run();
        let (fds, live) = (open_fds() - fds, LIVE.load(Relaxed) - live);
        let mut wrong = |what: String| self.wrong.push(format!("{function}: {case}: {what}"));
        if got != expected {
            wrong(format!("gave {got}, not {expected}"));
        }
        if fds != 0 || live != 0 {
            wrong(format!("leaked {fds} fds, {live} bytes"));
        }
        if !is_childless() {
            wrong(format!("left {}", children()));
        }
        if self.said.metadata().unwrap().len() != 0 {
            wrong("printed".into());
            self.said.set_len(0).unwrap();
        }
    }

    /// A setter on a command of its own. Its failure is latched, and refuses the spawn with the same error.
    fn setter(&mut self, function: &'static str, case: &str, expected: i64, set: &dyn Fn(*mut sandbox_cmd) -> c_int) {
        self.row(function, case, expected, &|| {
            let cmd = sandbox_cmd_new(c"/bin/true".as_ptr());
            let code = set(cmd);
            let later = sandbox_cmd_set(cmd, 0, 0);
            assert_eq!(later, -libc::EINVAL);
            let first = if code < 0 { code } else { later };
            let (mut latched, mut error, mut child) = (none(), none(), 8 as *mut _);
            assert_eq!(sandbox_cmd_error(cmd, &raw mut latched), first);
            assert_eq!((latched.code, message(&latched).is_empty()), (first, false));
            assert_eq!(sandbox_spawn(cmd, &raw mut child, &raw mut error), first);
            assert!(child.is_null());
            assert_eq!((error.code, error.stage, error.index, message(&error)), (first, latched.stage, latched.index, message(&latched)));
            assert_eq!(sandbox_cmd_explain(cmd, null_mut(), 0, null_mut()), first);
            let copy = sandbox_cmd_clone(cmd);
            assert_eq!(sandbox_cmd_error(copy, null_mut()), first);
            sandbox_cmd_free(copy);
            sandbox_cmd_free(cmd);
            code.into()
        });
    }

    /// A child that runs until it is freed.
    fn child(&mut self, function: &'static str, case: &str, expected: i64, run: &dyn Fn(*mut sandbox_child) -> i64) {
        self.row(function, case, expected, &|| {
            let cmd = sandbox_cmd_new(c"/bin/sleep".as_ptr());
            sandbox_cmd_arg(cmd, c"1000".as_ptr());
            sandbox_cmd_stdio(cmd, 1, 2, -1);
            let mut child = null_mut();
            assert_eq!(sandbox_spawn(cmd, &raw mut child, null_mut()), 0);
            let code = run(child);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
            code
        });
    }
}

/// Names the function by itself, so that the table can't lie about which it called.
macro_rules! name {
    ($table:ident, $kind:ident, $function:ident, $case:expr, $expected:expr, $run:expr) => {{
        #[allow(unused_variables)]
        let _ = $function as *const ();
        $table.$kind(stringify!($function), $case, $expected, &$run);
    }};
}

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

fn strings_and_null(t: &mut Table) {
    name!(t, row, sandbox_cmd_new, "NULL", 0, || sandbox_cmd_new(null()) as i64);
    name!(t, row, sandbox_cmd_clone, "NULL", 0, || sandbox_cmd_clone(null()) as i64);
    name!(t, row, sandbox_cmd_free, "NULL", 0, || { sandbox_cmd_free(null_mut()); 0 });
    name!(t, row, sandbox_cmd_error, "NULL", EFAULT, || sandbox_cmd_error(null(), null_mut()).into());
    name!(t, row, sandbox_cmd_error, "NULL, with an error", EFAULT, || {
        let mut error = none();
        let code = sandbox_cmd_error(null(), &raw mut error);
        assert_eq!((error.code, error.stage), (code, 1));
        code.into()
    });
    type One = extern "C" fn(*mut sandbox_cmd, *const c_char) -> c_int;
    for (function, setter) in [
        ("sandbox_cmd_arg", sandbox_cmd_arg as One), ("sandbox_cmd_arg0", sandbox_cmd_arg0), ("sandbox_cmd_cwd", sandbox_cmd_cwd),
    ] {
        t.row(function, "NULL, NULL", EFAULT, &|| setter(null_mut(), null()).into());
        t.row(function, "no command", EFAULT, &|| setter(null_mut(), c"a".as_ptr()).into());
        t.setter(function, "NULL", EFAULT, &|cmd| setter(cmd, null()));
        for (case, text) in strings() {
            let longest = if function == "sandbox_cmd_cwd" { 4095 } else { 131_071 };
            let too_long = if function == "sandbox_cmd_cwd" { ENAMETOOLONG } else { E2BIG };
            t.setter(function, case, if text.count_bytes() > longest { too_long } else { 0 }, &|cmd| setter(cmd, text.as_ptr()));
        }
    }
    for (case, text) in strings() {
        let is_long = text.count_bytes() > 4095;
        name!(t, row, sandbox_cmd_new, case, if is_long { ENAMETOOLONG } else { 0 }, || {
            let cmd = sandbox_cmd_new(text.as_ptr());
            let code = sandbox_cmd_error(cmd, null_mut());
            let mut child = null_mut();
            assert!(sandbox_spawn(cmd, &raw mut child, null_mut()) < 0 && child.is_null());
            sandbox_cmd_free(cmd);
            code.into()
        });
        let long = if text.count_bytes() > 131_000 { E2BIG } else { 0 };
        let name = if text.is_empty() { EINVAL } else { long };
        name!(t, setter, sandbox_cmd_env, case, name, |cmd| sandbox_cmd_env(cmd, text.as_ptr(), c"value".as_ptr()));
        name!(t, setter, sandbox_cmd_env, case, name, |cmd| sandbox_cmd_env(cmd, text.as_ptr(), null()));
        name!(t, setter, sandbox_cmd_env, case, long, |cmd| sandbox_cmd_env(cmd, c"NAME".as_ptr(), text.as_ptr()));
        let two = [text.as_ptr(), text.as_ptr(), null()];
        let long = if text.count_bytes() > 131_071 { E2BIG } else { 0 };
        name!(t, setter, sandbox_cmd_args, case, long, |cmd| sandbox_cmd_args(cmd, two.as_ptr()));
    }
    name!(t, row, sandbox_cmd_env, "no command", EFAULT, || sandbox_cmd_env(null_mut(), c"A".as_ptr(), c"b".as_ptr()).into());
    name!(t, setter, sandbox_cmd_env, "NULL", EFAULT, |cmd| sandbox_cmd_env(cmd, null(), c"b".as_ptr()));
    name!(t, setter, sandbox_cmd_env, "NULL, NULL", EFAULT, |cmd| sandbox_cmd_env(cmd, null(), null()));
    name!(t, setter, sandbox_cmd_env, "an equals sign", EINVAL, |cmd| sandbox_cmd_env(cmd, c"A=B".as_ptr(), c"c".as_ptr()));
    name!(t, setter, sandbox_cmd_env, "an equals sign alone", EINVAL, |cmd| sandbox_cmd_env(cmd, c"=".as_ptr(), null()));
    name!(t, setter, sandbox_cmd_env, "unset", 0, |cmd| sandbox_cmd_env(cmd, c"A".as_ptr(), null()));
    name!(t, row, sandbox_cmd_env_clear, "no command", EFAULT, || sandbox_cmd_env_clear(null_mut()).into());
    name!(t, setter, sandbox_cmd_env_clear, "twice", 0, |cmd| sandbox_cmd_env_clear(cmd) + sandbox_cmd_env_clear(cmd));
    name!(t, row, sandbox_cmd_args, "no command", EFAULT, || sandbox_cmd_args(null_mut(), [null()].as_ptr()).into());
    name!(t, row, sandbox_cmd_args, "NULL, NULL", EFAULT, || sandbox_cmd_args(null_mut(), null()).into());
    name!(t, setter, sandbox_cmd_args, "NULL", EFAULT, |cmd| sandbox_cmd_args(cmd, null()));
    name!(t, setter, sandbox_cmd_args, "none", 0, |cmd| sandbox_cmd_args(cmd, [null()].as_ptr()));
    let many: Vec<*const c_char> = std::iter::repeat_n(c"a".as_ptr(), (1 << 20) + 1).chain([null()]).collect();
    name!(t, setter, sandbox_cmd_args, "a million and more", E2BIG, |cmd| sandbox_cmd_args(cmd, many.as_ptr()));
}

fn numbers(t: &mut Table) {
    name!(t, row, sandbox_cmd_set, "no command", EFAULT, || sandbox_cmd_set(null_mut(), 1, 1).into());
    for option in [0, 26, 27, 100, 0x7fff_ffff, 0x8000_0001, u32::MAX] {
        name!(t, setter, sandbox_cmd_set, &format!("option {option}"), EINVAL, |cmd| sandbox_cmd_set(cmd, option, 1));
    }
    for option in (1..=25).chain([40]) {
        for value in [0, 1, 2, 64, 65, 0o777, 1 << 31, 1 << 32, 1 << 63, u64::MAX, u64::MAX - 1000] {
            // Which values it takes stands in tests/header.rs: here it must answer one or the other, and latch.
            let fresh = sandbox_cmd_new(c"/bin/true".as_ptr());
            let expected = sandbox_cmd_set(fresh, option, value);
            sandbox_cmd_free(fresh);
            assert!(expected == 0 || i64::from(expected) == EINVAL);
            name!(t, setter, sandbox_cmd_set, &format!("option {option}, value {value:#x}"), expected.into(), |cmd| sandbox_cmd_set(cmd, option, value));
        }
    }
    name!(t, row, sandbox_cmd_rlimit, "no command", EFAULT, || sandbox_cmd_rlimit(null_mut(), 0, 1, 1).into());
    for resource in [16, 17, 255, 0x8000_0000, u32::MAX] {
        name!(t, setter, sandbox_cmd_rlimit, &format!("resource {resource}"), EINVAL, |cmd| sandbox_cmd_rlimit(cmd, resource, 1, 1));
    }
    for resource in 0..16 {
        name!(t, setter, sandbox_cmd_rlimit, "soft above hard", EINVAL, |cmd| sandbox_cmd_rlimit(cmd, resource, 2, 1));
        name!(t, setter, sandbox_cmd_rlimit, "unlimited above hard", EINVAL, |cmd| sandbox_cmd_rlimit(cmd, resource, u64::MAX, u64::MAX - 1));
        name!(t, setter, sandbox_cmd_rlimit, "the ends", 0, |cmd| sandbox_cmd_rlimit(cmd, resource, 0, u64::MAX));
    }
    name!(t, row, sandbox_cmd_cpus, "no command", EFAULT, || sandbox_cmd_cpus(null_mut(), [1].as_ptr(), 1).into());
    let words = [1u64; 129];
    for (count, expected) in [(0, EINVAL), (1, 0), (128, 0), (129, EINVAL), (usize::MAX, EINVAL), (usize::MAX / 8, EINVAL)] {
        name!(t, setter, sandbox_cmd_cpus, &format!("{count} words"), expected, |cmd| sandbox_cmd_cpus(cmd, words.as_ptr(), count));
        name!(t, setter, sandbox_cmd_cpus, &format!("NULL, {count} words"), EFAULT, |cmd| sandbox_cmd_cpus(cmd, null(), count));
    }
    name!(t, setter, sandbox_cmd_cpus, "no bit", EINVAL, |cmd| sandbox_cmd_cpus(cmd, [0u64; 4].as_ptr(), 4));
}

fn namespaces(t: &mut Table) {
    name!(t, row, sandbox_cmd_unshare, "no command", EFAULT, || sandbox_cmd_unshare(null_mut(), 0).into());
    for (bits, expected) in [(0, 0), (0x7e02_0080, 0), (1, EINVAL), (0x100, EINVAL), (1 << 32, EINVAL), (u64::MAX, EINVAL)] {
        name!(t, setter, sandbox_cmd_unshare, &format!("{bits:#x}"), expected, |cmd| sandbox_cmd_unshare(cmd, bits));
    }
    name!(t, row, sandbox_cmd_map_uid, "no command", EFAULT, || sandbox_cmd_map_uid(null_mut(), 0, 0, 1).into());
    name!(t, row, sandbox_cmd_map_gid, "no command", EFAULT, || sandbox_cmd_map_gid(null_mut(), 0, 0, 1).into());
    for (inside, outside, count, expected) in [(0, 0, 1, 0), (0, 0, 0, EINVAL), (u32::MAX, 0, 1, EINVAL), (0, u32::MAX, 2, EINVAL), (1, 1, u32::MAX, EINVAL)] {
        let case = format!("{inside} {outside} {count}");
        name!(t, setter, sandbox_cmd_map_uid, &case, expected, |cmd| sandbox_cmd_map_uid(cmd, inside, outside, count));
        name!(t, setter, sandbox_cmd_map_gid, &case, expected, |cmd| sandbox_cmd_map_gid(cmd, inside, outside, count));
    }
    let many = |map: extern "C" fn(*mut sandbox_cmd, u32, u32, u32) -> c_int, cmd| (0..1000).map(|id| map(cmd, id, id, 1)).find(|code| *code < 0).unwrap_or(0);
    name!(t, setter, sandbox_cmd_map_uid, "a thousand", EINVAL, |cmd| many(sandbox_cmd_map_uid, cmd));
    name!(t, setter, sandbox_cmd_map_gid, "a thousand", EINVAL, |cmd| many(sandbox_cmd_map_gid, cmd));
}

fn landlock(t: &mut Table) {
    name!(t, row, sandbox_cmd_landlock_path, "no command", EFAULT, || sandbox_cmd_landlock_path(null_mut(), c"/".as_ptr(), 4).into());
    name!(t, row, sandbox_cmd_landlock_port, "no command", EFAULT, || sandbox_cmd_landlock_port(null_mut(), 80, 1).into());
    name!(t, row, sandbox_cmd_landlock_scope, "no command", EFAULT, || sandbox_cmd_landlock_scope(null_mut(), 1).into());
    name!(t, setter, sandbox_cmd_landlock_path, "NULL", EFAULT, |cmd| sandbox_cmd_landlock_path(cmd, null(), 4));
    for (case, text) in strings() {
        let expected = if text.count_bytes() > 4095 { ENAMETOOLONG } else { 0 };
        name!(t, setter, sandbox_cmd_landlock_path, case, expected, |cmd| sandbox_cmd_landlock_path(cmd, text.as_ptr(), 4));
    }
    for (access, expected) in [(0, 0), (0xffff, 0), (0x10000, EINVAL), (1 << 32, EINVAL), (u64::MAX, EINVAL)] {
        name!(t, setter, sandbox_cmd_landlock_path, &format!("{access:#x}"), expected, |cmd| sandbox_cmd_landlock_path(cmd, c"/".as_ptr(), access));
    }
    for (bits, expected) in [(0, 0), (3, 0), (4, EINVAL), (1 << 63, EINVAL), (u64::MAX, EINVAL)] {
        name!(t, setter, sandbox_cmd_landlock_port, &format!("{bits:#x}"), expected, |cmd| sandbox_cmd_landlock_port(cmd, 65_535, bits));
        name!(t, setter, sandbox_cmd_landlock_scope, &format!("{bits:#x}"), expected, |cmd| sandbox_cmd_landlock_scope(cmd, bits));
    }
}

fn identity(t: &mut Table) {
    name!(t, row, sandbox_cmd_caps, "no command", EFAULT, || sandbox_cmd_caps(null_mut(), 0, 0).into());
    for (keep, ambient, expected) in [(0, 0, 0), (u64::MAX, u64::MAX, 0), (6, 2, 0), (2, 6, EINVAL), (0, 1, EINVAL), (1 << 63, u64::MAX, EINVAL)] {
        name!(t, setter, sandbox_cmd_caps, &format!("{keep:#x} {ambient:#x}"), expected, |cmd| sandbox_cmd_caps(cmd, keep, ambient));
    }
    name!(t, row, sandbox_cmd_user, "no command", EFAULT, || sandbox_cmd_user(null_mut(), 0, 0).into());
    for (uid, gid, expected) in [(0, 0, 0), (u32::MAX - 1, u32::MAX - 1, 0), (u32::MAX, 0, EINVAL), (0, u32::MAX, EINVAL)] {
        name!(t, setter, sandbox_cmd_user, &format!("{uid} {gid}"), expected, |cmd| sandbox_cmd_user(cmd, uid, gid));
    }
    name!(t, row, sandbox_cmd_groups, "no command", EFAULT, || sandbox_cmd_groups(null_mut(), null(), 0).into());
    let groups = vec![3u32; 65_537];
    for (count, null_gives, expected) in [(0, 0, 0), (1, EFAULT, 0), (65_536, EFAULT, 0), (65_537, EFAULT, EINVAL), (usize::MAX, EFAULT, EINVAL)] {
        name!(t, setter, sandbox_cmd_groups, &format!("{count} groups"), expected, |cmd| sandbox_cmd_groups(cmd, groups.as_ptr(), count));
        name!(t, setter, sandbox_cmd_groups, &format!("NULL, {count} groups"), null_gives, |cmd| sandbox_cmd_groups(cmd, null(), count));
    }
    name!(t, row, sandbox_cmd_join, "no command", EFAULT, || sandbox_cmd_join(null_mut(), 0).into());
    for number in [-1000, -1, 0, 1, 65_536, i32::MAX] {
        let is_open = unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }; // SAFETY: a number
        name!(t, setter, sandbox_cmd_join, &format!("fd {number}"), if is_open { EINVAL } else { EBADF }, |cmd| sandbox_cmd_join(cmd, number));
    }
    let uts = File::open("/proc/self/ns/uts").unwrap();
    name!(t, setter, sandbox_cmd_join, "once", 0, |cmd| sandbox_cmd_join(cmd, uts.as_raw_fd()));
    name!(t, setter, sandbox_cmd_join, "twice", EINVAL, |cmd| sandbox_cmd_join(cmd, uts.as_raw_fd()) + sandbox_cmd_join(cmd, uts.as_raw_fd()));
    name!(t, row, sandbox_cmd_time_offset, "no command", EFAULT, || sandbox_cmd_time_offset(null_mut(), 1, 0, 0).into());
    for (clock, seconds, nanoseconds, expected) in [(1, i64::MIN, 0, 0), (7, i64::MAX, 999_999_999, 0), (7, 0, 1_000_000_000, EINVAL), (0, 0, 0, EINVAL), (u32::MAX, 0, 0, EINVAL)] {
        name!(t, setter, sandbox_cmd_time_offset, &format!("{clock} {seconds} {nanoseconds}"), expected, |cmd| sandbox_cmd_time_offset(cmd, clock, seconds, nanoseconds));
    }
    type Name = extern "C" fn(*mut sandbox_cmd, *const c_char) -> c_int;
    for (function, setter) in [("sandbox_cmd_hostname", sandbox_cmd_hostname as Name), ("sandbox_cmd_domainname", sandbox_cmd_domainname)] {
        t.row(function, "no command", EFAULT, &|| setter(null_mut(), c"a".as_ptr()).into());
        t.setter(function, "NULL", EFAULT, &|cmd| setter(cmd, null()));
        for (case, text) in strings() {
            t.setter(function, case, if text.count_bytes() > 64 { ENAMETOOLONG } else { 0 }, &|cmd| setter(cmd, text.as_ptr()));
        }
    }
    name!(t, setter, sandbox_cmd_groups, "no id", EINVAL, |cmd| sandbox_cmd_groups(cmd, [1, u32::MAX].as_ptr(), 2));
}

fn mounts(t: &mut Table) {
    const ENOENT: i64 = -(libc::ENOENT as i64);
    type At = extern "C" fn(*mut sandbox_cmd, *const c_char) -> c_int;
    extern "C" fn root(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_root(cmd, at, 1)
    }
    extern "C" fn bind(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_bind(cmd, c"/".as_ptr(), at, 255)
    }
    extern "C" fn source(cmd: *mut sandbox_cmd, from: *const c_char) -> c_int {
        sandbox_cmd_bind(cmd, from, c"a".as_ptr(), 0)
    }
    extern "C" fn bind_fd(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_bind_fd(cmd, 0, at, 0)
    }
    extern "C" fn tmpfs(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_tmpfs(cmd, at, u64::MAX, 0o1777)
    }
    extern "C" fn proc(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_proc(cmd, at, 0x1c)
    }
    extern "C" fn overlay(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_overlay(cmd, [c"/".as_ptr(), null()].as_ptr(), null(), null(), at)
    }
    extern "C" fn lower(cmd: *mut sandbox_cmd, lower: *const c_char) -> c_int {
        sandbox_cmd_overlay(cmd, [lower, null()].as_ptr(), c"u".as_ptr(), c"w".as_ptr(), c"a".as_ptr())
    }
    extern "C" fn file(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_file(cmd, at, null(), 0, 0o777)
    }
    extern "C" fn dir(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_dir(cmd, at, 0)
    }
    extern "C" fn symlink(cmd: *mut sandbox_cmd, at: *const c_char) -> c_int {
        sandbox_cmd_symlink(cmd, c"..".as_ptr(), at)
    }
    extern "C" fn symlink_to(cmd: *mut sandbox_cmd, text: *const c_char) -> c_int {
        sandbox_cmd_symlink(cmd, text, c"a".as_ptr())
    }
    // Whether NULL is allowed, and "/".
    for (function, set, null_code, slash) in [
        ("sandbox_cmd_root", root as At, 0, 0), ("sandbox_cmd_bind", bind, EFAULT, EINVAL), ("sandbox_cmd_bind", source, EFAULT, 0),
        ("sandbox_cmd_bind_fd", bind_fd, EFAULT, EINVAL), ("sandbox_cmd_tmpfs", tmpfs, EFAULT, EINVAL),
        ("sandbox_cmd_proc", proc, EFAULT, EINVAL), ("sandbox_cmd_mqueue", sandbox_cmd_mqueue, EFAULT, EINVAL),
        ("sandbox_cmd_dev", sandbox_cmd_dev, EFAULT, EINVAL), ("sandbox_cmd_overlay", overlay, EFAULT, EINVAL),
        ("sandbox_cmd_overlay", lower, EINVAL, 0), ("sandbox_cmd_file", file, EFAULT, EINVAL), ("sandbox_cmd_dir", dir, EFAULT, EINVAL),
        ("sandbox_cmd_symlink", symlink, EFAULT, EINVAL), ("sandbox_cmd_symlink", symlink_to, EFAULT, 0),
        ("sandbox_cmd_mask", sandbox_cmd_mask, EFAULT, EINVAL),
    ] {
        t.row(function, "no command", EFAULT, &|| set(null_mut(), c"/a".as_ptr()).into());
        t.setter(function, "NULL", null_code, &|cmd| set(cmd, null()));
        let may_be_root = ["sandbox_cmd_bind", "sandbox_cmd_bind_fd", "sandbox_cmd_tmpfs", "sandbox_cmd_overlay"].contains(&function);
        let root = if may_be_root && slash == EINVAL { 0 } else { slash };
        t.setter(function, "a slash", root, &|cmd| set(cmd, c"/".as_ptr()));
        t.setter(function, "slashes and dots", root, &|cmd| set(cmd, c"//./".as_ptr()));
        t.setter(function, "out of it", slash, &|cmd| set(cmd, c"/a/../b".as_ptr()));
        t.setter(function, "three dots", 0, &|cmd| set(cmd, c".../..a/b..".as_ptr()));
        for (case, text) in strings() {
            let expected = match text.count_bytes() {
                0 => ENOENT,
                1..=4095 => 0,
                _ => ENAMETOOLONG,
            };
            t.setter(function, case, expected, &|cmd| set(cmd, text.as_ptr()));
        }
    }
    let at = c"/a".as_ptr();
    for flags in [256, 0x8000_0000, 1 << 32, u64::MAX] {
        name!(t, setter, sandbox_cmd_root, &format!("flags {flags:#x}"), EINVAL, |cmd| sandbox_cmd_root(cmd, null(), flags));
        name!(t, setter, sandbox_cmd_bind, &format!("flags {flags:#x}"), EINVAL, |cmd| sandbox_cmd_bind(cmd, at, at, flags));
        name!(t, setter, sandbox_cmd_bind_fd, &format!("flags {flags:#x}"), EINVAL, |cmd| sandbox_cmd_bind_fd(cmd, 0, at, flags));
        name!(t, setter, sandbox_cmd_proc, &format!("flags {flags:#x}"), EINVAL, |cmd| sandbox_cmd_proc(cmd, at, flags));
    }
    name!(t, setter, sandbox_cmd_root, "optional", EINVAL, |cmd| sandbox_cmd_root(cmd, at, 4));
    for flags in [3, 5, 6, 7, 64] {
        name!(t, setter, sandbox_cmd_proc, "two ways to hide", EINVAL, |cmd| sandbox_cmd_proc(cmd, at, flags));
    }
    for mode in [0o2000, 0o10000, u32::MAX] {
        name!(t, setter, sandbox_cmd_tmpfs, "a mode", EINVAL, |cmd| sandbox_cmd_tmpfs(cmd, at, 0, mode));
        name!(t, setter, sandbox_cmd_dir, "a mode", EINVAL, |cmd| sandbox_cmd_dir(cmd, at, mode));
        name!(t, setter, sandbox_cmd_file, "a mode", EINVAL, |cmd| sandbox_cmd_file(cmd, at, null(), 0, mode));
    }
    name!(t, setter, sandbox_cmd_file, "a sticky file", EINVAL, |cmd| sandbox_cmd_file(cmd, at, null(), 0, 0o1000));
    name!(t, setter, sandbox_cmd_file, "NULL with a length", EFAULT, |cmd| sandbox_cmd_file(cmd, at, null(), 1, 0));
    name!(t, setter, sandbox_cmd_file, "an endless one", E2BIG, |cmd| sandbox_cmd_file(cmd, at, c"".as_ptr().cast(), usize::MAX, 0));
    name!(t, row, sandbox_cmd_data, "no command", EFAULT, || sandbox_cmd_data(null_mut(), at, null(), 0, 0, 0).into());
    for flags in [2, 5, 6, 7, 8, u64::MAX] {
        name!(t, setter, sandbox_cmd_data, "flags", EINVAL, |cmd| sandbox_cmd_data(cmd, at, null(), 0, 0, flags));
    }
    name!(t, setter, sandbox_cmd_data, "a mode", EINVAL, |cmd| sandbox_cmd_data(cmd, at, null(), 0, 0o10000, 1));
    name!(t, setter, sandbox_cmd_data, "one mounted", 0, |cmd| sandbox_cmd_data(cmd, at, null(), 0, 0o4755, 3));
    name!(t, row, sandbox_cmd_devpts, "no command", EFAULT, || sandbox_cmd_devpts(null_mut(), at).into());
    name!(t, setter, sandbox_cmd_devpts, "NULL", EFAULT, |cmd| sandbox_cmd_devpts(cmd, null()));
    name!(t, setter, sandbox_cmd_devpts, "the root", EINVAL, |cmd| sandbox_cmd_devpts(cmd, c"/".as_ptr()));
    name!(t, row, sandbox_cmd_chmod, "no command", EFAULT, || sandbox_cmd_chmod(null_mut(), at, 0).into());
    name!(t, setter, sandbox_cmd_chmod, "a mode", EINVAL, |cmd| sandbox_cmd_chmod(cmd, at, 0o10000));
    name!(t, setter, sandbox_cmd_chmod, "the root", 0, |cmd| sandbox_cmd_chmod(cmd, c"/".as_ptr(), 0));
    name!(t, row, sandbox_cmd_remount, "no command", EFAULT, || sandbox_cmd_remount(null_mut(), at, 0).into());
    for flags in [1, 4, 32, 64, 256] {
        name!(t, setter, sandbox_cmd_remount, "flags", EINVAL, |cmd| sandbox_cmd_remount(cmd, at, flags));
    }
    name!(t, setter, sandbox_cmd_remount, "the root", 0, |cmd| sandbox_cmd_remount(cmd, c"/".as_ptr(), 2 | 8 | 16));
    name!(t, row, sandbox_cmd_overlay_ro, "no command", EFAULT, || sandbox_cmd_overlay_ro(null_mut(), [at, at, null()].as_ptr(), at).into());
    name!(t, setter, sandbox_cmd_overlay_ro, "NULL for lowers", EFAULT, |cmd| sandbox_cmd_overlay_ro(cmd, null(), at));
    name!(t, setter, sandbox_cmd_overlay_ro, "one lower", EINVAL, |cmd| sandbox_cmd_overlay_ro(cmd, [at, null()].as_ptr(), at));
    name!(t, setter, sandbox_cmd_overlay_ro, "two", 0, |cmd| sandbox_cmd_overlay_ro(cmd, [at, at, null()].as_ptr(), at));
    name!(t, setter, sandbox_cmd_overlay, "no lowers", EINVAL, |cmd| sandbox_cmd_overlay(cmd, [null()].as_ptr(), null(), null(), at));
    name!(t, setter, sandbox_cmd_overlay, "NULL for lowers", EFAULT, |cmd| sandbox_cmd_overlay(cmd, null(), null(), null(), at));
    let many: Vec<*const c_char> = std::iter::repeat_n(at, 5000).chain([null()]).collect();
    name!(t, setter, sandbox_cmd_overlay, "too many lowers", EINVAL, |cmd| sandbox_cmd_overlay(cmd, many.as_ptr(), null(), null(), at));
    name!(t, setter, sandbox_cmd_overlay, "no work", EINVAL, |cmd| sandbox_cmd_overlay(cmd, [at, null()].as_ptr(), at, null(), at));
    name!(t, setter, sandbox_cmd_overlay, "no upper", EINVAL, |cmd| sandbox_cmd_overlay(cmd, [at, null()].as_ptr(), null(), at, at));
    name!(t, setter, sandbox_cmd_dir, "ten thousand and one", E2BIG, |cmd| (0..=10_000).map(|_| sandbox_cmd_dir(cmd, at, 0)).find(|code| *code < 0).unwrap_or(0));
    for number in NUMBERS {
        let expected = if unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 } { 0 } else { EBADF }; // SAFETY: a number
        name!(t, setter, sandbox_cmd_bind_fd, &format!("fd {number}"), expected, |cmd| sandbox_cmd_bind_fd(cmd, number, at, 0));
    }
}

fn preset(t: &mut Table) {
    name!(t, row, sandbox_cmd_preset, "no command", EFAULT, || sandbox_cmd_preset(null_mut(), 1).into());
    for (number, expected) in [(0, EINVAL), (1, 0), (2, 0), (3, 0), (4, EINVAL), (u32::MAX, EINVAL)] {
        name!(t, setter, sandbox_cmd_preset, &number.to_string(), expected, |cmd| sandbox_cmd_preset(cmd, number));
    }
    name!(t, setter, sandbox_cmd_preset, "twice", EINVAL, |cmd| sandbox_cmd_preset(cmd, 1) + sandbox_cmd_preset(cmd, 1));
}

fn fds(t: &mut Table) {
    let is_open = |fd: RawFd| unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }; // SAFETY: a number
    name!(t, row, sandbox_cmd_exec_fd, "no command", EFAULT, || sandbox_cmd_exec_fd(null_mut(), 0).into());
    name!(t, row, sandbox_cmd_pass_fd, "no command", EFAULT, || sandbox_cmd_pass_fd(null_mut(), 0, 5).into());
    name!(t, row, sandbox_cmd_stdio, "no command", EFAULT, || sandbox_cmd_stdio(null_mut(), 0, 0, 0).into());
    for number in NUMBERS {
        let expected = if is_open(number) { 0 } else { EBADF };
        name!(t, setter, sandbox_cmd_exec_fd, &format!("fd {number}"), expected, |cmd| sandbox_cmd_exec_fd(cmd, number));
        name!(t, setter, sandbox_cmd_pass_fd, &format!("fd {number}"), expected, |cmd| sandbox_cmd_pass_fd(cmd, number, 7));
        let target = if number < 0 { EINVAL } else { 0 };
        name!(t, setter, sandbox_cmd_pass_fd, &format!("target {number}"), target, |cmd| sandbox_cmd_pass_fd(cmd, 0, number));
        name!(t, setter, sandbox_cmd_stdio, &format!("target {number}"), EINVAL, |cmd| sandbox_cmd_stdio(cmd, number, 1, 0));
        name!(t, setter, sandbox_cmd_stdio, &format!("fd {number}"), expected, |cmd| sandbox_cmd_stdio(cmd, 1, 3, number));
        name!(t, setter, sandbox_cmd_stdio, &format!("fd {number} that is not looked at"), 0, |cmd| sandbox_cmd_stdio(cmd, 1, 1, number));
    }
    for mode in [5, 6, 100, 0x8000_0000, u32::MAX] {
        name!(t, setter, sandbox_cmd_stdio, &format!("mode {mode}"), EINVAL, |cmd| sandbox_cmd_stdio(cmd, 0, mode, 0));
    }
    name!(t, setter, sandbox_cmd_pass_fd, "a target twice", EINVAL, |cmd| sandbox_cmd_pass_fd(cmd, 0, 9) + sandbox_cmd_pass_fd(cmd, 1, 9));
    name!(t, setter, sandbox_cmd_pass_fd, "a target of stdio's", EINVAL, |cmd| sandbox_cmd_stdio(cmd, 1, 2, -1) + sandbox_cmd_pass_fd(cmd, 0, 1));
    name!(t, setter, sandbox_cmd_stdio, "a passed target", EINVAL, |cmd| sandbox_cmd_pass_fd(cmd, 0, 1) + sandbox_cmd_stdio(cmd, 1, 2, -1));
    name!(t, row, sandbox_cmd_on_maps, "no command", EFAULT, || sandbox_cmd_on_maps(null_mut(), Some(ready), null_mut()).into());
    name!(t, setter, sandbox_cmd_on_maps, "a function", 0, |cmd| sandbox_cmd_on_maps(cmd, Some(ready), null_mut()));
    name!(t, row, sandbox_cmd_init_fd, "no command", EFAULT, || sandbox_cmd_init_fd(null_mut(), 0).into());
    name!(t, setter, sandbox_cmd_init_fd, "no fd", EBADF, |cmd| sandbox_cmd_init_fd(cmd, -1));
    name!(t, setter, sandbox_cmd_init_fd, "an fd", 0, |cmd| sandbox_cmd_init_fd(cmd, 0));
    name!(t, row, sandbox_cmd_init_lock, "no command", EFAULT, || sandbox_cmd_init_lock(null_mut(), c"/".as_ptr()).into());
    name!(t, setter, sandbox_cmd_init_lock, "NULL", EFAULT, |cmd| sandbox_cmd_init_lock(cmd, null()));
    name!(t, setter, sandbox_cmd_init_lock, "a file", 0, |cmd| sandbox_cmd_init_lock(cmd, c"/x".as_ptr()));
    name!(t, row, sandbox_cmd_cwd_first, "no command", EFAULT, || sandbox_cmd_cwd_first(null_mut(), [c"/".as_ptr(), null()].as_ptr()).into());
    name!(t, setter, sandbox_cmd_cwd_first, "NULL", EFAULT, |cmd| sandbox_cmd_cwd_first(cmd, null()));
    name!(t, setter, sandbox_cmd_cwd_first, "none", EINVAL, |cmd| sandbox_cmd_cwd_first(cmd, [null()].as_ptr()));
    name!(t, setter, sandbox_cmd_cwd_first, "one", 0, |cmd| sandbox_cmd_cwd_first(cmd, [c"/".as_ptr(), null()].as_ptr()));
    name!(t, row, sandbox_cmd_on_ready, "no command", EFAULT, || sandbox_cmd_on_ready(null_mut(), Some(ready), null_mut()).into());
    name!(t, setter, sandbox_cmd_on_ready, "NULL", 0, |cmd| sandbox_cmd_on_ready(cmd, None, 1 as *mut _));
    name!(t, setter, sandbox_cmd_on_ready, "a function", 0, |cmd| sandbox_cmd_on_ready(cmd, Some(ready), null_mut()));
    name!(t, row, sandbox_cmd_pre_exec, "no command", EFAULT, || sandbox_cmd_pre_exec(null_mut(), Some(pre_exec), null_mut()).into());
    name!(t, setter, sandbox_cmd_pre_exec, "NULL", 0, |cmd| sandbox_cmd_pre_exec(cmd, None, 1 as *mut _));
    name!(t, setter, sandbox_cmd_pre_exec, "a function", 0, |cmd| sandbox_cmd_pre_exec(cmd, Some(pre_exec), null_mut()));
}

fn spawns(t: &mut Table) {
    let cmd = sandbox_cmd_new(c"/bin/true".as_ptr());
    name!(t, row, sandbox_cmd_explain, "no command", EFAULT, || sandbox_cmd_explain(null(), null_mut(), 0, null_mut()).into());
    name!(t, row, sandbox_cmd_explain, "NULL with a size", EFAULT, || sandbox_cmd_explain(cmd, null_mut(), 1, null_mut()).into());
    let length = sandbox_cmd_explain(cmd, null_mut(), 0, null_mut());
    assert!(length > 100);
    for size in [1, 2, 10, length.unsigned_abs() as usize, 4000, usize::MAX] {
        name!(t, row, sandbox_cmd_explain, &format!("{size} bytes"), length.into(), || {
            let mut buffer = [0xaau8; 4096];
            let told = sandbox_cmd_explain(cmd, buffer.as_mut_ptr().cast(), size, null_mut());
            let end = buffer.iter().position(|byte| *byte == 0).unwrap();
            assert_eq!(end, (size - 1).min(length.unsigned_abs() as usize));
            assert!(buffer[end + 1..].iter().all(|byte| *byte == 0xaa));
            told.into()
        });
    }
    let mut error = none();
    error.code = 7;
    assert_eq!(sandbox_cmd_explain(cmd, null_mut(), 0, &raw mut error), length);
    assert_eq!((error.code, message(&error).as_str()), (0, ""));
    name!(t, row, sandbox_spawn, "NULL, NULL, NULL", EFAULT, || sandbox_spawn(null(), null_mut(), null_mut()).into());
    name!(t, row, sandbox_spawn, "no place for the child", EFAULT, || sandbox_spawn(cmd, null_mut(), null_mut()).into());
    name!(t, row, sandbox_spawn, "no command", EFAULT, || {
        let (mut child, mut error) = (8 as *mut _, none());
        let code = sandbox_spawn(null(), &raw mut child, &raw mut error);
        assert!(child.is_null() && error.code == code && error.stage == 1);
        code.into()
    });
    name!(t, row, sandbox_spawn, "a child", 0, || {
        let (mut child, mut error) = (null_mut(), none());
        error.code = 7;
        let code = sandbox_spawn(cmd, &raw mut child, &raw mut error);
        assert_eq!((error.code, end_of(child)), (0, 0));
        sandbox_child_free(child);
        code.into()
    });
    for (case, program, errno) in [
        ("no such program", c"/nowhere/at/all", libc::ENOENT), ("a directory", c"/", libc::EACCES), ("no program", c"/etc/passwd", libc::EACCES),
        ("an empty name", c"", libc::ENOENT), ("no such name", c"no-such-name-anywhere", libc::ENOENT), ("no directory", c"/etc/passwd/x", libc::ENOTDIR),
    ] {
        name!(t, row, sandbox_spawn, case, -i64::from(errno), || {
            let cmd = sandbox_cmd_new(program.as_ptr());
            sandbox_cmd_env(cmd, c"PATH".as_ptr(), c"/usr/bin:/bin".as_ptr()); // the caller's may be closed to this user
            let (mut child, mut error) = (null_mut(), none());
            let code = sandbox_spawn(cmd, &raw mut child, &raw mut error);
            assert!(child.is_null());
            assert_eq!((error.code, error.stage), (code, 23));
            sandbox_cmd_free(cmd);
            code.into()
        });
    }
    sandbox_cmd_free(cmd);
}

fn child(t: &mut Table) {
    let mut room = [0xaau8; 512];
    name!(t, row, sandbox_child_pid, "NULL", EFAULT, || sandbox_child_pid(null()).into());
    name!(t, row, sandbox_child_fds, "NULL", EFAULT, || sandbox_child_fds(null(), null_mut(), 0).into());
    name!(t, row, sandbox_child_take_fd, "NULL", EFAULT, || sandbox_child_take_fd(null_mut(), 0).into());
    name!(t, row, sandbox_child_wait, "NULL", EFAULT, || sandbox_child_wait(null_mut(), 0, null_mut(), 0).into());
    name!(t, row, sandbox_child_wait_exec, "NULL", EFAULT, || sandbox_child_wait_exec(null_mut(), 0, null_mut()).into());
    name!(t, row, sandbox_child_kill, "NULL", EFAULT, || sandbox_child_kill(null_mut(), 9).into());
    name!(t, row, sandbox_child_detach, "NULL", EFAULT, || sandbox_child_detach(null_mut()).into());
    name!(t, row, sandbox_child_free, "NULL", 0, || { sandbox_child_free(null_mut()); 0 });
    name!(t, child, sandbox_child_pid, "a child", 1, |child| (sandbox_child_pid(child) > 1).into());
    name!(t, child, sandbox_child_fds, "NULL with a size", EFAULT, |child| sandbox_child_fds(child, null_mut(), 4).into());
    name!(t, child, sandbox_child_fds, "NULL with an endless size", EFAULT, |child| sandbox_child_fds(child, null_mut(), usize::MAX).into());
    name!(t, child, sandbox_child_wait, "NULL with a size", EFAULT, |child| sandbox_child_wait(child, 0, null_mut(), 4).into());
    let at = room.as_mut_ptr();
    for size in [4097, 1 << 32, usize::MAX / 2, usize::MAX] {
        name!(t, child, sandbox_child_fds, &format!("{size} bytes"), EINVAL, |child| sandbox_child_fds(child, at.cast(), size).into());
        name!(t, child, sandbox_child_wait, &format!("{size} bytes"), EINVAL, |child| {
            sandbox_child_kill(child, 9);
            sandbox_child_wait(child, -1, at.cast(), size).into()
        });
    }
    for size in [0, 1, 3, 4, 27, 28, 29, 72, 73, 80, 88, 200, 511] {
        let filled = |call: &dyn Fn(*mut u8) -> c_int, own: usize| {
            let mut room = [0xaau8; 512];
            let code = call(room.as_mut_ptr());
            assert!(room[size..].iter().all(|byte| *byte == 0xaa), "wrote behind {size} bytes");
            assert!(size <= own || room[own..size].iter().all(|byte| *byte == 0), "did not zero up to {size} bytes");
            i64::from(code)
        };
        name!(t, child, sandbox_child_fds, &format!("{size} bytes"), 0, |child| filled(&|to| sandbox_child_fds(child, to.cast(), size), 28));
        name!(t, child, sandbox_child_wait, &format!("{size} bytes"), 0, |child| {
            sandbox_child_kill(child, 9);
            filled(&|to| sandbox_child_wait(child, -1, to.cast(), size), 72)
        });
    }
    for (timeout, expected) in [(i64::MIN, EINVAL), (-2, EINVAL), (0, ETIMEDOUT), (1, ETIMEDOUT)] {
        name!(t, child, sandbox_child_wait, &format!("timeout {timeout}"), expected, |child| sandbox_child_wait(child, timeout, null_mut(), 0).into());
    }
    for timeout in [-1, 0, i64::MAX] {
        name!(t, child, sandbox_child_wait, &format!("ended, timeout {timeout}"), 0, |child| {
            sandbox_child_kill(child, 9);
            assert_eq!(sandbox_child_wait(child, i64::MAX, null_mut(), 0), 0);
            sandbox_child_wait(child, timeout, null_mut(), 0).into()
        });
    }
    for (timeout, expected) in [(i64::MIN, EINVAL), (-2, EINVAL), (-1, 0), (0, 0), (i64::MAX, 0)] {
        name!(t, child, sandbox_child_wait_exec, &format!("timeout {timeout}"), expected, |child| sandbox_child_wait_exec(child, timeout, null_mut()).into());
    }
    for signal in [i32::MIN, -1, 65, 1000, i32::MAX] {
        name!(t, child, sandbox_child_kill, &format!("signal {signal}"), EINVAL, |child| sandbox_child_kill(child, signal).into());
    }
    for signal in [0, 1, 9, 19, 64] {
        name!(t, child, sandbox_child_kill, &format!("signal {signal}"), 0, |child| sandbox_child_kill(child, signal).into());
    }
    name!(t, child, sandbox_child_kill, "ended", ESRCH, |child| {
        sandbox_child_kill(child, 9);
        sandbox_child_wait(child, -1, null_mut(), 0);
        sandbox_child_kill(child, 9).into()
    });
    for (which, expected) in [(1, EBADF), (2, EBADF), (4, EBADF), (5, EBADF), (6, EBADF), (7, EINVAL), (8, EINVAL), (1 << 31, EINVAL), (u32::MAX, EINVAL)] {
        name!(t, child, sandbox_child_take_fd, &format!("fd {which}"), expected, |child| sandbox_child_take_fd(child, which).into());
    }
    for which in [0, 3] {
        name!(t, child, sandbox_child_take_fd, &format!("fd {which}, twice"), EBADF, |child| {
            let taken = sandbox_child_take_fd(child, which);
            assert!(taken > 2);
            // SAFETY: ours now.
            unsafe { libc::close(taken) };
            sandbox_child_take_fd(child, which).into()
        });
    }
    name!(t, child, sandbox_child_detach, "twice", 0, |child| {
        let code = sandbox_child_detach(child) + sandbox_child_detach(child);
        sandbox_child_kill(child, 9);
        sandbox_child_wait(child, -1, null_mut(), 0);
        code.into()
    });
    for stage in [0, 26, 27, 1000, 1 << 31, u32::MAX] {
        name!(t, row, sandbox_stage_name, &format!("stage {stage}"), 1, || (!text_of(sandbox_stage_name(stage)).is_empty()).into());
    }
    let at: *mut u8 = room.as_mut_ptr();
    for (size, expected) in [(1, EFAULT), (usize::MAX, EFAULT)] {
        name!(t, row, sandbox_probe, &format!("NULL, {size} bytes"), expected, || sandbox_probe(null_mut(), size).into());
    }
    for (size, expected) in [(0, 0), (1, 0), (500, 0), (4097, EINVAL), (usize::MAX, EINVAL)] {
        name!(t, row, sandbox_probe, &format!("{size} bytes"), expected, || sandbox_probe(at.cast(), size).into());
    }
    name!(t, row, sandbox_version, "the version", 1, || (!text_of(sandbox_version()).is_empty()).into());
}

const ALLOW: u32 = 0x7fff_0000;
const NOTIFY: u32 = 0x7fc0_0000;

/// A setter on a filter of its own. Its failure is latched, and refuses the filter wherever it is used.
fn filter_setter(t: &mut Table, function: &'static str, case: &str, expected: i64, set: &dyn Fn(*mut sandbox_filter) -> c_int) {
    t.row(function, case, expected, &|| {
        let filter = sandbox_filter_new(ALLOW);
        let code = set(filter);
        if code < 0 {
            let cmd = sandbox_cmd_new(c"/bin/true".as_ptr());
            let call = sandbox_syscall { arch: 0, nr: 0, ip: 0, args: [0; 6] };
            let mut action = 0;
            assert_eq!(sandbox_filter_simulate(filter, &raw const call, &raw mut action), code);
            assert_eq!(sandbox_filter_export(filter, -1), code);
            assert_eq!(sandbox_cmd_filter(cmd, filter), code);
            assert_eq!(sandbox_cmd_error(cmd, null_mut()), code);
            sandbox_cmd_free(cmd);
        }
        sandbox_filter_free(filter);
        code.into()
    });
}

type Reader = extern "C" fn(*mut sandbox_filter, *const c_char, usize, *mut sandbox_error) -> c_int;

fn filters(t: &mut Table) {
    name!(t, row, sandbox_filter_free, "NULL", 0, || { sandbox_filter_free(null_mut()); 0 });
    for (action, expected) in [(ALLOW, 0), (0x8000_0000, 0), (0x0005_0000 | 4095, 0), (1 << 20, EINVAL), (u32::MAX, EINVAL), (0x7fff_8000, EINVAL)] {
        name!(t, row, sandbox_filter_new, &format!("action {action:#x}"), expected, || {
            let (filter, cmd) = (sandbox_filter_new(action), sandbox_cmd_new(c"/bin/true".as_ptr()));
            let code = sandbox_cmd_filter(cmd, filter);
            sandbox_filter_free(filter);
            sandbox_cmd_free(cmd);
            code.into()
        });
    }
    let arg = |index, op| sandbox_arg { index, op, value: u64::MAX, mask: u64::MAX };
    let read = c"read".as_ptr();
    name!(t, row, sandbox_filter_rule, "no filter", EFAULT, || sandbox_filter_rule(null_mut(), ALLOW, read, null(), 0).into());
    filter_setter(t, "sandbox_filter_rule", "NULL", EFAULT, &|filter| sandbox_filter_rule(filter, ALLOW, null(), null(), 0));
    filter_setter(t, "sandbox_filter_rule", "NULL with a count", EFAULT, &|filter| sandbox_filter_rule(filter, ALLOW, read, null(), 1));
    filter_setter(t, "sandbox_filter_rule", "NULL with an endless count", EFAULT, &|filter| sandbox_filter_rule(filter, ALLOW, read, null(), usize::MAX));
    filter_setter(t, "sandbox_filter_rule", "an endless count", EINVAL, &|filter| sandbox_filter_rule(filter, 0, read, &raw const *&arg(0, 1), usize::MAX));
    filter_setter(t, "sandbox_filter_rule", "33 comparisons", EINVAL, &|filter| sandbox_filter_rule(filter, 0, read, [0; 33].map(|_| arg(0, 1)).as_ptr(), 33));
    filter_setter(t, "sandbox_filter_rule", "32 comparisons", 0, &|filter| sandbox_filter_rule(filter, 0, read, [0; 32].map(|_| arg(0, 1)).as_ptr(), 32));
    for (index, op, expected) in [(0, 1, 0), (5, 7, 0), (6, 1, EINVAL), (u32::MAX, 1, EINVAL), (0, 0, EINVAL), (0, 8, EINVAL), (0, u32::MAX, EINVAL)] {
        let case = format!("argument {index}, comparison {op}");
        filter_setter(t, "sandbox_filter_rule", &case, expected, &|filter| sandbox_filter_rule(filter, 0, read, &raw const *&arg(index, op), 1));
    }
    for (case, text) in strings() {
        filter_setter(t, "sandbox_filter_rule", case, EINVAL, &|filter| sandbox_filter_rule(filter, 0, text.as_ptr(), null(), 0));
        filter_setter(t, "sandbox_filter_arch", case, EINVAL, &|filter| sandbox_filter_arch(filter, text.as_ptr()));
    }
    for number in [c"-1", c"99999999999999999999", c"0x10", c" 1", c"1 "] {
        filter_setter(t, "sandbox_filter_rule", &format!("call {number:?}"), EINVAL, &|filter| sandbox_filter_rule(filter, 0, number.as_ptr(), null(), 0));
    }
    filter_setter(t, "sandbox_filter_rule", "an unknown action", EINVAL, &|filter| sandbox_filter_rule(filter, 1, read, null(), 0));
    name!(t, row, sandbox_filter_arch, "no filter", EFAULT, || sandbox_filter_arch(null_mut(), c"x86_64".as_ptr()).into());
    filter_setter(t, "sandbox_filter_arch", "NULL", EFAULT, &|filter| sandbox_filter_arch(filter, null()));
    name!(t, row, sandbox_filter_flags, "no filter", EFAULT, || sandbox_filter_flags(null_mut(), 0).into());
    name!(t, row, sandbox_filter_deny, "no filter", EFAULT, || sandbox_filter_deny(null_mut(), 1).into());
    for (bits, flags, deny) in [(0, 0, 0), (1, EINVAL, 0), (2, 0, 0), (1 << 20, EINVAL, EINVAL), (1 << 63, EINVAL, EINVAL), (u64::MAX, EINVAL, EINVAL)] {
        filter_setter(t, "sandbox_filter_flags", &format!("{bits:#x}"), flags, &|filter| sandbox_filter_flags(filter, bits));
        filter_setter(t, "sandbox_filter_deny", &format!("{bits:#x}"), deny, &|filter| sandbox_filter_deny(filter, bits));
    }
    name!(t, row, sandbox_filter_deny_ioctl, "no filter", EFAULT, || sandbox_filter_deny_ioctl(null_mut(), 0).into());
    name!(t, row, sandbox_filter_deny_setsockopt, "no filter", EFAULT, || sandbox_filter_deny_setsockopt(null_mut(), 0, 0).into());
    for number in [0, 1, u32::MAX] {
        filter_setter(t, "sandbox_filter_deny_ioctl", &format!("{number}"), 0, &|filter| sandbox_filter_deny_ioctl(filter, number));
        filter_setter(t, "sandbox_filter_deny_setsockopt", &format!("{number}"), 0, &|filter| sandbox_filter_deny_setsockopt(filter, number, number));
    }
    for (function, reader) in [("sandbox_filter_policy", sandbox_filter_policy as Reader), ("sandbox_filter_oci", sandbox_filter_oci)] {
        t.row(function, "no filter", EFAULT, &|| reader(null_mut(), c"".as_ptr(), 0, null_mut()).into());
        for length in [1, 1 << 20, usize::MAX] {
            filter_setter(t, function, &format!("NULL, {length} bytes"), EFAULT, &|filter| reader(filter, null(), length, null_mut()));
        }
        for length in [(1 << 24) + 1, 1 << 40, usize::MAX] {
            filter_setter(t, function, &format!("{length} bytes"), E2BIG, &|filter| reader(filter, read, length, null_mut()));
        }
        let nested = [b"[".repeat(100_000), b"{\"a\":".repeat(100_000), b"read: ".to_vec(), b"(".repeat(100_000), [b"read: ".to_vec(), b"(".repeat(100_000)].concat()];
        let bytes = [vec![0; 100], vec![0xff; 100], b"\0\xf0\x80".to_vec(), b"read: arg0 ==".to_vec(), b"no_such_call: 1".to_vec(), b"@include /etc/passwd".to_vec(), b"{\"syscalls\":[1]}".to_vec()];
        for text in nested.iter().chain(&bytes) {
            let case = String::from_utf8_lossy(&text[..text.len().min(16)]).escape_debug().to_string();
            filter_setter(t, function, &case, EINVAL, &|filter| {
                let mut error = none();
                let code = reader(filter, text.as_ptr().cast(), text.len(), &raw mut error);
                assert_eq!((error.code, message(&error).is_empty()), (code, code == 0));
                code
            });
        }
    }
    filter_setter(t, "sandbox_filter_policy", "nothing", 0, &|filter| sandbox_filter_policy(filter, null(), 0, null_mut()));
    filter_setter(t, "sandbox_filter_oci", "nothing", EINVAL, &|filter| sandbox_filter_oci(filter, null(), 0, null_mut()));
    name!(t, row, sandbox_filter_policy_directory, "no filter", EFAULT, || sandbox_filter_policy_directory(null_mut(), read).into());
    filter_setter(t, "sandbox_filter_policy_directory", "NULL", EFAULT, &|filter| sandbox_filter_policy_directory(filter, null()));
    for (case, text) in strings() {
        filter_setter(t, "sandbox_filter_policy_directory", case, 0, &|filter| sandbox_filter_policy_directory(filter, text.as_ptr()));
    }
    name!(t, row, sandbox_filter_oci_capabilities, "no filter", EFAULT, || sandbox_filter_oci_capabilities(null_mut(), 1).into());
    filter_setter(t, "sandbox_filter_oci_capabilities", "all", 0, &|filter| sandbox_filter_oci_capabilities(filter, u64::MAX));
    let allow = [[6u8, 0, 0, 0, 0, 0, 0xff, 0x7f]; 4097]; // BPF_RET, SECCOMP_RET_ALLOW
    let at = allow.as_ptr().cast::<c_void>();
    name!(t, row, sandbox_filter_bpf, "no filter", EFAULT, || sandbox_filter_bpf(null_mut(), at, 1).into());
    for (count, expected) in [(0, EINVAL), (1, 0), (4096, 0), (4097, EINVAL), (usize::MAX / 8, EINVAL), (usize::MAX, EINVAL)] {
        filter_setter(t, "sandbox_filter_bpf", &format!("{count}"), expected, &|filter| sandbox_filter_bpf(filter, at, count));
        filter_setter(t, "sandbox_filter_bpf", &format!("NULL, {count}"), EFAULT, &|filter| sandbox_filter_bpf(filter, null(), count));
    }
    for bytes in [[0xff; 8], [0; 8], [5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], [0x20, 0, 0, 0, 3, 0, 0, 0]] {
        filter_setter(t, "sandbox_filter_bpf", &format!("{bytes:?}"), EINVAL, &|filter| sandbox_filter_bpf(filter, bytes.as_ptr().cast(), 1));
    }
    let filter = sandbox_filter_new(ALLOW);
    let call = sandbox_syscall { arch: u32::MAX, nr: i32::MIN, ip: u64::MAX, args: [u64::MAX; 6] };
    let mut action = 7;
    let to = &raw mut action;
    name!(t, row, sandbox_filter_simulate, "no filter", EFAULT, || sandbox_filter_simulate(null(), &raw const call, to).into());
    name!(t, row, sandbox_filter_simulate, "no call", EFAULT, || sandbox_filter_simulate(filter, null(), to).into());
    name!(t, row, sandbox_filter_simulate, "no place", EFAULT, || sandbox_filter_simulate(filter, &raw const call, null_mut()).into());
    name!(t, row, sandbox_filter_simulate, "a call of no architecture", 0, || sandbox_filter_simulate(filter, &raw const call, to).into());
    name!(t, row, sandbox_filter_export, "no filter", EFAULT, || sandbox_filter_export(null(), 1).into());
    for fd in [-1, i32::MIN, i32::MAX] {
        name!(t, row, sandbox_filter_export, &format!("fd {fd}"), EBADF, || sandbox_filter_export(filter, fd).into());
    }
    name!(t, row, sandbox_cmd_filter, "NULL, NULL", EFAULT, || sandbox_cmd_filter(null_mut(), null()).into());
    name!(t, row, sandbox_cmd_filter, "no command", EFAULT, || sandbox_cmd_filter(null_mut(), filter).into());
    name!(t, setter, sandbox_cmd_filter, "NULL", EFAULT, |cmd| sandbox_cmd_filter(cmd, null()));
    name!(t, setter, sandbox_cmd_filter, "two that notify", EINVAL, |cmd| {
        let notifying = sandbox_filter_new(NOTIFY);
        let codes = [sandbox_cmd_filter(cmd, notifying), sandbox_cmd_filter(cmd, notifying)];
        sandbox_filter_free(notifying);
        codes[1]
    });
    name!(t, setter, sandbox_cmd_filter, "too many", E2BIG, |cmd| (0..100_000).map(|_| sandbox_cmd_filter(cmd, filter)).find(|code| *code < 0).unwrap_or(0));
    sandbox_filter_free(filter);
    name!(t, row, sandbox_cmd_ptrace, "no command", EFAULT, || sandbox_cmd_ptrace(null_mut(), 0).into());
    for (options, expected) in [(0, 0), (1, 0), (1 << 19, EINVAL), (1 << 32, EINVAL), (u64::MAX, EINVAL)] {
        name!(t, setter, sandbox_cmd_ptrace, &format!("{options:#x}"), expected, |cmd| sandbox_cmd_ptrace(cmd, options));
    }
}

fn cgroups(t: &mut Table) {
    let (file, value) = (c"pids.max".as_ptr(), c"5".as_ptr());
    name!(t, row, sandbox_cmd_cgroup, "NULL", EFAULT, || sandbox_cmd_cgroup(null_mut(), null()).into());
    name!(t, row, sandbox_cmd_cgroup_set, "NULL", EFAULT, || sandbox_cmd_cgroup_set(null_mut(), file, value).into());
    name!(t, setter, sandbox_cmd_cgroup, "found by itself", 0, |cmd| sandbox_cmd_cgroup(cmd, null()));
    name!(t, setter, sandbox_cmd_cgroup_set, "no file", EFAULT, |cmd| sandbox_cmd_cgroup_set(cmd, null(), value));
    name!(t, setter, sandbox_cmd_cgroup_set, "no value", EFAULT, |cmd| sandbox_cmd_cgroup_set(cmd, file, null()));
    name!(t, setter, sandbox_cmd_cgroup_set, "too many", E2BIG, |cmd| (0..100_000).map(|_| sandbox_cmd_cgroup_set(cmd, file, value)).find(|code| *code < 0).unwrap_or(0));
    for (case, text) in strings() {
        let path = if text.is_empty() { -i64::from(libc::ENOENT) } else if text.count_bytes() > 4095 { ENAMETOOLONG } else { 0 };
        name!(t, setter, sandbox_cmd_cgroup, case, path, |cmd| sandbox_cmd_cgroup(cmd, text.as_ptr()));
        name!(t, setter, sandbox_cmd_cgroup_set, &format!("file: {case}"), EINVAL, |cmd| sandbox_cmd_cgroup_set(cmd, text.as_ptr(), value));
        let size = if text.count_bytes() > 4094 { E2BIG } else { 0 };
        name!(t, setter, sandbox_cmd_cgroup_set, &format!("value: {case}"), size, |cmd| sandbox_cmd_cgroup_set(cmd, file, text.as_ptr()));
    }
    const ENOTSUP: i64 = -(libc::ENOTSUP as i64);
    name!(t, row, sandbox_child_freeze, "NULL", EFAULT, || sandbox_child_freeze(null_mut(), 1).into());
    name!(t, row, sandbox_child_kill_all, "NULL", EFAULT, || sandbox_child_kill_all(null_mut()).into());
    name!(t, child, sandbox_child_kill_all, "a child without a cgroup", ENOTSUP, |child| sandbox_child_kill_all(child).into());
    for (on, expected) in [(0, ENOTSUP), (1, ENOTSUP), (2, EINVAL), (-1, EINVAL), (c_int::MAX, EINVAL), (c_int::MIN, EINVAL)] {
        name!(t, child, sandbox_child_freeze, &format!("{on}, without a cgroup"), expected, |child| sandbox_child_freeze(child, on).into());
    }
}

extern "C" fn answer(n: *mut sandbox_notify, _: *mut c_void) -> c_int {
    sandbox_notify_continue_unsafe(n)
}

fn supervisor(t: &mut Table) {
    name!(t, row, sandbox_supervisor_new, "NULL", 0, || sandbox_supervisor_new(null_mut()) as i64);
    name!(t, child, sandbox_supervisor_new, "a child without a listener", 0, |child| sandbox_supervisor_new(child) as i64);
    for fd in NUMBERS {
        name!(t, row, sandbox_supervisor_from_fd, &format!("fd {fd}"), 0, || sandbox_supervisor_from_fd(fd, -1) as i64);
    }
    name!(t, row, sandbox_supervisor_free, "NULL", 0, || { sandbox_supervisor_free(null_mut()); 0 });
    name!(t, row, sandbox_supervisor_on, "no supervisor", EFAULT, || sandbox_supervisor_on(null_mut(), c"read".as_ptr(), Some(answer), null_mut()).into());
    name!(t, row, sandbox_supervisor_fd, "NULL", EFAULT, || sandbox_supervisor_fd(null()).into());
    name!(t, row, sandbox_supervisor_dispatch, "NULL", EFAULT, || sandbox_supervisor_dispatch(null_mut(), 0).into());
    name!(t, row, sandbox_supervisor_run, "NULL", EFAULT, || sandbox_supervisor_run(null_mut()).into());
    name!(t, row, sandbox_supervisor_ended, "NULL", EFAULT, || sandbox_supervisor_ended(null()).into());
    name!(t, row, sandbox_notify_call, "NULL", EFAULT, || sandbox_notify_call(null(), null_mut(), 0).into());
    name!(t, row, sandbox_notify_pid, "NULL", EFAULT, || sandbox_notify_pid(null_mut()).into());
    name!(t, row, sandbox_notify_tid, "NULL", EFAULT, || sandbox_notify_tid(null()).into());
    name!(t, row, sandbox_notify_pidfd, "NULL", EFAULT, || sandbox_notify_pidfd(null_mut()).into());
    name!(t, row, sandbox_notify_check, "NULL", EFAULT, || sandbox_notify_check(null()).into());
    name!(t, row, sandbox_notify_keep, "NULL", EFAULT, || sandbox_notify_keep(null_mut()).into());
    name!(t, row, sandbox_notify_free, "NULL", 0, || { sandbox_notify_free(null_mut()); 0 });
    name!(t, row, sandbox_notify_errno, "NULL", EFAULT, || sandbox_notify_errno(null_mut(), 1).into());
    name!(t, row, sandbox_notify_return, "NULL", EFAULT, || sandbox_notify_return(null_mut(), 0).into());
    name!(t, row, sandbox_notify_continue_unsafe, "NULL", EFAULT, || sandbox_notify_continue_unsafe(null_mut()).into());
    name!(t, row, sandbox_notify_fd, "NULL", EFAULT, || sandbox_notify_fd(null_mut(), 0, 0).into());
    name!(t, row, sandbox_notify_add_fd, "NULL", EFAULT, || sandbox_notify_add_fd(null_mut(), 0, -1, 0).into());
    name!(t, row, sandbox_notify_get_fd, "NULL", EFAULT, || sandbox_notify_get_fd(null_mut(), 0).into());
    name!(t, row, sandbox_notify_read, "NULL", EFAULT, || sandbox_notify_read(null_mut(), 0, null_mut(), 0).into());
    name!(t, row, sandbox_notify_write, "NULL", EFAULT, || sandbox_notify_write(null_mut(), 0, null(), 0).into());
    name!(t, row, sandbox_notify_string, "NULL", EFAULT, || sandbox_notify_string(null_mut(), 0, null_mut(), 0).into());
    name!(t, row, sandbox_notify_sockaddr, "NULL", EFAULT, || sandbox_notify_sockaddr(null_mut(), 0, 0, null_mut(), 0).into());
    name!(t, row, sandbox_notify_path, "NULL", EFAULT, || sandbox_notify_path(null_mut(), 0, 0, 0, null_mut(), 0).into());
    name!(t, row, sandbox_notify_open, "NULL", EFAULT, || sandbox_notify_open(null_mut(), 0, 0, 0, 0).into());
    name!(t, row, sandbox_notify_parent, "NULL", EFAULT, || sandbox_notify_parent(null_mut(), 0, 0, null_mut(), 0).into());
    supervised(t, "calls of no name", &|sup| {
        for text in [c"", c"no_such_call", c"-1", c"\xff\xfe"] {
            assert_eq!(sandbox_supervisor_on(sup, text.as_ptr(), Some(answer), null_mut()), -libc::EINVAL, "{text:?}");
        }
        assert_eq!(sandbox_supervisor_on(sup, null(), Some(answer), null_mut()), 0);
        assert_eq!(i64::from(sandbox_supervisor_dispatch(sup, i64::MIN)), EINVAL);
        assert_eq!(sandbox_supervisor_ended(sup), 0);
        assert_eq!(sandbox_supervisor_run(sup), 0);
        assert_eq!((sandbox_supervisor_ended(sup), sandbox_supervisor_dispatch(sup, i64::MAX)), (1, 0));
    });
    supervised(t, "a call's handler that asks for nonsense", &|sup| {
        let mut asked = 0u32;
        assert_eq!(sandbox_supervisor_on(sup, c"openat".as_ptr(), Some(nonsense), (&raw mut asked).cast()), 0);
        assert_eq!(sandbox_supervisor_run(sup), 0);
        assert!(asked > 0);
    });
}

fn pool(t: &mut Table) {
    let cmd = sandbox_cmd_new(c"/bin/true".as_ptr());
    name!(t, row, sandbox_pool_new, "no command", 0, || sandbox_pool_new(null(), 1) as i64);
    for size in [0, 4097, usize::MAX] {
        name!(t, row, sandbox_pool_new, &format!("{size} children"), 0, || sandbox_pool_new(cmd, size) as i64);
    }
    name!(t, row, sandbox_pool_free, "NULL", 0, || { sandbox_pool_free(null_mut()); 0 });
    name!(t, row, sandbox_pool_free, "one that holds children", 0, || { sandbox_pool_free(sandbox_pool_new(cmd, 2)); 0 });
    name!(t, row, sandbox_pool_refill, "NULL", EFAULT, || sandbox_pool_refill(null_mut(), null_mut()).into());
    let mut child = 8 as *mut sandbox_child;
    let place = &raw mut child;
    name!(t, row, sandbox_pool_spawn, "NULL, NULL, NULL", EFAULT, || sandbox_pool_spawn(null_mut(), null(), null_mut(), null_mut()).into());
    name!(t, row, sandbox_pool_spawn, "no pool", EFAULT, || sandbox_pool_spawn(null_mut(), cmd, place, null_mut()).into());
    assert!(child.is_null());
    let mut of_a_pool = |case: &str, expected: i64, run: &dyn Fn(*mut sandbox_pool, &mut sandbox_error) -> c_int| {
        name!(t, row, sandbox_pool_spawn, case, expected, || {
            let (pool, mut error) = (sandbox_pool_new(cmd, 1), none());
            let code = run(pool, &mut error);
            assert!(code == error.code || (code >= 0 && error.code == 0), "{case}: {code}, {}", error.code);
            sandbox_pool_free(pool);
            code.into()
        });
    };
    let spawn = |pool, run: *const sandbox_cmd, error: *mut sandbox_error| {
        let mut child = 8 as *mut sandbox_child;
        let code = sandbox_pool_spawn(pool, run, &raw mut child, error);
        assert_eq!(code < 0, child.is_null());
        sandbox_child_free(child);
        code
    };
    of_a_pool("no place for the child", EFAULT, &|pool, error| sandbox_pool_spawn(pool, cmd, null_mut(), error));
    of_a_pool("as it is, more than it holds", 0, &|pool, error| spawn(pool, null(), error) + spawn(pool, null(), error));
    of_a_pool("its own command again", 0, &|pool, error| spawn(pool, cmd, error));
    of_a_pool("nothing to refill", 0, &|pool, error| sandbox_pool_refill(pool, error));
    of_a_pool("one to refill", 1, &|pool, error| spawn(pool, null(), error) + sandbox_pool_refill(pool, error));
    of_a_pool("a run with a latched error", EBADF, &|pool, error| {
        let run = sandbox_cmd_new(c"/bin/true".as_ptr());
        sandbox_cmd_exec_fd(run, -1);
        let code = spawn(pool, run, error);
        sandbox_cmd_free(run);
        code
    });
    of_a_pool("a run with an option", EINVAL, &|pool, error| {
        let run = sandbox_cmd_new(c"/bin/true".as_ptr());
        sandbox_cmd_set(run, 8, 0o22);
        let code = spawn(pool, run, error);
        assert!(message(error).contains("sandbox_cmd_set"), "{}", message(error));
        sandbox_cmd_free(run);
        code
    });
    sandbox_cmd_free(cmd);
}

/// A child whose every openat is notified, with its supervisor.
fn supervised(t: &mut Table, case: &str, run: &dyn Fn(*mut sandbox_supervisor)) {
    name!(t, row, sandbox_supervisor_new, case, 0, || {
        let (filter, cmd, mut child) = (sandbox_filter_new(ALLOW), sandbox_cmd_new(c"/bin/true".as_ptr()), null_mut());
        assert_eq!(sandbox_filter_rule(filter, NOTIFY, c"openat".as_ptr(), null(), 0), 0);
        assert_eq!(sandbox_cmd_filter(cmd, filter), 0);
        assert_eq!(sandbox_spawn(cmd, &raw mut child, null_mut()), 0);
        let sup = sandbox_supervisor_new(child);
        assert!(!sup.is_null() && sandbox_supervisor_fd(sup) > 2);
        run(sup);
        assert_eq!(end_of(child), 0);
        sandbox_supervisor_free(sup);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
        sandbox_filter_free(filter);
        0
    });
}

/// No answer of these is one: the call still waits for its own afterwards.
extern "C" fn nonsense(n: *mut sandbox_notify, asked: *mut c_void) -> c_int {
    const NOWHERE: u64 = 0xffff_8000_0000_0000;
    let mut room = [0xaau8; 64];
    let at: *mut c_void = room.as_mut_ptr().cast();
    let refused = [
        sandbox_notify_call(n, null_mut(), 8),
        sandbox_notify_call(n, at.cast(), 4097),
        sandbox_notify_call(n, at.cast(), usize::MAX),
        sandbox_notify_errno(n, 0),
        sandbox_notify_errno(n, -1),
        sandbox_notify_errno(n, 512),
        sandbox_notify_errno(n, 531),
        sandbox_notify_errno(n, 4096),
        sandbox_notify_errno(n, c_int::MIN),
        sandbox_notify_errno(n, c_int::MAX),
        sandbox_notify_return(n, -512),
        sandbox_notify_return(n, -531),
        sandbox_notify_add_fd(n, -1, -1, 0),
        sandbox_notify_add_fd(n, c_int::MAX, -1, 0),
        sandbox_notify_add_fd(n, 0, -2, 0),
        sandbox_notify_add_fd(n, 0, c_int::MIN, 0),
        sandbox_notify_get_fd(n, -1),
        sandbox_notify_get_fd(n, c_int::MAX),
        sandbox_notify_read(n, 0, at, 8),
        sandbox_notify_read(n, NOWHERE, at, 64),
        sandbox_notify_read(n, u64::MAX, at, 64),
        sandbox_notify_read(n, 0, null_mut(), 8),
        sandbox_notify_write(n, 0, at, 8),
        sandbox_notify_write(n, u64::MAX - 3, at, 8),
        sandbox_notify_write(n, NOWHERE, null(), 8),
        sandbox_notify_string(n, 0, at.cast(), 64),
        sandbox_notify_string(n, u64::MAX, at.cast(), 64),
        sandbox_notify_string(n, 0, null_mut(), 64),
        sandbox_notify_string(n, 0, at.cast(), 0),
        sandbox_notify_sockaddr(n, 0, 16, at, 64),
        sandbox_notify_sockaddr(n, 0, u64::MAX, at, 64),
        sandbox_notify_sockaddr(n, 0, 16, null_mut(), 64),
        sandbox_notify_path(n, libc::AT_FDCWD, 0, 0, at.cast(), 64),
        sandbox_notify_path(n, libc::AT_FDCWD, 0, u64::MAX, at.cast(), 64),
        sandbox_notify_path(n, c_int::MAX, NOWHERE, 0, null_mut(), 64),
        sandbox_notify_open(n, libc::AT_FDCWD, 0, 0, 0),
        sandbox_notify_open(n, c_int::MIN, u64::MAX, u64::MAX, u64::MAX),
        sandbox_notify_parent(n, libc::AT_FDCWD, 0, at.cast(), 64),
        sandbox_notify_parent(n, libc::AT_FDCWD, NOWHERE, null_mut(), 64),
    ];
    // A panic must not leave a function that C calls: what is wrong ends the dispatch instead.
    if let Some(position) = refused.iter().position(|code| *code >= 0) {
        return -1000 - c_int::try_from(position).unwrap_or(0);
    }
    // SAFETY: the number that the caller's own closure lent.
    unsafe { *asked.cast::<u32>() += 1 };
    if sandbox_notify_check(n) != 0 || sandbox_notify_pid(n) <= 0 || sandbox_notify_tid(n) <= 0 || sandbox_notify_pidfd(n) < 0 {
        return -2000;
    }
    let answered = sandbox_notify_continue_unsafe(n);
    if sandbox_notify_errno(n, 1) != -libc::EALREADY || sandbox_notify_continue_unsafe(n) != -libc::EALREADY {
        return -3000;
    }
    answered
}

fn runs(t: &mut Table) {
    let cmd = sandbox_cmd_new(c"/bin/cat".as_ptr());
    let run = |input: *const sandbox_bytes, options: *const sandbox_run_options| {
        let (mut result, mut error) = (8 as *mut _, none());
        let code = sandbox_run(cmd, input, options, &raw mut result, &raw mut error);
        assert_eq!((error.code, result.is_null(), message(&error).is_empty()), (code.min(0), code < 0, code == 0));
        sandbox_result_free(result);
        i64::from(code)
    };
    name!(t, row, sandbox_run, "NULL", EFAULT, || sandbox_run(null(), null(), null(), null_mut(), null_mut()).into());
    name!(t, row, sandbox_run, "no place for the result", EFAULT, || sandbox_run(cmd, null(), null(), null_mut(), null_mut()).into());
    name!(t, row, sandbox_run, "no command", EFAULT, || {
        let mut result = 8 as *mut _;
        let code = sandbox_run(null(), null(), null(), &raw mut result, null_mut());
        assert!(result.is_null());
        code.into()
    });
    name!(t, row, sandbox_run, "nothing but the command", 0, || run(null(), null()));
    for (case, data, length, expected) in [
        ("input", c"abc".as_ptr(), 3, 0), ("no input", c"abc".as_ptr(), 0, 0), ("NULL of no length", null(), 0, 0),
        ("NULL of a length", null(), 1, EFAULT), ("more input than there is memory", c"a".as_ptr(), usize::MAX, -(libc::EFBIG as i64)),
    ] {
        name!(t, row, sandbox_run, case, expected, || run(&sandbox_bytes { data: data.cast(), length }, null()));
    }
    let size = size_of::<sandbox_run_options>();
    let usual = sandbox_run_options { size, ..Default::default() };
    for (case, options, expected) in [
        ("options", usual, 0),
        ("size 0", sandbox_run_options { size: 0, ..usual }, EINVAL),
        ("size 7", sandbox_run_options { size: 7, ..usual }, EINVAL),
        ("a size of 4097", sandbox_run_options { size: 4097, ..usual }, EINVAL),
        ("the largest size", sandbox_run_options { size: usize::MAX, ..usual }, EINVAL),
        ("an unknown flag", sandbox_run_options { flags: 8, ..usual }, EINVAL),
        ("a closed cancel_fd", sandbox_run_options { flags: 4, cancel_fd: 987_654, ..usual }, EBADF),
        ("a negative cancel_fd that is not looked at", sandbox_run_options { cancel_fd: -7, ..usual }, 0),
        ("the largest cancel_fd", sandbox_run_options { flags: 4, cancel_fd: i64::MAX, ..usual }, EBADF),
        ("all flags", sandbox_run_options { flags: u64::MAX, ..usual }, EINVAL),
        ("the largest numbers", sandbox_run_options { flags: 3, stdout_limit: u64::MAX, stderr_limit: u64::MAX, wall_time_ms: u64::MAX, cpu_time_ms: u64::MAX, ..usual }, 0),
        ("the smallest numbers", sandbox_run_options { stdout_limit: 1, stderr_limit: 1, ..usual }, 0),
    ] {
        name!(t, row, sandbox_run, case, expected, || run(null(), &options));
    }
    let start = |cmd: *const sandbox_cmd, input: *const sandbox_bytes| {
        let (mut running, mut error) = (8 as *mut _, none());
        let code = sandbox_run_start(cmd, input, null(), &raw mut running, &raw mut error);
        assert_eq!((error.code, running.is_null()), (code.min(0), code < 0));
        (code, running)
    };
    name!(t, row, sandbox_run_start, "NULL", EFAULT, || sandbox_run_start(null(), null(), null(), null_mut(), null_mut()).into());
    name!(t, row, sandbox_run_start, "no command", EFAULT, || start(null(), null()).0.into());
    name!(t, row, sandbox_run_start, "NULL of a length", EFAULT, || start(cmd, &sandbox_bytes { data: null(), length: 1 }).0.into());
    name!(t, row, sandbox_running_free, "NULL", 0, || { sandbox_running_free(null_mut()); 0 });
    name!(t, row, sandbox_running_free, "one under way", 0, || {
        let (code, running) = start(cmd, null());
        sandbox_running_free(running);
        code.into()
    });
    let step = |running, size, until_over: bool| {
        let (mut result, mut error, mut wait) = (8 as *mut _, none(), [0u64; 600]);
        let code = loop {
            match sandbox_run_step(running, wait.as_mut_ptr().cast(), size, &raw mut result, &raw mut error) {
                0 if until_over => {}
                code => break code,
            }
        };
        assert_eq!((error.code, result.is_null()), (code.min(0), code != 1));
        sandbox_result_free(result);
        i64::from(code)
    };
    name!(t, row, sandbox_run_step, "NULL", EFAULT, || sandbox_run_step(null_mut(), null_mut(), 0, null_mut(), null_mut()).into());
    name!(t, row, sandbox_run_step, "no run", EFAULT, || step(null_mut(), 16, false));
    name!(t, row, sandbox_run_step, "to its end, and once more", -i64::from(libc::EALREADY), || {
        let (_, running) = start(cmd, null());
        assert_eq!(sandbox_run_step(running, null_mut(), 0, null_mut(), null_mut()), -libc::EFAULT);
        assert_eq!(step(running, 0, true), 1);
        let again = step(running, usize::MAX, false);
        sandbox_running_free(running);
        again
    });
    let sleeping = sandbox_cmd_new(c"/bin/sleep".as_ptr());
    sandbox_cmd_arg(sleeping, c"1000".as_ptr());
    for (case, size, expected) in [("no size", 0, 0), ("1", 1, 0), ("4096", 4096, 0), ("4097", 4097, EINVAL), ("the largest", usize::MAX, EINVAL)] {
        name!(t, row, sandbox_run_step, case, expected, || {
            let (_, running) = start(sleeping, null());
            let code = step(running, size, false);
            sandbox_running_free(running);
            code
        });
    }
    name!(t, row, sandbox_run_step, "nowhere to say what to wait for", EFAULT, || {
        let (_, running) = start(sleeping, null());
        let mut result = 8 as *mut _;
        let code = sandbox_run_step(running, null_mut(), 16, &raw mut result, null_mut());
        sandbox_running_free(running);
        code.into()
    });
    sandbox_cmd_free(sleeping);
    let mut result = null_mut();
    assert_eq!(sandbox_run(cmd, null(), null(), &raw mut result, null_mut()), 0);
    name!(t, row, sandbox_result_free, "NULL", 0, || { sandbox_result_free(null_mut()); 0 });
    name!(t, row, sandbox_result_limits, "NULL", EFAULT, || sandbox_result_limits(null()).into());
    name!(t, row, sandbox_result_limits, "none", 0, || sandbox_result_limits(result).into());
    let mut room = [0u64; 600];
    let at = room.as_mut_ptr();
    for (case, size, expected) in [("no size", 0, 0), ("1", 1, 0), ("4096", 4096, 0), ("4097", 4097, EINVAL), ("the largest", usize::MAX, EINVAL)] {
        name!(t, row, sandbox_result_status, case, expected, || sandbox_result_status(result, at.cast(), size).into());
        name!(t, row, sandbox_result_status, case, EFAULT, || sandbox_result_status(null(), at.cast(), size).into());
        name!(t, row, sandbox_result_output, case, expected, || sandbox_result_output(result, 1, at.cast(), size).into());
        name!(t, row, sandbox_result_output, case, EFAULT, || sandbox_result_output(null(), 1, at.cast(), size).into());
        let missing = if size == 0 { 0 } else { EFAULT };
        name!(t, row, sandbox_result_status, case, missing, || sandbox_result_status(result, null_mut(), size).into());
        name!(t, row, sandbox_result_output, case, missing, || sandbox_result_output(result, 2, null_mut(), size).into());
    }
    for target in [0, 3, -1, c_int::MAX, c_int::MIN] {
        name!(t, row, sandbox_result_output, &format!("target {target}"), EINVAL, || sandbox_result_output(result, target, at.cast(), 24).into());
    }
    sandbox_result_free(result);
    sandbox_cmd_free(cmd);
}

/// The functions that the header declares: `sandbox_x(` outside comments, not `(*sandbox_x_fn)(`.
fn declared() -> BTreeSet<&'static str> {
    let header = include_str!("../include/sandbox_spawn.h");
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
        strings_and_null(t);
        numbers(t);
        fds(t);
        spawns(t);
        child(t);
        filters(t);
        namespaces(t);
        landlock(t);
        preset(t);
        identity(t);
        mounts(t);
        cgroups(t);
        supervisor(t);
        runs(t);
        pool(t);
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
