# Presets: the C program as root and as an ordinary user, and once without a shared library.
set -u
out=$ROOT/build/test/c
# The checkout may be unreadable for an ordinary user: what runs lies here.
work=$(mktemp -d /var/tmp/sandbox-spawn-presets.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
mkdir -m 1777 "$work/tmp"
mkdir "$work/lib"
cp -P "$PREFIX"/lib/libsandbox_spawn.so* "$work/lib/"
chmod 755 "$work"/lib/*.so.*.*

become=()
who=user
if [ "$(id -u)" = 0 ]; then
    become=(setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all)
    who=root
    "${become[@]}" true || { echo "not ok - an ordinary user: setpriv can't become one"; exit 1; }
fi

# build NAME LINK
build() {
    mkdir -p "$out"
    if ! make -s -C "$ROOT/tests/c" OUT="$out/$1" PROGRAMS=presets LINK="$2" >"$work/log" 2>&1; then
        cat "$work/log"
        echo "not ok - build $1: $(grep -m1 -i error "$work/log")"
        return 1
    fi
    cp -r "$out/$1" "$work/$1"
    chmod -R go=rX "$work/$1"
}

# run TITLE COMMAND...: the lines of the program that the command ends in, under that title.
run() {
    local title=$1
    shift
    ( cd "$work/tmp" && exec timeout --kill-after=5 300 "$@" ) </dev/null >"$work/log" 2>&1
    code=$?
    sed -nE "s/^(ok|not ok|skip) - /\1 - $title: /p" "$work/log"
    if [ $code -ne 0 ]; then
        grep -q '^not ok - ' "$work/log" || echo "not ok - $title: ended with code $code"
        grep -vE '^(ok|skip) - ' "$work/log" | head -n 60
    fi
}
given=(env TMPDIR="$work/tmp" HOME="$work/tmp" LD_LIBRARY_PATH="$work/lib")

if build presets-dynamic dynamic; then
    run user "${become[@]}" "${given[@]}" "$work/presets-dynamic/presets"
    if [ $who = root ]; then run root "${given[@]}" "$work/presets-dynamic/presets"; fi
fi
if build presets-static static; then run static "${become[@]}" "${given[@]}" "$work/presets-static/presets"; fi
