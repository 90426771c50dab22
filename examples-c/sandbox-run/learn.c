/* A profile from what trace.c saw: the files behind the names, the calls, the network; and, as they were given, the
 * options that are about something else. What the program was refused while it was watched, the profile does not
 * allow either: only below places that were writable then anything is. */
#include "apply.h"
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pair {
    char *target, *source;
    bool is_covered;
};
struct list {
    struct pair *pairs;
    size_t count;
};

static void add_pair(struct list *list, const char *target, const char *source) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->pairs[i].target, target) == 0)
            return;
    list->pairs = grown(list->pairs, list->count, sizeof *list->pairs);
    list->pairs[list->count++] = (struct pair){copied(target), copied(source), false};
}

static void release(struct list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->pairs[i].target);
        free(list->pairs[i].source);
    }
    free(list->pairs);
}

static struct list reads, writes, directories, calls;

/* ---- from notes to files */

/* The place that a path lies in, and the host's path behind it. NULL: what is there is the sandbox's own. */
static const struct place *behind(const struct run *run, const char *inside, char host[PATH_MAX]) {
    for (size_t i = run->place_count; i-- > 0;) {
        const struct place *place = &run->places[i];
        if (!is_below(inside, place->inside))
            continue;
        if (!place->host)
            return NULL;
        size_t skip = strcmp(place->inside, "/") == 0 ? 0 : strlen(place->inside);
        bool is_root = strcmp(place->host, "/") == 0;
        if (snprintf(host, PATH_MAX, "%s%s", is_root ? "" : place->host, inside + skip) >= PATH_MAX)
            return NULL;
        if (!host[0])
            strcpy(host, "/");
        return place;
    }
    return NULL;
}

