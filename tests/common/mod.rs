//! What the tests of this directory share: a process of its own for each test that counts fds, processes or memory;
//! the commands that together hold every op; a picture of the host to compare with a later one.
#![allow(dead_code)] // each test program uses a part

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
mod host;

pub use alone::*;
pub use host::*;

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

/// A command being written down, with the options it was given.
pub struct Wish {
    pub cmd: *mut sandbox_cmd,
    pub options: Vec<u32>,
    program: CString,
    /// What must stay open for the command to work.
    kept: Vec<OwnedFd>,
}

// SAFETY: a command may be spawned from many threads at once.
unsafe impl Sync for Wish {}

impl Wish {
    pub fn new(program: &str, args: &[&str]) -> Wish {
        let program = c(program);
        let cmd = sandbox_cmd_new(program.as_ptr());
        for arg in args {
            assert_eq!(sandbox_cmd_arg(cmd, c(*arg).as_ptr()), 0);
        }
        Wish { cmd, options: Vec::new(), program, kept: Vec::new() }
    }

    pub fn set(&mut self, option: sandbox_option, value: i64) -> &mut Self {
        self.options.push(option as u32);
        assert_eq!(sandbox_cmd_set(self.cmd, option as u32, value.cast_unsigned()), 0, "{option:?}");
        self
    }

    fn on(&mut self, options: &[sandbox_option]) -> &mut Self {
        for option in options {
            self.set(*option, 1);
        }
        self
    }

    fn stdio(&mut self, target: c_int, mode: u32, fd: RawFd) -> &mut Self {
        assert_eq!(sandbox_cmd_stdio(self.cmd, target, mode, fd), 0);
        self
    }

    fn pass(&mut self, fd: RawFd, target: RawFd) -> &mut Self {
        assert_eq!(sandbox_cmd_pass_fd(self.cmd, fd, target), 0);
        self
    }

    /// Every limit, at what it is: allowed to anyone.
    fn rlimits(&mut self) -> &mut Self {
        for resource in 0..16 {
            let limit = rlimit(resource);
            assert_eq!(sandbox_cmd_rlimit(self.cmd, resource, limit.0, limit.1), 0);
        }
        self
    }

    fn process(&mut self) -> &mut Self {
        self.set(SANDBOX_OPT_UMASK, 0o27).set(SANDBOX_OPT_NICE, NICEST).set(SANDBOX_OPT_CPU_AFFINITY, first_cpu());
        self.on(&[SANDBOX_OPT_NO_RANDOMIZE, SANDBOX_OPT_NEW_KEYRING, SANDBOX_OPT_ALLOW_NO_KEYRING]);
        self.set(SANDBOX_OPT_SPECULATION, 3).on(&[SANDBOX_OPT_ALLOW_NO_SPECULATION])
    }

    fn cwd(&mut self) -> &mut Self {
        assert_eq!(sandbox_cmd_cwd(self.cmd, c"/".as_ptr()), 0);
        self
    }

    fn exec_fd(&mut self) -> &mut Self {
        let program = File::open(self.program.to_str().unwrap()).unwrap();
        assert_eq!(sandbox_cmd_exec_fd(self.cmd, program.as_raw_fd()), 0);
        self
    }

    fn on_ready(&mut self) -> &mut Self {
        extern "C" fn ready(_: libc::pid_t, _: c_int, _: *mut c_void) -> c_int {
            0
        }
        assert_eq!(sandbox_cmd_on_ready(self.cmd, Some(ready), ptr::null_mut()), 0);
        self
    }

    /// Everything allowed but one call that the programs of the tests never make.
    fn filter(&mut self, action: u32) -> &mut Self {
        let filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        assert_eq!(sandbox_filter_rule(filter, action, c"swapoff".as_ptr(), ptr::null(), 0), 0);
        assert_eq!(sandbox_cmd_filter(self.cmd, filter), 0);
        sandbox_filter_free(filter);
        self
    }

    /// Where this user may have one. The pressure file stands for those that can kill: it needs no controller.
    fn grouped(&mut self) -> &mut Self {
        if cgroup().is_some() {
            group(self.cmd);
        }
        self
    }

    fn pre_exec(&mut self) -> &mut Self {
        extern "C" fn nothing(_: *mut c_void) -> c_int {
            0
        }
        assert_eq!(sandbox_cmd_pre_exec(self.cmd, Some(nothing), ptr::null_mut()), 0);
        self
    }

