# sandbox-run, the installed command: every option with what it does as seen from inside, profiles, learning, as root and
# as an ordinary user.
set -u
work=$(mktemp -d /var/tmp/sandbox-run.XXXXXX) || exit 1
trap 'rm -rf "$work" /tmp/sandbox-run.$$.*' EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
cp "$PREFIX/bin/sandbox-run" "$work/" || { echo "not ok - sandbox-run is installed"; exit 1; }
export PATH=$work:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
unset MAKEFLAGS MAKELEVEL SANDBOX_CGROUP
become=(env)
who=user

# expect NAME CODE TEXT COMMAND...: it ends with that code, and says that text, a regular expression ("": any).
expect() {
    local name=$1 wanted=$2 text=$3 code
    shift 3
    ( cd "$home" && exec timeout --kill-after=5 60 "${become[@]}" "$@" ) </dev/null >"$work/out" 2>&1
    code=$?
    if [ $code = "$wanted" ] && { [ -z "$text" ] || grep -qE -- "$text" "$work/out"; }; then echo "ok - $who: $name"; return; fi
    sed 's/^/# /' "$work/out" | tail -n 20
    echo "not ok - $who: $name: code $code, not $wanted, or it does not say \"$text\""
}
# is NAME EXPECTED ACTUAL
is() { if [ "$2" = "$3" ]; then echo "ok - $who: $1"; else echo "not ok - $who: $1: \"$3\" instead of \"$2\""; fi; }

