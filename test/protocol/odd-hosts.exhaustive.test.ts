/**
 * Hosts that are not as one expects: what is missing there is told by `up`, before anything is touched, and by
 * `lvs doctor`, which loads nothing by looking. The kernel is one for all of this file's hosts, and starts without IPVS:
 * so the first stories are those of kernels that lack something, and the last is that everything is loaded.
 */
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { vsSettings } from "../../provider/ipvs/sysctls";
import { type Lab, type Result, root, startLab } from "../support/lab";
import { type Properties, ProviderProcess } from "./support/process";

let lab: Lab;
let provider: ProviderProcess;

const MODULES = '/lib/modules/"$(uname -r)"';
const owner = (type: string, name: string) => ({ owner: `organization/shop/prod#${type}/${name}` });
const tcp = { protocol: "tcp", address: "10.77.1.100", port: 80, vip: { external: true } };
const service = (host: string, more: Properties = tcp): Properties => ({
    director: { name: host, connection: host, persistAcrossReboot: false },
    ...owner("VirtualService", "web"),
    ...more,
});

/** `lvs doctor`, as a person calls it. */
function doctor(host: string, ...more: string[]): Promise<Result> {
    const { host: address, port, privateKeyPath, user } = lab.hosts[host]!;
    const child = spawn(
        process.execPath,
        [
            ...[join(root, "dist", "cli", "main.js"), "doctor", `${user}@${address}:${port}`, "-i", privateKeyPath],
            ...["--known-hosts", join(dirname(lab.file), "known_hosts"), ...more],
        ],
        { stdio: ["ignore", "pipe", "pipe"] },
    );
    const result = { status: 0, stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
        result.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
        result.stderr += text;
    });
    return new Promise((resolve, reject) => {
        child.once("error", reject);
        child.once("close", (status) => resolve({ ...result, status: status ?? 255 }));
    });
}

async function refused(type: "VirtualService" | "Director", inputs: Properties): Promise<string> {
    try {
        await provider.create(type, inputs);
    } catch (error) {
        return (error as Error).message;
    }
    throw new Error("it was to be refused");
}

const ODD = "odd";
/** Programs and files of the odd host are in its own layer: put aside, and back. */
const aside = (how: "mv" | "cp", ...paths: string[]) =>
    lab.sh(
        ODD,
        `mkdir -p /aside; for f in ${paths.join(" ")}; do
            d=$(mktemp -d /aside/XXXXXX) && echo "$f" > "$d/place" && ${how} "$f" "$d/thing" || exit
        done`,
    );
const back = () =>
    lab.sh(
        ODD,
        `umount /lib/modules 2> /dev/null; rm -f /etc/modprobe.d/odd.conf
        for d in /aside/*; do
            [ -e "$d/place" ] || continue
            read -r f < "$d/place" && rm -rf "$f" && mv "$d/thing" "$f" && rm -r "$d" || exit
        done`,
    );

/** What is there of ours, of IPVS, and of modules. */
const traces = (host: string) =>
    lab.sh(
        host,
        "sort /proc/modules | cut -d' ' -f1; ls -A /var/lib/pulumi-lvs /etc/systemd/system/pulumi-lvs* 2> /dev/null; " +
            "[ ! -e /proc/net/ip_vs ] || cat /proc/net/ip_vs; :",
    );

beforeAll(async () => {
    lab = await startLab(join(__dirname, "odd-hosts.json"));
});

afterAll(async () => {
    await lab?.down();
});

/** What a process knows of a host's programs and packet filter is as old as its first look: as one `up` has one, so has a story. */
async function another(): Promise<void> {
    await provider?.stop();
    provider = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts() });
}

beforeEach(another);
afterEach(() => provider.stop());

test("doctor loads nothing by looking, and shows what could be loaded", async () => {
    const before = await traces("plain");
    expect(before).not.toMatch(/^ip_vs/m);
    const { status, stdout } = await doctor("plain", "--json", "--needs", "mh,sip,twos,net.ipv4.vs.est_nice");
    expect(await traces("plain")).toBe(before);
    const { ok, items } = JSON.parse(stdout) as {
        ok: boolean;
        items: { item: string; state: string; found: string }[];
    };
    const found = (start: string) => items.find(({ item }) => item.startsWith(start));
    expect(found("IPVS")).toMatchObject({ state: "ok", found: "module ip_vs can be loaded" });
    expect(found("program ipvsadm")?.found).toBe("version 1.31, with all that is used");
    expect(found("needed: mh")?.state).toBe("ok");
    expect(found("needed: twos")).toMatchObject({
        state: "missing",
        found: expect.stringContaining("CONFIG_IP_VS_TWOS"),
    });
    expect(found("needed: net.ipv4.vs.est_nice")?.state).toBe("missing");
    expect([ok, status]).toEqual([false, 1]);
    expect((await doctor("plain")).status).toBe(0);
});

