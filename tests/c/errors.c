/* What bad use gets: -errno, the stage, the index, a message that names the culprit, and nothing left behind. */
#include "test.h"

static struct run result;

TEST(layout, "sandbox_error is 256 bytes, its message 244") {
    CHECK_EQ(sizeof(sandbox_error), 256);
    CHECK_EQ(sizeof ((sandbox_error *)0)->message, 244);
}

static sandbox_cmd *plain(void) { return victim("act", "exit", "0", NULL); }

/* --- setters --- */

struct bad {
    const char *what;
    int (*call)(sandbox_cmd *cmd);
    int errnum;
    uint32_t stage, index;
    const char *word;
};

#define BAD(name, ...) \
    static int name(sandbox_cmd *cmd) { return __VA_ARGS__; }
#define SET(option, number) sandbox_cmd_set(cmd, SANDBOX_OPT_##option, (uint64_t)(number))

static const char *long_string(size_t length) {
    static char text[200001];
    memset(text, 'x', length), text[length] = 0;
    return text;
}

BAD(no_option, sandbox_cmd_set(cmd, 9999, 1))
BAD(option_zero, sandbox_cmd_set(cmd, 0, 1))
BAD(option_max, sandbox_cmd_set(cmd, UINT32_MAX, 1))
BAD(switch_two, SET(NO_NEW_PRIVS, 2))
BAD(init_minus, SET(INIT, -1))
BAD(death_65, SET(DEATH_SIGNAL, 65))
BAD(umask_1000, SET(UMASK, 01000))
BAD(nice_20, SET(NICE, 20))
BAD(nice_low, SET(NICE, -21))
BAD(oom_1001, SET(OOM_SCORE_ADJ, 1001))
BAD(oom_low, SET(OOM_SCORE_ADJ, -1001))
BAD(group_high, SET(PROCESS_GROUP, 1LL << 31))
BAD(affinity_none, SET(CPU_AFFINITY, 0))
BAD(speculation_4, SET(SPECULATION, 4))
BAD(securebits_4096, SET(SECUREBITS, 4096))
BAD(cpus_null, sandbox_cmd_cpus(cmd, NULL, 1))
BAD(cpus_none, sandbox_cmd_cpus(cmd, &(uint64_t){1}, 0))
BAD(cpus_many, sandbox_cmd_cpus(cmd, &(uint64_t){1}, 129))
BAD(cpus_empty, sandbox_cmd_cpus(cmd, (uint64_t[2]){0, 0}, 2))
BAD(arg_null, sandbox_cmd_arg(cmd, NULL))
BAD(args_null, sandbox_cmd_args(cmd, NULL))
BAD(arg0_null, sandbox_cmd_arg0(cmd, NULL))
BAD(arg_long, sandbox_cmd_arg(cmd, long_string(131072)))
BAD(arg0_long, sandbox_cmd_arg0(cmd, long_string(131072)))
BAD(env_null, sandbox_cmd_env(cmd, NULL, "x"))
BAD(env_empty, sandbox_cmd_env(cmd, "", "x"))
BAD(env_equals, sandbox_cmd_env(cmd, "A=B", "x"))
BAD(env_long, sandbox_cmd_env(cmd, "NAME", long_string(131070)))
BAD(cwd_null, sandbox_cmd_cwd(cmd, NULL))
BAD(cwd_long, sandbox_cmd_cwd(cmd, long_string(4096)))
BAD(exec_fd_bad, sandbox_cmd_exec_fd(cmd, 9999))
BAD(exec_fd_minus, sandbox_cmd_exec_fd(cmd, -1))
BAD(stdio_3, sandbox_cmd_stdio(cmd, 3, SANDBOX_STDIO_NULL, -1))
BAD(stdio_minus, sandbox_cmd_stdio(cmd, -1, SANDBOX_STDIO_NULL, -1))
BAD(stdio_mode, sandbox_cmd_stdio(cmd, 1, 5, -1))
BAD(stdio_fd, sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_FD, 9999))
BAD(pass_closed, sandbox_cmd_pass_fd(cmd, 9999, 5))
BAD(pass_minus, sandbox_cmd_pass_fd(cmd, 0, -1))
BAD(pass_twice, sandbox_cmd_pass_fd(cmd, 0, 7) | sandbox_cmd_pass_fd(cmd, 0, 8) | sandbox_cmd_pass_fd(cmd, 0, 8))
BAD(pass_stdio, sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_NULL, -1) | sandbox_cmd_pass_fd(cmd, 0, 1))
BAD(stdio_passed, sandbox_cmd_pass_fd(cmd, 0, 2) | sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_PIPE, -1))
BAD(rlimit_16, sandbox_cmd_rlimit(cmd, 16, 1, 1))
BAD(rlimit_max, sandbox_cmd_rlimit(cmd, UINT32_MAX, 1, 1))
BAD(rlimit_order, sandbox_cmd_rlimit(cmd, RLIMIT_CPU, 1, 2) | sandbox_cmd_rlimit(cmd, RLIMIT_NOFILE, 3, 2))
BAD(rlimit_unlimited, sandbox_cmd_rlimit(cmd, RLIMIT_AS, RLIM_INFINITY, 1))

