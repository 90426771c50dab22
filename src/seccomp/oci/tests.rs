use super::*;
use crate::seccomp::policy::tests::{decide, errno, samples};

const SYS_ADMIN: u64 = 1 << 21;
const SYS_CHROOT: u64 = 1 << 18;

fn sample(name: &str, capabilities: u64) -> Filter {
    parsed(&std::fs::read(samples().join(name)).unwrap(), capabilities)
}

fn parsed(json: &[u8], capabilities: u64) -> Filter {
    let mut filter = Filter::new(act::KILL_PROCESS);
    filter.set(|filter| read(filter, json, capabilities)).unwrap();
    filter
}

#[track_caller]
fn refused(json: &str, expected: &str) {
    let mut filter = Filter::new(act::KILL_PROCESS);
    let error = filter.set(|filter| read(filter, json.as_bytes(), 0)).unwrap_err();
    assert!(error.message.starts_with(expected), "{json} gave {:?}, not {expected:?}", error.message);
    assert!(filter.rules.is_empty() && filter.default == act::KILL_PROCESS && filter.flags == 0 && filter.arches.len() == 1);
}

/// A profile of one rule, a part of which is as given.
fn rule(part: &str) -> String {
    format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{{"names": ["read"], "action": "SCMP_ACT_ALLOW"}}, {{{part}}}]}}"#)
}

#[test]
fn a_profile_of_dockers_shape_loads_and_does_what_it_says() {
    let filter = sample("docker.json", 0);
    let eperm = errno(libc::EPERM);
    assert_eq!(filter.default, eperm);
    for (name, args, action) in [
        ("read", &[][..], act::ALLOW),
        ("ptrace", &[], act::ALLOW),
        ("kcmp", &[], eperm),
        ("socket", &[1], act::ALLOW),
        ("socket", &[40], eperm),
        ("personality", &[0], act::ALLOW),
        ("personality", &[131_072], act::ALLOW),
        ("personality", &[8], eperm),
        ("mount", &[], eperm),
        ("clone", &[0x0120_0011], act::ALLOW),
        ("clone", &[0x1120_0011], eperm),
        ("clone3", &[], errno(libc::ENOSYS)),
        ("chroot", &[], eperm),
        ("getpid", &[], eperm),
    ] {
        assert_eq!(decide(&filter, name, args), action, "{name} {args:x?}");
    }
    #[cfg(target_arch = "x86_64")]
    assert_eq!(decide(&filter, "arch_prctl", &[]), act::ALLOW);
    assert!(!filter.rules.iter().any(|rule| rule.syscall == "sync_file_range2"), "a rule of another architecture");
}

