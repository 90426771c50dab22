# Other runtimes load the library by dlopen: Python (ctypes), LuaJIT (ffi), a C program that also closes it.
# As root, where that can be had, and as an ordinary user.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# Where an ordinary user can read them, wherever the checkout lies.
cp "$PREFIX/lib/libsandbox_spawn.so.0" "$PREFIX/include/sandbox_spawn.h" "$ROOT"/tests/dlopen/spawn.* "$work"
chmod 644 "$work"/*
library=$work/libsandbox_spawn.so.0

cc -std=c11 -Wall -Wextra -pedantic -Werror -O1 -g -I"$PREFIX/include" "$ROOT/tests/dlopen/loop.c" -o "$work/loop" -pthread -ldl ||
    echo "not ok - dlopen: tests/dlopen/loop.c does not compile"
cc -E -P "$PREFIX/include/sandbox_spawn.h" > "$work/sandbox_spawn.i"
chmod 755 "$work/loop"; chmod 644 "$work/sandbox_spawn.i"

# The distribution's Python: one installed in root's home is nobody else's.
python=/usr/bin/python3
[ -x $python ] || python=$(command -v python3)

# suite who command...: the user's name goes to the tests' names.
suite() {
    who=$1
    shift
    "$@" > "$work/out" 2>&1
    code=$?
    sed -E "s/^((not )?ok - [^:]*)/\1, $who/" "$work/out"
    if [ $code -ne 0 ] && ! grep -q '^not ok' "$work/out"; then echo "not ok - $(basename "${!#}"), $who: ended with code $code"; fi
}

as_root() { "$@"; }
as_user() { (cd / && setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$@"); }
run_all() {
    who=$1
    shift
    if [ -n "$python" ]; then suite "$who" "$@" timeout 120 "$python" "$work/spawn.py" "$library" "$work/sandbox_spawn.h"
    else echo "skip - python, $who: there is no python3"; fi
    if command -v luajit > /dev/null; then suite "$who" "$@" timeout 60 luajit "$work/spawn.lua" "$library" "$work/sandbox_spawn.i"
    else echo "skip - luajit, $who: there is no luajit"; fi
    suite "$who" "$@" timeout 120 "$work/loop" "$library"
}

if [ "$(id -u)" = 0 ]; then
    run_all root as_root
    if command -v setpriv > /dev/null; then run_all "ordinary user" as_user
    else echo "skip - dlopen as an ordinary user: there is no setpriv (util-linux)"; fi
else
    run_all "ordinary user" as_root
    echo "skip - dlopen as root: this is an ordinary user"
fi
