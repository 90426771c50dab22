"""What comes back of a job: typed, whatever came of it."""
import errno
import os
import pickle
import platform
import signal

import dask
import pytest
from conftest import PATIENCE, until, workers
from distributed import CancelledError
from sandbox_spawn import Cause, Limit, SandboxError

from cluster import Job, Limits, Outcome, Policy, finished, start, submit


def test_an_exit_code_the_output_and_what_was_used(client, outcome):
    came = outcome(Job(["sh", "-c", "cat; echo err >&2; echo $WORD; cat /job/a/b; exit 3"], name="three", input=b"in\n", env={"WORD": "word"}, files={"a/b": b"file\n"}))
    assert isinstance(came, Outcome) and came.name == "three"
    assert (came.status.exit_code, came.status.signal, came.status.cause, came.verdict, came.ok) == (3, None, Cause.NONE, "failed", False)
    assert (came.stdout, came.stderr, came.stdout_cut, came.exceeded) == (b"in\nword\nfile\n", b"err\n", 0, Limit(0))
    assert 0 < came.status.wall_time < PATIENCE and came.cpu_time >= 0
    assert workers(client)[came.worker] == came.worker_pid != os.getpid()
    assert came.memory_by in ("cgroup", "address space")


def test_a_signal(outcome):
    came = outcome(Job(["sh", "-c", "kill -SEGV $$"]))
    assert (came.status.exit_code, came.status.signal, came.verdict) == (None, signal.SIGSEGV, "signal")


def test_time_that_ran_out(outcome):
    came = outcome(Job(["sh", "-c", "echo begun; sleep 1000"], limits=Limits(wall_time=0.5)))
    assert (came.status.cause, came.verdict, came.exceeded, came.stdout) == (Cause.TIMEOUT, "timeout", Limit.WALL_TIME, b"begun\n")
    came = outcome(Job(["sh", "-c", "while :; do :; done"], limits=Limits(cpu_time=0.2)))
    assert (came.status.cause, came.exceeded) == (Cause.TIMEOUT, Limit.CPU_TIME)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="another ABI's system calls are tried on x86_64")
def test_a_call_that_the_filter_forbids(outcome):
    came = outcome(Job(["python3", "-c", "import ctypes; ctypes.CDLL(None).syscall(0x40000000 | 39)"]))
    assert (came.status.cause, came.status.signal, came.verdict) == (Cause.FILTER, signal.SIGSYS, "filter")


def test_output_that_was_cut(outcome):
    came = outcome(Job(["sh", "-c", "head -c 5000 /dev/zero; head -c 300 /dev/zero >&2"], limits=Limits(output=1000)))
    assert (len(came.stdout), came.stdout_cut, len(came.stderr), came.stderr_cut) == (1000, 4000, 300, 0)
    assert came.exceeded == Limit.STDOUT and came.ok


HUNGRY = ["python3", "-c", "blocks = []\nwhile True: blocks.append(bytearray(1 << 20))"]


def test_memory_of_a_process(client, outcome):
    start(client, Policy(memory_by="address space"))
    came = outcome(Job(HUNGRY, limits=Limits(memory=128 << 20)))
    assert came.memory_by == "address space" and not came.ok and b"MemoryError" in came.stderr


def test_memory_of_a_job(client, outcome):
    start(client, Policy(memory_by="cgroup"))
    try:
        came = outcome(Job(HUNGRY, limits=Limits(memory=64 << 20)))
    except SandboxError as why:
        assert why.stage == "cgroup"
        pytest.skip(f"no cgroup here that limits memory: {why}")
    assert (came.status.cause, came.verdict, came.memory_by) == (Cause.MEMORY, "memory", "cgroup")
    assert 0 < came.status.peak_memory <= 64 << 20


