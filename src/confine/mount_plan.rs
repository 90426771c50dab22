//! How the wished-for file system compiles to ops: sources first, then the root, then everything in the caller's order.

use crate::cmd::Cmd;
use crate::confine::{mount_dev, mount_overlay};
use crate::confine::mount_overlay::Kept;
use crate::confine::mount::{Kind, Mount, MountFlag, ProcFlag, Root, Source};
use crate::confine::{identity, join};
use crate::confine::namespace::{self, Map, Ns};
use crate::error::{Quoted, Result, Stage, quoted};
use crate::options::sandbox_left_out;
use crate::plan::{self, Arg, Builder};
use sandbox_child::plan::{Code, NONE, kind};
use std::ffi::{CStr, CString};
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStringExt;

pub const MOUNT: Stage = Stage::SANDBOX_STAGE_MOUNT;
const ROOT: Stage = Stage::SANDBOX_STAGE_ROOT;

pub const OPEN_TREE_CLONE: u64 = 1;
pub const AT_RECURSIVE: u64 = 0x8000;
pub const RDONLY: u64 = 1;
pub const NOSUID: u64 = 2;
pub const NODEV: u64 = 4;
pub const NOEXEC: u64 = 8;

/// The offset of an fd's place in the plan's data.
pub type Cell = u64;

/// The spawning user's ids have no place in the child's user namespace: no file can be made as it (EOVERFLOW). What makes
/// files takes other ids first, which only memory of the child's own may.
pub fn is_late(cmd: &Cmd) -> bool {
    let [_, uid, _, _, gid, _] = identity::of_host();
    let is_in = |maps: &[Map], id: u32| namespace::inside(maps, id).is_some();
    cmd.mounts.is_asked() && cmd.has(Ns::SANDBOX_NS_USER) && !(is_in(&namespace::uids(cmd), uid) && is_in(&namespace::gids(cmd), gid))
}

/// A proc file system shows the pid namespace of whoever mounts it.
fn comes_late(cmd: &Cmd, plan: &mut Builder) -> bool {
    is_late(cmd) || plan.plan().late != 0 || (cmd.mounts.is_asked() && cmd.joined.has(Ns::SANDBOX_NS_PID))
}

pub fn assemble(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if comes_late(cmd, plan) { Ok(()) } else { compile(cmd, plan) }
}

pub fn assemble_late(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if comes_late(cmd, plan) { compile(cmd, plan) } else { Ok(()) }
}

/// As whom files are made where the spawning user may have no place: the first ids of the maps, or of a joined user
/// namespace, whose maps are not known here, the program's.
fn makers(cmd: &Cmd) -> Option<[u32; 2]> {
    let first = |maps: Vec<Map>| maps.first().map_or(0, |map| map.inside);
    if is_late(cmd) {
        return identity::ids(cmd).or_else(|| Some([first(namespace::uids(cmd)), first(namespace::gids(cmd))]));
    }
    if join::joins_user_first(cmd) { identity::ids(cmd) } else { None }
}

fn compile(cmd: &Cmd, plan: &mut Builder) -> Result<()> {
    if !cmd.has(Ns::SANDBOX_NS_MOUNT) {
        return Ok(());
    }
    let mounts = &cmd.mounts;
    let private = "the host's mounts are private here: none comes in or goes out";
    if !mounts.is_asked() {
        plan.op(ROOT, 0, Code::MountBegin, [0; 3], private);
        return Ok(());
    }
    let memories = 1 + mounts.list.iter().filter(|mount| matches!(mount.kind, Kind::Tmpfs { .. } | Kind::Overlay { .. } | Kind::Dev)).count();
    let has_files = mounts.list.iter().any(|mount| matches!(mount.kind, Kind::File { .. }));
    let tree = tree(plan, memories);
    plan.op(ROOT, 0, Code::MountBegin, [tree, 0, 0], private);
    let default = Root { directory: None, flags: 0 };
    let mut assembly = Assembly { plan, tree, has_files, seals: Vec::new(), kept: Vec::new() };
    assembly.root(mounts.root.as_ref().unwrap_or(&default), &mounts.list, cmd)
}

