/* A victim that does with its C library what needs new tasks: a thread, a fork, a spawn. It ends with 0 where all work. */
#define _GNU_SOURCE
#include <pthread.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

static void *work(void *data) { return *(int *)data = 1, NULL; }

int main(int argc, char **argv) {
    int did = 0, status = -1;
    pid_t pid;
    pthread_t thread;
    if (argc > 1) return 7;
    if (pthread_create(&thread, NULL, work, &did) != 0) return 1;
    if (pthread_join(thread, NULL) != 0 || !did) return 2;
    if ((pid = fork()) == 0) _exit(5);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 5) return 3;
    char *args[] = {argv[0], "again", NULL};
    if (posix_spawn(&pid, argv[0], NULL, NULL, args, (char *[]){NULL}) != 0) return 4;
    return waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7 ? 0 : 6;
}
