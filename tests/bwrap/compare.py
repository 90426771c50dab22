#!/usr/bin/python3
"""compare.py CANDIDATE REFERENCE WORK WHO [PATTERN]: runs every case with both, two at a time, and prints a line each.

REFERENCE is bubblewrap, or "-" where there is none: then only the cases' own expectations are looked at. WORK is a
directory of this user's. With PATTERN only the cases whose names it matches, and what they saw is printed.
"""
import difflib
import importlib
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import table

PATIENCE = 30  # seconds after which a case hangs, on the slowest machine
FIRST_FD = 40   # the fds given are the same in every run


class Program:
    """One of the two programs, and the directory of the case at hand."""

    def __init__(self, path, directory):
        self.path, self.directory = path, directory
        self.alive, self.held = [], []

    def words(self, words, numbers):
        known = {"d": self.directory, "uid": str(os.getuid()), "gid": str(os.getgid()), "self": self.path}
        known.update({name: str(number) for name, number in numbers.items()})
        return [re.sub(r"\{(\w+)\}", lambda m: known.get(m[1], m[0]), word) for word in words]

    def start(self, options, command, fds=None, env=None, cwd=".", umask=0o022, **more):
        """Popen; `fds` as a case's, or numbers of the caller's. Pipes to read are in .ends, by name."""
        numbers, ends, opened = {}, {}, []
        for at, (name, what) in enumerate((fds or {}).items(), FIRST_FD):
            if what is table.OUT:
                ends[name], fd = os.pipe()
            elif isinstance(what, bytes):
                fd = data(what.replace(b"{d}", os.fsencode(self.directory)))
            elif isinstance(what, table.Path):
                fd = os.open(os.path.join(self.directory, what.path), what.flags)
            else:
                fd = os.dup(what)
            os.dup2(fd, at, inheritable=True)
            os.close(fd)
            numbers[name] = at
            opened.append(at)
        environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/home/nobody", "LC_ALL": "C", "TERM": "dumb"}
        environment.update({name: self.words([value], numbers)[0] for name, value in (env or {}).items()})
        try:
            process = subprocess.Popen(
                [self.path] + self.words(options, numbers) + self.words(command, numbers), pass_fds=opened,
                env=environment, cwd=os.path.join(self.directory, cwd), umask=umask,
                **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more})
        finally:
            for fd in opened:
                os.close(fd)
        process.ends = ends
        self.alive.append(process)
        return process

    def run(self, options, command, stdin=b"", timeout=PATIENCE, **more):
        """(code as a shell has it, stdout, stderr, {name: what came on that fd})"""
        process = self.start(options, command, stdin=subprocess.PIPE, **more)
        out, err = process.communicate(stdin, timeout=timeout)
        came = {name: read_all(end) for name, end in process.ends.items()}
        return shell_code(process.returncode), text(out), text(err), came

    def file(self, path, content=None):
        path = os.path.join(self.directory, path)
        if content is None:
            with open(path, encoding="utf8", errors="replace") as opened:
                return opened.read()
        with open(path, "w", encoding="utf8") as opened:
            return opened.write(content)

    def poke(self, pipe):
        """A line for whoever reads that named pipe, now or soon. Waits for nobody."""
        self.held.append(os.open(os.path.join(self.directory, pipe), os.O_RDWR))
        os.write(self.held[-1], b"x\n")


def data(content):
    """An fd to read that from: a pipe, where it holds so much."""
    if len(content) <= 65536:
        fd, end = os.pipe()
        os.write(end, content)
        os.close(end)
    else:
        fd = os.memfd_create("data")
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
    return fd


def text(raw):
    return raw.decode("utf8", "replace")


def read_all(fd):
    with os.fdopen(fd, "rb") as stream:
        return text(stream.read())


def shell_code(code):
    return code if code >= 0 else 128 - code


def fixture(directory):
    """The host's side of every case: a few files that belong to this user."""
    os.mkdir(directory, 0o755)
    for name in ("data", "data/sub", "other", "empty", "work", "upper"):
        os.mkdir(os.path.join(directory, name), 0o755)
    for name, content in (("data/file", "secret\n"), ("data/sub/deep", "deep\n"), ("other/file", "other\n"), ("other/more", "more\n")):
        with open(os.path.join(directory, name), "w", encoding="utf8") as opened:
            opened.write(content)
    os.chmod(os.path.join(directory, "data/sub/deep"), 0o640)
    os.symlink("data", os.path.join(directory, "link"))
    os.symlink("nowhere", os.path.join(directory, "broken"))


def tree(directory):
    """What is there now: a line a file."""
    lines = []
    for where, names, files in os.walk(directory):
        for name in names + files:
            path = os.path.join(where, name)
            stat = os.lstat(path)
            line = f"{os.path.relpath(path, directory)} {stat.st_mode:o} {stat.st_uid} {stat.st_gid}"
            if os.path.islink(path):
                line += " -> " + os.readlink(path)
            elif os.path.isfile(path) and os.access(path, os.R_OK) and stat.st_size < 200:
                with open(path, "rb") as opened:
                    line += f" {opened.read()}"
            lines.append(line)
    return "\n".join(sorted(lines))


HOST = {name: os.readlink("/proc/self/ns/" + name) for name in os.listdir("/proc/self/ns")}


def plain(output, directory):
    """Output without what changes from run to run."""
    output = output.replace(directory, "<d>")
    return re.sub(r"\b(\w+):\[\d+\]", lambda m: m[1] + (":host" if m[0] in HOST.values() else ":other"), output)


