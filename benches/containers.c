/* Containers: what they cost in bare C, in the programs that people run for it, and how the cost grows with the mounts
 * that are asked for and with those that the host has. The library's own are lines of the table in starts.c. */
#define _GNU_SOURCE
#include "bench.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- bare C: a stick to measure with, no model */

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

/* ---- the library's */

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

/* ---- the programs that people run for it */

static int run(char *const argv[]) {
    int status;
    pid_t pid;
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    int error = posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&quiet);
    if (error) {
        return -error;
    }
    waitpid(pid, &status, 0);
    return status == 0 ? 0 : -ECANCELED;
}

int peer_bwrap(struct start *start) {
    (void)start;
    char *const argv[] = {"bwrap", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--uid", "0", "--gid", "0",
                          "--ro-bind", "/usr", "/usr", "--ro-bind", program, program, "--proc", "/proc", program, NULL};
    return run(argv);
}

int peer_bwrap_more(struct start *start) {
    (void)start;
    char *const argv[] = {"bwrap", "--unshare-all", "--uid", "0", "--gid", "0", "--ro-bind", "/usr", "/usr", "--ro-bind", program, program,
                          "--proc", "/proc", program, NULL};
    return run(argv);
}

int peer_firejail(struct start *start) {
    (void)start;
    char *const argv[] = {"firejail", "--quiet", "--noprofile", "--ipc-namespace", "--net=none", program, NULL};
    return run(argv);
}

/* A bundle beside the no-op: made once. */
static const char *bundle(void) {
    static char directory[PATH_MAX];
    if (*directory) {
        return directory;
    }
    char path[PATH_MAX + 32];
    snprintf(directory, sizeof directory, "%s-bundle", program);
    snprintf(path, sizeof path, "%s/rootfs", directory);
    mkdir(directory, 0755);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/rootfs/dev", directory);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/config.json", directory);
    FILE *out = fopen(path, "we");
    if (out) {
        fprintf(out,
                "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"rootfs\"}, \"process\": {\"terminal\": false, \"cwd\": \"/\", \"args\": [\"/no-op\"], "
                "\"user\": {\"uid\": 0, \"gid\": 0}, \"noNewPrivileges\": true, \"capabilities\": {}}, \"mounts\": ["
                "{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},"
                "{\"destination\": \"/usr\", \"type\": \"bind\", \"source\": \"/usr\", \"options\": [\"rbind\", \"ro\"]},"
                "{\"destination\": \"/no-op\", \"type\": \"bind\", \"source\": \"%s\", \"options\": [\"bind\", \"ro\"]}], "
                "\"linux\": {\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"}, {\"type\": \"mount\"}, "
                "{\"type\": \"network\"}]}}\n",
                program);
        fclose(out);
    }
    return directory;
}

/* A mount namespace whose /sys/fs/cgroup is cgroup v2 alone, which crun wants; -1: it is that here, or can't be made. */
static int namespace_for_crun(void) {
    static int namespace = -2;
    struct statfs about;
    if (namespace != -2) {
        return namespace;
    }
    namespace = -1;
    if (statfs("/sys/fs/cgroup", &about) == 0 && about.f_type == CGROUP2_SUPER_MAGIC) {
        return namespace;
    }
    int ready[2];
    if (pipe2(ready, O_CLOEXEC)) {
        return namespace;
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
            umount2("/sys/fs/cgroup", MNT_DETACH) == 0 && mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) == 0 && write(ready[1], "", 1) == 1) {
            pause();
        }
        _exit(1);
    }
    close(ready[1]);
    char path[64], byte;
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", pid);
    if (read(ready[0], &byte, 1) == 1) {
        namespace = open(path, O_RDONLY | O_CLOEXEC);
    }
    close(ready[0]);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return namespace;
}

