/* Starts without the library: the C library's own, and the floor, the least that a start of our kind must do.
 * The floor is a measuring stick, no model: it checks little. */
#define _GNU_SOURCE
#include "bench.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int reap(pid_t pid) {
    int status;
    while (waitpid(pid, &status, __WALL) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECANCELED;
}

int bare_posix_spawn(struct start *start) {
    (void)start;
    pid_t pid;
    int error = posix_spawn(&pid, program, NULL, NULL, program_argv, environ);
    return error ? -error : reap(pid);
}

int bare_fork(struct start *start) {
    (void)start;
    pid_t pid = fork();
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        execve(program, program_argv, environ);
        _exit(127);
    }
    return reap(pid);
}

/* One word: RUNNING until the kernel clears it, because the child has left this memory by exec or by death; AT_GATE
 * while the child waits for its listener to be taken. */
enum { GONE, RUNNING, AT_GATE };
enum { STACK = 16 << 10 };

struct meeting {
    _Atomic uint32_t phase;
    _Atomic int failed;
    pid_t host;
    char *stack;
    uint64_t no_signals;
    const struct filter_stack *filters;
    int listener;
};

static struct meeting *meeting_of_thread(void) {
    static _Thread_local struct meeting own;
    if (!own.stack) {
        own.stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    }
    return own.stack == MAP_FAILED ? NULL : &own;
}

static int leave(void *at) {
    struct meeting *meeting = at;
    execve(program, program_argv, environ);
    meeting->failed = 1;
    syscall(SYS_exit_group, 127);
    return 0;
}

/* What the library's defaults do in the child, in the same order. */
static int confine_and_leave(void *at) {
    struct meeting *meeting = at;
    const uint64_t to_default[4] = {0};
    struct __user_cap_header_struct version = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct capabilities[2], no_capabilities[2] = {{0}};
    for (int signal = 1; signal <= 64; signal++) {
        syscall(SYS_rt_sigaction, signal, to_default, NULL, 8);
    }
    syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (syscall(SYS_getppid) != meeting->host) {
        syscall(SYS_exit_group, 127);
    }
    for (int capability = 0; syscall(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++) { /* until there is none, or no right to */
    }
    syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
    for (int fd = 0; fd < 3; fd++) {
        syscall(SYS_fcntl, fd, F_SETFD, 0);
    }
    syscall(SYS_capget, &version, capabilities);
    syscall(SYS_capset, &version, no_capabilities);
    syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &meeting->no_signals, NULL, 8);
    return leave(at);
}

/* Not over what the kernel wrote meanwhile. */
static void pass(_Atomic uint32_t *phase, uint32_t from, uint32_t to) {
    atomic_compare_exchange_strong(phase, &from, to);
    syscall(SYS_futex, phase, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int filter_and_leave(void *at) {
    struct meeting *meeting = at;
    const struct filter_stack *filters = meeting->filters;
    syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (int i = 0; i < filters->count; i++) {
        bool notifies = filters->notifies && i == filters->count - 1;
        long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, notifies ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0, &filters->programs[i]);
        if (listener < 0) {
            meeting->failed = 1;
            syscall(SYS_exit_group, 127);
        }
        meeting->listener = (int)listener;
    }
    if (filters->notifies) {
        pass(&meeting->phase, RUNNING, AT_GATE);
        while (meeting->phase == AT_GATE) {
            syscall(SYS_futex, &meeting->phase, FUTEX_WAIT, AT_GATE, NULL, NULL, 0);
        }
    }
    return leave(at);
}

static int clone_and_reap(int (*child)(void *), struct meeting *meeting) {
    int pidfd = -1;
    meeting->phase = RUNNING;
    meeting->failed = 0;
    pid_t pid = clone(child, meeting->stack + STACK, CLONE_VM | CLONE_PIDFD | CLONE_CHILD_CLEARTID | SIGCHLD,
                      meeting, &pidfd, NULL, &meeting->phase);
    if (pid < 0) {
        return -errno;
    }
    int listener = -1;
    for (uint32_t phase; (phase = meeting->phase) != GONE;) {
        if (phase == AT_GATE) {
            listener = (int)syscall(SYS_pidfd_getfd, pidfd, meeting->listener, 0);
            pass(&meeting->phase, AT_GATE, RUNNING);
        } else {
            syscall(SYS_futex, &meeting->phase, FUTEX_WAIT, phase, NULL, NULL, 0);
        }
    }
    int result = reap(pid);
    close(pidfd);
    if (listener >= 0) {
        close(listener);
    }
    return meeting->failed ? -ENOEXEC : result;
}

int bare_clone(struct start *start) {
    (void)start;
    struct meeting *meeting = meeting_of_thread();
    return meeting ? clone_and_reap(leave, meeting) : -ENOMEM;
}

int bare_clone_confined(struct start *start) {
    (void)start;
    struct meeting *meeting = meeting_of_thread();
    if (!meeting) {
        return -ENOMEM;
    }
    uint64_t all = UINT64_MAX, before = 0;
    meeting->host = getpid();
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, 8);
    int result = clone_and_reap(confine_and_leave, meeting);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
    return result;
}

int bare_clone_filtered(struct start *start) {
    struct meeting *meeting = meeting_of_thread();
    if (!meeting) {
        return -ENOMEM;
    }
    meeting->filters = stack_of(start->filters);
    return clone_and_reap(filter_and_leave, meeting);
}
