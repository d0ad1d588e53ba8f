/** Random tables: every value that may be asked for, canonical as the provider keeps it. */
import * as fc from "fast-check";
import { canonicalAddress, type Family, familyOf, isUnicast } from "../../../provider/ipvs/address";
import { limits } from "../../../provider/ipvs/limits";
import {
    type DestinationValue,
    destinationKey,
    type Forwarding,
    forcedPort,
    parseServiceKey,
    protocols,
    type ServiceValue,
    serviceKey,
    type TunnelValue,
    tunnelChecksums,
} from "../../../provider/ipvs/model";
import { canonicalNetmask, type Netmask } from "../../../provider/ipvs/netmask";
import { canonicalFlags, plainFlags, schedulers } from "../../../provider/ipvs/schedulers";

const within = (limit: { min: number; max: number }) =>
    fc.oneof(fc.constantFrom(limit.min, limit.max), fc.integer({ min: limit.min, max: limit.max }));

export const ipv4 = fc.ipV4();

/** Random groups, and often runs of zeros and the corners of the family. */
export const ipv6 = fc
    .array(fc.oneof(fc.constant(0), fc.constant(0xffff), fc.integer({ min: 0, max: 0xffff })), {
        minLength: 8,
        maxLength: 8,
    })
    .map((groups) => groups.map((group) => group.toString(16)).join(":"))
    .filter((text) => !/^(0:){5}ffff:/.test(text))
    .map(canonicalAddress);

const addressOf = (family: Family) => (family === "ipv6" ? ipv6 : ipv4);

export const serviceKeys = fc.oneof(
    fc
        .record({
            protocol: fc.constantFrom(...protocols),
            address: fc.oneof(ipv4, ipv6).filter(isUnicast),
            port: within(limits.servicePort),
        })
        .map(serviceKey),
    fc.record({ fwmark: within(limits.firewallMark), family: fc.constantFrom<Family>("ipv4", "ipv6") }).map(serviceKey),
);

function netmasks(family: Family): fc.Arbitrary<Netmask> {
    return family === "ipv6"
        ? within(limits.netmaskIpv6)
        : fc.oneof(
              within(limits.netmaskIpv4),
              ipv4.map((mask) => canonicalNetmask(mask, "ipv4")),
          );
}

export function serviceValues(key: string): fc.Arbitrary<ServiceValue> {
    const id = parseServiceKey(key);
    const family = "fwmark" in id ? id.family : familyOf(id.address);
    const mayOps = "fwmark" in id || id.protocol === "udp";
    const persistence = fc.record({
        timeout: within(limits.persistenceTimeout),
        netmask: netmasks(family),
        engine: fc.constantFrom(null, "sip"),
    });
    return fc.constantFrom(...schedulers).chain((scheduler) =>
        fc.record({
            scheduler: fc.constant(scheduler.name),
            flags: fc
                .subarray([...(scheduler.flags.length > 0 ? scheduler.flags : plainFlags)])
                .map((flags) => canonicalFlags(scheduler.name, flags)),
            onePacket: mayOps ? fc.boolean() : fc.constant(false),
            persistence: "port" in id && id.port === 0 ? persistence : fc.option(persistence, { nil: null, freq: 2 }),
        }),
    );
}

const tunnels: fc.Arbitrary<TunnelValue> = fc
    .constantFrom("ipip" as const, "gue" as const, "gre" as const)
    .chain((type) =>
        fc.record({
            type: fc.constant(type),
            port: type === "gue" ? within(limits.tunnelPort) : fc.constant(null),
            checksum: fc.constantFrom(...tunnelChecksums[type]),
        }),
    );

/** A destination of a service: its key and its value. */
export function destinations(service: string): fc.Arbitrary<[key: string, value: DestinationValue]> {
    const id = parseServiceKey(service);
    const family = "fwmark" in id ? id.family : familyOf(id.address);
    return fc.constantFrom<Forwarding>("nat", "dr", "tun").chain((forwarding) =>
        fc
            .record({
                address: (forwarding === "tun" ? fc.oneof(ipv4, ipv6) : addressOf(family)).filter(isUnicast),
                port: fc
                    .constant(forcedPort(service, forwarding))
                    .chain((forced) => (forced === undefined ? within(limits.destinationPort) : fc.constant(forced))),
                weight: within(limits.weight),
                thresholds: within(limits.upperThreshold).chain((upper) =>
                    fc.tuple(fc.constant(upper), within({ min: 0, max: upper })),
                ),
                tunnel: forwarding === "tun" ? tunnels : fc.constant(null),
            })
            .map(({ address, port, weight, thresholds: [upperThreshold, lowerThreshold], tunnel }) => [
                destinationKey(service, address, port),
                { forwarding, weight, upperThreshold, lowerThreshold, tunnel },
            ]),
    );
}

export interface RandomTable {
    services: Map<string, ServiceValue>;
    destinations: Map<string, DestinationValue>;
}

export const tables: fc.Arbitrary<RandomTable> = fc
    .uniqueArray(serviceKeys, { maxLength: 6 })
    .chain((keys) =>
        fc.tuple(
            ...keys.map((key) =>
                fc.tuple(
                    fc.constant(key),
                    serviceValues(key),
                    fc.uniqueArray(destinations(key), { maxLength: 4, selector: ([destination]) => destination }),
                ),
            ),
        ),
    )
    .map((rows) => ({
        services: new Map(rows.map(([key, value]) => [key, value])),
        destinations: new Map(rows.flatMap(([, , entries]) => entries)),
    }));
