/* What each option does: one function a line of the table. */
#ifndef SANDBOX_RUN_APPLY_H
#define SANDBOX_RUN_APPLY_H

struct run;
#define EACH_APPLY(X)                                                                                                  \
    X(bind) X(bind_rw) X(bind_try) X(bind_dev) X(system) X(root) X(root_rw) X(tmpfs) X(overlay) X(proc) X(dev) X(file)  \
    X(dir) X(symlink) X(mask) X(directory) X(allow_read) X(allow_write) X(net) X(connect) X(listen) X(user)             \
    X(hostname) X(caps) X(new_privileges) X(time) X(cpu) X(memory) X(processes) X(address_space) X(file_size)           \
    X(open_files) X(nice) X(cgroup) X(env) X(unset) X(keep_env) X(pass_fd) X(seccomp) X(syscalls) X(deny) X(preset)
#define DECLARE(name) void apply_##name(struct run *run, const char *value);
EACH_APPLY(DECLARE)
#undef DECLARE

#endif
