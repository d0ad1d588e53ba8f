import { destinationValue, type InlineRealServer } from "../inputs/realServer";
import {
    defaultPort,
    familyOfIdentity,
    type InlineService,
    realServersOf,
    serviceValue,
    serviceVips,
} from "../inputs/service";
import { familyOf, hostPort, isLoopback, isUnicast } from "../ipvs/address";
import { defaults } from "../ipvs/limits";
import { forcedPort, mayMixFamilies, type ServiceIdentity, serviceKey } from "../ipvs/model";
import { schedulerNamed } from "../ipvs/schedulers";
import { type Ports, portsMeet, takesFrom } from "../kinds/dialect";
import type { Finding } from "../kinds/want";
import { finding } from "./codes";
import { below, lacksFallback } from "./words";

/** What a service and its inline real servers show by themselves. `at`: the property that holds the service. */
export function serviceFindings(id: ServiceIdentity, fields: InlineService, at: string): Finding[] {
    return [
        ...identityFindings(id, fields, at),
        ...vipFindings(id, fields, at),
        ...schedulerFindings(id, fields, at),
        ...markFindings(id, fields, at),
        ...inlineServers(id, fields, at).flatMap(({ address, port, fields: server, at: place }) => [
            ...ruleFindings(id, serviceVips(id, fields), address, port, server, place),
            ...(fields.persistence === undefined ? [] : thresholdFindings(server, place)),
        ]),
    ];
}

/** The inline real servers, each with the property that holds it. */
export function inlineServers(id: ServiceIdentity, fields: InlineService, at: string) {
    return Object.entries(fields.realServers ?? {}).flatMap(([key, server]) =>
        realServersOf(id, { realServers: { [key]: server } }).map((each) => ({
            ...each,
            at: `${below(at, "realServers")}[${JSON.stringify(key)}]`,
        })),
    );
}

function identityFindings(id: ServiceIdentity, fields: InlineService, at: string): Finding[] {
    const findings: Finding[] = [];
    if ("port" in id && id.port === 0 && fields.persistence === undefined) {
        findings.push(
            finding(
                "LVS-PORT-0",
                below(at, "port"),
                "port 0, every port, works only with persistence: the kernel refuses it",
            ),
        );
    }
    const protocols = "protocol" in id ? [id.protocol] : (fields.marks ?? []).map(({ protocol }) => protocol);
    const notUdp = protocols.length > 0 && !protocols.includes("udp");
    const taken = [...new Set(protocols)].join(" and ");
    if (fields.onePacket === true && notUdp) {
        findings.push(
            finding("LVS-OPS-PROTOCOL", below(at, "onePacket"), `one-packet scheduling is for udp, not for ${taken}`),
        );
    }
    if (fields.persistence?.engine === "sip" && notUdp) {
        findings.push(
            finding(
                "LVS-SIP-PROTOCOL",
                below(at, "persistence.engine"),
                `the engine sip reads udp alone: for ${taken} the kernel finds no Call-ID`,
            ),
        );
    }
    if (fields.vip?.interface !== undefined && "fwmark" in id && fields.marks === undefined) {
        findings.push(
            finding(
                "LVS-VIP-UNUSED",
                below(at, "vip.interface"),
                "a service by firewall mark has no address of its own: its VIPs are those of `marks`, and it has none",
            ),
        );
    } else if (fields.vip?.interface !== undefined && fields.vip.external === true) {
        findings.push(
            finding(
                "LVS-VIP-UNUSED",
                below(at, "vip.interface"),
                "with `vip.external` somebody else brings the VIP, and nothing is put on an interface: leave one of the two out",
            ),
        );
    }
    return findings;
}

/** What no client can send to, whoever holds it. A loopback address only serves the director's own clients. */
function vipFindings(id: ServiceIdentity, { marks, vip }: InlineService, at: string): Finding[] {
    const named: [string, string][] =
        "address" in id
            ? [[id.address, below(at, "address")]]
            : (marks ?? []).map(({ address }, index) => [address, `${below(at, "marks")}[${index}].address`]);
    return named.flatMap(([address, place]) => {
        const say = (message: string) => [finding("LVS-NOT-UNICAST", place, `${address} ${message}`)];
        if (!isUnicast(address)) return say("is not the address of one host: IPVS gets no packet for it");
        if (isLoopback(address) && vip?.external !== true) {
            return say(
                "never leaves its host: no client reaches it (for clients on the director itself, say `vip.external`)",
            );
        }
        return [];
    });
}

function schedulerFindings(id: ServiceIdentity, fields: InlineService, at: string): Finding[] {
    const { scheduler, flags } = serviceValue(id, fields);
    const row = schedulerNamed(scheduler);
    const servers = inlineServers(id, fields, at);
    const findings: Finding[] = [];
    if (flags.length > 0 && row?.flags.length === 0) {
        findings.push(
            finding(
                "LVS-SCHEDULER-FLAGS",
                below(at, "schedulerFlags"),
                `the scheduler ${scheduler} has no flags: ${flags.join(", ")} changes nothing`,
            ),
        );
    }
    const weights = new Set(servers.map(({ fields: server }) => server.weight ?? 1).filter((weight) => weight > 0));
    if (row?.weighted === false && weights.size > 1) {
        findings.push(
            finding(
                "LVS-WEIGHT-IGNORED",
                below(at, "scheduler"),
                `${scheduler} looks at a weight only to see whether it is 0: use ${scheduler === "rr" ? "wrr" : "wlc"} for shares of ${[...weights].join(" and ")}`,
            ),
        );
    }
    if (lacksFallback(scheduler, flags)) {
        const refused = refusedClients(scheduler);
        for (const { fields: server, at: place } of servers) {
            if (server.weight === 0 && server.keepWeight !== true)
                findings.push(finding("LVS-NO-FALLBACK", below(place, "weight"), refused));
        }
        if (inlineDrain(fields) > 0)
            findings.push(finding("LVS-NO-FALLBACK", below(at, "drain.timeout"), `a drain sets weight 0: ${refused}`));
    }
    return findings;
}

