import { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { accelerator } from "./accelerator.mjs";
import { knownHosts } from "./environment.mjs";
import { isPortTaken, startGuest } from "./guest.mjs";
import { readHostsFile } from "./hosts-file.mjs";
import { ensureImage } from "./image.mjs";
import { makeKeys } from "./keys.mjs";
import { bootArchive } from "./plan.mjs";
import { say, secondsSince } from "./progress.mjs";
import { sshArguments } from "./remote.mjs";
import { newRunDirectory, newUpDirectory, sweep } from "./runtime.mjs";
import { requirePackages } from "./setup.mjs";

/**
 * The lab as a module: boot it, talk to its hosts, take it down.
 *
 * @typedef {{ code: number, stdout: string, stderr: string }} Result
 * @typedef {{
 *     file: string,
 *     environment: import("./environment.mjs").Environment,
 *     exec(host: string, argv: string[], options?: { input?: string | Buffer }): Promise<Result>,
 *     down(): Promise<void>,
 *     keep(): void,
 * }} Lab  file is what LVS_LAB names; keep() lets the lab outlive this process
 */

/**
 * @param {string} hostsFile
 * @param {{ up?: boolean, signal?: AbortSignal }} [options]
 *     up: in the directory where `lab exec` finds it without LVS_LAB; signal: gives the boot up
 * @returns {Promise<Lab>}
 */
export async function bootLab(hostsFile, { up = false, signal } = {}) {
    const topology = readHostsFile(hostsFile);
    const image = await ensureImage(signal);
    requirePackages();
    const chosen = await accelerator(image, signal);
    sweep();
    for (let attempt = 1; ; attempt++) {
        const directory = up ? newUpDirectory(hostsFile) : newRunDirectory();
        // Until the keeper has taken over the directory.
        const cleanUp = () => rmSync(directory, { recursive: true, force: true });
        process.once("exit", cleanUp);
        try {
            return await bootIn(directory, topology, image, chosen, signal);
        } catch (error) {
            cleanUp();
            if (!isPortTaken(error) || attempt === 3) throw error;
        } finally {
            process.off("exit", cleanUp);
        }
    }
}

/**
 * Boots, calls, takes down, whatever happens in between.
 * @template T @param {string} hostsFile @param {(lab: Lab) => Promise<T>} use @returns {Promise<T>}
 */
export async function withLab(hostsFile, use) {
    const lab = await bootLab(hostsFile);
    try {
        return await use(lab);
    } finally {
        await lab.down();
    }
}

/**
 * @param {string} directory @param {import("./hosts-file.mjs").Topology} topology
 * @param {import("./image.mjs").Image} image @param {import("./qemu.mjs").Accelerator} chosen
 * @param {AbortSignal} [signal] @returns {Promise<Lab>}
 */
async function bootIn(directory, topology, image, chosen, signal) {
    const start = performance.now();
    const names = topology.hosts.map(({ name }) => name);
    const hosts = `${names.length} ${names.length === 1 ? "host" : "hosts"}`;
    say(`booting ${hosts} (${chosen === "kvm" ? "KVM" : "emulated"}) …`);
    // A host name holds no underscore: the client's key can have no host's name.
    const keys = await makeKeys(directory, ["client_key", ...names]);
    const client = /** @type {import("./keys.mjs").KeyPair} */ (keys.get("client_key"));
    const privateKeyPath = join(directory, "id_ed25519");
    writeFileSync(privateKeyPath, client.private, { mode: 0o600 });
    const archive = bootArchive(topology, client.public, keys);
    const guest = await startGuest(directory, topology, image, chosen, archive, signal);
    /** @type {import("./environment.mjs").Environment} */
    const environment = { knownHosts: join(directory, "known_hosts"), hosts: {} };
    names.forEach((name, index) => {
        const hostKey = keys.get(name)?.public ?? "";
        environment.hosts[name] = {
            host: "127.0.0.1",
            port: guest.ports[index],
            user: "root",
            privateKeyPath,
            hostKey,
        };
    });
    writeFileSync(environment.knownHosts, knownHosts(environment));
    const file = join(directory, "lab.json");
    writeFileSync(file, `${JSON.stringify(environment, null, 4)}\n`);
    say(`${hosts} ready in ${secondsSince(start)}`);
    return {
        file,
        environment,
        exec: (host, argv, options) => exec(environment, host, argv, options),
        down: guest.end,
        keep: guest.keep,
    };
}

/**
 * @param {import("./environment.mjs").Environment} environment @param {string} host @param {string[]} argv
 * @param {{ input?: string | Buffer }} [options] @returns {Promise<Result>}
 */
export function exec(environment, host, argv, { input = "" } = {}) {
    return new Promise((resolve, reject) => {
        const child = spawn("ssh", sshArguments(environment, host, argv));
        const result = { code: 255, stdout: "", stderr: "" };
        child.stdout.setEncoding("utf8").on("data", (chunk) => {
            result.stdout += chunk;
        });
        child.stderr.setEncoding("utf8").on("data", (chunk) => {
            result.stderr += chunk;
        });
        child.stdin.on("error", () => {});
        child.stdin.end(input);
        child.on("error", reject);
        child.on("close", (code) => resolve({ ...result, code: code ?? 255 }));
    });
}
