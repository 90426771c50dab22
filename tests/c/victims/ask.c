/* A victim that asks its supervisor.
 *   ask count THREADS CALLS   each thread calls getppid CALLS times, with a number of its own that it wants back plus one
 *   ask open PATH             prints what it reads there, or the errno's number
 * The exit code is 0 where all was right. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long calls;

static void *count(void *start) {
    long number = (long)start * calls, wrong = 0;
    for (long n = number; n < number + calls; n++) wrong += syscall(SYS_getppid, n) != n + 1;
    return (void *)wrong;
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "count") == 0) {
        pthread_t threads[16];
        long wrong = 0, n = atol(argv[2]);
        calls = atol(argv[3]);
        for (long i = 0; i < n && i < 16; i++) pthread_create(&threads[i], NULL, count, (void *)i);
        for (long i = 0; i < n && i < 16; i++) {
            void *result;
            pthread_join(threads[i], &result);
            wrong += (long)result;
        }
        printf("%ld wrong\n", wrong);
        return wrong != 0;
    }
    if (argc == 3 && strcmp(argv[1], "open") == 0) {
        char text[100];
        int fd = (int)syscall(SYS_openat, AT_FDCWD, argv[2], O_RDONLY, 0);
        ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text);
        if (got < 0) printf("errno %d\n", errno);
        else printf("%.*s\n", (int)got, text);
        return 0;
    }
    return 2;
}
