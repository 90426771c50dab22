/* fake-root: run a program that believes it is root.
 *
 *   ./fake-root sh -c 'mkdir d && chown 12:34 d && mknod null c 1 3 && ls -ld d null; id -u'
 *   ./fake-root tar -xf archive-with-owners-and-devices.tar
 *
 * A filter sends the system calls that only root may make here, with those that would show the truth. What was asked for
 * is kept in a table and shown again; the files stay the user's. The table names files by device and inode, and holds an
 * O_PATH fd of each, so that no inode in it is used again for another file.
 *
 * This deceives a program that is willing, and is no wall: the program has its user's rights, no less, no more. That is
 * why it is safe here, and only here, to let a call go on after a look at it (sandbox_notify_continue_unsafe): where a
 * path leads nowhere that could be shown otherwise, the kernel answers for itself. */

#define _GNU_SOURCE
#include "filter-file.h"
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const char usage[] =
    "usage: fake-root [-p policy] program [argument...]\n"
    "Runs the program so that it believes it is root: it sees uid 0, and changes of owner and devices that it makes\n"
    "seem to be there, for as long as it runs.\n"
    "\n"
    "  -p, --policy file  a further filter: minijail's policy language, or an OCI profile\n"
    "  -h, --help         this text\n"
    "\n"
    "Exit code: the program's own, or 128 and the number of the signal that ended it; 2 where it could not be started.\n";

/* ---- the table ---- */

struct file {
    dev_t device;
    ino_t inode;
    int pin;
    uid_t uid;
    gid_t gid;
    mode_t type; /* S_IFCHR, S_IFBLK; 0: what it is */
    dev_t rdev;
};

static struct file *table;
static size_t count, room;

static struct file *find(const struct stat *about) {
    for (size_t i = 0; i < count; i++)
        if (table[i].inode == about->st_ino && table[i].device == about->st_dev)
            return &table[i];
    return NULL;
}

/* What root would see: the user's own files belong to root, until they are given to another. */
static void disguise(struct stat *about) {
    const struct file *file = find(about);
    about->st_uid = file ? file->uid : about->st_uid == getuid() ? 0 : about->st_uid;
    about->st_gid = file ? file->gid : about->st_gid == getgid() ? 0 : about->st_gid;
    if (file && file->type) {
        about->st_mode = (about->st_mode & ~(mode_t)S_IFMT) | file->type;
        about->st_rdev = file->rdev;
    }
}

/* The table's entry for the file that is open at `fd`, made where there is none yet; NULL: no room. */
static struct file *entry(int fd, struct stat about) {
    struct file *file = find(&about);
    if (file)
        return file;
    if (count == room) {
        struct file *longer = realloc(table, (room * 2 + 64) * sizeof *table);
        if (!longer)
            return NULL;
        table = longer;
        room = room * 2 + 64;
    }
    int pin = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (pin < 0)
        return NULL;
    file = &table[count++];
    *file = (struct file){.device = about.st_dev, .inode = about.st_ino, .pin = pin};
    disguise(&about); /* finds what was just added: what it showed before is set now */
    file->uid = about.st_uid;
    file->gid = about.st_gid;
    return file;
}

/* ---- the caller's arguments ---- */

static sandbox_syscall call_of(const sandbox_notify *n) {
    sandbox_syscall call;
    sandbox_notify_call(n, &call, sizeof call);
    return call;
}

/* An O_PATH fd of the caller's file that is open at `number`. Not a copy of its fd: a pipe's end would stay open here. */
static int open_fd(sandbox_notify *n, int number) {
    char path[32];
    int fd = sandbox_notify_get_fd(n, number);
    if (fd < 0)
        return fd;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int file = open(path, O_PATH | O_CLOEXEC);
    int result = file < 0 ? -errno : file;
    close(fd);
    return result;
}

/* An O_PATH fd of what a path argument names, with AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH as the call has them. */
static int open_path(sandbox_notify *n, int directory, uint64_t path, int flags) {
    char first[1];
    int is_empty = path == 0 || (sandbox_notify_read(n, path, first, 1) == 0 && first[0] == '\0');
    if ((flags & AT_EMPTY_PATH) && is_empty)
        return open_fd(n, directory);
    return sandbox_notify_open(n, directory, path, O_PATH | (flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0), 0);
}

