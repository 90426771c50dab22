//! The warm pool: children set up ahead, each for one run. What a run may bring along is in `run_of`.

use crate::block::Image;
use crate::cmd::{Cmd, Stdio};
use crate::confine::pool::whole_pages;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::launch::{self, Held};
use crate::plan::Plan;
use crate::process::Child;
use crate::streams::Streams;
use std::borrow::Cow;
use std::ffi::CString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub struct Pool {
    cmd: Cmd,
    size: usize,
    /// Not another process's: a copy that fork made of this has no children.
    host: u32,
    /// By the host's identity: a child that another has set up may do more than this one.
    plans: Mutex<Option<(Host, Plans)>>,
    state: Mutex<State>,
}

#[derive(Clone)]
struct Plans {
    held: Arc<Plan>,
    run: Arc<Plan>,
}

#[derive(Default)]
struct State {
    held: Vec<Held>,
    /// Being set up right now, by any thread.
    coming: usize,
}

/// What a run's environment and arguments may take beyond the command's own, before the child has to map more.
const SPARE_ROOM: usize = 16 << 10;
/// What of that is made ready: each page costs something again when it goes.
const LIKELY_ROOM: usize = 2 << 10;

impl Pool {
    pub fn new(cmd: &Cmd, size: usize) -> Pool {
        let pool = Pool { cmd: cmd.clone(), size, host: std::process::id(), plans: Mutex::default(), state: Mutex::default() };
        // What can't be had now is told by the refill or the spawn that can't have it either.
        let _ = pool.refill();
        pool
    }

    fn plans(&self) -> Result<Plans> {
        if self.host != std::process::id() {
            return Err(Error::setup(libc::ECHILD, "a pool in a fork of the process that made it"));
        }
        if let Some(error) = self.cmd.latched() {
            return Err(error.clone());
        }
        let host = Host::now();
        let mut kept = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, plans)) = kept.as_ref().filter(|(other, _)| *other == host) {
            return Ok(plans.clone());
        }
        let held = Arc::new(Plan::compile_held(&self.cmd)?);
        let run = Arc::new(Plan::compile_run(&self.cmd, &held)?);
        let plans = Plans { held, run };
        *kept = Some((host, plans.clone()));
        Ok(plans)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_up(&self, plans: &Plans) -> Result<Held> {
        launch::refuse_privileged_host(&self.cmd)?;
        let likely = Image::new(&plans.run).length(&plans.run) + LIKELY_ROOM;
        let room = [whole_pages(likely + SPARE_ROOM), likely];
        Held::new(plans.held.clone(), room, &mut |gate, pid, pidfd| launch::at_gate(&self.cmd, gate, pid, pidfd))
    }

    /// Replaces what has ended and sets up what is missing; how many that were.
    pub fn refill(&self) -> Result<usize> {
        let plans = self.plans()?;
        let ended: Vec<Held> = self.state().held.extract_if(.., |held| held.is_lost() || !held.is_of(&plans.held)).collect();
        drop(ended);
        let mut made = 0;
        loop {
            {
                let mut state = self.state();
                if state.held.len() + state.coming >= self.size {
                    return Ok(made);
                }
                state.coming += 1;
            }
            let held = self.set_up(&plans);
            let mut state = self.state();
            state.coming -= 1;
            state.held.push(held?);
            made += 1;
        }
    }

    /// One that lives, the youngest first: what it needs is likely still in the processor's caches.
    fn take(&self, plans: &Plans) -> Option<Held> {
        loop {
            let held = self.state().held.pop()?;
            if !held.is_lost() && held.is_of(&plans.held) {
                return Some(held);
            }
        }
    }

    pub fn spawn(&self, run: Option<&Cmd>) -> Result<Child> {
        let plans = self.plans()?;
        launch::refuse_privileged_host(&self.cmd)?;
        let (cmd, plan) = match run {
            None => (Cow::Borrowed(&self.cmd), plans.run.clone()),
            Some(run) => {
                let cmd = self.run_of(run)?;
                let plan = Arc::new(Plan::compile_run(&cmd, &plans.held)?);
                (Cow::Owned(cmd), plan)
            }
        };
        let start = |held: Held| {
            let streams = Streams::prepare(&cmd).map_err(|error| launch::Lost { error, is_replaceable: false })?;
            held.run(&cmd, plan.clone(), streams, &mut |gate, pid, pidfd| launch::at_gate(&cmd, gate, pid, pidfd))
        };
        if let Some(held) = self.take(&plans) {
            match start(held) {
                Err(lost) if lost.is_replaceable => {}
                other => return other.map_err(|lost| lost.error),
            }
        }
        start(self.set_up(&plans)?).map_err(|lost| lost.error)
    }

    /// The pool's command with what `run` has of its own: program and arguments are the run's; its environment is the
    /// pool's with the run's changes; a stream, a passed fd or a directory that it does not name is the pool's.
    fn run_of(&self, run: &Cmd) -> Result<Cmd> {
        if let Some(error) = run.latched() {
            return Err(error.clone());
        }
        if let Some(setter) = run.confining {
            let what = format!("{setter} on what a pool is to run: a child set up ahead can't be changed in that any more");
            return Err(Error::setup(libc::EINVAL, what));
        }
        let mut cmd = self.cmd.clone();
        cmd.program.clone_from(&run.program);
        cmd.args.clone_from(&run.args);
        cmd.arg0.clone_from(&run.arg0);
        cmd.exec_fd.clone_from(&run.exec_fd);
        if run.env_clear {
            cmd.env_clear = true;
            cmd.env.clear();
        }
        let is_changed = |(name, _): &(CString, Option<CString>)| run.env.iter().any(|(other, _)| other == name);
        cmd.env.retain(|entry| !is_changed(entry));
        cmd.env.extend_from_slice(&run.env);
        if run.cwd.is_some() || !run.cwds.is_empty() {
            cmd.cwd.clone_from(&run.cwd);
            cmd.cwds.clone_from(&run.cwds);
        }
        let gives = |target: i32| {
            let stream = usize::try_from(target).ok().and_then(|target| run.stdio_given.get(target));
            stream == Some(&true) || run.passed.iter().any(|(_, passed)| *passed == target)
        };
        cmd.passed.retain(|(_, target)| !gives(*target));
        cmd.passed.extend_from_slice(&run.passed);
        for (target, (stream, own)) in cmd.stdio.iter_mut().zip(&run.stdio).enumerate() {
            if run.stdio_given.get(target) == Some(&true) {
                stream.clone_from(own);
            } else if gives(target as i32) {
                *stream = Stdio::Inherit; // the passed fd takes its place
            }
        }
        Ok(cmd)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.host != std::process::id() {
            std::mem::take(&mut self.state().held).into_iter().for_each(Held::forget);
        }
    }
}
