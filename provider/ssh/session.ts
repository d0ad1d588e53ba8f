import type { Connection } from "./connection";
import type { ScriptResult } from "./exec";
import { limits } from "./limits";
import { hostOf } from "./pool";

/** The face of this directory: a script goes to a host, an answer comes back. */

export { counters } from "./counters";
export type { ScriptResult } from "./exec";
export { closeAll } from "./pool";

/** Limits of one script. */
export interface ScriptOptions {
    /** Seconds the script may take once it was sent. Connecting has its own limits, in the connection. */
    timeout: number;
    /** Bytes of output (both streams) above which the answer is refused. Default 32 MiB. */
    maxBytes?: number;
}

/**
 * Runs a POSIX shell script on a host, as `sh` or, with `sudo`, as `sudo -n sh`; the script goes to standard input,
 * never into an argument list. All calls for one connection share one SSH connection, and at most four scripts run on
 * a host at once; further ones wait their turn.
 *
 * A status other than 0 is a result, not an error.
 *
 * @throws {ConnectionError} when the host cannot be reached or does not let us in, the connection is lost, the time is
 *   over or the output too much. Its `sent` says whether the script may have begun.
 */
export function runScript(connection: Connection, script: string, options: ScriptOptions): Promise<ScriptResult> {
    return hostOf(connection).run({
        script,
        timeout: options.timeout,
        maxBytes: options.maxBytes ?? limits.outputBytes,
    });
}
