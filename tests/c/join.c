/* Any subset of namespaces, new or joined by fd; and a joined one whose processes attack. */
#include "identity.h"
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

static const struct {
    uint64_t bit;
    const char *file;
} kinds[] = {
    {SANDBOX_NS_USER, "user"}, {SANDBOX_NS_PID, "pid"}, {SANDBOX_NS_MOUNT, "mnt"}, {SANDBOX_NS_NET, "net"},
    {SANDBOX_NS_UTS, "uts"}, {SANDBOX_NS_IPC, "ipc"}, {SANDBOX_NS_CGROUP, "cgroup"}, {SANDBOX_NS_TIME, "time"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };
#define EVERY (SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_MOUNT | SANDBOX_NS_NET | SANDBOX_NS_UTS | SANDBOX_NS_IPC | SANDBOX_NS_CGROUP | SANDBOX_NS_TIME)

TEST(subsets, "each of the 256 subsets of new namespaces starts a program, or an ordinary user is told that it may not") {
    need_userns();
    for (unsigned subset = 0; subset < 1U << KINDS; subset += stride(3)) {
        uint64_t asked_for = 0;
        for (int i = 0; i < KINDS; i++)
            if (subset >> i & 1) asked_for |= kinds[i].bit;
        sandbox_cmd *cmd = victim("act", "exit", "3", NULL);
        sandbox_cmd_unshare(cmd, asked_for);
        run(cmd, &result);
        if (asked_for && !(asked_for & SANDBOX_NS_USER) && !has_cap(21)) {
            CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_CLONE, asked_for == SANDBOX_NS_TIME, "");
            continue;
        }
        if (result.result < 0) FAIL("%#llx: %s", (unsigned long long)asked_for, result.error.message);
        CHECK_EQ(result.status.code, 3);
    }
    host_is_the_same("after all subsets");
}

/* A child that lives in namespaces of its own until its standard input closes. */
static sandbox_child *holder(uint64_t namespaces) {
    sandbox_cmd *cmd = victim("act", "cat", NULL);
    sandbox_cmd_unshare(cmd, namespaces);
    if (namespaces & SANDBOX_NS_USER) sandbox_cmd_map_uid(cmd, 0, geteuid(), 1), sandbox_cmd_map_gid(cmd, 0, getegid(), 1);
    sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
    sandbox_child *child = spawned(cmd);
    sandbox_cmd_free(cmd);
    return child;
}

static int namespace_of(const sandbox_child *child, const char *kind) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/%s", sandbox_child_pid(child), kind);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) FAIL("%s: %s", path, strerror(errno));
    return fd;
}

#define LIST "for n in user pid mnt net uts ipc cgroup time; do readlink /proc/self/ns/$n; done"

static void joins(uint64_t namespaces, uint64_t joined, int way) {
    char what[64], here[64], path[64], there[64], *at = result.out;
    snprintf(what, sizeof what, "joining %#llx, %s", (unsigned long long)joined, way_names[way]);
    sandbox_child *held = holder(namespaces);
    sandbox_cmd *cmd = by(way, shell(LIST));
    for (int i = KINDS - 1; i >= 0; i--) { /* in another order than the one that works */
        if (!(joined & kinds[i].bit)) continue;
        int fd = namespace_of(held, kinds[i].file);
        CHECK_EQ(sandbox_cmd_join(cmd, fd), 0);
        close(fd);
    }
    well(cmd, what);
    for (int i = 0; i < KINDS; i++, at += strcspn(at, "\n") + 1) {
        snprintf(path, sizeof path, "/proc/%d/ns/%s", sandbox_child_pid(held), kinds[i].file);
        ssize_t length = readlink(path, there, sizeof there - 1);
        there[length > 0 ? length : 0] = 0;
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i].file);
        length = readlink(path, here, sizeof here - 1);
        here[length > 0 ? length : 0] = 0;
        /* the joined mount namespace's /proc is the host's */
        const char *wanted = joined & kinds[i].bit ? there : here;
        if (strncmp(at, wanted, strlen(wanted)) != 0 || at[strlen(wanted)] != '\n') FAIL("%s: %s is %.*s, not %s", what, kinds[i].file, (int)strcspn(at, "\n"), at, wanted);
    }
    sandbox_child_free(held);
}

