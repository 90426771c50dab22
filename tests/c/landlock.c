/* Landlock: what a rule grants and what it does not, ports, scopes, and a kernel that lacks some of it. The program reads
 * the kernel's ABI itself and expects what that one can do: it runs on any kernel, and under victims/older. */
#include "test.h"
#include <sys/socket.h>
#include <sys/un.h>

static struct run result;

static long abi(void) {
    long version = syscall(444 /* landlock_create_ruleset */, NULL, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */);
    return version < 0 ? 0 : version;
}

static const struct {
    uint64_t bit;
    const char *name;
    long since;
} rights[] = {
    {SANDBOX_LANDLOCK_EXECUTE, "execute", 1},         {SANDBOX_LANDLOCK_WRITE_FILE, "write_file", 1}, {SANDBOX_LANDLOCK_READ_FILE, "read_file", 1},
    {SANDBOX_LANDLOCK_READ_DIR, "read_dir", 1},       {SANDBOX_LANDLOCK_REMOVE_DIR, "remove_dir", 1}, {SANDBOX_LANDLOCK_REMOVE_FILE, "remove_file", 1},
    {SANDBOX_LANDLOCK_MAKE_CHAR, "make_char", 1},     {SANDBOX_LANDLOCK_MAKE_DIR, "make_dir", 1},     {SANDBOX_LANDLOCK_MAKE_REG, "make_reg", 1},
    {SANDBOX_LANDLOCK_MAKE_SOCK, "make_sock", 1},     {SANDBOX_LANDLOCK_MAKE_FIFO, "make_fifo", 1},   {SANDBOX_LANDLOCK_MAKE_BLOCK, "make_block", 1},
    {SANDBOX_LANDLOCK_MAKE_SYM, "make_sym", 1},       {SANDBOX_LANDLOCK_REFER, "refer", 2},           {SANDBOX_LANDLOCK_TRUNCATE, "truncate", 3},
    {SANDBOX_LANDLOCK_IOCTL_DEV, "ioctl_dev", 5},
};
enum { RIGHTS = sizeof rights / sizeof *rights };

/* Of the rights of files, those that this kernel has. */
static uint64_t known(void) {
    uint64_t bits = 0;
    for (int i = 0; i < RIGHTS; i++)
        if (rights[i].since <= abi()) bits |= rights[i].bit;
    return bits;
}

/* What this kernel lacks may be missing, but where a test is about just that. */
static sandbox_cmd *less(sandbox_cmd *cmd) {
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_ALLOW_LESS_LANDLOCK, 1), 0);
    return cmd;
}

static sandbox_cmd *path(sandbox_cmd *cmd, const char *path, uint64_t access) {
    CHECK_EQ(sandbox_cmd_landlock_path(cmd, path, access), 0);
    return cmd;
}

/* Only the program itself may be read and run, or whatever else it grants. */
static sandbox_cmd *confined(sandbox_cmd *cmd) {
    path(less(cmd), beside("attempt"), SANDBOX_LANDLOCK_READ_EXECUTE);
    return path(cmd, beside("act"), SANDBOX_LANDLOCK_READ_EXECUTE);
}

__attribute__((format(printf, 2, 3))) static void also(sandbox_cmd *cmd, const char *format, ...) {
    char text[2 * PATH_MAX];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    CHECK_EQ(sandbox_cmd_arg(cmd, text), 0);
}

/* The errno of the attempt that begins so. */
static int tried(const char *attempt) {
    const char *line = strstr(result.out, attempt);
    if (!line) FAIL("no \"%s\" in \"%s\"", attempt, result.out);
    const char *space = strchr(line, ' ');
    return space ? atoi(space + 1) : -1;
}

static void write_file(const char *directory, const char *name, mode_t mode) {
    char file[PATH_MAX];
    snprintf(file, sizeof file, "%s/%s", directory, name);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, mode);
    CHECK(fd >= 0 && write(fd, "text", 4) == 4);
    close(fd);
}

