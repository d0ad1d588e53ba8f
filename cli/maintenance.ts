import { isAddress, parseHostPort } from "../provider/ipvs/address";
import type { DestinationValue } from "../provider/ipvs/model";
import { tableOf } from "../provider/kinds/ipvs";
import { describeOwner } from "../provider/reconcile/ledger";
import { claimedAt, isAt, planMaintenance, type RealServerPlace } from "../provider/reconcile/maintenance";
import { planUndo } from "../provider/reconcile/plan";
import { type HostState, holders, underMaintenance, valueAt } from "../provider/reconcile/state";
import type { Command } from "./command";
import { hostsOf, type Look, lookAt, type NamedHost, tell, Usage, type Values } from "./host";

/** No new connections for a real server, whatever is declared, until `lvs undrain`. */
export const drain: Command = {
    usage:
        "    lvs drain RIP[:PORT] [HOST…] [--wait SECONDS] [--json]\n" +
        "                                                maintenance: weight 0 until undrain, whatever is declared",
    run: (positionals, values) => maintain(true, positionals, values),
};

/** Takes it back: the declared weight is set again. */
export const undrain: Command = {
    usage: "    lvs undrain RIP[:PORT] [HOST…] [--json]     the end of maintenance: the declared weight",
    run: (positionals, values) => maintain(false, positionals, values),
};

/** What was done to one destination. */
interface Done {
    host: string;
    key: string;
    /** Its resources. */
    owners: string[];
    /** It was marked before. */
    marked: boolean;
    /** Weights before and now; null: the kernel does not have it. */
    weight: { before: number; now: number } | null;
    active: number;
}

async function maintain(begins: boolean, words: string[], values: Values): Promise<number> {
    const { place, targets } = sortOut(words);
    const seconds = secondsOf(values["wait"]);
    const looks = await lookAt(await hostsOf(targets, values), ["ipvs"]);
    const unseen = looks.filter(({ error }) => error !== undefined);
    for (const { name, error } of unseen) tell(`lvs: ${name} was not looked at: ${error!.message}`);
    const seen = looks.filter((look): look is Look & { state: HostState } => look.state !== undefined);
    const directors = seen.filter(({ state }) => claimedAt(state.ledger, place).length > 0);
    const foreign = seen.flatMap((look) => foreignAt(look, place));
    for (const { name, key } of foreign) {
        tell(`lvs: ${name}: nobody declared real server ${key}: it is not touched; \`ipvsadm -e … -w 0\` drains it`);
    }
    if (directors.length === 0) {
        const where = seen.map(({ name }) => name).join(", ");
        tell(`lvs: no ledger file claims real server ${spell(place)}${where === "" ? "" : ` on ${where}`}`);
        return 1;
    }
    let failed = unseen.some(({ host }) => host.connection.host !== place.address);
    if (begins && foreign.length > 0) failed = true;
    const done = await Promise.all(
        directors.map(async (director) => {
            try {
                return await carryOut(director, place, begins, seconds);
            } catch (error) {
                tell(`lvs: ${director.name}: ${(error as Error).message}`);
                failed = true;
                return [];
            }
        }),
    );
    const all = done.flat();
    if (values["json"] === true) process.stdout.write(`${JSON.stringify(all, null, 4)}\n`);
    else for (const each of all) process.stdout.write(`${describe(each, begins)}\n`);
    if (seconds > 0 && all.some(({ active }) => active > 0)) failed = true;
    return failed ? 1 : 0;
}

/** The one address among the words is the real server's; the others are hosts. */
export function sortOut(words: string[]): { place: RealServerPlace; targets: string[] } {
    const places = words.filter((word) => placeOf(word) !== undefined);
    const [first] = places;
    if (first === undefined || places.length > 1) {
        throw new Usage(
            first === undefined
                ? "name the real server by its address: 192.0.2.21, 192.0.2.21:80, 2001:db8::21 or [2001:db8::21]:80"
                : `${places.join(" and ")}: name one real server; a host's address is written USER@HOST`,
        );
    }
    return { place: placeOf(first)!, targets: words.filter((word) => word !== first) };
}

function placeOf(word: string): RealServerPlace | undefined {
    try {
        const place = parseHostPort(word);
        return isAddress(place.address) ? place : undefined;
    } catch {
        return undefined;
    }
}

