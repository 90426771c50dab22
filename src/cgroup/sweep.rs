//! What hosts that died left behind. A leaf is its host's for as long as its directory is locked, by an open file that
//! ends with the host: that holds across pid namespaces, where no process number could be compared.

use super::{End, Leaf, Parent, dirs, lock, open_dir, rmdir};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Of every leaf's name.
pub const PREFIX: &str = "sandbox-spawn-";

/// No spawn waits longer for others' leftovers, nor looks at more of them.
const PATIENCE: Duration = Duration::from_secs(2);
const MOST: usize = 256;

/// Removes the leaves in `parent` that nobody answers for: the empty ones, and those whose processes were to end with
/// their host. One that a caller let go lives on.
pub fn sweep(parent: &Arc<Parent>, own: &str) {
    let deadline = Instant::now() + PATIENCE;
    let found = dirs(parent.fd());
    for name in found.into_iter().filter(|name| is_a_leafs(name.to_bytes(), own)).take(MOST).take_while(|_| Instant::now() < deadline) {
        let Ok(dir) = open_dir(parent.fd(), &name) else { continue };
        if !lock(dir.as_raw_fd()) {
            continue;
        }
        let leaf = Leaf { parent: parent.clone(), name, dir, end: End::Nothing };
        if leaf.is_marked() {
            leaf.remove(deadline);
        } else {
            let _ = rmdir(parent.fd(), &leaf.name);
        }
    }
}

/// Whether this process has let a leaf go that was not empty yet: then one of its own may be nobody's too.
pub static HAS_LEFT: AtomicBool = AtomicBool::new(false);

/// Of the library's making, and not one that this process still answers for.
fn is_a_leafs(name: &[u8], own: &str) -> bool {
    let numbers = name.strip_prefix(PREFIX.as_bytes());
    numbers.is_some_and(|numbers| numbers.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')) && (HAS_LEFT.load(Relaxed) || !name.starts_with(own.as_bytes()))
}
