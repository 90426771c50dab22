/* The harness of the C tests, included by each program once: TEST functions, CHECK macros, a few helpers.
 *
 * Every test runs in a process of its own, so that it may spoil its host as it likes and a hang ends with it. A test
 * that returns must have left nothing behind: the fds are the ones it began with, there is no child and no thread.
 * Printed: "ok - name", "not ok - name: why", "skip - name: reason", on the stdout that the program was given. */
#ifndef TEST_H
#define TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sandbox_spawn.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__
#define UNDER_ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif
#if UNDER_ASAN
int __lsan_do_recoverable_leak_check(void);
#endif

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

static struct test *first_test, **last_test = &first_test;
static const struct test *running;
static int report_fd = -1;
static char own_directory[PATH_MAX]; /* looked up once: /proc/self/exe is empty where the first thread has ended */

#define TEST(id, sentence)                                                                                    \
    static void test_##id(void);                                                                              \
    __attribute__((constructor)) static void enlist_##id(void) {                                              \
        static struct test entry = {sentence, test_##id, NULL};                                               \
        *last_test = &entry;                                                                                  \
        last_test = &entry.next;                                                                              \
    }                                                                                                         \
    static void test_##id(void)

#define UNUSED __attribute__((unused))

/* A failure or a skip ends the test's process; what it started dies with it, as the library promises. */
__attribute__((noreturn, format(printf, 2, 3))) static void end_test(const char *verdict, const char *format, ...) {
    char why[2000];
    va_list list;
    va_start(list, format);
    vsnprintf(why, sizeof why, format, list);
    va_end(list);
    for (char *at = why; *at; at++)
        if (*at == '\n') *at = '~';
    dprintf(report_fd, "%s - %s: %s\n", verdict, running->name, why);
    _exit(verdict[0] == 's' ? 0 : 1);
}

#define FAIL(...) end_test("not ok", __VA_ARGS__)
#define SKIP(...) end_test("skip", __VA_ARGS__)
#define CHECK(condition)                                                                                      \
    do {                                                                                                      \
        if (!(condition)) FAIL("%s:%d: %s", __FILE__, __LINE__, #condition);                                  \
    } while (0)
#define CHECK_EQ(seen, wanted)                                                                                \
    do {                                                                                                      \
        long long seen_ = (long long)(seen), wanted_ = (long long)(wanted);                                   \
        if (seen_ != wanted_)                                                                                 \
            FAIL("%s:%d: %s is %lld, not %s = %lld", __FILE__, __LINE__, #seen, seen_, #wanted, wanted_);     \
    } while (0)
#define CHECK_STR(seen, wanted)                                                                               \
    do {                                                                                                      \
        const char *seen_ = (seen), *wanted_ = (wanted);                                                      \
        if (!seen_ || strcmp(seen_, wanted_) != 0)                                                            \
            FAIL("%s:%d: %s is \"%s\", not \"%s\"", __FILE__, __LINE__, #seen, seen_ ? seen_ : "(null)", wanted_); \
    } while (0)
#define CHECK_HAS(text, part)                                                                                 \
    do {                                                                                                      \
        const char *text_ = (text), *part_ = (part);                                                          \
        if (!strstr(text_, part_)) FAIL("%s:%d: \"%s\" lacks \"%s\"", __FILE__, __LINE__, text_, part_);      \
    } while (0)
/* What failed, where: the code, the stage and the index, and a word that the message must hold. */
#define CHECK_ERROR(result, error, errnum, stage_, index_, word)                                              \
    do {                                                                                                      \
        int result_ = (result);                                                                               \
        if (result_ != -(errnum) || (error).code != -(errnum) || (error).stage != (unsigned)(stage_)          \
            || (error).index != (unsigned)(index_) || !strstr((error).message, (word)))                       \
            FAIL("%s:%d: %s gave %d: code %d, stage %s[%u], \"%s\"; not %d, %s[%u], \"%s\"", __FILE__, __LINE__, #result, \
                 result_, (error).code, sandbox_stage_name((error).stage), (error).index, (error).message,    \
                 -(errnum), sandbox_stage_name(stage_), (unsigned)(index_), word);                            \
    } while (0)

/* --- what a test must leave as it was --- */

/* The open fds, as "0 1 2 ". */
UNUSED static void open_fds(char *list, size_t size) {
    DIR *directory = opendir("/proc/self/fd");
    static int numbers[20000];
    int count = 0;
    list[0] = 0;
    if (!directory) FAIL("/proc/self/fd: %s", strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory)) && count < 20000;)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory)) numbers[count++] = atoi(entry->d_name);
    closedir(directory);
    for (size_t at = 0, i = 0; i < (size_t)count && at + 8 < size; i++) at += (size_t)snprintf(list + at, size - at, "%d ", numbers[i]);
}

