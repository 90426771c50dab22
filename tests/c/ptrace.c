/* A child seized at the gate: what its tracer sees, and that none is left behind. */
#include "seccomp.h"

#ifndef PTRACE_GET_SYSCALL_INFO
#define PTRACE_GET_SYSCALL_INFO 0x420e
#endif

static struct run result;

static int nothing(void *data) { return (void)data, 0; }
static void oom(sandbox_cmd *cmd) { sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 900); }
static void pre_exec(sandbox_cmd *cmd) { sandbox_cmd_pre_exec(cmd, nothing, NULL); }
static void filters(sandbox_cmd *cmd) {
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, DENIED, "getuid"));
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "acct"));
}
static void pipes(sandbox_cmd *cmd) {
    for (int target = 0; target < 3; target++) sandbox_cmd_stdio(cmd, target, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_cwd(cmd, "/");
    sandbox_cmd_rlimit(cmd, RLIMIT_NOFILE, 64, 64);
}
static void all_of_them(sandbox_cmd *cmd) { oom(cmd), filters(cmd), pipes(cmd); }

static void (*const starts[])(sandbox_cmd *) = {NULL, pipes, oom, pre_exec, filters, all_of_them};
enum { STARTS = sizeof starts / sizeof *starts };

static sandbox_cmd *traced(int way, uint64_t options) {
    sandbox_cmd *cmd = raw();
    if (starts[way]) starts[way](cmd);
    CHECK_EQ(sandbox_cmd_ptrace(cmd, options), 0);
    return cmd;
}

static void resume(int request, pid_t pid) { CHECK_EQ(ptrace(request, pid, 0, 0), 0); }

/* Goes on from stop to stop; gives how many system calls were entered, their numbers in `numbers`. */
static int trace_to_end(pid_t pid, int *numbers, int most, int *status) {
    int entered = 0;
    for (;;) {
        resume(PTRACE_SYSCALL, pid);
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED | WNOWAIT | __WALL) < 0) FAIL("waitid: %s", strerror(errno));
        if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) return entered; /* the handle's to reap */
        *status = next_stop(pid);
        CHECK(WIFSTOPPED(*status));
        if (WSTOPSIG(*status) != (SIGTRAP | 0x80)) continue;
        struct { uint8_t op, pad[3]; uint32_t arch; uint64_t ip, sp, nr, args[6]; } call = {0};
        CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof call, &call) > 0);
        if (call.op == 1 && entered++ < most) numbers[entered - 1] = (int)call.nr;
    }
}

static void first_stop(void) {
    for (int way = 0; way < STARTS; way++)
        for (int round = 0; round < 10; round++) {
            int numbers[8], stop;
            sandbox_cmd *cmd = traced(way, PTRACE_O_TRACESYSGOOD);
            sandbox_cmd_arg(cmd, "quiet"), sandbox_cmd_arg(cmd, WORD(SYS_getpid)), sandbox_cmd_arg(cmd, word("%d,-1", SYS_close));
            sandbox_child *child = spawned(cmd);
            sandbox_status status;
            pid_t pid = sandbox_child_pid(child);
            CHECK_EQ(next_stop(pid) >> 8, AT_EXEC);
            CHECK_EQ(sandbox_child_wait(child, 10, &status, sizeof status), -ETIMEDOUT); /* a stop is no end */
            CHECK_EQ(trace_to_end(pid, numbers, 8, &stop), 3);
            CHECK_EQ(numbers[0], SYS_getpid);
            CHECK_EQ(numbers[1], SYS_close);
            CHECK_EQ(numbers[2], SYS_exit_group);
            CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
            CHECK_EQ(status.kind, SANDBOX_EXITED);
            CHECK_EQ(status.code, EBADF);
            CHECK_EQ(waitpid(pid, NULL, __WALL), -1);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
}

static void *in_thread(void *data) { return (void)data, first_stop(), NULL; }

TEST(first, "the first stop is the exec's, and of system calls the program's own are seen: nothing of the set-up") { first_stop(); }
TEST(first_thread, "the thread that spawns is the tracer, also where it is not the first") {
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
}

TEST(exec_event, "TRACEEXEC is always among the options; unknown options are refused") {
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/sh");
    sandbox_cmd_args(cmd, (const char *const[]){"-c", "exec /bin/true", NULL});
    sandbox_cmd_ptrace(cmd, 0);
    sandbox_child *child = spawned(cmd);
    pid_t pid = sandbox_child_pid(child);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(next_stop(pid) >> 8, AT_EXEC);
        resume(PTRACE_CONT, pid);
    }
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);

    static const uint64_t unknown[] = {1ULL << 9, 1ULL << 22, 1ULL << 40, UINT64_MAX};
    for (int i = 0; i < 4; i++) {
        cmd = raw();
        CHECK_EQ(sandbox_cmd_ptrace(cmd, unknown[i]), -EINVAL);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_PTRACE, 0, "options");
    }
}

