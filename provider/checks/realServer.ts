import { destinationValue, type RealServerInputs } from "../inputs/realServer";
import { identityOf, trafficOf, vipsOf } from "../inputs/reference";
import { defaultPort } from "../inputs/service";
import { familyOf, isWithin } from "../ipvs/address";
import { defaults } from "../ipvs/limits";
import { type ServiceIdentity, type ServiceValue, serviceKey } from "../ipvs/model";
import { largestSegment } from "../ipvs/tunnels";
import { parseAddressKey } from "../kinds/address";
import { hasFilter, masqueradesOf } from "../kinds/filter";
import { isSameHost } from "../kinds/probe";
import type { Finding, HostView } from "../kinds/want";
import { finding } from "./codes";
import { gatewayFindings } from "./gateway";
import { isLocal, mtuOf, placesOf, reversePathFilter, routesOf, routesTo } from "./network";
import { ruleFindings } from "./service";
import { byService, drainFindings, loopFindings, ruleOnHost, serversOnHost } from "./serviceHost";
import { settingValues } from "./settings";

/** What a real server's inputs alone show. */
export function realServerFindings(inputs: RealServerInputs): Finding[] {
    const id = identityOf(inputs.service);
    return [
        ...ruleFindings(id, vipsOf(inputs.service), inputs.address, inputs.port ?? defaultPort(id), inputs, ""),
        ...settingValues(inputs.sysctls),
        ...redirectFindings(inputs),
        ...unheardFindings(inputs),
    ];
}

/** Inputs that nothing would come of. */
function unheardFindings(inputs: RealServerInputs): Finding[] {
    const { accept, connection, device, persistAcrossReboot, sysctls, tunnel } = inputs;
    const asked = {
        sysctls: Object.keys(sysctls ?? {}).length > 0,
        device: device !== undefined,
        accept: accept === "redirect",
        "tunnel.mss": tunnel?.mss !== undefined,
    };
    const findings: Finding[] = [];
    if (connection === undefined) {
        for (const [name, given] of Object.entries(asked)) {
            if (!given) continue;
            findings.push(
                finding("LVS-CONTRADICTION", name, "is set up on the real server itself: name its `connection`"),
            );
        }
        // Without a side of its own a real server may still be given what all of a farm are given.
        if (persistAcrossReboot !== undefined) {
            findings.push(
                finding(
                    "LVS-NO-EFFECT",
                    "persistAcrossReboot",
                    "is about the real server's own side, which is left alone without `connection`; for its rule the director's counts",
                ),
            );
        }
    } else if (device !== undefined && destinationValue(inputs).forwarding === "nat") {
        findings.push(
            finding("LVS-CONTRADICTION", "device", "by nat a real server has no VIP: leave it out, or use dr or tun"),
        );
    }
    return findings;
}

/** A packet filter rewrites an address to one of the same family, and only what it can tell apart. */
function redirectFindings(inputs: RealServerInputs): Finding[] {
    if (inputs.accept !== "redirect") return [];
    const say = (message: string) => [finding("LVS-REDIRECT", "accept", message)];
    const traffic = trafficOf(inputs.service);
    if (traffic.length === 0) {
        return say("the service is marked by somebody else, so what to redirect is not known here: name its `marks`");
    }
    const other = traffic.find(({ address }) => address.includes(":") !== inputs.address.includes(":"));
    if (other === undefined) return [];
    return say(
        `${other.address} cannot be redirected to ${inputs.address}, which is of the other family: let the real server have the VIP`,
    );
}

/** What the director shows against the real server's rule. */
export function realServerDirectorFindings(inputs: RealServerInputs, view: HostView): Finding[] {
    const id = identityOf(inputs.service);
    const service = serviceOn(view, id);
    const vips = vipsOf(inputs.service);
    const { forwarding } = destinationValue(inputs);
    const port = inputs.port ?? defaultPort(id);
    const drain = inputs.drain?.timeout ?? (inputs.weight === 0 ? 0 : defaults.drain);
    const beside = serversOnHost(view, serviceKey(id)).filter(({ address }) => address !== inputs.address);
    const given = { at: "", sysctls: undefined, placed: false, synced: false };
    return [
        ...byService(service, inputs, drain),
        ...ruleOnHost(id, service, vips, { address: inputs.address, port }, inputs, view, given),
        ...drainFindings(id, service, drain, "drain.timeout", view, undefined),
        ...loopFindings([...beside, { address: inputs.address, forwarding }], vips, view, { ...given, at: "address" }),
    ];
}

