/* What is executed, with which arguments, environment and directory. */
#include "test.h"

static const char *below(const char *directory, const char *name) {
    static __thread char path[4][PATH_MAX + 300];
    static __thread int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name);
    return path[turn];
}

static void text_file(const char *path, const char *text, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    fchmod(fd, mode);
    close(fd);
}

/* Three directories to search: a/prog may not be executed, b/prog is "report", c is empty. */
static char a[PATH_MAX], b[PATH_MAX], c[PATH_MAX];

static void path_fixture(void) {
    const char *directory = fresh_dir();
    char *names[] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        snprintf(names[i], PATH_MAX, "%.4000s/%c", directory, 'a' + i);
        mkdir(names[i], 0755);
    }
    text_file(below(a, "prog"), "#!/bin/sh\nexit 1\n", 0644);
    copy_file(beside("report"), below(b, "prog"), 0755);
}

static struct run result;

static void search(const char *path, const char *cwd) {
    sandbox_cmd *cmd = sandbox_cmd_new("prog");
    sandbox_cmd_arg(cmd, "argv");
    sandbox_cmd_env(cmd, "PATH", path);
    if (cwd) sandbox_cmd_cwd(cmd, cwd);
    run(cmd, &result);
}

static const char *joined(const char *first, const char *second, const char *third) {
    static char path[3 * PATH_MAX];
    snprintf(path, sizeof path, "%s%s%s", first, second, third);
    return path;
}

TEST(path, "PATH is searched in order, past files that may not be executed") {
    path_fixture();
    search(joined(a, ":", b), NULL);
    CHECK_EQ(result.result, 0);
    CHECK_STR(value(&result, "argv"), "prog|argv|");
    char long_path[3 * PATH_MAX];
    snprintf(long_path, sizeof long_path, "/nonexistent:/dev/null:%s:%s", c, b);
    search(long_path, NULL);
    CHECK_EQ(result.result, 0);
}

TEST(path_errors, "found but not executable is EACCES, found nowhere is ENOENT, and the PATH is named") {
    path_fixture();
    search(joined(a, ":", c), NULL);
    CHECK_ERROR(result.result, result.error, EACCES, SANDBOX_STAGE_EXEC, 0, "prog");
    search(c, NULL);
    CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_EXEC, 0, c);
    mkdir(below(c, "prog"), 0755); /* a directory of that name is no program */
    search(c, NULL);
    CHECK_ERROR(result.result, result.error, EACCES, SANDBOX_STAGE_EXEC, 0, "prog");
    search(joined(c, ":", b), NULL);
    CHECK_EQ(result.result, 0);
}

TEST(path_empty, "an empty element of PATH is the child's working directory, wherever it stands") {
    path_fixture();
    search(joined(":", c, ""), b);
    CHECK_EQ(result.result, 0);
    search(joined(c, ":", ""), b);
    CHECK_EQ(result.result, 0);
    search(joined(c, "::", a), b);
    CHECK_EQ(result.result, 0);
    search("", b);
    CHECK_EQ(result.result, 0);
    search("", c);
    CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_EXEC, 0, "prog");
    search("./", b); /* relative directories too are the child's */
    CHECK_EQ(result.result, 0);
}

TEST(path_childs, "the PATH searched is the child's, not the host's") {
    path_fixture();
    setenv("PATH", b, 1);
    search(c, NULL);
    CHECK_EQ(result.result, -ENOENT);
    sandbox_cmd *cmd = sandbox_cmd_new("prog");
    run_well(cmd, &result); /* inherited, and as it is at the spawn */
    cmd = sandbox_cmd_new("prog");
    sandbox_cmd_env_clear(cmd);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_EXEC, 0, "/bin:/usr/bin");
    cmd = sandbox_cmd_new("true");
    sandbox_cmd_env_clear(cmd); /* without one: /bin and /usr/bin */
    run_well(cmd, &result);
}

TEST(slash, "a name with a slash is not searched for") {
    path_fixture();
    setenv("PATH", b, 1);
    sandbox_cmd *cmd = sandbox_cmd_new("./prog");
    sandbox_cmd_cwd(cmd, c);
    run(cmd, &result);
    CHECK_EQ(result.result, -ENOENT);
    cmd = sandbox_cmd_new("./prog");
    sandbox_cmd_cwd(cmd, b);
    run_well(cmd, &result);
    cmd = sandbox_cmd_new("");
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_EXEC, 0, "");
}

TEST(no_shell, "a text without an interpreter line is ENOEXEC, never given to a shell") {
    path_fixture();
    text_file(below(c, "prog"), "echo from a shell\n", 0755);
    search(c, NULL);
    CHECK_ERROR(result.result, result.error, ENOEXEC, SANDBOX_STAGE_EXEC, 0, "prog");
    sandbox_cmd *cmd = sandbox_cmd_new(below(c, "prog"));
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, ENOEXEC, SANDBOX_STAGE_EXEC, 0, "#!");
}

