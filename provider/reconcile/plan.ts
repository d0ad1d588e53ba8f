/**
 * From what is wanted and what is there to what is done: pure. One function serves create, update, delete and repair of
 * every resource, because all of them are: "this is what I want of this host now".
 */
import { kernelAddress } from "../ipvs/address";
import { parseDestinationKey } from "../ipvs/model";
import { type Action, isKind, kindOf, type ManagedObject, type Objects, type Place, type Value } from "../kinds";
import { ranks } from "../kinds/kind";
import { fact } from "../kinds/probe";
import type { Want } from "../kinds/want";
import { StepError } from "./errors";
import { type Claim, describeOwner, type Found, fileName, type LedgerFile, type Owner, stackOf } from "./ledger";
import { commandLine } from "./shell";
import { type HostState, holders, hostTime, machineOf, underMaintenance, valueAt } from "./state";

/** What one resource asks of one host. */
export interface Request extends Owner {
    /** The host's name in messages. */
    host: string;
    token: string;
    /** `claim`: take and change, release nothing yet; `all`: also release what is not wanted; `delete`: release all. */
    phase: "claim" | "all" | "delete";
    /** What is wanted, of the host as it is now. */
    wants(state: HostState): Want[];
    /** A resource that was made just now: what exists unclaimed is not its own. */
    creating: boolean;
    /** Take over rules that exist unclaimed. */
    adopt: boolean;
    /** Remove a service even if real servers are on it that nobody declared. */
    deleteForeign: boolean;
    /** The resource moves to another machine: what its stack still has on its services here is about to follow. */
    departing?: boolean;
    /** Set again at boot. */
    boot: boolean;
    /** Seconds to wait for a real server's connections before it is removed; 0: none. */
    drain: number;
    /** The same by the service's key, for services that have seconds of their own. */
    drains?: ReadonlyMap<string, number>;
    /** Under which it was known before, where its stack or URN changed. */
    formerly?: Owner;
}

/** One thing to do, as data. */
export interface Step {
    kind: string;
    key: string;
    before: Value | undefined;
    after: Value | undefined;
    actions: Action[];
    rank: number;
    release: boolean;
    /** In a person's words. */
    says: string;
    /** A real server that is removed only once it has no active connections. */
    drained: boolean;
}

export type FileChanges = ReadonlyMap<string, LedgerFile | undefined>;

export interface Plan {
    steps: Step[];
    /** Ledger files while the steps run, and afterwards, by name; undefined: no file. Others stay as they are. */
    during: FileChanges;
    afterwards: FileChanges;
    /** Lines for the user. */
    notes: string[];
    /** The plan stops early because modules must be loaded before the rest can be read. */
    partial: boolean;
    /** Claims that are not wanted any more and are released in a later phase. */
    pending: number;
    /** The objects after the steps, for the plans that follow in the same batch. */
    next: HostState;
    /** What has to be true afterwards: a value, or undefined for absent. */
    goals: { kind: string; key: string; value: Value | undefined }[];
}

/** Whether what the host has is what is wanted. */
export function satisfied(kind: string, key: string, want: Value, have: Value | undefined): boolean {
    if (have === undefined) return false;
    const row = kindOf(kind);
    return row.satisfied === undefined
        ? JSON.stringify(sorted(want)) === JSON.stringify(sorted(have))
        : row.satisfied(want, have, key);
}

/** What sets parts of an object right whose value is what is wanted. `wants`: what else is wanted with it. */
export function mending(
    state: HostState,
    wants: readonly Place[],
    { kind, key, value }: ManagedObject,
    have: Value | undefined,
): Action[] {
    const row = kindOf(kind);
    if (row.mend === undefined || have === undefined) return [];
    const claims = [...state.ledger.values()].flatMap((file) => file.claims);
    const found = claims.find((claim) => sameplace(claim, { kind, key }))?.found;
    if (found?.state !== "present") return [];
    return row.mend(key, value, have, found.value, (place) =>
        [...claims, ...wants].some((each) => sameplace(each, place)),
    );
}

