"""Watching from outside: blocking, locks, an fd held, the death of parents, what outlives what."""
import fcntl
import json
import os
import select
import signal
import subprocess
import time

from table import FULL, OUT, PROC, USR, case, scene

from cases.process import until


def readable(fd, seconds):
    return bool(select.select([fd], [], [], seconds)[0])


def stopped(pipe, seconds=60):
    """Whether everything that had the other end has let go of it."""
    if not readable(pipe, seconds):
        return "held"
    return "free" if os.read(pipe, 1) == b"" else "data"


@scene("--block-fd: nothing runs before there is data", out="blocked, then in 0")
def _(program):
    end, other = os.pipe()
    process = program.start(USR.split() + ["--unshare-pid", "--block-fd", "{b}", "--info-fd", "{i}"], ["sh", "-c", "echo in"], fds={"b": end, "i": OUT})
    os.close(end)
    readable(process.ends["i"], 60)  # the child is there
    early = readable(process.stdout, 0.3)
    os.write(other, b"x")
    out = process.communicate(timeout=60)[0].decode().strip()
    os.close(other)
    os.close(process.ends["i"])
    return f"{'early' if early else 'blocked'}, then {out} {process.returncode}"


@scene("--block-fd: its other end closed is as good", out="in 0")
def _(program):
    end, other = os.pipe()
    process = program.start(USR.split() + ["--unshare-pid", "--block-fd", "{b}"], ["sh", "-c", "echo in"], fds={"b": end})
    os.close(end)
    os.close(other)
    return process.communicate(timeout=60)[0].decode().strip() + f" {process.returncode}"


case("--block-fd is closed inside", "--block-fd {b}", "ls /proc/self/fd", base=PROC, fds={"b": b"x"}, out="^0\n1\n2\n3$")
case("--block-fd, not a number", "--block-fd x", code=1, err="^bwrap: ")
case("--sync-fd, not a number", "--sync-fd x", code=1, err="^bwrap: ")
case("--userns-block-fd, not a number", "--unshare-user --userns-block-fd x", code=1, err="^bwrap: ")
case("--userns-block-fd without a user namespace", "--userns-block-fd {b}", "echo in", fds={"b": b"x"}, code=None)


@scene("--userns-block-fd: the maps are another's to write")
def _(program):
    end, other = os.pipe()
    process = program.start(PROC.split() + ["--unshare-user", "--uid", "5", "--gid", "6", "--userns-block-fd", "{b}", "--info-fd", "{i}"],
                            ["sh", "-c", "cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '; id -u; id -g"], fds={"b": end, "i": OUT})
    os.close(end)
    text = ""
    while "}" not in text and readable(process.ends["i"], 60):
        text += os.read(process.ends["i"], 1000).decode()
    pid = json.loads(text)["child-pid"]
    early = readable(process.stdout, 0.1)
    for name, line in (("setgroups", "deny"), ("uid_map", f"5 {os.getuid()} 1"), ("gid_map", f"6 {os.getgid()} 1")):
        with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as opened:
            opened.write(line)
    os.write(other, b"x")
    out, _ = process.communicate(timeout=60)
    os.close(other)
    os.close(process.ends["i"])
    return f"{early} {out.decode()} {process.returncode}"


