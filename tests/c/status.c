/* How a child's end is told: codes, signals, times, waiting, killing, the handle's fds. */
#include "test.h"

static struct run result;

static const char *decimal(int n) {
    static __thread char text[16];
    snprintf(text, sizeof text, "%d", n);
    return text;
}

TEST(codes, "exit codes 0 to 255 come back as they were") {
    for (int code = 0; code < 256; code++) {
        run(victim("act", "exit", decimal(code), NULL), &result);
        CHECK_EQ(result.result, 0);
        CHECK_EQ(result.status.kind, SANDBOX_EXITED);
        CHECK_EQ(result.status.code, code);
        CHECK_EQ(result.status.core_dumped, 0);
        CHECK_EQ(result.status.cause, SANDBOX_CAUSE_NONE);
        CHECK_EQ(result.status.syscall, -1);
        CHECK_EQ(result.status.left_out, 0);
    }
}

static bool ends_a_program(int signal) {
    return signal != SIGCHLD && signal != SIGCONT && signal != SIGURG && signal != SIGWINCH && (signal < SIGSTOP || signal > SIGTTOU);
}

TEST(signals, "every signal that ends a program comes back as that signal") {
    for (int signal = 1; signal < 65; signal++) {
        if (!ends_a_program(signal)) continue;
        sandbox_cmd *cmd = victim("act", "signal", decimal(signal), NULL);
        sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
        run(cmd, &result);
        CHECK_EQ(result.result, 0);
        CHECK_EQ(result.status.kind, SANDBOX_SIGNALED);
        CHECK_EQ(result.status.code, signal);
        CHECK_EQ(result.status.cause, SANDBOX_CAUSE_NONE);
    }
}

TEST(core, "a core dump is told from a plain death by the same signal") {
    struct rlimit limit;
    char pattern[256] = "";
    int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
    if (read(fd, pattern, sizeof pattern - 1) < 0) pattern[0] = 0;
    close(fd);
    getrlimit(RLIMIT_CORE, &limit);
    if (limit.rlim_max < 1 << 24) SKIP("the hard limit of RLIMIT_CORE is too low here");
    if (pattern[0] == '|' || pattern[0] == '/') SKIP("core_pattern is \"%s\" here: no core of the test's own", pattern);
    for (int dumps = 0; dumps < 2; dumps++) {
        sandbox_cmd *cmd = victim("act", "signal", decimal(SIGABRT), NULL);
        sandbox_cmd_cwd(cmd, fresh_dir());
        sandbox_cmd_rlimit(cmd, RLIMIT_CORE, dumps ? limit.rlim_max : 0, limit.rlim_max);
        run(cmd, &result);
        CHECK_EQ(result.result, 0);
        CHECK_EQ(result.status.kind, SANDBOX_SIGNALED);
        CHECK_EQ(result.status.code, SIGABRT);
        CHECK_EQ(result.status.core_dumped, dumps);
    }
}

TEST(times, "CPU time and wall time are told, of this child alone") {
    run_well(victim("act", "spin", test_scale() > 1 ? "2000" : "100", NULL), &result);
    uint64_t spun = result.status.user_time_us + result.status.system_time_us;
    CHECK(result.status.user_time_us + result.status.system_time_us >= 90000);
    CHECK(result.status.wall_time_us >= 90000);
    run_well(victim("act", "sleep", "60", NULL), &result);
    CHECK(result.status.wall_time_us >= 60000);
    CHECK(result.status.user_time_us + result.status.system_time_us < spun);
    CHECK_EQ(result.status.peak_memory_bytes, 0);
}

