#!/usr/bin/env python3
"""What a spawn costs through each binding, beside the same language's own ways to start a program.

Each language has one small program here, a host. It is started twice, small and with much memory resident, says which
ways it knows, and then starts /bin/true the way that it is told to, once a line, and prints how long that took. All that is
to be compared is interleaved in an order that changes every round, each start after one of its kind that is not counted;
the bare C host's posix_spawn runs in the same rounds.
The table goes to stdout, and the rows into the benchmark's JSON file, under "bindings" (see README.md).

    hosts.py [--rounds N] [--resident MiB] [--only LANGUAGE,...] [--json FILE] [--program PATH]

A language that is not installed here is a skip, with its reason. A call that fails is an error: so is a program that can't be
started, or does not exit with 0. It is named, its row has no times, and the exit code is 1.

A host is called with the MiB to hold and the program to start, and prints {"skip": what is not installed}, {"error": why}, or
    {"runtime": "CPython 3.11", "ways": [{"key": ..., "title": ..., "against": key of the way to compare with, or left out}]}
then, for each line that holds a key, {"us": the time} or {"error": why}: it checks each start that it times.
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
    """The language or its binding is not installed here."""


class Failed(Exception):
    """What is there does not work."""


class Host:
    """A language's program: a line in, a line of JSON out."""

    def __init__(self, language: str, resident_mib: int, started: str) -> None:
        program, *args = LANGUAGES[language]
        if not shutil.which(program):
            raise (Failed if language == "C" else Missing)(f"there is no {os.path.basename(program)}")
        libc = ctypes.CDLL(None)
        self.process = subprocess.Popen(
            [program, *args, str(resident_mib), started], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=ROOT,
            env={**os.environ, "SANDBOX_SPAWN_LIBRARY": LIBRARY},
            # Small pages, as a busy host's memory has: what a fork must copy the tables of.
            preexec_fn=lambda: libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
        try:
            self.hello = self._answer()
            if "skip" in self.hello:
                raise Missing(self.hello["skip"])
            if "error" in self.hello:
                raise Failed(self.hello["error"])
        except BaseException:
            self.close()
            raise

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        try:
            return json.loads(line)
        except ValueError:
            raise Failed(f"its program said {line!r}" if line else f"its program ended: {self.process.wait()}") from None

    def once(self, key: str) -> dict:
        """"us": microseconds from the call to the end of the program it started; or "error"."""
        try:
            self.process.stdin.write(key + "\n")
        except BrokenPipeError:
            pass  # its end is what there is to read
        return self._answer()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass


def summary(values: list, reference: list) -> dict:
    ordered = sorted(values)
    tenth, ninth = ordered[len(ordered) // 10], ordered[len(ordered) * 9 // 10]
    median = statistics.median(values)
    row = {"rounds": len(values), "median_us": round(median, 1), "p10_us": round(tenth, 1), "p90_us": round(ninth, 1)}
    if reference:
        row["ratio"] = round(median / statistics.median(reference), 4)
        row["ratio_p10"] = round(tenth / sorted(reference)[len(reference) // 10], 4)
    return row


def take(turns: list, rounds: int) -> "tuple[dict, dict]":
    """The times and the errors of each (host, key). One that fails has its error, and no more turns."""
    times, errors = {turn: [] for turn in turns}, {}
    shuffled = random.Random(2463534242)
    for turn in range(-WARM_UP, rounds):
        shuffled.shuffle(turns)
        for whose, key in [each for each in turns if each not in errors]:
            # The second counts: a process that has just been woken is slower, and whoever is alone in it always would be.
            answers = [whose.once(key), whose.once(key)]
            wrong = [answer.get("error", answer) for answer in answers if "us" not in answer]
            if wrong:
                errors[whose, key] = str(wrong[0])
            elif turn >= 0:
                times[whose, key].append(answers[1]["us"])
    return {turn: values for turn, values in times.items() if turn not in errors}, errors


def measure(language: str, size: str, resident_mib: int, rounds: int, program: str) -> list:
    """The rows of one language at one size; ways that failed have "error"."""
    host = Host(language, resident_mib, program)
    bare = None
    try:
        bare = Host("C", 0, program)
        ways = {way["key"]: way for way in host.hello["ways"]}
        reference = bare, "posix_spawn"
        times, errors = take([(host, key) for key in ways] + [reference], rounds)
        rows = []
        for key, way in ways.items():
            row = {"language": language, "runtime": host.hello["runtime"], "key": key, "title": way["title"]}
            against = way.get("against")
            if against:
                row["against"] = ways[against]["key"]
            if (host, key) in errors:
                row["error"] = errors[host, key]
            elif reference in errors:
                row["error"] = f"what it is compared with, posix_spawn in C: {errors[reference]}"
            else:
                row[size] = summary(times[host, key], times.get((host, against), []))
                row[size]["to_c"] = round(row[size]["median_us"] / statistics.median(times[reference]), 4)
            rows.append(row)
        return rows
    finally:
        for each in (host, bare):
            if each:
                each.close()


def merged(small: list, resident: list) -> list:
    for row in small:
        for other in resident:
            if other["key"] == row["key"]:
                row.update({key: other[key] for key in ("resident", "error") if key in other})
        if "error" in row:
            row.pop("small", None)
            row.pop("resident", None)
    return small


def print_row(row: dict, sizes: list) -> None:
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
        if "error" not in row:
            print_row(row, sizes)


def write(rows: list, skipped: dict, failed: dict, path: Path) -> None:
    """Into the file that the C benchmark wrote, if it did."""
    try:
        known = json.loads(path.read_text())
    except FileNotFoundError:
        known = {}
    known.update({"bindings": rows, "bindings_skipped": skipped, "bindings_failed": failed})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS") or 300))
    parser.add_argument("--resident", type=int, default=1024, metavar="MiB", help="memory of the large host; 0: leave it out")
    parser.add_argument("--only", help="these languages alone: " + ", ".join(LANGUAGES))
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--program", default="/bin/true", metavar="PATH", help="what is started, without arguments (default /bin/true)")
    asked = parser.parse_args()
    languages = asked.only.split(",") if asked.only else list(LANGUAGES)
    unknown = [language for language in languages if language not in LANGUAGES]
    if unknown:
        parser.error(f"no language {unknown[0]}: " + ", ".join(LANGUAGES))
    rows, skipped, failed = [], {}, {}
    # A fork of a large host takes its time, and its times differ little.
    sizes = [("small", 0, asked.rounds)] + ([("resident", asked.resident, max(asked.rounds // 3, 1))] if asked.resident else [])
    for language in languages:
        taken = []
        for size, mib, rounds in sizes:
            name = f"{language} with {mib} MiB" if mib else language
            try:
                taken.append(measure(language, size, mib, rounds, asked.program))
            except Missing as why:
                skipped[name] = str(why)
                break
            except Failed as why:
                failed[name] = str(why)
                break
        if taken:
            rows += merged(taken[0], taken[1] if len(taken) > 1 else [])
    print_table(rows, asked.resident)
    for language, why in skipped.items():
        print(f"skip - {language}: {why}")
    errors = [(f"{row['language']}, {row['title']}", row["error"]) for row in rows if "error" in row] + list(failed.items())
    for what, why in errors:
        print(f"FAILED - {what}: {why}")
    if asked.json:
        write(rows, skipped, failed, asked.json)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
