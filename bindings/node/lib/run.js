// One run from start to end: with limits, and with nothing left. The event loop drives it; no thread waits.
import { Command, commandOf } from './command.js';
import { check, errorOf, newError } from './errors.js';
import { Handle, copy, family, fields, lib, make, place, put, structs, watch } from './library.js';
import koffi from 'koffi';
import { Limit, Status, filled } from './types.js';

const FLAG = family('SANDBOX_RUN_');

/** The program did not exit with 0, and `check` was asked for. */
export class RunError extends Error {
    constructor(result) {
        super(`${result.status}; stderr: ${JSON.stringify(result.stderr.toString().slice(-500))}`);
        this.name = 'RunError';
        this.result = result;
    }
}

function milliseconds(value, name) {
    if (value === undefined) return 0;
    if (!(value >= 0)) throw new RangeError(`${name}: ${value}`);
    return BigInt(Math.min(Math.max(1, Math.ceil(value)), Number.MAX_SAFE_INTEGER));
}

function limit(value, name) {
    if (value === undefined) return 0;
    if (!(value >= 1)) throw new RangeError(`${name}: ${value}; to keep nothing, make the stream "null"`);
    return BigInt(Math.floor(Math.min(value, Number.MAX_SAFE_INTEGER)));
}

function bytesOf(input) {
    if (input === undefined || input === null) return [null, null];
    const data = typeof input === 'string' ? Buffer.from(input) : Buffer.from(input.buffer ?? input, input.byteOffset ?? 0, input.byteLength);
    const bytes = make('sandbox_bytes');
    put('sandbox_bytes', bytes, 'data', data.length ? koffi.address(data) : 0);
    put('sandbox_bytes', bytes, 'length', data.length);
    return [bytes, data];
}

function resultOf(address, encoding) {
    try {
        const status = new Status(filled('sandbox_status', (buffer, size) => lib.sandbox_result_status(address, buffer, size)));
        const [out, err] = [1, 2].map((target) => filled('sandbox_output', (buffer, size) => lib.sandbox_result_output(address, target, buffer, size)));
        const [stdout, stderr] = [out, err].map(({ data, length }) => {
            const bytes = copy(BigInt(data), length);
            return encoding ? bytes.toString(encoding) : bytes;
        });
        const exceeded = check(lib.sandbox_result_limits(address), 'limits');
        const limits = Object.keys(Limit).filter((name) => exceeded & Limit[name]);
        return { status, stdout, stderr, stdoutCut: out.cut, stderrCut: err.cut, limits, timedOut: status.cause === 'TIMEOUT' };
    } finally {
        lib.sandbox_result_free(address);
    }
}

/** What drives one run: its fds are watched, and each time something happens it takes a step. */
class Running {
    #polls = new Map();
    #timer = null;
    constructor(address) {
        this.handle = new Handle(this, address, 'sandbox_running_free');
    }
    /** In one turn with the step that closed them: a number is not watched once it is another's. */
    #watch(fds, timeout) {
        for (const [fd, poll] of this.#polls) if (!fds.includes(fd)) poll.close(), this.#polls.delete(fd);
        for (const fd of fds) if (!this.#polls.has(fd)) this.#polls.set(fd, watch(fd, this.step));
        clearTimeout(this.#timer);
        if (timeout >= 0) this.#timer = setTimeout(this.step, timeout);
    }
    over() {
        this.handle.free();
        this.#watch([], -1);
    }
    finished(encoding) {
        return new Promise((resolve, reject) => {
            this.reject = reject;
            this.step = () => {
                const [wait, out, error] = [make('sandbox_run_wait'), place(), newError()];
                try {
                    const code = lib.sandbox_run_step(this.handle.address, wait, structs.sandbox_run_wait.size, out, error);
                    if (code < 0) throw errorOf(error);
                    if (code === 0) {
                        const { pidfd, stdout_fd, stderr_fd, timeout_ms } = fields('sandbox_run_wait', wait);
                        return this.#watch([pidfd, stdout_fd, stderr_fd].filter((fd) => fd >= 0), timeout_ms);
                    }
                    this.over();
                    resolve(resultOf(out[0], encoding));
                } catch (failure) {
                    this.over();
                    reject(failure);
                }
            };
            this.step();
        });
    }
}

/** Runs a program to its end and ends all that it left behind. */
export async function run(program, args = [], options = {}) {
    if (!Array.isArray(args)) [args, options] = [[], args];
    const { input, timeout, cpuTime, stdoutLimit, stderrLimit, mergeStderr, killAtLimit, encoding, check: checked, signal, ...how } = options;
    signal?.throwIfAborted();
    const command = commandOf(program, args, how);
    const [bytes, kept] = bytesOf(input);
    const limits = make('sandbox_run_options');
    const set = (name, value) => put('sandbox_run_options', limits, name, value);
    set('size', limits.length);
    set('flags', (mergeStderr ? FLAG.MERGE_STDERR : 0) | (killAtLimit ? FLAG.KILL_AT_LIMIT : 0));
    set('stdout_limit', limit(stdoutLimit, 'stdoutLimit'));
    set('stderr_limit', limit(stderrLimit, 'stderrLimit'));
    set('wall_time_ms', milliseconds(timeout, 'timeout'));
    set('cpu_time_ms', milliseconds(cpuTime, 'cpuTime'));
    const running = new Running(Command.made(command, (out, error) => lib.sandbox_run_start(command.address, bytes, limits, out, error)));
    void kept;
    const finished = running.finished(encoding);
    const abort = () => {
        running.over();
        running.reject(signal.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
        const result = await finished;
        if (checked && !result.status.ok) throw new RunError(result);
        return result;
    } finally {
        signal?.removeEventListener('abort', abort);
    }
}
