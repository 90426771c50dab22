//! The reader of the OCI runtime-spec's seccomp profile (config-linux, "Seccomp"), with what Docker and podman add to it:
//! archMap, includes and excludes, names of errnos. Called by the filter's setter; adds all of a profile or nothing.
//!
//! Where the text of the spec leaves room, it means here what it means to runc and podman:
//! - A call that libseccomp does not know is passed over. So is an architecture whose calls this machine can't make.
//! - Comparisons of one rule that name an argument twice are alternatives: each is a rule of its own.
//! - A null is an absent key.
//!
//! Where runtimes let libseccomp settle it, the profile's own order does: the first rule that applies decides.
//! `listenerPath` and `listenerMetadata` are passed over: the listener goes to the caller, wherever the profile would
//! send it. Unknown keys are refused within rules, where a misspelt "args" would allow everything; beside them they are
//! passed over.

use crate::error::{Error, Result, Stage};
use crate::seccomp::filter::{Cmp, Compare, Filter, Rule, is_known};
use crate::seccomp::json::{self, Value};
use crate::seccomp::{act, bpf, constants, quoted};
use libseccomp::ScmpArch;
use std::ffi::CStr;

/// Bytes of a profile.
const LONGEST: usize = 1 << 20;

/// Takes the profile's default action and flags, and adds its architectures and rules. `capabilities` (bit n: number
/// n) are those that the program will have, for the rules that depend on them.
pub fn read(filter: &mut Filter, json: &[u8], capabilities: u64) -> Result<()> {
    if json.len() > LONGEST {
        return Err(wrong(libc::E2BIG, &format!("the profile is longer than {LONGEST} bytes")));
    }
    let value = json::read(json).map_err(|what| wrong(libc::EINVAL, &format!("the profile is no JSON: {what}")))?;
    let profile = Node { parent: None, key: "", index: NO_INDEX, value: &value };
    profile.spelt_right()?;

    let default = profile.action("defaultAction", "defaultErrnoRet", "defaultErrno")?;
    let arches = architectures(&profile)?;
    let mut flags = flags(&profile)?;
    listener(&profile)?;
    let here = Here { capabilities, kernel: kernel() };
    let mut rules = Vec::new();
    let mut notifies = default == act::NOTIFY;
    for entry in profile.items("syscalls")? {
        let before = rules.len();
        here.entry(&entry, &mut rules)?;
        // All of one entry have one action.
        notifies |= rules.get(before).is_some_and(|rule| rule.action == act::NOTIFY);
    }
    if !notifies {
        flags &= !WAIT_KILLABLE_RECV; // the kernel takes it with a listener alone
    }

    filter.default = default;
    for arch in arches {
        if !filter.arches.contains(&arch) {
            filter.arches.push(arch);
        }
    }
    filter.flags |= flags;
    filter.rules.append(&mut rules);
    Ok(())
}

#[cold]
#[inline(never)]
fn wrong(errno: i32, what: &str) -> Error {
    Error::new(Stage::SANDBOX_STAGE_SECCOMP, 0, errno, what)
}

/// A value and where it stands: below a key of the parent, in an array one of many.
#[derive(Clone, Copy)]
struct Node<'a> {
    parent: Option<&'a Node<'a>>,
    key: &'a str,
    index: usize,
    value: &'a Value,
}

const NO_INDEX: usize = usize::MAX;

impl<'a> Node<'a> {
    #[cold]
    #[inline(never)]
    fn wrong(&self, what: &str) -> Error {
        self.failed(libc::EINVAL, what)
    }

    #[cold]
    #[inline(never)]
    fn failed(&self, errno: i32, what: &str) -> Error {
        let path = self.path();
        wrong(errno, &format!("{}: {what}", if path.is_empty() { "the profile" } else { &path }))
    }

    /// `text` is not `what` it should be.
    #[cold]
    #[inline(never)]
    fn is_no(&self, text: &str, what: &str) -> Error {
        self.wrong(&format!("{} is no {what}", quoted(text.as_bytes())))
    }

    #[cold]
    #[inline(never)]
    fn missing(&self, key: &str) -> Error {
        Node { parent: Some(self), key, index: NO_INDEX, value: self.value }.wrong("missing")
    }

    fn path(&self) -> String {
        let Some(parent) = self.parent else { return String::new() };
        let above = parent.path();
        let mut path = if above.is_empty() { self.key.to_owned() } else { format!("{above}.{}", self.key) };
        if self.index != NO_INDEX {
            path += &format!("[{}]", self.index);
        }
        path
    }

