//! Deaths at every step of a spawn: the child's leaves an error and nothing else, the host's leaves nothing at all,
//! the calling thread's changes nothing.

mod common;

use common::*;
use sandbox_spawn::capi::child::{sandbox_child_free, sandbox_child_kill, sandbox_child_wait};
use sandbox_spawn::testing::Broken;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::{fs, io::Read, ptr, thread};

/// Lives longer than any test: what is still there was not ended.
const PROGRAM: (&str, &[&str]) = ("/bin/sleep", &["10000"]);

fn broken_at(wish: &Wish, position: usize) -> Broken<'_> {
    let mut broken = Broken::new(wish.as_ref()).unwrap();
    broken.pause(position);
    broken
}

fn positions(wish: &Wish) -> usize {
    Broken::new(wish.as_ref()).unwrap().len()
}

/// The process that stands at the gate: under an init it is the init's child, in a joined pid namespace a child of this
/// process beside `pid`, which made it.
fn the_one_held(pid: libc::pid_t, is_beside: bool) -> libc::pid_t {
    let found = |path: String| fs::read_to_string(path).unwrap_or_default().split_whitespace().map(|child| child.parse().unwrap()).find(|child| *child != pid);
    let maker = if is_beside { std::process::id().cast_signed() } else { pid };
    // SAFETY: no pointers.
    let thread = if is_beside { unsafe { libc::gettid() } } else { pid };
    found(format!("/proc/{maker}/task/{thread}/children")).or_else(|| found(format!("/proc/{maker}/task/{maker}/children"))).unwrap_or(pid)
}

#[test]
fn a_pause_at_any_op_changes_nothing() {
    alone(|| {
        for (name, wish) in wishes("/bin/true", &[]) {
            for position in 0..positions(&wish) {
                let mut paused = 0;
                let child = broken_at(&wish, position).spawn(&mut |_, _| paused += 1).unwrap_or_else(|error| panic!("{name}, op {position}: {error:?}"));
                let child = child.into_handle();
                let_go(name, child);
                let end = end_of(child);
                assert!(end == 0 || name.contains("time stamp"), "{name}, op {position}: ended with {end}");
                assert_eq!(paused, 1, "{name}, op {position}");
                sandbox_child_free(child);
                assert!(is_childless(), "{name}, op {position}");
            }
        }
    });
}

fn until_ended(pidfd: i32) {
    let mut poll = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd of ours.
    assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 10_000) }, 1);
}

/// The commands whose program lives until it is killed, or its host: the loader of one that is left out reads the time
/// stamp counter, and the other may outlive its host once it runs.
fn long_lived() -> Vec<(&'static str, Wish)> {
    wishes(PROGRAM.0, PROGRAM.1).filter(|(name, _)| !name.contains("time stamp") && !name.contains("lingers")).collect()
}

/// Kills what stands before each op: by its pidfd, or, under an init, also the program beside the init.
fn kill_at_each_op(name: &str, wish: &Wish) {
    warm_up();
    for position in 0..positions(wish) {
        for is_the_held_one in [false, true] {
            let broken = broken_at(wish, position);
            let (stage, index, text) = broken.op(position).map(|(stage, index, text)| (stage, index, text.to_owned())).unwrap();
            let before = Host::now();
            // Its maker has nothing more to do there: what then becomes of it changes nothing.
            let is_beside = text.contains("takes it for its child");
            let mut kill_it = |pid, pidfd: i32| match the_one_held(pid, is_beside) {
                held if is_the_held_one && held != pid => {
                    // SAFETY: no pointers; the process stands at the gate, its number is its own.
                    assert_eq!(unsafe { libc::kill(held, libc::SIGKILL) }, 0);
                }
                _ => {
                    assert!(!(is_the_held_one && is_beside), "{name}: the one held at the gate is not found");
                    kill(pidfd);
                    until_ended(pidfd); // an init's end is its program's, but no sooner
                }
            };
            let spawned = broken.spawn(&mut kill_it);
            if is_beside && !is_the_held_one {
                let child = spawned.unwrap_or_else(|error| panic!("{name}, op {position} ({text}): {error:?}")).into_handle();
                assert_eq!(sandbox_child_kill(child, libc::SIGKILL), 0);
                sandbox_child_free(child);
                assert!(is_childless(), "{name}, op {position} ({text}): left {}", children());
                continue;
            }
            let Err(seen) = spawned else { panic!("{name}, op {position} ({text}): the spawn succeeded") };
            assert_eq!((seen.0, seen.1, seen.2), (libc::ECANCELED, stage, index), "{name}, op {position} ({text})");
            assert!(is_childless(), "{name}, op {position} ({text}): left {}", children());
            let differences = before.differences(&Host::now());
            assert!(differences.is_empty(), "{name}, op {position} ({text}): the host changed: {differences:?}");
        }
    }
}