UNUSED static int count_entries(const char *path) {
    DIR *directory = opendir(path);
    int count = 0;
    if (!directory) return -1;
    for (struct dirent *entry; (entry = readdir(directory));) count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

UNUSED static void pause_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&time, &time) < 0 && errno == EINTR) {}
}

static char fds_before[120000];

static void nothing_is_left(void) {
    static char after[sizeof fds_before];
    int status;
    open_fds(after, sizeof after);
    if (strcmp(after, fds_before) != 0) FAIL("the open fds were %sand are %s", fds_before, after);
    pid_t child = waitpid(-1, &status, WNOHANG | __WALL);
    if (child >= 0) FAIL("a child is left: %d (0: it still runs)", child);
    for (int round = 0; count_entries("/proc/self/task") != 1; round++) { /* a joined thread is listed a moment longer */
        if (round == 200) FAIL("%d threads are left", count_entries("/proc/self/task") - 1);
        pause_ms(10);
    }
}

static void run_test(const struct test *test) {
    running = test;
    open_fds(fds_before, sizeof fds_before);
    test->run();
    nothing_is_left();
#if UNDER_ASAN
    if (__lsan_do_recoverable_leak_check()) FAIL("memory is leaked: see the sanitizer's report");
#endif
    dprintf(report_fd, "ok - %s\n", test->name);
}

#define LONGEST_TEST_MS 240000

/* How often what repeats is done: `count` times, or one in SANDBOX_TEST_SCALE of that on a slow machine. */
UNUSED static int test_scale(void) {
    const char *scale = getenv("SANDBOX_TEST_SCALE");
    return scale && atoi(scale) > 1 ? atoi(scale) : 1;
}

UNUSED static int scaled(int count) { return (count + test_scale() - 1) / test_scale(); }

/* Where each combination is tried: on a slow machine each `step`-th. */
UNUSED static int stride(int step) { return test_scale() > 1 ? step : 1; }

static bool run_apart(const struct test *test) {
    running = test;
    pid_t pid = fork();
    if (pid == 0) {
        run_test(test);
        _exit(0);
    }
    struct pollfd end = {(int)syscall(SYS_pidfd_open, pid, 0), POLLIN, 0};
    if (poll(&end, 1, LONGEST_TEST_MS) == 0) {
        kill(pid, SIGKILL);
        dprintf(report_fd, "not ok - %s: it hangs\n", test->name);
    }
    close(end.fd);
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        dprintf(report_fd, "not ok - %s: its process died of signal %d\n", test->name, WTERMSIG(status));
    return status == 0;
}

/* main [-1] [part of a name]...: -1 runs all in this one process, for tools that watch a process's end. */
int main(int argc, char **argv) {
    bool apart = true, good = true;
    if (argc > 1 && strcmp(argv[1], "-1") == 0) apart = false, argc--, argv++;
    report_fd = fcntl(1, F_DUPFD_CLOEXEC, 500);
    if (report_fd < 0 || readlink("/proc/self/exe", own_directory, sizeof own_directory - 1) < 0) return 2;
    *strrchr(own_directory, '/') = 0;
    signal(SIGPIPE, SIG_DFL);
    for (const struct test *test = first_test; test; test = test->next) {
        bool asked = argc < 2;
        for (int i = 1; i < argc; i++) asked |= strstr(test->name, argv[i]) != NULL;
        if (!asked) continue;
        if (apart) good &= run_apart(test);
        else run_test(test);
    }
    close(report_fd);
    return good ? 0 : 1;
}

/* --- helpers --- */

/* The path of a file that lies beside this program. */
UNUSED static const char *beside(const char *name) {
    static __thread char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", own_directory, name);
    return path;
}

/* The victims: "report" prints what it is asked for as "key: value", "act" does one thing. Arguments end with NULL. */
UNUSED static sandbox_cmd *victim(const char *name, ...) {
    sandbox_cmd *cmd = sandbox_cmd_new(beside(name));
    va_list list;
    va_start(list, name);
    for (const char *arg; (arg = va_arg(list, const char *));) sandbox_cmd_arg(cmd, arg);
    va_end(list);
    return cmd;
}

struct run {
    int result;
    sandbox_error error;
    sandbox_status status;
    pid_t pid;
    char out[24000];
};

