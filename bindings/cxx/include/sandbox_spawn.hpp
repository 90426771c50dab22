// sandbox-spawn for C++17 and later: start Linux processes already confined. One header over sandbox_spawn.h.
//
//     sandbox::result result = sandbox::run(sandbox::command("sh", "-c", "echo hello"), {});
//
// Handles are objects that free themselves. What fails throws sandbox::error, which names the step; where that is not
// wanted, spawn, run and wait have overloads that fill a sandbox_error instead. Setters of commands and filters do not
// throw on what the library refuses: the first refusal is kept, and comes out of whatever uses the command.
// Options, flags and actions are the C header's constants (SANDBOX_OPT_*, SANDBOX_NS_*, SANDBOX_ACT_*, ...); what a
// call does in every detail stands there, at the function of the same name.
//
// Linked as usual (-lsandbox_spawn), or, with SANDBOX_SPAWN_DLOPEN defined before the first #include, loaded at run
// time: then nothing is linked, and the first use loads the library, see sandbox::load.
//
// Licence: MIT OR Apache-2.0

#ifndef SANDBOX_SPAWN_HPP
#define SANDBOX_SPAWN_HPP

#include <sandbox_spawn.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#ifdef SANDBOX_SPAWN_DLOPEN
#include <dlfcn.h>
#endif

namespace sandbox {
// Linked and loaded code may meet in one program: they are different types.
#ifdef SANDBOX_SPAWN_DLOPEN
inline namespace loaded {
#else
inline namespace linked {
#endif

// --- the library's functions ---

namespace detail {

/// Every function that this header calls, without its prefix: the one list from which both ways of reaching them follow.
#define SANDBOX_SPAWN_FUNCTIONS(X)                                                                                     \
    X(stage_name) X(version) X(probe) X(spawn)                                                                         \
    X(cmd_new) X(cmd_clone) X(cmd_free) X(cmd_error) X(cmd_arg) X(cmd_args) X(cmd_arg0) X(cmd_env) X(cmd_env_clear)    \
    X(cmd_cwd) X(cmd_exec_fd) X(cmd_stdio) X(cmd_pass_fd) X(cmd_rlimit) X(cmd_set) X(cmd_cpus) X(cmd_unshare)          \
    X(cmd_join) X(cmd_map_uid) X(cmd_map_gid) X(cmd_user) X(cmd_groups) X(cmd_hostname) X(cmd_domainname)              \
    X(cmd_time_offset) X(cmd_caps) X(cmd_preset) X(cmd_root) X(cmd_bind) X(cmd_bind_fd) X(cmd_tmpfs) X(cmd_proc)       \
    X(cmd_mqueue) X(cmd_dev) X(cmd_overlay) X(cmd_file) X(cmd_dir) X(cmd_symlink) X(cmd_mask) X(cmd_landlock_path)     \
    X(cmd_landlock_port) X(cmd_landlock_scope) X(cmd_cgroup) X(cmd_cgroup_set) X(cmd_filter) X(cmd_ptrace)             \
    X(cmd_on_ready) X(cmd_on_maps) X(cmd_pre_exec) X(cmd_explain) X(cmd_data) X(cmd_devpts) X(cmd_overlay_ro)          \
    X(cmd_chmod) X(cmd_remount) X(cmd_cwd_first) X(cmd_init_fd) X(cmd_init_lock)                                       \
    X(child_pid) X(child_fds) X(child_take_fd) X(child_wait) X(child_wait_exec) X(child_kill) X(child_kill_all)        \
    X(child_freeze) X(child_detach) X(child_free)                                                                      \
    X(filter_new) X(filter_free) X(filter_rule) X(filter_deny) X(filter_deny_ioctl) X(filter_deny_setsockopt)          \
    X(filter_arch) X(filter_flags) X(filter_policy) X(filter_policy_directory) X(filter_oci)                           \
    X(filter_oci_capabilities) X(filter_bpf) X(filter_simulate) X(filter_export)                                       \
    X(supervisor_new) X(supervisor_from_fd) X(supervisor_free) X(supervisor_on) X(supervisor_fd)                       \
    X(supervisor_dispatch) X(supervisor_run) X(supervisor_ended)                                                       \
    X(notify_call) X(notify_pid) X(notify_tid) X(notify_pidfd) X(notify_check) X(notify_errno) X(notify_return)        \
    X(notify_continue_unsafe) X(notify_fd) X(notify_add_fd) X(notify_get_fd) X(notify_read) X(notify_write)            \
    X(notify_string) X(notify_sockaddr) X(notify_path) X(notify_open) X(notify_parent)                                 \
    X(run) X(result_status) X(result_output) X(result_limits) X(result_free)                                           \
    X(pool_new) X(pool_spawn) X(pool_refill) X(pool_free)

struct functions {
#define SANDBOX_SPAWN_MEMBER(name) decltype(&::sandbox_##name) name;
    SANDBOX_SPAWN_FUNCTIONS(SANDBOX_SPAWN_MEMBER)
#undef SANDBOX_SPAWN_MEMBER
};

#ifdef SANDBOX_SPAWN_DLOPEN

/// Loads a library, for as long as the process lives; throws std::runtime_error.
inline functions load(const char *path) {
    void *library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) throw std::runtime_error(::dlerror());
    const auto find = [library](const char *name) {
        void *symbol = ::dlsym(library, name);
        if (!symbol) throw std::runtime_error(::dlerror());
        return symbol;
    };
#define SANDBOX_SPAWN_FIND(name) reinterpret_cast<decltype(&::sandbox_##name)>(find("sandbox_" #name)),
    return functions{SANDBOX_SPAWN_FUNCTIONS(SANDBOX_SPAWN_FIND)};
#undef SANDBOX_SPAWN_FIND
}

inline const functions &api(const char *path = nullptr) {
    static const functions loaded = load(path ? path : ::secure_getenv("SANDBOX_SPAWN_LIBRARY") ? ::secure_getenv("SANDBOX_SPAWN_LIBRARY")
                                                                                               : "libsandbox_spawn.so.0");
    return loaded;
}

#else

inline const functions &api() noexcept {
#define SANDBOX_SPAWN_TAKE(name) &::sandbox_##name,
    static constexpr functions linked{SANDBOX_SPAWN_FUNCTIONS(SANDBOX_SPAWN_TAKE)};
#undef SANDBOX_SPAWN_TAKE
    return linked;
}

#endif
#undef SANDBOX_SPAWN_FUNCTIONS

/// Frees a handle by the library's own function.
template <class Handle, auto Function> struct freed {
    void operator()(Handle *handle) const noexcept { (api().*Function)(handle); }
};
/// The same, only in the process that made the handle: what runs is the parent's, and a forked copy is not to end it.
template <class Handle, auto Function> struct freed_by_owner {
    pid_t owner = ::getpid();
    void operator()(Handle *handle) const noexcept {
        if (::getpid() == owner) (api().*Function)(handle);
    }
};
template <class Handle, auto Function> using running = std::unique_ptr<Handle, freed_by_owner<Handle, Function>>;
template <class Handle, auto Function> using owned = std::unique_ptr<Handle, freed<Handle, Function>>;

} // namespace detail

#ifdef SANDBOX_SPAWN_DLOPEN
/// Loads the library from `path`. Not called, the first use of anything loads what SANDBOX_SPAWN_LIBRARY in the environment
/// names, else libsandbox_spawn.so.0 where the loader finds it. Throws std::runtime_error, and may then be tried again;
/// once one is loaded, that stays.
inline void load(const char *path) { detail::api(path); }
#endif

/// The version of the library that is used, "0.1.0".
inline std::string_view version() { return detail::api().version(); }

// --- errors ---

/// A step failed. what() is "exec[0]: /no/such/program: No such file or directory".
class error : public std::runtime_error {
  public:
    /// Of a filled sandbox_error.
    explicit error(const sandbox_error &e) : error(e, detail::api().stage_name(e.stage)) {}
    /// Of a call that names no step, and returned `-errnum`.
    error(int errnum, const std::string &doing)
        : std::runtime_error(doing + ": " + std::generic_category().message(errnum)), errnum_(errnum), message_(what()) {}

    /// The errno, positive.
    int errnum() const noexcept { return errnum_; }
    /// The same: error.code() == std::errc::no_such_file_or_directory.
    std::error_code code() const noexcept { return {errnum_, std::generic_category()}; }
    /// Which step failed; SANDBOX_STAGE_NONE where the call was none of a spawn.
    sandbox_stage stage() const noexcept { return stage_; }
    /// Its name: "exec", "mount".
    const char *stage_name() const noexcept { return stage_name_; }
    /// Which item of that step, in the order in which they were added, from 0.
    unsigned index() const noexcept { return index_; }
    /// A sentence that names the culprit.
    const std::string &message() const noexcept { return message_; }
    /// What the message says at its end, in parentheses: the likely reason, or what to do; often empty.
    std::string hint() const {
        if (message_.empty() || message_.back() != ')') return {};
        std::size_t depth = 0, at = message_.size();
        while (at-- > 0) {
            depth += message_[at] == ')';
            if (message_[at] == '(' && --depth == 0) return message_.substr(at + 1, message_.size() - at - 2);
        }
        return {};
    }

  private:
    error(const sandbox_error &e, const char *name)
        : std::runtime_error(std::string(name) + "[" + std::to_string(e.index) + "]: " + e.message), errnum_(-e.code),
          stage_(static_cast<sandbox_stage>(e.stage)), stage_name_(name), index_(e.index), message_(e.message) {}

    int errnum_;
    sandbox_stage stage_ = SANDBOX_STAGE_NONE;
    const char *stage_name_ = "none";
    unsigned index_ = 0;
    std::string message_;
};

namespace detail {

/// The result of a call that names no step; throws.
inline int check(int code, const char *doing) {
    if (code < 0) throw error(-code, doing);
    return code;
}

/// The result of a call that fills an error; one that it left empty (a moved-from handle, a NULL) is filled here.
inline bool told(int code, sandbox_error &e) {
    if (code < 0 && e.code == 0) {
        e = {code, SANDBOX_STAGE_SETUP, 0, {}};
        std::generic_category().message(-code).copy(e.message, sizeof e.message - 1);
    }
    return code >= 0;
}

/// What a callback threw in this thread, on its way around the C code to whoever called the library.
inline std::exception_ptr &raised() noexcept {
    thread_local std::exception_ptr raised;
    return raised;
}

/// Calls the library where it may call back; an exception of the callback's comes out here.
template <class Call> int around(Call &&call) {
    raised() = nullptr;
    const int code = call();
    std::exception_ptr thrown = std::exchange(raised(), nullptr);
    if (code < 0 && thrown) std::rethrow_exception(std::move(thrown));
    return code;
}

/// A timeout as C takes it: no shorter than what was asked for.
template <class Rep, class Period> std::int64_t milliseconds(std::chrono::duration<Rep, Period> time) noexcept {
    return std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(time).count());
}

} // namespace detail

/// A string for C, for the length of a call: from a const char * (nullptr is C's NULL), or anything with c_str(), a
/// std::string or a std::filesystem::path. One with a NUL inside, which C would cut short, throws std::invalid_argument.
class text {
  public:
    text(const char *from) noexcept : at_(from) {}
    text(std::string_view from) : kept_(from), at_(checked(kept_.c_str(), kept_.size())) {}
    template <class String, class = std::enable_if_t<std::is_convertible_v<decltype(std::declval<const String &>().c_str()), const char *>>>
    text(const String &from) : at_(checked(from.c_str(), length(from, 0))) {}
    text(const text &) = delete;
    text &operator=(const text &) = delete;

