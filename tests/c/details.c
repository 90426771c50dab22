/* Small things that the header says, and a reader may hold it to: which argument is wrong, whatever else is. */
#include "mount.h"

TEST(root_file, "a root that is no directory is refused as that, by its name") {
    BOTH_WAYS({
        char path[PATH_MAX + 8];
        snprintf(path, sizeof path, "%s/file", fresh_dir());
        copy_file("/proc/self/comm", path, 0644);
        sandbox_cmd *cmd = confined(victim("act", "exit", "0", NULL));
        CHECK_EQ(sandbox_cmd_root(cmd, path, 0), 0);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, ENOTDIR, SANDBOX_STAGE_ROOT, 0, "/file");

        strcat(path, "-less");
        cmd = confined(victim("act", "exit", "0", NULL));
        CHECK_EQ(sandbox_cmd_root(cmd, path, 0), 0);
        run(cmd, &result);
        CHECK_ERROR(result.result, result.error, ENOENT, SANDBOX_STAGE_ROOT, 0, "/file-less");
        CHECK(!strstr(result.error.message, "OPTIONAL")); /* which sandbox_cmd_root does not take */
    });
}

static sandbox_error latched(sandbox_cmd *cmd) {
    sandbox_error error;
    sandbox_cmd_error(cmd, &error);
    sandbox_cmd_free(cmd);
    return error;
}

TEST(own_index, "the call that fails is the one whose index is told, not the one that it collides with") {
    int uts = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC), ipc = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
    sandbox_cmd *cmd = victim("act", "exit", "0", NULL);
    sandbox_error error;
    for (int i = 5; i < 8; i++) CHECK_EQ(sandbox_cmd_pass_fd(cmd, uts, i), 0);
    int failed = sandbox_cmd_pass_fd(cmd, uts, 6);
    error = latched(cmd);
    CHECK_ERROR(failed, error, EINVAL, SANDBOX_STAGE_FD, 3, "fd 6");
    cmd = victim("act", "exit", "0", NULL);
    CHECK_EQ(sandbox_cmd_join(cmd, uts), 0);
    CHECK_EQ(sandbox_cmd_join(cmd, ipc), 0);
    failed = sandbox_cmd_join(cmd, uts);
    error = latched(cmd);
    CHECK_ERROR(failed, error, EINVAL, SANDBOX_STAGE_CLONE, 2, "uts");
    if (!is_admin()) { /* the kernel's order is another than the caller's, who counts */
        cmd = victim("act", "exit", "0", NULL);
        CHECK_EQ(sandbox_cmd_join(cmd, ipc), 0);
        CHECK_EQ(sandbox_cmd_join(cmd, uts), 0);
        run(cmd, &result);
        CHECK(result.result == -EPERM && result.error.stage == SANDBOX_STAGE_CLONE);
        CHECK_EQ(result.error.index, strstr(result.error.message, "uts") ? 1 : 0);
    }
    close(uts), close(ipc);
}

TEST(wait_size, "a size that no caller can mean is refused before the wait, not after it") {
    sandbox_cmd *cmd = victim("act", "sleep", "60000", NULL);
    sandbox_child *child = spawned(cmd);
    sandbox_status status;
    CHECK_EQ(sandbox_child_wait(child, 0, &status, 4097), -EINVAL);
    CHECK_EQ(sandbox_child_wait(child, -1, &status, (size_t)-1), -EINVAL);
    CHECK_EQ(sandbox_child_wait(child, -1, NULL, sizeof status), -EFAULT);
    CHECK_EQ(sandbox_child_wait(child, 0, &status, sizeof status), -ETIMEDOUT);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    sandbox_features features;
    CHECK_EQ(sandbox_probe(&features, 4097), -EINVAL);
}

TEST(kernels_term, "explain calls no_new_privs by its name") {
    char text[20000];
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/true");
    CHECK(sandbox_cmd_explain(cmd, text, sizeof text, NULL) > 0);
    CHECK_HAS(text, "no_new_privs");
    CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_NO_NEW_PRIVS, 0), 0);
    CHECK_EQ(sandbox_cmd_caps(cmd, SANDBOX_CAPS_ALL, 0), 0);
    CHECK(sandbox_cmd_explain(cmd, text, sizeof text, NULL) > 0);
    CHECK(!strstr(text, "no_new_privs"));
    sandbox_cmd_free(cmd);
}

