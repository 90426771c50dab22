/* Pseudoterminals, controlling terminals, and the session that a terminal passed in gets. */
#include "test.h"
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

static struct run result;

static sandbox_child *on_pty(sandbox_cmd *cmd, int *master) {
    for (int target = 0; target < 3; target++) CHECK_EQ(sandbox_cmd_stdio(cmd, target, SANDBOX_STDIO_PTY, -1), 0);
    sandbox_child *child = spawned(cmd);
    sandbox_cmd_free(cmd);
    *master = fds_of(child).pty_fd;
    CHECK(*master > 2);
    CHECK_EQ(fcntl(*master, F_GETFD), FD_CLOEXEC);
    return child;
}

static void read_all(int master, struct run *run) {
    drain(master, run->out, sizeof run->out); /* a pty ends with EIO */
    char *to = run->out;
    for (char *from = run->out; *from; from++)
        if (*from != '\r') *to++ = *from;
    *to = 0;
}

TEST(all_three, "one pseudoterminal for all three streams, controlling a session of the program's own") {
    int master;
    sandbox_child *child = on_pty(victim("report", "isatty:0", "isatty:1", "isatty:2", "tty", "foreground", "sid", "pid", "fds", NULL), &master);
    read_all(master, &result);
    int pid = sandbox_child_pid(child);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%d %d %d", pid, pid, pid);
    CHECK_STR(value(&result, "isatty:0"), "1");
    CHECK_STR(value(&result, "isatty:1"), "1");
    CHECK_STR(value(&result, "isatty:2"), "1");
    CHECK_STR(value(&result, "tty"), "1");
    CHECK_STR(value(&result, "foreground"), wanted);
    CHECK_EQ(number(&result, "sid"), pid);
    CHECK_STR(value(&result, "fds"), "0 1 2 ");
    CHECK_EQ(fds_of(child).stdout_fd, -1);
    sandbox_child_free(child);
}

TEST(interrupt, "^C typed at it interrupts the program; the host keeps its own terminal") {
    int master, before = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    sandbox_child *child = on_pty(victim("act", "cat", NULL), &master);
    sandbox_status status;
    char echo[8];
    CHECK_EQ(write(master, "hey\n", 4), 4);
    CHECK(read(master, echo, sizeof echo) > 0); /* it stands in its read, terminal in place */
    CHECK_EQ(write(master, "\3", 1), 1);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(status.kind, SANDBOX_SIGNALED);
    CHECK_EQ(status.code, SIGINT);
    int after = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    CHECK_EQ(before >= 0, after >= 0);
    close(before), close(after);
    sandbox_child_free(child);
}

TEST(hangup, "closing the master hangs the program up") {
    int master;
    sandbox_child *child = on_pty(victim("act", "sleep", "60000", NULL), &master);
    sandbox_status status;
    close(sandbox_child_take_fd(child, SANDBOX_FD_PTY));
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(status.code, SIGHUP);
    sandbox_child_free(child);
}

TEST(some, "a pseudoterminal for standard error alone leaves the others what they are") {
    sandbox_cmd *cmd = victim("report", "isatty:0", "isatty:1", "isatty:2", "tty", NULL);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_NULL, -1);
    sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_PTY, -1);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "isatty:0"), "0");
    CHECK_STR(value(&result, "isatty:1"), "0");
    CHECK_STR(value(&result, "isatty:2"), "1");
    CHECK_STR(value(&result, "tty"), "1");
}

TEST(under_init, "a pseudoterminal works under an init: the session is the program's") {
    int master;
    sandbox_cmd *cmd = victim("report", "tty", "foreground", "pid", NULL);
    sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    sandbox_child *child = on_pty(cmd, &master);
    read_all(master, &result);
    char wanted[64];
    int pid = (int)number(&result, "pid");
    snprintf(wanted, sizeof wanted, "%d %d %d", pid, pid, pid);
    CHECK_STR(value(&result, "tty"), "1");
    CHECK_STR(value(&result, "foreground"), wanted);
    sandbox_child_free(child);
}

