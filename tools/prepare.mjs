/**
 * npm's `prepare`: after a plain `npm install` in the checkout the package is compiled and resolves itself. npm also
 * runs it before packing, and when another project links this directory; then it finds nothing to do. Quiet on stdout,
 * which is `npm pack --json`'s.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { build, compilable } from "./setup/build.mjs";
import { linkSelf } from "./setup/link.mjs";
import { root } from "./setup/places.mjs";
import { complain, Problem } from "./setup/problem.mjs";

try {
    if (compilable()) await build();
    else if (["pack", "publish"].includes(process.env.npm_command) && !existsSync(join(root, "dist"))) {
        throw new Problem("nothing to pack: run `npm ci` and `npm run build` first");
    }
    if (existsSync(join(root, "node_modules"))) linkSelf();
} catch (error) {
    complain(error);
    process.exitCode = 1;
}
