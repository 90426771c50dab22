/* What the tests of identity, capabilities and user namespaces share: every way to start a program, a look at what it is,
 * and at the host, of which nothing may change. */
#ifndef IDENTITY_H
#define IDENTITY_H
#include "test.h"

static struct run result;

UNUSED static bool is_root(void) { return has_cap(7) && has_cap(6) && has_cap(8) && has_cap(21); }

/* --- the ways to start a program --- */

enum { PLAIN, TRAMPOLINE, INIT, PRE_EXEC, FILTER, WAYS };
static const char *const way_names[WAYS] = {"plain", "trampoline", "init", "pre_exec", "filter"};

UNUSED static int nothing(void *userdata) { return (void)userdata, 0; }

UNUSED static sandbox_cmd *by(int way, sandbox_cmd *cmd) {
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

UNUSED static sandbox_cmd *asked(void) {
    return victim("report", "status:CapInh", "status:CapPrm", "status:CapEff", "status:CapBnd", "status:CapAmb", "status:Uid", "status:Gid",
                  "status:Groups", "death", NULL);
}

/* --- the host, which must stay what it is --- */

static char host_lines[4096];

UNUSED static void look_at_host(char *lines, size_t size) {
    char line[1024];
    size_t at = (size_t)snprintf(lines, size, "dumpable %d mdwe %d securebits %#x\n", prctl(PR_GET_DUMPABLE), prctl(66, 0, 0, 0, 0), prctl(PR_GET_SECUREBITS));
    FILE *file = fopen("/proc/thread-self/status", "re");
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, "Cap", 3) || !strncmp(line, "Uid", 3) || !strncmp(line, "Gid", 3) || !strncmp(line, "Groups", 6))
            at += (size_t)snprintf(lines + at, size - at, "%s", line);
    fclose(file);
}

UNUSED static void host_is_the_same(const char *when) {
    char now[sizeof host_lines];
    if (!*host_lines) look_at_host(host_lines, sizeof host_lines);
    look_at_host(now, sizeof now);
    if (strcmp(now, host_lines) != 0) FAIL("%s: the host was %s and is %s", when, host_lines, now);
}

UNUSED static const char *well(sandbox_cmd *cmd, const char *what) {
    host_is_the_same("before");
    run(cmd, &result);
    host_is_the_same(what);
    if (result.result < 0) FAIL("%s: spawn gave %d: %s[%u], %s", what, result.result, sandbox_stage_name(result.error.stage), result.error.index, result.error.message);
    if (result.status.kind != SANDBOX_EXITED || result.status.code != 0) FAIL("%s: it ended with kind %u, code %d", what, result.status.kind, result.status.code);
    return result.out;
}

UNUSED static void sets(const char *what, uint64_t inheritable, uint64_t permitted, uint64_t effective, uint64_t bounding, uint64_t ambient) {
    static const char *const fields[] = {"status:CapInh", "status:CapPrm", "status:CapEff", "status:CapBnd", "status:CapAmb"};
    uint64_t wanted[] = {inheritable, permitted, effective, bounding, ambient};
    for (int i = 0; i < 5; i++) {
        unsigned long long seen = strtoull(value(&result, fields[i]), NULL, 16);
        if (seen != wanted[i]) FAIL("%s: %s is %#llx, not %#llx", what, fields[i], seen, (unsigned long long)wanted[i]);
    }
}

UNUSED static uint64_t own_bounding(void) {
    uint64_t set = 0;
    for (int capability = 0; capability < 64; capability++)
        if (prctl(PR_CAPBSET_READ, capability) == 1) set |= 1ULL << capability;
    return set;
}

UNUSED static void need_userns(void) {
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
    run(cmd, &result);
    if (result.result < 0) SKIP("%s", result.error.message);
}

/* Which user namespace and which user inside. */
enum { NONE, OWN, AS_ROOT, AS_OTHER, SETTINGS };
static const char *const setting_names[SETTINGS] = {"no user namespace", "own ids in a user namespace", "root inside", "user 1000 inside"};

UNUSED static sandbox_cmd *in(int setting, sandbox_cmd *cmd) {
    if (setting != NONE) sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
    if (setting == AS_ROOT) sandbox_cmd_map_uid(cmd, 0, geteuid(), 1), sandbox_cmd_map_gid(cmd, 0, getegid(), 1);
    if (setting == AS_OTHER) sandbox_cmd_user(cmd, 1000, 1000);
    return cmd;
}

UNUSED static sandbox_cmd *shell(const char *script) {
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/sh");
    sandbox_cmd_args(cmd, (const char *const[]){"-c", script, NULL});
    return cmd;
}

UNUSED static uint64_t allowed(uint64_t namespaces) { return has_cap(21) ? namespaces : namespaces | SANDBOX_NS_USER; }

#endif
