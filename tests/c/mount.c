/* The child's file system: its root, everything that can be mounted or made in it, and what the host sees of that. */
#include "mount.h"
#include <sys/statvfs.h>

/* --- the root --- */

TEST(root, "a new root holds what was asked for and nothing else; the host's is gone, and no mount of it is left") {
    BOTH_WAYS({
        run_well(script("ls /; ls -di / /..; cut -d' ' -f5 /proc/self/mountinfo | sort; pwd"), &result);
        CHECK_HAS(result.out, "bin\n");
        CHECK_HAS(result.out, "proc\nusr\n");
        CHECK(!strstr(result.out, "etc\n") && !strstr(result.out, "home\n") && !strstr(result.out, "tmp\n"));
        CHECK_HAS(result.out, "\n/\n/bin\n");
        CHECK_HAS(result.out, "/proc\n/usr\n/\n");
        ino_t above, here;
        const char *inodes = strstr(result.out, "usr\n") + 4;
        CHECK_EQ(sscanf(inodes, "%lu / %lu /..", &here, &above), 2);
        CHECK_EQ(here, above);
    });
}

TEST(all_gone, "with files, masks and overlays too, the child's mounts are those asked for alone") {
    BOTH_WAYS({
        sandbox_cmd *cmd = script("cut -d' ' -f5 /proc/self/mountinfo | sort | tr '\\n' ' '; ls -di / /.. | cut -d' ' -f1 | uniq | wc -l");
        sandbox_cmd_bind(cmd, "/etc", "/e", 0);
        sandbox_cmd_file(cmd, "/e/passwd", "x", 1, 0644);
        sandbox_cmd_file(cmd, "/etc/x", "x", 1, 0644);
        sandbox_cmd_mask(cmd, "/e/group");
        sandbox_cmd_overlay(cmd, (const char *const[]){"/etc", NULL}, NULL, NULL, "/overlay");
        sandbox_cmd_tmpfs(cmd, "/tmp", 4096, 0700);
        run_well(cmd, &result);
        char wanted[500] = "/ /bin /e /e/group /e/passwd ";
        struct stat about;
        if (stat("/lib", &about) == 0) strcat(wanted, "/lib ");
        if (stat("/lib64", &about) == 0) strcat(wanted, "/lib64 ");
        strcat(wanted, "/overlay /proc /tmp /usr 1\n");
        CHECK_STR(result.out, wanted);
    });
}

TEST(read_only, "the root is read-only in the end unless RW says otherwise; what was made in it is there") {
    BOTH_WAYS({
        sandbox_cmd *cmd = script("cat /etc/a; echo x >/etc/a || echo refused; mkdir /new || echo refused");
        sandbox_cmd_file(cmd, "/etc/a", "text\n", 5, 0644);
        says(cmd, "text\nrefused\nrefused\n");
        cmd = script("echo more >>/etc/a && cat /etc/a; mkdir /new && ls -d /new");
        CHECK_EQ(sandbox_cmd_root(cmd, NULL, SANDBOX_MOUNT_RW), 0);
        sandbox_cmd_file(cmd, "/etc/a", "text\n", 5, 0666);
        says(cmd, "text\nmore\n/new\n");
    });
}

TEST(host_root, "the host's tree as the root is read-only, recursively, with no devices; tmpfs and binds go over it") {
    BOTH_WAYS({
        sandbox_cmd *cmd = confined(sandbox_cmd_new("sh"));
        sandbox_cmd_args(cmd, (const char *const[]){"-c",
            "grep -vE '^[0-9]+ [0-9]+ [0-9:]+ [^ ]+ [^ ]+ ro,' /proc/self/mountinfo | cut -d' ' -f5,6;"
            "echo x >/tmp/x && cat /tmp/x; (: >/etc/x) || echo refused; (: </dev/null) || echo no device", NULL});
        CHECK_EQ(sandbox_cmd_root(cmd, "/", 0), 0);
        sandbox_cmd_tmpfs(cmd, "/tmp", 0, 01777);
        says(cmd, "/tmp rw,nosuid,nodev,relatime\nx\nrefused\nno device\n");
    });
}

