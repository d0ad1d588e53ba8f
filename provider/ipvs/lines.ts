/** A printed text, line by line and word by word; what is not understood is an error that shows the line. */

/** A text that is not what ipvsadm prints. */
export class UnreadableOutput extends Error {
    override name = "UnreadableOutput";
    constructor(
        /** What was being read: a command or a file. */
        readonly source: string,
        /** The line's number, from 1; 0: the text as a whole. */
        readonly line: number,
        readonly text: string,
        reason: string,
    ) {
        super(`${source}, line ${line}: ${reason}: ${JSON.stringify(text)}`);
    }
}

export interface Line {
    source: string;
    number: number;
    text: string;
}

export function linesOf(source: string, text: string): Line[] {
    return text
        .split("\n")
        .map((line, index) => ({ source, number: index + 1, text: line.replace(/\r$/, "") }))
        .filter((line) => line.text.trim() !== "");
}

export function unreadable(line: Line, reason: string): UnreadableOutput {
    return new UnreadableOutput(line.source, line.number, line.text, reason);
}

/** Runs a reader of a part of a line; whatever it refuses, the error shows the line. */
export function reading<T>(line: Line, read: () => T): T {
    try {
        return read();
    } catch (error) {
        throw error instanceof UnreadableOutput ? error : unreadable(line, (error as Error).message);
    }
}

/** The words of a line, taken one after the other. */
export class Words {
    private readonly words: string[];
    constructor(readonly line: Line) {
        this.words = line.text.trim().split(/\s+/);
    }
    peek(): string | undefined {
        return this.words[0];
    }
    next(what: string): string {
        const word = this.words.shift();
        if (word === undefined) {
            throw unreadable(this.line, `${what} is missing`);
        }
        return word;
    }
    take(word: string): boolean {
        const here = this.words[0] === word;
        if (here) {
            this.words.shift();
        }
        return here;
    }
    number(what: string): number {
        return wholeNumber(this.line, this.next(what), what);
    }
    rest(): string {
        return this.words.splice(0).join(" ");
    }
    end(): void {
        if (this.words.length > 0) {
            throw unreadable(this.line, `"${this.rest()}" is more than was expected`);
        }
    }
}

export function wholeNumber(line: Line, word: string, what: string): number {
    const value = /^\d+$/.test(word) ? Number(word) : Number.NaN;
    if (!Number.isSafeInteger(value)) {
        throw unreadable(line, `${what} should be a number, not "${word}"`);
    }
    return value;
}
