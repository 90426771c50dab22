/* Overlays: what they show, what becomes of changes, how upper and work may be written, whom their root lets in. */
#include "mount.h"
#include <sys/xattr.h>

static const char *const layers_of_none[] = {NULL};

/* --- in memory --- */

TEST(overlay, "an overlay shows its lowers, topmost first, and loses its changes with the child") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        char before[4000];
        char after[4000];
        static const char *const names[] = {"top", "middle", "bottom"};
        for (int i = 0; i < 3; i++) {
            make_dir(in(dir, "%s", names[i]));
            write_file(in(dir, "%s/own-%s", names[i], names[i]), names[i]);
            write_file(in(dir, "%s/common", names[i]), names[i]);
        }
        listing(dir, before, sizeof before);
        sandbox_cmd *cmd = script("ls /o; cat /o/common; echo; echo new >/o/new; rm /o/own-bottom; echo over >/o/common; ls /o; cat /o/common");
        const char *const lowers[] = {in(dir, "top"), in(dir, "middle"), in(dir, "bottom"), NULL};
        CHECK_EQ(sandbox_cmd_overlay(cmd, lowers, NULL, NULL, "/o"), 0);
        says(cmd, "common\nown-bottom\nown-middle\nown-top\ntop\ncommon\nnew\nown-middle\nown-top\nover\n");
        CHECK_STR(listing(dir, after, sizeof after), before);
    });
}

TEST(overlay_ro, "an overlay that nobody writes to: the topmost layer wins, nothing can be changed, the layers stay as they are") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        char before[4000];
        char after[4000];
        make_dir(in(dir, "top")), make_dir(in(dir, "low"));
        write_file(in(dir, "top/both"), "top\n"), write_file(in(dir, "low/both"), "low\n"), write_file(in(dir, "low/only"), "only\n");
        listing(dir, before, sizeof before);
        const char *lowers[] = {in(dir, "top"), in(dir, "low"), NULL};
        sandbox_cmd *cmd = script("cat /o/both /o/only; (: >/o/both) || echo refused; mkdir /o/new || echo refused; rm -f /o/only || echo refused; ls /o");
        CHECK_EQ(sandbox_cmd_overlay_ro(cmd, lowers, "/o"), 0);
        says(cmd, "top\nonly\nrefused\nrefused\nrefused\nboth\nonly\n");
        CHECK_STR(listing(dir, after, sizeof after), before);
        cmd = script("exit 0");
        CHECK_EQ(sandbox_cmd_overlay_ro(cmd, (const char *const[]){in(dir, "top"), NULL}, "/o"), -EINVAL);
        CHECK_EQ(sandbox_cmd_overlay_ro(cmd, layers_of_none, "/o"), -EINVAL);
        sandbox_cmd_free(cmd);
        cmd = script("exit 0");
        CHECK_EQ(sandbox_cmd_overlay_ro(cmd, (const char *const[]){in(dir, "top"), in(dir, "none"), NULL}, "/o"), 0);
        refuses(cmd, ENOENT, AFTER_SYSTEM, "none");
    });
}

/* The mode, owner and group that the overlay's root has inside, over `lower`. */
static sandbox_cmd *over(const char *lower, const char *text) {
    sandbox_cmd *cmd = script(text);
    const char *const lowers[] = {lower, NULL};
    CHECK_EQ(sandbox_cmd_overlay(cmd, lowers, NULL, NULL, "/o"), 0);
    return cmd;
}

TEST(same_mode, "an overlay in memory is as open as its topmost lower: the mode, the sticky bit, the owner") {
    BOTH_WAYS({
        static const mode_t modes[] = {0700, 0755, 01777, 0711, 0500, 0770, 02775};
        for (int i = 0; i < 7; i++) {
            const char *dir = fresh_dir();
            char wanted[100];
            make_dir(in(dir, "low"));
            CHECK_EQ(chmod(in(dir, "low"), modes[i]), 0);
            struct stat about;
            CHECK_EQ(stat(in(dir, "low"), &about), 0);
            snprintf(wanted, sizeof wanted, "%o %u %u\n", modes[i], about.st_uid, about.st_gid);
            says(over(in(dir, "low"), "stat -c '%a %u %g' /o"), wanted);
        }
    });
}

