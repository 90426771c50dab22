# The documents: every program and command in them is run as a reader would, as root and as an ordinary user, and prints
# what is shown; links lead somewhere, names exist. What the machine lacks is skipped and said.
set -u
theme=docs programs=
. "$ROOT/tests/as-users.sh"
cd "$ROOT" || exit 1
python3=/usr/bin/python3
[ -x $python3 ] || python3=$(command -v python3) || { echo "skip - documents: there is no python3 to run them"; exit 0; }

# What a user can read: the documents, the installed library, the Python binding as a package.
mkdir "$work/tests"
cp -r --parents README.md docs examples-c/judge.d "$work"
for readme in bindings/*/README.md; do cp --parents "$readme" "$work"; done
cp -r tests/docs "$work/tests/"
cp -rL "$PREFIX" "$work/prefix"
sed -i "s|$PREFIX|$work/prefix|g" "$work"/prefix/lib/pkgconfig/*.pc
mkdir "$work/python"
cp -r bindings/python/sandbox_spawn "$work/python/"
sed -n '/^def declarations/,/^$/p' bindings/python/setup.py > "$work/declarations.py"
$python3 - "$work" << 'PYTHON' || echo "not ok - the binding's declarations can't be made"
import re, sys
work = sys.argv[1]
scope = {"re": re}
exec(open(f"{work}/declarations.py").read(), scope)
open(f"{work}/python/sandbox_spawn/_cdef.h", "w").write(scope["declarations"](open(f"{work}/prefix/include/sandbox_spawn.h").read()))
PYTHON
if ! $python3 -c 'import cffi' 2>/dev/null && $python3 -c 'import ensurepip, venv' 2>/dev/null; then
    # Without the distribution's cffi the package index may have it.
    $python3 -m venv "$work/venv" > "$work/log" 2>&1 && timeout 120 "$work/venv/bin/pip" install -q cffi >> "$work/log" 2>&1 &&
        cp -r "$work"/venv/lib/python*/site-packages/*cffi* "$work"/venv/lib/python*/site-packages/pycparser "$work/python/"
fi
chmod -R go=rX "$work/tests" "$work/prefix" "$work/python" "$work/docs" "$work/bindings" "$work/examples-c" "$work/README.md"
cd "$work" || exit 1

documents=(README.md docs/*.md bindings/python/README.md)
run() { # who command...
    local who=$1
    shift
    TMPDIR=$work/tmp "$@" $python3 "$work/tests/docs/run.py" --who "$who" --prefix "$work/prefix" --checkout "$ROOT" --python "$work/python" "${documents[@]}" > "$work/$who.log" 2>&1
    local code=$?
    cat "$work/$who.log"
    [ $code -eq 0 ] || grep -q '^not ok - ' "$work/$who.log" || echo "not ok - $who: the runner ended with code $code"
}
# The runner itself finds what is wrong: each mistake of a document that is full of them (without Python one less).
TMPDIR=$work/tmp $python3 tests/docs/run.py --who x --prefix "$work/prefix" --checkout "$ROOT" --python "$work/python" tests/docs/mistakes.txt > "$work/log" 2>&1
found=$(grep -c '^not ok - ' "$work/log")
wanted=$(($(grep -c '^## [^R]' tests/docs/mistakes.txt) + 1 - $(grep -c '^skip - ' "$work/log")))
if [ "$found" = "$wanted" ] && [ "$(grep -c '^ok - ' "$work/log")" = 1 ]; then echo "ok - each of $found mistakes in a document is found"
else sed 's/^/# /' "$work/log"; echo "not ok - each mistake in a document is found: $found, not $wanted"; fi

# Both at once: they wait more than they work.
run $who env &
if [ $who = root ]; then run user "${become[@]}"; fi
wait

cd "$ROOT" || exit 1
$python3 tests/docs/check.py include/sandbox_spawn.h "$PREFIX/bin/sandbox-run" || true
if [ -f docs/bench.json ]; then
    if tools/plot --check docs/bench.json; then echo "ok - the page of benchmarks and its plots are what its numbers give"
    else echo "not ok - the page of benchmarks and its plots are what its numbers give: run tools/plot"; fi
fi
