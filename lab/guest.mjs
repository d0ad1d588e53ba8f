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
 * @param {Buffer} bootArchive @returns {Promise<Guest>}
 */
export async function startGuest(directory, topology, image, accelerator, bootArchive) {
    const initrd = join(directory, "initrd");
    writeFileSync(initrd, Buffer.concat([readFileSync(image.initrd), bootArchive]));
    const consoleFile = join(directory, "console.log");
    const ports = await freePorts(topology.hosts.length);
    const machine = machineArguments(accelerator, { kernel: image.kernel, initrd, console: consoleFile });
    return launch(directory, [QEMU, ...machine, ...labArguments(topology, ports, image.root)], consoleFile, topology, ports);
}

/**
 * @param {string} directory @param {string[]} command @param {string} consoleFile
 * @param {import("./hosts-file.mjs").Topology} topology @param {number[]} ports @returns {Promise<Guest>}
 */
async function launch(directory, command, consoleFile, topology, ports) {
    // Opened now, read at the end: the keeper removes the files with the guest, and then they tell why it ended.
    const log = openSync(join(directory, "qemu.log"), "w+");
    const output = openSync(consoleFile, "w+");
    try {
        const keeper = spawn("sh", [KEEPER, directory, ...command], { stdio: ["pipe", log, log], detached: true });
        const ended = new Promise((resolve) => keeper.once("exit", resolve).once("error", resolve));
        const state = { over: false };
        void ended.then(() => {
            state.over = true;
        });
        const stdin = /** @type {import("node:stream").Writable} */ (keeper.stdin);
        stdin.on("error", () => {});
        keeper.unref();
        const end = async () => {
            keeper.ref();
            stdin.destroy();
            await ended;
        };
        await allReady(topology, () => readAll(output), () => state.over, () => readAll(log), end);
        return {
            ports,
            keep: () => void stdin.end("stay\n"),
            end,
        };
    } finally {
        closeSync(log);
        closeSync(output);
    }
}

/**
 * @param {import("./hosts-file.mjs").Topology} topology @param {() => string} console @param {() => boolean} over
 * @param {() => string} log @param {() => Promise<void>} end
 */
async function allReady(topology, console, over, log, end) {
    const deadline = performance.now() + PATIENCE_SECONDS * 1000;
    for (;;) {
        const text = console();
        const trouble = /^.*@lab failed: .*$/m.exec(text)?.[0];
        const missing = topology.hosts.map(({ name }) => name).filter((name) => !new RegExp(`@lab ready ${name}\\r?$`, "m").test(text));
        if (missing.length === 0 && !trouble && (text.includes("@lab up"))) return;
        if (over()) throw new LabError(`the guest ended while booting\n${tail(log())}\n${tail(console())}`);
        if (trouble || performance.now() > deadline) {
            await end();
            throw new LabError(trouble ? `${trouble}\n${tail(text)}` : `not ready: ${missing.join(", ")}\n${tail(text)}`);
        }
        await pause(50);
    }
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
