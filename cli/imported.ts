/**
 * What a director holds, as a topology that declares it: pure. What is declared here is so on the host already, so that
 * the first `up` with `adopt` changes nothing there; whatever it would change, or the provider refuses, stands in
 * comments with the reason. The provider's own functions say which: schemas, checks, and the objects that are wanted.
 */
import { keepers } from "../provider/checks/director";
import { parseInputs } from "../provider/inputs/parse";
import { defaultPort } from "../provider/inputs/service";
import { kernelAddress } from "../provider/ipvs/address";
import { defaults } from "../provider/ipvs/limits";
import {
    type DestinationValue,
    familyOfService,
    parseDestinationKey,
    parseServiceKey,
    type ServiceIdentity,
    type ServiceValue,
    type SyncDaemon,
} from "../provider/ipvs/model";
import { hostMask } from "../provider/ipvs/netmask";
import { takesValue, vsSettings } from "../provider/ipvs/sysctls";
import { kindOf, type Value } from "../provider/kinds";
import { parseAddressKey } from "../provider/kinds/address";
import { tableOf } from "../provider/kinds/ipvs";
import { fact, lines } from "../provider/kinds/probe";
import type { Want } from "../provider/kinds/want";
import { describeOwner } from "../provider/reconcile/ledger";
import { satisfied, show } from "../provider/reconcile/plan";
import { type HostState, holders, valueAt } from "../provider/reconcile/state";
import { director as directorResource } from "../provider/resources/director";
import { realServer as realServerResource } from "../provider/resources/realServer";
import type { Resource } from "../provider/resources/resource";
import { vipWant } from "../provider/resources/rules";
import { virtualService as virtualServiceResource } from "../provider/resources/virtualService";

/** A value of a generated program: what JSON has. */
export type Field = boolean | number | string | Field[] | { [name: string]: Field };
export type Fields = { [name: string]: Field };

/** A resource of the generated program. */
export interface Entry {
    /** Readable, unique among its kind. */
    name: string;
    /** The inputs, but for the resource that it belongs to. */
    fields: Fields;
    /** What a reader should know of it. */
    notes: string[];
    /** Why it stands in comments; empty: it does not. */
    obstacles: string[];
}

/** A real server: alike in every one of these services. */
export interface RealServerEntry extends Entry {
    /** The services by their names, each with a name for the real server in it, unique in a program. */
    services: { service: string; name: string }[];
}

export interface Imported {
    director: Entry;
    services: Entry[];
    realServers: RealServerEntry[];
    /** What was left out or has to be known, for the top of what is written. */
    notes: string[];
}

/** A real server's host, by the name of its connection. */
export interface SeenHost {
    name: string;
    state: HostState;
}

/** log2 of the connection table's size where the kernel's configuration does not say (Kconfig, IP_VS_TAB_BITS). */
const STARTING_TAB_BITS = "12";

/**
 * The topology of a director.
 *
 * @param name its connection's name in `lvs:hosts`
 * @param realServers hosts whose own side is to come over, where that is right already
 */
export function imported(name: string, state: HostState, realServers: readonly SeenHost[] = []): Imported {
    const { services, destinations } = tableOf(state.probe);
    const foreign = unclaimed(state, "service", [...services.keys()]);
    const servers = unclaimed(state, "destination", [...destinations.keys()]);
    const places = new Map(foreign.free.map((key) => [key, placeOf(state, parseServiceKey(key, kernelAddress))]));
    const device = mostFrequent([...places.values()].flatMap((place) => place.device ?? []));
    const nat = servers.free.filter((key) => destinations.get(key)!.forwarding === "nat");
    const director = directorEntry(name, state, device, nat);
    const reference: Fields = { ...director.fields, name };

    const named = new Names();
    const serviceEntries = new Map(
        foreign.free.map((key) => {
            const id = parseServiceKey(key, kernelAddress);
            const entry: Entry = {
                name: named.take(slug(key)),
                fields: {
                    ...identityFields(id),
                    ...serviceFields(services.get(key)!, familyOfService(key)),
                    ...vipFields(places.get(key)!, device),
                    adopt: true,
                },
                notes: places.get(key)!.notes,
                obstacles: [],
            };
            entry.obstacles =
                director.obstacles.length > 0
                    ? ["its director stands in comments"]
                    : trial(virtualServiceResource, { ...entry.fields, director: reference }, [state]);
            return [key, entry];
        }),
    );
    const checking = lines(state.probe, "facts").some((line) => line.startsWith("checking="));
    const drafts = servers.free.map((key): Draft => {
        const { service, address, port } = parseDestinationKey(key, kernelAddress);
        const id = parseServiceKey(service, kernelAddress);
        const host = realServers.find((each) => placesOf(each.state, address).length > 0);
        const fields: Fields = {
            address,
            ...(port === defaultPort(id) ? {} : { port }),
            ...ruleFields(destinations.get(key)!),
            ...(checking ? { keepWeight: true } : {}),
        };
        const draft: Draft = { base: host?.name ?? slug(address), service, fields, notes: [], obstacles: [] };
        const parent = serviceEntries.get(service);
        if (parent === undefined) {
            draft.obstacles.push(`its service is ${ownersOf(state, "service", service)}'s`);
        } else if (parent.obstacles.length > 0) {
            draft.obstacles.push("its service stands in comments");
        } else {
            const inputs = { ...fields, adopt: true, service: { director: reference, ...identityFields(id) } };
            draft.obstacles.push(...trial(realServerResource, inputs, [state]));
            if (host !== undefined) ownSide(draft, inputs, host, state);
        }
        draft.fields["adopt"] = true;
        return draft;
    });
    return {
        director,
        services: [...serviceEntries.values()],
        realServers: joined(drafts, (key) => serviceEntries.get(key)?.name ?? slug(key)),
        notes: [
            ...keepers(state.probe).map(
                ({ who, exclude }) =>
                    `WARNING: ${who} keeps this host's IPVS table: these may be its own services, and it removes every other one unless ${exclude} names its address.`,
            ),
            ...checkerNotes(state, checking),
            ...foreign.notes,
            ...servers.notes.filter((_, index) => foreign.free.includes(parentOf(servers.taken[index]!))),
            ...realServers
                .filter(
                    ({ state: host }) =>
                        !drafts.some(({ fields }) => placesOf(host, String(fields["address"])).length > 0),
                )
                .map((each) => `${each.name} holds none of the real servers' addresses: it is left out.`),
        ],
    };
}

