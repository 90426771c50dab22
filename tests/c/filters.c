/* Filters: rules, actions, architectures, instructions, flags, stacks, ready-made denials, as the program meets them. */
#include "seccomp.h"
#include <sys/socket.h>

static struct run result;
static struct sock_filter instructions[4096], again[4096];

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

static const struct sock_filter deny_getppid[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

TEST(bpf, "instructions are taken as they are: to the kernel, to the export, to the simulator") {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_KILL_PROCESS);
    CHECK_EQ(sandbox_filter_bpf(filter, deny_getppid, 4), 0);
    CHECK_EQ(exported(filter, instructions), 4);
    CHECK(memcmp(instructions, deny_getppid, sizeof deny_getppid) == 0);
    CHECK_EQ(simulated(filter, (sandbox_syscall){NATIVE, SYS_getppid, 0, {0}}), DENIED);
    CHECK_EQ(simulated(filter, (sandbox_syscall){0, SYS_getpid, 0, {0}}), SANDBOX_ACT_ALLOW);
    sandbox_cmd *cmd = raw();
    sandbox_cmd_arg(cmd, PARENT), sandbox_cmd_arg(cmd, WORD(SYS_getpid));
    add(cmd, filter);
    run_well(cmd, &result);
    CHECK_EQ(result_of(&result, 0), -EDOM);
    CHECK_EQ(result_of(&result, 1), result.pid);
}

