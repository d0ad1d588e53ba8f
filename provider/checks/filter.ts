/**
 * The packet filter in front of IPVS, which takes packets behind the chains of input and, answers by nat, of forward: what
 * they drop never gets there. Says something only where no way through them lets a packet in.
 */
import type { InlineService } from "../inputs/service";
import { familyOf, hostPort } from "../ipvs/address";
import type { ServiceIdentity } from "../ipvs/model";
import type { Ports } from "../kinds/dialect";
import type { Finding, HostView } from "../kinds/want";
import { finding } from "./codes";
import { routesOf, routesTo } from "./network";
import { type Chain, chainsOf, droppedAt } from "./ruleset";
import { below } from "./words";

/** What a service takes, and an input chain drops. */
export function inputFindings(
    id: ServiceIdentity,
    { marks }: Pick<InlineService, "marks">,
    view: HostView,
    at: string,
): Finding[] {
    const chains = chainsOf(view);
    const traffic: [{ protocol: string; address: string; port: Ports }, string][] =
        "protocol" in id
            ? [[id, below(at, "port")]]
            : (marks ?? []).map((mark, index) => [mark, `${below(at, "marks")}[${index}].port`]);
    return traffic.flatMap(([{ protocol, address, port }, property]) => {
        const packet = { protocol, daddr: address, dport: anyPort(port), family: nftFamily(address), first: true };
        const chain = droppedAt("input", packet, chains);
        if (chain === undefined) return [];
        return [
            finding(
                "LVS-INPUT-DROP",
                property,
                `the input chain of ${title(chain)} drops ${protocol} for ${hostPort(address, port)} before IPVS sees it: let it in`,
            ),
        ];
    });
}

/** What a real server answers by nat, to clients beyond the director's default route, and a forward chain drops. */
export function forwardFindings(
    id: ServiceIdentity,
    address: string,
    port: number,
    view: HostView,
    at: string,
): Finding[] {
    const only = (devices: (string | undefined)[]) => (new Set(devices).size === 1 ? devices[0] : undefined);
    const away = routesOf(view, familyOf(address)).filter(({ prefix }) => prefix === 0);
    const packet = {
        ...{ saddr: address, sport: anyPort(port), family: nftFamily(address) },
        protocol: "protocol" in id ? id.protocol : undefined,
        iif: only(routesTo(view, address).map(({ device }) => device)),
        oif: only(away.map(({ device }) => device)),
    };
    const chain = droppedAt("forward", packet, chainsOf(view));
    if (chain === undefined) return [];
    return [
        finding(
            "LVS-FORWARD-DROP",
            at,
            `the forward chain of ${title(chain)} drops what ${address} answers before IPVS sees it: let it through`,
        ),
    ];
}

const nftFamily = (address: string): "ip" | "ip6" => (familyOf(address) === "ipv6" ? "ip6" : "ip");
/** What comes of one port is not what comes of many. */
const anyPort = (port: Ports) => (port === 0 || typeof port === "string" ? undefined : port);
const title = ({ table }: Chain) => (/^ip6?tables$/.test(table) ? table : `the nftables table "${table}"`);
