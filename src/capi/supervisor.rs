//! Supervising: answering the system calls that a filter's SANDBOX_ACT_NOTIFY asks about.

use crate::capi::child::{borrow as child_of, sandbox_child};
use crate::capi::guard::{code, give, guarded, text};
use crate::fd;
use crate::notify::{Answer, Handler, Notify, Supervisor};
use crate::process::sandbox_fd;
use crate::seccomp::bpf::sandbox_syscall;
use nix::errno::Errno;
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;

/// Answers the notified system calls of a child and of all that it starts. Several threads may dispatch at once; a
/// handler that takes its time then does not stop the others. Freed, or with its host ended, it leaves every such call,
/// pending or to come, denied with ENOSYS.
#[allow(non_camel_case_types)]
pub struct sandbox_supervisor(Supervisor);

/// One notified system call, in a handler: not to be used once the handler has returned, unless sandbox_notify_keep was
/// called.
///
/// The caller waits, but other threads of its process do not: whatever its pointers point to may change at any moment.
/// So read it once, decide on the copy, do with the copy what the call would have done, and answer with the result.
/// To look at the memory and then let the call go on is no check at all.
#[allow(non_camel_case_types)]
pub struct sandbox_notify {
    /// Only ever a pointer to a `Notify`.
    _opaque: (),
}

/// Decides about one call. It gives one answer: sandbox_notify_errno, _return, _continue_unsafe or _fd; without one the
/// call is denied with ENOSYS (unless sandbox_notify_keep puts the answer off). May be called from several threads at
/// once.
///
/// Return 0 or more; below 0: sandbox_supervisor_run or _dispatch returns it. -ESRCH is no error where the caller has
/// indeed gone, so what the functions here return can be passed on.
#[allow(non_camel_case_types)]
pub type sandbox_notify_fn = Option<extern "C" fn(n: *mut sandbox_notify, userdata: *mut c_void) -> c_int>;

struct Userdata(*mut c_void);
// SAFETY: never looked at here; that handlers may be called from any thread that dispatches, their docs say.
unsafe impl Send for Userdata {}
// SAFETY: as above.
unsafe impl Sync for Userdata {}

impl Userdata {
    fn get(&self) -> *mut c_void {
        self.0
    }
}

fn borrow<'a>(sup: *const sandbox_supervisor) -> Result<&'a Supervisor, Errno> {
    // SAFETY: NULL, or a handle of ours that outlives the call.
    unsafe { sup.as_ref() }.map(|sup| &sup.0).ok_or(Errno::EFAULT)
}

fn notify<'a>(n: *const sandbox_notify) -> Result<&'a Notify, Errno> {
    // SAFETY: NULL, or what a handler was called with and has not returned from, or has kept.
    unsafe { n.cast::<Notify>().as_ref() }.ok_or(Errno::EFAULT)
}

/// # Safety
/// `pointer` must be good for `size` bytes, or NULL.
unsafe fn bytes<'a>(pointer: *mut c_void, size: usize) -> Result<&'a mut [u8], Errno> {
    match (pointer.is_null(), isize::try_from(size)) {
        (_, Err(_)) => Err(Errno::EINVAL),
        (_, Ok(0)) => Ok(&mut []),
        (true, _) => Err(Errno::EFAULT),
        // SAFETY: the caller's.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts_mut(pointer.cast(), size) }),
    }
}

/// Text and its NUL; gives the length.
fn fill(buffer: &mut [u8], text: &[u8]) -> Result<c_int, Errno> {
    buffer.fill(0);
    let length = c_int::try_from(text.len()).map_err(|_| Errno::ENAMETOOLONG)?;
    let place = buffer.get_mut(..=text.len()).and_then(|place| place.split_last_mut()).ok_or(Errno::ENAMETOOLONG)?;
    place.1.copy_from_slice(text);
    Ok(length)
}

fn make(supervisor: impl FnOnce() -> Result<Supervisor, Errno>) -> *mut sandbox_supervisor {
    guarded(ptr::null_mut(), || supervisor().map_or(ptr::null_mut(), |made| Box::into_raw(Box::new(sandbox_supervisor(made)))))
}

fn answered(answer: Result<Answer, Errno>) -> Result<c_int, Errno> {
    answer.map(|answer| (answer == Answer::Gone).into())
}

