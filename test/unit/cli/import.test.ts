/** `lvs import`: what is written declares what the kernel holds, and nothing else. */
import { transformSync } from "@swc/core";
import * as fc from "fast-check";
import { type Imported, imported } from "../../../cli/imported";
import { program, topology } from "../../../cli/listings";
import { parseInputs } from "../../../provider/inputs/parse";
import { destinationValue, realServerSchema } from "../../../provider/inputs/realServer";
import { identityOf } from "../../../provider/inputs/reference";
import { serviceValue, virtualServiceSchema } from "../../../provider/inputs/service";
import { canonicalJson, destinationKey, parseDestinationKey, serviceKey } from "../../../provider/ipvs/model";
import { addDestination, addService } from "../../../provider/ipvs/render";
import { fileName, type LedgerFile, renderLedger } from "../../../provider/reconcile/ledger";
import type { HostState } from "../../../provider/reconcile/state";
import { portOf } from "../../../provider/resources/realServer";
import { program as topologyProgram } from "../../../topology/program";
import { type RandomTable, tables } from "../ipvs/arbitraries";
import { type Registered, run } from "../sdk/program";
import { directorOf, type Sections } from "./director";

/** What Pulumi itself reads a stack's file with. */
const { load } = require("js-yaml") as { load(text: string): unknown };

const hosts = { lb1: { host: "192.0.2.10" } };

/** What the program's text registers. */
async function registeredBy(text: string): Promise<Registered[]> {
    const { code } = transformSync(text, {
        configFile: false,
        swcrc: false,
        jsc: { parser: { syntax: "typescript" }, target: "es2022" },
        module: { type: "commonjs" },
    });
    const main = new Function("require", "exports", code) as (load: unknown, exports: object) => void;
    return Object.values(await run(() => main(require, {})));
}

/** What the topology project registers, given the config. */
async function registeredByTopology(text: string): Promise<Registered[]> {
    const { config } = load(text) as { config: Record<string, unknown> };
    expect(config["lvs:hosts"]).toEqual(hosts);
    const settings = { "lvs:topology": JSON.stringify(config["lvs:topology"]) };
    return Object.values(await run(topologyProgram, { config: settings }));
}

/** The table that resources declare, each by the provider's own reading of its inputs. */
function tableOf(registered: Registered[]): RandomTable {
    const table: RandomTable = { services: new Map(), destinations: new Map() };
    for (const { type, inputs } of registered) {
        if (type.endsWith(":VirtualService")) {
            const { value, failures } = parseInputs(virtualServiceSchema, inputs);
            expect(failures).toEqual([]);
            table.services.set(serviceKey(identityOf(value)), serviceValue(identityOf(value), value));
        }
        if (type.endsWith(":RealServer")) {
            const { value, failures } = parseInputs(realServerSchema, inputs);
            expect(failures).toEqual([]);
            const key = destinationKey(serviceKey(identityOf(value.service)), value.address, portOf(value));
            table.destinations.set(key, destinationValue(value));
        }
    }
    return table;
}

const plain = ({ services, destinations }: RandomTable) =>
    canonicalJson({ services: Object.fromEntries(services), destinations: Object.fromEntries(destinations) });

const commandsOf = (table: RandomTable) => [
    ...[...table.services].map(([key, value]) => addService(key, value)),
    ...[...table.destinations].map(([key, value]) => addDestination(key, value)),
];

/** The resources of a topology as the SDK would register them, without it. */
function resourcesOf({ director, services, realServers }: Imported): Registered[] {
    const reference = { name: "lb1", ...director.fields };
    const register = (type: string, inputs: Record<string, unknown>): Registered => ({
        type: `lvs:${type}`,
        name: "",
        inputs: { ...inputs, owner: "acme/shop/prod#x/y" },
        dependsOn: [],
    });
    return [
        ...services.map(({ fields }) => register("VirtualService", { ...fields, director: reference })),
        ...realServers.flatMap((server) =>
            server.services.map(({ service }) => {
                const { fields } = services.find(({ name }) => name === service)!;
                return register("RealServer", { ...server.fields, service: { ...fields, director: reference } });
            }),
        ),
    ];
}