/** Whole values that nothing of any stack claims, and what is said of the others. */
function unclaimed(state: HostState, kind: "service" | "destination", keys: string[]) {
    const taken = keys.filter((key) => holders(state.ledger, kind, key).length > 0);
    return {
        free: keys.filter((key) => !taken.includes(key)),
        taken,
        notes: taken.map((key) => `Left out: ${kindOf(kind).describe(key)}, which is ${ownersOf(state, kind, key)}'s.`),
    };
}

function parentOf(destination: string): string {
    return parseDestinationKey(destination, kernelAddress).service;
}

function ownersOf(state: HostState, kind: string, key: string): string {
    return holders(state.ledger, kind, key)
        .map(({ file }) => describeOwner(file.owner))
        .join(" and ");
}

function directorEntry(name: string, state: HostState, device: string | undefined, nat: string[]): Entry {
    const entry: Entry = { name, fields: { connection: name }, notes: [], obstacles: [] };
    const free = (kind: string, key: string): boolean => {
        const mine = holders(state.ledger, kind, key).length === 0;
        if (!mine)
            entry.notes.push(`Left out: ${kindOf(kind).describe(key)}, which is ${ownersOf(state, kind, key)}'s.`);
        return mine;
    };
    const values = (kind: string) => [...(state.objects.get(kind) ?? [])];

    const sysctls = vsSettings.flatMap(({ name: setting, default: start, takes }): [string, string][] => {
        const key = `net.ipv4.vs.${setting}`;
        const value = valueAt(state, "sysctl", key);
        const comes = typeof value === "string" && start !== undefined && takesValue(takes, value);
        return comes && !satisfied("sysctl", key, start, value) && free("sysctl", key) ? [[key, value]] : [];
    });
    const timeouts = values("timeout").filter(
        ([key, value]) => value !== defaults.timeouts[key as keyof typeof defaults.timeouts] && free("timeout", key),
    );
    const bits = valueAt(state, "parameter", "ip_vs.conn_tab_bits");
    const usual = /^CONFIG_IP_VS_TAB_BITS=(\d+)$/m.exec(state.probe.section("config"))?.[1] ?? STARTING_TAB_BITS;
    const ports = valueAt(state, "parameter", "ip_vs_ftp.ports");
    const sync = values("sync").filter(([role]) => free("sync", role));
    const forwards = valueAt(state, "forwarding", "ipv4") as { on: boolean } | undefined;
    const natted = nat.some((key) => !parseDestinationKey(key, kernelAddress).address.includes(":"));
    Object.assign(entry.fields, {
        ...(device === undefined ? {} : { interface: device }),
        ...(natted && forwards?.on === true && free("forwarding", "ipv4") ? { ipForward: true } : {}),
        ...(sysctls.length === 0 ? {} : { sysctls: Object.fromEntries(sysctls) }),
        ...(timeouts.length === 0 ? {} : { timeouts: Object.fromEntries(timeouts) }),
        ...(typeof bits === "string" && bits !== usual && free("parameter", "ip_vs.conn_tab_bits")
            ? { connTabBits: Number(bits) }
            : {}),
        ...(sync.length === 0
            ? {}
            : { sync: Object.fromEntries(sync.map(([role, value]) => [role, daemonFields(value as never)])) }),
        ...(typeof ports === "string" && free("parameter", "ip_vs_ftp.ports")
            ? { ftp: ports === "21" ? {} : { ports: ports.split(",").map(Number) } }
            : {}),
        ...(fact(state.probe, "tool.systemctl") === undefined ? { persistAcrossReboot: false } : {}),
        adopt: true,
    });
    if (entry.fields["persistAcrossReboot"] === false)
        entry.notes.push("This host has no systemd: nothing is set up again at boot.");
    entry.obstacles = trial(directorResource, { ...entry.fields, name }, [state]);
    return entry;
}

