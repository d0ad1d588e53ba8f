/** Keeping secrets, and terminal tricks, out of what people read. */

const replacement = "[secret]";

/** Lines of a key that are no secret: replacing them would hide what is wrong with a key. */
const armour = /^-----(BEGIN|END) [A-Z0-9 ]+-----$/;

/** The spellings in which a secret can turn up in a message. */
function spellings(secret: string): string[] {
    const bytes = Buffer.from(secret, "utf8");
    const json = JSON.stringify(secret).slice(1, -1);
    return [
        secret,
        json,
        JSON.stringify(json).slice(1, -1),
        bytes.toString("base64").replace(/=+$/, ""),
        bytes.toString("base64url"),
        encodeURIComponent(bytes.toString("utf8")),
        secret.replaceAll("'", "'\\''"),
        ...secret.split(/[\r\n]+/).map((line) => line.trim()),
    ];
}

/**
 * A function that replaces every occurrence of the given secrets by `[secret]`. Found are also their JSON, base64, URL
 * and shell-quoted forms, and each single line of a secret of several lines (a private key). Empty secrets are ignored.
 */
export function redactor(secrets: string[]): (text: string) => string {
    const words = new Set(
        secrets
            .filter((secret) => secret !== "")
            .flatMap((secret) => [secret, ...spellings(secret).filter((word) => word.length > 3)])
            .filter((word) => !armour.test(word)),
    );
    if (words.size === 0) {
        return (text) => text;
    }
    const longestFirst = [...words].sort((a, b) => b.length - a.length);
    const pattern = new RegExp(longestFirst.map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|"), "g");
    return (text) => text.replace(pattern, replacement);
}

/** Control characters but tab and newline, invisible and direction-changing characters, halves of surrogate pairs. */
const unprintable =
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/**
 * Text from a host made fit to be shown: control characters but newline and tab become visible (`\x1b`, `\u202e`),
 * and of a text longer than `max` characters the tail is kept, where the cause of a failure usually stands.
 *
 * @param max - greatest length of the result in UTF-16 units; default 2,000.
 */
export function printable(text: string, max = 2000): string {
    // What is cut is never looked at: a hostile host may send much. An escape makes a character six times as long.
    const tail = text.length > max ? text.slice(-max) : text;
    const shown = tail.replaceAll("\r\n", "\n").replace(unprintable, (character) => {
        const code = character.charCodeAt(0);
        return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
    });
    if (text.length <= max && shown.length <= max) {
        return shown;
    }
    const kept = shown.slice(Math.max(0, shown.length - Math.max(0, max - 1)));
    return `…${/^[\udc00-\udfff]/.test(kept) ? kept.slice(1) : kept}`;
}