/// A supervisor of `child`: takes its seccomp fd out of the handle. The child may be freed before it.
///
/// @return A handle to free with sandbox_supervisor_free; NULL where `child` is NULL, none of its filters notifies, the
///         fd was taken, or no fd is left.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_supervisor_new(child: *mut sandbox_child) -> *mut sandbox_supervisor {
    make(|| {
        let child = child_of(child)?;
        let pidfd = child.copy_pidfd()?;
        let listener = child.take_fd(sandbox_fd::SANDBOX_FD_SECCOMP as u32)?;
        // SAFETY: taken: now ours.
        Supervisor::new(unsafe { OwnedFd::from_raw_fd(listener) }, Some(pidfd))
    })
}

/// A supervisor for a listener that came from elsewhere: SECCOMP_FILTER_FLAG_NEW_LISTENER of seccomp(2).
///
/// @param listener  Borrowed: a duplicate is kept. Close yours, or pending calls wait on when this supervisor is freed.
/// @param pidfd     Of the program's first process, if that is a child of the calling process; -1: none. Before Linux
///                  6.11 a child keeps its filter until it is reaped: this tells its end. Borrowed.
/// @return A handle to free with sandbox_supervisor_free; NULL: no listener, or no fd is left.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_supervisor_from_fd(listener: c_int, pidfd: c_int) -> *mut sandbox_supervisor {
    make(|| {
        let pidfd = if pidfd == -1 { None } else { Some(fd::duplicate(pidfd, 3)?) };
        Supervisor::new(fd::duplicate(listener, 3)?, pidfd)
    })
}

/// Frees a supervisor; NULL does nothing. No thread may be dispatching. Calls that wait for it get ENOSYS.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_supervisor_free(sup: *mut sandbox_supervisor) {
    guarded((), || {
        if !sup.is_null() {
            // SAFETY: a handle of ours, given back once.
            drop(unsafe { Box::from_raw(sup) });
        }
    });
}

/// Has `fn` called for a system call. Handlers may be set while other threads dispatch; one that runs is not waited for.
///
/// @param syscall   Its name, for every architecture that has it; or its number on the native one, in decimal. NULL: all
///                  that have no handler of their own. (A 32-bit x86 program may make its socket calls through
///                  socketcall: those come under that name.)
/// @param fn        NULL: takes the handler away again. What has none is denied with ENOSYS.
/// @param userdata  Passed on as it is.
/// @return 0; -EINVAL: no system call of that name; -EFAULT: `sup` is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_supervisor_on(sup: *mut sandbox_supervisor, syscall: *const c_char, r#fn: sandbox_notify_fn, userdata: *mut c_void) -> c_int {
    code(|| {
        let sup = borrow(sup)?;
        // SAFETY: the caller's string.
        let name = if syscall.is_null() { None } else { Some(unsafe { text(syscall) }?.to_str().map_err(|_| Errno::EINVAL)?) };
        let userdata = Userdata(userdata);
        let handler = r#fn.map(|call| -> Handler { Arc::new(move |n| call((&raw const *n).cast_mut().cast(), userdata.get())) });
        sup.on(name, handler).map(|()| 0)
    })
}

/// The listener, for poll or epoll, level-triggered: POLLIN: sandbox_supervisor_dispatch has something to answer;
/// POLLHUP: the last program under the filter has ended. (Before Linux 6.11 it counts until it is reaped: an event loop
/// watches the child's pidfd as well, and waits for it.) Still the supervisor's: do not close it, nor read from it.
///
/// @return The fd; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_supervisor_fd(sup: *const sandbox_supervisor) -> c_int {
    code(|| Ok(borrow(sup)?.fd()))
}

/// Waits for a call, then answers what is pending, 1024 calls at most.
///
/// @param timeout_ms  How long to wait for the first, in milliseconds; -1: for ever; 0: only look.
/// @return How many calls were answered, those among them whose caller had gone by then; 0: the time is over, or the last
///         program has ended: see sandbox_supervisor_ended. Below 0: what a handler returned; -EINVAL: a timeout below
///         -1; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_supervisor_dispatch(sup: *mut sandbox_supervisor, timeout_ms: i64) -> c_int {
    code(|| Ok(borrow(sup)?.dispatch(timeout_ms).unwrap_or_else(|failure| failure)))
}

