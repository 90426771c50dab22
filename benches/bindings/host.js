// The host in Node: see hosts.py. host.js MiB PROGRAM
'use strict';
const { spawn, spawnSync, execFile } = require('child_process');
const path = require('path');
const readline = require('readline');

const PROGRAM = process.argv[3];
const say = (thing) => process.stdout.write(JSON.stringify(thing) + '\n');
const first = (error) => String(error.message ?? error).split('\n')[0];

let sandbox; // loaded below: its module is one of import's
const memory = Buffer.alloc(Number(process.argv[2]) * 2 ** 20, 1);

// Each way throws where the program did not run, or did not exit with 0.
const ended = (child) => new Promise((resolve, reject) => {
  child.on('error', reject);
  child.on('exit', (code, signal) => (code === 0 ? resolve() : reject(new Error(`it ended with ${signal ?? `exit code ${code}`}`))));
});
const captured = () => new Promise((resolve, reject) => execFile(PROGRAM, (error) => (error ? reject(error) : resolve())));
const synchronous = ({ status, signal, error }) => {
  if (error) throw error;
  if (status !== 0) throw new Error(`it ended with ${signal ?? `exit code ${status}`}`);
};
const good = (status) => {
  if (!status.ok) throw new Error(`it ended with ${status}`);
};

const ways = [
  { key: 'spawn', title: 'child_process.spawn, exit', once: () => ended(spawn(PROGRAM, { stdio: 'inherit' })) },
  { key: 'ours', title: 'sandbox-spawn: spawn, wait', against: 'spawn', once: async () => good(await sandbox.spawn(PROGRAM).wait()) },
  { key: 'exec_file', title: 'child_process.execFile, output captured', once: captured },
  { key: 'our_run', title: 'sandbox-spawn: run', against: 'exec_file', once: async () => good((await sandbox.run(PROGRAM)).status) },
  { key: 'spawn_sync', title: 'child_process.spawnSync', once: () => synchronous(spawnSync(PROGRAM)) },
];

(async () => {
  process.env.SANDBOX_SPAWN_LIBRARY ??= path.join(__dirname, '../../build/prefix/lib/libsandbox_spawn.so.0');
  try {
    sandbox = await import('../../bindings/node/index.js');
  } catch (error) {
    const lacks = error.code === 'ERR_MODULE_NOT_FOUND' && /'koffi'/.test(error.message);
    say(lacks ? { skip: 'no koffi (npm install in bindings/node gets it)' } : { error: `the binding: ${first(error)}` });
    process.exit();
  }
  say({ runtime: `Node ${process.versions.node}`, ways: ways.map(({ key, title, against }) => ({ key, title, against })) });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { once } = ways.find(({ key }) => key === line.trim());
    try {
      const before = process.hrtime.bigint();
      await once();
      say({ us: Number(process.hrtime.bigint() - before) / 1e3 });
    } catch (error) {
      say({ error: first(error) });
    }
  }
  process.exit(memory.length > 0 && memory[1] !== 1 ? 1 : 0); // it is used: not collected
})();
