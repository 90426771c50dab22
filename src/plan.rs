//! The compiler's end: the one ordered list of what a child does, and the plan that follows from it.
//! A plan is immutable and holds no address: it can be spawned many times, from many threads at once.

mod builder;
mod explain;

use crate::cgroup::Home;
use crate::closed;
use crate::cmd::Cmd;
use crate::confine::{
    cgroup, cwd, death, exec, fds, filter, gate, hostname, identity, init, join, keyring, landlock, memory, mount_plan, namespace, network, oom, pool, privilege,
    process, rlimit, session, signal, stdio, trace,
};
use crate::error::{Error, Result};
use crate::memory::USUAL_STACK;
use crate::options::Opt;
use sandbox_child::plan::{Code, Op, gate as gate_of};
use std::os::fd::RawFd;

pub use builder::{Arg, Builder};
use builder::OP_SLOTS;

/// What compiles to ops, and what the child must leave its host's memory for.
pub enum Part {
    /// Runs where the child is.
    Any(fn(&Cmd, &mut Builder) -> Result<()>),
    /// The border: what follows runs in an address space of its own, if the command asks for any of it.
    OwnMemory,
    /// Where a pool's child is held: what comes before is done ahead, what comes after is the run's.
    Hold,
    /// Behind the hold, but the same for every run, and nothing that a run's own steps need: a pool's child does it in
    /// this order before it is held, where `pool::ahead` finds nothing against it.
    Ahead(fn(&Cmd, &mut Builder) -> Result<()>),
    /// Of which that is true of some ops: asked for both halves, it makes those that are due in each.
    Split(fn(&Cmd, &mut Builder) -> Result<()>),
    /// `IN_NEW`, in namespaces that the clone made.
    InCloned,
    /// The same, in those that came after others were joined.
    InLate,
}

/// What is set up in new namespaces.
const IN_NEW: &[fn(&Cmd, &mut Builder) -> Result<()>] = &[
    // Without a map a user namespace lets nothing be done.
    namespace::map,
    // With the capabilities of the new namespaces, before an exec takes them.
    network::loopback,
    namespace::time,
    hostname::set,
    namespace::close,
];

/// The order in which a child loses its privileges, with the reasons. All that needs a privilege comes before what
/// takes it away; all that needs an fd before the fds close; what could stop the child's own steps comes last.
pub const ORDER: &[Part] = &[
    // No disposition of the host's may decide what a signal does to the child.
    Part::Any(signal::reset),
    Part::Any(namespace::watch),
    // From here on a host that dies leaves nothing behind.
    Part::Any(death::arm),
    // Its limits hold from the first step on.
    Part::Any(cgroup::enter),
    Part::InCloned,
    // The host looks at a child that is confined by its namespaces and has run nothing.
    Part::Any(gate::ready),
    // The child's own file below /proc, while there is the host's /proc.
    Part::Any(oom::open),
    Part::Any(init::open_children),
    Part::Any(keyring::join),
    // The new root, while the paths of the host's lead somewhere.
    Part::Any(mount_plan::assemble),
    // The caller's function needs the host's memory (a copy of it): with an init, before that is left.
    Part::Any(exec::pre_exec_before_init),
    // The trampoline's exec would take from an ordinary user what the steps beyond it need.
    Part::Any(privilege::carry),
    Part::OwnMemory,
    Part::Any(cgroup::enter_late),
    Part::Any(namespace::open_late),
    Part::Any(oom::open_late),
    Part::Any(namespace::enter_time),
    // By a file of this process's own: entering a pid namespace makes another process, which inherits it.
    Part::Any(oom::write),
    // A namespace that others live in: from memory that holds nothing of the host's (CVE-2016-9962).
    Part::Any(join::enter),
    Part::InLate,
    Part::Any(namespace::enter_time),
    // Entering a pid namespace makes another process: the host looks at that one.
    Part::Any(join::replace),
    Part::Any(gate::ready_late),
    Part::Any(hostname::set_in_joined),
    // The new root where the spawning user has no ids in it, or a joined pid namespace is to be seen in it.
    Part::Any(mount_plan::assemble_late),
    // A limit that can kill must not meet the host's memory.
    Part::Any(cgroup::limit),
    Part::Any(memory::deny_write_execute),
    // What was set up belongs to the user namespace that the program is about to leave.
    Part::Any(namespace::nest),
    Part::Any(join::enter_last),
    // What follows is the program's alone, not its init's.
    Part::Any(init::split),
    // The bounding set needs CAP_SETPCAP, which a change of user takes away; nothing before exec looks at it.
    Part::Any(privilege::bound),
    // All that takes long is done, and nothing of any one run. What is left is cheap, or follows from the run, or may
    // have to come after what does.
    Part::Hold,
    // Before the terminal is made the session's.
    Part::Any(session::start),
    Part::Ahead(process::set),
    // Streams and passed fds, while what they are made of is open.
    Part::Any(fds::move_off),
    Part::Any(fds::close),
    Part::Any(stdio::place),
    Part::Any(fds::place),
    Part::Any(session::terminal),
    // After all that could meet a limit, before the privilege to raise one is gone.
    Part::Split(rlimit::set),
    Part::Ahead(identity::change),
    // What is kept crossed the change of user; the rest goes.
    Part::Ahead(privilege::drop),
    // As whom and with what the program runs: a directory closed to it is closed here too.
    Part::Any(cwd::change),
    Part::Any(exec::links),
    // Without no_new_privs it needs a privilege; with it, none of what comes before may be in its way.
    Part::Ahead(landlock::restrict),
    // The caller's own code, confined by all of the above.
    Part::Any(exec::pre_exec),
    // A change of identity cleared it.
    Part::Split(death::rearm),
    // The tracer sees the program's steps alone.
    Part::Any(trace::gate),
    // Pending signals arrive now, to default dispositions.
    Part::Any(signal::unblock),
    // Filters last: they may forbid any of the above. The one that notifies is the last of them.
    Part::Split(filter::load),
    Part::Any(exec::exec),
];

