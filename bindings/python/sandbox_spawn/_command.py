"""The command: what to run, and how confined."""
from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from ._errors import SandboxError, check, error_of
from ._library import encode, ffi, lib
from ._types import option_number

if TYPE_CHECKING:
    from ._child import Child
    from ._filter import Filter
    from ._run import Result

Text = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
Stream = Union[None, str, int, Any]

_MODES = {"inherit": 0, "null": 1, "pipe": 2, "fd": 3, "pty": 4}
_UNLIMITED = (1 << 64) - 1
_CANCELED = 125  # ECANCELED


def fd_of(file: Any) -> int:
    return file if isinstance(file, int) else int(file.fileno())


class Command:
    """A program with its arguments, environment, streams and confinement.

    >>> Command("/bin/ls", "-l", cwd="/tmp", env={"LANG": "C"}, unshare=Namespace.USER | Namespace.NET)

    Every keyword is a method of the same name, called with that value; a keyword that is no method's is an option of the
    library's by its name in lower case (``nice=5, init=1``): see :meth:`set`. Methods return the command, so that calls
    chain. One that fails raises :class:`SandboxError`, and the command then refuses to be spawned.

    A command is not changed by spawning: it can be spawned many times, from many threads at once.
    """

    def __init__(self, program: Text, *args: Text, **how: Any) -> None:
        self.program = program
        self._cmd = ffi.gc(lib.sandbox_cmd_new(encode(program)), lib.sandbox_cmd_free)
        self._kept: "Dict[str, Any]" = {}  # what the library calls back
        self._raised = threading.local()
        self._latched()
        self.args(*args)
        for name, value in how.items():
            method = None if name.startswith("_") else getattr(type(self), name, None)
            if method is None:
                self.set(**{name: value})
            elif name not in _KEYWORDS:
                raise TypeError(f"{name} is no keyword of Command")
            elif name in _MANY:
                for item in value:
                    method(self, *item) if isinstance(item, (tuple, list)) else method(self, item)
            elif name in _SPREAD:
                method(self, *value)
            elif name in _SWITCHES:
                if value:
                    method(self)
            elif value is not None:
                method(self, value)

    def _latched(self) -> None:
        error = ffi.new("sandbox_error *")
        if lib.sandbox_cmd_error(self._cmd, error) < 0:
            raise error_of(error)

    def _call(self, name: str, *args: Any) -> "Command":
        function = getattr(lib, "sandbox_cmd_" + name, None)
        if function is None:
            raise NotImplementedError(f"this version of the library has no sandbox_cmd_{name}")
        if function(self._cmd, *args) < 0:
            self._latched()
        return self

    def clone(self) -> "Command":
        """A copy of the command as it is now."""
        other = object.__new__(Command)
        other.program, other._kept, other._raised = self.program, dict(self._kept), self._raised
        other._cmd = ffi.gc(lib.sandbox_cmd_clone(self._cmd), lib.sandbox_cmd_free)
        return other

    # --- the program ---

    def arg(self, arg: Text) -> "Command":
        """Appends one argument."""
        return self._call("arg", encode(arg))

    def args(self, *args: Text) -> "Command":
        """Appends arguments."""
        kept = [ffi.new("char[]", encode(arg)) for arg in args]
        return self._call("args", ffi.new("char *[]", kept + [ffi.NULL]))

    def arg0(self, arg0: Text) -> "Command":
        """What the program sees as its own name."""
        return self._call("arg0", encode(arg0))

    def env(self, env: "Mapping[str, Optional[Text]]") -> "Command":
        """Environment variables, on top of the host's at the moment of the spawn; None unsets one."""
        for name, value in env.items():
            self._call("env", encode(name), ffi.NULL if value is None else encode(value))
        return self

    def clear_env(self) -> "Command":
        """The environment starts empty."""
        return self._call("env_clear")

    def cwd(self, path: Text) -> "Command":
        """The directory to start in, inside the child's root."""
        return self._call("cwd", encode(path))

    def cwd_first(self, *paths: Text) -> "Command":
        """The first of these directories that it can enter; PWD says which."""
        kept = [ffi.new("char[]", encode(path)) for path in paths]
        return self._call("cwd_first", ffi.new("char *[]", kept + [ffi.NULL]))

    def exec_fd(self, fd: Any) -> "Command":
        """Executes the file open at ``fd``; the program's name only names it."""
        return self._call("exec_fd", fd_of(fd))

    def _stream(self, target: int, stream: Stream) -> "Command":
        if stream is None:
            return self
        if isinstance(stream, str):
            if stream not in _MODES or stream == "fd":
                raise ValueError(f"a stream is INHERIT, NULL, PIPE, PTY, a file or an fd, not {stream!r}")
            return self._call("stdio", target, _MODES[stream], -1)
        return self._call("stdio", target, _MODES["fd"], fd_of(stream))

    def stdin(self, stream: Stream) -> "Command":
        """INHERIT, NULL, PIPE, PTY, or a file or fd to use."""
        return self._stream(0, stream)

    def stdout(self, stream: Stream) -> "Command":
        """As stdin."""
        return self._stream(1, stream)

    def stderr(self, stream: Stream) -> "Command":
        """As stdin."""
        return self._stream(2, stream)

    def pass_fds(self, fds: "Union[Mapping[int, Any], Iterable[Any]]") -> "Command":
        """Fds for the child: ``{number in the child: file or fd here}``, or fds that keep their numbers."""
        pairs = fds.items() if isinstance(fds, Mapping) else [(fd_of(fd), fd) for fd in fds]
        for target, fd in pairs:
            self._call("pass_fd", fd_of(fd), target)
        return self

    # --- limits and options ---

    def rlimits(self, limits: "Mapping[int, Union[int, Tuple[int, int]]]") -> "Command":
        """Resource limits, ``{resource.RLIMIT_AS: 1 << 30}``; a pair is (soft, hard), -1 is none."""
        for resource, limit in limits.items():
            soft, hard = (limit, limit) if isinstance(limit, int) else limit
            self._call("rlimit", resource, soft & _UNLIMITED, hard & _UNLIMITED)
        return self

    def set(self, **options: int) -> "Command":
        """Scalar options, by the names of SANDBOX_OPT_* in lower case: ``set(new_session=1, nice=5)``."""
        for name, value in options.items():
            self._call("set", option_number(name), int(value) & _UNLIMITED)
        return self

    def cpus(self, cpus: "Iterable[int]") -> "Command":
        """The CPUs that it may run on."""
        mask = sum(1 << cpu for cpu in set(cpus))
        words = max(1, (mask.bit_length() + 63) // 64)
        return self._call("cpus", [mask >> 64 * word & _UNLIMITED for word in range(words)], words)

    # --- namespaces and identity ---

    def unshare(self, namespaces: int) -> "Command":
        """Namespaces of its own: a sum of :class:`Namespace`."""
        return self._call("unshare", int(namespaces))

    def join(self, namespace: Any) -> "Command":
        """Joins the namespace open at this file or fd."""
        return self._call("join", fd_of(namespace))

    def map_uid(self, inside: int, outside: int, count: int = 1) -> "Command":
        """Maps ``count`` user ids of its user namespace to the host's."""
        return self._call("map_uid", inside, outside, count)

    def map_gid(self, inside: int, outside: int, count: int = 1) -> "Command":
        """The same for group ids."""
        return self._call("map_gid", inside, outside, count)

    def user(self, uid: int, gid: int) -> "Command":
        """The ids to run as, as seen inside."""
        return self._call("user", uid, gid)

    def groups(self, *gids: int) -> "Command":
        """The supplementary groups."""
        return self._call("groups", list(gids), len(gids))

    def hostname(self, name: Text) -> "Command":
        """The host name of its UTS namespace."""
        return self._call("hostname", encode(name))

    def domainname(self, name: Text) -> "Command":
        """The NIS domain name of its UTS namespace."""
        return self._call("domainname", encode(name))

    def time_offset(self, clock: int, seconds: int, nanoseconds: int = 0) -> "Command":
        """How far a clock (time.CLOCK_MONOTONIC, CLOCK_BOOTTIME) of its time namespace is ahead."""
        return self._call("time_offset", clock, seconds, nanoseconds)

    def init_fd(self, fd: Any) -> "Command":
        """Its init holds this open as long as it lives; the program does not get it."""
        return self._call("init_fd", fd_of(fd))

    def init_lock(self, path: Text) -> "Command":
        """Its init holds a shared lock of this file, inside its root, as long as it lives."""
        return self._call("init_lock", encode(path))

    def preset(self, preset: int) -> "Command":
        """All of this for a common wish, a :class:`Preset`; further calls add to it."""
        return self._call("preset", preset)

    def caps(self, keep: int, ambient: int = 0) -> "Command":
        """Capabilities to keep, bit n for capability n; without this call none is kept."""
        return self._call("caps", keep, ambient)

    # --- the file system ---

    def root(self, directory: "Optional[Text]" = None, flags: int = 0) -> "Command":
        """The directory to become the root; None: a new tmpfs."""
        return self._call("root", ffi.NULL if directory is None else encode(directory), flags)

    def bind(self, source: Text, target: "Optional[Text]" = None, flags: int = 0) -> "Command":
        """Shows ``source`` at ``target`` (the same path by default), read-only unless the flags (:class:`Mount`) have RW."""
        return self._call("bind", encode(source), encode(source if target is None else target), flags)

    def bind_fd(self, fd: Any, target: Text, flags: int = 0) -> "Command":
        """The same for what is open at ``fd``; O_PATH is enough."""
        return self._call("bind_fd", fd_of(fd), encode(target), flags)

    def tmpfs(self, target: Text, size: int = 0, mode: int = 0o755) -> "Command":
        """An empty tmpfs of at most ``size`` bytes; 0: the kernel's default."""
        return self._call("tmpfs", encode(target), size, mode)

    def mqueue(self, target: Text = "/dev/mqueue") -> "Command":
        """POSIX message queues of its own."""
        return self._call("mqueue", encode(target))

    def proc(self, target: Text = "/proc", flags: int = 0) -> "Command":
        """/proc of its pid namespace; ``flags``: a sum of :class:`Proc`."""
        return self._call("proc", encode(target), flags)

    def dev(self, target: Text = "/dev") -> "Command":
        """The usual device files."""
        return self._call("dev", encode(target))

    def devpts(self, target: Text = "/dev/pts") -> "Command":
        """Terminals of its own."""
        return self._call("devpts", encode(target))

    def overlay(self, lowers: "Sequence[Text]", target: Text, upper: "Optional[Text]" = None, work: "Optional[Text]" = None) -> "Command":
        """``lowers``, the topmost first, as one tree; without ``upper`` changes are kept in memory and lost."""
        kept = [ffi.new("char[]", encode(lower)) for lower in lowers]
        optional = [ffi.NULL if path is None else encode(path) for path in (upper, work)]
        return self._call("overlay", ffi.new("char *[]", kept + [ffi.NULL]), *optional, encode(target))

    def overlay_ro(self, lowers: "Sequence[Text]", target: Text) -> "Command":
        """``lowers``, two or more, the topmost first, as one tree that nobody can write to."""
        kept = [ffi.new("char[]", encode(lower)) for lower in lowers]
        return self._call("overlay_ro", ffi.new("char *[]", kept + [ffi.NULL]), encode(target))

    def file(self, target: Text, data: "Union[str, bytes]", mode: int = 0o644) -> "Command":
        """A file of this content."""
        data = data.encode() if isinstance(data, str) else data
        return self._call("file", encode(target), ffi.from_buffer(data), len(data), mode)

    def data(self, target: Text, data: "Union[str, bytes]", mode: int = 0o644, flags: int = 0) -> "Command":
        """The same, put there as ``flags`` say, a sum of :class:`Data`: mounted over what is there, or written into it."""
        data = data.encode() if isinstance(data, str) else data
        return self._call("data", encode(target), ffi.from_buffer(data), len(data), mode, flags)

    def dir(self, target: Text, mode: int = 0o755) -> "Command":
        """An empty directory."""
        return self._call("dir", encode(target), mode)

    def symlink(self, text: Text, target: Text) -> "Command":
        """A symlink at ``target`` that leads to ``text``."""
        return self._call("symlink", encode(text), encode(target))

    def mask(self, target: Text) -> "Command":
        """Hides what is there."""
        return self._call("mask", encode(target))

    def chmod(self, target: Text, mode: int) -> "Command":
        """Changes the mode of what is there by then: on the host too, where that is bound writable."""
        return self._call("chmod", encode(target), mode)

    def remount(self, target: Text, flags: int = 0) -> "Command":
        """Makes what is mounted there read-only from there on; ``flags``: Mount.DEV, SUID, EXEC_OFF."""
        return self._call("remount", encode(target), flags)

    # --- Landlock and cgroups ---

    def landlock_path(self, path: Text, access: int) -> "Command":
        """Rights below a path: a sum of :class:`Access`."""
        return self._call("landlock_path", encode(path), access)

    def landlock_port(self, port: int, access: int) -> "Command":
        """Rights for a TCP port: a sum of :class:`PortAccess`."""
        return self._call("landlock_port", port, access)

    def landlock_scope(self, scopes: int) -> "Command":
        """Keeps abstract sockets or signals to the sandbox: a sum of :class:`Scope`."""
        return self._call("landlock_scope", scopes)

    def cgroup(self, parent: "Optional[Text]" = None) -> "Command":
        """A fresh cgroup below ``parent``; None: a delegated one is looked for."""
        return self._call("cgroup", ffi.NULL if parent is None else encode(parent))

    def cgroup_set(self, settings: "Mapping[str, Any]") -> "Command":
        """Controller files of its cgroup: ``{"memory.max": 64 << 20}``."""
        for name, value in settings.items():
            self._call("cgroup_set", encode(name), encode(value if isinstance(value, (str, bytes)) else str(value)))
        return self

    # --- filters, hooks ---

    def filter(self, filter: "Filter") -> "Command":
        """A seccomp filter, as it is now; several stack."""
        return self._call("filter", filter._filter)

    def ptrace(self, options: int = 0) -> "Command":
        """Has the spawning thread trace it: the first stop is PTRACE_EVENT_EXEC."""
        return self._call("ptrace", options)

    def on_ready(self, function: "Callable[[int, int], Any]") -> "Command":
        """Has ``function(pid, pidfd)`` called in the spawning thread, while the child is held: confined by its
        namespaces, nothing of the program run. What it raises ends the child, and comes out of the spawn."""
        self._kept["on_ready"] = call = self._callback(function)
        return self._call("on_ready", call, ffi.NULL)

    def on_maps(self, function: "Callable[[int, int], Any]") -> "Command":
        """Has ``function(pid, pidfd)`` write the uid_map and gid_map of its user namespace, in the library's place."""
        self._kept["on_maps"] = call = self._callback(function)
        return self._call("on_maps", call, ffi.NULL)

    def _callback(self, function: "Callable[[int, int], Any]") -> Any:
        raised = self._raised

        @ffi.callback("sandbox_ready_fn")  # type: ignore[untyped-decorator,unused-ignore]
        def call(pid: int, pidfd: int, _: Any) -> int:
            try:
                function(pid, pidfd)
                return 0
            except BaseException as error:
                raised.error = error
                return -_CANCELED

        return call

    # --- doing it ---

    def explain(self) -> str:
        """What a spawn would do, in order, before anything runs."""
        error = ffi.new("sandbox_error *")
        length = lib.sandbox_cmd_explain(self._cmd, ffi.NULL, 0, error)
        if length < 0:
            raise error_of(error)
        text = ffi.new("char[]", length + 1)
        check(lib.sandbox_cmd_explain(self._cmd, text, length + 1, error))
        return str(ffi.string(text), "utf-8", "replace")

    def fail(self, error: Any) -> "BaseException":
        """The exception of a spawn that failed: the callback's own where that was it."""
        raised = self._raised.__dict__.pop("error", None)
        return raised if raised is not None else error_of(error)

    def spawn(self, *, text: bool = False, encoding: "Optional[str]" = None, errors: "Optional[str]" = None) -> "Child":
        """Starts it: a :class:`Child`."""
        from ._child import Child

        return Child(self, text=text, encoding=encoding, errors=errors)

    def run(self, **how: Any) -> "Result":
        """Runs it to its end: see :func:`run`."""
        from ._run import run

        return run(self, **how)

    def __repr__(self) -> str:
        return f"<Command {os.fsdecode(self.program)!r}>"


_KEYWORDS = {"arg0", "env", "clear_env", "cwd", "cwd_first", "init_fd", "init_lock", "exec_fd", "stdin", "stdout", "stderr", "pass_fds", "rlimits", "cpus", "unshare", "join",
             "map_uid", "map_gid", "user", "groups", "hostname", "domainname", "time_offset", "preset", "caps", "root", "bind", "bind_fd", "tmpfs", "proc", "mqueue", "overlay", "overlay_ro", "devpts", "dev", "file", "data", "chmod", "remount", "dir", "symlink",
             "mask", "landlock_path", "landlock_port", "landlock_scope", "cgroup", "cgroup_set", "filter", "ptrace", "on_ready", "on_maps"}
#: Their value is a list of calls, each one value or a tuple of arguments.
_MANY = {"data", "chmod", "remount", "overlay_ro", "init_fd", "init_lock", "time_offset", "map_uid", "map_gid", "bind", "bind_fd", "overlay", "tmpfs", "file", "dir", "symlink", "mask", "landlock_path", "landlock_port", "filter", "join"}
_SPREAD = {"cwd_first", "user", "groups"}
_SWITCHES = {"clear_env"}


def command_of(args: "Union[Command, Text, Sequence[Text]]", how: "Dict[str, Any]") -> Command:
    """A command as it is, or one made of an argument list."""
    if isinstance(args, Command):
        if how:
            raise TypeError(f"{', '.join(how)}: a Command has its own")
        return args
    words: "List[Any]" = [args] if isinstance(args, (str, bytes, os.PathLike)) else list(args)
    if not words:
        raise ValueError("no program")
    return Command(*words, **how)


__all__ = ["Command", "SandboxError"]
