"""One run from start to end, as subprocess.run has it: with limits, and with nothing left."""
from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Optional, Sequence, Union

from ._command import Command, Text, command_of
from ._errors import check
from ._library import ffi, lib
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
        errors: str = "strict", check: bool = False, **how: Any) -> Result:
    """Runs a program to its end and ends all that it left behind.

    >>> run(["python3", "-"], input="print(6 * 7)", timeout=5, text=True, unshare=Namespace.USER | Namespace.NET).stdout
    '42\\n'

    ``args``: a :class:`Command`, or an argument list with the keywords of one. ``timeout``: seconds of wall-clock time;
    ``cpu_time``: seconds of CPU time of the program and all its descendants. A program ended for its time is no
    exception here: ``result.timed_out`` says so. ``stdout_limit``, ``stderr_limit``: bytes to keep, 16 MiB by default;
    what is beyond is counted and thrown away, or with ``kill_at_limit`` ends the program. ``check``: raises
    :class:`RunError` unless it exited with 0.

    The interpreter's lock is not held meanwhile. A signal to Python is handled when the run is over.
    """
    command = command_of(args, how)
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
    out, error = ffi.new("sandbox_result **"), ffi.new("sandbox_error *")
    if lib.sandbox_run(command._cmd, data, options, out, error) < 0:
        raise command.fail(error)
    handle = ffi.gc(out[0], lib.sandbox_result_free)
    result = _result(handle, text or encoding is not None, encoding or "utf-8", errors)
    return result.check() if check else result


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


async def run_async(args: "Union[Command, Text, Sequence[Text]]", **how: Any) -> Result:
    """:func:`run` in a thread of the loop's pool. Give it a ``timeout``: a task that is cancelled does not end the run."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, lambda: run(args, **how))