static void make_tree(const char *directory) {
    char file[PATH_MAX];
    write_file(directory, "file", 0600), write_file(directory, "gone", 0600), write_file(directory, "a", 0600);
    snprintf(file, sizeof file, "%s/dir", directory); CHECK_EQ(mkdir(file, 0700), 0);
    snprintf(file, sizeof file, "%s/sub", directory); CHECK_EQ(mkdir(file, 0700), 0);
    write_file(file, "x", 0600), write_file(file, "y", 0600);
    snprintf(file, sizeof file, "%s/program", directory), copy_file(beside("attempt"), file, 0755);
}

/* Each kind of access to a tree, with the rights it takes. */
static const struct {
    const char *what, *format;
    uint64_t needs;
} attempts[] = {
    {"read", "read:%s/file", SANDBOX_LANDLOCK_READ_FILE},
    {"write", "write:%s/file", SANDBOX_LANDLOCK_WRITE_FILE},
    {"list", "list:%s", SANDBOX_LANDLOCK_READ_DIR},
    {"truncate", "truncate:%s/file", SANDBOX_LANDLOCK_TRUNCATE},
    {"exec", "exec:%s/program", SANDBOX_LANDLOCK_EXECUTE | SANDBOX_LANDLOCK_READ_FILE},
    {"reg", "reg:%s/reg", SANDBOX_LANDLOCK_MAKE_REG},
    {"fifo", "fifo:%s/fifo", SANDBOX_LANDLOCK_MAKE_FIFO},
    {"sock", "sock:%s/sock", SANDBOX_LANDLOCK_MAKE_SOCK},
    {"char", "char:%s/char", SANDBOX_LANDLOCK_MAKE_CHAR},
    {"block", "block:%s/block", SANDBOX_LANDLOCK_MAKE_BLOCK},
    {"mkdir", "mkdir:%s/made", SANDBOX_LANDLOCK_MAKE_DIR},
    {"sym", "sym:%s/sym", SANDBOX_LANDLOCK_MAKE_SYM},
    {"rmdir", "rmdir:%s/dir", SANDBOX_LANDLOCK_REMOVE_DIR},
    {"unlink", "unlink:%s/gone", SANDBOX_LANDLOCK_REMOVE_FILE},
    {"rename", "rename:%s/a:%s/b", SANDBOX_LANDLOCK_REMOVE_FILE | SANDBOX_LANDLOCK_MAKE_REG},
    {"link", "link:%s/sub/x:%s/linked", SANDBOX_LANDLOCK_REFER | SANDBOX_LANDLOCK_MAKE_REG},
    {"rename-across", "rename:%s/sub/y:%s/moved", SANDBOX_LANDLOCK_REFER | SANDBOX_LANDLOCK_MAKE_REG | SANDBOX_LANDLOCK_REMOVE_FILE},
};
enum { ATTEMPTS = sizeof attempts / sizeof *attempts };

/* Without CAP_MKNOD that is refused anyway. (A whiteout, device 0, would not be: but to newer kernels, 6.1's later ones
 * among them, it is a file like any other.) */
static bool is_device(const char *what) { return strcmp(what, "block") == 0 || strcmp(what, "char") == 0; }

static int expected(uint64_t granted, uint64_t needs, const char *what) {
    uint64_t handled = known();
    if (!handled) return is_device(what) ? -EPERM : 0;
    /* The first ABI, without REFER, denies it always. */
    if (needs & SANDBOX_LANDLOCK_REFER) {
        uint64_t others = needs & ~(uint64_t)SANDBOX_LANDLOCK_REFER;
        if (abi() == 1) return (granted & others) == others ? EXDEV : -EXDEV;
        if ((granted & others) != others) return -EXDEV; /* EACCES or EXDEV, by the kernel's own order */
        return granted & SANDBOX_LANDLOCK_REFER ? 0 : EXDEV;
    }
    if (handled & needs & ~granted) return EACCES;
    return is_device(what) ? -EPERM : 0;
}

