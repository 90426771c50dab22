/* Who the program is and what it may: capabilities, user, groups, names, clocks, and namespaces that it joins. All of it
 * as the program itself reads it back, by every way to start one; and nothing of it in the host. */
#include "test.h"
#include <grp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/utsname.h>

static struct run result;

static bool is_root(void) { return has_cap(7) && has_cap(6) && has_cap(8) && has_cap(21); }

/* --- the ways to start a program --- */

enum { PLAIN, TRAMPOLINE, INIT, PRE_EXEC, FILTER, WAYS };
static const char *const way_names[WAYS] = {"plain", "trampoline", "init", "pre_exec", "filter"};

static int nothing(void *userdata) { return (void)userdata, 0; }

static sandbox_cmd *by(int way, sandbox_cmd *cmd) {
    if (way == TRAMPOLINE) sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 900);
    if (way == INIT) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    if (way == PRE_EXEC) sandbox_cmd_pre_exec(cmd, nothing, NULL);
    if (way == FILTER) {
        sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        CHECK_EQ(sandbox_filter_rule(filter, SANDBOX_ACT_NOTIFY, "swapoff", NULL, 0), 0);
        CHECK_EQ(sandbox_cmd_filter(cmd, filter), 0);
        sandbox_filter_free(filter);
    }
    return cmd;
}

static sandbox_cmd *asked(void) {
    return victim("report", "status:CapInh", "status:CapPrm", "status:CapEff", "status:CapBnd", "status:CapAmb", "status:Uid", "status:Gid",
                  "status:Groups", "death", NULL);
}

/* --- the host, which must stay what it is --- */

static char host_lines[4096];

static void look_at_host(char *lines, size_t size) {
    char line[1024];
    size_t at = (size_t)snprintf(lines, size, "dumpable %d mdwe %d securebits %#x\n", prctl(PR_GET_DUMPABLE), prctl(66, 0, 0, 0, 0), prctl(PR_GET_SECUREBITS));
    FILE *file = fopen("/proc/thread-self/status", "re");
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, "Cap", 3) || !strncmp(line, "Uid", 3) || !strncmp(line, "Gid", 3) || !strncmp(line, "Groups", 6))
            at += (size_t)snprintf(lines + at, size - at, "%s", line);
    fclose(file);
}

static void host_is_the_same(const char *when) {
    char now[sizeof host_lines];
    if (!*host_lines) look_at_host(host_lines, sizeof host_lines);
    look_at_host(now, sizeof now);
    if (strcmp(now, host_lines) != 0) FAIL("%s: the host was %s and is %s", when, host_lines, now);
}

static const char *well(sandbox_cmd *cmd, const char *what) {
    host_is_the_same("before");
    run(cmd, &result);
    host_is_the_same(what);
    if (result.result < 0) FAIL("%s: spawn gave %d: %s[%u], %s", what, result.result, sandbox_stage_name(result.error.stage), result.error.index, result.error.message);
    if (result.status.kind != SANDBOX_EXITED || result.status.code != 0) FAIL("%s: it ended with kind %u, code %d", what, result.status.kind, result.status.code);
    return result.out;
}

static void sets(const char *what, uint64_t inheritable, uint64_t permitted, uint64_t effective, uint64_t bounding, uint64_t ambient) {
    static const char *const fields[] = {"status:CapInh", "status:CapPrm", "status:CapEff", "status:CapBnd", "status:CapAmb"};
    uint64_t wanted[] = {inheritable, permitted, effective, bounding, ambient};
    for (int i = 0; i < 5; i++) {
        unsigned long long seen = strtoull(value(&result, fields[i]), NULL, 16);
        if (seen != wanted[i]) FAIL("%s: %s is %#llx, not %#llx", what, fields[i], seen, (unsigned long long)wanted[i]);
    }
}

static uint64_t own_bounding(void) {
    uint64_t set = 0;
    for (int capability = 0; capability < 64; capability++)
        if (prctl(PR_CAPBSET_READ, capability) == 1) set |= 1ULL << capability;
    return set;
}

