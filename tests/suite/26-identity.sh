# Who the program is and what it may, and the namespaces it joins: as root and as an ordinary user, who has a range of
# subordinate ids where newuidmap is installed.
set -u
programs="capabilities identity names userns join"
out=$ROOT/build/test/c
# The checkout may be unreadable for an ordinary user: what runs lies here.
work=$(mktemp -d /var/tmp/sandbox-spawn-identity.XXXXXX) || exit 1
made_user=
finish() {
    rm -rf "$work"
    for file in subuid subgid; do
        [ -n "$made_user" ] && [ -e "/etc/$file" ] && sed -i '/^sandbox-ids:/d' "/etc/$file"
    done
    [ -z "$made_user" ] || userdel sandbox-ids 2>/dev/null
}
trap finish EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
mkdir -m 1777 "$work/tmp"
mkdir "$work/lib"
cp -P "$PREFIX"/lib/libsandbox_spawn.so* "$work/lib/"
chmod 755 "$work"/lib/*.so.*.*

if ! make -s -C "$ROOT/tests/c" OUT="$out/identity" PROGRAMS="$programs" >"$work/log" 2>&1; then
    echo "not ok - build: $(grep -m1 -i error "$work/log")"
    cat "$work/log"
    exit 1
fi
cp -r "$out/identity" "$work/bin"
chmod -R go=rX "$work/bin"

# run WHO [command to run it through]...
run() {
    local who=$1 program code
    shift
    for program in $programs; do
        ( cd "$work/tmp" && exec timeout --kill-after=5 240 "$@" env TMPDIR="$work/tmp" HOME="$work/tmp" LD_LIBRARY_PATH="$work/lib" "$work/bin/$program" ) </dev/null >"$work/log" 2>&1
        code=$?
        sed -nE "s/^(ok|not ok|skip) - /\1 - $who, $program: /p" "$work/log"
        if [ $code -ne 0 ] && ! grep -q '^not ok - ' "$work/log"; then echo "not ok - $who, $program: ended with code $code"; tail -n 20 "$work/log"; fi
    done
}

if [ "$(id -u)" = 0 ]; then
    run root
    # The user's own ranges: without one usermod would give none to a user of the system.
    if id sandbox-ids >/dev/null 2>&1; then echo "skip - a user with subordinate ids: sandbox-ids exists already, and is not this test's"
    elif useradd --no-create-home --shell /usr/sbin/nologin sandbox-ids >/dev/null 2>&1; then
        made_user=1
        for file in subuid subgid; do
            [ ! -e "/etc/$file" ] || sed -i '/^sandbox-ids:/d' "/etc/$file"
            echo "sandbox-ids:700000:5000" >>"/etc/$file"
        done
        ids=
        if command -v newuidmap >/dev/null && command -v newgidmap >/dev/null; then ids="SUBORDINATE_IDS=700000 5000"
        else echo "skip - a user with subordinate ids: no newuidmap here"; fi
        run "user with subordinate ids" env ${ids:+"$ids"} setpriv --reuid "$(id -u sandbox-ids)" --regid "$(id -g sandbox-ids)" --clear-groups --inh-caps=-all
    fi
    run user setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all
else
    run user
    echo "skip - as root, and with subordinate ids: this user is not root"
fi
