/* What a hostile tree, or one that changes meanwhile, makes of the set-up: nothing outside of the new root, ever. */
#include "mount.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

/* A tree that a stranger filled with links, bound at /w; `outside` is the host's, beside it. */
struct tree {
    char dir[PATH_MAX], hostile[PATH_MAX + 16], outside[PATH_MAX + 16];
};

static struct tree hostile_tree(void) {
    struct tree tree;
    snprintf(tree.dir, sizeof tree.dir, "%s", fresh_dir());
    snprintf(tree.hostile, sizeof tree.hostile, "%s/hostile", tree.dir);
    snprintf(tree.outside, sizeof tree.outside, "%s/outside", tree.dir);
    make_dir(tree.hostile), make_dir(tree.outside);
    write_file(in(tree.outside, "secret"), "outside\n");
    char deep[PATH_MAX + 64] = "";
    for (int i = 0; i < 30; i++) strcat(deep, "../");
    strcat(deep, tree.outside + 1);
    CHECK_EQ(symlink(tree.outside, in(tree.hostile, "absolute")), 0);
    CHECK_EQ(symlink(deep, in(tree.hostile, "relative")), 0);
    CHECK_EQ(symlink("../outside", in(tree.hostile, "beside")), 0);
    CHECK_EQ(symlink("/proc/self/root", in(tree.hostile, "root")), 0);
    CHECK_EQ(symlink("/proc/1/root", in(tree.hostile, "root1")), 0);
    CHECK_EQ(symlink("/proc/self/cwd", in(tree.hostile, "cwd")), 0);
    CHECK_EQ(symlink("/proc/self/fd/3", in(tree.hostile, "fd")), 0);
    CHECK_EQ(symlink("loop", in(tree.hostile, "loop")), 0);
    CHECK_EQ(symlink("/", in(tree.hostile, "top")), 0);
    CHECK_EQ(symlink("..", in(tree.hostile, "up")), 0);
    CHECK_EQ(symlink("dangling-target", in(tree.hostile, "dangling")), 0);
    make_dir(in(tree.hostile, "inner"));
    write_file(in(tree.hostile, "inner/file"), "hostile\n");
    CHECK_EQ(symlink("/w/inner", in(tree.hostile, "good")), 0);
    return tree;
}

static const char *const links[] = {"absolute", "relative", "beside", "root", "root1", "cwd", "fd", "loop", "top", "up", "dangling"};
enum { LINKS = sizeof links / sizeof *links, KINDS = 7 };

static void add(sandbox_cmd *cmd, int kind, const char *target) {
    switch (kind) {
    case 0: sandbox_cmd_bind(cmd, "/usr", target, 0); break;
    case 1: sandbox_cmd_tmpfs(cmd, target, 4096, 0700); break;
    case 2: sandbox_cmd_file(cmd, target, "made", 4, 0644); break;
    case 3: sandbox_cmd_dir(cmd, target, 0700); break;
    case 4: sandbox_cmd_symlink(cmd, "text", target); break;
    case 5: sandbox_cmd_mask(cmd, target); break;
    default: sandbox_cmd_bind(cmd, "/etc/passwd", target, 0);
    }
}

TEST(links, "through no symlink of a hostile tree is anything made or mounted outside, nor in that tree's own place") {
    BOTH_WAYS({
        struct tree tree = hostile_tree();
        static char before[20000], after[20000], mounts[100000], later[100000];
        listing(tree.outside, before, sizeof before);
        read_file("/proc/self/mountinfo", mounts, sizeof mounts);
        int turn = 0;
        for (int writable = 0; writable < 2; writable++)
            for (int i = 0; i < LINKS; i++)
                for (int kind = 0; kind < KINDS; kind++)
                    for (int below = 0; below < 2; below++) {
                        if (turn++ % stride(5)) continue;
                        sandbox_cmd *cmd = script("cat /proc/self/mountinfo");
                        sandbox_cmd_root(cmd, NULL, writable ? SANDBOX_MOUNT_RW : 0);
                        sandbox_cmd_bind(cmd, tree.hostile, "/w", writable ? SANDBOX_MOUNT_RW : 0);
                        add(cmd, kind, in("/w", "%s%s", links[i], below ? "/x" : ""));
                        run(cmd, &result);
                        if (result.result == 0 && strstr(result.out, "/outside")) FAIL("%s, kind %d: %s", links[i], kind, result.out);
                        if (strcmp(listing(tree.outside, after, sizeof after), before) != 0) FAIL("%s, kind %d: outside is %s", links[i], kind, after);
                    }
        CHECK_STR(read_file("/proc/self/mountinfo", later, sizeof later), mounts);
    });
}

