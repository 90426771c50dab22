/* The listener's way to the host, whatever the filters say of the calls that it takes; and the exec that waits for an
 * answer. A deadlock is a test that hangs, which the harness ends. */
#include "seccomp.h"
#include <sched.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <sys/user.h>

static struct run result;
static struct supervisor supervisor;
static struct sock_filter loaded[4096], plain[4096];

/* --- ways to start --- */

static int nothing(void *data) { return (void)data, 0; }

static void oom(sandbox_cmd *cmd) { sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 900); }
/* By way of the trampoline also from a host that is not dumpable: its own /proc files are root's. */
static void mdwe(sandbox_cmd *cmd) { sandbox_cmd_set(cmd, SANDBOX_OPT_MDWE, 1), sandbox_cmd_set(cmd, SANDBOX_OPT_ALLOW_NO_MDWE, 1); }
static void init(sandbox_cmd *cmd) { sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1); }
static void pre_exec(sandbox_cmd *cmd) { sandbox_cmd_pre_exec(cmd, nothing, NULL); }
static void pids(sandbox_cmd *cmd) { sandbox_cmd_unshare(cmd, SANDBOX_NS_PID | (has_cap(21) ? 0 : SANDBOX_NS_USER)); }
static void init_of_pids(sandbox_cmd *cmd) { pids(cmd), init(cmd); }
static void pre_exec_and_init(sandbox_cmd *cmd) { pre_exec(cmd), init(cmd); }

static void (*start)(sandbox_cmd *);

/* Runs "raw" as this way of starting has it; skips where the way itself can't be gone here. */
static sandbox_cmd *started(void) {
    sandbox_cmd *cmd = raw();
    if (start) start(cmd);
    return cmd;
}

static void needs_start(void) {
    run(started(), &result);
    if (result.result == -EPERM || result.result == -EACCES || result.result == -ENOSPC) SKIP("%s", result.error.message);
    CHECK_EQ(result.result, 0);
}

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

/* --- the hole that is needed, and no other --- */

/* A prologue's step: the call that it answers for. */
struct step {
    uint32_t action;
    uint64_t fields[8]; /* the number, then the arguments */
};

/* Reads the first `length` instructions as a prologue: pairs of load and test, then the answer. */
static int steps_of(const struct sock_filter *instructions, int length, struct step *steps) {
    int count = 0;
    memset(&steps[0], 0, sizeof *steps);
    for (int at = 0; at < length; at++) {
        uint32_t k = instructions[at].k;
        if (instructions[at].code == (BPF_RET | BPF_K)) {
            steps[count++].action = k;
            if (at + 1 < length) memset(&steps[count], 0, sizeof *steps);
        } else if (instructions[at].code == (BPF_LD | BPF_W | BPF_ABS)) {
            uint64_t tested = instructions[++at].k;
            if (k == 0) steps[count].fields[0] = tested;
            if (k >= 16) steps[count].fields[1 + (k - 16) / 8] |= tested << ((k - 16) % 8 * 8);
        }
    }
    return count;
}

static uint64_t stack_of(pid_t pid) {
    struct user_regs_struct registers;
    struct iovec vector = {&registers, sizeof registers};
    CHECK_EQ(ptrace(PTRACE_GETREGSET, pid, 1 /* NT_PRSTATUS */, &vector), 0);
#if defined __x86_64__
    return registers.rsp;
#else
    return registers.sp;
#endif
}

/* Puts `text` for `marker`, of the same length, into the arguments of a program that stands at its exec. */
static void put_argument(pid_t pid, const char *marker, const char *text) {
    static char memory[65536];
    int places = 0;
    uint64_t stack = stack_of(pid);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t length = pread(fd, memory, sizeof memory, (off_t)stack);
    char *found = NULL;
    CHECK(length > 0 && strlen(marker) == strlen(text));
    while ((found = memmem(memory, (size_t)length, marker, strlen(marker)))) {
        memcpy(found, text, strlen(text));
        CHECK_EQ(pwrite(fd, found, strlen(text), (off_t)stack + (found - memory)), strlen(text));
        places++;
    }
    CHECK(places > 0);
    close(fd);
}

static sandbox_filter *deny_all_but_output(void) {
    sandbox_filter *filter = filter_of(DENIED, SANDBOX_ACT_ALLOW, "execve");
    sandbox_filter_rule(filter, SANDBOX_ACT_ALLOW, "write", NULL, 0);
    sandbox_filter_rule(filter, SANDBOX_ACT_ALLOW, "exit_group", NULL, 0);
    return filter;
}

