/** The scripts, run for real under every shell that a host may have, in a scratch directory. */
import { spawnSync } from "node:child_process";
import * as fc from "fast-check";
import { kindOf } from "../../../provider/kinds";
import { bootFiles, bootValue, LEDGER_DIRECTORY } from "../../../provider/kinds/bootFiles";
import { defaultRoute } from "../../../provider/kinds/route";
import type { Want } from "../../../provider/kinds/want";
import { fileName, renderLedger } from "../../../provider/reconcile/ledger";
import { type Plan, plan, planUndo, type Request, satisfied } from "../../../provider/reconcile/plan";
import { type Batch, listingName, renderOutlast, renderScript, renderWait } from "../../../provider/reconcile/script";
import { commandLine } from "../../../provider/reconcile/shell";
import { type HostState, parseSections, valueAt } from "../../../provider/reconcile/state";
import { Sandbox, shells } from "./sandbox";
import { deedOf, destination, requestOf, SERVICE, SYSCTL, serverKey, service, stateOf, VIP, want } from "./world";

const server = serverKey("192.0.2.21");
const WANTS: Want[] = [
    want("module", "ip_vs", true),
    want("sysctl", SYSCTL, "1"),
    want("forwarding", "ipv4", { on: true }),
    want("timeout", "udp", 100),
    want("service", SERVICE, service()),
    want("destination", server, destination()),
    want("address", VIP, { deprecated: false }),
];
const create = (over: Parameters<typeof requestOf>[0] = {}) => requestOf({ creating: true, wants: WANTS, ...over });
const remove = (over: Parameters<typeof requestOf>[0] = {}) => requestOf({ phase: "delete", ...over });

/** Plans and runs until nothing is left, as the queue does; the last answer. */
function carryOut(host: Sandbox, request: Request, over: Partial<Batch> = {}) {
    let state = host.probe();
    for (let round = 0; round < 4; round++) {
        const made = plan(request, state);
        const answer = host.batch({ expect: state.sum, plans: [made], ...over }, state);
        if (!made.partial) return { ...answer, made };
        state = answer.state;
    }
    throw new Error("a plan stays partial");
}

const resultsOf = (sections: Record<string, string>) =>
    (sections["run.results"] ?? "")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => Number(line.split(" ")[1]));

/** Whether everything that a plan promised is so. */
function kept(made: Plan, state: HostState): boolean {
    return made.goals.every(({ kind, key, value }) => {
        const have = valueAt(state, kind, key);
        return value === undefined ? have === undefined : satisfied(kind, key, value, have);
    });
}

let host: Sandbox;

const everywhere = Object.values(shells);
let turn = 0;
/** The promises of the script: those that a shell could break are kept under each, the others under one in turn. */
function promise(name: string, work: () => void | Promise<void>, each = process.env["LVS_EXHAUSTIVE"] === "1"): void {
    turn++;
    for (const own of each ? everywhere : [everywhere[turn % everywhere.length]!]) {
        test(`${name} (${own[0]})`, async () => {
            shell = own;
            await work();
        });
    }
}
let shell: string[];

