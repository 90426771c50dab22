// What a user of TypeScript writes; tsc --noEmit --strict must accept all of it, and refuse what is marked.
import { ALLOW, Child, Command, ERRNO, Filter, NOTIFY, Namespace, Pool, Preset, SandboxError, Supervisor, explain, probe, run, spawn } from 'sandbox-spawn';

const text: string = (await run('cat', { input: 'x', encoding: 'utf8', timeout: 1000, unshare: Namespace.USER | Namespace.NET })).stdout;
const bytes: Buffer = (await run('cat', ['-'], { input: Buffer.from(text) })).stdout;
const child: Child = spawn('cat', [], { stdin: 'pipe', stdout: 'pipe', filter: [new Filter(ALLOW).rule(ERRNO(1), 'socket', [0, '==', 2])] });
child.stdin?.write(bytes);
const code: number | null = (await child.wait({ timeout: 5 })).exitCode;
const command = new Command('sh').args('-c', 'true').preset(Preset.COMPUTE).rlimits({ NOFILE: [20, 40] }).set('nice', 5);
const pool = new Pool(command, 2);
pool.spawn(new Command('true')).close();
const supervisor = new Supervisor(child).on('openat', async (call) => { call.continueUnsafe(); });
supervisor.on(null, (call) => { call.errno(call.args[0] === 0n ? 1 : 2); });
const landlock: number = probe().landlock_abi as number;
const steps: string = explain('true', [], { bind: [['/usr'], ['/a', '/b', 1]] });
try { await supervisor.run(); } catch (error) { if (error instanceof SandboxError) console.log(error.stage, error.index, error.code, error.hint); }
// @ts-expect-error: no such stream
spawn('cat', [], { stdin: 'terminal' });
// @ts-expect-error: not a number
new Filter('allow');
void [code, landlock, steps, NOTIFY];
