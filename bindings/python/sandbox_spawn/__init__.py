"""sandbox-spawn: subprocess for sandboxes.

Starts processes already confined, in the time that posix_spawn takes, from any thread, whatever the size of this
process. What can't be had as asked is a typed error that names the step; a child is never less confined than asked.

>>> import sandbox_spawn as sandbox
>>> sandbox.run(["sh", "-c", "echo hello"], timeout=5).stdout
b'hello\\n'
"""
from ._child import Child, Popen
from ._command import Command
from ._errors import SandboxError
from ._filter import ALLOW, ERRNO, KILL_PROCESS, KILL_THREAD, LOG, NOTIFY, TRACE, TRAP, Arg, Filter, deny_groups
from ._library import version
from ._pool import Pool
from ._run import Result, RunError, run, run_async
from ._supervisor import Notification, Supervisor
from ._types import INHERIT, NULL, PIPE, PTY, Access, Cause, Data, Features, Limit, Mount, Namespace, PortAccess, Preset, Proc, Scope, Status, probe

__version__ = version()

__all__ = [
    "ALLOW", "Access", "Arg", "Cause", "Data", "Child", "Command", "ERRNO", "Features", "Filter", "INHERIT", "KILL_PROCESS", "KILL_THREAD", "LOG",
    "Limit", "Mount", "NOTIFY", "NULL", "Namespace", "Notification", "PIPE", "PTY", "Popen", "Pool", "PortAccess", "Preset", "Proc", "Result", "RunError", "SandboxError", "Scope", "Status",
    "Supervisor", "TRACE", "TRAP", "deny_groups", "probe", "run", "run_async", "version",
]