TEST(directory_root, "a directory as the root: read-only or writable, relative too") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        char before[4000];
        char after[4000];
        static const char *const parts[] = {"usr", "bin", "lib", "lib64", "proc"};
        for (int i = 0; i < 5; i++) make_dir(in(dir, "%s", parts[i]));
        listing(dir, before, sizeof before);
        sandbox_cmd *cmd = script("ls /; (: >/x) || echo refused");
        sandbox_cmd_root(cmd, dir, 0);
        has(cmd, "refused\n");
        CHECK_STR(listing(dir, after, sizeof after), before);
        CHECK_EQ(chdir(in(dir, "..")), 0);
        cmd = script("echo text >/x; cat /x");
        sandbox_cmd_root(cmd, strrchr(dir, '/') + 1, SANDBOX_MOUNT_RW);
        says(cmd, "text\n");
        CHECK_STR(read_file(in(dir, "x"), after, sizeof after), "text\n");
        cmd = script("exit 0");
        sandbox_cmd_root(cmd, "/not/there", 0);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_ROOT, 0, "/not/there");
    });
}

TEST(implied, "a mount implies a mount namespace; an ordinary user without a user namespace is refused with a hint") {
    need_mounts();
    char here[64], text[8000];
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
    sandbox_cmd_tmpfs(cmd, "/tmp", 0, 0700);
    CHECK(sandbox_cmd_explain(cmd, text, sizeof text, NULL) > 0);
    CHECK_HAS(text, "new namespaces: mount");
    run(with_system(cmd), &result);
    if (is_admin()) CHECK_EQ(result.result, 0);
    else CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_CLONE, 0, "CAP_SYS_ADMIN");
    here[readlink("/proc/self/ns/mnt", here, sizeof here - 1)] = 0;
    run_well(script("readlink /proc/self/ns/mnt"), &result);
    CHECK(strncmp(result.out, here, strlen(here)) != 0);
}

TEST(cwd, "the program starts in the new root's / or where it was told to, and getcwd is inside") {
    BOTH_WAYS({
        CHECK_EQ(chdir("/usr/bin"), 0);
        has(script("pwd; readlink /proc/self/cwd; pwd -P"), "/\n/\n/\n");
        sandbox_cmd *cmd = script("pwd; readlink /proc/self/cwd; ls -d ../../usr");
        sandbox_cmd_dir(cmd, "/d/e", 0755);
        sandbox_cmd_cwd(cmd, "/d/e");
        says(cmd, "/d/e\n/d/e\n../../usr\n");
        cmd = script("exit 0");
        sandbox_cmd_cwd(cmd, "/home");
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_CWD, 0, "/home");
    });
}

TEST(path_search, "PATH is searched inside the new root") {
    BOTH_WAYS({
        sandbox_cmd *cmd = with_system(confined(sandbox_cmd_new("only-inside")));
        sandbox_cmd_file(cmd, "/opt/bin/only-inside", "#!/bin/sh\necho inside\n", 22, 0755);
        sandbox_cmd_env(cmd, "PATH", "/nowhere:/opt/bin");
        says(cmd, "inside\n");
        cmd = with_system(confined(sandbox_cmd_new("act")));
        sandbox_cmd_env(cmd, "PATH", own_directory);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_EXEC, 0, "act");
    });
}

/* --- binds --- */

static const struct {
    uint64_t flags;
    const char *wanted;
} bind_flags[] = {
    {0, "ro,nosuid,nodev,"}, {SANDBOX_MOUNT_RW, "rw,nosuid,nodev,"}, {SANDBOX_MOUNT_EXEC_OFF, "ro,nosuid,nodev,noexec,"},
    {SANDBOX_MOUNT_DEV, "ro,nosuid,"}, {SANDBOX_MOUNT_SUID, "ro,nodev,"}, {SANDBOX_MOUNT_NOATIME, "ro,nosuid,nodev,noatime"},
    {SANDBOX_MOUNT_NOSYMFOLLOW, "ro,nosuid,nodev,relatime,nosymfollow"},
    {SANDBOX_MOUNT_RW | SANDBOX_MOUNT_DEV | SANDBOX_MOUNT_SUID, "rw,relatime"},
};