    /// Everything granted again, as far as this kernel knows it.
    fn landlock(&mut self) -> &mut Self {
        assert_eq!(sandbox_cmd_landlock_path(self.cmd, c"/".as_ptr(), 0xffff), 0);
        assert_eq!(sandbox_cmd_landlock_port(self.cmd, 1, 2), 0);
        assert_eq!(sandbox_cmd_landlock_path(self.cmd, c"/dev/null".as_ptr(), 0xffff), 0);
        assert_eq!(sandbox_cmd_landlock_scope(self.cmd, 3), 0);
        self.set(SANDBOX_OPT_ALLOW_LESS_LANDLOCK, 1).set(SANDBOX_OPT_LANDLOCK_LOG, 2)
    }

    /// On the host's writable root, where the program finds all it needs, and what it leaves is found.
    fn everything_mounted(&mut self) -> &mut Self {
        let cmd = self.cmd;
        let root = File::open("/").unwrap();
        let lowers = [c"/usr/share".as_ptr(), c"/etc".as_ptr(), ptr::null()];
        let set = [
            sandbox_cmd_root(cmd, c"/".as_ptr(), 1),
            sandbox_cmd_tmpfs(cmd, c"/media".as_ptr(), 65536, 0o755),
            sandbox_cmd_bind(cmd, c"/usr".as_ptr(), c"/media/usr".as_ptr(), 0),
            sandbox_cmd_bind(cmd, c"/not/there".as_ptr(), c"/media/not".as_ptr(), 4),
            sandbox_cmd_bind_fd(cmd, root.as_raw_fd(), c"/media/fd".as_ptr(), 0),
            sandbox_cmd_proc(cmd, c"/media/proc".as_ptr(), 2 | 8),
            sandbox_cmd_dev(cmd, c"/media/dev".as_ptr()),
            sandbox_cmd_mqueue(cmd, c"/media/mqueue".as_ptr()),
            sandbox_cmd_overlay(cmd, lowers.as_ptr(), ptr::null(), ptr::null(), c"/media/overlay".as_ptr()),
            sandbox_cmd_file(cmd, c"/media/file".as_ptr(), c"text".as_ptr().cast(), 4, 0o600),
            sandbox_cmd_dir(cmd, c"/media/a/b".as_ptr(), 0o700),
            sandbox_cmd_symlink(cmd, c"a/b".as_ptr(), c"/media/link".as_ptr()),
            sandbox_cmd_mask(cmd, c"/media/link".as_ptr()),
            sandbox_cmd_mask(cmd, c"/media/file".as_ptr()),
            sandbox_cmd_proc(cmd, c"/media/covered".as_ptr(), 16 | 32),
            sandbox_cmd_devpts(cmd, c"/media/pts".as_ptr()),
            sandbox_cmd_data(cmd, c"/media/lain".as_ptr(), c"text".as_ptr().cast(), 4, 0o600, 3),
            sandbox_cmd_data(cmd, c"/media/written".as_ptr(), c"text".as_ptr().cast(), 4, 0o600, 4),
            sandbox_cmd_chmod(cmd, c"/media/written".as_ptr(), 0o711),
            sandbox_cmd_overlay_ro(cmd, lowers.as_ptr(), c"/media/layers".as_ptr()),
            sandbox_cmd_remount(cmd, c"/media".as_ptr(), 0),
        ];
        assert_eq!(set, [0; 21]);
        self
    }

    pub fn spawn(&self) -> Result<*mut Child, (c_int, u32, u32, String)> {
        let (mut child, mut error) = (ptr::null_mut(), none());
        match sandbox_spawn(self.cmd, &raw mut child, &raw mut error) {
            0 => Ok(child),
            code => {
                assert!(child.is_null());
                assert_eq!(code, error.code);
                Err((-code, error.stage, error.index, message(&error)))
            }
        }
    }

    pub fn explain(&self) -> String {
        let mut text = vec![0u8; 1 << 16];
        let length = sandbox_cmd_explain(self.cmd, text.as_mut_ptr().cast(), text.len(), ptr::null_mut());
        text.truncate(usize::try_from(length).expect("explain"));
        String::from_utf8_lossy(&text).into_owned()
    }

    pub fn copy(&self) -> Wish {
        Wish { cmd: sandbox_cmd_clone(self.cmd), options: self.options.clone(), program: self.program.clone(), kept: Vec::new() }
    }

    pub fn as_ref(&self) -> &sandbox_cmd {
        // SAFETY: a handle of ours, alive as long as this.
        unsafe { &*self.cmd }
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        sandbox_cmd_free(self.cmd);
    }
}

/// The host's own: who may not enter those enters none.
fn joined(wish: &mut Wish, kinds: &[&str]) {
    for kind in kinds.iter().filter(|_| is_root()) {
        let namespace = File::open(format!("/proc/self/ns/{kind}")).unwrap();
        assert_eq!(sandbox_cmd_join(wish.cmd, namespace.as_raw_fd()), 0);
    }
}

