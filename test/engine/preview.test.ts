/** What `pulumi preview` promises: it reads the program, finds its mistakes, and reaches no host. */
import type { PulumiFn } from "@pulumi/pulumi/automation";
import * as lvs from "../../sdk";
import { makeStack, type Summary, type TestStack } from "../support/stack";
import { type Listener, listen } from "./support/listener";

jest.setTimeout(120_000);

let listener: Listener;
let stack: TestStack;

/** The passwords and keys of this file: no output may show them. */
const secrets = ["pwd-in-config-31", "pwd-of-the-bastion-47", "pwd-inline-59", "KEYTEXTINLINE61"];
const seen: string[] = [];

const lb1 = { name: "lb1", connection: "lb1", interface: "eth0" };
const web = { protocol: "tcp", address: "192.0.2.100", port: 80 } as const;

const farm: PulumiFn = async () => {
    const director = new lvs.Director("lb1", { connection: "lb1", interface: "eth0" });
    const service = new lvs.VirtualService("web", { director, ...web });
    new lvs.RealServer("web1", { service, address: "192.0.2.21", weight: 2, connection: "web1" });
};

async function preview(program: PulumiFn): Promise<Summary> {
    await stack.use(program);
    const summary = await stack.preview();
    seen.push(summary.output);
    return summary;
}

/** The error of a preview that must fail, as the user sees it. */
async function refused(program: PulumiFn): Promise<string> {
    await stack.use(program);
    try {
        const { output } = await stack.preview();
        seen.push(output);
        throw new Error(`it was not refused: ${output}`);
    } catch (error) {
        const { output, message } = error as Error & { output?: string };
        if (output === undefined) throw error;
        seen.push(output, message);
        return message;
    }
}

/** The errors of the engine about properties, each once: the message repeats them. */
function errorsIn(output: string): string[] {
    return [...new Set(output.split("\n").filter((line) => line.includes(" has a problem: ")))];
}

/** Deliberately wrong data, which the compiler would refuse. */
const wrong = (value: unknown) => value as never;

beforeAll(async () => {
    listener = await listen();
    const at = { host: "127.0.0.1", port: listener.port, dialErrorLimit: 1, insecureIgnoreHostKey: true };
    stack = await makeStack({
        program: farm,
        config: {
            "lvs:hosts": JSON.stringify({
                lb1: { ...at, password: "pwd-in-config-31" },
                lb2: { ...at, user: "second" },
                web1: { ...at, proxy: { ...at, password: "pwd-of-the-bastion-47" } },
            }),
        },
    });
});

afterAll(async () => {
    await stack?.remove();
    await listener?.close();
});

afterEach(() => {
    expect(listener.connections()).toBe(0);
});

test("preview shows what would be made, and opens no connection", async () => {
    const { changes, output } = await preview(farm);
    expect(changes).toEqual({ create: 4 });
    for (const type of ["Director", "VirtualService", "RealServer"]) {
        expect(output).toContain(`+ pulumi-nodejs:dynamic/lvs:${type}: (create)`);
    }
    expect(output).toMatch(/weight\s*: 2/);
    expect(output).not.toContain("__provider");
});

describe("a mistake is one clear error with its property path", () => {
    const cases: [string, PulumiFn, string, RegExp][] = [
        [
            "a director with a misspelt field",
            async () => void new lvs.Director("lb1", wrong({ ...lb1, ipforward: true })),
            "ipforward",
            /is not known here; did you mean `ipForward`\?/,
        ],
        [
            "a connection with a misspelt field, its values unseen",
            async () =>
                void new lvs.Director("lb1", {
                    connection: wrong({ host: "127.0.0.1", passwort: "x", password: "pwd-inline-59" }),
                }),
            "connection.passwort",
            /is not known here; did you mean `password`\?/,
        ],
        [
            "an inline service's unknown scheduler",
            async () =>
                void new lvs.Director("lb1", {
                    ...lb1,
                    virtualServices: { "tcp/192.0.2.100:80": { scheduler: wrong("roundrobin") } },
                }),
            'virtualServices["tcp/192.0.2.100:80"].scheduler',
            /expected rr, wrr, .* got "roundrobin"/,
        ],
        [
            "a service without a port",
            async () =>
                void new lvs.VirtualService("web", wrong({ director: lb1, protocol: "tcp", address: "192.0.2.1" })),
            "port",
            /is required/,
        ],
        [
            "an inline real server's weight",
            async () =>
                void new lvs.VirtualService("web", {
                    director: lb1,
                    ...web,
                    realServers: { "192.0.2.21": { weight: -1 } },
                }),
            'realServers["192.0.2.21"].weight',
            /whole number from 0 to 2147483647, got -1/,
        ],
        [
            "a port that direct routing cannot change",
            async () =>
                void new lvs.RealServer("web1", {
                    service: { director: lb1, ...web },
                    address: "192.0.2.21",
                    port: 8080,
                }),
            "port",
            /it is 80, the service's, not 8080 .*\[LVS-DR-PORT\]/,
        ],
        [
            "a real server of another family",
            async () => void new lvs.RealServer("web1", { service: { director: lb1, ...web }, address: "2001:db8::1" }),
            "address",
            /another family .*\[LVS-FAMILY\]/,
        ],
    ];

    test.each(cases)("%s", async (_, program, property, reason) => {
        const output = await refused(program);
        expect(errorsIn(output)).toEqual([expect.stringContaining(` property ${property} value `)]);
        expect(errorsIn(output)[0]).toMatch(reason);
    });
});