options() {
    local uid gid
    uid=$("${become[@]}" id -u) gid=$("${become[@]}" id -g)
    mkdir "$home/data" "$home/other" && echo secret > "$home/data/file" && echo lower > "$home/other/file"
    ln -s /usr "$home/link"
    chmod -R a+rX "$home"
    chown -R "$uid:$gid" "$home/data" 2>/dev/null

    expect "its exit code" 7 '' sandbox-run sh -c 'exit 7'
    expect "128 and the signal" 143 '' sandbox-run sh -c 'kill -TERM $$'
    expect "no such program: 125 and one line" 125 '^sandbox-run: exec: execve "nonesuch"' sandbox-run nonesuch
    is "... one line alone" 1 "$(wc -l < "$work/out")"
    expect "no program: the help" 125 '^usage: ' sandbox-run
    expect "an unknown option" 125 'no such option: --frobnicate' sandbox-run --frobnicate true
    expect "a missing value" 125 'wants a value' sandbox-run --time
    expect "a value too many" 125 'takes no value' sandbox-run --system=yes true

    expect "default: read-only" 1 'Read-only file system' sandbox-run touch "$home/data/new"
    expect "default: where you are" 0 "^$home\$" sandbox-run pwd
    expect "default: no network" 0 '^lo$' sandbox-run sh -c 'ls /sys/class/net >/dev/null; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "; :'
    expect "default: no other process" 0 '^[0-9]$' sandbox-run sh -c 'ls /proc | grep -c "^[0-9]"'
    expect "default: no capability" 0 'CapEff:.0000000000000000' sandbox-run grep CapEff /proc/self/status
    expect "default: no privileges" 0 'NoNewPrivs:.1' sandbox-run grep NoNewPrivs /proc/self/status
    expect "default: a /tmp of its own" 0 '^0$' sandbox-run sh -c 'ls -A /tmp | wc -l'
    expect "default: a /run of its own" 0 '^0$' sandbox-run sh -c 'ls -A /run | wc -l'
    expect "default: ids" 0 "^$uid $gid\$" sandbox-run sh -c 'echo $(id -u) $(id -g)'
    expect "default: little environment" 0 '^none$' env SECRET=x sandbox-run sh -c 'echo ${SECRET-none}'
    local below=/tmp/sandbox-run.$$.$who
    mkdir -m 1777 "$below" && echo here > "$below/file"
    expect "default root: a working directory in /tmp is shown" 0 '^here$' env -C "$below" sandbox-run cat file
    expect "... read-only" 1 'Read-only' env -C "$below" sandbox-run touch x
    expect "... writable where that is asked" 0 '^y$' env -C "$below" sandbox-run -w . sh -c 'echo y > new; cat new'

    expect "--bind" 0 '^secret$' sandbox-run --bind "data:/tmp/data" cat /tmp/data/file
    expect "--bind is read-only" 1 'Read-only' sandbox-run -b "$home/data" touch data/x
    expect "--bind, no source" 125 "nothing-there: No such file" sandbox-run -b nothing-there true
    expect "--bind, a colon in a name" 0 '^secret$' sh -c 'cp data/file data/a:b && sandbox-run -b "data/a\:b:/tmp/f" cat /tmp/f'
    expect "--bind-rw" 0 '' sandbox-run -w data sh -c 'echo made > data/made'
    is "... on the host" made "$(cat "$home/data/made")"
    expect "--bind-try" 0 '^secret$' sandbox-run --bind-try nothing-there --bind-try data:/tmp/d cat /tmp/d/file
    expect "--bind-dev" 0 '^1$' sandbox-run --bind-dev /dev/zero:/tmp/zero sh -c 'head -c 1 /tmp/zero | wc -c'
    expect "--system" 0 '^bin dev etc lib .*proc sbin tmp usr var $' sandbox-run -s sh -c 'ls / | tr "\n" " "; echo'
    expect "--system hides the rest" 2 'No such file' sandbox-run -s ls "$home/data"
    mkdir -p "$home/root/usr" "$home/root/proc" "$home/root/dev" "$home/root/w" && ln -sf usr/bin "$home/root/bin" && ln -sf usr/lib "$home/root/lib" && ln -sf usr/lib64 "$home/root/lib64"
    chown -R "$uid" "$home/root" 2>/dev/null
    expect "--root" 0 '^bin dev lib lib64 proc usr w $' sandbox-run --root root --bind /usr --proc /proc --dev /dev sh -c 'ls / | tr "\n" " "; echo'
    expect "--root is read-only" 2 'Read-only|cannot create' sandbox-run --root root --bind /usr sh -c 'echo > /w/x'
    expect "--root-rw" 0 '' sandbox-run --root-rw root --bind /usr sh -c 'echo rw > /w/x'
    is "... on the host" rw "$(cat "$home/root/w/x")"
    expect "--proc" 0 '^[0-9]$' sandbox-run --root root --bind /usr --proc /proc sh -c 'ls /proc | grep -c "^[0-9]"'
    expect "--dev" 0 'null' sandbox-run --root root --bind /usr --dev /dev ls /dev
    expect "--tmpfs with a size" 1 'No space' sandbox-run --tmpfs /tmp:64k dd if=/dev/zero of=/tmp/x bs=1k count=100
    expect "--overlay" 0 '^secret lower$' sandbox-run --overlay /tmp:data:other sh -c 'echo $(cat /tmp/file) lower'
    expect "--overlay's changes are lost" 0 '^new secret$' sandbox-run --overlay /tmp:data sh -c "echo new > /tmp/file; echo \$(cat /tmp/file) \$(cat $home/data/file)"
    expect "--file" 0 '^secret$' sandbox-run --file /tmp/copy:data/file cat /tmp/copy
    expect "--dir" 0 '^/tmp/a/b$' sandbox-run --dir /tmp/a/b sh -c 'cd /tmp/a/b && pwd'
    expect "--symlink" 0 '^text$' sandbox-run --symlink text:/tmp/link readlink /tmp/link
    expect "--mask" 0 '^0$' sandbox-run --mask "$home/data/file" sh -c 'wc -c < data/file'
    expect "--directory" 0 '^/usr$' sandbox-run -d /usr pwd
    expect "--allow-read" 1 'Permission denied' sandbox-run --allow-read /usr --allow-read /lib64 --allow-read /etc cat data/file
    expect "... and what it allows" 0 '^secret$' sandbox-run --allow-read /usr --allow-read data cat data/file
    expect "--allow-write" 1 'Permission denied' sandbox-run --allow-read / --allow-write /tmp sh -c 'echo > /tmp/x && cat /tmp/x && echo > /dev/shm/x || exit 1'

    expect "--net loopback" 0 '^reached$' sandbox-run --net loopback python3 -c '
import socket
server = socket.create_server(("127.0.0.1", 0)); socket.create_connection(server.getsockname()); print("reached")'
    expect "--net host" 0 "^$(readlink /proc/self/ns/net | tr -d '[]')\$" sandbox-run -n host sh -c 'readlink /proc/self/ns/net | tr -d "[]"'
    expect "--net, another word" 125 'none, loopback or host' sandbox-run --net all true
    expect "--connect" 0 'Errno 13.*Errno 111' sandbox-run --net loopback --connect 9 python3 -c '
import socket
def to(port):
    try: socket.create_connection(("127.0.0.1", port))
    except OSError as error: return str(error)
print(to(10), to(9))'
    expect "--listen" 0 'Errno 13.* free' sandbox-run --net loopback --listen 7001 python3 -c '
import socket
def on(port):
    try: socket.create_server(("127.0.0.1", port)); return "free"
    except OSError as error: return str(error)
print(on(7002), on(7001))'

    expect "--user" 0 '^5 6$' sandbox-run -u 5:6 sh -c 'echo $(id -u) $(id -g)'
    expect "--hostname" 0 '^box$' sandbox-run --hostname box uname -n
    expect "--caps by name" 0 'CapEff:.0000000000000401' sandbox-run -u 0 --caps net_bind_service,CAP_CHOWN grep CapEff /proc/self/status
    expect "--caps, no such name" 125 'no capability is named flying' sandbox-run --caps flying true
    expect "--new-privileges" 0 'NoNewPrivs:.0' sandbox-run --new-privileges grep NoNewPrivs /proc/self/status

    expect "--time: 124" 124 'out of time' sandbox-run -t 0.3 sleep 1000
    expect "--time while tracing" 124 'out of time' sandbox-run -t 1 --trace sleep 1000
    expect "--cpu" 152 '' sandbox-run -c 1 sh -c 'while :; do :; done'
    expect "--address-space" 0 '^102400$' sandbox-run --address-space 100m sh -c 'ulimit -v'
    expect "--file-size" 153 '' sandbox-run --file-size 1k dd if=/dev/zero of=/tmp/x bs=1k count=4
    expect "--open-files" 0 '^17$' sandbox-run --open-files 17 sh -c 'ulimit -n'
    expect "--nice" 0 '^19$' sandbox-run --nice 19 nice
    expect "a number that is none" 125 'wants a number' sandbox-run --nice hard true
    expect "a size that is none" 125 'wants a size' sandbox-run --file-size 1x true
    # Whether a cgroup can be had is the machine's affair: then it holds, else the reason says what to do.
    for limit in --memory=64m --processes=20 --cgroup=pids.max=20; do
        ( cd "$home" && timeout 60 "${become[@]}" sandbox-run $limit sh -c 'exit 3' ) >"$work/out" 2>&1
        case $? in
            3) echo "ok - $who: $limit" ;;
            125) if grep -q 'sandbox-run: cgroup: .*SANDBOX_CGROUP' "$work/out"; then echo "ok - $who: $limit: no cgroup, and what to do"; else echo "not ok - $who: $limit: $(cat "$work/out")"; fi ;;
            *) echo "not ok - $who: $limit: $(cat "$work/out")" ;;
        esac
    done

    expect "--env" 0 '^1 mine $' env MINE=mine OTHER=x sandbox-run -e A=1 -e MINE sh -c 'echo $A $MINE $OTHER ""'
    expect "--unset" 0 '^gone$' env HOME=/x sandbox-run --unset HOME sh -c 'echo ${HOME-gone}'
    expect "--keep-env" 0 '^x$' env OTHER=x sandbox-run --keep-env sh -c 'echo $OTHER'
    expect "--pass-fd" 0 '^secret$' sh -c 'exec sandbox-run --pass-fd 5:7 sh -c "cat <&7" 5< data/file'
    expect "no other fd is passed" 2 '' sh -c 'exec sandbox-run sh -c "cat <&5" 5< data/file'

    echo 'getpid: 1' > "$home/policy"
    expect "--seccomp, a policy that would end it at its start" 125 'the filter would end the child at its own execve' sandbox-run --seccomp policy true
    echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}' > "$home/oci"
    expect "--seccomp, an OCI profile" 1 'No space left' sandbox-run --seccomp oci mkdir /tmp/x
    echo 'getpid return' > "$home/policy"
    expect "--seccomp, a bad policy: where" 125 'policy: .*1' sandbox-run --seccomp policy true
    expect "--syscalls, no such call" 125 'no system call is named frob' sandbox-run --syscalls frob true
    expect "--deny" 1 'not permitted|EPERM' sandbox-run --deny userns unshare --user true
    expect "--deny, no such word" 125 'there is no everything' sandbox-run --deny everything true
    expect "--preset compute" 0 "^$uid sandbox /tmp\$" sandbox-run --preset compute sh -c 'echo $(id -u) $(uname -n) $(pwd)'
    expect "--preset, another word" 125 'compute, build or network' sandbox-run --preset all true
    expect "--preset with a bind" 0 '^secret$' sandbox-run --preset compute -b data/file:/tmp/f cat /tmp/f
    expect "--explain runs nothing" 0 'execve "touch"' sandbox-run -w . --explain touch data/explained
    is "... indeed" no "$(test -e "$home/data/explained" && echo yes || echo no)"
    expect "--probe" 0 '^yes  seccomp filters$' sandbox-run --probe
    expect "--probe where a thing is missing" 0 '^no   (user namespace|a cgroup).*' sandbox-run --new-privileges --deny userns sandbox-run --probe
    expect "--version" 0 '^sandbox-run [0-9.]+$' sandbox-run -V
}

