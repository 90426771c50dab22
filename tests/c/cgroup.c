/* The child's own cgroup: made, entered, frozen, killed, removed; after a crash of its host too. Needs a cgroup2
 * directory to write in, named by SANDBOX_CGROUP; no controller. Limits are cgroup-limits.c's. */
#include "test.h"
#include <sched.h>
#include <sys/file.h>
#include <sys/vfs.h>

static struct run result;

static const char *parent(void) {
    const char *path = getenv("SANDBOX_CGROUP");
    if (!path || !*path) SKIP("no cgroup2 directory that this user may write in (SANDBOX_CGROUP)");
    return path;
}

static int leaves(void) {
    DIR *directory = opendir(parent());
    int count = 0;
    CHECK(directory);
    for (struct dirent *entry; (entry = readdir(directory));) count += strncmp(entry->d_name, "sandbox-spawn-", 14) == 0;
    closedir(directory);
    return count;
}

/* Below /proc, what the number names is told without being signalled. */
static bool is_alive(pid_t pid) {
    char path[64], line[512], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    if (fgets(line, sizeof line, file)) sscanf(strrchr(line, ')') + 1, " %c", &state);
    fclose(file);
    return state != 'Z' && state != 'X';
}

static bool dies(pid_t pid) {
    for (int round = 0; round < 2000 && is_alive(pid); round++) pause_ms(5);
    return !is_alive(pid);
}

static const char *file_of(int directory, const char *name) {
    static char text[4096];
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    text[0] = 0;
    if (fd >= 0) drain(fd, text, sizeof text), close(fd);
    return text;
}

static sandbox_cmd *grouped(sandbox_cmd *cmd) {
    CHECK_EQ(sandbox_cmd_cgroup(cmd, parent()), 0);
    return cmd;
}

static sandbox_cmd *shell(const char *script) {
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/sh");
    sandbox_cmd_args(cmd, (const char *const[]){"-c", script, NULL});
    return cmd;
}

/* Spawns a victim that prints a pid first; its output is a pipe. */
static sandbox_child *spawned_with_pid(sandbox_cmd *cmd, pid_t *pid) {
    char line[32] = "";
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    int out = fds_of(child).stdout_fd;
    for (size_t at = 0; at + 1 < sizeof line && !strchr(line, '\n') && read(out, line + at, 1) == 1; at++) {}
    *pid = atoi(line);
    CHECK(*pid > 0);
    return child;
}

/* What an ordinary user needs beside them. */
static uint64_t allowed(uint64_t namespaces) { return has_cap(21) ? namespaces : namespaces | SANDBOX_NS_USER; }

/* Skips where this machine allows no such namespace. */
static void unshared(sandbox_cmd *cmd, uint64_t namespaces) {
    sandbox_cmd *probe = victim("act", "exit", "0", NULL);
    CHECK_EQ(sandbox_cmd_unshare(probe, allowed(namespaces)), 0);
    run(probe, &result);
    if (result.result < 0) SKIP("%s", result.error.message);
    CHECK_EQ(sandbox_cmd_unshare(cmd, allowed(namespaces)), 0);
}

TEST(leaf, "the child runs in a fresh leaf of its own, which goes with its handle") {
    int before = leaves();
    pid_t pid;
    sandbox_cmd *cmd = grouped(shell("echo $$; while read -r line; do echo $line; done </proc/self/cgroup; exec sleep 60"));
    sandbox_child *child = spawned_with_pid(cmd, &pid);
    char text[4096] = "", number[16];
    for (size_t at = 0; !strstr(text, "0::") || !strchr(strstr(text, "0::"), '\n'); at++) CHECK_EQ(read(fds_of(child).stdout_fd, text + at, 1), 1);
    CHECK_HAS(strstr(text, "0::"), "/sandbox-spawn-");
    int group = fds_of(child).cgroup_fd;
    struct statfs info;
    CHECK(fstatfs(group, &info) == 0 && info.f_type == 0x63677270);
    CHECK_EQ(fcntl(group, F_GETFD), FD_CLOEXEC);
    snprintf(number, sizeof number, "%d\n", sandbox_child_pid(child));
    CHECK_STR(file_of(group, "cgroup.procs"), number);
    CHECK_EQ(leaves(), before + 1);
    int taken = sandbox_child_take_fd(child, SANDBOX_FD_CGROUP);
    CHECK(taken > 2 && taken != group);
    CHECK_STR(file_of(taken, "cgroup.procs"), number);
    CHECK_EQ(sandbox_child_take_fd(child, SANDBOX_FD_CGROUP), -EBADF);
    CHECK_EQ(fds_of(child).cgroup_fd, -1);
    sandbox_child_free(child);
    CHECK_EQ(leaves(), before);
    CHECK_STR(file_of(taken, "cgroup.procs"), "");
    close(taken);
    sandbox_cmd_free(cmd);
}

