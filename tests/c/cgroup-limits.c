/* The limits of a child's cgroup, where there are controllers: what they hold, what they kill, what the status then
 * says, and that a host lives through all of it. Needs a cgroup2 directory to write in, named by SANDBOX_CGROUP. */
#include "test.h"

static struct run result;

static const char *parent(void) {
    const char *path = getenv("SANDBOX_CGROUP");
    if (!path || !*path) SKIP("no cgroup2 directory that this user may write in (SANDBOX_CGROUP)");
    return path;
}

static const char *file_at(const char *directory, const char *name) {
    static char text[4096];
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    text[0] = 0;
    if (fd >= 0) drain(fd, text, sizeof text), close(fd);
    return text;
}

static const char *file_of(const sandbox_child *child, const char *name) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fds_of(child).cgroup_fd);
    return file_at(path, name);
}

/* Skips where the parent has no such controller to give. */
static void need(const char *controller) {
    char list[4096], *at = list, *word;
    snprintf(list, sizeof list, "%s", file_at(parent(), "cgroup.controllers"));
    while ((word = strtok(at, " \n"))) {
        if (strcmp(word, controller) == 0) return;
        at = NULL;
    }
    SKIP("no %s controller in %s", controller, parent());
}

static int leaves(void) {
    DIR *directory = opendir(parent());
    int count = 0;
    CHECK(directory);
    for (struct dirent *entry; (entry = readdir(directory));) count += strncmp(entry->d_name, "sandbox-spawn-", 14) == 0;
    closedir(directory);
    return count;
}

static sandbox_cmd *with(sandbox_cmd *cmd, const char *file, const char *value) {
    CHECK_EQ(sandbox_cmd_cgroup(cmd, parent()), 0);
    CHECK_EQ(sandbox_cmd_cgroup_set(cmd, file, value), 0);
    return cmd;
}

static sandbox_cmd *with_memory(sandbox_cmd *cmd, const char *bytes) {
    need("memory");
    with(cmd, "memory.max", bytes);
    if (access("/proc/swaps", F_OK) == 0 && strchr(file_at("/proc", "swaps"), '/')) with(cmd, "memory.swap.max", "0");
    return cmd;
}

static sandbox_cmd *shell(const char *script) {
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/sh");
    sandbox_cmd_args(cmd, (const char *const[]){"-c", script, beside("act"), NULL});
    return cmd;
}

static void check_killed_for_memory(void) {
    if (result.result < 0) FAIL("spawn gave %d: %s", result.result, result.error.message);
    if (result.status.kind != SANDBOX_SIGNALED || result.status.code != SIGKILL || result.status.cause != SANDBOX_CAUSE_MEMORY || !result.status.oom_kills)
        FAIL("kind %u, code %d, cause %u, %llu killed", result.status.kind, result.status.code, result.status.cause, (unsigned long long)result.status.oom_kills);
}

TEST(memory, "memory.max kills what goes beyond it: the cause is memory, the peak is the limit, and the host lives") {
    int before = leaves();
    for (int kind = 0; kind < 4; kind++) {
        sandbox_cmd *cmd = with_memory(victim("act", "hog", "256", NULL), "33554432");
        if (kind == 1) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
        if (kind == 2) with(cmd, "memory.oom.group", "1"), sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
        if (kind == 3) with(cmd, "pids.max", "50"), sandbox_cmd_set(cmd, SANDBOX_OPT_DEATH_SIGNAL, 0);
        run(cmd, &result);
        check_killed_for_memory();
        uint64_t peak = result.status.peak_memory_bytes;
        if (peak < 16 << 20 || peak > 34 << 20) FAIL("a peak of %llu bytes", (unsigned long long)peak);
        CHECK_EQ(leaves(), before);
    }
}

TEST(within, "what stays within its limit is left alone, and its peak is told") {
    run_well(with_memory(victim("act", "hog", "16", NULL), "134217728"), &result);
    CHECK_EQ(result.status.cause, SANDBOX_CAUSE_NONE);
    CHECK_EQ(result.status.oom_kills, 0);
    uint64_t peak = result.status.peak_memory_bytes;
    if (peak < 16 << 20 || peak > 64 << 20) FAIL("a peak of %llu bytes", (unsigned long long)peak);
    CHECK_EQ(result.status.pids_peak, 1);
    /* The figures need no limit. */
    sandbox_cmd *cmd = victim("act", "hog", "16", NULL);
    CHECK_EQ(sandbox_cmd_cgroup(cmd, parent()), 0);
    run_well(cmd, &result);
    CHECK(result.status.peak_memory_bytes >= 16 << 20);
}