#define MARK(n) "0x11111111111111" #n
static const char *address(uint64_t value) { return word("0x%016llx", (unsigned long long)value); }

static void try_holes(bool with_listener) {
    need_to_see_filters();
    sandbox_cmd *cmd = started();
    sandbox_filter *deny = deny_all_but_output(), *last = filter_of(SANDBOX_ACT_ALLOW, with_listener ? SANDBOX_ACT_NOTIFY : DENIED, "getppid");
    int count = exported(deny, plain), last_flags = with_listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
    sandbox_cmd_arg(cmd, word("%d," MARK(01) ",0,0", SYS_futex));       /* wait, on the very word */
    sandbox_cmd_arg(cmd, word("%d," MARK(01) ",1,1", SYS_futex));       /* wake */
    sandbox_cmd_arg(cmd, word("%d," MARK(01) ",129,1", SYS_futex));     /* another operation */
    sandbox_cmd_arg(cmd, word("%d," MARK(01) ",0x100000001,1", SYS_futex));
    sandbox_cmd_arg(cmd, word("%d," MARK(02) ",1,1", SYS_futex));       /* the neighbour */
    sandbox_cmd_arg(cmd, word("%d," MARK(03) ",1,1", SYS_futex));       /* another upper half */
    sandbox_cmd_arg(cmd, word("%d,1,0," MARK(04), SYS_seccomp));        /* the load of the second filter */
    sandbox_cmd_arg(cmd, word("%d,1,%d," MARK(05), SYS_seccomp, last_flags)); /* of the third */
    sandbox_cmd_arg(cmd, word("%d,1,2," MARK(04), SYS_seccomp));        /* with other flags */
    sandbox_cmd_arg(cmd, word("%d,1,0," MARK(06), SYS_seccomp));        /* from elsewhere */
    for (int i = 0; i < 2; i++) CHECK_EQ(sandbox_cmd_filter(cmd, deny), 0);
    sandbox_filter_free(deny);
    add(cmd, last);
    sandbox_cmd_ptrace(cmd, 0);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    pid_t pid = sandbox_child_pid(child);
    CHECK_EQ(next_stop(pid) >> 8, AT_EXEC);

    static struct step steps[16];
    int length = loaded_filter(pid, 0, loaded), found = steps_of(loaded, length - count, steps);
    CHECK(memcmp(loaded + length - count, plain, (size_t)count * sizeof *plain) == 0); /* behind the prologue: as given */
    uint64_t futex = 0, load[2] = {0, 0};
    int loads = 0;
    bool may_wait = false, may_wake = false;
    for (int i = 0; i < found; i++) {
        CHECK_EQ(steps[i].action, SANDBOX_ACT_ALLOW);
        if (steps[i].fields[0] == SYS_futex) {
            CHECK(futex == 0 || futex == steps[i].fields[1]); /* one word alone */
            futex = steps[i].fields[1];
            CHECK(steps[i].fields[2] < 2);
            *(steps[i].fields[2] ? &may_wake : &may_wait) = true;
        } else {
            CHECK_EQ(steps[i].fields[0], SYS_seccomp);
            CHECK_EQ(steps[i].fields[1], SECCOMP_SET_MODE_FILTER);
            CHECK(loads < 2);
            CHECK_EQ(steps[i].fields[2], loads == 1 ? last_flags : 0);
            load[loads++] = steps[i].fields[3];
        }
    }
    CHECK_EQ(loads, 2);
    CHECK(futex != 0 && may_wake);
    CHECK_EQ(may_wait, with_listener); /* nothing waits where nothing is handed over */

    put_argument(pid, MARK(01), address(futex));
    put_argument(pid, MARK(02), address(futex + 4));
    put_argument(pid, MARK(03), address(futex + (1ULL << 40)));
    put_argument(pid, MARK(04), address(load[0]));
    put_argument(pid, MARK(05), address(load[1]));
    put_argument(pid, MARK(06), address(load[0] + 8));
    CHECK_EQ(ptrace(PTRACE_DETACH, pid, 0, 0), 0);
    drain(fds_of(child).stdout_fd, result.out, sizeof result.out);
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
    CHECK_EQ(result_of(&result, 0), with_listener ? -EFAULT : -EDOM); /* the kernel's: that memory is no more */
    CHECK_EQ(result_of(&result, 1), -EFAULT);
    for (int i = 2; i < 6; i++) CHECK_EQ(result_of(&result, i), -EDOM);
    CHECK_EQ(result_of(&result, 6), -EPERM); /* closed again by the last filter */
    CHECK_EQ(result_of(&result, 7), -EPERM);
    for (int i = 8; i < 10; i++) CHECK_EQ(result_of(&result, i), -EDOM);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(holes, "what is let through for the library is one futex word, and the loads of the next filters, which the last closes again") { try_holes(true); }
TEST(holes_quiet, "without a listener nothing but the word's wake is let through") { try_holes(false); }
TEST(holes_trampoline, "by way of the trampoline the holes are as narrow") { start = oom, try_holes(true); }

TEST(no_hole, "where no hole is needed the kernel holds the exported instructions and not one more") {
    need_to_see_filters();
    void (*starts[])(sandbox_cmd *) = {NULL, oom, pre_exec};
    for (int way = 0; way < 3; way++) {
        start = starts[way];
        sandbox_filter *filters[] = {filter_of(SANDBOX_ACT_ALLOW, DENIED, "getppid"), filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getuid"),
                                     filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_KILL_PROCESS, "ptrace")};
        static const int order[] = {0, 2, 1}; /* the one that notifies is loaded last */
        sandbox_cmd *cmd = started();
        for (int i = 0; i < 3; i++) CHECK_EQ(sandbox_cmd_filter(cmd, filters[i]), 0);
        sandbox_cmd_ptrace(cmd, 0);
        sandbox_child *child = spawned(cmd);
        CHECK_EQ(next_stop(sandbox_child_pid(child)) >> 8, AT_EXEC);
        for (int i = 0; i < 3; i++) {
            int count = exported(filters[order[i]], plain);
            CHECK_EQ(loaded_filter(sandbox_child_pid(child), i, loaded), count);
            CHECK(memcmp(loaded, plain, (size_t)count * sizeof *plain) == 0);
        }
        CHECK_EQ(loaded_filter(sandbox_child_pid(child), 3, loaded), 0);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
        for (int i = 0; i < 3; i++) sandbox_filter_free(filters[i]);
    }
}

