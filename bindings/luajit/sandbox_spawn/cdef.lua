-- Made of sandbox_spawn.h by make cdef.
return [[
typedef enum sandbox_stage {
    SANDBOX_STAGE_NONE = 0,
    SANDBOX_STAGE_SETUP = 1,
    SANDBOX_STAGE_CLONE = 2,
    SANDBOX_STAGE_USERNS = 3,
    SANDBOX_STAGE_GATE = 4,
    SANDBOX_STAGE_MOUNT = 5,
    SANDBOX_STAGE_ROOT = 6,
    SANDBOX_STAGE_NETWORK = 7,
    SANDBOX_STAGE_HOSTNAME = 8,
    SANDBOX_STAGE_CGROUP = 9,
    SANDBOX_STAGE_RLIMIT = 10,
    SANDBOX_STAGE_FD = 11,
    SANDBOX_STAGE_STDIO = 12,
    SANDBOX_STAGE_SESSION = 13,
    SANDBOX_STAGE_SIGNAL = 14,
    SANDBOX_STAGE_IDENTITY = 15,
    SANDBOX_STAGE_CAPABILITY = 16,
    SANDBOX_STAGE_LANDLOCK = 17,
    SANDBOX_STAGE_SECCOMP = 18,
    SANDBOX_STAGE_HANDOFF = 19,
    SANDBOX_STAGE_PTRACE = 20,
    SANDBOX_STAGE_CWD = 21,
    SANDBOX_STAGE_CALLBACK = 22,
    SANDBOX_STAGE_EXEC = 23,
    SANDBOX_STAGE_PROCESS = 24,
    SANDBOX_STAGE_TRAMPOLINE = 25,
    SANDBOX_STAGE_INIT = 26,
} sandbox_stage;
typedef enum sandbox_option {
    SANDBOX_OPT_NO_NEW_PRIVS = 1,
    SANDBOX_OPT_DEATH_SIGNAL = 2,
    SANDBOX_OPT_CLOSE_FDS = 3,
    SANDBOX_OPT_RESET_SIGNALS = 4,
    SANDBOX_OPT_NEW_SESSION = 5,
    SANDBOX_OPT_PROCESS_GROUP = 6,
    SANDBOX_OPT_CONTROLLING_TTY = 7,
    SANDBOX_OPT_UMASK = 8,
    SANDBOX_OPT_NICE = 9,
    SANDBOX_OPT_OOM_SCORE_ADJ = 10,
    SANDBOX_OPT_CPU_AFFINITY = 11,
    SANDBOX_OPT_NO_RANDOMIZE = 12,
    SANDBOX_OPT_MDWE = 13,
    SANDBOX_OPT_DENY_TSC = 14,
    SANDBOX_OPT_SPECULATION = 15,
    SANDBOX_OPT_NEW_KEYRING = 16,
    SANDBOX_OPT_SECUREBITS = 17,
    SANDBOX_OPT_INIT = 18,
    SANDBOX_OPT_LOOPBACK = 19,
    SANDBOX_OPT_RANDOM_FDS = 20,
    SANDBOX_OPT_ALLOW_PRIVILEGED_HOST = 21,
    SANDBOX_OPT_ALLOW_NO_MDWE = 22,
    SANDBOX_OPT_ALLOW_NO_DENY_TSC = 23,
    SANDBOX_OPT_ALLOW_NO_SPECULATION = 24,
    SANDBOX_OPT_ALLOW_NO_KEYRING = 25,
    SANDBOX_OPT_DISABLE_USERNS = 40,
    SANDBOX_OPT_NOT_INHERITABLE = 41,
    SANDBOX_OPT_JOIN_USER_LAST = 42,
    SANDBOX_OPT_ALLOW_LESS_LANDLOCK = 50,
    SANDBOX_OPT_LANDLOCK_LOG = 51,
} sandbox_option;
typedef enum sandbox_speculation {
    SANDBOX_SPECULATION_STORE_BYPASS = 1,
    SANDBOX_SPECULATION_INDIRECT_BRANCH = 2,
} sandbox_speculation;
typedef enum sandbox_left_out {
    SANDBOX_LEFT_OUT_MDWE = 1,
    SANDBOX_LEFT_OUT_DENY_TSC = 2,
    SANDBOX_LEFT_OUT_SPECULATION = 4,
    SANDBOX_LEFT_OUT_KEYRING = 8,
    SANDBOX_LEFT_OUT_LANDLOCK = 256,
    SANDBOX_LEFT_OUT_MOUNT = 1048576,
    SANDBOX_LEFT_OUT_MASK = 2097152,
} sandbox_left_out;
typedef enum sandbox_stdio {
    SANDBOX_STDIO_INHERIT = 0,
    SANDBOX_STDIO_NULL = 1,
    SANDBOX_STDIO_PIPE = 2,
    SANDBOX_STDIO_FD = 3,
    SANDBOX_STDIO_PTY = 4,
} sandbox_stdio;
typedef enum sandbox_status_kind {
    SANDBOX_EXITED = 1,
    SANDBOX_SIGNALED = 2,
} sandbox_status_kind;
typedef enum sandbox_cause {
    SANDBOX_CAUSE_NONE = 0,
    SANDBOX_CAUSE_FILTER = 1,
    SANDBOX_CAUSE_MEMORY = 2,
    SANDBOX_CAUSE_TIMEOUT = 3,
    SANDBOX_CAUSE_KILLED = 4,
} sandbox_cause;
typedef enum sandbox_fd {
    SANDBOX_FD_PIDFD = 0,
    SANDBOX_FD_SECCOMP = 1,
    SANDBOX_FD_STDIN = 2,
    SANDBOX_FD_STDOUT = 3,
    SANDBOX_FD_STDERR = 4,
    SANDBOX_FD_PTY = 5,
    SANDBOX_FD_CGROUP = 6,
} sandbox_fd;
typedef enum sandbox_cmp {
    SANDBOX_CMP_EQ = 1,
    SANDBOX_CMP_NE = 2,
    SANDBOX_CMP_LT = 3,
    SANDBOX_CMP_LE = 4,
    SANDBOX_CMP_GE = 5,
    SANDBOX_CMP_GT = 6,
    SANDBOX_CMP_MASKED_EQ = 7,
} sandbox_cmp;
typedef enum sandbox_filter_flag {
    SANDBOX_FILTER_LOG = 2,
    SANDBOX_FILTER_SPEC_ALLOW = 4,
    SANDBOX_FILTER_WAIT_KILLABLE_RECV = 32,
} sandbox_filter_flag;
typedef enum sandbox_deny {
    SANDBOX_DENY_TERMINAL_INJECTION = 1,
    SANDBOX_DENY_USER_NAMESPACES = 2,
    SANDBOX_DENY_IO_URING = 4,
    SANDBOX_DENY_KEYRINGS = 8,
    SANDBOX_DENY_PTRACE = 16,
    SANDBOX_DENY_PERF = 32,
    SANDBOX_DENY_BPF = 64,
    SANDBOX_DENY_SECCOMP = 128,
    SANDBOX_DENY_KERNEL_POINTERS = 256,
} sandbox_deny;
typedef enum sandbox_ns {
    SANDBOX_NS_TIME = 128,
    SANDBOX_NS_MOUNT = 131072,
    SANDBOX_NS_CGROUP = 33554432,
    SANDBOX_NS_UTS = 67108864,
    SANDBOX_NS_IPC = 134217728,
    SANDBOX_NS_USER = 268435456,
    SANDBOX_NS_PID = 536870912,
    SANDBOX_NS_NET = 1073741824,
} sandbox_ns;
typedef enum sandbox_mount {
    SANDBOX_MOUNT_RW = 1,
    SANDBOX_MOUNT_EXEC_OFF = 2,
    SANDBOX_MOUNT_OPTIONAL = 4,
    SANDBOX_MOUNT_DEV = 8,
    SANDBOX_MOUNT_SUID = 16,
    SANDBOX_MOUNT_NON_RECURSIVE = 32,
    SANDBOX_MOUNT_NOSYMFOLLOW = 64,
    SANDBOX_MOUNT_NOATIME = 128,
} sandbox_mount;
typedef enum sandbox_proc {
    SANDBOX_PROC_NOACCESS = 1,
    SANDBOX_PROC_INVISIBLE = 2,
    SANDBOX_PROC_PTRACEABLE = 4,
    SANDBOX_PROC_SUBSET_PID = 8,
    SANDBOX_PROC_RW = 16,
    SANDBOX_PROC_COVERED = 32,
} sandbox_proc;
typedef enum sandbox_data {
    SANDBOX_DATA_MOUNT = 1,
    SANDBOX_DATA_RW = 2,
    SANDBOX_DATA_IN_PLACE = 4,
} sandbox_data;
typedef enum sandbox_landlock_fs {
    SANDBOX_LANDLOCK_EXECUTE = 1,
    SANDBOX_LANDLOCK_WRITE_FILE = 2,
    SANDBOX_LANDLOCK_READ_FILE = 4,
    SANDBOX_LANDLOCK_READ_DIR = 8,
    SANDBOX_LANDLOCK_REMOVE_DIR = 16,
    SANDBOX_LANDLOCK_REMOVE_FILE = 32,
    SANDBOX_LANDLOCK_MAKE_CHAR = 64,
    SANDBOX_LANDLOCK_MAKE_DIR = 128,
    SANDBOX_LANDLOCK_MAKE_REG = 256,
    SANDBOX_LANDLOCK_MAKE_SOCK = 512,
    SANDBOX_LANDLOCK_MAKE_FIFO = 1024,
    SANDBOX_LANDLOCK_MAKE_BLOCK = 2048,
    SANDBOX_LANDLOCK_MAKE_SYM = 4096,
    SANDBOX_LANDLOCK_REFER = 8192,
    SANDBOX_LANDLOCK_TRUNCATE = 16384,
    SANDBOX_LANDLOCK_IOCTL_DEV = 32768,
    SANDBOX_LANDLOCK_READ = 12,
    SANDBOX_LANDLOCK_READ_EXECUTE = 13,
    SANDBOX_LANDLOCK_WRITE = 30642,
    SANDBOX_LANDLOCK_ALL = 65535,
} sandbox_landlock_fs;
typedef enum sandbox_landlock_net {
    SANDBOX_LANDLOCK_BIND_TCP = 1,
    SANDBOX_LANDLOCK_CONNECT_TCP = 2,
} sandbox_landlock_net;
typedef enum sandbox_landlock_scope {
    SANDBOX_LANDLOCK_ABSTRACT_UNIX_SOCKET = 1,
    SANDBOX_LANDLOCK_SIGNAL = 2,
} sandbox_landlock_scope;
typedef enum sandbox_landlock_log {
    SANDBOX_LANDLOCK_LOG_SAME_EXEC_OFF = 1,
    SANDBOX_LANDLOCK_LOG_NEW_EXEC_ON = 2,
    SANDBOX_LANDLOCK_LOG_SUBDOMAINS_OFF = 4,
} sandbox_landlock_log;
typedef enum sandbox_preset {
    SANDBOX_PRESET_COMPUTE = 1,
    SANDBOX_PRESET_BUILD = 2,
    SANDBOX_PRESET_NETWORK = 3,
} sandbox_preset;
typedef enum sandbox_run_flag {
    SANDBOX_RUN_MERGE_STDERR = 1,
    SANDBOX_RUN_KILL_AT_LIMIT = 2,
    SANDBOX_RUN_CANCEL_FD = 4,
} sandbox_run_flag;
typedef enum sandbox_run_limit {
    SANDBOX_LIMIT_WALL_TIME = 1,
    SANDBOX_LIMIT_CPU_TIME = 2,
    SANDBOX_LIMIT_STDOUT = 4,
    SANDBOX_LIMIT_STDERR = 8,
    SANDBOX_LIMIT_CANCELED = 16,
} sandbox_run_limit;
typedef struct sandbox_child sandbox_child;
typedef struct sandbox_cmd sandbox_cmd;
typedef struct sandbox_filter sandbox_filter;
typedef struct sandbox_notify sandbox_notify;
typedef struct sandbox_pool sandbox_pool;
typedef struct sandbox_result sandbox_result;
typedef struct sandbox_running sandbox_running;
typedef struct sandbox_supervisor sandbox_supervisor;
typedef struct sandbox_fds {
    int32_t pidfd;
    int32_t seccomp_fd;
    int32_t stdin_fd;
    int32_t stdout_fd;
    int32_t stderr_fd;
    int32_t pty_fd;
    int32_t cgroup_fd;
} sandbox_fds;
typedef struct sandbox_status {
    uint32_t kind;
    int32_t code;
    uint32_t core_dumped;
    uint32_t cause;
    int64_t syscall;
    uint64_t user_time_us;
    uint64_t system_time_us;
    uint64_t wall_time_us;
    uint64_t peak_memory_bytes;
    uint64_t left_out;
    uint64_t landlock_fs_left_out;
    uint64_t landlock_net_left_out;
    uint64_t landlock_scope_left_out;
    uint64_t landlock_log_left_out;
    uint64_t pids_peak;
    uint64_t oom_kills;
} sandbox_status;
typedef struct sandbox_error {
    int32_t code;
    uint32_t stage;
    uint32_t index;
    char message[244];
} sandbox_error;
typedef int (*sandbox_ready_fn)(int32_t pid, int pidfd, void *userdata);
typedef int (*sandbox_pre_exec_fn)(void *userdata);
typedef struct sandbox_features {
    uint64_t namespaces;
    uint32_t spawn;
    uint32_t clone3;
    uint32_t trampoline;
    uint32_t status_of_reaped;
    uint32_t mdwe;
    uint32_t deny_tsc;
    uint32_t speculation;
    uint32_t keyring;
    uint32_t filter;
    uint32_t notify;
    uint32_t wait_killable;
    uint32_t landlock_abi;
    int32_t namespace_errno[8];
    int32_t namespace_alone_errno[8];
    int32_t mount_errno;
    int32_t proc_errno;
    int32_t overlay_errno;
    int32_t cgroup_errno;
    int32_t clone3_errno;
    int32_t clone_into_cgroup_errno;
    int32_t pidfd_open_errno;
    int32_t pidfd_getfd_errno;
    int32_t ptrace_errno;
    int32_t memory_errno;
    int32_t trampoline_errno;
    int32_t mdwe_errno;
    int32_t keyring_errno;
    int32_t filter_errno;
    int32_t notify_errno;
    int32_t landlock_errno;
    uint32_t sync_wake_up;
    uint32_t actions;
} sandbox_features;
typedef struct sandbox_arg {
    uint32_t index;
    uint32_t op;
    uint64_t value;
    uint64_t mask;
} sandbox_arg;
typedef struct sandbox_syscall {
    uint32_t arch;
    int32_t nr;
    uint64_t ip;
    uint64_t args[6];
} sandbox_syscall;
typedef struct sandbox_bytes {
    const void *data;
    size_t length;
} sandbox_bytes;
typedef struct sandbox_run_options {
    size_t size;
    uint64_t flags;
    uint64_t stdout_limit;
    uint64_t stderr_limit;
    uint64_t wall_time_ms;
    uint64_t cpu_time_ms;
    int64_t cancel_fd;
} sandbox_run_options;
typedef struct sandbox_run_wait {
    int32_t pidfd;
    int32_t stdout_fd;
    int32_t stderr_fd;
    int32_t timeout_ms;
} sandbox_run_wait;
typedef struct sandbox_output {
    const void *data;
    size_t length;
    uint64_t cut;
} sandbox_output;
typedef int (*sandbox_notify_fn)(struct sandbox_notify *n, void *userdata);
int sandbox_cmd_cgroup(struct sandbox_cmd *cmd,
                       const char *parent);
int sandbox_cmd_cgroup_set(struct sandbox_cmd *cmd,
                           const char *file,
                           const char *value);
int sandbox_child_freeze(struct sandbox_child *child,
                         int on);
int sandbox_child_kill_all(struct sandbox_child *child);
int32_t sandbox_child_pid(const struct sandbox_child *child);
int sandbox_child_fds(const struct sandbox_child *child,
                      struct sandbox_fds *fds,
                      size_t size);
int sandbox_child_take_fd(struct sandbox_child *child,
                          uint32_t which);
int sandbox_child_wait(struct sandbox_child *child,
                       int64_t timeout_ms,
                       struct sandbox_status *status,
                       size_t size);
int sandbox_child_wait_exec(struct sandbox_child *child,
                            int64_t timeout_ms,
                            struct sandbox_error *error);
int sandbox_child_kill(struct sandbox_child *child,
                       int signal);
void sandbox_child_free(struct sandbox_child *child);
int sandbox_child_detach(struct sandbox_child *child);
struct sandbox_cmd *sandbox_cmd_new(const char *program);
struct sandbox_cmd *sandbox_cmd_clone(const struct sandbox_cmd *cmd);
void sandbox_cmd_free(struct sandbox_cmd *cmd);
int sandbox_cmd_error(const struct sandbox_cmd *cmd, struct sandbox_error *error);
int sandbox_cmd_arg(struct sandbox_cmd *cmd, const char *arg);
int sandbox_cmd_args(struct sandbox_cmd *cmd, const char *const *args);
int sandbox_cmd_arg0(struct sandbox_cmd *cmd, const char *arg0);
int sandbox_cmd_env(struct sandbox_cmd *cmd, const char *name, const char *value);
int sandbox_cmd_env_clear(struct sandbox_cmd *cmd);
int sandbox_cmd_cwd(struct sandbox_cmd *cmd, const char *path);
int sandbox_cmd_exec_fd(struct sandbox_cmd *cmd,
                        int fd);
int sandbox_cmd_stdio(struct sandbox_cmd *cmd, int target, uint32_t mode, int fd);
int sandbox_cmd_pass_fd(struct sandbox_cmd *cmd, int fd, int target);
int sandbox_cmd_rlimit(struct sandbox_cmd *cmd, uint32_t resource, uint64_t soft, uint64_t hard);
int sandbox_cmd_set(struct sandbox_cmd *cmd, uint32_t option, uint64_t value);
int sandbox_cmd_cpus(struct sandbox_cmd *cmd,
                     const uint64_t *mask,
                     size_t words);
int sandbox_cmd_unshare(struct sandbox_cmd *cmd,
                        uint64_t namespaces);
int sandbox_cmd_map_uid(struct sandbox_cmd *cmd,
                        uint32_t inside,
                        uint32_t outside,
                        uint32_t count);
int sandbox_cmd_map_gid(struct sandbox_cmd *cmd,
                        uint32_t inside,
                        uint32_t outside,
                        uint32_t count);
int sandbox_cmd_explain(const struct sandbox_cmd *cmd,
                        char *buffer,
                        size_t size,
                        struct sandbox_error *error);
int sandbox_cmd_on_ready(struct sandbox_cmd *cmd, sandbox_ready_fn fn, void *userdata);
int sandbox_cmd_pre_exec(struct sandbox_cmd *cmd,
                         sandbox_pre_exec_fn fn,
                         void *userdata);
int sandbox_spawn(const struct sandbox_cmd *cmd,
                  struct sandbox_child **child,
                  struct sandbox_error *error);
const char *sandbox_stage_name(uint32_t stage);
const char *sandbox_version(void);
int sandbox_probe(struct sandbox_features *out,
                  size_t size);
struct sandbox_filter *sandbox_filter_new(uint32_t default_action);
void sandbox_filter_free(struct sandbox_filter *filter);
int sandbox_filter_rule(struct sandbox_filter *filter,
                        uint32_t action,
                        const char *syscall,
                        const struct sandbox_arg *args,
                        size_t count);
int sandbox_filter_deny(struct sandbox_filter *filter, uint64_t what);
int sandbox_filter_deny_ioctl(struct sandbox_filter *filter, uint32_t request);
int sandbox_filter_deny_setsockopt(struct sandbox_filter *filter, uint32_t level, uint32_t option);
int sandbox_filter_arch(struct sandbox_filter *filter,
                        const char *arch);
int sandbox_filter_flags(struct sandbox_filter *filter, uint64_t flags);
int sandbox_filter_policy(struct sandbox_filter *filter,
                          const char *text,
                          size_t length,
                          struct sandbox_error *error);
int sandbox_filter_policy_directory(struct sandbox_filter *filter,
                                    const char *directory);
int sandbox_filter_oci(struct sandbox_filter *filter,
                       const char *json,
                       size_t length,
                       struct sandbox_error *error);
int sandbox_filter_oci_capabilities(struct sandbox_filter *filter, uint64_t capabilities);
int sandbox_filter_bpf(struct sandbox_filter *filter,
                       const void *instructions,
                       size_t count);
int sandbox_filter_simulate(const struct sandbox_filter *filter,
                            const struct sandbox_syscall *call,
                            uint32_t *action);
int sandbox_filter_export(const struct sandbox_filter *filter, int fd);
int sandbox_cmd_filter(struct sandbox_cmd *cmd,
                       const struct sandbox_filter *filter);
int sandbox_cmd_ptrace(struct sandbox_cmd *cmd,
                       uint64_t options);
int sandbox_cmd_landlock_path(struct sandbox_cmd *cmd,
                              const char *path,
                              uint64_t access);
int sandbox_cmd_landlock_port(struct sandbox_cmd *cmd,
                              uint16_t port,
                              uint64_t access);
int sandbox_cmd_landlock_scope(struct sandbox_cmd *cmd,
                               uint64_t scopes);
int sandbox_cmd_cwd_first(struct sandbox_cmd *cmd,
                          const char *const *paths);
int sandbox_cmd_init_fd(struct sandbox_cmd *cmd, int fd);
int sandbox_cmd_init_lock(struct sandbox_cmd *cmd,
                          const char *path);
int sandbox_cmd_on_maps(struct sandbox_cmd *cmd,
                        sandbox_ready_fn fn,
                        void *userdata);
int sandbox_run(const struct sandbox_cmd *cmd,
                const struct sandbox_bytes *input,
                const struct sandbox_run_options *options,
                struct sandbox_result **result,
                struct sandbox_error *error);
int sandbox_run_start(const struct sandbox_cmd *cmd,
                      const struct sandbox_bytes *input,
                      const struct sandbox_run_options *options,
                      struct sandbox_running **running,
                      struct sandbox_error *error);
int sandbox_run_step(struct sandbox_running *running,
                     struct sandbox_run_wait *wait,
                     size_t size,
                     struct sandbox_result **result,
                     struct sandbox_error *error);
void sandbox_running_free(struct sandbox_running *running);
int sandbox_result_status(const struct sandbox_result *result, struct sandbox_status *status, size_t size);
int sandbox_result_output(const struct sandbox_result *result,
                          int target,
                          struct sandbox_output *output,
                          size_t size);
int sandbox_result_limits(const struct sandbox_result *result);
void sandbox_result_free(struct sandbox_result *result);
int sandbox_cmd_caps(struct sandbox_cmd *cmd,
                     uint64_t keep,
                     uint64_t ambient);
int sandbox_cmd_user(struct sandbox_cmd *cmd,
                     uint32_t uid,
                     uint32_t gid);
int sandbox_cmd_groups(struct sandbox_cmd *cmd,
                       const uint32_t *gids,
                       size_t count);
int sandbox_cmd_hostname(struct sandbox_cmd *cmd, const char *name);
int sandbox_cmd_domainname(struct sandbox_cmd *cmd, const char *name);
int sandbox_cmd_time_offset(struct sandbox_cmd *cmd,
                            uint32_t clock,
                            int64_t seconds,
                            uint32_t nanoseconds);
int sandbox_cmd_join(struct sandbox_cmd *cmd,
                     int namespace_fd);
int sandbox_cmd_root(struct sandbox_cmd *cmd,
                     const char *directory,
                     uint64_t flags);
int sandbox_cmd_bind(struct sandbox_cmd *cmd,
                     const char *source,
                     const char *target,
                     uint64_t flags);
int sandbox_cmd_bind_fd(struct sandbox_cmd *cmd,
                        int fd,
                        const char *target,
                        uint64_t flags);
int sandbox_cmd_tmpfs(struct sandbox_cmd *cmd,
                      const char *target,
                      uint64_t bytes,
                      uint32_t mode);
int sandbox_cmd_proc(struct sandbox_cmd *cmd,
                     const char *target,
                     uint64_t flags);
int sandbox_cmd_mqueue(struct sandbox_cmd *cmd, const char *target);
int sandbox_cmd_dev(struct sandbox_cmd *cmd,
                    const char *target);
int sandbox_cmd_overlay(struct sandbox_cmd *cmd,
                        const char *const *lowers,
                        const char *upper,
                        const char *work,
                        const char *target);
int sandbox_cmd_file(struct sandbox_cmd *cmd,
                     const char *target,
                     const void *data,
                     size_t length,
                     uint32_t mode);
int sandbox_cmd_dir(struct sandbox_cmd *cmd, const char *target, uint32_t mode);
int sandbox_cmd_symlink(struct sandbox_cmd *cmd,
                        const char *text,
                        const char *target);
int sandbox_cmd_mask(struct sandbox_cmd *cmd,
                     const char *target);
int sandbox_cmd_preset(struct sandbox_cmd *cmd,
                       uint32_t preset);
struct sandbox_pool *sandbox_pool_new(const struct sandbox_cmd *cmd,
                                      size_t size);
int sandbox_pool_spawn(struct sandbox_pool *pool,
                       const struct sandbox_cmd *override,
                       struct sandbox_child **child,
                       struct sandbox_error *error);
int sandbox_pool_refill(struct sandbox_pool *pool, struct sandbox_error *error);
void sandbox_pool_free(struct sandbox_pool *pool);
struct sandbox_supervisor *sandbox_supervisor_new(struct sandbox_child *child);
struct sandbox_supervisor *sandbox_supervisor_from_fd(int listener,
                                                      int pidfd);
void sandbox_supervisor_free(struct sandbox_supervisor *sup);
int sandbox_supervisor_on(struct sandbox_supervisor *sup,
                          const char *syscall,
                          sandbox_notify_fn fn,
                          void *userdata);
int sandbox_supervisor_fd(const struct sandbox_supervisor *sup);
int sandbox_supervisor_dispatch(struct sandbox_supervisor *sup,
                                int64_t timeout_ms);
int sandbox_supervisor_run(struct sandbox_supervisor *sup);
int sandbox_supervisor_ended(const struct sandbox_supervisor *sup);
int sandbox_notify_call(const struct sandbox_notify *n, struct sandbox_syscall *call, size_t size);
int sandbox_notify_keep(struct sandbox_notify *n);
void sandbox_notify_free(struct sandbox_notify *n);
int32_t sandbox_notify_pid(struct sandbox_notify *n);
int32_t sandbox_notify_tid(const struct sandbox_notify *n);
int sandbox_notify_pidfd(struct sandbox_notify *n);
int sandbox_notify_check(const struct sandbox_notify *n);
int sandbox_notify_errno(struct sandbox_notify *n,
                         int errnum);
int sandbox_notify_return(struct sandbox_notify *n,
                          int64_t value);
int sandbox_notify_continue_unsafe(struct sandbox_notify *n);
int sandbox_notify_fd(struct sandbox_notify *n,
                      int fd,
                      int cloexec);
int sandbox_notify_add_fd(struct sandbox_notify *n,
                          int fd,
                          int target,
                          int cloexec);
int sandbox_notify_get_fd(struct sandbox_notify *n,
                          int fd);
int sandbox_notify_read(struct sandbox_notify *n,
                        uint64_t address,
                        void *buffer,
                        size_t size);
int sandbox_notify_write(struct sandbox_notify *n, uint64_t address, const void *data, size_t size);
int sandbox_notify_string(struct sandbox_notify *n, uint64_t address, char *buffer, size_t size);
int sandbox_notify_sockaddr(struct sandbox_notify *n,
                            uint64_t address,
                            uint64_t length,
                            void *buffer,
                            size_t size);
int sandbox_notify_path(struct sandbox_notify *n,
                        int dirfd,
                        uint64_t address,
                        uint64_t flags,
                        char *buffer,
                        size_t size);
int sandbox_notify_open(struct sandbox_notify *n,
                        int dirfd,
                        uint64_t address,
                        uint64_t flags,
                        uint64_t mode);
int sandbox_notify_parent(struct sandbox_notify *n,
                          int dirfd,
                          uint64_t address,
                          char *name,
                          size_t size);
int sandbox_cmd_data(struct sandbox_cmd *cmd,
                     const char *target,
                     const void *data,
                     size_t length,
                     uint32_t mode,
                     uint64_t flags);
int sandbox_cmd_devpts(struct sandbox_cmd *cmd, const char *target);
int sandbox_cmd_overlay_ro(struct sandbox_cmd *cmd, const char *const *lowers, const char *target);
int sandbox_cmd_chmod(struct sandbox_cmd *cmd,
                      const char *target,
                      uint32_t mode);
int sandbox_cmd_remount(struct sandbox_cmd *cmd,
                        const char *target,
                        uint64_t flags);
]]
