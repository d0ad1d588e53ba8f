/** Reads a resource's inputs: one clear error for each mistake, with its property path; unknown values pass. */
import type { z } from "zod";
import { isObject, standsFor } from "./fields";

/** What stands in a preview for any value that is not known yet, whatever its type (pulumi.runtime.unknownValue). */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export interface Failure {
    /** As Pulumi prints property paths: `realServers["192.0.2.21"].weight`. */
    property: string;
    reason: string;
}

export interface Parsed<T> {
    /** The canonical inputs; those that were given where something is unknown or wrong. */
    value: T;
    failures: Failure[];
    /** Whether some value is not known yet. */
    unknown: boolean;
}

/** Never throws. Properties of the engine's own (`__provider`) are not looked at. */
export function parseInputs<T>(schema: z.ZodType<T>, raw: Record<string, unknown>): Parsed<T> {
    const given = Object.fromEntries(
        Object.entries(raw).filter(([name, value]) => !name.startsWith("__") && value !== undefined && value !== null),
    );
    const unknown = holdsUnknown(given);
    let parsed: z.ZodSafeParseResult<T>;
    try {
        parsed = schema.safeParse(given);
    } catch {
        // zod looks at the length of whatever has one, and some values cannot be compared with a number.
        return { value: given as T, failures: [{ property: "", reason: "holds a value of no use here" }], unknown };
    }
    if (parsed.success && !unknown) return { value: parsed.data, failures: [], unknown };
    const failures = (parsed.error?.issues ?? [])
        .filter((issue) => !unknown || issue.code === "unrecognized_keys" || !touchesUnknown(given, issue.path))
        .flatMap((issue) => failuresOf(issue, given, schema));
    const seen = new Set<string>();
    return {
        value: given as T,
        failures: failures.filter(({ property, reason }) => {
            const key = `${property}\n${reason}`;
            return seen.has(key) ? false : seen.add(key) !== undefined;
        }),
        unknown,
    };
}

/** A property path as Pulumi prints it. */
export function propertyPath(path: readonly PropertyKey[]): string {
    return path
        .map((part, index) => {
            if (typeof part === "number") return `[${part}]`;
            const name = String(part);
            if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return `[${JSON.stringify(name)}]`;
            return index === 0 ? name : `.${name}`;
        })
        .join("");
}

function failuresOf(issue: z.core.$ZodIssue, given: unknown, schema: z.core.$ZodType): Failure[] {
    const property = propertyPath(issue.path);
    if (issue.code === "unrecognized_keys") {
        return issue.keys.map((key) => ({
            property: propertyPath([...issue.path, key]),
            reason: `is not known here${suggestion(key, schema, issue.path)}`,
        }));
    }
    if (issue.code === "invalid_key") return [{ property, reason: issue.issues[0]?.message ?? issue.message }];
    if ((issue.code === "invalid_type" || issue.code === "invalid_union") && at(given, issue.path) === undefined) {
        return [{ property, reason: "is required" }];
    }
    if (issue.code === "invalid_union") {
        // Of the kinds of value that may stand here one fits, and its content is wrong; or none fits.
        const content = issue.errors
            .flat()
            .find(({ code, message }) => code !== "invalid_type" && message !== "Invalid input");
        return [{ property, reason: content?.message ?? `${issue.message}${got(given, issue.path)}` }];
    }
    if (issue.code === "custom") return [{ property, reason: issue.message }];
    if (issue.code === "invalid_value") {
        return [{ property, reason: `expected ${list(issue.values.map(String))}${got(given, issue.path)}` }];
    }
    const reason = issue.message.replace(/^Invalid input: /, "").replace(/, received .*$/, "");
    const plain = reason.replace(/^expected (\w+)$/, (_, type: string) => `expected ${words[type] ?? type}`);
    return [{ property, reason: `${plain}${got(given, issue.path)}` }];
}

