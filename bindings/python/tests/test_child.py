"""Child: as subprocess.Popen."""
import asyncio
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox_spawn import NULL, PIPE, PTY, Cause, Child, Command, Popen


def test_streams_are_files():
    with Child(["tr", "a-z", "A-Z"], stdin=PIPE, stdout=PIPE) as child:
        child.stdin.write(b"hello")
        child.stdin.close()
        assert child.stdout.read() == b"HELLO"
        assert child.wait().exit_code == 0 and child.returncode == 0
        assert child.stderr is None and child.pty is None


def test_text_streams():
    with Child(["cat"], stdin=PIPE, stdout=PIPE, text=True, encoding="utf-8") as child:
        print("\u00e9", file=child.stdin, flush=True)
        assert child.stdout.readline() == "\u00e9\n"


def test_communicate():
    data = b"x" * 3_000_000
    with Popen(["sh", "-c", "cat; echo done >&2"], stdin=PIPE, stdout=PIPE, stderr=PIPE) as child:
        assert child.communicate(data, timeout=60) == (data, b"done\n")
        assert child.returncode == 0


def test_communicate_in_time():
    with Child(["sleep", "1000"], stdout=PIPE) as child:
        with pytest.raises(TimeoutError):
            child.communicate(timeout=0.1)
        child.kill()


def test_files_and_fds_as_streams(tmp_path):
    path = tmp_path / "out"
    with open(path, "wb") as out, Child(["sh", "-c", "echo out; echo err >&2"], stdin=NULL, stdout=out, stderr=out.fileno()) as child:
        assert child.wait().exit_code == 0
    assert path.read_bytes() == b"out\nerr\n"


def test_a_terminal():
    with Child(["sh", "-c", "test -t 0 && test -t 1 && echo terminal"], stdin=PTY, stdout=PTY) as child:
        assert child.pty.read(100).startswith(b"terminal")
        assert child.wait().exit_code == 0


def test_passed_fds():
    read, write = os.pipe()
    with Child(["sh", "-c", "echo passed >&7"], pass_fds={7: write}) as child:
        os.close(write)
        assert os.read(read, 100) == b"passed\n"
        child.wait()
    os.close(read)


def test_poll_and_timeout():
    with Child(["sleep", "1000"]) as child:
        assert child.poll() is None and child.returncode is None and child.status is None
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            child.wait(0.2)
        assert time.monotonic() - started >= 0.2
        child.terminate()
        status = child.wait()
        assert (status.signal, status.cause, child.returncode) == (signal.SIGTERM, Cause.KILLED, -signal.SIGTERM)
        assert child.poll() is status and child.wait(0) is status
        child.kill()  # it has ended: nothing


def test_left_it_is_ended():
    with Child(["sleep", "1000"]) as child:
        pidfd = os.dup(child.pidfd)
    assert ended(pidfd)
    with pytest.raises(ValueError, match="closed"):
        child.wait()


def ended(pidfd):
    import select

    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    try:
        return bool(poll.poll(20000))
    finally:
        os.close(pidfd)


def test_forgotten_it_is_ended():
    child = Child(["sleep", "1000"], stdin=PIPE, stdout=PIPE)
    pidfd = os.dup(child.pidfd)
    del child
    gc.collect()
    assert ended(pidfd)


def test_many_forgotten_leave_nothing():
    for _ in range(200):
        Child(["sleep", "1000"], stdout=PIPE)
    gc.collect()


def test_detached_it_lives_on():
    with Child(["sleep", "1000"]) as child:
        pidfd, pid = os.dup(child.pidfd), child.pid
        child.detach()
    os.kill(pid, 0)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(pidfd)


def test_one_thread_kills_while_another_waits():
    with Child(["sleep", "1000"]) as child:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(child.wait)
            child.kill()
            assert waiting.result(20).signal == signal.SIGKILL


def test_a_pool_of_threads_spawns():
    def one(number):
        with Child(["sh", "-c", f"exit {number}"]) as child:
            return child.wait().exit_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(200))) == list(range(200))


def test_a_child_outlives_the_thread_that_spawned_it():
    children = []
    thread = threading.Thread(target=lambda: children.append(Child(["sleep", "1000"])))
    thread.start()
    thread.join()
    time.sleep(0.05)
    assert children[0].poll() is None
    children.pop().close()


def test_python_handles_signals_while_it_waits():
    with Child(["sleep", "1000"]) as child:
        seen = []
        previous = signal.signal(signal.SIGALRM, lambda *_: (seen.append(1), child.kill()))
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        assert child.wait(60).signal == signal.SIGKILL and seen == [1]
        signal.signal(signal.SIGALRM, previous)


def test_asyncio_waits_for_many():
    async def main():
        children = [Child(["sh", "-c", f"sleep 0.1; exit {number}"]) for number in range(10)]
        statuses = await asyncio.gather(*(child.wait_async() for child in children), *(child.wait_async() for child in children))
        for child in children:
            child.close()
        return [status.exit_code for status in statuses]

    assert asyncio.run(main()) == list(range(10)) * 2


def test_asyncio_gives_up_in_time_or_when_cancelled():
    async def main():
        with Child(["sleep", "1000"]) as child:
            with pytest.raises(TimeoutError):
                await child.wait_async(0.1)
            task = asyncio.ensure_future(child.wait_async())
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert child.poll() is None
            child.kill()
            assert (await child.wait_async()).signal == signal.SIGKILL

    asyncio.run(main())


def _forked(children, queue):
    children.clear()
    gc.collect()
    with Child(["sh", "-c", "exit 5"]) as child:
        queue.put(child.wait().exit_code)


def test_a_forked_process_leaves_its_parents_children_alone():
    context = multiprocessing.get_context("fork")
    children = [Child(["sleep", "1000"])]
    queue = context.SimpleQueue()
    process = context.Process(target=_forked, args=(children, queue))
    process.start()
    assert queue.get() == 5
    process.join()
    assert process.exitcode == 0
    process.close()
    queue.close()
    assert children[0].poll() is None
    children.pop().close()


def _in_a_worker(number):
    with Child(["sh", "-c", f"exit {number}"]) as child:
        return child.wait().exit_code


def test_forked_workers_of_multiprocessing_spawn():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_in_a_worker, range(10)) == list(range(10))
        pool.close()
        pool.join()


def test_fresh_workers_of_multiprocessing_spawn(tmp_path):
    # In a process of its own: multiprocessing leaves a tracker behind.
    script = tmp_path / "script.py"
    script.write_text("""
import multiprocessing
from sandbox_spawn import run

def work(number):
    return run(["sh", "-c", f"exit {number}"]).returncode

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(work, range(10)) == list(range(10))
""")
    subprocess.run([sys.executable, script], check=True, timeout=100)


def test_an_init_and_a_command_of_its_own():
    command = Command("sh", "-c", "echo $PPID", stdout=PIPE, init=1)
    with command.spawn() as child:
        assert int(child.stdout.read()) == child.pid
        assert child.wait().exit_code == 0
