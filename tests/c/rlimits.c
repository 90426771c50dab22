/* The sixteen resource limits. */
#include "test.h"

static struct run result;

/* Values under which a program still starts. */
static const struct { int resource; uint64_t soft, hard; } table[] = {
    {RLIMIT_CPU, 100, 200},          {RLIMIT_FSIZE, 1 << 20, 1 << 21},  {RLIMIT_DATA, 1 << 26, 1 << 27}, {RLIMIT_STACK, 1 << 20, 1 << 21},
    {RLIMIT_CORE, 4096, 8192},       {RLIMIT_RSS, 1 << 26, 1 << 27},    {RLIMIT_NPROC, 900, 1000},       {RLIMIT_NOFILE, 32, 64},
    {RLIMIT_MEMLOCK, 4096, 65536},   {RLIMIT_AS, 1 << 28, 1 << 29},     {RLIMIT_LOCKS, 10, 20},          {RLIMIT_SIGPENDING, 50, 60},
    {RLIMIT_MSGQUEUE, 4096, 8192},   {RLIMIT_NICE, 5, 10},              {RLIMIT_RTPRIO, 5, 10},          {RLIMIT_RTTIME, 100000, 200000},
};
enum { COUNT = sizeof table / sizeof *table };

static uint64_t least(uint64_t one, uint64_t other) { return one < other ? one : other; }

static struct rlimit own(int resource) {
    struct rlimit limit;
    CHECK_EQ(getrlimit((__rlimit_resource_t)resource, &limit), 0);
    return limit;
}

static void expect(const struct run *run, int resource, uint64_t soft, uint64_t hard) {
    char key[16], wanted[64];
    snprintf(key, sizeof key, "rlimit:%d", resource);
    snprintf(wanted, sizeof wanted, "%llu %llu", (unsigned long long)soft, (unsigned long long)hard);
    CHECK_STR(value(run, key), wanted);
}

static sandbox_cmd *reporter(void) {
    sandbox_cmd *cmd = victim("report", NULL);
    char key[16];
    for (int resource = 0; resource < 16; resource++) snprintf(key, sizeof key, "rlimit:%d", resource), sandbox_cmd_arg(cmd, key);
    return cmd;
}

TEST(each, "each resource is set alone, soft and hard apart, and no other changes, the host's least") {
    for (int i = 0; i < COUNT; i++) {
        struct rlimit before = own(table[i].resource);
        uint64_t hard = least(table[i].hard, before.rlim_max), soft = least(table[i].soft, hard);
        sandbox_cmd *cmd = reporter();
        CHECK_EQ(sandbox_cmd_rlimit(cmd, (uint32_t)table[i].resource, soft, hard), 0);
        run_well(cmd, &result);
        for (int other = 0; other < COUNT; other++) {
            struct rlimit limit = own(table[other].resource);
            if (other == i) expect(&result, table[i].resource, soft, hard);
            else expect(&result, table[other].resource, limit.rlim_cur, limit.rlim_max);
        }
        struct rlimit after = own(table[i].resource);
        CHECK(before.rlim_cur == after.rlim_cur && before.rlim_max == after.rlim_max);
    }
}

TEST(all, "all sixteen are set together") {
    sandbox_cmd *cmd = reporter();
    for (int i = 0; i < COUNT; i++) {
        uint64_t hard = least(table[i].hard, own(table[i].resource).rlim_max);
        CHECK_EQ(sandbox_cmd_rlimit(cmd, (uint32_t)table[i].resource, least(table[i].soft, hard), hard), 0);
    }
    run_well(cmd, &result);
    for (int i = 0; i < COUNT; i++) {
        uint64_t hard = least(table[i].hard, own(table[i].resource).rlim_max);
        expect(&result, table[i].resource, least(table[i].soft, hard), hard);
    }
}

