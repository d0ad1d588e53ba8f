import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { program as topologyProgram } from "../../topology/program";
import { ProgramText } from "../support/edit";
import { type Lab, root, startLab } from "../support/lab";
import { makeStack, pulumiEnvironment, type TestStack } from "../support/stack";
import { httpRequest, httpServer } from "./http";

const VIP = "10.77.1.100";

/** A director as somebody made it by hand: of everything that IPVS has, something. */
const byHand = `
set -e
modprobe ip_vs
sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.vs.expire_nodest_conn=1
sysctl -q -w net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0
ipvsadm --set 800 100 77
ipvsadm --start-daemon master --mcast-interface eth0 --syncid 7 --mcast-ttl 3
ip addr add ${VIP}/32 dev eth0
ip addr add 10.77.1.101/24 dev eth0
ip -6 addr add fd00:1::100/128 dev eth0 nodad preferred_lft 0
ipvsadm -R <<'RULES'
-A -t ${VIP}:80 -s sh -p 300 -M 255.255.255.0 -b sh-fallback,sh-port
-a -t ${VIP}:80 -r 10.77.1.21:80 -g -w 2 -x 100 -y 50
-a -t ${VIP}:80 -r 10.77.1.22:80 -i -w 0 --tun-type gue --tun-port 6080 --tun-csum
-a -t ${VIP}:80 -r 10.77.1.23:80 -i -w 0 --tun-type gre --tun-nocsum
-A -t ${VIP}:443 -s wlc
-a -t ${VIP}:443 -r 10.77.1.21:8443 -m -w 1
-A -u 10.77.1.101:53 -s rr -o
-a -u 10.77.1.101:53 -r 10.77.1.22:53 -g -w 1
-A -u 10.77.1.102:5060 -s mh -p 60 --pe sip -b mh-port
-a -u 10.77.1.102:5060 -r 10.77.1.22:5060 -g -w 0
-A --sctp-service [fd00:1::100]:9 -s wrr
-a --sctp-service [fd00:1::100]:9 -r [fd00:1::21]:9 -g -w 5
-A -f 4294967295 -s fo -p 360
-a -f 4294967295 -r 10.77.1.21:0 -g -w 10
-A -f 7 -6 -s rr
-a -f 7 -6 -r [fd00:1::21]:8080 -g -w 1
RULES`;

const RESOURCES = 1 + 7 + 9;

/** The same with one service: that both forms say the same of any table is shown without hosts. */
const littleByHand = byHand
    .split("\n")
    .filter((line) => !/^-[Aa] /.test(line) || line.includes(`${VIP}:443`))
    .join("\n");

/** A real server by direct routing, as somebody made it by hand. */
const realServerByHand = `
${httpServer}
ip addr add ${VIP}/32 dev lo
ip -6 addr add fd00:1::100/128 dev lo nodad preferred_lft 0
sysctl -q -w net.ipv4.conf.eth0.arp_ignore=1 net.ipv4.conf.eth0.arp_announce=2`;

/** The table, and what it has counted. */
const table = "ipvsadm -Sn; ipvsadm -Ln --thresholds; ipvsadm -Ln --stats --exact";

/** What else an operator would look at: addresses, packet filter, settings. */
const beside =
    "ip -o addr show | tr -d '\\\\'; nft list ruleset; cd /proc/sys/net; grep -s . ipv4/ip_forward ipv4/vs/* ipv[46]/conf/*/* || :";
const wholeHost = "ipvsadm -L --timeout; ipvsadm -L --daemon";

/** Files of ours. */
const ours = "ls -d /var/lib/pulumi-lvs /etc/systemd/system/pulumi-lvs* 2>/dev/null || :";

const run = promisify(execFile);

