/* The supervisor as a C program uses it: several threads, an event loop, a file opened in the child's place. Each rule of
 * user notification has its test in tests/supervisor.rs. */
#include "seccomp.h"
#include <stdatomic.h>

static atomic_long handled;

/* "ask" with its words, its `syscall` notified. */
static sandbox_cmd *asking(const char *syscall, const char *a, const char *b, const char *c) {
    sandbox_cmd *cmd = victim("ask", a, b, c, NULL);
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, syscall));
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    return cmd;
}

static sandbox_supervisor *supervised(sandbox_child *child) {
    sandbox_supervisor *sup = sandbox_supervisor_new(child);
    CHECK(sup);
    CHECK(!sandbox_supervisor_new(child)); /* its listener was taken */
    CHECK_EQ(fds_of(child).seccomp_fd, -1);
    return sup;
}

static void check_end(sandbox_child *child, const char *said) {
    char out[200];
    sandbox_status status;
    drain(fds_of(child).stdout_fd, out, sizeof out);
    CHECK_STR(out, said);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(status.kind, SANDBOX_EXITED);
    CHECK_EQ(status.code, 0);
    sandbox_child_free(child);
}

static int add_one(sandbox_notify *n, void *userdata) {
    sandbox_syscall call;
    int result = sandbox_notify_call(n, &call, sizeof call);
    if (result < 0) return result;
    atomic_fetch_add((atomic_long *)userdata, 1);
    return sandbox_notify_return(n, (int64_t)call.args[0] + 1);
}

static void *run_it(void *sup) { return (void *)(long)sandbox_supervisor_run(sup); }

TEST(million, "of a million calls of four threads, answered by two, none is lost") {
    char calls[16];
    snprintf(calls, sizeof calls, "%d", scaled(250000));
    sandbox_cmd *cmd = asking("getppid", "count", "4", calls);
    sandbox_child *child = spawned(cmd);
    sandbox_supervisor *sup = supervised(child);
    CHECK_EQ(sandbox_supervisor_on(sup, "getppid", add_one, &handled), 0);
    pthread_t other;
    CHECK_EQ(pthread_create(&other, NULL, run_it, sup), 0);
    CHECK_EQ(sandbox_supervisor_run(sup), 0);
    void *result;
    pthread_join(other, &result);
    CHECK_EQ((long)result, 0);
    CHECK_EQ(atomic_load(&handled), 4 * scaled(250000));
    CHECK_EQ(sandbox_supervisor_ended(sup), 1);
    sandbox_supervisor_free(sup);
    check_end(child, "0 wrong\n");
    sandbox_cmd_free(cmd);
}

static sandbox_notify *kept;
static int keep(sandbox_notify *n, void *userdata) {
    (void)userdata;
    kept = n;
    int code = sandbox_notify_keep(n);
    CHECK_EQ(sandbox_notify_keep(n), -EALREADY);
    return code;
}

TEST(kept, "an answer may come after its handler has returned") {
    sandbox_child *child = spawned(asking("getppid", "count", "1", "3"));
    sandbox_supervisor *sup = supervised(child);
    CHECK_EQ(sandbox_supervisor_on(sup, "getppid", keep, NULL), 0);
    int answers = 0;
    while (sandbox_supervisor_dispatch(sup, -1) == 1) {
        sandbox_syscall call;
        CHECK_EQ(sandbox_supervisor_dispatch(sup, 20), 0); /* its caller waits */
        CHECK_EQ(sandbox_notify_check(kept), 0);
        CHECK_EQ(sandbox_notify_call(kept, &call, sizeof call), 0);
        CHECK_EQ(sandbox_notify_return(kept, (int64_t)call.args[0] + 1), 0);
        sandbox_notify_free(kept);
        answers++;
    }
    CHECK_EQ(answers, 3);
    sandbox_supervisor_free(sup);
    sandbox_child_free(child);
}

TEST(loop, "an event loop polls the supervisor's fd beside the pidfd") {
    sandbox_cmd *cmd = asking("getppid", "count", "2", "500");
    sandbox_child *child = spawned(cmd);
    sandbox_supervisor *sup = supervised(child);
    CHECK_EQ(sandbox_supervisor_on(sup, "getppid", add_one, &handled), 0);
    struct pollfd polled[] = {{sandbox_supervisor_fd(sup), POLLIN, 0}, {fds_of(child).pidfd, POLLIN, 0}};
    long answered = 0;
    while (!polled[1].revents) {
        CHECK(poll(polled, 2, 60000) > 0);
        if (polled[0].revents & POLLHUP) polled[0].fd = -1;
        int result = sandbox_supervisor_dispatch(sup, 0);
        CHECK(result >= 0);
        answered += result;
    }
    CHECK_EQ(answered, 1000);
    check_end(child, "0 wrong\n");
    CHECK_EQ(sandbox_supervisor_ended(sup), 1);
    sandbox_supervisor_free(sup);
    sandbox_cmd_free(cmd);
}

