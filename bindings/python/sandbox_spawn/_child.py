"""A running child, as subprocess.Popen has it."""
from __future__ import annotations

import asyncio
import io
import os
import select
import signal
import threading
import time
from typing import IO, Any, Callable, Optional, Sequence, Tuple, Union

from ._command import Command, Text, command_of
from ._errors import SandboxError, check, error_of
from ._library import ffi, lib
from ._types import PIPE, Status, status_of

_ETIMEDOUT, _ESRCH = -110, -3


def _keeper(owner: int) -> Any:
    """Frees a handle; but a forked copy of this process does not end what is its parent's."""

    def free(child: Any) -> None:
        if os.getpid() == owner:
            lib.sandbox_child_free(child)

    return free


class Child:
    """Starts a command and holds it.

    >>> with Child(["cat"], stdin=PIPE, stdout=PIPE) as child:
    ...     child.stdin.write(b"hello"); child.stdin.close()
    ...     child.stdout.read(), child.wait()

    ``args``: a :class:`Command`, or an argument list with the keywords of one. Returns once exec has happened: what fails
    before is a :class:`SandboxError`, never an exit code.

    ``stdin``, ``stdout`` and ``stderr`` are binary files for those of the streams that are PIPE (with ``text`` or
    ``encoding``, text files), ``pty`` is one for a pseudoterminal. Left, by ``with`` or by the garbage collector, a child
    that still runs is killed and reaped.
    """

    def __init__(self, args: "Union[Command, Text, Sequence[Text]]", *, text: bool = False, encoding: "Optional[str]" = None,
                 errors: "Optional[str]" = None, **how: Any) -> None:
        self._child: Any = None
        command = command_of(args, how)
        self._begin(command, lambda out, error: lib.sandbox_spawn(command._cmd, out, error), text, encoding, errors)

    def _begin(self, command: Command, spawn: "Callable[[Any, Any], int]", text: bool, encoding: "Optional[str]", errors: "Optional[str]") -> None:
        self._status: "Optional[Status]" = None
        out, error = ffi.new("sandbox_child **"), ffi.new("sandbox_error *")
        if spawn(out, error) < 0:
            raise command.fail(error)
        self._child = ffi.gc(out[0], _keeper(os.getpid()))
        self.command = command
        self.pid: int = lib.sandbox_child_pid(self._child)
        fds = ffi.new("sandbox_fds *")
        check(lib.sandbox_child_fds(self._child, fds, ffi.sizeof("sandbox_fds")))
        #: The handle's own: still open until :meth:`close`.
        self.pidfd: int = fds.pidfd
        self._waits_for_exec = fds.seccomp_fd >= 0
        text = text or encoding is not None or errors is not None

        def stream(which: int, mode: str) -> Any:
            fd = lib.sandbox_child_take_fd(self._child, which)
            if fd < 0:
                return None
            binary = io.open(fd, mode)
            if not text:
                return binary
            return io.TextIOWrapper(binary, encoding=encoding, errors=errors, write_through=mode == "wb")

        self.stdin: "Optional[IO[Any]]" = stream(lib.SANDBOX_FD_STDIN, "wb")
        self.stdout: "Optional[IO[Any]]" = stream(lib.SANDBOX_FD_STDOUT, "rb")
        self.stderr: "Optional[IO[Any]]" = stream(lib.SANDBOX_FD_STDERR, "rb")
        pty = lib.sandbox_child_take_fd(self._child, lib.SANDBOX_FD_PTY)
        self.pty: "Optional[IO[bytes]]" = io.open(pty, "r+b", buffering=0) if pty >= 0 else None

    def _handle(self) -> Any:
        child = self._child
        if child is None:
            raise ValueError("the child is closed")
        return child

    def _look(self) -> "Optional[Status]":
        """The status, if it has ended."""
        if self._status is None:
            status = ffi.new("sandbox_status *")
            code = lib.sandbox_child_wait(self._handle(), 0, status, ffi.sizeof("sandbox_status"))
            if code == _ETIMEDOUT:
                return None
            check(code)
            self._status = status_of(status)
        return self._status

    def poll(self) -> "Optional[Status]":
        """The status, or None while it runs."""
        return self._look()

    @property
    def status(self) -> "Optional[Status]":
        """What the last wait or poll found."""
        return self._status

    @property
    def returncode(self) -> "Optional[int]":
        """As subprocess has it; None until a wait or poll found the end."""
        return None if self._status is None else self._status.returncode

    def wait(self, timeout: "Optional[float]" = None) -> Status:
        """Waits for the end; TimeoutError after ``timeout`` seconds. Signal handlers of Python's run meanwhile."""
        until = None if timeout is None else time.monotonic() + timeout
        self._look()
        poll = select.poll()
        if self._status is None:
            poll.register(self.pidfd, select.POLLIN)
        while True:
            status = self._look()
            if status is not None:
                return status
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"{self!r} still runs after {timeout} s")
            # One whose exec a supervisor has not let happen yet may fail without ending by itself.
            slice_ms = 100 if self._waits_for_exec else None
            if left is not None:
                slice_ms = min(int(left * 1000) + 1, slice_ms or 1 << 30)
            if poll.poll(slice_ms):
                if self._look() is None:
                    time.sleep(0.001)  # ended, but a tracer still holds it

    async def wait_async(self, timeout: "Optional[float]" = None) -> Status:
        """The same for asyncio: no thread, the loop watches the pidfd."""
        loop = asyncio.get_running_loop()
        status = self._look()
        if status is not None:
            return status
        until = None if timeout is None else loop.time() + timeout
        fd = os.dup(self.pidfd)  # several may wait at once
        ended = loop.create_future()
        loop.add_reader(fd, lambda: None if ended.done() else ended.set_result(None))
        try:
            while True:
                status = self._look()
                if status is not None:
                    return status
                left = None if until is None else until - loop.time()
                if left is not None and left <= 0:
                    raise TimeoutError(f"{self!r} still runs after {timeout} s")
                if ended.done():
                    await asyncio.sleep(0.001)
                    continue
                slices = [part for part in (left, 0.1 if self._waits_for_exec else None) if part is not None]
                await asyncio.wait([ended], timeout=min(slices) if slices else None)
        finally:
            loop.remove_reader(fd)
            os.close(fd)

    def wait_exec(self, timeout: "Optional[float]" = None) -> None:
        """Waits until exec has happened; raises what it failed with. Only one whose filter has execve notified, and so
        waits for its supervisor, takes any time here."""
        error = ffi.new("sandbox_error *")
        if lib.sandbox_child_wait_exec(self._handle(), -1 if timeout is None else int(timeout * 1000), error) < 0:
            raise TimeoutError(ffi.string(error.message).decode()) if error.code == _ETIMEDOUT else error_of(error)

    def send_signal(self, number: int) -> None:
        """Sends a signal, by the pidfd; nothing where it has ended already, as subprocess does it."""
        code = lib.sandbox_child_kill(self._handle(), number)
        if code != _ESRCH:
            check(code)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def kill_all(self) -> None:
        """Ends it and all its descendants, also when it has ended itself: by its cgroup, pid namespace or init."""
        check(lib.sandbox_child_kill_all(self._handle()))

    def freeze(self, on: bool = True) -> None:
        """Stops everything in its cgroup, or lets it go on."""
        check(lib.sandbox_child_freeze(self._handle(), int(on)))

    def take_fd(self, name: str) -> int:
        """Takes an fd out of the handle: ``"pidfd"`` (a copy), ``"seccomp"``, ``"cgroup"``. Now the caller's to close."""
        return check(lib.sandbox_child_take_fd(self._handle(), getattr(lib, "SANDBOX_FD_" + name.upper())))

    def detach(self) -> None:
        """It is left running when this object goes; it still dies with the host unless ``death_signal=0``."""
        check(lib.sandbox_child_detach(self._handle()))

    def communicate(self, input: Any = None, timeout: "Optional[float]" = None) -> "Tuple[Any, Any]":
        """Writes ``input``, reads both streams to their ends, waits. :func:`run` does it with limits, and in one go."""
        results: "dict[str, Any]" = {}

        def read(name: str, stream: Any) -> None:
            try:
                with stream:
                    results[name] = stream.read()
            except ValueError:
                pass  # closed under way

        def write() -> None:
            assert self.stdin is not None
            try:
                with self.stdin:
                    if input:
                        self.stdin.write(input)
            except (BrokenPipeError, ValueError):
                pass

        threads = [threading.Thread(target=read, args=pair, daemon=True) for pair in (("out", self.stdout), ("err", self.stderr)) if pair[1]]
        if self.stdin:
            threads.append(threading.Thread(target=write, daemon=True))
        for thread in threads:
            thread.start()
        until = None if timeout is None else time.monotonic() + timeout
        for thread in threads:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))
            if thread.is_alive():
                raise TimeoutError(f"{self!r} has not closed its streams after {timeout} s")
        self.wait(None if until is None else max(0.0, until - time.monotonic()))
        return results.get("out"), results.get("err")

    def close(self) -> None:
        """Closes the streams; ends and reaps it if it still runs."""
        for stream in (self.stdin, self.stdout, self.stderr, self.pty):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass
        child, self._child = self._child, None
        self.pidfd = -1
        del child  # the last reference frees it; another thread that waits has one of its own

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Child {self.pid}: {self._status or 'running'}>"


Popen = Child

__all__ = ["Child", "PIPE", "Popen", "SandboxError"]
