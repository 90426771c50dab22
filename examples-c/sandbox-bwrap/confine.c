/* What is not about files: namespaces, ids, capabilities, filters, the environment, the start. */
#include "bwrap.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const capability_names[] = {
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable",
    "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot",
    "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease",
    "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read",
    "perfmon", "bpf", "checkpoint_restore",
};
enum { CAPABILITIES = sizeof capability_names / sizeof *capability_names };

uint64_t capability(const char *name) {
    char *end;
    if (strcasecmp(name, "ALL") == 0)
        return SANDBOX_CAPS_ALL;
    for (unsigned i = 0; i < CAPABILITIES; i++)
        if (strncasecmp(name, "cap_", 4) == 0 && strcasecmp(name + 4, capability_names[i]) == 0)
            return 1ull << i;
    unsigned long number = strtoul(name, &end, 10);
    if (*name < '0' || *name > '9' || *end || number > 63)
        die("no such capability: %s", name);
    return 1ull << number;
}

uint64_t own_capabilities(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{0, 0, 0}, {0, 0, 0}};
    if (syscall(SYS_capget, &header, sets) < 0)
        die("own capabilities: %s", strerror(errno));
    return sets[0].permitted | (uint64_t)sets[1].permitted << 32;
}

static bool is_there(const char *path) { return access(path, F_OK) == 0; }

/* What the kernel could say no to whatever is asked. */
static bool may_have_userns(void) {
    static const char *const limits[] = {"/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/unprivileged_userns_clone"};
    if (!is_there("/proc/self/ns/user"))
        return false;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        char first = '1';
        int fd = open(limits[i], O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && read(fd, &first, 1) == 1 && first == '0' && !(i == 1 && geteuid() == 0)) {
            close(fd);
            return false;
        }
        if (fd >= 0)
            close(fd);
    }
    return true;
}

void check(struct bwrap *b) {
    if (getauxval(AT_SECURE))
        die("set-user-ID and file capabilities are not supported");
    bool is_root = geteuid() == 0;
    if (b->userns_fd >= 0 && b->namespaces & SANDBOX_NS_USER)
        die("--userns does not go with --unshare-user");
    if (b->userns_fd >= 0 && b->userns_block_fd >= 0)
        die("--userns does not go with --userns-block-fd");
    if (b->disables_userns && !(b->namespaces & SANDBOX_NS_USER))
        die("--disable-userns requires --unshare-user");
    if (b->userns_fd < 0 && ((b->user_try && may_have_userns()) || !is_root))
        b->namespaces |= SANDBOX_NS_USER;
    if (b->cgroup_try && is_there("/proc/self/ns/cgroup"))
        b->namespaces |= SANDBOX_NS_CGROUP;
    bool has_user = b->namespaces & SANDBOX_NS_USER || b->userns_fd >= 0;
    if (b->uid >= 0 && !has_user && b->uid != (int64_t)getuid())
        die("--uid requires --unshare-user or --userns");
    if (b->gid >= 0 && !has_user && b->gid != (int64_t)getgid())
        die("--gid requires --unshare-user or --userns");
    if (b->userns_block_fd >= 0 && !(b->namespaces & SANDBOX_NS_USER))
        die("--userns-block-fd requires --unshare-user");
    if (b->userns_block_fd >= 0 && b->info_fd < 0)
        die("--userns-block-fd requires --info-fd");
    if (b->disables_userns && b->userns_block_fd >= 0)
        die("--disable-userns does not go with --userns-block-fd");
    if (b->hostname && !(b->namespaces & SANDBOX_NS_UTS))
        die("--hostname requires --unshare-uts");
    if (b->as_pid_1 && !(b->namespaces & SANDBOX_NS_PID))
        die("--as-pid-1 requires --unshare-pid");
    if (b->as_pid_1 && b->locks.count)
        die("--as-pid-1 does not go with --lock-file: nothing would hold the lock");
    if (b->pidns_fd >= 0 && b->namespaces & SANDBOX_NS_PID && (b->info_fd >= 0 || b->json_fd >= 0))
        die("--pidns with --unshare-pid does not go with --info-fd or --json-status-fd: the number would be another namespace's");
    if (b->seccomp_fd >= 0 && b->seccomp_count)
        die("--seccomp does not go with --add-seccomp-fd");
}

