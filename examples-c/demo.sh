#!/bin/sh
# The demo: a real program in the sandbox, one that runs out of time, one that can't be started; then programs under a
# container's seccomp profile, whose system calls a supervisor answers. `make demo` builds all that this needs first, and
# calls it. Ends with 0 where all went as they should.
set -eu
cd "$(dirname "$0")"
dir=$PWD/demo
status=0

heading() { printf '\n=== %s\n' "$*"; }
# Runs what follows the code, and checks that it ends with that code.
expect() {
    expected=$1
    shift
    code=0
    "$@" || code=$?
    [ "$code" = "$expected" ] || { echo "demo: expected code $expected, got $code"; status=1; }
}

input=../README.md
for file in /usr/share/common-licenses/GPL-3; do [ -r "$file" ] && input=$file; done

if python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null); then
    heading "A Python script reads $input through a pipe"
    expect 0 "$dir/run" -v -i "$input" "$python" -I "$dir/words.py"
else
    heading "No python3 here: an awk script reads $input through a pipe"
    expect 0 "$dir/run" -v -i "$input" awk -f "$dir/words.awk"
fi

heading "A program that does not end, with half a second to live"
expect 1 "$dir/run" -t 0.5 sh -c 'echo "I will never end"; while :; do :; done'

heading "A sandbox that can't be made: the program never runs, and the error names the step"
expect 2 "$dir/run" -d /no/such/directory sh -c 'echo "this must not be seen"'

# podman's own, which is of the same shape as Docker's, or the short one of these examples.
profile=policies/container.json
for file in /usr/share/containers/seccomp.json; do [ -r "$file" ] && profile=$file; done

heading "What $profile says about some system calls"
expect 0 ./policy --explain "$profile" execve unshare keyctl bpf io_uring_setup 'socket(40, 1, 0)'

work=$(mktemp -d)
server=
trap 'rm -rf "$work"; [ -z "$server" ] || kill "$server" 2>/dev/null || true' EXIT
if [ -n "${python:-}" ]; then
    heading "Python under that profile; a supervisor makes its connections, to one of two servers only"
    "$python" -I "$dir/server.py" >"$work/ports" 2>/dev/null &
    server=$!
    tries=0
    while [ ! -s "$work/ports" ] && [ $tries -lt 100 ]; do tries=$((tries + 1)); sleep 0.1; done
    read -r allowed other <"$work/ports" || true
    expect 0 ./firewall -v -p "$profile" -a "127.0.0.1:$allowed" "$python" -I "$dir/fetch.py" "$allowed" "$other" 2>&1
fi

heading "A shell under that profile; a supervisor lets it believe that it is root"
mkdir "$work/directory"
expect 0 ./fake-root -p "$profile" sh -c 'cd "$1" && mkdir home && chown 1000:1000 home && mknod null c 1 3 && ls -ln && id' sh "$work/directory"
echo "The same directory, without the supervisor:"
ls -ln "$work/directory"

heading "A container: a root of its own, in memory; every namespace new"
if reason=$(./container true 2>&1); then
    expect 0 ./container sh -c 'echo "$(id -un) on $(cat /proc/sys/kernel/hostname), with these files:"; ls /; echo "and these processes:"; head -qn 1 /proc/[0-9]*/comm 2>/dev/null; touch /usr/new || true'

    heading "A judge: one submission that is right, one that is not, one that does not end"
    expect 1 ./judge -t 0.3 judge.d/tests judge.d/submissions/right.c judge.d/submissions/wrong.c judge.d/submissions/slow.c

    heading "A server in a network of its own"
    expect 0 ./netns

    heading "A hundred small jobs, fresh and from a warm pool"
    expect 0 ./pool 100
else
    echo "This user may have none here: $reason"
fi

heading "$([ $status = 0 ] && echo 'All ended as they should.' || echo 'Something went wrong: see above.')"
exit $status
