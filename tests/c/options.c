/* Every SANDBOX_OPT_*: what the program finds. The init has init.c, the death of hosts threads.c. */
#include "test.h"
#include <linux/securebits.h>
#include <sched.h>
#include <sys/personality.h>

static struct run result;

static sandbox_cmd *with(sandbox_cmd *cmd, uint32_t option, int64_t value) {
    CHECK_EQ(sandbox_cmd_set(cmd, option, (uint64_t)value), 0);
    return cmd;
}

static sandbox_cmd *asked(const char *key) { return victim("report", key, NULL); }

static const char *seen(sandbox_cmd *cmd, const char *key) {
    run_well(cmd, &result);
    return value(&result, key);
}

static const char *decimal(long long n) {
    static char text[24];
    snprintf(text, sizeof text, "%lld", n);
    return text;
}

TEST(defaults, "by default: no new privileges, death signal, only fds 0 to 2, signals reset, the rest as the host's") {
    char host[64];
    sandbox_cmd *cmd = victim("report", "status:NoNewPrivs", "death", "fds", "status:SigIgn", "status:SigBlk", "status:Umask", "nice", "oom",
                              "personality", "sid", "pgid", "securebits", "uid", "status:Seccomp", NULL);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "status:NoNewPrivs"), "1");
    CHECK_STR(value(&result, "death"), decimal(SIGKILL));
    CHECK_STR(value(&result, "fds"), "0 1 2 ");
    CHECK_STR(value(&result, "status:SigIgn"), "0000000000000000");
    CHECK_STR(value(&result, "status:SigBlk"), "0000000000000000");
    mode_t mask = umask(0);
    umask(mask);
    snprintf(host, sizeof host, "%04o", mask);
    CHECK_STR(value(&result, "status:Umask"), host);
    CHECK_EQ(number(&result, "nice"), getpriority(PRIO_PROCESS, 0));
    CHECK_EQ(number(&result, "personality"), personality(0xffffffff));
    CHECK_EQ(number(&result, "sid"), getsid(0));
    CHECK_EQ(number(&result, "pgid"), getpgid(0));
    CHECK_EQ(number(&result, "securebits"), prctl(PR_GET_SECUREBITS));
    snprintf(host, sizeof host, "%d %d", getuid(), geteuid());
    CHECK_STR(value(&result, "uid"), host);
}

TEST(no_new_privs, "NO_NEW_PRIVS can be left off, and never takes off the host's own") {
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)) SKIP("this process has no_new_privs itself");
    sandbox_cmd *cmd = with(asked("status:NoNewPrivs"), SANDBOX_OPT_NO_NEW_PRIVS, 0);
    sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0); /* an ordinary user can't drop its bounding set */
    CHECK_STR(seen(cmd, "status:NoNewPrivs"), "0");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    CHECK_STR(seen(with(asked("status:NoNewPrivs"), SANDBOX_OPT_NO_NEW_PRIVS, 0), "status:NoNewPrivs"), "1");
}

TEST(death_signal, "DEATH_SIGNAL is the one asked for, or none") {
    CHECK_STR(seen(with(asked("death"), SANDBOX_OPT_DEATH_SIGNAL, SIGTERM), "death"), decimal(SIGTERM));
    CHECK_STR(seen(with(asked("death"), SANDBOX_OPT_DEATH_SIGNAL, 64), "death"), "64");
    CHECK_STR(seen(with(asked("death"), SANDBOX_OPT_DEATH_SIGNAL, 0), "death"), "0");
}

TEST(umask, "UMASK sets every bit pattern it is given, and not the host's") {
    int masks[] = {0, 022, 077, 0777, 0137};
    mode_t before = umask(033);
    for (int i = 0; i < 5; i++) {
        char wanted[8];
        snprintf(wanted, sizeof wanted, "%04o", masks[i]);
        CHECK_STR(seen(with(asked("status:Umask"), SANDBOX_OPT_UMASK, masks[i]), "status:Umask"), wanted);
    }
    CHECK_EQ(umask(before), 033);
}

TEST(nice, "NICE sets the value; to raise one's priority needs the privilege") {
    int now = getpriority(PRIO_PROCESS, 0);
    CHECK_EQ(atoi(seen(with(asked("nice"), SANDBOX_OPT_NICE, now + 3), "nice")), now + 3);
    CHECK_EQ(atoi(seen(with(asked("nice"), SANDBOX_OPT_NICE, 19), "nice")), 19);
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), now);
    if (has_cap(23)) {
        CHECK_EQ(atoi(seen(with(asked("nice"), SANDBOX_OPT_NICE, -20), "nice")), -20);
    } else {
        run(with(asked("nice"), SANDBOX_OPT_NICE, -20), &result);
        CHECK_ERROR(result.result, result.error, EACCES, SANDBOX_STAGE_PROCESS, 4, "nice value -20");
    }
}