TEST(join_each, "each kind of namespace can be joined by fd, alone and all together, by every way to start") {
    need_userns();
    if (access("/proc/self/ns/time", F_OK) != 0) SKIP("this kernel has no time namespaces");
    for (int way = 0; way < WAYS; way++) {
        if (way == PRE_EXEC) continue; /* refused: below */
        joins(EVERY, EVERY, way);
        joins(EVERY, EVERY & ~SANDBOX_NS_PID, way);
        joins(EVERY, SANDBOX_NS_USER, way);
        for (int i = 1; i < KINDS; i++) {
            if (is_root()) joins(kinds[i].bit, kinds[i].bit, way);
            joins(SANDBOX_NS_USER | kinds[i].bit, SANDBOX_NS_USER | kinds[i].bit, way);
        }
    }
}

/* Where a namespace of the program's is from. */
enum from { HOST, NEW, JOINED, FROMS };

static const char *link_of(char *text, size_t size, const char *process, const char *kind) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/%s", process, kind);
    ssize_t length = readlink(path, text, size - 1);
    text[length > 0 ? length : 0] = 0;
    return text;
}

static void mixed(const enum from *from, const sandbox_child *held, const int *fds, int way) {
    char what[128] = "", process[16], here[64], there[64], *at = result.out;
    bool joins_other = false, makes = false;
    sandbox_cmd *cmd = by(way, shell(LIST));
    for (int i = 0; i < KINDS; i++) {
        static const char *const words[FROMS] = {"", "new", "joined"};
        if (from[i]) snprintf(what + strlen(what), sizeof what - strlen(what), "%s %s, ", words[from[i]], kinds[i].file);
        if (from[i] == JOINED) CHECK_EQ(sandbox_cmd_join(cmd, fds[i]), 0);
        if (from[i] == NEW) CHECK_EQ(sandbox_cmd_unshare(cmd, kinds[i].bit), 0);
        joins_other |= i > 0 && from[i] == JOINED;
        makes |= i > 0 && from[i] == NEW;
    }
    strcat(what, way_names[way]);
    run(cmd, &result);
    if (!has_cap(21) && from[0] != JOINED && (joins_other || (makes && from[0] != NEW))) {
        if (result.result != -EPERM || result.error.stage != SANDBOX_STAGE_CLONE) FAIL("%s: %d, %s", what, result.result, result.error.message);
        return;
    }
    if (result.result < 0) FAIL("%s: %s", what, result.error.message);
    if (result.status.kind != SANDBOX_EXITED || result.status.code) FAIL("%s: it ended with %d", what, result.status.code);
    snprintf(process, sizeof process, "%d", sandbox_child_pid(held));
    for (int i = 0; i < KINDS; i++, at += strcspn(at, "\n") + 1) {
        size_t length = strcspn(at, "\n");
        bool is_hosts = strlen(link_of(here, sizeof here, "self", kinds[i].file)) == length && memcmp(at, here, length) == 0;
        bool is_held = strlen(link_of(there, sizeof there, process, kinds[i].file)) == length && memcmp(at, there, length) == 0;
        if (!length || is_hosts != (from[i] == HOST) || is_held != (from[i] == JOINED))
            FAIL("%s: %s is %.*s; the host's is %s, the other's %s", what, kinds[i].file, (int)length, at, here, there);
    }
}

