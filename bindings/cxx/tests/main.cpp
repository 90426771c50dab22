// usage: tests [-not PART | PART]...: those whose name holds a PART, or all; none that holds one after -not.
#include "test.hpp"

#include <dirent.h>
#include <iostream>
#include <set>
#include <sys/wait.h>

std::vector<test> &tests() {
    static std::vector<test> tests;
    return tests;
}

static std::set<std::string> open_fds() {
    std::set<std::string> fds;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory) throw failed{"no /proc/self/fd"};
    for (const dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && std::stoi(entry->d_name) != dirfd(directory)) fds.insert(entry->d_name);
    closedir(directory);
    return fds;
}

static void nothing_is_left(const std::set<std::string> &before) {
    std::string left;
    for (const std::string &fd : open_fds())
        if (!before.count(fd)) left += " " + fd;
    if (!left.empty()) throw failed{"fds are left:" + left};
    int status;
    if (waitpid(-1, &status, WNOHANG | __WALL) != -1 || errno != ECHILD) throw failed{"a child is left"};
}

static bool one(const test &test) {
    std::string verdict, why;
    try {
        const std::set<std::string> before = open_fds();
        test.run();
        nothing_is_left(before);
        verdict = "ok";
    } catch (const failed &e) {
        verdict = "not ok", why = e.why;
    } catch (const skipped &e) {
        verdict = "skip", why = e.why;
    } catch (const std::exception &e) {
        verdict = "not ok", why = std::string("it threw: ") + e.what();
    }
    for (char &c : why)
        if (c == '\n') c = '~';
    std::cout << verdict << " - " << test.name << (why.empty() ? "" : ": ") << why << std::endl;
    return verdict != "not ok";
}

int main(int argc, char **argv) {
    bool well = true;
    for (const test &test : tests()) {
        bool wanted = argc == 1;
        for (int i = 1; i < argc; i++) {
            const bool is_not = std::strcmp(argv[i], "-not") == 0 && i + 1 < argc;
            if (std::strstr(test.name, argv[is_not ? i + 1 : i])) wanted = !is_not;
            else if (is_not && i == 1) wanted = true;
            i += is_not;
        }
        if (wanted) well = one(test) && well;
    }
    return well ? 0 : 1;
}
