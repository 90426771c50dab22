/* The results: a table to read, where what is to hold, what was measured and the floor stand side by side, and the
 * same as JSON with what is known of the machine. */
#define _GNU_SOURCE
#include "bench.h"
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

struct machine {
    struct utsname system;
    long cpus;
    char cpu[128], date[32];
};

static struct machine machine_facts(void) {
    struct machine machine = {.cpus = sysconf(_SC_NPROCESSORS_ONLN), .cpu = "unknown"};
    char line[256];
    uname(&machine.system);
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "model name : %127[^\n]", machine.cpu) != 1) {
    }
    if (file) {
        fclose(file);
    }
    time_t now = time(NULL);
    strftime(machine.date, sizeof machine.date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    return machine;
}

static double floor_of(const struct start *start, int size) {
    const struct start *floor = start->floor ? start_of(start->floor) : NULL;
    return floor && runs(floor) ? floor->times[size].ratio : 0;
}

static void print_ratio(double ratio) {
    if (ratio > 0) {
        printf(" %6.2f", ratio);
    } else {
        printf(" %6s", "");
    }
}

static void print_times_at(const struct start *start, int size) {
    const struct times *times = &start->times[size];
    if (times->rounds == 0) {
        return;
    }
    printf(" | %6.0f %6.0f %6.0f", times->p10, times->median, times->p90);
    print_ratio(start->hold);
    print_ratio(times->ratio);
    print_ratio(floor_of(start, size));
}

static void print_times(const struct bench *bench) {
    printf("Start to reaped of a static no-op, in microseconds; ratios of the medians to posix_spawn's in the same rounds\n\n");
    int sizes = starts->times[RESIDENT].rounds > 0 ? SIZES : 1;
    printf("%-34s | %-41s", "", "host small");
    if (sizes == SIZES) {
        printf(" | host with %d MiB resident", bench->resident_mib);
    }
    printf("\n%-34s", "");
    for (int size = 0; size < sizes; size++) {
        printf(" | %6s %6s %6s %6s %6s %6s", "p10", "p50", "p90", "hold", "ratio", "floor");
    }
    printf("\n");
    for (const struct start *start = starts; start->key; start++) {
        if (runs(start)) {
            printf("%-34s", start->title);
            for (int size = 0; size < sizes; size++) {
                print_times_at(start, size);
            }
            printf("\n");
        }
    }
}

static void print_count(int count) {
    if (count < 0) {
        printf(" %7s", "-");
    } else {
        printf(" %7d", count);
    }
}

static void print_counts(const struct bench *bench) {
    printf("\n%-34s | system calls    | fds             | allocations\n", "Counts of one start");
    printf("%-34s | %7s %7s | %7s %7s | %7s %7s %7s\n", "", "host", "child", "opened", "left", "made", "grown", "freed");
    for (const struct start *start = starts; start->key; start++) {
        const struct counts *counts = &start->counts;
        if (!runs(start)) {
            continue;
        }
        printf("%-34s |", start->title);
        print_count(counts->host_syscalls);
        print_count(counts->child_syscalls);
        printf(" |");
        print_count(counts->fds_opened);
        print_count(counts->fds_left);
        printf(" |");
        print_count(counts->made);
        print_count(counts->grown);
        print_count(counts->freed);
        printf("\n");
    }
    if (bench->no_tracing[0]) {
        printf("skip - system calls and fds opened: %s\n", bench->no_tracing);
    }
}

static void print_rates(const struct bench *bench) {
    printf("\nStarts a second by worker threads, none of them the process's first\n");
    printf("%-34s | sandbox_spawn  posix_spawn  ratio\n", "threads");
    for (int i = 0; i < RATES; i++) {
        const struct rate *rate = &bench->rates[i];
        if (rate->ours > 0 && rate->theirs > 0) {
            printf("%-34d | %13.0f  %11.0f %6.2f\n", rate->threads, rate->ours, rate->theirs, rate->ours / rate->theirs);
        }
    }
}

