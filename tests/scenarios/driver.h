/* What the generated scenarios call: a command run or spawned, and what was seen compared with what is expected. */
#include "test.h"

struct seen {
    int result, limits;
    sandbox_error error;
    sandbox_status status;
    char *text[2];
    size_t length[2];
    uint64_t cut[2];
};

UNUSED static void do_run(struct seen *seen, sandbox_cmd *cmd, const char *input, size_t times, const sandbox_run_options *options) {
    sandbox_result *result;
    size_t length = input ? strlen(input) : 0;
    char *data = malloc(length * times + 1);
    for (size_t i = 0; i < times; i++) memcpy(data + i * length, input ? input : "", length);
    sandbox_bytes bytes = {data, length * times};
    seen->result = sandbox_run(cmd, input ? &bytes : NULL, options, &result, &seen->error);
    sandbox_cmd_free(cmd);
    free(data);
    if (seen->result < 0) return;
    CHECK_EQ(sandbox_result_status(result, &seen->status, sizeof seen->status), 0);
    seen->limits = sandbox_result_limits(result);
    for (int i = 0; i < 2; i++) {
        sandbox_output output;
        CHECK_EQ(sandbox_result_output(result, i + 1, &output, sizeof output), 0);
        seen->text[i] = malloc(output.length + 1);
        memcpy(seen->text[i], output.data, output.length + 1);
        seen->length[i] = output.length, seen->cut[i] = output.cut;
    }
    sandbox_result_free(result);
}

static int answer(sandbox_notify *n, void *errnum) {
    return *(int *)errnum ? sandbox_notify_errno(n, *(int *)errnum) : sandbox_notify_continue_unsafe(n);
}

UNUSED static void do_spawn(struct seen *seen, sandbox_cmd *cmd, int signal, int supervise) {
    sandbox_child *child;
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_NULL, -1);
    sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_PIPE, -1);
    seen->result = sandbox_spawn(cmd, &child, &seen->error);
    sandbox_cmd_free(cmd);
    if (seen->result < 0) return;
    if (signal) CHECK_EQ(sandbox_child_kill(child, signal), 0);
    if (supervise >= 0) {
        sandbox_supervisor *supervisor = sandbox_supervisor_new(child);
        CHECK(supervisor);
        sandbox_supervisor_on(supervisor, NULL, answer, &supervise);
        CHECK_EQ(sandbox_supervisor_run(supervisor), 0);
        sandbox_supervisor_free(supervisor);
    }
    sandbox_fds fds = fds_of(child);
    for (int i = 0; i < 2; i++) {
        seen->text[i] = malloc(10000);
        drain(i ? fds.stderr_fd : fds.stdout_fd, seen->text[i], 10000);
        seen->length[i] = strlen(seen->text[i]);
    }
    CHECK_EQ(sandbox_child_wait(child, 60000, &seen->status, sizeof seen->status), 0);
    sandbox_child_free(child);
}

UNUSED static bool fails_in(const struct seen *seen, const char *stage) {
    return seen->result < 0 && strcmp(sandbox_stage_name(seen->error.stage), stage) == 0;
}

UNUSED static void check_error(const struct seen *seen, int errnum, const char *stage, unsigned index, const char *has) {
    CHECK_EQ(seen->result, -errnum);
    CHECK_EQ(seen->error.code, -errnum);
    CHECK_STR(sandbox_stage_name(seen->error.stage), stage);
    CHECK_EQ(seen->error.index, index);
    CHECK_HAS(seen->error.message, has);
}

UNUSED static void check_end(const struct seen *seen, unsigned kind, int code, unsigned cause, int limits) {
    if (seen->result < 0) FAIL("it gave %d: %s[%u], %s", seen->result, sandbox_stage_name(seen->error.stage), seen->error.index, seen->error.message);
    if (seen->status.kind != kind || seen->status.code != code)
        FAIL("it ended with kind %u, code %d; stderr: %s", seen->status.kind, seen->status.code, seen->text[1]);
    CHECK_EQ(seen->status.cause, cause);
    CHECK_EQ(seen->limits, limits);
}

UNUSED static void check_outputs(const struct seen *seen, const char *out, size_t times, const char *err, const char *has, int64_t out_cut, int64_t err_cut) {
    if (out) {
        size_t length = strlen(out);
        CHECK_EQ(seen->length[0], length * times);
        for (size_t i = 0; i < times; i++)
            if (memcmp(seen->text[0] + i * length, out, length) != 0) FAIL("stdout is \"%s\", not \"%s\"", seen->text[0], out);
    }
    if (err) CHECK_STR(seen->text[1], err);
    CHECK_HAS(seen->text[1], has);
    if (out_cut < 0) CHECK(seen->cut[0] > 0);
    else CHECK_EQ(seen->cut[0], out_cut);
    if (err_cut < 0) CHECK(seen->cut[1] > 0);
    else CHECK_EQ(seen->cut[1], err_cut);
}

UNUSED static void forget(struct seen *seen) { free(seen->text[0]), free(seen->text[1]); }