/* --- the listener --- */

TEST(holds_none, "the program never holds the listener: its fds are 0, 1 and 2, however it was started") {
    void (*starts[])(sandbox_cmd *) = {NULL, mdwe, init, pids, init_of_pids, pre_exec, pre_exec_and_init};
    for (int way = 0; way < 7; way++) {
        start = starts[way];
        if (start == pids || start == init_of_pids) {
            run(started(), &result);
            if (result.result < 0) continue;
        }
        for (int dumpable = 1; dumpable >= 0; dumpable--) {
            if (!dumpable && (start == pids || start == init_of_pids) && !has_cap(21)) continue; /* who is not dumpable maps no ids */
            sandbox_cmd *cmd = victim("report", "fds", "status:Seccomp", NULL);
            if (start) start(cmd);
            add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getuid"));
            prctl(PR_SET_DUMPABLE, dumpable);
            run_supervised(cmd, &result, &supervisor, 1);
            prctl(PR_SET_DUMPABLE, 1);
            CHECK_EQ(result.result, 0);
            CHECK(supervisor.listener > 2);
            CHECK_STR(value(&result, "fds"), "0 1 2 ");
            CHECK_EQ(number(&result, "status:Seccomp"), 2);
        }
    }
}

TEST(listener, "the listener is one: close-on-exec, above 2, to be taken, closed with the handle, -1 without a filter that notifies") {
    for (int random = 0; random < 2; random++) {
        sandbox_cmd *cmd = raw();
        sandbox_cmd_arg(cmd, WORD(SYS_getppid));
        sandbox_cmd_set(cmd, SANDBOX_OPT_RANDOM_FDS, (uint64_t)random);
        add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getppid"));
        for (int taken = 0; taken < 2; taken++) {
            sandbox_child *child = spawned(cmd);
            int fd = fds_of(child).seccomp_fd;
            struct seccomp_notif notification;
            CHECK(fd > 2);
            CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
            CHECK(receive(fd, &notification));
            CHECK_EQ(notification.data.nr, SYS_getppid);
            CHECK_EQ(notification.pid, sandbox_child_pid(child));
            if (taken) {
                CHECK_EQ(sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP), fd);
                CHECK_EQ(sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP), -EBADF);
            }
            sandbox_child_free(child);
            CHECK_EQ(fcntl(fd, F_GETFD), taken ? FD_CLOEXEC : -1);
            if (taken) {
                CHECK(!receive(fd, &notification));
                close(fd);
            }
        }
        sandbox_cmd_free(cmd);
    }
    sandbox_cmd *cmd = raw();
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, DENIED, "getppid"));
    sandbox_child *child = spawned(cmd);
    CHECK_EQ(fds_of(child).seccomp_fd, -1);
    CHECK_EQ(sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP), -EBADF);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(closed, "once the host has closed the listener a notified call is ENOSYS, and nothing hangs") {
    sandbox_cmd *cmd = raw();
    sandbox_cmd_arg(cmd, WORD(SYS_getppid)), sandbox_cmd_arg(cmd, WORD(SYS_getppid));
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getppid"));
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    close(sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP));
    drain(fds_of(child).stdout_fd, result.out, sizeof result.out);
    CHECK_STR(result.out, "-38 -38 ");
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(not_dumpable, "where pidfd_getfd is refused the listener comes by message; where that is forbidden too it is a typed error") {
    void (*starts[])(sandbox_cmd *) = {NULL, mdwe, init, pre_exec};
    prctl(PR_SET_DUMPABLE, 0);
    for (int way = 0; way < 4; way++)
        for (int variant = 0; variant < 4; variant++) {
            start = starts[way];
            sandbox_cmd *cmd = started();
            sandbox_cmd_arg(cmd, "quiet"), sandbox_cmd_arg(cmd, WORD(SYS_getuid));
            /* 0: sendmsg passes; 1: it is notified with the rest, 2: refused, 3: refused by another filter */
            if (variant == 1) add(cmd, filter_of(SANDBOX_ACT_NOTIFY, SANDBOX_ACT_ALLOW, NULL));
            if (variant == 2) {
                sandbox_filter *filter = filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getuid");
                sandbox_filter_rule(filter, DENIED, "sendmsg", NULL, 0);
                add(cmd, filter);
            }
            if (variant == 3) add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_KILL_PROCESS, "sendmsg"));
            if (variant == 0 || variant == 3) add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getuid"));
            run_supervised(cmd, &result, &supervisor, 1);
            if (variant == 0) {
                CHECK_EQ(result.result, 0);
                CHECK_EQ(result.status.code, 0);
                CHECK_EQ(supervisor.count, 1);
            } else {
                CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_HANDOFF, 0, "sendmsg");
            }
        }
    prctl(PR_SET_DUMPABLE, 1);
}

