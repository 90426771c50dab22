// The scenarios that every language drives: bindings/scenarios.json, told in SCENARIOS.md.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ALLOW, Command, ERRNO, Filter, KILL_PROCESS, NOTIFY, Namespace, SandboxError, Supervisor } from 'sandbox-spawn';

const near = new URL('./scenarios.json', import.meta.url);
const scenarios = JSON.parse(readFileSync(existsSync(near) ? near : new URL('../../scenarios.json', import.meta.url)));
const OPS = { EQ: '==', NE: '!=', LT: '<', LE: '<=', GE: '>=', GT: '>' };

/** The values of known keys; any other is a failure. */
function take(object, known) {
    for (const key of Object.keys(object)) assert.ok(key in known, `unknown key ${key}`);
    return { ...known, ...object };
}

const action = (name) => (typeof name === 'number' ? ERRNO(name) : { ALLOW, KILL_PROCESS, NOTIFY }[name] ?? assert.fail(`action ${name}`));

function filterOf(given) {
    const { default: fallback, rules, policy } = take(given, { default: undefined, rules: [], policy: undefined });
    const filter = new Filter(action(fallback));
    for (const rule of rules) {
        const { action: what, syscall, args } = take(rule, { action: undefined, syscall: undefined, args: [] });
        filter.rule(action(what), syscall, ...args.map((given) => {
            const { index, op, value, mask } = take(given, { index: 0, op: 'EQ', value: 0, mask: 0 });
            return op === 'MASKED_EQ' ? [index, '&', mask, value] : [index, OPS[op] ?? assert.fail(op), value];
        }));
    }
    return policy ? filter.policy(policy) : filter;
}

function commandOf({ program, args, env_clear, env, cwd, options, rlimits, namespaces, filters }) {
    const command = new Command(program, args, { clearEnv: env_clear, env, cwd, rlimits, filter: filters.map(filterOf) });
    for (const [name, value] of Object.entries(options)) command.set(name, value);
    for (const name of namespaces) command.unshare(Namespace[name] ?? assert.fail(name));
    return command;
}

async function runIt(command, given) {
    const { input, input_times, stdout_limit, stderr_limit, wall_time_ms, cpu_time_ms, merge_stderr, kill_at_limit } = take(given, {
        input: undefined, input_times: 1, stdout_limit: undefined, stderr_limit: undefined, wall_time_ms: undefined, cpu_time_ms: undefined, merge_stderr: false, kill_at_limit: false });
    return command.run({ input: input?.repeat(input_times), stdoutLimit: stdout_limit, stderrLimit: stderr_limit, timeout: wall_time_ms, cpuTime: cpu_time_ms,
        mergeStderr: merge_stderr, killAtLimit: kill_at_limit });
}

async function collect(stream) {
    const parts = [];
    for await (const part of stream) parts.push(part);
    return Buffer.concat(parts);
}

async function spawnIt(command, { kill, supervise }) {
    const child = command.stdin('null').stdout('pipe').stderr('pipe').spawn();
    try {
        if (kill !== undefined) child.kill(kill);
        if (supervise !== undefined) {
            const supervisor = new Supervisor(child).on(null, (call) => { supervise ? call.errno(supervise) : call.continueUnsafe(); });
            await supervisor.run();
            supervisor.close();
        }
        const [stdout, stderr] = await Promise.all([collect(child.stdout), collect(child.stderr)]);
        return { status: await child.wait({ timeout: 60000 }), stdout, stderr, stdoutCut: 0, stderrCut: 0, limits: [] };
    } finally {
        child.close();
    }
}

function compare(seen, expect) {
    const wanted = take(expect, { exit: null, signal: null, cause: 'NONE', stdout: undefined, stdout_times: 1, stderr: undefined, stderr_has: '', stdout_cut: 0, stderr_cut: 0, limits: [] });
    const { status } = seen;
    assert.deepEqual([status.exitCode, status.signalNumber, status.cause], [wanted.exit, wanted.signal, wanted.cause], seen.stderr.toString());
    if (wanted.stdout !== undefined) assert.ok(seen.stdout.equals(Buffer.from(wanted.stdout.repeat(wanted.stdout_times))), seen.stdout.toString().slice(0, 200));
    if (wanted.stderr !== undefined) assert.equal(seen.stderr.toString(), wanted.stderr);
    assert.ok(seen.stderr.includes(wanted.stderr_has), seen.stderr.toString());
    for (const [cut, want] of [[seen.stdoutCut, wanted.stdout_cut], [seen.stderrCut, wanted.stderr_cut]]) assert.ok(want === 'some' ? cut > 0 : cut === want, `cut ${cut}`);
    assert.deepEqual(seen.limits, wanted.limits);
}

for (const scenario of scenarios) {
    test(`scenario: ${scenario.name}`, async (t) => {
        const all = take(scenario, { name: '', how: '', expect: {}, skip_stages: [], run: {}, kill: undefined, supervise: undefined, program: '', args: [], env_clear: false, env: {},
            cwd: undefined, options: {}, rlimits: {}, namespaces: [], filters: [] });
        const { error, ...expect } = all.expect;
        let seen;
        try {
            seen = await { run: () => runIt(commandOf(all), all.run), spawn: () => spawnIt(commandOf(all), all) }[all.how]();
        } catch (caught) {
            if (!(caught instanceof SandboxError)) throw caught;
            if (all.skip_stages.includes(caught.stage)) return t.skip(caught.message);
            assert.ok(error, caught.stack);
            assert.deepEqual([caught.errno, caught.stage, caught.index], [error.errno, error.stage, error.index]);
            assert.ok(caught.reason.includes(error.has), caught.reason);
            return;
        }
        assert.equal(error, undefined, 'it did not fail');
        compare(seen, expect);
    });
}