/* The interpreter that the first line of a script names is opened by the kernel, unseen. */
static void add_interpreter(const struct run *run, const char *host) {
    char line[256], there[PATH_MAX];
    int fd = open(host, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    if (length < 3 || line[0] != '#' || line[1] != '!')
        return;
    line[length] = '\0';
    char *name = line + 2 + strspn(line + 2, " \t");
    name[strcspn(name, " \t\n")] = '\0';
    if (name[0] == '/' && !is_system(name) && behind(run, name, there) && access(there, F_OK) == 0)
        add_pair(&reads, name, there);
}

/* What it made or removed lies in a directory that it must be able to write in, unless a file alone was shown. */
static void add_made(const struct run *run, const char *inside) {
    char parent[PATH_MAX], host[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", inside);
    char *slash = strrchr(parent, '/');
    slash[slash == parent] = '\0';
    const struct place *of_parent = behind(run, parent, host);
    if (of_parent && of_parent->is_writable)
        add_pair(&writes, parent, host);
    else if (behind(run, inside, host) && access(host, F_OK) == 0)
        add_pair(&writes, inside, host);
}

static void add_note(const struct run *run, const struct note *note) {
    struct stat about;
    char host[PATH_MAX];
    const char *real = note->resolved;
    const struct place *place = behind(run, real, host);
    if (!place || strcmp(real, "/") == 0)
        return;
    bool is_writing = note->kind == WRITE || note->kind == MAKE;
    if (is_writing && place->is_writable) {
        if (note->kind == MAKE)
            add_made(run, real);
        else if (access(host, F_OK) == 0)
            add_pair(&writes, real, host);
        return;
    }
    if (is_writing || stat(host, &about) < 0)
        return; /* it was refused, or is gone */
    if (note->kind == RUN)
        add_interpreter(run, host);
    if (note->kind == LOOK && S_ISDIR(about.st_mode)) {
        if (!is_system(note->name))
            add_pair(&directories, note->name, "");
        if (!is_system(real))
            add_pair(&directories, real, "");
        return;
    }
    if (!is_system(real) || strcmp(real, host) != 0)
        add_pair(&reads, real, host);
    if (strcmp(note->name, real) != 0 && !is_system(note->name))
        add_pair(&reads, note->name, host);
}

/* What lies in a directory that is shown, and is the same there, needs no line of its own. */
static void drop_covered(struct list *list, const struct list *by) {
    for (size_t i = 0; i < list->count; i++) {
        struct pair *pair = &list->pairs[i];
        for (size_t j = 0; j < by->count && !pair->is_covered; j++) {
            const struct pair *over = &by->pairs[j];
            size_t skip = strlen(over->target), skip_source = strlen(over->source);
            pair->is_covered = over != pair && is_below(pair->target, over->target) &&
                               (!*pair->source || (is_below(pair->source, over->source) && strcmp(pair->source + skip_source, pair->target + skip) == 0));
        }
    }
}

/* ---- writing */

static int by_target(const void *a, const void *b) { return strcmp(((const struct pair *)a)->target, ((const struct pair *)b)->target); }

/* A name as --bind takes it: its colons marked. */
static char *marked(const char *name) {
    char *text = malloc(2 * strlen(name) + 1), *to = text;
    if (!text)
        die("out of memory");
    for (; *name; *to++ = *name++)
        if (*name == ':')
            *to++ = '\\';
    *to = '\0';
    return text;
}

static void write_binds(FILE *out, const char *key, struct list *list) {
    size_t written = 0;
    qsort(list->pairs, list->count, sizeof *list->pairs, by_target);
    for (size_t i = 0; i < list->count; i++) {
        const struct pair *pair = &list->pairs[i];
        char *source = marked(pair->source), *target = marked(pair->target), *both = NULL;
        if (asprintf(&both, "%s:%s", source, target) < 0)
            die("out of memory");
        if (!pair->is_covered) {
            if (written++ == 0)
                fprintf(out, "%s = [\n", key);
            fputs("    ", out);
            write_string(out, !*source ? pair->target : strcmp(source, target) == 0 ? source : both);
            fputs(",\n", out);
        }
        free(source);
        free(target);
        free(both);
    }
    fputs(written ? "]\n" : "", out);
}

/* The items of one option, as they were given. */
static void write_items(FILE *out, const struct run *run, const struct row *row) {
    size_t count = 0, at = 0;
    for (size_t i = 0; i < run->count; i++)
        count += run->items[i].row == row;
    if (!count)
        return;
    fprintf(out, "%s = %s", row->name, row->value && count > 1 ? "[" : "");
    for (size_t i = 0; i < run->count; i++) {
        if (run->items[i].row != row)
            continue;
        if (!row->value) {
            fputs("true", out);
            break;
        }
        fputs(at++ ? ", " : "", out);
        write_string(out, run->items[i].value);
    }
    fprintf(out, "%s\n", row->value && count > 1 ? "]" : "");
}

/* The TCP ports, where Landlock can hold them. What the kernel chose is another one the next time: then any is. */
static void write_ports(FILE *out, const char *key, const bool ports[65536]) {
    size_t written = 0;
    for (int port = 32768; port < 65536; port++)
        if (ports[port])
            return;
    for (int port = 0; port < 32768; port++)
        if (ports[port])
            fprintf(out, "%s%d", written++ ? ", " : key, port);
    fputs(written ? "]\n" : "", out);
}

/* What gives the same right: a program that called one of a line may call another the next time. The first line threads
 * and the C library call at any time. */
static const char *const alike[] = {
    "brk clock_gettime clock_nanosleep close execve exit exit_group fcntl fstat futex getpid getrandom gettid lseek madvise mmap mprotect mremap munmap "
    "nanosleep poll ppoll read restart_syscall rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield set_robust_list sigaltstack "
    "tgkill write",
    "access faccessat faccessat2 stat lstat newfstatat statx readlink readlinkat",
    "open openat openat2 creat",
    "mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat",
    "chmod fchmod fchmodat utimensat utimes",
    "truncate ftruncate fallocate",
    "read readv pread64 preadv preadv2",
    "write writev pwrite64 pwritev pwritev2",
    "clone clone3 fork vfork",
    "wait4 waitid",
    "poll ppoll select pselect6",
    "epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2",
    "recvfrom recvmsg recvmmsg",
    "sendto sendmsg sendmmsg",
    "dup dup2 dup3",
    "pipe pipe2",
    "execve execveat",
};

static bool is_in(const char *line, const char *name) {
    size_t length = strlen(name);
    for (const char *at = line; (at = strstr(at, name)); at += length)
        if ((at == line || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}

static void write_calls(FILE *out) {
    bool is_open[sizeof alike / sizeof *alike] = {true};
    for (int number = 0; number < 1024; number++)
        for (size_t i = 0; seen.called[number] && name_of_call(number) && i < sizeof alike / sizeof *alike; i++)
            is_open[i] |= is_in(alike[i], name_of_call(number));
    for (int number = 0; number < 1024; number++) {
        const char *name = name_of_call(number);
        bool is_needed = seen.called[number];
        for (size_t i = 0; name && i < sizeof alike / sizeof *alike; i++)
            is_needed |= is_open[i] && is_in(alike[i], name);
        if (name && is_needed)
            add_pair(&calls, name, "");
    }
    write_binds(out, "syscalls", &calls);
}

/* Whether files are learned at all: with a root or a preset of the caller's, that is kept instead. */
static bool narrows(const struct run *run) { return !run->has_root && !run->has_preset; }

static bool is_written_here(const struct run *run, const struct row *row) {
    bool is_place = row->apply == apply_bind || row->apply == apply_bind_rw || row->apply == apply_bind_try || row->apply == apply_system;
    bool is_basis = row->apply == apply_dir;
    return !row->apply || row->apply == apply_syscalls || row->apply == apply_net || (narrows(run) && (is_place || is_basis));
}

static void write_files(FILE *out, const struct run *run) {
    char directory[PATH_MAX];
    for (size_t i = 0; i < seen.count; i++)
        if (seen.notes[i].kind <= MAKE && seen.notes[i].name[0] == '/')
            add_note(run, &seen.notes[i]);
    bool has_directory = run->starts_here && getcwd(directory, sizeof directory) && strcmp(directory, "/") != 0;
    if (has_directory && !is_system(directory))
        add_pair(&directories, directory, "");
    drop_covered(&writes, &writes);
    drop_covered(&reads, &writes);
    drop_covered(&reads, &reads);
    drop_covered(&directories, &writes);
    drop_covered(&directories, &reads);
    for (size_t i = 0; i < run->count; i++)
        if (run->items[i].row->apply == apply_dir)
            add_pair(&directories, run->items[i].value, "");
    fputs("system = true\n", out);
    write_binds(out, "dir", &directories);
    write_binds(out, "bind", &reads);
    write_binds(out, "bind-rw", &writes);
    if (has_directory) {
        fputs("directory = ", out);
        write_string(out, directory);
        fputs("\n", out);
    }
}

void write_learned(const struct run *run, const char *path) {
    FILE *out = fopen(path, "we");
    if (!out)
        die("%s: %s", path, strerror(errno));
    fputs("# What one run of this needed, and no more.\nprogram = [", out);
    for (char **word = run->argv; *word; word++) {
        fputs(word == run->argv ? "" : ", ", out);
        write_string(out, *word);
    }
    fputs("]\n", out);
    if (narrows(run))
        write_files(out, run);
    if (run->net || !run->has_preset)
        fprintf(out, "net = \"%s\"\n", seen.has_network && run->net ? run->net : "none");
    if (run->landlock_abi >= 4 && !run->has_ports) {
        write_ports(out, "connect = [", seen.connected);
        write_ports(out, "listen = [", seen.bound);
    }
    for (const struct row *row = rows; row->name; row++)
        if (!is_written_here(run, row))
            write_items(out, run, row);
    write_calls(out);
    if (fclose(out))
        die("%s: %s", path, strerror(errno));
    release(&reads);
    release(&writes);
    release(&directories);
    release(&calls);
}