/* What the kernel itself says to a program, in a process that may be spoilt. */
static int kernel_says(const struct sock_filter *program, size_t count) {
    struct sock_fprog prog = {(unsigned short)count, (struct sock_filter *)(uintptr_t)program};
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        long loaded = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
        syscall(SYS_exit_group, loaded < 0 ? errno : 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? -WEXITSTATUS(status) : 1;
}

TEST(bad_bpf, "instructions that the kernel would refuse are refused beforehand, and those that it takes are taken") {
    static const struct { const char *what; struct sock_filter program[4]; size_t count; } programs[] = {
        {"nothing", {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 0},
        {"no end", {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)}, 1},
        {"a jump too far", {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 7, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 2},
        {"a long jump around", {BPF_STMT(BPF_JMP | BPF_JA, 0xfffffffe), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 2},
        {"an unaligned load", {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 2},
        {"a load behind the data", {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 2},
        {"a byte load", {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 2},
        {"division by zero", {BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 2},
        {"a shift by 32", {BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 2},
        {"memory never written", {BPF_STMT(BPF_LD | BPF_MEM, 3), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 2},
        {"memory number 16", {BPF_STMT(BPF_ST, 16), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 2},
        {"no such instruction", {{0xffff, 0, 0, 0}, BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 2},
        {"modulo", {BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 2},
        {"the accumulator returned", {BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW), BPF_STMT(BPF_RET | BPF_A, 0)}, 2},
        {"written memory", {BPF_STMT(BPF_ST, 15), BPF_STMT(BPF_LD | BPF_MEM, 15), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 3},
        {"a shift by 31", {BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 31), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 2},
        {"an unknown action", {BPF_STMT(BPF_RET | BPF_K, 0x12345678)}, 1},
        {"a jump that is never taken", {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, 2},
    };
    int taken = 0;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        int ours = sandbox_filter_bpf(filter, programs[i].program, programs[i].count), theirs = kernel_says(programs[i].program, programs[i].count);
        if (theirs == 1) theirs = 0; /* loaded, and ended by it */
        if (ours != theirs) FAIL("%s: sandbox_filter_bpf gives %d, the kernel %d", programs[i].what, ours, theirs);
        taken += ours == 0;
        sandbox_cmd *cmd = raw();
        CHECK_EQ(sandbox_cmd_filter(cmd, filter), ours); /* latched */
        sandbox_cmd_free(cmd);
        sandbox_filter_free(filter);
    }
    CHECK(taken >= 4);
    struct sock_filter *many = calloc(4097, sizeof *many);
    for (int i = 0; i < 4097; i++) many[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    for (int count = 4096; count <= 4097; count++) {
        sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        CHECK_EQ(sandbox_filter_bpf(filter, many, (size_t)count), count == 4096 ? 0 : -EINVAL);
        sandbox_filter_free(filter);
    }
    free(many);
}

TEST(long_filters, "a filter of the greatest length works; one that has no room for the library's own steps is E2BIG") {
    struct sock_filter *program = calloc(4096, sizeof *program);
    for (int variant = 0; variant < 2; variant++) {
        sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        for (int i = 0; i < 4096; i++) program[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
        program[4093] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, variant ? SYS_futex : SYS_getppid, 0, 1);
        program[4094] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, variant ? SECCOMP_RET_USER_NOTIF : DENIED);
        program[4095] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        CHECK_EQ(sandbox_filter_bpf(filter, program, 4096), 0);
        sandbox_cmd *cmd = raw();
        sandbox_cmd_arg(cmd, PARENT);
        add(cmd, filter);
        if (variant == 0) {
            run_well(cmd, &result);
            CHECK_EQ(result_of(&result, 0), -EDOM);
        } else {
            run(cmd, &result);
            CHECK_ERROR(result.result, result.error, E2BIG, SANDBOX_STAGE_SECCOMP, 0, "4096");
        }
    }
    free(program);
}

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

TEST(stack, "several filters hold together in any order, the strictest answer for each call") {
    static const uint32_t strictness[] = {SANDBOX_ACT_KILL_PROCESS, SANDBOX_ACT_TRAP, SANDBOX_ACT_ERRNO(71), SANDBOX_ACT_TRACE(0), SANDBOX_ACT_LOG, SANDBOX_ACT_ALLOW};
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) {
            sandbox_cmd *cmd = raw();
            int strictest = i < j ? i : j, wanted = strictest == 2 ? -71 : strictest == 3 ? -ENOSYS : getpid();
            sandbox_cmd_arg(cmd, PARENT), sandbox_cmd_arg(cmd, WORD(SYS_getuid)), sandbox_cmd_arg(cmd, WORD(SYS_getgid));
            sandbox_filter *first = filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_ERRNO(72), "getuid"), *second = filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_ERRNO(73), "getgid");
            if (i != 5) sandbox_filter_rule(first, strictness[i], "getppid", NULL, 0);
            if (j != 5) sandbox_filter_rule(second, strictness[j], "getppid", NULL, 0);
            add(cmd, first), add(cmd, second);
            if (strictest < 2) {
                run(cmd, &result);
                CHECK_EQ(result.result, 0);
                CHECK_EQ(result.status.kind, SANDBOX_SIGNALED);
                CHECK_EQ(result.status.code, SIGSYS);
                CHECK_EQ(result.status.cause, SANDBOX_CAUSE_FILTER);
            } else {
                run_well(cmd, &result);
                CHECK_EQ(result_of(&result, 0), wanted);
                CHECK_EQ(result_of(&result, 1), -72);
                CHECK_EQ(result_of(&result, 2), -73);
            }
        }
    sandbox_cmd *cmd = victim("report", "status:Seccomp_filters", NULL);
    for (int i = 0; i < 5; i++) add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_ERRNO((unsigned)i + 1), "getppid"));
    run_well(cmd, &result);
    if (strcmp(value(&result, "status:Seccomp_filters"), "none") != 0) CHECK_EQ(number(&result, "status:Seccomp_filters"), 5);
}

TEST(ties, "of two errnos the later filter's is seen, as the kernel has it") {
    for (int turn = 0; turn < 2; turn++) {
        sandbox_cmd *cmd = raw();
        sandbox_cmd_arg(cmd, PARENT);
        add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_ERRNO(71 + (unsigned)turn), "getppid"));
        add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_ERRNO(72 - (unsigned)turn), "getppid"));
        run_well(cmd, &result);
        CHECK_EQ(result_of(&result, 0), -72 + turn);
    }
}

TEST(as_it_was, "a filter that changes, or is freed, after it was added does not change the command") {
    sandbox_filter *filter = filter_of(SANDBOX_ACT_ALLOW, DENIED, "getppid");
    sandbox_cmd *cmd = raw(), *copy;
    sandbox_cmd_arg(cmd, PARENT), sandbox_cmd_arg(cmd, WORD(SYS_getuid));
    CHECK_EQ(sandbox_cmd_filter(cmd, filter), 0);
    CHECK_EQ(sandbox_filter_rule(filter, SANDBOX_ACT_KILL_PROCESS, "getuid", NULL, 0), 0);
    CHECK_EQ(simulated(filter, (sandbox_syscall){NATIVE, SYS_getuid, 0, {0}}), SANDBOX_ACT_KILL_PROCESS); /* compiled anew */
    CHECK_EQ(sandbox_filter_rule(filter, 0x12345678, "getuid", NULL, 0), -EINVAL);
    copy = sandbox_cmd_clone(cmd);
    sandbox_filter_free(filter);
    for (int i = 0; i < 2; i++) {
        run_well(i ? copy : cmd, &result);
        CHECK_EQ(result_of(&result, 0), -EDOM);
        CHECK_EQ(result_of(&result, 1), getuid());
    }
}

static const char *latched_message(const sandbox_cmd *cmd) {
    static sandbox_error error;
    sandbox_cmd_error(cmd, &error);
    return error.message;
}

TEST(sticky, "the first bad setter of a filter is what every use of it, and the spawn, refuses with") {
    sandbox_arg arg = {6, SANDBOX_CMP_EQ, 0, 0}, op = {0, 9, 0, 0}, many[33] = {{0, SANDBOX_CMP_EQ, 0, 0}};
    for (int i = 0; i < 33; i++) many[i] = (sandbox_arg){0, SANDBOX_CMP_GE, 0, 0};
    for (int wrong = 0; wrong < 14; wrong++) {
        sandbox_filter *filter = sandbox_filter_new(wrong == 0 ? 0x12345678 : wrong == 13 ? SANDBOX_ACT_ALLOW + 1 : SANDBOX_ACT_ALLOW);
        const char *culprit = "";
        int code = -EINVAL, given = -EINVAL;
        switch (wrong) {
        case 0: culprit = "0x12345678"; break;
        case 1: given = sandbox_filter_rule(filter, SANDBOX_ACT_ALLOW, "no_such_call", NULL, 0), culprit = "no_such_call"; break;
        case 2: given = sandbox_filter_rule(filter, 0x7fff0001, "read", NULL, 0), culprit = "0x7fff0001"; break;
        case 3: given = sandbox_filter_rule(filter, DENIED, "read", &arg, 1), culprit = "argument 6"; break;
        case 4: given = sandbox_filter_rule(filter, DENIED, "read", &op, 1), culprit = "comparison 9"; break;
        case 5: given = sandbox_filter_rule(filter, DENIED, NULL, NULL, 0), code = -EFAULT, culprit = "NULL"; break;
        case 6: given = sandbox_filter_rule(filter, DENIED, "read", NULL, 1), code = -EFAULT, culprit = "NULL"; break;
        case 7: given = sandbox_filter_rule(filter, DENIED, "read", many, 33), culprit = "33"; break;
        case 8: given = sandbox_filter_deny(filter, 1ULL << 40), culprit = "0x10000000000"; break;
        case 9: given = sandbox_filter_arch(filter, "vax"), culprit = "vax"; break;
        case 10: given = sandbox_filter_flags(filter, 1), culprit = "0x1"; break;
        case 11: given = sandbox_filter_bpf(filter, NULL, 1), code = -EFAULT, culprit = "NULL"; break;
        case 12: given = sandbox_filter_rule(filter, DENIED, "-5", NULL, 0), culprit = "-5"; break;
        case 13: culprit = "0x7fff0001"; break;
        }
        if (wrong != 0 && wrong != 13) CHECK_EQ(given, code);
        CHECK_EQ(sandbox_filter_rule(filter, DENIED, "getppid", NULL, 0), 0);
        sandbox_filter_deny(filter, 1ULL << 50); /* a second failure hides no first one */
        uint32_t action;
        sandbox_syscall call = {NATIVE, SYS_getppid, 0, {0}};
        CHECK_EQ(sandbox_filter_simulate(filter, &call, &action), code);
        CHECK_EQ(sandbox_filter_export(filter, -1), code);
        sandbox_cmd *cmd = raw();
        add(cmd, filter_of(SANDBOX_ACT_ALLOW, DENIED, "getppid"));
        CHECK_EQ(sandbox_cmd_filter(cmd, filter), code);
        CHECK_HAS(latched_message(cmd), culprit);
        sandbox_cmd_set(cmd, 9999, 1);
        sandbox_filter_free(filter);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, -code, SANDBOX_STAGE_SECCOMP, 1, culprit);
    }
}

TEST(refused, "a filter that would end the child's own execve is refused before there is a child, by its index") {
    static const uint32_t fatal[] = {SANDBOX_ACT_KILL_PROCESS, SANDBOX_ACT_KILL_THREAD, SANDBOX_ACT_TRAP};
    for (int i = 0; i < 3; i++)
        for (unsigned place = 0; place < 3; place++)
            for (int by_default = 0; by_default < 2; by_default++) {
                sandbox_cmd *cmd = raw();
                for (unsigned at = 0; at < 3; at++) {
                    if (at != place) add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_ERRNO(EACCES), at ? "execve" : "getppid"));
                    else if (by_default) add(cmd, filter_of(fatal[i], SANDBOX_ACT_ALLOW, "read"));
                    else add(cmd, filter_of(SANDBOX_ACT_ALLOW, fatal[i], "execve"));
                }
                run(cmd, &result);
                CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_SECCOMP, place, "execve");
            }
    sandbox_cmd *cmd = raw(); /* exec_fd goes by execveat: another call */
    int fd = open(beside("raw"), O_PATH | O_CLOEXEC);
    sandbox_cmd_exec_fd(cmd, fd);
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_KILL_PROCESS, "execve"));
    run_well(cmd, &result);
    cmd = raw();
    sandbox_cmd_exec_fd(cmd, fd);
    close(fd);
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_KILL_PROCESS, "execveat"));
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_SECCOMP, 0, "exec");
    cmd = raw();
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_ERRNO(EMLINK), "execve"));
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EMLINK, SANDBOX_STAGE_EXEC, 0, "raw");
}

