# sandbox-bwrap beside bubblewrap itself: option by option the same exit code and the same view inside, and twenty
# command lines of the kind found in the wild; as root and as an ordinary user. BWRAP names another bubblewrap to
# compare with, SANDBOX_BWRAP another candidate, CASES a pattern of names.
set -u
python=/usr/bin/python3
[ -x $python ] || { echo "skip - sandbox-bwrap beside bubblewrap: there is no $python"; exit 0; }
work=$(mktemp -d /var/tmp/sandbox-bwrap.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
candidate=${SANDBOX_BWRAP:-$PREFIX/bin/sandbox-bwrap}
cp "$candidate" "$work/sandbox-bwrap" || { echo "not ok - sandbox-bwrap is installed"; exit 1; }
cp -r "$ROOT/tests/bwrap" "$work/tests"
chmod -R go=rX "$work/tests" "$work/sandbox-bwrap"
unset MAKEFLAGS MAKELEVEL SANDBOX_CGROUP

bwrap=${BWRAP:-$(command -v bwrap)} || { echo "skip - the same as bubblewrap: it is not installed; what must be seen is looked at alone"; bwrap=-; }
if [ "$bwrap" != - ] && ! why=$("$bwrap" --unshare-all --ro-bind / / true 2>&1); then
    echo "skip - the same as bubblewrap: it can't start here: $why"
    bwrap=-
fi

# as WHO COMMAND...: every case, by that user.
as() {
    local who=$1
    shift
    install -d -m 700 -o "$("$@" id -u)" "$work/$who"
    "$@" $python -B "$work/tests/compare.py" "$work/sandbox-bwrap" "$bwrap" "$work/$who" "$who" ${CASES:+"$CASES"} ||
        echo "not ok - $who: the cases end early: $?"
}
if [ "$(id -u)" = 0 ]; then
    as root env
    as user setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all
else
    as user env
fi
exit 0
