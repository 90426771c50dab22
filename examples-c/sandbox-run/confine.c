/* Options as calls of the library, but for those about files. No setter's result is looked at: the first that fails makes the spawn fail, with its
 * error. What only this command can see, a number that is none, ends it here. */
#include "apply.h"
#include "run.h"
#include <errno.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

double number(const char *option, const char *text, double least, double most) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= least && value <= most))
        die("--%s wants a number from %g to %g, not %s", option, least, most, text);
    return value;
}

uint64_t size_of(const char *option, const char *text) {
    static const char units[] = "kmgt";
    char *end, digits[32];
    snprintf(digits, sizeof digits, "%s", text);
    double value = strtod(digits, &end);
    const char *unit = *end ? strchr(units, *end | 32) : NULL;
    if (end == digits || (*end && (!unit || end[1])) || !(value >= 0 && value < 1e15))
        die("--%s wants a size such as 64m, not %s", option, text);
    for (const char *at = unit; at && at >= units; at--)
        value *= 1024;
    return (uint64_t)value;
}

void apply_allow_read(struct run *run, const char *value) { sandbox_cmd_landlock_path(run->cmd, value, SANDBOX_LANDLOCK_READ_EXECUTE); }
void apply_allow_write(struct run *run, const char *value) {
    sandbox_cmd_landlock_path(run->cmd, value, SANDBOX_LANDLOCK_READ_EXECUTE | SANDBOX_LANDLOCK_WRITE);
}

void apply_net(struct run *run, const char *value) {
    bool is_host = strcmp(value, "host") == 0, has_loopback = strcmp(value, "loopback") == 0;
    if (!is_host && !has_loopback && strcmp(value, "none") != 0)
        die("--net is none, loopback or host, not %s", value);
    if (is_host && run->has_preset)
        die("--net host: about the network the preset decides (--preset network has the host's)");
    run->net = value;
    if (is_host && run->landlock_abi >= 6)
        sandbox_cmd_landlock_scope(run->cmd, SANDBOX_LANDLOCK_ABSTRACT_UNIX_SOCKET);
    if (has_loopback)
        sandbox_cmd_set(run->cmd, SANDBOX_OPT_LOOPBACK, 1);
}

void apply_connect(struct run *run, const char *value) {
    sandbox_cmd_landlock_port(run->cmd, (uint16_t)number("connect", value, 1, 65535), SANDBOX_LANDLOCK_CONNECT_TCP);
}
void apply_listen(struct run *run, const char *value) {
    sandbox_cmd_landlock_port(run->cmd, (uint16_t)number("listen", value, 0, 65535), SANDBOX_LANDLOCK_BIND_TCP);
}

void apply_user(struct run *run, const char *value) {
    char *uid = copied(value), *gid = cut(uid);
    uint32_t user = (uint32_t)number("user", uid, 0, 4294967294.0), group = gid ? (uint32_t)number("user", gid, 0, 4294967294.0) : user;
    sandbox_cmd_map_uid(run->cmd, user, geteuid(), 1);
    sandbox_cmd_map_gid(run->cmd, group, getegid(), 1);
    sandbox_cmd_user(run->cmd, user, group);
    run->namespaces |= SANDBOX_NS_USER;
    free(uid);
}

void apply_hostname(struct run *run, const char *value) { sandbox_cmd_hostname(run->cmd, value); }

static const char *const cap_names[] = {
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable", "net_bind_service",
    "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin",
    "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap", "mac_override",
    "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore",
};

static unsigned cap_of(const char *name) {
    const char *bare = strncasecmp(name, "cap_", 4) == 0 ? name + 4 : name;
    for (unsigned i = 0; i < sizeof cap_names / sizeof *cap_names; i++)
        if (strcasecmp(bare, cap_names[i]) == 0)
            return i;
    if (!*name || strspn(name, "0123456789") != strlen(name))
        die("--caps: no capability is named %s", name);
    return (unsigned)number("caps", name, 0, 63);
}

void apply_caps(struct run *run, const char *value) {
    char *list = copied(value), *rest = list;
    for (char *one; (one = strsep(&rest, ","));)
        run->caps |= strcmp(one, "all") == 0 ? SANDBOX_CAPS_ALL : 1ull << cap_of(one);
    sandbox_cmd_caps(run->cmd, run->caps, run->caps);
    free(list);
}

void apply_new_privileges(struct run *run, const char *value) {
    (void)value;
    sandbox_cmd_set(run->cmd, SANDBOX_OPT_NO_NEW_PRIVS, 0);
}

