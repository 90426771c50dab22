"""Python, through ctypes: what a host written in Python sees of the library. A line a test, as tests/run wants them.

usage: spawn.py libsandbox_spawn.so.0 sandbox_spawn.h"""
import ctypes
import os
import re
import signal
import sys
import threading
import time

path, header = sys.argv[1:]
lib = ctypes.CDLL(path)  # releases the interpreter's lock during a call
C = {name: int(value) for name, value in re.findall(r"\b(SANDBOX_\w+) = (\d+),", open(header).read())}


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int32), ("stage", ctypes.c_uint32), ("index", ctypes.c_uint32), ("message", ctypes.c_char * 244)]


class Status(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_uint32), ("code", ctypes.c_int32), ("core_dumped", ctypes.c_uint32), ("cause", ctypes.c_uint32),
                ("syscall", ctypes.c_int64), ("user_time_us", ctypes.c_uint64), ("system_time_us", ctypes.c_uint64),
                ("wall_time_us", ctypes.c_uint64), ("peak_memory_bytes", ctypes.c_uint64), ("left_out", ctypes.c_uint64)]


READY = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
pointer = ctypes.c_void_p
lib.sandbox_cmd_new.restype = pointer
lib.sandbox_version.restype = lib.sandbox_stage_name.restype = ctypes.c_char_p
lib.sandbox_cmd_new.argtypes = [ctypes.c_char_p]
for name in ("arg", "cwd"):
    getattr(lib, "sandbox_cmd_" + name).argtypes = [pointer, ctypes.c_char_p]
lib.sandbox_cmd_stdio.argtypes = [pointer, ctypes.c_int, ctypes.c_uint32, ctypes.c_int]
lib.sandbox_cmd_on_ready.argtypes = [pointer, READY, pointer]
lib.sandbox_spawn.argtypes = [pointer, ctypes.POINTER(pointer), ctypes.POINTER(Error)]
lib.sandbox_child_wait.argtypes = [pointer, ctypes.c_int64, ctypes.POINTER(Status), ctypes.c_size_t]
lib.sandbox_child_take_fd.argtypes = [pointer, ctypes.c_uint32]
lib.sandbox_child_kill.argtypes = [pointer, ctypes.c_int]
for name in ("cmd_free", "child_free"):
    getattr(lib, "sandbox_" + name).argtypes = [pointer]
    getattr(lib, "sandbox_" + name).restype = None


def command(program, *args, pipes=()):
    cmd = lib.sandbox_cmd_new(program.encode())
    for arg in args:
        lib.sandbox_cmd_arg(cmd, arg.encode())
    for target in pipes:
        lib.sandbox_cmd_stdio(cmd, target, C["SANDBOX_STDIO_PIPE"], -1)
    return cmd


def spawn(cmd):
    child, error = pointer(), Error()
    code = lib.sandbox_spawn(cmd, child, error)
    lib.sandbox_cmd_free(cmd)
    assert code == error.code, (code, error.code)
    return child, error


def started(cmd):
    child, error = spawn(cmd)
    assert error.code == 0, error.message
    return child


def ended(child):
    status = Status()
    assert lib.sandbox_child_wait(child, 10000, status, ctypes.sizeof(status)) == 0
    lib.sandbox_child_free(child)
    return status


def names_of_fds():
    return sorted(os.listdir("/proc/self/fd"))


def it_tells_its_version():
    assert re.fullmatch(rb"\d+\.\d+\.\d+", lib.sandbox_version()), lib.sandbox_version()


def a_filter_program_is_fed_and_read():
    child = started(command("tr", "a-z", "A-Z", pipes=(0, 1)))
    to, out = (lib.sandbox_child_take_fd(child, C["SANDBOX_FD_" + name]) for name in ("STDIN", "STDOUT"))
    with open(to, "wb") as stream:
        stream.write(b"from python\n")
    with open(out, "rb") as stream:
        text = stream.read()
    assert text == b"FROM PYTHON\n", text
    assert ended(child).code == 0


