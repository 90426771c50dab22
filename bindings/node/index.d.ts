import type { Socket } from 'node:net';
import type { ReadStream } from 'node:tty';

export type Text = string | Uint8Array | URL;
export type File = number | { fd: number };
export type Stream = 'inherit' | 'null' | 'ignore' | 'pipe' | 'pty' | File;
type Flags = number | bigint;
type One<T> = T | readonly [T];

export declare const version: string;
export declare const Namespace: Readonly<Record<'TIME' | 'MOUNT' | 'CGROUP' | 'UTS' | 'IPC' | 'USER' | 'PID' | 'NET', number>>;
export declare const Mount: Readonly<Record<'RW' | 'EXEC_OFF' | 'OPTIONAL' | 'DEV' | 'SUID' | 'NON_RECURSIVE' | 'NOSYMFOLLOW' | 'NOATIME', number>>;
export declare const Proc: Readonly<Record<'NOACCESS' | 'INVISIBLE' | 'PTRACEABLE' | 'SUBSET_PID' | 'RW' | 'COVERED', number>>;
/** How `data` puts its file there: mounted over what is there, or written into it. */
export declare const Data: Readonly<Record<'MOUNT' | 'RW' | 'IN_PLACE', number>>;
export declare const Preset: Readonly<Record<'COMPUTE' | 'BUILD' | 'NETWORK', number>>;
export declare const Limit: Readonly<Record<LimitName, number>>;
export declare const Landlock: Readonly<Record<string, number>>;
export declare const Rlimit: Readonly<Record<RlimitName, number>>;
export type LimitName = 'WALL_TIME' | 'CPU_TIME' | 'STDOUT' | 'STDERR' | 'CANCELED';
export type RlimitName = 'CPU' | 'FSIZE' | 'DATA' | 'STACK' | 'CORE' | 'RSS' | 'NPROC' | 'NOFILE' | 'MEMLOCK' | 'AS' | 'LOCKS' | 'SIGPENDING' | 'MSGQUEUE' | 'NICE' | 'RTPRIO' | 'RTTIME';
export type Cause = 'NONE' | 'FILTER' | 'MEMORY' | 'TIMEOUT' | 'KILLED';

/** A step of a spawn failed. Nothing of the child is left. */
export declare class SandboxError extends Error {
    /** Positive. */
    readonly errno: number;
    /** As 'EPERM'. */
    readonly code: string;
    /** As 'exec' or 'mount'. */
    readonly stage: string;
    /** Which item of that step, in the order in which they were added. */
    readonly index: number;
    readonly reason: string;
    readonly hint?: string;
}

/** The program did not exit with 0, and `check` was asked for. */
export declare class RunError extends Error {
    readonly result: Result<string | Buffer>;
}

/** How a program ended and what it used. Times in seconds. */
export declare class Status {
    readonly exitCode: number | null;
    readonly signal: NodeJS.Signals | null;
    readonly signalNumber: number | null;
    readonly coreDumped: boolean;
    readonly cause: Cause;
    readonly syscall: number | null;
    readonly userTime: number;
    readonly systemTime: number;
    readonly wallTime: number;
    readonly peakMemory: number;
    readonly leftOut: number;
    readonly raw: Record<string, number | bigint>;
    readonly ok: boolean;
    toString(): string;
}

