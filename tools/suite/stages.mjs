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
 * @property {string} [again] why a file that fails is run once more; both times are told
 */

const EMULATED = "an emulated machine has the clock and the speed that the real one leaves over";
/** The Automation API's programs of one process share their connections: pulumi/pulumi#6457, #7125. */
const NO_CONNECTION = "Pulumi at times finds no connection to an engine that has just begun";

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
