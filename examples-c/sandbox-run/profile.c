/* Profiles: TOML or JSON, told apart by their first character. Either is a list of names and values, perhaps in tables
 * that only sort them; a name is an option's, a value what that option takes, a list one item a value.
 * Of TOML that is: tables, strings of one line, numbers, booleans, lists, comments. */
#include "run.h"
#include <stdlib.h>
#include <string.h>

struct reader {
    struct run *run;
    const char *path, *at, *begin, *end;
    const char *name; /* where the key stands */
};

static void place_of(const struct reader *reader, struct item *item) {
    const char *start = reader->begin;
    item->path = reader->path;
    item->line = 1;
    for (const char *at = reader->begin; at < reader->at; at++)
        if (*at == '\n')
            item->line++, start = at + 1;
    item->column = (int)(reader->at - start) + 1;
}

static _Noreturn void wrong(const struct reader *reader, const char *what) {
    struct item here = {0};
    place_of(reader, &here);
    blamed = &here;
    die("%s", what);
}

static int look(const struct reader *reader) {
    return reader->at < reader->end ? (unsigned char)*reader->at : -1;
}

/* Spaces, and where they mean nothing line ends and comments. */
static void skip(struct reader *reader, bool lines) {
    for (int c; (c = look(reader)) >= 0; reader->at++) {
        if (c == '#')
            while (look(reader) >= 0 && look(reader) != '\n')
                reader->at++;
        c = look(reader);
        if (!(c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))))
            return;
    }
}

static void expect(struct reader *reader, char wanted, bool lines) {
    char text[] = "expected ' '";
    text[10] = wanted;
    skip(reader, lines);
    if (look(reader) != wanted)
        wrong(reader, text);
    reader->at++;
}

struct text {
    char *bytes;
    size_t length;
};

static void put(struct text *text, char byte) {
    if (!text->bytes)
        text->bytes = grown(NULL, 0, 1);
    text->bytes[text->length++] = byte;
    text->bytes = grown(text->bytes, text->length, 1);
    text->bytes[text->length] = '\0';
}

static void put_character(struct text *text, unsigned long code) {
    if (code < 0x80) {
        put(text, (char)code);
    } else if (code < 0x800) {
        put(text, (char)(0xc0 | code >> 6)), put(text, (char)(0x80 | (code & 63)));
    } else {
        put(text, (char)(0xe0 | code >> 12)), put(text, (char)(0x80 | (code >> 6 & 63))), put(text, (char)(0x80 | (code & 63)));
    }
}

static void escape(struct reader *reader, struct text *text) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int c = look(reader);
    const char *known = c > 0 ? strchr(from, c) : NULL;
    reader->at++;
    if (known) {
        put(text, to[known - from]);
    } else if (c == 'u' && reader->end - reader->at >= 4) {
        char digits[5], *end;
        memcpy(digits, reader->at, 4), digits[4] = '\0';
        unsigned long code = strtoul(digits, &end, 16);
        if (*end || code == 0 || (code >= 0xd800 && code < 0xe000))
            wrong(reader, "no such character");
        put_character(text, code);
        reader->at += 4;
    } else {
        reader->at--;
        wrong(reader, "an unknown escape");
    }
}

static char *string(struct reader *reader) {
    struct text text = {NULL, 0};
    int quote = look(reader);
    reader->at++;
    for (int c; (c = look(reader)) != quote;) {
        if (c <= 0 || c == '\n')
            wrong(reader, "a string without its end");
        reader->at++;
        if (c == '\\' && quote == '"')
            escape(reader, &text);
        else
            put(&text, (char)c);
    }
    reader->at++;
    return text.bytes ? text.bytes : copied("");
}

static bool is_bare(int c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c > 0 && strchr("_-+.", c));
}

/* A number, true, false; or a key without quotes. */
static char *bare(struct reader *reader, const char *otherwise) {
    struct text text = {NULL, 0};
    for (; is_bare(look(reader)); reader->at++)
        put(&text, *reader->at);
    if (!text.bytes)
        wrong(reader, otherwise);
    return text.bytes;
}

