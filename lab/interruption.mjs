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
     * npm runs us in a shell, which ends on a signal without telling us, and npm with it. That they have gone is the
     * signal, then.
     */
    #watchNpm() {
        const [shell, npm] = ancestors();
        const timer = setInterval(() => {
            const now = ancestors();
            if (now[0] === shell && now[1] === npm) return;
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

/** The numbers of the parent and its parent. */
function ancestors() {
    return [process.ppid, parentOf(process.ppid)];
}

/** @param {number} pid */
function parentOf(pid) {
    try {
        return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
    } catch {
        return 0;
    }
}
