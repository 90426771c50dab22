/* SANDBOX_OPT_INIT: the init that stays behind reaps, forwards signals, ends with its host and tells the program's
 * status exactly. */
#include "test.h"

static struct run result;

static const char *decimal(int n) {
    static __thread char text[16];
    snprintf(text, sizeof text, "%d", n);
    return text;
}

static sandbox_cmd *under_init(sandbox_cmd *cmd) {
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1), 0);
    return cmd;
}

TEST(codes, "exit codes come through the init as they were") {
    for (int code = 0; code < 256; code += code < 4 || code > 120 ? 1 : 9) {
        run(under_init(victim("act", "exit", decimal(code), NULL)), &result);
        CHECK_EQ(result.result, 0);
        CHECK_EQ(result.status.kind, SANDBOX_EXITED);
        CHECK_EQ(result.status.code, code);
    }
}

TEST(signals, "signals come through the init as they were, never as 128 + n") {
    for (int signal = 1; signal < 65; signal++) {
        if (signal == SIGCHLD || signal == SIGCONT || signal == SIGURG || signal == SIGWINCH || (signal >= SIGSTOP && signal <= SIGTTOU)) continue;
        sandbox_cmd *cmd = under_init(victim("act", "signal", decimal(signal), NULL));
        sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
        run(cmd, &result);
        CHECK_EQ(result.result, 0);
        CHECK_EQ(result.status.kind, SANDBOX_SIGNALED);
        CHECK_EQ(result.status.code, signal);
    }
}

TEST(family, "the program is the init's child, the handle's pid is the init's, and the program dies with the init") {
    run_well(under_init(victim("report", "pid", "ppid", "death", NULL)), &result);
    CHECK_EQ(number(&result, "ppid"), result.pid);
    CHECK(number(&result, "pid") != result.pid);
    CHECK_EQ(number(&result, "death"), SIGKILL);
}

TEST(zombies, "orphans are reaped, all of them") {
    CHECK_STR(run_well(under_init(victim("act", "zombies", "100", NULL)), &result), "0\n");
}

/* The pid that "act" printed, as a pidfd. */
static int orphan_of(sandbox_child *child) {
    char text[32];
    size_t length = 0;
    int fd = sandbox_child_take_fd(child, SANDBOX_FD_STDOUT);
    while (length + 1 < sizeof text && read(fd, text + length, 1) == 1 && text[length++] != '\n') {}
    text[length] = 0;
    close(fd);
    int pidfd = (int)syscall(SYS_pidfd_open, atoi(text), 0);
    if (pidfd < 0 && errno != ESRCH) FAIL("pidfd_open of \"%s\": %s", text, strerror(errno));
    return pidfd;
}

static sandbox_child *piped(sandbox_cmd *cmd) {
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    sandbox_cmd_free(cmd);
    return child;
}

static bool unshares(uint64_t namespaces) {
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_unshare(cmd, namespaces);
    run(cmd, &result);
    return result.result == 0;
}

TEST(rest_exit, "what is left when the program exits, or dies, ends with it") {
    const char *ways[] = {"orphan", "orphan-and-signal"};
    for (int way = 0; way < 2; way++) {
        sandbox_child *child = piped(under_init(victim("act", ways[way], "15", NULL)));
        sandbox_status status;
        int orphan = orphan_of(child);
        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
        CHECK_EQ(status.kind, way ? SANDBOX_SIGNALED : SANDBOX_EXITED);
        CHECK(orphan < 0 || !runs(orphan)); /* no moment later: wait has returned */
        if (orphan >= 0) close(orphan);
        sandbox_child_free(child);
    }
}

TEST(rest_free, "free ends the program and all that is left") {
    sandbox_child *child = piped(under_init(victim("act", "orphan-and-sleep", NULL)));
    int orphan = orphan_of(child);
    CHECK(orphan >= 0 && runs(orphan));
    sandbox_child_free(child);
    CHECK(ends(orphan));
    close(orphan);
}

TEST(rest_kill, "SIGKILL through the handle ends the program and all that is left, and is told as such") {
    sandbox_child *child = piped(under_init(victim("act", "orphan-and-sleep", NULL)));
    sandbox_status status;
    int orphan = orphan_of(child);
    CHECK(orphan >= 0 && runs(orphan));
    CHECK_EQ(sandbox_child_kill(child, SIGKILL), 0);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(status.kind, SANDBOX_SIGNALED);
    CHECK_EQ(status.code, SIGKILL);
    CHECK_EQ(status.cause, SANDBOX_CAUSE_KILLED);
    CHECK(ends(orphan));
    close(orphan);
    sandbox_child_free(child);
}

