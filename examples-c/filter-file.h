/* filter-file.h: a filter from a file, as policy.c, firewall.c and fake-root.c take one. Two formats that people have:
 * minijail's policy language, and the JSON of the OCI runtime specification (Docker, podman, containerd). */

#ifndef FILTER_FILE_H
#define FILTER_FILE_H

#include <errno.h>
#include <sandbox_spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The whole file, to be freed; NULL with errno. */
static inline char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "re");
    char *text = NULL;
    *length = 0;
    for (size_t got = 1; file && got;) {
        char *longer = realloc(text, *length + 65536);
        if (!longer)
            abort();
        text = longer;
        got = fread(text + *length, 1, 65536, file);
        *length += got;
    }
    int failed = !file || ferror(file) ? errno : 0;
    if (file)
        fclose(file);
    if (failed) {
        free(text);
        text = NULL;
        errno = failed;
    }
    return text;
}

/* A policy may begin with '{' too, as in "{ read, write }: 1"; an object begins with a quoted name. */
static inline int is_json(const char *text, size_t length) {
    static const char blanks[] = " \t\r\n";
    size_t i = 0;
    while (i < length && strchr(blanks, text[i]))
        i++;
    if (i == length || text[i++] != '{')
        return 0;
    while (i < length && strchr(blanks, text[i]))
        i++;
    return i < length && (text[i] == '"' || text[i] == '}');
}

/* The filter in `path`; `otherwise` is what a policy that does not say so itself gives to calls that it does not name.
 * What is wrong with the file goes to standard error, and NULL is returned. */
static inline sandbox_filter *filter_from_file(const char *path, uint32_t otherwise) {
    size_t length;
    char *text = read_file(path, &length);
    if (!text) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return NULL;
    }
    sandbox_error error;
    sandbox_filter *filter = sandbox_filter_new(otherwise);
    int result;
    if (is_json(text, length)) {
        result = sandbox_filter_oci(filter, text, length, &error);
    } else {
        char *directory = strdup(path);
        char *slash = directory ? strrchr(directory, '/') : NULL;
        if (slash)
            slash[slash == directory] = '\0';
        sandbox_filter_policy_directory(filter, slash ? directory : "."); /* of its @include lines */
        result = sandbox_filter_policy(filter, text, length, &error);
        free(directory);
    }
    free(text);
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", path, error.message); /* names line and column, or the JSON path */
        sandbox_filter_free(filter);
        return NULL;
    }
    return filter;
}

#endif
