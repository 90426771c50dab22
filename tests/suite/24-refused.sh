# The C tests on a host that lacks something: a container whose filter hides clone3 or close_range, or refuses what the
# library prefers. The library must fall back, or fail with a typed error; the programs are those of 20-c.
set -u
out=$ROOT/build/test/refused
programs="stdio fds exec status errors"
if ! make -s -C "$ROOT/tests/c" OUT="$out" PROGRAMS="$programs" >"$out.log" 2>&1 ||
   ! cc -O1 -o "$out/under" "$ROOT/tests/c/victims/under.c" $(pkg-config --cflags --libs sandbox_spawn) -Wl,-rpath,"$PREFIX/lib" >>"$out.log" 2>&1; then
    cat "$out.log"
    echo "not ok - build: see above"
    exit 1
fi
export LD_LIBRARY_PATH=$PREFIX/lib

# refused NAME CALLS PROGRAM...: every test of the programs, under a filter that refuses the calls.
refused() {
    local name=$1 calls=$2 program
    shift 2
    for program in "$@"; do
        ( cd "$out" && timeout --kill-after=5 120 ./under "$calls" "./$program" ) >"$out/log" 2>&1
        code=$?
        sed -E "s/^(ok|not ok|skip) - /\\1 - $name: $program: /" "$out/log"
        [ $code -eq 0 ] || grep -q '^not ok' "$out/log" || echo "not ok - $name: $program: ended with code $code"
    done
}

refused "no clone3" clone3=38 $programs
refused "no close_range" close_range=38 fds stdio
refused "close_range refused as an old container's filter does" close_range=1 fds
refused "no clone3, no close_range, no pidfd_getfd, no process_vm_readv" clone3=38,close_range=38,pidfd_getfd=1,process_vm_readv=1 stdio fds status

# What can't be had is a typed error, not a weaker sandbox.
cat > "$out/typed.c" <<'C'
#include <sandbox_spawn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    sandbox_error error;
    sandbox_child *child = NULL;
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_filter_rule(filter, SANDBOX_ACT_NOTIFY, "acct", NULL, 0);
    switch (argc > 1 ? atoi(argv[1]) : 0) {
        case 1: sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 500); break;
        case 2: sandbox_cmd_filter(cmd, filter); break;
        case 3: sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_NET); break;
        case 4: sandbox_cmd_set(cmd, SANDBOX_OPT_NEW_KEYRING, 1); break;
        case 5: sandbox_cmd_set(cmd, SANDBOX_OPT_NEW_KEYRING, 1); sandbox_cmd_set(cmd, SANDBOX_OPT_ALLOW_NO_KEYRING, 1); break;
    }
    int code = sandbox_spawn(cmd, &child, &error);
    sandbox_status status = {0};
    if (!code) sandbox_child_wait(child, -1, &status, sizeof status);
    printf("%d %s %llu\n", code, sandbox_stage_name(error.stage), (unsigned long long)status.left_out);
    sandbox_child_free(child);
    return argc;
}
C
cc -O1 -o "$out/typed" "$out/typed.c" $(pkg-config --cflags --libs sandbox_spawn) -Wl,-rpath,"$PREFIX/lib" || echo "not ok - build typed"
typed() {
    local name=$1 calls=$2 case=$3 wanted=$4 got
    got=$("$out/under" "$calls" "$out/typed" "$case" 2>&1)
    if [ "$got" = "$wanted" ]; then echo "ok - $name"; else echo "not ok - $name: $got, not $wanted"; fi
}
typed "executable memfds forbidden: stage trampoline" memfd_create=13 1 "-13 trampoline 0"
typed "no seccomp: stage seccomp" seccomp=38 2 "-38 seccomp 0"
typed "no pidfd_getfd: stage handoff" pidfd_getfd=1 2 "-1 handoff 0"
typed "no new keyring: stage process" keyctl=38 4 "-38 process 0"
typed "no new keyring, where that is allowed: left out and said" keyctl=38 5 "0 none 8"
typed "no clone at all: stage clone" clone3=1 0 "-1 clone 0"
typed "no id maps, for want of clone3 and of clone: stage clone" clone3=38,clone=1 3 "-1 clone 0"