/** Tables that a program may declare: a VIP is no real server of its own service. */
const declarable = tables.filter(({ destinations }) =>
    [...destinations.keys()]
        .map((key) => parseDestinationKey(key))
        .every(({ service, address }) => !service.includes(address)),
);

describe("any table comes over whole", () => {
    const forms: [string, number, (found: Imported) => Promise<Registered[]>][] = [
        ["as values", 100, async (found) => resourcesOf(found)],
        ["as a program", 5, (found) => registeredBy(program(found, hosts, "lb1:22"))],
        ["as a topology", 5, (found) => registeredByTopology(topology(found, hosts, "lb1:22"))],
    ];
    test.each(forms)("%s", async (_, numRuns, registered) => {
        await fc.assert(
            fc.asyncProperty(declarable, async (table) => {
                const found = imported("lb1", directorOf(commandsOf(table)));
                expect([...found.services, ...found.realServers].flatMap(({ obstacles }) => obstacles)).toEqual([]);
                expect(plain(tableOf(await registered(found)))).toBe(plain(table));
            }),
            { numRuns },
        );
    });
});

const WEB = "-A -t 192.0.2.100:80 -s wlc\n-a -t 192.0.2.100:80 -r 192.0.2.21:80 -g -w 1";

function of(table: string, more: Sections = {}) {
    const found = imported("lb1", directorOf(table, more));
    const [service] = found.services;
    const [server] = found.realServers;
    return { found, director: found.director, service: service!, server: server! };
}

test("a VIP is where the host has it, and otherwise somebody else brings it", () => {
    const here = of(WEB, { addresses: ["eth0 192.0.2.10/24", "eth1 192.0.2.100/32"] });
    expect(here.director.fields).toMatchObject({ interface: "eth1" });
    expect(here.service.fields).not.toHaveProperty("vip");
    for (const addresses of [["eth0 192.0.2.10/24"], ["eth0 192.0.2.100/24"]]) {
        const away = of(WEB, { addresses });
        expect(away.director.fields).not.toHaveProperty("interface");
        expect(away.service.fields).toMatchObject({ vip: { external: true } });
        expect(away.service.notes).toHaveLength(1);
    }
});

test("most VIPs' interface is the director's, another one the service's", () => {
    const table = ["192.0.2.100", "192.0.2.101", "192.0.2.102"].map((vip) => `-A -t ${vip}:80 -s rr`).join("\n");
    const addresses = ["eth0 192.0.2.101/32", "eth1 192.0.2.100/32", "eth1 192.0.2.102/32"];
    const { found } = of(table, { addresses });
    expect(found.director.fields).toMatchObject({ interface: "eth1" });
    expect(found.services.map(({ fields }) => fields["vip"])).toEqual([undefined, { interface: "eth0" }, undefined]);
});

test("an IPv6 VIP that may be a source address is left as it is", () => {
    const table = "-A -t [2001:db8::1]:80 -s rr";
    expect(of(table, { addresses: ["eth0 2001:db8::1/128"] }).service.fields).toMatchObject({
        vip: { external: true },
    });
    expect(of(table, { addresses: ["eth0 2001:db8::1/128 deprecated"] }).director.fields).toMatchObject({
        interface: "eth0",
    });
});

test("beside keepalived VIPs are its own, weights are left to it, and the top says what to do", () => {
    const { found, service, server } = of(WEB, {
        addresses: ["eth0 192.0.2.100/32"],
        facts: ["checker=keepalived", "checking=keepalived"],
    });
    expect(service.fields).toMatchObject({ vip: { external: true } });
    expect(server.fields).toMatchObject({ keepWeight: true });
    expect(found.notes[0]).toMatch(/^WARNING: keepalived runs on this host/);
});