static void need_userns(void) {
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
    run(cmd, &result);
    if (result.result < 0) SKIP("%s", result.error.message);
}

/* Which user namespace and which user inside. */
enum { NONE, OWN, AS_ROOT, AS_OTHER, SETTINGS };
static const char *const setting_names[SETTINGS] = {"no user namespace", "own ids in a user namespace", "root inside", "user 1000 inside"};

static sandbox_cmd *in(int setting, sandbox_cmd *cmd) {
    if (setting != NONE) sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
    if (setting == AS_ROOT) sandbox_cmd_map_uid(cmd, 0, geteuid(), 1), sandbox_cmd_map_gid(cmd, 0, getegid(), 1);
    if (setting == AS_OTHER) sandbox_cmd_user(cmd, 1000, 1000);
    return cmd;
}

static void each_way_and_setting(void) {
    need_userns();
    char what[200];
    for (int setting = 0; setting < SETTINGS; setting++)
        for (int way = 0; way < WAYS; way++) {
            snprintf(what, sizeof what, "%s, %s", setting_names[setting], way_names[way]);
            well(by(way, in(setting, asked())), what);
            bool can = setting != NONE || has_cap(8);
            sets(what, 0, 0, 0, can ? 0 : own_bounding(), 0);
        }
}

static void *in_thread(void *data) { return (void)data, each_way_and_setting(), NULL; }

TEST(none, "no capability is in any of the five sets, whatever the user, the namespace and the way to start") { each_way_and_setting(); }

TEST(none_in_thread, "nor in those of a child of another thread's") {
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
}

#define SOME (1ULL << 0 | 1ULL << 5 | 1ULL << 38)
#define ONE (1ULL << 5)

TEST(kept, "what is kept is in the bounding, permitted, effective and inheritable set; another uid than 0 has what is ambient") {
    need_userns();
    char what[200];
    if (!(own_bounding() >> 38 & 1)) SKIP("this process lacks CAP_PERFMON");
    for (int setting = is_root() ? NONE : OWN; setting < SETTINGS; setting++)
        for (int way = 0; way < WAYS; way++)
            for (int ambient = 0; ambient < 3; ambient++) {
                bool is_zero = setting == AS_ROOT || (setting != AS_OTHER && geteuid() == 0);
                uint64_t raised = ambient == 0 ? 0 : ambient == 1 ? ONE : SOME;
                snprintf(what, sizeof what, "%s, %s, ambient %#llx", setting_names[setting], way_names[way], (unsigned long long)raised);
                sandbox_cmd *cmd = by(way, in(setting, asked()));
                CHECK_EQ(sandbox_cmd_caps(cmd, SOME, raised), 0);
                well(cmd, what);
                sets(what, SOME, is_zero ? SOME : raised, is_zero ? SOME : raised, SOME, raised);
            }
}

TEST(all, "SANDBOX_CAPS_ALL leaves what there is; ambient too, another user's program has it all") {
    need_userns();
    uint64_t whole = own_bounding();
    for (int way = 0; way < WAYS; way++) {
        sandbox_cmd *cmd = by(way, in(AS_OTHER, asked()));
        sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, SANDBOX_CAPS_ALL);
        well(cmd, way_names[way]);
        uint64_t had = strtoull(value(&result, "status:CapBnd"), NULL, 16);
        CHECK(had >> 40 & 1);
        sets(way_names[way], had, had, had, had, had);
        cmd = by(way, asked());
        sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0);
        well(cmd, way_names[way]);
        CHECK(strtoull(value(&result, "status:CapBnd"), NULL, 16) == whole);
        CHECK((strtoull(value(&result, "status:CapEff"), NULL, 16) == whole) == is_root());
    }
}

TEST(lacking, "a capability that the process has not can't be kept: EPERM, with its name; an ambient one must be kept") {
    sandbox_cmd *cmd = asked();
    sandbox_cmd_caps(cmd, 1ULL << 63, 0);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_CAPABILITY, 63, "capability 63");
    cmd = asked();
    CHECK_EQ(sandbox_cmd_caps(cmd, 1, 3), -EINVAL);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_CAPABILITY, 0, "not kept");
    if (has_cap(12)) return;
    cmd = asked();
    sandbox_cmd_caps(cmd, 1ULL << 12, 0);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_CAPABILITY, 12, "CAP_NET_ADMIN");
}

