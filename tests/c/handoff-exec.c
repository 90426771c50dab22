/* An exec that its own filter asks about: it waits for an answer, and so do all who wait for it. */
#include "handoff.h"

static sandbox_child *pending(sandbox_cmd *cmd, uint32_t otherwise, int *listener) {
    add(cmd, otherwise ? filter_of(otherwise, SANDBOX_ACT_NOTIFY, NULL) : filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "execve"));
    sandbox_child *child = spawned(cmd);
    sandbox_error error;
    *listener = fds_of(child).seccomp_fd;
    CHECK(*listener > 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sandbox_child_wait_exec(child, i * 20, &error), -ETIMEDOUT);
        CHECK_EQ(error.code, -ETIMEDOUT);
        CHECK_EQ(error.stage, SANDBOX_STAGE_EXEC);
        CHECK_EQ(sandbox_child_wait(child, i * 20, NULL, 0), -ETIMEDOUT);
    }
    return child;
}

static void answer_exec(int listener, int how) {
    struct seccomp_notif notification;
    CHECK(receive(listener, &notification));
    CHECK_EQ(notification.data.nr, SYS_execve);
    CHECK_EQ(answer(listener, notification.id, how), 0);
}

#define EVERY_START                                                                                     \
    void (*starts[])(sandbox_cmd *) = {NULL, oom, init, pids, init_of_pids, pre_exec, pre_exec_and_init}; \
    for (int way = 0; way < 7 && (start = starts[way], true); way++)                                    \
        if (can_start())

static bool can_start(void) {
    if (start != pids && start != init_of_pids) return true;
    run(started(), &result);
    return result.result == 0;
}

TEST(pending, "with execve notified the spawn returns at once; wait_exec is -ETIMEDOUT, and 0 once it was let go on") {
    EVERY_START {
        int listener;
        sandbox_cmd *cmd = started();
        sandbox_cmd_arg(cmd, "quiet"), sandbox_cmd_arg(cmd, word("%d,-1", SYS_close));
        sandbox_child *child = pending(cmd, 0, &listener);
        sandbox_status status;
        sandbox_error error;
        answer_exec(listener, 1);
        for (int i = -1; i < 2; i++) CHECK_EQ(sandbox_child_wait_exec(child, i, &error), 0);
        CHECK_EQ(error.code, 0);
        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
        CHECK_EQ(status.kind, SANDBOX_EXITED);
        CHECK_EQ(status.code, EBADF);
        CHECK_EQ(sandbox_child_wait_exec(child, 0, &error), 0);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
    }
}

TEST(answered, "an exec answered with an errno is that errno to wait_exec and to wait, in either order, and no exit code") {
    EVERY_START
        for (int wait_first = 0; wait_first < 2; wait_first++) {
            int listener;
            sandbox_cmd *cmd = started();
            sandbox_child *child = pending(cmd, 0, &listener);
            sandbox_error error;
            sandbox_status status;
            answer_exec(listener, -EXFULL);
            for (int i = 0; i < 4; i++) {
                if (i % 2 == wait_first) CHECK_ERROR(sandbox_child_wait_exec(child, -1, &error), error, EXFULL, SANDBOX_STAGE_EXEC, 0, "raw");
                else CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), -EXFULL);
            }
            CHECK_EQ(sandbox_child_kill(child, SIGTERM), -ESRCH);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
}

TEST(unanswered_end, "a refused exec ends also where the filter asks about everything after it and nobody answers") {
    EVERY_START
        for (int variant = 0; variant < 3; variant++) {
            int listener;
            sandbox_cmd *cmd = started();
            sandbox_child *child = pending(cmd, SANDBOX_ACT_NOTIFY, &listener);
            sandbox_error error;
            answer_exec(listener, -EXFULL);
            if (variant == 0) CHECK_ERROR(sandbox_child_wait_exec(child, -1, &error), error, EXFULL, SANDBOX_STAGE_EXEC, 0, "raw");
            if (variant < 2) CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), -EXFULL);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
}

