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
        public aftermath: string = "",
    ) {
        super();
        this.compose();
    }

    /** Adds what became of the operation's other steps. */
    after(text: string): this {
        this.aftermath = [this.aftermath, text].filter((part) => part !== "").join(" ");
        this.compose();
        return this;
    }

    private compose(): void {
        const parts = [`${this.host}: ${this.step}: ${this.reason} [${this.code}]`, this.remedy, this.aftermath];
        // What came from a host may hold a terminal's control sequences.
        this.message = printable(parts.filter((part) => part !== "").join("\n  "), 20_000);
    }
}

/** An error of any kind with what became of the rest of its operation. */
export function withAftermath(error: unknown, text: string): unknown {
    if (text === "") return error;
    if (error instanceof StepError) return error.after(text);
    if (error instanceof Error) error.message = `${error.message}\n  ${text}`;
    return error;
}