    const char *c_str() const noexcept { return at_; }

  private:
    static const char *checked(const char *from, std::size_t length) {
        if (std::strlen(from) != length) throw std::invalid_argument("sandbox: a NUL inside of a string");
        return from;
    }
    template <class String> static auto length(const String &from, int) -> decltype(std::size_t{from.size()}) { return from.size(); }
    template <class String> static auto length(const String &from, long) -> decltype(std::size_t{from.native().size()}) { return from.native().size(); }

    std::string kept_;
    const char *at_;
};

// --- fds ---

/// An fd that closes itself.
class unique_fd {
  public:
    unique_fd() noexcept = default;
    explicit unique_fd(int fd) noexcept : fd_(fd < 0 ? -1 : fd) {}
    unique_fd(unique_fd &&other) noexcept : fd_(other.release()) {}
    unique_fd &operator=(unique_fd &&other) noexcept {
        reset(other.release());
        return *this;
    }
    ~unique_fd() { reset(); }

    /// -1: none.
    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    int release() noexcept { return std::exchange(fd_, -1); }
    void reset(int fd = -1) noexcept {
        const int old = std::exchange(fd_, fd);
        if (old >= 0 && old != fd) ::close(old);
    }

    /// All that comes until its end.
    std::string read_all() const {
        std::string all;
        char part[16384];
        for (;;) {
            const ssize_t n = ::read(fd_, part, sizeof part);
            if (n < 0 && errno == EINTR) continue;
            const int errnum = n < 0 ? errno : 0;
            // EIO is how a pseudoterminal says that the other side is closed.
            if (n == 0 || (errnum == EIO && ::isatty(fd_))) return all;
            if (n < 0) throw error(errnum, "read");
            all.append(part, static_cast<std::size_t>(n));
        }
    }
    /// All of `data`. Where nobody reads any more the kernel sends SIGPIPE; to a host that ignores it this throws EPIPE.
    void write_all(std::string_view data) const {
        while (!data.empty()) {
            const ssize_t n = ::write(fd_, data.data(), data.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw error(errno, "write");
            data.remove_prefix(static_cast<std::size_t>(n));
        }
    }

  private:
    int fd_ = -1;
};

/// Where a standard stream of a command goes: stream::inherit, null, pipe, pty, or an fd, which is borrowed.
class stream {
  public:
    static const stream inherit, null, pipe, pty;
    stream(int fd) noexcept : mode_(SANDBOX_STDIO_FD), fd_(fd) {}
    stream(const unique_fd &fd) noexcept : stream(fd.get()) {}
    std::uint32_t mode() const noexcept { return mode_; }
    int fd() const noexcept { return fd_; }

