/* Watching: every call of the program comes here by seccomp notification before it happens, is noted, and goes on. What
 * is noted is what the call asks for; nothing is decided by it, so that it may change under the look does no harm. */
#include "run.h"
#include "syscalls.h" /* syscall_names, made by the Makefile from the system's headers */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const words[] = {"read", "list", "look at", "run", "write", "make or remove", "connect to", "listen on"};
struct seen seen;

static void note(enum kind kind, const char *name, const char *resolved) {
    for (size_t i = 0; i < seen.count; i++)
        if (seen.notes[i].kind == kind && strcmp(seen.notes[i].name, name) == 0)
            return;
    seen.notes = grown(seen.notes, seen.count, sizeof *seen.notes);
    seen.notes[seen.count++] = (struct note){kind, copied(name), copied(resolved)};
    if (seen.prints)
        fprintf(stderr, "sandbox-run: %s %s\n", words[kind], name);
}

/* ---- paths */

/* Which argument is what; -1: none. */
struct watched {
    const char *name;
    int directory, path, flags;
    enum kind kind;
};

static const struct watched with_path[] = {
    {"open", -1, 0, 1, READ},       {"openat", 0, 1, 2, READ},         {"openat2", 0, 1, -2, READ},     {"creat", -1, 0, -1, MAKE},
    {"execve", -1, 0, -1, RUN},     {"execveat", 0, 1, -1, RUN},       {"stat", -1, 0, -1, LOOK},       {"lstat", -1, 0, -1, LOOK},
    {"newfstatat", 0, 1, -1, LOOK}, {"statx", 0, 1, -1, LOOK},         {"access", -1, 0, -1, LOOK},     {"faccessat", 0, 1, -1, LOOK},
    {"faccessat2", 0, 1, -1, LOOK}, {"readlink", -1, 0, -1, LOOK},     {"readlinkat", 0, 1, -1, LOOK},  {"chdir", -1, 0, -1, LOOK},
    {"statfs", -1, 0, -1, LOOK},    {"mkdir", -1, 0, -1, MAKE},        {"mkdirat", 0, 1, -1, MAKE},     {"rmdir", -1, 0, -1, MAKE},
    {"unlink", -1, 0, -1, MAKE},    {"unlinkat", 0, 1, -1, MAKE},      {"rename", -1, 0, -1, MAKE},     {"renameat", 0, 1, -1, MAKE},
    {"renameat2", 0, 1, -1, MAKE},  {"link", -1, 1, -1, MAKE},         {"linkat", 2, 3, -1, MAKE},      {"symlink", -1, 1, -1, MAKE},
    {"symlinkat", 1, 2, -1, MAKE},  {"mknod", -1, 0, -1, MAKE},        {"mknodat", 0, 1, -1, MAKE},     {"chmod", -1, 0, -1, WRITE},
    {"fchmodat", 0, 1, -1, WRITE},  {"chown", -1, 0, -1, WRITE},       {"lchown", -1, 0, -1, WRITE},    {"fchownat", 0, 1, -1, WRITE},
    {"truncate", -1, 0, -1, WRITE}, {"utimensat", 0, 1, -1, WRITE},    {"utimes", -1, 0, -1, WRITE},    {"setxattr", -1, 0, -1, WRITE},
    {"rename", -1, 1, -1, MAKE},    {"renameat", 2, 3, -1, MAKE},      {"renameat2", 2, 3, -1, MAKE},   {"link", -1, 0, -1, LOOK},
    {"linkat", 0, 1, -1, LOOK},     {"inotify_add_watch", -1, 1, -1, LOOK},
};
enum { WITH_PATH = sizeof with_path / sizeof *with_path };

static enum kind kind_of_open(uint64_t flags) {
    if (flags & O_CREAT)
        return MAKE;
    if (flags & (O_WRONLY | O_RDWR | O_TRUNC))
        return WRITE;
    return flags & O_PATH ? LOOK : flags & O_DIRECTORY ? LIST : READ;
}

/* A name without "//", "/./" and a slash at its end, so that one file has one. */
static void tidy(char *path) {
    char *to = path;
    for (char *from = path; *from;) {
        if (from[0] == '/' && (from[1] == '/' || (from[1] == '.' && (from[2] == '/' || !from[2]))))
            from += from[1] == '/' ? 1 : 2;
        else
            *to++ = *from++;
    }
    *to = '\0';
    if (to - path > 1 && to[-1] == '/')
        to[-1] = '\0';
}

static void note_path(sandbox_notify *n, const struct watched *what) {
    sandbox_syscall call;
    char name[PATH_MAX], resolved[PATH_MAX];
    sandbox_notify_call(n, &call, sizeof call);
    uint64_t flags = what->flags >= 0 ? call.args[what->flags] : 0;
    if (what->flags == -2)
        sandbox_notify_read(n, call.args[2], &flags, sizeof flags); /* struct open_how begins with them */
    enum kind kind = what->kind == READ ? kind_of_open(flags) : what->kind;
    int directory = what->directory < 0 ? AT_FDCWD : (int)call.args[what->directory];
    uint64_t link = kind == MAKE && what->kind != READ ? AT_SYMLINK_NOFOLLOW : 0; /* such a link is meant itself */
    if (sandbox_notify_string(n, call.args[what->path], name, sizeof name) <= 0 ||
        sandbox_notify_path(n, directory, call.args[what->path], link, resolved, sizeof resolved) < 0)
        return; /* what leads nowhere needs no permission */
    tidy(name);
    note(kind, name[0] == '/' && !strstr(name, "/../") ? name : resolved, resolved);
}

