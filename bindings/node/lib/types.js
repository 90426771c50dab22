// What is asked for and told: constants and plain data.
import { constants as system } from 'node:os';
import { check } from './errors.js';
import { family, fields, lib, make, structs } from './library.js';

export const Namespace = Object.freeze(family('SANDBOX_NS_'));
export const Mount = Object.freeze(family('SANDBOX_MOUNT_'));
export const Proc = Object.freeze(family('SANDBOX_PROC_'));
export const Data = Object.freeze(family('SANDBOX_DATA_'));
export const Preset = Object.freeze(family('SANDBOX_PRESET_'));
export const Limit = Object.freeze(family('SANDBOX_LIMIT_'));
export const Landlock = Object.freeze(family('SANDBOX_LANDLOCK_'));
export const Rlimit = Object.freeze({
    CPU: 0, FSIZE: 1, DATA: 2, STACK: 3, CORE: 4, RSS: 5, NPROC: 6, NOFILE: 7, MEMLOCK: 8, AS: 9, LOCKS: 10, SIGPENDING: 11, MSGQUEUE: 12,
    NICE: 13, RTPRIO: 14, RTTIME: 15,
});

const CAUSES = Object.fromEntries(Object.entries(family('SANDBOX_CAUSE_')).map(([name, value]) => [value, name]));
const SIGNALS = Object.fromEntries(Object.entries(system.signals).map(([name, number]) => [number, name]));

/** How a program ended and what it used. */
export class Status {
    constructor(raw) {
        const exited = raw.kind === 1;
        this.exitCode = exited ? raw.code : null;
        this.signal = exited ? null : SIGNALS[raw.code] ?? `SIG${raw.code}`;
        this.signalNumber = exited ? null : raw.code;
        this.coreDumped = raw.core_dumped !== 0;
        this.cause = CAUSES[raw.cause] ?? 'NONE';
        this.syscall = raw.syscall >= 0 ? raw.syscall : null;
        this.userTime = raw.user_time_us / 1e6;
        this.systemTime = raw.system_time_us / 1e6;
        this.wallTime = raw.wall_time_us / 1e6;
        this.peakMemory = raw.peak_memory_bytes;
        this.leftOut = raw.left_out;
        this.raw = raw;
    }
    get ok() {
        return this.exitCode === 0;
    }
    toString() {
        if (this.exitCode !== null) return `exit code ${this.exitCode}`;
        return this.cause === 'NONE' ? this.signal : `${this.signal} (${this.cause.toLowerCase()})`;
    }
}

/** Has `call` fill a struct, and gives its fields. */
export function filled(name, call) {
    const buffer = make(name);
    check(call(buffer, structs[name].size), name);
    return fields(name, buffer);
}

/** What this kernel allows this process, found by trying; takes some tens of milliseconds. */
export const probe = () => filled('sandbox_features', (buffer, size) => lib.sandbox_probe(buffer, size));

export function signalNumber(signal) {
    const number = typeof signal === 'number' ? signal : system.signals[signal];
    if (number === undefined) throw new TypeError(`no signal ${signal}`);
    return number;
}