TEST(oom, "OOM_SCORE_ADJ sets the child's, the host's stays; to lower it needs the privilege") {
    char before[32] = "", after[32] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    CHECK(pread(fd, before, sizeof before - 1, 0) > 0);
    CHECK_STR(seen(with(asked("oom"), SANDBOX_OPT_OOM_SCORE_ADJ, 1000), "oom"), "1000");
    CHECK_STR(seen(with(asked("oom"), SANDBOX_OPT_OOM_SCORE_ADJ, 321), "oom"), "321");
    if (has_cap(24)) {
        CHECK_STR(seen(with(asked("oom"), SANDBOX_OPT_OOM_SCORE_ADJ, -1000), "oom"), "-1000");
    } else {
        run(with(asked("oom"), SANDBOX_OPT_OOM_SCORE_ADJ, -1000), &result);
        CHECK_ERROR(result.result, result.error, EACCES, SANDBOX_STAGE_PROCESS, 0, "oom_score_adj -1000");
    }
    CHECK(pread(fd, after, sizeof after - 1, 0) > 0);
    CHECK_STR(after, before);
    close(fd);
}

TEST(cpus, "CPU_AFFINITY and sandbox_cmd_cpus choose the CPUs; a CPU that is not there is refused") {
    cpu_set_t set;
    char wanted[16];
    sched_getaffinity(0, sizeof set, &set);
    for (int cpu = 0; cpu < 16; cpu++) {
        if (!CPU_ISSET(cpu, &set)) continue;
        snprintf(wanted, sizeof wanted, "%d", cpu);
        CHECK_STR(seen(with(asked("status:Cpus_allowed_list"), SANDBOX_OPT_CPU_AFFINITY, 1 << cpu), "status:Cpus_allowed_list"), wanted);
        uint64_t mask[128] = {0};
        mask[0] = 1u << cpu;
        for (size_t words = 1; words <= 128; words *= 2) {
            sandbox_cmd *cmd = asked("status:Cpus_allowed_list");
            CHECK_EQ(sandbox_cmd_cpus(cmd, mask, words), 0);
            CHECK_STR(seen(cmd, "status:Cpus_allowed_list"), wanted);
        }
    }
    cpu_set_t after;
    sched_getaffinity(0, sizeof after, &after);
    CHECK(CPU_EQUAL(&set, &after));
    if (sysconf(_SC_NPROCESSORS_CONF) < 64) {
        run(with(asked("affinity"), SANDBOX_OPT_CPU_AFFINITY, INT64_MIN), &result);
        CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_PROCESS, 5, "CPUs 63");
    }
}

TEST(session, "NEW_SESSION 1 makes it a session leader, 0 leaves it in the host's") {
    run_well(with(victim("report", "sid", "pid", "pgid", NULL), SANDBOX_OPT_NEW_SESSION, 1), &result);
    CHECK_EQ(number(&result, "sid"), result.pid);
    CHECK_EQ(number(&result, "pgid"), result.pid);
    run_well(with(victim("report", "sid", "pgid", NULL), SANDBOX_OPT_NEW_SESSION, 0), &result);
    CHECK_EQ(number(&result, "sid"), getsid(0));
    CHECK_EQ(number(&result, "pgid"), getpgid(0));
}

TEST(group, "PROCESS_GROUP 0 makes a new group, a number joins that one, a strange one is refused") {
    run_well(with(victim("report", "sid", "pgid", NULL), SANDBOX_OPT_PROCESS_GROUP, 0), &result);
    CHECK_EQ(number(&result, "pgid"), result.pid);
    CHECK_EQ(number(&result, "sid"), getsid(0));
    sandbox_cmd *first = with(victim("act", "sleep", "60000", NULL), SANDBOX_OPT_PROCESS_GROUP, 0);
    sandbox_child *leader = spawned(first);
    run_well(with(asked("pgid"), SANDBOX_OPT_PROCESS_GROUP, sandbox_child_pid(leader)), &result);
    CHECK_EQ(number(&result, "pgid"), sandbox_child_pid(leader));
    sandbox_child_free(leader);
    sandbox_cmd_free(first);
    run(with(asked("pgid"), SANDBOX_OPT_PROCESS_GROUP, 1), &result);
    CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_SESSION, 1, "process group 1");
}