TEST(new_privs, "with NO_NEW_PRIVS off the sets are as empty, or the spawn fails: an ordinary user can't empty its bounding set") {
    for (int way = 0; way < WAYS; way++) {
        sandbox_cmd *cmd = by(way, asked());
        sandbox_cmd_set(cmd, SANDBOX_OPT_NO_NEW_PRIVS, 0);
        if (is_root()) {
            well(cmd, way_names[way]);
            sets(way_names[way], 0, 0, 0, 0, 0);
        } else {
            run(cmd, &result);
            CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_CAPABILITY, 0, "SANDBOX_CAPS_ALL");
        }
    }
    sandbox_cmd *cmd = asked();
    sandbox_cmd_set(cmd, SANDBOX_OPT_NO_NEW_PRIVS, 0);
    sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0);
    well(cmd, "all kept");
}

TEST(securebits, "securebits hold with and without kept capabilities, and can close the ambient set behind itself") {
    if (!is_root()) SKIP("they need CAP_SETPCAP");
    for (int way = 0; way < WAYS; way++) {
        sandbox_cmd *cmd = by(way, victim("report", "securebits", "status:CapAmb", "status:CapEff", NULL));
        sandbox_cmd_set(cmd, SANDBOX_OPT_SECUREBITS, 0xc0); /* no ambient raise, locked */
        sandbox_cmd_caps(cmd, ONE, ONE);
        sandbox_cmd_user(cmd, 1234, 1234);
        well(cmd, way_names[way]);
        CHECK_EQ(number(&result, "securebits"), 0xc0);
        CHECK_EQ(strtoull(value(&result, "status:CapAmb"), NULL, 16), ONE);
        CHECK_EQ(strtoull(value(&result, "status:CapEff"), NULL, 16), ONE);
    }
}

/* --- user and groups --- */

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

/* --- names, clocks, nested namespaces --- */

static sandbox_cmd *shell(const char *script) {
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/sh");
    sandbox_cmd_args(cmd, (const char *const[]){"-c", script, NULL});
    return cmd;
}

static uint64_t allowed(uint64_t namespaces) { return has_cap(21) ? namespaces : namespaces | SANDBOX_NS_USER; }

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

/* --- any subset, new or joined --- */

static const struct {
    uint64_t bit;
    const char *file;
} kinds[] = {
    {SANDBOX_NS_USER, "user"}, {SANDBOX_NS_PID, "pid"}, {SANDBOX_NS_MOUNT, "mnt"}, {SANDBOX_NS_NET, "net"},
    {SANDBOX_NS_UTS, "uts"}, {SANDBOX_NS_IPC, "ipc"}, {SANDBOX_NS_CGROUP, "cgroup"}, {SANDBOX_NS_TIME, "time"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };
#define EVERY (SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_MOUNT | SANDBOX_NS_NET | SANDBOX_NS_UTS | SANDBOX_NS_IPC | SANDBOX_NS_CGROUP | SANDBOX_NS_TIME)

TEST(subsets, "each of the 256 subsets of new namespaces starts a program, or an ordinary user is told that it may not") {
    need_userns();
    for (unsigned subset = 0; subset < 1U << KINDS; subset += stride(3)) {
        uint64_t asked_for = 0;
        for (int i = 0; i < KINDS; i++)
            if (subset >> i & 1) asked_for |= kinds[i].bit;
        sandbox_cmd *cmd = victim("act", "exit", "3", NULL);
        sandbox_cmd_unshare(cmd, asked_for);
        run(cmd, &result);
        if (asked_for && !(asked_for & SANDBOX_NS_USER) && !has_cap(21)) {
            CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_CLONE, asked_for == SANDBOX_NS_TIME, "");
            continue;
        }
        if (result.result < 0) FAIL("%#llx: %s", (unsigned long long)asked_for, result.error.message);
        CHECK_EQ(result.status.code, 3);
    }
    host_is_the_same("after all subsets");
}