describe("a host", () => {
    interface Oddity {
        make(): Promise<unknown>;
        inputs?: Properties;
        /** What `up` says. */
        code: string;
        says: RegExp;
        /** What doctor says; its exit status is 1 where `needs` or everybody misses it. */
        doctor: RegExp;
        needs?: string;
    }
    const oddities: Record<string, Oddity> = {
        "whose kernel was built without IPVS": {
            make: async () => {
                await aside("mv", `${MODULES}/kernel/net/netfilter/ipvs`);
                await aside("cp", `${MODULES}/modules.dep`, "/boot/config-*");
                await lab.sh(
                    ODD,
                    `sed -i '/ipvs\\/ip_vs/d' ${MODULES}/modules.dep; sed -i 's/^\\(CONFIG_IP_VS[A-Z_]*\\)=.*/# \\1 is not set/' /boot/config-*`,
                );
            },
            ...{
                code: "LVS-MODULE",
                says: /built without the kernel module ip_vs: CONFIG_IP_VS is not set: use a kernel with it/,
            },
            doctor: /^MISSING IPVS: .*CONFIG_IP_VS is not set -> use a kernel with it/m,
        },
        "whose kernel lacks a scheduler's file": {
            make: () => aside("mv", `${MODULES}/kernel/net/netfilter/ipvs/ip_vs_mh.ko`),
            inputs: { ...tcp, scheduler: "mh" },
            ...{ code: "LVS-MODULE", says: /has no module ip_vs_mh under \/lib\/modules\/.*: install the package/ },
            ...{ doctor: /^MISSING needed: mh: .*no module ip_vs_mh.* -> install the package/m, needs: "mh" },
        },
        "whose kernel was upgraded and not booted": {
            make: () =>
                lab.sh(
                    ODD,
                    `cp ${MODULES}/modules.dep /run/; mount -t tmpfs none /lib/modules
                    mkdir /lib/modules/6.1.0-999-cloud-amd64 && mv /run/modules.dep /lib/modules/6.1.0-999-cloud-amd64/`,
                ),
            ...{
                code: "LVS-MODULE",
                says: /has no module ip_vs under .*: reboot into the kernel that is installed \(6\.1\.0-999/,
            },
            doctor: /^MISSING running kernel: .*modules are gone.* -> reboot into 6\.1\.0-999-cloud-amd64$/m,
        },
        "where a module is switched off": {
            make: () => lab.sh(ODD, "echo 'install ip_vs_nq /bin/false' > /etc/modprobe.d/odd.conf"),
            inputs: { ...tcp, scheduler: "nq" },
            ...{
                code: "LVS-MODULE-BLOCKED",
                says: /scheduler nq .*may not be loaded here: \/etc\/modprobe\.d\/odd\.conf:install ip_vs_nq/,
            },
            ...{ doctor: /^MISSING needed: nq: .*odd\.conf.* -> take that line away/m, needs: "nq" },
        },
        "without ipvsadm": {
            make: () => aside("mv", "/sbin/ipvsadm"),
            ...{ code: "LVS-TOOL", says: /the host has no `ipvsadm`: install it/ },
            doctor: /^MISSING program ipvsadm: not on PATH -> install ipvsadm$/m,
        },
        "with an ipvsadm from before tunnel types and schedulers' flags": {
            // The same program with other words for them: to it, ours are unknown options.
            make: async () => {
                await aside("cp", "/sbin/ipvsadm");
                await lab.sh(
                    ODD,
                    "sed -i 's/tun-type/xxx-type/g; s/tun-nocsum/xxx-nocsum/g; s/sched-flags/xxxxx-flags/g; s,v1\\.31 2019/12/24,v1.28 2015/02/09,' /sbin/ipvsadm",
                );
            },
            inputs: { ...tcp, scheduler: "sh", schedulerFlags: ["sh-port"] },
            ...{
                code: "LVS-IPVSADM",
                says: /needs --sched-flags .*ipvsadm 1\.28 does not know: install ipvsadm 1\.27 or later/,
            },
            ...{
                doctor: /^MISSING needed: gue: this ipvsadm does not know --tun-type -> install ipvsadm 1\.30/m,
                needs: "gue",
            },
        },
        "without nft and iptables": {
            make: () => aside("mv", "/usr/sbin/nft", "/usr/sbin/iptables"),
            inputs: {
                ...{ fwmark: 1, vip: { external: true } },
                marks: [{ protocol: "tcp", address: "10.77.1.100", port: 80 }],
            },
            ...{ code: "LVS-TOOL", says: /the host has no `nft`: install nftables \(or iptables/ },
            doctor: /^MISSING program nft: not on PATH -> install nftables \(or iptables\)$/m,
        },
        "without ip": {
            make: () => aside("mv", "$(readlink -f /sbin/ip)"),
            inputs: { ...tcp, vip: { interface: "eth0" } },
            ...{ code: "LVS-TOOL", says: /the host has no `ip`: install it/ },
            doctor: /^MISSING program ip: not on PATH -> install ip$/m,
        },
        "without flock": {
            make: () => aside("mv", "/usr/bin/flock"),
            ...{ code: "LVS-TOOL", says: /the host has no `flock`/ },
            doctor: /the host has no `flock` \[LVS-TOOL\]\s+Install it \(Debian: util-linux\)/,
        },
    };

    afterEach(back);

    test.each(Object.keys(oddities))("%s is told of, by up and by doctor, and not touched", async (name) => {
        const { make, inputs, code, says, doctor: line, needs } = oddities[name]!;
        const before = await traces(ODD);
        await make();
        const given = service(ODD, inputs);
        const [message, look] = await Promise.all([
            refused("VirtualService", given),
            doctor(ODD, ...(needs === undefined ? [] : ["--needs", needs])),
        ]);
        expect(message).toMatch(says);
        expect(message).toContain(`[${code}]`);
        expect(message).toContain("odd");
        expect(look.stdout + look.stderr).toMatch(line);
        expect(look.status).toBe(1);
        expect(await traces(ODD)).toBe(before);
    });
});

describe("a user who is not root", () => {
    test("is told of, by up and by doctor", async () => {
        await lab.sh(
            ODD,
            "useradd -m -s /bin/sh worker; mkdir -p ~worker/.ssh; cp /root/.ssh/authorized_keys ~worker/.ssh/; chown -R worker: ~worker/.ssh",
        );
        lab.hosts["worker"] = { ...lab.hosts[ODD]!, user: "worker" };
        const other = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts("worker") });
        try {
            const told = /\[LVS-(RUN|NOT-ROOT)\]\s+.*sudo: true/s;
            await expect(other.create("VirtualService", service("worker"))).rejects.toThrow(told);
            const { status, stderr } = await doctor("worker");
            expect(stderr).toMatch(told);
            expect(status).toBe(1);
        } finally {
            await other.stop();
            delete lab.hosts["worker"];
        }
    });
});