TEST(two_listeners, "a second filter that notifies is refused when it is added") {
    sandbox_cmd *cmd = raw();
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getppid"));
    sandbox_filter *second = filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getpid");
    CHECK_EQ(sandbox_cmd_filter(cmd, second), -EINVAL);
    sandbox_filter_free(second);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_SECCOMP, 1, "second");
}

TEST(privileges, "without no_new_privs a filter needs CAP_SYS_ADMIN: EACCES with a hint, never a program without its filter") {
    sandbox_cmd *cmd = raw();
    sandbox_cmd_arg(cmd, PARENT);
    sandbox_cmd_set(cmd, SANDBOX_OPT_NO_NEW_PRIVS, 0);
    if (!has_cap(21)) sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0);
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_ERRNO(1), "getuid"));
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, DENIED, "getppid"));
    if (has_cap(21)) {
        run_well(cmd, &result);
        CHECK_EQ(result_of(&result, 0), -EDOM);
    } else {
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EACCES, SANDBOX_STAGE_SECCOMP, 0, "no_new_privs");
    }
}

/* --- ready-made denials --- */

static const struct {
    uint64_t what;
    const char *call;
    int errnum;
} denials[] = {
#define CALL_(name, args) NR_(SYS_##name) args
#define NR_(n) STRING_(n)
#define STRING_(n) #n
    {SANDBOX_DENY_TERMINAL_INJECTION, CALL_(ioctl, ",-1,0x5412,buf"), EPERM},
    {SANDBOX_DENY_TERMINAL_INJECTION, CALL_(ioctl, ",-1,0x100005412,buf"), EPERM},
    {SANDBOX_DENY_TERMINAL_INJECTION, CALL_(ioctl, ",-1,0xffffffff00005412,buf"), EPERM},
    {SANDBOX_DENY_TERMINAL_INJECTION, CALL_(ioctl, ",-1,0x541c,buf"), EPERM},
    {SANDBOX_DENY_USER_NAMESPACES, CALL_(clone, ",0x10010000"), EPERM},    /* with CLONE_THREAD: EINVAL of the kernel's */
    {SANDBOX_DENY_USER_NAMESPACES, CALL_(unshare, ",0x10000001"), EPERM},  /* with an unknown flag: EINVAL */
    {SANDBOX_DENY_USER_NAMESPACES, CALL_(clone3, ",buf,1"), ENOSYS},
    {SANDBOX_DENY_IO_URING, CALL_(io_uring_setup, ",0,0"), ENOSYS},
    {SANDBOX_DENY_IO_URING, CALL_(io_uring_enter, ",-1,0,0,0,0,0"), ENOSYS},
    {SANDBOX_DENY_IO_URING, CALL_(io_uring_register, ",-1,0,0,0"), ENOSYS},
    {SANDBOX_DENY_KEYRINGS, CALL_(keyctl, ",9999"), EPERM},
    {SANDBOX_DENY_KEYRINGS, CALL_(add_key, ",0,0,0,0,0"), EPERM},
    {SANDBOX_DENY_KEYRINGS, CALL_(request_key, ",0,0,0,0"), EPERM},
    {SANDBOX_DENY_PTRACE, CALL_(ptrace, ",9999,-1,0,0"), EPERM},
    {SANDBOX_DENY_PTRACE, CALL_(process_vm_readv, ",-1,0,0,0,0,9"), EPERM},
    {SANDBOX_DENY_PTRACE, CALL_(process_vm_writev, ",-1,0,0,0,0,9"), EPERM},
    {SANDBOX_DENY_PTRACE, CALL_(process_madvise, ",-1,0,0,0,0"), EPERM},
    {SANDBOX_DENY_PTRACE, CALL_(pidfd_getfd, ",-1,0,0"), EPERM},
    {SANDBOX_DENY_PTRACE, CALL_(kcmp, ",-1,-1,0,0,0"), EPERM},
    {SANDBOX_DENY_PERF, CALL_(perf_event_open, ",0,0,-1,-1,0"), EPERM},
    {SANDBOX_DENY_BPF, CALL_(bpf, ",9999,0,0"), EPERM},
    {SANDBOX_DENY_SECCOMP, CALL_(seccomp, ",9999,0,0"), ENOSYS},
    {SANDBOX_DENY_SECCOMP, CALL_(seccomp, ",1,8,buf"), ENOSYS},
    {SANDBOX_DENY_SECCOMP, CALL_(prctl, ",22,2,0"), EINVAL},
    {SANDBOX_DENY_SECCOMP, CALL_(prctl, ",0x100000016,2,0"), EINVAL},
    {SANDBOX_DENY_KERNEL_POINTERS, CALL_(write, ",-1,0xffff888000001000,1"), EFAULT},
    {SANDBOX_DENY_KERNEL_POINTERS, CALL_(recvfrom, ",-1,0,0,0,0,0xffffc90000000000"), EFAULT},
#if defined __x86_64__
    {SANDBOX_DENY_KERNEL_POINTERS, CALL_(write, ",-1,0xffffffff81000000,1"), EFAULT},
#endif
    /* What looks alike and is none of theirs. */
    {0, CALL_(ioctl, ",-1,0x5401,buf"), EBADF},
    {0, CALL_(unshare, ",0"), 0},
    {0, CALL_(prctl, ",-1"), EINVAL},
    {0, CALL_(write, ",-1,-1,1"), EBADF},
    {0, CALL_(write, ",-1,0x7fffffffffff,-4096,0xffff888000001000"), EBADF},           /* write takes three */
    {0, CALL_(getuid, ",0xffff888000001000,0xffffffff81000000,0xffffc90000000000"), -1}, /* it takes none */
    {0, CALL_(close, ",-1,0,0,0xffff804da5ea6cbc"), EBADF},                             /* as the dynamic loader does */
    {0, CALL_(fcntl, ",-1,1,0xffff804da5ea6cbc"), EBADF},
    {0, CALL_(ioctl, ",-1,0xffffffff80045430,buf"), EBADF},                             /* musl's request is an int */
    {0, CALL_(lseek, ",-1,0xffffffff80000001,1"), EBADF},
};
enum { DENIALS = sizeof denials / sizeof *denials };

