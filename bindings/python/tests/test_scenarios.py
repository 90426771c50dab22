"""The scenarios that every language drives: bindings/scenarios.json, told in SCENARIOS.md."""
import json
import resource
from pathlib import Path

import pytest

from sandbox_spawn import ALLOW, ERRNO, KILL_PROCESS, NOTIFY, PIPE, NULL, Arg, Command, Filter, Limit, Namespace, SandboxError, Supervisor

SCENARIOS = json.loads((Path(__file__).parents[2] / "scenarios.json").read_text())
OPS = {"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GE": ">=", "GT": ">", "MASKED_EQ": "&"}


def action(name):
    return ERRNO(name) if isinstance(name, int) else {"ALLOW": ALLOW, "KILL_PROCESS": KILL_PROCESS, "NOTIFY": NOTIFY}[name]


def filter_of(default, rules=(), policy=None):
    filter = Filter(action(default))
    for rule in rules:
        args = [Arg(arg["index"], OPS[arg["op"]], arg.get("mask", arg["value"]), arg["value"]) for arg in rule.get("args", [])]
        filter.rule(action(rule["action"]), rule["syscall"], *args)
    return filter.policy(policy) if policy else filter


def command_of(program, args=(), env_clear=False, env=None, cwd=None, options=None, rlimits=None, namespaces=(), filters=()):
    command = Command(program, *args, cwd=cwd, clear_env=env_clear, env=env)
    command.set(**{name.lower(): value for name, value in (options or {}).items()})
    command.rlimits({getattr(resource, "RLIMIT_" + name): tuple(pair) for name, pair in (rlimits or {}).items()})
    for name in namespaces:
        command.unshare(Namespace[name])
    for each in filters:
        command.filter(filter_of(**each))
    return command


def run(command, input=None, input_times=1, stdout_limit=None, stderr_limit=None, wall_time_ms=None, cpu_time_ms=None, merge_stderr=False, kill_at_limit=False):
    seconds = [None if ms is None else ms / 1000 for ms in (wall_time_ms, cpu_time_ms)]
    result = command.run(input=None if input is None else input * input_times, timeout=seconds[0], cpu_time=seconds[1], stdout_limit=stdout_limit,
                         stderr_limit=stderr_limit, merge_stderr=merge_stderr, kill_at_limit=kill_at_limit)
    return result.status, result.stdout, result.stderr, result.stdout_cut, result.stderr_cut, result.limits


def spawn(command, kill=None, supervise=None):
    with command.stdin(NULL).stdout(PIPE).stderr(PIPE).spawn() as child:
        if kill is not None:
            child.send_signal(kill)
        if supervise is not None:
            with Supervisor(child) as supervisor:
                supervisor.on(None, lambda call: call.errno(supervise) if supervise else call.continue_unsafe()).run()
        out, err = child.communicate(timeout=60)
        return child.wait(60), out, err, 0, 0, Limit(0)


def compare(seen, exit=None, signal=None, cause="NONE", stdout=None, stdout_times=1, stderr=None, stderr_has="", stdout_cut=0, stderr_cut=0, limits=()):
    status, out, err, *cuts, exceeded = seen
    assert (status.exit_code, status.signal, status.cause.name) == (exit, signal, cause), err
    assert stdout is None or out == stdout.encode() * stdout_times
    assert stderr is None or err == stderr.encode()
    assert stderr_has.encode() in err
    assert ["some" if wanted == "some" and cut else cut for cut, wanted in zip(cuts, (stdout_cut, stderr_cut))] == [stdout_cut, stderr_cut]
    assert exceeded == sum(Limit[name] for name in limits)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario["name"].replace(" ", "_") for scenario in SCENARIOS])
def test_scenario(scenario):
    scenario = dict(scenario)
    scenario.pop("name")
    how, expect, skip = scenario.pop("how"), dict(scenario.pop("expect")), scenario.pop("skip_stages", [])
    doing = scenario.pop("run", {}) if how == "run" else {key: scenario.pop(key) for key in ("kill", "supervise") if key in scenario}
    error = expect.pop("error", None)
    try:
        seen = {"run": run, "spawn": spawn}[how](command_of(**scenario), **doing)
    except SandboxError as caught:
        if caught.stage in skip:
            pytest.skip(str(caught))
        assert error, caught
        assert (caught.errno, caught.stage, caught.index) == (error["errno"], error["stage"], error["index"])
        assert error["has"] in caught.message
    else:
        assert error is None, "it did not fail"
        compare(seen, **expect)
