import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
    chmodSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    renameSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { archive, directory, file } from "./cpio.mjs";
import { debianSources } from "./debian-sources.mjs";
import { LabError } from "./failure.mjs";
import { packages } from "./packages.mjs";
import { run } from "./process.mjs";
import { say, secondsSince } from "./progress.mjs";
import { requirePackages } from "./setup.mjs";

/**
 * The guest's kernel, initrd and root file system, made once from the machine's own Debian sources and kept in the
 * user's cache. Never written by a lab.
 *
 * @typedef {{ kernel: string, initrd: string, root: string, directory: string }} Image
 */

const HOOK = fileURLToPath(new URL("guest/image-hook.sh", import.meta.url));

/** Goes up when what this file does to an image changes. */
const RECIPE = 1;

/** Kept out of the root: an initrd that is not ours to boot, and what nobody reads on a lab host. */
const LEFT_OUT = [
    "/etc/kernel/postinst.d/initramfs-tools",
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
];

/** The cached image; built first, by root, where there is none. @param {AbortSignal} [signal] @returns {Promise<Image>} */
export async function ensureImage(signal) {
    const image = imageAt(join(cacheDirectory(), `lab-${recipeHash()}`));
    if (existsSync(image.directory)) return image;
    requirePackages();
    if (process.getuid?.() !== 0) {
        throw new LabError(
            `no lab image at ${image.directory}, and building one takes root, once: run \`npm run lab -- setup\` as root` +
                " with XDG_CACHE_HOME set to a directory that both can read",
        );
    }
    mkdirSync(dirname(image.directory), { recursive: true });
    const unlock = await lock(`${image.directory}.lock`);
    try {
        if (!existsSync(image.directory)) await build(image.directory, signal);
    } finally {
        unlock();
    }
    return image;
}

/** Where images and what was learnt about this machine are kept. */
export function cacheDirectory() {
    return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "pulumi-lvs");
}

/** @param {string} at @returns {Image} */
function imageAt(at) {
    return { directory: at, kernel: join(at, "vmlinuz"), initrd: join(at, "initrd.cpio"), root: join(at, "root.ext4") };
}

function recipeHash() {
    const hash = createHash("sha256").update(JSON.stringify([RECIPE, LEFT_OUT, packages("guest")]));
    return hash.update(readFileSync(HOOK)).digest("hex").slice(0, 12);
}

/** Builds beside the final place and renames: an interrupted build leaves nothing that looks finished. @param {string} target @param {AbortSignal} [signal] */
async function build(target, signal) {
    const start = performance.now();
    say("building the image from the machine's Debian sources (once, about a minute) …");
    for (const name of readdirSync(dirname(target))) {
        if (name.startsWith(`${basename(target)}.building-`)) rmSync(join(dirname(target), name), { recursive: true });
    }
    const work = mkdtempSync(`${target}.building-`);
    const cleanUp = () => rmSync(work, { recursive: true, force: true });
    process.once("exit", cleanUp);
    try {
        const { codename, lines } = debianSources();
        writeFileSync(join(work, "sources.list"), `${lines.join("\n")}\n`);
        writeFileSync(join(work, "apt.conf"), await aptSettings());
        const result = await run(
            "mmdebstrap",
            [
                "--variant=minbase",
                "--format=null",
                `--include=${packages("guest").join(",")}`,
                `--aptopt=${join(work, "apt.conf")}`,
                ...LEFT_OUT.map((path) => `--dpkgopt=path-exclude=${path}`),
                `--customize-hook=sh ${quoted(HOOK)} "$1" ${quoted(work)}`,
                codename,
                "/dev/null",
                join(work, "sources.list"),
            ],
            { signal },
        );
        signal?.throwIfAborted();
        if (result.code !== 0) {
            throw new LabError(
                `mmdebstrap failed (${result.code ?? result.signal}):\n${result.stderr.split("\n").slice(-25).join("\n")}`,
            );
        }
        writeFileSync(join(work, "initrd.cpio"), initrd(join(work, "initrd")));
        for (const name of ["initrd", "sources.list", "apt.conf"]) rmSync(join(work, name), { recursive: true });
        chmodSync(work, 0o755);
        for (const name of readdirSync(work)) chmodSync(join(work, name), 0o644);
        renameSync(work, target);
    } finally {
        process.off("exit", cleanUp);
        cleanUp();
    }
    say(`image built in ${secondsSince(start)}`);
}

/** How the machine reaches its sources (proxies, snapshots whose Release has expired), and nothing else of its setup. */
async function aptSettings() {
    const { stdout } = await run("apt-config", ["dump"]);
    const wanted = /^Acquire::(https?|ftp|Check-Valid-Until|Check-Date|Retries|ForceIPv4|ForceIPv6)\b/i;
    return `${stdout
        .split("\n")
        .filter((line) => wanted.test(line))
        .join("\n")}\n`;
}

/** The part of the initrd that no boot changes: busybox and the modules. @param {string} tree */
function initrd(tree) {
    const modules = readdirSync(join(tree, "modules"));
    return archive([
        directory("dev"),
        file("bin/busybox", readFileSync(join(tree, "bin/busybox")), 0o755),
        ...modules.map((name) => file(`modules/${name}`, readFileSync(join(tree, "modules", name)))),
    ]);
}

/** @param {string} text */
function quoted(text) {
    return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * An exclusive lock, held by a process that ends when this one does, however it does.
 * @param {string} path @returns {Promise<() => void>} gives it back
 */
function lock(path) {
    return new Promise((resolve, reject) => {
        const holder = spawn("flock", ["--exclusive", path, "sh", "-c", "echo held; exec cat"], {
            stdio: ["pipe", "pipe", "inherit"],
        });
        holder.on("error", reject);
        holder.on("exit", () => reject(new LabError(`cannot lock ${path}`)));
        holder.stdout.once("data", () => resolve(() => void holder.stdin.end()));
    });
}
