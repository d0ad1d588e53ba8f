import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/**
 * The lab's promises, asked of its command line, because that is the interface that tests, the demo and users share.
 */

const CHECKOUT = join(__dirname, "../..");
const BIN = join(CHECKOUT, "lab/bin.mjs");
/** A copy: `up` keeps one lab for each file, and somebody may have this file's lab up. */
const SCRATCH = mkdtempSync(join(tmpdir(), "lab-test-"));
const FIVE = join(SCRATCH, "five.json");
const ONE = join(__dirname, "one-host.json");

interface Result {
    code: number | null;
    stdout: string;
    stderr: string;
}

interface Environment {
    knownHosts: string;
    hosts: Record<string, { host: string; port: number; user: string; privateKeyPath: string; hostKey: string }>;
}

/** The environment that later calls find the lab by. */
let file = "";
let environment: Environment;
let introduced: Awaited<ReturnType<typeof introductions>>;

function start(command: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const { LVS_LAB: _, ...rest } = process.env;
    return spawn(command, args, { cwd: CHECKOUT, env: { ...rest, ...env } });
}

function result(child: ChildProcess, input = ""): Promise<Result> {
    return new Promise((resolve, reject) => {
        const out = { stdout: "", stderr: "" };
        child.stdout!.setEncoding("utf8").on("data", (chunk) => {
            out.stdout += chunk;
        });
        child.stderr!.setEncoding("utf8").on("data", (chunk) => {
            out.stderr += chunk;
        });
        child.stdin!.on("error", () => {});
        child.stdin!.end(input);
        child.on("error", reject).on("close", (code) => resolve({ code, ...out }));
    });
}

function lab(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
    return result(start("node", [BIN, ...args], env));
}

function exec(host: string, argv: string[], input = ""): Promise<Result> {
    return result(start("node", [BIN, "exec", host, "--", ...argv], { LVS_LAB: file }), input);
}

/** Runs a script on a host; it must succeed. */
async function sh(host: string, script: string): Promise<string> {
    const { code, stdout, stderr } = await exec(host, ["sh", "-c", script]);
    expect({ host, script, code, stderr }).toEqual({ host, script, code: 0, stderr });
    return stdout.trim();
}

/** What each host says of itself right after booting: one connection each, since those are what takes time. */
async function introductions() {
    const questions = {
        hostname: "hostname",
        hostnameFile: "cat /etc/hostname",
        machineId: "cat /etc/machine-id",
        hostKey: "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub",
        neighbours: "ip -4 neigh show nud reachable nud stale nud delay | grep -v 'dev mgmt'",
        reversePath:
            "ip link add later type dummy; cd /proc/sys/net/ipv4/conf; grep . */rp_filter | paste -sd' '; ip link del later",
        interfaces: "ls /sys/class/net | grep -v _masters | sort | paste -sd' '",
        addresses: "ip -o addr show | awk '{print $2, $4}' | paste -sd,",
    };
    const script = Object.entries(questions).map(([name, question]) => `echo "${name}=$(${question})"`);
    const answers = await Promise.all(Object.keys(environment.hosts).map((host) => sh(host, script.join("\n"))));
    return answers.map((text) => {
        const pairs = text
            .split("\n")
            .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]);
        return Object.fromEntries(pairs) as Record<keyof typeof questions, string>;
    });
}

function accepts(port: number): Promise<boolean> {
    return new Promise((resolve) => {
        const socket = connect(port, "127.0.0.1");
        socket.on("connect", () => {
            socket.destroy();
            resolve(true);
        });
        socket.on("error", () => resolve(false));
    });
}

async function expectGone(where: string, ports: number[]) {
    expect(existsSync(where)).toBe(false);
    expect(await Promise.all(ports.map(accepts))).toEqual(ports.map(() => false));
}

beforeAll(async () => {
    copyFileSync(join(__dirname, "hosts.json"), FIVE);
    const up = await lab(["up", "--hosts", FIVE]);
    file = /^export LVS_LAB=(.*)$/m.exec(up.stdout)?.[1] ?? "";
    if (!file) throw new Error(`lab up: ${up.stderr}`);
    environment = JSON.parse(readFileSync(file, "utf8")) as Environment;
    introduced = await introductions();
});

afterAll(async () => {
    await lab(["down", "--hosts", FIVE]);
    rmSync(SCRATCH, { recursive: true });
});

