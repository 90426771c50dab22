/* The warm pool: what a child has done before it is held, and what of its run must not be hindered by that. */
#include "test.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

static sandbox_error error;

/* A full pool of one child; where it can't be had, `code` tells of the refill. */
static sandbox_pool *pool_of(sandbox_cmd *cmd) {
    sandbox_pool *pool = sandbox_pool_new(cmd, 1);
    CHECK(pool);
    int missing = sandbox_pool_refill(pool, &error);
    if (missing != 0) FAIL("the pool was not full: %d, %s", missing, error.message);
    return pool;
}

static sandbox_status status;

/* Runs `override`, or the pool's own, and gives its output. */
static const char *output(sandbox_pool *pool, sandbox_cmd *override) {
    static char text[24000];
    sandbox_child *child;
    if (override) sandbox_cmd_stdio(override, 1, SANDBOX_STDIO_PIPE, -1);
    int result = sandbox_pool_spawn(pool, override, &child, &error);
    if (result < 0) FAIL("spawn gave %d: %s[%u], %s", result, sandbox_stage_name(error.stage), error.index, error.message);
    drain(fds_of(child).stdout_fd, text, sizeof text);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    sandbox_child_free(child);
    sandbox_cmd_free(override);
    return text;
}

/* A line of the status of this process's one child. */
static const char *held_status(const char *key) {
    static char line[256];
    char path[64];
    int pid = 0;
    FILE *list = fopen("/proc/thread-self/children", "re");
    if (!list || fscanf(list, "%d", &pid) != 1) SKIP("/proc lists no children");
    fclose(list);
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    CHECK(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':') {
            line[strcspn(line, "\n")] = '\0';
            fclose(file);
            return line + strlen(key) + 2;
        }
    }
    fclose(file);
    return "";
}

static sandbox_filter *denying(const char *syscall, uint32_t action) {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    CHECK_EQ(sandbox_filter_rule(filter, action, syscall, NULL, 0), 0);
    return filter;
}

TEST(held, "a held child has its capabilities dropped, no_new_privs and its filters; so has the run") {
    sandbox_cmd *cmd = victim("report", "status:CapEff", "status:CapPrm", "status:NoNewPrivs", "status:Seccomp", NULL);
    sandbox_filter *filter = denying("swapoff", SANDBOX_ACT_ERRNO(1));
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_filter(cmd, filter);
    sandbox_pool *pool = pool_of(cmd);
    CHECK_STR(held_status("CapEff"), "0000000000000000");
    CHECK_STR(held_status("CapPrm"), "0000000000000000");
    CHECK_STR(held_status("NoNewPrivs"), "1");
    CHECK_STR(held_status("Seccomp"), "2");
    if (has_cap(8 /* SETPCAP */)) CHECK_STR(held_status("CapBnd"), "0000000000000000");
    CHECK_STR(output(pool, NULL), "status:CapEff: 0000000000000000\nstatus:CapPrm: 0000000000000000\nstatus:NoNewPrivs: 1\nstatus:Seccomp: 2\n");
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
    sandbox_filter_free(filter);
}

/* Calls that a run's own steps make, each with the action that would be worst. */
TEST(strict, "a filter that a run's own steps could not pass waits for the run, and holds in it") {
    static const char *const steps[] = {"dup3", "recvmsg", "ppoll", "rt_sigpending", "fcntl", "openat2", "fchdir", "chdir", "madvise", "close_range", "setsid"};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        for (int kills = 0; kills < 2; kills++) {
            sandbox_cmd *cmd = victim("report", "status:Seccomp", "cwd", "fds", NULL), *run;
            sandbox_filter *filter = denying(steps[i], kills ? SANDBOX_ACT_KILL_PROCESS : SANDBOX_ACT_ERRNO(ENOTTY));
            sandbox_cmd_filter(cmd, filter);
            sandbox_pool *pool = pool_of(cmd);
            CHECK_STR(held_status("Seccomp"), "0");
            run = victim("report", "status:Seccomp", NULL);
            sandbox_cmd_cwd(run, "/usr");
            sandbox_cmd_pass_fd(run, 2, 9);
            const char *seen = output(pool, run);
            if (strcmp(seen, "status:Seccomp: 2\n")) FAIL("%s: it reports \"%s\"", steps[i], seen);
            sandbox_pool_free(pool);
            sandbox_cmd_free(cmd);
            sandbox_filter_free(filter);
        }
    }
}

