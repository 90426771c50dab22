/* What a spawn must not change in its host, with each option alone and in pairs: the child shares the host's memory. */
#include "test.h"
#include <sched.h>
#include <sys/personality.h>

static const char *contents(const char *path) {
    static char text[2048];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    text[got > 0 ? got : 0] = 0;
    close(fd);
    return text;
}

/* The lines of /proc/self/status that a spawn has no business with: all but counters and sizes. */
static size_t status_lines(char *out, size_t size) {
    static const char *const moving[] = {"Vm", "Rss", "Hugetlb", "voluntary", "nonvoluntary", "SigQ", "State", "SigPnd", "ShdPnd", "FDSize", "Threads", NULL};
    char line[4096];
    size_t at = 0;
    FILE *file = fopen("/proc/thread-self/status", "re");
    while (fgets(line, sizeof line, file)) {
        bool moves = false;
        for (int i = 0; moving[i]; i++) moves |= strncmp(line, moving[i], strlen(moving[i])) == 0;
        if (!moves) at += (size_t)snprintf(out + at, size - at, "%s", line);
    }
    fclose(file);
    return at;
}

/* All of the host that could change, as text: so that a difference can be read. */
static void snapshot(char *out, size_t size) {
    char cwd[PATH_MAX] = "";
    struct stat owner;
    size_t at = status_lines(out, size);
#define ADD(...) at += (size_t)snprintf(out + at, at < size ? size - at : 0, __VA_ARGS__)
    int number = -1;
    stat("/proc/self/stat", &owner);
    ADD("dumpable %d, owned by %d\n", prctl(PR_GET_DUMPABLE), (int)owner.st_uid);
    ADD("MDWE %d, THP disabled %d\n", prctl(66, 0, 0, 0, 0), prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    ADD("oom_score_adj %s", contents("/proc/self/oom_score_adj"));
    ADD("coredump_filter %s", contents("/proc/self/coredump_filter"));
    ADD("timerslack %d, keepcaps %d, securebits %#x\n", prctl(PR_GET_TIMERSLACK), prctl(PR_GET_KEEPCAPS), prctl(PR_GET_SECUREBITS));
    if (prctl(PR_GET_PDEATHSIG, &number) == 0) ADD("death signal %d\n", number);
    if (prctl(PR_GET_CHILD_SUBREAPER, &number) == 0) ADD("subreaper %d\n", number);
    number = -1;
    prctl(PR_GET_TSC, &number);
    ADD("TSC %d, speculation %d %d\n", number, prctl(PR_GET_SPECULATION_CTRL, 0, 0, 0, 0), prctl(PR_GET_SPECULATION_CTRL, 1, 0, 0, 0));
    ADD("personality %#x, priority %d, scheduler %d, I/O priority %ld\n", personality(0xffffffff), getpriority(PRIO_PROCESS, 0), sched_getscheduler(0),
        syscall(SYS_ioprio_get, 1, 0));
    ADD("session %d, group %d, keyring %ld\n", getsid(0), getpgid(0), syscall(SYS_keyctl, 0, -3, 0));
    ADD("directory %s\n", getcwd(cwd, sizeof cwd));
    for (int resource = 0; resource < 16; resource++) {
        unsigned long long pair[2] = {0, 0};
        syscall(SYS_prlimit64, 0, resource, NULL, pair);
        ADD("limit %d: %llu %llu\n", resource, pair[0], pair[1]);
    }
    for (int signal = 1; signal < 65; signal++) {
        unsigned long action[4] = {0}; /* handler, flags, restorer, mask */
        syscall(SYS_rt_sigaction, signal, NULL, action, 8);
        ADD("signal %d: %lx %lx %lx\n", signal, action[0], action[1], action[3]);
    }
    for (int fd = 0; fd < 3; fd++) ADD("fd %d: %d %d %ld\n", fd, fcntl(fd, F_GETFD), fcntl(fd, F_GETFL), (long)lseek(fd, 0, SEEK_CUR));
    CHECK(at < size);
}

static int nothing(void *userdata) { return (void)userdata, 0; }
static int look(pid_t pid, int pidfd, void *userdata) { return (void)pid, (void)pidfd, (void)userdata, 0; }

#define OPTION(name, option, value) \
    static void name(sandbox_cmd *cmd) { sandbox_cmd_set(cmd, SANDBOX_OPT_##option, (uint64_t)(value)); }
static void no_new_privs_off(sandbox_cmd *cmd) {
    sandbox_cmd_set(cmd, SANDBOX_OPT_NO_NEW_PRIVS, 0);
    sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0); /* what an ordinary user can't drop */
}
OPTION(death_term, DEATH_SIGNAL, SIGTERM)
OPTION(death_none, DEATH_SIGNAL, 0)
OPTION(close_fds_off, CLOSE_FDS, 0)
OPTION(reset_off, RESET_SIGNALS, 0)
OPTION(new_session, NEW_SESSION, 1)
OPTION(new_group, PROCESS_GROUP, 0)
OPTION(mask, UMASK, 0111)
OPTION(niced, NICE, 10)
OPTION(oom, OOM_SCORE_ADJ, 700)
OPTION(one_cpu, CPU_AFFINITY, 1)
OPTION(no_randomize, NO_RANDOMIZE, 1)
OPTION(mdwe, MDWE, 1)
OPTION(no_tsc, DENY_TSC, 1)
OPTION(speculation, SPECULATION, 3)
OPTION(keyring, NEW_KEYRING, 1)
OPTION(securebits, SECUREBITS, 0xc0)
OPTION(init, INIT, 1)
OPTION(random_fds, RANDOM_FDS, 1)
static void allow(sandbox_cmd *cmd) {
    for (uint32_t option = SANDBOX_OPT_ALLOW_NO_MDWE; option <= SANDBOX_OPT_ALLOW_NO_KEYRING; option++) sandbox_cmd_set(cmd, option, 1);
}
static void limits(sandbox_cmd *cmd) {
    for (uint32_t resource = 0; resource < 16; resource++)
        if (resource != RLIMIT_CPU && resource != RLIMIT_AS && resource != RLIMIT_DATA && resource != RLIMIT_STACK && resource != RLIMIT_NOFILE
            && resource != RLIMIT_RTTIME)
            sandbox_cmd_rlimit(cmd, resource, 0, 0);
}
static void directory(sandbox_cmd *cmd) { sandbox_cmd_cwd(cmd, "/"); }
static void environment(sandbox_cmd *cmd) { sandbox_cmd_env_clear(cmd); }
static void pipes(sandbox_cmd *cmd) {
    for (int target = 0; target < 3; target++) sandbox_cmd_stdio(cmd, target, SANDBOX_STDIO_PIPE, -1);
}
static void terminal(sandbox_cmd *cmd) {
    for (int target = 0; target < 3; target++) sandbox_cmd_stdio(cmd, target, SANDBOX_STDIO_PTY, -1);
}
static void passed(sandbox_cmd *cmd) { sandbox_cmd_pass_fd(cmd, report_fd, 9); }
static void ready(sandbox_cmd *cmd) { sandbox_cmd_on_ready(cmd, look, NULL); }
static void pre_exec(sandbox_cmd *cmd) { sandbox_cmd_pre_exec(cmd, nothing, NULL); }
static void plain(sandbox_cmd *cmd) { (void)cmd; }
static void landlocked(sandbox_cmd *cmd) {
    sandbox_cmd_set(cmd, SANDBOX_OPT_ALLOW_LESS_LANDLOCK, 1);
    sandbox_cmd_landlock_path(cmd, "/", SANDBOX_LANDLOCK_READ_EXECUTE);
    sandbox_cmd_landlock_port(cmd, 80, SANDBOX_LANDLOCK_CONNECT_TCP);
    sandbox_cmd_landlock_scope(cmd, SANDBOX_LANDLOCK_ABSTRACT_UNIX_SOCKET | SANDBOX_LANDLOCK_SIGNAL);
}
static void namespaces(sandbox_cmd *cmd) {
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_NET | SANDBOX_NS_UTS | SANDBOX_NS_IPC | SANDBOX_NS_CGROUP | SANDBOX_NS_TIME);
    sandbox_cmd_set(cmd, SANDBOX_OPT_LOOPBACK, 1);
    sandbox_cmd_hostname(cmd, "sandbox");
}
static void new_root(sandbox_cmd *cmd) {
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER);
    sandbox_cmd_bind(cmd, own_directory, own_directory, 0);
    sandbox_cmd_dev(cmd, "/dev");
    sandbox_cmd_tmpfs(cmd, "/tmp", 1 << 20, 01777);
}
static void all_caps(sandbox_cmd *cmd) { sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, SANDBOX_CAPS_ALL); }
static void other_user(sandbox_cmd *cmd) {
    sandbox_cmd_user(cmd, getuid() ? getuid() : 12345, getgid() ? getgid() : 12345);
}
static void preset(sandbox_cmd *cmd) {
    sandbox_cmd_preset(cmd, SANDBOX_PRESET_BUILD);
    sandbox_cmd_bind(cmd, own_directory, own_directory, 0);
}

