/* sandbox_run: one run from start to end. Nothing blocks it, nothing outlives it, every limit holds. */
#include "test.h"
#include <sys/time.h>

static sandbox_run_options options;
static sandbox_error error;

/* A shell's command line, run to its end. */
static sandbox_result *run_cmd(sandbox_cmd *cmd, const sandbox_bytes *input) {
    sandbox_result *result = (void *)8;
    options.size = sizeof options;
    int code = sandbox_run(cmd, input, &options, &result, &error);
    if (code < 0) FAIL("run gave %d: %s[%u], %s", code, sandbox_stage_name(error.stage), error.index, error.message);
    CHECK_EQ(error.code, 0);
    sandbox_cmd_free(cmd);
    return result;
}
static sandbox_cmd *shell(const char *line) {
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/sh");
    sandbox_cmd_arg(cmd, "-c"), sandbox_cmd_arg(cmd, line);
    return cmd;
}
static sandbox_result *sh(const char *line) { return run_cmd(shell(line), NULL); }

static sandbox_status status_of(sandbox_result *result) {
    sandbox_status status;
    CHECK_EQ(sandbox_result_status(result, &status, sizeof status), 0);
    return status;
}
static sandbox_output output_of(sandbox_result *result, int target) {
    sandbox_output output;
    CHECK_EQ(sandbox_result_output(result, target, &output, sizeof output), 0);
    CHECK_EQ(((const char *)output.data)[output.length], 0);
    return output;
}
static const char *text_of(sandbox_result *result, int target) { return output_of(result, target).data; }
static void check_exit(sandbox_result *result, int code) {
    sandbox_status status = status_of(result);
    if (status.kind != SANDBOX_EXITED || status.code != code)
        FAIL("kind %u, code %d, cause %u, stderr \"%s\"", status.kind, status.code, status.cause, text_of(result, 2));
    CHECK_EQ(status.cause, SANDBOX_CAUSE_NONE);
}
static void check_killed(sandbox_result *result, unsigned cause, int limits) {
    sandbox_status status = status_of(result);
    CHECK_EQ(status.kind, SANDBOX_SIGNALED);
    CHECK_EQ(status.code, SIGKILL);
    CHECK_EQ(status.cause, cause);
    CHECK_EQ(sandbox_result_limits(result), limits);
}
/* How many processes of this one's session group run a program with `mark` among its arguments. */
static int count_marked(const char *mark) {
    DIR *proc = opendir("/proc");
    int count = 0;
    for (struct dirent *entry; (entry = readdir(proc));) {
        char path[300], line[4096];
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || atoi(entry->d_name) == getpid()) continue;
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) continue;
        ssize_t length = read(fd, line, sizeof line - 1);
        close(fd);
        for (ssize_t i = 0; i < length; i++)
            if (strncmp(line + i, mark, strlen(mark)) == 0) { count++; break; }
    }
    closedir(proc);
    return count;
}
/* A number that no other process has among its arguments. */
static const char *mark(void) {
    static char text[64];
    snprintf(text, sizeof text, "7%09d.%d", getpid(), rand() % 1000000);
    return text;
}
static const char *line_with(const char *format, const char *word) {
    static char line[1000];
    snprintf(line, sizeof line, format, word, word);
    return line;
}

TEST(plain, "a program's output, errors, exit code and signal come back") {
    sandbox_result *result = sh("echo out; echo err >&2; exit 7");
    CHECK_STR(text_of(result, 1), "out\n");
    CHECK_STR(text_of(result, 2), "err\n");
    check_exit(result, 7);
    CHECK_EQ(sandbox_result_limits(result), 0);
    CHECK_EQ(output_of(result, 1).cut, 0);
    CHECK(status_of(result).wall_time_us > 0);
    sandbox_result_free(result);
    result = sh("kill -TERM $$");
    CHECK_EQ(status_of(result).kind, SANDBOX_SIGNALED);
    CHECK_EQ(status_of(result).code, SIGTERM);
    CHECK_EQ(status_of(result).cause, SANDBOX_CAUSE_NONE);
    CHECK_STR(text_of(result, 1), "");
    sandbox_result_free(result);
}

