/* Capabilities: what is in each of the five sets, as the program itself reads it back, by every way to start one; and
 * nothing of it in the host. */
#include "identity.h"

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

TEST(all_kept_ambient, "SANDBOX_CAPS_ALL as the ambient ones are all that are kept") {
    need_userns();
    for (int way = 0; way < WAYS; way++) {
        sandbox_cmd *cmd = by(way, in(AS_OTHER, asked()));
        CHECK_EQ(sandbox_cmd_caps(cmd, ONE, SANDBOX_CAPS_ALL), 0);
        well(cmd, way_names[way]);
        sets(way_names[way], ONE, ONE, ONE, ONE, ONE);
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

TEST(not_inheritable, "with NOT_INHERITABLE what is kept is not inheritable; unless some is ambient, which must be") {
    need_userns();
    if (!(own_bounding() >> 38 & 1)) SKIP("this process lacks CAP_PERFMON");
    for (int way = 0; way < WAYS; way++)
        for (int is_ambient = 0; is_ambient < 2; is_ambient++) {
            uint64_t ambient = is_ambient ? ONE : 0;
            sandbox_cmd *cmd = by(way, in(AS_ROOT, asked()));
            CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_NOT_INHERITABLE, 1), 0);
            sandbox_cmd_caps(cmd, SOME, ambient);
            well(cmd, way_names[way]);
            sets(way_names[way], is_ambient ? SOME : 0, SOME, SOME, SOME, ambient);
        }
}