def an_exit_code_comes_back():
    status = ended(started(command("sh", "-c", "exit 7")))
    assert (status.kind, status.code) == (C["SANDBOX_EXITED"], 7), (status.kind, status.code)
    assert status.wall_time_us > 0


def a_signal_comes_back():
    status = ended(started(command("sh", "-c", "kill -TERM $$")))
    assert (status.kind, status.code) == (C["SANDBOX_SIGNALED"], signal.SIGTERM), (status.kind, status.code)
    assert status.cause == C["SANDBOX_CAUSE_NONE"]


def a_kill_is_told_apart():
    child = started(command("sleep", "1000"))
    assert lib.sandbox_child_kill(child, signal.SIGKILL) == 0
    status = ended(child)
    assert (status.code, status.cause) == (signal.SIGKILL, C["SANDBOX_CAUSE_KILLED"]), (status.code, status.cause)


def a_missing_program_is_an_error_of_stage_exec():
    child, error = spawn(command("/no/such/program"))
    assert child.value is None and error.code == -2, error.code
    assert lib.sandbox_stage_name(error.stage) == b"exec" and b"/no/such/program" in error.message, error.message


def a_missing_directory_is_an_error_of_stage_cwd():
    cmd = command("true")
    lib.sandbox_cmd_cwd(cmd, b"/no/such/directory")
    _, error = spawn(cmd)
    assert (lib.sandbox_stage_name(error.stage), error.code) == (b"cwd", -2), error.message
    assert b"/no/such/directory" in error.message, error.message


def a_python_function_decides_at_the_gate():
    seen = []

    @READY
    def look(pid, pidfd, _):
        seen.append((pid, os.readlink(f"/proc/self/fd/{pidfd}")))
        return 0

    cmd = command("true")
    lib.sandbox_cmd_on_ready(cmd, look, None)
    assert ended(started(cmd)).code == 0
    assert len(seen) == 1 and "pidfd" in seen[0][1], seen
    refuse = READY(lambda *_: -16)
    cmd = command("true")
    lib.sandbox_cmd_on_ready(cmd, refuse, None)
    _, error = spawn(cmd)
    assert (lib.sandbox_stage_name(error.stage), error.code) == (b"callback", -16), error.message


def a_child_outlives_the_thread_that_spawned_it():
    children = []
    thread = threading.Thread(target=lambda: children.append(started(command("sleep", "1000"))))
    thread.start()
    thread.join()
    time.sleep(0.1)
    assert lib.sandbox_child_wait(children[0], 0, None, 0) == -110  # ETIMEDOUT: it still runs
    lib.sandbox_child_free(children[0])


def eight_threads_spawn_at_once():
    codes = []

    def work(number):
        for turn in range(25):
            codes.append(ended(started(command("sh", "-c", f"exit {number + turn}"))).code - turn == number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [True] * 200, len(codes)


def nothing_is_left():
    assert names_of_fds() == fds_before, names_of_fds()
    deadline = time.monotonic() + 10  # Python's join does not wait for the kernel's thread
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(os.listdir("/proc/self/task")) == 1, "a thread is left"
    try:
        os.waitpid(-1, os.WNOHANG)
        raise AssertionError("a child is left")
    except ChildProcessError:
        pass


fds_before = names_of_fds()
failed = False
for test in (it_tells_its_version, a_filter_program_is_fed_and_read, an_exit_code_comes_back, a_signal_comes_back, a_kill_is_told_apart,
             a_missing_program_is_an_error_of_stage_exec, a_missing_directory_is_an_error_of_stage_cwd,
             a_python_function_decides_at_the_gate, a_child_outlives_the_thread_that_spawned_it, eight_threads_spawn_at_once,
             nothing_is_left):
    name = "python: " + test.__name__.replace("_", " ")
    try:
        test()
        print("ok -", name, flush=True)
    except Exception as error:
        failed = True
        print(f"not ok - {name}: {type(error).__name__} {error}", flush=True)
sys.exit(failed)
