/* What completes a child's file system: files as a caller wants them, modes, remounts, terminals, a mount as the
 * root; and a program that would undo what was made read-only. */
#include "mount.h"
#include <sys/stat.h>


/* "attempt" as /attempt, in the place of a shell. */
static sandbox_cmd *attempts(const char *const *list) {
    sandbox_cmd *cmd = sandbox_cmd_new("/attempt");
    sandbox_cmd_args(cmd, list);
    confined(cmd);
    CHECK_EQ(sandbox_cmd_bind(cmd, beside("attempt"), "/attempt", 0), 0);
    return cmd;
}

static int got(const char *what) {
    const char *line = strstr(result.out, what);
    if (!line) FAIL("no \"%s\" in \"%s\"", what, result.out);
    return atoi(line + strlen(what));
}

/* --- files --- */

TEST(data_mount, "a file that is lain over: over what is there and where nothing is, read-only or writable, with its mode; the host keeps its own") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        char text[100];
        write_file(in(dir, "there"), "host");
        sandbox_cmd *cmd = script("cat /d/there /d/rw /made/new; echo; ls -l /d/rw /d/there /made/new | cut -c1-10;"
                                  "(: >/d/there) || echo refused; (: >/made/new) || echo refused; echo changed >/d/rw && cat /d/rw; rm -f /d/there || echo kept");
        write_file(in(dir, "rw"), "host");
        CHECK_EQ(sandbox_cmd_bind(cmd, dir, "/d", SANDBOX_MOUNT_RW), 0);
        CHECK_EQ(sandbox_cmd_data(cmd, "/d/there", "one", 3, 04755, SANDBOX_DATA_MOUNT), 0);
        CHECK_EQ(sandbox_cmd_data(cmd, "/d/rw", "two", 3, 0600, SANDBOX_DATA_MOUNT | SANDBOX_DATA_RW), 0);
        CHECK_EQ(sandbox_cmd_data(cmd, "/made/new", "three", 5, 02644, SANDBOX_DATA_MOUNT), 0);
        says(cmd, "onetwothree\n-rw-------\n-rwsr-xr-x\n-rw-r-Sr--\nrefused\nrefused\nchanged\nkept\n");
        CHECK_STR(read_file(in(dir, "there"), text, sizeof text), "host");
        CHECK_STR(read_file(in(dir, "rw"), text, sizeof text), "host");
        cmd = script("cat /ro/new");
        CHECK_EQ(sandbox_cmd_bind(cmd, dir, "/ro", 0), 0);
        CHECK_EQ(sandbox_cmd_data(cmd, "/ro/new", "x", 1, 0644, SANDBOX_DATA_MOUNT), 0);
        refuses(cmd, EROFS, AFTER_SYSTEM + 1, "/ro/new");
        CHECK(access(in(dir, "new"), F_OK) < 0);
    });
}

TEST(data_in_place, "a file that is written in place: into what is there, which keeps its mode, or made; on the host where that is bound writable") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        char text[100];
        write_file(in(dir, "there"), "what was there, and longer");
        chmod(in(dir, "there"), 0640);
        sandbox_cmd *cmd = script("cat /d/there /d/below/new /t/own; (: >/d/there) && echo writable");
        CHECK_EQ(sandbox_cmd_bind(cmd, dir, "/d", SANDBOX_MOUNT_RW), 0);
        CHECK_EQ(sandbox_cmd_data(cmd, "/d/there", "one\n", 4, 0777, SANDBOX_DATA_IN_PLACE), 0);
        CHECK_EQ(sandbox_cmd_data(cmd, "/d/below/new", "two\n", 4, 04701, SANDBOX_DATA_IN_PLACE), 0);
        CHECK_EQ(sandbox_cmd_data(cmd, "/t/own", "three\n", 6, 0600, SANDBOX_DATA_IN_PLACE), 0);
        says(cmd, "one\ntwo\nthree\nwritable\n");
        CHECK_EQ(mode_of(in(dir, "there")), 0640);
        CHECK_STR(read_file(in(dir, "there"), text, sizeof text), ""); /* the program's own doing */
        CHECK_EQ(mode_of(in(dir, "below/new")), 04701);
        CHECK_STR(read_file(in(dir, "below/new"), text, sizeof text), "two\n");
        cmd = script("exit 0");
        CHECK_EQ(sandbox_cmd_bind(cmd, dir, "/d", 0), 0);
        CHECK_EQ(sandbox_cmd_data(cmd, "/d/below/new", "x", 1, 0600, SANDBOX_DATA_IN_PLACE), 0);
        refuses(cmd, EROFS, AFTER_SYSTEM + 1, "/d/below/new");
        CHECK_STR(read_file(in(dir, "below/new"), text, sizeof text), "two\n");
    });
}

