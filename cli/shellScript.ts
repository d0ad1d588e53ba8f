/**
 * The commands that a stack stands for, as a shell script for a reviewer: for each host what a fresh one would get, in
 * its order. Pure, by the provider's own functions: what resources want, what kinds do about it, and how that is said.
 */
import { parseInputs, UNKNOWN } from "../provider/inputs/parse";
import { type Action, kindOf, type Objects } from "../provider/kinds";
import { addressKey } from "../provider/kinds/address";
import { probeOf } from "../provider/kinds/probe";
import type { HostView, Part, Want } from "../provider/kinds/want";
import { stackOf } from "../provider/reconcile/ledger";
import { commandLine } from "../provider/reconcile/shell";
import { director } from "../provider/resources/director";
import { realServer } from "../provider/resources/realServer";
import type { Resource } from "../provider/resources/resource";
import { virtualService } from "../provider/resources/virtualService";
import { comment } from "./comment";
import type { Declarations, Declared } from "./declared";

const resources = {
    Director: director,
    VirtualService: virtualService,
    RealServer: realServer,
} as unknown as Record<Declared["type"], Resource>;

/** What stands for the interface that only a real server knows: the one with its address. */
const PLACEHOLDER = "INTERFACE";

interface HostScript {
    name: string;
    role: Part["role"];
    /** By kind and key. */
    lines: Map<string, Line>;
}

interface Line {
    want: Want;
    /** Who wants it. */
    resources: string[];
    /** The address whose interface the placeholder stands for. */
    placeholder: string | undefined;
    /** It may be another one, or not there at all, once the host has been looked at. */
    assumed: boolean;
}

/** The script. The same resources give the same text, in whatever order they come. */
export function shellScript({ resources: declared, hidden }: Declarations): string {
    const hosts = new Map<string, HostScript>();
    const asides: string[] = [];
    for (const each of [...declared].sort((a, b) => compare(labelOf(a), labelOf(b)))) {
        const trouble = collect(each, hosts);
        if (trouble !== undefined) asides.push(`${labelOf(each)} is left out: ${trouble}`);
    }
    const scripts = [...hosts.values()].sort((a, b) => -compare(a.role, b.role) || compare(a.name, b.name));
    const names = scripts.map(({ name }) => word(name));
    return [
        "#!/bin/sh",
        ...comment("#", [
            `What ${stackNameOf(declared)} stands for: the commands that fresh hosts would get, in their order. Made by \`lvs script\`, for a reviewer. \`pulumi up\` does more: it looks first and does only what is missing, keeps a ledger, reads back what it set, takes a failure back, and sets everything again at boot.`,
            "",
            "To run a host's part there: sh FILE HOST. Real servers come before their directors.",
            ...(hidden > 0
                ? [
                      "",
                      `${hidden} resources that stay as they are stand not in this preview: use \`pulumi preview --json --show-sames\` for the whole stack.`,
                  ]
                : []),
            ...asides.flatMap((aside) => ["", aside]),
        ]),
        'case "$1" in',
        ...scripts.flatMap(hostLines),
        `*) echo "usage: sh $0 HOST, where HOST is one of:"${names.map((name) => ` ${name}`).join("")} >&2; exit 2 ;;`,
        "esac",
        "",
    ].join("\n");
}

/** Adds what a resource wants of each host; says why it cannot. */
function collect(declared: Declared, hosts: Map<string, HostScript>): string | undefined {
    const resource = resources[declared.type];
    const { value, failures, unknown } = parseInputs(resource.schema, withHostNames(declared));
    if (failures.length > 0) return failures.map(({ property, reason }) => `${property} ${reason}`).join("; ");
    if (unknown) return "some of its inputs are secret, or not known yet";
    for (const part of resource.parts(value)) {
        const name = String(part.connection);
        const host = hosts.get(name) ?? { name, role: part.role, lines: new Map() };
        if (part.role === "director") host.role = "director";
        hosts.set(name, host);
        const sure = part.wants(undefined);
        const address = part.role === "realServer" ? String((value as { address?: unknown }).address) : undefined;
        const seen = address === undefined ? sure : part.wants(viewWith(address));
        for (const want of sure) add(host, want, declared, { placeholder: undefined, assumed: !seen.some(same(want)) });
        for (const want of seen) {
            if (!sure.some(same(want))) add(host, want, declared, { placeholder: address, assumed: false });
        }
    }
    return undefined;
}

/** A host of which nothing is known but that some interface has this address. */
function viewWith(address: string): HostView {
    const objects: Objects = new Map([
        ["address", new Map([[addressKey(PLACEHOLDER, address), { deprecated: false }]])],
    ]);
    return { probe: probeOf({}), objects };
}

