"""The table of cases: what a case is. case() enters one command line, scene() a small play for what one line can't show.

A case is run with bubblewrap itself and with the candidate, in a fresh directory each, and what is seen must be the
same. It says besides what must be seen at least (exit code, a regular expression), so that a case that both fail, or
that bubblewrap's release here is too old for, still proves something.
"""
import shlex

CASES = []

# Words for `base`: what nearly every command line begins with.
USR = "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64"
PROC = USR + " --proc /proc"
FULL = PROC + " --dev /dev"
USER_PROC = FULL + " --unshare-user"

OUT = object()  # an fd on which the program writes: what came is part of what is seen


class Path:
    """An fd on something in the case's directory."""

    def __init__(self, path, flags=0):
        self.path, self.flags = path, flags


class Case:
    def __init__(self, name, **fields):
        self.name = name
        self.play = None      # a scene's function
        self.options = []
        self.command = []
        self.code = 0         # what its exit code must be; None: whatever, but the same
        self.out = None       # what its stdout must match
        self.err = None       # what its stderr must match, in the candidate and in bubblewrap
        self.fds = {}         # name: bytes to read, OUT, Path
        self.stdin = b""
        self.env = {}
        self.cwd = "."        # in the case's directory
        self.umask = 0o022
        self.who = None       # "root", "user": there alone
        self.newer = False    # an option that bubblewrap 0.8 lacks
        self.mounts = False   # stdout is /proc/self/mountinfo: what matters of it is compared
        self.same = True      # False: only the expectations are looked at
        self.sort = False     # stdout's order says nothing
        self.__dict__.update(fields)


def case(name, options="", run=None, base=USR, command=None, **fields):
    """`run` is a script for sh; `command` another command, a list."""
    if command is None:
        command = ["sh", "-c", run] if run is not None else ["true"]
    CASES.append(Case(name, options=shlex.split(base) + shlex.split(options), command=command, **fields))


def scene(name, **fields):
    """The decorated function gets a Program (compare.py) and returns what was seen."""
    def enter(function):
        CASES.append(Case(name, play=function, **fields))
        return function
    return enter
