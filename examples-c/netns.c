/* netns: a server that nobody can reach but those who are let in.
 *
 *   ./netns
 *
 * The server runs in a network namespace of its own with nothing in it but loopback. A client in the host's network
 * can't see it, although both use the same address. One that joins the server's namespaces can. To join a network
 * namespace that belongs to a user namespace takes that user namespace too: both are handed over as fds, taken from
 * /proc by the server's pid, which stays its own until it is waited for. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sandbox_spawn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 4711 };

static const struct sockaddr_in address = {.sin_family = AF_INET};

static struct sockaddr_in loopback(void) {
    struct sockaddr_in here = address;
    here.sin_port = htons(PORT);
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return here;
}

static int serve(void) {
    struct sockaddr_in here = loopback();
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, 8) < 0)
        return perror("server"), 1;
    if (write(1, "up\n", 3) != 3)
        return 1;
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        dprintf(connection, "Only you can hear me.\n");
        close(connection);
    }
}

static int ask(void) {
    struct sockaddr_in there = loopback();
    char text[100];
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection, (struct sockaddr *)&there, sizeof there) < 0)
        return printf("  port %d: %s\n", PORT, strerror(errno)), 0;
    ssize_t n = read(connection, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    return printf("  port %d says: %s", PORT, text), 0;
}

/* This program, in another role. /proc/self/exe would be the child's own by the time it is looked up. */
static sandbox_cmd *again(const char *role) {
    char path[PATH_MAX] = "";
    sandbox_cmd *cmd = sandbox_cmd_new(readlink("/proc/self/exe", path, sizeof path - 1) < 0 ? "" : path);
    sandbox_cmd_arg(cmd, role);
    return cmd;
}

static sandbox_child *start(sandbox_cmd *cmd) {
    sandbox_child *child;
    sandbox_error error;
    int result = sandbox_spawn(cmd, &child, &error);
    sandbox_cmd_free(cmd);
    if (result < 0)
        fprintf(stderr, "netns: %s: %s\n", sandbox_stage_name(error.stage), error.message);
    return child; /* NULL where it failed */
}

static int finish(sandbox_child *child) {
    sandbox_status status = {.code = 1};
    sandbox_child_wait(child, -1, &status, sizeof status);
    sandbox_child_free(child);
    return status.kind == SANDBOX_EXITED && status.code == 0 ? 0 : 1;
}

static int namespace_of(sandbox_child *child, const char *kind) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/%s", sandbox_child_pid(child), kind);
    return open(path, O_RDONLY | O_CLOEXEC);
}

int main(int argc, char **argv) {
    if (argc > 1)
        return strcmp(argv[1], "--serve") == 0 ? serve() : ask();

    sandbox_cmd *server = again("--serve");
    sandbox_cmd_unshare(server, SANDBOX_NS_USER | SANDBOX_NS_NET);
    sandbox_cmd_set(server, SANDBOX_OPT_LOOPBACK, 1);
    sandbox_cmd_stdio(server, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *running = start(server);
    if (!running)
        return 1;
    char up[3];
    int output = sandbox_child_take_fd(running, SANDBOX_FD_STDOUT);
    if (read(output, up, sizeof up) != sizeof up)
        return fprintf(stderr, "netns: the server did not start\n"), 1;

    printf("A client in the host's network:\n");
    fflush(stdout);
    sandbox_child *outside = start(again("--ask"));
    int failed = !outside || finish(outside);

    printf("A client that joins the server's namespaces:\n");
    fflush(stdout);
    sandbox_cmd *client = again("--ask");
    int user = namespace_of(running, "user"), network = namespace_of(running, "net");
    sandbox_cmd_join(client, user);
    sandbox_cmd_join(client, network);
    close(user);
    close(network);
    sandbox_child *inside = start(client);
    failed |= !inside || finish(inside);

    close(output);
    sandbox_child_free(running); /* kills it: with the last process in it the namespace is gone */
    return failed;
}
