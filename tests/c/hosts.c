/* Hosts in odd states: many fds or few, signals blocked or ignored, streams closed, statuses snatched. */
#include "test.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/utsname.h>

static struct run result;

static bool kernel_is(int major, int minor) {
    struct utsname name;
    int its_major = 0, its_minor = 0;
    uname(&name);
    sscanf(name.release, "%d.%d", &its_major, &its_minor);
    return its_major > major || (its_major == major && its_minor >= minor);
}

/* From here on a status that another took can still be told: PIDFD_GET_INFO with the exit code. */
#define STATUS_OF_REAPED kernel_is(6, 15)

static const char *decimal(int n) {
    static __thread char text[16];
    snprintf(text, sizeof text, "%d", n);
    return text;
}

/* The ways to the program: shared memory, trampoline, init, a copy of the memory. */
static int nothing(void *userdata) { return (void)userdata, 0; }
enum { WAYS = 4, WITH_INIT = 2 };
static sandbox_cmd *by(int way, sandbox_cmd *cmd) {
    if (way == 1) sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 900);
    if (way == WITH_INIT) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    if (way == 3) sandbox_cmd_pre_exec(cmd, nothing, NULL);
    return cmd;
}

TEST(many_fds, "a host with 10,000 open fds: none gets through, and each way works") {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < 10600) SKIP("RLIMIT_NOFILE's hard limit is %llu here", (unsigned long long)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    static int many[10000];
    many[0] = open("/dev/null", O_RDWR);
    for (int i = 1; i < 10000; i++) CHECK((many[i] = dup(many[0])) > 0);
    for (int way = 0; way < WAYS; way++) {
        sandbox_cmd *cmd = by(way, victim("report", "fds", "fd:9999", "rlimit:7", NULL));
        CHECK_EQ(sandbox_cmd_pass_fd(cmd, many[5000], 9999), 0);
        run_well(cmd, &result);
        CHECK_STR(value(&result, "fds"), "0 1 2 9999 ");
    }
    for (int i = 0; i < 10000; i++) close(many[i]);
}

TEST(small_files, "a host with an RLIMIT_FSIZE below the trampoline's size is told EFBIG, and not ended by SIGXFSZ") {
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &(struct rlimit){4096, 1 << 20}), 0);
    for (int way = 0; way < WAYS; way++) {
        run(by(way, victim("act", "exit", "5", NULL)), &result);
        if (way == 0 || way == 3) CHECK_EQ(result.status.code, 5);
        else CHECK_ERROR(result.result, result.error, EFBIG, SANDBOX_STAGE_TRAMPOLINE, 0, "RLIMIT_FSIZE");
    }
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 20, 1 << 20}), 0);
    run(by(WITH_INIT, victim("act", "exit", "5", NULL)), &result);
    CHECK_EQ(result.status.code, 5);
}

static sandbox_cmd *with_pipes(sandbox_cmd *cmd, int count) {
    for (int target = 0; target < count; target++) sandbox_cmd_stdio(cmd, target, SANDBOX_STDIO_PIPE, -1);
    return cmd;
}

static void keep_three_fds(void) {
    for (int fd = 3; fd < 20000; fd++)
        if (fd != report_fd) close(fd);
    open_fds(fds_before, sizeof fds_before);
}

TEST(few_fds, "a host with RLIMIT_NOFILE 8: what fits works, what does not is EMFILE, and no fd is lost") {
    struct rlimit limit = {8, 8};
    keep_three_fds();
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int round = 0; round < 20; round++) {
        sandbox_cmd *cmd = victim("report", "rlimit:7", NULL);
        run_well(cmd, &result);
        CHECK_STR(value(&result, "rlimit:7"), "8 8");
        cmd = with_pipes(victim("act", "cat", NULL), 3);
        sandbox_child *child;
        sandbox_error error;
        int code = sandbox_spawn(cmd, &child, &error);
        CHECK_EQ(code, -EMFILE);
        CHECK(child == NULL);
        CHECK_EQ(error.stage, SANDBOX_STAGE_STDIO);
        CHECK_EQ(error.index, 2);
        sandbox_cmd_free(cmd);
        for (int way = 0; way < WAYS; way++) {
            cmd = by(way, with_pipes(victim("act", "cat", NULL), 1));
            code = sandbox_spawn(cmd, &child, &error);
            CHECK(code == 0 || code == -EMFILE);
            if (way == 0 || way == 3) CHECK_EQ(code, 0); /* two for the pipe, one for the pidfd */
            if (code == 0) sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
    }
}

