/** A virtual service: its fields, which an inline one has too, and its inline real servers. */
import { z } from "zod";
import { hostPort, parseHostPort } from "../ipvs/address";
import { defaults, limits } from "../ipvs/limits";
import type { ServiceIdentity, ServiceValue } from "../ipvs/model";
import { canonicalNetmask, hostMask } from "../ipvs/netmask";
import { canonicalFlags, flagNames, schedulerNames } from "../ipvs/schedulers";
import { contradiction, device, drain, owner, reading, text, whole } from "./fields";
import { type InlineRealServer, inlineRealServer } from "./realServer";
import { directorReference, identityContradictions, identityFields, identityOf, marks, vipsOf } from "./reference";

const persistence = z.strictObject({
    timeout: whole(limits.persistenceTimeout)
        .describe("Seconds that a client stays with its real server. Default 360.")
        .optional(),
    netmask: z
        .union([z.number(), text], { error: "expected a prefix length (24), or dotted for IPv4 (255.255.255.0)" })
        .describe("How much of the client's address counts: a prefix length, or dotted for IPv4. Default: all of it.")
        .optional(),
    engine: z.enum(["sip"]).describe("Persistence engine: sip (by Call-ID).").optional(),
});

const vip = z.strictObject({
    interface: device
        .describe("Interface of the director that takes the VIP. Default: the director's `interface`.")
        .optional(),
    external: z
        .boolean()
        .describe("Somebody else (keepalived, a router) brings the VIP to the director. Default false.")
        .optional(),
});

/** What a service is besides its identity. */
export const serviceFields = {
    marks: marks.optional(),
    scheduler: z
        .enum(schedulerNames as [string, ...string[]])
        .describe("Scheduler: how real servers are chosen. Default wlc.")
        .optional(),
    schedulerFlags: z
        .array(z.enum(flagNames as [string, ...string[]]))
        .describe("Flags of the scheduler: sh-fallback, sh-port, mh-fallback, mh-port, flag-1, flag-2, flag-3.")
        .optional(),
    onePacket: z
        .boolean()
        .describe("One-packet scheduling (udp or a mark): every packet is scheduled by itself. Default false.")
        .optional(),
    persistence: persistence.describe("Keeps a client at one real server. Default: no persistence.").optional(),
    vip: vip.describe("Where the VIP goes on the director.").optional(),
    realServers: z
        .record(text, inlineRealServer)
        .describe(
            "Real servers by address: `192.0.2.21`, `192.0.2.21:80`, `[2001:db8::1]:80`. Only these are managed; others on the service are left alone.",
        )
        .optional(),
    drain: drain.describe("How inline real servers are removed.").optional(),
    adopt: z
        .boolean()
        .describe("Take over a service that exists already; destroy then removes it. Default false.")
        .optional(),
    deleteForeign: z
        .boolean()
        .describe("Remove the service even if real servers are on it that nobody declared. Default false.")
        .optional(),
};

type Fields = z.infer<z.ZodObject<typeof serviceFields>>;
type IdentityInputs = z.infer<z.ZodObject<typeof identityFields>>;

export const virtualServiceSchema = z
    .strictObject({
        director: directorReference.describe("The director that it runs on: a Director, or its plain data."),
        ...identityFields,
        ...serviceFields,
        owner,
    })
    .superRefine(identityContradictions)
    .transform((value, context) => (complete(value) ? canonicalService(identityOf(value), value, context) : value));
export type VirtualServiceInputs = z.infer<typeof virtualServiceSchema>;

function complete(value: IdentityInputs): boolean {
    return (
        value.fwmark !== undefined ||
        (value.protocol !== undefined && value.address !== undefined && value.port !== undefined)
    );
}

/** An inline service: its identity is the key of the map. */
export const inlineService = z.strictObject(serviceFields);
export type InlineService = z.infer<typeof inlineService>;

