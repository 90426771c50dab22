/* Times of one system call that somebody else decides: by notification, in the least that bare C can do and through the
 * library's supervisor; by ptrace, for comparison. The program that calls is this one, started by the library, so that
 * only the answering differs; it takes the times itself. */
#define _GNU_SOURCE
#include "bench.h"
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* Few at a time, many times: most of such short runs find a processor of their own, even on a busy machine. */
enum { WARM_UP = 50, CALLS = 300, ANSWER = 42 };

/* One start of the calling program: what it is to do, and what it found. */
struct order {
    int count;
    int answer; /* of the last call */
    double elapsed_us;
};
static struct order *order;
static int order_fd = -1;

int calls_target(int fd) {
    struct order *mine = mmap(NULL, sizeof *mine, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mine == MAP_FAILED) {
        return 1;
    }
    for (int i = 0; i < WARM_UP; i++) {
        syscall(SYS_getppid);
    }
    double before = now_us();
    long answer = 0;
    for (int i = 0; i < mine->count; i++) {
        answer = syscall(SYS_getppid);
    }
    mine->elapsed_us = now_us() - before;
    mine->answer = (int)answer;
    return 0;
}

/* Those who answer, until the program has made all its calls. */

static int let_alone(sandbox_child *child) {
    (void)child;
    return 0;
}

static int receive_and_send(int listener, bool polls) {
    for (int left = order->count + WARM_UP; left > 0;) {
        struct seccomp_notif request = {0};
        struct pollfd pending = {.fd = listener, .events = POLLIN};
        if (polls && poll(&pending, 1, -1) < 0 && errno != EINTR) {
            return -errno;
        }
        if (pending.revents & POLLHUP) {
            return -ESRCH;
        }
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0) {
            if (errno != EINTR && errno != ENOENT) {
                return -errno;
            }
            continue;
        }
        struct seccomp_notif_resp answer = {.id = request.id, .val = ANSWER};
        left--;
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 && errno != ENOENT) {
            return -errno;
        }
    }
    return 0;
}

static int bare(sandbox_child *child, bool polls, bool synchronous) {
    int listener = sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP);
    if (listener < 0) {
        return listener;
    }
    if (synchronous) { /* where the kernel lacks it, the library does without it too */
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    }
    int result = receive_and_send(listener, polls);
    close(listener);
    return result;
}

static int bare_loop(sandbox_child *child) {
    return bare(child, false, true);
}

static int bare_polling(sandbox_child *child) {
    return bare(child, true, true);
}

static int bare_asynchronous(sandbox_child *child) {
    return bare(child, false, false);
}

static int answer_by_value(sandbox_notify *n, void *userdata) {
    (void)userdata;
    return sandbox_notify_return(n, ANSWER);
}

static int supervise(sandbox_child *child, int (*loop)(sandbox_supervisor *sup)) {
    sandbox_supervisor *sup = sandbox_supervisor_new(child);
    if (!sup) {
        return -EBADF;
    }
    int result = sandbox_supervisor_on(sup, "getppid", answer_by_value, NULL);
    result = result < 0 ? result : loop(sup);
    sandbox_supervisor_free(sup);
    return result;
}

static int supervised(sandbox_child *child) {
    return supervise(child, sandbox_supervisor_run);
}

/* As in a host with an event loop. */
static int loop_of_host(sandbox_supervisor *sup) {
    for (;;) {
        struct pollfd pending = {.fd = sandbox_supervisor_fd(sup), .events = POLLIN};
        if (poll(&pending, 1, -1) < 0 && errno != EINTR) {
            return -errno;
        }
        int answered = sandbox_supervisor_dispatch(sup, 0);
        if (answered < 0 || (answered == 0 && sandbox_supervisor_ended(sup))) {
            return answered;
        }
    }
}

static int dispatched(sandbox_child *child) {
    return supervise(child, loop_of_host);
}

/* As a tracer must that wants to know the call: stopped, looked at, let go. */
static int trace(sandbox_child *child, int go_on) {
    pid_t pid = sandbox_child_pid(child);
    for (;;) {
        int status;
        struct __ptrace_syscall_info info;
        if (waitpid(pid, &status, __WALL) < 0) {
            return errno == ECHILD ? 0 : -errno;
        }
        if (!WIFSTOPPED(status)) {
            return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECANCELED;
        }
        bool is_call = WSTOPSIG(status) == (SIGTRAP | 0x80) || status >> 16 == PTRACE_EVENT_SECCOMP;
        if (is_call && ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) < 0) {
            return -errno;
        }
        ptrace(go_on, pid, NULL, NULL);
    }
}

static int trace_all(sandbox_child *child) {
    return trace(child, PTRACE_SYSCALL);
}

static int trace_filtered(sandbox_child *child) {
    return trace(child, PTRACE_CONT);
}

enum { NO_FILTER, ALLOWED, NOTIFIED, TRACED, BY_PTRACE };

