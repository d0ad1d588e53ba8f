/** Every field of every resource, wrong in its typical ways: one failure, at the right place, in clear words. */

import { directorSchema } from "../../../provider/inputs/director";
import { parseInputs } from "../../../provider/inputs/parse";
import { inlineRealServer, realServerSchema } from "../../../provider/inputs/realServer";
import { inlineService, virtualServiceSchema } from "../../../provider/inputs/service";
import { connectionSchema } from "../../../provider/ssh/connection";

const owner = "organization/shop/prod#Type/name";
const director = { name: "lb1", connection: "lb1" };
const identity = { protocol: "tcp", address: "192.0.2.100", port: 80 };

/** A wrong value, the property that is named, and what is said. */
type Mistake = [value: unknown, reason: RegExp, property?: string];

const wholeNumber = (low: number, high: number, more = ""): Mistake[] => {
    const reason = new RegExp(`^expected a whole number from ${low} to ${high}${more}, got `);
    return [low - 1, high + 1, low + 0.5, Number.NaN, Number.POSITIVE_INFINITY, String(low), true, [low], {}].map(
        (value) => [value, reason],
    );
};
const flag: Mistake[] = ["yes", "true", 1, 0, [true], {}].map((value) => [value, /^expected true or false, got /]);
const map: Mistake[] = ["a", 5, true].map((value) => [value, /^expected a map, got /]);
const resource = (what: string): Mistake[] =>
    ["lb1", 5, true, ["lb1"]].map((value) => [value, new RegExp(`^expected a ${what}, or its plain data, got `)]);
const choice = (values: string, ...wrong: unknown[]): Mistake[] =>
    ["", "x", 5, true, ["x"], ...wrong].map((value) => [value, new RegExp(`^expected ${values}, got `)]);
const typo = (key: string, meant: string): Mistake => [
    { [key]: 1 },
    new RegExp(`^is not known here; did you mean \`${meant}\`\\?$`),
    key,
];
const at = (prefix: string, mistakes: Mistake[], wrap: (value: unknown) => unknown): Mistake[] =>
    mistakes.map(([value, reason, property]) => [wrap(value), reason, joined(prefix, property)]);
/** A property below another one. */
const joined = (above: string, below?: string): string =>
    below === undefined ? above : `${above}${/^[.[]/.test(below) ? "" : "."}${below}`;

