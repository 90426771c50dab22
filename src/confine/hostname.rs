//! Host and domain name, in a uts namespace that is not the host's: the child's own, or one it joins.

use crate::cmd::Cmd;
use crate::confine::namespace::Ns;
use crate::error::{Error, Result, Stage, quoted};
use crate::plan::{Arg, Builder};
use std::ffi::{CStr, CString};

const STAGE: Stage = Stage::SANDBOX_STAGE_HOSTNAME;
/// __NEW_UTS_LEN.
const LONGEST: usize = 64;

/// What the caller asked for: the host's name, and the domain's.
#[derive(Clone, Debug, Default)]
pub struct Names([Option<CString>; 2]);

impl Names {
    pub fn names_host(&self) -> bool {
        self.0.first().is_some_and(Option::is_some)
    }
}

impl Cmd {
    /// `which` 0: the host's name; 1: the domain's.
    pub fn uts_name(&mut self, which: usize, name: &CStr) -> Result<()> {
        if name.count_bytes() > LONGEST {
            return Err(Error::new(STAGE, which, libc::ENAMETOOLONG, format_args!("{} of {} bytes, the most is {LONGEST}", quoted(name), name.count_bytes())));
        }
        if let Some(place) = self.hostname.0.get_mut(which) {
            *place = Some(name.to_owned());
        }
        Ok(())
    }
}

/// With the capabilities of the new namespaces.
pub fn set(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let Some(which) = cmd.hostname.0.iter().position(Option::is_some) else { return Ok(()) };
    if cmd.has(Ns::SANDBOX_NS_UTS) {
        return names(cmd, plan);
    }
    if !cmd.joined.has(Ns::SANDBOX_NS_UTS) {
        let what = "a host or domain name without a uts namespace of its own";
        return Err(Error::new(STAGE, which, libc::EINVAL, what).hint("sandbox_cmd_unshare with SANDBOX_NS_UTS makes one"));
    }
    Ok(())
}

pub fn set_in_joined(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if cmd.joined.has(Ns::SANDBOX_NS_UTS) { names(cmd, plan) } else { Ok(()) }
}

fn names(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    for (which, name) in cmd.hostname.0.iter().enumerate() {
        if let Some(name) = name {
            let (number, what) = if which == 0 { (libc::SYS_sethostname, "host") } else { (libc::SYS_setdomainname, "domain") };
            let at = plan.string(name);
            plan.call(STAGE, which, number, &[Arg::Data(at), Arg::Value(name.count_bytes() as u64)], format_args!("{what} name {}", quoted(name)));
        }
    }
    Ok(())
}
