/* The presets: what each refuses, what each leaves in place, and real programs inside them. */
#include "test.h"
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct run result;
static const uint32_t presets[] = {SANDBOX_PRESET_COMPUTE, SANDBOX_PRESET_BUILD, SANDBOX_PRESET_NETWORK};
static const char *const names[] = {"compute", "build", "network"};
enum { PRESETS = 3 };

static long abi(void) {
    long version = syscall(444 /* landlock_create_ruleset */, NULL, 0, 1);
    return version < 0 ? 0 : version;
}

/* In /victims, beside what the preset has. What only newer kernels have may be missing here. */
static sandbox_cmd *preset(sandbox_cmd *cmd, uint32_t number) {
    CHECK_EQ(sandbox_cmd_preset(cmd, number), 0);
    CHECK_EQ(sandbox_cmd_bind(cmd, own_directory, "/victims", 0), 0);
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_ALLOW_LESS_LANDLOCK, 1), 0);
    return cmd;
}

static sandbox_cmd *inside(const char *program, const char *const *args) {
    sandbox_cmd *cmd = sandbox_cmd_new(program);
    sandbox_cmd_args(cmd, args);
    return cmd;
}
#define INSIDE(program, ...) inside(program, (const char *const[]){__VA_ARGS__, NULL})

/* Skips where this machine allows an ordinary user no namespaces, which is then said. */
static void need(void) {
    run(preset(INSIDE("/victims/act", "exit", "0"), SANDBOX_PRESET_COMPUTE), &result);
    if (result.result == -EPERM || result.result == -EACCES || result.result == -ENOSPC) SKIP("%s", result.error.message);
    CHECK_EQ(result.result, 0);
}

static int tried(const char *attempt) {
    char whole[200];
    snprintf(whole, sizeof whole, "%s ", attempt);
    const char *line = strstr(result.out, whole);
    if (!line) FAIL("no \"%s\" in \"%s\"", attempt, result.out);
    return atoi(line + strlen(whole));
}

static const struct {
    const char *name;
    int wanted;
} refused[] = {
    {"io_uring_setup", ENOSYS}, {"io_uring_enter", ENOSYS}, {"unshare-user", EPERM}, {"clone-user", EPERM}, {"clone3", ENOSYS},
    {"unshare-mount", EPERM}, {"mount", EPERM}, {"add_key", EPERM}, {"request_key", EPERM}, {"keyctl", EPERM}, {"ptrace", EPERM},
    {"process_vm_readv", EPERM}, {"bpf", EPERM}, {"perf_event_open", EPERM}, {"seccomp", ENOSYS}, {"listener", ENOSYS},
    {"tiocsti", EPERM}, {"tiocsti-high", EPERM}, {"vsock", EAFNOSUPPORT}, {"alg", EAFNOSUPPORT}, {"packet", EAFNOSUPPORT},
    {"unix", 0}, {"inet", 0}, {"x32", 2000 + SIGSYS}, {"int80", 2000 + SIGSYS},
};
enum { REFUSED = sizeof refused / sizeof *refused };

TEST(attacks, "io_uring, nested namespaces, keys, ptrace, bpf, perf, filters, TIOCSTI, AF_VSOCK and other architectures' calls are refused") {
    need();
    for (int i = 0; i < PRESETS; i++) {
        sandbox_cmd *cmd = preset(sandbox_cmd_new("/victims/attempt"), presets[i]);
        char attempt[64];
        for (int j = 0; j < REFUSED; j++) {
            snprintf(attempt, sizeof attempt, "call:%s", refused[j].name);
            sandbox_cmd_arg(cmd, attempt);
        }
        CHECK_EQ(sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PTY, -1), 0); /* a terminal to push input into */
        run_well(cmd, &result);
        for (int j = 0; j < REFUSED; j++) {
            snprintf(attempt, sizeof attempt, "call:%s", refused[j].name);
            if (tried(attempt) != refused[j].wanted) FAIL("%s: %s gave %d, not %d", names[i], refused[j].name, tried(attempt), refused[j].wanted);
        }
    }
}

