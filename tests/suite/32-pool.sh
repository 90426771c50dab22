# The warm pool: as an ordinary user and as root, once without a shared library, and under AddressSanitizer.
set -u
out=$ROOT/build/test/pool
work=$(mktemp -d /var/tmp/sandbox-spawn-pool.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
mkdir -m 1777 "$work/tmp"
mkdir "$work/lib"
cp -P "$PREFIX"/lib/libsandbox_spawn.so* "$work/lib/"
chmod 755 "$work"/lib/*.so.*.*

# build NAME VARIABLE=VALUE...
build() {
    local name=$1
    shift
    mkdir -p "$out"
    if ! make -s -C "$ROOT/tests/c" OUT="$out/$name" PROGRAMS="pool pool-ahead" "$@" >"$work/log" 2>&1; then
        echo "not ok - build $name: $(grep -m1 -i error "$work/log")"
        cat "$work/log"
        return 1
    fi
    cp -r "$out/$name" "$work/$name"
    chmod -R go=rX "$work/$name"
}

# run TITLE NAME BEFORE...
run() {
    one pool "$@"
    one pool-ahead "$@"
}

one() {
    local program=$1 title=$2 name=$3 code
    shift 3
    ( cd "$work/tmp" && exec timeout --kill-after=5 300 "$@" env TMPDIR="$work/tmp" LD_LIBRARY_PATH="$work/lib" "$work/$name/$program" ) </dev/null >"$work/log" 2>&1
    code=$?
    sed -nE "s/^(ok|not ok|skip) - /\1 - $title: /p" "$work/log"
    [ $code -eq 0 ] && return
    grep -q '^not ok - ' "$work/log" || echo "not ok - $title: ended with code $code"
    grep -vE '^(ok|skip) - ' "$work/log" | head -n 60
}

if build dynamic; then
    if [ "$(id -u)" = 0 ]; then
        run root dynamic
        run user dynamic setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all
    else
        run user dynamic
        echo "skip - as root: this is an ordinary user"
    fi
fi
if build static CC=clang LINK=static; then run static static; fi
echo 'int main(void) { return 0; }' >"$work/probe.c"
if ! cc -fsanitize=address -o "$work/probe" "$work/probe.c" 2>/dev/null || ! "$work/probe"; then
    echo "skip - AddressSanitizer: the compiler has none here"
elif build asan LINK=archive CFLAGS="-O1 -g -fsanitize=address -fno-omit-frame-pointer"; then
    ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=0 run AddressSanitizer asan
fi
