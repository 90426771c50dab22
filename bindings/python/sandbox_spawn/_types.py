"""What is asked for and told: enumerations and plain data."""
from __future__ import annotations

import enum
import signal
from dataclasses import dataclass
from typing import Any, Dict, List

from ._library import constants, ffi, lib

INHERIT = "inherit"  #: the stream is the host's
NULL = "null"  #: /dev/null
PIPE = "pipe"  #: a pipe; its other end is the child object's
PTY = "pty"  #: one pseudoterminal for all the streams that ask


class Namespace(enum.IntFlag):
    """Namespaces: the kernel's CLONE_NEW*."""

    TIME = 0x80
    MOUNT = 0x20000
    CGROUP = 0x2000000
    UTS = 0x4000000
    IPC = 0x8000000
    USER = 0x10000000
    PID = 0x20000000
    NET = 0x40000000


class Cause(enum.IntEnum):
    """Why a program ended, where that is known."""

    NONE = 0
    FILTER = 1
    MEMORY = 2
    TIMEOUT = 3
    KILLED = 4


class Limit(enum.IntFlag):
    """Limits of a run that were exceeded."""

    WALL_TIME = 1
    CPU_TIME = 2
    STDOUT = 4
    STDERR = 8
    CANCELED = 16


class Mount(enum.IntFlag):
    """Flags of a mount; read-only unless RW."""

    RW = 1
    EXEC_OFF = 2
    OPTIONAL = 4
    DEV = 8
    SUID = 16
    NON_RECURSIVE = 32
    NOSYMFOLLOW = 64
    NOATIME = 128


class Preset(enum.IntEnum):
    """A container for a common wish."""

    #: No network, no files but the system's programs and libraries.
    COMPUTE = 1
    #: The same for a build: a loopback, more processes and room.
    BUILD = 2
    #: A client of the host's network.
    NETWORK = 3


class Data(enum.IntFlag):
    """How :meth:`Command.data` puts its file there."""

    MOUNT = 1
    RW = 2
    IN_PLACE = 4


class Proc(enum.IntFlag):
    """Flags of a /proc."""

    NOACCESS = 1
    INVISIBLE = 2
    PTRACEABLE = 4
    SUBSET_PID = 8
    RW = 16
    COVERED = 32


class Access(enum.IntFlag):
    """Landlock's rights below a path."""

    EXECUTE = 1
    WRITE_FILE = 2
    READ_FILE = 4
    READ_DIR = 8
    REMOVE_DIR = 16
    REMOVE_FILE = 32
    MAKE_CHAR = 64
    MAKE_DIR = 128
    MAKE_REG = 256
    MAKE_SOCK = 512
    MAKE_FIFO = 1024
    MAKE_BLOCK = 2048
    MAKE_SYM = 4096
    REFER = 8192
    TRUNCATE = 16384
    IOCTL_DEV = 32768
    READ = 12
    READ_EXECUTE = 13
    WRITE = 30642
    ALL = 65535


class PortAccess(enum.IntFlag):
    """Landlock's rights for a TCP port."""

    BIND_TCP = 1
    CONNECT_TCP = 2


class Scope(enum.IntFlag):
    """What Landlock keeps to processes of the same sandbox."""

    ABSTRACT_UNIX_SOCKET = 1
    SIGNAL = 2


@dataclass(frozen=True)
class Status:
    """How a program ended and what it used."""

    #: The exit code, 0 to 255; None where a signal ended it.
    exit_code: "int | None"
    #: The signal that ended it; None where it exited.
    signal: "int | None"
    core_dumped: bool
    cause: Cause
    #: With Cause.FILTER the refused system call's number, where known.
    syscall: "int | None"
    #: Seconds of CPU time, that of reaped children included.
    user_time: float
    system_time: float
    #: Seconds from the spawn until the end was noticed.
    wall_time: float
    #: The most its cgroup held, in bytes; 0 where it has none of its own.
    peak_memory: int
    #: Bits: what was asked for, allowed to be missing, and is.
    left_out: int
    #: Every field of the C struct, those of later versions too.
    raw: "Dict[str, int]"

    @property
    def returncode(self) -> int:
        """As subprocess has it: the exit code, or minus the signal's number."""
        return self.exit_code if self.exit_code is not None else -(self.signal or 0)

    def __str__(self) -> str:
        if self.exit_code is not None:
            return f"exit code {self.exit_code}"
        try:
            name = signal.Signals(self.signal or 0).name
        except ValueError:
            name = f"signal {self.signal}"
        return name if self.cause is Cause.NONE else f"{name} ({self.cause.name.lower()})"


def status_of(status: Any) -> Status:
    is_exit = status.kind == lib.SANDBOX_EXITED
    return Status(
        exit_code=status.code if is_exit else None,
        signal=None if is_exit else status.code,
        core_dumped=bool(status.core_dumped),
        cause=Cause(status.cause),
        syscall=status.syscall if status.syscall >= 0 else None,
        user_time=status.user_time_us / 1e6,
        system_time=status.system_time_us / 1e6,
        wall_time=status.wall_time_us / 1e6,
        peak_memory=status.peak_memory_bytes,
        left_out=status.left_out,
        raw=as_dict(status),
    )


_numbers: "Dict[Any, List[str]]" = {}


def as_dict(struct: Any) -> "Dict[str, int]":
    """The numbers of a C struct, by its pointer."""
    kind = ffi.typeof(struct)
    names = _numbers.get(kind)
    if names is None:
        names = _numbers[kind] = [name for name, field in kind.item.fields if field.type.kind == "primitive"]
    return {name: getattr(struct, name) for name in names}


class Features(Dict[str, int]):
    """What this kernel allows this process, by name; also as attributes."""

    def __getattr__(self, name: str) -> int:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def probe() -> Features:
    """Finds out by trying what a spawn may use, for this process here and now. Takes some tens of milliseconds."""
    from ._errors import check

    out = ffi.new("sandbox_features *")
    check(lib.sandbox_probe(out, ffi.sizeof("sandbox_features")))
    return Features(as_dict(out))


_OPTIONS = {name.lower(): number for name, number in constants("SANDBOX_OPT_").items()}


def option_number(name: str) -> int:
    """The number of an option by its name in lower case: ``"no_randomize"``."""
    try:
        return _OPTIONS[name]
    except KeyError:
        raise TypeError(f"no option {name!r}; there are: {', '.join(sorted(_OPTIONS))}") from None


