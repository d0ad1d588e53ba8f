import * as pulumi from "@pulumi/pulumi";
import { shim } from "../../../provider/dynamic/shim";
import { directorSchema } from "../../../provider/inputs/director";
import { parseInputs, UNKNOWN } from "../../../provider/inputs/parse";
import { realServerSchema } from "../../../provider/inputs/realServer";
import { virtualServiceSchema } from "../../../provider/inputs/service";
import * as lvs from "../../../sdk";
import { directorFields } from "../../../sdk/director";
import { realServerFields } from "../../../sdk/realServer";
import { virtualServiceFields } from "../../../sdk/virtualService";
import { run } from "./program";

const identity = { protocol: "tcp", address: "192.0.2.100", port: 80 } as const;
const owned = (rest: string) => `acme/shop/prod#${rest}`;

/** The program of the README. */
function farm(): { lb: lvs.Director; web: lvs.VirtualService; web1: lvs.RealServer } {
    const lb = new lvs.Director("lb1", { connection: "lb1", interface: "eth0" });
    const web = new lvs.VirtualService("web", {
        director: lb,
        ...identity,
        scheduler: "wlc",
        persistence: { timeout: 300 },
    });
    const web1 = new lvs.RealServer("web1", {
        service: web,
        address: "192.0.2.21",
        forwarding: "dr",
        weight: 2,
        connection: "web1",
    });
    return { lb, web, web1 };
}

