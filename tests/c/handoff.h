/* The ways to start the victim "raw" that the tests of the listener's hand-off share. */
#ifndef HANDOFF_H
#define HANDOFF_H
#include "seccomp.h"

static struct run result;

UNUSED static int nothing(void *data) { return (void)data, 0; }

UNUSED static void oom(sandbox_cmd *cmd) { sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 900); }
/* By way of the trampoline also from a host that is not dumpable: its own /proc files are root's. */
UNUSED static void mdwe(sandbox_cmd *cmd) { sandbox_cmd_set(cmd, SANDBOX_OPT_MDWE, 1), sandbox_cmd_set(cmd, SANDBOX_OPT_ALLOW_NO_MDWE, 1); }
UNUSED static void init(sandbox_cmd *cmd) { sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1); }
UNUSED static void pre_exec(sandbox_cmd *cmd) { sandbox_cmd_pre_exec(cmd, nothing, NULL); }
UNUSED static void pids(sandbox_cmd *cmd) { sandbox_cmd_unshare(cmd, SANDBOX_NS_PID | (has_cap(21) ? 0 : SANDBOX_NS_USER)); }
UNUSED static void init_of_pids(sandbox_cmd *cmd) { pids(cmd), init(cmd); }
UNUSED static void pre_exec_and_init(sandbox_cmd *cmd) { pre_exec(cmd), init(cmd); }

static void (*start)(sandbox_cmd *);

/* "raw" as this way of starting has it. */
UNUSED static sandbox_cmd *started(void) {
    sandbox_cmd *cmd = raw();
    if (start) start(cmd);
    return cmd;
}

/* Skips where the way itself can't be gone here. */
UNUSED static void needs_start(void) {
    run(started(), &result);
    if (result.result == -EPERM || result.result == -EACCES || result.result == -ENOSPC) SKIP("%s", result.error.message);
    CHECK_EQ(result.result, 0);
}

#endif