static void load_filter(struct bwrap *b, int fd) {
    size_t length;
    char *program = all_of(fd, "the seccomp filter", &length);
    if (length == 0 || length % sizeof(struct sock_filter))
        die("the seccomp filter is no list of instructions: %zu bytes", length);
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    must(sandbox_filter_bpf(filter, program, length / sizeof(struct sock_filter)), "the seccomp filter");
    b->filters = grown(b->filters, b->filter_count, sizeof *b->filters);
    b->filters[b->filter_count++] = filter;
    free(program);
}

/* By default root keeps what it has, and anybody else has nothing. */
static void keep_capabilities(struct bwrap *b) {
    uint64_t known = (1ull << CAPABILITIES) - 1, caps = b->caps;
    bool is_root = geteuid() == 0, has_user = b->namespaces & SANDBOX_NS_USER || b->userns_fd >= 0;
    if (!b->gives_caps) {
        uint64_t own = has_user ? b->own_caps : SANDBOX_CAPS_ALL; /* not more for a user namespace */
        must(sandbox_cmd_caps(b->cmd, is_root ? own : 0, 0), "capabilities");
        must(sandbox_cmd_set(b->cmd, SANDBOX_OPT_NOT_INHERITABLE, 1), "capabilities");
        return;
    }
    caps &= has_user ? known : b->own_caps;
    must(sandbox_cmd_caps(b->cmd, caps, caps), "capabilities");
}

static void set_environment(struct bwrap *b) {
    const char *cwd = getcwd(NULL, 0), *home = b->home;
    const char *first[] = {cwd ? cwd : "/", home && *home ? home : "/", "/", NULL}, *asked[] = {b->chdir, NULL};
    if (b->clears_env)
        must(sandbox_cmd_env_clear(b->cmd), "the environment");
    for (size_t i = 0; i < b->changed.count; i++) {
        char *name = joined(b->changed.items[i], ""), *value = strchr(name, '=');
        if (value)
            *value++ = 0;
        must(sandbox_cmd_env(b->cmd, name, value), name);
        free(name);
    }
    must(sandbox_cmd_cwd_first(b->cmd, b->chdir ? asked : first), "the working directory");
}

/* A new pid namespace is below its maker's own: the maker is a process in the given one, and this one takes its exit code. */
static void go_on_in_pidns(const struct bwrap *b) {
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0), status;
    if (self < 0 || setns(b->pidns_fd, CLONE_NEWPID) < 0)
        die("--pidns: %s", strerror(errno));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* nobody in there may look into it */
    pid_t inside = fork();
    if (inside < 0)
        die("--pidns: %s", strerror(errno));
    if (inside == 0) {
        struct pollfd parent = {self, POLLIN, 0};
        if (b->die_with_parent && (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || poll(&parent, 1, 0) != 0))
            _exit(1);
        close(self);
        return;
    }
    while (waitpid(inside, &status, 0) < 0)
        if (errno != EINTR)
            die("--pidns: %s", strerror(errno));
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void enter_userns(const struct bwrap *b) {
    if (setns(b->userns_fd, CLONE_NEWUSER) < 0)
        die("--userns: %s", strerror(errno));
    close(b->userns_fd);
    if (b->uid >= 0 && setresuid((uid_t)b->uid, (uid_t)b->uid, (uid_t)b->uid) < 0)
        die("--uid: %s", strerror(errno));
    if (b->gid >= 0 && setresgid((gid_t)b->gid, (gid_t)b->gid, (gid_t)b->gid) < 0)
        die("--gid: %s", strerror(errno));
}

void enter_given_namespaces(struct bwrap *b) {
    if (b->userns_fd >= 0)
        enter_userns(b);
    if (b->pidns_fd >= 0 && b->namespaces & SANDBOX_NS_PID)
        go_on_in_pidns(b);
}

