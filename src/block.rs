//! The block of one spawn: the plan's bytes with what this spawn adds (environment, fd numbers), laid into memory that
//! host and child share.

use crate::confine::filter::Loaded;
use crate::error::{Error, Result, Stage};
use crate::memory::Mapping;
use crate::plan::{Plan, Role, Source};
use crate::seccomp::act;
use crate::seccomp::bpf::{self, LONGEST};
use crate::seccomp::prologue::{self, Step};
use sandbox_child::meet;
use sandbox_child::plan::{Block, MAGIC, NONE, Op, flag};
use std::mem::offset_of;
use std::os::fd::RawFd;

/// The block's bytes, before they have a place. Offsets in it count from its first byte.
pub struct Image {
    bytes: Vec<u8>,
    ops: usize,
    slots: usize,
    envp: usize,
    paths: usize,
    paths_count: usize,
}

/// What a command's filters make of the steps that the child still has to take under them.
#[derive(Clone, Copy, Debug)]
pub struct ExecUnderFilters {
    /// Their answer to execve.
    pub action: u32,
    /// Which of the caller's filters gives it.
    pub culprit: usize,
    pub may_sleep: bool,
    pub may_send: bool,
}

const HEAD: usize = size_of::<Block>();

fn align(bytes: &mut Vec<u8>) -> usize {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.len()
}

