//! The committed header is the generated one, and no number in it ever changes: programs were compiled with them.

use sandbox_spawn::capi::cmd::{sandbox_cmd_free, sandbox_cmd_new, sandbox_cmd_set};
use sandbox_spawn::capi::error::{sandbox_stage_name, sandbox_version};
use std::collections::BTreeMap;
use std::ffi::CStr;

const HEADER: &str = include_str!("../include/sandbox_spawn.h");
const GENERATED: &str = include_str!(concat!(env!("OUT_DIR"), "/sandbox_spawn.h"));

#[test]
fn the_committed_header_is_the_generated_one() {
    if let Some((line, (committed, generated))) = HEADER.lines().zip(GENERATED.lines()).enumerate().find(|(_, (a, b))| a != b) {
        panic!("include/sandbox_spawn.h differs in line {}: {committed:?}, generated {generated:?}: run `make header`", line + 1);
    }
    assert!(HEADER == GENERATED, "include/sandbox_spawn.h is longer or shorter than the generated one: run `make header`");
}

/// "SANDBOX_X = 1" of the enumerations and "#define SANDBOX_X 1", by name.
fn constants() -> BTreeMap<&'static str, i64> {
    HEADER.lines().filter_map(|line| {
        let line = line.trim().trim_end_matches(',');
        let (name, value) = line.strip_prefix("#define ").map_or_else(|| line.split_once(" = "), |rest| rest.split_once(' '))?;
        (name.starts_with("SANDBOX_") && !name.contains('(')).then_some(())?;
        Some((name, value.parse().ok()?))
    }).collect()
}

