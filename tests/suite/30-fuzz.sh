# The fuzz target on the builder: as many inputs as a test may take, the same every time; then libFuzzer, guided by
# coverage, for a short while. It needs a C++ compiler but no nightly toolchain: the instrumentation is rustc's own.
set -u
cd "$ROOT/fuzz" || exit 1
inputs=${FUZZ_INPUTS:-4000} seconds=${FUZZ_SECONDS:-20}
build() { cargo build --quiet --locked --target-dir "$ROOT/target/fuzz" "$@" 2>&1; }

name="$inputs inputs to the builder neither end the host nor leak"
if ! build --bin random; then
    echo "not ok - $name: it does not build"
elif timeout 120 "$ROOT/target/fuzz/debug/random" "$inputs" > "$ROOT/build/test/fuzz-random.log" 2>&1; then
    tail -n 1 "$ROOT/build/test/fuzz-random.log"
    echo "ok - $name"
else
    tail -n 20 "$ROOT/build/test/fuzz-random.log"
    echo "not ok - $name: see above (or it took more than two minutes)"
fi

name="libFuzzer finds no input that does"
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
target=$(rustc -vV | sed -n 's/^host: //p')
corpus=$ROOT/build/test/fuzz-corpus
mkdir -p "$corpus"
if ! command -v c++ >/dev/null; then
    echo "skip - $name: no C++ compiler"
elif ! build --features libfuzzer --bin builder --target "$target"; then
    echo "skip - $name: this toolchain does not build libFuzzer with instrumentation"
elif "$ROOT/target/fuzz/$target/debug/builder" -max_total_time="$seconds" -max_len=600 -timeout=30 -rss_limit_mb=2048 -verbosity=0 \
        -artifact_prefix="$ROOT/build/test/fuzz-" "$corpus" > "$ROOT/build/test/fuzz-libfuzzer.log" 2>&1; then
    echo "ok - $name"
else
    tail -n 40 "$ROOT/build/test/fuzz-libfuzzer.log"
    echo "not ok - $name: the input is in build/test/fuzz-*"
fi
