//! The control group: a fresh leaf, entered at the clone, and its limits. What can kill is written once the child has
//! left its host's memory: the kernel's out-of-memory kill takes every process that shares the victim's. Where others
//! can use up what the leaf's parent has, the child enters no sooner: it would seem the largest, by its host's size.

use crate::cgroup::{Home, Parent, Setting, controller, failed, found};
use crate::cmd::{Cmd, path};
use crate::confine::death;
use crate::confine::namespace::Ns;
use crate::error::{Result, Stage, list, quoted};
use crate::plan::{Arg, Builder};
use nix::errno::Errno;
use sandbox_child::plan::{Code, gate};
use std::ffi::{CStr, CString};
use std::sync::Arc;

/// What the caller asked for.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub is_asked: bool,
    parent: Option<CString>,
    settings: Vec<Setting>,
}

/// A file of a cgroup takes at most a page in one write, with the newline.
const LONGEST_VALUE: usize = 4094;
const MOST_SETTINGS: usize = 1024;

impl Group {
    fn early(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(|setting| !can_kill(&setting.file))
    }

    fn late(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(|setting| can_kill(&setting.file))
    }
}

fn can_kill(file: &CStr) -> bool {
    controller(file) == "memory"
}

/// Pressure is told of without a controller.
fn is_every_cgroups(file: &CStr) -> bool {
    controller(file) == "cgroup" || file.to_bytes().ends_with(b".pressure")
}

/// The child must leave its host's memory before its limits are set, or hold.
pub fn is_lethal(cmd: &Cmd) -> bool {
    cmd.cgroup.late().next().is_some() || (cmd.cgroup.is_asked && home(cmd).is_ok_and(|home| home.is_entered_late))
}

impl Cmd {
    pub fn cgroup(&mut self, parent: Option<&CStr>) -> Result<()> {
        self.cgroup.parent = match parent {
            Some(parent) if parent.is_empty() => return Err(failed(0, Errno::ENOENT, "an empty path to a cgroup")),
            Some(parent) => Some(path(parent, "cgroup")?),
            None => None,
        };
        self.cgroup.is_asked = true;
        Ok(())
    }

    pub fn cgroup_set(&mut self, file: &CStr, value: &CStr) -> Result<()> {
        let index = self.cgroup.settings.len();
        let refused = |errno, hint: &str| failed(index, errno, format_args!("the cgroup's file {}", quoted(file))).hint(hint);
        if file.is_empty() || file.count_bytes() > 255 || !file.to_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
            || !file.to_bytes().contains(&b'.') || file.to_bytes().starts_with(b".")
        {
            return Err(refused(Errno::EINVAL, "a name as \"memory.max\", without a directory"));
        }
        if controller(file) == "cgroup" && !["cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure"].iter().any(|known| file.to_bytes() == known.as_bytes()) {
            return Err(refused(Errno::EINVAL, "that one is the library's"));
        }
        if value.count_bytes() > LONGEST_VALUE || index >= MOST_SETTINGS {
            return Err(refused(Errno::E2BIG, ""));
        }
        self.cgroup.is_asked = true;
        self.cgroup.settings.push(Setting { file: file.to_owned(), value: value.to_owned(), index });
        Ok(())
    }
}

/// Finds the parent: the one thing of it that can fail early.
fn home(cmd: &Cmd) -> Result<Home> {
    let group = &cmd.cgroup;
    let parent = match &group.parent {
        Some(path) => Parent::open(path)?,
        None => {
            let mut controllers: Vec<&str> = group.settings.iter().filter(|setting| !is_every_cgroups(&setting.file)).map(|setting| controller(&setting.file)).collect();
            controllers.dedup();
            found(&controllers)?
        }
    };
    Ok(Home {
        is_entered_late: parent.is_limited() && cmd.pre_exec.is_none(),
        parent: Arc::new(parent),
        early: group.early().cloned().collect(),
        late: group.late().cloned().collect(),
        dies_with_host: death::signal(cmd) != 0,
    })
}

fn texts<'a>(settings: impl Iterator<Item = &'a Setting>) -> String {
    let mut text = String::new();
    for setting in settings {
        list(&mut text, setting);
    }
    text
}

/// What the host does before the clone, for `explain`.
pub fn explain(cmd: &Cmd, home: &Home) -> String {
    let early = texts(cmd.cgroup.early());
    format!("  host: a fresh cgroup below {}{}{early}\n", home.parent.path(), if early.is_empty() { "" } else { ": " })
}

pub fn enter(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if !cmd.cgroup.is_asked {
        return Ok(());
    }
    let home = home(cmd)?;
    let is_late = home.is_entered_late;
    plan.plan().cgroup = Some(home);
    if is_late { Ok(()) } else { arrive(cmd, plan, "into its cgroup, by the clone itself where that can be") }
}

pub fn enter_late(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    let is_late = plan.plan().cgroup.as_ref().is_some_and(|home| home.is_entered_late);
    if is_late { arrive(cmd, plan, "into its cgroup, whose memory is limited above it") } else { Ok(()) }
}

fn arrive(cmd: &Cmd, plan: &mut Builder, text: &str) -> Result<()> {
    plan.op(Stage::SANDBOX_STAGE_CGROUP, 0, Code::EnterCgroup, [0; 3], text);
    // A namespace made by the clone would have the host's cgroup for its root.
    if cmd.has(Ns::SANDBOX_NS_CGROUP) && plan.plan().late == 0 {
        plan.plan().made |= Ns::SANDBOX_NS_CGROUP as u64;
        let flag = Arg::Value(Ns::SANDBOX_NS_CGROUP as u64);
        plan.call(Stage::SANDBOX_STAGE_CLONE, 2, libc::SYS_unshare, &[flag], "a cgroup namespace, with its own cgroup for the root");
    }
    Ok(())
}

pub fn limit(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if let Some(first) = cmd.cgroup.late().next() {
        plan.op(Stage::SANDBOX_STAGE_CGROUP, first.index, Code::Gate, [gate::LIMITS.into(), 0, 0],
            format_args!("held at the gate while the host writes {}", texts(cmd.cgroup.late())));
    }
    Ok(())
}

/// What is added to the message of a child that was killed on its way.
pub fn hint(oom_kills: u64) -> &'static str {
    if oom_kills > 0 { "killed for the memory limit of its cgroup: it is below what the set-up needs" } else { "the child was killed there" }
}
