/**
 * Directors that are real servers, too: one beside a web host, and two that are each other's. What a director without the
 * VIP gets from the other one it must leave to its own server.
 */
import { join } from "node:path";
import * as lvs from "pulumi-lvs";
import { type Lab, root, startLab } from "../support/lab";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";
import { makeStack, type TestStack } from "../support/stack";
import { httpRequest, httpServer } from "./http";

const VIP = "10.77.1.100";
const addresses = { lb1: "10.77.1.10", lb2: "10.77.1.11", web1: "10.77.1.21" };
type Host = keyof typeof addresses;
/** Requests of which each real server answers its share. */
const REQUESTS = 12;

let lab: Lab;
let stack: TestStack;
let before: Record<string, Snapshot>;

interface Declared {
    directors: Partial<Record<Host, lvs.DirectorArgs["sync"] | "none">>;
    realServers: Host[];
    /** Who has the VIP. */
    holder: Host;
    backupOnly?: boolean;
}

const program =
    ({ directors, realServers, holder, backupOnly }: Declared) =>
    async (): Promise<void> => {
        for (const [name, sync] of Object.entries(directors)) {
            const director = new lvs.Director(name, {
                connection: name,
                interface: "eth0",
                ...(sync === "none" ? {} : { sync }),
                ...(backupOnly ? { sysctls: { "net.ipv4.vs.backup_only": 1 } } : {}),
            });
            const service = new lvs.VirtualService(`web-${name}`, {
                director,
                protocol: "tcp",
                address: VIP,
                port: 80,
                scheduler: "rr",
                ...(name === holder ? {} : { vip: { external: true } }),
            });
            for (const host of realServers) {
                const args = { service, address: addresses[host], connection: host };
                new lvs.RealServer(`${host}-of-${name}`, args);
            }
        }
    };

const up = async (declared: Declared) => {
    await stack.use(program(declared));
    return stack.up();
};

/** How many of the requests each one answered; `none`: nobody. */
async function answers(): Promise<Record<string, number>> {
    await lab.sh("router", "ip neigh flush all");
    const once = `${httpRequest(VIP).replace("-m 30", "-m 8")} 2>/dev/null || echo none`;
    const lines = (await lab.sh("client", `for i in $(seq ${REQUESTS}); do ${once}; done`)).trim().split("\n");
    const counts: Record<string, number> = {};
    for (const line of lines) counts[line] = (counts[line] ?? 0) + 1;
    return counts;
}

beforeAll(async () => {
    lab = await startLab(join(root, "examples", "pair", "lab.json"));
    stack = await makeStack({ program: async () => {}, config: { "lvs:hosts": lab.lvsHosts("lb1", "lb2", "web1") } });
    for (const host of Object.keys(addresses)) await lab.sh(host, httpServer);
    before = await snapshots(lab);
});
afterAll(async () => {
    await stack?.remove();
    await lab?.down();
});

test("a director that is a real server beside another one answers its share", async () => {
    const { output } = await up({ directors: { lb1: "none" }, realServers: ["lb1", "web1"], holder: "lb1" });
    expect(output).not.toContain("LVS-LOOP");
    expect(await answers()).toEqual({ lb1: REQUESTS / 2, web1: REQUESTS / 2 });
    expect((await stack.up({ refresh: true })).changes).toEqual({});
});

const both: Host[] = ["lb1", "lb2"];

test("of two that are each other's real servers the one without the VIP sends packets back, which is told", async () => {
    const { output } = await up({ directors: { lb1: "none", lb2: "none" }, realServers: both, holder: "lb1" });
    expect(output).toMatch(/lb2 .*without the VIP.*backup_only to 1, and have a backup daemon run.*LVS-LOOP/);
    expect((await answers())["none"]).toBeGreaterThan(0);
});

test("backup_only without a backup daemon has no effect, which is told", async () => {
    const { output } = await up({
        ...{ directors: { lb1: "none", lb2: "none" }, realServers: both, holder: "lb1" },
        backupOnly: true,
    });
    expect((await answers())["none"]).toBeGreaterThan(0);
    // Nothing of the services has changed.
    expect(output).not.toContain("LVS-LOOP");
    await stack.destroy();
    expect(
        (
            await up({
                ...{ directors: { lb1: "none", lb2: "none" }, realServers: both, holder: "lb1" },
                backupOnly: true,
            })
        ).output,
    ).toMatch(/lb2 .*and may come back: have a backup daemon run.*LVS-LOOP/);
});

test("with backup_only and the daemons of their roles each answers its share, whoever has the VIP", async () => {
    const daemon = { interface: "eth0", syncid: 1 };
    for (const holder of both) {
        const directors = Object.fromEntries(
            both.map((name) => [name, name === holder ? { master: daemon } : { backup: daemon }]),
        );
        const { output } = await up({ directors, realServers: both, holder, backupOnly: true });
        expect(output).not.toContain("LVS-LOOP");
        expect(await answers()).toEqual({ lb1: REQUESTS / 2, lb2: REQUESTS / 2 });
    }
});

test("both daemons and backup_only are refused, because nothing would be balanced", async () => {
    const daemon = { interface: "eth0", syncid: 1 };
    const roles = { master: daemon, backup: daemon };
    await stack.use(
        program({ directors: { lb1: roles, lb2: roles }, realServers: both, holder: "lb2", backupOnly: true }),
    );
    await expect(stack.up()).rejects.toThrow("LVS-BACKUP-ONLY");
    // As the kernel has it.
    await lab.sh("lb2", "ipvsadm --start-daemon backup --mcast-interface eth0 --syncid 1");
    expect(await answers()).toEqual({ lb2: REQUESTS });
    await lab.sh("lb2", "ipvsadm --stop-daemon backup");
});

test("destroy leaves every host as it was found", async () => {
    await stack.destroy();
    const [expected, found] = comparable(before, await snapshots(lab));
    expect(found).toEqual(expected);
});
