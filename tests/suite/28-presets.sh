# Presets: the C program as root and as an ordinary user, and once without a shared library.
set -u
theme=presets programs=presets
. "$ROOT/tests/as-users.sh"

# run TITLE COMMAND...: the lines of the program that the command ends in, under that title.
run() {
    local title=$1
    shift
    ( cd "$work/tmp" && exec timeout --kill-after=5 300 "$@" ) </dev/null >"$work/log" 2>&1
    lines "$title" $?
}
given=(env TMPDIR="$work/tmp" HOME="$work/tmp" LD_LIBRARY_PATH="$work/lib")

if build presets-dynamic LINK=dynamic; then
    run user "${become[@]}" "${given[@]}" "$work/presets-dynamic/presets"
    if [ $who = root ]; then run root "${given[@]}" "$work/presets-dynamic/presets"; fi
fi
if build presets-static LINK=static; then run static "${become[@]}" "${given[@]}" "$work/presets-static/presets"; fi