/* A child that lives in namespaces of its own until its standard input closes. */
static sandbox_child *holder(uint64_t namespaces) {
    sandbox_cmd *cmd = victim("act", "cat", NULL);
    sandbox_cmd_unshare(cmd, namespaces);
    if (namespaces & SANDBOX_NS_USER) sandbox_cmd_map_uid(cmd, 0, geteuid(), 1), sandbox_cmd_map_gid(cmd, 0, getegid(), 1);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    sandbox_cmd_free(cmd);
    return child;
}

static int namespace_of(const sandbox_child *child, const char *kind) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/%s", sandbox_child_pid(child), kind);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) FAIL("%s: %s", path, strerror(errno));
    return fd;
}

#define LIST "for n in user pid mnt net uts ipc cgroup time; do readlink /proc/self/ns/$n; done"

static void joins(uint64_t namespaces, uint64_t joined, int way) {
    char what[64], here[64], path[64], there[64], *at = result.out;
    snprintf(what, sizeof what, "joining %#llx, %s", (unsigned long long)joined, way_names[way]);
    sandbox_child *held = holder(namespaces);
    sandbox_cmd *cmd = by(way, shell(LIST));
    for (int i = KINDS - 1; i >= 0; i--) { /* in another order than the one that works */
        if (!(joined & kinds[i].bit)) continue;
        int fd = namespace_of(held, kinds[i].file);
        CHECK_EQ(sandbox_cmd_join(cmd, fd), 0);
        close(fd);
    }
    well(cmd, what);
    for (int i = 0; i < KINDS; i++, at += strcspn(at, "\n") + 1) {
        snprintf(path, sizeof path, "/proc/%d/ns/%s", sandbox_child_pid(held), kinds[i].file);
        ssize_t length = readlink(path, there, sizeof there - 1);
        there[length > 0 ? length : 0] = 0;
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i].file);
        length = readlink(path, here, sizeof here - 1);
        here[length > 0 ? length : 0] = 0;
        /* the joined mount namespace's /proc is the host's */
        const char *wanted = joined & kinds[i].bit ? there : here;
        if (strncmp(at, wanted, strlen(wanted)) != 0 || at[strlen(wanted)] != '\n') FAIL("%s: %s is %.*s, not %s", what, kinds[i].file, (int)strcspn(at, "\n"), at, wanted);
    }
    sandbox_child_free(held);
}

TEST(join_each, "each kind of namespace can be joined by fd, alone and all together, by every way to start") {
    need_userns();
    if (access("/proc/self/ns/time", F_OK) != 0) SKIP("this kernel has no time namespaces");
    for (int way = 0; way < WAYS; way++) {
        if (way == PRE_EXEC) continue; /* refused: below */
        joins(EVERY, EVERY, way);
        joins(EVERY, EVERY & ~SANDBOX_NS_PID, way);
        joins(EVERY, SANDBOX_NS_USER, way);
        for (int i = 1; i < KINDS; i++) {
            if (is_root()) joins(kinds[i].bit, kinds[i].bit, way);
            joins(SANDBOX_NS_USER | kinds[i].bit, SANDBOX_NS_USER | kinds[i].bit, way);
        }
    }
}

