"""Judges a folder of programs on a cluster, and prints what came of each.

A NAME.py is run by python3, a NAME.sh by sh, any other executable file by itself. NAME.in is its input, NAME.out the output
that is expected of it."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Union

from distributed import Client, LocalCluster
from sandbox_spawn import SandboxError

from . import Job, Limits, Outcome, Policy, finished, start, submit

INTERPRETERS = {".py": ["python3", "-I"], ".sh": ["sh"]}
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size(text: str) -> int:
    """64K, 256M."""
    number, unit = (text[:-1], text[-1]) if text[-1:].isalpha() else (text, "")
    return int(number) * UNITS[unit.upper()]


def jobs_in(folder: Path, limits: Limits) -> List[Job]:
    jobs = []
    for program in sorted(folder.iterdir()):
        interpreter = INTERPRETERS.get(program.suffix)
        if not program.is_file() or program.suffix in (".in", ".out") or interpreter is None and not program.stat().st_mode & 0o111:
            continue
        given = program.with_suffix(".in")
        jobs.append(Job([*(interpreter or []), f"/job/{program.name}"], name=program.name, files={program.name: program.read_bytes()},
                        input=given.read_bytes() if given.exists() else b"", limits=limits))
    return jobs


def verdict(outcome: Outcome, expected: Optional[bytes]) -> str:
    if not outcome.ok:
        return outcome.verdict
    if expected is None:
        return "ran"
    return "accepted" if outcome.stdout.split() == expected.split() else "wrong answer"


def row(outcome: Union[Outcome, BaseException], expected: Optional[bytes]) -> List[str]:
    if isinstance(outcome, SandboxError):
        return ["not confined", f"stage {outcome.stage}: {outcome.message}"]
    if isinstance(outcome, BaseException):
        return ["not run", repr(outcome)]
    cut = outcome.stdout_cut + outcome.stderr_cut
    return [verdict(outcome, expected), str(outcome.status), f"{outcome.cpu_time:.2f}", f"{outcome.status.wall_time:.2f}",
            f"{outcome.status.peak_memory >> 20} MiB" if outcome.status.peak_memory else "-",
            str(len(outcome.stdout) + len(outcome.stderr)) + (f" of {len(outcome.stdout) + len(outcome.stderr) + cut}" if cut else ""),
            outcome.worker.rpartition(":")[2]]


def table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in rows if column + 1 < len(line)) if any(column + 1 < len(line) for line in rows) else 0
              for column in range(max(map(len, rows)))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in rows)


def judge(client: Client, folder: Path, limits: Limits) -> int:
    """Prints the table; 1 where a job could not be run, or a program with an expected output did not have it."""
    jobs = jobs_in(folder, limits)
    futures = submit(client, jobs)
    names = {future.key: job.name for future, job in zip(futures, jobs)}
    came: Dict[str, List[str]] = {}
    for future, outcome in finished(futures):
        wanted = (folder / names[future.key]).with_suffix(".out")
        came[names[future.key]] = row(outcome, wanted.read_bytes() if wanted.exists() else None)
        print(f"{len(came)} of {len(jobs)}", end="\r", file=sys.stderr, flush=True)
    print(table([["program", "verdict", "ended by", "cpu s", "wall s", "memory", "output", "worker"],
                 *([name, *came[name]] for name in sorted(came))]))
    bad = [name for name, cells in came.items() if cells[0] in ("not confined", "not run")
           or cells[0] != "accepted" and (folder / name).with_suffix(".out").exists()]
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2, help="worker processes to start here (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="jobs at once in each (default %(default)s)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="a cluster that runs already")
    parser.add_argument("--wall-time", type=float, metavar="SECONDS", default=5)
    parser.add_argument("--cpu-time", type=float, metavar="SECONDS")
    parser.add_argument("--memory", type=size, metavar="SIZE", default=size("256M"))
    parser.add_argument("--processes", type=int, metavar="N", default=32)
    parser.add_argument("--output", type=size, metavar="SIZE", default=size("64K"))
    asked = parser.parse_args()
    if not asked.folder.is_dir():
        parser.error(f"{asked.folder} is no folder")
    limits = Limits(asked.wall_time, asked.cpu_time, asked.memory, asked.processes, asked.output)
    if asked.scheduler:
        with Client(asked.scheduler) as client:
            start(client)
            return judge(client, asked.folder, limits)
    with LocalCluster(n_workers=asked.workers, threads_per_worker=asked.threads, processes=True, dashboard_address=":0") as cluster, Client(cluster) as client:
        start(client)
        return judge(client, asked.folder, limits)


if __name__ == "__main__":
    sys.exit(main())