TEST(owner, "what is made in the root belongs to the spawning user; where that has no id inside, to the program's") {
    need_mounts();
    for (int way = 0; way < (is_admin() ? 3 : 1); way++) {
        static const char *const owners[] = {"4242:4243", "0:0", "5:6"};
        without_user_namespace = way == 1;
        sandbox_cmd *cmd = script("stat -c %u:%g /t /f /d");
        CHECK_EQ(sandbox_cmd_user(cmd, way == 2 ? 5 : 4242, way == 2 ? 6 : 4243), 0);
        if (way == 2) {
            CHECK_EQ(sandbox_cmd_map_uid(cmd, 0, 100000, 1000), 0);
            CHECK_EQ(sandbox_cmd_map_gid(cmd, 0, 100000, 1000), 0);
        }
        CHECK_EQ(sandbox_cmd_tmpfs(cmd, "/t", 0, 0755), 0);
        CHECK_EQ(sandbox_cmd_file(cmd, "/f", "x", 1, 0644), 0);
        CHECK_EQ(sandbox_cmd_dir(cmd, "/d", 0755), 0);
        char wanted[64];
        snprintf(wanted, sizeof wanted, "%s\n%s\n%s\n", owners[way], owners[way], owners[way]);
        CHECK_STR(run_well(cmd, &result), wanted);
    }
}

TEST(unmapped, "where no map holds the caller's own id, the program is the first id that they name, inside and outside") {
    need_mounts();
    if (!is_admin()) SKIP("only root maps other ids without newuidmap");
    without_user_namespace = false;
    for (int way = 0; way < 6; way++) {
        /* Plain, with a root, with an init, from a pool; then one kind of id alone. */
        sandbox_cmd *cmd = way == 1 ? script("id -u; id -g; id -G; touch /t/x && stat -c %u:%g /t/x") : sandbox_cmd_new("/bin/sh");
        if (way != 1) sandbox_cmd_args(cmd, (const char *const[]){"-c", "id -u; id -g; id -G; echo 7:8", NULL});
        if (way == 1) CHECK_EQ(sandbox_cmd_tmpfs(cmd, "/t", 0, 0755), 0);
        CHECK_EQ(sandbox_cmd_unshare(cmd, SANDBOX_NS_USER | SANDBOX_NS_PID), 0);
        if (way == 2) CHECK_EQ(sandbox_cmd_set(cmd, SANDBOX_OPT_INIT, 1), 0);
        if (way != 5) CHECK_EQ(sandbox_cmd_map_uid(cmd, 7, 100000, 100), 0);
        if (way != 4) CHECK_EQ(sandbox_cmd_map_gid(cmd, 8, 100000, 100), 0);
        if (way == 3) {
            sandbox_cmd_stdio(cmd, 1, SANDBOX_STDIO_PIPE, -1);
            sandbox_pool *pool = sandbox_pool_new(cmd, 1);
            sandbox_child *child;
            CHECK_EQ(sandbox_pool_spawn(pool, NULL, &child, &result.error), 0);
            drain(fds_of(child).stdout_fd, result.out, sizeof result.out);
            sandbox_child_free(child);
            sandbox_pool_free(pool);
            sandbox_cmd_free(cmd);
        } else run_well(cmd, &result);
        CHECK_STR(result.out, way == 4 ? "7\n0\n0\n7:8\n" : way == 5 ? "0\n8\n8\n7:8\n" : "7\n8\n8\n7:8\n");
    }
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1); /* the change of ids was not made in this memory */
    /* Outside too it is no longer the caller: what is the caller's alone is closed to it. */
    char path[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s/secret", fresh_dir());
    copy_file("/proc/self/comm", path, 0600);
    sandbox_cmd *cmd = sandbox_cmd_new("/bin/cat");
    sandbox_cmd_arg(cmd, path);
    sandbox_cmd_stdio(cmd, 2, SANDBOX_STDIO_NULL, -1);
    CHECK_EQ(sandbox_cmd_unshare(cmd, SANDBOX_NS_USER), 0);
    CHECK_EQ(sandbox_cmd_map_uid(cmd, 0, 100000, 100), 0);
    CHECK_EQ(sandbox_cmd_map_gid(cmd, 0, 100000, 100), 0);
    run(cmd, &result);
    CHECK(result.result == 0 && result.status.code == 1);
    CHECK_STR(result.out, "");
}
