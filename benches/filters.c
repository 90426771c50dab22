/* The filters of the benchmark, and what they cost once: to be read, to be compiled, to be asked by the simulator.
 * starts.c adds them to commands; bare.c loads their exported instructions itself. */
#define _GNU_SOURCE
#include "bench.h"
#include <errno.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined __x86_64__
#define NATIVE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define NATIVE AUDIT_ARCH_AARCH64
#endif

/* What a careful author's list looks like: 287 calls as they are, 12 by an argument, and one that the no-op never
 * makes, whose action is the one thing that differs between the filters. */
static const char allowed[] =
    "read write open close stat fstat lstat poll lseek munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64 "
    "pwrite64 readv writev access pipe select sched_yield mremap msync mincore shmget shmat shmctl dup dup2 pause "
    "nanosleep getitimer alarm setitimer getpid sendfile connect accept sendto recvfrom sendmsg recvmsg shutdown bind "
    "listen getsockname getpeername socketpair getsockopt fork vfork execve exit wait4 uname semget semop semctl shmdt "
    "msgget msgsnd msgrcv msgctl flock fsync fdatasync truncate ftruncate getdents getcwd chdir fchdir rename mkdir "
    "rmdir creat link unlink symlink readlink chmod fchmod chown fchown lchown umask gettimeofday getrlimit getrusage "
    "sysinfo times getuid getgid setuid setgid geteuid getegid setpgid getppid getpgrp setsid setreuid setregid "
    "getgroups setgroups setresuid getresuid setresgid getresgid getpgid setfsuid setfsgid getsid capget capset "
    "rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend sigaltstack utime mknod statfs fstatfs getpriority "
    "setpriority sched_setparam sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min "
    "sched_rr_get_interval mlock munlock mlockall munlockall arch_prctl setrlimit sync gettid readahead setxattr "
    "lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr "
    "fremovexattr tkill time futex sched_setaffinity sched_getaffinity io_setup io_destroy io_getevents io_submit "
    "io_cancel epoll_create remap_file_pages getdents64 set_tid_address restart_syscall semtimedop fadvise64 "
    "timer_create timer_settime timer_gettime timer_getoverrun timer_delete clock_gettime clock_getres clock_nanosleep "
    "exit_group epoll_wait epoll_ctl utimes mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr "
    "waitid ioprio_set ioprio_get inotify_init inotify_add_watch inotify_rm_watch openat mkdirat mknodat fchownat "
    "newfstatat unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat pselect6 ppoll set_robust_list "
    "get_robust_list splice tee sync_file_range vmsplice utimensat epoll_pwait signalfd timerfd_create eventfd fallocate "
    "timerfd_settime timerfd_gettime accept4 signalfd4 eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev "
    "rt_tgsigqueueinfo recvmmsg fanotify_mark prlimit64 syncfs sendmmsg getcpu sched_setattr sched_getattr renameat2 "
    "seccomp getrandom memfd_create execveat membarrier mlock2 copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc "
    "pkey_free statx io_pgetevents rseq pidfd_send_signal pidfd_open close_range openat2 pidfd_getfd faccessat2 "
    "epoll_pwait2 landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret futex_waitv "
    "process_madvise process_mrelease sched_setscheduler futimesat get_mempolicy set_mempolicy mbind migrate_pages "
    "move_pages name_to_handle_at get_thread_area set_thread_area modify_ldt ustat sysfs getpmsg vhangup syslog";

static const struct {
    const char *name;
    sandbox_arg arg;
} compared[] = {
    {"clone", {0, SANDBOX_CMP_MASKED_EQ, 0, 0x7e020000}}, /* no new namespace */
    {"ioctl", {1, SANDBOX_CMP_NE, 0x5412, 0}},            /* TIOCSTI */
    {"socket", {0, SANDBOX_CMP_NE, 40, 0}},               /* AF_VSOCK */
    {"personality", {0, SANDBOX_CMP_EQ, 0, 0}},
    {"prctl", {0, SANDBOX_CMP_LE, 80, 0}},
    {"fcntl", {1, SANDBOX_CMP_LT, 2048, 0}},
    {"kill", {1, SANDBOX_CMP_LE, 64, 0}},
    {"tgkill", {2, SANDBOX_CMP_LE, 64, 0}},
    {"setsockopt", {1, SANDBOX_CMP_NE, 41, 0}},
    {"madvise", {2, SANDBOX_CMP_LT, 100, 0}},
    {"mmap", {2, SANDBOX_CMP_MASKED_EQ, 0, 0x03000000}},
    {"mprotect", {2, SANDBOX_CMP_MASKED_EQ, 0, 0x03000000}},
};

