/* firewall: run a program that may connect to the given addresses only.
 *
 *   ./firewall -a 127.0.0.1:8080 -a '[::1]:53' curl http://127.0.0.1:8080/
 *   ./firewall --help
 *
 * A filter sends each connect() here. A program's pointers are never to be trusted twice: while it waits, another of its
 * threads may write another address over the one that was checked. So the call is not let go on after a look at it. The
 * address is copied; the copy is checked; the program's socket is taken (pidfd_getfd) and connected here, to the copy;
 * the program gets the result.
 *
 * What would go around connect() is shut by the filter: sockets other than TCP, TCP Fast Open, io_uring, other
 * processes' fds. Listening is not restricted. A connect that takes its time keeps one of the threads that answer. */

#define _GNU_SOURCE
#include "filter-file.h"
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS 4

static const char usage[] =
    "usage: firewall [options] program [argument...]\n"
    "Runs the program with TCP connections to the allowed addresses only; all others are refused (EACCES).\n"
    "\n"
    "  -a, --allow address:port  may be connected to; IPv4, or IPv6 as [address]:port. May be given often\n"
    "  -p, --policy file         a further filter: minijail's policy language, or an OCI profile\n"
    "  -v, --verbose             print each decision on standard error\n"
    "  -h, --help                this text\n"
    "\n"
    "Exit code: the program's own, or 128 and the number of the signal that ended it; 2 where it could not be started.\n";

struct rules {
    struct sockaddr_in6 allowed[64]; /* IPv4 as ::ffff:a.b.c.d, which reaches the same place */
    size_t count;
    int verbose;
};

static void fail(const char *what, const char *value) {
    fprintf(stderr, "firewall: %s%s\nTry 'firewall --help'.\n", what, value);
    exit(2);
}

/* ---- the decision ---- */

/* Any TCP address as an IPv6 one; 0 for another family, or too short. */
static int normalize(const struct sockaddr_storage *address, int length, struct sockaddr_in6 *out) {
    memset(out, 0, sizeof *out);
    if (address->ss_family == AF_INET6 && length >= (int)offsetof(struct sockaddr_in6, sin6_scope_id)) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        out->sin6_addr = v6->sin6_addr;
        out->sin6_port = v6->sin6_port;
    } else if (address->ss_family == AF_INET && length >= (int)sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        memset(out->sin6_addr.s6_addr + 10, 0xff, 2);
        memcpy(out->sin6_addr.s6_addr + 12, &v4->sin_addr, 4);
        out->sin6_port = v4->sin_port;
    } else {
        return 0;
    }
    return 1;
}

static int is_allowed(const struct rules *rules, const struct sockaddr_in6 *address) {
    for (size_t i = 0; i < rules->count; i++)
        if (rules->allowed[i].sin6_port == address->sin6_port && memcmp(&rules->allowed[i].sin6_addr, &address->sin6_addr, 16) == 0)
            return 1;
    return 0;
}

static void report(const struct rules *rules, const struct sockaddr_in6 *address, const char *what) {
    char text[INET6_ADDRSTRLEN] = "not TCP/IP";
    if (!rules->verbose)
        return;
    if (address && IN6_IS_ADDR_V4MAPPED(&address->sin6_addr))
        inet_ntop(AF_INET, address->sin6_addr.s6_addr + 12, text, sizeof text);
    else if (address)
        inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof text);
    fprintf(stderr, "firewall: connect to %s port %d: %s\n", text, address ? ntohs(address->sin6_port) : 0, what);
}

/* connect(fd, address, length) */
static int on_connect(sandbox_notify *n, void *userdata) {
    const struct rules *rules = userdata;
    struct sockaddr_storage address;
    struct sockaddr_in6 normal;
    sandbox_syscall call;
    sandbox_notify_call(n, &call, sizeof call);
    int length = sandbox_notify_sockaddr(n, call.args[1], call.args[2], &address, sizeof address);
    if (length < 0)
        return sandbox_notify_errno(n, -length);
    int known = normalize(&address, length, &normal);
    if (!known || !is_allowed(rules, &normal)) {
        report(rules, known ? &normal : NULL, "refused");
        return sandbox_notify_errno(n, EACCES);
    }
    int fd = sandbox_notify_get_fd(n, (int)call.args[0]);
    if (fd < 0)
        return sandbox_notify_errno(n, -fd);
    int result;
    do
        result = connect(fd, (const struct sockaddr *)&address, (socklen_t)length); /* the copy, not what it was made from */
    while (result < 0 && errno == EINTR);
    int errnum = errno;
    close(fd);
    report(rules, &normal, result == 0 || errnum == EINPROGRESS ? "allowed" : strerror(errnum));
    return result == 0 ? sandbox_notify_return(n, 0) : sandbox_notify_errno(n, errnum);
}

/* ---- the filter ---- */

/* int arguments: the register's upper half is not the kernel's concern. */
static sandbox_arg is(uint32_t index, uint32_t value) {
    return (sandbox_arg){.index = index, .op = SANDBOX_CMP_MASKED_EQ, .value = value, .mask = 0xffffffff};
}

/* A socket's type, its SOCK_CLOEXEC and SOCK_NONBLOCK aside. */
static sandbox_arg is_type(uint32_t index, uint32_t type) {
    return (sandbox_arg){
        .index = index, .op = SANDBOX_CMP_MASKED_EQ, .value = type, .mask = 0xffffffff & ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK)};
}

