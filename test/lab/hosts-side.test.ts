/**
 * The hosts' side of each forwarding method, by packets: what real server and director need beside the rule. Driven by
 * the provider's process, as the engine drives it.
 */
import { join } from "node:path";
import type { ResourceType } from "../../provider/dynamic/shim";
import { type Properties, ProviderProcess, type State } from "../protocol/support/process";
import { type Lab, startLab } from "../support/lab";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";

let lab: Lab;
let provider: ProviderProcess;
let before: Record<string, Snapshot>;
let made: State[] = [];

const VIP = "10.77.1.100";
const VIP6 = "fd00:1::100";
const NEAR = { ipv4: "10.77.1.21", ipv6: "fd00:1::21" };
const FAR = { ipv4: "10.77.5.22", ipv6: "fd00:5::22" };

const owner = (type: ResourceType, name: string) => ({ owner: `organization/shop/prod#${type}/${name}` });
const director = { name: "lb1", connection: "lb1", interface: "eth0", persistAcrossReboot: false };
const tcp = (address: string) => ({ protocol: "tcp", address, port: 80 });
const isRule = ({ type }: State) => type === "RealServer";

async function create(type: ResourceType, name: string, inputs: Properties): Promise<State> {
    const state = await provider.create(type, { ...inputs, ...owner(type, name) });
    made.push(state);
    return state;
}

const service = (name: string, identity: Properties) => create("VirtualService", name, { director, ...identity });

const realServer = (name: string, identity: Properties, address: string, host: string, more: Properties = {}) =>
    create("RealServer", name, {
        service: { director, ...identity },
        address,
        connection: host,
        persistAcrossReboot: false,
        ...more,
    });

async function update(state: State, more: Properties): Promise<State> {
    const after = await provider.update(state, { ...state.inputs, ...more });
    made = made.map((each) => (each === state ? after : each));
    return after;
}

async function drift(state: State): Promise<Properties> {
    const found = await provider.read(state);
    if (found === undefined) throw new Error(`${state.id} is gone`);
    return (found.outputs["drift"] ?? {}) as Properties;
}

async function clear(): Promise<void> {
    const [rules, others] = [made.filter(isRule), made.filter((each) => !isRule(each))];
    made = [];
    await Promise.all(rules.map((each) => provider.delete(each)));
    await Promise.all(others.map((each) => provider.delete(each)));
}

beforeAll(async () => {
    lab = await startLab(join(__dirname, "hosts-side.json"));
    before = await snapshots(lab);
});

afterAll(async () => {
    await lab?.down();
});

// A process knows one program: each story has its own.
beforeEach(async () => {
    provider = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts("lb1", "near", "far") });
});

afterEach(async () => {
    await clear();
    await provider.stop();
});

describe("tun where ICMP is dropped on the way", () => {
    const BYTES = 200_000;
    const hole = "nft 'add table inet hole; add chain inet hole f { type filter hook forward priority 0; }";
    const icmp = "add rule inet hole f meta l4proto { icmp, icmpv6 } drop'";
    const listen = "socat TCP6-LISTEN:80,ipv6only=0,fork,reuseaddr EXEC:'wc -c'";
    const upload = async (vip: string): Promise<number> => {
        const to = vip.includes(":") ? `[${vip}]` : vip;
        const send = `head -c ${BYTES} /dev/zero | timeout 8 socat -t 8 - TCP:${to}:80`;
        return Number((await lab.run("client", send)).stdout);
    };

    beforeAll(async () => {
        await lab.sh("router", `${hole}; ${icmp}`);
        await lab.sh("far", `${listen} >/dev/null 2>&1 </dev/null & echo $! >/tmp/socat.pid`);
    });
    afterAll(async () => {
        await lab.sh("router", "nft delete table inet hole");
        await lab.sh("far", "kill $(cat /tmp/socat.pid)");
    });

    test("large uploads arrive because clients are told a segment's size that fits the tunnel, and not without", async () => {
        const vips = { ipv4: VIP, ipv6: VIP6 };
        const pairs = await Promise.all(
            (["ipv4", "ipv6"] as const).map(async (family) => {
                const vip = vips[family];
                await service(family, tcp(vip));
                const tunnel = { mss: "none" };
                return realServer(family, tcp(vip), FAR[family], "far", { forwarding: "tun", tunnel });
            }),
        );
        expect(await Promise.all([upload(VIP), upload(VIP6)])).toEqual([0, 0]);
        const told = await Promise.all(pairs.map((each) => update(each, { tunnel: {} })));
        expect(await Promise.all([upload(VIP), upload(VIP6)])).toEqual([BYTES, BYTES]);
        const rules = await lab.sh("far", "nft -n list table inet pulumi_lvs");
        // 1500 less 20 and 40, less 40 and 60.
        expect([...rules.matchAll(/size set (\d+)/g)].map(([, size]) => Number(size)).sort()).toEqual([1400, 1440]);
        expect(await Promise.all(told.map(drift))).toEqual([{}, {}]);
    });
});

