# For suites that run C programs both as root and as an ordinary user; they source it after they have set `theme`, a name
# for their directory, and `programs`. It gives: `work`, which the user can read, `out`, `who` this is, `become` (the words
# that make a command an ordinary user's), `build`, `run`, `each`, `as_users`, `sanitized` and `lines`.
out=$ROOT/build/test/c
# The checkout may be unreadable for an ordinary user: what runs lies here.
work=$(mktemp -d "/var/tmp/sandbox-spawn-$theme.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
mkdir -m 1777 "$work/tmp"
mkdir "$work/lib"
cp -P "$PREFIX"/lib/libsandbox_spawn.so* "$work/lib/"
chmod 755 "$work"/lib/*.so.*.*

# A user of no rights, where this one is root. A name is not needed.
become=()
who=user
if [ "$(id -u)" = 0 ]; then
    become=(setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all)
    who=root
    "${become[@]}" true || { echo "not ok - an ordinary user: setpriv can't become one"; exit 1; }
fi

# build NAME VARIABLE=VALUE...
build() {
    local name=$1
    shift
    mkdir -p "$out"
    if ! make -s -C "$ROOT/tests/c" OUT="$out/$name" PROGRAMS="$programs" "$@" >"$work/log" 2>&1; then
        echo "not ok - build $name: $(grep -m1 -i error "$work/log")"
        cat "$work/log"
        return 1
    fi
    cp -r "$out/$name" "$work/$name"
    chmod -R go=rX "$work/$name"
}

# run TITLE NAME PROGRAM [ARGUMENT]...: a program of that build, by the command in `through`; its lines under that title.
# The command stands right before the program: Valgrind looks at nothing that it does not start itself.
through=()
run() {
    local title=$1 name=$2 program=$3
    shift 3
    ( cd "$work/tmp" && exec timeout --kill-after=5 400 env TMPDIR="$work/tmp" HOME="$work/tmp" LD_LIBRARY_PATH="$work/lib" \
        "${through[@]}" "$work/$name/$program" "$@" ) </dev/null >"$work/log" 2>&1
    lines "$title, $program" $?
}

# each TITLE NAME: every one of the programs.
each() {
    local program
    for program in $programs; do run "$1" "$2" "$program"; done
}

# as_users NAME: every one as an ordinary user, and as root.
as_users() {
    through=("${become[@]}")
    each user "$1"
    through=()
    if [ $who = root ]; then each root "$1"; else echo "skip - as root: this is an ordinary user"; fi
}

# sanitized NAME: every one with the archive, under AddressSanitizer. It sees what the library allocates, because the
# archive's malloc is the sanitizer's; nothing is instrumented in the child.
sanitized() {
    echo 'int main(void) { return 0; }' >"$work/probe.c"
    if ! cc -fsanitize=address -o "$work/probe" "$work/probe.c" 2>/dev/null || ! "$work/probe"; then
        echo "skip - AddressSanitizer: the compiler has none here"
    elif build "$1" LINK=archive CFLAGS="-O1 -g -fsanitize=address -fno-omit-frame-pointer"; then
        through=(env ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=0)
        each AddressSanitizer "$1"
        through=()
    fi
}

# lines TITLE CODE: what a program left in $work/log, under that title.
lines() {
    sed -nE "s/^(ok|not ok|skip) - /\1 - $1: /p" "$work/log"
    [ "$2" -eq 0 ] && return
    grep -q '^not ok - ' "$work/log" || echo "not ok - $1: ended with code $2"
    grep -vE '^(ok|not ok|skip) - ' "$work/log" | head -n 60
}
