/* Namespaces of the child's own: which it has, who it is in them, its init, its loopback, and what is refused. */
#include "test.h"

static struct run result;

static const struct {
    uint64_t bit;
    const char *file;
} kinds[] = {
    {SANDBOX_NS_USER, "user"}, {SANDBOX_NS_PID, "pid"}, {SANDBOX_NS_MOUNT, "mnt"}, {SANDBOX_NS_NET, "net"},
    {SANDBOX_NS_UTS, "uts"}, {SANDBOX_NS_IPC, "ipc"}, {SANDBOX_NS_CGROUP, "cgroup"}, {SANDBOX_NS_TIME, "time"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool is_admin(void) { return has_cap(21); }

/* What an ordinary user needs beside them. */
static uint64_t allowed(uint64_t namespaces) { return is_admin() ? namespaces : namespaces | SANDBOX_NS_USER; }

static sandbox_cmd *unshared(sandbox_cmd *cmd, uint64_t namespaces) {
    CHECK_EQ(sandbox_cmd_unshare(cmd, allowed(namespaces)), 0);
    return cmd;
}

/* Skips the test where this machine allows no such namespace, which sandbox_spawn must then say. */
static void need(uint64_t namespaces) {
    run(unshared(victim("act", "exit", "0", NULL), namespaces), &result);
    if (result.result == 0) return;
    if (result.result != -EPERM && result.result != -EACCES && result.result != -ENOSPC && result.result != -EINVAL)
        FAIL("spawn gave %d: %s", result.result, result.error.message);
    SKIP("%s", result.error.message);
}

static const char *namespace_here(const char *file, char *text, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/ns/%s", file);
    ssize_t length = readlink(path, text, size - 1);
    text[length < 0 ? 0 : length] = 0;
    return text;
}

/* Runs /bin/sh with a script. */
static sandbox_cmd *shell(const char *script) {
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/sh");
    sandbox_cmd_args(cmd, (const char *const[]){"-c", script, NULL});
    return cmd;
}

#define LIST "for n in user pid mnt net uts ipc cgroup time; do readlink /proc/self/ns/$n || echo none; done"

static void compare(uint64_t asked) {
    char here[64], *at = result.out;
    for (int i = 0; i < KINDS; i++) {
        namespace_here(kinds[i].file, here, sizeof here);
        bool same = strncmp(at, here, strlen(here)) == 0 && *here && at[strlen(here)] == '\n';
        if (*here && same != !(asked & kinds[i].bit)) FAIL("asked for %#llx: %s is %.*s, the host's %s", (unsigned long long)asked, kinds[i].file, (int)strcspn(at, "\n"), at, here);
        at += strcspn(at, "\n") + 1;
    }
}

TEST(each, "exactly the namespaces that were asked for are the child's own, alone and all together") {
    int had = 0;
    for (int i = 0; i <= KINDS; i++) {
        uint64_t asked = i < KINDS ? kinds[i].bit : SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_MOUNT | SANDBOX_NS_NET | SANDBOX_NS_UTS
                                                        | SANDBOX_NS_IPC | SANDBOX_NS_CGROUP | SANDBOX_NS_TIME;
        char here[64];
        if (i < KINDS && !*namespace_here(kinds[i].file, here, sizeof here)) continue; /* not in this kernel */
        run(unshared(shell(LIST), asked), &result);
        if (result.result < 0) {
            if (result.result != -EPERM && result.result != -EACCES) FAIL("%s: %d, %s", i < KINDS ? kinds[i].file : "all", result.result, result.error.message);
            continue;
        }
        CHECK_EQ(result.status.code, 0);
        compare(allowed(asked));
        had++;
    }
    if (!had) SKIP("%s", result.error.message);
    run_well(shell(LIST), &result);
    compare(0);
}

TEST(adds_up, "several calls of unshare add up; unknown bits are refused, and then the spawn") {
    need(SANDBOX_NS_UTS | SANDBOX_NS_IPC);
    sandbox_cmd *cmd = unshared(unshared(shell(LIST), SANDBOX_NS_UTS), SANDBOX_NS_IPC);
    run_well(cmd, &result);
    compare(allowed(SANDBOX_NS_UTS | SANDBOX_NS_IPC));
    static const uint64_t unknown[] = {1, 0x100, 0x00010000, 0x80000000, 1ULL << 32, UINT64_MAX};
    for (int i = 0; i < 6; i++) {
        cmd = victim("act", "exit", "0", NULL);
        CHECK_EQ(sandbox_cmd_unshare(cmd, unknown[i] | SANDBOX_NS_UTS), -EINVAL);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_SETUP, 0, "namespaces");
    }
}

TEST(refused, "an ordinary user without a user namespace is refused at the clone, with a hint") {
    if (is_admin()) SKIP("this user may");
    for (int i = 1; i < KINDS; i++) {
        char here[64];
        if (!*namespace_here(kinds[i].file, here, sizeof here)) continue;
        sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
        sandbox_cmd_unshare(cmd, kinds[i].bit);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_CLONE, kinds[i].bit == SANDBOX_NS_TIME, kinds[i].bit == SANDBOX_NS_TIME ? "time" : "CAP_SYS_ADMIN");
    }
}

