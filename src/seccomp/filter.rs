//! A filter: what the caller asked for, rule by rule, compiled once. Nothing here loads anything.

use crate::error::{Error, Result, Stage};
use crate::seccomp::bpf::{self, Instruction};
use crate::seccomp::range::Kind;
use crate::seccomp::{act, compile, quoted};
use crate::sticky::Sticky;
use libseccomp::{ScmpArch, ScmpSyscall};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// How an argument is compared with a rule's value.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_cmp {
    /// argument == value
    SANDBOX_CMP_EQ = 1,
    /// argument != value
    SANDBOX_CMP_NE = 2,
    /// argument < value
    SANDBOX_CMP_LT = 3,
    /// argument <= value
    SANDBOX_CMP_LE = 4,
    /// argument >= value
    SANDBOX_CMP_GE = 5,
    /// argument > value
    SANDBOX_CMP_GT = 6,
    /// argument & mask == value
    SANDBOX_CMP_MASKED_EQ = 7,
}

pub use sandbox_cmp as Cmp;

/// One comparison of a rule: unsigned, 64 bits wide.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct sandbox_arg {
    /// Which argument, 0 to 5.
    pub index: u32,
    /// SANDBOX_CMP_*.
    pub op: u32,
    pub value: u64,
    /// For SANDBOX_CMP_MASKED_EQ alone.
    pub mask: u64,
}

/// A comparison that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compare {
    pub index: u32,
    pub op: Cmp,
    pub value: u64,
    pub mask: u64,
}

impl Compare {
    pub fn new(index: u32, op: Cmp, value: u64) -> Self {
        Compare { index, op, value, mask: u64::MAX }
    }

    /// argument & mask == value
    pub fn masked(index: u32, mask: u64, value: u64) -> Self {
        Compare { index, op: Cmp::SANDBOX_CMP_MASKED_EQ, value, mask }
    }
}

/// All comparisons must hold for the rule to apply. Of several rules for one system call the first that applies decides.
#[derive(Clone, Debug)]
pub struct Rule {
    pub action: u32,
    /// The system call's name, or its number on the native architecture in decimal.
    pub syscall: String,
    pub compares: Vec<Compare>,
}

/// What is loaded: verified instructions.
#[derive(Debug)]
pub struct Program {
    pub instructions: Vec<Instruction>,
    /// Some path ends in SECCOMP_RET_USER_NOTIF.
    pub notifies: bool,
    /// The one system call that ends the program, where it is the only one: what a death by SIGSYS then means.
    pub only_fatal: Option<i64>,
    /// SANDBOX_DENY_*, ready-made ones among its rules.
    pub denied: u64,
    hinders: OnceLock<bool>,
    closes: OnceLock<bool>,
}

impl Program {
    /// Whether any fd may be closed under it.
    pub fn may_close(&self) -> bool {
        *self.closes.get_or_init(|| Kind::any(libc::SYS_close).passes(&self.instructions))
    }

    /// Whether some step that the library has yet to take under it might not pass.
    pub fn may_hinder(&self) -> bool {
        const STEPS: [Kind; 6] = [
            Kind::any(libc::SYS_futex), Kind::with(libc::SYS_seccomp, &[(0, libc::SECCOMP_SET_MODE_FILTER as u64)]), Kind::any(libc::SYS_sendmsg),
            Kind::any(libc::SYS_nanosleep), Kind::any(libc::SYS_execve), Kind::any(libc::SYS_execveat),
        ];
        *self.hinders.get_or_init(|| !STEPS.iter().all(|step| step.passes(&self.instructions)))
    }
}

#[derive(Clone, Debug)]
pub struct Filter {
    pub default: u32,
    pub arches: Vec<ScmpArch>,
    pub rules: Vec<Rule>,
    /// Taken as it is, instead of the rules.
    pub raw: Option<Vec<Instruction>>,
    /// SECCOMP_FILTER_FLAG_*.
    pub flags: u64,
    /// How many of the rules, from the first, are ready-made denials.
    pub denials: usize,
    pub refuses_kernel_pointers: bool,
    pub denied: u64,
    /// Where a policy's @include looks.
    pub directory: Option<PathBuf>,
    /// The capabilities that an OCI profile is read for: bit n is capability n.
    pub capabilities: u64,
    sticky: Sticky<Program>,
}

fn bad(errno: i32, what: impl std::fmt::Display) -> Error {
    Error::new(Stage::SANDBOX_STAGE_SECCOMP, 0, errno, what)
}

/// Checks that `action` is one of the kernel's, with data only where it takes some.
pub fn action(action: u32) -> Result<u32> {
    let data = action & !act::MASK;
    let known = match action & act::MASK {
        act::ERRNO => data <= 4095,
        act::TRACE => true,
        act::KILL_PROCESS | act::KILL_THREAD | act::TRAP | act::NOTIFY | act::LOG | act::ALLOW => data == 0,
        _ => false,
    };
    if known { Ok(action) } else { Err(bad(libc::EINVAL, format!("action {action:#x}"))) }
}

/// The number of `name` on `arch`; `None` where that architecture has no such call.
pub fn number(name: &str, arch: ScmpArch) -> Option<i32> {
    if let Ok(number) = name.parse::<i32>() {
        return (arch == ScmpArch::native()).then_some(number);
    }
    // A negative number is libseccomp's own for a call that only other architectures have.
    ScmpSyscall::from_name_by_arch(name, arch).ok().map(i32::from).filter(|number| *number >= 0)
}