function sorted(value: Value): Value {
    if (Array.isArray(value)) return value.map(sorted);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
        Object.keys(value)
            .sort()
            .map((name) => [name, sorted(value[name]!)]),
    );
}

export function plan(request: Request, state: HostState): Plan {
    refuseUnreadable(request.host, state, request.phase === "delete");
    const name = fileName(request);
    const formerName = request.formerly === undefined ? undefined : fileName(request.formerly);
    const notes: string[] = [];
    const own = state.ledger.get(name);
    const former = formerName === undefined || formerName === name ? undefined : state.ledger.get(formerName);
    const base = own ?? former;
    const others = new Map([...state.ledger].filter(([each]) => each !== name && each !== formerName));
    const marks = underMaintenance(state.ledger);
    const scene: Scene = { request, state, base, others, notes, marks };

    if (request.phase === "delete" && (base === undefined ? state.hasLedger : base.token !== request.token)) {
        const left = base === undefined ? unclaimed(request, state) : [];
        if (base !== undefined) {
            notes.push(`${request.host}: ${request.id} was taken over by a newer incarnation: nothing is released`);
        } else if (left.length > 0) {
            notes.push(
                `warning: ${request.host}: the ledger has no file of ${request.id}: nothing is released, and these are left, which may be its own: ${left.join(", ")}`,
            );
        }
        return {
            steps: [],
            during: new Map(),
            afterwards: new Map(),
            notes,
            partial: false,
            pending: 0,
            next: state,
            goals: [],
        };
    }
    if (base !== undefined) refuseUnknownKinds(request.host, base);
    if (request.creating && base !== undefined && base.token !== request.token) {
        notes.push(
            `${request.host}: ${request.id} takes over from an earlier incarnation of ${describeOwner(base.owner)}`,
        );
    }
    if (!request.creating && base === undefined && request.phase !== "delete") {
        notes.push(`${request.host}: ${request.id} had no ledger file: rebuilt`);
    }

    let wants = request.phase === "delete" ? [] : oncePerPlace(request.wants(state));
    const modulesFirst = needsModulesFirst(wants, state);
    if (modulesFirst) wants = wants.filter((want) => kindOf(want.kind).rank(want.key) <= ranks.module);

    markNewcomers(scene, wants);
    const claims: Claim[] = [];
    const steps: Step[] = [];
    const goals: Plan["goals"] = [];
    for (const want of [...wants].sort((a, b) => rankOf(a) - rankOf(b))) {
        const { claim, value, step } = claimObject(scene, want, wants);
        claims.push(claim);
        goals.push({ kind: claim.kind, key: claim.key, value });
        if (step !== undefined) steps.push(step);
    }
    const kept = (base?.claims ?? lost(scene)).filter((old) => !claims.some((claim) => sameplace(claim, old)));
    if (!modulesFirst) for (const claim of kept) refuseHeld(scene, claim);
    const releases = request.phase === "claim" || modulesFirst ? [] : kept;
    if (releases.length > 0) refuseUnreadable(request.host, state, true);
    refuseWithoutTools(request, state, [...claims, ...releases]);
    const releasing = [...releases]
        .sort((a, b) => b.rank - a.rank)
        .flatMap((claim) => releaseObject(scene, claim, releases));
    // What carries connections to a real server stays until they have ended: service, VIP and the rest go in a next pass.
    const waiting = releasing.filter((step) => step.drained);
    const drainsFirst = waiting.length > 0 && waiting.length < releasing.length;
    for (const step of drainsFirst ? waiting : releasing) {
        steps.push(step);
        goals.push({ kind: step.kind, key: step.key, value: step.after });
    }
    const partial = modulesFirst || drainsFirst;
    if (request.phase !== "delete") notes.push(...emptied(request, state, steps));

    const changed = steps.some((step) => !step.release);
    const file = (list: Claim[]): LedgerFile | undefined =>
        list.length === 0
            ? undefined
            : marked(
                  {
                      owner: request.owner,
                      id: request.id,
                      token: request.phase === "delete" ? (base?.token ?? request.token) : request.token,
                      sequence:
                          base !== undefined && base.token === request.token && !changed
                              ? base.sequence
                              : 1 + Math.max(0, ...[...state.ledger.values()].map((each) => each.sequence)),
                      machine: machineOf(state),
                      boot: request.boot,
                      maintenance: base?.maintenance ?? [],
                      claims: list,
                  },
                  marks,
              );
    const during = file([...claims, ...kept]);
    const afterwards = file([...done(claims), ...(request.phase === "claim" || partial ? kept : [])]);
    const final: FileChanges = new Map([
        [name, afterwards],
        ...(former === undefined ? [] : [[formerName!, undefined] as const]),
    ]);
    return {
        steps,
        during: new Map([[name, draining(during, base, steps, request, state)]]),
        afterwards: final,
        notes,
        partial,
        pending: kept.length - releases.length,
        next: project(state, steps, final),
        goals,
    };
}

