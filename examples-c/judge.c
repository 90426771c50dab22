/* judge: compile a submission and run it against tests, as an online judge does: verdict, time and memory of each.
 *
 *   ./judge -t 1 -m 64 judge.d/tests judge.d/submissions/right.c
 *   ./judge judge.d/tests judge.d/submissions/wrong.c judge.d/submissions/slow.c
 *
 * Two sandboxes. The compiler sees the system, the source and one directory to write in. The submission sees its own
 * file and the libraries, nothing else: no network, no directory to write in, no process beside it, no other program to
 * run; it reads the test from standard input and is given a second of CPU time. sandbox_run feeds it, collects what it
 * writes, holds the limits and ends whatever it started.
 *
 * Memory is limited by a cgroup where one can be had; else by the address space, which says less: then a submission that
 * asks for too much fails by itself, and no peak is known. */

#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <limits.h>
#include <sandbox_spawn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: judge [options] TESTS SUBMISSION.c...\n"
    "Compiles each submission and runs it with every TESTS/*.in; what it writes must be TESTS/*.out.\n"
    "\n"
    "  -t seconds  CPU time of a test, fractions allowed (default 1; twice that and a second by the clock)\n"
    "  -m MiB      memory of a test (default 64)\n"
    "  -h, --help  this text\n"
    "\n"
    "Verdicts: accepted, wrong answer, time limit, memory limit, output limit, runtime error, does not compile.\n"
    "Exit code: 0 where all were accepted, 1 where one was not, 2 where the judge itself failed.\n";

static struct {
    double seconds;
    unsigned long mib;
    int has_cgroup;
    char directory[PATH_MAX]; /* what is compiled lies here */
} judge = {.seconds = 1, .mib = 64};

static void fail(const char *what, const char *value) {
    fprintf(stderr, "judge: %s%s\n", what, value);
    exit(2);
}

/* /bin, /lib and so on are links into /usr on most systems, directories on others. */
static void add_system(sandbox_cmd *cmd) {
    static const char *const names[] = {"/bin", "/lib", "/lib32", "/lib64"};
    sandbox_cmd_bind(cmd, "/usr", "/usr", 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[256];
        ssize_t length = readlink(names[i], text, sizeof text - 1);
        if (length > 0)
            text[length] = '\0', sandbox_cmd_symlink(cmd, text, names[i]);
        else
            sandbox_cmd_bind(cmd, names[i], names[i], SANDBOX_MOUNT_OPTIONAL);
    }
    sandbox_cmd_bind(cmd, "/etc/alternatives", "/etc/alternatives", SANDBOX_MOUNT_OPTIONAL);
    sandbox_cmd_bind(cmd, "/etc/ld.so.cache", "/etc/ld.so.cache", SANDBOX_MOUNT_OPTIONAL);
}

static sandbox_cmd *alone(const char *program) {
    sandbox_cmd *cmd = sandbox_cmd_new(program);
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_MOUNT | SANDBOX_NS_NET | SANDBOX_NS_IPC | SANDBOX_NS_UTS | SANDBOX_NS_CGROUP);
    sandbox_cmd_env_clear(cmd);
    sandbox_cmd_env(cmd, "PATH", "/usr/local/bin:/usr/bin:/bin");
    sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
    sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1); /* the kernel spares a namespace's PID 1 most signals, its own abort too */
    sandbox_cmd_set(cmd, SANDBOX_OPT_NEW_KEYRING, 1);
    add_system(cmd);
    return cmd;
}

/* Runs it and frees it; NULL where the sandbox itself could not be made. */
static sandbox_result *run(sandbox_cmd *cmd, const sandbox_bytes *input, double cpu, sandbox_error *error) {
    sandbox_run_options options = {.size = sizeof options, .flags = SANDBOX_RUN_KILL_AT_LIMIT, .stdout_limit = 1 << 20, .stderr_limit = 1 << 16};
    sandbox_result *result;
    options.cpu_time_ms = (uint64_t)(cpu * 1000);
    options.wall_time_ms = (uint64_t)(cpu * 2000) + 1000;
    sandbox_run(cmd, input, &options, &result, error);
    sandbox_cmd_free(cmd);
    return result;
}

static sandbox_status status_of(const sandbox_result *result) {
    sandbox_status status;
    sandbox_result_status(result, &status, sizeof status);
    return status;
}

static sandbox_output output_of(const sandbox_result *result, int stream) {
    sandbox_output output;
    sandbox_result_output(result, stream, &output, sizeof output);
    return output;
}

