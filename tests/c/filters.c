/* What a filter says: rules, actions, architectures, loading flags, as the program meets them. */
#include "seccomp.h"

static struct run result;

#define PARENT WORD(SYS_getppid) /* a call that takes no arguments: whatever they are, the filter alone looks at them */

TEST(comparisons, "every comparison holds for exactly the arguments that it names, and the simulator says the same") {
    static const uint64_t values[] = {0, 1, 4, 5, 6, 0x7fffffff, 0xffffffff, 0x100000000, 0x100000004, 0x100000005, 0x100000006,
                                      0x200000005, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX};
    static const uint64_t against[] = {5, 0x100000005, 0, UINT64_MAX};
    enum { VALUES = sizeof values / sizeof *values };
    for (uint32_t op = SANDBOX_CMP_EQ; op <= SANDBOX_CMP_MASKED_EQ; op++)
        for (int i = 0; i < 4; i++)
            for (uint32_t index = 0; index < 6; index += 5) {
                sandbox_arg arg = {index, op, against[i], op == SANDBOX_CMP_MASKED_EQ ? 0x10000000fULL : 0};
                if (op == SANDBOX_CMP_MASKED_EQ) arg.value &= arg.mask;
                sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
                CHECK_EQ(sandbox_filter_rule(filter, DENIED, "getppid", &arg, 1), 0);
                sandbox_cmd *cmd = raw();
                for (int v = 0; v < VALUES; v++)
                    sandbox_cmd_arg(cmd, index == 0 ? word("%d,%#llx", SYS_getppid, (unsigned long long)values[v])
                                                    : word("%d,0,0,0,0,0,%#llx", SYS_getppid, (unsigned long long)values[v]));
                CHECK_EQ(sandbox_cmd_filter(cmd, filter), 0);
                run_well(cmd, &result);
                for (int v = 0; v < VALUES; v++) {
                    uint64_t a = values[v], b = arg.value;
                    bool holds[] = {false, a == b, a != b, a < b, a <= b, a >= b, a > b, (a & arg.mask) == b};
                    sandbox_syscall call = {NATIVE, SYS_getppid, 0, {0}};
                    call.args[index] = a;
                    if ((result_of(&result, v) == -EDOM) != holds[op] || (simulated(filter, call) == DENIED) != holds[op])
                        FAIL("comparison %u of argument %u, %#llx with %#llx: the program saw %ld, the simulator %#x", op, index,
                             (unsigned long long)a, (unsigned long long)b, result_of(&result, v), simulated(filter, call));
                }
                sandbox_filter_free(filter);
            }
}

TEST(order, "of several rules the first that applies decides; all comparisons of one must hold") {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_arg range[] = {{0, SANDBOX_CMP_GE, 10, 0}, {0, SANDBOX_CMP_LE, 20, 0}}, both[] = {{0, SANDBOX_CMP_EQ, 15, 0}, {1, SANDBOX_CMP_EQ, 1, 0}},
                large = {0, SANDBOX_CMP_GT, 18, 0};
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(71), "getppid", both, 2);
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(72), "getppid", range, 2);
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(73), "getppid", &large, 1);
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(74), "getpid", NULL, 0);
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(75), "getpid", NULL, 0);
    static const struct { int nr, a, b, wanted; } calls[] = {{SYS_getppid, 15, 1, -71}, {SYS_getppid, 15, 0, -72}, {SYS_getppid, 20, 1, -72},
                                                            {SYS_getppid, 21, 1, -73}, {SYS_getppid, 9, 1, 0}, {SYS_getpid, 0, 0, -74}};
    sandbox_cmd *cmd = raw();
    for (int i = 0; i < 6; i++) sandbox_cmd_arg(cmd, word("%d,%d,%d", calls[i].nr, calls[i].a, calls[i].b));
    add(cmd, filter);
    run_well(cmd, &result);
    for (int i = 0; i < 6; i++) CHECK_EQ(result_of(&result, i), calls[i].wanted ? calls[i].wanted : getpid());
}

