"""A warm pool: children set up ahead, run when they are wanted."""
from __future__ import annotations

import os
from typing import Any, Optional

from ._child import Child
from ._command import Command
from ._errors import error_of
from ._library import ffi, lib


class Pool:
    """Children of one command, set up ahead and held with nothing of it run; each is for one run.

    >>> with Pool(Command("python3", preset=Preset.COMPUTE, stdout=PIPE), 4) as pool:
    ...     with pool.spawn(Command("python3", "-c", "print(1)")) as child: ...
    ...     pool.refill()
    """

    def __init__(self, command: Command, size: int) -> None:
        handle = lib.sandbox_pool_new(command._cmd, size)
        if handle == ffi.NULL:
            raise ValueError(f"a pool of {size}: 1 to 4096")
        owner = os.getpid()
        self._pool: Any = ffi.gc(handle, lambda pool: lib.sandbox_pool_free(pool) if os.getpid() == owner else None)
        self.command = command

    def _handle(self) -> Any:
        if self._pool is None:
            raise ValueError("the pool is closed")
        return self._pool

    def spawn(self, override: "Optional[Command]" = None, *, text: bool = False, encoding: "Optional[str]" = None,
              errors: "Optional[str]" = None) -> Child:
        """Runs a held child, or one set up now where none is left. ``override``: another program, arguments,
        environment, streams, passed fds, directory."""
        pool = self._handle()
        other = ffi.NULL if override is None else override._cmd
        child = object.__new__(Child)
        child._child = None
        child._begin(self.command, lambda out, error: lib.sandbox_pool_spawn(pool, other, out, error), text, encoding, errors)
        return child

    def refill(self) -> int:
        """Sets up what is missing; how many were."""
        error = ffi.new("sandbox_error *")
        code: int = lib.sandbox_pool_refill(self._handle(), error)
        if code < 0:
            raise error_of(error)
        return code

    def close(self) -> None:
        """Ends the children that are held; those that run live on."""
        pool, self._pool = self._pool, None
        del pool

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