static void print_calls(void) {
    printf("\nOne getppid, decided by another, in microseconds; ratios of the medians to bare C's\n\n");
    printf("%-44s | %6s %6s %6s %6s %6s\n", "", "p10", "p50", "p90", "hold", "ratio");
    for (const struct answer *answer = answers; answer->key; answer++) {
        const struct times *times = &answer->times;
        if (times->rounds > 0) {
            printf("%-44s | %6.2f %6.2f %6.2f", answer->title, times->p10, times->median, times->p90);
            print_ratio(answer->hold);
            print_ratio(times->ratio);
            printf("\n");
        } else if (answer->skipped[0]) {
            printf("skip - %s: %s\n", answer->key, answer->skipped);
        }
    }
}

static void print_costs(const struct bench *bench) {
    printf("\nFilters: paid once, in microseconds; and the simulator, nanoseconds a call\n\n");
    printf("%-44s | %12s | %8s %8s %8s | %8s %12s\n", "", "instructions", "read", "compiled", "added", "a call", "calls/s");
    for (int i = 0; i < COSTS; i++) {
        const struct cost *cost = &bench->costs[i];
        if (cost->skipped[0]) {
            printf("skip - %s: %s\n", cost->title, cost->skipped);
        } else if (cost->instructions > 0) {
            printf("%-44s | %12d | %8.0f %8.0f %8.1f | %8.0f %12.0f\n", cost->title, cost->instructions, cost->read_us,
                   cost->compile_us, cost->add_us, cost->simulate_ns, 1e9 / cost->simulate_ns);
        }
    }
}

static void print_growth_of(const struct growth *growth, const char *what) {
    printf("%5d%s: ", growth->mounts, what);
    if (growth->us < 0) {
        printf("not to be had here (root alone can mount)");
    } else if (growth->us == 0) {
        printf("FAILED");
    } else {
        printf("%7.0f", growth->us);
    }
}

static void print_growth(const struct bench *bench) {
    printf("\nA container by its mounts, and by the host's, microseconds from start to reaped\n\n");
    for (int i = 0; i < GROWTH; i++) {
        print_growth_of(&bench->own_mounts[i], " mounts of its own");
        printf("   ");
        print_growth_of(&bench->host_mounts[i], " mounts more of the host's");
        printf("\n");
    }
}

static void print_resident(const struct bench *bench) {
    printf("\nA start by the memory of its host, microseconds (p10, p50)\n\n%8s |   sandbox_spawn     posix_spawn            fork\n", "MiB");
    for (int i = 0; i < RESIDENT_SIZES; i++) {
        const struct times *times = bench->resident[i].times;
        if (times->rounds > 0) {
            printf("%8d | %7.0f %7.0f %7.0f %7.0f %7.0f %7.0f\n", bench->resident[i].mib, times[0].p10, times[0].median, times[1].p10,
                   times[1].median, times[2].p10, times[2].median);
        }
    }
}

static const char *verdict(bool holds) {
    return holds ? "holds" : "DOES NOT HOLD";
}

/* Where bare C does not hold either, the machine is none for these numbers: how far the library is from it says more. */
static void print_hold_of(const struct start *start, int size) {
    const struct times *times = &start->times[size];
    double least = floor_of(start, size);
    if (times->ratio > 0) {
        printf("%-34s | %-13s %8.2f %9.3f %9.3f %9.3f %9.2f  %s%s\n", start->title, size == SMALL ? "host small" : "host resident",
               start->hold, times->ratio, times->ratio_p10, least, least > 0 ? times->ratio / least : 0,
               verdict(times->ratio <= start->hold), times->ratio > start->hold && least > start->hold ? ", nor does bare C" : "");
    }
}

/* The ratio of tenth percentiles beside that of medians: where the two differ much, the machine was busy. */
static void print_holds(const struct bench *bench) {
    printf("\n%-34s | %-13s %8s %9s %9s %9s %9s\n", "To hold", "", "hold", "measured", "at p10", "floor", "of floor");
    for (const struct start *start = starts; start->key; start++) {
        for (int size = 0; size < SIZES && start->hold > 0 && runs(start); size++) {
            print_hold_of(start, size);
        }
    }
    for (const struct answer *answer = answers; answer->key; answer++) {
        const struct times *times = &answer->times;
        if (answer->hold > 0 && times->rounds > 0) {
            printf("%-34s | %-13s %8.2f %9.3f %9.3f %9s %9s  %s\n", answer->title, "of bare C", answer->hold, times->ratio,
                   times->ratio_p10, "", "", verdict(times->ratio <= answer->hold));
        }
    }
    printf("%-34s | %-13s %8d %9d %9s %9s %9s  %s\n", "threads of the host afterwards", "", 1, bench->threads_left, "", "", "",
           verdict(bench->threads_left == 1));
    printf("%-34s | %-13s %8ld %9ld %9s %9s %9s  %s\n", "the library, stripped", "KB", HOLD_LIBRARY_BYTES / 1024,
           (bench->library_bytes + 1023) / 1024, "", "", "",
           verdict(bench->library_bytes > 0 && bench->library_bytes <= HOLD_LIBRARY_BYTES));
}

