"""What comes out of a run goes through a pickle whole: so it travels between processes."""
import copy
import pickle
import signal
import subprocess
import sys

import pytest

import sandbox_spawn as sandbox
from sandbox_spawn import Cause, Command, Limit, RunError, SandboxError, run


def again(thing):
    copies = [pickle.loads(pickle.dumps(thing, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)] + [copy.copy(thing), copy.deepcopy(thing)]
    for other in copies[1:]:
        assert type(other) is type(copies[0]) and repr(other) == repr(copies[0])
    return copies[0]


def caught(kind, work):
    with pytest.raises(kind) as error:
        work()
    return error.value


def test_an_error_keeps_what_it_knows():
    error = caught(SandboxError, lambda: run(["true"], cwd="/no/such/directory"))
    other = again(error)
    assert type(other) is SandboxError and isinstance(other, OSError)
    assert (other.errno, other.stage, other.index, other.message, str(other)) == (error.errno, "cwd", 0, error.message, str(error))
    assert "/no/such/directory" in other.message


def test_an_error_of_a_later_item_keeps_its_index():
    error = caught(SandboxError, lambda: run(["true"], landlock_path=[("/", sandbox.Access.ALL), ("/no/such/file", sandbox.Access.READ)]))
    other = again(error)
    assert (other.stage, other.index, other.errno) == (error.stage, 1, 2)


def test_a_result_stays_what_it_is():
    result = run(["sh", "-c", "printf 12345; echo err >&2; kill -KILL $$"], stdout_limit=3)
    other = again(result)
    assert other == result and other.status == result.status
    assert other.status.signal == signal.SIGKILL and isinstance(other.status.cause, Cause) and other.status.raw == result.status.raw
    assert (other.stdout, other.stdout_cut, other.limits) == (b"123", 2, Limit.STDOUT) and isinstance(other.limits, Limit)


def test_a_run_that_was_checked():
    error = caught(RunError, lambda: run(["sh", "-c", "echo oops >&2; exit 3"], check=True))
    other = again(error)
    assert other.result == error.result and str(other) == str(error)


def test_what_the_machine_allows():
    features = sandbox.probe()
    other = again(features)
    assert other == features and other.spawn == features.spawn


def test_what_belongs_to_a_process_is_refused():
    for thing in (Command("true"), sandbox.Filter(sandbox.ALLOW), sandbox.Pool(Command("true"), 1)):
        with pytest.raises(TypeError):
            pickle.dumps(thing)


PROGRAM = """
import pickle, sys
from sandbox_spawn import SandboxError, run
try:
    run(["true"], cwd="/no/such/directory")
except SandboxError as error:
    pickle.dump((run(["echo", "there"], timeout=30), error), sys.stdout.buffer)
"""


def test_from_another_process():
    result, error = pickle.loads(subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, check=True).stdout)
    assert result.stdout == b"there\n" and result.returncode == 0
    assert type(error) is SandboxError and (error.stage, error.errno) == ("cwd", 2)