const address: Mistake[] = [
    ["", /an IP address is missing/],
    ["www.example.com", /is not an IP address: names are not looked up/],
    ["192.0.2.256", /each of the four numbers is at most 255/],
    ["192.0.2", /IPv4 is four decimal numbers/],
    ["192.0.02.1", /leading zero/],
    ["192.0.2.1/24", /prefix length/],
    ["192.0.2.1:80", /a port has a field of its own/],
    ["[2001:db8::1]", /write it without brackets/],
    ["2001:db8::g", /IPv6 is at most eight groups/],
    ["fe80::1%eth0", /zone id/],
    ["::ffff:192.0.2.1", /IPv4-mapped/],
    [" 192.0.2.1", /white space/],
    ["192.0.2.1\n", /^must not hold line breaks or control characters$/],
    [3221225985, /^expected a text, got 3221225985$/],
    [{}, /^expected a text, got a map$/],
];
const device: Mistake[] = [
    ["", /^must not be empty/],
    ["an-interface-with-a-long-name", /at most 15 characters/],
    ["eth0:1", /names an alias/],
    ["eth 0", /is not the name of a network interface/],
    ["eth0;reboot", /is not the name of a network interface/],
    ["..", /is not the name of a network interface/],
    ["eth0\n", /control characters/],
    [0, /^expected a text, got 0$/],
];
const network: Mistake[] = [
    ["10.0.0.0/33", /prefix length is 0 to 32/],
    ["2001:db8::/129", /prefix length is 0 to 128/],
    ["10.0.0.0/", /prefix length/],
    ["10.0.0.0/255.0.0.0", /prefix length/],
    ["eth0", /is not an IP address/],
    [10, /^expected a text, got 10$/],
];
const drain: Mistake[] = [
    ...map,
    [30, /^expected a map, got 30$/],
    ...at("timeout", wholeNumber(0, 3600), (timeout) => ({ timeout })),
    typo("timout", "timeout"),
];
const sysctls: Mistake[] = [
    ...map,
    [["net.ipv4.ip_forward=1"], /^expected a map, got /],
    [{ "kernel.panic": 1 }, /below net\./, '["kernel.panic"]'],
    [{ "net.ipv4.x; reboot": 1 }, /below net\./, '["net.ipv4.x; reboot"]'],
    [{ "net..x": 1 }, /is not the name of a setting|below net\./, '["net..x"]'],
    [{ "net.ipv4.ip_forward": true }, /^expected a text or a number, got true$/, '["net.ipv4.ip_forward"]'],
    [{ "net.ipv4.ip_forward": "" }, /^must not be empty/, '["net.ipv4.ip_forward"]'],
    [{ "net.ipv4.ip_forward": "1\n2" }, /control characters/, '["net.ipv4.ip_forward"]'],
];
const SECRET = "hunter2-the-secret";
const connection: Mistake[] = [
    ["", /^must not be empty$/],
    [5, /^expected the name of an entry of lvs:hosts, or a connection with at least `host`$/],
    [["lb1"], /^expected the name of an entry of lvs:hosts/],
    [true, /^expected the name of an entry of lvs:hosts/],
    ["lb1\n", /control characters/],
    [{}, /^is required$/, "host"],
    [{ host: "" }, /must not be empty/, "host"],
    [{ host: "root@lb1" }, /the user name goes into `user`/, "host"],
    [{ host: "[2001:db8::1]:22" }, /without brackets/, "host"],
    [{ host: 5 }, /^expected a text$/, "host"],
    [{ host: "lb1", port: 0 }, /./, "port"],
    [{ host: "lb1", port: "22" }, /^expected a whole number from 1 to 65535$/, "port"],
    [{ host: "lb1", user: "" }, /must not be empty/, "user"],
    [{ host: "lb1", password: { [SECRET]: 1 } }, /^expected a text$/, "password"],
    [{ host: "lb1", privateKey: SECRET }, /is not a private key/, "privateKey"],
    [{ host: "lb1", privateKeyPath: "" }, /must not be empty/, "privateKeyPath"],
    [{ host: "lb1", privateKeyPassword: [SECRET] }, /^expected a text$/, "privateKeyPassword"],
    [{ host: "lb1", agentSocketPath: 1 }, /^expected a text$/, "agentSocketPath"],
    [{ host: "lb1", hostKey: SECRET }, /is not a public key/, "hostKey"],
    [{ host: "lb1", knownHosts: 1 }, /./, "knownHosts"],
    [{ host: "lb1", insecureIgnoreHostKey: "yes" }, /^expected true or false$/, "insecureIgnoreHostKey"],
    [{ host: "lb1", dialErrorLimit: -2 }, /./, "dialErrorLimit"],
    [{ host: "lb1", perDialTimeout: 0 }, /./, "perDialTimeout"],
    [{ host: "lb1", sudo: 1 }, /^expected true or false$/, "sudo"],
    [{ host: "lb1", proxy: "bastion" }, /^expected a map$/, "proxy"],
    [{ host: "lb1", proxy: {} }, /^is required$/, "proxy.host"],
    [{ host: "lb1", proxy: { host: "b", pasword: SECRET } }, /did you mean `password`/, "proxy.pasword"],
    [{ host: "lb1", pasword: SECRET }, /did you mean `password`/, "pasword"],
];
const ports = wholeNumber(0, 65535);
/** A range has two ends, the first one before the last. */
const portsOrRange: Mistake[] = [
    ...[
        -1,
        65_536,
        0.5,
        true,
        "",
        "80",
        "90-80",
        "80-80",
        "0-80",
        "80-65536",
        "80-",
        "-80",
        "80 - 90",
        "80:90",
        "1-2-3",
        "http-https",
    ].map(
        (value): Mistake => [value, /^expected a whole number from 0 to 65535, or a range such as 10000-20000, got /],
    ),
];
const tunnel: Mistake[] = [
    ...map,
    ...at("type", choice("ipip, gue or gre", "vxlan"), (type) => ({ type })),
    ...at("port", wholeNumber(1, 65535), (port) => ({ type: "gue", port })),
    [{ type: "gue" }, /gue needs the UDP port/, "port"],
    [{ type: "gre", port: 5555 }, /only gue has a port/, "port"],
    ...at("checksum", choice("none, csum or remcsum", "udp"), (checksum) => ({ checksum })),
    [{ checksum: "csum" }, /ipip takes none/, "checksum"],
    [{ type: "gre", checksum: "remcsum" }, /gre takes none or csum/, "checksum"],
    typo("tpye", "type"),
];

