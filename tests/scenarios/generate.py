"""Turns bindings/scenarios.json into a C test program of tests/c: one TEST a scenario, straight calls of the library.

usage: generate.py scenarios.json >scenarios.c"""
import json
import sys


def text(value):
    """A C string literal; `None` is NULL."""
    if value is None:
        return "NULL"
    plain = lambda byte: chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}"
    return '"' + "".join(map(plain, value.encode())) + '"'


def action(name):
    return f"SANDBOX_ACT_ERRNO({name})" if isinstance(name, int) else f"SANDBOX_ACT_{name}"


def filter_of(default, rules=(), policy=None):
    yield f"filter = sandbox_filter_new({action(default)});"
    for rule in rules:
        args = [f"{{{arg['index']}, SANDBOX_CMP_{arg['op']}, {arg['value']}ULL, {arg.get('mask', 0)}ULL}}" for arg in rule.get("args", [])]
        array = f"(sandbox_arg[]){{{', '.join(args)}}}" if args else "NULL"
        yield f"CHECK_EQ(sandbox_filter_rule(filter, {action(rule['action'])}, {text(rule['syscall'])}, {array}, {len(args)}), 0);"
    if policy:
        yield f"CHECK_EQ(sandbox_filter_policy(filter, {text(policy)}, {len(policy.encode())}, NULL), 0);"
    yield "sandbox_cmd_filter(cmd, filter);"
    yield "sandbox_filter_free(filter);"


def command_of(program, args=(), env_clear=False, env=None, cwd=None, options=None, rlimits=None, namespaces=(), filters=()):
    yield f"sandbox_cmd *cmd = sandbox_cmd_new({text(program)});"
    if filters:
        yield "sandbox_filter *filter;"
    for arg in args:
        yield f"sandbox_cmd_arg(cmd, {text(arg)});"
    if env_clear:
        yield "sandbox_cmd_env_clear(cmd);"
    for name, value in (env or {}).items():
        yield f"sandbox_cmd_env(cmd, {text(name)}, {text(value)});"
    if cwd:
        yield f"sandbox_cmd_cwd(cmd, {text(cwd)});"
    for name, value in (options or {}).items():
        yield f"sandbox_cmd_set(cmd, SANDBOX_OPT_{name}, (uint64_t){value});"
    for name, (soft, hard) in (rlimits or {}).items():
        yield f"sandbox_cmd_rlimit(cmd, RLIMIT_{name}, {soft}, {hard});"
    for name in namespaces:
        yield f"sandbox_cmd_unshare(cmd, SANDBOX_NS_{name});"
    for each in filters:
        yield from filter_of(**each)


def run(input=None, input_times=1, merge_stderr=False, kill_at_limit=False, **limits):
    for name in limits:
        if name not in ("stdout_limit", "stderr_limit", "wall_time_ms", "cpu_time_ms"):
            raise SystemExit(f"unknown key of run: {name}")
    flags = " | ".join(["0"] + ["SANDBOX_RUN_MERGE_STDERR"] * merge_stderr + ["SANDBOX_RUN_KILL_AT_LIMIT"] * kill_at_limit)
    fields = "".join(f", .{name} = {value}" for name, value in limits.items())
    yield f"do_run(&seen, cmd, {text(input)}, {input_times}, &(sandbox_run_options){{.size = sizeof(sandbox_run_options), .flags = {flags}{fields}}});"


def spawn(kill=0, supervise=-1):
    yield f"do_spawn(&seen, cmd, {kill}, {supervise});"


def error(errno, stage, index, has):
    yield f"check_error(&seen, {errno}, {text(stage)}, {index}, {text(has)});"


def expect(exit=None, signal=None, cause="NONE", stdout=None, stdout_times=1, stderr=None, stderr_has="", stdout_cut=0, stderr_cut=0, limits=()):
    kind = "SANDBOX_EXITED" if signal is None else "SANDBOX_SIGNALED"
    bits = " | ".join(["0"] + [f"SANDBOX_LIMIT_{name}" for name in limits])
    cuts = ", ".join("-1" if cut == "some" else str(cut) for cut in (stdout_cut, stderr_cut))
    yield f"check_end(&seen, {kind}, {exit if signal is None else signal}, SANDBOX_CAUSE_{cause}, {bits});"
    yield f"check_outputs(&seen, {text(stdout)}, {stdout_times}, {text(stderr)}, {text(stderr_has)}, {cuts});"


def scenario(number, name, how, expect_, skip_stages=(), **rest):
    doing = rest.pop("run", {}) if how == "run" else {key: rest.pop(key) for key in ("kill", "supervise") if key in rest}
    yield f"TEST(scenario_{number}, {text(name)}) {{"
    lines = list(command_of(**rest)) + ["struct seen seen = {0};"] + list({"run": run, "spawn": spawn}[how](**doing))
    for stage in skip_stages:
        lines.append(f"if (fails_in(&seen, {text(stage)})) SKIP(\"%s\", seen.error.message);")
    wanted = dict(expect_)
    lines += error(**wanted.pop("error")) if "error" in wanted else expect(**wanted)
    lines.append("forget(&seen);")
    yield from ("    " + line for line in lines)
    yield "}"


print('/* Made by tests/scenarios/generate.py. */\n#include "driver.h"')
for number, entry in enumerate(json.load(open(sys.argv[1]))):
    print("\n" + "\n".join(scenario(number, expect_=entry.pop("expect"), **entry)))
