// sandbox-spawn: child_process for sandboxes.
import { spawn } from './lib/child.js';
import { Command } from './lib/command.js';
import { run } from './lib/run.js';

export { Child, spawn } from './lib/child.js';
export { Command } from './lib/command.js';
export { SandboxError } from './lib/errors.js';
export { ALLOW, ERRNO, Filter, KILL_PROCESS, KILL_THREAD, LOG, NOTIFY, TRACE, TRAP, denyGroups } from './lib/filter.js';
export { version } from './lib/library.js';
export { Pool } from './lib/pool.js';
export { RunError, run } from './lib/run.js';
export { Notification, Supervisor } from './lib/supervisor.js';
export { Data, Landlock, Limit, Mount, Namespace, Preset, Proc, Rlimit, Status, probe } from './lib/types.js';

Command.prototype.spawn = function (options) { return spawn(this, [], options); };
Command.prototype.run = function (options) { return run(this, [], options); };

/** What a spawn would do, in order, before anything runs. */
export const explain = (program, args, options) => (program instanceof Command ? program : new Command(program, args, options)).explain();
