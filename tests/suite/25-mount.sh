# The child's file system: the C programs as root and as an ordinary user, and once more without a shared library.
set -u
out=$ROOT/build/test/c
programs="mount mount-attacks thousand"
# The checkout may be unreadable for an ordinary user: what runs lies here.
work=$(mktemp -d /var/tmp/sandbox-spawn-mount.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
mkdir -m 1777 "$work/tmp"
mkdir "$work/lib"
cp -P "$PREFIX"/lib/libsandbox_spawn.so* "$work/lib/"
chmod 755 "$work"/lib/*.so.*.*

# A user of no rights, where this one is root. A name is not needed.
become=()
if [ "$(id -u)" = 0 ]; then
    become=(setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all)
    "${become[@]}" true || { echo "not ok - an ordinary user: setpriv can't become one"; exit 1; }
fi

# build NAME VARIABLE=VALUE...
build() {
    local name=$1
    shift
    mkdir -p "$out"
    if ! make -s -C "$ROOT/tests/c" OUT="$out/$name" PROGRAMS="$programs" "$@" >"$work/log" 2>&1; then
        echo "not ok - build $name: $(grep -m1 -i error "$work/log")"
        cat "$work/log"
        return 1
    fi
    cp -r "$out/$name" "$work/$name"
    chmod -R go=rX "$work/$name"
}

# run TITLE NAME PROGRAM [part of a test's name]..., through the command in `through`.
through=()
run() {
    local title=$1 name=$2 program=$3 code
    shift 3
    ( cd "$work/tmp" && exec timeout --kill-after=5 400 "${through[@]}" env TMPDIR="$work/tmp" HOME="$work/tmp" LD_LIBRARY_PATH="$work/lib" "$work/$name/$program" "$@" ) </dev/null >"$work/log" 2>&1
    code=$?
    sed -nE "s/^(ok|not ok|skip) - /\1 - $title, $program: /p" "$work/log"
    [ $code -eq 0 ] && return
    grep -q '^not ok - ' "$work/log" || echo "not ok - $title, $program: ended with code $code"
    grep -vE '^(ok|skip) - ' "$work/log" | head -n 60
}

mounts=$(wc -l </proc/self/mountinfo)
if build mount-dynamic; then
    for program in $programs; do
        through=("${become[@]}")
        run user mount-dynamic $program
        through=()
        if [ "$(id -u)" = 0 ]; then run root mount-dynamic $program; fi
    done
fi
if build mount-static CC=clang LINK=static; then run static mount-static mount "a new root" "bind" "overlay" "dev" "mask"; fi
if [ "$(wc -l </proc/self/mountinfo)" = "$mounts" ]; then echo "ok - no mount is left on the host"
else echo "not ok - no mount is left on the host: $mounts before, $(wc -l </proc/self/mountinfo) now"; fi
