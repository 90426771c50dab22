# What a newcomer builds and runs first: the examples with gcc and clang, the demo, the README's C.
set -u
work=$(mktemp -d)
server=
trap 'rm -rf "$work"; [ -z "$server" ] || kill "$server"' EXIT
chmod 755 "$work" # an ordinary user's programs lie here too
unset MAKEFLAGS MAKELEVEL

# expect name code text command...: it ends with that code, and says that text.
expect() {
    name=$1 wanted=$2 text=$3
    shift 3
    timeout 60 "$@" > "$work/out" 2>&1
    code=$?
    if [ $code = "$wanted" ] && { [ -z "$text" ] || grep -qF -- "$text" "$work/out"; }; then echo "ok - $name"; return; fi
    sed 's/^/# /' "$work/out" | tail -n 20
    echo "not ok - $name: code $code, not $wanted, or it does not say \"$text\""
}
# Where the words of one line vary: a regular expression for it.
expect_line() { # name code pattern command...
    name=$1 wanted=$2 pattern=$3
    shift 3
    timeout 60 "$@" > "$work/out" 2>&1
    code=$?
    if [ $code = "$wanted" ] && grep -qE -- "^$pattern$" "$work/out"; then echo "ok - $name"; return; fi
    sed 's/^/# /' "$work/out" | tail -n 20
    echo "not ok - $name: code $code, not $wanted, or no line matches \"$pattern\""
}
seq 200000 | sed 's/$/ bottles of beer/' > "$work/bottles"