TEST(files, "nothing of the host's files but its system is there, and of that nothing can be written") {
    need();
    for (int i = 0; i < PRESETS; i++) {
        run_well(preset(INSIDE("/victims/attempt", "read:/etc/shadow", "list:/root", "list:/home", "list:/var", "list:/sys", "list:/run", "read:/etc/passwd",
                               "list:/usr", "reg:/usr/x", "mkdir:/x", "reg:/victims/x", "reg:/tmp/x", "reg:/dev/x", "write:/dev/null", "read:/proc/self/status",
                               "write:/proc/self/comm", "read:/proc/1/mem", "exec:/proc/1/exe"), presets[i]), &result);
        static const char *const absent[] = {"read:/etc/shadow", "list:/root", "list:/home", "list:/var", "list:/sys", "list:/run"};
        for (int j = 0; j < 6; j++) CHECK_EQ(tried(absent[j]), ENOENT);
        CHECK_EQ(tried("read:/etc/passwd"), i == 0 ? ENOENT : 0);
        CHECK_EQ(tried("list:/usr"), 0);
        static const char *const read_only[] = {"reg:/usr/x", "mkdir:/x", "reg:/victims/x", "reg:/dev/x"};
        for (int j = 0; j < 4; j++)
            if (tried(read_only[j]) != EROFS && tried(read_only[j]) != EACCES) FAIL("%s gave %d", read_only[j], tried(read_only[j]));
        CHECK_EQ(tried("reg:/tmp/x"), 0);
        CHECK_EQ(tried("write:/dev/null"), 0);
        CHECK_EQ(tried("read:/proc/self/status"), 0);
        CHECK_EQ(tried("write:/proc/self/comm"), EROFS);
        CHECK(tried("read:/proc/1/mem") != 0);
        CHECK(tried("exec:/proc/1/exe") != 0); /* the trampoline is no program to be had */
    }
}

TEST(executables, "through /proc, with every capability of its namespace, a program gets at no file that the host executes") {
    need();
    for (int i = 0; i < PRESETS; i++) {
        sandbox_cmd *cmd = preset(INSIDE("/victims/attempt", "write:/proc/1/exe", "truncate:/proc/1/exe", "write:/proc/self/exe", "truncate:/proc/self/exe",
                                         "list:/proc/1/root/etc/..", "list:/proc/1/cwd", "read:/proc/1/exe"), presets[i]);
        CHECK_EQ(sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, SANDBOX_CAPS_ALL), 0);
        run_well(cmd, &result);
        static const char *const refusals[] = {"write:/proc/1/exe", "truncate:/proc/1/exe", "write:/proc/self/exe", "truncate:/proc/self/exe"};
        for (int j = 0; j < 4; j++)
            if (tried(refusals[j]) == 0) FAIL("%s: %s succeeded", names[i], refusals[j]);
        if (tried("read:/proc/1/exe") != 0) continue; /* not even to be looked at */
        cmd = preset(INSIDE("/bin/sh", "-c", "readlink /proc/1/exe"), presets[i]);
        CHECK_EQ(sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, SANDBOX_CAPS_ALL), 0);
        CHECK_HAS(run_well(cmd, &result), "memfd:");
    }
}

TEST(process, "no capabilities, an init, a session, no core dumps, limits, and an environment of the sandbox's own") {
    need();
    setenv("SECRET", "of the host", 1);
    for (int i = 0; i < PRESETS; i++) {
        run_well(preset(INSIDE("/victims/report", "status:CapEff", "status:CapPrm", "status:CapInh", "status:CapBnd", "status:CapAmb", "status:NoNewPrivs",
                               "status:Seccomp", "pid", "sid", "rlimit:4", "rlimit:6", "env", "cwd", "uid", "fds", "argv"), presets[i]), &result);
        static const char *const sets[] = {"status:CapEff", "status:CapPrm", "status:CapInh", "status:CapBnd", "status:CapAmb"};
        for (int j = 0; j < 5; j++) CHECK_STR(value(&result, sets[j]), "0000000000000000");
        CHECK_STR(value(&result, "status:NoNewPrivs"), "1");
        CHECK_STR(value(&result, "status:Seccomp"), "2");
        CHECK_EQ(number(&result, "pid"), 2);
        CHECK_EQ(number(&result, "sid"), 2);
        CHECK_STR(value(&result, "rlimit:4"), "1 1"); /* with 0 a dump is piped to whom the host names */
        struct rlimit processes;
        getrlimit(RLIMIT_NPROC, &processes);
        unsigned long long most = (unsigned long long[]){256, 4096, 1024}[i], hard = processes.rlim_max;
        char limit[64], ids[64];
        if (hard < most) most = hard;
        snprintf(limit, sizeof limit, "%llu %llu", most, most);
        CHECK_STR(value(&result, "rlimit:6"), limit);
        CHECK_HAS(value(&result, "env"), "PATH=/usr/local/bin:/usr/bin:/bin");
        CHECK_HAS(value(&result, "env"), "HOME=/tmp|");
        CHECK(!strstr(value(&result, "env"), "SECRET"));
        CHECK_STR(value(&result, "cwd"), "/tmp");
        snprintf(ids, sizeof ids, "%d %d", getuid(), geteuid());
        CHECK_STR(value(&result, "uid"), ids);
        CHECK_STR(value(&result, "fds"), "0 1 2 ");
        CHECK_EQ(result.status.left_out & ~(uint64_t)(SANDBOX_LEFT_OUT_LANDLOCK | SANDBOX_LEFT_OUT_KEYRING), 0);
    }
    unsetenv("SECRET");
}

