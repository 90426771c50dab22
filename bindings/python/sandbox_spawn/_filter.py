"""Seccomp filters."""
from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Sequence, Union

from ._command import Text, fd_of
from ._errors import SandboxError, check, error_of
from ._library import constants, encode, ffi, lib

ALLOW = 0x7FFF0000
LOG = 0x7FFC0000
NOTIFY = 0x7FC00000
TRAP = 0x00030000
KILL_THREAD = 0x00000000
KILL_PROCESS = 0x80000000


def ERRNO(number: int) -> int:
    """The call returns -1 with this errno."""
    return 0x00050000 | number & 0xFFFF


def TRACE(number: int) -> int:
    """A tracer decides, and is given this number."""
    return 0x7FF00000 | number & 0xFFFF


@dataclass(frozen=True)
class Arg:
    """A condition on an argument: ``Arg(0, "==", 5)``; ``Arg(1, "&", 3, value=1)`` is (argument & 3) == 1."""

    index: int
    op: str
    operand: int
    value: int = 0

    _OPS = {"==": "EQ", "!=": "NE", "<": "LT", "<=": "LE", ">=": "GE", ">": "GT", "&": "MASKED_EQ"}

    def _fields(self) -> "dict[str, int]":
        if self.op not in self._OPS:
            raise ValueError(f"op {self.op!r}: not one of {' '.join(self._OPS)}")
        op = getattr(lib, "SANDBOX_CMP_" + self._OPS[self.op])
        bits = (1 << 64) - 1
        if self.op == "&":
            return {"index": self.index, "op": op, "value": self.value & bits, "mask": self.operand & bits}
        return {"index": self.index, "op": op, "value": self.operand & bits, "mask": 0}


class Filter:
    """A seccomp filter: what becomes of each system call.

    >>> Filter(ALLOW).rule(ERRNO(errno.EPERM), "socket", Arg(0, "==", socket.AF_INET))
    """

    def __init__(self, default: int = ALLOW) -> None:
        self._filter = ffi.gc(lib.sandbox_filter_new(default), lib.sandbox_filter_free)

    def _done(self, code: int, what: str) -> "Filter":
        if code < 0:
            raise SandboxError(-code, f"{what}: {os.strerror(-code)}", "seccomp")
        return self

    def rule(self, action: int, syscall: str, *args: Arg) -> "Filter":
        """``action`` for a system call, where all the conditions hold."""
        conditions = ffi.new("sandbox_arg[]", [arg._fields() for arg in args]) if args else ffi.NULL
        return self._done(lib.sandbox_filter_rule(self._filter, action, encode(syscall), conditions, len(args)), f"rule for {syscall}")

    def deny(self, *what: str) -> "Filter":
        """Ready-made groups by name, ``deny("io_uring", "bpf")``: see :func:`deny_groups`."""
        known = constants("SANDBOX_DENY_")
        bits = 0
        for name in what:
            if name.upper() not in known:
                raise ValueError(f"{name!r}: not one of {' '.join(deny_groups())}")
            bits |= known[name.upper()]
        return self._done(lib.sandbox_filter_deny(self._filter, bits), f"deny {' '.join(what)}")

    def deny_ioctl(self, request: int) -> "Filter":
        return self._done(lib.sandbox_filter_deny_ioctl(self._filter, request), f"deny ioctl {request:#x}")

    def deny_setsockopt(self, level: int, option: int) -> "Filter":
        return self._done(lib.sandbox_filter_deny_setsockopt(self._filter, level, option), f"deny setsockopt {level}, {option}")

    def arch(self, name: str) -> "Filter":
        """One more architecture; all but the native one are killed unless added."""
        return self._done(lib.sandbox_filter_arch(self._filter, encode(name)), f"architecture {name}")

    def flags(self, flags: int) -> "Filter":
        return self._done(lib.sandbox_filter_flags(self._filter, flags), f"flags {flags:#x}")

    def policy(self, text: str) -> "Filter":
        """Rules in minijail's policy language."""
        return self._read(lib.sandbox_filter_policy, text)

    def policy_directory(self, path: Text) -> "Filter":
        """Where a policy's includes are looked for."""
        return self._done(lib.sandbox_filter_policy_directory(self._filter, encode(path)), f"directory {os.fsdecode(path)}")

    def oci(self, json: str) -> "Filter":
        """A profile of the OCI runtime specification, as Docker's; sets the default too."""
        return self._read(lib.sandbox_filter_oci, json)

    def oci_capabilities(self, capabilities: int) -> "Filter":
        return self._done(lib.sandbox_filter_oci_capabilities(self._filter, capabilities), "capabilities")

    def _read(self, function: Any, text: str) -> "Filter":
        data, error = text.encode(), ffi.new("sandbox_error *")
        if function(self._filter, data, len(data), error) < 0:
            raise error_of(error)
        return self

    def bpf(self, instructions: bytes) -> "Filter":
        """A classic BPF program as it is: struct sock_filter[]."""
        return self._done(lib.sandbox_filter_bpf(self._filter, ffi.from_buffer(instructions), len(instructions) // 8), "BPF program")

    def simulate(self, nr: int, args: "Sequence[int]" = (), *, arch: "Union[int, None]" = None, ip: int = 0) -> int:
        """The action that the kernel would take for a system call, without asking it."""
        if arch is None:
            machine = os.uname().machine
            try:
                arch = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
            except KeyError:
                raise ValueError(f"name the arch (AUDIT_ARCH_*) on {machine}") from None
        call = ffi.new("sandbox_syscall *", {"arch": arch, "nr": nr, "ip": ip, "args": [arg & (1 << 64) - 1 for arg in args]})
        action = ffi.new("uint32_t *")
        self._done(lib.sandbox_filter_simulate(self._filter, call, action), "simulate")
        return int(action[0])

    def export(self, file: Any) -> None:
        """Writes the compiled program to a file or fd."""
        check(lib.sandbox_filter_export(self._filter, fd_of(file)))


def deny_groups() -> "list[str]":
    """The names that :meth:`Filter.deny` takes."""
    return sorted(name.lower() for name in constants("SANDBOX_DENY_"))
