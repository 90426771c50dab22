"""Runs every program and command of the documents named, as a reader would, and compares what they print.

    run.py --who WORD --prefix DIR --checkout DIR --python DIR DOCUMENT...     (in the directory that holds them)

Prints a line a block: ok, not ok or skip. What a block may be, and how it is marked: blocks.py."""
from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import blocks
import needs

# Commands that are not run as they stand: what is run instead (None: nothing), and why.
INSTEAD = [
    (r"(sudo )?apt-get install .*", None, "it changes the system; tools/setup installs the same packages for the tests"),
    (r"pip install .*", None, "the binding's own suite installs the wheel; here it is imported as a package"),
    (r"(sudo )?make install PREFIX=\S+", "make -n install", "it needs root and writes to the system; the prefix used here is one that `make install` made"),
    (r"make", "make -n", "it has been done: the library is what is tested"),
    (r"make demo", "make -n demo", "its own suite runs the demo"),
    (r"make test", "make -n test", "it is what runs this"),
    (r"make bench", "make -n bench", "it takes minutes and wants a quiet machine"),
    (r"make wheel", "make -n -C bindings/python wheel", "the binding's own suite builds the wheel"),
]
# Files that a section takes for granted, as its reader has them.
FILES = {("README.md", "sandbox-run"): {"Makefile": "all:\n\ttrue\n", "job": "#!/bin/sh\necho done\n"}}
TIMEOUT = 180  # seconds a block, on a loaded machine


