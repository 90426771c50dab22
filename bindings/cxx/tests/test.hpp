// The harness of the C++ tests: TEST functions, checks that throw, and what every test must leave as it was. Sources
// include it; main.cpp runs them, one after another, and prints "ok - name", "not ok - name: why", "skip - name: why".
#ifndef TEST_HPP
#define TEST_HPP

#include <sandbox_spawn.hpp>

#include <sstream>

struct failed { std::string why; };
struct skipped { std::string why; };

struct test {
    const char *name;
    void (*run)();
};
std::vector<test> &tests();

struct enlisted {
    enlisted(const char *name, void (*run)()) { tests().push_back({name, run}); }
};

#define TEST(id, sentence)                                 \
    static void test_##id();                               \
    static const enlisted enlisted_##id(sentence, test_##id); \
    static void test_##id()

#define CHECK(condition) \
    do { if (!(condition)) throw failed{std::string(__FILE__ ":") + std::to_string(__LINE__) + ": " #condition}; } while (0)

template <class Seen, class Wanted> void check_equal(const Seen &seen, const Wanted &wanted, const char *what, const char *file, int line) {
    if (seen == wanted) return;
    std::ostringstream why;
    why << file << ':' << line << ": " << what << " is \"" << seen << "\", not \"" << wanted << '"';
    throw failed{why.str()};
}
#define CHECK_EQ(seen, wanted) check_equal((seen), (wanted), #seen, __FILE__, __LINE__)

inline void check_has(std::string_view text, std::string_view part, const char *file, int line) {
    if (text.find(part) == text.npos) throw failed{std::string(file) + ':' + std::to_string(line) + ": \"" + std::string(text) + "\" lacks \"" + std::string(part) + '"'};
}
#define CHECK_HAS(text, part) check_has((text), (part), __FILE__, __LINE__)

// The exception that doing something throws; that it throws one.
template <class Error, class Doing> Error thrown(Doing &&doing) {
    try {
        doing();
    } catch (const Error &e) {
        return e;
    }
    throw failed{"it threw nothing"};
}

// Where user namespaces are refused, what needs them is skipped.
template <class Doing> auto in_namespaces(Doing &&doing) {
    try {
        return doing();
    } catch (const sandbox::error &e) {
        if (e.stage() == SANDBOX_STAGE_CLONE || e.stage() == SANDBOX_STAGE_USERNS) throw skipped{e.what()};
        throw;
    }
}

#endif
