/**
 * The life of a resource over its hosts: create, read, update, delete, each a walk over its parts in order. Parts come in
 * the order of creation (real server, then director): what sends traffic is told last, and first when it ends.
 */

import { sameValue } from "../ipvs/model";
import { type Group, kindOf, type Value } from "../kinds";
import { hopWants } from "../kinds/hop";
import { isSameHost } from "../kinds/probe";
import type { Part } from "../kinds/want";
import type { Connection } from "../ssh/connection";
import { ConnectionError } from "../ssh/errors";
import { differences, type Identity } from "./drift";
import { LeftBehind, leftBehind, StepError, withAftermath } from "./errors";
import { type Host, type HostOptions, hostAt, type Outcome } from "./host";
import { fileName, type Owner } from "./ledger";
import { type Deed, drainOf, plan, type Request } from "./plan";
import type { HostState } from "./state";

export type HostPart = Part<Connection>;

/** How a resource means what it declares. */
export interface Manner {
    adopt: boolean;
    deleteForeign: boolean;
}

export interface Surroundings extends HostOptions {
    /** `lvs:onUnreachable`. */
    onUnreachable: "fail" | "forget";
}

interface Doing {
    identity: Identity;
    manner: Manner;
    around: Surroundings;
    deeds: { host: Host; deed: Deed }[];
    /** See {@link Request.departing}. */
    departing?: boolean;
    /** All parts, where one may have to look at another. */
    parts?: HostPart[];
}

/** Makes a resource; returns the states of its hosts, in the order of the parts. */
export async function create(
    identity: Identity,
    parts: HostPart[],
    manner: Manner,
    around: Surroundings,
): Promise<HostState[]> {
    const hosts = byHost(parts, around);
    return undoing({ identity, manner, around, deeds: [], parts: hosts }, async (doing) => {
        const states: HostState[] = [];
        for (const part of hosts) states.push((await carryOut(doing, part, "all", true)).state);
        return states;
    });
}

/**
 * A director that is a real server, too, has both parts of a rule: they are one, because a host has one ledger file for
 * a resource.
 */
function byHost(parts: HostPart[], around: Surroundings): HostPart[] {
    const hosts = new Map<Host, HostPart[]>();
    for (const part of parts) {
        const host = hostOf(part, around);
        hosts.set(host, [...(hosts.get(host) ?? []), part]);
    }
    return [...hosts.values()].map((list) => (list.length === 1 ? list[0]! : joined(list)));
}

function joined(parts: HostPart[]): HostPart {
    const last = parts.at(-1)!;
    return {
        ...last,
        boot: parts.some(({ boot }) => boot),
        settings: parts.flatMap(({ settings }) => settings),
        drain: Math.max(...parts.map(({ drain }) => drain)),
        drains: drainsOf(parts),
        wants: (view) => parts.flatMap((part) => part.wants(view)),
        findings: (view) => parts.flatMap((part) => part.findings(view, part === last ? undefined : view)),
    };
}

/** A resource as its state has it. */
export interface Former {
    identity: Identity;
    parts: HostPart[];
    /** Its create broke off: where it has no ledger file, none was lost. */
    unfinished?: boolean;
}

/** The hosts after an update, in the order of the parts. */
export interface Updated {
    /** Undefined: a real server's own host that was passed over, as `lvs:onUnreachable` says. */
    states: (HostState | undefined)[];
    /** What was therefore not done, as drift: it is tried again by the next update. */
    drift: Record<string, Value>;
}

const drainsOf = (parts: HostPart[]) => new Map(parts.flatMap(({ drains }) => [...(drains ?? [])]));

