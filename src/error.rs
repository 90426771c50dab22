//! What can go wrong, and where: the list of stages, and the one error type that every layer returns.

use nix::errno::Errno;
use std::ffi::CStr;
use std::fmt::{self, Display, Formatter, Write};
use std::ops::{Deref, DerefMut};

/// The steps of a spawn. An error names the one it happened in.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_stage {
    /// No error.
    SANDBOX_STAGE_NONE = 0,
    /// Before there is a process: a bad argument, a conflict, fds or memory that could not be had; of what belongs to
    /// another stage, that one.
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
pub struct Error(Box<Failure>);

/// What an error says: in a box, because every result passes through many hands and is almost never one.
#[derive(Clone, Debug)]
pub struct Failure {
    pub errno: i32,
    pub stage: u32,
    pub index: u32,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Deref for Error {
    type Target = Failure;

    fn deref(&self) -> &Failure {
        &self.0
    }
}

impl DerefMut for Error {
    fn deref_mut(&mut self) -> &mut Failure {
        &mut self.0
    }
}

impl Error {
    /// `what` names the culprit; the errno's own words follow. Mostly a format_args!: a String made at each place where
    /// something can fail would have to be dropped there too.
    pub fn new(stage: Stage, index: usize, errno: i32, what: impl Display) -> Self {
        Self::at(stage as u32, u32::try_from(index).unwrap_or(u32::MAX), errno, &what)
    }

    #[cold]
    #[inline(never)]
    pub fn at(stage: u32, index: u32, errno: i32, what: &dyn Display) -> Self {
        Error(Box::new(Failure { errno, stage, index, message: format!("{what}: {}", words(errno)) }))
    }

    pub fn setup(errno: i32, what: impl Display) -> Self {
        Self::new(Stage::SANDBOX_STAGE_SETUP, 0, errno, what)
    }

    /// Of the call that just failed.
    pub fn last(stage: Stage, index: usize, what: impl Display) -> Self {
        Self::new(stage, index, Errno::last_raw(), what)
    }

    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        if !hint.is_empty() {
            self.message = format!("{} ({hint})", self.message);
        }
        self
    }

    #[must_use]
    pub fn in_stage(mut self, stage: Stage) -> Self {
        self.stage = stage as u32;
        self
    }

    #[must_use]
    pub fn at_index(mut self, index: usize) -> Self {
        self.index = u32::try_from(index).unwrap_or(u32::MAX);
        self
    }

    pub fn code(&self) -> i32 {
        -self.errno
    }
}

/// What the numbers of errno say, from 1 on: one string, because a table of strings is four times the size. They are
/// the same on every architecture that the library is built for.
const WORDS: &str =
    "Operation not permitted|No such file or directory|No such process|Interrupted system call|I/O error|\
     No such device or address|Argument list too long|Exec format error|Bad file number|No child processes|Try again|\
     Out of memory|Permission denied|Bad address|Block device required|Device or resource busy|File exists|\
     Cross-device link|No such device|Not a directory|Is a directory|Invalid argument|File table overflow|\
     Too many open files|Not a typewriter|Text file busy|File too large|No space left on device|Illegal seek|\
     Read-only file system|Too many links|Broken pipe|Math argument out of domain of func|\
     Math result not representable|Resource deadlock would occur|File name too long|No record locks available|\
     Function not implemented|Directory not empty|Too many symbolic links encountered||No message of desired type|\
     Identifier removed|Channel number out of range|Level 2 not synchronized|Level 3 halted|Level 3 reset|\
     Link number out of range|Protocol driver not attached|No CSI structure available|Level 2 halted|Invalid exchange|\
     Invalid request descriptor|Exchange full|No anode|Invalid request code|Invalid slot||Bad font file format|\
     Device not a stream|No data available|Timer expired|Out of streams resources|Machine is not on the network|\
     Package not installed|Object is remote|Link has been severed|Advertise error|Srmount error|\
     Communication error on send|Protocol error|Multihop attempted|RFS specific error|Not a data message|\
     Value too large for defined data type|Name not unique on network|File descriptor in bad state|\
     Remote address changed|Can not access a needed shared library|Accessing a corrupted shared library|\
     .lib section in a.out corrupted|Attempting to link in too many shared libraries|\
     Cannot exec a shared library directly|Illegal byte sequence|Interrupted system call should be restarted|\
     Streams pipe error|Too many users|Socket operation on non-socket|Destination address required|Message too long|\
     Protocol wrong type for socket|Protocol not available|Protocol not supported|Socket type not supported|\
     Operation not supported|Protocol family not supported|\
     Address family not supported by protocol|Address already in use|Cannot assign requested address|Network is down|\
     Network is unreachable|Network dropped connection because of reset|Software caused connection abort|\
     Connection reset by peer|No buffer space available|Transport endpoint is already connected|\
     Transport endpoint is not connected|Cannot send after transport endpoint shutdown|\
     Too many references: cannot splice|Connection timed out|Connection refused|Host is down|No route to host|\
     Operation already in progress|Operation now in progress|Stale file handle|Structure needs cleaning|\
     Not a XENIX named type file|No XENIX semaphores available|Is a named type file|Remote I/O error|Quota exceeded|\
     No medium found|Wrong medium type|Operation canceled|Required key not available|Key has expired|\
     Key has been revoked|Key was rejected by service|Owner died|State not recoverable|\
     Operation not possible due to RF-kill|Memory page has hardware error";

/// The words of an errno.
pub fn words(errno: i32) -> &'static str {
    let place = usize::try_from(errno).ok().and_then(|errno| errno.checked_sub(1));
    place.and_then(|place| WORDS.split('|').nth(place)).filter(|words| !words.is_empty()).unwrap_or("Unknown errno")
}

/// Bytes of any kind as a quoted word of a message; of more than a message holds, the beginning.
pub fn quoted(text: &CStr) -> Quoted<'_> {
    Quoted { before: "", text }
}

/// A word to be shown. Not a String: a message has it written where it belongs.
#[derive(Clone, Copy)]
pub struct Quoted<'a> {
    /// What stands between the quotation mark and the text.
    pub before: &'static str,
    pub text: &'a CStr,
}

impl Display for Quoted<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let bytes = self.text.to_bytes();
        let (shown, end) = bytes.get(..200).filter(|_| bytes.len() > 200).map_or((bytes, "\""), |beginning| (beginning, "\"..."));
        to.write_char('"')?;
        to.write_str(self.before)?;
        Display::fmt(&shown.escape_ascii(), to)?;
        to.write_str(end)
    }
}

/// One more item of "one, two, three".
#[inline(never)]
pub fn list(text: &mut String, item: &dyn Display) {
    let comma = if text.is_empty() { "" } else { ", " };
    let _ = write!(text, "{comma}{item}");
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
    fn every_errno_has_its_words() {
        for errno in (-1..200).filter(|errno| *errno != libc::EOPNOTSUPP) {
            assert_eq!(words(errno), Errno::from_raw(errno).desc(), "{errno}");
        }
        assert_eq!(words(libc::EOPNOTSUPP), "Operation not supported"); // as strerror has it: of sockets alone it is not said
    }

    #[test]
    fn a_message_names_the_culprit_the_errno_and_the_hint() {
        let error = Error::new(Stage::SANDBOX_STAGE_EXEC, 0, libc::ENOENT, quoted(c"a\"b\xff")).hint("try another");
        assert_eq!(error.message, "\"a\\\"b\\xff\": No such file or directory (try another)");
        assert_eq!(error.code(), -libc::ENOENT);
    }
}