/// Whether the system knows the name at all, on any architecture.
pub fn is_known(name: &str) -> bool {
    name.parse::<u32>().is_ok_and(|number| number < 0x4000_0000) || ScmpSyscall::from_name(name).is_ok_and(|call| !call.is_error())
}

impl Filter {
    pub fn new(default: u32) -> Self {
        let mut filter = Filter {
            default,
            arches: vec![ScmpArch::native()],
            rules: Vec::new(),
            raw: None,
            flags: 0,
            denials: 0,
            refuses_kernel_pointers: false,
            denied: 0,
            directory: None,
            capabilities: 0,
            sticky: Sticky::new(),
        };
        let _ = filter.set(|_| action(default).map(|_| ())); // latched
        filter
    }

    /// A setter's frame, as for a command: runs `change`, latches its failure, drops what was compiled.
    pub fn set(&mut self, change: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let result = change(self);
        self.sticky.changed(result)
    }

    /// Nothing that a caller says is to be without effect.
    pub fn takes_rules(&self) -> Result<()> {
        match self.raw {
            None => Ok(()),
            Some(_) => Err(bad(libc::EINVAL, "a rule in a filter of instructions as they are").hint("filters stack: give it one of its own")),
        }
    }

    pub fn rule(&mut self, wanted: u32, syscall: &str, compares: &[Compare]) -> Result<()> {
        self.takes_rules()?;
        let wanted = action(wanted)?;
        if !is_known(syscall) {
            return Err(bad(libc::EINVAL, format!("system call {}: there is none of that name", quoted(syscall.as_bytes()))));
        }
        self.rules.push(Rule { action: wanted, syscall: syscall.to_owned(), compares: compares.to_vec() });
        Ok(())
    }

    pub fn arch(&mut self, name: &str) -> Result<()> {
        self.takes_rules()?;
        let arch = arch(name)?;
        if !self.arches.contains(&arch) {
            self.arches.push(arch);
        }
        Ok(())
    }

    pub fn bpf(&mut self, instructions: Vec<Instruction>) -> Result<()> {
        bpf::verify(&instructions).map_err(|wrong| bad(libc::EINVAL, wrong))?;
        if !self.rules.is_empty() || self.arches.len() > 1 || self.refuses_kernel_pointers {
            return Err(bad(libc::EINVAL, "instructions as they are, in a filter that has rules").hint("filters stack: give them one of their own"));
        }
        self.raw = Some(instructions);
        Ok(())
    }

    /// The compiled program, made once and kept until the next change.
    pub fn program(&self) -> Result<Arc<Program>> {
        if let Some(program) = self.sticky.kept()? {
            return Ok(program);
        }
        let instructions = match &self.raw {
            Some(raw) => raw.clone(),
            None => compile::compile(self)?,
        };
        let notifies = bpf::returns(&instructions, |action| action & act::MASK == act::NOTIFY);
        Ok(self.sticky.keep(Program { instructions, notifies, only_fatal: self.only_fatal(), denied: self.denied, hinders: OnceLock::new(), closes: OnceLock::new() }))
    }
}

/// Flags of a filter's loading, the kernel's values (SECCOMP_FILTER_FLAG_*).
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_filter_flag {
    /// Everything but ALLOW goes to the audit log.
    SANDBOX_FILTER_LOG = 2,
    /// Leaves speculative store bypass on.
    SANDBOX_FILTER_SPEC_ALLOW = 4,
    /// A notified call that the supervisor has received is interrupted by fatal signals alone (Linux 5.19). Only for a
    /// filter that notifies.
    SANDBOX_FILTER_WAIT_KILLABLE_RECV = 32,
}

impl Filter {
    pub fn flags(&mut self, flags: u64) -> Result<()> {
        if flags & !(2 | 4 | 32) != 0 {
            return Err(bad(libc::EINVAL, format!("filter flags {flags:#x}")));
        }
        self.flags = flags;
        Ok(())
    }

    fn only_fatal(&self) -> Option<i64> {
        let is_fatal = |action: u32| matches!(action & act::MASK, act::KILL_PROCESS | act::KILL_THREAD | act::TRAP);
        if self.raw.is_some() || is_fatal(self.default) {
            return None;
        }
        let mut fatal = self.rules.iter().filter(|rule| is_fatal(rule.action)).filter_map(|rule| number(&rule.syscall, ScmpArch::native()));
        let first = fatal.next()?;
        fatal.all(|other| other == first).then_some(first.into())
    }
}

pub fn arch(name: &str) -> Result<ScmpArch> {
    let arch = match name {
        "native" => ScmpArch::native(),
        "x86_64" | "amd64" => ScmpArch::X8664,
        "x86" | "i386" => ScmpArch::X86,
        "x32" => ScmpArch::X32,
        "aarch64" | "arm64" => ScmpArch::Aarch64,
        "arm" => ScmpArch::Arm,
        "riscv64" => ScmpArch::Riscv64,
        "ppc64le" => ScmpArch::Ppc64Le,
        "s390x" => ScmpArch::S390X,
        _ => return Err(bad(libc::EINVAL, format!("architecture {}", quoted(name.as_bytes())))),
    };
    Ok(arch)
}
