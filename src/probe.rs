//! What this kernel allows this process, found by trying: each feature is a spawn of the library's own that uses it, of
//! a program that ends at once (the trampoline without its argument). Nothing is read from versions or settings.

use crate::cmd::{Cmd, Hook, ReadyFn};
use crate::confine::namespace::{self, Ns};
use crate::confine::landlock;
use crate::confine::mount::Kind;
use crate::error::Stage;
use crate::fd;
use crate::launch;
use crate::options::Opt;
use crate::process::Child;
use crate::seccomp::act;
use crate::seccomp::filter::{Filter, sandbox_filter_flag};
use crate::trampoline;
use nix::errno::Errno;
use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, OwnedFd};

/// What sandbox_probe found: 1 for what a spawn of this process can use here and now, 0 for what it can't.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct sandbox_features {
    /// A sum of SANDBOX_NS_*: the namespaces that a child can be given, with SANDBOX_NS_USER among them if that is
    /// allowed, else by privilege.
    pub namespaces: u64,
    /// A plain spawn works at all.
    pub spawn: u32,
    /// clone3; without it the library uses clone.
    pub clone3: u32,
    /// The trampoline may be run (vm.memfd_noexec): SANDBOX_OPT_INIT, _MDWE and _OOM_SCORE_ADJ, time namespaces, namespaces
    /// to join, memory limits of a cgroup, pools, another user than the host's.
    pub trampoline: u32,
    /// The status of a child that another thread's waitpid took, or that ended with SIGCHLD ignored, can still be told.
    pub status_of_reaped: u32,
    /// SANDBOX_OPT_MDWE.
    pub mdwe: u32,
    /// SANDBOX_OPT_DENY_TSC.
    pub deny_tsc: u32,
    /// SANDBOX_OPT_SPECULATION, both kinds.
    pub speculation: u32,
    /// SANDBOX_OPT_NEW_KEYRING.
    pub keyring: u32,
    /// Seccomp filters.
    pub filter: u32,
    /// Filters that notify, and the hand-off of their listener.
    pub notify: u32,
    /// SANDBOX_FILTER_WAIT_KILLABLE_RECV.
    pub wait_killable: u32,
    /// Landlock's ABI; 0: none, or none that this process may use.
    pub landlock_abi: u32,

    // Why not: 0 where it works, else the errno of what was tried.
    /// Of a child with a user namespace and this one: user, pid, mount, net, uts, ipc, cgroup, time, in that order.
    pub namespace_errno: [i32; 8],
    /// The same without a user namespace; the first is 0.
    pub namespace_alone_errno: [i32; 8],
    /// A new root with a tmpfs in it, in a pid and a mount namespace and, where one can be had, a user namespace.
    pub mount_errno: i32,
    /// A new proc in such a root.
    pub proc_errno: i32,
    /// An overlay, its changes in memory.
    pub overlay_errno: i32,
    /// A control group of its own, found or made where the library looks for one.
    pub cgroup_errno: i32,
    /// clone3 itself, and its CLONE_INTO_CGROUP.
    pub clone3_errno: i32,
    pub clone_into_cgroup_errno: i32,
    pub pidfd_open_errno: i32,
    /// To take an fd out of a child; without it the listener comes by a message, where the filter lets one pass.
    pub pidfd_getfd_errno: i32,
    /// To seize a child; to read a notified program's memory.
    pub ptrace_errno: i32,
    pub memory_errno: i32,
    pub trampoline_errno: i32,
    pub mdwe_errno: i32,
    pub keyring_errno: i32,
    pub filter_errno: i32,
    pub notify_errno: i32,
    pub landlock_errno: i32,
    /// Answers to notifications without a wait for the scheduler (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP).
    pub sync_wake_up: u32,
    /// The actions that this kernel's filters have: bit 0 KILL_PROCESS, then KILL_THREAD, TRAP, ERRNO, NOTIFY, TRACE, LOG, ALLOW.
    pub actions: u32,
}

/// No padding: it would show what lay there before.
const _: () = assert!(size_of::<sandbox_features>() == 14 * 4 + (8 + 8 + 16 + 2) * 4);

struct Probe {
    /// Without it, where no memfd may be executed, the program is none: to get as far as its execve is to work.
    program: Option<OwnedFd>,
    /// What the user namespace adds, where one can be had.
    base: u64,
}

type Asked = crate::error::Result<()>;

impl Probe {
    /// A spawn with what `ask` asks for; its end is not waited for. What is not `ask` stands apart: this is compiled anew
    /// for each.
    fn spawn(&self, ask: impl FnOnce(&mut Cmd) -> Asked) -> Result<Option<Child>, i32> {
        let mut cmd = Cmd::new(c"/");
        let asked = ask(&mut cmd);
        self.start(cmd, asked)
    }

