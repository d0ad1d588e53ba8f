import fc from "fast-check";
import { ConnectionError } from "../../../provider/ssh/errors";
import { printable, redactor } from "../../../provider/ssh/redact";

const secret = fc.string({ minLength: 4, maxLength: 30 }).filter((text) => !"[secret]".includes(text));

/** Every spelling in which a secret may turn up. */
const spellings: Record<string, (secret: string) => string> = {
    plain: (text) => text,
    json: (text) => JSON.stringify(text).slice(1, -1),
    "json in json": (text) => JSON.stringify(JSON.stringify({ text })),
    base64: (text) => Buffer.from(text).toString("base64"),
    url: (text) => encodeURIComponent(text),
    "shell quoted": (text) => `'${text.replaceAll("'", "'\\''")}'`,
};

test.each(Object.entries(spellings))("a secret spelled as %s is not in the redacted text", (_name, spell) => {
    fc.assert(
        fc.property(
            fc.string(),
            fc.array(secret, { minLength: 1, maxLength: 3 }),
            fc.string(),
            (before, secrets, after) => {
                const redact = redactor(secrets);
                for (const one of secrets) {
                    const spelled = spell(one);
                    const text = redact(`${before}${spelled}${after}`);
                    expect(text).toContain("[secret]");
                    expect(text).not.toContain(spelled);
                    expect(text.split("[secret]").join("\n")).not.toContain(one);
                }
            },
        ),
        { numRuns: 500 },
    );
});

test("every line of a private key is a secret, its armour is not", () => {
    const lines = Array.from({ length: 5 }, (_, index) => `b3BlbnNzaC1rZXktdjEAAAAA${index}`);
    const key = ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join("\n");
    const redact = redactor([key]);
    expect(redact(key)).toBe("[secret]");
    for (const line of lines) {
        expect(redact(`bad line ${line}!`)).toBe("bad line [secret]!");
    }
    expect(redact(`${lines[0]}\r\n${lines[1]}`)).toBe("[secret]\r\n[secret]");
    expect(redact(JSON.stringify({ key }))).toBe('{"key":"[secret]"}');
    expect(redact("expected -----BEGIN OPENSSH PRIVATE KEY-----")).toBe("expected -----BEGIN OPENSSH PRIVATE KEY-----");
});

test("the longer of two secrets goes first, so that no part of it stays", () => {
    expect(redactor(["hunter", "hunter2000"])("hunter2000 hunter")).toBe("[secret] [secret]");
});

test("without secrets, text stays as it is", () => {
    expect(redactor([])("a")).toBe("a");
    expect(redactor([""])("a")).toBe("a");
});

test("printable text holds no character that a terminal obeys", () => {
    fc.assert(
        fc.property(fc.string({ unit: "binary", maxLength: 300 }), fc.integer({ min: 1, max: 400 }), (text, max) => {
            const shown = printable(text, max);
            expect(shown).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
            expect(shown.length).toBeLessThanOrEqual(max);
            expect(Buffer.from(shown, "utf8").toString("utf8")).toBe(shown);
        }),
        { numRuns: 3000 },
    );
});

test("printable text keeps lines and the tail", () => {
    expect(printable("a\r\nb\tc\x1b[31m\u202e")).toBe("a\nb\tc\\x1b[31m\\u202e");
    expect(printable("0123456789", 5)).toBe("…6789");
    expect(printable("x".repeat(50_000_000), 10)).toBe(`…${"x".repeat(9)}`);
    expect(printable("漢😀", 10)).toBe("漢😀");
});

test("an error says host, action, answer and remedy, once each", () => {
    const error = new ConnectionError({
        kind: "lost",
        host: "lb1:22",
        doing: "running a script",
        reason: "it went away.",
        remedy: "Try again.",
        sent: true,
    });
    expect(error.message).toBe("lb1:22: running a script failed: it went away. Try again.");
    expect(error.with({ sent: false })).toMatchObject({ kind: "lost", host: "lb1:22", sent: false });
    expect(error).toBeInstanceOf(Error);
});