test("a cluster's proxy on the same table is told first", () => {
    const { found } = of(WEB, { facts: ["keeper=kube-router"] });
    expect(found.notes[0]).toMatch(/^WARNING: kube-router keeps this host's IPVS table.*--excluded-cidrs/);
});

test("what is the kernel's own is left out, and the rest of the whole host comes over", () => {
    expect(of(WEB).director.fields).toEqual({ connection: "lb1", adopt: true });
    const { director } = of(WEB.replace("-g", "-m"), {
        sysctls: { "net/ipv4/vs/expire_nodest_conn": "1", "net/ipv4/vs/conntrack": "0" },
        parameters: ["ip_vs.conn_tab_bits 20", "ip_vs_ftp.ports 21,2121,0,0"],
        timeouts: "Timeout (tcp tcpfin udp): 900 60 300",
        daemons: "master sync daemon (mcast=eth1, syncid=3, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)",
    });
    expect(director.fields).toEqual({
        connection: "lb1",
        ipForward: true,
        sysctls: { "net.ipv4.vs.expire_nodest_conn": "1" },
        timeouts: { tcpfin: 60 },
        connTabBits: 20,
        sync: { master: { interface: "eth1", syncid: 3, maxlen: 1472 } },
        ftp: { ports: [21, 2121] },
        adopt: true,
    });
});

test("a host without systemd is told so", () => {
    const state = directorOf(WEB);
    const without = {
        ...state,
        probe: { section: (name: string) => state.probe.section(name).replace("tool.systemctl=yes", "") },
    };
    expect(imported("lb1", without).director.fields).toMatchObject({ persistAcrossReboot: false });
});

describe("what cannot be declared stands in comments, with the reason", () => {
    const aside: [string, string, Sections, RegExp][] = [
        [
            "a service that takes our own SSH",
            "-A -t 192.0.2.10:22 -s rr",
            { facts: ["ssh=192.0.2.10 22"] },
            /^LVS-OWN-SSH: /,
        ],
        [
            "an engine without persistence",
            "-A -u 192.0.2.100:5060 -s rr --pe sip",
            {},
            /^persistence\.timeout expected/,
        ],
        [
            "nat where forwarding is off",
            WEB.replace("-g", "-m"),
            { sysctls: { "net/ipv4/ip_forward": "0" } },
            /^up would set ipv4 forwarding to/,
        ],
    ];
    test.each(aside)("%s", async (_, table, more, why) => {
        const { found } = of(table, more);
        const all = [...found.services, ...found.realServers];
        const [entry] = all.filter(({ obstacles }) => obstacles.length > 0);
        expect(entry?.obstacles[0]).toMatch(why);
        const live = all.length - 1;
        const counted = (list: Registered[]) =>
            list.filter(({ type }) => /:(VirtualService|RealServer)$/.test(type)).length;
        for (const text of [program(found, hosts, "lb1"), topology(found, hosts, "lb1")]) {
            const registered = text.startsWith("//") ? registeredBy(text) : registeredByTopology(text);
            expect(counted(await registered)).toBe(live);
            expect(text).toMatch(/(\/\/|#) 1 of the entries below stand in comments/);
        }
    });

    test("a director, with all that is on it, and what is written declares nothing", async () => {
        const found = imported("lb1", directorOf(WEB, { timeouts: "Timeout (tcp tcpfin udp): 0 120 300" }));
        expect(found.director.obstacles[0]).toMatch(/^timeouts\.tcp /);
        expect([found.services, found.realServers].flat().map(({ obstacles }) => obstacles)).toEqual([
            ["its director stands in comments"],
            ["its service stands in comments"],
        ]);
        expect(await registeredBy(program(found, hosts, "lb1"))).toEqual([]);
        await expect(registeredByTopology(topology(found, hosts, "lb1"))).rejects.toThrow(/at least one director/);
    });

    test("a real server of such a service too", () => {
        const { server } = of(WEB.replaceAll(":80", ":22"), { facts: ["ssh=192.0.2.100 22"] });
        expect(server.obstacles).toEqual(["its service stands in comments"]);
    });
});

function claimed(kind: string, key: string): Record<string, string> {
    const who = { owner: "acme/shop/prod#VirtualService/web", id: `lb1/${key}` };
    const file: LedgerFile = {
        ...who,
        ...{ token: "t", sequence: 1, machine: "m1 u1", boot: true, maintenance: [] },
        claims: [{ rank: 70, kind, key, value: null, found: { state: "absent" }, command: "" }],
    };
    return { [fileName(who)]: renderLedger(file) };
}

test("another stack's service is left out with its real servers, and its owner named", () => {
    const { found } = of(`${WEB}\n-A -t 192.0.2.100:443 -s rr`, { ledger: claimed("service", "tcp/192.0.2.100:80") });
    expect(found.services.map(({ name }) => name)).toEqual(["tcp-192-0-2-100-443"]);
    expect(found.realServers.map(({ obstacles }) => obstacles)).toEqual([
        ["its service is VirtualService/web of acme/shop/prod's"],
    ]);
    expect(found.notes).toEqual([
        "Left out: virtual service tcp/192.0.2.100:80, which is VirtualService/web of acme/shop/prod's.",
    ]);
});

test("another stack's sync daemon is left out, and its owner named", () => {
    const daemons = "backup sync daemon (mcast=eth1, syncid=3, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)";
    const { director } = of(WEB, { daemons, ledger: claimed("sync", "backup") });
    expect(director.fields).not.toHaveProperty("sync");
    expect(director.notes[0]).toContain("VirtualService/web of acme/shop/prod");
});

describe("a real server's own side", () => {
    const right: Sections = {
        addresses: ["eth0 192.0.2.21/24", "lo 192.0.2.100/32"],
        sysctls: { "net/ipv4/conf/eth0/arp_ignore": "1", "net/ipv4/conf/eth0/arp_announce": "2" },
    };
    const withServer = (sections: Sections) =>
        imported("lb1", directorOf(WEB), [{ name: "web1", state: serverOf(sections) }]);
    const serverOf = (sections: Sections): HostState => directorOf("", sections);

    test("comes over where it is right", () => {
        const [server] = withServer(right).realServers;
        expect(server).toMatchObject({ name: "web1", fields: { connection: "web1" }, notes: [] });
    });
    test("comes over with the device that holds the VIP", () => {
        const [server] = withServer({
            ...right,
            addresses: ["eth0 192.0.2.21/24", "dummy0 192.0.2.100/32"],
            link: "3: dummy0: <BROADCAST,NOARP,UP,LOWER_UP> mtu 1500\\    link/ether 02:00:00:00:00:01\\    dummy numtxqueues 1",
        }).realServers;
        expect(server!.fields).toMatchObject({ connection: "web1", device: "dummy0" });
    });
    test("is left alone where up would change it, and that is said", () => {
        const [server] = withServer({ ...right, sysctls: {} }).realServers;
        expect(server!.fields).not.toHaveProperty("connection");
        expect(server!.notes[0]).toContain("up would set sysctl net.ipv4.conf.eth0.arp_ignore to 1; it is nothing");
    });
    test("of a host that is none of them is said to be left out", () => {
        expect(withServer({ addresses: ["eth0 192.0.2.99/24"] }).notes).toEqual([
            "web1 holds none of the real servers' addresses: it is left out.",
        ]);
    });
});

test("a real server that is alike in two services is one entry of a topology, and two resources", () => {
    const { found } = of(`${WEB}\n${WEB.replaceAll(":80", ":443")}`);
    expect(found.realServers).toMatchObject([
        {
            name: "192-0-2-21",
            services: [
                { service: "tcp-192-0-2-100-80", name: "192-0-2-21-tcp-192-0-2-100-80" },
                { service: "tcp-192-0-2-100-443", name: "192-0-2-21-tcp-192-0-2-100-443" },
            ],
        },
    ]);
});

test("what a host says of itself cannot leave its comment", async () => {
    const { found } = of(WEB);
    found.notes.push('a\u2028new Function("x")()\nthrow 1');
    const text = program(found, hosts, "lb1\nthrow 2");
    expect(await registeredBy(text)).toHaveLength(3);
});