export interface CommandOptions {
    arg0?: Text; env?: Record<string, string | number | null | undefined>; clearEnv?: boolean; cwd?: Text; execFd?: File;
    stdin?: Stream; stdout?: Stream; stderr?: Stream; passFds?: Record<number, File>;
    rlimits?: Partial<Record<RlimitName, number | readonly [number, number]>>; cpus?: readonly number[];
    unshare?: Flags; join?: readonly File[];
    mapUid?: readonly (readonly [inside: number, outside: number, count?: number])[]; mapGid?: readonly (readonly [inside: number, outside: number, count?: number])[];
    user?: readonly [uid: number, gid: number]; groups?: readonly number[]; hostname?: Text; domainname?: Text;
    timeOffset?: readonly (readonly [clock: number, seconds: number, nanoseconds?: number])[]; preset?: number; caps?: Flags;
    root?: Text | null; bind?: readonly (One<Text> | readonly [source: Text, target: Text, flags?: Flags])[];
    bindFd?: readonly (readonly [file: File, target: Text, flags?: Flags])[]; tmpfs?: readonly (One<Text> | readonly [target: Text, size: Flags, mode?: number])[];
    proc?: Text; dev?: Text; mqueue?: Text; overlay?: readonly (readonly [lowers: readonly Text[], target: Text, upper?: Text | null, work?: Text | null])[];
    file?: readonly (readonly [target: Text, data: string | Uint8Array, mode?: number])[]; dir?: readonly (One<Text> | readonly [target: Text, mode: number])[];
    data?: readonly (readonly [target: Text, data: string | Uint8Array, mode?: number, flags?: Flags])[]; chmod?: readonly (readonly [target: Text, mode: number])[];
    remount?: readonly (One<Text> | readonly [target: Text, flags: Flags])[]; overlayRo?: readonly (readonly [lowers: readonly Text[], target: Text])[]; devpts?: Text;
    cwdFirst?: readonly Text[]; initFd?: readonly File[]; initLock?: readonly Text[]; onMaps?: (pid: number, pidfd: number) => void;
    symlink?: readonly (readonly [text: Text, target: Text])[]; mask?: readonly Text[];
    landlockPath?: readonly (readonly [path: Text, access: Flags])[]; landlockPort?: readonly (readonly [port: number, access: Flags])[]; landlockScope?: Flags;
    cgroup?: Text | null; cgroupSet?: Record<string, string | number>; filter?: readonly Filter[]; onReady?: (pid: number, pidfd: number) => void;
    noNewPrivs?: number; deathSignal?: number; closeFds?: number; resetSignals?: number; newSession?: number; processGroup?: number; controllingTty?: number;
    umask?: number; nice?: number; oomScoreAdj?: number; cpuAffinity?: Flags; noRandomize?: number; mdwe?: number; denyTsc?: number; speculation?: number;
    newKeyring?: number; securebits?: number; init?: number; loopback?: number; randomFds?: number; allowPrivilegedHost?: number; allowNoMdwe?: number;
    allowNoDenyTsc?: number; allowNoSpeculation?: number; allowNoKeyring?: number; disableUserns?: number; allowLessLandlock?: number; landlockLog?: number;
}
export interface SpawnOptions { signal?: AbortSignal; killSignal?: NodeJS.Signals | number }
export interface RunOptions {
    input?: string | Uint8Array | ArrayBuffer | null;
    /** Milliseconds of wall-clock time. */
    timeout?: number;
    /** Milliseconds of CPU time, of all its processes together. */
    cpuTime?: number;
    stdoutLimit?: number; stderrLimit?: number; mergeStderr?: boolean; killAtLimit?: boolean; encoding?: BufferEncoding; check?: boolean; signal?: AbortSignal;
}
export interface Result<T = Buffer> {
    status: Status; stdout: T; stderr: T; stdoutCut: number; stderrCut: number; limits: LimitName[]; timedOut: boolean;
}

export declare function run(program: Text, args: readonly Text[], options: RunOptions & CommandOptions & { encoding: BufferEncoding }): Promise<Result<string>>;
export declare function run(program: Text, options: RunOptions & CommandOptions & { encoding: BufferEncoding }): Promise<Result<string>>;
export declare function run(program: Text | Command, args?: readonly Text[], options?: RunOptions & CommandOptions): Promise<Result>;
export declare function run(program: Text | Command, options: RunOptions & CommandOptions): Promise<Result>;
export declare function spawn(program: Text | Command, args?: readonly Text[], options?: SpawnOptions & CommandOptions): Child;
export declare function spawn(program: Text | Command, options: SpawnOptions & CommandOptions): Child;
export declare function explain(program: Text | Command, args?: readonly Text[], options?: CommandOptions): string;
export declare function probe(): Record<string, number | number[]>;
export declare function denyGroups(): string[];

/** A command; methods return it, so that calls chain. One that fails throws, and the command then refuses to be spawned. */
export declare class Command {
    constructor(program: Text, args?: readonly Text[], options?: CommandOptions);
    constructor(program: Text, options: CommandOptions);
    readonly program: Text;
    clone(): Command;
    close(): void;
    arg(arg: Text): this; args(...args: Text[]): this; arg0(name: Text): this;
    env(variables: Record<string, string | number | null | undefined>): this; clearEnv(): this; cwd(path: Text): this; execFd(file: File): this;
    stdin(stream: Stream): this; stdout(stream: Stream): this; stderr(stream: Stream): this; passFds(fds: Record<number, File>): this;
    rlimits(limits: Partial<Record<RlimitName, number | readonly [number, number]>>): this; set(name: string, value: Flags | boolean): this; cpus(cpus: readonly number[]): this;
    unshare(namespaces: Flags): this; join(file: File): this; mapUid(inside: number, outside: number, count?: number): this; mapGid(inside: number, outside: number, count?: number): this;
    user(uid: number, gid: number): this; groups(...gids: number[]): this; hostname(name: Text): this; domainname(name: Text): this;
    timeOffset(clock: number, seconds: number, nanoseconds?: number): this; preset(preset: number): this; caps(keep: Flags, ambient?: Flags): this;
    root(directory?: Text | null, flags?: Flags): this; bind(source: Text, target?: Text, flags?: Flags): this; bindFd(file: File, target: Text, flags?: Flags): this;
    tmpfs(target: Text, size?: Flags, mode?: number): this; proc(target?: Text, flags?: Flags): this; dev(target?: Text): this; mqueue(target?: Text): this;
    overlay(lowers: readonly Text[], target: Text, upper?: Text | null, work?: Text | null): this; file(target: Text, data: string | Uint8Array, mode?: number): this;
    dir(target: Text, mode?: number): this; symlink(text: Text, target: Text): this; mask(target: Text): this;
    /** A file put there as `flags`, a sum of Data, say. */
    data(target: Text, data: string | Uint8Array, mode?: number, flags?: Flags): this;
    /** The mode of what is there by then. */
    chmod(target: Text, mode: number): this;
    /** What is mounted there is read-only from there on; flags: Mount.DEV, SUID, EXEC_OFF. */
    remount(target: Text, flags?: Flags): this;
    /** Two directories or more, the topmost first, that nobody can write to. */
    overlayRo(lowers: readonly Text[], target: Text): this;
    /** Terminals of its own. */
    devpts(target?: Text): this;
    /** The first of these directories that it can enter; PWD says which. */
    cwdFirst(...paths: Text[]): this;
    /** Its init holds this open, or a shared lock of this file, as long as it lives. */
    initFd(file: File): this; initLock(path: Text): this;
    landlockPath(path: Text, access: Flags): this; landlockPort(port: number, access: Flags): this; landlockScope(scopes: Flags): this;
    cgroup(parent?: Text | null): this; cgroupSet(settings: Record<string, string | number>): this; filter(filter: Filter): this;
    /** Writes the uid_map and gid_map of its user namespace, in the library's place. */
    onMaps(call: (pid: number, pidfd: number) => void): this;
    onReady(call: (pid: number, pidfd: number) => void): this;
    explain(): string;
    spawn(options?: SpawnOptions): Child;
    run(options: RunOptions & { encoding: BufferEncoding }): Promise<Result<string>>;
    run(options?: RunOptions): Promise<Result>;
}

