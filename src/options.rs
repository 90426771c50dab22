//! The scalar options of a command: one table, from which checks, defaults, messages and tests follow.

/// Every knob that is one number: for sandbox_cmd_set.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_option {
    /// 1 (default): exec grants nothing, set-user-ID and file capabilities included (PR_SET_NO_NEW_PRIVS).
    SANDBOX_OPT_NO_NEW_PRIVS = 1,
    /// The signal the child gets when its host dies, SIGKILL by default; 0: none (PR_SET_PDEATHSIG). It follows the
    /// host's process, not the thread that called: only where a host ends its first thread by pthread_exit and lives
    /// on does the kernel take that for its death. With SANDBOX_OPT_INIT not even then.
    SANDBOX_OPT_DEATH_SIGNAL = 2,
    /// 1 (default): all fds but 0, 1, 2 and the passed ones are closed at exec (close_range).
    SANDBOX_OPT_CLOSE_FDS = 3,
    /// 1 (default): every signal gets its default disposition, and the signal mask is emptied.
    /// 0: ignored signals stay ignored, and the mask is the calling thread's.
    SANDBOX_OPT_RESET_SIGNALS = 4,
    /// 1: a session of its own (setsid). Not set: one where a terminal is among the fds passed in, or is the host's own
    /// (which /dev/tty would open), so that the program can't push input into it (TIOCSTI). 0: the host's session.
    SANDBOX_OPT_NEW_SESSION = 5,
    /// The process group to join (setpgid); 0: a new one.
    SANDBOX_OPT_PROCESS_GROUP = 6,
    /// 1: standard input becomes the controlling terminal (TIOCSCTTY), in a session of its own.
    SANDBOX_OPT_CONTROLLING_TTY = 7,
    /// The umask, 0 to 0777.
    SANDBOX_OPT_UMASK = 8,
    /// The nice value, -20 to 19, cast to uint64_t (setpriority).
    SANDBOX_OPT_NICE = 9,
    /// -1000 to 1000, cast to uint64_t: how readily the kernel kills it when memory runs out.
    SANDBOX_OPT_OOM_SCORE_ADJ = 10,
    /// The CPUs it may run on: bit n for CPU n (sched_setaffinity). For CPUs above 63: sandbox_cmd_cpus.
    SANDBOX_OPT_CPU_AFFINITY = 11,
    /// 1: no address space randomisation (ADDR_NO_RANDOMIZE).
    SANDBOX_OPT_NO_RANDOMIZE = 12,
    /// 1: no memory becomes executable that was not, or is both writable and executable (PR_SET_MDWE, Linux 6.3).
    SANDBOX_OPT_MDWE = 13,
    /// 1: reading the time stamp counter is SIGSEGV (PR_SET_TSC; x86, and arm64 from Linux 6.12).
    SANDBOX_OPT_DENY_TSC = 14,
    /// Speculation to force off: a sum of SANDBOX_SPECULATION_* (PR_SET_SPECULATION_CTRL).
    SANDBOX_OPT_SPECULATION = 15,
    /// 1: a new, empty session keyring (KEYCTL_JOIN_SESSION_KEYRING).
    SANDBOX_OPT_NEW_KEYRING = 16,
    /// The securebits, SECBIT_* of linux/securebits.h (PR_SET_SECUREBITS; needs CAP_SETPCAP, but for SECBIT_EXEC_* of
    /// Linux 6.14).
    SANDBOX_OPT_SECUREBITS = 17,
    /// 1: an init stays behind: it reaps orphans, forwards signals to the program (but SIGCHLD), ends with the host, and all
    /// that is left ends with the program. The child's pid and pidfd are the init's; the status is the program's. The init
    /// keeps its capabilities and has no filter: a program that keeps CAP_SYS_PTRACE can trace it, and so get both. Without
    /// a pid namespace a program of the init's own user can also stop or kill it, and so outlive its host, or leave
    /// descendants: a pid namespace or a cgroup holds them for sure (or SANDBOX_LANDLOCK_SIGNAL, which keeps signals in).
    /// 2: what the program leaves running goes on, and with it the init, until none of its children is left; it forwards
    /// no signal. sandbox_child_wait tells of the program's end, before the init's. Only with this may DEATH_SIGNAL be
    /// 0: then it goes on without the host too.
    SANDBOX_OPT_INIT = 18,
    /// 1: the loopback interface of a network namespace of its own is brought up.
    SANDBOX_OPT_LOOPBACK = 19,
    /// 1: the handle's fds get random numbers, so that a host's stray read or close is unlikely to hit one.
    SANDBOX_OPT_RANDOM_FDS = 20,
    /// 1: spawn although the host was started set-user-ID, set-group-ID or with file capabilities (AT_SECURE).
    SANDBOX_OPT_ALLOW_PRIVILEGED_HOST = 21,
    /// 1: go on without MDWE where the kernel lacks it.
    SANDBOX_OPT_ALLOW_NO_MDWE = 22,
    /// 1: go on with a readable time stamp counter where it can't be denied.
    SANDBOX_OPT_ALLOW_NO_DENY_TSC = 23,
    /// 1: go on where speculation can't be controlled.
    SANDBOX_OPT_ALLOW_NO_SPECULATION = 24,
    /// 1: go on with the host's session keyring where a new one is refused.
    SANDBOX_OPT_ALLOW_NO_KEYRING = 25,
    /// 1: no user namespace can be made inside the child's own (its max_user_namespaces is 0), by whoever has no
    /// CAP_SYS_RESOURCE in it. 2: by nobody: its limit is 1, and the program runs in that one below it, with the caller's
    /// ids alone, where no capability reaches the limit, the mounts or the other namespaces. Not with sandbox_cmd_user.
    SANDBOX_OPT_DISABLE_USERNS = 40,
    /// 1: the inheritable set stays empty where capabilities are kept but none is ambient.
    SANDBOX_OPT_NOT_INHERITABLE = 41,
    /// 1: a joined user namespace (sandbox_cmd_join), which must be below the caller's, is the program's alone, entered
    /// when all is set up: mounts and new namespaces go with it, and belong to the caller's, out of the program's reach.
    SANDBOX_OPT_JOIN_USER_LAST = 42,
    /// 1: go on with fewer Landlock rights, ports or scopes than asked for, or with none, where the kernel lacks them:
    /// the status says which (landlock_*_left_out).
    SANDBOX_OPT_ALLOW_LESS_LANDLOCK = 50,
    /// What Landlock logs to the audit system: a sum of SANDBOX_LANDLOCK_LOG_* (Linux 6.15).
    SANDBOX_OPT_LANDLOCK_LOG = 51,
}

