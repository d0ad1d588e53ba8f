import { join } from "node:path";
import * as lvs from "pulumi-lvs";
import { type Lab, root, startLab } from "../support/lab";
import { answersOf } from "../support/load";
import { secretsShown } from "../support/secrets";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";
import { makeStack, type TestStack } from "../support/stack";
import { httpRequest, httpServer } from "./http";

const VIP = "10.77.1.100";
/** Web pages by one mark, without and with persistence; of a range, one port that something listens on. */
const PORTS = [80, 8080, "9000-9100"];
const WITHIN = 9050;
const STICKY = [8081, 8443];

/**
 * Web, DNS, mail and SCTP services of one farm, on a director with everything of the whole host set. The real servers of
 * the first service bring the VIP to their hosts, for all.
 */
async function program(): Promise<void> {
    const director = new lvs.Director("lb1", {
        connection: "lb1",
        interface: "eth0",
        sysctls: { "net.ipv4.vs.expire_nodest_conn": 1 },
        timeouts: { udp: 77 },
        masquerade: [
            { source: "192.168.0.0/16" },
            { source: "192.168.1.0/24", destination: "10.0.0.0/8", to: "10.77.1.10" },
        ],
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
    const realServers = { "10.77.1.21": {}, "10.77.1.22": {} };
    new lvs.VirtualService("sticky", {
        ...{ director, fwmark: 7, marks: STICKY.map((port) => ({ protocol: "tcp" as const, address: VIP, port })) },
        ...{ scheduler: "rr", persistence: { timeout: 60 }, realServers },
    });
    const others = { director, address: VIP, scheduler: "rr" as const, realServers };
    new lvs.VirtualService("dns", { ...others, protocol: "udp", port: 53, onePacket: true });
    new lvs.VirtualService("mail", { ...others, protocol: "tcp", port: 25 });
    new lvs.VirtualService("sctp", { ...others, protocol: "sctp", port: 7000 });
}

/** Our masquerading, as nft lists it. */
const RULES = / (masquerade|snat ip to \S+) comment /g;

/** The web server on one more port. */
const alsoOn = (port: number): string => `busybox httpd -p ${port} -h /srv/www`;

/** Waits until something listens. */
const listens = (protocol: "tcp" | "sctp", port: number): string =>
    `i=0; until ss -Hln --${protocol} | grep -q ":${port} "; do i=$((i+1)); [ $i -lt 300 ] || exit 1; sleep 0.1; done`;

const SCTP_SERVER = `
import socket
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
listener.bind(("${VIP}", 7000))
listener.listen(8)
for _ in range(100):
    connection, _ = listener.accept()
    connection.sendall(socket.gethostname().encode() + b"\\n")
    connection.close()`;

const SCTP_CLIENT = `
import socket
connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
connection.settimeout(20)
connection.connect(("${VIP}", 7000))
print(connection.recv(100).decode(), end="")`;

describe("services of every kind", () => {
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

    test("by firewall mark: what arrives for its addresses is shared by weight", async () => {
        expect((await stack.up()).changes).toEqual({ create: 9 });
        expect(await answersOf(lab, "client", httpRequest(VIP), 12)).toEqual({ web1: 8, web2: 4 });
        await Promise.all(["web1", "web2"].map((host) => lab.sh(host, alsoOn(WITHIN))));
        expect(await answersOf(lab, "client", httpRequest(`${VIP}:${WITHIN}`), 3)).toEqual({ web1: 2, web2: 1 });
    });

    test("by firewall mark with persistence: a client has one real server on both ports", async () => {
        await Promise.all(["web1", "web2"].map((host) => lab.sh(host, STICKY.map(alsoOn).join("; "))));
        const requests = STICKY.map((port) => httpRequest(`${VIP}:${port}`)).join(" && ");
        const answers = await answersOf(lab, "client", `(${requests})`, 3);
        expect(Object.values(answers)).toEqual([6]);
    });

    test("DNS with one-packet scheduling: questions from one port go to one real server after the other", async () => {
        await Promise.all(
            ["web1", "web2"].map((host) =>
                lab.sh(
                    host,
                    `dnsmasq --no-resolv --no-hosts --bind-interfaces --listen-address=${VIP} --txt-record=who.lab,${host}`,
                ),
            ),
        );
        const answers = await answersOf(lab, "client", `dig +short -b 0.0.0.0#5300 @${VIP} who.lab TXT`, 4);
        expect(answers).toEqual({ '"web1"': 2, '"web2"': 2 });
        expect(await lab.sh("lb1", `ipvsadm -Ln -u ${VIP}:53`)).toMatch(/^UDP +10\.77\.1\.100:53 rr ops$/m);
    });

    test("mail: the banner is that of one real server after the other", async () => {
        const server = `setsid python3 -W ignore -m smtpd -n -c DebuggingServer ${VIP}:25 >/dev/null 2>&1 </dev/null &`;
        await Promise.all(["web1", "web2"].map((host) => lab.sh(host, `${server}\n${listens("tcp", 25)}`)));
        const banner = `printf 'QUIT\\r\\n' | nc -w 10 ${VIP} 25 | sed -n 's/^220 \\([^ .]*\\).*/\\1/p'`;
        expect(await answersOf(lab, "client", banner, 4)).toEqual({ web1: 2, web2: 2 });
    });

    test("SCTP: an association is that of one real server after the other", async () => {
        const server = `setsid python3 -c '${SCTP_SERVER}' >/dev/null 2>&1 </dev/null &`;
        await Promise.all(["web1", "web2"].map((host) => lab.sh(host, `${server}\n${listens("sctp", 7000)}`)));
        const answers = await answersOf(lab, "client", `python3 -c '${SCTP_CLIENT}'`, 4);
        expect(answers).toEqual({ web1: 2, web2: 2 });
    });

    test("stand beside timeouts, sync daemons, masquerading and settings, as they were declared", async () => {
        const listed = await lab.sh("lb1", "ipvsadm -L --timeout; ipvsadm -L --daemon; nft list ruleset");
        expect(listed).toContain("Timeout (tcp tcpfin udp): 900 120 77");
        expect(listed).toMatch(/master sync daemon \(mcast=eth0, syncid=3/);
        expect(listed).toMatch(/backup sync daemon \(mcast=eth0, syncid=3/);
        expect(listed).toMatch(/10\.77\.1\.100 \. tcp \. 8080 : 0xffffffff/);
        expect(listed.match(RULES)).toHaveLength(2);
    });

    test("a second up and a refresh change nothing", async () => {
        expect((await stack.up()).changes).toEqual({});
        expect((await stack.refresh()).changes).toEqual({});
    });

    test("what a hand or a reload took away is shown and put back: marks and masquerading", async () => {
        await lab.sh("lb1", "nft flush ruleset");
        expect((await stack.up({ refresh: true })).changes).toEqual({ update: expect.any(Number) });
        expect(await answersOf(lab, "client", httpRequest(VIP), 3)).toEqual({ web1: 2, web2: 1 });
        expect((await lab.sh("lb1", "nft list ruleset")).match(RULES)).toHaveLength(2);
    });

    test("destroy leaves every host as it was found", async () => {
        await stack.destroy();
        const [expected, found] = comparable(before, await snapshots(lab));
        expect(found).toEqual(expected);
        expect(await secretsShown(lab, stack)).toEqual([]);
    });
});
