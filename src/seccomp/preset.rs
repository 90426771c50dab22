//! Ready-made denials, one bit each. They come before the filter's own rules, so that no allowance of theirs opens them
//! again; several filters compose by stacking anyway.

use crate::error::{Error, Result, Stage, list};
use crate::seccomp::act;
use crate::seccomp::filter::{Compare, Filter, Rule};

/// What sandbox_filter_deny refuses.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_deny {
    /// Input pushed into a terminal: ioctl TIOCSTI and TIOCLINUX, EPERM.
    SANDBOX_DENY_TERMINAL_INJECTION = 1,
    /// New user namespaces: clone and unshare with CLONE_NEWUSER, EPERM; clone3, whose flags no filter can see, ENOSYS, so
    /// that libc falls back to clone.
    SANDBOX_DENY_USER_NAMESPACES = 2,
    /// io_uring, ENOSYS: what is asked for through its rings, no filter sees.
    SANDBOX_DENY_IO_URING = 4,
    /// add_key, request_key, keyctl, EPERM.
    SANDBOX_DENY_KEYRINGS = 8,
    /// ptrace, process_vm_readv, process_vm_writev, process_madvise, pidfd_getfd, kcmp, EPERM.
    SANDBOX_DENY_PTRACE = 16,
    /// perf_event_open, EPERM.
    SANDBOX_DENY_PERF = 32,
    /// bpf, EPERM.
    SANDBOX_DENY_BPF = 64,
    /// Filters of the program's own, and with them a listener of its own: seccomp, ENOSYS; prctl PR_SET_SECCOMP, EINVAL.
    SANDBOX_DENY_SECCOMP = 128,
    /// An address of the kernel's where a call always takes an address, EFAULT.
    SANDBOX_DENY_KERNEL_POINTERS = 256,
}

use sandbox_deny::*;

const EPERM: u32 = act::ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = act::ERRNO | libc::ENOSYS as u32;
const EINVAL: u32 = act::ERRNO | libc::EINVAL as u32;
pub const EFAULT: u32 = act::ERRNO | libc::EFAULT as u32;

/// An int argument: its upper half is whatever the program left there.
pub fn int(index: u32, value: u32) -> Compare {
    Compare::masked(index, u32::MAX.into(), value.into())
}

fn bits(index: u32, bits: u64) -> Compare {
    Compare::masked(index, bits, bits)
}

const ALL: u64 = 511;

/// "terminal injection, user namespaces"
pub fn names(denied: u64) -> String {
    let mut text = String::new();
    let all = [
        "terminal injection", "user namespaces", "io_uring", "keyrings", "ptrace", "perf", "bpf", "filters of its own", "kernel pointers",
    ];
    for (_, name) in all.iter().enumerate().filter(|(bit, _)| denied >> bit & 1 == 1) {
        list(&mut text, name);
    }
    text
}

impl Filter {
    pub fn deny(&mut self, what: u64) -> Result<()> {
        if what & !ALL != 0 {
            return Err(Error::new(Stage::SANDBOX_STAGE_SECCOMP, 0, libc::EINVAL, format!("denials {what:#x}")));
        }
        self.takes_rules()?;
        self.denied |= what;
        let new_user = Some(bits(0, libc::CLONE_NEWUSER as u64));
        self.deny_where(what, SANDBOX_DENY_TERMINAL_INJECTION, EPERM, "ioctl", Some(int(1, 0x5412))); // TIOCSTI
        self.deny_where(what, SANDBOX_DENY_TERMINAL_INJECTION, EPERM, "ioctl", Some(int(1, 0x541c))); // TIOCLINUX
        self.deny_where(what, SANDBOX_DENY_USER_NAMESPACES, EPERM, "clone unshare", new_user);
        self.deny_where(what, SANDBOX_DENY_USER_NAMESPACES, ENOSYS, "clone3", None);
        self.deny_where(what, SANDBOX_DENY_PERF, EPERM, "perf_event_open", None);
        self.deny_where(what, SANDBOX_DENY_BPF, EPERM, "bpf", None);
        self.deny_where(what, SANDBOX_DENY_SECCOMP, ENOSYS, "seccomp", None);
        self.deny_where(what, SANDBOX_DENY_SECCOMP, EINVAL, "prctl", Some(int(0, 22))); // PR_SET_SECCOMP
        self.deny_where(what, SANDBOX_DENY_IO_URING, ENOSYS, "io_uring_setup io_uring_enter io_uring_register", None);
        self.deny_where(what, SANDBOX_DENY_KEYRINGS, EPERM, "add_key request_key keyctl", None);
        let tracing = "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp";
        self.deny_where(what, SANDBOX_DENY_PTRACE, EPERM, tracing, None);
        if what & SANDBOX_DENY_KERNEL_POINTERS as u64 != 0 {
            self.refuses_kernel_pointers = true;
        }
        Ok(())
    }

    /// Each of `calls`, where the comparison holds, if the bit is among what is asked for.
    #[inline(never)]
    fn deny_where(&mut self, what: u64, bit: sandbox_deny, action: u32, calls: &str, compare: Option<Compare>) {
        if what & bit as u64 != 0 {
            for call in calls.split(' ') {
                self.deny_first(action, call, compare.as_slice().to_vec());
            }
        }
    }

    pub fn deny_ioctl(&mut self, request: u32) -> Result<()> {
        self.takes_rules()?;
        self.deny_first(EPERM, "ioctl", vec![int(1, request)]);
        Ok(())
    }

    pub fn deny_setsockopt(&mut self, level: u32, option: u32) -> Result<()> {
        self.takes_rules()?;
        self.deny_first(EPERM, "setsockopt", vec![int(1, level), int(2, option)]);
        Ok(())
    }

    /// In front of every rule that is no denial itself.
    fn deny_first(&mut self, action: u32, call: &str, compares: Vec<Compare>) {
        self.rules.insert(self.denials, Rule { action, syscall: call.to_owned(), compares });
        self.denials += 1;
    }
}

/// Where the kernel's addresses lie: pairs of first and last upper half. What reaches up to the top are also small
/// negative numbers, which many calls take; of these only x86's kernel text is told apart, by its lower half.
pub const KERNEL_HALVES: (u32, u32) = if cfg!(target_arch = "x86_64") { (0xffff_8000, 0xffff_ff00) } else { (0xffff_0000, 0xffff_ff00) };
pub const KERNEL_TEXT: (u32, u32) = (0x8000_0000, 0xc000_0000);