  private:
    constexpr explicit stream(sandbox_stdio mode) noexcept : mode_(mode), fd_(-1) {}
    std::uint32_t mode_;
    int fd_;
};
inline const stream stream::inherit{SANDBOX_STDIO_INHERIT};
inline const stream stream::null{SANDBOX_STDIO_NULL};
inline const stream stream::pipe{SANDBOX_STDIO_PIPE};
inline const stream stream::pty{SANDBOX_STDIO_PTY};

// --- how it ended ---

/// How a program ended and what it used: the C struct, and what one asks it.
struct status : sandbox_status {
    std::optional<int> exit_code() const noexcept { return kind == SANDBOX_EXITED ? std::optional<int>(code) : std::nullopt; }
    std::optional<int> signal() const noexcept { return kind == SANDBOX_SIGNALED ? std::optional<int>(code) : std::nullopt; }
    /// It exited with 0.
    bool ok() const noexcept { return kind == SANDBOX_EXITED && code == 0; }
    /// A time limit of a run ended it.
    bool timed_out() const noexcept { return cause == SANDBOX_CAUSE_TIMEOUT; }
    std::chrono::microseconds user_time() const noexcept { return micro(user_time_us); }
    std::chrono::microseconds system_time() const noexcept { return micro(system_time_us); }
    std::chrono::microseconds wall_time() const noexcept { return micro(wall_time_us); }
    /// "exit code 3", "signal 9 (timeout)".
    std::string to_string() const {
        static const char *const causes[] = {"", " (filter)", " (memory)", " (timeout)", " (killed)"};
        return (kind == SANDBOX_EXITED ? "exit code " : "signal ") + std::to_string(code) + (cause < 5 ? causes[cause] : "");
    }

  private:
    static std::chrono::microseconds micro(std::uint64_t us) noexcept { return std::chrono::microseconds(static_cast<std::int64_t>(us)); }
};

// --- filters ---

/// An argument of a system call, for a filter's conditions: arg(0) == AF_INET, (arg(2) & O_ACCMODE) == O_RDONLY.
/// Comparisons are unsigned and 64 bits wide.
class arg {
  public:
    constexpr explicit arg(std::uint32_t index) noexcept : index_(index) {}
    class masked {
      public:
        constexpr masked(std::uint32_t index, std::uint64_t mask) noexcept : index_(index), mask_(mask) {}
        constexpr sandbox_arg operator==(std::uint64_t value) const noexcept { return {index_, SANDBOX_CMP_MASKED_EQ, value, mask_}; }

      private:
        std::uint32_t index_;
        std::uint64_t mask_;
    };
    constexpr masked operator&(std::uint64_t mask) const noexcept { return {index_, mask}; }
    constexpr sandbox_arg operator==(std::uint64_t value) const noexcept { return {index_, SANDBOX_CMP_EQ, value, 0}; }
    constexpr sandbox_arg operator!=(std::uint64_t value) const noexcept { return {index_, SANDBOX_CMP_NE, value, 0}; }
    constexpr sandbox_arg operator<(std::uint64_t value) const noexcept { return {index_, SANDBOX_CMP_LT, value, 0}; }
    constexpr sandbox_arg operator<=(std::uint64_t value) const noexcept { return {index_, SANDBOX_CMP_LE, value, 0}; }
    constexpr sandbox_arg operator>=(std::uint64_t value) const noexcept { return {index_, SANDBOX_CMP_GE, value, 0}; }
    constexpr sandbox_arg operator>(std::uint64_t value) const noexcept { return {index_, SANDBOX_CMP_GT, value, 0}; }

  private:
    std::uint32_t index_;
};

/// A seccomp filter: a default action and rules. Move-only; compiled once, when it is first used.
class filter {
  public:
    /// SANDBOX_ACT_*: for calls that no rule is about.
    explicit filter(std::uint32_t default_action = SANDBOX_ACT_ALLOW) : filter_(detail::api().filter_new(default_action)) {}

    /// `action` for a system call, by name, where all the conditions hold; of several rules the first that applies.
    filter &rule(std::uint32_t action, text syscall, std::initializer_list<sandbox_arg> conditions = {}) & {
        return note(detail::api().filter_rule(get(), action, syscall.c_str(), conditions.size() ? conditions.begin() : nullptr, conditions.size()));
    }
    /// Ready-made: a sum of SANDBOX_DENY_*.
    filter &deny(std::uint64_t what) & { return note(detail::api().filter_deny(get(), what)); }
    filter &deny_ioctl(std::uint32_t request) & { return note(detail::api().filter_deny_ioctl(get(), request)); }
    filter &deny_setsockopt(std::uint32_t level, std::uint32_t option) & { return note(detail::api().filter_deny_setsockopt(get(), level, option)); }
    /// One more architecture; all but the native one are killed unless added.
    filter &arch(text name) & { return note(detail::api().filter_arch(get(), name.c_str())); }
    /// A sum of SANDBOX_FILTER_*.
    filter &flags(std::uint64_t flags) & { return note(detail::api().filter_flags(get(), flags)); }
    /// Rules in minijail's policy language.
    filter &policy(std::string_view policy) & {
        sandbox_error e{};
        return note(detail::api().filter_policy(get(), policy.data(), policy.size(), &e), &e);
    }
    /// Where the @include lines of policies read later are looked for.
    filter &policy_directory(text path) & { return note(detail::api().filter_policy_directory(get(), path.c_str())); }
    /// A profile of the OCI runtime specification, as Docker's; sets the default too.
    filter &oci(std::string_view json) & {
        sandbox_error e{};
        return note(detail::api().filter_oci(get(), json.data(), json.size(), &e), &e);
    }
    filter &oci_capabilities(std::uint64_t capabilities) & { return note(detail::api().filter_oci_capabilities(get(), capabilities)); }
    /// Instructions as they are, `count` times struct sock_filter, in place of all rules.
    filter &bpf(const void *instructions, std::size_t count) & { return note(detail::api().filter_bpf(get(), instructions, count)); }

    // The same of a filter just made, so that one can be built in an expression.
    filter &&rule(std::uint32_t action, text syscall, std::initializer_list<sandbox_arg> conditions = {}) && {
        return std::move(rule(action, syscall.c_str(), conditions));
    }
    filter &&deny(std::uint64_t what) && { return std::move(deny(what)); }
    filter &&deny_ioctl(std::uint32_t request) && { return std::move(deny_ioctl(request)); }
    filter &&deny_setsockopt(std::uint32_t level, std::uint32_t option) && { return std::move(deny_setsockopt(level, option)); }
    filter &&arch(text name) && { return std::move(arch(name.c_str())); }
    filter &&flags(std::uint64_t bits) && { return std::move(flags(bits)); }
    filter &&policy(std::string_view text) && { return std::move(policy(text)); }
    filter &&policy_directory(text path) && { return std::move(policy_directory(path.c_str())); }
    filter &&oci(std::string_view json) && { return std::move(oci(json)); }
    filter &&oci_capabilities(std::uint64_t capabilities) && { return std::move(oci_capabilities(capabilities)); }
    filter &&bpf(const void *instructions, std::size_t count) && { return std::move(bpf(instructions, count)); }

