/** The one place where a word becomes shell text. */

const harmless = /^[A-Za-z0-9_/:.,@%+-]+$/;

/** A command's first word that a shell would take as its own grammar. */
const reserved = /^(if|then|else|elif|fi|do|done|case|esac|while|until|for|in|function|time|select|coproc)$/;

/** C0, DEL, C1 and the two Unicode line separators: nothing that we pass to a host has a use for them. */
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/**
 * One word of a POSIX shell command line, quoted so that the shell passes it on unchanged.
 *
 * @throws {RangeError} when the word holds a control character (NUL and newlines among them), or is not valid Unicode
 *   and so could not arrive unchanged. Such words are never meant: they would only serve to forge a line.
 */
export function quote(word: string): string {
    const found = control.exec(word);
    if (found) {
        const code = found[0].charCodeAt(0).toString(16).padStart(4, "0");
        throw new RangeError(
            `A word for a command holds the control character U+${code.toUpperCase()} at ${found.index}`,
        );
    }
    if (Buffer.from(word, "utf8").toString("utf8") !== word) {
        throw new RangeError("A word for a command is not valid Unicode (it holds half of a surrogate pair)");
    }
    if (harmless.test(word) && !reserved.test(word)) {
        return word;
    }
    return `'${word.replaceAll("'", "'\\''")}'`;
}

/** A shell command line of these words, each quoted by {@link quote}. */
export function command(...words: string[]): string {
    return words.map(quote).join(" ");
}