/** What a resource wants and the host has, though no file claims it. */
function unclaimed(request: Request, state: HostState): string[] {
    return request
        .wants(state)
        .filter(({ kind }) => ["rule", "thing"].includes(kindOf(kind).nature))
        .filter(({ kind, key }) => valueAt(state, kind, key) !== undefined)
        .filter(({ kind, key }) => holders(state.ledger, kind, key).length === 0)
        .map(({ kind, key }) => kindOf(kind).describe(key));
}

/** Seconds to wait for a real server's connections, by its key. */
export function drainOf({ drain, drains }: Pick<Request, "drain" | "drains">, key: string): number {
    return drains?.get(parseDestinationKey(key, kernelAddress).service) ?? drain;
}

/**
 * The file while real servers are drained: it keeps the deadline, so that a later attempt goes on waiting, and a reboot
 * in between brings them back with weight 0.
 */
function draining(
    file: LedgerFile | undefined,
    base: LedgerFile | undefined,
    steps: Step[],
    request: Request,
    state: HostState,
): LedgerFile | undefined {
    const drained = new Set(steps.filter((step) => step.drained).map(({ key }) => key));
    const [first] = drained;
    if (file === undefined || first === undefined) return file;
    const claims = file.claims.map((claim) =>
        claim.kind === "destination" && drained.has(claim.key) ? booting(claim, true) : claim,
    );
    const begun = base?.draining;
    const until = hostTime(state) + Math.max(...[...drained].map((key) => drainOf(request, key)));
    // A clock that was set back meanwhile would else have it wait for as long as that.
    if (begun !== undefined && drained.has(begun.key)) {
        return { ...file, claims, draining: { key: begun.key, until: Math.min(begun.until, until) } };
    }
    return { ...file, claims, draining: { key: first, until } };
}

/** A service whose last real server goes refuses everybody: worth a word. */
function emptied({ host }: Request, state: HostState, steps: Step[]): string[] {
    const gone = steps.filter(({ kind, after }) => kind === "destination" && after === undefined);
    const services = new Set(gone.map(({ key }) => kindOf("destination").parent!(key).key));
    return [...services].flatMap((key) => {
        const left = childrenOf(state.objects, { kind: "service", key }).filter(
            (child) => !gone.some((step) => sameplace(step, child)),
        );
        return left.length > 0 ? [] : [`warning: ${host}: virtual service ${key} has no real server left`];
    });
}

interface Scene {
    request: Request;
    state: HostState;
    base: LedgerFile | undefined;
    others: ReadonlyMap<string, LedgerFile>;
    notes: string[];
    /** The destinations that are under maintenance. */
    marks: Set<string>;
}

/**
 * A file as it has to be with these marks: each destination of it that is under maintenance is marked, and comes back at
 * boot with weight 0. Its claim keeps the value that was declared.
 */
