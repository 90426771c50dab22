/* seccomp: filters, and what a program sees of them. Five programs run, each under one of another kind.
 *
 *   ./seccomp
 *
 * A filter is a default action and rules; of several rules about one system call the first that applies decides. It is
 * compiled once, when it is added to a command, and loaded in the child, last before exec. Architectures other than the
 * machine's own, x32 and 32-bit calls included, end the program unless sandbox_filter_arch adds them. */

#define _GNU_SOURCE
#include <errno.h>
#include <sandbox_spawn.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#if defined __x86_64__
#define NATIVE 0xc000003eu /* AUDIT_ARCH_X86_64 of linux/audit.h */
#else
#define NATIVE 0xc00000b7u /* AUDIT_ARCH_AARCH64 */
#endif

/* No call's result is looked at, here or below: the first that fails makes sandbox_spawn fail with its error. */
static sandbox_filter *an_error(void) {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(EROFS), "mkdir", NULL, 0); /* not on every architecture: passed over there */
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(EROFS), "mkdirat", NULL, 0);
    return filter;
}

static sandbox_filter *nothing_at_all(void) {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(0), "clock_nanosleep", NULL, 0);
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(0), "nanosleep", NULL, 0);
    return filter;
}

static sandbox_filter *by_argument(void) {
    /* The kernel takes a signal's number as an int: what stands in the register's upper half must not matter. */
    const sandbox_arg sigkill = {.index = 1, .op = SANDBOX_CMP_MASKED_EQ, .value = SIGKILL, .mask = 0xffffffff};
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(EPERM), "kill", &sigkill, 1);
    return filter;
}

static sandbox_filter *ready_made(void) {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_filter_deny(filter, SANDBOX_DENY_USER_NAMESPACES | SANDBOX_DENY_IO_URING | SANDBOX_DENY_TERMINAL_INJECTION |
                                    SANDBOX_DENY_KEYRINGS | SANDBOX_DENY_PTRACE | SANDBOX_DENY_PERF | SANDBOX_DENY_BPF);
    return filter;
}

static sandbox_filter *deadly(void) {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_filter_rule(filter, SANDBOX_ACT_KILL_PROCESS, "uname", NULL, 0);
    return filter;
}

static const struct {
    const char *what;
    sandbox_filter *(*make)(void);
    const char *script;
} cases[] = {
    {"mkdir fails as on a read-only file system", an_error, "mkdir new-directory"},
    {"sleep's call is not made and returns 0", nothing_at_all, "sleep 1000 && echo 'slept 1000 seconds'"},
    {"kill fails with SIGKILL, and works with others", by_argument, "kill -KILL $$; echo 'still here'; kill -TERM $$"},
    {"ready-made: no user namespace, io_uring, keyring, ...", ready_made, "unshare --user true"},
    {"uname ends the program", deadly, "exec uname"},
};

static void run(sandbox_filter *filter, const char *script) {
    sandbox_error error;
    sandbox_child *child;
    sandbox_status status;
    const char *const args[] = {"-c", script, NULL};
    sandbox_cmd *cmd = sandbox_cmd_new("sh");
    sandbox_cmd_args(cmd, args);
    sandbox_cmd_env(cmd, "LC_ALL", "C");
    sandbox_cmd_filter(cmd, filter); /* several would stack: the strictest answer holds */
    printf("   $ %s\n", script);
    fflush(stdout);
    if (sandbox_spawn(cmd, &child, &error) < 0) {
        printf("   not started: %s: %s\n", sandbox_stage_name(error.stage), error.message);
    } else {
        sandbox_child_wait(child, -1, &status, sizeof status);
        printf("   %s %d", status.kind == SANDBOX_EXITED ? "exit code" : "signal", status.code);
        if (status.cause == SANDBOX_CAUSE_FILTER)
            printf(": ended by the filter, system call %lld", (long long)status.syscall); /* -1: not known */
        printf("\n");
        sandbox_child_free(child);
    }
    sandbox_cmd_free(cmd);
}

/* What the kernel would do, without asking it: no process is started. */
static void simulate(sandbox_filter *filter, int signal) {
    sandbox_syscall call = {.arch = NATIVE, .nr = SYS_kill, .args = {1, (uint64_t)signal}};
    uint32_t action;
    if (sandbox_filter_simulate(filter, &call, &action) == 0)
        printf("   kill(1, %d): %s\n", signal, action == SANDBOX_ACT_ALLOW ? "allowed" : action == SANDBOX_ACT_ERRNO(EPERM) ? "EPERM" : "?");
}

int main(void) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sandbox_filter *filter = cases[i].make();
        printf("%zu. %s\n", i + 1, cases[i].what);
        run(filter, cases[i].script);
        sandbox_filter_free(filter); /* the command kept what it needed */
    }
    printf("The third filter, simulated:\n");
    sandbox_filter *filter = by_argument();
    simulate(filter, SIGKILL);
    simulate(filter, SIGTERM);
    sandbox_filter_free(filter);
}