static int listener_of(int family, struct sockaddr *address, socklen_t length) {
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, address, length) == 0 && listen(fd, 5) == 0);
    return fd;
}

TEST(network, "the host's network is there in the client's preset alone; its abstract sockets in none") {
    need();
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    socklen_t length = sizeof inet;
    int tcp = listener_of(AF_INET, (struct sockaddr *)&inet, length);
    CHECK_EQ(getsockname(tcp, (struct sockaddr *)&inet, &length), 0);
    int name = snprintf(local.sun_path + 1, sizeof local.sun_path - 1, "presets-test-%d", getpid());
    int abstract = listener_of(AF_UNIX, (struct sockaddr *)&local, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)name));
    char connect[64], reach[200];
    snprintf(connect, sizeof connect, "connect:%d", ntohs(inet.sin_port));
    snprintf(reach, sizeof reach, "abstract:%s", local.sun_path + 1);
    for (int i = 0; i < PRESETS; i++) {
        run_well(preset(INSIDE("/victims/attempt", connect, reach, "bind:5001", "connect:5001"), presets[i]), &result);
        bool is_hosts = presets[i] == SANDBOX_PRESET_NETWORK;
        CHECK_EQ(tried(connect), is_hosts ? 0 : ECONNREFUSED);
        CHECK_EQ(tried(reach), !is_hosts ? ECONNREFUSED : abi() >= 6 ? EPERM : 0);
        if (!is_hosts) CHECK_EQ(tried("connect:5001"), 0); /* its own loopback is up */
        CHECK_EQ(result.status.left_out & SANDBOX_LEFT_OUT_LANDLOCK, is_hosts && abi() < 6 ? SANDBOX_LEFT_OUT_LANDLOCK : 0);
    }
    if (abi() < 6) { /* not less than asked, unless that is allowed */
        sandbox_cmd *cmd = preset(sandbox_cmd_new("/victims/attempt"), SANDBOX_PRESET_NETWORK);
        CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_ALLOW_LESS_LANDLOCK, 0), 0);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EOPNOTSUPP, SANDBOX_STAGE_LANDLOCK, 0, "Landlock");
    }
    close(tcp), close(abstract);
}

TEST(composed, "what the caller sets before or after holds, and its mounts lie in the preset's") {
    need();
    const char *work = fresh_dir();
    char results[PATH_MAX];
    for (int after = 0; after < 2; after++) {
        sandbox_cmd *cmd = INSIDE("/bin/sh", "-c", "echo $NAME $HOME $LANG $$; uname -n; pwd; ulimit -c; echo text > result; echo text > /tmp/given/other; ls /tmp");
        if (after) CHECK_EQ(sandbox_cmd_preset(cmd, SANDBOX_PRESET_BUILD), 0);
        CHECK_EQ(sandbox_cmd_env(cmd, "NAME", "value"), 0);
        CHECK_EQ(sandbox_cmd_env(cmd, "HOME", "/work"), 0);
        CHECK_EQ(sandbox_cmd_env(cmd, "LANG", NULL), 0);
        CHECK_EQ(sandbox_cmd_bind(cmd, work, "/work", SANDBOX_MOUNT_RW), 0);
        CHECK_EQ(sandbox_cmd_bind(cmd, work, "/tmp/given", SANDBOX_MOUNT_RW), 0);
        CHECK_EQ(sandbox_cmd_cwd(cmd, "/work"), 0);
        CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 0), 0);
        CHECK_EQ(sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0), 0);
        if (after) CHECK_EQ(sandbox_cmd_hostname(cmd, "builder"), 0);
        if (!after) CHECK_EQ(sandbox_cmd_preset(cmd, SANDBOX_PRESET_BUILD), 0);
        CHECK_STR(run_well(cmd, &result), after ? "value /work 1\nbuilder\n/work\n0\ngiven\n" : "value /work 1\nsandbox\n/work\n0\ngiven\n");
        snprintf(results, sizeof results, "%s/result", work);
        CHECK_EQ(unlink(results), 0);
        snprintf(results, sizeof results, "%s/other", work);
        CHECK_EQ(unlink(results), 0);
    }
    sandbox_cmd *cmd = preset(sandbox_cmd_new("/victims/act"), SANDBOX_PRESET_BUILD);
    CHECK_EQ(sandbox_cmd_preset(cmd, SANDBOX_PRESET_COMPUTE), -EINVAL);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_SETUP, 0, "second preset");
}