TEST(merged, "errors merged into the output keep their order") {
    options.flags = SANDBOX_RUN_MERGE_STDERR;
    sandbox_result *result = sh("for i in 1 2 3; do echo o$i; echo e$i >&2; done");
    CHECK_STR(text_of(result, 1), "o1\ne1\no2\ne2\no3\ne3\n");
    CHECK_EQ(output_of(result, 2).length, 0);
    sandbox_result_free(result);
}

TEST(flood, "100 MB on both streams at once: the beginning is kept, the rest counted, nothing blocks") {
    options.stdout_limit = 1000001, options.stderr_limit = 70 << 20;
    sandbox_result *result = sh("head -c 104857600 /dev/zero & head -c 104857600 /dev/zero >&2 & wait; wait");
    check_exit(result, 0);
    sandbox_output out = output_of(result, 1), err = output_of(result, 2);
    CHECK_EQ(out.length, 1000001);
    CHECK_EQ(out.cut, 104857600 - 1000001);
    CHECK_EQ(err.length, 70 << 20);
    CHECK_EQ(err.cut, 30 << 20);
    CHECK_EQ(sandbox_result_limits(result), SANDBOX_LIMIT_STDOUT | SANDBOX_LIMIT_STDERR);
    sandbox_result_free(result);
}

TEST(exact, "an output limit is exact to the byte") {
    for (int limit = 9; limit <= 11; limit++) {
        for (int flags = 0; flags <= 2; flags += 2) {
            options.stdout_limit = (uint64_t)limit, options.flags = (uint64_t)flags;
            sandbox_result *result = sh("printf 0123456789");
            CHECK_EQ(output_of(result, 1).length, limit < 10 ? limit : 10);
            CHECK_EQ(output_of(result, 1).cut, limit < 10 ? 1 : 0);
            CHECK(strncmp(text_of(result, 1), "0123456789", (size_t)limit) == 0);
            CHECK_EQ(sandbox_result_limits(result), limit < 10 ? SANDBOX_LIMIT_STDOUT : 0);
            if (limit >= 10) check_exit(result, 0);
            sandbox_result_free(result);
        }
    }
}

TEST(kill_at_limit, "a program that passes its limit is ended where that was asked for") {
    options.flags = SANDBOX_RUN_KILL_AT_LIMIT;
    options.stdout_limit = 5000, options.stderr_limit = 6000;
    sandbox_result *result = sh("yes");
    check_killed(result, SANDBOX_CAUSE_KILLED, SANDBOX_LIMIT_STDOUT);
    CHECK_EQ(output_of(result, 1).length, 5000);
    CHECK(output_of(result, 1).cut > 0);
    sandbox_result_free(result);
    result = sh("yes >&2");
    check_killed(result, SANDBOX_CAUSE_KILLED, SANDBOX_LIMIT_STDERR);
    CHECK_EQ(output_of(result, 2).length, 6000);
    sandbox_result_free(result);
}

TEST(input, "10 MB of input go through cat and come back the same") {
    size_t length = 10 << 20;
    char *data = malloc(length);
    for (size_t i = 0; i < length; i++) data[i] = (char)(i * 2654435761u >> 13);
    sandbox_result *result = run_cmd(victim("act", "cat", NULL), &(sandbox_bytes){data, length});
    check_exit(result, 0);
    CHECK_EQ(output_of(result, 1).length, length);
    CHECK(memcmp(output_of(result, 1).data, data, length) == 0);
    sandbox_result_free(result);
    free(data);
}

TEST(input_left, "input that is not read, or read in part, or empty, is no trouble") {
    static char data[1 << 20];
    memset(data, 'a', sizeof data);
    sandbox_result *result = run_cmd(victim("act", "exit", "3", NULL), &(sandbox_bytes){data, sizeof data});
    check_exit(result, 3);
    sandbox_result_free(result);
    result = run_cmd(shell("head -c 5; exec head -c 3"), &(sandbox_bytes){"0123456789", 10});
    CHECK(strncmp(text_of(result, 1), "01234", 5) == 0);
    sandbox_result_free(result);
    result = run_cmd(shell("cat; test ! -c /dev/fd/0"), &(sandbox_bytes){NULL, 0});
    check_exit(result, 0);
    CHECK_EQ(output_of(result, 1).length, 0);
    sandbox_result_free(result);
    result = sh("cat; test -c /dev/fd/0");
    check_exit(result, 0);
    sandbox_result_free(result);
}

