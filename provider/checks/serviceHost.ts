/** What a director shows against a service and its real servers, before anything is done there. */
import type { DirectorInputs } from "../inputs/director";
import { destinationValue, type InlineRealServer } from "../inputs/realServer";
import { familyOfIdentity, type InlineService, serviceValue, serviceVips } from "../inputs/service";
import { kernelAddress } from "../ipvs/address";
import { isBefore, kernelGate } from "../ipvs/gates";
import { upstreamWeightMax } from "../ipvs/limits";
import {
    type DestinationValue,
    destinationKey,
    parseDestinationKey,
    type ServiceIdentity,
    type ServiceValue,
    sameValue,
    serviceKey,
} from "../ipvs/model";
import { tunnelOverhead } from "../ipvs/tunnels";
import { announced } from "../kinds/address";
import { takesFrom } from "../kinds/dialect";
import { marksOf } from "../kinds/filter";
import { fact, lines } from "../kinds/probe";
import type { Finding, HostView } from "../kinds/want";
import { finding } from "./codes";
import { forwardFindings, inputFindings } from "./filter";
import { isLocal, mtuOf, placesOf, routesTo } from "./network";
import { sameConnectionOn } from "./ownSsh";
import { inlineDrain, inlineServers, refusedClients, shadowed, thresholdFindings } from "./service";
import { willBe } from "./settings";
import { below, lacksFallback } from "./words";

interface Given {
    /** The property that holds the service or the rule. */
    at: string;
    /** The settings that are declared beside it. */
    sysctls: DirectorInputs["sysctls"];
    /** Whether the VIPs are placed by us: they are then never a source address. */
    placed: boolean;
    /** Whether a sync daemon is declared beside it. */
    synced: boolean;
}

/** A service with its inline real servers. */
export function serviceOnHost(id: ServiceIdentity, fields: InlineService, view: HostView, given: Given): Finding[] {
    const { at, sysctls } = given;
    const service = serviceValue(id, fields);
    const servers = inlineServers(id, fields, at);
    const vips = serviceVips(id, fields);
    return [
        ...sameConnectionOn(view, id, fields, at),
        ...markedAway(id, view, at),
        ...inputFindings(id, fields, view, at),
        ...drainFindings(id, service, inlineDrain(fields), below(at, "drain.timeout"), view, sysctls),
        ...loopFindings(
            servers.map(({ address, fields: server }) => ({
                address,
                forwarding: destinationValue(server).forwarding,
            })),
            vips,
            view,
            { ...given, at: below(at, "realServers") },
        ),
        ...servers.flatMap(({ address, port, fields: server, at: place }) =>
            ruleOnHost(id, service, vips, { address, port }, server, view, { ...given, at: place }),
        ),
    ];
}

/** A real server of a service; `service`: undefined where the director does not show it yet. */
export function ruleOnHost(
    id: ServiceIdentity,
    service: ServiceValue | undefined,
    vips: string[],
    { address, port }: { address: string; port: number },
    fields: InlineRealServer,
    view: HostView,
    given: Given,
): Finding[] {
    const value = destinationValue(fields);
    const { at, sysctls } = given;
    const drained = value.weight === 0 && fields.keepWeight !== true;
    return [
        ...weightFindings(fields, view, at),
        ...(drained && service?.persistence != null ? pinned(below(at, "weight"), view, sysctls) : []),
        ...formerFindings(id, value, { address, port }, view, given),
        ...(value.forwarding === "dr" ? routeFindings(address, view, at) : []),
        ...(value.forwarding === "nat" && !isLocal(view, address)
            ? forwardFindings(id, address, port, view, below(at, "forwarding"))
            : []),
        ...(value.tunnel !== null && isLocal(view, address) ? [localTunnel(address, at)] : []),
        ...(value.tunnel === null || isLocal(view, address)
            ? []
            : [
                  ...tunnelFindings(id, value, address, view, given),
                  ...(address.includes(":") && !given.placed ? sourceFindings(vips, view, at) : []),
              ]),
    ];
}

/**
 * What a real server of its own resource is told by its service, which stands on the director and not in its inputs.
 * `seconds`: how long it drains.
 */
export function byService(service: ServiceValue | undefined, fields: InlineRealServer, seconds: number): Finding[] {
    if (service === undefined) return [];
    const { scheduler, flags, persistence } = service;
    const refused = refusedClients(scheduler);
    const fallback = !lacksFallback(scheduler, flags);
    return [
        ...(persistence === null ? [] : thresholdFindings(fields, "")),
        ...(fallback || fields.weight !== 0 || fields.keepWeight === true
            ? []
            : [finding("LVS-NO-FALLBACK", "weight", refused)]),
        ...(fallback || seconds === 0 || fields.weight === 0
            ? []
            : [finding("LVS-NO-FALLBACK", "drain.timeout", `a drain sets weight 0: ${refused}`)]),
    ];
}