TEST(flags, "each mount's flags are what was asked for") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        for (size_t i = 0; i < sizeof bind_flags / sizeof *bind_flags; i++) {
            sandbox_cmd *cmd = script("grep ' /here ' /proc/self/mountinfo | cut -d' ' -f6");
            CHECK_EQ(sandbox_cmd_bind(cmd, dir, "/here", bind_flags[i].flags), 0);
            run(cmd, &result);
            if ((bind_flags[i].flags & SANDBOX_MOUNT_NOATIME) && !without_user_namespace) { /* the kernel locks it there */
                CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_MOUNT, 5, "NOATIME");
                continue;
            }
            CHECK_EQ(result.result, 0);
            if (strncmp(result.out, bind_flags[i].wanted, strlen(bind_flags[i].wanted)) != 0)
                FAIL("flags %#llx gave %s", (unsigned long long)bind_flags[i].flags, result.out);
        }
    });
}

TEST(recursive, "what is mounted below a bound directory is seen and as read-only; alone it stays away") {
    if (!is_admin()) SKIP("only root can mount on the host");
    need_mounts();
    const char *dir = fresh_dir();
    pid_t pid = fork(); /* mounts on a host of its own */
    if (pid == 0) {
        CHECK_EQ(syscall(SYS_unshare, 0x00020000), 0);
        CHECK_EQ(syscall(SYS_mount, "none", "/", NULL, 0x44000, NULL), 0);
        make_dir(in(dir, "below"));
        CHECK_EQ(syscall(SYS_mount, "none", in(dir, "below"), "tmpfs", 0, NULL), 0);
        write_file(in(dir, "below/file"), "text\n");
        BOTH_WAYS({
            sandbox_cmd *cmd = script("cat /a/below/file; (: >/a/below/x) || echo refused; grep -c ' /a' /proc/self/mountinfo");
            sandbox_cmd_bind(cmd, dir, "/a", 0);
            says(cmd, "text\nrefused\n2\n");
            cmd = script("cat /a/below/file; (: >/a/below/x) && echo made; rm /a/below/x");
            sandbox_cmd_bind(cmd, dir, "/a", SANDBOX_MOUNT_RW);
            says(cmd, "text\nmade\n");
            cmd = script("ls /a/below; grep -c ' /a' /proc/self/mountinfo");
            sandbox_cmd_bind(cmd, dir, "/a", SANDBOX_MOUNT_NON_RECURSIVE);
            run(cmd, &result);
            if (without_user_namespace) CHECK_STR(result.out, "1\n");
            else CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_MOUNT, 5, "NON_RECURSIVE");
        });
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status != 0) _exit(1); /* it has said why */
}

TEST(optional, "an optional source that is not there is left out, and the status says so; another fails by its name") {
    BOTH_WAYS({
        sandbox_cmd *cmd = script("ls -d /a /b; exit 0");
        sandbox_cmd_bind(cmd, "/not/there", "/a", SANDBOX_MOUNT_OPTIONAL);
        sandbox_cmd_bind(cmd, "/etc/passwd/not", "/b", SANDBOX_MOUNT_OPTIONAL);
        says(cmd, "");
        CHECK_EQ(result.status.left_out, SANDBOX_LEFT_OUT_MOUNT);
        cmd = script("exit 0");
        sandbox_cmd_tmpfs(cmd, "/x", 0, 0700);
        sandbox_cmd_bind(cmd, "/not/there", "/a", 0);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_MOUNT, 6, "/not/there");
    });
}

TEST(files_and_dirs, "a file is bound on a file, a directory on a directory, and never one on the other") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        write_file(in(dir, "file"), "text\n");
        sandbox_cmd *cmd = script("cat /a/b/c /d; ls /e");
        sandbox_cmd_bind(cmd, in(dir, "file"), "/a/b/c", 0);
        sandbox_cmd_file(cmd, "/d", "old\n", 4, 0644);
        sandbox_cmd_bind(cmd, in(dir, "file"), "d", 0);
        sandbox_cmd_bind(cmd, dir, "//./e/", 0);
        says(cmd, "text\ntext\nfile\n");
        cmd = script("exit 0");
        sandbox_cmd_dir(cmd, "/a", 0755);
        sandbox_cmd_bind(cmd, in(dir, "file"), "/a", 0);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_MOUNT, 6, "a directory on a directory");
    });
}

TEST(order, "calls take effect in the caller's order: the later lies over the earlier") {
    BOTH_WAYS({
        sandbox_cmd *cmd = script("ls /a /a/b");
        sandbox_cmd_tmpfs(cmd, "/a", 0, 0755);
        sandbox_cmd_dir(cmd, "/a/seen", 0755);
        sandbox_cmd_tmpfs(cmd, "/a/b", 0, 0755);
        sandbox_cmd_file(cmd, "/a/b/file", "", 0, 0644);
        says(cmd, "/a:\nb\nseen\n\n/a/b:\nfile\n");
        cmd = script("ls /a");
        sandbox_cmd_dir(cmd, "/a/hidden", 0755);
        sandbox_cmd_tmpfs(cmd, "/a", 0, 0755);
        says(cmd, "");
    });
}