function daemonFields(daemon: SyncDaemon): Fields {
    return {
        interface: daemon.interface,
        syncid: daemon.syncid,
        ...(daemon.maxlen === 0 ? {} : { maxlen: daemon.maxlen }),
        ...(daemon.group === defaults.syncGroup ? {} : { group: daemon.group }),
        ...(daemon.port === defaults.syncPort ? {} : { port: daemon.port }),
        ...(daemon.ttl === defaults.syncTtl ? {} : { ttl: daemon.ttl }),
    };
}

function identityFields(id: ServiceIdentity): Fields {
    if ("fwmark" in id) return { fwmark: id.fwmark, ...(id.family === "ipv6" ? { family: id.family } : {}) };
    return { protocol: id.protocol, address: id.address, port: id.port };
}

function serviceFields({ scheduler, flags, onePacket, persistence }: ServiceValue, family: "ipv4" | "ipv6"): Fields {
    return {
        scheduler,
        ...(flags.length === 0 ? {} : { schedulerFlags: flags }),
        ...(onePacket ? { onePacket } : {}),
        ...(persistence === null
            ? {}
            : {
                  persistence: {
                      timeout: persistence.timeout,
                      ...(persistence.netmask === hostMask(family) ? {} : { netmask: persistence.netmask }),
                      ...(persistence.engine === null ? {} : { engine: persistence.engine }),
                  },
              }),
    };
}

function ruleFields({ forwarding, weight, upperThreshold, lowerThreshold, tunnel }: DestinationValue): Fields {
    return {
        forwarding,
        weight,
        ...(upperThreshold === 0 ? {} : { upperThreshold }),
        ...(lowerThreshold === 0 ? {} : { lowerThreshold }),
        ...(tunnel === null || tunnel.type === "ipip"
            ? {}
            : {
                  tunnel: {
                      type: tunnel.type,
                      ...(tunnel.port === null ? {} : { port: tunnel.port }),
                      ...(tunnel.checksum === "none" ? {} : { checksum: tunnel.checksum }),
                  },
              }),
    };
}

/** Where a service's VIP is: on an interface as one of ours would be, or brought by somebody else; a mark has none. */
interface Place {
    kind: "here" | "external" | "none";
    device?: string;
    notes: string[];
}

function placeOf(state: HostState, id: ServiceIdentity): Place {
    if ("fwmark" in id) return { kind: "none", notes: ["Somebody else marks its packets: no `marks` of ours."] };
    const external = (why: string): Place => ({ kind: "external", notes: [`VIP ${id.address}: ${why}`] });
    if (checkersOf(state).includes("keepalived")) return external("left to keepalived, which runs on this host.");
    const held = placesOf(state, id.address);
    const alike = held.find(({ device }) => {
        const { kind, key, value } = vipWant(device, id.address);
        return satisfied(kind, key, value, valueAt(state, kind, key));
    });
    if (alike !== undefined) return { kind: "here", device: alike.device, notes: [] };
    if (held.length === 0) return external("no interface of this host has it now: somebody else brings it.");
    const ours = id.address.includes(":") ? "/128 with preferred_lft 0" : "/32";
    const found = held.map(({ device, address }) => `on ${device} as ${address}`).join(" and ");
    return external(`it is ${found}, where one of ours would be ${ours}: left as it is.`);
}

/** `device`: the director's own. */
function vipFields(place: Place, device: string | undefined): Fields {
    if (place.kind === "external") return { vip: { external: true } };
    return place.device === undefined || place.device === device ? {} : { vip: { interface: place.device } };
}

/** Every place where a host holds an address, with its prefix. */
function placesOf(state: HostState, address: string): { device: string; address: string }[] {
    return [...(state.objects.get("address")?.keys() ?? [])]
        .map(parseAddressKey)
        .filter((each) => each.address.split(/[/ ]/)[0] === address);
}

interface Draft {
    base: string;
    service: string;
    fields: Fields;
    notes: string[];
    obstacles: string[];
}