/* The thread's umask: /proc is asked by number, and only then whether the number was still its. */
static mode_t umask_of(sandbox_notify *n) {
    char path[32], line[128];
    unsigned mask = 022;
    snprintf(path, sizeof path, "/proc/%d/status", sandbox_notify_tid(n));
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "Umask: %o", &mask) != 1)
        continue;
    if (file)
        fclose(file);
    return sandbox_notify_check(n) == 0 ? (mode_t)mask : 022;
}

/* ---- identity ---- */

/* Also for the setters: they are said to have worked. */
static int zero(sandbox_notify *n, void *userdata) {
    (void)userdata;
    return sandbox_notify_return(n, 0);
}

/* getresuid(real, effective, saved) */
static int three_zeros(sandbox_notify *n, void *userdata) {
    (void)userdata;
    sandbox_syscall call = call_of(n);
    const uint32_t id = 0;
    for (int i = 0; i < 3; i++)
        if (sandbox_notify_write(n, call.args[i], &id, sizeof id) < 0)
            return sandbox_notify_errno(n, EFAULT);
    return sandbox_notify_return(n, 0);
}

/* ---- owners ---- */

static int give_to(sandbox_notify *n, int fd, uint64_t uid, uint64_t gid) {
    struct stat about, seen;
    if (fd < 0)
        return sandbox_notify_continue_unsafe(n); /* the kernel knows why */
    int errnum = fstat(fd, &about) < 0 ? errno : 0;
    seen = about;
    disguise(&seen);
    uid_t new_uid = (uid_t)uid == (uid_t)-1 ? seen.st_uid : (uid_t)uid;
    gid_t new_gid = (gid_t)gid == (gid_t)-1 ? seen.st_gid : (gid_t)gid;
    if (!errnum && (new_uid != seen.st_uid || new_gid != seen.st_gid)) {
        struct file *file = entry(fd, about);
        if (file) {
            file->uid = new_uid;
            file->gid = new_gid;
        } else {
            errnum = ENOMEM;
        }
    }
    close(fd);
    return errnum ? sandbox_notify_errno(n, errnum) : sandbox_notify_return(n, 0);
}

static int on_chown(sandbox_notify *n, void *flags) {
    sandbox_syscall call = call_of(n);
    return give_to(n, open_path(n, AT_FDCWD, call.args[0], *(int *)flags), call.args[1], call.args[2]);
}

static int on_fchown(sandbox_notify *n, void *userdata) {
    (void)userdata;
    sandbox_syscall call = call_of(n);
    return give_to(n, open_fd(n, (int)call.args[0]), call.args[1], call.args[2]);
}

static int on_fchownat(sandbox_notify *n, void *userdata) {
    (void)userdata;
    sandbox_syscall call = call_of(n);
    return give_to(n, open_path(n, (int)call.args[0], call.args[1], (int)call.args[4]), call.args[2], call.args[3]);
}

/* ---- what the program is shown ---- */

/* The kernel's struct stat, which on 64-bit machines is libc's. */
static int show(sandbox_notify *n, int fd, uint64_t buffer) {
    struct stat about;
    if (fd < 0)
        return sandbox_notify_continue_unsafe(n);
    int result = fstat(fd, &about) < 0 ? -errno : 0;
    close(fd);
    disguise(&about);
    if (result == 0)
        result = sandbox_notify_write(n, buffer, &about, sizeof about);
    return result < 0 ? sandbox_notify_errno(n, -result) : sandbox_notify_return(n, 0);
}

static int on_stat(sandbox_notify *n, void *flags) {
    sandbox_syscall call = call_of(n);
    return show(n, open_path(n, AT_FDCWD, call.args[0], *(int *)flags), call.args[1]);
}

static int on_fstat(sandbox_notify *n, void *userdata) {
    (void)userdata;
    sandbox_syscall call = call_of(n);
    return show(n, open_fd(n, (int)call.args[0]), call.args[1]);
}

static int on_fstatat(sandbox_notify *n, void *userdata) {
    (void)userdata;
    sandbox_syscall call = call_of(n);
    return show(n, open_path(n, (int)call.args[0], call.args[1], (int)call.args[3]), call.args[2]);
}