TEST(fd_source, "an O_PATH fd is a source, of a directory and of a file; the number inside is not open") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        write_file(in(dir, "file"), "text\n");
        int directory = open(dir, O_PATH | O_CLOEXEC), file = open(in(dir, "file"), O_PATH | O_CLOEXEC);
        sandbox_cmd *cmd = script("cat /a/file /b; (: >/a/x) || echo refused; ls /proc/self/fd | tr '\\n' ' '");
        CHECK_EQ(sandbox_cmd_bind_fd(cmd, directory, "/a", 0), 0);
        CHECK_EQ(sandbox_cmd_bind_fd(cmd, file, "/b", 0), 0);
        close(directory), close(file);
        says(cmd, "text\ntext\nrefused\n0 1 2 3 "); /* 3: ls reads the directory */
        directory = open(make_dir(in(dir, "gone")), O_PATH | O_CLOEXEC);
        CHECK_EQ(rmdir(in(dir, "gone")), 0);
        cmd = script("exit 0");
        sandbox_cmd_bind_fd(cmd, directory, "/a", 0);
        close(directory);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, ESTALE, SANDBOX_STAGE_MOUNT, 5, "the caller's fd");
    });
}

/* --- filesystems --- */

TEST(tmpfs, "a tmpfs has the size and the mode that were asked for, to the page") {
    BOTH_WAYS({
        static const struct {
            uint64_t bytes;
            long pages;
            uint32_t mode;
        } sizes[] = {{4096, 1, 0700}, {4097, 2, 01777}, {1, 1, 0}, {1 << 20, 256, 0755}, {65536, 16, 0711}};
        long page = sysconf(_SC_PAGESIZE);
        for (int i = 0; i < 5; i++) {
            if (page != 4096 && i != 3) continue;
            sandbox_cmd *cmd = script("stat -f -c '%b %S' /t; stat -c %a /t; head -c 2000000 /dev/zero >/t/x; stat -c %s /t/x");
            sandbox_cmd_tmpfs(cmd, "/t", sizes[i].bytes, sizes[i].mode);
            sandbox_cmd_dev(cmd, "/dev");
            char wanted[100];
            snprintf(wanted, sizeof wanted, "%ld %ld\n%o\n", sizes[i].pages * 4096 / page, page, sizes[i].mode);
            if (sizes[i].mode & 0100) snprintf(wanted + strlen(wanted), 40, "%ld\n", sizes[i].pages * 4096);
            run(cmd, &result);
            if (strncmp(result.out, wanted, strlen(wanted)) != 0) FAIL("%llu bytes: \"%s\", not \"%s\"", (unsigned long long)sizes[i].bytes, result.out, wanted);
        }
    });
}

TEST(proc, "proc shows the child's processes alone, read-only or not, with each way to hide") {
    BOTH_WAYS({
        has(script("echo /proc/[0-9]*; echo 1 >/proc/self/oom_score_adj || echo refused"), "refused\n");
        CHECK_HAS(result.out, "/proc/1");
        CHECK(!strstr(result.out, "/proc/3 /proc/4"));
        static const struct {
            uint64_t flags;
            const char *option;
        } ways[] = {{SANDBOX_PROC_NOACCESS, "hidepid=noaccess"}, {SANDBOX_PROC_INVISIBLE, "hidepid=invisible"},
                    {SANDBOX_PROC_PTRACEABLE, "hidepid=ptraceable"}, {SANDBOX_PROC_SUBSET_PID, "subset=pid"}};
        for (int i = 0; i < 4; i++) {
            sandbox_cmd *cmd = script("grep ' /p ' /p/self/mountinfo; ls -d /p/version; exit 0");
            sandbox_cmd_proc(cmd, "/p", ways[i].flags | SANDBOX_PROC_RW);
            has(cmd, ways[i].option);
            CHECK_HAS(result.out, " rw,nosuid,nodev,noexec,");
            CHECK_EQ(strstr(result.out, "/p/version\n") == NULL, ways[i].flags == SANDBOX_PROC_SUBSET_PID);
        }
    });
}