static long key_of_host(void) { return syscall(SYS_keyctl, 0, -3, 0); }

TEST(keyring, "NEW_KEYRING gives a new, empty session keyring, and the host keeps its own") {
    if (key_of_host() < 0 && errno == ENOSYS) SKIP("this kernel has no keyrings");
    long before = key_of_host();
    run(with(victim("report", "keyring", "keys", NULL), SANDBOX_OPT_NEW_KEYRING, 1), &result);
    if (result.result == -EDQUOT) SKIP("this user's keys are used up");
    CHECK_EQ(result.result, 0);
    CHECK(number(&result, "keyring") > 0 && number(&result, "keyring") != before);
    CHECK_EQ(number(&result, "keys"), 0);
    CHECK_EQ(key_of_host(), before);
}

TEST(securebits, "SECUREBITS are the program's; without CAP_SETPCAP refused") {
    int bits = SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED, before = prctl(PR_GET_SECUREBITS);
    run(with(asked("securebits"), SANDBOX_OPT_SECUREBITS, bits), &result);
    if (has_cap(8)) {
        CHECK_EQ(result.result, 0);
        CHECK_EQ(number(&result, "securebits"), bits);
    } else {
        CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_CAPABILITY, 0, "securebits 0xc0");
    }
    CHECK_EQ(prctl(PR_GET_SECUREBITS), before);
}

TEST(exec_securebits, "SECUREBITS takes the bits of a checked exec too, where the kernel has them") {
    sandbox_cmd *cmd = with(asked("securebits"), SANDBOX_OPT_SECUREBITS, 0x100); /* SECBIT_EXEC_RESTRICT_FILE */
    run(cmd, &result);
    if (result.result < 0) {
        CHECK(result.result == -EPERM || result.result == -EINVAL);
        CHECK_EQ(result.error.stage, SANDBOX_STAGE_CAPABILITY);
        SKIP("%s", result.error.message);
    }
    CHECK_EQ(number(&result, "securebits") & 0x100, 0x100);
    cmd = asked("securebits");
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_SECUREBITS, 0x1000), -EINVAL);
    sandbox_cmd_free(cmd);
}

TEST(no_randomize, "NO_RANDOMIZE puts the stack at the same place in every run") {
    char first[64];
    snprintf(first, sizeof first, "%s", seen(with(asked("stack"), SANDBOX_OPT_NO_RANDOMIZE, 1), "stack"));
    for (int i = 0; i < 5; i++) CHECK_STR(seen(with(asked("stack"), SANDBOX_OPT_NO_RANDOMIZE, 1), "stack"), first);
    CHECK_EQ(strtol(seen(with(asked("personality"), SANDBOX_OPT_NO_RANDOMIZE, 1), "personality"), NULL, 0), ADDR_NO_RANDOMIZE);
    CHECK(!(personality(0xffffffff) & ADDR_NO_RANDOMIZE));
    bool differs = false;
    for (int i = 0; i < 5; i++) differs |= strcmp(seen(asked("stack"), "stack"), first) != 0;
    CHECK(differs);
}

#define PR_GET_MDWE_ 66

TEST(mdwe, "MDWE refuses memory that is writable and executable, in the program alone") {
    CHECK_STR(seen(asked("write_execute"), "write_execute"), "0");
    bool there = prctl(PR_GET_MDWE_, 0, 0, 0, 0) >= 0;
    run(with(victim("report", "mdwe", "write_execute", NULL), SANDBOX_OPT_MDWE, 1), &result);
    if (there) {
        CHECK_EQ(result.result, 0);
        CHECK_EQ(number(&result, "mdwe"), 1);
        CHECK_EQ(number(&result, "write_execute"), EACCES);
        CHECK_EQ(prctl(PR_GET_MDWE_, 0, 0, 0, 0), 0);
    } else {
        CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_PROCESS, 2, "memory-deny-write-execute");
    }
    run(with(with(asked("mdwe"), SANDBOX_OPT_MDWE, 1), SANDBOX_OPT_ALLOW_NO_MDWE, 1), &result);
    CHECK_EQ(result.result, 0);
    CHECK_EQ(result.status.left_out, there ? 0 : SANDBOX_LEFT_OUT_MDWE);
}

