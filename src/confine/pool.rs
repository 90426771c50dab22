//! A pool's children: the plan in two halves, what is done ahead and what belongs to one run.

use crate::block::Image;
use crate::cmd::Cmd;
use crate::error::{Error, Result, Stage};
use crate::confine::{death, identity, rlimit};
use crate::options::Opt;
use crate::plan::{Ahead, Builder, Source};
use crate::seccomp::range::Kind;
use sandbox_child::plan::Code;
use sandbox_child::pool::{MAP_SHARED_FIXED, POPULATE_WRITE, PROT_READ_WRITE};

const STAGE: Stage = Stage::SANDBOX_STAGE_GATE;

/// Whole pages of any size: so a run's block lies behind that of the held child.
pub fn whole_pages(length: usize) -> usize {
    length.next_multiple_of(64 << 10)
}

/// What a child set up ahead can't be given any more, or not from its host as that is at the run.
pub fn check(cmd: &Cmd) -> Result<()> {
    let refused = |stage, what| Err(Error::new(stage, 0, libc::EINVAL, what));
    if cmd.pre_exec.is_some() {
        return refused(Stage::SANDBOX_STAGE_CALLBACK, "pre_exec in a pool, whose children have left the host's memory");
    }
    if !cmd.options.is_on(Opt::SANDBOX_OPT_CLOSE_FDS) {
        return refused(Stage::SANDBOX_STAGE_FD, "CLOSE_FDS off in a pool, whose children hold no fd of the host's");
    }
    if !cmd.options.is_on(Opt::SANDBOX_OPT_RESET_SIGNALS) {
        return refused(Stage::SANDBOX_STAGE_SIGNAL, "RESET_SIGNALS off in a pool, whose children are no copy of the calling thread");
    }
    Ok(())
}

/// What of the command can be done before a child is held. Not where the host looks at the child at its run, which it
/// is to find as any other; nor where a limit counts those who wait, or needs a privilege when the run is there.
pub fn ahead(cmd: &Cmd) -> Ahead {
    let counts_the_held = identity::ids(cmd).is_some() && cmd.rlimits.iter().any(|limit| limit.resource == libc::RLIMIT_NPROC as u32);
    let is_most = cmd.on_ready.is_none() && cmd.ptrace.is_none() && !counts_the_held && !rlimit::late_ones_need_privilege(cmd);
    let notifies = cmd.filters.iter().any(|filter| filter.program.notifies);
    let own = || OWN_STEPS.iter().filter(|(when, _)| when(cmd, notifies)).map(|(_, kind)| kind);
    let has_filters = is_most && cmd.filters.iter().filter(|filter| !filter.program.notifies)
        .all(|filter| own().all(|kind| kind.passes(&filter.program.instructions)));
    Ahead { is_most, has_filters }
}

type When = fn(&Cmd, bool) -> bool;
const ALWAYS: When = |_, _| true;
/// Without close_range, which is asked for no fd that there can be.
const CLOSES_EACH: When = |_, _| {
    // SAFETY: no pointers.
    unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0) < 0 }
};

