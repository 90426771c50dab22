/* A victim without a C library: it makes exactly the system calls that its arguments name, so that each can be counted.
 *
 *   raw [word]...          each word one step; their results are then written to standard output in one write
 *   NR[,arg]...            a system call; an argument is a number (0x.. and -.. too) or "buf", a page of zeros
 *   80:NR[,arg]...         the same by int 0x80, as a 32-bit program would (x86_64)
 *   trap                   from here on SIGSYS is caught; a step it hits shows as T<number>/<errno of the filter>
 *   catch                  SIGUSR1 is caught and does nothing
 *   quiet                  nothing is written; the exit code is the last result's errno, or 0
 * If exit_group comes back, it ends by exit with 100. */
#include <stddef.h>
#include <sys/syscall.h>

#define SIGSYS 31
#define SIGUSR1 10

#if defined __x86_64__
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n hlt\n"
        ".globl restore\nrestore:\n mov $15, %eax\n syscall\n");
void restore(void);
static long call(long nr, const long *a) {
    register long r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return result;
}
static long call_32(long nr, const long *a) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4]) : "r8", "r9", "r10", "r11", "memory");
    return (int)result;
}
#elif defined __aarch64__
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x0, sp\n bl begin\n brk #0\n");
static long call(long nr, const long *a) {
    register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a[0], x1 __asm__("x1") = a[1], x2 __asm__("x2") = a[2], x3 __asm__("x3") = a[3],
                  x4 __asm__("x4") = a[4], x5 __asm__("x5") = a[5];
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
static long call_32(long nr, const long *a) { return (void)nr, (void)a, -38; }
#endif

static char zeros[4096] __attribute__((aligned(4096)));
static char out[16384];
static size_t length;
static volatile int trapped, trapped_errno;

static void put(char c) {
    if (length < sizeof out) out[length++] = c;
}

static void put_number(long number) {
    char digits[24];
    int count = 0;
    unsigned long rest = number < 0 ? 0UL - (unsigned long)number : (unsigned long)number;
    do digits[count++] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0) put('-');
    while (count) put(digits[--count]);
}

static long number_of(const char **at) {
    const char *text = *at;
    int is_negative = *text == '-', base = 10;
    unsigned long value = 0;
    text += is_negative;
    if (text[0] == '0' && text[1] == 'x') base = 16, text += 2;
    for (;; text++) {
        int digit = *text >= '0' && *text <= '9' ? *text - '0' : *text >= 'a' && *text <= 'f' ? *text - 'a' + 10 : 99;
        if (digit >= base) break;
        value = value * (unsigned)base + (unsigned)digit;
    }
    *at = text;
    return is_negative ? (long)(0 - value) : (long)value;
}

/* The kernel's siginfo of a SIGSYS: signo, errno, code, a pad, then address, number, architecture. */
static void on_sigsys(int signal, const int *info, void *context) {
    (void)signal, (void)context;
    trapped = info[6];
    trapped_errno = info[1];
}

static void on_other(int signal) { (void)signal; }

static void handle(int signal, unsigned long handler) {
    struct {
        unsigned long handler;
        unsigned long flags;
        unsigned long restorer;
        unsigned long mask;
    } action = {handler, 4 /* SA_SIGINFO */, 0, 0};
#if defined __x86_64__
    action.flags |= 0x04000000; /* SA_RESTORER */
    action.restorer = (unsigned long)restore;
#endif
    long args[6] = {signal, (long)&action, 0, 8, 0, 0};
    call(SYS_rt_sigaction, args);
}

static int is(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

__attribute__((used)) void begin(long *stack) {
    int quiet = 0;
    long last = 0;
    char **argv = (char **)(stack + 1);
    for (long i = 1; i < stack[0]; i++) {
        const char *at = argv[i];
        long args[6] = {0}, nr;
        int is_32 = at[0] == '8' && at[1] == '0' && at[2] == ':';
        if (is(at, "trap")) { handle(SIGSYS, (unsigned long)on_sigsys); continue; }
        if (is(at, "catch")) { handle(SIGUSR1, (unsigned long)on_other); continue; }
        if (is(at, "quiet")) { quiet = 1; continue; }
        if (is_32) at += 3;
        nr = number_of(&at);
        for (int arg = 0; *at == ',' && arg < 6; arg++) {
            at++;
            if (*at == 'b') args[arg] = (long)zeros, at += 3;
            else args[arg] = number_of(&at);
        }
        trapped = -1;
        last = is_32 ? call_32(nr, args) : call(nr, args);
        if (trapped >= 0) put('T'), put_number(trapped), put('/'), put_number(trapped_errno);
        else put_number(last);
        put(' ');
    }
    long text[6] = {1, (long)out, (long)length}, code[6] = {quiet && last < 0 ? -last & 255 : 0};
    if (!quiet) call(SYS_write, text);
    call(SYS_exit_group, code);
    code[0] = 100;
    call(SYS_exit, code);
    for (;;) __builtin_trap();
}
