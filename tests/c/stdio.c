/* The standard streams: inherited, null, piped, given. */
#include "test.h"

TEST(pipes, "three pipes carry a filter program's input and output") {
    sandbox_cmd *cmd = victim("act", "cat", NULL);
    for (int target = 0; target < 3; target++) CHECK_EQ(sandbox_cmd_stdio(cmd, target, SANDBOX_STDIO_PIPE, -1), 0);
    sandbox_child *child = spawned(cmd);
    sandbox_fds fds = fds_of(child);
    CHECK(fds.stdin_fd > 2 && fds.stdout_fd > 2 && fds.stderr_fd > 2 && fds.pidfd > 2);
    CHECK_EQ(fds.pty_fd, -1);
    CHECK_EQ(fds.seccomp_fd, -1);
    CHECK_EQ(fds.cgroup_fd, -1);
    int all[] = {fds.pidfd, fds.stdin_fd, fds.stdout_fd, fds.stderr_fd};
    for (int i = 0; i < 4; i++) CHECK_EQ(fcntl(all[i], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(fds.stdin_fd, "hello", 5), 5);
    close(sandbox_child_take_fd(child, SANDBOX_FD_STDIN));
    char out[32];
    drain(fds.stdout_fd, out, sizeof out);
    CHECK_STR(out, "hello");
    drain(fds.stderr_fd, out, sizeof out);
    CHECK_STR(out, "");
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

static void *feed(void *fd) {
    char block[4096];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 512; i++)
        for (size_t at = 0; at < sizeof block;) {
            ssize_t put = write(*(int *)fd, block + at, sizeof block - at);
            if (put < 0) return "write failed";
            at += (size_t)put;
        }
    close(*(int *)fd);
    return NULL;
}

TEST(much, "two megabytes go through a pair of pipes unharmed") {
    sandbox_cmd *cmd = victim("act", "cat", NULL);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    int in = sandbox_child_take_fd(child, SANDBOX_FD_STDIN);
    pthread_t thread;
    pthread_create(&thread, NULL, feed, &in);
    static char out[3 << 20];
    drain(fds_of(child).stdout_fd, out, sizeof out);
    void *wrong;
    pthread_join(thread, &wrong);
    CHECK(wrong == NULL);
    CHECK_EQ(strspn(out, "x"), 2 << 20);
    CHECK_EQ(out[2 << 20], 0);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(apart, "standard output and standard error come out of their own pipes") {
    sandbox_cmd *cmd = victim("act", "both", NULL);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    char text[16];
    drain(fds_of(child).stdout_fd, text, sizeof text);
    CHECK_STR(text, "out");
    drain(fds_of(child).stderr_fd, text, sizeof text);
    CHECK_STR(text, "err");
    CHECK_EQ(fds_of(child).stdin_fd, -1);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

static void identity(const char *path, int fd, char *text) {
    struct stat stat;
    if ((path ? lstat(path, &stat) : fstat(fd, &stat)) < 0) FAIL("stat: %s", strerror(errno));
    snprintf(text, 100, "%llu:%llu flags 0", (unsigned long long)stat.st_dev, (unsigned long long)stat.st_ino);
}

TEST(null, "null is /dev/null, readable and writable") {
    static struct run result;
    char wanted[100];
    sandbox_cmd *cmd = victim("report", "fd:0", "fd:2", "fds", NULL);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_NULL, -1);
    sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_NULL, -1);
    run_well(cmd, &result);
    identity("/dev/null", -1, wanted);
    CHECK_STR(value(&result, "fd:0"), wanted);
    CHECK_STR(value(&result, "fd:2"), wanted);
    CHECK_STR(value(&result, "fds"), "0 1 2 ");
}

TEST(inherit, "inherited streams are the host's own files, close-on-exec or not") {
    static struct run result;
    char wanted[100];
    int file = memfd_create("input", MFD_CLOEXEC), before = fcntl(0, F_DUPFD_CLOEXEC, 3);
    dup3(file, 0, O_CLOEXEC);
    identity(NULL, file, wanted);
    sandbox_cmd *cmd = victim("report", "fd:0", NULL);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "fd:0"), wanted);
    CHECK_EQ(fcntl(0, F_GETFD), FD_CLOEXEC);
    if (before >= 0) dup2(before, 0), close(before);
    else close(0);
    close(file);
}

TEST(given, "a given fd is kept by the command, whatever the caller does with his") {
    static struct run result;
    int file = memfd_create("given", MFD_CLOEXEC);
    CHECK_EQ(write(file, "abc", 3), 3);
    lseek(file, 0, SEEK_SET);
    sandbox_cmd *cmd = victim("act", "cat", NULL);
    CHECK_EQ(sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_FD, file), 0);
    close(file);
    CHECK_STR(run_well(cmd, &result), "abc");
}

TEST(same, "one fd serves as standard output and standard error") {
    int file = memfd_create("both", MFD_CLOEXEC);
    char text[16] = "";
    sandbox_cmd *cmd = victim("act", "both", NULL);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_FD, file);
    sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_FD, file);
    sandbox_child *child = spawned(cmd);
    sandbox_child_wait(child, -1, NULL, 0);
    CHECK_EQ(pread(file, text, 15, 0), 6);
    CHECK_STR(text, "outerr");
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    close(file);
}

TEST(crossed, "the host's own streams can be given crosswise") {
    int first = memfd_create("first", MFD_CLOEXEC), second = memfd_create("second", MFD_CLOEXEC);
    int keep[2] = {fcntl(1, F_DUPFD_CLOEXEC, 3), fcntl(2, F_DUPFD_CLOEXEC, 3)};
    char text[16] = "";
    dup2(first, 1), dup2(second, 2);
    sandbox_cmd *cmd = victim("act", "both", NULL);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_FD, 2);
    sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_FD, 1);
    sandbox_child *child = spawned(cmd);
    sandbox_child_wait(child, -1, NULL, 0);
    dup2(keep[0], 1), dup2(keep[1], 2);
    CHECK_EQ(pread(first, text, 15, 0), 3);
    CHECK_STR(text, "err");
    CHECK_EQ(pread(second, text, 15, 0), 3);
    CHECK_STR(text, "out");
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    close(first), close(second), close(keep[0]), close(keep[1]);
}

TEST(last, "the last call for a stream holds") {
    static struct run result;
    sandbox_cmd *cmd = victim("act", "cat", NULL);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_NULL, -1);
    CHECK_STR(run_well(cmd, &result), "");
}

TEST(fresh, "each spawn of one command gets pipes of its own") {
    sandbox_cmd *cmd = victim("act", "print", "x", NULL);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *children[20];
    char text[8];
    for (int i = 0; i < 20; i++) children[i] = spawned(cmd);
    for (int i = 0; i < 20; i++) {
        drain(fds_of(children[i]).stdout_fd, text, sizeof text);
        CHECK_STR(text, "x");
        sandbox_child_free(children[i]);
    }
    sandbox_cmd_free(cmd);
}

TEST(reader_gone, "a pipe without a reader is the program's SIGPIPE, and not the host's") {
    sandbox_cmd *cmd = victim("act", "cat", NULL);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    sandbox_status status;
    close(sandbox_child_take_fd(child, SANDBOX_FD_STDOUT));
    CHECK_EQ(write(fds_of(child).stdin_fd, "x", 1), 1);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(status.kind, SANDBOX_SIGNALED);
    CHECK_EQ(status.code, SIGPIPE);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}