/* Confines the calling process with a listener of its own. */
static int confine_with_listener(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_acct, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog fprog = {4, program};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &fprog);
}

TEST(second_listener, "under a listener of another's a filter that notifies is EBUSY, stage seccomp; others load") {
    int status;
    pid_t pid = fork(); /* a filter does not come off again */
    if (pid == 0) {
        int outer = confine_with_listener();
        if (outer < 0) SKIP("seccomp: %s", strerror(errno));
        void (*starts[])(sandbox_cmd *) = {NULL, oom, init, pre_exec};
        for (int way = 0; way < 4; way++) {
            start = starts[way];
            sandbox_cmd *cmd = started();
            add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getppid"));
            add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_LOG, "getppid"));
            run(cmd, &result);
            CHECK_ERROR(result.result, result.error, EBUSY, SANDBOX_STAGE_SECCOMP, 0, "listener above");
            cmd = started();
            sandbox_cmd_arg(cmd, WORD(SYS_getppid));
            add(cmd, filter_of(SANDBOX_ACT_ALLOW, DENIED, "getppid"));
            run_well(cmd, &result);
            CHECK_EQ(result_of(&result, 0), -EDOM);
        }
        close(outer);
        nothing_is_left();
        _exit(42);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 42) return;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1); /* it has said why */
}

/* --- an exec that waits for an answer --- */

static sandbox_child *pending(sandbox_cmd *cmd, uint32_t otherwise, int *listener) {
    add(cmd, otherwise ? filter_of(otherwise, SANDBOX_ACT_NOTIFY, NULL) : filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "execve"));
    sandbox_child *child = spawned(cmd);
    sandbox_error error;
    *listener = fds_of(child).seccomp_fd;
    CHECK(*listener > 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sandbox_child_wait_exec(child, i * 20, &error), -ETIMEDOUT);
        CHECK_EQ(error.code, -ETIMEDOUT);
        CHECK_EQ(error.stage, SANDBOX_STAGE_EXEC);
        CHECK_EQ(sandbox_child_wait(child, i * 20, NULL, 0), -ETIMEDOUT);
    }
    return child;
}