TEST(input_is_sealed, "a program can't change its input, and each run gets its own from the start") {
    sandbox_cmd *cmd = shell("cat; echo more >&0; cat");
    options.size = sizeof options;
    for (int round = 0; round < 2; round++) {
        sandbox_result *result;
        CHECK_EQ(sandbox_run(cmd, &(sandbox_bytes){"once", 4}, &options, &result, &error), 0);
        CHECK_STR(text_of(result, 1), "once");
        CHECK(output_of(result, 2).length > 0);
        sandbox_result_free(result);
    }
    sandbox_cmd_free(cmd);
}

TEST(file_size_limit, "input above the host's RLIMIT_FSIZE is an error, not its SIGXFSZ") {
    static char data[10000];
    sandbox_result *result = (void *)8;
    sandbox_cmd *cmd = victim("act", "cat", NULL);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){5000, 10000});
    int code = sandbox_run(cmd, &(sandbox_bytes){data, sizeof data}, NULL, &result, &error);
    CHECK_ERROR(code, error, EFBIG, SANDBOX_STAGE_STDIO, 0, "input");
    CHECK(!result);
    sandbox_cmd_free(cmd);
}

TEST(grandchildren, "a descendant that holds the output open is ended with its program") {
    const char *word = mark();
    sandbox_result *result = sh(line_with("echo started; sleep %s & exit 4", word));
    check_exit(result, 4);
    CHECK_STR(text_of(result, 1), "started\n");
    CHECK_EQ(count_marked(word), 0);
    sandbox_result_free(result);
}

TEST(daemons, "a daemon in a session of its own is ended with its program") {
    const char *word = mark();
    sandbox_result *result = sh(line_with("(setsid sleep %s >/dev/null 2>&1 </dev/null &); (trap '' TERM HUP INT; setsid sleep %s & ) & sleep 0.1; echo out", word));
    check_exit(result, 0);
    CHECK_STR(text_of(result, 1), "out\n");
    CHECK_EQ(count_marked(word), 0);
    sandbox_result_free(result);
}

TEST(wall, "a program that sleeps too long is ended, with all of its own") {
    const char *word = mark();
    options.wall_time_ms = test_scale() > 1 ? 5000 : 300;
    sandbox_result *result = sh(line_with("echo before; setsid sleep %s & sleep %s; echo after", word));
    check_killed(result, SANDBOX_CAUSE_TIMEOUT, SANDBOX_LIMIT_WALL_TIME);
    CHECK_STR(text_of(result, 1), "before\n");
    CHECK(status_of(result).wall_time_us >= 300000);
    CHECK_EQ(count_marked(word), 0);
    sandbox_result_free(result);
}

TEST(wall_hostile, "a program that fills its user's queue of signals, or stops its init, has no longer than another") {
    static const char *const acts[] = {"orphan-and-fill-queue", "orphan-and-stop-parent"};
    for (int i = 0; i < 2; i++) {
        options.wall_time_ms = test_scale() > 1 ? 8000 : 1500;
        sandbox_result *result = run_cmd(victim("act", acts[i], NULL), NULL);
        check_killed(result, SANDBOX_CAUSE_TIMEOUT, SANDBOX_LIMIT_WALL_TIME);
        CHECK_HAS(text_of(result, 1), i ? "\nstopped\n" : "\nfull\n");
        CHECK(status_of(result).wall_time_us < 20000000);
        int orphan = (int)syscall(SYS_pidfd_open, atoi(text_of(result, 1)), 0);
        CHECK(orphan < 0 || !runs(orphan));
        if (orphan >= 0) close(orphan);
        sandbox_result_free(result);
    }
}