TEST(free_and_kill, "free and kill end a traced child at its stop, running, and in a call, with TRACEEXIT too") {
    static const uint64_t options[] = {0, PTRACE_O_TRACEEXIT, PTRACE_O_TRACEEXIT | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL};
    for (int way = 0; way < STARTS; way++)
        for (int o = 0; o < 3; o++)
            for (int where = 0; where < 3; where++)
                for (int by_kill = 0; by_kill < 2; by_kill++) {
                    sandbox_cmd *cmd = traced(way, options[o]);
                    sandbox_cmd_arg(cmd, word("%d,0,0,0,0", SYS_ppoll)); /* for ever */
                    sandbox_child *child = spawned(cmd);
                    sandbox_status status;
                    pid_t pid = sandbox_child_pid(child);
                    if (where > 0) CHECK_EQ(next_stop(pid) >> 8, AT_EXEC);
                    if (where > 1) resume(PTRACE_CONT, pid);
                    if (by_kill) {
                        CHECK_EQ(sandbox_child_kill(child, SIGKILL), 0);
                        if (o > 0) { /* PTRACE_EVENT_EXIT even after SIGKILL: the tracer's to let go */
                            int stop;
                            while (stop = next_stop(pid), WIFSTOPPED(stop) && stop >> 8 != (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {}
                            CHECK(WIFSTOPPED(stop));
                            resume(PTRACE_CONT, pid);
                        }
                        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
                        CHECK_EQ(status.kind, SANDBOX_SIGNALED);
                        CHECK_EQ(status.code, SIGKILL);
                        CHECK_EQ(status.cause, SANDBOX_CAUSE_KILLED);
                    }
                    sandbox_child_free(child);
                    CHECK_EQ(waitpid(pid, NULL, __WALL), -1);
                    sandbox_cmd_free(cmd);
                }
}

TEST(failing, "a traced spawn that fails, before or after the seize, is the same error and leaves nothing") {
    for (int way = 0; way < STARTS; way++)
        for (int o = 0; o < 2; o++)
            for (int variant = 0; variant < 3; variant++) {
                sandbox_cmd *cmd = variant == 0 ? sandbox_cmd_new("/nonexistent/program") : raw();
                if (starts[way]) starts[way](cmd);
                sandbox_cmd_ptrace(cmd, o ? PTRACE_O_TRACEEXIT : 0);
                if (variant == 1) sandbox_cmd_cwd(cmd, "/nonexistent");
                if (variant == 2) add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_ERRNO(EXFULL), "execve"));
                run(cmd, &result);
                static const int codes[] = {ENOENT, ENOENT, EXFULL};
                static const unsigned stages[] = {SANDBOX_STAGE_EXEC, SANDBOX_STAGE_CWD, SANDBOX_STAGE_EXEC};
                static const char *const words[] = {"/nonexistent/program", "/nonexistent", "raw"};
                CHECK_ERROR(result.result, result.error, codes[variant], stages[variant], 0, words[variant]);
                CHECK_EQ(waitpid(-1, NULL, __WALL | WNOHANG), -1);
            }
}

