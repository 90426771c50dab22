//! The table: each row is one call with its answer, twice, and what it must not leave behind.

use super::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::AtomicIsize;
use std::sync::atomic::Ordering::Relaxed;

/// Bytes allocated and not yet freed.
static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counted;

// SAFETY: the system's allocator.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size().cast_signed(), Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size().cast_signed(), Relaxed);
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Runs rows and keeps what went wrong. Standard output and error are files meanwhile: they must stay empty.
pub struct Table {
    pub called: BTreeSet<&'static str>,
    pub wrong: Vec<String>,
    pub said: File,
    /// The real standard error: names the row that ended the host.
    pub err: File,
}

fn open_fds() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

impl Table {
    pub fn new() -> Table {
        // SAFETY: a constant name; fds just made.
        unsafe {
            let said = File::from_raw_fd(libc::memfd_create(c"said".as_ptr(), libc::MFD_CLOEXEC));
            let err = File::from_raw_fd(libc::fcntl(2, libc::F_DUPFD_CLOEXEC, 3));
            libc::dup2(said.as_raw_fd(), 1);
            libc::dup2(said.as_raw_fd(), 2);
            Table { called: BTreeSet::new(), wrong: Vec::new(), said, err }
        }
    }

    pub fn row(&mut self, function: &'static str, case: &str, expected: i64, run: &dyn Fn() -> i64) {
        self.called.insert(function);
        writeln!(self.err, "{function}: {case}").unwrap();
        run(); // whatever is made once is made now
        let (fds, live) = (open_fds(), LIVE.load(Relaxed));
        let got = run();
        let (fds, live) = (open_fds() - fds, LIVE.load(Relaxed) - live);
        let mut wrong = |what: String| self.wrong.push(format!("{function}: {case}: {what}"));
        if got != expected {
            wrong(format!("gave {got}, not {expected}"));
        }
        if fds != 0 || live != 0 {
            wrong(format!("leaked {fds} fds, {live} bytes"));
        }
        if !is_childless() {
            wrong(format!("left {}", children()));
        }
        if self.said.metadata().unwrap().len() != 0 {
            wrong("printed".into());
            self.said.set_len(0).unwrap();
        }
    }

    /// A setter on a command of its own. Its failure is latched, and refuses the spawn with the same error.
    pub fn setter(&mut self, function: &'static str, case: &str, expected: i64, set: &dyn Fn(*mut sandbox_cmd) -> c_int) {
        self.row(function, case, expected, &|| {
            let cmd = sandbox_cmd_new(c"/bin/true".as_ptr());
            let code = set(cmd);
            let later = sandbox_cmd_set(cmd, 0, 0);
            assert_eq!(later, -libc::EINVAL);
            let first = if code < 0 { code } else { later };
            let (mut latched, mut error, mut child) = (none(), none(), 8 as *mut _);
            assert_eq!(sandbox_cmd_error(cmd, &raw mut latched), first);
            assert_eq!((latched.code, message(&latched).is_empty()), (first, false));
            assert_eq!(sandbox_spawn(cmd, &raw mut child, &raw mut error), first);
            assert!(child.is_null());
            assert_eq!((error.code, error.stage, error.index, message(&error)), (first, latched.stage, latched.index, message(&latched)));
            assert_eq!(sandbox_cmd_explain(cmd, null_mut(), 0, null_mut()), first);
            let copy = sandbox_cmd_clone(cmd);
            assert_eq!(sandbox_cmd_error(copy, null_mut()), first);
            sandbox_cmd_free(copy);
            sandbox_cmd_free(cmd);
            code.into()
        });
    }

    /// A child that runs until it is freed.
    pub fn child(&mut self, function: &'static str, case: &str, expected: i64, run: &dyn Fn(*mut sandbox_child) -> i64) {
        self.row(function, case, expected, &|| {
            let cmd = sandbox_cmd_new(c"/bin/sleep".as_ptr());
            sandbox_cmd_arg(cmd, c"1000".as_ptr());
            sandbox_cmd_stdio(cmd, 1, 2, -1);
            let mut child = null_mut();
            assert_eq!(sandbox_spawn(cmd, &raw mut child, null_mut()), 0);
            let code = run(child);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
            code
        });
    }
}

/// Names the function by itself, so that the table can't lie about which it called.
macro_rules! name {
    ($table:ident, $kind:ident, $function:ident, $case:expr, $expected:expr, $run:expr) => {{
        #[allow(unused_variables)]
        let _ = $function as *const ();
        $table.$kind(stringify!($function), $case, $expected, &$run);
    }};
}
