/* sandbox_probe: its answers are those of this process, here and now; what a filter, a sysctl or a mount takes away is
 * gone from them, with the errno, and the spawn's error has the reason in words. */
#include "seccomp.h"
#include <sched.h>
#include <sys/mount.h>

static struct run result;
static sandbox_features found;

static sandbox_features *probed(void) {
    memset(&found, 0xa5, sizeof found);
    CHECK_EQ(sandbox_probe(&found, sizeof found), 0);
    return &found;
}

/* This process's own filter from here on: `calls`, up to NULL, give `errnum`. */
static void refuse(int errnum, const char *const *calls, bool user_namespaces) {
    static struct sock_filter instructions[4096];
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    for (; *calls; calls++) CHECK_EQ(sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO((unsigned)errnum), *calls, NULL, 0), 0);
    if (user_namespaces) {
        sandbox_arg flags = {0, SANDBOX_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER};
        CHECK_EQ(sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(ENOSYS), "clone3", NULL, 0), 0);
        CHECK_EQ(sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(EPERM), "clone", &flags, 1), 0);
    }
    struct sock_fprog program = {(unsigned short)exported(filter, instructions), instructions};
    sandbox_filter_free(filter);
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), 0);
}

#define REFUSE(errnum, ...) refuse(errnum, (const char *const[]){__VA_ARGS__, NULL}, false)

/* What a spawn with these namespaces is told. */
static const char *why_not(uint64_t namespaces) {
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_cmd_unshare(cmd, namespaces);
    run(cmd, &result);
    CHECK(result.result < 0);
    return result.error.message;
}

TEST(size, "the struct is filled up to the caller's size and zeroed beyond the library's, and nothing else is touched") {
    static unsigned char guarded[sizeof(sandbox_features) + 64];
    for (size_t size = 0; size <= sizeof(sandbox_features) + 32; size += test_scale() > 1 ? 116 : size < 64 ? 8 : 40) {
        memset(guarded, 0xa5, sizeof guarded);
        CHECK_EQ(sandbox_probe((sandbox_features *)(void *)guarded, size), 0);
        for (size_t i = size; i < sizeof guarded; i++) CHECK_EQ(guarded[i], 0xa5);
        for (size_t i = sizeof(sandbox_features); i < size; i++) CHECK_EQ(guarded[i], 0);
    }
    CHECK_EQ(sandbox_probe(NULL, sizeof found), -EFAULT);
    CHECK_EQ(sandbox_probe(NULL, 0), 0);
}

/* What the kernel says to a fork of this process that asks it alone. */
static int unshared(int flags) {
    int status;
    pid_t pid = fork();
    if (pid == 0) _exit(unshare(flags) == 0 ? 0 : errno);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

TEST(agrees, "the answers agree with the kernel's own, and with each other") {
    static const int flags[] = {CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWCGROUP, 0x80};
    sandbox_features *has = probed();
    CHECK_EQ(has->spawn, 1);
    uint64_t namespaces = 0;
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(has->namespace_errno[i] == 0, unshared(CLONE_NEWUSER | flags[i]) == 0);
        if (i) CHECK_EQ(has->namespace_alone_errno[i] == 0, unshared(flags[i]) == 0);
        bool usable = has->namespace_errno[0] == 0 ? has->namespace_errno[i] == 0 : i && has->namespace_alone_errno[i] == 0;
        if (usable) namespaces |= (uint64_t)flags[i];
    }
    CHECK_EQ(has->namespaces, namespaces);
    CHECK_EQ(has->clone3, has->clone3_errno == 0);
    CHECK_EQ(has->trampoline, has->trampoline_errno == 0);
    CHECK_EQ(has->mdwe, has->mdwe_errno == 0);
    CHECK_EQ(has->filter, has->filter_errno == 0);
    CHECK_EQ(has->notify, has->notify_errno == 0);
    CHECK_EQ(has->landlock_abi > 0, has->landlock_errno == 0);
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
    CHECK_EQ(has->landlock_abi, abi < 0 ? 0 : abi);
    if (has->filter) CHECK_EQ(has->actions & 0x8f, 0x8f); /* KILL_PROCESS, KILL_THREAD, TRAP, ERRNO, ALLOW: since 4.14 */
    if (has->pidfd_getfd_errno == 0 && has->filter) CHECK_EQ(has->notify, 1);
}

