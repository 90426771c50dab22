// Commands, children and runs: what is asked for, and what goes wrong.
#include "test.hpp"

#include <fcntl.h>
#include <future>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>

using namespace std::chrono_literals;
using sandbox::child, sandbox::command, sandbox::stream;

static std::string output(const command &command) { return std::string(sandbox::run(command).out()); }

// --- without a process: these are run under Valgrind too ---

TEST(latched, "alone: a setter's refusal is kept, and comes out of whatever uses the command") {
    command spoiled("true");
    spoiled.set(SANDBOX_OPT_NICE, 99).cwd("/tmp").set(SANDBOX_OPT_UMASK, -1);
    for (const sandbox::error &e : {thrown<sandbox::error>([&] { spoiled.check(); }), thrown<sandbox::error>([&] { spoiled.spawn(); }),
                                    thrown<sandbox::error>([&] { sandbox::run(spoiled); }), thrown<sandbox::error>([&] { spoiled.explain(); }),
                                    thrown<sandbox::error>([&] { command(spoiled).check(); })}) {
        CHECK_HAS(e.message(), "NICE takes -20 to 19");
        CHECK_EQ(e.errnum(), EINVAL);
        CHECK(e.code() == std::errc::invalid_argument && e.stage() == SANDBOX_STAGE_SETUP);
    }
    sandbox_error told{};
    CHECK(!spoiled.spawn(told) && told.code == -EINVAL);
    CHECK(!sandbox::run(spoiled, {}, told) && told.code == -EINVAL);
    command("true").check();
}

TEST(texts, "alone: strings of every kind, and none with a NUL inside") {
    const std::string own = "a";
    const std::string_view view("bcd", 1);
    command command("true", "literal", own, view);
    command.args({"x", own, view}).args(std::vector<std::string>{"y", "z"}).arg(std::string(1000, 'w'));
    command.check();
    CHECK_HAS(thrown<std::invalid_argument>([&] { command.arg(std::string("a\0b", 3)); }).what(), "NUL");
    CHECK_HAS(thrown<std::invalid_argument>([&] { command.cwd(std::string_view("a\0b", 3)); }).what(), "NUL");
    CHECK_EQ(thrown<sandbox::error>([&] { sandbox::command("true", nullptr).check(); }).errnum(), EFAULT);
}

TEST(copies, "alone: a copy is a command of its own; one moved away is refused") {
    command first("echo", "a");
    command second = first;
    second.set(SANDBOX_OPT_NICE, 99);
    first.check();
    command third = std::move(second);
    CHECK_HAS(thrown<sandbox::error>([&] { third.check(); }).message(), "NICE");
    third = first;
    third.check();
    CHECK_EQ(thrown<sandbox::error>([&] { second.spawn(); }).errnum(), EFAULT); // moved from, on purpose
    sandbox_error told{};
    CHECK(!second.spawn(told) && told.code == -EFAULT && told.message[0]);
}

