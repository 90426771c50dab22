/* The ready-made denials, as the program meets them, and real programs that live under all of them. */
#include "seccomp.h"
#include <sys/socket.h>

static struct run result;

static const struct {
    uint64_t what;
    const char *call;
    int errnum;
} denials[] = {
#define CALL_(name, args) NR_(SYS_##name) args
#define NR_(n) STRING_(n)
#define STRING_(n) #n
    {SANDBOX_DENY_TERMINAL_INJECTION, CALL_(ioctl, ",-1,0x5412,buf"), EPERM},
    {SANDBOX_DENY_TERMINAL_INJECTION, CALL_(ioctl, ",-1,0x100005412,buf"), EPERM},
    {SANDBOX_DENY_TERMINAL_INJECTION, CALL_(ioctl, ",-1,0xffffffff00005412,buf"), EPERM},
    {SANDBOX_DENY_TERMINAL_INJECTION, CALL_(ioctl, ",-1,0x541c,buf"), EPERM},
    {SANDBOX_DENY_USER_NAMESPACES, CALL_(clone, ",0x10010000"), EPERM},    /* with CLONE_THREAD: EINVAL of the kernel's */
    {SANDBOX_DENY_USER_NAMESPACES, CALL_(unshare, ",0x10000001"), EPERM},  /* with an unknown flag: EINVAL */
    {SANDBOX_DENY_USER_NAMESPACES, CALL_(clone3, ",buf,1"), ENOSYS},
    {SANDBOX_DENY_IO_URING, CALL_(io_uring_setup, ",0,0"), ENOSYS},
    {SANDBOX_DENY_IO_URING, CALL_(io_uring_enter, ",-1,0,0,0,0,0"), ENOSYS},
    {SANDBOX_DENY_IO_URING, CALL_(io_uring_register, ",-1,0,0,0"), ENOSYS},
    {SANDBOX_DENY_KEYRINGS, CALL_(keyctl, ",9999"), EPERM},
    {SANDBOX_DENY_KEYRINGS, CALL_(add_key, ",0,0,0,0,0"), EPERM},
    {SANDBOX_DENY_KEYRINGS, CALL_(request_key, ",0,0,0,0"), EPERM},
    {SANDBOX_DENY_PTRACE, CALL_(ptrace, ",9999,-1,0,0"), EPERM},
    {SANDBOX_DENY_PTRACE, CALL_(process_vm_readv, ",-1,0,0,0,0,9"), EPERM},
    {SANDBOX_DENY_PTRACE, CALL_(process_vm_writev, ",-1,0,0,0,0,9"), EPERM},
    {SANDBOX_DENY_PTRACE, CALL_(process_madvise, ",-1,0,0,0,0"), EPERM},
    {SANDBOX_DENY_PTRACE, CALL_(pidfd_getfd, ",-1,0,0"), EPERM},
    {SANDBOX_DENY_PTRACE, CALL_(kcmp, ",-1,-1,0,0,0"), EPERM},
    {SANDBOX_DENY_PERF, CALL_(perf_event_open, ",0,0,-1,-1,0"), EPERM},
    {SANDBOX_DENY_BPF, CALL_(bpf, ",9999,0,0"), EPERM},
    {SANDBOX_DENY_SECCOMP, CALL_(seccomp, ",9999,0,0"), ENOSYS},
    {SANDBOX_DENY_SECCOMP, CALL_(seccomp, ",1,8,buf"), ENOSYS},
    {SANDBOX_DENY_SECCOMP, CALL_(prctl, ",22,2,0"), EINVAL},
    {SANDBOX_DENY_SECCOMP, CALL_(prctl, ",0x100000016,2,0"), EINVAL},
    {SANDBOX_DENY_KERNEL_POINTERS, CALL_(write, ",-1,0xffff888000001000,1"), EFAULT},
    {SANDBOX_DENY_KERNEL_POINTERS, CALL_(recvfrom, ",-1,0,0,0,0,0xffffc90000000000"), EFAULT},
#if defined __x86_64__
    {SANDBOX_DENY_KERNEL_POINTERS, CALL_(write, ",-1,0xffffffff81000000,1"), EFAULT},
#endif
    /* What looks alike and is none of theirs. */
    {0, CALL_(ioctl, ",-1,0x5401,buf"), EBADF},
    {0, CALL_(unshare, ",0"), 0},
    {0, CALL_(prctl, ",-1"), EINVAL},
    {0, CALL_(write, ",-1,-1,1"), EBADF},
    {0, CALL_(write, ",-1,0x7fffffffffff,-4096,0xffff888000001000"), EBADF},           /* write takes three */
    {0, CALL_(getuid, ",0xffff888000001000,0xffffffff81000000,0xffffc90000000000"), -1}, /* it takes none */
    {0, CALL_(close, ",-1,0,0,0xffff804da5ea6cbc"), EBADF},                             /* as the dynamic loader does */
    {0, CALL_(fcntl, ",-1,1,0xffff804da5ea6cbc"), EBADF},
    {0, CALL_(ioctl, ",-1,0xffffffff80045430,buf"), EBADF},                             /* musl's request is an int */
    {0, CALL_(lseek, ",-1,0xffffffff80000001,1"), EBADF},
};
enum { DENIALS = sizeof denials / sizeof *denials };