impl Image {
    /// Everything but the slots' numbers.
    pub fn new(plan: &Plan) -> Image {
        let environment = plan.exec.environment();
        let paths = plan.exec.paths(&environment);
        let arrays = (environment.len() + paths.len() + 2) * 8;
        let ops_size = size_of_val(plan.ops.as_slice());
        let total = HEAD + plan.data.len() + ops_size + plan.slots.len() * 4 + arrays + environment.bytes.len() + paths.bytes.len() + 32;
        let mut bytes = Vec::with_capacity(total);
        bytes.resize(HEAD, 0);
        bytes.extend_from_slice(&plan.data);
        let ops = align(&mut bytes);
        // SAFETY: ops are plain numbers without padding, as the assertion below says.
        bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(plan.ops.as_ptr().cast(), ops_size) });
        let slots = align(&mut bytes);
        bytes.resize(slots + plan.slots.len() * 4, 0xff);
        let envp = align(&mut bytes);
        let strings = envp + arrays;
        for offset in environment.offsets(strings) {
            bytes.extend_from_slice(&offset.to_ne_bytes());
        }
        let paths_at = bytes.len();
        for offset in paths.offsets(strings + environment.bytes.len()) {
            bytes.extend_from_slice(&offset.to_ne_bytes());
        }
        bytes.extend_from_slice(&environment.bytes);
        bytes.extend_from_slice(&paths.bytes);
        Image { bytes, ops, slots, envp, paths: paths_at, paths_count: paths.len() }
    }

    /// With room for every filter and its prologue; what is not written costs nothing.
    pub fn length(&self, plan: &Plan) -> usize {
        let each = |filter: &Loaded| (filter.program.instructions.len() + prologue::longest(plan.filters.len() + 2)) * 8;
        self.bytes.len().next_multiple_of(8) + plan.filters.iter().map(each).sum::<usize>()
    }

    /// The addresses that execve will be called with, in a child whose block lies at `base`.
    fn exec_step(&self, plan: &Plan, base: u64) -> Step {
        let strings = |array: usize| base + array as u64;
        let first_path = self.bytes.get(self.paths..self.paths + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes);
        match plan.exec.name {
            Some(_) => Step::other(libc::SYS_execve, [base + first_path, base + u64::from(plan.argv), strings(self.envp)]),
            None => Step::other(libc::SYS_execveat, [3, base, base + u64::from(plan.argv)]),
        }
    }

    /// Lays the filters behind the block that was placed at `address`, which the child sees at `base`, each with the
    /// prologue it needs; and tells what they answer to the child's own exec.
    ///
    /// # Safety
    /// As for `place`, after it.
    pub unsafe fn place_filters(&self, plan: &Plan, address: *mut u8, base: u64) -> Result<ExecUnderFilters> {
        let word = base + offset_of!(Block, phase) as u64;
        // The wait is for the host to take the listener; the wake also tells it of an exec that failed.
        let wait = plan.slots.contains(&Source::Handoff).then(|| Step::futex(word, libc::FUTEX_WAIT));
        let futexes = wait.into_iter().chain([Step::futex(word, libc::FUTEX_WAKE)]);
        // In the order in which each filter meets them: the loads of those behind it, then the futexes.
        let loads = plan.filters.iter().map(|filter| Step::load(filter.flags, base + u64::from(filter.fprog)));
        let steps: Vec<Step> = loads.chain(futexes).collect();
        let mut at = self.bytes.len().next_multiple_of(8);
        let mut opened: Vec<Step> = Vec::new();
        // Mostly none does: then nothing need be asked of them at each spawn.
        let may_hinder = plan.filters.iter().any(|filter| filter.program.may_hinder());
        for (position, filter) in plan.filters.iter().enumerate() {
            let original = &filter.program.instructions;
            let needed = steps.get(position + 1..).unwrap_or(&[]);
            let later = steps.get(position + 1..plan.filters.len()).unwrap_or(&[]);
            let is_last = later.is_empty();
            let mut changed = None;
            if may_hinder {
                changed = prologue::prepend(original, needed, if is_last { &opened } else { &[] });
                opened.extend(later.iter().filter(|step| !step.passes(original)));
            }
            let instructions = changed.as_ref().unwrap_or(original);
            let length = u16::try_from(instructions.len()).ok().filter(|length| usize::from(*length) <= LONGEST).ok_or_else(|| {
                Error::new(Stage::SANDBOX_STAGE_SECCOMP, filter.index, libc::E2BIG, format_args!("a filter of {} instructions with the library's own steps, the most is {LONGEST}", instructions.len()))
            })?;
            // In memory of the host's, or a copy of it, an unchanged program is read where it is.
            let pointer = if changed.is_none() && !plan.enters {
                original.as_ptr() as u64
            } else {
                // SAFETY: the caller's; `length` left room.
                unsafe { std::ptr::copy_nonoverlapping(instructions.as_ptr().cast::<u8>(), address.add(at), instructions.len() * 8) };
                base + at as u64
            };
            at += instructions.len() * 8;
            // SAFETY: the plan's data holds 16 bytes for a struct sock_fprog there.
            unsafe {
                address.add(filter.fprog as usize).cast::<u16>().write(length);
                address.add(filter.fprog as usize + 8).cast::<u64>().write(pointer);
            }
        }
        Ok(if may_hinder { self.under_filters(plan, base) } else { ExecUnderFilters { action: act::ALLOW, culprit: 0, may_sleep: true, may_send: true } })
    }

    fn under_filters(&self, plan: &Plan, base: u64) -> ExecUnderFilters {
        let programs = || plan.filters.iter().map(|filter| filter.program.instructions.as_slice());
        let strictest = |step: Step| bpf::strictest(programs().map(|program| step.action(program)));
        let exec = strictest(self.exec_step(plan, base));
        let sleep = Step::other(libc::SYS_nanosleep, [base, 0, 0]);
        ExecUnderFilters {
            action: exec,
            culprit: plan.filters.iter().find(|filter| self.exec_step(plan, base).action(&filter.program.instructions) == exec).map_or(0, |filter| filter.index),
            may_sleep: programs().all(|program| sleep.passes(program)),
            may_send: programs().all(|program| Step::other(libc::SYS_sendmsg, [3, base, libc::MSG_NOSIGNAL as u64]).passes(program)),
        }
    }

    pub fn set_slot(&mut self, slot: usize, fd: RawFd) {
        let at = self.slots + slot * 4;
        if let Some(place) = self.bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&fd.to_ne_bytes());
        }
    }

    /// Lays the bytes at `address` and fills the head.
    ///
    /// # Safety
    /// `length()` bytes at `address`, aligned to 8, must be ours alone.
    pub unsafe fn place(&self, plan: &Plan, address: *mut u8, flags: u32, host: libc::pid_t) -> Result<()> {
        let number = |value: usize| u32::try_from(value).map_err(|_| Error::setup(libc::E2BIG, "the plan"));
        let slot_of = |source: Source| plan.slots.iter().position(|slot| *slot == source).unwrap_or(NONE.into());
        // SAFETY: the caller's; a Block of zeros is a valid one.
        unsafe {
            std::ptr::copy_nonoverlapping(self.bytes.as_ptr(), address, self.bytes.len());
            let head = &mut *address.cast::<Block>();
            head.magic = MAGIC;
            head.length = number(self.bytes.len())?;
            head.flags = flags;
            *head.parent_pid.get_mut() = host;
            head.ops = number(self.ops)?;
            head.ops_count = number(plan.ops.len())?;
            head.slots = number(self.slots)?;
            head.slots_count = number(plan.slots.len())?;
            head.argv = plan.argv;
            head.envp = number(self.envp)?;
            head.paths = number(self.paths)?;
            head.paths_count = number(self.paths_count)?;
            head.host_pidfd_slot = number(slot_of(Source::Host))?;
            head.socket_slot = number(slot_of(if plan.role == Role::Held { Source::Control } else { Source::Handoff }))?;
            *head.phase.get_mut() = if flags & flag::OWN_MEMORY == 0 { meet::RUNNING | meet::SHARED } else { meet::UNBORN };
        }
        Ok(())
    }
}

const _: () = assert!(size_of::<Op>() == 72 && offset_of!(Op, args) == 24);

/// Where the block lies: in a stack's mapping or in one of its own.
pub struct Place {
    mapping: Mapping,
    offset: usize,
}

impl Place {
    pub fn new(mapping: Mapping, offset: usize) -> Place {
        Place { mapping, offset }
    }

    pub fn address(&self) -> *mut u8 {
        self.mapping.at(self.offset)
    }

    pub fn block(&self) -> &Block {
        // SAFETY: filled by `Image::place`; from then on only its atomics are written, by either side.
        unsafe { &*self.address().cast::<Block>() }
    }

    pub fn set_mask(&mut self, mask: u64) {
        // SAFETY: no child exists yet.
        unsafe { (*self.address().cast::<Block>()).mask = mask };
    }

    pub fn set_likely(&mut self, length: u32) {
        // SAFETY: no child exists yet.
        unsafe { (*self.address().cast::<Block>()).run_likely = length };
    }

    pub fn add_flag(&mut self, flag: u32) {
        // SAFETY: no child exists yet.
        unsafe { (*self.address().cast::<Block>()).flags |= flag };
    }
}
