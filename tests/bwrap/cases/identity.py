"""Who the program is: ids and their maps, capabilities, privileges, namespaces, names, the environment."""
from table import FULL, PROC, USER_PROC, case

STATUS = "grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp):' /proc/self/status"
EFFECTIVE = "grep -E '^(CapPrm|CapEff|NoNewPrivs):' /proc/self/status"
NONE = "^CapEff:.0000000000000000$"
KEPT = "^CapEff:.0000.......fffff"
SPACES = "cd /proc/self/ns && for n in cgroup ipc mnt net pid user uts; do readlink $n; done"
MAPS = "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups | tr -s ' '"

# Ids and maps
case("ids", run="id -u; id -g; id -G", out=r"^\d+$")
case("ids in a new user namespace", "--unshare-user", "id -u; id -g; id -G; " + MAPS, base=PROC, out="^deny$")
case("--uid", "--unshare-user --uid 1234", "id -u; id -g; " + MAPS, base=PROC, out="^1234$")
case("--gid", "--unshare-user --gid 4321", "id -u; id -g; " + MAPS, base=PROC, out="^4321$")
case("--uid 0 --gid 0", "--unshare-user --uid 0 --gid 0", "id -u; id -g; touch /x; stat -c '%u %g' /x {d}; " + MAPS, base=PROC + " --ro-bind {d} {d}", out="^0 0$")
case("--uid with --unshare-all", "--unshare-all --uid 7 --gid 8", "id -u; id -g; " + MAPS, base=PROC, out="^7$")
case("--uid without a user namespace", "--uid 7", "id -u", code=None)
case("--gid without a user namespace", "--gid 7", "id -g", code=None)
case("--uid that is no number", "--unshare-user --uid root", code=1, err="^bwrap: ")
case("--uid, negative", "--unshare-user --uid -5", code=1, err="^bwrap: ")
case("--gid that is no number", "--unshare-user --gid 1x", code=1, err="^bwrap: ")
case("--uid twice: the last holds", "--unshare-user --uid 5 --uid 6", "id -u", out="^6$")
case("files made belong to the host's user", "--unshare-user --uid 0 --gid 0 --bind {d}/data /x", "echo > /x/new; stat -c '%u %g' /x/new", out="^0 0$")
case("setuid programs gain nothing", run=STATUS, base=PROC, out="^NoNewPrivs:.1$")
# Root's capabilities are left to it where no option speaks of capabilities; all others lose them.
case("the status of an ordinary sandbox", run=STATUS, base=FULL, out={"root": KEPT, "user": NONE})
case("the status in a new user namespace", "--unshare-user", STATUS, base=FULL, out={"root": KEPT, "user": NONE})
case("the status with all unshared", "--unshare-all", STATUS, base=FULL, out={"root": KEPT, "user": NONE})
case("the status as root of a user namespace", "--unshare-user --uid 0 --gid 0", STATUS, base=FULL, out="^CapEff:")
case("the status with --as-pid-1", "--unshare-pid --as-pid-1", STATUS, base=FULL, out="^NoNewPrivs:.1$")

