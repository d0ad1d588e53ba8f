/** Where a command is, as a shell would find it; and in the system directories that a user's PATH may leave out. */
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * @param {string} name
 * @param {string[]} more directories to search after PATH
 * @returns {string | undefined}
 */
export function which(name, more = ["/usr/sbin", "/sbin"]) {
    for (const dir of [...(process.env.PATH ?? "").split(delimiter), ...more]) {
        const path = join(dir, name);
        try {
            accessSync(path, constants.X_OK);
            if (dir && statSync(path).isFile()) return path;
        } catch {
            // Not here.
        }
    }
    return undefined;
}

/** The directory in which a command really lives, links followed. */
export function home(path) {
    return join(realpathSync(path), "..");
}
