//! How the tests write a command down: in a few words, checked at each.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A command being written down, with the options it was given.
pub struct Wish {
    pub cmd: *mut sandbox_cmd,
    pub options: Vec<u32>,
    program: CString,
    /// What must stay open for the command to work.
    pub kept: Vec<OwnedFd>,
    upper: Option<Upper>,
}

/// Where an overlay's changes go: a directory and an empty one beside it, gone when dropped.
struct Upper(std::path::PathBuf);

impl Upper {
    fn new() -> Upper {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let path = env::temp_dir().join(format!("sandbox-spawn-upper-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed)));
        for name in ["upper", "work"] {
            fs::create_dir_all(path.join(name)).unwrap();
        }
        Upper(path)
    }

    fn path(&self, name: &str) -> CString {
        c(self.0.join(name).into_os_string().into_encoded_bytes())
    }
}

impl Drop for Upper {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.0.join("work/work")); // the kernel's, closed to everybody
        let _ = fs::remove_dir_all(&self.0);
    }
}

// SAFETY: a command may be spawned from many threads at once.
unsafe impl Sync for Wish {}

impl Wish {
    pub fn new(program: &str, args: &[&str]) -> Wish {
        let program = c(program);
        let cmd = sandbox_cmd_new(program.as_ptr());
        for arg in args {
            assert_eq!(sandbox_cmd_arg(cmd, c(*arg).as_ptr()), 0);
        }
        Wish { cmd, options: Vec::new(), program, kept: Vec::new(), upper: None }
    }

    pub fn set(&mut self, option: sandbox_option, value: i64) -> &mut Self {
        self.options.push(option as u32);
        assert_eq!(sandbox_cmd_set(self.cmd, option as u32, value.cast_unsigned()), 0, "{option:?}");
        self
    }

    pub fn on(&mut self, options: &[sandbox_option]) -> &mut Self {
        for option in options {
            self.set(*option, 1);
        }
        self
    }

    pub fn stdio(&mut self, target: c_int, mode: u32, fd: RawFd) -> &mut Self {
        assert_eq!(sandbox_cmd_stdio(self.cmd, target, mode, fd), 0);
        self
    }

    pub fn pass(&mut self, fd: RawFd, target: RawFd) -> &mut Self {
        assert_eq!(sandbox_cmd_pass_fd(self.cmd, fd, target), 0);
        self
    }

    /// Every limit, at what it is: allowed to anyone.
    pub fn rlimits(&mut self) -> &mut Self {
        for resource in 0..16 {
            let limit = rlimit(resource);
            assert_eq!(sandbox_cmd_rlimit(self.cmd, resource, limit.0, limit.1), 0);
        }
        self
    }

    pub fn process(&mut self) -> &mut Self {
        self.set(SANDBOX_OPT_UMASK, 0o27).set(SANDBOX_OPT_NICE, NICEST).set(SANDBOX_OPT_CPU_AFFINITY, first_cpu());
        self.on(&[SANDBOX_OPT_NO_RANDOMIZE, SANDBOX_OPT_NEW_KEYRING, SANDBOX_OPT_ALLOW_NO_KEYRING]);
        self.set(SANDBOX_OPT_SPECULATION, 3).on(&[SANDBOX_OPT_ALLOW_NO_SPECULATION])
    }

    pub fn cwd(&mut self) -> &mut Self {
        assert_eq!(sandbox_cmd_cwd(self.cmd, c"/".as_ptr()), 0);
        self
    }

    pub fn exec_fd(&mut self) -> &mut Self {
        let program = File::open(self.program.to_str().unwrap()).unwrap();
        assert_eq!(sandbox_cmd_exec_fd(self.cmd, program.as_raw_fd()), 0);
        self
    }

    pub fn on_ready(&mut self) -> &mut Self {
        extern "C" fn ready(_: libc::pid_t, _: c_int, _: *mut c_void) -> c_int {
            0
        }
        assert_eq!(sandbox_cmd_on_ready(self.cmd, Some(ready), ptr::null_mut()), 0);
        self
    }

    /// Everything allowed but one call that the programs of the tests never make.
    pub fn filter(&mut self, action: u32) -> &mut Self {
        let filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        assert_eq!(sandbox_filter_rule(filter, action, c"swapoff".as_ptr(), ptr::null(), 0), 0);
        assert_eq!(sandbox_cmd_filter(self.cmd, filter), 0);
        sandbox_filter_free(filter);
        self
    }

    /// Where this user may have one. The pressure file stands for those that can kill: it needs no controller.
    pub fn grouped(&mut self) -> &mut Self {
        if cgroup().is_some() {
            group(self.cmd);
        }
        self
    }

    pub fn pre_exec(&mut self) -> &mut Self {
        extern "C" fn nothing(_: *mut c_void) -> c_int {
            0
        }
        assert_eq!(sandbox_cmd_pre_exec(self.cmd, Some(nothing), ptr::null_mut()), 0);
        self
    }

