/**
 * Directors and real servers without nft: marks, masquerading, segment sizes and redirections by iptables, with either of
 * its backends (one host each), beside rules of others, and with real packets.
 */
import { join } from "node:path";
import type { ResourceType } from "../../provider/dynamic/shim";
import { type Lab, startLab } from "../support/lab";
import { type Properties, ProviderProcess, type State } from "./support/process";

let lab: Lab;
let provider: ProviderProcess;

const owner = (type: ResourceType, name: string) => ({ owner: `organization/shop/prod#${type}/${name}` });
const WEB = "10.77.1.21";
const HOSTS = [
    { host: "compat", address: "10.77.1.10", vip: "10.77.1.100", vip6: "fd00:1::100", version: "nf_tables" },
    { host: "legacy", address: "10.77.1.11", vip: "10.77.1.101", vip6: "fd00:1::101", version: "legacy" },
];

/** Every rule and chain of the tables that we write, of both families; the empty ones alike whether they are loaded or not. */
const rules = (host: string) =>
    lab.sh(
        host,
        "for p in iptables ip6tables; do for t in mangle nat; do $p -t $t -S 2> /dev/null || exit; done; done",
    );
const get = (address: string) => lab.sh("client", `curl -sS -m 10 http://${address}/`);
const driftOf = async (state: State) => (await provider.read(state))?.outputs["drift"];

beforeAll(async () => {
    lab = await startLab(join(__dirname, "iptables.json"));
    const own = ["iptables", "ip6tables"].flatMap((tool) => ["", "-save", "-restore"].map((more) => [tool, more]));
    const links = own.map(([tool, more]) => `ln -s /usr/sbin/${tool}-legacy${more} /usr/local/sbin/${tool}${more}`);
    await lab.sh("legacy", links.join("\n"));
    for (const { host } of HOSTS) await lab.sh(host, "rm /usr/sbin/nft");
    const serve =
        "mkdir -p /srv/www; hostname > /srv/www/index.html; for p in 80 8080; do busybox httpd -p $p -h /srv/www; done";
    for (const host of ["web", "legacy", "compat"]) await lab.sh(host, serve);
    provider = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts("compat", "legacy", "web") });
});

afterAll(async () => {
    await provider?.stop();
    await lab?.down();
});

const director = (host: string) => ({ name: host, connection: host, interface: "eth0" });
const tcp = (address: string, port: number) => ({ protocol: "tcp", address, port });

test("looking loads no table: where there are only marks, there is no nat table", async () => {
    const names = () => lab.sh("legacy", "cat /proc/net/ip_tables_names 2> /dev/null || :");
    expect(await names()).toBe("");
    const web = await provider.create("VirtualService", {
        ...{ director: director("legacy"), fwmark: 9, marks: [tcp("10.77.1.150", 80)] },
        ...owner("VirtualService", "loading"),
    });
    expect(await names()).toBe("mangle\n");
    expect(await driftOf(web)).toBeUndefined();
    await provider.delete(web);
    expect(await names()).toBe("mangle\n");
});