TEST(time, "a time namespace is the program's, with or without the trampoline") {
    need(SANDBOX_NS_TIME);
    for (int trampoline = 0; trampoline < 2; trampoline++) {
        char here[64];
        sandbox_cmd *cmd = unshared(shell("readlink /proc/self/ns/time; readlink /proc/self/ns/time_for_children"), SANDBOX_NS_TIME);
        if (trampoline) sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 900);
        run_well(cmd, &result);
        namespace_here("time", here, sizeof here);
        CHECK(strstr(result.out, "time:[") && !strstr(result.out, here));
    }
}

/* --- ids --- */

static const char *ids = "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -u; id -g";

/* The output's n-th line, with single spaces. */
static const char *line(int n) {
    static char text[256];
    const char *at = result.out;
    size_t length = 0;
    for (; n > 0 && *at; n--) at += strcspn(at, "\n") + 1;
    for (; *at && *at != '\n' && length + 2 < sizeof text; at++)
        if (*at != ' ') text[length++] = *at;
        else if (length && text[length - 1] != ' ') text[length++] = ' ';
    text[length] = 0;
    return text;
}

static const char *triple(unsigned inside, unsigned outside, unsigned count) {
    static char text[64];
    snprintf(text, sizeof text, "%u %u %u", inside, outside, count);
    return text;
}

static const char *decimal(unsigned number) {
    static char text[16];
    snprintf(text, sizeof text, "%u", number);
    return text;
}

TEST(own_ids, "without a map the caller's own ids are mapped to themselves; a user's child may not set groups") {
    need(SANDBOX_NS_USER);
    sandbox_cmd *cmd = shell(ids);
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
    run_well(cmd, &result);
    CHECK_STR(line(0), triple(geteuid(), geteuid(), 1));
    CHECK_STR(line(1), triple(getegid(), getegid(), 1));
    CHECK_STR(line(2), has_cap(6) ? "allow" : "deny");
    CHECK_STR(line(3), decimal(geteuid()));
    CHECK_STR(line(4), decimal(getegid()));
}

TEST(explicit_ids, "explicit maps hold: root inside is the caller outside; uid and gid apart") {
    need(SANDBOX_NS_USER);
    sandbox_cmd *cmd = shell(ids);
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
    CHECK_EQ(sandbox_cmd_map_uid(cmd, 0, geteuid(), 1), 0);
    CHECK_EQ(sandbox_cmd_map_gid(cmd, 4242, getegid(), 1), 0);
    run_well(cmd, &result);
    CHECK_STR(line(0), triple(0, geteuid(), 1));
    CHECK_STR(line(1), triple(4242, getegid(), 1));
    CHECK_STR(line(3), "0");
    CHECK_STR(line(4), "4242");
    if (!has_cap(6) || !has_cap(7)) return;
    cmd = shell(ids); /* several lines, for who may */
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
    sandbox_cmd_map_uid(cmd, 0, geteuid(), 1), sandbox_cmd_map_uid(cmd, 1, 100000, 65535);
    sandbox_cmd_map_gid(cmd, 0, getegid(), 1), sandbox_cmd_map_gid(cmd, 1, 200000, 1000);
    run_well(cmd, &result);
    CHECK_STR(line(0), triple(0, geteuid(), 1));
    CHECK_STR(line(1), triple(1, 100000, 65535));
    CHECK_STR(line(3), triple(1, 200000, 1000));
}

static int look_at_maps(pid_t pid, int pidfd, void *data) {
    char path[64];
    (void)pidfd;
    snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
    FILE *file = fopen(path, "re");
    if (!file || !fgets(data, 64, file)) return -ENODATA;
    fclose(file);
    return 0;
}

