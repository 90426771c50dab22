/* Yama, where the kernel has it: at whichever kernel.yama.ptrace_scope is set, the listener comes, a seize that is
 * refused says why, and a supervisor reads memory or is told that it may not. The machines of tests/kernels run this at
 * each scope. */
#include "seccomp.h"

static struct run result;

static int scope(void) {
    char text[8] = "";
    int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
    if (fd < 0) SKIP("this kernel has no Yama");
    CHECK(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return atoi(text);
}

/* A parent may trace its child at 0 and 1, an administrator at 2 too, nobody at 3. */
static bool may_trace(void) {
    int now = scope();
    return now < 2 || (now == 2 && has_cap(19));
}

static const struct { const char *name; int option; uint64_t value; } ways[] = {
    {"plainly", 0, 0}, {"through the trampoline", SANDBOX_OPT_OOM_SCORE_ADJ, 900}, {"under an init", SANDBOX_OPT_INIT, 1}};

static sandbox_cmd *by(int way, sandbox_cmd *cmd) {
    if (ways[way].option) CHECK_EQ(sandbox_cmd_set(cmd, (uint32_t)ways[way].option, ways[way].value), 0);
    return cmd;
}

TEST(listener, "the listener comes at every scope, and its answers arrive") {
    scope();
    for (int way = 0; way < 3; way++)
        for (int user = 0; user < 2; user++) {
            struct supervisor supervisor;
            sandbox_cmd *cmd = by(way, raw());
            if (user) sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID);
            sandbox_cmd_arg(cmd, WORD(SYS_getuid));
            add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getuid"));
            run_supervised(cmd, &result, &supervisor, -EXFULL);
            if (result.result < 0) FAIL("%s, %d: %d, %s[%u] %s", ways[way].name, user, result.result, sandbox_stage_name(result.error.stage), result.error.index, result.error.message);
            CHECK_EQ(result_of(&result, 0), -EXFULL);
            CHECK_EQ(supervisor.count, 1);
        }
}

TEST(no_way, "a filter that leaves the listener no way is refused, where it needs one, with the reason") {
    int now = scope();
    sandbox_cmd *cmd = raw();
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, DENIED, "sendmsg"));
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getuid"));
    struct supervisor supervisor;
    run_supervised(cmd, &result, &supervisor, -EXFULL);
    if (now < 2) CHECK_EQ(result.result, 0);
    else CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_HANDOFF, 0, "Yama");
}

TEST(seize, "a seize works where Yama allows it; where not, stage ptrace and a hint that names Yama") {
    sandbox_cmd *cmd = raw();
    sandbox_cmd_ptrace(cmd, 0);
    if (!may_trace()) {
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_PTRACE, 0, "Yama");
        return;
    }
    sandbox_child *child = spawned(cmd);
    pid_t pid = sandbox_child_pid(child);
    CHECK_EQ(next_stop(pid) >> 8, AT_EXEC);
    CHECK_EQ(ptrace(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
    sandbox_child_free(child), sandbox_cmd_free(cmd);
}

static int read_result;
static char path[PATH_MAX];

static int look(sandbox_notify *n, void *userdata) {
    sandbox_syscall call;
    (void)userdata;
    CHECK_EQ(sandbox_notify_call(n, &call, sizeof call), 0);
    read_result = sandbox_notify_string(n, call.args[0], path, sizeof path);
    return sandbox_notify_errno(n, read_result < 0 ? EXDEV : EXFULL);
}

TEST(memory, "a supervisor reads the caller's memory where it may trace it; else it is told EPERM, and has zeros") {
    sandbox_cmd *cmd = raw();
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_arg(cmd, word("%d,buf", SYS_chdir));
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "chdir"));
    sandbox_child *child = spawned(cmd);
    sandbox_supervisor *sup = sandbox_supervisor_new(child);
    memset(path, 'x', sizeof path);
    CHECK_EQ(sandbox_supervisor_on(sup, "chdir", look, NULL), 0);
    CHECK_EQ(sandbox_supervisor_run(sup), 0);
    drain(fds_of(child).stdout_fd, result.out, sizeof result.out);
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
    if (may_trace()) {
        CHECK(read_result >= 0);
        CHECK_EQ(result_of(&result, 0), -EXFULL);
    } else {
        CHECK_EQ(read_result, -EPERM);
        CHECK_EQ(path[0], 0);
        CHECK_EQ(result_of(&result, 0), -EXDEV);
    }
    sandbox_supervisor_free(sup), sandbox_child_free(child), sandbox_cmd_free(cmd);
}