describe("what is registered", () => {
    test.each([true, false])("exactly what was said, and who says it (preview: %s)", async (preview) => {
        const registered = await run(farm, { preview });
        expect(Object.values(registered).map(({ type, name, inputs }) => ({ type, name, inputs }))).toEqual([
            {
                type: "pulumi-nodejs:dynamic/lvs:Director",
                name: "lb1",
                inputs: {
                    connection: "lb1",
                    name: "lb1",
                    interface: "eth0",
                    owner: owned("Director/lb1"),
                    __provider: shim.Director,
                },
            },
            {
                type: "pulumi-nodejs:dynamic/lvs:VirtualService",
                name: "web",
                inputs: {
                    director: { name: "lb1", connection: "lb1", interface: "eth0" },
                    ...identity,
                    scheduler: "wlc",
                    persistence: { timeout: 300 },
                    owner: owned("VirtualService/web"),
                    __provider: shim.VirtualService,
                },
            },
            {
                type: "pulumi-nodejs:dynamic/lvs:RealServer",
                name: "web1",
                inputs: {
                    service: { director: { name: "lb1", connection: "lb1" }, ...identity },
                    address: "192.0.2.21",
                    forwarding: "dr",
                    weight: 2,
                    connection: "web1",
                    owner: owned("RealServer/web1"),
                    __provider: shim.RealServer,
                },
            },
        ]);
    });

    test("the provider takes it", async () => {
        const registered = await run(farm);
        const check = (schema: unknown, key: string) =>
            parseInputs(schema as never, registered[key]!.inputs as Record<string, unknown>);
        expect(check(directorSchema, "Director lb1")).toMatchObject({ failures: [], unknown: false });
        expect(check(virtualServiceSchema, "VirtualService web")).toMatchObject({ failures: [], unknown: false });
        expect(check(realServerSchema, "RealServer web1")).toMatchObject({ failures: [], unknown: false });
    });

    test("a service waits for its director, a real server for both", async () => {
        const registered = await run(farm);
        expect(registered["VirtualService web"]!.dependsOn).toEqual(["lb1"]);
        expect(registered["RealServer web1"]!.dependsOn.sort()).toEqual(["lb1", "web"]);
    });

    test("a director that does not come back after a reboot says so to its services and real servers", async () => {
        const registered = await run(() => {
            const director = new lvs.Director("lb1", { connection: "lb1", persistAcrossReboot: false });
            const service = new lvs.VirtualService("web", { director, fwmark: 7, family: "ipv6", marks: [identity] });
            new lvs.RealServer("web1", { service, address: "2001:db8::21" });
        });
        const director = { name: "lb1", connection: "lb1", persistAcrossReboot: false };
        expect(registered["VirtualService web"]!.inputs["director"]).toEqual(director);
        expect(registered["RealServer web1"]!.inputs["service"]).toEqual({
            director,
            fwmark: 7,
            family: "ipv6",
            marks: [identity],
        });
    });

    test("a real server costs few bytes: inputs and outputs together at most 800", async () => {
        const { "RealServer web1": one } = await run(farm);
        const { inputs } = one!;
        const outputs = { ...inputs, token: "0123456789ab", kernel: { release: "6.1.0-28-cloud-amd64" }, schema: 1 };
        expect(JSON.stringify(inputs).length + JSON.stringify(outputs).length).toBeLessThanOrEqual(800);
    });

    test("plain data stand for a director and a service; what is more in it is left out", async () => {
        const registered = await run(() => {
            const director = {
                name: "lb1",
                connection: "lb1",
                interface: "eth0",
                kernel: { release: "6.1" },
                token: "0",
            };
            new lvs.VirtualService("web", { director, ...identity });
            const service = { director, ...identity, scheduler: "wlc", owner: "other/shop/prod#VirtualService/web" };
            new lvs.RealServer("web1", { service, address: "192.0.2.21" });
        });
        const director = { name: "lb1", connection: "lb1", interface: "eth0" };
        const { interface: _, ...seen } = director;
        expect(registered["VirtualService web"]!.inputs["director"]).toEqual(director);
        expect(registered["RealServer web1"]!.inputs["service"]).toEqual({ director: seen, ...identity });
    });

    test("an Output of plain data, as a stack reference gives it", async () => {
        const registered = await run(() => {
            const director = pulumi.output({ name: "lb1", connection: "lb1", interface: "eth0", token: "0" });
            new lvs.VirtualService("web", { director, ...identity });
            new lvs.RealServer("web1", { service: pulumi.output({ director, ...identity }), address: "192.0.2.21" });
            new lvs.RealServer("web2", { service: { director, ...identity }, address: "192.0.2.22" });
        });
        const service = { director: { name: "lb1", connection: "lb1" }, ...identity };
        expect(registered["VirtualService web"]!.inputs["director"]).toEqual({
            ...service.director,
            interface: "eth0",
        });
        expect(registered["RealServer web1"]!.inputs["service"]).toEqual(service);
        expect(registered["RealServer web2"]!.inputs["service"]).toEqual(service);
    });

    test("a misspelt argument reaches the check, which names it", async () => {
        const registered = await run(
            () => new lvs.Director("lb1", { connection: "lb1", interfce: "eth0" } as lvs.DirectorArgs),
        );
        expect(parseInputs(directorSchema as never, registered["Director lb1"]!.inputs).failures).toEqual([
            { property: "interfce", reason: "is not known here; did you mean `interface`?" },
        ]);
    });

    test("an input that is missing is one failure", async () => {
        const registered = await run(() => {
            new lvs.Director("lb1", {} as lvs.DirectorArgs);
            new lvs.VirtualService("web", { ...identity } as lvs.VirtualServiceArgs);
            new lvs.RealServer("web1", { address: "192.0.2.21" } as lvs.RealServerArgs);
        });
        const failures = (schema: unknown, key: string) =>
            parseInputs(schema as never, registered[key]!.inputs as Record<string, unknown>).failures;
        expect(failures(directorSchema, "Director lb1")).toEqual([{ property: "connection", reason: "is required" }]);
        expect(failures(virtualServiceSchema, "VirtualService web")).toEqual([
            { property: "director", reason: "is required" },
        ]);
        expect(failures(realServerSchema, "RealServer web1")).toEqual([{ property: "service", reason: "is required" }]);
    });

    test("another resource in the place of a director is refused by the check", async () => {
        const registered = await run(() => {
            const service = new lvs.VirtualService("web", { director: { connection: "lb1" }, ...identity });
            new lvs.VirtualService("api", { director: service as never, ...identity });
        });
        const { failures } = parseInputs(virtualServiceSchema as never, registered["VirtualService api"]!.inputs);
        expect(failures.map(({ property }) => property)).toContain("director.connection");
    });
});