TEST(mixed, "each kind of namespace is the host's, new, or joined, in any mixture of the eight, by every way to start") {
    need_userns();
    if (access("/proc/self/ns/time", F_OK) != 0) SKIP("this kernel has no time namespaces");
    sandbox_child *held = holder(EVERY);
    int fds[KINDS], count = 1, step = test_scale() > 1 ? 331 : 13;
    for (int i = 0; i < KINDS; i++) fds[i] = namespace_of(held, kinds[i].file), count *= FROMS;
    for (int mixture = 0, round = 0; mixture < count; mixture += step, round++) {
        enum from from[KINDS];
        for (int i = 0, rest = mixture; i < KINDS; i++, rest /= FROMS) from[i] = (enum from)(rest % FROMS);
        int way = round % WAYS;
        mixed(from, held, fds, way == PRE_EXEC ? PLAIN : way);
    }
    for (int i = 0; i < KINDS; i++) close(fds[i]);
    sandbox_child_free(held);
    host_is_the_same("after all mixtures");
}

TEST(joined_user_owns, "what is new beside a joined user namespace is that one's: names, loopback, clocks, pids and a root can be had in it") {
    need_userns();
    sandbox_child *held = holder(SANDBOX_NS_USER);
    int user = namespace_of(held, "user");
    for (int way = 0; way < WAYS; way++) {
        if (way == PRE_EXEC) continue;
        sandbox_cmd *cmd = by(way, shell("hostname; cat /proc/sys/kernel/domainname; echo $$; test -e /etc || echo no etc; grep -c . /proc/net/if_inet6; cut -d. -f1 /proc/uptime; id -u; touch /tmp/x && stat -c %u /tmp/x"));
        CHECK_EQ(sandbox_cmd_join(cmd, user), 0);
        sandbox_cmd_unshare(cmd, EVERY & ~SANDBOX_NS_USER);
        sandbox_cmd_set(cmd, SANDBOX_OPT_LOOPBACK, 1);
        sandbox_cmd_hostname(cmd, "a-name"), sandbox_cmd_domainname(cmd, "a-domain");
        sandbox_cmd_time_offset(cmd, CLOCK_BOOTTIME, 5000000, 0);
        static const char *const dirs[] = {"/usr", "/bin", "/lib", "/lib64"};
        for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) sandbox_cmd_bind(cmd, dirs[i], dirs[i], SANDBOX_MOUNT_OPTIONAL);
        sandbox_cmd_proc(cmd, "/proc", 0), sandbox_cmd_tmpfs(cmd, "/tmp", 65536, 0777);
        well(cmd, way_names[way]);
        char wanted[64], *at = result.out;
        snprintf(wanted, sizeof wanted, "a-name\na-domain\n%d\nno etc\n1\n5", way == INIT ? 2 : 1);
        if (strncmp(at, wanted, strlen(wanted)) != 0) FAIL("%s: %s", way_names[way], at);
        CHECK_HAS(at, "\n0\n0\n");
    }
    close(user);
    sandbox_child_free(held);
}

TEST(new_user_beside_joined, "a new user namespace comes after what is joined: its ids are mapped, its limit is set, and it owns what else is new") {
    if (!has_cap(21)) SKIP("to join a namespace without its user namespace takes CAP_SYS_ADMIN");
    sandbox_child *held = holder(SANDBOX_NS_NET | SANDBOX_NS_IPC | SANDBOX_NS_MOUNT);
    int net = namespace_of(held, "net"), ipc = namespace_of(held, "ipc"), mount = namespace_of(held, "mnt");
    for (int way = 0; way < WAYS; way++) {
        if (way == PRE_EXEC) continue;
        char inside[64], outside[64], process[16];
        sandbox_cmd *cmd = by(way, shell("readlink /proc/self/ns/net; hostname; cut -d. -f1 /proc/uptime; tr -s ' ' < /proc/self/uid_map; unshare -U true 2>/dev/null || echo closed; id -u"));
        sandbox_cmd_join(cmd, net), sandbox_cmd_join(cmd, ipc), sandbox_cmd_join(cmd, mount);
        sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_UTS | SANDBOX_NS_PID | SANDBOX_NS_TIME);
        sandbox_cmd_map_uid(cmd, 0, 100000, 1000), sandbox_cmd_map_gid(cmd, 0, 100000, 1000);
        sandbox_cmd_user(cmd, 7, 7);
        sandbox_cmd_hostname(cmd, "another");
        sandbox_cmd_time_offset(cmd, CLOCK_BOOTTIME, 7000000, 0);
        sandbox_cmd_set(cmd, SANDBOX_OPT_DISABLE_USERNS, 1);
        well(cmd, way_names[way]);
        snprintf(process, sizeof process, "%d", sandbox_child_pid(held));
        snprintf(outside, sizeof outside, "%s\nanother\n7", link_of(inside, sizeof inside, process, "net"));
        if (strncmp(result.out, outside, strlen(outside)) != 0) FAIL("%s: %s", way_names[way], result.out);
        CHECK_HAS(result.out, "\n 0 100000 1000\nclosed\n7\n");
    }
    close(net), close(ipc), close(mount);
    sandbox_child_free(held);
}