TEST(wall_pid_namespace, "the same in a pid namespace, with and without an init") {
    for (int init = 0; init < 2; init++) {
        const char *word = mark();
        sandbox_cmd *cmd = shell(line_with("echo before; setsid sleep %s & sleep %s; echo after", word));
        sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID);
        sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)init);
        options.size = sizeof options, options.wall_time_ms = test_scale() > 1 ? 5000 : 300;
        sandbox_result *result;
        int code = sandbox_run(cmd, NULL, &options, &result, &error);
        sandbox_cmd_free(cmd);
        if (code < 0 && (error.stage == SANDBOX_STAGE_CLONE || error.stage == SANDBOX_STAGE_USERNS)) SKIP("no user namespaces here: %s", error.message);
        CHECK_EQ(code, 0);
        check_killed(result, SANDBOX_CAUSE_TIMEOUT, SANDBOX_LIMIT_WALL_TIME);
        CHECK_STR(text_of(result, 1), "before\n");
        CHECK_EQ(count_marked(word), 0);
        sandbox_result_free(result);
    }
}

TEST(cpu, "a busy program is ended for its CPU time; one that sleeps is not") {
    options.cpu_time_ms = 300;
    sandbox_result *result = sh("sleep 0.6; echo slept");
    check_exit(result, 0);
    CHECK_EQ(sandbox_result_limits(result), 0);
    sandbox_result_free(result);
    result = sh("while :; do :; done");
    check_killed(result, SANDBOX_CAUSE_TIMEOUT, SANDBOX_LIMIT_CPU_TIME);
    sandbox_status status = status_of(result);
    CHECK(status.user_time_us + status.system_time_us >= 280000);
    sandbox_result_free(result);
}

TEST(cpu_tree, "CPU time of children counts, of those that run and those that were reaped") {
    options.cpu_time_ms = 300;
    sandbox_result *result = sh("(while :; do :; done) & (setsid sh -c 'while :; do :; done' &) ; sleep 1000");
    check_killed(result, SANDBOX_CAUSE_TIMEOUT, SANDBOX_LIMIT_CPU_TIME);
    sandbox_result_free(result);
    char line[2 * PATH_MAX];
    snprintf(line, sizeof line, "while :; do '%s' spin 50; done", beside("act"));
    result = sh(line);
    check_killed(result, SANDBOX_CAUSE_TIMEOUT, SANDBOX_LIMIT_CPU_TIME);
    CHECK(status_of(result).user_time_us + status_of(result).system_time_us >= 280000);
    sandbox_result_free(result);
}

TEST(cpu_namespace, "CPU time of a program that was ended counts in a pid namespace too, with an init and without") {
    for (int init = 0; init < 2; init++) {
        sandbox_cmd *cmd = shell("while :; do :; done");
        sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID);
        sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)init);
        options.size = sizeof options, options.cpu_time_ms = 300;
        sandbox_result *result;
        int code = sandbox_run(cmd, NULL, &options, &result, &error);
        sandbox_cmd_free(cmd);
        if (code < 0 && (error.stage == SANDBOX_STAGE_CLONE || error.stage == SANDBOX_STAGE_USERNS)) SKIP("no user namespaces here: %s", error.message);
        CHECK_EQ(code, 0);
        check_killed(result, SANDBOX_CAUSE_TIMEOUT, SANDBOX_LIMIT_CPU_TIME);
        CHECK(status_of(result).user_time_us + status_of(result).system_time_us >= 280000);
        sandbox_result_free(result);
    }
}

static void *make_readable(void *fd) {
    pause_ms(test_scale() > 1 ? 5000 : 200); /* a slow machine's shell has said "before" by then, too */
    CHECK_EQ(write(*(int *)fd, "x", 1), 1);
    return NULL;
}

