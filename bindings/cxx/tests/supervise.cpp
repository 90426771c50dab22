// Filters, supervisors and pools.
#include "test.hpp"

#include <atomic>
#include <fcntl.h>
#include <linux/audit.h>
#include <poll.h>
#include <sys/syscall.h>
#include <thread>

using namespace std::chrono_literals;
using sandbox::arg, sandbox::call, sandbox::child, sandbox::command, sandbox::filter, sandbox::stream, sandbox::supervisor;

#if defined __x86_64__
static constexpr std::uint32_t native = AUDIT_ARCH_X86_64;
#else
static constexpr std::uint32_t native = AUDIT_ARCH_AARCH64;
#endif

static std::uint32_t simulated(const filter &filter, int nr, std::uint64_t first) {
    sandbox_syscall call{native, nr, 0, {first, 0, 0, 0, 0, 0}};
    return filter.simulate(call);
}

TEST(conditions, "alone: a filter's conditions, asked by simulation") {
    const filter asked = filter(SANDBOX_ACT_ALLOW).rule(SANDBOX_ACT_ERRNO(1), "socket", {arg(0) == 2}).rule(SANDBOX_ACT_ERRNO(2), "socket", {(arg(0) & 0xff00) == 0x100})
                             .rule(SANDBOX_ACT_ERRNO(3), "close", {arg(0) >= 5, arg(0) <= 9, arg(0) != 7, arg(0) > 4, arg(0) < 100}).deny(SANDBOX_DENY_BPF);
    CHECK_EQ(simulated(asked, SYS_socket, 2), SANDBOX_ACT_ERRNO(1));
    CHECK_EQ(simulated(asked, SYS_socket, 0x1aa), SANDBOX_ACT_ERRNO(2));
    CHECK_EQ(simulated(asked, SYS_socket, 1), SANDBOX_ACT_ALLOW);
    CHECK_EQ(simulated(asked, SYS_close, 5), SANDBOX_ACT_ERRNO(3));
    CHECK_EQ(simulated(asked, SYS_close, 7), SANDBOX_ACT_ALLOW);
    CHECK_EQ(simulated(asked, SYS_bpf, 0), SANDBOX_ACT_ERRNO(EPERM));
}

TEST(refused_filters, "alone: a filter's first refusal is kept, with its words") {
    filter spoiled;
    spoiled.rule(SANDBOX_ACT_ALLOW, "no_such_call").arch("nowhere");
    CHECK_HAS(thrown<sandbox::error>([&] { spoiled.check(); }).message(), "no_such_call");
    CHECK_HAS(thrown<sandbox::error>([&] { simulated(spoiled, 0, 0); }).message(), "no_such_call");
    CHECK_HAS(thrown<sandbox::error>([&] { command("true").filter(spoiled).check(); }).message(), "no_such_call");
    CHECK(thrown<sandbox::error>([] { filter().policy("read: nonsense(").check(); }).errnum() == EINVAL);
    CHECK(thrown<sandbox::error>([] { filter().oci("{").check(); }).errnum() == EINVAL);
    CHECK(thrown<sandbox::error>([] { filter().bpf("", 0).check(); }).errnum() == EINVAL);
    CHECK(thrown<sandbox::error>([] { command("true").filter(filter(0x12345678)).check(); }).errnum() == EINVAL);
}

