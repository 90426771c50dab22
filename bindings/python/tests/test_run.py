"""run: from start to end."""
import asyncio
import os
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import sandbox_spawn as sandbox
from sandbox_spawn import Cause, Limit, run


def test_output_errors_and_exit_code_come_back():
    result = run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.stdout, result.stderr, result.returncode) == (b"out\n", b"err\n", 3)
    assert result.status.exit_code == 3 and result.status.signal is None and result.limits == 0
    assert result.status.wall_time > 0


def test_a_signal_is_told():
    result = run(["sh", "-c", "kill -TERM $$"])
    assert result.returncode == -signal.SIGTERM and result.status.signal == signal.SIGTERM
    assert str(result.status) == "SIGTERM" and result.status.cause is Cause.NONE


@pytest.mark.parametrize("given, kept", [(b"bytes\0\xff", b"bytes\0\xff"), ("text \u00e9", "text \u00e9".encode()), (b"", b""), (None, b""),
                                         (bytearray(b"array"), b"array"), (memoryview(b"view"), b"view")])
def test_input_goes_in(given, kept):
    assert run(["cat"], input=given).stdout == kept


def test_ten_megabytes_go_through():
    data = os.urandom(10 << 20)
    assert run(["cat"], input=data).stdout == data


def test_text():
    assert run(["cat"], input="\u00fc", text=True).stdout == "\u00fc"
    assert run(["cat"], input="\u00fc", encoding="latin-1").stdout == "\u00fc"
    assert run(["printf", "\\377"], text=True, errors="replace").stdout == "\ufffd"


def test_a_string_is_a_program_not_a_shell_line():
    assert run("true").returncode == 0
    with pytest.raises(sandbox.SandboxError):
        run("echo hello")


def test_limits_of_output():
    result = run(["sh", "-c", "printf 0123456789; printf abc >&2"], stdout_limit=4, stderr_limit=3)
    assert (result.stdout, result.stdout_cut, result.stderr, result.stderr_cut) == (b"0123", 6, b"abc", 0)
    assert result.limits is Limit.STDOUT and result.returncode == 0
    result = run(["yes"], stdout_limit=1000, kill_at_limit=True)
    assert len(result.stdout) == 1000 and result.status.cause is Cause.KILLED and not result.timed_out


def test_merged():
    assert run(["sh", "-c", "echo 1; echo 2 >&2; echo 3"], merge_stderr=True).stdout == b"1\n2\n3\n"


def test_wall_clock_time():
    result = run(["sh", "-c", "echo before; sleep 1000"], timeout=0.3)
    assert result.timed_out and result.limits is Limit.WALL_TIME and result.stdout == b"before\n"
    assert str(result.status) == "SIGKILL (timeout)"


def test_cpu_time():
    result = run(["sh", "-c", "while :; do :; done"], cpu_time=0.2)
    assert result.timed_out and result.limits is Limit.CPU_TIME
    assert run(["sleep", "0.3"], cpu_time=0.2).returncode == 0


def test_descendants_end_with_it():
    started = time.monotonic()
    result = run(["sh", "-c", "sleep 1000 & setsid sleep 1000 & echo $!"], timeout=60)
    assert result.returncode == 0 and time.monotonic() - started < 50
    assert not os.path.exists(f"/proc/{int(result.stdout)}/cmdline") or not open(f"/proc/{int(result.stdout)}/cmdline").read()


def test_check():
    assert run(["true"], check=True).returncode == 0
    with pytest.raises(sandbox.RunError, match="exit code 7.*oops") as caught:
        run(["sh", "-c", "echo oops >&2; exit 7"], check=True)
    assert caught.value.result.returncode == 7


def test_keywords_of_the_command():
    result = run(["sh", "-c", "pwd; echo $A-$B; ulimit -n; umask"], cwd="/usr", clear_env=True, env={"A": "1", "PATH": "/bin:/usr/bin"},
                 rlimits={resource.RLIMIT_NOFILE: 33}, umask=0o27, text=True)
    assert result.stdout == "/usr\n1-\n33\n0027\n"


def test_a_command_runs_many_times():
    command = sandbox.Command("cat")
    assert [command.run(input=f"{turn}").stdout for turn in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    with pytest.raises(TypeError, match="cwd"):
        run(command, cwd="/")


@pytest.mark.parametrize("wrong", [{"timeout": -1}, {"cpu_time": float("nan")}, {"stdout_limit": 0}, {"stderr_limit": -5}])
def test_wrong_values_are_refused(wrong):
    with pytest.raises(ValueError):
        run(["true"], **wrong)


def test_threads_run_at_once():
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda number: run(["cat"], input=str(number)).stdout, range(100)))
    assert results == [str(number).encode() for number in range(100)]


def test_the_interpreter_goes_on_meanwhile():
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, ["sleep", "1000"], timeout=0.5)
        turns = 0
        while not running.done():
            turns += 1
        assert running.result().timed_out and turns > 1000


@pytest.mark.parametrize("run_it", [lambda work: work(), lambda work: ThreadPoolExecutor(1).submit(work).result()], ids=["the main thread", "another"])
def test_an_fd_cancels(run_it):
    read, write = os.pipe()
    try:
        timer = threading.Timer(0.2, os.write, (write, b"x"))
        timer.start()
        result = run_it(lambda: run(["sh", "-c", "echo begun; sleep 1000"], cancel=read))
        assert (result.stdout, result.limits, result.status.cause) == (b"begun\n", Limit.CANCELED, Cause.KILLED)
        timer.join()
        assert os.read(read, 2) == b"x"  # not read by the run
        assert run_it(lambda: run(["true"], cancel=read)).limits == 0
    finally:
        os.close(read)
        os.close(write)
    with pytest.raises((OSError, ValueError)):
        run_it(lambda: run(["true"], cancel=read))


def test_runs_share_threads_that_do_not_stay():
    def threads():
        return [thread for thread in threading.enumerate() if thread.name == "sandbox_spawn"]

    for _ in range(20):
        run(["true"])
    assert len(threads()) == 1
    pid = os.fork()
    if pid == 0:  # the thread is not there, and its copy is not waited for
        code = 99
        try:
            code = run(["sh", "-c", "exit 7"]).returncode
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert not threads()  # none, so that a fork is one of a process of one thread
    run(["true"])
    deadline = time.monotonic() + 60
    while threads() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not threads()


def test_a_run_within_a_run():
    def handler(*_):
        inner.append(run(["echo", "inner"]).stdout)

    inner = []
    previous = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert run(["sh", "-c", "sleep 0.6; echo outer"]).stdout == b"outer\n"
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert inner == [b"inner\n"]


def test_asyncio():
    async def main():
        return await asyncio.gather(*(sandbox.run_async(["cat"], input=str(number)) for number in range(10)))

    assert [result.stdout for result in asyncio.run(main())] == [str(number).encode() for number in range(10)]


def test_a_signal_handler_runs_at_once_and_may_end_the_run():
    class Enough(Exception):
        pass

    def handler(*_):
        raise Enough

    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(Enough):
        run(["sleep", "1000"])
    signal.signal(signal.SIGALRM, previous)


def test_a_cancelled_task_ends_its_program(tmp_path):
    async def main():
        task = asyncio.ensure_future(sandbox.run_async(["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 1000"]))
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().endswith("\n"):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    pid = int((tmp_path / "pid").read_text())
    assert not os.path.exists(f"/proc/{pid}")
