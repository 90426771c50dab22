//! The host: a picture of it to compare with a later one, its own cgroup, its children.

use super::*;

/// The parent of the cgroups that this user may give children; `None` where there is none, which is said once.
pub fn cgroup() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let wish = Wish::new("/bin/true", &[]);
        group(wish.cmd);
        match wish.spawn() {
            Ok(child) => {
                sandbox_child_free(child);
                let text = wish.explain();
                Some(text.split_once("a fresh cgroup below ")?.1.split_once(": ")?.0.to_owned())
            }
            Err(error) => {
                skip("commands with a cgroup", &format!("{error:?}"));
                None
            }
        }
    }).as_deref()
}

/// What killed hosts left is the next spawn's to remove.
pub fn sweep() {
    if cgroup().is_some() {
        let wish = Wish::new("/bin/true", &[]);
        group(wish.cmd);
        sandbox_child_free(wish.spawn().unwrap());
    }
}

pub fn group(cmd: *mut sandbox_cmd) {
    assert_eq!(sandbox_cmd_cgroup(cmd, ptr::null()), 0);
    assert_eq!(sandbox_cmd_cgroup_set(cmd, c"cgroup.max.depth".as_ptr(), c"5".as_ptr()), 0);
    assert_eq!(sandbox_cmd_cgroup_set(cmd, c"memory.pressure".as_ptr(), c"some 150000 2000000".as_ptr()), 0);
}

/// But for the heap; and what of malloc's arenas the kernel keeps apart, though it lies side by side and is alike, is one.
fn mappings(maps: &str) -> usize {
    let (mut count, mut last) = (0, None);
    for line in maps.lines().filter(|line| !line.ends_with("[heap]")) {
        let mut fields = line.split_ascii_whitespace();
        let (range, rights, inode) = (fields.next().unwrap(), fields.next().unwrap(), fields.nth(2).unwrap());
        let (begin, end) = range.split_once('-').unwrap();
        count += usize::from(inode != "0" || last != Some((begin, rights)));
        last = (inode == "0").then_some((end, rights));
    }
    count
}

/// What a spawn must not change: fds, threads, mappings, and all that the kernel tells of the process.
#[derive(Debug, PartialEq)]
pub struct Host(BTreeMap<String, String>);

impl Host {
    pub fn now() -> Host {
        let mut facts = BTreeMap::new();
        let mut fact = |name: &str, value: String| {
            facts.insert(name.to_owned(), value);
        };
        for entry in fs::read_dir("/proc/self/fd").unwrap() {
            let path = entry.unwrap().path();
            let number = path.file_name().unwrap().to_str().unwrap().to_owned();
            if let Ok(target) = fs::read_link(&path)
                && !target.ends_with("fd")
                && Some(target.as_os_str()) != cgroup().map(std::ffi::OsStr::new) // the command's own, as long as it
            {
                fact(&format!("fd {number}"), target.display().to_string());
            }
        }
        if let Some(parent) = cgroup() {
            let own = format!("sandbox-spawn-{}-", std::process::id());
            let leaves = fs::read_dir(parent).unwrap().filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(&own)));
            fact("cgroups", leaves.count().to_string());
        }
        fact("threads", threads());
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        fact("mappings", mappings(&maps).to_string());
        const LINES: [&str; 19] = ["Name", "Umask", "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Speculation_Store_Bypass",
            "SpeculationIndirectBranch", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "Cpus_allowed", "ShdPnd"];
        for line in fs::read_to_string("/proc/self/status").unwrap().lines() {
            if let Some((name, value)) = line.split_once(':')
                && LINES.contains(&name)
            {
                fact(name, value.to_owned());
            }
        }
        for file in ["oom_score_adj", "coredump_filter", "timerslack_ns"] {
            fact(file, fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default());
        }
        for link in ["cwd", "root", "exe"] {
            fact(link, fs::read_link(format!("/proc/self/{link}")).unwrap().display().to_string());
        }
        for resource in 0..16 {
            fact(&format!("rlimit {resource}"), format!("{:?}", rlimit(resource)));
        }
        for (name, option) in [("dumpable", 3), ("keepcaps", 7), ("securebits", 27), ("THP", 42), ("MDWE", 66)] {
            // SAFETY: no pointers.
            fact(name, unsafe { libc::prctl(option, 0, 0, 0, 0) }.to_string());
        }
        for (name, option) in [("death signal", 2), ("TSC", 25), ("subreaper", 37)] {
            let mut value: c_int = -1;
            // SAFETY: an int of ours to fill.
            unsafe { libc::prctl(option, &raw mut value) };
            fact(name, value.to_string());
        }
        // SAFETY: no pointers but NULL.
        unsafe {
            fact("personality", libc::personality(0xffff_ffff).to_string());
            fact("nice", libc::getpriority(libc::PRIO_PROCESS, 0).to_string());
            fact("scheduler", libc::sched_getscheduler(0).to_string());
            fact("session", libc::getsid(0).to_string());
            fact("group", libc::getpgid(0).to_string());
            fact("keyring", libc::syscall(libc::SYS_keyctl, 0, -3, 0).to_string());
            fact("mask", format!("{:x}", mask()));
        }
        Host(facts)
    }

    /// The facts that differ, for a message.
    pub fn differences(&self, later: &Host) -> Vec<String> {
        let names: std::collections::BTreeSet<_> = self.0.keys().chain(later.0.keys()).collect();
        let value = |host: &Host, name: &str| host.0.get(name).cloned().unwrap_or("none".into());
        // A thread that has ended stays on the kernel's list for a moment.
        let are_fewer = |name: &str| name == "threads" && (0..5000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            self.0.get("threads") == Some(&threads())
        });
        names.into_iter().filter(|name| self.0.get(*name) != later.0.get(*name) && !are_fewer(name))
            .map(|name| format!("{name}: {} -> {}", value(self, name), value(later, name))).collect()
    }
}