export function marked(file: LedgerFile, marks: ReadonlySet<string>): LedgerFile {
    const rests = ({ kind, key }: Claim) => kind === "destination" && marks.has(key);
    return {
        ...file,
        maintenance: file.claims.filter(rests).map(({ key }) => key),
        claims: file.claims.map((claim) =>
            rests(claim) === file.maintenance.includes(claim.key) ? claim : booting(claim, rests(claim)),
        ),
    };
}

/** A claim that comes back at boot with what was declared, or with weight 0. */
function booting(claim: Claim, rests: boolean): Claim {
    return { ...claim, command: bootCommand(claim.kind, claim.key, atRest(claim.value, rests)) };
}

/** A real server whose destinations on this host are all under maintenance is under maintenance for a new service too. */
function markNewcomers({ request, state, notes, marks }: Scene, wants: Want[]): void {
    if (marks.size === 0) return;
    const known = [...state.ledger.values()].flatMap(({ claims }) =>
        claims.filter(({ kind }) => kind === "destination").map(({ key }) => key),
    );
    for (const { kind, key } of wants) {
        if (kind !== "destination" || known.includes(key)) continue;
        const beside = known.filter((each) => addressOf(each) === addressOf(key));
        if (beside.length === 0 || !beside.every((each) => marks.has(each))) continue;
        marks.add(key);
        notes.push(`${request.host}: real server ${key} begins under maintenance, as the others of its address`);
    }
}

/** The address of a destination's real server. */
export function addressOf(key: string): string {
    return parseDestinationKey(key, kernelAddress).address;
}

/** A newer format stops everything; a damaged file stops releases, which it might have a say in. */
export function refuseUnreadable(
    host: string,
    { unreadable }: Pick<HostState, "unreadable">,
    releasing: boolean,
): void {
    for (const { newer, message, file } of unreadable.values()) {
        if (newer) throw newerLedger(host, message);
        if (!releasing) continue;
        throw new StepError(
            "LVS-LEDGER-DAMAGED",
            host,
            "reading the ledger",
            message,
            "`pulumi up --refresh` of the resource that it belongs to writes it anew; if there is none, " +
                `\`npx lvs claims release HOST ${file}\` forgets it. Nothing was touched.`,
        );
    }
}

/** What a newer version claims, this one can neither keep nor release. */
function refuseUnknownKinds(host: string, file: LedgerFile): void {
    const unknown = file.claims.find(({ kind }) => !isKind(kind));
    if (unknown === undefined) return;
    const what = `it claims ${unknown.kind} ${unknown.key}, of a kind that this version does not know`;
    throw newerLedger(host, `ledger file ${fileName(file)}: ${what}: a newer pulumi-lvs wrote it`);
}

function newerLedger(host: string, reason: string): StepError {
    const remedy = "Use the pulumi-lvs version that wrote it, or a later one; nothing was touched.";
    return new StepError("LVS-LEDGER-NEWER", host, "reading the ledger", reason, remedy);
}

/** Without its tool an object cannot be read either: it would seem to be gone, and be forgotten where it stands. */
function refuseWithoutTools(request: Request, state: HostState, objects: { kind: string; key: string }[]): void {
    if (fact(state.probe, "release") === undefined) return;
    for (const { kind, key } of objects) {
        const { tool, describe } = kindOf(kind);
        const needed = typeof tool === "function" ? tool(key) : tool;
        if (needed === undefined || fact(state.probe, `tool.${needed}`) !== undefined) continue;
        throw new StepError(
            "LVS-TOOL",
            request.host,
            describe(key),
            `the host has no \`${needed}\``,
            "Install it on the host (Debian: ipvsadm, nftables or iptables, iproute2); nothing was touched.",
        );
    }
}

/** Two parts of a resource may want one object: it is one claim. */
function oncePerPlace(wants: Want[]): Want[] {
    return [...new Map(wants.map((want) => [`${want.kind} ${want.key}`, want])).values()];
}