static void (*const options[])(sandbox_cmd *) = {
    plain, no_new_privs_off, death_term, death_none, close_fds_off, reset_off, new_session, new_group, mask, niced, oom, one_cpu, no_randomize, mdwe,
    no_tsc, speculation, keyring, securebits, init, random_fds, allow, limits, directory, environment, pipes, terminal, passed, ready, pre_exec,
    landlocked, namespaces, new_root, all_caps, other_user, preset,
};
enum { OPTIONS = sizeof options / sizeof *options };

static char before[32768], after[32768];

static void unchanged(size_t one, size_t other, const char *when) {
    snapshot(after, sizeof after);
    if (strcmp(before, after) == 0) return;
    size_t at = 0;
    while (before[at] == after[at]) at++;
    while (at > 0 && before[at - 1] != '\n') at--;
    FAIL("options %zu and %zu, %s: \"%.*s\" became \"%.*s\"", one, other, when, (int)strcspn(before + at, "\n"), before + at,
         (int)strcspn(after + at, "\n"), after + at);
}

/* What can't be asked for twice, an emulated processor's speculation, and what an ordinary user may not; an arm64
 * processor has no time stamp counter to deny either. */
#if defined __aarch64__
enum { MOST_REFUSED = 6 };
#else
enum { MOST_REFUSED = 4 };
#endif