    /// Throws the first refusal of a setter, if there was one.
    const filter &check() const {
        if (first_.code < 0) throw error(first_);
        return *this;
    }
    /// What the kernel would do with a call, without asking it: SANDBOX_ACT_*.
    std::uint32_t simulate(const sandbox_syscall &call) const {
        std::uint32_t action = 0;
        used(detail::api().filter_simulate(get(), &call, &action), "simulate");
        return action;
    }
    /// Writes the compiled instructions to an fd; their number.
    int export_to(int fd) const { return used(detail::api().filter_export(get(), fd), "export"); }

    sandbox_filter *get() const noexcept { return filter_.get(); }

  private:
    /// The library latches what it refuses, but tells it only where a filter is added to a command.
    filter &note(int code, const sandbox_error *told = nullptr) {
        if (code >= 0 || first_.code < 0) return *this;
        if (told && told->code < 0) {
            first_ = *told;
            return *this;
        }
        first_ = {code, SANDBOX_STAGE_SECCOMP, 0, {}};
        const detail::owned<sandbox_cmd, &detail::functions::cmd_free> asked(detail::api().cmd_new("filter"));
        if (detail::api().cmd_filter(asked.get(), get()) < 0) detail::api().cmd_error(asked.get(), &first_);
        return *this;
    }
    int used(int code, const char *doing) const {
        if (code < 0) check();
        return detail::check(code, doing);
    }

    detail::owned<sandbox_filter, &detail::functions::filter_free> filter_;
    sandbox_error first_{};
};

// --- the running child ---

/// A child that was started. Destroyed, one that still runs is killed and reaped, unless it was detached, or this is a
/// forked copy of the process that started it. One thread may kill it while another waits for it.
class child {
  public:
    pid_t pid() const noexcept { return detail::api().child_pid(get()); }
    /// The handle's own, for poll: readable once the child has ended.
    int pidfd() const { return fds().pidfd; }
    /// What of the handle's is open, the streams below not among them.
    sandbox_fds fds() const {
        sandbox_fds fds{};
        detail::check(detail::api().child_fds(get(), &fds, sizeof fds), "child_fds");
        return fds;
    }

    /// The other ends of those streams that are stream::pipe; reset() closes one.
    unique_fd &in() noexcept { return in_; }
    unique_fd &out() noexcept { return out_; }
    unique_fd &err() noexcept { return err_; }
    /// The master of the pseudoterminal.
    unique_fd &pty() noexcept { return pty_; }
    /// Takes SANDBOX_FD_PIDFD (a copy), _SECCOMP or _CGROUP.
    unique_fd take(sandbox_fd which) { return unique_fd(detail::check(detail::api().child_take_fd(get(), which), "take_fd")); }

    /// Waits for the end. Throws where it can't be told: ECHILD, or what exec failed with after the spawn had returned.
    status wait() const { return *waited(-1); }
    /// The same for so long; nothing: it still runs.
    template <class Rep, class Period> std::optional<status> wait_for(std::chrono::duration<Rep, Period> time) const { return waited(detail::milliseconds(time)); }
    /// Without throwing: `code` is std::errc::timed_out where it still runs.
    template <class Rep, class Period> std::optional<status> wait_for(std::chrono::duration<Rep, Period> time, std::error_code &code) const noexcept {
        status status{};
        const int failed = detail::api().child_wait(get(), detail::milliseconds(time), &status, sizeof(sandbox_status));
        code.assign(-failed, std::generic_category());
        return failed < 0 ? std::nullopt : std::optional<sandbox::status>(status);
    }
    /// How it ended, or nothing while it runs.
    std::optional<status> poll() const { return waited(0); }

    /// Waits until exec has happened, and throws what it failed with. Takes time only where a filter has execve notified.
    void wait_exec() const { exec_waited(-1); }
    /// The same for so long; false: not yet.
    template <class Rep, class Period> bool wait_exec_for(std::chrono::duration<Rep, Period> time) const { return exec_waited(detail::milliseconds(time)); }

    /// Sends a signal, by the pidfd; false: it has ended.
    bool kill(int signal = SIGKILL) const {
        const int code = detail::api().child_kill(get(), signal);
        return code == -ESRCH ? false : detail::check(code, "kill") == 0;
    }
    /// Ends it and all its descendants, by its cgroup, pid namespace or init, also when it has ended itself.
    void kill_all() const { detail::check(detail::api().child_kill_all(get()), "kill_all"); }
    /// Stops everything in its cgroup, or lets it go on.
    void freeze(bool on = true) const { detail::check(detail::api().child_freeze(get(), on), "freeze"); }
    /// It is left running when this object goes.
    void detach() { detail::check(detail::api().child_detach(get()), "detach"); }

    /// Of a handle of the C interface, which is now this object's.
    explicit child(sandbox_child *handle) noexcept
        : child_(handle), in_(taken(SANDBOX_FD_STDIN)), out_(taken(SANDBOX_FD_STDOUT)), err_(taken(SANDBOX_FD_STDERR)), pty_(taken(SANDBOX_FD_PTY)) {}
    sandbox_child *get() const noexcept { return child_.get(); }

  private:
    int taken(sandbox_fd which) const noexcept { return detail::api().child_take_fd(get(), which); }
    std::optional<status> waited(std::int64_t timeout) const {
        status status{};
        const int code = detail::api().child_wait(get(), timeout, &status, sizeof(sandbox_status));
        if (code == -ETIMEDOUT && timeout >= 0) return std::nullopt;
        detail::check(code, "wait");
        return status;
    }
    bool exec_waited(std::int64_t timeout) const {
        sandbox_error e{};
        const int code = detail::api().child_wait_exec(get(), timeout, &e);
        if (code == -ETIMEDOUT && timeout >= 0) return false;
        if (!detail::told(code, e)) throw error(e);
        return true;
    }

    detail::running<sandbox_child, &detail::functions::child_free> child_;
    unique_fd in_, out_, err_, pty_;
};

// --- the command ---

/// A program with its arguments, environment, streams and confinement. Not changed by spawning: one can be spawned many
/// times, from many threads at once. A copy is a command of its own.
///
/// Setters return the command, and do not throw on what the library refuses: the first refusal is kept, and comes out of
/// spawn, run, explain and check.
class command {
  public:
    /// A path, or a name looked for in the child's PATH; and arguments.
    template <class... Args> explicit command(text program, const Args &...args) : cmd_(detail::api().cmd_new(program.c_str())) { (arg(args), ...); }
    command(const command &other) : cmd_(detail::api().cmd_clone(other.get())), ready_(other.ready_), maps_(other.maps_) {}
    command(command &&) noexcept = default;
    command &operator=(command other) noexcept {
        cmd_.swap(other.cmd_), ready_.swap(other.ready_), maps_.swap(other.maps_);
        return *this;
    }

