/* The table of sandbox-bwrap's options, and the reading of the command line. */
#include "bwrap.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- values */

static int fd_of(const struct row *row, const char *text) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (!*text || *end || errno || value < 0 || value > INT32_MAX)
        die("--%s: not a file descriptor: %s", row->name, text);
    return (int)value;
}

static int64_t id_of(const struct row *row, const char *text) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (!*text || *end || errno || value < 0 || value >= UINT32_MAX)
        die("--%s: not an id: %s", row->name, text);
    return value;
}

static int mode_of(const struct row *row, const char *text) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 8);
    if (*text < '0' || *text > '7' || *end || errno || value > 07777)
        die("--%s: not an octal mode up to 07777: %s", row->name, text);
    return (int)value;
}

/* ---- what is no operation on files */

static void set_bool(struct bwrap *b, const struct row *row, char **values) {
    (void)values;
    *(bool *)((char *)b + row->number) = true;
}
static void set_text(struct bwrap *b, const struct row *row, char **values) {
    const char **text = (const char **)((char *)b + row->number);
    if (*text)
        warn("--%s again: the last counts", row->name);
    *text = values[0];
}
static void set_fd(struct bwrap *b, const struct row *row, char **values) {
    int *fd = (int *)((char *)b + row->number);
    if (*fd >= 0)
        warn("--%s again: the last counts", row->name);
    *fd = fd_of(row, values[0]);
}
static void set_id(struct bwrap *b, const struct row *row, char **values) {
    int64_t *id = (int64_t *)((char *)b + row->number);
    if (*id >= 0)
        warn("--%s again: the last counts", row->name);
    *id = id_of(row, values[0]);
}

static void set_namespace(struct bwrap *b, const struct row *row, char **values) {
    (void)values;
    b->namespaces |= (uint64_t)row->number;
}
static void share_net(struct bwrap *b, const struct row *row, char **values) {
    (void)row, (void)values;
    b->namespaces &= ~(uint64_t)SANDBOX_NS_NET;
}
static void unshare_all(struct bwrap *b, const struct row *row, char **values) {
    (void)row, (void)values;
    b->user_try = b->cgroup_try = true;
    b->namespaces |= SANDBOX_NS_IPC | SANDBOX_NS_PID | SANDBOX_NS_NET | SANDBOX_NS_UTS;
}
static void set_perms(struct bwrap *b, const struct row *row, char **values) {
    if (b->perms >= 0)
        die("--perms given twice for the same operation");
    b->perms = mode_of(row, values[0]);
}
static void set_size(struct bwrap *b, const struct row *row, char **values) {
    char *end;
    if (b->size)
        die("--size given twice for the same operation");
    errno = 0;
    unsigned long long value = strtoull(values[0], &end, 0);
    if (*values[0] < '0' || *values[0] > '9' || *end || errno || value == 0 || value > SIZE_MAX / 2)
        die("--%s: not a number of bytes above 0: %s", row->name, values[0]);
    b->size = value;
}
static void add_lock(struct bwrap *b, const struct row *row, char **values) {
    (void)row;
    append(&b->locks, values[0]);
}
static void add_layer(struct bwrap *b, const struct row *row, char **values) {
    (void)row;
    append(&b->layers, values[0]);
}
static void add_seccomp(struct bwrap *b, const struct row *row, char **values) {
    b->seccomp_fds = grown(b->seccomp_fds, b->seccomp_count, sizeof *b->seccomp_fds);
    b->seccomp_fds[b->seccomp_count++] = fd_of(row, values[0]);
}
static void change_caps(struct bwrap *b, const struct row *row, char **values) {
    uint64_t which = capability(values[0]);
    if (!b->gives_caps)
        b->caps = geteuid() == 0 ? own_capabilities() : 0;
    b->gives_caps = true;
    b->caps = row->number ? b->caps | which : b->caps & ~which;
}
static void refuse_label(struct bwrap *b, const struct row *row, char **values) {
    (void)b, (void)values;
    die("--%s: labels of SELinux are not supported", row->name);
}

