//! What can go wrong, and where: the list of stages, and the one error type that every layer returns.

use nix::errno::Errno;
use std::ffi::CStr;

/// The steps of a spawn. An error names the one it happened in.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_stage {
    /// No error.
    SANDBOX_STAGE_NONE = 0,
    /// Before there is a process: a bad argument, a conflict, fds or memory that could not be had.
    SANDBOX_STAGE_SETUP = 1,
    /// clone3.
    SANDBOX_STAGE_CLONE = 2,
    /// The user namespace and its id maps.
    SANDBOX_STAGE_USERNS = 3,
    /// The wait of the held child for its host.
    SANDBOX_STAGE_GATE = 4,
    /// A mount.
    SANDBOX_STAGE_MOUNT = 5,
    /// The change to the new root.
    SANDBOX_STAGE_ROOT = 6,
    /// The network namespace.
    SANDBOX_STAGE_NETWORK = 7,
    /// Host and domain name.
    SANDBOX_STAGE_HOSTNAME = 8,
    /// The control group.
    SANDBOX_STAGE_CGROUP = 9,
    /// A resource limit.
    SANDBOX_STAGE_RLIMIT = 10,
    /// A passed fd, or the closing of the others.
    SANDBOX_STAGE_FD = 11,
    /// Standard input, output or error.
    SANDBOX_STAGE_STDIO = 12,
    /// Session, process group, controlling terminal.
    SANDBOX_STAGE_SESSION = 13,
    /// Signal dispositions and mask, the death signal.
    SANDBOX_STAGE_SIGNAL = 14,
    /// User, group and supplementary groups.
    SANDBOX_STAGE_IDENTITY = 15,
    /// Capabilities, securebits, no_new_privs.
    SANDBOX_STAGE_CAPABILITY = 16,
    /// A Landlock rule, or the ruleset.
    SANDBOX_STAGE_LANDLOCK = 17,
    /// A seccomp filter.
    SANDBOX_STAGE_SECCOMP = 18,
    /// The seccomp listener's way to the host.
    SANDBOX_STAGE_HANDOFF = 19,
    /// The ptrace seize.
    SANDBOX_STAGE_PTRACE = 20,
    /// The working directory.
    SANDBOX_STAGE_CWD = 21,
    /// A callback of the caller's.
    SANDBOX_STAGE_CALLBACK = 22,
    /// execve.
    SANDBOX_STAGE_EXEC = 23,
    /// What belongs to the process and to no other stage: umask, nice value, affinity, oom_score_adj, personality,
    /// memory-deny-write-execute, time stamp counter, speculation, keyring.
    SANDBOX_STAGE_PROCESS = 24,
    /// The start of the trampoline, in an address space of its own.
    SANDBOX_STAGE_TRAMPOLINE = 25,
    /// The init that stays behind.
    SANDBOX_STAGE_INIT = 26,
}

pub use sandbox_stage as Stage;

/// The names, in the order of the numbers.
const NAMES: [&CStr; 27] = [
    c"none", c"setup", c"clone", c"userns", c"gate", c"mount", c"root", c"network", c"hostname", c"cgroup", c"rlimit",
    c"fd", c"stdio", c"session", c"signal", c"identity", c"capability", c"landlock", c"seccomp", c"handoff", c"ptrace",
    c"cwd", c"callback", c"exec", c"process", c"trampoline", c"init",
];

/// The name of stage number `stage`; "unknown" for no stage's number.
pub fn stage_name(stage: u32) -> &'static CStr {
    usize::try_from(stage).ok().and_then(|stage| NAMES.get(stage).copied()).unwrap_or(c"unknown")
}

#[cfg(test)]
impl Stage {
    pub fn name(self) -> &'static str {
        stage_name(self as u32).to_str().unwrap_or("unknown")
    }
}

/// A failure: the errno, the step, which item of that step in the caller's order, and a sentence for a person.
#[derive(Clone, Debug)]
pub struct Error {
    pub errno: i32,
    pub stage: u32,
    pub index: u32,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// `what` names the culprit; the errno's own words follow.
    pub fn new(stage: Stage, index: usize, errno: i32, what: impl AsRef<str>) -> Self {
        Self::at(stage as u32, u32::try_from(index).unwrap_or(u32::MAX), errno, what.as_ref())
    }

    pub fn at(stage: u32, index: u32, errno: i32, what: &str) -> Self {
        Error { errno, stage, index, message: format!("{what}: {}", Errno::from_raw(errno).desc()) }
    }

    pub fn setup(errno: i32, what: impl AsRef<str>) -> Self {
        Self::new(Stage::SANDBOX_STAGE_SETUP, 0, errno, what)
    }

    /// Of the call that just failed.
    pub fn last(stage: Stage, index: usize, what: impl AsRef<str>) -> Self {
        Self::new(stage, index, Errno::last_raw(), what)
    }

    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        if !hint.is_empty() {
            self.message = format!("{} ({hint})", self.message);
        }
        self
    }

    pub fn code(&self) -> i32 {
        -self.errno
    }
}

/// Bytes of any kind as a quoted word of a message; of more than a message holds, the beginning.
pub fn quoted(text: &CStr) -> String {
    let bytes = text.to_bytes();
    match bytes.get(..200) {
        Some(beginning) if bytes.len() > 200 => format!("\"{}\"...", beginning.escape_ascii()),
        _ => format!("\"{}\"", bytes.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_the_name_of_its_constant() {
        for number in 0..NAMES.len() as u32 {
            // SAFETY: the discriminants run from 0 without a gap, which the names below then prove.
            let stage: Stage = unsafe { std::mem::transmute(number) };
            let constant = format!("{stage:?}");
            assert_eq!(constant.strip_prefix("SANDBOX_STAGE_").map(str::to_lowercase).as_deref(), Some(stage.name()));
        }
        assert_eq!(stage_name(NAMES.len() as u32), c"unknown");
    }

    #[test]
    fn a_message_names_the_culprit_the_errno_and_the_hint() {
        let error = Error::new(Stage::SANDBOX_STAGE_EXEC, 0, libc::ENOENT, quoted(c"a\"b\xff")).hint("try another");
        assert_eq!(error.message, "\"a\\\"b\\xff\": No such file or directory (try another)");
        assert_eq!(error.code(), -libc::ENOENT);
    }
}