#[test]
fn a_child_killed_at_any_op_is_reported_there_and_leaves_nothing() {
    alone(|| {
        be_unusual();
        for (name, wish) in wishes(PROGRAM.0, PROGRAM.1) {
            kill_at_each_op(name, &wish);
        }
    });
}

#[test]
fn another_threads_child_killed_at_any_op_leaves_nothing() {
    alone(|| {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                for (name, wish) in wishes(PROGRAM.0, PROGRAM.1) {
                    kill_at_each_op(name, &wish);
                }
            });
            thread.join().unwrap();
        });
    });
}

/// A host that shares nothing with this process; what it leaves becomes a child of this one, a subreaper.
fn host(body: impl FnOnce()) -> libc::pid_t {
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        0 => {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: ends this process.
            unsafe { libc::_exit(9) }
        }
        pid => pid,
    }
}

fn wait_for(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: a status of ours to fill.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

fn die() {
    // SAFETY: no pointers.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    loop {
        thread::park();
    }
}

fn host_dies_at_each_op(in_a_thread: bool) {
    become_subreaper();
    for (name, wish) in wishes(PROGRAM.0, PROGRAM.1) {
        for position in 0..positions(&wish) {
            let broken = broken_at(&wish, position);
            let spawn = || drop(broken.spawn(&mut |_, _| die()));
            let pid = host(|| if in_a_thread { thread::scope(|scope| scope.spawn(spawn).join().unwrap()) } else { spawn() });
            assert_eq!(wait_for(pid), libc::SIGKILL, "{name}, op {position}: the host was to die in the pause");
            assert!(all_end(), "{name}, op {position} ({:?}): survived its host: {}", broken.op(position), children());
        }
    }
    sweep();
}

#[test]
fn a_host_killed_at_any_op_leaves_no_survivor() {
    alone(|| host_dies_at_each_op(false));
}

#[test]
fn a_host_killed_at_any_op_of_another_threads_spawn_leaves_no_survivor() {
    alone(|| host_dies_at_each_op(true));
}

/// Numbers that look random, the same in each run with the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Spawns without end, so that the moment of death is any moment of a spawn; tells of the first on `ready`.
fn spawn_for_ever(wishes: &[(&str, Wish)], first: usize, ready: &OwnedFd) {
    let mut children = Vec::new();
    for (_, wish) in wishes.iter().cycle().skip(first) {
        children.push(wish.spawn().unwrap());
        // SAFETY: one byte of ours.
        unsafe { libc::write(ready.as_raw_fd(), c"!".as_ptr().cast(), 1) };
        if children.len() > 3 {
            sandbox_child_free(children.remove(0));
        }
    }
}

/// Where in the host the spawning thread stands.
#[derive(Clone, Copy, Debug)]
enum From {
    First,
    Second,
    /// The first thread has ended: the keeper stays.
    Last,
}

