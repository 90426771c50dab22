//! A pool's child, from its set-up to its one run: it is held where `plan::Role::Held` ends, and given the other half.

use super::meeting::is_stopped;
use super::{AtGate, Launch, Lost, end, flags, futex_wake};
use crate::block::{Image, Place};
use crate::cmd::Cmd;
use crate::error::{Error, Result, Stage};
use crate::fd;
use crate::handoff;
use crate::memory::Mapping;
use crate::plan::{Plan, Source};
use crate::process::Child;
use crate::streams::Streams;
use crate::trampoline;
use sandbox_child::plan::{AWAITED, TRAMPOLINE_ADDRESS, flag};
use sandbox_child::pool::NO_RUN;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex};
use std::sync::atomic::Ordering::{AcqRel, Release};
use std::time::Instant;

/// Its process is ended when this is dropped.
pub struct Held {
    process: Option<Process>,
    /// Where its run's block is to lie.
    room: Option<Mapping>,
}

struct Process {
    pid: libc::pid_t,
    pidfd: OwnedFd,
    /// Its plan's other half is another launch.
    launch: Launch,
}

impl Process {
    fn memory(&self) -> RawFd {
        self.launch.memory.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    fn map(&self, [length, likely]: [usize; 2]) -> Result<Mapping> {
        Mapping::shared_at(length, self.memory(), self.launch.plan.run_offset, likely)
    }

    /// The number that `source` has in the child too.
    fn number(&self, source: Source) -> RawFd {
        let slot = self.launch.plan.slots.iter().position(|slot| *slot == source);
        slot.map_or(-1, |slot| self.launch.block().slot(slot as u64))
    }

    fn end(self) {
        let Process { pid, pidfd, launch } = self;
        // A host that has dropped its privileges may not signal it any more: it is told as well.
        let told = &launch.block().run_length;
        told.store(NO_RUN, Release);
        futex_wake(told);
        let _ = launch.socket.as_ref().map(|socket| handoff::send(socket, &[]));
        launch.let_init_reap(pidfd.as_raw_fd());
        end(pid, pidfd.as_raw_fd());
    }
}

fn gone() -> Error {
    Error::setup(libc::ECANCELED, "a child of the pool's")
}

impl Held {
    /// Sets a child up as far as `plan` goes, with so many bytes of room for its run, and so many that it likely takes.
    pub fn new(plan: Arc<Plan>, room: [usize; 2], at_gate: AtGate) -> Result<Held> {
        let mut streams = Streams::default();
        let mut launch = Launch::prepare(plan, &mut streams, room)?;
        let (mut pid, mut pidfd) = launch.clone()?;
        let met = launch.meet(&mut pid, &mut pidfd, at_gate);
        launch.wait_for_keeper();
        launch.reopen_host();
        let met = met.and_then(|is_held| if is_held { Ok(()) } else { Err(launch.outcome(&pidfd).err().unwrap_or_else(gone)) });
        if let Err(error) = met {
            end(pid, pidfd.as_raw_fd());
            drop(pidfd);
            launch.end_unadopted();
            return Err(error);
        }
        launch._stack = None; // it has left the host's memory
        let mut held = Held { process: Some(Process { pid, pidfd, launch }), room: None };
        held.room = Some(held.process()?.map(room)?);
        Ok(held)
    }

    /// Of another process's: not ours to end.
    pub fn forget(mut self) {
        self.process = None;
    }

    fn process(&self) -> Result<&Process> {
        self.process.as_ref().ok_or_else(gone)
    }

    /// It has ended, or was stopped by somebody, and would keep its run waiting.
    pub fn is_lost(&self) -> bool {
        self.process().is_ok_and(|process| {
            let pidfd = process.pidfd.as_raw_fd();
            fd::has_ended(pidfd) || is_stopped(libc::P_PIDFD, pidfd.cast_unsigned())
        })
    }

    /// Whether it was set up by `plan`.
    pub fn is_of(&self, plan: &Arc<Plan>) -> bool {
        self.process().is_ok_and(|process| Arc::ptr_eq(&process.launch.plan, plan))
    }