static void *probe_into(void *place) { return (void *)(long)sandbox_probe(place, sizeof found); }

TEST(again, "a second probe and four at once in threads say the same, and leave no mount, mapping, child or fd") {
    static char mounts[2][60000];
    static sandbox_features seen[4];
    for (int i = 0; i < 2; i++) {
        sandbox_features before = i ? found : *probed();
        int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
        drain(fd, mounts[i], sizeof mounts[i]);
        close(fd);
        probed();
        CHECK(memcmp(&before, &found, sizeof found) == 0);
    }
    CHECK_STR(mounts[0], mounts[1]);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, probe_into, &seen[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) CHECK(memcmp(&seen[i], &found, sizeof found) == 0);
}

TEST(no_user, "without user namespaces: none with one, the rest as privilege has it, and the spawn names the filter") {
    if (probed()->namespace_errno[0]) SKIP("this machine allows none");
    uint64_t alone = 0;
    static const uint64_t bits[] = {0, CLONE_NEWPID, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWCGROUP, 0x80};
    for (int i = 1; i < 8; i++)
        if (found.namespace_alone_errno[i] == 0) alone |= bits[i];
    refuse(EPERM, (const char *const[]){NULL}, true);
    probed();
    for (int i = 0; i < 8; i++) CHECK_EQ(found.namespace_errno[i], EPERM);
    CHECK_EQ(found.namespaces, alone);
    CHECK_EQ(found.spawn, 1);
    CHECK_HAS(why_not(SANDBOX_NS_USER), "seccomp filter");
    CHECK_EQ(result.error.stage, SANDBOX_STAGE_CLONE);
    CHECK_EQ(result.result, -EPERM);
}

TEST(no_clone3, "without clone3 all else is as it was") {
    sandbox_features before = *probed();
    REFUSE(ENOSYS, "clone3");
    probed();
    CHECK_EQ(found.clone3, 0);
    CHECK_EQ(found.clone3_errno, ENOSYS);
    CHECK_EQ(found.clone_into_cgroup_errno, ENOSYS);
    CHECK_EQ(found.spawn, 1);
    CHECK_EQ(found.namespaces, before.namespaces);
}

TEST(no_landlock, "without Landlock its ABI is 0, with the errno") {
    REFUSE(EOPNOTSUPP, "landlock_create_ruleset");
    probed();
    CHECK_EQ(found.landlock_abi, 0);
    CHECK_EQ(found.landlock_errno, EOPNOTSUPP);
}

TEST(no_filters, "without filters there are none, and no listener") {
    REFUSE(ENOSYS, "seccomp");
    probed();
    CHECK_EQ(found.filter, 0);
    CHECK_EQ(found.filter_errno, ENOSYS);
    CHECK_EQ(found.notify_errno, ENOSYS);
    CHECK_EQ(found.actions | found.wait_killable | found.sync_wake_up, 0);
}

TEST(no_pidfd_getfd, "without pidfd_getfd the listener does not come, and the spawn says why") {
    REFUSE(EPERM, "pidfd_getfd");
    probed();
    CHECK_EQ(found.pidfd_getfd_errno, EPERM);
    if (found.notify) SKIP("the listener comes by a message here");
    sandbox_cmd *cmd = raw();
    add(cmd, filter_of(SANDBOX_ACT_ALLOW, SANDBOX_ACT_NOTIFY, "acct"));
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_HANDOFF, 0, "Yama");
}

TEST(no_tracing, "without ptrace and process_vm_readv neither is found") {
    REFUSE(EPERM, "ptrace", "process_vm_readv", "pidfd_open");
    probed();
    CHECK_EQ(found.ptrace_errno, EPERM);
    CHECK_EQ(found.memory_errno, EPERM);
    CHECK_EQ(found.pidfd_open_errno, EPERM);
    sandbox_cmd *cmd = raw();
    sandbox_cmd_ptrace(cmd, 0);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EPERM, SANDBOX_STAGE_PTRACE, 0, "traced already");
}