TEST(inside, "an absolute symlink inside the root leads inside the root, also as a part of a target") {
    BOTH_WAYS({
        struct tree tree = hostile_tree();
        sandbox_cmd *cmd = script("cat /w/inner/file; ls /w/inner /usr2/lib/x");
        sandbox_cmd_bind(cmd, tree.hostile, "/w", 0);
        sandbox_cmd_file(cmd, "/w/good/file", "mine\n", 5, 0644);
        sandbox_cmd_dir(cmd, "/real/lib", 0755);
        sandbox_cmd_symlink(cmd, "/real", "/usr2");
        sandbox_cmd_file(cmd, "/usr2/lib/x/y", "", 0, 0644);
        says(cmd, "mine\n/usr2/lib/x:\ny\n\n/w/inner:\nfile\n");
        /* The host's path does not exist inside: it is made there, in memory, where links lead. */
        cmd = script("test -e /w/absolute/secret || echo empty");
        sandbox_cmd_bind(cmd, tree.hostile, "/w", 0);
        sandbox_cmd_dir(cmd, tree.outside, 0700);
        sandbox_cmd_tmpfs(cmd, "/w/absolute", 4096, 0700);
        says(cmd, "empty\n");
    });
}

TEST(root_itself, "a target that symlinks lead to the root is refused: what is mounted there would not be seen") {
    BOTH_WAYS({
        struct tree tree = hostile_tree();
        for (int i = 0; i < 2; i++)
            for (int kind = 0; kind < KINDS; kind++) {
                if (kind == 3 || kind == 4) continue;
                sandbox_cmd *cmd = script("exit 0");
                sandbox_cmd_bind(cmd, tree.hostile, "/w", 0);
                add(cmd, kind, i ? "/w/top" : "/w/up");
                run(cmd, &result);
                CHECK_ERROR(result.result, result.error, EBUSY, SANDBOX_STAGE_MOUNT, 6, "root itself");
            }
    });
}

TEST(pipes, "a pipe that a stranger left where a file is to be written, or locked, keeps no spawn waiting") {
    BOTH_WAYS({
        struct tree tree = hostile_tree();
        CHECK_EQ(mkfifo(in(tree.hostile, "pipe"), 0666), 0);
        for (int way = 0; way < 2; way++) {
            sandbox_cmd *cmd = script("exit 0");
            sandbox_cmd_bind(cmd, tree.hostile, "/w", SANDBOX_MOUNT_RW);
            sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
            if (way) CHECK_EQ(sandbox_cmd_init_lock(cmd, "/w/pipe"), 0);
            else CHECK_EQ(sandbox_cmd_data(cmd, "/w/pipe", "made", 4, 0644, SANDBOX_DATA_IN_PLACE), 0);
            alarm(20);
            run(cmd, &result);
            alarm(0);
            if (!way) CHECK_EQ(result.result, -ENXIO);
        }
    });
}

TEST(magic, "magic links are no way to a target") {
    BOTH_WAYS({
        sandbox_cmd *cmd = script("exit 0");
        sandbox_cmd_tmpfs(cmd, "/proc/self/cwd/tmp", 4096, 0700);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, ELOOP, SANDBOX_STAGE_MOUNT, 5, "magic link");
    });
}

/* --- a thread that swaps --- */

static struct race {
    char one[PATH_MAX + 32], two[PATH_MAX + 32];
    _Atomic int stop;
} race;

