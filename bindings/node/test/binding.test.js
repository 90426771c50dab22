// What the binding adds: errors, streams, the event loop, abort, closing, and that the whole C interface is within reach.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import * as sandbox from 'sandbox-spawn';
import { ALLOW, Command, Data, ERRNO, Filter, NOTIFY, Namespace, Pool, Preset, RunError, SandboxError, Supervisor, run, spawn } from 'sandbox-spawn';

const execute = promisify(execFile);
const sh = (line, options) => run('sh', ['-c', line], { encoding: 'utf8', ...options });

async function text(stream) {
    const parts = [];
    for await (const part of stream) parts.push(part);
    return Buffer.concat(parts).toString();
}

function openFds() {
    return readdirSync('/proc/self/fd').flatMap((fd) => {
        try {
            const name = readlinkSync(`/proc/self/fd/${fd}`);
            return /^(anon_inode:\[?(pidfd|seccomp)|pidfd:|pipe:|\/memfd:|\/dev\/ptmx)/.test(name) || name.includes('pidfd') ? [`${fd} ${name}`] : [];
        } catch {
            return [];
        }
    });
}

/** Until it is so; it must become so. */
async function until(so, what) {
    const deadline = Date.now() + 30000;
    while (!so()) {
        assert.ok(Date.now() < deadline, what);
        await sleep(5);
    }
}

test('errors name the step', async () => {
    const failed = await run('/no/such/program').catch((error) => error);
    assert.ok(failed instanceof SandboxError && failed instanceof Error);
    assert.deepEqual([failed.errno, failed.code, failed.stage, failed.index], [2, 'ENOENT', 'exec', 0]);
    assert.match(failed.message, /^exec\[0\]: .*\/no\/such\/program/);
    assert.match(failed.hint, /interpreter/);
    assert.throws(() => spawn('true', [], { cwd: '/no/such/directory' }), { code: 'ENOENT', stage: 'cwd' });
});

test('a setter that fails throws, and the command is spoiled', async () => {
    const command = new Command('true');
    assert.throws(() => command.set('nice', 99), /NICE takes -20 to 19/);
    await assert.rejects(command.run(), /NICE/);
    assert.throws(() => command.spawn(), /NICE/);
});

test('wrong words are refused', async () => {
    assert.throws(() => new Command('true', [], { colour: 1 }), /no option colour/);
    assert.throws(() => new Command('true', ['a\0b']), /null byte/);
    assert.throws(() => new Command('true', [], { stdin: 'terminal' }), /a stream is/);
    assert.throws(() => new Command('true', [], { rlimits: { COLOUR: 1 } }), /no limit/);
    assert.throws(() => new Filter(ALLOW).deny('colour'), /not one of/);
    assert.throws(() => new Filter(ALLOW).rule(ERRNO(1), 'no_such_call'), { code: 'EINVAL', stage: 'seccomp' });
    await assert.rejects(run('true', { timeout: -1 }), RangeError);
    await assert.rejects(run('true', { stdoutLimit: 0 }), RangeError);
    await assert.rejects(run(new Command('true'), { cwd: '/' }), TypeError);
});

test('options, chaining, clone, bytes', async () => {
    assert.equal((await sh('umask; ulimit -n; echo $A', { umask: 0o27, rlimits: { NOFILE: [20, 40] }, env: { A: 1 } })).stdout, '0027\n20\n1\n');
    const command = new Command('echo').arg('a').args('b', 'c');
    assert.equal((await command.clone().arg('d').run({ encoding: 'utf8' })).stdout, 'a b c d\n');
    assert.deepEqual([...(await run('printf', ['%s', Buffer.from([0xff, 0xfe])])).stdout], [0xff, 0xfe]);
    await assert.rejects(run('false', { check: true }), RunError);
    assert.match(sandbox.explain('/bin/true', [], { unshare: Namespace.USER | Namespace.PID }), /clone3[^]*exec\[0\]/);
    assert.equal(sandbox.probe().spawn, 1);
});

test('ten megabytes go through a run', async () => {
    const data = Buffer.alloc(10 << 20, 'node');
    assert.ok((await run('cat', { input: data })).stdout.equals(data));
});

test('ten megabytes go through the streams, and a slow reader holds the program back', async () => {
    const child = spawn('cat', [], { stdin: 'pipe', stdout: 'pipe' });
    const data = Buffer.alloc(10 << 20, 'x');
    let written = false;
    child.stdin.end(data, () => { written = true; });
    await sleep(100);
    assert.equal(written, false); // nobody has read: pipe and buffers are full
    assert.ok(child.poll() === null);
    assert.equal((await text(child.stdout)).length, data.length);
    assert.equal((await child.wait()).exitCode, 0);
    child.close();
});

test('a terminal', async () => {
    const child = spawn('sh', ['-c', 'test -t 0 && read line && echo "got $line"'], { stdin: 'pty', stdout: 'pty' });
    let seen = '';
    child.pty.on('data', (part) => { seen += part; });
    child.pty.on('error', () => {});
    child.pty.write('word\n');
    assert.equal((await child.wait()).exitCode, 0);
    await until(() => seen.includes('got word'), seen);
    child.close();
});

test('signals and times', async () => {
    const child = spawn('sleep', ['1000']);
    assert.equal(child.poll(), null);
    await assert.rejects(child.wait({ timeout: 50 }), { code: 'ETIMEDOUT' });
    const [one, two] = [child.wait(), child.wait()];
    assert.equal(child.kill(), true);
    const status = await one;
    assert.equal(String(status), 'SIGTERM (killed)');
    assert.equal(await two, status);
    assert.equal(child.kill('SIGKILL'), false);
    child.close();
    assert.equal(child.poll(), status);
    assert.throws(() => child.killAll(), /closed/);
});

test('the event loop goes on: programs wait for what only it can give them', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'node-'));
    try {
        // More at once than libuv has threads: each ends when this process, by a thread of libuv's, has written its file.
        const runs = Array.from({ length: 12 }, (_, n) => sh(`until [ -e ${dir}/${n} ]; do sleep 0.02; done; echo ${n}`, { timeout: 60000 }));
        await sleep(50);
        const { writeFile } = await import('node:fs/promises');
        for (let n = 0; n < 12; n++) await writeFile(`${dir}/${n}`, '');
        assert.deepEqual((await Promise.all(runs)).map((result) => result.stdout), runs.map((_, n) => `${n}\n`));
    } finally {
        rmSync(dir, { recursive: true });
    }
});