/** Claims what is new, changes what differs in place, releases what is gone, in this order across the hosts. */
export async function update(
    identity: Identity,
    before: Former,
    wanted: HostPart[],
    manner: Manner,
    around: Surroundings,
): Promise<Updated> {
    const former = { identity: before.identity, parts: byHost(before.parts, around) };
    /** What the resource had on the host of a part. */
    const had = (part: HostPart) => former.parts.filter((old) => hostOf(old, around) === hostOf(part, around));
    // A service that is gone is drained as it was declared.
    const parts = byHost(wanted, around).map((part) => ({ ...part, drains: drainsOf([...had(part), part]) }));
    const turning = parts.map((part) => ({ part, keys: turned(former.parts, part) }));
    const formerly = fileName(former.identity) === fileName(identity) ? undefined : former.identity;
    return undoing({ identity, manner, around, deeds: [], parts }, async (doing) => {
        const outcomes = new Map<HostPart, Outcome>();
        for (const { part, keys } of turning) {
            // Where it had nothing so far, no ledger file is missing: what is there now is what it finds.
            // Some wants follow from what the host shows: an IPv6 real server by nat has no others.
            const isNew = (state?: HostState) =>
                before.unfinished === true || !had(part).some((old) => old.wants(state).length > 0);
            const phase = part.role === "director" && !isNew() && keys.size === 0 ? "all" : "claim";
            const work = () => carryOut(doing, bridged(part, keys), phase, isNew, formerly);
            // The director must hear of a change though the real server is dead. A host that it never had is no dead one.
            const mayBeDead = part.role === "realServer" && had(part).length > 0;
            if (mayBeDead) await directorOf(parts, part, around);
            const outcome = mayBeDead ? await forgiving(around, part, work, undone(part)) : await work();
            if (outcome !== undefined) outcomes.set(part, outcome);
        }
        /** Real servers whose former connections are not over yet. */
        const lasting = new Map<HostPart, ReadonlyMap<string, Ways>>();
        const waits = turning.some(({ keys }) => bridges(keys).length > 0);
        if (waits || [...outcomes.values()].some(({ pending }) => pending > 0)) {
            for (const { part, keys } of turning) {
                const seconds = Math.max(0, ...[...keys.keys()].map((key) => drainOf(part, key)));
                if (seconds > 0 && !(await hostOf(part, around).outlast([...keys.keys()], seconds)))
                    lasting.set(part, keys);
            }
        }
        for (const { part, keys } of [...turning].reverse()) {
            if ((outcomes.get(part)?.pending ?? 0) === 0 && bridges(keys).length === 0) continue;
            const rest = bridged(part, lasting.get(part) ?? new Map());
            outcomes.set(part, await carryOut(doing, rest, "all", false, formerly));
        }
        for (const old of [...former.parts].reverse()) {
            const sameHost = parts.find((part) => hostOf(old, around) === hostOf(part, around));
            if (sameHost !== undefined) continue;
            // Another way to the same machine finds its ledger there: nothing moved, nothing is released.
            const moved = parts.find((part) => part.role === old.role);
            if (moved !== undefined && outcomes.get(moved)?.known === true) continue;
            await forgiving(around, old, async () => {
                const { probe } = await hostOf(old, around).read(old.settings, groupsOf(old));
                if ([...outcomes.values()].some(({ state }) => isSameHost(state.probe, probe))) return undefined;
                return carryOut({ ...doing, identity: former.identity, departing: true }, old, "delete", false);
            });
        }
        const passedOver = parts.filter((part) => !outcomes.has(part));
        return {
            states: parts.map((part) => outcomes.get(part)?.state),
            drift: Object.fromEntries(passedOver.map((part) => [hostOf(part, around).name, "not reached"])),
        };
    });
}

/** What an update does not do on a host that is passed over, in a person's words. */
function undone(part: HostPart): string {
    const wants = part.wants(undefined).map(({ kind, key }) => kindOf(kind).describe(key));
    return `Not done there: ${wants.join(", ") || "nothing"}; the next update tries again.`;
}

/** A real server's former and new forwarding method. */
type Ways = readonly [string, string];

/**
 * Real servers that get their packets another way from now on. Connections that are there go on by the old way, so what
 * that needs (VIP, tunnel, forwarding) is taken down only after them.
 */
function turned(former: HostPart[], part: HostPart): Map<string, Ways> {
    if (part.role !== "director") return new Map();
    const before = former.filter(({ role }) => role === "director").flatMap((old) => old.wants(undefined));
    return new Map(
        part.wants(undefined).flatMap((want): [string, Ways][] => {
            if (want.kind !== "destination") return [];
            const old = before.find(({ kind, key }) => kind === want.kind && key === want.key);
            if (old === undefined || sameValue(wayOf(old), wayOf(want))) return [];
            return [[want.key, [wayOf(old)[0], wayOf(want)[0]]]];
        }),
    );
}

function wayOf({ value }: { value: Value }): [string, Value] {
    const { forwarding, tunnel } = value as Record<string, Value>;
    return [String(forwarding), tunnel ?? null];
}

/** Those that have connections by dr and by another method for a while. */
function bridges(turning: ReadonlyMap<string, Ways>): string[] {
    return [...turning].filter(([, ways]) => ways.includes("dr")).map(([key]) => key);
}

