/** One hash over files and trees: names and contents. Times are no evidence (a checkout rewrites them). */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";

/**
 * @param {string} base
 * @param {string[]} names files and directories under base; one that does not exist counts as empty
 */
export function stamp(base, names) {
    const hash = createHash("sha256");
    for (const file of names.flatMap((name) => files(join(base, name))).sort()) {
        const content = readFileSync(file);
        hash.update(`${relative(base, file)}\0${content.length}\0`).update(content);
    }
    return hash.digest("hex");
}

function files(path) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) return [];
    return stat.isDirectory() ? readdirSync(path).flatMap((name) => files(join(path, name))) : [path];
}
