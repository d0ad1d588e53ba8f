/** The queue of a host over real scripts: what joins, what waits, what is taken back. Only SSH is left out. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Group, Value } from "../../../provider/kinds";
import { defaultRoute } from "../../../provider/kinds/route";
import type { Want } from "../../../provider/kinds/want";
import { LeftBehind } from "../../../provider/reconcile/errors";
import { Host, type Outcome } from "../../../provider/reconcile/host";
import { fileName } from "../../../provider/reconcile/ledger";
import {
    create as createResource,
    type HostPart,
    read,
    remove as removeResource,
    type Surroundings,
    update,
} from "../../../provider/reconcile/lifecycle";
import { type Plan, plan, type Request } from "../../../provider/reconcile/plan";
import type { HostState } from "../../../provider/reconcile/state";
import type { Connection } from "../../../provider/ssh/connection";
import { ConnectionError } from "../../../provider/ssh/errors";
import { Sandbox } from "./sandbox";
import { destination, requestOf, SERVICE, SYSCTL, serverKey, service, VIP, want } from "./world";

const sandboxes = new Map<string, Sandbox>();
/** What happens to the next scripts on their way; `run` lets them through. */
type Way = (run: () => Promise<unknown>, script: string) => Promise<unknown>;
const ways: Way[] = [];
let sent: string[] = [];

jest.mock("../../../provider/ssh/session", () => ({
    runScript: async (connection: { host: string }, script: string) => {
        sent.push(script);
        const run = () => sandboxes.get(connection.host)!.start(script);
        return (ways.shift() ?? ((go: () => Promise<unknown>) => go()))(run, script);
    },
}));

const lost = (wasSent: boolean) =>
    new ConnectionError({
        kind: "lost",
        host: "dir",
        doing: "running a script",
        reason: "gone",
        remedy: "",
        sent: wasSent,
    });
const groups: Group[] = ["ipvs", "ipvs.host", "filter", "tunnel"];
let said: string[] = [];
let counter = 0;

function host(name = "dir"): Host {
    const made = new Host({ host: name } as unknown as Connection);
    made.options = { commandTimeout: 20, say: (line) => said.push(line) };
    return made;
}
const submit = (on: Host, request: Request, settings: string[] = [], seen: Group[] = groups): Promise<Outcome> =>
    on.submit({ says: request.id, settings, groups: seen, plan: (state) => plan(request, state) });
const create = (id: string, wants: Want[], over: Parameters<typeof requestOf>[0] = {}) =>
    requestOf({ creating: true, id, wants, ...over });
const remove = (id: string, over: Parameters<typeof requestOf>[0] = {}) => requestOf({ phase: "delete", id, ...over });
const web = (index: number): Want[] => [
    want("module", "ip_vs", true),
    want("service", `tcp/192.0.2.${index}:80`, service()),
    want("destination", `tcp/192.0.2.${index}:80/192.0.2.200:80`, destination()),
];
const sandbox = () => sandboxes.get("dir")!;
const until = async (condition: () => boolean) => {
    for (let round = 0; round < 600 && !condition(); round++) await new Promise((resolve) => setTimeout(resolve, 25));
    expect(condition()).toBe(true);
};

beforeEach(() => {
    sent = [];
    said = [];
    ways.length = 0;
    counter++;
    sandboxes.set("dir", new Sandbox().withIpvs());
});
afterEach(() => sandboxes.clear());

test("operations that arrive together are one look and one script", async () => {
    const on = host();
    const outcomes = await Promise.all(
        [...Array(12).keys()].map((index) => submit(on, create(`${index}`, web(index + 1)))),
    );
    expect(outcomes.map(({ known }) => known)).toEqual(Array(12).fill(false));
    expect(sent.length).toBeLessThanOrEqual(2);
    expect(sandbox().ledger).toHaveLength(12);
    expect(sandbox().read("state/table").match(/^S/gm)).toHaveLength(12);
});