/// Answers calls until the last program under the filter has ended: the child and all that it started. Several threads
/// may run at once: each returns.
///
/// Before Linux 6.11, where a child that nobody has waited for yet counts as running, it ends with the child; what the
/// child left behind can be answered by sandbox_supervisor_dispatch.
///
/// @return 0; below 0: what a handler returned; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_supervisor_run(sup: *mut sandbox_supervisor) -> c_int {
    code(|| Ok(borrow(sup)?.run().map_or_else(|failure| failure, |()| 0)))
}

/// Whether the last program under the filter has ended, with nothing left to answer; when sandbox_supervisor_run returns.
///
/// @return 1: so it is; 0: not yet; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_supervisor_ended(sup: *const sandbox_supervisor) -> c_int {
    code(|| borrow(sup)?.has_ended().map(c_int::from))
}

/// The call: architecture, number, arguments.
///
/// @param call  Filled up to `size` bytes.
/// @param size  sizeof(sandbox_syscall) as the caller knows it.
/// @return 0; -EFAULT: a NULL; -EINVAL: no such size.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_call(n: *const sandbox_notify, call: *mut sandbox_syscall, size: usize) -> c_int {
    // SAFETY: the caller's struct of `size` bytes.
    code(|| unsafe { give(notify(n)?.call(), call, size) }.map(|()| 0))
}

/// Puts the answer off: the notification may then be used, and answered, after its handler has returned, from any
/// thread, until sandbox_notify_free. For event loops, whose handlers end later than they return; until the answer the
/// caller waits.
///
/// The listener stays open with it: free it before the supervisor, or calls that come later wait too.
///
/// @return 0: now it is the handler's to free; -EALREADY: it was kept before; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_keep(n: *mut sandbox_notify) -> c_int {
    code(|| {
        notify(n)?.keep()?;
        // SAFETY: what handlers are given lives in an Arc; this share is what sandbox_notify_free gives back.
        unsafe { Arc::increment_strong_count(n.cast::<Notify>().cast_const()) };
        Ok(0)
    })
}

/// Frees a notification that was kept, and none other; NULL does nothing. One without an answer is denied with ENOSYS.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_free(n: *mut sandbox_notify) {
    guarded((), || {
        if !n.is_null() {
            // SAFETY: the share that sandbox_notify_keep took, given back once.
            unsafe { Arc::from_raw(n.cast::<Notify>().cast_const()) }.finish();
        }
    });
}

/// The process that made the call, as the host sees it.
///
/// @return Its id; -ESRCH: it has gone, or the host's pid namespace does not have it; -EALREADY: it was answered; -ENOSYS:
///         the host has no /proc of its own pid namespace; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_pid(n: *mut sandbox_notify) -> libc::pid_t {
    code(|| notify(n)?.pid())
}

/// The thread that made the call. To open anything of /proc by it: open, then sandbox_notify_check, then use.
///
/// @return Its id; -ESRCH: the host's pid namespace does not have it; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_tid(n: *const sandbox_notify) -> libc::pid_t {
    code(|| notify(n)?.tid())
}

/// A pidfd of the process that made the call: surely its own. The notification's: closed when the handler returns.
///
/// @return The fd; errors as of sandbox_notify_pid; -EMFILE.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_pidfd(n: *mut sandbox_notify) -> c_int {
    code(|| notify(n)?.pidfd())
}

/// Whether the caller still waits. What was learned by its id before is its own only if it does so afterwards.
///
/// @return 0; -ESRCH: it has ended, or a signal interrupted the call; -EALREADY: it was answered; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_check(n: *const sandbox_notify) -> c_int {
    code(|| notify(n)?.check().map(|()| 0))
}

/// Answer: the call fails with `errnum`.
///
/// @param errnum  1 to 4095, outside 512 to 531, which are the kernel's own.
/// @return 0; 1: the caller has gone, what was done for it is to be undone; -EINVAL: out of range, the call still wants
///         an answer; -EALREADY: it has one; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_errno(n: *mut sandbox_notify, errnum: c_int) -> c_int {
    code(|| answered(notify(n)?.fail(errnum)))
}

/// Answer: the call returns `value`.
///
/// @param value  As the kernel gives it to the program: -1 to -4095 are error numbers. -512 to -531 are refused.
/// @return As sandbox_notify_errno.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_return(n: *mut sandbox_notify, value: i64) -> c_int {
    code(|| answered(notify(n)?.give(value)))
}

