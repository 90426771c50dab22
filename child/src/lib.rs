//! The child: a tiny interpreter of plans, between clone and exec.
//!
//! The library holds it as one image, which it enters in two ways: on a stack of the child's own in memory shared with
//! the host, and as the trampoline, a static program that finishes a plan in an address space of its own. What host and
//! child share, the plan's format above all, is linked into the library as well.
//! Because it shares memory and thread-local storage with the host it makes raw system calls only: no libc, no
//! allocation, no lock, no panic, no formatting. It reads the plan and writes the one block it is given.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "arch/aarch64.rs")]
pub mod arch;

pub mod close;
pub mod credentials;
pub mod init;
pub mod keeper;
pub mod meet;
pub mod mount;
pub mod path;
pub mod plan;
pub mod pool;
pub mod run;
pub mod sys;
