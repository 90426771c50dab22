use super::*;
use crate::error::Stage;
use crate::seccomp::filter::Cmp;
use std::path::PathBuf;
use crate::seccomp::bpf::Call;

/// What the filter does with a native call: read off its rules, and the same from the compiled program.
pub fn decide(filter: &Filter, name: &str, args: &[u64]) -> u32 {
    let audit = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    let nr = filter::number(name, ScmpArch::native()).unwrap();
    let mut call = Call { arch: audit, nr, ..Call::default() };
    call.args[..args.len()].copy_from_slice(args);
    let holds = |compare: &Compare| {
        let argument = call.args[compare.index as usize];
        match compare.op {
            Cmp::SANDBOX_CMP_EQ => argument == compare.value,
            Cmp::SANDBOX_CMP_NE => argument != compare.value,
            Cmp::SANDBOX_CMP_LT => argument < compare.value,
            Cmp::SANDBOX_CMP_LE => argument <= compare.value,
            Cmp::SANDBOX_CMP_GE => argument >= compare.value,
            Cmp::SANDBOX_CMP_GT => argument > compare.value,
            Cmp::SANDBOX_CMP_MASKED_EQ => argument & compare.mask == compare.value,
        }
    };
    let applies = |rule: &&Rule| filter::number(&rule.syscall, ScmpArch::native()) == Some(nr) && rule.compares.iter().all(holds);
    let by_rules = filter.rules.iter().find(applies).map_or(filter.default, |rule| rule.action);
    let program = filter.program().unwrap();
    assert_eq!(bpf::run(&program.instructions, &call), by_rules, "{name} {args:x?}: the program and the rules differ");
    by_rules
}

pub fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies")
}

pub fn errno(number: i32) -> u32 {
    act::ERRNO | number.unsigned_abs()
}

const KILL: u32 = act::KILL_PROCESS;

fn parsed(text: &str) -> Filter {
    let mut filter = Filter::new(KILL);
    filter.set(|filter| read(filter, text.as_bytes(), None)).unwrap();
    filter
}

fn failed(text: &[u8], directory: Option<&Path>) -> String {
    let mut filter = Filter::new(KILL);
    let error = filter.set(|filter| read(filter, text, directory)).unwrap_err();
    assert!(filter.rules.is_empty(), "rules of a policy that was refused");
    assert_eq!(error.stage, Stage::SANDBOX_STAGE_SECCOMP as u32);
    error.message.clone()
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let message = failed(text.as_bytes(), None);
    assert!(message.starts_with(expected), "{text:?} gave {message:?}, not {expected:?}");
}

fn whole() -> Filter {
    let mut filter = Filter::new(KILL);
    let text = std::fs::read(samples().join("whole.policy")).unwrap();
    filter.set(|filter| read(filter, &text, Some(&samples()))).unwrap();
    filter
}

#[test]
fn every_action_is_the_kernels() {
    let filter = whole();
    let expected = [
        ("read", act::ALLOW),
        ("write", act::ALLOW),
        ("kill", act::ALLOW),
        ("getpid", act::ERRNO),
        ("getuid", errno(libc::EPERM)),
        ("geteuid", act::KILL_PROCESS),
        ("getgid", act::KILL_PROCESS),
        ("getegid", act::KILL_THREAD),
        ("uname", act::TRAP),
        ("times", act::TRACE),
        ("sysinfo", act::LOG),
        ("chdir", act::NOTIFY),
        ("fchdir", KILL),
    ];
    for (name, action) in expected {
        assert_eq!(decide(&filter, name, &[]), action, "{name}");
    }
}

#[test]
fn comparisons_are_unsigned_and_64_bits_wide() {
    let filter = whole();
    assert_eq!(decide(&filter, "lseek", &[9, 9999, 0]), act::ALLOW);
    assert_eq!(decide(&filter, "lseek", &[9, 0o777, 1]), act::ALLOW, "0777 is octal");
    assert_eq!(decide(&filter, "lseek", &[9, 0o1000, 1]), KILL);
    assert_eq!(decide(&filter, "lseek", &[9, 0, 2]), KILL);
    assert_eq!(decide(&filter, "setpriority", &[0, 0, -2i64 as u64]), act::ALLOW);
    assert_eq!(decide(&filter, "setpriority", &[0, 0, -1i64 as u64]), KILL);
    assert_eq!(decide(&filter, "ioctl", &[0, 0x5401]), act::ALLOW);
    assert_eq!(decide(&filter, "ioctl", &[0, 0xffff_ffff]), KILL);
    assert_eq!(decide(&filter, "ioctl", &[0, 0x1_0000_0000]), act::ALLOW);
    assert_eq!(decide(&filter, "ioctl", &[0, 0, u64::MAX]), act::ALLOW);
    assert_eq!(decide(&filter, "ioctl", &[0, 0, u64::MAX - 1]), KILL);
}

