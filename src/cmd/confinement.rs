//! Setters of what confines: options, limits, namespaces and their maps, filters, the tracer. Other kinds have theirs
//! in `confine`, with what becomes of them.

use crate::cmd::Cmd;
use crate::confine::namespace::{self, Map};
use crate::error::{Error, Result, Stage};
use crate::options::{Opt, Options};
use crate::seccomp::filter::{Filter, Program};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Rlimit {
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// A filter as it was when it was added: later changes of the caller's do not reach it.
#[derive(Clone, Debug)]
pub struct FilterUse {
    pub program: Arc<Program>,
    pub flags: u64,
}

const MOST_FILTERS: usize = 32;
/// PTRACE_O_*: the events, EXITKILL and SUSPEND_SECCOMP.
const PTRACE_OPTIONS: u64 = 0x3000ff;

impl Cmd {
    pub fn option(&mut self, option: u32, value: u64) -> Result<()> {
        let Some(info) = Options::find(option) else {
            return Err(Error::setup(libc::EINVAL, format_args!("option {option}: there is none of that number")));
        };
        if let Some(wrong) = info.refuses(value) {
            return Err(Error::setup(libc::EINVAL, wrong));
        }
        if info.option == Opt::SANDBOX_OPT_CPU_AFFINITY {
            return self.cpus(&[value]);
        }
        self.options.set(info.option, value);
        Ok(())
    }

    /// A resource set again is overridden, in its first place.
    pub fn rlimit(&mut self, resource: u32, soft: u64, hard: u64) -> Result<()> {
        let found = self.rlimits.iter().position(|limit| limit.resource == resource);
        let index = found.unwrap_or(self.rlimits.len());
        if resource >= crate::confine::rlimit::NAMES.len() as u32 {
            return Err(Error::new(Stage::SANDBOX_STAGE_RLIMIT, index, libc::EINVAL, format_args!("resource {resource}")));
        }
        if soft > hard {
            let name = crate::confine::rlimit::name(resource);
            return Err(Error::new(Stage::SANDBOX_STAGE_RLIMIT, index, libc::EINVAL, format_args!("{name}: soft limit {soft} above hard limit {hard}")));
        }
        let limit = Rlimit { resource, soft, hard };
        match found.and_then(|found| self.rlimits.get_mut(found)) {
            Some(place) => *place = limit,
            None => self.rlimits.push(limit),
        }
        Ok(())
    }

    pub fn cpus(&mut self, mask: &[u64]) -> Result<()> {
        if mask.iter().all(|word| *word == 0) {
            return Err(Error::new(Stage::SANDBOX_STAGE_PROCESS, 0, libc::EINVAL, "an empty set of CPUs"));
        }
        self.cpus = Some(mask.to_vec());
        Ok(())
    }

    pub fn unshare(&mut self, namespaces: u64) -> Result<()> {
        self.namespaces |= namespace::check(namespaces)?;
        Ok(())
    }

    pub fn map_uid(&mut self, map: Map) -> Result<()> {
        self.uid_maps.push(checked(map, self.uid_maps.len(), "uid")?);
        Ok(())
    }

    pub fn map_gid(&mut self, map: Map) -> Result<()> {
        self.gid_maps.push(checked(map, self.gid_maps.len(), "gid")?);
        Ok(())
    }

    pub fn filter(&mut self, filter: &Filter) -> Result<()> {
        let index = self.filters.len();
        let program = filter.program().map_err(|error| error.at_index(index))?;
        if program.notifies && self.filters.iter().any(|other| other.program.notifies) {
            return Err(Error::new(Stage::SANDBOX_STAGE_SECCOMP, index, libc::EINVAL, "a second filter that notifies"));
        }
        if index >= MOST_FILTERS {
            return Err(Error::new(Stage::SANDBOX_STAGE_SECCOMP, index, libc::E2BIG, "another filter"));
        }
        self.filters.push(FilterUse { program, flags: filter.flags });
        Ok(())
    }

    pub fn ptrace(&mut self, options: u64) -> Result<()> {
        if options & !PTRACE_OPTIONS != 0 {
            return Err(Error::new(Stage::SANDBOX_STAGE_PTRACE, 0, libc::EINVAL, format_args!("ptrace options {options:#x}")));
        }
        self.ptrace = Some(options);
        Ok(())
    }
}

/// The kernel takes 340 lines, and no range that runs over.
fn checked(map: Map, index: usize, kind: &str) -> Result<Map> {
    let is_whole = |first: u32| first.checked_add(map.count).is_some();
    if map.count == 0 || !is_whole(map.inside) || !is_whole(map.outside) || index >= 340 {
        let what = format!("{kind} map of {} ids from {} to {}", map.count, map.outside, map.inside);
        let hint = if index >= 340 { "the kernel takes 340 lines" } else { "no ids, or more than there are" };
        return Err(Error::new(Stage::SANDBOX_STAGE_USERNS, index, libc::EINVAL, what).hint(hint));
    }
    Ok(map)
}