describe("a host just booted", () => {
    test("knows no neighbour on the topology's networks", () => {
        expect(introduced.map(({ neighbours }) => neighbours)).toEqual(["", "", "", "", ""]);
    });

    test("filters by reverse path on every interface, those still to come included", () => {
        const [client, router, dir] = introduced;
        expect(client!.reversePath.split(" ").sort()).toEqual(
            ["all", "default", "eth0", "later", "lo", "mgmt"].map((name) => `${name}/rp_filter:1`),
        );
        expect(dir!.reversePath).toContain("eth1/rp_filter:1");
        expect(router!.reversePath).not.toContain(":1");
    });

    test("has its interfaces in the order given, and management apart", () => {
        const dir = introduced[2]!;
        expect(dir.interfaces).toBe("eth0 eth1 lo mgmt");
        expect(dir.addresses.split(",")).toEqual(
            expect.arrayContaining([
                "lo 127.0.0.1/8",
                "eth0 10.77.1.10/24",
                "eth0 fd00:1::10/64",
                "eth1 10.77.2.1/24",
                "eth1 fd00:2::1/64",
                "mgmt 100.127.255.12/24",
            ]),
        );
    });

    test("has every tool that issue and recipes name", async () => {
        const tools =
            "ipvsadm ip nft iptables sysctl conntrack socat curl python3 arping tcpdump sudo modprobe flock busybox " +
            "keepalived vsftpd dig dnsmasq nginx ab systemctl sshd";
        const missing = `for tool in ${tools}; do command -v $tool >/dev/null || echo $tool; done`;
        expect(await sh("web1", missing)).toBe("");
    });

    test("shares no directory that it writes, no name and no processes with another", async () => {
        const directories = "/etc /var /run /root /tmp";
        await sh("web1", `for d in ${directories}; do echo mine >$d/only-here; done; sleep 4711 >/dev/null 2>&1 &`);
        const found = `for d in ${directories}; do cat $d/only-here 2>/dev/null; done; pgrep -fx 'sleep 4711'`;
        expect(await sh("web1", found)).toMatch(/^(mine\n){5}\d+$/);
        expect(await sh("web2", `${found}; true`)).toBe("");
        const names = Object.keys(environment.hosts);
        expect(introduced.map(({ hostname }) => hostname)).toEqual(names);
        expect(introduced.map(({ hostnameFile }) => hostnameFile)).toEqual(names);
        expect(new Set(introduced.map(({ machineId }) => machineId)).size).toBe(names.length);
    });

    test("enables units without systemd running", async () => {
        const script = "systemctl enable nginx 2>&1; systemctl is-enabled nginx; systemctl disable nginx 2>&1";
        expect(await sh("web1", script)).toMatch(/^enabled$/m);
    });

    test("lets a user with sudo in", async () => {
        const make = [
            "useradd -m alice",
            "echo 'alice ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/alice",
            "cp -r /root/.ssh /home/alice/",
            "chown -R alice: /home/alice/.ssh",
        ];
        await sh("web2", make.join(" && "));
        const { port, privateKeyPath } = environment.hosts.web2!;
        const options = [
            "-F",
            "none",
            "-T",
            "-i",
            privateKeyPath,
            "-o",
            `UserKnownHostsFile=${environment.knownHosts}`,
        ];
        const strict = ["-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-p", String(port)];
        const child = start("ssh", [...options, ...strict, "alice@127.0.0.1", "id -un; sudo -n id -un"]);
        expect(await result(child)).toMatchObject({ code: 0, stdout: "alice\nroot\n" });
    });
});

describe("LVS_LAB", () => {
    test("names every host, its port on loopback and a key that only its owner reads", async () => {
        expect(Object.keys(environment.hosts)).toEqual(["client", "router", "dir", "web1", "web2"]);
        for (const { host, port, user, privateKeyPath } of Object.values(environment.hosts)) {
            expect({ host, user }).toEqual({ host: "127.0.0.1", user: "root" });
            expect(port).toBeGreaterThan(1024);
            expect(readFileSync(privateKeyPath, "utf8")).toMatch(/^-----BEGIN OPENSSH PRIVATE KEY-----/);
        }
    });

    test("gives the host keys that the hosts really have", () => {
        const known = readFileSync(environment.knownHosts, "utf8");
        Object.values(environment.hosts).forEach(({ port, hostKey }, at) => {
            expect(hostKey).toBe(introduced[at]!.hostKey);
            expect(known).toContain(`[127.0.0.1]:${port} ${hostKey}\n`);
        });
    });
});

