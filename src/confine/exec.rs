//! The end of every plan: the caller's function, and execve.

use crate::cmd::Cmd;
use crate::confine::init;
use crate::confine::mount::{Kind, Mount, MountFlag};
use crate::error::{Result, Stage, quoted};
use crate::plan::{Builder, Source};
use sandbox_child::plan::{Code, NONE};
use std::ffi::{CStr, CString};
use std::os::fd::AsRawFd;

/// What is resolved at each spawn, because it hangs on the host's environment at that moment.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// None where an fd is executed.
    pub name: Option<CString>,
    pub env_clear: bool,
    pub env: Vec<(CString, Option<CString>)>,
    /// Landlock denies EXECUTE where no rule grants it.
    pub needs_execute: bool,
}

pub fn pre_exec_before_init(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if init::is_asked(cmd) { callback(cmd, plan) } else { Ok(()) }
}

pub fn pre_exec(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if init::is_asked(cmd) { Ok(()) } else { callback(cmd, plan) }
}

fn callback(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if let Some(hook) = cmd.pre_exec {
        let function = hook.function as *const () as u64;
        plan.op(Stage::SANDBOX_STAGE_CALLBACK, 0, Code::Callback, [function, hook.userdata as u64, 0], "the caller's pre_exec");
    }
    Ok(())
}

/// A tree that others may hold a hand in: its links can change between any look and the exec, which follows magic ones
/// too. There the child first leaves its host's memory, and with it what /proc/self/exe is; so it does where the program is
/// an open file, of which no path tells whether it is a script.
pub fn trusts_no_link(cmd: &Cmd) -> bool {
    let is_rw = |flags: u64| flags & MountFlag::SANDBOX_MOUNT_RW as u64 != 0;
    let may_change = |mount: &Mount| match &mount.kind {
        Kind::Bind { flags, .. } => is_rw(*flags),
        Kind::Overlay { .. } => true,
        _ => false,
    };
    let is_image = cmd.mounts.root.as_ref().is_some_and(|root| root.directory.is_some());
    cmd.mounts.is_asked() && (is_image || cmd.exec_fd.is_some() || cmd.mounts.list.iter().any(may_change))
}

pub fn links(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if !plan.plan().enters && cmd.mounts.is_asked() {
        plan.op(Stage::SANDBOX_STAGE_EXEC, 0, Code::Links, [0; 3], format_args!("no magic link on the way to {}", quoted(&cmd.program)));
    }
    Ok(())
}

pub fn hint_of_links(errno: i32) -> &'static str {
    match errno {
        libc::ELOOP => "it, or a script's interpreter, is a magic link of /proc: the host's own program, or what the host has open",
        libc::EACCES => "it must be readable, to see whether it is a script",
        _ => "",
    }
}

pub fn exec(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let first = cmd.arg0.as_ref().unwrap_or(&cmd.program);
    let offsets: Vec<u64> = std::iter::once(first).chain(&cmd.args).map(|arg| plan.string(arg).into()).chain([0]).collect();
    plan.plan().argv = plan.numbers(&offsets);
    plan.plan().exec = Program {
        name: cmd.exec_fd.is_none().then(|| cmd.program.clone()),
        env_clear: cmd.env_clear,
        env: environment(cmd),
        needs_execute: plan.plan().exec.needs_execute,
    };
    let (slot, text) = match &cmd.exec_fd {
        Some(fd) => (plan.slot(Source::Command(fd.as_raw_fd()))?, "execveat of the caller's fd".to_owned()),
        None => (NONE.into(), format!("execve {}", quoted(&cmd.program))),
    };
    plan.op(Stage::SANDBOX_STAGE_EXEC, 0, Code::Exec, [slot.into(), 0, 0], text);
    Ok(())
}

/// With a place for the PWD that the child sets once it knows.
fn environment(cmd: &Cmd) -> Vec<(CString, Option<CString>)> {
    let mut env = cmd.env.clone();
    if !cmd.cwds.is_empty() {
        env.retain(|(name, _)| name.as_c_str() != c"PWD");
        env.push((c"PWD".to_owned(), Some(CString::default())));
    }
    env
}

impl Program {
    /// The child's environment: the host's now, with the command's changes.
    pub fn environment(&self) -> Strings {
        let mut all = Strings::with_room(4096, 64);
        if !self.env_clear {
            for_each_of_the_host(|entry| {
                let is_changed = |(name, _): &(CString, _)| entry.strip_prefix(name.to_bytes()).is_some_and(|rest| rest.first() == Some(&b'='));
                if !self.env.iter().any(is_changed) {
                    all.push(&[entry]);
                }
            });
        }
        for (name, value) in &self.env {
            if let Some(value) = value {
                all.push(&[name.to_bytes(), b"=", value.to_bytes()]);
            }
        }
        all
    }