/* Whether it compiles; if not, the first error is printed. */
static int compile(const char *source) {
    sandbox_error error;
    sandbox_cmd *cmd = alone("cc");
    sandbox_cmd_args(cmd, (const char *const[]){"-O2", "-o", "/out/program", "/source.c", "-lm", NULL});
    sandbox_cmd_bind(cmd, source, "/source.c", 0);
    sandbox_cmd_bind(cmd, judge.directory, "/out", SANDBOX_MOUNT_RW);
    sandbox_cmd_tmpfs(cmd, "/tmp", 64 << 20, 01777);
    sandbox_result *result = run(cmd, NULL, 30, &error);
    if (!result)
        fail("the compiler's sandbox: ", error.message);
    sandbox_status status = status_of(result);
    int compiles = status.kind == SANDBOX_EXITED && status.code == 0;
    if (!compiles) {
        const char *text = output_of(result, 2).data, *error = strstr(text, "error:");
        printf("  does not compile: %.*s\n", (int)strcspn(error ? error : text, "\n"), error ? error : text);
    }
    sandbox_result_free(result);
    return compiles;
}

/* One process, one program: threads are all that it may make. */
static void add_filter(sandbox_cmd *cmd) {
    static const char *const refused[] = {"fork", "vfork", "socket", "socketpair", "kill", "tkill"};
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(EPERM), refused[i], NULL, 0);
    sandbox_arg process = {.index = 0, .op = SANDBOX_CMP_MASKED_EQ, .value = 0, .mask = 0x10000}; /* no CLONE_THREAD */
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(EPERM), "clone", &process, 1);
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(ENOSYS), "clone3", NULL, 0); /* the C library then takes clone */
    sandbox_filter_deny(filter, SANDBOX_DENY_IO_URING | SANDBOX_DENY_KEYRINGS | SANDBOX_DENY_PTRACE | SANDBOX_DENY_PERF |
                                    SANDBOX_DENY_BPF | SANDBOX_DENY_USER_NAMESPACES | SANDBOX_DENY_SECCOMP);
    sandbox_cmd_filter(cmd, filter);
    sandbox_filter_free(filter);
}

static sandbox_cmd *submission(void) {
    char path[PATH_MAX + 16], bytes[32];
    sandbox_cmd *cmd = alone("/program");
    snprintf(path, sizeof path, "%s/program", judge.directory);
    sandbox_cmd_bind(cmd, path, "/program", 0);
    sandbox_cmd_rlimit(cmd, RLIMIT_STACK, judge.mib << 20, judge.mib << 20);
    snprintf(bytes, sizeof bytes, "%lu", judge.mib << 20);
    if (judge.has_cgroup) {
        sandbox_cmd_cgroup(cmd, NULL);
        sandbox_cmd_cgroup_set(cmd, "memory.max", bytes);
        sandbox_cmd_cgroup_set(cmd, "memory.swap.max", "0");
        sandbox_cmd_cgroup_set(cmd, "pids.max", "64");
    } else {
        sandbox_cmd_rlimit(cmd, RLIMIT_AS, (judge.mib + 16) << 20, (judge.mib + 16) << 20);
    }
    add_filter(cmd);
    return cmd;
}

static char *contents(const char *path, size_t *length) {
    FILE *file = fopen(path, "re");
    char *text = NULL;
    if (!file || getdelim(&text, length, EOF, file) < 0)
        text = file ? calloc(1, 1) : NULL;
    if (!text)
        fail("can't read ", path);
    *length = (size_t)ftell(file);
    fclose(file);
    return text;
}

/* The same but for spaces at the ends of lines and of the text. */
static int is_answer(const char *seen, const char *wanted) {
    for (;; seen++, wanted++) {
        size_t blank = strspn(seen, " \t\r\n"), other = strspn(wanted, " \t\r\n");
        if (!seen[blank] && !wanted[other])
            return 1;
        if ((blank || other) && (!memchr(seen, '\n', blank) != !memchr(wanted, '\n', other) || !blank != !other))
            return 0;
        seen += blank, wanted += other;
        if (*seen != *wanted)
            return 0;
    }
}