test("one operation that fails is taken back and named, and its neighbours are done", async () => {
    const on = host();
    sandbox().write("state/fail", "192.0.2.3:80");
    const results = await Promise.allSettled([1, 2, 3, 4].map((index) => submit(on, create(`${index}`, web(index)))));
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    expect(String((results[2] as PromiseRejectedResult).reason)).toMatch(
        /virtual service tcp\/192\.0\.2\.3:80.*refused by order.*compensated/s,
    );
    expect(sandbox().ledger.sort()).toEqual([1, 2, 4].map((index) => fileName(requestOf({ id: `${index}` }))).sort());
});

test("an operation that fails in its middle leaves the host as it was found", async () => {
    const on = host();
    const before = sandbox().picture();
    sandbox().write("state/fail", "addr");
    const wants = [
        ...web(1),
        want("sysctl", SYSCTL, "1"),
        want("forwarding", "ipv4", { on: true }),
        want("address", VIP, { deprecated: false }),
    ];
    await expect(submit(on, create("a", wants))).rejects.toThrow(/address.*compensated/s);
    sandbox().run("rm -f state/fail");
    expect(sandbox().picture()).toBe(before);
});

test("what an operation needs to see is seen before it is planned, though a script was under way when it came", async () => {
    const on = host();
    sandbox().setting("net/core/somaxconn", "128");
    let second: Promise<Outcome> | undefined;
    // The first operation's script is out when the second operation arrives with a setting that was never read.
    ways.push(
        (run) => run(),
        async (run) => {
            const answer = await run();
            second = submit(on, create("b", [want("sysctl", "net.core.somaxconn", "4096")]), ["net.core.somaxconn"]);
            return answer;
        },
    );
    await submit(on, create("a", web(1)));
    const { state } = await second!;
    const file = state.ledger.get(fileName(requestOf({ id: "b" })))!;
    expect(file.claims[0]!.found).toEqual({ state: "present", value: "128" });
    expect(file.machine).toBe("m1 u1");
    await submit(on, remove("b"), ["net.core.somaxconn"]);
    expect(sandbox().read("proc/sys/net/core/somaxconn")).toBe("128\n");
});

test("a part of the probe that nobody asked for yet is read before a release, though a script was under way", async () => {
    const first = host();
    const link = want("link", "lvs-ipip-1234", { type: "ipip", local: "10.0.0.1" });
    await submit(first, create("tunnel", [link]));
    const on = host();
    let second: Promise<Outcome> | undefined;
    ways.push(
        (run) => run(),
        async (run) => {
            const answer = await run();
            second = submit(on, remove("tunnel"), [], ["tunnel"]);
            return answer;
        },
    );
    await submit(on, create("a", web(1)), [], ["ipvs"]);
    await second!;
    expect(sandbox().list("sys/class/net")).toEqual([]);
});

test("a look while a script runs neither breaks it nor is taken for its end", async () => {
    const on = host();
    await Promise.all([
        submit(on, create("a", web(1))),
        ...[...Array(5).keys()].map(async (index) => {
            await new Promise((resolve) => setTimeout(resolve, index * 60));
            await on.read([`net.ipv4.conf.lo.${index}`]);
        }),
    ]);
    const { state } = await submit(on, remove("a"));
    expect(state.ledger.size).toBe(0);
    expect(sandbox().list("var/lib")).toEqual([]);
});

test("an answer that was lost after everything was done is found out, and nothing is done twice", async () => {
    const on = host();
    ways.push(
        (run) => run(),
        async (run) => {
            await run();
            throw lost(true);
        },
    );
    sandbox().log();
    await submit(on, create("a", web(1)));
    const adds = sandbox()
        .log()
        .filter((line) => /^ipvsadm (-R|-A)/.test(line));
    expect(adds).toHaveLength(1);
    expect(sandbox().read("state/table").match(/^[SD]/gm)).toHaveLength(2);
});

test("a damaged ledger file that is to go is something to do, though nothing else is", async () => {
    await submit(host(), create("a", web(1)));
    const [name = ""] = sandbox().ledger;
    sandbox().write(`var/lib/pulumi-lvs/${name}`, "damaged\n");
    const nothing = requestOf({ phase: "delete", id: "b" });
    const forget = (state: HostState): Plan => ({
        ...plan(nothing, { ...state, unreadable: new Map() }),
        afterwards: new Map([[name, undefined]]),
    });
    await host().submit({ says: "forget", settings: [], groups, plan: forget });
    expect(sandbox().ledger).toEqual([]);
});