/* Calls `each` with every name of `allowed`; how many there are. */
static int each_allowed(void (*each)(const char *name, void *data), void *data) {
    char names[sizeof allowed], *rest = memcpy(names, allowed, sizeof allowed);
    int count = 0;
    for (char *name; (name = strsep(&rest, " ")); count++) {
        each(name, data);
    }
    return count;
}

static void allow(const char *name, void *filter) {
    sandbox_filter_rule(filter, SANDBOX_ACT_ALLOW, name, NULL, 0);
}

static int rules_made;

static sandbox_filter *filter_of_rules(uint32_t action_of_acct) {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ERRNO(EPERM));
    enum { COMPARED = sizeof compared / sizeof *compared };
    sandbox_filter_rule(filter, action_of_acct, "acct", NULL, 0);
    rules_made = 1 + each_allowed(allow, filter) + COMPARED;
    for (int i = 0; i < COMPARED; i++) {
        sandbox_filter_rule(filter, SANDBOX_ACT_ALLOW, compared[i].name, &compared[i].arg, 1);
    }
    return filter;
}

static sandbox_filter *plain_rules(const char *text) {
    (void)text;
    return filter_of_rules(SANDBOX_ACT_ERRNO(ENOSYS));
}

static sandbox_filter *filter_of_denials(uint64_t what) {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_filter_deny(filter, what);
    return filter;
}

/* The instructions as the kernel takes them. */
static struct sock_fprog exported(const sandbox_filter *filter) {
    struct sock_fprog program = {0};
    int memory = memfd_create("filter", MFD_CLOEXEC);
    int count = sandbox_filter_export(filter, memory);
    size_t size = count > 0 ? (size_t)count * sizeof *program.filter : 0;
    void *instructions = malloc(size + 1);
    if (size > 0 && pread(memory, instructions, size, 0) == (ssize_t)size) {
        program = (struct sock_fprog){.len = (unsigned short)count, .filter = instructions};
    }
    close(memory);
    return program;
}

static struct filter_stack stacks[STACKS];

const struct filter_stack *stack_of(enum filters which) {
    return &stacks[which];
}

void filters_prepare(void) {
    sandbox_filter *denials[3] = {
        filter_of_denials(SANDBOX_DENY_IO_URING | SANDBOX_DENY_KEYRINGS),
        filter_of_denials(SANDBOX_DENY_TERMINAL_INJECTION),
        filter_of_denials(SANDBOX_DENY_PTRACE | SANDBOX_DENY_PERF | SANDBOX_DENY_BPF),
    };
    stacks[ONE_RULE] = (struct filter_stack){.count = 1, .filters = {denials[1]}};
    stacks[RULES] = (struct filter_stack){.count = 1, .filters = {plain_rules(NULL)}};
    stacks[NOTIFYING] = (struct filter_stack){.count = 1, .notifies = true, .filters = {filter_of_rules(SANDBOX_ACT_NOTIFY)}};
    stacks[FOUR] = (struct filter_stack){.count = 4, .filters = {stacks[RULES].filters[0], denials[0], denials[1], denials[2]}};
    for (struct filter_stack *stack = stacks; stack < stacks + STACKS; stack++) {
        for (int i = 0; i < stack->count; i++) {
            stack->programs[i] = exported(stack->filters[i]);
        }
    }
}

void filters_free(void) {
    for (int i = 0; i < 4; i++) {
        sandbox_filter_free(stacks[FOUR].filters[i]);
    }
    sandbox_filter_free(stacks[NOTIFYING].filters[0]);
    for (struct filter_stack *stack = stacks; stack < stacks + STACKS; stack++) {
        for (int i = 0; i < stack->count; i++) {
            free(stack->programs[i].filter);
        }
        *stack = (struct filter_stack){0};
    }
}

/* What is paid once. */

static void write_name(const char *name, void *out) {
    fprintf(out, "\"%s\", ", name);
}

/* A profile in the form of the OCI runtime specification, about as large as Docker's and podman's. */
static char *written_profile(void) {
    static const char *const chosen[] = {"0", "8", "131072", "131080", "4294967295"};
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    fprintf(out, "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38, \"archMap\": ["
                 "{\"architecture\": \"SCMP_ARCH_X86_64\", \"subArchitectures\": [\"SCMP_ARCH_X86\", \"SCMP_ARCH_X32\"]},"
                 "{\"architecture\": \"SCMP_ARCH_AARCH64\", \"subArchitectures\": [\"SCMP_ARCH_ARM\"]}], \"syscalls\": [{\"names\": [");
    each_allowed(write_name, out);
    fprintf(out, "\"prctl\"], \"action\": \"SCMP_ACT_ALLOW\"}");
    for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++) {
        fprintf(out, ", {\"names\": [\"personality\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": "
                     "[{\"index\": 0, \"value\": %s, \"op\": \"SCMP_CMP_EQ\"}]}", chosen[i]);
    }
    fprintf(out, ", {\"names\": [\"clone\"], \"action\": \"SCMP_ACT_ALLOW\", \"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}, \"args\": "
                 "[{\"index\": 0, \"value\": 2114060288, \"valueTwo\": 0, \"op\": \"SCMP_CMP_MASKED_EQ\"}]}"
                 ", {\"names\": [\"clone3\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38, \"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}}"
                 ", {\"names\": [\"bpf\", \"mount\", \"setns\", \"unshare\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}}"
                 ", {\"names\": [\"socket\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": "
                 "[{\"index\": 0, \"value\": 40, \"op\": \"SCMP_CMP_NE\"}]}]}");
    fclose(out);
    return text;
}

