# The warm pool: as an ordinary user and as root, once without a shared library, and under AddressSanitizer.
set -u
theme=pool programs="pool pool-ahead"
. "$ROOT/tests/as-users.sh"

# run TITLE NAME BEFORE...: each program, below BEFORE.
run() {
    local program title=$1 name=$2
    shift 2
    for program in $programs; do
        ( cd "$work/tmp" && exec timeout --kill-after=5 300 "$@" env TMPDIR="$work/tmp" LD_LIBRARY_PATH="$work/lib" "$work/$name/$program" ) </dev/null >"$work/log" 2>&1
        lines "$title" $?
    done
}

if build pool-dynamic; then
    if [ "$(id -u)" = 0 ]; then
        run root pool-dynamic
        run user pool-dynamic "${become[@]}"
    else
        run user pool-dynamic
        echo "skip - as root: this is an ordinary user"
    fi
fi
if build pool-static CC=clang LINK=static; then run static pool-static; fi
echo 'int main(void) { return 0; }' >"$work/probe.c"
if ! cc -fsanitize=address -o "$work/probe" "$work/probe.c" 2>/dev/null || ! "$work/probe"; then
    echo "skip - AddressSanitizer: the compiler has none here"
elif build pool-asan LINK=archive CFLAGS="-O1 -g -fsanitize=address -fno-omit-frame-pointer"; then
    ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=0 run AddressSanitizer pool-asan
fi