/** A director with the routes by which dr and another method get along. */
function bridged(part: HostPart, turning: ReadonlyMap<string, Ways>): HostPart {
    const keys = bridges(turning);
    if (keys.length === 0) return part;
    return { ...part, wants: (view) => [...part.wants(view), ...hopWants(keys, view)] };
}

/** Releases what the resource claims, on the director first. */
export async function remove(
    identity: Identity,
    parts: HostPart[],
    manner: Manner,
    around: Surroundings,
): Promise<void> {
    const doing: Doing = { identity, manner, around, deeds: [] };
    const hosts = byHost(parts, around);
    if (hosts.length > 1) for (const part of hosts) await rehearse(doing, part);
    const kept: string[] = [];
    // What was done before a later host failed stays done: it is durable, and the next attempt finds it so.
    for (const part of hosts.reverse()) {
        const outcome = await forgiving(around, part, () => carryOut(doing, part, "delete", false));
        if (outcome === undefined) continue;
        if (part.role === "director") kept.push(...keptRules(part, outcome));
        else if (kept.length > 0) sayUnready(doing, part, outcome, kept);
    }
}

/** Rules that stay, because somebody else declares them, too. */
function keptRules(part: HostPart, { state, deed }: Outcome): string[] {
    const goes = ({ kind, key }: { kind: string; key: string }) =>
        deed.changes.some((change) => change.kind === kind && change.key === key && change.after === undefined);
    return part
        .wants(undefined)
        .filter((want) => want.kind === "destination" && state.objects.get(want.kind)?.has(want.key) && !goes(want))
        .map(({ kind, key }) => kindOf(kind).describe(key));
}

/** A real server that is sent packets still, and has lost what takes them in. */
function sayUnready({ identity, around }: Doing, part: HostPart, { deed }: Outcome, kept: string[]): void {
    const lost = deed.changes
        .filter(({ kind, after }) => (kind === "address" || kind === "redirect") && after === undefined)
        .map(({ kind, key }) => kindOf(kind).describe(key));
    if (lost.length === 0) return;
    around.say(
        `warning: ${hostOf(part, around).name}: ${identity.id}: ${kept.join(", ")} stays on the director, for it is declared elsewhere, too; what took its packets in is gone from here: ${lost.join(", ")}`,
    );
}

/** What a host must not give up now is refused before a rule goes that another host has. */
async function rehearse(doing: Doing, part: HostPart): Promise<void> {
    if (!part.wants(undefined).some(({ kind }) => kindOf(kind).refuses !== undefined)) return;
    const host = hostOf(part, doing.around);
    // That it does not answer is met, and told, when its turn comes.
    const state = await host.read(part.settings, groupsOf(part)).catch(() => undefined);
    if (state !== undefined) plan({ ...requestOf(doing, part, "delete"), creating: false }, state);
}

export interface Reading {
    /** Undefined: some host was not reached, and `lvs:onUnreachable` is `forget`. */
    states: HostState[] | undefined;
    /** The hosts answered, and nothing of the resource is there. */
    gone: boolean;
    /** What differs: the object, and what was found. */
    drift: Record<string, Value>;
    /** Found values by `kind key`, of what differs. */
    found: Map<string, Value | undefined>;
}

/** Compares the hosts with what is declared. */
export async function read(identity: Identity, wanted: HostPart[], around: Surroundings): Promise<Reading> {
    const parts = byHost(wanted, around);
    const states: HostState[] = [];
    for (const part of parts) {
        const state = await forgiving(around, part, () => hostOf(part, around).read(part.settings, groupsOf(part)));
        if (state === undefined) return { states: undefined, gone: false, drift: {}, found: new Map() };
        states.push(state);
    }
    const looks = parts.map((part, index) => {
        const state = states[index]!;
        return differences(hostOf(part, around).name, identity, part.wants(state), state);
    });
    for (const note of looks.flatMap(({ notes }) => notes)) around.say(note);
    const gone = !looks.some(({ there }) => there);
    return {
        states,
        gone,
        drift: gone ? {} : Object.assign({}, ...looks.map(({ drift }) => drift)),
        found: new Map(looks.flatMap(({ found }) => [...found])),
    };
}

/** What has to be read of a host for a part; a director's rules always. */
function groupsOf(part: HostPart): Group[] {
    const wanted = part.wants(undefined).flatMap(({ kind }) => kindOf(kind).group ?? []);
    return [...new Set<Group>([...(part.role === "director" ? ["ipvs" as const] : []), ...wanted])];
}