function serviceOn(view: HostView, id: ServiceIdentity): ServiceValue | undefined {
    return view.objects.get("service")?.get(serviceKey(id)) as unknown as ServiceValue | undefined;
}

/** What the real server itself shows, before anything is done there. */
export function realServerHostFindings(inputs: RealServerInputs, view: HostView, director?: HostView): Finding[] {
    // By one connection both are one part, and what the director shows is this view.
    if (director !== undefined && director !== view && isSameHost(view.probe, director.probe)) {
        return [
            finding(
                "LVS-HOST-TWICE",
                "connection",
                "this host is the service's director, by another connection: its ledger has one file for a real server, and the two ways to it would undo each other's part; give the same connection here as the director has",
            ),
        ];
    }
    const { forwarding } = destinationValue(inputs);
    const vips = vipsOf(inputs.service).filter((vip) => !vip.includes(":"));
    const device = placesOf(view, inputs.address)[0]?.device;
    const says = (view.objects.get("address")?.size ?? 0) > 0;
    // By nat the director may reach it by an address that is translated on the way, but not when it is its gateway.
    if (device === undefined && says && (forwarding !== "nat" || inputs.gateway !== undefined)) {
        return [
            finding(
                "LVS-RIP-ELSEWHERE",
                "address",
                `no interface of this host holds ${inputs.address}: the connection leads to another host, which would get ${forwarding === "nat" ? "its default route" : "the VIP, and answer for it"}`,
            ),
        ];
    }
    const gateway = gatewayFindings(inputs.gateway, view);
    if (gateway.length > 0) return gateway;
    // The director as its own real server answers for the VIP by right, and its answers come from where they should.
    if (serviceOn(view, identityOf(inputs.service)) !== undefined) return [];
    if (forwarding === "nat") return inputs.gateway === undefined ? returnFindings(inputs, view, director) : [];
    if (forwarding === "tun") return segmentFindings(inputs, view, director);
    if (device === undefined) return [];
    return [...answeringFindings(inputs, vips, device, view), ...pathFindings(inputs.address, device, view)];
}

/** By nat the director has to see the answers. A host that has no router at all sends none to another network. */
function returnFindings(inputs: RealServerInputs, view: HostView, director: HostView | undefined): Finding[] {
    const { address } = inputs;
    const routes = routesOf(view, address.includes(":") ? "ipv6" : "ipv4");
    const gateways = routes.flatMap(({ gateway }) => gateway ?? []);
    const found = [...new Set(gateways)].join(", ");
    const complain = (what: string): Finding[] => [
        finding(
            "LVS-NAT-RETURN",
            "forwarding",
            `by nat the answers must go back through the director, and ${what}: make the director its gateway, or let it masquerade`,
        ),
    ];
    if (gateways.length === 0 && !routes.some(({ prefix }) => prefix === 0)) {
        return complain("this host has no route through any router");
    }
    if (director === undefined || gateways.length === 0) return [];
    const vips = vipsOf(inputs.service);
    const masquerades = masqueradesOf(director).some((rule) => hidesClients(rule, vips, address));
    const its = new Set(
        [...(director.objects.get("address")?.keys() ?? [])].map((key) => parseAddressKey(key).address.split("/")[0]),
    );
    if (masquerades || gateways.some((gateway) => its.has(gateway))) return [];
    return complain(
        `none of this host's gateways (${found}) is an address of the director, which masquerades no clients on their way here`,
    );
}

/**
 * Whether a masquerade lets the real server answer to the director: one towards it that says so, or for everybody, or for
 * the network that clients know the VIP on. One for the real servers' own way out does nothing for their clients.
 */