#define SETUP SANDBOX_STAGE_SETUP
static const struct bad setters[] = {
    {"no option", no_option, EINVAL, SETUP, 0, "option 9999"},
    {"option 0", option_zero, EINVAL, SETUP, 0, "option 0"},
    {"option UINT32_MAX", option_max, EINVAL, SETUP, 0, "option 4294967295"},
    {"a switch at 2", switch_two, EINVAL, SETUP, 0, "NO_NEW_PRIVS takes 0 or 1"},
    {"a switch at -1", init_minus, EINVAL, SETUP, 0, "INIT"},
    {"signal 65", death_65, EINVAL, SETUP, 0, "DEATH_SIGNAL takes 0 to 64, not 65"},
    {"umask 01000", umask_1000, EINVAL, SETUP, 0, "UMASK"},
    {"nice 20", nice_20, EINVAL, SETUP, 0, "NICE takes -20 to 19, not 20"},
    {"nice -21", nice_low, EINVAL, SETUP, 0, "not -21"},
    {"oom 1001", oom_1001, EINVAL, SETUP, 0, "OOM_SCORE_ADJ"},
    {"oom -1001", oom_low, EINVAL, SETUP, 0, "OOM_SCORE_ADJ"},
    {"group 2^31", group_high, EINVAL, SETUP, 0, "PROCESS_GROUP"},
    {"no CPU", affinity_none, EINVAL, SETUP, 0, "CPU_AFFINITY"},
    {"speculation 4", speculation_4, EINVAL, SETUP, 0, "SPECULATION"},
    {"securebits 4096", securebits_4096, EINVAL, SETUP, 0, "SECUREBITS"},
    {"CPUs NULL", cpus_null, EFAULT, SETUP, 0, "CPU"},
    {"0 words of CPUs", cpus_none, EINVAL, SETUP, 0, "0 words"},
    {"129 words of CPUs", cpus_many, EINVAL, SETUP, 0, "129 words"},
    {"an empty set of CPUs", cpus_empty, EINVAL, SANDBOX_STAGE_PROCESS, 0, "CPUs"},
    {"a NULL argument", arg_null, EFAULT, SETUP, 0, "NULL"},
    {"NULL arguments", args_null, EFAULT, SETUP, 0, "NULL"},
    {"a NULL argv[0]", arg0_null, EFAULT, SETUP, 0, "NULL"},
    {"a long argument", arg_long, E2BIG, SETUP, 0, "argument 3"},
    {"a long argv[0]", arg0_long, E2BIG, SETUP, 0, "argument 0"},
    {"a NULL name", env_null, EFAULT, SETUP, 0, "NULL"},
    {"an empty name", env_empty, EINVAL, SETUP, 0, "\"\""},
    {"a name with =", env_equals, EINVAL, SETUP, 0, "A=B"},
    {"a long value", env_long, E2BIG, SETUP, 0, "NAME"},
    {"a NULL directory", cwd_null, EFAULT, SETUP, 0, "NULL"},
    {"a long directory", cwd_long, ENAMETOOLONG, SETUP, 0, "directory"},
    {"a closed fd to execute", exec_fd_bad, EBADF, SANDBOX_STAGE_EXEC, 0, "9999"},
    {"fd -1 to execute", exec_fd_minus, EBADF, SANDBOX_STAGE_EXEC, 0, "-1"},
    {"stdio 3", stdio_3, EINVAL, SETUP, 0, "3"},
    {"stdio -1", stdio_minus, EINVAL, SETUP, 0, "-1"},
    {"stdio mode 5", stdio_mode, EINVAL, SANDBOX_STAGE_STDIO, 1, "5"},
    {"a closed fd as stream", stdio_fd, EBADF, SANDBOX_STAGE_STDIO, 2, "9999"},
    {"a closed fd passed", pass_closed, EBADF, SANDBOX_STAGE_FD, 0, "9999"},
    {"target -1", pass_minus, EINVAL, SANDBOX_STAGE_FD, 0, "-1"},
    {"a target twice", pass_twice, EINVAL, SANDBOX_STAGE_FD, 2, "8"},
    {"a target that is a stream", pass_stdio, EINVAL, SANDBOX_STAGE_FD, 0, "1"},
    {"a stream that is a target", stdio_passed, EINVAL, SANDBOX_STAGE_FD, 0, "2"},
    {"resource 16", rlimit_16, EINVAL, SANDBOX_STAGE_RLIMIT, 0, "16"},
    {"resource UINT32_MAX", rlimit_max, EINVAL, SANDBOX_STAGE_RLIMIT, 0, "4294967295"},
    {"soft above hard", rlimit_order, EINVAL, SANDBOX_STAGE_RLIMIT, 1, "RLIMIT_NOFILE"},
    {"unlimited above hard", rlimit_unlimited, EINVAL, SANDBOX_STAGE_RLIMIT, 0, "RLIMIT_AS"},
};