function rankOf(want: ManagedObject): number {
    return kindOf(want.kind).rank(want.key);
}

function sameplace(a: { kind: string; key: string }, b: { kind: string; key: string }): boolean {
    return a.kind === b.kind && a.key === b.key;
}

/** Settings that a module brings must be read before they are claimed: else what was found would be lost. */
function needsModulesFirst(wants: Want[], state: HostState): boolean {
    const missing = wants.some(
        ({ kind, key }) => (kind === "module" || kind === "parameter") && valueAt(state, kind, key) === undefined,
    );
    return (
        missing &&
        wants.some(
            ({ kind, key }) =>
                kindOf(kind).nature === "setting" &&
                kindOf(kind).unset === undefined &&
                kindOf(kind).rank(key) !== ranks.linkSetting &&
                valueAt(state, kind, key) === undefined,
        )
    );
}

/** The claim of what is wanted, the value that the host is to have now, and the step to it. */
function claimObject(scene: Scene, given: Want, all: Want[]): { claim: Claim; value: Value; step: Step | undefined } {
    const { request, state, base, others, marks } = scene;
    const row = kindOf(given.kind);
    const { kind, key } = given;
    const have = valueAt(state, kind, key);
    const previous = base?.claims.find((claim) => sameplace(claim, given));
    const sharers = holders(others, kind, key);
    const rests = kind === "destination" && marks.has(key);
    // What somebody else moves is, under maintenance, as it was before.
    const want = leaving(given, rests ? (previous ?? sharers[0]?.claim)?.value : have);
    const value = atRest(want, rests);
    if (rests && !satisfied(kind, key, want, value)) {
        scene.notes.push(
            `${request.host}: ${row.describe(key)} is under maintenance, its weight stays 0 until \`lvs undrain ${addressOf(key)}\``,
        );
    }
    const stack = stackOf(request.owner);

    for (const { file, claim } of sharers) {
        if (stackOf(file.owner) === stack || row.clashes === false) continue;
        const same = satisfied(kind, key, want, claim.value) || satisfied(kind, key, claim.value, want);
        if (same && kind !== "destination") continue;
        throw new StepError(
            "LVS-CLASH",
            request.host,
            row.describe(key),
            same
                ? `it belongs to ${describeOwner(file.owner)}`
                : `${describeOwner(file.owner)} wants ${show(claim.value, kind)}, ${describeOwner(request.owner)} wants ${show(want, kind)}`,
            "One object has one value on a host: let both stacks declare the same, or let one of them do it.",
        );
    }
    if (row.nature === "rule" && have !== undefined && previous === undefined && sharers.length === 0) {
        // An update whose file is there knows what is its own; one whose file was lost does not.
        if ((request.creating || base !== undefined) && !request.adopt) {
            throw new StepError(
                "LVS-EXISTS",
                request.host,
                row.describe(key),
                `it exists and nobody declared it: the host has ${show(have, kind)}, wanted is ${show(want, kind)}`,
                "Set `adopt: true` to take it over (destroy then removes it), or remove it by hand.",
            );
        }
        if (request.creating) scene.notes.push(`${request.host}: ${row.describe(key)} is adopted`);
    }
    const parent = row.parent?.(key);
    if (
        parent !== undefined &&
        valueAt(state, parent.kind, parent.key) === undefined &&
        !all.some((each) => sameplace(each, parent))
    ) {
        throw new StepError(
            "LVS-NO-SERVICE",
            request.host,
            row.describe(key),
            `${kindOf(parent.kind).describe(parent.key)} is not there`,
            "Run `pulumi up --refresh`: the resource that declares it makes it anew.",
        );
    }
    const found: Found =
        previous?.found ??
        sharers.find(({ claim }) => claim.found.state !== "unknown")?.claim.found ??
        (have === undefined || row.nature === "rule" || row.ours?.(key) === true
            ? { state: "absent" }
            : (request.creating || base !== undefined) && state.unreadable.size === 0
              ? { state: "present", value: have }
              : { state: "unknown" });
    // A run that ends between this claim and the change leaves the former value: it is ours too, and is not kept.
    const oursUntil =
        have !== undefined && !satisfied(kind, key, value, have) && previous !== undefined && isOurs(previous, have)
            ? have
            : undefined;
    const actions = satisfied(kind, key, value, have)
        ? mending(state, all, { kind, key, value }, have)
        : row.set(key, value, have);
    return {
        claim: {
            rank: row.rank(key),
            kind,
            key,
            value: want,
            found,
            ...(oursUntil === undefined ? {} : { was: oursUntil }),
            command: bootCommand(kind, key, value),
        },
        value,
        step:
            actions.length === 0
                ? undefined
                : makeStep(kind, key, have, value, actions, false, have === undefined ? "add" : "change"),
    };
}

