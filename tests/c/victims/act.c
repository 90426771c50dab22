/* A victim that does the one thing its arguments name. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void pause_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&time, &time) < 0 && errno == EINTR) {}
}

static int end_by(int signal) {
    unsigned long none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
    syscall(SYS_kill, getpid(), signal);
    pause_ms(5000);
    return 99;
}

static int copy(void) {
    char buffer[65536];
    for (ssize_t got; (got = read(0, buffer, sizeof buffer)) > 0;)
        for (ssize_t at = 0, put; at < got; at += put)
            if ((put = write(1, buffer + at, (size_t)(got - at))) < 0) return 1;
    return 0;
}

/* Burns this much CPU time, by its own clock. */
static int spin(long ms) {
    struct timespec now;
    do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < ms);
    return 0;
}

/* Leaves a process of another parent behind, which sleeps; its pid is printed. */
static int leave_orphan(void) {
    int ready[2];
    if (pipe(ready) < 0) return 1;
    if (fork() == 0) {
        if (fork() == 0) {
            pid_t me = getpid();
            if (write(ready[1], &me, sizeof me) != sizeof me) _exit(1);
            close(0), close(1), close(2);
            pause_ms(60000);
        }
        _exit(0);
    }
    pid_t orphan = -1;
    wait(NULL);
    if (read(ready[0], &orphan, sizeof orphan) != sizeof orphan) return 1;
    printf("%d\n", orphan);
    fflush(stdout);
    return 0;
}

/* Makes orphans that end at once, then counts those that nobody reaped. */
static int count_zombies(int count) {
    for (int i = 0; i < count; i++) {
        if (fork() == 0) {
            if (fork() == 0) _exit(i & 127);
            _exit(0);
        }
        wait(NULL);
    }
    int zombies = -1;
    for (int round = 0; round < 500 && zombies != 0; round++) {
        char path[64], state, line[512];
        int parent;
        zombies = 0;
        for (pid_t pid = getpid() + 1; pid < getpid() + 40 * count; pid++) {
            snprintf(path, sizeof path, "/proc/%d/stat", pid);
            FILE *file = fopen(path, "r");
            if (!file) continue;
            if (fgets(line, sizeof line, file) && sscanf(strrchr(line, ')') + 1, " %c %d", &state, &parent) == 2)
                zombies += state == 'Z' && parent == getppid();
            fclose(file);
        }
        pause_ms(10);
    }
    printf("%d\n", zombies);
    return 0;
}

static volatile sig_atomic_t caught;
static void note(int signal) { caught = signal; }

/* Says "ready", then the number of each signal that comes, until SIGTERM. */
static int catch(void) {
    for (int signal = 1; signal < 65; signal++)
        if (signal != SIGCHLD) sigaction(signal, &(struct sigaction){.sa_handler = note}, NULL);
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    printf("ready\n"), fflush(stdout);
    do {
        sigsuspend(&before);
        printf("%d\n", caught), fflush(stdout);
    } while (caught != SIGTERM);
    return 0;
}

/* Touches this much memory. */
static int hog(size_t megabytes) {
    for (size_t i = 0; i < megabytes; i++) {
        char *memory = malloc(1 << 20);
        if (!memory) return 97;
        for (size_t at = 0; at < 1 << 20; at += 4096) *(volatile char *)(memory + at) = 1;
    }
    return 0;
}

/* Forks until it can't, prints how often it could; the children live on for a while. */
static int bomb(int most) {
    int count = 0;
    for (; count < most; count++) {
        pid_t pid = fork();
        if (pid < 0) break;
        if (pid == 0) close(1), pause_ms(60000), _exit(0);
    }
    printf("%d\n", count);
    return 0;
}

/* Queues signals to itself until its user may have no more of them. */
static int fill_queue(void) {
    sigset_t all;
    union sigval none = {0};
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    while (sigqueue(getpid(), SIGRTMIN + 3, none) == 0) {}
    return printf("%s\n", errno == EAGAIN ? "full" : strerror(errno)), fflush(stdout), pause_ms(600000), 0;
}

static int stop_parent(void) {
    int result = kill(getppid(), SIGSTOP);
    return printf("%s\n", result == 0 ? "stopped" : strerror(errno)), fflush(stdout), pause_ms(600000), 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    int n = argc > 2 ? atoi(argv[2]) : 0;
    if (!strcmp(what, "exit")) return n;
    if (!strcmp(what, "signal")) return end_by(n);
    if (!strcmp(what, "sleep")) return pause_ms(n), 0;
    if (!strcmp(what, "cat")) return copy();
    if (!strcmp(what, "spin")) return spin(n);
    if (!strcmp(what, "hog")) return hog((size_t)n);
    if (!strcmp(what, "bomb")) return bomb(n);
    if (!strcmp(what, "print")) return printf("%s", argv[2]) < 0;
    if (!strcmp(what, "both")) return dprintf(1, "out") + dprintf(2, "err") - 6;
    if (!strcmp(what, "orphan")) return leave_orphan();
    if (!strcmp(what, "orphan-and-sleep")) return leave_orphan(), pause_ms(60000), 0;
    if (!strcmp(what, "orphan-and-signal")) return leave_orphan(), end_by(n);
    if (!strcmp(what, "orphan-and-fill-queue")) return leave_orphan(), fill_queue();
    if (!strcmp(what, "orphan-and-stop-parent")) return leave_orphan(), stop_parent();
    if (!strcmp(what, "orphan-and-kill-parent")) return leave_orphan(), kill(getppid(), SIGKILL), pause_ms(60000), 0;
    if (!strcmp(what, "zombies")) return count_zombies(n);
    if (!strcmp(what, "catch")) return catch();
    if (!strcmp(what, "become-undumpable")) return prctl(PR_SET_DUMPABLE, 0), pause_ms(n), 0;
#if defined __x86_64__
    if (!strcmp(what, "rdtsc")) return __builtin_ia32_rdtsc() == 0;
#endif
    return 98;
}