#[test]
fn capabilities_decide_which_rules_are_there() {
    let admin = sample("docker.json", SYS_ADMIN);
    let eperm = errno(libc::EPERM);
    assert_eq!(decide(&admin, "mount", &[]), act::ALLOW);
    assert_eq!(decide(&admin, "clone", &[0]), eperm, "excluded");
    assert_eq!(decide(&admin, "clone3", &[]), eperm, "excluded");
    assert_eq!(decide(&admin, "chroot", &[]), eperm);
    assert_eq!(decide(&sample("docker.json", SYS_CHROOT), "chroot", &[]), act::ALLOW);
    let both = rule(r#""names": ["sync"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"]}"#);
    assert_eq!(parsed(both.as_bytes(), SYS_ADMIN).rules.len(), 1, "all of them are wanted");
    assert_eq!(parsed(both.as_bytes(), SYS_ADMIN | SYS_CHROOT).rules.len(), 2);
    let future = rule(r#""names": ["sync"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_OF_THE_FUTURE"]}"#);
    assert_eq!(parsed(future.as_bytes(), u64::MAX).rules.len(), 1, "nobody holds it");
}

#[test]
fn capabilities_have_the_kernels_numbers() {
    for (name, number) in [("CHOWN", 0), ("SETPCAP", 8), ("SYS_CHROOT", 18), ("SYS_ADMIN", 21), ("SETFCAP", 31), ("CHECKPOINT_RESTORE", 40)] {
        assert_eq!(CAPABILITIES[number], name);
    }
}

#[test]
fn the_architectures_that_run_here_are_added() {
    let expected: &[ScmpArch] = match ScmpArch::native() {
        ScmpArch::X8664 => &[ScmpArch::X8664, ScmpArch::X86, ScmpArch::X32],
        ScmpArch::Aarch64 => &[ScmpArch::Aarch64, ScmpArch::Arm],
        _ => return,
    };
    assert_eq!(sample("docker.json", 0).arches, expected);
    assert_eq!(sample("runtime-spec.json", 0).arches, expected);
    assert_eq!(parsed(rule(r#""names": ["sync"], "action": "SCMP_ACT_LOG""#).as_bytes(), 0).arches, expected[..1]);
}

#[test]
fn every_action_flag_and_comparison_is_the_kernels() {
    let filter = sample("runtime-spec.json", 0);
    assert_eq!(filter.flags, 2 | 4 | 32);
    for (name, args, action) in [
        ("getpid", &[][..], act::ALLOW),
        ("mkdirat", &[], act::NOTIFY),
        ("getcwd", &[], errno(libc::EPERM)),
        ("sync", &[], errno(libc::ENOSYS)),
        ("acct", &[], act::TRACE | 500),
        ("swapon", &[], act::KILL_THREAD),
        ("swapoff", &[], act::KILL_PROCESS),
        ("reboot", &[], act::TRAP),
        ("syslog", &[], act::LOG),
        ("readahead", &[5, 0, 10], errno(libc::EPERM)),
        ("readahead", &[6, 0, 10], act::ALLOW),
        ("readahead", &[5, u64::MAX, 10], act::ALLOW),
        ("readahead", &[5, 0, 9], act::ALLOW),
    ] {
        assert_eq!(decide(&filter, name, args), action, "{name} {args:x?}");
    }
}

#[test]
fn comparisons_of_one_argument_are_alternatives() {
    let filter = sample("runtime-spec.json", 0);
    for (offset, is_refused) in [(2, true), (3, false), (6, false), (7, true), (8, false), (10, true)] {
        let expected = if is_refused { errno(libc::EINVAL) } else { act::ALLOW };
        assert_eq!(decide(&filter, "lseek", &[0, offset]), expected, "{offset}");
    }
}

#[test]
fn a_flag_that_needs_a_listener_is_left_out_without_one() {
    let filter = parsed(br#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}"#, 0);
    assert_eq!(filter.flags, 0);
}

#[test]
fn the_first_rule_that_applies_decides() {
    let filter = parsed(
        br#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["socket"], "action": "SCMP_ACT_KILL_PROCESS", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_EQ"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": null},
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO"}]}"#,
        0,
    );
    assert_eq!(decide(&filter, "socket", &[40]), act::KILL_PROCESS);
    assert_eq!(decide(&filter, "socket", &[1]), act::ALLOW);
}

#[test]
fn podmans_profile_loads_as_it_is() {
    let Ok(json) = std::fs::read("/usr/share/containers/seccomp.json") else {
        println!("skip - podmans_profile_loads_as_it_is: no /usr/share/containers/seccomp.json");
        return;
    };
    let filter = parsed(&json, 0);
    let (eperm, enosys) = (errno(libc::EPERM), errno(libc::ENOSYS));
    assert_eq!(filter.default, enosys);
    for (name, args, action) in [
        ("openat", &[][..], act::ALLOW),
        ("kexec_load", &[], eperm),
        ("mount", &[], act::ALLOW),
        ("bpf", &[], eperm),
        ("personality", &[8], act::ALLOW),
        ("personality", &[0x40000], enosys),
        ("socket", &[16, 3, 9], errno(libc::EINVAL)),
        ("socket", &[16, 3, 0], act::ALLOW),
        ("socket", &[2, 1, 9], act::ALLOW),
    ] {
        assert_eq!(decide(&filter, name, args), action, "{name} {args:x?}");
    }
    assert_eq!(decide(&parsed(&json, SYS_ADMIN), "bpf", &[]), act::ALLOW);
    let audit = parsed(&json, 1 << 29);
    assert_eq!(decide(&audit, "socket", &[16, 3, 9]), act::ALLOW);
}

#[test]
fn an_error_names_the_path() {
    refused("", "the profile is no JSON: EOF while parsing a value at line 1 column 0");
    refused("{\n \"a\" 1}", "the profile is no JSON: expected `:` at line 2 column 6");
    refused("{} {}", "the profile is no JSON: trailing characters at line 1 column 4");
    refused("[]", "the profile: not an object");
    refused("{}", "defaultAction: missing");
    refused(r#"{"defaultAction": 1}"#, "defaultAction: not a string");
    refused(r#"{"defaultAction": "SCMP_ACT_MAYBE"}"#, "defaultAction: \"SCMP_ACT_MAYBE\" is no action");
    refused(r#"{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}"#, "defaultErrnoRet: SCMP_ACT_ALLOW takes none");
    refused(r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}"#, "defaultErrnoRet: not a whole number from 0 to 4095");
    refused(r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENONSENSE"}"#, "defaultErrno: \"ENONSENSE\" is no errno");
    refused(r#"{"defaultAction": "SCMP_ACT_ERRNO", "Syscalls": []}"#, "the profile: the key \"Syscalls\" is spelt otherwise");
    refused(r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": {}}"#, "syscalls: not an array");
    refused(r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [7]}"#, "syscalls[0]: not an object");
    refused(r#"{"defaultAction": "SCMP_ACT_ERRNO", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]}"#, "flags[0]: \"SECCOMP_FILTER_FLAG_NEW_LISTENER\" is no flag");
    refused(r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_VAX"]}"#, "architectures[0]: \"SCMP_ARCH_VAX\" is no architecture");
    refused(r#"{"defaultAction": "SCMP_ACT_ERRNO", "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["x"]}]}"#, "archMap[0].subArchitectures[0]: \"x\" is no architecture");
    refused(r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_ARM"], "archMap": [{}]}"#, "archMap[0]: beside \"architectures\"");
    refused(r#"{"defaultAction": "SCMP_ACT_ERRNO", "listenerMetadata": "x"}"#, "listenerMetadata: without a listenerPath");
    refused(r#"{"defaultAction": "SCMP_ACT_ERRNO", "listenerPath": 7}"#, "listenerPath: not a string");
    refused(&rule(""), "syscalls[1].names: missing");
    refused(&rule(r#""names": []"#), "syscalls[1].names: missing");
    refused(&rule(r#""names": ["sync", 7]"#), "syscalls[1].names[1]: not a string");
    refused(&rule(r#""names": ["sync", ""]"#), "syscalls[1].names[1]: empty");
    refused(&rule(r#""names": ["162"]"#), "syscalls[1].names[0]: a number, not a name");
    refused(&rule(r#""names": ["sync"], "name": "sync""#), "syscalls[1].name: beside \"names\"");
    refused(&rule(r#""names": ["sync"]"#), "syscalls[1].action: missing");
    refused(&rule(r#""names": ["sync"], "action": "SCMP_ACT_ERRNO", "errnoRet": -1"#), "syscalls[1].errnoRet: not a whole number");
    refused(&rule(r#""names": ["sync"], "action": "SCMP_ACT_LOG", "errnoRet": 1"#), "syscalls[1].errnoRet: SCMP_ACT_LOG takes none");
    refused(&rule(r#""names": ["sync"], "action": "SCMP_ACT_LOG", "arg": []"#), "syscalls[1]: \"arg\" is no key of this");
    let arg = |part: &str| rule(&format!(r#""names": ["sync"], "action": "SCMP_ACT_LOG", "args": [{{{part}}}]"#));
    refused(&arg(""), "syscalls[1].args[0].index: missing");
    refused(&arg(r#""index": 6"#), "syscalls[1].args[0].index: not a whole number from 0 to 5");
    refused(&arg(r#""index": 0, "op": "SCMP_CMP_EQ""#), "syscalls[1].args[0].value: missing");
    refused(&arg(r#""index": 0, "value": 1.5, "op": "SCMP_CMP_EQ""#), "syscalls[1].args[0].value: not a whole number");
    refused(&arg(r#""index": 0, "value": 18446744073709551616, "op": "SCMP_CMP_EQ""#), "syscalls[1].args[0].value: not a whole number");
    refused(&arg(r#""index": 0, "value": 1, "op": "SCMP_CMP_ALIKE""#), "syscalls[1].args[0].op: \"SCMP_CMP_ALIKE\" is no comparison");
    refused(&arg(r#""index": 0, "value": 1, "op": "SCMP_CMP_EQ", "mask": 3"#), "syscalls[1].args[0]: \"mask\" is no key of this");
    let includes = |part: &str| rule(&format!(r#""names": ["sync"], "action": "SCMP_ACT_LOG", "includes": {{{part}}}"#));
    refused(&includes(r#""minKernel": "new""#), "syscalls[1].includes.minKernel: not a version");
    refused(&includes(r#""caps": ["SYS_ADMIN"]"#), "syscalls[1].includes.caps[0]: not a capability");
    refused(&includes(r#""arches": [0]"#), "syscalls[1].includes.arches[0]: not a string");
    refused(&includes(r#""cap": []"#), "syscalls[1].includes: \"cap\" is no key of this");
}

#[test]
fn unknown_keys_beside_the_rules_are_passed_over() {
    let filter = parsed(br#"{"comment": {"x": []}, "defaultAction": "SCMP_ACT_LOG", "syscalls": null, "flags": null}"#, 0);
    assert_eq!(filter.default, act::LOG);
    assert!(filter.rules.is_empty());
}

#[test]
fn a_hostile_profile_costs_little() {
    refused(&"[".repeat(500_000), "the profile is no JSON: recursion limit exceeded");
    refused(&" ".repeat(LONGEST + 1), "the profile is longer than");
    let names = vec!["\"read\""; 5000].join(",");
    refused(&rule(&format!(r#""names": [{names}], "action": "SCMP_ACT_ALLOW""#)), "syscalls[1]: up to here these are more rules");
    let arg = r#"{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}"#;
    let args = vec![arg; 5000].join(",");
    refused(&rule(&format!(r#""names": [{names}], "action": "SCMP_ACT_ALLOW", "args": [{args}]"#)), "syscalls[1]: up to here these are more rules");
}
