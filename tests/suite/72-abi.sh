# The binary interface against the last release's (tests/abi): programs that were built with that one run with this one.
# And the check itself, against headers and libraries that break it.
set -u
cd "$ROOT" || exit 1
for tool in abidiff abidw; do
    command -v $tool > /dev/null || { echo "skip - the binary interface: there is no $tool"; exit 0; }
done
[ "$(uname -m)" = x86_64 ] || { echo "skip - the binary interface: the baseline is one for x86_64"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
header=include/sandbox_spawn.h library=$PREFIX/lib/libsandbox_spawn.so

if tools/abi check $header "$library" > "$work/log" 2>&1; then echo "ok - the interface is the last release's, or more"; else echo "not ok - the interface is the last release's, or more: $(grep -m 1 -E 'gone|change' "$work/log")"; fi
sed 's/^ */# /' "$work/log"

# breaks WHAT TEXT SED: of a header changed so the check says no, and that text.
breaks() {
    sed -E "$3" $header > "$work/sandbox_spawn.h"
    if cmp -s $header "$work/sandbox_spawn.h"; then echo "not ok - $1 is seen: the test changes nothing"; return; fi
    if tools/abi check "$work/sandbox_spawn.h" "$library" > "$work/log" 2>&1; then echo "not ok - $1 is seen: it was not"; return; fi
    if grep -qF -- "$2" "$work/log"; then echo "ok - $1 is seen"; else echo "not ok - $1 is seen: without \"$2\""; sed 's/^/# /' "$work/log"; fi
}
# allows WHAT TEXT SED: it says yes, and that text.
allows() {
    sed -E "$3" $header > "$work/sandbox_spawn.h"
    if cmp -s $header "$work/sandbox_spawn.h"; then echo "not ok - $1 is allowed: the test changes nothing"; return; fi
    if ! tools/abi check "$work/sandbox_spawn.h" "$library" > "$work/log" 2>&1; then echo "not ok - $1 is allowed: it was not"; sed 's/^/# /' "$work/log"; return; fi
    if grep -qF -- "$2" "$work/log"; then echo "ok - $1 is allowed, and told"; else echo "not ok - $1 is allowed, and told: without \"$2\""; sed 's/^/# /' "$work/log"; fi
}
breaks "a member of another type" "type of 'uint32_t core_dumped' changed" 's/^    uint32_t core_dumped;/    uint64_t core_dumped;/'
breaks "a member of another sign" "'int64_t syscall'" 's/^    int64_t syscall;/    uint64_t syscall;/'
breaks "a member that has gone" "core_dumped" '/^    uint32_t core_dumped;/d'
breaks "a member put between others" "gone or changed: member sandbox_status.core_dumped" 's/^    uint32_t core_dumped;/    uint32_t between;\n    uint32_t core_dumped;/'
breaks "two members that changed places" "stdout_limit" 's/^    uint64_t stdout_limit;/    uint64_t swapped;/; s/^    uint64_t stderr_limit;/    uint64_t stdout_limit;/; s/^    uint64_t swapped;/    uint64_t stderr_limit;/'
breaks "an array of another length" "sandbox_error" 's/message\[244\]/message[248]/'
breaks "a parameter of another type" "sandbox_child_kill" '/^int sandbox_child_kill\(/,/;/s/int signal/int64_t signal/'
breaks "a parameter more" "sandbox_cmd_cwd" 's/(sandbox_cmd_cwd\(struct sandbox_cmd \*cmd, const char \*path)/\1, int more/'
breaks "another return type" "sandbox_cmd_free" 's/^void sandbox_cmd_free/int sandbox_cmd_free/'
breaks "a function that has gone" "sandbox_version" '/^const char \*sandbox_version\(/d'
breaks "a constant of another value" "SANDBOX_STAGE_EXEC" 's/SANDBOX_STAGE_EXEC = 23/SANDBOX_STAGE_EXEC = 33/'
breaks "a constant that has gone" "SANDBOX_OPT_UMASK" '/SANDBOX_OPT_UMASK = /d'
breaks "a macro of another value" "SANDBOX_ACT_LOG" 's/0x7ffc0000U/0x7ffd0000U/'
breaks "a callback of another type" "sandbox_ready_fn" 's/(sandbox_ready_fn\)\(int32_t pid)/\1, int more/'
allows "a new constant" "SANDBOX_STAGE_NEW" 's/^( *SANDBOX_STAGE_EXEC = 23,)/\1 SANDBOX_STAGE_NEW = 99,/'
allows "a member at the end of a structure that comes with its size" "added: member sandbox_status.more" 's/^(\} sandbox_status;)/    uint64_t more;\n\1/'
breaks "a member at the end of one that does not" "sandbox_arg" 's/^(\} sandbox_arg;)/    uint64_t more;\n\1/'
allows "a new macro" "added: macro SANDBOX_ACT_NEW" 's/^(#define SANDBOX_ACT_TRAP .*)/\1\n#define SANDBOX_ACT_NEW 1/'

# The library: without one of its functions, and with one more.
lacks() { printf '{ global: sandbox_*; local: *; };' > "$work/map"; cc -shared -o "$work/less.so" "$work/less.c" -Wl,--version-script="$work/map2"; }
printf 'SANDBOX_0.1 { global: sandbox_*; };\n' > "$work/map2"
sed -n 's/@@.*//p' tests/abi/symbols | sed 's/.*/void &(void) {}/' | grep -v 'sandbox_spawn(' > "$work/less.c"
lacks
if tools/abi check $header "$work/less.so" > "$work/log" 2>&1; then echo "not ok - a library without one of its functions is seen: it was not"
elif grep -q 'gone or changed: function sandbox_spawn@@SANDBOX_0.1' "$work/log"; then echo "ok - a library without one of its functions is seen"
else echo "not ok - a library without one of its functions is seen: $(cat "$work/log")"; fi
printf 'void sandbox_spawn(void) {}\nvoid sandbox_new_one(void) {}\n' >> "$work/less.c"
lacks
if tools/abi check $header "$work/less.so" > "$work/log" 2>&1 && grep -q 'added: function sandbox_new_one@@SANDBOX_0.1' "$work/log"; then echo "ok - a new function is allowed, and told"
else echo "not ok - a new function is allowed, and told: $(cat "$work/log")"; fi