int peer_crun(struct start *start) {
    static int home = -1;
    int namespace = namespace_for_crun();
    (void)start;
    static int runs;
    char name[64];
    snprintf(name, sizeof name, "sandbox-bench-%d-%d", getpid(), runs++);
    char *const argv[] = {"crun", "--cgroup-manager=disabled", "run", "--bundle", (char *)(uintptr_t)bundle(), name, NULL};
    if (namespace < 0) {
        return run(argv);
    }
    if (home < 0) {
        home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    }
    if (setns(namespace, CLONE_NEWNS) < 0) {
        return -errno;
    }
    int result = run(argv);
    return setns(home, CLONE_NEWNS) < 0 ? -errno : result;
}

void containers_free(void) {
    char path[PATH_MAX + 64];
    for (int i = 0; i < 6; i++) {
        static const char *const parts[] = {"/rootfs/no-op", "/rootfs/usr", "/rootfs/proc", "/rootfs/dev", "/config.json", "/rootfs"};
        snprintf(path, sizeof path, "%s-bundle%s", program, parts[i]);
        remove(path);
    }
    snprintf(path, sizeof path, "%s-bundle", program);
    rmdir(path);
}

/* ---- growth */

static double spawn_us(sandbox_cmd *cmd, int rounds) {
    double *times = calloc((size_t)rounds, sizeof *times), median = -1;
    for (int i = -2; i < rounds; i++) {
        sandbox_child *child;
        double before = now_us();
        if (sandbox_spawn(cmd, &child, NULL) < 0) {
            goto done;
        }
        sandbox_child_wait(child, -1, NULL, 0);
        sandbox_child_free(child);
        if (i >= 0) {
            times[i] = now_us() - before;
        }
    }
    median = median_of(times, rounds);
done:
    free(times);
    return median;
}

static double with_own_mounts(int count, int rounds) {
    sandbox_cmd *cmd = sandbox_cmd_new(program);
    ask_container(cmd);
    for (int i = 3; i < count; i++) {
        char target[32];
        snprintf(target, sizeof target, "/mounts/%d", i);
        if (i % 2) {
            sandbox_cmd_bind(cmd, "/usr", target, 0);
        } else {
            sandbox_cmd_tmpfs(cmd, target, 1 << 20, 0755);
        }
    }
    double median = spawn_us(cmd, rounds);
    sandbox_cmd_free(cmd);
    return median;
}

/* In a mount namespace of its own, which ends with the process. */
static double with_host_mounts(int count, int rounds) {
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%s-mounts", program);
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || (mkdir(directory, 0755) && errno != EEXIST) ||
        mount("tmpfs", directory, "tmpfs", 0, NULL)) {
        return -1;
    }
    for (int i = 0; i < count; i++) {
        char target[PATH_MAX + 16];
        snprintf(target, sizeof target, "%s/%d", directory, i);
        if (mkdir(target, 0755) || mount("tmpfs", target, "tmpfs", 0, "size=4k")) {
            return -1;
        }
    }
    sandbox_cmd *cmd = sandbox_cmd_new(program);
    ask_container(cmd);
    return spawn_us(cmd, rounds);
}

static double apart(double (*measure)(int, int), int count, int rounds) {
    double *result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *result = -1;
    pid_t pid = fork();
    if (pid == 0) {
        *result = measure(count, rounds);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    double median = *result;
    munmap(result, sizeof *result);
    return median;
}

void measure_growth(struct bench *bench) {
    static const int own[GROWTH] = {4, 16, 64, 256}, host[GROWTH] = {20, 200, 1000, 2000};
    int rounds = bench->is_quick ? 5 : 50;
    for (int i = 0; i < GROWTH; i++) {
        bench->own_mounts[i] = (struct growth){own[i], apart(with_own_mounts, own[i], rounds)};
        bench->host_mounts[i] = (struct growth){host[i], apart(with_host_mounts, host[i], rounds)};
    }
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%s-mounts", program);
    rmdir(directory);
}
