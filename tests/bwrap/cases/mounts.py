"""The kernel's own trees, the flags of every mount, and links and mounts of the host's that might lead out."""
import os

from table import FULL, PROC, USR, case, scene

INFO = "exec cat /proc/self/mountinfo"
FLAGS = "mount of .* is seen"

case("mounts: /usr and /proc", run=INFO, base=PROC, mounts=True, out="^/usr ")
case("mounts: with /dev", run=INFO, base=FULL, mounts=True, out="^/dev/null ")
case("mounts: in a new user namespace", "--unshare-user", run=INFO, base=FULL, mounts=True, out="^/usr ")
case("mounts: in a pid namespace", "--unshare-pid", run=INFO, base=FULL, mounts=True, out="^/usr ")
case("mounts: the host's tree read-only", "--ro-bind / /", run=INFO, base="", mounts=True, out="^/ ")
case("mounts: the host's tree writable", "--bind / /", run=INFO, base="", mounts=True, out="^/ ")
case("mounts: the host's tree with devices", "--dev-bind / /", run=INFO, base="", mounts=True, out="^/ ")
case("mounts: the host's tree read-only, /proc and /dev new", "--ro-bind / / --proc /proc --dev /dev --tmpfs /tmp", run=INFO, base="", mounts=True, out="^/tmp tmpfs")
case("mounts: binds of every kind", "--bind {d}/data /a --ro-bind {d}/data /b --dev-bind {d}/data /c --ro-bind {d}/data/file /f", run=INFO, base=PROC, mounts=True, out="^/a .*nodev.*nosuid")
case("mounts: tmpfs of every kind", "--tmpfs /a --size 65536 --tmpfs /b --perms 0700 --tmpfs /c --tmpfs /d --remount-ro /d", run=INFO, base=PROC, mounts=True, out="^/b tmpfs .*size=64k")
case("mounts: data", "--ro-bind-data {f} /a --bind-data {g} /b", run=INFO, base=PROC, mounts=True, fds={"f": b"1", "g": b"2"}, out="^/a tmpfs .*ro")
case("mounts: the root read-only", "--remount-ro /", run=INFO, base=PROC, mounts=True, out="^/ tmpfs .*ro")
case("mounts: mqueue", "--unshare-ipc --mqueue /q", run=INFO, base=PROC, mounts=True, out="^/q mqueue")

# --dev
case("--dev: what is in it", run="find /dev -printf '%p %y %m %l\\n' | sort", base=FULL, out="^/dev/null c 666")
case("--dev: whose it is", run="stat -c '%n %u %g %t:%T' /dev /dev/null /dev/shm /dev/zero /dev/urandom", base=FULL, out="^/dev/null .*1:3$")
case("--dev: its devices work", run="head -c 4 /dev/zero | od -An -c; head -c 9 /dev/urandom | wc -c; echo x > /dev/null; cat /dev/zero | head -c 1 > /dev/full", base=FULL, code=1, out="^9$", err="No space left")
case("--dev: /dev/shm can be written to", run="echo x > /dev/shm/x && cat /dev/shm/x", base=FULL, out="^x$")
case("--dev: /dev itself can be written to", run="echo x > /dev/x && cat /dev/x", base=FULL, out="^x$")
case("--dev: standard fds", run="echo in | cat /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/fd/3 3</usr/bin/nothing 3</dev/null", base=FULL, code=None, out="^in$", err="^err$")
case("--dev: a pseudo terminal", base=FULL, command=["/usr/bin/python3", "-c", "import os; a, b = os.openpty(); os.write(b, b'x'); print(os.read(a, 1), os.ttyname(b))"], out="/dev/pts/0")
case("--dev elsewhere", "--dev /other/dev", "ls /other/dev; head -c 3 /other/dev/zero | wc -c", out="^3$")
case("--dev over a bound /dev", "--dev-bind /dev /dev --dev /dev", "ls /dev", out="^null$")
case("--dev with a bind inside", "--dev /dev --bind {d}/data /dev/x --tmpfs /dev/shm", "cat /dev/x/file; stat -c %a /dev/shm", out="^secret$")
# /dev/pts itself is root's, who is somebody there with bubblewrap, which is root of one more user namespace for it.
case("--dev in a new user namespace", "--unshare-user", "find /dev -not -name pts -printf '%p %y %m %U %l\\n' | sort", base=FULL, out="^/dev/null c 666")
case("--dev: no new device works", run="mknod /dev/mine c 1 3; head -c 1 /dev/mine", base=FULL, code=1, err="not permitted|denied")

