"""Untrusted programs, run by the workers of a Dask cluster, each in a sandbox of its own.

>>> with LocalCluster(n_workers=4) as cluster, Client(cluster) as client:
...     start(client, Policy(Limits(wall_time=10, memory=256 << 20)))
...     for future, outcome in finished(submit(client, [Job(["python3", "-c", "print(6 * 7)"])])):
...         print(outcome.verdict, outcome.stdout)
ok b'42\\n'

jobs.py has the plain data that travels, worker.py what a worker does with it, client.py the three functions above.
"""
from .client import finished, start, submit
from .jobs import Job, Limits, Outcome, Policy
from .worker import Sandbox

__all__ = ["Job", "Limits", "Outcome", "Policy", "Sandbox", "finished", "start", "submit"]
