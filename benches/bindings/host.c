/* The host in C, the library itself: see hosts.py. host-c MiB PROGRAM */
#define _GNU_SOURCE
#include "posix.h"
#include <sandbox_spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static char *program;
static char why[300];

/* Each way returns NULL where the program ran and exited with 0, else why it did not. */

static const char *failed(const char *doing, int error) {
    snprintf(why, sizeof why, "%s: %s", doing, strerror(error));
    return why;
}

static const char *judged(const sandbox_status *status) {
    if (status->kind == SANDBOX_EXITED && status->code == 0) {
        return NULL;
    }
    snprintf(why, sizeof why, "it ended with %s %d", status->kind == SANDBOX_EXITED ? "exit code" : "signal", status->code);
    return why;
}

static const char *judged_wait(int status) {
    if (status < 0) {
        return failed("posix_spawn", -status);
    }
    snprintf(why, sizeof why, "it ended with wait status %#x", (unsigned)status);
    return status ? why : NULL;
}

static const char *spawn_c(void) {
    return judged_wait(posix_plain(program));
}

static const char *spawn_c_captured(void) {
    return judged_wait(posix_captured(program));
}

static const char *reaped(const sandbox_cmd *cmd) {
    sandbox_child *child;
    sandbox_error error;
    if (sandbox_spawn(cmd, &child, &error) < 0) {
        snprintf(why, sizeof why, "%s: %s", sandbox_stage_name(error.stage), error.message);
        return why;
    }
    sandbox_status status;
    int result = sandbox_child_wait(child, -1, &status, sizeof status);
    sandbox_child_free(child);
    return result < 0 ? failed("sandbox_child_wait", -result) : judged(&status);
}

static const char *spawn_new(void) {
    sandbox_cmd *cmd = sandbox_cmd_new(program);
    const char *result = reaped(cmd);
    sandbox_cmd_free(cmd);
    return result;
}

static const char *spawn_same(void) {
    static sandbox_cmd *cmd;
    cmd = cmd ? cmd : sandbox_cmd_new(program);
    return reaped(cmd);
}

static const char *run(void) {
    static sandbox_cmd *cmd;
    cmd = cmd ? cmd : sandbox_cmd_new(program);
    sandbox_result *result;
    sandbox_error error;
    if (sandbox_run(cmd, NULL, NULL, &result, &error) < 0) {
        snprintf(why, sizeof why, "%s: %s", sandbox_stage_name(error.stage), error.message);
        return why;
    }
    sandbox_status status;
    int known = sandbox_result_status(result, &status, sizeof status);
    sandbox_result_free(result);
    return known < 0 ? failed("sandbox_result_status", -known) : judged(&status);
}

static const struct {
    const char *key, *title, *against;
    const char *(*once)(void);
} ways[] = {
    {"posix_spawn", "posix_spawn, waitpid", NULL, spawn_c},
    {"spawn", "sandbox_spawn, wait", "posix_spawn", spawn_new},
    {"spawn_same", "... of one sandbox_cmd", "posix_spawn", spawn_same},
    {"captured", "posix_spawn, output captured", NULL, spawn_c_captured},
    {"run", "sandbox_run, output captured", "captured", run},
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

static void say_error(const char *text) {
    printf("{\"error\": \"");
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        putchar(byte == '"' || byte == '\\' ? '\'' : byte < ' ' ? ' ' : byte);
    }
    printf("\"}\n");
}

static bool once(const char *key) {
    for (int i = 0; i < WAYS; i++) {
        if (strcmp(ways[i].key, key) == 0) {
            double before = now_us();
            const char *failure = ways[i].once();
            double took = now_us() - before;
            if (failure) {
                say_error(failure);
            } else {
                printf("{\"us\": %.1f}\n", took);
            }
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 3) {
        fprintf(stderr, "usage: host-c MiB PROGRAM\n");
        return 2;
    }
    size_t resident = (size_t)atol(argv[1]) << 20;
    program = argv[2];
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
        if (!once(key)) {
            fprintf(stderr, "host-c: no way %s\n", key);
            return 1;
        }
    }
    return 0;
}
