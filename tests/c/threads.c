/* Hosts with many threads, threads that end, hosts that die. */
#include "test.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>

static int nothing(void *userdata) { return (void)userdata, 0; }

/* The ways to the program: shared memory, trampoline, init, a copy of the memory. */
enum { WAYS = 4, WITH_INIT = 2 };
static sandbox_cmd *by(int way, sandbox_cmd *cmd) {
    if (way == 1) sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 900);
    if (way == WITH_INIT) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    if (way == 3) sandbox_cmd_pre_exec(cmd, nothing, NULL);
    return cmd;
}

/* --- the flood --- */

enum { SPAWNERS = 64, ALLOCATORS = 8, SPAWNS = UNDER_ASAN ? 1000 : 10000 };
static _Atomic int started, done, wrong;
static _Atomic bool flooding;
static sandbox_cmd *shared, *failing, *slow[WAYS];

static void *allocate(void *data) {
    unsigned seed = (unsigned)(size_t)data;
    void *blocks[64] = {NULL};
    while (flooding) {
        int at = rand_r(&seed) % 64;
        free(blocks[at]);
        blocks[at] = malloc((size_t)(1 << rand_r(&seed) % 17));
    }
    for (int i = 0; i < 64; i++) free(blocks[i]);
    return NULL;
}

static void *flood(void *data) {
    (void)data;
    for (int turn; (turn = started++) < scaled(SPAWNS);) {
        sandbox_child *child;
        sandbox_error error;
        sandbox_status status;
        if (turn % 10 == 9) { /* one in ten fails, at exec */
            wrong += sandbox_spawn(failing, &child, &error) != -ENOENT || error.stage != SANDBOX_STAGE_EXEC || child;
            done++;
            continue;
        }
        int code = sandbox_spawn(turn % 50 < WAYS ? slow[turn % 50] : shared, &child, &error);
        if (code < 0) {
            wrong++;
            continue;
        }
        wrong += sandbox_child_wait(child, -1, &status, sizeof status) != 0 || status.kind != SANDBOX_EXITED || status.code != 42;
        sandbox_child_free(child);
        done++;
    }
    return NULL;
}

TEST(flood, "64 threads spawn 10,000 times while 8 allocate: no hang, no wrong status, nothing left") {
    pthread_t threads[SPAWNERS + ALLOCATORS];
    shared = victim("act", "exit", "42", NULL);
    failing = sandbox_cmd_new("/nonexistent/program");
    for (int way = 0; way < WAYS; way++) slow[way] = by(way, victim("act", "exit", "42", NULL));
    flooding = true;
    for (int i = 0; i < ALLOCATORS; i++) CHECK_EQ(pthread_create(&threads[SPAWNERS + i], NULL, allocate, (void *)(size_t)i), 0);
    for (int i = 0; i < SPAWNERS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, flood, NULL), 0);
    for (int i = 0; i < SPAWNERS; i++) pthread_join(threads[i], NULL);
    flooding = false;
    for (int i = 0; i < ALLOCATORS; i++) pthread_join(threads[SPAWNERS + i], NULL);
    CHECK_EQ(done, scaled(SPAWNS));
    CHECK_EQ(wrong, 0);
    sandbox_cmd_free(shared), sandbox_cmd_free(failing);
    for (int way = 0; way < WAYS; way++) sandbox_cmd_free(slow[way]);
}

/* --- threads that spawn and end --- */

static void *spawn_it(void *cmd) { return spawned(cmd); }

static sandbox_child *spawned_by_a_thread(const sandbox_cmd *cmd) {
    pthread_t thread;
    void *child;
    CHECK_EQ(pthread_create(&thread, NULL, spawn_it, (void *)(size_t)cmd), 0);
    pthread_join(thread, &child);
    return child;
}

static void one_thread_remains(int wanted) {
    for (int round = 0; count_entries("/proc/self/task") != wanted; round++) {
        if (round == 500) FAIL("%d threads, not %d", count_entries("/proc/self/task"), wanted);
        pause_ms(2);
    }
}

