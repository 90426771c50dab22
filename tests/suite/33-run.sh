# Runs to completion, and the scenarios that every language drives, in C: as root and as an ordinary user, once more from
# the archive under AddressSanitizer.
set -u
theme=run programs="run scenarios"
. "$ROOT/tests/as-users.sh"

if ! command -v python3 >/dev/null; then
    echo "skip - scenarios: there is no python3 to make their program"
    programs=run
fi
if build dynamic; then
    as_users dynamic
    if [ $who = root ]; then
        # One hierarchy without controllers is enough for a cgroup that only holds its processes together.
        mkdir "$work/mnt"
        through=(unshare --mount --propagation private bash -c 'mount -t cgroup2 none "$0" && mkdir "$0/run.$$" || { echo "skip - no cgroup2 can be mounted here"; exit 0; }
            SANDBOX_CGROUP=$0/run.$$ "$@" "a cgroup of its own"; code=$?; rmdir "$0/run.$$"; exit $code' "$work/mnt")
        run "root, cgroup2" dynamic run
        through=()
    fi
fi
sanitized asan