def mounts(mountinfo):
    """A line for each mount that is seen: where, of what, its flags. The kernel's own trees have no root to speak of."""
    seen = {}
    for line in mountinfo.splitlines():
        left, right = line.split(" - ", 1)
        root, point, flags = left.split()[3:6]
        kind, _, above = right.split(" ", 2)
        size = [word for word in above.split(",") if word in ("ro", "rw") or word.startswith("size=")]
        if kind in ("tmpfs", "proc", "devpts", "mqueue", "devtmpfs", "overlay"):
            root = "-"
        if kind == "proc" and re.search("/(sys|sysrq-trigger|irq|bus)$", point):  # stricter here: covered for everybody
            continue
        if kind == "mqueue":  # it holds nothing that flags could keep from being run
            flags = ""
        seen[point] = f"{point} {kind} of {root} {','.join(sorted(flags.split(',')))} {','.join(size)}"
    return "\n".join(sorted(seen.values()))


def prefix(stderr):
    """The program's own lines are its own in wording; whose they are must be the same."""
    if stderr.startswith("usage: "):
        return "usage"
    lines = ["bwrap: ..." if line.startswith("bwrap: ") else line for line in stderr.splitlines()]
    return "\n".join(line for at, line in enumerate(lines) if line != "bwrap: ..." or at == 0 or lines[at - 1] != line)


def expected(wish, who):
    return wish[who] if isinstance(wish, dict) else wish


def observe(case, path, directory, who):
    """What is seen with that program, and what of it is not as the case expects, or None."""
    shutil.rmtree(directory, ignore_errors=True)
    fixture(directory)
    program = Program(path, directory)
    seen, wrong = {}, None
    try:
        if case.play:
            seen["seen"] = case.play(program)
            if case.out is not None and seen["seen"] != case.out:
                wrong = f"{seen['seen']!r} instead of {case.out!r}"
        else:
            code, out, err, came = program.run(
                case.options, case.command, stdin=case.stdin, fds=case.fds, env=case.env, cwd=case.cwd, umask=case.umask)
            seen = {"code": code, "stdout": out, "stderr": plain(err, directory), **{"fd " + name: what for name, what in came.items()}}
            seen["stdout"] = mounts(out) if case.mounts else plain(out, directory)
            if case.sort:
                seen["stdout"] = "\n".join(sorted(seen["stdout"].splitlines()))
            wish = expected(case.code, who)
            if wish is not None and code != wish:
                wrong = f"code {code} instead of {wish}"
            for stream, wanted in (("stdout", case.out), ("stderr", case.err)):
                wanted = expected(wanted, who)
                if wanted is not None and not re.search(wanted, seen[stream], re.MULTILINE):
                    wrong = wrong or f"{stream} is not as {wanted!r}"
            if wrong:
                wrong += f": {(err or out).strip()[-300:]!r}"
            seen["stderr"] = prefix(seen["stderr"])
            seen["host"] = tree(directory).replace(directory, "<d>")
    except AssertionError as error:
        wrong = f"assertion: {error}"
    except subprocess.TimeoutExpired:
        wrong = "it hangs"
    except Exception as error:  # a scene that loses its footing: the program did what it was not to
        wrong = f"{type(error).__name__}: {error}"
    finally:
        for fd in program.held:
            os.close(fd)
        for process in program.alive:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
    return seen, wrong


def judge(job):
    """One case with both programs: (line, details)"""
    number, candidate, reference, work, who, loud = job
    case = table.CASES[number]
    directory = f"{work}/{number}"
    details, started = [], time.monotonic()
    name = f"{who}: {case.name}"
    seen, wrong = observe(case, candidate, directory, who)
    if reference != "-" and not case.newer:
        known, unsound = observe(case, reference, directory, who)
        if unsound and case.same:
            shutil.rmtree(directory, ignore_errors=True)
            return f"skip - {name}: bubblewrap itself: {unsound}", details
        if not wrong and case.same:
            for key in known:
                if seen.get(key) != known[key]:
                    wrong = f"{key} differs from bubblewrap's"
                    details += difflib.unified_diff(f"{known[key]}".splitlines(), f"{seen.get(key)}".splitlines(), "bubblewrap", "candidate", "", "", 1, "")
                    break
    if loud:
        details.append(f"{time.monotonic() - started:.2f} s")
        details += [f"{key}: {value}" for key, value in seen.items()]
    shutil.rmtree(directory, ignore_errors=True)
    return (f"not ok - {name}: {wrong}" if wrong else f"ok - {name}"), details


def main():
    candidate, reference, work, who = sys.argv[1:5]
    pattern = sys.argv[5] if len(sys.argv) > 5 else None
    for module in ("files", "mounts", "identity", "process", "descriptors", "monitor", "joined", "newer", "wild"):
        importlib.import_module("cases." + module)
    names = [case.name for case in table.CASES]
    assert len(set(names)) == len(names), "a name twice: " + ", ".join(sorted({name for name in names if names.count(name) > 1}))
    os.umask(0o022)
    jobs = [(number, candidate, reference, work, who, bool(pattern)) for number, case in enumerate(table.CASES)
            if case.who in (None, who) and (not pattern or re.search(pattern, case.name))]
    with multiprocessing.Pool(min(4, os.cpu_count() or 1)) as pool:
        for line, details in pool.imap(judge, jobs):
            print(line, flush=True)
            for detail in details:
                print("    " + detail)


if __name__ == "__main__":
    main()