TEST(setters, "each bad argument gives its errno, and the spawn refuses with stage, index and the culprit's name") {
    for (size_t i = 0; i < sizeof setters / sizeof *setters; i++) {
        const struct bad *bad = &setters[i];
        sandbox_cmd *cmd = plain();
        sandbox_child *child = (sandbox_child *)1;
        sandbox_error error;
        int given = bad->call(cmd);
        if (given != -bad->errnum) FAIL("%s: the setter gave %d, not %d", bad->what, given, -bad->errnum);
        int spawn = sandbox_spawn(cmd, &child, &error);
        if (spawn != -bad->errnum || error.code != spawn || error.stage != bad->stage || error.index != bad->index || !strstr(error.message, bad->word))
            FAIL("%s: %d, %s[%u] \"%s\"; not %d, %s[%u] \"%s\"", bad->what, spawn, sandbox_stage_name(error.stage), error.index, error.message,
                 -bad->errnum, sandbox_stage_name(bad->stage), bad->index, bad->word);
        CHECK(child == NULL);
        sandbox_cmd_free(cmd);
    }
}

TEST(sticky, "the first error stays: later setters, right or wrong, don't change it, nor does a copy lose it") {
    sandbox_cmd *cmd = plain();
    sandbox_error error, first;
    CHECK_EQ(sandbox_cmd_error(cmd, &error), 0);
    CHECK_EQ(error.code, 0);
    CHECK_STR(error.message, "");
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_NICE, 99), -EINVAL);
    CHECK_EQ(sandbox_cmd_error(cmd, &first), -EINVAL);
    CHECK_HAS(first.message, "NICE");
    CHECK_EQ(sandbox_cmd_cwd(cmd, NULL), -EFAULT);
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_NICE, 5), 0); /* too late */
    CHECK_EQ(sandbox_cmd_env_clear(cmd), 0);
    CHECK_EQ(sandbox_cmd_error(cmd, &error), -EINVAL);
    CHECK(memcmp(&first, &error, sizeof error) == 0);
    CHECK_EQ(sandbox_cmd_error(cmd, NULL), -EINVAL);
    sandbox_cmd *copy = sandbox_cmd_clone(cmd);
    sandbox_child *child;
    for (int i = 0; i < 2; i++) {
        memset(&error, 0xee, sizeof error);
        CHECK_EQ(sandbox_spawn(i ? copy : cmd, &child, &error), -EINVAL);
        CHECK(memcmp(&first, &error, sizeof error) == 0);
        CHECK_EQ(sandbox_cmd_explain(i ? copy : cmd, NULL, 0, &error), -EINVAL);
        CHECK(memcmp(&first, &error, sizeof error) == 0);
    }
    CHECK_EQ(sandbox_spawn(cmd, &child, NULL), -EINVAL);
    sandbox_cmd_free(copy), sandbox_cmd_free(cmd);
}

