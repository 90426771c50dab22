// A warm pool: children set up ahead, run when they are wanted.
import { Child } from './child.js';
import { Command } from './command.js';
import { errorOf, newError } from './errors.js';
import { Handle, lib } from './library.js';

/** Children of one command, set up ahead and held with nothing of it run; each is for one run. */
export class Pool {
    #handle;
    constructor(command, size) {
        const address = Number.isInteger(size) && size > 0 ? lib.sandbox_pool_new(command.address, size) : null;
        if (!address) throw new RangeError(`a pool of ${size}: 1 to 4096`);
        this.#handle = new Handle(this, address, 'sandbox_pool_free');
        this.command = command;
    }
    /** Runs a held child; `override`: another program, arguments, environment, streams, fds, directory. */
    spawn(override = null, options = {}) {
        return new Child(Command.made(this.command, (out, error) => lib.sandbox_pool_spawn(this.#handle.address, override && override.address, out, error)), options);
    }
    /** Sets up what is missing; how many were. */
    refill() {
        const error = newError();
        const made = lib.sandbox_pool_refill(this.#handle.address, error);
        if (made < 0) throw errorOf(error);
        return made;
    }
    /** Ends the children that are held; those that run live on. */
    close() { this.#handle.free(); }
    [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() { this.close(); }
}
