# The security rules of tests/rules.md: each has tests, each test is there, and went well where its suite was run before
# this one (tests/run keeps what they print). Fails where a rule lost its test, or the test its name.
set -u
cd "$ROOT" || exit 1

# A call by number could hit a stranger: pids are used again.
numbered=$(grep -rnE 'libc::(kill|killpg)\b|SYS_(kill|tkill|tgkill|rt_sigqueueinfo|rt_tgsigqueueinfo)\b|nr::(KILL|TKILL|TGKILL)\b|signal::kill' src child || true)
title="no system call that signals by number is in the library's sources"
if [ -z "$numbered" ]; then own="ok - $title"; else own="not ok - $title: $numbered"; fi
echo "$own"

# went SUITE NAME: 0 and nothing; or why not. 2: not known.
went() {
    local log=build/test/$1.log
    if [ "$1" = 90-rules ]; then [ "$own" = "ok - $2" ] || echo "it failed"; return; fi
    if ! ls "tests/suite/$1.sh" > /dev/null 2>&1; then echo "there is no suite $1"; return; fi
    local file
    file=$(grep -rlF -- "$2" tests/c tests/*.rs tests/*/*.rs "tests/suite/$1.sh" | head -n 1)
    if [ -z "$file" ]; then echo "no test of that name"; return; fi
    [ "$log" -nt "$file" ] || return 2 # of another test, by that name, or of none
    if grep -F -- "$2" "$log" | grep -q '^not ok - '; then echo "it failed"; return; fi
    if grep -F -- "$2" "$log" | grep -q '^ok - '; then return; fi
    if grep -F -- "$2" "$log" | grep -q '^skip - '; then return 2; fi
    echo "suite $1 did not run it"
}

lesson="" rules=0
finish() {
    [ -n "$lesson" ] || return
    if [ -n "$wrong" ]; then echo "not ok - $lesson:$wrong"
    elif [ $tests = 0 ]; then echo "not ok - $lesson: it has no test"
    elif [ $held = 0 ]; then echo "skip - $lesson: none of its $tests tests was run here"
    else echo "ok - $lesson ($held of $tests tests)"; fi
    rules=$((rules + 1))
}
while IFS= read -r line; do
    case $line in
        "## "*) finish; lesson=${line#"## "} wrong="" tests=0 held=0 ;;
        "- "*": "*)
            suite=${line#"- "} suite=${suite%%: *} name=${line#*: }
            tests=$((tests + 1))
            why=$(went "$suite" "$name")
            code=$?
            if [ -n "$why" ]; then wrong="$wrong $name: $why;"
            elif [ $code = 0 ]; then held=$((held + 1)); fi ;;
    esac
done < tests/rules.md
finish
if [ $rules -ge 28 ]; then echo "ok - $rules rules"; else echo "not ok - there are 28 rules, in the table are $rules"; fi