TEST(outside_owned, "a namespace that is not the joined user namespace's is joined too, before that one") {
    if (!has_cap(21)) SKIP("it takes CAP_SYS_ADMIN");
    sandbox_child *lower = holder(SANDBOX_NS_USER | SANDBOX_NS_UTS), *upper = holder(SANDBOX_NS_NET | SANDBOX_NS_MOUNT | SANDBOX_NS_PID);
    int fds[] = {namespace_of(lower, "user"), namespace_of(upper, "pid"), namespace_of(upper, "mnt"), namespace_of(upper, "net"), namespace_of(lower, "uts")};
    char links[5][64], process[16], *at = result.out;
    for (int i = 0; i < 5; i++) {
        snprintf(process, sizeof process, "%d", sandbox_child_pid(i == 0 || i == 4 ? lower : upper));
        link_of(links[i], sizeof links[i], process, kinds[i].file);
    }
    sandbox_cmd *cmd = shell(LIST);
    for (int i = 0; i < 5; i++) CHECK_EQ(sandbox_cmd_join(cmd, fds[i]), 0);
    sandbox_cmd_unshare(cmd, SANDBOX_NS_IPC | SANDBOX_NS_CGROUP | SANDBOX_NS_TIME);
    well(cmd, "");
    for (int i = 0; i < 5; i++, at += strcspn(at, "\n") + 1)
        if (strncmp(at, links[i], strlen(links[i])) != 0) FAIL("%s is %.*s, not %s", kinds[i].file, (int)strcspn(at, "\n"), at, links[i]);
    for (int i = 0; i < 5; i++) close(fds[i]);
    sandbox_child_free(lower), sandbox_child_free(upper);
}

TEST(user_last, "with JOIN_USER_LAST the joined user namespace is the program's alone: what is set up is not that one's") {
    need_userns();
    sandbox_child *held = holder(SANDBOX_NS_USER);
    char path[64], there[64], wanted[96];
    link_of(there, sizeof there, (snprintf(path, sizeof path, "%d", sandbox_child_pid(held)), path), "user");
    int user = namespace_of(held, "user");
    for (int way = 0; way < WAYS; way++) {
        if (way == PRE_EXEC) continue;
        sandbox_cmd *cmd = by(way, shell("readlink /proc/self/ns/user; hostname; id -u; hostname no 2>/dev/null || echo refused; mount -t tmpfs none /tmp 2>/dev/null || echo refused"));
        CHECK_EQ(sandbox_cmd_join(cmd, user), 0);
        CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_JOIN_USER_LAST, 1), 0);
        CHECK_EQ(sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0), 0);
        sandbox_cmd_unshare(cmd, SANDBOX_NS_UTS | SANDBOX_NS_MOUNT);
        sandbox_cmd_hostname(cmd, "outer");
        if (!has_cap(21)) { /* without a user namespace of the caller's own, above it, there is nothing that it may set up */
            run(cmd, &result);
            CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_CLONE, 0, "CAP_SYS_ADMIN");
            continue;
        }
        well(cmd, way_names[way]);
        snprintf(wanted, sizeof wanted, "%s\nouter\n0\nrefused\nrefused\n", there);
        CHECK_STR(result.out, wanted);
    }
    close(user);
    sandbox_child_free(held);
}

