//! For every op that a plan can hold: where it fails, exactly that is reported, nothing was executed, nothing is left,
//! and the host is what it was.

mod common;

use common::*;
use ::sandbox_child::plan::Code;
use sandbox_spawn::capi::child::{sandbox_child_free, sandbox_child_wait};
use sandbox_spawn::capi::cmd::*;
use sandbox_spawn::testing::Broken;
use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, ptr};

/// ENOSYS and EPERM are what an option that may be missing is excused for: everything else must not be.
const ERRNOS: [i32; 5] = [libc::EIO, libc::ENOSYS, libc::EPERM, libc::ENOENT, libc::ENAMETOOLONG];

fn errno_for(position: usize, is_optional: bool) -> i32 {
    if is_optional { libc::EIO } else { ERRNOS[position % ERRNOS.len()] }
}

/// Fails each op of `wish` in turn.
fn fail_each_op(name: &str, wish: &Wish, marker: &Path) {
    warm_up();
    let length = Broken::new(wish.as_ref()).unwrap().len();
    for position in 0..length {
        let mut broken = Broken::new(wish.as_ref()).unwrap();
        let (stage, index, text) = broken.op(position).map(|(stage, index, text)| (stage, index, text.to_owned())).unwrap();
        let errno = errno_for(position, broken.is_optional(position));
        broken.fail(position, errno);
        let before = Host::now();
        let Err(seen) = broken.spawn(&mut |_, _| ()) else { panic!("{name}, op {position} ({text}): the spawn succeeded") };
        assert!(is_childless(), "{name}, op {position} ({text}): left {}", children());
        let differences = before.differences(&Host::now());
        assert!(differences.is_empty(), "{name}, op {position} ({text}): the host changed: {differences:?}");
        assert_eq!((seen.0, seen.1, seen.2), (errno, stage, index), "{name}, op {position} ({text})");
        assert!(seen.3.starts_with(&text), "{name}, op {position}: {:?} does not name {text:?}", seen.3);
        assert!(!marker.exists(), "{name}, op {position} ({text}): the program ran");
    }
}

/// `body` with the marker's path as an argument that makes `touch` leave a mark.
fn with_marker(body: impl Fn(&[&str], &Path)) {
    let directory = Directory::new();
    let marker = directory.0.join("it-ran");
    body(&[marker.to_str().unwrap()], &marker);
}

#[test]
fn every_op_that_fails_is_reported_exactly_and_leaves_nothing() {
    alone(|| with_marker(|args, marker| {
        be_unusual();
        for (name, wish) in wishes("/bin/touch", args) {
            // The mark means something only where the unbroken command leaves one. (Its loader may read the time stamp counter.)
            let child = wish.spawn().unwrap_or_else(|error| panic!("{name}: {error:?}"));
            let_go(name, child);
            let end = end_of(child);
            assert!(end == 0 || name.contains("time stamp"), "{name}: ended with {end}");
            sandbox_child_free(child);
            assert!(fs::remove_file(marker).is_ok() || end != 0, "{name}: no mark");
            fail_each_op(name, &wish, marker);
        }
    }));
}

#[test]
fn every_op_that_fails_in_another_threads_child_leaves_nothing() {
    alone(|| with_marker(|args, marker| {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                be_unusual();
                for (name, wish) in wishes("/bin/touch", args) {
                    fail_each_op(name, &wish, marker);
                }
            });
            thread.join().unwrap();
        });
    }));
}

#[test]
fn a_host_that_adopts_orphans_is_left_none_by_a_failed_init() {
    alone(|| with_marker(|args, _| {
        become_subreaper();
        for (name, wish) in wishes("/bin/touch", args).filter(|(name, _)| name.contains("init")) {
            for position in 0..Broken::new(wish.as_ref()).unwrap().len() {
                let mut broken = Broken::new(wish.as_ref()).unwrap();
                broken.fail(position, libc::EIO);
                assert!(broken.spawn(&mut |_, _| ()).is_err());
                assert!(is_childless(), "{name}, op {position} ({:?}): left {}", broken.op(position), children());
            }
        }
    }));
}