    /// Keys and values by turns.
    fn object(&self) -> Result<&'a [Value]> {
        match self.value {
            Value::Object(pairs) => Ok(pairs),
            _ => Err(self.wrong("not an object")),
        }
    }

    fn get(&'a self, key: &'a str) -> Result<Option<Node<'a>>> {
        let mut found = None;
        for pair in self.object()?.chunks_exact(2) {
            if let [Value::String(name), value] = pair && name == key {
                found = Some(value);
            }
        }
        Ok(match found {
            None | Some(Value::Null) => None,
            Some(value) => Some(Node { parent: Some(self), key, index: NO_INDEX, value }),
        })
    }

    /// The same, passed over where it is an empty string too.
    fn get_filled(&'a self, key: &'a str) -> Result<Option<Node<'a>>> {
        let node = self.get(key)?;
        Ok(if node.is_some_and(|node| node.value.string() == Some("")) { None } else { node })
    }

    fn need(&'a self, key: &'a str) -> Result<Node<'a>> {
        self.get(key)?.ok_or_else(|| self.missing(key))
    }

    /// The elements of the array `key`; none where it is absent.
    fn items(&'a self, key: &'a str) -> Result<Vec<Node<'a>>> {
        let mut items = Vec::new();
        if let Some(array) = self.get(key)? {
            let Value::Array(values) = array.value else { return Err(array.wrong("not an array")) };
            for value in values {
                items.push(Node { index: items.len(), value, ..array });
            }
        }
        Ok(items)
    }

    fn string(&self) -> Result<&'a str> {
        self.value.string().ok_or_else(|| self.wrong("not a string"))
    }

    fn unsigned(&self, most: u64) -> Result<u64> {
        match self.value {
            Value::Number(Some(number)) if *number <= most => Ok(*number),
            _ => Err(self.wrong(&format!("not a whole number from 0 to {most}"))),
        }
    }

    /// `known`: the keys, each between spaces.
    fn only(&self, known: &str) -> Result<()> {
        for key in self.object()?.iter().step_by(2).filter_map(Value::string) {
            if !known.split(' ').any(|known| known == key) {
                return Err(self.is_no(key, "key of this"));
            }
        }
        Ok(())
    }

    /// Runtimes written in Go take "Syscalls" for "syscalls". Here it would be passed over, with all it says.
    fn spelt_right(&self) -> Result<()> {
        const KEYS: &str =
            "defaultAction defaultErrnoRet defaultErrno architectures archMap flags listenerPath listenerMetadata syscalls";
        for key in self.object()?.iter().step_by(2).filter_map(Value::string) {
            if KEYS.split(' ').any(|known| known.eq_ignore_ascii_case(key) && known != key) {
                return Err(self.wrong(&format!("the key {} is spelt otherwise", quoted(key.as_bytes()))));
            }
        }
        Ok(())
    }

    /// An action with its data: the errno of that name or number, or EPERM.
    fn action(&self, key: &str, number: &str, name: &str) -> Result<u32> {
        let action = self.need(key)?;
        let (number, name) = (self.get(number)?, self.get_filled(name)?);
        let (base, most) = match action.string()? {
            "SCMP_ACT_ERRNO" => (act::ERRNO, 4095),
            "SCMP_ACT_TRACE" => (act::TRACE, u16::MAX.into()),
            other => {
                let Some(known) = plain_action(other) else { return Err(action.is_no(other, "action")) };
                // The spec: what can't return an errno must not be given one.
                return number.or(name).map_or(Ok(known), |extra| Err(extra.wrong(&format!("{other} takes none"))));
            }
        };
        let mut data = libc::EPERM.unsigned_abs();
        if let Some(number) = number {
            data = u32::try_from(number.unsigned(most)?).unwrap_or(0);
        }
        // Podman writes both, for older runtimes; the name holds on every architecture.
        if let Some(name) = name {
            let text = name.string()?;
            data = constants::errno(text).ok_or_else(|| name.is_no(text, "errno"))?.into();
        }
        Ok(base | data)
    }
}

fn plain_action(name: &str) -> Option<u32> {
    Some(match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => act::KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => act::KILL_PROCESS,
        "SCMP_ACT_TRAP" => act::TRAP,
        "SCMP_ACT_NOTIFY" => act::NOTIFY,
        "SCMP_ACT_LOG" => act::LOG,
        "SCMP_ACT_ALLOW" => act::ALLOW,
        _ => return None,
    })
}

