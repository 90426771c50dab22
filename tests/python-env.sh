# For suites that test Python as root and as an ordinary user; they source it after they have set `theme`, a name for their
# directory and their skips. It gives: `work`, which the user can read, with `home`, the user's; `user`, the words that make a
# command an ordinary user's; `environment`; `fresh PACKAGE...`, an environment with the binding's wheel; and `tests`.
# What they take from outside (setuptools, cffi, pytest, ...) comes from the package index: without one they are skipped.
work=$(mktemp -d "/var/tmp/sandbox-spawn-$theme.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
user=()
if [ "$(id -u)" = 0 ]; then user=(setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all); fi

mkdir "$work/home"
cp -r "$ROOT/bindings" "$work/bindings"
cp -rL "$PREFIX" "$work/prefix"
rm -rf "$work"/bindings/python/build "$work"/bindings/python/dist
chmod -R u+w,go=rX "$work"
[ ${#user[@]} -eq 0 ] || chown -R 64321:64321 "$work/home" "$work/bindings"
as() { (cd "$work/home" && "$@"); }
environment=(env -u PYTHONPATH HOME="$work/home" TMPDIR="$work/home" PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_RETRIES=1 SANDBOX_SPAWN_PREFIX="$work/prefix")
# The index that this machine's pip is set to use, which may stand in a file of root's.
for name in index-url trusted-host cert; do
    value=$(python3 -m pip config get "global.$name" 2>/dev/null) || continue
    environment+=("PIP_$(echo "$name" | tr 'a-z-' 'A-Z_')=$value")
done
python=$work/home/venv/bin/python

# fresh PACKAGE...: 1 after a skip or a failure, whose line it has printed.
fresh() {
    # The distribution's Python: one installed in root's home is nobody else's.
    local system=/usr/bin/python3
    [ -x $system ] || system=$(command -v python3) || { echo "skip - $theme: there is no python3"; return 1; }
    $system -c 'import ensurepip, venv' 2>/dev/null || { echo "skip - $theme: $system has no venv (python3-venv)"; return 1; }
    if ! as "${user[@]}" "${environment[@]}" $system -m venv "$work/home/venv" >"$work/log" 2>&1 ||
        ! as "${user[@]}" "${environment[@]}" timeout 240 "$work/home/venv/bin/pip" install -q cffi "$@" >>"$work/log" 2>&1; then
        echo "skip - $theme: no fresh environment with cffi $* here: $(tail -n 1 "$work/log")"
        return 1
    fi
    if ! as "${user[@]}" "${environment[@]}" timeout 240 make -s -C "$work/bindings/python" wheel PYTHON="$python" >"$work/log" 2>&1 ||
        ! as "${user[@]}" "${environment[@]}" "$work/home/venv/bin/pip" install -q --no-index "$work"/bindings/python/dist/*.whl >>"$work/log" 2>&1; then
        cat "$work/log"
        echo "not ok - the wheel is built and installed: $(tail -n 1 "$work/log")"
        return 1
    fi
    echo "ok - the wheel is built and installed: $(basename "$work"/bindings/python/dist/*.whl)"
}

# tests FOLDER WHO COMMAND...: pytest's verdicts, as lines of ours.
tests() {
    local folder=$1 who=$2 code
    local log=$work/log.$who
    shift 2
    (cd "$folder" && "$@" "${environment[@]}" timeout --kill-after=5 400 "$python" -m pytest -p no:cacheprovider \
        -rA --color=no --tb=short .) </dev/null >"$log" 2>&1
    code=$?
    sed -nE -e "s/^PASSED (.*)/ok - $who: \1/p" -e "s/^SKIPPED (.*)/skip - $who: \1/p" -e "s/^(FAILED|ERROR) ([^ ].*)/not ok - $who: \2/p" "$log"
    [ $code -eq 0 ] && return
    grep -qE '^(FAILED|ERROR) [^ ]' "$log" || echo "not ok - $who: pytest ended with code $code"
    grep -vE '^(PASSED|SKIPPED|FAILED|ERROR) ' "$log" | head -n 100
}

# both FOLDER: as an ordinary user, and as root where this is root.
both() {
    tests "$1" user "${user[@]}"
    if [ "$(id -u)" = 0 ]; then tests "$1" root env; else echo "skip - as root: this is an ordinary user"; fi
}