test("a script that never left is an error, and the host is as it was", async () => {
    const on = host();
    const before = sandbox().picture();
    ways.push(
        (run) => run(),
        async () => {
            throw lost(false);
        },
    );
    await expect(submit(on, create("a", web(1)))).rejects.toThrow(/gone/);
    expect(sandbox().picture()).toBe(before);
});

test("when the host is lost after a first pass, the error says what is left there", async () => {
    sandboxes.set("dir", new Sandbox());
    const on = host();
    const dead: Way = async () => {
        throw lost(false);
    };
    const wants = [...web(1), want("sysctl", SYSCTL, "1")];
    ways.push(
        (run) => run(),
        (run) => run(),
        dead,
        dead,
        dead,
        dead,
        dead,
        dead,
    );
    await expect(submit(on, create("a", wants))).rejects.toThrow(/Left on .*module ip_vs/s);
});

describe("what came back of a script is an error with a code of its own", () => {
    /** What is wrong with the host, and what is said of it. */
    const troubles: [string, () => void, RegExp][] = [
        [
            "LVS-BUSY",
            () => sandbox().program("flock", "exit 1"),
            /dir.*take the lock: another run holds it for more than 30 s.*Wait for it to end.*nothing was touched/s,
        ],
        [
            "LVS-RUN",
            () => {
                rmSync(join(sandbox().root, "run"), { recursive: true });
                sandbox().write("run", "");
            },
            /dir.*look at the host: \/run cannot be written: .*Work as root, or set `sudo: true`/s,
        ],
        [
            "LVS-SCRIPT",
            () => sandbox().program("timeout", 'echo "no room" >&2; exit 1'),
            /dir.*look at the host: the script ended with status 1: no room.*Is \/run full or read-only\?/s,
        ],
        [
            "LVS-TIMEOUT",
            () => sandbox().program("timeout", "exit 124"),
            /dir.*look at the host: it took more than 20 s and was ended.*lvs:commandTimeout/s,
        ],
        [
            "LVS-ANSWER",
            () => ways.push(async () => ({ status: 3, signal: null, stdout: "Welcome!", stderr: "no job control" })),
            /dir.*look at the host: the answer is not whole \(status 3\): Welcome! \/ no job control.*POSIX sh/s,
        ],
    ];
    test.each(troubles)("%s", async (code, trouble, said) => {
        trouble();
        const before = sandbox().picture();
        const error = await submit(host(), create("a", web(1))).catch((each: Error) => each);
        expect(error).toMatchObject({ code, message: expect.stringMatching(said) });
        expect(sandbox().picture()).toBe(before);
    });

    test("LVS-ANSWER, after the changes were made: they are taken back", async () => {
        const before = sandbox().picture();
        ways.push(
            (run) => run(),
            async (run) => {
                const answer = (await run()) as { stdout: string };
                return { ...answer, stdout: answer.stdout.slice(0, 100) };
            },
        );
        const error = await submit(host(), create("a", web(1))).catch((each: Error) => each);
        expect(error).toMatchObject({ code: "LVS-ANSWER", message: expect.stringContaining("compensated") });
        expect(sandbox().picture()).toBe(before);
    });

    test("LVS-VERIFY: every command succeeded, and the host has another value", async () => {
        const before = sandbox().picture();
        sandbox().program("ip", 'case "$*" in "-o addr show") cat $R/state/address ;; esac');
        const asked = create("a", [want("address", VIP, { deprecated: false })]);
        const error = await submit(host(), asked).catch((each: Error) => each);
        expect(error).toMatchObject({
            code: "LVS-VERIFY",
            message: expect.stringMatching(
                /dir.*address eth0\/192\.0\.2\.100\/32: asked for \{"deprecated":false\}, the host then has nothing.*another program.*compensated/s,
            ),
        });
        expect(sandbox().picture()).toBe(before);
    });
});