/** The ready command that sets an object at boot. */
function bootCommand(kind: string, key: string, value: Value): string {
    const row = kindOf(kind);
    return commandLine((row.boot ?? ((each: string, wanted: Value) => row.set(each, wanted, undefined)))(key, value));
}

/** The value with the members that somebody else moves as they are now. */
export function leaving({ value, leave = [] }: Pick<Want, "value" | "leave">, now: Value | undefined): Value {
    if (leave.length === 0 || now === null || typeof now !== "object" || Array.isArray(now)) return value;
    const same = Object.fromEntries(leave.flatMap((member) => (member in now ? [[member, now[member]!]] : [])));
    return { ...(value as Record<string, Value>), ...same };
}

/** A real server's value while it is to get no new connections: under maintenance, or while it is drained. */
export function atRest<V extends Value | undefined>(value: V, rests = true): V {
    return rests && value !== null && typeof value === "object" && "weight" in value ? { ...value, weight: 0 } : value;
}

/** Whether the host has what this claim asks for, or asked for before a change that did not come to its end. */
function isOurs({ kind, key, value, was }: Claim, have: Value): boolean {
    return satisfied(kind, key, value, have) || (was !== undefined && satisfied(kind, key, was, have));
}

/** The claims once their changes are done. */
function done(claims: Claim[]): Claim[] {
    return claims.map(({ was: _, ...claim }) => claim);
}

function releaseObject(scene: Scene, claim: Claim, releases: Claim[]): Step[] {
    const { request, state, others, notes, marks } = scene;
    const { kind, key, found } = claim;
    const row = kindOf(kind);
    const have = valueAt(state, kind, key);
    const sharers = holders(others, kind, key);
    if (sharers.length > 0) {
        const value = atRest(sharers[0]!.claim.value, marks.has(key));
        return have === undefined || satisfied(kind, key, value, have)
            ? []
            : [makeStep(kind, key, have, value, row.set(key, value, have), true, "give back")];
    }
    if (have === undefined || row.nature === "standing") return [];
    const left = (why: string): Step[] => {
        notes.push(`${request.host}: ${row.describe(key)} is left as it is, ${show(have, kind)}: ${why}`);
        return [];
    };
    if (found.state === "present") {
        if (satisfied(kind, key, found.value, have)) return [];
        if (!isOurs(claim, have)) return left("it was changed since");
        const needed = row.stays?.(key, state.probe, found.value);
        if (needed !== undefined) return left(needed);
        const actions = (row.restore ?? row.set)(key, found.value, have);
        return [makeStep(kind, key, have, found.value, actions, true, "restore")];
    }
    if (row.nature === "setting") {
        // A value that is not ours needs no word: most often the delete before this one has given it back.
        if (found.state === "unknown") return isOurs(claim, have) ? left("what it was before is not known") : [];
        if (row.unset === undefined) return [];
        if (!isOurs(claim, have)) return left("it was changed since");
    }
    const remains = row.remains?.(key, state.probe);
    if (remains !== undefined) notes.push(`warning: ${request.host}: ${remains}`);
    // As steps of their own: what is only taken along could not be put back.
    const along = foreignChildren(scene, claim, releases).map((child) =>
        remove(child, valueAt(state, child.kind, child.key)!),
    );
    const begun = scene.base?.draining;
    const mine = begun !== undefined && releases.some((each) => each.key === begun.key);
    const until = mine ? begun.until : Number.POSITIVE_INFINITY;
    const drained = kind === "destination" && drainOf(request, key) > 0 && hostTime(state) < until;
    return [...along, { ...remove(claim, have), drained }];
}

