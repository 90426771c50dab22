/* The listener's way to the host, whatever one filter or several say of the calls that it takes. A deadlock is a test
 * that hangs, which the harness ends. */
#include "handoff.h"
#include <stdatomic.h>

static struct supervisor supervisor;

/* --- one call, every action --- */

static const struct {
    const char *name;
    int number;
    const char *args;
    int natural; /* the errno of the call as it stands here */
} calls[] = {
    {"write", SYS_write, ",1,buf,0", 0},
    {"read", SYS_read, ",-1,buf,0", EBADF},
    {"futex", SYS_futex, ",buf,1,1", 0},
    {"close", SYS_close, ",-1", EBADF},
    {"sendmsg", SYS_sendmsg, ",-1,0,0", EBADF},
    {"fcntl", SYS_fcntl, ",-1,1", EBADF},
    {"clock_gettime", SYS_clock_gettime, ",0,buf", 0},
    {"nanosleep", SYS_nanosleep, ",buf,0", 0},
    {"rt_sigprocmask", SYS_rt_sigprocmask, ",0,0,0,8", 0},
    {"seccomp", SYS_seccomp, ",9999", EINVAL},
    {"getppid", SYS_getppid, "", 0},
    {"exit_group", SYS_exit_group, NULL, 0},
    {"execve", SYS_execve, NULL, 0},
};
enum { CALLS = sizeof calls / sizeof *calls, EXIT_GROUP = CALLS - 2, EXECVE = CALLS - 1 };

static const struct {
    const char *name;
    uint32_t action;
    int answer;  /* the supervisor's */
    int errnum;  /* what the program gets; -1: the call itself; -2: its end by SIGSYS */
} actions[] = {
    {"notified", SANDBOX_ACT_NOTIFY, 1, -1},
    {"notified and refused", SANDBOX_ACT_NOTIFY, -EDOM, EDOM},
    {"errno", DENIED, 0, EDOM},
    {"errno 0", SANDBOX_ACT_ERRNO(0), 0, 0},
    {"trace", SANDBOX_ACT_TRACE(1), 0, ENOSYS},
    {"killed", SANDBOX_ACT_KILL_PROCESS, 0, -2},
    {"thread killed", SANDBOX_ACT_KILL_THREAD, 0, -2},
    {"trap", SANDBOX_ACT_TRAP, 0, -2},
    {"log", SANDBOX_ACT_LOG, 0, -1},
};
enum { ACTIONS = sizeof actions / sizeof *actions };

#define EXPECT(condition)                                                                                          \
    do {                                                                                                           \
        if (!(condition))                                                                                          \
            FAIL("%s %s: not %s; spawn %d (%s), kind %u, code %d, cause %u, %d notifications, the first %d", what, how, #condition, \
                 result.result, result.error.message, result.status.kind, result.status.code, result.status.cause, \
                 supervisor.count, supervisor.first);                                                              \
    } while (0)

static void expect_exit(const char *what, const char *how, int code) {
    EXPECT(result.result == 0);
    EXPECT(result.status.kind == SANDBOX_EXITED);
    if (result.status.code != code) FAIL("%s %s: exit code %d, not %d", what, how, result.status.code, code);
}

static void expect_end_by_filter(const char *what, const char *how, int number) {
    EXPECT(result.result == 0);
    EXPECT(result.status.kind == SANDBOX_SIGNALED && result.status.code == SIGSYS);
    EXPECT(result.status.cause == SANDBOX_CAUSE_FILTER);
    if (result.status.syscall != number) FAIL("%s %s: the status names call %lld, not %d", what, how, (long long)result.status.syscall, number);
}

static void expect_exec(const char *what, const char *how, int errnum) {
    if (errnum == -2) {
        EXPECT(result.result == -EINVAL && result.error.stage == SANDBOX_STAGE_SECCOMP && result.error.index == 0);
    } else if (errnum == -1) {
        expect_exit(what, how, 0);
    } else {
        EXPECT(result.result == -(errnum ? errnum : EPERM)); /* success without an exec is a refusal */
        EXPECT(result.error.stage == SANDBOX_STAGE_EXEC && result.error.code == result.result);
    }
}

