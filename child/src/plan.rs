//! The plan's format: one position-independent block that the host fills and the child interprets.
//! Offsets count from the block's first byte, so the same bytes mean the same in the host's memory and in the
//! trampoline's. Nothing here does anything.

use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};

/// What an op does. `Call` covers whatever is one system call; the others need a loop, a second look or a wait.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// One system call: `number`, `args` by their `kinds`, the result kept in `out`.
    Call = 1,
    /// Every signal to its default disposition; where `args[0]` is 1, but those that are ignored.
    ResetSignals = 2,
    /// PR_SET_PDEATHSIG `args[0]`, then the look whether the parent is still there.
    DeathSignal = 3,
    /// Stop until the host answers; `args[0]` is the `Gate`.
    Gate = 4,
    /// Move the fd in slot `args[0]` off every number of the list at offset `args[1]`, `args[2]` long.
    MoveOff = 5,
    /// Every fd from `args[0]` up becomes close-on-exec.
    CloseFrom = 6,
    /// Add `args[0]` to the personality.
    AddPersonality = 7,
    /// Force the speculation misfeature `args[0]` off, where this processor has it.
    Speculation = 8,
    /// Go on in the trampoline: its program is in slot `args[0]`, this block in slot `args[1]`.
    Enter = 9,
    /// Call the host's function `args[0]` with `args[1]` (in a copy of the host's memory only).
    Callback = 10,
    /// Stay behind as the init of what follows: the rest of the plan runs in a new process. The list of this process's
    /// children is open in slot `args[1]`, where the kernel has one to be trusted. Where `args[0]` is 1, that process
    /// is the host's child itself, and nothing stays behind. At offset `args[2]`, if there is one, are the slots that
    /// the init holds open, behind their number.
    Init = 11,
    /// execve of each of the block's paths, or of slot `args[0]`.
    Exec = 12,
    /// Fail with errno `args[0]`: an injected fault.
    Fail = 13,
    /// The fd in slot `args[0]` becomes number `args[1]`, open across exec; an empty slot keeps what is there.
    Place = 14,
    /// setsid; where `args[0]` is 0, only if the host passed a terminal in, or has one.
    Session = 15,
    /// Slot `args[0]` becomes empty.
    Forget = 16,
    /// Hold the listener in slot `args[0]` for the host to take; with SEND_LISTENER, send it through the socket.
    Handoff = 17,
    /// Into the first that can be entered of `args[1]` directories: each stands behind "PWD=", from offset `args[0]`;
    /// `args[2]` is a sum of `directory`.
    ChangeDirectory = 18,
    /// Neither a path of the program's nor that of a script's interpreter may be a magic link.
    Links = 19,
    /// What is mounted on the host stays there, and nothing mounted from here on gets there. Where `args[0]` is a
    /// `Tree`, the umask stands aside until the pivot.
    MountBegin = 38,
    /// What is to be mounted, out of the host's tree, as a mount of its own in cell `args[1]`: of the path at
    /// `args[0]`, or of what the fd in that slot holds, which is then closed. `args[2]`: open_tree's flags; 3 and 4:
    /// attributes to set and to clear; 5: the bit of `left_out` where an absent source is left out, or `NONE`.
    MountOpen = 30,
    /// A new filesystem, in cell `args[2]`: its type and its options lie at `args[1]`; `args[3]`: its attributes;
    /// `args[4]` 1: memory of the child's alone. `args[0]` is the `Tree`.
    MountNew = 31,
    /// The mount in cell `args[1]` onto the target at `args[2]`, which is made where it is not there; 0: over the
    /// host's root. `args[3]` 1: the cell keeps it. `args[4]` 1: it is the root from now on.
    MountAttach = 32,
    /// The file (0), directory (1) or symlink (2) `args[1]` at target `args[2]`: of the `args[4]` bytes at `args[3]`,
    /// with the mode in the lowest quarter of `args[5]`; a file's `data` is in the next, its name on the scratch at the
    /// offset in the upper half. 3: what is there gets the mode.
    MountMake = 33,
    /// Something empty onto the target at `args[1]`; where nothing is there bit `args[2]` of `left_out` says so.
    MountMask = 34,
    /// What holds the directories in cells `args[0]` and `args[1]`, upper and work, as a mount in cell `args[2]`; at
    /// `args[3]` is room for two paths, `PATH_ROOM` bytes each.
    MountHold = 29,
    /// An overlay in cell `args[5]`, built on the scratch in a directory; `args[4]`: its options. `args[3]`: of how many
    /// layers (`overlay`) in the cells from `args[2]`; its upper half is where the room of `MountHold` lies, 0 where
    /// nothing is kept. The names lie at `args[1]`, `LAYER_NAME` bytes each: the directory's, the layers' ("h" that of
    /// what holds upper and work), then "u" and "w" (upper and work) and "m".
    MountOverlay = 35,
    /// The attributes `args[1]` are added to the mount in cell `args[0]`; `args[2]` 1: which is let go of.
    MountSeal = 36,
    /// Into the new root; the old one goes.
    MountPivot = 37,
    /// The attributes `args[2]` are added to the mount at the target at `args[1]`; where `args[3]` is 1, to what is
    /// there, if anything is, by a mount of its own.
    MountRemount = 39,
    /// Rights `args[1]` of the Landlock ruleset in slot `args[2]` for what the path at offset `args[0]` leads to.
    LandlockPath = 45,
    /// Drop from the bounding set all but `args[0]`; with `args[1]` it may stay where the privilege is lacking.
    Bound = 40,
    /// The effective, permitted and inheritable sets become `args[0]`; of `args[1]` what is held stays until exec.
    /// `args[2]` 1: the inheritable one is empty.
    KeepCapabilities = 41,
    /// The ambient set becomes `args[0]`; where `args[1]` is 1, all that is held crosses the next exec.
    Ambient = 42,
    /// The permitted set must have capability `args[0]`.
    HoldCapability = 43,
    /// User and groups: uid, gid and `args[1]` groups at offset `args[0]`, room for as many behind them; `args[2]` is a
    /// sum of `identity`.
    Identity = 44,
    /// Where the clone did not enter the child's cgroup: stop until the host has moved it there.
    EnterCgroup = 50,
    /// Wait, holding nothing of the host's, for a run: its block comes behind this one, at offset `args[2]`. Slot
    /// `args[0]` is the socket to be woken through, slot `args[1]` this memory. Goes on at the run's first op.
    Hold = 55,
    /// Take the run's fds from the socket in slot `args[0]` into the slots that await one.
    Receive = 56,
}