/** What must not go now is refused in the first phase already, before anything is done. */
function refuseHeld({ request, state, others }: Scene, claim: Claim): void {
    const { kind, key, found } = claim;
    const row = kindOf(kind);
    const have = valueAt(state, kind, key);
    if (have === undefined || found.state === "unknown" || !isOurs(claim, have)) return;
    if (holders(others, kind, key).length > 0) return;
    const refusal = row.refuses?.(key, state.probe, have, found.state === "present" ? found.value : undefined);
    if (refusal === undefined) return;
    const { code, reason, remedy } = refusal;
    throw new StepError(code, request.host, `release ${row.describe(key)}`, reason, `${remedy} Nothing was touched.`);
}

function remove({ kind, key }: { kind: string; key: string }, have: Value): Step {
    return makeStep(kind, key, have, undefined, kindOf(kind).unset!(key, have), true, "remove");
}

/**
 * `ipvsadm -D` takes every destination of a service with it, whoever added it: refused, unless that is what is asked, or
 * the service moves to another machine, where its own stack's real servers are about to follow.
 */
function foreignChildren({ request, state, others }: Scene, claim: Claim, releases: Claim[]): Place[] {
    const all = childrenOf(state.objects, claim).filter(
        (child) =>
            !releases.some((each) => sameplace(each, child)) || holders(others, child.kind, child.key).length > 0,
    );
    const follows = ({ kind, key }: Place): boolean => {
        const held = holders(others, kind, key);
        return (
            request.departing === true &&
            held.length > 0 &&
            held.every(({ file }) => stackOf(file.owner) === stackOf(request.owner))
        );
    };
    const foreign = all.filter((child) => !follows(child));
    if (foreign.length === 0 || request.deleteForeign) return all;
    const holder = ({ kind, key }: { kind: string; key: string }) => holders(state.ledger, kind, key)[0];
    throw new StepError(
        "LVS-FOREIGN-SERVERS",
        request.host,
        `remove ${kindOf(claim.kind).describe(claim.key)}`,
        `it would take these with it: ${foreign
            .map((child) => {
                const who = holder(child);
                return `${child.key} (${who === undefined ? "declared by nobody" : describeOwner(who.file.owner)})`;
            })
            .join(", ")}`,
        "Remove them first, or set `deleteForeign: true` on the service and run `pulumi up` once before.",
    );
}

function childrenOf(objects: Objects, parent: { kind: string; key: string }): { kind: string; key: string }[] {
    const children: { kind: string; key: string }[] = [];
    for (const [kind, values] of objects) {
        const row = kindOf(kind);
        if (row.parent === undefined) continue;
        for (const key of values.keys()) {
            if (sameplace(row.parent(key), parent)) children.push({ kind, key });
        }
    }
    return children;
}

/** The claims of a resource whose ledger was lost: what it wanted, with nothing known of what was found. */
function lost({ request, state }: Scene): Claim[] {
    if (request.phase !== "delete" || state.hasLedger) return [];
    return request.wants(state).map(({ kind, key, value }) => ({
        rank: kindOf(kind).rank(key),
        kind,
        key,
        value,
        found: { state: "unknown" },
        command: "",
    }));
}

export function makeStep(
    kind: string,
    key: string,
    before: Value | undefined,
    after: Value | undefined,
    actions: Action[],
    release: boolean,
    verb: string,
): Step {
    const row = kindOf(kind);
    const values =
        after === undefined
            ? ""
            : before === undefined
              ? ` ${show(after, kind)}`
              : ` ${show(before, kind)} -> ${show(after, kind)}`;
    const says = `${verb} ${row.describe(key)}${values}`;
    return { kind, key, before, after, actions, rank: row.rank(key), release, says, drained: false };
}