TEST(every_kind, "so it does with an init, with namespaces, with a callback, and from another thread") {
    int before = leaves();
    for (int kind = 0; kind < 5; kind++) {
        sandbox_cmd *cmd = grouped(shell("cat /proc/self/cgroup; cat /proc/$PPID/cgroup 2>/dev/null"));
        if (kind == 1) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
        if (kind == 2) unshared(cmd, SANDBOX_NS_PID | SANDBOX_NS_IPC), sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
        if (kind == 3) sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 500);
        if (kind == 4) sandbox_cmd_set(cmd, SANDBOX_OPT_RANDOM_FDS, 1);
        run_well(cmd, &result);
        CHECK_HAS(result.out, "/sandbox-spawn-");
        if (kind == 1) CHECK_HAS(strstr(result.out, "/sandbox-spawn-") + 14, "/sandbox-spawn-"); /* the init too */
        CHECK_EQ(leaves(), before);
    }
}

static void *spawn_some(void *arg) {
    for (int i = 0; i < scaled(20); i++) {
        struct run *mine = calloc(1, sizeof *mine);
        run_well(grouped(shell("cat /proc/self/cgroup")), mine);
        CHECK_HAS(mine->out, "/sandbox-spawn-");
        free(mine);
    }
    return arg;
}

TEST(threads, "threads that spawn at once get a leaf each, and leave none") {
    int before = leaves();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, spawn_some, NULL), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(leaves(), before);
}

TEST(namespace, "with a cgroup namespace the leaf is the root that the child sees") {
    sandbox_cmd *cmd = grouped(shell("cat /proc/self/cgroup"));
    unshared(cmd, SANDBOX_NS_CGROUP);
    run_well(cmd, &result);
    CHECK(strstr(result.out, "0::/\n"));
}

TEST(descendants, "freeing ends every descendant, also when the program has ended before them") {
    int before = leaves();
    for (int kind = 0; kind < 4; kind++) {
        pid_t orphan;
        sandbox_cmd *cmd = grouped(victim("act", kind % 2 ? "orphan" : "orphan-and-sleep", NULL));
        if (kind > 1) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
        sandbox_child *child = spawned_with_pid(cmd, &orphan);
        if (kind == 1) {
            sandbox_status status;
            CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
            CHECK(status.kind == SANDBOX_EXITED && status.code == 0);
            CHECK(is_alive(orphan));
        }
        sandbox_child_free(child);
        CHECK(!is_alive(orphan));
        CHECK_EQ(leaves(), before);
        sandbox_cmd_free(cmd);
    }
}

TEST(kill, "SIGKILL through the handle ends the descendants too, and kill_all after the program's own end") {
    pid_t orphan;
    sandbox_status status;
    sandbox_cmd *cmd = grouped(victim("act", "orphan-and-sleep", NULL));
    sandbox_child *child = spawned_with_pid(cmd, &orphan);
    CHECK_EQ(sandbox_child_kill(child, SIGKILL), 0);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK(status.kind == SANDBOX_SIGNALED && status.code == SIGKILL && status.cause == SANDBOX_CAUSE_KILLED);
    CHECK(dies(orphan));
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);

    cmd = grouped(victim("act", "orphan", NULL));
    child = spawned_with_pid(cmd, &orphan);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(sandbox_child_kill(child, SIGKILL), -ESRCH);
    CHECK(is_alive(orphan));
    CHECK_EQ(sandbox_child_kill_all(child), 0);
    CHECK(dies(orphan));
    CHECK_EQ(sandbox_child_kill_all(child), 0);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK(status.kind == SANDBOX_EXITED && status.cause == SANDBOX_CAUSE_NONE);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(kill_all, "kill_all ends everything by a pid namespace or an init, and says so where nothing holds it") {
    sandbox_status status;
    for (int kind = 0; kind < 3; kind++) {
        pid_t orphan = 0;
        sandbox_cmd *cmd = victim("act", "orphan-and-sleep", NULL);
        if (kind == 1) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
        if (kind == 2) unshared(cmd, SANDBOX_NS_PID);
        sandbox_child *child = spawned_with_pid(cmd, &orphan);
        CHECK_EQ(sandbox_child_kill_all(child), kind == 0 ? -ENOTSUP : 0);
        CHECK_EQ(sandbox_child_freeze(child, 1), -ENOTSUP);
        CHECK_EQ(sandbox_child_freeze(child, 2), -EINVAL);
        if (kind) {
            CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
            CHECK(status.kind == SANDBOX_SIGNALED && status.code == SIGKILL);
            CHECK_EQ(sandbox_child_kill_all(child), 0);
        }
        sandbox_child_free(child);
        if (kind == 1) CHECK(dies(orphan));
        if (kind == 0) kill(orphan, SIGKILL); /* this test's own, seen alive: nothing else would end it */
        sandbox_cmd_free(cmd);
    }
}

