"""What travels between client and workers: jobs, limits, outcomes. Plain data that pickles; nothing here starts anything."""
from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Mapping, Optional, Sequence, Tuple

from sandbox_spawn import Cause, Limit, Status


@dataclass(frozen=True)
class Limits:
    """What a job may use. None: as a wish, whatever the worker allows; as a worker's ceiling, no limit."""

    #: Seconds from start to end.
    wall_time: Optional[float] = None
    #: Seconds of CPU time, of all its processes together.
    cpu_time: Optional[float] = None
    #: Bytes: of the whole job where the worker has a cgroup for it, else of each process's address space.
    memory: Optional[int] = None
    #: Processes and threads at once.
    processes: Optional[int] = None
    #: Bytes of standard output to keep, and as many of standard error; what is beyond is counted and thrown away.
    output: Optional[int] = None
    #: Bytes that one file may have.
    file_size: Optional[int] = None

    def __post_init__(self) -> None:
        for name in self.names():
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value!r}: a limit is above 0, or None")

    @classmethod
    def names(cls) -> "Tuple[str, ...]":
        return tuple(one.name for one in fields(cls))

    def within(self, ceiling: Limits) -> Limits:
        """The lower of each: what is in force for a wish under a ceiling."""
        both = {name: [limit for limit in (getattr(self, name), getattr(ceiling, name)) if limit is not None] for name in self.names()}
        return Limits(**{name: min(given) if given else None for name, given in both.items()})


@dataclass(frozen=True)
class Policy:
    """What a worker lets jobs do. Client and worker each have one; the stricter limit of the two holds."""

    ceiling: Limits = Limits(wall_time=10, cpu_time=10, memory=512 << 20, processes=64, output=1 << 20, file_size=64 << 20)
    #: "cgroup": the job's memory as a whole, and Cause.MEMORY when it is passed; jobs fail where the worker has no
    #: delegated cgroup. "address space": of each process by itself, whose allocations then fail. None: the first that works.
    memory_by: Optional[str] = None
    #: Further files and directories of the worker's host to show, read-only: (there, in the sandbox).
    bind: Tuple[Tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.memory_by not in (None, "cgroup", "address space"):
            raise ValueError(f"memory_by={self.memory_by!r}")


@dataclass(frozen=True)
class Job:
    """One run of a program that nobody trusts."""

    #: The program, looked for in the sandbox, and its arguments.
    args: Sequence[str]
    #: For people.
    name: str = ""
    input: bytes = b""
    #: Files for it, by their names below /job, where it finds them read-only. It starts in an empty /tmp.
    files: Mapping[str, bytes] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    #: What it would like; the worker's ceiling holds anyway.
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if isinstance(self.args, str) or not self.args:
            raise ValueError("args: a program and its arguments")
        for name in self.files:
            if not name or name.startswith("/") or ".." in name.split("/"):
                raise ValueError(f"a file of a job lies below /job, not at {name!r}")


@dataclass(frozen=True)
class Outcome:
    """What came of a job."""

    name: str
    #: Exit code or signal, the cause, times and memory: as the binding tells it.
    status: Status
    stdout: bytes
    stderr: bytes
    #: Bytes beyond the limit of output, thrown away.
    stdout_cut: int
    stderr_cut: int
    #: Which limits of the run were passed.
    exceeded: Limit
    #: What was in force, and which of the job's wishes were above the ceiling and so were lowered.
    limits: Limits
    lowered: Tuple[str, ...]
    #: How memory was limited: "cgroup" or "address space".
    memory_by: str
    #: The worker that ran it, and its process.
    worker: str
    worker_pid: int

    @property
    def ok(self) -> bool:
        return self.status.exit_code == 0

    @property
    def verdict(self) -> str:
        """One word: ok, failed, signal, timeout, memory, filter or killed."""
        if self.status.cause is not Cause.NONE:
            return self.status.cause.name.lower()
        if self.status.signal is not None:
            return "signal"
        return "ok" if self.ok else "failed"

    @property
    def cpu_time(self) -> float:
        """Seconds of all its processes, in user and kernel mode."""
        return self.status.user_time + self.status.system_time
