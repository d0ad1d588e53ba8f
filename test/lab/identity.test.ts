/**
 * What a resource is called, where it stands in the program, and how often it is declared is Pulumi's side alone: while
 * it changes, the declared service goes on, for connections that stand and for new ones. The engine makes what has a
 * new name before it deletes what had the old one; what is replaced is made before it is deleted.
 *
 * In `npm test` some of it, by dr; in the exhaustive run all, by nat and tun, too.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import type { OpMap } from "@pulumi/pulumi/automation";
import * as lvs from "pulumi-lvs";
import { type Lab, root, startLab } from "../support/lab";
import { startLoad } from "../support/load";
import { processesOf } from "../support/processes";
import { exhaustive } from "../support/sample";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";
import { makeStack, type TestStack } from "../support/stack";
import { arm, release, setTraps, tell } from "../support/traps";

const VIP = "10.77.1.100";
/** Of another service on the same hosts. */
const BESIDE = "10.77.1.101";

type Method = "dr" | "nat" | "tun";
const farms: Record<Method, Record<"web1" | "web2", string>> = {
    dr: { web1: "10.77.1.21", web2: "10.77.1.22" },
    nat: { web1: "10.77.2.21", web2: "10.77.2.22" },
    tun: { web1: "10.77.5.21", web2: "10.77.5.22" },
};

/** The program, as data. */
interface Declared {
    prefix: string;
    /** Names are given with those that the resources had. */
    formerly?: string;
    /** All stands in a component, or is one LvsCluster. */
    in?: "component" | "cluster";
    /** Real servers stand in their services, too. */
    twice?: true;
    /** The first real server alone is a resource of its own. */
    few?: true;
    /** A second resource for the same service. */
    twin?: { scheduler: "wrr" | "rr" };
    /** Of the service `web`. */
    address: string;
}

const plain: Declared = { prefix: "", address: VIP };

/** nginx keeps a connection for as long as a client asks on it. */
const SERVE = `cat >/run/web.conf <<'CONF'
worker_processes 1; pid /run/web.pid; error_log /run/web.log;
events { worker_connections 256; }
http { access_log off; keepalive_requests 100000; server { listen 80; root /srv/www; } }
CONF
mkdir -p /srv/www; hostname >/srv/www/index.html; nginx -c /run/web.conf`;