TEST(no_fds, "a host without one free fd is told EMFILE at every attempt, until it has some again") {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    keep_three_fds();
    sandbox_cmd *cmd = victim("act", "exit", "3", NULL);
    for (rlim_t most = 3; most < 12; most++) {
        struct rlimit low = {most, limit.rlim_max};
        for (int way = 0; way < WAYS; way++) {
            sandbox_cmd *copy = by(way, sandbox_cmd_clone(cmd));
            sandbox_child *child;
            sandbox_error error;
            sandbox_status status;
            CHECK_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
            int code = sandbox_spawn(copy, &child, &error);
            setrlimit(RLIMIT_NOFILE, &limit);
            if (most == 3) CHECK_EQ(code, -EMFILE);
            if (most == 11) CHECK_EQ(code, 0);
            CHECK(code == 0 || code == -EMFILE);
            if (code == 0) {
                CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
                CHECK_EQ(status.code, 3);
                sandbox_child_free(child);
            }
            sandbox_cmd_free(copy);
        }
    }
    sandbox_cmd_free(cmd);
}

TEST(blocked, "a host with all signals blocked: the child has none blocked, a signal ends it, the host's stay blocked") {
    sigset_t all, after;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int way = 0; way < WAYS; way++) {
        run_well(by(way, victim("report", "status:SigBlk", NULL)), &result);
        CHECK_STR(value(&result, "status:SigBlk"), "0000000000000000");
        sandbox_cmd *cmd = by(way, victim("act", "sleep", "60000", NULL));
        sandbox_child *child = spawned(cmd);
        sandbox_status status;
        CHECK_EQ(sandbox_child_kill(child, SIGTERM), 0);
        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
        CHECK_EQ(status.code, SIGTERM);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
    }
    sigprocmask(SIG_SETMASK, NULL, &after);
    for (int signal = 1; signal < 65; signal++)
        if (signal != SIGKILL && signal != SIGSTOP && signal != 32 && signal != 33) CHECK_EQ(sigismember(&after, signal), 1);
}

/* Ends each way of ending, and the status must be right or typed as unknown. */
static int right_ones;
static void statuses(int rounds) {
    for (int round = 0; round < scaled(rounds); round++)
        for (int way = 0; way < WAYS; way++) {
            int code = (round * 7 + way) % 256;
            bool by_signal = round % 4 == 3;
            sandbox_cmd *cmd = by(way, by_signal ? victim("act", "signal", "10", NULL) : victim("act", "exit", decimal(code), NULL));
            sandbox_child *child = spawned(cmd);
            sandbox_status status, again;
            int waited = sandbox_child_wait(child, -1, &status, sizeof status);
            if (waited == 0) {
                right_ones++;
                CHECK_EQ(status.kind, by_signal ? SANDBOX_SIGNALED : SANDBOX_EXITED);
                CHECK_EQ(status.code, by_signal ? 10 : code);
                CHECK_EQ(sandbox_child_wait(child, 0, &again, sizeof again), 0);
                CHECK(memcmp(&status, &again, sizeof again) == 0);
            } else {
                CHECK_EQ(waited, -ECHILD);
                CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), -ECHILD);
                CHECK(!STATUS_OF_REAPED && way != WITH_INIT); /* an init reports by itself */
            }
            CHECK_EQ(sandbox_child_kill(child, SIGKILL), -ESRCH);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
}

TEST(ignored, "a host that ignores SIGCHLD and SIGPIPE: the child sees defaults, its status is right or -ECHILD") {
    signal(SIGCHLD, SIG_IGN), signal(SIGPIPE, SIG_IGN);
    for (int way = 0; way < WAYS; way++) {
        sandbox_cmd *cmd = by(way, victim("report", "status:SigIgn", NULL));
        sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
        sandbox_child *child = spawned(cmd);
        drain(fds_of(child).stdout_fd, result.out, sizeof result.out);
        CHECK_STR(value(&result, "status:SigIgn"), "0000000000000000");
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
    }
    statuses(40);
}

