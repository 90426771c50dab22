/* policy: run a program under a seccomp policy file, or tell what every system call would get under it.
 *
 *   ./policy policies/python3.policy python3 -c 'print(1)'
 *   ./policy --explain policies/container.json
 *   ./policy --explain policies/container.json ptrace 'socket(40, 1, 0)'
 *   ./policy --help
 *
 * The file is minijail's policy language or an OCI profile, as Docker and podman have them; which, its content tells.
 * What one exact call would get, the library's simulator says (sandbox_filter_simulate). What a system call may get
 * whatever its arguments are is read off the compiled instructions (sandbox_filter_export): both ways are followed
 * where an argument decides. */

#define _GNU_SOURCE
#include "filter-file.h"
#include "syscalls.h" /* syscall_names, made by the Makefile from the system's headers */
#include <getopt.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined __x86_64__
#define NATIVE AUDIT_ARCH_X86_64
#else
#define NATIVE AUDIT_ARCH_AARCH64
#endif
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char usage[] =
    "usage: policy [-d action] file program [argument...]\n"
    "       policy [-d action] --explain file [call...]\n"
    "Runs the program under the policy in the file: minijail's policy language, or an OCI profile (Docker's, podman's).\n"
    "\n"
    "  -e, --explain         run nothing: print what each system call would get, or only those named, such as\n"
    "                        ptrace, or with arguments 'socket(2, 1, 0)'\n"
    "  -d, --default action  of a policy that does not say it itself, for calls that it does not name:\n"
    "                        kill (default), eperm, enosys, log, allow\n"
    "  -h, --help            this text\n"
    "\n"
    "Exit code: the program's own, or 128 and the number of the signal that ended it; 2 where it could not be started.\n";

static void fail(const char *what, const char *value) {
    fprintf(stderr, "policy: %s%s\nTry 'policy --help'.\n", what, value);
    exit(2);
}

/* ---- explain ---- */

static const char *describe(uint32_t action, char text[80]) {
    unsigned data = action & 0xffff;
    switch (action & 0xffff0000) {
    case SANDBOX_ACT_ALLOW: return "is allowed";
    case SANDBOX_ACT_LOG: return "is allowed, and logged";
    case SANDBOX_ACT_NOTIFY: return "asks the supervisor";
    case SANDBOX_ACT_TRAP: return "gets SIGSYS";
    case SANDBOX_ACT_KILL_THREAD: return "ends the thread";
    case SANDBOX_ACT_KILL_PROCESS: return "ends the program";
    case SANDBOX_ACT_TRACE(0): snprintf(text, 80, "asks the tracer (%u)", data); return text;
    default: break;
    }
    if (data == 0)
        return "returns 0, and does nothing";
    snprintf(text, 80, "fails: %s (%u)", strerror((int)data), data);
    return text;
}

/* The actions that one system call may get. */
struct outcome {
    uint32_t actions[16];
    size_t count;
};

static void add(struct outcome *outcome, uint32_t action) {
    for (size_t i = 0; i < outcome->count; i++)
        if (outcome->actions[i] == action)
            return;
    if (outcome->count < COUNT(outcome->actions))
        outcome->actions[outcome->count++] = action;
}

struct program {
    struct sock_filter code[BPF_MAXINSNS];
    size_t length;
};

/* Follows the program from `at`. Of the accumulator only the call's number and architecture are known. */
static void walk(const struct program *program, uint32_t number, size_t at, int known, uint32_t value, struct outcome *outcome) {
    for (; at < program->length; at++) {
        const struct sock_filter *op = &program->code[at];
        switch (BPF_CLASS(op->code)) {
        case BPF_RET: add(outcome, op->k); return;
        case BPF_LD:
            known = op->code == (BPF_LD | BPF_W | BPF_ABS) && op->k < 8;
            value = op->k == 0 ? number : NATIVE;
            break;
        case BPF_JMP:
            if (BPF_OP(op->code) == BPF_JA) {
                at += op->k;
            } else if (known && BPF_SRC(op->code) == BPF_K) {
                int holds = BPF_OP(op->code) == BPF_JEQ   ? value == op->k
                            : BPF_OP(op->code) == BPF_JGT ? value > op->k
                            : BPF_OP(op->code) == BPF_JGE ? value >= op->k
                                                          : (value & op->k) != 0;
                at += holds ? op->jt : op->jf;
            } else {
                walk(program, number, at + 1 + op->jt, known, value, outcome);
                at += op->jf;
            }
            break;
        case BPF_ALU: known = 0; break;
        case BPF_MISC: known = known && BPF_MISCOP(op->code) == BPF_TAX; break;
        default: break; /* ST, STX, LDX leave the accumulator alone */
        }
    }
}