#[test]
fn what_may_be_missing_is_left_out_and_said() {
    alone(|| {
        let mut seen = 0;
        for (name, wish) in wishes("/bin/true", &[]) {
            for position in 0..Broken::new(wish.as_ref()).unwrap().len() {
                let mut broken = Broken::new(wish.as_ref()).unwrap();
                if !broken.is_optional(position) {
                    continue;
                }
                broken.fail(position, libc::ENOSYS);
                let child = broken.spawn(&mut |_, _| ()).unwrap_or_else(|error| panic!("{name}: {error:?}")).into_handle();
                end_of(child);
                let mut left_out = 0;
                let mut status = [0u64; 8];
                assert_eq!(sandbox_child_wait(child, 0, status.as_mut_ptr().cast(), size_of_val(&status)), 0);
                left_out |= status[7];
                assert_ne!(left_out, 0, "{name}, {:?}", broken.op(position));
                seen |= left_out;
                sandbox_child_free(child);
            }
        }
        assert_eq!(seen, 15, "each of MDWE, DENY_TSC, SPECULATION, KEYRING was left out once");
    });
}

#[test]
fn whichever_fd_can_not_be_had_nothing_is_left() {
    alone(|| with_marker(|args, marker| {
        for (name, wish) in wishes("/bin/touch", args) {
            let highest = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fd.ok()?.file_name().to_str()?.parse::<u64>().ok()).max().unwrap();
            let whole = rlimit(libc::RLIMIT_NOFILE as u32).0;
            let (mut refused, mut enough) = (0, 0);
            warm_up();
            for limit in 3..highest + 40 {
                let before = Host::now();
                set_rlimit(libc::RLIMIT_NOFILE as u32, limit);
                let spawned = wish.spawn();
                set_rlimit(libc::RLIMIT_NOFILE as u32, whole);
                match spawned {
                    Ok(child) => {
                        let_go(name, child);
                        end_of(child);
                        sandbox_child_free(child);
                        let _ = fs::remove_file(marker);
                        enough += 1;
                        if enough == 6 {
                            break;
                        }
                    }
                    // EBADF: a target above the limit; ETOOMANYREFS: other tests have fds on their way.
                    Err((libc::EMFILE | libc::EBADF | libc::EINVAL | libc::ETOOMANYREFS, ..)) => refused += 1,
                    Err(error) => panic!("{name}, limit {limit}: {error:?}"),
                }
                assert!(is_childless(), "{name}, limit {limit}: left {}", children());
                let differences = before.differences(&Host::now());
                assert!(differences.is_empty(), "{name}, limit {limit}: {differences:?}");
            }
            assert!(refused > 0, "{name}");
        }
    }));
}

/// Of one user's fds no more than RLIMIT_NOFILE may be on their way in messages, whichever process sends them.
#[test]
fn an_init_that_can_not_send_its_programs_pidfd_fails_the_spawn() {
    alone(|| {
        let sent = on_their_way(100);
        let mut tried = 0;
        for (name, wish) in wishes("/bin/true", &[]).filter(|(name, _)| ["init", "namespaces", "filter"].iter().all(|part| name.contains(part))) {
            let whole = rlimit(libc::RLIMIT_NOFILE as u32).0;
            set_rlimit(libc::RLIMIT_NOFILE as u32, 60);
            let spawned = wish.spawn();
            set_rlimit(libc::RLIMIT_NOFILE as u32, whole);
            match spawned {
                Err((libc::ETOOMANYREFS, _, _, text)) => assert!(text.contains("RLIMIT_NOFILE"), "{name}: {text}"),
                other => panic!("{name}: {other:?}"),
            }
            assert!(is_childless(), "{name}: left {}", children());
            tried += 1;
        }
        assert!(tried > 0);
        drop(sent);
    });
}