static void compare(const char *title, uint64_t granted, const char *directory) {
    char attempt[2 * PATH_MAX];
    for (int i = 0; i < ATTEMPTS; i++) {
        snprintf(attempt, sizeof attempt, attempts[i].format, directory, directory);
        int seen = tried(attempt), wanted = expected(granted, attempts[i].needs, attempts[i].what);
        bool good = wanted >= 0 ? seen == wanted : wanted == -EPERM ? seen == 0 || seen == EPERM : seen == EXDEV || seen == EACCES;
        if (!good) FAIL("ABI %ld, granted %s: %s gave %d, not %d", abi(), title, attempts[i].what, seen, wanted);
    }
}

static void try_all(sandbox_cmd *cmd, const char *title, uint64_t granted, const char *directory) {
    for (int i = 0; i < ATTEMPTS; i++) also(cmd, attempts[i].format, directory, directory);
    run_well(cmd, &result);
    compare(title, granted, directory);
}

TEST(each_right, "each right alone allows just what it stands for, below its directory; all and none likewise") {
    for (int i = -2; i < RIGHTS; i++) {
        uint64_t granted = i == -2 ? 0 : i == -1 ? SANDBOX_LANDLOCK_ALL : rights[i].bit;
        const char *title = i == -2 ? "nothing" : i == -1 ? "everything" : rights[i].name, *directory = fresh_dir();
        make_tree(directory);
        sandbox_cmd *cmd = path(confined(victim("attempt", NULL)), directory, granted);
        try_all(cmd, title, granted & known(), directory);
    }
}

TEST(sums, "READ, READ_EXECUTE and WRITE are what they say; rules for the same path add up") {
    static const uint64_t sums[] = {SANDBOX_LANDLOCK_READ, SANDBOX_LANDLOCK_READ_EXECUTE, SANDBOX_LANDLOCK_WRITE};
    for (int i = 0; i < 3; i++) {
        const char *directory = fresh_dir();
        make_tree(directory);
        try_all(path(confined(victim("attempt", NULL)), directory, sums[i]), "a sum", sums[i] & known(), directory);
    }
    const char *directory = fresh_dir();
    make_tree(directory);
    sandbox_cmd *cmd = path(path(confined(victim("attempt", NULL)), directory, SANDBOX_LANDLOCK_READ), directory, SANDBOX_LANDLOCK_WRITE);
    try_all(cmd, "two rules", (SANDBOX_LANDLOCK_READ | SANDBOX_LANDLOCK_WRITE) & known(), directory);
}

TEST(elsewhere, "what no rule names is closed; without a rule for paths nothing is") {
    const char *directory = fresh_dir();
    make_tree(directory);
    try_all(confined(victim("attempt", NULL)), "nothing", 0, directory);
    directory = fresh_dir();
    make_tree(directory);
    sandbox_cmd *cmd = less(victim("attempt", NULL));
    CHECK_EQ(sandbox_cmd_landlock_scope(cmd, SANDBOX_LANDLOCK_SIGNAL), 0);
    CHECK_EQ(sandbox_cmd_landlock_port(cmd, 1, SANDBOX_LANDLOCK_BIND_TCP), 0);
    also(cmd, "read:%s/file", directory), also(cmd, "write:%s/file", directory), also(cmd, "link:%s/sub/x:%s/linked", directory, directory);
    run_well(cmd, &result);
    CHECK_EQ(tried("read:"), 0); CHECK_EQ(tried("write:"), 0); CHECK_EQ(tried("link:"), 0);
}