TEST(argument, "a filter that refuses by argument what a run's steps call otherwise is loaded ahead") {
    sandbox_cmd *cmd = victim("report", "status:Seccomp", NULL);
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_arg inject = {.index = 1, .op = SANDBOX_CMP_EQ, .value = 0x5412}, dump = {.index = 0, .op = SANDBOX_CMP_EQ, .value = 22},
                executable = {.index = 2, .op = SANDBOX_CMP_MASKED_EQ, .value = 4, .mask = 4};
    sandbox_filter_rule(filter, SANDBOX_ACT_KILL_PROCESS, "ioctl", &inject, 1);
    sandbox_filter_rule(filter, SANDBOX_ACT_KILL_PROCESS, "prctl", &dump, 1);
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(1), "mmap", &executable, 1);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_filter(cmd, filter);
    sandbox_pool *pool = pool_of(cmd);
    CHECK_STR(held_status("Seccomp"), "2");
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
    sandbox_filter_free(filter);
}

TEST(cause, "a death by a filter is known as that with its system call, whether it was loaded ahead or not") {
    for (int late = 0; late < 2; late++) {
        sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
        sandbox_filter *filter = denying("sysinfo", SANDBOX_ACT_KILL_PROCESS);
        if (late) sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(1), "dup3", NULL, 0);
        sandbox_cmd_filter(cmd, filter);
        sandbox_pool *pool = pool_of(cmd);
        CHECK_STR(held_status("Seccomp"), late ? "0" : "2");
        output(pool, victim("report", "sysinfo", NULL));
        CHECK(status.kind == SANDBOX_SIGNALED && status.code == SIGSYS);
        CHECK_EQ(status.cause, SANDBOX_CAUSE_FILTER);
        CHECK_EQ(status.syscall, SYS_sysinfo);
        sandbox_pool_free(pool);
        sandbox_cmd_free(cmd);
        sandbox_filter_free(filter);
    }
}

TEST(limits, "a run gets its fds and its room under small limits of the pool's, which the program has") {
    static char large[100001];
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    memset(large, 'x', sizeof large - 1);
    sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
    sandbox_cmd_rlimit(cmd, RLIMIT_NOFILE, 8, 8);
    sandbox_cmd_rlimit(cmd, RLIMIT_AS, 64 << 20, 64 << 20);
    sandbox_cmd_rlimit(cmd, RLIMIT_FSIZE, 1, 1);
    sandbox_pool *pool = pool_of(cmd);
    sandbox_cmd *run = victim("report", "rlimit:7", "rlimit:4", "rlimit:9", "rlimit:1", "fds", NULL);
    for (int fd = 20; fd < 50; fd++) CHECK_EQ(sandbox_cmd_pass_fd(run, 2, fd), 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(sandbox_cmd_env(run, i ? i == 1 ? "A" : "B" : "C", large), 0);
    char wanted[400], *at = wanted;
    at += sprintf(at, "rlimit:7: 8 8\nrlimit:4: 0 0\nrlimit:9: %d %d\nrlimit:1: 1 1\nfds: 0 1 2 ", 64 << 20, 64 << 20);
    for (int fd = 20; fd < 50; fd++) at += sprintf(at, "%d ", fd);
    sprintf(at, "\n");
    CHECK_STR(output(pool, run), wanted);
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(table, "fds for which the held child's table has no room are an error, whether some of them have found it or none") {
    for (int count = 10; count < 200; count += 60) {
        struct rlimit whole, small;
        sandbox_child *child;
        sandbox_cmd *cmd = sandbox_cmd_new("/bin/true"), *run = sandbox_cmd_new("/bin/true");
        CHECK_EQ(getrlimit(RLIMIT_NOFILE, &whole), 0);
        small = (struct rlimit){.rlim_cur = 40, .rlim_max = whole.rlim_max};
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &small), 0);
        sandbox_pool *pool = pool_of(cmd); /* the child takes the limit over */
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &whole), 0);
        for (int fd = 3; fd < 3 + count; fd++) CHECK_EQ(sandbox_cmd_pass_fd(run, 2, fd), 0);
        int result = sandbox_pool_spawn(pool, run, &child, &error);
        if (count < 30) {
            CHECK_EQ(result, 0);
            sandbox_child_free(child);
        } else {
            CHECK_ERROR(result, error, EMFILE, SANDBOX_STAGE_GATE, 0, "fds");
        }
        sandbox_pool_free(pool);
        sandbox_cmd_free(cmd);
        sandbox_cmd_free(run);
    }
}

