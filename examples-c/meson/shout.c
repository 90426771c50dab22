/* shout TEXT: has `tr` make it upper-case, as a child that may open no socket and start nothing, for a second at
 * most: what a filter of text needs and no more. */
#include <errno.h>
#include <sandbox_spawn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Two ways to say no: rules on system calls, and limits of resources. */
static void confine(sandbox_cmd *cmd) {
    static const char *const refused[] = {"socket", "socketpair", "clone", "clone3", "fork", "vfork", "ptrace"};
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(EPERM), refused[i], NULL, 0);
    sandbox_cmd_filter(cmd, filter); /* a copy; a rule that failed fails the spawn */
    sandbox_filter_free(filter);
    sandbox_cmd_rlimit(cmd, RLIMIT_NOFILE, 16, 16);
    sandbox_cmd_rlimit(cmd, RLIMIT_CPU, 1, 1);
}

int main(int argc, char **argv) {
    if (argc != 2 || strlen(argv[1]) > 4096) return fprintf(stderr, "usage: shout TEXT\n"), 2;
    sandbox_cmd *cmd = sandbox_cmd_new("tr");
    sandbox_cmd_args(cmd, (const char *const[]){"a-z", "A-Z", NULL});
    sandbox_cmd_stdio(cmd, STDIN_FILENO, SANDBOX_STDIO_PIPE, -1);
    confine(cmd);

    sandbox_child *child;
    sandbox_error error;
    int done = sandbox_spawn(cmd, &child, &error);
    sandbox_cmd_free(cmd);
    if (done < 0) return fprintf(stderr, "shout: %s: %s\n", sandbox_stage_name(error.stage), error.message), 125;

    int input = sandbox_child_take_fd(child, SANDBOX_FD_STDIN);
    signal(SIGPIPE, SIG_IGN); /* a child that has ended reads nothing more */
    dprintf(input, "%s\n", argv[1]);
    close(input);
    sandbox_status status;
    done = sandbox_child_wait(child, 10000, &status, sizeof status);
    sandbox_child_free(child);
    return done == 0 && status.kind == SANDBOX_EXITED ? status.code : 1;
}