/** zod's names of types, for people who write YAML. */
const words: Record<string, string> = {
    string: "a text",
    number: "a number",
    int: "a whole number",
    boolean: "true or false",
    object: "a map",
    record: "a map",
    array: "a list",
};

/** The known name that was probably meant, or all that are known. */
function suggestion(key: string, schema: z.core.$ZodType, path: readonly PropertyKey[]): string {
    const names = knownAt(schema, path).filter((name) => name !== "owner");
    const [near] = names
        .map((name) => ({ name, distance: distance(name.toLowerCase(), key.toLowerCase()) }))
        .filter((each) => each.distance <= Math.max(1, Math.floor(each.name.length / 3)))
        .sort((a, b) => a.distance - b.distance);
    if (near !== undefined) return `; did you mean \`${near.name}\`?`;
    return names.length === 0 ? "" : `; known are ${names.join(", ")}`;
}

/** The names that a map at the path may have. zod's issues do not carry their schema, so it is looked up by the path. */
function knownAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
    const inside = standsFor.get(schema);
    if (inside !== undefined) return knownAt(inside as z.core.$ZodType, path);
    const { def } = schema._zod as unknown as z.core.$ZodTypes["_zod"];
    const [first, ...rest] = path;
    switch (def.type) {
        case "optional":
        case "nullable":
        case "default":
            return knownAt(def.innerType as z.core.$ZodType, path);
        case "pipe":
            return knownAt(def.in as z.core.$ZodType, path);
        case "union":
            return def.options.flatMap((option) => knownAt(option as z.core.$ZodType, path));
        case "array":
            return first === undefined ? [] : knownAt(def.element as z.core.$ZodType, rest);
        case "record":
            return first === undefined ? [] : knownAt(def.valueType as z.core.$ZodType, rest);
        case "object": {
            if (first === undefined) return Object.keys(def.shape);
            const member = def.shape[String(first)];
            return member === undefined ? [] : knownAt(member as z.core.$ZodType, rest);
        }
        default:
            return [];
    }
}

/** How many letters were left out, added, mistaken, or swapped with their neighbour. */
function distance(a: string, b: string): number {
    const rows = [Array.from({ length: b.length + 1 }, (_, index) => index)];
    for (let i = 1; i <= a.length; i++) {
        rows[i] = [i];
        for (let j = 1; j <= b.length; j++) {
            const from = (up: number, left: number) => rows[i - up]![j - left]!;
            const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? from(2, 2) + 1 : i + j;
            const mistaken = from(1, 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
            rows[i]![j] = Math.min(from(1, 0) + 1, from(0, 1) + 1, mistaken, swapped);
        }
    }
    return rows[a.length]![b.length]!;
}

/** What was given, unless it is part of a connection, which may hold secrets. */
function got(given: unknown, path: readonly PropertyKey[]): string {
    if (path.includes("connection")) return "";
    const value = at(given, path);
    if (value === undefined) return "";
    if (isObject(value)) return ", got a map";
    // A list of maps may hold a connection too.
    if (Array.isArray(value) && value.some((each) => each !== null && typeof each === "object")) return ", got a list";
    const text = typeof value === "number" ? String(value) : JSON.stringify(value);
    return `, got ${text.length > 60 ? `${text.slice(0, 60)}…` : text}`;
}

function list(values: string[]): string {
    return values.length < 2 ? values.join() : `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`;
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
    return path.reduce<unknown>((each, part) => (each as Record<PropertyKey, unknown> | undefined)?.[part], value);
}

function holdsUnknown(value: unknown): boolean {
    if (value === UNKNOWN) return true;
    return value !== null && typeof value === "object" && Object.values(value).some(holdsUnknown);
}

/** An issue at, above or below an unknown value says nothing yet. */
function touchesUnknown(given: unknown, path: readonly PropertyKey[]): boolean {
    for (let length = 0; length <= path.length; length++) {
        if (at(given, path.slice(0, length)) === UNKNOWN) return true;
    }
    return holdsUnknown(at(given, path));
}