TEST(program, "a NULL program gives no command, a too long one a spawn that refuses") {
    CHECK(sandbox_cmd_new(NULL) == NULL);
    sandbox_cmd *cmd = sandbox_cmd_new(long_string(4096));
    CHECK(cmd);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, ENAMETOOLONG, SETUP, 0, "program");
}

TEST(nulls, "NULL handles and places give -EFAULT, and free(NULL) does nothing") {
    sandbox_cmd *cmd = plain();
    sandbox_child *child;
    sandbox_error error;
    sandbox_status status;
    sandbox_fds fds;
    CHECK(sandbox_cmd_clone(NULL) == NULL);
    sandbox_cmd_free(NULL), sandbox_child_free(NULL);
    CHECK_EQ(sandbox_cmd_error(NULL, &error), -EFAULT);
    CHECK_EQ(sandbox_cmd_arg(NULL, "x"), -EFAULT);
    CHECK_EQ(sandbox_cmd_args(NULL, (const char *[]){NULL}), -EFAULT);
    CHECK_EQ(sandbox_cmd_arg0(NULL, "x"), -EFAULT);
    CHECK_EQ(sandbox_cmd_env(NULL, "x", "x"), -EFAULT);
    CHECK_EQ(sandbox_cmd_env_clear(NULL), -EFAULT);
    CHECK_EQ(sandbox_cmd_cwd(NULL, "/"), -EFAULT);
    CHECK_EQ(sandbox_cmd_exec_fd(NULL, 0), -EFAULT);
    CHECK_EQ(sandbox_cmd_stdio(NULL, 0, 0, 0), -EFAULT);
    CHECK_EQ(sandbox_cmd_pass_fd(NULL, 0, 0), -EFAULT);
    CHECK_EQ(sandbox_cmd_rlimit(NULL, 0, 0, 0), -EFAULT);
    CHECK_EQ(sandbox_cmd_set(NULL, 1, 1), -EFAULT);
    CHECK_EQ(sandbox_cmd_cpus(NULL, &(uint64_t){1}, 1), -EFAULT);
    CHECK_EQ(sandbox_cmd_explain(NULL, NULL, 0, NULL), -EFAULT);
    CHECK_EQ(sandbox_cmd_explain(cmd, NULL, 1, NULL), -EFAULT);
    CHECK_EQ(sandbox_cmd_on_ready(NULL, NULL, NULL), -EFAULT);
    CHECK_EQ(sandbox_cmd_pre_exec(NULL, NULL, NULL), -EFAULT);
    CHECK_ERROR(sandbox_spawn(NULL, &child, &error), error, EFAULT, SETUP, 0, "command");
    CHECK_ERROR(sandbox_spawn(cmd, NULL, &error), error, EFAULT, SETUP, 0, "child");
    CHECK_EQ(sandbox_spawn(NULL, NULL, NULL), -EFAULT);
    CHECK_EQ(sandbox_child_pid(NULL), -EFAULT);
    CHECK_EQ(sandbox_child_fds(NULL, &fds, sizeof fds), -EFAULT);
    CHECK_EQ(sandbox_child_take_fd(NULL, 0), -EFAULT);
    CHECK_EQ(sandbox_child_wait(NULL, 0, &status, sizeof status), -EFAULT);
    CHECK_EQ(sandbox_child_wait_exec(NULL, 0, &error), -EFAULT);
    CHECK_EQ(sandbox_child_kill(NULL, 0), -EFAULT);
    CHECK_EQ(sandbox_child_detach(NULL), -EFAULT);
    child = spawned(cmd);
    CHECK_EQ(sandbox_child_fds(child, NULL, sizeof fds), -EFAULT);
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, sizeof status), -EFAULT);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0); /* the status is not lost by that */
    CHECK_EQ(status.kind, SANDBOX_EXITED);
    sandbox_child_free(child), sandbox_cmd_free(cmd);
}

