import { createHash } from "node:crypto";
import { accessSync, constants, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { LabError } from "./failure.mjs";
import { cacheDirectory } from "./image.mjs";
import { probeArchive } from "./plan.mjs";
import { run } from "./process.mjs";
import { say } from "./progress.mjs";
import { machineArguments, QEMU } from "./qemu.mjs";

/** @typedef {import("./qemu.mjs").Accelerator} Accelerator */

/** A stock kernel says hello in one second under KVM. A /dev/kvm that takes longer is slower than emulation. */
const PATIENCE_SECONDS = 8;

/**
 * KVM where it really starts a stock kernel, else emulation. That /dev/kvm can be opened proves nothing: on nested
 * machines the guest may hang. So it is tried, once for each state of the machine.
 * @param {import("./image.mjs").Image} image @param {AbortSignal} [signal] @returns {Promise<Accelerator>}
 */
export async function accelerator(image, signal) {
    const asked = process.env.LVS_LAB_ACCELERATOR;
    if (asked === "kvm" || asked === "tcg") return asked;
    if (asked) throw new LabError(`LVS_LAB_ACCELERATOR must be kvm or tcg, is ${asked}`);
    try {
        accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
    } catch {
        return "tcg";
    }
    const remembered = join(cacheDirectory(), `accelerator-${machineState(image)}`);
    try {
        return /** @type {Accelerator} */ (readFileSync(remembered, "utf8").trim());
    } catch {
        const found = (await kvmStarts(image, signal)) ? "kvm" : "tcg";
        say(found === "kvm" ? "using KVM" : "KVM does not start a stock kernel here; emulating (remembered)");
        remember(remembered, found);
        return found;
    }
}

/** @param {import("./image.mjs").Image} image @param {AbortSignal} [signal] */
async function kvmStarts(image, signal) {
    const scratch = mkdtempSync(join(tmpdir(), "pulumi-lvs-kvm-"));
    const cleanUp = () => rmSync(scratch, { recursive: true, force: true });
    process.once("exit", cleanUp);
    try {
        const initrd = join(scratch, "initrd");
        const output = join(scratch, "console");
        writeFileSync(initrd, Buffer.concat([readFileSync(image.initrd), probeArchive()]));
        const qemu = [
            QEMU,
            ...machineArguments("kvm", { kernel: image.kernel, initrd, console: output }),
            "-m",
            "256",
            "-no-reboot",
        ];
        await run("timeout", ["--signal=KILL", String(PATIENCE_SECONDS), ...qemu], { signal });
        signal?.throwIfAborted();
        return readFileSync(output, "utf8").includes("@lab probe ok");
    } finally {
        process.off("exit", cleanUp);
        cleanUp();
    }
}

/** Changes with whatever could change the answer. @param {import("./image.mjs").Image} image */
function machineState(image) {
    const parts = [image.directory, release(), cpus()[0]?.model, process.getuid?.(), bootId()];
    return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);
}

function bootId() {
    try {
        return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    } catch {
        return "";
    }
}

/** @param {string} path @param {string} value */
function remember(path, value) {
    try {
        mkdirSync(cacheDirectory(), { recursive: true });
        writeFileSync(path, `${value}\n`);
    } catch {
        // A cache that is only readable: ask again next time.
    }
}
