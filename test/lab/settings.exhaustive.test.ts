/**
 * Settings of a director that only packets can prove: on one arm it must not tell real servers of the shorter way, and
 * where it takes router advertisements it must go on doing so when it forwards.
 */
import { join } from "node:path";
import * as lvs from "pulumi-lvs";
import { type Lab, startLab } from "../support/lab";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";
import { makeStack, type TestStack } from "../support/stack";
import { httpServer } from "./http";

/** Of a burst. */
const REQUESTS = 20;
/** Seconds that a router advertisement holds, and between two of them. */
const LIFETIME = 9;
const INTERVAL = 2;
const VIP6 = "fd00:1::100";

let lab: Lab;
let stack: TestStack;
let before: Record<string, Snapshot>;

const program = (vip: string, realServer: { address: string; gateway?: string }) => async (): Promise<void> => {
    const director = new lvs.Director("lb1", { connection: "lb1", interface: "eth0" });
    const service = new lvs.VirtualService("web", {
        director,
        protocol: "tcp",
        address: vip,
        port: 80,
        scheduler: "rr",
    });
    new lvs.RealServer("web1", { service, connection: "web1", forwarding: "nat", ...realServer });
};

const url = (vip: string) => `http://${vip.includes(":") ? `[${vip}]` : vip}`;
/** How many requests, one after the other, were answered. */
const answered = async (host: string, vip: string, count = REQUESTS) => {
    const { stdout } = await lab.run(
        host,
        `for i in $(seq ${count}); do curl -gs -m 3 ${url(vip)}/ || echo none; done`,
    );
    return stdout.split("\n").filter((line) => line === "web1").length;
};
/**
 * Slow downloads, as long as they come whole. The kernel obeys a redirect for a connection that stands, of which nobody
 * is just writing to the socket; it sends few of them, and the first one may only make the real server ask for its new
 * neighbour. So there are several downloads, and small windows: what is sent waits for what the client has read.
 */
const downloads = async (host: string, vip: string) =>
    (
        await lab.run(
            host,
            `for i in 1 2 3 4 5; do curl -gsf -m 12 --limit-rate 100k -o /dev/null ${url(vip)}/big || exit 1; done`,
        )
    ).status === 0;
/** Redirects that the director has sent. */
const redirects = async (counter: "IcmpOutRedirects" | "Icmp6OutRedirects") =>
    Number(/ (\d+) /.exec((await lab.sh("lb1", `nstat -asz ${counter}`)).split(counter)[1]!)?.[1]);
const settings = (names: string[]) => lab.sh("lb1", `sysctl -n ${names.join(" ")}`);

/** As it was; a route by advertisement has another time to live at each look. */
const look = () => snapshots({ ...lab, hosts: { lb1: lab.hosts["lb1"]!, web1: lab.hosts["web1"]! } });
const expectAsFound = async () => {
    const text = JSON.stringify(comparable(before, await look()));
    const [expected, found] = JSON.parse(text.replace(/ expires -?\d+sec/g, ""));
    expect(found).toEqual(expected);
};

beforeAll(async () => {
    lab = await startLab(join(__dirname, "settings.json"));
    stack = await makeStack({
        program: async () => {},
        config: { "lvs:hosts": lab.lvsHosts("lb1", "web1") },
    });
    await lab.sh("web1", `${httpServer}; head -c 300000 /dev/zero >/srv/www/big`);
    for (const host of ["client", "near"]) await lab.sh(host, "sysctl -qw net.ipv4.tcp_rmem='4096 16384 32768'");
});
afterAll(async () => {
    await stack?.remove();
    await lab?.down();
});

