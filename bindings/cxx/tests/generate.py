"""Turns bindings/scenarios.json into a C++ test source: one TEST a scenario, through the binding's own calls.

usage: generate.py scenarios.json >scenarios.cpp"""
import json
import sys


def text(value):
    """A C++ string literal."""
    plain = lambda byte: chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}"
    return '"' + "".join(map(plain, value.encode())) + '"'


def action(name):
    return f"SANDBOX_ACT_ERRNO({name})" if isinstance(name, int) else f"SANDBOX_ACT_{name}"


def condition(index, op, value, mask=0):
    signs = {"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GE": ">=", "GT": ">"}
    if op == "MASKED_EQ":
        return f"(sandbox::arg({index}) & {mask}ULL) == {value}ULL"
    return f"sandbox::arg({index}) {signs[op]} {value}ULL"


def rule(action_, syscall, args=()):
    conditions = ", {" + ", ".join(condition(**arg) for arg in args) + "}" if args else ""
    return f".rule({action(action_)}, {text(syscall)}{conditions})"


def filter_of(default, rules=(), policy=None):
    rest = "".join(rule(each.pop("action"), **each) for each in map(dict, rules))
    return f"sandbox::filter({action(default)}){rest}" + (f".policy({text(policy)})" if policy else "")


def command_of(program, args=(), env_clear=False, env=None, cwd=None, options=None, rlimits=None, namespaces=(), filters=()):
    yield f"sandbox::command command({', '.join(map(text, [program, *args]))});"
    if env_clear:
        yield "command.clear_env();"
    for name, value in (env or {}).items():
        yield f"command.unset_env({text(name)});" if value is None else f"command.env({text(name)}, {text(value)});"
    if cwd:
        yield f"command.cwd({text(cwd)});"
    for name, value in (options or {}).items():
        yield f"command.set(SANDBOX_OPT_{name}, {value});"
    for name, (soft, hard) in (rlimits or {}).items():
        yield f"command.rlimit(RLIMIT_{name}, {soft}, {hard});"
    if namespaces:
        yield f"command.unshare({' | '.join('SANDBOX_NS_' + name for name in namespaces)});"
    for each in filters:
        yield f"command.filter({filter_of(**each)});"


def run(input=None, input_times=1, stdout_limit=0, stderr_limit=0, wall_time_ms=None, cpu_time_ms=None, merge_stderr=False, kill_at_limit=False):
    yield "sandbox::run_options options;"
    if input is not None:
        yield f"const std::string input = times({text(input)}, {input_times});"
        yield "options.input = input;"
    yield f"options.out_limit = {stdout_limit}, options.err_limit = {stderr_limit};"
    for name, value in (("wall_time", wall_time_ms), ("cpu_time", cpu_time_ms)):
        if value is not None:
            yield f"options.{name} = std::chrono::milliseconds({value});"
    yield f"options.merge_err = {str(merge_stderr).lower()}, options.kill_at_limit = {str(kill_at_limit).lower()};"
    yield "return do_run(command, options);"


def spawn(kill=0, supervise=-1):
    yield f"return do_spawn(command, {kill}, {supervise});"


def error(errno, stage, index, has):
    return f"check_error(seen, {errno}, {text(stage)}, {index}, {text(has)});"


def expect(exit=None, signal=None, cause="NONE", stdout=None, stdout_times=1, stderr=None, stderr_has="", stdout_cut=0, stderr_cut=0, limits=()):
    ended = f"expected.exit = {exit};" if signal is None else f"expected.signal = {signal};"
    yield f"expected expected; {ended} expected.cause = SANDBOX_CAUSE_{cause};"
    yield "expected.limits = " + " | ".join(["0"] + [f"SANDBOX_LIMIT_{name}" for name in limits]) + ";"
    if stdout is not None:
        yield f"expected.out = times({text(stdout)}, {stdout_times});"
    if stderr is not None:
        yield f"expected.err = {text(stderr)};"
    yield f"expected.err_has = {text(stderr_has)};"
    yield "expected.out_cut = {}, expected.err_cut = {};".format(*(-1 if cut == "some" else cut for cut in (stdout_cut, stderr_cut)))
    yield "check_end(seen, expected);"


def scenario(number, name, how, expect_, skip_stages=(), **rest):
    doing = rest.pop("run", {}) if how == "run" else {key: rest.pop(key) for key in ("kill", "supervise") if key in rest}
    yield f"TEST({number}, {text(name)}) {{"
    yield "    const seen seen = seeing([] {"
    for line in list(command_of(**rest)) + list({"run": run, "spawn": spawn}[how](**doing)):
        yield "        " + line
    yield "    }, {" + ", ".join(map(text, skip_stages)) + "});"
    wanted = dict(expect_)
    for line in [error(**wanted.pop("error"))] if "error" in wanted else expect(**wanted):
        yield "    " + line
    yield "}"


print('// Made by generate.py.\n#include "scenarios.hpp"')
for number, entry in enumerate(json.load(open(sys.argv[1]))):
    print("\n" + "\n".join(scenario(number, expect_=entry.pop("expect"), **entry)))
