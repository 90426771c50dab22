/* How a container's cost grows with the mounts that are asked for, and with those that the host has. */
#define _GNU_SOURCE
#include "bench.h"
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The median; 0: a start failed. */
static double spawn_us(sandbox_cmd *cmd, int rounds) {
    double *times = calloc((size_t)rounds, sizeof *times), median = 0;
    for (int i = -2; i < rounds; i++) {
        sandbox_child *child;
        sandbox_error error = {.message = ""};
        double before = now_us();
        int result = sandbox_spawn(cmd, &child, &error);
        result = result < 0 ? result : ended_well(child);
        double after = now_us();
        if (result < 0) {
            fprintf(stderr, "a container by its mounts: %s\n", *error.message ? error.message : strerror(-result));
            goto done;
        }
        if (i >= 0) {
            times[i] = after - before;
        }
    }
    median = median_of(times, rounds);
done:
    free(times);
    return median;
}

static double with_own_mounts(int count, int rounds) {
    sandbox_cmd *cmd = sandbox_cmd_new(program);
    ask_container(cmd);
    for (int i = 3; i < count; i++) {
        char target[32];
        snprintf(target, sizeof target, "/mounts/%d", i);
        if (i % 2) {
            sandbox_cmd_bind(cmd, "/usr", target, 0);
        } else {
            sandbox_cmd_tmpfs(cmd, target, 1 << 20, 0755);
        }
    }
    double median = spawn_us(cmd, rounds);
    sandbox_cmd_free(cmd);
    return median;
}

/* In a mount namespace of its own, which ends with the process. */
static double with_host_mounts(int count, int rounds) {
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%s-mounts", program);
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || (mkdir(directory, 0755) && errno != EEXIST) ||
        mount("tmpfs", directory, "tmpfs", 0, NULL)) {
        return -1;
    }
    for (int i = 0; i < count; i++) {
        char target[PATH_MAX + 16];
        snprintf(target, sizeof target, "%s/%d", directory, i);
        if (mkdir(target, 0755) || mount("tmpfs", target, "tmpfs", 0, "size=4k")) {
            return -1;
        }
    }
    sandbox_cmd *cmd = sandbox_cmd_new(program);
    ask_container(cmd);
    return spawn_us(cmd, rounds);
}

static double apart(double (*measure)(int, int), int count, int rounds) {
    double *result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *result = 0;
    pid_t pid = fork();
    if (pid == 0) {
        *result = measure(count, rounds);
        _exit(0);
    }
    if (pid > 0) {
        waitpid(pid, NULL, 0);
    }
    double median = *result;
    munmap(result, sizeof *result);
    return median;
}

void measure_growth(struct bench *bench) {
    static const int own[GROWTH] = {4, 16, 64, 256}, host[GROWTH] = {20, 200, 1000, 2000};
    int rounds = bench->is_quick ? 5 : 50;
    for (int i = 0; i < GROWTH; i++) {
        bench->own_mounts[i] = (struct growth){own[i], apart(with_own_mounts, own[i], rounds)};
        bench->host_mounts[i] = (struct growth){host[i], apart(with_host_mounts, host[i], rounds)};
    }
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%s-mounts", program);
    rmdir(directory);
}