static void need_program(const char *path) {
    if (access(path, X_OK) < 0) SKIP("there is no %s", path);
}

TEST(before, "a list of directories, a domain name, an emptied environment that come before a preset hold, and what is left of it too") {
    need();
    sandbox_cmd *cmd = INSIDE("/bin/sh", "-c", "pwd; uname -n; echo $HOME-$A");
    CHECK_EQ(sandbox_cmd_cwd_first(cmd, (const char *const[]){"/not/there", "/usr", NULL}), 0);
    CHECK_EQ(sandbox_cmd_domainname(cmd, "a-domain"), 0);
    CHECK_EQ(sandbox_cmd_env_clear(cmd), 0);
    CHECK_EQ(sandbox_cmd_env(cmd, "A", "b"), 0);
    CHECK_STR(run_well(preset(cmd, SANDBOX_PRESET_COMPUTE), &result), "/usr\nsandbox\n-b\n");
}

TEST(names_itself, "where there is no other network the local host and the sandbox's own have names") {
    need();
    need_program("/usr/bin/getent");
    for (int i = 0; i < 2; i++) {
        sandbox_cmd *cmd = INSIDE("/bin/sh", "-c", "getent hosts sandbox && getent ahosts localhost | head -n 1");
        run_well(preset(cmd, presets[i]), &result);
        CHECK_HAS(result.out, "127.0.1.1");
        CHECK_HAS(result.out, "127.0.0.1");
    }
}

TEST(shared_memory, "memory in /dev/shm has the limit that /tmp has") {
    need();
    for (int i = 0; i < PRESETS; i++) {
        static const long sizes[] = {64, 1024, 256};
        char wanted[64];
        snprintf(wanted, sizeof wanted, "%ld\n%ld\n", sizes[i] << 10, sizes[i] << 10);
        sandbox_cmd *cmd = INSIDE("/bin/sh", "-c", "for d in /tmp /dev/shm; do df -k $d | tail -n 1 | tr -s ' ' | cut -d' ' -f2; done; echo x > /dev/shm/file");
        CHECK_STR(run_well(preset(cmd, presets[i]), &result), wanted);
    }
}

TEST(own_root, "with a root directory of the caller's none of the host's system is bound") {
    need();
    char directory[PATH_MAX], path[PATH_MAX + 32];
    strcpy(directory, fresh_dir());
    static const char *const points[] = {"proc", "dev", "tmp", "victims"};
    for (int i = 0; i < 4; i++) snprintf(path, sizeof path, "%s/%s", directory, points[i]), mkdir(path, 0755);
    for (int after = 0; after < 2; after++) {
        sandbox_cmd *cmd = INSIDE("/victims/attempt", "list:/usr", "list:/tmp", "read:/proc/self/status", "write:/dev/null");
        if (!after) CHECK_EQ(sandbox_cmd_root(cmd, directory, 0), 0);
        preset(cmd, SANDBOX_PRESET_COMPUTE);
        if (after) CHECK_EQ(sandbox_cmd_root(cmd, directory, 0), 0);
        run_well(cmd, &result);
        CHECK_EQ(tried("list:/usr"), ENOENT);
        CHECK_EQ(tried("list:/tmp"), 0);
        CHECK_EQ(tried("read:/proc/self/status"), 0);
        CHECK_EQ(tried("write:/dev/null"), 0);
    }
}

TEST(explained, "explain names the preset and shows what it does") {
    for (int i = 0; i < PRESETS; i++) {
        static char text[65536];
        char line[64];
        sandbox_cmd *cmd = preset(sandbox_cmd_new("/victims/act"), presets[i]);
        int length = sandbox_cmd_explain(cmd, text, sizeof text, NULL);
        sandbox_cmd_free(cmd);
        CHECK(length > 0 && (size_t)length < sizeof text);
        snprintf(line, sizeof line, "preset: %s;", names[i]);
        CHECK_HAS(text, line);
        CHECK_HAS(text, "\"/usr\"");
        CHECK_HAS(text, "\"/victims\"");
        CHECK_HAS(text, "seccomp filter of");
        CHECK_HAS(text, "which refuses terminal injection, user namespaces, io_uring");
        CHECK_HAS(text, "RLIMIT_CORE soft 1, hard 1");
        CHECK_HAS(text, "environment: none of the host's, with PATH, HOME, TMPDIR, LANG\n");
        CHECK_EQ(strstr(text, "to which the kernel does not hold root") != NULL, getuid() == 0);
    }
}