TEST(files, "a rule for a file takes no rights of directories; one that has no others is refused") {
    const char *directory = fresh_dir();
    char file[PATH_MAX], link[PATH_MAX];
    make_tree(directory);
    snprintf(file, sizeof file, "%s/file", directory), snprintf(link, sizeof link, "%s/link", directory);
    CHECK_EQ(symlink("file", link), 0);
    const char *names[] = {file, link};
    for (int i = 0; i < 2; i++) { /* a symlink stands for what it leads to */
        sandbox_cmd *cmd = path(confined(victim("attempt", NULL)), names[i], SANDBOX_LANDLOCK_ALL & ~(uint64_t)SANDBOX_LANDLOCK_WRITE_FILE);
        also(cmd, "read:%s", file), also(cmd, "truncate:%s", file), also(cmd, "write:%s", file), also(cmd, "unlink:%s", file);
        run_well(cmd, &result);
        CHECK_EQ(tried("read:"), 0); CHECK_EQ(tried("truncate:"), 0);
        CHECK_EQ(tried("write:"), abi() ? EACCES : 0); CHECK_EQ(tried("unlink:"), abi() ? EACCES : 0);
        if (!abi()) return;
    }
    run(path(confined(victim("attempt", NULL)), file, SANDBOX_LANDLOCK_READ_DIR | SANDBOX_LANDLOCK_MAKE_REG), &result);
    CHECK_ERROR(result.result, result.error, ENOTDIR, SANDBOX_STAGE_LANDLOCK, 2, "read_dir, make_reg");
}

TEST(devices, "ioctl on a device takes IOCTL_DEV") {
    for (int granted = 0; granted < 2; granted++) {
        uint64_t access = SANDBOX_LANDLOCK_READ_FILE | SANDBOX_LANDLOCK_WRITE_FILE | (granted ? SANDBOX_LANDLOCK_IOCTL_DEV : 0);
        sandbox_cmd *cmd = path(confined(victim("attempt", "ioctl:/dev/null", NULL)), "/dev/null", access);
        run_well(cmd, &result);
        CHECK_EQ(tried("ioctl:"), abi() < 5 || granted ? 0 : EACCES);
    }
}

TEST(exec_denied, "a program that no rule allows to execute is not executed, and the error says why") {
    sandbox_cmd *cmd = path(less(victim("act", "exit", "0", NULL)), "/", SANDBOX_LANDLOCK_READ);
    run(cmd, &result);
    if (abi()) CHECK_ERROR(result.result, result.error, EACCES, SANDBOX_STAGE_EXEC, 0, "Landlock");
    else CHECK_EQ(result.result, 0);
}

TEST(missing, "a path that does not exist refuses the spawn by its index") {
    if (!abi()) SKIP("this kernel has no Landlock");
    sandbox_cmd *cmd = confined(victim("act", "exit", "0", NULL));
    CHECK_EQ(sandbox_cmd_landlock_port(cmd, 1, 0), 0);
    run(path(cmd, "/nowhere/at/all", SANDBOX_LANDLOCK_READ), &result);
    CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_LANDLOCK, 3, "\"/nowhere/at/all\"");
    CHECK_HAS(result.error.message, "root");
    run_well(path(confined(victim("act", "exit", "0", NULL)), "/nowhere/at/all", 0), &result); /* grants nothing: not looked at */
}

static void left_out(uint64_t fs, uint64_t net, uint64_t scope, uint64_t log) {
    CHECK_EQ(result.status.left_out, fs | net | scope | log ? SANDBOX_LEFT_OUT_LANDLOCK : 0);
    CHECK_EQ(result.status.landlock_fs_left_out, fs); CHECK_EQ(result.status.landlock_net_left_out, net);
    CHECK_EQ(result.status.landlock_scope_left_out, scope); CHECK_EQ(result.status.landlock_log_left_out, log);
}

/* With and without leave to do less. */
static void lacks(sandbox_cmd *cmd, uint64_t fs, uint64_t net, uint64_t scope, uint64_t log, unsigned index, const char *word) {
    sandbox_cmd *allowed = less(sandbox_cmd_clone(cmd));
    if (fs | net | scope | log) {
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, EOPNOTSUPP, SANDBOX_STAGE_LANDLOCK, index, abi() ? word : "Landlock");
        CHECK_HAS(result.error.message, "ALLOW_LESS_LANDLOCK");
    } else {
        run_well(cmd, &result);
        left_out(0, 0, 0, 0);
    }
    run_well(allowed, &result);
    left_out(fs, net, scope, log);
}

