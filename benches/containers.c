/* Containers: in the least that bare C can do, and what is asked of the library for the same. peers.c has the programs that
 * people run for it, growth.c how the cost grows. */
#define _GNU_SOURCE
#include "bench.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Bare C: a stick to measure with, no model. */

enum { GONE, RUNNING, HELD };
enum { NOTHING, MAPPED, ASKED };
enum { STACK = 64 << 10 };

static struct {
    _Atomic uint32_t phase, answer;
    _Atomic int failed;
    const struct filter_stack *filters;
    bool is_held; /* before its exec, until it is asked for */
    pid_t pid;
    int pidfd;
    char *stack, uids[64], gids[64];
} meeting;

static void set(_Atomic uint32_t *word, uint32_t value) {
    *word = value;
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void wait_while(_Atomic uint32_t *word, uint32_t value) {
    while (*word == value) {
        syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
    }
}

static int make_parents(const char *path) {
    char part[PATH_MAX];
    for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (*part && mkdir(part, 0755) && errno != EEXIST) {
            return -1;
        }
    }
    return 0;
}

/* tmpfs, /usr read-only, the program, /proc; the old root gone. */
static int build_root(void) {
    int fd;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("tmpfs", "/tmp", "tmpfs", 0, NULL) || chdir("/tmp") ||
        mkdir("usr", 0755) || mkdir("proc", 0755) || mount("/usr", "usr", NULL, MS_BIND | MS_REC, NULL) ||
        mount(NULL, "usr", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) || make_parents(program + 1) ||
        (fd = open(program + 1, O_CREAT | O_WRONLY, 0755)) < 0) {
        return -1;
    }
    close(fd);
    return 0;
}

/* Its own way to the program: /tmp is covered by now. */
static int bind_program(int fd) {
    char source[32];
    snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
    return mount(source, program + 1, NULL, MS_BIND, NULL);
}

static int finish_root(void) {
    return mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) || syscall(SYS_pivot_root, ".", ".") ||
           umount2(".", MNT_DETACH) || chdir("/");
}

static int contained(void *unused) {
    (void)unused;
    wait_while(&meeting.answer, NOTHING);
    int fd = open(program, O_PATH | O_CLOEXEC);
    bool failed = fd < 0 || build_root() || bind_program(fd) || finish_root();
    syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (int i = 0; i < meeting.filters->count && !failed; i++) {
        failed = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &meeting.filters->programs[i]) != 0;
    }
    if (!failed && meeting.is_held) {
        set(&meeting.phase, HELD);
        wait_while(&meeting.answer, MAPPED);
    }
    if (!failed) {
        execve(program, program_argv, environ);
    }
    meeting.failed = errno;
    syscall(SYS_exit_group, 127);
    return 0;
}

static int put(pid_t pid, const char *file, const char *text) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int result = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    return result;
}

/* From the clone to where the child can go on: its set-up, once its ids are mapped. */
static int begin(unsigned long namespaces, enum filters filters, bool is_held) {
    if (!meeting.stack) {
        meeting.stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        snprintf(meeting.uids, sizeof meeting.uids, "0 %u 1\n", geteuid());
        snprintf(meeting.gids, sizeof meeting.gids, "0 %u 1\n", getegid());
    }
    meeting.phase = RUNNING;
    meeting.answer = NOTHING;
    meeting.failed = 0;
    meeting.filters = stack_of(filters);
    meeting.is_held = is_held;
    pid_t pid = meeting.pid = clone(contained, meeting.stack + STACK, (int)(CLONE_VM | CLONE_PIDFD | CLONE_CHILD_CLEARTID | SIGCHLD | namespaces),
                                    NULL, &meeting.pidfd, NULL, &meeting.phase);
    if (pid < 0) {
        return -errno;
    }
    int result = put(pid, "uid_map", meeting.uids);
    put(pid, "setgroups", "deny");
    result = result ? result : put(pid, "gid_map", meeting.gids);
    if (result) {
        kill(pid, SIGKILL); /* a child of ours, not yet reaped */
    }
    set(&meeting.answer, MAPPED);
    return result;
}

static int until_reaped(int result) {
    int status = 0;
    for (uint32_t phase; (phase = meeting.phase) != GONE;) {
        wait_while(&meeting.phase, phase);
    }
    waitpid(meeting.pid, &status, __WALL);
    close(meeting.pidfd);
    return result ? result : meeting.failed ? -meeting.failed : status ? -ECANCELED : 0;
}

static int contain(unsigned long namespaces, enum filters filters) {
    int result = begin(namespaces, filters, false);
    return meeting.pid < 0 ? result : until_reaped(result);
}

enum { FIVE = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS };

int bare_container(struct start *start) {
    return contain(FIVE, start->filters);
}

int bare_container_more(struct start *start) {
    return contain(FIVE | CLONE_NEWNET | CLONE_NEWCGROUP, start->filters);
}

/* The set-up ahead, of which the start itself has only the exec left. */
int bare_pool_fill(struct start *start) {
    int result = begin(FIVE | CLONE_NEWNET | CLONE_NEWCGROUP, start->filters, true);
    for (uint32_t phase; !result && (phase = meeting.phase) != GONE && phase != HELD;) {
        wait_while(&meeting.phase, phase);
    }
    return result && meeting.pid >= 0 ? until_reaped(result) : result;
}

int bare_pool_run(struct start *start) {
    (void)start;
    set(&meeting.answer, ASKED);
    return until_reaped(0);
}

/* The library's. */

int ask_container(sandbox_cmd *cmd) {
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_IPC | SANDBOX_NS_UTS | SANDBOX_NS_MOUNT);
    sandbox_cmd_map_uid(cmd, 0, geteuid(), 1);
    sandbox_cmd_map_gid(cmd, 0, getegid(), 1);
    sandbox_cmd_bind(cmd, "/usr", "/usr", 0);
    sandbox_cmd_bind(cmd, program, program, 0);
    return sandbox_cmd_proc(cmd, "/proc", 0);
}

int ask_container_more(sandbox_cmd *cmd) {
    sandbox_cmd_unshare(cmd, SANDBOX_NS_NET | SANDBOX_NS_CGROUP);
    return ask_container(cmd);
}

int ask_container_landlock(sandbox_cmd *cmd) {
    enum { READ_AND_EXECUTE = 1 | 4 | 8 }; /* LANDLOCK_ACCESS_FS_EXECUTE, _READ_FILE, _READ_DIR */
    ask_container_more(cmd);
    return sandbox_cmd_landlock_path(cmd, "/", READ_AND_EXECUTE);
}
