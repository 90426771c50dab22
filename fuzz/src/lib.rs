//! The builder under arbitrary calls: bytes become setters with arbitrary arguments, then the command is explained and,
//! where it runs /bin/true, spawned. What must hold afterwards, whatever was asked for, is asserted here.

use libc::{c_int, c_void};
use sandbox_spawn::capi::child::{sandbox_child_free, sandbox_child_kill, sandbox_child_wait};
use sandbox_spawn::capi::cmd::*;
use sandbox_spawn::capi::error::sandbox_error;
use sandbox_spawn::capi::filter::*;
use sandbox_spawn::capi::sandbox_arg;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr::{null, null_mut};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// How many programs ran: for a fuzzer's owner to see that its inputs reach so far.
pub static SPAWNED: AtomicUsize = AtomicUsize::new(0);

/// Reads an input from its front; behind its end there are zeros.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Small numbers, and those at the edges, more often than any other.
    fn number(&mut self) -> u64 {
        match self.byte() % 8 {
            0..4 => self.byte().into(),
            4 => 1 << (self.byte() % 64),
            5 => u64::from(self.byte()).wrapping_neg(),
            6 => u64::MAX >> (self.byte() % 64),
            _ => u64::from_le_bytes([0; 8].map(|_: u8| self.byte())),
        }
    }

    fn small(&mut self) -> u32 {
        self.number() as u32
    }

    /// Any bytes, or, one time in 32, more of them than anyone takes.
    fn text(&mut self) -> CString {
        let length = usize::from(self.byte() % 32);
        let mut bytes: Vec<u8> = (0..length).map(|_| self.byte().max(1)).collect();
        if length == 31 {
            bytes = bytes.repeat(5000);
        }
        CString::new(bytes).unwrap_or_default()
    }

    fn is_left(&self) -> bool {
        !self.0.is_empty()
    }
}

extern "C" fn ready(_: libc::pid_t, _: c_int, answer: *mut c_void) -> c_int {
    answer as usize as c_int
}

extern "C" fn pre_exec(answer: *mut c_void) -> c_int {
    answer as usize as c_int
}

/// One setter with arbitrary arguments; what it returned.
fn set(cmd: *mut sandbox_cmd, input: &mut Input, program: &File) -> c_int {
    let answer = |input: &mut Input| if input.byte() % 4 == 0 { -c_int::from(input.byte()) } else { 0 } as usize as *mut c_void;
    match input.byte() % 22 {
        0 => sandbox_cmd_arg(cmd, input.text().as_ptr()),
        1 => {
            let (a, b) = (input.text(), input.text());
            sandbox_cmd_args(cmd, [a.as_ptr(), b.as_ptr(), null()].as_ptr())
        }
        2 => sandbox_cmd_arg0(cmd, input.text().as_ptr()),
        3 => {
            let (name, value) = (input.text(), input.text());
            sandbox_cmd_env(cmd, name.as_ptr(), if input.byte() % 4 == 0 { null() } else { value.as_ptr() })
        }
        4 => sandbox_cmd_env_clear(cmd),
        5 => sandbox_cmd_cwd(cmd, input.text().as_ptr()),
        6 => sandbox_cmd_exec_fd(cmd, if input.byte() % 4 == 0 { -1 } else { program.as_raw_fd() }),
        7 => sandbox_cmd_stdio(cmd, input.small().cast_signed() % 4, u32::from(input.byte()) % 6, c_int::from(input.byte() % 4) + 1),
        8 => sandbox_cmd_pass_fd(cmd, c_int::from(input.byte() % 8), input.small().cast_signed()),
        9 => sandbox_cmd_pass_fd(cmd, c_int::from(input.byte() % 8), c_int::from(input.byte() % 32)),
        10 | 11 => sandbox_cmd_rlimit(cmd, input.small() % 20, input.number(), input.number()),
        12..=15 => sandbox_cmd_set(cmd, u32::from(input.byte()) % 30, input.number()),
        16 => {
            let words = [0; 4].map(|_: u8| input.number());
            sandbox_cmd_cpus(cmd, words.as_ptr(), usize::from(input.byte()) % 6 % 5)
        }
        17 => sandbox_cmd_on_ready(cmd, Some(ready), answer(input)),
        18 => sandbox_cmd_pre_exec(cmd, Some(pre_exec), answer(input)),
        19 => sandbox_cmd_unshare(cmd, input.number() & if input.byte() % 4 == 0 { u64::MAX } else { 0x7e02_0080 }),
        20 => sandbox_cmd_map_uid(cmd, input.small(), input.small(), input.small()),
        _ => filter(cmd, input),
    }
}