fn on_their_way(count: usize) -> [std::os::fd::OwnedFd; 2] {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    let mut ends = [0; 2];
    let fds = vec![0i32; count];
    let length = u32::try_from(size_of_val(fds.as_slice())).unwrap();
    // SAFETY: all memory is ours, and large enough for what the macros say.
    unsafe {
        assert_eq!(libc::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()), 0);
        let ends = ends.map(|fd| OwnedFd::from_raw_fd(fd));
        let mut control = vec![0u64; libc::CMSG_SPACE(length) as usize / 8 + 1];
        let mut vector = libc::iovec { iov_base: ptr::from_mut(&mut 0u8).cast(), iov_len: 1 };
        let mut message: libc::msghdr = std::mem::zeroed();
        (message.msg_iov, message.msg_iovlen) = (&raw mut vector, 1);
        (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), libc::CMSG_SPACE(length) as _);
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(length) as _;
        ptr::copy_nonoverlapping(fds.as_ptr().cast(), libc::CMSG_DATA(header), length as usize);
        assert_eq!(libc::sendmsg(ends[0].as_raw_fd(), &raw const message, 0), 1);
        ends
    }
}

/// The variants of `Code` but `Fail`, which only a test puts into a plan.
fn codes() -> BTreeSet<String> {
    let source = include_str!("../child/src/plan.rs");
    let body = source.split_once("pub enum Code {").unwrap().1.split_once("\n}").unwrap().0;
    let names: BTreeSet<String> = body.lines().filter_map(|line| Some(line.trim().split_once(" = ")?.0.to_owned())).collect();
    assert!(names.len() >= 16 && names.contains("Fail"));
    names.into_iter().filter(|name| name != "Fail").collect()
}

/// For each file of src/confine: how many places in it make ops, and words of each.
const SITES: &[(&str, usize, &[&str])] = &[
    ("cgroup", 3, &["into its cgroup", "a cgroup namespace", "while the host writes"]),
    ("cwd", 1, &["working directory", "or the next of 2"]),
    ("death", 2, &["when the host dies", "once more"]),
    ("exec", 3, &["no magic link on the way", "the caller's pre_exec", "execve \"", "execveat of"]),
    ("fds", 3, &["what fd 0 is made of", "the program's fd, off", "what fd 40 is made of", "every other fd closes", "fd 40: passed in"]),
    ("filter", 2, &["seccomp filter of", "with a listener", "the host takes the listener"]),
    ("gate", 1, &["held at the gate"]),
    ("hostname", 1, &["host name", "domain name"]),
    ("identity", 1, &["supplementary groups", "user 7, group 8"]),
    ("init", 4, &["open the list of the init's children", "to lock it", "lock \"/etc/passwd\"", "the init stays behind"]),
    ("join", 5, &["closed to tracers", "join the uts", "new namespaces: ", "in the pid namespace", "takes it for its child", "join the user"]),
    ("keyring", 1, &["session keyring"]),
    ("landlock", 4, &["a Landlock ruleset that denies", "Landlock allows below \"/\": everything", "Landlock allows port 1: connect_tcp", "the Landlock ruleset holds"]),
    ("memory", 1, &["memory-deny-write-execute"]),
    ("mount", 0, &[]),
    ("mount_dev", 0, &["a tmpfs for devices", "the host's /dev/urandom", "bind on \"/media/dev/null\"", "devpts", "ptmx", "\"/media/dev\" becomes read-only"]),
    ("mount_overlay", 3, &["layer of the overlay on", "its upper: ", "its work: ", "what holds its upper and its work", "overlay of 2 lower directories", "changes in memory", "changes kept in", "changes refused"]),
    ("mount_plan", 13, &["the host's mounts are private", "root: the host's \"/\"", "root: a new tmpfs", "a tmpfs out of reach", "over the host's root", "what to bind on", "the caller's fd",
        "if it is there", "bind on", "tmpfs of 65536 bytes", "proc hidepid invisible subset pid", "mqueue", "file \"/media/", "directory \"/media/", "symlink \"/media/", "mask \"/media/",
        "the root becomes read-only", "into the new root", "mode 711 for", "remount \"/media\"", "becomes read-only, where it is there", "bind on \"/\""]),
    ("namespace", 8, &["a user namespace below it", "open \"/proc\"", "until the host has mapped uids", "a time namespace", "time_for_children", "into the time namespace", "open \"/proc/self/timens_offsets", "write \"0\" to", "close it", "forget it"]),
    ("network", 4, &["a socket to reach the interface", "loopback up", "close it", "forget it"]),
    ("oom", 4, &["open /proc/self/oom_score_adj", "oom_score_adj 500", "close it", "forget it"]),
    ("pool", 2, &[]), // tests/pool.rs
    ("privilege", 9, &["cross the trampoline", "keep CAP_DAC_OVERRIDE", "bounding set: none", "PR_SET_KEEPCAPS", "permitted and inheritable",
        "ambient capabilities: CAP_DAC_OVERRIDE", "securebits", "no new privileges"]),
    ("process", 6, &["umask", "nice value", "CPUs", "no address space randomisation", "time stamp counter", "store bypass", "indirect branch"]),
    ("rlimit", 1, &["RLIMIT_CPU", "RLIMIT_RTTIME"]),
    ("session", 4, &["a new session", "a new process group", "a new session, where", "controlling terminal"]),
    ("signal", 2, &["every signal to its default disposition", "with a handler to its default disposition", "no signal blocked", "signal mask"]),
    ("stdio", 1, &["fd 0: inherited", "/dev/null", "a pipe", "the caller's fd", "a pseudoterminal"]),
    ("trace", 1, &["PTRACE_SEIZE"]),
];

