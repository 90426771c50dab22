/* What the files of the benchmark share: the starts that are compared, and what is known of each.
 * starts.c holds the table of them and the library's; bare.c those that use no library; containers.c what has a root, peers.c
 * others' programs for that; measure.c takes times, growth.c and resident.c those by size, count.c counts system calls, fds
 * and allocations; filters.c has the filters and what they cost once, calls.c the calls that somebody else decides; report.c
 * prints. */
#ifndef BENCH_H
#define BENCH_H

#include <linux/filter.h>
#include <sandbox_spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { SMALL, RESIDENT, SIZES };

/* Why a start runs apart from the others. */
enum {
    COPIES_MEMORY = 1, /* as fork does: it leaves page faults behind for whoever runs next */
    OTHER_THREAD = 2,  /* not the process's first */
    CONTAINER = 4,     /* leaves namespaces to take down */
    SLOW = 8,          /* another program's: fewer rounds are enough, and nothing in it is counted */
};

struct times {
    int rounds;
    double median, p10, p90; /* microseconds; of a start: until it is reaped */
    double ratio;            /* of medians, to posix_spawn's in the same rounds */
    double ratio_p10;        /* of the tenth percentiles: the same with less of the machine's noise */
};

/* What is loaded before the no-op runs, in this order. */
enum filters { NONE, ONE_RULE, RULES, NOTIFYING, FOUR, STACKS };
struct filter_stack {
    int count;
    bool notifies; /* the last one */
    sandbox_filter *filters[4];
    struct sock_fprog programs[4]; /* the same, exported */
};

/* Of one start: medians of several, the same again and again in a quiet process. -1: not known. */
struct counts {
    int host_syscalls, child_syscalls; /* by the calling thread (and any that it starts); by the child until its exec */
    int fds_opened, fds_left;          /* in the host */
    int made, grown, freed;            /* allocations in the host, the library's included */
};

/* One way to start the no-op and reap it. */
struct start {
    const char *key, *title;
    unsigned flags;
    int (*prepare)(struct start *start); /* what is done ahead of it, by nobody's clock; NULL: nothing */
    int (*once)(struct start *start); /* start to reaped: 0 or -errno */
    void (*restore)(struct start *start); /* what puts back what `prepare` changed, by nobody's clock; NULL: nothing */
    int (*ask)(sandbox_cmd *cmd);     /* what is asked of the command, where `once` is the library's */
    const char *floor;                /* key of the start that does the same in bare C; NULL: none */
    double hold;                      /* the ratio to hold; 0: none is set */
    enum filters filters;

    sandbox_cmd *cmd;
    sandbox_pool *pool;
    char skipped[200]; /* why it can't run here; empty: it can */
    struct times times[SIZES];
    struct counts counts;
};

struct rate {
    int threads;
    double ours, theirs; /* spawns a second */
};
enum { RATES = 3 };

/* What a filter costs once, and what the simulator takes for a call. */
struct cost {
    char title[64], skipped[100];
    int instructions;
    double read_us, compile_us, add_us; /* its rules; by who first needs it compiled; to a command, once it is */
    double simulate_ns;
};
enum { COSTS = 3 };

/* One way to have a system call decided. */
struct answer {
    const char *key, *title;
    int (*serve)(sandbox_child *child); /* until it has made its calls: 0 or -errno */
    int kind;
    double hold; /* the ratio to hold */

    sandbox_cmd *cmd;
    char skipped[100];
    struct times times; /* of a call; the ratios are to the one with the key "bare" */
};

/* A container with that many mounts, or on a host with that many more. */
struct growth {
    int mounts;
    double us; /* < 0: not to be had here; 0: it failed */
};
enum { GROWTH = 4 };

/* A start by the library, by posix_spawn and by fork, from a host that holds this much memory. */
enum { WAYS = 3, RESIDENT_SIZES = 5 };
struct resident {
    int mib;
    struct times times[WAYS]; /* without ratios; no rounds: not measured */
};

struct bench {
    int rounds, resident_mib, slice_ms, slices;
    bool is_quick;
    const char *only, *json, *profile;
    struct rate rates[RATES];
    struct cost costs[COSTS];
    struct growth own_mounts[GROWTH], host_mounts[GROWTH];
    struct resident resident[RESIDENT_SIZES];
    int threads_left;
    long library_bytes; /* stripped */
    char no_tracing[100]; /* why system calls could not be counted */
};

#define HOLD_LIBRARY_BYTES (600L * 1024)

extern struct start starts[]; /* ends with a key of NULL; the first is the reference */
extern char program[];        /* the no-op's path */
extern char *program_argv[];
struct start *start_of(const char *key);

int bare_posix_spawn(struct start *start);
int bare_fork(struct start *start);
int bare_clone(struct start *start);
int bare_clone_confined(struct start *start);
int bare_clone_filtered(struct start *start);
int bare_container(struct start *start);
int bare_container_more(struct start *start);
int bare_pool_fill(struct start *start);
int bare_pool_run(struct start *start);
int ask_container(sandbox_cmd *cmd);
int ask_container_more(sandbox_cmd *cmd);
int ask_container_landlock(sandbox_cmd *cmd);
int peer_bwrap(struct start *start);
int peer_bwrap_more(struct start *start);
int peer_firejail(struct start *start);
int peer_crun(struct start *start);
int peer_crun_enter(struct start *start);
void peer_crun_leave(struct start *start);
void containers_free(void);
void measure_growth(struct bench *bench);
void measure_resident(struct bench *bench);
bool become_resident(int mib);

void starts_prepare(const char *only);
void starts_free(void);
bool runs(const struct start *start);
int ended_well(sandbox_child *child); /* waits for it and frees it: 0 where it exited with 0, else -errno */
bool is_listed(const char *list, const char *key); /* in a list with commas; NULL: all are */

void filters_prepare(void);
void filters_free(void);
const struct filter_stack *stack_of(enum filters which);
void measure_costs(struct bench *bench);

extern struct answer answers[]; /* ends with a key of NULL */
struct answer *answer_of(const char *key);
void measure_calls(const struct bench *bench);
int calls_target(int fd); /* what `bench --target` does: the program that calls */

void measure_times(const struct bench *bench, int size);
void measure_rates(struct bench *bench);
int threads_of_host(void);
/* Runs it in the first thread or in another, as its flags say; microseconds or -errno. */
double run_once(struct start *start);

void count_all(struct bench *bench);
void count_marked(bool on); /* whether run_once tells a tracer where it begins and ends */
void count_mark(bool begins);

void report(const struct bench *bench);
int report_json(const struct bench *bench, FILE *out);

double now_us(void);
double median_of(double *values, int count); /* sorts them */
void summarise(struct times *times, double *values, int rounds);
int compare_doubles(const void *a, const void *b);

#endif
