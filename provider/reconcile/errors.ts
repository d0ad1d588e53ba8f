import { ConnectionError } from "../ssh/errors";
import { printable } from "../ssh/redact";

/** What went wrong on a host: which host, which step, what came back, and what to do about it. */

export class StepError extends Error {
    override name = "StepError";
    constructor(
        /** A stable word for the kind of trouble, such as `LVS-EXISTS`. */
        readonly code: string,
        readonly host: string,
        /** What was being done, in a person's words. */
        readonly step: string,
        /** What came back. */
        readonly reason: string,
        /** What to do. */
        readonly remedy: string,
        /** What happened to the rest: undone, or what is left. */
        readonly aftermath: string = "",
    ) {
        const parts = [`${host}: ${step}: ${reason} [${code}]`, remedy, aftermath];
        // What came from a host may hold a terminal's control sequences.
        super(printable(parts.filter((part) => part !== "").join("\n  "), 20_000));
    }
}

/** An operation whose work is on a host still, or may be: it could not be taken back, or what came of it is not known. */
export class LeftBehind extends Error {
    override name = "LeftBehind";
    constructor(override readonly cause: Error) {
        super(cause.message);
    }
}

/** The error of such an operation; `text`: what is left where. */
export function leftBehind(error: unknown, text: string): LeftBehind {
    const told = withAftermath(error, text);
    return told instanceof LeftBehind ? told : new LeftBehind(told instanceof Error ? told : new Error(String(told)));
}

/** An error of any kind with what became of the rest of its operation: a new one, for several operations may share one. */
export function withAftermath(error: unknown, text: string): unknown {
    if (text === "" || !(error instanceof Error)) return error;
    if (error instanceof LeftBehind) return leftBehind(error.cause, text);
    if (error instanceof StepError) {
        const { code, host, step, reason, remedy, aftermath } = error;
        return new StepError(code, host, step, reason, remedy, aftermath === "" ? text : `${aftermath} ${text}`);
    }
    if (error instanceof ConnectionError) return error.with({ remedy: `${error.remedy}\n  ${text}` });
    return new Error(`${error.message}\n  ${text}`, { cause: error });
}
