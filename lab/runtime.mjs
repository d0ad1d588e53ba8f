import { createHash, randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Where running labs keep their keys and sockets: one private directory each, of this user and this checkout, which
 * its keeper removes with the guest.
 */

const CHECKOUT = dirname(dirname(fileURLToPath(import.meta.url)));

/** @returns {string} a directory that no other lab has */
export function newRunDirectory() {
    return create(`${prefix()}run-${randomBytes(6).toString("hex")}`);
}

/** The directory of the lab that `lab up` keeps for this file; may not exist. @param {string} hostsFile */
export function upDirectory(hostsFile) {
    return join(base(), `${prefix()}up-${short(resolve(hostsFile))}`);
}

/** @param {string} hostsFile @returns {string} */
export function newUpDirectory(hostsFile) {
    return create(`${prefix()}up-${short(resolve(hostsFile))}`);
}

/** The directories of this checkout's labs that `lab up` keeps. @returns {string[]} */
export function upDirectories() {
    return owned(`${prefix()}up-`).filter(alive);
}

/** Removes what labs left that were killed together with their keepers. */
export function sweep() {
    for (const directory of owned(prefix())) {
        if (!alive(directory) && age(directory) > 60_000) rmSync(directory, { recursive: true, force: true });
    }
}

/** The guest's process, if it runs. @param {string} directory @returns {number | undefined} */
export function guestProcess(directory) {
    try {
        const pid = Number(readFileSync(join(directory, "guest.pid"), "utf8"));
        // The number may be somebody else's by now: the command line names the directory.
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(directory) ? pid : undefined;
    } catch {
        return undefined;
    }
}

/** @param {string} directory */
function alive(directory) {
    return guestProcess(directory) !== undefined;
}

/** @param {string} directory milliseconds; a lab that is just booting has no process yet */
function age(directory) {
    try {
        return Date.now() - lstatSync(directory).mtimeMs;
    } catch {
        return 0;
    }
}

function base() {
    return process.env.XDG_RUNTIME_DIR || tmpdir();
}

function prefix() {
    return `pulumi-lvs-lab-${process.getuid?.()}-${short(CHECKOUT)}-`;
}

/** @param {string} start @returns {string[]} only what is really this user's: others can write to /tmp, too */
function owned(start) {
    return readdirSync(base())
        .filter((name) => name.startsWith(start))
        .map((name) => join(base(), name))
        .filter((path) => {
            const stat = lstatSync(path, { throwIfNoEntry: false });
            return stat?.isDirectory() && stat.uid === process.getuid?.();
        });
}

/** @param {string} name */
function create(name) {
    const path = join(base(), name);
    mkdirSync(path, { mode: 0o700 });
    return path;
}

/** @param {string} text */
function short(text) {
    return createHash("sha256").update(text).digest("hex").slice(0, 10);
}