describe("the properties of a resource", () => {
    test("are its inputs, given or not, and what the provider writes", async () => {
        const outputs = { token: "0123456789ab", kernel: { release: "6.1" }, schema: 1 };
        await run(
            async () => {
                const { lb, web, web1 } = farm();
                const values = await new Promise<unknown[]>((resolve) => {
                    pulumi
                        .all([
                            lb.kernel,
                            lb.token,
                            lb.interface,
                            lb.sync,
                            lb.drift,
                            web.scheduler,
                            web1.kernel,
                            web1.weight,
                        ])
                        .apply(resolve);
                });
                expect(values).toEqual([
                    outputs.kernel,
                    outputs.token,
                    "eth0",
                    undefined,
                    undefined,
                    "wlc",
                    outputs.kernel,
                    2,
                ]);
                for (const [resource, names] of [
                    [lb, [...directorFields, "owner", "drift", "token", "schema", "kernel"]],
                    [web, [...virtualServiceFields, "owner", "drift", "token", "schema"]],
                    [web1, [...realServerFields, "owner", "drift", "token", "schema", "kernel"]],
                ] as const) {
                    expect(names.filter((name) => !pulumi.Output.isInstance((resource as never)[name]))).toEqual([]);
                }
            },
            { outputs },
        );
    });

    test("are all inputs that the provider knows", () => {
        const namesOf = (schema: unknown): string[] => {
            const { def } = (schema as { _zod: { def: { in?: unknown; shape?: object } } })._zod;
            return def.shape === undefined ? namesOf(def.in) : Object.keys(def.shape);
        };
        expect([...directorFields, "owner"].sort()).toEqual(namesOf(directorSchema).sort());
        expect([...virtualServiceFields, "owner"].sort()).toEqual(namesOf(virtualServiceSchema).sort());
        expect([...realServerFields, "owner"].sort()).toEqual(namesOf(realServerSchema).sort());
    });
});

describe("values that are not known yet", () => {
    const later = <T>() => pulumi.output(pulumi.unknown) as unknown as pulumi.Output<T>;

    test("make nothing else unknown", async () => {
        const registered = await run(
            () => {
                const director = new lvs.Director("lb1", { connection: "lb1", interface: later() });
                const service = new lvs.VirtualService("web", { director, ...identity, address: later<string>() });
                new lvs.RealServer("web1", { service, address: "192.0.2.21" });
            },
            { preview: true },
        );
        expect(registered["VirtualService web"]!.inputs).toMatchObject({
            director: { name: "lb1", connection: "lb1", interface: UNKNOWN },
            ...identity,
            address: UNKNOWN,
        });
        expect(registered["RealServer web1"]!.inputs["service"]).toEqual({
            director: { name: "lb1", connection: "lb1" },
            ...identity,
            address: UNKNOWN,
        });
    });

    test("a connection that is not known makes the name unknown, and no owner", async () => {
        const registered = await run(
            () => {
                const director = new lvs.Director("lb1", { connection: { host: later<string>() } });
                new lvs.VirtualService("web", { director, ...identity });
            },
            { preview: true },
        );
        expect(registered["Director lb1"]!.inputs).toEqual({
            connection: { host: UNKNOWN },
            name: UNKNOWN,
            owner: owned("Director/lb1"),
            __provider: shim.Director,
        });
        for (const [key, schema] of [
            ["Director lb1", directorSchema],
            ["VirtualService web", virtualServiceSchema],
        ] as const) {
            expect(parseInputs(schema as never, registered[key]!.inputs)).toMatchObject({
                failures: [],
                unknown: true,
            });
        }
    });

    test("what is not given is not told to others, although its property is unknown in a preview", async () => {
        const registered = await run(farm, { preview: true });
        expect(JSON.stringify(Object.values(registered).map(({ inputs }) => inputs))).not.toContain(UNKNOWN);
    });
});