TEST(names, "stages have names, numbers beyond them \"unknown\", and the library a version") {
    CHECK_STR(sandbox_stage_name(SANDBOX_STAGE_NONE), "none");
    CHECK_STR(sandbox_stage_name(SANDBOX_STAGE_EXEC), "exec");
    CHECK_STR(sandbox_stage_name(SANDBOX_STAGE_INIT), "init");
    CHECK_STR(sandbox_stage_name(1000), "unknown");
    CHECK_STR(sandbox_stage_name(UINT32_MAX), "unknown");
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", SANDBOX_VERSION_MAJOR, SANDBOX_VERSION_MINOR, SANDBOX_VERSION_PATCH);
    CHECK_STR(sandbox_version(), version);
}

TEST(success, "a spawn that succeeds zeroes the error") {
    sandbox_cmd *cmd = plain();
    sandbox_child *child;
    sandbox_error error, zero;
    memset(&error, 0xee, sizeof error), memset(&zero, 0, sizeof zero);
    CHECK_EQ(sandbox_spawn(cmd, &child, &error), 0);
    CHECK(memcmp(&error, &zero, sizeof error) == 0);
    sandbox_child_free(child), sandbox_cmd_free(cmd);
}

/* --- failures of the spawn itself: each fails behind another part of the set-up, by each way to the program --- */

static int refuse(pid_t pid, int pidfd, void *userdata) { return (void)pid, (void)pidfd, *(int *)userdata; }
static int refuse_in_child(void *userdata) { return *(int *)userdata; }
static int minus_exdev = -EXDEV;

static void bad_program(sandbox_cmd *cmd) { sandbox_cmd_env(cmd, "PATH", "/nonexistent"); }
static void bad_cwd(sandbox_cmd *cmd) { sandbox_cmd_cwd(cmd, "/nonexistent/directory"); }
static void bad_group(sandbox_cmd *cmd) { SET(PROCESS_GROUP, 1); }
static void bad_terminal(sandbox_cmd *cmd) { sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_NULL, -1), SET(CONTROLLING_TTY, 1); }
static void bad_cpus(sandbox_cmd *cmd) { SET(CPU_AFFINITY, 1ULL << 63); }
static void bad_ready(sandbox_cmd *cmd) { sandbox_cmd_on_ready(cmd, refuse, &minus_exdev); }
static void bad_pre_exec(sandbox_cmd *cmd) { sandbox_cmd_pre_exec(cmd, refuse_in_child, &minus_exdev); }
static void bad_loopback(sandbox_cmd *cmd) { SET(LOOPBACK, 1); }
static void bad_target(sandbox_cmd *cmd) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    sandbox_cmd_pass_fd(cmd, report_fd, 5), sandbox_cmd_pass_fd(cmd, report_fd, (int)limit.rlim_cur);
}

