//! A process of its own for a test.

use super::*;

const ALONE: &str = "SANDBOX_TEST_ALONE";

/// Runs `body` on the first thread of a process of its own: this program once more, with one test. There nothing of
/// another test's disturbs a count.
pub fn alone<F: FnOnce()>(body: F) {
    alone_with(&[], body);
}

/// The same below another program: `strace -f`, say.
pub fn alone_with<F: FnOnce()>(wrapper: &[&str], body: F) {
    if env::var_os(ALONE).is_some() {
        // SAFETY: glibc's own; one arena: another one's growth would look like a leaked mapping.
        #[cfg(target_env = "gnu")]
        unsafe { libc::mallopt(-8, 1) };
        return on_a_first_thread(body);
    }
    let name = std::any::type_name::<F>().replace("::{{closure}}", "");
    let name = name.split_once("::").map_or(name.as_str(), |(_, name)| name).to_owned();
    let this = env::current_exe().unwrap();
    let mut command = match wrapper.split_first() {
        Some((program, args)) => {
            let mut command = Command::new(program);
            command.args(args).arg(this);
            command
        }
        None => Command::new(this),
    };
    let mut child = command
        .args(["--exact", &name, "--test-threads=1", "--nocapture"])
        .env(ALONE, "1")
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let read = |from: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            from.map(|mut from| from.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let out = read(child.stdout.take().map(|out| Box::new(out) as _));
    let err = read(child.stderr.take().map(|err| Box::new(err) as _));
    let until = Instant::now() + Duration::from_secs(240);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() > until => {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    // A program that outlived it may hold the pipes: what it said is read only where it has ended by itself.
    let Some(status) = status else { panic!("{name}: hangs") };
    let (out, err) = (out.join().unwrap(), err.join().unwrap());
    assert!(status.success() && out.contains("1 passed"), "{name} alone: {status}\n{out}\n{err}");
    print!("{out}");
}

/// A test's thread is never its process's first one: a fork's is.
fn on_a_first_thread(body: impl FnOnce()) {
    // SAFETY: the one other thread, the test harness's first, waits for this one.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: no pointers.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_err();
            // SAFETY: ends this process without the harness's exit handlers.
            unsafe { libc::_exit(failed.into()) }
        }
        pid => {
            let mut status = -1;
            // SAFETY: a status of ours to fill.
            unsafe { libc::waitpid(pid, &raw mut status, 0) };
            assert_eq!(status, 0, "the process of the test's own failed");
        }
    }
}
