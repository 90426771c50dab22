/* What a start costs by the memory that its host holds: of each size a process of its own, so that nothing of one falls
 * on the next. */
#define _GNU_SOURCE
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const keys[WAYS] = {"plain", "posix_spawn", "fork"};

/* A start that fails ends the process: of this size there are then no times. */
static void take(struct times *times, const int *ways, int count, int rounds) {
    double *values[WAYS] = {NULL};
    for (int i = 0; i < count; i++) {
        values[ways[i]] = calloc((size_t)rounds, sizeof(double));
    }
    for (int round = -2; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
            int way = ways[(i + round + 2) % count];
            double us = run_once(start_of(keys[way]));
            if (us < 0) {
                printf("skip - %s in a host of another size: %s\n", keys[way], strerror((int)-us));
                fflush(stdout);
                _exit(1);
            }
            if (round >= 0) {
                values[way][round] = us;
            }
        }
    }
    for (int i = 0; i < count; i++) {
        summarise(&times[ways[i]], values[ways[i]], rounds);
        free(values[ways[i]]);
    }
}

/* In this process as it is. fork comes last and alone: it leaves page faults to whoever follows. */
static void measure_here(struct times *times, bool is_quick) {
    take(times, (const int[]){0, 1}, 2, is_quick ? 11 : 200);
    take(times, (const int[]){2}, 1, is_quick ? 5 : 30);
}

void measure_resident(struct bench *bench) {
    static const int sizes[RESIDENT_SIZES] = {16, 64, 256, 512, 1024};
    for (int way = 0; way < WAYS; way++) {
        if (!runs(start_of(keys[way]))) {
            return;
        }
    }
    struct times *shared = mmap(NULL, sizeof(struct times) * WAYS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < RESIDENT_SIZES && shared != MAP_FAILED; i++) {
        bench->resident[i].mib = sizes[i];
        if (sizes[i] > bench->resident_mib) {
            continue;
        }
        fflush(stdout); /* or the copy would print it too */
        pid_t pid = fork();
        if (pid == 0) {
            if (become_resident(sizes[i])) {
                measure_here(shared, bench->is_quick);
                _exit(0);
            }
            _exit(1);
        }
        int status;
        if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0) {
            memcpy(bench->resident[i].times, shared, sizeof bench->resident[i].times);
        }
    }
}
