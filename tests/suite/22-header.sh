# The header as C and C++ compilers, LuaJIT and Python's cffi read it, and the built libraries as linkers do.
set -u
out=$ROOT/build/test/header
header=$PREFIX/include/sandbox_spawn.h
so=$PREFIX/lib/libsandbox_spawn.so
mkdir -p "$out"

# verdict NAME COMMAND...: ok where it succeeds, else its last line.
verdict() {
    local name=$1
    shift
    if "$@" >"$out/log" 2>&1; then echo "ok - $name"; else echo "not ok - $name: $(tail -n 1 "$out/log")"; cat "$out/log"; fi
}
# same NAME SEEN WANTED
same() { if [ "$2" = "$3" ]; then echo "ok - $1"; else echo "not ok - $1: \"$2\", not \"$3\""; fi; }

verdict "the installed header is the committed one" cmp "$ROOT/include/sandbox_spawn.h" "$header"

for language in c99:c c11:c c2x:c c++17:c++ c++20:c++; do
    for compiler in gcc clang; do
        command -v $compiler >/dev/null || { echo "skip - header, $compiler ${language%:*}: no $compiler"; continue; }
        # Included twice, and first of all: it needs nothing before it.
        printf '#include "%s"\n#include "%s"\nint (*use)(const sandbox_cmd *, sandbox_child **, sandbox_error *);\n' "$header" "$header" >"$out/alone.txt"
        verdict "header, $compiler ${language%:*}" $compiler -x ${language#*:} -std=${language%:*} -fsyntax-only -Wall -Wextra -pedantic -Werror "$out/alone.txt"
    done
done

# C++ links against the C names.
cat >"$out/link.cc" <<'C'
#include <sandbox_spawn.h>
int main() {
    sandbox_cmd *cmd = sandbox_cmd_new("true");
    sandbox_child *child = nullptr;
    sandbox_status status{};
    int result = sandbox_spawn(cmd, &child, nullptr);
    if (result == 0) result = sandbox_child_wait(child, -1, &status, sizeof status);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    return result == 0 && status.kind == SANDBOX_EXITED ? status.code : 99;
}
C
for compiler in g++ clang++; do
    command -v $compiler >/dev/null || { echo "skip - a C++ program spawns, $compiler: no $compiler"; continue; }
    verdict "a C++ program spawns, $compiler" sh -c "$compiler -Wall -Wextra -pedantic -Werror -o '$out/link' '$out/link.cc' \$(pkg-config --cflags --libs sandbox_spawn) && LD_LIBRARY_PATH='$PREFIX/lib' '$out/link'"
done

# What foreign function interfaces read: the preprocessed header, unchanged. C99: C11's max_align_t has an attribute.
cc -std=c99 -E -P "$header" >"$out/plain.h"
names=$(grep -oE '\bsandbox_[a-z0-9_]+ *\(' "$out/plain.h" | tr -d ' (' | sort -u)
if command -v luajit >/dev/null; then
    cat >"$out/load.lua" <<'LUA'
local ffi = require "ffi"
ffi.cdef(io.open(arg[1]):read "*a")
local library = ffi.load(arg[2])
assert(ffi.sizeof "sandbox_error" == 256)
assert(ffi.C.SANDBOX_STAGE_EXEC == 23)
assert(#ffi.string(library.sandbox_version()) > 0)
for name in arg[3]:gmatch "%S+" do assert(library[name], name) end
LUA
    verdict "LuaJIT's cdef takes the preprocessed header and finds every function" luajit "$out/load.lua" "$out/plain.h" "$so" "$names"
else
    echo "skip - LuaJIT's cdef: no luajit"
fi

if ! [ -x "$out/venv/bin/python" ]; then python3 -m venv "$out/venv" >/dev/null 2>&1; fi
"$out/venv/bin/python" -c 'import cffi' 2>/dev/null || timeout 120 "$out/venv/bin/pip" install -q cffi >/dev/null 2>&1
if "$out/venv/bin/python" -c 'import cffi' 2>/dev/null; then
    cat >"$out/load.py" <<'PY'
import cffi, sys
ffi = cffi.FFI()
ffi.cdef(open(sys.argv[1]).read())
library = ffi.dlopen(sys.argv[2])
assert ffi.sizeof("sandbox_error") == 256
assert library.SANDBOX_STAGE_EXEC == 23
assert len(ffi.string(library.sandbox_version())) > 0
for name in sys.argv[3].split():
    getattr(library, name)
PY
    verdict "Python's cffi takes the preprocessed header and finds every function" "$out/venv/bin/python" "$out/load.py" "$out/plain.h" "$so" "$names"
else
    echo "skip - Python's cffi: it can't be had here"
fi

# The shared library. The type that a callback has is no function.
declared=$(printf '%s\n' $names | grep -v -e '_fn$')
exported=$(nm -D --defined-only --with-symbol-versions "$so" | awk '$2 != "A" { print $3 }' | sort -u)
same "every exported name is sandbox_* with the version SANDBOX_0.1" "$(printf '%s\n' "$exported" | grep -v '^sandbox_[a-z0-9_]*@@SANDBOX_0\.1$')" ""
same "the exported functions are those of the header, both ways" "$(printf '%s\n' "$exported" | sed 's/@.*//' | sort)" "$declared"
same "there is one version node" "$(objdump -p "$so" | sed -n '/^Version def/,/^$/p' | awk '$2 == "0x00" { print $4 }')" "SANDBOX_0.1"
dynamic=$(readelf -dW "$so")
same "the soname is libsandbox_spawn.so.0" "$(printf '%s\n' "$dynamic" | sed -n 's/.*Library soname: \[\(.*\)\]/\1/p')" libsandbox_spawn.so.0
for flag in NOW NODELETE; do
    case $dynamic in *FLAGS_1*$flag*) echo "ok - the library is marked $flag" ;; *) echo "not ok - the library is marked $flag: $dynamic" ;; esac