/* Every path but one is the caller's own business; that one is another file to it. */
static int open_for_it(sandbox_notify *n, void *userdata) {
    sandbox_syscall call;
    char path[PATH_MAX];
    sandbox_notify_call(n, &call, sizeof call);
    int result = sandbox_notify_path(n, (int)call.args[0], call.args[1], 0, path, sizeof path);
    if (result < 0) return sandbox_notify_errno(n, -result);
    if (strcmp(path, "/etc/shadow") == 0) return sandbox_notify_errno(n, EACCES);
    int fd = strcmp(path, userdata) == 0 ? memfd_create("other", MFD_CLOEXEC) : sandbox_notify_open(n, (int)call.args[0], call.args[1], call.args[2], call.args[3]);
    if (fd < 0) return sandbox_notify_errno(n, -fd);
    if (strcmp(path, userdata) == 0 && pwrite(fd, "another", 7, 0) != 7) return -EIO;
    result = sandbox_notify_fd(n, fd, 1);
    close(fd);
    return result;
}

static void check_open(const char *path, const char *special, const char *said) {
    sandbox_cmd *cmd = asking("openat", "open", path, NULL);
    sandbox_child *child = spawned(cmd);
    sandbox_supervisor *sup = supervised(child);
    CHECK_EQ(sandbox_supervisor_on(sup, NULL, open_for_it, (void *)special), 0);
    CHECK_EQ(sandbox_supervisor_run(sup), 0);
    sandbox_supervisor_free(sup);
    check_end(child, said);
    sandbox_cmd_free(cmd);
}

TEST(opened, "a supervisor opens files for a program, and gives it others") {
    char file[PATH_MAX + 16], link[PATH_MAX + 16], special[PATH_MAX + 16];
    const char *directory = fresh_dir();
    snprintf(file, sizeof file, "%s/file", directory);
    snprintf(link, sizeof link, "%s/link", directory);
    snprintf(special, sizeof special, "%s/special", directory);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && write(fd, "text", 4) == 4 && close(fd) == 0);
    CHECK_EQ(symlink("/etc/../etc/./shadow", link), 0);
    check_open(file, special, "text\n");
    check_open(special, special, "another\n");
    check_open(link, special, "errno 13\n");
    check_open("/no/such", special, "errno 2\n");
    unlink(file), unlink(link), rmdir(directory);
}

TEST(terminal, "/dev/tty is not the supervisor's terminal to a program whose files that opens") {
    CHECK(setsid() >= 0);
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int terminal = open(ptsname(master), O_RDWR | O_CLOEXEC);
    int own = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (own < 0) SKIP("/dev/tty: %s", strerror(errno));
    CHECK_EQ(write(master, "a secret\n", 9), 9);
    check_open("/dev/tty", "", "errno 6\n");
    check_open("/dev/null", "", "\n");
    signal(SIGHUP, SIG_IGN); /* the terminal's end is its session's */
    close(own), close(terminal), close(master);
}

static int refuse(sandbox_notify *n, void *userdata) {
    *(int *)userdata = sandbox_notify_errno(n, 512);
    return -ECANCELED;
}

TEST(fails, "a handler's failure ends the run; its call and all later ones are denied") {
    sandbox_cmd *cmd = asking("getppid", "count", "1", "100");
    sandbox_child *child = spawned(cmd);
    sandbox_supervisor *sup = supervised(child);
    int answer = 0;
    CHECK_EQ(sandbox_supervisor_on(sup, "getppid", refuse, &answer), 0);
    CHECK_EQ(sandbox_supervisor_run(sup), -ECANCELED);
    CHECK_EQ(answer, -EINVAL);
    sandbox_supervisor_free(sup);
    char out[100];
    sandbox_status status;
    drain(fds_of(child).stdout_fd, out, sizeof out);
    CHECK_STR(out, "100 wrong\n");
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(status.code, 1);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

static int kill_it(sandbox_notify *n, void *child) {
    CHECK_EQ(sandbox_child_kill(child, SIGKILL), 0);
    while (sandbox_notify_check(n) == 0) pause_ms(1);
    CHECK_EQ(sandbox_notify_return(n, 1), 1);
    return -ESRCH;
}

TEST(killed, "a program that is killed while it waits for its answer ends the run, and is no error") {
    sandbox_cmd *cmd = asking("getppid", "count", "1", "1");
    sandbox_child *child = spawned(cmd);
    sandbox_supervisor *sup = supervised(child);
    CHECK_EQ(sandbox_supervisor_on(sup, "getppid", kill_it, child), 0);
    CHECK_EQ(sandbox_supervisor_run(sup), 0);
    sandbox_supervisor_free(sup);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(none, "without a filter that notifies there is nothing to supervise") {
    sandbox_cmd *cmd = victim("ask", NULL);
    sandbox_child *child = spawned(cmd);
    CHECK(!sandbox_supervisor_new(child));
    CHECK(!sandbox_supervisor_new(NULL));
    CHECK(!sandbox_supervisor_from_fd(fds_of(child).pidfd, -1));
    CHECK_EQ(sandbox_supervisor_run(NULL), -EFAULT);
    sandbox_supervisor_free(NULL);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}
