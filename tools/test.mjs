#!/usr/bin/env node
import { run } from "./setup/children.mjs";
import { withoutNpm } from "./setup/npm.mjs";
import { root } from "./setup/places.mjs";
import { complain } from "./setup/problem.mjs";
/**
 * `npm test`: makes the machine ready, checks, and runs every kind of test. Its last line is `N passed, N failed`.
 * See suite/arguments.mjs for what may follow `npm test --`.
 */
import { ensure, pulumiEnv } from "./setup.mjs";
import { parse } from "./suite/arguments.mjs";
import { runJest } from "./suite/jest.mjs";
import { forgotten, runAgain } from "./suite/results.mjs";
import { needs, STAGES } from "./suite/stages.mjs";

const { stages, exhaustive, selection } = parse(process.argv.slice(2));
const say = (line) => process.stdout.write(`${line}\n`);
const total = { passed: 0, failed: 0, complaints: /** @type {string[]} */ ([]), files: /** @type {string[]} */ ([]) };
const table = /** @type {string[]} */ ([]);

/** A check is one test: it passes or fails as a whole. */
async function runCheck({ name, command: [program, ...args] }, env) {
    const { code, output } = await run(program, args, { cwd: root, env });
    if (code === 0) return { passed: 1, failed: 0, complaints: [], files: [] };
    say(output);
    return { passed: 0, failed: 1, complaints: [`${name} ended with status ${code}`], files: [] };
}

async function runTests(stage, env) {
    const sum = await runJest(stage, selection, env);
    const { again } = stage;
    const broken = sum.broken.filter(({ said }) => again?.where.test(said));
    if (selection.length > 0 || broken.length === 0) return sum;
    const files = broken.map(({ file }) => file);
    say(`\nonce more, because they failed, and ${again.why}: ${files.join(", ")}`);
    table.push(`           failed the first time: ${files.join(", ")}`);
    return runAgain({ ...sum, broken }, await runJest(stage, files, env));
}

async function runStage(stage, env) {
    const since = Date.now();
    say(`\n── ${stage.name}`);
    const sum = stage.jest ? await runTests(stage, env) : await runCheck(stage, env);
    total.passed += sum.passed;
    total.failed += sum.failed;
    total.complaints.push(...sum.complaints);
    total.files.push(...sum.files);
    const seconds = ((Date.now() - since) / 1000).toFixed(1);
    table.push(`${stage.name.padEnd(10)}${seconds.padStart(8)} s   ${sum.passed} passed, ${sum.failed} failed`);
}

/** Every test file must have been run by somebody: one in a wrong directory would else never fail. */
function checkFiles() {
    if (selection.length > 0) return;
    const others = STAGES.filter((stage) => stage.jest && !stages.includes(stage)).map((stage) => stage.name);
    for (const file of forgotten(total.files, others, exhaustive)) {
        total.complaints.push(`no project has run ${file}`);
        total.failed++;
    }
}

try {
    const wanted = needs(stages);
    await ensure(wanted);
    const env = {
        ...withoutNpm(),
        ...(wanted.pulumi ? pulumiEnv() : {}),
        ...(exhaustive ? { LVS_EXHAUSTIVE: "1" } : {}),
    };
    for (const stage of stages) await runStage(stage, env);
    checkFiles();
} catch (error) {
    complain(error);
    total.failed++;
    total.complaints.push("the run did not come to its end");
}
say(`\n${table.join("\n")}`);
for (const complaint of total.complaints) say(`! ${complaint}`);
say(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