TEST(defaults, "the default action is for every call without a rule; a number names a call as its name does") {
    static const char *const needed[] = {"execve", "write", "exit_group"};
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ERRNO(4095));
    for (int i = 0; i < 3; i++) sandbox_filter_rule(filter, SANDBOX_ACT_ALLOW, needed[i], NULL, 0);
    sandbox_filter_rule(filter, SANDBOX_ACT_ALLOW, WORD(SYS_getppid), NULL, 0);
    sandbox_cmd *cmd = raw();
    int others[] = {SYS_getpid, SYS_getuid, SYS_openat, SYS_kill, 511, 0x3fffffff};
    for (int i = 0; i < 6; i++) sandbox_cmd_arg(cmd, WORD(others[i]));
    sandbox_cmd_arg(cmd, PARENT);
    add(cmd, filter);
    run_well(cmd, &result);
    for (int i = 0; i < 6; i++) CHECK_EQ(result_of(&result, i), -4095);
    CHECK_EQ(result_of(&result, 6), getpid());
}

TEST(actions, "errno, 0 too, trap with its data, log, and trace without a tracer: each as the kernel means it") {
    static const struct { uint32_t action; long wanted; } seen[] = {
        {SANDBOX_ACT_ERRNO(0), 0}, {SANDBOX_ACT_ERRNO(1), -1}, {SANDBOX_ACT_ERRNO(4095), -4095}, {SANDBOX_ACT_TRACE(7), -ENOSYS},
        {SANDBOX_ACT_LOG, 1}, {SANDBOX_ACT_ALLOW, 1}};
    for (int i = 0; i < 6; i++) {
        sandbox_cmd *cmd = raw();
        sandbox_cmd_arg(cmd, PARENT);
        add(cmd, filter_of(SANDBOX_ACT_ALLOW, seen[i].action, "getppid"));
        run_well(cmd, &result);
        CHECK_EQ(result_of(&result, 0), seen[i].wanted == 1 ? getpid() : seen[i].wanted);
        CHECK_EQ(result.status.cause, SANDBOX_CAUSE_NONE);
    }
    sandbox_cmd *cmd = raw();
    sandbox_cmd_arg(cmd, "trap"), sandbox_cmd_arg(cmd, PARENT);
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_TRAP, "getppid"));
    run_well(cmd, &result);
    CHECK_STR(result_text(&result, 0), word("T%d/0", (int)SYS_getppid));
}

TEST(status, "a program that its filter ends has the cause FILTER, and the call where only one ends it") {
    static const uint32_t fatal[] = {SANDBOX_ACT_KILL_PROCESS, SANDBOX_ACT_KILL_THREAD, SANDBOX_ACT_TRAP};
    for (int i = 0; i < 3; i++)
        for (int variant = 0; variant < 4; variant++) {
            sandbox_filter *filter = filter_of(SANDBOX_ACT_ALLOW, fatal[i], "getppid");
            if (variant == 1) sandbox_filter_rule(filter, SANDBOX_ACT_KILL_PROCESS, "getuid", NULL, 0);
            sandbox_cmd *cmd = raw();
            sandbox_cmd_arg(cmd, PARENT);
            if (variant == 2) add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_ERRNO(1), "getuid"));
            if (variant == 3) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
            add(cmd, filter);
            run(cmd, &result);
            CHECK_EQ(result.result, 0);
            CHECK_EQ(result.status.kind, SANDBOX_SIGNALED);
            CHECK_EQ(result.status.code, SIGSYS);
            CHECK_EQ(result.status.cause, SANDBOX_CAUSE_FILTER);
            if (variant == 0 || variant == 3) CHECK_EQ(result.status.syscall, SYS_getppid);
            else if (variant == 1) CHECK_EQ(result.status.syscall, -1);
            else CHECK(result.status.syscall == -1 || result.status.syscall == SYS_getppid);
        }
    sandbox_cmd *cmd = raw(); /* by its own kill(2), with no filter about: not FILTER */
    sandbox_cmd_arg(cmd, word("%d,%d", SYS_getpid, 0));
    run(cmd, &result);
    CHECK_EQ(result.status.cause, SANDBOX_CAUSE_NONE);
    cmd = victim("act", "signal", WORD(SIGSYS), NULL);
    sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
    run(cmd, &result);
    CHECK_EQ(result.status.code, SIGSYS);
    CHECK_EQ(result.status.cause, SANDBOX_CAUSE_NONE);
}