/* statx(directory, path, flags, mask, buffer) */
static int on_statx(sandbox_notify *n, void *userdata) {
    (void)userdata;
    sandbox_syscall call = call_of(n);
    struct stat about;
    struct statx more;
    int fd = open_path(n, (int)call.args[0], call.args[1], (int)call.args[2]);
    if (fd < 0)
        return sandbox_notify_continue_unsafe(n);
    int sync = (int)call.args[2] & (AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC);
    int result = fstat(fd, &about) < 0 || statx(fd, "", AT_EMPTY_PATH | sync, (unsigned)call.args[3], &more) < 0 ? -errno : 0;
    close(fd);
    if (result == 0) {
        disguise(&about);
        more.stx_uid = about.st_uid;
        more.stx_gid = about.st_gid;
        more.stx_mode = (uint16_t)about.st_mode;
        more.stx_rdev_major = major(about.st_rdev);
        more.stx_rdev_minor = minor(about.st_rdev);
        result = sandbox_notify_write(n, call.args[4], &more, sizeof more);
    }
    return result < 0 ? sandbox_notify_errno(n, -result) : sandbox_notify_return(n, 0);
}

/* ---- what the program makes ---- */

/* A device becomes an empty file, and a line of the table. */
static int make_device(int directory, const char *name, mode_t mode, dev_t rdev) {
    struct stat about;
    int fd = openat(directory, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode & 07777);
    if (fd < 0)
        return -errno;
    int path_fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct file *file = path_fd >= 0 && fstat(path_fd, &about) == 0 ? entry(path_fd, about) : NULL;
    if (file) {
        file->type = mode & S_IFMT;
        file->rdev = rdev;
    } else {
        unlinkat(directory, name, 0);
    }
    if (path_fd >= 0)
        close(path_fd);
    close(fd);
    return file ? 0 : -ENOMEM;
}

/* In the directory that the caller meant, found without following what it may change meanwhile. */
static int make(sandbox_notify *n, int directory, uint64_t path, mode_t mode, dev_t rdev) {
    char name[NAME_MAX + 1];
    int parent = sandbox_notify_parent(n, directory, path, name, sizeof name);
    if (parent < 0)
        return sandbox_notify_continue_unsafe(n);
    int result;
    mode &= ~umask_of(n) | S_IFMT;
    if (S_ISDIR(mode))
        result = mkdirat(parent, name, mode & 07777) < 0 ? -errno : 0;
    else if (S_ISCHR(mode) || S_ISBLK(mode))
        result = make_device(parent, name, mode, rdev);
    else
        result = mknodat(parent, name, mode, 0) < 0 ? -errno : 0;
    int answer = result < 0 ? sandbox_notify_errno(n, -result) : sandbox_notify_return(n, 0);
    if (answer == 1 && result == 0) /* the caller has gone: for it nothing was made */
        unlinkat(parent, name, S_ISDIR(mode) ? AT_REMOVEDIR : 0);
    close(parent);
    return answer;
}

static int on_mkdir(sandbox_notify *n, void *userdata) {
    (void)userdata;
    sandbox_syscall call = call_of(n);
    return make(n, AT_FDCWD, call.args[0], S_IFDIR | (call.args[1] & 07777), 0);
}

static int on_mkdirat(sandbox_notify *n, void *userdata) {
    (void)userdata;
    sandbox_syscall call = call_of(n);
    return make(n, (int)call.args[0], call.args[1], S_IFDIR | (call.args[2] & 07777), 0);
}

static int on_mknod(sandbox_notify *n, void *userdata) {
    (void)userdata;
    sandbox_syscall call = call_of(n);
    return make(n, AT_FDCWD, call.args[0], (mode_t)call.args[1] & 0xffff, (dev_t)(uint32_t)call.args[2]);
}

static int on_mknodat(sandbox_notify *n, void *userdata) {
    (void)userdata;
    sandbox_syscall call = call_of(n);
    return make(n, (int)call.args[0], call.args[1], (mode_t)call.args[2] & 0xffff, (dev_t)(uint32_t)call.args[3]);
}

/* ---- the program ---- */

static int follow = 0, no_follow = AT_SYMLINK_NOFOLLOW;

