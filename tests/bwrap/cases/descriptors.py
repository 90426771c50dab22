"""Fds: those passed through, --args, seccomp filters, the fds on which it tells of itself."""
import json
import platform
import struct
import subprocess

from table import FULL, OUT, PROC, USR, Path, case, scene

# Passing through
case("stdin", command=["cat"], stdin=b"x\0y\n" * 30000, same=True, out="x")
case("stdin, nothing", command=["wc", "-c"], out="^0$")
case("stdin through process 1", "--unshare-all", command=["sha256sum"], stdin=bytes(range(256)) * 2000, out="^[0-9a-f]{64} ")
case("standard fds alone", run="ls /proc/self/fd", base=PROC, out="^0\n1\n2\n3$")
case("standard fds alone, in a pid namespace", "--unshare-pid", "ls /proc/self/fd", base=PROC, out="^0\n1\n2\n3$")
case("an fd of the caller's is passed on", command=["bash", "-c", "cat <&40; ls /proc/self/fd"], base=PROC, fds={"f": b"passed\n"}, out="^passed$")
case("an fd of the caller's is passed on through process 1", "--unshare-pid", command=["bash", "-c", "cat <&40"], base=PROC, fds={"f": b"passed\n"}, out="^passed$")
case("a directory's fd of the caller's is passed on", run="ls /proc/self/fd/40/", base=PROC, fds={"f": Path("data")}, out="^sub$")

# --args
def zeros(*words):
    return b"".join(word.encode() + b"\0" for word in words)


case("--args", "--args {f}", "cat /x/file; echo \"$A\"", fds={"f": zeros("--bind", "data", "/x", "--setenv", "A", "a b\nc")}, out="^a b$")
case("--args twice, and between others", "--setenv A 1 --args {f} --setenv C 3 --args {g}", "echo $A$B$C$D", fds={"f": zeros("--setenv", "A", "0", "--setenv", "B", "2"), "g": zeros("--setenv", "D", "4")}, out="^0234$")
case("--args, empty", "--args {f}", "echo in", fds={"f": b""}, out="^in$")
case("--args, no last zero", "--args {f}", "echo $A", fds={"f": zeros("--setenv", "A", "b")[:-1]}, code=None)
case("--args, an empty word", "--args {f}", "echo \"<$A>\"", fds={"f": zeros("--setenv", "A", "")}, out="^<>$")
case("--args with all, the program on the command line", "--args {f}", "pwd", base="", fds={"f": zeros(*USR.split(), "--chdir", "/usr")}, out="^/usr$")
case("--args with the program too", "--args {f}", base="", command=[], fds={"f": zeros(*USR.split(), "--", "echo", "in")}, code=None)
case("--args with the program and more words after", "--args {f}", base="", command=["out"], fds={"f": zeros(*USR.split(), "echo", "in")}, code=None)
case("--args within --args", "--args {f}", "echo $A", fds={"f": zeros("--args", "41"), "g": zeros("--setenv", "A", "b")}, code=1, err="^bwrap: ")
case("--args, an unknown option in it", "--args {f}", fds={"f": zeros("--frobnicate")}, code=1, err="^bwrap: .*--frobnicate")
case("--args, a missing argument at its end", "--args {f}", fds={"f": zeros("--setenv", "A")}, code=1, err="^bwrap: .*--setenv")
case("--args, no such fd", "--args 99", code=1, err="^bwrap: ")
case("--args, not a number", "--args x", code=1, err="^bwrap: ")
case("--args, negative", "--args -1", code=1, err="^bwrap: ")
case("--args, nearly 9,000 words", "--args {f}", "echo $A", fds={"f": zeros(*(["--setenv", "A", "12"] * 2900))}, out="^12$")
case("--args, more than 9,000 words", "--args {f}", "echo $A", fds={"f": zeros(*(["--unshare-pid"] * 9500))}, code=1, err="^bwrap: ")
case("--args: its fd is closed", "--args {f}", "ls /proc/self/fd", base=PROC, fds={"f": zeros("--setenv", "A", "b")}, out="^0\n1\n2\n3$")

# Seccomp
NUMBERS = {"x86_64": {"mkdir": (83, 258), "rmdir": (84, 263), "execve": (59,), "mknod": (133, 259)},
           "aarch64": {"mkdir": (34,), "rmdir": (35,), "execve": (221,), "mknod": (33,)}}[platform.machine()]