static void answer_exec(int listener, int how) {
    struct seccomp_notif notification;
    CHECK(receive(listener, &notification));
    CHECK_EQ(notification.data.nr, SYS_execve);
    CHECK_EQ(answer(listener, notification.id, how), 0);
}

#define EVERY_START                                                                                     \
    void (*starts[])(sandbox_cmd *) = {NULL, oom, init, pids, init_of_pids, pre_exec, pre_exec_and_init}; \
    for (int way = 0; way < 7 && (start = starts[way], true); way++)                                    \
        if (can_start())

static bool can_start(void) {
    if (start != pids && start != init_of_pids) return true;
    run(started(), &result);
    return result.result == 0;
}

TEST(pending, "with execve notified the spawn returns at once; wait_exec is -ETIMEDOUT, and 0 once it was let go on") {
    EVERY_START {
        int listener;
        sandbox_cmd *cmd = started();
        sandbox_cmd_arg(cmd, "quiet"), sandbox_cmd_arg(cmd, word("%d,-1", SYS_close));
        sandbox_child *child = pending(cmd, 0, &listener);
        sandbox_status status;
        sandbox_error error;
        answer_exec(listener, 1);
        for (int i = -1; i < 2; i++) CHECK_EQ(sandbox_child_wait_exec(child, i, &error), 0);
        CHECK_EQ(error.code, 0);
        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
        CHECK_EQ(status.kind, SANDBOX_EXITED);
        CHECK_EQ(status.code, EBADF);
        CHECK_EQ(sandbox_child_wait_exec(child, 0, &error), 0);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
    }
}

TEST(answered, "an exec answered with an errno is that errno to wait_exec and to wait, in either order, and no exit code") {
    EVERY_START
        for (int wait_first = 0; wait_first < 2; wait_first++) {
            int listener;
            sandbox_cmd *cmd = started();
            sandbox_child *child = pending(cmd, 0, &listener);
            sandbox_error error;
            sandbox_status status;
            answer_exec(listener, -EXFULL);
            for (int i = 0; i < 4; i++) {
                if (i % 2 == wait_first) CHECK_ERROR(sandbox_child_wait_exec(child, -1, &error), error, EXFULL, SANDBOX_STAGE_EXEC, 0, "raw");
                else CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), -EXFULL);
            }
            CHECK_EQ(sandbox_child_kill(child, SIGTERM), -ESRCH);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
}

TEST(unanswered_end, "a refused exec ends also where the filter asks about everything after it and nobody answers") {
    EVERY_START
        for (int variant = 0; variant < 3; variant++) {
            int listener;
            sandbox_cmd *cmd = started();
            sandbox_child *child = pending(cmd, SANDBOX_ACT_NOTIFY, &listener);
            sandbox_error error;
            answer_exec(listener, -EXFULL);
            if (variant == 0) CHECK_ERROR(sandbox_child_wait_exec(child, -1, &error), error, EXFULL, SANDBOX_STAGE_EXEC, 0, "raw");
            if (variant < 2) CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), -EXFULL);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
}

TEST(missing, "a missing program under a notified execve is known once it was let go on, every place of the PATH asked about") {
    int listener;
    sandbox_error error;
    sandbox_cmd *cmd = sandbox_cmd_new("/nonexistent/program");
    sandbox_child *child = pending(cmd, 0, &listener);
    answer_exec(listener, 1);
    CHECK_ERROR(sandbox_child_wait_exec(child, -1, &error), error, ENOENT, SANDBOX_STAGE_EXEC, 0, "/nonexistent/program");
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), -ENOENT);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);

    cmd = sandbox_cmd_new("no-such-program");
    sandbox_cmd_env(cmd, "PATH", "/nonexistent:/tmp:/usr");
    child = pending(cmd, 0, &listener);
    for (int i = 0; i < 3; i++) answer_exec(listener, 1);
    CHECK_ERROR(sandbox_child_wait_exec(child, -1, &error), error, ENOENT, SANDBOX_STAGE_EXEC, 0, "no-such-program");
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), -ENOENT);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(pending_free, "free, before or after the notification was received, ends a child whose exec waits") {
    EVERY_START
        for (int variant = 0; variant < 4; variant++) {
            int listener, pidfd;
            struct seccomp_notif notification;
            sandbox_cmd *cmd = started();
            sandbox_child *child = pending(cmd, variant & 1 ? SANDBOX_ACT_NOTIFY : 0, &listener);
            pidfd = sandbox_child_take_fd(child, SANDBOX_FD_PIDFD);
            if (variant & 2) CHECK(receive(listener, &notification));
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
            CHECK(ends(pidfd));
            close(pidfd);
        }
}

