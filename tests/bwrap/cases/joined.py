"""Namespaces that are there already: --userns, --userns2, --pidns."""
import json
import os
import subprocess

from table import FULL, PROC, USR, case, scene


class Spaces:
    """A process in namespaces of its own (unshare's words); .fd(kind) opens one of them."""

    def __init__(self, words, tail=()):
        self.process = subprocess.Popen(["unshare", *words, "sh", "-c", "echo $$; exec cat >/dev/null", *tail], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.fds = []

    def fd(self, kind, pid=None):
        self.fds.append(os.open(f"/proc/{pid or self.process.pid}/ns/{kind}", os.O_RDONLY))
        return self.fds[-1]

    def inner(self):
        """The first process in the pid namespace: unshare's child."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as opened:
            return int(opened.read().split()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fd in self.fds:
            os.close(fd)
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


SAME = "readlink /proc/self/ns/user | grep -qF \"$1\" && echo joined; id -u; cat /proc/self/uid_map | tr -s ' '; cat /proc/self/setgroups"


@scene("--userns: that namespace is the sandbox's")
def _(program):
    with Spaces(["-Ur"]) as spaces:
        name = os.readlink(f"/proc/{spaces.process.pid}/ns/user")
        code, out, err, _ = program.run(PROC.split() + ["--userns", "{u}"], ["sh", "-c", SAME, "sh", name], fds={"u": spaces.fd("user")})
        assert out.startswith("joined"), out + err
        return f"{code} {out}"


@scene("--userns with --unshare-pid and a bind")
def _(program):
    with Spaces(["-Ur"]) as spaces:
        code, out, err, _ = program.run(FULL.split() + ["--bind", "{d}", "/d", "--unshare-pid", "--unshare-net", "--userns", "{u}"],
                                        ["sh", "-c", "id -u; echo $$; echo x > /d/made; grep ^Cap /proc/self/status"], fds={"u": spaces.fd("user")})
        assert "\n2\n" in out, out + err
        return f"{code} {out}"


@scene("--userns with --uid")
def _(program):
    with Spaces(["-Ur"]) as spaces:
        code, out, _, _ = program.run(PROC.split() + ["--userns", "{u}", "--uid", "0", "--gid", "0"], ["sh", "-c", "id -u; id -g"], fds={"u": spaces.fd("user")})
        return f"{code} {out}"


@scene("--userns and --userns2: the second is the program's")
def _(program):
    with Spaces(["-Ur"]) as outer:
        inner = subprocess.Popen(["nsenter", "-U", "-t", str(outer.process.pid), "--preserve-credentials", "unshare", "-U", "--map-user=7", "--map-group=8", "sh", "-c", "echo; exec cat"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        inner.stdout.readline()
        name = os.readlink(f"/proc/{inner.pid}/ns/user")
        code, out, err, _ = program.run(PROC.split() + ["--userns", "{u}", "--userns2", "{v}"], ["sh", "-c", SAME, "sh", name],
                                        fds={"u": outer.fd("user"), "v": outer.fd("user", inner.pid)})
        inner.stdin.close()
        inner.stdout.close()
        inner.wait()
        assert out.startswith("joined"), out + err
        return f"{code} {out}"


@scene("--userns with --disable-userns")
def _(program):
    with Spaces(["-Ur"]) as spaces:
        code, _, err, _ = program.run(PROC.split() + ["--userns", "{u}", "--disable-userns"], ["unshare", "-U", "true"], fds={"u": spaces.fd("user")})
        return f"{code} {err.startswith('bwrap: ')}"


@scene("--userns with --assert-userns-disabled, where they are not")
def _(program):
    with Spaces(["-Ur"]) as spaces:
        code, _, err, _ = program.run(PROC.split() + ["--userns", "{u}", "--assert-userns-disabled"], ["true"], fds={"u": spaces.fd("user")})
        return f"{code} {err.startswith('bwrap: ')}"


@scene("--pidns with --userns: that namespace is the sandbox's")
def _(program):
    with Spaces(["-Urpf"]) as spaces:
        inner = spaces.inner()
        name = os.readlink(f"/proc/{inner}/ns/pid")
        code, out, err, _ = program.run(PROC.split() + ["--userns", "{u}", "--pidns", "{p}"],
                                        ["sh", "-c", "readlink /proc/self/ns/pid | grep -qF \"$1\" && echo joined; test $$ -lt 20 && echo small; kill -0 1 && echo its first process; exit 5", "sh", name],
                                        fds={"u": spaces.fd("user"), "p": spaces.fd("pid", inner)})
        assert out.startswith("joined"), out + err
        return f"{code} {out}"


@scene("--pidns with --userns and --unshare-pid: a namespace below it")
def _(program):
    with Spaces(["-Urpf"]) as spaces:
        inner = spaces.inner()
        name = os.readlink(f"/proc/{inner}/ns/pid")
        code, out, err, _ = program.run(PROC.split() + ["--userns", "{u}", "--pidns", "{p}", "--unshare-pid"],
                                        ["sh", "-c", "readlink /proc/self/ns/pid | grep -qF \"$1\" || echo another; echo $$; exit 5", "sh", name],
                                        fds={"u": spaces.fd("user"), "p": spaces.fd("pid", inner)})
        assert out.startswith("another"), out + err
        return f"{code} {out}"


@scene("--pidns alone, as root of the host", who="root")
def _(program):
    with Spaces(["-pf"]) as spaces:
        code, out, err, _ = program.run(PROC.split() + ["--pidns", "{p}"], ["sh", "-c", "test $$ -lt 20 && echo small; exit 5"], fds={"p": spaces.fd("pid", spaces.inner())})
        return f"{code} {out}"


@scene("--pidns with --json-status-fd: the number is the program's, and its status")
def _(program):
    with Spaces(["-Urpf"]) as spaces:
        read, write = os.pipe()
        code, _, _, _ = program.run(PROC.split() + ["--userns", "{u}", "--pidns", "{p}", "--json-status-fd", "{j}"], ["sh", "-c", "exit 5"],
                                    fds={"u": spaces.fd("user"), "p": spaces.fd("pid", spaces.inner()), "j": write})
        os.close(write)
        with os.fdopen(read, encoding="ascii") as opened:
            lines = [json.loads(line) for line in opened]
        assert lines[0]["child-pid"] > 1, lines
        return f"{code} {sorted(lines[0])} {lines[1]}"


# bubblewrap 0.8 hangs where what it enters late is refused, and in the scene below: not run beside it.
@scene("--pidns: a program killed by a signal, one that leaves another running, and one with --unshare-pid --as-pid-1", newer=True)
def _(program):
    with Spaces(["-Urpf"]) as spaces:
        codes = [program.run(PROC.split() + ["--userns", "{u}", "--pidns", "{p}"] + more, ["sh", "-c", script],
                             fds={"u": spaces.fd("user"), "p": spaces.fd("pid", spaces.inner())})[0:2]
                 for script, more in (("kill -9 $$", []), ("sleep 1 & exit 4", []), ("echo $$", ["--unshare-pid", "--as-pid-1"]))]
        assert codes[0][0] == 137 and codes[1][0] == 4 and codes[2][1] == "1\n", codes
        return str(codes)


case("--userns2, an fd of something else", "--userns2 {f}", fds={"f": b"x"}, code=1, err="^bwrap: ", newer=True)
case("--userns2, no such fd", "--userns2 99", code=1, err="^bwrap: ", newer=True)
case("--userns and --unshare-user", "--unshare-user --userns 99", code=1, err="^bwrap: ")
case("--userns, no such fd", "--userns 99", code=1, err="^bwrap: ")
case("--userns, an fd of something else", "--userns {f}", fds={"f": b"x"}, code=1, err="^bwrap: ")
case("--userns, not a number", "--userns x", code=1, err="^bwrap: ")
case("--pidns, no such fd", "--unshare-user --pidns 99", code=1, err="^bwrap: ")
case("--pidns, not a number", "--pidns x", code=1, err="^bwrap: ")