describe.each([
    {
        what: "a client in its segment, where the director knows no router",
        ...{ client: "near", address: "10.77.1.5", vip: "10.77.1.100", route: "" },
    },
    {
        what: "a client beyond the segment's router, by a VIP that is routed to the director",
        ...{ client: "client", address: "10.77.9.2", vip: "10.77.8.100", route: "default via 10.77.1.1" },
    },
])("by nat on one arm, $what", ({ client, address, vip, route }) => {
    const names = ["net.ipv4.conf.all.send_redirects", "net.ipv4.conf.eth0.send_redirects"];
    const way = () => lab.sh("web1", `ip route get ${address}`);

    beforeAll(async () => {
        if (route !== "") await lab.sh("lb1", `ip route add ${route}`);
        before = await look();
        await stack.use(program(vip, { address: "10.77.1.21", gateway: "10.77.1.10" }));
    });
    afterAll(async () => {
        if (route !== "") await lab.sh("lb1", `ip route del ${route}`);
    });

    test("every request is answered, by a real server that would obey a redirect, and the director sends none", async () => {
        expect(
            await lab.sh("web1", "sysctl -n net.ipv4.conf.all.accept_redirects net.ipv4.conf.eth0.accept_redirects"),
        ).toBe("1\n1\n");
        expect(await settings(names)).toBe("1\n1\n");
        await stack.up();
        expect(await settings(names)).toBe("0\n0\n");
        const earlier = await redirects("IcmpOutRedirects");
        expect(await downloads(client, vip)).toBe(true);
        expect(await answered(client, vip)).toBe(REQUESTS);
        expect(await redirects("IcmpOutRedirects")).toBe(earlier);
        expect(await way()).toContain("via 10.77.1.10 ");
    });

    test("with the kernel's own setting it does, the real server answers past it, and no request is answered; up repairs it", async () => {
        const earlier = await redirects("IcmpOutRedirects");
        await lab.sh("lb1", `sysctl -qw ${names.map((name) => `${name}=1`).join(" ")}`);
        const whole = await downloads(client, vip);
        const answers = await answered(client, vip, 2);
        const sent = (await redirects("IcmpOutRedirects")) - earlier;
        console.log(`redirects: ${sent}`);
        expect(sent).toBeGreaterThan(0);
        expect({ whole, answers }).toEqual({ whole: false, answers: 0 });
        expect(await way()).not.toContain("via 10.77.1.10 ");
        expect((await stack.up({ refresh: true })).changes).toEqual({ update: 1 });
        // The real server remembers for minutes.
        await lab.sh("web1", "ip route flush cache");
        expect(await downloads(client, vip)).toBe(true);
        expect(await answered(client, vip)).toBe(REQUESTS);
        expect(await redirects("IcmpOutRedirects")).toBe(earlier + sent);
    });

    test("destroy gives the settings back", async () => {
        await stack.destroy();
        expect(await settings(names)).toBe("1\n1\n");
        await expectAsFound();
    });
});