TEST(no_memfd, "where no memfd may be executed the rest is found still, and the spawn names the sysctl") {
    sandbox_features before = *probed();
    REFUSE(EACCES, "memfd_create");
    probed();
    CHECK_EQ(found.trampoline, 0);
    CHECK_EQ(found.trampoline_errno, EACCES);
    CHECK_EQ(found.spawn, 1);
    CHECK_EQ(found.namespaces, before.namespaces & ~(uint64_t)SANDBOX_NS_TIME); /* it is entered from memory of the child's own */
    CHECK_EQ(found.notify, before.notify);
    CHECK_EQ(found.wait_killable, before.wait_killable);
    sandbox_cmd *cmd = raw();
    sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    run(cmd, &result);
    CHECK_ERROR(result.result, result.error, EACCES, SANDBOX_STAGE_TRAMPOLINE, 0, "memfd_noexec");
}

TEST(no_mount_api, "without the mount calls nothing can be mounted") {
    if (probed()->mount_errno) SKIP("nor can anything here");
    REFUSE(ENOSYS, "fsopen");
    probed();
    CHECK_EQ(found.mount_errno, ENOSYS);
    CHECK_EQ(found.proc_errno, ENOSYS);
    CHECK_EQ(found.overlay_errno, ENOSYS);
}

static void write_to(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) SKIP("%s: %s", path, strerror(errno));
    close(fd);
}

/* Root of a user namespace of this process's own. */
static void become_root_inside(int namespaces) {
    char uids[40], gids[40];
    snprintf(uids, sizeof uids, "0 %d 1", (int)geteuid());
    snprintf(gids, sizeof gids, "0 %d 1", (int)getegid());
    if (unshare(CLONE_NEWUSER | namespaces) < 0) SKIP("no user namespace: %s", strerror(errno));
    write_to("/proc/self/setgroups", "deny");
    write_to("/proc/self/uid_map", uids);
    write_to("/proc/self/gid_map", gids);
}

TEST(sysctl, "with user.max_user_namespaces at 0 the answer is ENOSPC, and the spawn names the sysctl") {
    become_root_inside(0);
    write_to("/proc/sys/user/max_user_namespaces", "0");
    probed();
    CHECK_EQ(found.namespace_errno[0], ENOSPC);
    CHECK_EQ(found.namespaces & SANDBOX_NS_USER, 0);
    CHECK_HAS(why_not(SANDBOX_NS_USER), "user.max_user_namespaces is 0");
}

TEST(revealing, "where parts of /proc are covered a new one can't be had") {
    if (probed()->proc_errno) SKIP("it can't here in any case: %s", strerror(found.proc_errno));
    become_root_inside(CLONE_NEWNS);
    if (mount("none", "/proc/sys", "tmpfs", 0, NULL) < 0) SKIP("mount: %s", strerror(errno));
    probed();
    CHECK_EQ(found.mount_errno, 0);
    CHECK_EQ(found.proc_errno, EPERM);
    umount2("/proc/sys", MNT_DETACH);
}

TEST(chrooted, "in a chroot there are no user namespaces, and the spawn says so") {
    if (probed()->namespace_errno[0]) SKIP("nor are there here");
    become_root_inside(CLONE_NEWNS);
    char place[PATH_MAX];
    snprintf(place, sizeof place, "%s", fresh_dir());
    char proc[PATH_MAX + 8], bin[PATH_MAX + 8];
    snprintf(proc, sizeof proc, "%s/proc", place), snprintf(bin, sizeof bin, "%s/act", place);
    CHECK_EQ(mkdir(proc, 0755), 0);
    copy_file(beside("act"), bin, 0755);
    if (mount("/proc", proc, NULL, MS_BIND | MS_REC, NULL) < 0 || chroot(place) < 0 || chdir("/") < 0) SKIP("a chroot: %s", strerror(errno));
    probed();
    CHECK_EQ(found.spawn, 1);
    CHECK_EQ(found.namespace_errno[0], EPERM);
    CHECK_HAS(why_not(SANDBOX_NS_USER), "chroot");
}
