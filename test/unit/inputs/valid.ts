/** Valid inputs of every resource, as a program may give them: any subset of the fields, any spelling of an address. */
import fc from "fast-check";
import { engines, schedulers } from "../../../provider/ipvs/schedulers";

export const owner = "organization/shop/prod#RealServer/web1";

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/);
const octet = fc.integer({ min: 1, max: 223 });
const ipv4 = fc.tuple(octet, octet, octet, octet).map((parts) => parts.join("."));
const ipv6 = fc
    .tuple(fc.constantFrom("2001:db8::", "2001:DB8:0:0::", "fd00::"), fc.integer({ min: 1, max: 0xffff }), fc.boolean())
    .map(([head, tail, long]) => `${head}${tail.toString(16).padStart(long ? 4 : 1, "0")}`);
const port = fc.integer({ min: 1, max: 65535 });
const portRange = fc
    .tuple(fc.integer({ min: 1, max: 60_000 }), fc.integer({ min: 1, max: 5_535 }))
    .map(([first, more]) => `${first}-${first + more}`);
const device = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,14}$/);
const optional = { requiredKeys: [] as never[] };

const connection = fc.oneof(
    word,
    fc.record(
        {
            host: fc.oneof(word, ipv4, ipv6),
            port,
            user: word,
            password: fc.string(),
            sudo: fc.boolean(),
            insecureIgnoreHostKey: fc.constant(true),
            perDialTimeout: fc.integer({ min: 1, max: 60 }),
            proxy: fc.record({ host: word, privateKeyPath: fc.constant("/keys/bastion") }, { requiredKeys: ["host"] }),
        },
        { requiredKeys: ["host"] },
    ),
);

const sysctls = fc.dictionary(
    fc.constantFrom("net.ipv4.vs.conntrack", "net/ipv4/conf/eth0.1/rp_filter", "net.ipv6.conf.eth0.forwarding"),
    fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom("0", "1 2 3")),
    { maxKeys: 3 },
);

const drain = fc.record({ timeout: fc.integer({ min: 0, max: 3600 }) }, optional);

const tunnel = fc.oneof(
    fc.record({ type: fc.constant("ipip"), checksum: fc.constant("none") }, optional),
    fc.record({ type: fc.constant("gre"), checksum: fc.constantFrom("none", "csum") }, { requiredKeys: ["type"] }),
    fc.record(
        { type: fc.constant("gue"), port, checksum: fc.constantFrom("none", "csum", "remcsum") },
        { requiredKeys: ["type", "port"] },
    ),
);

const ruleFields = {
    weight: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    keepWeight: fc.boolean(),
    thresholds: fc.tuple(fc.nat(1000), fc.nat(1000)),
    method: fc.oneof(
        fc.constant({}),
        fc.constantFrom({ forwarding: "nat" }, { forwarding: "dr" }),
        tunnel.map((given) => ({ forwarding: "tun", tunnel: given })),
    ),
};

/** A rule: thresholds in order, a tunnel only with tun. */
const rule = fc.record(ruleFields, optional).map(({ thresholds, method, ...rest }) => ({
    ...rest,
    ...(thresholds && { lowerThreshold: Math.min(...thresholds), upperThreshold: Math.max(...thresholds) }),
    ...method,
}));

const realServers = fc
    .array(fc.tuple(ipv4, fc.option(port, { nil: undefined }), rule), { maxLength: 3 })
    .map((list) => new Map(list.map(([address, at, fields]) => [address, { at, fields }] as const)))
    .map((byAddress) =>
        Object.fromEntries(
            [...byAddress].map(([address, { at, fields }]) => [
                at === undefined ? address : `${address}:${at}`,
                fields,
            ]),
        ),
    );

const persistence = fc.record(
    {
        timeout: fc.integer({ min: 1, max: 2678400 }),
        netmask: fc.constantFrom<string | number>(24, "255.255.255.0", 32, "255.255.0.0"),
        engine: fc.constantFrom(...engines.map(({ name }) => name)),
    },
    optional,
);

const scheduled = fc.oneof(
    fc.constant({}),
    fc.constantFrom(...schedulers).chain(({ name, flags }) =>
        fc.oneof(
            fc.constant({ scheduler: name }),
            fc
                .subarray(flags.length > 0 ? [...flags, "flag-1"] : ["flag-1", "flag-3"])
                .map((schedulerFlags) => ({ scheduler: name, schedulerFlags })),
        ),
    ),
);