/** The parts of a service that depend on each other, in their canonical form. */
export function canonicalService<T extends Fields>(id: ServiceIdentity, value: T, context: z.RefinementCtx): T {
    const family = familyOfIdentity(id);
    const result = { ...value };
    if (value.schedulerFlags !== undefined) {
        try {
            result.schedulerFlags = canonicalFlags(value.scheduler ?? defaults.scheduler, value.schedulerFlags);
        } catch (error) {
            contradiction(context, ["schedulerFlags"], (error as Error).message);
        }
    }
    if (value.persistence?.netmask !== undefined) {
        const netmask = reading(() => canonicalNetmask(value.persistence!.netmask!, family), context, [
            "persistence",
            "netmask",
        ]);
        result.persistence = { ...value.persistence, netmask };
    }
    if (value.marks !== undefined && "protocol" in id) {
        contradiction(context, ["marks"], "belongs to a service by firewall mark");
    }
    if (value.realServers !== undefined) result.realServers = canonicalRealServers(id, value.realServers, context);
    return result;
}

function canonicalRealServers(
    id: ServiceIdentity,
    servers: Record<string, InlineRealServer>,
    context: z.RefinementCtx,
): Record<string, InlineRealServer> {
    const canonical: Record<string, InlineRealServer> = {};
    const spelled = new Map<string, string>();
    for (const [key, fields] of Object.entries(servers)) {
        const say = (message: string) => context.addIssue({ code: "custom", path: ["realServers", key], message });
        let parsed: { address: string; port?: number };
        try {
            parsed = parseHostPort(key);
        } catch (error) {
            say((error as Error).message);
            continue;
        }
        if (parsed.port !== undefined && fields.port !== undefined && parsed.port !== fields.port) {
            contradiction(
                context,
                ["realServers", key],
                `its key says port ${parsed.port}, its field \`port\` says ${fields.port}`,
            );
            continue;
        }
        const place = hostPort(parsed.address, parsed.port ?? fields.port ?? defaultPort(id));
        const other = spelled.get(place);
        if (other !== undefined) {
            say(`${JSON.stringify(other)} and ${JSON.stringify(key)} are two spellings of one real server, ${place}`);
            continue;
        }
        spelled.set(place, key);
        canonical[parsed.port === undefined ? parsed.address : hostPort(parsed.address, parsed.port)] = fields;
    }
    return canonical;
}

/** The port of a real server that names none. */
export function defaultPort(id: ServiceIdentity): number {
    return "fwmark" in id ? 0 : id.port;
}

/** The addresses of a service that belong on its director. */
export function serviceVips(id: ServiceIdentity, fields: Pick<InlineService, "marks">): string[] {
    return vipsOf({ address: "address" in id ? id.address : undefined, marks: fields.marks });
}

export function familyOfIdentity(id: ServiceIdentity): "ipv4" | "ipv6" {
    return "fwmark" in id ? id.family : id.address.includes(":") ? "ipv6" : "ipv4";
}

/** The service's value with its defaults. */
export function serviceValue(id: ServiceIdentity, fields: Fields): ServiceValue {
    const scheduler = fields.scheduler ?? defaults.scheduler;
    const { persistence } = fields;
    return {
        scheduler,
        flags: canonicalFlags(scheduler, fields.schedulerFlags ?? []),
        onePacket: fields.onePacket ?? false,
        persistence:
            persistence === undefined
                ? null
                : {
                      timeout: persistence.timeout ?? defaults.persistenceTimeout,
                      netmask:
                          persistence.netmask === undefined
                              ? hostMask(familyOfIdentity(id))
                              : canonicalNetmask(persistence.netmask, familyOfIdentity(id)),
                      engine: persistence.engine ?? null,
                  },
    };
}

/** The inline real servers, with address and port. */
export function realServersOf(
    id: ServiceIdentity,
    fields: Fields,
): { address: string; port: number; fields: InlineRealServer }[] {
    return Object.entries(fields.realServers ?? {}).map(([key, server]) => {
        const { address, port } = parseHostPort(key);
        return { address, port: port ?? server.port ?? defaultPort(id), fields: server };
    });
}