fn host_dies_at_random(from: From, rounds: usize) {
    become_subreaper();
    let seed = std::env::var("SANDBOX_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x9e37_79b9_7f4a_7c15);
    println!("{from:?}: SANDBOX_TEST_SEED={seed}");
    let mut random = Random(seed);
    let wishes = long_lived();
    for round in 0..rounds {
        let (read, write) = pipe();
        let pid = host(|| match from {
            From::First => spawn_for_ever(&wishes, round, &write),
            From::Second => thread::scope(|scope| scope.spawn(|| spawn_for_ever(&wishes, round, &write)).join().unwrap()),
            From::Last => thread::scope(|scope| {
                scope.spawn(|| {
                    while !first_thread_is_a_zombie() {
                        thread::yield_now();
                    }
                    spawn_for_ever(&wishes, round, &write);
                });
                // SAFETY: the raw call: ends this one thread, whose stack the other goes on borrowing from.
                unsafe { libc::syscall(libc::SYS_exit, 0) };
            }),
        });
        drop(write);
        let mut byte = [0];
        fs::File::from(read).read_exact(&mut byte).unwrap_or_else(|_| panic!("{from:?}, round {round}: the host could not spawn"));
        for _ in 0..random.next() % 4000 {
            std::hint::spin_loop();
        }
        thread::sleep(std::time::Duration::from_micros(random.next() % 3000));
        // SAFETY: no pointers; our own child, not yet waited for.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
        assert_eq!(wait_for(pid), libc::SIGKILL, "{from:?}, round {round}: the host ended by itself");
        assert!(all_end(), "{from:?}, round {round}, seed {seed}: survived its host: {}", children());
    }
    sweep();
}

fn first_thread_is_a_zombie() -> bool {
    let pid = std::process::id();
    fs::read_to_string(format!("/proc/self/task/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn a_host_killed_at_random_moments_leaves_no_survivor() {
    alone(|| host_dies_at_random(From::First, 200));
}

#[test]
fn a_host_killed_at_random_moments_of_another_threads_spawns_leaves_no_survivor() {
    alone(|| host_dies_at_random(From::Second, 300));
}

#[test]
fn a_host_whose_first_thread_has_ended_leaves_no_survivor() {
    alone(|| host_dies_at_random(From::Last, 100));
}

#[test]
fn a_child_outlives_the_thread_that_started_it() {
    alone(|| {
        for (name, wish) in long_lived() {
            let child = thread::scope(|scope| scope.spawn(|| wish.spawn().unwrap() as usize).join().unwrap()) as *mut _;
            // A death signal is sent when the thread's end is complete: once its number is gone.
            while fs::read_dir("/proc/self/task").unwrap().count() > 1 {
                thread::yield_now();
            }
            assert_eq!(sandbox_child_wait(child, 20, ptr::null_mut(), 0), -libc::ETIMEDOUT, "{name}: ended with its thread");
            assert_eq!(sandbox_child_kill(child, libc::SIGKILL), 0, "{name}");
            assert!(end_of(child) > 0, "{name}");
            sandbox_child_free(child);
            assert!(is_childless(), "{name}");
        }
    });
}

/// The keeper stays: for as long as the process lives that takes its child's place in a joined pid namespace.
#[test]
fn a_child_outlives_its_thread_where_the_first_thread_has_ended() {
    alone(|| {
        become_subreaper();
        for (name, wish) in long_lived().into_iter().filter(|(name, _)| *name != "traced") { // its tracer is the thread
            let pid = host(|| thread::scope(|scope| {
                let (tell, told) = std::sync::mpsc::channel();
                let wish = &wish;
                // The eldest thread but the first: what loses its parent is given to this one.
                scope.spawn(move || {
                    while !first_thread_is_a_zombie() {
                        thread::yield_now();
                    }
                    // SAFETY: no pointers.
                    let me = unsafe { libc::gettid() };
                    tell.send((wish.spawn().unwrap() as usize, me)).unwrap();
                });
                scope.spawn(move || {
                    let (child, thread) = told.recv().unwrap();
                    while fs::exists(format!("/proc/self/task/{thread}")).unwrap() {
                        thread::yield_now();
                    }
                    let waited = sandbox_child_wait(child as *mut _, 50, ptr::null_mut(), 0);
                    // SAFETY: ends this process.
                    unsafe { libc::_exit(if waited == -libc::ETIMEDOUT { 7 } else { 8 }) }
                });
                // SAFETY: the raw call: ends this one thread, whose stack the others go on borrowing from.
                unsafe { libc::syscall(libc::SYS_exit, 0) };
            }));
            assert_eq!(wait_for(pid), 7 << 8, "{name}: ended with its thread");
            assert!(all_end(), "{name}: survived its host: {}", children());
        }
    });
}

#[test]
fn a_host_that_ends_by_itself_leaves_no_survivor() {
    alone(|| {
        become_subreaper();
        for (name, wish) in long_lived() {
            let status = wait_for(host(|| {
                wish.spawn().unwrap();
            }));
            assert_eq!(status, 9 << 8, "{name}");
            assert!(all_end(), "{name}: survived its host: {}", children());
        }
    });
}

#[test]
fn a_death_signal_of_0_lets_the_child_live() {
    alone(|| {
        become_subreaper();
        let mut wish = Wish::new(PROGRAM.0, PROGRAM.1);
        wish.set(sandbox_spawn::capi::sandbox_option::SANDBOX_OPT_DEATH_SIGNAL, 0);
        let (read, write) = pipe();
        let pid = host(|| {
            let child = wish.spawn().unwrap();
            let number = sandbox_spawn::capi::child::sandbox_child_pid(child).to_ne_bytes();
            // SAFETY: four bytes of ours.
            unsafe { libc::write(write.as_raw_fd(), number.as_ptr().cast(), 4) };
        });
        drop(write);
        let mut number = [0; 4];
        fs::File::from(read).read_exact(&mut number).unwrap();
        wait_for(pid);
        let child = i32::from_ne_bytes(number);
        // SAFETY: no pointers; it is our child now.
        let pidfd = unsafe { OwnedFd::from_raw_fd(i32::try_from(libc::syscall(libc::SYS_pidfd_open, child, 0)).unwrap()) };
        let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd of ours.
        assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 50) }, 0, "ended with its host all the same");
        kill(pidfd.as_raw_fd());
        assert_eq!(wait_for(child), libc::SIGKILL);
    });
}