const serviceFields = {
    onePacket: fc.boolean(),
    vip: fc.record({ interface: device, external: fc.boolean() }, optional),
    drain,
    adopt: fc.boolean(),
    deleteForeign: fc.boolean(),
    realServers,
    scheduled,
};

/** What a service may have besides its identity; with `netmask`s of IPv4, so only for one of that family. */
const service = fc
    .record({ ...serviceFields, persistence }, optional)
    .map(({ scheduled: given, ...rest }) => ({ ...rest, ...given }));

const marks = fc.array(
    fc.record({
        protocol: fc.constantFrom("tcp", "udp", "sctp"),
        address: fc.oneof(ipv4, ipv6),
        port: fc.oneof(port, portRange),
    }),
    {
        minLength: 1,
        maxLength: 2,
    },
);

const identity = fc.oneof(
    fc.record({ protocol: fc.constantFrom("tcp", "udp", "sctp"), address: ipv4, port: fc.nat(65535) }),
    fc.record(
        { fwmark: fc.integer({ min: 1, max: 2 ** 32 - 1 }), family: fc.constant("ipv4"), marks },
        { requiredKeys: ["fwmark"] },
    ),
);

const director = fc.record(
    { name: word, connection, interface: device, persistAcrossReboot: fc.boolean() },
    { requiredKeys: ["name", "connection"] },
);

const network = fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })).map(([base, length]) => `${base}/${length}`);

const daemon = fc.record(
    {
        interface: device,
        syncid: fc.nat(255),
        maxlen: fc.integer({ min: 1, max: 65507 }),
        group: fc.constantFrom("224.0.0.81", "FF02::81"),
        port,
        ttl: fc.integer({ min: 1, max: 255 }),
    },
    { requiredKeys: ["interface"] },
);

/** Valid inputs of a Director. */
export const directorInputs = fc.record(
    {
        connection,
        name: word,
        owner: fc.constant(owner),
        interface: device,
        ipForward: fc.boolean(),
        ipv6Forward: fc.boolean(),
        sysctls,
        timeouts: fc.record({ tcp: port, tcpfin: port, udp: port }, optional),
        connTabBits: fc.integer({ min: 8, max: 27 }),
        masquerade: fc.array(fc.record({ source: network, destination: network }, { requiredKeys: ["source"] }), {
            maxLength: 2,
        }),
        sync: fc.record({ master: daemon, backup: daemon }, optional),
        ftp: fc.record({ ports: fc.array(port, { minLength: 1, maxLength: 8 }) }, optional),
        virtualServices: fc
            .uniqueArray(fc.tuple(fc.constantFrom("tcp", "udp"), ipv4, port), { maxLength: 2, selector: String })
            .chain((keys) =>
                fc.tuple(
                    ...keys.map(([protocol, address, at]) =>
                        fc.tuple(fc.constant(`${protocol}/${address}:${at}`), service),
                    ),
                ),
            )
            .map((entries) => Object.fromEntries(entries) as Record<string, object>),
        persistAcrossReboot: fc.boolean(),
        adopt: fc.boolean(),
    },
    { requiredKeys: ["connection", "name", "owner"] },
);

/** Valid inputs of a VirtualService. */
export const virtualServiceInputs = fc
    .tuple(director, identity, service)
    .map(([on, id, fields]) => ({ director: on, ...id, ...fields, owner }));

/** Valid inputs of a RealServer. */
export const realServerInputs = fc
    .tuple(
        fc.tuple(director, identity).map(([on, id]) => ({ director: on, ...id })),
        fc.oneof(ipv4, ipv6),
        rule,
        fc.record(
            { connection, device, sysctls, drain, persistAcrossReboot: fc.boolean(), adopt: fc.boolean(), port },
            optional,
        ),
    )
    .map(([of, address, fields, rest]) => ({ service: of, address, ...fields, ...rest, owner }))
    .chain((inputs) => {
        if (!("forwarding" in inputs) || inputs.forwarding !== "nat" || inputs.connection === undefined)
            return fc.constant(inputs);
        const gateway = (inputs.address.includes(":") ? ipv6 : ipv4).filter((each) => each !== inputs.address);
        return fc.oneof(
            fc.constant(inputs),
            gateway.map((each) => ({ ...inputs, gateway: each })),
        );
    });
