"""What goes wrong: one exception, which names the step."""
from __future__ import annotations

import os
from typing import Any

from ._library import ffi, lib


class SandboxError(OSError):
    """A step of a spawn failed. Nothing of the child is left.

    ``errno``: the number; ``stage``: the step's name, as ``"exec"`` or ``"mount"``; ``index``: which item of that step, in
    the order in which they were added, from 0; ``message``: a sentence that names the culprit.
    """

    def __init__(self, errno: int, message: str, stage: str = "setup", index: int = 0) -> None:
        super().__init__(errno, message)
        self.stage = stage
        self.index = index
        self.message = message

    def __str__(self) -> str:
        return f"{self.stage}[{self.index}]: {self.message}"

    def __reduce__(self) -> Any:
        return type(self), (self.errno, self.message, self.stage, self.index)


def error_of(error: Any) -> SandboxError:
    """The exception of a filled sandbox_error."""
    stage = ffi.string(lib.sandbox_stage_name(error.stage)).decode()
    return SandboxError(-error.code, ffi.string(error.message).decode("utf-8", "replace"), stage, error.index)


def check(code: int) -> int:
    """An OSError where ``code`` is a negative errno."""
    if code < 0:
        raise OSError(-code, os.strerror(-code))
    return code