/// What each name on the scratch takes, its NULs included.
pub const LAYER_NAME: u64 = 8;

/// The longest path, and what is kept before it.
pub const PATH_ROOM: u64 = 4096 + 16;

pub mod overlay {
    pub const COUNT: u64 = 0xffff;
    /// Upper and work are memory of the child's own.
    pub const IN_MEMORY: u64 = 0x1_0000;
}

/// What the file system's ops share: where the `Tree` lies, `args[0]` of each. A cell is an fd's number, or -1; the
/// device numbers of the child's own memory filesystems follow, as many as `memories` says.
#[repr(C)]
pub struct Tree {
    pub root: i32,
    /// A tmpfs out of reach, for what is made only to be mounted elsewhere.
    pub scratch: i32,
    pub umask: i32,
    pub memories: u32,
    /// How many mounts of ours lie over the host's root.
    pub over: u32,
    pub _pad: u32,
}

/// How a file comes to its place; 0: written where memory of the child's own is, lain over what is there already.
pub mod data {
    pub const MOUNT: u64 = 1;
    pub const RW: u64 = 2;
    pub const IN_PLACE: u64 = 4;
}

/// How a directory is entered.
pub mod directory {
    /// The environment then says it.
    pub const SAYS: u64 = 1;
    /// Through no magic link.
    pub const STRICT: u64 = 2;
}

/// What `Identity` does.
pub mod identity {
    pub const GROUPS: u64 = 1;
    /// Where setgroups is denied, the groups may stay: none were asked for.
    pub const GROUPS_MAY_STAY: u64 = 2;
    pub const IDS: u64 = 4;
    /// The ids are to be what they are: a change would reach the host's memory.
    pub const VERIFY_ONLY: u64 = 8;
}

/// What an argument of a `Call` is.
pub mod kind {
    pub const VALUE: u8 = 0;
    pub const OFFSET: u8 = 1;
    pub const SLOT: u8 = 2;
}

/// A slot whose fd comes through the pool's socket.
pub const AWAITED: i32 = -2;

