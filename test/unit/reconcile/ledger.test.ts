/** The ledger's files: what is written is read back, and what is not whole is never taken for whole. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import type { Value } from "../../../provider/kinds";
import {
    type Claim,
    FORMAT,
    fileName,
    type LedgerFile,
    parseLedger,
    renderLedger,
    stackOf,
    UnreadableLedger,
} from "../../../provider/reconcile/ledger";

/** Text of one line, with everything that could be taken for grammar of the file, of a shell or of printf. */
const nasty = fc
    .array(
        fc.oneof(
            fc.constantFrom(
                "'",
                '"',
                "\\",
                "\\n",
                "\\0",
                "\\c",
                "%s",
                "$(id)",
                "`id`",
                ";",
                " ",
                "#",
                "claim",
                "é",
                "💥",
                "*",
            ),
            fc.string({ maxLength: 4 }),
        ),
        { maxLength: 6 },
    )
    .map((parts) => parts.join("").replace(/[\u0000-\u001f\u007f]/g, ""));

const values: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
    value: fc.oneof(
        { depthSize: "small" },
        fc.constant(null),
        fc.boolean(),
        fc.integer(),
        fc.string({ unit: "binary" }),
        nasty,
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(nasty, tie("value"), { maxKeys: 3, noNullPrototype: true }),
    ),
})).value;

const claims: fc.Arbitrary<Claim> = fc.record(
    {
        rank: fc.integer({ min: 0, max: 99 }),
        kind: fc.constantFrom("service", "sysctl", "a kind of tomorrow"),
        key: nasty,
        value: values,
        found: fc.oneof(
            fc.constantFrom({ state: "absent" as const }, { state: "unknown" as const }),
            values.map((value) => ({ state: "present" as const, value })),
        ),
        was: values,
        command: fc.array(nasty, { maxLength: 3 }).map((lines) => lines.join("\n\t")),
    },
    { requiredKeys: ["rank", "kind", "key", "value", "found", "command"] },
);

const files: fc.Arbitrary<LedgerFile> = fc.record(
    {
        owner: nasty.map((text) => `org/shop/prod#${text}`),
        id: nasty,
        token: fc.stringMatching(/^[0-9a-f]{12}$/),
        sequence: fc.nat(),
        machine: fc.constantFrom("", "m1 u1", "m1"),
        boot: fc.boolean(),
        draining: fc.record({ until: fc.nat(), key: nasty.map((text) => `d${text}`) }),
        maintenance: fc.array(nasty, { maxLength: 2 }),
        claims: fc.uniqueArray(claims, { maxLength: 5, selector: ({ kind, key }) => `${kind} ${key}` }),
    },
    { requiredKeys: ["owner", "id", "token", "sequence", "machine", "boot", "maintenance", "claims"] },
);

const byPlace = (file: LedgerFile) => ({
    ...file,
    claims: [...file.claims].sort((a, b) => (`${a.kind} ${a.key}` < `${b.kind} ${b.key}` ? -1 : 1)),
});

test("every file is read back as it was written, whatever its keys, values and commands hold", () => {
    fc.assert(
        fc.property(files, (file) => {
            expect(byPlace(parseLedger(fileName(file), renderLedger(file)))).toEqual(byPlace(file));
        }),
        { numRuns: 300 },
    );
});

test("the text of a file depends on what it says alone, not on the order in which that came together", () => {
    fc.assert(
        fc.property(files, (file) => {
            expect(renderLedger({ ...file, claims: [...file.claims].reverse() })).toBe(renderLedger(file));
        }),
    );
});

test("a line break or a tab in a key never reaches a file", () => {
    const file = sample();
    for (const odd of ["\n", "\r", "\0", "\t"]) {
        expect(() => renderLedger({ ...file, claims: [{ ...file.claims[0]!, key: `a${odd}claim` }] })).toThrow();
    }
    for (const odd of ["\n", "\r", "\0"]) {
        expect(() => renderLedger({ ...file, owner: `a${odd}id forged` })).toThrow();
        expect(() => renderLedger({ ...file, maintenance: [`a${odd}id forged`] })).toThrow();
    }
});

test("a newer format is refused and is told from damage", () => {
    const text = renderLedger(sample());
    for (const newer of [FORMAT + 1, 10, 999]) {
        const changed = text.replace(/^pulumi-lvs \d+/, `pulumi-lvs ${newer}`);
        expect(() => parseLedger(fileName(sample()), changed)).toThrow(/newer/);
    }
    expect(() => parseLedger(fileName(sample()), text.replace("pulumi-lvs 1", "pulumi-lvs one"))).toThrow(/damaged/);
});