/* Runs them all under `what`; the results stay in `run`. */
static void try_denials(uint64_t what, struct run *run) {
    sandbox_cmd *cmd = raw();
    for (int i = 0; i < DENIALS; i++) sandbox_cmd_arg(cmd, denials[i].call);
    if (what) {
        sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        CHECK_EQ(sandbox_filter_deny(filter, what), 0);
        add(cmd, filter);
    }
    run_well(cmd, run);
}

TEST(denials, "each ready-made denial refuses what it names with its errno, alone and with all others, and nothing else") {
    static struct run without;
    try_denials(0, &without);
    int told_apart = 0;
    for (uint64_t what = 1; what <= 512; what <<= 1) {
        uint64_t all = what == 512 ? 511 : what;
        try_denials(all, &result);
        for (int i = 0; i < DENIALS; i++) {
            long wanted = denials[i].what & all ? -denials[i].errnum : result_of(&without, i);
            if (result_of(&result, i) != wanted)
                FAIL("under %#llx %s gives %ld, not %ld", (unsigned long long)all, denials[i].call, result_of(&result, i), wanted);
            told_apart += denials[i].what & all && result_of(&without, i) != wanted;
        }
    }
    CHECK(told_apart > DENIALS); /* else the calls would fail the same without a filter, and this would show nothing */
}

