/* What follows from the table: the help, the completion, the manual page. */
#include "bwrap.h"
#include <string.h>

static const char *const topics[] = {"General", "Namespaces", "Environment", "Lifetime", "Files", "Lockdown"};
enum { TOPICS = sizeof topics / sizeof *topics };

void print_help(FILE *out) {
    fprintf(out, "usage: sandbox-bwrap [OPTION...] [--] COMMAND [ARGUMENT...]\nbubblewrap's command line, by sandbox-spawn.\n");
    for (size_t topic = 0; topic < TOPICS; topic++) {
        fprintf(out, "\n%s:\n", topics[topic]);
        for (const struct row *row = rows; row->name; row++) {
            if (strcmp(row->topic, topics[topic]) == 0) {
                int width = fprintf(out, "  --%s%s%s", row->name, row->values ? " " : "", row->values ? row->values : "");
                fprintf(out, "%*s%s\n", width < 32 ? 32 - width : 1, "", row->help);
            }
        }
    }
}

void print_completion(void) {
    printf("# Completion of sandbox-bwrap for bash.\n_sandbox_bwrap() {\n    local word=${COMP_WORDS[COMP_CWORD]}\n    case $word in\n"
           "        -*) mapfile -t COMPREPLY < <(compgen -W '");
    for (const struct row *row = rows; row->name; row++)
        printf("--%s ", row->name);
    printf("' -- \"$word\") ;;\n        *) mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n    esac\n}\n"
           "complete -o filenames -F _sandbox_bwrap sandbox-bwrap\n");
}

static void print_roff(const char *text) {
    for (; *text; text++) {
        if (*text == '-' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
}

void print_manual(void) {
    printf(".TH SANDBOX\\-BWRAP 1 \"\" \"sandbox\\-spawn %s\"\n.SH NAME\nsandbox\\-bwrap \\- bubblewrap's command line, by sandbox\\-spawn\n"
           ".SH SYNOPSIS\n.B sandbox\\-bwrap\n[\\fIOPTION\\fR...] [\\-\\-] \\fICOMMAND\\fR [\\fIARGUMENT\\fR...]\n"
           ".SH DESCRIPTION\nRuns a command in a mount namespace of its own, whose root is a new tmpfs that the options fill, in their order.\n"
           "Options, meaning and messages' form are those of bubblewrap 0.11.\n"
           "Directories that a target needs are made, with mode 0755, or closed as \\fB\\-\\-perms\\fR closes the target.\n"
           "What is open stays open for the command, but for what options name. No new privileges can be had inside.\n"
           "By default root keeps its capabilities and anybody else has none.\n",
           sandbox_version());
    for (size_t topic = 0; topic < TOPICS; topic++) {
        printf(".SH %s\n", topics[topic]);
        for (const struct row *row = rows; row->name; row++) {
            if (strcmp(row->topic, topics[topic]) != 0)
                continue;
            printf(".TP\n\\fB\\-\\-");
            print_roff(row->name);
            printf("\\fR%s\\fI%s\\fR\n\\&", row->values ? " " : "", row->values ? row->values : "");
            print_roff(row->help);
            printf("\n");
        }
    }
    printf(".SH \"EXIT STATUS\"\nThe command's own; 128 and the number of the signal that ended it; 1: it was not started, and one line on standard\n"
           "error, beginning \"bwrap: \", says why.\n");
    printf(".SH \"WHAT DIFFERS FROM BUBBLEWRAP\"\nStricter: nothing of process 1 can be looked at below /proc; what \\-\\-proc mounts has sys, sysrq\\-trigger, irq and bus\n"
           "read\\-only for root too, so that no user namespace inside can mount a proc of its own; mqueue is mounted nosuid, nodev and\n"
           "noexec; what root drops with \\-\\-cap\\-drop is gone for good, after \\-\\-cap\\-add ALL too; a filter that would end the\n"
           "command's own execve is refused.\n"
           ".PP\nOther: filters are the command's, not those of process 1; with \\-\\-new\\-session the command leads the session; \\-\\-dev makes no\n"
           "user namespace of its own; the command gets no fd that \\-\\-userns and its like were given; labels of SELinux are refused.\n"
           ".SH SEE ALSO\n.BR sandbox\\-run (1)\n");
}
