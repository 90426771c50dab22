/* Leaves that nobody answers for any more go with the next spawn, whoever made them. Needs a cgroup2 directory to write
 * in, named by SANDBOX_CGROUP; no controller. */
#include "test.h"

static const char *parent(void) {
    const char *path = getenv("SANDBOX_CGROUP");
    if (!path || !*path) SKIP("no cgroup2 directory that this user may write in (SANDBOX_CGROUP)");
    return path;
}

static int leaves(void) {
    DIR *directory = opendir(parent());
    int count = 0;
    CHECK(directory);
    for (struct dirent *entry; (entry = readdir(directory));) count += strncmp(entry->d_name, "sandbox-spawn-", 14) == 0;
    closedir(directory);
    return count;
}

static sandbox_cmd *grouped(sandbox_cmd *cmd) {
    CHECK_EQ(sandbox_cmd_cgroup(cmd, parent()), 0);
    return cmd;
}

static void spawn_once(const sandbox_cmd *cmd) {
    sandbox_child *child = spawned(cmd);
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
    sandbox_child_free(child);
}

/* A sweep that took long puts the next one off by a part of a second; it was ten of them once, whatever it took. */
static void swept_soon(const sandbox_cmd *cmd, int wanted) {
    for (int round = 0; round < 300; round++) {
        spawn_once(cmd);
        if (leaves() == wanted) return;
        pause_ms(10);
    }
    FAIL("%d leaves, not %d", leaves(), wanted);
}

TEST(own, "the leaf of a child that this process detached goes with its own next spawn, once it is empty") {
    int before = leaves();
    sandbox_cmd *cmd = grouped(victim("act", "sleep", "60000", NULL)), *next = grouped(victim("act", "exit", "0", NULL));
    sandbox_child *child = spawned(cmd);
    int pidfd = sandbox_child_take_fd(child, SANDBOX_FD_PIDFD);
    CHECK_EQ(sandbox_child_detach(child), 0);
    sandbox_child_free(child);
    spawn_once(next);
    CHECK(runs(pidfd));
    CHECK_EQ(leaves(), before + 1);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0), 0);
    CHECK(ends(pidfd) && waitpid(-1, NULL, __WALL) > 0);
    swept_soon(next, before);
    sandbox_cmd_free(cmd);
    sandbox_cmd_free(next);
    close(pidfd);
}

TEST(same_command, "a dead host's leaf goes with the next spawn of a command that had spawned before it died") {
    int before = leaves();
    sandbox_cmd *cmd = grouped(victim("act", "exit", "0", NULL));
    spawn_once(cmd);
    pid_t host = fork();
    if (host == 0) {
        spawned(grouped(victim("act", "sleep", "60000", NULL)));
        _exit(0);
    }
    int status;
    CHECK(waitpid(host, &status, 0) == host && status == 0);
    swept_soon(cmd, before);
    sandbox_cmd_free(cmd);
}