TEST(descendant, "a descendant that is killed for memory is counted, and is not the program's own end") {
    run(with_memory(shell("\"$0\" hog 256; exit 3"), "33554432"), &result);
    CHECK_EQ(result.status.kind, SANDBOX_EXITED);
    CHECK_EQ(result.status.code, 3);
    CHECK_EQ(result.status.cause, SANDBOX_CAUSE_NONE);
    CHECK_EQ(result.status.oom_kills, 1);
}

/* So much that the kernel, were it charged to a child's cgroup, would choose its owner; the compiler can't leave it out. */
static char *resident(size_t size) {
    char *memory = malloc(size);
    CHECK(memory);
    for (size_t at = 0; at < size; at += 4096) *(volatile char *)(memory + at) = 1;
    return memory;
}

static void *spawn_tight(void *arg) {
    run(arg, &result);
    return NULL;
}

/* Either the spawn fails, or the child is killed, or there was enough: the host lives, and nothing is left. */
TEST(tight, "a memory limit below what set-up needs fails the spawn or kills the child; the host lives") {
    int before = leaves(), failed = 0, killed = 0;
    static const char *const sizes[] = {"0", "4096", "65536", "262144", "524288", "1048576", "2097152"};
    char *memory = resident(64 << 20);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int kind = 0; kind < 5; kind++) {
            sandbox_cmd *cmd = with_memory(victim("act", "exit", "0", NULL), sizes[i]);
            if (kind == 1) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
            if (kind == 2) sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_MOUNT | SANDBOX_NS_CGROUP);
            if (kind == 3) with(cmd, "memory.oom.group", "1");
            if (kind == 4) {
                pthread_t thread;
                CHECK_EQ(pthread_create(&thread, NULL, spawn_tight, cmd), 0);
                pthread_join(thread, NULL);
            } else run(cmd, &result);
            if (result.result < 0) {
                failed++;
                if (result.error.stage == SANDBOX_STAGE_CGROUP) CHECK_HAS(result.error.message, "memory");
            } else if (result.status.kind == SANDBOX_SIGNALED) {
                killed++;
                check_killed_for_memory();
            }
            CHECK_EQ(leaves(), before);
        }
    for (size_t at = 0; at < 64 << 20; at += 4096) CHECK_EQ(memory[at], 1);
    free(memory);
    if (!failed) FAIL("no limit was too low (%d children were killed)", killed);
}

struct neighbour {
    char group[PATH_MAX];
    pid_t pid;
};

/* Uses up what the child's parent has while that child stands at its gate. */
static int neighbour_runs_out(pid_t pid, int pidfd, void *userdata) {
    struct neighbour *neighbour = userdata;
    int status;
    (void)pid, (void)pidfd;
    neighbour->pid = fork();
    if (neighbour->pid == 0) {
        char path[PATH_MAX + 32];
        snprintf(path, sizeof path, "%s/cgroup.procs", neighbour->group);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) != 1) _exit(3);
        execl(beside("act"), "act", "hog", "64", (char *)NULL);
        _exit(4);
    }
    CHECK_EQ(waitpid(neighbour->pid, &status, 0), neighbour->pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : -EIO;
}

TEST(neighbour, "a neighbour that uses up the memory of the leaf's parent ends no host: the child comes in when it has left that one's memory") {
    need("memory");
    char above[PATH_MAX], text[64];
    snprintf(above, sizeof above, "%s/limited-%d", parent(), getpid());
    struct neighbour neighbour;
    snprintf(neighbour.group, sizeof neighbour.group, "%.4000s/neighbour", above);
    char path[PATH_MAX + 32];
    CHECK_EQ(mkdir(above, 0755), 0);
    snprintf(path, sizeof path, "%.4000s/cgroup.subtree_control", above);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && write(fd, "+memory", 7) == 7);
    close(fd);
    snprintf(path, sizeof path, "%.4000s/memory.max", above);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && write(fd, "33554432", 8) == 8);
    close(fd);
    CHECK_EQ(mkdir(neighbour.group, 0755), 0);
    char *memory = resident(96 << 20);
    for (int kind = 0; kind < 2; kind++) {
        sandbox_cmd *cmd = shell("cat /proc/self/cgroup");
        CHECK_EQ(sandbox_cmd_cgroup(cmd, above), 0);
        if (kind) sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID);
        CHECK_EQ(sandbox_cmd_on_ready(cmd, neighbour_runs_out, &neighbour), 0);
        CHECK_HAS(run_well(cmd, &result), "/sandbox-spawn-");
        snprintf(text, sizeof text, "/limited-%d/", getpid());
        CHECK_HAS(result.out, text);
    }
    free(memory);
    CHECK_EQ(rmdir(neighbour.group), 0);
    CHECK_EQ(rmdir(above), 0);
}

