//! Host and domain name, in a uts namespace of the child's own.

use crate::cmd::Cmd;
use crate::error::Result;
use crate::plan::Builder;

/// What the caller asked for.
#[derive(Clone, Debug, Default)]
pub struct Names {}

pub fn set(_: &Cmd, _: &mut Builder) -> Result<()> {
    Ok(())
}