/* ---- addresses */

static bool is_tcp(sandbox_notify *n, int number) {
    int type = 0, fd = sandbox_notify_get_fd(n, number);
    socklen_t size = sizeof type;
    bool is_stream = fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
    if (fd >= 0)
        close(fd);
    return is_stream;
}

static void note_address(sandbox_notify *n, int fd, uint64_t pointer, uint64_t length, enum kind kind) {
    struct sockaddr_storage address;
    char text[INET6_ADDRSTRLEN] = "", whole[INET6_ADDRSTRLEN + 128];
    if (!pointer || sandbox_notify_sockaddr(n, pointer, length, &address, sizeof address) <= 0)
        return;
    if (address.ss_family == AF_UNIX) {
        const struct sockaddr_un *local = (const void *)&address;
        snprintf(whole, sizeof whole, local->sun_path[0] ? "%.107s" : "unix @%.106s", local->sun_path + !local->sun_path[0]);
        /* To connect needs no write access to where the socket lies. */
        note(whole[0] != '/' ? kind : kind == REACH ? LOOK : MAKE, whole, whole);
    } else if (address.ss_family == AF_INET || address.ss_family == AF_INET6) {
        const struct sockaddr_in *four = (const void *)&address;
        const struct sockaddr_in6 *six = (const void *)&address;
        bool is_four = address.ss_family == AF_INET;
        inet_ntop(address.ss_family, is_four ? (const void *)&four->sin_addr : &six->sin6_addr, text, sizeof text);
        snprintf(whole, sizeof whole, is_four ? "%s:%d" : "[%s]:%d", text, ntohs(is_four ? four->sin_port : six->sin6_port));
        seen.has_network = true;
        if (is_tcp(n, fd))
            (kind == REACH ? seen.connected : seen.bound)[ntohs(is_four ? four->sin_port : six->sin6_port)] = true;
        note(kind, whole, whole);
    }
}

static void note_message(sandbox_notify *n, int fd, uint64_t pointer) {
    struct msghdr message;
    if (sandbox_notify_read(n, pointer, &message, sizeof message) == 0)
        note_address(n, fd, (uintptr_t)message.msg_name, message.msg_namelen, REACH);
}

/* ---- every call */

const char *name_of_call(int number) {
    size_t known = sizeof syscall_names / sizeof *syscall_names;
    return number >= 0 && (size_t)number < known ? syscall_names[number] : NULL;
}

static int on_call(sandbox_notify *n, void *run) {
    sandbox_syscall call;
    sandbox_notify_call(n, &call, sizeof call);
    const char *name = name_of_call(call.nr);
    (void)run;
    if (call.nr >= 0 && call.nr < 1024 && !seen.called[call.nr]) {
        seen.called[call.nr] = true;
        if (seen.prints && name)
            fprintf(stderr, "sandbox-run: call %s\n", name);
    }
    for (size_t i = 0; name && i < WITH_PATH; i++)
        if (strcmp(name, with_path[i].name) == 0)
            note_path(n, &with_path[i]);
    if (name && strcmp(name, "connect") == 0)
        note_address(n, (int)call.args[0], call.args[1], call.args[2], REACH);
    else if (name && strcmp(name, "bind") == 0)
        note_address(n, (int)call.args[0], call.args[1], call.args[2], SERVE);
    else if (name && strcmp(name, "sendto") == 0)
        note_address(n, (int)call.args[0], call.args[4], call.args[5], REACH);
    else if (name && (strcmp(name, "sendmsg") == 0 || strcmp(name, "sendmmsg") == 0)) /* the first, whose header begins it */
        note_message(n, (int)call.args[0], call.args[1]);
    return sandbox_notify_continue_unsafe(n);
}

void add_watching_filter(struct run *run) {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_NOTIFY);
    sandbox_cmd_filter(run->cmd, filter);
    sandbox_filter_free(filter);
}

int supervise(struct run *run, sandbox_child *child) {
    seen.prints = run->traces;
    sandbox_supervisor *supervisor = sandbox_supervisor_new(child);
    if (!supervisor)
        return -ENOSYS;
    sandbox_supervisor_on(supervisor, NULL, on_call, run);
    int result = 0;
    while (result >= 0 && sandbox_supervisor_ended(supervisor) == 0 && sandbox_child_wait(child, 0, NULL, 0) == -ETIMEDOUT) {
        result = sandbox_supervisor_dispatch(supervisor, 50);
        tend(run, child);
    }
    sandbox_supervisor_free(supervisor);
    return result < 0 ? result : 0;
}