function add({ lines }: HostScript, want: Want, declared: Declared, how: Pick<Line, "placeholder" | "assumed">): void {
    const key = `${want.kind} ${want.key} ${how.placeholder ?? ""}`;
    const line = lines.get(key) ?? { want, resources: [], ...how };
    line.resources.push(labelOf(declared));
    lines.set(key, line);
}

function same(want: Want): (other: Want) => boolean {
    return (other) => other.kind === want.kind && other.key === want.key;
}

function hostLines({ name, lines }: HostScript): string[] {
    const ordered = [...lines.values()].sort(
        (a, b) => rankOf(a) - rankOf(b) || compare(a.want.kind, b.want.kind) || compareKeys(a.want.key, b.want.key),
    );
    return [`${word(name)})`, "set -e", ...ordered.flatMap(objectLines), ";;"];
}

function objectLines({ want: { kind, key, value, leave }, resources: owners, placeholder, assumed }: Line): string[] {
    const row = kindOf(kind);
    const who = owners.length > 3 ? [...owners.slice(0, 3), `${owners.length - 3} more`] : owners;
    const later = leave === undefined ? "" : `; ${leave.join(", ")}: only to start with`;
    if (kind === "boot") {
        return comment("#", [
            `${row.describe(key)} (${who.join(", ")}): by \`pulumi up\` alone, it works from the ledger`,
        ]);
    }
    const commands = row.set(key, value, undefined).map((action: Action) => commandLine([action]));
    const said = comment("#", [`${row.describe(key)}${later} (${who.join(", ")})`]);
    if (kind === "table") said.push("# A host that has no nft gets the same by iptables and ip6tables.");
    if (assumed) said.push("# Assumed, for an interface with an MTU of 1500: only this host says.");
    if (placeholder === undefined) return [...said, ...commands];
    return [
        ...said,
        ...comment("#", [`Only this host says which interface has ${placeholder}: put it in for ${PLACEHOLDER}.`]),
        ...commands.flatMap((command) => command.split("\n").map((line) => `# ${line}`)),
    ];
}

function rankOf({ want }: Line): number {
    return kindOf(want.kind).rank(want.key);
}

function labelOf({ type, name }: Declared): string {
    return `${type} ${name}`;
}

function stackNameOf(declared: Declared[]): string {
    const stacks = declared.map(({ inputs }) => stackOf(String(inputs["owner"])));
    return [...new Set(stacks)].sort(compare).join(" and ") || "a stack without resources of pulumi-lvs";
}

/** The inputs with each connection as the name of its host: nothing else of it is looked at, it may hold secrets. */
function withHostNames({ inputs, name }: Declared): Record<string, unknown> {
    const named = (value: unknown, otherwise: string): unknown => {
        if (value === null || typeof value !== "object") return value;
        const given = value as Record<string, unknown>;
        return "connection" in given ? { ...given, connection: hostName(given["connection"], otherwise) } : given;
    };
    const { director: its, service } = inputs as Record<string, Record<string, unknown> | undefined>;
    const nameOf = (each: Record<string, unknown> | undefined) => String(each?.["name"] ?? name);
    return {
        ...(named(inputs, typeof inputs["name"] === "string" ? inputs["name"] : name) as Record<string, unknown>),
        ...(its === undefined ? {} : { director: named(its, nameOf(its)) }),
        ...(service === undefined
            ? {}
            : {
                  service: {
                      ...service,
                      director: named(service["director"], nameOf(service["director"] as Record<string, unknown>)),
                  },
              }),
    };
}

/** `otherwise`: where the connection is secret or not known. */
function hostName(connection: unknown, otherwise: string): unknown {
    if (connection === undefined) return undefined;
    if (typeof connection === "string") return connection === UNKNOWN ? otherwise : connection;
    const { host, port } = (connection ?? {}) as Record<string, unknown>;
    if (typeof host !== "string" || host === UNKNOWN) return otherwise;
    return typeof port === "number" && port !== 22 ? `${host}:${port}` : host;
}

/** A name as a word of the script, also in a pattern of `case`. */
function word(name: string): string {
    return `'${name.replaceAll("'", "'\\''")}'`;
}

function compare(a: string, b: string): number {
    return a < b ? -1 : a > b ? 1 : 0;
}

/** Numbers in keys by their value: `192.0.2.9` before `192.0.2.21`. */
function compareKeys(a: string, b: string): number {
    const padded = (key: string) => key.replace(/\d+/g, (digits) => digits.padStart(10, "0"));
    return compare(padded(a), padded(b));
}
