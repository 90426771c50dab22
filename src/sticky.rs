//! What commands and filters have in common, whose setters are sticky: the first failure of a setter, and what was
//! compiled of all that was set. A change drops what was compiled; a failure refuses all use from then on.

use crate::error::{Error, Result};
use std::sync::{Arc, OnceLock};

#[derive(Debug)]
pub struct Sticky<T> {
    latched: Option<Error>,
    compiled: OnceLock<Arc<T>>,
}

// Not derived: what is shared need not be cloned.
impl<T> Clone for Sticky<T> {
    fn clone(&self) -> Self {
        Sticky { latched: self.latched.clone(), compiled: self.compiled.clone() }
    }
}

impl<T> Sticky<T> {
    pub const fn new() -> Self {
        Sticky { latched: None, compiled: OnceLock::new() }
    }

    pub fn latched(&self) -> Option<&Error> {
        self.latched.as_ref()
    }

    /// After each change: drops what was compiled, latches the first failure.
    // Apart from the setters' frame, which is compiled anew for each of them.
    #[inline(never)]
    pub fn changed(&mut self, result: Result<()>) -> Result<()> {
        self.compiled = OnceLock::new();
        if let Err(error) = &result {
            self.latched.get_or_insert_with(|| error.clone());
        }
        result
    }

    /// What is kept of what was compiled; or the failure.
    pub fn kept(&self) -> Result<Option<Arc<T>>> {
        match &self.latched {
            Some(error) => Err(error.clone()),
            None => Ok(self.compiled.get().cloned()),
        }
    }

    /// Keeps it until the next change, unless another is kept already.
    pub fn keep(&self, made: T) -> Arc<T> {
        let made = Arc::new(made);
        self.compiled.get_or_init(|| made.clone());
        made
    }
}