TEST(proc_refused, "a proc without a pid namespace is refused to an ordinary user, with a hint") {
    need_mounts();
    sandbox_cmd *cmd = with_system(sandbox_cmd_new("/bin/true"));
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
    sandbox_cmd_proc(cmd, "/proc", 0);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_MOUNT, 4, "pid namespace");
}

TEST(dev, "dev has the usual devices, terminals of its own, shared memory and links, and takes nothing more") {
    BOTH_WAYS({
        sandbox_cmd *cmd = script(
            "ls /dev | tr '\\n' ' '; echo x >/dev/null; head -c 3 /dev/zero | od -An -tx1; head -c 9 /dev/urandom | wc -c; echo x >/dev/full || echo full;"
            "stat -L -c '%F %t %T' /dev/null /dev/ptmx; echo hi | cat /dev/stdin; echo there >/dev/shm/x && cat /dev/shm/x;"
            "(: >/dev/x) || echo refused; ls /dev/pts");
        sandbox_cmd_dev(cmd, "/dev");
        says(cmd, "core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero  00 00 00\n9\nfull\n"
                  "character special file 1 3\ncharacter special file 5 2\nhi\nthere\nrefused\nptmx\n");
    });
}

TEST(terminals, "a pseudoterminal of the new dev can be opened, and has its number there") {
    BOTH_WAYS({
        struct stat about;
        if (stat("/usr/bin/script", &about) < 0) SKIP("there is no script(1)");
        sandbox_cmd *cmd = script("script -qec tty /dev/null");
        sandbox_cmd_dev(cmd, "/dev");
        has(cmd, "/dev/pts/0");
    });
}

TEST(mqueue, "mqueue is a filesystem of its own ipc namespace") {
    BOTH_WAYS({
        sandbox_cmd *cmd = script(": >/dev/mqueue/queue && ls /dev/mqueue");
        sandbox_cmd_dev(cmd, "/dev");
        CHECK_EQ(sandbox_cmd_mqueue(cmd, "/dev/mqueue"), 0);
        says(cmd, "queue\n");
    });
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
    sandbox_cmd_mqueue(cmd, "/q");
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_MOUNT, 0, "SANDBOX_NS_IPC");
}

/* --- files, directories, links, masks --- */

TEST(made, "files, directories and symlinks are what was asked for, whatever the umask") {
    BOTH_WAYS({
        umask(077);
        sandbox_cmd *cmd = script("cat /a/b/file; stat -c '%n %a' / /a /a/b /a/b/file /c /c/d /e; readlink /l/link; umask; head -c 20 /big; stat -c %s /big");
        static char big[3 << 20];
        memset(big, 'b', sizeof big);
        sandbox_cmd_file(cmd, "/a/b/file", "a\0b", 3, 0640);
        sandbox_cmd_dir(cmd, "/c/d", 0700);
        sandbox_cmd_dir(cmd, "/e", 01777);
        sandbox_cmd_dir(cmd, "/e", 0700); /* is there: stays */
        sandbox_cmd_symlink(cmd, "/no\nwhere", "/l/link");
        sandbox_cmd_file(cmd, "/big", big, sizeof big, 0400);
        run_well(cmd, &result);
        CHECK_EQ(memcmp(result.out, "a\0b", 3), 0);
        CHECK_STR(result.out + 3, "/ 755\n/a 755\n/a/b 755\n/a/b/file 640\n/c 755\n/c/d 700\n/e 1777\n/no\nwhere\n0077\nbbbbbbbbbbbbbbbbbbbb3145728\n");
        umask(022);
    });
}

TEST(file_over, "a file lies over what is there, in a read-only tree too, and the host's is untouched") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        char before[2000];
        char after[2000];
        write_file(in(dir, "file"), "host\n");
        CHECK_EQ(symlink("file", in(dir, "link")), 0);
        listing(dir, before, sizeof before);
        for (int flags = 0; flags <= SANDBOX_MOUNT_RW; flags += SANDBOX_MOUNT_RW) {
            sandbox_cmd *cmd = script("cat /a/link /a/file; echo x >>/a/file || echo refused");
            sandbox_cmd_bind(cmd, dir, "/a", (uint64_t)flags);
            sandbox_cmd_file(cmd, "/a/link", "mine\n", 5, 0666);
            says(cmd, "mine\nmine\nrefused\n");
            cmd = script("exit 0");
            sandbox_cmd_bind(cmd, dir, "/a", (uint64_t)flags);
            sandbox_cmd_file(cmd, "/a/new", "mine\n", 5, 0666);
            run(cmd, &result);
            CHECK_ERROR(result.result, result.error, EROFS, SANDBOX_STAGE_MOUNT, 6, "/a/new");
        }
        CHECK_STR(listing(dir, after, sizeof after), before);
    });
}