TEST(ready, "on_ready finds the child in its namespaces, its ids mapped") {
    need(SANDBOX_NS_USER | SANDBOX_NS_PID);
    char seen[64] = "";
    unsigned inside, outside;
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID);
    sandbox_cmd_map_uid(cmd, 77, geteuid(), 1);
    sandbox_cmd_on_ready(cmd, look_at_maps, seen);
    run_well(cmd, &result);
    CHECK_EQ(sscanf(seen, "%u %u", &inside, &outside), 2);
    CHECK_EQ(inside, 77);
    CHECK_EQ(outside, geteuid());
}

TEST(bad_maps, "maps that can't be are refused: by the setter, without a user namespace, or by the kernel with a hint") {
    need(SANDBOX_NS_USER);
    static const struct { uint32_t inside, outside, count; } wrong[] = {{0, 0, 0}, {UINT32_MAX, 0, 2}, {0, UINT32_MAX, 2}, {0, 0, UINT32_MAX}, {2, 2, UINT32_MAX}};
    for (int i = 0; i < 5; i++)
        for (int gid = 0; gid < 2; gid++) {
            if (i == 3 && is_admin()) continue; /* all ids: root may */
            sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
            sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
            int set = (gid ? sandbox_cmd_map_gid : sandbox_cmd_map_uid)(cmd, wrong[i].inside, wrong[i].outside, wrong[i].count);
            if (i != 3) CHECK_EQ(set, -EINVAL);
            run(cmd, &result);
            CHECK(result.result < 0);
            CHECK_EQ(result.error.stage, SANDBOX_STAGE_USERNS);
        }
    for (int gid = 0; gid < 2; gid++) {
        sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
        (gid ? sandbox_cmd_map_gid : sandbox_cmd_map_uid)(cmd, 0, 0, 1);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_USERNS, 0, "without a user namespace");

        cmd = victim("act", "exit", "0", NULL);
        sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
        /* the same id twice, inside or outside */
        (gid ? sandbox_cmd_map_gid : sandbox_cmd_map_uid)(cmd, 5, 10, 10);
        (gid ? sandbox_cmd_map_gid : sandbox_cmd_map_uid)(cmd, 100, 30, 1);
        (gid ? sandbox_cmd_map_gid : sandbox_cmd_map_uid)(cmd, gid ? 14 : 200, gid ? 50 : 19, 1);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_USERNS, 2, "overlap");
        if (!is_admin()) { /* another's */
            cmd = victim("act", "exit", "0", NULL);
            sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
            (gid ? sandbox_cmd_map_gid : sandbox_cmd_map_uid)(cmd, 0, 0, 1);
            run(cmd, &result);
            CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_USERNS, 0, "ordinary user");
        }
    }
}

/* --- pids, and the init --- */

static sandbox_cmd *with_init(sandbox_cmd *cmd) {
    sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    return unshared(cmd, SANDBOX_NS_PID);
}

TEST(pids, "in a pid namespace the program is PID 1 and sees no parent; with an init it is 2, and its parent 1") {
    need(SANDBOX_NS_PID);
    run_well(unshared(victim("report", "pid", "ppid", NULL), SANDBOX_NS_PID), &result);
    CHECK_EQ(number(&result, "pid"), 1);
    CHECK_EQ(number(&result, "ppid"), 0);
    run_well(with_init(victim("report", "pid", "ppid", "fds", NULL)), &result);
    CHECK_EQ(number(&result, "pid"), 2);
    CHECK_EQ(number(&result, "ppid"), 1);
    CHECK_STR(value(&result, "fds"), "0 1 2 ");
}

TEST(statuses, "the status is the program's exactly, all codes and signals, though PID 1 stands between") {
    need(SANDBOX_NS_PID);
    char text[16];
    for (int code = 0; code < 256; code++) {
        snprintf(text, sizeof text, "%d", code);
        run(with_init(victim("act", "exit", text, NULL)), &result);
        CHECK_EQ(result.result, 0);
        CHECK_EQ(result.status.kind, SANDBOX_EXITED);
        CHECK_EQ(result.status.code, code);
    }
    static const int signals[] = {SIGTERM, SIGKILL, SIGSEGV, SIGABRT, SIGUSR1, 33, 64};
    for (int i = 0; i < 7; i++) {
        snprintf(text, sizeof text, "%d", signals[i]);
        sandbox_cmd *cmd = with_init(victim("act", "signal", text, NULL));
        sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
        run(cmd, &result);
        CHECK_EQ(result.result, 0);
        CHECK_EQ(result.status.kind, SANDBOX_SIGNALED);
        CHECK_EQ(result.status.code, signals[i]);
    }
}

/* The child's descendants hold the writing end of this pipe at 9: once all are gone, the reading end says so. */
static sandbox_cmd *with_witness(sandbox_cmd *cmd, int pipe_ends[2]) {
    CHECK_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
    CHECK_EQ(sandbox_cmd_pass_fd(cmd, pipe_ends[1], 9), 0);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    close(pipe_ends[1]);
    return cmd;
}

