/** One jest project, run to its end, with nothing left behind. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { end, family, start } from "../setup/children.mjs";
import { root } from "../setup/places.mjs";
import { afterwards } from "../setup/signals.mjs";
import { tally } from "./results.mjs";

/** After its report jest has nothing more to do; a test that leaves a socket open keeps it for ever. */
const EXIT_MS = 20_000;
/** Processes that were told to go as the tests ended may take this long. */
const LEFTOVER_MS = 10_000;

/**
 * @param {import("./stages.mjs").Stage} stage
 * @param {string[]} selection further arguments of jest
 * @param {NodeJS.ProcessEnv} env
 */
export async function runJest(stage, selection, env) {
    const dir = mkdtempSync(join(tmpdir(), "pulumi-lvs-jest-"));
    const outputFile = join(dir, "report.json");
    const args = ["--selectProjects", stage.name, "--ci", "--json", "--outputFile", outputFile, ...stage.jest];
    if (selection.length > 0) args.push("--passWithNoTests"); // It may lie in another project.
    const program = join(root, "node_modules", "jest", "bin", "jest.js");
    return afterwards(
        () => rmSync(dir, { recursive: true, force: true }),
        async () => {
            // jest prints for people on stderr: brought together, so that a log has one order.
            const child = start(process.execPath, [program, ...args, ...selection], {
                cwd: root,
                env,
                stdio: ["ignore", process.stdout, process.stdout],
            });
            const { code, hung } = await ended(child, outputFile);
            const report = existsSync(outputFile) ? JSON.parse(readFileSync(outputFile, "utf8")) : undefined;
            const sum = tally(stage.name, report, { code, whole: selection.length === 0 });
            const complain = (text) => {
                sum.complaints.push(`${stage.name}: ${text}`);
                sum.failed++;
            };
            if (hung) complain("the tests left something open, and jest did not end");
            const left = await leftovers(child.pid);
            if (left.length > 0) complain(`the tests left processes behind: ${left.join(", ")}`);
            return sum;
        },
    );
}

/** Waits for jest; ends it if it has reported and stays. */
async function ended(child, outputFile) {
    const exit = new Promise((resolve, reject) => {
        child.once("exit", (code) => resolve(code ?? 1));
        child.once("error", reject);
    });
    let reported = 0;
    let hung = false;
    const timer = setInterval(() => {
        if (!reported && existsSync(outputFile)) reported = Date.now();
        if (reported && !hung && Date.now() - reported > EXIT_MS) {
            hung = true;
            void end(child.pid);
        }
    }, 500);
    const code = await exit;
    clearInterval(timer);
    return { code: hung ? 0 : code, hung };
}

async function leftovers(group) {
    for (const until = Date.now() + LEFTOVER_MS; family(group).length > 0 && Date.now() < until; ) await sleep(100);
    const left = family(group);
    if (left.length > 0) await end(group);
    return left;
}
