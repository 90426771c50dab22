/* What the program sees: the options about files as calls of the library, and the root it has without them. Each place
 * is remembered with the host's path behind it, so that a profile can be learned. */
#include "apply.h"
#include "run.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* /bin, /lib and so on are links into /usr on most systems, directories on others. */
static const char *const trees[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", NULL};
static const char *const files[] = {"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime", NULL};

void add_place(struct run *run, const char *inside, const char *host, bool is_writable) {
    run->places = grown(run->places, run->place_count, sizeof *run->places);
    run->places[run->place_count++] = (struct place){copied(inside), host ? copied(host) : NULL, is_writable};
}

char *cut(char *text) {
    char *to = text;
    for (char *from = text; *from; from++) {
        if (*from == ':') {
            *to = '\0';
            return from + 1;
        }
        from += *from == '\\' && from[1] == ':';
        *to++ = *from;
    }
    *to = '\0';
    return NULL;
}

/* SOURCE[:TARGET], the source as this command sees it. */
static void bind_with(struct run *run, const char *value, uint64_t flags) {
    char *source = copied(value), *target = cut(source), *rest = target ? cut(target) : NULL, *whole = realpath(source, NULL);
    if (rest)
        die("%s: more than one colon (write those of a name as \"\\:\")", value);
    if (!whole && !(flags & SANDBOX_MOUNT_OPTIONAL))
        die("%s: %s", source, strerror(errno));
    if (whole) {
        sandbox_cmd_bind(run->cmd, whole, target ? target : whole, flags);
        add_place(run, target ? target : whole, whole, flags & SANDBOX_MOUNT_RW);
    }
    free(whole);
    free(source);
}

void apply_bind(struct run *run, const char *value) { bind_with(run, value, 0); }
void apply_bind_rw(struct run *run, const char *value) { bind_with(run, value, SANDBOX_MOUNT_RW); }
void apply_bind_try(struct run *run, const char *value) { bind_with(run, value, SANDBOX_MOUNT_OPTIONAL); }
void apply_bind_dev(struct run *run, const char *value) { bind_with(run, value, SANDBOX_MOUNT_RW | SANDBOX_MOUNT_DEV); }

static void own(struct run *run, const char *target) { add_place(run, target, NULL, false); }

void apply_proc(struct run *run, const char *value) {
    sandbox_cmd_proc(run->cmd, value, 0);
    own(run, value);
}
void apply_dev(struct run *run, const char *value) {
    sandbox_cmd_dev(run->cmd, value);
    own(run, value);
}
void apply_tmpfs(struct run *run, const char *value) {
    char *target = copied(value), *bytes = cut(target);
    sandbox_cmd_tmpfs(run->cmd, target, bytes ? size_of("tmpfs", bytes) : 0, 01777);
    add_place(run, target, NULL, true);
    free(target);
}

/* Where this command is the program starts, unless it was told another place. */
static void start_here(struct run *run, bool makes_it) {
    char directory[PATH_MAX];
    if (run->has_directory || !getcwd(directory, sizeof directory))
        return;
    if (makes_it && strcmp(directory, "/") != 0)
        sandbox_cmd_dir(run->cmd, directory, 0755);
    sandbox_cmd_cwd(run->cmd, directory);
    run->starts_here = true;
}

void apply_system(struct run *run, const char *value) {
    (void)value;
    for (size_t i = 0; trees[i]; i++) {
        char text[PATH_MAX];
        ssize_t length = readlink(trees[i], text, sizeof text - 1);
        if (length > 0) {
            text[length] = '\0';
            sandbox_cmd_symlink(run->cmd, text, trees[i]);
        } else {
            sandbox_cmd_bind(run->cmd, trees[i], trees[i], SANDBOX_MOUNT_OPTIONAL);
        }
        add_place(run, trees[i], trees[i], false);
    }
    for (size_t i = 0; files[i]; i++) {
        sandbox_cmd_bind(run->cmd, files[i], files[i], SANDBOX_MOUNT_OPTIONAL);
        add_place(run, files[i], files[i], false);
    }
    apply_proc(run, "/proc");
    apply_dev(run, "/dev");
    apply_tmpfs(run, "/tmp");
    if (!run->has_root)
        start_here(run, true);
}

bool is_system(const char *path) {
    for (size_t i = 0; trees[i]; i++)
        if (is_below(path, trees[i]))
            return true;
    for (size_t i = 0; files[i]; i++)
        if (is_below(path, files[i]))
            return true;
    return false;
}

static void root_with(struct run *run, const char *value, uint64_t flags) {
    char *whole = realpath(value, NULL);
    if (!whole)
        die("%s: %s", value, strerror(errno));
    sandbox_cmd_root(run->cmd, whole, flags);
    free(whole);
}

void apply_root(struct run *run, const char *value) { root_with(run, value, 0); }
void apply_root_rw(struct run *run, const char *value) { root_with(run, value, SANDBOX_MOUNT_RW); }

void apply_overlay(struct run *run, const char *value) {
    char *target = copied(value), *rest = cut(target);
    const char *lowers[64] = {NULL};
    size_t count = 0;
    if (!rest)
        die("--overlay wants DST:DIR[:DIR], not %s", value);
    for (char *lower = rest; lower; lower = rest) {
        rest = cut(lower);
        if (count == 63)
            die("--overlay takes 63 directories, not more");
        lowers[count] = realpath(lower, NULL);
        if (!lowers[count++])
            die("%s: %s", lower, strerror(errno));
    }
    sandbox_cmd_overlay(run->cmd, lowers, NULL, NULL, target);
    add_place(run, target, NULL, true);
    for (size_t i = 0; lowers[i]; i++)
        free((char *)(uintptr_t)lowers[i]);
    free(target);
}

void apply_dir(struct run *run, const char *value) { sandbox_cmd_dir(run->cmd, value, 0755); }
void apply_mask(struct run *run, const char *value) {
    sandbox_cmd_mask(run->cmd, value);
    own(run, value);
}
void apply_directory(struct run *run, const char *value) { sandbox_cmd_cwd(run->cmd, value); }

char *contents(const char *path, size_t *length) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *bytes = grown(NULL, 0, 1);
    *length = 0;
    if (!file)
        die("%s: %s", path, strerror(errno));
    for (int c; (c = getc(file)) != EOF;) {
        bytes[(*length)++] = (char)c;
        bytes = grown(bytes, *length, 1);
    }
    if (ferror(file))
        die("%s: %s", path, strerror(errno));
    if (file != stdin)
        fclose(file);
    bytes[*length] = '\0';
    return bytes;
}

