/* Counts, which unlike times are the same on every machine: system calls and fds, by tracing a copy of the benchmark
 * that starts the no-op a few times; allocations, by standing in front of the C library's. */
#define _GNU_SOURCE
#include "bench.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPEATS = 9, WARM_UPS = 3 };

/* Allocations. The library's calls come here too: the program's symbols go before the C library's. */

static _Atomic bool counting;
static atomic_int made, grown, freed;

#ifdef __GLIBC__
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void __libc_free(void *);

/* Not counting, they write nothing: threads that start at once would fight over the counters. */

void *malloc(size_t size) {
    if (counting) {
        made++;
    }
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    if (counting) {
        made++;
    }
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    if (counting) {
        *(old ? &grown : &made) += 1;
    }
    return __libc_realloc(old, size);
}

void free(void *old) {
    if (counting && old) {
        freed++;
    }
    __libc_free(old);
}
static const bool sees_allocations = true;
#else
static const bool sees_allocations = false;
#endif

/* Where a start begins and ends: the tracer sees a call that the kernel refuses. */

enum { MARK = 0x42454e43 };
static bool marks;

void count_marked(bool on) {
    marks = on;
}

void count_mark(bool begins) {
    if (marks) {
        counting = false;
        syscall(SYS_prctl, MARK, 0, 0, 0, 0);
        counting = begins;
    }
}

/* The traced tasks. */

enum role { FREE, BYSTANDER, HOST, CHILD };
struct task {
    pid_t tid;
    enum role role;
    uint64_t number, args[6];
};
struct tracing {
    pid_t subject;
    bool on;         /* between two marks */
    bool child_runs; /* ... and the child has not yet become the no-op */
    int round;
    double host[REPEATS], child[REPEATS], fds[REPEATS];
    struct task tasks[64];
};

static pid_t process_of(pid_t tid) {
    char path[64], line[128];
    int process = -1;
    snprintf(path, sizeof path, "/proc/%d/status", tid);
    FILE *status = fopen(path, "re");
    while (status && fgets(line, sizeof line, status) && sscanf(line, "Tgid: %d", &process) != 1) {
    }
    if (status) {
        fclose(status);
    }
    return process;
}

/* A thread that begins between the marks works for the one that set them. */
static struct task *task_of(struct tracing *tracing, pid_t tid) {
    struct task *unused = NULL;
    for (size_t i = 0; i < sizeof tracing->tasks / sizeof *tracing->tasks; i++) {
        struct task *task = &tracing->tasks[i];
        if (task->role != FREE && task->tid == tid) {
            return task;
        }
        unused = task->role == FREE ? task : unused;
    }
    if (unused) {
        bool in_host = process_of(tid) == tracing->subject;
        *unused = (struct task){.tid = tid, .role = !in_host ? CHILD : tracing->on ? HOST : BYSTANDER, .number = UINT64_MAX};
    }
    return unused;
}

static void marked(struct tracing *tracing, struct task *task) {
    if (tracing->on) {
        tracing->on = false;
        tracing->round++;
    } else if (tracing->round < REPEATS) {
        tracing->on = tracing->child_runs = true;
    }
    task->role = tracing->on ? HOST : BYSTANDER;
}

static void entered(struct tracing *tracing, struct task *task, uint64_t number, const uint64_t args[6]) {
    task->number = number;
    memcpy(task->args, args, sizeof task->args);
    if (number == SYS_prctl && args[0] == MARK) {
        marked(tracing, task);
    } else if (tracing->on && task->role == HOST) {
        tracing->host[tracing->round]++;
    } else if (tracing->on && task->role == CHILD && tracing->child_runs) {
        tracing->child[tracing->round]++;
    }
}

static int fds_made(const struct task *task) {
    switch (task->number) {
    case SYS_pipe2:
    case SYS_socketpair:
        return 2;
    case SYS_openat:
    case SYS_dup:
    case SYS_socket:
    case SYS_memfd_create:
    case SYS_pidfd_open:
    case SYS_eventfd2:
    case SYS_epoll_create1:
    case SYS_pidfd_getfd:
    case SYS_perf_event_open:
        return 1;
    case SYS_fcntl:
        return task->args[1] == F_DUPFD || task->args[1] == F_DUPFD_CLOEXEC;
    case SYS_ioctl:
        return task->args[1] == 0x5441; /* TIOCGPTPEER */
    case SYS_clone:
        return (task->args[0] & CLONE_PIDFD) != 0;
    case SYS_clone3:
        return ((uint64_t)ptrace(PTRACE_PEEKDATA, task->tid, task->args[0], NULL) & CLONE_PIDFD) != 0;
    default:
        return 0;
    }
}

static void system_call(struct tracing *tracing, struct task *task) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, sizeof info, &info) < 0) {
        return;
    }
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        uint64_t args[6];
        memcpy(args, info.entry.args, sizeof args);
        entered(tracing, task, info.entry.nr, args);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
        if (tracing->on && task->role == HOST && !info.exit.is_error) {
            tracing->fds[tracing->round] += fds_made(task);
        }
        task->number = UINT64_MAX;
    }
}