test('a hundred in parallel', async () => {
    const results = await Promise.all(Array.from({ length: 100 }, (_, n) => run('cat', { input: String(n), encoding: 'utf8' })));
    assert.deepEqual(results.map((result) => result.stdout), results.map((_, n) => String(n)));
    const children = Array.from({ length: 100 }, (_, n) => spawn('sh', ['-c', `exit ${n}`]));
    assert.deepEqual(await Promise.all(children.map(async (child) => (await child.wait()).exitCode)), children.map((_, n) => n));
    children.forEach((child) => child.close());
});

test('abort ends a run with all that it started, and a child', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'node-'));
    try {
        const abort = new AbortController();
        const running = sh(`sleep 1000 & echo $! > ${dir}/pid.new; mv ${dir}/pid.new ${dir}/pid; wait`, { signal: abort.signal });
        await until(() => existsSync(`${dir}/pid`), 'it has started');
        abort.abort();
        await assert.rejects(running, { name: 'AbortError' });
        const pid = Number(readFileSync(`${dir}/pid`));
        await until(() => !existsSync(`/proc/${pid}`), 'the descendant has ended');
        await assert.rejects(sh('true', { signal: abort.signal }), { name: 'AbortError' });
        const other = new AbortController();
        const child = spawn('sleep', ['1000'], { signal: other.signal });
        const ended = child.wait();
        other.abort(new Error('enough'));
        await assert.rejects(ended, /enough/);
        assert.equal(child.status.signal, 'SIGKILL');
        child.close();
    } finally {
        rmSync(dir, { recursive: true });
    }
});

