/**
 * A full machine with systemd that is a director and a real server at once, with everything declared that a host can
 * have: what it is after a reboot, and after what an operator restarts and reloads, is what it was before.
 */
import { join } from "node:path";
import type { ResourceType } from "../../provider/dynamic/shim";
import { type Properties, ProviderProcess, type State } from "../protocol/support/process";
import { type Lab, startLab } from "../support/lab";
import { expectPicture, pictureOf, settled } from "../support/machine";

const STACK = "organization/shop/prod";
const owner = (type: ResourceType, name: string) => ({ owner: `${STACK}#${type}/${name}` });
const director = { name: "machine", connection: "machine", interface: "eth0" };
const OWN = "10.77.1.10";
const OWN6 = "fd00:1::10";

const virtualServices: Record<string, Properties> = {
    "tcp/10.77.1.100:80": {
        scheduler: "sh",
        schedulerFlags: ["sh-fallback", "sh-port"],
        realServers: {
            "10.77.1.21": { weight: 3, upperThreshold: 100, lowerThreshold: 50 },
            "10.77.1.22": { weight: 0 },
        },
    },
    "udp/10.77.1.101:53": {
        scheduler: "rr",
        onePacket: true,
        realServers: { "10.77.2.21:5353": { forwarding: "nat", weight: 2 } },
    },
    "tcp/[fd00:1::100]:443": {
        persistence: { timeout: 600, netmask: 64 },
        realServers: { "[fd00:1::21]:443": { forwarding: "tun", tunnel: { type: "ipip" } } },
    },
    "udp/10.77.2.100:5060": {
        scheduler: "wrr",
        persistence: { timeout: 90, engine: "sip" },
        vip: { interface: "eth1" },
        realServers: { "10.77.2.22": { upperThreshold: 7 } },
    },
    "fwm/4294967295": {
        scheduler: "mh",
        schedulerFlags: ["mh-fallback"],
        persistence: { timeout: 120, netmask: "255.255.255.0" },
        marks: [
            { protocol: "tcp", address: "10.77.1.102", port: 80 },
            { protocol: "udp", address: "10.77.1.102", port: 443 },
        ],
        realServers: {
            "10.77.1.21": {
                forwarding: "tun",
                tunnel: { type: "gue", port: 6080, checksum: "remcsum" },
                weight: 65535,
            },
            "10.77.1.22": { forwarding: "tun", tunnel: { type: "gre", checksum: "csum" } },
        },
    },
    "fwm6/4294967294": {
        marks: [{ protocol: "tcp", address: "fd00:1::102", port: 8080 }],
        realServers: { "fd00:1::22": {} },
    },
};

/** A service whose VIP is not this director's: the machine is a real server of it. */
const elsewhere = (protocol: string, address: string, port: number) => ({ protocol, address, port });

const resources: [ResourceType, Properties][] = [
    [
        "Director",
        {
            ...director,
            ...owner("Director", "machine"),
            virtualServices,
            ipForward: true,
            connTabBits: 14,
            sysctls: {
                "net.ipv4.vs.expire_nodest_conn": "1",
                "net.ipv4.vs.sync_threshold": "4 60",
                "net.core.somaxconn": "5000",
            },
            timeouts: { tcp: 800, tcpfin: 60, udp: 77 },
            masquerade: [
                { source: "192.168.0.0/16" },
                { source: "192.168.1.0/24", destination: "10.0.0.0/8" },
                { source: "fd00:9::/64" },
            ],
            sync: {
                master: { interface: "eth0", syncid: 3, ttl: 2 },
                backup: { interface: "eth1", syncid: 4, group: "224.0.0.82", port: 8900 },
            },
            ftp: { ports: [21, 2121] },
        },
    ],
    ...[
        elsewhere("tcp", "10.77.1.200", 80),
        elsewhere("tcp", "10.77.1.201", 80),
        elsewhere("sctp", "10.77.1.202", 9),
        elsewhere("tcp", "fd00:1::203", 80),
    ].map((identity, at): [ResourceType, Properties] => [
        "VirtualService",
        { director, ...identity, vip: { external: true }, ...owner("VirtualService", `elsewhere${at}`) },
    ]),
    ...(
        [
            [elsewhere("tcp", "10.77.1.200", 80), OWN, { forwarding: "dr", weight: 5, upperThreshold: 40 }],
            [elsewhere("tcp", "10.77.1.201", 80), OWN, { forwarding: "tun", tunnel: { type: "gue", port: 6080 } }],
            [
                elsewhere("sctp", "10.77.1.202", 9),
                OWN,
                { forwarding: "tun", tunnel: { type: "gre", checksum: "csum" } },
            ],
            [elsewhere("tcp", "fd00:1::203", 80), OWN6, { forwarding: "tun" }],
        ] as const
    ).map(([identity, address, rule], at): [ResourceType, Properties] => [
        "RealServer",
        {
            service: { director: { name: "machine", connection: "machine" }, ...identity },
            ...{ address, connection: "machine", ...rule },
            ...owner("RealServer", `own${at}`),
        },
    ]),
];

