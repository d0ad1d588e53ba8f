/**
 * Traffic through the VIP while everything that may change in place is changed: slow downloads, each an established
 * connection that lives through a change, and new connections beside them. One stack goes through all three forwarding
 * methods on one farm.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as lvs from "pulumi-lvs";
import { type Lab, root, startLab } from "../support/lab";
import { makeStack, type Summary, type TestStack } from "../support/stack";

/** New connections for each forwarding method, at the least; and without a change, as the control. */
const CONNECTIONS = 10_000;
const CONTROL = 3_000;
/** Of one run of `ab`. */
const CHUNK = 100;
/** Bytes of a slow download, and bytes per second. */
const SIZE = 40_000;
const RATE = 8_000;
/**
 * Seconds that the load goes on after the last change: so long the kernel remembers a connection of which it saw one half
 * (dr, tun) after its end, and a client that uses its port again meets it.
 */
const REMEMBERED = 130;
/** Slow downloads at a time. */
const STREAMS = 6;

const VIP = "10.77.1.100";
const addresses = { web1: "10.77.1.21", web2: "10.77.1.22" };
type Server = keyof typeof addresses;
type Method = "nat" | "dr" | "tun";

let lab: Lab;
let stack: TestStack;
const declared = {
    method: "nat" as Method,
    scheduler: "wrr" as lvs.VirtualServiceArgs["scheduler"],
    weight: 1,
    prefix: "",
    servers: ["web1", "web2"] as Server[],
};

async function program(): Promise<void> {
    const { method, scheduler, weight, prefix, servers } = declared;
    const director = new lvs.Director("lb1", {
        connection: "lb1",
        interface: "eth0",
        sysctls: { "net.ipv4.vs.conn_reuse_mode": 3 },
    });
    const service = new lvs.VirtualService(`${prefix}web`, {
        director,
        protocol: "tcp",
        address: VIP,
        port: 80,
        scheduler,
    });
    for (const name of servers) {
        new lvs.RealServer(`${prefix}${name}`, {
            service,
            address: addresses[name],
            forwarding: method,
            weight: name === "web1" ? weight : 1,
            connection: name,
            drain: { timeout: 120 },
        });
    }
}

/** nginx: keep-alive, a fast page and a slow download. Answers by nat go back by the director, all others do not. */
const serve = (address: string) => `cat >/run/web.conf <<'CONF'
worker_processes 1; pid /run/web.pid; error_log /run/web.log;
events { worker_connections 1024; }
http {
    access_log off; add_header X-Host $hostname;
    server { listen 80 backlog=1024; root /srv/www; location /slow { limit_rate ${RATE}; } }
}
CONF
mkdir -p /srv/www; hostname >/srv/www/index.html; head -c ${SIZE} /dev/zero >/srv/www/slow
nginx -c /run/web.conf
ip route add default via 10.77.1.10 table 9
ip rule add from ${address} to 10.77.9.0/24 table 9
sysctl -qw net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.eth0.accept_redirects=0`;

/** Slow downloads one after the other, several at a time, until `stop`: each line is a status, a size and a host. */
const download = `rm -rf /run/load; mkdir /run/load
for n in $(seq ${STREAMS}); do
    setsid sh -c 'while [ ! -e /run/load/stop ]; do
        curl -sS -m 110 -o /dev/null -w "%{http_code} %{size_download} %header{x-host}\\n" http://${VIP}/slow 2>&1
    done >/run/load/'$n'; touch /run/load/'$n'.ended' </dev/null >/dev/null 2>&1 &
done`;

interface Downloads {
    stop(): Promise<{ done: Record<string, number>; failures: string[] }>;
}

async function startDownloads(): Promise<Downloads> {
    await lab.sh("client", download);
    return {
        async stop() {
            const all = await lab.sh(
                "client",
                `touch /run/load/stop; for i in $(seq 1200); do set -- /run/load/*.ended; [ $# -ge ${STREAMS} ] && break; sleep 0.1; done; cat /run/load/[0-9]`,
            );
            const done: Record<string, number> = {};
            const failures: string[] = [];
            for (const line of all.trim().split("\n")) {
                const host = new RegExp(`^200 ${SIZE} (\\S+)$`).exec(line)?.[1];
                if (host === undefined) failures.push(line);
                else done[host] = (done[host] ?? 0) + 1;
            }
            return { done, failures };
        },
    };
}

/** Waits until every real server is in the middle of an answer. */
const serving = (servers: Server[]) =>
    Promise.all(
        servers.map((host) =>
            lab.sh(
                host,
                "i=0; until [ -n \"$(ss -Htn state established '( sport = :80 )')\" ]; do i=$((i+1)); [ $i -lt 300 ]; sleep 0.1; done",
            ),
        ),
    );

