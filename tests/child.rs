//! The child runs in its host's memory, so it must not allocate, and not enter libc: neither as it is built, nor as it
//! runs. One is stepped through, instruction by instruction, from its first op to exec.

mod common;

use ::sandbox_child::plan::Code;
use common::*;
use sandbox_spawn::capi::child::sandbox_child_free;
use sandbox_spawn::testing::Broken;
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::mpsc::channel;
use std::{fs, ptr, thread};

// ---- what it is built from

fn readelf(args: &[&str], file: &Path) -> Option<String> {
    let output = Command::new("readelf").args(args).arg(file).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The child crate as the build script makes it for the image: the same source, nothing optimised away.
#[test]
fn the_childs_code_names_nothing_outside_itself() {
    let library = Path::new(env!("OUT_DIR")).join("libsandbox_child.rlib");
    let Some(text) = readelf(&["-sW"], &library) else { return skip("the_childs_code_names_nothing_outside_itself", "no readelf") };
    let (mut defined, mut undefined) = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        // number: value size type binding visibility section name
        if let [_, _, _, _, _, _, section, name] = line.split_whitespace().collect::<Vec<_>>()[..] {
            if section == "UND" { undefined.insert(name) } else { defined.insert(name) };
        }
    }
    assert!(defined.iter().any(|name| name.contains("sandbox_child")), "readelf shows the crate's symbols");
    let foreign: Vec<_> = undefined.difference(&defined).collect();
    assert!(foreign.is_empty(), "the child's code calls {foreign:?}");
}

/// It runs as a program, and where the library has it: so there is one segment, of which nothing is written.
#[test]
fn the_childs_image_is_a_static_program_of_one_segment() {
    let bytes = fs::read(Path::new(env!("OUT_DIR")).join("image")).unwrap();
    assert!(bytes.len() <= 24 << 10, "{} bytes", bytes.len());
    let number = |at: usize, size: usize| bytes[at..at + size].iter().rev().fold(0usize, |value, byte| value << 8 | usize::from(*byte));
    assert_eq!((&bytes[..4], bytes[4], number(16, 2)), (&b"\x7fELF"[..], 2, 2), "a 64-bit ET_EXEC");
    let (offset, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let headers: Vec<_> = (0..count).map(|n| offset + n * size).map(|at| (number(at, 4), number(at + 4, 4), number(at + 8, 8), number(at + 32, 8))).collect();
    const PT_LOAD: usize = 1;
    const PT_GNU_STACK: usize = 0x6474_e551;
    let [(PT_LOAD, 5, 0, length), (PT_GNU_STACK, 6, ..)] = headers[..] else { panic!("type, flags, offset, length: {headers:x?}") };
    assert!(length <= bytes.len());
}

// ---- how it runs

/// The host's pid while its children are watched; 0: they are not.
static HOST: AtomicI32 = AtomicI32::new(0);
/// The pid of one that was caught, and in what.
static CAUGHT: AtomicI32 = AtomicI32::new(0);

/// A child in shared memory has another pid, and its allocation is seen in the host.
fn watch() {
    let host = HOST.load(Relaxed);
    // SAFETY: the raw call: what the kernel says, not what libc remembers.
    if host != 0 && let pid = unsafe { libc::syscall(libc::SYS_getpid) } as i32 && pid != host {
        CAUGHT.store(pid, SeqCst);
    }
}

struct Watched;

// SAFETY: the system's allocator.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        watch();
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        watch();
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        watch();
        // SAFETY: the caller's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// The C library's own names, taken over by this program: also what calls malloc behind Rust's back is seen.
#[cfg(target_env = "gnu")]
mod interposed {
    use libc::{c_void, size_t};
    unsafe extern "C" {
        fn __libc_malloc(size: size_t) -> *mut c_void;
        fn __libc_calloc(count: size_t, size: size_t) -> *mut c_void;
        fn __libc_realloc(pointer: *mut c_void, size: size_t) -> *mut c_void;
        fn __libc_free(pointer: *mut c_void);
    }
    #[unsafe(no_mangle)]
    unsafe extern "C" fn malloc(size: size_t) -> *mut c_void {
        super::watch();
        // SAFETY: the caller's; so below.
        unsafe { __libc_malloc(size) }
    }
    #[unsafe(no_mangle)]
    unsafe extern "C" fn calloc(count: size_t, size: size_t) -> *mut c_void {
        super::watch();
        unsafe { __libc_calloc(count, size) }
    }
    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(pointer: *mut c_void, size: size_t) -> *mut c_void {
        super::watch();
        unsafe { __libc_realloc(pointer, size) }
    }
    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(pointer: *mut c_void) {
        super::watch();
        unsafe { __libc_free(pointer) }
    }
}

/// pre_exec's child has a copy of the memory, where nothing of it would be seen; one that is traced has its tracer.
fn in_shared_memory() -> impl Iterator<Item = (&'static str, Wish)> {
    wishes("/bin/true", &[]).filter(|(name, wish)| {
        let broken = Broken::new(wish.as_ref()).unwrap();
        *name != "traced" && !(0..broken.len()).any(|op| broken.code(op) == Some(Code::Callback))
    })
}

#[test]
fn no_child_allocates_whichever_op_fails() {
    alone(|| {
        let watched = || {
            for (name, wish) in in_shared_memory() {
                for position in 0..=Broken::new(wish.as_ref()).unwrap().len() {
                    let mut broken = Broken::new(wish.as_ref()).unwrap();
                    broken.fail(position, libc::EIO); // the last: none
                    if let Ok(spawned) = broken.spawn(&mut |_, _| ()) {
                        sandbox_child_free(spawned.into_handle());
                    }
                    assert_eq!(CAUGHT.load(SeqCst), 0, "{name}, op {position}: the child allocated");
                }
            }
        };
        HOST.store(std::process::id().cast_signed(), SeqCst);
        watched();
        thread::scope(|scope| scope.spawn(watched).join().unwrap());
        HOST.store(0, SeqCst);
    });
}

#[test]
fn the_watch_sees_an_allocation() {
    alone(|| {
        HOST.store(std::process::id().cast_signed() + 1, SeqCst);
        let text = std::hint::black_box(vec![1u8; 100]);
        HOST.store(0, SeqCst);
        drop(text);
        assert_ne!(CAUGHT.load(SeqCst), 0, "Rust's");
        #[cfg(target_env = "gnu")]
        {
            CAUGHT.store(0, SeqCst);
            HOST.store(std::process::id().cast_signed() + 1, SeqCst);
            // SAFETY: a constant string, freed below; strdup calls malloc inside libc.
            let copy = unsafe { libc::strdup(c"text".as_ptr()) };
            HOST.store(0, SeqCst);
            // SAFETY: made above.
            unsafe { libc::free(copy.cast()) };
            assert_ne!(CAUGHT.load(SeqCst), 0, "libc's");
        }
    });
}

// ---- step by step

/// Where the child's instructions lie, as the host's map names them: how many in each.
type Steps = BTreeMap<usize, usize>;

fn ptrace(request: libc::c_uint, pid: i32, data: usize) -> libc::c_long {
    // SAFETY: no memory of ours is passed.
    unsafe { libc::ptrace(request, pid, ptr::null_mut::<u8>(), data) }
}

fn next_stop(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: a status of ours to fill.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }, pid);
    status
}

