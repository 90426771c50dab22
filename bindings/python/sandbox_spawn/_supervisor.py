"""Answering the system calls that a child's filter asks about."""
from __future__ import annotations

import errno
import os
from typing import Any, Callable, Optional

from ._child import Child
from ._command import fd_of
from ._errors import check
from ._library import encode, ffi, lib

_CANCELED = -errno.ECANCELED


class Notification:
    """One call that waits for its answer, good for as long as the handler runs. A handler gives one answer."""

    def __init__(self, handle: Any) -> None:
        self._n = handle
        self.answered = False
        call = ffi.new("sandbox_syscall *")
        check(lib.sandbox_notify_call(handle, call, ffi.sizeof("sandbox_syscall")))
        #: The system call's number, on ``arch`` (AUDIT_ARCH_*).
        self.nr: int = call.nr
        self.arch: int = call.arch
        self.args = tuple(call.args)

    @property
    def pid(self) -> int:
        return check(lib.sandbox_notify_pid(self._n))

    @property
    def tid(self) -> int:
        return check(lib.sandbox_notify_tid(self._n))

    @property
    def pidfd(self) -> int:
        """The caller's; borrowed."""
        return check(lib.sandbox_notify_pidfd(self._n))

    def is_alive(self) -> bool:
        """Whether the caller still waits for this answer."""
        return bool(lib.sandbox_notify_check(self._n) == 0)

    def _answer(self, code: int) -> int:
        self.answered = True
        return check(code)

    def errno(self, number: int) -> None:
        """The call fails with this errno."""
        self._answer(lib.sandbox_notify_errno(self._n, number))

    def return_value(self, value: int) -> None:
        """The call is not made, and returns ``value``."""
        self._answer(lib.sandbox_notify_return(self._n, value))

    def continue_unsafe(self) -> None:
        """The kernel makes the call: with arguments that may have changed since they were looked at."""
        self._answer(lib.sandbox_notify_continue_unsafe(self._n))

    def return_fd(self, file: Any, cloexec: bool = True) -> None:
        """Gives the caller an fd, as what the call returns."""
        self._answer(lib.sandbox_notify_fd(self._n, fd_of(file), cloexec))

    def add_fd(self, file: Any, target: int = -1, cloexec: bool = True) -> int:
        """Gives the caller an fd besides the answer; its number there."""
        return check(lib.sandbox_notify_add_fd(self._n, fd_of(file), target, cloexec))

    def get_fd(self, fd: int) -> int:
        """A copy of one of the caller's fds."""
        return check(lib.sandbox_notify_get_fd(self._n, fd))

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the caller's memory."""
        buffer = ffi.new("char[]", max(size, 1))
        check(lib.sandbox_notify_read(self._n, address, buffer, size))
        return bytes(ffi.buffer(buffer, size))

    def write(self, address: int, data: bytes) -> None:
        check(lib.sandbox_notify_write(self._n, address, ffi.from_buffer(data), len(data)))

    def _text(self, size: int, call: "Callable[[Any, int], int]") -> bytes:
        buffer = ffi.new("char[]", size)
        check(call(buffer, size))
        return bytes(ffi.string(buffer, size))

    def string(self, address: int, size: int = 4096) -> bytes:
        """A NUL-terminated string of the caller's memory."""
        return self._text(size, lambda buffer, size: lib.sandbox_notify_string(self._n, address, buffer, size))

    def sockaddr(self, address: int, length: int) -> bytes:
        buffer = ffi.new("char[]", 128)
        got = check(lib.sandbox_notify_sockaddr(self._n, address, length, buffer, 128))
        return bytes(ffi.buffer(buffer, got))

    def path(self, dirfd: int, address: int, flags: int = 0) -> bytes:
        """What a path of the caller's leads to, as the host names it."""
        return self._text(4096, lambda buffer, size: lib.sandbox_notify_path(self._n, _signed(dirfd), address, flags, buffer, size))

    def open(self, dirfd: int, address: int, flags: int, mode: int = 0) -> int:
        """Opens a path of the caller's, as the caller would; the fd is the handler's to close."""
        return check(lib.sandbox_notify_open(self._n, _signed(dirfd), address, flags, mode))

    def parent(self, dirfd: int, address: int) -> "tuple[int, bytes]":
        """The directory that a path's last name is in, as an fd to close, and that name."""
        buffer = ffi.new("char[]", 256)
        fd = check(lib.sandbox_notify_parent(self._n, _signed(dirfd), address, buffer, 256))
        return fd, ffi.string(buffer, 256)


