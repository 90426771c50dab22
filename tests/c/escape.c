/* Ways out that lead through /proc and through what the host has open: the working directory, the program's path, a
 * script's interpreter. And who may get at a host through its children. */
#include "mount.h"
#include <linux/capability.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

enum { PLAIN, TRAMPOLINE, INIT, PRE_EXEC, WAYS };
static const char *const way_names[WAYS] = {"plain", "trampoline", "init", "pre_exec"};

static int nothing(void *userdata) { return (void)userdata, 0; }

static sandbox_cmd *by(int way, sandbox_cmd *cmd) {
    if (way == TRAMPOLINE) sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 900);
    if (way == INIT) sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    if (way == PRE_EXEC) sandbox_cmd_pre_exec(cmd, nothing, NULL);
    return cmd;
}

/* A stranger's tree: a link to each fd that the host or the library may have open, and what else leads out. */
struct tree {
    char dir[PATH_MAX], image[PATH_MAX + 16];
};

enum { MOST_FDS = 40 };

static struct tree stranger(void) {
    struct tree tree;
    char name[PATH_MAX + 64], to[64];
    snprintf(tree.dir, sizeof tree.dir, "%s", fresh_dir());
    snprintf(tree.image, sizeof tree.image, "%s/image", tree.dir);
    CHECK_EQ(mkdir(tree.image, 0755), 0);
    for (int fd = 3; fd < MOST_FDS; fd++) {
        snprintf(name, sizeof name, "%s/fd%d", tree.image, fd), snprintf(to, sizeof to, "/proc/self/fd/%d", fd);
        CHECK_EQ(symlink(to, name), 0);
    }
    static const char *const others[][2] = {{"exe", "/proc/self/exe"}, {"thread", "/proc/thread-self/exe"}, {"cwd", "/proc/self/cwd"}, {"root", "/proc/self/root"}, {"good", "inner"}, {"sh", "/bin/sh"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(name, sizeof name, "%s/%s", tree.image, others[i][0]);
        CHECK_EQ(symlink(others[i][1], name), 0);
    }
    snprintf(name, sizeof name, "%s/inner", tree.image);
    CHECK_EQ(mkdir(name, 0755), 0);
    return tree;
}

static void script_file(const struct tree *tree, const char *name, const char *text, mode_t mode) {
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", tree->image, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    fchmod(fd, mode), close(fd);
}

static sandbox_cmd *in_tree(const struct tree *tree, sandbox_cmd *cmd, uint64_t flags) {
    with_system(confined(cmd));
    CHECK_EQ(sandbox_cmd_proc(cmd, "/proc", 0), 0);
    CHECK_EQ(sandbox_cmd_bind(cmd, tree->image, "/w", flags), 0);
    return cmd;
}

TEST(cwd, "the working directory is entered through no magic link, whatever the host has open and however the program is started") {
    BOTH_WAYS({
        struct tree tree = stranger();
        int kept = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int path_only = open("/etc", O_PATH | O_CLOEXEC);
        int passed = fcntl(kept, F_DUPFD, 20);
        char link[32];
        for (int way = 0; way < WAYS; way++)
            for (int first = 0; first < 2; first++) {
                for (int fd = 3; fd < (test_scale() > 1 ? passed + 1 : MOST_FDS); fd++) {
                    snprintf(link, sizeof link, "/w/fd%d", fd);
                    sandbox_cmd *cmd = by(way, in_tree(&tree, victim("act", "exit", "0", NULL), 0));
                    CHECK_EQ(first ? sandbox_cmd_cwd_first(cmd, (const char *const[]){link, NULL}) : sandbox_cmd_cwd(cmd, link), 0);
                    run(cmd, &result);
                    bool is_there = way == PLAIN && (fd == passed || fd == kept || fd == path_only); /* elsewhere an exec has closed it */
                    CHECK_ERROR(result.result, result.error, is_there || result.result == -ELOOP ? ELOOP : ENOENT, SANDBOX_STAGE_CWD, 0, link);
                }
                sandbox_cmd *cmd = by(way, in_tree(&tree, sandbox_cmd_new("/bin/pwd"), 0));
                first ? sandbox_cmd_cwd_first(cmd, (const char *const[]){"/w/fd3", "/w/good", NULL}) : sandbox_cmd_cwd(cmd, "/w/good");
                CHECK_STR(run_well(cmd, &result), "/w/inner\n");
            }
        close(kept), close(path_only), close(passed);
    });
}

TEST(cwd_of_the_host, "without a root of its own the working directory is any that the host could name, by symlinks too") {
    struct tree tree = stranger();
    char path[PATH_MAX + 64];
    for (int way = 0; way < WAYS; way++) {
        snprintf(path, sizeof path, "%s/good", tree.image);
        sandbox_cmd *cmd = by(way, sandbox_cmd_new("/bin/pwd"));
        sandbox_cmd_cwd(cmd, path);
        snprintf(path, sizeof path, "%s/inner\n", tree.image);
        CHECK_STR(run_well(cmd, &result), path);
    }
    int usr = open("/usr", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", usr);
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/pwd");
    sandbox_cmd_cwd(cmd, path);
    CHECK_STR(run_well(cmd, &result), "/usr\n");
    close(usr);
}

/* What is run when the host's own program is: it must never be. */
static void refused(const char *name, const char *program, int errnum, const char *word, const struct tree *tree) {
    for (int way = 0; way < WAYS; way++) {
        sandbox_cmd *cmd = by(way, in_tree(tree, sandbox_cmd_new(program), 0));
        sandbox_cmd_arg(cmd, "no such test");
        run(cmd, &result);
        bool looks = way == PLAIN || way == PRE_EXEC; /* elsewhere the program that is linked to is the trampoline, or the init's */
        if (!looks) continue;
        if (result.result != -errnum || result.error.stage != SANDBOX_STAGE_EXEC || !strstr(result.error.message, word))
            FAIL("%s, %s: %d, %s: %s; \"%s\"", name, way_names[way], result.result, sandbox_stage_name(result.error.stage), result.error.message, result.out);
    }
}

TEST(program, "the host's own program is reached neither by a link to it nor by a script that names it as its interpreter") {
    BOTH_WAYS({
        struct tree tree = stranger();
        int script = open(beside("act"), O_RDONLY | O_CLOEXEC);
        char link[32];
        script_file(&tree, "script", "#! /proc/self/exe -x\n", 0755);
        script_file(&tree, "linked", "#!/w/exe\n", 0755);
        script_file(&tree, "chained", "#!/w/linked\n", 0755);
        script_file(&tree, "unread", "#!/w/exe\n", 0111);
        script_file(&tree, "fine", "#!/w/sh\necho it ran: $1\n", 0755);
        refused("link", "/w/exe", ELOOP, "magic link", &tree);
        refused("thread's link", "/w/thread", ELOOP, "magic link", &tree);
        refused("script", "/w/script", ELOOP, "magic link", &tree);
        refused("script by a link", "/w/linked", ELOOP, "magic link", &tree);
        refused("script of a script", "/w/chained", ELOOP, "magic link", &tree);
        snprintf(link, sizeof link, "/w/fd%d", script);
        refused("an fd", link, ELOOP, "magic link", &tree);
        if (geteuid() != 0) refused("unreadable", "/w/unread", EACCES, "readable", &tree);
        for (int way = 0; way < WAYS; way++) {
            sandbox_cmd *cmd = by(way, in_tree(&tree, sandbox_cmd_new("/w/fine"), 0));
            sandbox_cmd_arg(cmd, "yes");
            CHECK_STR(run_well(cmd, &result), "it ran: yes\n");
            cmd = by(way, in_tree(&tree, sandbox_cmd_new("fine"), 0));
            sandbox_cmd_env(cmd, "PATH", "/nowhere:/w/inner:/w"), sandbox_cmd_arg(cmd, "found");
            CHECK_STR(run_well(cmd, &result), "it ran: found\n");
        }
        close(script);
    });
}

TEST(open_directory, "nor is a program of the host's by way of a directory that the host has open, close-on-exec or not") {
    BOTH_WAYS({
        struct tree tree = stranger();
        int directory = open("/usr/bin", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int inherited = fcntl(directory, F_DUPFD, 50);
        char name[PATH_MAX + 64];
        snprintf(name, sizeof name, "%s/stranger", tree.image);
        CHECK(inherited == 50 && symlink("/proc/self/fd/50/env", name) == 0);
        for (int way = 0; way < WAYS; way++)
            for (int writable = 0; writable < 2; writable++) {
                run(by(way, in_tree(&tree, sandbox_cmd_new("/w/stranger"), writable ? SANDBOX_MOUNT_RW : 0)), &result);
                if (result.result != -ELOOP && result.result != -ENOENT) FAIL("%s: %d, %s", way_names[way], result.result, result.error.message);
                CHECK_EQ(result.error.stage, SANDBOX_STAGE_EXEC);
            }
        close(directory), close(inherited);
    });
}

TEST(image, "in a tree that can change while it is started, the program that a link leads to is never the host's") {
    BOTH_WAYS({
        struct tree tree = stranger();
        for (int way = 0; way < 3; way++) {
            char there[PATH_MAX + 16];
            sandbox_cmd *cmd = sandbox_cmd_new("/bin/readlink");
            sandbox_cmd_args(cmd, (const char *const[]){"/proc/self/exe", NULL});
            in_tree(&tree, cmd, way == 0 ? SANDBOX_MOUNT_RW : 0);
            if (way == 1) sandbox_cmd_overlay(cmd, (const char *const[]){tree.image, NULL}, NULL, NULL, "/o");
            if (way == 2) {
                memcpy(there, tree.image, sizeof there);
                for (int i = 0; i < 5; i++) {
                    static const char *const dirs[] = {"usr", "bin", "lib", "lib64", "proc"};
                    char path[PATH_MAX + 64];
                    snprintf(path, sizeof path, "%s/%s", tree.image, dirs[i]);
                    CHECK(mkdir(path, 0755) == 0 || errno == EEXIST);
                    snprintf(path, sizeof path, "%s/w", tree.image), mkdir(path, 0755);
                }
                CHECK_EQ(sandbox_cmd_root(cmd, there, 0), 0);
            }
            char text[20000];
            int length = sandbox_cmd_explain(cmd, text, sizeof text, NULL);
            CHECK(length > 0);
            CHECK_HAS(text, "trampoline");
            run_well(cmd, &result);
        }
    });
}

/* --- who may look into a host's child --- */

/* Of the host's user, and without any of its capabilities. */
static void lose_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    CHECK_EQ(syscall(SYS_capset, &header, none), 0);
}

struct attack {
    int tell[2], answer[2];
    uint32_t *word;
    int attempts;
};

/* The child stands at its gate: the other process tries all that the right to trace would give. */
static int attacked(pid_t pid, int pidfd, void *userdata) {
    struct attack *attack = userdata;
    char answer[2] = "";
    (void)pidfd;
    if (write(attack->tell[1], &pid, sizeof pid) != sizeof pid || read(attack->answer[0], answer, 1) != 1) return -EIO;
    attack->attempts++;
    return answer[0] == 'n' ? 0 : -ECANCELED;
}

static void attacker(const struct attack *attack) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    lose_capabilities();
    for (pid_t pid; read(attack->tell[0], &pid, sizeof pid) == sizeof pid;) {
        uint32_t word = 0x4f574e44;
        struct iovec here = {&word, 4}, there = {attack->word, 4};
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/mem", pid);
        int memory = open(path, O_RDWR | O_CLOEXEC);
        bool has = memory >= 0 || process_vm_writev(pid, &here, 1, &there, 1, 0) == 4 || ptrace(PTRACE_SEIZE, pid, 0, 0) == 0;
        if (write(attack->answer[1], has ? "y" : "n", 1) != 1) break;
    }
    _exit(0);
}

TEST(attached, "a process of the host's own user, but with fewer capabilities, gets at no child of it, nor through that at the host") {
    if (!has_cap(21) || !has_cap(19)) SKIP("this host has no capabilities that another could lack");
    static uint32_t word = 1;
    struct attack attack = {.word = &word};
    CHECK(pipe2(attack.tell, O_CLOEXEC) == 0 && pipe2(attack.answer, O_CLOEXEC) == 0);
    int dumpable = prctl(PR_GET_DUMPABLE);
    pid_t other = fork();
    if (other == 0) attacker(&attack);
    for (int way = 0; way < 3; way++)
        for (int namespaces = 0; namespaces < 3; namespaces++) {
            sandbox_cmd *cmd = by(way, victim("act", "exit", "0", NULL));
            if (namespaces) sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | (namespaces == 2 ? SANDBOX_NS_PID | SANDBOX_NS_NET : 0));
            CHECK_EQ(sandbox_cmd_on_ready(cmd, attacked, &attack), 0);
            run_well(cmd, &result);
            CHECK_EQ(prctl(PR_GET_DUMPABLE), dumpable);
        }
    CHECK_EQ(word, 1);
    CHECK_EQ(attack.attempts, 9);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    kill(other, SIGKILL);
    CHECK_EQ(waitpid(other, NULL, 0), other);
    close(attack.tell[0]), close(attack.tell[1]), close(attack.answer[0]), close(attack.answer[1]);
}

