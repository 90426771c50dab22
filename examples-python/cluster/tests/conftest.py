"""One cluster for all tests: two worker processes of two threads, each process under a nanny that starts it again."""
import os
import sys
import time
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(FOLDER))
os.environ["PYTHONPATH"] = str(FOLDER)

import dask  # noqa: E402
import psutil  # noqa: E402
from distributed import Client, LocalCluster  # noqa: E402

from cluster import Policy, start, submit  # noqa: E402

PATIENCE = 120  # seconds: for what takes a moment on a machine that is not busy


def until(what, why="it did not come to be"):
    """Waits for `what` to give something true, and returns that."""
    deadline = time.monotonic() + PATIENCE
    while not (given := what()):
        assert time.monotonic() < deadline, why
        time.sleep(0.02)
    return given


def local_cluster():
    dask.config.set({"distributed.worker.memory.terminate": False, "distributed.comm.timeouts.connect": f"{PATIENCE}s"})
    return LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=":0", memory_limit=0)


@pytest.fixture(scope="session")
def shared():
    with local_cluster() as cluster, Client(cluster, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def gate(tmp_path):
    """A directory that the jobs of a test see at /gate."""
    path = tmp_path / "gate"
    path.mkdir()
    path.chmod(0o755)
    return path


@pytest.fixture
def client(shared, gate):
    """The cluster, with two workers, and its policy as it is by default but for the gate."""
    shared.wait_for_workers(2, timeout=PATIENCE)
    start(shared, Policy(bind=((str(gate), "/gate"),)))
    yield shared
    until(lambda: not jobs_of(shared), "processes of a job are left")


@pytest.fixture
def outcome(client):
    """A job's outcome."""
    return lambda job, **how: submit(client, [job], **how)[0].result(timeout=PATIENCE)


def workers(client):
    """{address: pid}"""
    return {address: pid for address, pid in client.run(os.getpid).items()}


def descendants(pid):
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def jobs_of(client):
    """The processes of all sandboxes, their inits too."""
    return [process for pid in workers(client).values() for process in descendants(pid)]


def alive(processes):
    def lives(process):
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return [process for process in processes if lives(process)]
