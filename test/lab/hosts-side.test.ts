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

test("everything is as it was found", async () => {
    const [expected, found] = comparable(before, await snapshots(lab));
    expect(found).toEqual(expected);
});
