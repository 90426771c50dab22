/* Runs a program on a kernel with an older Landlock: what the older ABI lacks is refused as that kernel would, by way of
 * the library's own supervisor.
 *   older ABI program argument... */
#define _GNU_SOURCE
#include <errno.h>
#include <sandbox_spawn.h>
#include <stdio.h>
#include <stdlib.h>

static long abi;

static uint64_t known(int kind) {
    static const uint64_t fs[] = {0, 0x1fff, 0x3fff, 0x7fff, 0x7fff};
    if (kind == 0) return abi < 5 ? fs[abi] : 0xffff;
    return kind == 1 ? (abi >= 4 ? 3 : 0) : (abi >= 6 ? 3 : 0);
}

static int create_ruleset(sandbox_notify *n, void *unused) {
    (void)unused;
    sandbox_syscall call;
    uint64_t attr[3] = {0, 0, 0};
    sandbox_notify_call(n, &call, sizeof call);
    if (abi == 0) return sandbox_notify_errno(n, EOPNOTSUPP);
    if (call.args[2] == 1) return sandbox_notify_return(n, abi);
    size_t size = call.args[1] < sizeof attr ? call.args[1] : sizeof attr, own = abi < 4 ? 8 : abi < 6 ? 16 : 24;
    if (call.args[2] || sandbox_notify_read(n, call.args[0], attr, size) < 0) return sandbox_notify_errno(n, EINVAL);
    for (size_t i = 0; i < 3; i++) {
        if (attr[i] && i * 8 >= own) return sandbox_notify_errno(n, E2BIG);
        if (attr[i] & ~known((int)i)) return sandbox_notify_errno(n, EINVAL);
    }
    return sandbox_notify_continue_unsafe(n); /* a test's program: it changes nothing meanwhile */
}

static int add_rule(sandbox_notify *n, void *unused) {
    (void)unused;
    sandbox_syscall call;
    sandbox_notify_call(n, &call, sizeof call);
    if (abi == 0) return sandbox_notify_errno(n, EOPNOTSUPP);
    return call.args[1] == 2 && abi < 4 ? sandbox_notify_errno(n, EINVAL) : sandbox_notify_continue_unsafe(n);
}

static int restrict_self(sandbox_notify *n, void *unused) {
    (void)unused;
    sandbox_syscall call;
    sandbox_notify_call(n, &call, sizeof call);
    if (abi == 0) return sandbox_notify_errno(n, EOPNOTSUPP);
    return call.args[1] && abi < 7 ? sandbox_notify_errno(n, EINVAL) : sandbox_notify_continue_unsafe(n);
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: older ABI program argument...\n"), 125;
    abi = atol(argv[1]);
    static const char *const calls[] = {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"};
    static const sandbox_notify_fn handlers[] = {create_ruleset, add_rule, restrict_self};
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    for (int i = 0; i < 3; i++) sandbox_filter_rule(filter, SANDBOX_ACT_NOTIFY, calls[i], NULL, 0);
    sandbox_cmd *cmd = sandbox_cmd_new(argv[2]);
    sandbox_cmd_args(cmd, (const char *const *)argv + 3);
    sandbox_cmd_set(cmd, SANDBOX_OPT_NEW_SESSION, 0);
    sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0); /* the program is who this one is */
    sandbox_cmd_filter(cmd, filter);
    sandbox_error error;
    sandbox_child *child;
    sandbox_status status;
    if (sandbox_spawn(cmd, &child, &error) < 0) return fprintf(stderr, "older: %s\n", error.message), 125;
    sandbox_supervisor *supervisor = sandbox_supervisor_new(child);
    for (int i = 0; i < 3; i++) sandbox_supervisor_on(supervisor, calls[i], handlers[i], NULL);
    int ran = sandbox_supervisor_run(supervisor);
    if (ran < 0) return fprintf(stderr, "older: the supervisor ended with %d\n", ran), 125;
    sandbox_child_wait(child, -1, &status, sizeof status);
    sandbox_supervisor_free(supervisor);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    sandbox_filter_free(filter);
    return status.kind == SANDBOX_EXITED ? status.code : 128 + status.code;
}