/// Every constant but stages and options, which have tables of their own below. A new one is added; none is changed.
const NUMBERS: &[(&str, i64)] = &[
    ("SANDBOX_CAUSE_FILTER", 1), ("SANDBOX_CAUSE_KILLED", 4), ("SANDBOX_CAUSE_MEMORY", 2), ("SANDBOX_CAUSE_NONE", 0),
    ("SANDBOX_CAUSE_TIMEOUT", 3),
    ("SANDBOX_CMP_EQ", 1), ("SANDBOX_CMP_GE", 5), ("SANDBOX_CMP_GT", 6), ("SANDBOX_CMP_LE", 4), ("SANDBOX_CMP_LT", 3),
    ("SANDBOX_CMP_MASKED_EQ", 7), ("SANDBOX_CMP_NE", 2), ("SANDBOX_DENY_BPF", 64), ("SANDBOX_DENY_IO_URING", 4),
    ("SANDBOX_DENY_KERNEL_POINTERS", 256), ("SANDBOX_DENY_KEYRINGS", 8), ("SANDBOX_DENY_PERF", 32), ("SANDBOX_DENY_PTRACE", 16),
    ("SANDBOX_DENY_SECCOMP", 128), ("SANDBOX_DENY_TERMINAL_INJECTION", 1), ("SANDBOX_DENY_USER_NAMESPACES", 2), ("SANDBOX_EXITED", 1), ("SANDBOX_FD_CGROUP", 6), ("SANDBOX_FD_PIDFD", 0), ("SANDBOX_FD_PTY", 5),
    ("SANDBOX_FD_SECCOMP", 1), ("SANDBOX_FD_STDERR", 4), ("SANDBOX_FD_STDIN", 2), ("SANDBOX_FD_STDOUT", 3),
    ("SANDBOX_FILTER_LOG", 2), ("SANDBOX_FILTER_SPEC_ALLOW", 4), ("SANDBOX_FILTER_WAIT_KILLABLE_RECV", 32), // the kernel's
    ("SANDBOX_LEFT_OUT_DENY_TSC", 2), ("SANDBOX_LEFT_OUT_KEYRING", 8), ("SANDBOX_LEFT_OUT_MDWE", 1), ("SANDBOX_LEFT_OUT_SPECULATION", 4),
    // LANDLOCK_ACCESS_FS_*, with three sums; LANDLOCK_ACCESS_NET_*, LANDLOCK_SCOPE_*, LANDLOCK_RESTRICT_SELF_LOG_*
    ("SANDBOX_LANDLOCK_EXECUTE", 1), ("SANDBOX_LANDLOCK_WRITE_FILE", 2), ("SANDBOX_LANDLOCK_READ_FILE", 4), ("SANDBOX_LANDLOCK_READ_DIR", 8),
    ("SANDBOX_LANDLOCK_REMOVE_DIR", 1 << 4), ("SANDBOX_LANDLOCK_REMOVE_FILE", 1 << 5), ("SANDBOX_LANDLOCK_MAKE_CHAR", 1 << 6),
    ("SANDBOX_LANDLOCK_MAKE_DIR", 1 << 7), ("SANDBOX_LANDLOCK_MAKE_REG", 1 << 8), ("SANDBOX_LANDLOCK_MAKE_SOCK", 1 << 9),
    ("SANDBOX_LANDLOCK_MAKE_FIFO", 1 << 10), ("SANDBOX_LANDLOCK_MAKE_BLOCK", 1 << 11), ("SANDBOX_LANDLOCK_MAKE_SYM", 1 << 12),
    ("SANDBOX_LANDLOCK_REFER", 1 << 13), ("SANDBOX_LANDLOCK_TRUNCATE", 1 << 14), ("SANDBOX_LANDLOCK_IOCTL_DEV", 1 << 15),
    ("SANDBOX_LANDLOCK_READ", 0xc), ("SANDBOX_LANDLOCK_READ_EXECUTE", 0xd), ("SANDBOX_LANDLOCK_WRITE", 0x77b2), ("SANDBOX_LANDLOCK_ALL", 0xffff),
    ("SANDBOX_LANDLOCK_BIND_TCP", 1), ("SANDBOX_LANDLOCK_CONNECT_TCP", 2), ("SANDBOX_LANDLOCK_ABSTRACT_UNIX_SOCKET", 1), ("SANDBOX_LANDLOCK_SIGNAL", 2),
    ("SANDBOX_LANDLOCK_LOG_SAME_EXEC_OFF", 1), ("SANDBOX_LANDLOCK_LOG_NEW_EXEC_ON", 2), ("SANDBOX_LANDLOCK_LOG_SUBDOMAINS_OFF", 4),
    ("SANDBOX_LEFT_OUT_LANDLOCK", 0x100),
    // CLONE_NEW*
    ("SANDBOX_NS_CGROUP", 0x0200_0000), ("SANDBOX_NS_IPC", 0x0800_0000), ("SANDBOX_NS_MOUNT", 0x0002_0000), ("SANDBOX_NS_NET", 0x4000_0000),
    ("SANDBOX_NS_PID", 0x2000_0000), ("SANDBOX_NS_TIME", 0x80), ("SANDBOX_NS_USER", 0x1000_0000), ("SANDBOX_NS_UTS", 0x0400_0000),
    ("SANDBOX_PRESET_BUILD", 2), ("SANDBOX_PRESET_COMPUTE", 1), ("SANDBOX_PRESET_NETWORK", 3),
    ("SANDBOX_SIGNALED", 2), ("SANDBOX_SPECULATION_INDIRECT_BRANCH", 2), ("SANDBOX_SPECULATION_STORE_BYPASS", 1),
    ("SANDBOX_STDIO_FD", 3), ("SANDBOX_STDIO_INHERIT", 0), ("SANDBOX_STDIO_NULL", 1), ("SANDBOX_STDIO_PIPE", 2), ("SANDBOX_STDIO_PTY", 4),
    ("SANDBOX_RUN_MERGE_STDERR", 1),
    ("SANDBOX_RUN_KILL_AT_LIMIT", 2),
    ("SANDBOX_LIMIT_WALL_TIME", 1),
    ("SANDBOX_LIMIT_CPU_TIME", 2),
    ("SANDBOX_LIMIT_STDOUT", 4),
    ("SANDBOX_LIMIT_STDERR", 8),
    ("SANDBOX_RUN_CANCEL_FD", 4),
    ("SANDBOX_LIMIT_CANCELED", 16),
    ("SANDBOX_LEFT_OUT_MOUNT", 0x100000),
    ("SANDBOX_LEFT_OUT_MASK", 0x200000),
    ("SANDBOX_MOUNT_RW", 1),
    ("SANDBOX_MOUNT_EXEC_OFF", 2),
    ("SANDBOX_MOUNT_OPTIONAL", 4),
    ("SANDBOX_MOUNT_DEV", 8),
    ("SANDBOX_MOUNT_SUID", 16),
    ("SANDBOX_MOUNT_NON_RECURSIVE", 32),
    ("SANDBOX_MOUNT_NOSYMFOLLOW", 64),
    ("SANDBOX_MOUNT_NOATIME", 128),
    ("SANDBOX_PROC_NOACCESS", 1),
    ("SANDBOX_PROC_INVISIBLE", 2),
    ("SANDBOX_PROC_PTRACEABLE", 4),
    ("SANDBOX_PROC_SUBSET_PID", 8),
    ("SANDBOX_PROC_RW", 16),
    ("SANDBOX_PROC_COVERED", 32),
    ("SANDBOX_DATA_MOUNT", 1),
    ("SANDBOX_DATA_RW", 2),
    ("SANDBOX_DATA_IN_PLACE", 4),
];

