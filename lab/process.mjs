import { spawn } from "node:child_process";

/**
 * Short-lived helpers of the lab. Each dies with the lab's process, also when that is killed outright.
 *
 * @typedef {{ code: number | null, signal: NodeJS.Signals | null, stdout: string, stderr: string }} Finished
 */

/**
 * @param {string} command @param {string[]} args @param {{ input?: string | Buffer, signal?: AbortSignal }} [options]
 * @returns {Promise<Finished>}
 */
export function run(command, args, { input, signal } = {}) {
    return new Promise((resolve, reject) => {
        const child = spawn("setpriv", ["--pdeathsig", "TERM", "--", command, ...args]);
        // Asked to end, not abandoned: it has things of its own to clean up.
        signal?.addEventListener("abort", () => child.kill("SIGTERM"), { once: true });
        const out = { stdout: "", stderr: "" };
        for (const name of /** @type {const} */ (["stdout", "stderr"])) {
            child[name].setEncoding("utf8").on("data", (chunk) => {
                out[name] += chunk;
            });
        }
        // A command that does not read its input closes the pipe: its own exit status tells what happened.
        child.stdin.on("error", () => {});
        child.stdin.end(input);
        child.on("error", reject);
        child.on("close", (code, signal) => resolve({ code, signal, ...out }));
    });
}

/** @param {number} milliseconds */
export function pause(milliseconds) {
    return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
