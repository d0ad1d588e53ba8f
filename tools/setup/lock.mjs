/**
 * One at a time, across processes: two test runners may find the same thing missing at once. The kernel holds the lock
 * (flock), so one that was killed leaves nothing to clear up.
 */
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { cache } from "./places.mjs";

/**
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function locked(name, work) {
    mkdirSync(cache, { recursive: true });
    const release = await acquire(join(cache, `${name}.lock`));
    try {
        return await work();
    } finally {
        release();
    }
}

/** A child holds the lock until its stdin closes, which the kernel does for us however we end. */
function acquire(file) {
    return new Promise((resolve, reject) => {
        const holder = spawn("flock", [file, "sh", "-c", "echo held; exec cat"], {
            stdio: ["pipe", "pipe", "inherit"],
            detached: true, // Ctrl-C must not take the lock away while we still clean up.
        });
        holder.stdin.on("error", () => {});
        holder.stdout.once("data", () => resolve(() => holder.stdin.end()));
        // A system without flock (macOS, for `npm install` alone) works without the lock.
        holder.once("error", (error) => (error.code === "ENOENT" ? resolve(() => {}) : reject(error)));
        holder.once("exit", (code) => reject(new Error(`flock ${file} ended with status ${code}`)));
    });
}

/**
 * The shape of every step: look, and only if something is missing take the lock, look again, and do it.
 * @param {string} name
 * @param {() => unknown} missing falsy: nothing to do
 * @param {(missing: any) => Promise<void>} work
 */
export async function unless(name, missing, work) {
    if (!missing()) return;
    await locked(name, async () => {
        const still = missing();
        if (still) await work(still);
    });
}