/** By field: what is put there, and what else has to be there for it to be the only mistake. */
type Fields = Record<string, { mistakes: Mistake[]; with?: object }>;

const rule: Fields = {
    forwarding: { mistakes: choice("nat, dr or tun", "masq", "gatewaying") },
    port: { mistakes: ports },
    weight: { mistakes: wholeNumber(0, 2147483647) },
    keepWeight: { mistakes: flag },
    upperThreshold: { mistakes: wholeNumber(0, 2147483647) },
    lowerThreshold: {
        mistakes: [
            ...wholeNumber(0, 2147483647),
            [5, /^5 is above upperThreshold \(0\): the kernel refuses it \[LVS-CONTRADICTION\]$/],
        ],
    },
    tunnel: { mistakes: tunnel, with: { forwarding: "tun" } },
};
const inlineRule: Mistake[] = Object.entries(rule).flatMap(([name, { mistakes, with: rest }]) =>
    at(name, mistakes, (value) => ({ ...rest, [name]: value })),
);

const markedTraffic: Mistake[] = [
    ...map,
    ...at("protocol", choice("tcp, udp or sctp", "icmp"), (protocol) => ({ ...identity, protocol })),
    ...at("address", address, (value) => ({ ...identity, address: value })),
    ...at("port", portsOrRange, (port) => ({ ...identity, port })),
    [{ protocol: "tcp", port: 80 }, /^is required$/, "address"],
    [{ ...identity, weight: 1 }, /^is not known here; known are protocol, address, port$/, "weight"],
];

const service: Fields = {
    scheduler: { mistakes: choice("rr, wrr, .* or twos", "WLC") },
    schedulerFlags: {
        mistakes: [
            ["sh-port", /^expected a list, got "sh-port"$/],
            [["sh-port"], /is not a flag of the scheduler wlc/],
            [["sh_port"], /^expected flag-1, .*, got "sh_port"$/, "[0]"],
        ],
    },
    onePacket: { mistakes: flag },
    persistence: {
        mistakes: [
            ...map,
            [300, /^expected a map, got 300$/],
            ...at("timeout", wholeNumber(1, 2678400), (timeout) => ({ timeout })),
            [{ netmask: 33 }, /a prefix length of IPv4 is 0 to 32/, "netmask"],
            [{ netmask: "255.255" }, /./, "netmask"],
            [{ netmask: true }, /^expected a prefix length \(24\), or dotted/, "netmask"],
            ...at("engine", choice("sip", "SIP"), (engine) => ({ engine })),
            typo("timeuot", "timeout"),
        ],
    },
    vip: {
        mistakes: [
            ...map,
            ...at("interface", device, (value) => ({ interface: value })),
            ...at("external", flag, (external) => ({ external })),
            typo("extern", "external"),
        ],
    },
    realServers: {
        mistakes: [
            ...map,
            [["192.0.2.21"], /^expected a map, got /],
            [{ web1: {} }, /is not an IP address: names are not looked up/, ".web1"],
            [{ "192.0.2.21:99999": {} }, /is not a port/, '["192.0.2.21:99999"]'],
            [{ "192.0.2.21:80": { port: 81 } }, /its key says port 80, its field `port` says 81/, '["192.0.2.21:80"]'],
            [
                { "192.0.2.21": {}, "192.0.2.21:80": {} },
                /"192.0.2.21" and "192.0.2.21:80" are two spellings of one real server, 192.0.2.21:80/,
                '["192.0.2.21:80"]',
            ],
            ...at('["192.0.2.21"]', inlineRule, (value) => ({ "192.0.2.21": value })),
            ...at('["192.0.2.21"]', [typo("wieght", "weight"), ...map], (value) => ({ "192.0.2.21": value })),
        ],
    },
    drain: { mistakes: drain },
    adopt: { mistakes: flag },
    deleteForeign: { mistakes: flag },
};
const inline: Mistake[] = [
    ...Object.entries(service).flatMap(([name, { mistakes }]) => at(name, mistakes, (value) => ({ [name]: value }))),
    [{ marks: [{ ...identity }] }, /belongs to a service by firewall mark/, "marks"],
    typo("schedular", "scheduler"),
    ...map,
];