TEST(exit_kill, "with EXITKILL the child ends with its tracer, though no death signal was asked for") {
    int tell[2], status;
    pid_t pid = 0;
    CHECK_EQ(pipe2(tell, O_CLOEXEC), 0);
    pid_t host = fork();
    if (host == 0) {
        sandbox_cmd *cmd = traced(0, PTRACE_O_EXITKILL);
        sandbox_cmd_arg(cmd, word("%d,0,0,0,0", SYS_ppoll));
        sandbox_cmd_set(cmd, SANDBOX_OPT_DEATH_SIGNAL, 0);
        pid = sandbox_child_pid(spawned(cmd));
        next_stop(pid);
        resume(PTRACE_CONT, pid);
        if (write(tell[1], &pid, sizeof pid) != sizeof pid) _exit(1);
        pause();
    }
    CHECK_EQ(read(tell[0], &pid, sizeof pid), sizeof pid);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    CHECK(pidfd >= 0 && runs(pidfd));
    kill(host, SIGKILL);
    CHECK_EQ(waitpid(host, &status, 0), host);
    CHECK(ends(pidfd));
    close(pidfd), close(tell[0]), close(tell[1]);
}

TEST(init, "ptrace with an init is refused: the handle's process would not be the program") {
    sandbox_cmd *cmd = traced(0, 0);
    sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_PTRACE, 0, "INIT");
}

/* Traces `host` and all it starts, until it ends. */
static int trace_all(pid_t host) {
    int status, ended = -1;
    for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR;) {
        if (pid == host && !WIFSTOPPED(status)) ended = status;
        if (!WIFSTOPPED(status)) continue;
        bool is_event = status >> 16 != 0, is_signal = !is_event && WSTOPSIG(status) != SIGTRAP;
        ptrace(PTRACE_CONT, pid, 0, is_signal ? WSTOPSIG(status) : 0);
    }
    return ended;
}

TEST(traced_already, "a child that another tracer has already is EPERM, stage ptrace, with a hint; untraced spawns go on under that tracer") {
    int go[2], status;
    char byte = 0;
    CHECK_EQ(pipe2(go, O_CLOEXEC), 0);
    pid_t host = fork();
    if (host == 0) {
        CHECK_EQ(read(go[0], &byte, 1), 1);
        for (int way = 0; way < STARTS; way++) {
            run(traced(way, 0), &result);
            CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_PTRACE, 0, "traced already");
            sandbox_cmd *cmd = raw();
            if (starts[way]) starts[way](cmd);
            sandbox_cmd_arg(cmd, "quiet"), sandbox_cmd_arg(cmd, word("%d,-1", SYS_close));
            run(cmd, &result);
            CHECK_EQ(result.result, 0);
            CHECK_EQ(result.status.code, EBADF);
        }
        _exit(42);
    }
    if (ptrace(PTRACE_SEIZE, host, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK) < 0) SKIP("PTRACE_SEIZE: %s", strerror(errno));
    CHECK_EQ(write(go[1], &byte, 1), 1);
    status = trace_all(host);
    close(go[0]), close(go[1]);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 42) return;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1); /* it has said why */
}

TEST(seccomp_trace, "a filter's TRACE is the tracer's to see, with its number, and to let go on") {
    sandbox_cmd *cmd = traced(0, PTRACE_O_TRACESECCOMP);
    unsigned long message = 0;
    sandbox_cmd_arg(cmd, WORD(SYS_getppid));
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_TRACE(0xbeef), "getppid"));
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    pid_t pid = sandbox_child_pid(child);
    CHECK_EQ(next_stop(pid) >> 8, AT_EXEC);
    resume(PTRACE_CONT, pid);
    CHECK_EQ(next_stop(pid) >> 8, SIGTRAP | PTRACE_EVENT_SECCOMP << 8);
    CHECK_EQ(ptrace(PTRACE_GETEVENTMSG, pid, 0, &message), 0);
    CHECK_EQ(message, 0xbeef);
    resume(PTRACE_CONT, pid);
    drain(fds_of(child).stdout_fd, result.out, sizeof result.out);
    CHECK_EQ(result_of(&result, 0), getpid());
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(detached, "a tracer may let go: the child runs on, and its status is the handle's") {
    for (int way = 0; way < STARTS; way++) {
        sandbox_cmd *cmd = traced(way, 0);
        sandbox_status status;
        sandbox_cmd_arg(cmd, "quiet"), sandbox_cmd_arg(cmd, word("%d,-1", SYS_close));
        sandbox_child *child = spawned(cmd);
        CHECK_EQ(next_stop(sandbox_child_pid(child)) >> 8, AT_EXEC);
        resume(PTRACE_DETACH, sandbox_child_pid(child));
        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
        CHECK_EQ(status.code, EBADF);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
    }
}

