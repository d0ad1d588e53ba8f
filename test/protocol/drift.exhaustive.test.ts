/** What somebody edits by hand under our names, on a kernel: it is shown for what it is, and an update sets it right. */
import { join } from "node:path";
import type { ResourceType } from "../../provider/dynamic/shim";
import { type Lab, startLab } from "../support/lab";
import { type Properties, ProviderProcess, type State } from "./support/process";

let lab: Lab;
let provider: ProviderProcess;

const owner = (type: ResourceType, name: string) => ({ owner: `organization/shop/prod#${type}/${name}` });
const create = (type: ResourceType, name: string, inputs: Properties) =>
    provider.create(type, { ...inputs, ...owner(type, name) });
const driftOf = async (state: State) => (await provider.read(state))?.outputs["drift"];
/** Reads that come within three seconds of each other share one look at the host. */
const meddle = (host: string, script: string) => lab.sh(host, `${script}\nsleep 3`);
const restored = async (state: State) => {
    const again = await provider.update(state, state.inputs);
    expect(await driftOf(again)).toBeUndefined();
    return again;
};
const rules = (host: string) => lab.sh(host, "nft -n list table inet pulumi_lvs");
/** The rule by that comment says something else from now on. */
const edited = (chain: string, key: string, rule: string) => `
    h=$(nft -a list chain inet pulumi_lvs ${chain} | sed -n 's|.* comment "${key}" # handle ||p')
    nft 'replace rule inet pulumi_lvs ${chain} handle '"$h"' ${rule} comment "${key}"'`;

const director = { name: "dir", connection: "dir", interface: "eth0" };
const web = { director, protocol: "tcp", address: "10.77.1.100", port: 80 };
const KEY = "ipv4/tcp/10.77.1.100/80";

async function start(): Promise<void> {
    provider = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts("dir", "web1") });
}

beforeAll(async () => {
    lab = await startLab(join(__dirname, "hosts.json"));
    await start();
});

afterAll(async () => {
    await provider?.stop();
    await lab?.down();
});

let balancer: State;
let server: State;
let service: State;

test("masquerading by our name that says something else, in a frame with another policy", async () => {
    balancer = await create("Director", "lb", {
        ...director,
        ipForward: true,
        masquerade: [{ source: "10.77.2.3/24" }, { source: "10.77.3.0/24", destination: "10.77.1.21" }],
    });
    const whole = await rules("dir");
    const [open, named] = ["10.77.2.3/24 0.0.0.0/0", "10.77.3.0/24 10.77.1.21/32"];
    const chain = "postrouting_masquerade";
    await meddle(
        "dir",
        `${edited(chain, open, "ip saddr 203.0.113.9 masquerade")}
        ${edited(chain, named, "ip saddr 10.77.3.0/24 ip daddr 10.77.1.22 masquerade")}
        nft 'add chain inet pulumi_lvs ${chain} { policy drop; }'
        nft 'insert rule inet pulumi_lvs prerouting_mark ip saddr 203.0.113.9 drop'`,
    );
    expect(await driftOf(balancer)).toEqual({
        [`masquerade ${open}`]: { rule: "ip saddr 203.0.113.9 masquerade" },
        [`masquerade ${named}`]: { rule: "ip saddr 10.77.3.0/24 ip daddr 10.77.1.22 masquerade" },
        "table inet pulumi_lvs": `1 other rules, another policy of ${chain}`,
    });
    balancer = await restored(balancer);
    expect((await rules("dir")).split("\n").sort()).toEqual(whole.split("\n").sort());
});

test("an interface that ceased to forward does so again", async () => {
    await meddle("dir", "echo 0 > /proc/sys/net/ipv4/conf/eth0/forwarding");
    expect(await driftOf(balancer)).toMatchObject({ "forwarding ipv4": { on: true } });
    balancer = await restored(balancer);
    expect(await lab.sh("dir", "cat /proc/sys/net/ipv4/conf/eth0/forwarding")).toBe("1\n");
});

test("a segment's size and a redirection by our names that say something else", async () => {
    service = await create("VirtualService", "web", web);
    server = await create("RealServer", "web1", {
        ...{ service: web, address: "10.77.1.21", connection: "web1", forwarding: "tun", accept: "redirect" },
    });
    const whole = await rules("web1");
    const mss = /maxseg size set (\d+) comment "([^"]+)"/.exec(whole);
    const [, size, key] = mss!;
    const from = key!.split("/")[2];
    await meddle(
        "web1",
        `${edited("postrouting_mss", key!, `ip saddr ${from} tcp sport 81 tcp flags syn / syn,rst tcp option maxseg size set ${size}`)}
        ${edited("prerouting_redirect", KEY, "ip daddr 10.77.1.101 tcp dport 80 dnat ip to 10.77.1.21")}`,
    );
    const drift = (await driftOf(server)) as Record<string, { rule: string }>;
    expect(Object.keys(drift).sort()).toEqual([`mss ${key}`, `redirect ${KEY}`]);
    expect(drift[`mss ${key}`]!.rule).toContain("tcp sport 81 ");
    expect(drift[`redirect ${KEY}`]!.rule).toContain("ip daddr 10.77.1.101 ");
    server = await restored(server);
    expect((await rules("web1")).split("\n").sort()).toEqual(whole.split("\n").sort());
});

test("a tunnel that was made anew to take packets of one host alone", async () => {
    const device = (await lab.sh("web1", "cd /sys/class/net; echo lvs-*")).trim();
    const listed = `ip -d -o link show ${device} | grep -o 'remote [^ ]* local [^ ]*'`;
    expect(await lab.sh("web1", listed)).toBe("remote any local 10.77.1.21\n");
    await meddle(
        "web1",
        `ip link del ${device}; ip link add ${device} type ipip local 10.77.1.21 remote 10.9.9.9; ip link set ${device} up`,
    );
    expect(await driftOf(server)).toMatchObject({ [`link ${device}`]: { remote: "10.9.9.9" } });
    server = await restored(server);
    expect(await lab.sh("web1", listed)).toBe("remote any local 10.77.1.21\n");
});

test("forwarding stays on for somebody else's address translation, which is told, and goes without it", async () => {
    await provider.delete(server);
    await provider.delete(service);
    const forwards = () => lab.sh("dir", "cat /proc/sys/net/ipv4/ip_forward");
    await lab.sh(
        "dir",
        "nft 'add table ip others; add chain ip others post { type nat hook postrouting priority 100; }; add rule ip others post ip saddr 10.77.9.0/24 masquerade'",
    );
    // What others have there is read once by each process.
    await provider.stop();
    await start();
    await provider.delete(balancer);
    expect(provider.output()).toMatch(/ipv4 forwarding is left as it is.*"ip others" translates addresses/);
    expect(await forwards()).toBe("1\n");
    expect(await lab.sh("dir", "nft list tables")).toBe("table ip others\n");
    await lab.sh("dir", "nft delete table ip others; echo 0 > /proc/sys/net/ipv4/ip_forward");
    await provider.stop();
    await start();
    balancer = await create("Director", "lb", { ...director, ipForward: true });
    expect(await forwards()).toBe("1\n");
    await provider.delete(balancer);
    expect(await forwards()).toBe("0\n");
});
