/* Passed fds, and that no other gets through. */
#include "test.h"

static char *identity(int fd) {
    static char text[8][100];
    static int turn;
    struct stat stat;
    if (fstat(fd, &stat) < 0) FAIL("fstat of %d: %s", fd, strerror(errno));
    turn = (turn + 1) % 8;
    snprintf(text[turn], 100, "%llu:%llu flags 0", (unsigned long long)stat.st_dev, (unsigned long long)stat.st_ino);
    return text[turn];
}

static int some_file(void) {
    int file = memfd_create("some", MFD_CLOEXEC);
    CHECK(file >= 0);
    return file;
}

static int at_number(int fd) {
    int file = some_file();
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
    CHECK_EQ(dup3(file, fd, O_CLOEXEC), fd);
    close(file);
    return fd;
}

TEST(only, "the program finds fds 0, 1 and 2 open and nothing else") {
    int leaky[3];
    for (int i = 0; i < 3; i++) {
        leaky[i] = some_file();
        fcntl(leaky[i], F_SETFD, 0);
    }
    dup2(leaky[0], 100), dup2(leaky[0], 700);
    CHECK_STR(report_of(victim("report", NULL), "fds"), "0 1 2 ");
    for (int i = 0; i < 3; i++) CHECK_EQ(fcntl(leaky[i], F_GETFD), 0); /* the host's own flags are not touched */
    close(100), close(700);
    for (int i = 0; i < 3; i++) close(leaky[i]);
}

TEST(passed, "a passed fd is there under its number, open across exec, and the host's is untouched") {
    static struct run result;
    int file = some_file();
    sandbox_cmd *cmd = victim("report", "fds", "fd:9", NULL);
    CHECK_EQ(sandbox_cmd_pass_fd(cmd, file, 9), 0);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "fds"), "0 1 2 9 ");
    CHECK_STR(value(&result, "fd:9"), identity(file));
    CHECK_EQ(fcntl(file, F_GETFD), FD_CLOEXEC);
    close(file);
}

TEST(kept, "the command keeps what it was passed, though the caller closes it") {
    static struct run result;
    int file = some_file();
    char wanted[100];
    strcpy(wanted, identity(file));
    sandbox_cmd *cmd = victim("report", "fd:5", NULL);
    CHECK_EQ(sandbox_cmd_pass_fd(cmd, file, 5), 0);
    close(file);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "fd:5"), wanted);
}

TEST(same_number, "an fd can keep its own number") {
    static struct run result;
    int file = at_number(40);
    sandbox_cmd *cmd = victim("report", "fds", "fd:40", NULL);
    CHECK_EQ(sandbox_cmd_pass_fd(cmd, 40, 40), 0);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "fds"), "0 1 2 40 ");
    CHECK_STR(value(&result, "fd:40"), identity(file));
    close(file);
}

TEST(swapped, "two fds swap their numbers, three rotate") {
    static struct run result;
    for (int fd = 40; fd < 43; fd++) at_number(fd);
    sandbox_cmd *cmd = victim("report", "fd:40", "fd:41", NULL);
    sandbox_cmd_pass_fd(cmd, 40, 41);
    sandbox_cmd_pass_fd(cmd, 41, 40);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "fd:41"), identity(40));
    CHECK_STR(value(&result, "fd:40"), identity(41));
    cmd = victim("report", "fd:40", "fd:41", "fd:42", NULL);
    sandbox_cmd_pass_fd(cmd, 40, 41);
    sandbox_cmd_pass_fd(cmd, 41, 42);
    sandbox_cmd_pass_fd(cmd, 42, 40);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "fd:41"), identity(40));
    CHECK_STR(value(&result, "fd:42"), identity(41));
    CHECK_STR(value(&result, "fd:40"), identity(42));
    for (int fd = 40; fd < 43; fd++) close(fd);
}

TEST(fan_out, "one fd fans out to many numbers, the lowest ones among them") {
    static struct run result;
    int file = some_file();
    sandbox_cmd *cmd = victim("report", "fds", "fd:3", "fd:4", "fd:5", "fd:6", "fd:7", NULL);
    for (int target = 3; target < 8; target++) sandbox_cmd_pass_fd(cmd, file, target);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "fds"), "0 1 2 3 4 5 6 7 ");
    for (int target = 3; target < 8; target++) {
        char key[8];
        snprintf(key, sizeof key, "fd:%d", target);
        CHECK_STR(value(&result, key), identity(file));
    }
    close(file);
}

/* The command's own duplicates lie at the lowest free numbers, which are just the targets: every one is in the way. */
TEST(crowded, "a hundred fds whose targets are one another's numbers all arrive") {
    static struct run result;
    int files[100], first = 30;
    char key[16];
    for (int i = 0; i < 100; i++) files[i] = some_file();
    for (int round = 0; round < 3; round++) {
        sandbox_cmd *cmd = victim("report", NULL);
        for (int i = 0; i < 100; i++) {
            int target = round == 0 ? 3 + i : round == 1 ? 102 - i : first + (i * 37 + 11) % 100;
            CHECK_EQ(sandbox_cmd_pass_fd(cmd, files[i], target), 0);
            snprintf(key, sizeof key, "fd:%d", target);
            sandbox_cmd_arg(cmd, key);
        }
        run_well(cmd, &result);
        for (int i = 0; i < 100; i++) {
            int target = round == 0 ? 3 + i : round == 1 ? 102 - i : first + (i * 37 + 11) % 100;
            snprintf(key, sizeof key, "fd:%d", target);
            CHECK_STR(value(&result, key), identity(files[i]));
        }
    }
    for (int i = 0; i < 100; i++) close(files[i]);
}