/** Fifteen resources, and time limits that have to pass: left to the exhaustive run. */
if (process.env["LVS_EXHAUSTIVE"] === "1")
    describe("a real server takes packets for the VIP", () => {
        /** Answers of a tcp server on every address, and of a udp server that answers from where it was asked. */
        const serve = [
            "socat -t 30 TCP6-LISTEN:80,ipv6only=0,fork,reuseaddr EXEC:hostname",
            "socat -t 30 UDP6-LISTEN:53,ipv6only=0,fork,reuseaddr EXEC:hostname",
        ];
        const ask = async (vip: string, protocol: string): Promise<string> => {
            const to = `${protocol}:${vip.includes(":") ? `[${vip}]` : vip}:${protocol === "TCP" ? 80 : 53}`;
            return (await lab.run("client", `echo | timeout 6 socat -t 3 - ${to}`)).stdout.trim();
        };
        const udp = (address: string) => ({ protocol: "udp", address, port: 53 });

        beforeAll(async () => {
            const start = serve
                .map((each) => `${each} >/dev/null 2>&1 </dev/null & echo $! >>/tmp/serve.pid`)
                .join("\n");
            await Promise.all(["near", "far"].map((host) => lab.sh(host, start)));
        });
        afterAll(async () => {
            await Promise.all(
                ["near", "far"].map((host) => lab.sh(host, "kill $(cat /tmp/serve.pid); rm /tmp/serve.pid")),
            );
        });

        test("without having it: its packet filter gives them to its own address, by dr and tun, v4 and v6, tcp and udp", async () => {
            const accept = "redirect";
            await Promise.all(
                [VIP, VIP6].flatMap((vip) => [service(`t${vip}`, tcp(vip)), service(`u${vip}`, udp(vip))]),
            );
            const cells = [
                ["near", NEAR, "dr"],
                ["far", FAR, "tun"],
            ] as const;
            const answers: Record<string, string[]> = {};
            for (const [host, address, forwarding] of cells) {
                const more = { forwarding, accept };
                const servers = await Promise.all([
                    realServer(`4t${host}`, tcp(VIP), address.ipv4, host, more),
                    realServer(`4u${host}`, udp(VIP), address.ipv4, host, more),
                    realServer(`6t${host}`, tcp(VIP6), address.ipv6, host, more),
                    realServer(`6u${host}`, udp(VIP6), address.ipv6, host, more),
                ]);
                const asked = [VIP, VIP6].flatMap((vip) => ["TCP", "UDP"].map((protocol) => ask(vip, protocol)));
                answers[forwarding] = await Promise.all(asked);
                expect(await lab.sh(host, "ip -o addr show")).not.toMatch(`${VIP}|${VIP6}`);
                // The control: the rules are what makes it work.
                await lab.sh(host, "nft delete chain inet pulumi_lvs prerouting_redirect");
                expect(await ask(VIP, "TCP")).toBe("");
                expect(Object.keys(await drift(servers[0]!))).toEqual([`redirect ipv4/tcp/${VIP}/80`]);
                await Promise.all(servers.map((each) => provider.delete(each)));
                made = made.filter((each) => !servers.includes(each));
            }
            expect(answers).toEqual({ dr: Array(4).fill("near"), tun: Array(4).fill("far") });
        });

        test("on a dummy device that is made for it, and goes with it", async () => {
            await service("web", tcp(VIP));
            const one = await realServer("web", tcp(VIP), NEAR.ipv4, "near", { device: "dummy7" });
            expect(await ask(VIP, "TCP")).toBe("near");
            expect(await lab.sh("near", "ip -o -d link show dummy7; ip -o addr show dev dummy7")).toMatch(
                /dummy7: <\S*UP\S*>.* dummy .*10\.77\.1\.100\/32/s,
            );
            await clear();
            expect(await lab.sh("near", "ip -o link show")).not.toContain("dummy7");
            expect(one.outputs["device"]).toBe("dummy7");
        });
    });

test("everything is as it was found", async () => {
    const [expected, found] = comparable(before, await snapshots(lab));
    expect(found).toEqual(expected);
});
