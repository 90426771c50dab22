"""Filters, and supervisors that answer what they ask."""
import errno
import os
import signal
import socket
import threading

import pytest

from sandbox_spawn import ALLOW, ERRNO, KILL_PROCESS, NOTIFY, PIPE, Arg, Cause, Child, Command, Filter, SandboxError, Supervisor, deny_groups, run

MKDIR = {"x86_64": 83}.get(os.uname().machine)


def test_a_rule_denies_a_call():
    filter = Filter(ALLOW).rule(ERRNO(errno.EPERM), "mkdir").rule(ERRNO(errno.EPERM), "mkdirat")
    result = run(["mkdir", "/tmp/must-not-be"], filter=[filter], env={"LC_ALL": "C"}, text=True)
    assert result.returncode == 1 and "Operation not permitted" in result.stderr


def test_a_program_killed_by_its_filter_is_told_apart():
    filter = Filter(ALLOW).rule(KILL_PROCESS, "mkdir").rule(KILL_PROCESS, "mkdirat")
    with Child(["mkdir", "/tmp/must-not-be"], filter=[filter]) as child:
        status = child.wait()
    assert status.signal == signal.SIGSYS and status.cause is Cause.FILTER


def test_conditions_and_simulation():
    filter = Filter(ALLOW).rule(ERRNO(1), "socket", Arg(0, "==", socket.AF_INET)).rule(ERRNO(2), "socket", Arg(0, "&", 0xFF00, value=0x100))
    number = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
    assert filter.simulate(number, [socket.AF_INET]) == ERRNO(1)
    assert filter.simulate(number, [0x1AA]) == ERRNO(2)
    assert filter.simulate(number, [socket.AF_UNIX]) == ALLOW
    with pytest.raises(ValueError, match="op"):
        filter.rule(ALLOW, "socket", Arg(0, "=", 1))


def test_errors_of_filters():
    with pytest.raises(SandboxError, match="no_such_call") as caught:
        Filter().rule(ALLOW, "no_such_call")
    assert caught.value.stage == "seccomp"
    with pytest.raises(SandboxError):
        Filter().policy("read: nonsense(")
    with pytest.raises(SandboxError):
        Filter().oci("{")
    with pytest.raises(SandboxError):
        Command("true", filter=[Filter(0x12345678)])
    with pytest.raises(ValueError, match="io_uring"):
        Filter().deny("everything")


def test_policies_are_read():
    filter = Filter(ALLOW).policy("mkdir: return 5\nmkdirat: return 5\n")
    result = run(["mkdir", "/tmp/must-not-be"], filter=[filter], env={"LC_ALL": "C"}, text=True)
    assert "Input/output error" in result.stderr
    filter = Filter().oci('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}]}')
    assert "Input/output error" in run(["mkdir", "/tmp/must-not-be"], filter=[filter], env={"LC_ALL": "C"}, text=True).stderr


def test_ready_made_groups_and_export(tmp_path):
    assert "io_uring" in deny_groups()
    filter = Filter(ALLOW).deny(*deny_groups())
    with open(tmp_path / "program", "w+b") as file:
        filter.export(file)
        program = file.seek(0) or file.read()
    assert len(program) % 8 == 0
    assert run(["true"], filter=[Filter(ALLOW).bpf(program)]).returncode == 0
    with pytest.raises(SandboxError):
        Filter(ALLOW).bpf(b"")


def asking(*names):
    filter = Filter(ALLOW)
    for name in names:
        filter.rule(NOTIFY, name)
    return filter


def test_a_python_function_answers():
    seen = []

    def refuse(call):
        seen.append(call.path(call.args[0], call.args[1]) if call.nr != MKDIR else call.path(-100, call.args[0]))
        call.errno(errno.ENOSPC)

    with Child(["mkdir", "/tmp/asked-for"], filter=[asking("mkdir", "mkdirat")], stderr=PIPE, env={"LC_ALL": "C"}) as child:
        with Supervisor(child) as supervisor:
            supervisor.on("mkdir", refuse).on("mkdirat", refuse).run()
            assert supervisor.ended
        assert b"No space left" in child.stderr.read()
        assert child.wait().exit_code == 1
    assert seen == [b"/tmp/asked-for"]