TEST(closed_lower, "a lower that is closed to the program's user is closed below an overlay in memory too") {
    if (!is_admin()) SKIP("only root changes users");
    need_mounts();
    without_user_namespace = true;
    const char *dir = fresh_dir();
    write_file(in(dir, "file"), "secret\n");
    for (int way = 0; way < 3; way++) {
        CHECK_EQ(chown(dir, way == 1 ? 4321 : 0, way == 2 ? 4321 : 0), 0);
        CHECK_EQ(chmod(dir, way == 2 ? 0750 : 0700), 0);
        sandbox_cmd *cmd = over(dir, "cat /o/file || echo closed; ls /o || echo closed; (: >/o/new) || echo closed");
        sandbox_cmd_user(cmd, 1234, 1234);
        says(cmd, "closed\nclosed\nclosed\n");
        cmd = over(dir, "cat /o/file");
        sandbox_cmd_user(cmd, way == 1 ? 4321 : 1234, 4321);
        if (way) says(cmd, "secret\n");
        else sandbox_cmd_free(cmd);
    }
}

TEST(foreign_lower, "a lower whose owner has no id in the user namespace gives its mode, and lets nobody further in than before") {
    need_mounts();
    static const char *const paths[] = {"/var/tmp", "/usr", "/root"};
    for (int i = 0; i < 3; i++) {
        struct stat about;
        char wanted[100];
        const char *path = paths[i];
        if (is_admin()) { /* another's, in the eyes of root's user namespace */
            path = fresh_dir();
            static const mode_t modes[] = {01777, 0755, 0700};
            make_dir(in(path, "below"));
            CHECK_EQ(chmod(path, modes[i]), 0);
            CHECK_EQ(chown(path, 4321, 4321), 0);
        }
        if (stat(path, &about) < 0) continue;
        snprintf(wanted, sizeof wanted, "%o\n", about.st_mode & 07777 & ~(~about.st_mode << 3 & 070));
        says(over(path, "stat -c %a /o"), wanted);
        if (about.st_mode & 5) continue;
        says(over(path, "ls -A /o | wc -l; chmod 777 /o; ls -A /o | wc -l; (: >/o/new) || echo closed"), "0\n0\nclosed\n");
    }
}

TEST(joined_lower, "in a joined user namespace, where files are made as the program's user, an overlay in memory is its lower's owner's too") {
    if (!is_admin()) SKIP("only root maps other ids");
    need_mounts();
    const char *dir = fresh_dir();
    char path[64];
    write_file(in(dir, "file"), "text\n");
    sandbox_cmd *cmd = victim("act", "cat", NULL);
    sandbox_cmd_map_uid(cmd, 0, 0, 1000), sandbox_cmd_map_gid(cmd, 0, 0, 1000);
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *held = spawned(cmd);
    sandbox_cmd_free(cmd);
    snprintf(path, sizeof path, "/proc/%d/ns/user", sandbox_child_pid(held));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (int mode = 0755; mode >= 0700; mode -= 055) {
        CHECK_EQ(chmod(dir, (mode_t)mode), 0);
        cmd = with_system(sandbox_cmd_new("/bin/sh"));
        sandbox_cmd_args(cmd, (const char *const[]){"-c", "stat -c '%a %u' /o /made; cat /o/file || echo closed", NULL});
        CHECK_EQ(sandbox_cmd_join(cmd, fd), 0);
        sandbox_cmd_user(cmd, 7, 7);
        sandbox_cmd_dir(cmd, "/made", 0711);
        CHECK_EQ(sandbox_cmd_overlay(cmd, (const char *const[]){dir, NULL}, NULL, NULL, "/o"), 0);
        sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_NULL, -1);
        says(cmd, mode == 0755 ? "755 0\n711 7\ntext\n" : "700 0\n711 7\nclosed\n");
    }
    close(fd);
    sandbox_child_free(held);
}

TEST(lower_with_acl, "a lower with an ACL, of which the mode tells the mask alone, lets its owner in and nobody by a group") {
    BOTH_WAYS({
        static const struct { uint32_t version; struct { uint16_t tag, may; uint32_t id; } entries[5]; } acl = {
            2, {{1, 7, ~0U}, {2, 7, 12345}, {4, 0, ~0U}, {0x10, 7, ~0U}, {0x20, 0, ~0U}}};
        const char *dir = fresh_dir();
        if (setxattr(dir, "system.posix_acl_access", &acl, sizeof acl, 0) < 0) SKIP("no ACLs: %s", strerror(errno));
        CHECK_EQ(mode_of(dir), 0770);
        says(over(dir, "stat -c %a /o"), "700\n");
    });
}