TEST(thread_ends, "the thread that spawned ends: the child lives, and no other thread is there") {
    for (int way = 0; way < WAYS; way++) {
        sandbox_cmd *cmd = by(way, victim("act", "sleep", "60000", NULL));
        for (int round = 0; round < scaled(10); round++) {
            sandbox_child *child = spawned_by_a_thread(cmd);
            one_thread_remains(1); /* the one that spawned is gone for good, and so is a keeper */
            sandbox_status status;
            CHECK_EQ(sandbox_child_wait(child, 10, &status, sizeof status), -ETIMEDOUT);
            CHECK_EQ(sandbox_child_kill(child, SIGTERM), 0);
            CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
            CHECK_EQ(status.code, SIGTERM);
            sandbox_child_free(child);
        }
        sandbox_cmd_free(cmd);
    }
}

static void *spawn_and_count(void *data) {
    sandbox_child *child = spawned(data);
    one_thread_remains(2);
    sandbox_child_free(child);
    one_thread_remains(2);
    return NULL;
}

TEST(no_thread, "no thread is there after a spawn that was not there before, from the first thread or another") {
    for (int way = 0; way < WAYS; way++) {
        pthread_t thread;
        sandbox_cmd *cmd = by(way, victim("act", "sleep", "60000", NULL));
        one_thread_remains(1); /* the kernel takes a moment to strike a joined thread off the list */
        sandbox_child *child = spawned(cmd);
        CHECK_EQ(count_entries("/proc/self/task"), 1);
        sandbox_child_free(child);
        pthread_create(&thread, NULL, spawn_and_count, cmd);
        pthread_join(thread, NULL);
        sandbox_cmd_free(cmd);
    }
}

/* --- hosts that die --- */

struct host {
    int out;     /* where it writes the pids */
    int way;
    bool from_thread;
    bool detached;
};

static void stay_alive(void) {
    for (;;) pause();
}

/* Spawns one program, which leaves an orphan if it has an init; then stays until killed. */
static void be_host(const struct host *host) {
    sandbox_cmd *cmd = by(host->way, victim("act", host->way == WITH_INIT ? "orphan-and-sleep" : "sleep", "60000", NULL));
    if (host->way == WITH_INIT) sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = host->from_thread ? spawned_by_a_thread(cmd) : spawned(cmd);
    pid_t pids[2] = {sandbox_child_pid(child), 0};
    if (host->way == WITH_INIT) {
        char text[32] = "";
        for (size_t at = 0; at < 31 && read(fds_of(child).stdout_fd, text + at, 1) == 1 && text[at] != '\n'; at++) {}
        pids[1] = atoi(text);
    }
    if (host->detached) sandbox_child_detach(child), sandbox_child_free(child);
    CHECK(write(host->out, pids, sizeof pids) == sizeof pids);
    stay_alive();
}

static int pidfd_of(pid_t pid) {
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) FAIL("pidfd_open of %d: %s", pid, strerror(errno));
    return pidfd;
}