TEST(freeze, "what is frozen does nothing, goes on when let, and can be killed") {
    sandbox_cmd *cmd = grouped(victim("act", "catch", NULL));
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    sandbox_fds fds = fds_of(child);
    char text[8] = "";
    for (size_t at = 0; at < 6; at++) CHECK_EQ(read(fds.stdout_fd, text + at, 1), 1);
    for (int round = 0; round < 3; round++) {
        CHECK_EQ(sandbox_child_freeze(child, 1), 0);
        CHECK_HAS(file_of(fds.cgroup_fd, "cgroup.events"), "frozen 1");
        CHECK_EQ(sandbox_child_kill(child, SIGUSR1), 0);
        struct pollfd answer = {fds.stdout_fd, POLLIN, 0};
        CHECK_EQ(poll(&answer, 1, 50), 0); /* a failure only if it runs: nothing is decided by the time */
        CHECK_EQ(sandbox_child_freeze(child, 0), 0);
        CHECK_HAS(file_of(fds.cgroup_fd, "cgroup.events"), "frozen 0");
        CHECK(read(fds.stdout_fd, text, sizeof text - 1) > 0);
        CHECK_EQ(atoi(text), SIGUSR1);
    }
    CHECK_EQ(sandbox_child_freeze(child, 1), 0);
    CHECK_EQ(sandbox_child_freeze(child, 1), 0);
    CHECK_EQ(sandbox_child_kill_all(child), 0);
    CHECK(ends(fds.pidfd));
    sandbox_child_free(child);
    child = spawned(cmd);
    CHECK_EQ(sandbox_child_freeze(child, 1), 0);
    sandbox_child_free(child); /* frozen, and freed */
    sandbox_cmd_free(cmd);
}

TEST(times, "the CPU times are the whole group's, whoever reaped") {
    sandbox_cmd *cmd = grouped(shell("(\"$0\" spin 150; echo done) & read line <&3; exit 0"));
    sandbox_cmd_arg(cmd, beside("act"));
    int ends_of[2];
    CHECK_EQ(pipe2(ends_of, O_CLOEXEC), 0);
    sandbox_cmd_pass_fd(cmd, ends_of[0], 3);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    char text[8] = "";
    CHECK(read(fds_of(child).stdout_fd, text, sizeof text - 1) > 0); /* has spun, and was reaped by nobody that waits for the child */
    CHECK_EQ(write(ends_of[1], "\n", 1), 1);
    sandbox_status status, again;
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    if (status.user_time_us + status.system_time_us < 150000) FAIL("%llu us", (unsigned long long)(status.user_time_us + status.system_time_us));
    CHECK_EQ(sandbox_child_wait(child, -1, &again, sizeof again), 0);
    CHECK(memcmp(&status, &again, sizeof status) == 0);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    close(ends_of[0]), close(ends_of[1]);
}

static int refuse(int32_t pid, int pidfd, void *userdata) { return (void)pid, (void)pidfd, (void)userdata, -ECANCELED; }

TEST(failures, "a spawn that fails leaves no leaf") {
    int before = leaves();
    sandbox_cmd *cmd = grouped(sandbox_cmd_new("/no/such/program"));
    for (int kind = 0; kind < 3; kind++) {
        if (kind == 1) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
        if (kind == 2) sandbox_cmd_on_ready(cmd, refuse, NULL);
        sandbox_child *child;
        sandbox_error error;
        CHECK(sandbox_spawn(cmd, &child, &error) < 0);
        CHECK_EQ(error.stage, kind < 2 ? SANDBOX_STAGE_EXEC : SANDBOX_STAGE_CALLBACK);
        CHECK_EQ(leaves(), before);
    }
    sandbox_cmd_free(cmd);
}

