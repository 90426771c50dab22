"""The command: a folder of programs, and a table of what came of them."""
import platform
import subprocess
import sys

from conftest import FOLDER, PATIENCE

EXPECTED = {
    "bomb.sh": ["failed", "exit", "code", "2"],
    "chatty.py": ["ran", "exit", "code", "0"],
    "crash.sh": ["signal", "SIGSEGV"],
    "hungry.py": None,  # by what its memory is limited, the machine decides
    "loop.py": ["timeout", "SIGKILL", "(timeout)"],
    "spy.py": ["accepted", "exit", "code", "0"],
    "sum.py": ["accepted", "exit", "code", "0"],
    "tracer.py": ["filter", "SIGSYS", "(filter)"] if platform.machine() == "x86_64" else None,
    "wrong.py": ["wrong", "answer", "exit", "code", "0"],
}


def judge(*args):
    return subprocess.run([sys.executable, "-m", "cluster", *args], cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)


def test_a_folder_is_judged():
    ended = judge(str(FOLDER / "cluster/programs"), "--wall-time", "4")
    rows = {line.split()[0]: line.split()[1:] for line in ended.stdout.splitlines()[1:]}
    assert sorted(rows) == sorted(EXPECTED), ended.stdout + ended.stderr
    for program, words in EXPECTED.items():
        assert words is None or rows[program][:len(words)] == words, ended.stdout
    assert "65536 of 1000001" in ended.stdout and rows["hungry.py"][0] in ("failed", "memory")
    assert ended.returncode == 1  # one answer is wrong


def test_a_program_that_can_not_be_confined_is_told_apart(tmp_path, shared):
    (tmp_path / "sum.py").write_text("print(42)")
    (tmp_path / "sum.out").write_text("42\n")
    (tmp_path / "odd").write_text("#!/no/such/interpreter\n")
    (tmp_path / "odd").chmod(0o755)
    ended = judge(str(tmp_path), "--scheduler", shared.scheduler.address)
    lines = ended.stdout.splitlines()
    assert lines[1].split()[:3] == ["odd", "not", "confined"] and "stage exec" in lines[1], ended.stdout + ended.stderr
    assert lines[2].split()[:2] == ["sum.py", "accepted"] and ended.returncode == 1


def test_no_folder():
    ended = judge("/no/such/folder")
    assert ended.returncode == 2 and "no folder" in ended.stderr and ended.stdout == ""