/* Runs `run` in a process of its own, kills that, and sees all that it named end. Orphans come to this test to be reaped. */
static void dies_with(void (*run)(const struct host *), struct host host, int how) {
    int out[2], pidfds[2] = {-1, -1};
    pid_t pids[2] = {0, 0};
    CHECK_EQ(pipe2(out, O_CLOEXEC), 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    host.out = out[1];
    pid_t pid = fork();
    if (pid == 0) run(&host), _exit(0);
    close(out[1]);
    if (read(out[0], pids, sizeof pids) != sizeof pids) FAIL("way %d, from a thread %d: the host said nothing", host.way, host.from_thread);
    close(out[0]);
    for (int i = 0; i < 2 && pids[i]; i++) {
        pidfds[i] = pidfd_of(pids[i]);
        CHECK(runs(pidfds[i]));
    }
    kill(pid, how);
    for (int i = 0; i < 2 && pids[i]; i++) {
        if (!ends(pidfds[i])) FAIL("way %d, from a thread %d: process %d of 2 outlives its host", host.way, host.from_thread, i + 1);
        close(pidfds[i]);
    }
    while (waitpid(-1, NULL, __WALL) > 0) {}
}

TEST(host_dies, "a host that is killed takes its children along, by every way, from every thread, detached or not") {
    for (int way = 0; way < WAYS; way++)
        for (int rest = 0; rest < 4; rest++)
            dies_with(be_host, (struct host){.way = way, .from_thread = rest & 1, .detached = rest >> 1}, rest == 3 ? SIGTERM : SIGKILL);
}

static void *after_the_first(void *data) {
    char path[64], line[512] = "", *state;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", getpid());
    for (int round = 0; round < 1000; round++) { /* until the first thread is a zombie */
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got = read(fd, line, sizeof line - 1);
        close(fd);
        line[got > 0 ? got : 0] = 0;
        if ((state = strrchr(line, ')')) && state[2] == 'Z') break;
        pause_ms(2);
    }
    be_host(data);
    return NULL;
}

static void be_host_without_first(const struct host *host) {
    static struct host kept;
    pthread_t thread;
    kept = *host;
    pthread_create(&thread, NULL, after_the_first, &kept);
    pthread_exit(NULL);
}

TEST(first_ended, "where the first thread has ended, a child of another lives when that one ends too, and dies with the process") {
    for (int way = 0; way < WAYS; way++)
        for (int from_thread = 0; from_thread < 2; from_thread++)
            dies_with(be_host_without_first, (struct host){.way = way, .from_thread = from_thread}, SIGKILL);
}

static void let_go(const struct host *host) {
    sandbox_cmd *cmd = victim("act", "sleep", "60000", NULL);
    sandbox_cmd_set(cmd, SANDBOX_OPT_DEATH_SIGNAL, 0);
    sandbox_child *child = host->from_thread ? spawned_by_a_thread(cmd) : spawned(cmd);
    pid_t pid = sandbox_child_pid(child);
    sandbox_child_detach(child);
    sandbox_child_free(child);
    CHECK(write(host->out, &pid, sizeof pid) == sizeof pid);
}

/* --- a child that is killed before it has done anything --- */

static int kill_it(pid_t pid, int pidfd, void *userdata) {
    (void)pid, (void)userdata;
    return (int)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

/* On the one processor the child mostly comes to run only once the host sleeps: the signal is there first. */
static void *kill_early(void *data) {
    sandbox_cmd *cmd = data;
    sandbox_child *child;
    sandbox_error error;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    for (int turn = 0; turn < 100; turn++) {
        CHECK(sandbox_spawn(cmd, &child, &error) < 0);
        CHECK(child == NULL);
    }
    return NULL;
}

TEST(killed_early, "a child killed before its first step fails the spawn, in any thread: none waits for it") {
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
    sandbox_child *child;
    sandbox_error error;
    pthread_t thread;
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
    if (sandbox_spawn(cmd, &child, &error) < 0) SKIP("%s", error.message);
    sandbox_child_free(child);
    sandbox_cmd_on_maps(cmd, kill_it, NULL);
    alarm(60);
    CHECK_EQ(pthread_create(&thread, NULL, kill_early, cmd), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    kill_early(cmd);
    alarm(0);
    sandbox_cmd_free(cmd);
}

TEST(outlives, "with DEATH_SIGNAL 0 and detached a child outlives its host") {
    for (int from_thread = 0; from_thread < 2; from_thread++) {
        int out[2], status;
        pid_t pid = 0;
        CHECK_EQ(pipe2(out, O_CLOEXEC), 0);
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        struct host host = {.out = out[1], .from_thread = from_thread};
        pid_t of_host = fork();
        if (of_host == 0) let_go(&host), _exit(0);
        CHECK_EQ(waitpid(of_host, &status, 0), of_host);
        CHECK_EQ(read(out[0], &pid, sizeof pid), sizeof pid);
        int pidfd = pidfd_of(pid);
        pause_ms(20);
        CHECK(runs(pidfd));
        kill(pid, SIGKILL);
        CHECK_EQ(waitpid(pid, NULL, 0), pid);
        close(pidfd), close(out[0]), close(out[1]);
    }
}

/* --- the child is a copy of the thread that called --- */

static void *confined(void *data) {
    struct run *result = data;
    unshare(CLONE_FS); /* a umask and a directory of this thread's own */
    umask(0126);
    if (chdir("/proc") < 0) return "chdir";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return "no_new_privs";
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sysinfo, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {4, code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0) return "seccomp";
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 2); /* Linux has it per thread */
    sigset_t some;
    sigemptyset(&some), sigaddset(&some, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &some, NULL);
    for (int way = 0; way < WAYS; way++) {
        sandbox_cmd *cmd = by(way, victim("report", "status:NoNewPrivs", "status:Umask", "sysinfo", "cwd", "nice", "status:SigBlk", NULL));
        sandbox_cmd_set(cmd, SANDBOX_OPT_NO_NEW_PRIVS, 0);
        sandbox_cmd_set(cmd, SANDBOX_OPT_RESET_SIGNALS, 0);
        run_well(cmd, &result[way]);
    }
    return NULL;
}

TEST(copy, "the child inherits the calling thread's umask, directory, priority, mask, no_new_privs and filters, not the process's") {
    static struct run result[WAYS + 1];
    pthread_t thread;
    void *failed;
    int nice = getpriority(PRIO_PROCESS, 0);
    bool had = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    umask(022);
    pthread_create(&thread, NULL, confined, result);
    pthread_join(thread, &failed);
    if (failed) FAIL("the thread's %s failed", (char *)failed);
    for (int way = 0; way < WAYS; way++) {
        CHECK_STR(value(&result[way], "status:NoNewPrivs"), "1");
        CHECK_STR(value(&result[way], "status:Umask"), "0126");
        CHECK_STR(value(&result[way], "sysinfo"), "77");
        CHECK_STR(value(&result[way], "cwd"), "/proc");
        CHECK_EQ(number(&result[way], "nice"), nice + 2);
        CHECK_EQ(strtol(value(&result[way], "status:SigBlk"), NULL, 16), 1 << (SIGUSR2 - 1));
    }
    /* The first thread is none of that. */
    sandbox_cmd *cmd = victim("report", "status:NoNewPrivs", "status:Umask", "sysinfo", NULL);
    sandbox_cmd_set(cmd, SANDBOX_OPT_NO_NEW_PRIVS, 0);
    sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0);
    run_well(cmd, &result[WAYS]);
    CHECK_STR(value(&result[WAYS], "status:NoNewPrivs"), had ? "1" : "0");
    CHECK_STR(value(&result[WAYS], "status:Umask"), "0022");
    CHECK_STR(value(&result[WAYS], "sysinfo"), "0");
}

static void *change_ids(void *data) {
    struct run *result = data;
    /* the raw call changes this thread alone */
    if (syscall(SYS_setresuid, 12345, 12345, 0) < 0) return "setresuid";
    sandbox_cmd *cmd = victim("report", "uid", NULL);
    run(cmd, result);
    return NULL;
}

TEST(ids, "the child has the calling thread's user, where threads differ") {
    static struct run result;
    pthread_t thread;
    void *failed;
    if (geteuid() != 0) SKIP("only root can change a thread's user");
    if (access(beside("report"), X_OK) < 0) SKIP("the victim can't be reached");
    struct stat stat;
    char path[PATH_MAX];
    strcpy(path, beside("report"));
    for (char *slash; (slash = strrchr(path, '/')) && slash != path;) {
        *slash = 0;
        if (lstat(path, &stat) == 0 && !(stat.st_mode & S_IXOTH)) SKIP("another user can't reach the victim here");
    }
    pthread_create(&thread, NULL, change_ids, &result);
    pthread_join(thread, &failed);
    CHECK(failed == NULL);
    if (result.result < 0) FAIL("%s", result.error.message);
    CHECK_STR(value(&result, "uid"), "12345 12345");
    CHECK_EQ(geteuid(), 0);
}

static void *spawn_forever(void *data) {
    while (*(_Atomic bool *)data) {
        sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
        sandbox_child_free(spawned(cmd));
        sandbox_cmd_free(cmd);
    }
    return NULL;
}

TEST(fork_meanwhile, "a host that forks while its threads spawn: the fork can spawn too") {
    if (UNDER_ASAN) SKIP("the sanitizer's allocator may be locked in the fork");
    static _Atomic bool going = true;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, spawn_forever, &going);
    char path[PATH_MAX];
    strcpy(path, beside("act"));
    for (int round = 0; round < 50; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            sandbox_child *child;
            sandbox_status status = {0};
            sandbox_cmd *cmd = sandbox_cmd_new(path);
            sandbox_cmd_arg(cmd, "exit"), sandbox_cmd_arg(cmd, "9");
            if (sandbox_spawn(cmd, &child, NULL) < 0) _exit(1);
            sandbox_child_wait(child, -1, &status, sizeof status);
            _exit(status.kind == SANDBOX_EXITED && status.code == 9 ? 0 : 2);
        }
        int status;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
    going = false;
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}