TEST(terminal, "nothing is pushed into the program's terminal, with whatever upper half of the request") {
    static const char *const requests[] = {"0x5412", "0x100005412", "0x541c", "0x4100005412"};
    for (int denied = 0; denied < 2; denied++) {
        sandbox_cmd *cmd = raw();
        for (int target = 0; target < 2; target++) sandbox_cmd_stdio(cmd, target, SANDBOX_STDIO_PTY, -1);
        for (int i = 0; i < 4; i++) sandbox_cmd_arg(cmd, word("%d,0,%s,buf", SYS_ioctl, requests[i]));
        if (denied) {
            sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
            sandbox_filter_deny(filter, SANDBOX_DENY_TERMINAL_INJECTION);
            add(cmd, filter);
        }
        sandbox_child *child = spawned(cmd);
        drain(fds_of(child).pty_fd, result.out, sizeof result.out);
        CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
        for (int i = 0; i < 4; i++)
            if ((result_of(&result, i) == -EPERM) != (denied != 0) && !(i == 2 && !denied)) /* TIOCLINUX takes a console */
                FAIL("denied %d: %s gives %ld", denied, requests[i], result_of(&result, i));
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
    }
}

TEST(before_rules, "a denial comes before every rule, in whatever order they were given") {
    for (int turn = 0; turn < 2; turn++) {
        sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        if (turn) sandbox_filter_deny(filter, SANDBOX_DENY_PTRACE);
        sandbox_filter_rule(filter, SANDBOX_ACT_ALLOW, "ptrace", NULL, 0);
        sandbox_filter_rule(filter, DENIED, "ioctl", NULL, 0);
        if (!turn) sandbox_filter_deny(filter, SANDBOX_DENY_PTRACE);
        CHECK_EQ(sandbox_filter_deny_ioctl(filter, 0x5401), 0);
        sandbox_cmd *cmd = raw();
        sandbox_cmd_arg(cmd, word("%d,9999", SYS_ptrace)), sandbox_cmd_arg(cmd, word("%d,-1,0x700005401", SYS_ioctl)), sandbox_cmd_arg(cmd, word("%d,-1,0x5402", SYS_ioctl));
        add(cmd, filter);
        run_well(cmd, &result);
        CHECK_EQ(result_of(&result, 0), -EPERM);
        CHECK_EQ(result_of(&result, 1), -EPERM);
        CHECK_EQ(result_of(&result, 2), -EDOM);
    }
}