TEST(timeout, "wait polls, times out, and waits; afterwards it gives the same status again") {
    sandbox_cmd *cmd = victim("act", "cat", NULL);
    sandbox_status first, again;
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    struct timespec before, after;
    CHECK_EQ(sandbox_child_wait(child, 0, &first, sizeof first), -ETIMEDOUT);
    clock_gettime(CLOCK_MONOTONIC, &before);
    CHECK_EQ(sandbox_child_wait(child, 30, &first, sizeof first), -ETIMEDOUT);
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK((after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec >= 30000000);
    CHECK_EQ(sandbox_child_wait(child, -2, &first, sizeof first), -EINVAL);
    CHECK_EQ(sandbox_child_wait(child, INT64_MIN, &first, sizeof first), -EINVAL);
    CHECK_EQ(sandbox_child_wait_exec(child, -1, NULL), 0);
    CHECK_EQ(sandbox_child_wait_exec(child, -2, NULL), -EINVAL);
    close(sandbox_child_take_fd(child, SANDBOX_FD_STDIN));
    CHECK_EQ(sandbox_child_wait(child, INT64_MAX, &first, sizeof first), 0);
    for (int64_t timeout = -1; timeout < 3; timeout++) {
        memset(&again, 0xee, sizeof again);
        CHECK_EQ(sandbox_child_wait(child, timeout, &again, sizeof again), 0);
        CHECK(memcmp(&first, &again, sizeof first) == 0);
    }
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

static void no_handler(int signal) { (void)signal; }

static void *interrupt(void *thread) {
    for (int i = 0; i < 20; i++) pause_ms(2), pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}

TEST(interrupted, "a handler that runs while the host waits does not end the wait") {
    struct sigaction action = {.sa_handler = no_handler};
    sigaction(SIGUSR1, &action, NULL);
    pthread_t self = pthread_self(), thread;
    sandbox_cmd *cmd = victim("act", "sleep", "100", NULL);
    sandbox_child *child = spawned(cmd);
    sandbox_status status;
    pthread_create(&thread, NULL, interrupt, &self);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(status.kind, SANDBOX_EXITED);
    pthread_join(thread, NULL);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

struct waiter {
    sandbox_child *child;
    sandbox_status status;
    int result;
};

static void *wait_for_it(void *data) {
    struct waiter *waiter = data;
    waiter->result = sandbox_child_wait(waiter->child, -1, &waiter->status, sizeof waiter->status);
    return NULL;
}

TEST(threads, "eight threads wait while another kills: all are told the same") {
    sandbox_cmd *cmd = victim("act", "sleep", "60000", NULL);
    for (int round = 0; round < 20; round++) {
        struct waiter waiters[8] = {{NULL, {0}, 0}};
        pthread_t threads[8];
        sandbox_child *child = spawned(cmd);
        for (int i = 0; i < 8; i++) {
            waiters[i].child = child;
            pthread_create(&threads[i], NULL, wait_for_it, &waiters[i]);
        }
        pause_ms(round % 5);
        CHECK_EQ(sandbox_child_kill(child, SIGTERM), 0);
        for (int i = 0; i < 8; i++) {
            pthread_join(threads[i], NULL);
            CHECK_EQ(waiters[i].result, 0);
            CHECK_EQ(waiters[i].status.kind, SANDBOX_SIGNALED);
            CHECK_EQ(waiters[i].status.code, SIGTERM);
            CHECK_EQ(waiters[i].status.cause, SANDBOX_CAUSE_KILLED);
            CHECK(memcmp(&waiters[i].status, &waiters[0].status, sizeof waiters[0].status) == 0);
        }
        sandbox_child_free(child);
    }
    sandbox_cmd_free(cmd);
}

TEST(kill, "kill by handle: 0 looks, a signal arrives, -ESRCH after the end, -EINVAL for no signal") {
    sandbox_cmd *cmd = victim("act", "catch", NULL);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    FILE *out = fdopen(sandbox_child_take_fd(child, SANDBOX_FD_STDOUT), "r");
    char line[32];
    sandbox_status status;
    CHECK(fgets(line, sizeof line, out));
    CHECK_EQ(sandbox_child_kill(child, 0), 0);
    CHECK_EQ(sandbox_child_kill(child, 65), -EINVAL);
    CHECK_EQ(sandbox_child_kill(child, -1), -EINVAL);
    int some[] = {SIGUSR1, SIGINT, SIGRTMIN + 3, 64};
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(sandbox_child_kill(child, some[i]), 0);
        CHECK(fgets(line, sizeof line, out));
        CHECK_EQ(atoi(line), some[i]);
    }
    CHECK_EQ(sandbox_child_kill(child, SIGTERM), 0);
    CHECK(ends(fds_of(child).pidfd));
    CHECK_EQ(sandbox_child_kill(child, SIGTERM), -ESRCH); /* not yet reaped */
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(status.kind, SANDBOX_EXITED);
    CHECK_EQ(status.code, 0);
    CHECK_EQ(status.cause, SANDBOX_CAUSE_NONE); /* it went by itself, whatever was sent before */
    CHECK_EQ(sandbox_child_kill(child, SIGTERM), -ESRCH);
    CHECK_EQ(sandbox_child_kill(child, 0), -ESRCH);
    fclose(out);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(free_kills, "free kills and reaps a child that runs") {
    sandbox_cmd *cmd = victim("act", "sleep", "60000", NULL);
    sandbox_child *child = spawned(cmd);
    int pidfd = sandbox_child_take_fd(child, SANDBOX_FD_PIDFD);
    pid_t pid = sandbox_child_pid(child);
    CHECK(runs(pidfd));
    sandbox_child_free(child);
    CHECK(!runs(pidfd));
    CHECK_EQ(waitpid(pid, NULL, __WALL), -1);
    CHECK_EQ(errno, ECHILD);
    close(pidfd);
    sandbox_cmd_free(cmd);
}

TEST(free_stopped, "free ends a stopped child as well") {
    sandbox_cmd *cmd = victim("act", "sleep", "60000", NULL);
    sandbox_child *child = spawned(cmd);
    sandbox_status status;
    CHECK_EQ(sandbox_child_kill(child, SIGSTOP), 0);
    CHECK_EQ(sandbox_child_wait(child, 50, &status, sizeof status), -ETIMEDOUT); /* stopped is not ended */
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(detach, "a detached child lives on when its handle is freed, and is then the host's to wait for") {
    sandbox_cmd *cmd = victim("act", "sleep", "60000", NULL);
    sandbox_child *child = spawned(cmd);
    pid_t pid = sandbox_child_pid(child);
    int status, pidfd = sandbox_child_take_fd(child, SANDBOX_FD_PIDFD);
    CHECK_EQ(sandbox_child_detach(child), 0);
    sandbox_child_free(child);
    CHECK(runs(pidfd));
    CHECK_EQ(kill(pid, SIGTERM), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    close(pidfd);
    sandbox_cmd_free(cmd);
}

TEST(detach_ended, "a detached child that has ended is no zombie once its handle is freed") {
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_child *child = spawned(cmd);
    CHECK_EQ(sandbox_child_detach(child), 0);
    CHECK(ends(fds_of(child).pidfd));
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(take, "a taken fd is the caller's: gone from the handle, open after free") {
    sandbox_cmd *cmd = victim("act", "cat", NULL);
    for (int target = 0; target < 3; target++) sandbox_cmd_stdio(cmd, target, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    sandbox_fds before = fds_of(child);
    int out = sandbox_child_take_fd(child, SANDBOX_FD_STDOUT), in = sandbox_child_take_fd(child, SANDBOX_FD_STDIN);
    CHECK_EQ(out, before.stdout_fd);
    CHECK_EQ(in, before.stdin_fd);
    CHECK_EQ(sandbox_child_take_fd(child, SANDBOX_FD_STDOUT), -EBADF);
    CHECK_EQ(sandbox_child_take_fd(child, SANDBOX_FD_PTY), -EBADF);
    CHECK_EQ(sandbox_child_take_fd(child, SANDBOX_FD_SECCOMP), -EBADF);
    CHECK_EQ(sandbox_child_take_fd(child, SANDBOX_FD_CGROUP), -EBADF);
    CHECK_EQ(sandbox_child_take_fd(child, 7), -EINVAL);
    CHECK_EQ(sandbox_child_take_fd(child, UINT32_MAX), -EINVAL);
    CHECK_EQ(fds_of(child).stdout_fd, -1);
    CHECK_EQ(fds_of(child).stderr_fd, before.stderr_fd);
    int pidfd = sandbox_child_take_fd(child, SANDBOX_FD_PIDFD);
    CHECK(pidfd > 2);
    CHECK_EQ(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(sandbox_child_take_fd(child, SANDBOX_FD_PIDFD), -EBADF);
    CHECK_EQ(fds_of(child).pidfd, -1);
    CHECK_EQ(sandbox_child_kill(child, 0), 0); /* the handle still works */
    sandbox_child_free(child);
    CHECK_EQ(fcntl(out, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(before.stderr_fd, F_GETFD), -1);
    CHECK(ends(pidfd));
    close(out), close(in), close(pidfd);
    sandbox_cmd_free(cmd);
}

#define FIELDS_OF(type, call)                                                                         \
    do {                                                                                              \
        unsigned char full[sizeof(type)], given[sizeof(type) + 64];                                   \
        size_t size = sizeof full;                                                                    \
        void *place = full;                                                                           \
        CHECK_EQ(call, 0);                                                                            \
        place = given;                                                                                \
        for (size = 0; size <= sizeof full + 48; size++) {                                            \
            memset(given, 0xa5, sizeof given);                                                        \
            CHECK_EQ(call, 0);                                                                        \
            for (size_t at = 0; at < sizeof given; at++)                                              \
                CHECK_EQ(given[at], at >= size ? 0xa5 : at >= sizeof full ? 0 : full[at]);            \
        }                                                                                             \
    } while (0)

TEST(growth, "a struct of any size is filled that far, zeroed beyond what is known, and not a byte further") {
    sandbox_cmd *cmd = victim("act", "exit", "201", NULL);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
    FIELDS_OF(sandbox_status, sandbox_child_wait(child, -1, place, size));
    FIELDS_OF(sandbox_fds, sandbox_child_fds(child, place, size));
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(pid, "the pid is the program's own, and the host is its parent") {
    run_well(victim("report", "pid", "ppid", NULL), &result);
    CHECK_EQ(number(&result, "pid"), result.pid);
    CHECK_EQ(number(&result, "ppid"), getpid());
}

TEST(one_status, "each child has exactly one status: a waitpid of the host's finds none beside it") {
    sandbox_cmd *cmd = victim("act", "exit", "5", NULL);
    for (int i = 0; i < 50; i++) {
        sandbox_child *child = spawned(cmd);
        sandbox_status status;
        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
        CHECK_EQ(status.code, 5);
        CHECK_EQ(waitpid(-1, NULL, WNOHANG | __WALL), -1);
        sandbox_child_free(child);
    }
    sandbox_cmd_free(cmd);
}

TEST(outlives_cmd, "a child does not need its command any more") {
    sandbox_cmd *cmd = victim("act", "cat", NULL);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    sandbox_cmd_free(cmd);
    sandbox_status status;
    close(sandbox_child_take_fd(child, SANDBOX_FD_STDIN));
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    CHECK_EQ(status.code, 0);
    sandbox_child_free(child);
}