messages() {
    is "--json: an exit code" 'exited 5 none None' "$(cd "$home"; { "${become[@]}" sandbox-run --json 3 sh -c 'exit 5' 3>&1 >/dev/null 2>&1; } | python3 -c '
import json, sys
d = json.loads(sys.stdin.read()); print(d["status"]["kind"], d["status"]["code"], d["status"]["cause"], d["error"])')"
    is "--json: out of time" 'signaled 9 timeout' "$(cd "$home"; { "${become[@]}" sandbox-run -t 0.2 --json 3 sleep 100 3>&1 >/dev/null 2>&1; } | python3 -c '
import json, sys
d = json.loads(sys.stdin.read()); print(d["status"]["kind"], d["status"]["code"], d["status"]["cause"])')"
    is "--json: a failed start" 'None exec -2 True' "$(cd "$home"; { "${become[@]}" sandbox-run --json 3 './no"such' 3>&1 >/dev/null 2>&1; } | python3 -c '
import json, sys
d = json.loads(sys.stdin.read()); print(d["status"], d["error"]["stage"], d["error"]["code"], "such" in d["error"]["message"])')"
    is "--json: a bad option" 'setup -22' "$(cd "$home"; { "${become[@]}" sandbox-run --json 3 --time x true 3>&1 >/dev/null 2>&1; } | python3 -c '
import json, sys
d = json.loads(sys.stdin.read()); print(d["error"]["stage"], d["error"]["code"])')"

    # Signals: it says that it is ready, is sent one, and says which came.
    mkfifo "$home/ready"
    chmod a+rw "$home/ready"
    ( cd "$home" && exec "${become[@]}" sandbox-run sh -c 'trap "exit 42" USR1; echo > ready; while :; do sleep 0.1; done' ) >/dev/null 2>&1 &
    local pid=$!
    read -r _ < "$home/ready"
    kill -USR1 $pid
    wait $pid
    is "a signal is passed on" 42 $?
}

