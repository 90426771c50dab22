// The library and its declarations, loaded at import: from the path in SANDBOX_SPAWN_LIBRARY, else the one that the
// package carries, else the system's. Functions, constants and structs are read from the header beside it.
import koffi from 'koffi';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SONAME = 'libsandbox_spawn.so.0';
const near = (path) => fileURLToPath(new URL(path, import.meta.url));
const first = (...paths) => paths.map(near).find((path) => existsSync(path));

/** Where the header is: the package's, or the checkout's. */
export const header = first('./sandbox_spawn.h', '../../../include/sandbox_spawn.h');
const declared = readFileSync(header, 'utf8').replace(/\/\*[^]*?\*\//g, '').replace(/^\s*#.*$/gm, '');
const library = koffi.load(process.env.SANDBOX_SPAWN_LIBRARY || first(`./${SONAME}`) || SONAME);

/** Every constant of the header's enumerations. */
export const constants = {};
for (const [, body] of declared.matchAll(/typedef enum \w+ \{([^}]*)\}/g)) {
    for (const [, name, value] of body.matchAll(/(SANDBOX_\w+) = (\d+)/g)) constants[name] = Number(value);
}

/** Those of one family, without their prefix. */
export function family(prefix) {
    const named = Object.entries(constants).filter(([name]) => name.startsWith(prefix));
    return Object.fromEntries(named.map(([name, value]) => [name.slice(prefix.length), value]));
}

const SIZES = { int: 4, int32_t: 4, uint32_t: 4, int64_t: 8, uint64_t: 8, size_t: 8, char: 1 };
const READ = {
    4: { int: 'readInt32LE', int32_t: 'readInt32LE', uint32_t: 'readUInt32LE' },
    8: { int64_t: 'readBigInt64LE', uint64_t: 'readBigUInt64LE', size_t: 'readBigUInt64LE' },
};

function layout(body) {
    let offset = 0;
    const fields = {};
    for (const line of body.split(';')) {
        const [, type, pointer, name, count] = /^\s*(?:const )?(\w+)\s+(\*?)(\w+)(?:\[(\d+)\])?\s*$/.exec(line) ?? [];
        if (!name) continue;
        const size = pointer ? 8 : SIZES[type];
        offset = Math.ceil(offset / size) * size;
        fields[name] = { type: pointer ? 'size_t' : type, size, offset, count: count && Number(count) };
        offset += size * (Number(count) || 1);
    }
    const widest = Math.max(1, ...Object.values(fields).map((field) => field.size));
    return { size: Math.ceil(offset / widest) * widest, fields };
}

/** The structs of the header, by name: their size, and where each field stands. */
export const structs = {};
for (const [, name, body] of declared.matchAll(/typedef struct (\w+) \{([^}]*)\}/g)) structs[name] = layout(body);

/** A zeroed struct. */
export const make = (name) => Buffer.alloc(structs[name].size);

const plain = (value) => (typeof value === 'bigint' && value <= 9007199254740991n && value >= -9007199254740991n ? Number(value) : value);

/** The fields of a struct as a plain object. */
export function fields(name, buffer) {
    const out = {};
    for (const [field, { type, size, offset, count }] of Object.entries(structs[name].fields)) {
        if (type === 'char') continue;
        const at = (index) => plain(buffer[READ[size][type]](offset + index * size));
        out[field] = count ? Array.from({ length: count }, (_, index) => at(index)) : at(0);
    }
    return out;
}

/** Writes one field of a struct. */
export function put(name, buffer, field, value) {
    const { size, offset, type } = structs[name].fields[field];
    if (size === 8) buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), offset);
    else if (type === 'uint32_t') buffer.writeUInt32LE(value, offset);
    else buffer.writeInt32LE(value, offset);
}

const NUMBERS = { int: 'int', int32_t: 'int32_t', uint32_t: 'uint32_t', uint16_t: 'uint16_t', int64_t: 'int64_t', uint64_t: 'uint64_t', size_t: 'size_t', void: 'void' };

/** The functions of the header, by name. One that this version of the library lacks throws when it is called. */
export const lib = {};
for (const [, result, star, name, list] of declared.matchAll(/^(?:const )?(?:struct )?(\w+)\s+(\*?)(sandbox_\w+)\(([^)]*)\);/gm)) {
    const types = list.split(',').map((argument) => argument.trim()).filter((argument) => argument && argument !== 'void');
    const of = types.map((argument) => NUMBERS[argument.replace(/\s+\w+$/, '').trim()] ?? 'void *');
    const back = star ? (result === 'char' ? 'str' : 'void *') : NUMBERS[result];
    try {
        lib[name] = library.func(name, back, of);
    } catch {
        lib[name] = () => { throw new Error(`this version of the library has no ${name}`); };
    }
}

/** Text as C takes it; a NUL inside would silently cut it short. */
export function encode(text) {
    const data = Buffer.isBuffer(text) ? text : text instanceof Uint8Array ? Buffer.from(text) : Buffer.from(text instanceof URL ? fileURLToPath(text) : textOf(text));
    if (data.includes(0)) throw new TypeError('a null byte inside of a string');
    return Buffer.concat([data, Buffer.alloc(1)]);
}

function textOf(text) {
    if (typeof text !== 'string' && typeof text !== 'number') throw new TypeError(`a string is wanted, not ${text === null ? 'null' : typeof text}`);
    return String(text);
}

/** A NULL-terminated array of strings; `kept` must outlive the call. */
export function strings(texts) {
    const kept = [...texts].map(encode);
    const array = new BigUint64Array(kept.length + 1);
    kept.forEach((text, index) => { array[index] = koffi.address(text); });
    return { array, kept };
}

/** The bytes at an address, copied. */
export const copy = (address, length) => (length === 0 ? Buffer.alloc(0) : Buffer.from(new Uint8Array(koffi.view(address, length)).slice()));

export const text = (buffer) => buffer.toString('utf8', 0, Math.max(0, buffer.indexOf(0)));

/** A place for a handle, and what was put there. */
export const place = () => new BigUint64Array(1);

const registry = new FinalizationRegistry((owned) => owned.free());

/** A handle that is freed once: by `free`, or when its owner is collected. */
export class Handle {
    #address;
    #free;
    #owner;
    constructor(owner, address, free) {
        this.#address = address;
        this.#free = free;
        this.#owner = new WeakRef(owner);
        registry.register(owner, this, this);
    }
    get isOpen() {
        return this.#address !== null;
    }
    get address() {
        if (this.#address === null) throw new Error(`the ${this.#owner.deref()?.constructor.name ?? 'object'} is closed`);
        return this.#address;
    }
    free() {
        const address = this.#address;
        this.#address = null;
        registry.unregister(this);
        if (address !== null) lib[this.#free](address);
    }
}

/** Calls `ready` whenever `fd` is readable; the poll keeps the process alive until it is closed. */
export const watch = (fd, ready) => koffi.node.poll(fd, { readable: true }, ready);

/** A function of C's for one of JavaScript's; given back by `unregister`. */
export const register = (call, type) => koffi.register(call, koffi.pointer(type));
export const unregister = koffi.unregister;
export const types = {
    notify: koffi.proto('int sandbox_notify_call_back(void *n, void *userdata)'),
    ready: koffi.proto('int sandbox_ready_call_back(int pid, int pidfd, void *userdata)'),
};

/** The version of the library that is loaded. */
export const version = lib.sandbox_version();
