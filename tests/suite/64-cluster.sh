# Sandboxed jobs on a Dask cluster of several processes (examples-python/cluster), as root and as an ordinary user; and the
# benchmark of the bindings in a few rounds: that all its rows come out, whatever they say.
set -u
theme=cluster
. "$ROOT/tests/python-env.sh"
fresh pytest dask distributed && {
    cp -r "$ROOT/examples-python" "$work/examples"
    chmod -R go=rX "$work/examples"
    environment+=(PYTHONDONTWRITEBYTECODE=1)
    # Both at once: they wait more than they work.
    tests "$work/examples/cluster/tests" user "${user[@]}" >"$work/lines.user" &
    if [ "$(id -u)" = 0 ]; then tests "$work/examples/cluster/tests" root env >"$work/lines.root" & else echo "skip - as root: this is an ordinary user"; fi
}

# The wheel is this user's: python has it, or its rows are skipped.
[ -x "$python" ] || python=python3
if ! command -v python3 >/dev/null; then
    echo "skip - the benchmark of the bindings: there is no python3"
elif ! make -s -C "$ROOT/benches" bindings OUT="$work/benches" JSON="$work/bench.json" ROUNDS=3 PYTHON="$python" BINDINGS_ARGS="--resident 32" >"$work/log" 2>&1; then
    echo "not ok - the benchmark of the bindings runs: $(grep -m 1 '^FAILED' "$work/log" || tail -n 1 "$work/log")"
    cat "$work/log"
else
    python3 - "$work/bench.json" <<'END' || cat "$work/log"
import json, sys
written = json.load(open(sys.argv[1]))
wanted = {"C": 5, "C++": 5, "Python": 7, "Node": 5, "LuaJIT": 5}
bad = 0
for language, count in wanted.items():
    rows = [row for row in written["bindings"] if row["language"] == language]
    if language in written["bindings_skipped"]:
        print(f"skip - the benchmark in {language}: {written['bindings_skipped'][language]}")
        continue
    wrong = [row["key"] for row in rows for size in ("small", "resident") if not (
        row[size]["rounds"] > 0 and row[size]["p10_us"] > 0 and row[size]["median_us"] > 0 and row[size]["to_c"] > 0
        and ("ratio" in row[size]) == ("against" in row))]
    good = len(rows) >= count and not wrong
    print(f"{'ok' if good else 'not ok'} - the benchmark in {language} has its rows" + ("" if good else f": {len(rows)} of {count}; without times: {wrong}"))
    bad += not good
sys.exit(bad)
END
fi

# A start that fails is no time: a program that ends with 1, and one that is not there, in every language and every way.
for program in /bin/false /no/such/program; do
    [ -e "$work/benches/host-c" ] || break
    OUT="$work/benches" PYTHON="$python" SANDBOX_SPAWN_LIBRARY="$PREFIX/lib/libsandbox_spawn.so.0" python3 "$ROOT/benches/bindings/hosts.py" \
        --rounds 1 --resident 0 --program $program --json "$work/failed.json" >"$work/log" 2>&1
    python3 - "$work/failed.json" $? $program <<'END' || { echo "not ok - the benchmark of the bindings reports what failed with $program"; cat "$work/log"; }
import json, sys
written, code, program = json.load(open(sys.argv[1])), int(sys.argv[2]), sys.argv[3]
for language in sorted({row["language"] for row in written["bindings"]} | set(written["bindings_failed"])):
    rows = [row for row in written["bindings"] if row["language"] == language]
    timed = [row["key"] for row in rows if "error" not in row or "posix_spawn in C" in row["error"]]
    good = code == 1 and rows and not timed
    print(f"{'ok' if good else 'not ok'} - the benchmark in {language} fails with {program}" + ("" if good else f": exit code {code}; times of {timed}; {written['bindings_failed']}"))
END
done
wait
cat "$work"/lines.* 2>/dev/null || true