/// A filter of arbitrary rules, policies, instructions. Its actions kill or notify: the program meets them or not.
fn filter(cmd: *mut sandbox_cmd, input: &mut Input) -> c_int {
    const ACTIONS: [u32; 8] = [0, 0x8000_0000, 0x0003_0000, 0x0005_0001, 0x7fc0_0000, 0x7ff0_0000, 0x7ffc_0000, 0x7fff_0000];
    let action = |input: &mut Input| match input.byte() {
        byte @ 0..8 => ACTIONS[usize::from(byte)],
        8..16 => input.small(),
        _ => 0x7fff_0000,
    };
    let filter = sandbox_filter_new(action(input));
    for _ in 0..input.byte() % 4 {
        match input.byte() % 6 {
            0 | 1 => {
                let name = CString::new(input.small().to_string()).unwrap_or_default();
                let args = [0; 3].map(|_: u8| sandbox_arg { index: u32::from(input.byte()) % 7, op: u32::from(input.byte()) % 9, value: input.number(), mask: input.number() });
                sandbox_filter_rule(filter, action(input), name.as_ptr(), args.as_ptr(), usize::from(input.byte()) % 4);
            }
            2 => { sandbox_filter_deny(filter, input.number()); }
            3 => {
                let text = input.text();
                sandbox_filter_policy(filter, text.as_ptr(), text.count_bytes(), null_mut());
            }
            4 => {
                let text = input.text();
                sandbox_filter_oci(filter, text.as_ptr(), text.count_bytes(), null_mut());
            }
            _ => {
                let bytes: Vec<u8> = (0..usize::from(input.byte() % 8) * 8).map(|_| input.byte()).collect();
                sandbox_filter_bpf(filter, bytes.as_ptr().cast(), bytes.len() / 8);
            }
        }
    }
    let code = sandbox_cmd_filter(cmd, filter);
    sandbox_filter_free(filter);
    code
}

fn none() -> sandbox_error {
    sandbox_error { code: 1, stage: 99, index: 99, message: [1; 244] }
}

fn check(error: &sandbox_error, code: c_int) {
    // SAFETY: the library must have terminated it: a message that is full of ones would be caught by the length.
    let message = unsafe { CStr::from_ptr(error.message.as_ptr()) };
    assert!(message.count_bytes() < error.message.len());
    assert_eq!(error.code, code.min(0));
    assert!(error.stage <= 26);
    assert_eq!(message.is_empty(), code >= 0, "{message:?}");
}

fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// A command by `bytes`: explained, and spawned where it runs /bin/true.
pub fn one(bytes: &[u8]) {
    let mut input = Input(bytes);
    let fds = open_fds();
    let program = File::open("/bin/true").expect("/bin/true");
    // Of arbitrary programs only the explanation is asked for.
    let runs = input.byte() % 4 != 0;
    let name = if runs { c"/bin/true".to_owned() } else { input.text() };
    let mut cmd = sandbox_cmd_new(name.as_ptr());
    let mut latched = sandbox_cmd_error(cmd, null_mut());
    while input.is_left() {
        // A failure spoils a command for good: most are tried on a copy, so that the rest of the input counts too.
        let (before, may_spoil) = (sandbox_cmd_clone(cmd), input.byte() % 16 == 0);
        let code = set(cmd, &mut input, &program);
        assert!(code <= 0);
        let first = if latched == 0 { code } else { latched };
        let mut error = none();
        assert_eq!(sandbox_cmd_error(cmd, &raw mut error), first);
        check(&error, first);
        if code == 0 || may_spoil {
            latched = first;
            sandbox_cmd_free(before);
        } else {
            sandbox_cmd_free(std::mem::replace(&mut cmd, before));
        }
    }
    let explained = explain(cmd);
    assert!(latched == 0 || explained == latched, "an explanation of a command that is refused");
    if runs {
        spawn(cmd, explained);
    }
    let copy = sandbox_cmd_clone(cmd);
    sandbox_cmd_free(cmd);
    assert_eq!(explain(copy), explained);
    sandbox_cmd_free(copy);
    drop(program);
    assert_eq!(open_fds(), fds, "fds were leaked");
    no_child_is_left();
}

fn explain(cmd: *const sandbox_cmd) -> c_int {
    let mut text = vec![0u8; 1 << 12];
    let mut error = none();
    let code = sandbox_cmd_explain(cmd, text.as_mut_ptr().cast(), text.len(), &raw mut error);
    check(&error, code);
    assert!(code < 0 || text.contains(&0));
    code
}

fn spawn(cmd: *mut sandbox_cmd, explained: c_int) {
    let (mut child, mut error) = (null_mut(), none());
    let code = sandbox_spawn(cmd, &raw mut child, &raw mut error);
    check(&error, code);
    assert_eq!(child.is_null(), code < 0);
    assert!(explained >= 0 || code == explained, "a spawn of a command that could not be explained");
    if code == 0 {
        SPAWNED.fetch_add(1, Relaxed);
        // A notified call waits for an answer that nobody gives, a stopped program for a signal: a short while is enough.
        let waited = sandbox_child_wait(child, 200, null_mut(), 0);
        assert!(waited == 0 || waited == -libc::ETIMEDOUT, "{waited}");
        if waited != 0 {
            sandbox_child_kill(child, libc::SIGKILL);
            // One that is killed while its exec still waits for an answer never became the program.
            let ended = sandbox_child_wait(child, 20_000, null_mut(), 0);
            assert!(ended == 0 || ended == -libc::ECANCELED, "a killed child does not end: {ended}");
        }
        sandbox_child_free(child);
    }
}

fn no_child_is_left() {
    // SAFETY: a siginfo of ours to fill.
    let left = unsafe {
        let mut info = std::mem::zeroed::<libc::siginfo_t>();
        libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL)
    };
    assert!(left < 0, "a child is left");
}
