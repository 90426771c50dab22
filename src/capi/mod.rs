//! The C interface: one file a noun. A function here checks its pointers, converts, calls one thing inside and reports;
//! what a person reads in the header stands here.

pub mod cgroup;
pub mod child;
pub mod cmd;
pub mod error;
pub mod filter;
mod guard;
pub mod landlock;
pub mod init;
pub mod run;
pub mod identity;
pub mod mount;
pub mod preset;
pub mod pool;
pub mod supervisor;
pub mod tree;

pub use crate::cmd::sandbox_stdio;
pub use crate::error::sandbox_stage;
pub use crate::options::{sandbox_left_out, sandbox_option, sandbox_speculation};
pub use crate::process::{sandbox_cause, sandbox_fd, sandbox_fds, sandbox_status, sandbox_status_kind};
pub use crate::preset::sandbox_preset;
pub use crate::seccomp::bpf::sandbox_syscall;
pub use crate::seccomp::filter::{sandbox_arg, sandbox_cmp, sandbox_filter_flag};
pub use crate::seccomp::preset::sandbox_deny;
pub use crate::confine::landlock::{sandbox_landlock_fs, sandbox_landlock_log, sandbox_landlock_net, sandbox_landlock_scope};
pub use crate::confine::mount::{sandbox_data, sandbox_mount, sandbox_proc};
pub use crate::confine::namespace::sandbox_ns;
pub use crate::probe::sandbox_features;
pub use crate::run::{sandbox_run_flag, sandbox_run_limit};
