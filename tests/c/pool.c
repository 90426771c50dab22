/* The warm pool: what a run may bring along, what it may not, what is shared by two runs (nothing), and what is left. */
#include "test.h"
#include <sys/ipc.h>
#include <sys/shm.h>

static sandbox_error error;

static sandbox_cmd *shell(const char *script) {
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/sh");
    sandbox_cmd_args(cmd, (const char *const[]){"-c", script, NULL});
    return cmd;
}

static sandbox_pool *pool_of(sandbox_cmd *cmd, size_t size) {
    sandbox_pool *pool = sandbox_pool_new(cmd, size);
    CHECK(pool);
    int missing = sandbox_pool_refill(pool, &error);
    if (missing != 0) FAIL("the pool was not full: %d, %s", missing, error.message);
    return pool;
}

/* Runs `override` in the pool and gives its output; frees it. */
static const char *output(sandbox_pool *pool, sandbox_cmd *override) {
    static char text[24000];
    sandbox_child *child;
    sandbox_status status;
    if (override) sandbox_cmd_stdio(override, 1, SANDBOX_STDIO_PIPE, -1);
    int result = sandbox_pool_spawn(pool, override, &child, &error);
    if (result < 0) FAIL("spawn gave %d: %s[%u], %s", result, sandbox_stage_name(error.stage), error.index, error.message);
    drain(fds_of(child).stdout_fd, text, sizeof text);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
    if (status.kind != SANDBOX_EXITED || status.code != 0) FAIL("it ended with kind %u, code %d, after \"%s\"", status.kind, status.code, text);
    sandbox_child_free(child);
    sandbox_cmd_free(override);
    return text;
}

#define NAMESPACES (SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_MOUNT | SANDBOX_NS_NET | SANDBOX_NS_UTS | SANDBOX_NS_IPC | SANDBOX_NS_CGROUP)

/* Skips the test where this machine allows no such sandbox. */
static sandbox_cmd *contained(sandbox_cmd *cmd) {
    sandbox_child *child;
    sandbox_cmd_unshare(cmd, NAMESPACES);
    int result = sandbox_spawn(cmd, &child, &error);
    if (result == -EPERM || result == -EACCES || result == -ENOSPC) SKIP("%s", error.message);
    CHECK_EQ(result, 0);
    sandbox_child_free(child);
    return cmd;
}