TEST(counted, "those who wait are not counted against a limit of processes of the run's user") {
    if (geteuid() != 0) SKIP("it needs root, to become a user who has no process");
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
    sandbox_cmd_user(cmd, 64399, 64399);
    sandbox_cmd_rlimit(cmd, RLIMIT_NPROC, 1, 1);
    sandbox_pool *pool = sandbox_pool_new(cmd, 4);
    CHECK_EQ(sandbox_pool_refill(pool, &error), 0);
    for (int i = 0; i < 4; i++) {
        output(pool, NULL);
        CHECK(status.kind == SANDBOX_EXITED && status.code == 0);
    }
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(user, "a held child is the run's user already, and the run's directory is looked up as that") {
    if (geteuid() != 0) SKIP("it needs root, to become another user");
    char closed[] = "/tmp/pool-ahead.XXXXXX";
    CHECK(mkdtemp(closed));
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
    sandbox_child *child;
    sandbox_cmd_user(cmd, 64399, 64399);
    sandbox_pool *pool = pool_of(cmd);
    CHECK_STR(held_status("Uid"), "64399\t64399\t64399\t64399");
    CHECK_STR(held_status("Groups"), " ");
    sandbox_cmd *run = sandbox_cmd_new("/bin/true");
    sandbox_cmd_cwd(run, closed);
    CHECK_ERROR(sandbox_pool_spawn(pool, run, &child, &error), error, EACCES, SANDBOX_STAGE_CWD, 0, closed);
    sandbox_cmd_free(run);
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
    CHECK_EQ(rmdir(closed), 0);
}

static void drop_user(void) {
    CHECK(setgroups(0, NULL) == 0 && setresgid(64399, 64399, 64399) == 0 && setresuid(64399, 64399, 64399) == 0);
}
static void drop_groups(void) { CHECK_EQ(setgroups(1, &(gid_t){64399}), 0); }
static void drop_capability(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    CHECK_EQ(syscall(SYS_capget, &head, sets), 0);
    sets[0].effective &= ~(1u << CAP_SYS_TIME), sets[0].permitted &= ~(1u << CAP_SYS_TIME);
    CHECK_EQ(syscall(SYS_capset, &head, sets), 0);
}

TEST(dropped, "of what its host may do no more a held child does nothing: another is set up in its place") {
    if (geteuid() != 0 || !has_cap(CAP_SYS_TIME)) SKIP("it needs root, to become less");
    void (*const drop[])(void) = {drop_capability, drop_groups, drop_user};
    static const char *const wanted[] = {"uid: 0 0\n", "uid: 0 0\n", "uid: 64399 64399\n"};
    sandbox_pool *pools[2];
    sandbox_cmd *cmds[2];
    for (int init = 0; init < 2; init++) {
        cmds[init] = victim("report", "uid", NULL);
        sandbox_cmd_set(cmds[init], SANDBOX_OPT_INIT, (uint64_t)init);
        sandbox_cmd_stdio(cmds[init], 1, SANDBOX_STDIO_PIPE, -1);
        pools[init] = sandbox_pool_new(cmds[init], 2);
    }
    for (int step = 0; step < 3; step++) {
        for (int init = 0; init < 2; init++) {
            CHECK(sandbox_pool_refill(pools[init], &error) >= 0);
            CHECK_EQ(sandbox_pool_refill(pools[init], &error), 0);
        }
        drop[step]();
        for (int init = 0; init < 2; init++) {
            CHECK_STR(output(pools[init], NULL), wanted[step]);
            CHECK_EQ(sandbox_pool_refill(pools[init], &error), 2);
        }
    }
    for (int init = 0; init < 2; init++) sandbox_pool_free(pools[init]), sandbox_cmd_free(cmds[init]);
}

TEST(dropped_free, "a pool whose host has dropped its privileges can be freed") {
    if (geteuid() != 0) SKIP("it needs root, to become another user");
    for (int init = 0; init < 2; init++) {
        sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
        sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)init);
        sandbox_pool *pool = pool_of(cmd);
        CHECK_EQ(syscall(SYS_setresuid, -1, 64399, -1), 0);
        sandbox_pool_free(pool);
        CHECK_EQ(syscall(SYS_setresuid, -1, 0, -1), 0);
        sandbox_cmd_free(cmd);
    }
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
    sandbox_pool *pool = pool_of(cmd);
    drop_user();
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(stages, "what fails before a child is held is the refill's and the spawn's error, with its stage and index") {
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
    sandbox_child *child;
    sandbox_cmd_landlock_path(cmd, "/", SANDBOX_LANDLOCK_READ_EXECUTE);
    sandbox_cmd_landlock_path(cmd, "/no/such/path", SANDBOX_LANDLOCK_READ);
    sandbox_pool *pool = sandbox_pool_new(cmd, 2);
    int result = sandbox_pool_refill(pool, &error);
    if (result == -EOPNOTSUPP) SKIP("%s", error.message);
    CHECK_ERROR(result, error, ENOENT, SANDBOX_STAGE_LANDLOCK, 1, "/no/such/path");
    CHECK_ERROR(sandbox_pool_spawn(pool, NULL, &child, &error), error, ENOENT, SANDBOX_STAGE_LANDLOCK, 1, "/no/such/path");
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(landlock, "what Landlock denies the program does not hinder its run's own steps: streams, directory, passed fds") {
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
    sandbox_cmd_landlock_path(cmd, "/", SANDBOX_LANDLOCK_EXECUTE | SANDBOX_LANDLOCK_READ_FILE);
    sandbox_cmd_set(cmd, SANDBOX_OPT_ALLOW_LESS_LANDLOCK, 1);
    sandbox_pool *pool = pool_of(cmd);
    sandbox_cmd *run = victim("report", "cwd", NULL);
    sandbox_cmd_cwd(run, "/usr");
    sandbox_cmd_stdio(run, 0, SANDBOX_STDIO_PTY, -1);
    sandbox_cmd_pass_fd(run, 2, 9);
    CHECK_STR(output(pool, run), "cwd: /usr\n");
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(left_out, "what a child left out before it was held is in the run's status") {
    /* A kernel without Landlock. */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0), 0);
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_landlock_path(cmd, "/", SANDBOX_LANDLOCK_READ_EXECUTE);
    sandbox_cmd_set(cmd, SANDBOX_OPT_ALLOW_LESS_LANDLOCK, 1);
    sandbox_pool *pool = pool_of(cmd);
    for (int own = 0; own < 2; own++) {
        output(pool, own ? victim("act", "exit", "0", NULL) : NULL);
        CHECK_EQ(status.left_out, SANDBOX_LEFT_OUT_LANDLOCK);
        CHECK(status.landlock_fs_left_out & SANDBOX_LANDLOCK_READ_FILE);
    }
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}