static char *contents(const char *path) {
    enum { MOST = 1 << 20 };
    char *text = NULL;
    FILE *file = path ? fopen(path, "re") : NULL;
    if (file && (text = calloc(1, MOST))) {
        text[fread(text, 1, MOST - 1, file)] = '\0';
    }
    if (file) {
        fclose(file);
    }
    return text;
}

static sandbox_filter *of_profile(const char *text) {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_filter_oci_capabilities(filter, 0xa80425fb); /* those that a container has by default */
    sandbox_filter_oci(filter, text, strlen(text), NULL);
    return filter;
}

static const sandbox_syscall any_call = {.arch = NATIVE, .nr = 1};

/* Once from nothing to a command that has it: read, compiled by the first who needs it, added. */
static int once(struct cost *cost, sandbox_filter *(*make)(const char *), const char *text, double times[3]) {
    uint32_t action;
    sandbox_cmd *cmd = sandbox_cmd_new(program);
    double begun = now_us();
    sandbox_filter *filter = make(text);
    double read = now_us();
    int result = sandbox_filter_simulate(filter, &any_call, &action);
    double compiled = now_us();
    int added = sandbox_cmd_filter(cmd, filter);
    double done = now_us();
    times[0] = read - begun, times[1] = compiled - read, times[2] = done - compiled;
    struct sock_fprog exports = exported(filter);
    cost->instructions = exports.len;
    free(exports.filter);
    sandbox_filter_free(filter);
    sandbox_cmd_free(cmd);
    return result < 0 ? result : added;
}

/* Every call of the table in turn: some are found at once, some late, some not at all. */
static double simulated_ns(const sandbox_filter *filter, int milliseconds) {
    long calls = 0;
    double begun = now_us(), now = begun;
    for (; now - begun < milliseconds * 1e3; now = now_us()) {
        for (int number = 0; number < 450; number++, calls++) {
            sandbox_syscall call = {.arch = NATIVE, .nr = number, .args = {3, 1, 2}};
            uint32_t action;
            sandbox_filter_simulate(filter, &call, &action);
        }
    }
    return (now - begun) * 1e3 / (double)calls;
}

static void measure_cost(struct cost *cost, sandbox_filter *(*make)(const char *), const char *text, const struct bench *bench) {
    enum { MOST = 50 };
    double all[3][MOST], times[3];
    int repeats = bench->is_quick ? 5 : MOST;
    for (int i = -1; i < repeats; i++) {
        int result = once(cost, make, text, times);
        if (result < 0) {
            snprintf(cost->skipped, sizeof cost->skipped, "%s", strerror(-result));
            return;
        }
        for (int part = 0; part < 3 && i >= 0; part++) {
            all[part][i] = times[part];
        }
    }
    cost->read_us = median_of(all[0], repeats);
    cost->compile_us = median_of(all[1], repeats);
    cost->add_us = median_of(all[2], repeats);
    sandbox_filter *filter = make(text);
    cost->simulate_ns = simulated_ns(filter, bench->is_quick ? 50 : 500);
    sandbox_filter_free(filter);
}

void measure_costs(struct bench *bench) {
    char *found = contents(bench->profile), *written = written_profile();
    struct cost *rules = &bench->costs[0], *own = &bench->costs[1], *other = &bench->costs[2];
    measure_cost(rules, plain_rules, NULL, bench);
    snprintf(rules->title, sizeof rules->title, "%d rules", rules_made);
    snprintf(own->title, sizeof own->title, "a profile of %zu bytes", strlen(written));
    measure_cost(own, of_profile, written, bench);
    snprintf(other->title, sizeof other->title, "%.40s", bench->profile);
    if (found) {
        measure_cost(other, of_profile, found, bench);
    } else {
        snprintf(other->skipped, sizeof other->skipped, "%s", strerror(ENOENT));
    }
    free(found);
    free(written);
}
