/** A real server: the rule's fields, which an inline one has too, and those of its own side. */
import { z } from "zod";
import { familyOf, isLinkLocal, isUnicast } from "../ipvs/address";
import { defaults, limits } from "../ipvs/limits";
import { type DestinationValue, forwardings, type TunnelValue, tunnelChecksums, tunnelTypes } from "../ipvs/model";
import { address, connection, contradiction, device, drain, owner, port, sysctls, whole } from "./fields";
import { serviceReference } from "./reference";

const tunnelFields = {
    type: z.enum(tunnelTypes).describe("Encapsulation: ipip, gue (a UDP port) or gre. Default ipip.").optional(),
    port: whole(limits.tunnelPort).describe("UDP port of gue, where it is required; illegal otherwise.").optional(),
    checksum: z
        .enum(["none", "csum", "remcsum"])
        .describe("Checksum of the outer header: gue takes none, csum, remcsum; gre none, csum. Default none.")
        .optional(),
};

type Tunnel = z.infer<z.ZodObject<typeof tunnelFields>>;

function tunnelContradictions(value: Tunnel, context: z.RefinementCtx): void {
    const say = (path: string, message: string) => contradiction(context, [path], message);
    const type = value.type ?? defaults.tunnelType;
    if (type === "gue" && value.port === undefined) {
        say("port", "gue needs the UDP port that the real server listens on");
    }
    if (type !== "gue" && value.port !== undefined) say("port", `only gue has a port, ${type} has none`);
    if (value.checksum !== undefined && !tunnelChecksums[type].includes(value.checksum)) {
        say("checksum", `${type} takes ${tunnelChecksums[type].join(" or ")}`);
    }
}

const tunnel = z.strictObject(tunnelFields).superRefine(tunnelContradictions);

/** The tunnel of a real server whose own side is ours too. */
const ownTunnel = z
    .strictObject({
        ...tunnelFields,
        mss: z
            .union([whole(limits.tunnelMss), z.enum(["auto", "none"])], {
                error: `expected a whole number from ${limits.tunnelMss.min} to ${limits.tunnelMss.max}, "auto" or "none"`,
            })
            .describe(
                'Largest TCP segment, in bytes, that clients are told to send: a rule on the real server lowers the MSS option of its SYN/ACK. "auto": what fits the MTU of the real server\'s interface once it is wrapped; "none": no rule. Default auto.',
            )
            .optional(),
    })
    .superRefine(tunnelContradictions);

/** The fields of the rule on the director. */
export const ruleFields = {
    port: port.describe("Port of the real server. Default: the service's; 0 under a firewall mark.").optional(),
    forwarding: z
        .enum(forwardings)
        .describe("Forwarding method: nat (masquerading), dr (direct routing) or tun (tunnelling). Default dr.")
        .optional(),
    weight: whole(limits.weight).describe("Share of new connections; 0: none. Default 1.").optional(),
    keepWeight: z
        .boolean()
        .describe(
            "Leave the weight to a health checker or feedback agent on the director: `weight` is only what it starts with. Default false.",
        )
        .optional(),
    upperThreshold: whole(limits.upperThreshold)
        .describe("No new connections from this number on; 0: no limit. Default 0.")
        .optional(),
    lowerThreshold: whole(limits.lowerThreshold)
        .describe("New connections again below this number; 0: three quarters of upperThreshold. Default 0.")
        .optional(),
    tunnel: tunnel.describe("How tun wraps packets. Default: ipip.").optional(),
};

type Rule = z.infer<z.ZodObject<typeof ruleFields>>;

/** What no rule can be, whatever its service. */
export function contradictions(value: Rule, context: z.RefinementCtx): void {
    if (value.tunnel !== undefined && value.forwarding !== "tun") {
        contradiction(
            context,
            ["tunnel"],
            `only forwarding tun has a tunnel, this is ${value.forwarding ?? defaults.forwarding}`,
        );
    }
    const lower = value.lowerThreshold ?? 0;
    const upper = value.upperThreshold ?? 0;
    // One that is out of its range has been said already.
    if (lower > upper && lower <= limits.lowerThreshold.max && upper >= limits.upperThreshold.min) {
        contradiction(
            context,
            ["lowerThreshold"],
            `${lower} is above upperThreshold (${upper}): the kernel refuses it`,
        );
    }
}

