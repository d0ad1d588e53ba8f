import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LabError } from "./failure.mjs";
import { freePorts } from "./ports.mjs";
import { pause } from "./process.mjs";
import { labArguments, machineArguments, QEMU } from "./qemu.mjs";

/**
 * One running emulator, with its keeper (keeper.sh) between it and us: whatever happens to this process, the keeper
 * ends the guest and removes its directory.
 *
 * @typedef {{ ports: number[], keep(): void, end(): Promise<void> }} Guest
 */

const KEEPER = fileURLToPath(new URL("keeper.sh", import.meta.url));

/** Emulated, on a busy machine with a hundred hosts, a boot may take its time. */
const PATIENCE_SECONDS = 300;

/** Somebody took one of the ports between our choice and the emulator's. */
const PORT_TAKEN = /host forwarding rule/;

/**
 * Starts the guest and waits until every host answers on its port.
 * @param {string} directory @param {import("./hosts-file.mjs").Topology} topology
 * @param {import("./image.mjs").Image} image @param {import("./qemu.mjs").Accelerator} accelerator
 * @param {Buffer} bootArchive @param {AbortSignal} [signal] @returns {Promise<Guest>}
 */
export async function startGuest(directory, topology, image, accelerator, bootArchive, signal) {
    const initrd = join(directory, "initrd");
    writeFileSync(initrd, Buffer.concat([readFileSync(image.initrd), bootArchive]));
    const consoleFile = join(directory, "console.log");
    const ports = await freePorts(topology.hosts.length);
    const machine = machineArguments(accelerator, { kernel: image.kernel, initrd, console: consoleFile });
    signal?.throwIfAborted();
    const lab = labArguments(topology, ports, image.root);
    return launch(directory, [QEMU, ...machine, ...lab], consoleFile, topology, ports, signal);
}

/**
 * @param {string} directory @param {string[]} command @param {string} consoleFile
 * @param {import("./hosts-file.mjs").Topology} topology @param {number[]} ports @param {AbortSignal} [signal]
 * @returns {Promise<Guest>}
 */
async function launch(directory, command, consoleFile, topology, ports, signal) {
    // Opened now, read at the end: the keeper removes the files with the guest, and then they tell why it ended.
    const log = openSync(join(directory, "qemu.log"), "w+");
    const output = openSync(consoleFile, "w+");
    try {
        const keeper = spawn("sh", [KEEPER, directory, ...command], { stdio: ["pipe", log, log], detached: true });
        const stdin = /** @type {import("node:net").Socket} */ (keeper.stdin);
        stdin.on("error", () => {});
        let over = false;
        const ended = new Promise((resolve) => keeper.once("exit", resolve).once("error", resolve)).then(() => {
            over = true;
        });
        // A running guest is no reason for this process to stay.
        keeper.unref();
        stdin.unref();
        const end = async () => {
            keeper.ref();
            stdin.destroy();
            await ended;
        };
        const names = topology.hosts.map(({ name }) => name);
        const deadline = performance.now() + PATIENCE_SECONDS * 1000;
        for (;;) {
            const text = readAll(output);
            const progress = readiness(text, names);
            if (progress === "ready") return { ports, keep: () => void stdin.end("stay\n"), end };
            if (over) throw new LabError(`the guest ended while booting\n${tail(readAll(log))}\n${tail(text)}`);
            if (progress.failure || signal?.aborted || performance.now() > deadline) {
                await end();
                throw new LabError(`${progress.failure ?? `not ready: ${progress.missing.join(", ")}`}\n${tail(text)}`);
            }
            await pause(50);
        }
    } finally {
        closeSync(log);
        closeSync(output);
    }
}

/**
 * What the guest's scripts have said on the console so far.
 * @param {string} console @param {string[]} names
 * @returns {"ready" | { failure?: string, missing: string[] }}
 */
function readiness(console, names) {
    const said = console.split(/\r?\n/).flatMap((line) => /@lab (.*)$/.exec(line)?.[1] ?? []);
    const failure = said.find((line) => line.startsWith("failed: "));
    if (said.includes("up") && !failure) return "ready";
    return { failure, missing: names.filter((name) => !said.includes(`ready ${name}`)) };
}

/** @param {unknown} error */
export function isPortTaken(error) {
    return error instanceof LabError && PORT_TAKEN.test(error.message);
}

/** @param {number} descriptor read from the start, wherever the writer is */
function readAll(descriptor) {
    return readFileSync(`/proc/self/fd/${descriptor}`, "utf8");
}

/** @param {string} text */
function tail(text) {
    return text.trim().split("\n").slice(-15).join("\n");
}
