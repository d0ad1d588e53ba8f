import { createHash } from "node:crypto";
import { hostFindings } from "../checks/host";
import { mtuOf } from "../checks/network";
import { realServerDirectorFindings, realServerFindings, realServerHostFindings } from "../checks/realServer";
import { undoneSettings } from "../checks/settings";
import { destinationValue, type RealServerInputs, realServerSchema } from "../inputs/realServer";
import { identityOf, trafficOf, vipsOf } from "../inputs/reference";
import { defaultPort } from "../inputs/service";
import { defaults } from "../ipvs/limits";
import { type DestinationValue, destinationKey, serviceKey } from "../ipvs/model";
import { largestSegment } from "../ipvs/tunnels";
import { addressKey, announced } from "../kinds/address";
import { trafficKey } from "../kinds/dialect";
import { answersFrom, filterWants, hasFilter } from "../kinds/filter";
import { DEVICE_PREFIX } from "../kinds/kind";
import { isDummy } from "../kinds/link";
import { defaultRoute } from "../kinds/route";
import { interfaceSysctl } from "../kinds/sysctl";
import type { HostView, Part, Want } from "../kinds/want";
import { interfaceOf, kernelOf } from "./facts";
import { reflectGateway, reflectRule, reflectSysctls } from "./reflect";
import type { ConnectionReference, Resource } from "./resource";
import { bootWant, destinationWants, directorBase, settingWant } from "./rules";

/** A real server: the rule on the director, and the real server's own side over its own connection. */
export const realServer: Resource<RealServerInputs> = {
    type: "RealServer",
    schema: realServerSchema,
    id: (inputs) => `${inputs.service.director.name}/${ruleKey(inputs)}`,
    replacedBy: (before, now) => [
        ...(serviceKey(identityOf(before.service)) === serviceKey(identityOf(now.service)) ? [] : ["service"]),
        ...(before.address === now.address ? [] : ["address"]),
        ...(portOf(before) === portOf(now) ? [] : ["port"]),
    ],
    parts: (inputs) => [
        ...(inputs.connection === undefined ? [] : [ownSide(inputs, inputs.connection)]),
        directorSide(inputs),
    ],
    findings: (inputs) => [
        ...realServerFindings(inputs),
        ...(inputs.connection === undefined
            ? []
            : undoneSettings(vipWants(inputs, undefined), inputs.sysctls, undefined)),
    ],
    report: (inputs, [own]) => {
        const release = inputs.connection === undefined || own === undefined ? undefined : kernelOf(own)["release"];
        return { kernel: release === undefined ? undefined : { release } };
    },
    reflect: (inputs, found) => {
        const value = found.get(`destination ${ruleKey(inputs)}`);
        const own = reflectGateway(reflectSysctls(inputs, found), found);
        return value === undefined ? own : reflectRule(own, value as unknown as DestinationValue);
    },
    manner: (inputs) => ({ adopt: inputs.adopt ?? false, deleteForeign: false }),
};

/** The real server's port: dr and tun leave the packet's alone. */
export function portOf(inputs: RealServerInputs): number {
    return inputs.port ?? defaultPort(identityOf(inputs.service));
}

function ruleKey(inputs: RealServerInputs): string {
    return destinationKey(serviceKey(identityOf(inputs.service)), inputs.address, portOf(inputs));
}

function directorSide(inputs: RealServerInputs): Part<ConnectionReference> {
    const { director } = inputs.service;
    const wants = (view: HostView | undefined): Want[] => [
        ...directorBase(director.persistAcrossReboot),
        ...destinationWants(
            identityOf(inputs.service),
            inputs.address,
            portOf(inputs),
            inputs,
            vipsOf(inputs.service),
            view,
        ),
    ];
    return {
        role: "director",
        connection: director.connection,
        property: "service.director.connection",
        boot: director.persistAcrossReboot !== false,
        settings: [],
        drain: inputs.drain?.timeout ?? defaults.drain,
        wants,
        findings: (view) => [...hostFindings(view, wants(view)), ...realServerDirectorFindings(inputs, view)],
    };
}

