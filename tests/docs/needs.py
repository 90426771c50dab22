"""What a machine must allow for a part of a document, found by trying."""
from __future__ import annotations

import os
import shutil
import subprocess

# The distribution's Python: one installed in root's home is nobody else's.
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else (shutil.which("python3") or "")


class Machine:
    def __init__(self, environment: "dict[str, str]") -> None:
        self.environment = environment
        self.python = PYTHON
        self.known: "dict[str, str]" = {}

    def lacks(self, needs: "set[str]") -> str:
        """The first of these that it lacks, as a reason; empty: none."""
        for need in sorted(needs):
            if need not in self.known:
                self.known[need] = getattr(self, "_" + need.replace("-", "_"))()
            if self.known[need]:
                return self.known[need]
        return ""

    def _try(self, command: "list[str]") -> str:
        done = subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"{command[0]} fails"])[-1]

    def _sandbox(self) -> str:
        return self._try(["sandbox-run", "true"])

    def _memory_cgroup(self) -> str:
        return self._try(["sandbox-run", "-m", "64m", "true"])

    def _pids_cgroup(self) -> str:
        return self._try(["sandbox-run", "-p", "64", "true"])

    def _landlock_ports(self) -> str:
        return self._try(["sandbox-run", "--preset", "network", "--connect", "1", "true"])

    def _notify(self) -> str:
        return self._try(["sandbox-run", "--trace", "true"])

    def _python(self) -> str:
        reason = self._try([PYTHON, "-c", "import sandbox_spawn"]) if PYTHON else "there is no python3"
        return reason and f"the binding can't be imported: {reason}"

    def _bwrap(self) -> str:
        return "" if shutil.which("bwrap") else "there is no bwrap"
