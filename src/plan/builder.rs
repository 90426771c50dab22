//! Where the parts of a command write their ops: with the data and the fds that these name.

use super::{Ahead, Plan, Role, Source};
use crate::confine::fds;
use crate::error::{Error, Result, Stage};
use sandbox_child::plan::{Block, Code, NONE, Op, kind};
use std::ffi::CStr;
use std::fmt::Display;

/// An argument of a system call.
#[derive(Clone, Copy)]
pub enum Arg {
    Value(u64),
    /// Data of the plan's, by its offset.
    Data(u32),
    /// The fd in a slot: an earlier op's result.
    Slot(u8),
    /// The same, of one that the child was given.
    Given(u16),
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Arg::Value(value.cast_unsigned())
    }
}

/// What a plan holds lists of.
///
/// # Safety
/// No padding.
pub unsafe trait Number {}
// SAFETY: a number is its bytes.
unsafe impl Number for u64 {}
// SAFETY: as above.
unsafe impl Number for u32 {}
// SAFETY: as above.
unsafe impl Number for i32 {}

/// Filters may be 32.
pub const OP_SLOTS: u8 = 48;

pub struct Builder {
    plan: Plan,
    before_border: bool,
    op_slots: u8,
    /// The slot of a file that one part opens and a later one uses.
    pub open_file: Option<u8>,
    /// The slot of the list of the init's children.
    pub children: Option<u8>,
    /// The slot of the time namespace.
    pub time: Option<u8>,
    /// The slot of the host's /proc.
    pub proc: Option<u8>,
    /// The slot of the clock offsets' file.
    pub offsets: Option<u8>,
}

impl Builder {
    pub(super) fn new(plan: Plan) -> Builder {
        let before_border = plan.role != Role::Run;
        Builder { plan, before_border, op_slots: 0, open_file: None, children: None, time: None, proc: None, offsets: None }
    }

    pub(super) fn into_plan(self) -> Plan {
        self.plan
    }

    pub fn plan(&mut self) -> &mut Plan {
        &mut self.plan
    }

    pub fn role(&self) -> Role {
        self.plan.role
    }

    /// Whether what is done ahead, or is not, belongs to this plan.
    pub fn is_due(&self, is_ahead: bool) -> bool {
        match self.plan.role {
            Role::Whole => true,
            Role::Held => is_ahead,
            Role::Run => !is_ahead,
        }
    }

    pub fn ahead(&self) -> Ahead {
        self.plan.ahead
    }

    /// True where what is being compiled runs before the child leaves its host's memory, or never leaves it.
    pub fn is_before_border(&self) -> bool {
        self.before_border
    }

    pub fn maps_ids(&mut self) {
        self.plan.maps_ids = true;
    }

    pub fn op(&mut self, stage: Stage, index: usize, code: Code, args: [u64; 3], text: impl Display) -> &mut Op {
        let [a, b, c] = args;
        self.push(Op {
            code,
            stage: stage as u32,
            index: u32::try_from(index).unwrap_or(u32::MAX),
            number: 0,
            kinds: [kind::VALUE; 6],
            out: NONE,
            optional: NONE,
            args: [a, b, c, 0, 0, 0],
        }, &text)
    }

    pub fn call(&mut self, stage: Stage, index: usize, number: i64, args: &[Arg], text: impl Display) -> &mut Op {
        let op = self.op(stage, index, Code::Call, [0; 3], text);
        op.number = u32::try_from(number).unwrap_or(u32::MAX);
        for ((kind, value), arg) in op.kinds.iter_mut().zip(&mut op.args).zip(args) {
            (*kind, *value) = match *arg {
                Arg::Value(value) => (kind::VALUE, value),
                Arg::Data(offset) => (kind::OFFSET, offset.into()),
                Arg::Slot(slot) => (kind::SLOT, slot.into()),
                Arg::Given(slot) => (kind::SLOT, slot.into()),
            };
        }
        op
    }

    /// Of the op that was made last.
    pub fn set_kinds(&mut self, kinds: [u8; 6]) {
        if let Some(op) = self.plan.ops.last_mut() {
            op.kinds = kinds;
        }
    }

    #[inline(never)]
    fn push(&mut self, op: Op, text: &dyn Display) -> &mut Op {
        self.plan.texts.push(format!("{text}"));
        let position = self.plan.ops.len();
        self.plan.ops.push(op);
        &mut self.plan.ops[position]
    }

    /// Copies `bytes` into the plan, aligned for any number, and returns their offset.
    pub fn data(&mut self, bytes: &[u8]) -> u32 {
        let data = &mut self.plan.data;
        data.resize(data.len().next_multiple_of(8), 0);
        let offset = size_of::<Block>() + data.len();
        data.extend_from_slice(bytes);
        u32::try_from(offset).unwrap_or(u32::MAX)
    }

    pub fn string(&mut self, text: &CStr) -> u32 {
        self.data(text.to_bytes_with_nul())
    }

    pub fn numbers<T: Number>(&mut self, numbers: &[T]) -> u32 {
        // SAFETY: as the trait says.
        self.data(unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) })
    }

    /// The slot of `source`, made where there is none yet.
    pub fn slot(&mut self, source: Source) -> Result<u16> {
        let slots = &mut self.plan.slots;
        if slots.len() == usize::from(NONE) {
            slots.push(Source::Op); // whose number says that there is none
        }
        let position = slots.iter().position(|slot| *slot == source).unwrap_or_else(|| {
            slots.push(source);
            slots.len() - 1
        });
        u16::try_from(position).map_err(|_| Error::setup(libc::E2BIG, "more fds than a plan has slots"))
    }

    /// One for the result of an op, which has a byte to name it: the first are theirs, however many others there are.
    pub fn op_slot(&mut self) -> Result<u8> {
        if self.op_slots < OP_SLOTS {
            self.op_slots += 1;
            return Ok(self.op_slots - 1);
        }
        let slots = &mut self.plan.slots;
        slots.push(Source::Op);
        let slot = u8::try_from(slots.len() - 1).ok().filter(|slot| *slot != NONE);
        slot.ok_or_else(|| Error::setup(libc::E2BIG, "more steps that open something than a plan has slots for"))
    }

    pub(super) fn border(&mut self, closes: bool) -> Result<()> {
        if self.plan.enters {
            // What the plan has no slot for goes with this exec: no path of the program's root leads to it.
            if self.plan.role == Role::Held || closes {
                fds::close_all(self);
            }
            let program = self.slot(Source::Trampoline)?;
            let memory = self.slot(Source::Memory)?;
            self.op(Stage::SANDBOX_STAGE_TRAMPOLINE, 0, Code::Enter, [program.into(), memory.into(), 0],
                "go on in the trampoline (execveat of a sealed memfd)");
            self.before_border = false;
        }
        Ok(())
    }
}
