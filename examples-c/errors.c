/* errors: what a caller sees when things fail. Ten failures, each with the step it happened in (stage), which item of
 * that step (index), the negative errno (code) and the sentence for a person (message).
 *
 *   ./errors
 *
 * A failed set-up is never an exit code of the program, and leaves no process and no fd. */

#define _GNU_SOURCE
#include <errno.h>
#include <sandbox_spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void no_such_directory(sandbox_cmd *cmd) {
    sandbox_cmd_cwd(cmd, "/no/such/directory");
}

static void not_a_program(sandbox_cmd *cmd) {
    int fd = memfd_create("text", MFD_CLOEXEC);
    if (write(fd, "plain text\n", 11) == 11)
        sandbox_cmd_exec_fd(cmd, fd); /* the command keeps a duplicate */
    close(fd);
}

static void soft_above_hard(sandbox_cmd *cmd) {
    sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
    sandbox_cmd_rlimit(cmd, RLIMIT_CPU, 10, 5); /* latched: sandbox_spawn refuses with this, whatever follows */
    sandbox_cmd_cwd(cmd, "/");
}

static void too_many_files(sandbox_cmd *cmd) {
    sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
    sandbox_cmd_rlimit(cmd, RLIMIT_NOFILE, 1ull << 40, 1ull << 40); /* more than the kernel gives anyone */
}

static void closed_fd(sandbox_cmd *cmd) {
    sandbox_cmd_pass_fd(cmd, 9999, 3);
}

static void no_such_nice_value(sandbox_cmd *cmd) {
    sandbox_cmd_set(cmd, SANDBOX_OPT_NICE, 99);
}

static void contradiction(sandbox_cmd *cmd) {
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PTY, -1);
    sandbox_cmd_set(cmd, SANDBOX_OPT_NEW_SESSION, 0);
}

static int refuse(pid_t pid, int pidfd, void *userdata) {
    (void)pid, (void)pidfd, (void)userdata;
    return -EBUSY;
}

static void refused_by_the_caller(sandbox_cmd *cmd) {
    sandbox_cmd_on_ready(cmd, refuse, NULL);
}

static const struct {
    const char *what;
    const char *program;
    void (*prepare)(sandbox_cmd *cmd);
} failures[] = {
    {"a program that does not exist", "/no/such/program", NULL},
    {"a program that may not be executed", "/etc/passwd", NULL},
    {"a file that is no program", "text", not_a_program},
    {"a working directory that does not exist", "true", no_such_directory},
    {"a soft limit above the hard one", "true", soft_above_hard},
    {"a limit that the kernel refuses", "true", too_many_files},
    {"an fd that is not open", "true", closed_fd},
    {"an option out of its range", "true", no_such_nice_value},
    {"two options that contradict each other", "true", contradiction},
    {"a caller who changes its mind", "true", refused_by_the_caller},
};

int main(void) {
    int unexpected = 0;
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        sandbox_error error;
        sandbox_child *child;
        sandbox_cmd *cmd = sandbox_cmd_new(failures[i].program);
        if (failures[i].prepare)
            failures[i].prepare(cmd);
        int result = sandbox_spawn(cmd, &child, &error);
        printf("%2zu. %s\n", i + 1, failures[i].what);
        if (result < 0) {
            printf("    stage    %s[%u]\n    code     %d\n    message  %s\n", sandbox_stage_name(error.stage), error.index, error.code,
                   error.message);
        } else {
            printf("    no error\n");
            sandbox_child_free(child);
            unexpected++;
        }
        sandbox_cmd_free(cmd);
    }
    int none = waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
    printf("Left behind: %s.\n", none ? "no process" : "a process");
    return unexpected || !none;
}
