/* sandbox-bwrap: bubblewrap's command line on this library. options.c has the one table from which the command line,
 * the help, the completion and the manual page follow (text.c prints those); files.c turns what is about the file system
 * into calls of the library, confine.c the rest; status.c writes what others wait for; main.c starts the program. */
#ifndef SANDBOX_BWRAP_H
#define SANDBOX_BWRAP_H

#define _GNU_SOURCE
#include <sandbox_spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct bwrap;

struct row {
    const char *name, *values; /* values: what they are, for the help; NULL: none */
    const char *topic, *help;
    void (*apply)(struct bwrap *b, const struct row *row, char **values);
    int64_t number; /* the row's own, for `apply` */
    int count;      /* of values */
    bool takes_perms;
};

struct list {
    const char **items; /* NULL-terminated */
    size_t count;
};

struct bwrap {
    sandbox_cmd *cmd;
    char **argv; /* the program's; NULL-terminated */
    const char *argv0, *chdir, *hostname;
    uint64_t namespaces; /* asked for: SANDBOX_NS_* */
    bool user_try, cgroup_try, disables_userns, asserts_userns_disabled;
    bool new_session, die_with_parent, as_pid_1;
    bool gives_caps; /* --cap-add or --cap-drop was given */
    uint64_t caps, own_caps;
    int64_t uid, gid; /* -1: the caller's */
    int perms;        /* of the next operation; -1: not given */
    uint64_t size;    /* of the next tmpfs; 0: not given */
    int userns_fd, userns2_fd, pidns_fd, sync_fd, block_fd, userns_block_fd, info_fd, json_fd, seccomp_fd; /* -1: none */
    int *seccomp_fds;
    size_t seccomp_count;
    sandbox_filter **filters; /* once they are read */
    size_t filter_count;
    struct list layers, locks;
    struct operation *operations;
    size_t operation_count;
    const char *home; /* what HOME is inside */
    bool clears_env;
    struct list changed; /* "NAME=value", or "NAME": unset; in the order given */
};

/* One of the file system's, in the order given. */
struct operation {
    void (*put)(struct bwrap *b, struct operation *o);
    const struct row *row;
    const char *source, *work, *target;
    const char **layers;
    int fd, perms;
    uint64_t size;
    char *content; /* what the fd gave, once it is read */
    size_t length;
};

extern const struct row rows[]; /* ends with a name of NULL */
extern bool has_level_prefix;

void parse_arguments(struct bwrap *b, int argc, char **argv);
void print_help(FILE *out);
void print_completion(void);
void print_manual(void);

void do_bind(struct bwrap *b, struct operation *o);
void do_bind_fd(struct bwrap *b, struct operation *o);
void do_data(struct bwrap *b, struct operation *o);
void do_chmod(struct bwrap *b, struct operation *o);
void do_remount(struct bwrap *b, struct operation *o);
void do_proc(struct bwrap *b, struct operation *o);
void do_dev(struct bwrap *b, struct operation *o);
void do_tmpfs(struct bwrap *b, struct operation *o);
void do_mqueue(struct bwrap *b, struct operation *o);
void do_dir(struct bwrap *b, struct operation *o);
void do_symlink(struct bwrap *b, struct operation *o);
void do_overlay(struct bwrap *b, struct operation *o);
void build_files(struct bwrap *b);

uint64_t capability(const char *name);
uint64_t own_capabilities(void);
void check(struct bwrap *b);
void confine(struct bwrap *b);
void enter_given_namespaces(struct bwrap *b);
int assert_userns_disabled(const struct bwrap *b);

int say_started(int32_t pid, int pidfd, void *b);
int map_ids(int32_t pid, int pidfd, void *b);
int wait_for_maps(int32_t pid, int pidfd, void *b);
void say_exit_code(const struct bwrap *b, int code);

/* One line on standard error, and exit code 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void must(int result, const char *what); /* a setter's result */
void *grown(void *list, size_t count, size_t size); /* room for one more, and a NULL */
void append(struct list *list, const char *item);
char *joined(const char *first, const char *second);
char *all_of(int fd, const char *what, size_t *length); /* to its end; NUL-terminated; closes it */

#endif