static void *swap(void *unused) {
    (void)unused;
    while (!race.stop) syscall(SYS_renameat2, AT_FDCWD, race.one, AT_FDCWD, race.two, 2 /* RENAME_EXCHANGE */);
    return NULL;
}

static pthread_t start_race(const char *one, const char *two) {
    pthread_t thread;
    snprintf(race.one, sizeof race.one, "%s", one), snprintf(race.two, sizeof race.two, "%s", two);
    race.stop = 0;
    CHECK_EQ(pthread_create(&thread, NULL, swap, NULL), 0);
    return thread;
}

static void end_race(pthread_t thread) {
    race.stop = 1;
    pthread_join(thread, NULL);
}

TEST(swapped_target, "a directory swapped for a symlink while spawns go on leads nothing out") {
    BOTH_WAYS({
        struct tree tree = hostile_tree();
        static char before[20000], after[20000];
        make_dir(in(tree.hostile, "swap"));
        make_dir(in(tree.hostile, "swap/x"));
        char link[PATH_MAX + 64];
        snprintf(link, sizeof link, "%s/link", tree.hostile);
        CHECK_EQ(symlink(tree.outside, link), 0);
        listing(tree.outside, before, sizeof before);
        pthread_t thread = start_race(in(tree.hostile, "swap"), link);
        for (int i = 0; i < 14 * scaled(8); i++) {
            sandbox_cmd *cmd = script("cat /proc/self/mountinfo; cat /w/swap/x/mine");
            sandbox_cmd_bind(cmd, tree.hostile, "/w", SANDBOX_MOUNT_RW);
            add(cmd, i % KINDS, i % 2 ? "/w/swap/x" : "/w/swap/x/y");
            run(cmd, &result);
            if (result.result == 0 && strstr(result.out, "/outside")) FAIL("mounted outside: %s", result.out);
            if (strcmp(listing(tree.outside, after, sizeof after), before) != 0) FAIL("outside is %s", after);
        }
        end_race(thread);
    });
}

TEST(swapped_source, "an fd's source is the very object, or the spawn fails, while its path is swapped under it") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        int good = 0;
        write_file(in(make_dir(in(dir, "one")), "file"), "the right one\n");
        write_file(in(make_dir(in(dir, "two")), "file"), "another\n");
        char link[PATH_MAX];
        int fd = open(in(dir, "one"), O_PATH | O_CLOEXEC);
        snprintf(link, sizeof link, "%s", in(dir, "link"));
        CHECK_EQ(symlink("two", link), 0);
        for (int by_link = 0; by_link < 2; by_link++) {
            pthread_t thread = start_race(in(dir, "one"), by_link ? link : in(dir, "two"));
            for (int i = 0; i < 5 * scaled(20); i++) {
                sandbox_cmd *cmd = script("cat /a/file");
                CHECK_EQ(sandbox_cmd_bind_fd(cmd, fd, "/a", 0), 0);
                run(cmd, &result);
                if (result.result == 0) {
                    CHECK_STR(result.out, "the right one\n");
                    good++;
                } else CHECK_ERROR(result.result, result.error, ESTALE, SANDBOX_STAGE_MOUNT, 5, "the caller's fd");
            }
            end_race(thread);
        }
        close(fd);
        CHECK(good > 0);
    });
}

/* --- from inside --- */

TEST(no_way_back, "with every capability kept, unmounting and leaving the root does not lead to the host") {
    BOTH_WAYS({
        const char *dir = fresh_dir();
        write_file(in(dir, "secret"), "outside\n");
        sandbox_cmd *cmd = script("umount -l /; umount -l /..; umount /usr; umount -l /;"
                                  "cd /; ls /../..$0 /proc/1/root$0 /proc/self/root/..$0; cat $0/secret; exit 0");
        sandbox_cmd_arg(cmd, dir);
        sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0);
        run(cmd, &result);
        CHECK_EQ(result.result, 0);
        CHECK(!strstr(result.out, "outside") && !strstr(result.out, "secret"));
    });
}