describe.each(exhaustive ? (["dr", "nat", "tun"] as const) : (["dr"] as const))("by %s", (method) => {
    const farm = Object.entries(farms[method]);
    let lab: Lab;
    let stack: TestStack;
    let before: Record<string, Snapshot>;

    const program = (declared: Declared) => async (): Promise<void> => {
        const { prefix, formerly, address, twice, few, twin } = declared;
        const ofService = { protocol: "tcp", port: 80, scheduler: "wrr" } as const;
        const ofRealServer = { forwarding: method, weight: 1 } as const;
        if (declared.in === "cluster") {
            const entries = farm.map(([name, address]) => [name, { ...ofRealServer, address, connection: name }]);
            new lvs.LvsCluster("farm", {
                directors: { lb1: { connection: "lb1", interface: "eth0" } },
                services: { web: { ...ofService, address }, beside: { ...ofService, address: BESIDE } },
                realServers: Object.fromEntries(entries),
            });
            return;
        }
        const parent =
            declared.in === "component" ? { parent: new pulumi.ComponentResource("t:x:Farm", "farm") } : undefined;
        const options = (name: string) => ({
            ...parent,
            ...(formerly === undefined ? {} : { aliases: [{ name: `${formerly}${name}` }] }),
        });
        const lb1 = new lvs.Director(`${prefix}lb1`, { connection: "lb1", interface: "eth0" }, options("lb1"));
        const inline = Object.fromEntries(farm.map(([, address]) => [address, ofRealServer]));
        for (const [name, vip] of [
            ["web", address],
            ["beside", BESIDE],
        ] as const) {
            const args = { ...ofService, director: lb1, address: vip };
            const service = new lvs.VirtualService(
                `${prefix}${name}`,
                { ...args, ...(twice ? { realServers: inline } : {}) },
                options(name),
            );
            if (name === "web" && twin !== undefined) new lvs.VirtualService("twin", { ...args, ...twin });
            for (const [host, address] of farm.slice(0, few ? 1 : undefined)) {
                new lvs.RealServer(
                    `${prefix}${host}-${name}`,
                    { ...ofRealServer, service, address, connection: host },
                    options(`${host}-${name}`),
                );
            }
        }
    };
    const use = (declared: Declared) => stack.use(program(declared));
    const rules = () => lab.sh("lb1", "ipvsadm -Sn");

    /** One connection to each VIP, with a request ten times a second, and new connections beside it. */
    async function underLoad(vips: string[], work: () => Promise<void>): Promise<void> {
        const where = (await lab.sh("client", "mktemp -d")).trim();
        const asking = vips.map(
            (vip, at) =>
                `setsid curl -sS -m 600 --rate 10/s -o /dev/null -w '%{stderr}%{http_code} %{num_connects}\\n' "http://${vip}/?[1-6000]" >${where}/${at} 2>&1 </dev/null & echo $!`,
        );
        const pids = (await lab.sh("client", asking.join("\n"))).trim().split("\n");
        const request = `{ ${vips.map((vip) => `curl -sS -m 30 http://${vip}/`).join(" && ")}; }`;
        const load = await startLoad(lab, "client", request);
        await work();
        const { failures, answers, requests } = await load.stop();
        expect({ failures, answered: Object.values(answers).reduce((sum, each) => sum + each, 0) }).toEqual({
            failures: "",
            answered: requests * vips.length,
        });
        expect(requests).toBeGreaterThan(1);
        for (const [at, pid] of pids.entries()) {
            // It may be ended in the middle of a line.
            const said = await lab.sh("client", `kill ${pid} && sleep 0.2 && cat ${where}/${at}`);
            const [first, ...others] = said.split("\n").slice(0, -1);
            expect({ vip: vips[at], first }).toEqual({ vip: vips[at], first: "200 1" });
            expect(others.length).toBeGreaterThan(1);
            expect(others.filter((line) => line !== "200 0")).toEqual([]);
        }
    }

    beforeAll(async () => {
        lab = await startLab(join(root, "examples", method, "lab.json"));
        await Promise.all([...farm.map(([host]) => lab.sh(host, SERVE)), setTraps(lab, "lb1")]);
        before = await snapshots(lab);
        stack = await makeStack({
            program: program(plain),
            config: { "lvs:hosts": lab.lvsHosts("lb1", "web1", "web2") },
        });
        await stack.up();
    });
    afterAll(async () => {
        await stack?.remove();
        await lab?.down();
    });

    const all = 3 + 2 * farm.length;
    type Story = [what: string, next: Declared, changes: OpMap];
    const stories: Story[] = [
        ["a move into an LvsCluster", { ...plain, in: "cluster" }, { create: all + 1, delete: all }],
        ["a move out of it", plain, { create: all, delete: all + 1 }],
    ];
    const more: Story[] = [
        ["another name of every resource", { ...plain, prefix: "a-" }, { create: all, delete: all }],
        ["another name by an alias", { ...plain, prefix: "b-", formerly: "a-" }, { update: all }],
        ["a move into a component", { ...plain, prefix: "b-", in: "component" }, { create: all + 1, delete: all }],
        ["a move out of that", plain, { create: all, delete: all + 1 }],
        ["real servers that stand in their services, too", { ...plain, twice: true }, { update: 2 }],
        ["real servers that do no longer", plain, { update: 2 }],
        ["a second resource for the same service", { ...plain, twin: { scheduler: "wrr" } }, { create: 1 }],
        ["the second one's removal", plain, { delete: 1 }],
    ];
    test.each(exhaustive ? [...stories, ...more] : stories)("no request fails through %s", async (_, next, changes) => {
        const rulesBefore = await rules();
        await underLoad([VIP, BESIDE], async () => {
            await use(next);
            expect((await stack.up()).changes).toEqual(changes);
        });
        expect(await rules()).toBe(rulesBefore);
        expect((await stack.up({ refresh: true })).changes).toEqual({});
    });

    test("no request fails through --replace of everything", async () => {
        const rulesBefore = await rules();
        await underLoad([VIP, BESIDE], async () => {
            const { resources } = JSON.parse(stack.exported()).deployment as {
                resources: { urn: string; type: string }[];
            };
            const replace = resources.filter(({ type }) => type.includes("dynamic")).map(({ urn }) => urn);
            expect((await stack.up({ replace })).changes).toEqual({ replace: all });
        });
        expect(await rules()).toBe(rulesBefore);
        expect((await stack.up({ refresh: true })).changes).toEqual({});
    });

    const others = () => {
        test("a second resource that wants another value for the same service is refused, and no request fails", async () => {
            const rulesBefore = await rules();
            await underLoad([VIP, BESIDE], async () => {
                await use({ ...plain, twin: { scheduler: "rr" } });
                const refusal = await stack.up().catch((error: { output: string }) => error.output);
                await use(plain);
                expect(refusal).toMatch(
                    /VirtualService twin {2}error.* by VirtualService\/web of .*LVS-CONTRADICTION/s,
                );
            });
            expect(await rules()).toBe(rulesBefore);
            expect((await stack.up()).changes).toEqual({});
        });

        test("a provider that is killed before its answer, and the up after it, fail no request", async () => {
            const rulesBefore = await rules();
            await underLoad([VIP, BESIDE], async () => {
                await use({ ...plain, prefix: "c-" });
                await lab.sh("lb1", arm(3, "waits", "mv*"));
                const running = stack.up().then(
                    () => "done",
                    (error: { output: string }) => error.output,
                );
                while ((await lab.sh("lb1", tell)) === "") await sleep(200);
                process.kill(processesOf().provider!, "SIGKILL");
                await lab.sh("lb1", release);
                expect(await running).toMatch(/update failed|transport|EOF/);
                await stack.up();
            });
            expect(await rules()).toBe(rulesBefore);
            expect((await stack.up({ refresh: true })).changes).toEqual({});
        });

        test("another key of a service with separate real servers fails no request to the service beside it", async () => {
            await underLoad([BESIDE], async () => {
                await use({ ...plain, prefix: "c-", address: "10.77.1.102" });
                expect((await stack.up()).changes).toEqual({ replace: 1 + farm.length });
            });
            expect(await lab.sh("client", "curl -sS -m 30 http://10.77.1.102/")).toMatch(/^web[12]\n$/);
            expect(await rules()).not.toContain(VIP);
        });

        test("a real server whose service lists it stays when its resource goes, and where its host is not ready any more is told", async () => {
            const now = { ...plain, prefix: "c-", address: "10.77.1.102" };
            await use({ ...now, twice: true });
            await stack.up();
            const rulesBefore = await rules();
            await use({ ...now, twice: true, few: true });
            const { output, changes } = await stack.up();
            expect(changes).toEqual({ delete: 2 });
            expect(await rules()).toBe(rulesBefore);
            // Told when it happens, and again in the summary.
            const told = new Set(output.match(/warning: web2 .* stays on the director.* gone from here: .*/g));
            expect(told.size).toBe(method === "nat" ? 0 : 2);
            await use(now);
            await stack.up();
            expect(await rules()).toBe(rulesBefore);
        });
    };
    if (exhaustive) describe("as well:", others);

    test("destroy leaves every host as it was found", async () => {
        await stack.destroy();
        const [expected, found] = comparable(before, await snapshots(lab));
        expect(found).toEqual(expected);
    });
});