test('closed while somebody waits, it ends; disposed too', async () => {
    const child = spawn('sleep', ['1000']);
    const waits = child.wait().catch((error) => error);
    child.close();
    assert.match(String(await waits), /closed/);
    await until(() => !existsSync(`/proc/${child.pid}`), 'it has ended');
    const other = spawn('sleep', ['1000']);
    other[Symbol.dispose ?? Symbol.for('Symbol.dispose')]();
    await until(() => !existsSync(`/proc/${other.pid}`), 'it has ended');
});

test('the forgotten are ended', { skip: !globalThis.gc && 'needs --expose-gc' }, async () => {
    const pids = (() => Array.from({ length: 20 }, () => spawn('sleep', ['1000']).pid))();
    await until(() => (globalThis.gc(), pids.every((pid) => !existsSync(`/proc/${pid}`))), 'all have ended');
});

test('nothing is left open', async () => {
    const before = openFds().length;
    for (let n = 0; n < 20; n++) {
        await sh('echo out; echo err >&2');
        await run('/no/such/program').catch(() => {});
        const child = spawn('cat', [], { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe', filter: [new Filter(ALLOW).rule(NOTIFY, 'mkdir')] });
        const supervisor = new Supervisor(child);
        child.close();
        supervisor.close();
        const pool = new Pool(new Command('true'), 2);
        pool.close();
    }
    await until(() => openFds().length <= before, `left open: ${openFds()}`);
});

const asking = (...names) => names.reduce((filter, name) => filter.rule(NOTIFY, name), new Filter(ALLOW));

test('handlers answer, now or later, several at once', async () => {
    const calls = [];
    const child = spawn('sh', ['-c', 'mkdir /tmp/one & mkdir /tmp/two & wait'], { filter: [asking('mkdir', 'mkdirat')], stderr: 'pipe', env: { LC_ALL: 'C' } });
    let release;
    const both = new Promise((resolve) => { release = resolve; });
    const supervisor = new Supervisor(child);
    const handler = (path) => async (call) => {
        calls.push(path(call));
        if (calls.length === 2) release();
        await both; // each waits for the other: neither may hold the loop
        assert.ok(call.isAlive() && call.pid > 0 && call.tid > 0);
        call.errno(28);
    };
    supervisor.on('mkdir', handler((call) => call.path(-100, call.args[0]))).on('mkdirat', handler((call) => call.path(call.args[0], call.args[1])));
    const [said] = await Promise.all([text(child.stderr), supervisor.run()]);
    assert.equal(said.match(/No space left/g).length, 2);
    assert.deepEqual(calls.sort(), ['/tmp/one', '/tmp/two']);
    supervisor.close();
    child.close();
});

test('what a handler throws comes out of run; its call is denied', async () => {
    for (const handler of [() => { throw new Error('oops'); }, async () => { throw new Error('oops'); }]) {
        const child = spawn('mkdir', ['/tmp/x'], { filter: [asking('mkdir', 'mkdirat')], stderr: 'pipe', env: { LC_ALL: 'C' } });
        const supervisor = new Supervisor(child).on(null, handler);
        await assert.rejects(supervisor.run(), /oops/);
        assert.match(await text(child.stderr), /Operation not permitted/);
        supervisor.close();
        child.close();
    }
});

test('a value returned, and none', async () => {
    const child = spawn('sh', ['-c', 'echo $PPID'], { filter: [asking('getppid')], stdout: 'pipe' });
    const supervisor = new Supervisor(child).on('getppid', (call) => { call.returnValue(4242); });
    const [said] = await Promise.all([text(child.stdout), supervisor.run()]);
    assert.equal(said, '4242\n');
    supervisor.close();
    child.close();
});

test('filters are read, simulated, exported', async () => {
    const policy = new Filter(ALLOW).policy('mkdir: return 5\nmkdirat: return 5\n');
    assert.match((await run('mkdir', ['/tmp/x'], { filter: [policy], env: { LC_ALL: 'C' }, encoding: 'utf8' })).stderr, /Input\/output error/);
    const oci = new Filter().oci({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 5 }] });
    assert.match((await run('mkdir', ['/tmp/x'], { filter: [oci], env: { LC_ALL: 'C' }, encoding: 'utf8' })).stderr, /Input\/output error/);
    assert.throws(() => new Filter().policy('mkdir: nonsense('), SandboxError);
    assert.equal(new Filter(ERRNO(7)).simulate(0), ERRNO(7));
    const read = process.arch === 'arm64' ? 63 : 0;
    const masked = new Filter(ALLOW).rule(ERRNO(1), 'read', [2, '&', 0xff, 0x12]);
    assert.deepEqual([masked.simulate(read, [0, 0, 0x512n]), masked.simulate(read, [0, 0, 0x513n])], [ERRNO(1), ALLOW]);
    const file = join(mkdtempSync(join(tmpdir(), 'node-')), 'program');
    const { openSync, closeSync } = await import('node:fs');
    const fd = openSync(file, 'w+');
    assert.ok(new Filter(ALLOW).deny(...sandbox.denyGroups()).export(fd) > 10);
    closeSync(fd);
    assert.equal((await run('true', { filter: [new Filter(ALLOW).bpf(readFileSync(file))] })).status.exitCode, 0);
});

