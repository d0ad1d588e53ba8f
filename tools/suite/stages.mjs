/** The parts of a test run, in order: what each needs on the machine, and what it runs. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { root } from "../setup/places.mjs";

const bin = (name) => join(root, "node_modules", ".bin", name);
/** Tests that mostly wait for processes: at least two workers, even on two cores. */
const PARALLEL = `--maxWorkers=${Math.max(2, availableParallelism() - 1)}`;
/** Tests with a lab, which keeps the cores busy, or that measure time. */
const SERIAL = "--runInBand";

/**
 * @typedef {object} Stage
 * @property {string} name
 * @property {import("../setup.mjs").Wanted} [needs]
 * @property {string[]} [command] a check, passed or failed as a whole
 * @property {string[]} [jest] a jest project of this name, and its arguments
 * @property {{ why: string, where: RegExp }} [again] why a file that fails is run once more, if its failures say so; both
 *     times are told
 */

const EMULATED = {
    why: "an emulated machine has the clock and the speed that the real one leaves over",
    where: /(?:)/,
};
/** Seen once, before the program began, and not explained; reported by others in pulumi/pulumi#6457 and #7125. */
const NO_CONNECTION = {
    why: "Pulumi at times finds no connection to an engine that has just begun",
    where: /UNAVAILABLE: No connection established/,
};

/** @type {Stage[]} */
export const STAGES = [
    { name: "lint", command: [bin("biome"), "ci", "--colors=off", "."] },
    { name: "types", command: [bin("tsc"), "-p", "tsconfig.json", "--noEmit"] },
    { name: "unit", jest: [PARALLEL] },
    { name: "protocol", again: EMULATED, jest: [SERIAL], needs: { tests: true, lab: true } },
    { name: "engine", again: NO_CONNECTION, jest: [PARALLEL], needs: { tests: true, pulumi: true } },
    { name: "lab", again: EMULATED, jest: [SERIAL], needs: { tests: true, lab: true, pulumi: true } },
];

/** @param {Stage[]} stages */
export function needs(stages) {
    return Object.assign({}, ...stages.map((stage) => stage.needs ?? {}));
}
