/* A victim that tells what it finds itself to be: for each argument one line, "key: value".
 * Static, so that no loader needs fds, memory or files that a test has taken away. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

static void list(char **strings) {
    for (; *strings; strings++) printf("%s|", *strings);
    printf("\n");
}

static void fds(void) {
    static int open_ones[4096];
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; directory && (entry = readdir(directory)) && count < 4096;)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory)) open_ones[count++] = atoi(entry->d_name);
    for (int i = 0; i < count; i++) printf("%d ", open_ones[i]);
    printf("\n");
    if (directory) closedir(directory);
}

/* A line of /proc/self/status. */
static void status(const char *field) {
    char line[4096];
    size_t length = strlen(field);
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, field, length) == 0 && line[length] == ':') {
            printf("%s", line + length + 1 + strspn(line + length + 1, " \t"));
            fclose(file);
            return;
        }
    printf("none\n");
}

static void file(const char *path) {
    char text[256];
    int fd = open(path, O_RDONLY);
    ssize_t length = read(fd, text, sizeof text - 1);
    printf("%.*s\n", length > 0 ? (int)strcspn(text, "\n") : 0, text);
    close(fd);
}

static void fd(int number) {
    struct stat stat;
    if (fstat(number, &stat) < 0) printf("closed\n");
    else printf("%llu:%llu flags %d\n", (unsigned long long)stat.st_dev, (unsigned long long)stat.st_ino, fcntl(number, F_GETFD));
}

static void limit(int resource) {
    unsigned long long pair[2] = {0, 0};
    syscall(SYS_prlimit64, 0, resource, NULL, pair);
    printf("%llu %llu\n", pair[0], pair[1]);
}

static void affinity(void) {
    unsigned long mask[128] = {0};
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    for (long word = 0; word < bytes / 8; word++) printf("%lx ", mask[word]);
    printf("\n");
}

static void write_execute(void) {
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("%d\n", memory == MAP_FAILED ? errno : 0);
}

static void terminal(void) {
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY);
    printf("%d\n", fd >= 0);
    if (fd >= 0) close(fd);
}

static void tell(const char *key, char **argv) {
    char path[4096];
    const char *rest = strchr(key, ':');
    int n = rest ? atoi(rest + 1) : 0;
    printf("%s: ", key);
    if (!strcmp(key, "fds")) fds();
    else if (!strcmp(key, "argv")) list(argv);
    else if (!strcmp(key, "env")) list(environ);
    else if (!strcmp(key, "cwd")) printf("%s\n", getcwd(path, sizeof path) ? path : "none");
    else if (!strcmp(key, "pid")) printf("%d\n", getpid());
    else if (!strcmp(key, "ppid")) printf("%d\n", getppid());
    else if (!strcmp(key, "sid")) printf("%d\n", getsid(0));
    else if (!strcmp(key, "pgid")) printf("%d\n", getpgid(0));
    else if (!strcmp(key, "uid")) printf("%d %d\n", getuid(), geteuid());
    else if (!strcmp(key, "nice")) printf("%d\n", getpriority(PRIO_PROCESS, 0));
    else if (!strcmp(key, "oom")) file("/proc/self/oom_score_adj");
    else if (!strcmp(key, "affinity")) affinity();
    else if (!strcmp(key, "personality")) printf("%#x\n", personality(0xffffffff));
    else if (!strcmp(key, "mdwe")) printf("%d\n", prctl(66 /* PR_GET_MDWE */, 0, 0, 0, 0));
    else if (!strcmp(key, "write_execute")) write_execute();
    else if (!strcmp(key, "securebits")) printf("%#x\n", prctl(PR_GET_SECUREBITS));
    else if (!strcmp(key, "keyring")) printf("%ld\n", syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -3 /* session */, 0));
    else if (!strcmp(key, "keys")) printf("%ld\n", syscall(SYS_keyctl, 11 /* READ */, -3, path, sizeof path));
    else if (!strcmp(key, "stack")) printf("%p\n", (void *)&n);
    else if (!strcmp(key, "tty")) terminal();
    else if (!strcmp(key, "foreground")) printf("%d %d %d\n", tcgetsid(0), tcgetpgrp(0), getpid());
    else if (!strcmp(key, "sysinfo")) printf("%ld\n", syscall(SYS_sysinfo, path) < 0 ? (long)errno : 0);
    else if (!strcmp(key, "death")) {
        int signal = -1;
        prctl(PR_GET_PDEATHSIG, &signal);
        printf("%d\n", signal);
    } else if (!strcmp(key, "tsc")) {
        int mode = -1;
        prctl(PR_GET_TSC, &mode);
        printf("%d\n", mode);
    } else if (!strncmp(key, "status:", 7)) status(rest + 1);
    else if (!strncmp(key, "env:", 4)) printf("%s\n", getenv(rest + 1) ? getenv(rest + 1) : "(unset)");
    else if (!strncmp(key, "fd:", 3)) fd(n);
    else if (!strncmp(key, "isatty:", 7)) printf("%d\n", isatty(n));
    else if (!strncmp(key, "rlimit:", 7)) limit(n);
    else if (!strncmp(key, "speculation:", 12)) printf("%d\n", prctl(PR_GET_SPECULATION_CTRL, n, 0, 0, 0));
    else printf("?\n");
}

int main(int argc, char **argv) {
    static char buffer[65536];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    for (int i = 1; i < argc; i++) tell(argv[i], argv);
    return fflush(stdout) == 0 ? 0 : 1;
}