test("a file that lost any one of its lines is damaged", () => {
    const file = sample();
    const lines = renderLedger(file).split("\n").slice(0, -1);
    for (const index of lines.keys()) {
        const rest = lines.filter((_, each) => each !== index).join("\n");
        expect(() => parseLedger(fileName(file), `${rest}\n`)).toThrow(UnreadableLedger);
    }
});

test("a file that ends early is damaged, wherever it ends", () => {
    const file = sample();
    const text = renderLedger(file);
    for (let length = 0; length < text.length - 1; length++) {
        expect(() => parseLedger(fileName(file), text.slice(0, length))).toThrow(UnreadableLedger);
    }
});

test("a number that is none, a switch that is neither and a line that is not known are damage", () => {
    const text = renderLedger(sample());
    for (const [from, to] of [
        ["sequence 7", "sequence seven"],
        ["sequence 7", "sequence 1e999"],
        ["boot yes", "boot perhaps"],
        ["claim\t70", "claim\tlast"],
        ["token ", "tok\u0000n "],
    ] as const) {
        expect(text).toContain(from);
        expect(() => parseLedger(fileName(sample()), text.replace(from, to))).toThrow(UnreadableLedger);
    }
});

test("a file under another resource's name is not taken for that resource's", () => {
    expect(() => parseLedger(fileName({ owner: "a#b", id: "c" }), renderLedger(sample()))).toThrow(UnreadableLedger);
});

test("a file of zeros, as a power failure leaves it, is damaged", () => {
    expect(() => parseLedger(fileName(sample()), "\0".repeat(4096))).toThrow(UnreadableLedger);
    expect(() => parseLedger(fileName(sample()), "")).toThrow(UnreadableLedger);
});

test("two resources never share a file's name, and its name is safe in every shell", () => {
    fc.assert(
        fc.property(nasty, nasty, nasty, nasty, (owner, id, otherOwner, otherId) => {
            fc.pre(owner !== otherOwner || id !== otherId);
            expect(fileName({ owner, id })).not.toBe(fileName({ owner: otherOwner, id: otherId }));
            expect(fileName({ owner, id })).toMatch(/^[0-9a-f]{20}\.claims$/);
        }),
    );
});

test("the stack is what stands before the first #", () => {
    expect(stackOf("org/shop/prod#RealServer/a#b")).toBe("org/shop/prod");
});

/** Files as versions wrote them, kept for the lab's test of the same states. */
const golden = join(__dirname, "..", "..", "lab", "golden");
const versions = readdirSync(golden, { withFileTypes: true }).filter((each) => each.isDirectory());

test.each(versions.map(({ name }) => name))(
    "every ledger file that version %s wrote is read, and written as it was",
    (version) => {
        const hosts = JSON.parse(readFileSync(join(golden, version, "hosts.json"), "utf8")) as Record<
            string,
            Record<string, { text: string }>
        >;
        const files = Object.values(hosts).flatMap((each) =>
            Object.entries(each).flatMap(([path, { text }]) =>
                path.endsWith(".claims") ? [[path, text] as const] : [],
            ),
        );
        expect(files.length).toBeGreaterThan(10);
        for (const [path, text] of files) {
            expect(renderLedger(parseLedger(path.split("/").at(-1)!, text))).toBe(text);
        }
    },
);

function sample(): LedgerFile {
    const absent = { state: "absent" } as const;
    return {
        owner: "org/shop/prod#VirtualService/web",
        id: "dir/tcp/192.0.2.100:80",
        token: "0123456789ab",
        sequence: 7,
        machine: "m1 u1",
        boot: true,
        draining: { until: 1030, key: "tcp/192.0.2.100:80/192.0.2.21:80" },
        maintenance: ["tcp/192.0.2.100:80/192.0.2.22:80"],
        claims: [
            {
                rank: 10,
                kind: "module",
                key: "ip_vs",
                value: true,
                found: { state: "present", value: true },
                command: "modprobe ip_vs",
            },
            {
                rank: 70,
                kind: "service",
                key: "tcp/192.0.2.100:80",
                value: { scheduler: "wlc" },
                found: absent,
                command: "a\n\tb \\ c",
            },
            {
                rank: 90,
                kind: "address",
                key: "eth0/192.0.2.100/32",
                value: { deprecated: false },
                found: absent,
                command: "",
            },
        ],
    };
}