function ownSide(inputs: RealServerInputs, connection: ConnectionReference): Part<ConnectionReference> {
    const wants = (view: HostView | undefined): Want[] => {
        const own = [
            ...vipWants(inputs, view),
            ...filterWants(view, [...segmentWants(inputs, view), ...redirectWants(inputs)]),
            ...(inputs.gateway === undefined ? [] : [defaultRoute(inputs.gateway)]),
            ...Object.entries(inputs.sysctls ?? {}).map(([key, value]) => settingWant(key, value)),
        ];
        return own.length === 0 ? [] : [...own, ...bootWant(inputs.persistAcrossReboot)];
    };
    return {
        role: "realServer",
        connection,
        property: "connection",
        boot: inputs.persistAcrossReboot !== false,
        settings: Object.keys(inputs.sysctls ?? {}),
        drain: 0,
        wants,
        findings: (view, director) => [
            ...hostFindings(view, wants(view), "device"),
            ...realServerHostFindings(inputs, view, director),
            ...undoneSettings(vipWants(inputs, view), inputs.sysctls, view),
        ],
    };
}

/** The VIP on a device that does not answer for it, and what takes packets for it in. By nat there is neither. */
function vipWants(inputs: RealServerInputs, view: HostView | undefined): Want[] {
    const { forwarding, tunnel } = destinationValue(inputs);
    if (forwarding === "nat") return refusingWants(inputs.address, view);
    const wants: Want[] = [];
    for (const vip of vipsOf(inputs.service)) {
        const device = tunnel === null ? undefined : tunnelWants(inputs, tunnel, vip);
        wants.push(...(device?.wants ?? []));
        if (inputs.accept === "redirect") {
            if (device !== undefined && !vip.includes(":")) wants.push(addressWant(device.name, inputs.address));
            continue;
        }
        const holder = inputs.device ?? device?.name ?? "lo";
        const made = holder !== device?.name && isDummy(holder);
        wants.push(...(made ? dummyWants(holder) : []), ...(vip.includes(":") ? [] : arpWants(inputs, view)), {
            kind: "address",
            key: addressKey(holder, vip),
            value: { deprecated: vip.includes(":"), ...(announced(holder) ? { silent: true } : {}) },
        });
    }
    return [...new Map(wants.map((want) => [`${want.kind} ${want.key}`, want])).values()];
}

/**
 * A director with one arm tells the real server, by redirect, to answer past it. Over IPv4 it can be told not to; over
 * IPv6 it cannot, and the real server does not obey on that interface (no setting of `all` counts there).
 */
function refusingWants(address: string, view: HostView | undefined): Want[] {
    const device = view === undefined || !address.includes(":") ? undefined : interfaceOf(view, address);
    if (device === undefined || device === "lo") return [];
    return [{ kind: "sysctl", key: interfaceSysctl("ipv6", device, "accept_redirects"), value: "0" }];
}

/** Without any address of its own a device's IPv4 packets are dropped even where rp_filter is loose (tried on 6.1). */
function addressWant(device: string, address: string): Want {
    return { kind: "address", key: addressKey(device, address), value: { deprecated: false } };
}

function dummyWants(name: string): Want[] {
    return [
        { kind: "module", key: "dummy", value: true },
        { kind: "link", key: name, value: { type: "dummy" } },
    ];
}

/** Where no VIP may be added, the packet filter gives what arrives for it to the real server's own address. */
function redirectWants(inputs: RealServerInputs): Want[] {
    if (inputs.accept !== "redirect") return [];
    return trafficOf(inputs.service).map(({ protocol, address, port }) => ({
        kind: "redirect",
        key: trafficKey(protocol, address, port),
        value: inputs.address,
    }));
}

/**
 * What clients send to the VIP has to fit once the director has wrapped it: the real server says so in its SYN/ACK,
 * because the ICMP that would else tell the client is often dropped on the way. The MTU between director and real server
 * is taken to be that of the interface that holds the real server's address.
 */