TEST(older, "what this kernel's ABI lacks refuses the spawn, or is left out and said where that is allowed") {
    uint64_t fs = SANDBOX_LANDLOCK_ALL & ~known(), refer = SANDBOX_LANDLOCK_REFER;
    bool net = abi() >= 4, scope = abi() >= 6, log = abi() >= 7;
    sandbox_cmd *cmd = path(victim("act", "exit", "0", NULL), "/", SANDBOX_LANDLOCK_READ_EXECUTE);
    /* No rule grants it: every ABI denies it, but no Landlock does not. */
    lacks(cmd, abi() ? fs & ~refer : fs, 0, 0, 0, 0, "ioctl_dev");
    cmd = path(path(victim("act", "exit", "0", NULL), "/", SANDBOX_LANDLOCK_READ_EXECUTE), "/", refer);
    lacks(cmd, fs, 0, 0, 0, 0, abi() == 1 ? "refer, truncate, ioctl_dev" : "ioctl_dev (ABI 5)");
    cmd = victim("act", "exit", "0", NULL);
    CHECK_EQ(sandbox_cmd_landlock_port(cmd, 80, SANDBOX_LANDLOCK_BIND_TCP), 0);
    lacks(cmd, 0, net ? 0 : 3, 0, 0, 0, "bind_tcp, connect_tcp (ABI 4)");
    for (uint64_t bit = 1; bit < 4; bit++) {
        cmd = victim("act", "exit", "0", NULL);
        CHECK_EQ(sandbox_cmd_landlock_scope(cmd, bit), 0);
        lacks(cmd, 0, 0, scope ? 0 : bit, 0, 0, bit & 1 ? "abstract_unix_socket" : "signal (ABI 6)");
    }
    cmd = path(victim("act", "exit", "0", NULL), "/", SANDBOX_LANDLOCK_ALL);
    CHECK_EQ(sandbox_cmd_landlock_port(cmd, 80, SANDBOX_LANDLOCK_BIND_TCP), 0);
    CHECK_EQ(sandbox_cmd_landlock_scope(cmd, 3), 0);
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_LANDLOCK_LOG, 2), 0);
    lacks(cmd, fs, net ? 0 : 3, scope ? 0 : 3, log ? 0 : 2, fs ? 0 : net ? 2 : 1, log ? "" : "(ABI 7)");
}

TEST(log, "what is to be logged needs something to be logged") {
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_LANDLOCK_LOG, 1), 0);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EINVAL, SANDBOX_STAGE_LANDLOCK, 0, "LANDLOCK_LOG");
    for (uint64_t flags = 0; flags < 8; flags++) {
        cmd = path(less(victim("act", "exit", "0", NULL)), "/", SANDBOX_LANDLOCK_ALL);
        CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_LANDLOCK_LOG, flags), 0);
        run_well(cmd, &result);
    }
}

/* A network of its own, with lo. */
static sandbox_cmd *networked(sandbox_cmd *cmd) {
    CHECK_EQ(sandbox_cmd_unshare(cmd, has_cap(21) ? SANDBOX_NS_NET : SANDBOX_NS_NET | SANDBOX_NS_USER), 0);
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_LOOPBACK, 1), 0);
    return cmd;
}

