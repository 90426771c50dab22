# Filters, the hand-off, ptrace and namespaces: the C programs as root and as an ordinary user, once more without a
# shared library, under strace -f, under AddressSanitizer and Valgrind; and a count of what is compiled.
set -u
theme=seccomp programs="filters filters-bpf filters-cmd denials handoff handoff-holes listener handoff-exec ptrace namespaces"
. "$ROOT/tests/as-users.sh"

if build seccomp-dynamic; then
    as_users seccomp-dynamic

    # What is not traced itself must not mind a tracer: strace follows into the set-up, where no step may depend on
    # being alone. Half of the ways to start, to be done in time.
    if ! command -v strace >/dev/null; then echo "skip - strace: there is none"
    elif ! strace -f -qq -o /dev/null true 2>/dev/null; then echo "skip - strace: it may not trace here"
    else
        through=(strace -f -qq -o /dev/null)
        run strace seccomp-dynamic filters "every comparison" "of several rules" "errno, 0 too" "a program that its filter" "WAIT_KILLABLE"
        run strace seccomp-dynamic filters-cmd "several filters hold"
        run strace seccomp-dynamic denials "each ready-made" "threads, fork"
        run strace seccomp-dynamic handoff "and the right end, by way" "and the right end, under an init in" "from another thread" "load and hold under"
        run strace seccomp-dynamic listener
        run strace seccomp-dynamic handoff-exec
        run strace seccomp-dynamic namespaces
        through=()
    fi

    # How often a filter is compiled: counted at libseccomp's door and at malloc's.
    cat > "$work/count.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
extern void *__libc_malloc(size_t);
static struct { unsigned long contexts, allocations; } none, *volatile counters = (void *)&none;
__attribute__((constructor)) static void map(void) {
    int fd = open(getenv("SECCOMP_COUNTERS"), O_RDWR);
    void *memory = mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED) counters = memory;
    close(fd);
}
void *malloc(size_t size) {
    __atomic_add_fetch(&counters->allocations, 1, __ATOMIC_RELAXED);
    return __libc_malloc(size);
}
void *seccomp_init(uint32_t action) {
    void *(*real)(uint32_t) = (void *(*)(uint32_t))dlsym(RTLD_NEXT, "seccomp_init");
    counters->contexts++;
    return real(action);
}
C
    if ! ldd "$work/lib/libsandbox_spawn.so.0" | grep -q libseccomp; then
        echo "skip - compiled once: libseccomp is no shared library here, and can't be counted"
    elif cc -shared -fPIC -O1 -w -o "$work/count.so" "$work/count.c" -ldl 2>"$work/log"; then
        truncate -s 4096 "$work/counters"
        ( cd "$work/tmp" && LD_LIBRARY_PATH="$work/lib" SECCOMP_COUNTERS="$work/counters" timeout --kill-after=5 120 env LD_PRELOAD="$work/count.so" "$work/seccomp-dynamic/filters-cmd" "a filter is compiled once" ) </dev/null >"$work/log" 2>&1
        lines "counted, filters-cmd" $?
    else
        echo "not ok - build count: $(head -n 1 "$work/log")"
    fi
fi

if build seccomp-static CC=clang LINK=static; then each "static, $who" seccomp-static; fi
sanitized seccomp-asan

# Valgrind ends where it meets the library's clone: it is given what fails, or is done, before one.
if ! command -v valgrind >/dev/null; then echo "skip - Valgrind: there is none"
elif [ -d "$work/seccomp-dynamic" ]; then
    through=(valgrind -q --leak-check=full --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible --error-exitcode=9)
    # It must see a leak, or its silence says nothing.
    printf '%s\n' '#include <sandbox_spawn.h>' 'int main(void) { return sandbox_filter_new(SANDBOX_ACT_ALLOW) == 0; }' >"$work/leak.c"
    # shellcheck disable=SC2046
    cc -o "$work/seccomp-dynamic/leak" "$work/leak.c" $(pkg-config --cflags --libs sandbox_spawn)
    if run Valgrind seccomp-dynamic leak | grep -q sandbox_filter_new; then echo "ok - Valgrind: a leaked filter is seen"
    else echo "not ok - Valgrind: a leaked filter is seen: $(tail -n 1 "$work/log")"; fi
    run Valgrind seccomp-dynamic filters-cmd -1 "the first bad setter" "a second filter that notifies"
    run Valgrind seccomp-dynamic filters-bpf -1 "the kernel would refuse"
    through=()
fi