const directorName: Mistake[] = [
    ["", /^must not be empty/],
    [5, /^expected a text, got 5$/],
];
const reference: Mistake[] = [
    ...resource("Director"),
    [{ connection: "lb1" }, /^is required$/, "name"],
    [{ name: "lb1" }, /./, "connection"],
    ...at("name", directorName, (name) => ({ ...director, name })),
    ...at("connection", connection, (value) => ({ ...director, connection: value })),
    ...at("persistAcrossReboot", flag, (persistAcrossReboot) => ({ ...director, persistAcrossReboot })),
];
const required: Mistake = [undefined, /^is required/];

const sync: Mistake[] = [
    ...map,
    ...["master", "backup"].flatMap((role) =>
        at(
            role,
            [
                ...map,
                [{}, /^is required$/, "interface"],
                ...at("interface", device, (value) => ({ interface: value })),
                ...at("syncid", wholeNumber(0, 255), (syncid) => ({ interface: "eth1", syncid })),
                ...at("maxlen", wholeNumber(1, 65507), (maxlen) => ({ interface: "eth1", maxlen })),
                ...at("group", address, (group) => ({ interface: "eth1", group })),
                ...at("port", wholeNumber(1, 65535), (port) => ({ interface: "eth1", port })),
                ...at("ttl", wholeNumber(1, 255), (ttl) => ({ interface: "eth1", ttl })),
                [{ interface: "eth1", sincid: 1 }, /did you mean `syncid`/, "sincid"],
            ],
            (value) => ({ [role]: value }),
        ),
    ),
    typo("mastr", "master"),
];