#[test]
fn a_return_is_for_what_the_expression_does_not_hold_for() {
    let (filter, cwd) = (whole(), libc::AT_FDCWD as u64);
    let flags = |flags: i32| decide(&filter, "openat", &[cwd, 0, flags as u64]);
    assert_eq!(flags(libc::O_RDONLY), act::ALLOW);
    assert_eq!(flags(libc::O_CLOEXEC | libc::O_NONBLOCK), act::ALLOW);
    assert_eq!(flags(libc::O_CLOEXEC | libc::O_WRONLY), errno(libc::EACCES));
    assert_eq!(decide(&filter, "openat", &[5, 0, 0]), errno(libc::EACCES));
}

#[test]
fn ampersand_holds_for_any_of_the_bits_and_in_for_no_others() {
    let filter = whole();
    let socket = |kind: u64| decide(&filter, "socket", &[1, kind]);
    assert_eq!(socket(libc::SOCK_STREAM as u64), act::ALLOW);
    assert_eq!(socket((libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as u64), act::ALLOW);
    assert_eq!(socket(libc::SOCK_CLOEXEC as u64), errno(libc::EAFNOSUPPORT));
    assert_eq!(decide(&filter, "socket", &[2, 1]), errno(libc::EAFNOSUPPORT));
    assert_eq!(decide(&filter, "mmap", &[0, 0, 3]), act::ALLOW);
    assert_eq!(decide(&filter, "mprotect", &[0, 0, 5]), act::ALLOW);
    assert_eq!(decide(&filter, "mprotect", &[0, 0, 7]), KILL);

    let edges = parsed("read: arg0 & 0\nwrite: arg0 in ~0\nclose: arg0 & ~0\nfsync: arg0 in 0\ndup: arg0 & 3 && arg1 & 0x8000000000000001");
    assert_eq!(decide(&edges, "read", &[u64::MAX]), KILL, "no bit of none is set");
    assert_eq!(decide(&edges, "write", &[u64::MAX]), act::ALLOW);
    assert_eq!(decide(&edges, "close", &[0]), KILL);
    assert_eq!(decide(&edges, "close", &[1 << 63]), act::ALLOW);
    assert_eq!(decide(&edges, "fsync", &[0]), act::ALLOW);
    assert_eq!(decide(&edges, "fsync", &[1 << 40]), KILL);
    for (first, second, action) in [(1, 1, act::ALLOW), (2, 1 << 63, act::ALLOW), (4, 1, KILL), (3, 2, KILL), (0, 0, KILL)] {
        assert_eq!(decide(&edges, "dup", &[first, second]), action, "{first:#x} {second:#x}");
    }
}

#[test]
fn groups_architectures_numbers_and_continued_lines() {
    let filter = whole();
    assert_eq!(decide(&filter, "dup", &[]), act::ALLOW);
    assert_eq!(decide(&filter, "dup3", &[]), act::ALLOW);
    assert_eq!(decide(&filter, "sync", &[]), errno(libc::ENOSYS));
    assert!(!filter.rules.iter().any(|rule| rule.syscall == "fork"), "a rule of another architecture");
    assert_eq!(decide(&filter, "500", &[]), errno(libc::ENOSYS));
    assert_eq!(decide(&filter, "fcntl", &[0, libc::F_SETFD as u64, 1]), act::ALLOW);
    assert_eq!(decide(&filter, "fcntl", &[0, libc::F_SETFD as u64, 0]), KILL);
    assert_eq!(decide(&filter, "fcntl", &[0, libc::F_DUPFD_CLOEXEC as u64]), act::ALLOW);
    let windows = parsed("read: arg0 == 1 || \\\r\n arg0 == 2\r\n\r\nwrite: 1");
    assert_eq!(decide(&windows, "read", &[2]), act::ALLOW);
    assert_eq!(decide(&windows, "write", &[]), act::ALLOW);
}

#[test]
fn a_list_in_braces_gives_the_action_of_the_first_that_holds() {
    let filter = whole();
    let prctl = |option: i32| decide(&filter, "prctl", &[option as u64]);
    assert_eq!(prctl(libc::PR_SET_NAME), act::ALLOW);
    assert_eq!(prctl(libc::PR_SET_SECCOMP), errno(libc::EINVAL));
    assert_eq!(prctl(libc::PR_GET_NAME), act::LOG);
    assert_eq!(prctl(libc::PR_SET_DUMPABLE), errno(libc::EPERM));
}

#[test]
fn lines_for_one_call_add_up_until_it_is_decided() {
    let filter = whole();
    let advice = |advice: i32| decide(&filter, "madvise", &[0, 0, advice as u64]);
    assert_eq!(advice(libc::MADV_DONTNEED), act::ALLOW);
    assert_eq!(advice(libc::MADV_FREE), act::ALLOW);
    assert_eq!(advice(libc::MADV_NORMAL), errno(libc::EINVAL));
    refused("read: 1\nwrite: 1\nread: arg0 == 1", "policy:3:1: \"read\" is already decided, at policy:1");
    refused("{read, write, read}: 1", "policy:1:15: \"read\" is already decided");
    refused("read: arg0 == 0; return 1\nread: arg0 == 1", "policy:2:1: \"read\" is already decided");
    #[cfg(target_arch = "x86_64")]
    refused("read: 1\n0x0: 1", "policy:2:1: \"0x0\" is already decided, at policy:1");
}

#[test]
fn values_are_numbers_constants_and_what_is_made_of_them() {
    for (text, value) in [
        ("10", 10),
        ("0x1F", 31),
        ("0XfF", 255),
        ("010", 8),
        ("0o17", 15),
        ("0", 0),
        ("-1", u64::MAX),
        ("-0x8000000000000000", 1 << 63),
        ("18446744073709551615", u64::MAX),
        ("~0", u64::MAX),
        ("~(1|2)|~-1", !3),
        ("(O_RDWR | (O_SYNC))", (libc::O_RDWR | libc::O_SYNC) as u64),
        ("~O_RDWR", !2),
        ("AT_FDCWD", -100i64 as u64),
    ] {
        let filter = parsed(&format!("read: arg5 == {text}"));
        assert_eq!(filter.rules[0].compares, [Compare::new(5, Cmp::SANDBOX_CMP_EQ, value)], "{text}");
    }
    for text in ["18446744073709551616", "-0x8000000000000001", "09", "0x", "0b1", "1_000", "12three", "0xg", "-", "--1"] {
        let message = failed(format!("read: arg5 == {text}").as_bytes(), None);
        assert!(message.starts_with("policy:1:15: "), "{text}: {message}");
    }
}

#[test]
fn an_error_names_line_column_and_culprit() {
    refused("nonsense: 1", "policy:1:1: there is no system call \"nonsense\"");
    refused("\n  # x\n\tread : arg0 == O_NONSENSE", "policy:3:17: there is no constant \"O_NONSENSE\"");
    refused("read: arg0 == 1 || \\\n  arg0 = 1", "policy:2:8: \"=\" where ==, !=,");
    refused("read", "policy:1:4: the line ends where \":\" should follow");
    refused("read 1", "policy:1:6: \"1\" where \":\" should be");
    refused("read:", "policy:1:5: the line ends where an action should follow");
    refused("read: 0", "policy:1:7: \"0\" where an expression or an action should be");
    refused("read: 1 1", "policy:1:9: \"1\" where the end of the line should be");
    refused("read: arg6 == 1", "policy:1:7: \"arg6\" where an argument, arg0 to arg5, should be");
    refused("read: arg == 1", "policy:1:7: \"arg\" where an argument");
    refused("read: arg0 == 1 &&", "policy:1:18: the line ends where an argument should follow");
    refused("read: arg0 == ", "policy:1:14: the line ends where a number or constant should follow");
    refused("read: arg0 == (1|2", "policy:1:18: the line ends where \")\" should follow");
    refused("read: arg0 == ~~1", "policy:1:16: \"~\" where a number or constant should be");
    refused("read: arg0 in O_RDONLY|", "policy:1:23: the line ends");
    refused("read: return", "policy:1:12: the line ends where an errno should follow");
    refused("read: return 4096", "policy:1:14: \"4096\" where an errno should be");
    refused("read: return -1", "policy:1:14: \"-1\" where an errno should be");
    refused("read: return O_RDWR", "policy:1:14: \"O_RDWR\" where an errno should be");
    refused("read: arg0 == 1; kill", "policy:1:18: \"kill\" where \"return\" should be");
    refused("read: {1, 1}", "policy:1:7: in these braces");
    refused("read: {1", "policy:1:8: the line ends where \"}\" should follow");
    refused("{read, write: 1", "policy:1:13: \":\" where \"}\" should be");
    refused("read[arch=vax]: 1", "policy:1:11: \"vax\" where an architecture should be");
    refused("read[os=linux]: 1", "policy:1:6: \"os\" where \"arch\" should be");
    refused("files@basic: 1", "policy:1:1: \"files@basic\": groups of system calls");
    refused("@nonsense", "policy:1:1: \"@nonsense\" where @include, @frequency or @default should be");
    refused("@frequency", "policy:1:10: the line ends where a path should follow");
    refused("read: \\ 1", "policy:1:7: \"\\\\\" means nothing here");
    refused("read: 1\\", "policy:1:8: the policy ends in the middle of a line");
    refused("read: arg0 == 1 || # one \\\nwrite: 1", "policy:1:26: a comment that ends in \"\\\"");
    assert!(failed(b"read: \xff", None).starts_with("policy:1:7: \"\\xff\" means nothing here"));
    assert!(failed(b"read: 1\0", None).starts_with("policy:1:8: \"\\x00\" means nothing here"));
}

#[test]
fn a_commented_out_block_is_a_comment() {
    let filter = parsed("# read: arg0 == 1 || \\\n#   arg0 == 2 \\\n\nwrite: 1");
    assert_eq!(filter.rules.len(), 1);
    assert!(parsed("").rules.is_empty());
    assert!(parsed("\n \t\n# \u{e9}\n").rules.is_empty());
}

#[test]
fn the_default_stays_the_filters_and_may_not_allow_more_than_the_policy_wants() {
    for (default, line, is_fine) in [
        (act::KILL_PROCESS, "@default kill-process", true),
        (act::KILL_PROCESS, "@default trap", true),
        (act::KILL_THREAD, "@default kill", true),
        (act::KILL_THREAD, "@default kill-process", false),
        (act::ERRNO | 1, "@default trap", false),
        (act::ALLOW, "@default kill", false),
        (act::ALLOW, "@default allow", false),
    ] {
        let mut filter = Filter::new(default);
        assert_eq!(read(&mut filter, line.as_bytes(), None).is_ok(), is_fine, "{default:#x} {line}");
        assert_eq!(filter.default, default);
    }
}

#[test]
fn includes_are_beside_what_includes_them() {
    let filter = whole();
    assert_eq!(decide(&filter, "munmap", &[]), act::ALLOW);
    assert_eq!(decide(&filter, "exit_group", &[]), act::ALLOW);
    assert_eq!(filter.rules[0].syscall, "exit", "in the include's place");

    refused("@include ./x.policy", "policy:1:10: @include \"./x.policy\": no directory to look in was given");
    let here = samples();
    let absolute = format!("@include {}", here.join("parts/exit.policy").display());
    let mut filter = Filter::new(KILL);
    read(&mut filter, absolute.as_bytes(), Some(Path::new("/"))).unwrap();
    assert_eq!(filter.rules.len(), 3);
}

#[test]
fn an_error_in_an_included_file_names_that_file() {
    let here = samples();
    let read = |name: &str| failed(&std::fs::read(here.join(name)).unwrap(), Some(&here));
    assert!(read("bad-include.policy").starts_with("./parts/broken.policy:3:16: there is no constant \"O_NONSENSE\""));
    assert!(read("loop.policy").starts_with("./loop.policy:2:10: @include \"./loop.policy\": too many files"));
    let missing = failed(b"@include ./none.policy", Some(&here));
    assert_eq!(missing, "policy:1:10: @include \"./none.policy\": can't be read: No such file or directory");
    assert!(failed(b"@include /dev/zero", Some(&here)).contains("can't be read"));
    assert!(failed(b"@include .", Some(&here)).contains("can't be read"));
    assert!(failed(b"@include \xff\0", Some(&here)).contains("can't be read"));
}

#[test]
fn what_no_filter_could_hold_is_refused_and_not_built() {
    let product = "read: arg0 & ~0 && arg1 & ~0 && arg2 & ~0";
    refused(product, "policy:1:20: with this the expression takes more rules than a filter can hold");
    let atoms = format!("read: arg0 == 1{}", " && arg0 != 2".repeat(50_000));
    assert!(failed(atoms.as_bytes(), None).contains("more rules than a filter can hold"));
    let lines = "read: arg0 == 1\n".repeat(5000);
    refused(&lines, "policy:4097:1: up to here these are more rules than a filter can hold");
    let nested = format!("read: arg0 == {}1{}", "(".repeat(200_000), ")".repeat(200_000));
    refused(&nested, "policy:1:47: \"(\" where");
    assert!(failed(&vec![b'\n'; LONGEST + 1], None).contains("longer than"));
}
