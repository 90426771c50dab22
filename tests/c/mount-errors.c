/* What is said of a file system: by explain beforehand, and by the message where it can't be had. */
#include "mount.h"

TEST(explained, "explain names sources, targets and flags") {
    char text[16000];
    sandbox_cmd *cmd = script("exit 0");
    sandbox_cmd_bind(cmd, "/so\nurce", "a//b", SANDBOX_MOUNT_RW | SANDBOX_MOUNT_EXEC_OFF);
    sandbox_cmd_tmpfs(cmd, "/t", 5000, 0711);
    sandbox_cmd_mask(cmd, "/proc/kcore");
    CHECK(sandbox_cmd_explain(cmd, text, sizeof text, NULL) > 0);
    static const char *const words[] = {"\"/so\\nurce\"", "\"/a/b\"", "writable, nosuid, nodev, noexec", "tmpfs of 5000 bytes, mode 711", "mask \"/proc/kcore\"",
                                        "private", "pivot_root", "read-only", "\"/lib64\"", "if it is there"};
    for (int i = 0; i < 10; i++) CHECK_HAS(text, words[i]);
    sandbox_cmd_free(cmd);
}

static const char *explained(sandbox_cmd *cmd) {
    static char texts[2][16000];
    static int next;
    char *text = texts[next++ % 2];
    CHECK(sandbox_cmd_explain(cmd, text, sizeof *texts, NULL) > 0);
    sandbox_cmd_free(cmd);
    return text;
}

TEST(told_apart, "explain tells apart what differs: a bind alone or with what is below, how a file comes there, upper and work, which fd") {
    const char *dir = fresh_dir();
    make_dir(in(dir, "one")), make_dir(in(dir, "two"));
    static const struct { uint64_t flags; const char *word; } ways[] = {
        {0, "mode 600\n"}, {SANDBOX_DATA_MOUNT, "mode 600, lain over what is there\n"},
        {SANDBOX_DATA_MOUNT | SANDBOX_DATA_RW, "mode 600, lain over what is there, writable\n"}, {SANDBOX_DATA_IN_PLACE, "mode 600, written into what is there\n"}};
    for (int i = 0; i < 4; i++) {
        sandbox_cmd *cmd = script("exit 0");
        CHECK_EQ(sandbox_cmd_data(cmd, "/file", "x", 1, 0600, ways[i].flags), 0);
        CHECK_HAS(explained(cmd), ways[i].word);
    }
    for (int alone = 0; alone < 2; alone++) {
        sandbox_cmd *cmd = script("exit 0");
        sandbox_cmd_bind(cmd, "/media", "/a", alone ? SANDBOX_MOUNT_NON_RECURSIVE : 0);
        CHECK_EQ(strstr(explained(cmd), "nodev, without what is mounted below it") != NULL, alone);
        cmd = script("exit 0");
        sandbox_cmd_root(cmd, "/", alone ? SANDBOX_MOUNT_NON_RECURSIVE : 0);
        CHECK_EQ(strstr(explained(cmd), "nodev, without what is mounted below it") != NULL, alone);
        cmd = script("exit 0");
        int fd = open(in(dir, alone ? "one" : "two"), O_PATH | O_CLOEXEC);
        sandbox_cmd_bind_fd(cmd, fd, "/a", 0);
        close(fd);
        char word[PATH_MAX + 64];
        snprintf(word, sizeof word, "the caller's fd of \"%s/%s\"", dir, alone ? "one" : "two");
        CHECK_HAS(explained(cmd), word);
    }
    sandbox_cmd *cmd = script("exit 0");
    sandbox_cmd_overlay(cmd, (const char *const[]){"/usr", NULL}, "/the/upper", "/the/work", "/o");
    CHECK_HAS(explained(cmd), "changes kept in \"/the/upper\", work in \"/the/work\"");
}

/* --- refused at once --- */

static void latched(sandbox_cmd *cmd, int result_, const char *word) {
    CHECK_EQ(result_, -EINVAL);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_MOUNT, AFTER_SYSTEM, word);
}

TEST(modes_refused, "a refused mode is shown as it is written: in octal") {
    sandbox_cmd *cmd = script("exit 0");
    latched(cmd, sandbox_cmd_dir(cmd, "/x", 02755), "mode 02755");
    cmd = script("exit 0");
    latched(cmd, sandbox_cmd_tmpfs(cmd, "/x", 0, 010000), "mode 010000");
    cmd = script("exit 0");
    latched(cmd, sandbox_cmd_file(cmd, "/x", "x", 1, 01644), "mode 01644");
    cmd = script("exit 0");
    latched(cmd, sandbox_cmd_data(cmd, "/x", "x", 1, 010644, SANDBOX_DATA_MOUNT), "mode 010644");
    cmd = script("exit 0");
    latched(cmd, sandbox_cmd_chmod(cmd, "/x", 0x8000), "mode 0100000");
}

