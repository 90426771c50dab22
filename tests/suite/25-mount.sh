# The child's file system: the C programs as root and as an ordinary user, and once more without a shared library.
set -u
theme=mount programs="mount mount-attacks tree thousand details"
. "$ROOT/tests/as-users.sh"

# run TITLE NAME PROGRAM [part of a test's name]..., through the command in `through`.
through=()
run() {
    local title=$1 name=$2 program=$3
    shift 3
    ( cd "$work/tmp" && exec timeout --kill-after=5 400 "${through[@]}" env TMPDIR="$work/tmp" HOME="$work/tmp" LD_LIBRARY_PATH="$work/lib" "$work/$name/$program" "$@" ) </dev/null >"$work/log" 2>&1
    lines "$title, $program" $?
}

mounts=$(wc -l </proc/self/mountinfo)
if build mount-dynamic; then
    for program in $programs; do
        through=("${become[@]}")
        run user mount-dynamic $program
        through=()
        if [ "$(id -u)" = 0 ]; then run root mount-dynamic $program; fi
    done
fi
if build mount-static CC=clang LINK=static; then run static mount-static mount "a new root" "bind" "overlay" "dev" "mask"; fi
if [ "$(wc -l </proc/self/mountinfo)" = "$mounts" ]; then echo "ok - no mount is left on the host"
else echo "not ok - no mount is left on the host: $mounts before, $(wc -l </proc/self/mountinfo) now"; fi
