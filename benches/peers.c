/* The programs that people run for a container: started as a host starts them, and asked for what the library is asked for,
 * as far as each can. */
#define _GNU_SOURCE
#include "bench.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int run(char *const argv[]) {
    int status;
    pid_t pid;
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    int error = posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&quiet);
    if (error) {
        return -error;
    }
    waitpid(pid, &status, 0);
    return status == 0 ? 0 : -ECANCELED;
}

/* As process 1, which is what the library's start makes of the program too: without an init's fork. */
int peer_bwrap(struct start *start) {
    (void)start;
    char *const argv[] = {"bwrap", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--uid", "0", "--gid", "0", "--as-pid-1",
                          "--ro-bind", "/usr", "/usr", "--ro-bind", program, program, "--proc", "/proc", program, NULL};
    return run(argv);
}

int peer_bwrap_more(struct start *start) {
    (void)start;
    char *const argv[] = {"bwrap", "--unshare-all", "--uid", "0", "--gid", "0", "--as-pid-1", "--ro-bind", "/usr", "/usr", "--ro-bind", program, program,
                          "--proc", "/proc", program, NULL};
    return run(argv);
}

int peer_firejail(struct start *start) {
    (void)start;
    char *const argv[] = {"firejail", "--quiet", "--noprofile", "--ipc-namespace", "--net=none", program, NULL};
    return run(argv);
}

/* A bundle beside the no-op: made once. */
static const char *bundle(void) {
    static char directory[PATH_MAX];
    if (*directory) {
        return directory;
    }
    char path[PATH_MAX + 32];
    snprintf(directory, sizeof directory, "%s-bundle", program);
    snprintf(path, sizeof path, "%s/rootfs", directory);
    mkdir(directory, 0755);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/rootfs/dev", directory);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/config.json", directory);
    FILE *out = fopen(path, "we");
    if (out) {
        fprintf(out,
                "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"rootfs\"}, \"process\": {\"terminal\": false, \"cwd\": \"/\", \"args\": [\"/no-op\"], "
                "\"user\": {\"uid\": 0, \"gid\": 0}, \"noNewPrivileges\": true, \"capabilities\": {}}, \"mounts\": ["
                "{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},"
                "{\"destination\": \"/usr\", \"type\": \"bind\", \"source\": \"/usr\", \"options\": [\"rbind\", \"ro\"]},"
                "{\"destination\": \"/no-op\", \"type\": \"bind\", \"source\": \"%s\", \"options\": [\"bind\", \"ro\"]}], "
                "\"linux\": {\"namespaces\": [{\"type\": \"user\"}, {\"type\": \"pid\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"}, {\"type\": \"mount\"}], "
                "\"uidMappings\": [{\"containerID\": 0, \"hostID\": %u, \"size\": 1}], \"gidMappings\": [{\"containerID\": 0, \"hostID\": %u, \"size\": 1}]}}\n",
                program, geteuid(), getegid());
        fclose(out);
    }
    return directory;
}

/* A mount namespace whose /sys/fs/cgroup is cgroup v2 alone, which crun wants; -1: it is that here, or can't be made. */
static int namespace_for_crun(void) {
    static int namespace = -2;
    struct statfs about;
    if (namespace != -2) {
        return namespace;
    }
    namespace = -1;
    if (statfs("/sys/fs/cgroup", &about) == 0 && about.f_type == CGROUP2_SUPER_MAGIC) {
        return namespace;
    }
    int ready[2];
    if (pipe2(ready, O_CLOEXEC)) {
        return namespace;
    }
    pid_t pid = fork();
    if (pid < 0) {
        close(ready[0]);
        close(ready[1]);
        return namespace;
    }
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
            umount2("/sys/fs/cgroup", MNT_DETACH) == 0 && mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) == 0 && write(ready[1], "", 1) == 1) {
            pause();
        }
        _exit(1);
    }
    close(ready[1]);
    char path[64], byte;
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", pid);
    if (read(ready[0], &byte, 1) == 1) {
        namespace = open(path, O_RDONLY | O_CLOEXEC);
    }
    close(ready[0]);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return namespace;
}

/* Where this process comes from: setns leaves it in the other namespace's root directory. */
static int home = -1, directory = -1;

int peer_crun_enter(struct start *start) {
    (void)start;
    int namespace = namespace_for_crun();
    if (namespace < 0) {
        return 0;
    }
    if (home < 0) {
        home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    return home < 0 || directory < 0 || setns(namespace, CLONE_NEWNS) < 0 ? -errno : 0;
}

void peer_crun_leave(struct start *start) {
    (void)start;
    if (home >= 0 && (setns(home, CLONE_NEWNS) < 0 || fchdir(directory) < 0)) {
        perror("bench: back from crun's namespace");
        exit(1); /* from here on it would measure elsewhere */
    }
}

int peer_crun(struct start *start) {
    (void)start;
    static int runs;
    char name[64];
    snprintf(name, sizeof name, "sandbox-bench-%d-%d", getpid(), runs++);
    char *const argv[] = {"crun", "--cgroup-manager=disabled", "run", "--bundle", (char *)(uintptr_t)bundle(), name, NULL};
    return run(argv);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status, (void)type, (void)place;
    return remove(path);
}

/* The bundle, and what crun made in it: devices, targets of mounts. */
void containers_free(void) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s-bundle", program);
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
