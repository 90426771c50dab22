//! Capabilities, securebits and no_new_privs: credentials of the child alone, also in shared memory. Nothing is kept
//! that was not asked for.

use crate::cmd::Cmd;
use crate::confine::identity;
use crate::error::{Error, Result, Stage, list};
use crate::options::Opt;
use crate::plan::{Arg, Builder};
use sandbox_child::plan::Code;

const STAGE: Stage = Stage::SANDBOX_STAGE_CAPABILITY;
const CAP_SETPCAP: u64 = 1 << 8;
const CAP_SYS_ADMIN: u64 = 1 << 21;
const PR_SET_KEEPCAPS: i64 = 8;

/// What the caller asked for: bit n is capability n, all bits are all that there is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Capabilities {
    pub keep: u64,
    pub ambient: u64,
}

impl Cmd {
    pub fn caps(&mut self, keep: u64, ambient: u64) -> Result<()> {
        let ambient = if ambient == u64::MAX { keep } else { ambient };
        if ambient & !keep != 0 {
            return Err(Error::new(STAGE, 0, libc::EINVAL, format_args!("ambient capabilities {:#x} that are not kept", ambient & !keep)));
        }
        self.capabilities = Capabilities { keep, ambient };
        Ok(())
    }
}

fn has_no_new_privs(cmd: &Cmd) -> bool {
    cmd.options.is_on(Opt::SANDBOX_OPT_NO_NEW_PRIVS)
}

fn shown(set: u64) -> String {
    match set {
        0 => "none".to_owned(),
        u64::MAX => "all".to_owned(),
        set => {
            let mut text = String::new();
            for bit in (0..64).filter(|bit| set >> bit & 1 == 1) {
                list(&mut text, &name(bit));
            }
            text
        }
    }
}

/// Of the trampoline's exec, which would take what its steps still need.
pub fn carry(_: &Cmd, plan: &mut Builder) -> Result<()> {
    if plan.plan().enters {
        plan.op(STAGE, 0, Code::Ambient, [0, 1, 0], "capabilities cross the trampoline's exec");
    }
    Ok(())
}

/// What needs the privileges that a change of identity takes.
pub fn bound(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let Capabilities { keep, .. } = cmd.capabilities;
    if keep != u64::MAX {
        for capability in (0..64).filter(|bit| keep >> bit & 1 == 1) {
            plan.op(STAGE, capability, Code::HoldCapability, [capability as u64, 0, 0], format_args!("keep {}", name(capability)));
        }
        plan.op(STAGE, 0, Code::Bound, [keep, has_no_new_privs(cmd).into(), 0], format_args!("capability bounding set: {}", shown(keep)));
    }
    let keeps = keep != 0 || cmd.options.get(Opt::SANDBOX_OPT_SECUREBITS).is_some();
    if keeps && identity::ids(cmd).is_some() {
        let args = [Arg::from(PR_SET_KEEPCAPS), Arg::Value(1)];
        plan.call(STAGE, 0, libc::SYS_prctl, &args, "the change of user leaves capabilities (PR_SET_KEEPCAPS)");
    }
    Ok(())
}

pub fn drop(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let Capabilities { keep, ambient } = cmd.capabilities;
    let bits = cmd.options.get(Opt::SANDBOX_OPT_SECUREBITS);
    // Without no_new_privs filters and Landlock want it. Exec takes it: it is neither inheritable nor, being dropped
    // from the bounding set, root's for the asking.
    let longer = if has_no_new_privs(cmd) { 0 } else { CAP_SYS_ADMIN };
    let bare = u64::from(ambient == 0 && cmd.options.is_on(Opt::SANDBOX_OPT_NOT_INHERITABLE));
    let text = format!("effective, permitted and inheritable capabilities: {}", shown(keep));
    let until_bits = if bits.is_some() { CAP_SETPCAP } else { 0 };
    plan.op(STAGE, 0, Code::KeepCapabilities, [keep, longer | until_bits, bare], text.as_str());
    if keep != 0 {
        plan.op(STAGE, 0, Code::Ambient, [ambient, 0, 0], format_args!("ambient capabilities: {}", shown(ambient)));
    }
    // After the ambient set, which they may close.
    if let Some(bits) = bits {
        plan.call(STAGE, 0, libc::SYS_prctl, &[Arg::Value(libc::PR_SET_SECUREBITS as u64), Arg::Value(bits)], format_args!("securebits {bits:#x}"));
        plan.op(STAGE, 0, Code::KeepCapabilities, [keep, longer, bare], text);
    }
    if has_no_new_privs(cmd) {
        let args = [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0].map(Arg::Value);
        plan.call(STAGE, 1, libc::SYS_prctl, &args, "no new privileges (no_new_privs)");
    }
    Ok(())
}

/// What a failed step's message adds.
pub fn hint(errno: i32) -> &'static str {
    match errno {
        libc::EPERM => "the host lacks it, or CAP_SETPCAP; without NO_NEW_PRIVS the bounding set must be dropped or SANDBOX_CAPS_ALL kept",
        _ => "",
    }
}

/// In the order of the numbers.
const NAMES: [&str; 41] = [
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
    "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
    "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
    "PERFMON", "BPF", "CHECKPOINT_RESTORE",
];

fn name(capability: usize) -> String {
    NAMES.get(capability).map_or_else(|| format!("capability {capability}"), |name| format!("CAP_{name}"))
}
