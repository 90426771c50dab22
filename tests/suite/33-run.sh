# Runs to completion, and the scenarios that every language drives, in C: as root and as an ordinary user, once more from
# the archive under AddressSanitizer.
set -u
out=$ROOT/build/test/c/run
all="run scenarios"
# The checkout may be unreadable for an ordinary user: what runs lies here.
work=$(mktemp -d /var/tmp/sandbox-spawn-run.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
mkdir -m 1777 "$work/tmp"
mkdir "$work/lib"
cp -P "$PREFIX"/lib/libsandbox_spawn.so* "$work/lib/"
chmod 755 "$work"/lib/*.so.*.*

# build NAME VARIABLE=VALUE...
build() {
    local name=$1
    shift
    mkdir -p "$out"
    if ! make -s -C "$ROOT/tests/c" OUT="$out/$name" PROGRAMS="$all" "$@" >"$work/log" 2>&1; then
        echo "not ok - build $name: $(grep -m1 -i error "$work/log")"
        cat "$work/log"
        return 1
    fi
    cp -r "$out/$name" "$work/$name"
    chmod -R go=rX "$work/$name"
}

# run TITLE NAME, through the command in `through`.
through=()
run() {
    local program code
    for program in $programs; do
        ( cd "$work/tmp" && exec timeout --kill-after=5 300 "${through[@]}" env TMPDIR="$work/tmp" HOME="$work/tmp" LD_LIBRARY_PATH="$work/lib" "$work/$2/$program" ) </dev/null >"$work/log" 2>&1
        code=$?
        sed -nE "s/^(ok|not ok|skip) - /\1 - $1, $program: /p" "$work/log"
        [ $code -eq 0 ] && continue
        grep -q '^not ok - ' "$work/log" || echo "not ok - $1, $program: ended with code $code"
        grep -vE '^(ok|not ok|skip) - ' "$work/log" | head -n 60
    done
}

if ! command -v python3 >/dev/null; then
    echo "skip - scenarios: there is no python3 to make their program"
    all=run
fi
programs=$all
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
