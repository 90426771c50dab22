# Runs to completion, and the scenarios that every language drives, in C: as root and as an ordinary user, once more from
# the archive under AddressSanitizer.
set -u
theme=run programs="run scenarios"
. "$ROOT/tests/as-users.sh"

# run TITLE NAME, through the command in `through`.
through=()
run() {
    local program
    for program in $programs; do
        ( cd "$work/tmp" && exec timeout --kill-after=5 300 "${through[@]}" env TMPDIR="$work/tmp" HOME="$work/tmp" LD_LIBRARY_PATH="$work/lib" "$work/$2/$program" ) </dev/null >"$work/log" 2>&1
        lines "$1, $program" $?
    done
}

if ! command -v python3 >/dev/null; then
    echo "skip - scenarios: there is no python3 to make their program"
    programs=run
fi
all=$programs
if build dynamic; then
    if [ "$(id -u)" = 0 ]; then
        run root dynamic
        # One hierarchy without controllers is enough for a cgroup that only holds its processes together.
        programs="run" through=(unshare --mount --propagation private bash -c 'mount -t cgroup2 none "$0" && mkdir "$0/run.$$" || { echo "skip - no cgroup2 can be mounted here"; exit 0; }
            SANDBOX_CGROUP=$0/run.$$ "$@" "a cgroup of its own"; code=$?; rmdir "$0/run.$$"; exit $code' "$work/mnt")
        mkdir "$work/mnt"
        run "root, cgroup2" dynamic
        programs=$all
        through=(setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all)
    else
        echo "skip - as root: this is an ordinary user"
    fi
    run user dynamic
    through=()
fi
if ! echo 'int main(void) { return 0; }' | gcc -x c -fsanitize=address -o "$work/probe" - 2>/dev/null; then
    echo "skip - AddressSanitizer: this compiler has none"
elif build asan LINK=archive CFLAGS="-O1 -g -fsanitize=address -fno-omit-frame-pointer"; then
    run asan asan
fi