test("where nothing was loaded before, up loads what it needs, and nothing else", async () => {
    expect(await traces("plain")).not.toMatch(/^ip_vs/m);
    const web = await provider.create("VirtualService", service("plain", { ...tcp, scheduler: "sed" }));
    expect((await traces("plain")).match(/^ip_vs.*$/gm)).toEqual(["ip_vs", "ip_vs_sed"]);
    expect(await lab.sh("plain", "ipvsadm -Sn")).toBe("-A -t 10.77.1.100:80 -s sed\n");
    await provider.delete(web);
    expect(await lab.sh("plain", "ipvsadm -Sn")).toBe("");
});

test("a host of busybox's programs is as good as one of coreutils", async () => {
    // Everything that busybox can be is busybox, the shell too. Of flock Debian's has none.
    await lab.sh(
        "busy",
        `for a in $(busybox --list); do
            case $a in flock|modprobe|ip|ssh*|init|systemctl|nologin|login|passwd|su|mount|umount) continue ;; esac
            for d in /usr/bin /usr/sbin; do [ ! -e $d/$a ] || ln -sf /usr/bin/busybox $d/$a; done
        done`,
    );
    expect(
        await lab.sh("busy", "for f in timeout sed sort; do readlink /usr/bin/$f; done; sh --help 2>&1 | head -1"),
    ).toMatch(/^(\/usr\/bin\/busybox\n){3}BusyBox/);
    const web = await provider.create(
        "VirtualService",
        service("busy", {
            ...tcp,
            vip: { interface: "eth0" },
            realServers: { "10.77.1.21": {}, "10.77.1.22": { weight: 2 } },
        }),
    );
    expect(await lab.sh("busy", "ipvsadm -Sn")).toBe(
        "-A -t 10.77.1.100:80 -s wlc\n-a -t 10.77.1.100:80 -r 10.77.1.21:80 -g -w 1\n-a -t 10.77.1.100:80 -r 10.77.1.22:80 -g -w 2\n",
    );
    const found = await provider.read(web);
    expect(found?.outputs["drift"]).toBeUndefined();
    expect((await doctor("busy")).stdout).toMatch(/^ok +program ipvsadm: version 1\.31, with all that is used$/m);
    await provider.delete(web);
    expect(
        await lab.sh(
            "busy",
            "ipvsadm -Sn; ls -A /var/lib/pulumi-lvs 2> /dev/null; ip -o addr show eth0 | grep -c 10.77.1.100 || :",
        ),
    ).toBe("0\n");
});

