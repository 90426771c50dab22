/* A filter of ready instructions: taken as they are, or refused as the kernel would refuse them. */
#include "seccomp.h"

static struct run result;
static struct sock_filter instructions[4096];

#define PARENT WORD(SYS_getppid)

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

TEST(alone, "instructions as they are and rules exclude each other, whichever comes first: the second is refused, and then the filter") {
    static const char policy[] = "getpid: return 9";
    static const char profile[] = "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_ERRNO\"}]}";
    for (int kind = 0; kind < 7; kind++)
        for (int first = 0; first < 2; first++) {
            sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
            if (first) CHECK_EQ(sandbox_filter_bpf(filter, deny_getppid, 4), 0);
            int other = kind == 0   ? sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(9), "getpid", NULL, 0)
                        : kind == 1 ? sandbox_filter_deny(filter, SANDBOX_DENY_PTRACE)
                        : kind == 2 ? sandbox_filter_policy(filter, policy, sizeof policy - 1, NULL)
                        : kind == 3 ? sandbox_filter_oci(filter, profile, sizeof profile - 1, NULL)
                        : kind == 4 ? sandbox_filter_deny_ioctl(filter, 1)
                        : kind == 5 ? sandbox_filter_deny_setsockopt(filter, 1, 1)
                                    : sandbox_filter_arch(filter, "x86");
            if (!first) CHECK_EQ(other, 0);
            CHECK_EQ(first ? other : sandbox_filter_bpf(filter, deny_getppid, 4), -EINVAL);
            sandbox_cmd *cmd = raw();
            CHECK_EQ(sandbox_cmd_filter(cmd, filter), -EINVAL);
            run(cmd, &result);
            CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_SECCOMP, 0, "instructions as they are");
            sandbox_filter_free(filter);
        }
}

/* What the kernel itself says to a program, in a process that may be spoilt. By prctl: Valgrind knows no seccomp(2). */
static int kernel_says(const struct sock_filter *program, size_t count) {
    struct sock_fprog prog = {(unsigned short)count, (struct sock_filter *)(uintptr_t)program};
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        int loaded = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
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
        /* Before there is a filter: what a fork holds counts as leaked when it ends. */
        int theirs = kernel_says(programs[i].program, programs[i].count);
        sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        int ours = sandbox_filter_bpf(filter, programs[i].program, programs[i].count);
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