/** A value in a message, of an object of a kind or a part of one: short, on one line. */
export function show(value: Value | undefined, kind?: string): string {
    if (value === undefined) return "nothing";
    const own = kind !== undefined && isKind(kind) ? kindOf(kind).show?.(value) : undefined;
    const text = own ?? (typeof value === "string" ? value : JSON.stringify(value));
    return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** The state as it will be once the steps are done. */
export function project(state: HostState, steps: Step[], files: FileChanges): HostState {
    const objects = new Map<string, Map<string, Value>>(
        [...state.objects].map(([kind, values]) => [kind, new Map(values)]),
    );
    for (const { kind, key, after } of steps) {
        if (after === undefined) {
            objects.get(kind)?.delete(key);
            for (const child of childrenOf(objects, { kind, key })) objects.get(child.kind)?.delete(child.key);
        } else objects.get(kind)?.set(key, after);
    }
    const ledger = new Map(state.ledger);
    for (const [name, file] of files) {
        if (file === undefined) ledger.delete(name);
        else ledger.set(name, file);
    }
    const unreadable = new Map([...state.unreadable].filter(([name]) => !files.has(name)));
    return { ...state, objects, ledger, unreadable, hasLedger: true };
}

/** What an operation did to a host: enough to take it back. */
export interface Deed {
    host: string;
    /** The ledger files as they were before the operation, by name; undefined: there was none. */
    files: FileChanges;
    changes: { kind: string; key: string; before: Value | undefined; after: Value | undefined }[];
}

/**
 * Takes an operation back: what is still as it made it, and nobody else has come to want, is as it was before. `marks`:
 * what is to be under maintenance then; an operator may have said so meanwhile.
 */
export function planUndo(deed: Deed, state: HostState, marks = underMaintenance(state.ledger)): Plan {
    const others = new Map([...state.ledger].filter(([name]) => !deed.files.has(name)));
    const notes: string[] = [];
    const goals: Plan["goals"] = [];
    const steps = [...deed.changes].reverse().flatMap(({ kind, key, before: then, after }): Step[] => {
        const row = kindOf(kind);
        const rests = kind === "destination" && marks.has(key);
        const before = atRest(then, rests);
        const have = valueAt(state, kind, key);
        const same = (value: Value | undefined) =>
            value === undefined ? have === undefined : satisfied(kind, key, value, have);
        if (same(before) || row.nature === "standing") return [];
        // What only this package makes may be half made: nobody else has changed it.
        const halfMade = row.ours?.(key) === true && before === undefined;
        if (!same(after) && !same(atRest(before)) && !halfMade) {
            notes.push(
                `${deed.host}: ${row.describe(key)} is left as it is, ${show(have, kind)}: it was changed since`,
            );
            return [];
        }
        const newest = holders(others, kind, key)[0];
        const asOthersWant =
            newest !== undefined &&
            before !== undefined &&
            satisfied(kind, key, atRest(newest.claim.value, rests), before);
        if (newest !== undefined && !asOthersWant) return [];
        if (before === undefined && row.unset === undefined) return [];
        goals.push({ kind, key, value: before });
        const actions =
            before === undefined
                ? row.unset!(key, have!)
                : have === undefined
                  ? row.set(key, before, have)
                  : (row.restore ?? row.set)(key, before, have);
        return [{ ...makeStep(kind, key, have, before, actions, true, "undo"), rank: 0 }];
    });
    const files: FileChanges = new Map(
        [...deed.files].map(([name, file]) => [name, file === undefined ? undefined : marked(file, marks)]),
    );
    return {
        steps,
        during: new Map(),
        afterwards: files,
        notes,
        partial: false,
        pending: 0,
        next: project(state, steps, files),
        goals,
    };
}