describe("a contradiction within the program is found, and both sides are named", () => {
    test("two resources that want one service with different schedulers", async () => {
        const output = await refused(async () => {
            const director = new lvs.Director("lb1", lb1);
            const one = new lvs.VirtualService("one", { director, ...web, scheduler: "rr" });
            new lvs.VirtualService("two", { director, ...web, scheduler: "wlc" }, { dependsOn: one });
        });
        expect(errorsIn(output)).toHaveLength(1);
        expect(output).toMatch(/service tcp\/192\.0\.2\.100:80 .*"wlc".* here .*"rr".* VirtualService\/one/);
        expect(output).toContain("LVS-CONTRADICTION");
    });

    const twice = (vip?: { external: boolean }): PulumiFn => {
        const more = vip === undefined ? {} : { vip };
        return async () => {
            const lb2 = { ...lb1, name: "lb2", connection: "lb2" };
            const one = new lvs.VirtualService("one", { director: lb1, ...web, ...more });
            new lvs.VirtualService("two", { director: lb2, ...web, ...more }, { dependsOn: one });
        };
    };

    test("one VIP on two directors", async () => {
        const output = await refused(twice());
        expect(errorsIn(output)).toHaveLength(1);
        expect(output).toMatch(
            /192\.0\.2\.100\S* would be on two directors at once, VirtualService\/one .*vip\.external/,
        );
    });

    test("but not where somebody else brings the VIP", async () => {
        expect((await preview(twice({ external: true }))).changes).toEqual({ create: 3 });
    });
});

test("values that are not known yet pass, and what is wrong beside them does not", async () => {
    const unknown = (weight: number): PulumiFn => {
        return async () => {
            const director = new lvs.Director("lb1", lb1);
            const later = <T>(value: T) => director.kernel.apply(() => value);
            const service = new lvs.VirtualService("web", {
                director,
                protocol: later("tcp" as const),
                address: later("192.0.2.100"),
                port: later(80),
                persistence: { timeout: later(60) },
            });
            new lvs.RealServer("web1", { service, address: later("192.0.2.21"), weight, connection: "web1" });
        };
    };
    expect((await preview(unknown(2))).changes).toEqual({ create: 4 });
    expect(errorsIn(await refused(unknown(-2)))).toEqual([expect.stringContaining(" property weight value ")]);
});

test("a credential that is wrong is not shown", async () => {
    const output = await refused(async () => {
        const connection = { host: "127.0.0.1", port: listener.port, privateKey: "KEYTEXTINLINE61" };
        new lvs.Director("lb1", { connection });
    });
    expect(errorsIn(output)).toEqual([expect.stringContaining(" property connection.privateKey value ")]);
    expect(output).toContain("is not a private key");
});

test("credentials in config and of inline connections are shown nowhere", async () => {
    const { output } = await preview(async () => {
        const at = { host: "127.0.0.1", port: listener.port, insecureIgnoreHostKey: true, password: "pwd-inline-59" };
        const director = new lvs.Director("lb1", { name: "lb1", connection: { ...at, proxy: at }, interface: "eth0" });
        const service = new lvs.VirtualService("web", { director, ...web });
        new lvs.RealServer("web1", { service, address: "192.0.2.21", connection: { ...at, proxy: at } });
    });
    expect(output).toContain("[secret]");
    expect(seen.length).toBeGreaterThan(10);
    for (const secret of secrets) expect(seen.filter((text) => text.includes(secret))).toEqual([]);
});
