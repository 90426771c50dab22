# The C++ binding, from a fresh prefix: its tests linked and loaded, as root and as an ordinary user, under the sanitizers
# and in part under Valgrind; the header by both compilers and each standard; the programs of its README.
set -u
theme=cxx programs=
. "$ROOT/tests/as-users.sh"
command -v g++ >/dev/null || { echo "skip - C++: there is no g++"; exit 0; }
command -v python3 >/dev/null || { echo "skip - C++: there is no python3 to make the scenarios"; exit 0; }

# As a user has it: installed, and nothing of the checkout but what is compiled.
if ! make -s --no-print-directory -C "$ROOT" install PREFIX="$work/prefix" LIBDIR="$work/prefix/lib" DESTDIR= >"$work/log" 2>&1; then
    echo "not ok - C++: make install: $(tail -n 1 "$work/log")"
    exit 0
fi
export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig
chmod -R go=rX "$work/prefix"
if cmp -s "$ROOT/bindings/cxx/include/sandbox_spawn.hpp" "$work/prefix/include/sandbox_spawn.hpp"; then echo "ok - make install brings the header"
else echo "not ok - make install brings the header"; fi

# Every function of the C header is called: none stands in the table alone.
declared=$(grep -oE '^[a-z].*\bsandbox_[a-z0-9_]+\(' "$work/prefix/include/sandbox_spawn.h" | grep -oE 'sandbox_[a-z0-9_]+\($' | tr -d '(' | sort -u)
[ "$(echo "$declared" | wc -l)" -gt 100 ] || echo "not ok - C++: the header's functions can't be read"
missing=
for name in $declared; do
    short=${name#sandbox_}
    # What event loops are given has no class yet: handlers answer before they return, and run has its thread to itself.
    case $short in notify_keep | notify_free | run_start | run_step | running_free) continue ;; esac
    grep -qE "api\(\)\.$short\(|functions::$short>" "$work/prefix/include/sandbox_spawn.hpp" || missing="$missing $name"
done
if [ -z "$missing" ]; then echo "ok - C++: every function of the library is used"; else echo "not ok - C++: every function of the library is used: not$missing"; fi

echo '#include <sandbox_spawn.hpp>' > "$work/header.cpp"
for compiler in g++ clang++; do
    command -v $compiler >/dev/null || { echo "skip - C++: there is no $compiler"; continue; }
    for standard in c++17 c++20 c++2b; do
        for define in -DSANDBOX_SPAWN_LINKED -DSANDBOX_SPAWN_DLOPEN; do
            if $compiler -std=$standard -Wall -Wextra -pedantic -Werror $define -I"$work/prefix/include" -fsyntax-only "$work/header.cpp" 2>"$work/log"; then continue; fi
            echo "not ok - C++: the header by $compiler, $standard $define: $(grep -m1 error "$work/log")"
        done
    done
    echo "ok - C++: the header by $compiler, every standard"
done

# compiled NAME VARIABLE=VALUE...
compiled() {
    local name=$1
    shift
    if make -s -j2 -C "$ROOT/bindings/cxx" OUT="$work/$name" "$@" >"$work/log" 2>&1; then chmod -R go=rX "$work/$name"; return 0; fi
    echo "not ok - C++: build $name: $(grep -m1 -i error "$work/log")"
    return 1
}
# run TITLE PROGRAM WORD...: through the command in `through`.
through=()
run() {
    local title=$1
    shift
    (cd "$work/tmp" && exec timeout --kill-after=5 300 "${through[@]}" env TMPDIR="$work/tmp" HOME="$work/tmp" LD_LIBRARY_PATH="$work/lib" "$@") </dev/null >"$work/log" 2>&1
    lines "C++, $title" $?
}
if compiled linked CXXFLAGS=-O0; then
    if [ $who = root ]; then run root "$work/linked/tests"; else echo "skip - C++ as root: this is an ordinary user"; fi
    through=("${become[@]}"); run user "$work/linked/tests"; through=()
    if command -v valgrind >/dev/null; then # what does not come to a clone, which Valgrind has not
        run Valgrind valgrind -q --leak-check=full --errors-for-leak-kinds=definite,indirect,possible --error-exitcode=9 "$work/linked/tests" "alone:"
    else echo "skip - C++, Valgrind: there is none"; fi
fi
loading=c++
command -v clang++ >/dev/null && loading=clang++
if compiled loaded LINK=dlopen CXX=$loading STD=c++20 CXXFLAGS=-O0; then
    if readelf -d "$work/loaded/tests" | grep -q sandbox_spawn; then echo "not ok - C++: loaded at run time, nothing is linked"
    else echo "ok - C++: loaded at run time, nothing is linked"; fi
    through=("${become[@]}"); run "user, loaded" "$work/loaded/tests"; through=()
    LD_LIBRARY_PATH= SANDBOX_SPAWN_LIBRARY=/no/such/library "$work/loaded/tests" "the version is" >"$work/log"
    if grep -q 'not ok.*no/such/library' "$work/log"; then echo "ok - C++: a library that is not there is an exception"
    else echo "not ok - C++: a library that is not there is an exception: $(head -n 1 "$work/log")"; fi
fi
if ! echo 'int main() {}' | g++ -x c++ -fsanitize=address,undefined -o "$work/probe" - 2>/dev/null; then echo "skip - C++, sanitizers: this compiler has none"
elif compiled sanitized LINK=archive CXXFLAGS="-O0 -g1 -fsanitize=address,undefined -fno-sanitize-recover=undefined"; then
    # pre_exec runs the test's own, instrumented code in the child.
    ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=0 run sanitizers "$work/sanitized/tests" -not pre_exec
fi

mkdir "$work/readme"
python3 "$ROOT/bindings/readme.py" "$ROOT/bindings/cxx/README.md" cpp "$work/readme"
for source in "$work"/readme/*.cpp; do
    name="the README's program $(basename "$source" .cpp)"
    if ! g++ -std=c++17 -Wall -Wextra -pedantic -Werror -o "$work/example" "$source" $(pkg-config --cflags --libs sandbox_spawn) 2>"$work/log"; then
        echo "not ok - C++, $name: $(grep -m1 error "$work/log")"
    elif ! LD_LIBRARY_PATH=$work/lib timeout 60 "${become[@]}" "$work/example" >"$work/seen" 2>&1 </dev/null || ! cmp -s "$work/seen" "${source%.cpp}.text"; then
        echo "not ok - C++, $name: it printed $(tr '\n' '~' <"$work/seen")"
    else echo "ok - C++, $name"; fi
done