TEST(ports, "TCP ports are bound and connected to as granted, and no others; a rule for paths restricts none") {
    run(networked(victim("act", "exit", "0", NULL)), &result);
    if (result.result < 0) SKIP("%s", result.error.message);
    bool has = abi() >= 4;
    for (int restricted = 0; restricted < 2; restricted++) {
        sandbox_cmd *cmd = networked(confined(victim("attempt", "bind:5001", "bind:5002", "bind:5003", "connect:5001", "connect:5002", "connect:5003", NULL)));
        if (restricted) {
            CHECK_EQ(sandbox_cmd_landlock_port(cmd, 5001, SANDBOX_LANDLOCK_BIND_TCP | SANDBOX_LANDLOCK_CONNECT_TCP), 0);
            CHECK_EQ(sandbox_cmd_landlock_port(cmd, 5002, SANDBOX_LANDLOCK_BIND_TCP), 0);
            CHECK_EQ(sandbox_cmd_landlock_port(cmd, 5003, SANDBOX_LANDLOCK_CONNECT_TCP), 0);
        }
        run_well(cmd, &result);
        int denied = restricted && has ? EACCES : 0;
        CHECK_EQ(tried("bind:5001"), 0); CHECK_EQ(tried("bind:5002"), 0); CHECK_EQ(tried("bind:5003"), denied);
        CHECK_EQ(tried("connect:5001"), 0); CHECK_EQ(tried("connect:5002"), denied);
        CHECK_EQ(tried("connect:5003"), restricted && has ? ECONNREFUSED : 0);
    }
    sandbox_cmd *cmd = networked(less(victim("attempt", "bind:5001", "connect:5001", "read:/proc/self/status", NULL)));
    CHECK_EQ(sandbox_cmd_landlock_port(cmd, 0, 0), 0); /* grants nothing: no port at all */
    run_well(cmd, &result);
    CHECK_EQ(tried("bind:"), has ? EACCES : 0); CHECK_EQ(tried("connect:"), has ? EACCES : 0); CHECK_EQ(tried("read:"), 0);
}

TEST(abstract, "an abstract unix socket of the host's is out of reach with its scope, and only with that") {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "landlock-test-%d", getpid());
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) == 0 && listen(listener, 5) == 0);
    for (uint64_t scopes = 0; scopes < 4; scopes++) {
        sandbox_cmd *cmd = less(victim("attempt", NULL));
        CHECK_EQ(sandbox_cmd_landlock_scope(cmd, scopes), 0);
        also(cmd, "abstract:%s", address.sun_path + 1);
        run_well(cmd, &result);
        CHECK_EQ(tried("abstract:"), scopes & SANDBOX_LANDLOCK_ABSTRACT_UNIX_SOCKET && abi() >= 6 ? EPERM : 0);
    }
    close(listener);
}

TEST(signals, "no process outside is signalled with the scope for that; the handle, the init and the death of the host still reach in") {
    for (uint64_t scopes = 0; scopes < 4; scopes++) {
        sandbox_cmd *cmd = less(victim("attempt", "kill:0", NULL));
        CHECK_EQ(sandbox_cmd_landlock_scope(cmd, scopes), 0);
        also(cmd, "kill:%d", getpid());
        run_well(cmd, &result);
        CHECK_EQ(tried("kill:0"), 0);
        char host[32];
        snprintf(host, sizeof host, "kill:%d ", getpid());
        CHECK_EQ(tried(host), scopes & SANDBOX_LANDLOCK_SIGNAL && abi() >= 6 ? EPERM : 0);
    }
    for (int init = 0; init < 2; init++) {
        sandbox_cmd *cmd = confined(victim("act", "catch", NULL));
        CHECK_EQ(sandbox_cmd_landlock_scope(cmd, 3), 0);
        CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)init), 0);
        CHECK_EQ(sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1), 0);
        sandbox_child *child = spawned(cmd);
        char line[16] = "";
        sandbox_status status;
        CHECK(read(fds_of(child).stdout_fd, line, 6) == 6);
        CHECK_EQ(sandbox_child_kill(child, SIGTERM), 0);
        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
        CHECK_EQ(status.kind, SANDBOX_EXITED); CHECK_EQ(status.code, 0);
        sandbox_child_free(child);
        child = spawned(cmd); /* freed while it runs: gone, as every test's harness looks */
        CHECK(read(fds_of(child).stdout_fd, line, 6) == 6);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);
    }
}