TEST(errors, "what is no cgroup, or not to be had, is a typed error") {
    sandbox_child *child;
    sandbox_error error;
    static const struct {
        const char *path;
        int error;
    } wrong[] = {{"/no/such/directory", ENOENT}, {"/tmp", EINVAL}, {"/proc/self/cgroup", ENOTDIR}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
        CHECK_EQ(sandbox_cmd_cgroup(cmd, wrong[i].path), 0);
        CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, wrong[i].error, SANDBOX_STAGE_CGROUP, 0, wrong[i].path);
        sandbox_cmd_free(cmd);
    }
    static const char *const names[] = {"", ".", "..", "pids", "../pids.max", "a/pids.max", "pids.max\n", "cgroup.procs", "cgroup.threads",
                                        "cgroup.subtree_control", "cgroup.freeze", "cgroup.kill", "cgroup.type", ".max", "\xff.max"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
        CHECK_EQ(sandbox_cmd_cgroup_set(cmd, "cgroup.max.depth", "1"), 0);
        CHECK_EQ(sandbox_cmd_cgroup_set(cmd, names[i], "1"), -EINVAL);
        CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, EINVAL, SANDBOX_STAGE_CGROUP, 1, "file");
        sandbox_cmd_free(cmd);
    }
    int before = leaves();
    sandbox_cmd *cmd = grouped(victim("act", "exit", "0", NULL));
    CHECK_EQ(sandbox_cmd_cgroup_set(cmd, "cgroup.max.descendants", "5"), 0);
    CHECK_EQ(sandbox_cmd_cgroup_set(cmd, "cgroup.max.depth", "many"), 0);
    CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, EINVAL, SANDBOX_STAGE_CGROUP, 1, "cgroup.max.depth \"many\"");
    sandbox_cmd_free(cmd);
    cmd = grouped(victim("act", "exit", "0", NULL));
    CHECK_EQ(sandbox_cmd_cgroup_set(cmd, "cgroup.max.depth", "5"), 0);
    CHECK_EQ(sandbox_cmd_cgroup_set(cmd, "nonsense.max", "5"), 0);
    CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, ENOENT, SANDBOX_STAGE_CGROUP, 1, "nonsense controller is not available");
    sandbox_cmd_free(cmd);
    CHECK_EQ(leaves(), before);
}

TEST(settings, "files are written, with any value that the kernel takes, before the program runs") {
    sandbox_cmd *cmd = grouped(victim("act", "sleep", "60000", NULL));
    CHECK_EQ(sandbox_cmd_cgroup_set(cmd, "cgroup.max.depth", "7"), 0);
    CHECK_EQ(sandbox_cmd_cgroup_set(cmd, "cgroup.max.descendants", "9"), 0);
    CHECK_EQ(sandbox_cmd_cgroup_set(cmd, "cgroup.max.depth", "8"), 0);
    char text[4000];
    CHECK(sandbox_cmd_explain(cmd, text, sizeof text, NULL) > 0);
    CHECK_HAS(text, "host: a fresh cgroup below ");
    CHECK_HAS(text, "cgroup.max.depth \"7\", cgroup.max.descendants \"9\", cgroup.max.depth \"8\"");
    sandbox_child *child = spawned(cmd);
    CHECK_STR(file_of(fds_of(child).cgroup_fd, "cgroup.max.depth"), "8\n");
    CHECK_STR(file_of(fds_of(child).cgroup_fd, "cgroup.max.descendants"), "9\n");
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(found, "the parent is found: by the environment, else this process's own cgroup") {
    int before = leaves();
    sandbox_cmd *cmd = victim("act", "sleep", "60000", NULL);
    CHECK_EQ(sandbox_cmd_cgroup(cmd, NULL), 0);
    sandbox_child *child = spawned(cmd);
    CHECK_EQ(leaves(), before + 1);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    unsetenv("SANDBOX_CGROUP");
    char own[4096];
    snprintf(own, sizeof own, "%s", strstr(file_of(AT_FDCWD, "/proc/self/cgroup"), "0::"));
    own[strcspn(own, "\n")] = 0;
    cmd = shell("cat /proc/self/cgroup");
    CHECK_EQ(sandbox_cmd_cgroup_set(cmd, "cgroup.max.depth", "3"), 0); /* asks for a cgroup by itself */
    run_well(cmd, &result);
    CHECK_HAS(result.out, "/sandbox-spawn-");
    if (strncmp(strstr(result.out, "0::"), own, strlen(own)) != 0) FAIL("not below %s: %s", own, result.out);
    setenv("SANDBOX_CGROUP", "/no/such/cgroup", 1);
    sandbox_error error;
    cmd = victim("act", "exit", "0", NULL);
    CHECK_EQ(sandbox_cmd_cgroup(cmd, NULL), 0);
    CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, ENOENT, SANDBOX_STAGE_CGROUP, 0, "SANDBOX_CGROUP");
    sandbox_cmd_free(cmd);
}

