/**
 * What differs between a resource as its state declares it and a host: in the kernel, and in its own ledger file, which
 * an update that was cut off may have left with what the state does not know. Pure.
 */
import { sameValue } from "../ipvs/model";
import { isKind, kindOf, type Place, type Value } from "../kinds";
import type { Want } from "../kinds/want";
import { fileName, type LedgerFile, type Owner, stackOf } from "./ledger";
import { addressOf, atRest, leaving, mending, satisfied } from "./plan";
import { type HostState, holders, underMaintenance, valueAt } from "./state";

export interface Identity extends Owner {
    /** The incarnation, kept in the outputs. */
    token: string;
}

export interface Differences {
    /** What differs: the object, and what was found. */
    drift: Record<string, Value>;
    /** Found values by `kind key`, of what differs in the kernel. */
    found: Map<string, Value | undefined>;
    /** Whether anything of the resource is on the host. */
    there: boolean;
    /** Lines for the user. */
    notes: string[];
}

/** @param host its name in messages */
export function differences(host: string, identity: Identity, wants: Want[], state: HostState): Differences {
    const file = state.ledger.get(fileName(identity));
    const drift: Differences["drift"] = {};
    const found: Differences["found"] = new Map();
    const notes: string[] = [];
    if (wants.length === 0 && file === undefined) return { drift, found, there: false, notes };
    let there = file !== undefined;
    const trouble = troubleOf(state, identity);
    if (trouble !== undefined) drift[`ledger on ${host}`] = trouble;
    for (const foreign of foreignServers(state, wants)) {
        notes.push(`note: ${host}: ${foreign} is on a service of ours, and nobody declared it`);
    }
    const marks = underMaintenance(state.ledger);
    for (const want of wants) {
        const { kind, key } = want;
        const row = kindOf(kind);
        const have = valueAt(state, kind, key);
        const rests = kind === "destination" && marks.has(key);
        if (rests) notes.push(noteOfMaintenance(host, key, have));
        if (have !== undefined && (row.nature === "rule" || row.nature === "thing") && row.name !== "boot")
            there = true;
        const declared = declaredValue(state, identity, want);
        const value = leaving({ ...want, value: atRest(declared, rests) }, have);
        const right = satisfied(kind, key, value, have);
        if (right && mending(state, wants, { kind, key, value }, have).length === 0) continue;
        drift[`${kind} ${key}`] = have ?? "absent";
        // A weight of 0 under maintenance is not what differs: beside it the declared one is shown.
        const resting = rests && have !== undefined && satisfied(kind, key, have, atRest(have));
        found.set(`${kind} ${key}`, resting ? leaving({ value: have, leave: ["weight"] }, declared) : have);
    }
    if (file === undefined || trouble !== undefined) return { drift, found, there, notes };
    for (const { kind, key, claimed } of otherwiseClaimed(file, wants)) {
        if (`${kind} ${key}` in drift) continue;
        const undeclared = !wants.some(at({ kind, key }));
        const have = undeclared && isKind(kind) ? valueAt(state, kind, key) : undefined;
        if (have === undefined) drift[`ledger on ${host}: ${kind} ${key}`] = claimed ?? "absent";
        else drift[`${kind} ${key}`] = have;
    }
    return { drift, found, there, notes };
}

const at =
    ({ kind, key }: Place) =>
    (other: Place): boolean =>
        other.kind === kind && other.key === key;

/**
 * The value that an object should have: of the newest file of the stack that claims it, since where two resources of a
 * stack want one object, the older one's value is not a difference. Of the resource itself it is what its state says. Of
 * an object over which nobody clashes (the boot unit, whose text is its version's), it is what the ledger says.
 */
function declaredValue(state: HostState, identity: Identity, { kind, key, value }: Want): Value {
    const stack = stackOf(identity.owner);
    const newest = holders(state.ledger, kind, key).find(({ file }) => stackOf(file.owner) === stack);
    if (newest === undefined) return value;
    return newest.name === fileName(identity) && kindOf(kind).clashes !== false ? value : newest.claim.value;
}

/** What the resource's own file claims and its state does not want, or not so; and what it does not claim. */
function otherwiseClaimed(file: LedgerFile, wants: Want[]): (Place & { claimed: Value | undefined })[] {
    const missing = wants.filter((want) => !file.claims.some(at(want)));
    const others = file.claims.filter((claim) => {
        const want = wants.find(at(claim));
        return want === undefined || !isClaimedSo(want, claim.value);
    });
    return [
        ...missing.map(({ kind, key }) => ({ kind, key, claimed: undefined })),
        ...others.map(({ kind, key, value }) => ({ kind, key, claimed: value })),
    ];
}

/** Two declarations: what the kernel has beside (a device is up) is in neither. */
function isClaimedSo(want: Want, claimed: Value): boolean {
    const { kind, key } = want;
    const value = leaving(want, claimed);
    const same = [
        sameValue(value, claimed),
        satisfied(kind, key, value, claimed),
        satisfied(kind, key, claimed, value),
    ];
    return kindOf(kind).clashes === false || same.includes(true);
}

/** What is wrong with the ledger file of a resource; an update writes it anew. */
function troubleOf({ ledger, unreadable }: HostState, identity: Identity): string | undefined {
    const name = fileName(identity);
    const file = ledger.get(name);
    if (file === undefined) return unreadable.has(name) ? "damaged" : "absent";
    // A `--replace` whose create was killed before its answer: the state's token would release nothing.
    return file.token === identity.token ? undefined : "taken over by a create whose answer was lost";
}

/** Real servers on the services that are wanted here which no ledger file claims. */
function foreignServers(state: HostState, wants: Place[]): string[] {
    const services = new Set(wants.filter(({ kind }) => kind === "service").map(({ key }) => key));
    const parent = kindOf("destination").parent!;
    return [...(state.objects.get("destination")?.keys() ?? [])].filter(
        (key) => services.has(parent(key).key) && holders(state.ledger, "destination", key).length === 0,
    );
}

function noteOfMaintenance(host: string, key: string, have: Value | undefined): string {
    const rests = have === undefined || satisfied("destination", key, have, atRest(have));
    return (
        `note: ${host}: real server ${key} is under maintenance until \`lvs undrain ${addressOf(key)}\`` +
        (rests ? "" : ", but something on the host has given it a weight")
    );
}
