"""Twenty command lines of the kind that programs in use really write, each with a job inside and with what it must not
be able to do. The shapes are those of desktop sandboxes, image loaders, coding agents, package builds and shells."""
import os

from table import Path, case

from cases.descriptors import FULL_DISK, refuse, zeros

# `refused COMMAND`: that it fails is as it should be.
SHELL = """set -e
refused() { if ("$@") >/dev/null 2>&1; then echo "DONE: $*"; else echo refused; fi; }
put() { echo x > "$1"; }
reach() { python3 -c 'import socket; socket.create_connection(("192.0.2.1", 9), 0.2)'; }
"""
FILTER = refuse("mknod", FULL_DISK)  # any will do, if it can be seen to work


def wild(name, options, script, out, **fields):
    """`out` must be seen, something refused, and nothing done that is to be refused."""
    case("in the wild: " + name, options, base="", command=["bash", "-c", SHELL + script],
         out=r"(?s)\A(?!.*DONE:)(?=.*refused).*" + out, **fields)


LINKS = "--symlink usr/bin /bin --symlink usr/sbin /sbin --symlink usr/lib /lib --symlink usr/lib64 /lib64"

# Desktop applications
wild("an application of a desktop store, its options by --args",
     "--args {a} --",
     "python3 -c 'import os, pwd; print(\"app\", pwd.getpwuid(os.getuid()).pw_name, os.environ[\"XDG_RUNTIME_DIR\"])'; cat /.flatpak-info; stat -c %a /run/user/me; echo $PPID; refused mkfifo /tmp/pipe; refused cat {d}/data/file; refused put /usr/x; refused put /app/x",
     r"app me /run/user/me\n\[Application\]\n.*700\n1\n",
     fds={"a": zeros(*("--ro-bind /usr /usr --ro-bind {d}/data /app --proc /proc --dev /dev --tmpfs /tmp --dir /var/tmp --symlink /run /var/run --perms 0700 --dir /run/user/me "
                       "--ro-bind-data 41 /etc/passwd --ro-bind-data 42 /etc/group --perms 0600 --ro-bind-data 43 /.flatpak-info --ro-bind-try /etc/fonts /etc/fonts "
                       "--ro-bind-try /etc/ld.so.cache /etc/ld.so.cache --ro-bind-try /nonexistent/themes /run/host/share/themes --dev-bind-try /dev/dri /dev/dri "
                       "--setenv XDG_RUNTIME_DIR /run/user/me --setenv XDG_DATA_DIRS /app/share:/usr/share --unsetenv TMPDIR --unshare-user --uid 1000 --gid 1000 --unshare-pid --unshare-ipc "
                       "--seccomp 44 --die-with-parent " + LINKS).split()),
          "p": b"me:x:1000:1000::/home/me:/bin/sh\n", "g": b"me:x:1000:\n", "i": b"[Application]\nname=org.example.App\n", "s": FILTER})
wild("a browser's web process",
     "--die-with-parent --unshare-pid --unshare-uts --unshare-net --unshare-ipc --ro-bind /usr /usr " + LINKS + " --ro-bind-try /etc/ld.so.cache /etc/ld.so.cache --ro-bind-try /etc/fonts /etc/fonts "
     "--ro-bind-try /etc/ssl /etc/ssl --ro-bind-try /usr/share/nothing /usr/share/nothing --dev /dev --proc /proc --tmpfs /tmp --tmpfs /run --dev-bind-try /dev/dri /dev/dri --dev-bind-try /dev/nvidia0 /dev/nvidia0 "
     "--perms 0700 --dir /run/user --setenv GTK_USE_PORTAL 1 --unsetenv LD_PRELOAD --bind {d}/other {d}/other --ro-bind {d}/data {d}/data --seccomp {s}",
     "python3 -c 'import json; print(json.dumps({\"page\": open(\"{d}/data/file\").read()}))'; put {d}/other/cache; refused put {d}/data/x; refused reach; refused mkfifo /tmp/pipe; refused ls {d}/empty; uname -n >/dev/null",
     r'\{"page": "secret', fds={"s": FILTER})