/// The architectures that the profile adds and this machine can make calls of.
fn architectures(profile: &Node) -> Result<Vec<ScmpArch>> {
    let mut arches = Vec::new();
    let (list, map) = (profile.items("architectures")?, profile.items("archMap")?);
    if let (Some(_), Some(first)) = (list.first(), map.first()) {
        return Err(first.wrong("beside \"architectures\": a profile has one of the two"));
    }
    for arch in &list {
        arches.push(architecture(arch)?);
    }
    for entry in &map {
        entry.only("architecture subArchitectures")?;
        let native = architecture(&entry.need("architecture")?)? == ScmpArch::native();
        for sub in entry.items("subArchitectures")? {
            let sub = architecture(&sub)?;
            if native {
                arches.push(sub);
            }
        }
    }
    arches.retain(|arch| runs_here(*arch));
    Ok(arches)
}

fn architecture(node: &Node) -> Result<ScmpArch> {
    let name = node.string()?;
    let known = if name.starts_with("SCMP_ARCH_") { name.parse().ok() } else { None };
    match known {
        Some(ScmpArch::Native) => Ok(ScmpArch::native()),
        Some(arch) => Ok(arch),
        None => Err(node.is_no(name, "architecture")),
    }
}

/// Whether a process on this machine can make such calls. The others need no filter, and libseccomp won't have them in
/// one with these.
fn runs_here(arch: ScmpArch) -> bool {
    use ScmpArch::{Aarch64, Arm, S390, S390X, X32, X86, X8664};
    let native = ScmpArch::native();
    arch == native || matches!((native, arch), (X8664, X86 | X32) | (Aarch64, Arm) | (S390X, S390))
}

const WAIT_KILLABLE_RECV: u64 = libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV as u64;

fn flags(profile: &Node) -> Result<u64> {
    let mut flags = 0;
    for flag in profile.items("flags")? {
        flags |= match flag.string()? {
            "SECCOMP_FILTER_FLAG_LOG" => libc::SECCOMP_FILTER_FLAG_LOG as u64,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW as u64,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => WAIT_KILLABLE_RECV,
            "SECCOMP_FILTER_FLAG_TSYNC" => 0, // the child has one thread
            other => return Err(flag.is_no(other, "flag")),
        };
    }
    Ok(flags)
}

/// Passed over, but only where it is what it should be.
fn listener(profile: &Node) -> Result<()> {
    let path = profile.get("listenerPath")?.map(|path| path.string()).transpose()?;
    match profile.get("listenerMetadata")? {
        Some(metadata) if path.is_none() && !metadata.string()?.is_empty() => Err(metadata.wrong("without a listenerPath")),
        Some(metadata) => metadata.string().map(|_| ()),
        None => Ok(()),
    }
}

/// What includes or excludes name: of the capabilities and architectures how many they are and how many are ours, and
/// whether the kernel is as new as that.
struct Met {
    caps: (usize, usize),
    arches: (usize, usize),
    kernel: Option<bool>,
}

/// What decides whether a rule is for this program.
struct Here {
    capabilities: u64,
    kernel: (u64, u64),
}

