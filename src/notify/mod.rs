//! The supervisor's side of user notification: who is asked about which system call, and the loop that asks.
//! `listener` holds the ioctls, `call` one notification and its answer, `memory` the caller's memory, `caller` what
//! /proc tells of it, `tree` its paths. No lock is held while a handler runs: handlers may be slow, nest and overlap.

mod call;
mod caller;
mod listener;
mod memory;
mod tree;

pub use call::{Answer, Notify};

use crate::seccomp::generate::audit_arch;
use crate::seccomp::filter::{is_known, number};
use libseccomp::ScmpArch;
use listener::{Listener, Next};
use nix::errno::Errno;
use std::ffi::c_int;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// What is asked of the caller's code: below 0 ends the loop. What it is given lives in an `Arc`.
pub type Handler = Arc<dyn Fn(&Notify) -> c_int + Send + Sync>;

/// What notifications share with their supervisor.
struct Shared {
    listener: Listener,
    /// Our own /proc, opened when it is first needed.
    proc: OnceLock<OwnedFd>,
}

#[derive(Default)]
struct Handlers {
    /// By AUDIT_ARCH_* and number, as a notification names its call; in their order.
    named: Vec<(u64, Handler)>,
    others: Option<Handler>,
}

pub struct Supervisor {
    shared: Arc<Shared>,
    handlers: RwLock<Handlers>,
}

impl Handlers {
    /// Where the handler for `call` stands, or would.
    fn place(&self, call: u64) -> Result<usize, usize> {
        self.named.binary_search_by_key(&call, |(named, _)| *named)
    }
}

fn key(audit: u32, number: i32) -> u64 {
    u64::from(audit) << 32 | u64::from(number.cast_unsigned())
}

/// So many calls are answered by one dispatch at most: a program that never pauses must not hold an event loop.
const BATCH: c_int = 1024;

const ARCHES: [ScmpArch; 8] = [
    ScmpArch::X8664, ScmpArch::X32, ScmpArch::X86, ScmpArch::Aarch64, ScmpArch::Arm, ScmpArch::Riscv64, ScmpArch::Ppc64Le, ScmpArch::S390X,
];

impl Supervisor {
    /// `pidfd`: the child's, watched where the kernel does not say by the listener alone that a program has ended.
    pub fn new(listener: OwnedFd, pidfd: Option<OwnedFd>) -> Result<Self, Errno> {
        let shared = Arc::new(Shared { listener: Listener::new(listener, pidfd)?, proc: OnceLock::new() });
        Ok(Supervisor { shared, handlers: RwLock::default() })
    }

    /// Sets or, with `None`, removes the handler of `syscall` on every architecture that has it; of all others where
    /// that is `None`.
    pub fn on(&self, syscall: Option<&str>, handler: Option<Handler>) -> Result<(), Errno> {
        if syscall.is_some_and(|name| !is_known(name)) {
            return Err(Errno::EINVAL);
        }
        let mut handlers = self.handlers.write().unwrap_or_else(PoisonError::into_inner);
        let Some(name) = syscall else {
            handlers.others = handler;
            return Ok(());
        };
        for arch in ARCHES {
            let (Some((audit, _)), Some(number)) = (audit_arch(arch), number(name, arch)) else { continue };
            let call = key(audit, number);
            let place = handlers.place(call);
            if let Ok(at) = place {
                handlers.named.remove(at);
            }
            if let (Ok(at) | Err(at), Some(handler)) = (place, &handler) {
                handlers.named.insert(at, (call, handler.clone()));
            }
        }
        Ok(())
    }

    pub fn fd(&self) -> RawFd {
        self.shared.listener.fd()
    }

    /// Whether the last program under the filter has ended, with nothing left to answer.
    pub fn has_ended(&self) -> Result<bool, Errno> {
        self.shared.listener.has_ended()
    }

    /// Waits for a notification, then answers all that are pending; how many. 0: the time is over, or all have ended.
    /// An error is what a handler returned, or a negative errno.
    pub fn dispatch(&self, timeout_ms: i64) -> Result<c_int, c_int> {
        let mut deadline = match timeout_ms {
            -1 => None,
            0.. => Instant::now().checked_add(Duration::from_millis(timeout_ms.unsigned_abs())),
            _ => return Err(-libc::EINVAL),
        };
        let mut answered = 0;
        while answered < BATCH && self.one(deadline)? {
            answered += 1;
            deadline = Some(Instant::now());
        }
        Ok(answered)
    }

    pub fn run(&self) -> Result<(), c_int> {
        while self.one(None)? {}
        Ok(())
    }

    /// False: none came.
    fn one(&self, deadline: Option<Instant>) -> Result<bool, c_int> {
        match self.shared.listener.next(deadline).map_err(|errno| -(errno as c_int))? {
            Next::Call(request) => self.serve(&Arc::new(Notify::new(self.shared.clone(), &request))).map(|()| true),
            Next::None => Ok(false),
        }
    }

    fn handler(&self, notify: &Notify) -> Option<Handler> {
        let handlers = self.handlers.read().unwrap_or_else(PoisonError::into_inner);
        let call = notify.call();
        match handlers.place(key(call.arch, call.nr)) {
            Ok(at) => handlers.named.get(at).map(|(_, handler)| handler.clone()),
            Err(_) => handlers.others.clone(),
        }
    }

    fn serve(&self, notify: &Arc<Notify>) -> Result<(), c_int> {
        let code = self.handler(notify).map_or(0, |handler| handler(notify));
        // A handler that passes on "the caller has gone" means no harm: that is no error.
        let is_failure = code < 0 && !(code == -libc::ESRCH && notify.has_gone());
        if !notify.is_kept() {
            notify.finish();
        }
        if is_failure { Err(code) } else { Ok(()) }
    }
}