TEST(script, "a script runs by its interpreter line; a missing interpreter is ENOENT") {
    path_fixture();
    text_file(below(c, "prog"), "#!/bin/sh\necho script \"$1\"\n", 0755);
    sandbox_cmd *cmd = sandbox_cmd_new(below(c, "prog"));
    sandbox_cmd_arg(cmd, "one");
    CHECK_STR(run_well(cmd, &result), "script one\n");
    text_file(below(c, "prog"), "#!/nonexistent/interpreter\n", 0755);
    cmd = sandbox_cmd_new(below(c, "prog"));
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_EXEC, 0, "interpreter");
}

TEST(exec_fd, "an open file is executed, read-only or O_PATH, though its name is gone and the caller's fd closed") {
    path_fixture();
    int flags[] = {O_RDONLY, O_PATH};
    for (int i = 0; i < 2; i++) {
        copy_file(beside("report"), below(c, "gone"), 0755);
        int fd = open(below(c, "gone"), flags[i] | O_CLOEXEC);
        sandbox_cmd *cmd = sandbox_cmd_new("called so");
        sandbox_cmd_arg(cmd, "argv"), sandbox_cmd_arg(cmd, "fds");
        CHECK_EQ(sandbox_cmd_exec_fd(cmd, fd), 0);
        close(fd);
        unlink(below(c, "gone"));
        run_well(cmd, &result);
        CHECK_STR(value(&result, "argv"), "called so|argv|fds|");
        CHECK_STR(value(&result, "fds"), "0 1 2 ");
    }
}

TEST(exec_fd_errors, "what can't be executed by fd says so") {
    path_fixture();
    struct { const char *path; int error; } table[] = {{below(a, "prog"), EACCES}, {c, EACCES}};
    for (int i = 0; i < 2; i++) {
        int fd = open(table[i].path, O_RDONLY | O_CLOEXEC);
        sandbox_cmd *cmd = sandbox_cmd_new("x");
        sandbox_cmd_exec_fd(cmd, fd);
        close(fd);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, table[i].error, SANDBOX_STAGE_EXEC, 0, "fd");
    }
    text_file(below(c, "script"), "#!/bin/sh\n", 0755);
    int fd = open(below(c, "script"), O_RDONLY | O_CLOEXEC);
    sandbox_cmd *cmd = sandbox_cmd_new("x");
    sandbox_cmd_exec_fd(cmd, fd);
    close(fd);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_EXEC, 0, "fd");
}

/* The writer closed it, but a fork of the host's in between has a copy until it execs itself. */
TEST(busy, "a program still open for writing in another process is tried again for a while, then ETXTBSY") {
    path_fixture();
    int fd = open(below(b, "prog"), O_RDWR | O_CLOEXEC);
    sandbox_cmd *cmd = sandbox_cmd_new(below(b, "prog"));
    run(cmd, &result);
    close(fd);
    CHECK_ERROR(result.result, result.error, ETXTBSY, SANDBOX_STAGE_EXEC, 0, "open for writing");
    /* A machine too busy to get there in time refuses still: one success will do. */
    bool once = false;
    for (int round = 0; round < 20 && !once; round++) {
        fd = open(below(b, "prog"), O_RDWR | O_CLOEXEC);
        pid_t other = fork();
        if (other == 0) pause_ms(20), _exit(0);
        close(fd);
        cmd = sandbox_cmd_new(below(b, "prog"));
        run(cmd, &result);
        CHECK_EQ(waitpid(other, NULL, 0), other);
        CHECK(result.result == 0 || result.result == -ETXTBSY);
        once = result.result == 0;
    }
    CHECK(once);
}

TEST(arguments, "arguments arrive byte by byte: empty ones, any bytes, in order") {
    const char *args[] = {"", "two words", "\xff\xfe", "new\tline", NULL};
    sandbox_cmd *cmd = victim("report", "argv", NULL);
    CHECK_EQ(sandbox_cmd_args(cmd, args), 0);
    CHECK_EQ(sandbox_cmd_arg(cmd, "last"), 0);
    CHECK_EQ(sandbox_cmd_arg0(cmd, "zero"), 0);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "argv"), "zero|argv||two words|\xff\xfe|new\tline|last|");
    const char *none[] = {NULL};
    cmd = victim("report", "argv", NULL);
    CHECK_EQ(sandbox_cmd_args(cmd, none), 0);
    CHECK_EQ(sandbox_cmd_arg0(cmd, ""), 0);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "argv"), "|argv|");
}

TEST(many, "ten thousand arguments and one of 128 KiB are taken; one byte more is E2BIG, as execve has it") {
    static char big[131073];
    sandbox_cmd *cmd = victim("act", "exit", "7", NULL);
    for (int i = 0; i < 10000; i++) CHECK_EQ(sandbox_cmd_arg(cmd, "argument"), 0);
    memset(big, 'x', 131071);
    CHECK_EQ(sandbox_cmd_arg(cmd, big), 0);
    run(cmd, &result);
    CHECK_EQ(result.result, 0);
    CHECK_EQ(result.status.code, 7);
    big[131071] = 'x';
    cmd = victim("act", NULL);
    CHECK_EQ(sandbox_cmd_arg(cmd, big), -E2BIG);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, E2BIG, SANDBOX_STAGE_SETUP, 0, "argument 1");
    /* Too much in all is the kernel's to say. */
    cmd = victim("act", NULL);
    big[131071] = 0;
    for (int i = 0; i < 60; i++) CHECK_EQ(sandbox_cmd_arg(cmd, big), 0);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, E2BIG, SANDBOX_STAGE_EXEC, 0, "act");
}

