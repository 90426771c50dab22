//! Overlays. Their layers are bound beside one another on the scratch and named there by us: whatever bytes the caller's
//! paths hold, nothing in the options means anything else. Upper and work must be of one mount: what is bound is the
//! directory that holds both, which the child finds.

use crate::confine::mount_plan::{Assembly, Cell, MOUNT, OPEN_TREE_CLONE, at};
use crate::error::quoted;
use sandbox_child::plan::{Code, LAYER_NAME, NONE, PATH_ROOM, overlay};
use std::ffi::{CStr, CString};

/// An overlay of which the changes stay: the cells of its upper, its work and what holds both, and the room for their paths.
pub struct Kept {
    index: usize,
    target: CString,
    cells: [Cell; 3],
    room: u64,
}

/// Cells side by side: the lowers, then what is to hold upper and work.
pub fn sources(all: &mut Assembly, index: usize, target: &CStr, lowers: &[CString], upper: Option<&(CString, CString)>, cells: &mut Vec<Cell>) {
    let first = cells.len();
    for _ in 0..lowers.len() + usize::from(upper.is_some()) {
        cells.push(all.cell());
    }
    let own = cells.get(first..).unwrap_or_default();
    for (lower, cell) in lowers.iter().zip(own) {
        // What is mounted below a layer is not seen: where a user namespace may not look behind it, the layer is named.
        open(all, index, lower, *cell, OPEN_TREE_CLONE, format_args!("layer of the overlay on {}: {}", at(target), quoted(lower)));
    }
    if let (Some((upper, work)), Some(holder)) = (upper, own.last()) {
        let cells = [all.cell(), all.cell(), *holder];
        for ((what, path), cell) in [("upper", upper), ("work", work)].into_iter().zip(cells) {
            open(all, index, path, cell, 0, format_args!("layer of the overlay on {}, its {what}: {}", at(target), quoted(path)));
        }
        let room = all.plan.data(&vec![0; PATH_ROOM as usize * 2]).into();
        all.kept.push(Kept { index, target: target.to_owned(), cells, room });
    }
}

/// A directory: by the slash anything else is refused here, and by its name.
fn open(all: &mut Assembly, index: usize, path: &CStr, cell: Cell, flags: u64, text: std::fmt::Arguments) {
    let path = all.plan.string(&CString::new([path.to_bytes(), b"/"].concat()).unwrap_or_default()).into();
    all.plan.op(MOUNT, index, Code::MountOpen, [0; 3], text).args = [path, cell, flags | libc::O_CLOEXEC as u64, 0, 0, NONE.into()];
}

/// Behind all that is opened by the caller's paths: the child's working directory is another afterwards.
pub fn hold(all: &mut Assembly) {
    for Kept { index, target, cells: [upper, work, holder], room } in &all.kept {
        let text = format_args!("layers of the overlay on {}: what holds its upper and its work", at(target)).to_string();
        all.plan.op(MOUNT, *index, Code::MountHold, [0; 3], text).args = [*upper, *work, *holder, *room, 0, 0];
    }
}

pub fn mount(all: &mut Assembly, index: usize, target: &CStr, (lowers, upper, is_read_only): (usize, Option<&(CString, CString)>, bool), sources: &[Cell], in_user_namespace: bool) {
    let mut options = b"lowerdir=".to_vec();
    for layer in 0..lowers {
        options.extend_from_slice(if layer == 0 { b"l" } else { b":l" });
        options.extend_from_slice(layer.to_string().as_bytes());
    }
    if !is_read_only {
        options.extend_from_slice(b",upperdir=u,workdir=w");
    }
    if in_user_namespace {
        options.extend_from_slice(b",userxattr");
    }
    options.push(0);
    let mut bytes = Vec::new();
    let mut name = |letter: u8, number: Option<usize>| {
        bytes.push(letter);
        if let Some(number) = number {
            bytes.extend_from_slice(number.to_string().as_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(LAYER_NAME as usize), 0);
    };
    name(b'o', Some(index));
    for layer in 0..lowers {
        name(b'l', Some(layer));
    }
    for letter in if upper.is_some() { b"huwm".as_slice() } else { b"uwm" } {
        name(*letter, None);
    }
    let names = all.plan.data(&bytes).into();
    let options = all.plan.data(&options).into();
    let (kept, memory) = match upper {
        Some((upper, work)) => (format!("kept in {}, work in {}", quoted(upper), quoted(work)), 0),
        None if is_read_only => ("refused".to_owned(), 0),
        None => ("in memory".to_owned(), overlay::IN_MEMORY),
    };
    let room = all.kept.iter().find(|kept| kept.index == index).map_or(0, |kept| kept.room);
    let what = sources.len() as u64 | memory | room << 32;
    let out = all.cell();
    let (tree, first) = (all.tree, sources.first().copied().unwrap_or(0));
    let op = all.plan.op(MOUNT, index, Code::MountOverlay, [0; 3], format_args!("overlay of {lowers} lower directories, changes {kept}"));
    op.args = [tree, names, first, what, options, out];
    all.place(index, out, target, &format_args!("mount the overlay on {}", at(target)));
}
