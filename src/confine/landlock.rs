//! Landlock: paths, ports and scopes, as one ruleset that the child puts on itself.
//! Whatever kind of access a command has rules for is denied but where a rule grants it. What the kernel can't deny, or
//! lacks to grant, refuses the spawn: an older kernel must not make a weaker sandbox.

use crate::cmd::{self, Cmd};
use crate::diagnose;
use crate::error::{Error, Result, Stage, list, quoted};
use crate::options::{Opt, sandbox_left_out};
use crate::plan::{Arg, Builder};
use nix::errno::Errno;
use sandbox_child::plan::Code;
use std::ffi::{CStr, CString};

/// What a Landlock rule grants below a path: the kernel's values (LANDLOCK_ACCESS_FS_*).
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_landlock_fs {
    /// To execute a file, together with READ_FILE.
    SANDBOX_LANDLOCK_EXECUTE = 1,
    /// To open a file for writing.
    SANDBOX_LANDLOCK_WRITE_FILE = 2,
    /// To open a file for reading.
    SANDBOX_LANDLOCK_READ_FILE = 4,
    /// To list a directory.
    SANDBOX_LANDLOCK_READ_DIR = 8,
    /// To remove or rename an empty directory.
    SANDBOX_LANDLOCK_REMOVE_DIR = 0x10,
    /// To remove or rename a file.
    SANDBOX_LANDLOCK_REMOVE_FILE = 0x20,
    /// To make a character device, or to bring one here by rename or link; likewise the next six.
    SANDBOX_LANDLOCK_MAKE_CHAR = 0x40,
    /// A directory.
    SANDBOX_LANDLOCK_MAKE_DIR = 0x80,
    /// A regular file.
    SANDBOX_LANDLOCK_MAKE_REG = 0x100,
    /// A unix socket.
    SANDBOX_LANDLOCK_MAKE_SOCK = 0x200,
    /// A FIFO.
    SANDBOX_LANDLOCK_MAKE_FIFO = 0x400,
    /// A block device.
    SANDBOX_LANDLOCK_MAKE_BLOCK = 0x800,
    /// A symbolic link.
    SANDBOX_LANDLOCK_MAKE_SYM = 0x1000,
    /// To rename or link from one directory to another (ABI 2; always denied before).
    SANDBOX_LANDLOCK_REFER = 0x2000,
    /// truncate, and open with O_TRUNC (ABI 3).
    SANDBOX_LANDLOCK_TRUNCATE = 0x4000,
    /// ioctl on devices opened from then on (ABI 5).
    SANDBOX_LANDLOCK_IOCTL_DEV = 0x8000,
    /// READ_FILE and READ_DIR.
    SANDBOX_LANDLOCK_READ = 0xc,
    /// READ, and EXECUTE: what programs and their libraries need.
    SANDBOX_LANDLOCK_READ_EXECUTE = 0xd,
    /// WRITE_FILE, TRUNCATE, REFER, and to make and remove all but device files.
    SANDBOX_LANDLOCK_WRITE = 0x77b2,
    /// All of them.
    SANDBOX_LANDLOCK_ALL = 0xffff,
}

/// What a Landlock rule grants for a TCP port: the kernel's values (LANDLOCK_ACCESS_NET_*, ABI 4).
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_landlock_net {
    /// To bind a TCP socket to it.
    SANDBOX_LANDLOCK_BIND_TCP = 1,
    /// To connect a TCP socket to it.
    SANDBOX_LANDLOCK_CONNECT_TCP = 2,
}

/// What a program may reach only within its sandbox: the kernel's values (LANDLOCK_SCOPE_*, ABI 6).
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_landlock_scope {
    /// Abstract unix sockets to connect or send to.
    SANDBOX_LANDLOCK_ABSTRACT_UNIX_SOCKET = 1,
    /// Processes to signal.
    SANDBOX_LANDLOCK_SIGNAL = 2,
}

/// The values of SANDBOX_OPT_LANDLOCK_LOG: the kernel's (LANDLOCK_RESTRICT_SELF_LOG_*, ABI 7).
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_landlock_log {
    /// Denials before the program's exec are not logged.
    SANDBOX_LANDLOCK_LOG_SAME_EXEC_OFF = 1,
    /// Denials after it are.
    SANDBOX_LANDLOCK_LOG_NEW_EXEC_ON = 2,
    /// Denials by rulesets of the program's own are not.
    SANDBOX_LANDLOCK_LOG_SUBDOMAINS_OFF = 4,
}