TEST(cancel, "another thread cancels a run: its program is ended, with all of its own") {
    int ends[2];
    pthread_t thread;
    const char *word = mark();
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    CHECK_EQ(pthread_create(&thread, NULL, make_readable, &ends[1]), 0);
    options.flags = SANDBOX_RUN_CANCEL_FD, options.cancel_fd = ends[0];
    sandbox_result *result = sh(line_with("echo before; setsid sleep %s & sleep %s; echo after", word));
    check_killed(result, SANDBOX_CAUSE_KILLED, SANDBOX_LIMIT_CANCELED);
    CHECK_STR(text_of(result, 1), "before\n");
    CHECK_EQ(count_marked(word), 0);
    sandbox_result_free(result);
    pthread_join(thread, NULL);
    result = sh("sleep 1000"); /* it is readable before the start */
    check_killed(result, SANDBOX_CAUSE_KILLED, SANDBOX_LIMIT_CANCELED);
    sandbox_result_free(result);
    close(ends[0]), close(ends[1]);
}

TEST(cgroup, "in a cgroup of its own: no init, all of it is ended, and its CPU time is what counts") {
    const char *parent = getenv("SANDBOX_CGROUP");
    if (!parent || !*parent) SKIP("no cgroup2 directory that this user may write in (SANDBOX_CGROUP)");
    const char *lines[] = {"echo $PPID; setsid sleep %s & exit 4", "echo $PPID; (setsid sh -c 'while :; do :; done' x%s &); sleep 1000", "echo $PPID; setsid sleep %s & sleep 1000"};
    for (int way = 0; way < 3; way++) {
        const char *word = mark();
        sandbox_cmd *cmd = shell(line_with(lines[way], word));
        CHECK_EQ(sandbox_cmd_cgroup(cmd, parent), 0);
        options.cpu_time_ms = way == 1 ? 300 : 0, options.wall_time_ms = way == 2 ? 300 : 0;
        sandbox_result *result = run_cmd(cmd, NULL);
        if (way == 0) check_exit(result, 4);
        else check_killed(result, SANDBOX_CAUSE_TIMEOUT, way == 1 ? SANDBOX_LIMIT_CPU_TIME : SANDBOX_LIMIT_WALL_TIME);
        CHECK_EQ(atoi(text_of(result, 1)), getpid()); /* no init between */
        CHECK_EQ(count_marked(word), 0);
        sandbox_result_free(result);
    }
}

static void nothing(int signal) { (void)signal; }

TEST(signals, "a host under a storm of signals") {
    struct itimerval time = {{0, 500}, {0, 500}};
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing}, NULL);
    setitimer(ITIMER_REAL, &time, NULL);
    static char data[3 << 20];
    memset(data, 'x', sizeof data);
    for (int round = 0; round < 5; round++) {
        sandbox_result *result = run_cmd(victim("act", "cat", NULL), &(sandbox_bytes){data, sizeof data});
        check_exit(result, 0);
        CHECK_EQ(output_of(result, 1).length, sizeof data);
        sandbox_result_free(result);
    }
    options.wall_time_ms = 200;
    sandbox_result *result = sh("sleep 1000");
    check_killed(result, SANDBOX_CAUSE_TIMEOUT, SANDBOX_LIMIT_WALL_TIME);
    sandbox_result_free(result);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}

TEST(ignoring, "a host that ignores SIGCHLD and SIGPIPE, with all signals blocked") {
    sigset_t all;
    signal(SIGCHLD, SIG_IGN), signal(SIGPIPE, SIG_IGN);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    static char data[1 << 20];
    sandbox_result *result = run_cmd(shell("exit 9"), &(sandbox_bytes){data, sizeof data});
    check_exit(result, 9);
    sandbox_result_free(result);
    result = sh("yes | head -n 1"); /* ends by SIGPIPE where that is not ignored: it would go on else */
    CHECK_STR(text_of(result, 1), "y\n");
    sandbox_result_free(result);
    options.wall_time_ms = 200;
    result = sh("sleep 1000");
    check_killed(result, SANDBOX_CAUSE_TIMEOUT, SANDBOX_LIMIT_WALL_TIME);
    sandbox_result_free(result);
}