TEST(data_attacked, "written in place, a hostile tree's links lead nowhere but inside the root, and its pipe holds nobody up") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        char outside[PATH_MAX];
        char text[100];
        snprintf(outside, sizeof outside, "%s", in(dir, "outside"));
        write_file(outside, "host");
        make_dir(in(dir, "tree"));
        const char *tree = in(dir, "tree");
        const char *const ups[] = {outside, "../outside", "/../../../../../../../proc/self/cwd/outside"};
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(symlink(ups[i], in(tree, "link%d", i)), 0);
            sandbox_cmd *cmd = script("exit 0");
            CHECK_EQ(sandbox_cmd_bind(cmd, tree, "/d", SANDBOX_MOUNT_RW), 0);
            CHECK_EQ(sandbox_cmd_data(cmd, in("/d", "link%d", i), "x", 1, 0600, SANDBOX_DATA_IN_PLACE), 0);
            run(cmd, &result); /* "../outside" is a file of the sandbox's own */
            if (i != 1 && result.result == 0) FAIL("%s: written", ups[i]);
            CHECK_STR(read_file(outside, text, sizeof text), "host");
        }
        CHECK_EQ(mkfifo(in(tree, "pipe"), 0600), 0);
        sandbox_cmd *cmd = script("exit 0");
        CHECK_EQ(sandbox_cmd_bind(cmd, tree, "/d", SANDBOX_MOUNT_RW), 0);
        CHECK_EQ(sandbox_cmd_data(cmd, "/d/pipe", "x", 1, 0600, SANDBOX_DATA_IN_PLACE), 0);
        refuses(cmd, ENXIO, AFTER_SYSTEM + 1, "/d/pipe");
    });
}

/* --- modes --- */

TEST(chmod_target, "the mode of what is there by then: of a directory, a file, the root; on the host where that is bound writable") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        char outside[PATH_MAX];
        write_file(in(dir, "file"), "x");
        snprintf(outside, sizeof outside, "%s", in(dir, "file"));
        make_dir(in(dir, "tree"));
        const char *tree = in(dir, "tree");
        write_file(in(tree, "file"), "x");
        CHECK_EQ(symlink("file", in(tree, "link")), 0);
        sandbox_cmd *cmd = script("ls -ld / /made /made/file | cut -c1-10");
        CHECK_EQ(sandbox_cmd_bind(cmd, tree, "/d", SANDBOX_MOUNT_RW), 0);
        sandbox_cmd_file(cmd, "/made/file", "x", 1, 0644);
        CHECK_EQ(sandbox_cmd_chmod(cmd, "/made/file", 0), 0);
        CHECK_EQ(sandbox_cmd_chmod(cmd, "/made", 01751), 0);
        CHECK_EQ(sandbox_cmd_chmod(cmd, "/", 0711), 0);
        CHECK_EQ(sandbox_cmd_chmod(cmd, "/d/link", 0604), 0);
        says(cmd, "drwx--x--x\ndrwxr-x--t\n----------\n");
        CHECK_EQ(mode_of(in(tree, "file")), 0604);
        unlink(in(tree, "link"));
        CHECK_EQ(symlink(outside, in(tree, "link")), 0);
        mode_t before = mode_of(outside);
        const struct { const char *target; int errnum; uint64_t flags; } bad[] = {
            {"/d/link", ENOENT, SANDBOX_MOUNT_RW}, {"/d/none", ENOENT, SANDBOX_MOUNT_RW}, {"/d/file", EROFS, 0}};
        for (int i = 0; i < 3; i++) {
            cmd = script("exit 0");
            CHECK_EQ(sandbox_cmd_bind(cmd, tree, "/d", bad[i].flags), 0);
            CHECK_EQ(sandbox_cmd_chmod(cmd, bad[i].target, 0777), 0);
            refuses(cmd, bad[i].errnum, AFTER_SYSTEM + 1, bad[i].target);
        }
        CHECK_EQ(mode_of(outside), before);
        CHECK_EQ(mode_of(in(tree, "file")), 0604);
    });
}