TEST(exported, "alone: filters are read, written and taken as they are") {
    const filter all = filter().policy_directory("/").policy("mkdir: return 5\n").arch("x86").flags(SANDBOX_FILTER_LOG).deny_ioctl(1).deny_setsockopt(1, 2).oci_capabilities(1)
                           .oci(R"({"defaultAction": "SCMP_ACT_ALLOW"})");
    const sandbox::unique_fd file(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    const int count = all.check().export_to(file.get());
    CHECK(count > 0 && lseek(file.get(), 0, SEEK_SET) == 0);
    const std::string program = file.read_all();
    CHECK_EQ(program.size(), static_cast<std::size_t>(count) * 8);
    filter().bpf(program.data(), static_cast<std::size_t>(count)).check();
    CHECK_EQ(thrown<sandbox::error>([&] { all.export_to(-1); }).errnum(), EBADF);
}

static command asking(std::initializer_list<const char *> names, command command) {
    filter ask;
    for (const char *name : names) ask.rule(SANDBOX_ACT_NOTIFY, name);
    return command.filter(ask).env("LC_ALL", "C").out(stream::pipe).err(stream::pipe);
}
static command mkdir_asking() { return asking({"mkdir", "mkdirat"}, command("mkdir", "/tmp/must-not-be")); }

TEST(answered, "a handler sees the path and answers") {
    std::string path;
    child child = mkdir_asking().spawn();
    supervisor supervisor(child);
    const auto refuse = [&path](call &call) {
#ifdef SYS_mkdir
        const bool at = call.nr() != SYS_mkdir;
#else
        const bool at = true;
#endif
        path = call.path(at ? call.int_arg(0) : AT_FDCWD, call.arg(at));
        CHECK(call.string(call.arg(at)) == path && call.read<char>(call.arg(at)) == '/' && call.arch() == native);
        CHECK(call.alive() && call.pid() > 0 && call.tid() > 0 && call.pidfd() > 0);
        const auto [directory, name] = call.parent(at ? call.int_arg(0) : AT_FDCWD, call.arg(at));
        CHECK(directory && name == "must-not-be");
        CHECK_EQ(thrown<sandbox::error>([&] { call.read<int>(1); }).errnum(), EFAULT);
        thrown<std::out_of_range>([&] { call.arg(6); });
        CHECK(call.deny(ENOSPC));
        CHECK_EQ(thrown<sandbox::error>([&] { call.deny(EPERM); }).errnum(), EALREADY);
    };
    supervisor.on("mkdir", refuse).on("mkdirat", refuse).run();
    CHECK(supervisor.ended() && supervisor.fd() >= 0);
    CHECK_EQ(path, "/tmp/must-not-be");
    CHECK_HAS(child.err().read_all(), "No space left");
    CHECK(child.wait().exit_code() == 1);
    CHECK_EQ(thrown<sandbox::error>([&] { sandbox::supervisor again(child); }).errnum(), EINVAL);
    CHECK_EQ(thrown<sandbox::error>([&] { supervisor.on("no_such_call", refuse); }).errnum(), EINVAL);
}

TEST(values, "a value and an fd as answers") {
    child child = asking({"getppid"}, command("sh", "-c", "echo $PPID")).spawn();
    supervisor(child).on("getppid", [](call &call) { call.return_value(4242); }).run();
    CHECK_EQ(child.out().read_all(), "4242\n");
    child = asking({"openat"}, command("cat", "/tmp/no/such/file")).spawn();
    supervisor supervisor(child);
    supervisor.on_others([](call &call) {
        if (call.string(call.arg(1)) != "/tmp/no/such/file") {
            call.continue_unsafe();
            return;
        }
        int ends[2];
        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        const sandbox::unique_fd reading(ends[0]), writing(ends[1]);
        writing.write_all("from the host\n");
        CHECK(call.add_fd(writing.get()) >= 0 && call.get_fd(1));
        call.return_fd(reading.get());
    });
    // The caller holds the pipe's other end too: its output's beginning is enough.
    while (!supervisor.ended() && supervisor.dispatch_for(50ms) >= 0) {
        char part[15] = {};
        pollfd readable{child.out().get(), POLLIN, 0};
        if (poll(&readable, 1, 0) == 1 && read(child.out().get(), part, 14) == 14) {
            CHECK_EQ(std::string(part), "from the host\n");
            child.kill();
            return;
        }
    }
    throw failed{"nothing came"};
}

TEST(thrown_out, "what a handler throws comes out of run, and the call is denied") {
    child child = mkdir_asking().spawn();
    supervisor supervisor(child);
    supervisor.on_others([](call &) { throw std::domain_error("wrong"); });
    CHECK_EQ(std::string(thrown<std::domain_error>([&] { supervisor.run(); }).what()), "wrong");
    supervisor.run();
    CHECK_HAS(child.err().read_all(), "Operation not permitted");
    child = mkdir_asking().spawn();
    sandbox::supervisor(child).on_others([](call &) {}).run();
    CHECK_HAS(child.err().read_all(), "Function not implemented");
}

TEST(gone, "a caller that goes while a handler works is no error") {
    child child = mkdir_asking().spawn();
    supervisor supervisor(child);
    bool went = false;
    supervisor.on_others([&](call &call) {
        child.kill();
        child.wait();
        went = !call.alive() && !call.deny(EPERM);
        call.read<char>(call.arg(0)); // throws: ESRCH, or EALREADY
    });
    try {
        supervisor.run();
    } catch (const sandbox::error &e) {
        CHECK_EQ(e.errnum(), EALREADY);
    }
    CHECK(went);
    child = mkdir_asking().spawn();
    sandbox::supervisor other(child);
    other.on_others([&](call &call) {
        child.kill();
        child.wait();
        call.pid(); // ESRCH: passed over
        throw failed{"it is still there"};
    });
    other.run();
}

TEST(many, "several threads dispatch") {
    std::atomic<int> answered = 0;
    const child child = asking({"mkdir", "mkdirat"}, command("sh", "-c", "i=0; while [ $i -lt 20 ]; do mkdir /tmp/must-not-be; i=$((i+1)); done 2>/dev/null")).spawn();
    supervisor supervisor(child);
    supervisor.on_others([&](call &call) { answered++, call.deny(EPERM); });
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) threads.emplace_back([&] { supervisor.run(); });
    for (std::thread &thread : threads) thread.join();
    CHECK_EQ(answered.load(), 20);
    child.wait();
}

