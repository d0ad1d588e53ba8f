/** Plain data as block YAML, with comments: what a stack's config file holds. */
import type { Field } from "./imported";

/** Plain scalars that no version of YAML takes for anything but this text. */
const plain = /^(?:[A-Za-z/](?:[A-Za-z0-9_./:-]*[A-Za-z0-9_/-])?|\d{1,3}(?:\.\d{1,3}){3})$/;
const words = /^(?:y|n|yes|no|on|off|true|false|null)$/i;

function scalar(value: boolean | number | string): string {
    return typeof value === "string" && plain.test(value) && !words.test(value) ? value : JSON.stringify(value);
}

/** `name: value`, a map's members on the lines below it, four spaces further in. */
export function member(name: string, value: Field): string[] {
    if (Array.isArray(value)) {
        const list = value.map((each) => (typeof each === "object" ? JSON.stringify(each) : scalar(each)));
        return [`${scalar(name)}: [${list.join(", ")}]`];
    }
    if (typeof value !== "object") return [`${scalar(name)}: ${scalar(value)}`];
    const members = Object.entries(value);
    if (members.length === 0) return [`${scalar(name)}: {}`];
    return [`${scalar(name)}:`, ...indented(members.flatMap(([each, inner]) => member(each, inner)))];
}

export function indented(lines: string[]): string[] {
    return lines.map((line) => (line === "" ? "" : `    ${line}`));
}