/** A started child. Collected or closed, one that still runs is killed and reaped. */
export declare class Child {
    private constructor();
    readonly pid: number;
    readonly pidfd: number;
    readonly stdin: Socket | null;
    readonly stdout: Socket | null;
    readonly stderr: Socket | null;
    readonly pty: ReadStream | null;
    readonly status: Status | null;
    poll(): Status | null;
    wait(options?: { timeout?: number }): Promise<Status>;
    hasExecuted(): boolean;
    kill(signal?: NodeJS.Signals | number): boolean;
    killAll(): void;
    freeze(on?: boolean): void;
    detach(): void;
    takeFd(name: 'pidfd' | 'seccomp' | 'cgroup'): number;
    close(): void;
    [Symbol.asyncDispose](): Promise<void>;
    [Symbol.dispose](): void;
}

export declare const ALLOW: number, LOG: number, NOTIFY: number, TRAP: number, KILL_THREAD: number, KILL_PROCESS: number;
export declare function ERRNO(number: number): number;
export declare function TRACE(number: number): number;
export type Condition = readonly [index: number, op: '==' | '!=' | '<' | '<=' | '>=' | '>', value: Flags] | readonly [index: number, op: '&', mask: Flags, value: Flags];

export declare class Filter {
    constructor(fallback?: number);
    close(): void;
    rule(action: number, syscall: string, ...conditions: Condition[]): this;
    deny(...what: string[]): this; denyIoctl(request: number): this; denySetsockopt(level: number, option: number): this;
    arch(name: string): this; flags(...flags: string[]): this; policy(text: string): this; policyDirectory(path: Text): this;
    oci(json: string | object): this; ociCapabilities(capabilities: Flags): this; bpf(instructions: Uint8Array): this;
    export(file: File): number;
    simulate(nr: number, args?: readonly Flags[], options?: { arch?: number; ip?: Flags }): number;
}

/** One call that waits for its answer: until its handler returns, or the promise that it returned is settled. */
export declare class Notification {
    private constructor();
    readonly nr: number;
    readonly arch: number;
    readonly args: readonly bigint[];
    readonly answered: boolean;
    readonly pid: number;
    readonly tid: number;
    readonly pidfd: number;
    isAlive(): boolean;
    errno(number: number): boolean; returnValue(value: Flags): boolean; continueUnsafe(): boolean; returnFd(file: File, cloexec?: boolean): boolean;
    addFd(file: File, target?: number, cloexec?: boolean): number; getFd(fd: Flags): number;
    read(address: Flags, size: number): Buffer; write(address: Flags, data: Uint8Array | string): void; string(address: Flags, size?: number): string;
    sockaddr(address: Flags, length: Flags): Buffer; path(dirfd: Flags, address: Flags, flags?: Flags): string;
    open(dirfd: Flags, address: Flags, flags: Flags, mode?: Flags): number; parent(dirfd: Flags, address: Flags): { fd: number; name: string };
}

export declare class Supervisor {
    constructor(from: Child | File, options?: { pidfd?: number });
    on(syscall: string | null, handler: ((call: Notification) => void | Promise<void>) | null): this;
    readonly fd: number;
    readonly ended: boolean;
    dispatch(): number;
    run(): Promise<void>;
    close(): void;
    [Symbol.dispose](): void;
}

export declare class Pool {
    constructor(command: Command, size: number);
    spawn(override?: Command | null, options?: SpawnOptions): Child;
    refill(): number;
    close(): void;
    [Symbol.dispose](): void;
}