static const char *value_in(const struct list *changed, const char *name) {
    size_t length = strlen(name);
    for (size_t i = changed->count; i > 0; i--) {
        const char *item = changed->items[i - 1];
        if (strncmp(item, name, length) == 0 && (item[length] == '=' || !item[length]))
            return item[length] ? item + length + 1 : "";
    }
    return NULL;
}
static void set_env(struct bwrap *b, const struct row *row, char **values) {
    if (!*values[0] || strchr(values[0], '='))
        die("--%s: not a variable's name: %s", row->name, values[0]);
    append(&b->changed, joined(joined(values[0], "="), values[1]));
    if (strcmp(values[0], "HOME") == 0)
        b->home = value_in(&b->changed, "HOME");
}
static void unset_env(struct bwrap *b, const struct row *row, char **values) {
    if (!*values[0] || strchr(values[0], '='))
        die("--%s: not a variable's name: %s", row->name, values[0]);
    append(&b->changed, values[0]);
    if (strcmp(values[0], "HOME") == 0)
        b->home = NULL;
}
static void clear_env(struct bwrap *b, const struct row *row, char **values) {
    (void)row, (void)values;
    b->clears_env = true;
    b->changed.count = 0;
    b->home = NULL;
}
static void show_help(struct bwrap *b, const struct row *row, char **values) {
    (void)b, (void)row, (void)values;
    print_help(stdout);
    exit(0);
}
static void show_version(struct bwrap *b, const struct row *row, char **values) {
    (void)b, (void)row, (void)values;
    /* What is asked for is whose command line this is; scripts compare the number. */
    puts("bubblewrap 0.11.0");
    exit(0);
}
static void show_manual(struct bwrap *b, const struct row *row, char **values) {
    (void)b, (void)row, (void)values;
    print_manual();
    exit(0);
}
static void show_completion(struct bwrap *b, const struct row *row, char **values) {
    (void)b, (void)row, (void)values;
    print_completion();
    exit(0);
}
static void prefix_level(struct bwrap *b, const struct row *row, char **values) {
    (void)b, (void)row, (void)values;
    has_level_prefix = true;
}

/* ---- operations on files: kept in their order */

/* A target's ".." by its words alone: the library takes none, and what they mean hangs on symlinks that others change. */
static const char *without_parents(const char *target) {
    if (!strstr(target, ".."))
        return target;
    char *clean = joined("/", target), *end = clean;
    for (const char *part = target; *part;) {
        size_t length = strcspn(part, "/");
        if (length == 2 && memcmp(part, "..", 2) == 0) {
            while (end > clean && *--end != '/') {
            }
        } else if (length && !(length == 1 && *part == '.')) {
            *end++ = '/';
            memmove(end, part, length);
            end += length;
        }
        part += length + (part[length] == '/');
    }
    if (end == clean)
        *end++ = '/';
    *end = 0;
    return clean;
}

static struct operation *add(struct bwrap *b, const struct row *row, void (*put)(struct bwrap *, struct operation *), const char *source,
                             const char *target) {
    b->operations = grown(b->operations, b->operation_count, sizeof *b->operations);
    struct operation *o = &b->operations[b->operation_count++];
    *o = (struct operation){.put = put, .row = row, .source = source, .target = without_parents(target), .fd = -1, .perms = b->perms, .size = b->size};
    b->perms = -1;
    b->size = 0;
    return o;
}
static void bind(struct bwrap *b, const struct row *row, char **values) { add(b, row, do_bind, values[0], values[1]); }
static void bind_fd(struct bwrap *b, const struct row *row, char **values) {
    add(b, row, do_bind_fd, values[0], values[1])->fd = fd_of(row, values[0]);
}
static void data(struct bwrap *b, const struct row *row, char **values) { add(b, row, do_data, values[0], values[1])->fd = fd_of(row, values[0]); }
static void remount(struct bwrap *b, const struct row *row, char **values) { add(b, row, do_remount, NULL, values[0]); }
static void mount_proc(struct bwrap *b, const struct row *row, char **values) { add(b, row, do_proc, NULL, values[0]); }
static void mount_dev(struct bwrap *b, const struct row *row, char **values) { add(b, row, do_dev, NULL, values[0]); }
static void mount_tmpfs(struct bwrap *b, const struct row *row, char **values) { add(b, row, do_tmpfs, NULL, values[0]); }
static void mount_mqueue(struct bwrap *b, const struct row *row, char **values) { add(b, row, do_mqueue, NULL, values[0]); }
static void make_dir(struct bwrap *b, const struct row *row, char **values) { add(b, row, do_dir, NULL, values[0]); }
static void make_symlink(struct bwrap *b, const struct row *row, char **values) { add(b, row, do_symlink, values[0], values[1]); }
static void change_mode(struct bwrap *b, const struct row *row, char **values) {
    add(b, row, do_chmod, NULL, values[1])->perms = mode_of(row, values[0]);
}
static void overlay(struct bwrap *b, const struct row *row, char **values) {
    if (b->layers.count < (size_t)(row->number == 2 ? 2 : 1))
        die("--%s needs at least %s --overlay-src before it", row->name, row->number == 2 ? "two" : "one");
    /* The library, like the kernel, wants the topmost first. */
    const char **layers = grown(NULL, b->layers.count, sizeof *layers);
    for (size_t i = 0; i < b->layers.count; i++)
        layers[i] = b->layers.items[b->layers.count - 1 - i];
    layers[b->layers.count] = NULL;
    b->layers.count = 0;
    struct operation *o = add(b, row, do_overlay, values[0], values[row->count - 1]);
    o->layers = layers;
    if (row->number == 0)
        o->work = values[1];
}