TEST(every, "alone: every setter reaches the library") {
    const sandbox::unique_fd root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const sandbox::unique_fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    command all("true");
    all.arg0("name").env("A", "1").env("B", nullptr).unset_env("C").clear_env().cwd("/").exec_fd(null.get()).in(null).out(stream::null).err(stream::inherit)
        .pass_fd(null.get(), 9).rlimit(RLIMIT_CORE, 0).rlimit(RLIMIT_NOFILE, 10, 20).set(SANDBOX_OPT_INIT, true).cpus({0, 70}).unshare(SANDBOX_NS_USER | SANDBOX_NS_TIME)
        .map_uid(0, 1000).map_gid(0, 1000, 1).user(0, 0).groups({0, 1}).hostname("h").domainname("d").time_offset(CLOCK_MONOTONIC, -1ns).caps(SANDBOX_CAPS_ALL, 1)
        .root("/", SANDBOX_MOUNT_RW).bind("/usr").bind("/usr", "/x", SANDBOX_MOUNT_RW).bind_fd(root.get(), "/y").tmpfs("/t", 1 << 20, 0700).proc().mqueue().dev()
        .overlay({"/usr", "/bin"}, "/o").overlay({"/usr"}, "/o", "/u", "/w").file("/f", "text").dir("/d").symlink("says", "/l").mask("/m")
        .cwd_first({"/a", "/b"}).data("/df", "text", 0600, SANDBOX_DATA_MOUNT).chmod("/df", 0644).remount("/t").devpts().overlay_ro({"/usr", "/bin"}, "/oo").init_fd(0).init_lock("/f").on_maps({})
        .landlock_path("/", SANDBOX_LANDLOCK_READ).landlock_port(80, SANDBOX_LANDLOCK_CONNECT_TCP).landlock_scope(SANDBOX_LANDLOCK_SIGNAL)
        .cgroup("/sys/fs/cgroup").cgroup_set("pids.max", "10").filter(sandbox::filter()).ptrace(0).on_ready({}).pre_exec(nullptr).join(-1);
    const auto e = thrown<sandbox::error>([&] { all.check(); });
    CHECK_EQ(e.errnum(), EBADF); // the last of them, and so all before it were taken
    CHECK_EQ(thrown<sandbox::error>([] { command("true").cpus({9000}).check(); }).errnum(), EINVAL);
    CHECK_EQ(thrown<sandbox::error>([] { command("true").preset(SANDBOX_PRESET_BUILD).preset(SANDBOX_PRESET_BUILD).check(); }).errnum(), EINVAL);
}

TEST(version, "alone: the version is the header's") {
    CHECK_EQ(std::string(sandbox::version()), std::to_string(SANDBOX_VERSION_MAJOR) + "." + std::to_string(SANDBOX_VERSION_MINOR) + "." + std::to_string(SANDBOX_VERSION_PATCH));
}

TEST(fds, "alone: an fd closes itself once") {
    int number;
    {
        sandbox::unique_fd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
        number = fd.get();
        sandbox::unique_fd other = std::move(fd);
        CHECK(!fd && other && other.get() == number);
        other = sandbox::unique_fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
        CHECK(fcntl(number, F_GETFD) == -1 && other.get() != number);
        number = other.get();
    }
    CHECK(fcntl(number, F_GETFD) == -1);
    CHECK_EQ(thrown<sandbox::error>([] { sandbox::unique_fd().read_all(); }).errnum(), EBADF);
    CHECK_EQ(thrown<sandbox::error>([] { sandbox::unique_fd().write_all("x"); }).errnum(), EBADF);
}

// --- errors ---

TEST(errors, "an error names its step, and ends in a hint") {
    const auto e = thrown<sandbox::error>([] { command("/no/such/program").spawn(); });
    CHECK_EQ(e.errnum(), ENOENT);
    CHECK(e.code() == std::errc::no_such_file_or_directory && e.stage() == SANDBOX_STAGE_EXEC && e.index() == 0);
    CHECK_EQ(std::string(e.stage_name()), "exec");
    CHECK_EQ(std::string(e.what()), "exec[0]: " + e.message());
    CHECK_HAS(e.message(), "/no/such/program");
    CHECK_HAS(e.message(), e.hint());
    CHECK_HAS(e.hint(), "does not exist");
    sandbox_error told{};
    CHECK(!command("/no/such/program").spawn(told));
    CHECK(told.code == -ENOENT && told.stage == SANDBOX_STAGE_EXEC);
    CHECK(command("true").spawn(told).has_value() && told.code == 0);
}

TEST(explained, "explain lists the steps") {
    const std::string text = command("/bin/true").unshare(SANDBOX_NS_USER | SANDBOX_NS_PID).explain();
    CHECK_HAS(text, "clone3");
    CHECK_HAS(text, "exec[0]");
    CHECK(text.back() == '\n' && text.find('\0') == text.npos);
}

TEST(probed, "probe finds what there is") { CHECK_EQ(sandbox::probe().spawn, 1U); }

// --- children ---