function hostOf(part: HostPart, around: Surroundings): Host {
    return hostAt(part.connection, around);
}

function requestOf(
    { identity, manner, around, departing }: Doing,
    part: HostPart,
    phase: Request["phase"],
    formerly?: Owner,
): Omit<Request, "creating"> {
    return {
        ...identity,
        host: hostOf(part, around).name,
        phase,
        adopt: manner.adopt,
        deleteForeign: manner.deleteForeign,
        boot: part.boot,
        drain: part.drain,
        drains: drainsOf([part]),
        ...(departing === true ? { departing: true } : {}),
        ...(formerly === undefined ? {} : { formerly }),
        wants: (state) => part.wants(state),
    };
}

async function carryOut(
    doing: Doing,
    part: HostPart,
    phase: Request["phase"],
    creating: boolean | ((state: HostState) => boolean),
    formerly?: Owner,
): Promise<Outcome> {
    const { identity, around } = doing;
    const host = hostOf(part, around);
    const request = requestOf(doing, part, phase, formerly);
    const said = new Set<string>();
    const director = phase === "delete" ? undefined : await directorOf(doing.parts ?? [], part, around);
    const outcome = await host.submit({
        says: `${phase === "delete" ? "release" : creating === true ? "create" : "update"} ${identity.id}`,
        settings: part.settings,
        groups: [...groupsOf(part), ...(phase === "delete" ? [] : ["kernel" as const])],
        plan: (state) => {
            if (phase !== "delete") {
                for (const finding of part.findings(state, director)) {
                    if (finding.severity === "error") {
                        throw new StepError(
                            finding.code,
                            host.name,
                            identity.id,
                            finding.message,
                            "Nothing was touched.",
                        );
                    }
                    said.add(`warning: ${host.name}: ${identity.id}: ${finding.message} [${finding.code}]`);
                }
            }
            return plan({ ...request, creating: creating === true || (creating !== false && creating(state)) }, state);
        },
    });
    for (const line of [...said, ...outcome.notes]) around.say(line);
    doing.deeds.push({ host, deed: outcome.deed });
    return outcome;
}

/** The director as it is, for the checks of a real server's own side: some need both ends. */
async function directorOf(parts: HostPart[], part: HostPart, around: Surroundings): Promise<HostState | undefined> {
    const director = part.role === "director" ? undefined : parts.find(({ role }) => role === "director");
    if (director === undefined) return undefined;
    const host = hostOf(director, around);
    return host.lastSeen ?? host.read(director.settings, groupsOf(director));
}

/** Takes back what was done on the other hosts when one of them fails. */
async function undoing<T>(doing: Doing, work: (doing: Doing) => Promise<T>): Promise<T> {
    try {
        return await work(doing);
    } catch (error) {
        const troubles: string[] = [];
        let left = error instanceof LeftBehind;
        for (const { host, deed } of [...doing.deeds].reverse()) {
            try {
                const notes = await host.undo(deed);
                troubles.push(`On ${host.name} it was taken back (compensated).`, ...notes);
            } catch (second) {
                left = true;
                const what = deed.changes.map(({ kind, key }) => `${kind} ${key}`).join(", ");
                troubles.push(
                    `On ${host.name} taking it back failed: ${(second as Error).message}. Left there: ${what || "ledger files"}.`,
                );
            }
        }
        const aftermath = troubles.join("\n  ");
        throw left ? leftBehind(error, aftermath) : withAftermath(error, aftermath);
    }
}

/** Under `lvs:onUnreachable: forget` a host that cannot be reached is passed over, with a warning; `more`: what it also says. */
async function forgiving<T>(
    around: Surroundings,
    part: HostPart,
    work: () => Promise<T>,
    more = "",
): Promise<T | undefined> {
    try {
        return await work();
    } catch (error) {
        const cause = error instanceof LeftBehind ? error.cause : error;
        if (!(cause instanceof ConnectionError) || cause.kind !== "unreachable") throw error;
        if (around.onUnreachable === "fail") {
            throw withAftermath(
                error,
                "If this host is gone for good, run it again with the config lvs:onUnreachable set to forget.",
            );
        }
        around.say(
            `warning: ${hostOf(part, around).name} is not reachable and is passed over (lvs:onUnreachable is forget): ${cause.message}${more === "" ? "" : `\n  ${more}`}`,
        );
        return undefined;
    }
}