const STAGE: Stage = Stage::SANDBOX_STAGE_LANDLOCK;
const REFER: u64 = sandbox_landlock_fs::SANDBOX_LANDLOCK_REFER as u64;

/// The kinds, each with its rights in the order of their bits: name, and the ABI that brought it.
const KINDS: [&[(&str, u32)]; 4] = [
    &[
        ("execute", 1), ("write_file", 1), ("read_file", 1), ("read_dir", 1), ("remove_dir", 1), ("remove_file", 1),
        ("make_char", 1), ("make_dir", 1), ("make_reg", 1), ("make_sock", 1), ("make_fifo", 1), ("make_block", 1),
        ("make_sym", 1), ("refer", 2), ("truncate", 3), ("ioctl_dev", 5),
    ],
    &[("bind_tcp", 4), ("connect_tcp", 4)],
    &[("abstract_unix_socket", 6), ("signal", 6)],
    &[("log_same_exec_off", 7), ("log_new_exec_on", 7), ("log_subdomains_off", 7)],
];
const FS: usize = 0;
const NET: usize = 1;
const SCOPE: usize = 2;

/// Bits of each kind, in their order.
pub type Rights = [u64; 4];

fn all(kind: usize) -> u64 {
    KINDS.get(kind).map_or(0, |rights| (1 << rights.len()) - 1)
}

#[derive(Clone, Debug)]
enum Rule {
    Path(CString, u64),
    Port(u16, u64),
}

/// What the caller asked for.
#[derive(Clone, Debug, Default)]
pub struct Ruleset {
    rules: Vec<Rule>,
    scopes: u64,
}

impl Cmd {
    pub fn landlock_path(&mut self, path: &CStr, access: u64) -> Result<()> {
        let path = cmd::path(path, "Landlock path")?;
        self.landlock.add(FS, access, Rule::Path(path, access))
    }

    pub fn landlock_port(&mut self, port: u16, access: u64) -> Result<()> {
        self.landlock.add(NET, access, Rule::Port(port, access))
    }

    pub fn landlock_scope(&mut self, scopes: u64) -> Result<()> {
        self.landlock.check(SCOPE, scopes)?;
        self.landlock.scopes |= scopes;
        Ok(())
    }
}

impl Ruleset {
    fn check(&self, kind: usize, access: u64) -> Result<()> {
        if access & !all(kind) != 0 {
            let what = if kind == SCOPE { "scopes" } else { "rights" };
            return Err(Error::new(STAGE, self.rules.len(), libc::EINVAL, format_args!("Landlock {what} {access:#x}")));
        }
        Ok(())
    }

    fn add(&mut self, kind: usize, access: u64, rule: Rule) -> Result<()> {
        self.check(kind, access)?;
        cmd::room(&mut self.rules, "Landlock rules")?;
        self.rules.push(rule);
        Ok(())
    }

    /// Whatever there are rules for is denied altogether; REFER is, whether or not that is asked.
    fn wanted(&self, log: u64) -> Rights {
        let (mut wanted, mut refer) = ([0, 0, self.scopes, log], 0);
        for rule in &self.rules {
            match rule {
                Rule::Path(_, access) => {
                    refer |= access & REFER;
                    wanted[FS] = all(FS) & !REFER;
                }
                Rule::Port(..) => wanted[NET] = all(NET),
            }
        }
        wanted[FS] |= refer;
        wanted
    }

    /// The first rule of a kind that lacks something; the ruleset itself comes behind its rules.
    fn culprit(&self, lacking: &Rights) -> usize {
        let is_first = |rule: &Rule| matches!(rule, Rule::Path(..) if lacking[FS] != 0) || matches!(rule, Rule::Port(..) if lacking[NET] != 0);
        self.rules.iter().position(is_first).unwrap_or(self.rules.len())
    }
}

/// The kernel's ABI; 0 where it has no Landlock, or has it off.
pub fn abi() -> u32 {
    version().unwrap_or(0)
}

/// The same, or why it can't be told.
pub fn version() -> std::result::Result<u32, i32> {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the call takes no struct and gives a number.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, LANDLOCK_CREATE_RULESET_VERSION) };
    u32::try_from(abi).map_err(|_| Errno::last_raw())
}

fn lacking(wanted: &Rights, abi: u32) -> Rights {
    let mut lacking = *wanted;
    for (bits, rights) in lacking.iter_mut().zip(KINDS) {
        for (bit, (_, since)) in rights.iter().enumerate() {
            *bits &= !(u64::from(*since <= abi) << bit);
        }
    }
    lacking
}

