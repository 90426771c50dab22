/* Filters as a command takes them: stacked, as they were, refused with the first thing wrong; and compiled once. */
#include "seccomp.h"

static struct run result;
static struct sock_filter instructions[4096], again[4096];

#define PARENT WORD(SYS_getppid)

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
