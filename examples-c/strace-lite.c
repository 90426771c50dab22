/* strace-lite: prints each system call of a program, and of all that it starts, with its result, on standard error.
 *
 *   ./strace-lite ls /
 *
 * sandbox_cmd_ptrace has the child seized before exec by the thread that spawns, and nothing of its set-up is seen: the
 * first stop is the program's exec. From there on it is plain ptrace(2), with waitpid in the same thread. */

#define _GNU_SOURCE
#include "syscalls.h" /* syscall_names, made by the Makefile from the system's headers */
#include <errno.h>
#include <linux/ptrace.h>
#include <sandbox_spawn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* sys/ptrace.h and linux/ptrace.h don't go together in every libc: this and the number of SEIZE's group stop are all. */
static long request(long what, pid_t tid, unsigned long size, void *data) {
    return syscall(SYS_ptrace, what, tid, size, data);
}

/* The call that a thread is in, from its entry to its exit. */
static struct {
    pid_t tid;
    struct ptrace_syscall_info entry;
} threads[1024];

static struct ptrace_syscall_info *entry_of(pid_t tid) {
    size_t free_place = 0;
    for (size_t i = 1; i < sizeof threads / sizeof threads[0]; i++) {
        if (threads[i].tid == tid)
            return &threads[i].entry;
        if (threads[i].tid == 0)
            free_place = i;
    }
    threads[free_place].tid = tid; /* place 0 is shared by those that find no other */
    threads[free_place].entry.op = PTRACE_SYSCALL_INFO_NONE;
    return &threads[free_place].entry;
}

static void forget(pid_t tid) {
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++)
        if (threads[i].tid == tid)
            threads[i].tid = 0;
}

static void print_call(pid_t tid, const struct ptrace_syscall_info *entry) {
    unsigned long long nr = entry->entry.nr;
    if (nr < sizeof syscall_names / sizeof syscall_names[0] && syscall_names[nr])
        fprintf(stderr, "[%d] %s(", tid, syscall_names[nr]);
    else
        fprintf(stderr, "[%d] %lld(", tid, (long long)nr);
    for (int i = 0; i < 6; i++)
        fprintf(stderr, "%s%#llx", i ? ", " : "", (unsigned long long)entry->entry.args[i]);
    fprintf(stderr, ")");
}

/* A stop at a call's entry or exit; which, the kernel tells (Linux 5.3). */
static void system_call(pid_t tid) {
    struct ptrace_syscall_info info, *entry = entry_of(tid);
    if (request(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) < 0)
        return; /* it was killed in between */
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        *entry = info;
    if (info.op != PTRACE_SYSCALL_INFO_EXIT)
        return;
    if (entry->op == PTRACE_SYSCALL_INFO_ENTRY)
        print_call(tid, entry);
    else
        fprintf(stderr, "[%d] (begun before)", tid); /* the exec that it was seized in; the clone that made it */
    if (info.exit.is_error)
        fprintf(stderr, " = %lld (%s)\n", (long long)info.exit.rval, strerror((int)-info.exit.rval));
    else
        fprintf(stderr, " = %#llx\n", (unsigned long long)info.exit.rval);
    entry->op = PTRACE_SYSCALL_INFO_NONE;
}

/* Looks at a stop and lets the thread go on. */
static void stopped(pid_t tid, int status) {
    int signal = WSTOPSIG(status), event = status >> 16;
    if (signal == (SIGTRAP | 0x80)) {
        system_call(tid);
        signal = 0;
    } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
        request(PTRACE_LISTEN, tid, 0, NULL); /* stopped by SIGSTOP and the like: stays so until SIGCONT */
        return;
    } else if (event) {
        signal = 0; /* exec, a new thread or process */
    }
    request(PTRACE_SYSCALL, tid, 0, (void *)(long)signal); /* a signal is passed on */
}

/* Until the last of them has ended; gives the status of `child`. */
static int follow(pid_t child) {
    int status, result = 0;
    pid_t tid;
    /* Whom a tracer does not wait for, its own parent can't either: so ends are taken here too, the child's among them. */
    while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        if (tid < 0)
            continue;
        if (WIFSTOPPED(status)) {
            stopped(tid, status);
            continue;
        }
        struct ptrace_syscall_info *entry = entry_of(tid);
        if (entry->op == PTRACE_SYSCALL_INFO_ENTRY) { /* exit_group has no exit */
            print_call(tid, entry);
            fprintf(stderr, " = ?\n");
        }
        forget(tid);
        if (tid == child)
            result = status;
    }
    return result;
}

int main(int argc, char **argv) {
    if (argc < 2 || argv[1][0] == '-') {
        fprintf(argc < 2 ? stderr : stdout, "usage: strace-lite program [argument...]\n"
                                            "Prints each system call of the program, and of all that it starts, on standard error:\n"
                                            "[thread] name(arguments) = result. Exit code: the program's own.\n");
        return argc < 2 ? 2 : 0;
    }
    sandbox_error error;
    sandbox_child *child;
    sandbox_cmd *cmd = sandbox_cmd_new(argv[1]);
    sandbox_cmd_args(cmd, (const char *const *)argv + 2);
    sandbox_cmd_ptrace(cmd, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE);
    if (sandbox_spawn(cmd, &child, &error) < 0) {
        fprintf(stderr, "strace-lite: %s: %s\n", sandbox_stage_name(error.stage), error.message);
        return 2;
    }
    pid_t pid = sandbox_child_pid(child);
    int status = follow(pid);
    if (WIFEXITED(status))
        fprintf(stderr, "[%d] exit code %d\n", pid, WEXITSTATUS(status));
    else
        fprintf(stderr, "[%d] signal %d\n", pid, WTERMSIG(status));
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
