//! Namespaces that exist already, entered by fd.

use crate::cmd::Cmd;
use crate::error::Result;
use crate::plan::Builder;

/// What the caller asked for.
#[derive(Clone, Debug, Default)]
pub struct Joined {}

impl Joined {
    pub fn is_empty(&self) -> bool {
        true
    }
}

pub fn enter(_: &Cmd, _: &mut Builder) -> Result<()> {
    Ok(())
}
