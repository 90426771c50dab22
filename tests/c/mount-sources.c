/* Where what is mounted comes from: whose rights open it, and that nothing of it stays open. */
#include "mount.h"
#include "seccomp.h"

/* What the child has open while it stands at its execve, as the listener's notification tells. */
static bool holds(sandbox_child *child, const struct stat *wanted) {
    int listener = sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP);
    struct seccomp_notif notification;
    char path[64];
    bool found = false;
    CHECK(listener >= 0 && receive(listener, &notification));
    snprintf(path, sizeof path, "/proc/%u/fd", notification.pid);
    DIR *fds = opendir(path);
    if (!fds) FAIL("%s: %s", path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(fds));) {
        struct stat about;
        if (fstatat(dirfd(fds), entry->d_name, &about, 0) == 0) found |= about.st_ino == wanted->st_ino && about.st_dev == wanted->st_dev;
    }
    closedir(fds);
    answer(listener, notification.id, 1);
    close(listener);
    return found;
}

static sandbox_cmd *binds_fd(int fd, int way) {
    sandbox_cmd *cmd = script("exit 0");
    sandbox_filter *filter = filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "execve");
    CHECK_EQ(sandbox_cmd_bind_fd(cmd, fd, "/a", 0), 0);
    CHECK_EQ(sandbox_cmd_bind_fd(cmd, fd, "/b", 0), 0);
    CHECK_EQ(sandbox_cmd_filter(cmd, filter), 0);
    sandbox_filter_free(filter);
    if (way == 1) sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 500);
    if (way >= 2) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    return cmd;
}

TEST(fd_closed, "an fd that was bound is open no more when the program starts: plainly, by the trampoline, under an init, from a pool") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        struct stat about;
        CHECK_EQ(stat(dir, &about), 0);
        for (int way = 0; way < 4; way++) {
            int fd = open(dir, O_PATH | O_CLOEXEC);
            sandbox_cmd *cmd = binds_fd(fd, way);
            close(fd);
            sandbox_error error;
            sandbox_pool *pool = way == 3 ? sandbox_pool_new(cmd, 1) : NULL;
            for (int turn = 0; turn < 3; turn++) { /* the command keeps its own */
                sandbox_child *child;
                int made = pool ? sandbox_pool_spawn(pool, NULL, &child, &error) : sandbox_spawn(cmd, &child, &error);
                if (made < 0) FAIL("way %d: %s", way, error.message);
                if (holds(child, &about)) FAIL("way %d: it is open", way);
                sandbox_child_free(child);
            }
            sandbox_pool_free(pool);
            sandbox_cmd_free(cmd);
        }
    });
}

TEST(fd_passed, "an fd that is bound and passed in too is both") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        write_file(in(dir, "file"), "text\n");
        for (int init = 0; init < 2; init++) {
            int fd = open(in(dir, "file"), O_RDONLY | O_CLOEXEC);
            sandbox_cmd *cmd = script("cat /a <&7; cat <&7");
            CHECK_EQ(sandbox_cmd_bind_fd(cmd, fd, "/a", 0), 0);
            CHECK_EQ(sandbox_cmd_pass_fd(cmd, fd, 7), 0);
            if (init) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
            close(fd);
            says(cmd, "text\ntext\n");
        }
    });
}

TEST(fd_unreachable, "an fd whose path the spawning user may not search is refused, and the message says what is missing") {
    if (!is_admin()) SKIP("only root can have such an fd");
    need_mounts();
    const char *dir = fresh_dir();
    make_dir(in(dir, "closed"));
    int fd = open(make_dir(in(dir, "closed/inner")), O_PATH | O_CLOEXEC);
    CHECK_EQ(chown(in(dir, "closed"), 4321, 4321), 0);
    CHECK_EQ(chmod(in(dir, "closed"), 0700), 0);
    sandbox_cmd *cmd = script("exit 0");
    sandbox_cmd_bind_fd(cmd, fd, "/a", 0);
    close(fd);
    refuses(cmd, EACCES, AFTER_SYSTEM, "may not search");
}