/** Seconds that a service drains for: as it says, and by default where it has real servers that take clients. */
export function inlineDrain({ drain, realServers }: InlineService): number {
    const takes = Object.values(realServers ?? {}).some(({ weight }) => weight !== 0);
    return drain?.timeout ?? (takes ? defaults.drain : 0);
}

/** What a hash without fallback does. */
export function refusedClients(scheduler: string): string {
    return `${scheduler} without ${scheduler}-fallback refuses the clients of a real server with weight 0, instead of giving them to another`;
}

function markFindings(id: ServiceIdentity, fields: InlineService, at: string): Finding[] {
    if (!("fwmark" in id)) return [];
    return (fields.marks ?? []).flatMap(({ address }, index) =>
        familyOf(address) === id.family
            ? []
            : [
                  finding(
                      "LVS-MARK-FAMILY",
                      `${below(at, "marks")}[${index}].address`,
                      `${serviceKey(id)} takes ${id.family} packets: what is marked for ${address} never gets to it (a mark of either family is a service of its own)`,
                  ),
              ],
    );
}

/** What a rule shows by itself. `vips`: the service's; `at`: the property that holds it. */
export function ruleFindings(
    id: ServiceIdentity,
    vips: string[],
    address: string,
    port: number,
    fields: InlineRealServer,
    at: string,
): Finding[] {
    const { forwarding } = destinationValue(fields);
    const forced = forcedPort(serviceKey(id), forwarding);
    const place = at === "" ? "address" : at;
    const findings: Finding[] = [];
    if (forced !== undefined && port !== forced) {
        findings.push(
            finding(
                "LVS-DR-PORT",
                below(at, "port"),
                `${forwarding} leaves the packet's port as it is: it is ${forced}, the service's, not ${port} (only nat changes ports)`,
            ),
        );
    }
    if (familyOf(address) !== familyOfIdentity(id) && !mayMixFamilies(forwarding)) {
        findings.push(
            finding(
                "LVS-FAMILY",
                place,
                `${address} is of another family than the service ${serviceKey(id)}: only tun can cross`,
            ),
        );
    }
    // ip_vs_nat_xmit: "stopping DNAT to loopback address".
    if (forwarding === "nat" && isLoopback(address)) {
        findings.push(
            finding(
                "LVS-LOCALNODE",
                below(at, "forwarding"),
                `${address} is the director itself, and the kernel drops what comes from outside for a loopback address by nat: name an address of the director's, or use dr with a server that listens on the VIP`,
            ),
        );
    }
    if (!isUnicast(address)) {
        findings.push(
            finding("LVS-NOT-UNICAST", place, `${address} is not the address of one host: the kernel refuses it`),
        );
    }
    // By nat another port of the VIP's own host is a server there, as it is of a Kubernetes node.
    if (vips.includes(address) && (forwarding !== "nat" || port === defaultPort(id))) {
        findings.push(
            finding(
                "LVS-NOT-UNICAST",
                place,
                `${address} is the VIP itself, which is whoever holds it: the packet would go back to where it came from; give an address of the real server's own (for the director itself, its own or 127.0.0.1 by dr)`,
            ),
        );
    }
    return findings;
}

/** Under persistence. */
export function thresholdFindings(fields: InlineRealServer, at: string): Finding[] {
    if ((fields.upperThreshold ?? 0) === 0) return [];
    return [
        finding(
            "LVS-THRESHOLD-PERSISTENCE",
            below(at, "upperThreshold"),
            "a threshold turns new clients away; those that persistence has bound here already come back past it",
        ),
    ];
}

/** Traffic that two services would take, among the services of one director. */
export function sharedTraffic(services: { id: ServiceIdentity; fields: InlineService; at: string }[]): Finding[] {
    const marked: { protocol: string; address: string; port: Ports; mark: number; at: string }[] = [];
    const findings: Finding[] = [];
    for (const { id, fields, at } of services) {
        if (!("fwmark" in id)) continue;
        for (const [index, { protocol, address, port }] of (fields.marks ?? []).entries()) {
            const place = `${below(at, "marks")}[${index}]`;
            const other = marked
                .filter((each) => each.protocol === protocol && each.address === address && each.mark !== id.fwmark)
                .find((each) => portsMeet(each.port, port));
            marked.push({ protocol, address, port, mark: id.fwmark, at: place });
            if (other !== undefined) {
                findings.push(
                    finding(
                        "LVS-MARK-TWICE",
                        place,
                        `${protocol}/${hostPort(address, other.port)} has the mark ${other.mark} already, by ${other.at}: a packet has one mark, not ${id.fwmark} too`,
                    ),
                );
            }
        }
    }
    for (const { id, at } of services) {
        const shadow = marked.find((each) => takesFrom(each, serviceKey(id)));
        if (shadow !== undefined) findings.push(shadowed(serviceKey(id), shadow.mark, at));
    }
    return findings;
}

export function shadowed(service: string, mark: number, at: string): Finding {
    return finding(
        "LVS-MARK-SHADOWS",
        at,
        `what arrives for ${service} has the firewall mark ${mark}, and IPVS looks for a mark first: this service gets nothing`,
    );
}