profiles() {
    cat > "$home/job.toml" <<'END'
# A job.
program = ["cat", "data/file"]
[files]
system = true
bind = ["data/file", 'other:/tmp/o"ther']
[limits]
time = 30
open_files = 64 # a hyphen or an underscore
limits.nice = "19"
END
    cat > "$home/job.json" <<'END'
{"program": ["cat", "data/file"], "files": {"system": true, "bind": ["data/file", "other:/tmp/o\"the\u0072"]},
 "limits": {"time": 30, "open-files": 64, "nice": 19}}
END
    expect "a profile" 0 '^secret$' sandbox-run -f job.toml
    expect "a profile from standard input" 0 '^secret$' sh -c 'sandbox-run -f - < job.json'
    expect "the command line's program comes first" 0 '^64 19$' sandbox-run -f job.json sh -c 'echo $(ulimit -n) $(nice)'
    ( cd "$home" && "${become[@]}" sandbox-run -f job.toml --explain > "$work/one"; "${become[@]}" sandbox-run -f job.json --explain > "$work/two" )
    if [ -s "$work/one" ] && cmp -s "$work/one" "$work/two"; then echo "ok - $who: TOML and JSON give the same plan"; else echo "not ok - $who: TOML and JSON give the same plan: they differ"; fi
    local text where
    while IFS='|' read -r where text; do
        printf '%b' "$text" > "$home/bad"
        expect "a wrong profile: $text" 125 "^sandbox-run: bad:$where" sandbox-run -f bad true
    done <<'END'
2:1: no option has this name|time = 1\nfrob = 2\n
1:8: --time wants a number|time = "soon"\n
1:11: expected a value|time = [1,
1:8: expected a value|time = \n1\n
1:10: a string without its end|time = "1\n
1:12: expected true or false|keep-env = 3\n
1:1: this option is the command|probe = true\n
3:7: expected '='|\n[limits]\nnice  3\n
1:10: expected the end|time = 1 2\n
2:10: an unknown escape|# x\nbind = "\\q"\n
1:2: expected a name|{,}
1:12: expected ',' or '}'|{"time": 1 "x": 2}
2:2: something behind|{"time": 1}\n 2
1:16: tables in|{"a":{"b":{"c":{"d":{}}}}}
END
    expect "no such profile" 125 'no-profile: No such file' sandbox-run -f no-profile true
}

# learned NAME COMMAND...: what it does is learned, and enough for it to do it once more with the same output.
learned() {
    local name=$1 first
    shift
    if ! ( cd "$home/project" && timeout 120 "${become[@]}" sandbox-run -w . --learn "$home/learned.toml" "$@" ) >"$work/first" 2>"$work/errors" </dev/null; then
        sed 's/^/# /' "$work/errors" | tail; echo "not ok - $who: --learn $name: it fails"; return
    fi
    first=$(cat "$work/first")
    ( cd "$home/project" && timeout 120 "${become[@]}" sandbox-run -f "$home/learned.toml" ) >"$work/second" 2>"$work/errors" </dev/null
    local code=$?
    if [ $code = 0 ] && [ "$first" = "$(cat "$work/second")" ] && [ ! -s "$work/errors" ]; then echo "ok - $who: --learn $name: the profile is sufficient"
    else sed 's/^/# /' "$work/errors" "$home/learned.toml" | tail -n 60; echo "not ok - $who: --learn $name: the profile is not sufficient: code $code"; fi
    expect "--learn $name: no more than learned: a file" 1 'No such file' sandbox-run -f "$home/learned.toml" cat "$home/data/file"
    expect "--learn $name: no more than learned: a directory" 2 'cannot access|cannot open' sandbox-run -f "$home/learned.toml" ls "$home/data"
    expect "--learn $name: no more than learned: a call" 1 'not permitted' sandbox-run -f "$home/learned.toml" mkfifo /tmp/fifo
}

learning() {
    mkdir "$home/project"
    cat > "$home/project/a.c" <<'END'
#include <stdio.h>
int main(void) { puts("built"); return 0; }
END
    echo 'import json, re; print(len(open("a.c").read()))' > "$home/project/a.py"
    echo 'console.log(require("fs").readFileSync("a.c").length)' > "$home/project/a.js"
    printf '#!/bin/sh\ncat a.c\n' > "$home/project/script"
    chmod 755 "$home/project/script"
    local uid
    uid=$("${become[@]}" id -u)
    chown -R "$uid" "$home/project" 2>/dev/null
    chmod a+rwX "$home"
    learned python3 python3 a.py
    expect "python3 under it: no socket" 1 'PermissionError' sandbox-run -f "$home/learned.toml" python3 -c 'import socket; socket.socket()'
    learned "a script" ./script
    if [ -x /usr/bin/node ] || [ -x /usr/local/bin/node ]; then learned node node a.js; else echo "skip - $who: --learn node: there is none"; fi
    learned gcc gcc -o a.out a.c
    is "what gcc built runs" built "$("$home/project/a.out")"
    if command -v git >/dev/null; then
        local git=(env -C "$home/project" HOME="$home" "${become[@]}" git -c user.name=a -c user.email=a@b)
        { "${git[@]}" init -q . && "${git[@]}" add a.c && "${git[@]}" commit -qm first; } 2>"$work/errors" || cat "$work/errors"
        learned "git log" git log --oneline
        learned "git status" git status --short
    else echo "skip - $who: --learn git: there is none"; fi
    cat > "$home/project/port.py" <<'END'
import socket, sys
try: socket.create_connection(("127.0.0.1", int(sys.argv[1])))
except OSError as error: print(error.errno)
END
    # An older Landlock than for ports learns none: then there is nothing to refuse.
    expect "--learn a port" 0 '^111$' sandbox-run --net loopback --learn learned.toml python3 project/port.py 9
    if sandbox-run --probe | grep -q '^yes  Landlock for TCP'; then
        expect "... it is allowed" 0 '^111$' sandbox-run -f learned.toml
        expect "... another is refused" 0 '^13$' sandbox-run -f learned.toml python3 project/port.py 10
    else echo "skip - $who: a learned port: no Landlock for ports here"; fi
    expect "--learn with a preset" 0 '^made$' sandbox-run --preset compute --learn learned.toml sh -c 'echo made > x; cat x'
    expect "... keeps it" 0 '^made$' sandbox-run -f learned.toml
    expect "... and the calls alone" 1 'not permitted' sandbox-run -f learned.toml mkfifo /tmp/fifo
    expect "--learn into nowhere runs nothing" 125 'nowhere/x: No such file' sandbox-run -w . --learn nowhere/x touch data/learned
    is "... indeed" no "$(test -e "$home/data/learned" && echo yes || echo no)"
    expect "--trace: paths" 0 '^sandbox-run: read .*a\.c$' env -C project sandbox-run --trace cat a.c
    expect "--trace: calls" 0 '^sandbox-run: call openat$' env -C project sandbox-run --trace cat a.c
    expect "--trace: what is made" 0 '^sandbox-run: make or remove /tmp/made$' sandbox-run --trace touch /tmp/made
    expect "--trace: addresses" 0 '^sandbox-run: connect to 127\.0\.0\.1:9$' sandbox-run --trace --net loopback python3 -c '
import socket
try: socket.create_connection(("127.0.0.1", 9))
except OSError: pass'
    expect "--trace: the exit code" 9 '' sandbox-run --trace sh -c 'exit 9'
    expect "--trace: a program that is not there" 125 '^sandbox-run: exec: execve "nonesuch"' sandbox-run --trace nonesuch
}

papers() {
    local topic lines
    for topic in '' files network landlock identity limits given syscalls running; do
        sandbox-run --help $topic > "$work/out"
        lines=$(wc -l < "$work/out")
        if [ "$lines" -gt 1 ] && [ "$lines" -le 24 ] && [ "$(wc -L < "$work/out")" -le 80 ]; then echo "ok - --help $topic fits a screen"
        else echo "not ok - --help $topic fits a screen: $lines lines of $(wc -L < "$work/out")"; fi
    done
    if sandbox-run --completion > "$work/completion" && bash -n "$work/completion" &&
       [ "$(bash -c '. "$0"; COMP_WORDS=(sandbox-run --expl); COMP_CWORD=1; _sandbox_run; echo "${COMPREPLY[@]}"' "$work/completion")" = --explain ] &&
       [ "$(bash -c '. "$0"; COMP_WORDS=(sandbox-run --net l); COMP_CWORD=2; _sandbox_run; echo "${COMPREPLY[@]}"' "$work/completion")" = loopback ]; then
        echo "ok - --completion completes"
    else echo "not ok - --completion completes: it does not"; fi
    sandbox-run --manual > "$work/page.1"
    if ! command -v groff >/dev/null; then echo "skip - --manual: there is no groff"
    elif groff -man -Tutf8 -P-cbu -ww "$work/page.1" > "$work/page" 2>"$work/errors" && [ ! -s "$work/errors" ] && grep -q learn "$work/page"; then echo "ok - --manual, without a warning"
    else echo "not ok - --manual, without a warning: $(head -n 3 "$work/errors")"; fi
    for file in bin/sandbox-run share/man/man1/sandbox-run.1 share/bash-completion/completions/sandbox-run; do
        if [ -s "$PREFIX/$file" ]; then echo "ok - installed: $file"; else echo "not ok - installed: $file: it is not"; fi
    done
    local source=$ROOT/examples-c flags
    flags=$(pkg-config --cflags --libs sandbox_spawn)
    make -s -C "$source" CC=cc SYSCALLS="$work/syscalls.h" "$work/syscalls.h"
    for compiler in gcc clang aarch64-linux-gnu-gcc; do
        command -v $compiler >/dev/null || { echo "skip - built with $compiler: there is none"; continue; }
        make -s -C "$source" CC=$compiler SYSCALLS="$work/$compiler.h/syscalls.h" "$work/$compiler.h/syscalls.h" 2>/dev/null ||
            { mkdir -p "$work/$compiler.h"; make -s -C "$source" CC=$compiler SYSCALLS="$work/$compiler.h/syscalls.h" "$work/$compiler.h/syscalls.h"; }
        if $compiler -std=c11 -Wall -Wextra -pedantic -Werror -O1 -fsyntax-only -I"$PREFIX/include" -I"$work/$compiler.h" "$source"/sandbox-run/*.c 2>"$work/errors"; then echo "ok - no warning with $compiler"
        else head "$work/errors"; echo "not ok - no warning with $compiler"; fi
    done
    # What it allocates it frees, and nothing is read that is not its own.
    if ! cc -std=c11 -g -fsanitize=address,undefined -I"$work" "$source"/sandbox-run/*.c -o "$work/checked" $flags -Wl,-rpath,"$PREFIX/lib" 2>"$work/errors"; then
        echo "skip - AddressSanitizer: $(head -n 1 "$work/errors")"
        return
    fi
    cd "$home" || return
    local command
    for command in "true" "-f job.toml" "-w . --learn $work/l.toml gcc -o project/b.out project/a.c" "--preset compute true" "--caps chown --syscalls read --explain true" "--overlay /tmp:data true" "-f $work/l.toml --explain"; do
        if "$work/checked" $command > /dev/null 2>"$work/errors" && ! grep -q -e Sanitizer -e 'runtime error' "$work/errors"; then echo "ok - AddressSanitizer: $command"
        else head -n 30 "$work/errors"; echo "not ok - AddressSanitizer: $command"; fi
    done
}

all_of_it() {
    home=$work/$who
    mkdir -m 777 "$home"
    options
    messages
    profiles
    learning
}

if [ "$(id -u)" = 0 ]; then
    become=(setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all)
    "${become[@]}" true || { echo "not ok - an ordinary user: setpriv can't become one"; exit 1; }
fi
if "${become[@]}" unshare --user true 2>/dev/null; then all_of_it; else echo "skip - user: no user namespaces here"; fi
if [ "$(id -u)" = 0 ]; then
    become=(env)
    who=root
    all_of_it
fi
papers