    // The program.
    command &arg(text arg) { return did(detail::api().cmd_arg(get(), arg.c_str())); }
    command &args(std::initializer_list<text> args) { return did(detail::api().cmd_args(get(), pointers(args).data())); }
    /// Of any range of strings.
    template <class Range> command &args(const Range &range) {
        for (const auto &each : range) arg(each);
        return *this;
    }
    /// What the program sees as its own name.
    command &arg0(text name) { return did(detail::api().cmd_arg0(get(), name.c_str())); }
    /// On top of the host's environment at the moment of the spawn.
    command &env(text name, text value) { return did(detail::api().cmd_env(get(), name.c_str(), value.c_str())); }
    command &unset_env(text name) { return did(detail::api().cmd_env(get(), name.c_str(), nullptr)); }
    command &clear_env() { return did(detail::api().cmd_env_clear(get())); }
    command &cwd(text path) { return did(detail::api().cmd_cwd(get(), path.c_str())); }
    /// The first of these that it can enter; PWD says which.
    command &cwd_first(std::initializer_list<text> paths) { return did(detail::api().cmd_cwd_first(get(), pointers(paths).data())); }
    /// Executes the file open at `fd`.
    command &exec_fd(int fd) { return did(detail::api().cmd_exec_fd(get(), fd)); }

    // Streams and fds. Those given are borrowed.
    command &in(stream stream) { return stdio(0, stream); }
    command &out(stream stream) { return stdio(1, stream); }
    command &err(stream stream) { return stdio(2, stream); }
    command &stdio(int target, stream stream) { return did(detail::api().cmd_stdio(get(), target, stream.mode(), stream.fd())); }
    /// Gives the child `fd` as its number `target`.
    command &pass_fd(int fd, int target) { return did(detail::api().cmd_pass_fd(get(), fd, target)); }

    // Limits and options.
    /// RLIMIT_*; RLIM_INFINITY is none.
    command &rlimit(int resource, std::uint64_t soft, std::uint64_t hard) { return did(detail::api().cmd_rlimit(get(), static_cast<std::uint32_t>(resource), soft, hard)); }
    command &rlimit(int resource, std::uint64_t both) { return rlimit(resource, both, both); }
    /// SANDBOX_OPT_*; a negative value as it is.
    template <class Integer> command &set(sandbox_option option, Integer value) {
        static_assert(std::is_integral_v<Integer> || std::is_enum_v<Integer>);
        return did(detail::api().cmd_set(get(), option, static_cast<std::uint64_t>(value)));
    }
    /// The CPUs that it may run on, by number.
    command &cpus(const std::vector<unsigned> &cpus) {
        std::vector<std::uint64_t> mask(1);
        for (const unsigned cpu : cpus) {
            if (cpu / 64 >= mask.size()) mask.resize(std::min<std::size_t>(cpu / 64 + 1, 129)); // more than C takes: refused there
            if (cpu / 64 < mask.size()) mask[cpu / 64] |= std::uint64_t{1} << cpu % 64;
        }
        return did(detail::api().cmd_cpus(get(), mask.data(), mask.size()));
    }

    // Namespaces and identity.
    /// A sum of SANDBOX_NS_*.
    command &unshare(std::uint64_t namespaces) { return did(detail::api().cmd_unshare(get(), namespaces)); }
    command &join(int namespace_fd) { return did(detail::api().cmd_join(get(), namespace_fd)); }
    command &map_uid(std::uint32_t inside, std::uint32_t outside, std::uint32_t count = 1) { return did(detail::api().cmd_map_uid(get(), inside, outside, count)); }
    command &map_gid(std::uint32_t inside, std::uint32_t outside, std::uint32_t count = 1) { return did(detail::api().cmd_map_gid(get(), inside, outside, count)); }
    command &user(std::uint32_t uid, std::uint32_t gid) { return did(detail::api().cmd_user(get(), uid, gid)); }
    command &groups(const std::vector<std::uint32_t> &gids) { return did(detail::api().cmd_groups(get(), gids.data(), gids.size())); }
    command &hostname(text name) { return did(detail::api().cmd_hostname(get(), name.c_str())); }
    command &domainname(text name) { return did(detail::api().cmd_domainname(get(), name.c_str())); }
    /// How far CLOCK_MONOTONIC or CLOCK_BOOTTIME of its time namespace is ahead.
    command &time_offset(int clock, std::chrono::nanoseconds ahead) {
        const auto seconds = std::chrono::floor<std::chrono::seconds>(ahead);
        return did(detail::api().cmd_time_offset(get(), static_cast<std::uint32_t>(clock), seconds.count(), static_cast<std::uint32_t>((ahead - seconds).count())));
    }
    /// Capabilities to keep, bit n for capability n; without this call none is kept.
    command &caps(std::uint64_t keep, std::uint64_t ambient = 0) { return did(detail::api().cmd_caps(get(), keep, ambient)); }
    /// All that a common wish takes, in one call.
    command &preset(sandbox_preset preset) { return did(detail::api().cmd_preset(get(), preset)); }

    // The file system. Flags are sums of SANDBOX_MOUNT_*: read-only unless RW.
    /// nullptr: a new tmpfs.
    command &root(text directory = nullptr, std::uint64_t flags = 0) { return did(detail::api().cmd_root(get(), directory.c_str(), flags)); }
    command &bind(text source, text target, std::uint64_t flags = 0) { return did(detail::api().cmd_bind(get(), source.c_str(), target.c_str(), flags)); }
    /// At the same path.
    command &bind(text path) { return bind(path.c_str(), path.c_str()); }
    command &bind_fd(int fd, text target, std::uint64_t flags = 0) { return did(detail::api().cmd_bind_fd(get(), fd, target.c_str(), flags)); }
    /// At most `bytes`; 0: the kernel's default.
    command &tmpfs(text target, std::uint64_t bytes = 0, std::uint32_t mode = 0755) { return did(detail::api().cmd_tmpfs(get(), target.c_str(), bytes, mode)); }
    /// A sum of SANDBOX_PROC_*.
    command &proc(text target = "/proc", std::uint64_t flags = 0) { return did(detail::api().cmd_proc(get(), target.c_str(), flags)); }
    command &mqueue(text target = "/dev/mqueue") { return did(detail::api().cmd_mqueue(get(), target.c_str())); }
    command &dev(text target = "/dev") { return did(detail::api().cmd_dev(get(), target.c_str())); }
    /// `lowers`, the topmost first, as one tree; without `upper` and `work` changes are kept in memory and lost.
    command &overlay(std::initializer_list<text> lowers, text target, text upper = nullptr, text work = nullptr) {
        return did(detail::api().cmd_overlay(get(), pointers(lowers).data(), upper.c_str(), work.c_str(), target.c_str()));
    }
    /// Two directories or more, the topmost first, that nobody can write to.
    command &overlay_ro(std::initializer_list<text> lowers, text target) { return did(detail::api().cmd_overlay_ro(get(), pointers(lowers).data(), target.c_str())); }
    /// Terminals of its own.
    command &devpts(text target = "/dev/pts") { return did(detail::api().cmd_devpts(get(), target.c_str())); }
    command &file(text target, std::string_view data, std::uint32_t mode = 0644) {
        return did(detail::api().cmd_file(get(), target.c_str(), data.data(), data.size(), mode));
    }
    /// A file put there as a sum of SANDBOX_DATA_* says: mounted over what is there, or written into it.
    command &data(text target, std::string_view data, std::uint32_t mode = 0644, std::uint64_t flags = 0) {
        return did(detail::api().cmd_data(get(), target.c_str(), data.data(), data.size(), mode, flags));
    }
    command &dir(text target, std::uint32_t mode = 0755) { return did(detail::api().cmd_dir(get(), target.c_str(), mode)); }
    /// A symlink at `target` that says `says`.
    command &symlink(text says, text target) { return did(detail::api().cmd_symlink(get(), says.c_str(), target.c_str())); }
    command &mask(text target) { return did(detail::api().cmd_mask(get(), target.c_str())); }