/* Reads to the end of the fd, or of the buffer. */
UNUSED static void drain(int fd, char *buffer, size_t size) {
    size_t length = 0;
    for (ssize_t got; length + 1 < size; length += (size_t)got) {
        got = read(fd, buffer + length, size - 1 - length);
        if (got < 0 && errno == EINTR) got = 0;
        else if (got <= 0) break;
    }
    buffer[length] = 0;
}

/* Spawns `cmd`, reads its standard output to the end, waits, frees both. */
UNUSED static void run(sandbox_cmd *cmd, struct run *run) {
    sandbox_child *child;
    memset(run, 0, sizeof *run);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    run->result = sandbox_spawn(cmd, &child, &run->error);
    if (run->result == 0) {
        sandbox_fds fds;
        run->pid = sandbox_child_pid(child);
        sandbox_child_fds(child, &fds, sizeof fds);
        drain(fds.stdout_fd, run->out, sizeof run->out);
        int waited = sandbox_child_wait(child, -1, &run->status, sizeof run->status);
        if (waited < 0) FAIL("wait gave %d", waited);
        sandbox_child_free(child);
    }
    sandbox_cmd_free(cmd);
}

/* The same, and it must have exited with 0. */
UNUSED static const char *run_well(sandbox_cmd *cmd, struct run *result) {
    run(cmd, result);
    if (result->result < 0)
        FAIL("spawn gave %d: %s[%u], %s", result->result, sandbox_stage_name(result->error.stage), result->error.index, result->error.message);
    if (result->status.kind != SANDBOX_EXITED || result->status.code != 0)
        FAIL("it ended with kind %u, code %d, after \"%s\"", result->status.kind, result->status.code, result->out);
    return result->out;
}

/* What "report" said of `key`. */
UNUSED static const char *value(const struct run *run, const char *key) {
    static __thread char text[8000];
    size_t length = strlen(key);
    for (const char *line = run->out; line && *line; line = strchr(line, '\n'), line += line != NULL)
        if (strncmp(line, key, length) == 0 && strncmp(line + length, ": ", 2) == 0) {
            snprintf(text, sizeof text, "%.*s", (int)strcspn(line + length + 2, "\n"), line + length + 2);
            return text;
        }
    FAIL("no \"%s\" in \"%s\"", key, run->out);
}

UNUSED static long number(const struct run *run, const char *key) { return strtol(value(run, key), NULL, 0); }

/* Runs "report" for one key. */
UNUSED static const char *report_of(sandbox_cmd *cmd, const char *key) {
    static __thread struct run result;
    sandbox_cmd_arg(cmd, key);
    run_well(cmd, &result);
    return value(&result, key);
}

UNUSED static sandbox_child *spawned(const sandbox_cmd *cmd) {
    sandbox_child *child;
    sandbox_error error;
    int result = sandbox_spawn(cmd, &child, &error);
    if (result < 0) FAIL("spawn gave %d: %s[%u], %s", result, sandbox_stage_name(error.stage), error.index, error.message);
    return child;
}

UNUSED static sandbox_fds fds_of(const sandbox_child *child) {
    sandbox_fds fds;
    CHECK_EQ(sandbox_child_fds(child, &fds, sizeof fds), 0);
    return fds;
}

/* A directory of the test's own; the caller's suite removes what is below TMPDIR. */
UNUSED static const char *fresh_dir(void) {
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/test.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    CHECK(mkdtemp(path));
    chmod(path, 0755);
    return path;
}

UNUSED static void copy_file(const char *from, const char *to, mode_t mode) {
    char buffer[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    CHECK(in >= 0 && out >= 0);
    for (ssize_t got; (got = read(in, buffer, sizeof buffer)) > 0;) CHECK(write(out, buffer, (size_t)got) == got);
    fchmod(out, mode);
    close(in), close(out);
}

UNUSED static bool has_cap(int capability) {
    char line[256];
    unsigned long long effective = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status)) sscanf(line, "CapEff: %llx", &effective);
    if (status) fclose(status);
    return effective >> capability & 1;
}

/* True once `pidfd`'s process has ended; waits far longer than anything takes, so that time decides nothing. */
UNUSED static bool ends(int pidfd) {
    struct pollfd end = {pidfd, POLLIN, 0};
    int ready;
    while ((ready = poll(&end, 1, 20000)) < 0 && errno == EINTR) {}
    return ready == 1;
}

UNUSED static bool runs(int pidfd) {
    struct pollfd end = {pidfd, POLLIN, 0};
    return poll(&end, 1, 0) == 0;
}

#endif
