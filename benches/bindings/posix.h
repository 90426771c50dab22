/* posix_spawn as a careful C program calls it, for the hosts in C and C++: what the library's ways are compared with.
 * Each returns the wait status, which is 0 where all went well, or -errno. */
#ifndef POSIX_H
#define POSIX_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static inline int posix_reaped(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) != pid) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return status;
}

static inline int posix_plain(char *program) {
    char *const arguments[] = {program, NULL};
    pid_t pid;
    int error = posix_spawn(&pid, program, NULL, NULL, arguments, environ);
    return error ? -error : posix_reaped(pid);
}

/* Closes each when it ends: 0 or -errno. */
static inline int posix_read_to_end(struct pollfd *outputs, int open) {
    static char buffer[65536];
    while (open > 0) {
        if (poll(outputs, 2, -1) < 0 && errno != EINTR) {
            return -errno;
        }
        for (int i = 0; i < 2; i++) {
            ssize_t got = outputs[i].fd >= 0 && outputs[i].revents ? read(outputs[i].fd, buffer, sizeof buffer) : 1;
            if (got < 0) {
                return -errno;
            }
            if (got == 0) {
                close(outputs[i].fd);
                outputs[i].fd = -1;
                open--;
            }
        }
    }
    return 0;
}

/* As sandbox_run does: nothing to read, and both outputs taken to their ends. */
static inline int posix_captured(char *program) {
    char *const arguments[] = {program, NULL};
    int out[2], err[2];
    if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) {
        return -errno;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    pid_t pid;
    int error = posix_spawn(&pid, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    struct pollfd outputs[2];
    outputs[0].fd = out[0], outputs[1].fd = err[0];
    outputs[0].events = outputs[1].events = POLLIN;
    if (error) {
        close(out[0]);
        close(err[0]);
        return -error;
    }
    int result = posix_read_to_end(outputs, 2), status = posix_reaped(pid);
    return result ? result : status;
}

#endif
