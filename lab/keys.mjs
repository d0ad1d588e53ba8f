import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { LabError } from "./failure.mjs";
import { run } from "./process.mjs";

/**
 * SSH keys, made outside: the guest's emulated processor has better things to do, and so the host keys are known
 * before the first connection.
 *
 * @typedef {{ private: string, public: string }} KeyPair  public is "ssh-ed25519 AAAA…", without a comment
 */

/** @param {string} directory a private one @param {string[]} names @returns {Promise<Map<string, KeyPair>>} */
export async function makeKeys(directory, names) {
    const scratch = mkdtempSync(join(directory, "keys-"));
    try {
        const pairs = await Promise.all(names.map((name) => makeKey(join(scratch, name))));
        return new Map(pairs.map((pair, at) => [names[at], pair]));
    } finally {
        rmSync(scratch, { recursive: true });
    }
}

/** @param {string} path @returns {Promise<KeyPair>} */
async function makeKey(path) {
    const result = await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path]);
    if (result.code !== 0) throw new LabError(`ssh-keygen failed: ${result.stderr}`);
    return { private: readFileSync(path, "utf8"), public: readFileSync(`${path}.pub`, "utf8").trim() };
}