void apply_file(struct run *run, const char *value) {
    char *target = copied(value), *source = cut(target);
    size_t length;
    struct stat about;
    if (!source)
        die("--file wants DST:SRC, not %s", value);
    cut(source);
    char *bytes = contents(source, &length);
    sandbox_cmd_file(run->cmd, target, bytes, length, stat(source, &about) == 0 ? about.st_mode & 0777 : 0644);
    own(run, target);
    free(bytes);
    free(target);
}

void apply_symlink(struct run *run, const char *value) {
    char *text = copied(value), *target = cut(text);
    if (!target)
        die("--symlink wants TEXT:DST, not %s", value);
    cut(target);
    sandbox_cmd_symlink(run->cmd, text, target);
    free(text);
}

/* The host's files, read-only, with processes, devices, /tmp and /run (where services of the host listen) of its own;
 * and in it the directory in which this command is, wherever that lies. */
void show_default_root(struct run *run) {
    static const char *const covered[] = {"/tmp", "/run"};
    char directory[PATH_MAX];
    bool has_directory = getcwd(directory, sizeof directory);
    sandbox_cmd_root(run->cmd, "/", 0);
    add_place(run, "/", "/", false);
    apply_proc(run, "/proc");
    apply_dev(run, "/dev");
    for (size_t i = 0; i < sizeof covered / sizeof *covered; i++) {
        if (access(covered[i], F_OK) < 0)
            continue;
        sandbox_cmd_tmpfs(run->cmd, covered[i], 0, i ? 0755 : 01777);
        add_place(run, covered[i], NULL, true);
        if (has_directory && is_below(directory, covered[i]) && strcmp(directory, covered[i]) != 0) {
            sandbox_cmd_bind(run->cmd, directory, directory, 0);
            add_place(run, directory, directory, false);
        }
    }
    start_here(run, false);
}
