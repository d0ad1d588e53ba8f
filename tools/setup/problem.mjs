/**
 * A set-up step that cannot go on for a reason that the user can cure. Shown as its message alone; any other error is
 * a defect of ours and keeps its stack trace.
 */
export class Problem extends Error {}

/**
 * Says an error on stderr as its class deserves.
 * @param {unknown} error
 */
export function complain(error) {
    process.stderr.write(`${error instanceof Problem ? `error: ${error.message}` : (error?.stack ?? error)}\n`);
}
