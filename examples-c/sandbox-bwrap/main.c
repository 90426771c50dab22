/* sandbox-bwrap: takes bubblewrap's command line and does the same by this library's public interface. */
#include "bwrap.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

bool has_level_prefix;

void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%sbwrap: ", has_level_prefix ? "<3>" : "");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void warn(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%sbwrap: ", has_level_prefix ? "<4>" : "");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

void must(int result, const char *what) {
    if (result < 0)
        die("%s: %s", what, strerror(-result));
}

void *grown(void *list, size_t count, size_t size) {
    list = realloc(list, (count + 2) * size);
    if (!list)
        die("out of memory");
    return list;
}

void append(struct list *list, const char *item) {
    list->items = grown(list->items, list->count, sizeof *list->items);
    list->items[list->count++] = item;
    list->items[list->count] = NULL;
}

char *joined(const char *first, const char *second) {
    size_t length = strlen(first);
    char *both = malloc(length + strlen(second) + 1);
    if (!both)
        die("out of memory");
    strcpy(both, first);
    strcpy(both + length, second);
    return both;
}

char *all_of(int fd, const char *what, size_t *length) {
    size_t room = 4096, filled = 0;
    char *all = NULL;
    for (;;) {
        all = realloc(all, room);
        if (!all)
            die("out of memory");
        ssize_t got = read(fd, all + filled, room - filled - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            die("%s: can't read file descriptor %d: %s", what, fd, strerror(errno));
        if (got == 0)
            break;
        filled += (size_t)got;
        if (filled + 1 == room)
            room *= 2;
    }
    all[filled] = 0;
    *length = filled;
    close(fd);
    return all;
}

static int start(struct bwrap *b, const char *program, char **arguments, sandbox_child **child, sandbox_error *error) {
    b->cmd = sandbox_cmd_new(program);
    must(sandbox_cmd_args(b->cmd, (const char *const *)arguments), program);
    if (b->argv0)
        must(sandbox_cmd_arg0(b->cmd, b->argv0), "--argv0");
    confine(b);
    int result = sandbox_spawn(b->cmd, child, error);
    sandbox_cmd_free(b->cmd);
    return result;
}

int main(int argc, char **argv) {
    struct bwrap b = {.uid = -1, .gid = -1, .perms = -1, .userns_fd = -1, .userns2_fd = -1, .pidns_fd = -1, .sync_fd = -1, .block_fd = -1,
                      .userns_block_fd = -1, .info_fd = -1, .json_fd = -1, .seccomp_fd = -1, .home = getenv("HOME")};
    sandbox_child *child;
    sandbox_status status;
    sandbox_error error;
    parse_arguments(&b, argc, argv);
    check(&b);
    signal(SIGCHLD, SIG_DFL);
    if (b.die_with_parent)
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    /* What others write to or wait for is not the program's, nor the way into a namespace. */
    for (int *fd = (int[]){b.block_fd, b.userns_block_fd, b.info_fd, b.json_fd, b.userns2_fd, b.pidns_fd, -2}; *fd != -2; fd++)
        if (*fd >= 0)
            fcntl(*fd, F_SETFD, FD_CLOEXEC);
    b.own_caps = own_capabilities();
    enter_given_namespaces(&b);
    int result = start(&b, b.argv[0], b.argv + 1, &child, &error);
    /* A script without a "#!" line is the shell's, as execvp has it; not where others had to map the first one's ids. */
    if (result == -ENOEXEC && error.stage == SANDBOX_STAGE_EXEC && b.userns_block_fd < 0)
        result = start(&b, "/bin/sh", b.argv, &child, &error);
    if (result < 0)
        die("%s", error.message);
    int waited = sandbox_child_wait(child, -1, &status, sizeof status);
    if (waited < 0)
        die("the program's status is not known: %s", strerror(-waited));
    int code = status.kind == SANDBOX_EXITED ? status.code : 128 + status.code;
    say_exit_code(&b, code);
    _exit(code); /* not by freeing the handle: what the program left running goes on */
}
