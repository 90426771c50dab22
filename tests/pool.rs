//! A pool's children: at every op of both halves of their plan a fault, a death and a pause, as for any other spawn; and
//! while they are held.

mod common;

use ::sandbox_child::plan::Code;
use common::*;
use sandbox_spawn::capi::child::{sandbox_child as Child, *};
use sandbox_spawn::capi::cmd::sandbox_cmd_on_ready;
use sandbox_spawn::capi::pool::*;
use sandbox_spawn::testing::Broken;
use std::{fs, ptr, thread};

/// The commands that a pool can hold, each with the number of its ops.
fn poolable<'a>(program: &'a str, args: &'a [&'a str]) -> impl Iterator<Item = (&'static str, Wish, usize)> + 'a {
    wishes(program, args).filter_map(|(name, wish)| {
        let length = Broken::pooled(wish.as_ref()).ok()?.len();
        Some((name, wish, length))
    })
}

fn pooled(wish: &Wish) -> Broken<'_> {
    Broken::pooled(wish.as_ref()).unwrap()
}

fn ends_well(name: &str, child: *mut Child, what: &dyn std::fmt::Debug) {
    let_go(name, child);
    let end = end_of(child);
    assert!(end == 0 || name.contains("time stamp"), "{name}, {what:?}: ended with {end}");
    sandbox_child_free(child);
}

fn is_as_it_was(name: &str, what: &str, before: &Host) {
    assert!(is_childless(), "{name}, {what}: left {}", children());
    let differences = before.differences(&Host::now());
    assert!(differences.is_empty(), "{name}, {what}: the host changed: {differences:?}");
}

#[test]
fn what_a_pool_can_not_hold_is_refused_by_name() {
    alone(|| {
        let mut seen = 0;
        for (name, wish) in wishes("/bin/true", &[]) {
            if Broken::pooled(wish.as_ref()).is_ok() {
                continue;
            }
            let (pool, mut child, mut error) = (sandbox_pool_new(wish.cmd, 2), 8 as *mut Child, none());
            assert!(!pool.is_null() && is_childless());
            assert_eq!(sandbox_pool_spawn(pool, ptr::null(), &raw mut child, &raw mut error), -libc::EINVAL, "{name}");
            assert!(child.is_null() && message(&error).contains("in a pool"), "{name}: {}", message(&error));
            assert_eq!(sandbox_pool_refill(pool, &raw mut error), -libc::EINVAL, "{name}");
            sandbox_pool_free(pool);
            seen += 1;
        }
        assert!(seen >= 4, "pre_exec, and the defaults off");
    });
}

#[test]
fn every_op_of_a_pools_child_that_fails_is_reported_exactly_and_leaves_nothing() {
    alone(|| {
        be_unusual();
        let directory = Directory::new();
        let marker = directory.0.join("it-ran");
        for (name, wish, length) in poolable("/bin/touch", &[marker.to_str().unwrap()]) {
            warm_up();
            ends_well(name, pooled(&wish).spawn(&mut |_, _| ()).unwrap_or_else(|error| panic!("{name}: {error:?}")).into_handle(), &"whole");
            let _ = fs::remove_file(&marker);
            for position in 0..length {
                let mut broken = pooled(&wish);
                let (stage, index, text) = broken.op(position).map(|(stage, index, text)| (stage, index, text.to_owned())).unwrap();
                broken.fail(position, libc::EIO);
                let before = Host::now();
                let Err(seen) = broken.spawn(&mut |_, _| ()) else { panic!("{name}, op {position} ({text}): the spawn succeeded") };
                is_as_it_was(name, &text, &before);
                assert_eq!((seen.0, seen.1, seen.2), (libc::EIO, stage, index), "{name}, op {position} ({text})");
                assert!(seen.3.starts_with(&text), "{name}, op {position}: {:?} does not name {text:?}", seen.3);
                assert!(!marker.exists(), "{name}, op {position} ({text}): the program ran");
            }
        }
    });
}

#[test]
fn a_host_that_adopts_orphans_is_left_none_by_a_pools_inits() {
    extern "C" fn refuse(_: libc::pid_t, _: libc::c_int, _: *mut libc::c_void) -> libc::c_int {
        -77
    }
    alone(|| {
        become_subreaper();
        for (name, wish, length) in poolable("/bin/true", &[]).filter(|(name, ..)| name.contains("init")) {
            for position in 0..length {
                let mut broken = pooled(&wish);
                broken.fail(position, libc::EIO);
                assert!(broken.spawn(&mut |_, _| ()).is_err());
                assert!(is_childless(), "{name}, op {position} ({:?}): left {}", broken.op(position), children());
            }
            let pool = sandbox_pool_new(wish.cmd, 3);
            sandbox_pool_free(pool);
            assert!(is_childless(), "{name}, held: left {}", children());
            if name.contains("joined") {
                continue; // goes with no on_ready
            }
            let wish = wish.copy();
            assert_eq!(sandbox_cmd_on_ready(wish.cmd, Some(refuse), ptr::null_mut()), 0);
            let (pool, mut child, mut error) = (sandbox_pool_new(wish.cmd, 1), ptr::null_mut(), none());
            assert_eq!(sandbox_pool_spawn(pool, ptr::null(), &raw mut child, &raw mut error), -77, "{name}");
            assert!(is_childless(), "{name}, refused: left {}", children());
            sandbox_pool_free(pool);
        }
    });
}

