"""One run from start to end, as subprocess.run has it: with limits, and with nothing left."""
from __future__ import annotations

import asyncio
import os
import select
import threading
from dataclasses import dataclass
from typing import Any, Callable, Optional, Sequence, Union

from ._command import Command, Text, command_of, fd_of
from ._errors import check
from ._library import ffi, lib
from ._threads import Thread
from ._types import Cause, Limit, Status, status_of


class RunError(Exception):
    """The program did not exit with 0, and ``check`` was asked for. ``result`` is what came of it."""

    def __init__(self, result: "Result") -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        return f"{self.result.status}; stderr: {self.result.stderr[-500:]!r}"


@dataclass(frozen=True)
class Result:
    """What came of a run."""

    status: Status
    #: bytes; str where ``text`` was asked for.
    stdout: Any
    stderr: Any
    #: Bytes beyond the limits, read and thrown away.
    stdout_cut: int
    stderr_cut: int
    #: Which limits were exceeded.
    limits: Limit

    @property
    def returncode(self) -> int:
        return self.status.returncode

    @property
    def timed_out(self) -> bool:
        """A time limit ended it."""
        return self.status.cause is Cause.TIMEOUT

    def check(self) -> "Result":
        """Raises :class:`RunError` unless it exited with 0."""
        if self.returncode != 0:
            raise RunError(self)
        return self


def _milliseconds(seconds: "Optional[float]", name: str) -> int:
    """At least one: 0 would be no limit."""
    if seconds is None:
        return 0
    if not seconds >= 0:
        raise ValueError(f"{name}={seconds!r}")
    return min(max(1, int(seconds * 1000)), 1 << 62)


def run(args: "Union[Command, Text, Sequence[Text]]", *, input: "Union[None, str, bytes]" = None, timeout: "Optional[float]" = None,
        cpu_time: "Optional[float]" = None, stdout_limit: "Optional[int]" = None, stderr_limit: "Optional[int]" = None,
        merge_stderr: bool = False, kill_at_limit: bool = False, text: bool = False, encoding: "Optional[str]" = None,
        errors: str = "strict", check: bool = False, cancel: Any = None, **how: Any) -> Result:
    """Runs a program to its end and ends all that it left behind.

    >>> run(["python3", "-"], input="print(6 * 7)", timeout=5, text=True, unshare=Namespace.USER | Namespace.NET).stdout
    '42\\n'

    ``args``: a :class:`Command`, or an argument list with the keywords of one. ``timeout``: seconds of wall-clock time;
    ``cpu_time``: seconds of CPU time of the program and all its descendants. A program ended for its time is no
    exception here: ``result.timed_out`` says so. ``stdout_limit``, ``stderr_limit``: bytes to keep, 16 MiB by default;
    what is beyond is counted and thrown away, or with ``kill_at_limit`` ends the program. ``check``: raises
    :class:`RunError` unless it exited with 0. ``cancel``: a file or fd that ends the run once it is readable (an eventfd, a
    pipe): ``result.limits`` then has ``Limit.CANCELED``. It is not read, and stays open until run returns.

    The interpreter's lock is not held meanwhile. In the main thread signals are handled at once: what a handler raises,
    KeyboardInterrupt say, ends the run.
    """
    work = _prepared(command_of(args, how), input, timeout, cpu_time, stdout_limit, stderr_limit, merge_stderr, kill_at_limit, text, encoding, errors)
    fd = -1 if cancel is None else fd_of(cancel)
    result = _interruptible(work, fd) if threading.current_thread() is threading.main_thread() else work(fd)
    return result.check() if check else result


Work = Callable[[int], Result]


def _prepared(command: Command, input: Any, timeout: "Optional[float]", cpu_time: "Optional[float]", stdout_limit: "Optional[int]",
              stderr_limit: "Optional[int]", merge_stderr: bool, kill_at_limit: bool, text: bool, encoding: "Optional[str]", errors: str) -> Work:
    """Checks everything; what is left to do takes an fd that cancels it, or -1."""
    if isinstance(input, str):
        input = input.encode(encoding or "utf-8")
    data = ffi.NULL
    kept = None
    if input is not None:
        kept = ffi.from_buffer(input)
        data = ffi.new("sandbox_bytes *", {"data": kept, "length": len(kept)})
    for name, limit in (("stdout_limit", stdout_limit), ("stderr_limit", stderr_limit)):
        if limit is not None and limit < 1:
            raise ValueError(f"{name}={limit!r}: to keep nothing, make the stream NULL")
    options = ffi.new("sandbox_run_options *", {
        "size": ffi.sizeof("sandbox_run_options"),
        "flags": (lib.SANDBOX_RUN_MERGE_STDERR if merge_stderr else 0) | (lib.SANDBOX_RUN_KILL_AT_LIMIT if kill_at_limit else 0),
        "stdout_limit": stdout_limit or 0,
        "stderr_limit": stderr_limit or 0,
        "wall_time_ms": _milliseconds(timeout, "timeout"),
        "cpu_time_ms": _milliseconds(cpu_time, "cpu_time"),
    })

    def work(cancel: int) -> Result:
        if cancel >= 0:
            options.flags |= lib.SANDBOX_RUN_CANCEL_FD
            options.cancel_fd = cancel
        out, error = ffi.new("sandbox_result **"), ffi.new("sandbox_error *")
        if lib.sandbox_run(command._cmd, data, options, out, error) < 0:
            raise command.fail(error)
        handle = ffi.gc(out[0], lib.sandbox_result_free)
        return _result(handle, text or encoding is not None, encoding or "utf-8", errors)

    work.kept = kept  # type: ignore[attr-defined]
    return work