static const struct { void (*spoil)(sandbox_cmd *); int errnum; uint32_t stage, index; const char *word; } spawns[] = {
    {bad_program, ENOENT, SANDBOX_STAGE_EXEC, 0, "no-such-program"},
    {bad_cwd, ENOENT, SANDBOX_STAGE_CWD, 0, "/nonexistent/directory"},
    {bad_group, EPERM, SANDBOX_STAGE_SESSION, 1, "process group 1"},
    {bad_terminal, ENOTTY, SANDBOX_STAGE_SESSION, 2, "terminal"},
    {bad_cpus, EINVAL, SANDBOX_STAGE_PROCESS, 5, "63"},
    {bad_ready, EXDEV, SANDBOX_STAGE_CALLBACK, 0, "on_ready"},
    {bad_pre_exec, EXDEV, SANDBOX_STAGE_CALLBACK, 0, "pre_exec"},
    {bad_loopback, EINVAL, SANDBOX_STAGE_NETWORK, 0, "LOOPBACK"},
    {bad_target, EBADF, SANDBOX_STAGE_FD, 1, "fd "},
};
enum { SPAWNS = sizeof spawns / sizeof *spawns, WAYS = 5 };

static int count_lines(const char *path) {
    char buffer[4096];
    int lines = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;)
        for (ssize_t at = 0; at < got; at++) lines += buffer[at] == '\n';
    close(fd);
    return lines;
}

static int nothing(pid_t pid, int pidfd, void *userdata) { return (void)pid, (void)pidfd, (void)userdata, 0; }
static int nothing_in_child(void *userdata) { return (void)userdata, 0; }

/* The ways: shared memory, gate, trampoline, init, a copy of the memory. */
static sandbox_cmd *by(int way) {
    sandbox_cmd *cmd = sandbox_cmd_new("no-such-program");
    for (int target = 0; target < 3; target++) sandbox_cmd_stdio(cmd, target, target == 2 ? SANDBOX_STDIO_PTY : SANDBOX_STDIO_PIPE, -1);
    if (way == 1) sandbox_cmd_on_ready(cmd, nothing, NULL);
    if (way == 2) SET(OOM_SCORE_ADJ, 900);
    if (way == 3) SET(INIT, 1);
    if (way == 4) sandbox_cmd_pre_exec(cmd, nothing_in_child, NULL);
    return cmd;
}

static void fail_once(size_t kind, int way) {
    sandbox_cmd *cmd = by(way);
    sandbox_child *child = (sandbox_child *)1;
    sandbox_error error;
    if (spawns[kind].spoil == bad_group) { /* a session leader can't even try */
        for (int target = 0; target < 3; target++) sandbox_cmd_stdio(cmd, target, SANDBOX_STDIO_PIPE, -1);
    }
    if (spawns[kind].spoil == bad_terminal) sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_PIPE, -1);
    spawns[kind].spoil(cmd);
    int code = sandbox_spawn(cmd, &child, &error);
    if (code != -spawns[kind].errnum || error.code != code || error.stage != spawns[kind].stage || error.index != spawns[kind].index
        || !strstr(error.message, spawns[kind].word))
        FAIL("failure %zu by way %d: %d, %s[%u] \"%s\"", kind, way, code, sandbox_stage_name(error.stage), error.index, error.message);
    CHECK(child == NULL);
    CHECK_EQ(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    sandbox_cmd_free(cmd);
}

TEST(spawns, "a spawn that fails says which step of which item, by every way to the program, and leaves no child or fd") {
    for (size_t kind = 0; kind < SPAWNS; kind++)
        for (int way = 0; way < WAYS; way++) fail_once(kind, way);
}

TEST(mappings, "five hundred failed spawns and a hundred good ones leave no mapping behind") {
    if (UNDER_ASAN) SKIP("the sanitizer maps memory of its own");
    int before = 0;
    for (int round = 0; round < 4 + scaled(8); round++) {
        for (size_t kind = 0; kind < SPAWNS; kind++)
            for (int way = 0; way < WAYS; way++) fail_once(kind, way);
        for (int way = 0; way < WAYS; way++) {
            sandbox_cmd *cmd = by(way);
            int fd = open(beside("act"), O_PATH | O_CLOEXEC);
            sandbox_cmd_exec_fd(cmd, fd);
            close(fd);
            sandbox_child_free(spawned(cmd));
            sandbox_cmd_free(cmd);
        }
        int maps = count_lines("/proc/self/maps");
        if (round == 2) before = maps;
        if (round > 2) CHECK_EQ(maps, before);
    }
}