/// Where the fd of a slot comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The command's own, open as long as the command.
    Command(RawFd),
    /// The child's end of a standard stream, made for each spawn.
    Stdio(usize),
    /// A pidfd of the host.
    Host,
    /// The trampoline's program.
    Trampoline,
    /// The block's memory.
    Memory,
    /// An earlier op's result.
    Op,
    /// The child's end of the socket that the listener goes through where the host can't take it; mostly none.
    Handoff,
    /// The child's end of its pool's socket.
    Control,
}

/// What part of a child's life a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Whole,
    /// Up to where a pool's child is held.
    Held,
    /// From there on.
    Run,
}

/// What of a pool's command its children do before they are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    pub is_most: bool,
    /// The filters too, but the one that notifies.
    pub has_filters: bool,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub role: Role,
    /// Of both halves the same.
    pub ahead: Ahead,
    /// Of a run: the filters that its child has loaded already.
    pub loaded: Vec<filter::Loaded>,
    /// Of a held child: where the block of its run lies, counted from its own.
    pub run_offset: usize,
    pub ops: Vec<Op>,
    /// What each op does, for `explain` and for messages.
    pub texts: Vec<String>,
    /// Begins right behind the block's head.
    pub data: Vec<u8>,
    pub slots: Vec<Source>,
    pub argv: u32,
    pub exec: exec::Program,
    pub death_signal: i32,
    /// The child copies the host's memory.
    pub copies_memory: bool,
    /// The child ends in the trampoline.
    pub enters: bool,
    pub has_init: bool,
    /// The host is to write id maps.
    pub maps_ids: bool,
    /// The init goes on after its program; and after the host.
    pub lingers: bool,
    pub outlives_host: bool,
    /// CLONE_NEW* of the clone.
    pub namespaces: u64,
    /// CLONE_NEW* of those that it joins.
    pub joins: u64,
    /// CLONE_NEW* of new ones that come after those.
    pub late: u64,
    /// CLONE_NEW* of what is made in whatever way: all that was asked for.
    pub made: u64,
    /// The host could not map ids, or write to other files of a child's, in memory of its own.
    pub shut_out: bool,
    pub stack_size: usize,
    pub cgroup: Option<Home>,
    /// In the order of loading.
    pub filters: Vec<filter::Loaded>,
    /// SANDBOX_LEFT_OUT_*, as far as known before there is a child.
    pub left_out: u64,
    pub landlock_left_out: landlock::Rights,
    /// The host's user and group ids, where the plan hangs on them.
    pub host_ids: Option<[u32; 6]>,
    /// Whether it could not map a child's ids in its own memory, where the plan hangs on that.
    pub is_shut_out: Option<bool>,
}

impl Plan {
    pub fn compile(cmd: &Cmd) -> Result<Plan> {
        Self::compile_as(cmd, Role::Whole, Ahead::default())
    }

    /// What a pool's child does before it is held.
    pub fn compile_held(cmd: &Cmd) -> Result<Plan> {
        pool::check(cmd)?;
        Self::compile_as(cmd, Role::Held, pool::ahead(cmd))
    }

    /// What is left for a child that was held by `held`; it knows what that has found.
    pub fn compile_run(cmd: &Cmd, held: &Plan) -> Result<Plan> {
        let mut run = Self::compile_as(cmd, Role::Run, held.ahead)?;
        run.loaded.clone_from(&held.filters);
        run.left_out |= held.left_out;
        for (bits, before) in run.landlock_left_out.iter_mut().zip(held.landlock_left_out) {
            *bits |= before;
        }
        run.exec.needs_execute |= held.exec.needs_execute;
        Ok(run)
    }

