/* A user namespace of the child's own: whether another can be made in it, and who maps its ids. */
#include "identity.h"

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
