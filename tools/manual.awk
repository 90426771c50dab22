# The manual, from the header and its comments: a page in section 3 for each function, enumeration, structure, handle
# and callback, and sandbox_spawn(7), which lists them all by theme. Any awk will do.
#   awk -v out=DIR -v version=0.1.0 -v date=2026-01-31 -f tools/manual.awk tools/manual.themes include/sandbox_spawn.h
#
# A comment is prose, then "@param NAME  text", then "@return text". What @return says is a list: "0; -EBADF: not open".

# --- reading ---------------------------------------------------------------------------------------------------------

FILENAME ~ /themes$/ {
    if (/^#/ || !NF) next
    title = $0
    sub(/:.*/, "", title)
    sub(/^[^:]*: */, "")
    theme_titles[++themes] = title
    theme_names[themes] = " " $0 " "
    next
}
in_doc {
    if (/\*\/ *$/) { in_doc = 0; next }
    sub(/^ *\* ?/, "")
    doc = doc $0 "\n"
    next
}
/^\/\* sandbox-spawn/ { intro = $0; sub(/^\/\* */, "", intro); in_intro = 1; next }
in_intro {
    if (/\*\/ *$/) in_intro = 0
    sub(/^ *\* ?/, ""); sub(/ *\*\/ *$/, "")
    intro = intro "\n" $0
    next
}
/^ *\/\*\* .*\*\/$/ { doc = $0; sub(/^ *\/\*\* */, "", doc); sub(/ *\*\/$/, "", doc); doc = doc "\n"; next }
/^ *\/\*\*$/ { in_doc = 1; doc = ""; next }
/^#define SANDBOX_ACT_/ {
    value = $0
    sub(/^#define [^ ]*(\(n\))? +/, "", value)
    actions[++actions_count] = $2; action_docs[actions_count] = doc; doc = ""
    next
}
/^#/ { if (!/^#define/ || in_body) next; doc = ""; next }
in_body {
    if (/^} /) { in_body = 0; next }
    line = $0
    sub(/^ +/, "", line); sub(/,$/, "", line)
    if (line == "") next
    members[count]++
    member[count, members[count]] = plain_type(line)
    member_doc[count, members[count]] = doc
    doc = ""
    next
}
/^typedef (enum|struct) [a-z_]+ \{/ { begin($2, $3); in_body = 1; next }
/^typedef struct [a-z_]+ [a-z_]+;/ { begin("handle", $3); next }
in_declaration || /^typedef|^[a-z].*\(/ && !/^extern/ {
    declaration = in_declaration ? declaration " " $0 : $0
    in_declaration = !/;$/
    if (in_declaration) next
    gsub(/  +/, " ", declaration)
    name = declaration
    if (sub(/^typedef .*\(\*/, "", name)) { sub(/\).*/, "", name); begin("callback", name) }
    else { sub(/\(.*/, "", name); sub(/.*[ *]/, "", name); begin("function", name) }
    prototype[count] = plain_type(declaration)
}

function begin(kind_of, name_of) {
    kind[++count] = kind_of; name_at[count] = name_of; at[name_of] = count
    docs[count] = doc; doc = ""
    briefs[count] = brief(docs[count])
}
# C knows the types by their plain names too.
function plain_type(text) { gsub(/struct sandbox_/, "sandbox_", text); return text }

# --- words -----------------------------------------------------------------------------------------------------------

# The first thing that a comment says: the line of NAME.
function brief(text,    i, c, depth, comma) {
    sub(/(^|\n)@.*/, "", text)
    gsub(/\n/, " ", text)
    sub(/ +$/, "", text)
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "(") depth++
        else if (c == ")") depth--
        if (depth || i < length(text) && substr(text, i + 1, 1) != " ") continue
        if (c == "." || c ~ /[:;]/ && i > 12) break # not after "Answer:"
        if (c == "," && i > 24 && !comma) comma = i
    }
    if (i > 62 && comma) i = comma
    text = substr(text, 1, i - 1)
    gsub(/`/, "", text)
    sub(/ +$/, "", text)
    if (text ~ /^[A-Z][a-z ]/) text = tolower(substr(text, 1, 1)) substr(text, 2)
    return text
}
# The page that tells of a constant, or of all that begin as "SANDBOX_OPT_*" does.
function constant_page(constant,    i, j, prefix) {
    prefix = sub(/\*$/, "", constant)
    if (index(constant, "SANDBOX_ACT_") == 1) return "sandbox_actions"
    for (i = 1; i <= count; i++) if (kind[i] == "enum") for (j = 1; j <= members[i]; j++) {
        if (index(member[i, j], constant (prefix ? "" : " ")) == 1) return name_at[i]
    }
    return ""
}
function refer(page, section) { if (page != "" && page != own) references[page "(" section ")"] = 1 }
# One word, with what it is made visible.
function word(text,    lead, core, rest) {
    if (match(text, /^[("]+/)) { lead = substr(text, 1, RLENGTH); text = substr(text, RLENGTH + 1) }
    if (match(text, /^sandbox_[a-z0-9_]+/)) {
        core = substr(text, 1, RLENGTH); rest = substr(text, RLENGTH + 1)
        sub(/^\(\)/, "", rest)
        if (rest ~ /^\.[a-z]/) { refer(core, 3); match(rest, /^[.a-z0-9_]*[a-z0-9_]/); return lead "\\fI" core substr(rest, 1, RLENGTH) "\\fP" substr(rest, RLENGTH + 1) }
        if (core == own || !(core in at)) return lead "\\fB" core "\\fP" rest
        refer(core, 3)
        return lead "\\fB" core "\\fP(3)" rest
    }
    if (match(text, /^SANDBOX_[A-Z0-9_]+\*?/)) {
        core = substr(text, 1, RLENGTH)
        refer(constant_page(core), 3)
        return lead "\\fB" core "\\fP" substr(text, RLENGTH + 1)
    }
    if (match(text, /^[a-z_0-9-]+\([1-8]\)/)) {
        core = substr(text, 1, RLENGTH); rest = substr(text, RLENGTH + 1)
        sub(/\(.*/, "", core)
        references[substr(text, 1, RLENGTH)] = 1
        return lead "\\fB" core "\\fP" substr(text, length(core) + 1, 3) rest
    }
    if (match(text, /^-E[A-Z0-9]+/)) return lead "\\fB\\" substr(text, 1, RLENGTH) "\\fP" substr(text, RLENGTH + 1)
    if (match(text, /^_[a-z][a-z_]+/)) return lead "\\fB" substr(text, 1, RLENGTH) "\\fP" substr(text, RLENGTH + 1)
    while (match(text, /'[^ ]'/)) text = substr(text, 1, RSTART - 1) "\\(aq" substr(text, RSTART + 1, 1) "\\(aq" substr(text, RSTART + 3)
    if (text ~ /^-/) { gsub(/-/, "\\-", text) }
    return lead text
}
# Text as lines of less than 80 characters, each word marked up.
function say(text,    words, i, line, n, w, open) {
    gsub(/\\/, "\\e", text)
    n = split(text, words, / +/)
    line = ""
    for (i = 1; i <= n; i++) {
        if (words[i] == "") continue
        w = words[i]
        if (w ~ /`/) {
            if (w ~ /`sandbox_[a-z_]+`/) gsub(/`/, "", w)
            else while (sub(/`/, open ? "\\fP" : "\\fI", w)) open = !open
        }
        if (w !~ /\\f/) w = word(w)
        if (line != "" && length(line) + 1 + length(w) > 78) { put(line); line = "" }
        line = line == "" ? w : line " " w
    }
    if (line != "") put(line)
}
function put(line) { if (line ~ /^[.']/) line = "\\&" line; print line > page }
function macro(line) { print line > page }
# Paragraphs and lists.
function prose(text,    lines, n, i, paragraph, bullet) {
    n = split(text, lines, "\n")
    paragraph = ""
    for (i = 1; i <= n + 1; i++) {
        if (i > n || lines[i] == "" || lines[i] ~ /^- /) {
            if (paragraph != "") { if (bullet) macro(".IP \\(bu 2"); else if (said) macro(".P"); said++; say(paragraph) }
            paragraph = ""
            bullet = 0
        }
        if (i <= n && lines[i] != "") {
            if (sub(/^- /, "", lines[i])) bullet = 1
            paragraph = paragraph " " lines[i]
        }
    }
}
function sentence(text) {
    sub(/^ +/, "", text); sub(/ +$/, "", text)
    if (text == "NULL" || text == "a NULL") return "A pointer is NULL."
    if (text ~ /^[a-z]/ && text !~ /^sandbox_/ && text !~ /^[a-z]+'s /) text = toupper(substr(text, 1, 1)) substr(text, 2)
    return text ~ /[.:]$/ ? text : text "."
}

# --- pages -----------------------------------------------------------------------------------------------------------

function start(name, section, summary,    i) {
    for (i in references) delete references[i]
    own = name
    page = out "/" name "." section
    macro(".\\\" Generated from include/sandbox_spawn.h by tools/manual.awk.")
    macro(".TH " name " " section " " date " \"sandbox-spawn " version "\"")
    macro(".nh") # no name is ever broken
    macro(".ad l")
    macro(".SH NAME")
    gsub(/-/, "\\-", summary)
    put(name " \\- " summary)
    macro(".SH LIBRARY")
    put("sandbox-spawn (libsandbox_spawn, \\-lsandbox_spawn)")
    macro(".SH SYNOPSIS")
    macro(".nf")
    macro(".B #include <sandbox_spawn.h>")
}
function finish(    names, n, i, j, swap, seen) {
    refer("sandbox_spawn", 7)
    n = 0
    delete references[own "(3)"]
    for (i in references) names[++n] = i
    for (i = 2; i <= n; i++) for (j = i; j > 1 && names[j] < names[j - 1]; j--) { swap = names[j]; names[j] = names[j - 1]; names[j - 1] = swap }
    if (own == "sandbox_spawn" && page ~ /7$/) { close(page); return }
    macro(".SH SEE ALSO")
    if (own == "sandbox_spawn") names[++n] = "sandbox_spawn(7)"
    for (i = 1; i <= n; i++) {
        match(names[i], /\(/)
        macro(".BR " substr(names[i], 1, RSTART - 1) " " substr(names[i], RSTART) (i < n ? "," : ""))
    }
    close(page)
}
# A declaration, its parameters in italics, broken between them where it is long.
function synopsis(text,    head, arguments, n, i, type, argument, indent, line, width) {
    match(text, text ~ /\(\*/ ? "\\)\\(" : "\\(")
    head = substr(text, 1, RSTART + RLENGTH - 1)
    arguments = substr(text, RSTART + RLENGTH)
    sub(/\);$/, "", arguments)
    n = split(arguments, list, /, */)
    indent = sprintf("%" length(head) "s", "")
    if (length(head) > 40) indent = "        "
    line = "\"" head; width = length(head)
    for (i = 1; i <= n; i++) {
        type = list[i]; argument = ""
        if (match(type, /[a-z_0-9]+$/) && type != "void") { argument = substr(type, RSTART); type = substr(type, 1, RSTART - 1) }
        if (i > 1 && width + length(list[i]) + 4 > 76) { sub(/ $/, "", line); macro(".BI " line "\""); line = "\"" indent; width = length(indent) }
        line = line type (argument == "" ? "" : "\" " argument " \"") (i < n ? ", " : ");")
        width += length(list[i]) + 2
    }
    macro(".BI " line "\"")
}
# "0; -EBADF: not open. More: -EIO: broken" as RETURN VALUE and ERRORS.
function outcome(text,    i, c, depth, part, separator) {
    gsub(/\n/, " ", text); gsub(/  +/, " ", text)
    section = ""; pending = ""; listed = 0
    part = ""
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "(") depth++
        else if (c == ")") depth--
        if (!depth && (c == ";" || c == ".") && (i == length(text) || substr(text, i + 1, 1) == " ")) {
            result(part, c)
            part = ""
            continue
        }
        part = part c
    }
    result(part, ".")
    flush()
}
function into(wanted) {
    if (section == wanted || section == "ERRORS") return
    flush()
    if (section == wanted) return
    macro(".SH " wanted)
    section = wanted; said = 0
}
function flush() {
    if (pending == "") return
    if (section == "") { macro(".SH RETURN VALUE"); section = "RETURN VALUE"; said = 0 }
    if (said++) macro(".P")
    say(sentence(pending))
    pending = ""; listed = 0
}
function item(tag, text) {
    flush()
    if (section == "ERRORS" && !said++) say("Failures are returned as negative error numbers:")
    said++
    macro(".TP")
    gsub(/-/, "\\-", tag)
    macro(".B " tag)
    say(sentence(text))
}
function result(part, separator,    tag, rest) {
    sub(/^ +/, "", part)
    if (part == "") return
    if (match(part, /^-E[A-Z0-9]+(,( and)? -E[A-Z0-9]+| and what else open says)*/)) {
        tag = substr(part, 1, RLENGTH); part = substr(part, RLENGTH + 1)
        into("ERRORS")
        sub(/^(: | where )/, "", part)
        item(tag, part == "" ? usual(tag) : part)
    } else if (match(part, /^(-?[0-9]+|[Bb]elow 0)(: |$)/)) {
        tag = substr(part, 1, RLENGTH); part = substr(part, RLENGTH + 1)
        sub(/: $/, "", tag); sub(/^b/, "B", tag)
        if (part == "") part = "success"
        into("RETURN VALUE")
        item(tag, part)
    } else if (match(part, /: -E[A-Z]/)) {
        rest = substr(part, RSTART + 2); part = substr(part, 1, RSTART)
        into("ERRORS")
        if (said++) macro(".P")
        say(sentence(part))
        result(rest, separator)
    } else {
        if (part ~ /^(errors? as|other errors|else |-errno|[a-z]+'s -errno)|latched error/) into("ERRORS")
        pending = pending == "" ? part : pending joint " " part
        joint = separator
        if (separator == ".") flush()
    }
}
function usual(tag) {
    if (tag == "-EBADF") return "not an open fd"
    if (tag == "-EMFILE") return "no fd is left"
    if (tag == "-EFAULT") return "NULL"
    if (tag == "-EALREADY") return "it was answered"
    if (tag == "-ENAMETOOLONG") return "a name longer than the kernel takes"
    if (tag == "-E2BIG") return "too long, or too many"
    if (tag == "-ESRCH") return "it has ended"
    return "as the kernel says"
}

function function_page(i,    text, body, n, parts, j, name, entry) {
    start(name_at[i], 3, briefs[i])
    macro(".P")
    synopsis(prototype[i])
    macro(".fi")
    text = docs[i]
    body = text
    sub(/(^|\n)@(param|return).*/, "", body)
    macro(".SH DESCRIPTION")
    said = 0
    prose(body)
    n = split(text, parts, /(^|\n)@/)
    section = ""
    for (j = 1; j <= n; j++) if (sub(/^param +/, "", parts[j])) {
        if (section == "") { macro(".SH PARAMETERS"); section = "p" }
        name = parts[j]
        sub(/ .*/, "", name); sub(/\n.*/, "", name)
        entry = substr(parts[j], length(name) + 1)
        gsub(/\n/, " ", entry)
        macro(".TP")
        macro(".I " name)
        say(entry)
    }
    for (j = 1; j <= n; j++) if (sub(/^return +/, "", parts[j])) outcome(parts[j])
    relatives(i)
    finish()
}
# The page of the handle that a function is about, and of what else its prototype names.
function relatives(i,    n, words, j) {
    n = split(prototype[i], words, /[^a-z0-9_]+/)
    for (j = 1; j <= n; j++) if (words[j] in at && words[j] != name_at[i]) refer(words[j], 3)
}
function enum_page(i,    j, constant, value, text) {
    start(name_at[i], 3, briefs[i])
    macro(".P")
    macro(".B typedef enum " name_at[i] " " name_at[i] ";")
    macro(".fi")
    macro(".SH DESCRIPTION")
    said = 0
    prose(docs[i])
    for (j = 1; j <= members[i]; j++) {
        split(member[i, j], parts_of, / = /)
        value = parts_of[2] > 4096 ? sprintf("0x%x", parts_of[2]) : parts_of[2]
        macro(".TP")
        macro(".BR " parts_of[1] " \" = " value "\"")
        text = member_doc[i, j]
        gsub(/\n/, " ", text)
        if (text ~ /^ *$/) macro("\\&"); else say(text)
    }
    finish()
}
function struct_page(i,    j, field, text, waiting) {
    start(name_at[i], 3, briefs[i])
    macro(".P")
    macro(".B typedef struct " name_at[i] " {")
    for (j = 1; j <= members[i]; j++) {
        text = member[i, j]
        match(text, /[a-z_0-9]+(\[[0-9]+\])?;$/)
        field = substr(text, RSTART)
        sub(/;$/, "", field)
        macro(".BI \"    " substr(text, 1, RSTART - 1) "\" " field " ;")
        fields[j] = field
    }
    macro(".B } " name_at[i] ";")
    macro(".fi")
    macro(".SH DESCRIPTION")
    said = 0
    prose(docs[i])
    for (j = 1; j <= members[i]; j++) {
        if (member_doc[i, j] == "") continue
        macro(".TP")
        macro(".I " fields[j])
        text = member_doc[i, j]
        gsub(/\n/, " ", text)
        while (j < members[i] && member_doc[i, j + 1] == "") { macro(".TQ"); macro(".I " fields[++j]) } # what is said holds for these too
        say(text)
    }
    finish()
}
function callback_page(i) {
    start(name_at[i], 3, briefs[i])
    macro(".P")
    synopsis(prototype[i])
    macro(".fi")
    macro(".SH DESCRIPTION")
    said = 0
    prose(docs[i])
    users(i)
    relatives(i)
    finish()
}
function handle_page(i) {
    start(name_at[i], 3, briefs[i])
    macro(".P")
    macro(".B typedef struct " name_at[i] " " name_at[i] ";")
    macro(".fi")
    macro(".SH DESCRIPTION")
    said = 0
    prose(docs[i])
    users(i)
    finish()
}
# Every function whose prototype names the type.
function users(i,    j, any) {
    for (j = 1; j <= count; j++) if (kind[j] == "function" && (" " prototype[j]) ~ ("[ (]" name_at[i] "[ ,)]")) {
        if (!any++) macro(".SH FUNCTIONS")
        entry_of(j)
    }
}
function entry_of(i,    text) {
    text = briefs[i]
    macro(".TP")
    macro(".BR " name_at[i] " (3)")
    say(sentence(text))
}
function actions_page(    j, text) {
    start("sandbox_actions", 3, "the actions of a seccomp filter, and their order")
    macro(".fi")
    macro(".SH DESCRIPTION")
    say("What a filter does with a system call; the kernel's values. Where several filters judge one call the strictest " \
        "answer holds: KILL_PROCESS, KILL_THREAD, TRAP, ERRNO, NOTIFY, TRACE, LOG, ALLOW.")
    for (j = 1; j <= actions_count; j++) {
        macro(".TP")
        macro(".B " actions[j])
        say(action_text(actions[j]))
    }
    refer("sandbox_filter", 3); refer("sandbox_filter_rule", 3); references["seccomp(2)"] = 1
    finish()
}
function action_text(name) {
    if (name ~ /KILL_PROCESS/) return "The process ends, as by SIGSYS."
    if (name ~ /KILL_THREAD/) return "The thread ends."
    if (name ~ /TRAP/) return "The thread gets SIGSYS, which it may handle."
    if (name ~ /NOTIFY/) return "The call waits for the supervisor: see sandbox_supervisor."
    if (name ~ /LOG/) return "The call is carried out, and logged."
    if (name ~ /ALLOW/) return "The call is carried out."
    if (name ~ /ERRNO/) return "The call returns -1 with this errno, 0 to 4095."
    if (name ~ /TRACE/) return "A tracer decides, and is given this number: see sandbox_cmd_ptrace. Without a tracer the call returns -1 with ENOSYS."
    return ""
}
function overview(    t, i, n, names, done, kinds, titles) {
    start("sandbox_spawn", 7, "start Linux processes already confined")
    own = ""
    macro(".P")
    macro(".B cc program.c $(pkg\\-config \\-\\-cflags \\-\\-libs sandbox_spawn)")
    macro(".fi")
    macro(".SH DESCRIPTION")
    said = 0
    sub(/^[^\n]*\n/, "", intro); sub(/\n[^\n]*Licence[^\n]*\n*$/, "", intro)
    say("A command is made with sandbox_cmd_new, told what its child may be and do, and started with sandbox_spawn, " \
        "or run to its end with sandbox_run. What is not set is as safe as it can be for any program: all fds but the " \
        "standard streams closed, no capability, no new privileges, default signals, and death with the host.")
    said = 1
    prose(intro)
    macro(".P")
    say("A setter that fails returns its error and is remembered: sandbox_spawn then refuses with that first error. So " \
        "who checks no setter still never gets a weaker sandbox than written. A failure fills the caller's sandbox_error: " \
        "the step, the item, the errno and a message.")
    for (t = 1; t <= themes; t++) {
        n = split(theme_names[t], names, / +/)
        macro(".SS " theme_titles[t])
        for (i = 1; i <= n; i++) if (names[i] in at) { entry_of(at[names[i]]); done[names[i]] = 1 }
            else if (names[i] != "") { print "manual: a theme names " names[i] ", which there is not" > "/dev/stderr"; failed = 1 }
    }
    n = 0
    for (i = 1; i <= count; i++) if (kind[i] == "function" && !(name_at[i] in done)) { if (!n++) macro(".SS Others"); entry_of(i) }
    split("handle struct enum callback", kinds, " ")
    split("Handles,Structures,Enumerations,Callbacks", titles, ",")
    for (t = 1; t <= 4; t++) {
        macro(".SS " titles[t])
        for (i = 1; i <= count; i++) if (kind[i] == kinds[t]) entry_of(i)
        if (kinds[t] == "enum") { macro(".TP"); macro(".BR sandbox_actions (3)"); say("The actions of a seccomp filter, and their order.") }
    }
    macro(".SH EXAMPLES")
    macro(".nf")
    macro(".RS 4")
    while ((getline line < example) > 0) { gsub(/\\/, "\\e", line); gsub(/-/, "\\-", line); put(line) }
    macro(".RE")
    macro(".fi")
    macro(".SH SEE ALSO")
    macro(".BR sandbox\\-run (1)," ); macro(".BR posix_spawn (3),"); macro(".BR clone (2),"); macro(".BR namespaces (7),")
    macro(".BR capabilities (7),"); macro(".BR cgroups (7),"); macro(".BR landlock (7),"); macro(".BR seccomp (2),"); macro(".BR seccomp_unotify (2)")
    close(page)
}
END {
    if (failed) exit 1
    for (i = 1; i <= count; i++) {
        if (kind[i] == "function") function_page(i)
        else if (kind[i] == "enum") enum_page(i)
        else if (kind[i] == "struct") struct_page(i)
        else if (kind[i] == "callback") callback_page(i)
        else handle_page(i)
    }
    actions_page()
    overview()
    exit failed
}
