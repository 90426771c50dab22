//! Overlays. Their layers are bound beside one another on the scratch and named there by us: whatever bytes the caller's
//! paths hold, nothing in the options means anything else. Upper and work must be of one mount: what is bound is the
//! directory that holds both.

use crate::confine::mount_plan::{AT_RECURSIVE, Assembly, Cell, MOUNT, OPEN_TREE_CLONE, at};
use crate::error::quoted;
use sandbox_child::plan::{Code, LAYER_NAME, NONE};
use std::ffi::{CStr, CString};

/// What upper and work have in common, and each one's rest.
fn common<'a>(upper: &'a [u8], work: &'a [u8]) -> (&'a [u8], &'a [u8], &'a [u8]) {
    let same = upper.iter().zip(work).take_while(|(a, b)| a == b).count();
    // Up to and with the last slash; neither may be all of it.
    let end = upper.get(..same).and_then(|same| same.iter().rposition(|byte| *byte == b'/')).map_or(0, |slash| slash + 1);
    (upper.get(..end).unwrap_or(b""), upper.get(end..).unwrap_or(b""), work.get(end..).unwrap_or(b""))
}

/// Cells side by side: the lowers, then what holds upper and work.
pub fn sources(all: &mut Assembly, index: usize, target: &CStr, lowers: &[CString], upper: Option<&(CString, CString)>, cells: &mut Vec<Cell>) {
    let holder = upper.map(|(upper, work)| match common(upper.to_bytes(), work.to_bytes()).0 {
        b"" => c".".to_owned(),
        shared => CString::new(shared).unwrap_or_default(),
    });
    let first = cells.len();
    for _ in lowers.iter().chain(&holder) {
        cells.push(all.cell());
    }
    let own = cells.get(first..).unwrap_or_default();
    for (position, (path, cell)) in lowers.iter().chain(&holder).zip(own).enumerate() {
        let what = if position < lowers.len() { "layer" } else { "layer: what holds upper and work," };
        let offset = all.plan.string(path).into();
        let op = all.plan.op(MOUNT, index, Code::MountOpen, [0; 3], format_args!("{what} of the overlay on {}: {}", at(target), quoted(path)));
        op.args = [offset, *cell, OPEN_TREE_CLONE | AT_RECURSIVE | libc::O_CLOEXEC as u64, 0, 0, NONE.into()];
    }
}

/// mount(2) parts its options at commas, overlay its paths at colons; a backslash takes the meaning away.
fn escape(path: &[u8], to: &mut Vec<u8>) {
    for byte in path {
        if b",:\\".contains(byte) {
            to.push(b'\\');
        }
        to.push(*byte);
    }
}

pub fn mount(all: &mut Assembly, index: usize, target: &CStr, (lowers, upper, is_read_only): (usize, Option<&(CString, CString)>, bool), sources: &[Cell], in_user_namespace: bool) {
    let mut options = b"lowerdir=".to_vec();
    for layer in 0..lowers {
        options.extend_from_slice(if layer == 0 { b"l" } else { b":l" });
        options.extend_from_slice(layer.to_string().as_bytes());
    }
    let holder = format!("l{lowers}/");
    let (held, up, work) = upper.map_or((b"".as_slice(), b"u".as_slice(), b"w".as_slice()), |(upper, work)| {
        let (_, up, rest) = common(upper.to_bytes(), work.to_bytes());
        (holder.as_bytes(), up, rest)
    });
    for (key, path) in [(b",upperdir=", up), (b",workdir=.", work)] {
        if is_read_only {
            break;
        }
        options.extend_from_slice(key.strip_suffix(b".").unwrap_or(key));
        options.extend_from_slice(held);
        escape(path, &mut options);
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
    for layer in 0..sources.len() {
        name(b'l', Some(layer));
    }
    for letter in *b"uwm" {
        name(letter, None);
    }
    let names = all.plan.data(&bytes).into();
    let options = all.plan.data(&options).into();
    let kept = upper.map_or(if is_read_only { "refused" } else { "in memory" }.to_owned(), |(upper, _)| format!("kept in {}", quoted(upper)));
    let out = all.cell();
    let (tree, first) = (all.tree, sources.first().copied().unwrap_or(0));
    let op = all.plan.op(MOUNT, index, Code::MountOverlay, [0; 3], format_args!("overlay of {lowers} lower directories, changes {kept}"));
    op.args = [tree, names, first, sources.len() as u64, options, out];
    all.place(index, out, target, &format_args!("mount it on {}", at(target)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_and_work_are_parted_from_the_directory_that_holds_both() {
        assert_eq!(common(b"/a/upper", b"/a/work"), (&b"/a/"[..], &b"upper"[..], &b"work"[..]));
        assert_eq!(common(b"/up", b"/upper/w"), (&b"/"[..], &b"up"[..], &b"upper/w"[..]));
        assert_eq!(common(b"u", b"w"), (&b""[..], &b"u"[..], &b"w"[..]));
        assert_eq!(common(b"/a/b", b"/a/b/w"), (&b"/a/"[..], &b"b"[..], &b"b/w"[..]));
        let mut escaped = Vec::new();
        escape(b"a,b:c\\", &mut escaped);
        assert_eq!(escaped, b"a\\,b\\:c\\\\");
    }
}