TEST(refused, "a value that the kernel refuses fails the spawn, whenever it is written") {
    sandbox_child *child;
    sandbox_error error;
    int before = leaves();
    need("memory");
    sandbox_cmd *cmd = with(with(victim("act", "exit", "0", NULL), "memory.max", "max"), "memory.high", "a lot");
    CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, EINVAL, SANDBOX_STAGE_CGROUP, 1, "memory.high \"a lot\"");
    sandbox_cmd_free(cmd);
    need("pids");
    cmd = with(with(victim("act", "exit", "0", NULL), "memory.max", "max"), "pids.max", "-5");
    CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, EINVAL, SANDBOX_STAGE_CGROUP, 1, "pids.max \"-5\"");
    sandbox_cmd_free(cmd);
    cmd = with(victim("act", "exit", "0", NULL), "pids.maximum", "5");
    CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, ENOENT, SANDBOX_STAGE_CGROUP, 0, "no such file");
    sandbox_cmd_free(cmd);
    CHECK_EQ(leaves(), before);
}

TEST(written, "the files hold what was asked for, those of memory written where the host's memory is left") {
    need("memory"), need("cpu");
    sandbox_cmd *cmd = with_memory(victim("act", "sleep", "60000", NULL), "67108864");
    with(with(with(cmd, "memory.high", "50331648"), "cpu.weight", "50"), "memory.low", "4096");
    char text[6000];
    CHECK(sandbox_cmd_explain(cmd, text, sizeof text, NULL) > 0);
    char *border = strstr(text, "memory of its own"), *gate = strstr(text, "while the host writes memory.max \"67108864\"");
    CHECK(border && gate && border < gate);
    sandbox_child *child = spawned(cmd);
    CHECK_STR(file_of(child, "memory.max"), "67108864\n");
    CHECK_STR(file_of(child, "memory.high"), "50331648\n");
    CHECK_STR(file_of(child, "memory.low"), "4096\n");
    CHECK_STR(file_of(child, "cpu.weight"), "50\n");
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(pids, "a fork bomb is held by pids.max, its peak told; freeing ends it") {
    int before = leaves();
    need("pids");
    run_well(with(victim("act", "bomb", "200", NULL), "pids.max", "20"), &result);
    CHECK_STR(result.out, "19\n");
    CHECK_EQ(result.status.pids_peak, file_at(parent(), "pids.peak")[0] ? 20 : 0);
    for (int kind = 0; kind < 2; kind++) {
        sandbox_cmd *cmd = with(shell("bomb() { bomb & bomb & }; echo ready; bomb 2>/dev/null; while :; do bomb; done 2>/dev/null"), "pids.max", "60");
        sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
        sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_NULL, -1);
        if (kind) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
        sandbox_child *child = spawned(cmd);
        char ready;
        CHECK_EQ(read(fds_of(child).stdout_fd, &ready, 1), 1);
        for (int round = 0; round < 2000 && atoi(file_of(child, "pids.current")) < 55; round++) pause_ms(5);
        if (atoi(file_of(child, "pids.current")) > 60) FAIL("%s processes", file_of(child, "pids.current"));
        if (kind) CHECK_EQ(sandbox_child_kill_all(child), 0);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
        CHECK_EQ(leaves(), before);
    }
}

TEST(few_pids, "the init counts as one process; where there is no room the spawn fails, and says why") {
    sandbox_child *child;
    sandbox_error error;
    need("pids");
    run_well(with(victim("act", "exit", "0", NULL), "pids.max", "1"), &result);
    sandbox_cmd *cmd = with(victim("act", "exit", "0", NULL), "pids.max", "0");
    CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, EAGAIN, SANDBOX_STAGE_CLONE, 0, "pids.max");
    sandbox_cmd_free(cmd);
    cmd = with(victim("act", "exit", "0", NULL), "pids.max", "1");
    sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, EAGAIN, SANDBOX_STAGE_INIT, 0, "init");
    sandbox_cmd_free(cmd);
    cmd = with(victim("act", "exit", "7", NULL), "pids.max", "2");
    sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    run(cmd, &result);
    CHECK_EQ(result.status.code, 7);
}

