//! sandbox-spawn: posix_spawn for sandboxes. The map of the house:
//!
//! - `capi` is the door: `extern "C"` functions that check pointers, convert, call and report;
//! - `cmd` is what the caller asked for, `options` the table of its scalar knobs, `sticky` what its setters latch;
//! - `preset` asks for much of it in one call;
//! - `plan` compiles it, with one file a kind in `confine`, into a flat list of ops: the order is one list there;
//! - `launch` clones, answers at the gate, and tells the outcome; `block`, `memory`, `streams` and `trampoline` make
//!   what one spawn needs; `host` looks at who spawns, `closed` keeps others from it meanwhile;
//! - `cgroup` makes, reads and removes the cgroup of each child, and finds where;
//! - `process` is the running child, `run` one run to its end; `notify` answers the system calls that its filter asks about;
//! - the crate `sandbox-child` is the other side: the interpreter of plans, which runs between clone and exec.
//!
//! The library prints nothing, aborts nothing and starts no thread that outlives a call. Its only state outside of
//! handles is a few spare stacks, in `memory`, and how many children are in a privileged host's memory, in `closed`.

mod block;
pub mod capi;
mod cgroup;
mod closed;
mod cmd;
mod confine;
mod diagnose;
mod error;
mod fd;
mod handoff;
mod host;
mod idmap;
mod launch;
mod memory;
mod notify;
mod options;
mod plan;
mod pool;
mod preset;
mod probe;
mod process;
mod run;
mod seccomp;
mod sticky;
mod streams;
#[doc(hidden)]
pub mod testing;
mod trampoline;
