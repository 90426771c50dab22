/* A user namespace of the child's own: whether another can be made in it, and who maps its ids. */
#include "identity.h"
#include <grp.h>

TEST(nested, "with DISABLE_USERNS no user namespace can be made inside; elsewhere it still can") {
    need_userns();
    if (access("/usr/bin/unshare", X_OK) != 0) SKIP("no unshare");
    for (int way = 0; way < WAYS; way++)
        for (int closed = 0; closed < 2; closed++) {
            sandbox_cmd *cmd = by(way, in(AS_ROOT, shell("/usr/bin/unshare -U true 2>/dev/null && echo yes || echo no")));
            sandbox_cmd_set(cmd, SANDBOX_OPT_DISABLE_USERNS, (uint64_t)closed);
            well(cmd, way_names[way]);
            CHECK_STR(result.out, closed ? "no\n" : "yes\n");
        }
    sandbox_cmd *cmd = asked();
    sandbox_cmd_set(cmd, SANDBOX_OPT_DISABLE_USERNS, 1);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_USERNS, 1, "user namespace of its own");
}

TEST(nested_for_all, "with DISABLE_USERNS 2 no user namespace can be made by any capability, nor the limit raised; the program has its ids still") {
    need_userns();
    if (access("/usr/bin/unshare", X_OK) != 0) SKIP("no unshare");
    for (int way = 0; way < WAYS; way++)
        for (uint64_t level = 1; level <= 2; level++) {
            sandbox_cmd *cmd = by(way, in(AS_ROOT, shell("id -u; id -g; (echo 9 > /proc/sys/user/max_user_namespaces) 2>/dev/null; /usr/bin/unshare -U true 2>/dev/null && echo yes || echo no")));
            CHECK_EQ(sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0), 0);
            CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_DISABLE_USERNS, level), 0);
            well(cmd, way_names[way]);
            CHECK_STR(result.out, level == 1 ? "0\n0\nyes\n" : "0\n0\nno\n"); /* CAP_SYS_RESOURCE raises what 1 has set */
        }
    sandbox_cmd *cmd = in(AS_ROOT, asked());
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_DISABLE_USERNS, 3), -EINVAL);
    sandbox_cmd_free(cmd);
    cmd = in(AS_OTHER, asked());
    sandbox_cmd_set(cmd, SANDBOX_OPT_DISABLE_USERNS, 2);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_USERNS, 1, "a user to change to");
}

/* --- the caller's own maps --- */

struct maps {
    int calls, answer;
    unsigned inside;
};

static void put(pid_t pid, const char *file, const char *format, unsigned inside, unsigned outside) {
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    int length = snprintf(text, sizeof text, format, inside, outside), fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, (size_t)length) != length) FAIL("%s: %s", path, strerror(errno));
    close(fd);
}

static int map(pid_t pid, int pidfd, void *userdata) {
    struct maps *maps = userdata;
    maps->calls++;
    CHECK(pidfd > 2 && runs(pidfd));
    if (maps->answer < 0) return maps->answer;
    put(pid, "setgroups", "deny", 0, 0);
    put(pid, "uid_map", "%u %u 1", maps->inside, geteuid());
    put(pid, "gid_map", "%u %u 1", maps->inside + 1, getegid());
    return 0;
}

TEST(own_maps, "on_maps writes the maps in the library's place, whoever starts it in whatever way, and its refusal is the spawn's") {
    need_userns();
    for (int way = 0; way < WAYS; way++) {
        struct maps maps = {.inside = 4321};
        sandbox_cmd *cmd = by(way, shell("id -u; id -g; cat /proc/self/setgroups"));
        sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
        CHECK_EQ(sandbox_cmd_on_maps(cmd, map, &maps), 0);
        well(cmd, way_names[way]);
        CHECK_STR(result.out, "4321\n4322\ndeny\n");
        CHECK_EQ(maps.calls, 1);

        maps = (struct maps){.answer = -EDOM};
        cmd = by(way, victim("act", "exit", "0", NULL));
        sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
        sandbox_cmd_on_maps(cmd, map, &maps);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EDOM, SANDBOX_STAGE_CALLBACK, 0, "on_maps");
    }
    struct maps never = {0};
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_on_maps(cmd, map, &never);
    run_well(cmd, &result); /* no user namespace, nothing to map */
    CHECK_EQ(never.calls, 0);
}

TEST(shut_out, "a host that is not dumpable, as a daemon that gave up its user, has user namespaces as any other") {
    need_userns();
    for (int way = 0; way < WAYS; way++)
        for (int again = 0; again < 2; again++) { /* the second from a plan that was compiled for another host */
            sandbox_cmd *cmd = by(way, in(AS_ROOT, shell("id -u; id -g; hostname; echo $$; cut -d. -f1 /proc/uptime")));
            sandbox_cmd_unshare(cmd, SANDBOX_NS_UTS | SANDBOX_NS_PID | SANDBOX_NS_NET | SANDBOX_NS_MOUNT | SANDBOX_NS_TIME);
            sandbox_cmd_time_offset(cmd, CLOCK_BOOTTIME, 6000000, 0);
            sandbox_cmd_hostname(cmd, "inside");
            sandbox_cmd_set(cmd, SANDBOX_OPT_LOOPBACK, 1);
            sandbox_child *child;
            sandbox_error error;
            if (again) {
                sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_NULL, -1);
                CHECK_EQ(sandbox_spawn(cmd, &child, &error), 0);
                sandbox_child_free(child);
            }
            prctl(PR_SET_DUMPABLE, 0);
            run(cmd, &result);
            CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
            prctl(PR_SET_DUMPABLE, 1);
            if (way == PRE_EXEC && !is_root()) {
                CHECK_EQ(result.result, -EACCES); /* a copy of this memory is not dumpable either */
                continue;
            }
            if (result.result < 0) FAIL("%s: %s", way_names[way], result.error.message);
            char wanted[64];
            snprintf(wanted, sizeof wanted, "0\n0\ninside\n%d\n6", way == INIT ? 2 : 1);
            if (strncmp(result.out, wanted, strlen(wanted)) != 0) FAIL("%s: %s", way_names[way], result.out);
        }
}

TEST(gave_up_its_user, "so has one that was root's") {
    if (!is_root()) SKIP("it takes root to give that up");
    CHECK(setgroups(0, NULL) == 0 && setresgid(4321, 4321, 4321) == 0 && setresuid(4321, 4321, 4321) == 0);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
    sandbox_cmd *cmd = sandbox_cmd_new("/usr/bin/id");
    sandbox_cmd_arg(cmd, "-u");
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID);
    CHECK_STR(run_well(cmd, &result), "4321\n");
}