TEST(missing, "a missing program under a notified execve is known once it was let go on, every place of the PATH asked about") {
    int listener;
    sandbox_error error;
    sandbox_cmd *cmd = sandbox_cmd_new("/nonexistent/program");
    sandbox_child *child = pending(cmd, 0, &listener);
    answer_exec(listener, 1);
    CHECK_ERROR(sandbox_child_wait_exec(child, -1, &error), error, ENOENT, SANDBOX_STAGE_EXEC, 0, "/nonexistent/program");
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), -ENOENT);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);

    cmd = sandbox_cmd_new("no-such-program");
    sandbox_cmd_env(cmd, "PATH", "/nonexistent:/tmp:/usr");
    child = pending(cmd, 0, &listener);
    for (int i = 0; i < 3; i++) answer_exec(listener, 1);
    CHECK_ERROR(sandbox_child_wait_exec(child, -1, &error), error, ENOENT, SANDBOX_STAGE_EXEC, 0, "no-such-program");
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), -ENOENT);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(pending_free, "free, before or after the notification was received, ends a child whose exec waits") {
    EVERY_START
        for (int variant = 0; variant < 4; variant++) {
            int listener, pidfd;
            struct seccomp_notif notification;
            sandbox_cmd *cmd = started();
            sandbox_child *child = pending(cmd, variant & 1 ? SANDBOX_ACT_NOTIFY : 0, &listener);
            pidfd = sandbox_child_take_fd(child, SANDBOX_FD_PIDFD);
            if (variant & 2) CHECK(receive(listener, &notification));
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
            CHECK(ends(pidfd));
            close(pidfd);
        }
}