describe("a script", () => {
    const fresh = () => {
        host = new Sandbox(shell);
        return host;
    };

    promise("a host without IPVS, ledger or anything else of ours is read, and reading leaves no trace", () => {
        fresh();
        const before = host.picture();
        const { sections, state } = host.batch({ inform: true });
        expect(sections["run.outcome"]).toMatch(/^read \d+ \d+$/m);
        expect([state.hasLedger, state.ledger.size, state.objects.get("service")!.size]).toEqual([false, 0, 0]);
        expect(valueAt(state, "sysctl", "net.ipv4.conf.eth0.arp_ignore")).toBe("0");
        expect(host.log().filter((line) => line.startsWith("ipvsadm"))).toEqual([]);
        expect(host.picture()).toBe(before);
        expect(host.list("run/pulumi-lvs")).toEqual([]);
    });

    for (const rules of ["together", "each"] as const)
        promise(
            `a resource is made, read back, and taken away without a trace, rules ${rules}`,
            () => {
                fresh();
                host.run("modprobe ip_vs");
                const before = host.picture();
                const up = carryOut(host, create(), { rules });
                expect(resultsOf(up.sections).every((status) => status === 0)).toBe(true);
                expect(resultsOf(up.sections)).toHaveLength(up.script.parts.length);
                expect(up.sections["run.outcome"]).toMatch(/^done \d+ \d+$/m);
                expect(kept(up.made, up.state)).toBe(true);
                expect(host.ledger).toEqual([fileName(requestOf())]);
                expect(host.read(`var/lib/pulumi-lvs/${host.ledger[0]}`).replaceAll(host.root, "")).toBe(
                    renderLedger([...up.made.afterwards.values()][0]!),
                );
                expect(plan(create({ creating: false }), up.state).steps).toEqual([]);
                const down = carryOut(host, remove(), { rules });
                expect(kept(down.made, down.state)).toBe(true);
                expect(host.picture()).toBe(before);
                expect(host.list("var/lib")).toEqual([]);
                expect(host.list("run/pulumi-lvs")).toEqual(["lock"]);
            },
            true,
        );

    promise("a module that is built in is there, however little of the kernel was asked for", () => {
        fresh();
        const release = spawnSync("uname", ["-r"], { encoding: "utf8" }).stdout.trim();
        host.write(
            `lib/modules/${release}/modules.builtin`,
            "kernel/net/netfilter/ipvs/ip_vs.ko\nkernel/net/ipv4/ipip.ko\n",
        );
        const { state } = host.batch({ inform: true, groups: ["ipvs"] });
        expect([...state.objects.get("module")!.keys()]).toEqual(["ip_vs", "ipip"]);
    });

    promise("nft is asked where its module is loaded or built in, and not where to ask would load it", () => {
        fresh();
        host.program("nft", ":");
        const asked = () => {
            host.log();
            host.batch({ inform: true });
            return host.log().some((line) => line.startsWith("nft "));
        };
        host.write("lib/modules/6.1.0/modules.dep", "kernel/net/netfilter/nf_tables.ko: kernel/lib/libcrc32c.ko\n");
        expect(asked()).toBe(false);
        host.run("mkdir /sys/module/nf_tables");
        expect(asked()).toBe(true);
        host.run("rmdir /sys/module/nf_tables");
        host.write("lib/modules/6.1.0/modules.dep", "kernel/net/netfilter/ipvs/ip_vs.ko:\n");
        expect(asked()).toBe(true);
    });

    promise("modules come first where settings need them, and the settings are given back", () => {
        fresh();
        const up = carryOut(host, create());
        expect(kept(up.made, up.state)).toBe(true);
        expect(host.read("proc/sys/net/ipv4/vs/conntrack")).toBe("1\n");
        carryOut(host, remove());
        expect(host.read("proc/sys/net/ipv4/vs/conntrack")).toBe("0\n");
        expect(host.read("state/timeouts")).toBe("900 120 300\n");
    });

    for (const [name, change] of [
        ["a rule", () => host.run("ipvsadm -A -t 192.0.2.7:80 -s rr")],
        ["a weight", () => host.run("ipvsadm -e -t 192.0.2.9:80 -r 192.0.2.10:80 -g -w 9")],
        ["a setting", () => host.setting("net/ipv4/vs/conntrack", "1")],
        ["an address", () => host.run("ip addr add 192.0.2.44/32 dev eth0")],
        ["a ledger file", () => host.write("var/lib/pulumi-lvs/0123456789abcdef0123.claims", "pulumi-lvs 2\n")],
        ["an empty ledger file", () => host.write("var/lib/pulumi-lvs/0123456789abcdef0123.claims", "")],
    ] as const)
        promise(`${name} that changed since the plan was made stops the script before its first step`, () => {
            fresh().withIpvs();
            host.run("ipvsadm -A -t 192.0.2.9:80 -s rr; ipvsadm -a -t 192.0.2.9:80 -r 192.0.2.10:80 -g -w 1");
            const state = host.probe();
            const made = plan(create(), state);
            change();
            const before = host.picture();
            host.log();
            const { sections } = host.batch({ expect: state.sum, plans: [made] }, state);
            expect(sections["run.outcome"]).toMatch(/^stale \d+ \d+$/m);
            expect(sections["run.results"]).toBeUndefined();
            expect(host.picture()).toBe(before);
            expect(host.log().filter((line) => /modprobe|-R|-[AEDaed] |addr (add|del)/.test(line))).toEqual([]);
        });

    promise("connections that come and go, lifetimes that run down and a table that grows are no change", () => {
        fresh().withIpvs();
        host.run("ipvsadm -A -t 192.0.2.9:80 -s rr; ipvsadm -a -t 192.0.2.9:80 -r 192.0.2.10:80 -g -w 1");
        const line = (seconds: number) =>
            `2: eth0    inet 10.0.0.9/24 scope global dynamic eth0\\       valid_lft ${seconds}sec preferred_lft ${seconds}sec\n`;
        host.write("state/address", line(86390));
        const first = host.probe().sum;
        host.write("state/active", "192.0.2.10:80 1234567\n");
        host.write("state/address", line(86389));
        expect(host.probe().sum).toBe(first);
        host.write("state/address", line(5).replace(" dynamic", ""));
        expect(host.probe().sum).toBe(first);
        const advertised = (seconds: number) =>
            `default via fe80::1 dev eth0 proto ra expires ${seconds}sec pref high\n`;
        host.write("state/route6", advertised(1800));
        const second = host.probe().sum;
        expect(second).not.toBe(first);
        host.write("state/route6", advertised(1799));
        expect(host.probe().sum).toBe(second);
    });

    promise("who else works on the host's IPVS table is read of the files and devices that they have", () => {
        const facts = () =>
            host
                .probe()
                .probe.section("facts")
                .split("\n")
                .filter((line) => /^(checker|checking|keeper)=/.test(line));
        for (const [path, ...said] of [
            ["run/keepalived.pid", "checker=keepalived"],
            ["run/keepalived/checkers.pid", "checking=keepalived"],
            ["run/ldirectord.ldirectord.pid", "checker=ldirectord", "checking=ldirectord"],
            ["run/ldirectord.web.pid", "checker=ldirectord", "checking=ldirectord"],
            ["sys/class/net/kube-ipvs0/mtu", "keeper=kube-proxy"],
            ["sys/class/net/kube-dummy-if/mtu", "keeper=kube-router"],
        ] as const) {
            fresh();
            expect(facts()).toEqual([]);
            host.write(path, "1500\n");
            expect(facts()).toEqual(said);
        }
    });

    promise("sysctl.d is read in all its spellings, and which tables of others translate addresses", () => {
        fresh();
        host.write(
            "etc/sysctl.d/9-x.conf",
            "# net.ipv4.a=1\n;net.ipv4.b=1\nnet/ipv4/c = 1\n-net.ipv4.d=1\n - net.ipv4.e=1\n",
        );
        host.write("sys/module/nf_tables/x", "");
        host.program(
            "nft",
            `[ "$*" = "list ruleset" ] || exit 0
cat <<\\RULES
table inet pulumi_lvs {
	chain postrouting_masquerade {
		ip saddr 10.0.0.0/8 masquerade comment "10.0.0.0/8 0.0.0.0/0"
	}
}
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		tcp dport @open accept
		ct status dnat accept
		jump services
	}
	set open {
		type inet_service
		elements = { 443 }
	}
	chain services {
		tcp dport 22 accept
	}
}
table ip nat {
	chain PULUMI-LVS-MASQUERADE {
		ip saddr 10.0.0.0/8 counter packets 0 bytes 0 masquerade
	}
	chain DOCKER {
		iifname "x" tcp dport 80 counter packets 1 bytes 2 dnat to 172.17.0.2:80
	}
	chain POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 172.17.0.0/16 xt target "MASQUERADE"
	}
}
RULES`,
        );
        const { probe } = host.probe();
        expect(
            probe
                .section("sysctl.d")
                .trim()
                .split("\n")
                .map((line) => line.slice(line.indexOf(":") + 1)),
        ).toEqual(["net/ipv4/c=1", "-net.ipv4.d=1", " - net.ipv4.e=1"]);
        expect(
            probe
                .section("input")
                .trim()
                .split("\n")
                .map((line) => line.trim()),
        ).toEqual([
            "table inet filter {",
            "chain input {",
            "type filter hook input priority filter; policy drop;",
            "tcp dport @open accept",
            "ct status dnat accept",
            "jump services",
            "}",
            "chain services {",
            "tcp dport 22 accept",
            "}",
            "}",
            "table ip nat {",
            "nat",
            "nat",
        ]);
        host.program("nft", `[ "$*" = "list ruleset" ] && printf 'table ip a {\\n\\tmasquerade\\n}\\n'`);
        expect(host.probe().probe.section("input")).toContain("nat");
    });

    promise("an IPv6 VIP is advertised; where perl cannot do that, each known neighbour is asked from it", async () => {
        fresh();
        const add = kindOf("address").set("eth0/2001:db8::100/128", { deprecated: true }, undefined);
        const done = async (line: string) => {
            for (let n = 0; n < 200 && !host.read("state/log").includes(`${line}\n`); n++) {
                await new Promise((resolve) => setTimeout(resolve, 20));
            }
            return host.log();
        };
        const advertising = "perl -MSocket=:all - eth0 2001:db8::100";
        expect(host.run(commandLine(add))).toMatchObject({ status: 0, stdout: "", stderr: "" });
        expect((await done(advertising)).filter((line) => /^(perl|ping)/.test(line))).toEqual([advertising]);
        host.program("perl", "exit 1");
        const asking = "ping -6 -c 1 -W 1 -I 2001:db8::100 fe80::1%eth0";
        expect(host.run(commandLine(add.slice(1))).status).toBe(0);
        const log = await done(asking);
        expect(log.indexOf("ip -6 neigh del fe80::1 dev eth0")).toBeGreaterThan(log.indexOf(advertising));
        expect(log.filter((line) => line.startsWith("ping"))).toEqual([asking]);
    });

    promise("a default route is taken over and comes back as it was, or goes where there was none", () => {
        for (const before of ["", "default via 10.0.0.9 dev eth0 proto dhcp src 10.0.0.21 \n"]) {
            fresh();
            host.write("state/address", "2: eth0    inet 10.0.0.21/24 scope global eth0\n");
            if (before !== "") host.write("state/route", before);
            const up = carryOut(host, create({ wants: [defaultRoute("10.0.0.1")] }));
            expect([kept(up.made, up.state), host.read("state/route")]).toEqual([
                true,
                "default via 10.0.0.1 dev eth0 proto static \n",
            ]);
            const down = carryOut(host, remove());
            expect([kept(down.made, down.state), host.read("state/route")]).toEqual([true, before]);
        }
    });

    promise("what was found is left where its device went, and the release comes to its end", () => {
        fresh();
        host.write("state/route", "default via 10.0.0.9 dev eth0 proto dhcp \n");
        carryOut(host, create({ wants: [defaultRoute("10.0.0.1")] }));
        host.write("state/down", "eth0");
        const down = carryOut(host, remove());
        expect(down.made.notes.join()).toContain("cannot come back: eth0 is not there, or down");
        expect(host.read("state/route")).toMatch(/via 10\.0\.0\.1 /);
        expect(host.ledger).toEqual([]);
    });

    promise(
        "whose connection it is that we come by is seen behind sudo, too",
        () => {
            fresh();
            const { text, nonce } = renderScript({
                ...{ expect: undefined, plans: [], rules: "each", timeout: 20, settings: [], inform: true },
            });
            // What stands for sudo has the variable in its environment, and gives on none.
            host.write("script", host.moved(text));
            const ran = host.run(
                `mkdir -p /proc/$$ && printf 'A=1\\000SSH_CONNECTION=198.51.100.7 5 10.0.0.21 22\\000' > /proc/$$/environ; sh script; exit`,
            );
            const facts = parseSections(ran.stdout, nonce)["facts"];
            expect(facts).toContain("ssh=10.0.0.21 22\nssh.peer=198.51.100.7\n");
        },
        true,
    );

    promise("default routes are looked at only where somebody has to do with them", () => {
        fresh();
        host.batch({ groups: ["ipvs"] });
        expect(host.log().filter((line) => line.includes("route show"))).toEqual([]);
    });

    promise("a step that fails stops what follows, its status and words come back, and the claims stay", () => {
        fresh().withIpvs();
        const state = host.probe();
        host.write("state/fail", "-a");
        const made = plan(create(), state);
        const { sections, script } = host.batch({ expect: state.sum, plans: [made], rules: "each" }, state);
        const failed = resultsOf(sections).findIndex((status) => status !== 0);
        expect(script.parts[failed]!.says).toMatch(/add real server/);
        expect(sections[`run.o.${failed}`]).toMatch(/refused by order/);
        expect(resultsOf(sections)).toHaveLength(failed + 1);
        expect(host.ledger).toEqual([fileName(requestOf())]);
        expect(host.read("state/address")).not.toMatch(/192\.0\.2\.100/);
        host.write("state/fail", "");
        const here = host.probe();
        const undo = planUndo(deedOf(made, state), here);
        const back = host.batch({ expect: here.sum, plans: [undo] }, here);
        expect(kept(undo, back.state)).toBe(true);
        expect(back.state.sum).toBe(state.sum);
    });

    promise("a refusal in the middle of many rules is seen, whatever the last rule came to", () => {
        fresh().withIpvs();
        const state = host.probe();
        host.write("state/fail", "192.0.2.21:80");
        const wants = [...WANTS, want("destination", serverKey("192.0.2.22"), destination())];
        const { sections, script } = host.batch(
            { expect: state.sum, plans: [plan(create({ wants }), state)], rules: "together" },
            state,
        );
        const rules = script.parts.findIndex(({ steps }) => steps.some(({ kind }) => kind === "destination"));
        expect(resultsOf(sections)[rules]).not.toBe(0);
        expect(sections[`run.o.${rules}`]).toMatch(/refused by order/);
    });

    promise(
        "a setting that the kernel refuses is a step that failed",
        () => {
            fresh().withIpvs();
            const [text] = [commandLine([{ write: "/dev/full", text: "1" }])];
            expect(host.run(`${text}; echo status=$?`).stdout).toMatch(/status=[1-9]/);
        },
        true,
    );

    promise(
        "a real server without connections goes at once, one with connections rests at weight 0 and keeps what carries them",
        () => {
            fresh().withIpvs();
            const two = [...WANTS, want("destination", serverKey("192.0.2.22"), destination(3))];
            carryOut(host, create({ wants: two }));
            host.write("state/active", "192.0.2.22:80 5\n");
            const state = host.probe();
            const made = plan(remove({ drain: 30 }), state);
            const answer = host.batch({ expect: state.sum, plans: [made] }, state);
            expect(resultsOf(answer.sections).every((status) => status === 0)).toBe(true);
            expect(answer.sections["run.draining"]?.trim()).toBe("0");
            expect([...answer.state.objects.get("destination")!]).toEqual([[serverKey("192.0.2.22"), destination(0)]]);
            expect(valueAt(answer.state, "service", SERVICE)).toEqual(service());
            expect(valueAt(answer.state, "forwarding", "ipv4")).toMatchObject({ on: true });
            expect(answer.state.objects.get("address")!.has(VIP)).toBe(true);
            const [file] = [...answer.state.ledger.values()];
            expect(file!.draining).toMatchObject({ until: expect.any(Number) });
            host.write("state/active", "");
            const after = carryOut(host, remove({ drain: 30 }));
            expect(kept(after.made, after.state)).toBe(true);
            expect(host.ledger).toEqual([]);
        },
        true,
    );

    promise("a real server whose last connection is just being opened waits for it", () => {
        fresh().withIpvs();
        carryOut(host, create());
        host.write("proc/net/ip_vs_conn", "TCP C0000201 D431 C0000264 0050 C0000215 0050 SYN_RECV 59\n");
        const state = host.probe();
        const made = plan(remove({ drain: 30 }), state);
        expect(host.batch({ expect: state.sum, plans: [made] }, state).sections["run.draining"]?.trim()).toBe("0");
        const wait = renderWait([server], 1);
        const left = () => parseSections(host.run(wait.text).stdout, wait.nonce)["left"]?.trim();
        expect(left()).toBe("1");
        host.write("proc/net/ip_vs_conn", "TCP C0000201 D431 C0000264 0050 C0000215 0050 FIN_WAIT 59\n");
        expect(left()).toBe("");
    });

    promise("waiting ends when the last connection does, and otherwise says how many are left", () => {
        fresh().withIpvs();
        carryOut(host, create());
        const wait = renderWait([server], 1);
        const left = () => parseSections(host.run(wait.text).stdout, wait.nonce)["left"]?.trim();
        expect(left()).toBe("");
        host.write("state/active", "192.0.2.21:80 17\n");
        expect(left()).toBe("17");
    });

    promise(
        "connections that were there are outlasted, later ones are not, and no further attempt moves the deadline",
        () => {
            fresh();
            const line = (port: string, state = "ESTABLISHED") =>
                `TCP C0000201 ${port} C0000264 0050 C0000215 0050 ${state.padEnd(11)} ${Math.floor(Math.random() * 900)}\n`;
            const other = "TCP C0000201 9999 C0000264 0050 C0000216 0050 ESTABLISHED     899\n";
            const table = (...lines: string[]) =>
                host.write("proc/net/ip_vs_conn", `Pro FromIP   FPrt ToIP     TPrt\n${lines.join("")}${other}`);
            const attempt = () => {
                const { text, nonce } = renderOutlast([server], 40, 1);
                return parseSections(host.run(text).stdout, nonce)["left"]?.trim().split(" ").map(Number);
            };
            table(line("D431"), line("D432"), line("D433", "FIN_WAIT"));
            const [, first] = attempt()!;
            table(line("D432"), line("D434"));
            const [left, more] = attempt()!;
            expect(left).toBe(1);
            expect(more).toBeLessThan(first!);
            table(line("D432", "FIN_WAIT"), line("D434"));
            expect(attempt()![0]).toBe(0);
            expect(host.list("run/pulumi-lvs")).toEqual([]);
        },
    );

    promise("of udp and marks what has not expired is outlasted, and of tcp no udp of the same port", () => {
        fresh();
        host.write(
            "proc/net/ip_vs_conn",
            [
                "TCP C0000201 D431 C0000264 0035 C0000215 0035 ESTABLISHED 9",
                "UDP C0000201 D432 C0000264 0035 C0000215 0035 UDP 290",
                "",
            ].join("\n"),
        );
        const left = (key: string) => {
            const { text, nonce } = renderOutlast([key], 1, 9);
            return parseSections(host.run(text).stdout, nonce)["left"]?.trim();
        };
        expect(left("tcp/192.0.2.100:53/192.0.2.21:53")).toBe("1 0");
        expect(left("udp/192.0.2.100:53/192.0.2.21:53")).toBe("1 0");
        expect(left("fwm/1/192.0.2.21:53")).toBe("2 0");
    });

    promise("at the deadline the wait is over, whatever is left", () => {
        fresh();
        host.write("proc/net/ip_vs_conn", "TCP C0000201 D431 C0000264 0050 C0000215 0050 ESTABLISHED 9\n");
        const { text, nonce } = renderOutlast([server], 1, 9);
        expect(parseSections(host.run(text).stdout, nonce)["left"]?.trim()).toBe("1 0");
        expect(host.list("run/pulumi-lvs")).toEqual([]);
    });

    for (const key of ["fwm/1", "fwm6/4294967295", "fwm/2147483650", "udp/[2001:db8::1]:53"])
        promise(`the connections of a real server of ${key} are found`, () => {
            fresh().withIpvs();
            const address = /6\/|\[/.test(key) ? "[2001:db8::21]:53" : "192.0.2.21:53";
            const wants = [want("service", key, service()), want("destination", `${key}/${address}`, destination())];
            carryOut(host, create({ wants }));
            host.write("state/active", `${address} 3\n`);
            const state = host.probe();
            const made = plan(remove({ drain: 30 }), state);
            expect(host.batch({ expect: state.sum, plans: [made] }, state).sections["run.draining"]?.trim()).toBe("0");
            const wait = renderWait([`${key}/${address}`], 1);
            expect(parseSections(host.run(wait.text).stdout, wait.nonce)["left"]?.trim()).toBe("3");
        });

    promise(
        "no child that lives on in the background holds the lock",
        () => {
            fresh().withIpvs();
            host.program("perl", "sleep 5");
            const first = carryOut(host, create());
            expect(kept(first.made, first.state)).toBe(true);
            expect(host.run("flock -n /run/pulumi-lvs/lock true; echo $?").stdout.trim()).toBe("0");
        },
        true,
    );

    promise("a lock that somebody holds is said, and nothing is touched", () => {
        fresh().withIpvs();
        const state = host.probe();
        const before = host.picture();
        const script = renderScript({
            expect: state.sum,
            plans: [plan(create(), state)],
            rules: "each",
            timeout: 20,
            settings: [],
        });
        const text = script.text.replace(/flock -w \d+/g, "flock -w 0");
        const { stdout } = host.run(`mkdir -p /run/pulumi-lvs; exec 8>/run/pulumi-lvs/lock; flock 8\n${text}`);
        expect(parseSections(stdout, script.nonce)["run.outcome"]?.trim()).toBe("busy");
        expect(host.picture()).toBe(before);
    });

    promise("the wait for the lock is no part of the time that the work may take", () => {
        fresh().withIpvs();
        const state = host.probe();
        const script = renderScript({
            expect: state.sum,
            plans: [plan(create(), state)],
            rules: "together",
            timeout: 2,
            settings: [],
        });
        const { stdout } = host.run(
            `mkdir -p /run/pulumi-lvs; (flock 8; sleep 3) 8>/run/pulumi-lvs/lock > /dev/null 2>&1 &\nsleep 0.5\n${script.text}`,
        );
        expect(parseSections(stdout, script.nonce)["run.outcome"]).toMatch(/^done \d+ \d+$/m);
    });

    promise(
        "a command that hangs is ended at the limit, and which one it was comes back",
        () => {
            fresh().withIpvs();
            const state = host.probe();
            host.program("modprobe", "sleep 30");
            const made = plan(create({ wants: [want("module", "ip_vs_wlc", true)] }), state);
            const { sections, script } = host.batch({ expect: state.sum, plans: [made], timeout: 1 }, state);
            expect(sections["run.status"]?.trim()).toMatch(/^(124|137|143)$/);
            expect(script.parts[Number(sections["run.at"]?.trim())]!.says).toMatch(/kernel module ip_vs_wlc/);
            expect(host.list("run/pulumi-lvs")).toEqual(["lock"]);
        },
        true,
    );

    promise(
        "what a script that was killed has left in /run goes with the next one that writes, at no process where there is nothing",
        () => {
            fresh().withIpvs();
            const state = host.probe();
            const dead = String(spawnSync("true").pid);
            const runs = { "run.dead": dead, "run.living": String(process.pid), "run.beginning": "" };
            for (const [name, pid] of Object.entries(runs)) {
                host.write(`run/pulumi-lvs/${name}/probe`, "x\n");
                if (pid !== "") host.write(`run/pulumi-lvs/${name}/pid`, `${pid}\n`);
            }
            host.program("rm", 'exec /bin/rm "$@"');
            const removed = () => host.log().filter((line) => /^rm -rf .*\/run\./.test(line));
            host.log();
            host.probe();
            expect(removed()).toHaveLength(1);
            expect(host.list("run/pulumi-lvs")).toEqual(["run.beginning", "run.dead", "run.living"]);
            host.batch({ expect: state.sum, plans: [plan(create(), state)] }, state);
            expect(removed()).toEqual([
                expect.stringContaining("/run.dead"),
                expect.stringMatching(/run\.[0-9a-f]{24}$/),
            ]);
            expect(host.list("run/pulumi-lvs")).toEqual(["lock", "run.beginning", "run.living"]);
            const now = host.probe();
            host.log();
            host.batch({ expect: now.sum, plans: [plan(remove({}), now)] }, now);
            expect(removed()).toHaveLength(1);
        },
        true,
    );

    promise("what ipvsadm will not list is an error, and never a table without services", () => {
        fresh().withIpvs();
        carryOut(host, create());
        for (const listing of ["-Sn", "--thresholds"]) {
            host.write("state/fail", listing);
            expect(() => host.probe()).toThrow();
        }
    });

    promise("what is ours on the host is for root alone, and nobody else can hold the lock", () => {
        fresh().withIpvs();
        const wants = [...WANTS, want("boot", "pulumi-lvs.service", bootValue)];
        carryOut(host, create({ wants }));
        const modes = host.run("ls -ld /var/lib/pulumi-lvs /run/pulumi-lvs; ls -l /var/lib/pulumi-lvs").stdout;
        const lines = modes.split("\n").filter((line) => /^[-d]/.test(line));
        expect(lines).toHaveLength(4);
        expect(lines.filter((line) => !/^[-d]...------/.test(line))).toEqual([]);
    });

    promise(
        "what a killed run left beside the ledger is not taken into it, and does not keep it from going",
        () => {
            fresh().withIpvs();
            host.write("var/lib/pulumi-lvs/.new/0123456789abcdef0123.claims", "pulumi-lvs 1\nowner half");
            const up = carryOut(host, create());
            expect(host.ledger.filter((name) => name.endsWith(".claims"))).toEqual([fileName(requestOf())]);
            expect(kept(up.made, up.state)).toBe(true);
            carryOut(host, remove());
            expect(host.list("var/lib")).toEqual([]);
        },
        true,
    );

    promise("many resources in one script each get their file, and only theirs goes", () => {
        fresh().withIpvs();
        let state = host.probe();
        const wantsOf = (index: number) => [
            want("service", `tcp/192.0.2.${index}:80`, service()),
            want("destination", `tcp/192.0.2.${index}:80/192.0.2.200:80`, destination()),
        ];
        const base = state;
        const plans = [1, 2, 3].map((index) => {
            const made = plan(create({ id: `${index}`, wants: wantsOf(index) }), state);
            state = made.next;
            return made;
        });
        const up = host.batch({ expect: base.sum, plans, rules: "together" }, base);
        expect(resultsOf(up.sections).every((status) => status === 0)).toBe(true);
        expect(plans.every((made) => kept(made, up.state))).toBe(true);
        expect(up.state.ledger.size).toBe(3);
        const down = host.batch({ expect: up.state.sum, plans: [plan(remove({ id: "2" }), up.state)] }, up.state);
        expect([...down.state.ledger.values()].map(({ id }) => id).sort()).toEqual(["1", "3"]);
    });

    promise(
        "a login that talks, a foreign locale and a closed standard error change nothing",
        () => {
            fresh();
            const script = renderScript({
                expect: undefined,
                plans: [],
                rules: "each",
                timeout: 20,
                settings: [],
                inform: true,
            });
            const { stdout } = host.run(
                `echo "Last login: yesterday"\nLC_ALL=de_DE.UTF-8; export LC_ALL\nexec 2>&-\n${script.text}`,
            );
            const sections = parseSections(stdout, script.nonce);
            expect(sections["run.outcome"]).toMatch(/^read /);
            expect(sections["run.end"]).toBeDefined();
        },
        true,
    );

    promise(
        "half a script does nothing, wherever it is cut",
        () => {
            fresh().withIpvs();
            const state = host.probe();
            const text = renderScript({
                expect: state.sum,
                plans: [plan(create(), state)],
                rules: "each",
                timeout: 20,
                settings: [],
            }).text;
            const before = host.picture();
            const cuts = [...Array(25).keys()].map((index) => Math.floor((text.length * index) / 25));
            const near = [1, 2, 3, 5, 8].map((short) => text.trimEnd().length - short);
            host.log();
            for (const cut of [...cuts, ...near]) {
                host.run(text.slice(0, cut));
                expect([cut, host.log()]).toEqual([cut, []]);
            }
            expect(host.picture()).toBe(before);
        },
        true,
    );
});

describe("the script's text", () => {
    const parses = (text: string) =>
        Object.entries(shells).flatMap(([name, [program, ...words]]) => {
            const { status, stderr } = spawnSync(program!, [...words, "-n"], { input: text, encoding: "utf8" });
            return status === 0 && stderr === "" ? [] : [`${name}: ${stderr}`];
        });

    test("of any plan is understood by every shell", () => {
        const hosts = fc.record({
            settings: fc.subarray(WANTS),
            drain: fc.constantFrom(0, 30),
            rules: fc.constantFrom("together" as const, "each" as const),
        });
        fc.assert(
            fc.property(hosts, hosts, (first, second) => {
                const start = stateOf({
                    things: {
                        module: { ip_vs: true },
                        sysctl: { [SYSCTL]: "0" },
                        timeout: { udp: 300 },
                        service: { "udp/192.0.2.1:53": service() },
                    },
                });
                const withParent = (wants: Want[]) =>
                    wants.some(({ kind }) => kind === "destination") ? [...wants, WANTS[4]!] : wants;
                const up = plan(create({ wants: withParent(first.settings) }), start);
                const next = plan(requestOf({ wants: withParent(second.settings), drain: second.drain }), up.next);
                const down = plan(remove({ drain: second.drain }), next.next);
                for (const made of [up, next, down, planUndo(deedOf(next, up.next), next.next)]) {
                    const { text } = renderScript({
                        expect: "1 2",
                        plans: [made],
                        rules: first.rules,
                        timeout: 1,
                        settings: ["net/ipv4/vs/x"],
                        inform: true,
                    });
                    expect(parses(text)).toEqual([]);
                    // The part that runs under the limit is a text of its own.
                    const [, body] = /<<'(?:LVS_[0-9a-f]+)'\n([\s\S]*?)\nLVS_[0-9a-f]+\n/.exec(text) ?? [];
                    expect(parses(body ?? "(")).toEqual([]);
                }
            }),
            { numRuns: 25 },
        );
        expect(parses(renderWait([server, "fwm6/1/[2001:db8::1]:0"], 5).text)).toEqual([]);
    });

    const hostile = fc
        .array(
            fc.constantFrom(
                "'",
                '"',
                "$(touch owned)",
                "`touch owned`",
                ";touch owned;",
                "\\",
                "$IFS",
                "|",
                "&",
                "<",
                ">",
                "*",
                "~",
                "#",
                "%s",
                "\\n",
                "é",
                " ",
                "-",
                "LVS_RULES",
                "EOF",
            ),
            {
                minLength: 1,
                maxLength: 6,
            },
        )
        .map((parts) => parts.join(""));

    test("a value with anything in it reaches a command as the word that it is, or is refused", () => {
        host = new Sandbox();
        fc.assert(
            fc.property(hostile, hostile, (value, key) => {
                const text = commandLine([
                    { run: ["printf", "%s", value] },
                    { script: 'printf "%s" "$1$2"', words: [key], texts: [`\n${value}`] },
                ]);
                const { stdout } = host.run(text);
                expect(stdout).toBe(`${value}${key}\n${value}`);
                expect(host.list(".")).not.toContain("owned");
            }),
            { numRuns: 150 },
        );
    });

    test("a line break or a control character in a value is refused before there is a script", () => {
        for (const odd of ["\n", "\r", "\0", "\u001b", "\u2028", "\ud800"]) {
            const wants = [want("sysctl", SYSCTL, `1${odd}touch owned`)];
            expect(() => plan(create({ wants }), stateOf({ things: { sysctl: { [SYSCTL]: "0" } } }))).toThrow(
                /character|Unicode/,
            );
        }
    });

    test("nothing but rules goes into the lines for ipvsadm -R", () => {
        const odd = { ...(service() as Record<string, never>), scheduler: "wlc\nLVS_RULES\ntouch owned" };
        const start = stateOf({});
        expect(() => {
            const made = plan(create({ wants: [want("service", SERVICE, odd)] }), start);
            return renderScript({ expect: "1", plans: [made], rules: "together", timeout: 1, settings: [] });
        }).toThrow();
    });

    test("a setting of an interface with an odd name is read, and a path that is none is not", () => {
        const render = (settings: string[]) =>
            renderScript({ expect: undefined, plans: [], rules: "each", timeout: 1, settings }).text;
        const line = (text: string) => /^LVS_SETTINGS=(.*)$/m.exec(text)![1];
        expect(line(render(["net/ipv4/conf/eth0.1@x:y+z/arp_ignore"]))).toContain("eth0.1@x:y+z");
        expect(line(render(["net/$(touch owned)/x", "net/* y"]))).toBe("''");
    });

    test("a real server's name in a listing is what ipvsadm prints", () => {
        expect(listingName("tcp/192.0.2.100:80/192.0.2.21:80")).toBe("TCP 192.0.2.100:80 192.0.2.21:80");
        expect(listingName("sctp/[2001:db8::1]:9/[2001:db8::2]:9")).toBe("SCTP [2001:db8::1]:9 [2001:db8::2]:9");
        expect(listingName("fwm/1/192.0.2.21:0")).toBe("FWM 1 192.0.2.21:0");
        expect(listingName("fwm6/4294967295/[2001:db8::2]:0")).toBe("FWM6 -1 [2001:db8::2]:0");
    });
});

describe("at boot", () => {
    const bootScript = bootFiles[`${LEDGER_DIRECTORY}/boot`]!.text;
    const boot = () => host.run(bootScript);
    const made = (wants: Want[], over: Parameters<typeof requestOf>[0] = {}) =>
        [
            ...plan(
                create({ wants, ...over }),
                stateOf({ things: { module: {}, sysctl: { [SYSCTL]: "0" } } }),
            ).afterwards.values(),
        ][0]!;
    const place = (file: ReturnType<typeof made>) =>
        host.write(`var/lib/pulumi-lvs/${fileName(file)}`, host.moved(renderLedger(file)));
    const rules = WANTS.filter(({ kind }) => ["service", "destination"].includes(kind));
    const fresh = () => {
        host = new Sandbox(shell).withIpvs();
        host.program("sleep", "");
        host.log();
    };
    const VIP6 = "eth0/2001:db8::100/128";

    promise(
        "every claim of every file is set, in the order of the ranks across the files",
        () => {
            fresh();
            place(made(rules));
            place(made([want("address", VIP, { deprecated: false }), want("sysctl", SYSCTL, "1")], { id: "other" }));
            const { status, stderr } = boot();
            expect([status, stderr]).toEqual([0, ""]);
            const lines = host.log().filter((line) => !/^(perl|ip -|find|grep|sleep)/.test(line));
            expect(lines.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
                "ipvsadm -A",
                "ipvsadm -a",
                "ip addr",
            ]);
            expect(host.read("proc/sys/net/ipv4/vs/conntrack")).toBe("1\n");
        },
        true,
    );

    promise("a second run changes nothing and fails at nothing", () => {
        fresh();
        place(made([...rules, want("address", VIP, { deprecated: false })]));
        boot();
        const after = host.picture();
        expect([boot().status, host.picture()]).toEqual([0, after]);
    });

    promise("another machine, a newer format and a file that asks not to be are left alone", () => {
        fresh();
        host.write("var/lib/pulumi-lvs/a.claims", renderLedger({ ...made(rules), machine: "m2 u2" }));
        host.write("var/lib/pulumi-lvs/b.claims", renderLedger({ ...made(rules), boot: false }));
        host.write("var/lib/pulumi-lvs/c.claims", renderLedger(made(rules)).replace("pulumi-lvs 1", "pulumi-lvs 2"));
        expect(boot().status).toBe(0);
        expect(host.log().filter((line) => !line.startsWith("ip -br"))).toEqual([]);
    });

    for (const [name, id, uuid] of [
        ["machine-id and no UUID", "m1\n", ""],
        ["a UUID and no machine-id", "", "u1\n"],
        ["neither", "", ""],
        ["both", "m1\n", "u1\n"],
    ] as const)
        promise(`a machine with ${name} knows its own files`, () => {
            fresh();
            host.write("etc/machine-id", id);
            host.write("sys/class/dmi/id/product_uuid", uuid);
            const up = carryOut(host, create({ wants: rules }));
            expect(kept(up.made, up.state)).toBe(true);
            host.write("state/table", "");
            boot();
            expect(host.read("state/table")).toMatch(/192\.0\.2\.21:80/);
        });

    promise(
        "after a line that failed the later ranks of that file are left out, and of no other",
        () => {
            fresh();
            host.write("state/fail", "192.0.2.100:80");
            place(made([...rules, want("address", VIP, { deprecated: false })]));
            place(made([want("address", "lo/192.0.2.7/32", { deprecated: false })], { id: "other" }));
            const { status, stderr } = boot();
            expect(status).not.toBe(0);
            expect(stderr).toMatch(/refused by order/);
            expect(stderr).toMatch(/address eth0.*left out/);
            expect(host.read("state/address")).not.toMatch(/192\.0\.2\.100/);
            expect(host.read("state/address")).toMatch(/192\.0\.2\.7/);
        },
        true,
    );

    promise("a unit that will have failed leaves announcements the time that they take, without the lock", () => {
        fresh();
        // Whether the lock is free then, is asked in sleep's place.
        host.program("sleep", '[ "$1" != 3 ] || flock -n $R/run/pulumi-lvs/lock echo free >> $R/state/slept');
        place(made(rules));
        expect([boot().status, host.read("state/slept")]).toEqual([0, ""]);
        host.write("state/table", "");
        host.write("state/fail", "192.0.2.100:80");
        expect([boot().status, host.read("state/slept")]).toEqual([1, "free\n"]);
    });

    promise(
        "a default route waits a little for its router's network, and fails with the kernel's words",
        () => {
            fresh();
            host.program("sleep", "exit 0");
            host.program(
                "ip",
                'n=$(cat $R/state/tries); echo $((n - 1)) > $R/state/tries; [ "$n" -le 0 ] || { echo "Nexthop has invalid gateway" >&2; exit 2; }',
            );
            const { key, value } = defaultRoute("10.0.0.1");
            const line = commandLine(kindOf("route").boot!(key, value));
            const having = (failures: number) => {
                host.write("state/tries", `${failures}\n`);
                const { status, stderr } = host.run(line);
                return [status, stderr];
            };
            expect(having(0)).toEqual([0, ""]);
            expect(having(5)).toEqual([0, ""]);
            expect(
                host.log().filter((each) => each === "ip -4 route replace default via 10.0.0.1 proto static"),
            ).toHaveLength(7);
            expect(having(6)).toEqual([1, "Nexthop has invalid gateway\n"]);
        },
        true,
    );

    promise(
        "what takes router advertisements goes on when the host forwards IPv6, as the kernel gives a number",
        () => {
            fresh();
            // Dash and busybox read byte by byte, and a number's second byte the kernel does not give them.
            const conf = (device: string, acceptRa: string, forwarding: string) => {
                host.write(`proc/sys/net/ipv6/conf/${device}/accept_ra`, acceptRa);
                host.write(`proc/sys/net/ipv6/conf/${device}/forwarding`, forwarding);
            };
            conf("all", "1", "0");
            conf("eth0", "1", "0");
            conf("eth1", "0", "0");
            conf("eth2", "1", "1");
            host.write("proc/sys/net/ipv6/conf/odd/forwarding", "0");
            const { status, stderr } = host.run(commandLine(kindOf("forwarding").set("ipv6", { on: true }, undefined)));
            expect([status, stderr]).toEqual([0, ""]);
            const now = ["all", "eth0", "eth1", "eth2"].map((each) =>
                host.read(`proc/sys/net/ipv6/conf/${each}/accept_ra`),
            );
            expect(now).toEqual(["1", "2\n", "0", "1"]);
            expect(host.read("proc/sys/net/ipv6/conf/all/forwarding")).toBe("1\n");
        },
        true,
    );

    promise("lines of the same rank do not leave one another out", () => {
        fresh();
        host.write("state/fail", "192.0.2.21:80");
        const other = want("destination", serverKey("192.0.2.22"), destination());
        place(made([...rules, other, want("address", VIP, { deprecated: false })]));
        const { status, stderr } = boot();
        expect(status).not.toBe(0);
        expect(stderr).toMatch(/VirtualService\/web of org\/shop\/prod: destination .*192\.0\.2\.21:80: refused/);
        expect(host.read("state/table")).toMatch(/192\.0\.2\.22:80/);
        expect(host.read("state/address")).not.toMatch(/192\.0\.2\.100/);
    });

    promise(
        "of two files that claim one object the newer one's value holds, and what failed fails for both",
        () => {
            for (const [first, second] of [
                [1, 2],
                [2, 1],
            ] as const) {
                fresh();
                const claims = (value: string, sequence: number, id: string) => {
                    const file = made(
                        [want("sysctl", SYSCTL, value), want("address", `lo/192.0.2.${id}/32`, { deprecated: false })],
                        { id },
                    );
                    place({ ...file, sequence });
                };
                claims("1", first, "7");
                claims("0", second, "8");
                expect([boot().status, host.read("proc/sys/net/ipv4/vs/conntrack")]).toEqual([
                    0,
                    first > second ? "1\n" : "0\n",
                ]);
                expect(
                    host
                        .read("state/address")
                        .match(/192\.0\.2\.[78]\//g)
                        ?.sort(),
                ).toEqual(["192.0.2.7/", "192.0.2.8/"]);

                host.write("state/address", "");
                spawnSync("rm", ["-r", `${host.root}/proc/sys/net/ipv4/vs`]);
                const { status, stderr } = boot();
                expect(status).not.toBe(0);
                expect(stderr).toMatch(/sysctl net\.ipv4\.vs\.conntrack: .*vs\/conntrack/);
                expect(stderr.match(/left out/g)).toHaveLength(2);
                expect(host.read("state/address")).toBe("");
            }
        },
        true,
    );

    /** What says at boot that another host has an IPv4 address. */
    const answered = {
        perl: 'case "$*" in *192.0.2.100) echo "reply from 192.0.2.100 [02:00:00:00:00:07]"; exit 3 ;; esac',
        arping: 'case "$*" in -V) echo BusyBox v1.35.0 ;; *-D*) echo "Unicast reply from 192.0.2.100 [02:00:00:00:00:07]"; exit 1 ;; esac',
    };

    promise(
        "an address that another host answers for is not added, of either family",
        () => {
            for (const [program, text] of Object.entries(answered)) {
                fresh();
                if (program === "arping") host.program("perl", "exit 127");
                host.program(program, text);
                host.write("state/elsewhere", "2001:db8::100/128");
                place(made([want("address", VIP, { deprecated: false }), want("address", VIP6, { deprecated: true })]));
                place(made([want("address", "eth0/2001:db8::7/128", { deprecated: true })], { id: "other" }));
                const { status, stderr } = boot();
                expect(status).not.toBe(0);
                expect(stderr).toMatch(/192\.0\.2\.100 is answered for on eth0 by another host.*02:00:00:00:00:07/);
                expect(stderr).toMatch(/2001:db8::100 is answered for on eth0 by another host/);
                expect(host.read("state/address")).not.toMatch(/192\.0\.2\.100|db8::100/);
                expect(host.read("state/address")).toMatch(/inet6 2001:db8::7\/128/);
            }
        },
        true,
    );

    promise("where nobody can be asked, an address is not added, and the reason is the true one", () => {
        fresh();
        host.write("state/down", "eth0");
        host.program("perl", "echo Network is down; exit 4");
        place(made([want("address", VIP, { deprecated: false })]));
        const { status, stderr } = boot();
        expect(status).not.toBe(0);
        expect(stderr).toMatch(/cannot be asked on eth0: not added: Network is down/);
        expect(stderr).not.toMatch(/answered for/);
        expect(host.log().filter((line) => line === "sleep 1")).toHaveLength(5);
    });

    promise(
        "an arping of another make, whose -D means the opposite, is as good as none: not added, not announced",
        () => {
            fresh();
            host.program("perl", "exit 127");
            host.program("arping", 'case $1 in -V) echo "ARPing 2.23, by Thomas Habets"; exit 1 ;; esac');
            place(made([want("address", VIP, { deprecated: false })]));
            const { status, stderr } = boot();
            expect(status).not.toBe(0);
            expect(stderr).toMatch(/cannot be asked on eth0: not added: the host has neither perl nor iputils' arping/);
            expect(host.read("state/address")).not.toContain("192.0.2.100");
            expect(host.log().filter((line) => line.startsWith("arping"))).toEqual(["arping -V"]);
        },
    );

    promise("an address that is there already is not asked for again", () => {
        fresh();
        place(made([want("address", VIP, { deprecated: false })]));
        boot();
        host.program("perl", answered.perl);
        expect(boot()).toMatchObject({ status: 0, stderr: "" });
    });

    promise("the ledger of another machine is named and does nothing", () => {
        fresh();
        place({ ...made(rules), machine: "m2 u2" });
        const { status, stderr } = boot();
        expect([status, host.log().filter((line) => line.startsWith("ipvsadm"))]).toEqual([0, []]);
        expect(stderr).toMatch(/was written on another machine \(m2 u2; this is m1 u1\): it is left alone/);
    });

    promise(
        "after systemd-networkd has read a changed file, addresses and routes come back, and only then and only they",
        () => {
            fresh();
            const network = () => host.run(`set -- network\n${bootScript}`);
            host.program("systemctl", "exit 1");
            place(made([...rules, defaultRoute("10.0.0.1"), want("address", VIP, { deprecated: false })]));
            boot();
            const route = host.read("state/route");
            expect(route).toMatch(/via 10\.0\.0\.1/);
            const address = host.read("state/address");
            const dropped = address.replace(/.*192\.0\.2\.100.*\n/, "");
            // By hand: no file has changed.
            host.write("state/address", dropped);
            host.write("state/table", "");
            expect([network().status, host.read("state/address")]).toEqual([0, dropped]);
            // Nothing is missing yet when the file is written; networkd is told later.
            host.write("state/address", address);
            host.write("etc/systemd/network/10-eth0.network", "[Match]\n");
            network();
            host.write("state/address", dropped);
            host.write("state/route", "");
            expect([network().status, host.read("state/address"), host.read("state/table")]).toEqual([0, address, ""]);
            expect(host.read("state/route")).toBe(route);
            host.write("state/address", dropped);
            expect([network().status, host.read("state/address")]).toEqual([0, dropped]);
        },
        true,
    );

    promise(
        "after NetworkManager has configured an interface addresses come back, once, and in order where the unit had failed",
        () => {
            fresh();
            const configured = () => host.write("run/pulumi-lvs/configured", "");
            const network = () => host.run(`set -- network\n${bootScript}`);
            host.program("systemctl", "exit 1");
            place(made([...rules, want("address", VIP, { deprecated: false })]));
            boot();
            const address = host.read("state/address");
            const dropped = address.replace(/.*192\.0\.2\.100.*\n/, "");
            const lose = () => {
                host.write("state/address", dropped);
                host.write("state/table", "");
            };
            lose();
            configured();
            expect([network().status, host.read("state/address"), host.read("state/table")]).toEqual([0, address, ""]);
            lose();
            expect([network().status, host.read("state/address")]).toEqual([0, dropped]);

            host.program("systemctl", 'case " $* " in *" is-failed "*) exit 0 ;; esac; echo "$*" >> $R/state/asked');
            configured();
            expect([network().status, host.read("state/address")]).toEqual([0, dropped]);
            expect(host.read("state/asked")).toBe("--no-block start pulumi-lvs.service\n");
        },
        true,
    );

    promise(
        "any command arrives as it was written",
        () => {
            fresh();
            const texts = fc
                .array(
                    fc.oneof(
                        fc.constantFrom("\\", "\\n", "\\\\0101", "\\c", "%s", "\n", "\t", "'", '"', "$x", "é", " "),
                        fc.string({ maxLength: 3 }),
                    ),
                    { maxLength: 6 },
                )
                .map((parts) => parts.join("").replace(/[\r\0]/g, ""));
            fc.assert(
                fc.property(texts, (text) => {
                    const command = `printf '%s' '${text.replaceAll("'", "'\\''")}' > ${host.root}/state/said`;
                    const file = { ...made([want("sysctl", SYSCTL, "1")]) };
                    host.write(
                        `var/lib/pulumi-lvs/${fileName(file)}`,
                        renderLedger({ ...file, claims: [{ ...file.claims[0]!, command }] }),
                    );
                    boot();
                    expect(host.read("state/said")).toBe(text);
                }),
                { numRuns: 40 },
            );
        },
        true,
    );

    promise("masquerading that is there already is not added a second time", () => {
        fresh();
        host.program(
            "nft",
            `case "$*" in
"add rule"*) echo "$*" >> $R/state/nft ;;
*"list chain"*) sed 's/$/ # handle 7/' $R/state/nft ;;
"delete rule"*) : > $R/state/nft ;;
esac`,
        );
        host.write("state/nft", "");
        place(made([want("masquerade", "10.0.0.0/8 0.0.0.0/0", true)]));
        boot();
        boot();
        expect(host.read("state/nft").trim().split("\n")).toHaveLength(1);
    });

    promise("a module parameter that is right already is left alone, whatever uses the module", () => {
        fresh();
        host.run("ipvsadm -A -t 192.0.2.9:80 -s rr");
        host.log();
        place(made([want("parameter", "ip_vs.conn_tab_bits", "12")]));
        expect(boot().status).toBe(0);
        expect(host.log().filter((line) => line.startsWith("modprobe"))).toEqual([]);
        place(made([want("parameter", "ip_vs.conn_tab_bits", "14")]));
        expect(boot().stderr).toMatch(/carries services/);
    });

    promise("the unit is made, known by its value, and goes with its last claim", () => {
        fresh();
        const before = host.list("etc/systemd/system");
        const wants = [want("boot", "pulumi-lvs.service", bootValue), want("sysctl", SYSCTL, "1")];
        const up = carryOut(host, create({ wants }));
        expect(resultsOf(up.sections).every((status) => status === 0)).toBe(true);
        expect(valueAt(up.state, "boot", "pulumi-lvs.service")).toBe(bootValue);
        expect(host.read("var/lib/pulumi-lvs/boot").replaceAll(host.root, "")).toBe(bootScript);
        carryOut(host, remove());
        expect(host.list("etc/systemd/system").filter((name) => name !== "multi-user.target.wants")).toEqual(before);
        expect(host.list("etc/systemd/system/multi-user.target.wants")).toEqual([]);
        expect(host.list("var/lib")).toEqual([]);
    });
});