#define AT(field) offsetof(struct bwrap, field)
enum { RO = 0, RW = SANDBOX_MOUNT_RW, DEV = SANDBOX_MOUNT_RW | SANDBOX_MOUNT_DEV, TRY = SANDBOX_MOUNT_OPTIONAL };

const struct row rows[] = {
    {"help", NULL, "General", "say what there is", show_help, 0, 0, false},
    {"version", NULL, "General", "say whose command line this is", show_version, 0, 0, false},
    {"args", "FD", "General", "read more options from FD, each ended by a NUL", NULL, 0, 1, false},
    {"argv0", "VALUE", "General", "the program's name for itself, argv[0]", set_text, AT(argv0), 1, false},
    {"level-prefix", NULL, "General", "begin each message with its level, as <3>", prefix_level, 0, 0, false},
    {"manual", NULL, "General", "print the manual page", show_manual, 0, 0, false},
    {"completion", NULL, "General", "print the completion for bash", show_completion, 0, 0, false},

    {"unshare-all", NULL, "Namespaces", "a namespace of each kind; user and cgroup where they can be had", unshare_all, 0, 0, false},
    {"share-net", NULL, "Namespaces", "the host's network after all", share_net, 0, 0, false},
    {"unshare-user", NULL, "Namespaces", "a user namespace; implied for whoever is not root", set_namespace, SANDBOX_NS_USER, 0, false},
    {"unshare-user-try", NULL, "Namespaces", "the same where it can be had", set_bool, AT(user_try), 0, false},
    {"unshare-ipc", NULL, "Namespaces", "an ipc namespace", set_namespace, SANDBOX_NS_IPC, 0, false},
    {"unshare-pid", NULL, "Namespaces", "a pid namespace", set_namespace, SANDBOX_NS_PID, 0, false},
    {"unshare-net", NULL, "Namespaces", "a network namespace, with a loopback", set_namespace, SANDBOX_NS_NET, 0, false},
    {"unshare-uts", NULL, "Namespaces", "a uts namespace", set_namespace, SANDBOX_NS_UTS, 0, false},
    {"unshare-cgroup", NULL, "Namespaces", "a cgroup namespace", set_namespace, SANDBOX_NS_CGROUP, 0, false},
    {"unshare-cgroup-try", NULL, "Namespaces", "the same where it can be had", set_bool, AT(cgroup_try), 0, false},
    {"userns", "FD", "Namespaces", "enter this user namespace first, instead of making one", set_fd, AT(userns_fd), 1, false},
    {"userns2", "FD", "Namespaces", "enter this user namespace once all is set up", set_fd, AT(userns2_fd), 1, false},
    {"disable-userns", NULL, "Namespaces", "no further user namespaces inside; with --unshare-user", set_bool, AT(disables_userns), 0, false},
    {"assert-userns-disabled", NULL, "Namespaces", "fail unless user namespaces are disabled inside", set_bool, AT(asserts_userns_disabled), 0, false},
    {"pidns", "FD", "Namespaces", "enter this pid namespace; a new one is made below it", set_fd, AT(pidns_fd), 1, false},
    {"uid", "UID", "Namespaces", "the user id inside; with a user namespace", set_id, AT(uid), 1, false},
    {"gid", "GID", "Namespaces", "the group id inside; with a user namespace", set_id, AT(gid), 1, false},
    {"hostname", "NAME", "Namespaces", "the host name inside; with --unshare-uts", set_text, AT(hostname), 1, false},

    {"chdir", "DIR", "Environment", "start in DIR; else where you are, in HOME or in /", set_text, AT(chdir), 1, false},
    {"clearenv", NULL, "Environment", "unset every variable but PWD", clear_env, 0, 0, false},
    {"setenv", "VAR VALUE", "Environment", "set a variable", set_env, 0, 2, false},
    {"unsetenv", "VAR", "Environment", "unset a variable", unset_env, 0, 1, false},

    {"lock-file", "DEST", "Lifetime", "hold a shared lock on the file while the sandbox lasts", add_lock, 0, 1, false},
    {"sync-fd", "FD", "Lifetime", "hold FD open while the sandbox lasts", set_fd, AT(sync_fd), 1, false},
    {"block-fd", "FD", "Lifetime", "wait until FD can be read before the program starts", set_fd, AT(block_fd), 1, false},
    {"userns-block-fd", "FD", "Lifetime", "wait on FD while others map the user namespace's ids", set_fd, AT(userns_block_fd), 1, false},
    {"info-fd", "FD", "Lifetime", "write about the running sandbox, in JSON", set_fd, AT(info_fd), 1, false},
    {"json-status-fd", "FD", "Lifetime", "write its start and its exit code, each a line of JSON", set_fd, AT(json_fd), 1, false},
    {"new-session", NULL, "Lifetime", "a terminal session of its own", set_bool, AT(new_session), 0, false},
    {"die-with-parent", NULL, "Lifetime", "the sandbox ends with this program, and this with its parent", set_bool, AT(die_with_parent), 0, false},
    {"as-pid-1", NULL, "Lifetime", "the program itself is process 1", set_bool, AT(as_pid_1), 0, false},

    {"perms", "OCTAL", "Files", "the mode of what the next option makes", set_perms, 0, 1, true},
    {"size", "BYTES", "Files", "the size of the next --tmpfs", set_size, 0, 1, true},
    {"bind", "SRC DEST", "Files", "the host's SRC at DEST", bind, RW, 2, false},
    {"bind-try", "SRC DEST", "Files", "the same where SRC is there", bind, RW | TRY, 2, false},
    {"dev-bind", "SRC DEST", "Files", "the same, with devices that work", bind, DEV, 2, false},
    {"dev-bind-try", "SRC DEST", "Files", "the same where SRC is there", bind, DEV | TRY, 2, false},
    {"ro-bind", "SRC DEST", "Files", "the host's SRC at DEST, read-only", bind, RO, 2, false},
    {"ro-bind-try", "SRC DEST", "Files", "the same where SRC is there", bind, RO | TRY, 2, false},
    {"bind-fd", "FD DEST", "Files", "what FD is open on at DEST", bind_fd, RW, 2, false},
    {"ro-bind-fd", "FD DEST", "Files", "the same, read-only", bind_fd, RO, 2, false},
    {"remount-ro", "DEST", "Files", "the mount at DEST becomes read-only, not those below it", remount, 0, 1, false},
    {"overlay-src", "SRC", "Files", "a layer of the next overlay; the last is the topmost", add_layer, 0, 1, false},
    {"overlay", "RWSRC WORKDIR DEST", "Files", "the layers at DEST, changes kept in RWSRC", overlay, 0, 3, false},
    {"tmp-overlay", "DEST", "Files", "the layers at DEST, changes lost", overlay, 1, 1, false},
    {"ro-overlay", "DEST", "Files", "the layers at DEST, read-only", overlay, 2, 1, false},
    {"proc", "DEST", "Files", "proc at DEST", mount_proc, 0, 1, false},
    {"dev", "DEST", "Files", "a new /dev at DEST", mount_dev, 0, 1, false},
    {"tmpfs", "DEST", "Files", "a new tmpfs at DEST", mount_tmpfs, 0, 1, true},
    {"mqueue", "DEST", "Files", "a new mqueue at DEST", mount_mqueue, 0, 1, false},
    {"dir", "DEST", "Files", "a directory at DEST", make_dir, 0, 1, true},
    {"file", "FD DEST", "Files", "a file at DEST of what FD gives", data, SANDBOX_DATA_IN_PLACE, 2, true},
    {"bind-data", "FD DEST", "Files", "the same, mounted over DEST", data, SANDBOX_DATA_MOUNT | SANDBOX_DATA_RW, 2, true},
    {"ro-bind-data", "FD DEST", "Files", "the same, read-only", data, SANDBOX_DATA_MOUNT, 2, true},
    {"symlink", "SRC DEST", "Files", "a symlink at DEST that says SRC", make_symlink, 0, 2, false},
    {"chmod", "OCTAL PATH", "Files", "the mode of what is at PATH", change_mode, 0, 2, false},

    {"seccomp", "FD", "Lockdown", "load this filter; the last one given counts", set_fd, AT(seccomp_fd), 1, false},
    {"add-seccomp-fd", "FD", "Lockdown", "load this filter too", add_seccomp, 0, 1, false},
    {"cap-add", "CAP", "Lockdown", "give the program a capability, or ALL", change_caps, 1, 1, false},
    {"cap-drop", "CAP", "Lockdown", "take a capability away, or ALL", change_caps, 0, 1, false},
    {"exec-label", "LABEL", "Lockdown", "refused: SELinux is not supported", refuse_label, 0, 1, false},
    {"file-label", "LABEL", "Lockdown", "refused: SELinux is not supported", refuse_label, 0, 1, false},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, false},
};