TEST(file_over_memory, "a file goes into an overlay in memory, through its directories too, and never into a kept one") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        char before[4000];
        char after[4000];
        make_dir(in(dir, "low")), make_dir(in(dir, "low/sub")), make_dir(in(dir, "up")), make_dir(in(dir, "work"));
        const char *const lowers[] = {in(dir, "low"), NULL};
        listing(dir, before, sizeof before);
        sandbox_cmd *cmd = over(lowers[0], "cat /o/new /o/sub/new /o/made/new");
        sandbox_cmd_file(cmd, "/o/new", "a", 1, 0644);
        sandbox_cmd_file(cmd, "/o/sub/new", "b", 1, 0644);
        sandbox_cmd_file(cmd, "/o/made/new", "c", 1, 0644);
        says(cmd, "abc");
        for (int kept = 0; kept < 2; kept++) {
            cmd = script("exit 0");
            if (kept) CHECK_EQ(sandbox_cmd_overlay(cmd, lowers, in(dir, "up"), in(dir, "work"), "/o"), 0);
            else CHECK_EQ(sandbox_cmd_overlay_ro(cmd, (const char *const[]){lowers[0], "/usr", NULL}, "/o"), 0);
            sandbox_cmd_file(cmd, "/o/new", "a", 1, 0644);
            refuses(cmd, EROFS, AFTER_SYSTEM + 1, "kept in memory alone");
        }
        rmdir(in(dir, "work/work")); /* the kernel's own */
        CHECK_STR(listing(dir, after, sizeof after), before);
    });
}

/* --- kept --- */

TEST(overlay_kept, "an overlay's changes stay in its upper directory, whatever bytes the paths hold") {
    BOTH_WAYS({
        static const char *const odd[] = {"plain", "a,b:c\\d", "\\", ",", ":", "=,upperdir=x", "\xff\xfe no text", "l0:l1", " \t\n"};
        for (int i = 0; i < 9; i++) {
            const char *dir = make_dir(in(fresh_dir(), "%s", odd[i]));
            const char *const lowers[] = {make_dir(in(dir, "%s", odd[i])), NULL};
            const char *upper = make_dir(in(dir, "up%s", odd[i])), *work = make_dir(in(dir, "w%s", odd[i]));
            char text[100];
            write_file(in(lowers[0], "file"), "lower\n");
            sandbox_cmd *cmd = script("cat /o/file; echo upper >/o/file; echo new >/o/new; cat /o/file");
            CHECK_EQ(sandbox_cmd_overlay(cmd, lowers, upper, work, "/o"), 0);
            says(cmd, "lower\nupper\n");
            CHECK_STR(read_file(in(upper, "file"), text, sizeof text), "upper\n");
            CHECK_STR(read_file(in(upper, "new"), text, sizeof text), "new\n");
            CHECK_STR(read_file(in(lowers[0], "file"), text, sizeof text), "lower\n");
        }
    });
}

/* Directories of a kept overlay, beside links that lead to them; the working directory is the one that holds them. */
static const char *several(void) {
    const char *dir = fresh_dir();
    static const char *const made[] = {"low", "A", "A/u", "A/w", "A/B", "A/B/w", "C", "C/u", "u", "w"};
    for (int i = 0; i < 10; i++) make_dir(in(dir, "%s", made[i]));
    write_file(in(dir, "low/file"), "lower\n");
    CHECK_EQ(symlink("../C/u", in(dir, "A/away")), 0);
    CHECK_EQ(symlink("A/w", in(dir, "lw")), 0);
    CHECK_EQ(symlink(in(dir, "A/u"), in(dir, "lu")), 0);
    CHECK_EQ(chdir(dir), 0);
    return dir;
}