TEST(setsockopt, "a denied socket option is refused, its neighbours are not") {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    CHECK_EQ(sandbox_filter_deny_setsockopt(filter, SOL_SOCKET, SO_REUSEADDR), 0);
    CHECK_EQ(sandbox_filter_deny_setsockopt(filter, SOL_SOCKET, SO_KEEPALIVE), 0);
    sandbox_cmd *cmd = raw();
    sandbox_cmd_arg(cmd, word("%d,-1,%d,%d,buf,4", SYS_setsockopt, SOL_SOCKET, SO_REUSEADDR));
    sandbox_cmd_arg(cmd, word("%d,-1,%#llx,%#llx,buf,4", SYS_setsockopt, 0x100000000ULL + SOL_SOCKET, 0xffffffff00000000ULL + SO_KEEPALIVE));
    sandbox_cmd_arg(cmd, word("%d,-1,%d,%d,buf,4", SYS_setsockopt, SOL_SOCKET, SO_BROADCAST));
    sandbox_cmd_arg(cmd, word("%d,-1,%d,%d,buf,4", SYS_setsockopt, 41, SO_REUSEADDR));
    sandbox_cmd_arg(cmd, word("%d,-1,%d,%d,buf,buf", SYS_getsockopt, SOL_SOCKET, SO_REUSEADDR));
    add(cmd, filter);
    run_well(cmd, &result);
    for (int i = 0; i < 5; i++) CHECK_EQ(result_of(&result, i), i < 2 ? -EPERM : -EBADF);
}

