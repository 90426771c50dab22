//! The control group: a fresh leaf, entered at the clone, and its limits.

use crate::cmd::Cmd;
use crate::error::Result;
use crate::plan::Builder;

/// What the caller asked for.
#[derive(Clone, Debug, Default)]
pub struct Group {}

pub fn enter(_: &Cmd, _: &mut Builder) -> Result<()> {
    Ok(())
}

pub fn limit(_: &Cmd, _: &mut Builder) -> Result<()> {
    Ok(())
}