TEST(no_wait, "a host with SA_NOCLDWAIT: its status is right or -ECHILD") {
    struct sigaction action = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    sigaction(SIGCHLD, &action, NULL);
    statuses(20);
}

TEST(ignored_errors, "with SIGCHLD ignored a failed spawn is still the step's error") {
    signal(SIGCHLD, SIG_IGN);
    for (int round = 0; round < scaled(20); round++)
        for (int way = 0; way < WAYS; way++) {
            run(by(way, sandbox_cmd_new("/nonexistent/program")), &result);
            CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_EXEC, 0, "program");
        }
}

static _Atomic int snatching;
static _Atomic int snatched;
static void *snatch(void *flags) {
    while (snatching) {
        if (waitpid(-1, NULL, *(int *)flags) > 0) snatched++;
        else pause_ms(0);
    }
    return NULL;
}

static void while_snatching(int flags) {
    pthread_t thread;
    snatching = 1;
    pthread_create(&thread, NULL, snatch, &flags);
    statuses(100);
    for (int round = 0; round < scaled(25); round++)
        for (int way = 0; way < WAYS; way++) {
            run(by(way, sandbox_cmd_new("/nonexistent/program")), &result);
            CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_EXEC, 0, "program");
        }
    snatching = 0;
    pthread_join(thread, NULL);
    CHECK(snatched > 0); /* or this test would have shown nothing */
    if (STATUS_OF_REAPED) CHECK_EQ(right_ones, scaled(100) * WAYS);
}

TEST(snatched, "another thread loops in waitpid(-1): the status is right or -ECHILD, never wrong, never a hang") { while_snatching(0); }
TEST(snatched_all, "the same with __WALL, which sees a child before its exec too") { while_snatching(__WALL); }

static int survey(int fd_out) {
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++) dup2(null, fd);
    close(null);
    for (int closed = 0; closed < 8; closed++) {
        sandbox_cmd *cmd = victim("act", "both", NULL);
        for (int fd = 0; fd < 3; fd++)
            if (closed >> fd & 1) close(fd);
            else if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) return 1;
        sandbox_child *child;
        sandbox_error error;
        /* inherited: /dev/null stands where the host has nothing */
        if (sandbox_spawn(cmd, &child, &error) < 0) return dprintf(fd_out, "inherit, closed %d: %s", closed, error.message);
        sandbox_status status;
        sandbox_child_wait(child, -1, &status, sizeof status);
        if (status.kind != SANDBOX_EXITED || status.code != 0) return dprintf(fd_out, "inherit, closed %d: kind %u code %d", closed, status.kind, status.code);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
        for (int way = 0; way < WAYS; way++) {
            cmd = by(way, with_pipes(victim("report", "fds", NULL), 3));
            if (sandbox_spawn(cmd, &child, &error) < 0) return dprintf(fd_out, "pipes, closed %d, way %d: %s", closed, way, error.message);
            sandbox_fds fds;
            char text[100];
            sandbox_child_fds(child, &fds, sizeof fds);
            if (fds.pidfd < 3 || fds.stdin_fd < 3 || fds.stdout_fd < 3 || fds.stderr_fd < 3)
                return dprintf(fd_out, "closed %d, way %d: fds %d %d %d %d", closed, way, fds.pidfd, fds.stdin_fd, fds.stdout_fd, fds.stderr_fd);
            drain(fds.stdout_fd, text, sizeof text);
            if (strcmp(text, "fds: 0 1 2 \n") != 0) return dprintf(fd_out, "closed %d, way %d: the child sees %s", closed, way, text);
            int pidfd = sandbox_child_take_fd(child, SANDBOX_FD_PIDFD);
            if (pidfd < 3) return dprintf(fd_out, "closed %d: a pidfd taken as %d", closed, pidfd);
            close(pidfd);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
        }
        cmd = victim("report", "isatty:0", NULL);
        for (int target = 0; target < 3; target++) sandbox_cmd_stdio(cmd, target, SANDBOX_STDIO_PTY, -1);
        if (sandbox_spawn(cmd, &child, &error) < 0) return dprintf(fd_out, "pty, closed %d: %s", closed, error.message);
        sandbox_fds fds;
        sandbox_child_fds(child, &fds, sizeof fds);
        if (fds.pty_fd < 3) return dprintf(fd_out, "closed %d: a pty at %d", closed, fds.pty_fd);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
        int spare = open("/dev/null", O_RDWR | O_CLOEXEC), high = fcntl(spare, F_DUPFD_CLOEXEC, 10);
        close(spare);
        cmd = victim("act", "exit", "0", NULL);
        sandbox_cmd_pass_fd(cmd, high, 5), sandbox_cmd_exec_fd(cmd, high);
        for (int fd = 0; fd < 3; fd++)
            if (closed >> fd & 1 && fcntl(fd, F_GETFD) >= 0) return dprintf(fd_out, "closed %d: a command keeps fd %d", closed, fd);
        sandbox_cmd_free(cmd);
        close(high);
    }
    return 0;
}