    /// Hands the run over, and sees it begin.
    pub fn run(mut self, cmd: &Cmd, plan: Arc<Plan>, streams: Streams, at_gate: AtGate) -> std::result::Result<Child, Lost> {
        let started = Instant::now();
        let failed = |error| Lost { error, is_replaceable: false };
        let given = given(&plan, &streams);
        // First the message, if it is one: the child wakes up while its run is made, but takes no second one before.
        let is_early = given.len() <= handoff::MOST;
        if is_early {
            self.send(&given)?;
        }
        let mut run = self.prepare(plan, &streams).map_err(failed)?;
        if !is_early {
            self.send(&given)?;
        }
        // What comes back through it: an init's word of its program, and a listener that can't be taken.
        let takes_socket = run.plan.has_init || run.block().flags & flag::SEND_LISTENER != 0;
        let Some(Process { pid, pidfd, launch: Launch { place, socket, leaf, .. } }) = self.process.take() else { return Err(failed(gone())) };
        run.held = Some(place);
        run.leaf = leaf;
        run.socket = socket.filter(|_| takes_socket);
        run.see_through_exec(cmd, streams, (pid, pidfd), started, at_gate)
    }

    fn send(&self, fds: &[RawFd]) -> std::result::Result<(), Lost> {
        let socket = self.process.as_ref().and_then(|process| process.launch.socket.as_ref());
        let socket = socket.ok_or_else(|| Lost { error: gone(), is_replaceable: false })?;
        handoff::send(socket, fds).map_err(|errno| {
            let error = Error::new(Stage::SANDBOX_STAGE_FD, 0, errno as i32, "the fds' way to the held child");
            Lost { error, is_replaceable: self.is_lost() }
        })
    }

    /// The run's block in its place, told to the child.
    fn prepare(&mut self, plan: Arc<Plan>, streams: &Streams) -> Result<Launch> {
        let room = self.room.take();
        let process = self.process()?;
        let held = &process.launch;
        let mut image = Image::new(&plan);
        let sends_listener = plan.slots.contains(&Source::Handoff) && !handoff::may_take_fds();
        for (slot, source) in plan.slots.iter().enumerate() {
            let number = match *source {
                Source::Command(_) | Source::Stdio(_) => AWAITED,
                Source::Handoff | Source::Control => process.number(Source::Control),
                Source::Host => process.number(Source::Host),
                _ => -1,
            };
            image.set_slot(slot, number);
        }
        let length = image.length(&plan);
        let room = if let Some(room) = room.filter(|room| room.length() >= length) { room } else {
            trampoline::resize(process.memory(), held.plan.run_offset + length)?;
            process.map([length; 2])?
        };
        let place = Place::new(room, 0);
        // SAFETY: the place has room for the image, and the child does not look at it before its message comes.
        // An init is no parent that its program could know the host by: the pidfd tells instead.
        unsafe { image.place(&plan, place.address(), flags(&plan, streams, sends_listener) | flag::OWN_MEMORY, 0)? };
        let mut launch = Launch {
            base: TRAMPOLINE_ADDRESS + held.plan.run_offset,
            plan,
            place,
            _stack: None,
            stack_base: std::ptr::null_mut(),
            stack_size: 0,
            keeper: None,
            socket: None,
            listener: None,
            leaf: None,
            is_adopted: false,
            exec_is_notified: false,
            memory: None,
            held: None,
            has_met: false,
            closed: Mutex::default(),
        };
        launch.place_filters(&image)?;
        let told = &held.block().run_length;
        if told.swap(u32::try_from(length).unwrap_or(u32::MAX), AcqRel) != 0 {
            futex_wake(told);
        }
        Ok(launch)
    }
}

/// The fds that the run's slots await, in their order.
fn given(plan: &Plan, streams: &Streams) -> Vec<RawFd> {
    let given = plan.slots.iter().filter_map(|source| match *source {
        Source::Command(fd) => Some(fd),
        Source::Stdio(target) => Some(streams.child.get(target).copied().flatten().unwrap_or(target as RawFd)),
        _ => None,
    });
    given.collect()
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end();
        }
    }
}