def _signed(fd: int) -> int:
    """An int argument as it comes in a 64-bit register."""
    fd &= 0xFFFFFFFF
    return fd - (1 << 32) if fd >= 1 << 31 else fd


Handler = Callable[[Notification], Any]


class Supervisor:
    """Answers the notified system calls of a child and of all that it starts.

    >>> with Supervisor(child) as supervisor:
    ...     supervisor.on("openat", lambda call: call.continue_unsafe())
    ...     supervisor.run()

    A handler that answers nothing leaves the call denied with ENOSYS. One that raises has it denied with EPERM, and
    :meth:`run` or :meth:`dispatch` raises that exception; but not what tells it that the caller has gone meanwhile.
    """

    def __init__(self, child: "Optional[Child]" = None, *, listener: Any = None, pidfd: Any = -1) -> None:
        if (child is None) == (listener is None):
            raise TypeError("a child, or a listener's fd")
        handle = lib.sandbox_supervisor_new(child._handle()) if child is not None else lib.sandbox_supervisor_from_fd(fd_of(listener), fd_of(pidfd))
        if handle == ffi.NULL:
            raise ValueError("none of the child's filters notifies, or its listener was taken")
        owner = os.getpid()
        self._sup: Any = ffi.gc(handle, lambda sup: lib.sandbox_supervisor_free(sup) if os.getpid() == owner else None)
        self._handlers: "dict[Any, Any]" = {}
        self._raised: "list[BaseException]" = []

    def _handle(self) -> Any:
        if self._sup is None:
            raise ValueError("the supervisor is closed")
        return self._sup

    def on(self, syscall: "Optional[str]", handler: "Optional[Handler]") -> "Supervisor":
        """Has ``handler`` called for a system call; None: for all that have none of their own."""
        raised = self._raised

        @ffi.callback("sandbox_notify_fn")  # type: ignore[untyped-decorator,unused-ignore]
        def call(n: Any, _: Any) -> int:
            try:
                assert handler is not None
                handler(Notification(n))
                return 0
            except BaseException as error:
                if isinstance(error, OSError) and error.errno == errno.ESRCH and lib.sandbox_notify_check(n) != 0:
                    return -errno.ESRCH  # its caller has gone: nobody waits for an answer
                lib.sandbox_notify_errno(n, errno.EPERM)  # nothing where it was answered
                raised.append(error)
                return _CANCELED

        name = ffi.NULL if syscall is None else encode(syscall)
        check(lib.sandbox_supervisor_on(self._handle(), name, ffi.NULL if handler is None else call, ffi.NULL))
        # One that is replaced may still run in another thread: it is kept.
        self._handlers.setdefault(syscall, []).append(call)
        return self

    def fileno(self) -> int:
        """The listener, for poll, epoll and loop.add_reader."""
        return check(lib.sandbox_supervisor_fd(self._handle()))

    def dispatch(self, timeout: "Optional[float]" = None) -> int:
        """Waits for a call and answers what is pending; how many were answered."""
        code = lib.sandbox_supervisor_dispatch(self._handle(), -1 if timeout is None else int(timeout * 1000))
        if self._raised:
            error = self._raised.pop(0)
            raise error
        return check(code)

    @property
    def ended(self) -> bool:
        """Whether the last program under the filter has ended."""
        return check(lib.sandbox_supervisor_ended(self._handle())) != 0

    def run(self) -> None:
        """Answers calls until the last program under the filter has ended."""
        while not self.ended:
            self.dispatch(0.1)  # in slices: signal handlers of Python's run in between

    def close(self) -> None:
        """Gives the listener up: calls that wait, and later ones, fail with ENOSYS."""
        sup, self._sup = self._sup, None
        del sup

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