for compiler in gcc clang; do
    if ! command -v $compiler > /dev/null; then
        echo "skip - examples with $compiler: there is no $compiler"
        continue
    fi
    dir=$work/$compiler
    mkdir "$dir"
    cp -r "$ROOT"/examples-c/. "$dir" # where no earlier build is
    make -C "$dir" clean > /dev/null
    expect "$compiler: the examples build without a warning" 0 "demo/run" make -C "$dir" CC=$compiler CFLAGS='-O2 -Werror'
    expect_line "$compiler: hello" 0 'pid [0-9]+: exit code 0' "$dir/hello"
    expect "$compiler: hello's program prints" 0 'hello from the sandbox' "$dir/hello"
    expect "$compiler: pipe" 0 '588890 bytes in, 588890 bytes out; the greatest number: 99999' "$dir/pipe"
    expect "$compiler: pipe, a filter with more output than a pipe holds" 0 '' \
        sh -c "seq 200000 | '$dir/pipe' sed 's/\$/ bottles of beer/' 2> /dev/null | cmp - '$work/bottles'"
    expect "$compiler: pipe, a filter that reads nothing" 0 'true ended with exit code 0' sh -c "seq 200000 | '$dir/pipe' true"
    expect "$compiler: pipe, a filter that fails" 1 'ended with exit code 3' "$dir/pipe" sh -c 'exit 3'
    expect "$compiler: pipe, a filter that does not exist" 1 'pipe: exec: execve "no-such-filter": No such file or directory' "$dir/pipe" no-such-filter
    expect "$compiler: run" 0 'exit code 0 after' "$dir/run"
    expect "$compiler: run, input, output and an exit code" 3 'HELLO' sh -c "echo hello | '$dir/run' sh -c 'tr a-z A-Z; exit 3'"
    expect "$compiler: run, too long" 124 'it took too long' "$dir/run" -w 0.2 sleep 1000
    expect "$compiler: run, too busy" 124 'it used too much CPU time' "$dir/run" -c 0.2 sh -c 'while :; do :; done'
    expect "$compiler: run, output ended at its limit" 137 'bytes cut' "$dir/run" -k -o 1000 yes
    expect "$compiler: run, a program that does not exist" 125 'run: exec: execve "no-such-program"' "$dir/run" no-such-program
    if unshare --user --pid --mount --net --uts --ipc true 2>/dev/null; then
        expect_line "$compiler: pool" 0 'from a warm pool: +40 jobs: half within [0-9]+ us, 99% within [0-9]+ us' "$dir/pool" 40
    else echo "skip - $compiler: pool: no user namespaces here"; fi
    expect_line "$compiler: limits, OK" 0 'OK \([0-9.]+ s, CPU [0-9.]+ s.*\)' "$dir/limits" true
    expect_line "$compiler: limits, an exit code" 1 'EXIT 3 .*' "$dir/limits" sh -c 'exit 3'
    expect_line "$compiler: limits, a signal" 1 'SIGNAL 15 .*' "$dir/limits" sh -c 'kill -TERM $$'
    expect_line "$compiler: limits, wall-clock time" 1 'TIME LIMIT .*' "$dir/limits" -t 0.2 sleep 1000
    expect_line "$compiler: limits, a file too large" 1 'SIGNAL 25 .*' "$dir/limits" -f 1 dd if=/dev/zero of="$work/large" bs=1M count=3
    expect_line "$compiler: limits, CPU time" 1 'TIME LIMIT .*' "$dir/limits" -c 1 sh -c 'while :; do :; done'
    expect_line "$compiler: limits, memory" 1 'MEMORY LIMIT .*' "$dir/limits" -m 32 awk 'BEGIN { for (;;) text[n++] = n "some words" }'
    expect_line "$compiler: limits, fds" 1 'EXIT [0-9]+ .*' "$dir/limits" -n 4 sh -c 'exec 3< /dev/null; cat /dev/null'
    expect_line "$compiler: limits, fds enough" 0 'OK .*' "$dir/limits" -n 8 sh -c 'exec 3< /dev/null; cat /dev/null'
    expect "$compiler: limits, a program that does not exist" 2 'limits: exec: execve "no-such-program": No such file' "$dir/limits" no-such-program
    expect "$compiler: limits --help" 0 'usage: limits [options] program [argument...]' "$dir/limits" --help
    expect "$compiler: limits, no program" 2 'limits: which program?' "$dir/limits" -t 1
    expect "$compiler: limits, a bad number" 2 'not a number between 0 and 1000000: abc' "$dir/limits" -t abc true
    expect "$compiler: limits, a bad option" 2 'no such option: --bogus' "$dir/limits" --bogus true
    expect "$compiler: errors leaves nothing" 0 'Left behind: no process.' "$dir/errors"
    seen=$("$dir/errors" | awk '$1 == "stage" { stage = $2 } $1 == "code" { printf "%s %s;", stage, $2 }')
    wanted='exec[0] -2;exec[0] -13;exec[0] -8;cwd[0] -2;rlimit[1] -22;rlimit[1] -1;fd[0] -9;setup[0] -22;session[0] -22;callback[0] -16;'
    if [ "$seen" = "$wanted" ]; then echo "ok - $compiler: errors, ten failures by stage, index and code"
    else echo "not ok - $compiler: errors: $seen instead of $wanted"; fi
done

