"""How it starts, runs and ends: arguments, exit codes, signals, pids, sessions, terminals, orphans."""
import os
import pty
import select
import signal
import time

from table import FULL, PROC, USR, case, scene

# The command line
case("--help", "--help", base="", command=[], same=False, out=r"--ro-bind SRC DEST")
case("--version", "--version", base="", command=[], same=False, out=r"^bubblewrap \d+\.\d+\.\d+$|^sandbox-bwrap ")
case("--version wins over what follows", "--version --frob", base="", command=[], same=False)
case("nothing at all", base="", command=[], code=1, err="bwrap|usage")
case("no program", command=[], code=1, err=".")
case("an unknown option", "--frobnicate", code=1, err="^bwrap: .*--frobnicate")
case("an unknown short option", "-x", code=1, err="^bwrap: .*-x")
case("--option=value is no option", "--chdir=/usr", code=1, err="^bwrap: ")
case("an abbreviated option is no option", "--unshare-us", code=1, err="^bwrap: ")
case("-- ends the options", "--", command=["echo", "--unshare-user"], out="^--unshare-user$")
case("the first word without a dash ends them too", command=["echo", "--unshare-user", "--", "-x"], out="^--unshare-user -- -x$")
case("-- and a program that begins with a dash", "--", command=["-x"], code=1, err="^bwrap: .*-x")
case("an empty program", command=[""], code=1, err="^bwrap: ")
case("empty arguments", command=["printf", "<%s>", "", "a b", ""], out="^<><a b><>$")
case("arguments that are no UTF-8", command=["printf", "%s", "\udcff\udcfe"])
case("a long argument", command=["sh", "-c", "echo ${#0}", "x" * 100000], out="^100000$")
case("many binds", " ".join(f"--bind {{d}}/data /b/{at}" for at in range(300)), "ls /b | wc -l; cat /b/299/file", out="^300$")
for option, number in (("bind", 2), ("ro-bind", 2), ("dev-bind", 2), ("bind-try", 2), ("ro-bind-try", 2), ("dev-bind-try", 2), ("symlink", 2),
                       ("setenv", 2), ("unsetenv", 1), ("chdir", 1), ("proc", 1), ("dev", 1), ("tmpfs", 1), ("mqueue", 1), ("dir", 1),
                       ("file", 2), ("bind-data", 2), ("ro-bind-data", 2), ("seccomp", 1), ("add-seccomp-fd", 1), ("args", 1),
                       ("remount-ro", 1), ("uid", 1), ("gid", 1), ("hostname", 1), ("lock-file", 1), ("sync-fd", 1), ("block-fd", 1),
                       ("userns-block-fd", 1), ("info-fd", 1), ("json-status-fd", 1), ("cap-add", 1), ("cap-drop", 1), ("perms", 1),
                       ("size", 1), ("chmod", 2), ("userns", 1), ("userns2", 1), ("pidns", 1), ("exec-label", 1), ("file-label", 1),
                       ("bind-fd", 2), ("ro-bind-fd", 2)):
    case(f"--{option} with an argument missing", " ".join(["--" + option] + ["1"] * (number - 1)), base="", command=[], code=1, err="^bwrap: .*--" + option.replace("ro-bind-fd", "(ro-)?bind-fd"))

case("--exec-label without SELinux", "--exec-label x", code=1, err="^bwrap: ")
case("--file-label without SELinux", "--file-label x", code=1, err="^bwrap: ")

# Starting the program
case("no such program", command=["nonesuch"], code=1, err="^bwrap: .*nonesuch.*No such file")
case("no such program, by path", command=["/nonesuch/x"], code=1, err="^bwrap: .*/nonesuch/x.*No such file")
case("a program that may not be run", "--ro-bind {d}/data/file /x", command=["/x"], code=1, err="^bwrap: .*/x.*denied")
case("a directory for a program", command=["/usr"], code=1, err="^bwrap: .*/usr.*denied")
case("a script without a first line", "--perms 0755 --ro-bind-data {f} /x", command=["/x"], fds={"f": b"exit 9\n"}, code=None)
case("a script with one", "--perms 0755 --ro-bind-data {f} /x", command=["/x", "a b"], fds={"f": b"#!/bin/sh\necho $0 $1\n"}, out="^/x a b$")
case("a script whose interpreter is not there", "--perms 0755 --ro-bind-data {f} /x", command=["/x"], fds={"f": b"#!/nothing\n"}, code=1, err="^bwrap: ")
case("a program by a relative path", "--ro-bind / / --chdir /usr/bin", base="", command=["./echo", "x"], out="^x$")
case("argv[0] is as written", command=["sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline"], base=PROC, out="^sh -c ")

# Exit codes
for code in (0, 1, 2, 42, 125, 127, 255):
    for spaces in ("", "--unshare-pid", "--unshare-pid --as-pid-1"):
        case(f"exit code {code} {spaces}".strip(), spaces, f"exit {code}", code=code)
for name in ("KILL", "TERM", "SEGV", "USR1", "PIPE"):
    for spaces in ("", "--unshare-pid"):
        case(f"ended by SIG{name} {spaces}".strip(), spaces, f"kill -{name} $$", code=128 + getattr(signal, "SIG" + name))
case("ended by a signal --as-pid-1", "--unshare-pid --as-pid-1", "kill -KILL $$; exit 3", code=3)
case("output and an exit code", "--unshare-all", "echo out; echo err >&2; exit 4", code=4, out="^out$", err="^err$")