#if defined __x86_64__
TEST(foreign, "int 0x80 and x32 calls end the program, whatever the default action; an added architecture is allowed and ruled") {
    static const struct { const char *call; int wanted; } calls[] = {{"80:20", SIGSYS}, {"0x40000027", SIGSYS}};
    sandbox_cmd *cmd = raw();
    sandbox_cmd_arg(cmd, "80:20");
    run(cmd, &result);
    bool has_32_bit = result.result == 0 && result.status.kind == SANDBOX_EXITED && result_of(&result, 0) == result.pid;
    for (int i = has_32_bit ? 0 : 1; i < 2; i++)
        for (int variant = 0; variant < 3; variant++) {
            sandbox_filter *filter = filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_ERRNO(1), variant == 2 ? NULL : "getuid");
            sandbox_arg range[] = {{0, SANDBOX_CMP_GE, 1, 0}, {0, SANDBOX_CMP_LE, 2, 0}};
            if (variant == 1) sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(1), "getgid", range, 2); /* libseccomp can't: the other compiler */
            cmd = raw();
            sandbox_cmd_arg(cmd, calls[i].call);
            add(cmd, filter);
            run(cmd, &result);
            CHECK_EQ(result.result, 0);
            CHECK_EQ(result.status.kind, SANDBOX_SIGNALED);
            CHECK_EQ(result.status.code, SIGSYS);
            CHECK_EQ(result.status.cause, SANDBOX_CAUSE_FILTER);
            CHECK_STR(result.out, "");
        }
    for (int variant = 0; variant < 2; variant++) {
        sandbox_filter *filter = filter_of(SANDBOX_ACT_ALLOW, DENIED, "getppid");
        sandbox_arg range[] = {{0, SANDBOX_CMP_GE, 1, 0}, {0, SANDBOX_CMP_LE, 2, 0}};
        if (variant == 1) sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(1), "getgid", range, 2);
        CHECK_EQ(sandbox_filter_arch(filter, "x86"), 0);
        CHECK_EQ(sandbox_filter_arch(filter, "x32"), 0);
        cmd = raw();
        sandbox_cmd_arg(cmd, has_32_bit ? "80:20" : WORD(SYS_getpid));  /* getpid */
        sandbox_cmd_arg(cmd, has_32_bit ? "80:64" : PARENT);            /* getppid */
        sandbox_cmd_arg(cmd, word("%#lx", 0x40000000L + SYS_getppid));
        sandbox_cmd_arg(cmd, PARENT);
        add(cmd, filter);
        run_well(cmd, &result);
        CHECK_EQ(result_of(&result, 0), result.pid);
        CHECK_EQ(result_of(&result, 1), -EDOM);
        CHECK_EQ(result_of(&result, 2), -EDOM);
        CHECK_EQ(result_of(&result, 3), -EDOM);
    }
    if (!has_32_bit) SKIP("this kernel has no int 0x80: x32 alone was looked at, and was right");
}
#endif

