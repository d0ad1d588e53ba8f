/** An IPv6 VIP that comes up on another director: neighbours that are sure of the old one learn of it at once. */
import { join } from "node:path";
import { ProviderProcess } from "../protocol/support/process";
import { type Lab, startLab } from "../support/lab";

const VIP = "fd00:1::100";
const director = { name: "lb2", connection: "lb2", interface: "eth0", persistAcrossReboot: false };
const owner = "organization/shop/prod#VirtualService/web";

let lab: Lab;
let provider: ProviderProcess;

const mac = async (host: string) => (await lab.sh(host, "cat /sys/class/net/eth0/address")).trim();
const neighbour = () => lab.sh("client", `ip -6 neigh show ${VIP} dev eth0`);

/** Seconds from the moment that lb2 has the VIP, after lb1 has died with it, until the client's pings arrive there. */
async function move(): Promise<number> {
    await lab.sh("lb1", `ip link set eth0 up; ip -6 addr add ${VIP}/128 dev eth0 nodad`);
    // Sure of lb1 for minutes: by itself it would not ask again within this test.
    await lab.sh(
        "client",
        `sysctl -qw net.ipv6.neigh.eth0.base_reachable_time_ms=600000
        ip -6 neigh flush dev eth0; ping -6 -q -c 2 -i 0.2 ${VIP} >/dev/null
        setsid ping -6 -n -D -i 0.1 -w 120 ${VIP} >/tmp/pings 2>&1 </dev/null &`,
    );
    expect(await neighbour()).toMatch(new RegExp(`lladdr ${await mac("lb1")} .*REACHABLE`));
    await lab.sh("lb1", `ip -6 addr del ${VIP}/128 dev eth0; ip link set eth0 down`);
    await lab.sh(
        "lb2",
        `setsid sh -c 'until grep -qi fd000001000000000000000000000100 /proc/net/if_inet6; do sleep 0.02; done
        date +%s.%N >/tmp/begun' >/dev/null 2>&1 </dev/null &`,
    );
    const inputs = { director, protocol: "tcp", address: VIP, port: 80, owner };
    const service = await provider.create("VirtualService", inputs);
    const begun = Number(await lab.sh("lb2", "cat /tmp/begun"));
    await lab.sh("client", "sleep 4; pkill ping");
    const replies = (await lab.sh("client", "cat /tmp/pings")).matchAll(/^\[([\d.]+)\] .*bytes from/gm);
    const first = [...replies].map(([, at]) => Number(at)).find((at) => at > begun);
    expect(await neighbour()).toContain(await mac("lb2"));
    await provider.delete(service);
    return (first ?? Number.POSITIVE_INFINITY) - begun;
}

beforeAll(async () => {
    lab = await startLab(join(__dirname, "two-directors-v6.json"));
    provider = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts("lb2"), "lvs:commandTimeout": "300" });
});
afterAll(async () => {
    await provider?.stop();
    await lab?.down();
});

test("by an advertisement, where the director knows nobody", async () => {
    await lab.sh("lb2", "ip -6 neigh flush dev eth0");
    const seconds = await move();
    console.log(`advertised: ${seconds.toFixed(2)} s`);
    expect(seconds).toBeLessThan(2);
});

test("without perl by a question to each neighbour that the director knows", async () => {
    await lab.sh("lb2", "mv /usr/bin/perl /usr/bin/perl.away; ping -6 -q -c 1 fd00:1::2 >/dev/null");
    const seconds = await move();
    console.log(`asked: ${seconds.toFixed(2)} s`);
    expect(seconds).toBeLessThan(2);
});
