// The host in C++: see hosts.py. host-cxx MiB PROGRAM
#include <sandbox_spawn.hpp>

#include "posix.h"
#include <chrono>
#include <iostream>
#include <stdexcept>

static std::string program;

// Each way throws where the program did not run, or did not exit with 0.

static void judge(int status) {
    if (status) throw std::runtime_error(status < 0 ? "posix_spawn: errno " + std::to_string(-status) : "it ended with wait status " + std::to_string(status));
}

static void judge(const sandbox::status &status) {
    if (!status.ok()) throw std::runtime_error("it ended with " + status.to_string());
}

static void posix() { judge(posix_plain(&program[0])); }

static void captured() { judge(posix_captured(&program[0])); }

static void spawn_new() { judge(sandbox::command(program).spawn().wait()); }

static void spawn_same() {
    static const sandbox::command command(program);
    judge(command.spawn().wait());
}

static void run() { judge(sandbox::run(sandbox::command(program)).status()); }

static const struct {
    const char *key, *title, *against;
    void (*once)();
} ways[] = {
    {"posix_spawn", "posix_spawn, waitpid", "", posix},
    {"spawn", "sandbox::command::spawn, wait", "posix_spawn", spawn_new},
    {"spawn_same", "... of one command", "posix_spawn", spawn_same},
    {"captured", "posix_spawn, output captured", "", captured},
    {"run", "sandbox::run, output captured", "captured", run},
};

static std::string quoted(std::string text) {
    for (char &byte : text) byte = byte == '"' || byte == '\\' ? '\'' : static_cast<unsigned char>(byte) < ' ' ? ' ' : byte;
    return '"' + text + '"';
}

static void once(void (*way)()) {
    try {
        const auto before = std::chrono::steady_clock::now();
        way();
        const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - before;
        std::cout << "{\"us\": " << took.count() << '}' << std::endl;
    } catch (const std::exception &failure) {
        std::cout << "{\"error\": " << quoted(failure.what()) << '}' << std::endl;
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return std::cerr << "usage: host-cxx MiB PROGRAM\n", 2;
    const std::vector<char> memory(std::stoul(argv[1]) << 20, 1);
    program = argv[2];
    const char *separator = "";
    std::cout << "{\"runtime\": \"C++" << __cplusplus / 100 % 100 << "\", \"ways\": [";
    for (const auto &way : ways) {
        std::cout << separator << "{\"key\": \"" << way.key << "\", \"title\": \"" << way.title << '"';
        if (*way.against) std::cout << ", \"against\": \"" << way.against << '"';
        std::cout << '}';
        separator = ", ";
    }
    std::cout << "]}" << std::endl;
    for (std::string key; std::cin >> key;) {
        void (*way)() = nullptr;
        for (const auto &each : ways)
            if (key == each.key) way = each.once;
        if (!way) return std::cerr << "host-cxx: no way " << key << '\n', 1;
        once(way);
    }
    return memory.size() > 1 && memory[1] == 0; // it is used: not left out
}