/* --- the callbacks --- */

static int look(pid_t pid, int pidfd, void *userdata) {
    char link[64], path[PATH_MAX] = "", own[PATH_MAX] = "";
    int *seen = userdata;
    seen[0]++;
    seen[1] = pid;
    seen[2] = (int)syscall(SYS_gettid);
    snprintf(link, sizeof link, "/proc/%d/exe", pid);
    seen[3] = readlink(link, path, sizeof path - 1) > 0 && readlink("/proc/self/exe", own, sizeof own - 1) > 0 && strcmp(path, own) == 0;
    seen[4] = runs(pidfd) && fcntl(pidfd, F_GETFD) == FD_CLOEXEC;
    return 1; /* only below 0 is a refusal */
}

TEST(ready, "on_ready is called once, in the caller's thread, with a pid and pidfd of a child that has run nothing") {
    int seen[5] = {0};
    sandbox_cmd *cmd = plain();
    CHECK_EQ(sandbox_cmd_on_ready(cmd, look, seen), 0);
    run_well(cmd, &result);
    CHECK_EQ(seen[0], 1);
    CHECK_EQ(seen[1], result.pid);
    CHECK_EQ(seen[2], syscall(SYS_gettid));
    CHECK(seen[3]);
    CHECK(seen[4]);
}

static int kill_it(pid_t pid, int pidfd, void *userdata) {
    (void)pid;
    return (int)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) + 0 * (userdata != NULL);
}

TEST(killed, "a child killed before exec is -ECANCELED, with the stage it had come to") {
    for (int way = 0; way < WAYS; way++) {
        if (way == 1) continue;
        sandbox_cmd *cmd = by(way);
        sandbox_child *child;
        sandbox_error error;
        sandbox_cmd_on_ready(cmd, kill_it, NULL);
        CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, ECANCELED, SANDBOX_STAGE_GATE, 0, "killed");
        sandbox_cmd_free(cmd);
    }
}

TEST(odd_codes, "callbacks' odd codes come through: -1, -4096, INT_MIN") {
    int codes[] = {-1, -4096, INT_MIN};
    for (int i = 0; i < 3; i++)
        for (int in_child = 0; in_child < 2; in_child++) {
            sandbox_cmd *cmd = plain();
            sandbox_child *child;
            sandbox_error error;
            if (in_child) sandbox_cmd_pre_exec(cmd, refuse_in_child, &codes[i]);
            else sandbox_cmd_on_ready(cmd, refuse, &codes[i]);
            int code = sandbox_spawn(cmd, &child, &error);
            if (codes[i] == INT_MIN) CHECK(code < 0);
            else CHECK_EQ(code, codes[i]);
            CHECK_EQ(error.code, code);
            CHECK_EQ(error.stage, SANDBOX_STAGE_CALLBACK);
            sandbox_cmd_free(cmd);
        }
}

static int touch(void *userdata) {
    *(int *)userdata = 7;
    umask(0123);
    return 0;
}

TEST(pre_exec, "pre_exec runs in the child, on a copy of the memory: the host's is not touched") {
    int mine = 1;
    sandbox_cmd *cmd = victim("report", NULL);
    CHECK_EQ(sandbox_cmd_pre_exec(cmd, touch, &mine), 0);
    CHECK_STR(report_of(cmd, "status:Umask"), "0123");
    CHECK_EQ(mine, 1);
    cmd = victim("report", NULL);
    sandbox_cmd_pre_exec(cmd, touch, &mine);
    sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    CHECK_STR(report_of(cmd, "status:Umask"), "0123");
    sandbox_cmd *off = victim("report", NULL);
    sandbox_cmd_pre_exec(off, refuse_in_child, &minus_exdev);
    sandbox_cmd_pre_exec(off, NULL, NULL); /* taken off again */
    sandbox_cmd_on_ready(off, refuse, &minus_exdev);
    sandbox_cmd_on_ready(off, NULL, NULL);
    run_well(off, &result);
}

