import { homedir } from "node:os";
import { join } from "node:path";

/** A path with a leading `~` meaning the home directory of whoever runs this process. */
export function expandHome(path: string): string {
    return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}
