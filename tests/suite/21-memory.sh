# The C tests under AddressSanitizer with LeakSanitizer, linked with the archive, and under Valgrind.
set -u
out=$ROOT/build/test/c
work=$(mktemp -d /var/tmp/sandbox-spawn-memory.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
export TMPDIR=$work

# report NAME PROGRAM CODE: the lines of $work/log under that name.
report() {
    sed -nE "s/^(ok|not ok|skip) - /\1 - $1, $2: /p" "$work/log"
    if [ "$3" -ne 0 ] && ! grep -q '^not ok - ' "$work/log"; then echo "not ok - $1, $2: ended with code $3"; fi
    if [ "$3" -ne 0 ]; then grep -v -e '^ok - ' -e '^not ok - ' "$work/log" | head -n 60; fi
}

# The sanitizer sees what the library allocates, because the archive's malloc is the sanitizer's. In the child, which
# shares the host's memory, nothing is instrumented and nothing allocates.
for compiler in gcc clang; do
    programs="stdio fds exec options init rlimits status errors hosts threads state pty memory"
    [ $compiler = gcc ] || programs="stdio errors status"
    command -v $compiler >/dev/null || { echo "skip - AddressSanitizer, $compiler: no $compiler"; continue; }
    if ! echo 'int main(void) { return 0; }' | $compiler -fsanitize=address -x c -o "$work/probe" - 2>/dev/null || ! "$work/probe"; then
        echo "skip - AddressSanitizer, $compiler: $compiler has none here"
        continue
    fi
    if ! make -s -C "$ROOT/tests/c" OUT="$out/asan-$compiler" CC=$compiler LINK=archive CFLAGS="-O1 -g -fsanitize=address -fno-omit-frame-pointer" PROGRAMS="$programs" >"$work/log" 2>&1; then
        echo "not ok - build asan-$compiler: $(grep -m1 -i error "$work/log")"
        continue
    fi
    # It must see a leak, or its silence says nothing.
    printf '%s\n' '#include <sandbox_spawn.h>' 'int main(void) { return sandbox_cmd_new("leaked") == 0; }' >"$work/leak.c"
    $compiler -fsanitize=address $(pkg-config --cflags sandbox_spawn) -o "$work/leak" "$work/leak.c" \
        $(pkg-config --static --libs sandbox_spawn | sed 's/-lsandbox_spawn/-l:libsandbox_spawn.a/') 2>"$work/log"
    "$work/leak" >"$work/log" 2>&1
    if grep -q 'LeakSanitizer: detected memory leaks' "$work/log"; then echo "ok - AddressSanitizer, $compiler: a leaked command is seen"
    else echo "not ok - AddressSanitizer, $compiler: a leaked command is seen: $(tail -n 1 "$work/log")"; fi
    for program in $programs; do
        ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=0 timeout --kill-after=5 300 "$out/asan-$compiler/$program" >"$work/log" 2>&1
        report "AddressSanitizer, $compiler" $program $?
    done
done

# Valgrind knows clone only as fork, vfork and a thread library use it, and ends where it meets another: so it is given
# all that comes before one. What comes after is the sanitizer's above.
if ! command -v valgrind >/dev/null; then
    echo "skip - Valgrind: there is none"
elif make -s -C "$ROOT/tests/c" OUT="$out/valgrind" LINK=dynamic PROGRAMS="memory errors" >"$work/log" 2>&1; then
    check() {
        LD_LIBRARY_PATH=$PREFIX/lib timeout --kill-after=5 300 valgrind -q --leak-check=full --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible \
            --error-exitcode=9 "$@" >"$work/log" 2>&1
    }
    # It must see a leak, and a read of what is not there.
    printf '%s\n' '#include <sandbox_spawn.h>' 'int main(void) { return sandbox_cmd_new("leaked") == 0; }' >"$work/leak.c"
    cc $(pkg-config --cflags sandbox_spawn) -o "$work/leak" "$work/leak.c" $(pkg-config --libs sandbox_spawn)
    check "$work/leak"
    if grep -q 'sandbox_cmd_new' "$work/log"; then echo "ok - Valgrind: a leaked command is seen"; else echo "not ok - Valgrind: a leaked command is seen: $(tail -n 1 "$work/log")"; fi
    check "$out/valgrind/memory" -1
    report "Valgrind" memory $?
    check "$out/valgrind/errors" -1 "each bad argument" "first error stays" "NULL program" "stages have names" "explain gives"
    report "Valgrind" errors $?
    echo "skip - Valgrind: spawns that come to the clone: Valgrind does not support general clone(); AddressSanitizer sees those"
else
    echo "not ok - build valgrind: $(grep -m1 -i error "$work/log")"
fi