TEST(join_pid, "of a joined pid namespace the handle is the program's own: pid, pidfd, every status, kill, and its death with the host") {
    need_userns();
    sandbox_child *held = holder(SANDBOX_NS_USER | SANDBOX_NS_PID);
    int user = namespace_of(held, "user"), pid = namespace_of(held, "pid");
    for (int has_init = 0; has_init < 2; has_init++) {
        char text[16], path[64], link[64], stat[64];
        for (int code = 0; code < 256; code += 51) {
            snprintf(text, sizeof text, "%d", code);
            sandbox_cmd *cmd = victim("act", "exit", text, NULL);
            sandbox_cmd_join(cmd, pid), sandbox_cmd_join(cmd, user);
            sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)has_init);
            run(cmd, &result);
            if (result.result < 0) FAIL("%s", result.error.message);
            CHECK(result.status.kind == SANDBOX_EXITED && result.status.code == code);
        }
        sandbox_cmd *cmd = victim("report", "pid", "ppid", "death", "fds", NULL);
        sandbox_cmd_join(cmd, pid), sandbox_cmd_join(cmd, user);
        sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)has_init);
        well(cmd, "pid");
        CHECK(number(&result, "pid") > 1);
        CHECK_EQ(number(&result, "ppid") == 0, !has_init);
        CHECK_EQ(number(&result, "death"), SIGKILL);
        CHECK_STR(value(&result, "fds"), "0 1 2 ");

        cmd = victim("act", "cat", NULL);
        sandbox_cmd_join(cmd, pid), sandbox_cmd_join(cmd, user);
        sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)has_init);
        sandbox_cmd_stdio(cmd, 0, SANDBOX_STDIO_PIPE, -1);
        sandbox_child *child = spawned(cmd);
        snprintf(path, sizeof path, "/proc/%d/ns/pid", sandbox_child_pid(child));
        ssize_t length = -1; /* the kernel is not quite through with the exec when it says that the old memory is left */
        for (int round = 0; length < 0 && round < (has_init && !is_root() ? 1 : 2000); round++) {
            if (round) pause_ms(1);
            length = readlink(path, link, sizeof link - 1);
        }
        link[length > 0 ? length : 0] = 0;
        snprintf(path, sizeof path, "/proc/self/fd/%d", pid);
        length = readlink(path, stat, sizeof stat - 1);
        stat[length > 0 ? length : 0] = 0;
        if (!has_init || is_root()) CHECK_STR(link, stat); /* an ordinary user may not look at the init */
        CHECK(runs(fds_of(child).pidfd));
        sandbox_status status;
        CHECK_EQ(sandbox_child_kill(child, SIGTERM), 0);
        CHECK_EQ(sandbox_child_wait(child, -1, &status, sizeof status), 0);
        CHECK(status.kind == SANDBOX_SIGNALED && status.code == SIGTERM);
        sandbox_child_free(child);
        sandbox_cmd_free(cmd);

        cmd = sandbox_cmd_new("/nonexistent/program");
        sandbox_cmd_join(cmd, pid), sandbox_cmd_join(cmd, user);
        sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, (uint64_t)has_init);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_EXEC, 0, "nonexistent");
    }
    close(user), close(pid);
    sandbox_child_free(held);
    host_is_the_same("after joins");
}

