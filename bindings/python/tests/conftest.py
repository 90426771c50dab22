import gc
import os
import time

import pytest


def open_fds():
    return sorted((int(fd), os.readlink(f"/proc/self/fd/{fd}")) for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}"))


def no_child_is_left():
    try:
        pid, _ = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    raise AssertionError(f"a child is left: {pid or 'it runs'}")


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Every test leaves the fds that it found, and no child."""
    gc.collect()
    before = [fd for fd, _ in open_fds()]
    yield
    gc.collect()
    deadline = time.monotonic() + 5
    while (after := [(fd, name) for fd, name in open_fds() if fd not in before]) and time.monotonic() < deadline:
        time.sleep(0.01)  # the directory that was being read is among them for a moment
    after = [(fd, name) for fd, name in after if not name.startswith("/proc/")]
    assert not after, f"fds are left: {after}"
    no_child_is_left()
