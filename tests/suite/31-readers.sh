# The fuzz targets on the readers of policies and profiles and on the verifier and simulator of BPF, without libFuzzer:
# the same inputs every time.
set -u
cd "$ROOT/fuzz" || exit 1
mkdir -p "$ROOT/build/test"
for reader in policy oci simulator; do
    count=20000
    name="$count mangled inputs to the $reader reader give a filter that compiles or an error with words"
    if [ "$reader" = simulator ]; then
        count=200000
        name="$count random programs: what is verified returns only what its returns foresee"
    fi
    log=$ROOT/build/test/fuzz-$reader.log
    if ! cargo build --quiet --locked --target-dir "$ROOT/target/fuzz" --bin "$reader" > "$log" 2>&1; then
        tail -n 20 "$log"
        echo "not ok - $name: it does not build"
    elif timeout 120 "$ROOT/target/fuzz/debug/$reader" "$count" > "$log" 2>&1; then
        tail -n 1 "$log"
        echo "ok - $name"
    else
        tail -n 20 "$log"
        echo "not ok - $name: see above (or it took more than two minutes)"
    fi
done
