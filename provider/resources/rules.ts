/** The objects of a virtual service and of its real servers on a director, which all three resources speak of. */

import { vipFindings } from "../checks/host";
import { isLocal, routesOf, routesTo } from "../checks/network";
import { serviceOnHost } from "../checks/serviceHost";
import type { DirectorInputs } from "../inputs/director";
import { destinationValue, type InlineRealServer } from "../inputs/realServer";
import { type InlineService, realServersOf, serviceValue, serviceVips } from "../inputs/service";
import { destinationKey, type ServiceIdentity, serviceKey } from "../ipvs/model";
import { engines, schedulerNamed } from "../ipvs/schedulers";
import type { Value } from "../kinds";
import { addressKey } from "../kinds/address";
import { BOOT_UNIT, bootValue } from "../kinds/boot";
import { trafficKey } from "../kinds/dialect";
import { filterWants } from "../kinds/filter";
import { forwardingSettings } from "../kinds/forwarding";
import { interfaceSysctl } from "../kinds/sysctl";
import type { Finding, HostView, Want } from "../kinds/want";

export const moduleWant = (key: string): Want => ({ kind: "module", key, value: true });

/** What every resource with something on a director wants there. */
export function directorBase(persistAcrossReboot: boolean | undefined): Want[] {
    return [moduleWant("ip_vs"), ...bootWant(persistAcrossReboot)];
}

/** A setting; the switches of forwarding are an object of their own, which remembers what they reset. */
export function settingWant(key: string, value: string): Want {
    const family = (["ipv4", "ipv6"] as const).find((each) => forwardingSettings[each].includes(key));
    return family === undefined
        ? { kind: "sysctl", key, value }
        : { kind: "forwarding", key: family, value: { on: value.trim() !== "0" } };
}

/** The boot unit, unless told otherwise. */
export function bootWant(persistAcrossReboot: boolean | undefined): Want[] {
    return persistAcrossReboot === false ? [] : [{ kind: "boot", key: BOOT_UNIT, value: bootValue }];
}

/** A service with its scheduler, marks, VIP and inline real servers. `interface`: the director's, for VIPs. */
export function serviceWants(
    id: ServiceIdentity,
    fields: InlineService,
    interface_: string | undefined,
    view: HostView | undefined,
): Want[] {
    const key = serviceKey(id);
    const value = serviceValue(id, fields);
    const engine = engines.find(({ name }) => name === value.persistence?.engine);
    const device = fields.vip?.interface ?? interface_;
    return [
        moduleWant(schedulerNamed(value.scheduler)?.module ?? `ip_vs_${value.scheduler}`),
        ...(engine === undefined ? [] : [moduleWant(engine.module)]),
        ...markWants(id, fields, view),
        { kind: "service", key, value: value as unknown as Value },
        ...realServersOf(id, fields).flatMap(({ address, port, fields: server }) =>
            destinationWants(id, address, port, server, serviceVips(id, fields), view),
        ),
        ...(fields.vip?.external === true || device === undefined
            ? []
            : serviceVips(id, fields).map((vip) => vipWant(device, vip))),
    ];
}

/** What a director shows against a service. `beside`: what is declared with it, and the property that holds it. */
export function serviceHostFindings(
    id: ServiceIdentity,
    fields: InlineService,
    beside: Pick<DirectorInputs, "interface" | "sysctls" | "sync"> & { at: string },
    view: HostView,
): Finding[] {
    const external = fields.vip?.external === true;
    const named = (fields.vip?.interface ?? beside.interface) !== undefined;
    return [
        ...vipFindings(view, serviceVips(id, fields), external || named),
        ...serviceOnHost(id, fields, view, {
            at: beside.at,
            sysctls: beside.sysctls,
            placed: named && !external,
            synced: beside.sync !== undefined,
        }),
    ];
}

/** A VIP. IPv6: never as a source address (facts of the lab: it would become the outer source of tunnels). */
export function vipWant(device: string, vip: string): Want {
    return { kind: "address", key: addressKey(device, vip), value: { deprecated: vip.includes(":") } };
}

function markWants(id: ServiceIdentity, { marks }: Pick<InlineService, "marks">, view: HostView | undefined): Want[] {
    if (!("fwmark" in id) || marks === undefined) return [];
    return filterWants(
        view,
        marks.map(
            ({ protocol, address, port }): Want => ({
                kind: "mark",
                key: trafficKey(protocol, address, port),
                value: id.fwmark,
            }),
        ),
    );
}

/** A rule for a real server, and what its forwarding method asks of the director. `vips`: the service's. */
export function destinationWants(
    id: ServiceIdentity,
    address: string,
    port: number,
    fields: InlineRealServer,
    vips: string[],
    view: HostView | undefined,
): Want[] {
    const value = destinationValue(fields);
    return [
        ...(value.forwarding === "nat"
            ? [
                  { kind: "forwarding", key: address.includes(":") ? "ipv6" : "ipv4", value: { on: true } },
                  ...oneArmedWants(address, vips, view),
              ]
            : []),
        {
            kind: "destination",
            key: destinationKey(serviceKey(id), address, port),
            value: value as unknown as Value,
            ...(fields.keepWeight === true ? { leave: ["weight"] } : {}),
        },
    ];
}

/**
 * A director whose real server's answers come in and go out by one interface tells the real server, by ICMP redirect, to
 * send them to the router or the client itself; the real server obeys, and by nat the next answer passes the director by.
 * That is so where a router, or a VIP with its clients, is on the real server's segment. The kernel sends redirects where
 * `all` or the interface says so, therefore both are 0: other interfaces keep their own value, which is 1 where nobody
 * set it. (IPv6 has no such setting: there the real server is told not to obey.)
 */
function oneArmedWants(address: string, vips: string[], view: HostView | undefined): Want[] {
    if (view === undefined || address.includes(":") || isLocal(view, address)) return [];
    const [way] = routesTo(view, address);
    if (way?.device === undefined || way.gateway !== undefined) return [];
    const { device } = way;
    const routers = routesOf(view, "ipv4").filter(({ gateway }) => gateway !== undefined);
    const segments = vips.flatMap((vip) => routesTo(view, vip)).filter(({ gateway }) => gateway === undefined);
    if (![...routers, ...segments].some((route) => route.device === device)) return [];
    return ["all", device].map((each) => ({
        kind: "sysctl",
        key: interfaceSysctl("ipv4", each, "send_redirects"),
        value: "0",
    }));
}