#[test]
fn the_commands_hold_every_op_and_every_option() {
    let (mut seen, mut texts, mut options) = (BTreeSet::new(), String::new(), BTreeSet::new());
    for (_, wish) in wishes("/bin/true", &[]) {
        for broken in [Broken::new, Broken::pooled].into_iter().filter_map(|compile| compile(wish.as_ref()).ok()) {
            seen.extend((0..broken.len()).map(|position| format!("{:?}", broken.code(position).unwrap_or(Code::Fail))));
        }
        texts += &wish.explain();
        options.extend(wish.options.iter().copied());
    }
    if cgroup().is_none() {
        seen.insert("EnterCgroup".to_owned());
    }
    assert_eq!(seen, codes(), "what a plan can hold");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/confine");
    let mut files: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).filter(|name| name != "mod.rs").collect();
    files.sort();
    let listed: Vec<_> = SITES.iter().map(|(name, ..)| format!("{name}.rs")).collect();
    assert_eq!(files, listed, "a kind of confinement that this test does not know");
    for (name, sites, words) in SITES {
        let source = fs::read_to_string(root.join(format!("{name}.rs"))).unwrap();
        let found = source.matches("plan.op(").count() + source.matches("plan.call(").count();
        assert_eq!(found, *sites, "src/confine/{name}.rs makes ops that this test does not know");
        for word in *words {
            let root_only = (*word == "securebits" || *name == "join") && !is_root() || *name == "cgroup" && cgroup().is_none();
            assert!(texts.contains(word) || root_only, "no command of the tests has {word:?} (src/confine/{name}.rs)");
        }
    }
    let all = (1..256).filter(|option| {
        let cmd = sandbox_cmd_new(c"/bin/true".as_ptr());
        let known = sandbox_cmd_set(cmd, *option, 1) == 0;
        sandbox_cmd_free(cmd);
        known
    });
    for option in all.filter(|option| *option != 17 || is_root()) {
        assert!(options.contains(&option), "no command of the tests sets option {option}");
    }
}

#[test]
fn the_callers_functions_can_refuse_and_nothing_is_left() {
    extern "C" fn refuse(_: *mut libc::c_void) -> libc::c_int {
        -77
    }
    extern "C" fn not_ready(_: libc::pid_t, _: libc::c_int, _: *mut libc::c_void) -> libc::c_int {
        -78
    }
    alone(|| with_marker(|args, marker| {
        for (name, wish) in wishes("/bin/touch", args) {
            if name.starts_with("joined") {
                continue; // which goes with neither
            }
            for (errno, hook) in [(77, 0), (78, 1)] {
                warm_up();
                let broken = wish.copy();
                match hook {
                    0 => sandbox_cmd_pre_exec(broken.cmd, Some(refuse), ptr::null_mut()),
                    _ => sandbox_cmd_on_ready(broken.cmd, Some(not_ready), ptr::null_mut()),
                };
                let before = Host::now();
                let error = broken.spawn().expect_err(name);
                assert_eq!((error.0, error.1, error.2), (errno, 22, 0), "{name}");
                assert!(is_childless(), "{name}: left {}", children());
                let differences = before.differences(&Host::now());
                assert!(differences.is_empty(), "{name}: {differences:?}");
                assert!(!marker.exists(), "{name}");
            }
        }
    }));
}