TEST(pairs, "upper and work may be written in any way: one absolute and one relative, through symlinks, with \"..\", far apart") {
    BOTH_WAYS({
        const char *dir = several();
        char absolute[PATH_MAX];
        char text[100];
        const struct { const char *upper, *work, *real; } pairs[] = {
            {"u", "w", "u"}, {absolute, "A/w", "A/u"}, {"A/away", "A/w", "C/u"}, {"A/u", "A/../A/w", "A/u"}, {"A/../u", "A/w", "u"},
            {"lu", "lw", "A/u"}, {"lu/", "lw//", "A/u"}, {"./A/u/.", "A/B/w", "A/u"}, {"C/u", "/proc/self/cwd/A/B/w", "C/u"}, {"A/u", "w", "A/u"}};
        snprintf(absolute, sizeof absolute, "%s", in(dir, "A/u"));
        for (int i = 0; i < 10; i++) {
            sandbox_cmd *cmd = script("cat /o/file; echo $0 >/o/new");
            char number[8];
            snprintf(number, sizeof number, "%d", i);
            sandbox_cmd_arg(cmd, number);
            CHECK_EQ(sandbox_cmd_overlay(cmd, (const char *const[]){"low", NULL}, pairs[i].upper, pairs[i].work, "/o"), 0);
            CHECK_EQ(sandbox_cmd_bind(cmd, "A", "/after", 0), 0); /* still from the host's working directory */
            run(cmd, &result);
            if (result.result < 0 || strcmp(result.out, "lower\n") != 0) FAIL("%s, %s: %s%s", pairs[i].upper, pairs[i].work, result.out, result.error.message);
            CHECK_EQ(atoi(read_file(in(dir, "%s/new", pairs[i].real), text, sizeof text)), i);
            CHECK_EQ(unlink(in(dir, "%s/new", pairs[i].real)), 0);
        }
        CHECK_EQ(chdir("/"), 0);
    });
}

TEST(each_spawn, "relative upper and work count from the host's working directory at each spawn, in a pool's child too") {
    BOTH_WAYS({
        sandbox_cmd *cmd = script("echo x >/o/new");
        CHECK_EQ(sandbox_cmd_overlay(cmd, (const char *const[]){"low", NULL}, "u", "A/w", "/o"), 0);
        for (int i = 0; i < 3; i++) {
            char dir[PATH_MAX];
            snprintf(dir, sizeof dir, "%s", several());
            sandbox_pool *pool = i == 2 ? sandbox_pool_new(cmd, 1) : NULL;
            sandbox_child *child;
            sandbox_error error;
            sandbox_status status;
            int made = pool ? sandbox_pool_spawn(pool, NULL, &child, &error) : sandbox_spawn(cmd, &child, &error);
            if (made < 0) FAIL("%s", error.message);
            CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
            sandbox_child_free(child);
            sandbox_pool_free(pool);
            CHECK_EQ(access(in(dir, "u/new"), F_OK), 0);
        }
        sandbox_cmd_free(cmd);
        CHECK_EQ(chdir("/"), 0);
    });
}

static void refused(const char *lower, const char *upper, const char *work, int errnum, const char *word) {
    sandbox_cmd *cmd = script("exit 0");
    CHECK_EQ(sandbox_cmd_overlay(cmd, (const char *const[]){lower, NULL}, upper, work, "/o"), 0);
    refuses(cmd, errnum, AFTER_SYSTEM, word);
}

TEST(culprits, "of an overlay that can't be had the layer is named, and the reason as far as it is known") {
    BOTH_WAYS({
        const char *dir = several();
        refused("low", "none", "w", ENOENT, "its upper: \"none\"");
        CHECK(!strstr(result.error.message, "symlink"));
        refused("low", "u", "A/none", ENOENT, "its work: \"A/none\"");
        CHECK(!strstr(result.error.message, "symlink"));
        refused("low/file", NULL, NULL, ENOTDIR, "\"low/file\"");
        CHECK_HAS(result.error.message, "a layer is a directory");
        refused("low", "low/file", "w", ENOTDIR, "its upper: \"low/file\"");
        refused("low", "low", "w", ELOOP, "one of its directories is another");
        refused("low", "A", "A/w", EINVAL, "work lies in upper");
        struct stat here;
        struct stat shm;
        if (stat(dir, &here) == 0 && stat("/dev/shm", &shm) == 0 && here.st_dev != shm.st_dev) refused("low", "u", "/dev/shm", EXDEV, "of one mount");
        sandbox_cmd *cmd = over("/dev", "ls /o/shm");
        if (without_user_namespace) says(cmd, "");
        else {
            refuses(cmd, EINVAL, AFTER_SYSTEM, "\"/dev\"");
            CHECK_HAS(result.error.message, "mounts below it");
        }
        CHECK_EQ(chdir("/"), 0);
    });
}