static bool runs_program(pid_t tid) {
    char path[64], target[512];
    snprintf(path, sizeof path, "/proc/%d/exe", tid);
    ssize_t length = readlink(path, target, sizeof target - 1);
    return length > 0 && (target[length] = '\0', strcmp(target, program) == 0);
}

/* One stop of one task: look, and let it go on. */
static void stopped(struct tracing *tracing, pid_t tid, int status) {
    struct task *task = task_of(tracing, tid);
    int signal = WSTOPSIG(status), event = status >> 16;
    if (event == PTRACE_EVENT_EXEC && runs_program(tid)) {
        tracing->child_runs = false;
        task->role = FREE;
        ptrace(PTRACE_DETACH, tid, NULL, NULL);
        return;
    }
    bool is_call = signal == (SIGTRAP | 0x80);
    if (is_call && task) {
        system_call(tracing, task);
    }
    ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(intptr_t)(is_call || event ? 0 : signal));
}

/* Until the subject has ended: its wait status. */
static int trace(struct tracing *tracing) {
    for (;;) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0) {
            return -1;
        }
        if (WIFSTOPPED(status)) {
            stopped(tracing, tid, status);
            continue;
        }
        for (size_t i = 0; i < sizeof tracing->tasks / sizeof *tracing->tasks; i++) {
            if (tracing->tasks[i].tid == tid) {
                tracing->tasks[i].role = FREE;
            }
        }
        if (tid == tracing->subject) {
            return status;
        }
    }
}

/* What is traced: waits until it is, then starts. A start that hangs under the tracer ends with the alarm. */
static void be_subject(struct start *start, int gate) {
    char byte;
    alarm(30);
    start->pool = NULL; /* the parent's, whose children a fork has not */
    if (read(gate, &byte, 1) != 1) {
        _exit(1);
    }
    for (int i = -WARM_UPS; i < REPEATS; i++) {
        count_marked(i >= 0);
        if (run_once(start) < 0) {
            _exit(1);
        }
    }
    _exit(0);
}

static int count_calls(struct start *start) {
    struct tracing tracing = {0};
    int gate[2];
    if (pipe2(gate, O_CLOEXEC) < 0) {
        return -errno;
    }
    tracing.subject = fork();
    if (tracing.subject == 0) {
        be_subject(start, gate[0]);
    }
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    int result = 0;
    if (tracing.subject < 0 || ptrace(PTRACE_SEIZE, tracing.subject, NULL, options) < 0 ||
        ptrace(PTRACE_INTERRUPT, tracing.subject, NULL, NULL) < 0) {
        result = -errno;
    }
    close(gate[0]);
    if (result < 0) {
        close(gate[1]); /* the end of file is the subject's end */
        waitpid(tracing.subject, NULL, 0);
        return result;
    }
    if (write(gate[1], "", 1) != 1) {
        return -EIO;
    }
    close(gate[1]);
    if (trace(&tracing) != 0 || tracing.round < REPEATS) {
        return -ETIMEDOUT;
    }
    start->counts.host_syscalls = (int)median_of(tracing.host, REPEATS);
    start->counts.child_syscalls = (int)median_of(tracing.child, REPEATS);
    start->counts.fds_opened = (int)median_of(tracing.fds, REPEATS);
    return 0;
}

static int open_fds(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory && readdir(directory)) {
        count++;
    }
    if (directory) {
        closedir(directory);
    }
    return count;
}

/* In this process. The marks are made for the counter's sake alone: nobody traces. */
static void count_in_process(struct start *start) {
    double all[3][REPEATS];
    int fds = open_fds();
    for (int i = -WARM_UPS; i < REPEATS; i++) {
        count_marked(i >= 0);
        made = grown = freed = 0;
        double time = run_once(start);
        count_marked(false);
        if (time < 0) {
            printf("skip - counts of %s: %s\n", start->key, strerror((int)-time));
            return;
        }
        if (i >= 0) {
            all[0][i] = made, all[1][i] = grown, all[2][i] = freed;
        }
    }
    start->counts.fds_left = open_fds() - fds;
    if (sees_allocations) {
        start->counts.made = (int)median_of(all[0], REPEATS);
        start->counts.grown = (int)median_of(all[1], REPEATS);
        start->counts.freed = (int)median_of(all[2], REPEATS);
    }
}

void count_all(struct bench *bench) {
    for (struct start *start = starts; start->key; start++) {
        if (!runs(start) || start->flags & SLOW) {
            continue;
        }
        count_in_process(start);
        int result = bench->no_tracing[0] ? 0 : count_calls(start);
        if (result == -ETIMEDOUT) {
            printf("skip - system calls of %s: the start did not end well under the tracer\n", start->key);
        } else if (result < 0) {
            snprintf(bench->no_tracing, sizeof bench->no_tracing, "ptrace: %s", strerror(-result));
        }
    }
}
