"""Counts the words of its standard input and says what it finds around itself: the demo's untrusted program."""
import collections
import os
import re
import resource
import sys

words = collections.Counter(re.findall(r"[a-z]{4,}", sys.stdin.read().lower()))
print(f"{sum(words.values())} words, {len(words)} different; the most frequent:")
for word, count in words.most_common(5):
    print(f"  {count:5} {word}")

status = dict(line.split(":", 1) for line in open("/proc/self/status"))
fds = [str(fd) for fd in range(256) if os.path.exists(f"/proc/self/fd/{fd}")]
variables = set(os.environ) - {"LC_CTYPE"}  # Python's own doing
limits = [f"{name} {resource.getrlimit(getattr(resource, 'RLIMIT_' + name))[0]}" for name in ("AS", "CPU", "FSIZE", "NOFILE")]
print("what it sees: open fds", ", ".join(fds), "| environment", ", ".join(sorted(variables)), "| directory", os.getcwd())
print("its limits:", ", ".join(limits), "| no new privileges:", "yes" if status["NoNewPrivs"].strip() == "1" else "NO")
