#!/usr/bin/env node
/**
 * Makes this machine ready for demo and tests: `node tools/setup.mjs`, or `ensure` from a program. Does only what is
 * missing, so it costs nothing the second time; safe to run twice at once.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./setup/build.mjs";
import { run } from "./setup/children.mjs";
import { debianPackages } from "./setup/debian.mjs";
import { linkSelf } from "./setup/link.mjs";
import { npmPackages, withoutNpm } from "./setup/npm.mjs";
import { root } from "./setup/places.mjs";
import { complain, Problem } from "./setup/problem.mjs";
import { pulumiCli } from "./setup/pulumi.mjs";

export { pulumiEnv } from "./setup/pulumi.mjs";

/** The oldest Node that package.json's "engines" allows. */
const OLDEST_NODE = 20;

/**
 * What to have ready. npm packages, the compiled package and its link are always made ready.
 * @typedef {object} Wanted
 * @property {boolean} [tests] the programs that tests start: sshd, shells
 * @property {boolean} [lab] the lab's programs and its image
 * @property {boolean} [pulumi] a Pulumi CLI
 */

/** @param {Wanted} wanted */
export async function ensure({ tests = false, lab = false, pulumi = false } = {}) {
    if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE) {
        throw new Problem(`Node ${OLDEST_NODE} or newer is needed; this is ${process.versions.node}`);
    }
    if (tests) await debianPackages();
    await npmPackages();
    await build();
    linkSelf();
    if (pulumi) await pulumiCli();
    if (lab) await labSetup();
}

/** The lab knows itself what it needs. */
async function labSetup() {
    const program = join(root, "lab", "bin.mjs");
    if (!existsSync(program)) throw new Problem("this checkout has no lab/bin.mjs");
    const { code } = await run(process.execPath, [program, "setup"], { show: true, env: withoutNpm() });
    if (code !== 0) throw new Problem(`the lab's set-up failed (status ${code}), see above`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    try {
        await ensure({ tests: true, lab: true, pulumi: true });
    } catch (error) {
        complain(error);
        process.exitCode = 1;
    }
}
