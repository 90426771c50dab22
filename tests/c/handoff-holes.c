/* What a filter must let through for the library's own calls, as the kernel holds it: that, and nothing else. */
#include "handoff.h"
#include <sys/uio.h>
#include <sys/user.h>

static struct sock_filter loaded[4096], plain[4096];

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
