// The host in C++: see hosts.py. host-cxx MiB
#include <sandbox_spawn.hpp>

#include <chrono>
#include <iostream>
#include <spawn.h>
#include <sys/wait.h>

static const char program[] = "/bin/true";

static bool posix() {
    char name[] = "/bin/true", *arguments[] = {name, nullptr};
    pid_t pid;
    int status = -1;
    return posix_spawn(&pid, program, nullptr, nullptr, arguments, environ) == 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool spawn_new() { return sandbox::command(program).spawn().wait().ok(); }

static bool spawn_same() {
    static const sandbox::command command(program);
    return command.spawn().wait().ok();
}

static bool run() { return sandbox::run(sandbox::command(program)).status().ok(); }

static const struct {
    const char *key, *title, *against;
    bool (*once)();
} ways[] = {
    {"posix_spawn", "posix_spawn, waitpid", "", posix},
    {"spawn", "sandbox::command::spawn, wait", "posix_spawn", spawn_new},
    {"spawn_same", "... of one command", "posix_spawn", spawn_same},
    {"run", "sandbox::run, output captured", "posix_spawn", run},
};

int main(int argc, char **argv) {
    const std::vector<char> memory(argc > 1 ? std::stoul(argv[1]) << 20 : 0, 1);
    const char *separator = "";
    std::cout << "{\"runtime\": \"C++" << __cplusplus / 100 % 100 << "\", \"ways\": [";
    for (const auto &way : ways) {
        std::cout << separator << "{\"key\": \"" << way.key << "\", \"title\": \"" << way.title << '"';
        if (*way.against) std::cout << ", \"against\": \"" << way.against << '"';
        std::cout << '}';
        separator = ", ";
    }
    std::cout << "]}" << std::endl;
    for (std::string key; std::cin >> key;)
        for (const auto &way : ways)
            if (key == way.key) {
                const auto before = std::chrono::steady_clock::now();
                const bool good = way.once();
                const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - before;
                if (!good) return std::cerr << "host-cxx: " << key << " failed\n", 1;
                std::cout << "{\"us\": " << took.count() << '}' << std::endl;
            }
    return memory.size() > 1 && memory[1] == 0; // it is used: not left out
}