describe("what may be left on a host is an error of its own sort, and says what and where:", () => {
    const dead: Way = async () => {
        throw lost(false);
    };
    const error = (on: Host) => submit(on, create("a", web(1))).catch((each: Error) => each);

    test("whether it was done is not known", async () => {
        ways.push((run) => run());
        ways.push(async () => {
            throw lost(true);
        }, dead);
        const told = await error(host());
        expect(told).toBeInstanceOf(LeftBehind);
        expect(String(told)).toMatch(
            /Whether it was done is not known: dir: .*gone\. Left on .*dir.*, if so: .*service tcp\/192\.0\.2\.1:80.*run it again/s,
        );
    });

    test("taking it back failed", async () => {
        sandbox().write("state/fail", "-R");
        sandbox().program("rm", 'case "$*" in *.claims*) exit 1 ;; esac; exec /bin/rm "$@"');
        sandbox().program("ipvsadm", 'case "$*" in -L*|-S*) exit 0 ;; esac; echo "refused by order" >&2; exit 255');
        const told = await error(host());
        expect(told).toBeInstanceOf(LeftBehind);
        expect(String(told)).toMatch(
            /refused by order.*Taking it back failed too: .*Left on .*dir.*: .*service tcp\/192\.0\.2\.1:80.*run it again/s,
        );
    });
});

test("a real server with connections is waited for beside other work, and goes when they end", async () => {
    const on = host();
    const wants = [
        want("module", "ip_vs", true),
        want("service", SERVICE, service()),
        want("destination", serverKey("192.0.2.21"), destination()),
    ];
    await submit(on, create("a", wants));
    sandbox().write("state/active", "192.0.2.21:80 4\n");
    let ended = false;
    const going = submit(on, remove("a", { drain: 60 })).then((outcome) => {
        ended = true;
        return outcome;
    });
    await until(() => /-w 0/.test(sandbox().read("state/table")));
    await submit(on, create("b", web(9)));
    expect(ended).toBe(false);
    expect(sandbox().read("state/table")).toMatch(/192\.0\.2\.100:80/);
    sandbox().write("state/active", "");
    const { state } = await going;
    expect(state.ledger.size).toBe(1);
    expect(sandbox().read("state/table")).not.toMatch(/192\.0\.2\.100:80/);
});

test("what another process has claimed since is looked at before it is released, also where this one never had such objects", async () => {
    const [one, two] = [host(), host()];
    const setting = [want("sysctl", SYSCTL, "1")];
    await submit(one, create("a", setting), [SYSCTL], []);
    await submit(two, requestOf({ id: "a", wants: web(1) }));
    expect(sandbox().read("state/table")).toMatch(/192\.0\.2\.1:80/);
    await submit(one, requestOf({ id: "a", wants: setting }), [SYSCTL], []);
    expect(sandbox().read("state/table")).toBe("");
});

test("two processes at once on one host each get what they asked for, and leave nothing when they go", async () => {
    const [one, two] = [host(), host()];
    const shared = [...web(1), want("sysctl", SYSCTL, "1")].filter(({ kind }) => kind !== "destination");
    const before = sandbox().picture();
    const own = (index: number) => [
        ...shared,
        want("destination", `tcp/192.0.2.1:80/192.0.2.${index}:80`, destination()),
    ];
    const all = [...Array(6).keys()].map((index) => ({
        on: index % 2 === 0 ? one : two,
        id: `${index}`,
        wants: own(index + 10),
    }));
    await Promise.all(all.map(({ on, id, wants }) => submit(on, create(id, wants))));
    expect(sandbox().ledger).toHaveLength(6);
    expect(sandbox().read("state/table").match(/^D/gm)).toHaveLength(6);
    for (const { on, id } of all) await submit(on, remove(id));
    expect(sandbox().picture()).toBe(before);
});