    /// The mode of what is there by then: on the host too, where that is bound with RW.
    command &chmod(text target, std::uint32_t mode) { return did(detail::api().cmd_chmod(get(), target.c_str(), mode)); }
    /// What is mounted there is read-only from there on; DEV and SUID stay, EXEC_OFF.
    command &remount(text target, std::uint64_t flags = 0) { return did(detail::api().cmd_remount(get(), target.c_str(), flags)); }
    /// Its init holds `fd` open, which the program does not get, or a shared lock of a file, as long as it lives.
    command &init_fd(int fd) { return did(detail::api().cmd_init_fd(get(), fd)); }
    command &init_lock(text path) { return did(detail::api().cmd_init_lock(get(), path.c_str())); }

    // Landlock: sums of SANDBOX_LANDLOCK_*. Cgroups. Filters.
    command &landlock_path(text path, std::uint64_t access) { return did(detail::api().cmd_landlock_path(get(), path.c_str(), access)); }
    command &landlock_port(std::uint16_t port, std::uint64_t access) { return did(detail::api().cmd_landlock_port(get(), port, access)); }
    command &landlock_scope(std::uint64_t scopes) { return did(detail::api().cmd_landlock_scope(get(), scopes)); }
    /// A fresh leaf below `parent`; nullptr: a delegated one is looked for.
    command &cgroup(text parent = nullptr) { return did(detail::api().cmd_cgroup(get(), parent.c_str())); }
    command &cgroup_set(text file, text value) { return did(detail::api().cmd_cgroup_set(get(), file.c_str(), value.c_str())); }
    /// A filter as it is now; several stack.
    command &filter(const sandbox::filter &filter) { return did(detail::api().cmd_filter(get(), filter.get())); }

    // Hooks.
    /// Seized by the thread that spawns; PTRACE_O_*.
    command &ptrace(std::uint64_t options = 0) { return did(detail::api().cmd_ptrace(get(), options)); }
    /// Has `function(pid, pidfd)` called in the spawning thread, while the child is held. What it throws ends the child,
    /// and comes out of the spawn.
    command &on_ready(std::function<void(pid_t, int)> function) {
        ready_ = function ? std::make_shared<ready>(std::move(function)) : nullptr;
        return did(detail::api().cmd_on_ready(get(), ready_ ? &command::call_ready : nullptr, ready_.get()));
    }
    /// The same, to write the uid_map and gid_map of its user namespace in the library's place.
    command &on_maps(std::function<void(pid_t, int)> function) {
        maps_ = function ? std::make_shared<ready>(std::move(function)) : nullptr;
        return did(detail::api().cmd_on_maps(get(), maps_ ? &command::call_ready : nullptr, maps_.get()));
    }
    /// Has `function` called in the child, in a copy of this process's memory: only async-signal-safe functions, and no
    /// exceptions; below 0 it ends the child. nullptr: none.
    command &pre_exec(int (*function)(void *) noexcept, void *userdata = nullptr) { return did(detail::api().cmd_pre_exec(get(), function, userdata)); }

    // Using it.
    /// Throws the first refusal of a setter, if there was one.
    const command &check() const {
        sandbox_error e{};
        const int code = detail::api().cmd_error(get(), &e);
        if (!detail::told(code, e)) throw error(e);
        return *this;
    }
    /// Starts it: returns once exec has happened, throws what failed before.
    child spawn() const {
        sandbox_error e{};
        std::optional<child> started = spawn(e);
        if (!started) throw error(e);
        return std::move(*started);
    }
    /// Without throwing, but for what on_ready throws: `e` says what failed; `e.code` is 0 where nothing did.
    std::optional<child> spawn(sandbox_error &e) const {
        sandbox_child *started = nullptr;
        e = {};
        const int code = detail::around([&] { return detail::api().spawn(get(), &started, &e); });
        return detail::told(code, e) ? std::optional<child>(std::in_place, started) : std::nullopt;
    }
    /// What a spawn would do, in order.
    std::string explain() const {
        sandbox_error e{};
        const int length = detail::api().cmd_explain(get(), nullptr, 0, &e);
        if (!detail::told(length, e)) throw error(e);
        std::string text(static_cast<std::size_t>(length) + 1, '\0');
        detail::check(detail::api().cmd_explain(get(), text.data(), text.size(), &e), "explain");
        text.resize(std::strlen(text.c_str()));
        return text;
    }

    sandbox_cmd *get() const noexcept { return cmd_.get(); }

  private:
    friend class pool;
    using ready = std::function<void(pid_t, int)>;

    static int call_ready(std::int32_t pid, int pidfd, void *function) noexcept {
        try {
            (*static_cast<ready *>(function))(pid, pidfd);
            return 0;
        } catch (...) {
            detail::raised() = std::current_exception();
            return -ECANCELED;
        }
    }
    static std::vector<const char *> pointers(std::initializer_list<text> texts) {
        std::vector<const char *> list;
        for (const text &each : texts) list.push_back(each.c_str());
        list.push_back(nullptr);
        return list;
    }
    command &did(int) noexcept { return *this; } // latched

    detail::owned<sandbox_cmd, &detail::functions::cmd_free> cmd_;
    std::shared_ptr<ready> ready_, maps_; // what the library calls back: a copy's too
};

// --- one run, from start to end ---

/// Input and limits of a run.
struct run_options {
    /// What the program reads; none: /dev/null. Borrowed for the run.
    std::optional<std::string_view> input{};
    /// Wall-clock time, and CPU time of all its processes together; none: no limit.
    std::optional<std::chrono::milliseconds> wall_time{}, cpu_time{};
    /// Bytes to keep; 0: 16 MiB. What is beyond is counted and thrown away, or ends the program.
    std::uint64_t out_limit = 0, err_limit = 0;
    bool kill_at_limit = false;
    /// Standard error goes where standard output goes.
    bool merge_err = false;
    /// An fd that ends the run once it is readable; -1: none.
    int cancel_fd = -1;
};

/// What came of a run.
class result {
  public:
    sandbox::status status() const {
        sandbox::status status{};
        detail::check(detail::api().result_status(get(), &status, sizeof(sandbox_status)), "result_status");
        return status;
    }
    /// It exited with 0.
    bool ok() const { return status().ok(); }
    /// What it wrote; this object's.
    std::string_view out() const { return view(output(1)); }
    std::string_view err() const { return view(output(2)); }
    /// Bytes beyond the limits, read and thrown away.
    std::uint64_t out_cut() const { return output(1).cut; }
    std::uint64_t err_cut() const { return output(2).cut; }
    /// Which limits were exceeded: a sum of SANDBOX_LIMIT_*.
    int limits() const { return detail::check(detail::api().result_limits(get()), "result_limits"); }

