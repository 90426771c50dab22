# The LuaJIT binding, from a fresh prefix: its tests and the scenarios as root and as an ordinary user, its declarations
# against the header, the programs of its README.
set -u
theme=luajit programs=
. "$ROOT/tests/as-users.sh"
command -v luajit >/dev/null || { echo "skip - LuaJIT: there is no luajit"; exit 0; }

# As a user has it: the module below a prefix, the tests apart.
cp -r "$ROOT/bindings/luajit" "$work/source"
make -s -C "$work/source" install PREFIX="$work/prefix" || echo "not ok - LuaJIT: install"
cp -r "$ROOT/bindings/luajit/tests" "$ROOT/bindings/scenarios.json" "$work"
if make -s -C "$work/source" cdef HEADER="$PREFIX/include/sandbox_spawn.h" && cmp -s "$work/source/sandbox_spawn/cdef.lua" "$work/prefix/share/lua/5.1/sandbox_spawn/cdef.lua"; then
    echo "ok - LuaJIT: the declarations are the header's"
else
    echo "not ok - LuaJIT: the declarations are the header's: make -C bindings/luajit cdef"
fi
rock='rock = {} local f = setfenv(assert(loadfile(arg[1])), rock) f() local n = 0 for name, file in pairs(rock.build.modules) do assert(io.open(arg[2] .. "/" .. file)) assert(name:gsub("%.", "/") .. ".lua" == file) n = n + 1 end assert(n == tonumber(arg[3]), arg[3] .. " files are installed")'
echo "$rock" > "$work/rock.lua"
if luajit "$work/rock.lua" "$ROOT"/bindings/luajit/*.rockspec "$work/prefix/share/lua/5.1" "$(find "$work/prefix" -name '*.lua' | wc -l)" 2>"$work/log"; then echo "ok - LuaJIT: the rockspec names what is installed"
else echo "not ok - LuaJIT: the rockspec names what is installed: $(tail -n 1 "$work/log")"; fi
rm -rf "$work/source"
chmod -R go=rX "$work/prefix" "$work/tests" "$work/scenarios.json"

lua() { env TMPDIR="$work/tmp" HOME="$work/tmp" LD_LIBRARY_PATH="$work/lib" LUA_PATH="$work/prefix/share/lua/5.1/?.lua" timeout --kill-after=5 300 "$@"; }
run() {
    (cd "$work/tmp" && lua "${@:2}" luajit "$work/tests/run.lua" "$work/scenarios.json") </dev/null >"$work/log" 2>&1
    lines "LuaJIT, $1" $?
}
if [ $who = root ]; then run root; else echo "skip - LuaJIT as root: this is an ordinary user"; fi
run user "${become[@]}" env

command -v python3 >/dev/null || { echo "skip - LuaJIT, the README's programs: there is no python3"; exit 0; }
mkdir "$work/readme"
python3 "$ROOT/bindings/readme.py" "$ROOT/bindings/luajit/README.md" lua "$work/readme"
chmod -R go=rX "$work/readme"
for source in "$work"/readme/*.lua; do
    name="LuaJIT, the README's program $(basename "$source" .lua)"
    if lua "${become[@]}" luajit "$source" >"$work/seen" 2>&1 </dev/null && cmp -s "$work/seen" "${source%.lua}.text"; then echo "ok - $name"
    else echo "not ok - $name: it printed $(tr '\n' '~' <"$work/seen")"; fi
done