TEST(pending_exec, "traced, with execve notified: the spawn returns, the answer is followed by the exec's stop") {
    for (int way = 0; way < 4; way++)
        for (int answered = 0; answered < 3; answered++) {
            sandbox_cmd *cmd = traced(way, PTRACE_O_TRACEEXIT);
            struct seccomp_notif notification;
            add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "execve"));
            sandbox_child *child = spawned(cmd);
            CHECK_EQ(sandbox_child_wait_exec(child, 0, NULL), -ETIMEDOUT);
            CHECK(receive(fds_of(child).seccomp_fd, &notification));
            if (answered) CHECK_EQ(answer(fds_of(child).seccomp_fd, notification.id, answered == 1 ? 1 : -EXFULL), 0);
            if (answered == 1) CHECK_EQ(next_stop(sandbox_child_pid(child)) >> 8, AT_EXEC);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
}

static int send_signal(pid_t pid, int pidfd, void *signal) {
    (void)pid;
    return (int)syscall(SYS_pidfd_send_signal, pidfd, *(int *)signal, NULL, 0);
}

TEST(signalled, "a signal before exec stops nobody: it does what it does to a program, and the first stop is still the exec's") {
    static const struct { int signal, wanted; } signals[] = {{SIGWINCH, 0}, {SIGTSTP, 0}, {SIGCONT, 0}, {SIGUSR1, -ECANCELED}, {SIGKILL, -ECANCELED}};
    for (int way = 0; way < STARTS; way++)
        for (int i = 0; i < 5; i++) {
            int signal = signals[i].signal;
            sandbox_cmd *cmd = traced(way, i & 1 ? PTRACE_O_TRACEEXIT : 0);
            sandbox_cmd_on_ready(cmd, send_signal, &signal);
            sandbox_child *child = NULL;
            CHECK_EQ(sandbox_spawn(cmd, &child, NULL), signals[i].wanted);
            if (child) CHECK_EQ(next_stop(sandbox_child_pid(child)) >> 8, AT_EXEC);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
}

TEST(traced_exec, "an execve that a filter has traced waits for the tracer as a notified one does for its supervisor") {
    for (int way = 0; way < STARTS; way++)
        for (int let_go = 0; let_go < 2; let_go++) {
            sandbox_cmd *cmd = traced(way, PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXIT);
            add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_TRACE(7), "execve"));
            sandbox_child *child = spawned(cmd);
            pid_t pid = sandbox_child_pid(child);
            CHECK_EQ(next_stop(pid) >> 8, SIGTRAP | PTRACE_EVENT_SECCOMP << 8);
            CHECK_EQ(sandbox_child_wait_exec(child, 0, NULL), -ETIMEDOUT);
            CHECK_EQ(sandbox_child_wait(child, 0, NULL, 0), -ETIMEDOUT);
            if (let_go) {
                resume(PTRACE_CONT, pid);
                CHECK_EQ(next_stop(pid) >> 8, AT_EXEC);
                CHECK_EQ(sandbox_child_wait_exec(child, -1, NULL), 0);
            }
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
    sandbox_cmd *cmd = traced(0, 0); /* without TRACESECCOMP nobody decides */
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_TRACE(7), "execve"));
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, ENOSYS, SANDBOX_STAGE_EXEC, 0, "raw");
}