/// No slot, no tolerated failure.
pub const NONE: u8 = u8::MAX;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    pub code: Code,
    pub stage: u32,
    pub index: u32,
    pub number: u32,
    pub kinds: [u8; 6],
    /// The slot that takes the result, or `NONE`.
    pub out: u8,
    /// The bit of `Block::left_out` that a failure for want of the feature sets instead of failing, or `NONE`.
    pub optional: u8,
    pub args: [u64; 6],
}

/// Why a child stands at the gate.
pub mod gate {
    pub const READY: u32 = 1;
    pub const PAUSED: u32 = 2;
    /// Under the caller's filter: nothing but the futex may be called.
    pub const LISTENER: u32 = 3;
    pub const TRACE: u32 = 4;
    /// The host maps the ids of the child's user namespace.
    pub const MAPS: u32 = 5;
    /// The host takes the process in another pid namespace for its child, and ends the one it had.
    pub const JOINED: u32 = 6;
    /// As MAPS, where the host has to wait for that namespace.
    pub const LATE_MAPS: u32 = 7;
    /// The host moves the child into its cgroup.
    pub const CGROUP: u32 = 10;
    /// The host writes the cgroup's limits that can kill.
    pub const LIMITS: u32 = 11;
    /// Set up ahead, and held in a pool for its run.
    pub const POOL: u32 = 12;
}

/// How far the child has come.
pub mod state {
    pub const RUNNING: u32 = 0;
    /// `failed_op` and `errno` hold.
    pub const FAILED: u32 = 1;
    /// Between the host's memory and the trampoline's.
    pub const ENTERING: u32 = 2;
    /// The host has given the spawn up: who waits at its gate ends.
    pub const GIVEN_UP: u32 = 3;
}

/// Where the trampoline maps the block: known beforehand, so that filters can name addresses in it.
pub const TRAMPOLINE_ADDRESS: usize = 0x10_0000_0000;

pub const MAGIC: u32 = 0x5342_5831;

/// Where the image's entries lie, from its first byte: the program's own, right behind the headers, and those that the
/// library enters in its own memory.
pub mod image {
    pub const START: usize = 176;
    pub const CHILD: usize = START + 32;
    pub const KEEP: usize = START + 48;
}

/// The kernel's `struct robust_list_head` with room for one entry.
#[repr(C)]
pub struct Robust {
    pub list_next: AtomicU64,
    pub futex_offset: AtomicU64,
    pub pending: AtomicU64,
    pub entry_next: AtomicU64,
}

/// The head of the block; ops, slots and data follow at the offsets it names. The host fills it before the child
/// exists; afterwards each side writes the atomics alone.
#[repr(C)]
pub struct Block {
    pub magic: u32,
    pub length: u32,
    /// The futex word on which host and child meet: see `meet`.
    pub phase: AtomicU32,
    /// The keeper thread's CLONE_CHILD_CLEARTID word: 0 once it no longer stands on its stack.
    pub keeper: AtomicU32,
    /// 1 once the child waits for its keeper to end; the keeper sleeps on it.
    pub armed: AtomicU32,
    pub state: AtomicU32,
    /// The op being run: how far a child that was killed had come.
    pub progress: AtomicU32,
    pub errno: AtomicI32,
    pub gate: AtomicU32,
    pub flags: u32,
    /// The calling thread's signal mask, for a child that keeps it.
    pub mask: u64,
    /// The options that were asked for, could be missing, and are.
    pub left_out: AtomicU64,
    /// What the clone gave: the child's pid or -errno (0: not yet), and its pidfd.
    pub clone_result: AtomicU32,
    pub clone_pidfd: AtomicI32,
    /// The init's report of its program: waitid's si_code and si_status. 0: not ended, or not known.
    pub final_code: AtomicI32,
    pub final_status: AtomicI32,
    /// getppid as the child should see it; 0 where it can't (a pid namespace of its own).
    pub parent_pid: AtomicI32,
    pub ops: u32,
    pub ops_count: u32,
    pub slots: u32,
    pub slots_count: u32,
    pub argv: u32,
    pub envp: u32,
    pub paths: u32,
    pub paths_count: u32,
    /// A pidfd of the host, or `NONE`.
    pub host_pidfd_slot: u32,
    /// The child's end of the hand-off's socket, or `NONE`.
    pub socket_slot: u32,
    /// 1 where the clone did not enter the child's cgroup.
    pub outside_cgroup: AtomicU32,
    /// The process in the joined pid namespace, as the host sees it; 0: not yet.
    pub joined_pid: AtomicU32,
    /// How far the host is with the id maps: see `maps`.
    pub maps: AtomicU32,
    /// 1: the init's program was stopped.
    pub stopped: AtomicU32,
    /// In the block of a held child: how many bytes of memory its run takes, once that lies there; 0: not yet, 1: nor
    /// yet, and the child sleeps on this word.
    pub run_length: AtomicU32,
    /// ... and how many it likely will.
    pub run_likely: u32,
    /// What the init is to do: a sum of `wish`. The host sends it SIGCONT as well.
    pub wishes: AtomicU32,
    pub robust: Robust,
}