TEST(many, "1,000 runs of one command leave nothing") {
    sandbox_cmd *cmd = victim("act", "both", NULL);
    options.size = sizeof options;
    long before = 0;
    int rounds = scaled(1000);
    for (int round = 0; round < rounds; round++) {
        sandbox_result *result;
        CHECK_EQ(sandbox_run(cmd, &(sandbox_bytes){"in", 2}, &options, &result, &error), 0);
        check_exit(result, 0);
        CHECK_STR(text_of(result, 1), "out");
        CHECK_STR(text_of(result, 2), "err");
        sandbox_result_free(result);
        char text[100] = "";
        int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
        CHECK(read(fd, text, sizeof text - 1) > 0);
        close(fd);
        if (round == rounds / 10) before = atol(text);
        if (round == rounds - 1 && !UNDER_ASAN && atol(text) > before + 1000) /* its quarantine grows */ FAIL("the host grew from %ld to %s pages", before, text);
    }
    sandbox_cmd_free(cmd);
}

static void *run_many(void *cmd) {
    char text[40];
    for (int round = 0; round < scaled(25); round++) {
        sandbox_result *result;
        snprintf(text, sizeof text, "%lx %d", (unsigned long)pthread_self(), round);
        if (sandbox_run(cmd, &(sandbox_bytes){text, strlen(text)}, NULL, &result, NULL) < 0) return (void *)1;
        const char *seen = text_of(result, 1);
        if (strcmp(seen, text) != 0) return (void *)2;
        sandbox_result_free(result);
    }
    return NULL;
}

TEST(threads, "eight threads run one command at once") {
    pthread_t threads[8];
    sandbox_cmd *cmd = victim("act", "cat", NULL);
    for (int i = 0; i < 8; i++) CHECK_EQ(pthread_create(&threads[i], NULL, run_many, cmd), 0);
    for (int i = 0; i < 8; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        CHECK(!wrong);
    }
    sandbox_cmd_free(cmd);
}

static int refused(sandbox_cmd *cmd, const sandbox_bytes *input) {
    sandbox_result *result = (void *)8;
    options.size = sizeof options;
    int code = sandbox_run(cmd, input, &options, &result, &error);
    CHECK(!result);
    sandbox_cmd_free(cmd);
    return code;
}

TEST(failures, "a set-up that fails is a typed error and no result") {
    CHECK_ERROR(refused(sandbox_cmd_new("/no/such/program"), NULL), error, ENOENT, SANDBOX_STAGE_EXEC, 0, "/no/such/program");
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_cwd(cmd, "/no/such/directory");
    CHECK_ERROR(refused(cmd, NULL), error, ENOENT, SANDBOX_STAGE_CWD, 0, "/no/such/directory");
    cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_set(cmd, 100, 0);
    sandbox_cmd_ptrace(cmd, 0);
    CHECK_ERROR(refused(cmd, NULL), error, EINVAL, SANDBOX_STAGE_SETUP, 0, "option 100");
    cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_ptrace(cmd, 0);
    CHECK_ERROR(refused(cmd, NULL), error, EINVAL, SANDBOX_STAGE_PTRACE, 0, "tracer");
    cmd = victim("act", "exit", "0", NULL);
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_filter_rule(filter, SANDBOX_ACT_NOTIFY, "getpid", NULL, 0);
    CHECK_EQ(sandbox_cmd_filter(cmd, filter), 0);
    sandbox_filter_free(filter);
    CHECK_ERROR(refused(cmd, NULL), error, EINVAL, SANDBOX_STAGE_SECCOMP, 0, "notifications");
    cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PTY, -1);
    CHECK_ERROR(refused(cmd, NULL), error, EINVAL, SANDBOX_STAGE_STDIO, 1, "terminal");
    cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_NULL, -1);
    CHECK_ERROR(refused(cmd, &(sandbox_bytes){"a", 1}), error, EINVAL, SANDBOX_STAGE_STDIO, 0, "input");
    cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_NULL, -1);
    options.flags = SANDBOX_RUN_MERGE_STDERR;
    CHECK_ERROR(refused(cmd, NULL), error, EINVAL, SANDBOX_STAGE_STDIO, 2, "merged");
    options.flags = 0;
    cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_set(cmd, SANDBOX_OPT_DEATH_SIGNAL, SIGTERM);
    CHECK_ERROR(refused(cmd, NULL), error, EINVAL, SANDBOX_STAGE_SETUP, 0, "DEATH_SIGNAL");
}

