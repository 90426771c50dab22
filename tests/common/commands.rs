//! Commands that together hold every op and every option, and what some of them need made.

use super::*;

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
    ("joined user namespace and new ones", |wish| {
        assert_eq!(sandbox_cmd_join(wish.cmd, below()), 0);
        assert_eq!(sandbox_cmd_unshare(wish.cmd, ALL_NAMESPACES & !u64::from(libc::CLONE_NEWUSER.cast_unsigned())), 0);
        assert_eq!(sandbox_cmd_hostname(wish.cmd, c"a-name".as_ptr()), 0);
        assert_eq!(sandbox_cmd_time_offset(wish.cmd, 1, 5, 6), 0);
        assert_eq!(sandbox_cmd_bind(wish.cmd, c"/".as_ptr(), c"/".as_ptr(), 1), 0);
        assert_eq!(sandbox_cmd_proc(wish.cmd, c"/proc".as_ptr(), 0), 0);
        wish.on(&[SANDBOX_OPT_LOOPBACK]).on_ready();
    }),
    ("joined namespaces and a new user namespace", |wish| {
        joined(wish.on(&[SANDBOX_OPT_INIT, SANDBOX_OPT_DISABLE_USERNS]), &["uts", "ipc"]);
        assert_eq!(sandbox_cmd_unshare(wish.cmd, 0x3000_0080), 0); // user, pid, time
        assert_eq!(sandbox_cmd_time_offset(wish.cmd, 1, 5, 6), 0);
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