static sandbox_filter *every_denial(void) {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    CHECK_EQ(sandbox_filter_deny(filter, 511), 0);
    return filter;
}

TEST(fallback, "threads, fork and posix_spawn work on under every denial: libc falls back from clone3 to clone") {
    sandbox_cmd *cmd = victim("fallback", NULL);
    add(cmd, every_denial());
    run_well(cmd, &result);
}

TEST(real_programs, "a shell, git and python3 run under every denial as they do without") {
    static const char *const programs[][4] = {
        {"/bin/sh", "-c", "for i in 1 2 3; do echo $i; done | sort -r | head -1; (exit 3); echo $?", NULL},
        {"git", "--version", NULL, NULL},
        {"python3", "-c", "import threading,subprocess,tempfile,socket\n"
                          "t=threading.Thread(target=lambda:print('thread'));t.start();t.join()\n"
                          "print(subprocess.run(['/bin/echo','sub'],capture_output=True).stdout)\n"
                          "s=socket.socket();s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1);s.bind(('127.0.0.1',0));s.listen();print('socket')\n"
                          "print(len(open('/proc/self/status').read())>100)", NULL}};
    int compared = 0;
    for (int i = 0; i < 3; i++) {
        static struct run without;
        for (int filtered = 0; filtered < 2; filtered++) {
            sandbox_cmd *cmd = sandbox_cmd_new(programs[i][0]);
            sandbox_cmd_args(cmd, programs[i] + 1);
            if (filtered) add(cmd, every_denial());
            run(cmd, filtered ? &result : &without);
        }
        if (without.result < 0 || without.status.code != 0) continue; /* not to be had here */
        CHECK_EQ(result.result, 0);
        CHECK_EQ(result.status.kind, SANDBOX_EXITED);
        CHECK_EQ(result.status.code, 0);
        CHECK_STR(result.out, without.out);
        CHECK(strlen(result.out) > 3);
        compared++;
    }
    CHECK(compared >= 1);
}