TEST(unlimited, "RLIM_INFINITY is unlimited, 0 is nothing") {
    if (own(RLIMIT_CPU).rlim_max != RLIM_INFINITY) SKIP("RLIMIT_CPU is limited here");
    sandbox_cmd *cmd = reporter();
    sandbox_cmd_rlimit(cmd, RLIMIT_CPU, RLIM_INFINITY, RLIM_INFINITY);
    sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
    run_well(cmd, &result);
    expect(&result, RLIMIT_CPU, RLIM_INFINITY, RLIM_INFINITY);
    expect(&result, RLIMIT_CORE, 0, 0);
}

TEST(last, "set twice, the last call holds and the first place is kept") {
    sandbox_cmd *cmd = reporter();
    sandbox_cmd_rlimit(cmd, RLIMIT_CPU, 10, 20);
    sandbox_cmd_rlimit(cmd, RLIMIT_NOFILE, 32, 32);
    sandbox_cmd_rlimit(cmd, RLIMIT_CPU, 30, 40);
    run_well(cmd, &result);
    expect(&result, RLIMIT_CPU, 30, 40);
    expect(&result, RLIMIT_NOFILE, 32, 32);
}

TEST(refused, "a hard limit above the host's own is EPERM without CAP_SYS_RESOURCE, by its index and name") {
    struct rlimit lowered = {64, 64};
    if (has_cap(24)) SKIP("this user has CAP_SYS_RESOURCE");
    CHECK_EQ(setrlimit(RLIMIT_LOCKS, &lowered), 0);
    sandbox_cmd *cmd = reporter();
    sandbox_cmd_rlimit(cmd, RLIMIT_CPU, 100, 200);
    sandbox_cmd_rlimit(cmd, RLIMIT_LOCKS, 10, 65);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_RLIMIT, 1, "RLIMIT_LOCKS");
}

TEST(raised, "with CAP_SYS_RESOURCE a hard limit can be raised above the host's") {
    struct rlimit lowered = {64, 64};
    if (!has_cap(24)) SKIP("this user lacks CAP_SYS_RESOURCE");
    CHECK_EQ(setrlimit(RLIMIT_LOCKS, &lowered), 0);
    sandbox_cmd *cmd = reporter();
    sandbox_cmd_rlimit(cmd, RLIMIT_LOCKS, 65, 66);
    run_well(cmd, &result);
    expect(&result, RLIMIT_LOCKS, 65, 66);
}

TEST(enforced, "limits bite: CPU time, file size, open files, memory") {
    sandbox_cmd *cmd = victim("act", "spin", "10000", NULL);
    sandbox_cmd_rlimit(cmd, RLIMIT_CPU, 1, 2);
    sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
    run(cmd, &result);
    CHECK_EQ(result.result, 0);
    CHECK_EQ(result.status.kind, SANDBOX_SIGNALED);
    CHECK_EQ(result.status.code, SIGXCPU);

    int file = memfd_create("limited", MFD_CLOEXEC);
    cmd = victim("act", "print", "more than four bytes", NULL);
    sandbox_cmd_rlimit(cmd, RLIMIT_FSIZE, 4, 4);
    sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_FD, file);
    sandbox_child *child = spawned(cmd);
    struct stat stat;
    sandbox_child_wait(child, -1, NULL, 0);
    CHECK_EQ(fstat(file, &stat), 0);
    CHECK_EQ(stat.st_size, 4);
    close(file);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);

    cmd = victim("act", "cat", NULL); /* it opens nothing, so three are enough */
    sandbox_cmd_rlimit(cmd, RLIMIT_NOFILE, 3, 3);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_NULL, -1);
    run_well(cmd, &result);

    cmd = victim("act", "cat", NULL); /* too little to map the program: exec fails, or kills it once it is past return */
    sandbox_cmd_rlimit(cmd, RLIMIT_AS, 4096, 4096);
    sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
    run(cmd, &result);
    CHECK(result.result < 0 || result.status.kind == SANDBOX_SIGNALED);
}