static bool all_are_gone(int fd) {
    struct pollfd end = {fd, POLLIN, 0};
    return poll(&end, 1, 20000) == 1 && end.revents & POLLHUP;
}

static bool some_are_there(int fd) {
    struct pollfd end = {fd, POLLIN, 0};
    return poll(&end, 1, 0) == 0;
}

TEST(descendants, "what the program leaves behind ends with it, with its init, or when its handle is freed") {
    need(SANDBOX_NS_PID);
    for (int has_init = 0; has_init < 2; has_init++)
        for (int variant = 0; variant < 3; variant++) {
            int witness[2];
            char line[32] = "";
            sandbox_status status;
            sandbox_cmd *cmd = with_witness(victim("act", variant == 0 ? "orphan" : "orphan-and-sleep", NULL), witness);
            has_init ? with_init(cmd) : unshared(cmd, SANDBOX_NS_PID);
            sandbox_child *child = spawned(cmd);
            sandbox_cmd_free(cmd);
            FILE *out = fdopen(sandbox_child_take_fd(child, SANDBOX_FD_STDOUT), "r");
            CHECK(fgets(line, sizeof line, out) && atoi(line) > 1); /* the orphan lives */
            if (variant > 0) CHECK(some_are_there(witness[0]));
            if (variant == 1) CHECK_EQ(sandbox_child_kill(child, SIGKILL), 0);
            if (variant < 2) CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
            if (variant == 0) CHECK(status.kind == SANDBOX_EXITED && status.code == 0);
            if (variant == 1) CHECK(status.kind == SANDBOX_SIGNALED && status.code == SIGKILL && status.cause == SANDBOX_CAUSE_KILLED);
            sandbox_child_free(child);
            CHECK(all_are_gone(witness[0]));
            fclose(out);
            close(witness[0]);
        }
}

TEST(host_death, "a host that dies takes the whole namespace with it") {
    need(SANDBOX_NS_PID);
    for (int has_init = 0; has_init < 2; has_init++) {
        int witness[2], tell[2], status;
        char byte = 0, line[32];
        CHECK_EQ(pipe2(tell, O_CLOEXEC), 0);
        CHECK_EQ(pipe2(witness, O_CLOEXEC), 0);
        pid_t host = fork();
        if (host == 0) {
            sandbox_cmd *cmd = victim("act", "orphan-and-sleep", NULL);
            sandbox_cmd_pass_fd(cmd, witness[1], 9);
            sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
            has_init ? with_init(cmd) : unshared(cmd, SANDBOX_NS_PID);
            sandbox_child *child = spawned(cmd);
            FILE *out = fdopen(sandbox_child_take_fd(child, SANDBOX_FD_STDOUT), "r");
            if (!fgets(line, sizeof line, out) || write(tell[1], &byte, 1) != 1) _exit(1);
            pause();
        }
        close(witness[1]);
        CHECK_EQ(read(tell[0], &byte, 1), 1);
        CHECK(some_are_there(witness[0]));
        kill(host, SIGKILL);
        CHECK_EQ(waitpid(host, &status, 0), host);
        CHECK(all_are_gone(witness[0]));
        close(witness[0]), close(tell[0]), close(tell[1]);
    }
}

/* How many processes have this parent, in that state or, with 0, in any. */
static int children_of(pid_t parent, char wanted) {
    DIR *directory = opendir("/proc");
    int count = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char path[300], text[512], state;
        int ppid;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        if (!file) continue;
        if (fgets(text, sizeof text, file) && sscanf(strrchr(text, ')') + 1, " %c %d", &state, &ppid) == 2 && ppid == parent)
            count += !wanted || state == wanted;
        fclose(file);
    }
    if (directory) closedir(directory);
    return count;
}

