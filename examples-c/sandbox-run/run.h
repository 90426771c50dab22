/* sandbox-run: what its files share. options.c has the one table from which the command line, the profile's keys, the
 * help, the completion and the manual page follow (text.c prints those); profile.c reads TOML and JSON into the same
 * items; confine.c and files.c turn items into calls of the library; trace.c watches the program, learn.c writes down
 * what it needed; show.c prints. */
#ifndef SANDBOX_RUN_H
#define SANDBOX_RUN_H

#define _GNU_SOURCE
#include <sandbox_spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { NOT_STARTED = 125, OUT_OF_TIME = 124 };

struct run;

/* A line of the table. */
struct row {
    char letter;
    const char *name, *value; /* what the value is, for the help; NULL: none */
    const char *topic, *help;
    void (*apply)(struct run *run, const char *value); /* NULL: the command line's alone */
    unsigned flags;
};
enum {
    IN_ROOT = 1, /* asks for a file system of its own */
    ADDS = 2     /* but may also lie in the default root */
};

/* What was asked for, in its order: applied once all of it is known. */
struct item {
    const struct row *row;
    char *value;
    const char *path; /* the profile it stands in; NULL: the command line */
    int line, column;
};

/* Where what the program sees comes from. */
struct place {
    char *inside, *host; /* host NULL: it is the sandbox's own */
    bool is_writable;
};

struct run {
    struct item *items;
    size_t count;
    struct place *places; /* a later one lies over an earlier one */
    size_t place_count;
    char **argv; /* the program's; NULL-terminated */
    char **program; /* the profile's, likewise */
    size_t program_count;
    sandbox_cmd *cmd;
    sandbox_filter *calls;
    uint64_t namespaces, caps;
    const char *learn, *net;
    double seconds, deadline; /* wall-clock; 0: no limit */
    uint32_t landlock_abi;
    int json_fd; /* -1: none */
    bool explains, probes, traces, keeps_env, has_preset, has_root, has_directory, has_ports, starts_here, is_late;
};

extern const struct row rows[]; /* ends with a name of NULL */

const struct row *row_named(const char *name, size_t length);
struct item *add_item(struct run *run, const struct row *row, const char *value);
void parse_arguments(struct run *run, int argc, char **argv);
void read_profile(struct run *run, const char *path);
void print_help(FILE *out, const char *topic);
void print_completion(void);
void print_manual(void);

void confine(struct run *run);
void show_default_root(struct run *run);
void add_place(struct run *run, const char *inside, const char *host, bool is_writable);
char *cut(char *text); /* at its first colon, "\:" being none; what follows, or NULL */
double number(const char *option, const char *text, double least, double most);
uint64_t size_of(const char *option, const char *text);
char *contents(const char *path, size_t *length);

int supervise(struct run *run, sandbox_child *child); /* watches until the last has ended */
void tend(struct run *run, sandbox_child *child);     /* signals to pass on, the time that is over */
void add_watching_filter(struct run *run);
const char *name_of_call(int number); /* NULL: none */
void write_learned(const struct run *run, const char *path);

int print_probe(void);
int print_explanation(const struct run *run);
void print_json(int fd, const sandbox_status *status, const sandbox_error *error);
void write_string(FILE *out, const char *text); /* quoted for JSON and TOML */

/* What the program did, as trace.c saw it. */
enum kind { READ, LIST, LOOK, RUN, WRITE, MAKE, REACH, SERVE };
struct note {
    enum kind kind;
    char *name;     /* as the program said it, or an address */
    char *resolved; /* without links */
};
extern struct seen {
    struct note *notes;
    size_t count;
    bool prints, has_network;
    bool called[1024];
    bool connected[65536], bound[65536]; /* TCP ports */
} seen;

/* One line on standard error, and the exit code of what was never started. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern const struct item *blamed; /* whose profile and line an error names */
extern int report_fd;             /* --json */
void *grown(void *list, size_t count, size_t size); /* room for one more than `count`; only ever one at a time */
char *copied(const char *text);
bool is_below(const char *path, const char *directory);
bool is_system(const char *path); /* shown by --system */

#endif