@scene("--sync-fd is held as long as something runs", out="3 held free")
def _(program):
    end, other = os.pipe()
    os.mkfifo(program.directory + "/go")
    process = program.start(FULL.split() + ["--unshare-pid", "--bind", "{d}", "/d", "--sync-fd", "{s}"],
                            ["sh", "-c", "(read x < /d/go) >/dev/null 2>&1 & exit 3"], fds={"s": other}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(other)
    code = process.wait(60)
    before = "free" if readable(end, 0.2) else "held"
    program.poke("go")
    after = stopped(end)
    os.close(end)
    return f"{code} {before} {after}"


@scene("--sync-fd is not the program's", out="0\n1\n2\n3\n")
def _(program):
    end, other = os.pipe()
    out = program.run(PROC.split() + ["--unshare-pid", "--sync-fd", "{s}"], ["ls", "/proc/self/fd"], fds={"s": other})[1]
    os.close(end)
    os.close(other)
    return out


def locked(path):
    """Whether another may not write it now."""
    with open(path, "r+", encoding="ascii") as opened:
        try:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return "locked"
        return "free"


@scene("--lock-file: locked while it runs, free after", out="locked locked in free free 0")
def _(program):
    for name in ("one", "two"):
        program.file(name, "")
    process = program.start(FULL.split() + ["--unshare-pid", "--bind", "{d}", "/d", "--lock-file", "/d/one", "--lock-file", "/d/two"],
                            ["sh", "-c", "echo in; cat >/dev/null"], stdin=subprocess.PIPE)
    line = process.stdout.readline().decode().strip()
    during = [locked(program.directory + "/" + name) for name in ("one", "two")]
    process.stdin.close()
    code = process.wait(60)
    until(lambda: locked(program.directory + "/one") == "free", 20)
    after = [locked(program.directory + "/" + name) for name in ("one", "two")]
    return " ".join(during + [line] + after + [str(code)])


case("--lock-file of what is not there", "--unshare-pid --lock-file /nothing", code=1, err="^bwrap: .*/nothing")
case("--lock-file twice on one file", "--unshare-pid --bind {d} /d --lock-file /d/data/file --lock-file /d/data/file", "echo in", out="^in$")
case("--lock-file of a file that can't be written", "--unshare-pid --ro-bind {d} /d --lock-file /d/data/file", "echo in", out="^in$")
case("--lock-file: its fd is not the program's", "--unshare-pid --bind {d} /d --lock-file /d/data/file", "ls /proc/self/fd", base=PROC, out="^0\n1\n2\n3$")


# Who dies with whom. Something of the sandbox holds the pipe's end; it lets go when the last of them is gone.
def orphan(program, options, kill):
    """Starts it from a shell, kills that shell or it with SIGKILL, and tells whether the sandbox went too."""
    end, other = os.pipe()
    os.set_inheritable(other, True)
    os.mkfifo(program.directory + "/go")
    words = program.words([program.path] + PROC.split() + options + ["--bind", "{d}", "/d", "sh", "-c", "echo in > /d/in; read x < /d/go"], {})
    shell = subprocess.Popen(["sh", "-c", '"$@" & echo $! > pid; wait', "sh"] + words, pass_fds=[other], cwd=program.directory,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    program.alive.append(shell)
    os.close(other)
    until(lambda: os.path.exists(program.directory + "/in") and program.file("in"))
    pid = int(program.file("pid"))
    time.sleep(0.3)  # bubblewrap itself asks for its parent's death only now
    os.kill(shell.pid if kill == "parent" else pid, signal.SIGKILL)
    if kill == "itself":
        shell.wait(60)
    answer = stopped(end, 0.5 if not options or "--die-with-parent" not in options else 60)
    if answer == "held":  # let it end
        program.poke("go")
        stopped(end)
    os.close(end)
    return "dead" if answer == "free" else "alive"


for what in ("parent", "itself"):
    for spaces in ("", "--unshare-pid", "--unshare-all", "--unshare-pid --as-pid-1"):
        scene(f"--die-with-parent: {what} killed {spaces}".strip(), out="dead")(
            lambda program, what=what, spaces=spaces: orphan(program, spaces.split() + ["--die-with-parent"], what))
    scene(f"without --die-with-parent: {what} killed", out="alive")(lambda program, what=what: orphan(program, [], what))
    scene(f"without --die-with-parent: {what} killed, a pid namespace", out="alive")(lambda program, what=what: orphan(program, ["--unshare-pid"], what))


@scene("it ends as the program does, though others go on", out="0, then late")
def _(program):
    os.mkfifo(program.directory + "/go")
    process = program.start(FULL.split() + ["--unshare-pid", "--bind", "{d}", "/d"], ["sh", "-c", "(read x < /d/go; echo late > /d/seen) >/dev/null 2>&1 & exit 0"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    code = process.wait(60)
    program.poke("go")
    seen = until(lambda: os.path.exists(program.directory + "/seen") and program.file("seen"))
    return f"{code}, then {seen.strip() if seen else 'nothing'}"


@scene("what it started goes on, without a pid namespace", out="0, then late")
def _(program):
    os.mkfifo(program.directory + "/go")
    process = program.start(FULL.split() + ["--bind", "{d}", "/d"], ["sh", "-c", "(read x < /d/go; echo late > /d/seen) >/dev/null 2>&1 & exit 0"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    code = process.wait(60)
    program.poke("go")
    seen = until(lambda: os.path.exists(program.directory + "/seen") and program.file("seen"))
    return f"{code}, then {seen.strip() if seen else 'nothing'}"


def ended_by(number, options):
    def play(program):
        process = program.start(PROC.split() + options, ["sh", "-c", "echo in; while :; do sleep 0.05; done"])
        process.stdout.readline()
        process.send_signal(number)
        code = process.wait(60)
        return str(128 - code if code < 0 else code)
    return play


for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    scene(f"{number.name} sent to it ends it, and with --die-with-parent the program", out=str(128 + number))(ended_by(number, ["--unshare-pid", "--die-with-parent"]))


@scene("a caller that ignores SIGCHLD, SIGPIPE and SIGINT", newer=True, out="7")
def _(program):
    # 0.11.1 resets SIGCHLD; before, the exit code was lost.
    words = program.words([program.path] + PROC.split() + ["--unshare-pid", "sh", "-c", "(exit 3); exit 7"], {})
    return str(subprocess.run(["/usr/bin/python3", "-c", "import os, signal, sys\nfor s in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT): signal.signal(s, signal.SIG_IGN)\n"
                               "os.execv(sys.argv[1], sys.argv[1:])"] + words, timeout=100, check=False).returncode)


@scene("nothing of the sandbox is left on the host", out="")
def _(program):
    before = set(open("/proc/self/mounts", encoding="utf8").read().splitlines())
    program.run(FULL.split() + ["--unshare-all", "--bind", "{d}", "/d", "--tmpfs", "/t"], ["true"])
    return "\n".join(set(open("/proc/self/mounts", encoding="utf8").read().splitlines()) - before)