class _Apart:
    """Work in a thread of its own, and the pipe that cancels it; so does ``also``, the caller's fd, where it is one."""

    def __init__(self, work: Work, done: "Callable[[], Any]" = lambda: None, also: int = -1) -> None:
        self.result: "Optional[Result]" = None
        self.error: "Optional[BaseException]" = None
        self._work, self._done = work, done
        self._has_ended = False
        self._running = threading.Lock()  # held until it has ended
        self._running.acquire()
        self._read, self._write = os.pipe()
        self._either: Any = None
        try:
            if also >= 0:
                self._either = select.epoll()  # readable when one of its own is
                for fd in (self._read, also):
                    self._either.register(fd, select.EPOLLIN)
            Thread.take().tasks.put(self)
        except BaseException:
            self._close()
            raise

    def carry_out(self) -> None:
        """In the other thread."""
        try:
            self.result = self._work(self._either.fileno() if self._either else self._read)
        except BaseException as error:
            self.error = error

    def tell(self) -> None:
        """The same, thereafter."""
        self._has_ended = True
        self._running.release()
        self._done()

    def wait(self) -> None:
        self._running.acquire()

    def cancel(self) -> None:
        os.write(self._write, b"x")

    def _close(self) -> None:
        os.close(self._read)
        os.close(self._write)
        if self._either:
            self._either.close()

    def finish(self) -> Result:
        while not self._has_ended:  # a signal's handler may have come between wait and its caller
            self._running.acquire(timeout=0.01)
        self._close()
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result


def _interruptible(work: Work, cancel: int) -> Result:
    """Python's signal handlers run in the main thread alone, and only while that is not inside of C."""
    apart = _Apart(work, also=cancel)
    try:
        apart.wait()
    except BaseException:
        apart.cancel()
        try:
            apart.finish()
        except Exception:
            pass
        raise
    return apart.finish()


def _result(handle: Any, text: bool, encoding: str, errors: str) -> Result:
    status = ffi.new("sandbox_status *")
    check(lib.sandbox_result_status(handle, status, ffi.sizeof("sandbox_status")))
    outputs = []
    for target in (1, 2):
        output = ffi.new("sandbox_output *")
        check(lib.sandbox_result_output(handle, target, output, ffi.sizeof("sandbox_output")))
        data = bytes(ffi.buffer(output.data, output.length))
        outputs.append((data.decode(encoding, errors) if text else data, output.cut))
    (stdout, stdout_cut), (stderr, stderr_cut) = outputs
    return Result(status_of(status), stdout, stderr, stdout_cut, stderr_cut, Limit(check(lib.sandbox_result_limits(handle))))


async def run_async(args: "Union[Command, Text, Sequence[Text]]", *, input: "Union[None, str, bytes]" = None, timeout: "Optional[float]" = None,
                    cpu_time: "Optional[float]" = None, stdout_limit: "Optional[int]" = None, stderr_limit: "Optional[int]" = None,
                    merge_stderr: bool = False, kill_at_limit: bool = False, text: bool = False, encoding: "Optional[str]" = None,
                    errors: str = "strict", check: bool = False, **how: Any) -> Result:
    """:func:`run` for asyncio, in a thread of its own. A task that is cancelled ends its program, with all that it started."""
    work = _prepared(command_of(args, how), input, timeout, cpu_time, stdout_limit, stderr_limit, merge_stderr, kill_at_limit, text, encoding, errors)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    apart = _Apart(work, lambda: loop.call_soon_threadsafe(ended.set))
    try:
        await ended.wait()
    except BaseException:
        apart.cancel()
        try:
            apart.finish()  # a moment: all of it is being killed
        except Exception:
            pass
        raise
    result = apart.finish()
    return result.check() if check else result