function secondsOf(value: Values[string]): number {
    if (value === undefined) return 0;
    const seconds = Number(value);
    if (!(Number.isInteger(seconds) && seconds >= 1 && seconds <= 86_400)) {
        throw new Usage(`--wait: expected seconds from 1 to 86400, got ${JSON.stringify(value)}`);
    }
    return seconds;
}

function foreignAt({ name, state }: NamedHost & { state: HostState }, place: RealServerPlace) {
    return [...(state.objects.get("destination")?.keys() ?? [])]
        .filter((key) => isAt(key, place) && holders(state.ledger, "destination", key).length === 0)
        .map((key) => ({ name, key }));
}

async function carryOut(
    { name, host }: NamedHost,
    place: RealServerPlace,
    begins: boolean,
    seconds: number,
): Promise<Done[]> {
    const { state, deed } = await host.submit({
        says: `${begins ? "drain" : "undrain"} ${spell(place)}`,
        settings: [],
        groups: ["ipvs"],
        plan: (now) => planMaintenance(host.name, place, begins, now),
        // With the operation its own marks go.
        undo: (made, now) => planUndo(made, now, underMaintenance(made.files)),
    });
    const before = underMaintenance(deed.files);
    const done = claimedAt(state.ledger, place).map((key): Done => {
        const change = deed.changes.find((each) => each.key === key);
        const now = valueAt(state, "destination", key) as unknown as DestinationValue | undefined;
        const then = (change?.before ?? now) as unknown as DestinationValue | undefined;
        return {
            host: name,
            key,
            owners: holders(state.ledger, "destination", key).map(({ file }) => describeOwner(file.owner)),
            marked: before.has(key),
            weight: now === undefined ? null : { before: then!.weight, now: now.weight },
            active: tableOf(state.probe).connections.get(key)?.active ?? 0,
        };
    });
    if (!begins) return done;
    warnOfPersistence(name, state, done);
    const busy = done.filter(({ active }) => active > 0);
    if (seconds === 0 || busy.length === 0) return done;
    const left = await connectionsEnd({ name, host }, busy, seconds);
    const later = left === 0 ? undefined : (await host.read([], ["ipvs"])).probe;
    return done.map((each) => ({
        ...each,
        active: later === undefined ? 0 : (tableOf(later).connections.get(each.key)?.active ?? 0),
    }));
}

/** Clients that persistence holds go on being sent to a real server of weight 0, unless the kernel is told otherwise. */
function warnOfPersistence(name: string, state: HostState, done: Done[]): void {
    if (valueAt(state, "sysctl", "net.ipv4.vs.expire_quiescent_template") === "1") return;
    for (const { key } of done) {
        const service = key.slice(0, key.lastIndexOf("/"));
        const { persistence } = tableOf(state.probe).services.get(service) ?? {};
        if (persistence === undefined || persistence === null) continue;
        tell(
            `warning: ${name}: ${service}: clients that persistence holds are still sent there, ` +
                "because net.ipv4.vs.expire_quiescent_template is not 1",
        );
    }
}

async function connectionsEnd({ name, host }: NamedHost, busy: Done[], seconds: number): Promise<number> {
    const keys = busy.map(({ key }) => key);
    const until = Date.now() + seconds * 1000;
    for (;;) {
        const left = Math.max(1, Math.ceil((until - Date.now()) / 1000));
        const active = await host.waitForConnections(keys, Math.min(left, 5));
        if (active === 0 || Date.now() >= until) return active;
        tell(`${name}: ${active} active connections, at most ${Math.ceil((until - Date.now()) / 1000)} s more`);
    }
}

function describe({ host, key, owners, marked, weight, active }: Done, begins: boolean): string {
    const what =
        weight === null
            ? "the kernel does not have it"
            : weight.before === weight.now
              ? `weight ${weight.now}`
              : `weight ${weight.before} -> ${weight.now}`;
    const state = begins
        ? `under maintenance${marked ? " already" : ""}`
        : marked
          ? "out of maintenance"
          : "was not under maintenance";
    const connections = weight === null ? "" : `, ${active} active connection${active === 1 ? "" : "s"}`;
    return `${host} ${key}: ${state}, ${what}${connections} [${owners.join(", ")}]`;
}

function spell({ address, port }: RealServerPlace): string {
    return port === undefined ? address : `${address} port ${port}`;
}