impl Here {
    fn entry(&self, entry: &Node, rules: &mut Vec<Rule>) -> Result<()> {
        entry.only("names name action errnoRet errno args comment includes excludes")?;
        let names = names(entry)?;
        let action = entry.action("action", "errnoRet", "errno")?;
        let mut compares = Vec::new();
        for arg in entry.items("args")? {
            compares.push(compare(&arg)?);
        }
        if !self.applies(entry)? {
            return Ok(());
        }
        let twice = compares.iter().enumerate().any(|(at, compare)| compares[..at].iter().any(|before| before.index == compare.index));
        let together = if twice { 1 } else { compares.len().max(1) };
        for name in names {
            if !is_known(name) {
                continue;
            }
            let mut rest = compares.as_slice();
            loop {
                let (compares, behind) = rest.split_at(together.min(rest.len()));
                if rules.len() == bpf::LONGEST {
                    return Err(entry.failed(libc::E2BIG, "up to here these are more rules than a filter can hold"));
                }
                rules.push(Rule { action, syscall: name.to_owned(), compares: compares.to_vec() });
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn applies(&self, entry: &Node) -> Result<bool> {
        let mut applies = true;
        if let Some(includes) = entry.get("includes")? {
            let met = self.condition(&includes)?;
            applies &= met.caps.1 == met.caps.0 && (met.arches.0 == 0 || met.arches.1 > 0) && met.kernel != Some(false);
        }
        if let Some(excludes) = entry.get("excludes")? {
            let met = self.condition(&excludes)?;
            applies &= met.caps.1 == 0 && met.arches.1 == 0 && met.kernel != Some(true);
        }
        Ok(applies)
    }

    fn condition(&self, node: &Node) -> Result<Met> {
        node.only("caps arches minKernel")?;
        let mut met = Met { caps: (0, 0), arches: (0, 0), kernel: None };
        for cap in node.items("caps")? {
            met.caps.0 += 1;
            met.caps.1 += usize::from(self.holds(&cap)?);
        }
        for arch in node.items("arches")? {
            met.arches.0 += 1;
            met.arches.1 += usize::from(arch.string()? == ARCH);
        }
        if let Some(kernel) = node.get_filled("minKernel")? {
            let version = version(kernel.string()?).ok_or_else(|| kernel.wrong("not a version such as \"4.8\""))?;
            met.kernel = Some(self.kernel >= version);
        }
        Ok(met)
    }

    /// One that is newer than this list is held by nobody here.
    fn holds(&self, cap: &Node) -> Result<bool> {
        let name = cap.string()?.strip_prefix("CAP_").ok_or_else(|| cap.wrong("not a capability, CAP_…"))?;
        let number = CAPABILITIES.iter().position(|known| *known == name);
        Ok(number.is_some_and(|number| self.capabilities >> number & 1 == 1))
    }
}

fn names<'a>(entry: &'a Node<'a>) -> Result<Vec<&'a str>> {
    let mut nodes = entry.items("names")?;
    // Profiles of before 2017 have one name an entry.
    if let Some(name) = entry.get_filled("name")? {
        if !nodes.is_empty() {
            return Err(name.wrong("beside \"names\": a rule has one of the two"));
        }
        nodes.push(name);
    }
    if nodes.is_empty() {
        return Err(entry.missing("names"));
    }
    let mut names = Vec::new();
    for node in nodes {
        match node.string()? {
            "" => return Err(node.wrong("empty")),
            // A number would be passed over as unknown, without a word.
            number if number.bytes().all(|byte| byte.is_ascii_digit()) => return Err(node.wrong("a number, not a name")),
            name => names.push(name),
        }
    }
    Ok(names)
}

fn compare(arg: &Node) -> Result<Compare> {
    arg.only("index value valueTwo op")?;
    let index = u32::try_from(arg.need("index")?.unsigned(5)?).unwrap_or(0);
    let value = arg.need("value")?.unsigned(u64::MAX)?;
    let second = arg.get("valueTwo")?.map_or(Ok(0), |second| second.unsigned(u64::MAX))?;
    let op = arg.need("op")?;
    let cmp = match op.string()? {
        "SCMP_CMP_EQ" => Cmp::SANDBOX_CMP_EQ,
        "SCMP_CMP_NE" => Cmp::SANDBOX_CMP_NE,
        "SCMP_CMP_LT" => Cmp::SANDBOX_CMP_LT,
        "SCMP_CMP_LE" => Cmp::SANDBOX_CMP_LE,
        "SCMP_CMP_GE" => Cmp::SANDBOX_CMP_GE,
        "SCMP_CMP_GT" => Cmp::SANDBOX_CMP_GT,
        "SCMP_CMP_MASKED_EQ" => return Ok(Compare::masked(index, value, second)),
        other => return Err(op.is_no(other, "comparison")),
    };
    Ok(Compare::new(index, cmp, value))
}

/// The kernel's version and patch level, as in "4.8"; what follows them is not looked at.
fn version(text: &str) -> Option<(u64, u64)> {
    let (major, rest) = text.split_once('.')?;
    let minor = rest.split(|byte: char| !byte.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// This kernel's; the oldest where it does not tell.
fn kernel() -> (u64, u64) {
    // SAFETY: a struct of byte arrays, for which zeroes are fine.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to that struct, which uname fills with NUL-terminated strings.
    let release = unsafe {
        libc::uname(&raw mut name);
        CStr::from_ptr(name.release.as_ptr())
    };
    release.to_str().ok().and_then(version).unwrap_or((0, 0))
}

/// The name of this machine's architecture in includes and excludes: libseccomp's for Go.
const ARCH: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else if cfg!(target_arch = "aarch64") {
    "arm64"
} else if cfg!(target_arch = "x86") {
    "x86"
} else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
    "ppc64le"
} else {
    std::env::consts::ARCH // arm, riscv64, s390x, loongarch64
};

/// In the order of the kernel's numbers, without the "CAP_".
const CAPABILITIES: [&str; 41] = [
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
];

#[cfg(test)]
mod tests {
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
}