void apply_time(struct run *run, const char *value) { run->seconds = number("time", value, 0.001, 1e9); }

static void limit(struct run *run, uint32_t resource, uint64_t soft, uint64_t hard) { sandbox_cmd_rlimit(run->cmd, resource, soft, hard); }

void apply_cpu(struct run *run, const char *value) {
    uint64_t seconds = (uint64_t)number("cpu", value, 1, 1e9);
    limit(run, RLIMIT_CPU, seconds, seconds + 1); /* SIGXCPU, then SIGKILL */
}
void apply_address_space(struct run *run, const char *value) {
    uint64_t bytes = size_of("address-space", value);
    limit(run, RLIMIT_AS, bytes, bytes);
}
void apply_file_size(struct run *run, const char *value) {
    uint64_t bytes = size_of("file-size", value);
    limit(run, RLIMIT_FSIZE, bytes, bytes);
}
void apply_open_files(struct run *run, const char *value) {
    uint64_t count = (uint64_t)number("open-files", value, 3, 1e9);
    limit(run, RLIMIT_NOFILE, count, count);
}

static void cgroup_file(struct run *run, const char *file, const char *value) {
    sandbox_cmd_cgroup(run->cmd, NULL);
    sandbox_cmd_cgroup_set(run->cmd, file, value);
}

void apply_memory(struct run *run, const char *value) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)size_of("memory", value));
    cgroup_file(run, "memory.max", text);
}
void apply_processes(struct run *run, const char *value) {
    char text[32];
    snprintf(text, sizeof text, "%.0f", number("processes", value, 1, 4194304));
    cgroup_file(run, "pids.max", text);
}
void apply_cgroup(struct run *run, const char *value) {
    char *file = copied(value), *equals = strchr(file, '=');
    if (!equals)
        die("--cgroup wants FILE=VALUE, not %s", value);
    *equals = '\0';
    cgroup_file(run, file, equals + 1);
    free(file);
}
void apply_nice(struct run *run, const char *value) {
    sandbox_cmd_set(run->cmd, SANDBOX_OPT_NICE, (uint64_t)(int64_t)number("nice", value, -20, 19));
}

void apply_env(struct run *run, const char *value) {
    char *name = copied(value), *equals = strchr(name, '=');
    if (equals)
        *equals++ = '\0';
    const char *text = equals ? equals : getenv(name);
    if (text) /* what you do not have can't be passed on */
        sandbox_cmd_env(run->cmd, name, text);
    free(name);
}
void apply_unset(struct run *run, const char *value) { sandbox_cmd_env(run->cmd, value, NULL); }
void apply_keep_env(struct run *run, const char *value) { (void)run, (void)value; /* confine() looked for it */ }

void apply_pass_fd(struct run *run, const char *value) {
    char *fd = copied(value), *target = cut(fd);
    int from = (int)number("pass-fd", fd, 0, INT_MAX);
    sandbox_cmd_pass_fd(run->cmd, from, target ? (int)number("pass-fd", target, 0, INT_MAX) : from);
    free(fd);
}

static void add(struct run *run, sandbox_filter *filter) {
    sandbox_cmd_filter(run->cmd, filter);
    sandbox_filter_free(filter);
}

void apply_seccomp(struct run *run, const char *value) {
    sandbox_error error;
    size_t length, blank;
    char *text = contents(value, &length);
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_KILL_PROCESS);
    for (blank = 0; blank < length && strchr(" \t\r\n", text[blank]); blank++) {
    }
    int result = blank < length && text[blank] == '{' ? sandbox_filter_oci(filter, text, length, &error) : sandbox_filter_policy(filter, text, length, &error);
    if (result < 0)
        die("%s: %s", value, error.message);
    add(run, filter);
    free(text);
}

/* All that are named make one filter: of several each would refuse what the others allow. */
void apply_syscalls(struct run *run, const char *value) {
    char *list = copied(value), *rest = list;
    if (!run->calls)
        run->calls = sandbox_filter_new(SANDBOX_ACT_ERRNO(EPERM));
    for (char *one; (one = strsep(&rest, ", "));)
        if (*one && sandbox_filter_rule(run->calls, SANDBOX_ACT_ALLOW, one, NULL, 0) < 0)
            die("--syscalls: no system call is named %s", one);
    free(list);
}