static void *spawner(void *unused) {
    for (int i = 0; i < scaled(200); i++) {
        struct run own;
        run_well(victim("act", "exit", "0", NULL), &own);
    }
    return unused;
}

/* A child whose exec waits for an answer: it is in the host's memory until it has one. */
static sandbox_child *waiting_at_exec(void) {
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_filter_rule(filter, SANDBOX_ACT_NOTIFY, "execve", NULL, 0);
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_filter(cmd, filter), sandbox_filter_free(filter);
    sandbox_child *child = spawned(cmd);
    sandbox_cmd_free(cmd);
    return child;
}

TEST(reopened, "a host with capabilities is as dumpable after its spawns as before, however many at once, failed and held ones too") {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) CHECK_EQ(pthread_create(&threads[i], NULL, spawner, NULL), 0);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    run(sandbox_cmd_new("/not/there"), &result);
    CHECK_EQ(result.result, -ENOENT);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    sandbox_child *child = waiting_at_exec();
    CHECK_EQ(prctl(PR_GET_DUMPABLE), !has_cap(19));
    sandbox_child_free(child);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    /* A host that is not, stays so. */
    prctl(PR_SET_DUMPABLE, 0);
    run_well(victim("act", "exit", "0", NULL), &result);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
    prctl(PR_SET_DUMPABLE, 1);
}