/// Answer: the kernel carries out the call. It looks at the arguments anew: what they point to may have changed since a
/// handler read it. So this is safe only where the call would do no harm whatever its pointers hold.
///
/// @return 0; 1: the caller has gone; -EALREADY; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_continue_unsafe(n: *mut sandbox_notify) -> c_int {
    code(|| answered(notify(n)?.go_on()))
}

/// Answer: installs `fd` in the caller and lets the call return its number there, in one step (Linux 5.14).
///
/// @param fd       Borrowed: close yours when it is no longer needed.
/// @param cloexec  Not 0: close-on-exec in the caller.
/// @return 0; 1: the caller has gone; -EBADF: no such fd; -EMFILE: the caller has no room for it. After an error but
///         -EALREADY the call still wants an answer. -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_fd(n: *mut sandbox_notify, fd: c_int, cloexec: c_int) -> c_int {
    code(|| answered(notify(n)?.give_fd(fd, cloexec != 0)))
}

/// Installs `fd` in the caller without answering: for calls that make several, as pipe and socketpair.
///
/// @param fd      Borrowed.
/// @param target  Its number in the caller, where what was open is closed; -1: the lowest that is free.
/// @return Its number in the caller; -EBADF; -EMFILE; -EINVAL: a target below -1; -ESRCH: the caller has gone; -EALREADY;
///         -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_add_fd(n: *mut sandbox_notify, fd: c_int, target: c_int, cloexec: c_int) -> c_int {
    code(|| notify(n)?.add_fd(fd, target, cloexec != 0))
}

/// A copy of an fd of the caller's, to do with it what the call would have done: connect its socket, say. The open file is
/// shared: what blocks on it blocks the handler.
///
/// @param fd  Its number in the caller.
/// @return An fd, close-on-exec, yours to close; -EBADF: the caller has no such fd; -ESRCH: it has gone; -EPERM: the host
///         may not trace it; -EOPNOTSUPP: before Linux 6.9, of a thread with fds of its own; -EMFILE; -EALREADY;
///         -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_get_fd(n: *mut sandbox_notify, fd: c_int) -> c_int {
    code(|| notify(n)?.take_fd(fd).map(IntoRawFd::into_raw_fd))
}

/// Copies the caller's memory. The copy is what to decide on, and to act on: another thread may change the original.
///
/// @param buffer  Filled with `size` bytes; zeros on failure.
/// @return 0; -EFAULT: a NULL, or not all of it is readable memory of the caller's; -ESRCH: the caller has gone; -EPERM: the
///         host may not trace it; -EALREADY: it was answered.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_read(n: *mut sandbox_notify, address: u64, buffer: *mut c_void, size: usize) -> c_int {
    // SAFETY: the caller's buffer.
    code(|| notify(n)?.read(address, unsafe { bytes(buffer, size) }?).map(|()| 0))
}

/// Writes to the caller's memory, where it may itself write.
///
/// @return 0; -EFAULT: a NULL, or not all of it is writable memory of the caller's; other errors as of
///         sandbox_notify_read, and -ENOSYS as of sandbox_notify_pid. On failure a part may have been written.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_write(n: *mut sandbox_notify, address: u64, data: *const c_void, size: usize) -> c_int {
    // SAFETY: the caller's bytes, only read.
    code(|| notify(n)?.write(address, unsafe { bytes(data.cast_mut(), size) }?).map(|()| 0))
}

/// Copies a string of the caller's.
///
/// @param buffer  Filled with the string and its NUL; an empty string on failure.
/// @param size    Of `buffer`, in bytes; PATH_MAX for paths.
/// @return Its length; -ENAMETOOLONG: no NUL within `size` bytes; other errors as of sandbox_notify_read.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_string(n: *mut sandbox_notify, address: u64, buffer: *mut c_char, size: usize) -> c_int {
    code(|| {
        // SAFETY: the caller's buffer.
        let buffer = unsafe { bytes(buffer.cast(), size.min(c_int::MAX as usize)) }?;
        notify(n)?.string(address, buffer).map(|length| length as c_int)
    })
}

/// Copies a socket address of the caller's, as connect, bind and sendto take it: argument 1 or 4 and the length after it.
///
/// @param address  The argument that points to it.
/// @param length   The argument that says how long it is, in bytes.
/// @param buffer   Filled with it, the rest with zeros; a struct sockaddr_storage holds any.
/// @return Its length, which may be 0; -EINVAL: a length that the kernel refuses; -ENOBUFS: `size` is less; other errors
///         as of sandbox_notify_read.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_sockaddr(n: *mut sandbox_notify, address: u64, length: u64, buffer: *mut c_void, size: usize) -> c_int {
    // SAFETY: the caller's buffer.
    code(|| notify(n)?.sockaddr(address, length, unsafe { bytes(buffer, size) }?).map(|length| length as c_int))
}

