//! The kinds of confinement, one file each: which options it has and how they compile to ops.
//! The order in which they run is `plan::ORDER`, and nowhere else.

pub mod cgroup;
pub mod cwd;
pub mod death;
pub mod exec;
pub mod fds;
pub mod filter;
pub mod gate;
pub mod hostname;
pub mod identity;
pub mod init;
pub mod join;
pub mod keyring;
pub mod landlock;
pub mod memory;
pub mod mount;
pub mod mount_dev;
pub mod mount_overlay;
pub mod mount_plan;
pub mod namespace;
pub mod network;
pub mod oom;
pub mod pool;
pub mod privilege;
pub mod process;
pub mod rlimit;
pub mod session;
pub mod signal;
pub mod stdio;
pub mod trace;