TEST(sizes_refused, "a size that the kernel would round up to nothing, and so to no limit, is refused; the largest other one holds") {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t sizes[] = {UINT64_MAX, UINT64_MAX - page + 2};
    for (int i = 0; i < 2; i++) {
        sandbox_cmd *cmd = script("exit 0");
        latched(cmd, sandbox_cmd_tmpfs(cmd, "/t", sizes[i], 0755), "bytes");
    }
    need_mounts();
    sandbox_cmd *cmd = script("echo $(($(stat -f -c %b /t) > 1 << 45))");
    CHECK_EQ(sandbox_cmd_tmpfs(cmd, "/t", UINT64_MAX - page + 1, 0755), 0);
    says(cmd, page == 4096 ? "1\n" : "0\n");
}

/* --- refused by the kernel --- */

static void hints(sandbox_cmd *cmd, int errnum, unsigned index, const char *word, const char *no_word) {
    refuses(cmd, errnum, index, word);
    if (strstr(result.error.message, no_word)) FAIL("%s", result.error.message);
}

TEST(absent, "of a target that is not there, or can't be made, no symlink is blamed; of one that leads nowhere it is") {
    BOTH_WAYS({
        for (int kind = 0; kind < 6; kind++) {
            sandbox_cmd *cmd = script("exit 0");
            switch (kind) {
            case 0: sandbox_cmd_chmod(cmd, "/none", 0700); break;
            case 1: sandbox_cmd_remount(cmd, "/none", 0); break;
            case 2: sandbox_cmd_tmpfs(cmd, "/proc/x", 0, 0700); break;
            case 3: sandbox_cmd_bind(cmd, "/etc/passwd", "/proc/x", 0); break;
            case 4: sandbox_cmd_dir(cmd, "/proc/x/y", 0700); break;
            default: sandbox_cmd_symlink(cmd, "text", "/proc/x");
            }
            if (kind < 2) hints(cmd, ENOENT, AFTER_SYSTEM, "nothing is there", "symlink");
            else hints(cmd, EROFS, AFTER_SYSTEM, "new entries go into memory", "leads nowhere");
        }
        sandbox_cmd *cmd = script("exit 0");
        sandbox_cmd_symlink(cmd, "/none", "/link");
        sandbox_cmd_tmpfs(cmd, "/link/x", 0, 0700);
        refuses(cmd, ENOENT, AFTER_SYSTEM + 1, "a symlink on the way leads nowhere");
    });
}

TEST(new_file, "a new file in a tree of the host's is refused with a word on what would make it, writable as the tree may be") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        for (uint64_t flags = 0; flags <= SANDBOX_MOUNT_RW; flags += SANDBOX_MOUNT_RW) {
            sandbox_cmd *cmd = script("exit 0");
            sandbox_cmd_bind(cmd, dir, "/a", flags);
            sandbox_cmd_file(cmd, "/a/new", "x", 1, 0644);
            hints(cmd, EROFS, AFTER_SYSTEM + 1, "SANDBOX_DATA_IN_PLACE", "new entries");
        }
        CHECK_EQ(count_entries(dir), 0);
    });
}

TEST(kinds_apart, "a tmpfs, an overlay or a proc on a file is named, with the reason") {
    BOTH_WAYS({
        static const char *const names[] = {"mount the tmpfs on \"/file\"", "mount the overlay on \"/file\"", "mount the proc on \"/file\"", "mount the tmpfs for devices on"};
        for (int kind = 0; kind < 4; kind++) {
            sandbox_cmd *cmd = script("exit 0");
            sandbox_cmd_file(cmd, "/file", "x", 1, 0644);
            switch (kind) {
            case 0: sandbox_cmd_tmpfs(cmd, "/file", 0, 0700); break;
            case 1: sandbox_cmd_overlay(cmd, (const char *const[]){"/usr", NULL}, NULL, NULL, "/file"); break;
            case 2: sandbox_cmd_proc(cmd, "/file", 0); break;
            default: sandbox_cmd_dev(cmd, "/file");
            }
            refuses(cmd, EINVAL, AFTER_SYSTEM + 1, names[kind]);
            CHECK_HAS(result.error.message, "a file goes on a file");
        }
    });
}

TEST(others_mode, "the mode of a file whose owner has no id in the user namespace can't be changed, and the message says so") {
    need_mounts();
    const char *dir = fresh_dir();
    write_file(in(dir, "file"), "x");
    if (is_admin()) CHECK_EQ(chown(in(dir, "file"), 4321, 4321), 0);
    else dir = "/etc"; /* root's; and its own mode */
    const char *name = is_admin() ? "file" : "passwd";
    sandbox_cmd *cmd = script("exit 0");
    sandbox_cmd_bind(cmd, dir, "/a", SANDBOX_MOUNT_RW);
    sandbox_cmd_chmod(cmd, in("/a", "%s", name), mode_of(in(dir, "%s", name)));
    hints(cmd, EPERM, AFTER_SYSTEM + 1, "its owner has no id", "CAP_SYS_ADMIN");
}