/** Hosts that were set up by hand come under Pulumi, and a stack becomes commands. */
describe("a director that is there already", () => {
    let lab: Lab;
    let directory: string;
    let first: TestStack;
    let second: TestStack;
    const before: Record<string, string[]> = {};

    const lvs = (words: string[], options: { cwd?: string; env?: Record<string, string> } = {}) =>
        run(process.execPath, [join(root, "dist", "cli", "main.js"), ...words], {
            ...options,
            env: { ...process.env, ...options.env },
        });
    const at = (host: string) => `root@127.0.0.1:${lab.hosts[host]!.port}`;
    const imported = (host: string, ...more: string[]) => {
        const { knownHosts } = require(lab.file) as { knownHosts: string };
        const connection = ["-i", lab.hosts[host]!.privateKeyPath, "--known-hosts", knownHosts];
        return lvs(["import", at(host), "--name", host, ...connection, "--out", join(directory, host), ...more]);
    };
    /** A host as an operator sees it, without how many connections are just now open. */
    const look = async (host: string) =>
        withoutCounts(await lab.sh(host, host === "web1" ? beside : `${table}; ${wholeHost}; ${beside}`));

    beforeAll(async () => {
        lab = await startLab(join(root, "test", "lab", "import.json"));
        directory = mkdtempSync(join(root, "node_modules", ".cache", "import-"));
        await Promise.all([lab.sh("lb1", byHand), lab.sh("web1", realServerByHand)]);
        await lab.sh("client", httpRequest(VIP));
        await lab.sh("lb2", littleByHand);
        // The kernel adds its counters up every two seconds.
        await lab.sh("lb1", "sleep 4");
        for (const host of ["lb1", "lb2", "web1"]) before[host] = await look(host);
    });
    afterAll(async () => {
        await first?.remove();
        await second?.remove();
        await lab?.down();
        if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    });

    test("is written as a program, which is not written over", async () => {
        await imported("lb1", "--real-server", `web1=${at("web1")}`);
        await expect(imported("lb1")).rejects.toThrow("is there already: nothing was written");
    });

    test("is taken over by the program's first up, which changes nothing on any host", async () => {
        const project = join(directory, "lb1");
        first = await makeStack({
            program: async () => void ProgramText.of(join(project, "index.ts")).load(first.directory),
            from: project,
            name: "lb1",
        });
        expect((await first.up()).changes).toEqual({ create: RESOURCES + 1 });
        expect(before["lb1"]).toContainEqual(expect.stringMatching(/^TCP +10\.77\.1\.100:80 +1 /));
        for (const host of ["lb1", "web1"]) expect(await look(host)).toEqual(before[host]);
        expect(await lab.sh("web1", "cat /var/lib/pulumi-lvs/*.claims")).toContain(VIP);
        expect((await first.up({ refresh: true })).changes).toEqual({});
    });

    test("is taken over by the topology form alike; destroy removes the rules, and leaves what was right already", async () => {
        await imported("lb2", "--format", "topology");
        writeFileSync(join(directory, "lb2", "Pulumi.yaml"), "name: farm\nruntime: nodejs\n");
        second = await makeStack({ program: topologyProgram, from: join(directory, "lb2"), name: "lb2" });
        expect((await second.up()).changes).toEqual({ create: 5 });
        expect(await look("lb2")).toEqual(before["lb2"]);
        const settings = await lab.sh("lb2", beside);
        await second.destroy();
        expect(await lab.sh("lb2", `ipvsadm -Sn; ${wholeHost}; ${ours}`)).toBe(
            "Timeout (tcp tcpfin udp): 800 100 77\n",
        );
        expect(await lab.sh("lb2", beside)).toBe(settings);
    });

    test("stands in a script that makes the same table on an empty host", async () => {
        const { PATH } = pulumiEnvironment();
        const env = {
            PATH,
            PULUMI_BACKEND_URL: `file://${join(first.directory, ".state")}`,
            PULUMI_CONFIG_PASSPHRASE: "test",
            PULUMI_HOME: join(first.directory, ".home"),
        };
        const { stdout } = await lvs(["script", "--stack", "lb1"], { cwd: first.directory, env });
        await lab.sh("empty", `cat >script <<'LVS_SCRIPT'\n${stdout}LVS_SCRIPT\nsh script lb1`);
        const held = `ipvsadm -Sn; ipvsadm -Ln --thresholds; ${wholeHost}; sysctl net.ipv4.ip_forward net.ipv4.vs.expire_nodest_conn`;
        // The kernel lists services by a hash, which is another one on each host.
        const [made, expected] = [await lab.sh("empty", held), await lab.sh("lb1", held)].map(withoutCounts);
        expect(made!.sort()).toEqual(expected!.sort());
        expect(await lab.sh("empty", "ip -o addr show dev eth0")).toContain(`${VIP}/32`);
    });
});

/** Active and inactive connections stand at the end of a real server's line. */
function withoutCounts(text: string): string[] {
    return text.split("\n").map((line) => line.replace(/^( +->.*?) +\d+ +\d+ *$/, "$1"));
}