TEST(join_bad, "what is no namespace, or goes with no other wish, is refused before there is a process") {
    need_userns();
    sandbox_child *held = holder(SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_NET | SANDBOX_NS_MOUNT);
    int user = namespace_of(held, "user"), pid = namespace_of(held, "pid"), net = namespace_of(held, "net"), mount = namespace_of(held, "mnt"), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sandbox_cmd *cmd;
#define REFUSED(errnum, word, ...)                                                                     \
    do {                                                                                               \
        cmd = asked();                                                                                 \
        __VA_ARGS__;                                                                                   \
        run(cmd, &result);                                                                             \
        CHECK(result.error.stage == SANDBOX_STAGE_CLONE);                                              \
        CHECK_EQ(result.result, -(errnum));                                                            \
        CHECK_HAS(result.error.message, word);                                                         \
    } while (0)
    REFUSED(EBADF, "fd 999", CHECK_EQ(sandbox_cmd_join(cmd, 999), -EBADF));
    REFUSED(EINVAL, "not a namespace", CHECK_EQ(sandbox_cmd_join(cmd, null), -EINVAL));
    REFUSED(EINVAL, "a second net", sandbox_cmd_join(cmd, net); CHECK_EQ(sandbox_cmd_join(cmd, net), -EINVAL));
    REFUSED(EINVAL, "a new net", sandbox_cmd_join(cmd, net); sandbox_cmd_unshare(cmd, SANDBOX_NS_NET));
    REFUSED(EINVAL, "mounts", sandbox_cmd_join(cmd, mount); sandbox_cmd_unshare(cmd, 0); sandbox_cmd_tmpfs(cmd, "/tmp", 4096, 0755));
    REFUSED(EINVAL, "JOIN_USER_LAST", sandbox_cmd_join(cmd, net); sandbox_cmd_set(cmd, SANDBOX_OPT_JOIN_USER_LAST, 1));
    REFUSED(EINVAL, "a new user", sandbox_cmd_join(cmd, user); sandbox_cmd_set(cmd, SANDBOX_OPT_JOIN_USER_LAST, 1); sandbox_cmd_unshare(cmd, SANDBOX_NS_USER));
    REFUSED(EINVAL, "pre_exec", sandbox_cmd_join(cmd, net); sandbox_cmd_pre_exec(cmd, nothing, NULL));
    if (!has_cap(21)) REFUSED(EPERM, "join the net", sandbox_cmd_join(cmd, net));
    close(user), close(pid), close(net), close(mount), close(null);
    sandbox_child_free(held);
}

/* --- a hostile namespace --- */

/* Root of its own user and pid namespace: seizes every newcomer, and reads where the library's memory would be. */
static void hostile(int tell) {
    for (unsigned long round = 0;; round++)
        for (pid_t pid = 2; pid < 700; pid++) {
            uint32_t word = 0;
            struct iovec here = {&word, 4}, there = {(void *)0x1000000000, 4};
            if (process_vm_readv(pid, &here, 1, &there, 1, 0) == 4 && write(tell, "read", 4) != 4) _exit(1);
            if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) {
                bool is_ours = process_vm_readv(pid, &here, 1, &there, 1, 0) == 4;
                if (write(tell, is_ours ? "held" : "late", 4) != 4) _exit(1);
                ptrace(PTRACE_INTERRUPT, pid, 0, 0);
                int status;
                if (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) ptrace(PTRACE_DETACH, pid, 0, 0);
            }
        }
}

/* A process that does this in user and pid namespaces of its own, of which it is root, and the fds to join them. */
struct place {
    pid_t outer;
    int user, pid, told;
};

static struct place hostile_place(void (*attack)(int)) {
    struct place place;
    int tell[2], gate[2];
    char byte = 0, path[64];
    unsigned uid = geteuid(), gid = getegid();
    CHECK(pipe2(tell, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(gate, O_CLOEXEC) == 0);
    place.outer = fork();
    if (place.outer == 0) {
        char map[64];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0) _exit(1);
        int fd = open("/proc/self/setgroups", O_WRONLY);
        if (write(fd, "deny", 4) != 4) _exit(1);
        fd = open("/proc/self/uid_map", O_WRONLY);
        if (write(fd, map, (size_t)snprintf(map, sizeof map, "0 %u 1", uid)) < 0) _exit(1);
        fd = open("/proc/self/gid_map", O_WRONLY);
        if (write(fd, map, (size_t)snprintf(map, sizeof map, "0 %u 1", gid)) < 0) _exit(1);
        pid_t inner = fork();
        if (inner == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            attack(tell[1]);
        }
        if (write(gate[1], &byte, 1) != 1) _exit(1);
        waitpid(inner, NULL, 0);
        _exit(0);
    }
    CHECK_EQ(read(gate[0], &byte, 1), 1);
    snprintf(path, sizeof path, "/proc/%d/ns/user", place.outer);
    place.user = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/ns/pid_for_children", place.outer);
    place.pid = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(place.user >= 0 && place.pid >= 0);
    place.told = tell[0];
    close(tell[1]), close(gate[0]), close(gate[1]);
    return place;
}

