/** From jest's report to two numbers, and to the things that must not pass in silence. */
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { root } from "../setup/places.mjs";

/**
 * @typedef {object} Tally
 * @property {number} passed
 * @property {number} failed
 * @property {string[]} complaints each of them counted in failed
 * @property {string[]} files the test files that were run
 * @property {{ file: string, passed: number, failed: number, complaints: string[], said: string }[]} broken what each failed file came to
 */

/**
 * @param {string} name the jest project
 * @param {any} report what `jest --json` wrote, or undefined if it wrote nothing
 * @param {{ code: number, whole: boolean }} run whole: nothing was left out on purpose
 * @returns {Tally}
 */
export function tally(name, report, { code, whole }) {
    /** @type {Tally} */
    const sum = { passed: 0, failed: 0, complaints: [], files: [], broken: [] };
    const complain = (text) => {
        sum.complaints.push(`${name}: ${text}`);
        sum.failed++;
    };
    for (const suite of report?.testResults ?? []) {
        const file = relative(root, suite.name);
        const before = { passed: sum.passed, failed: sum.failed, complaints: sum.complaints.length };
        const count = (...statuses) => suite.assertionResults.filter((test) => statuses.includes(test.status)).length;
        sum.files.push(file);
        sum.passed += count("passed");
        sum.failed += count("failed");
        // It did not load, or it failed outside its tests, as in afterAll.
        if (suite.status === "failed" && count("failed") === 0) complain(`${file} failed outside its tests`);
        const skipped = suite.assertionResults.filter((test) => !["passed", "failed"].includes(test.status));
        for (const test of whole ? skipped : []) complain(`${test.status}: ${file}: ${test.fullName}`);
        if (sum.failed === before.failed) continue;
        sum.broken.push({
            file,
            passed: sum.passed - before.passed,
            failed: sum.failed - before.failed,
            complaints: sum.complaints.slice(before.complaints),
            said: suite.message,
        });
    }
    if (whole && sum.passed + sum.failed === 0) complain(report ? "no test was run" : "jest gave no report");
    if (code !== 0 && sum.failed === 0) complain(`jest ended with status ${code}, though no test failed`);
    return sum;
}

/**
 * A run in which the broken files were run once more: what they came to then counts in the place of the first time.
 * @param {Tally} first @param {Tally} second @returns {Tally}
 */
export function runAgain(first, second) {
    const taken = { passed: 0, failed: 0, complaints: /** @type {string[]} */ ([]) };
    for (const { passed, failed, complaints } of first.broken) {
        taken.passed += passed;
        taken.failed += failed;
        taken.complaints.push(...complaints);
    }
    return {
        passed: first.passed - taken.passed + second.passed,
        failed: first.failed - taken.failed + second.failed,
        complaints: [...first.complaints.filter((each) => !taken.complaints.includes(each)), ...second.complaints],
        files: first.files,
        broken: second.broken,
    };
}

/**
 * Test files that no project picked up, by a wrong place or name.
 * @param {string[]} run the files that were run
 * @param {string[]} others the projects that were not asked for
 * @param {boolean} exhaustive whether those that are for the exhaustive run alone were asked for
 */
export function forgotten(run, others, exhaustive) {
    return readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
        .filter((file) => /\.(test|spec)\.[cm]?[jt]sx?$/.test(file) && !file.includes("node_modules/"))
        .filter((file) => exhaustive || !file.endsWith(".exhaustive.test.ts"))
        .map((file) => join("test", file))
        .filter((file) => !run.includes(file) && !others.some((name) => file.startsWith(join("test", name, "/"))));
}
