//! The file system: the mounts in the caller's order, the new root, and the end of the old one.

use crate::cmd::Cmd;
use crate::error::Result;
use crate::plan::Builder;

/// What the caller asked for.
#[derive(Clone, Debug, Default)]
pub struct Mounts {}

pub fn assemble(_: &Cmd, _: &mut Builder) -> Result<()> {
    Ok(())
}