/** The real server's own side: its connection, where everything there is right already. */
function ownSide(draft: Draft, inputs: Fields, host: SeenHost, director: HostState): void {
    const vip = (inputs["service"] as Fields)["address"];
    const devices = placesOf(host.state, String(vip)).map(({ device }) => device);
    const device = devices.includes("lo") ? undefined : devices[0];
    const more: Fields = { connection: host.name, ...(device === undefined ? {} : { device }) };
    const changes = trial(realServerResource, { ...inputs, ...more }, [host.state, director]).filter(
        (each) => !draft.obstacles.includes(each),
    );
    if (changes.length === 0) Object.assign(draft.fields, more);
    else
        draft.notes.push(
            `Its own side is left alone: with connection ${JSON.stringify(host.name)}, ${changes.join("; ")}`,
        );
}

/** What keeps inputs from being declared: what the provider refuses, and what `up` would change. States as parts go. */
function trial<Inputs extends object>(resource: Resource<Inputs>, inputs: Fields, states: HostState[]): string[] {
    const owner = `import#${resource.type}/import`;
    const { value, failures } = parseInputs(resource.schema, { ...inputs, owner });
    if (failures.length > 0) return failures.map(({ property, reason }) => `${property} ${reason}`);
    const parts = resource.parts(value).map((part, index) => ({ part, state: states[index]! }));
    const refused = [
        ...resource.findings(value),
        ...parts.flatMap(({ part, state }) =>
            part.findings(state, part.role === "director" ? undefined : states.at(-1)),
        ),
    ].filter(({ severity }) => severity === "error");
    const changes = parts.flatMap(({ part, state }) => part.wants(state).flatMap((want) => changeOf(want, state)));
    return [...new Set([...refused.map(({ code, message }) => `${code}: ${message}`), ...changes])];
}

/** Loading a module and adding the boot unit change nothing that is there. */
const additions = ["boot", "module"];

function changeOf({ kind, key, value, leave = [] }: Want, state: HostState): string[] {
    const have = valueAt(state, kind, key);
    const left = Object.fromEntries(leave.map((name) => [name, (have as Fields | undefined)?.[name]]));
    const wanted = leave.length === 0 ? value : ({ ...(value as Fields), ...left } as Value);
    if (additions.includes(kind) || satisfied(kind, key, wanted, have)) return [];
    return [`up would set ${kindOf(kind).describe(key)} to ${show(value, kind)}; it is ${show(have, kind)}`];
}

/** One entry for a real server that is the same in several services. */
function joined(drafts: Draft[], nameOf: (service: string) => string): RealServerEntry[] {
    const groups = new Map<string, Draft[]>();
    for (const draft of drafts) {
        const key = JSON.stringify([draft.base, draft.fields, draft.notes, draft.obstacles]);
        groups.set(key, [...(groups.get(key) ?? []), draft]);
    }
    const names = new Names();
    const inServices = new Names();
    return [...groups.values()].map((group) => {
        const [{ base, fields, notes, obstacles }] = group as [Draft, ...Draft[]];
        const services = group.map((draft) => {
            const service = nameOf(draft.service);
            return { service, name: inServices.take(`${base}-${service}`) };
        });
        return { name: names.take(base), services, fields, notes, obstacles };
    });
}

/** Gives each name once: a second `web1` is `web1-2`. */
class Names {
    private readonly taken = new Set<string>();
    take(base: string): string {
        let name = base;
        for (let number = 2; this.taken.has(name); number++) name = `${base}-${number}`;
        this.taken.add(name);
        return name;
    }
}

/** `tcp/192.0.2.100:80` as a name: `tcp-192-0-2-100-80`. */
export function slug(text: string): string {
    return text.replace(/[[\]]/g, "").replace(/[^A-Za-z0-9]/g, "-");
}

function mostFrequent(list: string[]): string | undefined {
    const count = (text: string) => list.filter((each) => each === text).length;
    return [...new Set(list)].sort((a, b) => count(b) - count(a))[0];
}

function checkersOf(state: HostState): string[] {
    return lines(state.probe, "facts").flatMap((line) => /^checker=(.+)$/.exec(line)?.[1] ?? []);
}

function checkerNotes(state: HostState, checking: boolean): string[] {
    const checkers = checkersOf(state);
    if (checkers.length === 0) return [];
    const who = checkers.join(" and ");
    return [
        `WARNING: ${who} runs on this host. What it makes itself (a keepalived virtual_server block, ldirectord's services) it goes on writing: it removes real servers that fail, and everything when it stops, and each \`up\` puts that back. Take those blocks out of its configuration before you rely on this, or leave those services out here. VIPs that keepalived holds stay its own.`,
        ...(checking ? [`Real servers have \`keepWeight\`: ${who} checks them here, and may move their weights.`] : []),
    ];
}
