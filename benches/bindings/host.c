/* The host in C, the library itself: see hosts.py. host-c MiB */
#define _GNU_SOURCE
#include <sandbox_spawn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;
static char program[] = "/bin/true";
static char *const arguments[] = {program, NULL};

static int reaped(sandbox_cmd *cmd) {
    sandbox_child *child;
    sandbox_status status;
    int result = sandbox_spawn(cmd, &child, NULL);
    if (result == 0) {
        result = sandbox_child_wait(child, -1, &status, sizeof status);
        sandbox_child_free(child);
    }
    return result < 0 ? result : status.code;
}

static int spawn_c(void) {
    pid_t pid;
    int status = -1;
    return posix_spawn(&pid, program, NULL, NULL, arguments, environ) || waitpid(pid, &status, 0) != pid || status;
}

static int spawn_new(void) {
    sandbox_cmd *cmd = sandbox_cmd_new(program);
    int result = reaped(cmd);
    sandbox_cmd_free(cmd);
    return result;
}

static int spawn_same(void) {
    static sandbox_cmd *cmd;
    cmd = cmd ? cmd : sandbox_cmd_new(program);
    return reaped(cmd);
}

static int run(void) {
    static sandbox_cmd *cmd;
    cmd = cmd ? cmd : sandbox_cmd_new(program);
    sandbox_result *result = NULL;
    sandbox_status status = {.code = -1};
    int error = sandbox_run(cmd, NULL, NULL, &result, NULL);
    if (error == 0) {
        sandbox_result_status(result, &status, sizeof status);
        sandbox_result_free(result);
    }
    return error < 0 ? error : status.code;
}

static const struct {
    const char *key, *title, *against;
    int (*once)(void);
} ways[] = {
    {"posix_spawn", "posix_spawn, waitpid", NULL, spawn_c},
    {"spawn", "sandbox_spawn, wait", "posix_spawn", spawn_new},
    {"spawn_same", "... of one sandbox_cmd", "posix_spawn", spawn_same},
    {"run", "sandbox_run, output captured", "posix_spawn", run},
};
enum { WAYS = sizeof ways / sizeof *ways };

static void hello(void) {
    printf("{\"runtime\": \"library %s\", \"ways\": [", sandbox_version());
    for (int i = 0; i < WAYS; i++) {
        printf("%s{\"key\": \"%s\", \"title\": \"%s\"", i ? ", " : "", ways[i].key, ways[i].title);
        printf(ways[i].against ? ", \"against\": \"%s\"}" : "}", ways[i].against);
    }
    printf("]}\n");
}

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int once(const char *key) {
    for (int i = 0; i < WAYS; i++) {
        if (strcmp(ways[i].key, key) == 0) {
            double before = now_us();
            int result = ways[i].once();
            printf("{\"us\": %.1f}\n", now_us() - before);
            return result;
        }
    }
    return -1;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    size_t resident = argc == 2 ? (size_t)atol(argv[1]) << 20 : 0;
    if (resident) {
        void *memory = mmap(NULL, resident, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            printf("{\"skip\": \"no memory\"}\n");
            return 0;
        }
        memset(memory, 1, resident);
    }
    hello();
    char key[64];
    while (scanf("%63s", key) == 1) {
        if (once(key) != 0) {
            fprintf(stderr, "host-c: %s failed\n", key);
            return 1;
        }
    }
    return 0;
}
