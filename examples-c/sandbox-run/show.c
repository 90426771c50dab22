/* What sandbox-run prints of a sandbox: the plan, the status as JSON, what this machine allows. */
#include "run.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int print_explanation(const struct run *run) {
    sandbox_error error;
    int length = sandbox_cmd_explain(run->cmd, NULL, 0, &error);
    if (length < 0)
        die("%s: %s", sandbox_stage_name(error.stage), error.message);
    char *text = malloc((size_t)length + 1);
    if (!text)
        die("out of memory");
    sandbox_cmd_explain(run->cmd, text, (size_t)length + 1, &error);
    fputs(text, stdout);
    free(text);
    return 0;
}

void write_string(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20)
            fprintf(out, "\\u%04x", (unsigned)(unsigned char)*text);
        else
            fprintf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    }
    fputc('"', out);
}

static const char *name_of_cause(uint32_t cause) {
    switch (cause) {
    case SANDBOX_CAUSE_FILTER: return "filter";
    case SANDBOX_CAUSE_MEMORY: return "memory";
    case SANDBOX_CAUSE_TIMEOUT: return "timeout";
    case SANDBOX_CAUSE_KILLED: return "killed";
    default: return "none";
    }
}

/* One line; either is null. */
void print_json(int fd, const sandbox_status *status, const sandbox_error *error) {
    int copy = dup(fd);
    FILE *out = copy < 0 ? NULL : fdopen(copy, "w");
    if (!out)
        die("--json: file descriptor %d is not open for writing", fd);
    fputs("{\"status\": ", out);
    if (status) {
        fprintf(out,
                "{\"kind\": \"%s\", \"code\": %d, \"cause\": \"%s\", \"syscall\": %lld, \"core_dumped\": %s, \"user_time_us\": %llu, "
                "\"system_time_us\": %llu, \"wall_time_us\": %llu, \"peak_memory_bytes\": %llu, \"left_out\": %llu}",
                status->kind == SANDBOX_EXITED ? "exited" : "signaled", status->code, name_of_cause(status->cause), (long long)status->syscall,
                status->core_dumped ? "true" : "false", (unsigned long long)status->user_time_us, (unsigned long long)status->system_time_us,
                (unsigned long long)status->wall_time_us, (unsigned long long)status->peak_memory_bytes, (unsigned long long)status->left_out);
    } else {
        fputs("null", out);
    }
    fputs(", \"error\": ", out);
    if (error) {
        fprintf(out, "{\"code\": %d, \"index\": %u, \"stage\": ", error->code, error->index);
        write_string(out, sandbox_stage_name(error->stage));
        fputs(", \"message\": ", out);
        write_string(out, error->message);
        fputc('}', out);
    } else {
        fputs("null", out);
    }
    fputs("}\n", out);
    fclose(out);
}

/* ---- what this machine allows */

static void print_line(bool works, const char *what, int error, const char *advice) {
    printf("%-4s %s", works ? "yes" : "no", what);
    if (!works && error)
        printf(": %s", strerror(abs(error)));
    if (!works && advice)
        printf("\n     -> %s", advice);
    printf("\n");
}

static const char *const advice_namespaces = "user namespaces are off: sysctl -w user.max_user_namespaces=15000 (Debian: "
                                             "kernel.unprivileged_userns_clone=1,\n        Ubuntu: kernel.apparmor_restrict_unprivileged_userns=0; in a "
                                             "container: its seccomp profile); or run it as root";
static const char *const advice_cgroup = "--memory and --processes: systemd-run --user --scope -p Delegate=yes sandbox-run ...; or name a cgroup of\n"
                                         "        yours in SANDBOX_CGROUP; in a container move its processes one cgroup down";

static void print_namespaces(const sandbox_features *f) {
    static const struct {
        const char *name;
        uint64_t bit;
    } kinds[] = {{"user", SANDBOX_NS_USER}, {"pid", SANDBOX_NS_PID}, {"mount", SANDBOX_NS_MOUNT}, {"net", SANDBOX_NS_NET},
                 {"uts", SANDBOX_NS_UTS},   {"ipc", SANDBOX_NS_IPC}, {"cgroup", SANDBOX_NS_CGROUP}, {"time", SANDBOX_NS_TIME}};
    bool has_user = f->namespaces & SANDBOX_NS_USER;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char what[64];
        int error = has_user || i == 0 ? f->namespace_errno[i] : f->namespace_alone_errno[i];
        snprintf(what, sizeof what, "%s namespace", kinds[i].name);
        print_line(f->namespaces & kinds[i].bit, what, error, i == 0 ? advice_namespaces : NULL);
    }
}

int print_probe(void) {
    sandbox_features f;
    sandbox_probe(&f, sizeof f);
    print_line(f.spawn, "starting a program", 0, "a seccomp filter around this process may refuse clone or close_range");
    print_line(f.clone3, "clone3", f.clone3_errno, "not needed: the library takes clone; a container's seccomp profile may refuse it");
    print_namespaces(&f);
    print_line(!f.mount_errno, "a root of its own", f.mount_errno, "needs a user namespace, or root with CAP_SYS_ADMIN");
    print_line(!f.proc_errno, "a new /proc", f.proc_errno, "a container that masks parts of /proc forbids it: run that with systempaths=unconfined");
    print_line(!f.overlay_errno, "overlays", f.overlay_errno, "as an ordinary user needs Linux 5.11, and the module overlay");
    print_line(!f.cgroup_errno, "a cgroup", f.cgroup_errno, advice_cgroup);
    print_line(f.filter, "seccomp filters", f.filter_errno, "needs a kernel with CONFIG_SECCOMP_FILTER");
    print_line(f.notify, "seccomp notification (--trace, --learn)", f.notify_errno, "needs Linux 5.0 and that no filter around this process notifies already");
    print_line(f.landlock_abi > 0, "Landlock (--allow-read, --allow-write)", f.landlock_errno, "needs Linux 5.13 and landlock in the kernel's lsm= list");
    print_line(f.landlock_abi >= 4, "Landlock for TCP ports (--connect, --listen)", 0, "needs Linux 6.7");
    print_line(f.landlock_abi >= 6, "Landlock for abstract sockets (with --net host, --preset network)", 0, "needs Linux 6.12");
    print_line(!f.ptrace_errno, "ptrace", f.ptrace_errno, "sysctl kernel.yama.ptrace_scope=1");
    print_line(!f.memory_errno, "reading a traced program's memory", f.memory_errno, "sysctl kernel.yama.ptrace_scope=1");
    print_line(f.trampoline, "programs in memory (an init, MDWE)", f.trampoline_errno, "sysctl vm.memfd_noexec=0");
    print_line(f.keyring, "a session keyring of its own", f.keyring_errno, "not needed: where it is refused, the host's stays");
    print_line(f.mdwe, "memory-deny-write-execute", f.mdwe_errno, "needs Linux 6.3");
    print_line(f.deny_tsc, "denial of the time stamp counter", 0, NULL);
    print_line(f.speculation, "control of speculation", 0, NULL);
    print_line(f.status_of_reaped, "the status of a child that another has reaped", 0, "needs Linux 6.15");
    return 0;
}