# --proc
case("--proc", run="ls -d /proc/self /proc/sys /proc/1 && stat -f -c %T /proc", base=PROC, out="^proc$")
case("--proc in a pid namespace shows the sandbox alone", "--unshare-pid", "echo /proc/[0-9]*", base=PROC, out="^/proc/1 /proc/2$")
case("--proc elsewhere", "--proc /p", "cat /p/self/comm", out="^cat$")
# Stricter here: covered for root and for whoever owns the namespaces, too.
case("--proc: what may be written", run="for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/sys/vm/overcommit_memory; do test -w $f; echo $f $?; done", base=PROC, same=False, out="hostname 1\n(.*\n)*.*overcommit_memory 1$")
case("--proc: the sysctls of the sandbox's own namespaces can't be written to", "--unshare-user --uid 0 --gid 0 --unshare-ipc --unshare-net --cap-add ALL", run="for f in kernel/msgmax net/ipv4/ip_forward; do echo 1 > /proc/sys/$f && echo written; done; echo end", base=PROC, same=False, code=0, out="^end$")
case("--proc: /proc/sys can't be written to", run="echo 7 > /proc/sys/vm/no-such-file", base=PROC, code=2, err="cannot create")
case("--proc twice", "--proc /proc --proc /p", "ls -d /proc/self /p/self", out="^/p/self$")
case("the host's /proc bound", "--ro-bind /proc /proc", "ls -d /proc/1", out="^/proc/1$")

# --mqueue
case("--mqueue", "--unshare-ipc --mqueue /dev/mqueue", "stat -f -c %T /dev/mqueue; stat -c %F /dev/mqueue; ls -A /dev/mqueue | wc -l", base=FULL, out="^0$")
case("--mqueue without a namespace", "--mqueue /q", "stat -f -c %T /q", code=None)

# Ways out
case("a link in a bind leads nowhere outside", "--ro-bind {d} /x", "readlink /x/link; cat /x/link/file; cat /x/broken", code=1, out="^secret$")
case("no way out by ..", run="cd / && cd ../../.. && ls -d bin usr home", code=2, out="^usr$")
case("no mount may be changed inside", run="mount -o remount,rw,bind /usr; umount /usr; mount -t tmpfs none /usr", base=PROC, code=None, who="user", err="must be superuser|permission denied|not permitted|only root")
case("no chroot, no unshare of mounts", run="chroot /usr true; unshare -m true", who="user", code=1, err="not permitted")
case("as root of a nested user namespace: a read-only bind stays so", "--unshare-user --disable-userns --uid 0 --gid 0 --cap-add ALL --ro-bind {d} /x", "mount -o remount,rw,bind /x; umount /x; touch /x/y", base=PROC, code=1, err="Read-only")
case("suid programs have no effect", "--tmpfs /t", "cp /usr/bin/id /t/id && chmod 4755 /t/id && /t/id -u", code=None)
case("devices in a bind are dead", "--bind {d}/data /x --bind /dev/zero /x/zero", "head -c 1 /x/zero", code=1, err="denied")


# Targets through links that a stranger left in a writable tree: where they lead outside, nothing is made there.
for option, words in (("--dir", ["--dir", "/x/{l}/made"]), ("--tmpfs", ["--tmpfs", "/x/{l}/made"]), ("--bind", ["--bind", "{d}/data", "/x/{l}/made"]),
                      ("--symlink", ["--symlink", "y", "/x/{l}/made"]), ("--ro-bind of a file", ["--ro-bind", "{d}/data/file", "/x/{l}/made"])):
    for kind, target in (("absolute", "{d}/other"), ("relative", "../" * 12 + "{d}/other")):
        def play(program, words=words, target=target):
            os.mkdir(program.directory + "/tree")
            os.symlink(program.words([target], {})[0], program.directory + "/tree/evil")
            program.run([*USR.split(), "--bind", "{d}/tree", "/x"] + [word.replace("{l}", "evil") for word in words], ["true"])
            return "made" if os.path.lexists(program.directory + "/other/made") else "nothing"
        scene(f"{option} through a link to elsewhere, {kind}: nothing is made there", out="nothing")(play)
case("targets with .. in them", "--dir /a --tmpfs /a/../b --bind {d} /b/./c/../d/ --symlink ../x /b/c/../../s --file {f} /b/d/../file --chmod 0700 /a/../b/file",
     "ls -d /b/d /b/file; stat -c '%n %a %F' /b /b/file; readlink /s; cat /b/file", fds={"f": b"text"}, out="text$")
case("a target with .. at its end", "--dir /a/b --dir /a/b/../c/.. --tmpfs /a/b/..", "ls /a")
