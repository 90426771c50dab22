//! User, group and supplementary groups: changed together, and read back.

use crate::cmd::Cmd;
use crate::error::Result;
use crate::plan::Builder;

/// What the caller asked for.
#[derive(Clone, Debug, Default)]
pub struct Identity {}

pub fn change(_: &Cmd, _: &mut Builder) -> Result<()> {
    Ok(())
}
