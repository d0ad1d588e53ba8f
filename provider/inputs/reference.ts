/**
 * What one resource says of another: its inputs only, as plain data, because output-only properties are unknown in every
 * preview of an update. More than these fields may be given (a whole resource's outputs, of a stack reference).
 */
import { z } from "zod";
import { limits } from "../ipvs/limits";
import { protocols, type ServiceIdentity } from "../ipvs/model";
import { address, connection, contradiction, device, port, ports, text, whole } from "./fields";

export const directorReference = z.object(
    {
        name: text.min(1, "must not be empty"),
        connection,
        interface: device.optional(),
        persistAcrossReboot: z.boolean().optional(),
    },
    "expected a Director, or its plain data",
);
export type DirectorReference = z.infer<typeof directorReference>;

/** What identifies a service. */
export const identityFields = {
    protocol: z.enum(protocols).describe("tcp, udp or sctp.").optional(),
    address: address.describe("Virtual IP address (VIP).").optional(),
    port: port.describe("Port; required. 0: every port, which needs persistence.").optional(),
    fwmark: whole(limits.firewallMark).describe("Firewall mark, instead of protocol, address and port.").optional(),
    family: z.enum(["ipv4", "ipv6"]).describe("Family of a firewall mark's packets. Default ipv4.").optional(),
};

const markedTraffic = z.strictObject({
    protocol: z.enum(protocols).describe("tcp, udp or sctp."),
    address: address.describe("Destination address (VIP) that is marked."),
    port: ports.describe("Destination port, 0 for every port, or a range such as `10000-20000`."),
});

type Traffic = z.infer<typeof markedTraffic>;

export const marks = z
    .array(markedTraffic)
    .min(1, "must name at least one address")
    .describe("What is given the mark by rules of ours. Without: somebody else marks.");

type Identity = z.infer<z.ZodObject<typeof identityFields>>;

/** A service is an address or a mark, whole and not both. */
export function identityContradictions(value: Identity, context: z.RefinementCtx): void {
    const say = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
    const names = ["protocol", "address", "port"] as const;
    if (value.fwmark !== undefined) {
        if (names.some((name) => value[name] !== undefined)) {
            contradiction(
                context,
                ["fwmark"],
                "a service has a firewall mark, or protocol, address and port; not both",
            );
        }
        return;
    }
    if (names.every((name) => value[name] === undefined)) {
        say("address", "is required, with protocol and port (or fwmark, for a service by firewall mark)");
        return;
    }
    for (const name of names) {
        if (value[name] === undefined) say(name, "is required (or fwmark, for a service by firewall mark)");
    }
    if (value.family !== undefined)
        contradiction(context, ["family"], "belongs to a firewall mark; an address has its own family");
}

/** The identity of a service whose inputs were checked. */
export function identityOf(value: Identity): ServiceIdentity {
    return value.fwmark !== undefined
        ? { fwmark: value.fwmark, family: value.family ?? "ipv4" }
        : { protocol: value.protocol!, address: value.address!, port: value.port! };
}

export const serviceReference = z
    .object(
        {
            director: directorReference,
            ...identityFields,
            marks: marks.optional(),
        },
        "expected a VirtualService, or its plain data",
    )
    .superRefine(identityContradictions);
export type ServiceReference = z.infer<typeof serviceReference>;

/** What arrives for a service, as far as its inputs say: what somebody else marks is not known. */
export function trafficOf(service: Identity & { marks?: Traffic[] | undefined }): Traffic[] {
    const { protocol, address: to, port: at } = service;
    return protocol === undefined || to === undefined || at === undefined
        ? (service.marks ?? [])
        : [{ protocol, address: to, port: at }];
}

/** The addresses that real servers have to take for themselves: the service's own, or those that are marked. */
export function vipsOf(service: { address?: string | undefined; marks?: { address: string }[] | undefined }): string[] {
    return [
        ...new Set([
            ...(service.address === undefined ? [] : [service.address]),
            ...(service.marks ?? []).map((mark) => mark.address),
        ]),
    ];
}
