/* What a sandboxed start costs, beside posix_spawn, fork and the least that bare C can do.
 * What a filter costs, and a call that a supervisor answers. Everything is measured in one run, interleaved: compare the ratios, not the times. Timings decide nothing here. */
#define _GNU_SOURCE
#include "bench.h"
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char directory[] = "/tmp/sandbox-benchXXXXXX";
char program[sizeof directory + 16];
char *program_argv[] = {program, NULL};

static void usage(FILE *out) {
    fprintf(out,
            "usage: bench [options]\n"
            "  --rounds N       interleaved rounds at each size (default 1000)\n"
            "  --quick          few rounds, short slices: to see that it works\n"
            "  --resident MiB   memory of the large host (default 1024; 0: leave it out)\n"
            "  --only KEY,...   these starts alone, with posix_spawn:");
    for (const struct start *start = starts; start->key; start++) {
        fprintf(out, " %s", start->key);
    }
    fprintf(out, " calls costs growth resident\n  --profile FILE   an OCI seccomp profile to read and compile (default /usr/share/containers/seccomp.json)");
    fprintf(out, "\n  --json FILE      write the results there too\n  --help\n");
}

static bool number(const char *text, int least, int most, int *value) {
    char *end;
    errno = 0;
    long parsed = strtol(text, &end, 10);
    *value = (int)parsed;
    return errno == 0 && end != text && *end == '\0' && parsed >= least && parsed <= most;
}

/* 0: go on; else the exit code, plus 1. */
static int options(int argc, char **argv, struct bench *bench) {
    static const struct option known[] = {
        {"rounds", required_argument, NULL, 'r'}, {"quick", no_argument, NULL, 'q'}, {"resident", required_argument, NULL, 'm'},
        {"only", required_argument, NULL, 'o'},   {"profile", required_argument, NULL, 'p'}, {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    *bench = (struct bench){.rounds = 1000, .resident_mib = 1024, .slice_ms = 250, .slices = 4, .profile = "/usr/share/containers/seccomp.json"};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        bool good = true;
        switch (option) {
        case 'r': good = number(optarg, 1, 1000000, &bench->rounds); break;
        case 'q': bench->is_quick = true, bench->rounds = 60, bench->slice_ms = 50, bench->slices = 2; break;
        case 'm': good = number(optarg, 0, 1 << 20, &bench->resident_mib); break;
        case 'o': bench->only = optarg; break;
        case 'p': bench->profile = optarg; break;
        case 'j': bench->json = optarg; break;
        case 'h': usage(stdout); return 1;
        default: good = false;
        }
        if (!good) {
            usage(stderr);
            return 3;
        }
    }
    if (optind < argc) {
        usage(stderr);
        return 3;
    }
    return 0;
}

/* `what` by the shell, with two paths that hold no character it would mind. */
static bool shell(const char *what, const char *first, const char *second) {
    char command[8192];
    int length = snprintf(command, sizeof command, what, first, second);
    return length > 0 && (size_t)length < sizeof command && system(command) == 0;
}

static bool build_program(void) {
    const char *compiler = getenv("CC");
    if (!mkdtemp(directory)) {
        perror(directory);
        return false;
    }
    snprintf(program, sizeof program, "%s/no-op", directory);
    return shell("echo 'int main(void) { return 0; }' | %s -O2 -static -x c -o %s -", compiler && *compiler ? compiler : "cc", program);
}

static void remove_directory(void) {
    containers_free();
    unlink(program);
    rmdir(directory);
}

/* The loaded library's file, stripped as a distribution would. */
static long library_size(void) {
    Dl_info info;
    char copy[sizeof directory + 16];
    struct stat status;
    snprintf(copy, sizeof copy, "%s/library", directory);
    if (!dladdr((void *)(size_t)sandbox_version, &info) || !shell("strip -o '%2$s' '%1$s'", info.dli_fname, copy)) {
        return -1;
    }
    long size = stat(copy, &status) == 0 ? (long)status.st_size : -1;
    unlink(copy);
    return size;
}

/* In small pages: what a fork must copy the tables of. */
bool become_resident(int mib) {
    size_t size = (size_t)mib << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        printf("skip - a host with %d MiB: %s\n", mib, strerror(errno));
        return false;
    }
    madvise(memory, size, MADV_NOHUGEPAGE);
    memset(memory, 1, size);
    return true;
}

static void measure(struct bench *bench) {
    filters_prepare();
    starts_prepare(bench->only);
    if (!runs(starts)) {
        fprintf(stderr, "posix_spawn: %s\n", starts->skipped);
        exit(1);
    }
    count_all(bench);
    measure_times(bench, SMALL);
    measure_rates(bench);
    if (is_listed(bench->only, "calls")) {
        measure_calls(bench);
    }
    if (is_listed(bench->only, "costs")) {
        measure_costs(bench);
    }
    if (is_listed(bench->only, "resident")) {
        measure_resident(bench);
    }
    if (is_listed(bench->only, "growth")) {
        measure_growth(bench);
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL); /* the kernel still takes down thousands of mounts */
    }
    if (bench->resident_mib > 0 && become_resident(bench->resident_mib)) {
        measure_times(bench, RESIDENT);
    }
    bench->threads_left = threads_of_host();
    bench->library_bytes = library_size();
    starts_free();
    filters_free();
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--target") == 0) {
        return calls_target(3);
    }
    struct bench bench;
    int ended = options(argc, argv, &bench);
    if (ended) {
        return ended - 1;
    }
    FILE *json = bench.json ? fopen(bench.json, "we") : NULL; /* now: not after all the work */
    if (bench.json && !json) {
        perror(bench.json);
        return 1;
    }
    atexit(remove_directory);
    if (!build_program()) {
        fprintf(stderr, "bench: the no-op could not be compiled\n");
        return 1;
    }
    measure(&bench);
    report(&bench);
    if (bench.json && report_json(&bench, json)) {
        perror(bench.json);
        return 1;
    }
    return 0;
}