    /// Where to look for the program: itself where it has a slash, else below each directory of the child's PATH.
    pub fn paths(&self, environment: &Strings) -> Strings {
        let mut paths = Strings::with_room(256, 8);
        let Some(name) = &self.name else { return paths };
        if !self.is_searched() {
            paths.push(&[name.to_bytes()]);
            return paths;
        }
        for directory in search_path(environment).split(|byte| *byte == b':') {
            let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
            if directory.len() + name.count_bytes() < 4095 {
                paths.push(&[directory, slash, name.to_bytes()]);
            }
        }
        paths
    }

    fn is_searched(&self) -> bool {
        self.name.as_ref().is_some_and(|name| !name.is_empty() && !name.to_bytes().contains(&b'/'))
    }

    /// What a failed exec's message adds.
    pub fn hint(&self, errno: i32) -> String {
        match errno {
            libc::ENOENT if self.is_searched() => {
                format!("looked for in PATH \"{}\"", search_path(&self.environment()).escape_ascii())
            }
            libc::ENOENT => "it, or the interpreter it names, does not exist".to_owned(),
            libc::EACCES if self.needs_execute => "Landlock rules do not allow executing it, or the interpreter it names".to_owned(),
            libc::ENOEXEC => "neither a binary for this machine nor a script with a #! line".to_owned(),
            libc::ETXTBSY => "still open for writing somewhere".to_owned(),
            libc::E2BIG => "arguments and environment are more than the kernel or RLIMIT_STACK allow".to_owned(),
            _ => String::new(),
        }
    }
}

fn search_path(environment: &Strings) -> &[u8] {
    environment.iter().find_map(|entry| entry.strip_prefix(b"PATH=")).unwrap_or(b"/bin:/usr/bin")
}

/// The host's `environ` as it is: no lock of anyone's can be taken for it, as with posix_spawn.
fn for_each_of_the_host(mut entry: impl FnMut(&[u8])) {
    unsafe extern "C" {
        static environ: *const *const std::ffi::c_char;
    }
    // SAFETY: NULL, or a NULL-terminated array of strings; a host that changes it meanwhile races as with any reader.
    unsafe {
        let mut next = environ;
        while !next.is_null() && !(*next).is_null() {
            entry(CStr::from_ptr(*next).to_bytes());
            next = next.add(1);
        }
    }
}

/// Strings end to end, each with its NUL: what execve's arrays point to.
#[derive(Debug, Default)]
pub struct Strings {
    pub bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Strings {
    fn with_room(bytes: usize, count: usize) -> Self {
        Strings { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    fn push(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.bytes.push(0);
        self.ends.push(self.bytes.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    fn starts(&self) -> impl Iterator<Item = usize> {
        std::iter::once(0).chain(self.ends.iter().copied()).take(self.ends.len())
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.starts().zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..end - 1))
    }

    /// The array of offsets, ended by 0, where the first byte lies at `base`.
    pub fn offsets(&self, base: usize) -> impl Iterator<Item = u64> {
        self.starts().map(move |start| (base + start) as u64).chain([0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &CStr, env: &[(&CStr, Option<&CStr>)]) -> Program {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), value.map(CStr::to_owned))).collect();
        Program { name: Some(name.to_owned()), env_clear: true, env, ..Program::default() }
    }

    fn searched(program: &Program) -> Vec<Vec<u8>> {
        program.paths(&program.environment()).iter().map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn a_program_without_a_slash_is_looked_for_along_the_childs_path() {
        assert_eq!(searched(&program(c"cc", &[(c"PATH", Some(c"/a::/b"))])), [b"/a/cc".to_vec(), b"cc".to_vec(), b"/b/cc".to_vec()]);
        assert_eq!(searched(&program(c"cc", &[])), [b"/bin/cc".to_vec(), b"/usr/bin/cc".to_vec()]);
        assert_eq!(searched(&program(c"./cc", &[(c"PATH", Some(c"/a"))])), [b"./cc".to_vec()]);
        assert_eq!(searched(&program(c"", &[])), [b"".to_vec()]);
    }

    #[test]
    fn offsets_end_with_zero_and_count_from_the_base() {
        let mut strings = Strings::default();
        strings.push(&[b"a=", b"b"]);
        strings.push(&[]);
        assert_eq!(strings.bytes, b"a=b\0\0");
        assert_eq!(strings.offsets(100).collect::<Vec<_>>(), [100, 104, 0]);
    }
}
