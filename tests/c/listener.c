/* The listener itself: who holds it, how it comes to the host, and another's. */
#include "handoff.h"

static struct supervisor supervisor;

TEST(holds_none, "the program never holds the listener: its fds are 0, 1 and 2, however it was started") {
    void (*starts[])(sandbox_cmd *) = {NULL, mdwe, init, pids, init_of_pids, pre_exec, pre_exec_and_init};
    for (int way = 0; way < 7; way++) {
        start = starts[way];
        if (start == pids || start == init_of_pids) {
            run(started(), &result);
            if (result.result < 0) continue;
        }
        for (int dumpable = 1; dumpable >= 0; dumpable--) {
            if (!dumpable && (start == pids || start == init_of_pids) && !has_cap(21)) continue; /* who is not dumpable maps no ids */
            sandbox_cmd *cmd = victim("report", "fds", "status:Seccomp", NULL);
            if (start) start(cmd);
            add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getuid"));
            prctl(PR_SET_DUMPABLE, dumpable);
            run_supervised(cmd, &result, &supervisor, 1);
            prctl(PR_SET_DUMPABLE, 1);
            CHECK_EQ(result.result, 0);
            CHECK(supervisor.listener > 2);
            CHECK_STR(value(&result, "fds"), "0 1 2 ");
            CHECK_EQ(number(&result, "status:Seccomp"), 2);
        }
    }
}

TEST(listener, "the listener is one: close-on-exec, above 2, to be taken, closed with the handle, -1 without a filter that notifies") {
    for (int random = 0; random < 2; random++) {
        sandbox_cmd *cmd = raw();
        sandbox_cmd_arg(cmd, WORD(SYS_getppid));
        sandbox_cmd_set(cmd, SANDBOX_OPT_RANDOM_FDS, (uint64_t)random);
        add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getppid"));
        for (int taken = 0; taken < 2; taken++) {
            sandbox_child *child = spawned(cmd);
            int fd = fds_of(child).seccomp_fd;
            struct seccomp_notif notification;
            CHECK(fd > 2);
            CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
            CHECK(receive(fd, &notification));
            CHECK_EQ(notification.data.nr, SYS_getppid);
            CHECK_EQ(notification.pid, sandbox_child_pid(child));
            if (taken) {
                CHECK_EQ(sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP), fd);
                CHECK_EQ(sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP), -EBADF);
            }
            sandbox_child_free(child);
            CHECK_EQ(fcntl(fd, F_GETFD), taken ? FD_CLOEXEC : -1);
            if (taken) {
                CHECK(!receive(fd, &notification));
                close(fd);
            }
        }
        sandbox_cmd_free(cmd);
    }
    sandbox_cmd *cmd = raw();
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, DENIED, "getppid"));
    sandbox_child *child = spawned(cmd);
    CHECK_EQ(fds_of(child).seccomp_fd, -1);
    CHECK_EQ(sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP), -EBADF);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(closed, "once the host has closed the listener a notified call is ENOSYS, and nothing hangs") {
    sandbox_cmd *cmd = raw();
    sandbox_cmd_arg(cmd, WORD(SYS_getppid)), sandbox_cmd_arg(cmd, WORD(SYS_getppid));
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getppid"));
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    close(sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP));
    drain(fds_of(child).stdout_fd, result.out, sizeof result.out);
    CHECK_STR(result.out, "-38 -38 ");
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(not_dumpable, "where pidfd_getfd is refused the listener comes by message; where that is forbidden too it is a typed error") {
    void (*starts[])(sandbox_cmd *) = {NULL, mdwe, init, pre_exec};
    prctl(PR_SET_DUMPABLE, 0);
    for (int way = 0; way < 4; way++)
        for (int variant = 0; variant < 4; variant++) {
            start = starts[way];
            sandbox_cmd *cmd = started();
            sandbox_cmd_arg(cmd, "quiet"), sandbox_cmd_arg(cmd, WORD(SYS_getuid));
            /* 0: sendmsg passes; 1: it is notified with the rest, 2: refused, 3: refused by another filter */
            if (variant == 1) add(cmd, filter_of(SANDBOX_ACT_NOTIFY, SANDBOX_ACT_ALLOW, NULL));
            if (variant == 2) {
                sandbox_filter *filter = filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getuid");
                sandbox_filter_rule(filter, DENIED, "sendmsg", NULL, 0);
                add(cmd, filter);
            }
            if (variant == 3) add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_KILL_PROCESS, "sendmsg"));
            if (variant == 0 || variant == 3) add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getuid"));
            run_supervised(cmd, &result, &supervisor, 1);
            if (variant == 0) {
                CHECK_EQ(result.result, 0);
                CHECK_EQ(result.status.code, 0);
                CHECK_EQ(supervisor.count, 1);
            } else {
                CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_HANDOFF, 0, "sendmsg");
            }
        }
    prctl(PR_SET_DUMPABLE, 1);
}

/* Confines the calling process with a listener of its own. */
static int confine_with_listener(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_acct, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog fprog = {4, program};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &fprog);
}

TEST(second_listener, "under a listener of another's a filter that notifies is EBUSY, stage seccomp; others load") {
    int status;
    pid_t pid = fork(); /* a filter does not come off again */
    if (pid == 0) {
        int outer = confine_with_listener();
        if (outer < 0) SKIP("seccomp: %s", strerror(errno));
        void (*starts[])(sandbox_cmd *) = {NULL, oom, init, pre_exec};
        for (int way = 0; way < 4; way++) {
            start = starts[way];
            sandbox_cmd *cmd = started();
            add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "getppid"));
            add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_LOG, "getppid"));
            run(cmd, &result);
            CHECK_ERROR(result.result, result.error, EBUSY, SANDBOX_STAGE_SECCOMP, 0, "listener above");
            cmd = started();
            sandbox_cmd_arg(cmd, WORD(SYS_getppid));
            add(cmd, filter_of(SANDBOX_ACT_ALLOW, DENIED, "getppid"));
            run_well(cmd, &result);
            CHECK_EQ(result_of(&result, 0), -EDOM);
        }
        close(outer);
        nothing_is_left();
        _exit(42);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 42) return;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1); /* it has said why */
}