TEST(tsc, "DENY_TSC makes reading the time stamp counter fatal") {
    int mode;
    bool there = prctl(PR_GET_TSC, &mode) == 0;
    run(with(asked("tsc"), SANDBOX_OPT_DENY_TSC, 1), &result);
    if (!there) {
        CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_PROCESS, 7, "time stamp counter");
    } else {
        CHECK_EQ(result.result, 0);
        CHECK_EQ(number(&result, "tsc"), PR_TSC_SIGSEGV);
    }
    run(with(with(asked("tsc"), SANDBOX_OPT_DENY_TSC, 1), SANDBOX_OPT_ALLOW_NO_DENY_TSC, 1), &result);
    CHECK_EQ(result.result, 0);
    CHECK_EQ(result.status.left_out, there ? 0 : SANDBOX_LEFT_OUT_DENY_TSC);
    if (there) CHECK_EQ(prctl(PR_GET_TSC, &mode) + mode, PR_TSC_ENABLE);
#if defined __x86_64__
    run(with(victim("act", "rdtsc", NULL), SANDBOX_OPT_DENY_TSC, 1), &result);
    CHECK_EQ(result.result, 0);
    CHECK_EQ(result.status.kind, SANDBOX_SIGNALED);
    CHECK_EQ(result.status.code, SIGSEGV);
    run_well(victim("act", "rdtsc", NULL), &result);
#endif
}

/* What forcing a misfeature off gives, by trying it in a fork: an errno, or 0. */
static int forced(int misfeature, int *state) {
    int status;
    *state = prctl(PR_GET_SPECULATION_CTRL, misfeature, 0, 0, 0);
    if (*state == 0) return 0; /* the processor is not affected */
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_SPECULATION_CTRL, misfeature, PR_SPEC_FORCE_DISABLE, 0, 0) < 0) _exit(errno);
        /* an arm64 that can't says yes and changes nothing */
        _exit(prctl(PR_GET_SPECULATION_CTRL, misfeature, 0, 0, 0) & (PR_SPEC_FORCE_DISABLE | PR_SPEC_DISABLE) ? 0 : ENXIO);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

TEST(speculation, "SPECULATION is forced off where the processor can, refused or left out where it can't") {
    for (int misfeature = 0; misfeature < 2; misfeature++) {
        int state, error = forced(misfeature, &state);
        char key[24];
        snprintf(key, sizeof key, "speculation:%d", misfeature);
        run(with(asked(key), SANDBOX_OPT_SPECULATION, 1 << misfeature), &result);
        if (error) {
            CHECK_ERROR(result.result, result.error, error, SANDBOX_STAGE_PROCESS, 8 + misfeature, "speculat");
        } else {
            CHECK_EQ(result.result, 0);
            CHECK(number(&result, key) == 0 || number(&result, key) & (PR_SPEC_FORCE_DISABLE | PR_SPEC_DISABLE));
        }
        CHECK_EQ(prctl(PR_GET_SPECULATION_CTRL, misfeature, 0, 0, 0), state);
        run(with(with(asked(key), SANDBOX_OPT_SPECULATION, 1 << misfeature), SANDBOX_OPT_ALLOW_NO_SPECULATION, 1), &result);
        CHECK_EQ(result.result, 0);
        CHECK_EQ(result.status.left_out, error ? SANDBOX_LEFT_OUT_SPECULATION : 0);
    }
}

static void ignore_all(void) {
    for (int signal = 1; signal < 65; signal++) {
        /* the raw call: libc keeps 32 and 33 to itself */
        unsigned long action[4] = {1 /* SIG_IGN */, 0, 0, 0};
        if (signal != SIGCHLD) syscall(SYS_rt_sigaction, signal, action, NULL, 8);
    }
}

TEST(reset_signals, "RESET_SIGNALS: what the host ignores and blocks, up to SIGRTMAX, is default and open in the child") {
    sigset_t all;
    sigfillset(&all);
    ignore_all();
    sigprocmask(SIG_SETMASK, &all, NULL);
    run_well(victim("report", "status:SigIgn", "status:SigBlk", "status:SigCgt", NULL), &result);
    CHECK_STR(value(&result, "status:SigIgn"), "0000000000000000");
    CHECK_STR(value(&result, "status:SigBlk"), "0000000000000000");
    CHECK_STR(value(&result, "status:SigCgt"), "0000000000000000");
}

static void handler(int signal) { (void)signal; }

