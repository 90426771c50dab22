/* calculate EXPRESSION: has Python work it out in a sandbox, so that it may come from anybody: no network, no files of
 * the host's, two seconds, 64 KiB of answer.
 *   calculate '2 ** 100'
 *   calculate '__import__("os").listdir("/home")'      no such directory */
#include <sandbox_spawn.h>
#include <stdio.h>
#include <unistd.h>

static int failed(const sandbox_error *error) {
    fprintf(stderr, "calculate: %s: %s\n", sandbox_stage_name(error->stage), error->message);
    return 125;
}

int main(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: calculate EXPRESSION\n"), 2;
    sandbox_cmd *cmd = sandbox_cmd_new("/usr/bin/python3");
    sandbox_cmd_args(cmd, (const char *const[]){"-I", "-c", "import sys; print(eval(sys.argv[1]))", argv[1], NULL});
    sandbox_cmd_preset(cmd, SANDBOX_PRESET_COMPUTE);

    sandbox_run_options options = {.size = sizeof options, .wall_time_ms = 2000, .stdout_limit = 65536, .stderr_limit = 65536};
    sandbox_result *result;
    sandbox_error error;
    int done = sandbox_run(cmd, NULL, &options, &result, &error); /* a setter's failure comes out here */
    sandbox_cmd_free(cmd);
    if (done < 0) return failed(&error);

    sandbox_status status;
    sandbox_output output;
    sandbox_result_status(result, &status, sizeof status);
    int good = status.kind == SANDBOX_EXITED && status.code == 0;
    sandbox_result_output(result, good ? STDOUT_FILENO : STDERR_FILENO, &output, sizeof output);
    fwrite(output.data, 1, output.length, good ? stdout : stderr);
    if (sandbox_result_limits(result) & SANDBOX_LIMIT_WALL_TIME) fprintf(stderr, "calculate: it took too long\n");
    sandbox_result_free(result);
    return good ? 0 : 1;
}