TEST(join_pid, "of a joined pid namespace the handle is the program's own: pid, pidfd, every status, kill, and its death with the host") {
    need_userns();
    sandbox_child *held = holder(SANDBOX_NS_USER | SANDBOX_NS_PID);
    int user = namespace_of(held, "user"), pid = namespace_of(held, "pid");
    for (int has_init = 0; has_init < 2; has_init++) {
        char text[16], path[64], link[64], stat[64];
        for (int code = 0; code < 256; code += 51) {
            snprintf(text, sizeof text, "%d", code);
            sandbox_cmd *cmd = victim("act", "exit", text, NULL);
            sandbox_cmd_join(cmd, pid), sandbox_cmd_join(cmd, user);
            sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)has_init);
            run(cmd, &result);
            if (result.result < 0) FAIL("%s", result.error.message);
            CHECK(result.status.kind == SANDBOX_EXITED && result.status.code == code);
        }
        sandbox_cmd *cmd = victim("report", "pid", "ppid", "death", "fds", NULL);
        sandbox_cmd_join(cmd, pid), sandbox_cmd_join(cmd, user);
        sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)has_init);
        well(cmd, "pid");
        CHECK(number(&result, "pid") > 1);
        CHECK_EQ(number(&result, "ppid") == 0, !has_init);
        CHECK_EQ(number(&result, "death"), SIGKILL);
        CHECK_STR(value(&result, "fds"), "0 1 2 ");

        cmd = victim("act", "cat", NULL);
        sandbox_cmd_join(cmd, pid), sandbox_cmd_join(cmd, user);
        sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)has_init);
        sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
        sandbox_child *child = spawned(cmd);
        snprintf(path, sizeof path, "/proc/%d/ns/pid", sandbox_child_pid(child));
        ssize_t length = -1; /* the kernel is not quite through with the exec when it says that the old memory is left */
        for (int round = 0; length < 0 && round < (has_init && !is_root() ? 1 : 2000); round++) {
            if (round) pause_ms(1);
            length = readlink(path, link, sizeof link - 1);
        }
        link[length > 0 ? length : 0] = 0;
        snprintf(path, sizeof path, "/proc/self/fd/%d", pid);
        length = readlink(path, stat, sizeof stat - 1);
        stat[length > 0 ? length : 0] = 0;
        if (!has_init || is_root()) CHECK_STR(link, stat); /* an ordinary user may not look at the init */
        CHECK(runs(fds_of(child).pidfd));
        sandbox_status status;
        CHECK_EQ(sandbox_child_kill(child, SIGTERM), 0);
        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
        CHECK(status.kind == SANDBOX_SIGNALED && status.code == SIGTERM);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);

        cmd = sandbox_cmd_new("/nonexistent/program");
        sandbox_cmd_join(cmd, pid), sandbox_cmd_join(cmd, user);
        sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)has_init);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_EXEC, 0, "nonexistent");
    }
    close(user), close(pid);
    sandbox_child_free(held);
    host_is_the_same("after joins");
}

TEST(join_bad, "what is no namespace, or goes with no other wish, is refused before there is a process") {
    need_userns();
    sandbox_child *held = holder(SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_NET);
    int user = namespace_of(held, "user"), pid = namespace_of(held, "pid"), net = namespace_of(held, "net"), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sandbox_cmd *cmd;
#define REFUSED(errnum, word, ...)                                                                     \
    do {                                                                                               \
        cmd = asked();                                                                                 \
        __VA_ARGS__;                                                                                   \
        run(cmd, &result);                                                                             \
        CHECK(result.error.stage == SANDBOX_STAGE_CLONE);                                              \
        CHECK_EQ(result.result, -(errnum));                                                            \
        CHECK_HAS(result.error.message, word);                                                         \
    } while (0)
    REFUSED(EBADF, "fd 999", CHECK_EQ(sandbox_cmd_join(cmd, 999), -EBADF));
    REFUSED(EINVAL, "not a namespace", CHECK_EQ(sandbox_cmd_join(cmd, null), -EINVAL));
    REFUSED(EINVAL, "a second net", sandbox_cmd_join(cmd, net); CHECK_EQ(sandbox_cmd_join(cmd, net), -EINVAL));
    REFUSED(EINVAL, "a new net", sandbox_cmd_join(cmd, net); sandbox_cmd_unshare(cmd, SANDBOX_NS_NET));
    REFUSED(EINVAL, "beside a user", sandbox_cmd_join(cmd, user); sandbox_cmd_unshare(cmd, SANDBOX_NS_NET));
    REFUSED(EINVAL, "mounts", sandbox_cmd_join(cmd, user); sandbox_cmd_unshare(cmd, 0); sandbox_cmd_tmpfs(cmd, "/tmp", 4096, 0755));
    REFUSED(EINVAL, "JOIN_USER_LAST", sandbox_cmd_join(cmd, net); sandbox_cmd_set(cmd, SANDBOX_OPT_JOIN_USER_LAST, 1));
    REFUSED(EINVAL, "a new user", sandbox_cmd_join(cmd, user); sandbox_cmd_set(cmd, SANDBOX_OPT_JOIN_USER_LAST, 1); sandbox_cmd_unshare(cmd, SANDBOX_NS_USER));
    REFUSED(EINVAL, "pre_exec", sandbox_cmd_join(cmd, net); sandbox_cmd_pre_exec(cmd, nothing, NULL));
    if (!has_cap(21)) REFUSED(EPERM, "join the net", sandbox_cmd_join(cmd, net));
    close(user), close(pid), close(net), close(null);
    sandbox_child_free(held);
}