/// `Block::wishes`. SIGCONT comes with each, to wake the init up, which does not pass that one on: its si_code is SI_QUEUE,
/// and its value `WAKE`.
pub mod wish {
    /// End the program, and then all the rest.
    pub const END: u32 = 1;
    /// Stop the program, with the SIGSTOP that would stop the init; or let it go on. The later of the two holds.
    pub const STOP: u32 = 2;
    pub const CONTINUE: u32 = 4;
    pub const WAKE: i32 = 0x5741_4b45;
}

/// `Block::maps`.
pub mod maps {
    /// The child has come to where it needs them, and sleeps.
    pub const AWAITED: u32 = 1;
    pub const WRITTEN: u32 = 2;
}

/// Where `Block::mask` lies.
pub const MASK_OFFSET: u32 = core::mem::offset_of!(Block, mask) as u32;

pub mod flag {
    /// The clone is made by a keeper thread; the child waits for the end of it.
    pub const KEEPER: u32 = 1;
    /// The child's memory is its own from the start: no CLONE_CHILD_CLEARTID, but a robust futex.
    pub const OWN_MEMORY: u32 = 2;
    /// The init was not given a pid namespace: it is a subreaper, and ends what is left itself.
    pub const SUBREAPER: u32 = 4;
    /// A terminal is among the fds passed in.
    pub const TERMINAL: u32 = 8;
    /// A filter would not let the child sleep: a busy program file is not tried again.
    pub const NO_SLEEP: u32 = 16;
    /// The host may not take the listener out of the child: the child sends it.
    pub const SEND_LISTENER: u32 = 32;
    /// The init goes on after its program's end, until no child is left to it, and passes no signals on.
    pub const LINGERS: u32 = 64;
    /// The init does not end with the host.
    pub const OUTLIVES_HOST: u32 = 128;
    /// The filters let the child close its listener once the host has it.
    pub const CLOSES_LISTENER: u32 = 256;
}

impl Block {
    fn at<T>(&self, offset: u32, index: u32) -> *mut T {
        (&raw const *self).cast::<u8>().wrapping_add(offset as usize).cast::<T>().cast_mut().wrapping_add(index as usize)
    }

    /// The address that an offset stands for in this address space.
    pub fn address(&self, offset: u64) -> usize {
        (&raw const *self) as usize + offset as usize
    }

    pub fn op(&self, index: u32) -> &Op {
        // SAFETY: the host laid `ops_count` ops at `ops`, aligned, and changes none while a child lives.
        unsafe { &*self.at::<Op>(self.ops, index) }
    }

    pub fn slot(&self, slot: u64) -> i32 {
        // SAFETY: the host laid `slots_count` numbers at `slots`; only the child touches them once it exists.
        if slot < u64::from(self.slots_count) { unsafe { *self.at::<i32>(self.slots, slot as u32) } } else { -1 }
    }

    pub fn set_slot(&self, slot: u64, fd: i32) {
        if slot < u64::from(self.slots_count) {
            // SAFETY: as in `slot`.
            unsafe { *self.at::<i32>(self.slots, slot as u32) = fd }
        }
    }

    /// A NULL-terminated array of offsets that becomes one of pointers where it lies: once, just before exec.
    ///
    /// # Safety
    /// `offset` must be such an array, not yet resolved in this address space.
    pub unsafe fn resolve(&self, offset: u32) -> *const usize {
        let array = self.at::<u64>(offset, 0);
        let mut entry = array;
        // SAFETY: the host ended the array with a zero, and an offset is never zero (the head lies there).
        unsafe {
            while *entry != 0 {
                *entry = self.address(*entry) as u64;
                entry = entry.add(1);
            }
        }
        array.cast()
    }
}