#[cfg(target_arch = "x86_64")]
fn instruction_pointer(pid: i32) -> usize {
    // SAFETY: registers of ours to fill.
    unsafe {
        let mut registers = std::mem::zeroed::<libc::user_regs_struct>();
        assert_eq!(libc::ptrace(libc::PTRACE_GETREGS, pid, ptr::null_mut::<u8>(), &raw mut registers), 0);
        usize::try_from(registers.rip).unwrap()
    }
}

/// Steps through the held child until it leaves this memory. Tells on `ready` that it has hold of it.
#[cfg(target_arch = "x86_64")]
fn step_through(pid: i32, ready: &std::sync::mpsc::Sender<()>) -> Steps {
    let options = libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL;
    assert_eq!(ptrace(libc::PTRACE_SEIZE, pid, usize::try_from(options).unwrap()), 0);
    assert_eq!(ptrace(libc::PTRACE_INTERRUPT, pid, 0), 0);
    next_stop(pid);
    ready.send(()).unwrap();
    let mut steps = Steps::new();
    loop {
        *steps.entry(instruction_pointer(pid)).or_default() += 1;
        assert_eq!(ptrace(libc::PTRACE_SINGLESTEP, pid, 0), 0);
        let status = next_stop(pid);
        assert!(libc::WIFSTOPPED(status), "the child ended: {status:#x}");
        if status >> 8 == libc::SIGTRAP | libc::PTRACE_EVENT_EXEC << 8 {
            assert_eq!(ptrace(libc::PTRACE_DETACH, pid, 0), 0);
            return steps;
        }
    }
}

/// The symbols of this program's text, by address.
fn symbols() -> Option<BTreeMap<usize, String>> {
    let text = readelf(&["-sW"], &PathBuf::from("/proc/self/exe").canonicalize().unwrap())?;
    let base = base_of_this_program();
    Some(text.lines().filter_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [_, value, _, "FUNC", _, _, section, name] if section != "UND" => Some((base + usize::from_str_radix(value, 16).ok()?, name.to_owned())),
        _ => None,
    }).collect())
}