TEST(again, "each spawn gets a pseudoterminal of its own, and free closes it") {
    for (int i = 0; i < 100; i++) {
        int master;
        sandbox_child *child = on_pty(victim("act", "cat", NULL), &master);
        sandbox_child_free(child);
        CHECK_EQ(fcntl(master, F_GETFD), -1);
    }
}

static void terminal(int *master, int *slave) {
    CHECK_EQ(openpty(master, slave, NULL, NULL, NULL), 0);
    fcntl(*master, F_SETFD, FD_CLOEXEC), fcntl(*slave, F_SETFD, FD_CLOEXEC);
}

TEST(own_session, "a terminal passed in, by whatever way, means a session of its own unless refused") {
    int master, slave;
    terminal(&master, &slave);
    for (int way = 0; way < 4; way++) {
        sandbox_cmd *cmd = victim("report", "sid", "pid", NULL);
        int keep = fcntl(0, F_DUPFD_CLOEXEC, 3);
        if (way == 0) sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_FD, slave);
        if (way == 1) sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_FD, slave);
        if (way == 2) sandbox_cmd_pass_fd(cmd, slave, 9);
        if (way == 3) dup2(slave, 0); /* inherited */
        run(cmd, &result);
        dup2(keep, 0), close(keep);
        CHECK_EQ(result.result, 0);
        CHECK_EQ(number(&result, "sid"), result.pid);
    }
    sandbox_cmd *cmd = victim("report", "sid", NULL);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_FD, slave);
    sandbox_cmd_set(cmd, SANDBOX_OPT_NEW_SESSION, 0);
    run_well(cmd, &result);
    CHECK_EQ(number(&result, "sid"), getsid(0));
    close(master), close(slave);
}

TEST(hosts_session, "a host's own terminal is out of reach of a program that is given none, unless it stays in the host's session") {
    int master, slave;
    terminal(&master, &slave);
    CHECK(setsid() > 0 || getsid(0) == getpid());
    CHECK_EQ(ioctl(slave, TIOCSCTTY, 0), 0);
    for (int stays = 0; stays < 2; stays++) {
        sandbox_cmd *cmd = sandbox_cmd_new("/bin/sh");
        sandbox_cmd_args(cmd, (const char *const[]){"-c", "(: < /dev/tty) 2>/dev/null && echo reached || echo out of reach", NULL});
        sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_NULL, -1), sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_NULL, -1);
        if (stays) sandbox_cmd_set(cmd, SANDBOX_OPT_NEW_SESSION, 0);
        CHECK_STR(run_well(cmd, &result), stays ? "reached\n" : "out of reach\n");
    }
    signal(SIGHUP, SIG_IGN);
    ioctl(slave, TIOCNOTTY);
    close(master), close(slave);
}

TEST(controlling, "CONTROLLING_TTY makes a given terminal the controlling one") {
    int master, slave;
    terminal(&master, &slave);
    sandbox_cmd *cmd = victim("report", "tty", "foreground", "sid", NULL);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_FD, slave);
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_CONTROLLING_TTY, 1), 0);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "tty"), "1");
    CHECK_EQ(number(&result, "sid"), result.pid);
    CHECK_EQ(number(&result, "foreground"), result.pid);
    cmd = victim("report", "tty", NULL); /* without the option: a session, but no terminal of its own */
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_FD, slave);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "tty"), "0");
    close(master), close(slave);
}

TEST(controlling_errors, "CONTROLLING_TTY on what is no terminal, or in the host's session, is refused") {
    sandbox_cmd *cmd = victim("report", NULL);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_NULL, -1);
    sandbox_cmd_set(cmd, SANDBOX_OPT_CONTROLLING_TTY, 1);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, ENOTTY, SANDBOX_STAGE_SESSION, 2, "controlling terminal");
    cmd = victim("report", NULL);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PTY, -1);
    sandbox_cmd_set(cmd, SANDBOX_OPT_NEW_SESSION, 0);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_SESSION, 0, "NEW_SESSION");
    cmd = victim("report", NULL);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PTY, -1);
    sandbox_cmd_set(cmd, SANDBOX_OPT_PROCESS_GROUP, 0);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_SESSION, 1, "PROCESS_GROUP");
}
