// A running child: its streams, its end, its signals. The event loop watches its pidfd; no thread waits.
import { constants as system } from 'node:os';
import net from 'node:net';
import tty from 'node:tty';
import { Command, commandOf } from './command.js';
import { SandboxError, check, errorOf, newError } from './errors.js';
import { Handle, constants, lib, make, structs, watch } from './library.js';
import { Status, filled, signalNumber } from './types.js';
import { fields } from './library.js';

const { ETIMEDOUT, ESRCH } = system.errno;
const OWNER = Symbol('child');

function pipe(fd, way) {
    return new net.Socket({ fd, readable: way === 'r', writable: way === 'w', allowHalfOpen: true });
}

function terminal(fd) {
    const stream = new tty.ReadStream(fd);
    const { destroy } = stream;
    // The last program has closed it: that is its end.
    stream._destroy = ((before) => (error, done) => before.call(stream, error?.code === 'EIO' ? null : error, done))(stream._destroy);
    return destroy && stream;
}

/** A started child. Collected or closed, one that still runs is killed and reaped. */
export class Child {
    #handle;
    #status = null;
    #ended = null;
    #stop = null;
    #aborted = null;
    #waitsForExec;

    constructor(address, { signal, killSignal = 'SIGKILL' } = {}) {
        this.#handle = new Handle(this, address, 'sandbox_child_free');
        this.pid = lib.sandbox_child_pid(address);
        const fds = filled('sandbox_fds', (buffer, size) => lib.sandbox_child_fds(address, buffer, size));
        /** The handle's own: open until `close`. */
        this.pidfd = fds.pidfd;
        this.#waitsForExec = fds.seccomp_fd >= 0;
        const stream = (which, open, way) => {
            const fd = lib.sandbox_child_take_fd(address, constants[`SANDBOX_FD_${which}`]);
            if (fd < 0) return null;
            const made = open(fd, way);
            made[OWNER] = this; // the child lives as long as any of its streams is held
            return made;
        };
        this.stdin = stream('STDIN', pipe, 'w');
        this.stdout = stream('STDOUT', pipe, 'r');
        this.stderr = stream('STDERR', pipe, 'r');
        this.pty = stream('PTY', terminal);
        if (signal) this.#abortBy(signal, killSignal);
    }

    #abortBy(signal, killSignal) {
        const abort = () => {
            this.#aborted = signal.reason;
            if (this.#handle.isOpen) this.kill(killSignal);
        };
        if (signal.aborted) return abort();
        signal.addEventListener('abort', abort, { once: true });
        this.#stop = () => signal.removeEventListener('abort', abort);
    }

    get address() { return this.#handle.address; }
    /** What the last wait or poll found. */
    get status() { return this.#status; }

    /** The status, or null while it runs. */
    poll() {
        if (this.#status === null) {
            const status = make('sandbox_status');
            const code = lib.sandbox_child_wait(this.address, 0, status, structs.sandbox_status.size);
            if (code === -ETIMEDOUT) return null;
            check(code, 'wait');
            this.#status = new Status(fields('sandbox_status', status));
            this.#stop?.();
        }
        return this.#status;
    }

    /** Waits for its end. With a time in milliseconds: rejects after it. */
    async wait({ timeout } = {}) {
        if (this.poll() === null) {
            this.#ended ??= this.#end().finally(() => { this.#ended = null; });
            if (timeout === undefined) {
                await this.#ended;
            } else {
                let timer;
                const late = new Promise((_, reject) => {
                    timer = setTimeout(() => reject(new SandboxError(ETIMEDOUT, `child ${this.pid} still runs after ${timeout} ms`, 'none')), timeout);
                });
                await Promise.race([this.#ended, late]).finally(() => clearTimeout(timer));
            }
        }
        if (this.#aborted !== null) throw this.#aborted;
        return this.#status;
    }

    #end() {
        return new Promise((resolve, reject) => {
            let poll, timer;
            const look = () => {
                try {
                    if (this.#handle.isOpen && this.poll() === null) return;
                    if (this.#status === null) throw new Error('the child was closed');
                    resolve();
                } catch (error) {
                    reject(error);
                }
                this.#leave = null;
                poll.close();
                clearInterval(timer);
            };
            poll = watch(this.pidfd, look);
            this.#leave = look;
            // One whose exec a supervisor has not let happen yet may fail without ending by itself.
            if (this.#waitsForExec) timer = setInterval(look, 100);
        });
    }
    #leave = null;

    /** Throws what exec failed with; false where a supervisor has not let it happen yet. */
    hasExecuted() {
        const error = newError();
        const code = lib.sandbox_child_wait_exec(this.address, 0, error);
        if (code === -ETIMEDOUT) return false;
        if (code < 0) throw errorOf(error);
        return true;
    }

    /** Sends a signal, by the pidfd; false where it has ended already. */
    kill(signal = 'SIGTERM') {
        const code = lib.sandbox_child_kill(this.address, signalNumber(signal));
        if (code === -ESRCH) return false;
        check(code, 'kill');
        return true;
    }
    /** Ends it and all its descendants, by its cgroup, pid namespace or init. */
    killAll() { check(lib.sandbox_child_kill_all(this.address), 'kill all'); }
    /** Stops everything in its cgroup, or lets it go on. */
    freeze(on = true) { check(lib.sandbox_child_freeze(this.address, Number(on)), 'freeze'); }
    /** It is left running when this object goes. */
    detach() { check(lib.sandbox_child_detach(this.address), 'detach'); }
    /** Takes an fd out of the handle: "pidfd" (a copy), "seccomp", "cgroup". Now the caller's to close. */
    takeFd(name) { return check(lib.sandbox_child_take_fd(this.address, constants[`SANDBOX_FD_${name.toUpperCase()}`]), name); }

    /** Closes the streams; ends and reaps it if it still runs. */
    close() {
        if (!this.#handle.isOpen) return;
        for (const stream of [this.stdin, this.stdout, this.stderr, this.pty]) stream?.destroy();
        this.#stop?.();
        const leave = this.#leave;
        if (leave) this.kill('SIGKILL');
        this.#handle.free();
        leave?.();
    }
    async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() { this.close(); }
    [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() { this.close(); }
}

/** Starts a program. What fails before exec is a SandboxError, never an exit code. */
export function spawn(program, args = [], options = {}) {
    if (!Array.isArray(args)) [args, options] = [[], args];
    const { signal, killSignal, ...how } = options;
    signal?.throwIfAborted();
    const command = commandOf(program, args, how);
    return new Child(Command.made(command, (out, error) => lib.sandbox_spawn(command.address, out, error)), { signal, killSignal });
}