void report(const struct bench *bench) {
    struct machine machine = machine_facts();
    printf("sandbox_spawn %s on Linux %s %s, %ld CPUs (%s), %s; %d rounds\n", sandbox_version(), machine.system.release,
           machine.system.machine, machine.cpus, machine.cpu, machine.date, bench->rounds);
    print_times(bench);
    print_counts(bench);
    print_rates(bench);
    if (is_listed(bench->only, "calls")) {
        print_calls();
    }
    if (is_listed(bench->only, "costs")) {
        print_costs(bench);
    }
    if (is_listed(bench->only, "growth")) {
        print_growth(bench);
    }
    if (is_listed(bench->only, "resident")) {
        print_resident(bench);
    }
    print_holds(bench);
    for (const struct start *start = starts; start->key; start++) {
        if (!runs(start) && strcmp(start->skipped, "not asked for") != 0) {
            printf("skip - %s: %s\n", start->key, start->skipped);
        }
    }
}

static void json_string(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            fprintf(out, "\\%c", byte);
        } else if (byte < 0x20) {
            fprintf(out, "\\u%04x", byte);
        } else {
            fputc(byte, out);
        }
    }
    fputc('"', out);
}

static void json_field(FILE *out, const char *name, const char *text) {
    fprintf(out, "\"%s\": ", name);
    json_string(out, text);
}

static void json_start(FILE *out, const struct start *start) {
    static const char *const sizes[SIZES] = {"small", "resident"};
    fprintf(out, "    {");
    json_field(out, "key", start->key);
    fprintf(out, ", ");
    json_field(out, "title", start->title);
    if (!runs(start)) {
        fprintf(out, ", ");
        json_field(out, "skipped", start->skipped);
    }
    if (start->hold > 0) {
        fprintf(out, ", \"hold\": %.2f", start->hold);
    }
    for (int size = 0; size < SIZES; size++) {
        const struct times *times = &start->times[size];
        if (times->rounds == 0) {
            continue;
        }
        fprintf(out, ",\n     \"%s\": {\"rounds\": %d, \"median_us\": %.1f, \"p10_us\": %.1f, \"p90_us\": %.1f, \"ratio\": %.4f, \"ratio_p10\": %.4f",
                sizes[size], times->rounds, times->median, times->p10, times->p90, times->ratio, times->ratio_p10);
        if (floor_of(start, size) > 0) {
            fprintf(out, ", \"floor\": %.4f", floor_of(start, size));
        }
        fprintf(out, "}");
    }
    const struct counts *counts = &start->counts;
    fprintf(out, ",\n     \"counts\": {\"host_syscalls\": %d, \"child_syscalls\": %d, \"fds_opened\": %d, \"fds_left\": %d, \"allocations_made\": %d, \"allocations_grown\": %d, \"allocations_freed\": %d}}",
            counts->host_syscalls, counts->child_syscalls, counts->fds_opened, counts->fds_left, counts->made, counts->grown, counts->freed);
}

static void json_call(FILE *out, const struct answer *answer) {
    fprintf(out, "    {");
    json_field(out, "key", answer->key);
    fprintf(out, ", ");
    json_field(out, "title", answer->title);
    if (answer->skipped[0]) {
        fprintf(out, ", ");
        json_field(out, "skipped", answer->skipped);
    }
    if (answer->hold > 0) {
        fprintf(out, ", \"hold\": %.2f", answer->hold);
    }
    const struct times *times = &answer->times;
    if (times->rounds > 0) {
        fprintf(out, ", \"rounds\": %d, \"median_us\": %.3f, \"p10_us\": %.3f, \"p90_us\": %.3f, \"ratio\": %.4f, \"ratio_p10\": %.4f",
                times->rounds, times->median, times->p10, times->p90, times->ratio, times->ratio_p10);
    }
    fprintf(out, "}%s\n", answer[1].key ? "," : "");
}

