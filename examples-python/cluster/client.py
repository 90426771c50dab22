"""The client's side: equips the workers, hands out jobs, collects what came of them."""
from __future__ import annotations

import uuid
from typing import Any, Iterable, Iterator, List, Tuple, Union

from distributed import CancelledError, Client, Future, as_completed

from .jobs import Job, Outcome, Policy
from .worker import PREFIX, Sandbox, execute


def start(client: Client, policy: Policy = Policy()) -> None:
    """Equips every worker, those that come later too. A worker's own configuration may lower the policy's ceiling:
    DASK_SANDBOX_CLUSTER__CEILING__WALL_TIME=5, or sandbox-cluster: {ceiling: {wall-time: 5}} in a file of Dask's."""
    client.register_plugin(Sandbox(policy))


def submit(client: Client, jobs: Iterable[Job], **how: Any) -> List[Future[Outcome]]:
    """A future a job, in their order. Its result is an Outcome, however the program ended.

    A job that could not be confined as asked raises sandbox_spawn.SandboxError: nothing of it has run. One whose worker
    dies is given to another by Dask, up to three times (distributed.scheduler.allowed-failures): so a job may be begun
    more than once, and what it does must bear that. Cancelling the future, or forgetting it, ends all the job's processes.

    ``how``: keywords of Client.submit, as workers, priority or resources.
    """
    futures = []
    for job in jobs:
        key = f"{PREFIX}-{uuid.uuid4()}"  # no two runs are one, be the jobs equal
        futures.append(client.submit(execute, key, job, key=key, pure=False, **how))
    return futures


def finished(futures: Iterable[Future[Outcome]]) -> Iterator[Tuple[Future[Outcome], Union[Outcome, BaseException]]]:
    """Each future when it is done, with what came of it or what kept it from that: none stops the others."""
    for future in as_completed(list(futures)):
        if future.cancelled():
            yield future, CancelledError(future.key)
        else:
            error = future.exception()
            yield future, future.result() if error is None else error