/// In the order of the numbers, from 0.
const STAGES: &[&str] = &[
    "NONE", "SETUP", "CLONE", "USERNS", "GATE", "MOUNT", "ROOT", "NETWORK", "HOSTNAME", "CGROUP", "RLIMIT", "FD", "STDIO", "SESSION",
    "SIGNAL", "IDENTITY", "CAPABILITY", "LANDLOCK", "SECCOMP", "HANDOFF", "PTRACE", "CWD", "CALLBACK", "EXEC", "PROCESS", "TRAMPOLINE", "INIT",
];

/// Each with its number, and the least and the greatest value that it takes.
const OPTIONS: &[(&str, i64, i64, i64)] = &[
    ("NO_NEW_PRIVS", 1, 0, 1),
    ("DEATH_SIGNAL", 2, 0, 64),
    ("CLOSE_FDS", 3, 0, 1),
    ("RESET_SIGNALS", 4, 0, 1),
    ("NEW_SESSION", 5, 0, 1),
    ("PROCESS_GROUP", 6, 0, i32::MAX as i64),
    ("CONTROLLING_TTY", 7, 0, 1),
    ("UMASK", 8, 0, 0o777),
    ("NICE", 9, -20, 19),
    ("OOM_SCORE_ADJ", 10, -1000, 1000),
    ("CPU_AFFINITY", 11, 1, -1),
    ("NO_RANDOMIZE", 12, 0, 1),
    ("MDWE", 13, 0, 1),
    ("DENY_TSC", 14, 0, 1),
    ("SPECULATION", 15, 0, 3),
    ("NEW_KEYRING", 16, 0, 1),
    ("SECUREBITS", 17, 0, 0xfff),
    ("INIT", 18, 0, 2),
    ("LOOPBACK", 19, 0, 1),
    ("RANDOM_FDS", 20, 0, 1),
    ("ALLOW_PRIVILEGED_HOST", 21, 0, 1),
    ("ALLOW_NO_MDWE", 22, 0, 1),
    ("ALLOW_NO_DENY_TSC", 23, 0, 1),
    ("ALLOW_NO_SPECULATION", 24, 0, 1),
    ("ALLOW_NO_KEYRING", 25, 0, 1),
    ("DISABLE_USERNS", 40, 0, 2),
    ("NOT_INHERITABLE", 41, 0, 1),
    ("JOIN_USER_LAST", 42, 0, 1),
    ("ALLOW_LESS_LANDLOCK", 50, 0, 1),
    ("LANDLOCK_LOG", 51, 0, 7),
];

