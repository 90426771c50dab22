"""What holds for all documents of the checkout at once: links lead somewhere, pictures are whole, names exist, and each
of the security rules is spoken of.

    check.py HEADER SANDBOX-RUN     (in the checkout)"""
from __future__ import annotations

import re
import subprocess
import sys
import xml.dom.minidom
from pathlib import Path

SKIPPED = {"target", "build", "node_modules", ".git", "prototypes"}


def documents() -> "list[Path]":
    return sorted(path for path in Path(".").rglob("*.md") if not SKIPPED & set(path.parts))


def prose(path: Path) -> str:
    """Without fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)


def anchors(path: Path) -> "set[str]":
    """As the usual renderers make them of headings."""
    found: "set[str]" = set()
    for heading in re.findall(r"^#+ (.*)$", prose(path), flags=re.M):
        text = re.sub(r"[`*]|\]\(.*?\)", "", heading).replace("[", "").strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found.add(anchor)
    return found


def links() -> "list[str]":
    problems = []
    for path in documents():
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            there = path.parent / name if name else path
            if not there.exists():
                problems.append(f"{path}: no such file: {target}")
            elif anchor and there.suffix == ".md" and anchor not in anchors(there):
                problems.append(f"{path}: no such heading: {target}")
    return problems


def pictures() -> "list[str]":
    problems = []
    text = "".join(path.read_text() for path in documents())
    for path in sorted(Path("docs/images").glob("*")):
        if path.name not in text:
            problems.append(f"{path}: no document shows it")
        if path.suffix == ".svg":
            try:
                root = xml.dom.minidom.parse(str(path)).documentElement
            except Exception as error:
                problems.append(f"{path}: {error}")
                continue
            if root.tagName != "svg" or not root.getAttribute("viewBox"):
                problems.append(f"{path}: no svg with a viewBox")
            if re.search(r"(?:href|src)=.https?:|<script|@import", path.read_text()):
                problems.append(f"{path}: it needs something from outside")
    return problems


def names(header: Path) -> "list[str]":
    """Every function, constant and type of the library's that a document names is in the header."""
    known = set(re.findall(r"\b(?:sandbox|SANDBOX)_\w+", header.read_text()))
    # The library's, the package's and the file's own names; variables of the environment; a family's name.
    others = {"sandbox_spawn", "SANDBOX_SPAWN_LIBRARY", "SANDBOX_SPAWN_PREFIX", "SANDBOX_CGROUP", "sandbox_X_new", "sandbox_X_free"}
    problems = []
    for path in documents():
        if path.parts[0] not in ("README.md", "docs"):
            continue  # others name what is theirs, too
        for name in sorted(set(re.findall(r"\b(?:sandbox|SANDBOX)_\w+", path.read_text()))):
            if name not in known and name not in others and not any(other.startswith(name) for other in known if name.endswith("_")):
                problems.append(f"{path}: {name} is not in the header")
    # The tables of what is what leave the prefixes out.
    table = Path("docs/migration.md").read_text()
    short = {"SANDBOX_OPT_" + name for name in re.findall(r"`OPT_([A-Z_]+)`", table)}
    for name in sorted(short | {"sandbox_cmd" + name for name in _column(table, ("C", "here"), r"(?<![\w])(_[a-z][a-z_]*)")}):
        if name not in known:
            problems.append(f"docs/migration.md: {name} is not in the header")
    return problems


def _column(text: str, heads: "tuple[str, ...]", pattern: str) -> "list[str]":
    """What the pattern finds in code in the columns under one of these heads."""
    found: "list[str]" = []
    column = None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")] if line.startswith("|") else None
        if cells is None:
            column = None
        elif column is None:
            column = next((place for place, cell in enumerate(cells) if cell in heads), None)
        elif column < len(cells):
            for code in re.findall(r"`([^`]*)`", cells[column]):
                found += re.findall(pattern, code)
    return found


def options(command: str) -> "list[str]":
    """What a document says of sandbox-run's options: in code after its name, and in the tables' columns under it."""
    text = subprocess.run([command, "--help", "all"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", text))
    problems = []
    for path in documents():
        for option in sorted(set(_options(path.read_text()))):
            if option not in known:
                problems.append(f"{path}: sandbox-run has no {option}")
    return problems


def _options(text: str) -> "list[str]":
    option = r"(?:^| )(--?[a-z][\w-]*)"
    found = _column(text, ("sandbox-run",), option)
    for code in re.findall(r"`sandbox-run ([^`]*)`", text):
        found += re.findall(option, code.split(" -- ")[0])
    return found


def rules() -> "list[str]":
    """Each rule of tests/rules.md has its place in the threat model."""
    model = Path("docs/threat-model.md").read_text()
    linked = set(re.findall(r"rules\.md#([\w-]+)", model))
    return [f"docs/threat-model.md does not link to the rule {anchor}" for anchor in sorted(anchors(Path("tests/rules.md")) - linked)
            if anchor != "the-security-rules-each-with-its-tests"]


def main() -> int:
    header, command = Path(sys.argv[1]), sys.argv[2]
    failed = 0
    checks = {
        "links lead somewhere": links,
        "pictures are whole, need nothing else, and are shown": pictures,
        "the library's names are the header's": lambda: names(header),
        "sandbox-run's options are its own": lambda: options(command),
        "each security rule is in the threat model": rules,
    }
    for name, check in checks.items():
        problems = check()
        for problem in problems:
            print("#", problem)
        print(f"{'not ok' if problems else 'ok'} - {name}" + (f": {problems[0]}" if problems else ""))
        failed += bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