fn base_of_this_program() -> usize {
    let exe = fs::read_link("/proc/self/exe").unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let first = maps.lines().find(|line| line.ends_with(exe.to_str().unwrap())).unwrap();
    usize::from_str_radix(first.split('-').next().unwrap(), 16).unwrap()
}

#[test]
#[cfg(target_arch = "x86_64")]
fn no_child_executes_an_instruction_of_libc() {
    let Some(_) = readelf(&["--version"], Path::new("/dev/null")) else { return skip("no_child_executes_an_instruction_of_libc", "no readelf") };
    alone(|| {
        let symbols = symbols().unwrap();
        for (name, wish) in in_shared_memory() {
            let mut broken = Broken::new(wish.as_ref()).unwrap();
            broken.pause(0);
            let (held, pid) = channel::<i32>();
            let (ready, is_ready) = channel();
            let steps = thread::scope(|scope| {
                let tracer = scope.spawn(move || step_through(pid.recv().unwrap(), &ready));
                let child = broken.spawn(&mut |pid, _| {
                    held.send(pid).unwrap();
                    is_ready.recv().unwrap();
                });
                let steps = tracer.join().unwrap();
                sandbox_child_free(child.unwrap_or_else(|error| panic!("{name}: {error:?}")).into_handle());
                steps
            });
            let maps = fs::read_to_string("/proc/self/maps").unwrap();
            let functions: BTreeSet<&str> = steps.keys().map(|at| match symbols.range(..=at).next_back() {
                Some((_, symbol)) if is_in_this_program(&maps, *at) => symbol.as_str(),
                _ => panic!("{name}: an instruction at {at:#x}, outside the library:\n{maps}"),
            }).collect();
            let [image] = Vec::from_iter(&functions)[..] else { panic!("{name}: the child went through {functions:?}") };
            assert!(image.contains("trampoline5image"), "{name}: the child went through {image}");
            assert!(steps.values().sum::<usize>() > 500, "{name}: only {} steps in {functions:?}", steps.values().sum::<usize>());
        }
    });
}

fn is_in_this_program(maps: &str, at: usize) -> bool {
    let exe = fs::read_link("/proc/self/exe").unwrap();
    maps.lines().filter(|line| line.ends_with(exe.to_str().unwrap())).any(|line| {
        let (from, to) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
        (usize::from_str_radix(from, 16).unwrap()..usize::from_str_radix(to, 16).unwrap()).contains(&at)
    })
}

// ---- its system calls

/// Every call that a plain spawn's child makes, in order; the 64 of the dispositions count as one, and so does what takes
/// the bounding set away, one by one for root and in vain for others.
const PLAIN: &[&str] = &[
    "rt_sigaction", "prctl", "getppid", "prctl", "close_range", "fcntl", "fcntl", "fcntl", "capget", "capset", "prctl", "rt_sigprocmask", "execve",
];

#[test]
fn a_plain_childs_system_calls_are_these() {
    let trace = std::env::temp_dir().join(format!("sandbox-spawn-strace-{}", std::process::id()));
    let trace_name = trace.to_str().unwrap();
    let is_inside = std::env::var_os("SANDBOX_TEST_ALONE").is_some();
    if !is_inside && !Command::new("strace").args(["-o", "/dev/null", "/bin/true"]).output().is_ok_and(|output| output.status.success()) {
        return skip("a_plain_childs_system_calls_are_these", "no strace, or no right to trace");
    }
    alone_with(&["strace", "-f", "-qq", "-o", trace_name], || {
        let wish = Wish::new("/bin/true", &[]);
        sandbox_child_free(wish.spawn().unwrap());
    });
    if is_inside {
        return;
    }
    let text = fs::read_to_string(&trace).unwrap();
    fs::remove_file(&trace).unwrap();
    let (pid, _) = text.lines().rev().filter_map(|line| line.split_once(' ')).find(|(_, line)| line.contains("execve(\"/bin/true\"")).unwrap();
    // A call that another thread's comes between has a second line: "<... close resumed>".
    let lines = text.lines().filter_map(|line| line.strip_prefix(pid).map(str::trim_start)).filter(|line| !line.starts_with("<..."));
    let calls: Vec<&str> = lines.filter_map(|line| line.split_once('(').map(|(call, _)| call)).collect();
    let until = calls.iter().position(|call| *call == "execve").unwrap();
    let calls = &calls[..=until];
    assert_eq!(calls.iter().filter(|call| **call == "rt_sigaction").count(), 64);
    assert!(calls.len() <= if is_root() { 120 } else { 76 }, "{} calls: {calls:?}", calls.len());
    let mut compressed = calls.to_vec();
    compressed.dedup_by(|a, b| a == b && ["rt_sigaction", "prctl"].contains(&a.trim()));
    assert_eq!(compressed, PLAIN);
}