    fn compile_as(cmd: &Cmd, role: Role, ahead: Ahead) -> Result<Plan> {
        if role != Role::Run {
            init::check(cmd)?;
            join::check(cmd)?;
        }
        let has_init = init::is_asked(cmd);
        let copies_memory = cmd.pre_exec.is_some();
        // The ids for which it was compiled: whoever else spawns it compiles it anew.
        let is_whole = role == Role::Whole;
        let host_ids = (is_whole && (identity::depends_on_host(cmd) || mount_plan::is_late(cmd))).then(identity::of_host);
        let enters_namespace = !cmd.joined.is_empty() || cmd.has(namespace::Ns::SANDBOX_NS_TIME);
        // Asked once: another thread's spawn may change the answer meanwhile.
        let shut_out = closed::is_shut_out();
        let late = namespace::late(cmd, shut_out);
        let needs_memory = || oom::is_asked(cmd) || memory::is_asked(cmd) || identity::changes(cmd) || enters_namespace || cgroup::is_lethal(cmd) || namespace::nests(cmd) || exec::trusts_no_link(cmd) || late != 0;
        let enters = has_init || !is_whole || (!copies_memory && (needs_memory() || mount_plan::is_late(cmd)));
        let plan = Plan {
            role,
            ahead,
            loaded: Vec::new(),
            run_offset: 0,
            ops: Vec::new(),
            texts: Vec::new(),
            data: Vec::new(),
            slots: vec![Source::Op; OP_SLOTS.into()],
            argv: 0,
            exec: exec::Program::default(),
            death_signal: death::signal(cmd),
            copies_memory,
            enters,
            has_init,
            maps_ids: false,
            lingers: init::lingers(cmd),
            outlives_host: init::outlives_host(cmd),
            namespaces: namespace::clone_flags(cmd, late),
            joins: cmd.joined.kinds(),
            late,
            shut_out,
            made: namespace::clone_flags(cmd, late),
            stack_size: if copies_memory { 1 << 20 } else { USUAL_STACK },
            cgroup: None,
            filters: Vec::new(),
            left_out: 0,
            landlock_left_out: [0; 4],
            host_ids,
            is_shut_out: (is_whole && (cmd.has(namespace::Ns::SANDBOX_NS_USER) || oom::is_asked(cmd))).then_some(shut_out),
        };
        let mut builder = Builder::new(plan);
        let mut is_held = false;
        for part in ORDER {
            match part {
                Part::Hold => {
                    is_held = true;
                    if role == Role::Run {
                        pool::receive(&mut builder)?;
                        gate::ready(cmd, &mut builder)?;
                    }
                }
                Part::OwnMemory if role != Role::Run => builder.border(cmd.options.is_on(Opt::SANDBOX_OPT_CLOSE_FDS))?,
                Part::Any(compile) if is_whole || is_held == (role == Role::Run) => compile(cmd, &mut builder)?,
                Part::Ahead(compile) if builder.is_due(ahead.is_most) => compile(cmd, &mut builder)?,
                Part::Split(compile) => compile(cmd, &mut builder)?,
                Part::InCloned | Part::InLate if role != Role::Run && matches!(part, Part::InLate) == (late != 0) => {
                    IN_NEW.iter().try_for_each(|compile| compile(cmd, &mut builder))?;
                }
                _ => {}
            }
        }
        if role == Role::Held {
            pool::hold(&mut builder)?;
        }
        let plan = builder.into_plan();
        if role != Role::Run && plan.made != cmd.namespaces {
            let missing = namespace::names(cmd.namespaces & !plan.made);
            return Err(Error::setup(libc::EINVAL, format_args!("a plan that makes no {missing} namespace"))); // never less than asked
        }
        Ok(plan)
    }

    /// The op's stage, index and text, as an error with `errno`.
    pub fn failure(&self, op: usize, errno: i32) -> Error {
        match (self.ops.get(op), self.texts.get(op)) {
            (Some(op), Some(text)) => Error::at(op.stage, op.index, errno, text),
            _ => Error::setup(libc::EINVAL, "a plan without an end"),
        }
    }

    pub fn has_listener(&self) -> bool {
        self.ops.iter().any(|op| op.code == Code::Handoff)
    }

    /// Its pid namespace is new.
    pub fn has_pid_namespace(&self) -> bool {
        (self.namespaces | self.late) & namespace::Ns::SANDBOX_NS_PID as u64 != 0
    }

    /// It goes on as another process than the one that was cloned.
    pub fn is_replaced(&self) -> bool {
        (self.joins | self.late) & namespace::Ns::SANDBOX_NS_PID as u64 != 0
    }

    pub fn is_traced(&self) -> bool {
        self.ops.iter().any(|op| op.code == Code::Gate && op.args.first() == Some(&gate_of::TRACE.into()))
    }
}
