/* A thousand containers, each with every namespace, a root of its own, a filter and Landlock rules: made, some run to
 * their end, some killed, some that fail on the way; afterwards the host is what it was. */
#include "test.h"


static void slurp(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    for (ssize_t got; fd >= 0 && length < size - 1 && (got = read(fd, text + length, size - 1 - length)) > 0;) length += (size_t)got;
    text[length] = 0;
    if (fd >= 0) close(fd);
}

static long resident_kib(void) {
    static char text[8192];
    slurp("/proc/self/status", text, sizeof text);
    char *line = strstr(text, "VmRSS:");
    return line ? atol(line + 6) : -1;
}

static int count_entries_of(const char *path) {
    DIR *directory = opendir(path);
    int count = 0;
    while (directory && readdir(directory)) count++;
    if (directory) closedir(directory);
    return count;
}

/* Each line of the mount table without its number, which the kernel may give anew. */
static void mounts(char *text, size_t size) { slurp("/proc/self/mountinfo", text, size); }

static void add_filter(sandbox_cmd *cmd) {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    CHECK_EQ(sandbox_filter_deny(filter, SANDBOX_DENY_IO_URING | SANDBOX_DENY_KEYRINGS | SANDBOX_DENY_USER_NAMESPACES), 0);
    CHECK_EQ(sandbox_cmd_filter(cmd, filter), 0);
    sandbox_filter_free(filter);
}

static sandbox_cmd *container(sandbox_cmd *cmd, const char *program) {
    CHECK_EQ(sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_MOUNT | SANDBOX_NS_NET | SANDBOX_NS_UTS | SANDBOX_NS_IPC | SANDBOX_NS_CGROUP), 0);
    CHECK_EQ(sandbox_cmd_map_uid(cmd, 0, geteuid(), 1), 0);
    CHECK_EQ(sandbox_cmd_map_gid(cmd, 0, getegid(), 1), 0);
    CHECK_EQ(sandbox_cmd_hostname(cmd, "one-of-many"), 0);
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_LOOPBACK, 1), 0);
    CHECK_EQ(sandbox_cmd_bind(cmd, program, "/program", 0), 0);
    CHECK_EQ(sandbox_cmd_bind(cmd, "/usr", "/usr", 0), 0);
    CHECK_EQ(sandbox_cmd_tmpfs(cmd, "/tmp", 1 << 20, 01777), 0);
    CHECK_EQ(sandbox_cmd_proc(cmd, "/proc", 0), 0);
    CHECK_EQ(sandbox_cmd_dev(cmd, "/dev"), 0);
    CHECK_EQ(sandbox_cmd_file(cmd, "/etc/motd", "hello\n", 6, 0644), 0);
    CHECK_EQ(sandbox_cmd_symlink(cmd, "usr/bin", "/bin"), 0);
    CHECK_EQ(sandbox_cmd_landlock_path(cmd, "/", SANDBOX_LANDLOCK_READ_EXECUTE), 0);
    add_filter(cmd);
    return cmd;
}

TEST(thousand, "1,000 containers made and freed leave no mount, fd, process, thread, cgroup or memory") {
    static char before[1 << 18], after[1 << 18];
    char program[PATH_MAX + 64];
    snprintf(program, sizeof program, "%s", beside("act"));
    sandbox_cmd *kinds[4];
    for (int i = 0; i < 4; i++) {
        kinds[i] = container(sandbox_cmd_new("/program"), program);
        sandbox_cmd_args(kinds[i], i == 1 ? (const char *const[]){"sleep", "60000", NULL} : (const char *const[]){"exit", "7", NULL});
    }
    sandbox_cmd_set(kinds[1], SANDBOX_OPT_INIT, 1);
    sandbox_cmd_set(kinds[2], SANDBOX_OPT_INIT, 1);
    sandbox_cmd_cwd(kinds[3], "/nowhere"); /* fails when all of it is made */
    sandbox_child *child;
    sandbox_error error;
    sandbox_status status;
    int code = sandbox_spawn(kinds[0], &child, &error);
    if (code == -EPERM || code == -EACCES || code == -ENOSPC) SKIP("%s", error.message);
    if (code == -EOPNOTSUPP && error.stage == SANDBOX_STAGE_LANDLOCK)
        for (int i = 0; i < 4; i++) sandbox_cmd_set(kinds[i], SANDBOX_OPT_ALLOW_LESS_LANDLOCK, 1);
    else if (code < 0)
        FAIL("%s: %s", sandbox_stage_name(error.stage), error.message);
    sandbox_child_free(child);

    long resident = 0;
    int cgroups = count_entries_of("/sys/fs/cgroup"), rounds = scaled(1000);
    mounts(before, sizeof before);
    for (int i = 0; i < rounds; i++) {
        if (i == rounds / 4) resident = resident_kib();
        code = sandbox_spawn(kinds[i % 4], &child, &error);
        if (i % 4 == 3) {
            CHECK_EQ(code, -ENOENT);
            CHECK_EQ(error.stage, SANDBOX_STAGE_CWD);
            continue;
        }
        if (code < 0) FAIL("container %d: %s: %s", i, sandbox_stage_name(error.stage), error.message);
        if (i % 4 != 1) {
            CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
            CHECK_EQ(status.kind, SANDBOX_EXITED);
            CHECK_EQ(status.code, 7);
        }
        sandbox_child_free(child); /* of those that sleep: kills them */
    }
    mounts(after, sizeof after);
    CHECK_STR(after, before);
    CHECK_EQ(count_entries_of("/sys/fs/cgroup"), cgroups);
    CHECK_EQ(waitpid(-1, NULL, __WALL | WNOHANG), -1);
    CHECK_EQ(errno, ECHILD);
    if (!UNDER_ASAN && resident_kib() > resident + 512) FAIL("%ld KiB resident after a quarter, %ld in the end", resident, resident_kib());
    for (int i = 0; i < 4; i++) sandbox_cmd_free(kinds[i]);
}