class Runner:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.failed = 0
        self.since = time.monotonic()
        prefix = options.prefix
        self.environment = {
            "PATH": f"{prefix}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig",
            "LD_LIBRARY_PATH": f"{prefix}/lib",  # as ldconfig would have it
            "PYTHONPATH": options.python,
            "SANDBOX_SPAWN_LIBRARY": f"{prefix}/lib/libsandbox_spawn.so.0",
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.machine = needs.Machine(self.environment)

    def say(self, verdict: str, what: str, more: str = "") -> None:
        self.failed += verdict == "not ok"
        for line in more.splitlines()[:60]:
            print("#", line)
        took = time.monotonic() - self.since
        self.since += took
        if took > 2:
            print(f"# {took:.1f} s")
        print(f"{verdict} - {self.options.who}: {what}", flush=True)

    def document(self, path: str) -> None:
        document = blocks.read(Path.cwd(), path)
        for problem in document.problems:
            self.say("not ok", problem)
        sections: "dict[str, list[blocks.Block]]" = {}
        for block in document.blocks:
            sections.setdefault(block.section, []).append(block)
        session: "list[blocks.Block]" = []  # what Python has seen of the document
        for section in sections.values():
            with tempfile.TemporaryDirectory() as directory:
                self.section(section, Path(directory), session)

    def section(self, section: "list[blocks.Block]", directory: Path, session: "list[blocks.Block]") -> None:
        environment = dict(self.environment, HOME=str(directory), TMPDIR=str(directory))
        for name, text in FILES.get((section[0].document, section[0].section), {}).items():
            (directory / name).write_text(text)
            (directory / name).chmod(0o755)
        skipped: "dict[str, list[blocks.Block]]" = {}
        for place, block in enumerate(section):
            lacking = self.machine.lacks(block.needs)
            if lacking:
                skipped.setdefault(lacking, []).append(block)
                continue
            later = "\n".join(other.text for other in section[place + 1:] if other.language == "sh")
            if block.language == "c":
                self.c(block, directory, environment, later)
            elif block.language == "python":
                self.python(block, directory, environment, later, session)
            elif block.language == "sh":
                self.shell(block, directory, environment)
            else:
                self.file(block, directory, later)
        for reason, left in skipped.items():
            where = ", ".join(str(block.line) for block in left)
            self.say("skip", f"{left[0].document}:{where} ({left[0].section}): {reason}")

    def run(self, block: "blocks.Block", command: "list[str]", directory: Path, environment: "dict[str, str]") -> None:
        code, output = run(command, directory, environment)
        self.compare(block, code, output)

    def compare(self, block: "blocks.Block", code: int, output: str) -> None:
        shown = block.output
        if code != block.exit:
            self.say("not ok", f"{block.title}: exit code {code}, not {block.exit}", output)
        elif shown is not None and not blocks.matches(shown.text, output):
            self.say("not ok", f"{block.title}: it prints something else than {shown.place} shows", output)
        else:
            self.say("ok", block.title)

    def c(self, block: "blocks.Block", directory: Path, environment: "dict[str, str]", later: str) -> None:
        name = block.name or f"block-{block.line}.c"
        (directory / name).write_text(block.text)
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "sandbox_spawn"], env=environment, capture_output=True, text=True).stdout.split()
        is_whole = re.search(r"\bmain\s*\(", block.text)
        program = directory / f"built-{name}.out"
        code, output = run(["cc", "-O1", "-Wall", "-Wextra", "-Werror", *([] if is_whole else ["-c", "-Wno-unused-function"]), name, "-o", str(program), *flags], directory, environment)
        if code != 0:
            self.say("not ok", f"{block.title}: it is not built without a warning", output)
        elif block.name and names(later, Path(block.name).stem) or not is_whole:
            self.say("ok", f"{block.title}: built")
        else:
            self.run(block, [str(program)], directory, environment)

    def python(self, block: "blocks.Block", directory: Path, environment: "dict[str, str]", later: str, session: "list[blocks.Block]") -> None:
        lacking = self.machine.lacks({"python"})
        if lacking:
            self.say("skip", f"{block.title}: {lacking}")
        elif block.name:
            (directory / block.name).write_text(block.text)
            if names(later, block.name):
                self.say("ok", f"{block.title}: written")
            else:
                self.run(block, [self.machine.python, block.name], directory, environment)
        else:
            session.append(block)
            code, output = run([self.machine.python, "-c", SESSION, json.dumps([part.text for part in session])], directory, environment)
            self.compare(block, code, output)

    def shell(self, block: "blocks.Block", directory: Path, environment: "dict[str, str]") -> None:
        script = []
        for line in block.text.splitlines():
            command = re.sub(r"\s+#.*", "", line).strip()
            found = next(((instead, why) for pattern, instead, why in INSTEAD if re.fullmatch(pattern, command)), None)
            if found is None:
                script.append(line)
            elif found[0] and os.access(f"{self.options.checkout}/Makefile", os.R_OK):
                code, output = run(["sh", "-c", found[0]], Path(self.options.checkout), dict(environment, HOME=os.environ.get("HOME", "/"), PATH=os.environ["PATH"]))
                if code != 0:
                    self.say("not ok", f"{block.title}: {command}, tried as {found[0]}", output)
                    return
        if any(line.strip() for line in script):
            self.run(block, ["sh", "-e", "-c", "\n".join(script)], directory, environment)
        else:
            self.say("ok", f"{block.title}: in its cheap form")

    def file(self, block: "blocks.Block", directory: Path, later: str) -> None:
        if not block.name or not names(later, block.name):
            self.say("not ok", f"{block.title}: nothing uses it")
            return
        (directory / block.name).write_text(block.text)


# Runs the parts in one interpreter; of what they print only the last one's is let out.
SESSION = """
import json, os, sys
parts, kept, scope = json.loads(sys.argv[1]), [os.dup(1), os.dup(2)], {"__name__": "__main__"}
null = os.open(os.devnull, os.O_WRONLY)
for number, part in enumerate(parts):
    sys.stdout.flush()
    for fd in (1, 2): os.dup2(kept[fd - 1] if number + 1 == len(parts) else null, fd)
    exec(compile(part, f"block {number}", "exec"), scope)
"""


def names(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", text) is not None


def run(command: "list[str]", directory: Path, environment: "dict[str, str]") -> "tuple[int, str]":
    try:
        done = subprocess.run(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=TIMEOUT, start_new_session=True)
    except subprocess.TimeoutExpired as late:
        return -1, (late.stdout or b"").decode(errors="replace") + f"\nnot ended after {TIMEOUT} s\n"
    return done.returncode, done.stdout.decode(errors="replace")


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("who", "prefix", "checkout", "python"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("documents", nargs="+")
    options = parser.parse_args()
    runner = Runner(options)
    if not shutil.which("cc") or not shutil.which("pkg-config"):
        runner.say("not ok", "the documents need cc and pkg-config")
        return 1
    for document in options.documents:
        runner.document(document)
    return 1 if runner.failed else 0


if __name__ == "__main__":
    sys.exit(main())
