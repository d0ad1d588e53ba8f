/**
 * What rules a host's packet filter and its network in practice: ufw, firewalld and NetworkManager, each really there on a
 * full machine. What they reload and restart takes nothing of ours, and what they drop is told.
 */
import { join } from "node:path";
import type { ResourceType } from "../../provider/dynamic/shim";
import { type Properties, ProviderProcess, type State } from "../protocol/support/process";
import { type Lab, startLab } from "../support/lab";
import { expectPicture, pictureOf } from "../support/machine";
import { installOn } from "../support/packages";

const STACK = "organization/shop/prod";
const owner = (type: ResourceType, name: string) => ({ owner: `${STACK}#${type}/${name}` });
const director = { name: "machine", connection: "machine", interface: "eth0" };
const web = { director, protocol: "tcp", address: "10.77.1.100", port: 80 };

const resources: [ResourceType, Properties][] = [
    [
        "Director",
        {
            ...{ ...director, ...owner("Director", "machine"), timeouts: { udp: 77 } },
            masquerade: [{ source: "192.168.0.0/16" }, { source: "192.168.1.0/24", to: "10.77.2.10" }],
            virtualServices: {
                "udp/10.77.2.100:53": {
                    vip: { interface: "eth1" },
                    realServers: { "10.77.2.21": { forwarding: "nat" } },
                },
                "fwm/7": {
                    marks: [
                        { protocol: "tcp", address: "10.77.1.102", port: 80 },
                        { protocol: "tcp", address: "10.77.1.102", port: "8000-8100" },
                    ],
                    realServers: { "10.77.1.21": {} },
                },
            },
        },
    ],
    [
        "VirtualService",
        { ...web, address: "10.77.1.200", vip: { external: true }, ...owner("VirtualService", "other") },
    ],
    [
        "RealServer",
        {
            service: {
                director: { name: "machine", connection: "machine" },
                protocol: "tcp",
                address: "10.77.1.200",
                port: 80,
            },
            ...{ address: "10.77.1.10", connection: "machine", forwarding: "dr", ...owner("RealServer", "own") },
        },
    ],
];

/** What firewall-cmd does; but an emulated firewalld may take longer than firewall-cmd waits. */
const firewalld = (method: string) =>
    `busctl --timeout=300 call org.fedoraproject.FirewallD1 /org/fedoraproject/FirewallD1 org.fedoraproject.FirewallD1 ${method}`;

let lab: Lab;
let provider: ProviderProcess;
let states: State[];
let wanted: string[];

const sh = (script: string) => lab.sh("machine", script);

beforeAll(async () => {
    lab = await startLab(join(__dirname, "machine.json"));
    await installOn(lab, "machine", "ufw", "firewalld", "network-manager");
    await sh("systemctl disable firewalld ufw NetworkManager 2>&1; systemctl daemon-reload");
    provider = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts(), "lvs:commandTimeout": "900" });
    states = [];
    for (const [type, inputs] of resources) states.push(await provider.create(type, inputs));
    // Somebody else's, which nobody may touch.
    await sh("ipvsadm -A -t 10.77.1.50:80 -s rr; ip addr add 10.9.9.9/32 dev lo");
    wanted = await pictureOf(lab);
}, 900_000);

afterAll(async () => {
    await provider?.stop();
    await lab?.down();
});

/** The codes that are said of a service while it is made. */
async function told(port: number): Promise<string[]> {
    await provider.stop();
    provider = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts(), "lvs:commandTimeout": "900" });
    await provider.delete(await provider.create("VirtualService", { ...web, port, ...owner("VirtualService", "web") }));
    return [...provider.output().matchAll(/\[(LVS-[A-Z-]+)\]/g)].map(([, code]) => code!);
}

describe("ufw, which lets in only what it is told", () => {
    beforeAll(async () => {
        await sh("ufw allow 22/tcp; ufw --force enable");
    });
    afterAll(() => sh("ufw --force disable; systemctl stop ufw; iptables -P INPUT ACCEPT; iptables -P FORWARD ACCEPT"));

    test.each(["ufw reload", "systemctl restart ufw", "ufw --force disable; ufw --force enable"])(
        "%s takes nothing of ours",
        async (command) => {
            await sh(`{ ${command}\n} 2>&1`);
            await expectPicture(lab, wanted);
        },
    );

    test("what it drops is told, and no longer once it lets it in", async () => {
        expect(await told(80)).toContain("LVS-INPUT-DROP");
        await sh("ufw allow 80/tcp");
        expect(await told(80)).not.toContain("LVS-INPUT-DROP");
    });
});

describe("firewalld, with its default zone", () => {
    beforeAll(async () => {
        await sh("systemctl start firewalld");
    });
    afterAll(() => sh("systemctl stop firewalld"));

    test.each([
        firewalld("reload"),
        firewalld("completeReload"),
        "systemctl reload firewalld",
        "systemctl restart firewalld",
        "systemctl stop firewalld; systemctl start firewalld",
    ])("%s takes nothing of ours", async (command) => {
        await sh(`{ ${command}\n} 2>&1`);
        await expectPicture(lab, wanted);
    });

    test("what it drops is told, and no longer once it lets it in", async () => {
        expect(await told(80)).toContain("LVS-INPUT-DROP");
        await sh("firewall-cmd --add-service=http");
        expect(await told(80)).not.toContain("LVS-INPUT-DROP");
    });
});

describe("NetworkManager, which has the interface that a VIP of ours is on", () => {
    beforeAll(async () => {
        await sh(`
mkdir -p /etc/NetworkManager/conf.d
printf '[ifupdown]\\nmanaged=true\\n[keyfile]\\nunmanaged-devices=except:interface-name:eth1\\n' > /etc/NetworkManager/conf.d/lab.conf
systemctl -q enable NetworkManager-dispatcher
systemctl start NetworkManager
nmcli connection add type ethernet ifname eth1 con-name back ipv4.method manual ipv4.addresses 10.77.2.10/24 ipv6.method disabled
nmcli connection up back
systemctl restart pulumi-lvs`);
        // It sets the interface's own address, too, and says so.
        wanted = wanted.map((line) =>
            line.replace(/^(eth1 +inet 10\.77\.2\.10\/.* global) eth1$/, "$1 noprefixroute eth1"),
        );
        await expectPicture(lab, wanted);
    }, 900_000);

    test.each([
        "systemctl restart NetworkManager",
        "systemctl stop NetworkManager; systemctl start NetworkManager",
        "nmcli general reload",
        "nmcli connection reload",
    ])("%s takes nothing of ours", async (command) => {
        await sh(`{ ${command}\n} 2>&1`);
        await expectPicture(lab, wanted);
        expect(await sh("nmcli -g GENERAL.STATE device show eth1")).toMatch(/^100/);
    });

    test.each(["nmcli device reapply eth1", "nmcli connection up back"])(
        "after %s, which makes the interface's addresses anew, all of ours is back",
        async (command) => {
            await sh(`{ ${command}\n} 2>&1`);
            await expectPicture(lab, wanted);
        },
    );
});

test("after all of that a refresh finds no difference", async () => {
    await provider.stop();
    provider = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts(), "lvs:commandTimeout": "900" });
    for (const state of states) {
        const found = await provider.read(state);
        expect([state.id, found?.outputs["drift"]]).toEqual([state.id, undefined]);
    }
});