TEST(pending_kill, "a kill ends a child whose exec waits, and what waits for it is told so, in either order") {
    EVERY_START
        for (int exec_first = 0; exec_first < 2; exec_first++) {
            int listener;
            sandbox_status status;
            sandbox_cmd *cmd = started();
            sandbox_child *child = pending(cmd, 0, &listener);
            CHECK_EQ(sandbox_child_kill(child, SIGKILL), 0);
            /* The kernel says "gone", by exec or by death alike: both answers are its own. */
            int exec = exec_first ? sandbox_child_wait_exec(child, -1, NULL) : 1, wait = sandbox_child_wait(child, -1, &status, sizeof status);
            if (!exec_first) exec = sandbox_child_wait_exec(child, -1, NULL);
            CHECK(exec == 0 || exec == -ECANCELED);
            CHECK_EQ(wait, exec);
            if (wait == 0) CHECK_EQ(status.kind == SANDBOX_SIGNALED ? status.code : -1, SIGKILL);
            if (wait == 0) CHECK_EQ(status.cause, SANDBOX_CAUSE_KILLED);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
}

/* The child has no copy of it, which would keep its execve waiting. */
TEST(listener_gone, "an exec that waits is ENOSYS once its listener is closed, by whomever") {
    EVERY_START
        for (int by_supervisor = 0; by_supervisor < 2; by_supervisor++) {
            int listener;
            sandbox_cmd *cmd = started();
            sandbox_child *child = pending(cmd, 0, &listener);
            sandbox_error error;
            if (by_supervisor) sandbox_supervisor_free(sandbox_supervisor_new(child));
            else close(sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP));
            CHECK_ERROR(sandbox_child_wait_exec(child, 20000, &error), error, ENOSYS, SANDBOX_STAGE_EXEC, 0, "raw");
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
}

TEST(killed_pending, "a child that is killed while its exec waits was never executed: -ECANCELED, from each that waits") {
    for (int by_handle = 0; by_handle < 2; by_handle++)
        for (int moment = 0; moment < 2; moment++) {
            int listener;
            start = NULL;
            sandbox_cmd *cmd = started();
            sandbox_child *child = pending(cmd, 0, &listener);
            struct seccomp_notif notification;
            sandbox_error error;
            if (moment) CHECK(receive(listener, &notification)); /* it has come to its execve */
            if (by_handle) CHECK_EQ(sandbox_child_kill(child, SIGKILL), 0);
            else CHECK_EQ(kill(sandbox_child_pid(child), SIGKILL), 0);
            CHECK_EQ(sandbox_child_wait_exec(child, 20000, &error), -ECANCELED);
            CHECK_EQ(error.code, -ECANCELED);
            CHECK_EQ(sandbox_child_wait(child, 20000, NULL, 0), -ECANCELED);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
}

TEST(pending_detach, "a detached child whose exec waits lives on with its listener, and is ended where that goes with the handle") {
    EVERY_START
        for (int taken = 0; taken < 2; taken++) {
            int listener, status;
            sandbox_cmd *cmd = started();
            sandbox_cmd_arg(cmd, "quiet"), sandbox_cmd_arg(cmd, word("%d,-1", SYS_close));
            sandbox_child *child = pending(cmd, 0, &listener);
            pid_t pid = sandbox_child_pid(child);
            int pidfd = sandbox_child_take_fd(child, SANDBOX_FD_PIDFD);
            if (taken) sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP);
            CHECK_EQ(sandbox_child_detach(child), 0);
            sandbox_child_free(child);
            if (taken) {
                CHECK(runs(pidfd));
                answer_exec(listener, 1);
                CHECK(ends(pidfd)); /* before exec no waitpid of the host's sees it */
                CHECK_EQ(waitpid(pid, &status, 0), pid);
                CHECK(WIFEXITED(status) && WEXITSTATUS(status) == EBADF);
                close(listener);
            } else {
                CHECK(!runs(pidfd)); /* nobody could answer any more */
                CHECK_EQ(waitpid(pid, &status, __WALL), -1);
            }
            close(pidfd);
            sandbox_cmd_free(cmd);
        }
}

TEST(pending_death, "a host that dies while exec waits leaves no survivor") {
    EVERY_START {
        int tell[2], go[2], status;
        pid_t pid = 0;
        char byte = 0;
        CHECK(pipe2(tell, O_CLOEXEC) == 0 && pipe2(go, O_CLOEXEC) == 0);
        pid_t host = fork();
        if (host == 0) {
            int listener;
            pid = sandbox_child_pid(pending(started(), SANDBOX_ACT_NOTIFY, &listener));
            if (write(tell[1], &pid, sizeof pid) != sizeof pid || read(go[0], &byte, 1) != 1) _exit(1);
            kill(getpid(), SIGKILL);
        }
        CHECK_EQ(read(tell[0], &pid, sizeof pid), sizeof pid);
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        CHECK(pidfd >= 0 && runs(pidfd));
        CHECK_EQ(write(go[1], &byte, 1), 1);
        CHECK_EQ(waitpid(host, &status, 0), host);
        CHECK(ends(pidfd));
        close(pidfd), close(tell[0]), close(tell[1]), close(go[0]), close(go[1]);
    }
}

static void *answer_later(void *data) {
    pause_ms(20);
    answer_exec(*(int *)data, 1);
    return NULL;
}

static void *wait_for_exec(void *data) { return (void *)(intptr_t)sandbox_child_wait_exec(data, -1, NULL); }

TEST(pending_threads, "eight threads wait for one exec: each is told when it happens") {
    for (int round = 0; round < scaled(20); round++) {
        int listener;
        sandbox_cmd *cmd = raw();
        sandbox_child *child = pending(cmd, 0, &listener);
        pthread_t threads[8], other;
        for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, wait_for_exec, child);
        pthread_create(&other, NULL, answer_later, &listener);
        for (int i = 0; i < 8; i++) {
            void *told = (void *)99;
            pthread_join(threads[i], &told);
            CHECK_EQ((intptr_t)told, 0);
        }
        pthread_join(other, NULL);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
    }
}
