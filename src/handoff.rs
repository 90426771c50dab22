//! The seccomp listener's way to the host: pidfd_getfd out of the held child; where that is refused, a message through
//! a socket, if the filter lets the child send one.

use crate::closed;
use crate::diagnose::{Refused, diagnose};
use crate::error::{Error, Result, Stage};
use crate::fd;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

fn failed(errno: Errno, what: &str) -> Error {
    Error::new(Stage::SANDBOX_STAGE_HANDOFF, 0, errno as i32, what)
}

/// A socket for the child to send through: host's end, child's end.
pub fn socket() -> Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: two ints of ours.
    if unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) } < 0 {
        return Err(failed(Errno::last(), "a socket for the listener"));
    }
    let [host, child] = ends.map(|end| fd::owned(end).map_err(|errno| failed(errno, "a socket for the listener")));
    Ok((host?, child?))
}

/// pidfd_getfd asks for the right to trace: not given on a memory that is not dumpable, nor under Yama 2 and 3.
pub fn may_take_fds() -> bool {
    let is_dumpable = closed::is_open();
    // A security module comes with the kernel: one that is not there now never will be.
    static LACKS_YAMA: AtomicBool = AtomicBool::new(false);
    let is_admin_only = || {
        let scope = std::fs::read("/proc/sys/kernel/yama/ptrace_scope");
        if scope.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            LACKS_YAMA.store(true, Relaxed);
        }
        scope.is_ok_and(|scope| scope.first().is_some_and(|scope| *scope >= b'2'))
    };
    is_dumpable && (LACKS_YAMA.load(Relaxed) || !is_admin_only())
}

/// Takes `fd` out of the child.
pub fn take(pidfd: RawFd, number: RawFd) -> Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd, number, 0) };
    fd::owned(RawFd::try_from(fd).unwrap_or(-1)).map_err(|errno| {
        failed(errno, "pidfd_getfd of the listener").hint(diagnose(&Refused::Trace, errno as i32))
    })
}

/// Takes the next fd that the child sent, or its init is about to, unless none is to be expected any more.
pub fn receive(socket: &OwnedFd, is_over: impl Fn() -> bool) -> Result<OwnedFd> {
    while fd::wait_readable(socket.as_raw_fd(), 100) != Ok(true) && !is_over() {}

    let mut byte = 0u8;
    let mut vector = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut control = [0u64; 4];
    // SAFETY: all-zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: the message names buffers of ours.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT) };
    if received < 0 {
        return Err(failed(Errno::last(), "the listener's message"));
    }
    // SAFETY: the kernel filled the control buffer; an fd's data is one int.
    let number = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS { -1 } else { libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned() }
    };
    if number < 0 {
        // There is room for it in the message: what the kernel found none for is the fd.
        let errno = if message.msg_flags & libc::MSG_CTRUNC != 0 { Errno::EMFILE } else { Errno::EBADMSG };
        return Err(failed(errno, "the listener's message"));
    }
    fd::owned(number).map_err(|errno| failed(errno, "the listener's message"))
}

/// The most fds of one message: SCM_MAX_FD.
pub(crate) const MOST: usize = 253;

/// Sends `fds` to a held child: at least one message, as many as it takes.
pub fn send(socket: &OwnedFd, fds: &[RawFd]) -> std::result::Result<(), Errno> {
    let mut rest = fds;
    loop {
        let (now, later) = rest.split_at(rest.len().min(MOST));
        rest = later;
        let mut byte = 0u8;
        let mut vector = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        let mut control = [0u64; 2 + (MOST + 1) / 2];
        // SAFETY: all-zero is a valid msghdr.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        if !now.is_empty() {
            let size = u32::try_from(size_of_val(now)).unwrap_or(0);
            // SAFETY: the control buffer has room for the head and as many fds as there are.
            unsafe {
                message.msg_control = control.as_mut_ptr().cast();
                message.msg_controllen = libc::CMSG_SPACE(size) as _;
                let header = libc::CMSG_FIRSTHDR(&raw const message);
                (*header).cmsg_level = libc::SOL_SOCKET;
                (*header).cmsg_type = libc::SCM_RIGHTS;
                (*header).cmsg_len = libc::CMSG_LEN(size) as _;
                std::ptr::copy_nonoverlapping(now.as_ptr(), libc::CMSG_DATA(header).cast(), now.len());
            }
        }
        // SAFETY: the message names buffers of ours.
        while unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) } < 0 {
            if Errno::last() != Errno::EINTR {
                return Err(Errno::last());
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// A signal can be sent through a pidfd, and through no other kind of fd; signal 0 is none.
pub fn is_pidfd(fd: &OwnedFd) -> bool {
    // SAFETY: no pointers but NULL.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), 0, std::ptr::null::<u8>(), 0) == 0 || Errno::last() != Errno::EBADF }
}