TEST(exec_asked, "an exec that is asked about") {
    const child child = asking({"execve", "execveat"}, command("/bin/true")).spawn();
    supervisor supervisor(child);
    CHECK(!child.wait_exec_for(10ms));
    supervisor.on_others([](call &call) { call.deny(EACCES); }).run();
    const auto e = thrown<sandbox::error>([&] { child.wait_exec(); });
    CHECK(e.stage() == SANDBOX_STAGE_EXEC && e.errnum() == EACCES);
    CHECK_EQ(thrown<sandbox::error>([&] { child.wait(); }).errnum(), EACCES);
}

TEST(listener, "a listener taken out of a child") {
    child child = mkdir_asking().spawn();
    const sandbox::unique_fd pidfd = child.take(SANDBOX_FD_PIDFD);
    sandbox::unique_fd listener = child.take(SANDBOX_FD_SECCOMP);
    supervisor supervisor = supervisor::from_fd(listener.get(), pidfd.get());
    listener.reset();
    supervisor.on_others([](call &call) { call.deny(EROFS); }).run();
    CHECK_HAS(child.err().read_all(), "Read-only");
    CHECK_EQ(thrown<sandbox::error>([] { sandbox::supervisor::from_fd(-1); }).errnum(), EINVAL);
}

TEST(pooled, "a pool's children run their own programs") {
    int ready = 0;
    sandbox::pool pool(command("echo", "usual").out(stream::pipe).on_ready([&ready](pid_t, int) { ready++; }), 2);
    CHECK_EQ(pool.spawn().out().read_all(), "usual\n");
    CHECK_EQ(pool.spawn(command("sh", "-c", "echo $A").env("A", "other")).out().read_all(), "other\n");
    CHECK(pool.refill() == 2 && pool.refill() == 0);
    CHECK_EQ(ready, 2);
    CHECK_EQ(thrown<sandbox::error>([&] { pool.spawn(command("/no/such/program")); }).errnum(), ENOENT);
    sandbox_error told{};
    const command fixed = command("true").set(SANDBOX_OPT_NICE, 19);
    CHECK(!pool.spawn(&fixed, told) && told.code == -EINVAL);
    CHECK(pool.spawn(nullptr, told).has_value() && told.code == 0);
    CHECK_EQ(thrown<sandbox::error>([] { sandbox::pool none(command("true"), 0); }).errnum(), EINVAL);
}