/// A `Tree` and room for `memories` device numbers.
fn tree(plan: &mut Builder, memories: usize) -> u64 {
    let mut bytes = Vec::new();
    for number in [-1i32, -1, 0, 0, 0, 0] {
        bytes.extend_from_slice(&number.to_ne_bytes());
    }
    bytes.resize(bytes.len() + memories * 8, 0);
    plan.data(&bytes).into()
}

fn has(flags: u64, flag: MountFlag) -> bool {
    flags & flag as u64 != 0
}

/// What to set, and what to clear because it is a choice of several.
fn attributes(flags: u64) -> (u64, u64) {
    const NOATIME: u64 = 0x10;
    const ATIME: u64 = 0x70;
    const NOSYMFOLLOW: u64 = 0x20_0000;
    let mut set = 0;
    for (bit, is_set) in [
        (RDONLY, !has(flags, MountFlag::SANDBOX_MOUNT_RW)),
        (NOSUID, !has(flags, MountFlag::SANDBOX_MOUNT_SUID)),
        (NODEV, !has(flags, MountFlag::SANDBOX_MOUNT_DEV)),
        (NOEXEC, has(flags, MountFlag::SANDBOX_MOUNT_EXEC_OFF)),
        (NOSYMFOLLOW, has(flags, MountFlag::SANDBOX_MOUNT_NOSYMFOLLOW)),
        (NOATIME, has(flags, MountFlag::SANDBOX_MOUNT_NOATIME)),
    ] {
        if is_set {
            set |= bit;
        }
    }
    (set, if set & NOATIME != 0 { ATIME } else { 0 })
}

/// What a mount leaves behind.
fn alone(flags: u64) -> &'static str {
    if has(flags, MountFlag::SANDBOX_MOUNT_NON_RECURSIVE) { ", without what is mounted below it" } else { "" }
}

/// "read-only, nosuid, nodev"
struct Shown(u64);

impl Display for Shown {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (bit, name) in [(RDONLY, "read-only"), (NOSUID, "nosuid"), (NODEV, "nodev"), (NOEXEC, "noexec"), (0x20_0000, "nosymfollow"), (0x10, "noatime")] {
            let name = if self.0 & bit != 0 { name } else if bit == RDONLY { "writable" } else { continue };
            to.write_str(comma)?;
            to.write_str(name)?;
            comma = ", ";
        }
        Ok(())
    }
}

/// " of \"/usr\"": where an fd leads by now, as far as /proc tells.
fn path_of(fd: RawFd) -> String {
    let path = fs::read_link(format!("/proc/self/fd/{fd}")).ok().and_then(|path| CString::new(path.into_os_string().into_vec()).ok());
    path.map_or_else(String::new, |path| format!(" of {}", quoted(&path)))
}

/// "\"/usr\"": a target as the caller sees it.
pub fn at(target: &CStr) -> Quoted<'_> {
    Quoted { before: "/", text: if target == c"." { c"" } else { target } }
}

pub struct Assembly<'a> {
    pub plan: &'a mut Builder,
    pub tree: u64,
    /// Whether it matters which filesystems are memory of the child's own.
    has_files: bool,
    /// Mounts that get read-only once everything is in them.
    pub seals: Vec<(Stage, usize, Cell, String)>,
    pub kept: Vec<Kept>,
}