static struct outcome outcome_of(const struct program *program, uint32_t number) {
    struct outcome outcome = {.count = 0};
    walk(program, number, 0, 0, 0, &outcome);
    return outcome;
}

static void export(const sandbox_filter *filter, struct program *program) {
    int fd = memfd_create("filter", MFD_CLOEXEC);
    int length = sandbox_filter_export(filter, fd);
    if (length < 0)
        fail("the filter can't be compiled: ", strerror(-length));
    program->length = (size_t)length;
    if (pread(fd, program->code, sizeof program->code, 0) != (ssize_t)(program->length * sizeof program->code[0]))
        fail("the filter can't be read back", "");
    close(fd);
}

/* All system calls, by what they get; those where arguments decide at the end, one a line. */
static void explain_all(const struct program *program) {
    static struct outcome outcomes[COUNT(syscall_names)];
    static char done[COUNT(syscall_names)];
    char text[80];
    for (uint32_t nr = 0; nr < COUNT(syscall_names); nr++)
        outcomes[nr] = outcome_of(program, nr);
    for (size_t first = 0; first < COUNT(syscall_names); first++) {
        if (!syscall_names[first] || done[first] || outcomes[first].count != 1)
            continue;
        uint32_t action = outcomes[first].actions[0];
        int column = 0, count = 0;
        for (size_t nr = first; nr < COUNT(syscall_names); nr++)
            count += syscall_names[nr] && outcomes[nr].count == 1 && outcomes[nr].actions[0] == action;
        printf("What %s: %d\n", describe(action, text), count);
        for (size_t nr = first; nr < COUNT(syscall_names); nr++) {
            if (!syscall_names[nr] || outcomes[nr].count != 1 || outcomes[nr].actions[0] != action)
                continue;
            done[nr] = 1;
            if (column > 100)
                column = printf("\n") - 1;
            column += printf(column ? " %s" : "    %s", syscall_names[nr]);
        }
        printf("\n");
    }
    printf("What its arguments decide about:\n");
    for (size_t nr = 0; nr < COUNT(syscall_names); nr++) {
        if (!syscall_names[nr] || outcomes[nr].count < 2)
            continue;
        printf("    %-20s", syscall_names[nr]);
        for (size_t i = 0; i < outcomes[nr].count; i++)
            printf("%s%s", i ? "; or " : "", describe(outcomes[nr].actions[i], text));
        printf("\n");
    }
}

static uint32_t number_of(const char *name, size_t length) {
    for (uint32_t nr = 0; nr < COUNT(syscall_names); nr++)
        if (syscall_names[nr] && strlen(syscall_names[nr]) == length && strncmp(syscall_names[nr], name, length) == 0)
            return nr;
    fail("no such system call: ", name);
    return 0;
}

/* "ptrace", or with arguments "socket(2, 1, 0)": then the simulator has the last word. */
static void explain_one(const sandbox_filter *filter, const struct program *program, const char *text) {
    size_t length = strcspn(text, "(");
    uint32_t number = number_of(text, length), action;
    char words[80];
    printf("%s:", text);
    if (text[length] == '\0') {
        struct outcome outcome = outcome_of(program, number);
        for (size_t i = 0; i < outcome.count; i++)
            printf("%s %s", i ? "; or" : "", describe(outcome.actions[i], words));
        printf("%s\n", outcome.count > 1 ? ", by its arguments" : "");
        return;
    }
    sandbox_syscall call = {.arch = NATIVE, .nr = (int32_t)number};
    const char *at = text + length + 1;
    for (size_t i = 0; i < 6 && *at != ')'; i++) {
        char *end;
        errno = 0;
        call.args[i] = strtoull(at, &end, 0);
        end += strspn(end, " ");
        if (end == at || errno || (*end != ',' && *end != ')'))
            fail("not a call with numbers as its arguments: ", text);
        at = *end == ',' ? end + 1 : end;
    }
    int result = sandbox_filter_simulate(filter, &call, &action);
    if (result < 0)
        fail("the filter can't be compiled: ", strerror(-result));
    printf(" %s\n", describe(action, words));
}

