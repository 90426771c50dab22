//! Presets: what the common wishes set, in one call. Each does what a caller could do setter by setter; nothing of it is
//! known to the rest of the library. What the caller sets itself, before or after, holds.

use crate::cmd::Cmd;
use crate::confine::landlock::sandbox_landlock_scope::SANDBOX_LANDLOCK_ABSTRACT_UNIX_SOCKET;
use crate::confine::mount::{Kind, Mount, MountFlag, Source};
use crate::confine::namespace::Ns;
use crate::error::{Error, Result};
use crate::options::Opt;
use crate::seccomp::act;
use crate::seccomp::filter::Filter;
use crate::seccomp::preset::{int, sandbox_deny};
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Ready-made confinements, for sandbox_cmd_preset.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sandbox_preset {
    /// A computation: no network but a loopback of its own, no files but the system's programs and libraries, 256 processes,
    /// 64 MiB each in /tmp and /dev/shm.
    SANDBOX_PRESET_COMPUTE = 1,
    /// A build: the same with names of users and groups, 4096 processes, 1 GiB each. Inputs are bound
    /// read-only, the directory for the results with SANDBOX_MOUNT_RW.
    SANDBOX_PRESET_BUILD = 2,
    /// A client: the host's network, with what it takes to resolve names and to check certificates, 1024 processes,
    /// 256 MiB each. The host's abstract unix sockets are out of reach (Landlock, Linux 6.12: older kernels refuse,
    /// unless SANDBOX_OPT_ALLOW_LESS_LANDLOCK is set).
    SANDBOX_PRESET_NETWORK = 3,
}

pub use sandbox_preset as Preset;

/// What differs between them.
struct Settings {
    preset: Preset,
    own_network: bool,
    processes: u64,
    tmp: u64,
    /// Of /etc, beside what every program needs.
    etc: &'static [&'static CStr],
}

const TABLE: [Settings; 3] = [
    Settings { preset: Preset::SANDBOX_PRESET_COMPUTE, own_network: true, processes: 256, tmp: 64 << 20, etc: &[] },
    Settings {
        preset: Preset::SANDBOX_PRESET_BUILD,
        own_network: true,
        processes: 4096,
        tmp: 1 << 30,
        etc: &[c"etc/ld.so.conf", c"etc/ld.so.conf.d", c"etc/passwd", c"etc/group", c"etc/nsswitch.conf"],
    },
    Settings {
        preset: Preset::SANDBOX_PRESET_NETWORK,
        own_network: false,
        processes: 1024,
        tmp: 256 << 20,
        etc: &[
            c"etc/passwd", c"etc/group", c"etc/nsswitch.conf", c"etc/resolv.conf", c"etc/hosts", c"etc/host.conf", c"etc/gai.conf", c"etc/services",
            c"etc/protocols", c"etc/ssl", c"etc/pki", c"etc/ca-certificates", c"etc/crypto-policies",
        ],
    },
];

/// Where programs and libraries are: directories, or on a merged system links into usr.
const SYSTEM: [&CStr; 7] = [c"usr", c"bin", c"sbin", c"lib", c"lib32", c"lib64", c"libx32"];
const ETC: [&CStr; 3] = [c"etc/ld.so.cache", c"etc/alternatives", c"etc/localtime"];
/// Where nothing else could tell.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 sandbox\n";
const ENVIRONMENT: [(&CStr, &CStr); 4] =
    [(c"PATH", c"/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"), (c"HOME", c"/tmp"), (c"TMPDIR", c"/tmp"), (c"LANG", c"C.UTF-8")];

impl Preset {
    /// "compute"
    pub fn name(self) -> String {
        format!("{self:?}").replace("SANDBOX_PRESET_", "").to_ascii_lowercase()
    }
}

impl Cmd {
    pub fn preset(&mut self, number: u32) -> Result<()> {
        let Some(settings) = TABLE.iter().find(|settings| settings.preset as u32 == number) else {
            return Err(Error::setup(libc::EINVAL, format_args!("preset {number}: there is none of that number")));
        };
        if self.preset.is_some() {
            return Err(Error::setup(libc::EINVAL, "a second preset"));
        }
        self.preset = Some(settings.preset);
        self.preset_namespaces(settings)?;
        self.preset_mounts(settings);
        self.preset_process(settings)?;
        self.filter(&filter()?)
    }

    fn preset_namespaces(&mut self, settings: &Settings) -> Result<()> {
        use Ns::*;
        for ns in [SANDBOX_NS_USER, SANDBOX_NS_PID, SANDBOX_NS_MOUNT, SANDBOX_NS_UTS, SANDBOX_NS_IPC, SANDBOX_NS_CGROUP] {
            self.namespaces |= ns as u64;
        }
        if settings.own_network {
            self.namespaces |= SANDBOX_NS_NET as u64;
            self.unless_given(Opt::SANDBOX_OPT_LOOPBACK, 1);
        } else {
            self.landlock_scope(SANDBOX_LANDLOCK_ABSTRACT_UNIX_SOCKET as u64)?;
        }
        Ok(())
    }

