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