static char *key(struct reader *reader) {
    skip(reader, true);
    int c = look(reader);
    reader->name = reader->at;
    if (c == '"' || c == '\'')
        return string(reader);
    char *name = bare(reader, "expected a name"), *dot = strrchr(name, '.');
    if (dot) /* limits.time: the table's name only sorts */
        memmove(name, dot + 1, strlen(dot));
    return name;
}

/* A word of the command to run. */
static void set_program(struct run *run, char *word) {
    run->program = grown(run->program, run->program_count, sizeof *run->program);
    run->program[run->program_count++] = word;
    run->program = grown(run->program, run->program_count, sizeof *run->program);
    run->program[run->program_count] = NULL;
}

/* `value` begins at the reader's `at`. */
static void set(struct reader *reader, const char *name, char *value, const char *begin) {
    char with_hyphens[64];
    size_t length = 0;
    for (; name[length] && length < sizeof with_hyphens - 1; length++)
        with_hyphens[length] = name[length] == '_' ? '-' : name[length];
    const struct row *row = name[length] ? NULL : row_named(with_hyphens, length);
    struct item *item = NULL;
    if (strcmp(name, "program") == 0) {
        set_program(reader->run, value);
        return;
    }
    if (!row || !row->apply) {
        reader->at = reader->name;
        wrong(reader, row ? "this option is the command line's alone" : "no option has this name");
    }
    reader->at = begin;
    if (row->value)
        item = add_item(reader->run, row, value);
    else if (strcmp(value, "true") == 0)
        item = add_item(reader->run, row, NULL);
    else if (strcmp(value, "false") != 0)
        wrong(reader, "expected true or false");
    if (item)
        place_of(reader, item);
    free(value);
}

static void one_value(struct reader *reader, const char *name) {
    int c = look(reader);
    const char *begin = reader->at;
    char *value = c == '"' || c == '\'' ? string(reader) : bare(reader, "expected a value");
    const char *end = reader->at;
    set(reader, name, value, begin);
    reader->at = end;
}

static void value_of(struct reader *reader, const char *name) {
    if (look(reader) != '[') {
        one_value(reader, name);
        return;
    }
    reader->at++;
    for (skip(reader, true); look(reader) != ']';) {
        one_value(reader, name);
        skip(reader, true);
        if (look(reader) == ',')
            reader->at++, skip(reader, true);
        else if (look(reader) != ']')
            wrong(reader, "expected ',' or ']'");
    }
    reader->at++;
}

static void object(struct reader *reader, int depth) {
    if (depth > 2)
        wrong(reader, "tables in tables in tables");
    expect(reader, '{', true);
    for (skip(reader, true); look(reader) != '}';) {
        char *name = key(reader);
        expect(reader, ':', true);
        skip(reader, true);
        if (look(reader) == '{')
            object(reader, depth + 1);
        else
            value_of(reader, name);
        free(name);
        skip(reader, true);
        if (look(reader) == ',')
            reader->at++, skip(reader, true);
        else if (look(reader) != '}')
            wrong(reader, "expected ',' or '}'");
    }
    reader->at++;
}

static void lines(struct reader *reader) {
    for (skip(reader, true); look(reader) >= 0; skip(reader, true)) {
        if (look(reader) == '[') { /* a table: its name only sorts */
            reader->at++;
            free(key(reader));
            expect(reader, ']', false);
        } else {
            char *name = key(reader);
            expect(reader, '=', false);
            skip(reader, false);
            value_of(reader, name);
            free(name);
        }
        skip(reader, false);
        if (look(reader) >= 0 && look(reader) != '\n' && look(reader) != '\r')
            wrong(reader, "expected the end of the line");
    }
}

void read_profile(struct run *run, const char *path) {
    size_t length;
    char *bytes = contents(path, &length);
    struct reader reader = {.run = run, .path = path, .at = bytes, .begin = bytes, .end = bytes + length};
    skip(&reader, true);
    if (look(&reader) == '{') {
        object(&reader, 0);
        skip(&reader, true);
        if (look(&reader) >= 0)
            wrong(&reader, "something behind the end");
    } else {
        lines(&reader);
    }
    free(bytes);
}
