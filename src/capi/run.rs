//! One run from start to end, and its result.

use crate::capi::cmd::sandbox_cmd;
use crate::cmd::Cmd;
use crate::capi::error::sandbox_error;
use crate::capi::guard::{code, give, guarded, reported};
use crate::error::{Error, Result};
use crate::process::sandbox_status;
use crate::run::{self, Outcome, Request, Run};
use nix::errno::Errno;
use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;
use std::time::Duration;

/// Bytes of the caller's.
#[repr(C)]
#[allow(non_camel_case_types)]
pub struct sandbox_bytes {
    pub data: *const c_void,
    pub length: usize,
}

/// Limits of a run. Zeroed but for `size`, nothing is limited but the output, at 16 MiB a stream.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Default)]
pub struct sandbox_run_options {
    /// sizeof(sandbox_run_options) as the caller knows it. A newer field that an older library lacks must be 0 there.
    pub size: usize,
    /// A sum of SANDBOX_RUN_*.
    pub flags: u64,
    /// The most bytes to keep of standard output; 0: 16 MiB. Kept is the beginning.
    pub stdout_limit: u64,
    /// The same for standard error.
    pub stderr_limit: u64,
    /// From the start of the program, in milliseconds; 0: no limit.
    pub wall_time_ms: u64,
    /// CPU time of the program with all its descendants, in milliseconds; 0: no limit. It is looked at as often as it
    /// could have run out, and at most every 5 ms, so it may be passed by 5 ms for each processor. Where the command has
    /// a cgroup it is that group's; else it is added up from /proc, exact to the kernel's tick (10 ms), and time of
    /// descendants whose parents ignore SIGCHLD counts only while they run.
    pub cpu_time_ms: u64,
    /// With SANDBOX_RUN_CANCEL_FD an fd that ends the run once it is readable (an eventfd, a pipe). Borrowed, not read.
    pub cancel_fd: i64,
}

/// What came out of one stream.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub struct sandbox_output {
    /// `length` bytes, with a NUL behind them that is not counted; the result's, until it is freed. Never NULL.
    pub data: *const c_void,
    pub length: usize,
    /// How many bytes beyond the limit were read and thrown away.
    pub cut: u64,
}

/// What came of one run.
#[allow(non_camel_case_types)]
pub struct sandbox_result(Outcome);

/// A run that an event loop drives. Not for several threads at once.
#[allow(non_camel_case_types)]
pub struct sandbox_running(Option<Run>);

/// What a run under way waits for; -1: nothing of the kind. The fds are the run's own.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub struct sandbox_run_wait {
    /// Readable once the program has ended.
    pub pidfd: i32,
    /// The reading ends of its outputs, until each has ended.
    pub stdout_fd: i32,
    pub stderr_fd: i32,
    /// When to look again at the latest, in milliseconds.
    pub timeout_ms: i32,
}

const USUAL_OUTPUT: usize = 16 << 20;

/// What the caller's options hold, as far as this library knows them; the rest of them must be 0.
unsafe fn options_at(options: *const sandbox_run_options) -> Result<sandbox_run_options> {
    let mut known = sandbox_run_options::default();
    if options.is_null() {
        return Ok(known);
    }
    // SAFETY: the caller's struct begins with its size.
    let size = unsafe { (*options).size };
    if !(size_of::<usize>()..=4096).contains(&size) {
        return Err(Error::setup(libc::EINVAL, format_args!("sandbox_run_options.size is {size}")));
    }
    let ours = size_of::<sandbox_run_options>().min(size);
    // SAFETY: as many bytes as the caller says, and both have.
    let rest = unsafe {
        ptr::copy_nonoverlapping(options.cast::<u8>(), (&raw mut known).cast::<u8>(), ours);
        std::slice::from_raw_parts(options.cast::<u8>().add(ours), size - ours)
    };
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Error::setup(libc::E2BIG, "sandbox_run_options asks for what this version of the library lacks"));
    }
    if known.flags & !7 != 0 {
        return Err(Error::setup(libc::EINVAL, format_args!("sandbox_run_options.flags is {:#x}", known.flags)));
    }
    Ok(known)
}

unsafe fn bytes_at<'a>(input: *const sandbox_bytes) -> Result<Option<&'a [u8]>> {
    // SAFETY: NULL, or the caller's struct.
    match unsafe { input.as_ref() } {
        None => Ok(None),
        Some(input) if input.length == 0 => Ok(Some(&[])),
        Some(input) if input.data.is_null() => Err(Error::setup(libc::EFAULT, "the input's data is NULL")),
        Some(input) if isize::try_from(input.length).is_err() => Err(Error::setup(libc::EFBIG, "the input's length")),
        // SAFETY: the caller's bytes.
        Some(input) => Ok(Some(unsafe { std::slice::from_raw_parts(input.data.cast(), input.length) })),
    }
}