static void one_call(int c, int a) {
    const char *what = calls[c].name, *how = actions[a].name;
    int errnum = actions[a].errnum;
    bool notifies = actions[a].action == SANDBOX_ACT_NOTIFY;
    sandbox_cmd *cmd = started();
    sandbox_cmd_arg(cmd, "quiet");
    if (calls[c].args) sandbox_cmd_arg(cmd, word("%d%s", calls[c].number, calls[c].args));
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, actions[a].action, calls[c].name));
    run_supervised(cmd, &result, &supervisor, actions[a].answer);
    if (c == EXECVE) expect_exec(what, how, errnum);
    else if (errnum == -2) expect_end_by_filter(what, how, calls[c].number);
    else if (c == EXIT_GROUP) expect_exit(what, how, errnum == -1 ? 0 : 100);
    else expect_exit(what, how, errnum == -1 ? calls[c].natural : errnum);
    EXPECT(supervisor.count == (notifies ? 1 : 0)); /* the program's own alone: none of the library's is seen */
    EXPECT(!notifies || supervisor.first == calls[c].number);
}

/* Every call at once, with or without execve. What can't exit ends itself by an instruction that does not exist. */
static void all_calls(int a, bool execve_too) {
    const char *what = execve_too ? "everything" : "everything but execve", *how = actions[a].name;
    int errnum = actions[a].errnum;
    bool notifies = actions[a].action == SANDBOX_ACT_NOTIFY;
    sandbox_cmd *cmd = started();
    sandbox_cmd_arg(cmd, "quiet"), sandbox_cmd_arg(cmd, WORD(SYS_getuid));
    add(cmd, filter_of(actions[a].action, SANDBOX_ACT_ALLOW, execve_too ? NULL : "execve"));
    run_supervised(cmd, &result, &supervisor, actions[a].answer);
    if (execve_too && errnum != -1) {
        expect_exec(what, how, errnum);
    } else if (errnum == -1) {
        expect_exit(what, how, 0);
        EXPECT(supervisor.count == (notifies ? 2 + execve_too : 0));
    } else if (errnum == -2) {
        expect_end_by_filter(what, how, -1);
    } else {
        EXPECT(result.result == 0);
        EXPECT(result.status.kind == SANDBOX_SIGNALED && result.status.code != SIGSYS && result.status.code != SIGKILL);
    }
    if (notifies) EXPECT(supervisor.first == (execve_too ? SYS_execve : SYS_getuid));
}

static void every_call(void) {
    needs_start();
    for (int a = 0; a < ACTIONS; a++) {
        for (int c = 0; c < CALLS; c++)
            if ((a + c) % test_scale() == 0) one_call(c, a);
        for (int execve_too = 0; execve_too < 2; execve_too++) all_calls(a, execve_too);
    }
}

static void *in_thread(void *data) { return (void)data, every_call(), NULL; }

#define WHATEVER "any call notified, denied, killed, trapped or logged, and all at once: no deadlock, and the right end"
TEST(matrix, WHATEVER) { every_call(); }
TEST(matrix_trampoline, WHATEVER ", by way of the trampoline") { start = oom, every_call(); }
TEST(matrix_init, WHATEVER ", under an init") { start = init, every_call(); }
TEST(matrix_pids, WHATEVER ", in a pid namespace") { start = pids, every_call(); }
TEST(matrix_init_pids, WHATEVER ", under an init that is PID 1") { start = init_of_pids, every_call(); }
TEST(matrix_pre_exec, WHATEVER ", in a copy of the host's memory") { start = pre_exec, every_call(); }
TEST(matrix_pre_exec_init, WHATEVER ", under an init in a copy of the host's memory") { start = pre_exec_and_init, every_call(); }
TEST(matrix_thread, WHATEVER ", from another thread than the first") {
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
}

/* --- several filters --- */

static const struct {
    const char *name;
    uint32_t action;
    int end; /* -2: by SIGSYS; -1: by itself, unable to exit; 0: well */
} strict[] = { /* the strictest first */
    {"kill", SANDBOX_ACT_KILL_PROCESS, -2}, {"kill thread", SANDBOX_ACT_KILL_THREAD, -2}, {"trap", SANDBOX_ACT_TRAP, -2},
    {"errno", DENIED, -1}, {"notify", SANDBOX_ACT_NOTIFY, 0}, {"trace", SANDBOX_ACT_TRACE(0), -1},
    {"log", SANDBOX_ACT_LOG, 0}, {"allow", SANDBOX_ACT_ALLOW, 0},
};
enum { NOTIFY = 4, STRICT = 8 };