TEST(nested, "cgroups that the program made below its own are removed with it, however deep and however named") {
    int before = leaves();
    sandbox_cmd *cmd = grouped(victim("act", "sleep", "60000", NULL));
    sandbox_child *child = spawned(cmd);
    int at = dup(fds_of(child).cgroup_fd);
    for (int depth = 0; depth < 30; depth++) {
        static const char *const names[] = {".hidden", "...", "cgroup.fake", " ", "x"};
        const char *name = names[depth % 5];
        CHECK_EQ(mkdirat(at, name, 0755), 0);
        CHECK_EQ(mkdirat(at, "sandbox-spawn-1-1-1", 0755), 0);
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(next >= 0);
        close(at);
        at = next;
    }
    int procs = openat(at, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    CHECK(dprintf(procs, "%d", sandbox_child_pid(child)) > 0);
    close(procs), close(at);
    sandbox_child_free(child);
    CHECK_EQ(leaves(), before);
    sandbox_cmd_free(cmd);
}

TEST(detached, "a detached child's leaf stays, and goes with a later spawn once it is empty") {
    int before = leaves();
    pid_t orphan;
    sandbox_cmd *cmd = grouped(victim("act", "orphan-and-sleep", NULL));
    sandbox_child *child = spawned_with_pid(cmd, &orphan);
    int pidfd = sandbox_child_take_fd(child, SANDBOX_FD_PIDFD);
    CHECK_EQ(sandbox_child_detach(child), 0);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    CHECK_EQ(leaves(), before + 1);
    /* Another host sweeps. (This one's own sweep: cgroup-sweep.c.) */
    for (int round = 0; round < 2; round++) {
        pid_t host = fork();
        if (host == 0) {
            run_well(grouped(victim("act", "exit", "0", NULL)), &result);
            _exit(0);
        }
        int status;
        CHECK(waitpid(host, &status, 0) == host && status == 0);
        if (round == 1) break;
        CHECK_EQ(leaves(), before + 1);
        CHECK(runs(pidfd) && is_alive(orphan));
        kill(orphan, SIGKILL);
        CHECK_EQ(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0), 0);
        CHECK(ends(pidfd) && waitpid(-1, NULL, __WALL) > 0 && dies(orphan));
    }
    CHECK_EQ(leaves(), before);
    close(pidfd);
}

/* A host of its own that spawns and then sleeps; the pid that its victim printed comes back. With `flags` it lives in
 * namespaces of its own. */
static pid_t another_host(const char *what, int death_signal, int flags, pid_t *victim_pid) {
    int ready[2];
    CHECK_EQ(pipe2(ready, O_CLOEXEC), 0);
    pid_t host = fork();
    if (host == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (flags && unshare(flags) < 0) _exit(77);
        pid_t inner = flags & CLONE_NEWPID ? fork() : 0;
        if (inner) {
            int status;
            waitpid(inner, &status, 0);
            _exit(1);
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sandbox_cmd *cmd = grouped(victim("act", what, NULL));
        sandbox_cmd_set(cmd, SANDBOX_OPT_DEATH_SIGNAL, (uint64_t)death_signal);
        pid_t pid;
        spawned_with_pid(cmd, &pid);
        CHECK_EQ(write(ready[1], &pid, sizeof pid), sizeof pid);
        for (;;) pause();
    }
    close(ready[1]);
    if (read(ready[0], victim_pid, sizeof *victim_pid) != sizeof *victim_pid) {
        int status;
        CHECK_EQ(waitpid(host, &status, 0), host);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) SKIP("no pid namespace here");
        FAIL("the other host failed");
    }
    close(ready[0]);
    return host;
}