TEST(streams, "streams that the command sends elsewhere go there") {
    int both[2];
    char text[100];
    CHECK_EQ(pipe2(both, O_CLOEXEC), 0);
    sandbox_cmd *cmd = victim("act", "both", NULL);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_FD, both[1]);
    sandbox_cmd_pass_fd(cmd, both[1], 2);
    sandbox_result *result = run_cmd(cmd, NULL);
    check_exit(result, 0);
    CHECK_EQ(output_of(result, 1).length + output_of(result, 2).length, 0);
    close(both[1]);
    drain(both[0], text, sizeof text);
    CHECK_STR(text, "outerr");
    close(both[0]);
    sandbox_result_free(result);
    cmd = victim("act", "both", NULL);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_NULL, -1);
    result = run_cmd(cmd, NULL);
    CHECK_STR(text_of(result, 1), "out");
    CHECK_STR(text_of(result, 2), "");
    sandbox_result_free(result);
}

TEST(closed_streams, "a host with its own streams closed collects as ever") {
    int kept[3];
    for (int fd = 0; fd < 3; fd++) kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 100), close(fd);
    sandbox_result *result = run_cmd(victim("act", "cat", NULL), &(sandbox_bytes){"text", 4});
    for (int fd = 0; fd < 3; fd++) dup2(kept[fd], fd), close(kept[fd]);
    CHECK_STR(text_of(result, 1), "text");
    sandbox_result_free(result);
}

TEST(structs, "structs of other sizes: older, newer, none; nothing is written beyond them") {
    sandbox_cmd *cmd = victim("act", "both", NULL);
    sandbox_result *result;
    struct { sandbox_run_options known; uint64_t newer[4]; } large = {{.size = sizeof large, .stdout_limit = 2}, {0}};
    CHECK_EQ(sandbox_run(cmd, NULL, &large.known, &result, &error), 0);
    CHECK_STR(text_of(result, 1), "ou");
    sandbox_result_free(result);
    large.newer[3] = 1;
    CHECK_ERROR(sandbox_run(cmd, NULL, &large.known, &result, &error), error, E2BIG, SANDBOX_STAGE_SETUP, 0, "sandbox_run_options");
    CHECK(!result);
    /* An older caller's struct ends before the limit: what lies behind is not looked at. */
    large.known.size = offsetof(sandbox_run_options, stdout_limit);
    CHECK_EQ(sandbox_run(cmd, NULL, &large.known, &result, &error), 0);
    CHECK_STR(text_of(result, 1), "out");
    size_t wrong[] = {0, 1, sizeof(size_t) - 1, 4097, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sandbox_result *none = (void *)8;
        large.known.size = wrong[i];
        CHECK_ERROR(sandbox_run(cmd, NULL, &large.known, &none, &error), error, EINVAL, SANDBOX_STAGE_SETUP, 0, "size");
        CHECK(!none);
    }
    unsigned char guarded[sizeof(sandbox_status) + 16];
    for (size_t size = 0; size <= sizeof guarded; size += 8) {
        memset(guarded, 0xa5, sizeof guarded);
        CHECK_EQ(sandbox_result_status(result, (sandbox_status *)guarded, size), 0);
        for (size_t i = size; i < sizeof guarded; i++) CHECK_EQ(guarded[i], 0xa5);
        for (size_t i = sizeof(sandbox_status); i < size; i++) CHECK_EQ(guarded[i], 0);
        memset(guarded, 0xa5, sizeof guarded);
        if (size > sizeof(sandbox_output) + 16) continue;
        CHECK_EQ(sandbox_result_output(result, 2, (sandbox_output *)guarded, size), 0);
        for (size_t i = size; i < sizeof guarded; i++) CHECK_EQ(guarded[i], 0xa5);
    }
    sandbox_result_free(result);
    CHECK_EQ(sandbox_run(cmd, NULL, NULL, &result, NULL), 0);
    sandbox_result_free(result);
    sandbox_cmd_free(cmd);
}