TEST(closed, "a host with any of fds 0 to 2 closed: no new fd lands there, and the child has all three") {
    int out[2];
    char said[1000] = "";
    CHECK_EQ(pipe2(out, O_CLOEXEC), 0);
    out[1] = fcntl(out[1], F_DUPFD_CLOEXEC, 600);
    pid_t host = fork();
    if (host == 0) _exit(survey(out[1]) ? 1 : 0);
    int status;
    waitpid(host, &status, 0);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    if (read(out[0], said, sizeof said - 1) < 0) said[0] = 0;
    if (status != 0) FAIL("status %x: %s", status, said);
    close(out[0]);
    for (int fd = 3; fd < 1000; fd++)
        if (fd != report_fd && fcntl(fd, F_GETFD) == FD_CLOEXEC) close(fd);
}

static _Atomic int handled;
static void count_signal(int signal) { (void)signal, handled++; }

TEST(handlers, "the host's handlers never run in the child, though signals rain on its group") {
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    setpgid(0, 0);
    pid_t rain = fork();
    if (rain == 0) {
        for (;;) kill(getppid(), SIGUSR1), pause_ms(0);
    }
    for (int round = 0; round < 200; round++) {
        sandbox_cmd *cmd = by(round % WAYS, victim("act", "exit", "4", NULL));
        sandbox_child *child = spawned(cmd);
        sandbox_status status;
        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
        CHECK_EQ(status.kind, SANDBOX_EXITED);
        CHECK_EQ(status.code, 4);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
    }
    kill(rain, SIGKILL);
    waitpid(rain, NULL, 0);
    CHECK(handled > 0);
}

static int signal_the_child(int32_t pid, int pidfd, void *userdata) {
    (void)pid, (void)userdata;
    return (int)syscall(SYS_pidfd_send_signal, pidfd, SIGWINCH, NULL, 0);
}

static void without_clone3(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0), 0);
}

TEST(handlers_kept, "the host's handlers never run in the child, without clone3 and with RESET_SIGNALS off either") {
    signal(SIGWINCH, count_signal);
    signal(SIGUSR2, SIG_IGN);
    without_clone3();
    for (int way = 0; way < WAYS; way++) {
        sandbox_cmd *cmd = by(way, victim("report", "status:SigIgn", "status:SigCgt", NULL));
        sandbox_cmd_set(cmd, SANDBOX_OPT_RESET_SIGNALS, 0);
        sandbox_cmd_on_ready(cmd, signal_the_child, NULL);
        run_well(cmd, &result);
        CHECK_STR(value(&result, "status:SigCgt"), "0000000000000000");
        CHECK(strtoull(value(&result, "status:SigIgn"), NULL, 16) >> (SIGUSR2 - 1) & 1);
        CHECK_EQ(handled, 0);
    }
}

TEST(big, "a host with a gigabyte resident spawns with the same few page faults") {
    if (UNDER_ASAN) SKIP("the sanitizer's memory is another");
    struct rusage before, after;
    size_t size = 1u << 30;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) SKIP("no gigabyte can be had");
    memset(memory, 1, size);
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_child_free(spawned(cmd));
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < 10; i++) sandbox_child_free(spawned(cmd));
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_minflt - before.ru_minflt < 1000); /* fork would copy 512 page tables and fault on what is written */
    sandbox_cmd_free(cmd);
    munmap(memory, size);
}
