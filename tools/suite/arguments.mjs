/**
 * `npm test -- [STAGE…] [--exhaustive] [JEST ARGUMENTS…]`
 * Stages come first; what follows them goes to jest: `npm test -- unit -t "parses"`.
 */
import { STAGES } from "./stages.mjs";

/** @param {string[]} argv */
export function parse(argv) {
    const rest = argv.filter((word) => word !== "--exhaustive");
    const names = [];
    while (STAGES.some((stage) => stage.name === rest[0])) names.push(rest.shift());
    // A selection of tests says nothing to the checks; a selection of stages is run as named.
    const all = rest.length > 0 ? STAGES.filter((stage) => stage.jest) : STAGES;
    return {
        stages: names.length > 0 ? STAGES.filter((stage) => names.includes(stage.name)) : all,
        exhaustive: rest.length < argv.length - names.length,
        /** Arguments for jest. If there are any, tests that did not run were left out on purpose. */
        selection: rest,
    };
}