/* --- explain --- */

TEST(explain, "explain gives its full length, cuts where it must, and lists the steps in order") {
    sandbox_cmd *cmd = victim("act", "two words", NULL);
    char text[8000], cut[8000];
    SET(UMASK, 022), SET(NICE, 3), SET(MDWE, 1), SET(INIT, 1);
    sandbox_cmd_rlimit(cmd, RLIMIT_NOFILE, 10, 20);
    sandbox_cmd_cwd(cmd, "/tmp");
    sandbox_error error;
    int length = sandbox_cmd_explain(cmd, NULL, 0, &error);
    CHECK(length > 0 && length < (int)sizeof text);
    CHECK_EQ(sandbox_cmd_explain(cmd, text, sizeof text, &error), length);
    CHECK_EQ(error.code, 0);
    CHECK_EQ(strlen(text), length);
    const char *steps[] = {"two words", "clone3", "signal[0]", "trampoline[0]", "memory-deny-write-execute", "init[0]", "umask 022", "nice value 3",
                           "every other fd", "fd 0", "fd 1", "fd 2", "RLIMIT_NOFILE soft 10, hard 20", "no new privileges", "\"/tmp\"", "exec[0]"};
    const char *at = text;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const char *found = strstr(at, steps[i]);
        if (!found) FAIL("\"%s\" is not there, or not in order, in \"%s\"", steps[i], text);
        at = found;
    }
    for (size_t size = 1; size < (size_t)length + 3; size += 7) {
        memset(cut, 0x55, sizeof cut);
        CHECK_EQ(sandbox_cmd_explain(cmd, cut, size, &error), length);
        size_t kept = size - 1 < (size_t)length ? size - 1 : (size_t)length;
        CHECK_EQ(strlen(cut), kept);
        CHECK(memcmp(cut, text, kept) == 0);
        CHECK_EQ(cut[size], 0x55);
    }
    sandbox_cmd_free(cmd);
}

TEST(explain_fails, "a step that fails is in the explanation, in the words of the error") {
    for (size_t kind = 0; kind < SPAWNS; kind++) {
        if (spawns[kind].spoil == bad_loopback || spawns[kind].spoil == bad_ready || spawns[kind].spoil == bad_program) continue;
        sandbox_cmd *cmd = plain();
        sandbox_child *child;
        sandbox_error error;
        char text[8000], step[64];
        spawns[kind].spoil(cmd);
        CHECK(sandbox_spawn(cmd, &child, &error) < 0);
        CHECK(sandbox_cmd_explain(cmd, text, sizeof text, NULL) > 0);
        snprintf(step, sizeof step, "%s[%u]", sandbox_stage_name(error.stage), error.index);
        *strrchr(error.message, ':') = 0; /* the errno's own words */
        char *line = strstr(text, error.message);
        if (!line) FAIL("\"%s\" is not in \"%s\"", error.message, text);
        while (line > text && line[-1] != '\n') line--;
        CHECK_HAS(line, step);
        sandbox_cmd_free(cmd);
    }
    sandbox_cmd *cmd = plain();
    sandbox_error error;
    SET(LOOPBACK, 1); /* refused as the spawn is */
    CHECK_ERROR(sandbox_cmd_explain(cmd, NULL, 0, &error), error, EINVAL, SANDBOX_STAGE_NETWORK, 0, "LOOPBACK");
    sandbox_cmd_free(cmd);
}

TEST(long_message, "a long path does not overflow the message, and quoted bytes stay printable") {
    char path[4000];
    memset(path, '\x01', sizeof path);
    path[0] = '/', path[3000] = 0;
    sandbox_cmd *cmd = sandbox_cmd_new(path);
    run(cmd, &result);
    CHECK(result.result < 0);
    CHECK_EQ(result.error.message[243], 0);
    CHECK(strlen(result.error.message) > 200);
    for (const char *at = result.error.message; *at; at++) CHECK(*at >= ' ');
}
