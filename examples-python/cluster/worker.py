"""What happens in a worker: a plugin that every worker process has once. It knows the worker's policy, runs a job in a
sandbox, and ends it when Dask no longer wants it.

Dask can't stop a task that runs, but tells its plugins when it has given one up: because its future was cancelled or
released, or its client has gone. The run then gets a byte on the fd that cancels it."""
from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import resource
import threading
from typing import Any, Dict, Iterator, Optional, Set

import dask
from distributed import Reschedule, Worker, WorkerPlugin, get_worker
from sandbox_spawn import Limit, Preset, SandboxError, run

from .jobs import Job, Limits, Outcome, Policy

#: The keys of our tasks begin with it.
PREFIX = "sandboxed"
NOBODY = 65534
logger = logging.getLogger("distributed.worker.sandbox")


class Sandbox(WorkerPlugin):
    name = "sandbox"

    def __init__(self, policy: Policy = Policy()) -> None:
        self.policy = policy
        self.ready = False

    # --- called by Dask, in the worker's event loop ---

    def setup(self, worker: Worker) -> None:
        self._lock = threading.Lock()
        self._running: Dict[str, int] = {}  # task: the eventfd that cancels it
        self._given_up: Set[str] = set()
        own = dask.config.get("sandbox-cluster.ceiling", {})
        self.policy = dataclasses.replace(self.policy, ceiling=Limits(**{name.replace("-", "_"): limit for name, limit in own.items()}).within(self.policy.ceiling),
                                          memory_by=self.policy.memory_by or ("cgroup" if has_cgroup() else "address space"))
        self.address = worker.address
        self.ready = True

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        if not isinstance(key, str) or not key.startswith(PREFIX):
            return
        if start in ("executing", "long-running") and finish == "released":
            self._give_up(key)
        elif finish in ("memory", "error", "rescheduled", "forgotten"):
            with self._lock:
                self._given_up.discard(key)

    def teardown(self, worker: Worker) -> None:
        self.ready = False
        with self._lock:
            running = list(self._running)
        for key in running:
            self._give_up(key)

    # --- the runs ---

    def _give_up(self, key: str) -> None:
        with self._lock:
            self._given_up.add(key)
            if key in self._running:
                os.eventfd_write(self._running[key], 1)

    @contextlib.contextmanager
    def _cancellable(self, key: str) -> "Iterator[int]":
        fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        with self._lock:
            self._running[key] = fd
            if key in self._given_up:  # before it began
                os.eventfd_write(fd, 1)
        try:
            yield fd
        finally:
            with self._lock:
                del self._running[key]
            os.close(fd)

    def execute(self, key: str, job: Job) -> Outcome:
        """In a thread of the worker's: runs the job. SandboxError: it could not be confined as asked, nothing of it ran."""
        if not self.ready:
            raise RuntimeError(f"the sandbox of {self.name} on this worker is not set up: see the worker's log")
        limits = job.limits.within(self.policy.ceiling)
        with self._cancellable(key) as cancel:
            result = run(list(job.args), input=job.input, timeout=limits.wall_time, cpu_time=limits.cpu_time,
                         stdout_limit=limits.output, stderr_limit=limits.output, cancel=cancel, env=dict(job.env),
                         file=[(f"/job/{name}", data, 0o755) for name, data in job.files.items()], **confinement(self.policy, limits))
        if Limit.CANCELED in result.limits:
            raise Reschedule  # nobody waits for it; or this worker goes, and another is to run it
        return Outcome(
            name=job.name or job.args[0], status=result.status, stdout=result.stdout, stderr=result.stderr,
            stdout_cut=result.stdout_cut, stderr_cut=result.stderr_cut, exceeded=result.limits, limits=limits,
            lowered=tuple(name for name in Limits.names() if getattr(job.limits, name) not in (None, getattr(limits, name))),
            memory_by=str(self.policy.memory_by), worker=self.address, worker_pid=os.getpid())


def confinement(policy: Policy, limits: Limits) -> "Dict[str, Any]":
    """Keywords of sandbox_spawn.run: no network, no files but the system's programs, nobody's rights, and the limits."""
    how: "Dict[str, Any]" = {"preset": Preset.COMPUTE, "bind": list(policy.bind)}
    if os.getuid() == 0:
        # For root the kernel counts no processes. Nobody is somebody else, with nothing of root's in the sandbox or out of it.
        how.update(map_uid=[(NOBODY, NOBODY, 1)], map_gid=[(NOBODY, NOBODY, 1)], user=(NOBODY, NOBODY))
    rlimits: "Dict[int, int]" = {}
    if limits.file_size is not None:
        rlimits[resource.RLIMIT_FSIZE] = limits.file_size
    if limits.processes is not None:
        rlimits[resource.RLIMIT_NPROC] = limits.processes + 1  # the sandbox's init is one
    if limits.memory is not None and policy.memory_by == "cgroup":
        how["cgroup_set"] = {"memory.max": limits.memory, "memory.swap.max": 0}
    elif limits.memory is not None:
        rlimits[resource.RLIMIT_AS] = limits.memory
    how["rlimits"] = rlimits
    return how


def has_cgroup() -> bool:
    """Whether a job's memory can be limited as a whole here: found by trying."""
    try:
        return run(["true"], **confinement(Policy(memory_by="cgroup"), Limits(memory=64 << 20))).returncode == 0
    except SandboxError as why:
        logger.info("memory is limited by address space: %s", why)
        return False


def execute(key: str, job: Job) -> Outcome:
    """The task: what the client submits."""
    sandbox: "Optional[Sandbox]" = get_worker().plugins.get(Sandbox.name)  # type: ignore[assignment]
    if sandbox is None:
        raise RuntimeError("this worker has no sandbox: call start(client) first")
    return sandbox.execute(key, job)
