// The host in Node: see hosts.py. host.js MiB
'use strict';
const { spawn, spawnSync, execFile } = require('child_process');
const path = require('path');
const readline = require('readline');

const TRUE = '/bin/true';
const say = (thing) => process.stdout.write(JSON.stringify(thing) + '\n');

let sandbox; // loaded below: its module is one of import's
const memory = Buffer.alloc(Number(process.argv[2]) * 2 ** 20, 1);

const ended = (child, event) => new Promise((resolve, reject) => {
  child.on('error', reject);
  child.on(event, (code) => (code === 0 ? resolve() : reject(new Error(`it ended with ${code}`))));
});
const good = (status) => {
  if ((status.exitCode ?? status.status?.exitCode ?? status.code) !== 0) throw new Error(`it ended with ${JSON.stringify(status)}`);
};

const ways = [
  { key: 'spawn', title: 'child_process.spawn, exit', once: () => ended(spawn(TRUE, { stdio: 'inherit' }), 'exit') },
  { key: 'ours', title: 'sandbox-spawn: spawn, wait', against: 'spawn', once: async () => good(await sandbox.spawn(TRUE).wait()) },
  { key: 'exec_file', title: 'child_process.execFile, output captured', once: () => new Promise((resolve, reject) => execFile(TRUE, (error) => (error ? reject(error) : resolve()))) },
  { key: 'our_run', title: 'sandbox-spawn: run', against: 'exec_file', once: async () => good(await sandbox.run(TRUE)) },
  { key: 'spawn_sync', title: 'child_process.spawnSync', once: () => good({ code: spawnSync(TRUE).status }) },
];

(async () => {
  process.env.SANDBOX_SPAWN_LIBRARY ??= path.join(__dirname, '../../build/prefix/lib/libsandbox_spawn.so.0');
  try {
    sandbox = await import('../../bindings/node/index.js');
  } catch (error) {
    say({ skip: `no binding (npm install in bindings/node gets what it needs): ${error.message.split('\n')[0]}` });
    process.exit();
  }
  const hello = [];
  for (const { key, title, against, once } of ways) {
    const way = { key, title, against };
    try {
      await once();
    } catch (error) {
      way.skipped = String(error.message).split('\n')[0];
    }
    hello.push(way);
  }
  say({ runtime: `Node ${process.versions.node}`, ways: hello });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { once } = ways.find(({ key }) => key === line.trim());
    const before = process.hrtime.bigint();
    await once();
    say({ us: Number(process.hrtime.bigint() - before) / 1e3 });
  }
  process.exit(memory.length > 0 && memory[1] !== 1 ? 1 : 0); // it is used: not collected
})();