const directorFields: Fields = {
    connection: { mistakes: [...connection, [undefined, /^expected the name of an entry of lvs:hosts|^is required/]] },
    name: {
        mistakes: [
            ...directorName,
            ["lb 1", /spaces, \/ or #/],
            ["lb/1", /spaces, \/ or #/],
            ["lb#1", /spaces, \/ or #/],
            required,
        ],
    },
    interface: { mistakes: device },
    ipForward: { mistakes: flag },
    ipv6Forward: { mistakes: flag },
    sysctls: { mistakes: sysctls },
    timeouts: {
        mistakes: [
            ...map,
            ...["tcp", "tcpfin", "udp"].flatMap((name) =>
                at(name, wholeNumber(1, 2678400, ", or nothing to leave it alone"), (value) => ({ [name]: value })),
            ),
            typo("tcp_fin", "tcpfin"),
        ],
    },
    connTabBits: { mistakes: wholeNumber(8, 27) },
    masquerade: {
        mistakes: [
            ["10.0.0.0/24", /^expected a list, got "10.0.0.0\/24"$/],
            [{ source: "10.0.0.0/24" }, /^expected a list, got a map$/],
            [["10.0.0.0/24"], /^expected a map, got "10.0.0.0\/24"$/, "[0]"],
            [[{}], /^is required$/, "[0].source"],
            ...at("[0].source", network, (source) => [{ source }]),
            ...at("[0].destination", network, (destination) => [{ source: "10.0.0.0/24", destination }]),
            [[{ source: "10.0.0.0/24", destination: "fd00::/8" }], /of one family/, "[0].destination"],
            ...at("[0].to", address, (to) => [{ source: "10.0.0.0/24", to }]),
            [[{ source: "10.0.0.0/24", to: "fd00::1" }], /of one family/, "[0].to"],
            [
                [{ source: "10.0.0.0/24" }, { source: "10.0.0.9/24", to: "192.0.2.1" }],
                /networks of masquerade\[0\] once more/,
                "[1]",
            ],
            [[{ source: "10.0.0.0/24", destinaton: "10.0.0.0/8" }], /did you mean `destination`/, "[0].destinaton"],
        ],
    },
    sync: { mistakes: sync },
    ftp: {
        mistakes: [
            ...map,
            [{ ports: 21 }, /^expected a list, got 21$/, "ports"],
            [{ ports: [] }, /must name a port/, "ports"],
            [{ ports: [1, 2, 3, 4, 5, 6, 7, 8, 9] }, /at most 8 ports/, "ports"],
            ...at("ports[0]", wholeNumber(1, 65535), (port) => ({ ports: [port] })),
            typo("port", "ports"),
        ],
    },
    virtualServices: {
        mistakes: [
            ...map,
            [[{ ...identity }], /^expected a map, got a list$/],
            [{ "192.0.2.100:80": {} }, /names no service: expected tcp\//, '["192.0.2.100:80"]'],
            [{ "tcp/192.0.2.100": {} }, /the port is missing/, '["tcp/192.0.2.100"]'],
            [{ "fwm/0": {} }, /is not a firewall mark/, '["fwm/0"]'],
            [
                { "tcp/[2001:db8::1]:80": {}, "tcp/[2001:DB8::1]:80": {} },
                /are two spellings of one service/,
                '["tcp/[2001:DB8::1]:80"]',
            ],
            ...at('["tcp/192.0.2.100:80"]', inline, (value) => ({ "tcp/192.0.2.100:80": value })),
        ],
    },
    persistAcrossReboot: { mistakes: flag },
    adopt: { mistakes: flag },
    owner: {
        mistakes: [required, ["me", /made by the SDK/], ["a b#c", /made by the SDK/], [1, /^expected a text, got 1$/]],
    },
};

const virtualServiceFields: Fields = {
    ...service,
    director: {
        mistakes: [...reference, ...at("interface", device, (value) => ({ ...director, interface: value })), required],
    },
    protocol: { mistakes: [...choice("tcp, udp or sctp", "TCP", "icmp"), required] },
    address: { mistakes: [...address, required] },
    port: { mistakes: [...ports, required] },
    fwmark: {
        mistakes: wholeNumber(1, 4294967295),
        with: { protocol: undefined, address: undefined, port: undefined },
    },
    family: {
        mistakes: choice("ipv4 or ipv6", 4, "inet"),
        with: { protocol: undefined, address: undefined, port: undefined, fwmark: 1 },
    },
    marks: {
        mistakes: [
            [{ ...identity }, /^expected a list, got a map$/],
            [[], /must name at least one address/],
            ...at("[0]", markedTraffic, (value) => [value]),
        ],
        with: { protocol: undefined, address: undefined, port: undefined, fwmark: 1 },
    },
    owner: directorFields["owner"]!,
};

const realServerFields: Fields = {
    ...rule,
    service: {
        mistakes: [
            ...resource("VirtualService"),
            required,
            ...at("director", [...reference, required], (value) => ({ ...identity, director: value })),
            ...at("protocol", [...choice("tcp, udp or sctp"), required], (protocol) => ({
                ...identity,
                director,
                protocol,
            })),
            ...at("address", [...address, required], (value) => ({ ...identity, director, address: value })),
            ...at("port", [...ports, required], (port) => ({ ...identity, director, port })),
            ...at("fwmark", wholeNumber(1, 4294967295), (fwmark) => ({ director, fwmark })),
            ...at("family", choice("ipv4 or ipv6"), (family) => ({ director, fwmark: 1, family })),
            [
                { ...identity, director, fwmark: 1 },
                /a firewall mark, or protocol, address and port; not both/,
                "fwmark",
            ],
            [{ director }, /^is required, with protocol and port \(or fwmark/, "address"],
            [{ ...identity, director, family: "ipv4" }, /belongs to a firewall mark/, "family"],
        ],
    },
    address: { mistakes: [...address, required] },
    connection: { mistakes: connection },
    tunnel: {
        mistakes: [
            ...tunnel,
            [{ mss: 87 }, /expected a whole number from 88 to 65495/, "mss"],
            [{ mss: "big" }, /expected .*auto/, "mss"],
        ],
        with: { forwarding: "tun" },
    },
    accept: { mistakes: choice("address or redirect", "dnat"), with: { forwarding: "dr" } },
    device: { mistakes: device },
    gateway: {
        mistakes: [
            ...address,
            ["fd00::1", /of another family than the real server's 192\.0\.2\.21/],
            ["192.0.2.21", /the real server's own address/],
            ["224.0.0.5", /not the address of one host/],
            ["0.0.0.0", /not the address of one host/],
        ],
        with: { forwarding: "nat", connection: "web1" },
    },
    sysctls: { mistakes: sysctls },
    drain: { mistakes: drain },
    persistAcrossReboot: { mistakes: flag },
    adopt: { mistakes: flag },
    owner: directorFields["owner"]!,
};

const resources = [
    { name: "Director", schema: directorSchema, valid: { ...director, owner }, fields: directorFields },
    {
        name: "VirtualService",
        schema: virtualServiceSchema,
        valid: { director, ...identity, owner },
        fields: virtualServiceFields,
    },
    {
        name: "RealServer",
        schema: realServerSchema,
        valid: { service: { director, ...identity }, address: "192.0.2.21", owner },
        fields: realServerFields,
    },
];

const failures = (schema: unknown, inputs: object) =>
    parseInputs(schema as never, inputs as Record<string, unknown>).failures;

describe.each(resources)("$name", ({ schema, valid, fields }) => {
    test("is right before a mistake is made", () => {
        expect(failures(schema, valid)).toEqual([]);
    });

    test.each(Object.entries(fields))("%s", (field, { mistakes, with: rest }) => {
        for (const [value, reason, property] of mistakes) {
            const found = failures(schema, { ...valid, ...rest, [field]: value });
            const path = joined(field, property);
            expect({ value, found }).toEqual({
                value,
                found: [{ property: path, reason: expect.stringMatching(reason) }],
            });
            expect(JSON.stringify(found)).not.toContain(SECRET);
        }
    });

    test("an unknown name", () => {
        expect(failures(schema, { ...valid, addopt: true })).toEqual([
            { property: "addopt", reason: "is not known here; did you mean `adopt`?" },
        ]);
        const [failure] = failures(schema, { ...valid, zzzzzzzz: true });
        expect(failure!.reason).toBe(
            `is not known here; known are ${namesOf(schema)
                .filter((name) => name !== "owner")
                .join(", ")}`,
        );
    });

    test("every field has its mistakes here", () => {
        expect(Object.keys(fields).sort()).toEqual(namesOf(schema).sort());
    });
});

test("every inline field has its mistakes here", () => {
    expect(Object.keys(rule).sort()).toEqual(namesOf(inlineRealServer).sort());
    expect([...Object.keys(service), "marks"].sort()).toEqual(namesOf(inlineService).sort());
    const tried = connection.flatMap(([value]) => (typeof value === "object" ? Object.keys(value as object) : []));
    expect(tried).toEqual(expect.arrayContaining(namesOf(connectionSchema)));
});

test("a gateway is set by nat alone, and where the real server can be reached", () => {
    const valid = { service: { director, ...identity }, address: "192.0.2.21", gateway: "192.0.2.10", owner };
    const reasons = (more: object) => failures(realServerSchema, { ...valid, ...more });
    const named = (reason: string) => [{ property: "gateway", reason: expect.stringContaining(reason) }];
    expect(reasons({ forwarding: "nat", connection: "web1" })).toEqual([]);
    expect(reasons({ connection: "web1" })).toEqual(named("only by nat"));
    expect(reasons({ forwarding: "tun", connection: "web1" })).toEqual(named("only by nat"));
    expect(reasons({ forwarding: "nat" })).toEqual(named("name its `connection`"));
    const six = { forwarding: "nat", connection: "web1", address: "fd00::21", gateway: "fe80::1" };
    expect(reasons(six)).toEqual(named("is link-local, which says nothing without an interface: name the director's"));
});

test("a service has an address or a mark, not both and not neither", () => {
    expect(failures(virtualServiceSchema, { director, ...identity, fwmark: 1, owner })).toEqual([
        {
            property: "fwmark",
            reason: "a service has a firewall mark, or protocol, address and port; not both [LVS-CONTRADICTION]",
        },
    ]);
    expect(failures(virtualServiceSchema, { director, owner })).toEqual([
        {
            property: "address",
            reason: "is required, with protocol and port (or fwmark, for a service by firewall mark)",
        },
    ]);
});

test("a secret in the wrong place is not shown", () => {
    const misplaced = { ...director, connection: { host: "lb1", password: SECRET } };
    for (const inputs of [
        { director: [misplaced], ...identity, owner },
        { director, ...identity, realServers: [misplaced], owner },
        { director, ...identity, scheduler: misplaced, owner },
        { director, ...identity, conection: SECRET, owner },
    ]) {
        const found = failures(virtualServiceSchema, inputs);
        expect(found).toHaveLength(1);
        expect(JSON.stringify(found)).not.toContain(SECRET);
    }
});

/** The names that a map of the schema may have. */
function namesOf(schema: unknown): string[] {
    const { def } = (schema as { _zod: { def: { type: string; in?: unknown; shape?: object } } })._zod;
    return def.shape === undefined ? namesOf(def.in) : Object.keys(def.shape);
}