/* --- real programs --- */


TEST(shell, "a pipeline of the shell's") {
    need();
    for (int i = 0; i < PRESETS; i++) {
        run_well(preset(INSIDE("/bin/sh", "-c", "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); done | sort -rn | head -n 3 | tr '\\n' ' '; id -u | wc -l"), presets[i]), &result);
        CHECK_STR(result.out, "199 198 197 1\n");
    }
}

TEST(python, "python3 with subprocesses and threads: libc falls back where clone3 is ENOSYS") {
    need();
    need_program("/usr/bin/python3");
    for (int i = 0; i < PRESETS; i++) {
        run_well(preset(INSIDE("/usr/bin/python3", "-c",
                               "import subprocess, threading, tempfile, os, socket, hashlib\n"
                               "found = []\n"
                               "threads = [threading.Thread(target=lambda n=n: found.append(n)) for n in range(8)]\n"
                               "[t.start() for t in threads]; [t.join() for t in threads]\n"
                               "with tempfile.NamedTemporaryFile() as f: f.write(b'x'); f.flush(); found.append(os.path.getsize(f.name))\n"
                               "print(len(found), subprocess.run(['sh', '-c', 'echo sub; exit 3'], capture_output=True).stdout.decode().strip())\n"
                               "a, b = socket.socketpair(); a.send(b'pair'); print(b.recv(4).decode(), hashlib.sha256(b'').hexdigest()[:8])\n"), presets[i]), &result);
        CHECK_STR(result.out, "9 sub\npair e3b0c442\n");
    }
}

TEST(gcc, "gcc compiles and links in the build preset, and its program runs in the computation's") {
    need();
    need_program("/usr/bin/gcc");
    char work[PATH_MAX], source[PATH_MAX + 32];
    strcpy(work, fresh_dir());
    snprintf(source, sizeof source, "%s/hello.c", work);
    FILE *file = fopen(source, "we");
    fputs("#include <pthread.h>\n#include <stdio.h>\nstatic void *say(void *x) { puts(x); return 0; }\n"
          "int main(void) { pthread_t t; pthread_create(&t, 0, say, \"hello\"); return pthread_join(t, 0); }\n", file);
    fclose(file);
    sandbox_cmd *cmd = INSIDE("/usr/bin/gcc", "-O1", "-pthread", "-o", "hello", "hello.c");
    CHECK_EQ(sandbox_cmd_preset(cmd, SANDBOX_PRESET_BUILD), 0);
    CHECK_EQ(sandbox_cmd_bind(cmd, work, "/work", SANDBOX_MOUNT_RW), 0);
    CHECK_EQ(sandbox_cmd_cwd(cmd, "/work"), 0);
    run_well(cmd, &result);
    cmd = sandbox_cmd_new("/work/hello");
    CHECK_EQ(sandbox_cmd_preset(cmd, SANDBOX_PRESET_COMPUTE), 0);
    CHECK_EQ(sandbox_cmd_bind(cmd, work, "/work", 0), 0);
    CHECK_STR(run_well(cmd, &result), "hello\n");
}

TEST(resolver, "the client's preset resolves names from the host's files and finds its certificates") {
    need();
    need_program("/usr/bin/getent");
    run(preset(INSIDE("/usr/bin/getent", "hosts", "localhost"), SANDBOX_PRESET_NETWORK), &result);
    CHECK_EQ(result.result, 0);
    CHECK_HAS(result.out, "localhost");
    if (access("/etc/ssl/certs", R_OK) == 0) {
        run_well(preset(INSIDE("/victims/attempt", "list:/etc/ssl/certs"), SANDBOX_PRESET_NETWORK), &result);
        CHECK_EQ(tried("list:/etc/ssl/certs"), 0);
    }
}

TEST(processes, "a fork bomb ends at the preset's limit of processes") {
    need();
    if (geteuid() == 0) SKIP("the kernel exempts root from RLIMIT_NPROC");
    run(preset(INSIDE("/bin/sh", "-c", "n=0; while [ $n -lt 400 ]; do sleep 60 & n=$((n+1)); done 2>/dev/null; echo no limit"), SANDBOX_PRESET_COMPUTE), &result);
    CHECK_EQ(result.result, 0);
    CHECK(!strstr(result.out, "no limit"));
}