describe("exec", () => {
    test("hands over arguments, input, output and exit status as they are", async () => {
        const argv = [
            "sh",
            "-c",
            'printf "%s|" "$@"; cat; echo to stderr >&2; exit 7',
            "x",
            "a b",
            "it's",
            '$HOME "q"',
            "",
            "*",
        ];
        expect(await exec("client", argv, "from stdin")).toEqual({
            code: 7,
            stdout: `a b|it's|$HOME "q"||*|from stdin`,
            stderr: "to stderr\n",
        });
    });

    test("finds a lab that is up without LVS_LAB", async () => {
        const found = await lab(["exec", "dir", "--hosts", FIVE, "--", "hostname"]);
        expect(found).toMatchObject({ code: 0, stdout: "dir\n" });
    });

    test("names the hosts there are when asked for another", async () => {
        const { code, stderr } = await exec("nobody", ["true"]);
        expect(code).toBe(1);
        expect(stderr).toContain('no host "nobody" in this lab; hosts are client, router, dir, web1, web2');
    });
});

describe("packets", () => {
    test("cross the router, IPv4 and IPv6", async () => {
        const ping = "ping -c1 -W5 10.77.1.10 >/dev/null && ping -c1 -W5 fd00:1::10 >/dev/null && echo both";
        expect(await sh("client", ping)).toBe("both");
        const settings = "cd /proc/sys/net; cat ipv4/ip_forward ipv6/conf/all/forwarding ipv4/conf/*/send_redirects";
        expect((await sh("router", settings)).split("\n").filter((value) => value !== "0")).toEqual(["1", "1"]);
    });

    test("are balanced by the kernel's IPVS over real servers", async () => {
        const serve = "mkdir -p /srv/www && hostname >/srv/www/index.html && busybox httpd -p 80 -h /srv/www";
        const direct = [
            "sysctl -qw net.ipv4.ip_forward=1",
            "ip addr add 10.77.1.100/32 dev eth0",
            "ipvsadm -A -t 10.77.1.100:80 -s rr",
            "ipvsadm -a -t 10.77.1.100:80 -r 10.77.2.21:80 -m",
            "ipvsadm -a -t 10.77.1.100:80 -r 10.77.2.22:80 -m",
        ];
        await Promise.all([sh("web1", serve), sh("web2", serve), sh("dir", direct.join(" && "))]);
        const answers = await sh("client", "for i in 1 2 3 4; do curl -sS -m 10 http://10.77.1.100/; done | sort");
        expect(answers.split("\n")).toEqual(["web1", "web1", "web2", "web2"]);
    });
});

