/* A victim that tries what its arguments name, "what:where" each, and prints "what:where errno", 0 where it succeeded. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int opened(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return errno;
    close(fd);
    return 0;
}

static int done(int result) { return result < 0 ? errno : 0; }

/* A request that no device here answers: ENOTTY, if it gets there. */
static int device_control(const char *path) {
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return 1000 + errno;
    int result = done(ioctl(fd, 0x5457 /* TCGETX */, NULL));
    close(fd);
    return result == ENOTTY || result == EFAULT ? 0 : result;
}

static int executed(const char *path) {
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        execl(path, path, (char *)NULL);
        _exit(errno);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* The listener stays open for those that connect. */
static int tcp(int port, int is_bind) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0) return 1000 + errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (is_bind) return bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 5) < 0 ? errno : 0;
    return done(connect(fd, (struct sockaddr *)&address, sizeof address));
}

static int abstract(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    memcpy(address.sun_path + 1, name, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 1000 + errno;
    return done(connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)));
}

/* A system call that a sandbox should refuse. */
static int called(const char *name) {
    if (!strcmp(name, "io_uring_setup")) return done((int)syscall(425, 0, NULL));
    if (!strcmp(name, "io_uring_enter")) return done((int)syscall(426, -1, 0, 0, 0, NULL, 0));
    if (!strcmp(name, "unshare-user")) return done(unshare(CLONE_NEWUSER));
    if (!strcmp(name, "clone-user")) {
        pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
        if (pid == 0) _exit(0);
        return done(pid);
    }
    if (!strcmp(name, "clone3")) return done((int)syscall(435, NULL, 0));
    if (!strcmp(name, "unshare-mount")) return done(unshare(CLONE_NEWNS));
    if (!strcmp(name, "mount")) return done(mount("none", "/tmp", "tmpfs", 0, NULL));
    if (!strcmp(name, "add_key")) return done((int)syscall(SYS_add_key, "user", "x", "x", 1, -3));
    if (!strcmp(name, "request_key")) return done((int)syscall(SYS_request_key, "user", "x", NULL, 0));
    if (!strcmp(name, "keyctl")) return done((int)syscall(SYS_keyctl, 0, -3, 0));
    if (!strcmp(name, "ptrace")) return done((int)ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    if (!strcmp(name, "process_vm_readv")) return done((int)syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0));
    if (!strcmp(name, "bpf")) return done((int)syscall(SYS_bpf, 5, NULL, 0));
    if (!strcmp(name, "perf_event_open")) return done((int)syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    if (!strcmp(name, "seccomp")) return done((int)syscall(SYS_seccomp, 2, 0, NULL));
    if (!strcmp(name, "listener")) return done((int)syscall(SYS_seccomp, 1, 8, NULL));
    if (!strcmp(name, "tiocsti")) return done(ioctl(0, TIOCSTI, "x"));
    if (!strcmp(name, "tiocsti-high")) return done((int)syscall(SYS_ioctl, 0, TIOCSTI | 1UL << 32, "x"));
    if (!strcmp(name, "vsock")) return done(socket(AF_VSOCK, SOCK_STREAM, 0));
    if (!strcmp(name, "alg")) return done(socket(AF_ALG, SOCK_SEQPACKET, 0));
    if (!strcmp(name, "packet")) return done(socket(AF_PACKET, SOCK_RAW, 0));
    if (!strcmp(name, "unix")) return done(socket(AF_UNIX, SOCK_STREAM, 0));
    if (!strcmp(name, "inet")) return done(socket(AF_INET, SOCK_STREAM, 0));
#if defined __x86_64__
    if (!strcmp(name, "x32")) return done((int)syscall(0x40000000 | SYS_getpid));
    if (!strcmp(name, "int80")) {
        int result = 20; /* getpid */
        __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
        return result < 0 ? -result : 0;
    }
#else
    if (!strcmp(name, "x32") || !strcmp(name, "int80")) raise(SIGSYS); /* has none */
#endif
    return 999;
}

/* In a process of its own; 2000 + the signal that ended it. */
static int apart(const char *name) {
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        int result = called(name);
        _exit(result > 250 ? 250 : result);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return 1000 + errno;
    return WIFSIGNALED(status) ? 2000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* What undoes a mount: makes it writable again, or takes it away. */
static int undone(const char *what, const char *where) {
    if (!strcmp(what, "remount")) return done(mount(NULL, where, NULL, MS_REMOUNT | MS_BIND, NULL));
    if (!strcmp(what, "umount")) return done(umount2(where, MNT_DETACH));
    return done(mount("none", where, "tmpfs", 0, NULL));
}

/* The same with every capability over a user and a mount namespace of its own; "none" does nothing there. 1000
 * where there is none. */
static int nested(const char *what, const char *where) {
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) _exit(200);
        _exit(!strcmp(what, "none") ? 0 : undone(what, where));
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return 999;
    return WEXITSTATUS(status) == 200 ? 1000 : WEXITSTATUS(status);
}

static int attempt(const char *what, char *where) {
    char *other = strchr(where, ':');
    if (other) *other++ = 0;
    if (!strcmp(what, "read")) return opened(where, O_RDONLY);
    if (!strcmp(what, "write")) return opened(where, O_WRONLY);
    if (!strcmp(what, "list")) return opened(where, O_RDONLY | O_DIRECTORY);
    if (!strcmp(what, "truncate")) return done(truncate(where, 0));
    if (!strcmp(what, "reg")) return done(mknod(where, S_IFREG | 0600, 0));
    if (!strcmp(what, "fifo")) return done(mknod(where, S_IFIFO | 0600, 0));
    if (!strcmp(what, "sock")) return done(mknod(where, S_IFSOCK | 0600, 0));
    if (!strcmp(what, "char")) return done(mknod(where, S_IFCHR | 0600, makedev(1, 3)));
    if (!strcmp(what, "block")) return done(mknod(where, S_IFBLK | 0600, makedev(7, 0)));
    if (!strcmp(what, "mkdir")) return done(mkdir(where, 0700));
    if (!strcmp(what, "sym")) return done(symlink("x", where));
    if (!strcmp(what, "rmdir")) return done(rmdir(where));
    if (!strcmp(what, "unlink")) return done(unlink(where));
    if (!strcmp(what, "rename")) return done(rename(where, other));
    if (!strcmp(what, "link")) return done(link(where, other));
    if (!strcmp(what, "ioctl")) return device_control(where);
    if (!strcmp(what, "exec")) return executed(where);
    if (!strcmp(what, "remount") || !strcmp(what, "umount") || !strcmp(what, "mount")) return undone(what, where);
    if (!strncmp(what, "nested-", 7)) return nested(what + 7, where);
    if (!strcmp(what, "bind")) return tcp(atoi(where), 1);
    if (!strcmp(what, "connect")) return tcp(atoi(where), 0);
    if (!strcmp(what, "abstract")) return abstract(where);
    if (!strcmp(what, "kill")) return done(kill(atoi(where) ? atoi(where) : getpid(), 0));
    if (!strcmp(what, "call")) return apart(where);
    if (!strcmp(what, "seize")) return done((int)ptrace(PTRACE_SEIZE, atoi(where), NULL, NULL));
    return 999;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        char *copy = strdup(argv[i]), *where = strchr(copy, ':');
        if (!where) return 98;
        *where++ = 0;
        printf("%s %d\n", argv[i], attempt(copy, where));
        fflush(stdout);
        free(copy);
    }
    return 0;
}