TEST(command, "a run without one of its own is the pool's command, however many there are") {
    sandbox_cmd *cmd = shell("echo $0 $NAME");
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_env(cmd, "NAME", "value");
    sandbox_pool *pool = pool_of(cmd, 2);
    for (int i = 0; i < 5; i++) CHECK_STR(output(pool, NULL), "/bin/sh value\n");
    CHECK_EQ(sandbox_pool_refill(pool, &error), 2);
    CHECK_EQ(sandbox_pool_refill(pool, &error), 0);
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(run, "program, arguments, environment, directory, streams and fds are the run's; what it leaves out is the pool's") {
    sandbox_cmd *cmd = shell("exit 3"), *run;
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    sandbox_cmd_env(cmd, "POOL", "pool");
    sandbox_cmd_env(cmd, "BOTH", "pool");
    sandbox_cmd_cwd(cmd, "/usr");
    sandbox_pool *pool = pool_of(cmd, 3);
    run = victim("report", "argv", "env:POOL", "env:BOTH", "env:RUN", "cwd", "fds", NULL);
    sandbox_cmd_arg0(run, "zero");
    sandbox_cmd_env(run, "BOTH", "run");
    sandbox_cmd_env(run, "RUN", "run");
    sandbox_cmd_pass_fd(run, ends[0], 7);
    char wanted[200];
    CHECK_STR(output(pool, run), "argv: zero|argv|env:POOL|env:BOTH|env:RUN|cwd|fds|\nenv:POOL: pool\nenv:BOTH: run\nenv:RUN: run\ncwd: /usr\nfds: 0 1 2 7 \n");
    run = victim("report", "env:POOL", "cwd", NULL);
    sandbox_cmd_env_clear(run);
    sandbox_cmd_cwd(run, "/");
    CHECK_STR(output(pool, run), "env:POOL: (unset)\ncwd: /\n");
    run = victim("report", "cwd", "env:PWD", NULL);
    CHECK_EQ(sandbox_cmd_cwd_first(run, (const char *const[]){"/not/there", "/etc", NULL}), 0);
    CHECK_STR(output(pool, run), "cwd: /etc\nenv:PWD: /etc\n");
    /* The host's environment is the one at the run. */
    setenv("LATE", "set after the fill", 1);
    snprintf(wanted, sizeof wanted, "env:LATE: %s\n", getenv("LATE"));
    CHECK_STR(output(pool, victim("report", "env:LATE", NULL)), wanted);
    close(ends[0]), close(ends[1]);
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(large, "a run of many large arguments and two hundred fds finds room") {
    static char large[100001], key[16];
    sandbox_cmd *cmd = shell("exit 0"), *run = victim("act", "print", "fine", NULL);
    memset(large, 'x', sizeof large - 1);
    sandbox_pool *pool = pool_of(cmd, 1);
    for (int i = 0; i < 8; i++) {
        snprintf(key, sizeof key, "LARGE%d", i);
        CHECK_EQ(sandbox_cmd_arg(run, large), 0);
        CHECK_EQ(sandbox_cmd_env(run, key, large), 0);
    }
    for (int fd = 3; fd < 203; fd++) CHECK_EQ(sandbox_cmd_pass_fd(run, 2, fd), 0);
    CHECK_STR(output(pool, run), "fine");
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(fixed, "what is fixed when a child is set up refuses a run that sets it, by the setter's name") {
    sandbox_cmd *cmd = shell("exit 0");
    sandbox_child *child;
    sandbox_pool *pool = pool_of(cmd, 1);
    for (int i = 0; i < 4; i++) {
        sandbox_cmd *run = shell("exit 0");
        const char *names[] = {"sandbox_cmd_unshare", "sandbox_cmd_set", "sandbox_cmd_rlimit", "sandbox_cmd_caps"};
        switch (i) {
        case 0: sandbox_cmd_unshare(run, SANDBOX_NS_USER); break;
        case 1: sandbox_cmd_set(run, SANDBOX_OPT_UMASK, 0); break;
        case 2: sandbox_cmd_rlimit(run, RLIMIT_CORE, 0, 0); break;
        case 3: sandbox_cmd_caps(run, 0, 0); break;
        }
        CHECK_ERROR(sandbox_pool_spawn(pool, run, &child, &error), error, EINVAL, SANDBOX_STAGE_SETUP, 0, names[i]);
        CHECK(!child);
        sandbox_cmd_free(run);
    }
    sandbox_cmd_free(cmd);
    cmd = sandbox_cmd_new("/no/such/program");
    CHECK_ERROR(sandbox_pool_spawn(pool, cmd, &child, &error), error, ENOENT, SANDBOX_STAGE_EXEC, 0, "/no/such/program");
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

/* The children of this process that are alive or zombies, by the kernel's list. */
static int list_children(pid_t *pids, int most) {
    FILE *list = fopen("/proc/thread-self/children", "re");
    int count = 0;
    while (list && count < most && fscanf(list, "%d", &pids[count]) == 1) count++;
    if (list) fclose(list);
    return count;
}

TEST(died, "a held child that was killed is replaced unseen, at a run and at a refill") {
    sandbox_cmd *cmd = shell("echo lives");
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_pool *pool = pool_of(cmd, 3);
    pid_t pids[8];
    int count = list_children(pids, 8);
    if (!count) SKIP("this kernel has no list of children in /proc (CONFIG_PROC_CHILDREN)");
    CHECK_EQ(count, 3);
    for (int i = 0; i < 3; i++) CHECK_EQ(kill(pids[i], SIGKILL), 0);
    CHECK_STR(output(pool, NULL), "lives\n");
    for (int made = 0; made < 3;) { /* a killed one is seen once it has ended */
        int now = sandbox_pool_refill(pool, &error);
        CHECK(now >= 0);
        made += now;
        if (made < 3) CHECK_STR(output(pool, NULL), "lives\n");
    }
    CHECK_STR(output(pool, NULL), "lives\n");
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(stopped, "a held child that was stopped keeps no run waiting, and is replaced") {
    sandbox_cmd *cmd = shell("echo lives");
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_pool *pool = pool_of(cmd, 2);
    pid_t pids[8];
    int count = list_children(pids, 8);
    if (!count) SKIP("this kernel has no list of children in /proc (CONFIG_PROC_CHILDREN)");
    CHECK_EQ(count, 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(kill(pids[i], SIGSTOP), 0);
        siginfo_t info;
        CHECK_EQ(waitid(P_PID, (id_t)pids[i], &info, WSTOPPED | WNOWAIT | __WALL), 0);
    }
    CHECK_STR(output(pool, NULL), "lives\n");
    CHECK_EQ(sandbox_pool_refill(pool, &error), 2);
    CHECK_STR(output(pool, NULL), "lives\n");
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(open, "a held child keeps nothing of its host's open, and can't be traced") {
    int ends[2];
    char byte, path[64];
    pid_t pids[8];
    CHECK_EQ(pipe(ends), 0); /* not even close-on-exec */
    sandbox_cmd *cmd = shell("exit 0");
    sandbox_pool *pool = pool_of(cmd, 2);
    close(ends[1]);
    CHECK_EQ(read(ends[0], &byte, 1), 0);
    int count = list_children(pids, 8);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/proc/%d/environ", pids[i]);
        if (has_cap(19 /* SYS_PTRACE */)) continue;
        CHECK(open(path, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
    }
    close(ends[0]);
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(signals, "signals that came while it was held are not the run's") {
    sandbox_cmd *cmd = victim("report", "status:SigPnd", "status:ShdPnd", "status:SigBlk", NULL);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_pool *pool = pool_of(cmd, 1);
    pid_t pids[8];
    if (list_children(pids, 8) != 1) SKIP("/proc lists no children");
    for (int signal = 1; signal < 32; signal++)
        if (signal != SIGKILL && signal != SIGSTOP && signal != SIGCONT) kill(pids[0], signal);
    CHECK_STR(output(pool, NULL), "status:SigPnd: 0000000000000000\nstatus:ShdPnd: 0000000000000000\nstatus:SigBlk: 0000000000000000\n");
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(apart, "nothing of one run reaches the next: names, shared memory, the network's and the pid namespace") {
    sandbox_cmd *cmd = contained(shell("exit 0"));
    sandbox_pool *pool = pool_of(cmd, 2);
    char first[200], host[200], names[2][200];
    CHECK_EQ(gethostname(host, sizeof host), 0);
#define LOOK "for n in user pid mnt net uts ipc cgroup; do readlink /proc/self/ns/$n; done | tr -d '\\n'"
    for (int i = 0; i < 2; i++) snprintf(names[i], sizeof names[i], "%s", output(pool, shell(LOOK)));
    CHECK(strcmp(names[0], names[1]) != 0);
    for (char *a = strtok(names[0], "]"), *b = names[1]; a; a = strtok(NULL, "]"), b += strcspn(b, "]") + 1)
        if (strncmp(a, b, strlen(a)) == 0) FAIL("two runs share %s", a);
    snprintf(first, sizeof first, "%s", output(pool, shell("ipcmk -M 64 >/dev/null 2>&1; echo $$; cat /proc/sysvipc/shm | wc -l")));
    CHECK_STR(output(pool, shell("echo $$; cat /proc/sysvipc/shm | wc -l")), "1\n1\n");
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

/* As root of its namespaces, with all the rights that has: what it may, it does. */
static sandbox_cmd *powerful(sandbox_cmd *cmd) {
    contained(cmd);
    sandbox_cmd_map_uid(cmd, 0, geteuid(), 1);
    sandbox_cmd_map_gid(cmd, 0, getegid(), 1);
    sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0);
    return cmd;
}

TEST(hostname, "a name that one run gives its host is not the next one's") {
    sandbox_cmd *cmd = powerful(shell("exit 0"));
    sandbox_cmd_hostname(cmd, "the-pools");
    sandbox_pool *pool = pool_of(cmd, 2);
    const char *seen = output(pool, shell("hostname the-runs; uname -n"));
    if (access("/bin/hostname", X_OK)) SKIP("no hostname program");
    CHECK_STR(seen, "the-runs\n");
    CHECK_STR(output(pool, shell("uname -n")), "the-pools\n");
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(keyring, "each run has a session keyring of its own, empty") {
    if (syscall(SYS_keyctl, 0, -3, 0) < 0 && errno == ENOSYS) SKIP("this kernel has no keyrings");
    sandbox_cmd *cmd = shell("exit 0");
    sandbox_cmd_set(cmd, SANDBOX_OPT_NEW_KEYRING, 1);
    sandbox_pool *pool = sandbox_pool_new(cmd, 3);
    if (sandbox_pool_refill(pool, &error) == -EDQUOT) SKIP("this user's keys are used up");
    long numbers[3];
    for (int i = 0; i < 3; i++) {
        long keys = -1;
        const char *text = output(pool, victim("report", "keyring", "keys", NULL));
        if (sscanf(text, "keyring: %ld keys: %ld", &numbers[i], &keys) != 2) FAIL("it reports \"%s\"", text);
        CHECK(numbers[i] > 0);
        CHECK_EQ(keys, 0);
        for (int j = 0; j < i; j++) CHECK(numbers[i] != numbers[j]);
    }
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(files, "a root, a tmpfs and what was mounted are each run's own, and the host sees nothing of it") {
    static const char *const paths[] = {"/usr", "/bin", "/lib", "/lib64"};
    char outside[] = "/tmp/pool-XXXXXX", path[64];
    CHECK(mkdtemp(outside));
    sandbox_cmd *cmd = powerful(shell("exit 0"));
    for (int i = 0; i < 4; i++) CHECK_EQ(sandbox_cmd_bind(cmd, paths[i], paths[i], SANDBOX_MOUNT_OPTIONAL), 0);
    CHECK_EQ(sandbox_cmd_bind(cmd, outside, "/shared", 0), 0);
    sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_NULL, -1);
    CHECK_EQ(sandbox_cmd_tmpfs(cmd, "/tmp", 1 << 20, 01777), 0);
    CHECK_EQ(sandbox_cmd_proc(cmd, "/proc", 0), 0);
    sandbox_pool *pool = pool_of(cmd, 2);
    /* The directory is shown as it is at the run, though it was bound before. */
    snprintf(path, sizeof path, "%s/late", outside);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    close(fd);
    CHECK_STR(output(pool, shell("echo secret >/tmp/left; (echo x >/shared/written) || mkdir /made; mount -t tmpfs none /shared; ls /tmp; exit 0")), "left\n");
    CHECK_STR(output(pool, shell("ls -A /tmp; ls -A /shared; ls -d /made; grep -c ' /shared ' /proc/self/mountinfo")), "late\n1\n");
    CHECK(access("/tmp/left", F_OK) < 0);
    unlink(path);
    CHECK_EQ(rmdir(outside), 0); /* nothing else is in it */
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(environment, "what one run brings along is not the next one's: environment, arguments, directory, fds, umask, limits") {
    sandbox_cmd *cmd = shell("exit 0");
    sandbox_cmd_cwd(cmd, "/usr");
    sandbox_pool *pool = pool_of(cmd, 2);
    sandbox_cmd *run = shell("umask 0; ulimit -n 20; cd /tmp; export B=2; echo $A $0");
    sandbox_cmd_arg(run, "zero");
    sandbox_cmd_env(run, "A", "1");
    sandbox_cmd_cwd(run, "/");
    sandbox_cmd_pass_fd(run, 2, 9);
    CHECK_STR(output(pool, run), "1 zero\n");
    char wanted[100];
    mode_t mask = umask(0);
    umask(mask);
    snprintf(wanted, sizeof wanted, "env:A: (unset)\nenv:B: (unset)\ncwd: /usr\nstatus:Umask: %04o\nfds: 0 1 2 \n", mask);
    CHECK_STR(output(pool, victim("report", "env:A", "env:B", "cwd", "status:Umask", "fds", NULL)), wanted);
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(group, "each run has a cgroup of its own, which goes with it") {
    sandbox_cmd *cmd = shell("exit 0");
    sandbox_child *child;
    sandbox_cmd_cgroup(cmd, NULL);
    int result = sandbox_spawn(cmd, &child, &error);
    if (result < 0) SKIP("%s", error.message);
    sandbox_child_free(child);
    sandbox_pool *pool = pool_of(cmd, 2);
    char first[300];
    const char *second;
    snprintf(first, sizeof first, "%s", output(pool, shell("grep ^0: /proc/self/cgroup")));
    second = output(pool, shell("grep ^0: /proc/self/cgroup"));
    CHECK(strstr(first, "sandbox-spawn-") && strstr(second, "sandbox-spawn-"));
    CHECK(strcmp(first, second) != 0);
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

static int gate_result;
static int called;

static int at_gate(pid_t pid, int pidfd, void *userdata) {
    called += pid > 0 && pidfd > 2 && userdata == &called;
    return gate_result;
}

TEST(gate, "on_ready is called at the run, in the caller's thread; its refusal is the run's, and the next one runs") {
    sandbox_cmd *cmd = shell("exit 0");
    sandbox_child *child;
    sandbox_cmd_on_ready(cmd, at_gate, &called);
    sandbox_pool *pool = pool_of(cmd, 2);
    CHECK_EQ(called, 0);
    gate_result = -EDOM;
    CHECK_ERROR(sandbox_pool_spawn(pool, NULL, &child, &error), error, EDOM, SANDBOX_STAGE_CALLBACK, 0, "on_ready");
    gate_result = 0;
    CHECK_EQ(sandbox_pool_spawn(pool, NULL, &child, &error), 0);
    CHECK_EQ(called, 2);
    sandbox_child_free(child);
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

TEST(listener, "a filter that notifies hands its listener over at each run, under an init too") {
    for (int init = 0; init < 2; init++) {
        sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
        sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        sandbox_filter_rule(filter, SANDBOX_ACT_NOTIFY, "swapoff", NULL, 0);
        sandbox_cmd_filter(cmd, filter);
        sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)init);
        sandbox_pool *pool = pool_of(cmd, 1);
        for (int round = 0; round < 2; round++) {
            sandbox_child *child;
            sandbox_status status;
            int result = sandbox_pool_spawn(pool, NULL, &child, &error);
            if (result < 0) FAIL("spawn gave %d: %s", result, error.message);
            CHECK(fds_of(child).seccomp_fd > 2);
            CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
            CHECK_EQ(status.code, 0);
            sandbox_child_free(child);
        }
        sandbox_pool_free(pool);
        sandbox_cmd_free(cmd);
        sandbox_filter_free(filter);
    }
}

TEST(statuses, "under an init the status is the program's own") {
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    sandbox_pool *pool = pool_of(cmd, 2);
    for (int signal = 0; signal < 2; signal++) {
        sandbox_cmd *run = victim("act", signal ? "signal" : "exit", signal ? "15" : "77", NULL);
        sandbox_child *child;
        sandbox_status status;
        CHECK_EQ(sandbox_pool_spawn(pool, run, &child, &error), 0);
        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
        CHECK_EQ(status.kind, signal ? SANDBOX_SIGNALED : SANDBOX_EXITED);
        CHECK_EQ(status.code, signal ? 15 : 77);
        sandbox_child_free(child);
        sandbox_cmd_free(run);
    }
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

static void *use(void *pool) {
    for (int i = 0; i < 15; i++) {
        sandbox_child *child;
        sandbox_status status;
        if (sandbox_pool_spawn(pool, NULL, &child, NULL) < 0) return "a spawn failed";
        if (sandbox_child_wait(child, -1, &status, sizeof status) < 0 || status.code != 7) return "a wrong end";
        sandbox_child_free(child);
        if (i % 3 == 0 && sandbox_pool_refill(pool, NULL) < 0) return "a refill failed";
    }
    return NULL;
}

TEST(threads, "several threads spawn from one pool and refill it") {
    sandbox_cmd *cmd = victim("act", "exit", "7", NULL);
    sandbox_pool *pool = pool_of(cmd, 4);
    pthread_t threads[6];
    void *wrong;
    for (int i = 0; i < 6; i++) CHECK_EQ(pthread_create(&threads[i], NULL, use, pool), 0);
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], &wrong);
        if (wrong) FAIL("%s", (const char *)wrong);
    }
    CHECK(sandbox_pool_refill(pool, &error) >= 0);
    pid_t pids[16];
    int count = list_children(pids, 16);
    if (count) CHECK_EQ(count, 4);
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}

static long mapped_pages(void) {
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    CHECK(statm && fscanf(statm, "%ld", &pages) == 1);
    fclose(statm);
    return pages;
}

TEST(thousand, "a thousand runs leave no fd, no process, no thread and no memory") {
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_pool *pool = pool_of(cmd, 5);
    long before = 0;
    int runs = 5 * scaled(200);
    for (int i = 0; i < runs; i++) {
        sandbox_child *child;
        if (i == runs / 10) before = mapped_pages();
        CHECK_EQ(sandbox_pool_spawn(pool, NULL, &child, &error), 0);
        CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
        sandbox_child_free(child);
        if (i % 5 == 4) CHECK(sandbox_pool_refill(pool, &error) == 5);
    }
    long after = mapped_pages();
    if (!UNDER_ASAN && after > before + 64) FAIL("%ld pages were mapped, now %ld", before, after);
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
}