/// "read_file, read_dir"
fn names(kind: usize, bits: u64) -> String {
    if bits == all(kind) && bits.count_ones() > 4 {
        return "everything".to_owned();
    }
    let mut text = String::new();
    for (bit, (name, _)) in KINDS.get(kind).copied().unwrap_or_default().iter().enumerate() {
        if bits >> bit & 1 == 1 {
            list(&mut text, name);
        }
    }
    if text.is_empty() { "nothing".to_owned() } else { text }
}

fn refuse(asked: &Ruleset, lacking: &Rights, abi: u32) -> Error {
    let mut text = if abi == 0 { "Landlock, which this kernel lacks or has off".to_owned() } else { format!("Landlock, of whose ABI {abi} this kernel is, lacks") };
    let mut needed = 0;
    for (kind, (bits, rights)) in lacking.iter().zip(KINDS).enumerate().filter(|(_, (bits, _))| **bits != 0 && abi != 0) {
        text += if needed == 0 { " " } else { ", " };
        text += &names(kind, *bits);
        needed = rights.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, (_, since))| *since).fold(needed, u32::max);
    }
    if abi != 0 {
        text += &format!(" (ABI {needed})");
    }
    let hint = if abi == 0 && diagnose::is_filtered() { "a seccomp filter holds this process, a container's profile perhaps: it may refuse Landlock; ALLOW_LESS_LANDLOCK goes on without" } else { "ALLOW_LESS_LANDLOCK goes on without" };
    Error::new(STAGE, asked.culprit(lacking), libc::EOPNOTSUPP, text).hint(hint)
}

pub fn restrict(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let asked = &cmd.landlock;
    let log = cmd.options.get(Opt::SANDBOX_OPT_LANDLOCK_LOG).unwrap_or(0);
    let wanted = asked.wanted(log);
    if [FS, NET, SCOPE].iter().all(|kind| wanted[*kind] == 0) {
        if log != 0 {
            return Err(Error::new(STAGE, 0, libc::EINVAL, "LANDLOCK_LOG without a Landlock rule or scope"));
        }
        return Ok(());
    }
    let abi = abi();
    let mut lacking = lacking(&wanted, abi);
    if abi == 0 && wanted[FS] != 0 {
        lacking[FS] |= REFER; // which any ruleset at all would deny
    }
    if lacking != [0; 4] {
        if !cmd.options.is_on(Opt::SANDBOX_OPT_ALLOW_LESS_LANDLOCK) {
            return Err(refuse(asked, &lacking, abi));
        }
        plan.plan().landlock_left_out = lacking;
        plan.plan().left_out |= sandbox_left_out::SANDBOX_LEFT_OUT_LANDLOCK as u64;
    }
    let mut had = wanted;
    for (bits, lacking) in had.iter_mut().zip(lacking) {
        *bits &= !lacking;
    }
    let [fs, net, scope, log] = had;
    if fs | net | scope == 0 {
        return Ok(());
    }
    plan.plan().exec.needs_execute = fs != 0;
    let ruleset = plan.op_slot()?;
    let itself = asked.rules.len();
    // struct landlock_ruleset_attr. An older kernel takes the longer one too, where its end is zero.
    let attr = plan.numbers(&[fs, net, scope]);
    let mut handled = String::new();
    for (kind, bits) in had.into_iter().enumerate().take(3).filter(|(_, bits)| *bits != 0) {
        list(&mut handled, &names(kind, bits));
    }
    plan.call(STAGE, itself, libc::SYS_landlock_create_ruleset, &[Arg::Data(attr), Arg::Value(24), Arg::Value(0)],
        format_args!("a Landlock ruleset that denies {handled}")).out = ruleset;
    for (index, rule) in asked.rules.iter().enumerate() {
        match rule {
            Rule::Path(path, access) if access & fs != 0 => {
                let at = plan.string(path);
                plan.op(STAGE, index, Code::LandlockPath, [at.into(), access & fs, ruleset.into()],
                    format_args!("Landlock allows below {}: {}", quoted(path), names(FS, access & fs)));
            }
            Rule::Port(port, access) if access & net != 0 => {
                const LANDLOCK_RULE_NET_PORT: u64 = 2;
                // struct landlock_net_port_attr
                let attr = plan.numbers(&[access & net, u64::from(*port)]);
                let args = [Arg::Slot(ruleset), Arg::Value(LANDLOCK_RULE_NET_PORT), Arg::Data(attr), Arg::Value(0)];
                plan.call(STAGE, index, libc::SYS_landlock_add_rule, &args, format_args!("Landlock allows port {port}: {}", names(NET, access & net)));
            }
            _ => {}
        }
    }
    plan.call(STAGE, itself, libc::SYS_landlock_restrict_self, &[Arg::Slot(ruleset), Arg::Value(log)], "the Landlock ruleset holds");
    Ok(())
}

