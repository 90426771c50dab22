# The Python binding: the wheel built and installed into a fresh environment by an ordinary user, its tests there and as
# root. What it takes from outside (setuptools, cffi, pytest) comes from the package index: without one it is skipped.
set -u
work=$(mktemp -d /var/tmp/sandbox-spawn-python.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
user=()
if [ "$(id -u)" = 0 ]; then user=(setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all); fi

# The distribution's Python: one installed in root's home is nobody else's.
python=/usr/bin/python3
[ -x $python ] || python=$(command -v python3) || { echo "skip - python: there is no python3"; exit 0; }
$python -c 'import ensurepip, venv' 2>/dev/null || { echo "skip - python: $python has no venv (python3-venv)"; exit 0; }

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

if ! as "${user[@]}" "${environment[@]}" $python -m venv "$work/home/venv" >"$work/log" 2>&1 ||
    ! as "${user[@]}" "${environment[@]}" timeout 120 "$work/home/venv/bin/pip" install -q cffi pytest >>"$work/log" 2>&1; then
    echo "skip - python: no fresh environment with cffi and pytest here: $(tail -n 1 "$work/log")"
    exit 0
fi
if ! as "${user[@]}" "${environment[@]}" timeout 240 make -s -C "$work/bindings/python" wheel PYTHON="$work/home/venv/bin/python" >"$work/log" 2>&1 ||
    ! as "${user[@]}" "${environment[@]}" "$work/home/venv/bin/pip" install -q --no-index "$work"/bindings/python/dist/*.whl >>"$work/log" 2>&1; then
    cat "$work/log"
    echo "not ok - the wheel is built and installed: $(tail -n 1 "$work/log")"
    exit 0
fi
echo "ok - the wheel is built and installed: $(basename "$work"/bindings/python/dist/*.whl)"

# tests WHO COMMAND...: pytest's verdicts, as lines of ours.
tests() {
    local who=$1
    shift
    (cd "$work/bindings/python/tests" && "$@" "${environment[@]}" timeout --kill-after=5 300 "$work/home/venv/bin/python" -m pytest -p no:cacheprovider \
        -rA --color=no --tb=short .) </dev/null >"$work/log" 2>&1
    code=$?
    sed -nE -e "s/^PASSED (.*)/ok - $who: \1/p" -e "s/^SKIPPED (.*)/skip - $who: \1/p" -e "s/^(FAILED|ERROR) (.*)/not ok - $who: \2/p" "$work/log"
    [ $code -eq 0 ] && return
    grep -qE '^(FAILED|ERROR) ' "$work/log" || echo "not ok - $who: pytest ended with code $code"
    grep -vE '^(PASSED|SKIPPED|FAILED|ERROR) ' "$work/log" | head -n 100
}
tests user "${user[@]}"
if [ "$(id -u)" = 0 ]; then tests root env; else echo "skip - as root: this is an ordinary user"; fi
