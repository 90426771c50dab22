/* sandbox-run: a command that runs a program confined. Everything it does goes through the library's public interface;
 * it is installed as a tool and read as an example. */
#include "run.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
static volatile sig_atomic_t arrived[65];

static void take(int signal) { arrived[signal] = 1; }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void tend(struct run *run, sandbox_child *child) {
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
        if (arrived[passed_on[i]]) {
            arrived[passed_on[i]] = 0;
            sandbox_child_kill(child, passed_on[i]);
        }
    }
    if (run->seconds > 0 && !run->is_late && now() >= run->deadline) {
        run->is_late = true;
        sandbox_child_kill(child, SIGKILL);
    }
}

static int failed(const struct run *run, const sandbox_error *error) {
    if (run->json_fd >= 0)
        print_json(run->json_fd, NULL, error);
    fprintf(stderr, "sandbox-run: %s: %s\n", sandbox_stage_name(error->stage), error->message);
    return NOT_STARTED;
}

/* Starts it, and waits for its end; the exit code. */
static int run_to_end(struct run *run) {
    sandbox_child *child;
    sandbox_error error = {0};
    sandbox_status status = {0};
    bool watches = run->traces || run->learn;
    struct sigaction action = {.sa_handler = take};
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        sigaction(passed_on[i], &action, NULL);
    if (sandbox_spawn(run->cmd, &child, &error) < 0)
        return failed(run, &error);
    run->deadline = now() + run->seconds;
    int watched = watches ? supervise(run, child) : 0;
    int waited;
    while ((waited = sandbox_child_wait(child, 50, &status, sizeof status)) == -ETIMEDOUT)
        tend(run, child);
    if (watches && !run->is_late && sandbox_child_wait_exec(child, 0, &error) < 0 && error.code != -ETIMEDOUT) {
        sandbox_child_free(child);
        return failed(run, &error);
    }
    sandbox_child_free(child);
    if (watched < 0 || waited < 0)
        die("%s: %s", watched < 0 ? "the program's calls could not be watched" : "its status is not known", strerror(watched < 0 ? -watched : -waited));
    if (run->is_late)
        status.cause = SANDBOX_CAUSE_TIMEOUT;
    if (run->json_fd >= 0)
        print_json(run->json_fd, &status, NULL);
    if (run->learn)
        write_learned(run, run->learn);
    if (run->is_late) {
        fprintf(stderr, "sandbox-run: out of time: %g s are over\n", run->seconds);
        return OUT_OF_TIME;
    }
    return status.kind == SANDBOX_EXITED ? status.code : 128 + status.code;
}

static void release(struct run *run) {
    sandbox_cmd_free(run->cmd);
    for (size_t i = 0; i < run->count; i++)
        free(run->items[i].value);
    free(run->items);
    for (size_t i = 0; i < run->place_count; i++) {
        free(run->places[i].inside);
        free(run->places[i].host);
    }
    free(run->places);
    for (size_t i = 0; i < run->program_count; i++)
        free(run->program[i]);
    free(run->program);
    for (size_t i = 0; i < seen.count; i++) {
        free(seen.notes[i].name);
        free(seen.notes[i].resolved);
    }
    free(seen.notes);
}

int main(int argc, char **argv) {
    struct run run = {.json_fd = -1};
    parse_arguments(&run, argc, argv);
    if (run.probes)
        return print_probe();
    if (!run.argv) {
        print_help(stderr, NULL);
        return NOT_STARTED;
    }
    if (run.learn) { /* not after all the work */
        FILE *out = fopen(run.learn, "ae");
        if (!out)
            die("%s: %s", run.learn, strerror(errno));
        fclose(out);
    }
    confine(&run);
    if (run.traces || run.learn)
        add_watching_filter(&run);
    int code = run.explains ? print_explanation(&run) : run_to_end(&run);
    release(&run);
    return code;
}
