# Real programs in containers: python3, gcc, git, node, a shell with a thousand processes; the examples container, judge
# and netns. As root, where this is root, and as an ordinary user.
set -u
work=$(mktemp -d /var/tmp/sandbox-spawn-real.XXXXXX) || exit 1
made_user=
finish() {
    rm -rf "$work"
    [ -z "$made_user" ] || userdel sandbox-real 2>/dev/null
}
trap finish EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"

cp -r "$ROOT/examples-c" "$work/examples"
cp -P "$PREFIX"/lib/libsandbox_spawn.so* "$work/"
make -s -C "$work/examples" clean >/dev/null
if ! make -s -C "$work/examples" container judge netns LDFLAGS="-Wl,-rpath,$work" >"$work/log" 2>&1; then
    echo "not ok - the examples build: $(grep -m1 error "$work/log")"
    exit
fi
chmod -R go+rX "$work"

# expect WHO NAME CODE PATTERN COMMAND...: it ends with that code, and a line of its output matches.
expect() {
    local who=$1 name="$1: $2" wanted=$3 pattern=$4 code
    shift 4
    local before=()
    [ "$who" = user ] && before=("${become[@]}")
    (cd "$work/$who" && exec timeout --kill-after=5 120 "${before[@]}" env HOME="$work/$who" TMPDIR="$work/$who" PATH=/usr/local/bin:/usr/bin:/bin "$@") </dev/null >"$work/out" 2>&1
    code=$?
    if [ $code = "$wanted" ] && { [ -z "$pattern" ] || grep -qE -e "$pattern" "$work/out"; }; then echo "ok - $name"; return; fi
    sed 's/^/# /' "$work/out" | tail -n 20
    echo "not ok - $name: code $code, not $wanted, or no line matches \"$pattern\""
}

program() { # WHO NAME PROGRAM CODE PATTERN COMMAND...: skipped where there is no such program
    local who=$1 name=$2 what=$3
    shift 3
    if [ -x "$what" ]; then expect "$who" "$name" "$@"; else echo "skip - $who: $name: there is no $what"; fi
}

look='import os,sys; print(os.getpid() != 1, sorted(os.listdir("/"))); print(os.getuid(), os.listdir("/proc/self/fd"))'
library='
import concurrent.futures, json, multiprocessing, socket, sqlite3, subprocess, tempfile, threading
assert subprocess.run(["sh", "-c", "echo hi; exit 3"], capture_output=True).stdout == b"hi\n"
with concurrent.futures.ThreadPoolExecutor(8) as pool: assert sum(pool.map(len, ["a"] * 1000)) == 1000
with multiprocessing.Pool(4) as pool: assert pool.map(abs, range(-100, 0)) == list(range(100, 0, -1))
base = sqlite3.connect(tempfile.mkstemp()[1]); base.execute("create table t (n)"); base.execute("insert into t values (7)")
server = socket.create_server(("127.0.0.1", 0)); client = socket.create_connection(server.getsockname()); client.send(b"x")
print("all of it works", base.execute("select n from t").fetchone()[0])
try: open("/usr/new", "w"); print("wrote")
except OSError as error: print(error.strerror)
'

