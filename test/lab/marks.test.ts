import { join } from "node:path";
import * as lvs from "pulumi-lvs";
import { type Lab, root, startLab } from "../support/lab";
import { answersOf } from "../support/load";
import { secretsShown } from "../support/secrets";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";
import { makeStack, type TestStack } from "../support/stack";
import { httpRequest, httpServer } from "./http";

const VIP = "10.77.1.100";
const PORTS = [80, 8080];

/** One service over two ports by a firewall mark of ours, on a director with everything of the whole host set. */
async function program(): Promise<void> {
    const director = new lvs.Director("lb1", {
        connection: "lb1",
        interface: "eth0",
        sysctls: { "net.ipv4.vs.expire_nodest_conn": 1 },
        timeouts: { udp: 77 },
        masquerade: [{ source: "192.168.0.0/16" }, { source: "192.168.1.0/24", destination: "10.0.0.0/8" }],
        sync: { master: { interface: "eth0", syncid: 3 }, backup: { interface: "eth0", syncid: 3 } },
    });
    const marks = PORTS.map((port) => ({ protocol: "tcp" as const, address: VIP, port }));
    const service = new lvs.VirtualService("web", { director, fwmark: 4294967295, marks, scheduler: "wrr" });
    for (const [name, address, weight] of [
        ["web1", "10.77.1.21", 2],
        ["web2", "10.77.1.22", 1],
    ] as const) {
        new lvs.RealServer(name, { service, address, weight, forwarding: "dr", connection: name });
    }
}

describe("a service by firewall mark", () => {
    let lab: Lab;
    let stack: TestStack;
    let before: Record<string, Snapshot>;

    beforeAll(async () => {
        lab = await startLab(join(root, "topology", "lab.json"));
        stack = await makeStack({ program, config: { "lvs:hosts": lab.lvsHosts("lb1", "web1", "web2") } });
        await Promise.all(["web1", "web2"].map((host) => lab.sh(host, httpServer)));
        before = await snapshots(lab);
    });
    afterAll(async () => {
        await stack?.remove();
        await lab?.down();
    });

    test("takes what arrives for its addresses, and shares it by weight", async () => {
        expect((await stack.up()).changes).toEqual({ create: 5 });
        expect(await answersOf(lab, "client", httpRequest(VIP), 12)).toEqual({ web1: 8, web2: 4 });
    });

    test("stands beside timeouts, sync daemons, masquerading and settings, as they were declared", async () => {
        const listed = await lab.sh("lb1", "ipvsadm -L --timeout; ipvsadm -L --daemon; nft list ruleset");
        expect(listed).toContain("Timeout (tcp tcpfin udp): 900 120 77");
        expect(listed).toMatch(/master sync daemon \(mcast=eth0, syncid=3/);
        expect(listed).toMatch(/backup sync daemon \(mcast=eth0, syncid=3/);
        expect(listed).toMatch(/10\.77\.1\.100 \. tcp \. 8080 : 0xffffffff/);
        expect(listed.match(/ masquerade comment /g)).toHaveLength(2);
    });

    test("a second up and a refresh change nothing", async () => {
        expect((await stack.up()).changes).toEqual({});
        expect((await stack.refresh()).changes).toEqual({});
    });

    test("what a hand or a reload took away is shown and put back: marks and masquerading", async () => {
        await lab.sh("lb1", "nft flush ruleset");
        expect((await stack.up({ refresh: true })).changes).toEqual({ update: expect.any(Number) });
        expect(await answersOf(lab, "client", httpRequest(VIP), 3)).toEqual({ web1: 2, web2: 1 });
        expect((await lab.sh("lb1", "nft list ruleset")).match(/ masquerade comment /g)).toHaveLength(2);
    });

    test("destroy leaves every host as it was found", async () => {
        await stack.destroy();
        const [expected, found] = comparable(before, await snapshots(lab));
        expect(found).toEqual(expected);
        expect(await secretsShown(lab, stack)).toEqual([]);
    });
});