fn threads() -> String {
    fs::read_dir("/proc/self/task").unwrap().count().to_string()
}

/// All 64 bits: libc's wrapper hides two.
pub fn mask() -> u64 {
    let mut mask = 0u64;
    // SAFETY: eight bytes of ours to fill.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, ptr::null::<u64>(), &raw mut mask, 8) };
    mask
}

/// What the library keeps for the next spawn (a stack or two) is there before anything is counted.
pub fn warm_up() {
    sandbox_child_free(Wish::new("/bin/true", &[]).spawn().unwrap());
}

/// Something for a spawn to disturb: blocked signals, an ignored one, a umask.
pub fn be_unusual() {
    let blocked = 1u64 << (libc::SIGUSR2 - 1) | 1 << 40;
    // SAFETY: eight bytes of ours; a disposition without a handler.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, &raw const blocked, ptr::null::<u64>(), 8);
        libc::signal(libc::SIGUSR1, libc::SIG_IGN);
        libc::umask(0o35);
    }
}

/// True where this process has no child at all, not even a zombie.
pub fn is_childless() -> bool {
    // SAFETY: a siginfo of ours to fill.
    unsafe {
        let mut info = std::mem::zeroed::<libc::siginfo_t>();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
        libc::waitid(libc::P_ALL, 0, &raw mut info, options) < 0 && *libc::__errno_location() == libc::ECHILD
    }
}

/// Every orphan below this process becomes its child: what survives is seen, and nothing else is.
pub fn become_subreaper() {
    // SAFETY: no pointers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }, 0);
}

/// Reaps until no child is left; false where one stays. The wait is long: on a busy machine everything takes its time,
/// and a survivor is what would be there for ever. What is still there after a second is told of.
pub fn all_end() -> bool {
    let start = Instant::now();
    let mut late = None;
    while start.elapsed() < Duration::from_secs(30) {
        // SAFETY: a status of ours to fill.
        let reaped = unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG | libc::__WALL) };
        if reaped < 0 {
            if let Some(late) = late {
                println!("# ended after {:?}: {late}", start.elapsed());
            }
            return true;
        }
        if reaped == 0 {
            if late.is_none() && start.elapsed() > Duration::from_secs(1) {
                late = Some(children());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    false
}

/// The survivors with their own children, for a message: name, state, what they wait for, ticks in user and kernel mode.
pub fn children() -> String {
    below(std::process::id())
}

fn below(parent: u32) -> String {
    let mut found = String::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((name, rest)) = stat.rsplit_once(')') else { continue };
        let fields: Vec<_> = rest.split_whitespace().collect();
        if let [state, its_parent, ..] = fields[..] && its_parent == parent.to_string() {
            let waits = fs::read_to_string(entry.path().join("wchan")).unwrap_or_default();
            let below = entry.file_name().to_str().and_then(|pid| pid.parse().ok()).map(below).unwrap_or_default();
            found += &format!("{name}) {state} {waits} {}+{} [{below}]; ", fields[11], fields[12]);
        }
    }
    found
}

pub fn kill(pidfd: RawFd) {
    // SAFETY: no pointers but NULL.
    assert_eq!(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, libc::SIGKILL, ptr::null::<u8>(), 0) }, 0);
}

/// Waits for the child's end: exit code, or 1000 + signal.
pub fn end_of(child: *mut Child) -> i32 {
    // SAFETY: numbers alone.
    let mut status = unsafe { std::mem::zeroed::<sandbox_spawn::capi::sandbox_status>() };
    assert_eq!(sandbox_child_wait(child, 60_000, &raw mut status, size_of_val(&status)), 0);
    if status.kind == 1 { status.code } else { 1000 + status.code }
}

pub fn text_of(pointer: *const c_char) -> String {
    // SAFETY: a string of the library's.
    unsafe { CStr::from_ptr(pointer) }.to_str().unwrap().to_owned()
}