TEST(read_only_stays, "in a user namespace the program can't make a read-only bind writable again") {
    need_mounts();
    const char *dir = fresh_dir();
    /* Its own namespace is where it may; one nested deeper must not either. */
    sandbox_cmd *cmd = script("unshare -Urm sh -c 'mount -o remount,rw,bind /a; (: >/a/x) || echo refused; umount /a || echo refused'");
    sandbox_cmd_bind(cmd, dir, "/a", 0);
    sandbox_cmd_proc(cmd, "/proc", SANDBOX_PROC_RW); /* for its id map */
    sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, SANDBOX_CAPS_ALL);
    run(cmd, &result);
    CHECK_EQ(result.result, 0);
    CHECK_STR(result.out, "refused\nrefused\n");
    CHECK_EQ(count_entries(dir), 0);
}

/* --- a host without close_range --- */

static void without_close_range(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0), 0);
}

/* What an image has in the place of /proc. */
enum { EMPTY_LIST, FIFO_LIST, FIFO, LINK, ABSENT, FALSE_PROCS };

static void make_proc(const char *image, int kind) {
    if (kind == EMPTY_LIST || kind == FIFO_LIST) make_dir(in(image, "proc")), make_dir(in(image, "proc/self"));
    if (kind == EMPTY_LIST) make_dir(in(image, "proc/self/fd"));
    if (kind == FIFO_LIST) CHECK_EQ(mkfifo(in(image, "proc/self/fd"), 0644), 0);
    if (kind == FIFO) CHECK_EQ(mkfifo(in(image, "proc"), 0644), 0);
    if (kind == LINK) CHECK_EQ(symlink("/host/1", in(image, "proc")), 0);
}

/* While a program runs, nobody but the host holds what that has open. */
static void holds_nothing(const char *image, int has_init, int is_pooled) {
    int ends[2];
    char byte = 0;
    sandbox_child *child;
    sandbox_error error;
    sandbox_pool *pool = NULL;
    CHECK(pipe(ends) == 0 && dup2(ends[1], 300) == 300);
    close(ends[1]);
    sandbox_cmd *cmd = confined(sandbox_cmd_new("/act"));
    sandbox_cmd_arg(cmd, "cat");
    if (image) sandbox_cmd_root(cmd, image, 0);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
    sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)has_init);
    if (is_pooled) {
        pool = sandbox_pool_new(cmd, 1);
        int missing = sandbox_pool_refill(pool, &error);
        if (missing != 0) FAIL("the pool was not full: %d, %s", missing, error.message);
    } else if (sandbox_spawn(cmd, &child, &error) < 0) {
        FAIL("%s", error.message);
    }
    close(300);
    struct pollfd end = {ends[0], POLLIN, 0};
    CHECK_EQ(poll(&end, 1, 20000), 1);
    CHECK_EQ(read(ends[0], &byte, 1), 0);
    if (pool) CHECK_EQ(sandbox_pool_spawn(pool, NULL, &child, &error), 0);
    CHECK(runs(fds_of(child).pidfd));
    sandbox_child_free(child);
    sandbox_pool_free(pool);
    sandbox_cmd_free(cmd);
    close(ends[0]);
}

TEST(no_close_range, "where close_range is missing no fd of the host's gets into a program, its init or a pool, whatever an image has for /proc") {
    need_mounts();
    const char *directory = fresh_dir();
    without_close_range();
    for (int kind = 0; kind < FALSE_PROCS; kind += stride(4)) {
        char image[PATH_MAX];
        snprintf(image, sizeof image, "%s", make_dir(in(directory, "image%d", kind)));
        copy_file(beside("act"), in(image, "act"), 0755);
        make_proc(image, kind);
        for (int has_init = 0; has_init < 2; has_init++) holds_nothing(image, has_init, 0), holds_nothing(image, has_init, 1);
    }
    char line[PATH_MAX + 16];
    snprintf(line, sizeof line, "rm -rf %s", directory);
    CHECK_EQ(system(line), 0);
}