static void stacked(const int *order, int count) {
    int strictest = STRICT, listeners = 0;
    char what[64] = "", *how = what;
    for (int i = 0; i < count; i++) {
        strictest = order[i] < strictest ? order[i] : strictest;
        listeners += order[i] == NOTIFY;
        strcat(strcat(what, i ? " + " : ""), strict[order[i]].name);
    }
    if (listeners > 1) return;
    sandbox_cmd *cmd = started();
    sandbox_cmd_arg(cmd, "quiet"), sandbox_cmd_arg(cmd, WORD(SYS_getuid));
    for (int i = 0; i < count; i++) {
        uint32_t action = strict[order[i]].action;
        add(cmd, filter_of(action, SANDBOX_ACT_ALLOW, action == SANDBOX_ACT_ALLOW ? NULL : "execve"));
    }
    run_supervised(cmd, &result, &supervisor, 1);
    EXPECT(result.result == 0);
    if (strict[strictest].end == 0) {
        EXPECT(result.status.kind == SANDBOX_EXITED && result.status.code == 0);
    } else {
        EXPECT(result.status.kind == SANDBOX_SIGNALED && (result.status.code == SIGSYS) == (strict[strictest].end == -2));
        EXPECT(result.status.code != SIGKILL);
    }
    EXPECT((supervisor.listener >= 0) == (listeners == 1));
    EXPECT(supervisor.count == (strictest == NOTIFY ? 2 : 0));
}

static void every_stack(void) {
    needs_start();
    for (int i = 0; i < STRICT; i++)
        for (int j = 0; j < STRICT; j++)
            if ((i + j) % test_scale() == 0) stacked((int[]){i, j}, 2);
    static const int some[] = {0, 3, 4, 6};
    for (int i = 0; i < 64; i += test_scale()) stacked((int[]){some[i & 3], some[i >> 2 & 3], some[i >> 4]}, 3);
    for (int i = 0; i < 8; i++) stacked((int[]){3, i & 1 ? 0 : 3, i & 2 ? 3 : 6, i & 4 ? NOTIFY : 3, 3, 0}, 6);
}

TEST(stacks, "two, three and six filters that refuse everything, in every order, load and hold") { every_stack(); }
TEST(stacks_trampoline, "stacks load and hold by way of the trampoline") { start = oom, every_stack(); }
TEST(stacks_init, "stacks load and hold under an init") { start = init, every_stack(); }
TEST(stacks_pre_exec, "stacks load and hold in a copy of the host's memory") { start = pre_exec, every_stack(); }

/* --- many --- */

static atomic_int served;

static void *hand_off(void *data) {
    for (int i = 0; i < scaled(250); i++) {
        struct seccomp_notif notification;
        sandbox_status status;
        sandbox_child *child = spawned(data);
        int listener = fds_of(child).seccomp_fd;
        CHECK(receive(listener, &notification));
        CHECK_EQ(notification.data.nr, SYS_getppid);
        CHECK_EQ(notification.pid, sandbox_child_pid(child)); /* never another's */
        CHECK_EQ(answer(listener, notification.id, -EXFULL), 0);
        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
        CHECK_EQ(status.code, EXFULL);
        sandbox_child_free(child);
        served++;
    }
    return NULL;
}

TEST(stress, "2,000 hand-offs from 8 threads with one command: each child is answered by its own") {
    pthread_t threads[8];
    sandbox_filter *filter = filter_of(DENIED, SANDBOX_ACT_ALLOW, "execve");
    sandbox_filter_rule(filter, SANDBOX_ACT_ALLOW, "exit_group", NULL, 0);
    sandbox_filter_rule(filter, SANDBOX_ACT_NOTIFY, "getppid", NULL, 0);
    sandbox_cmd *cmd = raw();
    sandbox_cmd_arg(cmd, "quiet"), sandbox_cmd_arg(cmd, WORD(SYS_getppid));
    add(cmd, filter);
    for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, hand_off, cmd);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(served, 8 * scaled(250));
    sandbox_cmd_free(cmd);
}