TEST(flags, "the loading flags reach the kernel, which refuses WAIT_KILLABLE_RECV without notification") {
    sandbox_filter *filter = filter_of(SANDBOX_ACT_ALLOW, DENIED, "getppid");
    CHECK_EQ(sandbox_filter_flags(filter, SANDBOX_FILTER_LOG | SANDBOX_FILTER_SPEC_ALLOW), 0);
    sandbox_cmd *cmd = raw();
    sandbox_cmd_arg(cmd, PARENT);
    add(cmd, filter);
    run_well(cmd, &result);
    CHECK_EQ(result_of(&result, 0), -EDOM);

    filter = filter_of(SANDBOX_ACT_ALLOW, DENIED, "getppid");
    CHECK_EQ(sandbox_filter_flags(filter, SANDBOX_FILTER_WAIT_KILLABLE_RECV), 0);
    cmd = raw();
    add(cmd, filter);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_SECCOMP, 0, "flag");

    static const uint64_t unknown[] = {1, 8, 16, 64, 1ULL << 32, UINT64_MAX};
    for (int i = 0; i < 6; i++) {
        filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        CHECK_EQ(sandbox_filter_flags(filter, unknown[i]), -EINVAL);
        sandbox_filter_free(filter);
    }
}

TEST(log_flag, "LOG is in force in the kernel for the filter that has it, and for that one alone") {
    need_to_see_filters();
    sandbox_cmd *cmd = raw();
    sandbox_filter *filter = filter_of(SANDBOX_ACT_ALLOW, DENIED, "getppid");
    sandbox_cmd_filter(cmd, filter);
    sandbox_filter_flags(filter, SANDBOX_FILTER_LOG);
    add(cmd, filter);
    sandbox_cmd_ptrace(cmd, 0);
    sandbox_child *child = spawned(cmd);
    pid_t pid = sandbox_child_pid(child);
    CHECK_EQ(next_stop(pid) >> 8, AT_EXEC);
    for (uint64_t n = 0; n < 2; n++) {
        uint64_t metadata[2] = {n, 99};
        if (ptrace(0x420d /* PTRACE_SECCOMP_GET_METADATA */, pid, sizeof metadata, metadata) < 0) SKIP("PTRACE_SECCOMP_GET_METADATA: %s", strerror(errno));
        CHECK_EQ(metadata[1], n * SANDBOX_FILTER_LOG);
    }
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

/* The signal is still pending, though the program is in a call. */
static bool is_pending(pid_t pid, int signal) {
    char path[64], line[256];
    unsigned long long pending = 0, shared = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) sscanf(line, "SigPnd: %llx", &pending), sscanf(line, "ShdPnd: %llx", &shared);
    if (file) fclose(file);
    return (pending | shared) >> (signal - 1) & 1;
}

TEST(wait_killable, "with WAIT_KILLABLE_RECV a call that was received outlasts a signal; without it does not") {
    for (int with = 0; with < 2; with++) {
        sandbox_filter *filter = filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getppid");
        sandbox_filter_flags(filter, with ? SANDBOX_FILTER_WAIT_KILLABLE_RECV : 0);
        sandbox_cmd *cmd = raw();
        sandbox_cmd_arg(cmd, "quiet"), sandbox_cmd_arg(cmd, "catch"), sandbox_cmd_arg(cmd, PARENT);
        add(cmd, filter);
        sandbox_child *child;
        sandbox_error error;
        int spawn = sandbox_spawn(cmd, &child, &error);
        sandbox_cmd_free(cmd);
        if (with && spawn == -EINVAL) SKIP("this kernel lacks it: %s", error.message);
        CHECK_EQ(spawn, 0);
        int listener = fds_of(child).seccomp_fd, valid = 0;
        struct seccomp_notif notification;
        CHECK(receive(listener, &notification));
        CHECK_EQ(sandbox_child_kill(child, SIGUSR1), 0);
        for (int round = 0; round < (with ? 20 : 2000); round++) {
            valid = ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &notification.id) == 0;
            if (!valid) break;
            pause_ms(2);
        }
        CHECK_EQ(valid, with);
        if (with) CHECK(is_pending(sandbox_child_pid(child), SIGUSR1));
        sandbox_child_free(child);
    }
}
