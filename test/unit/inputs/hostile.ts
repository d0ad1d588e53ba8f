/** Inputs that nobody would write, made of valid ones, and what an answer to them may be. */

import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { ResourceType } from "../../../provider/dynamic/shim";
import { director } from "../../../provider/resources/director";
import { realServer } from "../../../provider/resources/realServer";
import type { Resource } from "../../../provider/resources/resource";
import { virtualService } from "../../../provider/resources/virtualService";
import { directorInputs, realServerInputs, virtualServiceInputs } from "./valid";

export type Properties = Record<string, unknown>;

/** A file that comes into being if a shell takes one of the texts for its own. */
export const canary = join(tmpdir(), `lvs-hostile-${process.pid}`);

export const resources: { type: ResourceType; resource: Resource; valid: fc.Arbitrary<Properties> }[] = [
    { type: "Director", resource: director as unknown as Resource, valid: directorInputs as fc.Arbitrary<Properties> },
    {
        type: "VirtualService",
        resource: virtualService as unknown as Resource,
        valid: virtualServiceInputs as fc.Arbitrary<Properties>,
    },
    {
        type: "RealServer",
        resource: realServer as unknown as Resource,
        valid: realServerInputs as fc.Arbitrary<Properties>,
    },
];

const nested = (depth: number, list: boolean): unknown => {
    let value: unknown = "end";
    for (let level = 0; level < depth; level++) value = list ? [value] : { address: value };
    return value;
};

const texts = fc.oneof(
    fc.constantFrom(
        ...[`$(touch ${canary})`, `\`touch ${canary}\``, `'; touch ${canary}; '`, `"; touch ${canary} #`],
        ...[`a\ntouch ${canary}\n`, `| touch ${canary}`, `&& touch ${canary}`, `\\'; touch ${canary}`, "-h", "--", ""],
        ...["\0", "a\0b", "\u001b[2J", "\u202e", "\ud800", "💥", "%s%n", "../../etc/passwd", "$IFS", "*", "~root"],
        ...["0x10", "127.1", "::ffff:1.2.3.4", "1e9", "NaN", "null", "LVS_RULES\ntouch", "x".repeat(3_000)],
    ),
    fc.string({ unit: "binary", maxLength: 20 }),
);
const numbers = fc.oneof(
    fc.constantFrom(0, -0, -1, 0.5, 65_536, 2 ** 31, 2 ** 53, 1e308, -1e308, NaN, Infinity, -Infinity),
    fc.double(),
);
/** As own properties, which a literal would not make of the first. */
const named = (key: string, value: unknown) => JSON.parse(`{${JSON.stringify(key)}: ${JSON.stringify(value)}}`);
const keys = fc.oneof(
    fc.constantFrom(
        "__proto__",
        "constructor",
        "prototype",
        "toString",
        "hasOwnProperty",
        "__provider",
        "owner",
        "length",
    ),
    texts.filter((text) => text.length < 100),
);
const wild: fc.Arbitrary<unknown> = fc.oneof(
    texts,
    numbers,
    fc.boolean(),
    fc.constant(null),
    fc.tuple(keys, texts).map(([key, value]) => named(key, value)),
    fc.array(fc.oneof(texts, numbers), { maxLength: 3 }),
    fc.tuple(fc.constantFrom(3, 60), fc.boolean()).map(([depth, list]) => nested(depth, list)),
);

/** Every place in the inputs at which something stands. */
function places(value: unknown, path: string[] = []): string[][] {
    if (value === null || typeof value !== "object") return [path];
    return [path, ...Object.entries(value).flatMap(([key, each]) => places(each, [...path, key]))];
}

function put(value: unknown, [first, ...rest]: string[], replacement: unknown): unknown {
    if (first === undefined) return replacement;
    const copy = Array.isArray(value) ? [...value] : { ...(value as object) };
    (copy as Properties)[first] = put((value as Properties)[first], rest, replacement);
    return copy;
}

/** Valid inputs of one resource, with up to three values or keys in them that nobody would write. */
export const cases = fc.constantFrom(...resources).chain(({ type, valid }) =>
    fc
        .record({
            inputs: valid,
            spoils: fc.array(fc.record({ where: fc.nat(), key: fc.option(keys), value: wild }), {
                minLength: 0,
                maxLength: 3,
            }),
        })
        .map(({ inputs, spoils }) => {
            let spoiled: unknown = inputs;
            for (const { where, key, value } of spoils) {
                const all = places(spoiled).filter((path) => path.length > 0);
                const path = all[where % all.length] ?? ["address"];
                spoiled = put(spoiled, path, key === null ? value : named(key, "x"));
            }
            return { type, valid: inputs, spoiled: spoiled as Properties };
        }),
);

/** What has no place in a reason: control characters, and where in our code something was thrown. */
const noise = /[\u0000-\u0008\u000e-\u001f\u007f-\u009f]|at .*\.[jt]s:\d+/;

/** Each answer is failures, each with a path and a reason, or a clean pass. */
export function judge({ failures }: { failures: { property: string; reason: string }[] }): void {
    for (const { property, reason } of failures) {
        const sound = typeof property === "string" && reason.length > 0 && reason.length < 6_200 && !noise.test(reason);
        if (!sound) throw new Error(`no answer for a person: ${JSON.stringify({ property, reason })}`);
    }
}