TEST(crash, "a host that is killed leaves a leaf: the next spawn ends what is in it and removes it") {
    int before = leaves();
    for (int kind = 0; kind < 2; kind++) {
        pid_t orphan, host = another_host(kind ? "orphan" : "orphan-and-sleep", SIGKILL, 0, &orphan);
        CHECK_EQ(leaves(), before + 1);
        run_well(grouped(victim("act", "exit", "0", NULL)), &result); /* a living host's leaf is its own */
        CHECK(is_alive(orphan));
        CHECK_EQ(leaves(), before + 1);
        kill(host, SIGKILL);
        CHECK_EQ(waitpid(host, NULL, 0), host);
        CHECK(is_alive(orphan));
        /* The child that died with its host may hold the lock for a moment longer. */
        for (int round = 0; round < 400 && leaves() > before; round++) {
            run_well(grouped(victim("act", "exit", "0", NULL)), &result);
            pause_ms(5);
        }
        CHECK_EQ(leaves(), before);
        CHECK(dies(orphan));
    }
}

TEST(outlives, "what was to outlive its host is not swept, until it has ended") {
    int before = leaves();
    pid_t orphan, host = another_host("orphan", 0, 0, &orphan);
    kill(host, SIGKILL);
    CHECK_EQ(waitpid(host, NULL, 0), host);
    for (int round = 0; round < 5; round++) run_well(grouped(victim("act", "exit", "0", NULL)), &result);
    CHECK(is_alive(orphan));
    CHECK_EQ(leaves(), before + 1);
    kill(orphan, SIGKILL);
    CHECK(dies(orphan));
    for (int round = 0; round < 400 && leaves() > before; round++) {
        run_well(grouped(victim("act", "exit", "0", NULL)), &result);
        pause_ms(5);
    }
    CHECK_EQ(leaves(), before);
}

TEST(pid_namespaces, "hosts in different pid namespaces never sweep each other's leaves") {
    int before = leaves();
    pid_t first, second;
    int flags = CLONE_NEWPID | (has_cap(21) ? 0 : CLONE_NEWUSER);
    pid_t inside = another_host("orphan-and-sleep", SIGKILL, flags, &first); /* numbers of its own: 3 or 4 */
    pid_t outside = another_host("orphan-and-sleep", SIGKILL, 0, &second);
    pid_t other = another_host("orphan-and-sleep", SIGKILL, flags, &first); /* the same numbers as the first */
    CHECK_EQ(leaves(), before + 3);
    run_well(grouped(victim("act", "exit", "0", NULL)), &result);
    CHECK_EQ(leaves(), before + 3);
    CHECK(is_alive(second));
    kill(outside, SIGKILL);
    CHECK_EQ(waitpid(outside, NULL, 0), outside);
    for (int round = 0; round < 400 && is_alive(second); round++) {
        pid_t sweeper = another_host("orphan-and-sleep", SIGKILL, flags, &first); /* from a namespace that can't see its number */
        kill(sweeper, SIGKILL);
        CHECK_EQ(waitpid(sweeper, NULL, 0), sweeper);
        pause_ms(5);
    }
    CHECK(dies(second));
    kill(inside, SIGKILL), kill(other, SIGKILL);
    CHECK(waitpid(inside, NULL, 0) == inside && waitpid(other, NULL, 0) == other);
    for (int round = 0; round < 400 && leaves() > before; round++) {
        run_well(grouped(victim("act", "exit", "0", NULL)), &result);
        pause_ms(5);
    }
    CHECK_EQ(leaves(), before);
}

TEST(strangers, "a sweep removes what the library made, and nothing else") {
    char path[PATH_MAX];
    static const char *const names[] = {"sandbox-spawn-mine", "sandbox", "other"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", parent(), names[i]);
        CHECK_EQ(mkdir(path, 0755), 0);
    }
    snprintf(path, sizeof path, "%s/sandbox-spawn-1-2-3f", parent());
    CHECK_EQ(mkdir(path, 0755), 0);
    run_well(grouped(victim("act", "exit", "0", NULL)), &result);
    CHECK(access(path, F_OK) < 0);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", parent(), names[i]);
        CHECK_EQ(rmdir(path), 0);
    }
}

TEST(thousand, "a thousand spawns leave no leaf") {
    int before = leaves();
    sandbox_cmd *cmd = grouped(victim("act", "exit", "0", NULL));
    for (int i = 0; i < scaled(1000); i++) {
        sandbox_child *child = spawned(cmd);
        if (i % 3) sandbox_child_wait(child, -1, NULL, 0);
        sandbox_child_free(child);
    }
    CHECK_EQ(leaves(), before);
    sandbox_cmd_free(cmd);
}
