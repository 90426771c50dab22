/* A thousand small jobs, each in a sandbox of its own: set up anew for every one, and taken from a warm pool.
 *
 *     ./pool [jobs]
 */
#define _POSIX_C_SOURCE 200809L
#include <sandbox_spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { HELD = 16 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One job: its own argument, the sandbox of `cmd`. The time from the wish to the end, in microseconds; below 0: failed. */
static double job(const sandbox_cmd *cmd, sandbox_pool *pool, int number) {
    char argument[16];
    sandbox_child *child;
    sandbox_status status;
    sandbox_error error;
    snprintf(argument, sizeof argument, "%d", number);
    /* In a pool only what differs is said; without one it is the whole command with the argument. */
    sandbox_cmd *run = pool ? sandbox_cmd_new("/bin/true") : sandbox_cmd_clone(cmd);
    sandbox_cmd_arg(run, argument);
    double start = now();
    int result = pool ? sandbox_pool_spawn(pool, run, &child, &error) : sandbox_spawn(run, &child, &error);
    sandbox_cmd_free(run);
    if (result < 0) {
        fprintf(stderr, "job %d: %s: %s\n", number, sandbox_stage_name(error.stage), error.message);
        return -1;
    }
    result = sandbox_child_wait(child, -1, &status, sizeof status);
    double took = now() - start;
    sandbox_child_free(child);
    if (result < 0 || status.kind != SANDBOX_EXITED || status.code != 0) {
        fprintf(stderr, "job %d did not end well\n", number);
        return -1;
    }
    return took;
}

static int run_all(const char *title, const sandbox_cmd *cmd, sandbox_pool *pool, int jobs) {
    double *times = malloc((size_t)jobs * sizeof *times);
    if (!times) return -1;
    for (int i = 0; i < jobs; i++) {
        times[i] = job(cmd, pool, i);
        if (times[i] < 0) {
            free(times);
            return -1;
        }
        /* Between the jobs there is time to set the next ones up. */
        if (pool && i % HELD == HELD - 1 && sandbox_pool_refill(pool, NULL) < 0) {
            free(times);
            return -1;
        }
    }
    qsort(times, (size_t)jobs, sizeof *times, by_size);
    printf("%-18s %d jobs: half within %.0f us, 99%% within %.0f us\n", title, jobs, times[jobs / 2], times[jobs * 99 / 100]);
    free(times);
    return 0;
}

int main(int argc, char **argv) {
    int jobs = argc > 1 ? atoi(argv[1]) : 1000;
    if (jobs < 1 || jobs > 1000000) {
        fprintf(stderr, "usage: pool [jobs]\n");
        return 2;
    }
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
    sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_MOUNT | SANDBOX_NS_NET | SANDBOX_NS_UTS | SANDBOX_NS_IPC);
    sandbox_pool *pool = sandbox_pool_new(cmd, HELD);
    int failed = run_all("set up each time:", cmd, NULL, jobs) < 0 || run_all("from a warm pool:", cmd, pool, jobs) < 0;
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
    return failed;
}