# Capabilities
case("--cap-add in a user namespace", "--unshare-user --cap-add CAP_NET_BIND_SERVICE", STATUS, base=PROC, out={"root": KEPT, "user": "^CapEff:.0000000000000400$"})
case("--cap-add by a lower-case name", "--unshare-user --cap-add cap_chown", STATUS, base=PROC, out={"root": KEPT, "user": "^CapEff:.0000000000000001$"})
case("--cap-add as root of a user namespace", "--unshare-user --uid 0 --gid 0 --cap-add CAP_SYS_ADMIN --cap-add CAP_CHOWN", STATUS, base=PROC, out={"root": KEPT, "user": "^CapEff:.0000000000200001$"})
case("--cap-add ALL in a user namespace", "--unshare-user --cap-add ALL", STATUS, base=PROC, out="^CapEff:.0000....ffffffff$")
case("--cap-add ALL, then one dropped", "--unshare-user --cap-add ALL --cap-drop CAP_SYS_ADMIN", STATUS, base=PROC, out="^CapEff:")
case("--cap-drop ALL, then one added", "--unshare-user --cap-drop ALL --cap-add CAP_KILL", STATUS, base=PROC, out="^CapEff:.0000000000000020$")
case("--cap-add, then all dropped", "--unshare-user --cap-add CAP_KILL --cap-drop ALL", STATUS, base=PROC, out="^CapEff:.0000000000000000$")
case("--cap-add as root of the host", "--cap-add CAP_NET_ADMIN", STATUS, base=PROC, who="root", out=KEPT)
case("--cap-add ALL as root of the host", "--cap-add ALL", EFFECTIVE, base=PROC, who="root", out="^CapEff:")
# bubblewrap leaves root what it is to lose here, against its own manual page: that page's word stands.
case("--cap-add ALL, --cap-drop as root of the host", "--cap-add ALL --cap-drop CAP_CHOWN --cap-drop CAP_SYS_PTRACE", "touch /x; chown 1 /x", who="root", newer=True, code=1, err="not permitted")
case("--cap-drop alone as root of the host", "--cap-drop CAP_CHOWN", EFFECTIVE, base=PROC, who="root", out="^CapEff:")
case("--cap-drop ALL as root of the host", "--cap-drop ALL", EFFECTIVE, base=PROC, who="root", out="^CapEff:.0000000000000000$")
case("--cap-add as an ordinary user", "--cap-add CAP_CHOWN", STATUS, base=PROC, who="user", code=None)
case("--cap-add, no such capability", "--unshare-user --cap-add CAP_FLY", code=1, err="^bwrap: .*CAP_FLY")
case("--cap-drop, no such capability", "--unshare-user --cap-drop flying", code=1, err="^bwrap: .*flying")
case("--cap-add, a name without CAP_", "--unshare-user --cap-add chown", code=1, err="^bwrap: .*chown")
case("--cap-add lets mounts be made inside", "--unshare-user --uid 0 --gid 0 --cap-add CAP_SYS_ADMIN --tmpfs /t", "mount -t tmpfs none /t && stat -f -c %T /t", base=PROC, out="^tmpfs$")
case("--cap-add CAP_NET_ADMIN with a network", "--unshare-user --unshare-net --cap-add CAP_NET_ADMIN", command=["/usr/bin/python3", "-c",
     "import fcntl, socket, struct; s = socket.socket(); fcntl.ioctl(s, 0x8914, struct.pack('16sh22x', b'lo', 0)); print('down')"], out="^down$")

# Namespaces
case("no namespace but the mounts'", run=SPACES, base=PROC, out="^mnt:other$")
for kind in ("user", "ipc", "pid", "net", "uts", "cgroup"):
    case(f"--unshare-{kind}", f"--unshare-{kind}", SPACES, base=PROC, out=f"^{kind}:other$")
for kind in ("user-try", "cgroup-try"):
    case(f"--unshare-{kind}", f"--unshare-{kind}", SPACES, base=PROC, out=f"^{kind[:-4]}:other$")
case("--unshare-all", "--unshare-all", SPACES, base=PROC, out="^net:other$")
case("--unshare-all --share-net", "--unshare-all --share-net", SPACES, base=PROC, out="^net:host$")
case("--unshare-pid --unshare-ipc --unshare-uts", "--unshare-pid --unshare-ipc --unshare-uts", SPACES, base=PROC, out="^uts:other$")
case("--unshare-net: loopback alone, and up", "--unshare-net", "tail -n +3 /proc/net/dev | cut -d: -f1; cat /proc/net/if_inet6 | wc -l", base=PROC, out="^ *lo$")
case("--unshare-net: loopback works", "--unshare-net", command=["/usr/bin/python3", "-c",
     "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname()); print('reached')"], base=PROC, out="^reached$")
case("--unshare-net: nothing else is reached", "--unshare-net", command=["/usr/bin/python3", "-c",
     "import socket; s = socket.socket(); print(s.connect_ex(('192.0.2.1', 9)))"], out="^101$")
case("--unshare-ipc: no segment of the host's", "--unshare-ipc", "wc -l < /proc/sysvipc/shm; wc -l < /proc/sysvipc/sem", base=PROC, out="^1$")
case("--unshare-cgroup: its own root", "--unshare-cgroup", "grep -c ':/$' /proc/self/cgroup", base=PROC, out=r"^\d+$")
case("--disable-userns", "--unshare-user --disable-userns", "unshare -U true; " + SPACES, base=PROC, out="^user:other$", err="unshare failed|No space left")
case("--disable-userns as root of it", "--unshare-user --uid 0 --gid 0 --disable-userns", "unshare -U true || echo no; id -u; " + MAPS, base=PROC, out="^no$")
case("--disable-userns with all capabilities", "--unshare-user --uid 0 --gid 0 --cap-add ALL --disable-userns", "(exec 2>&-; echo 9 > /proc/sys/user/max_user_namespaces); unshare -U true || echo no; " + STATUS, base=PROC, out="^no$")
case("--disable-userns without a user namespace", "--disable-userns", code=1, err="^bwrap: ")
case("--disable-userns with --unshare-user-try", "--unshare-user-try --disable-userns", code=None)
case("--assert-userns-disabled where they are not", "--unshare-user --assert-userns-disabled", code=1, err="^bwrap: ")
case("--assert-userns-disabled where they are", "--unshare-user --disable-userns --assert-userns-disabled", "echo in", out="^in$")
case("--disable-userns and --uid", "--unshare-user --disable-userns --uid 12 --gid 13", "id -u; id -g; " + STATUS, base=PROC, out="^12$")
case("a user namespace inside, where it is not forbidden", "--unshare-user", "unshare -Ur id -u", base=PROC, out="^0$")
case("a sandbox in a sandbox", "--ro-bind {self} {self} --unshare-user --unshare-pid", "{self} --ro-bind / / --unshare-user --unshare-pid id -u", base=FULL, same=False, code=None)