# Seccomp, supervisors and ptrace: as root where that can be had, and as an ordinary user.
cp "$PREFIX/lib/libsandbox_spawn.so.0" "$work"
mkdir "$work/as"
PATH=$PATH:$work/as
cat > "$work/as/as_root" << END
#!/bin/sh
exec env LD_LIBRARY_PATH="$work" "\$@"
END
cat > "$work/as/as_user" << END
#!/bin/sh
cd / && exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all env LD_LIBRARY_PATH="$work" "\$@"
END
chmod +x "$work"/as/*
# The distribution's Python: one installed in root's home is nobody else's.
python=/usr/bin/python3
[ -x $python ] || python=

cat > "$work/net.c" << 'END'
/* net server: two listening sockets, whose ports it prints; closes what connects. net fool GOOD BAD: connects 2000 times
 * to an address that another of its threads writes now one port and now the other into. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
static struct sockaddr_in address;
static in_port_t ports[2];
static volatile int stop;
static void *rewrite(void *none) {
    for (unsigned i = 0; !stop; i++) *(volatile in_port_t *)&address.sin_port = ports[i / 16 % 2];
    return none;
}
static int server(void) {
    struct pollfd fds[2];
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof own;
        fds[i] = (struct pollfd){.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN};
        if (bind(fds[i].fd, (struct sockaddr *)&own, size) || listen(fds[i].fd, 100) || getsockname(fds[i].fd, (struct sockaddr *)&own, &size)) return 1;
        printf("%d%c", ntohs(own.sin_port), i ? '\n' : ' ');
    }
    fflush(stdout);
    alarm(600);
    while (poll(fds, 2, -1) > 0) {
        for (int i = 0; i < 2; i++) {
            if (!fds[i].revents) continue;
            char request[4096];
            int fd = accept(fds[i].fd, NULL, NULL);
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 5}, sizeof(struct timeval));
            recv(fd, request, sizeof request, 0); /* closed with the request unread, its answer would be lost */
            send(fd, "hello\n", 6, MSG_NOSIGNAL);
            close(fd);
        }
    }
    return 1;
}
int main(int argc, char **argv) {
    pthread_t thread;
    int reached = 0, refused = 0, fooled = 0, other = 0;
    if (argc < 4) return server();
    for (int i = 0; i < 2; i++) ports[i] = htons((in_port_t)atoi(argv[2 + i]));
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = ports[0]};
    pthread_create(&thread, NULL, rewrite, NULL);
    for (int i = 0; i < 2000; i++) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) *(errno == EACCES ? &refused : &other) += 1;
        else if (getpeername(fd, (struct sockaddr *)&peer, &size) < 0) other++;
        else *(peer.sin_port == ports[0] ? &reached : &fooled) += 1;
        close(fd);
    }
    stop = 1;
    pthread_join(thread, NULL);
    fprintf(stderr, "reached %d, refused %d, fooled %d, other %d\n", reached, refused, fooled, other);
    return fooled || !reached || !refused;
}
END
cc -O1 -pthread "$work/net.c" -o "$work/net" || echo "not ok - firewall: the tests' client does not compile"
"$work/net" > "$work/ports" &
server=$!
for _ in $(seq 100); do [ -s "$work/ports" ] && break; sleep 0.1; done
read -r good bad < "$work/ports"

cat > "$work/around.py" << 'END'
import socket, sys
good, bad = int(sys.argv[1]), int(sys.argv[2])
def attempt(name, call):
    try: print(name, call() and "worked")
    except OSError as error: print(name, error.errno)
fast_open = 0x20000000
tcp6 = lambda: socket.socket(socket.AF_INET6)
attempt("good", lambda: socket.create_connection(("127.0.0.1", good)))
attempt("bad", lambda: socket.create_connection(("127.0.0.1", bad)))
attempt("any", lambda: socket.create_connection(("0.0.0.0", good)))
attempt("mapped", lambda: tcp6().connect(("::ffff:127.0.0.1", bad)))
attempt("non-blocking", lambda: socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK).connect(("127.0.0.1", bad)))
attempt("udp", lambda: socket.socket(type=socket.SOCK_DGRAM))
attempt("unix", lambda: socket.socket(socket.AF_UNIX))
attempt("mptcp", lambda: socket.socket(proto=262))
attempt("pair", lambda: socket.socketpair())
attempt("datagrams", lambda: socket.socketpair(type=socket.SOCK_DGRAM))
attempt("sendto", lambda: socket.socket().sendto(b"x", fast_open, ("127.0.0.1", bad)))
attempt("sendmsg", lambda: socket.socket().sendmsg([b"x"], [], fast_open, ("127.0.0.1", bad)))
END