/* --- remounts --- */

TEST(remount, "a remount makes that one mount read-only, through a symlink too, and not those below it; EXEC_OFF takes programs") {
    BOTH_WAYS({
        for (int way = 0; way < 2; way++) {
            sandbox_cmd *cmd = script("(: >/t/x) || echo refused; : >/t/sub/x && echo below; grep -E ' /t(/sub)? ' /proc/self/mountinfo | cut -d' ' -f6");
            sandbox_cmd_tmpfs(cmd, "/t", 0, 0755);
            sandbox_cmd_tmpfs(cmd, "/t/sub", 0, 0755);
            sandbox_cmd_symlink(cmd, "/t", "/link");
            CHECK_EQ(sandbox_cmd_remount(cmd, way ? "/link" : "/t", way ? SANDBOX_MOUNT_EXEC_OFF : 0), 0);
            says(cmd, way ? "refused\nbelow\nro,nosuid,nodev,noexec,relatime\nrw,nosuid,nodev,relatime\n"
                          : "refused\nbelow\nro,nosuid,nodev,relatime\nrw,nosuid,nodev,relatime\n");
        }
        sandbox_cmd *cmd = script("(: >/x) || echo refused; : >/t/x && echo below");
        CHECK_EQ(sandbox_cmd_root(cmd, NULL, SANDBOX_MOUNT_RW), 0);
        sandbox_cmd_tmpfs(cmd, "/t", 0, 0755);
        CHECK_EQ(sandbox_cmd_remount(cmd, "/", 0), 0);
        says(cmd, "refused\nbelow\n");
        cmd = script("exit 0");
        sandbox_cmd_dir(cmd, "/plain", 0755);
        CHECK_EQ(sandbox_cmd_remount(cmd, "/plain", 0), 0);
        refuses(cmd, EINVAL, AFTER_SYSTEM + 1, "nothing is mounted there");
        cmd = script("exit 0");
        CHECK_EQ(sandbox_cmd_remount(cmd, "/none", 0), 0);
        refuses(cmd, ENOENT, AFTER_SYSTEM, "/none");
    });
}

TEST(remount_flags, "a remount's flags leave the mount its devices and set-user-ID programs, and give none that it has not") {
    BOTH_WAYS({
        static const struct { uint64_t bind; uint64_t remount; const char *wanted; } rows[] = {
            {SANDBOX_MOUNT_RW | SANDBOX_MOUNT_DEV | SANDBOX_MOUNT_SUID, 0, "ro,nosuid,nodev,"},
            {SANDBOX_MOUNT_RW | SANDBOX_MOUNT_DEV | SANDBOX_MOUNT_SUID, SANDBOX_MOUNT_DEV, "ro,nosuid,relatime"},
            {SANDBOX_MOUNT_RW | SANDBOX_MOUNT_DEV | SANDBOX_MOUNT_SUID, SANDBOX_MOUNT_SUID, "ro,nodev,relatime"},
            {SANDBOX_MOUNT_RW | SANDBOX_MOUNT_DEV | SANDBOX_MOUNT_SUID, SANDBOX_MOUNT_DEV | SANDBOX_MOUNT_SUID, "ro,relatime"},
            {0, SANDBOX_MOUNT_DEV | SANDBOX_MOUNT_SUID, "ro,nosuid,nodev,"},
            {SANDBOX_MOUNT_EXEC_OFF, 0, "ro,nosuid,nodev,noexec,"},
        };
        const char *dir = fresh_dir();
        for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
            sandbox_cmd *cmd = script("grep ' /d ' /proc/self/mountinfo | cut -d' ' -f6");
            sandbox_cmd_bind(cmd, dir, "/d", rows[i].bind);
            CHECK_EQ(sandbox_cmd_remount(cmd, "/d", rows[i].remount), 0);
            run_well(cmd, &result);
            if (strncmp(result.out, rows[i].wanted, strlen(rows[i].wanted)) != 0) FAIL("row %u: %s, not %s", i, result.out, rows[i].wanted);
        }
    });
}