/* Up to the first that is no option; gives where that is. */
static int parse(struct bwrap *b, int argc, char **argv, bool is_in_fd);

/* Options from an fd end where they end; what else stands there is passed over. */
static void parse_fd(struct bwrap *b, const struct row *row, const char *text) {
    size_t length, count = 0;
    char *all = all_of(fd_of(row, text), "--args", &length);
    char **argv = grown(NULL, 0, sizeof *argv);
    for (size_t at = 0; at < length; at += strlen(all + at) + 1) {
        argv = grown(argv, count, sizeof *argv);
        argv[count++] = all + at;
        if (count > 9000)
            die("--args: more than 9000 arguments");
    }
    argv[count] = NULL;
    parse(b, (int)count, argv, true);
    free(argv); /* `all` stays: options keep what they were given */
}

static int parse(struct bwrap *b, int argc, char **argv, bool is_in_fd) {
    int at = 0;
    while (at < argc && argv[at][0] == '-') {
        const char *name = argv[at];
        const struct row *row = rows;
        if (strcmp(name, "--") == 0)
            return at + 1;
        while (row->name && (strncmp(name, "--", 2) != 0 || strcmp(name + 2, row->name) != 0))
            row++;
        if (!row->name)
            die("Unknown option %s", name);
        if (argc - at - 1 < row->count)
            die("%s takes %s", name, row->count == 1 ? "an argument" : row->count == 2 ? "two arguments" : "three arguments");
        bool is_file = strcmp(row->topic, "Files") == 0;
        if (b->perms >= 0 && is_file && !row->takes_perms)
            die("--perms does not go with %s: it makes no file", name);
        if (b->size && is_file && strcmp(row->name, "tmpfs") != 0 && strcmp(row->name, "perms") != 0 && strcmp(row->name, "size") != 0)
            die("--size goes with --tmpfs alone");
        if (b->layers.count && strncmp(row->name, "overlay", 7) != 0 && row->apply != overlay && is_file)
            die("--overlay-src must be followed by another overlay option");
        if (!row->apply && is_in_fd)
            die("--args within --args");
        if (row->apply)
            row->apply(b, row, argv + at + 1);
        else
            parse_fd(b, row, argv[at + 1]);
        at += 1 + row->count;
    }
    return at;
}

void parse_arguments(struct bwrap *b, int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        exit(1);
    }
    b->argv = argv + 1 + parse(b, argc - 1, argv + 1, false);
    if (b->layers.count)
        die("--overlay-src must be followed by another overlay option");
    if (!*b->argv) {
        print_help(stderr);
        exit(1);
    }
}
