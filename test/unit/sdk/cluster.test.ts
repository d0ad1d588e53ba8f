import * as pulumi from "@pulumi/pulumi";
import * as lvs from "../../../sdk";
import { type Registered, run } from "./program";

const identity = { protocol: "tcp", address: "192.0.2.100", port: 80 } as const;
const dns = { protocol: "udp", address: "192.0.2.100", port: 53 } as const;

const one: lvs.LvsClusterArgs = {
    directors: { lb1: { connection: "lb1", interface: "eth0" } },
    services: { web: { ...identity, scheduler: "wrr" } },
    realServers: {
        web1: { address: "192.0.2.21", weight: 2, connection: "web1" },
        web2: { address: "192.0.2.22", connection: "web2" },
    },
};
const two: lvs.LvsClusterArgs = {
    directors: { lb1: { connection: "lb1" }, lb2: { connection: "lb2" } },
    services: {
        web: { ...identity, vip: { external: true } },
        dns: { ...dns, director: "lb2" },
    },
    realServers: {
        web1: { address: "192.0.2.21", service: "web" },
        both: { address: "192.0.2.22" },
        named: { address: "192.0.2.23", services: ["dns", "web"] },
    },
};

const names = (registered: Record<string, Registered>) => Object.keys(registered).sort();

test("every service on its directors, every real server in its services", async () => {
    const registered = await run(() => new lvs.LvsCluster("edge", two));
    expect(names(registered)).toEqual(
        [
            "Director edge-lb1",
            "Director edge-lb2",
            "LvsCluster edge",
            "VirtualService edge-web-lb1",
            "VirtualService edge-web-lb2",
            "VirtualService edge-dns-lb2",
            "RealServer edge-web1-web-lb1",
            "RealServer edge-web1-web-lb2",
            "RealServer edge-both-web-lb1",
            "RealServer edge-both-web-lb2",
            "RealServer edge-both-dns-lb2",
            "RealServer edge-named-dns-lb2",
            "RealServer edge-named-web-lb1",
            "RealServer edge-named-web-lb2",
        ].sort(),
    );
    expect(registered["LvsCluster edge"]!.type).toBe("pulumi-lvs:index:LvsCluster");
});

test("children are the component's, and have exactly what was said", async () => {
    const registered = await run(() => new lvs.LvsCluster("edge", one));
    const { __provider: _, ...inputs } = registered["RealServer edge-web1-web-lb1"]!.inputs;
    expect(inputs).toEqual({
        service: { director: { name: "lb1", connection: "lb1" }, ...identity },
        address: "192.0.2.21",
        weight: 2,
        connection: "web1",
        owner: "acme/shop/prod#pulumi-lvs:index:LvsCluster$RealServer/edge-web1-web-lb1",
    });
    expect(registered["VirtualService edge-web-lb1"]!.inputs).toMatchObject({ scheduler: "wrr" });
    expect(registered["VirtualService edge-web-lb1"]!.inputs).not.toHaveProperty("directors");
});

test("a second director and a second service rename nothing", async () => {
    const before = await run(() => new lvs.LvsCluster("edge", one));
    const after = await run(
        () =>
            new lvs.LvsCluster("edge", {
                ...one,
                directors: { ...one.directors, lb2: { connection: "lb2" } },
                services: { ...one.services, dns },
            }),
    );
    for (const [key, { inputs }] of Object.entries(before)) expect(after[key]?.inputs).toEqual(inputs);
});

test("values may be Outputs", async () => {
    const registered = await run(
        () =>
            new lvs.LvsCluster("edge", {
                ...one,
                services: { web: { ...identity, address: pulumi.output("192.0.2.101") } },
            }),
    );
    expect(registered["RealServer edge-web1-web-lb1"]!.inputs["service"]).toMatchObject({ address: "192.0.2.101" });
});

test("the children are at hand by name", async () => {
    await run(() => {
        const cluster = new lvs.LvsCluster("edge", two);
        expect(Object.keys(cluster.directors)).toEqual(["lb1", "lb2"]);
        expect(cluster.services["web"]!["lb2"]).toBeInstanceOf(lvs.VirtualService);
        expect(Object.keys(cluster.services["dns"]!)).toEqual(["lb2"]);
        expect(cluster.realServers["both"]!["web"]!["lb1"]).toBeInstanceOf(lvs.RealServer);
    });
});

test("the arguments are not changed", async () => {
    const args = structuredClone(two);
    await run(() => new lvs.LvsCluster("edge", args));
    expect(args).toEqual(two);
});

const web = { ...identity };
test.each<[string, unknown, string[]]>([
    ["no map", "lb1", ["expected a map with directors, services and realServers"]],
    ["no directors", {}, ["directors: is required"]],
    ["not one director", { directors: {} }, ["directors: must name at least one director"]],
    ["a list", { directors: [{ connection: "lb1" }] }, ["directors: expected a map by name"]],
    ["a director that is a text", { directors: { lb1: "lb1" } }, ["directors.lb1: expected a map of its fields"]],
    [
        "a misspelt part",
        { directors: one.directors, realservers: {} },
        ["realservers: is not known here; known are directors, services, realServers"],
    ],
    [
        "a service on no director",
        { directors: one.directors, services: { web: { ...web, director: "lb9" } } },
        ['services.web.director: there is no director "lb9"; known are lb1'],
    ],
    [
        "several mistakes",
        {
            directors: one.directors,
            services: { web: { ...web, directors: ["lb1", "lb8", 5] } },
            realServers: {
                web1: { address: "192.0.2.21", service: "wob" },
                web2: { address: "192.0.2.22", services: [] },
            },
        },
        [
            'services.web.directors[1]: there is no director "lb8"; known are lb1',
            "services.web.directors[2]: expected the name of a director, as plain text",
            'realServers.web1.service: there is no service "wob"; known are web',
            "realServers.web2.services: expected a list of at least one name",
        ],
    ],
    [
        "one by both names",
        { directors: one.directors, services: { web: { ...web, director: "lb1", directors: ["lb1"] } } },
        ["services.web.directors: director is given too; name one by director, or several by directors"],
    ],
    [
        "one twice",
        { directors: one.directors, services: { web: { ...web, directors: ["lb1", "lb1"] } } },
        ['services.web.directors[1]: "lb1" is named twice'],
    ],
    [
        "a real server without services",
        { directors: one.directors, realServers: { web1: { address: "192.0.2.21", service: "web" } } },
        ['realServers.web1.service: there is no service "web"; services is empty'],
    ],
    [
        "two that would have one name",
        {
            directors: { b: { connection: "b" }, "a-b": { connection: "ab" } },
            services: { "web-a": { ...web, director: "b" }, web: { ...web, director: "a-b" } },
        },
        ['services: two of them would be called "edge-web-a-b"; rename one'],
    ],
])("%s: said with its path, and nothing is registered", async (_, args, lines) => {
    const registered = await run(() => {
        expect(() => new lvs.LvsCluster("edge", args as lvs.LvsClusterArgs)).toThrow(
            new pulumi.RunError(lines.map((line) => `LvsCluster edge: ${line}`).join("\n")),
        );
    });
    expect(registered).toEqual({});
});
