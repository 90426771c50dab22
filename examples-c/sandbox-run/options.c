/* The table of options, and the reading of the command line by it. What an option does is in confine.c and files.c. */
#include "apply.h"
#include "run.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const struct row rows[] = {
    {'b', "bind", "SRC[:DST]", "files", "show a file or directory of the host's, read-only", apply_bind, IN_ROOT | ADDS},
    {'w', "bind-rw", "SRC[:DST]", "files", "... writable", apply_bind_rw, IN_ROOT | ADDS},
    {0, "bind-try", "SRC[:DST]", "files", "... read-only, where there is such a source", apply_bind_try, IN_ROOT | ADDS},
    {0, "bind-dev", "SRC[:DST]", "files", "... writable, with devices that work", apply_bind_dev, IN_ROOT | ADDS},
    {'s', "system", NULL, "files", "of the host only /usr, /bin, /lib and so on, and what the loader reads of /etc", apply_system, IN_ROOT},
    {'r', "root", "DIR", "files", "its root, read-only (default: the host's, with /proc, /dev, /tmp and /run its own)", apply_root, IN_ROOT},
    {0, "root-rw", "DIR", "files", "... writable", apply_root_rw, IN_ROOT},
    {0, "tmpfs", "DST[:SIZE]", "files", "a directory in memory, lost at the end", apply_tmpfs, IN_ROOT | ADDS},
    {0, "overlay", "DST:DIR[:DIR]", "files", "directories over each other, topmost first; changes are lost at the end", apply_overlay, IN_ROOT | ADDS},
    {0, "proc", "DST", "files", "the processes of the sandbox", apply_proc, IN_ROOT},
    {0, "dev", "DST", "files", "null, zero, full, random, urandom, tty, pts, shm", apply_dev, IN_ROOT},
    {0, "file", "DST:SRC", "files", "a copy of a file, in memory", apply_file, IN_ROOT | ADDS},
    {0, "dir", "DST", "files", "an empty directory", apply_dir, IN_ROOT | ADDS},
    {0, "symlink", "TEXT:DST", "files", "a symbolic link", apply_symlink, IN_ROOT | ADDS},
    {0, "mask", "DST", "files", "covers a file or directory with nothing", apply_mask, IN_ROOT | ADDS},
    {'d', "directory", "DIR", "files", "where it starts", apply_directory, 0},
    {'n', "net", "none|loopback|host", "network", "its network (default: none)", apply_net, 0},
    {0, "allow-read", "PATH", "landlock", "nothing may be read or run but below such paths", apply_allow_read, 0},
    {0, "allow-write", "PATH", "landlock", "... read, run, written, made and removed", apply_allow_write, 0},
    {0, "connect", "PORT", "landlock", "TCP connections to such ports alone", apply_connect, 0},
    {0, "listen", "PORT", "landlock", "TCP servers on such ports alone", apply_listen, 0},
    {'u', "user", "UID[:GID]", "identity", "who it is inside (default: who you are)", apply_user, 0},
    {0, "hostname", "NAME", "identity", "its host name", apply_hostname, 0},
    {0, "caps", "NAME,...|all", "identity", "capabilities to keep, by name or number (default: none)", apply_caps, 0},
    {0, "new-privileges", NULL, "identity", "let set-user-ID programs work", apply_new_privileges, 0},
    {'t', "time", "SECONDS", "limits", "wall-clock time; then all is killed, exit code 124", apply_time, 0},
    {'c', "cpu", "SECONDS", "limits", "CPU time of each process", apply_cpu, 0},
    {'m', "memory", "SIZE", "limits", "memory of all of it (needs a cgroup)", apply_memory, 0},
    {'p', "processes", "NUMBER", "limits", "processes and threads (needs a cgroup)", apply_processes, 0},
    {0, "address-space", "SIZE", "limits", "address space of each process", apply_address_space, 0},
    {0, "file-size", "SIZE", "limits", "the largest file that it may write", apply_file_size, 0},
    {0, "open-files", "NUMBER", "limits", "open files of each process", apply_open_files, 0},
    {0, "nice", "NUMBER", "limits", "nice value, -20 to 19", apply_nice, 0},
    {0, "cgroup", "FILE=VALUE", "limits", "a file of its cgroup", apply_cgroup, 0},
    {'e', "env", "NAME[=VALUE]", "given", "sets a variable; without a value: passes yours on", apply_env, 0},
    {0, "unset", "NAME", "given", "takes a variable away", apply_unset, 0},
    {0, "keep-env", NULL, "given", "pass on all of yours (default: PATH, HOME, TERM, LANG, LC_ALL, TZ)", apply_keep_env, 0},
    {0, "pass-fd", "FD[:TARGET]", "given", "an open file descriptor of yours", apply_pass_fd, 0},
    {0, "seccomp", "FILE", "syscalls", "a filter: minijail's policy or an OCI profile", apply_seccomp, 0},
    {0, "syscalls", "NAME,...", "syscalls", "these system calls alone; others fail with EPERM", apply_syscalls, 0},
    {0, "deny", "NAME,...", "syscalls", "io-uring, keyrings, ptrace, perf, bpf, userns, tiocsti, seccomp, all", apply_deny, 0},
    {0, "preset", "NAME", "running", "compute, build, network: in place of the default", apply_preset, 0},
    {'f', "profile", "FILE", "running", "options from a file, TOML or JSON; -: stdin", NULL, 0},
    {0, "explain", NULL, "running", "print what would be done, and run nothing", NULL, 0},
    {0, "probe", NULL, "running", "what this machine allows, what to do about the rest", NULL, 0},
    {0, "json", "FD", "running", "write status and error there, a line of JSON", NULL, 0},
    {0, "trace", NULL, "running", "print the paths, addresses, system calls it uses", NULL, 0},
    {0, "learn", "FILE", "running", "write a profile that allows just what it did", NULL, 0},
    {0, "completion", NULL, "running", "print the completion of bash", NULL, 0},
    {0, "manual", NULL, "running", "print the manual page, in man's format", NULL, 0},
    {'h', "help", NULL, "running", "help; with a topic behind it (or all), of that", NULL, 0},
    {'V', "version", NULL, "running", "the library's version", NULL, 0},
    {0, NULL, NULL, NULL, NULL, NULL, 0},
};

