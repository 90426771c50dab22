// Seccomp filters.
import { arch as machine } from 'node:os';
import { fdOf } from './command.js';
import { check, errorOf, newError } from './errors.js';
import { Handle, encode, family, lib, make, put, structs } from './library.js';

export const ALLOW = 0x7fff0000;
export const LOG = 0x7ffc0000;
export const NOTIFY = 0x7fc00000;
export const TRAP = 0x00030000;
export const KILL_THREAD = 0;
export const KILL_PROCESS = 0x80000000;
/** The call returns -1 with this errno. */
export const ERRNO = (number) => 0x00050000 | (number & 0xffff);
/** A tracer decides, and is given this number. */
export const TRACE = (number) => (0x7ff00000 | (number & 0xffff)) >>> 0;

const OPS = { '==': 'EQ', '!=': 'NE', '<': 'LT', '<=': 'LE', '>=': 'GE', '>': 'GT', '&': 'MASKED_EQ' };
const COMPARE = family('SANDBOX_CMP_');
const DENY = family('SANDBOX_DENY_');
const FLAGS = family('SANDBOX_FILTER_');
const names = (known) => Object.keys(known).map((name) => name.toLowerCase());

/** The names that `deny` takes. */
export const denyGroups = () => names(DENY).sort();

function bits(known, given) {
    return given.reduce((sum, name) => {
        const bit = known[String(name).toUpperCase()];
        if (bit === undefined) throw new TypeError(`"${name}": not one of ${names(known).join(' ')}`);
        return sum + bit;
    }, 0);
}

/** A seccomp filter: what becomes of each system call. */
export class Filter {
    #handle;
    constructor(fallback = ALLOW) {
        this.#handle = new Handle(this, lib.sandbox_filter_new(fallback), 'sandbox_filter_free');
    }
    get address() { return this.#handle.address; }
    close() { this.#handle.free(); }
    #done(code, what) {
        check(code, what, 'seccomp');
        return this;
    }

    /** `action` for a system call where all conditions hold: `[index, '==', value]`, `[index, '&', mask, value]`. */
    rule(action, syscall, ...conditions) {
        const size = structs.sandbox_arg.size;
        const args = Buffer.alloc(size * conditions.length);
        conditions.forEach(([index, op, operand, value = 0], at) => {
            if (!(op in OPS)) throw new TypeError(`op "${op}": not one of ${Object.keys(OPS).join(' ')}`);
            const arg = make('sandbox_arg');
            put('sandbox_arg', arg, 'index', index);
            put('sandbox_arg', arg, 'op', COMPARE[OPS[op]]);
            put('sandbox_arg', arg, 'value', op === '&' ? value : operand);
            put('sandbox_arg', arg, 'mask', op === '&' ? operand : 0);
            arg.copy(args, at * size);
        });
        return this.#done(lib.sandbox_filter_rule(this.address, action, encode(syscall), conditions.length ? args : null, conditions.length), `rule for ${syscall}`);
    }
    deny(...what) { return this.#done(lib.sandbox_filter_deny(this.address, bits(DENY, what)), `deny ${what.join(' ')}`); }
    denyIoctl(request) { return this.#done(lib.sandbox_filter_deny_ioctl(this.address, request), 'deny ioctl'); }
    denySetsockopt(level, option) { return this.#done(lib.sandbox_filter_deny_setsockopt(this.address, level, option), 'deny setsockopt'); }
    arch(name) { return this.#done(lib.sandbox_filter_arch(this.address, encode(name)), `architecture ${name}`); }
    flags(...flags) { return this.#done(lib.sandbox_filter_flags(this.address, bits(FLAGS, flags)), `flags ${flags.join(' ')}`); }
    #read(read, text) {
        const [data, error] = [Buffer.from(text), newError()];
        if (read(this.address, data, data.length, error) < 0) throw errorOf(error);
        return this;
    }
    /** Rules in minijail's policy language. */
    policy(text) { return this.#read(lib.sandbox_filter_policy, text); }
    policyDirectory(path) { return this.#done(lib.sandbox_filter_policy_directory(this.address, encode(path)), 'policy directory'); }
    /** A profile of the OCI runtime specification, as text or as an object. */
    oci(json) { return this.#read(lib.sandbox_filter_oci, typeof json === 'string' ? json : JSON.stringify(json)); }
    ociCapabilities(capabilities) { return this.#done(lib.sandbox_filter_oci_capabilities(this.address, BigInt(capabilities)), 'capabilities'); }
    /** A classic BPF program as it is: struct sock_filter[]. */
    bpf(instructions) { return this.#done(lib.sandbox_filter_bpf(this.address, Buffer.from(instructions), Math.floor(instructions.length / 8)), 'BPF program'); }
    /** Writes the compiled program to a file or fd. */
    export(file) { return check(lib.sandbox_filter_export(this.address, fdOf(file)), 'export'); }
    /** The action that the kernel would take for a system call, without asking it. */
    simulate(nr, args = [], { arch = { x64: 0xc000003e, arm64: 0xc00000b7 }[machine()], ip = 0 } = {}) {
        if (arch === undefined) throw new TypeError(`name the arch (AUDIT_ARCH_*) on ${machine()}`);
        const call = make('sandbox_syscall');
        put('sandbox_syscall', call, 'arch', arch);
        put('sandbox_syscall', call, 'nr', nr);
        put('sandbox_syscall', call, 'ip', ip);
        const { offset } = structs.sandbox_syscall.fields.args;
        args.forEach((arg, index) => call.writeBigUInt64LE(BigInt.asUintN(64, BigInt(arg)), offset + 8 * index));
        const action = Buffer.alloc(4);
        this.#done(lib.sandbox_filter_simulate(this.address, call, action), 'simulate');
        return action.readUInt32LE();
    }
}