/* Runs them all under `what`; the results stay in `run`. */
static void try_denials(uint64_t what, struct run *run) {
    sandbox_cmd *cmd = raw();
    for (int i = 0; i < DENIALS; i++) sandbox_cmd_arg(cmd, denials[i].call);
    if (what) {
        sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        CHECK_EQ(sandbox_filter_deny(filter, what), 0);
        add(cmd, filter);
    }
    run_well(cmd, run);
}

TEST(denials, "each ready-made denial refuses what it names with its errno, alone and with all others, and nothing else") {
    static struct run without;
    try_denials(0, &without);
    int told_apart = 0;
    for (uint64_t what = 1; what <= 512; what <<= 1) {
        uint64_t all = what == 512 ? 511 : what;
        try_denials(all, &result);
        for (int i = 0; i < DENIALS; i++) {
            long wanted = denials[i].what & all ? -denials[i].errnum : result_of(&without, i);
            if (result_of(&result, i) != wanted)
                FAIL("under %#llx %s gives %ld, not %ld", (unsigned long long)all, denials[i].call, result_of(&result, i), wanted);
            told_apart += denials[i].what & all && result_of(&without, i) != wanted;
        }
    }
    CHECK(told_apart > DENIALS); /* else the calls would fail the same without a filter, and this would show nothing */
}

TEST(terminal, "nothing is pushed into the program's terminal, with whatever upper half of the request") {
    static const char *const requests[] = {"0x5412", "0x100005412", "0x541c", "0x4100005412"};
    for (int denied = 0; denied < 2; denied++) {
        sandbox_cmd *cmd = raw();
        for (int target = 0; target < 2; target++) sandbox_cmd_stdio(cmd, target, SANDBOX_STDIO_PTY, -1);
        for (int i = 0; i < 4; i++) sandbox_cmd_arg(cmd, word("%d,0,%s,buf", SYS_ioctl, requests[i]));
        if (denied) {
            sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
            sandbox_filter_deny(filter, SANDBOX_DENY_TERMINAL_INJECTION);
            add(cmd, filter);
        }
        sandbox_child *child = spawned(cmd);
        drain(fds_of(child).pty_fd, result.out, sizeof result.out);
        CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
        for (int i = 0; i < 4; i++)
            if ((result_of(&result, i) == -EPERM) != (denied != 0) && !(i == 2 && !denied)) /* TIOCLINUX takes a console */
                FAIL("denied %d: %s gives %ld", denied, requests[i], result_of(&result, i));
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
    }
}

