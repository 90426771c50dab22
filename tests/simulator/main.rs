//! The BPF verifier and simulator against those who decide: the kernel, which is asked to take programs and to run them
//! on calls that do nothing, and libseccomp, whose filters must do what its rules say.
//! Everything is drawn from one seed, SANDBOX_TEST_SEED or a fixed one; a failure names the seed of its case.

mod chance;
mod programs;
mod kernel;
mod decides;
mod takes;
mod foreseen;
mod rules;

use chance::*;
use kernel::*;
use libseccomp::ScmpArch;
use programs::*;
use rules::audit_arch;
use sandbox_spawn::testing::bpf::{Call, Instruction, Kind, act, returns, run, strictest, verify};
use std::io::Write;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
