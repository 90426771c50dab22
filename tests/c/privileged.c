/* A host that runs with privileges that its caller has not: this program, made set-user-ID by the suite. */
#include "test.h"
#include <sys/auxv.h>

static struct run result;

/* Found by a plain path: /proc/self/exe of such a process may not be read by its caller. */
static sandbox_cmd *no_op(void) { return sandbox_cmd_new("/bin/true"); }

TEST(refused, "a set-user-ID host is refused, before there is a process") {
    if (!getauxval(AT_SECURE)) SKIP("this program was not started set-user-ID");
    run(no_op(), &result);
    CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_SETUP, 0, "SANDBOX_OPT_ALLOW_PRIVILEGED_HOST");
}

TEST(allowed, "unless the option allows it") {
    if (!getauxval(AT_SECURE)) SKIP("this program was not started set-user-ID");
    sandbox_cmd *cmd = no_op();
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_ALLOW_PRIVILEGED_HOST, 1), 0);
    run_well(cmd, &result);
}