/* So much more where there are no user namespaces, and where the kernel (before 6.3) knows no MDWE. */
static int most_refused(void) {
    sandbox_features features;
    CHECK_EQ(sandbox_probe(&features, sizeof features), 0);
    return MOST_REFUSED + (features.namespaces & SANDBOX_NS_USER ? 0 : 3) + (prctl(66 /* PR_GET_MDWE */, 0, 0, 0, 0) < 0);
}

static char refused[4000]; /* what was said of the options that can't be had */

/* Spawned well, and with a program that is not there. */
static void try_pair(size_t one, size_t other, int *good) {
    for (int fails = 0; fails < 2; fails++) {
        sandbox_cmd *cmd = fails ? sandbox_cmd_new("/nonexistent/program") : victim("act", "exit", "0", NULL);
        sandbox_child *child;
        sandbox_error error;
        options[one](cmd);
        options[other](cmd);
        if (sandbox_spawn(cmd, &child, &error) == 0) {
            unchanged(one, other, "while it runs");
            sandbox_child_free(child);
            *good += 1;
        } else if (!fails && one == other) snprintf(refused + strlen(refused), sizeof refused - strlen(refused), "%zu: %s; ", one, error.message);
        sandbox_cmd_free(cmd);
        unchanged(one, other, fails ? "after a failed spawn" : "after a spawn");
    }
}

static void *in_a_thread(void *good) {
    snapshot(before, sizeof before);
    for (size_t one = 0; one < OPTIONS; one++) try_pair(one, one, good);
    return NULL;
}

TEST(alone, "a spawn with each option alone changes nothing in its host, from the first thread or another") {
    int good = 0, enough = (int)OPTIONS - most_refused();
    pthread_t thread;
    snapshot(before, sizeof before);
    for (size_t one = 0; one < OPTIONS; one++) try_pair(one, one, &good);
    /* some may be refused here: an unprivileged user, a processor without the feature */
    if (good < enough) FAIL("%d spawned, not %d; refused: %s", good, enough, refused);
    good = 0, *refused = 0;
    pthread_create(&thread, NULL, in_a_thread, &good);
    pthread_join(thread, NULL);
    if (good < enough) FAIL("in a thread %d spawned, not %d; refused: %s", good, enough, refused);
}

TEST(pairs, "nor do the options in pairs") {
    int good = 0;
    snapshot(before, sizeof before);
    for (size_t one = 0; one < OPTIONS; one++)
        for (size_t other = one + 1; other < OPTIONS; other++)
            if ((one * 3 + other) % (size_t)test_scale() == 0) try_pair(one, other, &good);
    CHECK(good > (int)OPTIONS * (int)OPTIONS / (test_scale() > 1 ? 5 : 3) / test_scale());
}

TEST(sees, "the look at the host sees a change of each kind") {
    struct rlimit limit;
#define SEES(change)                                                                \
    do {                                                                            \
        snapshot(before, sizeof before);                                            \
        change;                                                                     \
        snapshot(after, sizeof after);                                              \
        if (strcmp(before, after) == 0) FAIL("%s goes unseen", #change);            \
    } while (0)
    SEES(umask(0123));
    SEES(CHECK(chdir("/proc") == 0));
    SEES(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    SEES(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    SEES(personality(ADDR_NO_RANDOMIZE));
    SEES(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) == 19 ? 18 : 19));
    SEES(signal(SIGUSR1, SIG_IGN));
    SEES(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur--;
    SEES(setrlimit(RLIMIT_NOFILE, &limit));
    sigset_t some;
    sigemptyset(&some), sigaddset(&some, SIGUSR2);
    SEES(sigprocmask(SIG_BLOCK, &some, NULL));
    SEES(setsid());
    snapshot(before, sizeof before);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    SEES(CHECK(write(fd, "999", 3) == 3));
    close(fd);
}

TEST(silent, "neither the library nor the child's set-up writes to the host's standard output or error") {
    int files[2], keep[2], good = 0;
    for (int i = 0; i < 2; i++) {
        files[i] = memfd_create("silent", MFD_CLOEXEC);
        keep[i] = fcntl(i + 1, F_DUPFD_CLOEXEC, 3);
        dup2(files[i], i + 1);
    }
    snapshot(before, sizeof before);
    for (size_t one = 0; one < OPTIONS; one++) try_pair(one, one, &good);
    for (int i = 0; i < 2; i++) dup2(keep[i], i + 1);
    for (int i = 0; i < 2; i++) {
        struct stat stat;
        fstat(files[i], &stat);
        CHECK_EQ(stat.st_size, 0);
        close(files[i]), close(keep[i]);
    }
}
