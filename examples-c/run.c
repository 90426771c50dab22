/* run: runs a command to its end, with limits of time and output, and tells what came of it.
 *
 *   ./run                                       four commands, each with one limit in its way
 *   ./run [-w SECONDS] [-c SECONDS] [-o BYTES] [-k] COMMAND [ARGUMENT]...   <input
 *
 *   -w  wall-clock time    -c  CPU time of it and all its children    -o  bytes kept of each stream
 *   -k  end it at that many bytes; else the rest is read and thrown away
 *
 * Ends with the command's own exit code, 124 for a time limit, 125 where it could not be started. */

#define _POSIX_C_SOURCE 200809L
#include <sandbox_spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Runs the command and reports; the exit code to end with. */
static int run(char *const argv[], const sandbox_bytes *input, const sandbox_run_options *options) {
    sandbox_cmd *cmd = sandbox_cmd_new(argv[0]);
    sandbox_result *result;
    sandbox_error error;
    sandbox_cmd_args(cmd, (const char *const *)argv + 1);
    int failed = sandbox_run(cmd, input, options, &result, &error);
    sandbox_cmd_free(cmd);
    if (failed) {
        fprintf(stderr, "run: %s: %s\n", sandbox_stage_name(error.stage), error.message);
        return 125;
    }

    sandbox_status status;
    sandbox_output out, err;
    sandbox_result_status(result, &status, sizeof status);
    sandbox_result_output(result, 1, &out, sizeof out);
    sandbox_result_output(result, 2, &err, sizeof err);
    fwrite(out.data, 1, out.length, stdout);
    fflush(stdout);
    fwrite(err.data, 1, err.length, stderr);
    int limits = sandbox_result_limits(result);
    sandbox_result_free(result);

    fprintf(stderr, "run: %s %d after %.1f s, %.1f s of CPU time; %zu bytes of output, %zu of errors", status.kind == SANDBOX_EXITED ? "exit code" : "signal",
            status.code, (double)status.wall_time_us / 1e6, (double)(status.user_time_us + status.system_time_us) / 1e6, out.length, err.length);
    if (out.cut + err.cut)
        fprintf(stderr, ", %llu bytes cut", (unsigned long long)(out.cut + err.cut));
    if (limits & SANDBOX_LIMIT_WALL_TIME)
        fprintf(stderr, "; it took too long");
    if (limits & SANDBOX_LIMIT_CPU_TIME)
        fprintf(stderr, "; it used too much CPU time");
    fprintf(stderr, "\n");
    if (status.cause == SANDBOX_CAUSE_TIMEOUT)
        return 124;
    return status.kind == SANDBOX_EXITED ? status.code : 128 + status.code;
}

static char *slurp(FILE *file, size_t *length) {
    size_t room = 0;
    char *data = NULL;
    *length = 0;
    do {
        if (*length == room && !(data = realloc(data, room = room * 2 + 65536)))
            abort();
        *length += fread(data + *length, 1, room - *length, file);
    } while (!feof(file) && !ferror(file));
    return data;
}

static void show(const char *line, const sandbox_run_options *options) {
    char *argv[] = {"sh", "-c", (char *)line, NULL};
    fprintf(stderr, "\n$ %s\n", line);
    run(argv, NULL, options);
}

int main(int argc, char *argv[]) {
    sandbox_run_options options = {.size = sizeof options};
    int option;
    if (argc == 1) {
        show("echo hello; sleep 1000 & echo I leave a sleeper behind", &options);
        options.wall_time_ms = 500;
        show("echo this one sleeps; sleep 1000", &options);
        options.wall_time_ms = 0, options.cpu_time_ms = 500;
        show("echo this one is busy, in two processes; (while :; do :; done) & while :; do :; done", &options);
        options.cpu_time_ms = 0, options.stdout_limit = 60;
        show("seq 1000000", &options);
        return 0;
    }
    while ((option = getopt(argc, argv, "+w:c:o:k")) != -1) {
        switch (option) {
        case 'w': options.wall_time_ms = (uint64_t)(atof(optarg) * 1000); break;
        case 'c': options.cpu_time_ms = (uint64_t)(atof(optarg) * 1000); break;
        case 'o': options.stdout_limit = options.stderr_limit = strtoull(optarg, NULL, 10); break;
        case 'k': options.flags |= SANDBOX_RUN_KILL_AT_LIMIT; break;
        default: return 125;
        }
    }
    if (optind == argc) {
        fprintf(stderr, "run: no command\n");
        return 125;
    }
    sandbox_bytes input = {NULL, 0};
    char *data = isatty(0) ? NULL : slurp(stdin, &input.length);
    input.data = data;
    int code = run(argv + optind, data ? &input : NULL, &options);
    free(data);
    return code;
}