/* The ways to end a program that has made ready for it. */
static void ends_it(const char *act, const char *said, uint64_t namespaces, int way) {
    sandbox_cmd *cmd = under_init(victim("act", act, NULL));
    sandbox_cmd_unshare(cmd, namespaces);
    sandbox_child *child = piped(cmd);
    sandbox_status status;
    char line[64];
    FILE *out = fdopen(sandbox_child_take_fd(child, SANDBOX_FD_STDOUT), "r");
    CHECK(out && fgets(line, sizeof line, out));
    int orphan = namespaces ? -1 : (int)syscall(SYS_pidfd_open, atoi(line), 0);
    CHECK(fgets(line, sizeof line, out));
    CHECK_STR(line, said);
    if (way == 0) CHECK_EQ(sandbox_child_kill(child, SIGKILL), 0);
    if (way == 1) CHECK_EQ(sandbox_child_kill_all(child), 0);
    if (way < 2) {
        CHECK_EQ(sandbox_child_wait(child, 20000, &status, sizeof status), 0);
        CHECK(status.kind == SANDBOX_SIGNALED && status.code == SIGKILL && status.cause == SANDBOX_CAUSE_KILLED);
    }
    sandbox_child_free(child);
    CHECK(!fgets(line, sizeof line, out)); /* nobody holds it any more */
    CHECK(orphan < 0 || ends(orphan));
    if (orphan >= 0) close(orphan);
    fclose(out);
}

TEST(full_queue, "a program that fills its user's queue of signals is ended all the same, by kill, kill_all and free") {
    bool has_namespaces = unshares(SANDBOX_NS_USER | SANDBOX_NS_PID);
    for (int way = 0; way < 3; way++) {
        ends_it("orphan-and-fill-queue", "full\n", 0, way);
        if (has_namespaces) ends_it("orphan-and-fill-queue", "full\n", SANDBOX_NS_USER | SANDBOX_NS_PID, way);
    }
}

TEST(stopped_init, "a program that stops its init is ended all the same, by kill, kill_all and free") {
    for (int way = 0; way < 3; way++) ends_it("orphan-and-stop-parent", "stopped\n", 0, way);
}

static char state_of(pid_t pid) {
    char path[64], line[512], *at;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file || !fgets(line, sizeof line, file) || !(at = strrchr(line, ')'))) return '?';
    fclose(file);
    return at[2];
}

TEST(pauses, "SIGSTOP through the handle stops the program, not its init: it goes on by SIGCONT, and ends by SIGKILL or with its host") {
    bool has_namespaces = unshares(SANDBOX_NS_USER | SANDBOX_NS_PID);
    for (int way = 0; way < (has_namespaces ? 4 : 2); way++) {
        char line[64], path[64];
        sandbox_status status;
        sandbox_cmd *cmd = under_init(sandbox_cmd_new("/bin/sh"));
        sandbox_cmd_args(cmd, (const char *const[]){"-c", "echo; read line; echo $line; exit 7", NULL});
        sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
        if (way >= 2) sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID);
        sandbox_child *child = piped(cmd);
        CHECK_EQ(read(fds_of(child).stdout_fd, line, 1), 1);
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", sandbox_child_pid(child), sandbox_child_pid(child));
        FILE *list = fopen(path, "re");
        int program = 0;
        CHECK(list && fscanf(list, "%d", &program) == 1);
        fclose(list);
        CHECK_EQ(sandbox_child_kill(child, SIGSTOP), 0);
        for (int round = 0; state_of(program) != 'T'; round++) {
            if (round == 2000) FAIL("the program is not stopped, but %c", state_of(program));
            pause_ms(10);
        }
        CHECK(state_of(sandbox_child_pid(child)) != 'T');
        CHECK_EQ(write(fds_of(child).stdin_fd, "line\n", 5), 5);
        CHECK_EQ(sandbox_child_wait(child, 100, &status, sizeof status), -ETIMEDOUT);
        for (int i = 0; i < 80 && !(way & 1); i++) { /* the last one counts, however they meet in the init */
            int sent = sandbox_child_kill(child, i & 1 ? SIGCONT : SIGSTOP);
            CHECK(sent == 0 || sent == -ESRCH); /* it ends as soon as it can */
        }
        if (way & 1) CHECK_EQ(sandbox_child_kill(child, SIGKILL), 0);
        CHECK_EQ(sandbox_child_wait(child, 20000, &status, sizeof status), 0);
        if (way & 1) CHECK(status.kind == SANDBOX_SIGNALED && status.code == SIGKILL);
        else CHECK(status.kind == SANDBOX_EXITED && status.code == 7);
        sandbox_child_free(child);
    }
}