test('onReady sees the child, and may refuse it', async () => {
    let seen;
    const child = spawn('true', [], { onReady: (pid, pidfd) => { seen = [pid, readlinkSync(`/proc/self/fd/${pidfd}`)]; } });
    assert.equal(seen[0], child.pid);
    assert.equal((await child.wait()).exitCode, 0);
    child.close();
    const refuse = () => { throw new Error('not this one'); };
    assert.throws(() => spawn('true', [], { onReady: refuse }), /not this one/);
    await assert.rejects(run('true', { onReady: refuse }), /not this one/);
});

test('a pool', async () => {
    const pool = new Pool(new Command('echo', ['usual'], { stdout: 'pipe' }), 2);
    const output = async (child) => {
        const said = await text(child.stdout);
        child.close();
        return said;
    };
    assert.equal(await output(pool.spawn()), 'usual\n');
    assert.equal(await output(pool.spawn(new Command('echo', ['other']))), 'other\n');
    assert.equal(pool.refill(), 2);
    pool.close();
    assert.throws(() => pool.spawn(), /closed/);
    assert.throws(() => new Pool(new Command('true'), 0), /1 to 4096/);
});

test('a root of its own, and a preset', async (t) => {
    const system = ['/usr', '/bin', '/lib', '/lib64'].filter((path) => existsSync(path));
    let result;
    try {
        result = await sh('ls /; cat /data/file', { unshare: Namespace.USER | Namespace.MOUNT | Namespace.PID, init: 1, bind: system, tmpfs: ['/tmp'], file: [['/data/file', 'content\n']] });
        assert.ok(result.stdout.includes('content\n') && !result.stdout.includes('home'));
        result = await sh('grep -c : /proc/net/dev; ls /home', { preset: Preset.COMPUTE });
        assert.equal(result.stdout, '1\n');
    } catch (error) {
        if (error instanceof SandboxError && ['clone', 'userns'].includes(error.stage)) return t.skip(error.message);
        throw error;
    }
});

