/* A user namespace of the child's own: whether another can be made in it. */
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