cat > "$work/root.sh" << 'END'
# Run by fake-root in a directory of its own: what it sees, a line each.
echo "ids $(id -u) $(id -g)"
mkdir d && chown 12:34 d && stat -c '%n %u:%g %F' d
mkdir d 2> /dev/null || echo "twice: no"
touch f && stat -c 'own %u:%g' f && chown 7 f && stat -c 'chown %u:%g' f
ln -s f l && chown -h 5:6 l && stat -c 'link %u:%g' l && stat -L -c 'its target %u:%g' l
mknod n c 1 3 && stat -c '%n %F %t:%T' n
mkfifo p && stat -c '%n %F' p
rm f && touch g && stat -c 'new inode %u:%g' g
(umask 077 && mkdir m && stat -c 'umask %a' m)
chown :9 g && stat -c 'fd %u:%g' - < g
tar -cf t.tar d l n && mkdir x && tar -C x -xf t.tar && cd x && stat -c '%n %u:%g %F %t:%T' d l n
END
cat > "$work/root.expected" << 'END'
ids 0 0
d 12:34 directory
twice: no
own 0:0
chown 7:0
link 5:6
its target 7:0
n character special file 1:3
p fifo
new inode 0:0
umask 700
fd 0:9
d 12:34 directory 0:0
l 5:6 symbolic link 0:0
n 0:0 character special file 1:3
END
printf 'read: 1\nwrite: maybe\n' > "$work/bad.policy"
printf '{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_NO" }] }' > "$work/bad.json"
printf 'mkdir[arch=x86_64]: user-notify\nmkdirat: user-notify\n' > "$work/notify.policy"
printf '@include ./notify.policy\n' > "$work/include.policy"
printf '{ read, write }: return EIO\n' > "$work/braces.policy"
sed -n 's/.*= "\(.*\)".*/\1/p' "$work"/*/syscalls.h | sort -u > "$work/names"
chmod -R a+rX "$work"

seccomp_examples() {
    who=$1 dir=$2 become=$3
    for text in 'Read-only file system' 'slept 1000 seconds' 'still here' 'unshare failed: Operation not permitted' \
        'kill(1, 9): EPERM' 'kill(1, 15): allowed'; do
        expect "$who: seccomp says: $text" 0 "$text" $become "$dir/seccomp"
    done
    expect_line "$who: seccomp, a signal that passes" 0 ' *signal 15' $become "$dir/seccomp"
    expect_line "$who: seccomp, a program that the filter ends" 0 ' *signal 31: ended by the filter, system call [0-9]+' $become "$dir/seccomp"

    policies=$dir/policies
    policy="$become $dir/policy"
    expect "$who: policy --help" 0 'usage: policy [-d action] file program' $policy --help
    if [ -n "$python" ]; then
        expect "$who: policy, Python under its policy" 0 'a thread 2 [1, 4]' $policy "$policies/python3.policy" $python -I -c \
            'import json, threading, tempfile, time; t = threading.Thread(target=print, args=("a thread", 2, [1, 4])); t.start(); t.join()'
        expect "$who: policy, Python without its socket" 1 'Operation not permitted' $policy "$policies/python3.policy" $python -I -c 'import socket; socket.socket()'
        expect "$who: policy, Python without another process" 1 'Operation not permitted' $policy "$policies/python3.policy" $python -I -c 'import os; os.fork()'
        expect "$who: policy, Python under a container's profile" 0 '499500' $policy "$policies/container.json" $python -I -c 'print(sum(range(1000)))'
    else
        echo "skip - $who: policy, Python under a policy: there is no /usr/bin/python3"
    fi
    expect "$who: policy, a program that it ends" 159 'policy: ended for a system call that the policy does not allow' $policy "$policies/python3.policy" sync
    expect "$who: policy, another default" 1 'Operation not permitted' $policy -d eperm "$policies/python3.policy" mkfifo "$work/no-fifo"
    expect "$who: policy, a container's profile has no new namespace" 1 'Operation not permitted' $policy "$policies/container.json" unshare --user true
    expect "$who: policy, nobody answers where it asks" 1 'Function not implemented' $policy -d allow "$work/notify.policy" mkdir "$work/no-directory"
    expect "$who: policy, an @include beside the file" 1 'Function not implemented' $policy -d allow "$work/include.policy" mkdir "$work/no-directory"
    expect "$who: policy, one that begins with a brace is no JSON" 0 'read: fails: Input/output error (5)' $policy -e "$work/braces.policy" read
    expect "$who: policy, an error's line and column" 2 'bad.policy: policy:2:8:' $policy "$work/bad.policy" true
    expect "$who: policy, an error's JSON path" 2 'syscalls[0].action' $policy "$work/bad.json" true
    expect "$who: policy, a file that is missing" 2 'No such file or directory' $policy "$work/no-such-file" true
    expect "$who: policy, a program that is missing" 2 'policy: exec: execve "no-such-program"' $policy -d allow "$work/notify.policy" no-such-program
    expect "$who: policy --explain, one call" 0 'ptrace: fails: Operation not permitted (1)' $policy --explain "$policies/container.json" ptrace
    expect "$who: policy --explain, by arguments" 0 'socket(40, 1, 0): fails: Operation not permitted (1)' $policy --explain "$policies/container.json" 'socket(40, 1, 0)'
    expect "$who: policy --explain, by other arguments" 0 'socket(2, 1, 0): is allowed' $policy --explain "$policies/container.json" 'socket(2, 1, 0)'
    expect "$who: policy --explain, what arguments decide" 0 'clone: is allowed; or fails: Operation not permitted (1), by its arguments' \
        $policy --explain "$policies/container.json" clone
    expect "$who: policy --explain, no such call" 2 'no such system call: frobnicate' $policy --explain "$policies/container.json" frobnicate
    for file in "$policies/python3.policy" "$policies/container.json" /usr/share/containers/seccomp.json; do
        if [ ! -r "$file" ]; then
            echo "skip - $who: policy --explain $(basename "$file"): that file is not there"
            continue
        fi
        # Every call is told about once, and what is told the simulator says too, whatever the arguments.
        $policy --explain "$file" > "$work/explained"
        told=$(awk '/^What .*: [0-9]+$/ { n += $NF; next } on { n++ } /^What its arguments/ { on = 1 } END { print n + 0 }' "$work/explained")
        sed 's/$/()/' "$work/names" | xargs $policy --explain "$file" | sed 's/()//' > "$work/zeros"
        sed 's/$/(1, 2, 3, 4, 5, 18446744073709551615)/' "$work/names" | tr '\n' '\0' | xargs -0 $policy --explain "$file" | sed 's/(1.*615)//' > "$work/numbers"
        xargs $policy --explain "$file" < "$work/names" > "$work/one"
        sure=$(grep -vc ', by its arguments$' "$work/one")
        if [ "$told" = "$(wc -l < "$work/names")" ] && [ "$sure" -gt 200 ] && ! grep -v ', by its arguments$' "$work/one" | grep -vxFf "$work/zeros" &&
            ! grep -v ', by its arguments$' "$work/one" | grep -vxFf "$work/numbers"; then
            echo "ok - $who: policy --explain $(basename "$file") tells of every call what the simulator does"
        else
            echo "not ok - $who: policy --explain $(basename "$file") tells of every call what the simulator does: $told told, $sure sure"
        fi
    done

    expect_line "$who: strace-lite, a call that fails" 0 '\[[0-9]+\] openat\(.*\) = -2 \(No such file or directory\)' \
        $become "$dir/strace-lite" sh -c 'cat /no-such-file || true'
    expect_line "$who: strace-lite, the last call" 0 '\[[0-9]+\] exit_group\(0, .*\) = \?' $become "$dir/strace-lite" true
    expect_line "$who: strace-lite, the program's own code" 3 '\[[0-9]+\] exit code 3' $become "$dir/strace-lite" sh -c 'exit 3'
    expect_line "$who: strace-lite, a signal" 143 '\[[0-9]+\] signal 15' $become "$dir/strace-lite" sh -c 'kill -TERM $$'
    expect "$who: strace-lite, a program that is missing" 2 'strace-lite: exec: execve "no-such-program"' $become "$dir/strace-lite" no-such-program
    traced=$($become "$dir/strace-lite" sh -c 'true | cat; (exec true); true' 2>&1 | grep -o '^\[[0-9]*\]' | sort -u | wc -l)
    if [ "$traced" = 4 ]; then echo "ok - $who: strace-lite follows what the program starts"
    else echo "not ok - $who: strace-lite follows what the program starts: $traced processes instead of 4"; fi

    firewall="$become $dir/firewall -v -a 127.0.0.1:$good"
    expect "$who: firewall --help" 0 'usage: firewall [options] program' $firewall --help
    expect "$who: firewall, a bad address" 2 'not an address and a port: localhost:80' $become "$dir/firewall" -a localhost:80 true
    expect "$who: firewall, a bad port" 2 'not an address and a port: 127.0.0.1:65536' $become "$dir/firewall" -a 127.0.0.1:65536 true
    expect "$who: firewall, the program's own code" 3 '' $firewall sh -c 'exit 3'
    expect "$who: firewall, a thread that rewrites the address fools nobody" 0 'fooled 0, other 0' $firewall "$work/net" fool "$good" "$bad"
    if command -v curl > /dev/null; then
        expect "$who: firewall, curl reaches what is allowed" 0 'hello' $firewall curl -sS --noproxy '*' --http0.9 "http://127.0.0.1:$good/"
        expect "$who: firewall, curl reaches nothing else" 7 "connect to 127.0.0.1 port $bad: refused" $firewall curl -sS --noproxy '*' "http://127.0.0.1:$bad/"
    else
        echo "skip - $who: firewall, curl: there is no curl"
    fi
    if [ -n "$python" ]; then
        wanted='good worked;bad 13;any 13;mapped 13;non-blocking 13;udp 13;unix 13;mptcp 13;pair worked;datagrams 13;sendto 95;sendmsg 95;'
        seen=$($firewall $python -I "$work/around.py" "$good" "$bad" 2> /dev/null | tr '\n' ';')
        if [ "$seen" = "$wanted" ]; then echo "ok - $who: firewall, no way around connect"
        else echo "not ok - $who: firewall, no way around connect: $seen instead of $wanted"; fi
    else
        echo "skip - $who: firewall, no way around connect: there is no /usr/bin/python3"
    fi

    mkdir -m 1777 "$work/root.$who"
    mine=$work/root.$who/d
    expect "$who: fake-root --help" 0 'usage: fake-root [-p policy] program' $become "$dir/fake-root" --help
    expect "$who: fake-root, the program's own code" 3 '' $become "$dir/fake-root" sh -c 'exit 3'
    (umask 022 && $become mkdir "$mine" && cd "$mine" && $become env -C "$mine" "$dir/fake-root" sh "$work/root.sh" > "$work/root.seen" 2>&1)
    if cmp -s "$work/root.seen" "$work/root.expected"; then echo "ok - $who: fake-root, what the program sees"
    else diff "$work/root.expected" "$work/root.seen" | sed 's/^/# /'; echo "not ok - $who: fake-root, what the program sees"; fi
    owner=$($become id -u)
    if [ "$(find "$mine" -not -type f -not -type d -not -type l -not -type p | wc -l)" = 0 ] && [ "$(find "$mine" ! -uid "$owner" | wc -l)" = 0 ] &&
        [ "$(find "$mine" | wc -l)" -gt 10 ]; then
        echo "ok - $who: fake-root, the files stay the user's"
    else
        echo "not ok - $who: fake-root, the files stay the user's: $(find "$mine" -ls)"
    fi
    expect "$who: fake-root, under a container's profile too" 0 '12:34' $become env -C "$mine" "$dir/fake-root" -p "$policies/container.json" \
        sh -c 'mkdir again && chown 12:34 again && stat -c %u:%g again'
}

for compiler in gcc clang; do
    [ -x "$work/$compiler/fake-root" ] || continue
    if [ "$(id -u)" = 0 ]; then seccomp_examples "$compiler, root" "$work/$compiler" as_root
    else echo "skip - $compiler: seccomp examples as root: this is an ordinary user"; fi
done
dir=$work/gcc
[ -d "$dir" ] || dir=$work/clang
if [ "$(id -u)" != 0 ]; then seccomp_examples "ordinary user" "$dir" as_root
elif command -v setpriv > /dev/null; then seccomp_examples "ordinary user" "$dir" as_user
else echo "skip - seccomp examples as an ordinary user: there is no setpriv (util-linux)"; fi

# The demo, as it is and as on a machine without Python.
if [ -d "$work/gcc" ]; then demo=$work/gcc; else demo=$work/clang; fi
expect "demo" 0 'All ended as they should.' "$demo/demo.sh"
for text in 'rlimit[0]' 'no new privileges' ' words' 'ended: exit code 0' 'ended: signal 9 (killed: TIME LIMIT)' 'not started: stage cwd[0], code -2' \
    'working directory "/no/such/directory": No such file or directory' 'execve: is allowed' 'uid=0(root)' 'drwxr-xr-x 2 1000 1000'; do
    expect "demo shows: $text" 0 "$text" "$demo/demo.sh"
done
"$demo/demo.sh" > "$work/out" 2>&1
if grep -q 'this must not be seen' "$work/out"; then echo "not ok - demo: a program ran whose sandbox failed"; fi
if command -v python3 > /dev/null; then
    expect_line "demo: a connection that the supervisor makes" 0 '  \| port [0-9]+: a page of the server on port [0-9]+' "$demo/demo.sh"
    expect_line "demo: a connection that it refuses" 0 '  \| port [0-9]+: \[Errno 13\] Permission denied' "$demo/demo.sh"
    expect "demo: the program sees its limits and three fds" 0 'open fds 0, 1, 2 | environment PATH | directory /' "$demo/demo.sh"
else
    echo "skip - demo: the program sees its limits and three fds: there is no python3"
fi
mkdir "$work/bin"
for tool in sh awk dirname mktemp mkdir chown mknod ls id rm; do ln -s "$(command -v $tool)" "$work/bin/$tool"; done
expect "demo without python3" 0 'No python3 here' env PATH="$work/bin" "$demo/demo.sh"
expect "demo without python3 counts words all the same" 0 'words; the most frequent' env PATH="$work/bin" "$demo/demo.sh"

# An uninstalled library is said so, not guessed at.
expect "examples without the library say what to do" 2 'PKG_CONFIG_PATH' env PKG_CONFIG_PATH= make -C "$demo" clean all

# The README's C: compiled as a reader would, run, and the first short.
number=0
for program in readme supervised contained; do
    number=$((number + 1))
    awk -v number=$number '/^```c$/ { on = ++n == number; next } /^```$/ { on = 0 } on' "$ROOT/README.md" > "$work/$program.c"
done
cat >> "$work/supervised.c" << 'END'
int main(int argc, char **argv) {
    sandbox_cmd *cmd = sandbox_cmd_new(argv[argc - 4]);
    sandbox_cmd_args(cmd, (const char *const *)argv + argc - 3);
    run(cmd);
    sandbox_cmd_free(cmd);
}
END
for compiler in gcc clang; do
    command -v $compiler > /dev/null || continue
    for program in readme supervised contained; do
        # shellcheck disable=SC2046
        expect "the README's C ($program) compiles with $compiler" 0 '' $compiler -std=c11 -Wall -Wextra -pedantic -Werror "$work/$program.c" -o "$work/$program" \
            $(pkg-config --cflags --libs sandbox_spawn) -Wl,-rpath,"$(pkg-config --variable=libdir sandbox_spawn)"
    done
    expect "the README's C, built with $compiler, runs" 0 'exit code 0' "$work/readme"
    expect "the README's container, built with $compiler, runs" 0 'exit code 1, CPU' "$work/contained"
    expect "the README's container, built with $compiler, has a root of its own" 0 'data' "$work/contained"
    expect_line "the README's supervisor, built with $compiler, is asked" 0 'process [0-9]+ wants to connect' "$work/supervised" "$work/net" fool "$good" "$bad"
    expect "the README's supervisor, built with $compiler, refuses" 0 'reached 0, refused 2000, fooled 0, other 0' "$work/supervised" "$work/net" fool "$good" "$bad"
done
lines=$(grep -c . "$work/readme.c")
if [ "$lines" -le 15 ]; then echo "ok - the README's C is 15 lines at most"
else echo "not ok - the README's C is 15 lines at most: $lines"; fi
lines=$(sed '/^\/\*/,/\*\//d' "$ROOT/examples-c/hello.c" | grep -c .)
if [ "$lines" -lt 20 ]; then echo "ok - hello.c has fewer than 20 lines of code"
else echo "not ok - hello.c has fewer than 20 lines of code: $lines"; fi
