/* run: what the demo runs programs with: a file goes in through a pipe, what the program prints comes out through
 * another, under limits. Prints how it ended, and with -v first what will be done (sandbox_cmd_explain).
 *
 *   demo/run [-v] [-t seconds] [-d directory] [-i file] program [argument...] */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sandbox_spawn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024ull * 1024)

struct options {
    double seconds;
    const char *directory, *input;
    int verbose;
};

static sandbox_cmd *command(char **argv, const struct options *options) {
    sandbox_cmd *cmd = sandbox_cmd_new(argv[0]);
    sandbox_cmd_args(cmd, (const char *const *)argv + 1);
    sandbox_cmd_env_clear(cmd);
    sandbox_cmd_env(cmd, "PATH", "/usr/bin:/bin");
    sandbox_cmd_cwd(cmd, options->directory);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_rlimit(cmd, RLIMIT_AS, 1024 * MIB, 1024 * MIB);
    sandbox_cmd_rlimit(cmd, RLIMIT_CPU, 10, 11);
    sandbox_cmd_rlimit(cmd, RLIMIT_FSIZE, 0, 0);
    sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
    sandbox_cmd_rlimit(cmd, RLIMIT_NOFILE, 32, 32);
    sandbox_cmd_set(cmd, SANDBOX_OPT_NEW_SESSION, 1);
    sandbox_cmd_set(cmd, SANDBOX_OPT_UMASK, 077);
    return cmd;
}

static void explain(const sandbox_cmd *cmd) {
    int length = sandbox_cmd_explain(cmd, NULL, 0, NULL);
    char *text = length >= 0 ? malloc((size_t)length + 1) : NULL;
    if (text && sandbox_cmd_explain(cmd, text, (size_t)length + 1, NULL) >= 0)
        fputs(text, stdout);
    free(text);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* One chunk of the input to the program; closes the pipe behind the last. */
static void feed(int input, int *to) {
    char buffer[4096]; /* PIPE_BUF: poll said that so much fits */
    ssize_t n = input < 0 ? 0 : read(input, buffer, sizeof buffer);
    if (n <= 0 || write(*to, buffer, (size_t)n) < 0) {
        close(*to);
        *to = -1;
    }
}

/* Feeds and reads until the program closes its output or its time is over; prints what it says behind a margin. */
static int converse(sandbox_child *child, const struct options *options) {
    double deadline = now() + options->seconds;
    int input = options->input ? open(options->input, O_RDONLY | O_CLOEXEC) : -1;
    int to = sandbox_child_take_fd(child, SANDBOX_FD_STDIN);
    int from = sandbox_child_take_fd(child, SANDBOX_FD_STDOUT);
    int in_time = 1, at_line_start = 1;
    for (;;) {
        double left = deadline - now();
        struct pollfd fds[2] = {{.fd = from, .events = POLLIN}, {.fd = to, .events = POLLOUT}};
        int ready = poll(fds, 2, left > 0 ? (int)(left * 1000) + 1 : 0);
        if (ready == 0) {
            in_time = 0;
            break;
        }
        if (fds[1].revents)
            feed(input, &to);
        char buffer[4096];
        ssize_t n = fds[0].revents ? read(from, buffer, sizeof buffer) : -1;
        if (n == 0)
            break;
        for (ssize_t i = 0; i < n; i++) {
            if (at_line_start)
                fputs("  | ", stdout);
            putchar(buffer[i]);
            at_line_start = buffer[i] == '\n';
        }
    }
    if (to >= 0)
        close(to);
    close(from);
    if (input >= 0)
        close(input);
    if (in_time && sandbox_child_wait(child, (int64_t)((deadline - now()) * 1000), NULL, 0) == 0)
        return 1;
    sandbox_child_kill(child, SIGKILL);
    return 0;
}

int main(int argc, char **argv) {
    struct options options = {.seconds = 5, .directory = "/"};
    int option;
    while ((option = getopt(argc, argv, "+vt:d:i:")) != -1) {
        switch (option) {
        case 'v': options.verbose = 1; break;
        case 't': options.seconds = atof(optarg); break;
        case 'd': options.directory = optarg; break;
        case 'i': options.input = optarg; break;
        default: optind = argc;
        }
    }
    if (optind >= argc) {
        fprintf(stderr, "usage: run [-v] [-t seconds] [-d directory] [-i file] program [argument...]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    sandbox_error error;
    sandbox_child *child;
    sandbox_status status;
    sandbox_cmd *cmd = command(argv + optind, &options);
    if (options.verbose)
        explain(cmd);
    if (sandbox_spawn(cmd, &child, &error) < 0) {
        printf("not started: stage %s[%u], code %d\n  %s\n", sandbox_stage_name(error.stage), error.index, error.code, error.message);
        sandbox_cmd_free(cmd);
        return 2;
    }
    printf("pid %d prints:\n", sandbox_child_pid(child));
    int in_time = converse(child, &options);
    int known = sandbox_child_wait(child, -1, &status, sizeof status);
    if (known < 0)
        printf("ended, but how is not known: %s\n", strerror(-known));
    else
        printf("ended: %s %d%s; %.3f s, CPU %.3f s user and %.3f s system\n",
               status.kind == SANDBOX_EXITED ? "exit code" : "signal", status.code, in_time ? "" : " (killed: TIME LIMIT)",
               (double)status.wall_time_us / 1e6, (double)status.user_time_us / 1e6, (double)status.system_time_us / 1e6);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    return known == 0 && status.kind == SANDBOX_EXITED && status.code == 0 ? 0 : 1;
}