/* Drives a run as an event loop does. */
static int drive(sandbox_running *running, sandbox_result **result) {
    for (;;) {
        sandbox_run_wait wait;
        int code = sandbox_run_step(running, &wait, sizeof wait, result, &error);
        if (code) return code;
        CHECK(!*result);
        struct pollfd polled[] = {{wait.pidfd, POLLIN, 0}, {wait.stdout_fd, POLLIN, 0}, {wait.stderr_fd, POLLIN, 0}};
        for (int i = 0; i < 3; i++)
            if (polled[i].fd >= 0) fcntl(polled[i].fd, F_SETFL, fcntl(polled[i].fd, F_GETFL) | O_NONBLOCK); /* as libuv does */
        poll(polled, 3, wait.timeout_ms);
    }
}
static sandbox_running *start(const char *line, const sandbox_bytes *input) {
    sandbox_cmd *cmd = shell(line);
    sandbox_running *running;
    options.size = sizeof options;
    CHECK_EQ(sandbox_run_start(cmd, input, &options, &running, &error), 0);
    sandbox_cmd_free(cmd);
    return running;
}

TEST(steps, "an event loop drives runs: megabytes through pipes, limits of time and output, two at once") {
    static char big[4 << 20];
    sandbox_result *result;
    options = (sandbox_run_options){0};
    memset(big, 'x', sizeof big);
    sandbox_running *running = start("cat; cat /dev/null; printf err >&2; exit 7", &(sandbox_bytes){big, sizeof big});
    CHECK_EQ(drive(running, &result), 1);
    check_exit(result, 7);
    CHECK_EQ(output_of(result, 1).length, sizeof big);
    CHECK_STR(text_of(result, 2), "err");
    CHECK_EQ(sandbox_run_step(running, NULL, 0, &(sandbox_result *){NULL}, &error), -EALREADY);
    sandbox_running_free(running);
    sandbox_result_free(result);

    options = (sandbox_run_options){.wall_time_ms = 300};
    running = start("echo before; sleep 1000 & wait", NULL);
    options = (sandbox_run_options){.cpu_time_ms = 100};
    sandbox_running *other = start("while :; do :; done", NULL);
    CHECK_EQ(drive(running, &result), 1);
    check_killed(result, SANDBOX_CAUSE_TIMEOUT, SANDBOX_LIMIT_WALL_TIME);
    CHECK_STR(text_of(result, 1), "before\n");
    sandbox_running_free(running);
    sandbox_result_free(result);
    CHECK_EQ(drive(other, &result), 1);
    check_killed(result, SANDBOX_CAUSE_TIMEOUT, SANDBOX_LIMIT_CPU_TIME);
    sandbox_running_free(other);
    sandbox_result_free(result);

    options = (sandbox_run_options){.stdout_limit = 4, .flags = SANDBOX_RUN_KILL_AT_LIMIT};
    running = start("yes", NULL);
    CHECK_EQ(drive(running, &result), 1);
    check_killed(result, SANDBOX_CAUSE_KILLED, SANDBOX_LIMIT_STDOUT);
    CHECK_STR(text_of(result, 1), "y\ny\n");
    sandbox_running_free(running);
    sandbox_result_free(result);
    options = (sandbox_run_options){0};
}

TEST(steps_abandoned, "a run freed under way ends with all that it started; one that can't start says where") {
    const char *number = mark();
    options = (sandbox_run_options){0};
    sandbox_running *running = start(line_with("sleep %s & sleep 1000; true", number), NULL); /* some shells become their last command */
    while (count_marked(number) < 2) usleep(1000); /* the shell's own line, and what it started */
    sandbox_running_free(running);
    CHECK_EQ(count_marked(number), 0);
    sandbox_cmd *cmd = sandbox_cmd_new("/no/such/program");
    running = (void *)8;
    options.size = sizeof options;
    CHECK_ERROR(sandbox_run_start(cmd, NULL, &options, &running, &error), error, ENOENT, SANDBOX_STAGE_EXEC, 0, "/no/such/program");
    CHECK(!running);
    sandbox_cmd_free(cmd);
}
