//! Seccomp filters, host side: the builder, the readers of formats that people have, the compiler and the simulator.
//! What the child does with a compiled filter is two ops of its plan: see `confine::filter`.

pub mod addresses;
pub mod bpf;
mod assemble;
pub mod compile;
pub mod constants;
pub mod filter;
pub mod generate;
mod json;
pub mod oci;
pub mod policy;
pub mod preset;
pub mod prologue;
pub mod range;
mod ways;

use crate::error::{Error, Stage};

/// A filter that can't be.
pub fn bad(errno: i32, what: impl std::fmt::Display) -> Error {
    Error::new(Stage::SANDBOX_STAGE_SECCOMP, 0, errno, what)
}

/// Words of a text as a message shows them.
pub fn quoted(text: &[u8]) -> String {
    let shown = text.get(..64).unwrap_or(text);
    format!("\"{}{}\"", shown.escape_ascii(), if shown.len() < text.len() { "…" } else { "" })
}

/// Actions, the kernel's values.
pub mod act {
    pub const KILL_PROCESS: u32 = 0x8000_0000;
    pub const KILL_THREAD: u32 = 0;
    pub const TRAP: u32 = 0x0003_0000;
    pub const ERRNO: u32 = 0x0005_0000;
    pub const NOTIFY: u32 = 0x7fc0_0000;
    pub const TRACE: u32 = 0x7ff0_0000;
    pub const LOG: u32 = 0x7ffc_0000;
    pub const ALLOW: u32 = 0x7fff_0000;
    /// The part that names the action; the rest is its data.
    pub const MASK: u32 = 0xffff_0000;

    /// The kernel's order: the lower, the more it restricts (KILL_PROCESS is negative there, so first).
    pub fn precedence(action: u32) -> i32 {
        (action & MASK).cast_signed()
    }
}