let lab: Lab;
let provider: ProviderProcess;
let states: State[];
let before: string[];

const sh = (script: string) => lab.sh("machine", script);
const picture = () => pictureOf(lab);

/** What the unit said since a moment of the machine's clock. */
const said = (since: string) => sh(`journalctl -q -o cat -t sh --since "@${since.trim()}"`);

/** Waits until the machine has booted once more and lets us in, at most five minutes. */
async function rebooted(bootId: string): Promise<void> {
    for (const end = Date.now() + 300_000; Date.now() < end; await new Promise((done) => setTimeout(done, 1000))) {
        const { status, stdout } = await lab.run("machine", "cat /proc/sys/kernel/random/boot_id");
        if (status === 0 && stdout !== bootId) return;
    }
    throw new Error("the machine did not come back");
}

describe("a full machine", () => {
    beforeAll(async () => {
        lab = await startLab(join(__dirname, "machine.json"));
        // A packet filter of the host's own, which begins with a flush as Debian's does.
        await sh(
            `printf 'flush ruleset\\ntable inet host {\\n chain input { type filter hook input priority 0; }\\n}\\n' > /etc/nftables.conf
        systemctl enable --now nftables 2>&1`,
        );
        provider = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts(), "lvs:commandTimeout": "900" });
        states = [];
        for (const [type, inputs] of resources) states.push(await provider.create(type, inputs));
        before = await picture();
    });

    afterAll(async () => {
        await provider?.stop();
        await lab?.down();
    });

    test("systemd finds nothing to say about the units", async () => {
        expect(await sh("cd /etc/systemd/system && systemd-analyze verify pulumi-lvs* 2>&1")).toBe("");
        expect(await sh(settled)).toBe("active\n");
    });

    test("after a reboot the machine is what it was, and what others had made is not made again by us", async () => {
        const bootId = await sh("cat /proc/sys/kernel/random/boot_id");
        await sh(
            `ipvsadm -A -t 10.77.1.50:80 -s rr
        ipvsadm -a -t 10.77.1.100:80 -r 10.77.1.99 -g
        systemctl --no-block reboot`,
        );
        await rebooted(bootId);
        expect(await sh(settled)).toBe("active\n");
        expect(await picture()).toEqual(before);
        expect(await sh("journalctl -b -q -o cat -u pulumi-lvs -t sh")).toBe("");
        // What systemd leaves out to break a cycle is another job each time.
        expect(await sh("journalctl -b -q -o cat | grep 'ordering cycle' || :")).toBe("");
    });

    test("a refresh after the reboot finds no difference", async () => {
        await provider.stop();
        provider = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts(), "lvs:commandTimeout": "900" });
        for (const state of states) {
            const found = await provider.read(state);
            expect([state.id, found?.outputs["drift"]]).toEqual([state.id, undefined]);
        }
    });

    describe("everything of ours is back, and what is beside it untouched, after", () => {
        let wanted: string[];

        beforeAll(async () => {
            await sh("ipvsadm -A -t 10.77.1.50:80 -s rr; ip addr add 10.9.9.9/32 dev lo");
            wanted = await picture();
            expect(wanted.filter((line) => !before.includes(line))).toHaveLength(3);
        });
        afterAll(() => sh("ipvsadm -D -t 10.77.1.50:80; ip addr del 10.9.9.9/32 dev lo"));

        test.each([
            "systemctl reload nftables",
            "systemctl restart nftables",
            "systemctl stop nftables; systemctl start nftables",
            "systemctl restart networking",
            // From here on systemd-networkd has eth1, on which a VIP of ours is.
            `printf '[Match]\\nName=eth1\\n[Network]\\nAddress=10.77.2.10/24\\n' > /etc/systemd/network/10-eth1.network
        systemctl start systemd-networkd`,
            "echo '#' >> /etc/systemd/network/10-eth1.network; networkctl reload",
            "systemctl restart systemd-networkd",
        ])("%s", async (command) => {
            await sh(`{ ${command}\n} 2>&1`);
            await expectPicture(lab, wanted);
            expect(await sh("nft list tables")).toBe("table inet host\ntable inet pulumi_lvs\n");
        });

        test("a VIP that somebody took off by hand does not come back by itself", async () => {
            await sh("ip addr del 10.77.2.100/32 dev eth1; sleep 5");
            expect(await sh("ip -o addr show dev eth1")).not.toContain("10.77.2.100");
            await sh("systemctl restart pulumi-lvs");
            await expectPicture(lab, wanted);
        });
    });

    test("a clone of the machine sets nothing, and says why", async () => {
        const clear = "ipvsadm -C; ip addr del 10.77.1.100/32 dev eth0; nft delete table inet pulumi_lvs";
        const { stderr } = await lab.run(
            "machine",
            `${clear}
        echo 0123456789abcdef0123456789abcdef > /tmp/other-id
        unshare -m sh -c 'mount --bind /tmp/other-id /etc/machine-id && sh /var/lib/pulumi-lvs/boot'`,
        );
        expect(stderr).toMatch(/was written on another machine .*this is 0123456789abcdef.*: it is left alone/);
        expect(await sh("ipvsadm -Sn; nft list tables; ip -o addr show dev eth0 to 10.77.1.100")).toBe(
            "table inet host\n",
        );
        await sh("systemctl restart pulumi-lvs");
        await expectPicture(lab, before);
    });

    test("a network card that was renamed leaves no VIP without its ARP settings, and the unit says which line failed", async () => {
        const rename = (from: string, to: string) =>
            `ip link set ${from} down; ip link set ${from} name ${to}; ip link set ${to} up`;
        const since = await sh("date +%s");
        const { status } = await lab.run(
            "machine",
            `${rename("eth0", "wan0")}
        ip addr del 10.77.1.200/32 dev lo
        systemctl restart pulumi-lvs`,
        );
        const text = await said(since);
        const addresses = await sh("ip -o addr show");
        const state = await sh(settled);
        const listed = await sh("systemctl status pulumi-lvs --no-pager -n 40 || :");
        await sh(rename("wan0", "eth0"));
        // A device that is renamed has its addresses' labels changed, and one that was down has lost those of IPv6.
        await sh("ip addr flush dev eth0; ifup --force eth0 2>&1; systemctl restart pulumi-lvs");
        await expectPicture(lab, before);

        expect([status === 0, state]).toEqual([false, "failed\n"]);
        // Three resources claim the setting: one's line runs, and fails for all of them.
        expect(text).toMatch(
            /^RealServer\/own\d of organization\/shop\/prod: sysctl net\.ipv4\.conf\.eth0\.arp_ignore: .*\/proc\/sys\/net\/ipv4\/conf\/eth0\/arp_ignore/m,
        );
        expect(text).toMatch(/^RealServer\/own0 of .*: address lo\/10\.77\.1\.200\/32: left out$/m);
        expect(listed).toMatch(
            /RealServer\/own\d of organization\/shop\/prod: sysctl net\.ipv4\.conf\.eth0\.arp_ignore/,
        );
        expect(addresses).not.toContain("10.77.1.200");
    });

    test("an empty /run, a lock that somebody holds and an interface that comes up late are waited for", async () => {
        await sh(
            `systemctl stop pulumi-lvs; rm -rf /run/pulumi-lvs
        ip addr flush dev eth0; ip link set eth0 down; ipvsadm -C
        mkdir /run/pulumi-lvs
        setsid flock -o /run/pulumi-lvs/lock sh -c 'sleep 3; (sleep 2; ifup --force eth0) &' > /dev/null 2>&1 < /dev/null &
        sleep 1
        systemctl start pulumi-lvs`,
        );
        await expectPicture(lab, before);
        expect(await sh(settled)).toBe("active\n");
    });
});