describe("what stands in a service's way is told before the first step:", () => {
    /** The codes that are said of a service, which is then taken away again. */
    async function told(inputs: Properties): Promise<string[]> {
        await another();
        await provider.delete(await provider.create("VirtualService", service("plain", { ...tcp, ...inputs })));
        return [...provider.output().matchAll(/\[(LVS-[A-Z-]+)\]/g)].map(([, code]) => code!);
    }

    test("a packet filter, of nft or of iptables, whose policy drops what nobody lets in", async () => {
        await lab.sh(
            "plain",
            `nft -f - <<'N'
table inet gate {
    chain in { type filter hook input priority 0; policy drop;
        iif lo accept
        ct state established,related accept
        tcp dport { 22, 8080 } accept
    }
}
N`,
        );
        expect(await told({})).toEqual(["LVS-INPUT-DROP"]);
        expect(await told({ port: 8080 })).toEqual([]);
        expect(await told({ protocol: "udp", port: 8080 })).toEqual(["LVS-INPUT-DROP"]);
        await lab.sh(
            "plain",
            "nft delete table inet gate; iptables -A INPUT -p tcp --dport 22 -j ACCEPT && iptables -A INPUT -p tcp --dport 80 -j DROP",
        );
        expect(await told({})).toEqual(["LVS-INPUT-DROP"]);
        expect(await told({ port: 81 })).toEqual([]);
        await lab.sh("plain", "iptables -F INPUT; nft flush ruleset");
        expect(await told({})).toEqual([]);
    });

    test("the address and port that we are connected to", async () => {
        const [address, port] = (await lab.sh("plain", 'set -- $SSH_CONNECTION; echo "$3 $4"')).trim().split(" ");
        const message = await refused("VirtualService", service("plain", { ...tcp, address, port: Number(port) }));
        expect(message).toMatch(/the director could not be reached again.*\[LVS-OWN-SSH\]/);
    });

    test("a keepalived that checks real servers, where a weight is declared and not left to it", async () => {
        await lab.sh(
            "plain",
            `cat > /etc/keepalived/keepalived.conf <<'K'
virtual_server 10.77.1.200 80 {
    lb_algo rr
    lb_kind DR
    real_server 10.77.1.99 80 { TCP_CHECK { connect_timeout 1 } }
}
K
keepalived && for i in $(seq 100); do ls /run/*checkers* > /dev/null 2>&1 || ls /run/keepalived/*check* > /dev/null 2>&1 && break; sleep 0.1; done; :`,
        );
        try {
            expect(await told({ realServers: { "10.77.1.21": { weight: 2 } } })).toEqual(["LVS-CHECKER"]);
            expect(await told({ realServers: { "10.77.1.21": { weight: 2, keepWeight: true } } })).toEqual([]);
            expect((await doctor("plain")).stdout).toMatch(/^ok +health checker: keepalived runs here/m);
        } finally {
            await lab.sh(
                "plain",
                "kill $(cat /run/keepalived.pid /run/keepalived/keepalived.pid 2> /dev/null); for i in $(seq 100); do pgrep keepalived > /dev/null || break; sleep 0.1; done; ipvsadm -C",
            );
        }
    });

    test("the director itself by nat: at a loopback address nothing arrives, at its own it does", async () => {
        const server = await lab.sh(
            "plain",
            "mkdir -p /srv/www; echo here > /srv/www/index.html; busybox httpd -f -p 80 -h /srv/www > /dev/null 2>&1 < /dev/null & echo $!",
        );
        const at = (rip: string) =>
            service("plain", {
                ...{ ...tcp, address: "10.77.1.10", port: 8080 },
                realServers: { [`${rip}:80`]: { forwarding: "nat" } },
            });
        const get = () => lab.run("busy", "curl -sm 3 http://10.77.1.10:8080/");
        provider.output();
        const loopback = await provider.create("VirtualService", at("127.0.0.1"));
        expect(provider.output()).toContain("[LVS-LOCALNODE]");
        expect((await get()).status).not.toBe(0);
        const own = await provider.update(loopback, at("10.77.1.10"));
        expect(provider.output()).not.toContain("LVS-LOCALNODE");
        expect(await get()).toMatchObject({ status: 0, stdout: "here\n" });
        await provider.delete(own);
        await lab.sh("plain", `kill ${server}`);
    });

    test("a real server's strict reverse-path filter, where clients are answered through another interface", async () => {
        const web = await provider.create("VirtualService", service("plain"));
        const behind = (more: Properties) => ({
            service: {
                director: { name: "plain", connection: "plain" },
                protocol: "tcp",
                address: tcp.address,
                port: 80,
            },
            ...{ address: "10.77.1.11", connection: ODD, persistAcrossReboot: false, ...owner("RealServer", "odd") },
            ...more,
        });
        await lab.sh(ODD, "ip route add default dev mgmt");
        const strict = await provider.create("RealServer", behind({}));
        expect(provider.output()).toMatch(/net\.ipv4\.conf\.eth0\.rp_filter to 2 \[LVS-RP-FILTER\]/);
        await provider.delete(strict);
        await lab.sh(ODD, "sysctl -qw net.ipv4.conf.eth0.rp_filter=2");
        await another();
        const loose = await provider.create("RealServer", behind({}));
        expect(provider.output()).not.toContain("LVS-RP-FILTER");
        await provider.delete(loose);
        await provider.delete(web);
    });
});

