//! Writes the id maps of a child that stands at its gate: by itself where the kernel lets this process, else through
//! newuidmap and newgidmap, which give an ordinary user what /etc/subuid and /etc/subgid grant it.

use crate::cmd::Cmd;
use crate::confine::namespace::{self, Map};
use crate::diagnose::{Refused, diagnose};
use crate::error::{Error, Result, Stage};
use crate::host;
use crate::launch;
use crate::options::Opt;
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};

struct Kind {
    file: &'static str,
    helper: &'static CStr,
    granted: &'static str,
    capability: u32,
}

const UIDS: Kind = Kind { file: "uid_map", helper: c"newuidmap", granted: "/etc/subuid", capability: 7 };
const GIDS: Kind = Kind { file: "gid_map", helper: c"newgidmap", granted: "/etc/subgid", capability: 6 };
/// The caller's PATH must not decide what runs with privileges.
const SYSTEM_PATH: &CStr = c"/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin";

/// setgroups is denied first where gid_map asks for that (CVE-2014-8989).
pub fn write(cmd: &Cmd, pid: libc::pid_t) -> Result<()> {
    let child = Path::new("/proc").join(pid.to_string());
    let [capabilities, _] = host::capabilities();
    let is_privileged = |kind: &Kind| capabilities >> kind.capability & 1 == 1;
    let is_own = |maps: &[Map], own: u32| matches!(maps, [map] if map.count == 1 && map.outside == own);
    let (uids, gids) = (namespace::uids(cmd), namespace::gids(cmd));
    // SAFETY: no pointers.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    if is_privileged(&UIDS) || is_own(&uids, uid) { by_itself(&child, UIDS.file, &lines(&uids))? } else { by_helper(cmd, &child, &UIDS, &uids)? }
    if !is_privileged(&GIDS) && !is_own(&gids, gid) {
        return by_helper(cmd, &child, &GIDS, &gids);
    }
    if !is_privileged(&GIDS) {
        by_itself(&child, "setgroups", "deny")?;
    }
    by_itself(&child, GIDS.file, &lines(&gids))
}

fn lines(maps: &[Map]) -> String {
    maps.iter().map(|map| format!("{} {} {}\n", map.inside, map.outside, map.count)).collect()
}

fn failed(errno: i32, file: &str, text: &str, hint: &str) -> Error {
    Error::new(Stage::SANDBOX_STAGE_USERNS, 0, errno, format_args!("{file} {:?}", text.trim_end())).hint(hint)
}

fn by_itself(child: &Path, file: &str, text: &str) -> Result<()> {
    std::fs::write(child.join(file), text).map_err(|error| {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        failed(errno, file, text, diagnose(&Refused::Map, errno))
    })
}

/// Whether it did its work is seen in the map, not in its exit code: another thread may have reaped it.
fn by_helper(cmd: &Cmd, child: &Path, kind: &Kind, maps: &[Map]) -> Result<()> {
    let ran = run(cmd, child, kind, maps);
    let map: PathBuf = child.join(kind.file);
    if ran.is_ok() && std::fs::read(map).is_ok_and(|map| !map.is_empty()) {
        return Ok(());
    }
    let reason = match ran {
        Err(error) if error.errno == libc::ENOENT => format!("for more, {} is needed, which is not installed", kind.helper.to_string_lossy()),
        Err(error) => error.message.clone(),
        // SAFETY: no pointers.
        Ok(()) if unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) } == 1 => "the host has no_new_privs, which newuidmap is no use under".to_owned(),
        Ok(()) if grants(kind.granted) => format!("{} grants it other ranges", kind.granted),
        Ok(()) => format!("{} grants it no range", kind.granted),
    };
    Err(failed(libc::EPERM, kind.file, &lines(maps), &format!("an ordinary user maps its own id alone: {reason}")))
}

/// A set-user-ID program, started by this library's own means.
fn run(asked: &Cmd, child: &Path, kind: &Kind, maps: &[Map]) -> Result<()> {
    let mut cmd = Cmd::new(kind.helper);
    cmd.env_clear()?;
    cmd.env(c"PATH", Some(SYSTEM_PATH))?;
    (0..3).try_for_each(|target| cmd.stdio(target, 1, -1))?;
    cmd.caps(u64::MAX, 0)?;
    cmd.option(Opt::SANDBOX_OPT_NO_NEW_PRIVS as u32, 0)?;
    cmd.option(Opt::SANDBOX_OPT_ALLOW_PRIVILEGED_HOST as u32, asked.options.is_on(Opt::SANDBOX_OPT_ALLOW_PRIVILEGED_HOST).into())?;
    let pid = child.file_name().and_then(|pid| pid.to_str()).unwrap_or_default();
    let numbers = maps.iter().flat_map(|map| [map.inside, map.outside, map.count]).map(|number| number.to_string());
    for arg in std::iter::once(pid.to_owned()).chain(numbers) {
        cmd.arg(&CString::new(arg).unwrap_or_default())?;
    }
    let helper = launch::spawn(&cmd, cmd.plan()?)?;
    let _ = helper.wait(-1);
    Ok(())
}

/// Whether `file` has a line for the calling user, by name or by number. The name is looked for in /etc/passwd alone:
/// this is for a message.
fn grants(file: &str) -> bool {
    // SAFETY: no pointers.
    let uid = unsafe { libc::getuid() }.to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid)).and_then(|line| line.split(':').next());
    let granted = std::fs::read_to_string(file).unwrap_or_default();
    granted.lines().filter_map(|line| line.split(':').next()).any(|owner| owner == uid || Some(owner) == name)
}