    #[inline(never)]
    fn start(&self, mut cmd: Cmd, asked: Asked) -> Result<Option<Child>, i32> {
        let asked = asked.and_then(|()| {
            if let Some(program) = &self.program {
                cmd.exec_fd(program.as_raw_fd())?;
            }
            cmd.env_clear()?;
            cmd.option(Opt::SANDBOX_OPT_ALLOW_PRIVILEGED_HOST as u32, 1)
        });
        match asked.and_then(|()| launch::spawn(&cmd, cmd.plan()?)) {
            Ok(child) => Ok(Some(child)),
            Err(error) if self.program.is_none() && error.stage == Stage::SANDBOX_STAGE_EXEC as u32 => Ok(None),
            Err(error) => Err(error.errno),
        }
    }

    /// 0, or why not.
    fn errno(&self, ask: impl FnOnce(&mut Cmd) -> Asked) -> i32 {
        Self::end(self.spawn(ask))
    }

    #[inline(never)]
    fn end(started: Result<Option<Child>, i32>) -> i32 {
        match started {
            Ok(Some(child)) if child.wait(-1).is_err() && !child.has_ended() => libc::ECHILD,
            Ok(_) => 0,
            Err(errno) => errno,
        }
    }

    fn option(&self, option: Opt, value: u64) -> i32 {
        self.errno(|cmd| cmd.option(option as u32, value))
    }

    fn filter(&self, action: u32, flags: u64) -> i32 {
        self.errno(|cmd| add_filter(cmd, action, flags))
    }

    fn namespaces(&self, base: u64) -> [i32; 8] {
        namespace::ALL.map(|ns| match ns as u64 | base {
            asked if base == 0 && asked == Ns::SANDBOX_NS_USER as u64 => 0,
            asked => self.errno(|cmd| cmd.unshare(asked)),
        })
    }

    fn mount(&self, kind: Kind) -> i32 {
        self.errno(|cmd| {
            cmd.unshare(self.base | Ns::SANDBOX_NS_PID as u64)?;
            cmd.mount(c"made/probe", kind)
        })
    }

    /// Over a directory with no mounts below it, which a user namespace may not part from it.
    fn overlay(&self) -> i32 {
        let mut errno = 0;
        for lower in [c"/usr", c"/etc", c"/bin"] {
            errno = self.mount(Kind::Overlay { lowers: vec![lower.to_owned()], upper: None, is_read_only: false });
            if errno == 0 {
                break;
            }
        }
        errno
    }

    /// What `look` finds of a child that is held at the gate.
    fn held(&self, look: ReadyFn) -> i32 {
        self.errno(|cmd| {
            cmd.on_ready = Some(Hook { function: look, userdata: std::ptr::null_mut() });
            Ok(())
        })
    }

    /// The kernel's ABI, if a ruleset of it can be put on.
    fn landlock(&self) -> (u32, i32) {
        let abi = match landlock::version() {
            Ok(abi) => abi,
            Err(errno) => return (0, errno),
        };
        let one = |cmd: &mut Cmd| {
            cmd.option(Opt::SANDBOX_OPT_ALLOW_LESS_LANDLOCK as u32, 1)?; // a ruleset is of all rights that there are
            cmd.landlock_path(c"/", 13) // EXECUTE, READ_FILE, READ_DIR
        };
        match self.errno(one) {
            0 => (abi, 0),
            errno => (0, errno),
        }
    }

    fn ptrace(&self) -> i32 {
        self.spawn(|cmd| cmd.ptrace(0)).err().unwrap_or(0) // not waited for: it stops at its exec
    }

    fn status_of_reaped(&self) -> u32 {
        matches!(self.spawn(|_| Ok(())), Ok(Some(child)) if child.is_told_after_reaping()).into()
    }

    fn sync_wake_up(&self) -> u32 {
        const SECCOMP_IOCTL_NOTIF_SET_FLAGS: libc::c_ulong = 0x4008_2104;
        let Ok(Some(child)) = self.spawn(|cmd| add_filter(cmd, act::NOTIFY, 0)) else { return 0 };
        // SAFETY: the flag is the argument itself.
        (unsafe { libc::ioctl(child.fds().seccomp_fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS as _, 1u64) } == 0).into()
    }
}

fn add_filter(cmd: &mut Cmd, action: u32, flags: u64) -> Asked {
    let mut filter = Filter::new(act::ALLOW);
    filter.rule(action, "acct", &[])?;
    filter.flags(flags)?;
    cmd.filter(&filter)
}