const struct item *blamed;
int report_fd = -1;

void die(const char *format, ...) {
    sandbox_error error = {.code = -EINVAL, .stage = SANDBOX_STAGE_SETUP};
    char where[128] = "", what[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    if (blamed && blamed->path)
        snprintf(where, sizeof where, "%.90s:%d:%d: ", blamed->path, blamed->line, blamed->column);
    fprintf(stderr, "sandbox-run: %s%s\n", where, what);
    if (report_fd >= 0) {
        int fd = report_fd;
        report_fd = -1; /* it may be what is wrong */
        snprintf(error.message, sizeof error.message, "%.100s%.140s", where, what);
        print_json(fd, NULL, &error);
    }
    exit(NOT_STARTED);
}

/* The room is the power of two above the count, so it changes where the count is one. */
void *grown(void *list, size_t count, size_t size) {
    if (list && count & (count - 1))
        return list;
    list = realloc(list, (count ? count * 2 : 1) * size);
    if (!list)
        die("out of memory");
    return list;
}

char *copied(const char *text) {
    char *copy = strdup(text);
    if (!copy)
        die("out of memory");
    return copy;
}

bool is_below(const char *path, const char *directory) {
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || !path[length] || length == 1);
}

const struct row *row_named(const char *name, size_t length) {
    for (const struct row *row = rows; row->name; row++)
        if (strlen(row->name) == length && strncmp(row->name, name, length) == 0)
            return row;
    return NULL;
}

struct item *add_item(struct run *run, const struct row *row, const char *value) {
    run->items = grown(run->items, run->count, sizeof *run->items);
    struct item *item = &run->items[run->count++];
    *item = (struct item){.row = row, .value = value ? copied(value) : NULL};
    return item;
}

/* The options that are the command line's own. */
static void take_own(struct run *run, const struct row *row, const char *value, const char *next) {
    char *end;
    switch (row->name[0]) {
    case 'p': /* profile, probe */
        if (row->value)
            read_profile(run, value);
        else
            run->probes = true;
        return;
    case 'e': run->explains = true; return;
    case 't': run->traces = true; return;
    case 'l': run->learn = value; return;
    case 'j':
        run->json_fd = (int)strtol(value, &end, 10);
        if (end == value || *end || run->json_fd < 0)
            die("--json wants the number of an open file descriptor, not %s", value);
        report_fd = run->json_fd;
        return;
    case 'c': print_completion(); exit(0);
    case 'm': print_manual(); exit(0);
    case 'h': print_help(stdout, next); exit(0);
    default: printf("sandbox-run %s\n", sandbox_version()); exit(0);
    }
}

static const struct row *row_of(const char *word, const char **value) {
    const struct row *row = NULL;
    if (word[1] == '-') {
        size_t length = strcspn(word + 2, "=");
        row = row_named(word + 2, length);
        *value = word[2 + length] ? word + 3 + length : NULL;
    } else {
        for (row = rows; row->name && row->letter != word[1]; row++) {
        }
        row = row->name ? row : NULL;
        *value = word[2] ? word + 2 : NULL;
    }
    if (!row)
        die("no such option: %s (--help has them)", word);
    if (*value && !row->value)
        die("--%s takes no value", row->name);
    return row;
}

void parse_arguments(struct run *run, int argc, char **argv) {
    int at = 1;
    for (; at < argc && argv[at][0] == '-' && argv[at][1]; at++) {
        const char *value;
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        const struct row *row = row_of(argv[at], &value);
        if (row->value && !value && !(value = argv[++at]))
            die("--%s wants a value: %s", row->name, row->value);
        if (row->apply)
            add_item(run, row, value);
        else
            take_own(run, row, value, argv[at + 1]);
    }
    run->argv = at < argc ? argv + at : run->program;
}