/// A user namespace of this user's own, which the fd keeps alive.
fn below() -> RawFd {
    static MADE: OnceLock<File> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut holder = Command::new("unshare").args(["-Ur", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        holder.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        holder.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let namespace = File::open(format!("/proc/{}/ns/user", holder.id())).unwrap();
        drop(holder.stdin.take());
        holder.wait().unwrap();
        namespace
    }).as_raw_fd()
}

type Write = fn(&mut Wish);

/// Commands that together hold every op, every option, every kind of stream. `Wish::new` gives each its program.
pub const COMMANDS: &[(&str, Write)] = &[
    ("plain", |_| ()),
    ("defaults off", |wish| {
        wish.on(&[SANDBOX_OPT_NOT_INHERITABLE]).set(SANDBOX_OPT_RESET_SIGNALS, 0).set(SANDBOX_OPT_CLOSE_FDS, 0).set(SANDBOX_OPT_NO_NEW_PRIVS, 0);
        wish.set(SANDBOX_OPT_DEATH_SIGNAL, libc::SIGTERM.into()).set(SANDBOX_OPT_PROCESS_GROUP, 0);
        wish.set(SANDBOX_OPT_ALLOW_PRIVILEGED_HOST, 1);
        assert_eq!(sandbox_cmd_caps(wish.cmd, u64::MAX, 0), 0);
    }),
    ("process", |wish| {
        wish.process().rlimits().cwd().set(SANDBOX_OPT_NEW_SESSION, 1);
        if is_root() {
            wish.set(SANDBOX_OPT_SECUREBITS, 0); // needs CAP_SETPCAP
        }
    }),
    ("without the time stamp counter", |wish| {
        wish.on(&[SANDBOX_OPT_DENY_TSC, SANDBOX_OPT_ALLOW_NO_DENY_TSC]);
    }),
    ("pipes", |wish| {
        wish.stdio(0, 2, -1).stdio(1, 2, -1).stdio(2, 2, -1).on(&[SANDBOX_OPT_RANDOM_FDS]);
        assert_eq!(sandbox_cmd_env_clear(wish.cmd), 0);
        assert_eq!(sandbox_cmd_env(wish.cmd, c"NAME".as_ptr(), c"value".as_ptr()), 0);
        assert_eq!(sandbox_cmd_arg0(wish.cmd, c"another name".as_ptr()), 0);
    }),
    ("passed fds", |wish| {
        let (read, write) = pipe();
        wish.stdio(1, 1, -1).stdio(2, 3, write.as_raw_fd()).exec_fd();
        wish.pass(read.as_raw_fd(), 0).pass(write.as_raw_fd(), 3).pass(read.as_raw_fd(), 4).pass(write.as_raw_fd(), 40);
    }),
    ("an init that lingers", |wish| {
        wish.set(SANDBOX_OPT_INIT, 2).set(SANDBOX_OPT_DEATH_SIGNAL, 0);
        assert_eq!(sandbox_cmd_cwd_first(wish.cmd, [c"/not/there".as_ptr(), c"/".as_ptr(), ptr::null()].as_ptr()), 0);
        assert_eq!(sandbox_cmd_init_fd(wish.cmd, 0), 0);
        assert_eq!(sandbox_cmd_unshare(wish.cmd, 0x1000_0000), 0);
        wish.set(SANDBOX_OPT_DISABLE_USERNS, 2);
        assert_eq!(sandbox_cmd_bind(wish.cmd, c"/".as_ptr(), c"/".as_ptr(), 1), 0);
        assert_eq!(sandbox_cmd_init_lock(wish.cmd, c"/etc/passwd".as_ptr()), 0);
    }),
    ("a pseudoterminal", |wish| {
        wish.stdio(0, 4, -1).stdio(1, 4, -1).stdio(2, 4, -1);
    }),
    ("a controlling terminal", |wish| {
        let (master, terminal) = terminal();
        wish.kept.push(master);
        wish.stdio(0, 3, terminal.as_raw_fd()).on(&[SANDBOX_OPT_CONTROLLING_TTY]);
    }),
    ("a look at the gate", |wish| {
        wish.on_ready().exec_fd();
    }),
    ("trampoline", |wish| {
        wish.set(SANDBOX_OPT_OOM_SCORE_ADJ, 500).on(&[SANDBOX_OPT_MDWE, SANDBOX_OPT_ALLOW_NO_MDWE]).on_ready().process().cwd();
    }),
    ("trampoline and passed fds", |wish| {
        let (read, write) = pipe();
        wish.set(SANDBOX_OPT_OOM_SCORE_ADJ, 500).stdio(0, 2, -1).exec_fd();
        wish.pass(read.as_raw_fd(), 3).pass(write.as_raw_fd(), 4).pass(write.as_raw_fd(), 5).pass(write.as_raw_fd(), 6);
    }),
    ("init", |wish| {
        let (read, write) = pipe();
        wish.on(&[SANDBOX_OPT_INIT]).process().rlimits().cwd().stdio(1, 2, -1);
        wish.pass(read.as_raw_fd(), 3).pass(write.as_raw_fd(), 4).pass(write.as_raw_fd(), 7);
    }),
    ("init and a pseudoterminal", |wish| {
        wish.on(&[SANDBOX_OPT_INIT, SANDBOX_OPT_MDWE, SANDBOX_OPT_ALLOW_NO_MDWE]).set(SANDBOX_OPT_OOM_SCORE_ADJ, 500);
        wish.stdio(0, 4, -1).on_ready();
    }),
    ("pre_exec", |wish| {
        wish.pre_exec().process().set(SANDBOX_OPT_OOM_SCORE_ADJ, 500).on(&[SANDBOX_OPT_MDWE, SANDBOX_OPT_ALLOW_NO_MDWE]);
    }),
    ("pre_exec and init", |wish| {
        wish.pre_exec().on(&[SANDBOX_OPT_INIT]).cwd();
    }),
    ("filters", |wish| {
        wish.filter(0x0005_0001).filter(SANDBOX_ACT_NOTIFY).stdio(1, 1, -1);
    }),
    ("filters, init and the trampoline", |wish| {
        wish.filter(SANDBOX_ACT_NOTIFY).filter(0x8000_0000).on(&[SANDBOX_OPT_INIT]).set(SANDBOX_OPT_OOM_SCORE_ADJ, 500);
    }),
    ("filters and pre_exec", |wish| {
        wish.filter(SANDBOX_ACT_NOTIFY).pre_exec();
    }),
    ("joined namespaces", |wish| joined(wish, &["uts", "ipc"])),
    ("joined namespaces, one of pids, a filter", |wish| {
        joined(wish.filter(SANDBOX_ACT_NOTIFY), &["pid", "net"]);
    }),
    ("joined namespaces, one of pids, and an init", |wish| {
        joined(wish.on(&[SANDBOX_OPT_INIT]).set(SANDBOX_OPT_OOM_SCORE_ADJ, 500), &["uts", "pid"]);
    }),
    ("joined namespaces, one below", |wish| {
        joined(wish.on(&[SANDBOX_OPT_JOIN_USER_LAST]), &["pid"]);
        assert_eq!(sandbox_cmd_join(wish.cmd, below()), 0);
        if is_root() {
            assert_eq!(sandbox_cmd_proc(wish.cmd, c"/proc".as_ptr(), 0), 0);
            assert_eq!(sandbox_cmd_bind(wish.cmd, c"/".as_ptr(), c"/".as_ptr(), 1), 0);
        }
    }),
    ("namespaces", |wish| {
        assert_eq!(sandbox_cmd_unshare(wish.cmd, ALL_NAMESPACES), 0);
        assert_eq!(sandbox_cmd_hostname(wish.cmd, c"a-name".as_ptr()), 0);
        assert_eq!(sandbox_cmd_domainname(wish.cmd, c"a-domain".as_ptr()), 0);
        assert_eq!(sandbox_cmd_time_offset(wish.cmd, 1, 5, 6), 0);
        wish.on(&[SANDBOX_OPT_DISABLE_USERNS]);
        wish.on(&[SANDBOX_OPT_LOOPBACK]).on_ready();
    }),
    ("namespaces, init and a filter", |wish| {
        assert_eq!(sandbox_cmd_unshare(wish.cmd, ALL_NAMESPACES), 0);
        wish.on(&[SANDBOX_OPT_INIT, SANDBOX_OPT_LOOPBACK]).filter(SANDBOX_ACT_NOTIFY).set(SANDBOX_OPT_OOM_SCORE_ADJ, 500);
    }),
    ("landlock", |wish| {
        wish.landlock().process();
    }),
    ("landlock, init, namespaces and a filter", |wish| {
        assert_eq!(sandbox_cmd_unshare(wish.cmd, ALL_NAMESPACES), 0);
        wish.landlock().on(&[SANDBOX_OPT_INIT]).filter(SANDBOX_ACT_NOTIFY).set(SANDBOX_OPT_OOM_SCORE_ADJ, 500);
    }),
    ("a user and capabilities of its own namespace", |wish| {
        assert_eq!(sandbox_cmd_unshare(wish.cmd, SANDBOX_NS_USER), 0);
        assert_eq!(sandbox_cmd_user(wish.cmd, 7, 8), 0);
        assert_eq!(sandbox_cmd_caps(wish.cmd, 1 << 1 | 1 << 2, 1 << 1), 0);
        wish.set(SANDBOX_OPT_OOM_SCORE_ADJ, 500);
    }),
    ("a user and groups", |wish| {
        // SAFETY: no pointers.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        match uid {
            0 => {
                assert_eq!(sandbox_cmd_groups(wish.cmd, [7, 9, 8].as_ptr(), 3), 0);
                assert_eq!(sandbox_cmd_user(wish.cmd, uid, 7), 0);
                wish.on(&[SANDBOX_OPT_INIT]);
            }
            _ => assert_eq!(sandbox_cmd_user(wish.cmd, uid, gid), 0),
        }
    }),
    ("a cgroup", |wish| {
        wish.grouped().set(SANDBOX_OPT_OOM_SCORE_ADJ, 500);
    }),
    ("a cgroup, its namespace and an init", |wish| {
        wish.grouped().on(&[SANDBOX_OPT_INIT]);
        assert_eq!(sandbox_cmd_unshare(wish.cmd, 0x3200_0000), 0);
    }),
    ("the host's root and all that can be mounted", |wish| {
        assert_eq!(sandbox_cmd_unshare(wish.cmd, ALL_NAMESPACES), 0);
        wish.everything_mounted().on_ready();
    }),
    ("all that can be mounted, an init and a filter", |wish| {
        assert_eq!(sandbox_cmd_unshare(wish.cmd, ALL_NAMESPACES), 0);
        wish.everything_mounted().on(&[SANDBOX_OPT_INIT]).filter(SANDBOX_ACT_NOTIFY).set(SANDBOX_OPT_OOM_SCORE_ADJ, 500);
    }),
    ("a root of a few binds", |wish| {
        assert_eq!(sandbox_cmd_unshare(wish.cmd, ALL_NAMESPACES), 0);
        for directory in [c"/usr", c"/bin", c"/lib", c"/lib64"] {
            assert_eq!(sandbox_cmd_bind(wish.cmd, directory.as_ptr(), directory.as_ptr(), 4), 0);
        }
        let temporary = c(env::temp_dir().into_os_string().into_encoded_bytes());
        assert_eq!(sandbox_cmd_bind(wish.cmd, temporary.as_ptr(), temporary.as_ptr(), 1), 0);
        assert_eq!(sandbox_cmd_proc(wish.cmd, c"/proc".as_ptr(), 16), 0);
        wish.pre_exec().cwd();
    }),
    ("traced", |wish| {
        assert_eq!(sandbox_cmd_ptrace(wish.cmd, 0), 0);
    }),
];