TEST(pipes_in_the_way, "pipes, a given stream, exec_fd and passed fds get along on the lowest numbers") {
    static struct run result;
    int file = some_file(), program = open(beside("report"), O_PATH | O_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sandbox_cmd *cmd = victim("report", "fds", "fd:0", "fd:3", "fd:4", "fd:5", "fd:6", "fd:7", "fd:8", "fd:9", NULL);
    CHECK_EQ(sandbox_cmd_exec_fd(cmd, program), 0);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_FD, null);
    sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_PIPE, -1);
    for (int target = 3; target < 10; target++) sandbox_cmd_pass_fd(cmd, target % 2 ? file : null, target);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "fds"), "0 1 2 3 4 5 6 7 8 9 ");
    CHECK_STR(value(&result, "fd:0"), identity(null));
    CHECK_STR(value(&result, "fd:3"), identity(file));
    CHECK_STR(value(&result, "fd:8"), identity(null));
    close(file), close(program), close(null);
}

TEST(trampoline, "passed fds arrive through the trampoline and past an init too, and nothing else does") {
    static struct run result;
    int file = some_file(), other = some_file();
    uint32_t ways[][2] = {{SANDBOX_OPT_OOM_SCORE_ADJ, 500}, {SANDBOX_OPT_INIT, 1}};
    for (int way = 0; way < 2; way++) {
        sandbox_cmd *cmd = victim("report", "fds", "fd:3", "fd:4", "fd:5", NULL);
        sandbox_cmd_set(cmd, ways[way][0], ways[way][1]);
        sandbox_cmd_pass_fd(cmd, other, 3);
        sandbox_cmd_pass_fd(cmd, file, 4);
        sandbox_cmd_pass_fd(cmd, other, 5);
        run_well(cmd, &result);
        CHECK_STR(value(&result, "fds"), "0 1 2 3 4 5 ");
        CHECK_STR(value(&result, "fd:3"), identity(other));
        CHECK_STR(value(&result, "fd:4"), identity(file));
        CHECK_STR(value(&result, "fd:5"), identity(other));
    }
    close(file), close(other);
}

TEST(stdio_numbers, "fds 0 to 2 can be passed instead of given as streams") {
    static struct run result;
    int file = some_file();
    sandbox_cmd *cmd = victim("report", "fd:0", "fd:2", NULL);
    CHECK_EQ(sandbox_cmd_pass_fd(cmd, file, 0), 0);
    CHECK_EQ(sandbox_cmd_pass_fd(cmd, file, 2), 0);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "fd:0"), identity(file));
    CHECK_STR(value(&result, "fd:2"), identity(file));
    close(file);
}

TEST(close_off, "with CLOSE_FDS off an fd without close-on-exec is inherited, one with it is not") {
    static struct run result;
    at_number(50), at_number(51);
    fcntl(50, F_SETFD, 0);
    sandbox_cmd *cmd = victim("report", "fd:50", "fd:51", "fds", NULL);
    sandbox_cmd_set(cmd, SANDBOX_OPT_CLOSE_FDS, 0);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "fd:50"), identity(50));
    CHECK_STR(value(&result, "fd:51"), "closed");
    close(50), close(51);
    /* The library's own never are: what is there is what the host has open for its children. */
    char host[4000] = "", entry[16];
    for (int fd = 0; fd < 20000; fd++)
        if (fd < 3 || fcntl(fd, F_GETFD) == 0) snprintf(entry, sizeof entry, "%d ", fd), strcat(host, entry);
    cmd = victim("report", "fds", NULL);
    sandbox_cmd_set(cmd, SANDBOX_OPT_CLOSE_FDS, 0);
    sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    run_well(cmd, &result);
    CHECK_STR(value(&result, "fds"), host);
}

TEST(high, "a target above every number in use works, one above RLIMIT_NOFILE is refused by its index") {
    static struct run result;
    struct rlimit limit;
    char key[16];
    getrlimit(RLIMIT_NOFILE, &limit);
    int file = some_file(), most = (int)limit.rlim_cur;
    sandbox_cmd *cmd = victim("report", NULL);
    snprintf(key, sizeof key, "fd:%d", most - 1);
    sandbox_cmd_arg(cmd, key);
    CHECK_EQ(sandbox_cmd_pass_fd(cmd, file, most - 1), 0);
    run_well(cmd, &result);
    CHECK_STR(value(&result, key), identity(file));
    cmd = victim("report", NULL);
    sandbox_cmd_pass_fd(cmd, file, 3);
    sandbox_cmd_pass_fd(cmd, file, most);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EBADF, SANDBOX_STAGE_FD, 1, "passed in");
    close(file);
}

TEST(large_fan_out, "one fd becomes four hundred, by every way, and each works") {
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 1024) SKIP("RLIMIT_NOFILE is %llu", (unsigned long long)limit.rlim_cur);
    for (int way = 0; way < 3; way++) {
        static char wanted[8000];
        size_t at = (size_t)snprintf(wanted, sizeof wanted, "0 1 2 ");
        sandbox_cmd *cmd = victim("report", "fds", NULL);
        if (way == 1) sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 900);
        if (way == 2) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
        for (int i = 0; i < 400; i++) {
            CHECK_EQ(sandbox_cmd_pass_fd(cmd, 2, 10 + i), 0);
            at += (size_t)snprintf(wanted + at, sizeof wanted - at, "%d ", 10 + i);
        }
        sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
        CHECK_EQ(sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(EDOM), "swapoff", NULL, 0), 0);
        for (int i = 0; i < 32; i++) CHECK_EQ(sandbox_cmd_filter(cmd, filter), 0);
        sandbox_filter_free(filter);
        struct run result;
        run_well(cmd, &result);
        CHECK_STR(value(&result, "fds"), wanted);
    }
}
