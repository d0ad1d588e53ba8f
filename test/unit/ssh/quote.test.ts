import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { command, quote } from "../../../provider/ssh/quote";
import { seed } from "../../support/sample";

const shells: [string, string[]][] = [
    ["sh", []],
    ["dash", []],
    ["bash", []],
    ["busybox", ["sh"]],
].filter(([name]) => {
    try {
        execFileSync("sh", ["-c", `command -v ${name}`]);
        return true;
    } catch {
        return false;
    }
}) as [string, string[]][];

/** What a shell makes of quoted words: each printed and ended with a newline, which no word can hold. */
function echoed(shell: [string, string[]], words: string[]): string[] {
    const script = words.map((word) => `printf '%s\\n' ${quote(word)}`).join("\n");
    const env = { PATH: process.env["PATH"], LC_ALL: "C" };
    const output = execFileSync(shell[0], shell[1], { input: `cd /\n${script}\n`, env, maxBuffer: 1 << 28 });
    return output.toString("utf8").split("\n").slice(0, -1);
}

const allowed = (word: string) =>
    !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(word) && Buffer.from(word, "utf8").toString("utf8") === word;

/** Words made of what shells care about, of anything at all, and of the two mixed. */
const hostile = fc.string({
    unit: fc.constantFrom(
        ..."'\"\\$`!*?[]{}()<>|&;#~%=^ -aé漢😀".split("").filter(allowed),
        "$(id)",
        "'\\''",
        "$" + "{x}",
        "😀",
    ),
    maxLength: 20,
});
const any = fc.string({ unit: "grapheme", maxLength: 40 }).filter(allowed);

test.each(shells)("%s passes every quoted word on unchanged", (...shell) => {
    const edge = [
        "",
        "'",
        "''",
        "\\",
        "-n",
        "-e",
        "$HOME",
        "`id`",
        "~",
        "~root",
        "*",
        "a=b",
        "if",
        "!",
        "#x",
        "x\\",
        "\\'",
    ];
    const words = [...edge, ...fc.sample(hostile, { numRuns: 6000, seed }), ...fc.sample(any, { numRuns: 4000, seed })];
    expect(words.length).toBeGreaterThan(10_000);
    for (let start = 0; start < words.length; start += 4000) {
        const batch = words.slice(start, start + 4000);
        expect(echoed(shell, batch)).toEqual(batch);
    }
});

test("this machine has at least two different shells to try", () => {
    expect(shells.length).toBeGreaterThanOrEqual(2);
});

test.each(["\0", "a\nb", "a\rb", "\t", "\x1b[31m", "\x7f", "\u0085", "\u2028", "\ud800", "x\udc00"])(
    "the word %j is refused",
    (word) => {
        expect(() => quote(word)).toThrow(RangeError);
        expect(() => command("echo", word)).toThrow(RangeError);
    },
);

test("harmless words stay as they are, for those who read the command", () => {
    expect(command("ipvsadm", "-a", "-t", "192.0.2.1:80", "-r", "[2001:db8::1]:80", "--weight", "2")).toBe(
        "ipvsadm -a -t 192.0.2.1:80 -r '[2001:db8::1]:80' --weight 2",
    );
});

test("a command's first word is a command, never the shell's grammar or an assignment", () => {
    for (const word of ["if", "for", "case", "while", "PATH=/tmp", "{", "!", "time"]) {
        expect(command(word)).toBe(`'${word}'`);
    }
});