TEST(keep_signals, "RESET_SIGNALS off: what the host ignores and blocks stays so, what it handles is default") {
    sigset_t some;
    ignore_all();
    signal(SIGUSR2, handler), signal(SIGPIPE, SIG_DFL);
    sigemptyset(&some), sigaddset(&some, SIGTERM), sigaddset(&some, 64);
    sigprocmask(SIG_SETMASK, &some, NULL);
    run_well(with(victim("report", "status:SigIgn", "status:SigBlk", "status:SigCgt", NULL), SANDBOX_OPT_RESET_SIGNALS, 0), &result);
    unsigned long ignored = ~0UL & ~(1UL << (SIGKILL - 1) | 1UL << (SIGSTOP - 1) | 1UL << (SIGCHLD - 1) | 1UL << (SIGUSR2 - 1) | 1UL << (SIGPIPE - 1));
    CHECK_EQ(strtoul(value(&result, "status:SigIgn"), NULL, 16), ignored);
    CHECK_EQ(strtoul(value(&result, "status:SigBlk"), NULL, 16), 1UL << (SIGTERM - 1) | 1UL << 63);
    CHECK_STR(value(&result, "status:SigCgt"), "0000000000000000");
}

TEST(random_fds, "RANDOM_FDS scatters the handle's fds, close-on-exec all") {
    int seen_at[8], distinct = 0;
    for (int i = 0; i < 8; i++) {
        sandbox_cmd *cmd = with(victim("act", "cat", NULL), SANDBOX_OPT_RANDOM_FDS, 1);
        for (int target = 0; target < 3; target++) sandbox_cmd_stdio(cmd, target, target == 2 ? SANDBOX_STDIO_PTY : SANDBOX_STDIO_PIPE, -1);
        sandbox_child *child = spawned(cmd);
        sandbox_fds fds = fds_of(child);
        int all[] = {fds.pidfd, fds.stdin_fd, fds.stdout_fd, fds.pty_fd};
        for (int n = 0; n < 4; n++) {
            CHECK(all[n] >= 64);
            CHECK_EQ(fcntl(all[n], F_GETFD), FD_CLOEXEC);
        }
        seen_at[i] = fds.pidfd;
        for (int earlier = 0; earlier <= i; earlier++)
            if (earlier == i) distinct++;
            else if (seen_at[earlier] == seen_at[i]) break;
        char text[8];
        CHECK_EQ(write(fds.stdin_fd, "hi", 2), 2);
        close(sandbox_child_take_fd(child, SANDBOX_FD_STDIN));
        drain(fds.stdout_fd, text, sizeof text);
        CHECK_STR(text, "hi");
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
    }
    CHECK(distinct > 4);
}

TEST(loopback, "LOOPBACK without a network namespace of its own is refused, never done to the host's") {
    run(with(asked("pid"), SANDBOX_OPT_LOOPBACK, 1), &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_NETWORK, 0, "LOOPBACK");
}

TEST(together, "all that can be had goes together, by every way to the program") {
    for (int way = 0; way < 3; way++) {
        sandbox_cmd *cmd = victim("report", "status:Umask", "nice", "oom", "personality", "sid", "death", "status:NoNewPrivs", "fds", "pid", "keyring",
                                  "rlimit:7", "cwd", NULL);
        with(cmd, SANDBOX_OPT_UMASK, 027);
        with(cmd, SANDBOX_OPT_NICE, 7);
        with(cmd, SANDBOX_OPT_NO_RANDOMIZE, 1);
        with(cmd, SANDBOX_OPT_NEW_SESSION, 1);
        if (way > 0) with(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 600);
        if (way > 1) with(cmd, SANDBOX_OPT_INIT, 1);
        sandbox_cmd_rlimit(cmd, RLIMIT_NOFILE, 20, 30);
        sandbox_cmd_cwd(cmd, "/");
        run_well(cmd, &result);
        CHECK_STR(value(&result, "status:Umask"), "0027");
        CHECK_STR(value(&result, "nice"), "7");
        if (way > 0) CHECK_STR(value(&result, "oom"), "600");
        CHECK_STR(value(&result, "personality"), "0x40000");
        CHECK_EQ(number(&result, "sid"), number(&result, "pid"));
        CHECK_STR(value(&result, "death"), decimal(SIGKILL));
        CHECK_STR(value(&result, "status:NoNewPrivs"), "1");
        CHECK_STR(value(&result, "fds"), "0 1 2 ");
        CHECK_STR(value(&result, "rlimit:7"), "20 30");
        CHECK_STR(value(&result, "cwd"), "/");
        CHECK(way > 1 || number(&result, "pid") == result.pid);
    }
}
