/* What the tests of the file system share: a command with a root that has what a shell needs, as root and as an
 * ordinary user, and a picture of the host to compare with. */
#ifndef MOUNT_H
#define MOUNT_H

#include "test.h"
#include <sys/sysmacros.h>

static struct run result;

UNUSED static bool is_admin(void) { return has_cap(21); }

/* With a user namespace by default, because an ordinary user needs one; root also goes without. */
static bool without_user_namespace;

static sandbox_cmd *confined(sandbox_cmd *cmd) {
    uint64_t namespaces = SANDBOX_NS_PID | SANDBOX_NS_IPC | (without_user_namespace ? 0 : SANDBOX_NS_USER);
    CHECK_EQ(sandbox_cmd_unshare(cmd, namespaces), 0);
    sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_NULL, -1);
    return cmd;
}

static void bind(sandbox_cmd *cmd, const char *path) { CHECK_EQ(sandbox_cmd_bind(cmd, path, path, SANDBOX_MOUNT_OPTIONAL), 0); }

/* /usr and what leads there. */
static sandbox_cmd *with_system(sandbox_cmd *cmd) {
    static const char *const paths[] = {"/usr", "/bin", "/lib", "/lib64"};
    for (int i = 0; i < 4; i++) bind(cmd, paths[i]);
    return cmd;
}

/* A script in a root of its own: the system, proc, and what the test adds. */
UNUSED static sandbox_cmd *script(const char *text) {
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/sh");
    sandbox_cmd_args(cmd, (const char *const[]){"-c", text, NULL});
    with_system(confined(cmd));
    CHECK_EQ(sandbox_cmd_proc(cmd, "/proc", 0), 0);
    return cmd;
}

/* Skips where this machine allows no such thing, which sandbox_spawn must then say. */
UNUSED static void need_mounts(void) {
    run(script("exit 0"), &result);
    if (result.result == 0) {
        CHECK_EQ(result.status.code, 0);
        return;
    }
    if (result.result != -EPERM && result.result != -EACCES && result.result != -ENOSPC) FAIL("spawn gave %d: %s", result.result, result.error.message);
    SKIP("%s", result.error.message);
}

/* Each way once: with a user namespace, and as root without. */
#define BOTH_WAYS(...)                                                                                        \
    do {                                                                                                      \
        need_mounts();                                                                                        \
        for (int way_ = 0; way_ < (is_admin() ? 2 : 1); way_++) {                                             \
            without_user_namespace = way_;                                                                    \
            __VA_ARGS__                                                                                             \
        }                                                                                                     \
    } while (0)

UNUSED static void says(sandbox_cmd *cmd, const char *wanted) {
    run_well(cmd, &result);
    CHECK_STR(result.out, wanted);
}

UNUSED static void has(sandbox_cmd *cmd, const char *wanted) {
    run_well(cmd, &result);
    CHECK_HAS(result.out, wanted);
}

enum { AFTER_SYSTEM = 5 }; /* a script's own mounts come after the system's four and proc */

/* The spawn fails with this, at that mount. */
UNUSED static void refuses(sandbox_cmd *cmd, int errnum, unsigned index, const char *word) {
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, errnum, SANDBOX_STAGE_MOUNT, index, word);
}

UNUSED static mode_t mode_of(const char *path) {
    struct stat about;
    CHECK_EQ(stat(path, &about), 0);
    return about.st_mode & 07777;
}

UNUSED static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) FAIL("%s: %s", path, strerror(errno));
    close(fd);
}

UNUSED static char *read_file(const char *path, char *buffer, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) FAIL("%s: %s", path, strerror(errno));
    drain(fd, buffer, size);
    close(fd);
    return buffer;
}

/* "FORMAT" as a path in `directory`, in one of a few buffers. */
__attribute__((format(printf, 2, 3))) UNUSED static const char *in(const char *directory, const char *format, ...) {
    static char paths[16][PATH_MAX];
    static int next;
    char *path = paths[next++ % 16], *end = path + snprintf(path, PATH_MAX, "%s/", directory);
    va_list list;
    va_start(list, format);
    vsnprintf(end, (size_t)(path + PATH_MAX - end), format, list);
    va_end(list);
    return path;
}

UNUSED static const char *make_dir(const char *path) {
    if (mkdir(path, 0755) < 0 && errno != EEXIST) FAIL("%s: %s", path, strerror(errno));
    return path;
}

/* Every file below `path`, with its type, size and mode, sorted: what a test must not have changed. */
UNUSED static char *listing(const char *path, char *buffer, size_t size) {
    char command[PATH_MAX + 100];
    snprintf(command, sizeof command, "cd '%s' && find . -exec ls -lnd {} + | sort", path);
    FILE *pipe = popen(command, "re");
    size_t length = fread(buffer, 1, size - 1, pipe);
    buffer[length] = 0;
    CHECK_EQ(pclose(pipe), 0);
    return buffer;
}

#endif