def refuse(call, answer):
    """A filter that answers so to that call, and allows the rest."""
    numbers = NUMBERS[call]
    steps = [(0x20, 0, 0, 0)]
    steps += [(0x15, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    steps += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, answer)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


ERRNO, KILL = 0x50000, 0x80000000
FULL_DISK, NO_DEVICE, TOO_MANY = ERRNO | 28, ERRNO | 19, ERRNO | 24
MAKE = "mkdir /a; rmdir /a; ls -d /a"

case("--seccomp", "--seccomp {f}", MAKE, fds={"f": refuse("mkdir", FULL_DISK)}, code=2, err="mkdir: .*No space left")
case("--seccomp: the status", "--seccomp {f}", "grep -E '^(Seccomp|NoNewPrivs)' /proc/self/status; ls /proc/self/fd", base=PROC, fds={"f": refuse("mkdir", FULL_DISK)}, out="^Seccomp:.2$")
case("--seccomp in a pid namespace", "--unshare-pid --seccomp {f}", "grep Seccomp: /proc/self/status", base=PROC, fds={"f": refuse("mkdir", FULL_DISK)}, out="^Seccomp:.2$")
case("--seccomp --as-pid-1", "--unshare-pid --as-pid-1 --seccomp {f}", MAKE, fds={"f": refuse("mkdir", FULL_DISK)}, code=2, err="No space left")
case("--seccomp twice: the last holds", "--seccomp {f} --seccomp {g}", MAKE, fds={"f": refuse("mkdir", FULL_DISK), "g": refuse("rmdir", NO_DEVICE)}, code=0, err="rmdir: .*No such device")
case("--add-seccomp-fd", "--add-seccomp-fd {f}", MAKE, fds={"f": refuse("mkdir", FULL_DISK)}, code=2, err="No space left")
case("--add-seccomp-fd twice: both hold", "--add-seccomp-fd {f} --add-seccomp-fd {g}", MAKE + "; grep Seccomp_f /proc/self/status", base=PROC, fds={"f": refuse("mkdir", FULL_DISK), "g": refuse("rmdir", NO_DEVICE)}, out="^Seccomp_filters:.2$", err="mkdir: .*No space left")
case("--add-seccomp-fd twice for one call: the lowest errno of the last", "--add-seccomp-fd {f} --add-seccomp-fd {g}", MAKE, fds={"f": refuse("mkdir", FULL_DISK), "g": refuse("mkdir", TOO_MANY)}, code=2, err="mkdir: ")
case("--seccomp and --add-seccomp-fd", "--seccomp {f} --add-seccomp-fd {g}", fds={"f": refuse("mkdir", FULL_DISK), "g": refuse("rmdir", NO_DEVICE)}, code=1, err="^bwrap: ")
case("--add-seccomp-fd and --seccomp", "--add-seccomp-fd {f} --seccomp {g}", fds={"f": refuse("mkdir", FULL_DISK), "g": refuse("rmdir", NO_DEVICE)}, code=1, err="^bwrap: ")
case("--seccomp, no multiple of eight", "--seccomp {f}", fds={"f": b"123456789"}, code=1, err="^bwrap: ")
case("--seccomp, empty", "--seccomp {f}", "echo in", fds={"f": b""}, code=1, err="^bwrap: ")
case("--seccomp, nonsense", "--seccomp {f}", "echo in", fds={"f": b"\xff" * 64}, code=1, err="^bwrap: ")
case("--seccomp, no such fd", "--seccomp 99", code=1, err="^bwrap: ")
case("--seccomp, not a number", "--seccomp x", code=1, err="^bwrap: ")
# bubblewrap is killed by it; to refuse it beforehand is as good.
case("--seccomp that kills execve", "--seccomp {f}", "echo in", fds={"f": refuse("execve", KILL)}, code=None, same=False, out="^$")
case("--seccomp that refuses execve", "--seccomp {f}", "echo in", fds={"f": refuse("execve", FULL_DISK)}, code=1, err="^bwrap: .*No space left")
case("--seccomp that kills a call of the program's", "--unshare-pid --seccomp {f}", "rmdir /x; echo $?", fds={"f": refuse("rmdir", KILL)}, out="^159$")
case("--seccomp without capabilities", "--unshare-user --cap-drop ALL --seccomp {f}", MAKE, fds={"f": refuse("mkdir", FULL_DISK)}, code=2, err="No space left")


# What it tells of itself
def told(documents, inside):
    """Each document's members and their kinds; a namespace's number, whether it is the one that is seen inside."""
    lines = []
    for document in documents:
        members = []
        for key, value in sorted(document.items()):
            kind = type(value).__name__
            if key.endswith("-namespace"):
                kind = "as inside" if inside.get(key[:-10]) == value else "another"
            if key == "exit-code":
                kind = value
            members.append(f"{key}: {kind}")
        lines.append(", ".join(members))
    return "\n".join(lines)


SPACES = "for n in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$n; done; exit 7"


def information(option):
    def play(program):
        seen = []
        for spaces in ("", "--unshare-pid", "--unshare-all", "--unshare-all --share-net", "--unshare-user --unshare-ipc", "--unshare-pid --as-pid-1"):
            code, out, err, came = program.run(PROC.split() + spaces.split() + [option, "{i}"], ["sh", "-c", SPACES], fds={"i": OUT})
            inside = {line.split(":")[0]: int(line.split("[")[1].rstrip("]")) for line in out.splitlines()}
            text = came["i"]
            documents = [json.loads(text)] if option == "--info-fd" else [json.loads(line) for line in text.splitlines()]
            seen.append(f"{spaces}: {code}\n{told(documents, inside)}")
        return "\n".join(seen)
    return play


scene("--info-fd")(information("--info-fd"))
scene("--json-status-fd")(information("--json-status-fd"))


@scene("--info-fd: the pid is the child's", out="the child's")
def _(program):
    import os
    process = program.start(FULL.split() + ["--unshare-pid", "--info-fd", "{i}"], ["sh", "-c", "readlink /proc/self/ns/pid; cat"], fds={"i": OUT}, stdin=-1)
    seen = process.stdout.readline().decode().strip()
    with os.fdopen(process.ends["i"]) as stream:
        pid = json.load(stream)["child-pid"]
    alike = os.readlink(f"/proc/{pid}/ns/pid") == seen
    process.stdin.close()
    process.wait()
    return "the child's" if alike else "another's"


@scene("--json-status-fd: exit codes as a shell has them", out="0 7 137")
def _(program):
    codes = []
    for script in ("exit 0", "exit 7", "kill -9 $$"):
        came = program.run(USR.split() + ["--unshare-pid", "--json-status-fd", "{i}"], ["sh", "-c", script], fds={"i": OUT})[3]["i"]
        codes.append(str(json.loads(came.splitlines()[-1])["exit-code"]))
    return " ".join(codes)


@scene("--json-status-fd where the program can't be started")
def _(program):
    code, _, _, came = program.run(USR.split() + ["--json-status-fd", "{i}"], ["nonesuch"], fds={"i": OUT})
    return f"{code} " + told([json.loads(line) for line in came["i"].splitlines()], {}).replace("mnt-namespace: another", "mnt-namespace")


@scene("--json-status-fd where a mount fails")
def _(program):
    code, _, _, came = program.run(USR.split() + ["--bind", "/nothing", "/x", "--json-status-fd", "{i}"], ["true"], fds={"i": OUT})
    return f"{code} " + " | ".join(sorted(json.loads(line).keys().__repr__() for line in came["i"].splitlines() if "exit-code" in line))


case("--info-fd and --json-status-fd are closed inside", "--info-fd {i} --json-status-fd {j}", "ls /proc/self/fd", base=PROC, fds={"i": OUT, "j": OUT}, same=False, out="^0\n1\n2\n3$")
case("--info-fd, not a number", "--info-fd x", code=1, err="^bwrap: ")
case("--json-status-fd, not a number", "--json-status-fd x", code=1, err="^bwrap: ")

# The standard fds as fds of options, and where they are closed
case("--args 0", "--args 0", "echo $A", stdin=zeros("--setenv", "A", "b"), out="^b$")
case("--file 0", "--file 0 /a", "cat /a", stdin=b"text\n", out="^text$")
case("--ro-bind-data 0 and 40", "--ro-bind-data 0 /a --ro-bind-data {f} /b", "cat /a /b", stdin=b"text\n", fds={"f": b"more\n"}, out="^more$")
case("--seccomp 0", "--seccomp 0", MAKE, stdin=refuse("mkdir", FULL_DISK), code=2, err="No space left")
case("--bind-fd 0", "--bind-fd 0 /x", "ls /x", stdin=b"", code=None)


def closed(fds, options=()):
    """Started from a shell that has closed some of 0, 1 and 2; what is said goes to a file. The closed ones may be
    /dev/null inside, and no more than that."""
    def play(program):
        words = program.words([program.path, *FULL.split(), *options, "--bind", "{d}", "/d", "/usr/bin/python3", "-I", "-S", "-c", """
import os
def what(fd):
    try: return os.readlink(f'/proc/self/fd/{fd}')
    except OSError: return '/dev/null'
others = [name for name in map(what, range(64)) if name != '/dev/null']
open('/d/seen', 'w').write(f'in {others}')
os._exit(5)"""], {})
        code = subprocess.run(["sh", "-c", 'exec "$@" ' + fds, "sh", *words], timeout=60, check=False, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        return f"{code} {program.file('seen')}"
    return play


for fds in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
    for spaces in ([], ["--unshare-all"]):
        scene(f"closed: {fds} {' '.join(spaces)}".strip(), out="5 in []")(closed(fds, spaces))