TEST(environment, "the environment is the host's at the spawn with the command's changes") {
    setenv("SANDBOX_TEST_KEPT", "host", 1);
    setenv("SANDBOX_TEST_CHANGED", "host", 1);
    setenv("SANDBOX_TEST_GONE", "host", 1);
    sandbox_cmd *cmd = victim("report", "env:SANDBOX_TEST_KEPT", "env:SANDBOX_TEST_CHANGED", "env:SANDBOX_TEST_GONE",
                              "env:SANDBOX_TEST_LATE", "env:SANDBOX_TEST_NEW", NULL);
    sandbox_cmd_env(cmd, "SANDBOX_TEST_CHANGED", "first");
    sandbox_cmd_env(cmd, "SANDBOX_TEST_CHANGED", "child");
    sandbox_cmd_env(cmd, "SANDBOX_TEST_GONE", NULL);
    sandbox_cmd_env(cmd, "SANDBOX_TEST_NEW", "=a=b c");
    setenv("SANDBOX_TEST_LATE", "late", 1);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "env:SANDBOX_TEST_KEPT"), "host");
    CHECK_STR(value(&result, "env:SANDBOX_TEST_CHANGED"), "child");
    CHECK_STR(value(&result, "env:SANDBOX_TEST_GONE"), "(unset)");
    CHECK_STR(value(&result, "env:SANDBOX_TEST_LATE"), "late");
    CHECK_STR(value(&result, "env:SANDBOX_TEST_NEW"), "=a=b c");
    CHECK_STR(getenv("SANDBOX_TEST_CHANGED"), "host");
}

TEST(environment_clear, "a cleared environment holds just what was set afterwards") {
    sandbox_cmd *cmd = victim("report", "env", NULL);
    sandbox_cmd_env(cmd, "BEFORE", "x");
    CHECK_EQ(sandbox_cmd_env_clear(cmd), 0);
    sandbox_cmd_env(cmd, "ONE", "1");
    sandbox_cmd_env(cmd, "TWO", "");
    run_well(cmd, &result);
    CHECK_STR(value(&result, "env"), "ONE=1|TWO=|");
    cmd = victim("report", "env", NULL);
    sandbox_cmd_env_clear(cmd);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "env"), "");
}

extern char **environ;

TEST(environment_null, "a host whose environ is NULL can spawn") {
    char **before = environ;
    const char *path = beside("report");
    sandbox_cmd *cmd = sandbox_cmd_new(path);
    sandbox_cmd_arg(cmd, "env");
    environ = NULL;
    run(cmd, &result);
    environ = before;
    CHECK_EQ(result.result, 0);
    CHECK_STR(value(&result, "env"), "");
}

TEST(cwd, "the program starts in the directory asked for, the host stays in its own") {
    char before[PATH_MAX], after[PATH_MAX], real[PATH_MAX];
    path_fixture();
    CHECK(getcwd(before, sizeof before) && realpath(b, real));
    sandbox_cmd *cmd = victim("report", NULL);
    CHECK_EQ(sandbox_cmd_cwd(cmd, "/nonexistent"), 0);
    CHECK_EQ(sandbox_cmd_cwd(cmd, b), 0);
    CHECK_STR(report_of(cmd, "cwd"), real);
    CHECK(getcwd(after, sizeof after));
    CHECK_STR(after, before);
    cmd = victim("report", NULL);
    CHECK_STR(report_of(cmd, "cwd"), before);
    cmd = victim("report", NULL);
    sandbox_cmd_cwd(cmd, below(b, "none"));
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_CWD, 0, below(b, "none"));
    cmd = victim("report", NULL);
    sandbox_cmd_cwd(cmd, below(b, "prog"));
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, ENOTDIR, SANDBOX_STAGE_CWD, 0, "prog");
}

TEST(clone, "a copied command runs the same and goes its own way afterwards") {
    sandbox_cmd *first = victim("report", "argv", "cwd", "env:COPIED", "fds", NULL);
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    sandbox_cmd_arg0(first, "zero");
    sandbox_cmd_cwd(first, "/");
    sandbox_cmd_env(first, "COPIED", "yes");
    sandbox_cmd_pass_fd(first, fd, 9);
    close(fd);
    sandbox_cmd *second = sandbox_cmd_clone(first);
    CHECK(second);
    sandbox_cmd_arg(first, "more");
    sandbox_cmd_cwd(first, "/nonexistent");
    run(first, &result);
    CHECK_EQ(result.result, -ENOENT);
    run_well(second, &result);
    CHECK_STR(value(&result, "argv"), "zero|argv|cwd|env:COPIED|fds|");
    CHECK_STR(value(&result, "cwd"), "/");
    CHECK_STR(value(&result, "env:COPIED"), "yes");
    CHECK_STR(value(&result, "fds"), "0 1 2 9 ");
}
