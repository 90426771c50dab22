/* The file system: each operation as calls of the library, in the order given. */
#include "bwrap.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A mode closed to group or others closes the missing directories on the way too, and so does an operation that takes
 * no mode. The library's own are 0755. */
static void make_parents(struct bwrap *b, const struct operation *o, unsigned perms) {
    unsigned mode = 0755;
    if (!(perms & 070))
        mode &= ~070u;
    if (!(perms & 07))
        mode &= ~07u;
    if (mode == 0755)
        return;
    char *path = joined(o->target, "");
    for (char *slash = path; (slash = strchr(slash, '/')); slash++) {
        size_t length = (size_t)(slash - path);
        if (strspn(path, "/.") >= length)
            continue;
        *slash = 0;
        must(sandbox_cmd_dir(b->cmd, path, mode), o->target);
        *slash = '/';
    }
    free(path);
}

void do_bind(struct bwrap *b, struct operation *o) {
    struct stat found;
    if (o->row->number & SANDBOX_MOUNT_OPTIONAL && stat(o->source, &found) < 0 && errno != ENOENT)
        die("%s: %s", o->source, strerror(errno)); /* to try means that it may be absent, no more */
    make_parents(b, o, 0);
    must(sandbox_cmd_bind(b->cmd, o->source, o->target, (uint64_t)o->row->number), o->target);
}

void do_bind_fd(struct bwrap *b, struct operation *o) {
    make_parents(b, o, 0);
    must(sandbox_cmd_bind_fd(b->cmd, o->fd, o->target, (uint64_t)o->row->number), o->target);
    fcntl(o->fd, F_SETFD, FD_CLOEXEC); /* not the program's */
}

void do_data(struct bwrap *b, struct operation *o) {
    if (!o->content)
        o->content = all_of(o->fd, o->target, &o->length);
    bool is_mount = o->row->number & SANDBOX_DATA_MOUNT;
    unsigned mode = o->perms >= 0 ? (unsigned)o->perms : is_mount ? 0600 : 0666;
    make_parents(b, o, mode);
    must(sandbox_cmd_data(b->cmd, o->target, o->content, o->length, mode, (uint64_t)o->row->number), o->target);
}

void do_chmod(struct bwrap *b, struct operation *o) { must(sandbox_cmd_chmod(b->cmd, o->target, (unsigned)o->perms), o->target); }
void do_remount(struct bwrap *b, struct operation *o) { must(sandbox_cmd_remount(b->cmd, o->target, 0), o->target); }

/* Of a pid namespace of its own; else the host's, which shows the same and can be had in any user namespace. Covered
 * whoever may write there: the sysctls of the sandbox's own namespaces obey others than the host's. */
void do_proc(struct bwrap *b, struct operation *o) {
    static const char *const covered[] = {"/sys", "/sysrq-trigger", "/irq", "/bus"};
    make_parents(b, o, 0);
    if (b->namespaces & SANDBOX_NS_PID || b->pidns_fd >= 0) {
        must(sandbox_cmd_proc(b->cmd, o->target, SANDBOX_PROC_RW | SANDBOX_PROC_COVERED), o->target);
        return;
    }
    must(sandbox_cmd_bind(b->cmd, "/proc", o->target, SANDBOX_MOUNT_RW), o->target);
    for (size_t i = 0; i < sizeof covered / sizeof *covered; i++) {
        char *host = joined("/proc", covered[i]);
        if (access(host, F_OK) == 0)
            must(sandbox_cmd_bind(b->cmd, host, joined(o->target, covered[i]), 0), o->target);
        free(host);
    }
}

/* One that the program may add to, other than the library's own. */
void do_dev(struct bwrap *b, struct operation *o) {
    static const char *const nodes[] = {"/null", "/zero", "/full", "/random", "/urandom", "/tty"};
    static const char *const links[][2] = {{"/proc/self/fd/0", "/stdin"}, {"/proc/self/fd/1", "/stdout"}, {"/proc/self/fd/2", "/stderr"},
                                           {"/proc/self/fd", "/fd"},      {"/proc/kcore", "/core"},       {"pts/ptmx", "/ptmx"}};
    make_parents(b, o, 0);
    must(sandbox_cmd_tmpfs(b->cmd, o->target, 0, 0755), o->target);
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        must(sandbox_cmd_bind(b->cmd, joined("/dev", nodes[i]), joined(o->target, nodes[i]), SANDBOX_MOUNT_RW | SANDBOX_MOUNT_DEV), nodes[i]);
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        must(sandbox_cmd_symlink(b->cmd, links[i][0], joined(o->target, links[i][1])), links[i][1]);
    must(sandbox_cmd_dir(b->cmd, joined(o->target, "/shm"), 0755), o->target);
    must(sandbox_cmd_devpts(b->cmd, joined(o->target, "/pts")), o->target);
    const char *terminal = ttyname(STDOUT_FILENO);
    if (terminal)
        must(sandbox_cmd_bind(b->cmd, terminal, joined(o->target, "/console"), SANDBOX_MOUNT_RW | SANDBOX_MOUNT_DEV), terminal);
}

void do_tmpfs(struct bwrap *b, struct operation *o) {
    unsigned mode = o->perms >= 0 ? (unsigned)o->perms : 0755;
    make_parents(b, o, mode);
    must(sandbox_cmd_tmpfs(b->cmd, o->target, o->size, mode & 01777), o->target);
    if (mode & ~01777u)
        must(sandbox_cmd_chmod(b->cmd, o->target, mode), o->target);
}

void do_mqueue(struct bwrap *b, struct operation *o) {
    make_parents(b, o, 0);
    must(sandbox_cmd_mqueue(b->cmd, o->target), o->target);
}

void do_dir(struct bwrap *b, struct operation *o) {
    if (strspn(o->target, "/.") == strlen(o->target))
        return; /* the root is there */
    unsigned mode = o->perms >= 0 ? (unsigned)o->perms : 0755;
    make_parents(b, o, mode);
    must(sandbox_cmd_dir(b->cmd, o->target, mode & 01777), o->target); /* mkdir takes no more */
}

void do_symlink(struct bwrap *b, struct operation *o) {
    make_parents(b, o, 0);
    must(sandbox_cmd_symlink(b->cmd, o->source, o->target), o->target);
}

void do_overlay(struct bwrap *b, struct operation *o) {
    make_parents(b, o, 0);
    if (o->row->number == 2)
        must(sandbox_cmd_overlay_ro(b->cmd, o->layers, o->target), o->target);
    else
        must(sandbox_cmd_overlay(b->cmd, o->layers, o->row->number ? NULL : o->source, o->work, o->target), o->target);
}

void build_files(struct bwrap *b) {
    must(sandbox_cmd_root(b->cmd, NULL, SANDBOX_MOUNT_RW), "/");
    for (size_t i = 0; i < b->operation_count; i++)
        b->operations[i].put(b, &b->operations[i]);
}