# Names
case("--hostname", "--unshare-uts --hostname box", "uname -n", out="^box$")
case("--hostname with --unshare-all", "--unshare-all --hostname box.example", "uname -n", out="^box.example$")
case("--hostname without a namespace", "--hostname box", code=1, err="^bwrap: ")
case("--hostname is of the sandbox alone", "--unshare-uts", "uname -n", out=".")
case("--hostname, too long", "--unshare-uts --hostname " + "x" * 65, code=1, err="^bwrap: ")

# The environment
case("the environment", command=["/usr/bin/env"], env={"A": "b", "Z": "a=b c"}, sort=True, out="^Z=a=b c$")
case("--setenv", "--setenv A 1 --setenv B 'x y=z' --setenv C ''", command=["/usr/bin/env"], env={"A": "old"}, sort=True, out="^B=x y=z$")
case("--unsetenv", "--unsetenv A --unsetenv NONE", command=["/usr/bin/env"], env={"A": "old"}, sort=True, out="^PATH=")
case("--clearenv", "--clearenv", command=["/usr/bin/env"], env={"A": "old"}, sort=True, out="^PWD=/$")
case("--clearenv, then --setenv", "--clearenv --setenv A new", command=["/usr/bin/env"], env={"A": "old", "B": "c"}, sort=True, out="^A=new$")
case("--setenv, then --clearenv", "--setenv A new --clearenv", command=["/usr/bin/env"], sort=True, out="^PWD=")
case("--setenv, --unsetenv, --setenv", "--setenv A 1 --unsetenv A --setenv A 2 --setenv B 1 --unsetenv B", command=["/usr/bin/env"], sort=True, out="^A=2$")
case("--setenv with = in the name", "--setenv A=B c", command=["/usr/bin/env"], sort=True, code=None)
case("--setenv with no name", "--setenv '' c", command=["/usr/bin/env"], sort=True, code=None)
case("--unsetenv with = in the name", "--unsetenv A=B", command=["/usr/bin/env"], sort=True, code=None)
case("the program is looked for in the PATH that was set", "--setenv PATH /x --symlink /usr/bin /x", command=["true"])
case("the program is looked for in the sandbox", "--setenv PATH {d}/data", command=["sh", "-c", "true"], code=1, err="^bwrap: ")
case("no PATH at all", "--clearenv", command=["sh", "-c", "echo $0"], code=None)

# The working directory
case("cwd: where it is, if it is there", "--bind {d} {d}", "pwd", cwd="data", out="^<d>/data$")
case("cwd: HOME, where it is not", "--dir /home/nobody", "pwd", out="^/home/nobody$")
case("cwd: /, where neither is", run="pwd", out="^/$")
case("cwd: PWD follows", "--dir /home/nobody", command=["/usr/bin/printenv", "PWD"], out="^/home/nobody$")
case("--chdir", "--bind {d} {d} --chdir {d}/other", "pwd; cat file", out="^other$")
case("--chdir to what is not there", "--chdir /nothing", code=1, err="^bwrap: .*/nothing")
case("--chdir to a file", "--ro-bind {d}/data/file /x --chdir /x", code=1, err="^bwrap: ")
case("--chdir, relative", "--bind {d} {d} --chdir usr", "pwd", code=None)
case("--chdir twice: the last holds", "--chdir /usr --chdir /usr/bin", "pwd", out="^/usr/bin$")
case("--chdir through a link", "--chdir /bin", "pwd; /bin/pwd -P", out="^/usr/bin$")
case("--setenv HOME, as a cwd", "--dir /x --setenv HOME /x", "pwd", out="^/x$")
case("--unsetenv HOME", "--dir /home/nobody --unsetenv HOME", "pwd", out="^/$")
case("cwd: deleted or hidden", "--bind {d} {d} --tmpfs {d}/data", "pwd", cwd="data", code=0)

# What is as it was
case("limits, umask, niceness are the caller's", run="ulimit -a; umask; nice", umask=0o027, out="^0027$")
case("the status of signals", "--unshare-pid", "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status", base=PROC, out="^SigBlk:.0000000000000000$")