/* --- compiled once --- */

/* The suite preloads a library that counts what the process asks of libseccomp and malloc. */
static volatile struct counters {
    unsigned long contexts, allocations;
} *counters;

static void map_counters(void) {
    const char *path = getenv("SECCOMP_COUNTERS");
    if (!path) SKIP("the counting library is preloaded by its suite alone");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(fd >= 0 && counters != MAP_FAILED);
    close(fd);
}

static unsigned long allocations_of_spawns(const sandbox_cmd *cmd, int count) {
    sandbox_child_free(spawned(cmd));
    unsigned long before = counters->allocations;
    for (int i = 0; i < count; i++) {
        sandbox_child *child = spawned(cmd);
        CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
        sandbox_child_free(child);
    }
    return counters->allocations - before;
}

TEST(once, "a filter is compiled once: exported, simulated, added to 1,000 commands and spawned 1,000 times") {
    sandbox_filter *simple = filter_of(SANDBOX_ACT_ALLOW, DENIED, "getppid"), *large = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    for (unsigned i = 0; i < 300; i++) { /* several rules a call: not libseccomp's */
        sandbox_arg arg = {0, SANDBOX_CMP_EQ, i / 100, 0};
        CHECK_EQ(sandbox_filter_rule(large, SANDBOX_ACT_ERRNO(71), WORD(i % 100 == SYS_execve ? 300 : i % 100), &arg, 1), 0);
    }
    map_counters();
    sandbox_filter *filters[] = {simple, large};
    unsigned long spawns[2];
    for (int i = 0; i < 2; i++) {
        unsigned long contexts = counters->contexts, allocations = counters->allocations;
        int count = exported(filters[i], instructions);
        CHECK(counters->allocations > allocations);
        CHECK_EQ(counters->contexts - contexts, i == 0); /* else the counting does not work */
        sandbox_cmd *cmd = victim("raw", NULL);
        CHECK_EQ(sandbox_cmd_filter(cmd, filters[i]), 0);
        contexts = counters->contexts;
        for (int round = 0; round < 1000; round++) {
            sandbox_cmd *other = sandbox_cmd_new("x");
            sandbox_syscall call = {NATIVE, round % 400, 0, {0}};
            allocations = counters->allocations;
            CHECK_EQ(sandbox_cmd_filter(other, filters[i]), 0);
            simulated(filters[i], call);
            CHECK(counters->allocations - allocations <= 4); /* the command's own list */
            sandbox_cmd_free(other);
        }
        CHECK_EQ(exported(filters[i], again), count);
        CHECK(memcmp(instructions, again, (size_t)count * sizeof *again) == 0);
        spawns[i] = allocations_of_spawns(cmd, 1000);
        CHECK_EQ(counters->contexts, contexts);
        sandbox_cmd_free(cmd);
    }
    /* To compile the large one takes far more than one allocation. */
    if (spawns[1] > spawns[0] + 500) FAIL("1,000 spawns allocate %lu times with one rule, %lu times with 300", spawns[0], spawns[1]);
    sandbox_filter_free(simple), sandbox_filter_free(large);
}