/// Runs the command to its end: gives it `input`, collects its output without ever blocking it, holds the limits, ends
/// every descendant, and returns what came of it. All of it happens in the calling thread.
///
/// The program reads `input` from a sealed memfd: it may read it at any pace, seek in it, or leave it. Standard output
/// and error are collected where the command leaves them inherited or as pipes; given another way they go there, and
/// the result holds nothing of them. A terminal is refused.
///
/// The run is over when the program has ended: its descendants are then ended too, also those that became daemons or
/// hold its output open. A command without a pid namespace or a cgroup gets SANDBOX_OPT_INIT for that. Processes that
/// fork faster than an init can end them are held for sure by a pid namespace or a cgroup alone.
///
/// A program that passes a limit is ended by SIGKILL. One that ends by itself meanwhile keeps its own status.
///
/// @param input    What it reads from standard input; NULL: /dev/null. Borrowed for the call.
/// @param options  NULL: as if zeroed.
/// @param result   Set to a handle, to free with sandbox_result_free; to NULL on failure.
/// @param error    Filled on failure, zeroed on success; NULL allowed.
/// @return 0 once the program has run, however it ended; else as sandbox_spawn. -EINVAL: also a command that is traced,
///         notifies, or gives a stream both ways; -EBADF: the cancel_fd; -E2BIG: options of a newer version; -EFBIG:
///         input above the host's RLIMIT_FSIZE; -ENOMEM: the output does not fit; -ENODATA: a limit of CPU time without /proc; -ECHILD: as
///         sandbox_child_wait. After a failure nothing of it runs any more.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_run(
    cmd: *const sandbox_cmd,
    input: *const sandbox_bytes,
    options: *const sandbox_run_options,
    result: *mut *mut sandbox_result,
    error: *mut sandbox_error,
) -> c_int {
    reported(error, || {
        // SAFETY: the caller's.
        unsafe {
            let out = place(result)?;
            let (cmd, input, request) = asked(cmd, input, options)?;
            *out = result_of(run::run(cmd, input, request)?)?;
        }
        Ok(0)
    })
}

/// # Safety
/// `out` must be a pointer's place, or NULL.
unsafe fn place<'a, T>(out: *mut *mut T) -> Result<&'a mut *mut T> {
    // SAFETY: the caller's.
    let out = unsafe { out.as_mut() }.ok_or_else(|| Error::setup(libc::EFAULT, "the place for the result is NULL"))?;
    *out = ptr::null_mut();
    Ok(out)
}

/// # Safety
/// Each must be what its type says, or NULL.
unsafe fn asked<'a>(cmd: *const sandbox_cmd, input: *const sandbox_bytes, options: *const sandbox_run_options) -> Result<(&'a Cmd, Option<&'a [u8]>, Request)> {
    // SAFETY: the caller's.
    let cmd = unsafe { cmd.as_ref() }.ok_or_else(|| Error::setup(libc::EFAULT, "the command is NULL"))?;
    // SAFETY: the caller's.
    let (options, input) = unsafe { (options_at(options)?, bytes_at(input)?) };
    let most = |limit| if limit == 0 { USUAL_OUTPUT } else { usize::try_from(limit).unwrap_or(usize::MAX) };
    let time = |limit| (limit != 0).then(|| Duration::from_millis(limit));
    Ok((&cmd.0, input, Request {
        most: [most(options.stdout_limit), most(options.stderr_limit)],
        wall_time: time(options.wall_time_ms),
        cpu_time: time(options.cpu_time_ms),
        cancel: (options.flags & 4 != 0).then(|| RawFd::try_from(options.cancel_fd).unwrap_or(-1)),
        merges: options.flags & 1 != 0,
        kills_at_limit: options.flags & 2 != 0,
    }))
}

fn result_of(mut outcome: Outcome) -> Result<*mut sandbox_result> {
    for output in &mut outcome.outputs {
        output.data.try_reserve(1).map_err(|_| Error::setup(libc::ENOMEM, "the output"))?;
        output.data.push(0);
    }
    Ok(Box::into_raw(Box::new(sandbox_result(outcome))))
}

/// Starts what sandbox_run does, for an event loop: returns once the program runs. From then on sandbox_run_step does
/// what there is to do, without waiting, until the run is over.
///
/// @param cmd      As of sandbox_run, with `input` and `options`; they may go once this has returned, but for a cancel_fd.
/// @param running  Set to a handle, to free with sandbox_running_free; to NULL on failure.
/// @return As sandbox_run.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_run_start(
    cmd: *const sandbox_cmd,
    input: *const sandbox_bytes,
    options: *const sandbox_run_options,
    running: *mut *mut sandbox_running,
    error: *mut sandbox_error,
) -> c_int {
    reported(error, || {
        // SAFETY: the caller's.
        unsafe {
            let out = place(running)?;
            let (cmd, input, request) = asked(cmd, input, options)?;
            *out = Box::into_raw(Box::new(sandbox_running(Some(Run::start(cmd, input, request)?))));
        }
        Ok(0)
    })
}

