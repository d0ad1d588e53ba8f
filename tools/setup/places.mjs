/** Where things are: the checkout, and the cache that all checkouts of a user share. */
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout that this file belongs to, whatever the working directory. */
export const root = resolve(fileURLToPath(import.meta.url), "../../..");

/** A short name of the checkout, for locks in the shared cache. */
export const checkout = createHash("sha256").update(root).digest("hex").slice(0, 12);

/** What survives a fresh clone: the Pulumi CLI, locks. */
export const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "pulumi-lvs");

/** What belongs to this checkout alone. Gone with node_modules, as it should be. */
export const local = join(root, "node_modules", ".cache", "pulumi-lvs");