/// What a failed step's message adds.
pub fn hint(errno: i32) -> &'static str {
    match errno {
        libc::EPERM => "Landlock needs no_new_privs or CAP_SYS_ADMIN; a container's profile may refuse it",
        libc::E2BIG => "16 rulesets are in force already",
        libc::ENOENT => "looked for inside the child's root",
        libc::ENOTDIR => "or it is no directory, and the rights are directories' alone",
        libc::EMFILE => "each rule needs a spare fd below RLIMIT_NOFILE",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_constants() {
        use sandbox_landlock_fs::*;
        let each = [
            SANDBOX_LANDLOCK_EXECUTE, SANDBOX_LANDLOCK_WRITE_FILE, SANDBOX_LANDLOCK_READ_FILE, SANDBOX_LANDLOCK_READ_DIR, SANDBOX_LANDLOCK_REMOVE_DIR,
            SANDBOX_LANDLOCK_REMOVE_FILE, SANDBOX_LANDLOCK_MAKE_CHAR, SANDBOX_LANDLOCK_MAKE_DIR, SANDBOX_LANDLOCK_MAKE_REG, SANDBOX_LANDLOCK_MAKE_SOCK,
            SANDBOX_LANDLOCK_MAKE_FIFO, SANDBOX_LANDLOCK_MAKE_BLOCK, SANDBOX_LANDLOCK_MAKE_SYM, SANDBOX_LANDLOCK_REFER, SANDBOX_LANDLOCK_TRUNCATE,
            SANDBOX_LANDLOCK_IOCTL_DEV,
        ];
        for (right, (name, _)) in each.into_iter().zip(KINDS[FS]) {
            assert_eq!(format!("{right:?}").replace("SANDBOX_LANDLOCK_", "").to_ascii_lowercase(), *name);
            assert_eq!(names(FS, right as u64), *name);
        }
        let bits = |rights: &[sandbox_landlock_fs]| rights.iter().fold(0, |sum, right| sum | *right as u64);
        assert_eq!(bits(&each), SANDBOX_LANDLOCK_ALL as u64);
        let devices = bits(&[SANDBOX_LANDLOCK_MAKE_CHAR, SANDBOX_LANDLOCK_MAKE_BLOCK, SANDBOX_LANDLOCK_IOCTL_DEV]);
        let (everything, readable) = (SANDBOX_LANDLOCK_ALL as u64, SANDBOX_LANDLOCK_READ_EXECUTE as u64);
        assert_eq!(SANDBOX_LANDLOCK_WRITE as u64, everything & !readable & !devices);
    }

    #[test]
    fn what_each_abi_lacks_is_known() {
        let wanted = [0xffff, 3, 3, 7];
        let expected = [
            (0, wanted), (1, [0xe000, 3, 3, 7]), (2, [0xc000, 3, 3, 7]), (3, [0x8000, 3, 3, 7]), (4, [0x8000, 0, 3, 7]), (5, [0, 0, 3, 7]),
            (6, [0, 0, 0, 7]), (7, [0; 4]), (9, [0; 4]),
        ];
        for (abi, rights) in expected {
            assert_eq!(lacking(&wanted, abi), rights, "ABI {abi}");
        }
    }

    #[test]
    fn a_refusal_names_the_rights_and_the_abi_they_need() {
        let asked = Ruleset { rules: vec![Rule::Port(1, 1), Rule::Path(c"/".to_owned(), 4)], scopes: 0 };
        let error = refuse(&asked, &lacking(&asked.wanted(0), 2), 2);
        assert_eq!((error.errno, error.index), (libc::EOPNOTSUPP, 0));
        assert!(error.message.starts_with("Landlock, of whose ABI 2 this kernel is, lacks truncate, ioctl_dev, bind_tcp, connect_tcp (ABI 5): "), "{}", error.message);
        let error = refuse(&asked, &lacking(&asked.wanted(0), 4), 4);
        assert_eq!((error.index, error.message.contains("lacks ioctl_dev (ABI 5)")), (1, true));
        assert!(refuse(&asked, &lacking(&asked.wanted(0), 0), 0).message.starts_with("Landlock, which this kernel lacks or has off: "));
    }
}