impl Assembly<'_> {
    fn root(&mut self, root: &Root, list: &[Mount], cmd: &Cmd) -> Result<()> {
        let (set, clear) = attributes(root.flags);
        let scratch_cell = self.tree + 4;
        if let Some(directory) = &root.directory {
            // Another than a directory is refused here, by the slash, and by its name.
            let path = self.plan.string(&CString::new([directory.to_bytes(), b"/"].concat()).unwrap_or_default()).into();
            self.open(ROOT, 0, path, self.tree, root.flags, (set, clear), &format_args!("root: the host's {}, {}{}", quoted(directory), Shown(set), alone(root.flags)));
        }
        let mut sources: Vec<Cell> = Vec::new();
        let mut counts: Vec<usize> = Vec::new();
        for (index, mount) in list.iter().enumerate() {
            let before = sources.len();
            self.sources(index, mount, &mut sources)?;
            counts.push(sources.len() - before);
        }
        mount_overlay::hold(self);
        let mut sources = sources.as_slice();
        if let Some([uid, gid]) = makers(cmd) {
            self.plan.call(ROOT, 0, libc::SYS_setfsgid, &[Arg::Value(gid.into())], format_args!("files are made as group {gid}"));
            self.plan.call(ROOT, 0, libc::SYS_setfsuid, &[Arg::Value(uid.into())], format_args!("files are made as user {uid}"));
        }
        if list.iter().any(|mount| matches!(mount.kind, Kind::File { .. } | Kind::Mask | Kind::Overlay { .. })) {
            self.filesystem(ROOT, 0, &["tmpfs", "mode", "0700"], scratch_cell, NOSUID | NODEV, false, &"a tmpfs out of reach, for files, masks and overlays");
            self.attach(ROOT, 0, scratch_cell, 0, true, &"over the host's root");
        }
        if root.directory.is_none() {
            let writable = set & !RDONLY;
            self.filesystem(ROOT, 0, &["tmpfs", "mode", "0755"], self.tree, writable, true, &format_args!("root: a new tmpfs, {}", Shown(writable)));
            if set & RDONLY != 0 {
                self.seals.push((ROOT, 0, self.tree, "the root becomes read-only".to_owned()));
            }
        }
        self.attach(ROOT, 0, self.tree, 0, true, &"the new root, over the host's");
        for (index, (mount, count)) in list.iter().zip(counts).enumerate() {
            let (own, rest) = sources.split_at_checked(count).unwrap_or_default();
            self.one(index, mount, own, cmd);
            sources = rest;
        }
        for (stage, index, cell, text) in std::mem::take(&mut self.seals) {
            self.plan.op(stage, index, Code::MountSeal, [cell, RDONLY, u64::from(cell != self.tree)], text);
        }
        self.plan.op(ROOT, 0, Code::MountPivot, [self.tree, 0, 0], "into the new root (pivot_root); the host's is unmounted");
        Ok(())
    }

    pub fn cell(&mut self) -> Cell {
        self.plan.data(&(-1i32).to_ne_bytes()).into()
    }

    /// A copy of a part of the host's tree; the caller says which by the op's first argument.
    pub fn open(&mut self, stage: Stage, index: usize, path: u64, cell: Cell, flags: u64, (set, clear): (u64, u64), text: &dyn Display) {
        let mut open = OPEN_TREE_CLONE | libc::O_CLOEXEC as u64;
        if !has(flags, MountFlag::SANDBOX_MOUNT_NON_RECURSIVE) {
            open |= AT_RECURSIVE;
        }
        let left_out = if has(flags, MountFlag::SANDBOX_MOUNT_OPTIONAL) { sandbox_left_out::SANDBOX_LEFT_OUT_MOUNT.bit() } else { NONE };
        let op = self.plan.op(stage, index, Code::MountOpen, [path, cell, open], text);
        op.args = [path, cell, open, set, clear, left_out.into()];
    }

    /// `strings`: the type, then keys and values.
    pub fn filesystem(&mut self, stage: Stage, index: usize, strings: &[&str], cell: Cell, set: u64, is_memory: bool, text: &dyn Display) {
        let mut bytes = Vec::new();
        for string in strings {
            bytes.extend_from_slice(string.as_bytes());
            bytes.push(0);
        }
        bytes.push(0);
        let config = self.plan.data(&bytes).into();
        let op = self.plan.op(stage, index, Code::MountNew, [self.tree, config, cell], text);
        op.args = [self.tree, config, cell, set, u64::from(is_memory && self.has_files), 0];
    }

    /// Onto a target; what goes onto the root itself is the root from then on.
    pub fn place(&mut self, index: usize, cell: Cell, target: &CStr, text: &dyn Display) {
        if target != c"." {
            let path = self.plan.string(target).into();
            return self.attach(MOUNT, index, cell, path, false, text);
        }
        let tree = self.tree;
        self.seals.retain(|(_, _, sealed, _)| *sealed != tree); // nobody sees that root any more
        self.plan.op(MOUNT, index, Code::MountAttach, [0; 3], text).args = [tree, cell, 0, 1, 1, 0];
    }

    /// `target` 0: over the host's root.
    pub fn attach(&mut self, stage: Stage, index: usize, cell: Cell, target: u64, keeps: bool, text: &dyn Display) {
        let op = self.plan.op(stage, index, Code::MountAttach, [self.tree, cell, target], text);
        op.args = [self.tree, cell, target, keeps.into(), 0, 0];
    }

    /// A filesystem that is made and mounted at once.
    pub fn mounted(&mut self, index: usize, target: &CStr, strings: &[&str], set: u64, is_memory: bool, text: &dyn Display) {
        let cell = self.cell();
        self.filesystem(MOUNT, index, strings, cell, set, is_memory, &format_args!("{text}, {}", Shown(set)));
        let kind = strings.first().unwrap_or(&"");
        self.place(index, cell, target, &format_args!("mount the {kind} on {}", at(target)));
    }

    /// What a mount needs of the host's tree, opened while that is there.
    fn sources(&mut self, index: usize, mount: &Mount, cells: &mut Vec<Cell>) -> Result<()> {
        match &mount.kind {
            Kind::Bind { source, flags } => {
                let cell = self.cell();
                let (set, clear) = attributes(*flags);
                let alone = alone(*flags);
                let optional = if has(*flags, MountFlag::SANDBOX_MOUNT_OPTIONAL) { ", if it is there" } else { "" };
                match source {
                    Source::Path(path) => {
                        let at_path = self.plan.string(path).into();
                        self.open(MOUNT, index, at_path, cell, *flags, (set, clear),
                            &format_args!("what to bind on {}: {}, {}{alone}{optional}", at(&mount.target), quoted(path), Shown(set)));
                    }
                    Source::Fd(fd) => {
                        let slot = self.plan.slot(plan::Source::Command(fd.as_raw_fd()))?;
                        self.open(MOUNT, index, slot.into(), cell, *flags, (set, clear),
                            &format_args!("what to bind on {}: the caller's fd{}, {}{alone}{optional}", at(&mount.target), path_of(fd.as_raw_fd()), Shown(set)));
                        self.plan.set_kinds([kind::SLOT, 0, 0, 0, 0, 0]);
                    }
                }
                cells.push(cell);
            }
            Kind::Dev => for node in mount_dev::NODES {
                let cell = self.cell();
                let path = self.plan.data(format!("/dev/{node}\0").as_bytes()).into();
                self.open(MOUNT, index, path, cell, 0, (RDONLY | NOSUID | NOEXEC, 0),
                    &format_args!("what to bind on {}: the host's /dev/{node}", at(&mount.target)));
                cells.push(cell);
            },
            Kind::Overlay { lowers, upper, .. } => mount_overlay::sources(self, index, &mount.target, lowers, upper.as_ref(), cells),
            _ => {}
        }
        Ok(())
    }

    fn one(&mut self, index: usize, mount: &Mount, sources: &[Cell], cmd: &Cmd) {
        let target = &mount.target;
        match &mount.kind {
            Kind::Bind { .. } => {
                for cell in sources {
                    self.place(index, *cell, target, &format_args!("bind on {}", at(target)));
                }
            }
            Kind::Tmpfs { bytes, mode } => {
                let (size, mode) = (bytes.to_string(), format!("{mode:o}"));
                let text = if *bytes == 0 { format!("tmpfs, mode {mode}") } else { format!("tmpfs of {bytes} bytes, mode {mode}") };
                let all = ["tmpfs", "mode", mode.as_str(), "size", size.as_str()];
                let strings = if *bytes == 0 { all.get(..3) } else { Some(all.as_slice()) };
                self.mounted(index, target, strings.unwrap_or(&all), NOSUID | NODEV, true, &text);
            }
            Kind::Proc { flags } => {
                let is = |flag: ProcFlag| flags & flag as u64 != 0;
                let mut strings = vec!["proc"];
                for (flag, value) in [(ProcFlag::SANDBOX_PROC_NOACCESS, "noaccess"), (ProcFlag::SANDBOX_PROC_INVISIBLE, "invisible"), (ProcFlag::SANDBOX_PROC_PTRACEABLE, "ptraceable")] {
                    if is(flag) {
                        strings.extend(["hidepid", value]);
                    }
                }
                if is(ProcFlag::SANDBOX_PROC_SUBSET_PID) {
                    strings.extend(["subset", "pid"]);
                }
                let set = NOSUID | NODEV | NOEXEC | if is(ProcFlag::SANDBOX_PROC_RW) { 0 } else { RDONLY };
                self.mounted(index, target, &strings, set, false, &strings.join(" "));
                if is(ProcFlag::SANDBOX_PROC_COVERED) {
                    // Whether the child could write to them tells nothing: whom they obey may be a user or a namespace
                    // that comes later (the sysctls of a network namespace are its user namespace's).
                    for name in ["sys", "sysrq-trigger", "irq", "bus"] {
                        let below = CString::new([target.to_bytes(), b"/", name.as_bytes()].concat()).unwrap_or_default();
                        self.change(index, true, &below, RDONLY, &format_args!("{} becomes read-only, where it is there", at(&below)));
                    }
                }
            }
            Kind::Devpts => self.mounted(index, target, &mount_dev::DEVPTS, NOSUID | NOEXEC, false, &"devpts"),
            Kind::Remount { flags } => {
                let (set, _) = attributes(*flags);
                self.change(index, false, target, set, &format_args!("remount {}, {}", at(target), Shown(set)));
            }
            Kind::Chmod { mode } => self.make(index, 3, target, (0, 0), (*mode).into(), &format_args!("mode {mode:o} for {}", at(target))),
            Kind::Mqueue => {
                self.mounted(index, target, &["mqueue"], NOSUID | NODEV | NOEXEC, false, &"mqueue");
            }
            Kind::Dev => mount_dev::mount(self, index, target, sources),
            Kind::Overlay { lowers, upper, is_read_only } => {
                let in_user_namespace = cmd.has(Ns::SANDBOX_NS_USER);
                mount_overlay::mount(self, index, target, (lowers.len(), upper.as_ref(), *is_read_only), sources, in_user_namespace);
            }
            Kind::File { data, mode, flags } => {
                let name = self.plan.data(format!("file{index}\0").as_bytes());
                let content = self.plan.data(data).into();
                let rest = u64::from(*mode) | flags << 16 | u64::from(name) << 32;
                let how = match flags {
                    0 => "",
                    1 => ", lain over what is there",
                    3 => ", lain over what is there, writable",
                    _ => ", written into what is there",
                };
                self.make(index, 0, target, (content, data.len() as u64), rest,
                    &format_args!("file {} of {} bytes, mode {mode:o}{how}", at(target), data.len()));
            }
            Kind::Dir { mode } => self.make(index, 1, target, (0, 0), (*mode).into(), &format_args!("directory {}, mode {mode:o}", at(target))),
            Kind::Symlink { text } => {
                let content = self.plan.string(text).into();
                self.make(index, 2, target, (content, 0), 0, &format_args!("symlink {} to {}", at(target), quoted(text)));
            }
            Kind::Mask => {
                let path = self.plan.string(target).into();
                let left_out = sandbox_left_out::SANDBOX_LEFT_OUT_MASK.bit().into();
                self.plan.op(MOUNT, index, Code::MountMask, [self.tree, path, left_out], format_args!("mask {} with something empty", at(target)));
            }
        }
    }

    /// The mount at `target` takes on the attributes `set`; or what is there, if anything is, gets a mount that has them.
    fn change(&mut self, index: usize, covers: bool, target: &CStr, set: u64, text: &dyn Display) {
        let path = self.plan.string(target).into();
        self.plan.op(MOUNT, index, Code::MountRemount, [self.tree, path, set], text).args = [self.tree, path, set, covers.into(), 0, 0];
    }

    pub fn make(&mut self, index: usize, what: u64, target: &CStr, (data, length): (u64, u64), rest: u64, text: &dyn Display) {
        let path = self.plan.string(target).into();
        let op = self.plan.op(MOUNT, index, Code::MountMake, [0; 3], text);
        op.args = [self.tree, what, path, data, length, rest];
    }
}
