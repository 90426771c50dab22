// The command: what to run, and how confined.
import { check, errorOf, newError } from './errors.js';
import { Handle, constants, encode, lib, place, register, strings, text, types, unregister } from './library.js';

const MODES = { inherit: 0, null: 1, ignore: 1, pipe: 2, pty: 4 };
const big = (value) => BigInt.asUintN(64, BigInt(value));
const list = (value) => (Array.isArray(value) ? value : [value]);

/** The fd of a number, a FileHandle, or a stream. */
export function fdOf(file) {
    const fd = typeof file === 'number' ? file : file?.fd ?? file?._handle?.fd;
    if (!Number.isInteger(fd)) throw new TypeError('a file, a stream of one, or an fd is wanted');
    return fd;
}

function optionNumber(name) {
    const number = constants[`SANDBOX_OPT_${name.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase()}`];
    if (number === undefined) throw new TypeError(`no option ${name}`);
    return number;
}

/** A program with its arguments, environment, streams and confinement. Every option is a method of the same name. */
export class Command {
    #handle;
    #raised = {};
    #kept = new Set();

    constructor(program, args = [], options = {}) {
        if (args !== null && typeof args === 'object' && !Array.isArray(args)) [args, options] = [[], args];
        this.program = program;
        this.#handle = new Handle(this, program instanceof Command ? lib.sandbox_cmd_clone(program.address) : lib.sandbox_cmd_new(encode(program)), 'sandbox_cmd_free');
        if (program instanceof Command) {
            this.program = program.program;
            this.#raised = program.#raised;
            this.#kept = program.#kept;
        }
        this.#latched();
        this.args(...args);
        for (const [name, value] of Object.entries(options)) if (value !== undefined) this.#option(name, value);
    }

