//! A host with capabilities is closed to tracers while a child is in its memory. That child has fewer rights than its
//! host, or is in a user namespace that every process of the host's user owns: who may trace it without the host's own
//! rights could write what is the host's. A memory that is not dumpable is open to CAP_SYS_PTRACE alone.

use crate::host;
use crate::plan::Plan;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const CAP_DAC_OVERRIDE: u64 = 1 << 1;

/// Dropped once the child has left the host's memory.
pub struct Closed(());

/// How many there are. The lock holds its owner's pid: a fork of the host finds it as it was, and takes it over.
static LOCK: AtomicU32 = AtomicU32::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);
static HOST: AtomicU32 = AtomicU32::new(0);

impl Closed {
    /// Not where the host itself, without CAP_SYS_PTRACE, must look into its child; nor where it would be kept from
    /// files of its own: those of /proc/self are then root's.
    pub fn where_needed(plan: &Plan) -> Option<Closed> {
        const CAP_SYS_PTRACE: u64 = 1 << 19;
        let [effective, permitted] = host::capabilities();
        let looks = plan.has_listener() || plan.is_looked_at();
        // SAFETY: no pointers.
        let has_files = effective & CAP_DAC_OVERRIDE != 0 || unsafe { libc::geteuid() } == 0;
        let is_needed = permitted != 0 && has_files && !plan.copies_memory && (effective & CAP_SYS_PTRACE != 0 || !looks);
        let reaches = looks || plan.maps_ids || plan.late != 0;
        is_needed.then(|| with_lock(|me| begin(me, reaches))).flatten()
    }

    /// Whether the host is not dumpable for that reason alone.
    pub fn is_host() -> bool {
        COUNT.load(Acquire) != 0 && HOST.load(Relaxed) == std::process::id()
    }
}

/// Of a child in this process's memory the files in /proc are root's, and this process may not write to them.
pub fn is_shut_out() -> bool {
    let [effective, _] = host::capabilities();
    !host::is_dumpable() && !Closed::is_host() && effective & CAP_DAC_OVERRIDE == 0
}

/// `reaches`: the host has to do with the child's files in /proc, or its memory.
fn begin(me: u32, reaches: bool) -> Option<Closed> {
    let count = COUNT.load(Relaxed);
    // A fork that was made meanwhile has the mark of its parent, and no child that would take it off.
    let is_marked = count != 0;
    if !is_marked && !host::is_dumpable() {
        return None;
    }
    host::set_dumpable(false);
    if !is_marked && !host::owns_its_files().unwrap_or(!reaches) {
        host::set_dumpable(true);
        return None;
    }
    COUNT.store(if HOST.swap(me, Relaxed) == me { count + 1 } else { 1 }, Release);
    Some(Closed(()))
}

impl Drop for Closed {
    fn drop(&mut self) {
        with_lock(|me| {
            let count = COUNT.load(Relaxed);
            if HOST.load(Relaxed) != me || count == 0 {
                return; // a fork's copy of a handle
            }
            COUNT.store(count - 1, Release);
            if count == 1 {
                host::set_dumpable(true);
            }
        });
    }
}

/// For two or three calls: nobody sleeps here.
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