fn with_prefix(prefix: &str) -> BTreeMap<&'static str, i64> {
    constants().into_iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value))).collect()
}

#[test]
fn every_stage_has_its_number_and_its_name() {
    let expected: BTreeMap<_, _> = STAGES.iter().copied().zip(0..).collect();
    assert_eq!(with_prefix("SANDBOX_STAGE_"), expected);
    let name = |stage| unsafe { CStr::from_ptr(sandbox_stage_name(stage)) }.to_str().unwrap(); // SAFETY: a constant string
    for (number, stage) in (0..).zip(STAGES) {
        assert_eq!(name(number), stage.to_lowercase());
    }
    for unknown in [STAGES.len() as u32, 1000, i32::MAX as u32, u32::MAX] {
        assert_eq!(name(unknown), "unknown");
    }
}

#[test]
fn every_option_has_its_number_and_its_range() {
    let expected: BTreeMap<_, _> = OPTIONS.iter().map(|(name, number, ..)| (*name, *number)).collect();
    assert_eq!(with_prefix("SANDBOX_OPT_"), expected);
    let set = |option: u32, value: i64| {
        let cmd = sandbox_cmd_new(c"/bin/true".as_ptr());
        let code = sandbox_cmd_set(cmd, option, value.cast_unsigned());
        sandbox_cmd_free(cmd);
        code
    };
    for (name, number, least, greatest) in OPTIONS {
        let number = u32::try_from(*number).unwrap();
        assert_eq!((set(number, *least), set(number, *greatest)), (0, 0), "{name}");
        assert_eq!(set(number, least.wrapping_sub(1)), -libc::EINVAL, "{name}: below its range");
        if *greatest != -1 {
            assert_eq!(set(number, greatest + 1), -libc::EINVAL, "{name}: above its range");
            assert_eq!(set(number, i64::MAX), -libc::EINVAL, "{name}: far above its range");
        }
    }
    for unknown in (0..256).filter(|number| OPTIONS.iter().all(|(_, known, ..)| known != number)).map(|number| number as u32).chain([1000, u32::MAX]) {
        assert_eq!(set(unknown, 1), -libc::EINVAL, "option {unknown}");
    }
}

#[test]
fn every_other_constant_has_its_number() {
    let mut rest = constants();
    rest.retain(|name, _| !["SANDBOX_STAGE_", "SANDBOX_OPT_", "SANDBOX_VERSION_"].iter().any(|prefix| name.starts_with(prefix)));
    assert_eq!(rest, NUMBERS.iter().copied().collect(), "a new constant joins the table; an old one never changes");
}

#[test]
fn the_version_is_the_headers() {
    let numbers = with_prefix("SANDBOX_VERSION_");
    // SAFETY: a constant string.
    let version = unsafe { CStr::from_ptr(sandbox_version()) }.to_str().unwrap();
    assert_eq!(version, format!("{}.{}.{}", numbers["MAJOR"], numbers["MINOR"], numbers["PATCH"]));
}

#[test]
fn every_name_is_ours() {
    for line in HEADER.lines() {
        let words: Vec<_> = line.split([' ', '(', ';', '{']).filter(|word| !word.is_empty()).collect();
        let name = match words[..] {
            ["#define", name, ..] => name,
            ["typedef", "struct" | "enum", name, ..] => name,
            _ => continue,
        };
        assert!(name.starts_with("SANDBOX_") || name.starts_with("sandbox_"), "{line}");
    }
}

#[test]
fn every_number_fits_an_int() {
    for (name, value) in constants() {
        assert!(i32::try_from(value).is_ok(), "{name} = {value}");
    }
}