static const struct {
    const char *syscall;
    sandbox_notify_fn handler;
    void *userdata;
} calls[] = {
    {"getuid", zero, NULL},           {"geteuid", zero, NULL},          {"getgid", zero, NULL},
    {"getegid", zero, NULL},          {"getgroups", zero, NULL},        {"getresuid", three_zeros, NULL},
    {"getresgid", three_zeros, NULL}, {"setuid", zero, NULL},           {"setgid", zero, NULL},
    {"setreuid", zero, NULL},         {"setregid", zero, NULL},         {"setresuid", zero, NULL},
    {"setresgid", zero, NULL},        {"setgroups", zero, NULL},        {"chown", on_chown, &follow},
    {"lchown", on_chown, &no_follow}, {"fchown", on_fchown, NULL},      {"fchownat", on_fchownat, NULL},
    {"stat", on_stat, &follow},       {"lstat", on_stat, &no_follow},   {"fstat", on_fstat, NULL},
    {"newfstatat", on_fstatat, NULL}, {"statx", on_statx, NULL},        {"mkdir", on_mkdir, NULL},
    {"mkdirat", on_mkdirat, NULL},    {"mknod", on_mknod, NULL},        {"mknodat", on_mknodat, NULL},
};

#define CALLS (sizeof calls / sizeof calls[0])

/* The library's setters are sticky: sandbox_spawn fails where one of them did. */
static sandbox_cmd *command(char **argv, const char *policy) {
    struct rlimit files;
    sandbox_cmd *cmd = sandbox_cmd_new(argv[0]);
    sandbox_cmd_args(cmd, (const char *const *)argv + 1);
    sandbox_cmd_set(cmd, SANDBOX_OPT_UMASK, umask(0)); /* here none: make() applies the program's own */
    getrlimit(RLIMIT_NOFILE, &files);
    sandbox_cmd_rlimit(cmd, RLIMIT_NOFILE, files.rlim_cur, files.rlim_max);
    files.rlim_cur = files.rlim_max; /* the table holds an fd a file */
    setrlimit(RLIMIT_NOFILE, &files);
    if (policy) {
        sandbox_filter *filter = filter_from_file(policy, SANDBOX_ACT_KILL_PROCESS);
        if (!filter)
            exit(2);
        sandbox_cmd_filter(cmd, filter);
        sandbox_filter_free(filter);
    }
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    for (size_t i = 0; i < CALLS; i++) /* those that this architecture lacks are passed over */
        sandbox_filter_rule(filter, SANDBOX_ACT_NOTIFY, calls[i].syscall, NULL, 0);
    sandbox_cmd_filter(cmd, filter);
    sandbox_filter_free(filter);
    return cmd;
}

static void fail(const char *what, const char *value) {
    fprintf(stderr, "fake-root: %s%s\nTry 'fake-root --help'.\n", what, value);
    exit(2);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"policy", required_argument, NULL, 'p'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *policy = NULL;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:p:h", options, NULL)) != -1) {
        switch (option) {
        case 'p': policy = optarg; break;
        case 'h': fputs(usage, stdout); return 0;
        case ':': fail("this option wants a value: ", argv[optind - 1]); break;
        default: fail("no such option: ", argv[optind - 1]);
        }
    }
    if (optind == argc)
        fail("which program?", "");
    sandbox_error error;
    sandbox_child *child;
    sandbox_status status;
    sandbox_cmd *cmd = command(argv + optind, policy);
    int result = sandbox_spawn(cmd, &child, &error);
    sandbox_cmd_free(cmd);
    if (result < 0) {
        fprintf(stderr, "fake-root: %s: %s\n", sandbox_stage_name(error.stage), error.message);
        return 2;
    }
    sandbox_supervisor *supervisor = sandbox_supervisor_new(child);
    for (size_t i = 0; i < CALLS; i++)
        sandbox_supervisor_on(supervisor, calls[i].syscall, calls[i].handler, calls[i].userdata);
    sandbox_supervisor_run(supervisor); /* until the last of its processes has ended */
    sandbox_supervisor_free(supervisor);
    result = sandbox_child_wait(child, -1, &status, sizeof status);
    sandbox_child_free(child);
    if (result < 0)
        return 2;
    return status.kind == SANDBOX_EXITED ? status.code : 128 + status.code;
}
