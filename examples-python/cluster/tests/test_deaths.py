"""Jobs that are given up, and workers that die: nothing of a sandbox is left, and what is wanted still comes."""
import os
import signal

from conftest import PATIENCE, alive, descendants, jobs_of, local_cluster, until, workers
from distributed import Client

from cluster import Job, Limits, Policy, start, submit

#: A job of several processes, one of them a daemon, that ends when its gate is open.
WAITS = Job(["sh", "-c", "setsid sleep 1000 & sleep 1000 & while [ ! -e /gate/open ]; do sleep 0.05; done; echo done"], limits=Limits(wall_time=1000))
PROCESSES = 4  # of that, with the sandbox's init
PATIENT = Limits(wall_time=1000, processes=64)


def running(client, number=PROCESSES):
    return until(lambda: len(found := jobs_of(client)) >= number and found, "the job does not run")


def patient(client, gate):
    start(client, Policy(ceiling=PATIENT, bind=((str(gate), "/gate"),)))


def test_a_worker_that_is_killed_leaves_no_process_and_its_job_is_done_by_another(client, gate):
    patient(client, gate)
    [future] = submit(client, [WAITS])
    processes = running(client)
    [victim] = [pid for pid in workers(client).values() if descendants(pid)]
    os.kill(victim, signal.SIGKILL)
    until(lambda: not alive(processes), f"they live on: {alive(processes)}")
    again = running(client)
    assert not {process.pid for process in processes} & {process.pid for process in again}
    (gate / "open").touch()
    outcome = future.result(timeout=PATIENCE)
    assert outcome.ok and outcome.stdout == b"done\n" and outcome.worker_pid != victim
    client.wait_for_workers(2, timeout=PATIENCE)  # its nanny starts it again, with its sandbox
    for worker in workers(client):
        assert submit(client, [Job(["true"])], workers=[worker])[0].result(timeout=PATIENCE).ok


def test_a_cancelled_future_ends_its_processes(client, gate):
    patient(client, gate)
    futures = submit(client, [WAITS, WAITS])
    processes = running(client, 2 * PROCESSES)
    futures[0].cancel()
    until(lambda: len(alive(processes)) == PROCESSES, "not those of the one job alone have ended")
    (gate / "open").touch()
    assert futures[1].result(timeout=PATIENCE).stdout == b"done\n"
    until(lambda: not alive(processes))


def test_a_future_that_is_forgotten_ends_its_processes(client, gate):
    patient(client, gate)
    futures = submit(client, [WAITS])
    processes = running(client)
    futures.clear()
    until(lambda: not alive(processes))


def test_jobs_that_are_cancelled_before_they_begin(client, gate):
    patient(client, gate)
    futures = submit(client, [WAITS] * 12)  # four run at once
    processes = running(client, PROCESSES)
    client.cancel(futures)
    until(lambda: not jobs_of(client) and not alive(processes))
    assert submit(client, [Job(["true"])])[0].result(timeout=PATIENCE).ok


def test_a_cluster_that_is_closed_ends_its_jobs(gate):
    with local_cluster() as cluster:
        with Client(cluster, timeout=PATIENCE) as client:
            patient(client, gate)
            futures = submit(client, [WAITS])
            processes = running(client)
            assert len(futures) == 1
    until(lambda: not alive(processes))