real_programs() {
    local who=$1 container=$work/examples/container
    mkdir -p "$work/$who"
    [ "$who" = user ] && chown "$(id -u "$user"):$(id -g "$user")" "$work/$who"
    mkdir -p "$work/$who/out"
    chmod 1777 "$work/$who/out"

    expect $who "an exit code of its own" 7 '' "$container" sh -c 'exit 7'
    expect $who "a signal of its own" 143 '' "$container" sh -c 'kill -TERM $$'
    expect $who "what can't be started is 125, with the reason" 125 'container: exec: execve "no-such-program": No such file' "$container" no-such-program
    expect $who "a source that does not exist is 125, with its name" 125 'no such file or directory: /nonexistent' "$container" -b /nonexistent true
    expect $who "the explanation names the root's parts in order" 0 'bind.* "/usr"' "$container" -e true
    expect $who "it is root inside, alone, in a small root" 0 "^0 container [3-6] bin dev etc lib.* proc root .*usr" \
        "$container" sh -c 'echo $(id -u) $(cat /proc/sys/kernel/hostname) $(ls -d /proc/[0-9]* | grep -cv -e "/$$\$") $(ls /)'
    expect $who "it can't write to the system" 0 'Read-only file system' "$container" sh -c 'echo x > /usr/x 2>&1; true'
    expect $who "it has no capability and no network but loopback" 0 '^0000000000000000 lo$' \
        "$container" sh -c 'echo $(sed -n "s/CapEff:\t//p" /proc/self/status) $(sed -n "s/ *\(.*\):.*/\1/p" /proc/net/dev)'
    expect $who "what it leaves running is gone" 0 'started' "$container" sh -c '(sleep 654321 &); echo started'
    if grep -als '^sleep.65432[1]' /proc/[0-9]*/cmdline >/dev/null; then echo "not ok - $who: a descendant outlived its container"; else echo "ok - $who: no descendant outlives its container"; fi

    program $who "python3 sees the small root" /usr/bin/python3 0 "True \['bin'.*'usr'\]" "$container" /usr/bin/python3 -c "$look"
    program $who "python3: threads, processes, pipes, a database, loopback" /usr/bin/python3 0 'all of it works 7' "$container" /usr/bin/python3 -c "$library"
    program $who "python3 can't write to the system" /usr/bin/python3 0 '^Read-only file system$' "$container" /usr/bin/python3 -c "$library"
    program $who "gcc compiles an example of this library" /usr/bin/gcc 0 'ELF' "$container" -b "$work/examples:/src" -b "$PREFIX:/prefix" -b "$work/$who/out:/out:rw" \
        sh -c 'gcc -O2 -I/prefix/include -o /out/limits /src/limits.c -L/prefix/lib -lsandbox_spawn && head -c 4 /out/limits && echo'
    local repository=$work/$who/repository
    rm -rf "$repository"
    local before=()
    [ "$who" = user ] && before=("${become[@]}")
    if command -v git >/dev/null; then
        "${before[@]}" env HOME="$work/$who" sh -c "cd '$work/$who' && git init -q repository && cd repository && echo text > file && git add file && git -c user.name=n -c user.email=e commit -qm first" >/dev/null 2>&1
        expect $who "git clones a repository that is bound in" 0 '^text$' "$container" -b "$repository:/repository" -b "$(dirname "$(readlink -f "$(command -v git)")")" \
            sh -c 'cd /tmp && PATH=$PATH:/usr/local/bin git -c safe.directory="*" clone -q /repository copy && cat copy/file'
    else
        echo "skip - $who: git clones a repository that is bound in: there is no git"
    fi
    local node
    if node=$(readlink -f "$(command -v node)") && [ -n "$node" ] && [ -x "$node" ]; then
        expect $who "node: its event loop, a worker, a child" 0 '^3 worker done 0$' "$container" -b "$node" "$node" -e '
            const { Worker } = require("worker_threads"), { spawnSync } = require("child_process");
            const code = spawnSync("sh", ["-c", "exit 3"]).status;
            new Worker("require(\"worker_threads\").parentPort.postMessage(\"worker\")", { eval: true })
                .on("message", (m) => setTimeout(() => console.log(code, m, "done", process.getuid()), 10));'
    else
        echo "skip - $who: node: there is none"
    fi
    expect $who "a shell with a thousand processes in one pipeline" 0 '^a thousand$' "$container" sh -c \
        'pipe=cat; n=1; while [ $n -lt 1000 ]; do pipe="$pipe|cat"; n=$((n + 1)); done; echo a thousand | eval "$pipe"'
    expect $who "a thousand processes one after the other, eight at a time" 0 '^1000$' "$container" sh -c 'seq 1000 | xargs -P 8 -n 1 echo | wc -l'

    expect $who "netns: the host's client is refused" 0 'port 4711: Connection refused' "$work/examples/netns"
    expect $who "netns: one that joins is served" 0 'port 4711 says: Only you can hear me' "$work/examples/netns"

    local judge=$work/examples/judge tests=$work/examples/judge.d/tests
    judged() { expect $who "judge: $1.c, $2" $3 "$4" "$judge" -t 0.5 "$tests" "$work/examples/judge.d/submissions/$1.c"; }
    judged right accepted 0 '2-large.in +accepted'
    judged wrong 'a wrong answer' 1 '2-large.in +wrong answer'
    judged slow 'a time limit' 1 'time limit'
    judged chatty 'an output limit' 1 'output limit'
    judged crash 'a signal' 1 'runtime error: Segmentation fault'
    judged hungry 'memory' 1 'memory limit|runtime error: (Aborted|Segmentation fault)'
    judged bomb 'fork refused' 1 'runtime error: exit code 3'
    judged spy 'no file of the host' 1 'runtime error: exit code 4'
    judged broken 'what does not compile' 1 'does not compile: error: expected'
    if [ -z "$(find "$work/$who" -name 'judge-*')" ]; then echo "ok - $who: judge leaves no file"; else echo "not ok - $who: judge leaves a file"; fi
}

become=()
if [ "$(id -u)" = 0 ]; then
    real_programs root
    if ! id sandbox-real >/dev/null 2>&1 && useradd --no-create-home --shell /usr/sbin/nologin sandbox-real >/dev/null 2>&1; then made_user=1; fi
    user=sandbox-real
    id "$user" >/dev/null 2>&1 || user=nobody
    become=(setpriv --reuid "$(id -u "$user")" --regid "$(id -g "$user")" --clear-groups --inh-caps=-all)
else
    user=$(id -un)
fi
real_programs user
