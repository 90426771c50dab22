"""The library and its declarations, loaded at import: from the path in SANDBOX_SPAWN_LIBRARY, else the one that the
wheel carries, else the system's."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cffi  # type: ignore[import-untyped,unused-ignore]

_HERE = Path(__file__).resolve().parent

ffi = cffi.FFI()
ffi.cdef((_HERE / "_cdef.h").read_text())


def _load() -> Any:
    asked = os.environ.get("SANDBOX_SPAWN_LIBRARY")
    if asked:
        return ffi.dlopen(asked)
    carried = _HERE / "libsandbox_spawn.so.0"
    return ffi.dlopen(str(carried) if carried.exists() else "libsandbox_spawn.so.0")


lib: Any = _load()


def constants(prefix: str) -> "dict[str, int]":
    """The library's constants of one family, without their prefix."""
    return {name[len(prefix):]: getattr(lib, name) for name in dir(lib) if name.startswith(prefix)}


def encode(text: Any) -> bytes:
    """A str, bytes or path as C takes it; a NUL inside would silently cut it short."""
    data = os.fsencode(text)
    if b"\0" in data:
        raise ValueError("embedded null byte")
    return data


def version() -> str:
    """The version of the library that is loaded."""
    return str(ffi.string(lib.sandbox_version()), "ascii")
