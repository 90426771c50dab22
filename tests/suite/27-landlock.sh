# Landlock: the C program as root and as an ordinary user, on this kernel as it is and with each older ABI, which a
# supervisor of the library's own plays; and once more without a shared library and under AddressSanitizer.
set -u
theme=landlock programs=landlock
. "$ROOT/tests/as-users.sh"

# run TITLE COMMAND...: the lines of the program that the command ends in, under that title.
run() {
    local title=$1
    shift
    ( cd "$work/tmp" && exec timeout --kill-after=5 300 "$@" ) </dev/null >"$work/log" 2>&1
    lines "$title" $?
}
given=(env TMPDIR="$work/tmp" HOME="$work/tmp" LD_LIBRARY_PATH="$work/lib")

if build landlock-dynamic; then
    run user "${become[@]}" "${given[@]}" "$work/landlock-dynamic/landlock"
    if [ $who = root ]; then run root "${given[@]}" "$work/landlock-dynamic/landlock"; fi
    # shellcheck disable=SC2046
    if cc -O1 -Wall -Wextra -o "$work/older" "$ROOT/tests/c/victims/older.c" $(pkg-config --cflags --libs sandbox_spawn) >"$work/log" 2>&1; then
        for abi in 0 1 2 3 4 5 6; do
            run "ABI $abi, user" "${become[@]}" "${given[@]}" "$work/older" $abi "$work/landlock-dynamic/landlock"
        done
        if [ $who = root ]; then run "ABI 1, root" "${given[@]}" "$work/older" 1 "$work/landlock-dynamic/landlock"; fi
    else
        echo "not ok - build older: $(head -n 1 "$work/log")"
    fi
fi
if build landlock-static LINK=static; then run static "${given[@]}" "$work/landlock-static/landlock"; fi

echo 'int main(void) { return 0; }' >"$work/probe.c"
if ! cc -fsanitize=address -o "$work/probe" "$work/probe.c" 2>/dev/null || ! "$work/probe"; then
    echo "skip - AddressSanitizer: the compiler has none here"
elif build landlock-asan LINK=archive CFLAGS="-O1 -g -fsanitize=address -fno-omit-frame-pointer"; then
    run AddressSanitizer "${given[@]}" ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=0 "$work/landlock-asan/landlock"
fi
