# A cgroup of the child's own, on a hierarchy without controllers: as root and as an ordinary user it was delegated to,
# once more where clone3 is hidden. Its limits are tested where there are controllers: in a
# kernel of their own (51-kernels.sh).
set -u
out=$ROOT/build/test/cgroup
programs="cgroup cgroup-sweep cgroup-limits"
if ! make -s -C "$ROOT/tests/c" OUT="$out" PROGRAMS="$programs" >"$out.log" 2>&1 ||
   ! cc -O1 -o "$out/under" "$ROOT/tests/c/victims/under.c" $(pkg-config --cflags --libs sandbox_spawn) >>"$out.log" 2>&1; then
    cat "$out.log"
    echo "not ok - build: see above"
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    # What this user's own session delegates, if anything.
    for program in $programs; do LD_LIBRARY_PATH=$PREFIX/lib "$out/$program" | sed -E "s/^(ok|not ok|skip) - /\1 - user, $program: /"; done
    exit 0
fi
# In a mount namespace of its own: the hierarchy is mounted for this suite alone.
if [ -z "${SUITE_MOUNTS:-}" ]; then SUITE_MOUNTS=1 exec unshare --mount --propagation private bash "$0"; fi

work=$(mktemp -d /var/tmp/sandbox-spawn-cgroup.XXXXXX) || exit 1
base=
finish() {
    if [ -n "$base" ]; then
        echo 1 > "$base/cgroup.kill" 2>/dev/null
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            find "$base" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null
            rmdir "$base" 2>/dev/null && break
            sleep 0.1
        done
        umount "$work/mnt"
    fi
    rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM
mkdir "$work/mnt" "$work/lib"
mkdir -m 1777 "$work/tmp"
chmod 755 "$work"
if ! mount -t cgroup2 none "$work/mnt" 2>"$work/log"; then
    echo "skip - cgroup v2: can't be mounted here: $(cat "$work/log")"
    exit 0
fi
base=$work/mnt/test-of-sandbox-spawn-$$
if ! mkdir "$base" "$base/host" "$base/leaves" 2>"$work/log"; then
    base=
    umount "$work/mnt"
    echo "skip - cgroup v2: can't be written in here: $(cat "$work/log")"
    exit 0
fi
cp -P "$PREFIX"/lib/libsandbox_spawn.so* "$work/lib/"
cp -r "$out" "$work/programs"
chmod -R go=rX "$work/lib" "$work/programs"
become=(setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all)

# run TITLE PROGRAM BEFORE...: in the delegated cgroup, below BEFORE.
run() {
    local title=$1 program=$2 code
    shift 2
    ( echo "$BASHPID" > "$base/host/cgroup.procs" && cd "$work/tmp" &&
      exec timeout --kill-after=5 200 "$@" env SANDBOX_CGROUP="$base/leaves" TMPDIR="$work/tmp" LD_LIBRARY_PATH="$work/lib" \
          ${under:+"$work/programs/under" "$under"} "$work/programs/$program" ) </dev/null >"$work/log" 2>&1
    code=$?
    sed -nE "s/^(ok|not ok|skip) - /\1 - $title, $program: /p" "$work/log"
    if [ $code -ne 0 ] && ! grep -q '^not ok - ' "$work/log"; then
        echo "not ok - $title, $program: ended with code $code"
        cat "$work/log"
    fi
    left=$(find "$base/leaves" -mindepth 1 -type d | wc -l)
    if [ "$left" = 0 ]; then echo "ok - $title, $program: no cgroup is left"; else echo "not ok - $title, $program: $left cgroups are left"; fi
}

delegate() { chown "$1" "$base" "$base"/*/ "$base"/cgroup.procs "$base"/*/cgroup.procs "$base"/*/cgroup.subtree_control; }
under=
run root cgroup
run root cgroup-sweep
delegate 64321
run user cgroup "${become[@]}"
run user cgroup-sweep "${become[@]}"
# No clone3: the host moves the child in, before its first step.
under=clone3=38
run "user, no clone3" cgroup "${become[@]}"
delegate 0
run "no clone3" cgroup
under=
if grep -qw memory "$base/cgroup.controllers"; then run root cgroup-limits
else echo "skip - cgroup-limits: no memory controller in this machine's cgroup2 hierarchy (51-kernels.sh runs it where there are all)"; fi
