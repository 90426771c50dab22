//! A host with all capabilities that matter is closed to tracers while a child is in its memory. That child has fewer
//! rights than its host, or is in a user namespace that every process of the host's user owns: who may trace it without
//! the host's own rights could write what is the host's. A memory that is not dumpable is open to CAP_SYS_PTRACE alone; so
//! a host that lacks that, and has to look into its own children, stays as it is.

use crate::confine::identity;
use crate::host;
use crate::plan::Plan;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_SYS_PTRACE: u64 = 1 << 19;

/// Dropped once the child has left the host's memory.
pub struct Closed(());

/// How many there are, in which process. The lock holds its owner's pid: a fork of the host finds it as it was, and takes
/// it over.
static LOCK: AtomicU32 = AtomicU32::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);
static HOST: AtomicU32 = AtomicU32::new(0);
/// Who the host was when the first began: if it has changed since, the kernel has closed it for good.
static WHO: [AtomicU32; 8] = [const { AtomicU32::new(0) }; 8];

/// Its ids and permitted capabilities.
fn who() -> [u32; 8] {
    let [_, permitted] = host::capabilities();
    let [a, b, c, d, e, f] = identity::of_host();
    [a, b, c, d, e, f, permitted as u32, (permitted >> 32) as u32]
}

impl Closed {
    pub fn where_needed(plan: &Plan) -> Option<Closed> {
        let [effective, _] = host::capabilities();
        const BOTH: u64 = CAP_SYS_PTRACE | CAP_DAC_OVERRIDE;
        let is_needed = effective & BOTH == BOTH && !plan.copies_memory;
        is_needed.then(|| with_lock(begin)).flatten()
    }
}

/// Whether others than CAP_SYS_PTRACE's may look into a child in this memory: the host itself, if it lacks that.
pub fn is_open() -> bool {
    let [effective, _] = host::capabilities();
    with_lock(|me| host::is_dumpable() || (is_ours(me) && effective & CAP_SYS_PTRACE != 0))
}

/// Of a child in this process's memory the files in /proc are root's, and this process may not write to them.
pub fn is_shut_out() -> bool {
    let [effective, _] = host::capabilities();
    effective & CAP_DAC_OVERRIDE == 0 && with_lock(|me| !host::is_dumpable() && !is_ours(me))
}

fn is_ours(me: u32) -> bool {
    COUNT.load(Acquire) != 0 && HOST.load(Relaxed) == me
}

fn begin(me: u32) -> Option<Closed> {
    let count = if HOST.swap(me, Relaxed) == me { COUNT.load(Relaxed) } else { 0 };
    if count == 0 {
        COUNT.store(0, Release);
        if !host::is_dumpable() {
            return None;
        }
        host::set_dumpable(false);
        // A user namespace that this process has made for itself is not the one that its memory belongs to.
        if !host::owns_its_files() {
            host::set_dumpable(true);
            return None;
        }
        WHO.iter().zip(who()).for_each(|(place, number)| place.store(number, Relaxed));
    }
    COUNT.store(count + 1, Release);
    Some(Closed(()))
}

impl Drop for Closed {
    fn drop(&mut self) {
        with_lock(|me| {
            if !is_ours(me) {
                return; // a fork's copy of a handle
            }
            let count = COUNT.load(Relaxed);
            if count == 1 && WHO.iter().zip(who()).all(|(then, now)| then.load(Relaxed) == now) {
                host::set_dumpable(true);
            }
            COUNT.store(count - 1, Release);
        });
    }
}

/// For a few calls: nobody sleeps here.
fn with_lock<T>(body: impl FnOnce(u32) -> T) -> T {
    let me = std::process::id();
    loop {
        match LOCK.compare_exchange(0, me, Acquire, Relaxed) {
            Ok(_) => break,
            Err(owner) if owner != me && LOCK.compare_exchange(owner, me, Acquire, Relaxed).is_ok() => break,
            Err(_) => std::thread::yield_now(),
        }
    }
    let result = body(me);
    LOCK.store(0, Release);
    result
}