TEST(reaping, "orphans of the namespace are reaped by its init, and signals sent to the handle reach the program") {
    need(SANDBOX_NS_PID);
    sandbox_cmd *shells = with_init(shell("for i in 1 2 3 4 5; do (sleep 0.1 & ) ; done; echo made; read -r x"));
    for (int target = 0; target < 2; target++) sandbox_cmd_stdio(shells, target, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *shell_child = spawned(shells);
    pid_t init = sandbox_child_pid(shell_child);
    CHECK_EQ(read(fds_of(shell_child).stdout_fd, result.out, 5), 5);
    int left = 6;
    for (int round = 0; round < 1000 && (left = children_of(init, 0)) > 1; round++) pause_ms(5);
    CHECK_EQ(left, 1); /* the program itself, which reads: neither sleeper nor zombie */
    CHECK_EQ(children_of(init, 'Z'), 0);
    sandbox_child_free(shell_child);
    sandbox_cmd_free(shells);

    sandbox_cmd *cmd = with_init(victim("act", "catch", NULL));
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    FILE *out = fdopen(sandbox_child_take_fd(child, SANDBOX_FD_STDOUT), "r");
    char text[32];
    CHECK(fgets(text, sizeof text, out));
    static const int some[] = {SIGUSR1, SIGINT, 40, SIGTERM};
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(sandbox_child_kill(child, some[i]), 0);
        CHECK(fgets(text, sizeof text, out));
        CHECK_EQ(atoi(text), some[i]);
    }
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
    fclose(out);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

static void *spawn_in_thread(void *data) { return *(sandbox_child **)data = spawned(*(sandbox_cmd **)data), NULL; }

TEST(thread, "the thread that spawned may end: the child in its namespaces lives") {
    need(SANDBOX_NS_PID);
    for (int has_init = 0; has_init < 2; has_init++) {
        sandbox_cmd *cmd = victim("act", "cat", NULL);
        has_init ? with_init(cmd) : unshared(cmd, SANDBOX_NS_PID);
        sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
        void *both = cmd;
        pthread_t thread;
        pthread_create(&thread, NULL, spawn_in_thread, &both);
        pthread_join(thread, NULL);
        sandbox_child *child = both;
        sandbox_status status;
        CHECK_EQ(sandbox_child_wait(child, 100, NULL, 0), -ETIMEDOUT);
        close(sandbox_child_take_fd(child, SANDBOX_FD_STDIN));
        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
        CHECK(status.kind == SANDBOX_EXITED && status.code == 0);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
    }
}

/* --- the network --- */

#define NETWORK "cat /proc/self/net/fib_trie /proc/self/net/if_inet6 2>/dev/null; grep -c : /proc/self/net/dev"

TEST(loopback, "a network namespace has loopback alone, down unless asked for; then with its addresses") {
    need(SANDBOX_NS_NET);
    for (int up = 0; up < 2; up++)
        for (int trampoline = 0; trampoline < 2; trampoline++) {
            sandbox_cmd *cmd = unshared(shell(NETWORK), SANDBOX_NS_NET);
            if (up) sandbox_cmd_set(cmd, SANDBOX_OPT_LOOPBACK, 1);
            if (trampoline) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
            run_well(cmd, &result);
            CHECK_EQ(strstr(result.out, "127.0.0.1") != NULL, up);
        }
    sandbox_cmd *cmd = unshared(victim("report", "fds", NULL), SANDBOX_NS_NET);
    sandbox_cmd_set(cmd, SANDBOX_OPT_LOOPBACK, 1);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "fds"), "0 1 2 ");
    cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_set(cmd, SANDBOX_OPT_LOOPBACK, 1);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_NETWORK, 0, "SANDBOX_NS_NET");
}

/* --- with the rest --- */

TEST(host_unchanged, "the host's own namespaces and ids are what they were, whatever the child's are") {
    need(SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_NET);
    char before[KINDS][64], after[64];
    for (int i = 0; i < KINDS; i++) namespace_here(kinds[i].file, before[i], sizeof before[i]);
    uid_t uid = geteuid();
    for (int way = 0; way < 3; way++) {
        sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
        sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_NET | SANDBOX_NS_MOUNT | SANDBOX_NS_UTS | SANDBOX_NS_IPC);
        sandbox_cmd_map_uid(cmd, 0, uid, 1);
        sandbox_cmd_set(cmd, SANDBOX_OPT_LOOPBACK, 1);
        if (way == 1) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
        if (way == 2) sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 900);
        run_well(cmd, &result);
        CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
        CHECK_EQ(geteuid(), uid);
        for (int i = 0; i < KINDS; i++) CHECK_STR(namespace_here(kinds[i].file, after, sizeof after), before[i]);
    }
}

TEST(explained, "explain names the namespaces and the maps") {
    char text[4096];
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_TIME | SANDBOX_NS_NET);
    sandbox_cmd_map_uid(cmd, 3, 1234, 1);
    CHECK(sandbox_cmd_explain(cmd, text, sizeof text, NULL) > 0);
    static const char *const names[] = {"user", "pid", "net", "time", "1234 to 3"};
    for (int i = 0; i < 5; i++) CHECK_HAS(text, names[i]);
    sandbox_cmd_free(cmd);
}