static void json_cost(FILE *out, const struct cost *cost, bool is_last) {
    fprintf(out, "    {");
    json_field(out, "title", cost->title);
    if (cost->skipped[0]) {
        fprintf(out, ", ");
        json_field(out, "skipped", cost->skipped);
    } else {
        fprintf(out, ", \"instructions\": %d, \"read_us\": %.1f, \"compile_us\": %.1f, \"add_us\": %.2f, \"simulate_ns\": %.1f",
                cost->instructions, cost->read_us, cost->compile_us, cost->add_us, cost->simulate_ns);
    }
    fprintf(out, "}%s\n", is_last ? "" : ",");
}

int report_json(const struct bench *bench, FILE *out) {
    struct machine machine = machine_facts();
    fprintf(out, "{");
    json_field(out, "library", sandbox_version());
    fprintf(out, ", ");
    json_field(out, "date", machine.date);
    fprintf(out, ",\n  \"machine\": {");
    json_field(out, "kernel", machine.system.release);
    fprintf(out, ", ");
    json_field(out, "arch", machine.system.machine);
    fprintf(out, ", ");
    json_field(out, "cpu", machine.cpu);
    fprintf(out, ", \"cpus\": %ld},\n  \"rounds\": %d, \"resident_mib\": %d,\n  \"starts\": [\n", machine.cpus, bench->rounds, bench->resident_mib);
    for (const struct start *start = starts; start->key; start++) {
        json_start(out, start);
        fprintf(out, "%s\n", start[1].key ? "," : "");
    }
    fprintf(out, "  ],\n  \"rates\": [\n");
    for (int i = 0; i < RATES; i++) {
        const struct rate *rate = &bench->rates[i];
        fprintf(out, "    {\"threads\": %d, \"sandbox_spawn_per_s\": %.0f, \"posix_spawn_per_s\": %.0f}%s\n", rate->threads,
                rate->ours, rate->theirs, i + 1 < RATES ? "," : "");
    }
    fprintf(out, "  ],\n  \"calls\": [\n");
    for (const struct answer *answer = answers; answer->key; answer++) {
        json_call(out, answer);
    }
    fprintf(out, "  ],\n  \"filters\": [\n");
    for (int i = 0; i < COSTS; i++) {
        json_cost(out, &bench->costs[i], i + 1 == COSTS);
    }
    const struct growth *both[] = {bench->own_mounts, bench->host_mounts};
    for (int which = 0; which < 2; which++) {
        fprintf(out, "  ],\n  \"%s\": [\n", which ? "host_mounts" : "own_mounts");
        for (int i = 0; i < GROWTH; i++) {
            fprintf(out, "    {\"mounts\": %d, \"us\": %.1f}%s\n", both[which][i].mounts, both[which][i].us, i + 1 < GROWTH ? "," : "");
        }
    }
    fprintf(out, "  ],\n  \"resident\": [\n");
    static const char *const ways[WAYS] = {"sandbox_spawn", "posix_spawn", "fork"};
    for (int i = 0; i < RESIDENT_SIZES; i++) {
        fprintf(out, "    {\"mib\": %d", bench->resident[i].mib);
        for (int way = 0; way < WAYS && bench->resident[i].times->rounds > 0; way++) {
            const struct times *times = &bench->resident[i].times[way];
            fprintf(out, ", \"%s\": {\"rounds\": %d, \"median_us\": %.1f, \"p10_us\": %.1f, \"p90_us\": %.1f}", ways[way], times->rounds,
                    times->median, times->p10, times->p90);
        }
        fprintf(out, "}%s\n", i + 1 < RESIDENT_SIZES ? "," : "");
    }
    fprintf(out, "  ],\n  \"threads_afterwards\": {\"hold\": 1, \"measured\": %d},\n  \"library_bytes\": {\"hold\": %ld, \"measured\": %ld}",
            bench->threads_left, HOLD_LIBRARY_BYTES, bench->library_bytes);
    if (bench->no_tracing[0]) {
        fprintf(out, ",\n  ");
        json_field(out, "no_tracing", bench->no_tracing);
    }
    fprintf(out, "\n}\n");
    return fclose(out);
}
