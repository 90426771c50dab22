#!/usr/bin/env python3
"""What a spawn costs through each binding, beside the same language's own ways to start a program.

Each language has one small program here, a host. It is started twice, small and with much memory resident, says which
ways it knows, and then starts /bin/true the way that it is told to, once a line, and prints how long that took. All that is
to be compared is interleaved in an order that changes every round; the bare C host's posix_spawn runs in the same rounds.
The table goes to stdout, and the rows into the benchmark's JSON file, under "bindings" (see README.md).

    hosts.py [--rounds N] [--resident MiB] [--only LANGUAGE,...] [--json FILE]

A host is called with the MiB to hold, and prints {"skip": why}, or
    {"runtime": "CPython 3.11", "ways": [{"key": ..., "title": ..., "against": key of the way to compare with, or left out}]}
then, for each line that holds a key, {"us": the time}.
"""
import argparse
import ctypes
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = Path(os.environ.get("OUT", ROOT / "build/benches"))
LIBRARY = os.environ.get("SANDBOX_SPAWN_LIBRARY", str(ROOT / "build/prefix/lib/libsandbox_spawn.so.0"))
WARM_UP = 5
PR_SET_THP_DISABLE = 41

#: Each language's program, without the memory that it is to hold; the first word is looked for in PATH.
LANGUAGES = {
    "C": [str(OUT / "host-c")],
    "C++": [str(OUT / "host-cxx")],
    "Python": [os.environ.get("PYTHON", "python3"), str(HERE / "host.py")],
    "Node": ["node", str(HERE / "host.js")],
    "LuaJIT": ["luajit", str(HERE / "host.lua")],
}


class Missing(Exception):
    """The language, its binding or one of its ways is not to be had here."""


class Host:
    """A language's program: a line in, a line of JSON out."""

    def __init__(self, language: str, resident_mib: int) -> None:
        program, *args = LANGUAGES[language]
        for file in (program, *args):
            if not shutil.which(file) and not os.path.exists(file):
                raise Missing(f"there is no {os.path.basename(file)}")
        libc = ctypes.CDLL(None)
        self.process = subprocess.Popen(
            [program, *args, str(resident_mib)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=ROOT,
            env={**os.environ, "SANDBOX_SPAWN_LIBRARY": LIBRARY},
            # Small pages, as a busy host's memory has: what a fork must copy the tables of.
            preexec_fn=lambda: libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
        try:
            self.hello = self._answer()
        except BaseException:
            self.close()
            raise

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise Missing(f"its program ended: {self.process.wait()}")
        answer = json.loads(line)
        if "skip" in answer:
            raise Missing(answer["skip"])
        return answer

    def once(self, key: str) -> float:
        """Microseconds from the call to the end of the program it started."""
        self.process.stdin.write(key + "\n")
        return self._answer()["us"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def summary(values: list, reference: list) -> dict:
    ordered = sorted(values)
    tenth, ninth = ordered[len(ordered) // 10], ordered[len(ordered) * 9 // 10]
    median = statistics.median(values)
    row = {"rounds": len(values), "median_us": round(median, 1), "p10_us": round(tenth, 1), "p90_us": round(ninth, 1)}
    if reference:
        row["ratio"] = round(median / statistics.median(reference), 4)
        row["ratio_p10"] = round(tenth / sorted(reference)[len(reference) // 10], 4)
    return row


def measure(language: str, size: str, resident_mib: int, rounds: int) -> list:
    """The rows of one language at one size; ways that don't work here have "skipped"."""
    host, bare, times = Host(language, resident_mib), None, {}
    try:
        bare = Host("C", 0)
        ways = {way["key"]: way for way in host.hello["ways"]}
        turns = [(host, key) for key in ways if "skipped" not in ways[key]] + [(bare, "posix_spawn")]
        shuffled = random.Random(2463534242)
        for turn in range(-WARM_UP, rounds):
            shuffled.shuffle(turns)
            for whose, key in turns:
                time = whose.once(key)
                if turn >= 0:
                    times.setdefault((whose, key), []).append(time)
        floor = statistics.median(times[bare, "posix_spawn"])
        rows = []
        for key, way in ways.items():
            row = {"language": language, "runtime": host.hello["runtime"], "key": key, "title": way["title"]}
            if way.get("against"):
                row["against"] = way["against"]
            if "skipped" in way:
                row["skipped"] = way["skipped"]
            else:
                row[size] = summary(times[host, key], times.get((host, way.get("against")), []))
                row[size]["to_c"] = round(row[size]["median_us"] / floor, 4)
            rows.append(row)
        return rows
    finally:
        for each in (host, bare):
            if each:
                each.close()


def merged(small: list, resident: list) -> list:
    for row in small:
        for other in resident:
            if other["key"] == row["key"] and "resident" in other:
                row["resident"] = other["resident"]
    return small


def print_row(row: dict, sizes: list) -> None:
    if "skipped" in row:
        print(f"skip - {row['language']}, {row['title']}: {row['skipped']}")
        return
    text = f"{row['title']:<42}"
    for size in sizes:
        times = row.get(size)
        if times:
            ratio = f"{times['ratio']:6.2f}" if "ratio" in times else " " * 6
            text += f" | {times['p10_us']:6.0f} {times['median_us']:6.0f} {times['p90_us']:6.0f} {ratio} {times['to_c']:6.2f}"
    print(text)


def print_table(rows: list, resident_mib: int) -> None:
    sizes = ["small"] + (["resident"] if resident_mib else [])
    print("\nThrough the bindings: start to reaped of /bin/true, in microseconds; ratios of the medians in the same rounds,"
          "\nto the language's own way that stands above (the same for stdio), and to posix_spawn in C\n")
    print(f"{'':<42} | {'host small':<34}" + (f" | host with {resident_mib} MiB resident" if resident_mib else ""))
    print(f"{'':<42}" + " |    p10    p50    p90  ratio   to C" * len(sizes))
    seen = None
    for row in rows:
        if row["language"] != seen:
            seen = row["language"]
            print(f"{seen} ({row['runtime']})")
        print_row(row, sizes)


def write(rows: list, skipped: dict, path: Path) -> None:
    """Into the file that the C benchmark wrote, if it did."""
    try:
        known = json.loads(path.read_text())
    except FileNotFoundError:
        known = {}
    known["bindings"] = rows
    known["bindings_skipped"] = skipped
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS") or 300))
    parser.add_argument("--resident", type=int, default=1024, metavar="MiB", help="memory of the large host; 0: leave it out")
    parser.add_argument("--only", help="these languages alone: " + ", ".join(LANGUAGES))
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    rows, skipped = [], {}
    for language in asked.only.split(",") if asked.only else LANGUAGES:
        try:
            small = measure(language, "small", 0, asked.rounds)
            # A fork of a large host takes its time, and its times differ little.
            resident = measure(language, "resident", asked.resident, max(asked.rounds // 3, 1)) if asked.resident else []
            rows += merged(small, resident)
        except Missing as why:
            skipped[language] = str(why)
    print_table(rows, asked.resident)
    for language, why in skipped.items():
        print(f"skip - {language}: {why}")
    if asked.json:
        write(rows, skipped, asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