TEST(masks, "masks hide files and directories, through symlinks too; what is not there is told") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        write_file(in(dir, "secret"), "secret\n");
        write_file(in(make_dir(in(dir, "secrets")), "file"), "secret\n");
        CHECK_EQ(symlink("/a/secrets", in(dir, "absolute")), 0);
        CHECK_EQ(symlink("../a/./secret", in(dir, "relative")), 0);
        for (int through = 0; through < 2; through++) {
            sandbox_cmd *cmd = script("cat /a/secret /a/relative; ls /a/secrets /a/absolute; cat /a/secrets/file; (echo x >/a/secret) || echo refused; (: >/a/secrets/x) || echo refused");
            sandbox_cmd_bind(cmd, dir, "/a", SANDBOX_MOUNT_RW);
            sandbox_cmd_mask(cmd, through ? "/a/relative" : "/a/secret");
            sandbox_cmd_mask(cmd, through ? "/a/absolute" : "/a/secrets");
            run(cmd, &result);
            CHECK_EQ(result.result, 0);
            CHECK_STR(result.out, "/a/absolute:\n\n/a/secrets:\nrefused\nrefused\n");
        }
        sandbox_cmd *cmd = script("exit 0");
        sandbox_cmd_mask(cmd, "/not/there");
        run_well(cmd, &result);
        CHECK_EQ(result.status.left_out & SANDBOX_LEFT_OUT_MASK, SANDBOX_LEFT_OUT_MASK);
        cmd = script("cat /proc/version /proc/kcore; ls /proc/sys | wc -l");
        sandbox_cmd_mask(cmd, "/proc/version");
        sandbox_cmd_mask(cmd, "/proc/kcore");
        sandbox_cmd_mask(cmd, "/proc/sys");
        says(cmd, "0\n");
    });
}

/* --- many, long, strange --- */

TEST(many, "256 mounts in one command") {
    BOTH_WAYS({
        sandbox_cmd *cmd = script("grep -c ' /many/' /proc/self/mountinfo; ls /many | wc -l; ls /many/200");
        const char *dir = fresh_dir();
        write_file(in(dir, "file"), "text\n");
        char target[64];
        for (int i = 0; i < 256; i++) {
            snprintf(target, sizeof target, "/many/%d", i);
            CHECK_EQ(sandbox_cmd_bind(cmd, dir, target, 0), 0);
        }
        says(cmd, "256\n256\nfile\n");
    });
}

TEST(long_paths, "long targets and bytes that are no text") {
    BOTH_WAYS({
        char target[4096] = "";
        while (strlen(target) < 3800) {
            strcat(target, "/");
            memset(target + strlen(target), 'x', 200);
        }
        sandbox_cmd *cmd = script("find / -xdev -name file | wc -c; cat /*/x; [ -d '/n\n' ] && echo there");
        sandbox_cmd_dir(cmd, target, 0700);
        strcat(target, "/file");
        sandbox_cmd_file(cmd, target, "", 0, 0600);
        sandbox_cmd_file(cmd, "/\xff\xc3\x28 \x01/x", "text\n", 5, 0600);
        sandbox_cmd_dir(cmd, "/n\n", 0700);
        run_well(cmd, &result);
        char wanted[100];
        snprintf(wanted, sizeof wanted, "%zu\ntext\nthere\n", strlen(target) + 1);
        CHECK_STR(result.out, wanted);
        cmd = script("exit 0");
        memset(target, 'x', 300);
        target[300] = 0;
        sandbox_cmd_dir(cmd, target, 0700);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, ENAMETOOLONG, SANDBOX_STAGE_MOUNT, 5, "xxxx");
    });
}

/* --- with the rest --- */

static int pre_exec(void *userdata) { return access("/inside", F_OK) == 0 && *(int *)userdata == 7 ? 0 : -EXDEV; }