/** What the real server's own side cannot be. */
function acceptContradictions(
    value: Rule & { accept?: "address" | "redirect" | undefined; device?: string | undefined },
    context: z.RefinementCtx,
): void {
    const say = (path: string, message: string) => contradiction(context, [path], message);
    const forwarding = value.forwarding ?? defaults.forwarding;
    if (value.accept !== "redirect") return;
    if (forwarding === "nat") {
        say("accept", "by nat packets come for the real server's own address: only dr and tun redirect");
    }
    if (value.device !== undefined) say("device", "a real server that redirects has no VIP to put on a device");
}

/** What a default route of ours cannot be. */
function gatewayContradictions(
    value: Rule & { address: string; gateway?: string | undefined; connection?: unknown },
    context: z.RefinementCtx,
): void {
    const { gateway, address } = value;
    if (gateway === undefined) return;
    const say = (message: string) => contradiction(context, ["gateway"], message);
    const forwarding = value.forwarding ?? defaults.forwarding;
    if (forwarding !== "nat") say(`only by nat the answers go back through the director, this is ${forwarding}`);
    else if (value.connection === undefined) say("the route is set on the real server itself: name its `connection`");
    else if (familyOf(gateway) !== familyOf(address)) say(`is of another family than the real server's ${address}`);
    else if (gateway === address) say("is the real server's own address: name the director's on the same network");
    else if (isLinkLocal(gateway)) {
        say("is link-local, which says nothing without an interface: name the director's own address on that network");
    } else if (!isUnicast(gateway)) say("is not the address of one host");
}

/** An inline real server. */
export const inlineRealServer = z.strictObject(ruleFields).superRefine(contradictions);
export type InlineRealServer = z.infer<typeof inlineRealServer>;

/** The inputs of a RealServer. */
export const realServerSchema = z
    .strictObject({
        service: serviceReference.describe(
            "The virtual service that it belongs to: a VirtualService, or its plain data.",
        ),
        address: address.describe("Address of the real server (RIP), as the director reaches it."),
        ...ruleFields,
        tunnel: ownTunnel.describe("How tun wraps packets. Default: ipip.").optional(),
        connection: connection
            .describe("How to reach the real server, to set up its own side. Default: its own side is left alone.")
            .optional(),
        accept: z
            .enum(["address", "redirect"])
            .describe(
                "How the real server takes packets for the VIP, by dr and tun: it has the address (`address`), or its packet filter gives them to its own address (`redirect`), for hosts where no VIP may be added; then a server that listens on every address answers rightly by udp too. Default address.",
            )
            .optional(),
        device: device
            .describe(
                "Device of the real server that takes the VIP: lo, a dummy device (`dummy0`, `lvs-vip`: made if it is not there), a tunnel or any other. Default: lo for dr, a tunnel device of ours for tun.",
            )
            .optional(),
        gateway: address
            .describe(
                "By nat: the router that the real server's default route goes through, normally the director's address on its network. The route goes before those that are there, and what was found is put back. Default: its routes are left alone, and checked.",
            )
            .optional(),
        sysctls: sysctls.describe("Further kernel settings of the real server.").optional(),
        drain: drain.describe("How it is removed.").optional(),
        persistAcrossReboot: z
            .boolean()
            .describe("Set up its own side again at boot; needs systemd. Default true.")
            .optional(),
        adopt: z
            .boolean()
            .describe("Take over a rule that exists already; destroy then removes it. Default false.")
            .optional(),
        owner,
    })
    .superRefine(contradictions)
    .superRefine(acceptContradictions)
    .superRefine(gatewayContradictions);
export type RealServerInputs = z.infer<typeof realServerSchema>;

/** The rule's value with its defaults. */
export function destinationValue(fields: Rule): DestinationValue {
    const forwarding = fields.forwarding ?? defaults.forwarding;
    return {
        forwarding,
        weight: fields.weight ?? defaults.weight,
        upperThreshold: fields.upperThreshold ?? 0,
        lowerThreshold: fields.lowerThreshold ?? 0,
        tunnel: forwarding === "tun" ? tunnelValue(fields) : null,
    };
}

/** The tunnel with its defaults. */
export function tunnelValue(fields: Rule): TunnelValue {
    const { type, port, checksum } = fields.tunnel ?? {};
    return { type: type ?? defaults.tunnelType, port: port ?? null, checksum: checksum ?? "none" };
}