void confine(struct bwrap *b) {
    static const uint64_t off[] = {SANDBOX_OPT_CLOSE_FDS, SANDBOX_OPT_RESET_SIGNALS};
    must(sandbox_cmd_unshare(b->cmd, b->namespaces | SANDBOX_NS_MOUNT), "namespaces");
    if (b->namespaces & SANDBOX_NS_USER && b->userns_block_fd < 0) {
        must(sandbox_cmd_map_uid(b->cmd, b->uid >= 0 ? (uint32_t)b->uid : getuid(), getuid(), 1), "--uid");
        must(sandbox_cmd_map_gid(b->cmd, b->gid >= 0 ? (uint32_t)b->gid : getgid(), getgid(), 1), "--gid");
    }
    if (b->pidns_fd >= 0 && !(b->namespaces & SANDBOX_NS_PID))
        must(sandbox_cmd_join(b->cmd, b->pidns_fd), "--pidns");
    if (b->userns2_fd >= 0)
        must(sandbox_cmd_join(b->cmd, b->userns2_fd), "--userns2");
    must(sandbox_cmd_set(b->cmd, SANDBOX_OPT_JOIN_USER_LAST, b->userns2_fd >= 0), "--userns2");
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) /* what is open, and what is ignored, goes on */
        must(sandbox_cmd_set(b->cmd, (uint32_t)off[i], 0), "options");
    must(sandbox_cmd_set(b->cmd, SANDBOX_OPT_NEW_SESSION, b->new_session), "--new-session");
    must(sandbox_cmd_set(b->cmd, SANDBOX_OPT_DISABLE_USERNS, b->disables_userns ? 2 : 0), "--disable-userns");
    must(sandbox_cmd_set(b->cmd, SANDBOX_OPT_LOOPBACK, (b->namespaces & SANDBOX_NS_NET) != 0), "--unshare-net");
    must(sandbox_cmd_set(b->cmd, SANDBOX_OPT_DEATH_SIGNAL, b->die_with_parent ? 9 : 0), "--die-with-parent");
    bool has_init = !b->as_pid_1 && (b->namespaces & SANDBOX_NS_PID || b->locks.count || b->sync_fd >= 0);
    must(sandbox_cmd_set(b->cmd, SANDBOX_OPT_INIT, has_init ? 2 : 0), "the init");
    for (size_t i = 0; i < b->locks.count; i++)
        must(sandbox_cmd_init_lock(b->cmd, b->locks.items[i]), b->locks.items[i]);
    if (has_init && b->sync_fd >= 0) {
        must(sandbox_cmd_init_fd(b->cmd, b->sync_fd), "--sync-fd");
        if (fcntl(b->sync_fd, F_SETFD, FD_CLOEXEC) < 0)
            die("--sync-fd: %s", strerror(errno));
    }
    if (b->hostname)
        must(sandbox_cmd_hostname(b->cmd, b->hostname), "--hostname");
    build_files(b);
    set_environment(b);
    keep_capabilities(b);
    if (b->seccomp_fd >= 0 && !b->filters)
        load_filter(b, b->seccomp_fd);
    for (size_t i = b->filter_count; i < b->seccomp_count; i++)
        load_filter(b, b->seccomp_fds[i]);
    for (size_t i = 0; i < b->filter_count; i++)
        must(sandbox_cmd_filter(b->cmd, b->filters[i]), "the seccomp filter");
    must(sandbox_cmd_on_ready(b->cmd, say_started, b), "the start");
    if (b->userns_block_fd >= 0)
        must(sandbox_cmd_on_maps(b->cmd, wait_for_maps, b), "--userns-block-fd");
    else if (b->namespaces & SANDBOX_NS_USER)
        must(sandbox_cmd_on_maps(b->cmd, map_ids, b), "the maps of ids");
    if (b->asserts_userns_disabled && !b->disables_userns && assert_userns_disabled(b))
        die("--assert-userns-disabled: user namespaces can be made inside");
}

/* In a namespace of the caller's choice the limit is what says so. */
int assert_userns_disabled(const struct bwrap *b) {
    char first = '1';
    (void)b;
    int fd = open("/proc/sys/user/max_user_namespaces", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, &first, 1) == 1)
        close(fd);
    return first != '0';
}
