/* What the tests of filters share: filters and calls in few words, and a supervisor made of bare ioctls, so that the
 * library's own is no part of what is tested. */
#ifndef SECCOMP_H
#define SECCOMP_H
#include "test.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>

#if defined __x86_64__
#define NATIVE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define NATIVE AUDIT_ARCH_AARCH64
#endif
#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif
#ifndef SECCOMP_USER_NOTIF_FLAG_CONTINUE
#define SECCOMP_USER_NOTIF_FLAG_CONTINUE 1
#endif

/* No call's own result: a 33 comes from a filter. */
#define DENIED SANDBOX_ACT_ERRNO(EDOM)

/* "NR,arg,arg": a word for the victim "raw". */
__attribute__((format(printf, 1, 2))) UNUSED static const char *word(const char *format, ...) {
    static __thread char words[8][160];
    static __thread int next;
    char *text = words[next++ & 7];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof words[0], format, list);
    va_end(list);
    return text;
}

#define WORD(number) word("%d", (int)(number))

/* The victim "raw"; a core dump of it would be in the way. */
UNUSED static sandbox_cmd *raw(void) {
    sandbox_cmd *cmd = victim("raw", NULL);
    sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
    return cmd;
}

/* A filter of `otherwise` with one rule. */
UNUSED static sandbox_filter *filter_of(uint32_t otherwise, uint32_t action, const char *syscall) {
    sandbox_filter *filter = sandbox_filter_new(otherwise);
    if (syscall) CHECK_EQ(sandbox_filter_rule(filter, action, syscall, NULL, 0), 0);
    return filter;
}

/* Adds the filter and frees it: the command keeps what it needs. */
UNUSED static void add(sandbox_cmd *cmd, sandbox_filter *filter) {
    int result = sandbox_cmd_filter(cmd, filter);
    sandbox_error error;
    sandbox_cmd_error(cmd, &error);
    if (result < 0) FAIL("the filter was refused: %d, %s", result, error.message);
    sandbox_filter_free(filter);
}

UNUSED static uint32_t simulated(const sandbox_filter *filter, sandbox_syscall call) {
    uint32_t action = 1;
    CHECK_EQ(sandbox_filter_simulate(filter, &call, &action), 0);
    return action;
}

/* The n-th of the results that "raw" wrote. */
UNUSED static const char *result_text(const struct run *run, int n) {
    static __thread char text[64];
    const char *at = run->out;
    for (; n > 0 && *at; n--) at += strcspn(at, " "), at += *at == ' ';
    snprintf(text, sizeof text, "%.*s", (int)strcspn(at, " "), at);
    return text;
}

UNUSED static long result_of(const struct run *run, int n) {
    const char *text = result_text(run, n);
    if (!*text || *text == 'T') FAIL("no result %d in \"%s\"", n, run->out);
    return strtol(text, NULL, 10);
}

/* --- a supervisor --- */

struct supervisor {
    int listener;
    int error;      /* the answer: -errno; 1: continue */
    int count;      /* notifications received */
    int first;      /* the first one's number; -1: none */
    int per_call[600];
    pthread_t thread;
};

/* Receives one; false where the last target is gone. */
UNUSED static bool receive(int listener, struct seccomp_notif *notification) {
    for (;;) {
        struct pollfd ready = {listener, POLLIN, 0};
        if (poll(&ready, 1, -1) < 0) continue;
        if (!(ready.revents & POLLIN)) return false;
        memset(notification, 0, sizeof *notification);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, notification) == 0) return true;
        if (errno != ENOENT && errno != EINTR) return false;
    }
}

/* Answers: `error` -errno, 0 for success, 1 to continue. */
UNUSED static int answer(int listener, uint64_t id, int error) {
    struct seccomp_notif_resp response = {id, 0, error < 0 ? error : 0, error == 1 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0};
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

UNUSED static void *supervise(void *data) {
    struct supervisor *supervisor = data;
    struct seccomp_notif notification;
    while (receive(supervisor->listener, &notification)) {
        if (supervisor->count++ == 0) supervisor->first = notification.data.nr;
        if (notification.data.nr >= 0 && notification.data.nr < 600) supervisor->per_call[notification.data.nr]++;
        answer(supervisor->listener, notification.id, supervisor->error);
    }
    return NULL;
}

/* Spawns, serves what is notified with `error`, reads the output, waits. Without a listener it is `run`. */
UNUSED static void run_supervised(sandbox_cmd *cmd, struct run *run, struct supervisor *supervisor, int error) {
    sandbox_child *child;
    memset(run, 0, sizeof *run);
    *supervisor = (struct supervisor){.listener = -1, .error = error, .first = -1};
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    run->result = sandbox_spawn(cmd, &child, &run->error);
    sandbox_cmd_free(cmd);
    if (run->result < 0) return;
    run->pid = sandbox_child_pid(child);
    supervisor->listener = sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP);
    if (supervisor->listener >= 0) pthread_create(&supervisor->thread, NULL, supervise, supervisor);
    run->result = sandbox_child_wait_exec(child, -1, &run->error);
    drain(fds_of(child).stdout_fd, run->out, sizeof run->out);
    int waited = sandbox_child_wait(child, -1, &run->status, sizeof run->status);
    if (waited != run->result) FAIL("wait_exec gave %d, wait %d", run->result, waited);
    sandbox_child_free(child);
    if (supervisor->listener >= 0) {
        pthread_join(supervisor->thread, NULL);
        close(supervisor->listener);
    }
}

/* --- what the kernel holds, for root on a kernel that tells --- */

/* strace, or another debugger, has this process: then nobody else can have what it starts. */
UNUSED static bool is_traced(void) {
    char line[256];
    int tracer = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status)) sscanf(line, "TracerPid: %d", &tracer);
    if (status) fclose(status);
    return tracer != 0;
}

/* Only who may read a loaded filter, and may trace, can see what the kernel holds. */
UNUSED static void need_to_see_filters(void) {
    if (!has_cap(21)) SKIP("only CAP_SYS_ADMIN may read a loaded filter");
    if (is_traced()) SKIP("this process is traced");
}

/* Waits for a traced child's next stop, and gives its status. */
UNUSED static int next_stop(pid_t pid) {
    int status = 0;
    pid_t stopped;
    while ((stopped = waitpid(pid, &status, __WALL)) < 0 && errno == EINTR) {}
    if (stopped != pid) FAIL("waitpid gave %d (%s)", stopped, strerror(errno));
    return status;
}

#define AT_EXEC (SIGTRAP | PTRACE_EVENT_EXEC << 8)

/* The n-th filter of a stopped tracee, the oldest is 0; its length, 0 where there is none. */
UNUSED static int loaded_filter(pid_t pid, int n, struct sock_filter *instructions) {
    long count = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, (void *)(long)n, instructions);
    if (count < 0 && errno != ENOENT) SKIP("PTRACE_SECCOMP_GET_FILTER: %s", strerror(errno));
    return count < 0 ? 0 : (int)count;
}

/* The compiled instructions of a filter; their number. */
UNUSED static int exported(const sandbox_filter *filter, struct sock_filter *instructions) {
    int fd = memfd_create("filter", MFD_CLOEXEC), count = sandbox_filter_export(filter, fd);
    if (count < 0 || count > 4096) FAIL("export gave %d", count);
    CHECK_EQ(pread(fd, instructions, 4096 * sizeof *instructions, 0), count * (int)sizeof *instructions);
    close(fd);
    return count;
}

#endif
