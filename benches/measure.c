/* Times: of each start, interleaved with all others in an order that changes every round, so that neither the
 * machine's drift nor what one start leaves behind falls on the same one always; and starts a second by many threads. */
#define _GNU_SOURCE
#include "bench.h"
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double timed(struct start *start) {
    int prepared = start->prepare ? start->prepare(start) : 0;
    if (prepared < 0) {
        return prepared;
    }
    count_mark(true);
    double before = now_us();
    int result = start->once(start);
    double after = now_us();
    count_mark(false);
    if (start->restore) {
        start->restore(start);
    }
    return result < 0 ? result : after - before;
}

static void *timed_in_thread(void *at) {
    struct start *start = *(struct start **)at;
    start->once(start); /* the thread's own first faults are not the start's */
    *(double *)at = timed(start);
    return NULL;
}

double run_once(struct start *start) {
    if (!(start->flags & OTHER_THREAD)) {
        return timed(start);
    }
    union {
        struct start *start;
        double result;
    } exchange = {.start = start};
    pthread_t thread;
    int error = pthread_create(&thread, NULL, timed_in_thread, &exchange);
    if (error) {
        return -error;
    }
    pthread_join(thread, NULL);
    return exchange.result;
}

int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median_of(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return count ? values[count / 2] : -1;
}

static void shuffle(struct start **order, int count) {
    static uint32_t state = 2463534242U; /* xorshift, the same order in every run */
    for (int last = count - 1; last > 0; last--) {
        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
        int other = (int)(state % (uint32_t)(last + 1));
        struct start *moved = order[last];
        order[last] = order[other];
        order[other] = moved;
    }
}

void summarise(struct times *times, double *values, int rounds) {
    times->median = median_of(values, rounds);
    times->rounds = rounds;
    times->p10 = values[rounds / 10];
    times->p90 = values[rounds * 9 / 10];
}

static bool take_round(struct start **order, int count, double **values, int round) {
    shuffle(order, count);
    for (int i = 0; i < count; i++) {
        double time = run_once(order[i]);
        if (time < 0) {
            snprintf(order[i]->skipped, sizeof order[i]->skipped, "in round %d: %s", round, strerror((int)-time));
            return false;
        }
        if (round >= 0) {
            values[order[i] - starts][round] = time;
        }
        if (order[i]->flags & COPIES_MEMORY) {
            starts->once(starts); /* takes the write faults that the copy left, which are nobody's who is measured */
        }
    }
    return true;
}

/* Interleaves `count` starts, the reference first among them, and says how they compare. */
static void measure_group(struct start **order, int count, int rounds, int size) {
    enum { MOST = 64, WARM_UP = 5 };
    double *values[MOST] = {NULL};
    for (int i = 0; i < count; i++) {
        values[order[i] - starts] = calloc((size_t)rounds, sizeof(double));
    }
    for (int round = -WARM_UP; round < rounds;) {
        if (take_round(order, count, values, round)) {
            round++;
            continue;
        }
        int kept = 0;
        for (int i = 0; i < count; i++) {
            if (runs(order[i])) {
                order[kept++] = order[i];
            }
        }
        count = kept;
        if (!runs(starts)) {
            fprintf(stderr, "posix_spawn: %s\n", starts->skipped);
            exit(1); /* nothing is left to compare with */
        }
    }
    struct times reference;
    summarise(&reference, values[0], rounds);
    for (int i = 0; i < count; i++) {
        struct times *times = &order[i]->times[size];
        summarise(times, values[order[i] - starts], rounds);
        times->ratio = times->median / reference.median;
        times->ratio_p10 = times->p10 / reference.p10;
    }
    for (int i = 0; i < MOST; i++) {
        free(values[i]);
    }
}

/* Each kind by itself, with the reference beside it: what a start leaves behind (page faults, namespaces that the kernel
 * takes down later) falls on its like. */
void measure_times(const struct bench *bench, int size) {
    static const struct {
        unsigned flag;
        int fraction[SIZES]; /* of the rounds */
    } kinds[] = {{0, {1, 1}}, {CONTAINER, {2, 2}}, {SLOW, {20, 40}}, {COPIES_MEMORY, {4, 25}}};
    enum { KIND = COPIES_MEMORY | CONTAINER | SLOW };
    struct times reference = {0};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        struct start *order[64];
        int count = 0;
        for (struct start *start = starts; start->key; start++) {
            if (runs(start) && (start == starts || (start->flags & KIND) == kinds[kind].flag)) {
                order[count++] = start;
            }
        }
        int rounds = bench->rounds / kinds[kind].fraction[size];
        measure_group(order, count, rounds < 10 ? 10 : rounds, size);
        reference = kind == 0 ? starts->times[size] : reference;
    }
    starts->times[size] = reference;
}

struct gang {
    struct start *start;
    pthread_barrier_t begin;
    double until;
    atomic_long done;
    atomic_int error;
};

static void *start_until(void *at) {
    struct gang *gang = at;
    pthread_barrier_wait(&gang->begin);
    while (now_us() < gang->until) {
        int result = gang->start->once(gang->start);
        if (result < 0) {
            gang->error = result;
            break;
        }
        gang->done++;
    }
    return NULL;
}

/* Starts in one slice of time; `elapsed` grows by what it took until the last thread was done. < 0: one failed. */
static long slice(struct start *start, int threads, int milliseconds, double *elapsed) {
    struct gang gang = {.start = start};
    pthread_t ids[64];
    pthread_barrier_init(&gang.begin, NULL, (unsigned)threads + 1);
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&ids[i], NULL, start_until, &gang)) {
            perror("pthread_create");
            exit(1);
        }
    }
    double before = now_us();
    gang.until = before + milliseconds * 1e3;
    pthread_barrier_wait(&gang.begin);
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
    }
    *elapsed += now_us() - before;
    pthread_barrier_destroy(&gang.begin);
    if (gang.error < 0) {
        printf("skip - starts a second, %s by %d threads: %s\n", start->title, threads, strerror(-gang.error));
        return -1;
    }
    return gang.done;
}

void measure_rates(struct bench *bench) {
    static const int threads[RATES] = {1, 8, 64};
    struct start *plain = start_of("plain");
    for (int i = 0; i < RATES; i++) {
        double our_time = 0, their_time = 0;
        long ours = 0, theirs = 0;
        bool good = runs(plain);
        for (int turn = 0; turn < bench->slices && good; turn++) {
            long our_part = slice(plain, threads[i], bench->slice_ms, &our_time);
            long their_part = slice(starts, threads[i], bench->slice_ms, &their_time);
            ours += our_part, theirs += their_part;
            good = our_part >= 0 && their_part >= 0;
        }
        bench->rates[i].threads = threads[i];
        bench->rates[i].ours = good ? (double)ours / our_time * 1e6 : -1;
        bench->rates[i].theirs = good ? (double)theirs / their_time * 1e6 : -1;
    }
}

static int count_threads(void) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks) {
        return -1;
    }
    for (struct dirent *entry; (entry = readdir(tasks));) {
        count += entry->d_name[0] != '.';
    }
    closedir(tasks);
    return count;
}

/* The kernel takes a moment to strike an ended thread off the list. */
int threads_of_host(void) {
    int count = count_threads();
    for (int patience = 0; count > 1 && patience < 200; patience++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        count = count_threads();
    }
    return count;
}
