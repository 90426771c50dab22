/* The table of what is compared. A new theme is a line here and, where asking a command for it is not enough, a
 * function of its own that starts and reaps; its floor goes to bare.c. */
#define _GNU_SOURCE
#include "bench.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

int ended_well(sandbox_child *child) {
    sandbox_status status;
    int result = sandbox_child_wait(child, -1, &status, sizeof status);
    sandbox_child_free(child);
    if (result < 0) {
        return result;
    }
    return status.kind == SANDBOX_EXITED && status.code == 0 ? 0 : -ECANCELED;
}

static int ours(struct start *start) {
    sandbox_child *child;
    int result = sandbox_spawn(start->cmd, &child, NULL);
    return result < 0 ? result : ended_well(child);
}

/* A pool of one, so that the child which runs is the one that was set up last. */
static int pool_fill(struct start *start) {
    if (!start->pool) {
        start->pool = sandbox_pool_new(start->cmd, 1);
    }
    return sandbox_pool_refill(start->pool, NULL);
}

static int pool_run(struct start *start) {
    sandbox_child *child;
    int result = sandbox_pool_spawn(start->pool, NULL, &child, NULL);
    return result < 0 ? result : ended_well(child);
}

static int plain(sandbox_cmd *cmd) {
    (void)cmd;
    return 0;
}

static int pipes(sandbox_cmd *cmd) {
    for (int target = 0; target < 3; target++) {
        sandbox_cmd_stdio(cmd, target, SANDBOX_STDIO_PIPE, -1);
    }
    return 0;
}

static int rlimits(sandbox_cmd *cmd) {
    sandbox_cmd_rlimit(cmd, RLIMIT_CORE, 0, 0);
    sandbox_cmd_rlimit(cmd, RLIMIT_CPU, 10, 20);
    sandbox_cmd_rlimit(cmd, RLIMIT_FSIZE, 1 << 20, 1 << 20);
    return 0;
}

static int trampoline(sandbox_cmd *cmd) {
    return sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 500);
}

static int init(sandbox_cmd *cmd) {
    return sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
}

static int do_nothing(void *userdata) {
    (void)userdata;
    return 0;
}

static int pre_exec(sandbox_cmd *cmd) {
    return sandbox_cmd_pre_exec(cmd, do_nothing, NULL);
}

