/* The child's own names and clocks. */
#include "identity.h"
#include <sys/utsname.h>

#define LONG64 "0123456789012345678901234567890123456789012345678901234567890123"

TEST(names, "host and domain name are the child's, and not the host's; they need a uts namespace, and 64 bytes at most") {
    need_userns();
    struct utsname before, after;
    uname(&before);
    static const char *const some[] = {"box", "", LONG64};
    for (int way = 0; way < WAYS; way++)
        for (int i = 0; i < 3; i++) {
            sandbox_cmd *cmd = by(way, shell("cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname"));
            char wanted[200];
            sandbox_cmd_unshare(cmd, allowed(SANDBOX_NS_UTS));
            CHECK_EQ(sandbox_cmd_hostname(cmd, some[i]), 0);
            CHECK_EQ(sandbox_cmd_domainname(cmd, "a.domain"), 0);
            well(cmd, way_names[way]);
            snprintf(wanted, sizeof wanted, "%s\na.domain\n", some[i]);
            CHECK_STR(result.out, wanted);
        }
    uname(&after);
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    sandbox_cmd *cmd = asked();
    CHECK_EQ(sandbox_cmd_hostname(cmd, LONG64 "5"), -ENAMETOOLONG);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, ENAMETOOLONG, SANDBOX_STAGE_HOSTNAME, 0, "65 bytes");
    cmd = asked();
    sandbox_cmd_domainname(cmd, "x");
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_HOSTNAME, 1, "uts");
}

TEST(clocks, "a time namespace's clocks are ahead as asked, by every way to start; what can't be is refused") {
    need_userns();
    if (access("/proc/self/ns/time", F_OK) != 0) SKIP("this kernel has no time namespaces");
    struct timespec boot;
    clock_gettime(CLOCK_BOOTTIME, &boot);
    for (int way = 0; way < WAYS; way++) {
        sandbox_cmd *cmd = by(way, shell("cat /proc/self/timens_offsets /proc/uptime"));
        long monotonic = 0, boottime = 0, nanoseconds = 0;
        double up = 0;
        sandbox_cmd_unshare(cmd, allowed(SANDBOX_NS_TIME));
        CHECK_EQ(sandbox_cmd_time_offset(cmd, CLOCK_MONOTONIC, 500, 0), 0);
        CHECK_EQ(sandbox_cmd_time_offset(cmd, CLOCK_MONOTONIC, 1000, 5), 0);
        CHECK_EQ(sandbox_cmd_time_offset(cmd, CLOCK_BOOTTIME, 1000000, 0), 0);
        well(cmd, way_names[way]);
        if (sscanf(result.out, "monotonic %ld %ld boottime %ld %*d %lf", &monotonic, &nanoseconds, &boottime, &up) != 4) FAIL("offsets: %s", result.out);
        CHECK_EQ(monotonic, 1000);
        CHECK_EQ(nanoseconds, 5);
        CHECK_EQ(boottime, 1000000);
        CHECK(up > 1000000 + (double)boot.tv_sec - 2 && up < 1000000 + (double)boot.tv_sec + 3600);
    }
    sandbox_cmd *cmd = asked();
    CHECK_EQ(sandbox_cmd_time_offset(cmd, CLOCK_REALTIME, 1, 0), -EINVAL);
    CHECK_EQ(sandbox_cmd_time_offset(cmd, CLOCK_MONOTONIC, 1, 1000000000), -EINVAL);
    sandbox_cmd_free(cmd);
    cmd = asked();
    sandbox_cmd_time_offset(cmd, CLOCK_MONOTONIC, 1, 0);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_CLONE, 1, "time namespace");
    cmd = asked();
    sandbox_cmd_unshare(cmd, allowed(SANDBOX_NS_TIME));
    sandbox_cmd_time_offset(cmd, CLOCK_BOOTTIME, -1000000000, 0);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, ERANGE, SANDBOX_STAGE_CLONE, 1, "timens_offsets");
}
