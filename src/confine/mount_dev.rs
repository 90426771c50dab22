//! A /dev of the child's own: the host's harmless devices, a terminal filesystem, shared memory, the usual links.

use crate::confine::mount_plan::{Assembly, Cell, MOUNT, NODEV, NOEXEC, NOSUID, at};
use std::ffi::{CStr, CString};

/// Bound from the host: a device can't be made in a user namespace.
pub const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Its type and its options: as distributions mount it.
pub const DEVPTS: [&str; 5] = ["devpts", "ptmxmode", "0666", "mode", "0620"];

const LINKS: [(&CStr, &str); 6] = [
    (c"pts/ptmx", "ptmx"),
    (c"/proc/self/fd", "fd"),
    (c"/proc/self/fd/0", "stdin"),
    (c"/proc/self/fd/1", "stdout"),
    (c"/proc/self/fd/2", "stderr"),
    (c"/proc/kcore", "core"),
];

pub fn mount(all: &mut Assembly, index: usize, target: &CStr, nodes: &[Cell]) {
    let below = |name: &str| {
        let path = [target.to_bytes(), b"/", name.as_bytes()].concat();
        CString::new(path).unwrap_or_default()
    };
    let place = all.plan.string(target).into();
    let device = all.cell();
    all.filesystem(MOUNT, index, &["tmpfs", "mode", "0755", "size", "65536"], device, NOSUID | NODEV | NOEXEC, true, &"a tmpfs for devices, nosuid, nodev, noexec");
    all.attach(MOUNT, index, device, place, true, &format_args!("mount the tmpfs for devices on {}", at(target)));
    for (node, cell) in NODES.iter().zip(nodes) {
        let target = below(node);
        let path = all.plan.string(&target).into();
        all.attach(MOUNT, index, *cell, path, false, &format_args!("bind on {}", at(&target)));
    }
    all.mounted(index, &below("pts"), &DEVPTS, NOSUID | NOEXEC, false, &"devpts");
    all.mounted(index, &below("shm"), &["tmpfs", "mode", "1777"], NOSUID | NODEV, true, &"tmpfs, mode 1777");
    for (text, name) in LINKS {
        let content = all.plan.string(text).into();
        let target = below(name);
        all.make(index, 2, &target, (content, 0), 0, &format_args!("symlink {} to {}", at(&target), crate::error::quoted(text)));
    }
    all.seals.push((MOUNT, index, device, format!("{} becomes read-only", at(target))));
}
