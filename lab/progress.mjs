/**
 * One line on stderr per long step, with its time, so that stdout belongs to the user's COMMAND.
 */

/** @param {string} message */
export function say(message) {
    process.stderr.write(`lab: ${message}\n`);
}

/** Seconds since a `performance.now()`. @param {number} start */
export function secondsSince(start) {
    return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}