/* The first rule that applies decides. */
static sandbox_filter *make_filter(void) {
    static const uint32_t families[] = {AF_INET, AF_INET6}, protocols[] = {0, IPPROTO_TCP};
    static const struct {
        const char *syscall;
        uint32_t flags;
    } sends[] = {{"sendto", 3}, {"sendmsg", 2}, {"sendmmsg", 3}};
    sandbox_filter *filter = sandbox_filter_new(SANDBOX_ACT_ALLOW);
    sandbox_filter_deny(filter, SANDBOX_DENY_IO_URING | SANDBOX_DENY_PTRACE | SANDBOX_DENY_SECCOMP);
    sandbox_filter_rule(filter, SANDBOX_ACT_NOTIFY, "connect", NULL, 0);
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 2; j++) {
            const sandbox_arg tcp[] = {is(0, families[i]), is_type(1, SOCK_STREAM), is(2, protocols[j])};
            sandbox_filter_rule(filter, SANDBOX_ACT_ALLOW, "socket", tcp, 3);
        }
    }
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(EACCES), "socket", NULL, 0);
    /* One half of a pair of datagram sockets can send to any other socket. */
    const sandbox_arg stream = is_type(1, SOCK_STREAM), packets = is_type(1, SOCK_SEQPACKET);
    sandbox_filter_rule(filter, SANDBOX_ACT_ALLOW, "socketpair", &stream, 1);
    sandbox_filter_rule(filter, SANDBOX_ACT_ALLOW, "socketpair", &packets, 1);
    sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(EACCES), "socketpair", NULL, 0);
    for (size_t i = 0; i < 3; i++) { /* MSG_FASTOPEN sends to an address that no connect has named */
        const sandbox_arg fast_open = {.index = sends[i].flags, .op = SANDBOX_CMP_MASKED_EQ, .value = MSG_FASTOPEN, .mask = MSG_FASTOPEN};
        sandbox_filter_rule(filter, SANDBOX_ACT_ERRNO(EOPNOTSUPP), sends[i].syscall, &fast_open, 1);
    }
    /* Linux 5.19: a signal with a handler does not break off a connect that is being made for the program. */
    sandbox_filter_flags(filter, SANDBOX_FILTER_WAIT_KILLABLE_RECV);
    return filter;
}

/* ---- the program ---- */

static void *serve(void *supervisor) {
    sandbox_supervisor_run(supervisor);
    return NULL;
}

/* Several threads answer, so that one slow connect does not hold up the others. They end with this process: one may
 * still be at a connect for a program that is gone. */
static int supervise(sandbox_child *child, struct rules *rules) {
    sandbox_status status;
    pthread_t thread;
    sandbox_supervisor *supervisor = sandbox_supervisor_new(child);
    sandbox_supervisor_on(supervisor, "connect", on_connect, rules);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&thread, NULL, serve, supervisor) != 0)
            fail("no thread", "");
        pthread_detach(thread);
    }
    int result = sandbox_child_wait(child, -1, &status, sizeof status);
    sandbox_child_free(child);
    if (result < 0)
        return 2;
    return status.kind == SANDBOX_EXITED ? status.code : 128 + status.code;
}

/* "127.0.0.1:80" or "[::1]:80" */
static void allow(struct rules *rules, const char *text) {
    char host[64] = "";
    struct sockaddr_storage address = {.ss_family = AF_INET};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    size_t length = colon ? (size_t)(colon - text) : 0;
    int bracketed = length > 2 && text[0] == '[' && text[length - 1] == ']';
    if (length >= sizeof host || !end || *end || port < 1 || port > 65535)
        fail("not an address and a port: ", text);
    memcpy(host, text + bracketed, length - 2 * (size_t)bracketed);
    if (bracketed ? inet_pton(AF_INET6, host, &v6->sin6_addr) != 1 : inet_pton(AF_INET, host, &v4->sin_addr) != 1)
        fail("not an address and a port: ", text);
    address.ss_family = bracketed ? AF_INET6 : AF_INET;
    v4->sin_port = htons((uint16_t)port); /* in both kinds at the same place */
    if (rules->count == sizeof rules->allowed / sizeof rules->allowed[0])
        fail("too many addresses: ", text);
    normalize(&address, sizeof address, &rules->allowed[rules->count++]);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"allow", required_argument, NULL, 'a'},
                                            {"policy", required_argument, NULL, 'p'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static struct rules rules;
    const char *policy = NULL;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:a:p:vh", options, NULL)) != -1) {
        switch (option) {
        case 'a': allow(&rules, optarg); break;
        case 'p': policy = optarg; break;
        case 'v': rules.verbose = 1; break;
        case 'h': fputs(usage, stdout); return 0;
        case ':': fail("this option wants a value: ", argv[optind - 1]); break;
        default: fail("no such option: ", argv[optind - 1]);
        }
    }
    if (optind == argc)
        fail("which program?", "");
    sandbox_error error;
    sandbox_child *child;
    sandbox_cmd *cmd = sandbox_cmd_new(argv[optind]);
    sandbox_cmd_args(cmd, (const char *const *)argv + optind + 1);
    if (policy) {
        sandbox_filter *filter = filter_from_file(policy, SANDBOX_ACT_KILL_PROCESS);
        if (!filter)
            return 2;
        sandbox_cmd_filter(cmd, filter); /* filters stack: the strictest answer holds */
        sandbox_filter_free(filter);
    }
    sandbox_filter *filter = make_filter();
    sandbox_cmd_filter(cmd, filter);
    sandbox_filter_free(filter);
    int result = sandbox_spawn(cmd, &child, &error);
    sandbox_cmd_free(cmd);
    if (result < 0) {
        fprintf(stderr, "firewall: %s: %s\n", sandbox_stage_name(error.stage), error.message);
        return 2;
    }
    return supervise(child, &rules);
}
