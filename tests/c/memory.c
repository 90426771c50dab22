/* What the host's side allocates up to the clone, and gives back: for Valgrind, which can run no child in shared memory. */
#include "test.h"

static int nothing(void *userdata) { return (void)userdata, 0; }
static int look(pid_t pid, int pidfd, void *userdata) { return (void)pid, (void)pidfd, (void)userdata, 0; }

/* A command with something of everything. */
static sandbox_cmd *laden(void) {
    sandbox_cmd *cmd = sandbox_cmd_new("a-program-to-search-for");
    const char *args[] = {"one", "", "three", NULL};
    sandbox_cmd_args(cmd, args);
    sandbox_cmd_arg(cmd, "four");
    sandbox_cmd_arg0(cmd, "first"), sandbox_cmd_arg0(cmd, "zero");
    for (int i = 0; i < 3; i++) sandbox_cmd_env(cmd, "NAME", i ? "value" : "longer value"), sandbox_cmd_env(cmd, "GONE", NULL);
    sandbox_cmd_cwd(cmd, "/"), sandbox_cmd_cwd(cmd, "/tmp");
    for (uint32_t resource = 0; resource < 16; resource++) sandbox_cmd_rlimit(cmd, resource, 1, 2), sandbox_cmd_rlimit(cmd, resource, 2, 3);
    uint64_t cpus[128] = {1};
    sandbox_cmd_cpus(cmd, cpus, 128), sandbox_cmd_cpus(cmd, cpus, 1);
    for (int target = 10; target < 40; target++) sandbox_cmd_pass_fd(cmd, report_fd, target);
    sandbox_cmd_exec_fd(cmd, report_fd), sandbox_cmd_exec_fd(cmd, report_fd);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_FD, report_fd), sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_PTY, -1);
    sandbox_cmd_set(cmd, SANDBOX_OPT_UMASK, 022);
    sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 100);
    sandbox_cmd_set(cmd, SANDBOX_OPT_MDWE, 1);
    sandbox_cmd_set(cmd, SANDBOX_OPT_SPECULATION, 3);
    sandbox_cmd_on_ready(cmd, look, NULL);
    CHECK_EQ(sandbox_cmd_error(cmd, NULL), 0);
    return cmd;
}

TEST(build, "commands of every kind are built, copied, explained and freed") {
    char text[16000];
    for (int way = 0; way < 8; way++) {
        sandbox_cmd *cmd = laden();
        if (way & 1) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
        if (way & 2) sandbox_cmd_pre_exec(cmd, nothing, NULL);
        sandbox_cmd *copy = sandbox_cmd_clone(cmd);
        int length = sandbox_cmd_explain(cmd, text, sizeof text, NULL);
        CHECK(length > 0 && strlen(text) == (size_t)length);
        CHECK_EQ(sandbox_cmd_explain(cmd, NULL, 0, NULL), length); /* the same plan again */
        if (way & 4) sandbox_cmd_free(cmd), cmd = NULL;
        CHECK_EQ(sandbox_cmd_explain(copy, NULL, 0, NULL), length);
        sandbox_cmd_set(copy, SANDBOX_OPT_NICE, 99); /* latched: it holds a message */
        sandbox_cmd *heir = sandbox_cmd_clone(copy);
        CHECK_EQ(sandbox_cmd_error(heir, NULL), -EINVAL);
        sandbox_cmd_free(cmd), sandbox_cmd_free(copy), sandbox_cmd_free(heir);
    }
}

TEST(prepare, "a spawn that runs out of fds, at whatever point before the clone, gives all back") {
    struct rlimit limit;
    sandbox_error error;
    sandbox_child *child;
    getrlimit(RLIMIT_NOFILE, &limit);
    for (int way = 0; way < 2; way++) {
        sandbox_cmd *cmd = laden();
        if (way) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
        int first = fcntl(0, F_DUPFD_CLOEXEC, 0); /* the lowest free number */
        close(first);
        for (int room = 0; room < 6; room++) { /* of the seven at least that it needs */
            struct rlimit low = {(rlim_t)(first + room), limit.rlim_max};
            setrlimit(RLIMIT_NOFILE, &low);
            int code = sandbox_spawn(cmd, &child, &error);
            setrlimit(RLIMIT_NOFILE, &limit);
            CHECK_EQ(code, -EMFILE);
            CHECK(child == NULL);
            CHECK(error.message[0]);
        }
        sandbox_cmd_free(cmd);
    }
}

TEST(refused, "a spawn that is refused before there is a process gives all back") {
    sandbox_child *child;
    sandbox_error error;
    sandbox_cmd *cmd = laden();
    sandbox_cmd_set(cmd, SANDBOX_OPT_LOOPBACK, 1);
    CHECK_EQ(sandbox_spawn(cmd, &child, &error), -EINVAL);
    sandbox_cmd_free(cmd);
    cmd = laden();
    sandbox_cmd_cwd(cmd, NULL);
    CHECK_EQ(sandbox_spawn(cmd, &child, &error), -EFAULT);
    sandbox_cmd_free(cmd);
}