static void leave(struct place place) {
    kill(place.outer, SIGKILL);
    CHECK_EQ(waitpid(place.outer, NULL, 0), place.outer);
    close(place.user), close(place.pid), close(place.told);
}

TEST(hostile, "a process in the joined namespace that traces every newcomer never gets hold of one before its exec") {
    need_userns();
    struct place place = hostile_place(hostile);
    int late = 0, early = 0;
    for (int round = 0; round < scaled(300) || (late == 0 && round < 3000); round++) {
        sandbox_cmd *cmd = by(round % 3 == 2 ? INIT : PLAIN, victim("act", "exit", "0", NULL));
        CHECK(sandbox_cmd_join(cmd, place.pid) == 0 && sandbox_cmd_join(cmd, place.user) == 0);
        if (round % 2) sandbox_cmd_user(cmd, 0, 0);
        run(cmd, &result);
        if (result.result < 0) FAIL("round %d: %s", round, result.error.message);
        char said[4];
        while (read(place.told, said, 4) == 4) memcmp(said, "late", 4) == 0 ? late++ : early++;
    }
    if (early) FAIL("%d times it had hold of the library's memory", early);
    if (!late) FAIL("it never got hold of anything: it does not attack");
    leave(place);
}

/* Sends a signal to each number that may be a newcomer's, from the last newcomer's on. */
static void shoot(int signal, int tell) {
    for (pid_t next = 2;;)
        for (pid_t pid = next; pid < next + 256; pid++) {
            if (kill(pid, signal) != 0) continue;
            next = signal == SIGKILL ? pid + 1 : pid;
            if (write(tell, "shot", 4) != 4 && errno != EAGAIN) _exit(1);
            break;
        }
}
static void killer(int tell) { shoot(SIGKILL, tell); }
static void stopper(int tell) { shoot(SIGSTOP, tell); }

TEST(killed, "a process in the joined namespace that kills or stops every newcomer makes a spawn fail, and never hang") {
    need_userns();
    void (*const attacks[])(int) = {killer, stopper};
    for (int attack = 0; attack < 2; attack++) {
        struct place place = hostile_place(attacks[attack]);
        int failed = 0;
        for (int round = 0; round < scaled(200) || (failed == 0 && round < 3000); round++) {
            sandbox_cmd *cmd = by(round % 3 == 2 ? INIT : PLAIN, victim("act", "exit", "0", NULL));
            CHECK(sandbox_cmd_join(cmd, place.pid) == 0 && sandbox_cmd_join(cmd, place.user) == 0);
            sandbox_child *child;
            sandbox_error error;
            alarm(20);
            int spawned = sandbox_spawn(cmd, &child, &error);
            if (spawned < 0) failed++;
            if (spawned < 0 && spawned != -ECANCELED && spawned != -ESRCH) FAIL("%s, round %d: %s", attack ? "stopper" : "killer", round, error.message);
            sandbox_child_free(child);
            sandbox_cmd_free(cmd);
            pid_t left = waitpid(-1, NULL, WNOHANG | __WALL);
            if (left != 0) FAIL("%s, round %d: %d is left, or the attacker is gone", attack ? "stopper" : "killer", round, left);
        }
        alarm(0);
        CHECK(failed > 0); /* or it does not attack */
        leave(place);
    }
}