describe("a director's name", () => {
    const nameFor = async (connection: lvs.DirectorArgs["connection"], name?: string) => {
        const registered = await run(() => new lvs.Director("the-resource", { connection, ...(name && { name }) }));
        return registered["Director the-resource"]!.inputs["name"];
    };

    test.each<[lvs.DirectorArgs["connection"], string]>([
        ["lb1", "lb1"],
        [pulumi.output("lb1"), "lb1"],
        [Promise.resolve("lb1"), "lb1"],
        ["our lb #1", "our-lb-1"],
        [{ host: "lb1.example.com" }, "lb1.example.com"],
        [{ host: "lb1.example.com", port: 22 }, "lb1.example.com"],
        [{ host: "lb1.example.com", port: 2222 }, "lb1.example.com:2222"],
        [{ host: "2001:db8::1", port: 2222 }, "[2001:db8::1]:2222"],
        [{ host: pulumi.output("lb1"), port: Promise.resolve(2222) }, "lb1:2222"],
        [pulumi.output({ host: "lb1", port: 2222 }), "lb1:2222"],
        [{} as lvs.ConnectionArgs, "the-resource"],
    ])("of %j is %j", async (connection, name) => {
        expect(await nameFor(connection)).toBe(name);
    });

    test("is the one that is given", async () => {
        expect(await nameFor("lb1", "edge")).toBe("edge");
    });
});

describe("secrets", () => {
    const key = "-----BEGIN OPENSSH PRIVATE KEY-----\n…\n";

    test("of a connection are marked, each by itself", async () => {
        const registered = await run(
            () =>
                new lvs.Director("lb1", {
                    connection: {
                        host: "lb1",
                        password: "one",
                        privateKey: key,
                        proxy: { host: "bastion", privateKeyPassword: "two" },
                    },
                }),
        );
        expect(registered["Director lb1"]!.inputs).toEqual({
            connection: {
                host: "lb1",
                password: { secret: "one" },
                privateKey: { secret: key },
                proxy: { host: "bastion", privateKeyPassword: { secret: "two" } },
            },
            name: "lb1",
            owner: owned("Director/lb1"),
            __provider: shim.Director,
        });
    });

    test.each<[string, () => lvs.DirectorArgs["connection"]]>([
        ["a password", () => ({ host: "lb1", password: pulumi.secret("one") })],
        ["a whole connection", () => pulumi.secret({ host: "lb1", password: "one" })],
        ["a plain Output", () => pulumi.output({ host: "lb1", password: "one" })],
        ["a host", () => ({ host: pulumi.secret("lb1"), password: "one" })],
    ])("%s makes nothing secret but the connection", async (_, connection) => {
        const registered = await run(() => {
            const director = new lvs.Director("lb1", { connection: connection(), interface: "eth0" });
            const service = new lvs.VirtualService("web", { director, ...identity });
            new lvs.RealServer("web1", { service, address: "192.0.2.21", connection: connection() });
        });
        const hidden = (value: unknown): boolean => JSON.stringify(value).includes('"secret"');
        const secretly = (inputs: unknown) =>
            Object.entries(inputs as object)
                .filter(([, value]) => hidden(value))
                .map(([name]) => name);
        const { inputs: director } = registered["Director lb1"]!;
        const { inputs: service } = registered["VirtualService web"]!;
        const { inputs: realServer } = registered["RealServer web1"]!;
        expect(secretly(director)).toEqual(["connection"]);
        expect(secretly(service)).toEqual(["director"]);
        expect(secretly(service["director"])).toEqual(["connection"]);
        expect(secretly(realServer).sort()).toEqual(["connection", "service"]);
        expect(secretly(realServer["service"])).toEqual(["director"]);
        expect(secretly((realServer["service"] as { director: object }).director)).toEqual(["connection"]);
        // Not once in clear.
        const withoutSecrets = JSON.stringify(registered, (_key, value) =>
            value?.secret === undefined ? value : "hidden",
        );
        expect(withoutSecrets).not.toContain('"one"');
    });
});