wild("an image loader that reads a picture on stdin",
     "--unshare-all --die-with-parent --chdir / --ro-bind /usr /usr --dev /dev --ro-bind-try /etc/ld.so.cache /etc/ld.so.cache --ro-bind-try /etc/nsswitch.conf /etc/nsswitch.conf "
     "--tmpfs /tmp-home --tmpfs /tmp-run --clearenv --setenv HOME /tmp-home --setenv XDG_RUNTIME_DIR /tmp-run --setenv PATH /usr/bin " + LINKS + " --seccomp {s}",
     "python3 -c 'import struct, sys; head = sys.stdin.buffer.read(24); print(head[1:4].decode(), *struct.unpack(\">II\", head[16:24]))'; refused reach; refused cat {d}/data/file; refused mkfifo /tmp-run/pipe; refused put /usr/x; env | grep -c SECRET || true",
     r"PNG 640 480\n", stdin=b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0" + b"\0" * 100000, fds={"s": FILTER}, env={"SECRET": "x"})
wild("a thumbnailer: a file in, a picture out",
     "--ro-bind /usr /usr --ro-bind-try /etc/ld.so.cache /etc/ld.so.cache --ro-bind-try /etc/alternatives /etc/alternatives --ro-bind-try /nonexistent /var/cache/fontconfig " + LINKS + " --proc /proc --dev /dev --chdir / --setenv GIO_USE_VFS local "
     "--unshare-all --die-with-parent --bind {d}/other /out --ro-bind {d}/data/file /in/picture.txt --seccomp {s}",
     "python3 -c 'open(\"/out/picture.ppm\", \"wb\").write(b\"P5 2 2 255\\n\" + bytes(len(open(\"/in/picture.txt\").read())))'; wc -c < /out/picture.ppm; refused put /in/picture.txt; refused ls {d}; refused reach",
     r"18\n", fds={"s": FILTER})
wild("a game in a runtime of its own, the host's tree below /run/host",
     "--args {a} --chdir {d}/other --unshare-pid --lock-file /run/lock/runtime -- ",
     "pwd; ls /run/host/usr >/dev/null; readlink /etc/os; cat {d}/other/more; refused put /usr/x; refused put /run/host/usr/x; refused put /x; refused cat {d}/data/file",
     r"<d>/other\n/run/host/usr/lib\nmore\n",
     fds={"a": zeros(*(LINKS + " --ro-bind /usr /usr --ro-bind /usr /run/host/usr --ro-bind-try /etc/ld.so.cache /run/host/etc/ld.so.cache --ro-bind-try /nonexistent/overrides /overrides "
                       "--symlink /run/host/usr/lib /etc/os --tmpfs /run/lock --file 41 /run/lock/runtime --dev-bind /dev /dev --proc /proc --tmpfs /tmp --bind {d}/other {d}/other --remount-ro / "
                       "--setenv LD_LIBRARY_PATH /overrides/lib --unsetenv LD_PRELOAD").split()),
          "l": b""})

# Coding agents
AGENT = "--new-session --die-with-parent --unshare-net --ro-bind / / --bind {d}/data {d}/data --ro-bind {d}/data/sub {d}/data/sub --dev /dev --unshare-pid --proc /proc --chdir {d}/data"
wild("an agent's shell: everything readable, the project writable, its hooks not, no network", AGENT + " --",
     "python3 -m compileall -q . ; echo 'print(6 * 7)' > made.py; python3 made.py; refused put sub/hook; refused put ../other/file; refused put /etc/x; refused reach; echo $PPID", r"42\n.*1\n")
wild("an agent's shell with secrets hidden",
     "--new-session --die-with-parent --ro-bind / / --tmpfs {d}/other --ro-bind /dev/null {d}/data/file --tmpfs /tmp --dev /dev --proc /proc --unshare-all --share-net --bind {d}/work {d}/work --chdir {d}/work --setenv SANDBOX 1",
     "git init -q . && git -c user.name=a -c user.email=b commit -q --allow-empty -m first && git log --format=%s; rm -rf .git; ls -A {d}/other | wc -l; refused put {d}/data/new; refused cat {d}/data/file; refused test -s {d}/data/file; refused test -e {d}/other/more; echo $SANDBOX",
     r"first\n0\n.*1\n", env={"HOME": "{d}/work"})
wild("an agent's command: a user namespace, writable roots with read-only parts, a filter",
     "--new-session --die-with-parent --ro-bind / / --dev /dev --bind {d} {d} --ro-bind {d}/data {d}/data --ro-bind {d}/other {d}/other --perms 1777 --tmpfs /tmp --unshare-user --unshare-pid --unshare-net --proc /proc --seccomp {s} --chdir {d}/work --",
     "seq 1000 | awk '{ s += $1 } END { print s }' > sum; cat sum; mktemp /tmp/x.XXXXXX >/dev/null; refused put {d}/data/x; refused put {d}/other/x; refused mkfifo {d}/work/pipe; refused reach", r"500500\n", fds={"s": FILTER})
wild("generated Python: its own tree, no network, a small /tmp, a bare environment",
     "--ro-bind /usr /usr " + LINKS + " --proc /proc --dev /dev --size 1048576 --tmpfs /tmp --ro-bind {d}/data /app --unshare-all --die-with-parent --new-session --clearenv --setenv PATH /usr/bin:/bin --setenv HOME /tmp --chdir /tmp --cap-drop ALL --hostname sandbox --seccomp {s}",
     "python3 -c 'import sys, statistics; print(statistics.mean([1, 2, 6]), open(\"/app/file\").read().strip())'; uname -n; refused head -c 2000000 /dev/zero \\> /tmp/x; refused sh -c 'head -c 2000000 /dev/zero > /tmp/y'; refused put /app/x; refused reach; refused ls /home; refused mkfifo /tmp/pipe",
     r"3 secret\nsandbox\n", fds={"s": FILTER}, env={"SECRET": "x"})

# Package builds and CI
BUILD = "--unshare-user --unshare-ipc --unshare-pid --unshare-uts --unshare-cgroup --new-session --die-with-parent --ro-bind / / --dev /dev --proc /proc --perms 1777 --tmpfs /tmp"
HELLO = "#include <stdio.h>\nint main(void) { puts(\"built\"); }\n"
wild("a package's make and gcc, with a filter and no network", BUILD + " --unshare-net --seccomp {s} --bind {d}/work {d}/work --chdir {d}/work",
     "printf '" + HELLO.replace("\n", "\\n").replace('"', '\\"').replace("\\\"", '"') + "' > hello.c; printf 'hello: hello.c\\n\\tcc -o $@ $<\\n' > Makefile; make -s; ./hello; rm hello; refused put {d}/data/file; refused put /usr/local/x; refused reach; refused mkfifo {d}/work/pipe",
     r"built\n", fds={"s": FILTER})
wild("a build whose inputs alone are there, at their own paths",
     "--tmpfs / --ro-bind /usr /usr --ro-bind {d}/data {d}/data --dir /build --chdir /build --bind {d}/work /build --dev /dev --proc /proc --perms 1777 --tmpfs /tmp " + LINKS + " --unshare-all --uid 1000 --gid 100 --clearenv --setenv PATH /usr/bin --setenv HOME /homeless --setenv out /build/out --setenv SOURCE_DATE_EPOCH 1 --die-with-parent --hostname localhost",
     "mkdir $out; tar --sort=name --mtime=@1 --owner=0 --group=0 -cf $out/data.tar -C {d}/data file; tar -tvf $out/data.tar | cut -c1-10; id -u; uname -n; rm -r $out; refused put {d}/data/x; refused ls {d}/other; refused ls /etc/passwd; refused reach; refused cd $HOME",
     r"-rw-r--r--\n1000\nlocalhost\n")
wild("a Debian package, built as root of a user namespace",
     "--unshare-user --uid 0 --gid 0 --unshare-pid --unshare-net --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --bind {d}/work /mnt --chdir /mnt --die-with-parent",
     "mkdir -p p/DEBIAN p/usr/bin; printf 'Package: p\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <b@c>\\nDescription: d\\n' > p/DEBIAN/control; echo > p/usr/bin/p; dpkg-deb -b p >/dev/null; dpkg-deb -c p.deb | awk '/bin.p$/ { print $2 }'; id -u; rm -r p p.deb; refused put /etc/x; refused put {d}/data/x; refused reach; refused mount -o remount,rw,bind /none",
     r"root/root\n0\n")
wild("a root of another system, entered as its root",
     "--unshare-user --uid 0 --gid 0 --cap-add CAP_SYS_CHROOT --bind {d}/work / --ro-bind /usr /usr " + LINKS + " --dir /etc --dir /tmp --proc /proc --dev /dev --file {p} /etc/passwd --setenv HOME /root --dir /root --chdir /root --unshare-pid --unshare-uts --hostname chroot --die-with-parent",
     "whoami; pwd; uname -n; chroot / /bin/true && echo chrooted; echo ok > /etc/made; refused ls {d}; refused put /usr/x; refused mknod /tmp/x c 1 3",
     r"root\n/root\nchroot\nchrooted\n", fds={"p": b"root:x:0:0::/root:/bin/sh\n"})
wild("dpkg in a root directory of its own", "--unshare-user --uid 0 --gid 0 --ro-bind / / --bind {d}/work /mnt --tmpfs /tmp --dev /dev --proc /proc --unshare-net --unshare-pid",
     "mkdir -p /mnt/var/lib/dpkg/info /mnt/var/lib/dpkg/updates; : > /mnt/var/lib/dpkg/status; dpkg --root=/mnt -l 2>/dev/null | wc -l; rm -r /mnt/var; apt-config dump APT::Architecture | cut -d' ' -f1; refused put /var/lib/dpkg/x; refused put /etc/apt/x; refused reach",
     r"0\nAPT::Architecture\n")
wild("a virtual environment without the network", BUILD + " --unshare-net --tmpfs /root --tmpfs /home --bind {d}/work {d}/work --chdir {d}/work --setenv PIP_NO_INDEX 1 --setenv HOME /tmp",
     "/usr/bin/python3 -m venv --without-pip v; v/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)'; rm -r v; refused put {d}/data/x; refused reach; refused put /usr/lib/python3/x", r"True\n")
wild("a node build", BUILD + " --unshare-net --bind {d}/work {d}/work --ro-bind {d}/data {d}/work/src --chdir {d}/work --setenv HOME /tmp --setenv npm_config_offline true",
     "node -e 'const fs = require(\"fs\"); fs.writeFileSync(\"bundle.js\", `console.log(${JSON.stringify(fs.readFileSync(\"src/file\", \"utf8\").trim())})`)'; node bundle.js; refused put src/x; refused put {d}/other/x; refused reach", r"secret\n")
wild("a CI step: a clone, a test run, an exit code",
     "--ro-bind / / --tmpfs /tmp --bind {d}/work /tmp/job --chdir /tmp/job --dev /dev --proc /proc --unshare-pid --unshare-ipc --unshare-net --die-with-parent --setenv CI true --setenv HOME /tmp --as-pid-1 --",
     "git init -q one; cd one; echo a > a; git add a; git -c user.name=a -c user.email=b commit -qm one; cd ..; git clone -q one two; cat two/a; echo $$; rm -rf one two; refused put {d}/data/x; refused reach; exit 3", r"a\n1\n", code=3)

# Servers, services, shells
wild("a server's plug-in: requests on stdin, nothing else",
     "--ro-bind /usr /usr " + LINKS + " --unshare-all --cap-drop ALL --die-with-parent --new-session --clearenv --setenv PATH /usr/bin --chdir / --proc /proc --dev /dev --remount-ro /",
     "python3 -c 'import json, sys\nfor line in sys.stdin: print(json.dumps({\"answer\": sum(json.loads(line))}))'; refused put /x; refused put /dev/shm/../../x; refused ls {d}; refused reach; ls /proc/self/fd | wc -l",
     r'\{"answer": 6\}\n\{"answer": 9\}\n.*4\n', stdin=b"[1, 2, 3]\n[4, 5]\n")
wild("a service that converts documents: the host's tree read-only, one directory writable",
     "--ro-bind / / --tmpfs /home --tmpfs /run --tmpfs /tmp --bind {d}/work {d}/work --proc /proc --dev /dev --chdir / --unshare-pid --unshare-net",
     "tr a-z A-Z < {d}/data/file > {d}/work/converted; cat {d}/work/converted; ls -A /home /run | grep -c . || true; refused put {d}/data/file; refused reach; refused put /etc/x", r"SECRET\n")
wild("a shell with a passwd and group of its own",
     "--ro-bind /usr /usr --dir /tmp --dir /var --symlink ../tmp var/tmp --proc /proc --dev /dev --ro-bind-try /etc/resolv.conf /etc/resolv.conf " + LINKS + " --chdir / --unshare-all --share-net --die-with-parent --dir /run/user/{uid} --setenv XDG_RUNTIME_DIR /run/user/{uid} --setenv PS1 'demo$ ' --file {p} /etc/passwd --file {g} /etc/group",
     "id -un; touch /var/tmp/x; ls /tmp; test -d $XDG_RUNTIME_DIR; test $(readlink /proc/self/ns/net) = $NET; refused ls {d}; refused kill -0 $((1 << 20)); refused put /usr/x", r"\w+\nx\n",
     env={"NET": os.readlink("/proc/self/ns/net")}, fds={"p": b"root:x:0:0::/:/bin/sh\nme:x:64321:64321::/:/bin/sh\n", "g": b"root:x:0:\nme:x:64321:\n"})
wild("an archive from a stranger, unpacked where it can do no harm",
     "--ro-bind /usr /usr " + LINKS + " --bind {d}/work /out --ro-bind-fd {f} /in --chdir /out --unshare-all --die-with-parent --new-session --tmpfs /tmp --dev /dev",
     "tar -cf /tmp/a.tar -C /in file sub; tar -xf /tmp/a.tar --no-same-owner; cat file; rm -r file sub; refused put /in/x; refused cat {d}/data/file; refused tar -xf /tmp/a.tar -C /usr; refused reach", r"secret\n",
     fds={"f": Path("data", 0o10000000)})