TEST(given_up, "a host that gives up its user while a child is in its memory stays as closed as the kernel made it") {
    if (!has_cap(19) || !has_cap(7) || !has_cap(1)) SKIP("it takes root to give that up");
    sandbox_child *child = waiting_at_exec();
    CHECK_EQ(kill(sandbox_child_pid(child), SIGKILL), 0);
    CHECK_EQ(setresuid(4321, 4321, 4321), 0);
    CHECK_EQ(sandbox_child_wait_exec(child, 20000, NULL), -ECANCELED);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
    sandbox_child_free(child);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
}

static void *keep_spawning(void *stop) {
    while (!*(volatile bool *)stop) sandbox_child_free(spawned(victim("act", "exit", "0", NULL)));
    return NULL;
}

/* A thread that has lost what the others have: of what it asks nothing may be missing, whatever those do meanwhile. */
static void *ask_for_all(void *missing) {
    static const char *const words[] = {"user, ", "uts", "host name", "oom_score_adj 500", "time namespace"};
    lose_capabilities();
    for (int round = 0; round < scaled(3000) && !*(const char **)missing; round++) {
        char text[16384];
        sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
        sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_UTS | SANDBOX_NS_TIME);
        sandbox_cmd_hostname(cmd, "name"), sandbox_cmd_set(cmd, SANDBOX_OPT_OOM_SCORE_ADJ, 500);
        sandbox_cmd_explain(cmd, text, sizeof text, NULL);
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (!strstr(text, words[i])) *(const char **)missing = words[i];
        sandbox_cmd_free(cmd);
    }
    return NULL;
}

TEST(nothing_missing, "a plan lacks nothing that was asked for, while other threads of other rights spawn") {
    pthread_t spawners[2], asker;
    bool stop = false;
    const char *missing = NULL;
    for (int i = 0; i < 2; i++) CHECK_EQ(pthread_create(&spawners[i], NULL, keep_spawning, &stop), 0);
    CHECK_EQ(pthread_create(&asker, NULL, ask_for_all, &missing), 0);
    pthread_join(asker, NULL);
    stop = true;
    for (int i = 0; i < 2; i++) pthread_join(spawners[i], NULL);
    if (missing) FAIL("a plan without \"%s\"", missing);
}