TEST(cpu, "cpu.max throttles, and the CPU times are the group's") {
    need("cpu");
    sandbox_cmd *cmd = with(victim("act", "spin", "300", NULL), "cpu.max", "20000 100000");
    sandbox_child *child = spawned(cmd);
    sandbox_status status;
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(status.code, 0);
    const char *throttled = strstr(file_of(child, "cpu.stat"), "nr_throttled ");
    CHECK(throttled && atoi(throttled + 13) > 0);
    uint64_t used = status.user_time_us + status.system_time_us;
    if (used < 290000 || status.wall_time_us < used) FAIL("%llu us of %llu us", (unsigned long long)used, (unsigned long long)status.wall_time_us);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(cpuset, "cpuset.cpus holds it to a processor") {
    need("cpuset");
    run_well(with(shell("grep Cpus_allowed_list /proc/self/status"), "cpuset.cpus", "0"), &result);
    CHECK_HAS(result.out, "Cpus_allowed_list:\t0\n");
}

TEST(frozen, "what waits for memory or is held back can be frozen and killed") {
    need("memory");
    sandbox_cmd *cmd = with_memory(victim("act", "spin", "60000", NULL), "33554432");
    sandbox_child *child = spawned(cmd);
    CHECK_EQ(sandbox_child_freeze(child, 1), 0);
    CHECK(strstr(file_of(child, "cgroup.events"), "frozen 1"));
    CHECK_EQ(sandbox_child_kill(child, SIGKILL), 0);
    sandbox_status status;
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(status.cause, SANDBOX_CAUSE_KILLED);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(inhabited, "a parent that holds processes can give no controller: that is said") {
    sandbox_child *child;
    sandbox_error error;
    char path[PATH_MAX], procs[PATH_MAX];
    need("memory");
    run_well(with_memory(victim("act", "exit", "0", NULL), "max"), &result); /* now the parent gives its children the controller */
    snprintf(path, sizeof path, "%s/inhabited", parent());
    snprintf(procs, sizeof procs, "%.4000s/cgroup.procs", path);
    CHECK_EQ(mkdir(path, 0755), 0);
    pid_t inhabitant = fork();
    if (inhabitant == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) pause();
    }
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    int moved = dprintf(fd, "%d", inhabitant);
    close(fd);
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL), *plain = victim("act", "exit", "0", NULL);
    CHECK_EQ(sandbox_cmd_cgroup(plain, path), 0);
    CHECK_EQ(sandbox_cmd_cgroup(cmd, path), 0);
    CHECK_EQ(sandbox_cmd_cgroup_set(cmd, "cgroup.max.depth", "2"), 0);
    CHECK_EQ(sandbox_cmd_cgroup_set(cmd, "memory.max", "33554432"), 0);
    int code = sandbox_spawn(cmd, &child, &error);
    run(plain, &result); /* a leaf without controllers can be had */
    kill(inhabitant, SIGKILL);
    waitpid(inhabitant, NULL, 0);
    int removed = rmdir(path);
    CHECK(moved > 0);
    CHECK_ERROR(code, error, EBUSY, SANDBOX_STAGE_CGROUP, 1, "holds processes");
    CHECK(result.result == 0 && result.status.code == 0);
    CHECK_EQ(removed, 0);
    sandbox_cmd_free(cmd);
}

TEST(found, "with NULL a parent is found that can give what is asked for") {
    need("memory"), need("pids");
    unsetenv("SANDBOX_CGROUP");
    sandbox_cmd *cmd = victim("act", "hog", "256", NULL);
    CHECK_EQ(sandbox_cmd_cgroup_set(cmd, "pids.max", "10"), 0);
    CHECK_EQ(sandbox_cmd_cgroup_set(cmd, "memory.max", "33554432"), 0);
    run(cmd, &result);
    if (result.result == -EBUSY || result.result == -ENOENT || result.result == -EACCES) {
        CHECK_EQ(result.error.stage, SANDBOX_STAGE_CGROUP);
        CHECK_HAS(result.error.message, "in this process's cgroup");
        SKIP("%s", result.error.message);
    }
    check_killed_for_memory();
}