test('files, modes, mounts and locks of its own; ids mapped by the caller', async (t) => {
    const bind = ['/usr', '/bin', '/lib', '/lib64'].filter((path) => existsSync(path));
    try {
        let result = await sh('pwd; cat /f /m; stat -c %a /f; ls /dev/pts; touch /t/x', { unshare: Namespace.USER | Namespace.MOUNT | Namespace.PID, init: 1, bind, tmpfs: ['/t'], env: { LC_ALL: 'C' },
            data: [['/f', 'in a file\n'], ['/m', 'mounted\n', 0o644, Data.MOUNT]], chmod: [['/f', 0o600]], remount: ['/t'], devpts: '/dev/pts', cwdFirst: ['/no/such', '/usr'],
            initFd: [0], initLock: ['/f'] });
        assert.equal(result.stdout, '/usr\nin a file\nmounted\n600\nptmx\n');
        assert.match(result.stderr, /Read-only/);
        assert.match(new Command('true', { unshare: Namespace.USER | Namespace.MOUNT, overlayRo: [[['/usr', '/bin'], '/both']] }).explain(), /overlay/);
        result = await sh('id -u; id -g', { unshare: Namespace.USER, onMaps: (pid) => {
            writeFileSync(`/proc/${pid}/setgroups`, 'deny');
            writeFileSync(`/proc/${pid}/uid_map`, `7 ${process.getuid()} 1`);
            writeFileSync(`/proc/${pid}/gid_map`, `8 ${process.getgid()} 1`);
        } });
        assert.equal(result.stdout, '7\n8\n');
    } catch (error) {
        if (error instanceof SandboxError && ['clone', 'userns'].includes(error.stage)) return t.skip(error.message);
        throw error;
    }
});

const root = new URL('.', pathToFileURL(createRequire(import.meta.url).resolve('sandbox-spawn')));

test('every function of the library is used', () => {
    const code = ['lib/child.js', 'lib/command.js', 'lib/errors.js', 'lib/filter.js', 'lib/library.js', 'lib/pool.js', 'lib/run.js', 'lib/supervisor.js', 'lib/types.js']
        .map((name) => readFileSync(new URL(name, root), 'utf8')).join('\n');
    const inPackage = new URL('lib/sandbox_spawn.h', root);
    const header = readFileSync(existsSync(inPackage) ? inPackage : new URL('../../include/sandbox_spawn.h', root), 'utf8').replace(/\/\*[^]*?\*\//g, '');
    const used = new Set([...code.matchAll(/(sandbox_\w+)/g)].map(([, name]) => name));
    for (const [, name] of code.matchAll(/#(?:call|hook)\('(\w+)'/g)) used.add(`sandbox_cmd_${name}`);
    const reasons = {
        sandbox_cmd_pre_exec: 'code between fork and exec is not for JavaScript',
        sandbox_cmd_ptrace: 'JavaScript has no ptrace to trace with',
        sandbox_run: 'would hold the thread: sandbox_run_start and _step do the same from the event loop',
        sandbox_supervisor_run: 'would hold the thread: sandbox_supervisor_dispatch does the same from the event loop',
    };
    const declared = [...header.matchAll(/\b(sandbox_\w+)\(/g)].map(([, name]) => name);
    assert.ok(declared.length > 100);
    assert.deepEqual(declared.filter((name) => !used.has(name) && !(name in reasons)), []);
});

test('the examples of the README run', async () => {
    const readme = [new URL('./README.md', import.meta.url), new URL('../README.md', import.meta.url)].find((path) => existsSync(path));
    const examples = [...readFileSync(readme, 'utf8').matchAll(/```js\n([^]*?)```/g)].map(([, code]) => code);
    assert.equal(examples.length, 5);
    const here = fileURLToPath(new URL('.', import.meta.url));
    const dir = mkdtempSync(join(here, 'examples-'));
    try {
        const said = [];
        for (const [n, code] of examples.entries()) {
            writeFileSync(join(dir, `${n}.mjs`), code);
            try {
                said.push((await execute(process.execPath, [join(dir, `${n}.mjs`)], { timeout: 60000 })).stdout);
            } catch (error) {
                if (!/SandboxError: (clone|userns)/.test(error.stderr)) throw error;
                said.push(null);
            }
        }
        [/^hello\n exit code 0 false/, /^HELLO\nexit code 0/, /clone3/, /^exit code 1/, /^this/].forEach((wanted, n) => said[n] === null || assert.match(said[n], wanted));
    } finally {
        rmSync(dir, { recursive: true });
    }
});
