/** `gateway`: by nat the way back to the director, on hosts that have no default route, or another one. */
import { join } from "node:path";
import * as lvs from "pulumi-lvs";
import { type Lab, startLab } from "../support/lab";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";
import { makeStack, type TestStack } from "../support/stack";
import { httpServer } from "./http";

const VIP = "10.77.1.100";
const VIP6 = "fd00:1::100";
const HERE = "10.77.2.1";
const HERE6 = "fd00:2::1";
/** As another hand leaves it: over IPv4 with the best metric, over IPv6 as a router advertisement does. */
const FOREIGN = "default via 10.77.2.9 dev eth0 proto static src 10.77.2.22 onlink";
const FOREIGN6 = "default via fd00:2::9 dev eth0 proto ra metric 1024";

let lab: Lab;
let stack: TestStack;
let before: Record<string, Snapshot>;

const program = (declared: boolean) => async (): Promise<void> => {
    const director = new lvs.Director("lb1", { connection: "lb1", interface: "eth0" });
    const service = (name: string, address: string) =>
        new lvs.VirtualService(name, { director, protocol: "tcp", address, port: 80, scheduler: "rr" });
    const realServer = (name: string, of: lvs.VirtualService, address: string, connection: string, gateway: string) =>
        new lvs.RealServer(name, {
            ...{ service: of, address, connection, forwarding: "nat" },
            ...(declared ? { gateway } : {}),
        });
    const web = service("web", VIP);
    realServer("web1", web, "10.77.2.21", "web1", HERE);
    realServer("web2", web, "10.77.2.22", "web2", HERE);
    realServer("web2-v6", service("web6", VIP6), "fd00:2::22", "web2", HERE6);
};

/** Who answers, one request after the other. */
const answers = async (count: number, vip = VIP) =>
    (await lab.run("client", `for i in $(seq ${count}); do curl -gs -m 3 http://${vip}/ || echo none; done`)).stdout
        .split("\n")
        .filter((line) => line !== "")
        .sort();
const routes = async (host: string, family = "-4") => {
    const text = await lab.sh(host, `ip ${family} route show default`);
    return text.split("\n").flatMap((line) => line.replace(" pref medium", "").trim() || []);
};
const works = async () => {
    expect(await answers(4)).toEqual(["web1", "web1", "web2", "web2"]);
    expect(await answers(1, `[${VIP6}]`)).toEqual(["web2"]);
};

beforeAll(async () => {
    lab = await startLab(join(__dirname, "gateway.json"));
    stack = await makeStack({ program: program(false), config: { "lvs:hosts": lab.lvsHosts("lb1", "web1", "web2") } });
    await Promise.all(["web1", "web2"].map((host) => lab.sh(host, httpServer)));
    await lab.sh("web2", `ip route add ${FOREIGN}; ip -6 route add ${FOREIGN6}`);
    before = await snapshots(lab);
});
afterAll(async () => {
    await stack?.remove();
    await lab?.down();
});

test("without it no answer finds its way back", async () => {
    const { output } = await stack.up();
    expect(output).toContain("LVS-NAT-RETURN");
    expect(await answers(2)).toEqual(["none", "none"]);
    expect(await answers(1, `[${VIP6}]`)).toEqual(["none"]);
});

test("with it all do, and what the host had stays where it need not go", async () => {
    await stack.use(program(true));
    expect((await stack.up()).changes).toEqual({ update: 3 });
    await works();
    expect(await routes("web1")).toEqual([`default via ${HERE} dev eth0 proto static`]);
    expect(await routes("web2")).toEqual([`default via ${HERE} dev eth0 proto static`]);
    expect(await routes("web2", "-6")).toEqual([`default via ${HERE6} dev eth0 proto static metric 1`, FOREIGN6]);
    expect((await stack.up({ refresh: true })).changes).toEqual({});
});

test("a refresh shows one that was deleted and one that was changed as the property, and up repairs them", async () => {
    await lab.sh("web1", "ip route del default");
    await lab.sh("web2", "ip route replace default via 10.77.2.7");
    const { changes, output } = await stack.preview({ refresh: true });
    expect(changes).toEqual({ update: 2 });
    expect(output).toMatch(/\+ +gateway *: "10\.77\.2\.1"/);
    expect(output).toMatch(/~ +gateway *: "10\.77\.2\.7" => "10\.77\.2\.1"/);
    expect((await stack.up({ refresh: true })).changes).toEqual({ update: 2 });
    await works();
});

test("the boot script sets it again, and twice is as once", async () => {
    await lab.sh("web1", "ip route del default");
    for (const _ of ["once", "twice"]) {
        await lab.sh("web1", "sh /var/lib/pulumi-lvs/boot");
        expect(await routes("web1")).toEqual([`default via ${HERE} dev eth0 proto static`]);
    }
});

test("destroy gives back what was found: no route, another one with its source and flags", async () => {
    await stack.destroy();
    expect(await routes("web1")).toEqual([]);
    expect(await routes("web2")).toEqual([FOREIGN]);
    const [expected, found] = comparable(before, await snapshots(lab));
    expect(found).toEqual(expected);
});
