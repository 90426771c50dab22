/* container: a program, or a shell, in a fresh root: a tmpfs that holds nothing but what is bound in.
 *
 *   ./container                                    a shell; look around with ls /, ps, id, mount
 *   ./container -b ~/project:/work:rw -d /work make
 *   ./container -r /srv/debian -w -n bash          another distribution's tree, writable, with the host's network
 *
 * Every namespace is new, an init reaps and ends all that the program has started, no capability is left, and what is
 * changed below / is gone afterwards. Runs as any user that may have a user namespace: inside it is root, outside it is
 * who started it. With -e nothing runs: what would be done is printed, in order. */

#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <sandbox_spawn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static const char usage[] =
    "usage: container [options] [program [argument...]]\n"
    "Runs the program (default: /bin/sh) in a root of its own: /usr of the host, read-only, and what the options add.\n"
    "\n"
    "  -b SOURCE[:TARGET][:rw]  binds a file or directory, read-only unless it says rw\n"
    "  -r DIRECTORY             this directory is the root, in the place of a tmpfs with the host's /usr\n"
    "  -w                       ... writable\n"
    "  -d DIRECTORY             where to start, inside\n"
    "  -n                       keep the host's network\n"
    "  -e                       explain, and run nothing\n"
    "  -h, --help               this text\n"
    "\n"
    "Exit code: the program's own, 128 + the signal that ended it, or 125 where it could not be started.\n";

static int fail(const char *what, const char *value) {
    fprintf(stderr, "container: %s%s\nTry 'container --help'.\n", what, value);
    exit(125);
}

/* SOURCE[:TARGET][:rw] */
static void bind(sandbox_cmd *cmd, char *text) {
    char *source = strsep(&text, ":"), *target = text ? strsep(&text, ":") : NULL, *mode = text;
    if (target && !mode && strcmp(target, "rw") == 0)
        mode = target, target = NULL;
    if (!*source || (mode && strcmp(mode, "rw")))
        fail("-b wants SOURCE[:TARGET][:rw]", "");
    char *whole = realpath(source, NULL);
    if (!whole)
        fail("no such file or directory: ", source);
    sandbox_cmd_bind(cmd, whole, target ? target : whole, mode ? SANDBOX_MOUNT_RW : 0);
    free(whole);
}

/* /bin, /lib and so on are links into /usr on most systems, directories on others. */
static void system_root(sandbox_cmd *cmd) {
    static const char *const names[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64"};
    sandbox_cmd_bind(cmd, "/usr", "/usr", 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[256];
        ssize_t length = readlink(names[i], text, sizeof text - 1);
        if (length > 0) {
            text[length] = '\0';
            sandbox_cmd_symlink(cmd, text, names[i]);
        } else {
            sandbox_cmd_bind(cmd, names[i], names[i], SANDBOX_MOUNT_OPTIONAL);
        }
    }
    sandbox_cmd_bind(cmd, "/etc/alternatives", "/etc/alternatives", SANDBOX_MOUNT_OPTIONAL);
    sandbox_cmd_bind(cmd, "/etc/ld.so.cache", "/etc/ld.so.cache", SANDBOX_MOUNT_OPTIONAL);
    static const char users[] = "root:x:0:0:root:/root:/bin/sh\n", groups[] = "root:x:0:\n";
    sandbox_cmd_file(cmd, "/etc/passwd", users, sizeof users - 1, 0644);
    sandbox_cmd_file(cmd, "/etc/group", groups, sizeof groups - 1, 0644);
    sandbox_cmd_dir(cmd, "/root", 0700);
}

/* No setter's result is looked at: the first that fails makes sandbox_spawn fail with its error. */
static sandbox_cmd *command(int argc, char **argv, int *explains) {
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    uint64_t namespaces = SANDBOX_NS_USER | SANDBOX_NS_PID | SANDBOX_NS_MOUNT | SANDBOX_NS_UTS | SANDBOX_NS_IPC | SANDBOX_NS_CGROUP | SANDBOX_NS_NET;
    const char *root = NULL, *directory = NULL;
    uint64_t root_flags = 0;
    char **binds = calloc((size_t)argc, sizeof *binds);
    int option, count = 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:b:r:wd:neh", options, NULL)) != -1) {
        switch (option) {
        case 'b': binds[count++] = optarg; break;
        case 'r': root = optarg; break;
        case 'w': root_flags = SANDBOX_MOUNT_RW; break;
        case 'd': directory = optarg; break;
        case 'n': namespaces &= ~(uint64_t)SANDBOX_NS_NET; break;
        case 'e': *explains = 1; break;
        case 'h': fputs(usage, stdout); exit(0);
        case ':': fail("this option wants a value: ", argv[optind - 1]); break;
        default: fail("no such option: ", argv[optind - 1]);
        }
    }
    sandbox_cmd *cmd = sandbox_cmd_new(optind < argc ? argv[optind] : "/bin/sh");
    if (optind < argc)
        sandbox_cmd_args(cmd, (const char *const *)argv + optind + 1);
    sandbox_cmd_unshare(cmd, namespaces);
    sandbox_cmd_map_uid(cmd, 0, geteuid(), 1);
    sandbox_cmd_map_gid(cmd, 0, getegid(), 1);
    sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1);
    sandbox_cmd_set(cmd, SANDBOX_OPT_NEW_KEYRING, 1);
    sandbox_cmd_hostname(cmd, "container");
    if (namespaces & SANDBOX_NS_NET)
        sandbox_cmd_set(cmd, SANDBOX_OPT_LOOPBACK, 1);
    if (root)
        sandbox_cmd_root(cmd, root, root_flags);
    else
        system_root(cmd);
    sandbox_cmd_proc(cmd, "/proc", 0);
    sandbox_cmd_dev(cmd, "/dev");
    sandbox_cmd_tmpfs(cmd, "/tmp", 64 << 20, 01777);
    for (int i = 0; i < count; i++)
        bind(cmd, binds[i]);
    free(binds);
    sandbox_cmd_env_clear(cmd);
    sandbox_cmd_env(cmd, "PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    sandbox_cmd_env(cmd, "HOME", root ? "/" : "/root");
    sandbox_cmd_env(cmd, "PS1", "container:\\w# ");
    if (getenv("TERM"))
        sandbox_cmd_env(cmd, "TERM", getenv("TERM"));
    sandbox_cmd_cwd(cmd, directory ? directory : "/");
    return cmd;
}