struct answer answers[] = {
    {.key = "alone", .title = "no filter", .serve = let_alone, .kind = NO_FILTER},
    {.key = "allowed", .title = "allowed by the 300-rule filter", .serve = let_alone, .kind = ALLOWED},
    {.key = "bare", .title = "notified: bare C, RECV and SEND", .serve = bare_loop, .kind = NOTIFIED},
    {.key = "bare_poll", .title = "notified: bare C, poll, RECV and SEND", .serve = bare_polling, .kind = NOTIFIED},
    {.key = "bare_async", .title = "notified: bare C without SYNC_WAKE_UP", .serve = bare_asynchronous, .kind = NOTIFIED},
    {.key = "supervisor", .title = "notified: sandbox_supervisor_run", .serve = supervised, .kind = NOTIFIED, .hold = 1.1},
    {.key = "dispatch", .title = "notified: poll, sandbox_supervisor_dispatch", .serve = dispatched, .kind = NOTIFIED},
    {.key = "ptrace_seccomp", .title = "ptrace: SECCOMP_RET_TRACE, one stop", .serve = trace_filtered, .kind = TRACED},
    {.key = "ptrace", .title = "ptrace: PTRACE_SYSCALL, two stops", .serve = trace_all, .kind = BY_PTRACE},
    {.key = NULL},
};

struct answer *answer_of(const char *key) {
    for (struct answer *answer = answers; answer->key; answer++) {
        if (strcmp(answer->key, key) == 0) {
            return answer;
        }
    }
    return NULL;
}

static sandbox_cmd *command(struct answer *answer) {
    sandbox_cmd *cmd = sandbox_cmd_new("/proc/self/exe");
    sandbox_cmd_arg(cmd, "--target");
    sandbox_cmd_pass_fd(cmd, order_fd, 3);
    if (answer->kind == ALLOWED) {
        sandbox_cmd_filter(cmd, stack_of(RULES)->filters[0]);
    } else if (answer->kind == NOTIFIED || answer->kind == TRACED) {
        sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        sandbox_filter_rule(filter, answer->kind == NOTIFIED ? SANDBOX_ACT_NOTIFY : SANDBOX_ACT_TRACE(0), "getppid", NULL, 0);
        sandbox_cmd_filter(cmd, filter);
        sandbox_filter_free(filter);
    }
    if (answer->kind == TRACED || answer->kind == BY_PTRACE) {
        sandbox_cmd_ptrace(cmd, answer->kind == TRACED ? PTRACE_O_TRACESECCOMP : PTRACE_O_TRACESYSGOOD);
    }
    return cmd;
}

/* Microseconds a call, or -errno. */
static double one_start(struct answer *answer) {
    sandbox_child *child;
    sandbox_status status = {.kind = 0};
    order->elapsed_us = 0;
    int result = sandbox_spawn(answer->cmd, &child, NULL);
    if (result < 0) {
        return result;
    }
    result = answer->serve(child);
    bool is_reaped = answer->kind == TRACED || answer->kind == BY_PTRACE;
    if (result == 0 && !is_reaped) {
        result = sandbox_child_wait(child, -1, &status, sizeof status);
    }
    sandbox_child_free(child);
    if (result < 0) {
        return result;
    }
    bool is_good = is_reaped || (status.kind == SANDBOX_EXITED && status.code == 0);
    bool is_answered = answer->kind != NOTIFIED || order->answer == ANSWER;
    return order->elapsed_us > 0 && is_good && is_answered ? order->elapsed_us / order->count : -ECANCELED;
}

static bool prepare(void) {
    order_fd = memfd_create("order", MFD_CLOEXEC);
    if (order_fd < 0 || ftruncate(order_fd, sizeof *order) < 0) {
        return false;
    }
    order = mmap(NULL, sizeof *order, PROT_READ | PROT_WRITE, MAP_SHARED, order_fd, 0);
    if (order == MAP_FAILED) {
        return false;
    }
    order->count = CALLS;
    for (struct answer *answer = answers; answer->key; answer++) {
        answer->cmd = command(answer);
    }
    return true;
}

/* A fresh program each time: on which processor it runs beside its supervisor is a new throw of the dice. */
void measure_calls(const struct bench *bench) {
    enum { MOST = 16, ROUNDS = 200 };
    static double values[MOST][ROUNDS];
    int rounds = bench->is_quick ? 20 : ROUNDS, count = 0;
    bool is_ready = prepare();
    while (answers[count].key) {
        snprintf(answers[count++].skipped, sizeof answers->skipped, "%s", is_ready ? "" : strerror(errno));
    }
    for (int round = -1; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
            struct answer *answer = &answers[(i + round + 1) % count]; /* another order each time */
            double time = answer->skipped[0] ? 0 : one_start(answer);
            if (time < 0) {
                snprintf(answer->skipped, sizeof answer->skipped, "%s", strerror((int)-time));
            } else if (round >= 0) {
                values[answer - answers][round] = time;
            }
        }
    }
    for (int i = 0; i < count; i++) {
        sandbox_cmd_free(answers[i].cmd);
        answers[i].cmd = NULL;
        if (!answers[i].skipped[0]) {
            summarise(&answers[i].times, values[i], rounds);
        }
    }
    const struct times *reference = &answer_of("bare")->times;
    for (struct answer *answer = answers; answer->key && reference->rounds > 0; answer++) {
        answer->times.ratio = answer->times.median / reference->median;
        answer->times.ratio_p10 = answer->times.p10 / reference->p10;
    }
    if (is_ready) {
        munmap(order, sizeof *order);
        close(order_fd);
    }
}