    /// Of a handle of the C interface, which is now this object's.
    explicit result(sandbox_result *handle) noexcept : result_(handle) {}
    sandbox_result *get() const noexcept { return result_.get(); }

  private:
    sandbox_output output(int target) const {
        sandbox_output output{};
        detail::check(detail::api().result_output(get(), target, &output, sizeof output), "result_output");
        return output;
    }
    static std::string_view view(const sandbox_output &output) noexcept { return {static_cast<const char *>(output.data), output.length}; }

    detail::owned<sandbox_result, &detail::functions::result_free> result_;
};

/// Runs a command to its end: feeds it, collects its output, holds the limits, ends every descendant. Without throwing,
/// but for what on_ready throws: `e` says what failed.
inline std::optional<result> run(const command &command, const run_options &options, sandbox_error &e) {
    sandbox_bytes input{nullptr, 0};
    if (options.input) input = {options.input->data() ? options.input->data() : "", options.input->size()};
    // C's 0 is "no limit": no time left is not that.
    const auto limit = [](std::optional<std::chrono::milliseconds> time) { return time ? static_cast<std::uint64_t>(std::max<std::int64_t>(1, time->count())) : 0; };
    sandbox_run_options how{};
    how.size = sizeof how;
    if (options.merge_err) how.flags |= SANDBOX_RUN_MERGE_STDERR;
    if (options.kill_at_limit) how.flags |= SANDBOX_RUN_KILL_AT_LIMIT;
    if (options.cancel_fd >= 0) how.flags |= SANDBOX_RUN_CANCEL_FD;
    how.stdout_limit = options.out_limit, how.stderr_limit = options.err_limit;
    how.wall_time_ms = limit(options.wall_time), how.cpu_time_ms = limit(options.cpu_time);
    how.cancel_fd = std::max(options.cancel_fd, 0);
    sandbox_result *handle = nullptr;
    e = {};
    const int code = detail::around([&] { return detail::api().run(command.get(), options.input ? &input : nullptr, &how, &handle, &e); });
    return detail::told(code, e) ? std::optional<result>(std::in_place, handle) : std::nullopt;
}

/// The same; throws what failed. However the program ends, that is no failure: see result::status.
inline result run(const command &command, const run_options &options = {}) {
    sandbox_error e{};
    std::optional<result> ran = run(command, options, e);
    if (!ran) throw error(e);
    return std::move(*ran);
}

// --- the warm pool ---

/// Children of one command, set up ahead and held with nothing of it run; each is for one run. Any number of threads may
/// use it at once. Destroyed it ends those that it holds.
class pool {
  public:
    /// `size`: 1 to 4096.
    pool(const command &command, std::size_t size) : ready_(command.ready_), maps_(command.maps_), pool_(detail::api().pool_new(command.get(), size)) {
        if (!pool_) throw error(EINVAL, "a pool of 1 to 4096 children");
    }
    /// Runs a held child, or one set up now where none is left.
    child spawn() { return started(nullptr); }
    /// `override`: another program, arguments, environment, streams, passed fds, directory.
    child spawn(const command &override) { return started(&override); }
    /// Without throwing, as command::spawn. `override` may be nullptr.
    std::optional<child> spawn(const command *override, sandbox_error &e) {
        sandbox_child *handle = nullptr;
        e = {};
        const int code = detail::around([&] { return detail::api().pool_spawn(pool_.get(), override ? override->get() : nullptr, &handle, &e); });
        return detail::told(code, e) ? std::optional<child>(std::in_place, handle) : std::nullopt;
    }
    /// Sets up what is missing; how many were.
    int refill() {
        sandbox_error e{};
        const int code = detail::api().pool_refill(pool_.get(), &e);
        if (!detail::told(code, e)) throw error(e);
        return code;
    }

  private:
    child started(const command *override) {
        sandbox_error e{};
        std::optional<child> started = spawn(override, e);
        if (!started) throw error(e);
        return std::move(*started);
    }

    std::shared_ptr<void> ready_, maps_; // the command's hooks, which the pool's copy calls
    detail::running<sandbox_pool, &detail::functions::pool_free> pool_;
};

// --- the supervisor ---

/// One notified system call, in a handler; not to be used once that has returned. A handler gives one answer: deny,
/// return_value, return_fd or continue_unsafe; without one the call fails with ENOSYS. Answers are false where the caller
/// has gone meanwhile: what was done for it is to be undone.
///
/// The caller's other threads go on: what its pointers point to may change. Read it once, decide and act on the copy.
class call {
  public:
    explicit call(sandbox_notify *handle) : notify_(handle) { detail::check(detail::api().notify_call(handle, &call_, sizeof call_), "notify_call"); }

    /// The number, on `arch` (AUDIT_ARCH_*), and the arguments.
    int nr() const noexcept { return call_.nr; }
    std::uint32_t arch() const noexcept { return call_.arch; }
    std::uint64_t arg(std::size_t index) const { return index < 6 ? call_.args[index] : throw std::out_of_range("sandbox::call::arg"); }
    /// An argument that the kernel takes as an int: an fd, flags.
    int int_arg(std::size_t index) const { return static_cast<int>(static_cast<std::uint32_t>(arg(index))); }

    pid_t pid() const { return detail::check(detail::api().notify_pid(notify_), "notify_pid"); }
    pid_t tid() const { return detail::check(detail::api().notify_tid(notify_), "notify_tid"); }
    /// The caller's; borrowed.
    int pidfd() const { return detail::check(detail::api().notify_pidfd(notify_), "notify_pidfd"); }
    /// Whether the caller still waits for this answer.
    bool alive() const noexcept { return detail::api().notify_check(notify_) == 0; }

    /// The call fails with this errno.
    bool deny(int errnum) { return answered(detail::api().notify_errno(notify_, errnum), "notify_errno"); }
    /// The call is not made, and returns `value`.
    bool return_value(std::int64_t value) { return answered(detail::api().notify_return(notify_, value), "notify_return"); }
    /// The kernel makes the call, with arguments that may have changed since they were looked at.
    bool continue_unsafe() { return answered(detail::api().notify_continue_unsafe(notify_), "notify_continue_unsafe"); }
    /// Gives the caller an fd, as what the call returns. Borrowed.
    bool return_fd(int fd, bool cloexec = true) { return answered(detail::api().notify_fd(notify_, fd, cloexec), "notify_fd"); }
    /// Gives the caller an fd besides the answer; its number there.
    int add_fd(int fd, int target = -1, bool cloexec = true) { return detail::check(detail::api().notify_add_fd(notify_, fd, target, cloexec), "notify_add_fd"); }
    /// A copy of one of the caller's fds.
    unique_fd get_fd(int fd) const { return unique_fd(detail::check(detail::api().notify_get_fd(notify_, fd), "notify_get_fd")); }