describe.each(HOSTS)("$host", ({ host, address, vip, vip6, version }) => {
    let before: string;
    let made: State[] = [];
    const create = async (type: ResourceType, name: string, inputs: Properties) => {
        const state = await provider.create(type, { ...inputs, ...owner(type, `${host}-${name}`) });
        made.push(state);
        return state;
    };
    const restored = async (state: State) => {
        const again = await provider.update(state, state.inputs);
        expect(await driftOf(again)).toBeUndefined();
        made = made.map((each) => (each === state ? again : each));
        return again;
    };
    /** What somebody does there. Reads that come within three seconds share one look at the host. */
    const meddle = (script: string) => lab.sh(host, `${script}\nsleep 3`);
    let masquerading: State;
    let web: State;

    beforeAll(async () => {
        await lab.sh(
            host,
            `iptables -t nat -N OTHERS; iptables -t nat -A OTHERS -s 203.0.113.0/24 -j RETURN
            iptables -t nat -A POSTROUTING -j OTHERS; iptables -t mangle -A PREROUTING -s 203.0.113.0/24 -j MARK --set-mark 0x9
            ip6tables -t mangle -A PREROUTING -s 2001:db8::/32 -j MARK --set-mark 0x9; ip6tables -t nat -S > /dev/null`,
        );
        before = await rules(host);
    });

    test("several ports by one mark, by nat and masquerading: requests get there and back", async () => {
        expect(await lab.sh(host, "iptables -V; ip6tables -V; command -v nft || echo no nft")).toMatch(
            new RegExp(`^iptables \\S+ \\(${version}\\)\nip6tables \\S+ \\(${version}\\)\nno nft\n$`),
        );
        masquerading = await create("Director", "lb", {
            ...director(host),
            masquerade: [{ source: "10.77.1.9/24", destination: WEB }, { source: "fd00:1::/64" }],
        });
        web = await create("VirtualService", "web", {
            ...{ director: director(host), fwmark: 4294967295, marks: [tcp(vip, 80), tcp(vip, 8080)] },
            realServers: { [WEB]: { forwarding: "nat" } },
        });
        for (const port of [80, 8080]) expect(await get(`${vip}:${port}`)).toBe("web\n");
        expect(await driftOf(masquerading)).toBeUndefined();
        expect(await driftOf(web)).toBeUndefined();
    });

    test("every port of an address, one of them by a mark of its own, and IPv6", async () => {
        const all = await create("VirtualService", "all", {
            ...{
                director: director(host),
                fwmark: 2,
                marks: [tcp("10.77.1.200", 0), { ...tcp(vip, 0), protocol: "udp" }],
            },
            ...{ vip: { external: true }, realServers: { [WEB]: { forwarding: "nat" } } },
        });
        const own = await create("VirtualService", "own", {
            ...{ director: director(host), fwmark: 3, marks: [tcp("10.77.1.200", 80)], vip: { external: true } },
        });
        const six = await create("VirtualService", "six", {
            ...{ director: director(host), fwmark: 5, family: "ipv6", marks: [tcp(vip6, 80)] },
            realServers: { "fd00:1::21": { forwarding: "nat" } },
        });
        expect(await get(`[${vip6}]`)).toBe("web\n");
        for (const each of [all, own, six]) expect(await driftOf(each)).toBeUndefined();
        const marks = await lab.sh(host, "iptables -t mangle -S PULUMI-LVS-MARK | sed -n 's/.*10.77.1.200.*xmark //p'");
        expect(marks).toBe("0x2/0xffffffff\n0x3/0xffffffff\n");
    });

    test("a rule, a mark or a jump that somebody took away or changed is drift, and comes back", async () => {
        const whole = await rules(host);
        const number = `$(iptables -t mangle -S PULUMI-LVS-MARK | sed 1d | grep -n '${vip}/80"' | cut -d: -f1)`;
        await meddle(`iptables -t mangle -D PULUMI-LVS-MARK ${number}`);
        expect(await driftOf(web)).toEqual({ [`mark iptables ipv4/tcp/${vip}/80`]: "absent" });
        web = await restored(web);
        await meddle(
            `iptables -t mangle -R PULUMI-LVS-MARK ${number} -d ${vip} -p tcp -m comment --comment ipv4/tcp/${vip}/80 -m tcp --dport 80 -j MARK --set-mark 7`,
        );
        expect(await driftOf(web)).toEqual({ [`mark iptables ipv4/tcp/${vip}/80`]: 7 });
        web = await restored(web);
        const other = `-d 10.77.1.0/24 -p tcp -m comment --comment "ipv4/tcp/${vip}/80" -m tcp --dport 81 -j MARK --set-xmark 0xffffffff/0xffffffff`;
        await meddle(`iptables -t mangle -R PULUMI-LVS-MARK ${number} ${other}`);
        expect(await driftOf(web)).toEqual({ [`mark iptables ipv4/tcp/${vip}/80`]: { rule: other } });
        web = await restored(web);
        await meddle("iptables -t nat -D POSTROUTING -j PULUMI-LVS-MASQUERADE");
        expect(await driftOf(masquerading)).toEqual({ "table iptables PULUMI-LVS": "without PULUMI-LVS-MASQUERADE" });
        masquerading = await restored(masquerading);
        expect((await rules(host)).split("\n").sort()).toEqual(whole.split("\n").sort());
        expect(await get(`${vip}:80`)).toBe("web\n");
    });

    test("the boot script sets it again, once, where a reload took it away", async () => {
        const whole = await rules(host);
        await lab.sh(
            host,
            `for p in iptables ip6tables; do
                $p -t mangle -D PREROUTING -j PULUMI-LVS-MARK; $p -t mangle -F PULUMI-LVS-MARK; $p -t mangle -X PULUMI-LVS-MARK
                $p -t nat -F PULUMI-LVS-MASQUERADE
            done`,
        );
        // Without the mark it is the director's own web server.
        expect(await get(`${vip}:80`)).toBe(`${host}\n`);
        for (const _ of [1, 2]) {
            await lab.sh(host, "sh /var/lib/pulumi-lvs/boot");
            expect((await rules(host)).split("\n").sort()).toEqual(whole.split("\n").sort());
        }
        expect(await get(`${vip}:80`)).toBe("web\n");
    });

    test("a real server that redirects what comes by a tunnel tells clients a size that fits it", async () => {
        const tunnelled = { director: director("web"), ...tcp("10.77.1.160", 80) };
        await create("VirtualService", "tunnelled", tunnelled);
        const server = await create("RealServer", "server", {
            ...{ service: tunnelled, address, connection: host, forwarding: "tun", accept: "redirect" },
        });
        const listen =
            "timeout 20 tcpdump -c 1 -nni eth0 'src host 10.77.1.160 and tcp[tcpflags] & tcp-syn != 0' 2> /dev/null";
        const answer = await lab.sh("client", `${listen} & sleep 2; curl -sS -m 10 http://10.77.1.160/; wait`);
        expect(answer).toContain(`${host}\n`);
        // 1500 less 20 and 40.
        expect(/mss (\d+)/.exec(answer)?.[1]).toBe("1440");
        expect(await driftOf(server)).toBeUndefined();
        await meddle("iptables -t mangle -F PULUMI-LVS-MSS");
        expect(await driftOf(server)).toEqual({ [`mss iptables ipv4/tcp/${address}/80`]: "absent" });
        await restored(server);
    });

    test("a chain that somebody's own rules jump to is left, empty and told, and taken up again", async () => {
        const jump = "PREROUTING -s 203.0.113.9/32 -j PULUMI-LVS-REDIRECT";
        const goto = "OTHERS -g PULUMI-LVS-MASQUERADE";
        await meddle(`iptables -t nat -A ${goto}; iptables -t nat -A ${jump}`);
        expect(await driftOf(masquerading)).toBeUndefined();
        for (const state of [...made].reverse()) await provider.delete(state);
        made = [];
        const held = await rules(host);
        expect(
            held
                .split("\n")
                .filter((line) => line.includes("PULUMI-LVS"))
                .sort(),
        ).toEqual([...[`-A ${goto}`, `-A ${jump}`], ...["-N PULUMI-LVS-MASQUERADE", "-N PULUMI-LVS-REDIRECT"]]);
        const again = await create("Director", "again", {
            ...director(host),
            masquerade: [{ source: "fd00:1::/64" }, { source: "10.77.1.0/24" }],
        });
        expect(await driftOf(again)).toBeUndefined();
        await lab.sh(host, `iptables -t nat -D ${goto}; iptables -t nat -D ${jump}`);
    });

    test("nothing of it stays, and what others have there is as it was", async () => {
        const held = await rules(host);
        for (const line of before.split("\n")) expect(held).toContain(line);
        for (const state of [...made].reverse()) await provider.delete(state);
        expect(await rules(host)).toBe(before);
        expect(
            await lab.sh(host, "ls -A /var/lib/pulumi-lvs /etc/systemd/system/pulumi-lvs* 2> /dev/null; ipvsadm -Sn"),
        ).toBe("");
    });
});
