/** Text of people and hosts as comment lines. */
import { printable } from "../provider/ssh/redact";

const WIDTH = 110;

/** A paragraph as lines behind a sign (`//`, `#`). What a host says of itself is made harmless: no line ends before its end. */
export function comment(sign: string, paragraphs: string[]): string[] {
    return paragraphs.flatMap((paragraph) => {
        const lines: string[] = [];
        let line = sign;
        for (const word of printable(paragraph).split(/\s+/)) {
            if (line !== sign && line.length + word.length >= WIDTH) {
                lines.push(line);
                line = sign;
            }
            if (word !== "") line += ` ${word}`;
        }
        return [...lines, line];
    });
}
