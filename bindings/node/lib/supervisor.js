// Answering the system calls that a child's filter asks about: from the event loop, by functions that may be async.
import { fdOf } from './command.js';
import { check } from './errors.js';
import { Handle, encode, fields, lib, make, register, structs, text, types, unregister, watch } from './library.js';

const EPERM = 1;
const CANCELED = -125;
const int = (value) => Number(BigInt.asIntN(32, BigInt(value)));
const big = (value) => BigInt.asUintN(64, BigInt(value));

/** One call that waits for its answer, until its handler has returned or the promise that it returned is settled. */
export class Notification {
    #address;
    constructor(address) {
        this.#address = address;
        const call = make('sandbox_syscall');
        check(lib.sandbox_notify_call(address, call, structs.sandbox_syscall.size), 'notification');
        const { nr, arch } = fields('sandbox_syscall', call);
        this.nr = nr;
        this.arch = arch;
        const { offset } = structs.sandbox_syscall.fields.args;
        /** Six bigints. */
        this.args = Array.from({ length: 6 }, (_, index) => call.readBigUInt64LE(offset + 8 * index));
        this.answered = false;
    }
    get address() {
        if (this.#address === null) throw new Error('the notification is over');
        return this.#address;
    }
    /** The address, for the last time. */
    end() {
        const address = this.#address;
        this.#address = null;
        return address;
    }
    get pid() { return check(lib.sandbox_notify_pid(this.address), 'pid'); }
    get tid() { return check(lib.sandbox_notify_tid(this.address), 'tid'); }
    /** The caller's; borrowed. */
    get pidfd() { return check(lib.sandbox_notify_pidfd(this.address), 'pidfd'); }
    /** Whether the caller still waits for this answer. */
    isAlive() { return lib.sandbox_notify_check(this.address) === 0; }
    /** True: the caller has gone, what was done for it is to be undone. */
    #answer(code) {
        check(code, 'answer');
        this.answered = true;
        return code === 1;
    }
    errno(number) { return this.#answer(lib.sandbox_notify_errno(this.address, number)); }
    returnValue(value) { return this.#answer(lib.sandbox_notify_return(this.address, BigInt(value))); }
    /** The kernel makes the call: with arguments that may have changed since they were looked at. */
    continueUnsafe() { return this.#answer(lib.sandbox_notify_continue_unsafe(this.address)); }
    returnFd(file, cloexec = true) { return this.#answer(lib.sandbox_notify_fd(this.address, fdOf(file), Number(cloexec))); }
    addFd(file, target = -1, cloexec = true) { return check(lib.sandbox_notify_add_fd(this.address, fdOf(file), target, Number(cloexec)), 'add fd'); }
    getFd(fd) { return check(lib.sandbox_notify_get_fd(this.address, int(fd)), 'get fd'); }
    read(address, size) {
        const buffer = Buffer.alloc(Math.max(size, 1));
        check(lib.sandbox_notify_read(this.address, big(address), buffer, size), 'read');
        return buffer.subarray(0, size);
    }
    write(address, data) {
        const bytes = Buffer.from(data);
        check(lib.sandbox_notify_write(this.address, big(address), bytes, bytes.length), 'write');
    }
    string(address, size = 4096) {
        const buffer = Buffer.alloc(size);
        check(lib.sandbox_notify_string(this.address, big(address), buffer, size), 'string');
        return text(buffer);
    }
    sockaddr(address, length) {
        const buffer = Buffer.alloc(128);
        return buffer.subarray(0, check(lib.sandbox_notify_sockaddr(this.address, big(address), big(length), buffer, 128), 'sockaddr'));
    }
    path(dirfd, address, flags = 0) {
        const buffer = Buffer.alloc(4096);
        check(lib.sandbox_notify_path(this.address, int(dirfd), big(address), big(flags), buffer, 4096), 'path');
        return text(buffer);
    }
    /** Opens what the caller would open; the fd is the handler's to close. */
    open(dirfd, address, flags, mode = 0) { return check(lib.sandbox_notify_open(this.address, int(dirfd), big(address), big(flags), big(mode)), 'open'); }
    /** The directory that a path's last name is in, as an fd to close, and that name. */
    parent(dirfd, address) {
        const buffer = Buffer.alloc(256);
        const fd = check(lib.sandbox_notify_parent(this.address, int(dirfd), big(address), buffer, 256), 'parent');
        return { fd, name: text(buffer) };
    }
}

/** Answers the notified system calls of a child and of all that it starts. */
export class Supervisor {
    #handle;
    #child;
    #callbacks = new Set();
    #pending = new Set();
    #failed = [];
    #leave = null;

    constructor(from, { pidfd = -1 } = {}) {
        this.#child = typeof from === 'object' && 'wait' in from ? from : null;
        const address = this.#child ? lib.sandbox_supervisor_new(from.address) : lib.sandbox_supervisor_from_fd(fdOf(from), pidfd);
        if (!address) throw new Error("none of the child's filters notifies, or its listener was taken");
        this.#handle = new Handle(this, address, 'sandbox_supervisor_free');
    }

    /** Has `handler(call)` called for a system call; null: for all that have none of their own. */
    on(syscall, handler) {
        const name = syscall === null ? null : encode(syscall);
        const pointer = handler && register((address) => this.#serve(handler, address), types.notify);
        if (pointer) this.#callbacks.add(pointer);
        check(lib.sandbox_supervisor_on(this.#handle.address, name, pointer ?? null, null), `handler for ${syscall}`);
        return this;
    }

    #serve(handler, address) {
        let call;
        try {
            call = new Notification(address);
            const later = handler(call);
            if (typeof later?.then !== 'function') return call.end(), 0;
            check(lib.sandbox_notify_keep(address), 'keep');
            this.#pending.add(call);
            later.then(() => this.#over(call), (error) => {
                if (this.#pending.has(call)) lib.sandbox_notify_errno(call.address, EPERM);
                this.#over(call);
                this.#fail(error);
            });
            return 0;
        } catch (error) {
            lib.sandbox_notify_errno(address, EPERM); // nothing where it was answered
            call?.end();
            this.#fail(error);
            return CANCELED;
        }
    }
    #over(call) {
        if (this.#pending.delete(call)) lib.sandbox_notify_free(call.end());
    }
    #fail(error) {
        this.#failed.push(error);
        this.#leave?.();
    }

    /** The listener, for an event loop of your own; then call `dispatch`. */
    get fd() { return check(lib.sandbox_supervisor_fd(this.#handle.address), 'fd'); }
    /** Answers what is pending, without waiting; how many calls there were. */
    dispatch() {
        const code = lib.sandbox_supervisor_dispatch(this.#handle.address, 0);
        if (this.#failed.length) throw this.#failed.shift();
        return check(code, 'dispatch');
    }
    /** Whether the last program under the filter has ended. */
    get ended() { return check(lib.sandbox_supervisor_ended(this.#handle.address), 'ended') === 1; }

    /** Answers calls until the last program under the filter has ended. Rejects with what a handler threw. */
    run() {
        return new Promise((resolve, reject) => {
            let poll = null;
            const finish = (end, value) => {
                poll?.close();
                poll = this.#leave = null;
                end(value);
            };
            const turn = () => {
                if (!poll) return;
                try {
                    if (!this.#handle.isOpen) throw new Error('the supervisor was closed');
                    this.dispatch();
                    if (this.ended) finish(resolve);
                } catch (error) {
                    finish(reject, error);
                }
            };
            poll = watch(this.fd, turn);
            this.#leave = () => setImmediate(turn);
            // Before Linux 6.11 only the child's own end tells.
            this.#child?.wait().then(turn, turn);
        });
    }

    /** Gives the listener up: calls that wait, and later ones, fail with ENOSYS. */
    close() {
        if (!this.#handle.isOpen) return;
        for (const call of this.#pending) this.#over(call);
        this.#handle.free();
        this.#callbacks.forEach(unregister);
        this.#callbacks.clear();
        this.#leave?.();
    }
    [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() { this.close(); }
}