/* --- what a program would undo --- */

TEST(undo, "nothing that was made read-only is undone: not by the program, nor in a user namespace of its own") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        make_dir(in(dir, "a")), make_dir(in(dir, "b"));
        const char *layers[] = {in(dir, "a"), in(dir, "b"), NULL};
        static const char *const places[] = {"/t", "/f", "/o", "/proc/sys", "/"};
        static char words[40][40];
        const char *list[41];
        int count = 0;
        static const char *const ways[] = {"remount", "umount", "nested-remount", "nested-umount"};
        for (int way = 0; way < 4; way++)
            for (int place = 0; place < 5; place++) {
                snprintf(words[count], sizeof *words, "%s:%s", ways[way], places[place]);
                list[count] = words[count], count++;
            }
        list[count++] = "nested-none:x";
        list[count++] = "write:/f";
        list[count++] = "mkdir:/t/x";
        list[count++] = "mkdir:/o/x";
        list[count] = NULL;
        sandbox_cmd *cmd = attempts(list);
        sandbox_cmd_proc(cmd, "/proc", SANDBOX_PROC_RW | SANDBOX_PROC_COVERED);
        sandbox_cmd_tmpfs(cmd, "/t", 0, 0777);
        CHECK_EQ(sandbox_cmd_remount(cmd, "/t", 0), 0);
        sandbox_cmd_data(cmd, "/f", "x", 1, 0666, SANDBOX_DATA_MOUNT);
        CHECK_EQ(sandbox_cmd_overlay_ro(cmd, layers, "/o"), 0);
        run_well(cmd, &result);
        bool has_nested = got("nested-none:x ") == 0;
        for (int i = 0; list[i]; i++) {
            char key[64];
            snprintf(key, sizeof key, "%s ", list[i]);
            int seen = got(key);
            if (strncmp(key, "nested-none", 11) == 0 || (strncmp(key, "nested", 6) == 0 && !has_nested && seen == 1000)) continue;
            if (seen != EPERM && seen != EROFS && seen != EINVAL && seen != EACCES) FAIL("%s%d", key, seen);
        }
        if (!has_nested && !without_user_namespace) FAIL("no user namespace inside one");
    });
}

TEST(covered, "a writable proc that is COVERED lets a process set what is its own, and nothing of the machine") {
    BOTH_WAYS({
        for (int covered = 0; covered < 2; covered++) {
            static const char *const list[] = {"write:/proc/self/oom_score_adj", "write:/proc/sys/kernel/hostname", "write:/proc/sysrq-trigger", NULL};
            sandbox_cmd *cmd = attempts(list);
            sandbox_cmd_proc(cmd, "/proc", SANDBOX_PROC_RW | (covered ? SANDBOX_PROC_COVERED : 0));
            run_well(cmd, &result);
            CHECK_EQ(got("oom_score_adj "), 0);
            /* Without it only the machine's own root, here uid 0 of the first user namespace, may. */
            int wanted = without_user_namespace ? (covered ? EROFS : 0) : -1;
            int name = got("hostname ");
            int trigger = got("sysrq-trigger ");
            if (wanted >= 0) {
                CHECK_EQ(name, wanted);
                CHECK(trigger == wanted || trigger == ENOENT || (!covered && trigger == EROFS));
            } else if (covered) {
                CHECK(name == EROFS || name == EACCES);
                CHECK(trigger == EROFS || trigger == EACCES || trigger == ENOENT);
            }
        }
    });
}