    #option(name, value) {
        if (!KEYWORDS.has(name)) return this.set(name, value);
        if (MANY.has(name)) return value.forEach((item) => this[name](...list(item)));
        if (SPREAD.has(name)) return this[name](...value);
        if (SWITCHES.has(name)) return value && this[name]();
        return this[name](value);
    }

    #latched() {
        const error = newError();
        if (lib.sandbox_cmd_error(this.address, error) < 0) throw errorOf(error);
    }

    #call(name, ...args) {
        if (lib[`sandbox_cmd_${name}`](this.address, ...args) < 0) this.#latched();
        return this;
    }

    get address() {
        return this.#handle.address;
    }

    /** A copy of the command as it is now. */
    clone() {
        return new Command(this);
    }

    close() {
        this.#handle.free();
        this.#kept.forEach(unregister);
        this.#kept = new Set();
    }

    // The program.
    arg(arg) { return this.#call('arg', encode(arg)); }
    args(...args) {
        const { array, kept } = strings(args);
        return kept && this.#call('args', array);
    }
    arg0(name) { return this.#call('arg0', encode(name)); }
    env(variables) {
        for (const [name, value] of Object.entries(variables)) this.#call('env', encode(name), value === null || value === undefined ? null : encode(String(value)));
        return this;
    }
    clearEnv() { return this.#call('env_clear'); }
    cwd(path) { return this.#call('cwd', encode(path)); }
    cwdFirst(...paths) {
        const { array, kept } = strings(paths);
        return kept && this.#call('cwd_first', array);
    }
    execFd(file) { return this.#call('exec_fd', fdOf(file)); }
    #stream(target, stream) {
        if (typeof stream !== 'string') return this.#call('stdio', target, 3, fdOf(stream));
        if (!(stream in MODES)) throw new TypeError(`a stream is "inherit", "null", "pipe", "pty", a file or an fd, not "${stream}"`);
        return this.#call('stdio', target, MODES[stream], -1);
    }
    stdin(stream) { return this.#stream(0, stream); }
    stdout(stream) { return this.#stream(1, stream); }
    stderr(stream) { return this.#stream(2, stream); }
    passFds(fds) {
        for (const [target, file] of Object.entries(fds)) this.#call('pass_fd', fdOf(file), Number(target));
        return this;
    }

    // Limits and options.
    rlimits(limits) {
        for (const [resource, limit] of Object.entries(limits)) {
            const [soft, hard] = Array.isArray(limit) ? limit : [limit, limit];
            const number = RLIMITS.includes(resource) ? RLIMITS.indexOf(resource) : Number(resource);
            if (!Number.isInteger(number)) throw new TypeError(`no limit ${resource}`);
            this.#call('rlimit', number, unlimited(soft), unlimited(hard));
        }
        return this;
    }
    set(name, value) { return this.#call('set', optionNumber(name), big(Number(value) === value ? value : typeof value === 'boolean' ? Number(value) : value)); }
    cpus(cpus) {
        const words = new BigUint64Array(Math.floor(Math.max(0, ...cpus) / 64) + 1);
        for (const cpu of cpus) words[Math.floor(cpu / 64)] |= 1n << BigInt(cpu % 64);
        return this.#call('cpus', words, words.length);
    }

    // Namespaces and identity.
    unshare(namespaces) { return this.#call('unshare', big(namespaces)); }
    join(file) { return this.#call('join', fdOf(file)); }
    mapUid(inside, outside, count = 1) { return this.#call('map_uid', inside, outside, count); }
    mapGid(inside, outside, count = 1) { return this.#call('map_gid', inside, outside, count); }
    user(uid, gid) { return this.#call('user', uid, gid); }
    groups(...gids) { return this.#call('groups', gids.length ? Uint32Array.from(gids) : null, gids.length); }
    hostname(name) { return this.#call('hostname', encode(name)); }
    domainname(name) { return this.#call('domainname', encode(name)); }
    timeOffset(clock, seconds, nanoseconds = 0) { return this.#call('time_offset', clock, seconds, nanoseconds); }
    preset(preset) { return this.#call('preset', preset); }
    caps(keep, ambient = 0) { return this.#call('caps', big(keep), big(ambient)); }

    // The file system.
    root(directory = null, flags = 0) { return this.#call('root', directory === null ? null : encode(directory), big(flags)); }
    bind(source, target = source, flags = 0) { return this.#call('bind', encode(source), encode(target), big(flags)); }
    bindFd(file, target, flags = 0) { return this.#call('bind_fd', fdOf(file), encode(target), big(flags)); }
    tmpfs(target, size = 0, mode = 0o755) { return this.#call('tmpfs', encode(target), big(size), mode); }
    proc(target = '/proc', flags = 0) { return this.#call('proc', encode(target), big(flags)); }
    dev(target = '/dev') { return this.#call('dev', encode(target)); }
    mqueue(target = '/dev/mqueue') { return this.#call('mqueue', encode(target)); }
    overlay(lowers, target, upper = null, work = null) {
        const { array, kept } = strings(lowers);
        return kept && this.#call('overlay', array, upper === null ? null : encode(upper), work === null ? null : encode(work), encode(target));
    }
    overlayRo(lowers, target) {
        const { array, kept } = strings(lowers);
        return kept && this.#call('overlay_ro', array, encode(target));
    }
    devpts(target = '/dev/pts') { return this.#call('devpts', encode(target)); }
    data(target, data, mode = 0o644, flags = 0) {
        const bytes = Buffer.from(data);
        return this.#call('data', encode(target), bytes.length ? bytes : null, bytes.length, mode, big(flags));
    }
    chmod(target, mode) { return this.#call('chmod', encode(target), mode); }
    remount(target, flags = 0) { return this.#call('remount', encode(target), big(flags)); }
    initFd(file) { return this.#call('init_fd', fdOf(file)); }
    initLock(path) { return this.#call('init_lock', encode(path)); }
    file(target, data, mode = 0o644) {
        const bytes = Buffer.from(data);
        return this.#call('file', encode(target), bytes.length ? bytes : null, bytes.length, mode);
    }
    dir(target, mode = 0o755) { return this.#call('dir', encode(target), mode); }
    symlink(text, target) { return this.#call('symlink', encode(text), encode(target)); }
    mask(target) { return this.#call('mask', encode(target)); }

    // Landlock, cgroups, filters, hooks.
    landlockPath(path, access) { return this.#call('landlock_path', encode(path), big(access)); }
    landlockPort(port, access) { return this.#call('landlock_port', port, big(access)); }
    landlockScope(scopes) { return this.#call('landlock_scope', big(scopes)); }
    cgroup(parent = null) { return this.#call('cgroup', parent === null ? null : encode(parent)); }
    cgroupSet(settings) {
        for (const [name, value] of Object.entries(settings)) this.#call('cgroup_set', encode(name), encode(String(value)));
        return this;
    }
    filter(filter) { return this.#call('filter', filter.address); }
    /** Has `call(pid, pidfd)` called while the child is held; what it throws ends the child, and comes out of the spawn. */
    onReady(call) { return this.#hook('on_ready', call); }
    /** The same, which writes the uid_map and gid_map of its user namespace, in the library's place. */
    onMaps(call) { return this.#hook('on_maps', call); }
    #hook(name, call) {
        const raised = this.#raised;
        const pointer = register((pid, pidfd) => {
            try {
                call(pid, pidfd);
                return 0;
            } catch (error) {
                raised.error = error;
                return -125;
            }
        }, types.ready);
        this.#kept.add(pointer);
        return this.#call(name, pointer, null);
    }

    /** What a spawn would do, in order, before anything runs. */
    explain() {
        const error = newError();
        const length = lib.sandbox_cmd_explain(this.address, null, 0, error);
        if (length < 0) throw errorOf(error);
        const buffer = Buffer.alloc(length + 1);
        check(lib.sandbox_cmd_explain(this.address, buffer, buffer.length, error), 'explain');
        return text(buffer);
    }

    /** The error of a spawn that failed: the callback's own where that was it. */
    failure(error) {
        const { error: raised } = this.#raised;
        delete this.#raised.error;
        return raised ?? errorOf(error);
    }

    /** A handle by `call(out, error)`. */
    static made(command, call) {
        const [out, error] = [place(), newError()];
        if (call(out, error) < 0) throw command.failure(error);
        return out[0];
    }
}

const unlimited = (limit) => big(limit === Infinity ? -1 : limit);
const RLIMITS = ['CPU', 'FSIZE', 'DATA', 'STACK', 'CORE', 'RSS', 'NPROC', 'NOFILE', 'MEMLOCK', 'AS', 'LOCKS', 'SIGPENDING', 'MSGQUEUE', 'NICE', 'RTPRIO', 'RTTIME'];
const SWITCHES = new Set(['clearEnv']);
const SPREAD = new Set(['cwdFirst', 'user', 'groups']);
/** Their value is a list of calls, each one value or an array of arguments. */
const MANY = new Set(['data', 'chmod', 'remount', 'overlayRo', 'initFd', 'initLock', 'timeOffset', 'mapUid', 'mapGid', 'bind', 'bindFd', 'overlay', 'tmpfs', 'file', 'dir', 'symlink', 'mask', 'landlockPath', 'landlockPort', 'filter', 'join']);
const KEYWORDS = new Set([...MANY, ...SPREAD, ...SWITCHES, 'arg0', 'env', 'cwd', 'execFd', 'stdin', 'stdout', 'stderr', 'passFds', 'rlimits', 'cpus', 'unshare', 'hostname',
    'domainname', 'preset', 'caps', 'root', 'proc', 'dev', 'devpts', 'mqueue', 'landlockScope', 'cgroup', 'cgroupSet', 'onReady', 'onMaps']);

/** A command as it is, or one made of a program, its arguments and options. */
export function commandOf(program, args, options) {
    if (!(program instanceof Command)) return new Command(program, args, options);
    if (Object.keys(options).length || args.length) throw new TypeError('a Command has its own arguments and options');
    return program;
}
