import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type CodeName, codes } from "../../../provider/checks/codes";
import { contradictions } from "../../../provider/dynamic/program";
import { parseInputs } from "../../../provider/inputs/parse";
import type { Finding } from "../../../provider/kinds/want";
import { type HostState, parseState } from "../../../provider/reconcile/state";
import { director as directorResource } from "../../../provider/resources/director";
import { realServer as realServerResource } from "../../../provider/resources/realServer";
import type { Resource } from "../../../provider/resources/resource";
import { virtualService as virtualServiceResource } from "../../../provider/resources/virtualService";
import { addresses, director, factsWith, server, table } from "./hosts";

/** Every code has an input or a host that raises it, at its property; the classic recipes raise none. */

const owner = "organization/shop/prod#lvs:Any/one";
type Inputs = Record<string, unknown>;

/** Everything that a resource says: of its inputs, and of the hosts that are given; `beside`: what a real server is told of its director. */
function said(resource: Resource<never>, raw: Inputs, hosts: Partial<Record<string, HostState>> = {}): Finding[] {
    const { value, failures } = parseInputs(resource.schema, { owner, ...raw });
    expect(failures).toEqual([]);
    return [
        ...resource.findings(value),
        ...resource.parts(value).flatMap((part) => {
            const host = hosts[part.role];
            return host === undefined ? [] : part.findings(host, hosts["beside"]);
        }),
    ];
}

const lb = { name: "lb1", connection: "lb1", interface: "eth1" };
const web = { director: lb, protocol: "tcp", address: "192.0.2.100", port: 80 };
const web6 = { director: lb, protocol: "tcp", address: "2001:db8::100", port: 80 };
const dns = { ...web, protocol: "udp", port: 53 };

/** The chain INPUT of a host that has iptables alone. */
const input = (policy: string, ...rules: string[]) => ({
    "input.iptables": `iptables\n:INPUT ${policy} [1:2]\n${rules.map((rule) => `-A INPUT ${rule}\n`).join("")}COMMIT\nip6tables\n:INPUT DROP [0:0]\nCOMMIT\n`,
});
const dir = (inputs: Inputs = {}) => [directorResource as unknown as Resource<never>, { ...lb, ...inputs }] as const;
const inline = (key: string, fields: Inputs, more: Inputs = {}) => dir({ virtualServices: { [key]: fields }, ...more });
const vs = (inputs: Inputs = {}, of: Inputs = web) =>
    [virtualServiceResource as unknown as Resource<never>, { ...of, ...inputs }] as const;
const rs = (inputs: Inputs = {}, service: Inputs = web) =>
    [realServerResource as unknown as Resource<never>, { service, address: "192.0.2.21", ...inputs }] as const;

const mark = (address: string, port: number | string) => ({ protocol: "tcp", address, port });
const onLb = (host = director()) => ({ director: host });
const onServer = (host = server()) => ({ realServer: host });

const http = "-A -t 192.0.2.100:80 -s wlc";
const httpServer = "-a -t 192.0.2.100:80 -r 192.0.2.21:80";
const backup = "backup sync daemon (mcast=eth1, syncid=0, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n";
const filter = (...rules: string[]) => ({
    input: `table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n${rules.map((rule) => `\t\t${rule}\n`).join("")}\t}\n}\n`,
});
const ours = [
    'iif "lo" accept',
    "ct state established,related accept",
    "tcp dport { 22, 8080-8090 } accept",
    "icmp type echo-request accept",
];

const viaDirector = { forwarding: "nat", connection: "web1", gateway: "192.0.2.10" };
const connected = "192.0.2.0/24 dev eth1 scope link\n10.0.2.0/24 dev eth0 scope link\n";
const reachedFrom = (peer: string, more = "", sections = {}) =>
    server({
        ...factsWith(`ssh.peer=${peer}`),
        route: `default via 192.0.2.1 dev eth1\n${connected}${more}`,
        ...sections,
    });
const ecmp = {
    route: "default proto static \n\tnexthop via 192.0.2.1 dev eth1 weight 1 \n\tnexthop via 192.0.2.2 dev eth1 weight 1 \n192.0.2.0/24 dev eth1 scope link\n",
};

const tunnelFilter = `net.ipv4.conf.${
    realServerResource
        .parts(
            parseInputs(realServerResource.schema, {
                owner,
                service: web,
                address: "192.0.2.21",
                forwarding: "tun",
                connection: "web1",
            }).value,
        )[0]!
        .wants(undefined)
        .find(({ kind }) => kind === "link")!.key
}.rp_filter`;

const oneHost = (host: HostState) => ({ realServer: host, beside: host });
const onNetwork = (network: string) => factsWith(`network=${network}`);

type Case = [code: CodeName, property: string, of: readonly [Resource<never>, Inputs], hosts?: object];

/** As CentOS 7 has it. */
const oldIpvsadm = { ipvsadm: "v1.27 2008/5/15\nv1.27 2013/09/06\nops\nsched-flags\nsctp-service\n" };