const SANDBOX_NS_USER: u64 = 0x1000_0000;
const ALL_NAMESPACES: u64 = 0x7e02_0080;
const SANDBOX_ACT_ALLOW: u32 = 0x7fff_0000;
const SANDBOX_ACT_NOTIFY: u32 = 0x7fc0_0000;

/// A traced child stops at its exec: its tracer, this thread, lets go of it there.
pub fn let_go(name: &str, child: *mut Child) {
    if name == "traced" {
        let pid = sandbox_child_pid(child);
        // SAFETY: no memory of ours is passed.
        unsafe {
            assert_eq!(libc::waitpid(pid, ptr::null_mut(), libc::__WALL), pid);
            assert_eq!(libc::ptrace(libc::PTRACE_DETACH, pid, 0usize, 0usize), 0);
        }
    }
}

pub fn wishes<'a>(program: &'a str, args: &'a [&'a str]) -> impl Iterator<Item = (&'static str, Wish)> + 'a {
    COMMANDS.iter().map(move |(name, write)| {
        let mut wish = Wish::new(program, args);
        write(&mut wish);
        (*name, wish)
    })
}

pub fn is_root() -> bool {
    // SAFETY: no pointers.
    unsafe { libc::geteuid() == 0 }
}

/// An ordinary user may ask for it whatever the host has, and whoever makes the host itself nicer meanwhile.
const NICEST: i64 = 19;

fn first_cpu() -> i64 {
    // SAFETY: a set of ours to fill and read.
    unsafe {
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        libc::sched_getaffinity(0, size_of_val(&set), &raw mut set);
        (0..63).find(|cpu| libc::CPU_ISSET(*cpu, &set)).map_or(1, |cpu| 1 << cpu)
    }
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