/// An init's end is its program's, but no sooner.
fn end(pidfd: i32) {
    kill(pidfd);
    let mut poll = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd of ours.
    assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 10_000) }, 1);
}

#[test]
fn a_pools_child_killed_or_held_up_at_any_op_leaves_nothing_and_is_reported_there() {
    alone(|| {
        be_unusual();
        thread::scope(|scope| {
            scope.spawn(|| {
                for (name, wish, length) in poolable("/bin/true", &[]) {
                    warm_up();
                    for position in 0..length {
                        let mut broken = pooled(&wish);
                        let (stage, index, text) = broken.op(position).map(|(stage, index, text)| (stage, index, text.to_owned())).unwrap();
                        broken.pause(position);
                        let before = Host::now();
                        if text.contains("takes it for its child") {
                            continue; // the process that made it has nothing more to do
                        }
                        let Err(seen) = broken.spawn(&mut |_, pidfd| end(pidfd)) else { panic!("{name}, op {position} ({text}): the spawn succeeded") };
                        is_as_it_was(name, &text, &before);
                        assert_eq!((seen.0, seen.1, seen.2), (libc::ECANCELED, stage, index), "{name}, op {position} ({text})");

                        let mut paused = 0;
                        let child = broken.spawn(&mut |_, _| paused += 1).unwrap_or_else(|error| panic!("{name}, op {position}: {error:?}"));
                        ends_well(name, child.into_handle(), &text);
                        assert_eq!(paused, 1, "{name}, op {position}");
                        is_as_it_was(name, &text, &before);
                    }
                }
            }).join().unwrap();
        });
    });
}

/// What the first thread of a fork does, which then is no more.
fn in_a_host_that_dies(body: impl FnOnce()) {
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        0 => {
            body();
            // SAFETY: no pointers.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            unreachable!()
        }
        pid => {
            let mut status = 0;
            // SAFETY: a status of ours to fill.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            assert_eq!(status, libc::SIGKILL, "the host was to die in the middle of it");
        }
    }
}

#[test]
fn a_host_killed_at_any_op_of_a_pools_child_or_with_children_held_leaves_no_survivor() {
    alone(|| {
        become_subreaper();
        for (name, wish, length) in poolable("/bin/sleep", &["10000"]) {
            for position in 0..length {
                let mut broken = pooled(&wish);
                broken.pause(position);
                in_a_host_that_dies(|| {
                    let _ = broken.spawn(&mut |_, _| {
                        // SAFETY: no pointers.
                        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
                    });
                });
                assert!(all_end(), "{name}, op {position} ({:?}): survived its host: {}", broken.op(position), children());
            }
            in_a_host_that_dies(|| assert!(!sandbox_pool_new(wish.cmd, 3).is_null()));
            assert!(all_end(), "{name}, held: survived its host: {}", children());
        }
        // Without a signal for a host's death too: nobody else could ever use it.
        let mut wish = Wish::new("/bin/true", &[]);
        wish.set(sandbox_spawn::capi::sandbox_option::SANDBOX_OPT_DEATH_SIGNAL, 0);
        in_a_host_that_dies(|| assert!(!sandbox_pool_new(wish.cmd, 3).is_null()));
        assert!(all_end(), "no death signal, held: survived its host: {}", children());
    });
}

#[test]
fn whichever_fd_a_pools_child_can_not_have_nothing_is_left() {
    alone(|| {
        for (name, wish, _) in poolable("/bin/true", &[]) {
            let highest = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fd.ok()?.file_name().to_str()?.parse::<u64>().ok()).max().unwrap();
            let whole = rlimit(libc::RLIMIT_NOFILE as u32).0;
            let (mut refused, mut enough) = (0, 0);
            warm_up();
            for limit in 3..highest + 60 {
                let before = Host::now();
                set_rlimit(libc::RLIMIT_NOFILE as u32, limit);
                let (mut child, mut error) = (ptr::null_mut(), none());
                let pool = sandbox_pool_new(wish.cmd, 1);
                let code = sandbox_pool_spawn(pool, ptr::null(), &raw mut child, &raw mut error);
                set_rlimit(libc::RLIMIT_NOFILE as u32, whole);
                match -code {
                    0 => {
                        ends_well(name, child, &limit);
                        enough += 1;
                    }
                    libc::EMFILE | libc::EBADF | libc::EINVAL | libc::ETOOMANYREFS => refused += 1,
                    _ => panic!("{name}, limit {limit}: {code}, {}", message(&error)),
                }
                sandbox_pool_free(pool);
                is_as_it_was(name, &format!("limit {limit}"), &before);
                if enough == 4 {
                    break;
                }
            }
            assert!(refused > 0 && enough > 0, "{name}");
        }
    });
}

#[test]
fn the_plan_of_a_pools_child_has_every_step_of_a_plain_one() {
    for (name, wish, _) in poolable("/bin/true", &[]) {
        let texts = |broken: Broken| -> Vec<String> {
            (0..broken.len()).filter(|op| !matches!(broken.code(*op), Some(Code::Hold | Code::Receive))).filter_map(|op| Some(broken.op(op)?.2.to_owned())).collect()
        };
        let pooled = texts(pooled(&wish));
        for text in texts(Broken::new(wish.as_ref()).unwrap()) {
            assert!(pooled.contains(&text), "{name}: {text:?} is in no half of {pooled:?}");
        }
    }
}