/// What a held child, and then its run, may call under filters that are loaded already, and when.
const OWN_STEPS: &[(When, Kind)] = &[
    // To be held, and to wait.
    (ALWAYS, Kind::any(libc::SYS_close_range)),
    (CLOSES_EACH, Kind::any(libc::SYS_openat)),
    (CLOSES_EACH, Kind::any(libc::SYS_fstatfs)),
    (CLOSES_EACH, Kind::any(libc::SYS_getdents64)),
    (CLOSES_EACH, Kind::any(libc::SYS_prlimit64)),
    (CLOSES_EACH, Kind::any(libc::SYS_close)),
    (ALWAYS, Kind::any(libc::SYS_dup3)),
    (ALWAYS, Kind::with(libc::SYS_prctl, &[(0, libc::PR_GET_DUMPABLE as u64)])),
    (ALWAYS, Kind::with(libc::SYS_prctl, &[(0, libc::PR_SET_DUMPABLE as u64)])),
    (ALWAYS, Kind::with(libc::SYS_lseek, &[(2, libc::SEEK_END as u64)])),
    (ALWAYS, Kind::with(libc::SYS_madvise, &[(2, POPULATE_WRITE)])),
    (ALWAYS, Kind::any(libc::SYS_futex)),
    (ALWAYS, Kind::any(libc::SYS_ppoll)),
    (ALWAYS, Kind::any(libc::SYS_rt_sigpending)),
    (ALWAYS, Kind::any(libc::SYS_rt_sigtimedwait)),
    (ALWAYS, Kind::with(libc::SYS_mmap, &[(2, PROT_READ_WRITE), (3, MAP_SHARED_FIXED)])),
    // The run: its fds, its streams and directory.
    (ALWAYS, Kind::any(libc::SYS_recvmsg)),
    (ALWAYS, Kind::with(libc::SYS_fcntl, &[(1, libc::F_DUPFD_CLOEXEC as u64)])),
    (ALWAYS, Kind::with(libc::SYS_fcntl, &[(1, libc::F_SETFD as u64)])),
    (|cmd, _| cmd.options.get(Opt::SANDBOX_OPT_NEW_SESSION) != Some(0), Kind::any(libc::SYS_setsid)),
    (|cmd, _| cmd.options.get(Opt::SANDBOX_OPT_NEW_SESSION) != Some(0), Kind::with(libc::SYS_ioctl, &[(1, libc::TIOCSCTTY as u64)])),
    (|cmd, _| cmd.options.is_given(Opt::SANDBOX_OPT_PROCESS_GROUP), Kind::any(libc::SYS_setpgid)),
    (|cmd, _| cmd.rlimits.iter().any(rlimit::is_late), Kind::any(libc::SYS_prlimit64)),
    (ALWAYS, Kind::any(libc::SYS_openat2)),
    (ALWAYS, Kind::any(libc::SYS_fchdir)),
    (ALWAYS, Kind::any(libc::SYS_chdir)),
    (ALWAYS, Kind::any(libc::SYS_getcwd)),
    (ALWAYS, Kind::any(libc::SYS_close)),
    (|cmd, _| death::is_rearmed_late(cmd), Kind::with(libc::SYS_prctl, &[(0, libc::PR_SET_PDEATHSIG as u64)])),
    (|cmd, _| death::is_rearmed_late(cmd), Kind::any(libc::SYS_getppid)),
    (ALWAYS, Kind::with(libc::SYS_rt_sigprocmask, &[(0, libc::SIG_SETMASK as u64)])),
    // The filter that notifies, and its listener's way.
    (|_, notifies| notifies, Kind::with(libc::SYS_seccomp, &[(0, libc::SECCOMP_SET_MODE_FILTER as u64)])),
    (|_, notifies| notifies, Kind::any(libc::SYS_sendmsg)),
    (ALWAYS, Kind::any(libc::SYS_nanosleep)),
    (ALWAYS, Kind::any(libc::SYS_execve)),
    (ALWAYS, Kind::any(libc::SYS_execveat)),
    (ALWAYS, Kind::any(libc::SYS_exit_group)),
];

/// The end of what is done ahead.
pub fn hold(plan: &mut Builder) -> Result<()> {
    let (control, memory) = (plan.slot(Source::Control)?, plan.slot(Source::Memory)?);
    plan.slot(Source::Host)?;
    plan.op(STAGE, 0, Code::Hold, [control.into(), memory.into(), 0], "held for its run");
    // There is no environment here, nor any other thing that changes from one child to the next.
    plan.plan().exec.env_clear = true;
    let length = whole_pages(Image::new(plan.plan()).length(plan.plan()));
    plan.plan().run_offset = length;
    if let Some(hold) = plan.plan().ops.last_mut() {
        hold.args[2] = length as u64;
    }
    Ok(())
}

/// The beginning of a run.
pub fn receive(plan: &mut Builder) -> Result<()> {
    let control = plan.slot(Source::Control)?;
    plan.slot(Source::Host)?;
    plan.op(STAGE, 0, Code::Receive, [control.into(), 0, 0], "the run's fds, through the pool's socket");
    Ok(())
}