/* --- a hostile namespace --- */

/* Root of its own user and pid namespace: seizes every newcomer, and reads where the library's memory would be. */
static void hostile(int tell) {
    for (unsigned long round = 0;; round++)
        for (pid_t pid = 2; pid < 700; pid++) {
            uint32_t word = 0;
            struct iovec here = {&word, 4}, there = {(void *)0x1000000000, 4};
            if (process_vm_readv(pid, &here, 1, &there, 1, 0) == 4 && write(tell, "read", 4) != 4) _exit(1);
            if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) {
                bool is_ours = process_vm_readv(pid, &here, 1, &there, 1, 0) == 4;
                if (write(tell, is_ours ? "held" : "late", 4) != 4) _exit(1);
                ptrace(PTRACE_INTERRUPT, pid, 0, 0);
                int status;
                if (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) ptrace(PTRACE_DETACH, pid, 0, 0);
            }
        }
}

TEST(hostile, "a process in the joined namespace that traces every newcomer never gets hold of one before its exec") {
    need_userns();
    int tell[2], gate[2];
    char byte = 0;
    unsigned uid = geteuid(), gid = getegid();
    CHECK(pipe2(tell, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(gate, O_CLOEXEC) == 0);
    pid_t outer = fork();
    if (outer == 0) {
        char map[64];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0) _exit(1);
        int fd = open("/proc/self/setgroups", O_WRONLY);
        if (write(fd, "deny", 4) != 4) _exit(1);
        fd = open("/proc/self/uid_map", O_WRONLY);
        if (write(fd, map, (size_t)snprintf(map, sizeof map, "0 %u 1", uid)) < 0) _exit(1);
        fd = open("/proc/self/gid_map", O_WRONLY);
        if (write(fd, map, (size_t)snprintf(map, sizeof map, "0 %u 1", gid)) < 0) _exit(1);
        pid_t inner = fork();
        if (inner == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            hostile(tell[1]);
        }
        if (write(gate[1], &byte, 1) != 1) _exit(1);
        waitpid(inner, NULL, 0);
        _exit(0);
    }
    CHECK_EQ(read(gate[0], &byte, 1), 1);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/user", outer);
    int user = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/ns/pid_for_children", outer);
    int pid = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(user >= 0 && pid >= 0);
    int late = 0, early = 0;
    for (int round = 0; round < scaled(300) || (late == 0 && round < 3000); round++) {
        sandbox_cmd *cmd = by(round % 3 == 2 ? INIT : PLAIN, victim("act", "exit", "0", NULL));
        CHECK(sandbox_cmd_join(cmd, pid) == 0 && sandbox_cmd_join(cmd, user) == 0);
        if (round % 2) sandbox_cmd_user(cmd, 0, 0);
        run(cmd, &result);
        if (result.result < 0) FAIL("round %d: %s", round, result.error.message);
        char said[4];
        while (read(tell[0], said, 4) == 4) memcmp(said, "late", 4) == 0 ? late++ : early++;
    }
    if (early) FAIL("%d times it had hold of the library's memory", early);
    if (!late) FAIL("it never got hold of anything: it does not attack");
    kill(outer, SIGKILL);
    CHECK_EQ(waitpid(outer, NULL, 0), outer);
    close(user), close(pid), close(tell[0]), close(tell[1]), close(gate[0]), close(gate[1]);
}