TEST(piped, "a filter program is fed and read") {
    child child = command("tr", "a-z", "A-Z").in(stream::pipe).out(stream::pipe).spawn();
    CHECK(child.in() && child.out() && !child.err() && !child.pty() && child.pid() > 0);
    child.in().write_all("hello\n");
    child.in().reset();
    CHECK_EQ(child.out().read_all(), "HELLO\n");
    CHECK_EQ(child.wait().to_string(), "exit code 0");
    CHECK(child.wait().ok() && child.poll()->ok());
}

TEST(terminal, "a pseudoterminal is read to its end") {
    child child = command("sh", "-c", "test -t 0 && echo terminal").in(stream::pty).out(stream::pty).spawn();
    CHECK_EQ(child.pty().read_all(), "terminal\r\n");
    CHECK(child.wait().ok());
}

TEST(files, "files as streams and passed fds") {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    const sandbox::unique_fd reading(ends[0]);
    sandbox::unique_fd writing(ends[1]);
    child child = command("sh", "-c", "echo out; echo passed >&7").out(writing).pass_fd(writing.get(), 7).spawn();
    writing.reset();
    CHECK(child.wait().ok());
    CHECK_EQ(reading.read_all(), "out\npassed\n");
}

TEST(timed, "waiting has a limit, killing a cause") {
    const child child = command("sleep", "1000").spawn();
    CHECK(!child.poll() && !child.wait_for(20ms) && child.wait_exec_for(10s));
    std::error_code code;
    CHECK(!child.wait_for(1us, code) && code == std::errc::timed_out);
    pollfd ended{child.pidfd(), POLLIN, 0};
    CHECK(poll(&ended, 1, 0) == 0);
    CHECK(child.kill(SIGTERM));
    const sandbox::status status = child.wait();
    CHECK_EQ(status.to_string(), "signal 15 (killed)");
    CHECK(status.signal() == SIGTERM && !status.exit_code() && status.cause == SANDBOX_CAUSE_KILLED && status.wall_time() >= 20ms);
    CHECK(!child.kill() && child.wait_for(0s, code) && !code);
    CHECK(poll(&ended, 1, 0) == 1);
    CHECK_EQ(thrown<sandbox::error>([&] { child.kill_all(); }).errnum(), ENOTSUP);
    CHECK_EQ(thrown<sandbox::error>([&] { child.freeze(); }).errnum(), ENOTSUP);
    CHECK_EQ(thrown<sandbox::error>([&] { child.kill(99); }).errnum(), EINVAL);
}

TEST(scope, "a child that goes out of scope is ended") {
    sandbox::unique_fd pidfd;
    {
        child first = command("sleep", "1000").out(stream::pipe).spawn();
        pidfd = first.take(SANDBOX_FD_PIDFD);
        child second = std::move(first);
        CHECK(!second.poll());
    }
    pollfd ended{pidfd.get(), POLLIN, 0};
    CHECK(poll(&ended, 1, 20000) == 1);
    child replaced = command("sleep", "1000").spawn();
    replaced = command("true").spawn();
    CHECK(replaced.wait().ok());
}

TEST(detached, "a detached child is left running") {
    pid_t pid;
    {
        child child = command("sleep", "1000").spawn();
        pid = child.pid();
        child.detach();
    }
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, nullptr, 0) == pid);
}

TEST(threads, "threads spawn one command, and one kills what another waits for") {
    const command command("cat");
    std::vector<std::future<std::string>> outputs;
    for (int i = 0; i < 16; i++)
        outputs.push_back(std::async(std::launch::async, [&command, i] {
            const std::string input = std::to_string(i);
            sandbox::run_options options;
            options.input = input;
            return std::string(sandbox::run(command, options).out());
        }));
    for (int i = 0; i < 16; i++) CHECK_EQ(outputs[static_cast<std::size_t>(i)].get(), std::to_string(i));
    const child child = sandbox::command("sleep", "1000").spawn();
    std::thread killer([&child] { child.kill(); });
    const sandbox::status status = child.wait();
    killer.join();
    CHECK(status.signal() == SIGKILL);
}

// --- hooks ---

