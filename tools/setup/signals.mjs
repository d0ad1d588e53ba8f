/**
 * Ctrl-C: first the processes that we started, then the files that we left half-way, then we. Handlers are up only
 * while there is something to clean up, so that a caller's own handlers are alone the rest of the time.
 */
import { constants } from "node:os";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

/** @type {Set<(signal: NodeJS.Signals, again: boolean) => Promise<void> | void>} */
const holders = new Set();
let interrupted = false;

/**
 * Keeps us alive on a signal until `stop` has been awaited.
 * @param {(signal: NodeJS.Signals, again: boolean) => Promise<void> | void} stop again: asked twice, no more patience
 * @returns {() => void} to call when there is nothing to stop any more
 */
export function hold(stop) {
    if (holders.size === 0) for (const signal of SIGNALS) process.on(signal, interrupt);
    holders.add(stop);
    return () => {
        holders.delete(stop);
        if (holders.size === 0 && !interrupted) for (const signal of SIGNALS) process.off(signal, interrupt);
    };
}

/** To be asked before something new is begun: a step whose process was ended goes on to the next for a moment. */
export const isInterrupted = () => interrupted;

async function interrupt(signal) {
    const again = interrupted;
    interrupted = true;
    await Promise.all([...holders].map((stop) => stop(signal, again)));
    process.exit(128 + constants.signals[signal]);
}

/**
 * `try … finally` that holds on a signal too.
 * @template T
 * @param {() => void} clean
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function afterwards(clean, work) {
    const release = hold(() => {});
    process.once("exit", clean);
    try {
        return await work();
    } finally {
        process.off("exit", clean);
        release();
        clean();
    }
}