def test_what_can_not_be_confined_as_asked_is_an_error_that_names_the_step(client):
    jobs = [Job(["no-such-program"]), Job(["true"], files={"a": b"", "a/b": b""}), Job(["true"])]
    futures = submit(client, jobs)
    came = {future.key: what for future, what in finished(futures)}
    missing, twice, good = (came[future.key] for future in futures)
    assert type(missing) is SandboxError and isinstance(missing, OSError)
    assert (missing.stage, missing.errno, missing.index) == ("exec", errno.ENOENT, 0) and "no-such-program" in missing.message
    assert type(twice) is SandboxError and twice.stage == "mount" and "a/b" in twice.message
    assert good.ok
    with pytest.raises(SandboxError, match=r"^exec\[0\]: .*no-such-program"):
        futures[0].result()


def test_a_wish_under_a_ceiling(client, outcome):
    start(client, Policy(ceiling=Limits(wall_time=60, processes=8, output=100)))
    came = outcome(Job(["head", "-c", "500", "/dev/zero"], limits=Limits(wall_time=50, output=200)))
    assert came.limits == Limits(wall_time=50, processes=8, output=100) and came.lowered == ("output",)
    assert len(came.stdout) == 100
    came = outcome(Job(["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; echo $i"], limits=Limits(processes=100)))
    assert came.lowered == ("processes",) and came.status.exit_code == 2 and b"fork" in came.stderr
    assert outcome(Job(["sh", "-c", "for i in 1 2 3; do sleep 0.01 & done; wait"])).ok


def lower(seconds):
    dask.config.set({"sandbox-cluster.ceiling": {"wall-time": seconds} if seconds else {}})


def test_a_worker_of_its_own_lower_ceiling(client, outcome):
    strict, usual = workers(client)
    try:
        client.run(lower, 1, workers=[strict])
        start(client)
        job = Job(["true"], limits=Limits(wall_time=5))
        assert outcome(job, workers=[strict]).limits.wall_time == 1
        assert outcome(job, workers=[usual]).limits.wall_time == 5
        client.run(lower, -1, workers=[strict])  # that is no limit: what the worker lets do is not known
        with pytest.raises(ValueError):
            start(client)
        with pytest.raises(RuntimeError, match="not set up"):
            outcome(job, workers=[strict])
    finally:
        client.run(lower, None, workers=[strict])


def test_a_worker_without_a_sandbox_runs_nothing(client, outcome):
    client.unregister_worker_plugin("sandbox")
    with pytest.raises(RuntimeError, match="no sandbox"):
        outcome(Job(["true"]))


def test_what_is_wrong_is_said_before_it_travels():
    for wrong in (lambda: Job([]), lambda: Job("true"), lambda: Job(["true"], files={"../x": b""}), lambda: Job(["true"], files={"/x": b""}),
                  lambda: Limits(wall_time=0), lambda: Limits(memory=-1), lambda: Policy(memory_by="luck")):
        with pytest.raises(ValueError):
            wrong()


def fds():
    return len(os.listdir("/proc/self/fd"))


def test_a_hundred_jobs(client):
    before = client.run(fds)
    jobs = [Job(["sh", "-c", f"cat; exit {number % 4}"], name=str(number), input=b"%d" % number) for number in range(100)]
    futures = submit(client, jobs)
    came = {what.name: (what.stdout, what.status.exit_code) for _, what in finished(futures)}
    assert came == {str(number): (b"%d" % number, number % 4) for number in range(100)}
    outcomes = client.gather(futures)
    assert len({what.worker for what in outcomes}) == 2 and pickle.loads(pickle.dumps(outcomes)) == outcomes
    until(lambda: all(count <= before[worker] + 2 for worker, count in client.run(fds).items()), f"fds are left: {before}, {client.run(fds)}")


def test_a_cancelled_future_does_not_stop_the_others(client):
    futures = submit(client, [Job(["sleep", "1000"]), Job(["true"])])
    futures[0].cancel()
    came = {future.key: what for future, what in finished(futures)}
    assert isinstance(came[futures[0].key], CancelledError) and came[futures[1].key].ok
