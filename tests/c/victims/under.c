/* Runs a program on a machine that lacks something: under a filter that refuses system calls, made by the library itself.
 *   under clone3=38,close_range=1 program argument... */
#define _GNU_SOURCE
#include <sandbox_spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: under call=errno,... program argument...\n"), 125;
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    for (char *call = strtok(argv[1], ","); call; call = strtok(NULL, ",")) {
        char *number = strchr(call, '=');
        if (!number) return 125;
        *number++ = 0;
        sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(atoi(number)), call, NULL, 0);
    }
    sandbox_cmd *cmd = sandbox_cmd_new(argv[2]);
    sandbox_cmd_args(cmd, (const char *const *)argv + 3);
    sandbox_cmd_filter(cmd, filter);
    sandbox_error error;
    sandbox_child *child;
    sandbox_status status;
    if (sandbox_spawn(cmd, &child, &error) < 0) return fprintf(stderr, "under: %s\n", error.message), 125;
    sandbox_child_wait(child, -1, &status, sizeof status);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    sandbox_filter_free(filter);
    return status.kind == SANDBOX_EXITED ? status.code : 128 + status.code;
}
