/* limits: run a command line under limits and print a verdict, as a judge or a CI runner does.
 *
 *   ./limits -t 2 -m 64 python3 -c 'x = "a" * 10**9'
 *   ./limits --help
 *
 * Two kinds of limit. Resource limits (rlimits) the kernel enforces for each process: CPU time, file size, open fds,
 * address space, no core file. The wall-clock limit is the host's: sandbox_child_wait with a timeout, then a kill by
 * pidfd, which can't hit a stranger. Resident memory has no rlimit that works: it is looked at while the program runs.
 * What the program has started itself is not counted, and outlives a kill: that takes a cgroup and a pid namespace. */

#define _GNU_SOURCE
#include <getopt.h>
#include <sandbox_spawn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define MIB (1024ull * 1024)

struct limits {
    double wall_seconds;
    unsigned long cpu_seconds, memory_mib, file_mib, fds; /* 0: none */
};

static const char usage[] =
    "usage: limits [options] program [argument...]\n"
    "Runs the program under limits, and prints on standard error how it ended.\n"
    "\n"
    "  -t seconds  wall-clock time, fractions allowed (default 10)\n"
    "  -c seconds  CPU time, whole seconds\n"
    "  -m MiB      resident memory\n"
    "  -f MiB      size of a file that it writes\n"
    "  -n count    open file descriptors\n"
    "  -h, --help  this text\n"
    "\n"
    "Verdicts: OK, EXIT n, SIGNAL n, TIME LIMIT, MEMORY LIMIT.\n"
    "Exit code: 0 where the verdict is OK, 1 for any other, 2 where the program could not be started.\n";

static void fail(const char *what, const char *value) {
    fprintf(stderr, "limits: %s%s\nTry 'limits --help'.\n", what, value);
    exit(2);
}

static double number(const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value > 0 && value <= 1e6))
        fail("not a number between 0 and 1000000: ", text);
    return value;
}

/* Returns the index of the program in argv. */
static int parse(int argc, char **argv, struct limits *limits) {
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:t:c:m:f:n:h", options, NULL)) != -1) {
        switch (option) {
        case 't': limits->wall_seconds = number(optarg); break;
        case 'c': limits->cpu_seconds = (unsigned long)number(optarg); break;
        case 'm': limits->memory_mib = (unsigned long)number(optarg); break;
        case 'f': limits->file_mib = (unsigned long)number(optarg); break;
        case 'n': limits->fds = (unsigned long)number(optarg); break;
        case 'h': fputs(usage, stdout); exit(0);
        case ':': fail("this option wants a value: ", argv[optind - 1]); break;
        default: fail("no such option: ", argv[optind - 1]);
        }
    }
    if (optind == argc)
        fail("which program?", "");
    return optind;
}

/* No setter's result is looked at: the first that fails makes sandbox_spawn fail with its error. */
static sandbox_cmd *command(char **argv, const struct limits *limits) {
    sandbox_cmd *cmd = sandbox_cmd_new(argv[0]);
    sandbox_cmd_args(cmd, (const char *const *)argv + 1);
    sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
    if (limits->cpu_seconds) /* SIGXCPU at the soft limit, SIGKILL at the hard one */
        sandbox_cmd_rlimit(cmd, RLIMIT_CPU, limits->cpu_seconds, limits->cpu_seconds + 1);
    if (limits->file_mib)
        sandbox_cmd_rlimit(cmd, RLIMIT_FSIZE, limits->file_mib * MIB, limits->file_mib * MIB);
    if (limits->fds)
        sandbox_cmd_rlimit(cmd, RLIMIT_NOFILE, limits->fds, limits->fds);
    if (limits->memory_mib) /* room to map more than it may use, but not to run far ahead of who looks */
        sandbox_cmd_rlimit(cmd, RLIMIT_AS, (limits->memory_mib + 1024) * MIB, (limits->memory_mib + 1024) * MIB);
    return cmd;
}

/* The most that was resident, from /proc. The pid is the child's own as long as nobody has waited for it. */
static unsigned long peak_kib(pid_t pid) {
    char path[32], line[128];
    unsigned long peak = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "VmHWM: %lu", &peak) != 1)
        continue;
    if (file)
        fclose(file);
    return peak;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Waits for the end and enforces what the kernel does not; returns the limit that was hit, if one was. */
static const char *watch(sandbox_child *child, const struct limits *limits, sandbox_status *status, unsigned long *peak) {
    double deadline = now() + limits->wall_seconds;
    const char *hit = NULL;
    while (sandbox_child_wait(child, hit ? -1 : 5, status, sizeof *status) < 0) {
        unsigned long resident = peak_kib(sandbox_child_pid(child));
        *peak = resident > *peak ? resident : *peak;
        if (limits->memory_mib && *peak > limits->memory_mib * 1024)
            hit = "MEMORY LIMIT";
        else if (now() >= deadline)
            hit = "TIME LIMIT";
        if (hit)
            sandbox_child_kill(child, SIGKILL); /* -ESRCH: it has just ended by itself */
    }
    double cpu = (double)(status->user_time_us + status->system_time_us) / 1e6;
    int by_itself = status->kind == SANDBOX_SIGNALED && status->cause == SANDBOX_CAUSE_NONE;
    /* The kernel counts in ticks: SIGXCPU may come a little before the second is full. */
    if (by_itself && limits->cpu_seconds && (status->code == SIGXCPU || cpu >= (double)limits->cpu_seconds))
        hit = "TIME LIMIT";
    return status->kind == SANDBOX_SIGNALED ? hit : NULL;
}

int main(int argc, char **argv) {
    struct limits limits = {.wall_seconds = 10};
    int first = parse(argc, argv, &limits);
    sandbox_error error;
    sandbox_child *child;
    sandbox_status status;
    unsigned long peak = 0;

    sandbox_cmd *cmd = command(argv + first, &limits);
    if (sandbox_spawn(cmd, &child, &error) < 0) {
        fprintf(stderr, "limits: %s: %s\n", sandbox_stage_name(error.stage), error.message);
        sandbox_cmd_free(cmd);
        return 2;
    }
    const char *hit = watch(child, &limits, &status, &peak);
    int ok = status.kind == SANDBOX_EXITED && status.code == 0;
    char verdict[32];
    if (hit)
        snprintf(verdict, sizeof verdict, "%s", hit);
    else if (ok)
        snprintf(verdict, sizeof verdict, "OK");
    else
        snprintf(verdict, sizeof verdict, "%s %d", status.kind == SANDBOX_EXITED ? "EXIT" : "SIGNAL", status.code);
    fprintf(stderr, "%s (%.3f s, CPU %.3f s", verdict, (double)status.wall_time_us / 1e6,
            (double)(status.user_time_us + status.system_time_us) / 1e6);
    if (peak) /* it ran long enough to be looked at */
        fprintf(stderr, ", %.1f MiB", (double)peak / 1024);
    fputs(")\n", stderr);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    return ok ? 0 : 1;
}