function hidesClients(rule: ReturnType<typeof masqueradesOf>[number], vips: string[], address: string): boolean {
    const { source, destination } = rule;
    if (familyOf(source) !== familyOf(address)) return false;
    if (destination !== undefined) return inNetwork(address, destination);
    return source.endsWith("/0") || vips.length === 0 || vips.some((vip) => inNetwork(vip, source));
}

function inNetwork(address: string, network: string): boolean {
    const [base = "", prefix] = network.split("/");
    return isWithin(address, base, Number(prefix));
}

/** The size that clients are told rests on the MTU of this host's interface; the way from the director may take less. */
function segmentFindings(inputs: RealServerInputs, view: HostView, director: HostView | undefined): Finding[] {
    const { tunnel } = destinationValue(inputs);
    const mss = inputs.tunnel?.mss ?? "auto";
    const isTcp = trafficOf(inputs.service).some(({ protocol }) => protocol === "tcp");
    if (tunnel === null || mss === "none" || !isTcp) return [];
    const say = (message: string) => [finding("LVS-TUN-MTU", "tunnel.mss", message)];
    if (mss === "auto" && !vipsOf(inputs.service).every((vip) => hasFilter(view.probe, vip))) {
        return say(
            "this host has neither nft nor iptables (for IPv6: ip6tables): clients are not told to send smaller TCP segments, and where ICMP is dropped large uploads stall; install nftables",
        );
    }
    const sends = director === undefined ? undefined : mtuTo(director, inputs.address);
    if (sends === undefined) return [];
    const own = placesOf(view, inputs.address).flatMap(({ device }) => mtuOf(view, device) ?? [])[0];
    const tight = vipsOf(inputs.service).flatMap((vip) => {
        const fits = largestSegment(sends, tunnel, inputs.address, vip);
        const told = mss !== "auto" ? mss : own === undefined ? fits : largestSegment(own, tunnel, inputs.address, vip);
        return told > fits ? [{ told, fits }] : [];
    })[0];
    if (tight === undefined) return [];
    return say(
        `clients are told to send ${tight.told} bytes in a segment, and the director sends packets of ${sends} bytes towards ${inputs.address}, into which, wrapped, only ${tight.fits} fit: set tunnel.mss to ${tight.fits}`,
    );
}

function mtuTo(view: HostView, address: string): number | undefined {
    const device = isLocal(view, address) ? undefined : routesTo(view, address)[0]?.device;
    return device === undefined ? undefined : mtuOf(view, device);
}

/** arp_ignore 1 keeps silent about the addresses of other devices alone. */
function answeringFindings(inputs: RealServerInputs, vips: string[], device: string, view: HostView): Finding[] {
    if (device === "lo") return [];
    const chosen = inputs.device === device ? vips[0] : undefined;
    const held = vips.find((vip) => placesOf(view, vip).some((place) => place.device === device));
    const vip = chosen ?? held;
    if (vip === undefined) return [];
    return [
        finding(
            "LVS-VIP-DEVICE",
            chosen === undefined ? "address" : "device",
            `with ${vip} on ${device}, where its segment asks for it, the real server answers ARP for it beside the director: put it on lo`,
        ),
    ];
}

/** A strict filter drops what comes in where its source would not be answered to. */
function pathFindings(address: string, device: string, view: HostView): Finding[] {
    if (address.includes(":") || device === "lo" || reversePathFilter(view, device) !== 1) return [];
    const routed = routesOf(view, "ipv4").filter(({ gateway, prefix }) => gateway !== undefined || prefix === 0);
    const away = routed.find(({ prefix }) => prefix === 0)?.device;
    if (away === undefined || routed.some((route) => route.device === device || route.device === undefined)) return [];
    return [
        finding(
            "LVS-RP-FILTER",
            "sysctls",
            `clients' packets arrive on ${device}, and this host would answer them through ${away}: rp_filter 1 drops them; set net.ipv4.conf.${device.replaceAll(".", "/")}.rp_filter to 2`,
        ),
    ];
}