def test_answers_of_each_kind():
    def answer(call):
        assert call.is_alive() and call.pid > 0 and call.tid > 0 and call.pidfd >= 0
        call.return_value(4242)

    with Child(["sh", "-c", "echo $PPID"], filter=[asking("getppid")], stdout=PIPE) as child, Supervisor(child) as supervisor:
        supervisor.on("getppid", answer).run()
        assert child.stdout.read() == b"4242\n"


def test_one_function_for_all_others():
    calls = []
    with Child(["mkdir", "/proc/1/x"], filter=[asking("mkdir", "mkdirat", "umask")], stderr=PIPE) as child, Supervisor(child) as supervisor:
        supervisor.on(None, lambda call: (calls.append(call.nr), call.continue_unsafe()))
        supervisor.run()
        assert child.wait().exit_code == 1
    assert calls


def test_what_a_handler_raises_comes_out_and_the_call_is_denied():
    def wrong(call):
        raise KeyError("wrong")

    with Child(["mkdir", "/tmp/must-not-be"], filter=[asking("mkdir", "mkdirat")], stderr=PIPE, env={"LC_ALL": "C"}) as child, Supervisor(child) as supervisor:
        supervisor.on(None, wrong)
        with pytest.raises(KeyError, match="wrong"):
            supervisor.run()
        supervisor.run()
        assert b"Operation not permitted" in child.stderr.read()


def test_a_caller_that_is_gone_is_no_error():
    def too_late(call):
        child.kill()
        child.wait(20)
        call.return_value(0)

    with Child(["mkdir", "/tmp/must-not-be"], filter=[asking("mkdir", "mkdirat")]) as child, Supervisor(child) as supervisor:
        supervisor.on(None, too_late).run()
        assert child.wait().signal == 9


def test_without_an_answer_the_call_is_denied():
    with Child(["mkdir", "/tmp/must-not-be"], filter=[asking("mkdir", "mkdirat")], stderr=PIPE, env={"LC_ALL": "C"}) as child, Supervisor(child) as supervisor:
        supervisor.on(None, lambda call: None).run()
        assert b"Function not implemented" in child.stderr.read()


def test_several_threads_dispatch():
    line = "i=0; while [ $i -lt 50 ]; do mkdir /tmp/must-not-be; i=$((i+1)); done 2>/dev/null"
    answered = []
    with Child(["sh", "-c", line], filter=[asking("mkdir", "mkdirat")]) as child, Supervisor(child) as supervisor:
        supervisor.on(None, lambda call: (answered.append(threading.get_ident()), call.errno(errno.EPERM)))
        threads = [threading.Thread(target=supervisor.run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert child.wait().exit_code is not None
    assert len(answered) == 50


def test_a_run_answers_nothing():
    with pytest.raises(SandboxError, match="notifications"):
        run(["true"], filter=[asking("mkdir")])
    with Child(["true"]) as child, pytest.raises(ValueError, match="notifies"):
        Supervisor(child)


def test_the_exec_itself_is_asked_about():
    with Command("/bin/true", filter=[asking("execve", "execveat")]).spawn() as child, Supervisor(child) as supervisor:
        with pytest.raises(TimeoutError):
            child.wait_exec(0.05)
        supervisor.on(None, lambda call: call.errno(errno.EACCES)).run()
        with pytest.raises(SandboxError) as caught:
            child.wait_exec(20)
        assert (caught.value.stage, caught.value.errno) == ("exec", errno.EACCES)
        with pytest.raises(OSError):
            child.wait(20)
