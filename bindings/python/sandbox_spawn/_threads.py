"""Threads for runs. A new one costs a run a fifth of its time (its stack, its first page faults, those of the spawn), so one
that is done waits a moment for the next; none is there when this process forks, and after a second none at all."""
from __future__ import annotations

import os
import queue
import threading
from typing import Any, List

PATIENCE = 1.0  # seconds
MOST = 4  # that wait


class Thread:
    """Calls ``carry_out``, then ``tell``, of what is put into ``tasks``."""

    idle: "List[Thread]" = []

    def __init__(self) -> None:
        self.tasks: "queue.SimpleQueue[Any]" = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._body, name="sandbox_spawn", daemon=True)
        self.thread.start()

    @classmethod
    def take(cls) -> "Thread":
        """One that waits, or a new one; one task, and it waits again."""
        try:
            return cls.idle.pop()
        except IndexError:
            return cls()

    def _body(self) -> None:
        task = self.tasks.get()
        while task is not None:
            task.carry_out()
            waits = len(self.idle) < MOST
            if waits:
                self.idle.append(self)  # before anybody hears of the end and wants a thread again
            task.tell()
            task = None  # nor is what came of it held meanwhile
            if waits:
                task = self._next()

    def _next(self) -> Any:
        try:
            return self.tasks.get(timeout=PATIENCE)
        except queue.Empty:
            try:
                self.idle.remove(self)
            except ValueError:  # taken at the last moment
                return self.tasks.get()


def _before_fork() -> None:
    while Thread.idle:
        try:
            thread = Thread.idle.pop()
        except IndexError:
            return
        thread.tasks.put(None)
        thread.thread.join()


os.register_at_fork(before=_before_fork, after_in_child=Thread.idle.clear)