# Pids
case("the program's pid", "--unshare-pid", "echo $$ $PPID", base=PROC, out="^2 1$")
case("the program's pid with --unshare-all", "--unshare-all", "echo $$ $PPID", base=PROC, out="^2 1$")
case("the program's pid --as-pid-1", "--unshare-pid --as-pid-1", "echo $$ $PPID", base=PROC, out="^1 0$")
case("--as-pid-1 without a pid namespace", "--as-pid-1", "echo in", code=None)
case("the processes inside", "--unshare-pid", "echo /proc/[0-9]*", base=PROC, out="^/proc/1 /proc/2$")
case("process 1 can't be killed", "--unshare-pid", "kill -KILL 1; kill -TERM 1; echo still here", base=PROC, out="^still here$")
case("no process of the host's can be signalled", "--unshare-pid", "kill -0 100000", code=1)
case("orphans are reaped", "--unshare-pid", base=PROC, command=["/usr/bin/python3", "-c", """
import os, time
for _ in range(20):
    if os.fork() == 0:
        if os.fork() == 0: os._exit(0)
        os._exit(0)
    os.wait()
def state(p):
    try: return open(f'/proc/{p}/stat').read().rsplit(') ')[1][0]
    except OSError: return 'gone'
def states(): return [state(p) for p in os.listdir('/proc') if p.isdigit() and p != '1']
for _ in range(600):
    if 'Z' not in states(): break
    time.sleep(0.05)
print('Z' in states())"""], out="^False$")
case("the processes of a pid namespace end with --as-pid-1's program", "--unshare-pid --as-pid-1", "sleep 1000 & exit 6", base=FULL, code=6)
case("wait inside", "--unshare-pid", "(exit 3) & wait $!; echo $?; true | false; echo $?", base=FULL, out="^3$")
case("no child that it did not make", base=PROC, command=["/usr/bin/python3", "-c",
     "import os\ntry: print(os.waitpid(-1, os.WNOHANG))\nexcept ChildProcessError: print('none')"], out="^none$")

# Sessions and terminals
case("the session", "--unshare-pid", "cut -d' ' -f5,6,7,8 /proc/self/stat", base=PROC, out=r"^\d+ 0 ")
case("--new-session", "--unshare-pid --new-session", "set -- $(cat /proc/$$/stat); test $5 = $6 && test $6 != 0 && echo its own", base=PROC, out="^its own$")
case("--new-session without a pid namespace", "--new-session --setenv SESSION " + str(os.getsid(0)), "set -- $(cat /proc/$$/stat); test $6 != $SESSION && echo other; test $6 = 0; echo $?", base=PROC, out="^other$")


def in_terminal(program, options, command):
    """What that says on a terminal that is its controlling one."""
    words = [program.path] + program.words(options, {}) + program.words(command, {})
    pid, master = pty.fork()
    if pid == 0:
        try:
            os.environ.update({"LC_ALL": "C"})
            os.execv(words[0], words)
        finally:
            os._exit(99)
    came = b""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        if select.select([master], [], [], 1)[0]:
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            if not piece:
                break
            came += piece
    os.close(master)
    if time.monotonic() >= deadline:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return f"{code}: " + came.decode().replace("\r\n", "\n")


@scene("a terminal: it is there, and /dev/console is it", out="0: yes\nreached\n/dev/console c\n")
def _(program):
    return in_terminal(program, FULL.split(), ["sh", "-c", "test -t 0 && echo yes; echo reached > /dev/tty; find /dev/console -printf '%p %y\\n'"])


@scene("a terminal, --new-session: none that controls it", out="0: yes\nno tty\n")
def _(program):
    return in_terminal(program, FULL.split() + ["--new-session"],
                       ["sh", "-c", "test -t 0 && echo yes; { echo reached > /dev/tty; } 2>/dev/null || echo no tty"])


@scene("a terminal, --new-session: no input can be fed to it", out="0: refused\n")
def _(program):
    return in_terminal(program, FULL.split() + ["--new-session", "--unshare-user"], ["/usr/bin/python3", "-c", """
import fcntl, termios
try: fcntl.ioctl(0, termios.TIOCSTI, b'x'); print('fed')
except OSError: print('refused')"""])


@scene("a terminal: what it says of itself inside", out="0: same\n")
def _(program):
    return in_terminal(program, ["--dev-bind", "/", "/"], ["sh", "-c", "test \"$(stat -Lc %t:%T /dev/stdin)\" = \"$(stat -Lc %t:%T $(tty))\" && echo same"])


@scene("a terminal: ^C reaches the program", out="caught")
def _(program):
    words = [program.path] + USR.split() + ["--unshare-pid", "--bind", program.directory, "/d", "sh", "-c", "trap '' HUP; trap 'echo caught > /d/seen; exit 0' INT; echo ready; while :; do sleep 0.1; done"]
    pid, master = pty.fork()
    if pid == 0:
        try:
            os.execv(words[0], words)
        finally:
            os._exit(99)
    came = b""
    while b"ready" not in came:
        came += os.read(master, 100)
    os.write(master, b"\x03")
    seen = until(lambda: os.path.exists(program.directory + "/seen") and program.file("seen"))
    os.waitpid(pid, 0)
    os.close(master)
    return seen.strip() if seen else "nothing"


def until(true, patience=60):
    """Asks until it is true; gives the last answer."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        answer = true()
        if answer:
            return answer
        time.sleep(0.01)
    return true()
