// What goes wrong: one error, which names the step.
import { getSystemErrorName } from 'node:util';
import { fields, lib, make, structs, text } from './library.js';

/** A step of a spawn failed. Nothing of the child is left. */
export class SandboxError extends Error {
    constructor(errno, message, stage = 'setup', index = 0, hint = undefined) {
        super(`${stage}[${index}]: ${message}`);
        this.name = 'SandboxError';
        this.errno = errno;
        this.code = nameOf(errno);
        this.stage = stage;
        this.index = index;
        this.reason = message;
        this.hint = hint;
    }
}

export function nameOf(errno) {
    try {
        return getSystemErrorName(-errno);
    } catch {
        return `E${errno}`;
    }
}

/** The error of a filled sandbox_error. */
export function errorOf(buffer) {
    const { code, stage, index } = fields('sandbox_error', buffer);
    const message = text(buffer.subarray(structs.sandbox_error.fields.message.offset));
    const [, hint] = / \((.*)\)$/.exec(message) ?? [];
    return new SandboxError(-code, message, lib.sandbox_stage_name(stage), index, hint);
}

export const newError = () => make('sandbox_error');

/** Throws where `code` is a negative errno. */
export function check(code, what, stage) {
    if (code < 0) throw new SandboxError(-Number(code), `${what}: ${nameOf(-Number(code))}`, stage);
    return code;
}