TEST(before_rules, "a denial comes before every rule, in whatever order they were given") {
    for (int turn = 0; turn < 2; turn++) {
        sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        if (turn) sandbox_filter_deny(filter, SANDBOX_DENY_PTRACE);
        sandbox_filter_rule(filter, SANDBOX_ACT_ALLOW, "ptrace", NULL, 0);
        sandbox_filter_rule(filter, DENIED, "ioctl", NULL, 0);
        if (!turn) sandbox_filter_deny(filter, SANDBOX_DENY_PTRACE);
        CHECK_EQ(sandbox_filter_deny_ioctl(filter, 0x5401), 0);
        sandbox_cmd *cmd = raw();
        sandbox_cmd_arg(cmd, word("%d,9999", SYS_ptrace)), sandbox_cmd_arg(cmd, word("%d,-1,0x700005401", SYS_ioctl)), sandbox_cmd_arg(cmd, word("%d,-1,0x5402", SYS_ioctl));
        add(cmd, filter);
        run_well(cmd, &result);
        CHECK_EQ(result_of(&result, 0), -EPERM);
        CHECK_EQ(result_of(&result, 1), -EPERM);
        CHECK_EQ(result_of(&result, 2), -EDOM);
    }
}

TEST(setsockopt, "a denied socket option is refused, its neighbours are not") {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    CHECK_EQ(sandbox_filter_deny_setsockopt(filter, SOL_SOCKET, SO_REUSEADDR), 0);
    CHECK_EQ(sandbox_filter_deny_setsockopt(filter, SOL_SOCKET, SO_KEEPALIVE), 0);
    sandbox_cmd *cmd = raw();
    sandbox_cmd_arg(cmd, word("%d,-1,%d,%d,buf,4", SYS_setsockopt, SOL_SOCKET, SO_REUSEADDR));
    sandbox_cmd_arg(cmd, word("%d,-1,%#llx,%#llx,buf,4", SYS_setsockopt, 0x100000000ULL + SOL_SOCKET, 0xffffffff00000000ULL + SO_KEEPALIVE));
    sandbox_cmd_arg(cmd, word("%d,-1,%d,%d,buf,4", SYS_setsockopt, SOL_SOCKET, SO_BROADCAST));
    sandbox_cmd_arg(cmd, word("%d,-1,%d,%d,buf,4", SYS_setsockopt, 41, SO_REUSEADDR));
    sandbox_cmd_arg(cmd, word("%d,-1,%d,%d,buf,buf", SYS_getsockopt, SOL_SOCKET, SO_REUSEADDR));
    add(cmd, filter);
    run_well(cmd, &result);
    for (int i = 0; i < 5; i++) CHECK_EQ(result_of(&result, i), i < 2 ? -EPERM : -EBADF);
}

static sandbox_filter *every_denial(void) {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    CHECK_EQ(sandbox_filter_deny(filter, 511), 0);
    return filter;
}

TEST(fallback, "threads, fork and posix_spawn work on under every denial: libc falls back from clone3 to clone") {
    sandbox_cmd *cmd = victim("fallback", NULL);
    add(cmd, every_denial());
    run_well(cmd, &result);
}

TEST(real_programs, "a shell, git and python3 run under every denial as they do without") {
    static const char *const programs[][4] = {
        {"/bin/sh", "-c", "for i in 1 2 3; do echo $i; done | sort -r | head -1; (exit 3); echo $?", NULL},
        {"git", "--version", NULL, NULL},
        {"python3", "-c", "import threading,subprocess,tempfile,socket\n"
                          "t=threading.Thread(target=lambda:print('thread'));t.start();t.join()\n"
                          "print(subprocess.run(['/bin/echo','sub'],capture_output=True).stdout)\n"
                          "s=socket.socket();s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1);s.bind(('127.0.0.1',0));s.listen();print('socket')\n"
                          "print(len(open('/proc/self/status').read())>100)", NULL}};
    int compared = 0;
    for (int i = 0; i < 3; i++) {
        static struct run without;
        for (int filtered = 0; filtered < 2; filtered++) {
            sandbox_cmd *cmd = sandbox_cmd_new(programs[i][0]);
            sandbox_cmd_args(cmd, programs[i] + 1);
            if (filtered) add(cmd, every_denial());
            run(cmd, filtered ? &result : &without);
        }
        if (without.result < 0 || without.status.code != 0) continue; /* not to be had here */
        CHECK_EQ(result.result, 0);
        CHECK_EQ(result.status.kind, SANDBOX_EXITED);
        CHECK_EQ(result.status.code, 0);
        CHECK_STR(result.out, without.out);
        CHECK(strlen(result.out) > 3);
        compared++;
    }
    CHECK(compared >= 1);
}
