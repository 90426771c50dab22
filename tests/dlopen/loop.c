/* Loads the library, spawns from a thread of its own, unloads, two hundred times: nothing may pile up. The thread ends
 * behind dlclose, its thread-local destructors still to run: what crashes a host where a library can really be unloaded.
 *
 *   loop libsandbox_spawn.so.0 */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sandbox_spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { TURNS = 200, WARM = 20 };

static const char *path;
static pthread_barrier_t spawned, unloaded;

static struct {
    __typeof__(&sandbox_cmd_new) cmd_new;
    __typeof__(&sandbox_cmd_free) cmd_free;
    __typeof__(&sandbox_cmd_args) cmd_args;
    __typeof__(&sandbox_cmd_set) cmd_set;
    __typeof__(&sandbox_spawn) spawn;
    __typeof__(&sandbox_child_wait) child_wait;
    __typeof__(&sandbox_child_free) child_free;
} lib;

static int failures;

static void check(int fine, const char *what) {
    if (!fine) {
        printf("not ok - dlopen: %s\n", what);
        failures++;
    }
}

static void *symbol(void *handle, const char *name) {
    void *found = dlsym(handle, name);
    if (!found) {
        printf("not ok - dlopen: %s\n", dlerror());
        exit(1);
    }
    return found;
}

static void load(void *handle) {
    *(void **)&lib.cmd_new = symbol(handle, "sandbox_cmd_new");
    *(void **)&lib.cmd_free = symbol(handle, "sandbox_cmd_free");
    *(void **)&lib.cmd_args = symbol(handle, "sandbox_cmd_args");
    *(void **)&lib.cmd_set = symbol(handle, "sandbox_cmd_set");
    *(void **)&lib.spawn = symbol(handle, "sandbox_spawn");
    *(void **)&lib.child_wait = symbol(handle, "sandbox_child_wait");
    *(void **)&lib.child_free = symbol(handle, "sandbox_child_free");
}

/* `in_own_memory`: by way of the trampoline, which has a mapping and fds more. */
static void spawn_one(int in_own_memory) {
    const char *const args[] = {"-c", "exit 42", NULL};
    sandbox_child *child;
    sandbox_error error;
    sandbox_status status = {0};
    sandbox_cmd *cmd = lib.cmd_new("sh");
    lib.cmd_args(cmd, args);
    if (in_own_memory)
        lib.cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 500);
    int started = lib.spawn(cmd, &child, &error);
    check(started == 0, started ? error.message : "");
    if (started == 0) {
        lib.child_wait(child, -1, &status, sizeof status);
        check(status.kind == SANDBOX_EXITED && status.code == 42, "another end than exit code 42");
        lib.child_free(child);
    }
    started = (lib.cmd_free(cmd), cmd = lib.cmd_new("/no/such/program"), lib.spawn(cmd, &child, &error));
    check(started == -ENOENT && error.stage == SANDBOX_STAGE_EXEC, "a missing program is not ENOENT at exec");
    lib.cmd_free(cmd);
}

static void *thread(void *turn) {
    spawn_one(*(int *)turn % 2);
    pthread_barrier_wait(&spawned);
    pthread_barrier_wait(&unloaded);
    return NULL;
}

struct counts {
    int fds, threads, mappings;
};

static int entries(const char *directory) {
    int count = -2; /* . and .. */
    DIR *dir = opendir(directory);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static struct counts count(void) {
    struct counts counts = {.fds = entries("/proc/self/fd"), .threads = entries("/proc/self/task")};
    FILE *maps = fopen("/proc/self/maps", "re");
    for (int c; maps && (c = fgetc(maps)) != EOF;)
        counts.mappings += c == '\n';
    if (maps)
        fclose(maps);
    return counts;
}

static void turn(int number) {
    pthread_t id;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        printf("not ok - dlopen: %s\n", dlerror());
        exit(1);
    }
    load(handle);
    if (pthread_create(&id, NULL, thread, &number) != 0)
        abort();
    pthread_barrier_wait(&spawned);
    memset(&lib, 0, sizeof lib);
    check(dlclose(handle) == 0, "dlclose failed");
    pthread_barrier_wait(&unloaded);
    pthread_join(id, NULL);
}

int main(int argc, char **argv) {
    struct counts warm = {0};
    if (argc != 2)
        return 2;
    path = argv[1];
    struct counts before = count();
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    struct counts loaded = count();
    check(handle && loaded.threads == before.threads && loaded.fds == before.fds, "loading starts a thread or opens an fd");
    if (handle)
        dlclose(handle);
    pthread_barrier_init(&spawned, NULL, 2);
    pthread_barrier_init(&unloaded, NULL, 2);
    for (int i = 0; i < TURNS && failures == 0; i++) {
        if (i == WARM)
            warm = count();
        turn(i);
    }
    struct counts end = count();
    printf("# after %d turns: fds %d, threads %d, mappings %d; after %d: %d, %d, %d\n", WARM, warm.fds, warm.threads, warm.mappings,
           TURNS, end.fds, end.threads, end.mappings);
    check(end.fds == warm.fds && end.fds == before.fds, "fds pile up");
    check(end.threads == 1, "threads pile up");
    /* A mapping a turn would be 180 more; the allocator's own come and go by a few. */
    check(end.mappings < warm.mappings + 10, "mappings pile up");
    check(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "a child is left");
    handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    check(handle != NULL, "dlclose has unloaded the library");
    if (failures == 0)
        printf("ok - dlopen: two hundred times loaded, spawned from a thread, and closed before the thread ends\n");
    return failures != 0;
}