static int explain(const sandbox_filter *filter, char **calls) {
    static struct program program;
    export(filter, &program);
    if (!*calls)
        explain_all(&program);
    for (; *calls; calls++)
        explain_one(filter, &program, *calls);
    return 0;
}

/* ---- run ---- */

static int run(const sandbox_filter *filter, char **argv) {
    sandbox_error error;
    sandbox_child *child;
    sandbox_status status;
    sandbox_cmd *cmd = sandbox_cmd_new(argv[0]);
    sandbox_cmd_args(cmd, (const char *const *)argv + 1);
    sandbox_cmd_filter(cmd, filter);
    int result = sandbox_spawn(cmd, &child, &error);
    sandbox_cmd_free(cmd);
    if (result < 0) {
        fprintf(stderr, "policy: %s: %s\n", sandbox_stage_name(error.stage), error.message);
        return 2;
    }
    /* Nobody here has an answer where a policy asks: without a handler each such call is denied with ENOSYS. */
    sandbox_supervisor *supervisor = sandbox_supervisor_new(child);
    if (supervisor)
        sandbox_supervisor_run(supervisor);
    sandbox_supervisor_free(supervisor);
    result = sandbox_child_wait(child, -1, &status, sizeof status);
    sandbox_child_free(child);
    if (result < 0) {
        fprintf(stderr, "policy: how it ended is not known: %s\n", strerror(-result));
        return 2;
    }
    if (status.cause == SANDBOX_CAUSE_FILTER) {
        const char *name = status.syscall >= 0 && (size_t)status.syscall < COUNT(syscall_names) ? syscall_names[status.syscall] : NULL;
        fprintf(stderr, "policy: ended for a system call that the policy does not allow%s%s\n", name ? ": " : "", name ? name : "");
    }
    return status.kind == SANDBOX_EXITED ? status.code : 128 + status.code;
}

static uint32_t action(const char *name) {
    static const struct {
        const char *name;
        uint32_t action;
    } actions[] = {
        {"kill", SANDBOX_ACT_KILL_PROCESS}, {"eperm", SANDBOX_ACT_ERRNO(EPERM)}, {"enosys", SANDBOX_ACT_ERRNO(ENOSYS)},
        {"log", SANDBOX_ACT_LOG},           {"allow", SANDBOX_ACT_ALLOW},
    };
    for (size_t i = 0; i < COUNT(actions); i++)
        if (strcmp(name, actions[i].name) == 0)
            return actions[i].action;
    fail("no such action: ", name);
    return 0;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"explain", no_argument, NULL, 'e'}, {"default", required_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    uint32_t otherwise = SANDBOX_ACT_KILL_PROCESS;
    int option, explains = 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:ed:h", options, NULL)) != -1) {
        switch (option) {
        case 'e': explains = 1; break;
        case 'd': otherwise = action(optarg); break;
        case 'h': fputs(usage, stdout); return 0;
        case ':': fail("this option wants a value: ", argv[optind - 1]); break;
        default: fail("no such option: ", argv[optind - 1]);
        }
    }
    if (optind == argc)
        fail("which policy file?", "");
    if (!explains && optind + 1 == argc)
        fail("which program?", "");
    sandbox_filter *filter = filter_from_file(argv[optind], otherwise);
    if (!filter)
        return 2;
    int code = explains ? explain(filter, argv + optind + 1) : run(filter, argv + optind + 1);
    sandbox_filter_free(filter);
    return code;
}
