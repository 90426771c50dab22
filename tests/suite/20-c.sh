# The C tests, against the installed library through pkg-config: gcc and clang; the shared library, the archive, and no
# shared library at all; as root and as an ordinary user. All of it once as either, the other builds by their themes.
set -u
out=$ROOT/build/test/c
# The checkout may be unreadable for an ordinary user: what runs lies here.
work=$(mktemp -d /var/tmp/sandbox-spawn-c.XXXXXX) || exit 1
made_user=
finish() {
    rm -rf "$work"
    [ -z "$made_user" ] || userdel sandbox-test 2>/dev/null
}
trap finish EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
mkdir -m 1777 "$work/tmp"

# A user of no rights, where this one is root.
become=()
if [ "$(id -u)" = 0 ]; then
    if ! id sandbox-test >/dev/null 2>&1 && useradd --no-create-home --shell /usr/sbin/nologin sandbox-test >/dev/null 2>&1; then made_user=1; fi
    user=sandbox-test
    id "$user" >/dev/null 2>&1 || user=nobody
    become=(setpriv --reuid "$(id -u "$user")" --regid "$(id -g "$user")" --clear-groups --inh-caps=-all)
    "${become[@]}" true || { echo "not ok - an ordinary user: setpriv can't become $user"; exit 1; }
fi

# build NAME CC LINK PROGRAM...
build() {
    local name=$1 cc=$2 link=$3
    shift 3
    command -v "$cc" >/dev/null || { echo "skip - build $name: no $cc"; return 1; }
    if ! make -s -C "$ROOT/tests/c" OUT="$out/$name" CC="$cc" LINK="$link" PROGRAMS="$*" >"$out/$name.log" 2>&1; then
        echo "not ok - build $name: $(grep -m1 -i error "$out/$name.log")"
        cat "$out/$name.log"
        return 1
    fi
    echo "ok - build $name"
    rm -rf "${work:?}/$name"
    cp -r "$out/$name" "$work/$name"
    chmod -R go=rX "$work/$name"
}

# run WHO NAME PROGRAM...: their lines, with what ran before them.
run() {
    local who=$1 name=$2 program before
    shift 2
    before=()
    [ "$who" = user ] && before=("${become[@]}")
    for program in "$@"; do
        ( cd "$work/tmp" && exec timeout --kill-after=5 400 "${before[@]}" env TMPDIR="$work/tmp" HOME="$work/tmp" LD_LIBRARY_PATH="$work/lib" "$work/$name/$program" ) </dev/null >"$work/log" 2>&1
        code=$?
        sed -E "s/^(ok|not ok|skip) - /\1 - $name, $who, $program: /" "$work/log"
        if [ $code -ne 0 ] && ! grep -q '^not ok - ' "$work/log"; then echo "not ok - $name, $who, $program: ended with code $code"; fi
    done
}

mkdir -p "$out" "$work/lib"
cp -P "$PREFIX"/lib/libsandbox_spawn.so* "$work/lib/"
chmod 755 "$work"/lib/*.so.*.*

all="probe stdio fds exec options init rlimits status errors hosts threads state pty memory supervisor"
themes="stdio fds exec options init status errors state pty"
who=user
if build gcc-dynamic gcc dynamic $all; then
    run user gcc-dynamic $all
    if [ "$(id -u)" = 0 ]; then who=root; run root gcc-dynamic $all; fi
fi
if build clang-dynamic clang dynamic $themes; then run user clang-dynamic $themes; fi
if build gcc-archive gcc archive $themes hosts; then run user gcc-archive $themes hosts; fi
if build clang-archive clang archive $themes; then run $who clang-archive $themes; fi
if build gcc-static gcc static $all privileged; then
    run $who gcc-static $all
    if file -b "$work/gcc-static/errors" | grep -q 'statically linked'; then echo "ok - gcc-static is a static program"
    else echo "not ok - gcc-static is a static program: $(file -b "$work/gcc-static/errors")"; fi

    # A set-user-ID and a set-group-ID host, run by the ordinary user.
    if [ "$(id -u)" = 0 ]; then
        for mode in 4755 2755; do
            cp "$work/gcc-static/privileged" "$work/gcc-static/privileged-$mode"
            chmod $mode "$work/gcc-static/privileged-$mode"
            run user gcc-static privileged-$mode
        done
    else
        echo "skip - a set-user-ID host: only root can make one"
    fi
fi