static const char *verdict_of(const sandbox_result *result, const char *wanted, char *buffer, size_t size) {
    sandbox_status status = status_of(result);
    int limits = sandbox_result_limits(result);
    if (limits & (SANDBOX_LIMIT_CPU_TIME | SANDBOX_LIMIT_WALL_TIME))
        return "time limit";
    if (status.cause == SANDBOX_CAUSE_MEMORY)
        return "memory limit";
    if (limits & (SANDBOX_LIMIT_STDOUT | SANDBOX_LIMIT_STDERR))
        return "output limit";
    if (status.kind == SANDBOX_SIGNALED)
        snprintf(buffer, size, "runtime error: %s", strsignal(status.code));
    else if (status.code)
        snprintf(buffer, size, "runtime error: exit code %d", status.code);
    else
        return is_answer(output_of(result, 1).data, wanted) ? "accepted" : "wrong answer";
    return buffer;
}

/* Whether one test is passed. */
static int run_test(const char *input_path) {
    char output_path[PATH_MAX], buffer[64], memory[32] = "";
    sandbox_bytes input;
    size_t length;
    sandbox_error error;
    char *text = contents(input_path, &input.length);
    snprintf(output_path, sizeof output_path, "%.*s.out", (int)(strlen(input_path) - 3), input_path);
    char *wanted = contents(output_path, &length);
    input.data = text;
    sandbox_result *result = run(submission(), &input, judge.seconds, &error);
    if (!result)
        fail("the submission's sandbox: ", error.message);
    sandbox_status status = status_of(result);
    const char *verdict = verdict_of(result, wanted, buffer, sizeof buffer);
    if (status.peak_memory_bytes)
        snprintf(memory, sizeof memory, ", %.1f MiB", (double)status.peak_memory_bytes / (1 << 20));
    printf("  %-12s %-28s CPU %.3f s, %.3f s%s\n", strrchr(input_path, '/') + 1, verdict,
           (double)(status.user_time_us + status.system_time_us) / 1e6, (double)status.wall_time_us / 1e6, memory);
    int passed = strcmp(verdict, "accepted") == 0;
    sandbox_result_free(result);
    free(text);
    free(wanted);
    return passed;
}

static int run_tests(const char *directory) {
    char pattern[PATH_MAX];
    glob_t tests;
    int passed = 1;
    snprintf(pattern, sizeof pattern, "%s/*.in", directory);
    if (glob(pattern, 0, NULL, &tests))
        fail("no tests: ", pattern);
    for (size_t i = 0; i < tests.gl_pathc; i++)
        passed &= run_test(tests.gl_pathv[i]);
    globfree(&tests);
    return passed;
}

/* Whether a cgroup can be had here: tried, because that is the only way to know. */
static int try_cgroup(void) {
    sandbox_error error;
    sandbox_result *result;
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
    sandbox_cmd_cgroup(cmd, NULL);
    sandbox_cmd_cgroup_set(cmd, "memory.max", "67108864");
    sandbox_cmd_cgroup_set(cmd, "memory.swap.max", "0");
    sandbox_cmd_cgroup_set(cmd, "pids.max", "64");
    int made = sandbox_run(cmd, NULL, NULL, &result, &error) == 0;
    if (!made)
        printf("No cgroup for memory (%s):\nit is limited by the address space instead.\n", error.message);
    sandbox_result_free(result);
    sandbox_cmd_free(cmd);
    return made;
}

static void remove_directory(void) {
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/program", judge.directory);
    unlink(path);
    rmdir(judge.directory);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *temporary = getenv("TMPDIR");
    int all = 1;
    for (int option; (option = getopt_long(argc, argv, "t:m:h", options, NULL)) != -1;) {
        switch (option) {
        case 't': judge.seconds = strtod(optarg, NULL); break;
        case 'm': judge.mib = strtoul(optarg, NULL, 10); break;
        case 'h': fputs(usage, stdout); return 0;
        default: return 2;
        }
    }
    if (!(judge.seconds > 0 && judge.seconds < 1000) || judge.mib < 1 || judge.mib > 1 << 20 || argc - optind < 2)
        return fputs(usage, stderr), 2;
    snprintf(judge.directory, sizeof judge.directory, "%s/judge-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(judge.directory))
        fail("can't make a directory in ", temporary ? temporary : "/tmp");
    atexit(remove_directory);
    judge.has_cgroup = try_cgroup();
    for (int i = optind + 1; i < argc; i++) {
        char *source = realpath(argv[i], NULL);
        if (!source)
            fail("no such file: ", argv[i]);
        printf("%s\n", argv[i]);
        fflush(stdout);
        all &= compile(source) && run_tests(argv[optind]);
        free(source);
    }
    return all ? 0 : 1;
}