    /// Copies the caller's memory.
    void read(std::uint64_t address, void *buffer, std::size_t size) const { detail::check(detail::api().notify_read(notify_, address, buffer, size), "notify_read"); }
    template <class Plain> Plain read(std::uint64_t address) const {
        static_assert(std::is_trivially_copyable_v<Plain>);
        Plain plain{};
        read(address, &plain, sizeof plain);
        return plain;
    }
    void write(std::uint64_t address, const void *data, std::size_t size) { detail::check(detail::api().notify_write(notify_, address, data, size), "notify_write"); }
    /// A NUL-terminated string of the caller's, shorter than `size`.
    std::string string(std::uint64_t address, std::size_t size = PATH_MAX) const {
        std::string text(size, '\0');
        text.resize(static_cast<std::size_t>(detail::check(detail::api().notify_string(notify_, address, text.data(), size), "notify_string")));
        return text;
    }
    /// A socket address as connect, bind and sendto take it, and its length.
    std::pair<sockaddr_storage, socklen_t> sockaddr(std::uint64_t address, std::uint64_t length) const {
        std::pair<sockaddr_storage, socklen_t> got{};
        got.second = static_cast<socklen_t>(detail::check(detail::api().notify_sockaddr(notify_, address, length, &got.first, sizeof got.first), "notify_sockaddr"));
        return got;
    }
    /// Where a path of the caller's leads: a name, to decide by or to log.
    std::string path(int dirfd, std::uint64_t address, std::uint64_t flags = 0) const {
        std::string text(PATH_MAX, '\0');
        text.resize(static_cast<std::size_t>(detail::check(detail::api().notify_path(notify_, dirfd, address, flags, text.data(), text.size()), "notify_path")));
        return text;
    }
    /// Opens what openat with these arguments would open for the caller.
    unique_fd open(int dirfd, std::uint64_t address, std::uint64_t flags, std::uint64_t mode = 0) const {
        return unique_fd(detail::check(detail::api().notify_open(notify_, dirfd, address, flags, mode), "notify_open"));
    }
    /// The directory that a path's last name is in, and that name.
    std::pair<unique_fd, std::string> parent(int dirfd, std::uint64_t address) const {
        char name[NAME_MAX + 1];
        unique_fd directory(detail::check(detail::api().notify_parent(notify_, dirfd, address, name, sizeof name), "notify_parent"));
        return {std::move(directory), name};
    }

    sandbox_notify *get() const noexcept { return notify_; }

  private:
    static bool answered(int code, const char *doing) { return detail::check(code, doing) == 0; }

    sandbox_notify *notify_;
    sandbox_syscall call_{};
};

/// Answers the notified system calls of a child and of all that it starts. Several threads may dispatch at once.
///
/// What a handler throws has the call denied with EPERM, unless it was answered, and comes out of run or dispatch: of the
/// thread that the handler ran in.
class supervisor {
  public:
    using handler = std::function<void(call &)>;

    /// Takes the child's listener. EINVAL: none of its filters notifies, or it was taken.
    explicit supervisor(const child &child) : supervisor(detail::api().supervisor_new(child.get())) {}
    /// Of a listener that came from elsewhere; both fds are borrowed.
    static supervisor from_fd(int listener, int pidfd = -1) { return supervisor(detail::api().supervisor_from_fd(listener, pidfd)); }

    /// Has `handler` called for a system call, by name; an empty one is taken away. May be called while others dispatch.
    supervisor &on(text syscall, handler handler) { return set(syscall.c_str(), std::move(handler)); }
    /// For all that have none of their own.
    supervisor &on_others(handler handler) { return set(nullptr, std::move(handler)); }

    /// The listener, for poll and epoll: still the supervisor's.
    int fd() const { return detail::check(detail::api().supervisor_fd(get()), "supervisor_fd"); }
    /// Waits for a call, then answers what is pending; how many were answered.
    int dispatch() { return driven([&] { return detail::api().supervisor_dispatch(get(), -1); }); }
    template <class Rep, class Period> int dispatch_for(std::chrono::duration<Rep, Period> time) {
        return driven([&] { return detail::api().supervisor_dispatch(get(), detail::milliseconds(time)); });
    }
    /// Answers calls until the last program under the filter has ended.
    void run() { driven([&] { return detail::api().supervisor_run(get()); }); }
    /// Whether it has.
    bool ended() const { return detail::check(detail::api().supervisor_ended(get()), "supervisor_ended") != 0; }

    sandbox_supervisor *get() const noexcept { return supervisor_.get(); }

  private:
    struct handlers {
        std::mutex mutex;
        std::deque<handler> all; // one that was replaced may still run in another thread
    };

    explicit supervisor(sandbox_supervisor *handle) : handlers_(std::make_unique<handlers>()), supervisor_(handle) {
        if (!handle) throw error(EINVAL, "supervisor: no filter that notifies, or its listener was taken");
    }
    supervisor &set(const char *syscall, handler given) {
        handler *kept = nullptr;
        if (given) {
            const std::lock_guard lock(handlers_->mutex);
            kept = &handlers_->all.emplace_back(std::move(given));
        }
        const int code = detail::api().supervisor_on(get(), syscall, kept ? &supervisor::answer : nullptr, kept);
        if (code < 0) throw error(-code, std::string("a handler for ") + (syscall ? syscall : "all others"));
        return *this;
    }
    template <class Drive> static int driven(Drive &&drive) { return detail::check(detail::around(std::forward<Drive>(drive)), "supervisor"); }

    static int answer(sandbox_notify *notify, void *function) noexcept {
        try {
            call call(notify);
            (*static_cast<handler *>(function))(call);
            return 0;
        } catch (const error &e) {
            // Passed on as it is: where the caller has gone the library goes on, and nothing comes out.
            detail::raised() = std::current_exception();
            if (e.errnum() == ESRCH) return -ESRCH;
        } catch (...) {
            detail::raised() = std::current_exception();
        }
        detail::api().notify_errno(notify, EPERM); // nothing where it was answered
        return -ECANCELED;
    }

    std::unique_ptr<handlers> handlers_;
    detail::running<sandbox_supervisor, &detail::functions::supervisor_free> supervisor_; // goes before its handlers
};

// --- what there is ---

/// What this kernel allows this process, here and now, found by trying: takes some tens of milliseconds.
inline sandbox_features probe() {
    sandbox_features features{};
    detail::check(detail::api().probe(&features, sizeof features), "probe");
    return features;
}

} // inline namespace
} // namespace sandbox

#endif