TEST(killed_init, "where a program has killed its init, kill_all says that nothing holds what is left") {
    sandbox_child *child = piped(under_init(victim("act", "orphan-and-kill-parent", NULL)));
    sandbox_status status;
    int orphan = orphan_of(child);
    CHECK(orphan >= 0);
    CHECK_EQ(sandbox_child_wait(child, 20000, &status, sizeof status), 0);
    CHECK(status.kind == SANDBOX_SIGNALED && status.code == SIGKILL);
    CHECK_EQ(sandbox_child_kill_all(child), -ENOTSUP);
    sandbox_child_free(child);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, orphan, SIGKILL, NULL, 0), 0);
    CHECK(ends(orphan));
    close(orphan);
}

TEST(forwards, "signals to the init reach the program") {
    sandbox_child *child = piped(under_init(victim("act", "catch", NULL)));
    FILE *out = fdopen(sandbox_child_take_fd(child, SANDBOX_FD_STDOUT), "r");
    char line[32];
    sandbox_status status;
    CHECK(fgets(line, sizeof line, out));
    int some[] = {SIGHUP, SIGINT, SIGUSR1, SIGWINCH, SIGCONT, SIGRTMIN + 3, 64};
    for (int i = 0; i < 7; i++) {
        CHECK_EQ(sandbox_child_kill(child, some[i]), 0);
        CHECK(fgets(line, sizeof line, out));
        CHECK_EQ(atoi(line), some[i]);
    }
    CHECK_EQ(sandbox_child_kill(child, SIGTERM), 0);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(status.kind, SANDBOX_EXITED);
    CHECK_EQ(status.code, 0);
    fclose(out);
    sandbox_child_free(child);
}

TEST(forwarded_death, "a forwarded signal that ends the program is the status, cause KILLED") {
    sandbox_child *child = piped(under_init(victim("act", "sleep", "60000", NULL)));
    sandbox_status status;
    CHECK_EQ(sandbox_child_kill(child, SIGTERM), 0);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(status.kind, SANDBOX_SIGNALED);
    CHECK_EQ(status.code, SIGTERM);
    CHECK_EQ(status.cause, SANDBOX_CAUSE_KILLED);
    sandbox_child_free(child);
}

TEST(errors, "a program that can't be executed under an init is an error of the spawn, and no init is left") {
    sandbox_cmd *cmd = under_init(sandbox_cmd_new("/nonexistent/program"));
    for (int i = 0; i < 30; i++) {
        sandbox_child *child = (sandbox_child *)1;
        sandbox_error error;
        CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, ENOENT, SANDBOX_STAGE_EXEC, 0, "/nonexistent/program");
        CHECK(child == NULL);
    }
    sandbox_cmd_cwd(cmd, "/nonexistent");
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_CWD, 0, "/nonexistent");
}

TEST(death_signal, "another death signal than SIGKILL is refused with an init") {
    sandbox_cmd *cmd = under_init(victim("act", NULL));
    sandbox_cmd_set(cmd, SANDBOX_OPT_DEATH_SIGNAL, SIGTERM);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_SETUP, 0, "DEATH_SIGNAL");
}

TEST(holds_nothing, "the init holds no pipe of the program's open, and nobody but root can look into it, from the first moment") {
    for (int round = 0; round < 50; round++) {
        sandbox_cmd *cmd = under_init(victim("act", "catch", NULL));
        sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
        sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_PIPE, -1);
        sandbox_child *child = piped(cmd);
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/fd", sandbox_child_pid(child));
        int count = count_entries(path);
        if (geteuid() == 0) { /* it can be counted: in the end the signalfd, two pidfds and the list of its children */
            for (int patience = 0; patience < 2000 && count != 4; patience++) pause_ms(1), count = count_entries(path);
            CHECK_EQ(count, 4);
        } else {
            CHECK_EQ(count, -1);
        }
        sandbox_child_free(child);
    }
}

static bool is_readable(int fd, int milliseconds) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, milliseconds) == 1;
}

