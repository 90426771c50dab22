// What the generated scenarios call: a command run or spawned, and what was seen compared with what is expected.
#include "test.hpp"

#include <algorithm>
#include <sys/resource.h>
#include <thread>

struct seen {
    std::optional<sandbox::error> error{};
    sandbox::status status{};
    std::string out{}, err{};
    std::uint64_t out_cut = 0, err_cut = 0;
    int limits = 0;
};

struct expected {
    std::optional<int> exit{}, signal{};
    std::uint32_t cause = 0;
    int limits = 0;
    std::optional<std::string> out{}, err{};
    std::string err_has{};
    std::int64_t out_cut = 0, err_cut = 0; // -1: some
};

inline std::string times(std::string_view part, std::size_t times) {
    std::string all;
    while (times-- > 0) all += part;
    return all;
}

inline seen do_run(const sandbox::command &command, const sandbox::run_options &options) {
    const sandbox::result result = sandbox::run(command, options);
    return {{}, result.status(), std::string(result.out()), std::string(result.err()), result.out_cut(), result.err_cut(), result.limits()};
}

inline seen do_spawn(sandbox::command &command, int signal, int supervise) {
    using sandbox::stream;
    sandbox::child child = command.in(stream::null).out(stream::pipe).err(stream::pipe).spawn();
    if (signal) CHECK(child.kill(signal));
    if (supervise >= 0)
        sandbox::supervisor(child).on_others([supervise](sandbox::call &call) { supervise ? call.deny(supervise) : call.continue_unsafe(); }).run();
    std::string out = child.out().read_all(), err = child.err().read_all();
    const auto status = child.wait_for(std::chrono::seconds(60));
    CHECK(status.has_value());
    return {{}, *status, out, err, 0, 0, 0};
}

template <class Doing> seen seeing(Doing &&doing, std::initializer_list<std::string_view> skip_stages) {
    try {
        return doing();
    } catch (const sandbox::error &e) {
        if (std::find(skip_stages.begin(), skip_stages.end(), e.stage_name()) != skip_stages.end()) throw skipped{e.what()};
        seen seen;
        seen.error = e;
        return seen;
    }
}

[[maybe_unused]] static void check_error(const seen &seen, int errnum, const char *stage, unsigned index, const char *has) {
    CHECK(seen.error.has_value());
    CHECK_EQ(seen.error->errnum(), errnum);
    CHECK_EQ(std::string(seen.error->stage_name()), stage);
    CHECK_EQ(seen.error->index(), index);
    CHECK_HAS(seen.error->message(), has);
}

[[maybe_unused]] static void check_end(const seen &seen, const expected &expected) {
    if (seen.error) throw *seen.error;
    if (seen.status.exit_code() != expected.exit || seen.status.signal() != expected.signal) throw failed{"it ended with " + seen.status.to_string() + "; stderr: " + seen.err};
    CHECK_EQ(seen.status.cause, expected.cause);
    CHECK_EQ(seen.limits, expected.limits);
    if (expected.out) CHECK(seen.out == *expected.out);
    if (expected.err) CHECK_EQ(seen.err, *expected.err);
    CHECK_HAS(seen.err, expected.err_has);
    CHECK(expected.out_cut < 0 ? seen.out_cut > 0 : seen.out_cut == static_cast<std::uint64_t>(expected.out_cut));
    CHECK(expected.err_cut < 0 ? seen.err_cut > 0 : seen.err_cut == static_cast<std::uint64_t>(expected.err_cut));
}