interface Burst {
    connections: number;
    /** Each as `ab` says it, with the second when it was said. */
    failures: string[];
    /** A second. */
    rate: number;
}

const client = async () => `at ${(await lab.sh("client", "date +%s.%1N")).trim()}`;

/** New connections by `ab`, as fast as they go: as many as are wanted, and on until the work beside them is done. */
async function burst(wanted: number, during: () => Promise<void> = async () => {}): Promise<Burst> {
    // It ends its chunk at the first error of a socket.
    const loop = `rm -f /run/enough; n=0
while [ $n -lt ${wanted} ] || [ ! -e /run/enough ]; do
    ab -q -s 100 -n ${CHUNK} -c 8 http://${VIP}/ 2>&1 || echo "Failed requests: 1"
    echo "at $(date +%s.%1N)"
    n=$((n + ${CHUNK}))
done`;
    const going = lab.run("client", loop);
    try {
        await during();
    } finally {
        await lab.sh("client", "touch /run/enough");
    }
    const { status, stdout } = await going;
    expect({ status, stdout }).toEqual({ status: 0, stdout });
    const sum = (name: string) =>
        [...stdout.matchAll(new RegExp(`^${name}: +([0-9.]+)`, "gm"))].reduce(
            (total, [, each]) => total + Number(each),
            0,
        );
    const connections = sum("Complete requests");
    const failures = stdout
        .split(/^(?=at )/m)
        .filter((chunk) => /^(?:Failed requests|Non-2xx responses): +[1-9]/m.test(chunk))
        .map((chunk) => (chunk.match(/^(?:at |apr|Failed|Non-2xx| *\(Connect|Total).*/gm) ?? []).join("; "));
    return { connections, failures, rate: Math.round(connections / sum("Time taken for tests")) };
}

/** What is changed while it runs, each with what it changes in the stack. */
const changes = (next: Method): [name: string, change: () => void, expected: Summary["changes"]][] => [
    [
        "a weight",
        () => {
            declared.weight = declared.weight === 1 ? 3 : 1;
        },
        { update: 1 },
    ],
    [
        "a scheduler",
        () => {
            declared.scheduler = declared.scheduler === "wrr" ? "wlc" : "wrr";
        },
        { update: 1 },
    ],
    [
        "names of service and real servers",
        () => {
            declared.prefix += "x";
        },
        { create: 3, delete: 3 },
    ],
    [
        "a real server that is drained and removed",
        () => {
            declared.servers = ["web1"];
        },
        { delete: 1 },
    ],
    [
        "a real server that is added",
        () => {
            declared.servers = ["web1", "web2"];
        },
        { create: 1 },
    ],
    [
        `${next} as the forwarding method`,
        () => {
            declared.method = next;
        },
        { update: 2 },
    ],
];

const methods: Method[] = ["nat", "dr", "tun"];

describe("under load", () => {
    beforeAll(async () => {
        lab = await startLab(join(root, "examples", "dr", "lab.json"));
        stack = await makeStack({ program, config: { "lvs:hosts": lab.lvsHosts("lb1", "web1", "web2") } });
        await Promise.all([
            ...Object.entries(addresses).map(([host, address]) => lab.sh(host, serve(address))),
            // A director on one arm: it must not tell real servers of the shorter way.
            lab.sh("lb1", "sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0"),
        ]);
        await stack.up();
    });
    afterAll(async () => {
        await stack?.remove();
        await lab?.down();
    });

    describe.each(methods.map((method, at) => [method, methods[(at + 1) % methods.length]!] as const))(
        "by %s",
        (method, next) => {
            test("no request fails while it is changed, neither an established one nor a new one", async () => {
                if (declared.method !== method) {
                    declared.method = method;
                    await stack.up();
                }
                const control = await burst(CONTROL);
                const downloads = await startDownloads();
                const log: string[] = [];
                const under = await burst(CONNECTIONS, async () => {
                    for (const [name, change, expected] of changes(next)) {
                        await serving(declared.servers);
                        change();
                        log.push(`${await client()}: ${name}`);
                        expect({ name, changes: (await stack.up()).changes }).toEqual({ name, changes: expected });
                    }
                    log.push(`${await client()}: done`);
                    await sleep(REMEMBERED * 1000);
                });
                const { done, failures } = await downloads.stop();
                console.log(
                    `${method}: ${log.join(", ")}: ${JSON.stringify(done)} downloads; new connections: ${JSON.stringify(under)}, without a change ${JSON.stringify(control)}`,
                );
                expect(failures).toEqual([]);
                expect(control.failures).toEqual([]);
                expect(under.failures).toEqual([]);
            }, 1_500_000);
        },
    );
});
