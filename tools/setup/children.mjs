/**
 * Processes started here end with us. Each child leads a process group of its own, so a signal reaches its whole
 * family, and we wait for the family to be gone before we go: nothing is left running after Ctrl-C.
 */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "./problem.mjs";
import { hold, isInterrupted } from "./signals.mjs";

/** How long a family may take to clean up after a signal. A lab powers off within this. */
const GRACE_MS = 30_000;

/**
 * The living members of a process group, as "PID NAME". Read from /proc, because a signal 0 also finds zombies that an
 * idle init has not collected.
 * @param {number} group
 */
export function family(group) {
    const found = [];
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
        try {
            const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
            const [state, , pgrp] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
            if (Number(pgrp) === group && state !== "Z" && state !== "X") {
                found.push(`${pid} ${stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"))}`);
            }
        } catch {
            // It ended while we looked.
        }
    }
    return found;
}

/**
 * Ends what is left of a family: asks, waits, insists.
 * @param {number} group
 * @param {NodeJS.Signals} signal
 * @param {number} patience milliseconds
 */
export async function end(group, signal = "SIGTERM", patience = GRACE_MS) {
    kill(group, signal);
    for (const until = Date.now() + patience; family(group).length > 0; await sleep(50)) {
        if (Date.now() > until) kill(group, "SIGKILL");
    }
}

function kill(group, signal) {
    try {
        process.kill(-group, signal);
    } catch {
        // Nobody left.
    }
}

/**
 * Starts a process that is ended when we are.
 * @param {string} command
 * @param {string[]} args
 * @param {import("node:child_process").SpawnOptions} options
 */
export function start(command, args, options = {}) {
    if (isInterrupted()) throw new Problem("interrupted");
    const child = spawn(command, args, { ...options, detached: true });
    if (child.pid === undefined) return child;
    const release = hold((signal, again) => end(child.pid, again ? "SIGKILL" : signal));
    child.once("close", release);
    return child;
}

/**
 * Runs a process to its end.
 * @param {string} command
 * @param {string[]} args
 * @param {import("node:child_process").SpawnOptions & { show?: boolean }} options show: pass the output through
 * @returns {Promise<{ code: number, output: string }>} code 127 if there is no such command
 */
export function run(command, args, { show = false, ...options } = {}) {
    return new Promise((resolve, reject) => {
        // What is shown goes to stderr: stdout belongs to the caller (`npm pack --json`, `lab run -- COMMAND`).
        const stdio = show ? ["ignore", 2, 2] : ["ignore", "pipe", "pipe"];
        const child = start(command, args, { stdio, ...options });
        let output = "";
        for (const stream of [child.stdout, child.stderr]) {
            stream?.setEncoding("utf8").on("data", (text) => {
                output += text;
            });
        }
        child.once("error", (error) => (error.code === "ENOENT" ? resolve({ code: 127, output: "" }) : reject(error)));
        child.once("close", (code, signal) => {
            if (isInterrupted()) reject(new Problem("interrupted"));
            else resolve({ code: code ?? 128 + constants.signals[signal], output });
        });
    });
}