/// Reads what output is there, and ends the program whose time is up. To be called again when one of the fds in `wait`
/// is readable, the cancel_fd is, or the time in it is over; to call it sooner does no harm.
///
/// @param wait    What to wait for, filled up to `size` bytes while the run is not over; NULL where `size` is 0.
/// @param size    sizeof(sandbox_run_wait) as the caller knows it.
/// @param result  Set to the result once the run is over, to free with sandbox_result_free; else to NULL.
/// @return 1: the run is over, and `running` only to be freed; 0: not yet; -EALREADY: it was over before; -EFAULT, -EINVAL
///         (a size above 4096): of the arguments; else as sandbox_run: then nothing of it runs any more.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_run_step(
    running: *mut sandbox_running,
    wait: *mut sandbox_run_wait,
    size: usize,
    result: *mut *mut sandbox_result,
    error: *mut sandbox_error,
) -> c_int {
    reported(error, || {
        // SAFETY: the caller's.
        let out = unsafe { place(result) }?;
        // SAFETY: NULL, or a handle of sandbox_run_start's.
        let running = unsafe { running.as_mut() }.ok_or_else(|| Error::setup(libc::EFAULT, "the run is NULL"))?;
        let mut run = running.0.take().ok_or_else(|| Error::setup(libc::EALREADY, "the run is over"))?;
        if run.step(false)? {
            *out = result_of(run.finish()?)?;
            return Ok(1);
        }
        let awaited = run.awaited();
        running.0 = Some(run);
        let [stdout_fd, stderr_fd] = awaited.outputs.map(|fd| fd.unwrap_or(-1));
        let timeout_ms = awaited.left.map_or(-1, |left| i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
        let told = sandbox_run_wait { pidfd: awaited.pidfd, stdout_fd, stderr_fd, timeout_ms };
        // SAFETY: the caller's struct of `size` bytes.
        unsafe { give(&told, wait, size) }.map_err(|errno| Error::setup(errno as i32, "the place for what to wait for"))?;
        Ok(0)
    })
}

/// Frees a run; NULL does nothing. One that is not over is ended first, with all that it started.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_running_free(running: *mut sandbox_running) {
    guarded((), || {
        if !running.is_null() {
            // SAFETY: a handle of sandbox_run_start's, given back once.
            drop(unsafe { Box::from_raw(running) });
        }
    });
}

fn borrow<'a>(result: *const sandbox_result) -> std::result::Result<&'a Outcome, Errno> {
    // SAFETY: NULL, or a handle of sandbox_run's or sandbox_run_step's that outlives the call.
    unsafe { result.as_ref() }.map(|result| &result.0).ok_or(Errno::EFAULT)
}

/// How the program ended and what it used, its reaped descendants included. Ended for its time, the cause is
/// SANDBOX_CAUSE_TIMEOUT; for its output, or canceled, SANDBOX_CAUSE_KILLED.
///
/// @param status  Filled up to `size` bytes.
/// @param size    sizeof(sandbox_status) as the caller knows it.
/// @return 0; -EFAULT: a NULL; -EINVAL: a size above 4096.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_result_status(result: *const sandbox_result, status: *mut sandbox_status, size: usize) -> c_int {
    // SAFETY: the caller's struct of `size` bytes.
    code(|| unsafe { give(&borrow(result)?.status, status, size) }.map(|()| 0))
}

/// What the program wrote.
///
/// @param target  1: standard output; 2: standard error, empty where it was merged.
/// @param output  Filled up to `size` bytes.
/// @param size    sizeof(sandbox_output) as the caller knows it.
/// @return 0; -EFAULT: a NULL; -EINVAL: another target, or a size above 4096.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_result_output(result: *const sandbox_result, target: c_int, output: *mut sandbox_output, size: usize) -> c_int {
    code(|| {
        let [stdout, stderr] = &borrow(result)?.outputs;
        let from = match target {
            1 => stdout,
            2 => stderr,
            _ => return Err(Errno::EINVAL),
        };
        let told = sandbox_output { data: from.data.as_ptr().cast(), length: from.data.len().saturating_sub(1), cut: from.cut };
        // SAFETY: the caller's struct of `size` bytes.
        unsafe { give(&told, output, size) }.map(|()| 0)
    })
}

/// Which limits of the run were exceeded.
///
/// @return A sum of SANDBOX_LIMIT_*, 0 for none; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_result_limits(result: *const sandbox_result) -> c_int {
    code(|| Ok(borrow(result)?.limits))
}

/// Frees a result and the output in it; NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_result_free(result: *mut sandbox_result) {
    guarded((), || {
        if !result.is_null() {
            // SAFETY: a handle of theirs, given back once.
            drop(unsafe { Box::from_raw(result) });
        }
    });
}