static int explain(const sandbox_cmd *cmd) {
    sandbox_error error;
    int length = sandbox_cmd_explain(cmd, NULL, 0, &error);
    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (!text)
        return fprintf(stderr, "container: %s: %s\n", sandbox_stage_name(error.stage), error.message), 125;
    sandbox_cmd_explain(cmd, text, (size_t)length + 1, &error);
    fputs(text, stdout);
    free(text);
    return 0;
}

static int copy(int from, int to) {
    char buffer[4096];
    ssize_t n = read(from, buffer, sizeof buffer);
    for (ssize_t done = 0, m; done < n; done += m) {
        m = write(to, buffer + done, (size_t)(n - done));
        if (m < 0)
            return -1;
    }
    return n > 0 ? 0 : -1;
}

/* The program has a terminal of its own: ours goes raw, and each is copied to the other. What the program writes can
 * do to ours what any output can, and no more: it can't type into it. */
static void relay(int pty, int pidfd) {
    struct termios before, raw;
    struct winsize size;
    tcgetattr(0, &before);
    raw = before;
    cfmakeraw(&raw);
    tcsetattr(0, TCSANOW, &raw);
    struct pollfd fds[3] = {{.fd = 0, .events = POLLIN}, {.fd = pty, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
    while (!fds[2].revents || fds[1].revents & POLLIN) {
        if (ioctl(1, TIOCGWINSZ, &size) == 0)
            ioctl(pty, TIOCSWINSZ, &size);
        if (poll(fds, 3, 500) < 0 && errno != EINTR)
            break;
        if (fds[0].revents && copy(0, pty) < 0)
            fds[0].fd = -1;
        if (fds[1].revents && copy(pty, 1) < 0)
            break;
    }
    tcsetattr(0, TCSANOW, &before);
}

int main(int argc, char **argv) {
    int explains = 0, has_terminal = isatty(0) && isatty(1);
    sandbox_error error;
    sandbox_child *child;
    sandbox_status status;
    sandbox_fds fds;

    sandbox_cmd *cmd = command(argc, argv, &explains);
    for (int target = 0; target < 3 && has_terminal; target++)
        sandbox_cmd_stdio(cmd, target, SANDBOX_STDIO_PTY, -1);
    if (explains)
        return explain(cmd);
    if (sandbox_spawn(cmd, &child, &error) < 0) {
        fprintf(stderr, "container: %s: %s\n", sandbox_stage_name(error.stage), error.message);
        return 125;
    }
    sandbox_child_fds(child, &fds, sizeof fds);
    if (has_terminal)
        relay(fds.pty_fd, fds.pidfd);
    sandbox_child_wait(child, -1, &status, sizeof status);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    return status.kind == SANDBOX_EXITED ? status.code : 128 + status.code;
}