TEST(ready, "on_ready sees the held child; what it throws comes out of the spawn") {
    pid_t seen = 0;
    command watched("true");
    watched.on_ready([&seen](pid_t pid, int pidfd) { seen = pidfd >= 0 ? pid : -1; });
    const command copy = watched;
    watched.on_ready([](pid_t, int) { throw std::out_of_range("not this one"); });
    const child child = copy.spawn();
    CHECK_EQ(child.pid(), seen);
    CHECK(child.wait().ok());
    CHECK_EQ(std::string(thrown<std::out_of_range>([&] { watched.spawn(); }).what()), "not this one");
    CHECK_EQ(std::string(thrown<std::out_of_range>([&] { sandbox::run(watched); }).what()), "not this one");
    CHECK(watched.on_ready({}).spawn().wait().ok());
    CHECK_EQ(thrown<sandbox::error>([] { command("/no/such/program").spawn(); }).errnum(), ENOENT); // the exception is gone
    // One spawn within another.
    watched.on_ready([&copy](pid_t, int) {
        CHECK(copy.spawn().wait().ok());
        throw 7;
    });
    CHECK_EQ(thrown<int>([&] { watched.spawn(); }), 7);
}

TEST(pre_exec, "pre_exec runs in the child") {
    int given = 4;
    command command("sh", "-c", "exit 3");
    command.pre_exec([](void *code) noexcept { return *static_cast<int *>(code) == 4 ? -EDOM : 0; }, &given);
    const auto e = thrown<sandbox::error>([&] { command.spawn(); });
    CHECK(e.errnum() == EDOM && e.stage() == SANDBOX_STAGE_CALLBACK);
    given = 5;
    CHECK(command.spawn().wait().exit_code() == 3);
}

// --- runs ---

TEST(limits, "a run keeps its limits") {
    sandbox::run_options options;
    options.input = "0123456789";
    options.out_limit = 4;
    const sandbox::result cut = sandbox::run(command("cat"), options);
    CHECK(cut.ok() && cut.out() == "0123" && cut.out_cut() == 6 && cut.err_cut() == 0 && cut.limits() == SANDBOX_LIMIT_STDOUT);
    sandbox::run_options no_time;
    no_time.wall_time = -5ms; // no time left is not "no limit"
    const sandbox::status status = sandbox::run(command("sleep", "1000"), no_time).status();
    CHECK(status.timed_out() && status.to_string() == "signal 9 (timeout)");
    sandbox::run_options empty;
    empty.input = std::string_view();
    CHECK_EQ(std::string(sandbox::run(command("sh", "-c", "test -c /dev/stdin && echo device; cat"), empty).out()), "");
    CHECK_EQ(std::string(sandbox::run(command("sh", "-c", "echo 1; echo 2 >&2")).err()), "2\n");
}

TEST(cancel, "a run is cancelled by an fd") {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    const sandbox::unique_fd reading(ends[0]), writing(ends[1]);
    sandbox::run_options options;
    options.cancel_fd = reading.get();
    std::thread canceller([&writing] { writing.write_all("x"); });
    const sandbox::result result = sandbox::run(command("sleep", "1000"), options);
    canceller.join();
    CHECK(result.limits() == SANDBOX_LIMIT_CANCELED && result.status().signal() == SIGKILL);
}

TEST(words, "arguments, environment and options arrive") {
    CHECK_EQ(output(command("printf", "%s.").args({"a", "b"}).args(std::vector<std::string>{"", "d e"})), "a.b..d e.");
    CHECK_EQ(output(command("sh", "-c", "echo $A-$B; umask; ulimit -n").env("A", "1").env("B", "").set(SANDBOX_OPT_UMASK, 027).rlimit(RLIMIT_NOFILE, 33)), "1-\n0027\n33\n");
    errno = 0;
    const int lower = std::min(getpriority(PRIO_PROCESS, 0) + 3, 19);
    CHECK_EQ(output(command("nice").set(SANDBOX_OPT_NICE, lower)), std::to_string(lower) + "\n");
    CHECK(command("true").set(SANDBOX_OPT_OOM_SCORE_ADJ, 500).spawn().wait().ok());
    cpu_set_t set;
    CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
    unsigned cpu = 0;
    while (!CPU_ISSET(cpu, &set)) cpu++;
    CHECK_EQ(output(command("nproc").cpus({cpu})), "1\n");
}