describe("over several hosts", () => {
    const around = (): Surroundings => ({ commandTimeout: 20, onUnreachable: "fail", say: (line) => said.push(line) });
    const part = (name: string, wants: Want[], role: HostPart["role"] = "director"): HostPart =>
        ({
            role,
            connection: { host: name } as unknown as Connection,
            boot: true,
            settings: [],
            drain: 0,
            wants: () => wants,
            findings: () => [],
        }) as unknown as HostPart;
    const identity = { owner: "org/shop/prod#RealServer/a", id: "a", token: "t1" };
    const manner = { adopt: false, deleteForeign: false };
    /** Names of their own: queues outlive a test. */
    const names = () => {
        const list = ["rs1", "rs2", "dir"].map((each) => `${each}-${counter}`);
        for (const name of list) sandboxes.set(name, new Sandbox().withIpvs());
        return list as [string, string, string];
    };

    test("when one host fails, every other one is taken back, even where taking back fails on one of them", async () => {
        const [rs1, rs2, dir] = names();
        const before = sandboxes.get(rs1)!.picture();
        const parts = [
            part(rs1, [want("address", "lo/192.0.2.100/32", { deprecated: false })], "realServer"),
            part(rs2, [want("address", "lo/192.0.2.100/32", { deprecated: false })], "realServer"),
            part(dir, web(1)),
        ];
        sandboxes.get(dir)!.write("state/fail", "-R");
        sandboxes
            .get(dir)!
            .program("ipvsadm", 'case "$*" in -L*|-S*) exit 0 ;; esac; echo "refused by order" >&2; exit 255');
        sandboxes
            .get(rs2)!
            .program(
                "ip",
                'case "$*" in *"addr del"*) echo "cannot" >&2; exit 2 ;; "-o addr show") cat $R/state/address ;; "addr add "*) echo "1: lo    inet $3 scope global lo" >> $R/state/address ;; esac',
            );
        await expect(createResource(identity, parts, manner, around())).rejects.toThrow(
            new RegExp(`taking it back failed.*On .*${rs1}.* it was taken back`, "s"),
        );
        expect(sandboxes.get(rs1)!.picture()).toBe(before);
    });

    test("a resource that moves to another machine gives back there what it found there", async () => {
        const [rs1, rs2] = names();
        const wants = [want("sysctl", SYSCTL, "1")];
        sandboxes.get(rs2)!.write("etc/machine-id", "m2\n");
        await createResource(identity, [part(rs1, wants)], manner, around());
        await update(identity, { identity, parts: [part(rs1, wants)] }, [part(rs2, wants)], manner, around());
        expect(sandboxes.get(rs1)!.list("var/lib")).toEqual([]);
        expect(sandboxes.get(rs1)!.read("proc/sys/net/ipv4/vs/conntrack")).toBe("0\n");
        expect(sandboxes.get(rs2)!.read("proc/sys/net/ipv4/vs/conntrack")).toBe("1\n");
        await update(identity, { identity, parts: [part(rs2, wants)] }, [part(rs1, wants)], manner, around());
        expect(sandboxes.get(rs2)!.read("proc/sys/net/ipv4/vs/conntrack")).toBe("0\n");
    });

    test("an update that begins to want something of a host gives back what it found there", async () => {
        const [rs1] = names();
        const [nothing, something] = [[], [want("sysctl", SYSCTL, "1")]].map((wants) => [part(rs1, wants)]);
        await createResource(identity, nothing!, manner, around());
        await update(identity, { identity, parts: nothing! }, something!, manner, around());
        expect(sandboxes.get(rs1)!.read("proc/sys/net/ipv4/vs/conntrack")).toBe("1\n");
        await removeResource(identity, something!, manner, around());
        expect(sandboxes.get(rs1)!.read("proc/sys/net/ipv4/vs/conntrack")).toBe("0\n");
        expect(said).toEqual([]);
    });

    test("an update of what the host's looks alone made it want knows that a lost ledger was one", async () => {
        const [rs1] = names();
        const setting = want("sysctl", SYSCTL, "1");
        const seen = (more: Want[]): HostPart[] => [
            { ...part(rs1, []), wants: (view) => (view === undefined ? more : [setting, ...more]) },
        ];
        const sandbox = sandboxes.get(rs1)!;
        await createResource(identity, seen([]), manner, around());
        rmSync(join(sandbox.root, "var/lib/pulumi-lvs"), { recursive: true });
        const more = seen([want("address", "lo/192.0.2.100/32", { deprecated: false })]);
        await update(identity, { identity, parts: seen([]) }, more, manner, around());
        await removeResource(identity, more, manner, around());
        expect(said.join()).toContain("what it was before is not known");
    });

    test("a director that is a real server, too, keeps both parts of the rule, and gives both back", async () => {
        const [, , dir] = names();
        const before = sandboxes.get(dir)!.picture();
        const own = (device: string) => [
            part(dir, [want("address", `${device}/192.0.2.100/32`, { deprecated: false })], "realServer"),
            part(dir, web(1)),
        ];
        const has = () => sandboxes.get(dir)!.read("state/address").includes("192.0.2.100/32");
        const rules = () => sandboxes.get(dir)!.read("state/table").match(/^D/gm);
        await createResource(identity, own("lo"), manner, around());
        expect([has(), rules()]).toEqual([true, ["D"]]);
        expect((await read(identity, own("lo"), around())).drift).toEqual({});
        await update(identity, { identity, parts: own("lo") }, [part(dir, web(1))], manner, around());
        expect([has(), rules()]).toEqual([false, ["D"]]);
        await update(identity, { identity, parts: [part(dir, web(1))] }, own("lo"), manner, around());
        expect([has(), rules()]).toEqual([true, ["D"]]);
        await removeResource(identity, own("lo"), manner, around());
        expect(sandboxes.get(dir)!.picture()).toBe(before);
    });

    test("a real server's side that was reached by another connection than its director's is kept when both have one", async () => {
        const [admin, , dir] = names();
        const one = sandboxes.get(dir)!;
        sandboxes.set(admin, one);
        one.write("proc/sys/kernel/random/boot_id", "b1\n");
        one.program("readlink", "echo 'net:[1]'");
        const side = (connection: string) =>
            part(connection, [want("address", "lo/192.0.2.100/32", { deprecated: false })], "realServer");
        const [twice, once] = [admin, dir].map((connection) => [side(connection), part(dir, web(1))]);
        const before = one.picture();
        await createResource(identity, twice!, manner, around());
        await update(identity, { identity, parts: twice! }, once!, manner, around());
        expect(one.read("state/address")).toContain("192.0.2.100/32");
        expect(one.read("state/table")).toMatch(/^D/m);
        await removeResource(identity, once!, manner, around());
        expect(one.picture()).toBe(before);
    });

    test("what a former forwarding method needs stays until its connections are over, and then goes", async () => {
        const [rs1, , dir] = names();
        const rule = (way: string) => [
            want("service", SERVICE, service()),
            want("destination", serverKey("192.0.2.21"), destination(1, way)),
        ];
        const vip = want("address", "lo/192.0.2.100/32", { deprecated: false });
        const drained = (wants: Want[]): HostPart => ({ ...part(dir, wants), drain: 60 });
        const byRoute = [part(rs1, [want("sysctl", SYSCTL, "1"), vip], "realServer"), drained(rule("dr"))];
        const byNat = [
            part(rs1, [want("sysctl", SYSCTL, "1")], "realServer"),
            drained([want("forwarding", "ipv4", { on: true }), ...rule("nat")]),
        ];
        const connection = "TCP C0000201 D431 C0000264 0050 C0000215 0050 ESTABLISHED 9\n";
        await createResource(identity, byRoute, manner, around());
        const there = () => sandboxes.get(rs1)!.read("state/address").includes("192.0.2.100/32");

        for (const [before, now, stays] of [
            [byRoute, byNat, there],
            [byNat, byRoute, () => sandboxes.get(dir)!.read("proc/sys/net/ipv4/ip_forward") === "1\n"],
        ] as const) {
            sandboxes.get(dir)!.write("proc/net/ip_vs_conn", connection);
            const going = update(identity, { identity, parts: before }, now, manner, around());
            await until(() =>
                sandboxes
                    .get(dir)!
                    .list("run/pulumi-lvs")
                    .some((name) => name.startsWith("outlast.")),
            );
            expect(stays()).toBe(true);
            sandboxes.get(dir)!.write("proc/net/ip_vs_conn", "");
            await going;
            expect(stays()).toBe(false);
        }
        expect(said.join()).toBe("");
    });

    test("a service that is taken out of its director is drained as it was declared, others as they are", async () => {
        const [, , dir] = names();
        const other = "tcp/192.0.2.100:81";
        const rules = [SERVICE, other].flatMap((key) => [
            want("service", key, service()),
            want("destination", `${key}/192.0.2.21:80`, destination(1, "nat")),
        ]);
        const drains = new Map([
            [SERVICE, 60],
            [other, 0],
        ]);
        const before = [{ ...part(dir, rules), drains }];
        await createResource(identity, before, manner, around());
        const host = sandboxes.get(dir)!;
        host.write("state/active", "192.0.2.21:80 4\n");
        const going = update(identity, { identity, parts: before }, [part(dir, [])], manner, around());
        await until(() => /-w 0/.test(host.read("state/table")));
        expect(host.read("state/table")).toMatch(/100:80\t192\.0\.2\.21:80\t -m -w 0/);
        host.write("state/active", "");
        await going;
        expect(host.read("state/table")).toBe("");
    });

    test.each([
        ["are over", 60, ""],
        ["outlive their time", 1, "192.0.2.21 via 192.0.2.21 dev eth0 onlink \n"],
    ])(
        "while connections by dr and by nat share a real server the director has a route to it, until they %s",
        async (_, drain, afterwards) => {
            const [, , dir] = names();
            const host = sandboxes.get(dir)!;
            host.write("state/networks", "192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.10\n");
            const rule = (way: string) => {
                const wants = [
                    want("service", SERVICE, service()),
                    want("destination", serverKey("192.0.2.21"), destination(1, way)),
                ];
                return [{ ...part(dir, wants), drain }];
            };
            const hops = () => host.read("state/hops");
            await createResource(identity, rule("nat"), manner, around());
            const conn = "proc/net/ip_vs_conn";
            host.write(conn, "TCP C0000201 D431 C0000264 0050 C0000215 0050 ESTABLISHED 9\n");
            const going = update(identity, { identity, parts: rule("nat") }, rule("dr"), manner, around());
            await until(() => host.list("run/pulumi-lvs").some((name) => name.startsWith("outlast.")));
            expect([hops(), host.read("state/table")]).toEqual([
                "192.0.2.21 via 192.0.2.21 dev eth0 onlink \n",
                expect.stringMatching(/ -g /),
            ]);
            if (drain > 1) host.write(conn, "");
            await going;
            expect(hops()).toBe(afterwards);
            // What outlived its time is given back by the next change, at the latest with the resource.
            host.write(conn, "");
            await removeResource(identity, rule("dr"), manner, around());
            expect([hops(), host.read("state/table")]).toEqual(["", ""]);
        },
    );

    test("a real server by tun that was by nat, and one behind a router, need no route", async () => {
        const [, , dir] = names();
        const host = sandboxes.get(dir)!;
        host.write("state/networks", "10.0.0.0/8 dev eth0 scope link\n");
        const rule = (way: string) => {
            const wants = [
                want("service", SERVICE, service()),
                want("destination", serverKey("192.0.2.21"), {
                    ...(destination(1, way) as Record<string, Value>),
                    tunnel: way === "tun" ? { type: "ipip", port: null, checksum: "none" } : null,
                }),
            ];
            return [{ ...part(dir, wants), drain: 60 }];
        };
        await createResource(identity, rule("nat"), manner, around());
        await update(identity, { identity, parts: rule("nat") }, rule("dr"), manner, around());
        host.write("state/networks", "192.0.2.0/24 dev eth0 scope link\n");
        await update(identity, { identity, parts: rule("nat") }, rule("tun"), manner, around());
        expect(host.read("state/hops")).toBe("");
    });

    test("the gateway of a former nat stays until its connections are over, in the update that takes it away", async () => {
        const [rs1, , dir] = names();
        const rule = (way: string) => ({
            ...part(dir, [
                want("service", SERVICE, service()),
                want("destination", serverKey("192.0.2.21"), destination(1, way)),
            ]),
            drain: 60,
        });
        const web1 = sandboxes.get(rs1)!;
        const found = "default via 10.0.0.9 dev eth0 proto dhcp \n";
        web1.write("state/route", found);
        const nat = [part(rs1, [defaultRoute("10.0.0.1")], "realServer"), rule("nat")];
        const dr = [part(rs1, [want("address", "lo/192.0.2.100/32", { deprecated: false })], "realServer"), rule("dr")];
        await createResource(identity, nat, manner, around());
        const conn = "proc/net/ip_vs_conn";
        sandboxes.get(dir)!.write(conn, "TCP C0000201 D431 C0000264 0050 C0000215 0050 ESTABLISHED 9\n");
        const going = update(identity, { identity, parts: nat }, dr, manner, around());
        await until(() =>
            sandboxes
                .get(dir)!
                .list("run/pulumi-lvs")
                .some((name) => name.startsWith("outlast.")),
        );
        expect(web1.read("state/route")).toMatch(/via 10\.0\.0\.1 /);
        expect(sandboxes.get(dir)!.read("state/table")).toMatch(/DR|Route|-g/);
        sandboxes.get(dir)!.write(conn, "");
        await going;
        expect(web1.read("state/route")).toBe(found);
    });

    test("a default route that our SSH connection needs is refused before its real server's rule goes, or anything", async () => {
        const [rs1, , dir] = names();
        const web1 = sandboxes.get(rs1)!;
        const { moved } = web1;
        web1.moved = (text) => `SSH_CONNECTION='198.51.100.7 40000 10.0.0.21 22'\n${moved.call(web1, text)}`;
        web1.write("state/networks", "10.0.0.0/24 dev eth0 scope link\n");
        const rule = part(dir, [
            want("service", SERVICE, service()),
            want("destination", serverKey("192.0.2.21"), destination(1, "nat")),
        ]);
        const nat = [part(rs1, [defaultRoute("10.0.0.1")], "realServer"), rule];
        await createResource(identity, nat, manner, around());
        const before = [rs1, dir].map((name) => sandboxes.get(name)!.picture());
        const dr = [part(rs1, [want("address", "lo/192.0.2.100/32", { deprecated: false })], "realServer"), rule];
        await expect(removeResource(identity, nat, manner, around())).rejects.toThrow("LVS-GATEWAY-SSH");
        await expect(update(identity, { identity, parts: nat }, dr, manner, around())).rejects.toThrow(
            "LVS-GATEWAY-SSH",
        );
        expect([rs1, dir].map((name) => sandboxes.get(name)!.picture())).toEqual(before);
        web1.write("state/networks", "10.0.0.0/24 dev eth0 scope link\n198.51.100.0/24 via 10.0.0.8 dev eth0\n");
        // A look serves for three seconds.
        await new Promise((resolve) => setTimeout(resolve, 3_100));
        await removeResource(identity, nat, manner, around());
        expect([web1.read("state/route"), sandboxes.get(dir)!.read("state/table")]).toEqual(["", ""]);
    });

    test("a clone that carries the ledger of another machine is no other way to that machine", async () => {
        const [rs1, rs2] = names();
        const wants = [want("sysctl", SYSCTL, "1")];
        await createResource(identity, [part(rs1, wants)], manner, around());
        const name = fileName(identity);
        const clone = sandboxes.get(rs2)!;
        clone.write("etc/machine-id", "m2\n");
        clone.write(`var/lib/pulumi-lvs/${name}`, sandboxes.get(rs1)!.read(`var/lib/pulumi-lvs/${name}`));
        await update(identity, { identity, parts: [part(rs1, wants)] }, [part(rs2, wants)], manner, around());
        expect(sandboxes.get(rs1)!.list("var/lib")).toEqual([]);
        expect(sandboxes.get(rs1)!.read("proc/sys/net/ipv4/vs/conntrack")).toBe("0\n");
    });
});