TEST(pending_kill, "a kill ends a child whose exec waits, and what waits for it is told so, in either order") {
    EVERY_START
        for (int exec_first = 0; exec_first < 2; exec_first++) {
            int listener;
            sandbox_status status;
            sandbox_cmd *cmd = started();
            sandbox_child *child = pending(cmd, 0, &listener);
            CHECK_EQ(sandbox_child_kill(child, SIGKILL), 0);
            /* The kernel says "gone", by exec or by death alike: both answers are its own. */
            int exec = exec_first ? sandbox_child_wait_exec(child, -1, NULL) : 1, wait = sandbox_child_wait(child, -1, &status, sizeof status);
            if (!exec_first) exec = sandbox_child_wait_exec(child, -1, NULL);
            CHECK(exec == 0 || exec == -ECANCELED);
            CHECK_EQ(wait, exec);
            if (wait == 0) CHECK_EQ(status.kind == SANDBOX_SIGNALED ? status.code : -1, SIGKILL);
            if (wait == 0) CHECK_EQ(status.cause, SANDBOX_CAUSE_KILLED);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
}

TEST(pending_detach, "a detached child whose exec waits lives on with its listener, and is ended where that goes with the handle") {
    EVERY_START
        for (int taken = 0; taken < 2; taken++) {
            int listener, status;
            sandbox_cmd *cmd = started();
            sandbox_cmd_arg(cmd, "quiet"), sandbox_cmd_arg(cmd, word("%d,-1", SYS_close));
            sandbox_child *child = pending(cmd, 0, &listener);
            pid_t pid = sandbox_child_pid(child);
            int pidfd = sandbox_child_take_fd(child, SANDBOX_FD_PIDFD);
            if (taken) sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP);
            CHECK_EQ(sandbox_child_detach(child), 0);
            sandbox_child_free(child);
            if (taken) {
                CHECK(runs(pidfd));
                answer_exec(listener, 1);
                CHECK(ends(pidfd)); /* before exec no waitpid of the host's sees it */
                CHECK_EQ(waitpid(pid, &status, 0), pid);
                CHECK(WIFEXITED(status) && WEXITSTATUS(status) == EBADF);
                close(listener);
            } else {
                CHECK(!runs(pidfd)); /* nobody could answer any more */
                CHECK_EQ(waitpid(pid, &status, __WALL), -1);
            }
            close(pidfd);
            sandbox_cmd_free(cmd);
        }
}

TEST(pending_death, "a host that dies while exec waits leaves no survivor") {
    EVERY_START {
        int tell[2], go[2], status;
        pid_t pid = 0;
        char byte = 0;
        CHECK(pipe2(tell, O_CLOEXEC) == 0 && pipe2(go, O_CLOEXEC) == 0);
        pid_t host = fork();
        if (host == 0) {
            int listener;
            pid = sandbox_child_pid(pending(started(), SANDBOX_ACT_NOTIFY, &listener));
            if (write(tell[1], &pid, sizeof pid) != sizeof pid || read(go[0], &byte, 1) != 1) _exit(1);
            kill(getpid(), SIGKILL);
        }
        CHECK_EQ(read(tell[0], &pid, sizeof pid), sizeof pid);
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        CHECK(pidfd >= 0 && runs(pidfd));
        CHECK_EQ(write(go[1], &byte, 1), 1);
        CHECK_EQ(waitpid(host, &status, 0), host);
        CHECK(ends(pidfd));
        close(pidfd), close(tell[0]), close(tell[1]), close(go[0]), close(go[1]);
    }
}

static void *answer_later(void *data) {
    pause_ms(20);
    answer_exec(*(int *)data, 1);
    return NULL;
}

static void *wait_for_exec(void *data) { return (void *)(intptr_t)sandbox_child_wait_exec(data, -1, NULL); }

TEST(pending_threads, "eight threads wait for one exec: each is told when it happens") {
    for (int round = 0; round < scaled(20); round++) {
        int listener;
        sandbox_cmd *cmd = raw();
        sandbox_child *child = pending(cmd, 0, &listener);
        pthread_t threads[8], other;
        for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, wait_for_exec, child);
        pthread_create(&other, NULL, answer_later, &listener);
        for (int i = 0; i < 8; i++) {
            void *told = (void *)99;
            pthread_join(threads[i], &told);
            CHECK_EQ((intptr_t)told, 0);
        }
        pthread_join(other, NULL);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
    }
}

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