pub use sandbox_option as Opt;

/// Bits of SANDBOX_OPT_SPECULATION.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_speculation {
    /// Speculative store bypass.
    SANDBOX_SPECULATION_STORE_BYPASS = 1,
    /// Indirect branch speculation.
    SANDBOX_SPECULATION_INDIRECT_BRANCH = 2,
}

/// Bits of sandbox_status.left_out: what was asked for, allowed to be missing, and is.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_left_out {
    /// SANDBOX_OPT_MDWE.
    SANDBOX_LEFT_OUT_MDWE = 1,
    /// SANDBOX_OPT_DENY_TSC.
    SANDBOX_LEFT_OUT_DENY_TSC = 2,
    /// SANDBOX_OPT_SPECULATION.
    SANDBOX_LEFT_OUT_SPECULATION = 4,
    /// SANDBOX_OPT_NEW_KEYRING.
    SANDBOX_LEFT_OUT_KEYRING = 8,
    /// Which rights and scopes: see landlock_fs_left_out and those that follow it.
    SANDBOX_LEFT_OUT_LANDLOCK = 0x100,
    /// The source of a bind with SANDBOX_MOUNT_OPTIONAL was not there.
    SANDBOX_LEFT_OUT_MOUNT = 0x10_0000,
    /// What sandbox_cmd_mask was to cover was not there.
    SANDBOX_LEFT_OUT_MASK = 0x20_0000,
}

impl sandbox_left_out {
    /// The bit's number, as ops name it.
    pub fn bit(self) -> u8 {
        (self as u32).trailing_zeros() as u8
    }
}

/// What values an option takes.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    Switch,
    UpTo(u64),
    Between(i64, i64),
    /// Any but 0.
    Bits,
}

pub struct Info {
    pub option: Opt,
    pub values: Values,
    pub default: Option<u64>,
}

const fn info(option: Opt, values: Values, default: Option<u64>) -> Info {
    Info { option, values, default }
}

