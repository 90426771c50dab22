"""The host in Python: see hosts.py. host.py MiB"""
import json
import mmap
import os
import platform
import subprocess
import sys
import time

TRUE = "/bin/true"
resident = int(sys.argv[1]) << 20
if resident:
    memory = mmap.mmap(-1, resident, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, resident, 4096):
        memory[at] = 1

try:
    import sandbox_spawn
    from sandbox_spawn import Child, Command, run
except Exception as error:
    print(json.dumps({"skip": f"{sys.executable} has no binding: {error!r}"}), flush=True)
    sys.exit()

command = Command(TRUE)


def posix_spawn():
    assert os.waitpid(os.posix_spawn(TRUE, [TRUE], os.environ), 0)[1] == 0


def popen():
    assert subprocess.Popen([TRUE]).wait() == 0


def popen_pipes():
    with subprocess.Popen([TRUE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as child:
        child.communicate()
    assert child.returncode == 0


def child():
    with Child([TRUE]) as child:
        assert child.wait().exit_code == 0


def same():
    with command.spawn() as child:
        assert child.wait().exit_code == 0


def subprocess_run():
    subprocess.run([TRUE], capture_output=True, check=True, stdin=subprocess.DEVNULL)


def our_run():
    run([TRUE], check=True)


def same_run():
    command.run(check=True)


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
print(json.dumps({"runtime": f"{platform.python_implementation()} {platform.python_version()}",
                  "ways": [{"key": key, "title": title, "against": against} for key, _, title, against in WAYS]}), flush=True)
for line in sys.stdin:
    function = functions[line.strip()]
    before = time.perf_counter()
    function()
    print(json.dumps({"us": (time.perf_counter() - before) * 1e6}), flush=True)