    /// Everything granted again, as far as this kernel knows it.
    pub fn landlock(&mut self) -> &mut Self {
        assert_eq!(sandbox_cmd_landlock_path(self.cmd, c"/".as_ptr(), 0xffff), 0);
        assert_eq!(sandbox_cmd_landlock_port(self.cmd, 1, 2), 0);
        assert_eq!(sandbox_cmd_landlock_path(self.cmd, c"/dev/null".as_ptr(), 0xffff), 0);
        assert_eq!(sandbox_cmd_landlock_scope(self.cmd, 3), 0);
        self.set(SANDBOX_OPT_ALLOW_LESS_LANDLOCK, 1).set(SANDBOX_OPT_LANDLOCK_LOG, 2)
    }

    /// On the host's writable root, where the program finds all it needs, and what it leaves is found.
    pub fn everything_mounted(&mut self) -> &mut Self {
        let cmd = self.cmd;
        let root = File::open("/").unwrap();
        let lowers = [c"/usr/share".as_ptr(), c"/etc".as_ptr(), ptr::null()];
        let upper = self.upper.insert(Upper::new());
        let set = [
            sandbox_cmd_root(cmd, c"/".as_ptr(), 1),
            sandbox_cmd_tmpfs(cmd, c"/media".as_ptr(), 65536, 0o755),
            sandbox_cmd_bind(cmd, c"/usr".as_ptr(), c"/media/usr".as_ptr(), 0),
            sandbox_cmd_bind(cmd, c"/not/there".as_ptr(), c"/media/not".as_ptr(), 4),
            sandbox_cmd_bind_fd(cmd, root.as_raw_fd(), c"/media/fd".as_ptr(), 0),
            sandbox_cmd_proc(cmd, c"/media/proc".as_ptr(), 2 | 8),
            sandbox_cmd_dev(cmd, c"/media/dev".as_ptr()),
            sandbox_cmd_mqueue(cmd, c"/media/mqueue".as_ptr()),
            sandbox_cmd_overlay(cmd, lowers.as_ptr(), ptr::null(), ptr::null(), c"/media/overlay".as_ptr()),
            sandbox_cmd_file(cmd, c"/media/file".as_ptr(), c"text".as_ptr().cast(), 4, 0o600),
            sandbox_cmd_dir(cmd, c"/media/a/b".as_ptr(), 0o700),
            sandbox_cmd_symlink(cmd, c"a/b".as_ptr(), c"/media/link".as_ptr()),
            sandbox_cmd_mask(cmd, c"/media/link".as_ptr()),
            sandbox_cmd_mask(cmd, c"/media/file".as_ptr()),
            sandbox_cmd_proc(cmd, c"/media/covered".as_ptr(), 16 | 32),
            sandbox_cmd_devpts(cmd, c"/media/pts".as_ptr()),
            sandbox_cmd_data(cmd, c"/media/lain".as_ptr(), c"text".as_ptr().cast(), 4, 0o600, 3),
            sandbox_cmd_data(cmd, c"/media/written".as_ptr(), c"text".as_ptr().cast(), 4, 0o600, 4),
            sandbox_cmd_chmod(cmd, c"/media/written".as_ptr(), 0o711),
            sandbox_cmd_overlay_ro(cmd, lowers.as_ptr(), c"/media/layers".as_ptr()),
            sandbox_cmd_overlay(cmd, lowers.as_ptr(), upper.path("upper").as_ptr(), upper.path("work").as_ptr(), c"/media/kept".as_ptr()),
            sandbox_cmd_remount(cmd, c"/media".as_ptr(), 0),
        ];
        assert_eq!(set, [0; 22]);
        self
    }

    pub fn spawn(&self) -> Result<*mut Child, (c_int, u32, u32, String)> {
        let (mut child, mut error) = (ptr::null_mut(), none());
        match sandbox_spawn(self.cmd, &raw mut child, &raw mut error) {
            0 => Ok(child),
            code => {
                assert!(child.is_null());
                assert_eq!(code, error.code);
                Err((-code, error.stage, error.index, message(&error)))
            }
        }
    }

    pub fn explain(&self) -> String {
        let mut text = vec![0u8; 1 << 16];
        let length = sandbox_cmd_explain(self.cmd, text.as_mut_ptr().cast(), text.len(), ptr::null_mut());
        text.truncate(usize::try_from(length).expect("explain"));
        String::from_utf8_lossy(&text).into_owned()
    }

    pub fn copy(&self) -> Wish {
        Wish { cmd: sandbox_cmd_clone(self.cmd), options: self.options.clone(), program: self.program.clone(), kept: Vec::new(), upper: None }
    }

    pub fn as_ref(&self) -> &sandbox_cmd {
        // SAFETY: a handle of ours, alive as long as this.
        unsafe { &*self.cmd }
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        sandbox_cmd_free(self.cmd);
    }
}

/// An ordinary user may ask for it whatever the host has, and whoever makes the host itself nicer meanwhile.
const NICEST: i64 = 19;

fn first_cpu() -> i64 {
    // SAFETY: a set of ours to fill and read.
    unsafe {
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        libc::sched_getaffinity(0, size_of_val(&set), &raw mut set);
        (0..63).find(|cpu| libc::CPU_ISSET(*cpu, &set)).map_or(1, |cpu| 1 << cpu)
    }
}