TEST(tracing, "a confined program traces nothing outside, and can be traced from there") {
    sandbox_cmd *cmd = confined(victim("attempt", NULL));
    also(cmd, "seize:%d", getpid());
    if (abi()) {
        run_well(cmd, &result);
        CHECK_EQ(tried("seize:"), EPERM);
    } else {
        sandbox_cmd_free(cmd);
    }
    cmd = confined(victim("act", "exit", "0", NULL));
    CHECK_EQ(sandbox_cmd_landlock_scope(cmd, 3), 0);
    CHECK_EQ(sandbox_cmd_ptrace(cmd, 0), 0);
    sandbox_child *child = spawned(cmd);
    pid_t pid = sandbox_child_pid(child);
    int status;
    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    CHECK_EQ(status >> 8, SIGTRAP | 4 << 8 /* PTRACE_EVENT_EXEC */);
    CHECK_EQ(syscall(SYS_ptrace, 17 /* PTRACE_DETACH */, pid, 0, 0), 0);
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, 0), 0);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}

TEST(privilege, "without no_new_privs it takes CAP_SYS_ADMIN, and the error says so") {
    if (!abi()) SKIP("this kernel has no Landlock");
    sandbox_cmd *cmd = confined(victim("act", "exit", "0", NULL));
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_NO_NEW_PRIVS, 0), 0);
    CHECK_EQ(sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0), 0);
    run(cmd, &result);
    if (result.result == 0 && (has_cap(21) || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))) return;
    CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_LANDLOCK, 2, "no_new_privs");
}

static int nothing(void *unused) {
    (void)unused;
    return 0;
}

TEST(everywhere, "it holds under an init, in the trampoline, in a copy of the memory, and for a command used twice") {
    const char *directory = fresh_dir();
    make_tree(directory);
    for (int way = 0; way < 4; way++) {
        sandbox_cmd *cmd = path(confined(victim("attempt", NULL)), directory, SANDBOX_LANDLOCK_READ);
        if (way == 1) CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1), 0);
        if (way == 2) CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 500), 0);
        if (way == 3) CHECK_EQ(sandbox_cmd_pre_exec(cmd, nothing, NULL), 0);
        also(cmd, "read:%s/file", directory), also(cmd, "write:%s/file", directory);
        sandbox_cmd *again = sandbox_cmd_clone(cmd);
        for (int round = 0; round < 2; round++) {
            run_well(round ? again : cmd, &result);
            CHECK_EQ(tried("read:"), 0); CHECK_EQ(tried("write:"), abi() ? EACCES : 0);
        }
        CHECK_EQ(access(directory, W_OK), 0); /* the host is as free as it was */
        char file[PATH_MAX];
        snprintf(file, sizeof file, "%s/file", directory);
        int fd = open(file, O_WRONLY | O_CLOEXEC);
        CHECK(fd >= 0);
        close(fd);
    }
}

