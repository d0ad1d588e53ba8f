/** dist/: the package as it is published, compiled when the sources have changed. */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./children.mjs";
import { unless } from "./lock.mjs";
import { checkout, local, root } from "./places.mjs";
import { Problem } from "./problem.mjs";
import { step } from "./progress.mjs";
import { afterwards } from "./signals.mjs";
import { stamp } from "./stamp.mjs";

const SOURCES = ["sdk", "provider", "cli", "package.json", "package-lock.json", "tsconfig.json", "tsconfig.build.json"];
const COMPILER = join(root, "node_modules", "typescript", "bin", "tsc");
const RECORD = join(local, "build");

/** Sources and output both: a dist/ that was edited, half removed or built from other sources is built again. */
const state = () => `${stamp(root, SOURCES)} ${stamp(root, ["dist"])}\n`;

function outdated() {
    return !existsSync(join(root, "dist")) || !existsSync(RECORD) || readFileSync(RECORD, "utf8") !== state();
}

export async function build() {
    await unless(`build-${checkout}`, outdated, () => step("compiling the package", compile));
}

/** Can it be compiled here at all? Not where only the production packages are installed. */
export const compilable = () => existsSync(COMPILER);

/**
 * Compiles beside dist/ and swaps: a program that runs meanwhile never loads half of one version, and what was removed
 * from the sources is gone from dist/ too.
 */
async function compile() {
    const [dist, fresh, old] = ["dist", `dist.${process.pid}.new`, `dist.${process.pid}.old`].map((n) => join(root, n));
    const clean = () => {
        if (!existsSync(dist) && existsSync(old)) renameSync(old, dist);
        for (const dir of [fresh, old]) rmSync(dir, { recursive: true, force: true });
    };
    await afterwards(clean, async () => {
        const args = ["-p", "tsconfig.build.json", "--outDir", fresh, "--incremental", "false", "--tsBuildInfoFile"];
        const { code, output } = await run(process.execPath, [COMPILER, ...args, "null"], { cwd: root });
        if (code !== 0) throw new Problem(`the package does not compile:\n${output}`);
        makeExecutable(fresh);
        if (existsSync(dist)) renameSync(dist, old);
        renameSync(fresh, dist);
        mkdirSync(local, { recursive: true });
        writeFileSync(RECORD, state());
    });
}

/** The commands of package.json's "bin", as npm makes them where it installs the package. */
function makeExecutable(dist) {
    for (const file of Object.values(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).bin ?? {})) {
        const program = join(dist, file.replace(/^(\.\/)?dist\//, ""));
        if (existsSync(program)) chmodSync(program, 0o755);
    }
}