    /// In front of the caller's mounts, so that those can lie in them or over them.
    fn preset_mounts(&mut self, settings: &Settings) {
        let mut list = Vec::new();
        if self.mounts.root.as_ref().is_none_or(|root| root.directory.is_none()) {
            list.extend(SYSTEM.iter().chain(&ETC).chain(settings.etc).filter_map(|target| of_host(target)));
        }
        if settings.own_network && self.mounts.root.as_ref().is_none_or(|root| root.directory.is_none()) {
            let data = HOSTS.as_bytes().into();
            list.push(Mount { target: c"etc/hosts".to_owned(), kind: Kind::File { data, mode: 0o644, flags: 0 } });
        }
        self.mounts.system = list.len();
        let memory = || Kind::Tmpfs { bytes: settings.tmp, mode: 0o1777 };
        let others = [(c"proc", Kind::Proc { flags: 0 }), (c"dev", Kind::Dev), (c"dev/shm", memory()), (c"tmp", memory())];
        list.extend(others.map(|(target, kind)| Mount { target: target.to_owned(), kind }));
        self.mounts.list.splice(0..0, list);
    }

    fn preset_process(&mut self, settings: &Settings) -> Result<()> {
        // The kernel's numbers: libc has them in a type that is another with each C library.
        const RLIMIT_CORE: u32 = 4;
        const RLIMIT_NPROC: u32 = 6;
        let once = [Opt::SANDBOX_OPT_INIT, Opt::SANDBOX_OPT_NEW_SESSION, Opt::SANDBOX_OPT_NEW_KEYRING, Opt::SANDBOX_OPT_ALLOW_NO_KEYRING];
        for option in once {
            self.unless_given(option, 1);
        }
        // 1, not 0: a program that the host has its core dumps piped to is given them all but for that one limit.
        for (resource, most) in [(RLIMIT_CORE, 1), (RLIMIT_NPROC, settings.processes)] {
            if self.rlimits.iter().all(|limit| limit.resource != resource) {
                let most = hard_limit(resource).min(most);
                self.rlimit(resource, most, most)?;
            }
        }
        let is_cleared = std::mem::replace(&mut self.env_clear, true);
        for (name, value) in ENVIRONMENT.into_iter().filter(|_| !is_cleared) {
            if self.env.iter().all(|(other, _)| other.as_c_str() != name) {
                self.env(name, Some(value))?;
            }
        }
        if self.cwd.is_none() && self.cwds.is_empty() {
            self.cwd(c"/tmp")?;
        }
        if !self.hostname.names_host() {
            self.uts_name(0, c"sandbox")?;
        }
        Ok(())
    }

    fn unless_given(&mut self, option: Opt, value: u64) {
        if !self.options.is_given(option) {
            self.options.set(option, value);
        }
    }
}

/// What the host has at `/target`, the same in the sandbox: a link as a link, all else bound read-only.
fn of_host(target: &CStr) -> Option<Mount> {
    let path = CString::new([b"/", target.to_bytes()].concat()).ok()?;
    let as_path = Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
    let is_below_etc = target.to_bytes().contains(&b'/');
    let kind = match std::fs::read_link(as_path) {
        // What a link below /etc leads to may lie anywhere: it is bound itself.
        Ok(text) if !is_below_etc => Kind::Symlink { text: CString::new(text.as_os_str().as_bytes()).ok()? },
        _ if as_path.exists() => Kind::Bind { source: Source::Path(path), flags: MountFlag::SANDBOX_MOUNT_OPTIONAL as u64 },
        _ => return None,
    };
    Some(Mount { target: target.to_owned(), kind })
}

fn hard_limit(resource: u32) -> u64 {
    let mut limit = [0, u64::MAX];
    // SAFETY: two numbers of ours to fill.
    unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, std::ptr::null::<u64>(), limit.as_mut_ptr()) };
    limit[1]
}

/// Every ready-made denial but the kernel's pointers, which slow each call down; and no sockets but of the usual kinds:
/// others reach past a network namespace (AF_VSOCK), or into seldom used parts of the kernel.
fn filter() -> Result<Filter> {
    let mut filter = Filter::new(act::ALLOW);
    filter.deny(sandbox_deny::SANDBOX_DENY_KERNEL_POINTERS as u64 - 1)?;
    for call in ["socket", "socketpair"] {
        for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK] {
            filter.rule(act::ALLOW, call, &[int(0, family.cast_unsigned())])?;
        }
        filter.rule(act::ERRNO | libc::EAFNOSUPPORT.cast_unsigned(), call, &[])?;
    }
    Ok(filter)
}
