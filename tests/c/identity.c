/* User, group and groups, as the program itself reads them back, by every way to start one; and nothing of it in the
 * host. */
#include "identity.h"
#include <grp.h>
#include <sys/uio.h>

static void ids_are(unsigned uid, unsigned gid, const char *groups, const char *what) {
    char text[100];
    snprintf(text, sizeof text, "%u\t%u\t%u\t%u", uid, uid, uid, uid);
    if (strcmp(value(&result, "status:Uid"), text) != 0) FAIL("%s: uids %s, not %u", what, value(&result, "status:Uid"), uid);
    snprintf(text, sizeof text, "%u\t%u\t%u\t%u", gid, gid, gid, gid);
    if (strcmp(value(&result, "status:Gid"), text) != 0) FAIL("%s: gids %s, not %u", what, value(&result, "status:Gid"), gid);
    snprintf(text, sizeof text, "%s", value(&result, "status:Groups"));
    for (size_t end = strlen(text); end && text[end - 1] == ' '; end--) text[end - 1] = 0;
    if (groups && strcmp(text, groups) != 0) FAIL("%s: groups \"%s\", not \"%s\"", what, text, groups);
}

TEST(user, "user, group and groups are the ones asked for, all ids of each, by every way to start; the death signal survives") {
    if (!is_root()) SKIP("only root can become another");
    gid_t own[] = {17, 18, 19};
    CHECK_EQ(setgroups(3, own), 0);
    for (int way = 0; way < WAYS; way++) {
        sandbox_cmd *cmd = by(way, asked());
        sandbox_cmd_user(cmd, 1234, 2345);
        well(cmd, way_names[way]);
        ids_are(1234, 2345, "", way_names[way]);
        CHECK_EQ(number(&result, "death"), SIGKILL);
        cmd = by(way, asked());
        sandbox_cmd_user(cmd, 1234, 2345);
        sandbox_cmd_groups(cmd, (const uint32_t[]){7, 5, 6}, 3);
        well(cmd, way_names[way]);
        ids_are(1234, 2345, "5 6 7", way_names[way]);
        cmd = by(way, asked());
        sandbox_cmd_groups(cmd, (const uint32_t[]){5}, 1);
        well(cmd, way_names[way]);
        ids_are(0, 0, "5", way_names[way]);
        cmd = by(way, asked());
        sandbox_cmd_user(cmd, 0, 0);
        well(cmd, way_names[way]);
        ids_are(0, 0, "", way_names[way]);
    }
    well(asked(), "neither");
    ids_are(0, 0, "17 18 19", "neither");
}

TEST(mapped_user, "a user of the child's own namespace: the caller outside; or one of the ids that root maps") {
    need_userns();
    for (int way = 0; way < WAYS; way++) {
        well(by(way, in(AS_OTHER, asked())), way_names[way]);
        ids_are(1000, 1000, has_cap(6) ? "" : NULL, way_names[way]);
        sandbox_cmd *cmd = by(way, in(AS_ROOT, asked()));
        sandbox_cmd_user(cmd, 0, 0);
        well(cmd, way_names[way]);
        ids_are(0, 0, has_cap(6) ? "" : NULL, way_names[way]);
        if (!is_root()) continue;
        cmd = by(way, asked());
        sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
        sandbox_cmd_map_uid(cmd, 0, 100000, 1000), sandbox_cmd_map_gid(cmd, 0, 200000, 10), sandbox_cmd_map_gid(cmd, 10, 100000, 10);
        sandbox_cmd_user(cmd, 33, 0);
        sandbox_cmd_groups(cmd, (const uint32_t[]){1, 12, 3}, 3); /* which the kernel orders otherwise */
        well(cmd, way_names[way]);
        ids_are(33, 0, NULL, way_names[way]);
        const char *groups = value(&result, "status:Groups");
        CHECK(strlen(groups) >= 6 && strstr(groups, "12") && strchr(groups, '3'));
    }
    char text[8000];
    sandbox_cmd *cmd = in(AS_OTHER, asked());
    CHECK(sandbox_cmd_explain(cmd, text, sizeof text, NULL) > 0);
    if (strstr(text, "trampoline")) FAIL("ids that need no change cost a trampoline: %s", text);
    sandbox_cmd_free(cmd);
}