/// In the order of the numbers, which may leave gaps.
pub const OPTIONS: [Info; 30] = {
    use Values::*;
    use sandbox_option::*;
    [
        info(SANDBOX_OPT_NO_NEW_PRIVS, Switch, Some(1)),
        info(SANDBOX_OPT_DEATH_SIGNAL, UpTo(64), Some(libc::SIGKILL as u64)),
        info(SANDBOX_OPT_CLOSE_FDS, Switch, Some(1)),
        info(SANDBOX_OPT_RESET_SIGNALS, Switch, Some(1)),
        info(SANDBOX_OPT_NEW_SESSION, Switch, None),
        info(SANDBOX_OPT_PROCESS_GROUP, UpTo(i32::MAX as u64), None),
        info(SANDBOX_OPT_CONTROLLING_TTY, Switch, Some(0)),
        info(SANDBOX_OPT_UMASK, UpTo(0o777), None),
        info(SANDBOX_OPT_NICE, Between(-20, 19), None),
        info(SANDBOX_OPT_OOM_SCORE_ADJ, Between(-1000, 1000), None),
        info(SANDBOX_OPT_CPU_AFFINITY, Bits, None),
        info(SANDBOX_OPT_NO_RANDOMIZE, Switch, Some(0)),
        info(SANDBOX_OPT_MDWE, Switch, Some(0)),
        info(SANDBOX_OPT_DENY_TSC, Switch, Some(0)),
        info(SANDBOX_OPT_SPECULATION, UpTo(3), Some(0)),
        info(SANDBOX_OPT_NEW_KEYRING, Switch, Some(0)),
        info(SANDBOX_OPT_SECUREBITS, UpTo(0xfff), None),
        info(SANDBOX_OPT_INIT, UpTo(2), Some(0)),
        info(SANDBOX_OPT_LOOPBACK, Switch, Some(0)),
        info(SANDBOX_OPT_RANDOM_FDS, Switch, Some(0)),
        info(SANDBOX_OPT_ALLOW_PRIVILEGED_HOST, Switch, Some(0)),
        info(SANDBOX_OPT_ALLOW_NO_MDWE, Switch, Some(0)),
        info(SANDBOX_OPT_ALLOW_NO_DENY_TSC, Switch, Some(0)),
        info(SANDBOX_OPT_ALLOW_NO_SPECULATION, Switch, Some(0)),
        info(SANDBOX_OPT_ALLOW_NO_KEYRING, Switch, Some(0)),
        info(SANDBOX_OPT_DISABLE_USERNS, UpTo(2), Some(0)),
        info(SANDBOX_OPT_NOT_INHERITABLE, Switch, Some(0)),
        info(SANDBOX_OPT_JOIN_USER_LAST, Switch, Some(0)),
        info(SANDBOX_OPT_ALLOW_LESS_LANDLOCK, Switch, Some(0)),
        info(SANDBOX_OPT_LANDLOCK_LOG, UpTo(7), Some(0)),
    ]
};

impl Info {
    /// "NICE", for messages.
    pub fn name(&self) -> String {
        format!("{:?}", self.option).replace("SANDBOX_OPT_", "")
    }

    /// What is wrong with `value`, if something is.
    pub fn refuses(&self, value: u64) -> Option<String> {
        let allowed = match self.values {
            Values::Switch if value > 1 => "0 or 1".to_owned(),
            Values::UpTo(most) if value > most => format!("0 to {most}"),
            Values::Between(least, most) if !(least..=most).contains(&value.cast_signed()) => format!("{least} to {most}"),
            Values::Bits if value == 0 => "at least one bit".to_owned(),
            _ => return None,
        };
        Some(format!("option {} takes {allowed}, not {}", self.name(), value.cast_signed()))
    }
}

/// The values that a command was given.
#[derive(Clone, Debug, Default)]
pub struct Options([Option<u64>; OPTIONS.len()]);

impl Options {
    pub fn find(number: u32) -> Option<&'static Info> {
        OPTIONS.iter().find(|info| info.option as u32 == number)
    }

    fn position(option: Opt) -> usize {
        OPTIONS.iter().position(|info| info.option == option).unwrap_or(usize::MAX)
    }

    pub fn set(&mut self, option: Opt, value: u64) {
        if let Some(place) = self.0.get_mut(Self::position(option)) {
            *place = Some(value);
        }
    }

    /// What was asked for, or the default; `None` where nothing is to be done.
    pub fn get(&self, option: Opt) -> Option<u64> {
        let position = Self::position(option);
        self.0.get(position).copied().flatten().or(OPTIONS.get(position).and_then(|info| info.default))
    }

    pub fn is_on(&self, option: Opt) -> bool {
        self.get(option).is_some_and(|value| value != 0)
    }

    /// Whether the caller set it at all.
    pub fn is_given(&self, option: Opt) -> bool {
        self.0.get(Self::position(option)).copied().flatten().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_numbers() {
        assert!(OPTIONS.is_sorted_by(|one, next| (one.option as u32) < (next.option as u32)));
    }

    #[test]
    fn values_out_of_range_are_refused_with_the_range() {
        let nice = Options::find(Opt::SANDBOX_OPT_NICE as u32).unwrap();
        assert!(nice.refuses((-20i64).cast_unsigned()).is_none());
        assert_eq!(nice.refuses(20).unwrap(), "option NICE takes -20 to 19, not 20");
        assert!(Options::find(0).is_none() && Options::find(255).is_none());
    }
}