TEST(combined, "a new root with an init, the trampoline, pre_exec, a filter, an exec fd, passed fds") {
    BOTH_WAYS({
        for (int way = 0; way < 6; way++) {
            sandbox_cmd *cmd = script("cat /inside; ls /");
            int seven = 7, fd = -1;
            sandbox_filter *filter = NULL;
            sandbox_cmd_file(cmd, "/inside", "inside\n", 7, 0644);
            switch (way) {
            case 0: sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1); break;
            case 1: sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 500); break;
            case 2: sandbox_cmd_pre_exec(cmd, pre_exec, &seven); break;
            case 3:
                filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
                sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(EPERM), "mount", NULL, 0);
                CHECK_EQ(sandbox_cmd_filter(cmd, filter), 0);
                break;
            case 4:
                fd = open("/bin/sh", O_PATH | O_CLOEXEC);
                sandbox_cmd_exec_fd(cmd, fd);
                break;
            default:
                fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
                sandbox_cmd_pass_fd(cmd, fd, 3);
                sandbox_cmd_pass_fd(cmd, fd, 30);
                sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
            }
            has(cmd, "inside\n");
            sandbox_filter_free(filter);
            if (fd >= 0) close(fd);
        }
    });
}

TEST(traced, "a traced child stops at its exec in the new root") {
    need_mounts();
    sandbox_cmd *cmd = script("exit 5");
    sandbox_cmd_ptrace(cmd, 0);
    sandbox_child *child = spawned(cmd);
    int status;
    pid_t pid = sandbox_child_pid(child);
    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(syscall(SYS_ptrace, 17 /* PTRACE_DETACH */, pid, 0, 0), 0);
    sandbox_status end;
    CHECK_EQ(sandbox_child_wait(child, -1, &end, sizeof end), 0);
    CHECK_EQ(end.code, 5);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(init_without_proc, "an init without a pid namespace ends what is left, though the new root has no proc") {
    need_mounts();
    int ends_of_pipe[2];
    for (int by_free = 0; by_free < 2; by_free++) {
        CHECK_EQ(pipe2(ends_of_pipe, O_CLOEXEC), 0);
        sandbox_cmd *cmd = sandbox_cmd_new("/bin/sh");
        /* An orphan of a session of its own holds the pipe. */
        sandbox_cmd_args(cmd, (const char *const[]){"-c", "setsid sleep 1000 & setsid sh -c 'sleep 1000 & sleep 1000' & echo begun >&5; [ $0 = 1 ] && exec sleep 1000; exit 3",
                                                    by_free ? "1" : "0", NULL});
        sandbox_cmd_unshare(cmd, is_admin() ? 0 : SANDBOX_NS_USER);
        with_system(cmd);
        sandbox_cmd_file(cmd, "/dev/null", "", 0, 0666);
        sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
        sandbox_cmd_pass_fd(cmd, ends_of_pipe[1], 5);
        sandbox_child *child = spawned(cmd);
        sandbox_cmd_free(cmd);
        close(ends_of_pipe[1]);
        char text[7] = "";
        CHECK_EQ(read(ends_of_pipe[0], text, 6), 6);
        if (!by_free) {
            sandbox_status status;
            CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
            CHECK_EQ(status.code, 3);
        }
        sandbox_child_free(child);
        struct pollfd end = {ends_of_pipe[0], POLLIN, 0};
        CHECK_EQ(poll(&end, 1, 20000), 1); /* the last of them is gone */
        CHECK_EQ(read(ends_of_pipe[0], text, 1), 0);
        close(ends_of_pipe[0]);
    }
}

TEST(other_ids, "where the spawning user has no ids in the user namespace, files are made as one that has") {
    if (!is_admin()) SKIP("only root maps other ids");
    need_mounts();
    for (int asks = 0; asks < 2; asks++) {
        sandbox_cmd *cmd = script("cat /etc/file; stat -c '%u %g' /etc/file; id -u; (: >/tmp/x) && ls /tmp");
        sandbox_cmd_map_uid(cmd, 0, 100000, 1000);
        sandbox_cmd_map_gid(cmd, 0, 200000, 1000);
        if (asks) sandbox_cmd_user(cmd, 7, 8);
        sandbox_cmd_file(cmd, "/etc/file", "text\n", 5, 0644);
        sandbox_cmd_tmpfs(cmd, "/tmp", 0, 01777);
        sandbox_cmd_dev(cmd, "/dev");
        run(cmd, &result);
        CHECK_EQ(result.result, 0);
        CHECK_STR(result.out, asks ? "text\n7 8\n7\nx\n" : "text\n0 0\n0\nx\n");
    }
}

TEST(fixed_owner, "nothing is left on the host: no mount, no file, no fd, after spawns that succeed and that fail") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        static char before[200000];
        static char after[200000];
        char files[2000];
        char later[2000];
        write_file(in(dir, "file"), "x");
        read_file("/proc/self/mountinfo", before, sizeof before);
        listing(dir, files, sizeof files);
        for (int i = 0; i < 20; i++) {
            sandbox_cmd *cmd = script("exit 0");
            sandbox_cmd_bind(cmd, dir, "/a", 0);
            sandbox_cmd_file(cmd, "/a/file", "y", 1, 0644);
            sandbox_cmd_dev(cmd, "/dev");
            if (i % 2) sandbox_cmd_dir(cmd, "/a/x", 0700);
            run(cmd, &result);
            if (i % 2) CHECK_ERROR(result.result, result.error, EROFS, SANDBOX_STAGE_MOUNT, 8, "/a/x");
            else CHECK_EQ(result.result, 0);
        }
        CHECK_STR(read_file("/proc/self/mountinfo", after, sizeof after), before);
        CHECK_STR(listing(dir, later, sizeof later), files);
    });
}

