/* pipe: run a filter program, feed its standard input and read its standard output at the same time.
 *
 *   ./pipe                   a hundred thousand numbers through `sort -rn`
 *   ./pipe tr a-z A-Z <file  this program's own standard input through any filter
 *
 * A pipe holds 64 KiB: a caller that first writes all and then reads all hangs for ever, once the filter fills its
 * output while it waits for the rest of its input. poll tells which end has room or data; the ends are non-blocking. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sandbox_spawn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bytes {
    char *data;
    size_t length, room;
};

static void append(struct bytes *bytes, const char *data, size_t length) {
    if (bytes->length + length > bytes->room) {
        bytes->room = (bytes->length + length) * 2;
        bytes->data = realloc(bytes->data, bytes->room);
        if (!bytes->data)
            abort();
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

/* Writes `in` to `to` and reads from `from` into `out` until the filter closes its end. Both fds are closed. */
static int exchange(int to, int from, const struct bytes *in, struct bytes *out) {
    size_t written = 0;
    fcntl(to, F_SETFL, O_NONBLOCK);
    fcntl(from, F_SETFL, O_NONBLOCK);
    while (from >= 0) {
        if (to >= 0 && written == in->length) {
            close(to); /* the filter sees the end of its input */
            to = -1;
        }
        struct pollfd fds[2] = {{.fd = to, .events = POLLOUT}, {.fd = from, .events = POLLIN}}; /* -1 is passed over */
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return -errno;
        if (fds[0].revents) {
            ssize_t n = write(to, in->data + written, in->length - written);
            if (n > 0) {
                written += (size_t)n;
            } else if (errno != EAGAIN) { /* EPIPE: it wants no more, as `head` does */
                close(to);
                to = -1;
            }
        }
        if (fds[1].revents) {
            char buffer[65536];
            ssize_t n = read(from, buffer, sizeof buffer);
            if (n > 0) {
                append(out, buffer, (size_t)n);
            } else if (n == 0 || errno != EAGAIN) {
                close(from);
                from = -1;
            }
        }
    }
    if (to >= 0)
        close(to);
    return 0;
}

static void numbers(struct bytes *bytes) {
    char line[16];
    for (int i = 0; i < 100000; i++)
        append(bytes, line, (size_t)snprintf(line, sizeof line, "%d\n", i * 7919 % 100000));
}

static void standard_input(struct bytes *bytes) {
    char buffer[65536];
    ssize_t n;
    while ((n = read(0, buffer, sizeof buffer)) > 0)
        append(bytes, buffer, (size_t)n);
}

int main(int argc, char **argv) {
    struct bytes in = {0}, out = {0};
    sandbox_error error;
    sandbox_child *child;
    sandbox_status status;
    const char *const sort[] = {"-rn", NULL};

    signal(SIGPIPE, SIG_IGN); /* the library leaves it alone; a filter that ends early must not end its host */
    sandbox_cmd *cmd = sandbox_cmd_new(argc > 1 ? argv[1] : "sort");
    sandbox_cmd_args(cmd, argc > 1 ? (const char *const *)argv + 2 : sort);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    if (sandbox_spawn(cmd, &child, &error) < 0) {
        fprintf(stderr, "pipe: %s: %s\n", sandbox_stage_name(error.stage), error.message);
        return 1;
    }
    if (argc > 1)
        standard_input(&in);
    else
        numbers(&in);

    /* Taken out of the handle, they are ours to close: the filter ends when its input does. */
    int to = sandbox_child_take_fd(child, SANDBOX_FD_STDIN);
    int from = sandbox_child_take_fd(child, SANDBOX_FD_STDOUT);
    int failed = exchange(to, from, &in, &out);
    sandbox_child_wait(child, -1, &status, sizeof status);

    if (argc > 1) {
        fwrite(out.data, 1, out.length, stdout);
    } else {
        printf("%zu bytes in, %zu bytes out; the greatest number: %.*s\n", in.length, out.length,
               (int)strcspn(out.length ? out.data : "\n", "\n"), out.length ? out.data : "");
    }
    fprintf(stderr, "%s ended with %s %d\n", argc > 1 ? argv[1] : "sort",
            status.kind == SANDBOX_EXITED ? "exit code" : "signal", status.code);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    free(in.data);
    free(out.data);
    return failed || status.kind != SANDBOX_EXITED || status.code != 0;
}