/** What keeps a drain from ending. `seconds`: how long it may take; 0: there is none. */
export function drainFindings(
    id: ServiceIdentity,
    service: ServiceValue | undefined,
    seconds: number,
    at: string,
    view: HostView,
    sysctls: DirectorInputs["sysctls"],
): Finding[] {
    if (seconds === 0 || service === undefined) return [];
    const findings = service.persistence === null ? [] : pinned(at, view, sysctls);
    const nodest = "net.ipv4.vs.expire_nodest_conn";
    const isUdp = "protocol" in id && id.protocol === "udp" && !service.onePacket;
    if (isUdp && willBe(sysctls, view, nodest) === "0") {
        findings.push(
            finding(
                "LVS-DRAIN-UDP",
                at,
                `udp has no active connections to wait for, and with ${nodest} 0 packets of its clients are dropped after the real server is gone, until their entry expires: set it to 1`,
            ),
        );
    }
    return findings;
}

function pinned(at: string, view: HostView, sysctls: DirectorInputs["sysctls"]): Finding[] {
    const key = "net.ipv4.vs.expire_quiescent_template";
    if (willBe(sysctls, view, key) !== "0") return [];
    return [
        finding(
            "LVS-DRAIN-PERSISTENCE",
            at,
            `with ${key} 0 persistence brings known clients back to a real server with weight 0: set it to 1`,
        ),
    ];
}

function markedAway(id: ServiceIdentity, view: HostView, at: string): Finding[] {
    if (!("protocol" in id)) return [];
    const mark = marksOf(view).find(({ traffic }) => takesFrom(traffic, serviceKey(id)))?.mark;
    const family = id.address.includes(":") ? "ipv6" : "ipv4";
    if (typeof mark !== "number") return [];
    const taken = view.objects.get("service")?.has(serviceKey({ fwmark: mark, family })) === true;
    return taken ? [shadowed(serviceKey(id), mark, at === "" ? "port" : at)] : [];
}

function weightFindings(fields: InlineRealServer, view: HostView, at: string): Finding[] {
    const findings: Finding[] = [];
    const { weight } = fields;
    const os = fact(view.probe, "os");
    if (weight !== undefined && weight > upstreamWeightMax && os !== undefined && !debians.test(os)) {
        findings.push(
            finding(
                "LVS-WEIGHT-RANGE",
                below(at, "weight"),
                `ipvsadm as it is published takes weights up to ${upstreamWeightMax}; only Debian's takes ${weight}, and this is ${os}`,
            ),
        );
    }
    const checker = lines(view.probe, "facts")
        .find((line) => line.startsWith("checking="))
        ?.slice("checking=".length);
    if (fields.keepWeight !== true && checker !== undefined) {
        findings.push(
            finding(
                "LVS-CHECKER",
                below(at, "weight"),
                `${checker} checks real servers on this director: if it writes the weight, every up writes it back; set keepWeight`,
            ),
        );
    }
    return findings;
}

const debians = /debian|ubuntu|mint|raspbian|proxmox|devuan|kali|pop!_os|armbian/i;

/**
 * A connection keeps the forwarding method that it began with. Of one by dr or tun the director sees the client's half, and
 * keeps it for a while after its end; a client that uses its port again meets it (is_new_conn_expected in ip_vs_core.c).
 */
function formerFindings(
    id: ServiceIdentity,
    value: DestinationValue,
    { address, port }: { address: string; port: number },
    view: HostView,
    { at, sysctls }: Given,
): Finding[] {
    const former = view.objects.get("destination")?.get(destinationKey(serviceKey(id), address, port)) as
        | DestinationValue
        | undefined;
    if (former === undefined || isLocal(view, address)) return [];
    if (former.forwarding === value.forwarding && sameValue(former.tunnel, value.tunnel)) return [];
    const place = below(at, "forwarding");
    const found = (text: string) => finding("LVS-FORMER-METHOD", place, text);
    const change = `from ${former.forwarding} to ${value.forwarding}`;
    if ("protocol" in id && id.protocol === "udp") {
        return [
            found(
                `${change}: a udp client that goes on from the same port is sent by the former method until it has paused for the udp timeout; what that needs is there for drain.timeout at the most`,
            ),
        ];
    }
    const key = "net.ipv4.vs.conn_reuse_mode";
    if (former.forwarding === "nat" || (Number(willBe(sysctls, view, key) ?? 1) & 2) !== 0) return [];
    return [
        found(
            `${change}: a client that uses its port again within two minutes is sent by the former method, whose way is gone by then; set ${key} to 3 before the change`,
        ),
    ];
}

/** By dr a frame goes to the real server itself: a router in between would send the VIP's packet back. */
function routeFindings(address: string, view: HostView, at: string): Finding[] {
    const routes = isLocal(view, address) ? [] : routesTo(view, address);
    const gateways = routes.map(({ gateway }) => gateway).filter((gateway) => gateway !== undefined);
    if (routes.length === 0 || gateways.length < routes.length) return [];
    return [
        finding(
            "LVS-DR-ROUTE",
            below(at, "forwarding"),
            `the director reaches ${address} through ${gateways[0]}: unless that is the real server itself, it gives a packet for the VIP back to the director; use tun or nat across routers`,
        ),
    ];
}