pub fn probe() -> sandbox_features {
    let mut probe = Probe { program: trampoline::program().ok(), base: 0 };
    if probe.errno(|_| Ok(())) != 0 {
        probe.program = None; // execveat may be what is refused, of which a program with a name has no need
    }
    let wait_killable = sandbox_filter_flag::SANDBOX_FILTER_WAIT_KILLABLE_RECV as u64;
    let user = Ns::SANDBOX_NS_USER as u64;
    let namespace_errno = probe.namespaces(user);
    let has_user = namespace_errno.first() == Some(&0);
    probe.base = if has_user { user } else { 0 };
    let namespace_alone_errno = probe.namespaces(0);
    let usable = if has_user { namespace_errno } else { namespace_alone_errno };
    let named = namespace::ALL.iter().zip(usable).filter(|(ns, errno)| *errno == 0 && (has_user || **ns as u64 != user));
    let [clone3_errno, clone_into_cgroup_errno] = clone3();
    let (landlock_abi, landlock_errno) = probe.landlock();
    // An init that lingers takes the trampoline alone, and no list of its children.
    let trampoline_errno = probe.option(Opt::SANDBOX_OPT_INIT, 2);
    let [mdwe_errno, keyring_errno] = [Opt::SANDBOX_OPT_MDWE, Opt::SANDBOX_OPT_NEW_KEYRING].map(|option| probe.option(option, 1));
    let [filter_errno, notify_errno] = [act::ERRNO | 1, act::NOTIFY].map(|action| probe.filter(action, 0));
    let works = |errno: i32| u32::from(errno == 0);
    sandbox_features {
        namespaces: named.fold(0, |found, (ns, _)| found | *ns as u64),
        spawn: works(probe.errno(|_| Ok(()))),
        clone3: works(clone3_errno),
        trampoline: works(trampoline_errno),
        status_of_reaped: probe.status_of_reaped(),
        mdwe: works(mdwe_errno),
        deny_tsc: works(probe.option(Opt::SANDBOX_OPT_DENY_TSC, 1)),
        speculation: works(probe.option(Opt::SANDBOX_OPT_SPECULATION, 3)),
        keyring: works(keyring_errno),
        filter: works(filter_errno),
        notify: works(notify_errno),
        wait_killable: works(probe.filter(act::NOTIFY, wait_killable)),
        landlock_abi,
        namespace_errno,
        namespace_alone_errno,
        mount_errno: probe.mount(Kind::Tmpfs { bytes: 0, mode: 0o700 }),
        proc_errno: probe.mount(Kind::Proc { flags: 0 }),
        overlay_errno: probe.overlay(),
        cgroup_errno: probe.errno(|cmd| cmd.cgroup(None)),
        clone3_errno,
        clone_into_cgroup_errno,
        pidfd_open_errno: pidfd_open(),
        pidfd_getfd_errno: probe.held(take_fd),
        ptrace_errno: probe.ptrace(),
        memory_errno: probe.held(read_memory),
        trampoline_errno,
        mdwe_errno,
        keyring_errno,
        filter_errno,
        notify_errno,
        landlock_errno,
        sync_wake_up: probe.sync_wake_up(),
        actions: actions(),
    }
}

/// Fds of the host's are the held child's too; a number that is none of them is EBADF, but only to who may take one.
extern "C" fn take_fd(_: libc::pid_t, pidfd: c_int, _: *mut c_void) -> c_int {
    // SAFETY: no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd, pidfd, 0) };
    match fd::owned(c_int::try_from(fd).unwrap_or(-1)) {
        Ok(_) | Err(Errno::EBADF) => 0,
        Err(errno) => -(errno as c_int),
    }
}

extern "C" fn read_memory(pid: libc::pid_t, _: c_int, _: *mut c_void) -> c_int {
    let mut byte = 0u8;
    let here = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: one byte of ours; the other address is the child's, which has the same.
    let read = unsafe { libc::process_vm_readv(pid, &raw const here, 1, &raw const here, 1, 0) };
    if read < 0 { -Errno::last_raw() } else { 0 }
}

/// With arguments that no kernel takes, so that nothing is cloned: EINVAL says that it knows them. One that knows no cgroup in
/// them calls them too big.
fn clone3() -> [i32; 2] {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut args = [0u64; 11]; // struct clone_args
    args[0] = CLONE_INTO_CGROUP;
    args[10] = u64::MAX;
    let tried = |size: usize| {
        // SAFETY: the kernel reads `size` bytes of it: none, or all.
        unsafe { libc::syscall(libc::SYS_clone3, args.as_ptr(), size) };
        Errno::last_raw()
    };
    [match tried(0) { libc::EINVAL => 0, errno => errno }, match tried(size_of_val(&args)) { libc::EINVAL => 0, errno => errno }]
}

fn pidfd_open() -> i32 {
    // SAFETY: no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    fd::owned(c_int::try_from(fd).unwrap_or(-1)).err().map_or(0, |errno| errno as i32)
}

fn actions() -> u32 {
    const SECCOMP_GET_ACTION_AVAIL: u32 = 2;
    let all = [act::KILL_PROCESS, act::KILL_THREAD, act::TRAP, act::ERRNO, act::NOTIFY, act::TRACE, act::LOG, act::ALLOW];
    // SAFETY: the call reads one number of ours.
    let is_there = |action: &u32| unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &raw const *action) } == 0;
    all.iter().enumerate().filter(|(_, action)| is_there(action)).fold(0, |found, (bit, _)| found | 1 << bit)
}