TEST(lingers, "with INIT 2 the program's end is told while what it left runs on; to free the handle ends that") {
    int held[2];
    char byte;
    CHECK_EQ(pipe2(held, O_CLOEXEC), 0);
    for (int with_namespace = 0; with_namespace < 2; with_namespace++) {
        sandbox_cmd *cmd = sandbox_cmd_new("/bin/sh");
        sandbox_child *child;
        sandbox_status status;
        sandbox_error error;
        const char *places[] = {"/not/there", "/usr", NULL};
        sandbox_cmd_arg(cmd, "-c");
        sandbox_cmd_arg(cmd, with_namespace ? "test \"$PWD\" = /usr || exit 9; sleep 1000 & exit 5" : "test \"$PWD\" = /usr && exit 5");
        sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 2);
        sandbox_cmd_set(cmd, SANDBOX_OPT_DEATH_SIGNAL, 0);
        CHECK_EQ(sandbox_cmd_cwd_first(cmd, places), 0);
        CHECK_EQ(sandbox_cmd_init_fd(cmd, held[1]), 0);
        CHECK_EQ(sandbox_cmd_init_lock(cmd, "/etc/passwd"), 0);
        if (with_namespace) sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID);
        if (sandbox_spawn(cmd, &child, &error) < 0) FAIL("%s", error.message);
        sandbox_cmd_free(cmd);
        CHECK_EQ(sandbox_child_wait(child, 20000, &status, sizeof status), 0);
        CHECK_EQ(status.kind, SANDBOX_EXITED);
        CHECK_EQ(status.code, 5);
        /* Without a pid namespace only its own children are the init's. */
        sandbox_fds fds;
        sandbox_child_fds(child, &fds, sizeof fds);
        if (with_namespace) CHECK(!is_readable(fds.pidfd, 100));
        int pidfd = fcntl(fds.pidfd, F_DUPFD_CLOEXEC, 3);
        sandbox_child_free(child);
        CHECK(is_readable(pidfd, 20000));
        close(pidfd);
    }
    close(held[1]);
    CHECK_EQ(read(held[0], &byte, 1), 0); /* nobody holds it any more */
    close(held[0]);
}

TEST(locks, "the init's lock lasts although its host has the same file open, and the program may outlive neither") {
    char path[] = "/tmp/sandbox-lock-XXXXXX", byte;
    int file = mkostemp(path, 0); /* which exec does not close */
    int hold[2];
    CHECK(file >= 0 && pipe2(hold, O_CLOEXEC) == 0);
    sandbox_cmd *cmd = under_init(sandbox_cmd_new("/bin/sh"));
    sandbox_cmd_args(cmd, (const char *const[]){"-c", "echo; read line", NULL});
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_FD, hold[0]);
    CHECK_EQ(sandbox_cmd_init_lock(cmd, path), 0);
    sandbox_child *child = piped(cmd);
    sandbox_status status;
    CHECK_EQ(read(fds_of(child).stdout_fd, &byte, 1), 1);
    /* The init closes what it has inherited once its program is there. */
    for (int i = 0; i < 20; i++, usleep(5000)) {
        struct flock lock = {.l_type = F_WRLCK};
        CHECK_EQ(fcntl(file, F_SETLK, &lock), -1);
        CHECK_EQ(errno, EAGAIN);
    }
    close(hold[0]), close(hold[1]);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    struct flock lock = {.l_type = F_WRLCK};
    CHECK_EQ(fcntl(file, F_SETLK, &lock), 0);
    sandbox_child_free(child);
    unlink(path), close(file);
}

TEST(held, "what is to be held needs an init, and only a lingering one may outlive its host") {
    sandbox_error error;
    sandbox_child *child;
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
    sandbox_cmd_init_fd(cmd, 0);
    CHECK_EQ(sandbox_spawn(cmd, &child, &error), -EINVAL);
    CHECK_EQ(error.stage, SANDBOX_STAGE_INIT);
    sandbox_cmd_free(cmd);
    cmd = sandbox_cmd_new("/bin/true");
    sandbox_cmd_init_lock(cmd, "/etc/passwd");
    CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, EINVAL, SANDBOX_STAGE_INIT, 1, "without INIT");
    sandbox_cmd_free(cmd);
    cmd = under_init(sandbox_cmd_new("/bin/true"));
    sandbox_cmd_set(cmd, SANDBOX_OPT_DEATH_SIGNAL, 0);
    CHECK_EQ(sandbox_spawn(cmd, &child, &error), -EINVAL);
    sandbox_cmd_free(cmd);
}

TEST(lock_refused, "a lock that can't be had fails the spawn, with its place and its file's name; no process is left") {
    char path[] = "/tmp/sandbox-lock-XXXXXX";
    int file = mkostemp(path, O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK};
    CHECK(file >= 0 && fcntl(file, F_OFD_SETLK, &lock) == 0);
    static const struct {
        const char *path;
        int error;
        const char *word;
    } cases[] = {{NULL, EAGAIN, "lock \"/tmp/sandbox-lock-"}, {"/not/there", ENOENT, "open \"/not/there\" to lock it"}};
    for (int i = 0; i < 2; i++) {
        sandbox_child *child;
        sandbox_error error;
        sandbox_cmd *cmd = under_init(sandbox_cmd_new("/bin/true"));
        CHECK_EQ(sandbox_cmd_init_lock(cmd, "/etc/passwd"), 0);
        CHECK_EQ(sandbox_cmd_init_lock(cmd, cases[i].path ? cases[i].path : path), 0);
        CHECK_ERROR(sandbox_spawn(cmd, &child, &error), error, cases[i].error, SANDBOX_STAGE_INIT, 2, cases[i].word);
        CHECK(!child);
        sandbox_cmd_free(cmd);
    }
    unlink(path), close(file);
}
