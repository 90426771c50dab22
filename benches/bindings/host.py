"""The host in Python: see hosts.py. host.py MiB PROGRAM"""
import json
import mmap
import os
import platform
import subprocess
import sys
import time

RESIDENT, PROGRAM = int(sys.argv[1]) << 20, sys.argv[2]


def say(**what):
    print(json.dumps(what), flush=True)


if RESIDENT:
    memory = mmap.mmap(-1, RESIDENT, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, RESIDENT, 4096):
        memory[at] = 1

try:
    from sandbox_spawn import Child, Command, run
except ModuleNotFoundError as error:
    say(skip=f"{sys.executable} has no binding: {error}")
    sys.exit()
except Exception as error:
    say(error=f"the binding: {error!r}")
    sys.exit()

command = Command(PROGRAM)


# Each way raises where the program did not run, or did not exit with 0. No assert: -O would leave it out.

def judge(code):
    if code != 0:
        raise RuntimeError(f"it ended with {code}")


def posix_spawn():
    judge(os.waitpid(os.posix_spawn(PROGRAM, [PROGRAM], os.environ), 0)[1])


def popen():
    judge(subprocess.Popen([PROGRAM]).wait())


def child():
    with Child([PROGRAM]) as child:
        judge(child.wait().returncode)


def same():
    with command.spawn() as child:
        judge(child.wait().returncode)


def subprocess_run():
    judge(subprocess.run([PROGRAM], capture_output=True, stdin=subprocess.DEVNULL).returncode)


def our_run():
    judge(run([PROGRAM]).returncode)


def same_run():
    judge(command.run().returncode)


WAYS = [
    ("posix_spawn", posix_spawn, "os.posix_spawn, os.waitpid", None),
    ("popen", popen, "subprocess.Popen, wait", None),
    ("child", child, "sandbox_spawn.Child, wait", "popen"),
    ("child_same", same, "... of one Command, against posix_spawn", "posix_spawn"),
    ("run", subprocess_run, "subprocess.run, output captured", None),
    ("our_run", our_run, "sandbox_spawn.run", "run"),
    ("run_same", same_run, "... of one Command", "run"),
]
functions = {key: function for key, function, _, _ in WAYS}
say(runtime=f"{platform.python_implementation()} {platform.python_version()}",
    ways=[{"key": key, "title": title, "against": against} for key, _, title, against in WAYS])
for line in sys.stdin:
    function = functions[line.strip()]
    before = time.perf_counter()
    try:
        function()
    except Exception as error:
        say(error=str(error) or repr(error))
    else:
        say(us=(time.perf_counter() - before) * 1e6)
