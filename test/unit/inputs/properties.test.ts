import fc from "fast-check";
import { directorSchema } from "../../../provider/inputs/director";
import { parseInputs, UNKNOWN } from "../../../provider/inputs/parse";
import { realServerSchema } from "../../../provider/inputs/realServer";
import { virtualServiceSchema } from "../../../provider/inputs/service";
import { directorInputs, realServerInputs, virtualServiceInputs } from "./valid";

type Inputs = Record<string, unknown>;
type Path = (string | number)[];

const resources = [
    { name: "Director", schema: directorSchema, inputs: directorInputs },
    { name: "VirtualService", schema: virtualServiceSchema, inputs: virtualServiceInputs },
    { name: "RealServer", schema: realServerSchema, inputs: realServerInputs },
].map(({ name, schema, inputs }) => ({
    name,
    parse: (raw: Inputs) => parseInputs(schema as never, raw) as ReturnType<typeof parseInputs<Inputs>>,
    inputs: inputs as fc.Arbitrary<Inputs>,
}));

const hostile = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(
        "",
        " ",
        "$(reboot)",
        "`id`",
        "'; rm -rf / #",
        "-h",
        "--help",
        "../../etc",
        "%s%n",
        "\u202e",
        "é",
        "\u00a0",
    ),
    fc.constantFrom("__proto__", "constructor", "toString", "null", "NaN", "1e9", "0x10", "::ffff:1.2.3.4", "127.1"),
);
const control = fc
    .tuple(
        fc.string(),
        fc.constantFrom("\n", "\r", "\0", "\u001b", "\u007f", "\u0085", "\u2028", "\u2029", "\t"),
        fc.string(),
    )
    .map((parts) => parts.join(""));
const wild = fc.oneof(hostile, fc.double(), fc.boolean(), fc.constant(null), fc.anything({ maxDepth: 2 }));

/** The path of every value in the inputs, maps and lists included. */
function pathsOf(value: unknown, path: Path = []): Path[] {
    const below =
        value === null || typeof value !== "object"
            ? []
            : Object.entries(value).flatMap(([key, each]) =>
                  pathsOf(each, [...path, Array.isArray(value) ? Number(key) : key]),
              );
    return path.length === 0 ? below : [path, ...below];
}

function put<T>(value: T, [first, ...rest]: Path, replacement: unknown): T {
    if (first === undefined) return replacement as T;
    const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string | number, unknown>;
    copy[first] = put(copy[first], rest, replacement);
    return copy as T;
}

/** Valid inputs and the path of one value in them. */
const withPath = (inputs: fc.Arbitrary<Inputs>, which: (path: Path, value: unknown) => boolean = () => true) =>
    inputs.chain((value) => {
        const paths = pathsOf(value).filter((path) =>
            which(
                path,
                path.reduce<unknown>((each, part) => (each as Inputs)[part], value),
            ),
        );
        return fc.record({ value: fc.constant(value), path: fc.constantFrom(...paths) });
    });

describe.each(resources)("$name", ({ parse, inputs }) => {
    test("valid inputs are taken", () => {
        fc.assert(fc.property(inputs, (value) => expect(parse(value).failures).toEqual([])));
    });

    test("what was made canonical stays as it is", () => {
        fc.assert(
            fc.property(inputs, (value) => {
                const once = parse(value);
                const twice = parse(once.value);
                expect(twice.failures).toEqual([]);
                expect(twice.value).toEqual(once.value);
            }),
        );
    });

    test("a value that is not known yet passes, wherever it stands", () => {
        fc.assert(
            fc.property(withPath(inputs), ({ value, path }) => {
                const { failures, unknown } = parse(put(value, path, UNKNOWN));
                expect({ path, failures, unknown }).toEqual({ path, failures: [], unknown: true });
            }),
            { numRuns: 200 },
        );
    });

    test("beside a value that is not known yet a mistake is still found", () => {
        fc.assert(
            fc.property(
                withPath(inputs, (path) => path[0] !== "adopt" && path[0] !== "owner"),
                ({ value, path }) => {
                    const { failures } = parse(put({ ...value, adopt: "maybe" }, path, UNKNOWN));
                    expect(failures).toEqual([{ property: "adopt", reason: 'expected true or false, got "maybe"' }]);
                },
            ),
        );
    });

    test("whatever stands in the place of a value, nothing is thrown and every failure says where and why", () => {
        fc.assert(
            fc.property(withPath(inputs), wild, ({ value, path }, other) => {
                for (const { property, reason } of parse(put(value, path, other)).failures) {
                    expect(reason).not.toBe("");
                    expect(property).not.toMatch(/[\u0000-\u001f]/);
                }
            }),
            { numRuns: 200 },
        );
    });

    test("no key is too strange to be refused", () => {
        fc.assert(
            fc.property(inputs, hostile, (value, key) => {
                const { failures } = parse({ ...value, [key]: 1 });
                if (Object.hasOwn(value, key) || key.startsWith("__")) return;
                expect(failures.length).toBeGreaterThan(0);
            }),
        );
    });

    test("a line break or control character is refused in every text", () => {
        fc.assert(
            fc.property(
                withPath(
                    inputs,
                    // What is in a connection has a schema and tests of its own.
                    (path, value) => typeof value === "string" && !path.slice(0, -1).includes("connection"),
                ),
                control,
                ({ value, path }, text) => {
                    const { failures } = parse(put(value, path, text));
                    expect({ path, failures: failures.length }).toEqual({ path, failures: 1 });
                },
            ),
            { numRuns: 200 },
        );
    });
});