describe("net.ipv4.vs.*", () => {
    /** What a value is read back as; "" where the kernel refuses it. */
    async function tried(values: [name: string, value: string][]): Promise<string[]> {
        const lines = values.map(
            ([name, value]) =>
                `f=/proc/sys/net/ipv4/vs/${name}; read -r o < $f; if echo '${value}' > $f; then r=$(cat $f); else r=; fi; echo "$o" > $f; echo $r`,
        );
        return (await lab.sh("plain", `(${lines.join("\n")}) 2> /dev/null`)).split("\n").slice(0, -1);
    }

    test("which a scheduler brings is there when it is asked for", async () => {
        const key = "net.ipv4.vs.lblcr_expiration";
        const dir = await provider.create("Director", {
            ...{ name: "plain", connection: "plain", persistAcrossReboot: false, sysctls: { [key]: "3600" } },
            ...owner("Director", "plain"),
        });
        expect(await lab.sh("plain", `sysctl -n ${key}`)).toBe("3600\n");
        await provider.delete(dir);
        expect(await lab.sh("plain", `sysctl -n ${key}`)).toBe("86400\n");
    });

    test("has a row for every setting of this kernel, and the kernel takes both ends and nothing outside", async () => {
        await lab.sh("plain", "modprobe -a ip_vs_lblc ip_vs_lblcr");
        const here = (await lab.sh("plain", "ls /proc/sys/net/ipv4/vs")).trim().split("\n");
        expect(here.filter((name) => !vsSettings.some((setting) => setting.name === name))).toEqual([]);
        const rows = vsSettings.filter(({ name }) => here.includes(name));
        expect(rows.length).toBeGreaterThanOrEqual(29);
        const inside: [string, string][] = rows.flatMap(({ name, takes }) =>
            takes.kind === "number"
                ? [takes.min, takes.max].map((value): [string, string] => [name, String(value)])
                : takes.kind === "powerOfTwo"
                  ? [1, takes.max].map((value): [string, string] => [name, String(value)])
                  : takes.kind === "pair"
                    ? ["0 1", "2147483646 2147483647", "3 0"].map((value): [string, string] => [name, value])
                    : [],
        );
        expect(await tried(inside)).toEqual(inside.map(([, value]) => value));
        const outside: [string, string][] = rows.flatMap(({ name, takes }) =>
            takes.kind === "number" && takes.loose !== true
                ? [takes.min - 1, takes.max + 1].map((value): [string, string] => [name, String(value)])
                : takes.kind === "powerOfTwo"
                  ? ["0", "3", String(takes.max * 2)].map((value): [string, string] => [name, value])
                  : takes.kind === "pair"
                    ? ["3 3", "50 3", "-1 5"].map((value): [string, string] => [name, value])
                    : [],
        );
        expect(await tried(outside)).toEqual(outside.map(() => ""));
    });

    test("of a later kernel is refused, and nothing touched", async () => {
        const key = "net.ipv4.vs.est_nice";
        const inputs = {
            ...{ name: "plain", connection: "plain", persistAcrossReboot: false, sysctls: { [key]: "1" } },
            ...owner("Director", "plain"),
        };
        expect(await refused("Director", inputs)).toMatch(
            /no setting net\.ipv4\.vs\.est_nice: it came with kernel 6\.2.*\[LVS-SYSCTL\]/,
        );
    });
});
