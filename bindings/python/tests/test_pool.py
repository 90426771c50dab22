"""Pool: children set up ahead."""
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox_spawn import PIPE, Command, Pool, SandboxError


def output(child):
    with child:
        text = child.stdout.read()
        assert child.wait(60).exit_code == 0
        return text


def test_children_run_their_own_programs():
    with Pool(Command("echo", "usual", stdout=PIPE), 3) as pool:
        assert output(pool.spawn()) == b"usual\n"
        assert output(pool.spawn(Command("sh", "-c", "echo $A", env={"A": "other"}))) == b"other\n"
        assert pool.refill() == 2 and pool.refill() == 0
        assert [output(pool.spawn(Command("echo", str(number)))) for number in range(6)] == [b"%d\n" % number for number in range(6)]


def test_errors_of_a_pool():
    with pytest.raises(ValueError, match="1 to 4096"):
        Pool(Command("true"), 0)
    with Pool(Command("true"), 1) as pool:
        with pytest.raises(SandboxError) as caught:
            pool.spawn(Command("/no/such/program"))
        assert (caught.value.stage, caught.value.errno) == ("exec", 2)
        with pytest.raises(SandboxError):
            pool.spawn(Command("true", nice=19))
    with pytest.raises(ValueError, match="closed"):
        pool.spawn()


def test_threads_share_a_pool():
    with Pool(Command("cat", stdout=PIPE), 4) as pool, ThreadPoolExecutor(4) as threads:
        texts = list(threads.map(lambda number: output(pool.spawn(Command("echo", str(number)))), range(20)))
    assert texts == [b"%d\n" % number for number in range(20)]


def test_a_forked_process_leaves_the_pool_alone():
    pools = [Pool(Command("echo", "held", stdout=PIPE), 2)]
    process = multiprocessing.get_context("fork").Process(target=pools.clear)
    process.start()
    process.join()
    assert process.exitcode == 0
    process.close()
    assert output(pools[0].spawn()) == b"held\n"
    pools.pop().close()
