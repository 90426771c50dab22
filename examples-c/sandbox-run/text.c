/* What follows from the table of options alone: the help, the completion of bash and the manual page. */
#include "run.h"
#include <string.h>

static const struct {
    const char *name, *title;
} topics[] = {
    {"files", "Files: what it sees, and where"},
    {"network", "Network"},
    {"landlock", "Landlock: what it may reach of what it sees"},
    {"identity", "Who it is"},
    {"limits", "Limits; a SIZE may end in k, m, g, t"},
    {"given", "What it is given"},
    {"syscalls", "System calls"},
    {"running", "This command"},
};
enum { TOPICS = sizeof topics / sizeof *topics, COLUMN = 31, SCREEN = 80 };

/* Text from COLUMN on, its lines broken at the screen's edge; `column` is where the cursor is. */
static void print_wrapped(FILE *out, const char *text, int column) {
    int indent = COLUMN;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (column + 1 + length > SCREEN) {
            fputc('\n', out);
            column = 0;
            indent = COLUMN;
        }
        column += fprintf(out, "%*s%.*s", column < indent ? indent - column : 1, "", length, text);
        indent = 0;
        text += length + (text[length] == ' ');
    }
    fputc('\n', out);
}

static void print_topic(FILE *out, size_t topic) {
    fprintf(out, "%s:\n", topics[topic].title);
    for (const struct row *row = rows; row->name; row++) {
        if (strcmp(row->topic, topics[topic].name) != 0)
            continue;
        char letter[] = "-?, ";
        letter[1] = row->letter;
        print_wrapped(out, row->help, fprintf(out, "  %4s--%s%s%s", row->letter ? letter : "", row->name, row->value ? " " : "", row->value ? row->value : ""));
    }
}

void print_help(FILE *out, const char *topic) {
    for (size_t i = 0; i < TOPICS && topic; i++) {
        if (strcmp(topic, topics[i].name) == 0) {
            print_topic(out, i);
            return;
        }
    }
    if (topic && strcmp(topic, "all") == 0) {
        for (size_t i = 0; i < TOPICS; i++)
            print_topic(out, i);
        return;
    }
    fputs("usage: sandbox-run [options] program [argument...]\n"
          "Runs a program confined: it sees the host's files read-only, a /tmp of its own,\n"
          "no network, no other process; it has no capability, and ends with all that it\n"
          "has started when this command does.\n\n"
          "  sandbox-run ls /                               look around\n"
          "  sandbox-run -w . -t 60 make                    this directory writable, 60 s\n"
          "  sandbox-run -s -b job.py python3 job.py        a script, and no other file\n"
          "  sandbox-run --learn job.toml ./job             what does it need? ...\n"
          "  sandbox-run -f job.toml ./job                  ... then that and no more\n\n"
          "Options, by topic: sandbox-run --help TOPIC, or --help all.\n",
          out);
    for (size_t i = 0; i < TOPICS; i++)
        fprintf(out, "  %-10s%s\n", topics[i].name, topics[i].title);
    fputs("\nExit code: the program's own; 128 + the signal that ended it; 124: out of time;\n125: not started, and one line says why.\n", out);
}

void print_completion(void) {
    printf("# bash completion of sandbox-run\n_sandbox_run() {\n    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    case $before in\n        --net|-n) COMPREPLY=($(compgen -W 'none loopback host' -- \"$word\")); return ;;\n"
           "        --preset) COMPREPLY=($(compgen -W 'compute build network' -- \"$word\")); return ;;\n"
           "        --help|-h) COMPREPLY=($(compgen -W '");
    for (size_t i = 0; i < TOPICS; i++)
        printf("%s ", topics[i].name);
    printf("all' -- \"$word\")); return ;;\n    esac\n    case $word in\n        -*) COMPREPLY=($(compgen -W '");
    for (const struct row *row = rows; row->name; row++)
        printf("--%s ", row->name);
    printf("' -- \"$word\")) ;;\n        *) COMPREPLY=($(compgen -f -c -- \"$word\")) ;;\n    esac\n}\ncomplete -o filenames -F _sandbox_run sandbox-run\n");
}
/* A leading dot or a hyphen means something to roff. */
static void print_roff(const char *text) {
    for (; *text; text++) {
        if (*text == '-' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
}

void print_manual(void) {
    printf(".TH SANDBOX\\-RUN 1 \"\" \"sandbox\\-spawn %s\"\n.SH NAME\nsandbox\\-run \\- run a program confined\n"
           ".SH SYNOPSIS\n.B sandbox\\-run\n[\\fIoptions\\fR] \\fIprogram\\fR [\\fIargument\\fR...]\n.SH DESCRIPTION\n"
           "Runs a program in a sandbox. Without options it sees the files of the host read\\-only, an empty /tmp, no network and no\n"
           "other process; it has no capability, and ends with all that it has started when this command does.\n",
           sandbox_version());
    for (size_t i = 0; i < TOPICS; i++) {
        printf(".SH \"%s\"\n", topics[i].title);
        for (const struct row *row = rows; row->name; row++) {
            if (strcmp(row->topic, topics[i].name) != 0)
                continue;
            printf(".TP\n");
            if (row->letter)
                printf("\\fB\\-%c\\fR, ", row->letter);
            printf("\\fB\\-\\-");
            print_roff(row->name);
            printf("\\fR");
            if (row->value) {
                printf(" \\fI");
                print_roff(row->value);
                printf("\\fR");
            }
            printf("\n\\&");
            print_roff(row->help);
            printf("\n");
        }
    }
    printf(".SH PROFILES\nA profile is TOML or JSON: names are those of the options, values what they take, a list stands for several.\n"
           "Tables only sort. \\fBprogram\\fR is the command to run where the command line names none.\n.PP\n.nf\n"
           "program = [\"python3\", \"job.py\"]\n[files]\nsystem = true\nbind = [\"job.py\"]\n[limits]\ntime = 10\nmemory = \"256m\"\n.fi\n"
           ".SH \"EXIT STATUS\"\nThe program's own; 128 and the number of the signal that ended it; 124: out of time; 125: it was not started, and one line on\n"
           "standard error says why.\n.SH SEE ALSO\n.BR sandbox_spawn (3)\n");
}
