//! What one spawn needs open on the host's side: the ends of pipes, a pseudoterminal, /dev/null, a pidfd of the host.

use crate::cmd::{Cmd, Stdio};
use crate::error::{Error, Result, Stage};
use crate::fd;
use crate::options::Opt;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Whether the child would find this session's terminal by /dev/tty, whatever it is given (CVE-2017-5226).
fn has_controlling_terminal() -> bool {
    let flags = libc::O_RDONLY | libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_CLOEXEC;
    // SAFETY: a constant path.
    match fd::owned(unsafe { libc::open(c"/dev/tty".as_ptr(), flags) }) {
        Ok(_) => true,
        Err(Errno::ENXIO) => false,
        // No such file here, or not for this user: the device's number is the stat file's seventh field.
        Err(_) => std::fs::read("/proc/self/stat").map_or(true, |stat| {
            let stat = String::from_utf8_lossy(&stat).into_owned();
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(4)) != Some("0")
        }),
    }
}

/// Dropped after the spawn, but for the host's ends, which go to the handle.
#[derive(Default)]
pub struct Streams {
    /// The child's end of each stream, where it has one of its own.
    pub child: [Option<RawFd>; 3],
    /// The host's end of each pipe.
    pub host: [Option<OwnedFd>; 3],
    pub pty: Option<OwnedFd>,
    /// A terminal is among what the child gets, or its host's by its session.
    pub has_terminal: bool,
    kept: Vec<OwnedFd>,
}

impl Streams {
    pub fn prepare(cmd: &Cmd) -> Result<Streams> {
        let mut streams = Streams::default();
        for target in 0..3 {
            streams.stream(cmd, target).map_err(|(errno, what)| Error::new(Stage::SANDBOX_STAGE_STDIO, target, errno as i32, what))?;
        }
        streams.has_terminal |= cmd.passed.iter().any(|(fd, _)| fd::is_terminal(fd.as_raw_fd())) || has_controlling_terminal();
        if cmd.options.is_on(Opt::SANDBOX_OPT_RANDOM_FDS) {
            streams.host = streams.host.map(|end| end.map(fd::scattered));
            streams.pty = streams.pty.map(fd::scattered);
        }
        Ok(streams)
    }

    fn stream(&mut self, cmd: &Cmd, target: usize) -> std::result::Result<(), (Errno, &'static str)> {
        let number = RawFd::try_from(target).unwrap_or(0);
        match cmd.stdio.get(target) {
            Some(Stdio::Inherit) | None if fd::is_terminal(number) => self.has_terminal = true,
            Some(Stdio::Inherit) | None if Errno::last() != Errno::EBADF => {} // open, but no terminal
            Some(Stdio::Inherit | Stdio::Null) | None => self.null(target).map_err(|errno| (errno, "open /dev/null"))?,
            Some(Stdio::Pipe) => self.pipe(target).map_err(|errno| (errno, "make a pipe"))?,
            Some(Stdio::Fd(fd)) => self.has_terminal |= fd::is_terminal(fd.as_raw_fd()),
            Some(Stdio::Pty) => self.terminal(target).map_err(|errno| (errno, "make a pseudoterminal"))?,
        }
        Ok(())
    }

    /// Holds `fd` open until the child has its copy.
    pub fn keep(&mut self, fd: OwnedFd) -> RawFd {
        let number = fd.as_raw_fd();
        self.kept.push(fd);
        number
    }

    fn give(&mut self, target: usize, fd: OwnedFd) {
        let number = self.keep(fd);
        if let Some(place) = self.child.get_mut(target) {
            *place = Some(number);
        }
    }

    fn null(&mut self, target: usize) -> nix::Result<()> {
        // SAFETY: a constant path.
        let null = fd::owned(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC | libc::O_NOCTTY) })?;
        self.give(target, null);
        Ok(())
    }

    fn pipe(&mut self, target: usize) -> nix::Result<()> {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let (read, write) = (fd::above_stdio(read)?, fd::above_stdio(write)?);
        let (child, host) = if target == 0 { (read, write) } else { (write, read) };
        self.give(target, child);
        if let Some(place) = self.host.get_mut(target) {
            *place = Some(host);
        }
        Ok(())
    }

    /// One for all the streams that ask. The child's side is opened by the master's own ioctl: /dev/pts need not be there.
    fn terminal(&mut self, target: usize) -> nix::Result<()> {
        if self.pty.is_none() {
            // SAFETY: no pointers.
            self.pty = Some(fd::owned(unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) })?);
        }
        let Some(master) = self.pty.as_ref().map(AsRawFd::as_raw_fd) else { return Ok(()) };
        let unlocked: libc::c_int = 0;
        // SAFETY: the kernel reads one int of ours.
        if unsafe { libc::ioctl(master, libc::TIOCSPTLCK, &raw const unlocked) } < 0 {
            return Err(Errno::last());
        }
        // SAFETY: TIOCGPTPEER takes flags and gives an fd.
        let child = fd::owned(unsafe { libc::ioctl(master, libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) })?;
        self.give(target, child);
        Ok(())
    }

    /// A pidfd of this process, for a child that must see it end.
    pub fn host_pidfd(&mut self) -> Result<RawFd> {
        // SAFETY: no pointers.
        let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
        let pidfd = fd::owned(RawFd::try_from(pidfd).unwrap_or(-1)).map_err(|errno| Error::setup(errno as i32, "pidfd of the host"))?;
        Ok(self.keep(pidfd))
    }
}
