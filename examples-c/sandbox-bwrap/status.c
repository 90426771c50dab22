/* What others read and wait for: --info-fd, --json-status-fd, --block-fd, --userns-block-fd. */
#include "bwrap.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *file;
    uint64_t bit;
} kinds[] = {{"cgroup", SANDBOX_NS_CGROUP}, {"ipc", SANDBOX_NS_IPC}, {"mnt", SANDBOX_NS_MOUNT},
             {"net", SANDBOX_NS_NET},       {"pid", SANDBOX_NS_PID}, {"uts", SANDBOX_NS_UTS}};

static void write_all(int fd, const char *text, size_t length, const char *option) {
    while (length) {
        ssize_t written = write(fd, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            die("%s: %s", option, strerror(errno));
        text += written, length -= (size_t)written;
    }
}

/* An object of the child's number and its new namespaces, in lines or in one. */
static void write_start(const struct bwrap *b, int fd, int32_t pid, const char *open, const char *between, const char *close, const char *option) {
    char *text = NULL, path[64];
    size_t length;
    struct stat found;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        die("out of memory");
    fprintf(out, "{%s\"child-pid\": %d", open, pid);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kinds[i].file);
        if ((b->namespaces | SANDBOX_NS_MOUNT) & kinds[i].bit && stat(path, &found) == 0)
            fprintf(out, ",%s\"%s-namespace\": %llu", between, kinds[i].file, (unsigned long long)found.st_ino);
    }
    fprintf(out, "%s}\n", close);
    fclose(out);
    write_all(fd, text, length, option);
    free(text);
}

static void write_info(struct bwrap *b, int32_t pid) {
    if (b->info_fd >= 0) {
        write_start(b, b->info_fd, pid, "\n    ", "\n    ", "\n", "--info-fd");
        close(b->info_fd);
        b->info_fd = -1;
    }
    if (b->json_fd >= 0)
        write_start(b, b->json_fd, pid, " ", " ", " ", "--json-status-fd");
}

static void wait_for(int *fd) {
    char byte;
    while (read(*fd, &byte, 1) < 0 && errno == EINTR) {
    }
    close(*fd);
    *fd = -1;
}

static int write_map(int32_t pid, const char *file, const char *text) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int error = is_written ? 0 : -errno;
    if (fd >= 0)
        close(fd);
    return error;
}

/* One id each, and no other groups: the library denies setgroups only where it must. */
int map_ids(int32_t pid, int pidfd, void *userdata) {
    const struct bwrap *b = userdata;
    char users[64], groups[64];
    (void)pidfd;
    snprintf(users, sizeof users, "%u %u 1\n", b->uid >= 0 ? (unsigned)b->uid : getuid(), getuid());
    snprintf(groups, sizeof groups, "%u %u 1\n", b->gid >= 0 ? (unsigned)b->gid : getgid(), getgid());
    int error = write_map(pid, "uid_map", users);
    if (!error)
        error = write_map(pid, "setgroups", "deny\n");
    return error ? error : write_map(pid, "gid_map", groups);
}

/* The child stands still, its ids not yet mapped. */
int wait_for_maps(int32_t pid, int pidfd, void *userdata) {
    struct bwrap *b = userdata;
    (void)pidfd;
    write_info(b, pid);
    char byte;
    while (read(b->userns_block_fd, &byte, 1) < 0 && errno == EINTR) {
    }
    return 0;
}

/* The child stands still, in its namespaces. */
int say_started(int32_t pid, int pidfd, void *userdata) {
    struct bwrap *b = userdata;
    (void)pidfd;
    if (b->userns_block_fd < 0)
        write_info(b, pid);
    if (b->block_fd >= 0)
        wait_for(&b->block_fd);
    return 0;
}

void say_exit_code(const struct bwrap *b, int code) {
    char line[64];
    if (b->json_fd >= 0)
        write_all(b->json_fd, line, (size_t)snprintf(line, sizeof line, "{ \"exit-code\": %d }\n", code), "--json-status-fd");
}