TEST(own_root, "paths are looked up inside the child's own root") {
    char directory[PATH_MAX];
    strcpy(directory, fresh_dir());
    make_tree(directory);
    for (int outside = 0; outside < 2; outside++) {
        sandbox_cmd *cmd = less(sandbox_cmd_new("/victims/attempt"));
        CHECK_EQ(sandbox_cmd_unshare(cmd, has_cap(21) ? 0 : SANDBOX_NS_USER), 0);
        CHECK_EQ(sandbox_cmd_bind(cmd, own_directory, "/victims", 0), 0);
        CHECK_EQ(sandbox_cmd_bind(cmd, directory, "/inside", SANDBOX_MOUNT_RW), 0);
        CHECK_EQ(sandbox_cmd_bind(cmd, directory, "/other", SANDBOX_MOUNT_RW), 0);
        path(path(cmd, "/victims", SANDBOX_LANDLOCK_READ_EXECUTE), "/inside/sub", SANDBOX_LANDLOCK_READ);
        if (outside) path(cmd, directory, SANDBOX_LANDLOCK_READ);
        sandbox_cmd_args(cmd, (const char *const[]){"read:/inside/sub/x", "read:/inside/file", "write:/inside/sub/x", "read:/other/sub/x", NULL});
        run(cmd, &result);
        if (result.result < 0 && result.error.stage != SANDBOX_STAGE_LANDLOCK) SKIP("%s", result.error.message);
        if (outside && abi()) CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_LANDLOCK, 2, directory);
        if (outside || !abi()) continue;
        CHECK_EQ(result.result, 0);
        CHECK_EQ(tried("read:/inside/sub/x"), 0);
        CHECK_EQ(tried("read:/inside/file"), EACCES);
        CHECK_EQ(tried("write:/inside/sub/x"), EACCES);
        CHECK_EQ(tried("read:/other/sub/x"), 0); /* the same directory, by another way */
    }
}

TEST(many, "a thousand rules of each kind") {
    sandbox_cmd *cmd = confined(victim("attempt", "read:/", "read:/dev/null", "read:/etc/passwd", NULL));
    for (int i = 0; i < 1000; i++) {
        path(cmd, i == 999 ? "/dev/null" : beside("attempt"), SANDBOX_LANDLOCK_READ);
        CHECK_EQ(sandbox_cmd_landlock_port(cmd, (uint16_t)i, SANDBOX_LANDLOCK_BIND_TCP), 0);
    }
    run_well(cmd, &result);
    CHECK_EQ(tried("read:/dev/null"), 0); CHECK_EQ(tried("read:/etc/passwd"), abi() ? EACCES : 0);
}

TEST(layers, "a host that has used up the kernel's sixteen rulesets is told so") {
    uint64_t attr[3] = {SANDBOX_LANDLOCK_MAKE_BLOCK, 0, 0};
    if (!abi()) SKIP("this kernel has no Landlock");
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    for (int layer = 0; layer < 16; layer++) {
        run_well(confined(victim("act", "exit", "0", NULL)), &result);
        int ruleset = (int)syscall(444, attr, sizeof attr[0], 0);
        CHECK(ruleset >= 0);
        CHECK_EQ(syscall(446 /* landlock_restrict_self */, ruleset, 0), 0);
        close(ruleset);
    }
    run(confined(victim("act", "exit", "0", NULL)), &result);
    CHECK_ERROR(result.result, result.error, E2BIG, SANDBOX_STAGE_LANDLOCK, 2, "16 rulesets");
}

TEST(explained, "explain names every rule") {
    char text[8192];
    sandbox_cmd *cmd = path(path(less(sandbox_cmd_new("/bin/true")), "/usr", SANDBOX_LANDLOCK_READ_EXECUTE), "/tmp", SANDBOX_LANDLOCK_ALL);
    CHECK_EQ(sandbox_cmd_landlock_port(cmd, 443, SANDBOX_LANDLOCK_CONNECT_TCP), 0);
    CHECK_EQ(sandbox_cmd_landlock_scope(cmd, SANDBOX_LANDLOCK_SIGNAL), 0);
    CHECK(sandbox_cmd_explain(cmd, text, sizeof text, NULL) > 0);
    sandbox_cmd_free(cmd);
    if (!abi()) {
        CHECK(!strstr(text, "Landlock"));
        return;
    }
    CHECK_HAS(text, "Landlock allows below \"/usr\": execute, read_file, read_dir\n");
    CHECK_HAS(text, abi() >= 5 ? "Landlock allows below \"/tmp\": everything\n" : "Landlock allows below \"/tmp\": execute, write_file");
    if (abi() >= 4) CHECK_HAS(text, "Landlock allows port 443: connect_tcp\n");
    if (abi() >= 6) CHECK_HAS(text, ", signal\n");
    CHECK_HAS(text, "the Landlock ruleset holds\n");
}