struct start starts[] = {
    {.key = "posix_spawn", .title = "posix_spawn", .once = bare_posix_spawn},
    {.key = "posix_spawn_again", .title = "posix_spawn once more: the noise", .once = bare_posix_spawn},
    {.key = "posix_spawn_thread", .title = "posix_spawn from another thread", .once = bare_posix_spawn, .flags = OTHER_THREAD},
    {.key = "floor", .title = "bare C: clone VM, pidfd, futex", .once = bare_clone},
    {.key = "floor_defaults", .title = "bare C with the defaults' calls", .once = bare_clone_confined},
    {.key = "plain", .title = "sandbox_spawn", .once = ours, .ask = plain, .floor = "floor", .hold = 1.02},
    {.key = "pipes", .title = "... pipes on 0, 1 and 2", .once = ours, .ask = pipes},
    {.key = "rlimits", .title = "... 3 rlimits", .once = ours, .ask = rlimits},
    {.key = "thread", .title = "... from another thread (keeper)", .once = ours, .ask = plain, .flags = OTHER_THREAD},
    {.key = "trampoline", .title = "... oom_score_adj (trampoline)", .once = ours, .ask = trampoline},
    {.key = "init", .title = "... with an init", .once = ours, .ask = init},
    {.key = "floor_filter_one", .title = "bare C with one small filter", .once = bare_clone_filtered, .filters = ONE_RULE},
    {.key = "floor_filter", .title = "bare C with a 300-rule filter", .once = bare_clone_filtered, .filters = RULES},
    {.key = "floor_filters", .title = "bare C with 4 filters", .once = bare_clone_filtered, .filters = FOUR},
    {.key = "floor_notify", .title = "bare C with a listener handed off", .once = bare_clone_filtered, .filters = NOTIFYING},
    {.key = "filter_one", .title = "sandbox_spawn, one small filter", .once = ours, .ask = plain, .filters = ONE_RULE, .floor = "floor_filter_one"},
    {.key = "filter", .title = "... a 300-rule filter", .once = ours, .ask = plain, .filters = RULES, .floor = "floor_filter", .hold = 1.15},
    {.key = "filters", .title = "... and 3 more filters", .once = ours, .ask = plain, .filters = FOUR, .floor = "floor_filters"},
    {.key = "notify", .title = "... 300 rules, one notifies", .once = ours, .ask = plain, .filters = NOTIFYING, .floor = "floor_notify", .hold = 1.2},
    {.key = "floor_container", .title = "bare C: 5 namespaces and a root", .once = bare_container, .flags = CONTAINER},
    {.key = "floor_container_more", .title = "bare C: ... net, cgroup, 300 rules", .once = bare_container_more, .flags = CONTAINER, .filters = RULES},
    {.key = "container", .title = "sandbox_spawn, 5 namespaces, a root", .once = ours, .ask = ask_container, .flags = CONTAINER, .floor = "floor_container", .hold = 1.7},
    {.key = "container_more", .title = "... net, cgroup, 300 rules", .once = ours, .ask = ask_container_more, .flags = CONTAINER, .filters = RULES, .floor = "floor_container_more"},
    {.key = "container_all", .title = "... and Landlock", .once = ours, .ask = ask_container_landlock, .flags = CONTAINER, .filters = RULES, .floor = "floor_container_more", .hold = 2.6},
    {.key = "floor_pool", .title = "bare C: the same, set up ahead", .prepare = bare_pool_fill, .once = bare_pool_run, .flags = CONTAINER, .filters = RULES},
    {.key = "pool", .title = "... all of it from a warm pool", .prepare = pool_fill, .once = pool_run, .ask = ask_container_landlock, .flags = CONTAINER, .filters = RULES, .floor = "floor_pool", .hold = 1.2},
    {.key = "bwrap", .title = "bubblewrap, the same 5 and a root", .once = peer_bwrap, .flags = SLOW},
    {.key = "bwrap_all", .title = "bubblewrap --unshare-all", .once = peer_bwrap_more, .flags = SLOW},
    {.key = "crun", .title = "crun, 5 namespaces and a root", .prepare = peer_crun_enter, .once = peer_crun, .restore = peer_crun_leave, .flags = SLOW},
    {.key = "firejail", .title = "firejail --net=none", .once = peer_firejail, .flags = SLOW},
    {.key = "fork", .title = "fork and exec", .once = bare_fork, .flags = COPIES_MEMORY},
    {.key = "pre_exec", .title = "sandbox_spawn with pre_exec", .once = ours, .ask = pre_exec, .flags = COPIES_MEMORY},
    {.key = NULL},
};

struct start *start_of(const char *key) {
    for (struct start *start = starts; start->key; start++) {
        if (strcmp(start->key, key) == 0) {
            return start;
        }
    }
    return NULL;
}

bool runs(const struct start *start) {
    return start->skipped[0] == '\0';
}

bool is_listed(const char *list, const char *key) {
    size_t length = strlen(key);
    if (!list) {
        return true;
    }
    for (const char *at = list; (at = strstr(at, key)); at += length) {
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* Tries each once: what this machine refuses is left out of the table, with the reason. */
static void try_start(struct start *start) {
    sandbox_error error = {.message = ""};
    if (start->ask) {
        start->cmd = sandbox_cmd_new(program);
        sandbox_child *child = NULL;
        const struct filter_stack *stack = stack_of(start->filters);
        for (int i = 0; i < stack->count; i++) {
            sandbox_cmd_filter(start->cmd, stack->filters[i]);
        }
        if (start->ask(start->cmd) < 0 || sandbox_spawn(start->cmd, &child, &error) < 0) {
            sandbox_cmd_error(start->cmd, error.code ? NULL : &error);
            snprintf(start->skipped, sizeof start->skipped, "%s: %.150s", sandbox_stage_name(error.stage), error.message);
            return;
        }
        sandbox_child_wait(child, -1, NULL, 0);
        sandbox_child_free(child);
    }
    int result = start->prepare ? start->prepare(start) : 0;
    if (result == 0) {
        result = start->once(start);
        if (start->restore) {
            start->restore(start);
        }
    }
    if (result < 0) {
        snprintf(start->skipped, sizeof start->skipped, "%s", strerror(-result));
    }
}

void starts_prepare(const char *only) {
    for (struct start *start = starts; start->key; start++) {
        start->counts = (struct counts){-1, -1, -1, -1, -1, -1, -1};
        if (start != starts && !is_listed(only, start->key)) {
            snprintf(start->skipped, sizeof start->skipped, "not asked for");
        } else {
            try_start(start);
        }
    }
}

void starts_free(void) {
    for (struct start *start = starts; start->key; start++) {
        sandbox_pool_free(start->pool);
        sandbox_cmd_free(start->cmd);
        start->pool = NULL;
        start->cmd = NULL;
    }
}
