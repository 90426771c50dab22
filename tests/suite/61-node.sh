# The Node binding: packed, installed into a fresh project by an ordinary user, its tests there and as root, its types
# checked. koffi and typescript come from the package registry: without one it is skipped.
set -u
work=$(mktemp -d /var/tmp/sandbox-spawn-node.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
user=()
if [ "$(id -u)" = 0 ]; then user=(setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all); fi

for program in node npm; do
    command -v $program >/dev/null || { echo "skip - node: there is no $program"; exit 0; }
done
node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' || { echo "skip - node: $(node --version) is older than 18"; exit 0; }

mkdir "$work/home" "$work/project"
cp -r "$ROOT/bindings" "$work/bindings"
cp -rL "$PREFIX" "$work/prefix"
rm -rf "$work"/bindings/node/node_modules "$work"/bindings/node/dist
chmod -R u+w,go=rX "$work"
[ ${#user[@]} -eq 0 ] || chown -R 64321:64321 "$work/home" "$work/project" "$work/bindings"
environment=(env -u NODE_OPTIONS -u SANDBOX_SPAWN_LIBRARY HOME="$work/home" TMPDIR="$work/home" SANDBOX_SPAWN_PREFIX="$work/prefix" PATH="$(dirname "$(command -v node)"):$PATH"
    npm_config_update_notifier=false npm_config_fetch_retries=1 npm_config_cache="$work/home/cache")
# The registry that this machine's npm is set to use, which may stand in a file of root's.
for name in registry cafile; do
    value=$(npm config get $name 2>/dev/null)
    [ -z "$value" ] || [ "$value" = null ] || environment+=("npm_config_$name=$value")
done
as() { (cd "$work/home" && "${user[@]}" "${environment[@]}" timeout --kill-after=5 240 "$@"); }

if ! as make -s -C "$work/bindings/node" package >"$work/log" 2>&1; then
    echo "not ok - the package is made: $(tail -n 1 "$work/log")"
    exit 0
fi
echo "ok - the package is made: $(basename "$work"/bindings/node/dist/*.tgz)"
if ! as npm view koffi version >"$work/log" 2>&1; then
    echo "skip - node: no koffi can be had here: $(grep -m 1 . "$work/log")"
    exit 0
fi
if ! as "$work/bindings/node/install.sh" "$work/project" >"$work/log" 2>&1; then
    echo "not ok - the package is installed: $(grep -m 1 . "$work/log")"
    exit 0
fi
echo "ok - the package is installed"
# The tests of the README write their programs beside it.
if (cd "$work/project" && "${user[@]}" "${environment[@]}" timeout 120 node_modules/.bin/tsc -p .) >"$work/log" 2>&1; then
    echo "ok - the types are what a strict TypeScript takes"
else
    echo "not ok - types: $(head -n 1 "$work/log")"
fi

# tests WHO COMMAND...: the verdicts of Node's runner, as lines of ours.
tests() {
    local who=$1
    shift
    (cd "$work/project" && "$@" "${environment[@]}" timeout --kill-after=5 300 node --expose-gc --test --test-reporter=tap test/) </dev/null >"$work/log" 2>&1
    code=$?
    sed -nE -e '/^ *(not )?ok [0-9]+ - .*\.test\.js$/d' -e "s/^ *ok [0-9]+ - (.*) # SKIP ?(.*)/skip - $who: \1: \2/p" -e t \
        -e "s/^ *(not )?ok [0-9]+ - (.*)/\1ok - $who: \2/p" "$work/log"
    grep -qE '^# pass [1-9]' "$work/log" || { echo "not ok - $who: no test ran"; head -n 50 "$work/log"; }
    [ $code -eq 0 ] && return
    grep -qE '^ *not ok ' "$work/log" || echo "not ok - $who: the runner ended with code $code"
    grep -E -A30 '^ *not ok ' "$work/log" | head -n 100
}
tests user "${user[@]}"
if [ "$(id -u)" = 0 ]; then tests root env; else echo "skip - as root: this is an ordinary user"; fi
