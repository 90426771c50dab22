"""The fenced blocks of a Markdown document, what is said about them, and how an output shown compares with a real one.

The word behind the fence says what a block is:
    c NAME.c        a program; built without a warning; run by a later sh block that names it, else by itself
    python          run in the document's one interpreter, after the ones before it; with NAME.py: a file, as above
    sh [exit=N]     run by sh -e in the section's directory
    toml NAME, ...  a file for the section's later blocks, one of which must name it
    text output     what the block before it prints; "..." stands for anything, on a line of its own for any lines
    text            an illustration: not run
A comment <!-- needs: WORD ... --> says what a machine must allow for the section (before the first one: for the
document); a machine that does not skips it, and says so."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ILLUSTRATION, OUTPUT = "illustration", "output"


@dataclass
class Block:
    document: str
    line: int
    section: str
    language: str
    words: "list[str]"
    text: str
    needs: "set[str]"
    output: "Block | None" = None

    @property
    def name(self) -> "str | None":
        """The file that it is."""
        return next((word for word in self.words if "=" not in word and word != OUTPUT), None)

    @property
    def exit(self) -> int:
        """The exit code wanted."""
        return next((int(word[5:]) for word in self.words if word.startswith("exit=")), 0)

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def title(self) -> str:
        return f"{self.place} ({self.section}): {self.language} {self.name or ''}".rstrip()


@dataclass
class Document:
    path: str
    blocks: "list[Block]" = field(default_factory=list)
    problems: "list[str]" = field(default_factory=list)


def read(root: Path, path: str) -> Document:
    document = Document(path)
    whole: "set[str]" = set()
    section, needs = "the beginning", whole
    fence, before, blank = None, None, True
    for number, line in enumerate((root / path).read_text().splitlines(), 1):
        if fence is not None:
            if line.strip() == "```":
                before = _close(document, fence, before)
                fence = None
            else:
                fence.text += line + "\n"
        elif line.startswith("```"):
            language, *words = line[3:].split() or [""]
            fence = Block(path, number, section, language, words, "", set(needs))
        elif line.startswith("## "):
            section, needs, before = line[3:].strip(), set(whole), None
        elif line.startswith("<!-- needs:"):
            needs |= set(line[len("<!-- needs:"):-len("-->")].split())
        elif line.startswith("    ") and blank and not line.lstrip().startswith(("-", "*", "|")):
            document.problems.append(f"{path}:{number}: an indented block is never run: use a fence")
        elif re.match(r" +```\S", line):
            document.problems.append(f"{path}:{number}: a fence inside a list is not read")
        blank = not line.strip()
    if fence is not None:
        document.problems.append(f"{fence.place}: a fence without an end")
    return document


def _close(document: Document, block: Block, before: "Block | None") -> "Block | None":
    """Takes a finished block; returns the one that a shown output would belong to."""
    if block.language == "text" and block.words == [OUTPUT]:
        if before is None or before.output is not None:
            document.problems.append(f"{block.place}: an output of nothing")
        else:
            before.output = block
        return before
    if block.language == "text" and not block.words:
        return before
    if block.language in ("c", "python", "sh", "toml", "json"):
        document.blocks.append(block)
        return block
    document.problems.append(f"{block.place}: nobody runs a block of {block.language or 'no language'}: mark an illustration as text")
    return before


def matches(wanted: str, seen: str) -> bool:
    pattern = ""
    for line in wanted.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ \t]*\n"
    if not seen.endswith("\n") and seen:
        seen += "\n"
    return re.fullmatch(pattern, seen) is not None
