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

use crate::error::Result;
use crate::seccomp::filter::{Cmp, Compare, Filter, Rule, is_known};
use crate::seccomp::json::{self};
use crate::seccomp::{act, bpf};
use libseccomp::ScmpArch;
use node::*;
use std::ffi::CStr;

mod node;

/// Bytes of a profile.
const LONGEST: usize = 1 << 20;

/// Takes the profile's default action and flags, and adds its architectures and rules. `capabilities` (bit n: number
/// n) are those that the program will have, for the rules that depend on them.
pub fn read(filter: &mut Filter, json: &[u8], capabilities: u64) -> Result<()> {
    filter.takes_rules()?;
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
mod tests;
