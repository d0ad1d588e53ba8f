import { readFileSync } from "node:fs";
import { constants } from "node:os";

/**
 * Ctrl-C and its relatives: whatever the lab is doing gives up and cleans up; a running COMMAND is told, and ended if
 * it does not listen.
 */

const SIGNALS = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);

/** How long COMMAND may take to clean up after itself. */
const PATIENCE_SECONDS = 30;

export class Interruption {
    #abort = new AbortController();

    /** @type {import("node:child_process").ChildProcess | undefined} */
    #child;

    /** The exit status that a shell gives to what this signal ended. @type {number | undefined} */
    status;

    constructor() {
        for (const name of SIGNALS) process.on(name, () => this.#arrived(name));
        if (process.env.npm_lifecycle_event) this.#watchNpm();
    }

    /**
     * npm that is ended does not always tell us: the shell between it and us may keep a signal to itself. So that npm
     * or its shell has gone is taken for the signal.
     */
    #watchNpm() {
        const before = npmAbove().join();
        const timer = setInterval(() => {
            if (npmAbove().join() === before) return;
            clearInterval(timer);
            this.#arrived("SIGTERM");
        }, 250);
        timer.unref();
    }

    /** Aborted by the first signal; for work that can be given up. */
    get signal() {
        return this.#abort.signal;
    }

    /**
     * Passes signals on to this child, until it ends.
     * @param {import("node:child_process").ChildProcess} child
     */
    passTo(child) {
        this.#child = child;
        child.once("exit", () => {
            // What it started and did not wait for.
            if (this.status !== undefined) deliver(child, "SIGKILL");
            this.#child = undefined;
        });
    }

    /** @param {typeof SIGNALS[number]} name */
    #arrived(name) {
        this.status ??= 128 + constants.signals[name];
        this.#abort.abort();
        const child = this.#child;
        if (!child) return;
        // The terminal has sent its Ctrl-C to COMMAND already, and to many programs a second one means "drop everything".
        if (name !== "SIGINT" || !sharesTerminal()) deliver(child, name);
        setTimeout(() => deliver(child, "SIGKILL"), PATIENCE_SECONDS * 1000).unref();
    }
}

/** COMMAND stays in the terminal's foreground where there is one; elsewhere it leads a group that can be ended whole. */
export function sharesTerminal() {
    return process.stdin.isTTY === true;
}

/** @param {import("node:child_process").ChildProcess} child @param {NodeJS.Signals} name */
function deliver(child, name) {
    if (child.pid === undefined) return;
    try {
        process.kill(sharesTerminal() ? child.pid : -child.pid, name);
    } catch {
        // It is gone, which is what was wanted.
    }
}

/** The processes from our parent up to npm, which is the parent or, with a shell between, the parent's parent. */
function npmAbove() {
    const parent = process.ppid;
    return commandOf(parent).startsWith("npm") ? [parent] : [parent, parentOf(parent)];
}

/** @param {number} pid */
function commandOf(pid) {
    return read(`/proc/${pid}/cmdline`);
}

/** @param {number} pid */
function parentOf(pid) {
    return Number(/^PPid:\s*(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
}

/** @param {string} path */
function read(path) {
    try {
        return readFileSync(path, "utf8");
    } catch {
        return "";
    }
}
