"""What bubblewrap has since 0.9: --argv0, idempotent links, overlays, --level-prefix. Their manual page's word stands
for bubblewrap, whose release in Debian 12 lacks them; where a newer one is at hand, give it as the candidate."""
from table import FULL, PROC, case


def newer(name, options="", run=None, **fields):
    case(name, options, run, newer=True, **fields)


newer("--argv0", "--argv0 other", command=["sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline"], base=PROC, out="^other -c ")
newer("--argv0, empty", "--argv0 ''", command=["sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline"], base=PROC, out="^ -c ")
newer("--argv0 in a pid namespace", "--unshare-pid --argv0 other", command=["sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline"], base=PROC, out="^other -c ")
newer("--argv0 with an argument missing", "--argv0", base="", command=[], code=1, err="^bwrap: .*--argv0")
newer("--symlink twice, the same", "--symlink a /l --symlink a /l", "readlink /l", out="^a$")
newer("--symlink twice, another target", "--symlink a /l --symlink b /l", code=1, err="^bwrap: ")
newer("--symlink in a read-only bind, the same", "--ro-bind {d} /x --symlink data /x/link", "readlink /x/link", out="^data$")
newer("--share-net after --unshare-net", "--unshare-net --share-net", "readlink /proc/self/ns/net", base=PROC, out="^net:host$")
newer("--level-prefix", "--level-prefix --bind /nothing /x", code=1, err=r"^<[0-3]>bwrap: .*nothing")
newer("--level-prefix, an error in the options", "--level-prefix --frobnicate", code=1, err=r"^<[0-3]>bwrap: .*--frobnicate")

READ = "cat /o/file /o/more /o/sub/deep"
newer("--ro-overlay", "--overlay-src {d}/data --overlay-src {d}/other --ro-overlay /o", READ + "; echo > /o/file", code=2, out="^other\nmore\ndeep$", err="Read-only")
newer("--ro-overlay, the last source on top", "--overlay-src {d}/other --overlay-src {d}/data --ro-overlay /o", READ, out="^secret\nmore\ndeep$")
newer("--ro-overlay, one source alone", "--overlay-src {d}/data --ro-overlay /o", code=1, err="^bwrap: ")
newer("--ro-overlay without a source", "--ro-overlay /o", code=1, err="^bwrap: ")
newer("--tmp-overlay", "--overlay-src {d}/data --overlay-src {d}/other --tmp-overlay /o", READ + "; echo new > /o/file; rm /o/sub/deep; mkdir /o/made; cat /o/file; ls /o /o/sub", out="^new\nfile\nmade\nmore\nsub$|^new\n/o:\nfile\nmade\nmore\nsub$")
newer("--tmp-overlay, one source", "--overlay-src {d}/data --tmp-overlay /o", "echo y > /o/file; cat /o/file /o/sub/deep", out="^y\ndeep$")
newer("--tmp-overlay without a source", "--tmp-overlay /o", code=1, err="^bwrap: ")
newer("--tmp-overlay: what is written can't be reached elsewhere", "--overlay-src {d}/data --tmp-overlay /o", "echo unlikely > /o/new; grep -rl unlikely / --exclude-dir=usr --exclude-dir=proc --exclude-dir=dev", out="^/o/new$", base=FULL)
newer("--overlay", "--overlay-src {d}/data --overlay {d}/upper {d}/work /o", "cat /o/file; echo new > /o/file; echo y > /o/y; cat /o/file /o/sub/deep", out="^secret\nnew\ndeep$")
newer("--overlay, two sources", "--overlay-src {d}/data --overlay-src {d}/other --overlay {d}/upper {d}/work /o", READ, out="^other\nmore\ndeep$")
newer("--overlay: what is written is kept", "--overlay-src {d}/data --overlay {d}/upper {d}/work /o --bind {d}/upper /u", "echo new > /o/file; cat /u/file; ls /u", out="^new\nfile$")
newer("--overlay: what is there above is read first", "--overlay-src {d}/data --overlay {d}/other {d}/work /o", "cat /o/file /o/sub/deep", out="^other\ndeep$")
newer("--overlay, no such directory", "--overlay-src {d}/data --overlay {d}/nothing {d}/work /o", code=1, err="^bwrap: ")
newer("--overlay-src, no such directory", "--overlay-src {d}/nothing --tmp-overlay /o", code=1, err="^bwrap: .*nothing")
newer("--overlay-src at the end", "--overlay-src {d}/data", code=1, err="^bwrap: ")
newer("--overlay-src before something else", "--overlay-src {d}/data --dir /o", code=1, err="^bwrap: ")
newer("--overlay-src before a bind", "--overlay-src {d}/data --bind {d}/other /o", code=1, err="^bwrap: ")
newer("--overlay's sources are of one overlay alone", "--overlay-src {d}/data --tmp-overlay /o --tmp-overlay /p", code=1, err="^bwrap: ")
newer("two overlays", "--overlay-src {d}/data --tmp-overlay /o --overlay-src {d}/other --tmp-overlay /p", "cat /o/file /p/file; echo a > /o/w; echo b > /p/w; cat /o/w /p/w", out="^secret\nother\na\nb$")
newer("--overlay-src whose name has a colon, a comma and a backslash", "--bind {d}/data {d}/data --overlay-src {d}/odd:a,b\\\\c --tmp-overlay /o", "cat /o/file", code=1, err="^bwrap: ")
newer("an overlay over the host's /usr", "--overlay-src /usr --tmp-overlay /usr", "echo x > /usr/new && cat /usr/new; ls -d /usr/bin", base="--symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64", out="^x$")
newer("--tmp-overlay over the host's tree, by an option after", "--ro-bind / / --overlay-src {d}/data --tmp-overlay {d}/data", "echo new > {d}/data/file; cat {d}/data/file {d}/other/file", base="", out="^new\nother$")
newer("--overlay in a new user namespace", "--unshare-user --overlay-src {d}/data --overlay {d}/upper {d}/work /o", "echo new > /o/file; stat -c %u /o/file", out="^{uid}$".replace("{uid}", r"\d+"))
newer("a bind inside an overlay", "--overlay-src {d}/data --tmp-overlay /o --bind {d}/other /o/b", "cat /o/b/more; echo z > /o/b/z; ls /o", out="^more$")
newer("--remount-ro of an overlay", "--overlay-src {d}/data --tmp-overlay /o --remount-ro /o", "echo > /o/x", code=2, err="Read-only")
newer("--perms before an overlay", "--overlay-src {d}/data --perms 0700 --tmp-overlay /o", code=1, err="^bwrap: ")
newer("--overlay with an argument missing", "--overlay-src / --overlay a b", base="", command=[], code=1, err="^bwrap: .*--overlay")
newer("--overlay-src with an argument missing", "--overlay-src", base="", command=[], code=1, err="^bwrap: .*--overlay-src")
newer("--tmp-overlay with an argument missing", "--tmp-overlay", base="", command=[], code=1, err="^bwrap: .*--tmp-overlay")
newer("--ro-overlay with an argument missing", "--ro-overlay", base="", command=[], code=1, err="^bwrap: .*--ro-overlay")