TEST(refused_ids, "ids that can't be had fail the spawn, stage IDENTITY, and nobody runs with half of them") {
    need_userns();
    sandbox_cmd *cmd;
    if (!is_root()) {
        cmd = asked();
        sandbox_cmd_user(cmd, 0, 0);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_IDENTITY, 0, "CAP_SETUID");
        cmd = in(AS_OTHER, asked());
        sandbox_cmd_groups(cmd, (const uint32_t[]){1000}, 1);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_IDENTITY, 0, "setgroups is denied");
        cmd = asked();
        sandbox_cmd_groups(cmd, NULL, 0);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_IDENTITY, 0, "0 supplementary groups");
    }
    cmd = in(AS_ROOT, asked());
    sandbox_cmd_user(cmd, 4, 0); /* not mapped */
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_IDENTITY, 0, "user 4");
    host_is_the_same("after refusals");
}

TEST(ranges, "an ordinary user's ranges of ids are mapped by newuidmap and newgidmap; without a grant the error says so") {
    need_userns();
    if (is_root()) SKIP("root maps what it likes by itself");
    const char *granted = getenv("SUBORDINATE_IDS"); /* the suite's: "first count" */
    unsigned first = 700000, count = 5000;
    if (granted) CHECK_EQ(sscanf(granted, "%u %u", &first, &count), 2);
    for (int way = 0; way < WAYS; way++) {
        sandbox_cmd *cmd = by(way, asked());
        sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
        sandbox_cmd_map_uid(cmd, 0, geteuid(), 1), sandbox_cmd_map_gid(cmd, 0, getegid(), 1);
        sandbox_cmd_map_uid(cmd, 1, first, count), sandbox_cmd_map_gid(cmd, 1, first, count);
        sandbox_cmd_user(cmd, 33, 34);
        sandbox_cmd_groups(cmd, (const uint32_t[]){44, 0}, 2);
        if (granted) {
            well(cmd, way_names[way]);
            ids_are(33, 34, NULL, way_names[way]);
            CHECK_HAS(value(&result, "status:Groups"), "44");
            sets(way_names[way], 0, 0, 0, 0, 0);
            continue;
        }
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_USERNS, 0, access("/usr/bin/newuidmap", X_OK) == 0 ? "/etc/subuid grants it no range" : "not installed");
    }
    sandbox_cmd *cmd = asked();
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
    sandbox_cmd_map_uid(cmd, 0, first, count + 1);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_USERNS, 0, granted ? "other ranges" : "ordinary user");
    host_is_the_same("after maps");
}

TEST(changed_host, "a host that changes its own ids between two spawns of one command is still left alone") {
    if (!is_root()) SKIP("only root can change its ids");
    sandbox_cmd *cmd = asked();
    sandbox_child *child;
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_NULL, -1);
    sandbox_cmd_user(cmd, 0, 0);
    for (int round = 0; round < 2; round++) {
        sandbox_child_free(spawned(cmd));
        CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
        if (round == 0) CHECK_EQ(setresuid(0, 0, 1234), 0);
        prctl(PR_SET_DUMPABLE, 1);
    }
    CHECK_EQ(setresuid(1234, 1234, 1234), 0);
    prctl(PR_SET_DUMPABLE, 1);
    sandbox_error error;
    int result = sandbox_spawn(cmd, &child, &error);
    CHECK_ERROR(result, error, EPERM, SANDBOX_STAGE_IDENTITY, 0, "CAP_SETUID");
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    sandbox_cmd_free(cmd);
}

TEST(untraced, "before its exec no process of the program's user can attach to it") {
    if (!is_root()) SKIP("only root can become another");
    int tell[2];
    CHECK_EQ(pipe2(tell, O_CLOEXEC | O_NONBLOCK), 0);
    pid_t attacker = fork();
    if (attacker == 0) {
        CHECK(setresgid(4321, 4321, 4321) == 0 && setresuid(4321, 4321, 4321) == 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (pid_t base = getpid();;)
            for (pid_t pid = base + 1; pid < base + 400; pid++) { /* the trampoline's block, in memory of its own */
                uint32_t word = 0;
                struct iovec here = {&word, 4}, there = {(void *)0x1000000000, 4};
                if (process_vm_readv(pid, &here, 1, &there, 1, 0) == 4 && write(tell[1], &word, 4) != 4) _exit(1);
            }
    }
    for (int round = 0; round < 150; round++) {
        sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
        sandbox_cmd_user(cmd, 4321, 4321);
        well(cmd, "attacked");
    }
    uint32_t word = 0;
    if (read(tell[0], &word, 4) == 4) FAIL("its memory was read: %#x", word);
    kill(attacker, SIGKILL);
    CHECK_EQ(waitpid(attacker, NULL, 0), attacker);
    close(tell[0]), close(tell[1]);
}