function tunnelFindings(
    id: ServiceIdentity,
    value: DestinationValue,
    address: string,
    view: HostView,
    { at, sysctls }: Given,
): Finding[] {
    const findings: Finding[] = [];
    const { type } = value.tunnel!;
    const release = fact(view.probe, "release") ?? "";
    const gate = kernelGate(type);
    if (gate !== undefined && isBefore(release, gate.since)) {
        findings.push(
            finding(
                "LVS-TUN-KERNEL",
                below(at, "tunnel.type"),
                `${type} came to IPVS with kernel ${gate.since}, and this director runs ${release}`,
            ),
        );
    }
    const device = routesTo(view, address)[0]?.device;
    const mtu = device === undefined ? undefined : mtuOf(view, device);
    if (mtu === undefined) return findings;
    const rest = mtu - tunnelOverhead(value.tunnel!, address);
    const family = familyOfIdentity(id);
    // Every IPv6 link takes 1280 bytes, and every IPv4 host 576: what is less is lost, or goes in pieces.
    const least = family === "ipv6" ? 1280 : 576;
    const place = below(at, "forwarding");
    if (rest < least) {
        findings.push(
            finding(
                "LVS-TUN-MTU",
                place,
                `${device} sends ${mtu} bytes, which leaves ${rest} inside the tunnel, and ${family} asks for ${least}`,
            ),
        );
    } else if (mtu <= 1500 && family === "ipv4" && willBe(sysctls, view, "net.ipv4.vs.pmtu_disc") === "0") {
        findings.push(
            finding(
                "LVS-TUN-MTU",
                place,
                `with net.ipv4.vs.pmtu_disc 0 a packet of more than ${rest} bytes (${device}'s ${mtu} less the tunnel's headers) goes in fragments, which firewalls drop, and no client is told to send smaller ones: set it to 1, or raise the MTU between director and real server`,
            ),
        );
    }
    return findings;
}

/** LocalNode: what is for the host itself is handed on as it came, whatever the forwarding method. */
function localTunnel(address: string, at: string): Finding {
    return finding(
        "LVS-LOCALNODE",
        below(at, "forwarding"),
        `${address} is the director itself: its packets go through no tunnel, and its server must listen on the VIP; say dr, which is the same and shows it`,
    );
}

/** The real server has the VIP too, and drops what seems to come from itself; no counter moves. */
function sourceFindings(vips: string[], view: HostView, at: string): Finding[] {
    const trap = vips.find(
        (vip) =>
            vip.includes(":") && placesOf(view, vip).some(({ device, deprecated }) => device !== "lo" && !deprecated),
    );
    if (trap === undefined) return [];
    return [
        finding(
            "LVS-V6-SOURCE",
            below(at, "forwarding"),
            `${trap} stands on the director as an ordinary address: it may become the source of the tunnel's packets, which the real server then drops silently; add it with preferred_lft 0`,
        ),
    ];
}

/**
 * keepalived#2450: a director that is a real server, too, balances once more what another one sends it. The kernel leaves
 * that alone with `backup_only`, where a backup daemon runs (sysctl_backup_only in ip_vs.h).
 */
export function loopFindings(
    servers: { address: string; forwarding: string }[],
    vips: string[],
    view: HostView,
    { at, sysctls, placed, synced }: Given,
): Finding[] {
    const key = "net.ipv4.vs.backup_only";
    const direct = servers.filter(({ forwarding }) => forwarding !== "nat");
    const local = direct.find(({ address }) => isLocal(view, address));
    if (local === undefined || direct.length < 2) return [];
    const daemons = view.objects.get("sync");
    const isBackup = daemons?.has("backup") === true;
    const holds = (vip: string) => placesOf(view, vip).some(({ device }) => announced(device));
    if (!isBackup && (placed || vips.length === 0 || vips.some(holds))) return [];
    const off = (willBe(sysctls, view, key) ?? "0") === "0";
    const alone = !synced && (daemons?.size ?? 0) === 0;
    if (!off && !alone) return [];
    const daemon = "have a backup daemon run while the VIP is elsewhere";
    const remedy = [
        ...(off ? [`set ${key} to 1`] : []),
        ...(alone ? [`${daemon}, without which that setting has no effect`] : []),
        ...(isBackup && daemons?.has("master") === true
            ? [`${daemon} and a master daemon where it is: with both and that setting nothing is balanced`]
            : []),
    ];
    return [
        finding(
            "LVS-LOOP",
            at,
            `this director is${isBackup ? " a backup" : " without the VIP"} and, as ${local.address}, a real server: what another director sends it is balanced once more, and may come back: ${remedy.join(", and ")}`,
        ),
    ];
}

/** The real servers of a service as the director has them. */
export function serversOnHost(view: HostView, service: string): { address: string; forwarding: string }[] {
    return [...(view.objects.get("destination") ?? [])].flatMap(([key, value]) => {
        const parsed = parseDestinationKey(key, kernelAddress);
        return parsed.service === service
            ? [{ address: parsed.address, forwarding: (value as unknown as DestinationValue).forwarding }]
            : [];
    });
}