const raised: Case[] = [
    ["LVS-PORT-0", "port", vs({ port: 0 })],
    ["LVS-PORT-0", 'virtualServices["tcp/192.0.2.100:0"].port', inline("tcp/192.0.2.100:0", {})],
    ["LVS-OPS-PROTOCOL", "onePacket", vs({ onePacket: true })],
    ["LVS-SIP-PROTOCOL", "persistence.engine", vs({ persistence: { engine: "sip" } })],
    ["LVS-SCHEDULER-FLAGS", "schedulerFlags", vs({ scheduler: "rr", schedulerFlags: ["flag-1"] })],
    [
        "LVS-WEIGHT-IGNORED",
        "scheduler",
        vs({ scheduler: "rr", realServers: { "192.0.2.21": { weight: 2 }, "192.0.2.22": {} } }),
    ],
    [
        "LVS-NO-FALLBACK",
        'realServers["192.0.2.21"].weight',
        vs({ scheduler: "mh", realServers: { "192.0.2.21": { weight: 0 } } }),
    ],
    ["LVS-NO-FALLBACK", "drain.timeout", vs({ scheduler: "sh", drain: { timeout: 60 } })],
    ["LVS-NO-FALLBACK", "weight", rs({ weight: 0 }), onLb(director(table("-A -t 192.0.2.100:80 -s sh")))],
    [
        "LVS-THRESHOLD-PERSISTENCE",
        'realServers["192.0.2.21"].upperThreshold',
        vs({ persistence: {}, realServers: { "192.0.2.21": { upperThreshold: 10 } } }),
    ],
    ["LVS-THRESHOLD-PERSISTENCE", "upperThreshold", rs({ upperThreshold: 9 }), onLb(director(table(`${http} -p 300`)))],
    ["LVS-DRAIN-PERSISTENCE", "drain.timeout", vs({ persistence: {}, drain: { timeout: 60 } }), onLb()],
    ["LVS-DRAIN-PERSISTENCE", "weight", rs({ weight: 0 }), onLb(director(table(`${http} -p 300`)))],
    [
        "LVS-DRAIN-PERSISTENCE",
        'virtualServices["tcp/192.0.2.100:80"].realServers["192.0.2.21"].weight',
        inline("tcp/192.0.2.100:80", { persistence: {}, realServers: { "192.0.2.21": { weight: 0 } } }),
        onLb(),
    ],
    ["LVS-DRAIN-UDP", "drain.timeout", vs({ drain: { timeout: 5 } }, dns), onLb()],
    [
        "LVS-FORMER-METHOD",
        "forwarding",
        rs({ forwarding: "nat" }),
        onLb(director(table(http, `${httpServer} -g -w 1`))),
    ],
    ["LVS-FORMER-METHOD", "forwarding", rs({ forwarding: "dr" }), onLb(director(table(http, `${httpServer} -i -w 1`)))],
    [
        "LVS-FORMER-METHOD",
        'realServers["192.0.2.21"].forwarding',
        vs({ realServers: { "192.0.2.21": { forwarding: "tun", tunnel: { type: "gre" } } } }),
        onLb(director(table(http, `${httpServer} -i -w 1`))),
    ],
    [
        "LVS-FORMER-METHOD",
        "forwarding",
        rs({ forwarding: "dr" }, dns),
        onLb(director(table("-A -u 192.0.2.100:53 -s wlc", "-a -u 192.0.2.100:53 -r 192.0.2.21:53 -m -w 1"))),
    ],
    [
        "LVS-SNAT-ADDRESS",
        "masquerade[1].to",
        dir({
            masquerade: [
                { source: "10.0.0.0/24", to: "192.0.2.10" },
                { source: "10.1.0.0/24", to: "192.0.2.99" },
            ],
        }),
        onLb(),
    ],
    ["LVS-DR-PORT", "port", rs({ port: 8080 })],
    [
        "LVS-DR-PORT",
        'realServers["192.0.2.21:8080"].port',
        vs({ realServers: { "192.0.2.21:8080": { forwarding: "tun" } } }),
    ],
    ["LVS-FAMILY", "address", rs({ address: "2001:db8::21" })],
    ["LVS-NOT-UNICAST", "address", rs({ address: "224.0.0.1" })],
    ...["0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255", "::", "::1", "fe80::1", "ff02::1"].map(
        (address): Case => ["LVS-NOT-UNICAST", "address", vs({}, { ...web, address })],
    ),
    [
        "LVS-NOT-UNICAST",
        "marks[1].address",
        vs({ marks: [mark("192.0.2.100", 80), mark("0.0.0.0", 80)] }, { director: lb, fwmark: 1 }),
    ],
    ...["dr", "tun", "nat"].map(
        (forwarding): Case => ["LVS-NOT-UNICAST", "address", rs({ address: "192.0.2.100", forwarding })],
    ),
    ["LVS-NOT-UNICAST", 'realServers["192.0.2.100"]', vs({ realServers: { "192.0.2.100": {} } })],
    ["LVS-WEIGHT-RANGE", "weight", rs({ weight: 70000 }), onLb(director(factsWith("os=Fedora Linux 40")))],
    ["LVS-CHECKER", "weight", rs({ weight: 2 }), onLb(director(factsWith("checking=keepalived")))],
    [
        "LVS-MARK-TWICE",
        'virtualServices["fwm/2"].marks[0]',
        dir({
            virtualServices: {
                "fwm/1": { marks: [mark("192.0.2.100", 80)] },
                "fwm/2": { marks: [mark("192.0.2.100", 80)] },
            },
        }),
    ],
    ...[
        ["100-200", 150],
        [200, "100-200"],
        ["100-200", "200-300"],
    ].map(
        ([one, other]): Case => [
            "LVS-MARK-TWICE",
            'virtualServices["fwm/3"].marks[0]',
            dir({
                virtualServices: {
                    "fwm/1": { marks: [mark("192.0.2.100", 0), mark("192.0.2.100", one!)] },
                    "fwm/2": { marks: [mark("192.0.2.100", 99), mark("192.0.2.101", other!)] },
                    "fwm/3": { marks: [mark("192.0.2.100", other!)] },
                },
            }),
        ],
    ),
    [
        "LVS-MARK-SHADOWS",
        'virtualServices["tcp/192.0.2.100:21000"]',
        dir({
            virtualServices: { "tcp/192.0.2.100:21000": {}, "fwm/1": { marks: [mark("192.0.2.100", "20000-22000")] } },
        }),
    ],
    [
        "LVS-MARK-SHADOWS",
        "port",
        vs(),
        onLb(
            director({
                ...table("-A -f 1 -s wlc"),
                nft: 'table inet pulumi_lvs {\n\tchain prerouting_mark_ranges {\n\t\tip daddr 192.0.2.100 tcp dport 1-1000 meta mark set 0x00000001 comment "ipv4/tcp/192.0.2.100/1-1000"\n\t}\n}\n',
            }),
        ),
    ],
    ["LVS-OWN-SSH", "marks[0].port", vs({ marks: [mark("10.0.2.10", "20-30")] }, { director: lb, fwmark: 1 }), onLb()],
    [
        "LVS-MARK-FAMILY",
        "marks[1].address",
        vs({ marks: [mark("192.0.2.100", 80), mark("2001:db8::100", 80)] }, { director: lb, fwmark: 1 }),
    ],
    [
        "LVS-MARK-SHADOWS",
        'virtualServices["tcp/192.0.2.100:80"]',
        dir({ virtualServices: { "tcp/192.0.2.100:80": {}, "fwm/1": { marks: [mark("192.0.2.100", 80)] } } }),
    ],
    [
        "LVS-MARK-SHADOWS",
        "port",
        vs(),
        onLb(
            director({
                ...table("-A -f 1 -s wlc"),
                iptables:
                    '*mangle\n-A PULUMI-LVS-MARK -d 192.0.2.100/32 -p tcp -m comment --comment "ipv4/tcp/192.0.2.100/80" -m tcp --dport 80 -j MARK --set-xmark 0x1/0xffffffff\n',
            }),
        ),
    ],
    [
        "LVS-MARK-SHADOWS",
        "port",
        vs(),
        onLb(
            director({
                ...table("-A -f 1 -s wlc"),
                nft: "table inet pulumi_lvs {\n\tmap marks4 {\n\t\telements = { 192.0.2.100 . 6 . 80 : 0x00000001 }\n\t}\n}\n",
            }),
        ),
    ],
    ["LVS-VIP-UNUSED", "vip.interface", vs({ vip: { interface: "eth1" } }, { director: lb, fwmark: 1 })],
    [
        "LVS-NAT-FORWARD",
        "ipForward",
        inline("tcp/192.0.2.100:80", { realServers: { "192.0.2.21": { forwarding: "nat" } } }, { ipForward: false }),
    ],
    [
        "LVS-NAT-FORWARD",
        'sysctls["net.ipv6.conf.all.forwarding"]',
        inline(
            "tcp/[2001:db8::100]:80",
            { realServers: { "2001:db8::21": { forwarding: "nat" } } },
            { sysctls: { "net.ipv6.conf.all.forwarding": 0 } },
        ),
    ],
    [
        "LVS-FORWARD-TWICE",
        'sysctls["net.ipv4.ip_forward"]',
        dir({ ipForward: true, sysctls: { "net.ipv4.ip_forward": 0 } }),
    ],
    [
        "LVS-FORWARD-TWICE",
        'sysctls["net.ipv6.conf.all.forwarding"]',
        dir({ ipv6Forward: false, sysctls: { "net.ipv6.conf.all.forwarding": 1 } }),
    ],
    [
        "LVS-FORWARD-TWICE",
        'sysctls["net.ipv4.conf.all.forwarding"]',
        dir({ ipForward: true, sysctls: { "net.ipv4.conf.all.forwarding": 0 } }),
    ],
    [
        "LVS-FORWARD-TWICE",
        'sysctls["net.ipv4.conf.all.forwarding"]',
        dir({ sysctls: { "net.ipv4.ip_forward": 0, "net.ipv4.conf.all.forwarding": 1 } }),
    ],
    [
        "LVS-NAT-FORWARD",
        'sysctls["net.ipv4.conf.all.forwarding"]',
        dir({
            sysctls: { "net.ipv4.conf.all.forwarding": 0 },
            virtualServices: {
                "tcp/192.0.2.100:80": { vip: { external: true }, realServers: { "192.0.2.21": { forwarding: "nat" } } },
            },
        }),
    ],
    ["LVS-TABLE-KEPT", "", dir(), onLb(director(factsWith("keeper=kube-proxy")))],
    ["LVS-TABLE-KEPT", "", dir(), onLb(director(factsWith("keeper=kube-router")))],
    [
        "LVS-NAT-FORWARD",
        "ipv6Forward",
        inline(
            "tcp/[2001:db8::100]:80",
            { realServers: { "2001:db8::21": { forwarding: "nat" } } },
            { ipv6Forward: false },
        ),
    ],
    [
        "LVS-MASQUERADE-CONNTRACK",
        'sysctls["net.ipv4.vs.conntrack"]',
        dir({ masquerade: [{ source: "10.0.0.0/24" }], sysctls: { "net.ipv4.vs.conntrack": 0 } }),
    ],
    [
        "LVS-FTP-METHOD",
        'virtualServices["tcp/192.0.2.100:21"].realServers["192.0.2.21"].forwarding',
        inline("tcp/192.0.2.100:21", { realServers: { "192.0.2.21": {} } }, { ftp: {} }),
    ],
    ["LVS-SYNC-MAXLEN", "sync.backup.maxlen", dir({ sync: { backup: { interface: "eth1", maxlen: 1000 } } })],
    ["LVS-SYSCTL-VALUE", 'sysctls["net.ipv4.vs.drop_entry"]', dir({ sysctls: { "net.ipv4.vs.drop_entry": 4 } })],
    ["LVS-SYSCTL-VALUE", 'sysctls["net.ipv4.vs.sync_ports"]', dir({ sysctls: { "net.ipv4.vs.sync_ports": 3 } })],
    ["LVS-SYSCTL-VALUE", 'sysctls["net.ipv4.vs.conntrack"]', dir({ sysctls: { "net.ipv4.vs.conntrack": "on" } })],
    ["LVS-SYSCTL", 'sysctls["net.ipv4.vs.conntrak"]', dir({ sysctls: { "net.ipv4.vs.conntrak": 1 } }), onLb()],
    ["LVS-CONN-TAB", "connTabBits", dir({ connTabBits: 16 }), onLb(director(table(http)))],
    [
        "LVS-REUSE-DELAY",
        "sysctls",
        dir({ sysctls: { "net.ipv4.vs.conntrack": 1 } }),
        onLb(director(factsWith("release=5.4.0-1"))),
    ],
    [
        "LVS-OWN-SSH",
        "port",
        vs({ port: 22, address: "192.0.2.10", director: { ...lb, connection: { host: "192.0.2.10" } } }),
    ],
    ["LVS-OWN-SSH", "port", vs({ port: 0, address: "10.0.2.10", persistence: {} }), onLb()],
    ["LVS-OWN-SSH", "marks[0].port", vs({ marks: [mark("10.0.2.10", 22)] }, { director: lb, fwmark: 1 }), onLb()],
    ["LVS-NO-VIP", "vip", vs({ director: { name: "lb1", connection: "lb1" } }), onLb()],
    ["LVS-INPUT-DROP", "port", vs(), onLb(director(filter(...ours)))],
    [
        "LVS-INPUT-DROP",
        "port",
        vs(),
        onLb(director(filter("ct state vmap { invalid : drop, established : accept }", "reject"))),
    ],
    ["LVS-INPUT-DROP", "port", vs(), onLb(director(filter("tcp dport { 79-81 } drop", "accept")))],
    [
        "LVS-INPUT-DROP",
        "port",
        vs(),
        onLb(director(filter("meta l4proto tcp tcp dport 80 counter packets 0 bytes 0 drop", "accept"))),
    ],
    ["LVS-INPUT-DROP", "port", vs(), onLb(director(input("DROP", "-p tcp -m tcp --dport 22 -j ACCEPT")))],
    ["LVS-INPUT-DROP", "port", vs(), onLb(director(input("ACCEPT", "-p tcp -m tcp --dport 79:81 -j REJECT")))],
    [
        "LVS-INPUT-DROP",
        "port",
        vs(),
        onLb(
            director(
                input(
                    "ACCEPT",
                    ...["-i lo -j ACCEPT", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-p icmp -j ACCEPT"],
                    ...['-p tcp -m multiport --dports 22,443 -m comment --comment "all -j ACCEPT" -j ACCEPT', "-j LOG"],
                    "-j REJECT --reject-with icmp-port-unreachable",
                ),
            ),
        ),
    ],
    [
        "LVS-FORWARD-DROP",
        "forwarding",
        rs({ forwarding: "nat" }),
        onLb(
            director({
                input: "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n",
            }),
        ),
    ],
    [
        "LVS-FORWARD-DROP",
        'realServers["192.0.2.21"].forwarding',
        vs({ realServers: { "192.0.2.21": { forwarding: "nat" } } }),
        onLb(director({ "input.iptables": "iptables\n:FORWARD DROP [0:0]\nCOMMIT\n" })),
    ],
    ["LVS-DR-ROUTE", "forwarding", rs({ address: "198.51.100.21" }), onLb()],
    ["LVS-DR-ROUTE", 'realServers["198.51.100.21"].forwarding', vs({ realServers: { "198.51.100.21": {} } }), onLb()],
    [
        "LVS-LOOP",
        "realServers",
        vs({ realServers: { "192.0.2.10": {}, "192.0.2.11": {} } }),
        onLb(director({ "ipvs.daemons": backup })),
    ],
    [
        "LVS-LOOP",
        "address",
        rs({ address: "192.0.2.10" }),
        onLb(director({ ...table(http, "-a -t 192.0.2.100:80 -r 192.0.2.11:80 -g -w 1"), "ipvs.daemons": backup })),
    ],
    // The VIP is elsewhere, and no daemon runs: then backup_only has no effect.
    ...["0", "1"].flatMap((backupOnly): Case[] => [
        [
            "LVS-LOOP",
            "realServers",
            vs({ vip: { external: true }, realServers: { "192.0.2.10": {}, "192.0.2.11": {} } }),
            onLb(director({}, { "net.ipv4.vs.backup_only": backupOnly })),
        ],
        [
            "LVS-LOOP",
            "address",
            rs({ address: "192.0.2.10" }),
            onLb(
                director(
                    {
                        ...table(http, "-a -t 192.0.2.100:80 -r 192.0.2.11:80 -g -w 1"),
                        address: addresses("eth1 192.0.2.10/24", "lo 192.0.2.100/32"),
                    },
                    { "net.ipv4.vs.backup_only": backupOnly },
                ),
            ),
        ],
    ]),
    ["LVS-TUN-MTU", "forwarding", rs({ forwarding: "tun" }), onLb(director({}, { "net.ipv4.vs.pmtu_disc": "0" }))],
    [
        "LVS-TUN-MTU",
        "forwarding",
        rs({ forwarding: "tun", address: "2001:db8::21" }, web6),
        onLb(director({ mtu: "eth1 1300\n" })),
    ],
    [
        "LVS-TUN-MTU",
        "tunnel.mss",
        rs({ forwarding: "tun", connection: "web1" }),
        onServer(server(factsWith("tool.nft="))),
    ],
    [
        "LVS-TUN-MTU",
        "tunnel.mss",
        rs({ forwarding: "tun", connection: "web1" }),
        { ...onServer(), beside: director({ mtu: "eth1 1400\n" }) },
    ],
    [
        "LVS-TUN-MTU",
        "tunnel.mss",
        rs({ forwarding: "tun", tunnel: { mss: 1460 }, connection: "web1" }),
        { ...onServer(), beside: director() },
    ],
    [
        "LVS-TUN-KERNEL",
        "tunnel.type",
        rs({ forwarding: "tun", tunnel: { type: "gre" } }),
        onLb(director(factsWith("release=4.19.0-27-amd64"))),
    ],
    [
        "LVS-V6-SOURCE",
        "forwarding",
        rs({ forwarding: "tun", address: "2001:db8::21" }, web6),
        onLb(director({ address: addresses("eth1 2001:db8::10/64", "eth1 2001:db8::100/128") })),
    ],
    ["LVS-REDIRECT", "accept", rs({ forwarding: "tun", accept: "redirect", connection: "web1" }, web6)],
    ["LVS-REDIRECT", "accept", rs({ accept: "redirect", connection: "web1" }, { director: lb, fwmark: 1 })],
    [
        "LVS-HOST-TWICE",
        "connection",
        rs({ connection: "web1" }),
        { ...onServer(server(onNetwork("b1 net:[1]"))), beside: director(onNetwork("b1 net:[1]")) },
    ],
    ["LVS-RIP-ELSEWHERE", "address", rs({ address: "192.0.2.29", connection: "web1" }), onServer()],
    [
        "LVS-NAT-RETURN",
        "forwarding",
        rs({ forwarding: "nat", connection: "web1" }),
        onServer(server({ route: "192.0.2.0/24 dev eth1\n" })),
    ],
    ["LVS-GATEWAY", "gateway", rs({ ...viaDirector, gateway: "198.51.100.1" }), onServer()],
    ["LVS-GATEWAY", "gateway", rs({ ...viaDirector, gateway: "10.0.2.21" }), onServer()],
    [
        "LVS-GATEWAY",
        "gateway",
        rs({ ...viaDirector, address: "2001:db8::21", gateway: "2001:db8:1::10" }, web6),
        onServer(),
    ],
    ["LVS-GATEWAY-SSH", "gateway", rs(viaDirector), onServer(server(factsWith("ssh.peer=198.51.100.7")))],
    [
        "LVS-GATEWAY-SSH",
        "gateway",
        rs(viaDirector),
        onServer(server({ ...factsWith("ssh.peer=198.51.100.7"), ...ecmp })),
    ],
    [
        "LVS-RP-FILTER",
        "sysctls",
        rs({ connection: "web1" }),
        onServer(server({ route: "default via 10.0.2.2 dev eth0\n192.0.2.0/24 dev eth1\n" })),
    ],
    ["LVS-VIP-DEVICE", "device", rs({ connection: "web1", device: "eth1" }), onServer()],
    [
        "LVS-VIP-DEVICE",
        "address",
        rs({ connection: "web1" }),
        onServer(server({ address: addresses("eth1 192.0.2.21/24", "eth1 192.0.2.100/32") })),
    ],
    ["LVS-LOCALNODE", "forwarding", rs({ address: "127.0.0.1", forwarding: "nat" })],
    ["LVS-LOCALNODE", "forwarding", rs({ address: "192.0.2.10", forwarding: "tun" }), onLb()],
    ["LVS-NOT-ROOT", "connection", dir(), onLb(director(factsWith("uid=1000")))],
    ["LVS-TOOL", "", vs(), onLb(director(factsWith("tool.ipvsadm=")))],
    ["LVS-TOOL", "", dir({ masquerade: [{ source: "10.0.0.0/8" }] }), onLb(director(factsWith("tool.nft=")))],
    [
        "LVS-TOOL",
        "",
        dir({ masquerade: [{ source: "fd00::/8" }] }),
        onLb(director(factsWith("tool.nft=", "tool.iptables=yes"))),
    ],
    ["LVS-NO-SYSTEMD", "", dir(), onLb(director(factsWith("tool.systemctl=")))],
    ["LVS-NO-ARPING", "", vs(), onLb(director(factsWith("tool.arping=")))],
    ["LVS-NO-ARPING", "", vs(), onLb(director(factsWith("arping=other")))],
    ["LVS-MODULE", "", vs({ scheduler: "twos" }), onLb(director({ loadable: "ip_vs\n" }))],
    ["LVS-MODULE-BLOCKED", "", vs({ scheduler: "dh" }), onLb(director({ blacklist: "install ip_vs_dh /bin/false\n" }))],
    ["LVS-MODULE", "", vs({ scheduler: "twos" }), onLb(director({ config: "# CONFIG_IP_VS_TWOS is not set\n" }))],
    ["LVS-MODULE", "", vs({ scheduler: "nq" }), onLb(director({ config: "CONFIG_IP_VS_NQ=m\n" }))],
    [
        "LVS-MODULE-BLOCKED",
        "",
        vs({ scheduler: "dh" }),
        onLb(director({ blacklist: "/proc/cmdline:module_blacklist=floppy,ip_vs_dh\n", loadable: "ip_vs_dh\n" })),
    ],
    ["LVS-IPVSADM", "", vs({ scheduler: "mh", schedulerFlags: ["mh-port"] }), onLb(director(oldIpvsadm))],
    [
        "LVS-IPVSADM",
        "",
        rs({ forwarding: "tun", tunnel: { type: "gre" } }),
        onLb(director({ ipvsadm: "v1.30 2019/07/02\nsched-flags\nmh-port\ntun-type\n" })),
    ],
    ["LVS-IPVSADM", "", dir({ sync: { master: { interface: "eth1" } } }), onLb(director(oldIpvsadm))],
    [
        "LVS-SYSCTL",
        'sysctls["net.ipv4.vs.est_nice"]',
        dir({ sysctls: { "net.ipv4.vs.est_nice": 1 } }),
        onLb(director({ sysctl: "" })),
    ],
    ...[
        { sysctls: { "net.ipv4.conf.eth1.rp_filter": 2 } },
        { device: "lo" },
        { forwarding: "tun", accept: "redirect" },
    ].map((fields): Case => ["LVS-CONTRADICTION", Object.keys(fields).at(-1)!, rs(fields)]),
    ["LVS-CONTRADICTION", "tunnel.mss", rs({ forwarding: "tun", tunnel: { mss: 1400 } })],
    ["LVS-CONTRADICTION", "device", rs({ forwarding: "nat", device: "lo", connection: "web1" })],
    ["LVS-NO-EFFECT", "persistAcrossReboot", rs({ persistAcrossReboot: false })],
    ["LVS-VIP-UNUSED", "vip.interface", vs({ vip: { interface: "eth1", external: true } })],
    ...(
        [
            ["net.ipv4.conf.eth1.arp_ignore", 0],
            ["net.ipv4.conf.eth1.arp_ignore", 3],
            ["net.ipv4.conf.all.arp_ignore", 8],
            ["net.ipv4.conf.eth1.arp_announce", 1],
        ] as const
    ).map(
        ([key, value]): Case => [
            ...(["LVS-CONTRADICTION", `sysctls["${key}"]`] as const),
            rs({ connection: "web1", sysctls: { [key]: value } }),
            onServer(),
        ],
    ),
    [
        "LVS-CONTRADICTION",
        `sysctls["${tunnelFilter}"]`,
        rs({ forwarding: "tun", connection: "web1", sysctls: { [tunnelFilter]: 1 } }),
    ],
    [
        "LVS-CONTRADICTION",
        'sysctls["net.ipv6.conf.eth1.accept_redirects"]',
        rs(
            {
                ...{ forwarding: "nat", address: "2001:db8::21", connection: "web1" },
                sysctls: { "net.ipv6.conf.eth1.accept_redirects": 1 },
            },
            web6,
        ),
        onServer(),
    ],
    ["LVS-NO-INTERFACE", "sync.backup.interface", dir({ sync: { backup: { interface: "eth7" } } }), onLb()],
    [
        "LVS-SYNC-MAXLEN",
        "sync.master.maxlen",
        dir({ sync: { master: { interface: "eth1", group: "ff02::81", maxlen: 65488 } } }),
    ],
    [
        "LVS-BACKUP-ONLY",
        'sysctls["net.ipv4.vs.backup_only"]',
        dir({
            sync: { master: { interface: "eth1" }, backup: { interface: "eth1" } },
            sysctls: { "net.ipv4.vs.backup_only": 1 },
        }),
    ],
    ["LVS-SYNC-GROUP", "sync.master.group", dir({ sync: { master: { interface: "eth1", group: "192.0.2.9" } } })],
    ["LVS-CONN-TAB", "connTabBits", dir({ connTabBits: 24 }), onLb(director({ parameters: "" }))],
    [
        "LVS-REUSE-DELAY",
        "sysctls",
        dir({ masquerade: [{ source: "10.0.0.0/24" }] }),
        onLb(director(factsWith("release=5.4.0-1"))),
    ],
    [
        "LVS-CHECKER",
        'realServers["192.0.2.21"].weight',
        vs({ realServers: { "192.0.2.21": {} } }),
        onLb(director(factsWith("checking=keepalived"))),
    ],
    [
        "LVS-MARK-SHADOWS",
        'virtualServices["tcp/192.0.2.100:80"]',
        dir({ virtualServices: { "tcp/192.0.2.100:80": {}, "fwm/1": { marks: [mark("192.0.2.100", 0)] } } }),
    ],
    [
        "LVS-MARK-SHADOWS",
        "port",
        vs(),
        onLb(
            director({
                ...table("-A -f 1 -s wlc"),
                nft: "table inet pulumi_lvs {\n\tmap anyport4 {\n\t\telements = { 192.0.2.100 . 6 : 0x00000001 }\n\t}\n}\n",
            }),
        ),
    ],
    [
        "LVS-OPS-PROTOCOL",
        "onePacket",
        vs({ onePacket: true, marks: [mark("192.0.2.100", 80)] }, { director: lb, fwmark: 1 }),
    ],
    [
        "LVS-SIP-PROTOCOL",
        "persistence.engine",
        vs({ persistence: { engine: "sip" }, marks: [mark("192.0.2.100", 80)] }, { director: lb, fwmark: 1 }),
    ],
    ["LVS-NO-FALLBACK", "drain.timeout", vs({ scheduler: "mh", realServers: { "192.0.2.21": {} } })],
    ["LVS-NO-FALLBACK", "drain.timeout", rs(), onLb(director(table("-A -t 192.0.2.100:80 -s mh")))],
    ["LVS-DRAIN-PERSISTENCE", "drain.timeout", vs({ persistence: {}, realServers: { "192.0.2.21": {} } }), onLb()],
    ["LVS-DRAIN-UDP", "drain.timeout", rs({}, dns), onLb(director(table("-A -u 192.0.2.100:53 -s wlc")))],
    ...["dr", "tun"].map(
        (forwarding): Case => [
            ...(["LVS-RIP-ELSEWHERE", "address"] as const),
            rs({ forwarding, address: "2001:db8::29", connection: "web1" }, web6),
            onServer(),
        ],
    ),
    ["LVS-RIP-ELSEWHERE", "address", rs({ ...viaDirector, address: "192.0.2.29" }), onServer()],
    ["LVS-NO-INTERFACE", "interface", vs({ vip: { interface: "eth7" } }), onLb()],
];

test.each(raised)("%s is said of %s (case %#)", (code, property, [resource, inputs], hosts = {}) => {
    const found = said(resource, inputs, hosts);
    expect(found.filter((each) => each.severity === "error" || each.code === code)).toEqual([
        { code, severity: codes[code].severity, property, message: expect.stringMatching(/^\S.*[^.]$/s) },
    ]);
});

/** Said where several resources are seen together, or within the schema: tested there. */
const elsewhere: CodeName[] = ["LVS-CONTRADICTION", "LVS-DECLARED-TWICE", "LVS-VIP-TWICE", "LVS-SYNC-ID"];

test("every code that is not a script's or a ledger's has a case", () => {
    const cases = new Set<string>([...raised.map(([code]) => code), ...elsewhere]);
    const due = Object.entries(codes).filter(([, { moment }]) => moment !== "run");
    expect(due.map(([code]) => code).filter((code) => !cases.has(code))).toEqual([]);
});

describe("two directors of one program", () => {
    const seen = (name: string, sync: Inputs) => {
        const raw = { owner: `organization/shop/prod#lvs:Director/${name}`, name, connection: name, sync };
        return contradictions(directorResource, parseInputs(directorResource.schema, raw).value);
    };
    const daemon = (syncid: number) => ({ interface: "eth1", syncid });

    test("with masters that a backup cannot tell apart are told", () => {
        seen("a1", { master: daemon(1) });
        expect(seen("a2", { master: daemon(1) })).toEqual([
            expect.objectContaining({ code: "LVS-SYNC-ID", ...{ severity: codes["LVS-SYNC-ID"].severity } }),
        ]);
    });

    test.each([
        ["ids of their own", { master: daemon(2) }, { master: daemon(3) }],
        ["a master and its backup", { master: daemon(4) }, { backup: daemon(4) }],
        ["both as both", { master: daemon(5), backup: daemon(5) }, { master: daemon(5), backup: daemon(5) }],
    ])("are not: %s", (name, one, other) => {
        seen(`${name} 1`, one);
        expect(seen(`${name} 2`, other)).toEqual([]);
    });
});

describe("pairs of directors, each master and backup", () => {
    const both = (syncid: number) => ({ master: { interface: "eth1", syncid }, backup: { interface: "eth1", syncid } });
    const external = { vip: { external: true } };
    /** What is said of directors with their services, as they are seen one after the other. */
    const said = (prefix: string, syncid: number, list: Record<string, string[]>) =>
        Object.entries(list).flatMap(([name, services]) => {
            const raw = {
                owner: `organization/shop/prod#lvs:Director/${prefix}${name}`,
                ...{ name: `${prefix}${name}`, connection: `${prefix}${name}`, sync: both(syncid) },
                virtualServices: Object.fromEntries(services.map((vip) => [`tcp/${vip}:80`, external])),
            };
            const { value, failures } = parseInputs(directorResource.schema, raw);
            expect(failures).toEqual([]);
            return contradictions(directorResource, value).map(({ code }) => code);
        });

    test("are told when two use one id", () => {
        expect(
            said("two", 11, {
                ...{ a1: ["192.0.2.1"], a2: ["192.0.2.1", "192.0.2.2"], b1: ["198.51.100.1"], b2: ["198.51.100.1"] },
            }),
        ).toEqual(["LVS-SYNC-ID"]);
    });

    test.each([
        ["one", { a1: ["192.0.2.1", "192.0.2.2"], a2: ["192.0.2.1", "192.0.2.2"] }],
        [
            "four that share",
            { a1: ["192.0.2.1"], a2: ["192.0.2.1", "192.0.2.2"], a3: ["192.0.2.2"], a4: ["192.0.2.2"] },
        ],
        ["directors whose services are not seen", { a1: [], a2: [], b1: [], b2: [] }],
        [
            "a pair and a director whose other one is not seen",
            { a1: ["192.0.2.1"], a2: ["192.0.2.1"], b1: ["192.0.2.9"] },
        ],
    ])("are not: %s", (name, list) => {
        expect(said(`${name.replaceAll(" ", "-")}-`, 20 + name.length, list)).toEqual([]);
    });
});

const tunnels = [
    {},
    { type: "gue", port: 6080 },
    { type: "gue", port: 6080, checksum: "csum" },
    { type: "gue", port: 6080, checksum: "remcsum" },
    { type: "gre" },
    { type: "gre", checksum: "csum" },
];
const everywhere = {
    director: director({}, { "net.ipv4.vs.expire_nodest_conn": "1", "net.ipv4.vs.expire_quiescent_template": "1" }),
    realServer: server(),
};
const fine: [string, readonly [Resource<never>, Inputs], object?][] = [
    ...[
        ["another machine", "b1 net:[1]", "b2 net:[1]"],
        ["another container of one machine", "b1 net:[1]", "b1 net:[2]"],
        ["a host that does not say", "b1", "b1"],
    ].map(([what, own, its]): (typeof fine)[number] => [
        `a director and a real server that are ${what}`,
        rs({ connection: "web1" }),
        { ...onServer(server(onNetwork(own!))), beside: director(onNetwork(its!)) },
    ]),
    [
        "a director that is a real server by its own connection",
        rs({ address: "192.0.2.10", connection: "lb1" }),
        oneHost(director(onNetwork("b1 net:[1]"))),
    ],
    ["a director alone", dir()],
    ["a service alone", vs()],
    ...["nat", "dr", "tun"].flatMap((forwarding): typeof fine =>
        ["tcp", "udp"].flatMap((protocol): typeof fine => [
            [`${forwarding} ${protocol} v4`, rs({ forwarding, connection: "web1", weight: 2 }, { ...web, protocol })],
            [
                `${forwarding} ${protocol} v6`,
                rs({ forwarding, connection: "web1", address: "2001:db8::21" }, { ...web6, protocol }),
            ],
            [`${forwarding} ${protocol} inline`, vs({ protocol, realServers: { "192.0.2.21": { forwarding } } })],
        ]),
    ),
    ...tunnels.map((tunnel): (typeof fine)[number] => [
        `tun ${JSON.stringify(tunnel)}`,
        rs({ forwarding: "tun", tunnel, connection: "web1" }),
    ]),
    ["a v6 service over v4 tunnels", rs({ forwarding: "tun", connection: "web1" }, web6)],
    ["tun across a router", rs({ forwarding: "tun", address: "198.51.100.21" })],
    ["nat by a gateway of ours, where the host has none", rs(viaDirector), onServer(server({ route: connected }))],
    ["a gateway of ours while we come from a connected network", rs(viaDirector), onServer(reachedFrom("10.0.2.2"))],
    ["a gateway of ours while we come over IPv6", rs(viaDirector), onServer(reachedFrom("2001:db8:9::7"))],
    [
        "a gateway of ours where our peer has a route of its own",
        rs(viaDirector),
        onServer(reachedFrom("198.51.100.7", "198.51.100.0/24 via 10.0.2.2 dev eth0\n")),
    ],
    [
        "a gateway that is ours already",
        rs(viaDirector),
        onServer(reachedFrom("198.51.100.7", "", { "route.default": "default via 192.0.2.10 dev eth1\n" })),
    ],
    [
        "a gateway that DHCP's route goes through already",
        rs(viaDirector),
        onServer(
            server({
                ...factsWith("ssh.peer=198.51.100.7"),
                route: `default via 192.0.2.10 dev eth1 metric 100\n${connected}`,
            }),
        ),
    ],
    [
        "another port of the VIP's own host by nat",
        rs({ address: "192.0.2.100", forwarding: "nat", port: 8080 }),
        onLb(),
    ],
    ["a VIP for the director's own clients", vs({ vip: { external: true } }, { ...web, address: "127.0.0.1" })],
    [
        "nat to an address that is translated on the way",
        rs({ address: "192.0.2.29", forwarding: "nat", connection: "web1" }),
        onServer(server({ route: `default via 192.0.2.10 dev eth1\n${connected}` })),
    ],
    ["nat to another port", rs({ forwarding: "nat", port: 8080 })],
    ["the director as its own real server", vs({ realServers: { "192.0.2.10": {}, "127.0.0.1": {} } })],
    ["the director's own address by nat", vs({ realServers: { "192.0.2.10": { forwarding: "nat", port: 8080 } } })],
    [
        "the director as its own real server, by a connection",
        rs({ address: "192.0.2.10", connection: "lb1", forwarding: "dr" }),
        { director: director(table(http)), realServer: director(table(http), { "net.ipv4.conf.eth1.rp_filter": "1" }) },
    ],
    [
        "two directors as real servers, with backup_only",
        vs({ realServers: { "192.0.2.10": {}, "192.0.2.11": {} } }),
        onLb(director({ "ipvs.daemons": backup }, { "net.ipv4.vs.backup_only": "1" })),
    ],
    [
        "a master and its backup as real servers, with backup_only, wherever the VIP is",
        inline(
            "tcp/192.0.2.100:80",
            { vip: { external: true }, realServers: { "192.0.2.10": {}, "192.0.2.11": {} } },
            { sync: { master: { interface: "eth1" } }, sysctls: { "net.ipv4.vs.backup_only": 1 } },
        ),
        onLb(),
    ],
    [
        "a director that has the VIP and is a real server beside another one",
        rs({ address: "192.0.2.10" }),
        onLb(
            director({
                ...table(http, "-a -t 192.0.2.100:80 -r 192.0.2.11:80 -g -w 1"),
                address: addresses("eth1 192.0.2.10/24", "eth1 192.0.2.100/32", "lo 192.0.2.100/32"),
            }),
        ),
    ],
    [
        "a VIP that is there already",
        vs(),
        onLb(director({ address: addresses("eth1 192.0.2.10/24", "eth1 192.0.2.100/32") })),
    ],
    [
        "a VIP that keepalived brings, without checks",
        vs({ vip: { external: true }, realServers: { "192.0.2.21": { weight: 3 } } }),
        onLb(director(factsWith("checker=keepalived"))),
    ],
    [
        "weights that a checker moves",
        rs({ weight: 3, keepWeight: true }),
        onLb(director(factsWith("checking=ldirectord"))),
    ],
    ["every port with persistence", vs({ port: 0, persistence: {} })],
    ["a mark that somebody else sets", vs({ persistence: {} }, { director: lb, fwmark: 1 })],
    [
        "two ports under a mark",
        vs(
            { persistence: {}, marks: [mark("192.0.2.100", 80), mark("192.0.2.100", 443)] },
            { director: lb, fwmark: 1 },
        ),
    ],
    ["a mark, another family", vs({ marks: [mark("2001:db8::100", 80)] }, { director: lb, fwmark: 1, family: "ipv6" })],
    [
        "sh with fallback",
        vs({ scheduler: "sh", schedulerFlags: ["sh-fallback"], realServers: { "192.0.2.21": { weight: 0 } } }),
    ],
    [
        "a drain with persistence, told to end",
        vs({ persistence: {}, drain: { timeout: 60 } }),
        onLb(director({}, { "net.ipv4.vs.expire_quiescent_template": "1" })),
    ],
    [
        "the same within one director",
        inline(
            "tcp/192.0.2.100:80",
            { persistence: {}, drain: { timeout: 60 } },
            { sysctls: { "net.ipv4.vs.expire_quiescent_template": 1 } },
        ),
    ],
    [
        "one-armed nat with masquerading",
        inline(
            "tcp/192.0.2.100:80",
            { realServers: { "192.0.2.21": { forwarding: "nat" } } },
            { masquerade: [{ source: "192.0.2.0/24" }] },
        ),
    ],
    [
        "ftp by nat",
        inline(
            "tcp/192.0.2.100:21",
            { persistence: {}, realServers: { "192.0.2.21": { forwarding: "nat" } } },
            { ftp: {} },
        ),
    ],
    ["a pair of directors with sync", dir({ sync: { master: { interface: "eth1" }, backup: { interface: "eth1" } } })],
    ["SSH by another address", vs({ port: 22, director: { ...lb, connection: { host: "10.0.2.10" } } })],
    ["a table's size that runs already", dir({ connTabBits: 12 }), onLb(director(table(http)))],
    ["dr to a real server that is its own router", rs(), onLb(director({ route: "192.0.2.21 dev eth1 scope link\n" }))],
    [
        "routes that the host does not say",
        rs({ connection: "web1" }),
        { director: director({ route: "", mtu: "" }), realServer: server({ route: "", sysctl: "" }) },
    ],
    ["a filter that lets it in", vs(), onLb(director(filter(...ours, "tcp dport { 80, 443 } accept")))],
    ["a filter that lets it in by a range", vs(), onLb(director(filter("tcp dport 1-1023 accept")))],
    ["a filter by a named set", vs(), onLb(director(filter(...ours, "tcp dport @open accept")))],
    ["a filter that drops another port", vs(), onLb(director(filter("tcp dport 8080 drop", "accept")))],
    ["iptables that let it in", vs(), onLb(director(input("DROP", "-p tcp -m tcp --dport 80 -j ACCEPT")))],
    ["iptables that drop it of some", vs(), onLb(director(input("ACCEPT", "-s 203.0.113.0/24 -j DROP")))],
    ["iptables with chains of their own", vs(), onLb(director(input("DROP", "-p tcp -j services")))],
    [
        "iptables of another family",
        vs({}, web6),
        onLb(director({ "input.iptables": "iptables\n:INPUT DROP [0:0]\nCOMMIT\n" })),
    ],
    ["a filter with chains of its own", vs(), onLb(director(filter(...ours, "jump services")))],
    [
        "settings that do what a real server needs in another way, or on another interface",
        rs({
            connection: "web1",
            sysctls: {
                "net.ipv4.conf.eth1.arp_ignore": 2,
                "net.ipv4.conf.eth0.arp_ignore": 0,
                "net.ipv4.conf.all.arp_ignore": 0,
                "net.ipv4.conf.all.arp_announce": 2,
                "net.ipv4.conf.eth1.arp_announce": 0,
                "net.ipv4.conf.eth1.rp_filter": 0,
            },
        }),
    ],
    ["a real server's own side left alone, said by defaults", rs({ accept: "address", sysctls: {} }), onLb()],
    [
        "one-packet scheduling of a mark that udp has too",
        vs(
            { onePacket: true, marks: [mark("192.0.2.100", 53), { ...mark("192.0.2.100", 53), protocol: "udp" }] },
            { director: lb, fwmark: 1 },
        ),
    ],
    [
        "sync by the largest messages",
        dir({
            sync: {
                master: { interface: "eth1", maxlen: 65507 },
                backup: { interface: "eth1", group: "ff02::81", maxlen: 65487 },
            },
        }),
    ],
    [
        "a large table on a kernel that has it",
        dir({ connTabBits: 24 }),
        onLb(director({ ...factsWith("release=6.6.1"), parameters: "" })),
    ],
    [
        "a large table that an older kernel shows to have",
        dir({ connTabBits: 24 }),
        onLb(director({ parameters: "ip_vs.conn_tab_bits 24\n" })),
    ],
    [
        "another method after nat, of which both halves are seen",
        rs(),
        onLb(director(table(http, `${httpServer} -m -w 1`))),
    ],
    [
        "another method after tun, where clients are scheduled anew",
        dir({
            sysctls: { "net.ipv4.vs.conn_reuse_mode": 3 },
            virtualServices: { "tcp/192.0.2.100:80": { realServers: { "192.0.2.21": {} } } },
        }),
        onLb(director(table(http, `${httpServer} -i -w 1`))),
    ],
    [
        "another weight by tun",
        rs({ forwarding: "tun", weight: 2 }),
        onLb(director(table(http, `${httpServer} -i -w 1`))),
    ],
    ["no drain at all", vs({ persistence: {}, drain: { timeout: 0 }, realServers: { "192.0.2.21": {} } }), onLb()],
    ["an ipvsadm of Debian's", rs({ weight: 70000 })],
    ["a setting without a text", dir({ sysctls: { "net.ipv4.vs.est_cpulist": "0-3" } })],
    [
        "a host where IPVS is not loaded yet",
        dir({ sysctls: { "net.ipv4.vs.conntrack": 1 } }),
        onLb(director({ sysctl: "net/ipv4/ip_forward:0" })),
    ],
];

test("a loop's remedy is that of the daemons that run", () => {
    const master = backup.replace("backup", "master");
    const remedy = (daemons: string, backupOnly = "0") => {
        const of = vs({ vip: { external: true }, realServers: { "192.0.2.10": {}, "192.0.2.11": {} } });
        const host = director({ "ipvs.daemons": daemons }, { "net.ipv4.vs.backup_only": backupOnly });
        return said(...of, onLb(host)).map(({ message }) => message.replace(/^.*?may come back: /, ""));
    };
    const setting = "set net.ipv4.vs.backup_only to 1";
    const daemon = "have a backup daemon run while the VIP is elsewhere";
    expect(remedy(backup)).toEqual([setting]);
    expect(remedy(master)).toEqual([setting]);
    expect(remedy("")).toEqual([`${setting}, and ${daemon}, without which that setting has no effect`]);
    expect(remedy("", "1")).toEqual([`${daemon}, without which that setting has no effect`]);
    expect(remedy(`${master}${backup}`)).toEqual([
        `${setting}, and ${daemon} and a master daemon where it is: with both and that setting nothing is balanced`,
    ]);
    expect([remedy(backup, "1"), remedy(master, "1")]).toEqual([[], []]);
});

test.each(fine)("nothing is said of %s", (_, [resource, inputs], hosts = everywhere) => {
    expect(said(resource, inputs, hosts)).toEqual([]);
});

describe("by nat", () => {
    const natServer: Inputs = { service: web, address: "10.0.0.21", forwarding: "nat", connection: "web1" };
    const holding = (sections: Record<string, string>) => parseState({ facts: "uid=0", ...sections }, "1 2");
    const realServerHost = holding({
        address: "2: eth0    inet 10.0.0.21/24 brd 10.0.0.255 scope global eth0",
        route: "default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.21",
    });
    const about = (director: HostState) =>
        realServerResource
            .parts(parseInputs(realServerResource.schema, { owner, ...natServer }).value)
            .filter((part) => part.role === "realServer")
            .flatMap((part) => part.findings(realServerHost, director))
            .map(({ code }) => code);

    test("a gateway that is the director says nothing, another one is told", () => {
        expect(about(holding({ address: "2: eth1    inet 10.0.0.1/24 scope global eth1" }))).toEqual([]);
        expect(about(holding({ address: "2: eth1    inet 10.0.0.10/24 scope global eth1" }))).toEqual([
            "LVS-NAT-RETURN",
        ]);
    });

    const masquerading = (source: string, destination?: string) =>
        holding({
            address: "2: eth1    inet 10.0.0.10/24 scope global eth1",
            nft: `table inet pulumi_lvs {\n\tchain postrouting_masquerade {\n\t\tip saddr ${source}${destination === undefined ? "" : ` ip daddr ${destination}`} masquerade comment "${source} ${destination ?? "0.0.0.0/0"}"\n\t}\n}\n`,
        });

    test.each([
        ["everybody", "0.0.0.0/0", undefined],
        ["the network of the VIP", "192.0.2.0/24", undefined],
        ["some network towards the real servers", "172.16.0.0/12", "10.0.0.0/24"],
    ])("a director that masquerades %s says nothing", (_, source, destination) => {
        expect(about(masquerading(source, destination))).toEqual([]);
    });

    test.each([
        ["the real servers on their way out", "10.0.0.0/24", undefined],
        ["a network that has nothing to do with it", "172.16.0.0/12", undefined],
        ["everybody on the way elsewhere", "0.0.0.0/0", "172.16.0.0/12"],
    ])("one that masquerades %s is told", (_, source, destination) => {
        expect(about(masquerading(source, destination))).toEqual(["LVS-NAT-RETURN"]);
    });
});

describe("the table of codes", () => {
    const root = join(__dirname, "../../..");
    const names = Object.keys(codes).sort();

    test("holds every code that the sources say, and no other", () => {
        const files = readdirSync(join(root, "provider"), { recursive: true, encoding: "utf8" }).filter(
            (name) => name.endsWith(".ts") && name !== join("checks", "codes.ts"),
        );
        const text = files.map((name) => readFileSync(join(root, "provider", name), "utf8")).join("\n");
        expect([...new Set([...text.matchAll(/"(LVS-[A-Z0-9-]+)"/g)].map(([, code]) => code))].sort()).toEqual(names);
    });

    test("has a page for every code, with its severity and moment, and no other page", () => {
        const directory = join(root, "docs/checks");
        const pages = existsSync(directory) ? readdirSync(directory) : [];
        expect(pages.sort()).toEqual(names.map((name) => `${name}.md`).sort());
        for (const [code, { severity, moment, title }] of Object.entries(codes)) {
            const page = readFileSync(join(directory, `${code}.md`), "utf8");
            expect(page.split("\n").slice(0, 3)).toEqual([`# ${code}: ${title}`, "", `${severity} · ${moment}`]);
        }
    });
});