void apply_deny(struct run *run, const char *value) {
    static const struct {
        const char *name;
        uint64_t what;
    } known[] = {
        {"io-uring", SANDBOX_DENY_IO_URING}, {"keyrings", SANDBOX_DENY_KEYRINGS}, {"ptrace", SANDBOX_DENY_PTRACE}, {"perf", SANDBOX_DENY_PERF},
        {"bpf", SANDBOX_DENY_BPF}, {"userns", SANDBOX_DENY_USER_NAMESPACES}, {"tiocsti", SANDBOX_DENY_TERMINAL_INJECTION}, {"seccomp", SANDBOX_DENY_SECCOMP},
    };
    uint64_t what = 0;
    char *list = copied(value), *rest = list;
    for (char *one; (one = strsep(&rest, ","));) {
        uint64_t found = 0;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (strcmp(one, "all") == 0 || strcmp(one, known[i].name) == 0)
                found |= known[i].what;
        if (!found)
            die("--deny: there is no %s", one);
        what |= found;
    }
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_filter_deny(filter, what);
    add(run, filter);
    free(list);
}

/* The environment of whoever has none of yours. */
static void plain_environment(struct run *run) {
    static const char *const kept[] = {"PATH", "HOME", "TERM", "LANG", "LC_ALL", "TZ"};
    sandbox_cmd_env_clear(run->cmd);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (getenv(kept[i]))
            sandbox_cmd_env(run->cmd, kept[i], getenv(kept[i]));
}

void apply_preset(struct run *run, const char *value) { (void)run, (void)value; /* confine() did it first */ }

static void take_preset(struct run *run, const char *value) {
    static const char *const names[] = {"compute", "build", "network"};
    for (uint32_t i = 0; i < 3; i++) {
        if (strcmp(value, names[i]) == 0) {
            sandbox_cmd_preset(run->cmd, SANDBOX_PRESET_COMPUTE + i);
            run->has_preset = true;
            return;
        }
    }
    die("--preset is compute, build or network, not %s", value);
}

/* What is confined where no preset says it. */
static void take_default(struct run *run, bool has_root) {
    run->namespaces |= SANDBOX_NS_PID | SANDBOX_NS_MOUNT | SANDBOX_NS_IPC | SANDBOX_NS_UTS | SANDBOX_NS_CGROUP;
    if (geteuid() != 0)
        run->namespaces |= SANDBOX_NS_USER;
    sandbox_cmd_set(run->cmd, SANDBOX_OPT_INIT, 1);
    sandbox_cmd_set(run->cmd, SANDBOX_OPT_NEW_KEYRING, 1);
    sandbox_cmd_set(run->cmd, SANDBOX_OPT_ALLOW_NO_KEYRING, 1);
    if (!run->keeps_env)
        plain_environment(run);
    if (!has_root)
        show_default_root(run);
}

void confine(struct run *run) {
    bool has_root = false;
    /* By one call: sandbox_probe would start a dozen processes to find out all else too. */
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    run->landlock_abi = abi < 0 ? 0 : (uint32_t)abi;
    run->cmd = sandbox_cmd_new(run->argv[0]);
    sandbox_cmd_args(run->cmd, (const char *const *)run->argv + 1);
    for (size_t i = 0; i < run->count; i++) {
        const struct item *item = blamed = &run->items[i];
        run->keeps_env |= item->row->apply == apply_keep_env;
        run->has_root |= item->row->apply == apply_root || item->row->apply == apply_root_rw;
        run->has_ports |= item->row->apply == apply_connect || item->row->apply == apply_listen;
        run->has_directory |= item->row->apply == apply_directory;
        has_root |= (item->row->flags & (IN_ROOT | ADDS)) == IN_ROOT;
        if (item->row->apply == apply_preset)
            take_preset(run, item->value);
    }
    blamed = NULL;
    if (!run->has_preset)
        take_default(run, has_root);
    for (size_t i = 0; i < run->count; i++) {
        blamed = &run->items[i];
        blamed->row->apply(run, blamed->value);
    }
    blamed = NULL;
    if (run->calls) {
        /* Its arguments no filter sees; libc then takes clone. First come, first served: named above, it is allowed. */
        sandbox_filter_rule(run->calls, SANDBOX_ACT_ERRNO(ENOSYS), "clone3", NULL, 0);
        add(run, run->calls);
        run->calls = NULL;
    }
    if (!run->has_preset && (!run->net || strcmp(run->net, "host") != 0))
        run->namespaces |= SANDBOX_NS_NET;
    sandbox_cmd_unshare(run->cmd, run->namespaces);
}