static command in_a_root(std::string_view line) {
    command command("sh", "-c", line);
    command.unshare(SANDBOX_NS_USER | SANDBOX_NS_MOUNT | SANDBOX_NS_PID).set(SANDBOX_OPT_INIT, 1).env("LC_ALL", "C");
    for (const char *path : {"/usr", "/bin", "/lib", "/lib64"})
        if (access(path, F_OK) == 0) command.bind(path);
    return command;
}

TEST(rooted, "a root of its own") {
    const auto result = in_namespaces([] {
        return sandbox::run(in_a_root("ls /; cat /data/file; readlink /link; stat -c %a /empty; touch /usr/x").tmpfs("/tmp").dir("/empty", 0700).file("/data/file", "content\n").symlink("/data/file", "/link"));
    });
    CHECK_HAS(result.out(), "content\n/data/file\n700\n");
    CHECK(result.out().find("home") == std::string_view::npos);
    CHECK_HAS(result.err(), "Read-only file system");
}

TEST(laid, "files, modes, mounts and locks of its own") {
    const auto result = in_namespaces([] {
        return sandbox::run(in_a_root("pwd; cat /f /m; stat -c %a /f; ls /dev/pts; touch /t/x").tmpfs("/t").data("/f", "in a file\n").data("/m", "mounted\n", 0644, SANDBOX_DATA_MOUNT)
            .chmod("/f", 0600).remount("/t").devpts().cwd_first({"/no/such", "/usr"}).init_fd(0).init_lock("/f"));
    });
    CHECK_EQ(std::string(result.out()), "/usr\nin a file\nmounted\n600\nptmx\n");
    CHECK_HAS(result.err(), "Read-only");
}

TEST(mapped, "the caller maps the ids") {
    command mapped("sh", "-c", "id -u; id -g");
    mapped.unshare(SANDBOX_NS_USER).on_maps([](pid_t pid, int) {
        const auto put = [pid](const std::string &file, const std::string &text) {
            const sandbox::unique_fd fd(open(("/proc/" + std::to_string(pid) + "/" + file).c_str(), O_WRONLY | O_CLOEXEC));
            fd.write_all(text);
        };
        put("setgroups", "deny"), put("uid_map", "7 " + std::to_string(getuid()) + " 1"), put("gid_map", "8 " + std::to_string(getgid()) + " 1");
    });
    const command copy = mapped; // the hook is a copy's too
    CHECK_EQ(in_namespaces([&] { return output(copy); }), "7\n8\n");
    CHECK_EQ(thrown<int>([] { command("true").unshare(SANDBOX_NS_USER).on_maps([](pid_t, int) { throw 5; }).spawn(); }), 5);
}

TEST(forked, "a forked copy leaves its parent's children alone") {
    std::optional<child> running = command("sleep", "1000").spawn();
    std::optional<sandbox::pool> pool(std::in_place, command("echo", "usual").out(stream::pipe), 1);
    const pid_t copy = fork();
    CHECK(copy >= 0);
    if (copy == 0) {
        pool.reset(), running.reset();
        _exit(0);
    }
    CHECK_EQ(waitpid(copy, nullptr, 0), copy);
    CHECK(!running->poll());
    CHECK_EQ(pool->spawn().out().read_all(), "usual\n");
}

TEST(preset, "a preset") {
    const auto result = in_namespaces([] { return sandbox::run(command("sh", "-c", "id -u; hostname; ls /home 2>&1; pwd").preset(SANDBOX_PRESET_COMPUTE)); });
    CHECK_HAS(result.out(), std::to_string(getuid()) + "\nsandbox\n");
    CHECK_HAS(result.out(), "/tmp\n");
}