TEST(covered_namespaces, "a COVERED proc gives no sysctl to be written to: not of the child's own namespaces either, were it root there") {
    BOTH_WAYS({
        static const char *const list[] = {"write:/proc/sys/kernel/msgmax", "write:/proc/sys/fs/mqueue/msg_max", "write:/proc/sys/net/ipv4/ip_forward",
                                           "write:/proc/sys/user/max_user_namespaces", NULL};
        for (int covered = 0; covered < 2; covered++) {
            sandbox_cmd *cmd = attempts(list);
            sandbox_cmd_unshare(cmd, SANDBOX_NS_NET);
            CHECK_EQ(sandbox_cmd_user(cmd, 0, 0), 0); /* whom the kernel lets write to them */
            sandbox_cmd_proc(cmd, "/proc", SANDBOX_PROC_RW | (covered ? SANDBOX_PROC_COVERED : 0));
            run_well(cmd, &result);
            for (int i = 0; list[i]; i++) {
                char key[64];
                snprintf(key, sizeof key, "%s ", list[i]);
                int seen = got(key);
                if (covered && seen != EROFS && seen != EACCES && seen != ENOENT) FAIL("%s%d", key, seen);
                if (!covered && i == 0) CHECK_EQ(seen, 0); /* its own, as the kernel has it */
            }
        }
    });
}

TEST(covered_parts, "where proc shows processes alone there is nothing to cover, and no spawn fails for it") {
    BOTH_WAYS({
        sandbox_cmd *cmd = attempts((const char *const[]){"write:/proc/self/oom_score_adj", "write:/proc/sys/kernel/msgmax", NULL});
        sandbox_cmd_proc(cmd, "/proc", SANDBOX_PROC_RW | SANDBOX_PROC_COVERED | SANDBOX_PROC_SUBSET_PID);
        run_well(cmd, &result);
        CHECK_EQ(got("oom_score_adj "), 0);
        CHECK_EQ(got("msgmax "), ENOENT);
    });
}

/* --- terminals, roots --- */

TEST(devpts, "a devpts of the child's own: its terminals work, the host's are not there") {
    BOTH_WAYS({
        sandbox_cmd *cmd = script("ls /dev/pts; exec 3<>/dev/pts/ptmx && ls /dev/pts | tr '\\n' ' '; grep ' /dev/pts ' /proc/self/mountinfo | cut -d' ' -f6");
        CHECK_EQ(sandbox_cmd_devpts(cmd, "/dev/pts"), 0);
        says(cmd, "ptmx\n0 ptmx rw,nosuid,noexec,relatime\n");
    });
}

TEST(root_target, "a tmpfs, a bind or an overlay at \"/\" is the root of what follows, and what was there before is gone") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        char before[4000];
        char after[4000];
        make_dir(in(dir, "low"));
        make_dir(in(dir, "other"));
        static const char *const parts[] = {"usr", "bin", "lib", "lib64", "proc", "mark"};
        for (int i = 0; i < 6; i++) make_dir(in(in(dir, "low"), "%s", parts[i]));
        listing(dir, before, sizeof before);
        for (int kind = 0; kind < 4; kind++) {
            sandbox_cmd *cmd = sandbox_cmd_new("/bin/sh");
            sandbox_cmd_args(cmd, (const char *const[]){"-c", "ls -d /old /mark; (: >/new) && echo written; cut -d' ' -f5 /proc/self/mountinfo | grep -c '^/$'; ls -di / /.. | cut -d' ' -f1 | uniq | wc -l", NULL});
            confined(cmd);
            sandbox_cmd_file(cmd, "/old", "x", 1, 0644);
            const char *lowers[] = {in(dir, "low"), make_dir(in(dir, "other")), NULL};
            switch (kind) {
            case 0: CHECK_EQ(sandbox_cmd_tmpfs(cmd, "/", 0, 0755), 0); break;
            case 1: CHECK_EQ(sandbox_cmd_bind(cmd, in(dir, "low"), "/", 0), 0); break;
            case 2: CHECK_EQ(sandbox_cmd_overlay(cmd, (const char *const[]){in(dir, "low"), NULL}, NULL, NULL, "//."), 0); break;
            default: CHECK_EQ(sandbox_cmd_overlay_ro(cmd, lowers, "/"), 0);
            }
            with_system(cmd);
            sandbox_cmd_proc(cmd, "/proc", 0);
            run_well(cmd, &result);
            static const char *const wanted[] = {"written\n1\n1\n", "/mark\n1\n1\n", "/mark\nwritten\n1\n1\n", "/mark\n1\n1\n"};
            if (strcmp(result.out, wanted[kind]) != 0) FAIL("kind %d: %s", kind, result.out);
            CHECK_STR(listing(dir, after, sizeof after), before);
        }
    });
}
