//! What this kernel allows this process, found by trying: each feature is a spawn of the library's own that uses it, of
//! a program that ends at once (the trampoline without its argument). Nothing is read from versions or settings.

use crate::cmd::Cmd;
use crate::confine::landlock;
use crate::confine::namespace::{self, Ns};
use crate::launch;
use crate::options::Opt;
use crate::seccomp::act;
use crate::seccomp::filter::{Filter, sandbox_filter_flag};
use crate::trampoline;
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
    /// The trampoline may be run (vm.memfd_noexec): SANDBOX_OPT_INIT, _MDWE and _OOM_SCORE_ADJ.
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
    /// Landlock's ABI; 0: none.
    pub landlock_abi: u32,
}

struct Probe {
    program: OwnedFd,
}

impl Probe {
    /// A spawn with what `ask` asks for.
    fn works(&self, ask: impl FnOnce(&mut Cmd) -> crate::error::Result<()>) -> u32 {
        let mut cmd = Cmd::new(c"probe");
        let asked = cmd.exec_fd(self.program.as_raw_fd()).and_then(|()| {
            cmd.env_clear()?;
            (0..3).try_for_each(|target| cmd.stdio(target, 1, -1))?;
            cmd.option(Opt::SANDBOX_OPT_ALLOW_PRIVILEGED_HOST as u32, 1)?;
            ask(&mut cmd)
        });
        let spawned = asked.and_then(|()| launch::spawn(&cmd, cmd.plan()?));
        spawned.is_ok_and(|child| child.wait(-1).is_ok() || child.has_ended()).into()
    }

    fn option(&self, option: Opt, value: u64) -> u32 {
        self.works(|cmd| cmd.option(option as u32, value))
    }

    fn filter(&self, action: u32, flags: u64) -> u32 {
        self.works(|cmd| {
            let mut filter = Filter::new(act::ALLOW);
            filter.rule(action, "acct", &[])?;
            filter.flags(flags)?;
            cmd.filter(&filter)
        })
    }

    fn namespaces(&self) -> u64 {
        let user = Ns::SANDBOX_NS_USER as u64;
        let has_user = self.works(|cmd| cmd.unshare(user)) == 1;
        let base = if has_user { user } else { 0 };
        let others = namespace::ALL.iter().filter(|ns| **ns as u64 != user && self.works(|cmd| cmd.unshare(base | **ns as u64)) == 1);
        others.fold(base, |found, ns| found | *ns as u64)
    }

    fn status_of_reaped(&self) -> u32 {
        let mut cmd = Cmd::new(c"probe");
        let spawned = cmd.exec_fd(self.program.as_raw_fd()).and_then(|()| launch::spawn(&cmd, cmd.plan()?));
        spawned.is_ok_and(|child| child.is_told_after_reaping()).into()
    }
}

pub fn probe() -> crate::error::Result<sandbox_features> {
    let probe = Probe { program: trampoline::program()? };
    let wait_killable = sandbox_filter_flag::SANDBOX_FILTER_WAIT_KILLABLE_RECV as u64;
    Ok(sandbox_features {
        namespaces: probe.namespaces(),
        spawn: probe.works(|_| Ok(())),
        clone3: has_clone3().into(),
        trampoline: probe.option(Opt::SANDBOX_OPT_INIT, 1),
        status_of_reaped: probe.status_of_reaped(),
        mdwe: probe.option(Opt::SANDBOX_OPT_MDWE, 1),
        deny_tsc: probe.option(Opt::SANDBOX_OPT_DENY_TSC, 1),
        speculation: probe.option(Opt::SANDBOX_OPT_SPECULATION, 3),
        keyring: probe.option(Opt::SANDBOX_OPT_NEW_KEYRING, 1),
        filter: probe.filter(act::ERRNO | 1, 0),
        notify: probe.filter(act::NOTIFY, 0),
        wait_killable: probe.filter(act::NOTIFY, wait_killable),
        landlock_abi: landlock::abi(),
    })
}

/// An empty struct is EINVAL where the call exists.
fn has_clone3() -> bool {
    // SAFETY: no memory is named.
    let result = unsafe { libc::syscall(libc::SYS_clone3, std::ptr::null::<u8>(), 0usize) };
    result < 0 && nix::errno::Errno::last() != nix::errno::Errno::ENOSYS
}