done
case $dynamic in *BIND_NOW*) echo "ok - the library is marked BIND_NOW" ;; *) echo "not ok - the library is marked BIND_NOW: $dynamic" ;; esac
case $dynamic in *TEXTREL*) echo "not ok - no text relocation: there is one" ;; *) echo "ok - no text relocation" ;; esac
segments=$(readelf -lW "$so")
case $segments in *GNU_RELRO*) echo "ok - relocated data becomes read-only" ;; *) echo "not ok - relocated data becomes read-only: no GNU_RELRO" ;; esac
same "the stack is not executable, nor is anything writable" "$(printf '%s\n' "$segments" | grep -E 'GNU_STACK|LOAD' | grep -c 'RWE')" 0
# One entry is the C compiler's frame_dummy, one is Rust's std noting argv for std::env::args.
same "nothing runs when the library is loaded but what compiler and std bring along" \
    "$(readelf -SW "$so" | awk '/\.(init_array|fini_array)/ { for (i = 1; i <= NF; i++) if ($i ~ /_array$/) print $i, $(i + 4) }' | sort | tr '\n' ' ')" ".fini_array 000008 .init_array 000010 "
cp "$so" "$out/stripped.so" && strip "$out/stripped.so"
size=$(stat -c %s "$out/stripped.so")
if [ "$size" -le $((600 * 1024)) ]; then echo "ok - the stripped library is at most 600 KB: $size bytes"; else echo "not ok - the stripped library is at most 600 KB: $size bytes"; fi
same "it needs no library beyond libc's and what pkg-config names" "$(printf '%s\n' "$dynamic" | sed -n 's/.*Shared library: \[\(.*\)\]/\1/p' | grep -v -E '^(libc\.so\.6|ld-linux.*|libgcc_s\.so\.1|libseccomp\.so\.2)$')" ""

# The archive.
globals=$(nm -g --defined-only "$PREFIX/lib/libsandbox_spawn.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u)
same "the archive's global names are the header's functions" "$globals" "$declared"

# pkg-config.
same "pkg-config's version is the header's" "$(pkg-config --modversion sandbox_spawn)" \
    "$(sed -n 's/^#define SANDBOX_VERSION_[MP][A-Z]* //p' "$header" | paste -sd.)"