describe("a director that has its IPv6 default route by router advertisement", () => {
    const names = ["net.ipv6.conf.all.forwarding", "net.ipv6.conf.eth0.accept_ra"];
    const advertise = `setsid python3 -c '
import socket, struct, time
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
while True:
    s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, ${LIFETIME}, 0, 0), ("ff02::1", 0, 0, socket.if_nametoindex("eth1")))
    time.sleep(${INTERVAL})
' </dev/null >/dev/null 2>&1 & echo $!`;
    const route = () => lab.sh("lb1", "ip -6 route show default dev eth0");
    const advertised = /^default via fe80::\S+ proto ra .*expires \d+sec/;
    /** Whether there is a way to the client; a route that has expired may be shown for a while, but is none. */
    const hasWay = async () => (await lab.run("lb1", "ip -6 route get fd00:9::2")).status === 0;
    const seconds = (count: number) => lab.sh("lb1", `sleep ${count}`);
    const untilAdvertised = () => seconds(2 * INTERVAL);

    /** The real server's way back. */
    let back: string;

    beforeAll(async () => {
        await lab.sh("router", advertise);
        const own = await lab.sh("lb1", "ip -6 -o addr show dev eth0 scope link");
        // As by an advertisement of the director's own.
        back = `default via ${/fe80::[^/]+/.exec(own)![0]} dev eth0 metric 1`;
        await lab.sh("web1", `ip -6 route add ${back}`);
        await untilAdvertised();
        before = await look();
        await stack.use(program(VIP6, { address: "fd00:1::21" }));
    });

    test("left alone would lose it in the moment that it forwards, and for good", async () => {
        expect(await route()).toMatch(advertised);
        await lab.sh("lb1", "sysctl -qw net.ipv6.conf.all.forwarding=1");
        expect(await route()).toBe("");
        await untilAdvertised();
        expect(await route()).toBe("");
        await lab.sh("lb1", "sysctl -qw net.ipv6.conf.all.forwarding=0");
        await untilAdvertised();
        expect(await route()).toMatch(advertised);
    });

    test("keeps it when up makes it forward, has it renewed, and answers clients beyond that router", async () => {
        expect(await settings(names)).toBe("0\n1\n");
        await lab.sh("lb1", "setsid ip -6 monitor route >/tmp/moved 2>&1 </dev/null &");
        await stack.up();
        expect(await settings(names)).toBe("1\n2\n");
        expect(await route()).toMatch(advertised);
        await seconds(LIFETIME + INTERVAL);
        expect(await route()).toMatch(advertised);
        expect(await lab.sh("lb1", "cat /tmp/moved")).not.toContain("Deleted default");
        expect(await answered("client", VIP6)).toBe(REQUESTS);
    });

    test("is obeyed by no real server when it tells of the shorter way, which over IPv6 it cannot be kept from", async () => {
        const earlier = await redirects("Icmp6OutRedirects");
        expect(await downloads("client", VIP6)).toBe(true);
        expect(await redirects("Icmp6OutRedirects")).toBeGreaterThan(earlier);
        await lab.sh("web1", "sysctl -qw net.ipv6.conf.eth0.accept_redirects=1");
        expect(await downloads("client", VIP6)).toBe(false);
        expect(await answered("client", VIP6, 2)).toBe(0);
        // With the route goes what the real server remembers.
        await lab.sh(
            "web1",
            `sysctl -qw net.ipv6.conf.eth0.accept_redirects=0; ip -6 route del ${back}; ip -6 route add ${back}`,
        );
        expect(await downloads("client", VIP6)).toBe(true);
        expect(await answered("client", VIP6)).toBe(REQUESTS);
    });

    test("has it no longer than the last advertisement holds where accept_ra is 1 again, which is drift", async () => {
        await lab.sh("lb1", "sysctl -qw net.ipv6.conf.eth0.accept_ra=1");
        await seconds(LIFETIME + INTERVAL);
        expect(await hasWay()).toBe(false);
        expect(await answered("client", VIP6, 2)).toBe(0);
        expect((await stack.up({ refresh: true })).changes).toEqual({ update: 1 });
        expect(await settings(names)).toBe("1\n2\n");
        await untilAdvertised();
        expect(await hasWay()).toBe(true);
        expect(await answered("client", VIP6, 2)).toBe(2);
        expect((await stack.up({ refresh: true })).changes).toEqual({});
    });

    test("keeps it by the boot script too", async () => {
        await lab.sh("lb1", "sysctl -qw net.ipv6.conf.all.forwarding=0 net.ipv6.conf.eth0.accept_ra=1");
        for (const _ of ["once", "twice"]) {
            await lab.sh("lb1", "sh /var/lib/pulumi-lvs/boot");
            expect(await settings(names)).toBe("1\n2\n");
            expect(await route()).toMatch(advertised);
        }
        await seconds(LIFETIME + INTERVAL);
        expect(await hasWay()).toBe(true);
    });

    test("has it still when destroy has put everything back", async () => {
        await stack.destroy();
        expect(await settings(names)).toBe("0\n1\n");
        await seconds(LIFETIME + INTERVAL);
        expect(await route()).toMatch(advertised);
        await expectAsFound();
    });
});