/// Where a path argument leads: the path from the caller's root, without links, "." and "..". Of what does not exist, but
/// whose directory does, the path that it would have.
///
/// A name, to decide by or to log: the tree may change under it. To act on the file use sandbox_notify_open or
/// sandbox_notify_parent. It is resolved with the rights of the caller or the host's, whichever are less.
///
/// @param dirfd    The argument that names the directory for relative paths; AT_FDCWD.
/// @param address  The argument that points to the path.
/// @param flags    0, or of AT_SYMLINK_NOFOLLOW (a link at the path's end is meant itself) and AT_EMPTY_PATH ("" is what
///                 `dirfd` is).
/// @param buffer   Filled with the path and its NUL.
/// @return Its length; -ENOENT, -ENOTDIR, -ELOOP, -EACCES, -EBADF: as the call would fail, and -ELOOP for links of /proc
///         that lead where no name does (/proc/self/fd/0); -EXDEV: it passes a directory that the caller's root does not
///         lead to; -ENAMETOOLONG; -EINVAL: unknown flags; other errors as of sandbox_notify_read.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_path(n: *mut sandbox_notify, dirfd: c_int, address: u64, flags: u64, buffer: *mut c_char, size: usize) -> c_int {
    code(|| {
        // SAFETY: the caller's buffer.
        let buffer = unsafe { bytes(buffer.cast(), size) }?;
        let flags = c_int::try_from(flags).map_err(|_| Errno::EINVAL)?;
        fill(buffer, &notify(n)?.path(dirfd, address, flags)?)
    })
}

/// Opens what openat with these arguments would open for the caller: below its root, with its umask and, for a new file,
/// its owner. Then look at what was opened (fstat), not at the path, and answer by sandbox_notify_fd.
///
/// Of a host with more rights than the caller's they are not used: owner, group and mode are judged for the caller, an
/// access list (acl) is left to the file's owner. What is not judged: the caller's Landlock rules, and what a file system
/// decides by the capabilities of who opens (sysfs, cgroup): refuse those paths yourself. Of /proc only the caller's own
/// directory is opened, and what is nobody's where the host has no more rights than it; never for writing.
///
/// It does not block: a FIFO without a writer is opened for reading at once, one without a reader fails with -ENXIO. So
/// does /dev/tty, which would be the host's terminal; no terminal becomes the host's controlling one.
///
/// @param dirfd    As of sandbox_notify_path.
/// @param address  The argument that points to the path.
/// @param flags    The argument with O_*; unknown ones are passed over, as openat does. The fd is always close-on-exec.
/// @param mode     The argument with the mode of a new file.
/// @return An fd, yours to close; -errno as openat's, and errors as of sandbox_notify_path.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_open(n: *mut sandbox_notify, dirfd: c_int, address: u64, flags: u64, mode: u64) -> c_int {
    // In the kernel an int and an umode_t, whatever the rest of the registers holds.
    code(|| notify(n)?.open(dirfd, address, flags as u32 as c_int, mode as u32).map(IntoRawFd::into_raw_fd))
}

/// The directory of what a path argument names, and the name in it, for calls that make, rename or remove: mkdirat(fd,
/// name, ...) then does it where the caller meant it. A link of that name is not followed: use flags to the same end.
///
/// @param dirfd    As of sandbox_notify_path.
/// @param address  The argument that points to the path.
/// @param name     Filled with the name and its NUL.
/// @param size     Of `name`, in bytes; NAME_MAX + 1 holds any.
/// @return An O_PATH fd, yours to close, of a directory that the caller may write to; -EINVAL: the path ends in "." or "..",
///         or is "/"; -ENAMETOOLONG; errors as of sandbox_notify_path.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_notify_parent(n: *mut sandbox_notify, dirfd: c_int, address: u64, name: *mut c_char, size: usize) -> c_int {
    code(|| {
        // SAFETY: the caller's buffer.
        let buffer = unsafe { bytes(name.cast(), size) }?;
        let (directory, entry) = notify(n)?.parent(dirfd, address)?;
        fill(buffer, &entry).map(|_| directory.into_raw_fd())
    })
}