function segmentWants(inputs: RealServerInputs, view: HostView | undefined): Want[] {
    const { tunnel } = destinationValue(inputs);
    const given = inputs.tunnel?.mss ?? "auto";
    if (tunnel === null || given === "none") return [];
    const mtu = view === undefined ? ETHERNET_MTU : ownMtu(inputs.address, view);
    if (given === "auto" && mtu === undefined) return [];
    // A host that has no packet filter is warned about; only a size that was asked for is an error there.
    const can = (vip: string) => given !== "auto" || view === undefined || hasFilter(view.probe, vip);
    return trafficOf(inputs.service)
        .filter(({ protocol, address }) => protocol === "tcp" && can(address))
        .map(({ protocol, address, port }) => ({
            kind: "mss",
            key: trafficKey(protocol, answeringAddress(inputs, view, protocol, address, port), port),
            value: given === "auto" ? largestSegment(mtu!, tunnel, inputs.address, address) : given,
        }));
}

/** The address that the answers of a service come from, where the packet filter sets their size. */
function answeringAddress(
    inputs: RealServerInputs,
    view: HostView | undefined,
    ...[protocol, address, port]: Parameters<typeof trafficKey>
): string {
    const redirected = inputs.accept === "redirect";
    return redirected && answersFrom(view, trafficKey(protocol, address, port)) === "own" ? inputs.address : address;
}

/** What a host is taken to have that nobody has looked at. */
const ETHERNET_MTU = 1500;

function ownMtu(address: string, view: HostView): number | undefined {
    const device = interfaceOf(view, address);
    return device === undefined ? undefined : mtuOf(view, device);
}

/**
 * The interface on which the segment asks "who has the VIP?" must not answer for an address of another device, nor use
 * the VIP as its own name: set there alone, because on `all` it breaks container networks (kubernetes#70530). The
 * effective value is the larger of `all` and the interface's.
 */
function arpWants(inputs: RealServerInputs, view: HostView | undefined): Want[] {
    const device = view === undefined ? undefined : interfaceOf(view, inputs.address);
    if (device === undefined) return [];
    return [
        { kind: "sysctl", key: interfaceSysctl("ipv4", device, "arp_ignore"), value: "1" },
        { kind: "sysctl", key: interfaceSysctl("ipv4", device, "arp_announce"), value: "2" },
    ];
}

/**
 * The tunnel device of ours for this real server's address: which type takes in what, by outer and inner family (tried
 * with real packets on 6.1). For gue a port takes the UDP header off, and the device behind it does the rest.
 */
function tunnelWants(
    inputs: RealServerInputs,
    tunnel: NonNullable<DestinationValue["tunnel"]>,
    vip: string,
): { name: string; wants: Want[] } {
    const local = inputs.address;
    const outer6 = local.includes(":");
    const inner6 = vip.includes(":");
    const gre = tunnel.type === "gre";
    const type = gre ? (outer6 ? "ip6gre" : "gre") : outer6 ? "ip6tnl" : inner6 ? "sit" : "ipip";
    const name = `${DEVICE_PREFIX}${type}-${createHash("sha256").update(local).digest("hex").slice(0, 4)}`;
    const csum = gre && tunnel.checksum === "csum";
    const modules = { ipip: ["ipip"], sit: ["sit"], ip6tnl: ["ip6_tunnel"], gre: ["ip_gre"], ip6gre: ["ip6_gre"] }[
        type
    ];
    const family = outer6 ? "ipv6" : "ipv4";
    return {
        name,
        wants: [
            ...modules.map((key): Want => ({ kind: "module", key, value: true })),
            ...(tunnel.type === "gue"
                ? [
                      ...(outer6 ? ["fou", "fou6"] : ["fou"]).map(
                          (key): Want => ({ kind: "module", key, value: true }),
                      ),
                      { kind: "fou", key: `${family}/${tunnel.port}`, value: "gue" } as Want,
                  ]
                : []),
            { kind: "link", key: name, value: { type, local, ...(csum ? { csum } : {}) } },
            ...(inner6
                ? []
                : [{ kind: "sysctl", key: interfaceSysctl("ipv4", name, "rp_filter"), value: "2" } as Want]),
        ],
    };
}