describe("run", () => {
    test("boots a second lab beside the first, without npm's variables, and ends with COMMAND's status", async () => {
        const inside = [
            "env | grep -ic '^npm_'",
            "npm run -s lab -- exec alone -- sh -c 'echo \"$1\"; ls /root/only-here 2>&1; ip -4 -o addr show eth0' x 'a b'",
            'echo "$LVS_LAB"',
            "exit 9",
        ].join("; ");
        const { code, stdout, stderr } = await result(
            start("npm", ["run", "-s", "lab", "--", "run", "--hosts", ONE, "--", "sh", "-c", inside]),
        );
        expect({ code, stderr }).toEqual({ code: 9, stderr: expect.stringMatching(/1 host ready in \d+\.\d s/) });
        const [npm, argument, missing, address, where] = stdout.trim().split("\n");
        expect(npm).toBe("0");
        expect(argument).toBe("a b");
        expect(missing).toContain("No such file");
        expect(address).toContain("10.77.1.10/24");
        expect(where).not.toBe(file);
        await expectGone(dirname(where!), []);
        expect(await sh("dir", "hostname")).toBe("dir");
    });

    test.each(["SIGINT", "SIGKILL"] as const)("leaves no process, port or file behind after %s", async (signal) => {
        const command = 'cat "$LVS_LAB"; echo "$LVS_LAB"; exec sleep 600 >/dev/null 2>&1';
        const child = start("node", [BIN, "run", "--hosts", ONE, "--", "sh", "-c", command]);
        const ended = result(child);
        const text = await new Promise<string>((resolve) => {
            let seen = "";
            child.stdout!.on("data", (chunk) => {
                seen += chunk;
                if (/^\/.*lab\.json$/m.test(seen)) resolve(seen);
            });
        });
        const where = dirname(/^\/.*lab\.json$/m.exec(text)![0]);
        const guest = Number(readFileSync(join(where, "guest.pid"), "utf8"));
        const { hosts } = JSON.parse(text.slice(0, text.lastIndexOf("}") + 1)) as Environment;
        expect(await accepts(hosts.alone!.port)).toBe(true);
        child.kill(signal);
        expect((await ended).code).toBe(signal === "SIGINT" ? 130 : null);
        // After SIGKILL nobody is left to wait for.
        for (let waited = 0; signal === "SIGKILL" && existsSync(where) && waited < 5000; waited += 50) {
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        await expectGone(where, [hosts.alone!.port]);
        expect(existsSync(`/proc/${guest}`)).toBe(false);
    });
});

describe("down", () => {
    test("leaves no process, port or file behind", async () => {
        const where = dirname(file);
        const guest = readFileSync(join(where, "guest.pid"), "utf8").trim();
        expect(await lab(["down", "--hosts", FIVE])).toMatchObject({ code: 0, stderr: "" });
        expect(existsSync(`/proc/${guest}`)).toBe(false);
        await expectGone(
            where,
            Object.values(environment.hosts).map(({ port }) => port),
        );
    });
});

describe("a file that does not describe a lab", () => {
    const networks = { front: { subnet: "10.77.1.0/24", subnet6: "fd00:1::/64" } };
    const on = (entry: object) => ({ networks, hosts: [{ name: "a", interfaces: [{ network: "front", ...entry }] }] });
    const cases: [string, unknown, string][] = [
        [
            "an unknown network",
            on({ network: "back" }),
            'hosts[0].interfaces[0].network: unknown network "back"; networks are front',
        ],
        [
            "an address outside the subnet",
            on({ address: "10.77.2.1" }),
            "hosts[0].interfaces[0].address: 10.77.2.1 is outside 10.77.1.0/24",
        ],
        [
            "an address that is none",
            on({ address: "10.77.1.300" }),
            "hosts[0].interfaces[0].address: must be an IPv4 address",
        ],
        [
            "an IPv6 address on a network without IPv6",
            { ...on({ address6: "fd00:1::1" }), networks: { front: { subnet: "10.77.1.0/24" } } },
            'hosts[0].interfaces[0].address6: network "front" has no subnet6',
        ],
        [
            "two hosts of one name",
            { networks, hosts: [{ name: "a" }, { name: "a" }] },
            "hosts[1].name: a is already taken by hosts[0].name",
        ],
        [
            "one address twice",
            {
                networks,
                hosts: [
                    {
                        name: "a",
                        interfaces: [
                            { network: "front", address6: "fd00:1::1" },
                            { network: "front", address6: "fd00:1:0::1" },
                        ],
                    },
                ],
            },
            "hosts[0].interfaces[1].address6: fd00:1:0::1 is already taken by hosts[0].interfaces[0].address6",
        ],
        [
            "a subnet with bits behind its prefix",
            { networks: { front: { subnet: "10.77.1.1/24" } }, hosts: [{ name: "a" }] },
            "networks.front.subnet: must be an IPv4 subnet",
        ],
        [
            "the management network",
            { networks: { front: { subnet: "100.64.0.0/10" } }, hosts: [{ name: "a" }] },
            "networks.front.subnet: 100.64.0.0/10 overlaps 100.127.255.0/24",
        ],
        [
            "a gateway that is on no network of the host",
            { networks, hosts: [{ name: "a", routes: [{ to: "default", via: "10.9.9.9" }] }] },
            "hosts[0].routes[0].via: 10.9.9.9 is on no network of this host",
        ],
        [
            "a property that does not exist",
            { networks, hosts: [{ name: "a", adress: 1 }] },
            "hosts[0].adress: unknown property",
        ],
        ["no host", { networks, hosts: [] }, "hosts: is empty"],
        [
            "two hosts of which systemd is to boot one",
            { networks, init: "systemd", hosts: [{ name: "a" }, { name: "b" }] },
            'init: "systemd" boots one host',
        ],
    ];
    test.each(cases)("is refused with the property named, before anything boots: %s", async (_, value, message) => {
        const path = join(SCRATCH, "hosts.json");
        writeFileSync(path, JSON.stringify(value));
        const { code, stdout, stderr } = await lab(["run", "--hosts", path, "--", "echo", "booted"]);
        expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
        expect(stderr).toContain(message);
        expect(stderr).not.toContain("booting");
    });

    test("is refused when it is not there or not JSON", async () => {
        const path = join(SCRATCH, "broken.json");
        writeFileSync(path, "{");
        expect((await lab(["up", "--hosts", path])).stderr).toContain("is not JSON");
        expect((await lab(["up", "--hosts", join(SCRATCH, "none.json")])).stderr).toContain("cannot be read");
    });
});
