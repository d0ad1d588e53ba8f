/**
 * From what a host was found to hold back to inputs, so that a refresh shows a difference as the property that it is.
 * Each function gives the declared fields, with those replaced that differ; what has no input of its own (a VIP, an ARP
 * setting) stands in `drift` alone.
 */
import type { DirectorInputs } from "../inputs/director";
import { destinationValue } from "../inputs/realServer";
import { familyOfIdentity, type InlineService, realServersOf, serviceValue } from "../inputs/service";
import {
    type DestinationValue,
    destinationKey,
    parseServiceKey,
    type ServiceIdentity,
    type ServiceValue,
    sameValue,
    serviceKey,
    type TunnelValue,
} from "../ipvs/model";
import { hostMask } from "../ipvs/netmask";
import type { Value } from "../kinds";
import { masqueradeKey } from "../kinds/dialect";
import { ruleKeys } from "../kinds/filter";
import { defaultRoute, routerOf } from "../kinds/route";

/** What differs on the hosts of a resource, by `kind key`; undefined: it is not there. */
export type Found = ReadonlyMap<string, Value | undefined>;

/** Settings by name: `sysctls` of a Director or a RealServer. */
export function reflectSysctls<T extends { sysctls?: Record<string, string> | undefined }>(inputs: T, found: Found): T {
    if (inputs.sysctls === undefined) return inputs;
    const sysctls = Object.fromEntries(
        Object.entries(inputs.sysctls).map(([name, value]) => {
            const other = found.get(`sysctl ${name}`);
            return [name, typeof other === "string" ? other : value];
        }),
    );
    return { ...inputs, sysctls };
}

/** The default route of a RealServer by the router that it goes through; none, or several, is none. */
export function reflectGateway<T extends { gateway?: string | undefined }>(inputs: T, found: Found): T {
    if (inputs.gateway === undefined) return inputs;
    const { kind, key } = defaultRoute(inputs.gateway);
    if (!found.has(`${kind} ${key}`)) return inputs;
    return { ...inputs, gateway: routerOf(String(found.get(`${kind} ${key}`))) };
}

/** A rule's fields: forwarding, weight, thresholds, tunnel. */
export function reflectRule<T extends Parameters<typeof destinationValue>[0]>(fields: T, found: DestinationValue): T {
    const wanted = destinationValue(fields);
    const changed: Record<string, unknown> = {};
    for (const name of ["forwarding", "weight", "upperThreshold", "lowerThreshold"] as const) {
        if (found[name] !== wanted[name]) changed[name] = found[name];
    }
    if (!sameValue(found.tunnel, wanted.tunnel)) {
        const { mss } = { mss: undefined, ...fields.tunnel };
        const own = mss === undefined ? {} : { mss };
        changed["tunnel"] = found.tunnel === null ? undefined : { ...tunnelFields(found.tunnel), ...own };
    }
    return { ...fields, ...changed };
}

function tunnelFields({ type, port, checksum }: TunnelValue) {
    return { type, ...(port === null ? {} : { port }), ...(checksum === "none" ? {} : { checksum }) };
}

/** A service's fields, its inline real servers among them: one that is gone is left out. */
export function reflectService<T extends Omit<InlineService, "vip">>(id: ServiceIdentity, fields: T, found: Found): T {
    const key = serviceKey(id);
    const service = found.get(`service ${key}`) as ServiceValue | undefined;
    const servers = Object.entries(fields.realServers ?? {}).flatMap(([name, server]) => {
        const { address, port } = realServersOf(id, { realServers: { [name]: server } })[0]!;
        const place = `destination ${destinationKey(key, address, port)}`;
        if (!found.has(place)) return [[name, server] as const];
        const other = found.get(place) as DestinationValue | undefined;
        return other === undefined ? [] : [[name, reflectRule(server, other)] as const];
    });
    return {
        ...fields,
        ...(fields.realServers === undefined ? {} : { realServers: Object.fromEntries(servers) }),
        ...(service === undefined ? {} : changedService(id, fields, service)),
    };
}

function changedService(id: ServiceIdentity, fields: Omit<InlineService, "vip">, found: ServiceValue) {
    const wanted = serviceValue(id, fields);
    const changed: Record<string, unknown> = {};
    if (found.scheduler !== wanted.scheduler) changed["scheduler"] = found.scheduler;
    if (!sameValue(found.flags, wanted.flags)) changed["schedulerFlags"] = found.flags;
    if (found.onePacket !== wanted.onePacket) changed["onePacket"] = found.onePacket;
    if (!sameValue(found.persistence, wanted.persistence)) changed["persistence"] = persistenceFields(id, found);
    return changed;
}

function persistenceFields(id: ServiceIdentity, { persistence }: ServiceValue) {
    if (persistence === null) return undefined;
    const { timeout, netmask, engine } = persistence;
    return {
        timeout,
        ...(netmask === hostMask(familyOfIdentity(id)) ? {} : { netmask }),
        ...(engine === null ? {} : { engine }),
    };
}

/** A director's fields. */
export function reflectDirector(inputs: DirectorInputs, found: Found): DirectorInputs {
    const changed: Record<string, unknown> = {};
    const { timeouts, masquerade, sync, virtualServices } = inputs;
    if (timeouts !== undefined) {
        changed["timeouts"] = mapped(timeouts, (name, value) => found.get(`timeout ${name}`) ?? value);
    }
    if (masquerade !== undefined) {
        changed["masquerade"] = masquerade.filter(
            (each) => !ruleKeys(masqueradeKey(each)).some((key) => found.has(`masquerade ${key}`)),
        );
    }
    if (sync !== undefined) {
        changed["sync"] = mapped(sync, (role, daemon) => {
            if (!found.has(`sync ${role}`)) return daemon;
            const other = found.get(`sync ${role}`) as Record<string, Value> | undefined;
            return other === undefined ? undefined : { ...other, role: undefined };
        });
    }
    for (const [name, family] of [
        ["ipForward", "ipv4"],
        ["ipv6Forward", "ipv6"],
    ] as const) {
        const forwarding = found.get(`forwarding ${family}`) as { on: boolean } | undefined;
        if (inputs[name] !== undefined && forwarding !== undefined) changed[name] = forwarding.on;
    }
    const bits = found.get("parameter ip_vs.conn_tab_bits");
    if (inputs.connTabBits !== undefined && bits !== undefined) changed["connTabBits"] = Number(bits);
    const ports = found.get("parameter ip_vs_ftp.ports");
    if (inputs.ftp !== undefined && typeof ports === "string") {
        changed["ftp"] = {
            ports: ports
                .split(",")
                .map(Number)
                .filter((port) => port !== 0),
        };
    }
    if (virtualServices !== undefined) {
        changed["virtualServices"] = mapped(virtualServices, (key, service) =>
            found.has(`service ${key}`) && found.get(`service ${key}`) === undefined
                ? undefined
                : reflectService(parseServiceKey(key), service, found),
        );
    }
    return reflectSysctls({ ...inputs, ...changed }, found);
}

/** A record with other values; what becomes undefined is left out. */
function mapped<V>(record: Record<string, V>, value: (key: string, value: V) => unknown): Record<string, unknown> {
    return Object.fromEntries(
        Object.entries(record).flatMap(([key, each]) => {
            const other = value(key, each);
            return other === undefined ? [] : [[key, other]];
        }),
    );
}
