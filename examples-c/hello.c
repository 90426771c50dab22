/* hello: spawn a program, wait for it, print how it ended. The least that a caller writes.
 *
 *   ./hello */

#include <sandbox_spawn.h>
#include <stdio.h>

int main(void) {
    sandbox_error error;
    sandbox_child *child;
    sandbox_status status;
    sandbox_cmd *cmd = sandbox_cmd_new("echo");
    sandbox_cmd_arg(cmd, "hello from the sandbox"); /* a setter that fails makes sandbox_spawn fail */
    if (sandbox_spawn(cmd, &child, &error) < 0) {
        fprintf(stderr, "%s: %s\n", sandbox_stage_name(error.stage), error.message);
        return 1;
    }
    sandbox_child_wait(child, -1, &status, sizeof status);
    printf("pid %d: %s %d\n", sandbox_child_pid(child), status.kind == SANDBOX_EXITED ? "exit code" : "signal", status.code);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
}