TEST(propagation, "what is mounted inside does not get out, where the host's mounts are shared") {
    if (!is_admin()) SKIP("only root can share mounts");
    need_mounts();
    pid_t pid = fork();
    if (pid == 0) {
        static char before[200000], after[200000];
        CHECK_EQ(syscall(SYS_unshare, 0x00020000), 0);
        CHECK_EQ(syscall(SYS_mount, "none", "/", NULL, 0x104000, NULL), 0); /* MS_REC | MS_SHARED */
        read_file("/proc/self/mountinfo", before, sizeof before);
        for (int way = 0; way < 2; way++) {
            without_user_namespace = way;
            sandbox_cmd *cmd = confined(sandbox_cmd_new("sh"));
            sandbox_cmd_args(cmd, (const char *const[]){"-c", "mount -t tmpfs none /mnt && grep -c ' /mnt ' /proc/self/mountinfo", NULL});
            sandbox_cmd_root(cmd, "/", SANDBOX_MOUNT_RW);
            sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0);
            says(cmd, "1\n");
            cmd = confined(sandbox_cmd_new("sh")); /* a namespace alone */
            sandbox_cmd_unshare(cmd, SANDBOX_NS_MOUNT);
            sandbox_cmd_args(cmd, (const char *const[]){"-c", "mount -t tmpfs none /mnt && grep -c ' /mnt ' /proc/self/mountinfo", NULL});
            sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0);
            says(cmd, "1\n");
            CHECK_STR(read_file("/proc/self/mountinfo", after, sizeof after), before);
        }
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status != 0) _exit(1);
}

/* --- real programs --- */

TEST(real, "a pipeline, python and a compiler work in a root of binds") {
    BOTH_WAYS({
        sandbox_cmd *cmd = script("seq 1000 | sort -rn | head -n 1");
        says(cmd, "1000\n");
        struct stat about;
        if (stat("/usr/bin/python3", &about) == 0) {
            cmd = script("python3 -c 'import json, tempfile, os; f = tempfile.NamedTemporaryFile(); f.write(b\"x\"); f.flush(); print(json.dumps([os.getcwd(), os.path.getsize(f.name)]))'");
            sandbox_cmd_tmpfs(cmd, "/tmp", 1 << 20, 01777);
            sandbox_cmd_dev(cmd, "/dev");
            says(cmd, "[\"/\", 1]\n");
        }
        if (stat("/usr/bin/gcc", &about) == 0) {
            cmd = script("cd /tmp; echo 'int main(void) { return 42; }' >a.c && gcc -o a a.c; ./a; echo $?");
            sandbox_cmd_tmpfs(cmd, "/tmp", 16 << 20, 01777);
            sandbox_cmd_dev(cmd, "/dev");
            sandbox_cmd_bind(cmd, "/etc/alternatives", "/etc/alternatives", SANDBOX_MOUNT_OPTIONAL);
            says(cmd, "42\n");
        }
    });
}
